//! Runbooks: the list, and one with the form that writes the organisation's own text in its place.

use axum::extract::Path;
use leptos::prelude::*;
use serde_json::json;
use waypost_types::{page::List, runbook::Runbook};

use super::settings;
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page, redirect},
    text,
    ui::{self, Button, Form, Gate, Place, icon},
};

type Of = Path<(String, String)>;

fn home(org: &str) -> String {
    format!("/o/{}/runbooks", text::encoded(org))
}

fn api(org: &str, topic: &str) -> String {
    org_path(org, &format!("runbooks/{}", text::encoded(topic)))
}

pub(crate) async fn list(visit: Visit, Path(org): Path<String>) -> Answer {
    let path = org_path(&org, "runbooks");
    let (frame, runbooks) = tokio::try_join!(visit.frame(&org), visit.api.get::<List<Runbook>>(&path))?;
    Ok(page(&visit, axum::http::StatusCode::OK, "Runbooks", || {
        let base = home(&org);
        let items = runbooks
            .items
            .iter()
            .map(|runbook| {
                let whose = runbook.edited_by.as_ref().map_or_else(|| "Waypost's text".to_owned(), |by| format!("Yours, by {by}"));
                view! {
                    <li><div class="item">
                        {icon("book")}
                        <div><a class="title" href=format!("{base}/{}", runbook.topic)>{runbook.title.clone()}</a></div>
                        <div class="end"><span class="wrap-any">{whose}</span>{runbook.edited_at.map(ui::time)}</div>
                    </div></li>
                }
            })
            .collect_view();
        let content = view! {
            {ui::head("Runbooks", None, "What to do about the usual events. An incident shows the one that fits; each can be rewritten for your systems.", ())}
            <section class="card" aria-label="Runbooks"><ul class="list">{items}</ul></section>
        };
        ui::shell(&frame, Place::Runbooks, vec![(None, "Runbooks".to_owned())], content)
    }))
}

pub(crate) async fn show(visit: Visit, Path((org, topic)): Of) -> Answer {
    draw(&visit, &org, &topic, &Fields::empty(), None).await
}

/// Writes the organisation's own text.
pub(crate) async fn write(visit: Visit, Path((org, topic)): Of, fields: Fields) -> Answer {
    match visit.api.put(&api(&org, &topic), Some(fields.version()), &json!({ "text": fields.text("text") })).await {
        Ok(()) => Ok(redirect(&format!("{}/{}?saved=written", home(&org), text::encoded(&topic)))),
        Err(failure) => refused(&visit, &org, &topic, &fields, failure).await,
    }
}

/// Takes the product's text again.
pub(crate) async fn reset(visit: Visit, Path((org, topic)): Of, fields: Fields) -> Answer {
    match visit.api.delete(&api(&org, &topic), fields.version()).await {
        Ok(()) => Ok(redirect(&format!("{}/{}?saved=reset", home(&org), text::encoded(&topic)))),
        Err(failure) => refused(&visit, &org, &topic, &Fields::empty(), failure).await,
    }
}

async fn refused(visit: &Visit, org: &str, topic: &str, fields: &Fields, failure: ApiFailure) -> Answer {
    if failure.is_input() || failure.status == 412 {
        return draw(visit, org, topic, fields, Some(&failure)).await;
    }
    Err(failure)
}

async fn draw(visit: &Visit, org: &str, topic: &str, fields: &Fields, failure: Option<&ApiFailure>) -> Answer {
    let path = api(org, topic);
    let (frame, runbook) = tokio::try_join!(visit.frame(org), visit.api.get::<Runbook>(&path))?;
    Ok(page(visit, settings::status(failure), &runbook.title.clone(), || {
        let crumbs = vec![(Some(home(org)), "Runbooks".to_owned()), (None, runbook.title.clone())];
        let sub = runbook.edited_by.as_ref().map_or_else(
            || view! { "The text that Waypost brings." }.into_any(),
            |by| view! { "Your own text, by "{by.clone()}" "{runbook.edited_at.map(ui::time)}"." }.into_any(),
        );
        let content = view! {
            {notice(visit, failure)}
            {ui::head(&runbook.title, None, sub, ())}
            <section class="card" aria-labelledby="h-text"><div class="card-head"><h2 id="h-text">"Step by step"</h2></div><div class="card-body">{ui::markdown(&runbook.text)}</div></section>
            {form(&frame, org, &runbook, fields, failure)}
        };
        ui::shell(&frame, Place::Runbooks, crumbs, content)
    }))
}

fn notice(visit: &Visit, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let (kind, words) = match (failure, visit.query().get("saved").map(String::as_str)) {
        (Some(failure), _) if failure.status == 412 => (
            "warn",
            "Somebody else changed this runbook in the meantime, so nothing was saved. What you wrote is still below; save again if it is still wanted.",
        ),
        (None, Some("written")) => ("ok", "Your text is saved. Incidents show it from now on."),
        (None, Some("reset")) => ("ok", "The text that Waypost brings holds again."),
        _ => return None,
    };
    let role = if kind == "ok" { "status" } else { "alert" };
    Some(view! { <div class="banner" role=role data-status=kind>{icon(kind)}<div>{words}</div></div> }.into_any())
}

fn form(frame: &Frame, org: &str, runbook: &Runbook, fields: &Fields, failure: Option<&ApiFailure>) -> AnyView {
    let gate = Gate::change(frame, "runbook");
    let base = format!("{}/{}", home(org), text::encoded(&runbook.topic));
    let version = || view! { <input type="hidden" name="version" value=runbook.version.to_string()/> };
    let shown = fields.given("text").map_or_else(|| Fields::of([("text", runbook.text.clone())]), |typed| Fields::of([("text", typed.to_owned())]));
    let form = Form::new(&shown, failure.filter(|failure| failure.status != 412), &["text"]);
    let edit = view! { {form.said()}{version()}{form.long_text("text", "Text", 24, "Markdown, at most 20,000 characters. Name your own hosts, people and commands.")} };
    let reset = (runbook.version > 0).then(|| {
        let sure = view! { {version()}<p class="sm">"Your text is removed. This can not be undone."</p> };
        view! {
            <details class="alt" id="reset">
                <summary>"Take the text of Waypost again"</summary>
                {gate.form("stack mt2", format!("{base}/reset"), sure, Button::new("btn btn-danger", "Take it again"))}
            </details>
        }
    });
    view! {
        <section class="card" aria-labelledby="h-edit">
            <div class="card-head"><h2 id="h-edit">"Write your own"</h2></div>
            <div class="card-body stack">
                <details class="alt" id="edit" open=failure.is_some()>
                    <summary>"Edit the text"</summary>
                    {gate.form("stack mt2", base.clone(), edit, Button::new("btn", "Save"))}
                </details>
                {reset}
                {gate.hint()}
            </div>
        </section>
    }
    .into_any()
}

/// The runbook that fits an incident. Where the page says already what to do, it waits folded.
pub(super) fn of_incident(org: &str, runbook: &Runbook, folded: bool) -> AnyView {
    let to = format!("{}/{}", home(org), text::encoded(&runbook.topic));
    view! {
        <section class="card" id="runbook" aria-labelledby="h-runbook">
            <div class="card-head"><h2 id="h-runbook">{format!("Runbook: {}", runbook.title)}</h2><a class="meta" href=to>"Open or edit"</a></div>
            <details class="more" id="runbook-text" open=!folded>
                <summary>"Step by step"</summary>
                <div class="card-body">{ui::markdown(&runbook.text)}</div>
            </details>
        </section>
    }
    .into_any()
}
