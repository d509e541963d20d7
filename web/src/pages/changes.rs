//! Changes that people and programs mark, for incidents to look back at: the list, and the form, which an incident's page shows too.

use axum::extract::Path;
use chrono::{NaiveDateTime, Utc};
use leptos::prelude::*;
use serde_json::json;
use waypost_types::{
    change::{ChangeSort, MarkedChange},
    page::List,
    unicode::with_ascii,
};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

/// What a browser's field for a time gives and takes.
const MINUTES: &str = "%Y-%m-%dT%H:%M";

pub(crate) async fn show(visit: Visit, Path(org): Path<String>) -> Answer {
    draw(&visit, &org, &Fields::empty(), None).await
}

/// Marks a change, and leads back to the incident that the form stood on.
pub(crate) async fn create(visit: Visit, Path(org): Path<String>, fields: Fields) -> Answer {
    let at = match fields.text("at") {
        "" => None,
        typed => {
            let Ok(at) = NaiveDateTime::parse_from_str(typed, MINUTES) else {
                let failure = ApiFailure::field("at", "Write the time as 2027-01-31T14:05, in UTC.".to_owned());
                return draw(&visit, &org, &fields, Some(&failure)).await;
            };
            Some(at.and_utc())
        }
    };
    let new = json!({ "at": at, "kind": fields.text("kind"), "text": fields.text("text"), "target": fields.text("target") });
    match visit.api.post::<MarkedChange>(&org_path(&org, "changes"), &new).await {
        Ok(_) => {
            let home = format!("/o/{}", text::encoded(&org));
            let to = match fields.text("incident") {
                "" => format!("{home}/changes?saved=marked"),
                incident => format!("{home}/incidents/{}#h-related", text::encoded(incident)),
            };
            Ok(redirect(&to))
        }
        Err(failure) if failure.is_input() => draw(&visit, &org, &fields, Some(&failure)).await,
        Err(failure) => Err(failure),
    }
}

pub(crate) async fn remove(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    visit.api.delete(&org_path(&org, &format!("changes/{}", text::encoded(&id))), fields.version()).await?;
    Ok(redirect(&format!("/o/{}/changes?saved=removed", text::encoded(&org))))
}

async fn draw(visit: &Visit, org: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let cursor = visit.query().remove("cursor").map(|cursor| format!("&cursor={}", text::encoded(&cursor))).unwrap_or_default();
    let path = org_path(org, &format!("changes?limit=50{cursor}"));
    let (frame, changes) = tokio::try_join!(visit.frame(org), visit.api.get::<List<MarkedChange>>(&path))?;
    Ok(page(visit, settings::status(failure), "Changes", || {
        let base = format!("/o/{}/changes", text::encoded(org));
        let gate = Gate::change(&frame, "changes");
        let more = changes
            .next
            .as_ref()
            .map(|next| view! { <p><a class="btn" href=format!("{base}?cursor={}", text::encoded(next))>"Older changes"</a></p> });
        let content = view! {
            {notice(visit)}
            {ui::head("Changes", None, "What was changed, and when. Incidents that open after it name it among the probable causes.", ())}
            {list(&gate, &changes.items, &base)}
            {more}
            <section class="card" aria-labelledby="h-mark">
                <div class="card-head"><h2 id="h-mark">"Mark a change"</h2></div>
                <div class="card-body stack">{form(&gate, &base, fields, failure, None)}{gate.hint()}</div>
            </section>
        };
        ui::shell(&frame, Place::Changes, vec![(None, "Changes".to_owned())], content)
    }))
}

fn notice(visit: &Visit) -> Option<AnyView> {
    let words = match visit.query().get("saved").map(String::as_str) {
        Some("marked") => "The change is marked.",
        Some("removed") => "The mark is taken back.",
        _ => return None,
    };
    Some(view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>{words}</div></div> }.into_any())
}

fn list(gate: &Gate, changes: &[MarkedChange], base: &str) -> AnyView {
    let body = if changes.is_empty() {
        view! { <div class="empty">{icon("branch")}<h2 id="h-changes">"No changes are marked"</h2><p>"Mark a firewall rule, a certificate or a deployment here, or let your pipeline do it: POST …/changes of the API."</p></div> }.into_any()
    } else {
        let rows = changes
            .iter()
            .map(|change| {
                let version = view! { <input type="hidden" name="version" value=change.version.to_string()/> };
                let what = format!("Remove the mark of {}", text::minute(change.at));
                let remove = gate.form("", format!("{base}/{}/delete", change.id), version, Button::new("btn btn-sm", view! { "Remove"<span class="vh">{format!(": {what}")}</span> }));
                view! {
                    <tr>
                        <th scope="row">{change.text.clone()}</th>
                        <td data-label="Kind">{change.kind.word()}</td>
                        <td data-label="Target" class="mono xs wrap-any">{change.target.as_deref().map_or_else(|| "everything".to_owned(), with_ascii)}</td>
                        <td data-label="Made">{ui::time(change.at)}</td>
                        <td data-label="By" class="wrap-any">{change.by.clone()}</td>
                        <td>{remove}</td>
                    </tr>
                }
            })
            .collect_view();
        view! {
            <div class="card-head"><h2 id="h-changes">"Marked changes"</h2></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Marked changes, table">
                <table class="table fold">
                    <caption class="vh">"Marked changes, newest first"</caption>
                    <thead><tr><th scope="col">"What"</th><th scope="col">"Kind"</th><th scope="col">"Target"</th><th scope="col">"Made"</th><th scope="col">"By"</th><th scope="col"><span class="vh">"Remove"</span></th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    view! { <section class="card" aria-labelledby="h-changes">{body}</section> }.into_any()
}

/// The form of an incident's page: what it is about is filled in.
pub(super) fn form_of_incident(frame: &Frame, org: &str, incident: &waypost_types::incident::Incident) -> AnyView {
    let gate = Gate::change(frame, "mark");
    let fields = Fields::of([("target", incident.target.clone()), ("incident", incident.id.to_string())]);
    let form = form(&gate, &format!("/o/{}/changes", text::encoded(org)), &fields, None, Some(incident.id.to_string()));
    view! { {form}{gate.hint()} }.into_any()
}

fn form(gate: &Gate, base: &str, fields: &Fields, failure: Option<&ApiFailure>, incident: Option<String>) -> AnyView {
    let form = Form::new(fields, failure, &["text", "target", "at"]);
    let chosen = fields.text("kind").parse::<ChangeSort>().ok();
    let kinds = ChangeSort::ALL
        .into_iter()
        .map(|kind| view! { <option value=kind.as_str() selected=chosen == Some(kind)>{kind.word()}</option> })
        .collect_view();
    let now = Utc::now().format(MINUTES).to_string();
    let incident = incident.unwrap_or_else(|| fields.text("incident").to_owned());
    let inside = view! {
        {form.said()}
        <input type="hidden" name="incident" value=incident/>
        {form.input("text", "What was changed?", "text", "off", "One sentence: Port 25 opened for the new relay.")}
        <div class="field"><label for="f-kind">"Kind"</label><select class="select" id="f-kind" name="kind">{kinds}</select></div>
        {form.optional("target", "What is it about?", "", "A domain, host, host:port, address or network. Empty: it may concern everything.")}
        {form.optional("at", "When was it made? (UTC)", &now, "As 2027-01-31T14:05.")}
    };
    gate.form("stack", base.to_owned(), inside, Button::new("btn", "Mark the change"))
}
