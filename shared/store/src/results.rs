//! Reading what checks recorded: results, latest outcomes and rollups. Writing is `recording.rs`.

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    MonitorId,
    id::ResultId,
    monitor::{CheckResult, RollupPoint},
    outcome::Outcome,
};

use crate::{OrgTx, StoreError};

/// The width of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollupSpan {
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl RollupSpan {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How long it is.
    pub const fn width(self) -> Duration {
        match self {
            Self::Hour => Duration::hours(1),
            Self::Day => Duration::days(1),
        }
    }
}

struct ResultRow {
    id: Uuid,
    monitor_id: Uuid,
    region: String,
    at: DateTime<Utc>,
    verdict: String,
    summary: String,
    latency_ms: Option<f64>,
    maintenance: bool,
    outcome: Option<Value>,
}

impl TryFrom<ResultRow> for CheckResult {
    type Error = StoreError;
    fn try_from(row: ResultRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: ResultId(row.id),
            monitor_id: MonitorId(row.monitor_id),
            region: row.region,
            at: row.at,
            verdict: row.verdict.parse().map_err(|()| StoreError::Corrupt(row.verdict.clone()))?,
            summary: row.summary,
            latency_ms: row.latency_ms,
            maintenance: row.maintenance,
            outcome: row.outcome.map(serde_json::from_value).transpose()?,
        })
    }
}

impl OrgTx {
    /// A page of results of a monitor, newest first; with their outcomes where these were kept and are wanted.
    pub async fn results(
        &mut self,
        monitor: MonitorId,
        before: Option<(DateTime<Utc>, ResultId)>,
        with_outcome: bool,
        limit: i64,
    ) -> Result<Vec<CheckResult>, StoreError> {
        let org = self.org().0;
        let (before_at, before_id) = before.map_or((None, None), |(at, id)| (Some(at), Some(id.0)));
        sqlx::query_as!(
            ResultRow,
            r#"SELECT id, monitor_id, region, at, verdict, summary, latency_ms, maintenance, CASE WHEN $5 THEN outcome END AS outcome FROM check_results
               WHERE org_id = $1 AND monitor_id = $2 AND ($3::timestamptz IS NULL OR (at, id) < ($3, $4::uuid))
               ORDER BY at DESC, id DESC LIMIT $6"#,
            org,
            monitor.0,
            before_at,
            before_id,
            with_outcome,
            limit
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(CheckResult::try_from)
        .collect()
    }

    /// One result with its outcome, where it was kept.
    pub async fn result(&mut self, monitor: MonitorId, id: ResultId) -> Result<CheckResult, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            ResultRow,
            "SELECT id, monitor_id, region, at, verdict, summary, latency_ms, maintenance, outcome FROM check_results WHERE org_id = $1 AND monitor_id = $2 AND id = $3",
            org,
            monitor.0,
            id.0
        )
        .fetch_one(self.connection())
        .await?
        .try_into()
    }

    /// The latest outcome of a monitor from any region; nothing before its first check.
    pub async fn last_outcome(&mut self, monitor: MonitorId) -> Result<Option<Outcome>, StoreError> {
        let org = self.org().0;
        let value =
            sqlx::query_scalar!("SELECT outcome FROM last_outcomes WHERE org_id = $1 AND monitor_id = $2 ORDER BY at DESC LIMIT 1", org, monitor.0)
                .fetch_optional(self.connection())
                .await?;
        Ok(value.map(serde_json::from_value).transpose()?)
    }

    /// The bars of a monitor since an instant, oldest first. The hour that runs is counted from the results themselves.
    pub async fn rollups(&mut self, monitor: MonitorId, span: RollupSpan, since: DateTime<Utc>) -> Result<Vec<RollupPoint>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"WITH closed AS (
                 SELECT at, checks, up, down, unknown, maintenance, latency_sum, latency_count, latency_max FROM rollups
                 WHERE org_id = $1 AND monitor_id = $2 AND span = $3 AND at >= $4
               ), fresh AS (
                 SELECT date_trunc($3, at, 'UTC') AS at, count(*)::int AS checks,
                        (count(*) FILTER (WHERE verdict IN ('up', 'degraded') AND NOT maintenance))::int AS up,
                        (count(*) FILTER (WHERE verdict = 'down' AND NOT maintenance))::int AS down,
                        (count(*) FILTER (WHERE verdict = 'unknown' AND NOT maintenance))::int AS unknown, (count(*) FILTER (WHERE maintenance))::int AS maintenance,
                        coalesce(sum(latency_ms), 0) AS latency_sum, count(latency_ms)::int AS latency_count, max(latency_ms) AS latency_max
                 FROM check_results WHERE org_id = $1 AND monitor_id = $2
                   AND at >= greatest($4, now() - interval '2 days', coalesce((SELECT max(at) FROM closed) + ('1 ' || $3)::interval, $4))
                 GROUP BY 1
               )
               SELECT at AS "at!", checks AS "checks!", up AS "up!", down AS "down!", unknown AS "unknown!", maintenance AS "maintenance!",
                      latency_sum AS "latency_sum!", latency_count AS "latency_count!", latency_max AS "latency_max?"
               FROM (SELECT * FROM closed UNION ALL SELECT * FROM fresh) bars ORDER BY 1 LIMIT 2000"#,
            org,
            monitor.0,
            span.as_str(),
            since
        )
        .fetch_all(self.connection())
        .await?;
        let count = |number: i32| u32::try_from(number).unwrap_or_default();
        Ok(rows
            .into_iter()
            .map(|row| RollupPoint {
                at: row.at,
                checks: count(row.checks),
                up: count(row.up),
                down: count(row.down),
                unknown: count(row.unknown),
                maintenance: count(row.maintenance),
                latency_avg_ms: (row.latency_count > 0).then(|| row.latency_sum / f64::from(row.latency_count)),
                latency_max_ms: row.latency_max,
            })
            .collect())
    }
}
