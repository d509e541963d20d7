//! What waits for a receiver until quiet hours end or a digest is due. It is kept in `routing.rs`, claimed here over all tenants, and taken in
//! one transaction with the message that tells it.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ChannelId, IncidentId, OrgId,
    channel::ChannelKind,
    incident::{IncidentSeverity, IncidentStatus},
};

use crate::{OrgTx, Store, StoreError};

/// A receiver for whom something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueReceiver {
    /// Whose it is.
    pub org: OrgId,
    /// A channel; `None` for members, by mail.
    pub channel: Option<ChannelId>,
}

/// An incident that a receiver is told of now.
#[derive(Debug, Clone)]
pub struct HeldIncident {
    /// Its id.
    pub id: IncidentId,
    /// One line.
    pub title: String,
    /// What was seen.
    pub summary: String,
    /// How urgent it is, or was in the end.
    pub severity: IncidentSeverity,
    /// Where it is in its life.
    pub status: IncidentStatus,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When it ended.
    pub resolved_at: Option<DateTime<Utc>>,
    /// How often it was opened again.
    pub reopened: i32,
}

/// All that is told to a receiver now.
#[derive(Debug, Clone)]
pub struct HeldNews {
    /// A key for its message that no other has.
    pub key: String,
    /// How the channel is spoken to; `None` for mail.
    pub kind: Option<ChannelKind>,
    /// The worst first, what is over last.
    pub incidents: Vec<HeldIncident>,
}

impl Store {
    /// Claims receivers of all tenants for whom something is due, for `lease_s` seconds.
    pub async fn claim_held_notices(&self, now: DateTime<Utc>, limit: i32, lease_s: i32) -> Result<Vec<DueReceiver>, StoreError> {
        let rows = sqlx::query!(r#"SELECT org_id AS "org_id!", channel_id FROM claim_held_notices($1, $2, $3)"#, now, limit, lease_s)
            .fetch_all(self.pool())
            .await?;
        Ok(rows.into_iter().map(|row| DueReceiver { org: OrgId(row.org_id), channel: row.channel_id.map(ChannelId) }).collect())
    }
}

impl OrgTx {
    /// Takes all that is due for a receiver. Nothing where another took it.
    pub async fn take_held_notices(&mut self, channel: Option<ChannelId>, now: DateTime<Utc>) -> Result<Option<HeldNews>, StoreError> {
        let org = self.org().0;
        // The incidents first, as whoever changes them does: who ends one meanwhile either finds nothing held, or is told of here.
        sqlx::query!(
            "SELECT i.id FROM incidents i WHERE i.org_id = $1 AND i.id IN (
               SELECT h.incident_id FROM held_notices h WHERE h.org_id = $1 AND h.channel_id IS NOT DISTINCT FROM $2 AND h.due_at <= $3)
             ORDER BY i.id FOR NO KEY UPDATE",
            org,
            channel.map(|id| id.0),
            now
        )
        .fetch_all(self.connection())
        .await?;
        let rows = sqlx::query!(
            r#"WITH taken AS (
                 DELETE FROM held_notices h WHERE h.org_id = $1 AND h.channel_id IS NOT DISTINCT FROM $2 AND h.due_at <= $3 RETURNING h.incident_id
               )
               SELECT i.id, i.title, i.summary, i.severity, i.status, i.opened_at, i.resolved_at, i.reopened,
                      (SELECT c.kind FROM channels c WHERE c.org_id = $1 AND c.id = $2) AS kind
               FROM taken t JOIN incidents i ON i.org_id = $1 AND i.id = t.incident_id
               ORDER BY i.status = 'resolved', array_position(ARRAY['critical', 'warning', 'info'], i.severity), i.opened_at, i.id"#,
            org,
            channel.map(|id| id.0),
            now
        )
        .fetch_all(self.connection())
        .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let kind = first.kind.as_ref().map(|kind| kind.parse().map_err(|()| StoreError::Corrupt(kind.clone()))).transpose()?;
        let incidents = rows
            .into_iter()
            .map(|row| {
                Ok(HeldIncident {
                    id: IncidentId(row.id),
                    title: row.title,
                    summary: row.summary,
                    severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
                    status: row.status.parse().map_err(|()| StoreError::Corrupt(row.status.clone()))?,
                    opened_at: row.opened_at,
                    resolved_at: row.resolved_at,
                    reopened: row.reopened,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Some(HeldNews { key: format!("digest:{}", Uuid::now_v7()), kind, incidents }))
    }
}
