//! What the routes of an organisation make of an event of an incident: who is told now, what is held for whom, and what follows. It is kept in
//! the transaction of the event.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ChannelId, IncidentId,
    channel::{ChannelKind, EventKind},
    incident::{IncidentSeverity, IncidentStatus, Mute, TimelineEvent},
    route::{Decision, Facts, Listener, Route, When, decide},
    zone::Zone,
};

use crate::{OrgTx, StoreError};

/// Who is told of an event now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routed {
    /// There are no routes: members, and each channel by its own least severity.
    Everybody,
    /// It is muted: whoever was told of it before.
    Heard,
    /// Those whom routes name.
    To {
        /// Members, by mail.
        members: bool,
        /// Channels.
        channels: Vec<ChannelId>,
    },
}

impl Routed {
    const fn nobody() -> Self {
        Self::To { members: false, channels: Vec::new() }
    }

    const fn is_nobody(&self) -> bool {
        matches!(self, Self::To { members: false, channels } if channels.is_empty())
    }

    fn tells(&self, receiver: Receiver) -> bool {
        match (self, receiver) {
            (Self::To { members, .. }, None) => *members,
            (Self::To { channels, .. }, Some(channel)) => channels.contains(&channel),
            (Self::Everybody, _) => true,
            (Self::Heard, _) => false,
        }
    }
}

/// Who may be told of an event at all.
enum Whom<'a> {
    /// Members and channels; with whom the routes tell now of a worse incident that this one is told with.
    All(Option<&'a Routed>),
    /// Channels alone.
    Channels,
}

/// Until when a mute keeps what happens. One that lasts as long as the incident does has no end of its own.
pub(crate) fn silent_until(mute: &Mute) -> DateTime<Utc> {
    mute.until.unwrap_or(NEVER)
}

/// So far away that it is never due.
const NEVER: DateTime<Utc> = match DateTime::from_timestamp(253_370_764_800, 0) {
    Some(at) => at,
    None => DateTime::<Utc>::MAX_UTC,
};

/// Somebody who is told: a channel, or members by mail.
type Receiver = Option<ChannelId>;

/// A channel that is on, as routes see it.
pub(crate) struct Hearing {
    pub listener: Listener,
    pub kind: ChannelKind,
}

/// What an incident is, as routes see it.
pub(crate) struct IncidentFacts {
    severity: IncidentSeverity,
    status: IncidentStatus,
    tags: Vec<String>,
    zone: Zone,
    reopened: bool,
}

impl OrgTx {
    /// Asks the routes about one event of one incident, and keeps what they hold and what follows of it.
    pub async fn ask_routes(&mut self, incident: IncidentId, kind: EventKind, at: DateTime<Utc>) -> Result<Routed, StoreError> {
        self.ask(incident, kind, at, Whom::All(None)).await
    }

    /// The same where channels alone are told: whoever stops watching something is not mailed that its incidents end, and nobody else is.
    pub(crate) async fn ask_routes_of_channels(&mut self, incident: IncidentId, kind: EventKind, at: DateTime<Utc>) -> Result<Routed, StoreError> {
        self.ask(incident, kind, at, Whom::Channels).await
    }

    async fn ask(&mut self, incident: IncidentId, kind: EventKind, at: DateTime<Utc>, whom: Whom<'_>) -> Result<Routed, StoreError> {
        let worse = if let Whom::All(worse) = whom { worse } else { None };
        let over = matches!(kind, EventKind::Resolved | EventKind::LetGo);
        let mute = self.mute_of(incident, at).await?;
        let (routes, lately) = (self.all_routes().await?, self.told_lately(incident, kind, at).await?);
        let crowded = |receiver: Receiver| lately.get(&receiver).and_then(|lately| lately.waits_until(at));
        let (heard, held) = if kind == EventKind::Opened { (BTreeSet::new(), BTreeSet::new()) } else { self.told_of(incident).await? };
        if mute.is_none() && routes.is_empty() && held.is_empty() && !lately.keys().any(|receiver| crowded(*receiver).is_some()) {
            return Ok(Routed::Everybody);
        }
        let (facts, hearing) = (self.facts_of(incident).await?, self.hearing().await?);
        let decision = decided(&routes, &hearing, &facts, at);
        if !over {
            self.follow_up(incident, &facts, &decision).await?;
        }
        let mails = matches!(whom, Whom::All(_));
        if let Some(mute) = mute {
            return self.told_after(incident, (&mute, over, mails, facts.reopened), (&decision, &hearing, &heard)).await;
        }
        let named = decision.members.map(|_| None).into_iter().chain(decision.channels.iter().map(|told| Some(told.channel)));
        let receivers: BTreeSet<Receiver> = if over { &heard | &held } else { &heard | &named.collect() };
        let (mut now, mut later) = (Vec::new(), None::<DateTime<Utc>>);
        for receiver in receivers.into_iter().filter(|receiver| mails || receiver.is_some()) {
            let of_kind = |is: fn(ChannelKind) -> bool| hearing.iter().any(|each| Some(each.listener.channel) == receiver && is(each.kind));
            let keeps_state = of_kind(ChannelKind::keeps_state);
            if over && !heard.contains(&receiver) {
                // The digest says that it was and is over. What keeps a state has none of it to end.
                if keeps_state {
                    self.let_go_of(incident, receiver).await?;
                }
                continue;
            }
            let when = match receiver {
                None => decision.members,
                Some(channel) => decision.channel(channel),
            };
            // A pager that rings is told that it may stop, whatever the hour.
            let when = when.filter(|_| !(keeps_state && heard.contains(&receiver))).unwrap_or(When::Now);
            let with_worse = worse.is_some_and(|worse| worse.tells(receiver));
            let alone = keeps_state || with_worse || (over && of_kind(ChannelKind::is_brought_up_to_date));
            let when = match (when, crowded(receiver)) {
                (When::Now, Some(until)) if !alone => When::Held { until },
                _ => when,
            };
            match when {
                // The message about the worst tells of this one, too.
                When::Held { .. } if !keeps_state && with_worse => {}
                When::Held { until } => {
                    self.hold(incident, receiver, until).await?;
                    later = Some(later.map_or(until, |other| other.min(until)));
                }
                When::Now => {
                    self.let_go_of(incident, receiver).await?;
                    now.push(receiver);
                }
            }
        }
        if kind == EventKind::Opened && now.is_empty() && worse.is_none_or(Routed::is_nobody) {
            let text = match (later, decision.follow_ups.is_empty()) {
                (Some(until), _) => format!("It is told with what else waits until {}.", facts.zone.words(until)),
                (None, false) => "The routes tell nobody at once.".to_owned(),
                (None, true) if decision.routes.is_empty() => "No route matches: nobody is told.".to_owned(),
                (None, true) => "Routes match, but none of those that they tell is on and hears of something that urgent: nobody is told.".to_owned(),
            };
            self.append_timeline(incident, at, TimelineEvent::Held, &text, None).await?;
        }
        Ok(Routed::To { members: now.contains(&None), channels: now.into_iter().flatten().collect() })
    }

