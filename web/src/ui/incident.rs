//! An incident in a list, and the badge that says how it stands.

use chrono::Utc;
use leptos::prelude::*;
use waypost_types::{
    incident::{Incident, IncidentStatus},
    monitor::Monitor,
    outcome::Status,
};

use super::{badge, icon, status};
use crate::text;

/// Resolved is good news; before that the severity counts.
const fn resolved(incident: &Incident) -> bool {
    matches!(incident.status, IncidentStatus::Resolved)
}

fn standing(incident: &Incident) -> Status {
    if resolved(incident) { Status::Ok } else { incident.severity.into() }
}

/// Severity while it lasts, to be found by scanning.
pub(crate) fn incident_badge(incident: &Incident) -> AnyView {
    let word = if resolved(incident) { "Resolved" } else { incident.severity.word() };
    badge(standing(incident), word)
}

/// That it fails and works in turn.
pub(crate) fn flapping_badge(since: Option<chrono::DateTime<Utc>>) -> Option<AnyView> {
    since.map(|_| badge(Status::Info, "Flapping"))
}

/// A link to what is open of these monitors: a state may be good where a login is refused or a rule is broken.
pub(crate) fn open_incidents(monitors: &[Monitor], root: &str) -> Option<AnyView> {
    let open = || monitors.iter().filter_map(|monitor| monitor.incident.as_ref());
    let worst = open().max_by_key(|open| open.severity)?;
    let said = match open().map(|open| open.count).sum() {
        1 => "1 open incident".to_owned(),
        count => format!("{count} open incidents"),
    };
    let to = if open().count() == 1 && worst.count == 1 { format!("{root}/incidents/{}", worst.id) } else { format!("{root}/incidents") };
    Some(view! { <p class="sm"><a href=to>{status(worst.severity.into(), &said)}</a></p> }.into_any())
}

/// One line of a list of incidents.
pub(crate) fn incident_item(incident: &Incident, base: &str) -> AnyView {
    let status = standing(incident);
    let glyph = match status {
        Status::Bad => "bad",
        Status::Warn => "warn",
        Status::Ok => "ok",
        _ => "info",
    };
    let lasted = text::duration((incident.resolved_at.unwrap_or_else(Utc::now) - incident.opened_at).num_seconds());
    let open_for = if resolved(incident) { format!("lasted {lasted}") } else { format!("open {lasted}") };
    let taken = match incident.status {
        IncidentStatus::Open => Some(view! { <span class="strong">"nobody yet"</span> }.into_any()),
        IncidentStatus::Acknowledged => Some(view! { <span>"acknowledged"</span> }.into_any()),
        IncidentStatus::Resolved => None,
    };
    view! {
        <li>
            <div class="item" data-status=status.as_str()>
                {icon(glyph)}
                <div><a class="title" href=format!("{base}/incidents/{}", incident.id)>{incident.title.clone()}</a><p class="desc two-lines">{text::sentence(&incident.summary)}</p></div>
                <div class="end">{incident_badge(incident)}{flapping_badge(incident.flapping_since)}<span title=text::exact(incident.opened_at)>{open_for}</span>{taken}</div>
            </div>
        </li>
    }
    .into_any()
}
