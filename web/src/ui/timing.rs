//! How long checks took: the chart of median and 95th percentile with incidents and maintenance behind it, and where the time goes by stage.

use std::{collections::HashMap, fmt::Write as _};

use leptos::prelude::*;
use waypost_types::{
    incident::IncidentSeverity,
    outcome::Status,
    timing::{Spread, Stage, TimingPoint, Timings},
};

use super::{
    plot::{Axis, HEIGHT, TOP, axis_end, band, plot, share, y},
    status,
};
use crate::text;

/// Incidents named beneath a chart at most.
const MOST_LINKS: usize = 5;

/// The time a chart shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Period {
    /// 24 hours, in quarters.
    #[default]
    Day,
    /// A week, by hour.
    Week,
    /// 30 days, by day.
    Month,
}

impl Period {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// What the page was asked for.
    pub(crate) fn asked(query: &HashMap<String, String>) -> Self {
        query.get("period").and_then(|word| Self::ALL.into_iter().find(|period| period.word() == word)).unwrap_or_default()
    }

    /// How far back the API is asked.
    pub(crate) const fn hours(self) -> u32 {
        match self {
            Self::Day => 24,
            Self::Week => 24 * 7,
            Self::Month => 24 * 30,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
        }
    }

    /// What a step is.
    const fn step(self) -> &'static str {
        match self {
            Self::Day => "15 minutes",
            Self::Week => "hour",
            Self::Month => "day",
        }
    }
}

/// The charts of one monitor. `root` is the organisation's pages, `page` the page it is on and what it shows.
pub(crate) fn timing(timings: &Timings, id: &str, root: &str, (page, period): (&str, Period)) -> AnyView {
    let periods = Period::ALL
        .into_iter()
        .map(|each| {
            let current = (each == period).then_some("true");
            view! { <a href=format!("{page}?period={}#h-{id}", each.word()) aria-current=current>{each.name()}</a> }
        })
        .collect_view();
    let measured = timings.points.iter().filter(|point| point.of(Stage::Total).is_some()).count();
    let charts = if measured < 2 {
        view! { <p class="sm muted">"The chart of response times appears when checks have answered over two steps of it."</p> }.into_any()
    } else {
        view! { {response(timings, id, root, period)}{stages(timings, id, period)} }.into_any()
    };
    view! { <nav class="seg" aria-label=format!("Period of the charts, {id}")>{periods}</nav>{charts} }.into_any()
}

/// Median and 95th percentile of the whole, with what lay over it.
fn response(timings: &Timings, id: &str, root: &str, period: Period) -> AnyView {
    let axis = Axis::of(timings);
    let totals: Vec<Spread> = timings.points.iter().filter_map(|point| point.of(Stage::Total)).collect();
    let largest = totals.iter().map(|spread| spread.p95).fold(0.0, f64::max);
    let end = axis_end(largest);
    let line = |value: fn(Spread) -> f64| {
        let mut path = String::new();
        for run in axis.runs(&timings.points, |point| point.of(Stage::Total).is_some()) {
            let mut command = 'M';
            for point in &run {
                let Some(spread) = point.of(Stage::Total) else { continue };
                // Writing to a string can not fail.
                write!(path, "{command}{:.1} {:.1}", axis.middle(point) * 10.0, y(value(spread), end)).unwrap_or_default();
                command = 'L';
            }
            if run.len() == 1 {
                // A line of one step is a dot, which the round cap of the stroke draws.
                path.push_str("h0.1");
            }
        }
        path
    };
    let (p50, p95) = (line(|spread| spread.p50), line(|spread| spread.p95));
    let hits = timings
        .points
        .iter()
        .map(|point| {
            let said = match point.of(Stage::Total) {
                Some(spread) => format!("{}: p50 {}, p95 {}", text::minute(point.at), text::millis(Some(spread.p50)), text::millis(Some(spread.p95))),
                None => format!("{}: no answer to measure", text::minute(point.at)),
            };
            view! { <g class="hit"><title>{said}</title><rect class="zone" x=share(axis.percent(point.at)) width=share(axis.width()) y=TOP.to_string() height=HEIGHT.to_string()></rect></g> }
        })
        .collect_view();
    let latest = totals.last().copied();
    let label = format!(
        "Response time over {}: 95th percentile at most {}, latest median {}; {}",
        period.name(),
        text::millis(Some(largest)),
        text::millis(latest.map(|spread| spread.p50)),
        text::counted(u32::try_from(timings.incidents.len()).unwrap_or(u32::MAX), "incident", "incidents")
    );
    let title = format!("Response time, connect to the end of the conversation, per {}", period.step());
    view! {
        <figure class="chart">
            <figcaption>
                <span class="name">{title}</span>
                <span class="legend"><svg aria-hidden="true"><line class="s1" x1="0" x2="16" y1="5" y2="5"></line></svg>"p50"</span>
                <span class="legend"><svg aria-hidden="true"><line class="s2" x1="0" x2="16" y1="5" y2="5"></line></svg>"p95"</span>
            </figcaption>
            {plot(&axis, timings, end, &label, view! {
                {maintenance(&axis, timings)}
                {incidents(&axis, timings)}
                <svg x="0" y=TOP.to_string() width="100%" height=HEIGHT.to_string() viewBox="0 0 1000 100" preserveAspectRatio="none"><path class="s2" d=p95></path><path class="s1" d=p50></path></svg>
                {hits}
            }.into_any())}
            {incident_links(timings, root)}
            <details id=format!("latency-{id}")>
                <summary>"Show as a table"</summary>
                {table(timings)}
            </details>
        </figure>
    }
    .into_any()
}

