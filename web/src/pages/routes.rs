//! Who is told of which incidents: the routes in plain sentences, what none of them is for, who would be told of an incident that there might be,
//! and a form for another route.

mod form;
pub(crate) mod route;
mod words;

use axum::extract::Path;
use chrono::{DateTime, NaiveDateTime, Utc};
use leptos::prelude::*;
use waypost_types::{
    channel::Channel,
    incident::IncidentSeverity,
    org_settings::OrgSettings,
    outcome::Status,
    page::List,
    route::{Decision, Hold, NewRoute, Route, When, gaps},
    tag::TagUse,
    zone::Zone,
};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Gate, Place, icon},
};

const LOCAL: &str = "%Y-%m-%dT%H:%M";

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, &Fields::empty(), None).await
}

/// Adds a route.
pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let made = match form::body_of(&fields, false) {
        Ok(new) => visit.api.post::<Route>(&org_path(&org, "routes"), &new).await,
        Err(failure) => Err(failure),
    };
    match made {
        Ok(_) => Ok(redirect(&format!("{}?saved=added", home(&org)))),
        Err(failure) if failure.is_input() => draw(&visit, &org, &fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

/// Makes a route of what happens without any.
pub(crate) async fn everybody(visit: Visit, Path(org): Path<String>) -> Answer {
    visit.api.post::<Route>(&org_path(&org, "routes"), &NewRoute::of_everybody()).await?;
    Ok(redirect(&format!("{}?saved=added", home(&org))))
}

fn home(org: &str) -> String {
    format!("/o/{}/routes", text::encoded(org))
}

/// The incident that the page is asked about.
struct Question {
    severity: IncidentSeverity,
    tag: String,
    at: DateTime<Utc>,
}

impl Question {
    fn of(visit: &Visit, zone: Zone) -> Self {
        let query = visit.query();
        let given = |name: &str| query.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        let at = NaiveDateTime::parse_from_str(&given("at"), LOCAL).map_or_else(|_| Utc::now(), |local| zone.instant(local));
        Self { severity: given("severity").parse().unwrap_or(IncidentSeverity::Critical), tag: given("tag"), at }
    }

    fn path(&self, org: &str) -> String {
        let at = self.at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        org_path(org, &format!("routes/preview?severity={}&tag={}&at={}", self.severity.as_str(), text::encoded(&self.tag), text::encoded(&at)))
    }
}

async fn draw(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let (routes, channels, zone) = (org_path(org, "routes"), org_path(org, "channels"), org_path(org, "settings"));
    let tags = org_path(org, "tags");
    let (needed, used) = tokio::join!(
        async {
            tokio::try_join!(
                visit.frame(org),
                visit.api.get::<List<Route>>(&routes),
                visit.api.get::<List<Channel>>(&channels),
                visit.api.get::<OrgSettings>(&zone)
            )
        },
        visit.api.get::<List<TagUse>>(&tags)
    );
    let ((frame, routes, channels, zone), used) = (needed?, used.ok().map(|list| list.items));
    let question = Question::of(visit, zone.time_zone);
    let decision = visit.api.get::<Decision>(&question.path(org)).await?;
    Ok(page(visit, settings::status(failure), "Routes", || {
        let (base, channels, routes) = (home(org), &channels.items, &routes.items);
        let gate = Gate::manage(&frame, "routes");
        let sub = "Who is told of which incidents and when, and who is told next while nobody acknowledges.";
        let inputs = form::inputs(fields, failure, None, channels, &zone.time_zone.to_string());
        let content = view! {
            {notice(visit, failure)}
            {ui::head("Routes", None, sub, ())}
            {gate.hint()}
            {if routes.is_empty() { none_yet(&gate, &base) } else { table(&gate, routes, channels, &base) }}
            {uncovered(routes, channels, used.as_deref())}
            {preview(&question, &decision, zone.time_zone, routes, channels, &base)}
            <section class="card" aria-labelledby="h-add">
                <div class="card-head"><h2 id="h-add">"Add a route"</h2></div>
                {gate.form("card-body stack route-form", base.clone(), inputs, Button::new("btn btn-primary", "Add the route"))}
            </section>
        };
        ui::shell(&frame, Place::Routes, vec![(None, "Routes".to_owned())], content)
    }))
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let words = match visit.query().get("saved").map(String::as_str) {
        // The form says it beside its fields.
        _ if failure.is_some() => return None,
        Some("added") => "The route is added. It counts for what happens from now on.",
        Some("removed") => "The route is removed.",
        _ => return None,
    };
    Some(view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>{words}</div></div> }.into_any())
}

fn none_yet(gate: &Gate, base: &str) -> AnyView {
    let make = gate.form("", format!("{base}/custom"), (), Button::new("btn", "Make a route of it"));
    view! {
        <section class="card" aria-labelledby="h-routes">
            <div class="empty">
                {icon("branch")}
                <h2 id="h-routes">"Without routes everybody is told"</h2>
                <p>"Every incident is mailed to all members at once, and told to each channel that wants to hear of something that urgent. With the first route that ends: then only routes tell. Begin with one that does the same, and change it as you like."</p>
                {make}
            </div>
        </section>
    }
    .into_any()
}

fn table(gate: &Gate, routes: &[Route], channels: &[Channel], base: &str) -> AnyView {
    let rows = routes.iter().enumerate().map(|(place, route)| row(gate, place, route, channels, base)).collect_view();
    view! {
        <section class="card" aria-labelledby="h-routes">
            <div class="card-head"><h2 id="h-routes">"Routes"</h2><span class="meta">"All that match tell, each receiver once; their order is for you alone"</span></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Routes, table">
                <table class="table fold">
                    <caption class="vh">"Routes"</caption>
                    <thead><tr><th scope="col">"Route"</th><th scope="col">"State"</th><th scope="col"><span class="vh">"Actions"</span></th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn row(gate: &Gate, place: usize, route: &Route, channels: &[Channel], base: &str) -> AnyView {
    let at = format!("{base}/{}", route.id);
    let state = if route.enabled { ui::status(Status::Ok, "On") } else { ui::status(Status::None, "Off") };
    let up = view! { {icon("up-arrow")}<span class="vh">{format!("Move {} up", route.name)}</span> };
    let up = (place > 0).then(|| gate.form("", format!("{at}/move"), (), Button::new("btn btn-sm btn-icon", up)));
    view! {
        <tr>
            <th scope="row"><a class="plain wrap-any" href=at.clone()>{route.name.clone()}</a><span class="sub">{words::sentences(route, channels)}</span></th>
            <td data-label="State">{state}</td>
            <td class="num">{up}</td>
        </tr>
    }
    .into_any()
}

/// What no route is for, channels that hear nothing, and what of a route can not be.
fn uncovered(routes: &[Route], channels: &[Channel], used: Option<&[TagUse]>) -> Option<AnyView> {
    if routes.is_empty() {
        return None;
    }
    let told = |channel: &Channel| {
        let tells = |route: &Route| {
            std::iter::once(&route.tells)
                .chain(route.steps.iter().map(|step| &step.tells))
                .any(|tells| tells.every_channel || tells.channels.contains(&channel.id))
        };
        routes.iter().any(tells)
    };
    let deaf =
        channels.iter().filter(|channel| channel.enabled && !told(channel)).map(|channel| format!("No route tells the channel {}.", channel.name));
    let on = || routes.iter().filter(|route| route.enabled);
    let keeps_nothing = on().filter(|route| route.hold != Hold::Nothing && !route.hold.keeps_any(route.min_severity)).map(|route| {
        format!("The route “{}” keeps nothing for later: it is for nothing that may wait, since what is critical never does.", route.name)
    });
    let unused = on().filter_map(|route| {
        let said = ui::unused_tags(&route.tags, used?).filter(|_| route.tags.len() == 1)?;
        Some(format!("The route “{}” is for nothing: {}", route.name, said.replacen("Nothing", "nothing", 1)))
    });
    let said: Vec<String> = gaps(routes).iter().map(words::gap).chain(deaf).chain(keeps_nothing).chain(unused).collect();
    let lines = said.iter().map(|line| view! { <p>{line.clone()}</p> }).collect_view();
    (!said.is_empty()).then(|| view! { <div class="banner" role="status" data-status="warn">{icon("warn")}<div>{lines}</div></div> }.into_any())
}

fn preview(question: &Question, decision: &Decision, zone: Zone, routes: &[Route], channels: &[Channel], base: &str) -> AnyView {
    let severities = [IncidentSeverity::Critical, IncidentSeverity::Warning, IncidentSeverity::Info]
        .into_iter()
        .map(|severity| view! { <option value=severity.as_str() selected=severity == question.severity>{severity.word()}</option> })
        .collect_view();
    let at = zone.local(question.at).format(LOCAL).to_string();
    let lines = answers(decision, zone, routes, channels).into_iter().map(|line| view! { <li>{line}</li> }).collect_view();
    view! {
        <section class="card" aria-labelledby="h-ask">
            <div class="card-head"><h2 id="h-ask">"Who would be told"</h2></div>
            <form class="card-body inline-form" method="get" action=base.to_owned()>
                <div class="field"><label for="q-severity">"An incident that is"</label><select class="select" id="q-severity" name="severity">{severities}</select></div>
                <div class="field"><label for="q-tag">"about what is tagged"</label><input class="input" id="q-tag" type="text" name="tag" value=question.tag.clone() autocomplete="off" spellcheck="false"/></div>
                <div class="field"><label for="q-at">{format!("at ({zone})")}</label><input class="input" id="q-at" type="datetime-local" name="at" value=at/></div>
                <button class="btn" type="submit">"Show"</button>
            </form>
            <ul class="card-body stack">{lines}</ul>
        </section>
    }
    .into_any()
}

/// Who is told when, a line each.
fn answers(decision: &Decision, zone: Zone, routes: &[Route], channels: &[Channel]) -> Vec<String> {
    if decision.is_silent() {
        return vec!["Nobody is told.".to_owned()];
    }
    let at = |when: When| match when {
        When::Now => "at once".to_owned(),
        When::Held { until } => format!("with what else waits until {}", zone.words(until)),
    };
    let members = decision.members.map(|when| format!("All members by mail, {}.", at(when)));
    let name = |id| channels.iter().find(|channel: &&Channel| channel.id == id).map(|channel| channel.name.clone()).unwrap_or_default();
    let told = decision.channels.iter().map(|told| format!("{}, {}.", name(told.channel), at(told.at)));
    let follows = decision.follow_ups.iter().filter_map(|follow_up| {
        let route = routes.iter().find(|route| route.id == follow_up.route)?;
        let when = zone.words(follow_up.due_at);
        Some(match usize::from(follow_up.step).checked_sub(1) {
            None => format!("Unacknowledged on {when}: the route “{}” reminds whom it told.", route.name),
            Some(index) => format!("Unacknowledged on {when}: {}.", words::receivers(&route.steps.get(index)?.tells, channels)),
        })
    });
    members.into_iter().chain(told).chain(follows).collect()
}
