//! One channel: what became of what it was told, its settings, the key of its signatures.

use axum::{extract::Path, http::StatusCode};
use leptos::prelude::*;
use serde_json::{Map, Value, json};
use waypost_types::{
    channel::{Channel, ChannelKind, Delivery, DeliveryResult, EventKind, MadeChannel},
    outcome::Status,
    page::List,
};

use super::{hears, severity_field, shown_key, slack, word};
use crate::{
    api::ApiFailure,
    pages::settings::{self, Target},
    ssr::{Answer, Fields, Visit, page, redirect},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

/// What the page says beside the channel.
#[derive(Clone, Copy, Default)]
struct Said<'a> {
    fields: Option<&'a Fields>,
    failure: Option<&'a ApiFailure>,
    /// Shown in the answer to the form and nowhere again.
    key: Option<&'a MadeChannel>,
}

type Of = Path<(String, String)>;

pub(crate) async fn show(visit: Visit, Path((org, id)): Of) -> Answer {
    draw(&visit, &target(&org, &id), Said::default()).await
}

/// Sends a test; the page then shows what is kept of it.
pub(crate) async fn test(visit: Visit, Path((org, id)): Of) -> Answer {
    let target = target(&org, &id);
    match visit.api.act(&target.api("/test"), &json!({})).await {
        Ok(()) => Ok(redirect(&format!("{}?said=tested", target.page()))),
        Err(failure) => refused(&visit, &target, failure, None).await,
    }
}

/// Changes what is given; an empty address or token stays as it is.
pub(crate) async fn change(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    let mut patch = Map::new();
    for name in ["name", "min_severity", "url", "token"] {
        if let Some(text) = fields.given(name).map(str::trim).filter(|text| !text.is_empty() || name == "name") {
            patch.insert(name.to_owned(), json!(text));
        }
    }
    let said = match fields.text("enabled").parse::<bool>() {
        Ok(on) => {
            patch.insert("enabled".to_owned(), json!(on));
            if on { "on" } else { "off" }
        }
        Err(_) => "saved",
    };
    match visit.api.patch(&target.api(""), fields.version(), &Value::Object(patch)).await {
        Ok(()) => Ok(redirect(&format!("{}?said={said}", target.page()))),
        Err(failure) => refused(&visit, &target, failure, Some(&fields)).await,
    }
}

/// Gives a webhook a new key, which this answer shows.
pub(crate) async fn renew(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    match visit.api.post_seen::<MadeChannel>(&target.api("/key"), fields.version(), &json!({})).await {
        Ok(made) => draw(&visit, &target, Said { key: Some(&made), ..Said::default() }).await,
        Err(failure) => refused(&visit, &target, failure, None).await,
    }
}

/// Removes the channel.
pub(crate) async fn remove(visit: Visit, Path((org, id)): Of, fields: Fields) -> Answer {
    let target = target(&org, &id);
    match visit.api.delete(&target.api(""), fields.version()).await {
        Ok(()) => Ok(redirect(&format!("{}?saved=removed", super::home(&org)))),
        Err(failure) => refused(&visit, &target, failure, None).await,
    }
}

async fn refused(visit: &Visit, target: &Target<'_>, failure: ApiFailure, fields: Option<&Fields>) -> Answer {
    if failure.is_input() || matches!(failure.status, 412 | 429) {
        return draw(visit, target, Said { fields, failure: Some(&failure), key: None }).await;
    }
    Err(failure)
}

fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "channels" }
}

async fn draw(visit: &Visit, target: &Target<'_>, said: Said<'_>) -> Answer {
    let (one, log) = (target.api(""), target.api("/deliveries"));
    let (frame, channel, log) = tokio::try_join!(visit.frame(target.org), visit.api.get::<Channel>(&one), visit.api.get::<List<Delivery>>(&log))?;
    let status = said.failure.map_or(StatusCode::OK, |_| settings::status(said.failure));
    Ok(page(visit, status, &channel.name.clone(), || {
        let base = target.page();
        let gate = Gate::manage(&frame, "channel");
        let badge = match (&channel.broken, channel.enabled) {
            (_, false) => ui::badge(Status::None, "Off"),
            (Some(_), true) => ui::badge(Status::Bad, "Not let in"),
            (None, true) => ui::badge(Status::Ok, "On"),
        };
        let broken = channel.broken.as_deref().map(|why| {
            let to = super::home(target.org);
            view! { <div class="banner" role="alert" data-status="bad">{icon("bad")}<div>{slack::broken(why)}" "<a href=format!("{to}#h-slack")>"To the workspace"</a></div></div> }
        });
        let sub = view! { {word(channel.kind)}" "<span class="mono wrap-any">{channel.shown.clone()}</span>{format!(". Hears of: {}.", hears(channel.min_severity).to_lowercase())} };
        let try_it = gate.form("", format!("{base}/test"), (), Button::new("btn", view! { {icon("play")}"Send a test" }));
        let content = view! {
            {notice(visit, said, log.items.first(), channel.kind == ChannelKind::SlackApp)}
            {ui::head(&channel.name, Some(badge), sub, try_it)}
            {gate.hint()}
            {broken}
            <div class="grid">
                <div class="c8 stack">{told(&log.items, target.org)}</div>
                <aside class="c4 stack" aria-label="Settings">
                    {(channel.kind == ChannelKind::Webhook).then(|| key_card(&gate, &channel, &base))}
                    {settings_card(&gate, &channel, &base, said)}
                </aside>
            </div>
        };
        let crumbs = vec![(Some(super::home(target.org)), "Channels".to_owned()), (None, channel.name.clone())];
        ui::shell(&frame, Place::Channels, crumbs, content)
    }))
}