/// Medians of the stages, stacked.
fn stages(timings: &Timings, id: &str, period: Period) -> AnyView {
    let axis = Axis::of(timings);
    let shown: Vec<Stage> =
        Stage::ALL.into_iter().filter(|stage| *stage != Stage::Total && timings.points.iter().any(|point| point.of(*stage).is_some())).collect();
    let sum = |point: &TimingPoint, upto: usize| -> f64 { shown[..upto].iter().filter_map(|stage| point.of(*stage)).map(|spread| spread.p50).sum() };
    let end = axis_end(timings.points.iter().map(|point| sum(point, shown.len())).fold(0.0, f64::max));
    let runs = axis.runs(&timings.points, |point| point.of(Stage::Total).is_some());
    let areas = (0..shown.len())
        .map(|index| {
            let mut path = String::new();
            for run in &runs {
                // As wide as the steps are, so that a single one is seen, too.
                let edges = |point: &TimingPoint| (axis.percent(point.at) * 10.0, axis.percent(point.at + axis.step) * 10.0);
                let mut command = 'M';
                for point in run {
                    let (left, right) = edges(point);
                    let top = y(sum(point, index + 1), end);
                    write!(path, "{command}{left:.1} {top:.1}L{right:.1} {top:.1}").unwrap_or_default();
                    command = 'L';
                }
                for point in run.iter().rev() {
                    let (left, right) = edges(point);
                    let base = y(sum(point, index), end);
                    write!(path, "L{right:.1} {base:.1}L{left:.1} {base:.1}").unwrap_or_default();
                }
                path.push('Z');
            }
            view! { <path class=format!("stage-{}", shown[index].as_str()) d=path></path> }
        })
        .collect_view();
    let legend = shown
        .iter()
        .map(|stage| {
            view! { <span class="legend"><svg aria-hidden="true"><rect class=format!("stage-{}", stage.as_str()) width="10" height="10"></rect></svg>{stage_word(*stage)}</span> }
        })
        .collect_view();
    let label = format!(
        "Where the time goes over {}: the median of {}, stacked",
        period.name(),
        shown.iter().map(|s| stage_word(*s)).collect::<Vec<_>>().join(", ")
    );
    view! {
        <figure class="chart">
            <figcaption><span class="name">{format!("Where the time goes, median of each stage per {}", period.step())}</span>{legend}</figcaption>
            {plot(&axis, timings, end, &label, view! {
                <svg x="0" y=TOP.to_string() width="100%" height=HEIGHT.to_string() viewBox="0 0 1000 100" preserveAspectRatio="none">{areas}</svg>
            }.into_any())}
            <details id=format!("stages-{id}")>
                <summary>"Show as a table"</summary>
                {stage_table(timings, &shown)}
            </details>
        </figure>
    }
    .into_any()
}

