//! Recording what was seen, one organisation at a time: lock, discard what is stale, judge, write in bulk, and let incidents, mails and
//! discoveries follow, all in one transaction. Nothing is sent here.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound as _, Utc};
use waypost_engine::audit::provider_of;
use waypost_store::{
    OrgTx, Store,
    recording::{LockedMonitor, Recorded, Repeat},
};
use waypost_types::{
    MonitorId, OrgId,
    event::LiveEvent,
    judge::{RegionOutcome, Transition},
    monitor::MonitorKind,
    outcome::{Outcome, Verdict},
};

use crate::{
    WorkerError,
    carry::carry,
    checker::split_target,
    incidents::{Incidents, Moved},
    judge::{JudgeContext, Judgement, judge, recheck_delay},
    shared_checks::PROVIDER_SPACING,
    wording::{latency_ms, sentence},
};

/// One unit's look at its target.
#[derive(Debug, Clone)]
pub struct Run {
    /// The monitor.
    pub monitor: MonitorId,
    /// The claim it was made under.
    pub claim: i64,
    /// When it was seen.
    pub at: DateTime<Utc>,
    /// What was seen.
    pub outcome: Arc<Outcome>,
    /// A person asked for it.
    pub requested: bool,
}

/// Records runs.
#[derive(Debug, Clone)]
pub struct Recorder {
    store: Store,
    incidents: Incidents,
}

/// A run with its monitor and what the judge made of it.
struct Judged<'a> {
    monitor: LockedMonitor,
    run: &'a Run,
    /// What the run saw, and what it could not tell as it was before.
    outcome: Arc<Outcome>,
    summary: String,
    judgement: Judgement,
}

impl Recorder {
    /// Records into `store`; mails link to `base_url` and their ids end in `mail_domain`.
    pub fn new(store: Store, base_url: &str, mail_domain: &str) -> Self {
        Self { store, incidents: Incidents::new(base_url, mail_domain) }
    }

    /// Records runs of one organisation from one region. Runs whose claim is no longer current, or that are recorded already, are
    /// discarded before anything is judged. Safe to call twice with the same runs.
    pub async fn record(&self, org: OrgId, region: &str, runs: &[Run], now: DateTime<Utc>) -> Result<(), WorkerError> {
        let started = std::time::Instant::now();
        let mut tx = self.store.recording_tx(org).await?;
        let claims: Vec<(MonitorId, i64)> = runs.iter().map(|run| (run.monitor, run.claim)).collect();
        let locked = tx.lock_for_judging(region, &claims).await?;
        metrics::counter!("waypost_results_discarded_total").increment((runs.len() - locked.len().min(runs.len())) as u64);
        let (news, repeats) = sort_out(locked, runs, region, now);
        let moved = write(&mut tx, region, &news, &repeats, now).await?;
        let incidents = self.incidents.follow(&mut tx, &moved).await?;
        let discovered = discover(&mut tx, &news).await?;
        // Losing anything else to a crash of the database only means looking again.
        if !incidents.is_empty() || discovered {
            tx.require_durability().await?;
        }
        tell(&mut tx, &news, &repeats, incidents).await?;
        tx.commit().await?;
        metrics::counter!("waypost_results_recorded_total").increment(news.len() as u64);
        metrics::histogram!("waypost_record_seconds").record(started.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Judges what is new; a shared outcome that this unit has recorded before is a repeat and only ends the lease.
fn sort_out<'a>(locked: Vec<LockedMonitor>, runs: &'a [Run], region: &str, now: DateTime<Utc>) -> (Vec<Judged<'a>>, Vec<(LockedMonitor, &'a Run)>) {
    let (mut news, mut repeats) = (Vec::with_capacity(locked.len()), Vec::new());
    for monitor in locked {
        let Some(run) = runs.iter().find(|run| run.monitor == monitor.id && run.claim == monitor.claim) else { continue };
        // PostgreSQL keeps microseconds.
        if monitor.last_at.is_some_and(|last| run.at.trunc_subsecs(6) <= last) {
            repeats.push((monitor, run));
            continue;
        }
        let outcome = carry(monitor.trouble.as_ref(), &run.outcome);
        let summary = sentence(&outcome);
        let mut latest = monitor.others.clone();
        latest.push(RegionOutcome {
            region: region.to_owned(),
            at: run.at,
            verdict: outcome.verdict(),
            worst: outcome.worst(),
            summary: summary.clone(),
        });
        let context =
            JudgeContext { now, policy: monitor.policy, interval: vote_interval(&monitor), kind: monitor.kind, regions: monitor.regions.len() };
        let judgement = judge(&monitor.judge, &latest, &context);
        news.push(Judged { monitor, run, outcome, summary, judgement });
    }
    (news, repeats)
}

async fn write<'a>(
    tx: &mut OrgTx,
    region: &str,
    news: &'a [Judged<'a>],
    repeats: &[(LockedMonitor, &Run)],
    now: DateTime<Utc>,
) -> Result<Vec<Moved<'a>>, WorkerError> {
    let records: Vec<Recorded<'_>> = news.iter().map(|judged| record_of(judged, now)).collect();
    tx.record_runs(region, &records).await?;
    let repeat = |(monitor, run): &(LockedMonitor, &Run)| Repeat {
        monitor: monitor.id,
        claim: monitor.claim,
        next_run_at: next_after_repeat(monitor, now),
        requested: run.requested,
    };
    let ended: Vec<Repeat> = repeats.iter().map(repeat).collect();
    tx.finish_without_result(region, &ended).await?;
    for judged in news {
        // A change in one region is confirmed by all of them, so they look again now.
        if let Some(delay) = judged.judgement.recheck.filter(|_| judged.monitor.regions.len() > 1) {
            tx.hasten_other_regions(region, &[judged.monitor.id], now + delay).await?;
        }
    }
    Ok(news.iter().flat_map(|judged| judged.judgement.transitions.iter().map(|transition| moved(judged, transition))).collect())
}

