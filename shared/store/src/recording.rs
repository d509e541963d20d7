//! Recording what checks found: results, latest outcomes, schedule and summaries in bulk. What is judged before is locked by `judging.rs`; what a
//! verdict means is decided by the worker's judge between the two.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    MonitorId,
    conditions::Conditions,
    judge::JudgeState,
    outcome::{Outcome, StageMs},
    timing::Stage,
};

use crate::{OrgTx, StoreError};

/// One run to be recorded.
#[derive(Debug, Clone)]
pub struct Recorded<'a> {
    /// The monitor.
    pub monitor: MonitorId,
    /// Its claim.
    pub claim: i64,
    /// When it was observed.
    pub at: DateTime<Utc>,
    /// What was found.
    pub outcome: &'a Outcome,
    /// Its sentence.
    pub summary: &'a str,
    /// Total milliseconds.
    pub latency_ms: Option<f64>,
    /// Milliseconds by stage.
    pub stages: Option<StageMs>,
    /// Keep the full outcome with the result: it changed something or is trouble.
    pub keep: bool,
    /// What the judge remembers from now on.
    pub judge: JudgeState,
    /// When the unit runs next.
    pub next_run_at: DateTime<Utc>,
    /// The run answers a person's request.
    pub requested: bool,
    /// It was seen in a maintenance window.
    pub maintenance: bool,
    /// When it was observed, where it counted or another region's did: the state is no older than this.
    pub heard_at: Option<DateTime<Utc>>,
}

/// A run that observed nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// The monitor.
    pub monitor: MonitorId,
    /// Its claim.
    pub claim: i64,
    /// When the unit runs next.
    pub next_run_at: DateTime<Utc>,
    /// The run answers a person's request. One that came in while it ran is still to be answered.
    pub requested: bool,
}

impl OrgTx {
    /// What this transaction says is kept even when the database crashes right after its commit: a message follows from it.
    pub async fn require_durability(&mut self) -> Result<(), StoreError> {
        sqlx::query("SET LOCAL synchronous_commit = on").execute(self.connection()).await?;
        Ok(())
    }

