//! Whether a zone can be believed: its listed test point answers, its clean one and made-up ones do not (RFC 5782 5). Kept for an hour, a
//! failure for five minutes and longer when it lasts.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use secrecy::ExposeSecret;
use tokio::{
    sync::{Mutex as Flight, Semaphore},
    time::{Instant, timeout_at},
};
use waypost_types::{lists::ZoneHealth, outcome::ListState};

use super::{
    asker::{Answer, Asker},
    catalog::{Kind, Zone},
    decode::{RESOLVER_HINT, decode},
    lists::Wanted,
    plan::{TestPoints, test_points},
};
use crate::shelf::Shelf;

/// How long a good verdict stands.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(3600);
/// A listing wants a proof not older than this: a list may begin to list the world between two examinations.
pub(super) const LISTING_PROOF: Duration = Duration::from_secs(300);
/// Doubled with every failure in a row, up to [`GOOD_FOR`].
const BAD_FOR: Duration = Duration::from_secs(300);
/// An examination has this long, whatever the scan that asked for it; others profit from it.
const EXAM_TIME: Duration = Duration::from_secs(30);
/// Published test points tried.
const MAX_POINTS: usize = 3;
/// Zones remembered.
const KEPT: usize = 10_000;
/// Examinations of lists of the catalog that go on at once; at the start every list wants one.
pub(super) const EXAMS_AT_ONCE: usize = 16;
/// And of private lists: those of one organisation that never answer must not keep the catalog's from being tested.
const PRIVATE_EXAMS_AT_ONCE: usize = 4;

/// What an examination says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answers and silence can be believed.
    Good,
    /// Answers can be believed; silence proves nothing, and why.
    ListingsOnly(String),
    /// Nothing can be believed, and why.
    Bad(String),
}

/// A verdict, and until when it holds.
#[derive(Debug, Clone)]
struct Held {
    verdict: Verdict,
    since: Instant,
    until: Instant,
    failures: u32,
}

impl Held {
    fn after(before: Option<&Self>, verdict: Verdict) -> Self {
        let bad = matches!(verdict, Verdict::Bad(_));
        let failures = if bad { before.map_or(0, |held| held.failures).saturating_add(1) } else { 0 };
        let hold = if bad { (BAD_FOR * 2_u32.pow((failures - 1).min(8))).min(GOOD_FOR) } else { GOOD_FOR };
        let since = Instant::now();
        Self { verdict, since, until: since + hold, failures }
    }

    fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Bad(_))
    }

    fn stands(&self, age: Duration) -> bool {
        Instant::now() < self.until && (self.is_bad() || self.since.elapsed() < age)
    }
}

/// What is known about one zone; whoever examines it holds the verdict's lock.
#[derive(Default)]
struct Known {
    verdict: Flight<Option<Held>>,
    shown: Mutex<Option<ZoneHealth>>,
}

/// What is known about the zones, by the name under which they are asked and the kind of subject. Such names may have keys in them.
pub(super) struct Health {
    zones: Mutex<Shelf<(String, Kind), Known>>,
    exams: Semaphore,
    private_exams: Semaphore,
}

