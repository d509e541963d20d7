//! What people add to an incident while it lasts and after: why it happened, and that nobody is to be told of it for a while.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use waypost_types::{
    ChannelId, IncidentId,
    incident::{Mute, MuteFor, TimelineEvent},
};

use crate::{OrgTx, StoreError, recording::without_nul, routing::silent_until};

impl OrgTx {
    /// Keeps why it happened, and tells it in the story; empty takes it back.
    pub(crate) async fn set_root_cause(&mut self, id: IncidentId, cause: &str, actor: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        let changed = sqlx::query!(
            "UPDATE incidents SET root_cause = nullif($3, '') WHERE org_id = $1 AND id = $2 AND root_cause IS DISTINCT FROM nullif($3, '')",
            org,
            id.0,
            without_nul(cause)
        )
        .execute(self.connection())
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(());
        }
        let told = if cause.is_empty() { "What was written here is taken back." } else { cause };
        self.append_timeline(id, now, TimelineEvent::RootCause, told, Some(actor)).await
    }

    /// Nobody is told of it for a while, or people are again. What waits for its first attempt is told when the mute is over; what was tried before
    /// goes on, since the other side may have it already.
    pub(crate) async fn mute_incident(&mut self, id: IncidentId, mute: MuteFor, actor: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        let (by, until) = if mute == MuteFor::Off { (None, None) } else { (Some(actor), mute.until(now)) };
        let before = self.mute_of(id, now).await?;
        sqlx::query!("UPDATE incidents SET muted_by = $3, muted_until = $4 WHERE org_id = $1 AND id = $2", org, id.0, by, until)
            .execute(self.connection())
            .await?;
        let Some(by) = by else {
            // A second press of the button is no news.
            if let Some(before) = before {
                self.move_held(id, Some(&before), now).await?;
                self.append_timeline(id, now, TimelineEvent::Unmuted, "Members and channels are told of it again.", Some(actor)).await?;
            }
            return Ok(());
        };
        let taken = sqlx::query!(
            r#"DELETE FROM outbox WHERE org_id = $1 AND incident_id = $2 AND state = 'pending' AND attempts = 0 AND also = '{}'
               RETURNING channel_id, split_part(event_key, ':', 3) <> 'handled' AS "is_news!""#,
            org,
            id.0
        )
        .fetch_all(self.connection())
        .await?;
        let silent = silent_until(&Mute { by: by.to_owned(), until });
        self.move_held(id, before.as_ref(), silent).await?;
        let untold: BTreeSet<Option<ChannelId>> = taken.iter().filter(|row| row.is_news).map(|row| row.channel_id.map(ChannelId)).collect();
        for receiver in untold {
            self.hold(id, receiver, silent).await?;
        }
        let text = format!("Nobody is told of it {}. Who heard of the beginning still hears of the end.", mute.words());
        self.append_timeline(id, now, TimelineEvent::Muted, &text, Some(actor)).await
    }

    /// What is held of it waits until then at least; what a mute of before held, until then. What waits for something later goes on waiting.
    async fn move_held(&mut self, id: IncidentId, before: Option<&Mute>, until: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE held_notices SET due_at = CASE WHEN due_at <= $3 THEN $4 ELSE greatest(due_at, $4) END WHERE org_id = $1 AND incident_id = $2",
            org,
            id.0,
            before.map(silent_until),
            until
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The mute of an incident that holds now.
    pub async fn mute_of(&mut self, id: IncidentId, now: DateTime<Utc>) -> Result<Option<Mute>, StoreError> {
        let org = self.org().0;
        let row =
            sqlx::query!("SELECT muted_by, muted_until FROM incidents WHERE org_id = $1 AND id = $2", org, id.0).fetch_one(self.connection()).await?;
        Ok(row.muted_by.map(|by| Mute { by, until: row.muted_until }).filter(|mute| mute.holds_at(now)))
    }

    /// Whom a mail about this incident was sent to, or is on its way to: of it alone or of several at once.
    pub(crate) async fn mailed_about(&mut self, id: IncidentId) -> Result<Vec<String>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_scalar!(
            "SELECT DISTINCT recipient FROM outbox WHERE org_id = $1 AND channel = 'email' AND state <> 'failed'
               AND (incident_id = $2 OR (also <> '{}' AND also @> ARRAY[$2]))",
            org,
            id.0
        )
        .fetch_all(self.connection())
        .await?)
    }
}
