//! Past and present stays on block lists: from when to when, and why.

use chrono::{DateTime, Utc};
use leptos::prelude::*;
use waypost_types::{list_history::Listing, outcome::Status};

use super::{parts::day, status, time};
use crate::text;

/// The table of stays; nothing when there was none.
pub(crate) fn stays(listings: &[Listing]) -> Option<AnyView> {
    if listings.is_empty() {
        return None;
    }
    let rows = listings.iter().map(row).collect_view();
    Some(
        view! {
            <div class="sev-head"><h3>"Stays on lists"</h3><span class="meta num">{listings.len().to_string()}</span></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Stays on block lists, table">
                <table class="table fold">
                    <caption class="vh">"Stays on block lists, what goes on first"</caption>
                    <thead><tr><th scope="col">"List"</th><th scope="col">"State"</th><th scope="col">"From"</th><th scope="col">"Lasted"</th><th scope="col">"What it said"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any(),
    )
}

fn row(stay: &Listing) -> AnyView {
    let state = if stay.ended_at.is_some() { status(Status::Ok, "Ended") } else { status(stay.severity.into(), "Listed") };
    let until = stay.ended_at.unwrap_or_else(Utc::now);
    let said: Vec<String> = [&stay.meaning, &stay.reason].into_iter().filter(|part| !part.is_empty()).map(|part| text::sentence(part)).collect();
    let ended = stay.ended_at.map(|at: DateTime<Utc>| view! { <span class="sub">"ended "{time(at)}</span> });
    view! {
        <tr>
            <th scope="row">{stay.list.clone()}<span class="sub mono wrap-any">{stay.subject.clone()}</span></th>
            <td data-label="State">{state}</td>
            <td data-label="From">{day(stay.began_at)}</td>
            <td data-label="Lasted"><span>{text::duration((until - stay.began_at).num_seconds())}{ended}</span></td>
            <td data-label="What it said">{said.join(". ")}</td>
        </tr>
    }
    .into_any()
}
