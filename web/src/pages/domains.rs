//! Watched domains: the table, and the page of one.

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use waypost_types::{
    asset::{Address, Domain, Server},
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::{AuditReport, CheckSummary, Status},
    page::List,
};

use super::settings::{self, Shown, Target};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Gate, Place, family, icon},
};

/// Domains against record families.
pub(super) fn matrix(domains: &[Domain], base: &str) -> AnyView {
    let heads = family::columns().map(|(_, name)| view! { <th scope="col">{name}</th> }).collect_view();
    let rows = domains
        .iter()
        .map(|domain| {
            let cells = family::columns()
                .map(|(key, _)| {
                    let check = domain.audit.as_ref().and_then(|audit| audit.checks.get(key));
                    view! { <td>{check.map_or_else(|| "–".into_any(), |check| ui::status(check.status, &check.word))}</td> }
                })
                .collect_view();
            view! {
                <tr>
                    <th scope="row"><a class="plain" href=format!("{base}/domains/{}", domain.id)>{ui::breakable(&domain.display)}</a>{ui::ascii_form(&domain.display, domain.name.as_str())}</th>
                    <td>{graded(domain)}</td>
                    {cells}
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Authentication per domain">
            <table class="table matrix">
                <caption class="vh">"Authentication status per domain"</caption>
                <thead><tr><th scope="col">"Domain"</th><th scope="col">"Grade"</th>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// The grade with the score; before there is one, a word in its place.
fn graded(domain: &Domain) -> AnyView {
    match (domain.audit.as_ref(), domain.score) {
        (_, Some(score)) => {
            view! { <span class="row nowrap">{ui::grade(domain.grade.as_deref(), false)}<span class="num muted">{score.to_string()}</span></span> }
                .into_any()
        }
        (None, None) => ui::status(Status::None, "Pending"),
        (Some(_), None) => ui::status(Status::None, "Not known"),
    }
}

pub(crate) async fn list(visit: Visit, Path(org): Path<String>) -> Answer {
    let cursor = visit.query().remove("cursor").map(|cursor| format!("&cursor={}", text::encoded(&cursor))).unwrap_or_default();
    let path = org_path(&org, &format!("domains?limit=50{cursor}"));
    let (frame, domains) = tokio::try_join!(visit.frame(&org), visit.api.get::<List<Domain>>(&path))?;
    Ok(page(&visit, StatusCode::OK, "Domains", || {
        let base = format!("/o/{}", text::encoded(&org));
        let gate = Gate::change(&frame, "first");
        let body = if domains.items.is_empty() {
            view! { <div class="empty">{icon("globe")}<h3>"No domains yet"</h3>{gate.link("btn btn-primary", format!("{base}/add"), "Add a domain")}{gate.hint()}</div> }.into_any()
        } else {
            matrix(&domains.items, &base)
        };
        let more = domains
            .next
            .as_ref()
            .map(|next| view! { <p><a class="btn" href=format!("{base}/domains?cursor={}", text::encoded(next))>"More domains"</a></p> });
        let content = view! {
            {ui::head("Domains", None, "Worst part of each domain in a word; the page of a domain says what to do.",
                view! { <a class="btn" href=format!("{base}/messages")>{icon("mail")}"Check a message"</a> })}
            <section class="card" aria-label="Domains" data-live="domains">{body}</section>
            {more}
        };
        ui::shell(&frame, Place::Domains, vec![(None, "Domains".to_owned())], content)
    }))
}

pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let body = waypost_types::asset::NewDomain { name: fields.text("name").to_owned() };
    match visit.api.post::<Domain>(&org_path(&org, "domains"), &body).await {
        Ok(domain) => Ok(redirect(&format!("/o/{}/domains/{}", text::encoded(&org), domain.id))),
        Err(failure) if failure.is_input() => super::add::again(&visit, &org, &fields, &failure, "name").await,
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    draw(&visit, &org, &id, None).await
}

async fn draw(visit: &Visit, org: &str, id: &str, failure: Option<&ApiFailure>) -> Answer {
    let (path, servers, addresses) = (target(org, id).api(""), org_path(org, "servers?limit=200"), org_path(org, "addresses?limit=200"));
    let (frame, domain, servers, addresses) = tokio::try_join!(
        visit.frame(org),
        visit.api.get::<Domain>(&path),
        visit.api.get::<List<Server>>(&servers),
        visit.api.get::<List<Address>>(&addresses)
    )?;
    Ok(page(visit, settings::status(failure), &domain.display.clone(), || {
        let root = format!("/o/{}", text::encoded(org));
        let base = target(org, id).page();
        let sub = view! {
            {ui::ascii_note(&domain.display, domain.name.as_str())}
            {match domain.last_checked_at { Some(at) => view! { "Checked "{ui::time(at)} }.into_any(), None => "Not checked yet".into_any() }}
            {domain.next_check_at.filter(|_| domain.last_checked_at.is_some()).map(|at| view! { ", again "{ui::time(at)} })}"."
        };
        let crumbs = vec![(Some(format!("{root}/domains")), "Domains".to_owned()), (None, domain.display.clone())];
        let shown = Shown {
            base: base.clone(),
            kind: MonitorKind::Audit,
            version: domain.version,
            monitors: &domain.monitors,
            name: &domain.display,
            note: Some("The servers and addresses that it led to stay; remove them by themselves."),
        };
        let content = view! {
            {settings::notice(visit, failure)}
            {ui::head(&domain.display, None, sub, settings::check_button(&frame, &base, &domain.monitors))}
            {results(&domain, &servers.items, &addresses, &root)}
            {settings::card(&frame, &shown, None)}
        };
        ui::shell(&frame, Place::Domains, crumbs, content)
    }))
}

/// What block lists say of the addresses of a domain's MX hosts, as far as they are watched.
fn listings(audit: &AuditReport, addresses: &List<Address>) -> CheckSummary {
    let of_hosts = |address: &&Address| audit.mx_hosts.iter().flat_map(|host| &host.addresses).any(|mx| address.cidr.net().contains(mx));
    let watched: Vec<&Address> = addresses.items.iter().filter(of_hosts).collect();
    if watched.is_empty() {
        let word = if addresses.next.is_some() { "Not known" } else { "Not watched" };
        return CheckSummary { status: Status::None, word: word.to_owned() };
    }
    ui::listings(watched.into_iter())
}

fn results(domain: &Domain, servers: &[Server], addresses: &List<Address>, root: &str) -> AnyView {
    let Some(audit) = &domain.audit else {
        return view! {
            <section class="card" data-live="audit" aria-busy="true">
                <div class="empty">{icon("clock")}<h2>"The first audit is on its way"</h2><p>"It takes up to a minute and appears here by itself."</p></div>
            </section>
        }
        .into_any();
    };
    let paused = domain.monitors.first().is_some_and(|monitor| monitor.paused);
    // A grade is there, so nothing is pending: until a second audit confirms a bad one, the grade speaks for itself.
    let badge = (paused || domain.state != MonitorState::Pending).then(|| ui::state_badge(domain.state, true, paused));
    let score = audit.score.map_or_else(|| "No score: too much is unknown".to_owned(), |score| format!("{score} of 100"));
    let mx = audit
        .mx_hosts
        .iter()
        .map(|host| {
            let server = servers.iter().find(|server| server.host == host.host);
            let name = match server {
                Some(server) => view! { <a class="plain" href=format!("{root}/servers/{}", server.id)>{ui::breakable(&host.host)}</a> }.into_any(),
                None => ui::breakable(&host.host),
            };
            let addresses = host.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            view! {
                <tr>
                    <th scope="row">{name}{host.provider.clone().map(|provider| view! { <span class="sub">{provider}</span> })}</th>
                    <td class="num" data-label="Preference">{host.preference.to_string()}</td>
                    <td data-label="Addresses"><span class="mono xs">{addresses}</span></td>
                    <td data-label="State">{server.map_or_else(|| "Not watched".into_any(), |server| ui::state_status(server.state, server.last_checked_at.is_some()))}</td>
                </tr>
            }
        })
        .collect_view();
    let hosts = (!audit.mx_hosts.is_empty()).then(|| {
        view! {
            <section class="card" aria-labelledby="h-mx" data-live="mx">
                <div class="card-head"><h2 id="h-mx">"Mail servers"</h2></div>
                <div class="table-wrap" tabindex="0" role="region" aria-label="MX hosts, table">
                    <table class="table fold">
                        <caption class="vh">"MX hosts"</caption>
                        <thead><tr><th scope="col">"Host"</th><th scope="col" class="num">"Preference"</th><th scope="col">"Addresses"</th><th scope="col">"State"</th></tr></thead>
                        <tbody>{mx}</tbody>
                    </table>
                </div>
            </section>
        }
    });
    let seen = (!audit.records.is_empty()).then(|| {
        view! {
            <section class="card" aria-labelledby="h-rec" data-live="records">
                <div class="card-head"><h2 id="h-rec">"Records as seen"</h2></div>
                {ui::records(audit)}
            </section>
        }
    });
    let clean = audit
        .findings
        .is_empty()
        .then(|| view! { <div class="empty">{icon("ok")}<h3>"No findings"</h3><p>"Everything that could be checked is as it should be."</p></div> });
    view! {
        <div class="grid" data-live="audit">
            <section class="card c4" aria-labelledby="h-g">
                <div class="card-head"><h2 id="h-g">"Grade"</h2>{badge}</div>
                <div class="card-body"><div class="row nowrap">{ui::grade(audit.grade.as_deref(), true)}<p class="num">{score}</p></div></div>
            </section>
            <section class="card c8" aria-labelledby="h-k">
                <div class="card-head"><h2 id="h-k">"Checks"</h2></div>
                {ui::checks_strip(audit, &listings(audit, addresses))}
            </section>
        </div>
        <section class="card" id="findings" aria-labelledby="h-f" data-live="findings">
            <div class="card-head"><h2 id="h-f">"Findings"</h2><span class="meta num">{audit.findings.len().to_string()}</span></div>
            {clean}{ui::findings(&audit.findings, "f")}{ui::unknown_parts(&audit.unknown)}
        </section>
        {hosts}
        {seen}
    }
    .into_any()
}

const fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "domains" }
}

pub(crate) async fn check(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    settings::check(&visit, &target(&org, &id)).await
}

pub(crate) async fn change(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    match settings::change(&visit, &target(&org, &id), fields.version(), &settings::patch_of(&fields)).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, &org, &id, Some(&failure)).await,
    }
}

pub(crate) async fn remove(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    match settings::remove(&visit, &target(&org, &id), fields.version()).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, &org, &id, Some(&failure)).await,
    }
}
