//! Where an organisation is told of incidents: its channels, a form for another one, a test that shows what the other side answered.

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use serde_json::json;
use waypost_types::{
    channel::{Channel, ChannelKind, Delivery, DeliveryResult, MadeChannel},
    incident::IncidentSeverity,
    outcome::Status,
    page::List,
};

use super::settings::{self, Target};
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

/// Switches a channel on or off.
pub(crate) async fn change(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let body = json!({ "enabled": fields.text("enabled") == "true" });
    settled(visit.api.patch(&target(&org, fields.text("id")).api(""), fields.version(), &body).await, &visit, &org, "changed").await
}

/// Removes a channel.
pub(crate) async fn remove(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    settled(visit.api.delete(&target(&org, fields.text("id")).api(""), fields.version()).await, &visit, &org, "removed").await
}

/// Sends a test; the page then shows what is kept of it.
pub(crate) async fn test(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let id = fields.text("id");
    visit.api.act(&target(&org, id).api("/test"), &json!({})).await?;
    Ok(redirect(&format!("{}?tested={}", home(&org), text::encoded(id))))
}

async fn settled(done: Result<(), ApiFailure>, visit: &Visit, org: &str, saved: &str) -> Answer {
    match done {
        Ok(()) => Ok(redirect(&format!("{}?saved={saved}", home(org)))),
        Err(failure) if failure.status == 412 => draw(visit, org, Said { failure: Some(&failure), ..Said::default() }).await,
        Err(failure) => Err(failure),
    }
}

fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "channels" }
}

fn home(org: &str) -> String {
    format!("/o/{}/channels", text::encoded(org))
}

async fn draw(visit: &Visit, org: &str, said: Said<'_>) -> Answer {
    let path = org_path(org, "channels");
    let (frame, channels) = tokio::try_join!(visit.frame(org), visit.api.get::<List<Channel>>(&path))?;
    let tested = visit.query().remove("tested");
    let tested = tested.and_then(|id| channels.items.iter().find(|channel| channel.id.to_string() == id));
    let latest = match tested {
        Some(channel) => {
            let kept = visit.api.get::<List<Delivery>>(&target(org, &channel.id.to_string()).api("/deliveries")).await?;
            kept.items.into_iter().next().map(|delivery| (channel.name.clone(), delivery))
        }
        None => None,
    };
    let status = said.failure.map_or(StatusCode::OK, |_| settings::status(said.failure));
    Ok(page(visit, status, "Channels", || {
        let base = home(org);
        let gate = Gate::manage(&frame, "channels");
        let sub = "Where incidents are told beside mail: when they open, get better or worse, and end.";
        let content = view! {
            {notice(visit, said, latest.as_ref())}
            {ui::head("Channels", None, sub, ())}
            {gate.hint()}
            {table(&gate, &channels.items, &base)}
            {form(&gate, &base, said)}
        };
        ui::shell(&frame, Place::Channels, vec![(None, "Channels".to_owned())], content)
    }))
}

fn notice(visit: &Visit, said: Said<'_>, tested: Option<&(String, Delivery)>) -> Option<AnyView> {
    let (kind, role, words) = match (said, tested) {
        (Said { key: Some(key), .. }, _) => {
            let key = view! { <code class="mono wrap-any">{key.to_owned()}</code> };
            let words = view! { "The webhook is added. Check its signatures with this key, which is shown now and never again: "{key} };
            ("ok", "status", words.into_any())
        }
        (Said { failure: Some(failure), .. }, _) if failure.status == 412 => {
            ("warn", "alert", "Somebody else changed the channel in the meantime, so nothing was done. Look at it and try again.".into_any())
        }
        (Said { failure: Some(_), .. }, _) => return None,
        (_, Some((name, delivery))) if delivery.result == DeliveryResult::Sent => {
            ("ok", "status", format!("{name} took the message in {} ms: {}", delivery.took_ms, delivery.answer).into_any())
        }
        (_, Some((name, delivery))) => ("bad", "alert", format!("{name} did not take the message: {}", delivery.answer).into_any()),
        _ => {
            let words = match visit.query().get("saved").map(String::as_str) {
                Some("added") => "The channel is added. Send a test to see that it works.",
                Some("changed") => "The change is saved.",
                Some("removed") => "The channel is removed.",
                _ => return None,
            };
            ("ok", "status", words.into_any())
        }
    };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}

const fn word(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Webhook => "Webhook",
        ChannelKind::Slack => "Slack",
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
        return view! { <section class="card"><div class="empty">{icon("bell")}<h3>"No channels yet"</h3><p>"Members are told by mail. A channel tells a chat, a pager or a program of yours too."</p></div></section> }.into_any();
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
    let about = || view! { <input type="hidden" name="id" value=channel.id.to_string()/><input type="hidden" name="version" value=channel.version.to_string()/> };
    let named = |word: &'static str| view! { {word}<span class="vh">{format!(" {}", channel.name)}</span> };
    let (state, turn, value) =
        if channel.enabled { (ui::status(Status::Ok, "On"), "Switch off", "false") } else { (ui::status(Status::None, "Off"), "Switch on", "true") };
    let switch = view! { {about()}<input type="hidden" name="enabled" value=value/> };
    view! {
        <tr>
            <th scope="row"><span>{channel.name.clone()}<span class="sub">{word(channel.kind)}" "<span class="mono wrap-any">{channel.shown.clone()}</span></span></span></th>
            <td data-label="Hears of">{hears(channel.min_severity)}</td>
            <td data-label="State">{state}</td>
            <td data-label="">
                <div class="row">
                    {gate.form("", format!("{base}/test"), about(), Button::new("btn btn-sm", named("Send a test to")))}
                    {gate.form("", format!("{base}/settings"), switch, Button::new("btn btn-sm", named(turn)))}
                    {gate.form("", format!("{base}/delete"), about(), Button::new("btn btn-sm", named("Remove")))}
                </div>
            </td>
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
        .map(|kind| view! { <option value=kind.as_str() selected=kind.as_str() == fields.text("kind")>{word(*kind)}</option> })
        .collect_view();
    let chosen = Some(fields.text("min_severity")).filter(|text| !text.is_empty()).unwrap_or(IncidentSeverity::Warning.as_str());
    let severities = SEVERITIES
        .into_iter()
        .map(|severity| view! { <option value=severity.as_str() selected=severity.as_str() == chosen>{hears(severity)}</option> })
        .collect_view();
    let inputs = view! {
        {form.said()}
        {form.input("name", "Name", "text", "off", "What pages and timelines call it.")}
        <div class="field"><label for="f-kind">"Kind"</label><select class="select" id="f-kind" name="kind">{kinds}</select></div>
        {form.optional("url", "Address", "", "The https: address that the other side gave; the topic's for ntfy. PagerDuty needs none.")}
        {form.secret("token", "Key or token", "PagerDuty's integration key, or an access token of the ntfy server. The others need none.")}
        <div class="field"><label for="f-min_severity">"Hears of"</label><select class="select" id="f-min_severity" name="min_severity">{severities}</select></div>
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
