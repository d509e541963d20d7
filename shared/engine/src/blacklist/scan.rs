//! A scan: every subject on every list that takes it, at each list's pace, within a deadline. What is left then is unknown.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};
use waypost_types::{
    finding::Severity,
    listings::reasons,
    lists::ZoneHealth,
    outcome::{BlacklistReport, ListEntry, ListState, ScannedList},
};

use super::{
    asker::{Answer, Asker, too_late},
    catalog::{Kind, Zone},
    decode::{RESOLVER_HINT, decode},
    health::{GOOD_FOR, Health, LISTING_PROOF, Verdict},
    lists::{Lists, Wanted},
    pace::Pacing,
    plan::{Subject, query},
};
use crate::net::Net;

/// Failures in a row after which a list is asked no more and set aside.
const ENOUGH_FAILURES: u32 = 5;

/// Scans block lists. Cheap to clone; keep one per [`Net`], since it carries the limits, the health of the lists and recent answers.
#[derive(Debug, Clone)]
pub struct Scanner(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    asker: Asker,
    health: Health,
}

/// One subject to be asked at a list: its place in the scan, and the name to ask.
struct Question<'a> {
    at: usize,
    subject: &'a Subject,
    name: String,
}

impl Scanner {
    /// With no list examined yet, and the limits that are polite.
    pub fn new(net: &Net) -> Self {
        Self::with_pacing(net, Pacing::default())
    }

    /// With other limits; for lists of one's own.
    pub fn with_pacing(net: &Net, limits: Pacing) -> Self {
        Self(Arc::new(Inner { asker: Asker::new(net, limits), health: Health::default() }))
    }

    pub(super) fn asker(&self) -> &Asker {
        &self.0.asker
    }

