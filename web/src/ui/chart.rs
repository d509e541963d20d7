//! Pictures of a monitor's history: the uptime strip and the response time, drawn as SVG on the server.

use std::fmt::Write as _;

use leptos::prelude::*;
use waypost_types::{monitor::RollupPoint, outcome::Status};

use crate::text;

/// Bars of the strip; a strip always spans this many days, so that days are as wide everywhere.
const DAYS: usize = 30;

fn share_up(points: &[RollupPoint]) -> Option<f64> {
    let told: u64 = points.iter().map(|point| u64::from(point.up) + u64::from(point.down)).sum();
    let up: u64 = points.iter().map(|point| u64::from(point.up)).sum();
    #[allow(clippy::cast_precision_loss)] // counts of checks stay far below 2^52
    (told > 0).then(|| up as f64 * 100.0 / told as f64)
}

/// One bar per day, taller when worse; days that could not be told are dashes.
pub(crate) fn uptime(points: &[RollupPoint], what: &str) -> AnyView {
    let shown = &points[points.len().saturating_sub(DAYS)..];
    let Some(share) = share_up(shown) else {
        return view! { <p class="xs muted">"No history yet; bars appear after the first day."</p> }.into_any();
    };
    let step = 100.0 / f64::from(u32::try_from(DAYS).unwrap_or(30));
    let missing = DAYS - shown.len();
    let bars = shown
        .iter()
        .enumerate()
        .map(|(index, point)| {
            let offset = u32::try_from(missing + index).unwrap_or(0);
            let (status, y) = match (point.down, point.up) {
                (0, 0) => (Status::None, 70),
                (0, _) => (Status::Ok, 38),
                (down, up) if down * 20 < up => (Status::Warn, 20),
                _ => (Status::Bad, 0),
            };
            let said = format!("{}: {} checks, {} failed, {} not known", text::day(point.at), point.checks, point.down, point.unknown);
            view! {
                <g data-status=status.as_str()>
                    <title>{said}</title>
                    <rect x=format!("{:.2}%", f64::from(offset) * step) width=format!("{:.2}%", step * 0.72) y=format!("{y}%") height=format!("{}%", 100 - y) rx="1"></rect>
                </g>
            }
        })
        .collect_view();
    let label = format!("{what}, last {DAYS} days: {} up", text::percent(share));
    view! {
        <div>
            <svg class="uptime" width="100%" height="28" role="img" aria-label=label>{bars}</svg>
            <p class="xs muted row between"><span>{format!("{DAYS} days")}</span><span class="num">{format!("{} up", text::percent(share))}</span></p>
        </div>
    }
    .into_any()
}

/// A number that is a good end of an axis: 1, 2 or 5 times a power of ten.
fn axis_end(largest: f64) -> f64 {
    let mut end = 10.0;
    while end < largest && end < 1e9 {
        for factor in [2.0, 2.5, 2.0] {
            if end < largest {
                end *= factor;
            }
        }
    }
    end
}

/// Mean response time per hour as a line, with the table behind it.
pub(crate) fn latency(points: &[RollupPoint], id: &str) -> AnyView {
    let known: Vec<(usize, f64)> = points.iter().enumerate().filter_map(|(index, point)| point.latency_avg_ms.map(|value| (index, value))).collect();
    if known.len() < 2 {
        return view! { <p class="sm muted">"The chart of response times appears after two hours of checks."</p> }.into_any();
    }
    let largest = known.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let end = axis_end(largest);
    #[allow(clippy::cast_precision_loss)] // at most a few hundred points
    let x = |index: usize| index as f64 * 1000.0 / (points.len() - 1).max(1) as f64;
    let mut path = String::new();
    let mut before: Option<usize> = None;
    for (index, value) in &known {
        // A gap in the history is a gap in the line.
        let command = if before == index.checked_sub(1) && before.is_some() { 'L' } else { 'M' };
        // Writing to a string can not fail.
        write!(path, "{command}{:.1} {:.1}", x(*index), 100.0 - value * 100.0 / end).unwrap_or_default();
        before = Some(*index);
    }
    let (first, last) = (
        points.first().map(|point| text::minute(point.at)).unwrap_or_default(),
        points.last().map(|point| text::minute(point.at)).unwrap_or_default(),
    );
    let latest = known.last().map(|(_, value)| *value);
    let rows = points
        .iter()
        .rev()
        .map(|point| {
            view! {
                <tr>
                    <th scope="row">{text::minute(point.at)}</th>
                    <td class="num">{text::millis(point.latency_avg_ms)}</td>
                    <td class="num">{text::millis(point.latency_max_ms)}</td>
                    <td class="num">{text::count(point.checks.into())}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <figure class="chart">
            <figcaption><span class="name">"Response time, mean per hour"</span></figcaption>
            <div class="frame">
                <svg width="56" height="150" aria-hidden="true">
                    <text class="axis" x="48" y="132" text-anchor="end">"0"</text>
                    <text class="axis" x="48" y="72" text-anchor="end">{text::millis(Some(end / 2.0))}</text>
                    <text class="axis" x="48" y="12" text-anchor="end">{text::millis(Some(end))}</text>
                </svg>
                <svg width="100%" height="150" role="img" aria-label=format!("Response time from {first} to {last}: at most {}, now {}", text::millis(Some(largest)), text::millis(latest))>
                    <g>
                        <line class="baseline" x1="0" x2="100%" y1="128" y2="128"></line>
                        <line class="gridline" x1="0" x2="100%" y1="68" y2="68"></line>
                        <line class="gridline" x1="0" x2="100%" y1="8" y2="8"></line>
                    </g>
                    <svg x="0" y="8" width="100%" height="120" viewBox="0 0 1000 100" preserveAspectRatio="none"><path class="s1" d=path></path></svg>
                    <g aria-hidden="true">
                        <text class="axis" x="0%" y="146" text-anchor="start">{points.first().map(|point| text::axis(point.at))}</text>
                        <text class="axis" x="100%" y="146" text-anchor="end">{points.last().map(|point| text::axis(point.at))}</text>
                    </g>
                </svg>
            </div>
            <details id=format!("latency-{id}")>
                <summary>"Show as a table"</summary>
                <div class="table-wrap" tabindex="0" role="region" aria-label="Response times, table">
                    <table class="table dense">
                        <caption class="vh">"Response time per hour"</caption>
                        <thead><tr><th scope="col">"From"</th><th scope="col" class="num">"Mean"</th><th scope="col" class="num">"Highest"</th><th scope="col" class="num">"Checks"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            </details>
        </figure>
    }
    .into_any()
}
