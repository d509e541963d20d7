//! The login that the checks of a mail server try: how it stands, and the forms that store, resume and remove it. What is secret is never shown.

use axum::extract::Path;
use chrono::{TimeDelta, Utc};
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    asset::Server,
    outcome::{LoginOutcome, Status},
    server_login::{MECHANISMS, PortLogin, SecretKind, ServerLogin},
};

use super::{draw, target};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, redirect},
    text,
    ui::{self, Button, Form, Gate, icon},
};

/// What is done with it, said where it is asked for.
const PROMISE: &str = "Waypost logs in at the ports that you choose about every five minutes, in a conversation of its own, and leaves again: it sends no mail. The password is kept sealed and is shown to nobody, masked in transcripts, and sent only under TLS to a certificate that proves the server. After two refusals Waypost stops trying, so that the account does not get locked. Best make an account for this alone.";

/// A check that was asked for when the login was stored is on its way for so long.
const TRIED_WITHIN: TimeDelta = TimeDelta::minutes(2);

/// What was sent and not taken.
#[derive(Clone, Copy)]
pub(super) struct Refused<'a> {
    pub(super) fields: &'a Fields,
    pub(super) failure: &'a ApiFailure,
}

/// Stores a login; without a secret the stored one stays.
pub(crate) async fn set(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    let given = |name: &str| Some(fields.raw(name)).filter(|text| !text.is_empty());
    let ports: Vec<u16> = [25_u16, 465, 587, 2525].into_iter().filter(|port| fields.given(&format!("port_{port}")).is_some()).collect();
    let login = json!({
        "user": fields.text("user"),
        "password": given("password"),
        "token": given("token"),
        "mechanism": given("mechanism"),
        "ports": (!ports.is_empty()).then_some(ports),
        "enabled": fields.text("enabled") != "false",
    });
    let version = (fields.version() > 0).then(|| fields.version());
    let done = visit.api.put(&target(&org, &id).api("/login"), version, &login).await;
    ended(&visit, (&org, &id), &fields, done).await
}

/// Ends a pause.
pub(crate) async fn resume(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    let path = target(&org, &id).api("/login/resume");
    let done = visit.api.post_seen::<Value>(&path, fields.version(), &json!({})).await.map(drop);
    ended(&visit, (&org, &id), &fields, done).await
}

/// Forgets it.
pub(crate) async fn remove(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    let done = visit.api.delete(&target(&org, &id).api("/login"), fields.version()).await;
    ended(&visit, (&org, &id), &fields, done).await
}

async fn ended(visit: &Visit, (org, id): (&str, &str), fields: &Fields, done: Result<(), ApiFailure>) -> Answer {
    match done {
        Ok(()) => Ok(redirect(&format!("{}#login", target(org, id).page()))),
        Err(failure) if failure.is_input() || failure.status == 412 => {
            draw(visit, org, id, &Fields::empty(), None, Some(Refused { fields, failure: &failure })).await
        }
        Err(failure) => Err(failure),
    }
}

/// The card on the page of the server. `login` is `None` where none is stored.
pub(super) fn card(frame: &Frame, server: &Server, login: Option<&ServerLogin>, base: &str, refused: Option<Refused<'_>>) -> AnyView {
    let gate = Gate::manage(frame, "login");
    let empty = Fields::empty();
    let (fields, failure) = refused.map_or((&empty, None), |refused| (refused.fields, Some(refused.failure)));
    let said = failure.map(|failure| {
        let words = failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone());
        view! { <div class="banner" role="alert" data-status="bad">{icon("bad")}<div>{words}</div></div> }
    });
    let stands = login.map(|login| stands(&gate, login, base));
    let word = if login.is_some() { "Change the login" } else { "Store a login" };
    view! {
        <section class="card" id="login" aria-labelledby="h-login" data-live="login">
            <div class="card-head"><h2 id="h-login">"Login"</h2></div>
            <div class="card-body stack">
                {said}
                {stands}
                {gate.hint()}
                <details id="login-form" open=refused.is_some()>
                    <summary>{word}</summary>
                    <p class="sm soft mt2">{PROMISE}</p>
                    {gate.form("stack mt2 login-form", format!("{base}/login"), form(server, login, fields, failure), Button::new("btn", "Store and try it"))}
                </details>
            </div>
        </section>
    }
    .into_any()
}

