//! Maintenance windows of an organisation, and a form for another one.

pub(super) mod form;
pub(crate) mod window;

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use waypost_types::{
    maintenance::{Covers, Day, MaintenanceWindow, Occurrence, Plan},
    org_settings::OrgSettings,
    outcome::Status,
    page::List,
    tag::TagUse,
    zone::Zone,
};

use super::{covers::Choices, settings};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Gate, Place, icon},
};

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, &Fields::empty(), None).await
}

/// Plans a window.
pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let made = match form::body_of(&fields, zone_of(&visit, &org).await?, None) {
        Ok(new) => visit.api.post::<MaintenanceWindow>(&org_path(&org, "maintenance"), &new).await,
        Err(failure) => Err(failure),
    };
    match made {
        Ok(_) => Ok(redirect(&format!("{}?saved=added", home(&org)))),
        Err(failure) if failure.is_input() => draw(&visit, &org, &fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

fn home(org: &str) -> String {
    format!("/o/{}/maintenance", text::encoded(org))
}

async fn zone_of(visit: &Visit, org: &str) -> Result<Zone, ApiFailure> {
    Ok(visit.api.get::<OrgSettings>(&org_path(org, "settings")).await?.time_zone)
}

async fn draw(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let path = org_path(org, "maintenance");
    let tags = org_path(org, "tags");
    let (needed, used) = tokio::join!(
        async { tokio::try_join!(visit.frame(org), visit.api.get::<List<MaintenanceWindow>>(&path), zone_of(visit, org), Choices::load(visit, org)) },
        visit.api.get::<List<TagUse>>(&tags)
    );
    let ((frame, windows, zone, choices), used) = (needed?, used.ok().map(|list| list.items));
    Ok(page(visit, settings::status(failure), "Maintenance", || {
        let base = home(org);
        let gate = Gate::change(&frame, "maintenance");
        let sub = "While a window is on, checks go on and are recorded, but no incident opens and nobody is told. What still fails when it is over is told then.";
        let add = gate.form(
            "card-body stack plan-form",
            base.clone(),
            form::inputs(fields, failure, zone, &choices, None),
            Button::new("btn btn-primary", "Add the window"),
        );
        let content = view! {
            {notice(visit, failure)}
            {ui::head("Maintenance", None, sub, ())}
            {gate.hint()}
            {table(&windows.items, used.as_deref(), zone, &base)}
            <section class="card" aria-labelledby="h-add">
                <div class="card-head"><h2 id="h-add">"Add a window"</h2></div>
                {add}
            </section>
        };
        ui::shell(&frame, Place::Maintenance, vec![(None, "Maintenance".to_owned())], content)
    }))
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let words = match visit.query().get("saved").map(String::as_str) {
        // The form says it beside its fields.
        _ if failure.is_some() => return None,
        Some("added") => "The window is planned.",
        Some("removed") => "The window is removed. What it kept quiet is judged from now on.",
        _ => return None,
    };
    Some(view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>{words}</div></div> }.into_any())
}

fn table(windows: &[MaintenanceWindow], used: Option<&[TagUse]>, zone: Zone, base: &str) -> AnyView {
    if windows.is_empty() {
        return view! { <section class="card" aria-labelledby="h-windows"><div class="empty">{icon("clock")}<h2 id="h-windows">"No maintenance is planned"</h2><p>"Plan a window before you work on a server, and nobody is woken by it."</p></div></section> }.into_any();
    }
    let rows = windows.iter().map(|window| row(window, used, zone, base)).collect_view();
    view! {
        <section class="card" aria-labelledby="h-windows" data-live="windows">
            <div class="card-head"><h2 id="h-windows">"Windows"</h2><span class="meta">{format!("times of {zone}")}</span></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Maintenance windows, table">
                <table class="table fold">
                    <caption class="vh">"Maintenance windows"</caption>
                    <thead><tr><th scope="col">"Window"</th><th scope="col">"Covers"</th><th scope="col">"State"</th><th scope="col">"Next"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn row(window: &MaintenanceWindow, used: Option<&[TagUse]>, zone: Zone, base: &str) -> AnyView {
    let unused = used.and_then(|used| ui::unused_tags(&window.covers.tags, used)).map(|said| view! { <span class="sub">{said}</span> });
    let (status, word) = state(window);
    let state = match window.active {
        Some(Occurrence { to, .. }) => ui::status(status, &format!("On until {}", zone.words(to))),
        None => ui::status(status, word),
    };
    let next = window.next.map_or_else(|| "–".to_owned(), |next| zone.words(next.from));
    view! {
        <tr>
            <th scope="row"><a class="plain wrap-any" href=format!("{base}/{}", window.id)>{window.name.clone()}</a><span class="sub">{plan_words(&window.plan, zone)}</span></th>
            <td data-label="Covers">{covers_words(&window.covers)}{unused}</td>
            <td data-label="State">{state}</td>
            <td data-label="Next">{next}</td>
        </tr>
    }
    .into_any()
}

/// Whether a window is on, in a word.
const fn state(window: &MaintenanceWindow) -> (Status, &'static str) {
    match (window.active, window.next) {
        (Some(_), _) => (Status::Warn, "On"),
        (None, Some(_)) => (Status::None, "Planned"),
        (None, None) => (Status::None, "Over"),
    }
}

pub(super) fn covers_words(covers: &Covers) -> String {
    if covers.everything {
        return "Everything".to_owned();
    }
    let parts = [
        (covers.tags.len(), "tag", "tags"),
        (covers.domains.len(), "domain", "domains"),
        (covers.servers.len(), "mail server", "mail servers"),
        (covers.addresses.len(), "address", "addresses"),
        (covers.monitors.len(), "port", "ports"),
    ];
    let parts = parts.into_iter().filter(|(number, ..)| *number > 0);
    parts.map(|(number, one, many)| text::counted(u32::try_from(number).unwrap_or(u32::MAX), one, many)).collect::<Vec<_>>().join(", ")
}

/// When a window is, in words.
fn plan_words(plan: &Plan, zone: Zone) -> String {
    let lasts = |minutes: u32| text::duration(i64::from(minutes) * 60);
    match plan {
        Plan::Once { from, to } => format!("{} to {}", zone.words(*from), zone.words(*to)),
        Plan::Weekly { days, at, minutes } if days.len() == Day::ALL.len() => format!("Every day at {at} for {}", lasts(*minutes)),
        Plan::Weekly { days, at, minutes } => {
            let days = days.iter().map(|day| day.word()).collect::<Vec<_>>().join(", ");
            format!("Every {days} at {at} for {}", lasts(*minutes))
        }
        Plan::Monthly { day, at, minutes } => {
            let short = if *day > 28 { ", or the last one," } else { "" };
            format!("On day {day}{short} of each month at {at} for {}", lasts(*minutes))
        }
    }
}

/// The status of a refused change: what was typed comes back.
pub(super) const fn comes_back(failure: &ApiFailure) -> bool {
    failure.status == StatusCode::PRECONDITION_FAILED.as_u16()
}
