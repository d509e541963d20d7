//! What routes make of an incident: who is told, when, and what follows. Pure, and the same for the worker and for the preview on the page.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Hold, Receivers, Route, Times};
use crate::{
    id::{ChannelId, RouteId},
    incident::IncidentSeverity,
    week::next_time,
    zone::Zone,
};

/// What an incident is, as far as routes ask.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// How urgent it is.
    pub severity: IncidentSeverity,
    /// Tags of what it is about.
    pub tags: &'a [String],
}

/// A channel that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Which.
    pub channel: ChannelId,
    /// It hears of nothing less urgent, whatever routes say.
    pub min_severity: IncidentSeverity,
}

/// When something is told: the sooner, the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum When {
    /// At once.
    Now,
    /// With what else waits until then.
    Held {
        /// Then.
        until: DateTime<Utc>,
    },
}

/// A receiver and when it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Told {
    /// The channel.
    pub channel: ChannelId,
    /// When.
    pub at: When,
}

/// What a route does while nobody acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FollowUp {
    /// The route.
    pub route: RouteId,
    /// Its step, from 1; 0 is the first reminder.
    pub step: u16,
    /// When it is due.
    pub due_at: DateTime<Utc>,
}

/// Who is told what when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// Routes that match, in their order.
    pub routes: Vec<RouteId>,
    /// When members are mailed; absent: they are not.
    pub members: Option<When>,
    /// Channels that are told, each once.
    pub channels: Vec<Told>,
    /// What follows while nobody acknowledges, soonest first.
    pub follow_ups: Vec<FollowUp>,
}

impl Decision {
    /// What happens where there are no routes.
    pub fn of_everybody(listeners: &[Listener], severity: IncidentSeverity) -> Self {
        let mut decision = Self::default();
        decision.tell(&Receivers::everybody(), listeners, severity, When::Now);
        decision
    }

    /// When a channel is told, where it is.
    pub fn channel(&self, channel: ChannelId) -> Option<When> {
        self.channels.iter().find(|told| told.channel == channel).map(|told| told.at)
    }

    /// Nobody is told, neither now nor later.
    pub fn is_silent(&self) -> bool {
        self.members.is_none() && self.channels.is_empty() && self.follow_ups.is_empty()
    }

    /// Adds what somebody is told; of two times the sooner counts.
    pub fn tell(&mut self, tells: &Receivers, listeners: &[Listener], severity: IncidentSeverity, at: When) {
        if tells.members {
            self.members = Some(self.members.map_or(at, |other| other.min(at)));
        }
        for channel in tells.channels_of(listeners, severity) {
            match self.channels.iter_mut().find(|told| told.channel == channel) {
                Some(told) => told.at = told.at.min(at),
                None => self.channels.push(Told { channel, at }),
            }
        }
    }
}

impl Receivers {
    /// The channels among them that are on and hear of something that urgent.
    pub fn channels_of(&self, listeners: &[Listener], severity: IncidentSeverity) -> Vec<ChannelId> {
        let among = |listener: &&Listener| self.every_channel || self.channels.contains(&listener.channel);
        listeners.iter().filter(among).filter(|listener| listener.min_severity <= severity).map(|listener| listener.channel).collect()
    }
}

impl Route {
    /// Whether it is for an incident that something happens to now.
    pub fn matches(&self, facts: &Facts<'_>, zone: Zone, now: DateTime<Utc>) -> bool {
        let there = match &self.times {
            Times::Always => true,
            Times::Hours(hours) => hours.at(zone, now).is_some(),
        };
        self.enabled && self.min_severity <= facts.severity && (self.tags.is_empty() || self.tags.iter().any(|tag| facts.tags.contains(tag))) && there
    }
}

impl Hold {
    /// Until when something of that severity is kept that happens now.
    pub fn until(&self, severity: IncidentSeverity, zone: Zone, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if severity == IncidentSeverity::Critical {
            return None;
        }
        match self {
            Self::Nothing => None,
            Self::QuietHours(hours) => hours.at(zone, now).map(|on| on.to),
            Self::Daily { up_to, at } => (severity <= *up_to).then(|| next_time(zone, None, *at, now)).flatten(),
            Self::Weekly { up_to, day, at } => (severity <= *up_to).then(|| next_time(zone, Some(*day), *at, now)).flatten(),
        }
    }

    /// What it keeps is for a digest.
    pub const fn is_digest(&self) -> bool {
        matches!(self, Self::Daily { .. } | Self::Weekly { .. })
    }
}

/// What the routes say of an incident that something happens to now. What waits for quiet hours to end is followed up from then on; what waits
/// for a digest is not: it can wait.
pub fn decide(routes: &[Route], listeners: &[Listener], facts: &Facts<'_>, zone: Zone, now: DateTime<Utc>) -> Decision {
    let mut decision = Decision::default();
    for route in routes.iter().filter(|route| route.matches(facts, zone, now)) {
        let held = route.hold.until(facts.severity, zone, now);
        decision.routes.push(route.id);
        decision.tell(&route.tells, listeners, facts.severity, held.map_or(When::Now, |until| When::Held { until }));
        if held.is_some() && route.hold.is_digest() {
            continue;
        }
        let from = held.unwrap_or(now);
        let after = |step: u16, minutes: u32| FollowUp { route: route.id, step, due_at: from + TimeDelta::minutes(minutes.into()) };
        decision.follow_ups.extend(route.remind_minutes.map(|minutes| after(0, minutes)));
        decision.follow_ups.extend((1..).zip(&route.steps).map(|(step, of)| after(step, of.after_minutes)));
    }
    decision.follow_ups.sort_by_key(|follow_up| follow_up.due_at);
    decision
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
