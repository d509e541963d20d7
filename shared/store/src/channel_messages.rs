//! Messages to channels: who is told what of an incident, once each. Which of those that wait goes next is `channel_turns.rs`.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ChannelId, IncidentId,
    channel::{ChannelEvent, ChannelKind, EventKind},
    runbook::Guide,
    topic::Topic,
};

use crate::{OrgTx, StoreError, outbox::uuids, recording::clean, routing::Routed};

/// A channel that is to hear something, and not before when.
pub(crate) type Hearer = (Uuid, Option<DateTime<Utc>>);

/// What happened to an incident.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// Which kind of event it is.
    pub kind: EventKind,
    /// What was seen, and what to do next.
    pub summary: &'a str,
    /// Of an end: how it stands now, in one line.
    pub now: Option<&'a str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What is told of several incidents at once.
#[derive(Debug, Clone, Copy)]
pub struct Together<'a> {
    /// One line about all of them.
    pub title: &'a str,
    /// What was seen of each.
    pub summary: &'a str,
    /// When.
    pub at: DateTime<Utc>,
}

/// What is told of an incident that is removed: its row is gone by then.
#[derive(Debug)]
pub(crate) struct Farewell {
    hearers: Vec<Hearer>,
    key: String,
    event: ChannelEvent,
}

/// Key of the news that an incident opened: every way to tell of it has the same, so that nobody is told twice.
pub fn opened_key(incident: IncidentId) -> String {
    format!("incident:{incident}:opened")
}

/// Key of the news that it is over: once for each time that it was opened again.
pub fn ended_key(incident: IncidentId, reopened: i32) -> String {
    format!("incident:{incident}:resolved{}", again(reopened))
}

/// Key of the news that it fails and works in turn: once for each time that it was opened again.
pub fn flapping_key(incident: IncidentId, reopened: i32) -> String {
    format!("incident:{incident}:flapping{}", again(reopened))
}

/// What tells the keys of an incident that was opened again from those of before.
pub(crate) fn again(reopened: i32) -> String {
    if reopened > 0 { format!(":{reopened}") } else { String::new() }
}

/// One message per event and channel: an incident opens once, ends once each time it was opened, and changes with each version.
fn event_key(incident: IncidentId, kind: EventKind, (version, reopened): (i64, i32)) -> String {
    match kind {
        EventKind::Resolved | EventKind::LetGo => ended_key(incident, reopened),
        EventKind::Flapping => flapping_key(incident, reopened),
        EventKind::Changed => format!("incident:{incident}:changed:{version}"),
        EventKind::Handled => format!("incident:{incident}:handled:{version}"),
        EventKind::Opened | EventKind::Test => opened_key(incident),
        // These come with keys of their own, by which step or reminder they are.
        EventKind::Escalated | EventKind::Reminded | EventKind::Digest => format!("incident:{incident}:{}:{version}", kind.as_str()),
    }
}

impl OrgTx {
    /// Tells members and channels what a person did to an incident, as the organisation's routes say. Whoever did it is not mailed.
    pub(crate) async fn tell_of_hand(
        &mut self,
        incident: IncidentId,
        kind: EventKind,
        summary: &str,
        actor: &str,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let routed = self.ask_routes(incident, kind, at).await?;
        let members = self.incident_recipients().await?;
        let mut recipients = self.mailed(&members, incident, &routed).await?;
        recipients.retain(|recipient| recipient != actor);
        if !recipients.is_empty() {
            let (key, event) = self.event_of(incident, kind, summary, at).await?;
            let root_cause = if kind == EventKind::Resolved { self.incident(incident).await?.root_cause } else { None };
            self.enqueue_event_mails(incident, &key, &recipients, (event, root_cause)).await?;
        }
        self.tell_channels_of(&routed, incident, &News { kind, summary, now: None, at }).await.map(drop)
    }

