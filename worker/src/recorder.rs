//! Recording what was seen, one organisation at a time: lock, discard what is stale, judge, write in bulk, and let incidents, mails and
//! discoveries follow, all in one transaction. Nothing is sent here.

use std::{net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound as _, Utc};
use waypost_engine::{audit::provider_of, probe::with_least_size};
use waypost_store::{
    OrgTx, Store,
    judging::LockedMonitor,
    maintenance::WindowsInForce,
    recording::{Recorded, Repeat},
};
use waypost_types::{
    MonitorId, OrgId,
    audit::SelectorOrigin,
    event::LiveEvent,
    judge::RegionOutcome,
    monitor::MonitorKind,
    outcome::{AuditReport, Outcome, Verdict},
};

use crate::{
    WorkerError,
    carry::{Memory, carry, found, standing},
    checker::split_target,
    conditions::{self, Decision, Element},
    elsewhere::{StarttlsElsewhere, as_elsewhere, starttls_elsewhere},
    history,
    incidents::{Incidents, Step},
    judge::{JudgeContext, Judgement, judge, recheck_delay},
    server_history,
    shared_checks::PROVIDER_SPACING,
    stays,
    steps::{of_decision, of_flapping, of_transition},
    untold::untold,
    wording::{latency_ms, sentence, stages},
};

/// An audit that could not read what the others rest on is made again soon: name servers come back within minutes, and a blind hour is long.
const BLIND_RECHECK: Duration = Duration::from_secs(600);

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
    /// What became of its conditions, where this region judges them.
    conditions: Option<(Vec<Element>, Decision)>,
    /// This region keeps the history.
    keeps: bool,
    /// It was seen in a maintenance window.
    maintenance: bool,
}

