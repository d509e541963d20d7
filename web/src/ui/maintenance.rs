//! That something is in a maintenance window: a line on its page, a mark in lists.

use leptos::prelude::*;
use waypost_types::{
    maintenance::{MaintenanceWindow, Watched},
    monitor::Monitor,
    outcome::Status,
};

use super::{icon, status};
use crate::{ssr::Frame, text};

/// As maintenance windows know these monitors.
fn watched(monitor: &Monitor) -> Watched<'_> {
    Watched { monitor: Some(monitor.id), domain: monitor.domain_id, server: monitor.server_id, address: monitor.address_id, tags: &monitor.tags }
}

/// The window that is on for one of these, of several the one that lasts longest.
fn on<'a>(frame: &'a Frame, things: &[Watched<'_>]) -> Option<&'a MaintenanceWindow> {
    let covered = frame.windows.iter().filter(|window| things.iter().any(|thing| window.covers.includes(thing)));
    covered.filter(|window| window.active.is_some()).max_by_key(|window| window.active.map(|active| active.to))
}

/// The line on the page of something with these monitors: one of them may be covered alone.
pub(crate) fn maintenance_line(frame: &Frame, thing: Watched<'_>, monitors: &[Monitor]) -> AnyView {
    let things: Vec<Watched<'_>> = std::iter::once(thing).chain(monitors.iter().map(watched)).collect();
    let line = on(frame, &things).and_then(|window| {
        let until = window.time_zone.words(window.active?.to);
        let to = format!("/o/{}/maintenance/{}", text::encoded(&frame.org.slug), window.id);
        Some(view! {
            <div class="banner" role="status" data-status="info">{icon("clock")}<div><a href=to>{format!("Maintenance: {}", window.name)}</a>{format!(" is on until {until}. Checks go on and are recorded; no incident opens and nobody is told.")}</div></div>
        })
    });
    view! { <div class="notice" data-live="maintenance">{line}</div> }.into_any()
}

/// The mark in a list.
pub(crate) fn maintenance_mark(frame: &Frame, thing: Watched<'_>) -> Option<AnyView> {
    on(frame, &[thing]).map(|_| view! { <span class="sub">{status(Status::None, "Maintenance")}</span> }.into_any())
}
