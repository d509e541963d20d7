//! Watched mail servers: the table, and the page of one with its ports.

use std::collections::BTreeMap;

use axum::{extract::Path, http::StatusCode};
use futures::stream::{self, StreamExt};
use leptos::prelude::*;
use waypost_types::{
    MonitorId,
    asset::{NewServer, Server, ServerRole, Source},
    drift::ServerEvent,
    maintenance::Watched,
    monitor::{CheckResult, MonitorKind, RollupPoint},
    outcome::Outcome,
    page::List,
    server_login::ServerLogin,
    tag::TagUse,
    timing::Timings,
};

use super::settings::{self, Shown, Target};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Form, Gate, Place, icon},
};

pub(crate) mod login;
mod port;

pub(super) use port::results;

/// Four calls each: one page must not take all connections to the database.
const PORTS_AT_ONCE: usize = 4;

/// Everything about one port.
struct Port {
    outcome: Option<Outcome>,
    days: Vec<RollupPoint>,
    timings: Option<Timings>,
    results: Vec<CheckResult>,
}

/// An audit of a domain brings back what its MX records name.
pub(super) const FOUND_AGAIN: &str = "It was found by an MX record of a domain that is watched: while the record names it, the next audit brings it back. Pause its checks to have them stop.";

pub(crate) async fn list(visit: Visit, Path(org): Path<String>) -> Answer {
    let cursor = visit.query().remove("cursor").map(|cursor| format!("&cursor={}", text::encoded(&cursor))).unwrap_or_default();
    let (tag, with_tag) = ui::asked_tag(&visit.query());
    let (path, used) = (org_path(&org, &format!("servers?limit=50{with_tag}{cursor}")), org_path(&org, "tags"));
    let (needed, used) =
        tokio::join!(async { tokio::try_join!(visit.frame(&org), visit.api.get::<List<Server>>(&path)) }, visit.api.get::<List<TagUse>>(&used));
    let ((frame, servers), used) = (needed?, used.map(|list| list.items).unwrap_or_default());
    Ok(page(&visit, StatusCode::OK, "Mail servers", || {
        let base = format!("/o/{}", text::encoded(&org));
        let gate = Gate::change(&frame, "first");
        let list = format!("{base}/servers");
        let body = if servers.items.is_empty() && !tag.is_empty() {
            view! { <div class="empty">{icon("search")}<h3>{format!("Nothing has the tag “{tag}”")}</h3><p><a href=list.clone()>"Show all"</a></p></div> }.into_any()
        } else if servers.items.is_empty() {
            view! { <div class="empty">{icon("server")}<h3>"No mail servers yet"</h3><p>"The MX hosts of a domain that you add appear here by themselves."</p>{gate.link("btn btn-primary", format!("{base}/add"), "Add a mail server")}{gate.hint()}</div> }.into_any()
        } else {
            table(&frame, &servers.items, &base)
        };
        let more = servers.next.as_ref().map(
            |next| view! { <p><a class="btn" href=format!("{base}/servers?cursor={}{with_tag}", text::encoded(next))>"More mail servers"</a></p> },
        );
        let content = view! {
            {ui::head("Mail servers", None, "Each port is probed on its own, with a whole SMTP conversation.", ())}
            {ui::tag_filter(&used, |used| used.servers, &tag, &list)}
            <section class="card" aria-label="Mail servers" data-live="servers">{body}</section>
            {more}
        };
        ui::shell(&frame, Place::Servers, vec![(None, "Mail servers".to_owned())], content)
    }))
}

