//! What is judged: the monitors of a batch, locked and with all that the judge asks about them. What comes of it is written by `recording.rs`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    AddressId, DomainId, MonitorId, ServerId,
    conditions::Conditions,
    judge::{CutOff, JudgeState, MonitorState, Policy, RegionOutcome},
    maintenance::Watched,
    monitor::MonitorKind,
    outcome::{Outcome, Verdict},
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

impl OrgTx {
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
