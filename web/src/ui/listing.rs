//! How addresses stand on block lists, in a few words. What no list could tell is never called clean.

use leptos::prelude::*;
use waypost_types::{
    asset::Address,
    judge::MonitorState,
    outcome::{CheckSummary, ListEntry, ListState, Status},
};

use super::status;
use crate::text;

fn summary(status: Status, word: impl Into<String>) -> CheckSummary {
    CheckSummary { status, word: word.into() }
}

fn counted(listed: u32, status: Status) -> CheckSummary {
    summary(status, text::counted(listed, "listing", "listings"))
}

/// Several addresses together; the worst sets the whole.
pub(crate) fn listings<'a>(addresses: impl Iterator<Item = &'a Address> + Clone) -> CheckSummary {
    let listed: u32 = addresses.clone().map(|address| address.listed).sum();
    let down = addresses.clone().any(|address| address.state == MonitorState::Down);
    match () {
        () if listed > 0 => counted(listed, if down { Status::Bad } else { Status::Warn }),
        () if addresses.clone().all(|address| address.asked == 0) => summary(Status::None, "Pending"),
        () if addresses.clone().all(|address| address.answered == 0) => summary(Status::None, "No answer"),
        () if addresses.clone().any(|address| address.answered == 0) => summary(Status::None, "Partly unknown"),
        () => summary(Status::Ok, "Clean"),
    }
}

/// One address, in text or in a table.
pub(crate) fn listing_status(address: &Address) -> AnyView {
    let standing = listings(std::iter::once(address));
    status(standing.status, &standing.word)
}

/// What lists said in a scan that nobody watches.
pub(crate) fn scanned(entries: &[ListEntry]) -> CheckSummary {
    let listed = entries.iter().filter(|entry| entry.state == ListState::Listed);
    match listed.clone().map(|entry| entry.severity).max() {
        Some(worst) => counted(u32::try_from(listed.count()).unwrap_or(u32::MAX), worst.into()),
        None if entries.is_empty() => summary(Status::None, "Not asked"),
        None if entries.iter().all(|entry| entry.state == ListState::Unknown) => summary(Status::None, "No answer"),
        None => summary(Status::Ok, "Clean"),
    }
}