fn maintenance(axis: &Axis, timings: &Timings) -> AnyView {
    axis.runs(&timings.points, |point| point.maintenance > 0)
        .into_iter()
        .filter_map(|run| {
            let (first, last) = (run.first()?, run.last()?);
            let until = last.at + axis.step;
            let said = format!("Maintenance, {} to {}", text::minute(first.at), text::minute(until));
            Some(band(Status::None, said, (axis.percent(first.at), axis.percent(until))))
        })
        .collect_view()
        .into_any()
}

fn incidents(axis: &Axis, timings: &Timings) -> AnyView {
    timings
        .incidents
        .iter()
        .map(|incident| {
            let kind = urgency(incident.severity);
            let end = incident.resolved_at.map_or_else(|| "still open".to_owned(), |at| format!("until {}", text::minute(at)));
            let said = format!("{}, since {}, {end}", incident.title, text::minute(incident.opened_at));
            let places = (axis.percent(incident.opened_at), axis.percent(incident.resolved_at.unwrap_or(timings.until)));
            band(kind, said, places)
        })
        .collect_view()
        .into_any()
}

const fn urgency(severity: IncidentSeverity) -> Status {
    match severity {
        IncidentSeverity::Critical => Status::Bad,
        IncidentSeverity::Warning => Status::Warn,
        IncidentSeverity::Info => Status::Info,
    }
}

/// The newest incidents by name, since a band of a chart can be told from another only by pointing at it.
fn incident_links(timings: &Timings, root: &str) -> Option<AnyView> {
    if timings.incidents.is_empty() {
        return None;
    }
    let shown = timings
        .incidents
        .iter()
        .rev()
        .take(MOST_LINKS)
        .map(|incident| {
            let since = text::minute(incident.opened_at);
            view! { <li>{status(urgency(incident.severity), "")}<a href=format!("{root}/incidents/{}", incident.id)>{incident.title.clone()}</a><span class="muted">{format!(" since {since}")}</span></li> }
        })
        .collect_view();
    let more = timings.incidents.len().saturating_sub(MOST_LINKS);
    let rest = (more > 0).then(|| view! { <li class="muted">{format!("and {more} before")}</li> });
    Some(view! { <ul class="bands sm" aria-label="Incidents over the chart">{shown}{rest}</ul> }.into_any())
}

fn table(timings: &Timings) -> AnyView {
    let rows = timings
        .points
        .iter()
        .rev()
        .map(|point| {
            let total = point.of(Stage::Total);
            view! {
                <tr>
                    <th scope="row">{text::minute(point.at)}</th>
                    <td class="num">{text::millis(total.map(|spread| spread.p50))}</td>
                    <td class="num">{text::millis(total.map(|spread| spread.p95))}</td>
                    <td class="num">{text::count(point.checks.into())}</td>
                    <td class="num">{text::count(point.down.into())}</td>
                    <td class="num">{text::count(point.maintenance.into())}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Response times, table">
            <table class="table dense">
                <caption class="vh">"Response time"</caption>
                <thead><tr><th scope="col">"From"</th><th scope="col" class="num">"p50"</th><th scope="col" class="num">"p95"</th><th scope="col" class="num">"Checks"</th><th scope="col" class="num">"Failed"</th><th scope="col" class="num">"In maintenance"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn stage_table(timings: &Timings, shown: &[Stage]) -> AnyView {
    let heads = shown.iter().map(|stage| view! { <th scope="col" class="num">{stage_word(*stage)}</th> }).collect_view();
    let rows = timings
        .points
        .iter()
        .rev()
        .filter(|point| !point.stages.is_empty())
        .map(|point| {
            let cells = shown
                .iter()
                .map(|stage| {
                    let both = point.of(*stage).map(|spread| format!("{} / {}", text::millis(Some(spread.p50)), text::millis(Some(spread.p95))));
                    view! { <td class="num">{both.unwrap_or_else(|| "–".to_owned())}</td> }
                })
                .collect_view();
            view! { <tr><th scope="row">{text::minute(point.at)}</th>{cells}</tr> }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Stages, table of p50 / p95">
            <table class="table dense">
                <caption class="vh">"p50 / p95 of each stage"</caption>
                <thead><tr><th scope="col">"From"</th>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// A stage for people.
const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Dns => "DNS",
        Stage::Connect => "Connect",
        Stage::Banner => "Banner",
        Stage::Ehlo => "EHLO",
        Stage::Tls => "TLS",
        Stage::Auth => "Login",
        Stage::Total => "All",
    }
}