fn notice(visit: &Visit, said: Said<'_>, newest: Option<&Delivery>, slack: bool) -> Option<AnyView> {
    if let Some(MadeChannel { channel, signing_key: Some(key) }) = said.key {
        let until =
            channel.old_key_until.map(|at| format!(" Until {} messages are signed by the old key too: change over before.", text::minute(at)));
        return Some(shown_key(
            &format!("This is the new key of the signatures. It is shown now and never again.{}", until.unwrap_or_default()),
            key,
        ));
    }
    let (kind, words) = match (said.failure, visit.query().get("said").map(String::as_str), newest) {
        (Some(failure), ..) if failure.status == 412 => {
            ("warn", "Somebody else changed the channel in the meantime, so nothing was done. Look at it and try again.".to_owned())
        }
        // The form says it beside its fields.
        (Some(_), ..) if said.fields.is_some() => return None,
        (Some(failure), ..) => ("bad", failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone())),
        (None, Some("tested"), Some(test)) if test.result == DeliveryResult::Sent => {
            ("ok", format!("It took the test in {} ms and answered: {}", test.took_ms, test.answer))
        }
        (None, Some("tested"), Some(test)) => (
            "bad",
            format!(
                "It did not take the test: {}. {}",
                test.answer.trim_end_matches('.'),
                if slack { "Mend that, then send another." } else { "Compare the address with what the other side gave, then send another." }
            ),
        ),
        (None, Some("saved"), _) => ("ok", "The change is saved.".to_owned()),
        (None, Some("on"), _) => ("ok", "The channel is on: it is told what happens from now on.".to_owned()),
        (None, Some("off"), _) => ("ok", "The channel is off: it is told nothing, and what still waited for it is not sent.".to_owned()),
        _ => return None,
    };
    let role = if kind == "ok" { "status" } else { "alert" };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}

const fn happened(event: EventKind) -> &'static str {
    match event {
        EventKind::Opened => "Incident opened",
        EventKind::Changed => "Incident changed",
        EventKind::Flapping => "Incident flapping",
        EventKind::Resolved => "Incident resolved",
        EventKind::LetGo => "Incident closed",
        EventKind::Handled => "Message brought up to date",
        EventKind::Escalated => "Incident escalated",
        EventKind::Reminded => "Reminder",
        EventKind::Digest => "Digest",
        EventKind::Test => "Test",
    }
}

