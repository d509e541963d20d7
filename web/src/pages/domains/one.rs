//! The page of one domain, and what can be done there.

use axum::extract::Path;
use leptos::prelude::*;
use waypost_types::{
    asset::{Address, Domain, SeenSelector, Server},
    drift::RecordEvent,
    list_history::Listing,
    maintenance::Watched,
    monitor::MonitorKind,
    outcome::{BlacklistReport, Outcome},
    page::List,
};

use super::{ownership, results::results, selectors, senders};
use crate::{
    api::ApiFailure,
    pages::settings::{self, Shown, Target},
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Place, icon},
};

/// What the page shows of a domain. What is absent could not be loaded: it leaves a gap on the page, not an error page.
pub(super) struct Loaded {
    pub(super) domain: Domain,
    pub(super) servers: Vec<Server>,
    pub(super) addresses: List<Address>,
    pub(super) history: Option<List<RecordEvent>>,
    /// The history begins with an older change than the newest.
    pub(super) older: bool,
    pub(super) stays: Option<Vec<Listing>>,
    /// The latest scan of the domain itself.
    pub(super) scan: Option<BlacklistReport>,
    /// Selectors that mail was signed with.
    pub(super) seen: Option<Vec<SeenSelector>>,
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    draw(&visit, &org, &id, &Fields::empty(), None).await
}

async fn draw(visit: &Visit, org: &str, id: &str, typed: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let target = target(org, id);
    let cursor = visit.query().remove("history");
    let (path, servers, addresses) = (target.api(""), org_path(org, "servers?limit=200"), org_path(org, "addresses?limit=200"));
    let (history, stays) = (target.api(&ui::history_query(cursor.as_deref())), target.api("/listings"));
    let (history, stays) = (visit.api.get::<List<RecordEvent>>(&history), visit.api.get::<List<Listing>>(&stays));
    let seen = target.api("/selectors");
    let seen = visit.api.get::<List<SeenSelector>>(&seen);
    let needed = async {
        tokio::try_join!(
            visit.frame(org),
            visit.api.get::<Domain>(&path),
            visit.api.get::<List<Server>>(&servers),
            visit.api.get::<List<Address>>(&addresses)
        )
    };
    let (needed, history, stays, seen) = tokio::join!(needed, history, stays, seen);
    let (frame, domain, servers, addresses) = needed?;
    let scan = match settings::main_monitor(&domain.monitors, MonitorKind::Blacklist) {
        Some(monitor) => visit.api.get::<Option<Outcome>>(&org_path(org, &format!("monitors/{}/outcome", monitor.id))).await.ok().flatten(),
        None => None,
    };
    let scan = match scan {
        Some(Outcome::Blacklist(report)) => Some(*report),
        _ => None,
    };
    let (history, stays) = (history.ok(), stays.ok().map(|list| list.items));
    let seen = seen.ok().map(|list| list.items);
    let loaded = Loaded { domain, servers: servers.items, addresses, history, older: cursor.is_some(), stays, scan, seen };
    let domain = &loaded.domain;
    Ok(page(visit, settings::status(failure), &domain.display.clone(), || {
        let root = format!("/o/{}", text::encoded(org));
        let base = target.page();
        let sub = view! {
            {ui::ascii_note(&domain.display, domain.name.as_str())}
            {match domain.last_checked_at { Some(at) => view! { "Checked "{ui::time(at)} }.into_any(), None => "Not checked yet".into_any() }}
            {domain.next_check_at.filter(|_| domain.last_checked_at.is_some()).map(|at| view! { ", again "{ui::time(at)} })}"."
        };
        let crumbs = vec![(Some(format!("{root}/domains")), "Domains".to_owned()), (None, domain.display.clone())];
        // After somebody else's change what was typed stays; what was not touched is as it is now.
        let overtaken = failure.is_some_and(|failure| failure.status == 412);
        let touched = if overtaken { senders::touched(typed) } else { typed.without(&[]) };
        let typed = &touched;
        let shown = Shown {
            base: base.clone(),
            kind: MonitorKind::Audit,
            version: domain.version,
            monitors: &domain.monitors,
            name: &domain.display,
            note: Some("The servers and addresses that it led to stay; remove them by themselves."),
            typed,
            failure,
        };
        let content = view! {
            {notice(visit, &loaded.domain, failure)}
            {ui::maintenance_line(&frame, Watched { domain: Some(domain.id), tags: &domain.tags, ..Watched::default() }, &domain.monitors)}
            {ui::head(&domain.display, None, sub, settings::check_button(visit, &frame, &base, &domain.monitors))}
            {results(&loaded, &root, &base)}
            {selectors::card(&frame, &loaded, &base)}
            {ownership::card(&loaded)}
            {settings::card(&frame, &shown, Some(view! { {senders::fields(domain, typed, failure)}{ui::tags_field(&domain.tags, typed, failure)} }.into_any()))}
        };
        ui::shell(&frame, Place::Domains, crumbs, content)
    }))
}

/// What is wrong with a field far down the page leads there.
fn notice(visit: &Visit, domain: &Domain, failure: Option<&ApiFailure>) -> AnyView {
    let Some((field, message)) = failure.and_then(senders::field_at_fault) else {
        return settings::notice(visit, &domain.monitors, failure);
    };
    view! { <div class="banner" role="alert" data-status="bad">{icon("bad")}<div><strong>"The settings were not saved. "</strong><a href=format!("#f-{field}")>{message}</a></div></div> }
        .into_any()
}

const fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "domains" }
}

pub(crate) async fn check(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    settings::check(&visit, &target(&org, &id)).await
}

pub(crate) async fn change(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    let patch = match senders::patch_of(&fields) {
        Ok(patch) => patch,
        Err(failure) => return draw(&visit, &org, &id, &fields, Some(&failure)).await,
    };
    match settings::change(&visit, &target(&org, &id), fields.version(), &patch).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, &org, &id, &fields, Some(&failure)).await,
    }
}

/// Forgets a selector that was seen.
pub(crate) async fn forget(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    let target = target(&org, &id);
    visit.api.forget(&target.api(&format!("/selectors/{}", text::encoded(fields.text("selector"))))).await?;
    Ok(redirect(&format!("{}?saved=forgotten", target.page())))
}

pub(crate) async fn remove(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    match settings::remove(&visit, &target(&org, &id), fields.version()).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, &org, &id, &fields, Some(&failure)).await,
    }
}