    /// Looks for every subject on these lists, and is done after `limit` (8 s suit a page; [`Lists::time_for`] says what a worker should give).
    pub async fn scan(&self, subjects: &[Subject], lists: &Lists, limit: Duration) -> BlacklistReport {
        let deadline = Instant::now() + limit;
        // Loops, since a closure that returns borrowing futures would make the scan unfit for spawning.
        let mut scans = Vec::with_capacity(lists.wanted.len());
        for wanted in &lists.wanted {
            scans.push(self.scan_list(subjects, wanted, deadline));
        }
        let (mut found, mut rows) = (Vec::new(), Vec::new());
        for (wanted, entries) in lists.wanted.iter().zip(join_all(scans).await) {
            if !entries.is_empty() {
                rows.push(row(&wanted.zone, &entries));
            }
            found.extend(entries);
        }
        // Stable: within a subject the order of the lists stays.
        found.sort_by_key(|(subject, _)| *subject);
        let target = match subjects {
            [one] => one.to_string(),
            several => several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let entries = found.into_iter().map(|(_, entry)| entry).collect();
        BlacklistReport { target, entries, lists: rows, subjects: u32::try_from(subjects.len()).unwrap_or(u32::MAX) }
    }

    /// What is known of the lists examined so far; those with `ok: false` are set aside. For notices to the operator.
    pub fn health(&self) -> Vec<ZoneHealth> {
        self.0.health.all()
    }

    async fn scan_list(&self, subjects: &[Subject], wanted: &Wanted, deadline: Instant) -> Vec<(usize, ListEntry)> {
        let mut kinds: BTreeMap<u8, (Kind, Vec<Question<'_>>)> = BTreeMap::new();
        for (at, subject) in subjects.iter().enumerate() {
            if let Some(name) = query(subject, &wanted.zone, wanted.key.as_ref()) {
                let kind = subject.kind();
                kinds.entry(kind as u8).or_insert_with(|| (kind, Vec::new())).1.push(Question { at, subject, name });
            }
        }
        let mut found = Vec::new();
        for (kind, questions) in kinds.into_values() {
            found.extend(self.scan_kind(wanted, kind, questions, deadline).await);
        }
        found
    }

    async fn scan_kind(&self, wanted: &Wanted, kind: Kind, questions: Vec<Question<'_>>, deadline: Instant) -> Vec<(usize, ListEntry)> {
        let verdict = match &wanted.refused {
            Some(reason) => Verdict::Bad(reason.clone()),
            None => self.health_of(wanted, kind, GOOD_FOR, deadline).await,
        };
        let silence = match verdict {
            Verdict::Bad(reason) => {
                return questions.into_iter().map(|asked| (asked.at, unknown(&wanted.zone, asked.subject, reason.clone()))).collect();
            }
            Verdict::ListingsOnly(reason) => Some(reason),
            Verdict::Good => None,
        };
        let (failures, given_up) = (AtomicU32::new(0), AtomicBool::new(false));
        let mut entries = Vec::with_capacity(questions.len());
        let (mut questions, mut asking) = (questions.into_iter(), FuturesUnordered::new());
        loop {
            // Begun when it is their turn: one that waits would be moved about with all its room.
            for asked in questions.by_ref().take(self.0.asker.paces.at_once_per_zone() - asking.len()) {
                asking.push(self.entry(wanted, kind, asked, silence.as_deref(), deadline, (&failures, &given_up)));
            }
            match asking.next().await {
                Some(entry) => entries.push(entry),
                None => return entries,
            }
        }
    }

    /// The examination goes on when the scan has no time left for it, so that the next scan finds it done.
    async fn health_of(&self, wanted: &Wanted, kind: Kind, age: Duration, deadline: Instant) -> Verdict {
        let (this, of) = (self.clone(), wanted.clone());
        let exam = tokio::spawn(async move { this.0.health.of(&this.0.asker, &of, kind, age).await });
        match timeout_at(deadline, exam).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => Verdict::Bad("the list could not be tested".to_owned()),
            Err(_) => Verdict::Bad(too_late()),
        }
    }

    async fn entry(
        &self,
        wanted: &Wanted,
        kind: Kind,
        asked: Question<'_>,
        silence: Option<&str>,
        deadline: Instant,
        (failures, given_up): (&AtomicU32, &AtomicBool),
    ) -> (usize, ListEntry) {
        let (zone, subject) = (wanted.zone.as_ref(), asked.subject);
        if failures.load(Ordering::Relaxed) >= ENOUGH_FAILURES {
            let reason = format!("not asked: the list failed to answer several times in a row; {RESOLVER_HINT}");
            if !given_up.swap(true, Ordering::Relaxed) {
                Box::pin(self.0.health.set_aside(wanted, kind, reason.clone(), self.0.asker.now())).await;
            }
            return (asked.at, unknown(zone, subject, reason));
        }
        let answer = self.0.asker.answer(wanted, &asked.name, deadline).await;
        match answer {
            Answer::Failed(_) => failures.fetch_add(1, Ordering::Relaxed),
            Answer::NoTime(_) => 0,
            _ => failures.swap(0, Ordering::Relaxed),
        };
        let mut entry = read(zone, subject, answer, silence);
        if entry.state == ListState::Listed
            && let Verdict::Bad(reason) = Box::pin(self.health_of(wanted, kind, LISTING_PROOF, deadline)).await
        {
            entry = unknown(zone, subject, reason);
        }
        entry.reason = wanted.masked(entry.reason);
        (asked.at, entry)
    }
}

/// An answer as an entry. With `silence`, why the list's silence proves nothing.
fn read(zone: &Zone, subject: &Subject, answer: Answer, silence: Option<&str>) -> ListEntry {
    match answer {
        Answer::Absent => match silence {
            Some(reason) => unknown(zone, subject, reason.to_owned()),
            None => ListEntry { state: ListState::Clean, ..unknown(zone, subject, String::new()) },
        },
        Answer::Empty => unknown(zone, subject, "the list answers oddly: the name exists without an address, which proves nothing".to_owned()),
        Answer::Failed(reason) | Answer::NoTime(reason) => unknown(zone, subject, reason),
        Answer::Addresses(answers, text) => {
            let decoded = decode(zone, &answers);
            ListEntry {
                state: decoded.state,
                codes: answers.iter().map(ToString::to_string).collect(),
                meaning: decoded.meaning,
                reason: if decoded.state == ListState::Listed { text } else { decoded.reason },
                severity: decoded.severity,
                ..unknown(zone, subject, String::new())
            }
        }
    }
}

/// What the list told, summed up.
fn row(zone: &Zone, entries: &[(usize, ListEntry)]) -> ScannedList {
    let count = |state| u32::try_from(entries.iter().filter(|(_, entry)| entry.state == state).count()).unwrap_or(u32::MAX);
    let listed = count(ListState::Listed);
    let when_listed = |text: &str| if listed > 0 { text.to_owned() } else { String::new() };
    let silent = entries.iter().filter(|(_, entry)| entry.state == ListState::Unknown);
    ScannedList {
        list: zone.name.clone(),
        zone: zone.zone.clone(),
        id: zone.id.clone(),
        list_type: zone.list_type,
        severity: zone.severity,
        asked: u32::try_from(entries.len()).unwrap_or(u32::MAX),
        listed,
        clean: count(ListState::Clean),
        unknown: count(ListState::Unknown),
        reason: reasons(silent.map(|(_, entry)| entry.reason.as_str())),
        untold: Vec::new(),
        delisting: when_listed(&zone.delisting),
        effect: when_listed(&zone.severity_reason),
    }
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

impl Wanted {
    /// The text without the key: a list may say the name it was asked back, and so may a resolver.
    pub(super) fn masked(&self, text: String) -> String {
        if self.key.is_none() { text } else { String::from_utf8_lossy(&self.without(text.as_bytes())).into_owned() }
    }

    /// What a list says, for people: first the key is taken out, then the text is cut. The other way round a part of the key would be left.
    pub(super) fn shown(&self, text: &[u8], most: usize) -> String {
        crate::text::shown(self.without(text), most)
    }

    /// Keys are ASCII, so what is left of a text is a text.
    fn without<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let Some(key) = self.key.as_ref().map(|key| key.expose_secret().as_bytes()).filter(|key| !key.is_empty()) else { return text.into() };
        let mut masked = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.first() {
            if rest.get(..key.len()).is_some_and(|head| head.eq_ignore_ascii_case(key)) {
                masked.extend_from_slice("…".as_bytes());
                rest = &rest[key.len()..];
            } else {
                masked.push(*first);
                rest = &rest[1..];
            }
        }
        masked.into()
    }

    /// A verdict without the key.
    pub(super) fn without_key(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Good => Verdict::Good,
            Verdict::ListingsOnly(reason) => Verdict::ListingsOnly(self.masked(reason)),
            Verdict::Bad(reason) => Verdict::Bad(self.masked(reason)),
        }
    }
}