    /// Of a muted incident its end is told at once, to those who heard of it. Whatever else happens is told when the mute is over, once: to those who
    /// heard, as it stands then, and to those whom it would have been told now. What keeps a state and has it already stays as it is.
    async fn told_after(
        &mut self,
        incident: IncidentId,
        (mute, over, mails, reopened): (&Mute, bool, bool, bool),
        (decision, hearing, heard): (&Decision, &[Hearing], &BTreeSet<Receiver>),
    ) -> Result<Routed, StoreError> {
        if over {
            // Of one that is muted as long as it lasts there is nothing left to tell.
            if mute.until.is_none() {
                self.forget_held(incident).await?;
            }
            for receiver in heard {
                self.let_go_of(incident, *receiver).await?;
            }
            return Ok(Routed::Heard);
        }
        // What keeps a state and has it already stays as it is; one that was told of an end has it no more.
        let has_it = |receiver: &Receiver| {
            let stateful = hearing.iter().any(|each| Some(each.listener.channel) == *receiver && each.kind.keeps_state());
            stateful && heard.contains(receiver) && !reopened
        };
        let named = decision.members.map(|_| None).into_iter().chain(decision.channels.iter().map(|told| Some(told.channel)));
        let receivers: BTreeSet<Receiver> = named.chain(heard.iter().copied()).filter(|receiver| !has_it(receiver)).collect();
        for receiver in receivers.into_iter().filter(|receiver| mails || receiver.is_some()) {
            let when = receiver.map_or(decision.members, |channel| decision.channel(channel));
            let until = match when {
                Some(When::Held { until }) => until.max(silent_until(mute)),
                _ => silent_until(mute),
            };
            self.hold(incident, receiver, until).await?;
        }
        Ok(Routed::nobody())
    }

    /// Asks them about incidents that opened at once, the worst first: whoever is told of that now is told of all.
    pub async fn ask_routes_together(&mut self, incidents: &[IncidentId], at: DateTime<Utc>) -> Result<Vec<Routed>, StoreError> {
        let mut all: Vec<Routed> = Vec::with_capacity(incidents.len());
        for incident in incidents {
            let routed = self.ask(*incident, EventKind::Opened, at, Whom::All(all.first())).await?;
            all.push(routed);
        }
        Ok(all)
    }

    /// Of these members, whom the routes have mailed now: of a muted incident those who were mailed about it before.
    pub async fn mailed(&mut self, members: &[String], incident: IncidentId, routed: &Routed) -> Result<Vec<String>, StoreError> {
        Ok(match routed {
            Routed::Everybody | Routed::To { members: true, .. } => members.to_vec(),
            Routed::To { members: false, .. } => Vec::new(),
            Routed::Heard => {
                let heard = self.mailed_about(incident).await?;
                members.iter().filter(|member| heard.contains(member)).cloned().collect()
            }
        })
    }

