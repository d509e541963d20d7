//! The settings that everything watched has: interval, pause and removal, each based on a version.

mod judging;
pub(super) mod own_runbook;

use std::collections::HashMap;

use axum::response::Response;
use chrono::Utc;
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::monitor::{Monitor, MonitorKind};

use crate::{
    api::ApiFailure,
    ssr::{Fields, Frame, Visit, org_path, redirect},
    text,
    ui::{self, Button, Gate, icon},
};

/// What the settings of one thing show.
pub(super) struct Shown<'a> {
    pub(super) base: String,
    pub(super) kind: MonitorKind,
    pub(super) version: i64,
    pub(super) monitors: &'a [Monitor],
    pub(super) name: &'a str,
    /// What to know before it is removed.
    pub(super) note: Option<&'static str>,
    /// What was sent and not taken, and why.
    pub(super) typed: &'a Fields,
    pub(super) failure: Option<&'a ApiFailure>,
}

/// The card with the settings. `extra` are fields of the settings form.
pub(super) fn card(frame: &Frame, shown: &Shown<'_>, extra: Option<AnyView>) -> AnyView {
    let gate = Gate::change(frame, "settings");
    let version = shown.version.to_string();
    let paused = is_paused(shown.monitors);
    let now = main_monitor(shown.monitors, shown.kind).map(|monitor| monitor.interval_s);
    // What was chosen stays where something else was wrong.
    let interval = shown.typed.text("interval_s").parse().ok().or(now);
    let before = now.map(|seconds| view! { <input type="hidden" name="interval_s_before" value=seconds.to_string()/> });
    let base = shown.base.clone();
    let (word, value) = if paused { ("Resume checks", "false") } else { ("Pause checks", "true") };
    let versioned = || view! { <input type="hidden" name="version" value=version.clone()/> };
    let inputs = view! {
        {versioned()}{before}
        <div class="field"><label for="f-interval_s">"Check every"</label>{ui::interval_choices(shown.kind.interval_range(), interval)}</div>
        {extra}
        {judging::fields(frame, shown)}
        {main_monitor(shown.monitors, shown.kind).map(|monitor| own_runbook::fields(monitor.runbook.as_ref(), shown.typed, shown.failure))}
    };
    let pause = view! { {versioned()}<input type="hidden" name="paused" value=value/> };
    let remove = view! { {versioned()}<p class="sm">"Its checks stop and its history is removed. This can not be undone."</p>{shown.note.map(|note| view! { <p class="sm">{note}</p> })} };
    let pause_word = view! { {icon(if paused { "play" } else { "paused" })}{word} };
    view! {
        <section class="card" id="settings" aria-labelledby="h-set" data-live="settings">
            <div class="card-head"><h2 id="h-set">"Settings"</h2></div>
            <div class="card-body stack">
                {gate.hint()}
                {gate.form("settings-form", format!("{base}/settings"), inputs, Button::new("btn", "Save"))}
                {gate.form("", format!("{base}/settings"), pause, Button::new("btn", pause_word))}
                <details id="remove">
                    <summary>{format!("Remove {}", shown.name)}</summary>
                    {gate.form("stack mt2", format!("{base}/delete"), remove, Button::new("btn btn-danger btn-name", format!("Remove {}", shown.name)))}
                </details>
            </div>
        </section>
    }
    .into_any()
}

/// The monitor that the page is about: beside it there may be others, such as the block-list scan of a domain.
pub(super) fn main_monitor(monitors: &[Monitor], kind: MonitorKind) -> Option<&Monitor> {
    monitors.iter().find(|monitor| monitor.kind == kind)
}

/// Whether nothing of it is checked.
pub(super) fn is_paused(monitors: &[Monitor]) -> bool {
    !monitors.is_empty() && monitors.iter().all(|monitor| monitor.paused)
}

