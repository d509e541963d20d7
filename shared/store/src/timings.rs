//! Reading how long checks took over time, by stage and region, and what lay over it.

use chrono::{DateTime, Duration, Utc};
use sqlx::postgres::types::PgInterval;
use waypost_types::{
    IncidentId, MonitorId,
    timing::{IncidentBand, RegionTiming, Spread, Stage, StageSpread, TimingPoint},
};

use crate::{OrgTx, StoreError, results::RollupSpan};

/// Steps of a chart at most.
const MOST_STEPS: i64 = 1000;
/// Incidents over a chart at most.
const MOST_INCIDENTS: i64 = 50;

/// From what a chart is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// From the results themselves, in steps of so many seconds.
    Seconds(u32),
    /// From rollups, and what is not rolled up yet from the results.
    Rolled(RollupSpan),
}

impl OrgTx {
    /// Steps with checks since an instant, oldest first.
    pub async fn timing_points(&mut self, monitor: MonitorId, since: DateTime<Utc>, steps: Steps) -> Result<Vec<TimingPoint>, StoreError> {
        let org = self.org().0;
        let (seconds, rolled) = match steps {
            Steps::Seconds(seconds) => (i64::from(seconds), None),
            Steps::Rolled(span) => (span.width().num_seconds(), Some(span.as_str())),
        };
        let step = PgInterval { months: 0, days: 0, microseconds: seconds * 1_000_000 };
        let rows = sqlx::query!(
            r#"WITH closed AS (
                 SELECT at, checks, maintenance, down, p50, p95 FROM rollups WHERE org_id = $1 AND monitor_id = $2 AND span = $5 AND at >= $3
               ), raw_from AS (
                 SELECT greatest($3, coalesce((SELECT max(at) + $4 FROM closed), CASE WHEN $5::text IS NULL THEN $3 ELSE now() - interval '2 days' END)) AS at
               ), fresh AS (
                 SELECT date_bin($4, r.at, timestamptz '2000-01-01 00:00+00') AS at, count(*)::int AS checks,
                        (count(*) FILTER (WHERE r.maintenance))::int AS maintenance,
                        (count(*) FILTER (WHERE r.verdict = 'down' AND NOT r.maintenance))::int AS down
                 FROM check_results r WHERE r.org_id = $1 AND r.monitor_id = $2 AND r.at >= (SELECT at FROM raw_from) GROUP BY 1
               ), spreads AS (
                 SELECT s.at, s.p50, s.p95 FROM raw_from f, stage_spreads(f.at, 'infinity', $4) s WHERE s.org_id = $1 AND s.monitor_id = $2
               )
               SELECT at AS "at!", checks AS "checks!", maintenance AS "maintenance!", down AS "down!",
                      p50 AS "p50?: Vec<Option<f32>>", p95 AS "p95?: Vec<Option<f32>>" FROM (
                 SELECT * FROM closed UNION ALL SELECT f.at, f.checks, f.maintenance, f.down, s.p50, s.p95 FROM fresh f LEFT JOIN spreads s ON s.at = f.at
               ) points ORDER BY 1 LIMIT $6"#,
            org,
            monitor.0,
            since,
            step,
            rolled,
            MOST_STEPS
        )
        .fetch_all(self.connection())
        .await?;
        let count = |number: i32| u32::try_from(number).unwrap_or_default();
        Ok(rows
            .into_iter()
            .map(|row| TimingPoint {
                at: row.at,
                checks: count(row.checks),
                maintenance: count(row.maintenance),
                down: count(row.down),
                stages: spreads(&row.p50.unwrap_or_default(), &row.p95.unwrap_or_default()),
            })
            .collect())
    }

    /// The newest incidents of a monitor that were not over at an instant, oldest first.
    pub async fn incident_bands(&mut self, monitor: MonitorId, since: DateTime<Utc>) -> Result<Vec<IncidentBand>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT id, title, severity, opened_at, resolved_at FROM incidents
             WHERE org_id = $1 AND monitor_id = $2 AND (resolved_at IS NULL OR resolved_at > $3) ORDER BY opened_at DESC LIMIT $4",
            org,
            monitor.0,
            since,
            MOST_INCIDENTS
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .rev()
            .map(|row| {
                Ok(IncidentBand {
                    id: IncidentId(row.id),
                    title: row.title,
                    severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
                    opened_at: row.opened_at,
                    resolved_at: row.resolved_at,
                })
            })
            .collect()
    }

    /// What each region of a monitor saw last, and how long its checks took over a day.
    pub async fn region_timings(&mut self, monitor: MonitorId, now: DateTime<Utc>) -> Result<Vec<RegionTiming>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"SELECT u.region, u.last_verdict, u.last_summary, u.last_at, d.both AS "both?: Vec<f64>",
                      (SELECT w.cut_off_since FROM worker_regions w WHERE w.region = u.region AND w.cut_off_until IS NULL) AS cut_off_since
               FROM schedule_units u JOIN monitors m ON m.org_id = $1 AND m.id = u.monitor_id AND u.region = ANY(m.regions)
               LEFT JOIN (SELECT region, percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY latency_ms) AS both FROM check_results
                          WHERE org_id = $1 AND monitor_id = $2 AND at >= $3 AND latency_ms IS NOT NULL GROUP BY region) d ON d.region = u.region
               WHERE u.org_id = $1 AND u.monitor_id = $2 ORDER BY u.region"#,
            org,
            monitor.0,
            now - Duration::days(1)
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| RegionTiming {
                region: row.region,
                verdict: row.last_verdict.and_then(|text| text.parse().ok()),
                summary: row.last_summary,
                at: row.last_at,
                cut_off_since: row.cut_off_since,
                day: row.both.and_then(|both| Some(Spread { p50: *both.first()?, p95: *both.get(1)? })),
            })
            .collect())
    }
}

fn spreads(p50: &[Option<f32>], p95: &[Option<f32>]) -> Vec<StageSpread> {
    let both = p50.iter().zip(p95);
    let known = |(stage, (p50, p95)): (Stage, (&Option<f32>, &Option<f32>))| {
        Some(StageSpread { stage, ms: Spread { p50: f64::from((*p50)?), p95: f64::from((*p95)?) } })
    };
    Stage::ALL.into_iter().zip(both).filter_map(known).collect()
}