impl Judged<'_> {
    /// When a change waits for its confirmation: how soon to look again.
    fn recheck(&self) -> Option<Duration> {
        let waits = self.conditions.as_ref().is_some_and(|(_, decision)| decision.recheck);
        let confirm = self.judgement.recheck.or_else(|| waits.then(|| recheck_delay(interval_of(&self.monitor))));
        confirm.or_else(|| is_blind(&self.run.outcome).then_some(BLIND_RECHECK))
    }

    /// An audit whose records are to be compared with those of before.
    fn look(&self) -> Option<history::Look<'_>> {
        let ((seen, _), Outcome::Audit(report), Some(domain)) = (self.conditions.as_ref()?, &*self.run.outcome, self.monitor.domain_id) else {
            return None;
        };
        Some(history::Look { domain, report, at: self.run.at, worse: history::worse_families(&self.monitor.conditions, seen) })
    }

    /// Adds to an audit of a watched domain the records that it misses, as they were.
    async fn name_gone(&mut self, tx: &mut OrgTx) -> Result<(), WorkerError> {
        let (Outcome::Audit(report), Some(domain)) = (&*self.outcome, self.monitor.domain_id) else { return Ok(()) };
        let gone = history::gone(tx, domain, report).await?;
        if !gone.is_empty() {
            self.outcome = Arc::new(Outcome::Audit(Box::new(AuditReport { gone, ..(**report).clone() })));
        }
        Ok(())
    }

    /// A scan whose listings are to be followed: what was looked at now, since a listing that is carried over was not seen again.
    fn scan(&self) -> Option<stays::Scan<'_>> {
        let ((_, decision), Outcome::Blacklist(_)) = (self.conditions.as_ref()?, &*self.run.outcome) else { return None };
        Some(stays::Scan { monitor: self.monitor.id, outcome: &self.run.outcome, conditions: &decision.state, at: self.run.at })
    }

    /// A probe of a server that is not a mailbox provider's: theirs are many machines that are nobody's business here.
    fn server_look(&self) -> Option<server_history::Look<'_>> {
        let Outcome::Smtp(report) = &*self.run.outcome else { return None };
        let own = self.keeps && provider_of(split_target(&self.monitor.target).0).is_none();
        own.then_some(server_history::Look { monitor: &self.monitor, report, at: self.run.at })
    }
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
        let windows = if locked.iter().any(|monitor| monitor.tags.is_some()) { tx.windows_in_force().await? } else { WindowsInForce::default() };
        let elsewhere = starttls_elsewhere(&mut tx, region, &locked, runs).await?;
        let (mut news, repeats) = sort_out(locked, runs, (region, &windows, &elsewhere), now);
        let looks: Vec<history::Look<'_>> = news.iter().filter_map(Judged::look).collect();
        history::keep(&mut tx, &looks).await?;
        // After what went just now is in the history, and before the outcome is written and told.
        for judged in &mut news {
            judged.name_gone(&mut tx).await?;
        }
        write(&mut tx, region, &news, &repeats, now).await?;
        server_history::keep(&mut tx, news.iter().filter_map(Judged::server_look)).await?;
        stays::follow(&mut tx, news.iter().filter_map(Judged::scan)).await?;
        let mut steps: Vec<Step<'_>> = news.iter().flat_map(steps_of).collect();
        let domain_of = |step: &Step<'_>| news.iter().find(|judged| judged.monitor.id == step.monitor).and_then(|judged| judged.monitor.domain_id);
        history::name_causes(&mut tx, &mut steps, domain_of).await?;
        server_history::name_causes(&mut tx, &mut steps).await?;
        stays::name_domains(&mut tx, &mut steps).await?;
        let incidents = self.incidents.follow(&mut tx, &steps).await?;
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
fn sort_out<'a>(
    locked: Vec<LockedMonitor>,
    runs: &'a [Run],
    (region, windows, elsewhere): (&str, &WindowsInForce, &StarttlsElsewhere),
    now: DateTime<Utc>,
) -> (Vec<Judged<'a>>, Vec<(LockedMonitor, &'a Run)>) {
    let (mut news, mut repeats) = (Vec::with_capacity(locked.len()), Vec::new());
    for monitor in locked {
        let Some(run) = runs.iter().find(|run| run.monitor == monitor.id && run.claim == monitor.claim) else { continue };
        // PostgreSQL keeps microseconds.
        if monitor.last_at.is_some_and(|last| run.at.trunc_subsecs(6) <= last) {
            repeats.push((monitor, run));
            continue;
        }
        let keeps = keeps_history(&monitor, region, now);
        // Servers are judged as a whole; by conditions only what close looks and the login find, once there was one.
        let has_conditions = match &*run.outcome {
            Outcome::Smtp(report) => monitor.conditions.started || !report.close_looks.is_empty() || report.login.is_some(),
            Outcome::Audit(_) | Outcome::Blacklist(_) => true,
            Outcome::Service(_) => false,
        };
        let judges = keeps && has_conditions;
        let seen = as_asked(&monitor, &as_elsewhere(&run.outcome, elsewhere.get(&monitor.id)));
        let outcome = carry(monitor.before.as_ref().zip(monitor.last_at), &seen, Memory { conditions: &monitor.conditions, judges, at: run.at });
        let summary = sentence(&outcome);
        let mut latest = monitor.others.clone();
        latest.push(RegionOutcome {
            region: region.to_owned(),
            at: run.at,
            verdict: outcome.verdict(),
            worst: outcome.worst(),
            summary: summary.clone(),
        });
        let maintenance = windows.cover(&monitor.watched(), run.at);
        let context = JudgeContext {
            now,
            policy: monitor.policy,
            interval: vote_interval(&monitor),
            kind: monitor.kind,
            regions: monitor.regions.len(),
            maintenance,
            cut_offs: &monitor.cut_offs,
        };
        let judgement = judge(&monitor.judge, &latest, &context);
        // What can not be told changes nothing, but how long what an incident is about can not be told.
        let tells = monitor.kind.is_judged_whole() || outcome.verdict() != Verdict::Unknown || !monitor.conditions.open.is_empty();
        let conditions = (judges && tells).then(|| judge_conditions(&monitor, run, &outcome, maintenance));
        news.push(Judged { monitor, run, outcome, summary, judgement, conditions, keeps, maintenance });
    }
    (news, repeats)
}

