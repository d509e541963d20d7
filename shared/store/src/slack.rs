//! Slack's app: the workspace that an organisation added it to, and who is on the way there. Tokens are sealed: the store can not read them.
//! What was posted is in `slack_messages.rs`.

use chrono::{DateTime, Utc};
use waypost_types::{ChannelId, OrgId, slack::SlackInstall};

use crate::{OrgTx, Store, StoreError, recording::without_nul};

/// People of an organisation who may be on the way to Slack at once; older ones begin again.
const OPEN_STATES: i64 = 20;

/// The bot's token of a workspace, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackToken {
    /// Sealed for its organisation.
    pub sealed: Vec<u8>,
    /// The workspace.
    pub team_id: String,
    /// Why it is worth nothing any more, in Slack's word.
    pub gone: Option<String>,
}

/// A workspace that somebody added the app to.
#[derive(Debug, Clone, Copy)]
pub struct AddInstall<'a> {
    /// The workspace.
    pub team_id: &'a str,
    /// What its people call it.
    pub team_name: &'a str,
    /// Whom messages come from.
    pub bot_user: &'a str,
    /// The bot's token, sealed for the organisation.
    pub sealed: &'a [u8],
    /// Who added it.
    pub installed_by: &'a str,
}

impl OrgTx {
    /// The workspace that the app was added to.
    pub async fn slack_install(&mut self) -> Result<Option<SlackInstall>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_as!(
            SlackInstall,
            "SELECT team_id, team_name, installed_by, installed_at, gone_at, gone_why FROM slack_installs WHERE org_id = $1",
            org
        )
        .fetch_optional(self.connection())
        .await?)
    }

    /// Its token.
    pub async fn slack_token(&mut self) -> Result<Option<SlackToken>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_as!(SlackToken, "SELECT sealed, team_id, gone_why AS gone FROM slack_installs WHERE org_id = $1", org)
            .fetch_optional(self.connection())
            .await?)
    }

    /// Remembers that somebody left for Slack in this session.
    pub async fn add_slack_state(&mut self, hash: &[u8], session: &[u8], until: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "DELETE FROM slack_states WHERE org_id = $1 AND hash IN (SELECT hash FROM slack_states WHERE org_id = $1 ORDER BY until DESC OFFSET $2)",
            org,
            OPEN_STATES - 1
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("INSERT INTO slack_states (org_id, hash, session, until) VALUES ($1, $2, $3, $4)", org, hash, session, until)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Whether who comes back left in this session and not long ago. Each is believed once.
    pub async fn take_slack_state(&mut self, hash: &[u8], session: &[u8], now: DateTime<Utc>) -> Result<bool, StoreError> {
        let org = self.org().0;
        let done = sqlx::query!("DELETE FROM slack_states WHERE org_id = $1 AND hash = $2 AND session = $3 AND until > $4", org, hash, session, now)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps the workspace with its token, in the place of what was there. What waited for a token that was worth nothing is due.
    pub async fn put_slack_install(&mut self, install: &AddInstall<'_>, now: DateTime<Utc>) -> Result<SlackInstall, StoreError> {
        let org = self.org().0;
        let kept = sqlx::query_as!(
            SlackInstall,
            "INSERT INTO slack_installs (org_id, team_id, team_name, bot_user, sealed, installed_by, installed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (org_id) DO UPDATE SET team_id = excluded.team_id, team_name = excluded.team_name, bot_user = excluded.bot_user,
               sealed = excluded.sealed, installed_by = excluded.installed_by, installed_at = excluded.installed_at, gone_at = NULL, gone_why = NULL
             RETURNING team_id, team_name, installed_by, installed_at, gone_at, gone_why",
            org,
            without_nul(install.team_id),
            without_nul(install.team_name),
            without_nul(install.bot_user),
            install.sealed,
            install.installed_by,
            now
        )
        .fetch_one(self.connection())
        .await?;
        sqlx::query!(
            "UPDATE outbox o SET next_attempt_at = now() FROM channels c
             WHERE o.org_id = $1 AND o.state = 'pending' AND o.leased_until IS NULL AND c.org_id = $1 AND c.id = o.channel_id AND c.kind = 'slack_app'",
            org
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("UPDATE channels SET held_until = NULL, away_since = NULL WHERE org_id = $1 AND kind = 'slack_app'", org)
            .execute(self.connection())
            .await?;
        self.notify_mail().await?;
        Ok(kept)
    }

    /// Forgets the workspace with its token. Answers whether there was one.
    pub async fn remove_slack_install(&mut self) -> Result<bool, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query!("DELETE FROM slack_installs WHERE org_id = $1", org).execute(self.connection()).await?.rows_affected() == 1)
    }

    /// Slack said that this token is worth nothing. One that took its place meanwhile is another.
    pub async fn slack_token_gone(&mut self, token: &SlackToken, why: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE slack_installs SET gone_at = now(), gone_why = $3 WHERE org_id = $1 AND sealed = $2 AND gone_at IS NULL",
            org,
            token.sealed,
            without_nul(why)
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl Store {
    /// Whose message of a workspace it is. Looked up before the organisation is known: Slack's signature has shown that it asks.
    pub async fn slack_message_owner(&self, team: &str, channel: &str, ts: &str) -> Result<Option<(OrgId, ChannelId)>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT org_id AS "org_id!", channel_id AS "channel_id!" FROM slack_message_owners($1, $2, $3)"#,
            without_nul(team),
            without_nul(channel),
            without_nul(ts)
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| (OrgId(row.org_id), ChannelId(row.channel_id))))
    }

    /// A workspace let the app in no more at that time. Answers for how many organisations that is news.
    pub async fn slack_team_gone(&self, team: &str, why: &str, at: DateTime<Utc>) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT slack_team_gone($1, $2, $3) AS "gone!""#, without_nul(team), why, at).fetch_one(self.pool()).await?)
    }

    /// Whether a signature was not seen before. Old ones, whose requests are refused by their age, are forgotten.
    pub async fn take_slack_signature(&self, signature: &[u8]) -> Result<bool, StoreError> {
        sqlx::query!("DELETE FROM slack_signatures WHERE at < now() - interval '15 minutes'").execute(self.pool()).await?;
        let done =
            sqlx::query!("INSERT INTO slack_signatures (signature) VALUES ($1) ON CONFLICT DO NOTHING", signature).execute(self.pool()).await?;
        Ok(done.rows_affected() == 1)
    }
}