fn told(log: &[Delivery], org: &str) -> AnyView {
    let body = if log.is_empty() {
        view! { <div class="empty">{icon("bell")}<h3>"Nothing was sent yet"</h3><p>"Send a test to see that it works. Every attempt shows here with what was answered."</p></div> }.into_any()
    } else {
        let rows = log.iter().map(|delivery| attempt(delivery, org)).collect_view();
        view! {
            <div class="table-wrap" tabindex="0" role="region" aria-label="Delivery log, table">
                <table class="table fold">
                    <caption class="vh">"Attempts to tell this channel something, newest first"</caption>
                    <thead><tr><th scope="col">"What"</th><th scope="col">"When"</th><th scope="col">"Result"</th><th scope="col">"Answer"</th><th scope="col" class="num">"Took"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! {
        <section class="card" aria-labelledby="h-log" data-live="log">
            <div class="card-head"><h2 id="h-log">"Delivery log"</h2><span class="meta">"the newest 100 attempts"</span></div>
            {body}
        </section>
    }
    .into_any()
}

fn attempt(delivery: &Delivery, org: &str) -> AnyView {
    let (status, result) = match delivery.result {
        DeliveryResult::Sent => (Status::Ok, "Taken"),
        DeliveryResult::Deferred => (Status::Warn, "Comes again"),
        DeliveryResult::Failed => (Status::Bad, "Not taken"),
    };
    let what = happened(delivery.event);
    let what = match delivery.incident_id {
        Some(id) => view! { <a class="plain" href=format!("/o/{}/incidents/{id}", text::encoded(org))>{what}</a> }.into_any(),
        None => what.into_any(),
    };
    let again = (delivery.attempt > 1).then(|| view! { <span class="sub">{format!("attempt {}", delivery.attempt)}</span> });
    view! {
        <tr>
            <th scope="row">{what}{again}</th>
            <td data-label="When">{ui::time(delivery.at)}</td>
            <td data-label="Result">{ui::status(status, result)}</td>
            <td data-label="Answer" class="wrap-any">{delivery.answer.clone()}</td>
            <td data-label="Took" class="num">{format!("{} ms", delivery.took_ms)}</td>
        </tr>
    }
    .into_any()
}

fn versioned(channel: &Channel) -> AnyView {
    view! { <input type="hidden" name="version" value=channel.version.to_string() data-live="version"/> }.into_any()
}

fn key_card(gate: &Gate, channel: &Channel, base: &str) -> AnyView {
    let old = channel.old_key_until.filter(|at| *at > chrono::Utc::now());
    let old = old.map(|at| view! { <p class="sm">{format!("Until {} messages are signed by the old key too.", text::minute(at))}</p> });
    view! {
        <section class="card" aria-labelledby="h-key">
            <div class="card-head"><h2 id="h-key">"Signing key"</h2></div>
            <div class="card-body stack">
                <p class="sm">"Each message carries a "<span class="mono">"webhook-signature"</span>" as "<a href="https://www.standardwebhooks.com/">"Standard Webhooks"</a>" describes. A new key is shown once; the old one signs too for 24 hours more."</p>
                {old}
                {gate.form("", format!("{base}/key"), versioned(channel), Button::new("btn", "Renew the key"))}
            </div>
        </section>
    }
    .into_any()
}

fn settings_card(gate: &Gate, channel: &Channel, base: &str, said: Said<'_>) -> AnyView {
    let empty = Fields::empty();
    let fields = said.fields.unwrap_or(&empty);
    let failure = said.failure.filter(|failure| said.fields.is_some() && failure.status != 412);
    let form = Form::new(fields, failure, &["name", "url", "token"]);
    let chosen = Some(fields.text("min_severity")).filter(|text| !text.is_empty()).unwrap_or(channel.min_severity.as_str());
    let token = match channel.kind {
        ChannelKind::Pagerduty => Some(form.secret("token", "New integration key", "Leave it empty to keep the current one.")),
        ChannelKind::Ntfy => Some(form.secret("token", "New access token", "Leave it empty to keep the current one.")),
        ChannelKind::Webhook | ChannelKind::Slack | ChannelKind::SlackApp | ChannelKind::Teams | ChannelKind::Discord => None,
    };
    let address = match channel.kind {
        ChannelKind::Pagerduty | ChannelKind::Ntfy => "Leave it empty to keep the current one. A new address needs its key or token again.",
        _ => "Leave it empty to keep the current one.",
    };
    let url = (channel.kind != ChannelKind::SlackApp).then(|| form.optional("url", "New address", "", address));
    let inputs = view! {
        {versioned(channel)}
        {form.said()}
        {form.optional("name", "Name", &channel.name, "")}
        {severity_field(chosen)}
        {url}
        {token}
    };
    let (turn, value) = if channel.enabled { ("Switch off", "false") } else { ("Switch on", "true") };
    let switch = view! { {versioned(channel)}<input type="hidden" name="enabled" value=value/> };
    let remove = view! { {versioned(channel)}<p class="sm">"What waits for it is not sent, and its log is removed. Alerts that it opened elsewhere stay open there."</p> };
    let name = channel.name.clone();
    view! {
        <section class="card" aria-labelledby="h-set">
            <div class="card-head"><h2 id="h-set">"Settings"</h2></div>
            <div class="card-body stack">
                {gate.form("stack", format!("{base}/settings"), inputs, Button::new("btn", "Save"))}
                {gate.form("", format!("{base}/settings"), switch, Button::new("btn", turn))}
                <details id="remove">
                    <summary>{format!("Remove {name}")}</summary>
                    {gate.form("stack mt2", format!("{base}/delete"), remove, Button::new("btn btn-danger btn-name", format!("Remove {name}")))}
                </details>
            </div>
        </section>
    }
    .into_any()
}
