//! Stays on block lists: from when to when something is on which list, and whose mail a listing concerns.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use waypost_engine::blacklist::lasting_zone;
use waypost_store::{
    OrgTx,
    listings::{CurrentListing, EndedListing},
};
use waypost_types::{
    MonitorId,
    conditions::Conditions,
    list_history::ListingEnd,
    outcome::{ListEntry, ListState, Outcome},
};

use crate::{
    WorkerError,
    carry::{Standing, given_up, listing_id, standing, state_of},
    incidents::{Step, What},
    wording::mail_of,
};

/// A scan whose listings are followed.
pub(crate) struct Scan<'a> {
    pub monitor: MonitorId,
    pub outcome: &'a Outcome,
    /// What is remembered from now on.
    pub conditions: &'a Conditions,
    pub at: DateTime<Utc>,
}

/// What is listed begins or goes on; what is seen to be gone, is not asked any more or was silent for too long ends.
pub(crate) async fn follow(tx: &mut OrgTx, scans: impl Iterator<Item = Scan<'_>>) -> Result<(), WorkerError> {
    for Scan { monitor, outcome, conditions, at } in scans {
        let Outcome::Blacklist(report) = outcome else { continue };
        let lasting = |entry: &ListEntry| ListEntry { zone: lasting_zone(&entry.zone).to_owned(), ..entry.clone() };
        let listed: Vec<ListEntry> = report.listings().map(|(entry, _)| lasting(entry)).collect();
        // A domain is no network: its own stays are all there are.
        let current = tx.current_listings(monitor, report.target.parse().ok()).await?;
        tx.begin_listings(monitor, &listed, at).await?;
        let over = |stay: CurrentListing| {
            let id = listing_id(&stay.subject, &stay.zone);
            let (ended_at, ending) = match standing(&id, outcome) {
                Standing::Told if state_of(report, &stay.subject, &stay.zone) == ListState::Clean && stay.seen_at < at => (at, ListingEnd::Gone),
                // An address and its network are two monitors: of what the other saw only a plain answer is believed.
                _ if stay.monitor != monitor => return None,
                Standing::NotAsked => (at, ListingEnd::NotAsked),
                // What came after it was last seen nobody knows.
                Standing::Untold if given_up(conditions, &id, at) => (stay.seen_at, ListingEnd::Untold),
                Standing::Told | Standing::Untold => return None,
            };
            Some(EndedListing { id: stay.id, ended_at, ending })
        };
        let over: Vec<EndedListing> = current.into_iter().filter_map(over).collect();
        tx.end_listings(&over, at).await?;
    }
    Ok(())
}

/// Says of incidents about listed addresses whose mail goes through them.
pub(crate) async fn name_domains(tx: &mut OrgTx, steps: &mut [Step<'_>]) -> Result<(), WorkerError> {
    let is_address = |subject: &str| subject.parse::<IpAddr>().is_ok();
    for step in steps {
        let (What::Stands { summary, better: false, .. }, Outcome::Blacklist(report)) = (&mut step.what, step.outcome) else { continue };
        let subjects: Vec<String> = match step.condition.split_once('|') {
            Some((subject, _)) if is_address(subject) => vec![subject.to_owned()],
            _ => report.listings().map(|(entry, _)| entry.subject.clone()).filter(|subject| is_address(subject)).collect(),
        };
        if subjects.is_empty() {
            continue;
        }
        let mut names: Vec<String> = tx.domains_behind(&subjects, None).await?.into_iter().map(|behind| behind.name).collect();
        names.dedup();
        if let Some(said) = mail_of(&names) {
            *summary = format!("{summary} {said}");
        }
    }
    Ok(())
}