/// What was seen, judged by what the organisation asks of its own server. The conversation itself is shared with whoever else watches it.
fn as_asked(monitor: &LockedMonitor, seen: &Arc<Outcome>) -> Arc<Outcome> {
    match (&**seen, monitor.least_size_mb) {
        (Outcome::Smtp(report), Some(least)) => {
            with_least_size(report, least).map_or_else(|| Arc::clone(seen), |judged| Arc::new(Outcome::Smtp(Box::new(judged))))
        }
        _ => Arc::clone(seen),
    }
}

fn judge_conditions(monitor: &LockedMonitor, run: &Run, outcome: &Outcome, maintenance: bool) -> (Vec<Element>, Decision) {
    let mut seen = conditions::elements(outcome);
    // A login that never worked did not break: who stored it sees that on the page. One that is told of already stays told.
    let unproven = matches!(outcome, Outcome::Smtp(report) if report.login.as_ref().is_some_and(|login| login.unproven));
    if unproven && !monitor.conditions.open.contains_key(conditions::LOGIN) {
        seen.retain(|element| element.condition != conditions::LOGIN);
    }
    if !monitor.conditions.started && monitor.last_at.is_some() && !monitor.kind.is_judged_whole() {
        // Watched since before conditions were kept: what is wrong may have been told, and is no baseline.
        for element in &mut seen {
            element.silent_first = false;
        }
    }
    let look = conditions::Look {
        seen: &seen,
        untold: &untold(&run.outcome),
        found: &found(outcome),
        standing: &|id| standing(id, &run.outcome),
        at: run.at,
        maintenance,
    };
    let decision = conditions::decide(&monitor.conditions, look, monitor.policy);
    (seen, decision)
}

/// DNS says the same everywhere, so that one region's word is enough: the first of the monitor's regions that looked lately judges its
/// conditions and keeps its history, and that of a server, or an answer that differs by region would open and end incidents in turn.
fn keeps_history(monitor: &LockedMonitor, region: &str, now: DateTime<Utc>) -> bool {
    let oldest = now - chrono::Duration::from_std(interval_of(monitor) * 2).unwrap_or(chrono::Duration::MAX);
    let lately = |name: &String| monitor.others.iter().any(|other| other.region == *name && other.at >= oldest && other.verdict != Verdict::Unknown);
    !monitor.regions.iter().take_while(|name| *name != region).any(lately)
}

fn steps_of<'a>(judged: &'a Judged<'_>) -> Vec<Step<'a>> {
    let conditions =
        judged.conditions.iter().flat_map(|(seen, decision)| of_decision(&judged.monitor, &judged.outcome, seen, decision, judged.run.at));
    let whole = judged.judgement.transitions.iter().filter(|_| judged.monitor.kind.is_judged_whole());
    let flaps = judged.judgement.flapping.filter(|_| judged.monitor.kind.is_judged_whole());
    let flaps = flaps.map(|news| of_flapping(&judged.monitor, &judged.outcome, news, judged.run.at));
    whole.filter_map(|transition| of_transition(&judged.monitor, &judged.outcome, transition)).chain(flaps).chain(conditions).collect()
}

async fn write(tx: &mut OrgTx, region: &str, news: &[Judged<'_>], repeats: &[(LockedMonitor, &Run)], now: DateTime<Utc>) -> Result<(), WorkerError> {
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
        if let Some((_, decision)) = judged.conditions.as_ref().filter(|(_, decision)| decision.state != judged.monitor.conditions) {
            tx.keep_conditions(judged.monitor.id, &decision.state).await?;
        }
        if let Some(delay) = judged.judgement.recheck.filter(|_| judged.monitor.regions.len() > 1) {
            tx.hasten_other_regions(region, &[judged.monitor.id], now + delay).await?;
        }
    }
    Ok(())
}

