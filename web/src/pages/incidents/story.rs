//! The timeline of an incident: who or what did what, when.

use leptos::prelude::*;
use waypost_types::incident::{TimelineEntry, TimelineEvent};

use crate::{
    text,
    ui::{self, icon},
};

/// One line.
pub(super) fn entry(entry: &TimelineEntry) -> AnyView {
    let (glyph, word) = match entry.event {
        TimelineEvent::Opened => ("bolt", "Opened"),
        TimelineEvent::Changed => ("info", "Changed"),
        TimelineEvent::Reopened => ("bolt", "Opened again"),
        TimelineEvent::Flapping => ("wave", "Flapping"),
        TimelineEvent::Acknowledged => ("user-ok", "Acknowledged"),
        TimelineEvent::Comment => ("chat", "Comment"),
        TimelineEvent::RootCause => ("search", "Root cause"),
        TimelineEvent::Muted => ("paused", "Muted"),
        TimelineEvent::Unmuted => ("play", "Unmuted"),
        TimelineEvent::Held => ("clock", "Not told at once"),
        TimelineEvent::Escalated => ("bell", "Escalated"),
        TimelineEvent::Notified => ("bell", "Message sent"),
        TimelineEvent::NotifyFailed => ("warn", "Message not sent"),
        TimelineEvent::Resolved => ("ok", "Resolved"),
    };
    let said = match entry.event {
        TimelineEvent::Comment | TimelineEvent::RootCause => view! { <div class="comment">{ui::markdown(&entry.text)}</div> }.into_any(),
        _ => view! { <p class="sm soft mt1">{text::sentence(&entry.text)}</p> }.into_any(),
    };
    let who = entry.actor.clone();
    let head = match (entry.event, who) {
        (TimelineEvent::Comment, Some(who)) => view! { <strong>{who}</strong>" commented" }.into_any(),
        (TimelineEvent::RootCause, Some(who)) => view! { <strong>{who}</strong>" named the root cause" }.into_any(),
        (_, Some(who)) => view! { {word}" by "<strong>{who}</strong> }.into_any(),
        (_, None) => word.into_any(),
    };
    view! {
        <li>
            <span class="dot">{icon(glyph)}</span>
            <div><div class="event"><span>{head}</span>{ui::time(entry.at)}</div>{said}</div>
        </li>
    }
    .into_any()
}
