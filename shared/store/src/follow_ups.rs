//! What follows of routes while nobody acknowledges an incident: steps, and reminders. They are made in `routing.rs`, claimed here over all
//! tenants, and done in one transaction with the messages that they make.

use chrono::{DateTime, TimeDelta, Utc};
use waypost_types::{
    ChannelId, IncidentId, MonitorId, OrgId, RouteId,
    incident::{Incident, IncidentSeverity, IncidentStatus},
    route::{Listener, Receivers, Route, Times},
    zone::Zone,
};

use crate::{OrgTx, Store, StoreError, channel_messages::again};

/// Something that is due, claimed for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedFollowUp {
    /// Whose it is.
    pub org: OrgId,
    /// Of which incident.
    pub incident: IncidentId,
    /// Of which route.
    pub route: RouteId,
    /// Which step, from 1; 0 is a reminder.
    pub step: i16,
}

/// What is to be told, and whom.
#[derive(Debug, Clone)]
pub struct DueFollowUp {
    /// Key of its messages: the same however often it is tried.
    pub key: String,
    /// Name of the route.
    pub route: String,
    /// Members, by mail.
    pub members: bool,
    /// Channels.
    pub channels: Vec<ChannelId>,
    /// What it is about.
    pub incident: Incident,
}

/// A message that is older than a reminder's interval but for so long is not lately.
const SLACK: TimeDelta = TimeDelta::minutes(5);
/// An incident that is muted without an end, or in maintenance, is looked at again after so long.
const AGAIN: TimeDelta = TimeDelta::minutes(30);

/// What becomes of something that is due.
enum Fate {
    /// It tells them.
    Tells(Receivers),
    /// It is due then.
    Later(DateTime<Utc>),
    /// It does not come, unless the incident gets worse again.
    Dropped,
}

impl Store {
    /// Claims what is due of all tenants for `lease_s` seconds.
    pub async fn claim_follow_ups(&self, now: DateTime<Utc>, limit: i32, lease_s: i32) -> Result<Vec<ClaimedFollowUp>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT org_id AS "org_id!", incident_id AS "incident_id!", route_id AS "route_id!", step AS "step!" FROM claim_follow_ups($1, $2, $3)"#,
            now,
            limit,
            lease_s
        )
        .fetch_all(self.pool())
        .await?;
        let claimed = rows.into_iter().map(|row| ClaimedFollowUp {
            org: OrgId(row.org_id),
            incident: IncidentId(row.incident_id),
            route: RouteId(row.route_id),
            step: row.step,
        });
        Ok(claimed.collect())
    }
}

impl OrgTx {
    /// Takes what was claimed. Nothing where another did it, where somebody took the incident, or where it is not to be told now: then what
    /// becomes of it is written down.
    pub async fn take_follow_up(&mut self, claimed: &ClaimedFollowUp, now: DateTime<Utc>) -> Result<Option<DueFollowUp>, StoreError> {
        let org = self.org().0;
        // The incident first, as whoever changes it does.
        let row = sqlx::query!(
            "SELECT i.severity, i.status, i.monitor_id, o.time_zone FROM incidents i JOIN orgs o ON o.id = i.org_id
             WHERE i.org_id = $1 AND i.id = $2 FOR NO KEY UPDATE OF i",
            org,
            claimed.incident.0
        )
        .fetch_optional(self.connection())
        .await?;
        let times = sqlx::query_scalar!(
            "SELECT times FROM follow_ups WHERE org_id = $1 AND incident_id = $2 AND route_id = $3 AND step = $4 AND done_at IS NULL AND due_at <= $5 FOR UPDATE",
            org,
            claimed.incident.0,
            claimed.route.0,
            claimed.step,
            now
        )
        .fetch_optional(self.connection())
        .await?;
        let (Some(row), Some(times)) = (row, times) else { return Ok(None) };
        if row.status != IncidentStatus::Open.as_str() {
            self.stop_follow_ups(claimed.incident, now).await?;
            return Ok(None);
        }
        let route = match self.route(claimed.route).await {
            Ok(route) => route,
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let severity = row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?;
        let zone: Zone = row.time_zone.parse().map_err(|_| StoreError::Corrupt(row.time_zone.clone()))?;
        let monitor = row.monitor_id.map(MonitorId);
        let fate = match self.mute_of(claimed.incident, now).await? {
            Some(mute) => Fate::Later(mute.until.unwrap_or(now + AGAIN)),
            None if self.is_in_window(monitor, now).await? => Fate::Later(now + AGAIN),
            None => fate(&route, claimed.step, severity, zone, now),
        };
        let tells = match fate {
            Fate::Tells(tells) => tells,
            Fate::Later(until) => {
                self.put_off(claimed, until).await?;
                return Ok(None);
            }
            Fate::Dropped => {
                self.drop_follow_up(claimed).await?;
                return Ok(None);
            }
        };
        let listeners = self.listeners().await?;
        let incident = self.incident(claimed.incident).await?;
        let due = self.whom(claimed, &route, &tells, (&listeners, times + 1), incident, now).await?;
        self.done(claimed, &route, now).await?;
        Ok(Some(due))
    }

    async fn whom(
        &mut self,
        claimed: &ClaimedFollowUp,
        route: &Route,
        tells: &Receivers,
        (listeners, times): (&[Listener], i32),
        incident: Incident,
        now: DateTime<Utc>,
    ) -> Result<DueFollowUp, StoreError> {
        let ClaimedFollowUp { incident: id, route: of, step, .. } = *claimed;
        let again = again(i32::try_from(incident.reopened).unwrap_or(i32::MAX));
        let (mut members, mut channels) = (tells.members, tells.channels_of(listeners, incident.severity));
        let key = if step == 0 {
            // Whoever heard of it lately, by another route or a step, is not reminded.
            let every = TimeDelta::minutes(route.remind_minutes.unwrap_or_default().into());
            // A message is written a little after what it tells was seen, and a reminder is due by when that was.
            let since = now - every + (every / 4).min(SLACK);
            let lately = self.told_since(id, since).await?;
            members &= !lately.contains(&None);
            channels.retain(|channel| !lately.contains(&Some(*channel)));
            format!("incident:{id}:reminded:{of}:{times}{again}")
        } else {
            format!("incident:{id}:escalated:{of}:{step}{again}")
        };
        Ok(DueFollowUp { key, route: route.name.clone(), members, channels, incident })
    }

    /// Who was told of an incident after some time; `None` stands for members.
    async fn told_since(&mut self, incident: IncidentId, since: DateTime<Utc>) -> Result<Vec<Option<ChannelId>>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query_scalar!(
            "SELECT DISTINCT channel_id FROM outbox
             WHERE org_id = $1 AND (incident_id = $2 OR (also <> '{}' AND also @> ARRAY[$2])) AND created_at > $3",
            org,
            incident.0,
            since
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(|id| id.map(ChannelId)).collect())
    }

