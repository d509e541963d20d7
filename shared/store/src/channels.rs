//! Channels, and what became of each attempt to tell them something. Addresses and keys are sealed: the store can not read them. The messages
//! that wait for them are in `channel_messages.rs`.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ChannelId, IncidentId,
    channel::{Channel, ChannelKind, Delivery},
    id::DeliveryId,
    incident::IncidentSeverity,
};

use crate::{OrgTx, StoreError, monitors::fresh, recording::without_nul};

/// Channels of an organisation at most.
const MAX_CHANNELS: i64 = 20;
/// Attempts of a channel that are kept.
const KEPT_DELIVERIES: i64 = 100;

/// A secret as it is kept, and what may be seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedChannel {
    /// Address and keys, sealed for the channel's id.
    pub sealed: Vec<u8>,
    /// Host and last characters.
    pub shown: String,
}

/// A channel to add. Its secret is sealed for its id, so the id comes first: [`new_channel_id`].
#[derive(Debug, Clone)]
pub struct AddChannel<'a> {
    /// Its id.
    pub id: ChannelId,
    /// What people call it.
    pub name: &'a str,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Its secret; of Slack's app, whose token is the organisation's, an empty one that shows the channel's name.
    pub secret: &'a SealedChannel,
    /// The channel in the workspace, for Slack's app.
    pub slack_channel: Option<&'a str>,
    /// What it hears of.
    pub min_severity: IncidentSeverity,
    /// Whether it is told anything.
    pub enabled: bool,
}

/// What changes of a channel; what is `None` stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChannelChange<'a> {
    /// Another name.
    pub name: Option<&'a str>,
    /// Another secret.
    pub secret: Option<&'a SealedChannel>,
    /// Another channel in the workspace.
    pub slack_channel: Option<&'a str>,
    /// The secret holds a new key of signatures; until when the one before signs too.
    pub old_key_until: Option<DateTime<Utc>>,
    /// Another least severity.
    pub min_severity: Option<IncidentSeverity>,
    /// On or off.
    pub enabled: Option<bool>,
}

/// An id for a channel that is about to be made.
pub fn new_channel_id() -> ChannelId {
    ChannelId(Uuid::now_v7())
}

/// An id for an attempt.
pub fn new_delivery_id() -> DeliveryId {
    DeliveryId(Uuid::now_v7())
}

struct ChannelRow {
    id: Uuid,
    name: String,
    kind: String,
    shown: String,
    min_severity: String,
    enabled: bool,
    broken: Option<String>,
    old_key_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    version: i64,
}

impl TryFrom<ChannelRow> for Channel {
    type Error = StoreError;
    fn try_from(row: ChannelRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: ChannelId(row.id),
            name: row.name,
            kind: row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?,
            shown: row.shown,
            min_severity: row.min_severity.parse().map_err(|()| StoreError::Corrupt(row.min_severity.clone()))?,
            enabled: row.enabled,
            broken: row.broken,
            old_key_until: row.old_key_until,
            created_at: row.created_at,
            version: row.version,
        })
    }
}

impl OrgTx {
    /// All channels, oldest first: there are few.
    pub async fn channels(&mut self) -> Result<Vec<Channel>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query_as!(
            ChannelRow,
            r#"SELECT c.id, c.name, c.kind, c.shown, c.min_severity, c.enabled, c.old_key_until, c.created_at, c.version,
                      CASE WHEN c.kind <> 'slack_app' THEN NULL WHEN s.org_id IS NULL THEN 'not_installed' ELSE s.gone_why END AS broken
               FROM channels c LEFT JOIN slack_installs s ON s.org_id = $1 WHERE c.org_id = $1 ORDER BY c.id"#,
            org
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter().map(Channel::try_from).collect()
    }

