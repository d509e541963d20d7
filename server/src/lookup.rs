//! Public lookups: one run per domain at a time whoever asks, its answer kept for a minute, at most some runs at once, and an answer in time
//! even where parts are missing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use chrono::Utc;
use futures::{FutureExt, future::Shared};
use tokio::sync::Semaphore;
use waypost_engine::{
    audit::{AuditOptions, audit},
    blacklist::{Lists, Scanner, Subject},
    net::Net,
};
use waypost_types::{
    DomainName, UnknownPart,
    lookup::Lookup,
    outcome::{AuditReport, ListEntry, ListState},
};

use crate::http::problem::ApiError;

const KEEP: Duration = Duration::from_secs(60);
const MAX_KEPT: usize = 1_000;
const AT_ONCE: usize = 16;
/// The audit's share of the ten seconds, and the block lists'.
const AUDIT_TIME: Duration = Duration::from_millis(6_500);
const LISTS_TIME: Duration = Duration::from_millis(2_500);
/// How long a lookup waits for a free place before it says that too many run.
const QUEUE_TIME: Duration = Duration::from_secs(2);
const MAX_ADDRESSES: usize = 8;

/// `None` when no place was free.
type Answer = Option<Bytes>;
type Running = Shared<futures::future::BoxFuture<'static, Answer>>;

/// Runs lookups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lookups {
    net: Net,
    scanner: Scanner,
    runs: Arc<Mutex<HashMap<DomainName, (Running, Instant)>>>,
    places: Arc<Semaphore>,
}

impl Lookups {
    /// Over this network.
    pub fn new(net: Net) -> Self {
        Self { scanner: Scanner::new(&net), net, runs: Arc::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The lookup of a domain as JSON: of the last minute, the one that runs, or a new one.
    pub async fn json(&self, domain: &DomainName) -> Result<Bytes, ApiError> {
        let run = self.run(domain);
        match run.await {
            Some(body) => Ok(body),
            None => Err(ApiError::TooMany { seconds: 5 }),
        }
    }

    /// True when an answer costs nothing.
    pub fn is_kept(&self, domain: &DomainName) -> bool {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(domain).is_some_and(|(run, at)| at.elapsed() < KEEP && !matches!(run.peek(), Some(None)))
    }

    fn run(&self, domain: &DomainName) -> Running {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((run, at)) = runs.get(domain)
            && at.elapsed() < KEEP
            && !matches!(run.peek(), Some(None))
        {
            return run.clone();
        }
        if runs.len() >= MAX_KEPT {
            runs.retain(|_, (_, at)| at.elapsed() < KEEP);
            if runs.len() >= MAX_KEPT {
                runs.clear();
            }
        }
        let (this, name) = (self.clone(), domain.clone());
        // On its own task: a visitor who leaves does not stop it for the others.
        let task = tokio::spawn(async move { this.look(&name).await });
        let run: Running = async move { task.await.ok().flatten() }.boxed().shared();
        runs.insert(domain.clone(), (run.clone(), Instant::now()));
        run
    }

    async fn look(&self, domain: &DomainName) -> Answer {
        let _place = tokio::time::timeout(QUEUE_TIME, self.places.acquire()).await.ok()?.ok()?;
        let started = Instant::now();
        let options = AuditOptions { deadline: AUDIT_TIME, ..AuditOptions::default() };
        let report = tokio::time::timeout(AUDIT_TIME + Duration::from_millis(500), audit(&self.net, domain, &options)).await;
        let mut cut = report.is_err();
        let audit = report.unwrap_or_else(|_| nothing_known(domain));
        let subjects: Vec<Subject> = audit
            .mx_hosts
            .iter()
            .flat_map(|host| host.addresses.iter().copied())
            .fold(Vec::new(), |mut seen, address| {
                if !seen.contains(&address) && seen.len() < MAX_ADDRESSES {
                    seen.push(address);
                }
                seen
            })
            .into_iter()
            .map(Subject::from)
            .collect();
        let mut blacklists: Vec<ListEntry> = Vec::new();
        if !subjects.is_empty() {
            let lists = Lists::default();
            let scan = self.scanner.scan(&subjects, &lists, LISTS_TIME);
            match tokio::time::timeout(LISTS_TIME + Duration::from_millis(250), scan).await {
                Ok(report) => blacklists = report.entries,
                Err(_) => cut = true,
            }
        }
        let took = started.elapsed();
        // Lists that refuse us are no missing part; those that did not answer in time are.
        let late = took >= LISTS_TIME && blacklists.iter().any(|entry| entry.state == ListState::Unknown && entry.reason.contains("time"));
        let complete = !cut && !late && audit.unknown.is_empty();
        let lookup = Lookup {
            domain: domain.to_string(),
            display: domain.display(),
            complete,
            checked_at: Utc::now(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            audit,
            blacklists,
        };
        match serde_json::to_vec(&lookup) {
            Ok(bytes) => Some(Bytes::from(bytes)),
            Err(error) => {
                tracing::error!(%error, "a lookup could not be written");
                None
            }
        }
    }
}

fn nothing_known(domain: &DomainName) -> AuditReport {
    let reason = "The name servers did not answer in time. Try again in a minute.".to_owned();
    AuditReport { unknown: vec![UnknownPart { subject: "audit".to_owned(), reason }], ..AuditReport::empty(domain.as_str()) }
}
