//! Recording what checks found: lock what is judged, then write results, latest outcomes, schedule and summaries in bulk. What a verdict
//! means is decided by the worker's judge between the two.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    AddressId, DomainId, MonitorId, ServerId,
    conditions::Conditions,
    judge::{CutOff, JudgeState, MonitorState, Policy, RegionOutcome},
    maintenance::Watched,
    monitor::MonitorKind,
    outcome::{Outcome, StageMs, Verdict},
    timing::Stage,
};

use crate::{OrgTx, StoreError, schedule::split, server_history::KnownMark};

/// A monitor under lock, ready to be judged.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedMonitor {
    /// The monitor.
    pub id: MonitorId,
    /// The claim that is current.
    pub claim: i64,
    /// What it runs.
    pub kind: MonitorKind,
    /// On what.
    pub target: String,
    /// Seconds between runs.
    pub interval_s: i32,
    /// Regions it is checked from.
    pub regions: Vec<String>,
    /// How it is judged.
    pub policy: Policy,
    /// What the judge remembers.
    pub judge: JudgeState,
    /// What is remembered of its conditions.
    pub conditions: Conditions,
    /// When this region's last outcome was observed.
    pub last_at: Option<DateTime<Utc>>,
    /// What it said.
    pub last_verdict: Option<Verdict>,
    /// When the unit runs next unless the judge wants it sooner.
    pub next_run_at: DateTime<Utc>,
    /// Latest outcomes of the other regions.
    pub others: Vec<RegionOutcome>,
    /// The domain it belongs to.
    pub domain_id: Option<DomainId>,
    /// The server it belongs to.
    pub server_id: Option<ServerId>,
    /// The address it belongs to.
    pub address_id: Option<AddressId>,
    /// What this region saw last, where that was trouble or an audit: what can not be told now is no all-clear, and records stay shown.
    pub before: Option<Outcome>,
    /// What is known of the server.
    pub server: Option<KnownMark>,
    /// Tags of what it belongs to, or of a service that stands by itself, where the organisation has maintenance windows that are not over.
    pub tags: Option<Vec<String>>,
    /// The smallest SIZE limit that its organisation accepts, in megabytes.
    pub least_size_mb: Option<u32>,
    /// When regions could not reach anything lately.
    pub cut_offs: Vec<CutOff>,
}

impl LockedMonitor {
    /// As maintenance windows know it.
    pub fn watched(&self) -> Watched<'_> {
        let tags = self.tags.as_deref().unwrap_or_default();
        Watched { monitor: Some(self.id), domain: self.domain_id, server: self.server_id, address: self.address_id, tags }
    }
}

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

/// What a region saw last.
#[derive(Debug, Clone)]
pub struct LatestOutcome {
    /// The region.
    pub region: String,
    /// When it looked.
    pub at: DateTime<Utc>,
    /// What was found.
    pub outcome: Outcome,
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

