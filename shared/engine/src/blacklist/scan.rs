//! A scan: every subject on every list that takes it, at most so many questions at once, within a deadline. What is left then is unknown.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, future::join_all, stream};
use tokio::{
    sync::{Mutex as Flight, Semaphore},
    time::{Instant, timeout_at},
};
use waypost_types::{
    finding::Severity,
    outcome::{BlacklistReport, ListEntry, ListState},
};

use super::{
    catalog::{self, Zone},
    decode::{RESOLVER_HINT, decode},
    health::Health,
    plan::{Subject, query},
};
use crate::net::{Absence, Lookup, Net};

/// Questions at once, over all lists.
const AT_ONCE: usize = 64;
/// Questions at once to one list.
const AT_ONCE_PER_ZONE: usize = 4;
/// Failures in a row after which a scan asks a list no more.
const ENOUGH_FAILURES: u32 = 5;
/// An answer is good for everybody who asks within this time.
const FRESH: Duration = Duration::from_secs(30);
/// Answers kept.
const KEPT: usize = 20_000;

type Flights = HashMap<String, Arc<Flight<Option<(Instant, ListEntry)>>>>;

/// Scans block lists. Cheap to clone; keep one per [`Net`], since it carries the limits, the health of the lists and recent answers.
#[derive(Debug, Clone)]
pub struct Scanner(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    net: Net,
    health: Health,
    global: Semaphore,
    zones: Mutex<HashMap<String, Arc<Semaphore>>>,
    flights: Mutex<Flights>,
}

/// A list of a scan: to be asked, or the reason why not.
struct Wanted {
    zone: Cow<'static, Zone>,
    refused: Option<String>,
}

impl Scanner {
    /// With no list examined yet.
    pub fn new(net: &Net) -> Self {
        Self(Arc::new(Inner {
            net: net.clone(),
            health: Health::default(),
            global: Semaphore::new(AT_ONCE),
            zones: Mutex::default(),
            flights: Mutex::default(),
        }))
    }

    /// Looks for every subject on the lists named by id, name or DNS suffix, or on all that are asked by default, and is done after `limit`
    /// (8 s suit a page, 60 s a worker).
    pub async fn scan(&self, subjects: &[Subject], zones: Option<&[String]>, limit: Duration) -> BlacklistReport {
        let deadline = Instant::now() + limit;
        let wanted: Vec<Wanted> = match zones {
            None => catalog::default_zones().map(|zone| Wanted { zone: Cow::Borrowed(zone), refused: None }).collect(),
            Some(words) => words.iter().map(|word| wanted(word)).collect(),
        };
        // Loops, since a closure that returns borrowing futures would make the scan unfit for spawning.
        let mut lists = Vec::with_capacity(wanted.len());
        for wanted in &wanted {
            lists.push(self.scan_zone(subjects, wanted, deadline));
        }
        let mut found: Vec<(usize, ListEntry)> = join_all(lists).await.into_iter().flatten().collect();
        // Stable: within a subject the order of the lists stays.
        found.sort_by_key(|(subject, _)| *subject);
        let target = match subjects {
            [one] => one.to_string(),
            several => several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        BlacklistReport { target, entries: found.into_iter().map(|(_, entry)| entry).collect() }
    }

    async fn scan_zone(&self, subjects: &[Subject], wanted: &Wanted, deadline: Instant) -> Vec<(usize, ListEntry)> {
        let zone = wanted.zone.as_ref();
        let questions: Vec<(usize, &Subject, String)> =
            subjects.iter().enumerate().filter_map(|(at, subject)| query(subject, zone).map(|name| (at, subject, name))).collect();
        if let Some(reason) = &wanted.refused {
            return questions.into_iter().map(|(at, subject, _)| (at, unknown(zone, subject, reason.clone()))).collect();
        }
        if questions.is_empty() {
            return Vec::new();
        }
        match timeout_at(deadline, self.0.health.of(&self.0.net, zone)).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return questions.into_iter().map(|(at, subject, _)| (at, unknown(zone, subject, reason.clone()))).collect(),
            Err(_) => return questions.into_iter().map(|(at, subject, _)| (at, unknown(zone, subject, too_late()))).collect(),
        }
        let failures = AtomicU32::new(0);
        let mut entries = Vec::with_capacity(questions.len());
        for (at, subject, name) in questions {
            entries.push(self.entry_unless_hopeless(zone, at, subject, name, deadline, &failures));
        }
        stream::iter(entries).buffered(AT_ONCE_PER_ZONE).collect().await
    }