    /// Writes runs of one region: result rows, latest outcomes, schedule and the monitors' summaries. The rows are locked by
    /// [`OrgTx::lock_for_judging`] in the same transaction.
    pub async fn record_runs(&mut self, region: &str, runs: &[Recorded<'_>]) -> Result<(), StoreError> {
        if runs.is_empty() {
            return Ok(());
        }
        let org = self.org().0;
        let columns = Columns::of(runs)?;
        // One statement: at many small organisations the way to the database and back is what recording costs.
        sqlx::query!(
            "WITH r AS MATERIALIZED (
               SELECT * FROM UNNEST($3::uuid[], $4::uuid[], $5::bigint[], $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::float8[], $11::jsonb[],
                 $12::bool[], $13::timestamptz[], $14::bool[], $15::jsonb[], $16::text[], $17::timestamptz[], $18::int[], $19::int[], $20::int[], $21::bool[], $22::text[], $23::timestamptz[])
               AS r(id, monitor_id, claim, at, verdict, worst, summary, latency_ms, outcome, keep, next_run_at, requested, judge, state, since, listed, answered, asked, maintenance, stages, heard_at)
             ), results AS (
               INSERT INTO check_results (org_id, id, monitor_id, region, claim, at, verdict, summary, latency_ms, outcome, maintenance, stages)
               SELECT $1, id, monitor_id, $2, claim, at, verdict, summary, latency_ms, CASE WHEN keep THEN outcome END, maintenance, stages::real[] FROM r
             ), latest AS (
               INSERT INTO last_outcomes (org_id, monitor_id, region, at, outcome) SELECT $1, monitor_id, $2, at, outcome FROM r
               ON CONFLICT (org_id, monitor_id, region) DO UPDATE SET at = excluded.at, outcome = excluded.outcome
             ), units AS (
               UPDATE schedule_units u SET leased = false, due_at = r.next_run_at, next_run_at = r.next_run_at, requested = u.requested AND NOT r.requested,
                 last_at = r.at, last_verdict = r.verdict, last_worst = r.worst, last_summary = r.summary, last_latency_ms = r.latency_ms
               FROM r WHERE u.org_id = $1 AND u.region = $2 AND u.monitor_id = r.monitor_id
             )
             UPDATE monitors m SET judge = r.judge, state = r.state, state_since = r.since, summary = r.summary, latency_ms = r.latency_ms,
               last_checked_at = r.at, heard_at = coalesce(r.heard_at, m.heard_at), listed = r.listed, answered = r.answered, asked = r.asked
             FROM r WHERE m.org_id = $1 AND m.id = r.monitor_id",
            org,
            region,
            &columns.ids,
            &columns.monitors,
            &columns.claims,
            &columns.at,
            &columns.verdicts,
            &columns.worst as &[Option<String>],
            &columns.summaries,
            &columns.latencies as &[Option<f64>],
            &columns.outcomes,
            &columns.keep,
            &columns.next,
            &columns.requested,
            &columns.judges,
            &columns.states,
            &columns.since as &[Option<DateTime<Utc>>],
            &columns.listed,
            &columns.answered,
            &columns.asked,
            &columns.maintenance,
            &columns.stages as &[Option<String>],
            &columns.heard_at as &[Option<DateTime<Utc>>]
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Keeps what is remembered of a monitor's conditions.
    pub async fn keep_conditions(&mut self, monitor: MonitorId, conditions: &Conditions) -> Result<(), StoreError> {
        let org = self.org().0;
        let value = clean(serde_json::to_value(conditions)?);
        sqlx::query!("UPDATE monitors SET conditions = $3 WHERE org_id = $1 AND id = $2", org, monitor.0, value).execute(self.connection()).await?;
        Ok(())
    }

    /// Ends leases of runs that observed nothing new (a shared outcome that is recorded already): the unit just waits for its next turn.
    pub async fn finish_without_result(&mut self, region: &str, ended: &[Repeat]) -> Result<(), StoreError> {
        if ended.is_empty() {
            return Ok(());
        }
        let org = self.org().0;
        let monitors: Vec<Uuid> = ended.iter().map(|repeat| repeat.monitor.0).collect();
        let claims: Vec<i64> = ended.iter().map(|repeat| repeat.claim).collect();
        let next: Vec<DateTime<Utc>> = ended.iter().map(|repeat| repeat.next_run_at).collect();
        let requested: Vec<bool> = ended.iter().map(|repeat| repeat.requested).collect();
        sqlx::query!(
            "UPDATE schedule_units u SET leased = false, requested = u.requested AND NOT c.requested, due_at = c.next_run_at, next_run_at = c.next_run_at
             FROM UNNEST($3::uuid[], $4::bigint[], $5::timestamptz[], $6::bool[]) AS c(monitor_id, claim, next_run_at, requested)
             WHERE u.org_id = $1 AND u.region = $2 AND u.monitor_id = c.monitor_id AND u.claim = c.claim AND u.leased",
            org,
            region,
            &monitors,
            &claims,
            &next,
            &requested
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// A change waits for its confirmation: the other regions look again by `at`, too.
    pub async fn hasten_other_regions(&mut self, region: &str, monitors: &[MonitorId], at: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|monitor| monitor.0).collect();
        sqlx::query!(
            "UPDATE schedule_units SET next_run_at = $4, due_at = $4
             WHERE org_id = $1 AND monitor_id = ANY($2) AND region <> $3 AND NOT leased AND due_at > $4",
            org,
            &ids,
            region,
            at
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

/// Runs as the columns that UNNEST takes.
struct Columns {
    ids: Vec<Uuid>,
    monitors: Vec<Uuid>,
    claims: Vec<i64>,
    at: Vec<DateTime<Utc>>,
    verdicts: Vec<String>,
    worst: Vec<Option<String>>,
    summaries: Vec<String>,
    latencies: Vec<Option<f64>>,
    outcomes: Vec<Value>,
    keep: Vec<bool>,
    next: Vec<DateTime<Utc>>,
    requested: Vec<bool>,
    judges: Vec<Value>,
    states: Vec<String>,
    since: Vec<Option<DateTime<Utc>>>,
    listed: Vec<i32>,
    answered: Vec<i32>,
    asked: Vec<i32>,
    maintenance: Vec<bool>,
    stages: Vec<Option<String>>,
    heard_at: Vec<Option<DateTime<Utc>>>,
}

impl Columns {
    fn of(runs: &[Recorded<'_>]) -> Result<Self, StoreError> {
        let counts: Vec<[i32; 3]> = runs.iter().map(|run| list_counts(run.outcome)).collect();
        Ok(Self {
            ids: runs.iter().map(|_| Uuid::now_v7()).collect(),
            monitors: runs.iter().map(|run| run.monitor.0).collect(),
            claims: runs.iter().map(|run| run.claim).collect(),
            at: runs.iter().map(|run| run.at).collect(),
            verdicts: runs.iter().map(|run| run.outcome.verdict().as_str().to_owned()).collect(),
            worst: runs.iter().map(|run| run.outcome.worst().map(|severity| severity.as_str().to_owned())).collect(),
            summaries: runs.iter().map(|run| without_nul(run.summary)).collect(),
            latencies: runs.iter().map(|run| run.latency_ms).collect(),
            outcomes: runs.iter().map(|run| storable(run.outcome)).collect::<Result<_, _>>()?,
            keep: runs.iter().map(|run| run.keep).collect(),
            next: runs.iter().map(|run| run.next_run_at).collect(),
            requested: runs.iter().map(|run| run.requested).collect(),
            judges: runs.iter().map(|run| serde_json::to_value(&run.judge)).collect::<Result<_, _>>()?,
            states: runs.iter().map(|run| run.judge.state.as_str().to_owned()).collect(),
            since: runs.iter().map(|run| run.judge.since).collect(),
            listed: counts.iter().map(|row| row[0]).collect(),
            answered: counts.iter().map(|row| row[1]).collect(),
            asked: counts.iter().map(|row| row[2]).collect(),
            maintenance: runs.iter().map(|run| run.maintenance).collect(),
            stages: runs.iter().map(|run| run.stages.as_ref().map(stage_array)).collect(),
            heard_at: runs.iter().map(|run| run.heard_at).collect(),
        })
    }
}

/// Stages as an array of PostgreSQL is written, since arrays in an array can not be passed.
fn stage_array(stages: &StageMs) -> String {
    let written: Vec<String> = Stage::ALL.iter().map(|stage| stages.of(*stage).map_or_else(|| "NULL".to_owned(), |ms| format!("{ms:.2}"))).collect();
    format!("{{{}}}", written.join(","))
}

/// Entries listed, able to tell, asked.
fn list_counts(outcome: &Outcome) -> [i32; 3] {
    let Outcome::Blacklist(report) = outcome else { return [0; 3] };
    let counts = report.counts();
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    [
        number(counts.listed),
        number(counts.listed.saturating_add(counts.clean)),
        number(counts.listed.saturating_add(counts.clean).saturating_add(counts.unknown)),
    ]
}

/// PostgreSQL's text and jsonb hold no NUL, and servers under watch say what they like.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// An outcome as jsonb takes it.
pub(crate) fn storable(outcome: &impl serde::Serialize) -> Result<Value, StoreError> {
    Ok(clean(serde_json::to_value(outcome)?))
}

/// JSON without what jsonb does not hold.
pub(crate) fn clean(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(without_nul(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(clean).collect()),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| (without_nul(&key), clean(value))).collect()),
        other => other,
    }
}
