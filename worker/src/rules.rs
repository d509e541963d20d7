//! Rules: claims those that are due, holds the values of their monitors to the limits, and lets incidents follow. Each rule is judged in one
//! transaction under its own lock, so that a worker that dies has done nothing and two that judge at once do it one after the other.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use waypost_store::{
    OrgTx, Store,
    maintenance::WindowsInForce,
    rule_states::{Beyond, LockedRule, Remembered, StepMonitor},
    rule_values::{RuleMonitor, RuleMonitors},
};
use waypost_types::{
    MonitorId, OrgId, RuleId,
    event::LiveEvent,
    outcome::Outcome,
    rule::{Rule, condition_of},
};

use crate::{
    WorkerError,
    backoff::forever,
    error::chain,
    incidents::{Flap, Incidents, Step, What},
    rule_words,
    thresholds::{Happens, judge},
};

/// Rules judged at once by a worker: a large organisation's holds up few others.
const AT_ONCE: i32 = 4;
/// Incidents that one judgement opens, changes or ends: monitors are locked meanwhile. The rest follows with the next one, at once.
const MOST_STEPS: usize = waypost_store::slack_messages::MOST_TOGETHER;
/// Between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Judges rules.
#[derive(Debug, Clone)]
pub struct Rules {
    store: Store,
    incidents: Incidents,
}

/// What becomes of a monitor's state and of its incident.
struct Turn<'a> {
    id: MonitorId,
    /// Nothing where it did not become otherwise.
    after: Option<Beyond>,
    news: Option<News<'a>>,
}