/// The button that checks now; what is paused has none.
pub(super) fn check_button(visit: &Visit, frame: &Frame, base: &str, monitors: &[Monitor]) -> AnyView {
    if is_paused(monitors) {
        return ().into_any();
    }
    if waits(&visit.query(), monitors).is_some_and(|since| since < PATIENCE) {
        return view! { <button class="btn" type="button" aria-disabled="true" title="The check is on its way">{icon("clock")}"Checking…"</button> }
            .into_any();
    }
    let gate = Gate::change(frame, "check");
    let word = view! { {icon("play")}"Check now" };
    view! { {gate.form("", format!("{base}/check"), (), Button::new("btn", word))}{gate.hint()} }.into_any()
}

/// Whether the form sent another value of a field than it showed. The monitors of one thing may differ: what was not touched is not made alike.
fn touched(fields: &Fields, name: &str) -> bool {
    fields.given(name).is_some() && fields.given(name).map(str::trim) != fields.given(&format!("{name}_before")).map(str::trim)
}

/// The body of a change: only what the form sent.
pub(super) fn patch_of(fields: &Fields) -> Value {
    let mut patch = serde_json::Map::new();
    if let Ok(seconds) = fields.text("interval_s").parse::<u32>()
        && touched(fields, "interval_s")
    {
        patch.insert("interval_s".to_owned(), json!(seconds));
    }
    if let Ok(paused) = fields.text("paused").parse::<bool>() {
        patch.insert("paused".to_owned(), json!(paused));
    }
    judging::add(&mut patch, fields);
    own_runbook::add(&mut patch, fields);
    if let Some(tags) = fields.given("tags") {
        patch.insert("tags".to_owned(), json!(ui::tag_parts(tags)));
    }
    Value::Object(patch)
}

/// Which thing of an organisation an action is about.
pub(super) struct Target<'a> {
    pub(super) org: &'a str,
    pub(super) id: &'a str,
    /// `domains`, `servers` or `addresses`.
    pub(super) many: &'static str,
}

impl Target<'_> {
    pub(super) fn api(&self, rest: &str) -> String {
        org_path(self.org, &format!("{}/{}{rest}", self.many, text::encoded(self.id)))
    }

    pub(super) fn page(&self) -> String {
        format!("/o/{}/{}/{}", text::encoded(self.org), self.many, text::encoded(self.id))
    }
}

/// Asks for a check at once.
pub(super) async fn check(visit: &Visit, target: &Target<'_>) -> Result<Response, ApiFailure> {
    visit.api.act(&target.api("/check"), &json!({})).await?;
    Ok(redirect(&format!("{}?asked={}", target.page(), Utc::now().timestamp())))
}

/// Leads on to where it was done. A failure is given back where the page should show it: what was typed is at fault, or somebody was quicker.
pub(super) fn settled(done: Result<String, ApiFailure>) -> Result<Result<Response, ApiFailure>, ApiFailure> {
    match done {
        Ok(to) => Ok(Ok(redirect(&to))),
        Err(failure) if failure.is_input() || failure.status == 412 => Ok(Err(failure)),
        Err(failure) => Err(failure),
    }
}

/// Changes; the failure is given back when the page should show it.
pub(super) async fn change(visit: &Visit, target: &Target<'_>, version: i64, patch: &Value) -> Result<Result<Response, ApiFailure>, ApiFailure> {
    settled(visit.api.patch(&target.api(""), version, patch).await.map(|()| format!("{}{}", target.page(), done(patch))))
}

/// What the page is told about a change of settings; whatever else was done shows by itself.
fn done(patch: &Value) -> &'static str {
    match patch.get("paused").and_then(Value::as_bool) {
        Some(true) => "?saved=paused",
        Some(false) => "?saved=resumed",
        None if ["interval_s", "selectors", "senders", "tags", "role", "least_size_mb", "runbook", "pool", "settings", "policy", "regions"]
            .iter()
            .any(|field| patch.get(field).is_some()) =>
        {
            "?saved=settings"
        }
        None => "",
    }
}