fn record_of<'a>(judged: &'a Judged<'_>, now: DateTime<Utc>) -> Recorded<'a> {
    let Judged { monitor, run, outcome, summary, judgement, .. } = judged;
    let verdict = outcome.verdict();
    let recheck = judged.recheck().map(|delay| now + delay);
    Recorded {
        monitor: monitor.id,
        claim: monitor.claim,
        at: run.at,
        outcome,
        summary,
        latency_ms: latency_ms(outcome),
        stages: stages(outcome),
        // A server that is degraded for months would else fill the table with the same transcript.
        keep: monitor.last_verdict != Some(verdict) || matches!(verdict, Verdict::Down | Verdict::Unknown),
        judge: judgement.state.clone(),
        next_run_at: recheck.map_or(monitor.next_run_at, |at| at.min(monitor.next_run_at)),
        requested: run.requested,
        maintenance: judged.maintenance,
        heard_at: judgement.heard.then_some(run.at),
    }
}

/// Whether an audit could not even read the records that it stands on. What fails behind a record that was read (an include, a mailbox for
/// reports) may do so for ever, and is no reason to ask everything again every few minutes.
fn is_blind(outcome: &Outcome) -> bool {
    let Outcome::Audit(report) = outcome else { return false };
    report.shaky().any(|family| !report.records.contains_key(family))
}

/// A change that waits for its confirmation is looked at again soon, even when somebody asked in between and was given what we knew.
fn next_after_repeat(monitor: &LockedMonitor, now: DateTime<Utc>) -> DateTime<Utc> {
    let waits = |id: &String| !monitor.conditions.unseen.contains_key(id);
    if monitor.judge.candidate.is_some() || monitor.conditions.waiting.keys().any(waits) {
        monitor.next_run_at.min(now + recheck_delay(interval_of(monitor)))
    } else {
        monitor.next_run_at
    }
}

/// An outcome votes for two intervals. A mailbox provider's host is looked at every 15 minutes at most, whatever the monitor asks.
pub(crate) fn vote_interval(monitor: &LockedMonitor) -> Duration {
    let provider = monitor.kind == MonitorKind::Smtp && provider_of(split_target(&monitor.target).0).is_some();
    interval_of(monitor).max(if provider { PROVIDER_SPACING } else { Duration::ZERO })
}

fn interval_of(monitor: &LockedMonitor) -> Duration {
    Duration::from_secs(u64::try_from(monitor.interval_s).unwrap_or(1))
}

/// What audits discovered. Answers whether something is new.
async fn discover(tx: &mut OrgTx, news: &[Judged<'_>]) -> Result<bool, WorkerError> {
    let mut new = false;
    for judged in news {
        let report = match (&*judged.run.outcome, judged.monitor.domain_id, judged.monitor.server_id) {
            (Outcome::Audit(report), Some(_), _) => report,
            // Once an hour: a server moves seldom, and is probed every few minutes.
            (Outcome::Smtp(report), _, Some(server)) if is_first_of_hour(judged.monitor.last_at, judged.run.at) => {
                let addresses: Vec<IpAddr> = report.probes.iter().filter_map(|probe| probe.address).collect();
                new |= !tx.discover_addresses(server, &addresses, &judged.monitor.regions).await?.is_empty();
                continue;
            }
            _ => continue,
        };
        let Some(domain) = judged.monitor.domain_id else { continue };
        new |= tx.prove_domain(domain, &report.owner_tokens, judged.run.at).await?;
        let guessed =
            report.detail.dkim.iter().filter(|key| key.is_usable() && matches!(key.origin, SelectorOrigin::Catalog | SelectorOrigin::Found));
        let guessed: Vec<String> = guessed.map(|key| key.selector.clone()).collect();
        if !guessed.is_empty() {
            tx.selectors_found(domain, &guessed).await?;
        }
        // No MX hosts because nothing could be told is no reason to unlink the servers.
        if report.mx_hosts.is_empty() && report.unknown.iter().any(|part| part.subject.starts_with("mx")) {
            continue;
        }
        new |= !tx.discover(domain, report, &judged.monitor.regions).await?.is_empty();
    }
    Ok(new)
}

fn is_first_of_hour(last: Option<DateTime<Utc>>, at: DateTime<Utc>) -> bool {
    last.is_none_or(|last| last.timestamp().div_euclid(3600) != at.timestamp().div_euclid(3600))
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
