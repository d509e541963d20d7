//! One look at a target serves everybody who watches it: outcomes are shared while they are fresh, a target is looked at by one check at a
//! time, and the numbers of conversations and audits at once are bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use waypost_store::{Store, regions::ProviderTurn, schedule::DueUnit};
use waypost_types::{
    judge::MonitorState,
    lists::ZoneHealth,
    monitor::MonitorKind,
    outcome::{Outcome, Verdict},
};

use crate::{
    checker::{Checker, Instructions, Observation, split_target},
    close_looks::CloseLooks,
    error::chain,
    traces::Traces,
};

/// Targets whose outcome is remembered at most.
const MAX_REMEMBERED: usize = 20_000;
/// Mailbox providers are not asked more often, whatever tenants want.
pub(crate) const PROVIDER_SPACING: Duration = Duration::from_secs(15 * 60);
/// A person's “check now” gets a fresh look, but a target is not hammered by many of them; a failure is confirmed by a fresh look, too.
const REQUEST_SPACING: Duration = Duration::from_secs(10);

/// Who asks for a look, and why.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What to run.
    pub kind: MonitorKind,
    /// On what.
    pub target: &'a str,
    /// How.
    pub instructions: &'a Instructions,
    /// How often the monitor does.
    pub interval: Duration,
    /// Its confirmed state.
    pub state: MonitorState,
    /// A person wants it now.
    pub requested: bool,
    /// A look that could not begin by then is not worth beginning: somebody else will have the check.
    pub begin_before: DateTime<Utc>,
}

/// Why there was no look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLook {
    /// All places were taken until it was too late to begin: another worker may have room.
    TooLate,
    /// Another looks at that provider's host right now, or nobody can tell: the lease gives the check back.
    NotOurTurn,
}

type Slot = Arc<AsyncMutex<Option<Observation>>>;

/// Runs checks for a region, shared and bounded.
pub struct SharedChecks {
    checker: Arc<dyn Checker>,
    close_looks: CloseLooks,
    traces: Traces,
    /// Where the region's workers take turns at providers' hosts.
    store: Store,
    region: String,
    slots: Mutex<HashMap<(MonitorKind, String, u64), Slot>>,
    probes: Semaphore,
    audits: Semaphore,
    /// A scan is paced by the lists and takes its time: it must not keep an audit from its place.
    scans: Semaphore,
}

impl std::fmt::Debug for SharedChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedChecks").finish_non_exhaustive()
    }
}

impl SharedChecks {
    /// Bounds `checker` to so many conversations and audits at once.
    pub fn new(checker: Arc<dyn Checker>, store: Store, region: &str, concurrent_probes: usize, concurrent_audits: usize) -> Self {
        Self {
            close_looks: CloseLooks::new(Arc::clone(&checker), store.clone()),
            traces: Traces::new(Arc::clone(&checker)),
            checker,
            store,
            region: region.to_owned(),
            slots: Mutex::default(),
            probes: Semaphore::new(concurrent_probes.max(1)),
            audits: Semaphore::new(concurrent_audits.max(1)),
            scans: Semaphore::new(concurrent_audits.max(1)),
        }
    }

    /// A fresh enough outcome of the target: a shared one, or a look of our own.
    pub async fn observe(&self, ask: &Ask<'_>) -> Result<Observation, NoLook> {
        let Ask { kind, target, .. } = *ask;
        let slot = self.slot(kind, target, ask.instructions.mark());
        let mut seen = slot.lock().await;
        let provider = kind == MonitorKind::Smtp && self.checker.is_provider(split_target(target).0);
        if let Some(observation) = seen.as_ref() {
            let age = (Utc::now() - observation.at).to_std().unwrap_or_default();
            if age < freshness(ask, observation.outcome.verdict(), provider) {
                metrics::counter!("waypost_checks_shared_total", "kind" => kind.as_str()).increment(1);
                return Ok(observation.clone());
            }
        }
        if provider && let Some(known) = self.ask_turn(target).await? {
            *seen = Some(known.clone());
            return Ok(known);
        }
        let semaphore = match kind {
            MonitorKind::Audit => &self.audits,
            MonitorKind::Blacklist => &self.scans,
            _ => &self.probes,
        };
        let left = (ask.begin_before - Utc::now()).to_std().map_err(|_| NoLook::TooLate)?;
        let _permit = tokio::time::timeout(left, semaphore.acquire()).await.map_err(|_| NoLook::TooLate)?.map_err(|_| NoLook::TooLate)?;
        let started = std::time::Instant::now();
        let outcome = self.checker.check(kind, target, ask.instructions).await;
        // What is known to be down is not followed with every look.
        let outcome = if MonitorState::from(outcome.verdict()) == ask.state { outcome } else { self.traces.add(outcome).await };
        metrics::histogram!("waypost_check_seconds", "kind" => kind.as_str()).record(started.elapsed().as_secs_f64());
        metrics::counter!("waypost_checks_total", "kind" => kind.as_str(), "verdict" => outcome.verdict().as_str()).increment(1);
        let observation = Observation { at: Utc::now(), outcome: Arc::new(outcome) };
        *seen = Some(observation.clone());
        if provider && let Err(error) = self.store.provider_seen(&self.region, target, observation.at, &observation.outcome).await {
            tracing::warn!(error = chain(&error), "what a provider's host answered could not be kept");
        }
        Ok(observation)
    }

