//! The public look-up of an address: its reverse names, and block lists.

use std::net::IpAddr;

use leptos::prelude::*;
use waypost_types::{
    lookup::AddressLookup,
    outcome::{CheckSummary, Status},
};

use super::{
    landing,
    lookup_head::{self, Head},
};
use crate::{
    ssr::{Answer, Shared, Visit, shared_page},
    text, ui,
};

/// The address that somebody typed, if it is one; IPv6 in brackets too.
pub(super) fn typed(text: &str) -> Option<IpAddr> {
    text.trim().trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

pub(super) async fn lookup(visit: &Visit, address: IpAddr) -> Answer {
    let text = address.to_string();
    match visit.api.get::<AddressLookup>(&format!("lookup/address/{}", text::encoded(&text))).await {
        Ok(found) => Ok(result(visit, &found)),
        Err(failure) => landing::refused(visit, text, failure),
    }
}

fn sentence(found: &AddressLookup, lists: &CheckSummary) -> String {
    match (lists.status, ui::rests_on(&found.blacklists)) {
        (Status::Ok | Status::None, Some(said)) => format!("{said}."),
        (Status::Ok | Status::None, None) => "No block list could tell, which is no all-clear.".to_owned(),
        _ => format!("{} on block lists.", lists.word),
    }
}

fn result(visit: &Visit, found: &AddressLookup) -> axum::response::Response {
    let lists = ui::scanned(&found.blacklists);
    let said = sentence(found, &lists);
    let path = format!("/lookup/{}", text::encoded(&found.address));
    let shared = Shared { description: format!("{said} {}", found.reverse_reason), path: path.clone() };
    let title = format!("{}: block lists and reverse name", found.address);
    shared_page(visit, &title, &shared, || {
        let head = Head {
            mark: view! { <div>{ui::badge(lists.status, &lists.word)}</div> }.into_any(),
            name: &found.address,
            also: None,
            sentence: said,
            checked_at: found.checked_at,
            took_ms: found.took_ms,
            path: &path,
            watched: &found.address,
            why: "Listings come without notice. Waypost tells you of each.",
            body: None,
        };
        let head = lookup_head::card(visit, head);
        ui::public(
            visit,
            view! {
                <main id="content" class="site stack">
                    <section class="hero" aria-label="Look up something else">{landing::search(found.address.clone(), None)}</section>
                    {lookup_head::incomplete(found.complete)}
                    {head}
                    <section class="card" aria-labelledby="h-ptr">
                        <div class="card-head"><h2 id="h-ptr">"Reverse name"</h2>{ui::status(found.reverse.status, &found.reverse.word)}</div>
                        {reverse(found)}
                        {(!found.findings.is_empty()).then(|| ui::findings(&found.findings, "r"))}
                    </section>
                    {landing::block_lists(&found.blacklists, &found.guides)}
                </main>
            },
        )
    })
}

fn reverse(found: &AddressLookup) -> AnyView {
    let names = found
        .names
        .iter()
        .map(|name| {
            let back = match name.leads_back {
                Some(true) => ui::status(Status::Ok, "leads back"),
                Some(false) => ui::status(Status::Warn, "does not lead back"),
                None => ui::status(Status::None, "could not be told"),
            };
            view! { <div><dt class="mono wrap-any">{ui::breakable(&name.name)}</dt><dd>{back}</dd></div> }
        })
        .collect_view();
    let names = (!found.names.is_empty()).then(|| view! { <dl class="kv mt2">{names}</dl> });
    view! { <div class="card-body"><p class="sm">{found.reverse_reason.clone()}</p>{names}</div> }.into_any()
}
