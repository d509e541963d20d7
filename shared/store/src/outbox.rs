//! Messages to send: the tenants' outbox, people's account mail, and what a development machine captures instead. A message is claimed
//! for a while, sent outside of any transaction, and then marked.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{IncidentId, OrgId, channel::ChannelEvent, incident::TimelineEvent};

use crate::{OrgTx, Store, StoreError, recording::clean};

/// What is said of a message that nobody can send.
const ILLEGIBLE: &str = "the stored message can not be read";
/// Attempts, an hour apart, by which a version of the program that can read a message is in place.
const LEGIBLE_BY: i32 = 24;

/// A rendered mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailBody {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MailContent {
    /// It was written when it was put here.
    Written(MailBody),
    /// An event of an incident; it is written when it is sent, as a message to a channel is.
    Event {
        /// What happened.
        event: Box<ChannelEvent>,
        /// Why, as people found out: Markdown. Told at its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        root_cause: Option<String>,
    },
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailOwner {
    /// A tenant's, about an incident.
    Org(OrgId, Option<IncidentId>),
    /// A person's own account.
    Account,
}

/// A claimed message: to be sent, then marked before its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedMail {
    /// Row id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: MailOwner,
    /// Address.
    pub recipient: String,
    /// What it says.
    pub content: MailContent,
    /// The same on every attempt: a whole Message-ID, or its left part alone where the content is an event.
    pub message_id: String,
    /// This attempt's number, from 1.
    pub attempts: i32,
    /// Since when it waits: by that it is given up.
    pub waits_since: DateTime<Utc>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt<'a> {
    /// The receiver took it; its answer.
    Sent(&'a str),
    /// Not now; its answer, and when to try again.
    Retry(&'a str, DateTime<Utc>),
    /// Never; its answer.
    Failed(&'a str),
    /// It was claimed, but its turn did not come: it is due then, and this was no attempt.
    Untried(DateTime<Utc>),
}

pub(crate) fn uuids(incidents: &[IncidentId]) -> Vec<Uuid> {
    incidents.iter().map(|incident| incident.0).collect()
}

impl OrgTx {
    /// Who is told about incidents: members with a proven address, and the person who made the organisation, who may always mail himself.
    pub async fn incident_recipients(&mut self) -> Result<Vec<String>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_scalar!(
            "SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id
             WHERE m.org_id = $1 AND (u.email_verified_at IS NOT NULL OR (m.role = 'owner' AND NOT EXISTS (
               SELECT FROM memberships e WHERE e.org_id = $1 AND e.user_id <> m.user_id AND e.created_at < m.created_at)))
             ORDER BY m.created_at, u.id",
            org
        )
        .fetch_all(self.connection())
        .await?)
    }

    /// Puts a mail per recipient into the outbox: about an incident, and others that it tells of. An event that is there already makes no second
    /// row. Answers how many are new.
    pub async fn enqueue_mails(
        &mut self,
        about: (Option<IncidentId>, &[IncidentId]),
        event_key: &str,
        mail_domain: &str,
        recipients: &[String],
        body: &MailBody,
    ) -> Result<u64, StoreError> {
        self.put_mails(about, event_key, recipients, serde_json::to_value(body)?, |id| format!("<{}@{mail_domain}>", id.simple())).await
    }

    /// The same with an event of an incident, which is written when it is sent.
    pub(crate) async fn enqueue_event_mails(
        &mut self,
        incident: IncidentId,
        event_key: &str,
        recipients: &[String],
        (event, root_cause): (ChannelEvent, Option<String>),
    ) -> Result<u64, StoreError> {
        let content = clean(serde_json::to_value(MailContent::Event { event: Box::new(event), root_cause })?);
        self.put_mails((Some(incident), &[]), event_key, recipients, content, |id| id.simple().to_string()).await
    }

    async fn put_mails(
        &mut self,
        (incident, also): (Option<IncidentId>, &[IncidentId]),
        event_key: &str,
        recipients: &[String],
        message: Value,
        message_id: impl Fn(&Uuid) -> String,
    ) -> Result<u64, StoreError> {
        if recipients.is_empty() {
            return Ok(0);
        }
        let org = self.org().0;
        let ids: Vec<Uuid> = recipients.iter().map(|_| Uuid::now_v7()).collect();
        let message_ids: Vec<String> = ids.iter().map(message_id).collect();
        let done = sqlx::query!(
            "INSERT INTO outbox (org_id, id, incident_id, event_key, recipient, message, message_id, also)
             SELECT $1, r.id, $2, $3, r.recipient, $4, r.message_id, $8 FROM UNNEST($5::uuid[], $6::text[], $7::text[]) AS r(id, recipient, message_id)
             ON CONFLICT (org_id, event_key, channel, recipient) DO NOTHING",
            org,
            incident.map(|id| id.0),
            event_key,
            message,
            &ids,
            recipients,
            &message_ids,
            &uuids(also)
        )
        .execute(self.connection())
        .await?;
        self.notify_mail().await?;
        Ok(done.rows_affected())
    }

    /// Marks an outbox message after an attempt, and tells the incident's timeline what the receiver said. Answers false when the
    /// message was sent or given up already: then nothing changes.
    pub async fn mark_message(&mut self, id: Uuid, now: DateTime<Utc>, attempt: Attempt<'_>) -> Result<bool, StoreError> {
        let org = self.org().0;
        let Marks { state, answer, next, attempts } = attempt.marks();
        let row = sqlx::query!(
            r#"UPDATE outbox SET state = $3, last_answer = coalesce($4, last_answer), next_attempt_at = coalesce($5, next_attempt_at), leased_until = NULL,
                    sent_at = CASE WHEN $3 = 'sent' THEN $6::timestamptz END, attempts = attempts - $7::int,
                    put_off_since = CASE WHEN $8 THEN coalesce(put_off_since, $6::timestamptz) ELSE put_off_since END
             WHERE org_id = $1 AND id = $2 AND state = 'pending'
             RETURNING recipient, event_key, (SELECT c.name FROM channels c WHERE c.org_id = $1 AND c.id = outbox.channel_id) AS told,
                       ARRAY(SELECT i.id FROM incidents i WHERE i.org_id = $1 AND (i.id = incident_id OR i.id = ANY(also))) AS "about!""#,
            org,
            id,
            state,
            answer,
            next,
            now,
            attempts,
            matches!(attempt, Attempt::Retry(..))
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(row) = row else { return Ok(false) };
        // That a message shows what the story tells anyway is no story of its own.
        if row.event_key.contains(":handled:") {
            return Ok(true);
        }
        for incident in row.about.into_iter().map(IncidentId) {
            let (did, can, whom) = match &row.told {
                Some(channel) => ("Told", "tell", channel),
                None => ("Mailed", "mail", &row.recipient),
            };
            let line = match attempt {
                Attempt::Sent(answer) => Some((TimelineEvent::Notified, format!("{did} {whom}: {answer}"))),
                Attempt::Failed(answer) => Some((TimelineEvent::NotifyFailed, format!("Could not {can} {whom}: {answer}"))),
                Attempt::Retry(..) | Attempt::Untried(_) => None,
            };
            if let Some((event, text)) = line {
                self.append_timeline(incident, now, event, &text, None).await?;
            }
        }
        Ok(true)
    }
}

impl Store {
    /// Claims mails of all tenants for `lease_s` seconds.
    pub async fn claim_outbox(&self, now: DateTime<Utc>, limit: i32, lease_s: i32) -> Result<Vec<ClaimedMail>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT org_id AS "org_id!", id AS "id!", incident_id, recipient AS "recipient!", message AS "message!", message_id AS "message_id!", attempts AS "attempts!",
                      waits_since AS "waits_since!"
               FROM claim_outbox($1, $2, $3)"#,
            now,
            limit,
            lease_s
        )
        .fetch_all(self.pool())
        .await?;
        let mut mails = Vec::with_capacity(rows.len());
        for row in rows {
            let content = match serde_json::from_value(row.message) {
                Ok(content) => content,
                Err(error) => {
                    self.put_off_illegible((OrgId(row.org_id), row.id), row.attempts, now, &error.to_string()).await?;
                    continue;
                }
            };
            mails.push(ClaimedMail {
                id: row.id,
                owner: MailOwner::Org(OrgId(row.org_id), row.incident_id.map(IncidentId)),
                recipient: row.recipient,
                content,
                message_id: row.message_id,
                attempts: row.attempts,
                waits_since: row.waits_since,
            });
        }
        Ok(mails)
    }

    /// A claimed message that can not be read waits with the reason: it must not hold up those claimed with it, and another version of the program,
    /// which is put in place just now, may read it. After a day it is given up.
    pub(crate) async fn put_off_illegible(&self, (org, id): (OrgId, Uuid), attempts: i32, now: DateTime<Utc>, why: &str) -> Result<(), StoreError> {
        tracing::error!(%org, message = %id, "a stored message can not be read");
        let why: String = format!("{ILLEGIBLE}: {why}").chars().take(300).collect();
        let mut tx = self.org_tx(org).await?;
        let attempt = if attempts < LEGIBLE_BY { Attempt::Retry(&why, now + TimeDelta::hours(1)) } else { Attempt::Failed(&why) };
        tx.mark_message(id, now, attempt).await?;
        tx.commit().await
    }

    /// Claims people's account mail the same way.
    pub async fn claim_account_mail(&self, now: DateTime<Utc>, limit: i64, lease_s: i32) -> Result<Vec<ClaimedMail>, StoreError> {
        let rows = sqlx::query!(
            "UPDATE account_mail a SET attempts = a.attempts + 1, next_attempt_at = $1::timestamptz + make_interval(secs => $3::int)
             FROM (SELECT id FROM account_mail WHERE state = 'pending' AND next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED) due
             WHERE a.id = due.id RETURNING a.id, a.recipient, a.message, a.message_id, a.attempts, a.created_at",
            now,
            limit,
            lease_s
        )
        .fetch_all(self.pool())
        .await?;
        let mut mails = Vec::with_capacity(rows.len());
        for row in rows {
            // Why is not said: it might quote the secret link.
            let Ok(content) = serde_json::from_value(row.message) else {
                tracing::error!(mail = %row.id, "a stored account mail can not be read");
                self.mark_account_mail(row.id, now, Attempt::Failed(ILLEGIBLE)).await?;
                continue;
            };
            let (owner, recipient) = (MailOwner::Account, row.recipient);
            mails.push(ClaimedMail {
                id: row.id,
                owner,
                recipient,
                content,
                message_id: row.message_id,
                attempts: row.attempts,
                waits_since: row.created_at,
            });
        }
        Ok(mails)
    }

    /// Marks an account mail after an attempt. Once it is sent or given up its text, which holds a secret link, is emptied.
    pub async fn mark_account_mail(&self, id: Uuid, now: DateTime<Utc>, attempt: Attempt<'_>) -> Result<bool, StoreError> {
        let Marks { state, answer, next, attempts } = attempt.marks();
        let done = sqlx::query!(
            "UPDATE account_mail SET state = $2, last_answer = coalesce($3, last_answer), next_attempt_at = coalesce($4, next_attempt_at),
                    sent_at = CASE WHEN $2 = 'sent' THEN $5::timestamptz END, attempts = attempts - $6::int,
                    message = CASE WHEN $2 = 'pending' THEN message ELSE '{}' END
             WHERE id = $1 AND state = 'pending'",
            id,
            state,
            answer,
            next,
            now,
            attempts
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps a mail for `/dev/mailbox` instead of sending it. The same message is kept once.
    pub async fn capture_mail(&self, mail: &ClaimedMail, body: &MailBody, now: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO captured_mail (id, recipient, subject, body_text, body_html, message_id, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (message_id) DO NOTHING",
            Uuid::now_v7(),
            mail.recipient,
            body.subject,
            body.text,
            body.html,
            mail.message_id,
            now
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// How many tenants' messages wait, and since when the oldest does.
    pub async fn outbox_waiting(&self) -> Result<(i64, Option<DateTime<Utc>>), StoreError> {
        let row = sqlx::query!(r#"SELECT pending AS "pending!", oldest FROM outbox_waiting()"#).fetch_one(self.pool()).await?;
        Ok((row.pending, row.oldest))
    }
}

/// What an attempt writes into its row.
struct Marks<'a> {
    state: &'static str,
    answer: Option<&'a str>,
    next: Option<DateTime<Utc>>,
    /// Attempts that the claim counted and that were none.
    attempts: i32,
}

impl<'a> Attempt<'a> {
    fn marks(self) -> Marks<'a> {
        match self {
            Self::Sent(answer) => Marks { state: "sent", answer: Some(answer), next: None, attempts: 0 },
            Self::Retry(answer, next) => Marks { state: "pending", answer: Some(answer), next: Some(next), attempts: 0 },
            Self::Failed(answer) => Marks { state: "failed", answer: Some(answer), next: None, attempts: 0 },
            Self::Untried(next) => Marks { state: "pending", answer: None, next: Some(next), attempts: 1 },
        }
    }
}
