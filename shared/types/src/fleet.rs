//! All monitors of an organisation as a list that is searched, sorted and changed many at a time.

use serde::{Deserialize, Serialize};

use crate::{id::MonitorId, monitor::MonitorKind};

/// How a monitor stands, for a list: its confirmed state, unless it is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Confirmed broken.
    Down,
    /// Works, with something to mend.
    Degraded,
    /// Can not be told.
    Unknown,
    /// Not checked yet.
    Pending,
    /// Works.
    Up,
    /// Not checked.
    Paused,
}

impl Standing {
    /// All, worst first.
    pub const ALL: [Self; 6] = [Self::Down, Self::Degraded, Self::Unknown, Self::Pending, Self::Up, Self::Paused];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Up => "up",
            Self::Paused => "paused",
        }
    }
}

impl std::str::FromStr for Standing {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == text).ok_or(())
    }
}

/// The order of a list of monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Oldest first.
    #[default]
    Added,
    /// Down first, then degraded, unknown, not checked yet, up, paused; of equals by target.
    Worst,
    /// By target.
    Target,
    /// What was checked least lately first.
    Checked,
    /// What took longest first.
    Slowest,
}

impl Order {
    /// All.
    pub const ALL: [Self; 5] = [Self::Worst, Self::Target, Self::Slowest, Self::Checked, Self::Added];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Worst => "worst",
            Self::Target => "target",
            Self::Checked => "checked",
            Self::Slowest => "slowest",
        }
    }
}

impl std::str::FromStr for Order {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|order| order.as_str() == text).ok_or(())
    }
}

/// Which monitors: what is absent does not narrow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MonitorFilter {
    /// Characters that stand in the target, whatever their case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// What they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MonitorKind>,
    /// How they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Standing>,
    /// A tag of a service, or of what they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Services beside SMTP alone.
    #[serde(default)]
    pub services: bool,
}

/// `GET monitors/counts`: how many monitors match, by how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StandingCounts {
    /// Confirmed broken.
    pub down: u32,
    /// Works, with something to mend.
    pub degraded: u32,
    /// Can not be told.
    pub unknown: u32,
    /// Not checked yet.
    pub pending: u32,
    /// Works.
    pub up: u32,
    /// Not checked.
    pub paused: u32,
}

impl StandingCounts {
    /// How many stand so.
    pub const fn of(&self, standing: Standing) -> u32 {
        match standing {
            Standing::Down => self.down,
            Standing::Degraded => self.degraded,
            Standing::Unknown => self.unknown,
            Standing::Pending => self.pending,
            Standing::Up => self.up,
            Standing::Paused => self.paused,
        }
    }

    /// Sets how many stand so.
    pub const fn set(&mut self, standing: Standing, count: u32) {
        let place = match standing {
            Standing::Down => &mut self.down,
            Standing::Degraded => &mut self.degraded,
            Standing::Unknown => &mut self.unknown,
            Standing::Pending => &mut self.pending,
            Standing::Up => &mut self.up,
            Standing::Paused => &mut self.paused,
        };
        *place = count;
    }

    /// All of them.
    pub fn total(&self) -> u32 {
        Standing::ALL.into_iter().map(|standing| self.of(standing)).fold(0, u32::saturating_add)
    }
}

/// Monitors that one change names at most. More of them are told by a filter.
pub const MOST_NAMED: usize = 500;

/// Which monitors a change of many is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// These, 500 at most.
    Monitors(Vec<MonitorId>),
    /// All that match.
    Filter(MonitorFilter),
}

/// `PATCH monitors`: the same change for many. What is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ManyPatch {
    /// Which.
    pub of: Chosen,
    /// With a filter: how many there were when it was decided. Of another number by now nothing is changed.
    #[serde(default)]
    pub expected: Option<u32>,
    /// Stop or resume. What resumes is checked within its interval, not all at once.
    #[serde(default)]
    pub paused: Option<bool>,
    /// Seconds between checks. What does not allow this keeps its own.
    #[serde(default)]
    pub interval_s: Option<u32>,
    /// Tags to give to services, and to what the others belong to.
    #[serde(default)]
    pub add_tags: Vec<String>,
    /// Tags to take from them.
    #[serde(default)]
    pub remove_tags: Vec<String>,
}

/// What became of a change of many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ManyChanged {
    /// Monitors that it was for.
    pub monitors: u32,
    /// Of these, changed by it.
    pub changed: u32,
    /// Things whose tags changed: domains, mail servers, addresses, services.
    pub tagged: u32,
    /// Monitors that keep their interval, because their kind does not allow this one.
    pub interval_kept: u32,
    /// Things that have as many tags as they may, and did not get more.
    pub full: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_is_read_back() {
        for standing in Standing::ALL {
            assert_eq!(standing.as_str().parse(), Ok(standing));
            assert_eq!(serde_json::to_value(standing).unwrap(), standing.as_str());
        }
        for order in Order::ALL {
            assert_eq!(order.as_str().parse(), Ok(order));
            assert_eq!(serde_json::to_value(order).unwrap(), order.as_str());
        }
    }

    #[test]
    fn counts_are_kept_apart() {
        let mut counts = StandingCounts::default();
        for (number, standing) in (1..).zip(Standing::ALL) {
            counts.set(standing, number);
        }
        assert_eq!(Standing::ALL.map(|standing| counts.of(standing)), [1, 2, 3, 4, 5, 6]);
        assert_eq!(counts.total(), 21);
    }
}
