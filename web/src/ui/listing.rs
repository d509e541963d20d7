//! How addresses stand on block lists, in a few words. What no list could tell is never called clean.

use leptos::prelude::*;
use waypost_types::{
    asset::Address,
    judge::MonitorState,
    listings::ListCounts,
    outcome::{BlacklistReport, CheckSummary, Status},
};

use super::status;
use crate::text;

fn summary(status: Status, word: impl Into<String>) -> CheckSummary {
    CheckSummary { status, word: word.into() }
}

fn counted(listed: u32, status: Status) -> CheckSummary {
    summary(status, text::counted(listed, "listing", "listings"))
}

/// Several addresses together, and a domain's own scan; the worst sets the whole.
pub(crate) fn listings<'a>(addresses: impl Iterator<Item = &'a Address> + Clone, domain: Option<&BlacklistReport>) -> CheckSummary {
    let own = domain.map_or(0, |scan| scan.counts().listed);
    let listed: u32 = own + addresses.clone().map(|address| address.listed).sum::<u32>();
    let down = addresses.clone().any(|address| address.state == MonitorState::Down) || domain.is_some_and(|scan| scanned(scan).status == Status::Bad);
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
    let standing = listings(std::iter::once(address), None);
    status(standing.status, &standing.word)
}

/// What lists said in a scan that nobody watches. Praise and scores are no listings.
pub(crate) fn scanned(report: &BlacklistReport) -> CheckSummary {
    let counts = report.counts();
    match report.listings().map(|(entry, _)| entry.severity).max() {
        Some(worst) => counted(counts.listed, worst.into()),
        None if counts == ListCounts::default() => summary(Status::None, "Not asked"),
        None if report.lists_told().0 == 0 => summary(Status::None, "No answer"),
        None => summary(Status::Ok, "Clean"),
    }
}
