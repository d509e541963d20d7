//! One look at a target serves everybody who watches it: outcomes are shared while they are fresh, a target is looked at by one check at a
//! time, and the numbers of conversations and audits at once are bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use waypost_types::{judge::MonitorState, monitor::MonitorKind, outcome::Verdict};

use crate::checker::{Checker, Observation, split_target};

/// Targets whose outcome is remembered at most.
const MAX_REMEMBERED: usize = 20_000;
/// Mailbox providers are not asked more often, whatever tenants want.
const PROVIDER_SPACING: Duration = Duration::from_secs(15 * 60);
/// A person's “check now” gets a fresh look, but a target is not hammered by many of them; a failure is confirmed by a fresh look, too.
const REQUEST_SPACING: Duration = Duration::from_secs(10);

/// Who asks for a look, and why.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What to run.
    pub kind: MonitorKind,
    /// On what.
    pub target: &'a str,
    /// How often the monitor does.
    pub interval: Duration,
    /// Its confirmed state.
    pub state: MonitorState,
    /// A person wants it now.
    pub requested: bool,
    /// A look that could not begin by then is not worth beginning: somebody else will have the check.
    pub begin_before: DateTime<Utc>,
}

type Slot = Arc<AsyncMutex<Option<Observation>>>;

/// Runs checks for a region, shared and bounded.
pub struct SharedChecks {
    checker: Arc<dyn Checker>,
    slots: Mutex<HashMap<(MonitorKind, String), Slot>>,
    probes: Semaphore,
    audits: Semaphore,
}

impl std::fmt::Debug for SharedChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedChecks").finish_non_exhaustive()
    }
}

impl SharedChecks {
    /// Bounds `checker` to so many conversations and audits at once.
    pub fn new(checker: Arc<dyn Checker>, concurrent_probes: usize, concurrent_audits: usize) -> Self {
        Self { checker, slots: Mutex::default(), probes: Semaphore::new(concurrent_probes.max(1)), audits: Semaphore::new(concurrent_audits.max(1)) }
    }

    /// A fresh enough outcome of the target: a shared one, or a look of our own. `None` when it is too late to begin one.
    pub async fn observe(&self, ask: &Ask<'_>) -> Option<Observation> {
        let Ask { kind, target, .. } = *ask;
        let slot = self.slot(kind, target);
        let mut seen = slot.lock().await;
        let provider = kind == MonitorKind::Smtp && self.checker.is_provider(split_target(target).0);
        if let Some(observation) = seen.as_ref() {
            let age = (Utc::now() - observation.at).to_std().unwrap_or_default();
            if age < freshness(ask, observation.outcome.verdict(), provider) {
                metrics::counter!("waypost_checks_shared_total", "kind" => kind.as_str()).increment(1);
                return Some(observation.clone());
            }
        }
        let semaphore = if kind == MonitorKind::Smtp { &self.probes } else { &self.audits };
        let _permit = semaphore.acquire().await.ok()?;
        if Utc::now() > ask.begin_before {
            return None;
        }
        let started = std::time::Instant::now();
        let outcome = self.checker.check(kind, target).await;
        metrics::histogram!("waypost_check_seconds", "kind" => kind.as_str()).record(started.elapsed().as_secs_f64());
        metrics::counter!("waypost_checks_total", "kind" => kind.as_str(), "verdict" => outcome.verdict().as_str()).increment(1);
        let observation = Observation { at: Utc::now(), outcome: Arc::new(outcome) };
        *seen = Some(observation.clone());
        Some(observation)
    }

    fn slot(&self, kind: MonitorKind, target: &str) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&(kind, target.to_owned())) {
            return Arc::clone(slot);
        }
        if slots.len() >= MAX_REMEMBERED {
            // Full of fresh ones: this target is looked at without being remembered.
            return Slot::default();
        }
        Arc::clone(slots.entry((kind, target.to_owned())).or_default())
    }

    /// Forgets outcomes that nobody may be given any more.
    pub fn forget_stale(&self) {
        let now = Utc::now();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|(kind, target), slot| {
            let limit = match kind {
                MonitorKind::Smtp if self.checker.is_provider(split_target(target).0) => PROVIDER_SPACING,
                MonitorKind::Smtp => SMTP_LIMIT,
                MonitorKind::Audit => AUDIT_LIMIT,
                MonitorKind::Blacklist => BLACKLIST_LIMIT,
            };
            match slot.try_lock() {
                // In use.
                Err(_) => true,
                Ok(seen) => {
                    seen.as_ref().is_some_and(|observation| (now - observation.at).to_std().unwrap_or_default() < limit)
                        || Arc::strong_count(slot) > 1
                }
            }
        });
    }
}

