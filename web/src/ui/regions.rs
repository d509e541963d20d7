//! What each region sees of a monitor, side by side.

use leptos::prelude::*;
use waypost_types::{outcome::Status, timing::RegionTiming};

use super::{status, time, verdict, when};
use crate::text;

/// What each region sees, side by side.
pub(crate) fn regions(regions: &[RegionTiming], id: &str) -> AnyView {
    let rows = regions
        .iter()
        .map(|region| {
            let seen = match region.verdict {
                Some(seen) => verdict(seen),
                None => status(Status::None, "Not checked yet"),
            };
            view! {
                <tr>
                    <th scope="row">{region.region.clone()}</th>
                    <td data-label="Result">{seen}</td>
                    <td data-label="What was seen">{region.summary.as_deref().map(text::sentence)}{region.cut_off_since.map(|since| view! { <p class="xs muted">"This region can not reach anything since "{time(since)}": what it sees is not counted."</p> })}</td>
                    <td class="num" data-label="p50, 24 h">{text::millis(region.day.map(|spread| spread.p50))}</td>
                    <td class="num" data-label="p95, 24 h">{text::millis(region.day.map(|spread| spread.p95))}</td>
                    <td class="num" data-label="Last probe">{when(region.at)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label=format!("Regions, {id}, table")>
            <table class="table fold">
                <caption class="vh">"What each region sees"</caption>
                <thead><tr><th scope="col">"Region"</th><th scope="col">"Result"</th><th scope="col">"What was seen"</th><th scope="col" class="num">"p50, 24 h"</th><th scope="col" class="num">"p95, 24 h"</th><th scope="col" class="num">"Last probe"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
