//! How the records of a domain, or its servers, changed: a time line in words.

use chrono::{DateTime, Utc};
use leptos::prelude::*;
use waypost_types::{
    drift::{ChangeKind, RecordChange, RecordEvent, ServerEvent},
    outcome::Status,
    page::List,
};

use super::{badge, family, icon};
use crate::text;

/// Events on a page of the history.
const EVENTS: u32 = 20;

/// The way to a page of the history below that of its domain or server.
pub(crate) fn query(cursor: Option<&str>) -> String {
    let after = cursor.map(|cursor| format!("&cursor={}", text::encoded(cursor))).unwrap_or_default();
    format!("/history?limit={EVENTS}{after}")
}

/// Where a page of the history stands.
pub(crate) struct Shown<'a, T> {
    /// The events; absent when they could not be loaded.
    pub(crate) events: Option<&'a List<T>>,
    /// The page is not the first one.
    pub(crate) older: bool,
    /// Since when anything was looked at.
    pub(crate) since: DateTime<Utc>,
    /// Address of the page of the domain or server.
    pub(crate) base: &'a str,
}

/// The card with the history of a domain.
pub(crate) fn history(shown: &Shown<'_, RecordEvent>) -> AnyView {
    let nothing = "When a record of this domain changes, it appears here: what, when, and whether it made things worse.";
    card(shown, "History of the records", nothing, event)
}

/// The card with the history of a server.
pub(crate) fn server_history(shown: &Shown<'_, ServerEvent>) -> AnyView {
    let nothing = "When this server shows another certificate, other extensions or another greeting twice in a row, it appears here.";
    card(shown, "What changed at this server", nothing, server_event)
}

fn card<T>(shown: &Shown<'_, T>, title: &'static str, nothing: &'static str, item: fn(&T) -> AnyView) -> AnyView {
    let body = match shown.events {
        None => view! { <div class="empty">{icon("unknown")}<h3>"The history can not be shown right now"</h3><p>"Load the page again in a minute."</p></div> }.into_any(),
        Some(events) if events.items.is_empty() && shown.older => view! { <div class="empty">{icon("log")}<h3>"No older change"</h3></div> }.into_any(),
        Some(events) if events.items.is_empty() => {
            let since = text::minute(shown.since);
            view! { <div class="empty">{icon("ok")}<h3>{format!("No change seen since {since}")}</h3><p>{nothing}</p></div> }.into_any()
        }
        Some(events) => {
            let items = events.items.iter().map(item).collect_view();
            view! { <div class="card-body pt4"><ol class="timeline">{items}</ol></div> }.into_any()
        }
    };
    let base = shown.base;
    let next = shown
        .events
        .and_then(|events| events.next.as_ref())
        .map(|cursor| view! { <a class="btn" href=format!("{base}?history={}#history", text::encoded(cursor))>"Older changes"</a> });
    let newest = shown.older.then(|| view! { <a class="btn" href=format!("{base}#history")>"Newest changes"</a> });
    let foot = (next.is_some() || newest.is_some()).then(|| view! { <div class="card-foot">{newest}{next}</div> });
    view! {
        <section class="card" id="history" aria-labelledby="h-hist" data-live="history">
            <div class="card-head"><h2 id="h-hist">{title}</h2></div>
            {body}
            {foot}
        </section>
    }
    .into_any()
}

fn event(event: &RecordEvent) -> AnyView {
    let (kind, glyph) = if event.worse { (Some("warn"), "warn") } else { (None, "log") };
    let worse = event.worse.then(|| badge(Status::Warn, "Made things worse"));
    let changes = event.changes.iter().map(change).collect_view();
    let records = (!(event.before.is_empty() && event.after.is_empty())).then(|| {
        view! { <details class="alt mt2" id=format!("ev-{}", event.id)><summary>"Records before and after"</summary>{diff(event)}</details> }
    });
    view! {
        <li>
            <span class="dot" data-status=kind>{icon(glyph)}</span>
            <div>
                <p class="event"><span class="strong">{format!("{} changed", family::name(&event.family))}</span>{worse}<time datetime=event.at.to_rfc3339() title=text::exact(event.at)>{text::minute(event.at)}</time></p>
                <ul class="changes">{changes}</ul>
                {records}
            </div>
        </li>
    }
    .into_any()
}

fn server_event(event: &ServerEvent) -> AnyView {
    let port = event.target.rsplit(':').next().unwrap_or_default();
    view! {
        <li>
            <span class="dot">{icon("log")}</span>
            <div>
                <p class="event"><span class="strong">{format!("Port {port}")}</span><time datetime=event.at.to_rfc3339() title=text::exact(event.at)>{text::minute(event.at)}</time></p>
                <ul class="changes">{event.changes.iter().map(change).collect_view()}</ul>
            </div>
        </li>
    }
    .into_any()
}

fn change(change: &RecordChange) -> AnyView {
    let (sign, word) = match change.kind {
        ChangeKind::Added => ("+", "Added"),
        ChangeKind::Removed => ("−", "Removed"),
        ChangeKind::Changed => ("~", "Changed"),
    };
    view! { <li><span class="tag"><span class="mono strong" aria-hidden="true">{sign}</span>{word}</span><span class="wrap-any">{text::sentence(&change.text)}</span></li> }
        .into_any()
}

/// The records: what went is struck by its sign, what came too; what stayed is between them.
fn diff(event: &RecordEvent) -> AnyView {
    let gone = event.before.iter().filter(|line| !event.after.contains(line));
    let come = event.after.iter().filter(|line| !event.before.contains(line));
    let stayed = event.after.iter().filter(|line| event.before.contains(line));
    let gone = gone.map(|line| view! { <del data-sign="−"><span><span class="vh">"Before: "</span>{line.clone()}</span></del> }).collect_view();
    let come = come.map(|line| view! { <ins data-sign="+"><span><span class="vh">"After: "</span>{line.clone()}</span></ins> }).collect_view();
    let stayed =
        stayed.map(|line| view! { <span data-sign=" "><span><span class="vh">"Unchanged: "</span>{line.clone()}</span></span> }).collect_view();
    view! { <div class="diff mt2">{gone}{come}{stayed}</div> }.into_any()
}