    /// Tells the channels what happened to an incident, as the organisation's routes say; see [`Self::tell_channels_of`].
    pub async fn tell_channels(&mut self, incident: IncidentId, kind: EventKind, summary: &str, at: DateTime<Utc>) -> Result<u64, StoreError> {
        let routed = self.ask_routes_of_channels(incident, kind, at).await?;
        self.tell_channels_of(&routed, incident, &News { kind, summary, now: None, at }).await
    }

    /// Tells channels what happened to an incident. Where there are no routes: those that are on and hear of that severity, and those that were
    /// told of the incident before, which would otherwise never hear that it got better. An event that is there already makes no second
    /// message. Answers how many are new.
    pub async fn tell_channels_of(&mut self, routed: &Routed, incident: IncidentId, news: &News<'_>) -> Result<u64, StoreError> {
        let channels = self.hearers_of(routed, incident, ChannelKind::ALL).await?;
        if channels.is_empty() {
            return Ok(0);
        }
        let (key, event) = self.event_of(incident, news.kind, news.summary, news.at).await?;
        let event = ChannelEvent { now: news.now.map(str::to_owned), ..event };
        self.enqueue_for(&channels, (Some(incident), &[]), &key, &event).await
    }

    /// Tells the channels of several incidents that opened at once, the worst of them first, each with what the routes made of it. What people
    /// read is one message about all; what keeps a state of each incident hears of each.
    pub async fn tell_channels_together(&mut self, incidents: &[(IncidentId, &str, &Routed)], told: &Together<'_>) -> Result<(), StoreError> {
        let Some(((first, _, routed), others)) = incidents.split_first() else { return Ok(()) };
        let (stateful, read): (Vec<ChannelKind>, Vec<ChannelKind>) = ChannelKind::ALL.iter().partition(|kind| kind.keeps_state());
        for (incident, summary, routed) in incidents {
            let channels = self.hearers_of(routed, *incident, &stateful).await?;
            if !channels.is_empty() {
                let (key, event) = self.event_of(*incident, EventKind::Opened, summary, told.at).await?;
                self.enqueue_for(&channels, (Some(*incident), &[]), &key, &event).await?;
            }
        }
        let channels = self.hearers_of(routed, *first, &read).await?;
        if !channels.is_empty() {
            let (key, event) = self.event_of(*first, EventKind::Opened, told.summary, told.at).await?;
            // The page of all incidents is above that of one.
            let url = event.url.rsplit_once('/').map_or_else(|| event.url.clone(), |(list, _)| list.to_owned());
            let event = ChannelEvent { title: told.title.to_owned(), url, ..event };
            let also: Vec<IncidentId> = others.iter().map(|(incident, ..)| *incident).collect();
            self.enqueue_for(&channels, (Some(*first), &also), &key, &event).await?;
        }
        Ok(())
    }

    /// Tells these channels, if they are on, something that follows of an incident, under a key of its own.
    pub async fn tell_these(
        &mut self,
        channels: &[ChannelId],
        (incident, kind, key): (IncidentId, EventKind, &str),
        summary: &str,
        at: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let channels = self.those_on(channels, ChannelKind::ALL).await?;
        if channels.is_empty() {
            return Ok(0);
        }
        let (_, event) = self.event_of(incident, kind, summary, at).await?;
        self.enqueue_for(&channels, (Some(incident), &[]), key, &event).await
    }

    /// Tells a channel that people read of several incidents that waited for it.
    pub async fn tell_digest(&mut self, channel: ChannelId, incidents: &[IncidentId], key: &str, event: &ChannelEvent) -> Result<u64, StoreError> {
        let channels = self.those_on(&[channel], ChannelKind::ALL).await?;
        self.enqueue_for(&channels, (None, incidents), key, event).await
    }

    async fn hearers_of(&mut self, routed: &Routed, incident: IncidentId, kinds: &[ChannelKind]) -> Result<Vec<Hearer>, StoreError> {
        match routed {
            Routed::Everybody => self.hearers(incident, kinds).await,
            Routed::Heard => self.told_before(incident, kinds).await,
            Routed::To { channels, .. } => self.those_on(channels, kinds).await,
        }
    }

