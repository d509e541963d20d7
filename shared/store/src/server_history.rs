//! What watched servers show of themselves, and what changed.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use waypost_types::{
    MonitorId,
    drift::{RecordChange, ServerEvent},
    outcome::SmtpReport,
};

use crate::{
    OrgTx, StoreError,
    history::{KEPT_CHANGES, KEPT_DAYS, told},
    recording::clean,
};

/// Servers behind one address that take turns look like one that changes all the time: within a day the same state is told so often, and so
/// many changes in all.
const TIMES_TOLD: i64 = 2;
const MOST_IN_A_DAY: i64 = 12;

/// Which facts of a server are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownMark {
    /// Of the facts.
    pub mark: i64,
    /// Of others, that were seen once.
    pub pending: Option<i64>,
}

impl OrgTx {
    /// The facts that are known of a server.
    pub async fn server_facts(&mut self, monitor: MonitorId) -> Result<SmtpReport, StoreError> {
        let org = self.org().0;
        let facts = sqlx::query_scalar!("SELECT facts FROM server_facts WHERE org_id = $1 AND monitor_id = $2", org, monitor.0)
            .fetch_one(self.connection())
            .await?;
        Ok(serde_json::from_value(facts)?)
    }

    /// Keeps what a server shows from now on.
    pub async fn keep_server_facts(&mut self, monitor: MonitorId, mark: i64, facts: &SmtpReport) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO server_facts (org_id, monitor_id, mark, facts) VALUES ($1, $2, $3, $4)
             ON CONFLICT (org_id, monitor_id) DO UPDATE SET mark = excluded.mark, pending = NULL, facts = excluded.facts",
            org,
            monitor.0,
            mark,
            clean(serde_json::to_value(facts)?)
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Remembers that other facts were seen once, or that they were not seen again.
    pub async fn keep_pending_facts(&mut self, monitor: MonitorId, pending: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("UPDATE server_facts SET pending = $3 WHERE org_id = $1 AND monitor_id = $2", org, monitor.0, pending)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds a change to the history of a server, unless it is one of many or the same as often before. `mark` is that of the facts after it.
    pub async fn add_server_change(&mut self, monitor: MonitorId, mark: i64, at: DateTime<Utc>, changes: &[RecordChange]) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO server_changes (org_id, id, monitor_id, at, mark, changes) SELECT $1, $2, $3, $4, $5, $6
             WHERE (SELECT count(*) < $7 AND count(*) FILTER (WHERE mark = $5) < $8
               FROM server_changes WHERE org_id = $1 AND monitor_id = $3 AND at > $9)",
            org,
            Uuid::now_v7(),
            monitor.0,
            at,
            mark,
            clean(serde_json::to_value(told(changes))?),
            MOST_IN_A_DAY,
            TIMES_TOLD,
            at - TimeDelta::days(1)
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "DELETE FROM server_changes WHERE org_id = $1 AND monitor_id = $2 AND (at < $3::timestamptz - make_interval(days => $4) OR
               id <= (SELECT id FROM server_changes WHERE org_id = $1 AND monitor_id = $2 ORDER BY id DESC OFFSET $5 LIMIT 1))",
            org,
            monitor.0,
            at,
            KEPT_DAYS,
            KEPT_CHANGES
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// What changed at these servers, newest first.
    pub async fn server_changes(&mut self, monitors: &[MonitorId], before: Option<Uuid>, limit: i64) -> Result<Vec<ServerEvent>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|monitor| monitor.0).collect();
        let rows = sqlx::query!(
            "SELECT c.id, c.monitor_id, m.target, c.at, c.changes FROM server_changes c JOIN monitors m ON m.org_id = $1 AND m.id = c.monitor_id
             WHERE c.org_id = $1 AND c.monitor_id = ANY($2) AND ($3::uuid IS NULL OR c.id < $3) ORDER BY c.id DESC LIMIT $4",
            org,
            &ids,
            before,
            limit
        )
        .fetch_all(self.connection())
        .await?;
        let event = |id, monitor, target, at, changes| {
            Ok(ServerEvent { id, at, monitor: MonitorId(monitor), target, changes: serde_json::from_value(changes)? })
        };
        rows.into_iter().map(|row| event(row.id, row.monitor_id, row.target, row.at, row.changes)).collect()
    }
}
