//! The runner: takes a batch of claimed units, looks at their targets and hands what was seen to the recorder, organisation by organisation.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use secrecy::SecretString;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use waypost_store::{Store, StoreError, lists::SealedKey, schedule::DueUnit};
use waypost_types::{MonitorId, OrgId, monitor::MonitorKind};

use crate::{
    WorkerError,
    backoff::Backoff,
    batch::CheckBatch,
    checker::{Instructions, ListInstructions, Observation},
    cut_off::CutOff,
    error::chain,
    logins::Logins,
    port25::Port25,
    recorder::{Recorder, Run},
    scheduler::LEASE_SECONDS,
    seal::{Seal, key_of},
    shared_checks::{Ask, NoLook, SharedChecks},
};

/// Outcomes of an organisation wait that long for others, to be recorded with them; a person who watches the page does not notice.
const GATHER: Duration = Duration::from_millis(200);
/// And no more than so many.
const RECORD_AT_ONCE: usize = 250;
/// Transactions at once.
const TRANSACTIONS: usize = 8;
/// Leases of looks that take long are renewed that often: sooner than the margin in which a look may still begin.
const RENEWAL: Duration = Duration::from_secs(20);
/// A check that has not begun this long before its lease ends is left to the next claim.
const LEASE_MARGIN: i64 = 30;

/// How a look ended.
enum Ended {
    Seen(Run),
    /// With the claim, which is given back.
    TooLate(MonitorId, i64),
}

/// Runs batches.
#[derive(Debug)]
pub struct Runner {
    region: String,
    store: Store,
    checks: Arc<SharedChecks>,
    logins: Logins,
    recorder: Recorder,
    port25: Port25,
    cut_off: CutOff,
    /// Opens keys of block lists.
    seal: Option<Seal>,
    /// Bounds our transactions, so that the pool has room for pages when the worker runs inside the server.
    transactions: Semaphore,
    /// Scans that go on after the task that brought them has ended.
    scans: TaskTracker,
    shutdown: CancellationToken,
}

impl Runner {
    /// A runner for one region.
    pub fn new(region: &str, store: Store, checks: Arc<SharedChecks>, recorder: Recorder, seal: Option<Seal>, shutdown: CancellationToken) -> Self {
        Self {
            region: region.to_owned(),
            port25: Port25::new(store.clone(), region),
            cut_off: CutOff::new(store.clone(), region),
            logins: Logins::new(checks.checker(), store.clone(), seal.clone()),
            store,
            checks,
            recorder,
            seal,
            transactions: Semaphore::new(TRANSACTIONS),
            scans: TaskTracker::new(),
            shutdown,
        }
    }

    /// Runs a batch to its end, or until shutdown: then what was seen is recorded and the rest is given back. Scans take minutes, at the pace
    /// of the lists: they go on by themselves, or a few of them would hold all the places of the queue and no probe would begin.
    pub async fn run(self: &Arc<Self>, batch: CheckBatch) -> Result<(), WorkerError> {
        let waited = (Utc::now() - batch.claimed_at).to_std().unwrap_or_default();
        metrics::histogram!("waypost_queue_wait_seconds").record(waited.as_secs_f64());
        let begin_before = batch.claimed_at + chrono::TimeDelta::seconds(i64::from(LEASE_SECONDS) - LEASE_MARGIN);
        let claims: Vec<(OrgId, MonitorId, i64)> =
            batch.groups.iter().flat_map(|group| group.units.iter().map(|(monitor, claim)| (group.org, *monitor, *claim))).collect();
        let mut units = self.store.load_claimed_units(&self.region, &claims).await?;
        units.sort_unstable_by_key(|unit| unit.org);
        let (scans, units): (Vec<DueUnit>, Vec<DueUnit>) = units.into_iter().partition(|unit| unit.kind == MonitorKind::Blacklist);
        for group in by_org(scans) {
            let runner = Arc::clone(self);
            self.scans.spawn(async move {
                // Nobody waits for them: what could not be recorded is looked at again when its lease ends.
                if let Err(error) = runner.run_group(group[0].org, group, begin_before).await {
                    tracing::error!(error = chain(&error), "scans could not be recorded");
                }
            });
        }
        let groups = by_org(units);
        let failed =
            join_all(groups.into_iter().map(|group| self.run_group(group[0].org, group, begin_before))).await.into_iter().find_map(Result::err);
        // Groups do not hold each other up; the first failure fails the task, and whoever repeats it finds the others recorded.
        failed.map_or(Ok(()), Err)
    }

    /// Waits for the scans that are under way; after a shutdown they are given back at once.
    pub async fn finish(&self) {
        self.scans.close();
        self.scans.wait().await;
        self.scans.reopen();
    }

