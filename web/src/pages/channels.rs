//! Where an organisation is told of incidents: its channels, and a form for another one.

pub(crate) mod channel;
pub(crate) mod slack;

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use serde_json::json;
use waypost_types::{
    channel::{Channel, ChannelKind, MadeChannel},
    incident::IncidentSeverity,
    outcome::Status,
    page::List,
    slack::SlackState,
};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

const SEVERITIES: [IncidentSeverity; 3] = [IncidentSeverity::Critical, IncidentSeverity::Warning, IncidentSeverity::Info];

/// What the page says beside the list.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    fields: Option<&'a Fields>,
    failure: Option<&'a ApiFailure>,
    /// Shown in the answer to the form and nowhere again.
    key: Option<&'a str>,
}

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, Said::default()).await
}

/// Adds a channel.
pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let given = |name: &str| Some(fields.text(name)).filter(|text| !text.is_empty());
    let new = json!({
        "name": fields.text("name"),
        "kind": fields.text("kind"),
        "url": given("url"),
        "token": given("token"),
        "min_severity": fields.text("min_severity"),
    });
    match visit.api.post::<MadeChannel>(&org_path(&org, "channels"), &new).await {
        Ok(MadeChannel { signing_key: Some(key), .. }) => draw(&visit, &org, Said { key: Some(&key), ..Said::default() }).await,
        Ok(_) => Ok(redirect(&format!("{}?saved=added", home(&org)))),
        Err(failure) if failure.is_input() => draw(&visit, &org, Said { fields: Some(&fields), failure: Some(&failure), key: None }).await,
        Err(failure) => Err(failure),
    }
}

fn home(org: &str) -> String {
    format!("/o/{}/channels", text::encoded(org))
}

async fn draw(visit: &Visit, org: &str, said: Said<'_>) -> Answer {
    let (path, app) = (org_path(org, "channels"), org_path(org, "slack"));
    let (frame, channels, app) = tokio::try_join!(visit.frame(org), visit.api.get::<List<Channel>>(&path), visit.api.get::<SlackState>(&app))?;
    let status = said.failure.map_or(StatusCode::OK, |_| settings::status(said.failure));
    Ok(page(visit, status, "Channels", || {
        let base = home(org);
        let gate = Gate::manage(&frame, "channels");
        let routes = format!("/o/{}/routes", text::encoded(org));
        let sub = view! { "Where incidents are told beside mail: when they open, get better or worse, and end. Which are told when, and who is told next, is decided by "<a href=routes>"routes"</a>"." };
        let content = view! {
            {notice(visit, said)}
            {ui::head("Channels", None, sub, ())}
            {gate.hint()}
            {table(&gate, &channels.items, &base)}
            {slack::card(&gate, &app, &base)}
            {form(&gate, &base, said)}
        };
        ui::shell(&frame, Place::Channels, vec![(None, "Channels".to_owned())], content)
    }))
}

fn notice(visit: &Visit, said: Said<'_>) -> Option<AnyView> {
    if let Some(key) = said.key {
        return Some(shown_key("The webhook is added. Check its signatures with this key, which is shown now and never again.", key));
    }
    if let Some(failure) = said.failure {
        // The form says it beside its fields.
        let words = failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone());
        let banner = || view! { <div class="banner" role="alert" data-status="bad">{icon("bad")}<div>{words}</div></div> }.into_any();
        return said.fields.is_none().then(banner);
    }
    let words = match visit.query().get("saved").map(String::as_str) {
        Some("added") => "The channel is added. Send a test to see that it works.",
        Some("removed") => "The channel is removed.",
        Some("forgotten") => "Slack is disconnected. The app itself is removed in Slack, under Apps.",
        Some("not-added") => "The app was not added: somebody said no on Slack’s page.",
        _ => return None,
    };
    Some(view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>{words}</div></div> }.into_any())
}

/// A key that this page shows and none after it.
fn shown_key(words: &str, key: &str) -> AnyView {
    let (words, key) = (words.to_owned(), key.to_owned());
    view! {
        <div class="banner" role="status" data-status="ok">
            {icon("ok")}
            <div><p>{words}</p><code class="mono wrap-any" id="signing-key">{key}</code></div>
            {ui::copied("signing-key".to_owned(), "the key".to_owned())}
        </div>
    }
    .into_any()
}

const fn word(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Webhook => "Webhook",
        ChannelKind::Slack => "Slack, incoming webhook",
        ChannelKind::SlackApp => "Slack",
        ChannelKind::Teams => "Microsoft Teams",
        ChannelKind::Discord => "Discord",
        ChannelKind::Pagerduty => "PagerDuty",
        ChannelKind::Ntfy => "ntfy",
    }
}