impl Default for Health {
    fn default() -> Self {
        // What is known of a zone is short: the count bounds it.
        Self {
            zones: Mutex::new(Shelf::new(KEPT, usize::MAX)),
            exams: Semaphore::new(EXAMS_AT_ONCE),
            private_exams: Semaphore::new(PRIVATE_EXAMS_AT_ONCE),
        }
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

impl Health {
    /// The verdict about a zone for a kind of subject, asked for once however many wait for it. A good one is not older than `age`.
    pub async fn of(&self, asker: &Asker, wanted: &Wanted, kind: Kind, age: Duration) -> Verdict {
        let known = self.known(wanted, kind);
        let no_time = || Verdict::Bad("there was no time to test the list; it is tried again at the next scan".to_owned());
        let patience = Instant::now() + EXAM_TIME;
        // Others may wait for a place with the verdict in hand: all of the waiting ends at once.
        let Ok(mut held) = timeout_at(patience, known.verdict.lock()).await else { return no_time() };
        if let Some(held) = held.as_ref().filter(|held| held.stands(age)) {
            return held.verdict.clone();
        }
        let places = if wanted.private { &self.private_exams } else { &self.exams };
        let Ok(Ok(_turn)) = timeout_at(patience, places.acquire()).await else { return no_time() };
        let points = test_points(&wanted.zone, kind, wanted.key.as_ref(), rand::random());
        let deadline = Instant::now() + EXAM_TIME;
        let verdict = wanted.without_key(examine(asker, wanted, &points, deadline).await);
        if matches!(verdict, Verdict::Bad(_)) && Instant::now() >= deadline {
            // Too much to do here is no fault of the list.
            return verdict;
        }
        *held = Some(Held::after(held.as_ref(), verdict.clone()));
        known.show(wanted, kind, &verdict, asker.now());
        verdict
    }

    /// Sets a zone aside that stopped answering.
    pub async fn set_aside(&self, wanted: &Wanted, kind: Kind, reason: String, now: DateTime<Utc>) {
        let known = self.known(wanted, kind);
        let verdict = Verdict::Bad(reason);
        let mut held = known.verdict.lock().await;
        // Scans side by side all notice it; it counts once.
        if held.as_ref().is_some_and(|held| held.is_bad() && held.stands(GOOD_FOR)) {
            return;
        }
        *held = Some(Held::after(held.as_ref(), verdict.clone()));
        known.show(wanted, kind, &verdict, now);
    }

    /// What is known about every zone that was examined.
    pub fn all(&self) -> Vec<ZoneHealth> {
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<ZoneHealth> =
            zones.values().filter_map(|known| known.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect();
        all.sort_by(|a, b| a.zone.cmp(&b.zone).then_with(|| (a.kind as u8).cmp(&(b.kind as u8))));
        all
    }

    fn known(&self, wanted: &Wanted, kind: Kind) -> Arc<Known> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).place((key_of(wanted), kind))
    }
}

impl Known {
    fn show(&self, wanted: &Wanted, kind: Kind, verdict: &Verdict, now: DateTime<Utc>) {
        let (ok, reason) = match verdict {
            Verdict::Good => (true, String::new()),
            Verdict::ListingsOnly(reason) => (true, reason.clone()),
            Verdict::Bad(reason) => (false, reason.clone()),
        };
        let mut told = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let since = told.as_ref().filter(|told| told.ok == ok).map_or(now, |told| told.since);
        let (id, zone) = (wanted.zone.id.clone(), wanted.zone.zone.clone());
        *told = Some(ZoneHealth { id, zone, kind, ok, reason, since, keyed: wanted.key.is_some(), private: wanted.private });
    }
}

fn key_of(wanted: &Wanted) -> String {
    match &wanted.key {
        Some(key) => format!("{}.{}", key.expose_secret(), wanted.zone.zone),
        None => wanted.zone.zone.clone(),
    }
}

async fn examine(asker: &Asker, wanted: &Wanted, points: &TestPoints, deadline: Instant) -> Verdict {
    let ask = async |name: &String| asker.ask_ahead(&wanted.zone, name, deadline).await;
    let (published, standard, clean, controls) = tokio::join!(
        first_listed(asker, wanted, &points.published, deadline),
        async {
            match &points.standard {
                Some(point) => Some(first_listed(asker, wanted, std::slice::from_ref(point), deadline).await),
                None => None,
            }
        },
        ask(&points.clean),
        join_all(points.controls.iter().map(ask)),
    );
    if let Point::Silent(reason) | Point::Fault(reason) = published {
        return Verdict::Bad(reason);
    }
    let clean = match clean {
        Answer::Absent => None,
        Answer::Empty => Some(format!("the list answers oddly for its clean test point {}: the name exists without an address", points.clean)),
        Answer::Addresses(..) => {
            Some(format!("the list answers for its clean test point {} too: it lists everything, or the resolver invents answers", points.clean))
        }
        Answer::Failed(reason) | Answer::NoTime(reason) => Some(format!("the list could not be tested: {reason}")),
    };
    if let Some(reason) = clean {
        // Of a zone that can not be tested at all the fault is the better reason.
        return Verdict::Bad(if let Some(Point::Fault(fault)) = standard { fault } else { reason });
    }
    if let Some(reason) = world(asker, wanted, points, &controls, deadline).await {
        return Verdict::Bad(reason);
    }
    match standard {
        None | Some(Point::Listed | Point::None) => Verdict::Good,
        Some(Point::Silent(reason)) => Verdict::ListingsOnly(reason),
        Some(Point::Fault(reason)) => Verdict::Bad(reason),
    }
}

/// Whether a zone that keeps its clean test point clean lists the world all the same; and why it seems so.
async fn world(asker: &Asker, wanted: &Wanted, points: &TestPoints, controls: &[Answer], deadline: Instant) -> Option<String> {
    // An error to a made-up name may mean no more than that the name is odd; the test points tell whether the list refuses us.
    let listed = |answer: &Answer| matches!(answer, Answer::Addresses(addresses, _) if decode(&wanted.zone, addresses).state == ListState::Listed);
    let at = controls.iter().position(listed)?;
    let control = points.controls.get(at)?;
    let everything = format!("the list answers for the made-up name {control} too: it lists everything, or the resolver invents answers");
    if at == 0 {
        return Some(everything);
    }
    // The made-up address is of a network nobody uses, which some lists have; what everybody uses no list has.
    let ask = async |name: &String| asker.ask_ahead(&wanted.zone, name, deadline).await;
    let known = join_all(points.well_known.iter().map(ask)).await;
    if known.iter().any(|answer| matches!(answer, Answer::Absent)) { None } else { Some(everything) }
}

/// What test points that must answer did.
enum Point {
    /// There are none.
    None,
    /// One answered as it should.
    Listed,
    /// The list does not know them.
    Silent(String),
    /// An error, or no answer at all.
    Fault(String),
}

async fn first_listed(asker: &Asker, wanted: &Wanted, points: &[String], deadline: Instant) -> Point {
    let mut result = Point::None;
    // A test point may carry a code of its own that no table has.
    let zone = Zone { strict: false, ..wanted.zone.as_ref().clone() };
    for point in points.iter().take(MAX_POINTS) {
        result = match asker.ask_ahead(&wanted.zone, point, deadline).await {
            Answer::Addresses(answers, _) => {
                let decoded = decode(&zone, &answers);
                match decoded.state {
                    ListState::Listed | ListState::Clean => return Point::Listed,
                    ListState::Unknown => Point::Fault(format!("the list answers its own test point with an error: {}", decoded.reason)),
                }
            }
            Answer::Absent | Answer::Empty => Point::Silent(format!(
                "the list does not know its own test point {point}: it is dead, emptied, refuses this resolver or has none of this kind, so \
                 that its silence proves nothing; {RESOLVER_HINT}"
            )),
            Answer::Failed(reason) | Answer::NoTime(reason) => return Point::Fault(format!("the list could not be tested: {reason}")),
        };
    }
    result
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        blacklist::{Lists, Pacing},
        net::{Net, NetConfig},
    };

