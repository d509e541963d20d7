//! The frame of a chart over time, drawn as SVG on the server: its axes, steps that follow each other, and bands over its whole height.

use chrono::{DateTime, Duration, Utc};
use leptos::prelude::*;
use waypost_types::{
    outcome::Status,
    timing::{TimingPoint, Timings},
};

use crate::text;

/// Height of a plot.
pub(super) const HEIGHT: f64 = 160.0;
/// Above it.
pub(super) const TOP: f64 = 8.0;

/// Where an instant lies, 0 to 100 percent.
pub(super) struct Axis {
    pub(super) since: DateTime<Utc>,
    span_ms: f64,
    pub(super) step: Duration,
}

impl Axis {
    pub(super) fn of(timings: &Timings) -> Self {
        Self { since: timings.since, span_ms: milliseconds(timings.until - timings.since).max(1.0), step: Duration::seconds(timings.step_s.into()) }
    }

    pub(super) fn percent(&self, at: DateTime<Utc>) -> f64 {
        (milliseconds(at - self.since) * 100.0 / self.span_ms).clamp(0.0, 100.0)
    }

    /// The middle of a step.
    pub(super) fn middle(&self, point: &TimingPoint) -> f64 {
        self.percent(point.at + self.step / 2)
    }

    pub(super) fn width(&self) -> f64 {
        milliseconds(self.step) * 100.0 / self.span_ms
    }

    /// Steps that follow each other without a gap.
    pub(super) fn runs<'a>(&self, points: &'a [TimingPoint], holds: impl Fn(&TimingPoint) -> bool) -> Vec<Vec<&'a TimingPoint>> {
        let mut runs: Vec<Vec<&TimingPoint>> = Vec::new();
        for point in points.iter().filter(|point| holds(point)) {
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|last| point.at - last.at <= self.step) => run.push(point),
                _ => runs.push(vec![point]),
            }
        }
        runs
    }
}

#[allow(clippy::cast_precision_loss)] // a year of milliseconds is far below 2^52
fn milliseconds(time: Duration) -> f64 {
    time.num_milliseconds() as f64
}

/// A number that is a good end of an axis: 1, 2 or 5 times a power of ten.
pub(super) fn axis_end(largest: f64) -> f64 {
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

/// Height of a value in the box of a plot, which is 100 high.
pub(super) fn y(value: f64, end: f64) -> f64 {
    100.0 - value.min(end) * 100.0 / end
}

/// Hours between the marks of an axis.
const STEPS: [i64; 9] = [1, 2, 3, 6, 12, 24, 48, 7 * 24, 28 * 24];

/// Whole hours or days between two instants, few enough to be read and none so close to an end that it runs into what stands there.
fn ticks(since: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let span = (until - since).num_seconds().max(1);
    let step = STEPS.into_iter().map(|hours| hours * 3600).find(|step| span / step <= 4).unwrap_or(span);
    let first = since.timestamp().div_euclid(step) * step;
    let free = since + Duration::seconds(span * 15 / 100)..=until - Duration::seconds(span * 15 / 100);
    (0..=5).filter_map(|index| DateTime::from_timestamp(first + step * index, 0)).filter(|at| free.contains(at)).collect()
}

/// The frame of a plot: axes with their numbers, and what is drawn between them.
pub(super) fn plot(axis: &Axis, timings: &Timings, end: f64, label: &str, drawn: AnyView) -> AnyView {
    let bottom = TOP + HEIGHT;
    let half = TOP + HEIGHT / 2.0;
    let total = (bottom + 22.0).to_string();
    let ticks = ticks(timings.since, timings.until)
        .into_iter()
        .map(|at| view! { <text class="axis minor" x=share(axis.percent(at)) y=(bottom + 18.0).to_string() text-anchor="middle">{text::axis(at)}</text> })
        .collect_view();
    view! {
        <div class="frame">
            <svg width="100%" height=total.clone() aria-hidden="true">
                <text class="axis" x="100%" dx="-8" y=(bottom + 4.0).to_string() text-anchor="end">"0"</text>
                <text class="axis" x="100%" dx="-8" y=(half + 4.0).to_string() text-anchor="end">{text::millis(Some(end / 2.0))}</text>
                <text class="axis" x="100%" dx="-8" y=(TOP + 4.0).to_string() text-anchor="end">{text::millis(Some(end))}</text>
            </svg>
            <svg width="100%" height=total role="img" aria-label=label.to_owned()>
                <g aria-hidden="true">
                    <line class="baseline" x1="0" x2="100%" y1=bottom.to_string() y2=bottom.to_string()></line>
                    <line class="gridline" x1="0" x2="100%" y1=half.to_string() y2=half.to_string()></line>
                    <line class="gridline" x1="0" x2="100%" y1=TOP.to_string() y2=TOP.to_string()></line>
                </g>
                {drawn}
                <g aria-hidden="true">
                    <text class="axis" x="0%" y=(bottom + 18.0).to_string() text-anchor="start">{text::axis(timings.since)}</text>
                    {ticks}
                    <text class="axis" x="100%" y=(bottom + 18.0).to_string() text-anchor="end">{text::axis(timings.until)}</text>
                </g>
            </svg>
        </div>
    }
    .into_any()
}

/// A percentage as SVG writes it.
pub(super) fn share(percent: f64) -> String {
    format!("{percent:.2}%")
}

/// A band over the whole height.
pub(super) fn band(kind: Status, said: String, (from, to): (f64, f64)) -> AnyView {
    let width = (to - from).max(0.3);
    view! {
        <g data-status=kind.as_str()>
            <title>{said}</title>
            <rect class="band" x=share(from) width=share(width) y=TOP.to_string() height=HEIGHT.to_string()></rect>
            <rect class="band-edge" x=share(from) width=share(width) y=TOP.to_string() height="3"></rect>
        </g>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_at_whole_hours_and_days_away_from_the_ends() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let marks = |since: &str, until: &str| ticks(at(since), at(until)).iter().map(|at| at.format("%d %H:%M").to_string()).collect::<Vec<_>>();
        assert_eq!(marks("2026-03-01T09:17:00Z", "2026-03-02T09:17:00Z"), ["01 18:00", "02 00:00"]);
        assert_eq!(marks("2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z"), ["01 18:00", "02 00:00", "02 06:00"]);
        assert_eq!(marks("2026-03-01T09:17:00Z", "2026-03-08T09:17:00Z"), ["04 00:00", "06 00:00"]);
        assert_eq!(marks("2026-03-01T09:17:00Z", "2026-03-01T09:17:00Z"), Vec::<String>::new());
        for days in 1..=100 {
            let until = at("2026-03-01T09:17:00Z");
            let marks = ticks(until - Duration::days(days), until);
            assert!((1..=4).contains(&marks.len()), "{days}: {marks:?}");
        }
    }
}
