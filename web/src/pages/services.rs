//! Services beside SMTP: the list, the form that adds one, and the page of one with what it showed.

mod form;

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    maintenance::Watched,
    monitor::{CheckResult, Monitor, MonitorKind, RollupPoint},
    outcome::Outcome,
    page::List,
    tag::TagUse,
    timing::Timings,
};

use super::{
    servers::results,
    settings::{self, Shown, Target},
};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Gate, Place, icon},
};

pub(crate) async fn list(visit: Visit, Path(org): Path<String>) -> Answer {
    let cursor = visit.query().remove("cursor").map(|cursor| format!("&cursor={}", text::encoded(&cursor))).unwrap_or_default();
    let (tag, with_tag) = ui::asked_tag(&visit.query());
    let (path, used) = (org_path(&org, &format!("monitors?services=true&limit=50{with_tag}{cursor}")), org_path(&org, "tags"));
    let (needed, used) =
        tokio::join!(async { tokio::try_join!(visit.frame(&org), visit.api.get::<List<Monitor>>(&path)) }, visit.api.get::<List<TagUse>>(&used));
    let ((frame, services), used) = (needed?, used.map(|list| list.items).unwrap_or_default());
    Ok(page(&visit, StatusCode::OK, "Services", || {
        let list = format!("/o/{}/monitors", text::encoded(&org));
        let gate = Gate::change(&frame, "first");
        let add = format!("{list}/new");
        let body = if services.items.is_empty() && !tag.is_empty() {
            view! { <div class="empty">{icon("search")}<h3>{format!("Nothing has the tag “{tag}”")}</h3><p><a href=list.clone()>"Show all"</a></p></div> }.into_any()
        } else if services.items.is_empty() {
            view! { <div class="empty">{icon("link")}<h3>"No services yet"</h3><p>"TCP ports, web addresses, DNS records and mailbox servers that belong to your mail."</p>{gate.link("btn btn-primary", add.clone(), "Add a service")}{gate.hint()}</div> }.into_any()
        } else {
            table(&frame, &services.items, &list)
        };
        let more = services
            .next
            .as_ref()
            .map(|next| view! { <p><a class="btn" href=format!("{list}?cursor={}{with_tag}", text::encoded(next))>"More services"</a></p> });
        let word = view! { {icon("plus")}"Add a service" };
        let button = (!services.items.is_empty()).then(|| Gate::change(&frame, "add").link("btn", add, word));
        let content = view! {
            {ui::head("Services", None, "TCP ports, web addresses, DNS records and mailbox servers, each looked at from outside.", button)}
            {ui::tag_filter(&used, |used| used.services, &tag, &list)}
            <section class="card" aria-label="Services" data-live="services">{body}</section>
            {more}
        };
        ui::shell(&frame, Place::Services, vec![(None, "Services".to_owned())], content)
    }))
}