const SMTP_LIMIT: Duration = Duration::from_secs(45);
const AUDIT_LIMIT: Duration = Duration::from_secs(300);
const BLACKLIST_LIMIT: Duration = Duration::from_secs(900);

/// How old an outcome may be that is given to somebody who watches every `interval`.
fn freshness(ask: &Ask<'_>, verdict: Verdict, provider: bool) -> Duration {
    if provider {
        return PROVIDER_SPACING;
    }
    let usual = ask.interval * 4 / 5;
    // Trouble that is news to the monitor must be confirmed by a look of its own.
    if ask.requested || (verdict != Verdict::Up && MonitorState::from(verdict) != ask.state) {
        return REQUEST_SPACING.min(usual);
    }
    let limit = match ask.kind {
        MonitorKind::Smtp => SMTP_LIMIT,
        MonitorKind::Audit => AUDIT_LIMIT,
        MonitorKind::Blacklist => BLACKLIST_LIMIT,
    };
    usual.min(limit)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::BoxFuture;
    use waypost_types::outcome::Outcome;

    use super::*;
    use crate::checker::stub_outcome;

    #[derive(Default)]
    struct Counting {
        looks: AtomicUsize,
        at_once: AtomicUsize,
        most: AtomicUsize,
    }

    impl Checker for Counting {
        fn check<'a>(&'a self, _: MonitorKind, target: &'a str) -> BoxFuture<'a, Outcome> {
            Box::pin(async move {
                self.looks.fetch_add(1, Ordering::SeqCst);
                self.most.fetch_max(self.at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                self.at_once.fetch_sub(1, Ordering::SeqCst);
                stub_outcome(target, 25, if target.starts_with("down") { Verdict::Down } else { Verdict::Up })
            })
        }

        fn is_provider(&self, host: &str) -> bool {
            host.ends_with("google.com")
        }
    }

    fn ask(kind: MonitorKind, target: &str, seconds: u64) -> Ask<'_> {
        Ask {
            kind,
            target,
            interval: Duration::from_secs(seconds),
            state: MonitorState::Up,
            requested: false,
            begin_before: Utc::now() + chrono::TimeDelta::minutes(1),
        }
    }

    #[tokio::test]
    async fn many_who_watch_one_target_cost_one_look() {
        let checker = Arc::new(Counting::default());
        let shared = SharedChecks::new(checker.clone(), 10, 10);
        let watcher = ask(MonitorKind::Smtp, "mx.example:25", 60);
        let all = futures::future::join_all((0..50).map(|_| shared.observe(&watcher))).await;
        assert_eq!(checker.looks.load(Ordering::SeqCst), 1);
        assert!(all.iter().all(|seen| seen.as_ref().unwrap().at == all[0].as_ref().unwrap().at));
        shared.observe(&ask(MonitorKind::Smtp, "mx.example:587", 60)).await.unwrap();
        assert_eq!(checker.looks.load(Ordering::SeqCst), 2, "another port is another target");
    }

    #[tokio::test]
    async fn looks_at_once_are_bounded() {
        let checker = Arc::new(Counting::default());
        let shared = SharedChecks::new(checker.clone(), 3, 1);
        let targets: Vec<String> = (0..40).map(|n| format!("mx{n}.example:25")).collect();
        let asks: Vec<Ask<'_>> = targets.iter().map(|target| ask(MonitorKind::Smtp, target, 60)).collect();
        futures::future::join_all(asks.iter().map(|ask| shared.observe(ask))).await;
        assert_eq!(checker.looks.load(Ordering::SeqCst), 40);
        assert!(checker.most.load(Ordering::SeqCst) <= 3);
    }

    #[test]
    fn freshness_is_short_where_it_matters() {
        use MonitorKind::{Audit, Blacklist, Smtp};
        let up = |kind, seconds| ask(kind, "t", seconds);
        let down = Ask { state: MonitorState::Down, ..up(Smtp, 300) };
        let asked = Ask { requested: true, ..up(Smtp, 300) };
        let table = [
            (up(Smtp, 60), Verdict::Up, false, 45),
            (up(Smtp, 30), Verdict::Up, false, 24),
            (up(Smtp, 300), Verdict::Down, false, 10),
            (down, Verdict::Down, false, 45),
            (down, Verdict::Degraded, false, 10),
            (asked, Verdict::Up, false, 10),
            (asked, Verdict::Down, true, 900),
            (up(Audit, 3600), Verdict::Up, false, 300),
            (up(Blacklist, 21_600), Verdict::Up, false, 900),
        ];
        for (ask, verdict, provider, seconds) in table {
            assert_eq!(freshness(&ask, verdict, provider), Duration::from_secs(seconds), "{ask:?} {verdict:?}");
        }
    }
}
