//! Public lookups: one run per domain or address at a time whoever asks, its answer kept for minutes, at most some runs at once, and an answer
//! in time even where parts are missing.

mod address;
mod domain;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use futures::{FutureExt, future::Shared};
use tokio::sync::{OnceCell, Semaphore};
use waypost_engine::{
    blacklist::{Lists, Scanner, Subject, catalog_info},
    net::Net,
};
use waypost_types::{
    DomainName,
    list_settings::ListTrial,
    lists::{CustomList, ListInfo},
    outcome::{BlacklistReport, ListEntry, ListState},
};

use crate::http::problem::ApiError;

/// How long an answer is given again, and one with missing parts.
const KEEP: Duration = Duration::from_secs(300);
const KEEP_INCOMPLETE: Duration = Duration::from_secs(60);
const MAX_KEPT: usize = 1_000;
/// Bytes of answers and pictures that are kept: an answer of a domain with many hosts on many lists is a thousand times a small one.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;
const AT_ONCE: usize = 16;
/// The audit's share of the ten seconds, that of reverse names, and the block lists'.
const AUDIT_TIME: Duration = Duration::from_millis(6_500);
const REVERSE_TIME: Duration = Duration::from_millis(5_000);
const LISTS_TIME: Duration = Duration::from_millis(2_500);
/// How long a lookup waits for a free place before it says that too many run.
const QUEUE_TIME: Duration = Duration::from_secs(2);

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Asked {
    /// A domain.
    Domain(DomainName),
    /// An address, in canonical form.
    Address(IpAddr),
}

/// What a run gave: the answer as JSON, and whether everything answered in time.
#[derive(Debug, Clone)]
struct Answer {
    json: Bytes,
    complete: bool,
}

/// `None` when no place was free.
type Running = Shared<futures::future::BoxFuture<'static, Option<Answer>>>;
/// The preview picture of an answer, drawn when it is asked for.
type Picture = Arc<OnceCell<Bytes>>;

#[derive(Debug, Clone)]
struct Kept {
    run: Running,
    at: Instant,
    picture: Picture,
}

impl Kept {
    /// Nothing while it runs: then it is waited for, and so few run at once that they are no matter.
    fn bytes(&self) -> usize {
        let answer = self.run.peek().and_then(Option::as_ref).map_or(0, |answer| answer.json.len());
        answer + self.picture.get().map_or(0, Bytes::len)
    }

    /// True while it is given to whoever asks: it runs, or it is young enough for what it could tell.
    fn is_current(&self) -> bool {
        self.at.elapsed()
            < match self.run.peek() {
                Some(None) => return false,
                Some(Some(answer)) if !answer.complete => KEEP_INCOMPLETE,
                _ => KEEP,
            }
    }
}

/// Runs lookups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lookups {
    net: Net,
    scanner: Scanner,
    runs: Arc<Mutex<HashMap<Asked, Kept>>>,
    places: Arc<Semaphore>,
}