fn record_of<'a>(judged: &'a Judged<'_>, now: DateTime<Utc>) -> Recorded<'a> {
    let Judged { monitor, run, outcome, summary, judgement } = judged;
    let verdict = outcome.verdict();
    let recheck = judgement.recheck.map(|delay| now + delay);
    Recorded {
        monitor: monitor.id,
        claim: monitor.claim,
        at: run.at,
        outcome,
        summary,
        latency_ms: latency_ms(outcome),
        // A server that is degraded for months would else fill the table with the same transcript.
        keep: monitor.last_verdict != Some(verdict) || matches!(verdict, Verdict::Down | Verdict::Unknown),
        judge: judgement.state.clone(),
        next_run_at: recheck.map_or(monitor.next_run_at, |at| at.min(monitor.next_run_at)),
        requested: run.requested,
    }
}

/// A change that waits for its confirmation is looked at again soon, even when somebody asked in between and was given what we knew.
fn next_after_repeat(monitor: &LockedMonitor, now: DateTime<Utc>) -> DateTime<Utc> {
    match monitor.judge.candidate {
        Some(_) => monitor.next_run_at.min(now + recheck_delay(interval_of(monitor))),
        None => monitor.next_run_at,
    }
}

/// An outcome votes for two intervals. A mailbox provider's host is looked at every 15 minutes at most, whatever the monitor asks.
fn vote_interval(monitor: &LockedMonitor) -> Duration {
    let provider = monitor.kind == MonitorKind::Smtp && provider_of(split_target(&monitor.target).0).is_some();
    interval_of(monitor).max(if provider { PROVIDER_SPACING } else { Duration::ZERO })
}

fn interval_of(monitor: &LockedMonitor) -> Duration {
    Duration::from_secs(u64::try_from(monitor.interval_s).unwrap_or(1))
}

fn moved<'a>(judged: &'a Judged<'_>, transition: &'a Transition) -> Moved<'a> {
    Moved { monitor: judged.monitor.id, kind: judged.monitor.kind, target: &judged.monitor.target, outcome: &judged.outcome, transition }
}

/// What audits discovered. Answers whether something is new.
async fn discover(tx: &mut OrgTx, news: &[Judged<'_>]) -> Result<bool, WorkerError> {
    let mut new = false;
    for judged in news {
        let (Outcome::Audit(report), Some(domain)) = (&*judged.run.outcome, judged.monitor.domain_id) else { continue };
        // No MX hosts because nothing could be told is no reason to unlink the servers.
        if report.mx_hosts.is_empty() && report.unknown.iter().any(|part| part.subject.starts_with("mx")) {
            continue;
        }
        let found = tx.discover(domain, &report.mx_hosts, &judged.monitor.regions).await?;
        new |= !(found.servers.is_empty() && found.addresses.is_empty());
    }
    Ok(new)
}

/// One notification per kind of news.
async fn tell(tx: &mut OrgTx, news: &[Judged<'_>], repeats: &[(LockedMonitor, &Run)], incidents: Vec<String>) -> Result<(), WorkerError> {
    // Who pressed “check now” waits for an answer even when it is one we knew.
    let asked = repeats.iter().filter(|(_, run)| run.requested).map(|(monitor, _)| monitor);
    let monitors: Vec<&LockedMonitor> = news.iter().map(|judged| &judged.monitor).chain(asked).collect();
    if !monitors.is_empty() {
        let assets = monitors.iter().flat_map(|monitor| {
            let ids =
                [monitor.domain_id.map(|id| id.to_string()), monitor.server_id.map(|id| id.to_string()), monitor.address_id.map(|id| id.to_string())];
            ids.into_iter().flatten()
        });
        let event = LiveEvent::Checked { monitors: monitors.iter().map(|monitor| monitor.id.to_string()).collect(), assets: assets.collect() };
        tx.notify(&event).await?;
    }
    if !incidents.is_empty() {
        tx.notify(&LiveEvent::Incidents { ids: incidents }).await?;
    }
    Ok(())
}
