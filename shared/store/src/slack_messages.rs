//! What was posted in Slack: which message tells of which incidents, how those stand, and who is to see it brought up to date.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ChannelId, IncidentId,
    channel::{ChannelEvent, EventKind},
    incident::{IncidentSeverity, IncidentStatus, Mute},
    runbook::Guide,
    slack::SlackChannelId,
    topic::Topic,
};

use crate::{OrgTx, StoreError, outbox::uuids, slack::SlackToken};

/// Incidents that one message tells of at most: what one judgement of a rule opens together.
pub const MOST_TOGETHER: usize = 100;
/// Messages of the outbox that one update tells with another at most.
const MOST_ALONG: i64 = 200;

/// A message as Slack knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackPost {
    /// The channel in the workspace.
    pub slack_channel: String,
    /// Its id there.
    pub ts: String,
}

/// How an incident stands.
#[derive(Debug, Clone)]
pub struct SlackIncident {
    /// Its id.
    pub id: IncidentId,
    /// What is wrong, in one line.
    pub title: String,
    /// What was seen.
    pub summary: String,
    /// What is affected.
    pub target: String,
    /// How urgent.
    pub severity: IncidentSeverity,
    /// Where it is in its life.
    pub status: IncidentStatus,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When it ended.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Who works on it.
    pub taken_by: Option<String>,
    /// Nobody is told of it.
    pub mute: Option<Mute>,
    /// What the channel was told of its end.
    pub end: Option<ChannelEvent>,
    /// The runbook that it leads to.
    pub guide: Option<Guide>,
}

/// All that it takes to tell a channel of the app something.
#[derive(Debug, Clone)]
pub struct SlackTelling {
    /// The channel in the workspace; `None` when the channel is gone.
    pub slack_channel: Option<String>,
    /// The bot's token; `None` when the app was added nowhere.
    pub token: Option<SlackToken>,
    /// Slug of the organisation.
    pub slug: String,
    /// Name of the organisation.
    pub org: String,
    /// The message that tells of it already.
    pub post: Option<SlackPost>,
    /// How the incidents stand that the message is about, the worst first. Those that were removed are missing.
    pub incidents: Vec<SlackIncident>,
    /// All that it is about, those that were removed too.
    pub about: Vec<IncidentId>,
    /// What else waits to be told of these incidents: bringing the message up to date tells all of it.
    pub along: Vec<Along>,
}

/// A message of the outbox that is told with another.
#[derive(Debug, Clone)]
pub struct Along {
    /// Row id.
    pub id: Uuid,
    /// What it is about.
    pub incident: IncidentId,
    /// What happened.
    pub event: ChannelEvent,
}

impl OrgTx {
    /// What there is to know before a message of the outbox is told to a channel of the app.
    pub async fn slack_telling(
        &mut self,
        channel: ChannelId,
        message: Uuid,
        incident: Option<IncidentId>,
        now: DateTime<Utc>,
    ) -> Result<SlackTelling, StoreError> {
        let org = self.org().0;
        let slack_channel = self.slack_channel_of(channel).await?.map(String::from);
        let (slug, name) = self.org_label().await?;
        let token = self.slack_token().await?;
        let mut telling =
            SlackTelling { slack_channel, token, slug, org: name, post: None, incidents: Vec::new(), about: Vec::new(), along: Vec::new() };
        let Some(incident) = incident else { return Ok(telling) };
        telling.post = sqlx::query_as!(
            SlackPost,
            // What was posted in another workspace is out of reach, and what is in another channel nobody looks at any more.
            "SELECT m.slack_channel, m.ts FROM slack_messages m JOIN slack_installs s ON s.org_id = $1 AND s.team_id = m.team_id
             JOIN channels c ON c.org_id = $1 AND c.id = m.channel_id AND c.slack_channel = m.slack_channel
             WHERE m.org_id = $1 AND m.channel_id = $2 AND m.incident_id = $3",
            org,
            channel.0,
            incident.0
        )
        .fetch_optional(self.connection())
        .await?;
        let about = if let Some(post) = &telling.post {
            let about = self.slack_message_is_about(channel, &post.slack_channel, &post.ts).await?;
            if telling.token.as_ref().is_some_and(|token| token.gone.is_none()) {
                telling.along = self.take_along(channel, message, &about, now).await?;
            }
            about
        } else {
            let also = sqlx::query_scalar!("SELECT also FROM outbox WHERE org_id = $1 AND id = $2", org, message)
                .fetch_optional(self.connection())
                .await?
                .unwrap_or_default();
            std::iter::once(incident).chain(also.into_iter().map(IncidentId)).collect()
        };
        telling.incidents = self.slack_incidents(channel, &about, now).await?;
        telling.about = about;
        Ok(telling)
    }