/// Removes; the failure is given back when the page should show it.
pub(super) async fn remove(visit: &Visit, target: &Target<'_>, version: i64) -> Result<Result<Response, ApiFailure>, ApiFailure> {
    settled(visit.api.delete(&target.api(""), version).await.map(|()| format!("/o/{}/{}", text::encoded(target.org), target.many)))
}

/// What a page says above its content: that a check was asked for and has not answered yet, what was saved, or why a change was not made.
pub(super) fn notice(visit: &Visit, monitors: &[Monitor], failure: Option<&ApiFailure>) -> AnyView {
    let said = match failure {
        Some(failure) if failure.status == 412 => Some((
            "warn",
            "Somebody else changed this in the meantime, so nothing was saved. What you entered is still here, with what they saved beside it; save again if it is still wanted.".to_owned(),
        )),
        Some(failure) => {
            Some(("bad", failure.fields().first().map_or_else(|| failure.sentence().to_owned(), |error| error.message.clone())))
        }
        None => note(&visit.query(), monitors),
    };
    let role = if failure.is_some() { "alert" } else { "status" };
    let running = failure.is_none() && waits(&visit.query(), monitors).is_some_and(|since| since < PATIENCE);
    let bar = || running.then(|| view! { <progress class="running" aria-label="The check is on its way"></progress> });
    let banner = said.map(|(kind, said)| view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{said}{bar()}</div></div> });
    // Empty it stays, so that a page that is open loses the notice when the answer is there.
    view! { <div class="notice" data-live="notice">{banner}</div> }.into_any()
}

/// A check that was asked for answers within this many seconds, unless the workers are busy or away.
const PATIENCE: i64 = 300;

/// For how many seconds a check that was asked for is on its way; nothing once it has answered.
fn waits(query: &HashMap<String, String>, monitors: &[Monitor]) -> Option<i64> {
    let asked = query.get("asked")?.parse::<i64>().ok()?;
    let answered = monitors.iter().filter_map(|monitor| monitor.last_checked_at).any(|at| at.timestamp() >= asked);
    (!answered).then(|| Utc::now().timestamp().saturating_sub(asked).max(0))
}

/// What the address of the page says was done just now.
fn note(query: &HashMap<String, String>, monitors: &[Monitor]) -> Option<(&'static str, String)> {
    if query.contains_key("asked") {
        let scans = monitors.iter().any(|monitor| monitor.kind == MonitorKind::Blacklist && monitor.target.contains('/'));
        let takes = if scans { "some minutes for a network" } else { "up to a minute" };
        return waits(query, monitors).map(|since| {
            if since < PATIENCE {
                ("info", format!("A check was asked for and is on its way. It takes {takes}; the result appears here by itself."))
            } else {
                ("warn", format!("A check was asked for {} ago and has not answered yet. The result appears here by itself.", text::duration(since)))
            }
        });
    }
    let saved = match query.get("saved").map(String::as_str) {
        Some("settings") => Some(("ok", "The settings are saved. They count from the next check on.")),
        Some("paused") => Some(("ok", "The checks are paused.")),
        Some("resumed") => Some(("ok", "The checks go on.")),
        Some("forgotten") => Some((
            "ok",
            "The selector is forgotten. It comes back when a message that is signed with it is seen, or when an audit finds a key at it.",
        )),
        _ => None,
    };
    saved.map(|(kind, said)| (kind, said.to_owned()))
}

/// The status of a page that shows a failure.
pub(super) fn status(failure: Option<&ApiFailure>) -> axum::http::StatusCode {
    failure.map_or(axum::http::StatusCode::OK, |failure| match failure.status {
        403 => axum::http::StatusCode::FORBIDDEN,
        412 => axum::http::StatusCode::PRECONDITION_FAILED,
        429 => axum::http::StatusCode::TOO_MANY_REQUESTS,
        _ => axum::http::StatusCode::UNPROCESSABLE_ENTITY,
    })
}