    #[tokio::test(start_paused = true)]
    async fn a_list_that_stays_broken_is_looked_at_less_often() {
        let bad = || Verdict::Bad("dead".to_owned());
        let mut held = Held::after(None, bad());
        for minutes in [5, 10, 20, 40, 60, 60] {
            assert_eq!(held.until - Instant::now(), Duration::from_secs(minutes * 60));
            held = Held::after(Some(&held), bad());
        }
        held = Held::after(Some(&held), Verdict::Good);
        assert_eq!(held.until - Instant::now(), GOOD_FOR);
        assert_eq!(Held::after(Some(&held), bad()).until - Instant::now(), BAD_FOR);
    }

    #[tokio::test(start_paused = true)]
    async fn private_lists_wait_for_each_other_for_a_bounded_time_and_keep_no_other_from_its_place() {
        // Nobody answers there.
        let net = Net::new(NetConfig { resolvers: vec!["127.0.0.1:9".parse().unwrap()], ..NetConfig::default() }).unwrap();
        let (health, asker) = (Health::default(), Asker::new(&net, Pacing::default()));
        let _all = health.private_exams.acquire_many(PRIVATE_EXAMS_AT_ONCE.try_into().unwrap()).await.unwrap();
        let verdict = async |zone: &str| {
            let lists = Lists::named(&[zone.to_owned()], &BTreeMap::new());
            match health.of(&asker, &lists.wanted[0], Kind::Ip4, GOOD_FOR).await {
                Verdict::Bad(reason) => reason,
                other => panic!("{other:?}"),
            }
        };
        // However many wait for the same list, none does for longer.
        let before = Instant::now();
        let waiting = join_all((0..5).map(|_| verdict("private.example"))).await;
        assert!(waiting.iter().all(|reason| reason.contains("no time to test")) && before.elapsed() < EXAM_TIME * 2, "{waiting:?}");
        assert!(!verdict("bl.spamcop.net").await.contains("no time to test"));
    }
}