/// What is to be told.
enum News<'a> {
    Stands { monitor: &'a RuleMonitor, beyond: Beyond },
    Ended { monitor: &'a RuleMonitor, since: DateTime<Utc> },
    LetGo,
}

impl Rules {
    /// Judges what `store` holds; mails link to `base_url` and their ids end in `mail_domain`.
    pub fn new(store: Store, base_url: &str, mail_domain: &str) -> Self {
        Self { store, incidents: Incidents::new(base_url, mail_domain) }
    }

    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        forever("rules", shutdown, || async {
            while !shutdown.is_cancelled() && self.judge_due(Utc::now()).await? > 0 {}
            Ok::<_, WorkerError>(LOOK_EVERY)
        })
        .await;
    }

    /// Claims a few rules that are due and judges them as of `now`. A rule that can not be judged is told of in the log and comes again; the
    /// others are judged. Answers how many were claimed.
    pub async fn judge_due(&self, now: DateTime<Utc>) -> Result<usize, WorkerError> {
        let claimed = self.store.claim_due_rules(AT_ONCE).await?;
        join_all(claimed.iter().map(async |(org, rule)| {
            let started = std::time::Instant::now();
            if let Err(error) = self.judge_one(*org, *rule, now).await {
                metrics::counter!("waypost_worker_failures_total", "part" => "rules").increment(1);
                tracing::warn!(%org, %rule, error = chain(&error), "a rule could not be judged; it comes again");
            }
            metrics::histogram!("waypost_rule_seconds").record(started.elapsed().as_secs_f64());
        }))
        .await;
        Ok(claimed.len())
    }

    /// Judges one rule, claimed or not.
    pub async fn judge_one(&self, org: OrgId, id: RuleId, now: DateTime<Utc>) -> Result<(), WorkerError> {
        let mut tx = self.store.org_tx(org).await?;
        let Some(LockedRule { rule, .. }) = tx.lock_rule(id).await? else { return Ok(()) };
        let states = tx.rule_states(&rule).await?;
        let about = if rule.settings.enabled {
            tx.rule_monitors(&rule.settings, now).await?
        } else {
            RuleMonitors { complete: true, ..RuleMonitors::default() }
        };
        if !about.complete {
            tracing::warn!(%org, rule = %id, judged = about.monitors.len(), "a rule is about more monitors than are judged; the newest are left out");
        }
        let windows = if about.monitors.is_empty() { WindowsInForce::default() } else { tx.windows_in_force().await? };
        let mut turns = turns(&rule, &about, &states, (&windows, now));
        let told = turns.iter().filter(|turn| turn.news.is_some()).count();
        let mut room = MOST_STEPS;
        turns.retain(|turn| {
            let kept = turn.news.is_none() || room > 0;
            if turn.news.is_some() {
                room = room.saturating_sub(1);
            }
            kept
        });
        let incidents = self.follow(&mut tx, &rule, turns, now).await?;
        tx.rule_judged(id, now, told > MOST_STEPS).await?;
        if !incidents.is_empty() {
            tx.notify(&LiveEvent::Incidents { ids: incidents }).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Keeps the states, and lets incidents follow.
    async fn follow(&self, tx: &mut OrgTx, rule: &Rule, turns: Vec<Turn<'_>>, now: DateTime<Utc>) -> Result<Vec<String>, WorkerError> {
        if turns.is_empty() {
            return Ok(Vec::new());
        }
        let all: Vec<MonitorId> = turns.iter().map(|turn| turn.id).collect();
        let told: Vec<MonitorId> = turns.iter().filter(|turn| turn.news.is_some()).map(|turn| turn.id).collect();
        let (there, seen) = tx.lock_monitors_of_rule(rule, &all, &told).await?;
        let seen: Vec<(StepMonitor, Outcome)> = seen
            .into_iter()
            .filter_map(|mut monitor| {
                // An outcome of a newer worker is none to this one: it says nothing now, and the rule comes again.
                let outcome = serde_json::from_value(monitor.outcome.take()?).ok()?;
                Some((monitor, outcome))
            })
            .collect();
        let condition = condition_of(rule.id, rule.settings.series);
        let mut steps = Vec::with_capacity(seen.len());
        let mut kept: Vec<(MonitorId, Option<Beyond>)> = Vec::with_capacity(turns.len());
        for turn in turns.into_iter().filter(|turn| there.contains(&turn.id)) {
            let Some(news) = turn.news else {
                kept.push((turn.id, turn.after));
                continue;
            };
            let Some((monitor, outcome)) = seen.iter().find(|(monitor, _)| monitor.id == turn.id) else {
                // Without what proves it nothing opens, and nothing is forgotten: it waits for the next outcome.
                kept.extend(turn.after.map(|after| (turn.id, Some(Beyond { firing: false, ..after }))));
                continue;
            };
            kept.push((turn.id, turn.after));
            let what = what_of(rule, &news, &monitor.target);
            steps.push(Step {
                monitor: monitor.id,
                condition: condition.clone(),
                kind: monitor.kind,
                target: &monitor.target,
                outcome,
                at: now,
                what,
            });
        }
        let incidents = self.incidents.follow(tx, &steps).await?;
        tx.keep_rule_states(rule.id, &kept).await?;
        Ok(incidents)
    }
}

fn what_of(rule: &Rule, news: &News<'_>, target: &str) -> What {
    match news {
        News::Stands { monitor, beyond } => {
            let value = monitor.value.unwrap_or_default();
            let (title, summary) = rule_words::stands(&rule.settings, target, value, beyond.since);
            What::Stands { severity: rule.settings.severity, title, summary, better: false, flap: Flap::default() }
        }
        News::Ended { monitor, since } => {
            let (title, summary) = rule_words::ended(&rule.settings, target, monitor.value.unwrap_or_default(), *since);
            What::Ended { title, summary }
        }
        News::LetGo => What::LetGo(rule_words::let_go(&rule.settings)),
    }
}

/// What becomes of each monitor that is, or was, of a rule. Who is calm and was calm has no turn.
fn turns<'a>(
    rule: &Rule,
    about: &'a RuleMonitors,
    states: &HashMap<MonitorId, Remembered>,
    (windows, now): (&WindowsInForce, DateTime<Utc>),
) -> Vec<Turn<'a>> {
    let mut turns = Vec::new();
    for monitor in &about.monitors {
        let remembered = states.get(&monitor.id);
        let incident = remembered.and_then(|state| state.incident);
        // Whose incident somebody ended by hand begins anew: what lasts is told again.
        let before = remembered.map(|state| state.beyond).filter(|beyond| !beyond.firing || incident.is_some());
        if monitor.paused || windows.cover(&monitor.watched(), now) {
            // It is not judged: what is open stays, and what waits has not lasted.
            if remembered.is_some() && before.is_none_or(|before| !before.firing) {
                turns.push(Turn { id: monitor.id, after: None, news: None });
            }
            continue;
        }
        let (after, happens) = judge(before, &rule.settings, monitor.value, now);
        let news = match (happens, after) {
            (Happens::Fires, Some(beyond)) if incident.is_none_or(|(_, severity)| severity != rule.settings.severity) => {
                Some(News::Stands { monitor, beyond })
            }
            (Happens::Ends, _) => before.map(|before| News::Ended { monitor, since: before.since }),
            _ => None,
        };
        if news.is_some() || after != remembered.map(|state| state.beyond) {
            turns.push(Turn { id: monitor.id, after, news });
        }
    }
    if about.complete {
        let gone = states.iter().filter(|(id, _)| about.monitors.binary_search_by_key(id, |monitor| &monitor.id).is_err());
        turns.extend(gone.map(|(id, state)| Turn { id: *id, after: None, news: state.incident.map(|_| News::LetGo) }));
    }
    turns
}