    /// Of these channels, those of these kinds that are on.
    async fn those_on(&mut self, channels: &[ChannelId], kinds: &[ChannelKind]) -> Result<Vec<Hearer>, StoreError> {
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        let org = self.org().0;
        let ids: Vec<Uuid> = channels.iter().map(|id| id.0).collect();
        let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
        let channels = sqlx::query_scalar!(
            "SELECT c.id FROM channels c WHERE c.org_id = $1 AND c.enabled AND c.id = ANY($2) AND c.kind = ANY($3) ORDER BY c.id FOR KEY SHARE OF c",
            org,
            &ids,
            &kinds
        )
        .fetch_all(self.connection())
        .await?;
        Ok(channels.into_iter().map(|id| (id, None)).collect())
    }

    /// Channels of these kinds that are to hear of an incident.
    async fn hearers(&mut self, incident: IncidentId, kinds: &[ChannelKind]) -> Result<Vec<Hearer>, StoreError> {
        let org = self.org().0;
        let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
        let channels = sqlx::query!(
            r#"SELECT c.id, NULL::timestamptz AS not_before FROM channels c JOIN incidents i ON i.org_id = $1 AND i.id = $2
               WHERE c.org_id = $1 AND c.enabled AND c.kind = ANY($3)
                 AND (array_position(ARRAY['info', 'warning', 'critical'], c.min_severity) <= array_position(ARRAY['info', 'warning', 'critical'], i.severity)
                      OR EXISTS (SELECT FROM outbox o WHERE o.org_id = $1 AND o.channel_id = c.id AND o.incident_id = $2)
                      OR EXISTS (SELECT FROM outbox o WHERE o.org_id = $1 AND o.channel_id = c.id AND o.also <> '{}' AND o.also @> ARRAY[i.id]))
               ORDER BY c.id FOR KEY SHARE OF c"#,
            org,
            incident.0,
            &kinds
        )
        .fetch_all(self.connection())
        .await?;
        Ok(channels.into_iter().map(|row| (row.id, row.not_before)).collect())
    }