fn table(frame: &Frame, servers: &[Server], base: &str) -> AnyView {
    let rows = servers
        .iter()
        .map(|server| {
            let ports = server
                .monitors
                .iter()
                .map(|monitor| {
                    let port = monitor.target.rsplit(':').next().unwrap_or_default().to_owned();
                    let kind = if monitor.paused { waypost_types::outcome::Status::None } else { monitor.state.into() };
                    view! { <span class="nowrap">{ui::status(kind, &port)}<span class="vh">{format!(": {}", ui::state_word(monitor.state, monitor.last_checked_at.is_some(), monitor.paused))}</span>" "</span> }
                })
                .collect_view();
            let source = if server.source == Source::Mx { "from an MX record" } else { "added by hand" };
            view! {
                <tr>
                    <th scope="row"><a class="plain" href=format!("{base}/servers/{}", server.id)>{ui::breakable(&server.display)}</a>{ui::ascii_form(&server.display, &server.host)}<span class="sub">{source}{server.role.map(|role| format!(", {}", role_word(role)))}</span>{ui::tags(&server.tags, &format!("{base}/servers"))}</th>
                    <td data-label="State">{ui::state_status(server.state, server.last_checked_at.is_some())}{ui::open_incidents(&server.monitors, base)}{ui::maintenance_mark(frame, Watched { server: Some(server.id), tags: &server.tags, ..Watched::default() })}</td>
                    <td data-label="Ports"><span class="row">{ports}</span></td>
                    <td class="num" data-label="Last check">{ui::when(server.last_checked_at)}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-wrap" tabindex="0" role="region" aria-label="Mail servers, table">
            <table class="table fold">
                <caption class="vh">"Mail servers"</caption>
                <thead><tr><th scope="col">"Host"</th><th scope="col">"State"</th><th scope="col">"Ports"</th><th scope="col" class="num">"Last check"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// What a server is for, for people.
const fn role_word(role: ServerRole) -> &'static str {
    match role {
        ServerRole::Originating => "originating",
        ServerRole::Relay => "relay",
        ServerRole::Gateway => "gateway",
        ServerRole::Delivery => "delivery",
    }
}

const LEAST_SIZE: &str = "least_size_mb";

/// The fields that only a server has.
fn extra(server: &Server, typed: &Fields, failure: Option<&ApiFailure>) -> AnyView {
    let written = server.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let ports = typed.given("ports").map_or(written, str::to_owned);
    let chosen = typed.given("role").unwrap_or_else(|| server.role.map_or("", ServerRole::as_str)).to_owned();
    let least = server.least_size_mb.map(|mb| mb.to_string()).unwrap_or_default();
    let options = ServerRole::ALL
        .into_iter()
        .map(|role| view! { <option value=role.as_str() selected=role.as_str() == chosen>{text::sentence(role_word(role))}</option> })
        .collect_view();
    view! {
        <div class="field"><label for="f-ports">"Ports"</label><input class="input" id="f-ports" name="ports" value=ports autocomplete="off"/></div>
        <div class="field"><label for="f-role">"Role"</label><select class="select" id="f-role" name="role"><option value="">"Not said"</option>{options}</select></div>
        {Form::new(typed, failure, &[LEAST_SIZE]).maybe(LEAST_SIZE, "Takes messages of at least, MB", &least, "A port whose SIZE limit is smaller is degraded. Empty: a limit below 10.5 MB is remarked.")}
        {ui::tags_field(&server.tags, typed, failure)}
    }
    .into_any()
}

/// Megabytes as they are typed, with the unit or without; `None` where nothing is.
fn least_size_of(text: &str) -> Result<Option<u32>, ApiFailure> {
    let lower = text.to_ascii_lowercase();
    let number = lower.strip_suffix("mb").unwrap_or(&lower).trim();
    if number.is_empty() {
        return Ok(None);
    }
    number
        .parse()
        .map(Some)
        .map_err(|_| ApiFailure::field(LEAST_SIZE, format!("“{text}” is no number of megabytes: write a whole number such as 25.")))
}

/// Ports as they are typed, with commas or spaces between; `None` where nothing is.
fn ports_of(text: &str) -> Result<Option<Vec<u16>>, ApiFailure> {
    let number =
        |part: &str| part.parse().map_err(|_| ApiFailure::field("ports", format!("“{part}” is no port: write numbers such as 25, 465, 587.")));
    let ports = text.split([',', ' ']).filter(|part| !part.is_empty()).map(number).collect::<Result<Vec<u16>, _>>()?;
    Ok((!ports.is_empty()).then_some(ports))
}

pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let added = match ports_of(fields.text("ports")) {
        Ok(ports) => {
            visit
                .api
                .post::<Server>(&org_path(&org, "servers"), &NewServer { host: fields.text("host").to_owned(), ports, least_size_mb: None })
                .await
        }
        Err(failure) => Err(failure),
    };
    match added {
        Ok(server) => Ok(redirect(&format!("/o/{}/servers/{}", text::encoded(&org), server.id))),
        Err(failure) if failure.is_input() => super::add::again(&visit, &org, &fields, &failure, "host").await,
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn show(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    draw(&visit, &org, &id, &Fields::empty(), None, None).await
}

/// What is missing of a port leaves a gap on the page, not an error page.
async fn load(visit: &Visit, org: &str, monitor: MonitorId, period: ui::Period) -> (MonitorId, Port) {
    let base = org_path(org, &format!("monitors/{monitor}"));
    let (outcome, days, timings, results) = (
        format!("{base}/outcome"),
        format!("{base}/rollups?by=day&hours=720"),
        format!("{base}/timings?hours={}", period.hours()),
        format!("{base}/results?limit=10"),
    );
    let (outcome, days, timings, results) = tokio::join!(
        visit.api.get::<Outcome>(&outcome),
        visit.api.get::<List<RollupPoint>>(&days),
        visit.api.get::<Timings>(&timings),
        visit.api.get::<List<CheckResult>>(&results),
    );
    let points = |list: Result<List<RollupPoint>, ApiFailure>| {
        let mut points = list.map(|list| list.items).unwrap_or_default();
        points.sort_by_key(|point| point.at);
        points
    };
    let port = Port { outcome: outcome.ok(), days: points(days), timings: timings.ok(), results: results.map(|list| list.items).unwrap_or_default() };
    (monitor, port)
}

async fn draw(visit: &Visit, org: &str, id: &str, typed: &Fields, failure: Option<&ApiFailure>, of_login: Option<login::Refused<'_>>) -> Answer {
    let path = target(org, id).api("");
    let cursor = visit.query().remove("history");
    let period = ui::Period::asked(&visit.query());
    let history = target(org, id).api(&ui::history_query(cursor.as_deref()));
    let login = target(org, id).api("/login");
    let (needed, history, login) = tokio::join!(
        async { tokio::try_join!(visit.frame(org), visit.api.get::<Server>(&path)) },
        visit.api.get::<List<ServerEvent>>(&history),
        visit.api.get::<ServerLogin>(&login)
    );
    let ((frame, server), history, login) = (needed?, history.ok(), login.ok());
    let monitors: Vec<MonitorId> = server.monitors.iter().map(|monitor| monitor.id).collect();
    let ports: BTreeMap<MonitorId, Port> =
        stream::iter(monitors).map(|id| load(visit, org, id, period)).buffer_unordered(PORTS_AT_ONCE).collect().await;
    Ok(page(visit, settings::status(failure.or(of_login.map(|refused| refused.failure))), &server.display.clone(), || {
        let root = format!("/o/{}", text::encoded(org));
        let base = target(org, id).page();
        let sub = view! { {ui::ascii_note(&server.display, &server.host)}{match server.last_checked_at { Some(at) => view! { "Last probe "{ui::time(at)}"." }.into_any(), None => "Not probed yet.".into_any() }} };
        let crumbs = vec![(Some(format!("{root}/servers")), "Mail servers".to_owned()), (None, server.display.clone())];
        let shown = Shown {
            base: base.clone(),
            kind: MonitorKind::Smtp,
            version: server.version,
            monitors: &server.monitors,
            name: &server.display,
            note: (server.source == Source::Mx).then_some(FOUND_AGAIN),
            typed,
            failure,
        };
        let paused = settings::is_paused(&server.monitors);
        let state = ui::state_badge(server.state, server.last_checked_at.is_some(), paused);
        let tiles = server.monitors.iter().map(|monitor| port::tile(monitor, ports.get(&monitor.id), &root)).collect_view();
        let details = server.monitors.iter().map(|monitor| port::detail(monitor, ports.get(&monitor.id), &root, (&base, period))).collect_view();
        let changes = ui::HistoryShown { events: history.as_ref(), older: cursor.is_some(), since: server.created_at, base: &base };
        let content = view! {
            {settings::notice(visit, &server.monitors, failure)}
            {ui::maintenance_line(&frame, Watched { server: Some(server.id), tags: &server.tags, ..Watched::default() }, &server.monitors)}
            {ui::head(&server.display, Some(state), sub, settings::check_button(visit, &frame, &base, &server.monitors))}
            <section aria-labelledby="h-p" data-live="ports"><h2 class="vh" id="h-p">"Ports"</h2><div class="grid">{tiles}</div></section>
            {details}
            {ui::server_history(&changes)}
            {login::card(&frame, &server, login.as_ref(), &base, of_login)}
            {settings::card(&frame, &shown, Some(extra(&server, typed, failure)))}
        };
        ui::shell(&frame, Place::Servers, crumbs, content)
    }))
}

const fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "servers" }
}

pub(crate) async fn check(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    settings::check(&visit, &target(&org, &id)).await
}

pub(crate) async fn change(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    let mut patch = settings::patch_of(&fields);
    match (ports_of(fields.text("ports")), patch.as_object_mut()) {
        (Ok(Some(ports)), Some(object)) => drop(object.insert("ports".to_owned(), serde_json::json!(ports))),
        (Err(failure), _) => return draw(&visit, &org, &id, &fields, Some(&failure), None).await,
        _ => {}
    }
    if let (Some(role), Some(object)) = (fields.given("role"), patch.as_object_mut()) {
        object.insert("role".to_owned(), if role.is_empty() { serde_json::Value::Null } else { role.into() });
    }
    match (fields.given(LEAST_SIZE).map(|text| least_size_of(text.trim())), patch.as_object_mut()) {
        (Some(Ok(least)), Some(object)) => drop(object.insert(LEAST_SIZE.to_owned(), serde_json::json!(least))),
        (Some(Err(failure)), _) => return draw(&visit, &org, &id, &fields, Some(&failure), None).await,
        _ => {}
    }
    match settings::change(&visit, &target(&org, &id), fields.version(), &patch).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, &org, &id, &fields, Some(&failure), None).await,
    }
}

pub(crate) async fn remove(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    match settings::remove(&visit, &target(&org, &id), fields.version()).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, &org, &id, &fields, Some(&failure), None).await,
    }
}