    async fn entry_unless_hopeless(
        &self,
        zone: &Zone,
        at: usize,
        subject: &Subject,
        name: String,
        deadline: Instant,
        failures: &AtomicU32,
    ) -> (usize, ListEntry) {
        if failures.load(Ordering::Relaxed) >= ENOUGH_FAILURES {
            let reason = format!("not asked: the list failed to answer several times in a row; {RESOLVER_HINT}");
            return (at, unknown(zone, subject, reason));
        }
        let entry = timeout_at(deadline, self.entry(zone, subject, &name)).await.unwrap_or_else(|_| unknown(zone, subject, too_late()));
        if entry.state == ListState::Unknown {
            failures.fetch_add(1, Ordering::Relaxed);
        } else {
            failures.store(0, Ordering::Relaxed);
        }
        (at, entry)
    }

    async fn entry(&self, zone: &Zone, subject: &Subject, name: &str) -> ListEntry {
        let flight = self.flight(name);
        let mut known = flight.lock().await;
        if let Some((when, entry)) = &*known
            && when.elapsed() < FRESH
        {
            return entry.clone();
        }
        let entry = self.ask(zone, subject, name).await;
        if entry.state != ListState::Unknown {
            *known = Some((Instant::now(), entry.clone()));
        }
        entry
    }

    fn flight(&self, name: &str) -> Arc<Flight<Option<(Instant, ListEntry)>>> {
        let mut flights = self.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.len() >= KEPT {
            // Those that are neither in the air nor fresh; an entry that is locked is in the air.
            flights.retain(|_, flight| flight.try_lock().map_or(true, |known| known.as_ref().is_some_and(|(when, _)| when.elapsed() < FRESH)));
        }
        flights.entry(name.to_owned()).or_default().clone()
    }

    fn turn(&self, zone: &Zone) -> Arc<Semaphore> {
        let mut zones = self.0.zones.lock().unwrap_or_else(PoisonError::into_inner);
        zones.entry(zone.zone.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_PER_ZONE))).clone()
    }

    async fn ask(&self, zone: &Zone, subject: &Subject, name: &str) -> ListEntry {
        let turn = self.turn(zone);
        let (Ok(_turn), Ok(_slot)) = (turn.acquire().await, self.0.global.acquire().await) else {
            return unknown(zone, subject, "the scanner is shutting down".to_owned());
        };
        let answers = match self.0.net.dns().a(name).await {
            Lookup::Missing(Absence::NxDomain) => {
                return ListEntry { state: ListState::Clean, ..unknown(zone, subject, String::new()) };
            }
            Lookup::Missing(Absence::NoData) => {
                return unknown(zone, subject, "the list answers oddly: the name exists without an address, which proves nothing".to_owned());
            }
            Lookup::Failed(failure) => return unknown(zone, subject, format!("{failure}; {RESOLVER_HINT}")),
            Lookup::Found(answers) => answers,
        };
        let decoded = decode(zone, &answers);
        let mut reason = decoded.reason;
        if decoded.state == ListState::Listed
            && let Ok(Lookup::Found(texts)) = tokio::time::timeout(Duration::from_secs(3), self.0.net.dns().txt(name)).await
        {
            reason = texts.first().map(|text| shown(text)).unwrap_or_default();
        }
        ListEntry {
            state: decoded.state,
            codes: answers.iter().map(ToString::to_string).collect(),
            meaning: decoded.meaning,
            reason,
            severity: decoded.severity,
            ..unknown(zone, subject, String::new())
        }
    }
}

fn wanted(word: &str) -> Wanted {
    if let Some(retired) = catalog::retired(word) {
        let refused = Some(format!("this list is retired and is never asked: {}", retired.note));
        return Wanted { zone: Cow::Owned(catalog::foreign(word)), refused };
    }
    let Some(zone) = catalog::find(word) else { return Wanted { zone: Cow::Owned(catalog::foreign(word)), refused: None } };
    let refused = if !zone.queryable {
        Some(format!("this list has no DNS zone; look the subject up at {}", zone.lookup_url))
    } else if zone.needs_key {
        Some(format!("this list answers with a key or account only. {}", zone.query_policy))
    } else {
        None
    };
    Wanted { zone: Cow::Borrowed(zone), refused }
}

fn unknown(zone: &Zone, subject: &Subject, reason: String) -> ListEntry {
    ListEntry {
        subject: subject.to_string(),
        list: zone.name.clone(),
        zone: zone.zone.clone(),
        state: ListState::Unknown,
        codes: Vec::new(),
        meaning: String::new(),
        reason,
        severity: zone.severity.max(Severity::Info),
        delist_url: (!zone.delist_url.is_empty()).then(|| zone.delist_url.clone()),
    }
}

fn too_late() -> String {
    "no answer before the scan's deadline".to_owned()
}

/// The text of a listing, safe to show.
fn shown(text: &[u8]) -> String {
    crate::probe::shown(text, 500)
}
