//! How addresses and domains stand on block lists, in a few words. What no list could tell is never called clean, and of lists that could tell
//! it is said how many they are.

use leptos::prelude::*;
use waypost_types::{
    Severity,
    asset::Address,
    list_history::Standing,
    listings::ListCounts,
    outcome::{BlacklistReport, CheckSummary, Status},
    overview::Listed,
};

use super::status;
use crate::text;

fn summary(status: Status, word: impl Into<String>) -> CheckSummary {
    CheckSummary { status, word: word.into() }
}

fn counted(listed: u32, worst: Option<Severity>) -> CheckSummary {
    summary(worst.map_or(Status::Warn, Status::from), text::counted(listed, "listing", "listings"))
}

/// Asked of several addresses, and answered.
fn told<'a>(addresses: impl Iterator<Item = &'a Address> + Clone) -> CheckSummary {
    match () {
        () if addresses.clone().all(|address| address.asked == 0) => summary(Status::None, "Pending"),
        () if addresses.clone().all(|address| address.answered == 0) => summary(Status::None, "No answer"),
        () if addresses.clone().any(|address| address.answered == 0) => summary(Status::None, "Partly unknown"),
        () if addresses.clone().any(Address::is_untold) => summary(Status::None, "Few answers"),
        () => summary(Status::Ok, "No listing"),
    }
}

/// All addresses together: `listed` counts each listing once.
pub(crate) fn listings<'a>(addresses: impl Iterator<Item = &'a Address> + Clone, listed: Listed) -> CheckSummary {
    if listed.count > 0 { counted(listed.count, listed.worst) } else { told(addresses) }
}

/// A domain: its own name and the addresses of its hosts; nothing where none of these is watched.
pub(crate) fn of_domain<'a>(own: &[Standing], hosts: impl Iterator<Item = &'a Address> + Clone) -> Option<CheckSummary> {
    if !own.is_empty() {
        return Some(counted(u32::try_from(own.len()).unwrap_or(u32::MAX), own.iter().map(|listing| listing.severity).max()));
    }
    hosts.clone().next().map(|_| told(hosts))
}

/// One address, in text or in a table.
pub(crate) fn listing_status(address: &Address) -> AnyView {
    let standing = listings(std::iter::once(address), Listed { count: address.listed, worst: address.worst });
    status(standing.status, &standing.word)
}

/// What lists said in a scan that nobody watches. Praise and scores are no listings.
pub(crate) fn scanned(report: &BlacklistReport) -> CheckSummary {
    let counts = report.counts();
    let (told, silent) = report.lists_told();
    match report.listings().map(|(entry, _)| entry.severity).max() {
        Some(worst) => counted(counts.listed, Some(worst)),
        None if counts == ListCounts::default() => summary(Status::None, "Not asked"),
        None if told == 0 => summary(Status::None, "No answer"),
        None if told < silent => summary(Status::None, "Few answers"),
        None => summary(Status::Ok, "No listing"),
    }
}

/// The same where nothing is listed, with how many lists that rests on: `No listing on 12 lists; 30 did not answer`.
pub(crate) fn rests_on(report: &BlacklistReport) -> Option<String> {
    let (told, silent) = report.lists_told();
    let lists = |many: usize| text::counted(u32::try_from(many).unwrap_or(u32::MAX), "list", "lists");
    match (report.listings().next(), told, silent) {
        (Some(_), ..) | (None, 0, _) => None,
        (None, told, 0) => Some(format!("No listing on {}", lists(told))),
        (None, told, silent) => Some(format!("No listing on {}; {silent} did not answer", lists(told))),
    }
}

#[cfg(test)]
mod tests {
    use waypost_types::outcome::{ListEntry, ListState};

    use super::*;

    fn scan(states: &[(ListState, u8)]) -> BlacklistReport {
        let entries = states.iter().enumerate().flat_map(|(kind, (state, many))| {
            (0..*many).map(move |nth| ListEntry {
                subject: "192.0.2.7".to_owned(),
                list: format!("{kind} {nth}"),
                zone: format!("{kind}.{nth}.example"),
                state: *state,
                codes: Vec::new(),
                meaning: String::new(),
                reason: String::new(),
                severity: Severity::High,
                delist_url: None,
            })
        });
        BlacklistReport { entries: entries.collect(), ..BlacklistReport::empty("192.0.2.7") }
    }

    #[test]
    fn a_few_answers_are_no_all_clear() {
        use ListState::{Clean, Listed, Unknown};
        for (states, status, word, said) in [
            (&[(Clean, 12), (Unknown, 3)][..], Status::Ok, "No listing", Some("No listing on 12\u{a0}lists; 3 did not answer")),
            (&[(Clean, 12)], Status::Ok, "No listing", Some("No listing on 12\u{a0}lists")),
            (&[(Clean, 1), (Unknown, 30)], Status::None, "Few answers", Some("No listing on 1\u{a0}list; 30 did not answer")),
            (&[(Unknown, 30)], Status::None, "No answer", None),
            (&[(Listed, 1), (Unknown, 30)], Status::Bad, "1\u{a0}listing", None),
        ] {
            let report = scan(states);
            assert_eq!(scanned(&report), summary(status, word), "{states:?}");
            assert_eq!(rests_on(&report).as_deref(), said);
        }
    }
}