    /// Locks the monitors and units of these claims, in the order of their ids so that two recorders never wait for each other in a ring.
    /// Claims that are no longer current or are recorded already are left out.
    pub async fn lock_for_judging(&mut self, region: &str, claims: &[(MonitorId, i64)]) -> Result<Vec<LockedMonitor>, StoreError> {
        let org = self.org().0;
        let (monitors, numbers) = split(claims);
        let rows = sqlx::query!(
            r#"SELECT m.id, u.claim, m.kind, m.target, m.interval_s, m.regions, m.policy, m.judge, m.conditions, m.domain_id, m.server_id, m.address_id,
                      u.last_at, u.last_verdict, u.next_run_at, f.mark AS "mark?", f.pending, s.least_size_mb AS "least_size_mb?",
                      CASE WHEN m.kind = 'audit' OR (u.last_verdict IN ('down', 'degraded') AND m.kind = 'blacklist') THEN
                        (SELECT o.outcome FROM last_outcomes o WHERE o.org_id = $1 AND o.monitor_id = m.id AND o.region = $2) END AS before,
                      CASE WHEN EXISTS (SELECT FROM maintenance_windows w WHERE w.org_id = $1 AND (w.over_at IS NULL OR w.over_at > now() - interval '1 hour')) THEN
                        monitor_tags(m) END AS tags,
                      (SELECT jsonb_agg(jsonb_build_object('region', w.region, 'since', w.cut_off_since, 'until', w.cut_off_until)) FROM worker_regions w
                       WHERE w.cut_off_since IS NOT NULL AND (w.cut_off_until IS NULL OR w.cut_off_until > now() - interval '1 day')) AS cut_offs
               FROM UNNEST($3::uuid[], $4::bigint[]) AS c(monitor_id, claim)
               JOIN monitors m ON m.org_id = $1 AND m.id = c.monitor_id
               JOIN schedule_units u ON u.org_id = $1 AND u.monitor_id = c.monitor_id AND u.region = $2 AND u.claim = c.claim AND u.leased
               LEFT JOIN server_facts f ON f.org_id = $1 AND f.monitor_id = m.id
               LEFT JOIN servers s ON s.org_id = $1 AND s.id = m.server_id
               ORDER BY m.id FOR UPDATE OF m, u"#,
            org,
            region,
            &monitors,
            &numbers
        )
        .fetch_all(self.connection())
        .await?;
        let mut locked = Vec::with_capacity(rows.len());
        for row in rows {
            let regions = row.regions;
            locked.push(LockedMonitor {
                id: MonitorId(row.id),
                claim: row.claim,
                kind: row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?,
                target: row.target,
                interval_s: row.interval_s,
                regions: regions.clone(),
                policy: serde_json::from_value(row.policy)?,
                judge: serde_json::from_value(row.judge)?,
                conditions: serde_json::from_value(row.conditions)?,
                last_at: row.last_at,
                last_verdict: row.last_verdict.and_then(|text| text.parse().ok()),
                next_run_at: row.next_run_at,
                others: Vec::new(),
                domain_id: row.domain_id.map(DomainId),
                server_id: row.server_id.map(ServerId),
                address_id: row.address_id.map(AddressId),
                before: row.before.map(serde_json::from_value).transpose()?,
                server: row.mark.map(|mark| KnownMark { mark, pending: row.pending }),
                tags: row.tags,
                least_size_mb: row.least_size_mb.and_then(|mb| u32::try_from(mb).ok()),
                cut_offs: row
                    .cut_offs
                    .map(cut_offs_of)
                    .transpose()?
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|cut_off| regions.contains(&cut_off.region))
                    .collect(),
            });
        }
        self.load_other_regions(region, &mut locked).await?;
        Ok(locked)
    }

    async fn load_other_regions(&mut self, region: &str, locked: &mut [LockedMonitor]) -> Result<(), StoreError> {
        let spread: Vec<Uuid> = locked.iter().filter(|monitor| monitor.regions.len() > 1).map(|monitor| monitor.id.0).collect();
        if spread.is_empty() {
            return Ok(());
        }
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"SELECT u.monitor_id, u.region, u.last_at AS "last_at!", u.last_verdict AS "last_verdict!", u.last_worst, u.last_summary
               FROM schedule_units u JOIN monitors m ON m.org_id = u.org_id AND m.id = u.monitor_id AND u.region = ANY(m.regions)
               WHERE u.org_id = $1 AND u.monitor_id = ANY($2) AND u.region <> $3 AND u.last_at IS NOT NULL AND u.last_verdict IS NOT NULL"#,
            org,
            &spread,
            region
        )
        .fetch_all(self.connection())
        .await?;
        for row in rows {
            let Some(monitor) = locked.iter_mut().find(|monitor| monitor.id.0 == row.monitor_id) else { continue };
            monitor.others.push(RegionOutcome {
                region: row.region,
                at: row.last_at,
                verdict: row.last_verdict.parse().map_err(|()| StoreError::Corrupt(row.last_verdict.clone()))?,
                worst: row.last_worst.and_then(|text| text.parse().ok()),
                summary: row.last_summary.unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// What each region of a monitor saw last, not before that time. What another version of the program wrote in a form of its own is left out: it
    /// must not keep what was seen from being recorded.
    pub async fn latest_outcomes(&mut self, monitor: MonitorId, since: DateTime<Utc>) -> Result<Vec<LatestOutcome>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT o.region, o.at, o.outcome FROM last_outcomes o JOIN monitors m ON m.org_id = o.org_id AND m.id = o.monitor_id AND o.region = ANY(m.regions)
             WHERE o.org_id = $1 AND o.monitor_id = $2 AND o.at >= $3 ORDER BY o.region",
            org,
            monitor.0,
            since
        )
        .fetch_all(self.connection())
        .await?;
        let readable = |region: String, at: DateTime<Utc>, outcome: Value| match serde_json::from_value(outcome) {
            Ok(outcome) => Some(LatestOutcome { region, at, outcome }),
            Err(error) => {
                tracing::warn!(%monitor, region, %error, "an outcome can not be read");
                None
            }
        };
        Ok(rows.into_iter().filter_map(|row| readable(row.region, row.at, row.outcome)).collect())
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

    /// The state a monitor has now, for tests and tools.
    pub async fn monitor_state(&mut self, monitor: MonitorId) -> Result<MonitorState, StoreError> {
        let org = self.org().0;
        let text =
            sqlx::query_scalar!("SELECT state FROM monitors WHERE org_id = $1 AND id = $2", org, monitor.0).fetch_one(self.connection()).await?;
        text.parse().map_err(|()| StoreError::Corrupt(text))
    }
}

fn cut_offs_of(value: Value) -> Result<Vec<CutOff>, StoreError> {
    Ok(serde_json::from_value(value)?)
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
