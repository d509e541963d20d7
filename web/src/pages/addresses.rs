//! Watched addresses and networks, and the lists they are on.

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use waypost_types::{
    asset::{Address, NewAddress, Source},
    list_history::Listing,
    list_settings::ListSettings,
    lists::ListInfo,
    maintenance::Watched,
    monitor::MonitorKind,
    page::List,
    pool::Pool,
    tag::TagUse,
};

use super::{
    pools,
    settings::{self, Shown, Target},
};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Gate, Place, Show, icon},
};

pub(crate) async fn list(visit: Visit, Path(org): Path<String>) -> Answer {
    let cursor = visit.query().remove("cursor").map(|cursor| format!("&cursor={}", text::encoded(&cursor))).unwrap_or_default();
    let (tag, with_tag) = ui::asked_tag(&visit.query());
    let (path, used) = (org_path(&org, &format!("addresses?limit=50{with_tag}{cursor}")), org_path(&org, "tags"));
    let (needed, used) =
        tokio::join!(async { tokio::try_join!(visit.frame(&org), visit.api.get::<List<Address>>(&path)) }, visit.api.get::<List<TagUse>>(&used));
    let ((frame, addresses), used) = (needed?, used.map(|list| list.items).unwrap_or_default());
    Ok(page(&visit, StatusCode::OK, "Blacklists", || {
        let base = format!("/o/{}", text::encoded(&org));
        let gate = Gate::change(&frame, "first");
        let list = format!("{base}/addresses");
        let body = if addresses.items.is_empty() && !tag.is_empty() {
            view! { <div class="empty">{icon("search")}<h3>{format!("Nothing has the tag “{tag}”")}</h3><p><a href=list.clone()>"Show all"</a></p></div> }.into_any()
        } else if addresses.items.is_empty() {
            view! { <div class="empty">{icon("list")}<h3>"No addresses yet"</h3><p>"The addresses of your domains' MX hosts appear here by themselves."</p>{gate.link("btn btn-primary", format!("{base}/add"), "Add an address")}{gate.hint()}</div> }.into_any()
        } else {
            table(&frame, &addresses.items, &base, ("Addresses", Address::all_tags))
        };
        let more = addresses.next.as_ref().map(
            |next| view! { <p><a class="btn" href=format!("{base}/addresses?cursor={}{with_tag}", text::encoded(next))>"More addresses"</a></p> },
        );
        let choose = view! { <a class="btn" href=format!("{base}/pools")>{icon("list")}"IP pools"</a><a class="btn" href=format!("{base}/lists")>{icon("gear")}"Lists to ask"</a> };
        let content = view! {
            {ui::head("Blacklists", None, "A list that does not answer is unknown, never clean.", choose)}
            {ui::tag_filter(&used, |used| used.addresses, &tag, &list)}
            <section class="card" aria-label="Addresses" data-live="addresses">{body}</section>
            {more}
        };
        ui::shell(&frame, Place::Addresses, vec![(None, "Blacklists".to_owned())], content)
    }))
}