fn stands(gate: &Gate, login: &ServerLogin, base: &str) -> AnyView {
    let version = login.version.to_string();
    let versioned = || view! { <input type="hidden" name="version" value=version.clone()/> };
    let ports = login.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let secret = if login.secret_kind == SecretKind::Password { "a password" } else { "an OAuth 2.0 token" };
    let how = login.mechanism.clone().unwrap_or_else(|| "the best that is offered".to_owned());
    let paused = login.paused_at.map(|at| {
        view! {
            <div class="banner" data-status="warn">{icon("warn")}<div>
                <p>"Paused since "{ui::time(at)}" after two refusals: no attempt is made. Store the new password below, or resume the login once the server takes it."</p>
                {gate.form("mt2", format!("{base}/login/resume"), versioned(), Button::new("btn", "Resume the login"))}
            </div></div>
        }
    });
    let turned_down = login.last.iter().any(|last| matches!(last.result.outcome, LoginOutcome::Refused | LoginOutcome::Failed));
    let unproven = (turned_down && login.accepted_at.is_none()).then(
        || view! { <p class="sm">"It was not accepted since it was stored, so nobody was told. Once it was, a refusal opens an incident."</p> },
    );
    let last = if login.last.is_empty() {
        let said = match login.enabled {
            true if Utc::now() - login.changed_at < TRIED_WITHIN => "It is tried now; the answer appears here by itself.",
            true => "Not tried yet: the next check tries it.",
            false => "Switched off: it is not tried.",
        };
        view! { <p class="sm muted">{said}</p> }.into_any()
    } else {
        let next = if login.paused_at.is_none() { ", the next check tries it" } else { "" };
        let pending = login.ports.iter().filter(|port| login.enabled && !login.last.iter().any(|last| last.port == **port));
        let pending = pending.map(|port| view! { <li class="sm muted">{format!("Port {port}: not tried yet{next}.")}</li> }).collect_view();
        view! { <ul class="stack">{login.last.iter().map(attempt).collect_view()}{pending}</ul> }.into_any()
    };
    view! {
        <p class="sm">"Logs in as "<span class="strong wrap-any">{login.user.clone()}</span>{format!(" with {secret}, by {how}, on {} {ports}.", if login.ports.len() == 1 { "port" } else { "ports" })}</p>
        {paused}
        {last}
        {unproven}
        {gate.form("", format!("{base}/login/delete"), versioned(), Button::new("btn", "Forget the login"))}
    }
    .into_any()
}

fn attempt(last: &PortLogin) -> AnyView {
    let (status, word) = match last.result.outcome {
        LoginOutcome::Accepted => (Status::Ok, "accepted"),
        LoginOutcome::Refused => (Status::Bad, "refused"),
        LoginOutcome::Failed => (Status::Bad, "fails"),
        LoginOutcome::Unknown => (Status::None, "could not be judged"),
        LoginOutcome::Untried => (Status::Warn, "not tried"),
    };
    let took = last.auth_ms.map(|ms| format!(", in {}", text::millis(Some(ms))));
    view! { <li class="sm">{ui::status(status, &format!("Port {}: {word}", last.port))}" "<span class="muted">{ui::time(last.at)}{took}</span><p class="muted wrap-any">{text::sentence(&last.result.reason)}</p></li> }.into_any()
}

fn form(server: &Server, login: Option<&ServerLogin>, fields: &Fields, failure: Option<&ApiFailure>) -> AnyView {
    let shown = Form::new(fields, failure, &["user", "password", "token"]);
    let version = login.map_or(0, |login| login.version).to_string();
    let chosen = fields.given("mechanism").map_or_else(|| login.and_then(|login| login.mechanism.clone()).unwrap_or_default(), str::to_owned);
    let options = MECHANISMS.into_iter().map(|name| view! { <option value=name selected=name == chosen>{name}</option> }).collect_view();
    let usual = |port: u16| login.map_or(port != 25, |login| login.ports.contains(&port));
    let on = |port: u16| if failure.is_some() { fields.given(&format!("port_{port}")).is_some() } else { usual(port) };
    let port = |port: &u16| {
        let (id, name) = (format!("f-login-{port}"), format!("port_{port}"));
        view! { <label class="check" for=id.clone()><input type="checkbox" id=id.clone() name=name value="1" checked=on(*port)/>{format!("Port {port}")}</label> }
    };
    let ports = server.ports.iter().map(port).collect_view();
    let keep = if login.is_some() { "Left empty, the stored one stays." } else { "" };
    let off = login.is_some_and(|login| !login.enabled);
    view! {
        <input type="hidden" name="version" value=version/>
        {shown.optional("user", "User name", login.map_or("", |login| login.user.as_str()), "")}
        {shown.secret("password", "Password", keep)}
        {shown.secret("token", "Or an OAuth 2.0 access token", "In the place of a password, for OAUTHBEARER and XOAUTH2.")}
        <div class="field"><label for="f-mechanism">"Mechanism"</label><select class="select" id="f-mechanism" name="mechanism"><option value="">"The best that is offered"</option>{options}</select></div>
        <div class="field" role="group" aria-labelledby="f-login-ports"><span class="label" id="f-login-ports">"Tried on"</span>{ports}</div>
        <div class="field"><label for="f-login-enabled">"State"</label><select class="select" id="f-login-enabled" name="enabled"><option value="true" selected=!off>"On"</option><option value="false" selected=off>"Off"</option></select></div>
    }
    .into_any()
}