    async fn run_group(self: &Arc<Self>, org: OrgId, mut units: Vec<DueUnit>, begin_before: DateTime<Utc>) -> Result<(), WorkerError> {
        let mut instructions = match self.instructions(org, &units).await {
            Ok(instructions) => instructions,
            Err(error) => {
                // Probes need none. The others are looked at when their lease ends.
                tracing::warn!(%org, error = chain(&error), "what is known of domains and lists could not be read");
                units.retain(|unit| unit.kind == MonitorKind::Smtp);
                HashMap::new()
            }
        };
        let mut left: HashMap<MonitorId, i64> = units.iter().map(|unit| (unit.monitor, unit.claim)).collect();
        // Each look is a task of its own: one that is not polled while others are being recorded would run into its own timeouts and
        // report an outage that is ours.
        let mut looks = JoinSet::new();
        for unit in units {
            let runner = Arc::clone(self);
            let instructions = instructions.remove(&unit.monitor).unwrap_or_default();
            looks.spawn(async move { runner.look(unit, instructions, begin_before).await });
        }
        while !looks.is_empty() && !self.shutdown.is_cancelled() {
            let (seen, late) = self.gather(&mut looks).await;
            for monitor in seen.iter().map(|run| run.monitor).chain(late.iter().map(|(monitor, _)| *monitor)) {
                left.remove(&monitor);
            }
            self.record(org, seen).await?;
            if !late.is_empty()
                && let Err(error) = self.release(org, &late).await
            {
                // Their lease gives them back a little later; looks that go on must not break off for that.
                tracing::warn!(%org, checks = late.len(), error = chain(&error), "checks that found no place could not be given back");
            }
        }
        if self.shutdown.is_cancelled() && !left.is_empty() {
            looks.shutdown().await;
            self.release(org, &left.into_iter().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Waits for the first outcome and takes those that follow soon after. Beside them are the checks that could not begin here in time.
    async fn gather(&self, looks: &mut JoinSet<Option<Ended>>) -> (Vec<Run>, Vec<(MonitorId, i64)>) {
        let (mut seen, mut late) = (Vec::new(), Vec::new());
        let mut until: Option<Instant> = None;
        while seen.len() + late.len() < RECORD_AT_ONCE {
            let enough = until;
            tokio::select! {
                biased;
                ended = looks.join_next() => match ended {
                    None => break,
                    Some(Ok(ended)) => {
                        match ended {
                            Some(Ended::Seen(run)) => seen.push(run),
                            Some(Ended::TooLate(monitor, claim)) => late.push((monitor, claim)),
                            None => {}
                        }
                        until = until.or(Some(Instant::now() + GATHER));
                    }
                    // A look that panicked is a bug of ours: its lease gives the check back.
                    Some(Err(error)) => tracing::error!(%error, "a check broke"),
                },
                () = async move { tokio::time::sleep_until(enough.unwrap_or_else(Instant::now)).await }, if enough.is_some() => break,
                () = self.shutdown.cancelled() => break,
            }
        }
        (seen, late)
    }

    /// What the organisation has to say about its audits, scans and services; probes need nothing, and no trip to the database.
    async fn instructions(&self, org: OrgId, units: &[DueUnit]) -> Result<HashMap<MonitorId, Instructions>, WorkerError> {
        let of_kind = |kind| units.iter().filter(move |unit| unit.kind == kind).map(|unit| unit.monitor);
        let audits: Vec<MonitorId> = of_kind(MonitorKind::Audit).collect();
        let scans: Vec<MonitorId> = of_kind(MonitorKind::Blacklist).collect();
        let mut all = HashMap::new();
        let services: Vec<MonitorId> = units.iter().filter(|unit| unit.kind.is_service()).map(|unit| unit.monitor).collect();
        if audits.is_empty() && scans.is_empty() && services.is_empty() {
            return Ok(all);
        }
        let _turn = self.transactions.acquire().await;
        let mut tx = self.store.org_tx(org).await?;
        if !audits.is_empty() {
            let domains = tx.domain_instructions(&audits).await?;
            all.extend(domains.into_iter().map(|(monitor, domain)| (monitor, Instructions { domain, ..Instructions::default() })));
        }
        if !services.is_empty() {
            let settings = tx.service_settings(&services).await?;
            all.extend(
                settings.into_iter().map(|(monitor, settings)| (monitor, Instructions { service: Some(settings), ..Instructions::default() })),
            );
        }
        if !scans.is_empty() {
            let (choice, _) = tx.list_choice().await?;
            let keys = self.open_keys(org, tx.list_keys().await?);
            let lists = Arc::new(ListInstructions { choice, keys });
            all.extend(scans.into_iter().map(|monitor| (monitor, Instructions { lists: Arc::clone(&lists), ..Instructions::default() })));
        }
        tx.commit().await?;
        Ok(all)
    }

    /// A key that can not be opened is as good as none: its list says that it needs one.
    fn open_keys(&self, org: OrgId, sealed: Vec<SealedKey>) -> BTreeMap<String, SecretString> {
        let open = |(list, sealed): SealedKey| match self.seal.as_ref().map(|seal| seal.open(org, &key_of(&list), &sealed)) {
            Some(Ok(key)) => Some((list, key)),
            Some(Err(error)) => {
                tracing::warn!(%org, list, %error, "the key of a block list is not used");
                None
            }
            None => {
                tracing::warn!(%org, list, "the key of a block list is not used: WAYPOST_SECRET_KEY is not set here");
                None
            }
        };
        sealed.into_iter().filter_map(open).collect()
    }

    /// Nothing when the lease is to give the check back.
    async fn look(&self, unit: DueUnit, instructions: Instructions, begin_before: DateTime<Utc>) -> Option<Ended> {
        let ask = Ask {
            kind: unit.kind,
            target: &unit.target,
            instructions: &instructions,
            interval: Duration::from_secs(u64::try_from(unit.interval_s).unwrap_or(1)),
            state: unit.state,
            requested: unit.requested,
            begin_before,
        };
        let look = self.checks.observe(&ask);
        let seen = match unit.kind {
            // The pace of the lists decides how long a scan of a network takes, the patience with a tarpit how long a probe.
            MonitorKind::Audit => look.await,
            _ => self.with_lease(&unit, look).await,
        };
        match seen {
            Ok(Observation { at, outcome }) => {
                self.port25.saw(&outcome).await;
                let outcome = self.cut_off.saw(outcome, Utc::now()).await;
                let outcome = self.checks.with_close_look(&unit, outcome);
                let outcome = if unit.login { self.with_lease(&unit, self.logins.add(&unit, outcome)).await } else { outcome };
                Some(Ended::Seen(Run { monitor: unit.monitor, claim: unit.claim, at, outcome, requested: unit.requested }))
            }
            Err(NoLook::TooLate) => Some(Ended::TooLate(unit.monitor, unit.claim)),
            Err(NoLook::NotOurTurn) => None,
        }
    }

    /// Renews the lease of a unit while something is done with it.
    async fn with_lease<T>(&self, unit: &DueUnit, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(RENEWAL) => {}
            }
            let renewed = async {
                let mut tx = self.store.org_tx(unit.org).await?;
                let ours = tx.renew_lease(&self.region, unit.monitor, unit.claim, LEASE_SECONDS).await?;
                tx.commit().await?;
                Ok::<_, StoreError>(ours)
            };
            match renewed.await {
                Ok(true) => {}
                // Somebody else has the check by now; what is seen is of use to them all the same, since looks are shared.
                Ok(false) => return work.await,
                Err(error) => tracing::warn!(monitor = %unit.monitor, error = chain(&error), "a lease could not be renewed"),
            }
        }
    }

    /// Records, trying again while the database is away: what was seen is worth keeping until the lease ends and somebody else looks.
    async fn record(&self, org: OrgId, seen: Vec<Run>) -> Result<(), WorkerError> {
        if seen.is_empty() {
            return Ok(());
        }
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            let turn = self.transactions.acquire().await;
            let recorded = self.recorder.record(org, &self.region, &seen, Utc::now()).await;
            drop(turn);
            match recorded {
                Ok(()) => return Ok(()),
                Err(WorkerError::Store(error)) if error.is_about_data() => {
                    self.record_apart(org, &seen).await;
                    return Ok(());
                }
                Err(error) if Instant::now() >= give_up || self.shutdown.is_cancelled() => return Err(error),
                Err(error) => {
                    metrics::counter!("waypost_record_failures_total").increment(1);
                    tracing::warn!(%org, results = seen.len(), error = chain(&error), "results could not be recorded; trying again");
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        }
    }

    /// One of these can not be recorded, which must not keep the others from it.
    async fn record_apart(&self, org: OrgId, seen: &[Run]) {
        for run in seen {
            let turn = self.transactions.acquire().await;
            let recorded = self.recorder.record(org, &self.region, std::slice::from_ref(run), Utc::now()).await;
            drop(turn);
            if let Err(error) = recorded {
                metrics::counter!("waypost_record_failures_total").increment(1);
                tracing::error!(%org, monitor = %run.monitor, error = chain(&error), "a result can not be recorded; it is looked at again when its lease ends");
            }
        }
    }

    async fn release(&self, org: OrgId, left: &[(MonitorId, i64)]) -> Result<(), WorkerError> {
        let mut tx = self.store.org_tx(org).await?;
        tx.release_units(&self.region, left).await?;
        tx.notify_due().await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Units that are sorted by organisation, one group for each.
fn by_org(units: Vec<DueUnit>) -> Vec<Vec<DueUnit>> {
    let mut groups: Vec<Vec<DueUnit>> = Vec::new();
    for unit in units {
        match groups.last_mut() {
            Some(group) if group[0].org == unit.org => group.push(unit),
            _ => groups.push(vec![unit]),
        }
    }
    groups
}
