//! The public look-up of an address: its reverse names, and block lists.

use std::net::IpAddr;

use leptos::prelude::*;
use waypost_types::{
    lookup::AddressLookup,
    outcome::{CheckSummary, Status},
};

use super::landing;
use crate::{
    ssr::{Answer, Shared, Visit, shared_page},
    text,
    ui::{self, icon},
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
    let (told, _) = found.blacklists.lists_told();
    match lists.status {
        Status::Ok => format!("On no block list; {told} could tell."),
        Status::None => "No block list could tell, which is no all-clear.".to_owned(),
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
        let incomplete = (!found.complete)
            .then(|| view! { <div class="banner" role="status" data-status="warn">{icon("warn")}<div><strong>"Not everything answered in time. "</strong>"What is missing is named below; look again in a minute."</div></div> });
        let link = format!("{}{path}", visit.site.config.base_url);
        let watch = landing::watch(visit, &found.address);
        ui::public(
            visit,
            view! {
                <main id="content" class="site stack">
                    <section class="hero" aria-label="Look up something else">{landing::search(found.address.clone(), None)}</section>
                    {incomplete}
                    <section class="card" aria-labelledby="h-res">
                        <div class="result-head">
                            <div>{ui::badge(lists.status, &lists.word)}</div>
                            <div>
                                <h1 id="h-res" class="h2">{ui::breakable(&found.address)}</h1>
                                <p class="soft mt1 num">{said}</p>
                                <p class="sm muted mt1">"Checked "{ui::time(found.checked_at)}{format!(", in {}", text::millis(u32::try_from(found.took_ms).ok().map(f64::from)))}</p>
                            </div>
                            <div class="row">
                                <button class="btn" type="button" data-copy="link">{icon("link")}<span class="btn-word" aria-live="polite">"Copy link"</span></button>
                                <span id="link" class="vh">{link}</span>
                            </div>
                        </div>
                        <div class="card-foot result-foot"><span>"Listings come without notice. Waypost tells you of each."</span><a class="btn btn-primary btn-name ml" href=watch>{format!("Monitor {}", found.address)}</a></div>
                    </section>
                    <section class="card" aria-labelledby="h-ptr">
                        <div class="card-head"><h2 id="h-ptr">"Reverse name"</h2>{ui::status(found.reverse.status, &found.reverse.word)}</div>
                        {reverse(found)}
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
