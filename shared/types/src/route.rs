//! Routes: which incidents are told to whom, when, and what follows while nobody takes them. What a set of routes makes of an incident is
//! [`decide`]; what none of them tells is [`gaps`].

mod crowd;
mod decide;
mod gaps;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ChannelId, RouteId},
    incident::IncidentSeverity,
    week::{Day, Hours, TimeOfDay},
};

pub use crowd::{Lately, MANY, OF_SERVER, WINDOW};
pub use decide::{Decision, Facts, FollowUp, Listener, Told, When, decide};
pub use gaps::{Covered, Gap, gaps};

/// Characters of a name at most.
pub const MOST_NAME: usize = 80;
/// Steps of a route at most.
pub const MOST_STEPS: usize = 5;
/// Minutes after which a step may tell.
pub const STEP_MINUTES: std::ops::RangeInclusive<u32> = 1..=1_440;
/// Minutes between reminders.
pub const REMIND_MINUTES: std::ops::RangeInclusive<u32> = 30..=10_080;

/// Who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Receivers {
    /// Members, by mail: all of them with a proven address. Groups of members will stand beside it.
    pub members: bool,
    /// Every channel, those that are added later too.
    pub every_channel: bool,
    /// These channels.
    pub channels: Vec<ChannelId>,
}

impl Receivers {
    /// Whom an organisation tells that has made no routes.
    pub const fn everybody() -> Self {
        Self { members: true, every_channel: true, channels: Vec::new() }
    }

    /// Whether it is nobody.
    pub const fn is_nobody(&self) -> bool {
        !self.members && !self.every_channel && self.channels.is_empty()
    }
}

/// When a route is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Times {
    /// Always.
    #[default]
    Always,
    /// In these hours, by the clocks of the organisation.
    Hours(Hours),
}

/// What a route keeps for later. What is critical is told at once, whatever a route says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Hold {
    /// Nothing.
    #[default]
    Nothing,
    /// What happens in these hours is told when they end.
    QuietHours(Hours),
    /// What is that urgent at most is told once a day.
    Daily {
        /// `info` or `warning`.
        up_to: IncidentSeverity,
        /// At this time, by the clocks of the organisation.
        at: TimeOfDay,
    },
    /// What is that urgent at most is told once a week.
    Weekly {
        /// `info` or `warning`.
        up_to: IncidentSeverity,
        /// On this day.
        day: Day,
        /// At this time, by the clocks of the organisation.
        at: TimeOfDay,
    },
}

impl Hold {
    /// Whether it keeps anything of what is at least that urgent: what is critical never waits.
    pub fn keeps_any(&self, min_severity: IncidentSeverity) -> bool {
        match self {
            Self::Nothing => false,
            Self::QuietHours(_) => min_severity < IncidentSeverity::Critical,
            Self::Daily { up_to, .. } | Self::Weekly { up_to, .. } => min_severity <= *up_to,
        }
    }
}

/// Whom else a route tells when nobody acknowledged an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// That many minutes after the route told of it: 1 to 1,440, more than in the step before.
    pub after_minutes: u32,
    /// Whom.
    pub tells: Receivers,
}

/// A route. An incident that several match is told by all of them, to each receiver once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// What people call it.
    pub name: String,
    /// Whether it tells anything.
    pub enabled: bool,
    /// It is for incidents that are at least that urgent.
    pub min_severity: IncidentSeverity,
    /// It is for what has one of these tags; with none, for all.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it is there.
    #[serde(default)]
    pub times: Times,
    /// Whom it tells. A channel hears of nothing that is less urgent than the channel itself says.
    pub tells: Receivers,
    /// What it keeps for later.
    #[serde(default)]
    pub hold: Hold,
    /// Minutes after which it reminds those that it told while nobody acknowledges; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_minutes: Option<u32>,
    /// What follows while nobody acknowledges, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Raised by every change; `If-Match: "3"`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// `POST routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRoute {
    /// 1 to 80 characters.
    pub name: String,
    /// False to begin in silence.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// It is for incidents that are at least that urgent; all when absent.
    #[serde(default = "info")]
    pub min_severity: IncidentSeverity,
    /// It is for what has one of these tags; with none, for all.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it is there; always when absent.
    #[serde(default)]
    pub times: Times,
    /// Whom it tells.
    pub tells: Receivers,
    /// What it keeps for later; nothing when absent.
    #[serde(default)]
    pub hold: Hold,
    /// Minutes between reminders while nobody acknowledges: 30 to 10,080; none when absent.
    #[serde(default)]
    pub remind_minutes: Option<u32>,
    /// What follows while nobody acknowledges: 5 at most.
    #[serde(default)]
    pub steps: Vec<Step>,
}

const fn yes() -> bool {
    true
}

const fn info() -> IncidentSeverity {
    IncidentSeverity::Info
}

impl NewRoute {
    /// What an organisation without routes does, as a route.
    pub fn of_everybody() -> Self {
        Self {
            name: "Everybody".to_owned(),
            enabled: true,
            min_severity: IncidentSeverity::Info,
            tags: Vec::new(),
            times: Times::Always,
            tells: Receivers::everybody(),
            hold: Hold::Nothing,
            remind_minutes: None,
            steps: Vec::new(),
        }
    }
}

/// `PATCH routes/{id}`: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RoutePatch {
    /// Another name.
    pub name: Option<String>,
    /// On or off. What it told goes on and what it holds is told; what follows is not.
    pub enabled: Option<bool>,
    /// Another least severity.
    pub min_severity: Option<IncidentSeverity>,
    /// Other tags.
    pub tags: Option<Vec<String>>,
    /// Other times.
    pub times: Option<Times>,
    /// Others to tell.
    pub tells: Option<Receivers>,
    /// Something else to keep for later.
    pub hold: Option<Hold>,
    /// Minutes between reminders; 0 for none.
    pub remind_minutes: Option<u32>,
    /// Other steps. Those that wait tell whom these say, when they were due.
    pub steps: Option<Vec<Step>>,
}

impl RoutePatch {
    /// The route as it is to be.
    pub fn onto(self, route: Route) -> NewRoute {
        NewRoute {
            name: self.name.unwrap_or(route.name),
            enabled: self.enabled.unwrap_or(route.enabled),
            min_severity: self.min_severity.unwrap_or(route.min_severity),
            tags: self.tags.unwrap_or(route.tags),
            times: self.times.unwrap_or(route.times),
            tells: self.tells.unwrap_or(route.tells),
            hold: self.hold.unwrap_or(route.hold),
            remind_minutes: self.remind_minutes.or(route.remind_minutes).filter(|minutes| *minutes > 0),
            steps: self.steps.unwrap_or(route.steps),
        }
    }
}

/// `PUT routes/order`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RouteOrder {
    /// All routes, in the order wanted.
    pub routes: Vec<RouteId>,
}