fn table(frame: &Frame, services: &[Monitor], list: &str) -> AnyView {
    let rows = services
        .iter()
        .map(|service| {
            let state = ui::monitor_status(service);
            view! {
                <tr>
                    <th scope="row"><a class="plain wrap-any" href=format!("{list}/{}", service.id)>{ui::breakable(&service.target)}</a><span class="sub">{service.kind.word()}</span>{ui::tags(&service.tags, list)}</th>
                    <td data-label="State">{state}{ui::maintenance_mark(frame, watched(service))}</td>
                    <td data-label="What was seen">{text::sentence(service.summary.as_deref().unwrap_or("Not checked yet"))}</td>
                    <td class="num" data-label="Last check">{ui::when(service.last_checked_at)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Services, table">
            <table class="table fold">
                <caption class="vh">"Services"</caption>
                <thead><tr><th scope="col">"Service"</th><th scope="col">"State"</th><th scope="col">"What was seen"</th><th scope="col" class="num">"Last check"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn watched(service: &Monitor) -> Watched<'_> {
    Watched { monitor: Some(service.id), tags: &service.tags, ..Watched::default() }
}

/// The form that adds one; the kind is chosen first, by links, so that it works without script.
pub(crate) async fn add(visit: Visit, Path(org): Path<String>) -> Answer {
    let kind = visit.query().remove("kind").unwrap_or_default();
    new_page(&visit, &org, &kind, &Fields::empty(), None).await
}

pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let kind = form::kind_of(fields.text("kind"));
    let body = json!({ "kind": kind, "target": form::target_of(kind, &fields), "settings": form::settings_of(kind, &fields) });
    match visit.api.post::<Monitor>(&org_path(&org, "monitors"), &body).await {
        Ok(service) => Ok(redirect(&format!("/o/{}/monitors/{}", text::encoded(&org), service.id))),
        Err(failure) if failure.is_input() => new_page(&visit, &org, kind.as_str(), &fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

async fn new_page(visit: &Visit, org: &str, kind: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let frame = visit.frame(org).await?;
    let chosen = form::kind_of(kind);
    Ok(page(visit, settings::status(failure), "Add a service", || {
        let list = format!("/o/{}/monitors", text::encoded(org));
        let kinds = MonitorKind::SERVICES
            .into_iter()
            .map(|kind| view! { <a href=format!("{list}/new?kind={}", kind.as_str()) aria-current=(kind == chosen).then_some("true")>{kind.word()}</a> })
            .collect_view();
        let gate = Gate::change(&frame, "add");
        let inputs = form::inputs(chosen, fields, failure);
        let content = view! {
            {ui::head("Add a service", None, form::about(chosen), ())}
            <div class="filters"><nav class="seg" aria-label="Kind of service">{kinds}</nav></div>
            {gate.hint()}
            <section class="card" aria-labelledby="h-new">
                <div class="card-head"><h2 id="h-new">{chosen.word()}</h2></div>
                {gate.form("card-body stack", list.clone(), inputs, Button::new("btn btn-primary", "Add service"))}
            </section>
        };
        ui::shell(&frame, Place::Services, vec![(Some(list.clone()), "Services".to_owned()), (None, "Add a service".to_owned())], content)
    }))
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    draw(&visit, &org, &id, &Fields::empty(), None).await
}

async fn draw(visit: &Visit, org: &str, id: &str, typed: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let api = |rest: &str| target(org, id).api(rest);
    let period = ui::Period::asked(&visit.query());
    let (path, outcome, days, timings, latest) =
        (api(""), api("/outcome"), api("/rollups?by=day&hours=720"), api(&format!("/timings?hours={}", period.hours())), api("/results?limit=20"));
    let (needed, outcome, days, timings, latest) = tokio::join!(
        async { tokio::try_join!(visit.frame(org), visit.api.get::<Monitor>(&path)) },
        visit.api.get::<Outcome>(&outcome),
        visit.api.get::<List<RollupPoint>>(&days),
        visit.api.get::<Timings>(&timings),
        visit.api.get::<List<CheckResult>>(&latest),
    );
    let (frame, service) = needed?;
    let mut days = days.map(|list| list.items).unwrap_or_default();
    days.sort_by_key(|point| point.at);
    let latest = latest.map(|list| list.items).unwrap_or_default();
    Ok(page(visit, settings::status(failure), &service.target.clone(), || {
        let root = format!("/o/{}", text::encoded(org));
        let list = format!("{root}/monitors");
        let base = target(org, id).page();
        let charts = timings.as_ref().map(|timings| {
            view! {
                {ui::timing(timings, "state", &root, (&base, period))}
                {(timings.regions.len() > 1).then(|| ui::regions(&timings.regions, &service.target))}
            }
        });
        let monitors = std::slice::from_ref(&service);
        let checked = service.last_checked_at.map_or_else(|| "Not checked yet.".into_any(), |at| view! { "Last check "{ui::time(at)}"." }.into_any());
        let sub = view! { {service.kind.word()}", every "{text::duration(service.interval_s.into())}". "{checked} };
        let seen = match &outcome {
            Ok(Outcome::Service(report)) => ui::service_looks(report, "now"),
            _ => view! { <p class="card-body sm muted">"The first check is on its way."</p> }.into_any(),
        };
        let since = service.last_checked_at.and(service.state_since).map(|at| view! { <p class="sm muted">"Since "{ui::time(at)}"."</p> });
        let summary = service.summary.clone().map(|summary| view! { <p class="prose">{text::sentence(&summary)}</p> });
        let shown =
            Shown { base: base.clone(), kind: service.kind, version: service.version, monitors, name: &service.target, note: None, typed, failure };
        let state = ui::monitor_badge(&service);
        let extra = view! { {form::changes(&service, typed, failure)}{ui::tags_field(&service.tags, typed, failure)} }.into_any();
        let content = view! {
            {settings::notice(visit, monitors, failure)}
            {ui::maintenance_line(&frame, watched(&service), monitors)}
            {ui::head(&service.target, Some(state), sub, settings::check_button(visit, &frame, &base, monitors))}
            <section class="card" aria-labelledby="h-state" data-live="state">
                <div class="card-head"><h2 id="h-state">"Uptime and response time"</h2></div>
                <div class="card-body stack">{summary}{since}{ui::uptime(&days, &service.target)}{charts.ok()}</div>
            </section>
            <section class="card" aria-labelledby="h-seen" data-live="seen"><div class="card-head"><h2 id="h-seen">"Latest check"</h2></div>{seen}</section>
            <section class="card" aria-labelledby="h-results" data-live="results"><div class="card-head"><h2 id="h-results">"Latest results"</h2></div>{results(&latest)}</section>
            {settings::card(&frame, &shown, Some(extra))}
        };
        ui::shell(&frame, Place::Services, vec![(Some(list.clone()), "Services".to_owned()), (None, service.target.clone())], content)
    }))
}

const fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "monitors" }
}

pub(crate) async fn check(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    settings::check(&visit, &target(&org, &id)).await
}

pub(crate) async fn change(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    let mut patch = settings::patch_of(&fields);
    // A form that pauses brings no expectations with it.
    if let (Some(kind), Some(object)) = (fields.given("kind"), patch.as_object_mut()) {
        let expected: Value = form::settings_of(form::kind_of(kind), &fields);
        object.insert("settings".to_owned(), expected);
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