    /// Claims with a message what else waits for the channel about these incidents, for as long as that is claimed: a press on a message of many
    /// is one update, and whatever came meanwhile goes with it. Nobody else claims of the channel until then.
    async fn take_along(&mut self, channel: ChannelId, message: Uuid, about: &[IncidentId], now: DateTime<Utc>) -> Result<Vec<Along>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"WITH along AS MATERIALIZED (
                 SELECT o.id, c.next_attempt_at FROM outbox o JOIN outbox c ON c.org_id = $1 AND c.id = $2
                 WHERE o.org_id = $1 AND o.channel_id = $3 AND o.incident_id = ANY($4) AND o.also = '{}' AND o.state = 'pending' AND o.id <> $2
                   AND (o.leased_until IS NULL OR o.leased_until <= $5)
                 ORDER BY o.seq LIMIT $6 FOR UPDATE OF o
               ), taken AS (
                 UPDATE outbox o SET attempts = o.attempts + 1, next_attempt_at = a.next_attempt_at FROM along a WHERE o.org_id = $1 AND o.id = a.id
                 RETURNING o.id, o.incident_id, o.message, o.seq
               )
               SELECT id AS "id!", incident_id AS "incident_id!", message AS "message!" FROM taken ORDER BY seq"#,
            org,
            message,
            channel.0,
            &uuids(about),
            now,
            MOST_ALONG
        )
        .fetch_all(self.connection())
        .await?;
        // What can not be read is given up when its own turn comes.
        let along = rows
            .into_iter()
            .filter_map(|row| Some(Along { id: row.id, incident: IncidentId(row.incident_id), event: serde_json::from_value(row.message).ok()? }));
        Ok(along.collect())
    }

    /// The channel of the workspace that a channel of the app is.
    pub async fn slack_channel_of(&mut self, channel: ChannelId) -> Result<Option<SlackChannelId>, StoreError> {
        let org = self.org().0;
        let id = sqlx::query_scalar!("SELECT slack_channel FROM channels WHERE org_id = $1 AND id = $2", org, channel.0)
            .fetch_optional(self.connection())
            .await?
            .flatten();
        id.map(|id| id.parse().map_err(|_| StoreError::Corrupt(id))).transpose()
    }

    /// The incidents that a message tells of.
    pub async fn slack_message_is_about(&mut self, channel: ChannelId, slack_channel: &str, ts: &str) -> Result<Vec<IncidentId>, StoreError> {
        let org = self.org().0;
        let ids = sqlx::query_scalar!(
            "SELECT incident_id FROM slack_messages WHERE org_id = $1 AND channel_id = $2 AND slack_channel = $3 AND ts = $4 ORDER BY incident_id LIMIT $5",
            org,
            channel.0,
            slack_channel,
            ts,
            i64::try_from(MOST_TOGETHER).unwrap_or(i64::MAX)
        )
        .fetch_all(self.connection())
        .await?;
        Ok(ids.into_iter().map(IncidentId).collect())
    }

    async fn slack_incidents(&mut self, channel: ChannelId, ids: &[IncidentId], now: DateTime<Utc>) -> Result<Vec<SlackIncident>, StoreError> {
        let org = self.org().0;
        let mut own = self.own_runbooks_of(ids).await?;
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        // The newest end, by the keys of `channel_messages::ended_key`: there is one for each time that it was opened again.
        let rows = sqlx::query!(
            r#"SELECT i.id, i.kind, i.condition, i.title, i.summary, i.target, i.severity, i.status, i.opened_at, i.resolved_at, i.muted_by, i.muted_until,
                      i.evidence,
                      (SELECT t.actor FROM incident_timeline t WHERE t.org_id = $1 AND t.incident_id = i.id AND t.event = 'acknowledged'
                       ORDER BY t.at DESC, t.id DESC LIMIT 1) AS taken_by,
                      (SELECT o.message FROM outbox o WHERE o.org_id = $1 AND o.channel_id = $3 AND o.incident_id = i.id
                         AND split_part(o.event_key, ':', 3) = 'resolved' ORDER BY o.seq DESC LIMIT 1) AS "end"
               FROM incidents i WHERE i.org_id = $1 AND i.id = ANY($2)
               ORDER BY array_position(ARRAY['critical', 'warning', 'info'], i.severity), i.opened_at, i.id"#,
            org,
            &ids,
            channel.0
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let kind = row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?;
                // What another version wrote in a form of its own names no runbook, and keeps nobody from being told.
                let evidence = row.evidence.and_then(|value| serde_json::from_value(value).ok());
                let mute = row.muted_by.map(|by| Mute { by, until: row.muted_until }).filter(|mute| mute.holds_at(now));
                Ok(SlackIncident {
                    id: IncidentId(row.id),
                    guide: Guide::of(own.remove(&IncidentId(row.id)), Topic::about(kind, &row.target, &row.condition, evidence.as_ref())),
                    title: row.title,
                    summary: row.summary,
                    target: row.target,
                    severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
                    status: row.status.parse().map_err(|()| StoreError::Corrupt(row.status.clone()))?,
                    opened_at: row.opened_at,
                    resolved_at: row.resolved_at,
                    taken_by: row.taken_by,
                    mute,
                    end: row.end.and_then(|value| serde_json::from_value(value).ok()),
                })
            })
            .collect()
    }

    /// Keeps which message tells of these incidents from now on. A channel that was removed meanwhile keeps none.
    pub async fn remember_slack_message(&mut self, channel: ChannelId, team: &str, about: &[IncidentId], post: &SlackPost) -> Result<(), StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = about.iter().map(|id| id.0).collect();
        sqlx::query!(
            "INSERT INTO slack_messages (org_id, channel_id, incident_id, team_id, slack_channel, ts, posted_at)
             SELECT $1, c.id, i.id, $3, $4, $5, now() FROM channels c, UNNEST($6::uuid[]) AS i(id) WHERE c.org_id = $1 AND c.id = $2
             ON CONFLICT (org_id, channel_id, incident_id) DO UPDATE SET team_id = $3, slack_channel = $4, ts = $5, posted_at = now()",
            org,
            channel.0,
            team,
            post.slack_channel,
            post.ts,
            &ids
        )
        .execute(self.connection())
        .await?;
        // Nobody presses a button of last year's message, and it is brought up to date no more.
        sqlx::query!("DELETE FROM slack_messages WHERE org_id = $1 AND channel_id = $2 AND posted_at < now() - interval '400 days'", org, channel.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Somebody acknowledged or muted an incident, or it is something else now: what shows how it stands is brought up to date. Only Slack's app
    /// shows that.
    pub async fn tell_handled(&mut self, incident: IncidentId, at: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        let channels = sqlx::query_scalar!(
            "SELECT c.id FROM channels c WHERE c.org_id = $1 AND c.enabled AND c.kind = 'slack_app' AND EXISTS (
               SELECT FROM outbox o WHERE o.org_id = $1 AND o.channel_id = c.id AND (o.incident_id = $2 OR (o.also <> '{}' AND o.also @> ARRAY[$2])))
             ORDER BY c.id FOR KEY SHARE OF c",
            org,
            incident.0
        )
        .fetch_all(self.connection())
        .await?;
        if channels.is_empty() {
            return Ok(());
        }
        let (key, event) = self.event_of(incident, EventKind::Handled, "", at).await?;
        let hearers: Vec<_> = channels.into_iter().map(|id| (id, None)).collect();
        self.enqueue_for(&hearers, (Some(incident), &[]), &key, &event).await.map(drop)
    }
}