/// Addresses with how they stand, and which of their tags are shown; `name` is what the table is called.
pub(super) fn table(frame: &Frame, addresses: &[Address], base: &str, (name, tags): (&str, fn(&Address) -> Vec<String>)) -> AnyView {
    let rows = addresses
        .iter()
        .map(|address| {
            view! {
                <tr>
                    <th scope="row"><a class="plain mono" href=format!("{base}/addresses/{}", address.id)>{address.cidr.to_string()}</a><span class="sub">{address.hosts.join(", ")}</span>{ui::tags(&tags(address), &format!("{base}/addresses"))}</th>
                    <td data-label="State">{ui::listing_status(address)}{ui::maintenance_mark(frame, Watched { address: Some(address.id), tags: &address.all_tags(), ..Watched::default() })}</td>
                    <td class="num" data-label="Answered">{format!("{} of {}", address.answered, address.asked)}</td>
                    <td class="num" data-label="Last scan">{ui::when(address.last_checked_at)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label=format!("{name}, table")>
            <table class="table fold">
                <caption class="vh">{name.to_owned()}</caption>
                <thead><tr><th scope="col">"Address"</th><th scope="col">"State"</th><th scope="col" class="num">"Lists that answered"</th><th scope="col" class="num">"Last scan"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let body = NewAddress { cidr: fields.text("cidr").to_owned() };
    match visit.api.post::<Address>(&org_path(&org, "addresses"), &body).await {
        Ok(address) => Ok(redirect(&format!("/o/{}/addresses/{}", text::encoded(&org), address.id))),
        Err(failure) if failure.is_input() => super::add::again(&visit, &org, &fields, &failure, "cidr").await,
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    draw(&visit, &org, &id, &Fields::empty(), None).await
}

async fn draw(visit: &Visit, org: &str, id: &str, typed: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let (path, past, lists) = (target(org, id).api(""), target(org, id).api("/listings"), org_path(org, "lists"));
    let groups = org_path(org, "pools");
    let (frame, address, past, lists, groups) = tokio::join!(
        visit.frame(org),
        visit.api.get::<Address>(&path),
        visit.api.get::<List<Listing>>(&past),
        visit.api.get::<ListSettings>(&lists),
        visit.api.get::<List<Pool>>(&groups)
    );
    let (frame, address) = (frame?, address?);
    // The page stands without them: what is to be done about a listing is in the scan too.
    let catalog = lists.map(|lists| lists.catalog).unwrap_or_default();
    let groups = groups.map(|list| list.items).unwrap_or_default();
    let name = address.cidr.to_string();
    Ok(page(visit, settings::status(failure), &name, || {
        let root = format!("/o/{}", text::encoded(org));
        let base = target(org, id).page();
        let sub = view! {
            {source_words(&address)}" "
            {match address.last_checked_at { Some(at) => view! { "Scanned "{ui::time(at)} }.into_any(), None => "Not scanned yet".into_any() }}
            {address.next_check_at.filter(|_| address.last_checked_at.is_some()).map(|at| view! { ", again "{ui::time(at)} })}"."
        };
        let show = Show::of(visit.query().get("show").map(String::as_str));
        let several = address.cidr.addresses().len() > 1;
        let crumbs = vec![(Some(format!("{root}/addresses")), "Blacklists".to_owned()), (None, name.clone())];
        let shown = Shown {
            base: base.clone(),
            kind: MonitorKind::Blacklist,
            version: address.version,
            monitors: &address.monitors,
            name: &name,
            note: note(address.source),
            typed,
            failure,
        };
        let content = view! {
            {settings::notice(visit, &address.monitors, failure)}
            {ui::maintenance_line(&frame, Watched { address: Some(address.id), tags: &address.all_tags(), ..Watched::default() }, &address.monitors)}
            {ui::head(&name, None, sub, settings::check_button(visit, &frame, &base, &address.monitors))}
            {what_to_do(&address, &catalog)}
            <section class="card" aria-labelledby="h-lists" data-live="lists">
                <div class="card-head"><h2 id="h-lists">"Lists"</h2>{ui::listing_status(&address)}<span class="meta num">{format!("{} of {} answered", address.answered, address.asked)}</span></div>
                {past.as_ref().ok().and_then(|past| ui::stood_before(&past.items, if several { "network" } else { "address" }))}
                {scan(&address, show, &base)}
                <div class="card-foot"><a href=format!("{root}/lists")>"Choose the lists that are asked"</a></div>
            </section>
            {history(past, several)}
            {settings::card(&frame, &shown, Some(view! { {pools::field(&address, &groups, typed)}{ui::tags_field(&address.tags, typed, failure)} }.into_any()))}
        };
        ui::shell(&frame, Place::Addresses, crumbs, content)
    }))
}

/// Where an address comes from, as sentences.
fn source_words(address: &Address) -> String {
    let hosts = address.hosts.join(", ");
    let what = match address.source {
        Source::Manual => "Added by hand",
        Source::Mx => "Found by the MX records of a domain that is watched",
        Source::Web => "Found as a web address of a domain that is watched",
        Source::Server => "Belongs to a mail server that was added",
    };
    match (hosts.is_empty(), address.source) {
        (true, _) => format!("{what}."),
        // The hosts were found by themselves.
        (false, Source::Manual) => format!("{what}. Watched mail hosts here: {hosts}."),
        (false, _) => format!("{what}: {hosts}."),
    }
}

/// What to know before it is removed.
const fn note(source: Source) -> Option<&'static str> {
    match source {
        Source::Mx => Some(super::servers::FOUND_AGAIN),
        Source::Web => Some(FOUND_ON_THE_WEB),
        Source::Manual | Source::Server => None,
    }
}

const FOUND_ON_THE_WEB: &str = "It was found as the address of a domain that is watched, or of its www: while it is, the next audit brings it back. Pause its checks to have them stop.";

fn what_to_do(address: &Address, catalog: &[ListInfo]) -> Option<AnyView> {
    let guides = ui::guides(address.report.as_ref()?, catalog)?;
    Some(
        view! {
            <section class="card" aria-labelledby="h-guide" data-live="guide">
                <div class="card-head"><h2 id="h-guide">"What to do"</h2></div>
                {guides}
            </section>
        }
        .into_any(),
    )
}

fn scan(address: &Address, show: Show, page: &str) -> AnyView {
    match &address.report {
        // Scans of before the lists were counted say everything in their entries.
        Some(report) if address.cidr.addresses().len() > 1 && !report.lists.is_empty() => ui::grid(report, &address.cidr, show, page),
        Some(report) => ui::list_entries(report),
        None => {
            view! { <div class="empty">{icon("clock")}<h3>"The first scan is on its way"</h3><p>"It appears here by itself."</p></div> }.into_any()
        }
    }
}

fn history(past: Result<List<Listing>, ApiFailure>, several: bool) -> AnyView {
    let body = match past {
        Ok(past) => ui::stays(&past.items, several),
        Err(failure) => {
            view! { <div class="empty">{icon("unknown")}<h3>"The history could not be loaded"</h3><p>{failure.sentence().to_owned()}</p></div> }
                .into_any()
        }
    };
    view! {
        <section class="card" aria-labelledby="h-past" data-live="past">
            <div class="card-head"><h2 id="h-past">"Listing history"</h2></div>
            {body}
        </section>
    }
    .into_any()
}

const fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "addresses" }
}

pub(crate) async fn check(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    settings::check(&visit, &target(&org, &id)).await
}

pub(crate) async fn change(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    let mut patch = settings::patch_of(&fields);
    if let (Some(pool), Some(object)) = (fields.given("pool").filter(|pool| fields.given("pool_before") != Some(*pool)), patch.as_object_mut()) {
        object.insert("pool".to_owned(), if pool.is_empty() { serde_json::Value::Null } else { pool.into() });
    }
    match settings::change(&visit, &target(&org, &id), fields.version(), &patch).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, &org, &id, &fields, Some(&failure)).await,
    }
}

pub(crate) async fn remove(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    match settings::remove(&visit, &target(&org, &id), fields.version()).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, &org, &id, &fields, Some(&failure)).await,
    }
}
