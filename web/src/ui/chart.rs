//! The uptime strip of a monitor, drawn as SVG on the server.

use chrono::Utc;
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
            let apart = if point.maintenance > 0 { format!(", {} in maintenance", point.maintenance) } else { String::new() };
            let said = format!("{}: {} checks, {} failed, {} not known{apart}", text::day(point.at), point.checks, point.down, point.unknown);
            view! {
                <g data-status=status.as_str()>
                    <title>{said}</title>
                    <rect x=format!("{:.2}%", f64::from(offset) * step) width=format!("{:.2}%", step * 0.72) y=format!("{y}%") height=format!("{}%", 100 - y) rx="1"></rect>
                </g>
            }
        })
        .collect_view();
    let span = text::span_of(shown.first().map(|point| point.at), Utc::now());
    let label = format!("{what}, {span}: {} up", text::percent(share));
    view! {
        <div>
            <svg class="uptime" width="100%" height="28" role="img" aria-label=label>{bars}</svg>
            <p class="xs muted row between"><span>{span}</span><span class="num">{format!("{} up", text::percent(share))}</span></p>
        </div>
    }
    .into_any()
}
