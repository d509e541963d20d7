//! Whether the domain is proven to be the organisation's own, and the record that proves it.

use leptos::prelude::*;
use waypost_types::{asset::Ownership, outcome::Status};

use super::one::Loaded;
use crate::ui;

/// The card: small once the domain is proven.
pub(super) fn card(loaded: &Loaded) -> Option<AnyView> {
    let Ownership { name, value, verified, seen_at } = loaded.domain.ownership.as_ref()?;
    let record = || view! { <div class="mt2">{ui::record("TXT", name, value, "r-ownership".to_owned())}</div> };
    let body = match (*verified, *seen_at) {
        (true, Some(at)) => view! {
            <p class="sm">"The record was last seen "{ui::time(at)}". It covers the host names below the domain, too. Leave it where it is: every audit looks for it, and after "{Ownership::HOLDS_DAYS}" days without it the domain counts as unproven."</p>
            <details class="more" id="ownership-record"><summary>"The record"</summary>{record()}</details>
        }
        .into_any(),
        (_, seen_at) => view! {
            {seen_at.map(|at| view! { <p class="sm" data-status="warn">"The record was last seen "{ui::time(at)}" and is gone since. Publish it again."</p> })}
            <p class="sm">"Publish this TXT record to prove that the domain is yours. Until it is proven, Waypost says no more to its servers than any mail client would. The next audit finds the record; “Check now” looks at once."</p>
            {record()}
        }
        .into_any(),
    };
    let (status, word) = if *verified { (Status::Ok, "Proven") } else { (Status::None, "Not proven") };
    Some(
        view! {
            <section class="card" id="ownership" aria-labelledby="h-own" data-live="ownership">
                <div class="card-head"><h2 id="h-own">"Ownership"</h2><span class="meta">{ui::status(status, word)}</span></div>
                <div class="card-body">{body}</div>
            </section>
        }
        .into_any(),
    )
}
