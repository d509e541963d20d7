//! Incidents that begin again soon after they were over, and such that fail and work in turn. What they are is the judge's decision
//! (`worker/src/flapping.rs`); here it is kept.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use waypost_types::{IncidentId, incident::TimelineEvent};

use crate::{
    OrgTx, StoreError,
    channel_messages::ended_key,
    recording::{clean, without_nul},
    transitions::Opening,
};

/// PostgreSQL keeps microseconds, and the judge's memory more.
const SLACK: TimeDelta = TimeDelta::seconds(1);

/// An incident that was opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reopened {
    /// Its id.
    pub id: IncidentId,
    /// When it opened first.
    pub opened_at: DateTime<Utc>,
}

impl OrgTx {
    /// Opens the newest incident about the same again, if that is over since `recovered_at` or later: with what is seen now, unacknowledged,
    /// with all steps and reminders before it, and without a mute that was to hold until its end. News of that end that nobody tried to send
    /// yet is taken back. Nothing where there is none, because somebody removed it.
    pub async fn reopen_incident(&mut self, opening: &Opening<'_>, recovered_at: DateTime<Utc>, text: &str) -> Result<Option<Reopened>, StoreError> {
        let org = self.org().0;
        let row = sqlx::query!(
            "SELECT id, opened_at, reopened FROM incidents
             WHERE org_id = $1 AND monitor_id = $2 AND condition = $3 AND status = 'resolved' AND resolved_at >= $4
             ORDER BY resolved_at DESC LIMIT 1 FOR UPDATE",
            org,
            opening.monitor.0,
            opening.condition,
            recovered_at - SLACK
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(row) = row else { return Ok(None) };
        self.forget_what_was_to_follow(row.id, &ended_key(IncidentId(row.id), row.reopened)).await?;
        sqlx::query!(
            "UPDATE incidents SET status = 'open', acknowledged_at = NULL, resolved_at = NULL, reopened = reopened + 1, version = version + 1,
                    title = $3, summary = $4, severity = $5, evidence = $6, muted_by = CASE WHEN muted_until IS NULL THEN NULL ELSE muted_by END
             WHERE org_id = $1 AND id = $2",
            org,
            row.id,
            without_nul(opening.title),
            without_nul(opening.summary),
            opening.severity.as_str(),
            clean(opening.evidence.clone())
        )
        .execute(self.connection())
        .await?;
        self.append_timeline(IncidentId(row.id), opening.at, TimelineEvent::Reopened, text, None).await?;
        Ok(Some(Reopened { id: IncidentId(row.id), opened_at: row.opened_at }))
    }

    async fn forget_what_was_to_follow(&mut self, id: Uuid, ended: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "DELETE FROM outbox WHERE org_id = $1 AND incident_id = $2 AND event_key = $3 AND state = 'pending' AND attempts = 0",
            org,
            id,
            ended
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("DELETE FROM follow_ups WHERE org_id = $1 AND incident_id = $2", org, id).execute(self.connection()).await?;
        Ok(())
    }

    /// An incident fails and works in turn from now on, or is steady again. Answers how often it was opened again.
    pub async fn set_flapping(&mut self, id: IncidentId, since: Option<DateTime<Utc>>) -> Result<i32, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_scalar!(
            "UPDATE incidents SET flapping_since = $3, version = version + 1 WHERE org_id = $1 AND id = $2 RETURNING reopened",
            org,
            id.0,
            since
        )
        .fetch_one(self.connection())
        .await?)
    }
}
