//! Small parts: icons, states, grades, times and what can be copied.

use chrono::{DateTime, Utc};
use leptos::prelude::*;
use waypost_types::{
    judge::MonitorState,
    monitor::{Monitor, MonitorKind},
    outcome::{Status, Verdict},
};

use crate::text;

/// An icon of the sprite.
pub(crate) fn icon(name: &'static str) -> AnyView {
    view! { <svg class="icon" aria-hidden="true"><use href=format!("#i-{name}")></use></svg> }.into_any()
}

/// The same, a size larger, beside headings.
pub(crate) fn large_icon(name: &'static str) -> AnyView {
    view! { <svg class="icon icon-lg" aria-hidden="true"><use href=format!("#i-{name}")></use></svg> }.into_any()
}

const fn icon_of(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Warn => "warn",
        Status::Bad => "bad",
        Status::Info => "info",
        Status::None => "none",
    }
}

/// Icon and word, in text or in a table. The word stands alone, so a reason may be given as it was told.
pub(crate) fn status(status: Status, word: &str) -> AnyView {
    let word = text::sentence(word);
    view! { <span class="status" data-status=status.as_str()>{icon(icon_of(status))}{word}</span> }.into_any()
}

/// Icon and word that must be found by scanning.
pub(crate) fn badge(status: Status, word: &str) -> AnyView {
    let word = text::sentence(word);
    view! { <span class="badge" data-status=status.as_str()>{icon(icon_of(status))}{word}</span> }.into_any()
}

/// The word of a state; paused comes before all. What was checked and is pending waits for a second check to confirm the first.
pub(crate) const fn state_word(state: MonitorState, checked: bool, paused: bool) -> &'static str {
    match state {
        _ if paused => "Paused",
        MonitorState::Pending if checked => "Confirming",
        MonitorState::Pending => "Pending",
        MonitorState::Up => "Up",
        MonitorState::Degraded => "Degraded",
        MonitorState::Down => "Failing",
        MonitorState::Unknown => "Unknown",
    }
}

/// The state of something watched, in a table.
pub(crate) fn state_status(state: MonitorState, checked: bool) -> AnyView {
    status(state.into(), state_word(state, checked, false))
}

/// How a monitor stands, in the words of what it looks at: an address is no server that could be up. What flaps is neither up nor failing, and what
/// was seen once is neither the old state nor the new one.
fn standing(monitor: &Monitor) -> (Status, &'static str) {
    let (state, checked) = (monitor.state, monitor.last_checked_at.is_some());
    match (monitor.kind, state) {
        _ if monitor.paused => (Status::None, state_word(state, checked, true)),
        _ if monitor.flapping_since.is_some() => (Status::Warn, "Flapping"),
        (_, MonitorState::Up) if monitor.confirming => (MonitorState::Pending.into(), state_word(MonitorState::Pending, checked, false)),
        (MonitorKind::Blacklist, MonitorState::Up) => (state.into(), "Not listed"),
        (MonitorKind::Blacklist, MonitorState::Down | MonitorState::Degraded) => (state.into(), "Listed"),
        (MonitorKind::Audit, MonitorState::Up) => (state.into(), "No problem"),
        _ => (state.into(), state_word(state, checked, false)),
    }
}

/// The state of one monitor, in a table.
pub(crate) fn monitor_status(monitor: &Monitor) -> AnyView {
    let (kind, word) = standing(monitor);
    status(kind, word)
}

/// The same, to be found by scanning.
pub(crate) fn monitor_badge(monitor: &Monitor) -> AnyView {
    let (kind, word) = standing(monitor);
    badge(kind, word)
}

/// The state of something watched, to be found by scanning.
pub(crate) fn state_badge(state: MonitorState, checked: bool, paused: bool) -> AnyView {
    badge(if paused { Status::None } else { state.into() }, state_word(state, checked, paused))
}

/// What one check found, in the words of the states.
pub(crate) fn verdict(verdict: Verdict) -> AnyView {
    state_status(verdict.into(), true)
}

/// The grade letter with its colour.
pub(crate) fn grade(letter: Option<&str>, large: bool) -> AnyView {
    let status = match letter {
        Some("A" | "B") => Status::Ok,
        Some("C" | "D") => Status::Warn,
        Some(_) => Status::Bad,
        None => Status::None,
    };
    let class = if large { "grade grade-xl" } else { "grade" };
    let letter = letter.unwrap_or("–").to_owned();
    view! { <span class=class data-status=status.as_str()><span class="vh">"Grade "</span>{letter}</span> }.into_any()
}

/// The ASCII form under the form for people, where the two differ.
pub(crate) fn ascii_form(display: &str, ascii: &str) -> Option<AnyView> {
    (display != ascii).then(|| view! { <span class="sub mono">{ascii.to_owned()}</span> }.into_any())
}

/// The same in a running line.
pub(crate) fn ascii_note(display: &str, ascii: &str) -> Option<AnyView> {
    (display != ascii).then(|| view! { <span class="mono wrap-any">{ascii.to_owned()}</span>". " }.into_any())
}

/// A relative time that carries the exact one.
pub(crate) fn time(at: DateTime<Utc>) -> AnyView {
    view! { <time datetime=at.to_rfc3339() title=text::exact(at)>{text::relative(at, Utc::now())}</time> }.into_any()
}

/// A day that carries the exact time: for what lasts longer than anybody counts hours.
pub(super) fn day(at: DateTime<Utc>) -> AnyView {
    view! { <time datetime=at.to_rfc3339() title=text::exact(at)>{at.format("%-d %b %Y").to_string()}</time> }.into_any()
}

/// The same for what may not have happened yet.
pub(crate) fn when(at: Option<DateTime<Utc>>) -> AnyView {
    at.map_or_else(|| "Pending".into_any(), time)
}

/// A button that copies the element with this id.
pub(crate) fn copied(id: String, of_what: String) -> AnyView {
    view! {
        <button class="btn btn-sm" type="button" data-copy=id>
            {icon("copy")}<span class="btn-word" aria-live="polite">"Copy"</span><span class="vh">{format!(" {of_what}")}</span>
        </button>
    }
    .into_any()
}

/// A name, an address or a sentence with one, that may be broken after its dots where it is too long for a line.
pub(crate) fn breakable(text: &str) -> AnyView {
    let mut parts: Vec<&str> = text.split_inclusive('.').collect();
    let last = parts.pop().unwrap_or_default().to_owned();
    let parts = parts.into_iter().map(|part| view! { {part.to_owned()}<wbr/> }).collect_view();
    view! { <span>{parts}{last}</span> }.into_any()
}

/// The title of a page with its state, what is said under it and what can be done.
pub(crate) fn head(title: &str, state: Option<AnyView>, sub: impl IntoView + 'static, actions: impl IntoView + 'static) -> AnyView {
    view! {
        <div class="page-head" data-live="head">
            <div><h1>{breakable(title)}" "{state}</h1><p class="sub">{sub.into_any()}</p></div>
            <div class="row">{actions.into_any()}</div>
        </div>
    }
    .into_any()
}
