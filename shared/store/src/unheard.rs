//! Monitors that nobody can check any more, since their regions have no worker or reach nothing: found over all tenants, then said to be unknown
//! in a transaction of each. What makes one is said in the database (`is_unheard`).

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{AddressId, DomainId, IncidentId, MonitorId, OrgId, ServerId, event::LiveEvent, incident::TimelineEvent, judge::JudgeState};

use crate::{OrgTx, Store, StoreError};

/// A monitor that is to be said to be unknown, under lock.
#[derive(Debug, Clone, PartialEq)]
pub struct Unheard {
    /// The monitor.
    pub id: MonitorId,
    /// Regions it is checked from.
    pub regions: Vec<String>,
    /// What the judge remembers.
    pub judge: JudgeState,
    /// When something of it counted last.
    pub heard_at: Option<DateTime<Utc>>,
    /// What it belongs to, as live events name it.
    pub assets: Vec<String>,
}

impl Store {
    /// Monitors of all tenants that nobody can check any more, by organisation; at most `limit`.
    pub async fn unheard_monitors(&self, now: DateTime<Utc>, limit: i32) -> Result<Vec<(OrgId, Vec<MonitorId>)>, StoreError> {
        let rows = sqlx::query!(r#"SELECT org_id AS "org_id!", monitor_id AS "monitor_id!" FROM unheard_monitors($1, $2)"#, now, limit)
            .fetch_all(self.pool())
            .await?;
        let mut found: Vec<(OrgId, Vec<MonitorId>)> = Vec::new();
        for row in rows {
            match found.last_mut() {
                Some((org, monitors)) if org.0 == row.org_id => monitors.push(MonitorId(row.monitor_id)),
                _ => found.push((OrgId(row.org_id), vec![MonitorId(row.monitor_id)])),
            }
        }
        Ok(found)
    }
}

impl OrgTx {
    /// Locks those of these monitors that still are unheard.
    pub async fn lock_unheard(&mut self, monitors: &[MonitorId], now: DateTime<Utc>) -> Result<Vec<Unheard>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            "SELECT m.id, m.regions, m.judge, coalesce(m.heard_at, m.last_checked_at) AS heard_at, m.domain_id, m.server_id, m.address_id
             FROM monitors m WHERE m.org_id = $1 AND m.id = ANY($2) AND is_unheard(m, (SELECT working_regions($3)), $3) ORDER BY m.id FOR UPDATE OF m",
            org,
            &ids,
            now
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let owners = [
                    row.domain_id.map(|id| DomainId(id).to_string()),
                    row.server_id.map(|id| ServerId(id).to_string()),
                    row.address_id.map(|id| AddressId(id).to_string()),
                ];
                Ok(Unheard {
                    id: MonitorId(row.id),
                    regions: row.regions,
                    judge: serde_json::from_value(row.judge)?,
                    heard_at: row.heard_at,
                    assets: owners.into_iter().flatten().collect(),
                })
            })
            .collect()
    }

    /// Says of a monitor that it can not be told, and why; an incident of it that is open says so, too.
    pub async fn say_unheard(&mut self, monitor: &Unheard, judge: &JudgeState, summary: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE monitors SET state = $3, state_since = $4, judge = $5, summary = $6 WHERE org_id = $1 AND id = $2",
            org,
            monitor.id.0,
            judge.state.as_str(),
            judge.since,
            serde_json::to_value(judge)?,
            summary
        )
        .execute(self.connection())
        .await?;
        let open = sqlx::query_scalar!(
            "SELECT id FROM incidents WHERE org_id = $1 AND monitor_id = $2 AND status <> 'resolved' ORDER BY id",
            org,
            monitor.id.0
        )
        .fetch_all(self.connection())
        .await?;
        for incident in &open {
            self.append_timeline(IncidentId(*incident), now, TimelineEvent::Changed, summary, None).await?;
        }
        if !open.is_empty() {
            self.notify(&LiveEvent::Incidents { ids: open.iter().map(|id| IncidentId(*id).to_string()).collect() }).await?;
        }
        Ok(())
    }
}
