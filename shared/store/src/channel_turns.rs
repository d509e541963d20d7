//! Which message to a channel goes next, and for how long the other side is waited for.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ChannelId, IncidentId, OrgId,
    channel::{ChannelEvent, ChannelKind},
};

use crate::{OrgTx, Store, StoreError, outbox::Attempt};

/// Messages that are given up with another at most.
const MOST_GIVEN_UP: i64 = 100;

/// A claimed message: to be sent, then marked before its lease ends.
#[derive(Debug, Clone)]
pub struct ClaimedMessage {
    /// Row id.
    pub id: Uuid,
    /// Whose it is.
    pub org: OrgId,
    /// What it is about.
    pub incident: Option<IncidentId>,
    /// What happened.
    pub event: ChannelEvent,
    /// The same on every attempt.
    pub message_id: String,
    /// This attempt's number, from 1.
    pub attempts: i32,
    /// Where it goes.
    pub channel: ChannelId,
    /// How that is spoken to.
    pub kind: ChannelKind,
    /// Its secret.
    pub sealed: Vec<u8>,
    /// Whether it is told anything by now.
    pub enabled: bool,
    /// Since when it waits for a channel that puts off whatever it is sent: by that it is given up. While the channel takes things, now.
    pub waits_since: DateTime<Utc>,
}

impl OrgTx {
    /// Whether the other side puts off what it is sent; since when is remembered until it takes something, or refuses it for good.
    pub async fn channel_answered(&mut self, channel: ChannelId, puts_off: bool, now: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE channels SET away_since = CASE WHEN $3 THEN $4::timestamptz END WHERE org_id = $1 AND id = $2 AND (away_since IS NULL) = $3",
            org,
            channel.0,
            puts_off,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Where the other side has been away since before then, what waits for the channel as long is given up with what it answered last, a number at
    /// a time. Where it puts off one message alone, the others are not hurt.
    pub async fn give_up_older(&mut self, channel: ChannelId, before: DateTime<Utc>, answer: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        let ids = sqlx::query_scalar!(
            "SELECT id FROM outbox WHERE org_id = $1 AND channel_id = $2 AND state = 'pending' AND created_at <= $3
               AND EXISTS (SELECT FROM channels c WHERE c.org_id = $1 AND c.id = $2 AND c.away_since <= $3)
               AND (leased_until IS NULL OR leased_until <= $4) ORDER BY seq LIMIT $5",
            org,
            channel.0,
            before,
            now,
            MOST_GIVEN_UP
        )
        .fetch_all(self.connection())
        .await?;
        for id in ids {
            self.mark_message(id, now, Attempt::Failed(answer)).await?;
        }
        Ok(())
    }

    /// The other side wants to be left alone until then: whatever waits for the channel, now or by then, waits as long.
    pub async fn hold_channel(&mut self, channel: ChannelId, until: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE outbox SET next_attempt_at = $3 WHERE org_id = $1 AND channel_id = $2 AND state = 'pending' AND next_attempt_at < $3",
            org,
            channel.0,
            until
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("UPDATE channels SET held_until = greatest(held_until, $3) WHERE org_id = $1 AND id = $2", org, channel.0, until)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

impl Store {
    /// Claims messages for channels of all tenants for `lease_s` seconds. Of an incident a channel gets one after the other.
    pub async fn claim_channel_messages(&self, now: DateTime<Utc>, limit: i32, lease_s: i32) -> Result<Vec<ClaimedMessage>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT org_id AS "org_id!", id AS "id!", incident_id, message AS "message!", message_id AS "message_id!", attempts AS "attempts!",
                      channel_id AS "channel_id!", kind AS "kind!", sealed AS "sealed!", enabled AS "enabled!",
                      waits_since AS "waits_since!"
               FROM claim_channel_messages($1, $2, $3)"#,
            now,
            limit,
            lease_s
        )
        .fetch_all(self.pool())
        .await?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            let org = OrgId(row.org_id);
            let event = serde_json::from_value(row.message).map_err(|error| error.to_string());
            let kind = row.kind.parse().map_err(|()| format!("channels of the kind {} are not known here", row.kind));
            let (event, kind) = match (event, kind) {
                (Ok(event), Ok(kind)) => (event, kind),
                (Err(why), _) | (_, Err(why)) => {
                    self.put_off_illegible((org, row.id), row.attempts, now, &why).await?;
                    continue;
                }
            };
            messages.push(ClaimedMessage {
                id: row.id,
                org,
                incident: row.incident_id.map(IncidentId),
                event,
                message_id: row.message_id,
                attempts: row.attempts,
                channel: ChannelId(row.channel_id),
                kind,
                sealed: row.sealed,
                enabled: row.enabled,
                waits_since: row.waits_since,
            });
        }
        Ok(messages)
    }
}