    /// Channels of these kinds that are on and were told of an incident.
    async fn told_before(&mut self, incident: IncidentId, kinds: &[ChannelKind]) -> Result<Vec<Hearer>, StoreError> {
        let org = self.org().0;
        let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
        let channels = sqlx::query_scalar!(
            "SELECT c.id FROM channels c WHERE c.org_id = $1 AND c.enabled AND c.kind = ANY($3) AND EXISTS (
               SELECT FROM outbox o WHERE o.org_id = $1 AND o.channel_id = c.id AND (o.incident_id = $2 OR (o.also <> '{}' AND o.also @> ARRAY[$2])))
             ORDER BY c.id FOR KEY SHARE OF c",
            org,
            incident.0,
            &kinds
        )
        .fetch_all(self.connection())
        .await?;
        Ok(channels.into_iter().map(|id| (id, None)).collect())
    }

    /// Before an incident is removed with all that waits for it: who was told of it and not of its end, and what they are to be told.
    pub(crate) async fn farewell(&mut self, incident: IncidentId, at: DateTime<Utc>) -> Result<Option<Farewell>, StoreError> {
        let org = self.org().0;
        let reopened =
            sqlx::query_scalar!("SELECT reopened FROM incidents WHERE org_id = $1 AND id = $2", org, incident.0).fetch_one(self.connection()).await?;
        let rows = sqlx::query!(
            "SELECT c.id, max(o.leased_until) AS not_before FROM channels c JOIN outbox o ON o.org_id = $1 AND o.channel_id = c.id
               AND (o.incident_id = $2 OR (o.also <> '{}' AND o.also @> ARRAY[$2]))
             WHERE c.org_id = $1 AND c.enabled
             GROUP BY c.id HAVING max(o.attempts) > 0 AND NOT bool_or(o.event_key = $3 AND o.state <> 'pending') ORDER BY c.id",
            org,
            incident.0,
            ended_key(incident, reopened)
        )
        .fetch_all(self.connection())
        .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let (key, event) = self.event_of(incident, EventKind::LetGo, "Somebody removed the incident.", at).await?;
        Ok(Some(Farewell { hearers: rows.into_iter().map(|row| (row.id, row.not_before)).collect(), key, event }))
    }

    /// After it was removed.
    pub(crate) async fn say_farewell(&mut self, farewell: &Farewell) -> Result<(), StoreError> {
        self.enqueue_for(&farewell.hearers, (None, &[]), &farewell.key, &farewell.event).await.map(drop)
    }

    pub(crate) async fn event_of(
        &mut self,
        incident: IncidentId,
        kind: EventKind,
        summary: &str,
        at: DateTime<Utc>,
    ) -> Result<(String, ChannelEvent), StoreError> {
        let org = self.org().0;
        let lasts = matches!(kind, EventKind::Opened | EventKind::Changed | EventKind::Escalated | EventKind::Reminded);
        let row = sqlx::query!(
            "SELECT o.slug, o.name, i.title, i.target, i.severity, i.opened_at, i.version, i.reopened, i.kind, i.condition,
                    CASE WHEN $3 THEN i.evidence END AS evidence FROM incidents i JOIN orgs o ON o.id = i.org_id
             WHERE i.org_id = $1 AND i.id = $2",
            org,
            incident.0,
            lasts
        )
        .fetch_one(self.connection())
        .await?;
        let runbook = if lasts {
            let kind = row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?;
            let evidence = row.evidence.filter(|value| !value.is_null()).map(serde_json::from_value).transpose()?;
            let own = self.own_runbooks_of(&[incident]).await?.remove(&incident);
            Guide::of(own, Topic::about(kind, &row.target, &row.condition, evidence.as_ref()))
        } else {
            None
        };
        let event = ChannelEvent {
            kind,
            incident: Some(incident),
            org: row.name,
            title: row.title,
            summary: summary.to_owned(),
            target: row.target,
            severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
            opened_at: row.opened_at,
            at,
            url: format!("/o/{}/incidents/{incident}", row.slug),
            runbook: runbook.map(|guide| guide.place(&row.slug, incident)),
            now: None,
        };
        Ok((event_key(incident, kind, (row.version, row.reopened)), event))
    }

    pub(crate) async fn enqueue_for(
        &mut self,
        hearers: &[Hearer],
        (incident, also): (Option<IncidentId>, &[IncidentId]),
        event_key: &str,
        event: &ChannelEvent,
    ) -> Result<u64, StoreError> {
        let org = self.org().0;
        let (channels, not_before): (Vec<Uuid>, Vec<Option<DateTime<Utc>>>) = hearers.iter().copied().unzip();
        let ids: Vec<Uuid> = channels.iter().map(|_| Uuid::now_v7()).collect();
        let message_ids: Vec<String> = ids.iter().map(|id| format!("msg_{}", id.simple())).collect();
        let recipients: Vec<String> = channels.iter().map(|id| ChannelId(*id).to_string()).collect();
        let done = sqlx::query!(
            "INSERT INTO outbox (org_id, id, incident_id, event_key, channel, channel_id, recipient, message, message_id, next_attempt_at, also)
             SELECT $1, r.id, $2, $3, 'channel', r.channel_id, r.recipient, $4, r.message_id, coalesce(r.not_before, now()), $10
             FROM UNNEST($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::timestamptz[]) AS r(id, channel_id, recipient, message_id, not_before)
             ON CONFLICT (org_id, event_key, channel, recipient) DO NOTHING",
            org,
            incident.map(|id| id.0),
            event_key,
            clean(serde_json::to_value(event)?),
            &ids,
            &channels,
            &recipients,
            &message_ids,
            &not_before as &[Option<DateTime<Utc>>],
            &uuids(also)
        )
        .execute(self.connection())
        .await?;
        self.notify_mail().await?;
        Ok(done.rows_affected())
    }
}