impl Lookups {
    /// Over this network.
    pub fn new(net: Net) -> Self {
        Self { scanner: Scanner::new(&net), net, runs: Arc::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The lookup as JSON: one that is kept, the one that runs, or a new one.
    pub async fn json(&self, asked: &Asked) -> Result<Bytes, ApiError> {
        self.with_picture(asked).await.map(|(json, _)| json)
    }

    /// The same, with the place of its preview picture.
    pub async fn with_picture(&self, asked: &Asked) -> Result<(Bytes, Picture), ApiError> {
        let kept = self.run(asked);
        match kept.run.await {
            Some(answer) => Ok((answer.json, kept.picture)),
            None => Err(ApiError::TooMany { seconds: 5 }),
        }
    }

    /// An answer that is there, with the place of its picture: one with missing parts, too, which a look-up would ask for anew. A picture of what
    /// somebody just saw costs nobody a run.
    pub(crate) fn seen_lately(&self, asked: &Asked) -> Option<(Bytes, Picture)> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = runs.get(asked).filter(|kept| kept.at.elapsed() < KEEP)?;
        let answer = kept.run.peek()?.as_ref()?;
        Some((answer.json.clone(), Arc::clone(&kept.picture)))
    }

    /// True when an answer costs nothing.
    pub fn is_kept(&self, asked: &Asked) -> bool {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(asked).is_some_and(Kept::is_current)
    }

    /// Tries a private list of an organisation.
    pub async fn try_private(&self, list: &CustomList, limit: Duration) -> Vec<ListTrial> {
        self.scanner.try_private(list, limit).await
    }

    /// Refuses addresses that are not on the public internet: block lists know nothing of them, and asking names our own network.
    pub fn check(&self, address: IpAddr) -> Result<(), String> {
        self.net
            .egress_check(address)
            .map_err(|denied| format!("{} is {}: it is not on the public internet, so no block list knows it.", denied.address, denied.reason))
    }

    fn run(&self, asked: &Asked) -> Kept {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = runs.get(asked)
            && kept.is_current()
        {
            return kept.clone();
        }
        make_room(&mut runs, MAX_KEPT, MAX_KEPT_BYTES);
        let (this, name) = (self.clone(), asked.clone());
        // On its own task: a visitor who leaves does not stop it for the others.
        let task = tokio::spawn(async move { this.look(&name).await });
        let run: Running = async move { task.await.ok().flatten() }.boxed().shared();
        let kept = Kept { run, at: Instant::now(), picture: Picture::default() };
        runs.insert(asked.clone(), kept.clone());
        kept
    }

    async fn look(&self, asked: &Asked) -> Option<Answer> {
        let _place = tokio::time::timeout(QUEUE_TIME, self.places.acquire()).await.ok()?.ok()?;
        let (complete, json) = match asked {
            Asked::Domain(name) => {
                let found = domain::look(&self.net, &self.scanner, name).await;
                (found.complete, serde_json::to_vec(&found))
            }
            Asked::Address(address) => {
                let found = address::look(&self.net, &self.scanner, *address).await;
                (found.complete, serde_json::to_vec(&found))
            }
        };
        match json {
            Ok(json) => Some(Answer { json: json.into(), complete }),
            Err(error) => {
                tracing::error!(%error, "a lookup could not be written");
                None
            }
        }
    }
}

/// Lets go of what is stale, and then of the older half of what is finished, until one more fits: what runs is waited for.
fn make_room(runs: &mut HashMap<Asked, Kept>, most: usize, most_bytes: usize) {
    let full = |runs: &HashMap<Asked, Kept>| runs.len() >= most || runs.values().map(Kept::bytes).sum::<usize>() >= most_bytes;
    if full(runs) {
        runs.retain(|_, kept| kept.is_current());
    }
    while full(runs) {
        let mut ages: Vec<Instant> = runs.values().filter(|kept| kept.run.peek().is_some()).map(|kept| kept.at).collect();
        ages.sort_unstable();
        let Some(middle) = ages.get(ages.len() / 2).copied() else { return };
        runs.retain(|_, kept| kept.run.peek().is_none() || kept.at > middle);
    }
}

/// A scan within its time; `None` when it did not end.
async fn scan(scanner: &Scanner, subjects: &[Subject], lists: &Lists, limit: Duration) -> Option<BlacklistReport> {
    tokio::time::timeout(limit + Duration::from_millis(250), scanner.scan(subjects, lists, limit)).await.ok()
}

/// What the catalog says of the lists that list something.
fn guides(report: &BlacklistReport) -> Vec<ListInfo> {
    let lists = |list: &ListInfo| report.lists.iter().any(|row| row.listed > 0 && row.id == list.id);
    catalog_info().into_iter().filter(lists).collect()
}

/// Lists that refuse us are no missing part; those that did not answer in time are.
fn is_late(took: Duration, entries: &[ListEntry]) -> bool {
    took >= LISTS_TIME && entries.iter().any(|entry| entry.state == ListState::Unknown && entry.reason.contains("time"))
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that is done, of so many bytes, begun so long ago.
    async fn done(bytes: usize, ago: u64) -> Kept {
        let answer = Answer { json: vec![b'x'; bytes].into(), complete: true };
        let run: Running = async move { Some(answer) }.boxed().shared();
        run.clone().await;
        Kept { run, at: Instant::now().checked_sub(Duration::from_secs(ago)).unwrap(), picture: Picture::default() }
    }

    fn asked(last: u8) -> Asked {
        Asked::Address([192, 0, 2, last].into())
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_by_bytes_and_what_runs_stays() {
        let running: Running = std::future::pending::<Option<Answer>>().boxed().shared();
        let mut runs = HashMap::from([(asked(0), Kept { run: running, at: Instant::now(), picture: Picture::default() })]);
        for last in 1..=8 {
            runs.insert(asked(last), done(100, u64::from(last)).await);
        }
        make_room(&mut runs, 1_000, 1_000);
        assert_eq!(runs.len(), 9, "there is room");
        make_room(&mut runs, 1_000, 500);
        assert!(runs.values().map(Kept::bytes).sum::<usize>() < 500);
        assert!(runs.contains_key(&asked(0)) && runs.contains_key(&asked(1)) && !runs.contains_key(&asked(8)), "the newest stay");
        // A picture counts, too.
        runs[&asked(1)].picture.set(vec![0; 900].into()).unwrap();
        make_room(&mut runs, 1_000, 900);
        assert!(runs.values().map(Kept::bytes).sum::<usize>() < 900);
        make_room(&mut runs, 1, 1_000);
        assert_eq!(runs.into_keys().collect::<Vec<_>>(), [asked(0)]);
    }

    #[tokio::test]
    async fn the_picture_of_an_answer_with_missing_parts_outlives_the_answer() {
        let nobody = waypost_engine::net::NetConfig { resolvers: vec!["127.0.0.1:9".parse().unwrap()], ..Default::default() };
        let lookups = Lookups::new(Net::new(nobody).unwrap());
        let answer = Answer { json: Bytes::from_static(b"{}"), complete: false };
        let run: Running = async move { Some(answer) }.boxed().shared();
        run.clone().await;
        let at = Instant::now().checked_sub(KEEP_INCOMPLETE * 2).unwrap();
        lookups.runs.lock().unwrap().insert(asked(1), Kept { run, at, picture: Picture::default() });
        assert!(!lookups.is_kept(&asked(1)), "who looks again gets a new look");
        assert!(lookups.seen_lately(&asked(1)).is_some() && lookups.seen_lately(&asked(2)).is_none());
    }
}