    /// What looks at the world, for what is shared with nobody.
    pub(crate) fn checker(&self) -> Arc<dyn Checker> {
        Arc::clone(&self.checker)
    }

    /// What was seen, with what the last close look at the server has to tell.
    pub fn with_close_look(&self, unit: &DueUnit, seen: Arc<Outcome>) -> Arc<Outcome> {
        self.close_looks.add(unit, seen)
    }

    /// At a provider's host the workers of a region take turns: what another saw, or nothing when it is our turn.
    async fn ask_turn(&self, target: &str) -> Result<Option<Observation>, NoLook> {
        let spacing = i32::try_from(PROVIDER_SPACING.as_secs()).unwrap_or(i32::MAX);
        match self.store.provider_turn(&self.region, target, Utc::now(), spacing).await {
            Ok(ProviderTurn::Yours) => Ok(None),
            Ok(ProviderTurn::Known(at, outcome)) => Ok(Some(Observation { at, outcome: Arc::new(outcome) })),
            Ok(ProviderTurn::Wait) => Err(NoLook::NotOurTurn),
            Err(error) => {
                tracing::warn!(error = chain(&error), "the turn at a provider's host could not be asked for");
                Err(NoLook::NotOurTurn)
            }
        }
    }

    fn slot(&self, kind: MonitorKind, target: &str, mark: u64) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&(kind, target.to_owned(), mark)) {
            return Arc::clone(slot);
        }
        if slots.len() >= MAX_REMEMBERED {
            // Full of fresh ones: this target is looked at without being remembered.
            return Slot::default();
        }
        Arc::clone(slots.entry((kind, target.to_owned(), mark)).or_default())
    }

    /// What is known of the block lists that were asked.
    pub fn list_health(&self) -> Vec<ZoneHealth> {
        self.checker.list_health()
    }

    /// Forgets outcomes that nobody may be given any more.
    pub fn forget_stale(&self) {
        let now = Utc::now();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|(kind, target, _), slot| {
            // In use, or waited for.
            let Ok(seen) = slot.try_lock() else { return true };
            let Some(observation) = seen.as_ref() else { return Arc::strong_count(slot) > 1 };
            let age = (now - observation.at).to_std().unwrap_or_default();
            let provider = || *kind == MonitorKind::Smtp && age < PROVIDER_SPACING && self.checker.is_provider(split_target(target).0);
            age < usual_limit(*kind) || provider()
        });
    }
}

/// How long an outcome is shared at most.
const fn usual_limit(kind: MonitorKind) -> Duration {
    match kind {
        MonitorKind::Audit => Duration::from_secs(300),
        MonitorKind::Blacklist => Duration::from_secs(900),
        _ => Duration::from_secs(45),
    }
}

/// How old an outcome may be that is given to somebody who watches every `interval`.
fn freshness(ask: &Ask<'_>, verdict: Verdict, provider: bool) -> Duration {
    if provider {
        return PROVIDER_SPACING;
    }
    let usual = ask.interval * 4 / 5;
    // Trouble that is news to the monitor must be confirmed by a look of its own.
    // What an audit or a scan finds is not told apart by its verdict: it may be news beside what is known.
    let may_be_news = !ask.kind.is_judged_whole() || MonitorState::from(verdict) != ask.state;
    if ask.requested || (verdict != Verdict::Up && may_be_news) {
        return REQUEST_SPACING.min(usual);
    }
    usual.min(usual_limit(ask.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_is_short_where_it_matters() {
        use MonitorKind::{Audit, Blacklist, Smtp};
        let nothing = Instructions::default();
        let up = |kind, seconds| Ask {
            kind,
            target: "t",
            instructions: &nothing,
            interval: Duration::from_secs(seconds),
            state: MonitorState::Up,
            requested: false,
            begin_before: Utc::now(),
        };
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
            (Ask { state: MonitorState::Down, ..up(Blacklist, 21_600) }, Verdict::Down, false, 10),
        ];
        for (ask, verdict, provider, seconds) in table {
            assert_eq!(freshness(&ask, verdict, provider), Duration::from_secs(seconds), "{ask:?} {verdict:?}");
        }
    }
}