    /// A channel.
    pub async fn channel(&mut self, id: ChannelId) -> Result<Channel, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            ChannelRow,
            r#"SELECT c.id, c.name, c.kind, c.shown, c.min_severity, c.enabled, c.old_key_until, c.created_at, c.version,
                      CASE WHEN c.kind <> 'slack_app' THEN NULL WHEN s.org_id IS NULL THEN 'not_installed' ELSE s.gone_why END AS broken
               FROM channels c LEFT JOIN slack_installs s ON s.org_id = $1 WHERE c.org_id = $1 AND c.id = $2"#,
            org,
            id.0
        )
        .fetch_one(self.connection())
        .await?
        .try_into()
    }

    /// A channel's secret, sealed. The row stays locked until the transaction ends.
    pub async fn channel_secret(&mut self, id: ChannelId) -> Result<Vec<u8>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_scalar!("SELECT sealed FROM channels WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?)
    }

    /// Adds a channel. `Limit` when there are enough.
    pub async fn add_channel(&mut self, new: &AddChannel<'_>) -> Result<Channel, StoreError> {
        let org = self.org().0;
        // The organisation's row, so that two who add at once do not both find room.
        sqlx::query!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        let there = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM channels WHERE org_id = $1"#, org).fetch_one(self.connection()).await?;
        if there >= MAX_CHANNELS {
            return Err(StoreError::Limit { what: "channels", limit: MAX_CHANNELS });
        }
        sqlx::query!(
            "INSERT INTO channels (org_id, id, name, kind, shown, sealed, min_severity, enabled, slack_channel) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            org,
            new.id.0,
            new.name,
            new.kind.as_str(),
            new.secret.shown,
            new.secret.sealed,
            new.min_severity.as_str(),
            new.enabled,
            new.slack_channel
        )
        .execute(self.connection())
        .await?;
        self.channel(new.id).await
    }

    /// Changes a channel. `Stale` when the caller saw another version.
    pub async fn update_channel(&mut self, id: ChannelId, expected: Option<i64>, change: &ChannelChange<'_>) -> Result<Channel, StoreError> {
        let org = self.org().0;
        let version = self.lock_channel(id).await?;
        fresh(expected, version)?;
        sqlx::query!(
            "UPDATE channels SET name = coalesce($3, name), sealed = coalesce($4, sealed), shown = coalesce($5, shown),
                    min_severity = coalesce($6, min_severity), enabled = coalesce($7, enabled),
                    held_until = CASE WHEN $4::bytea IS NULL THEN held_until END, away_since = CASE WHEN $4::bytea IS NULL THEN away_since END, old_key_until = coalesce($8, old_key_until), slack_channel = coalesce($9, slack_channel), version = version + 1
             WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            change.name,
            change.secret.map(|secret| secret.sealed.as_slice()),
            change.secret.map(|secret| secret.shown.as_str()),
            change.min_severity.map(IncidentSeverity::as_str),
            change.enabled,
            change.old_key_until,
            change.slack_channel
        )
        .execute(self.connection())
        .await?;
        self.channel(id).await
    }

    /// Removes a channel with what waits for it. `Stale` when the caller saw another version.
    pub async fn remove_channel(&mut self, id: ChannelId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let version = self.lock_channel(id).await?;
        fresh(expected, version)?;
        sqlx::query!("DELETE FROM channels WHERE org_id = $1 AND id = $2", org, id.0).execute(self.connection()).await?;
        Ok(())
    }

    async fn lock_channel(&mut self, id: ChannelId) -> Result<i64, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_scalar!("SELECT version FROM channels WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?)
    }

    /// The other side wants nothing any more: the channel is switched off, if it is still there.
    pub async fn silence_channel(&mut self, channel: ChannelId) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("UPDATE channels SET enabled = false, version = version + 1 WHERE org_id = $1 AND id = $2 AND enabled", org, channel.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Keeps an attempt, and of a channel's attempts the newest hundred. One whose channel is gone is not kept.
    pub async fn add_delivery(&mut self, channel: ChannelId, delivery: &Delivery) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO channel_deliveries (org_id, id, channel_id, incident_id, event, at, attempt, result, status, answer, took_ms)
             SELECT $1, $2, c.id, $4, $5, $6, $7, $8, $9, $10, $11 FROM channels c WHERE c.org_id = $1 AND c.id = $3 FOR KEY SHARE",
            org,
            delivery.id.0,
            channel.0,
            delivery.incident_id.map(|id| id.0),
            delivery.event.as_str(),
            delivery.at,
            delivery.attempt,
            delivery.result.as_str(),
            delivery.status.map(i32::from),
            without_nul(&delivery.answer),
            i64::try_from(delivery.took_ms).unwrap_or(i64::MAX)
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "DELETE FROM channel_deliveries WHERE org_id = $1 AND id IN (
               SELECT id FROM channel_deliveries WHERE org_id = $1 AND channel_id = $2 ORDER BY at DESC, id DESC OFFSET $3)",
            org,
            channel.0,
            KEPT_DELIVERIES
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The attempts of a channel that are kept, newest first.
    pub async fn deliveries(&mut self, channel: ChannelId) -> Result<Vec<Delivery>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT id, incident_id, event, at, attempt, result, status, answer, took_ms FROM channel_deliveries
             WHERE org_id = $1 AND channel_id = $2 ORDER BY at DESC, id DESC LIMIT $3",
            org,
            channel.0,
            KEPT_DELIVERIES
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Delivery {
                    id: DeliveryId(row.id),
                    at: row.at,
                    event: row.event.parse().map_err(|()| StoreError::Corrupt(row.event.clone()))?,
                    incident_id: row.incident_id.map(IncidentId),
                    attempt: row.attempt,
                    result: row.result.parse().map_err(|()| StoreError::Corrupt(row.result.clone()))?,
                    status: row.status.and_then(|status| u16::try_from(status).ok()),
                    answer: row.answer,
                    took_ms: u64::try_from(row.took_ms).unwrap_or_default(),
                })
            })
            .collect()
    }
}
