//! Stays on block lists: from when to when, and what the list had to say.

use chrono::{DateTime, Utc};
use leptos::prelude::*;
use waypost_types::list_history::{Listing, ListingEnd};

use super::{icon, status};
use crate::text;

/// From when to when which list had what to say. `several` names the address in each row.
pub(crate) fn stays(listings: &[Listing], several: bool) -> AnyView {
    if listings.is_empty() {
        return view! { <div class="empty">{icon("ok")}<h3>"No listing yet"</h3><p>"From the first listing on, this says from when to when it was on which list."</p></div> }
            .into_any();
    }
    let rows = listings
        .iter()
        .map(|listing| {
            let until = match listing.ended_at {
                Some(at) => match listing.ending {
                    ListingEnd::Gone => on(at),
                    ListingEnd::Untold => view! { "Unknown since "{on(at)}<span class="sub">"The list does not answer"</span> }.into_any(),
                    ListingEnd::NotAsked => {
                        view! { "Not asked since "{on(at)}<span class="sub">"The list is retired or switched off"</span> }.into_any()
                    }
                },
                None => status(listing.severity.into(), "Still listed"),
            };
            let lasted = lasted(listing);
            let meaning = text::sentence(&listing.meaning);
            let quoted = (!listing.reason.is_empty()).then(|| view! { <span class="sub wrap-any">"“"{listing.reason.clone()}"”"</span> });
            view! {
                <tr>
                    <th scope="row"><span>{listing.list.clone()}<span class="sub mono">{listing.zone.clone()}</span></span></th>
                    {several.then(|| view! { <td class="mono" data-label="Address">{listing.subject.clone()}</td> })}
                    <td data-label="From">{from(listing)}</td>
                    <td data-label="To">{until}</td>
                    <td class="num" data-label="For">{lasted}</td>
                    <td data-label="What it said"><span>{meaning}" "<span class="mono xs muted">{listing.codes.join(" ")}</span>{quoted}</span></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Listing history, table">
            <table class="table fold">
                <caption class="vh">"Listing history"</caption>
                <thead>
                    <tr>
                        <th scope="col">"List"</th>
                        {several.then(|| view! { <th scope="col">"Address"</th> })}
                        <th scope="col">"From"</th><th scope="col">"To"</th><th scope="col" class="num">"For"</th><th scope="col">"What it said"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// What stands since before the first look, of which no incident told; nothing where there is none.
pub(crate) fn stood_before(listings: &[Listing], what: &'static str) -> Option<AnyView> {
    let many = listings.iter().filter(|listing| listing.stood_before && listing.ended_at.is_none()).count();
    let said = match many {
        0 => return None,
        1 => format!(
            "1 listing stood already when the {what} was added. Since when is not known, and no incident was opened: incidents tell of new listings."
        ),
        many => format!(
            "{many} listings stood already when the {what} was added. Since when is not known, and no incident was opened: incidents tell of new listings."
        ),
    };
    Some(view! { <p class="card-body sm soft">{said}</p> }.into_any())
}

fn from(listing: &Listing) -> AnyView {
    if !listing.stood_before {
        return on(listing.began_at);
    }
    let told = if listing.ended_at.is_none() { "Stood at the first look: not told" } else { "Stood at the first look" };
    view! { "Before "{on(listing.began_at)}<span class="sub">{told}</span> }.into_any()
}

/// How long it was seen there. One look tells of no length, and what was there before the first one was there longer.
fn lasted(listing: &Listing) -> String {
    match (listing.ended_at.unwrap_or(listing.seen_at) - listing.began_at).num_seconds() {
        ..=0 => "Seen once".to_owned(),
        seconds if listing.stood_before => format!("Over {}", text::duration(seconds)),
        seconds => text::duration(seconds),
    }
}

/// A time as evidence: the day and the minute.
fn on(at: DateTime<Utc>) -> AnyView {
    view! { <time datetime=at.to_rfc3339() title=text::exact(at)>{text::minute(at)}</time> }.into_any()
}
