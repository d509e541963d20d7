//! Regions: where workers check from, as an organisation sees them.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A worker that was not heard of for so long is not there.
const SILENT_AFTER: TimeDelta = TimeDelta::minutes(10);

/// Whether checks from a region count now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RegionState {
    /// Its workers are alive and reach others.
    Working,
    /// Its workers are alive and reach nothing: what they see is not counted.
    CutOff,
    /// No worker of it was heard of for ten minutes, or ever.
    Silent,
}

impl RegionState {
    /// By when a worker of it was last heard of, and since when it reaches nothing.
    pub fn of(seen_at: Option<DateTime<Utc>>, cut_off_since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        match (seen_at, cut_off_since) {
            (Some(seen), None) if seen > now - SILENT_AFTER => Self::Working,
            (Some(seen), Some(_)) if seen > now - SILENT_AFTER => Self::CutOff,
            _ => Self::Silent,
        }
    }
}

/// A region, and how much of the organisation's is checked from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Whether checks from there count.
    pub state: RegionState,
    /// When a worker of it was last heard of; none where none ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<DateTime<Utc>>,
    /// Since when it reaches nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off_since: Option<DateTime<Utc>>,
    /// Outbound port 25 seems blocked there.
    pub port25_blocked: bool,
    /// The organisation's monitors that are checked from there and not paused.
    pub monitors: u32,
    /// Of these, those that no other region checks that works now.
    pub alone: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_works_while_its_workers_are_heard_of_and_reach_others() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        let ago = |minutes| Some(now - TimeDelta::minutes(minutes));
        for (seen, cut_off, state) in [
            (ago(0), None, RegionState::Working),
            (ago(9), None, RegionState::Working),
            (ago(10), None, RegionState::Silent),
            (ago(1), ago(5), RegionState::CutOff),
            (ago(30), ago(50), RegionState::Silent),
            (None, None, RegionState::Silent),
        ] {
            assert_eq!(RegionState::of(seen, cut_off, now), state, "{seen:?} {cut_off:?}");
        }
    }
}