    /// Channels that are on.
    pub(crate) async fn hearing(&mut self) -> Result<Vec<Hearing>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!("SELECT id, kind, min_severity FROM channels WHERE org_id = $1 AND enabled ORDER BY id", org)
            .fetch_all(self.connection())
            .await?;
        rows.into_iter()
            .map(|row| {
                let min_severity = row.min_severity.parse().map_err(|()| StoreError::Corrupt(row.min_severity.clone()))?;
                let kind = row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?;
                Ok(Hearing { listener: Listener { channel: ChannelId(row.id), min_severity }, kind })
            })
            .collect()
    }

    /// Channels that are on, for asking what routes would say.
    pub async fn listeners(&mut self) -> Result<Vec<Listener>, StoreError> {
        Ok(self.hearing().await?.into_iter().map(|each| each.listener).collect())
    }

    async fn facts_of(&mut self, incident: IncidentId) -> Result<IncidentFacts, StoreError> {
        let org = self.org().0;
        let row = sqlx::query!(
            r#"SELECT i.severity, i.status, o.time_zone, i.reopened,
                      coalesce(monitor_tags(m), '{}') AS "tags!"
               FROM incidents i JOIN orgs o ON o.id = i.org_id LEFT JOIN monitors m ON m.org_id = $1 AND m.id = i.monitor_id
               WHERE i.org_id = $1 AND i.id = $2"#,
            org,
            incident.0
        )
        .fetch_one(self.connection())
        .await?;
        Ok(IncidentFacts {
            severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
            status: row.status.parse().map_err(|()| StoreError::Corrupt(row.status.clone()))?,
            tags: row.tags,
            reopened: row.reopened > 0,
            zone: row.time_zone.parse().map_err(|_| StoreError::Corrupt(row.time_zone.clone()))?,
        })
    }

    /// Who was told of an incident, or is about to be; and for whom it is held.
    async fn told_of(&mut self, incident: IncidentId) -> Result<(BTreeSet<Receiver>, BTreeSet<Receiver>), StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"SELECT DISTINCT channel_id, false AS "held!" FROM outbox
               WHERE org_id = $1 AND (incident_id = $2 OR (also <> '{}' AND also @> ARRAY[$2])) AND (channel_id IS NOT NULL OR state <> 'failed')
               UNION ALL SELECT channel_id, true FROM held_notices WHERE org_id = $1 AND incident_id = $2"#,
            org,
            incident.0
        )
        .fetch_all(self.connection())
        .await?;
        let of = |held: bool| rows.iter().filter(|row| row.held == held).map(|row| row.channel_id.map(ChannelId)).collect();
        Ok((of(false), of(true)))
    }

    /// Keeps it for a receiver until then, or until it is due already.
    pub(crate) async fn hold(&mut self, incident: IncidentId, receiver: Receiver, until: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO held_notices (org_id, id, incident_id, channel_id, due_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (org_id, incident_id, channel_id) DO UPDATE SET due_at = least(held_notices.due_at, excluded.due_at)",
            org,
            Uuid::now_v7(),
            incident.0,
            receiver.map(|id| id.0),
            until
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Nothing of it is held for anybody any more.
    pub(crate) async fn forget_held(&mut self, incident: IncidentId) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("DELETE FROM held_notices WHERE org_id = $1 AND incident_id = $2", org, incident.0).execute(self.connection()).await?;
        Ok(())
    }

    /// Nothing of it is held for a receiver any more.
    async fn let_go_of(&mut self, incident: IncidentId, receiver: Receiver) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "DELETE FROM held_notices WHERE org_id = $1 AND incident_id = $2 AND channel_id IS NOT DISTINCT FROM $3",
            org,
            incident.0,
            receiver.map(|id| id.0)
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Keeps what follows while nobody acknowledges. What was done is not done again.
    async fn follow_up(&mut self, incident: IncidentId, facts: &IncidentFacts, decision: &Decision) -> Result<(), StoreError> {
        if facts.status != IncidentStatus::Open || decision.follow_ups.is_empty() {
            return Ok(());
        }
        let org = self.org().0;
        let routes: Vec<Uuid> = decision.follow_ups.iter().map(|each| each.route.0).collect();
        let steps: Vec<i16> = decision.follow_ups.iter().map(|each| i16::try_from(each.step).unwrap_or(i16::MAX)).collect();
        let due: Vec<DateTime<Utc>> = decision.follow_ups.iter().map(|each| each.due_at).collect();
        sqlx::query!(
            "INSERT INTO follow_ups (org_id, incident_id, route_id, step, due_at)
             SELECT $1, $2, f.route_id, f.step, f.due_at FROM UNNEST($3::uuid[], $4::smallint[], $5::timestamptz[]) AS f(route_id, step, due_at)
             JOIN routes r ON r.org_id = $1 AND r.id = f.route_id ORDER BY f.route_id, f.step ON CONFLICT DO NOTHING",
            org,
            incident.0,
            &routes,
            &steps,
            &due
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

fn decided(routes: &[Route], hearing: &[Hearing], facts: &IncidentFacts, at: DateTime<Utc>) -> Decision {
    let listeners: Vec<Listener> = hearing.iter().map(|each| each.listener).collect();
    if routes.is_empty() {
        return Decision::of_everybody(&listeners, facts.severity);
    }
    decide(routes, &listeners, &Facts { severity: facts.severity, tags: &facts.tags }, facts.zone, at)
}