const fn hears(severity: IncidentSeverity) -> &'static str {
    match severity {
        IncidentSeverity::Critical => "Critical incidents only",
        IncidentSeverity::Warning => "Warnings and worse",
        IncidentSeverity::Info => "Every incident",
    }
}

fn table(gate: &Gate, channels: &[Channel], base: &str) -> AnyView {
    if channels.is_empty() {
        return view! { <section class="card" aria-labelledby="h-channels"><div class="empty">{icon("bell")}<h2 id="h-channels">"No channels yet"</h2><p>"Members are told by mail. A channel tells a chat, a pager or a program of yours too."</p></div></section> }.into_any();
    }
    let rows = channels.iter().map(|channel| row(gate, channel, base)).collect_view();
    view! {
        <section class="card" aria-labelledby="h-channels">
            <div class="card-head"><h2 id="h-channels">"Channels"</h2></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Channels, table">
                <table class="table fold">
                    <caption class="vh">"Channels"</caption>
                    <thead><tr><th scope="col">"Channel"</th><th scope="col">"Hears of"</th><th scope="col">"State"</th><th scope="col"><span class="vh">"Actions"</span></th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn row(gate: &Gate, channel: &Channel, base: &str) -> AnyView {
    let at = format!("{base}/{}", channel.id);
    let state = match (&channel.broken, channel.enabled) {
        (_, false) => ui::status(Status::None, "Off"),
        (Some(_), true) => ui::status(Status::Bad, "Not let in"),
        (None, true) => ui::status(Status::Ok, "On"),
    };
    let send = view! { "Send a test"<span class="vh">{format!(" to {}", channel.name)}</span> };
    view! {
        <tr>
            <th scope="row"><a class="plain" href=at.clone()>{channel.name.clone()}</a><span class="sub">{word(channel.kind)}" "<span class="mono wrap-any">{channel.shown.clone()}</span></span></th>
            <td data-label="Hears of">{hears(channel.min_severity)}</td>
            <td data-label="State">{state}</td>
            <td class="num">{gate.form("", format!("{at}/test"), (), Button::new("btn btn-sm", send))}</td>
        </tr>
    }
    .into_any()
}

fn form(gate: &Gate, base: &str, said: Said<'_>) -> AnyView {
    let empty = Fields::empty();
    let fields = said.fields.unwrap_or(&empty);
    let failure = said.failure.filter(|_| said.fields.is_some());
    let form = Form::new(fields, failure, &["name", "url", "token"]);
    let kinds = ChannelKind::ALL
        .iter()
        .filter(|kind| **kind != ChannelKind::SlackApp)
        .map(|kind| view! { <option value=kind.as_str() selected=kind.as_str() == fields.text("kind")>{word(*kind)}</option> })
        .collect_view();
    let chosen = Some(fields.text("min_severity")).filter(|text| !text.is_empty()).unwrap_or(IncidentSeverity::Warning.as_str());
    let inputs = view! {
        {form.said()}
        {form.input("name", "Name", "text", "off", "What pages and timelines call it.")}
        <div class="field"><label for="f-kind">"Kind"</label><select class="select" id="f-kind" name="kind">{kinds}</select></div>
        {form.optional("url", "Address", "", "The https: address that the other side gave; the topic's for ntfy. PagerDuty needs none.")}
        {form.secret("token", "Key or token", "PagerDuty's integration key, or an access token of the ntfy server. The others need none.")}
        {severity_field(chosen)}
    };
    view! {
        <section class="card" aria-labelledby="h-add">
            <div class="card-head"><h2 id="h-add">"Add a channel"</h2></div>
            <p class="card-body sm soft">"Addresses and keys are kept sealed and never shown again."</p>
            {gate.form("card-body stack narrow-form", base.to_owned(), inputs, Button::new("btn btn-primary", "Add the channel"))}
        </section>
    }
    .into_any()
}

/// The choice of what a channel hears of.
fn severity_field(chosen: &str) -> AnyView {
    let severities = SEVERITIES
        .into_iter()
        .map(|severity| view! { <option value=severity.as_str() selected=severity.as_str() == chosen>{hears(severity)}</option> })
        .collect_view();
    view! { <div class="field"><label for="f-min_severity">"Hears of"</label><select class="select" id="f-min_severity" name="min_severity">{severities}</select></div> }
        .into_any()
}