    /// It told: a step is over, a reminder comes again.
    async fn done(&mut self, claimed: &ClaimedFollowUp, route: &Route, now: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        let again = route.remind_minutes.filter(|_| claimed.step == 0).map(|minutes| now + TimeDelta::minutes(minutes.into()));
        sqlx::query!(
            "UPDATE follow_ups SET times = times + 1, leased_until = NULL, due_at = coalesce($5, due_at), done_at = CASE WHEN $5::timestamptz IS NULL THEN $6::timestamptz END
             WHERE org_id = $1 AND incident_id = $2 AND route_id = $3 AND step = $4",
            org,
            claimed.incident.0,
            claimed.route.0,
            claimed.step,
            again,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn put_off(&mut self, claimed: &ClaimedFollowUp, until: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE follow_ups SET due_at = $5, leased_until = NULL WHERE org_id = $1 AND incident_id = $2 AND route_id = $3 AND step = $4",
            org,
            claimed.incident.0,
            claimed.route.0,
            claimed.step,
            until
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn drop_follow_up(&mut self, claimed: &ClaimedFollowUp) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "DELETE FROM follow_ups WHERE org_id = $1 AND incident_id = $2 AND route_id = $3 AND step = $4",
            org,
            claimed.incident.0,
            claimed.route.0,
            claimed.step
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Somebody took the incident, or it is over: nothing follows.
    pub(crate) async fn stop_follow_ups(&mut self, incident: IncidentId, now: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("UPDATE follow_ups SET done_at = $3 WHERE org_id = $1 AND incident_id = $2 AND done_at IS NULL", org, incident.0, now)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

/// By the route as it is now: who changed it meanwhile meant it.
fn fate(route: &Route, step: i16, severity: IncidentSeverity, zone: Zone, now: DateTime<Utc>) -> Fate {
    let tells = match usize::try_from(step).unwrap_or_default().checked_sub(1) {
        None => route.remind_minutes.map(|_| &route.tells),
        Some(index) => route.steps.get(index).map(|step| &step.tells),
    };
    // Outside of its hours a route reminds nobody. What began within them goes its way: a step may be the pager that is to ring by night.
    if let (0, Times::Hours(hours)) = (step, &route.times)
        && let Some(next) = hours.next(zone, now)
    {
        return Fate::Later(next);
    }
    match (tells, route.hold.until(severity, zone, now)) {
        (Some(tells), None) if route.enabled && route.min_severity <= severity => Fate::Tells(tells.clone()),
        (Some(_), Some(until)) if route.enabled && !route.hold.is_digest() => Fate::Later(until),
        _ => Fate::Dropped,
    }
}
