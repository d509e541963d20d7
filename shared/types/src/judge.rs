//! The state of a monitor as the judge keeps it, and the policy it judges by. The judging itself is the worker's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    finding::Severity,
    outcome::{Status, Verdict},
};

/// What a monitor's state is after judging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum MonitorState {
    /// Not checked yet.
    #[default]
    Pending,
    /// Works.
    Up,
    /// Works, with something to mend.
    Degraded,
    /// Confirmed broken.
    Down,
    /// Can not be told.
    Unknown,
}

impl MonitorState {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl std::str::FromStr for MonitorState {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Pending, Self::Up, Self::Degraded, Self::Down, Self::Unknown].into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

impl From<Verdict> for MonitorState {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Up => Self::Up,
            Verdict::Degraded => Self::Degraded,
            Verdict::Down => Self::Down,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

impl From<MonitorState> for Status {
    fn from(state: MonitorState) -> Self {
        match state {
            MonitorState::Up => Self::Ok,
            MonitorState::Degraded => Self::Warn,
            MonitorState::Down => Self::Bad,
            MonitorState::Pending | MonitorState::Unknown => Self::None,
        }
    }
}

/// What the judge remembers between outcomes (stored as JSON with the monitor).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JudgeState {
    /// The confirmed state.
    pub state: MonitorState,
    /// What degrades it is of high severity, so that it is as urgent as what is down. Kept while the state is unknown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grave: bool,
    /// Since when it is that.
    pub since: Option<DateTime<Utc>>,
    /// The state that outcomes point to but that is not confirmed yet, and how many outcomes in a row did.
    pub candidate: Option<Candidate>,
    /// While the state is unknown: what it was when it could last be told, so that a blind spot neither opens nor ends anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_unknown: Option<MonitorState>,
    /// The newest outcome that was seen in a maintenance window. After the window, nothing up to it votes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_at: Option<DateTime<Utc>>,
    /// How steady it was lately.
    #[serde(skip_serializing_if = "Steadiness::is_unknown")]
    pub steadiness: Steadiness,
}

/// How steady a monitor was lately: by it is told whether it is flapping.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Steadiness {
    /// What its regions said together last, confirmed or not; what could not be told is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<MonitorState>,
    /// When that changed, oldest first; what is older than the window is forgotten, but for the newest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<DateTime<Utc>>,
    /// When it was confirmed last that it works again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<DateTime<Utc>>,
    /// Since when it is flapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flapping_since: Option<DateTime<Utc>>,
    /// How often in a row it failed again soon after it had recovered.
    #[serde(skip_serializing_if = "is_zero")]
    pub relapses: u32,
    /// Changes that the story of its incident tells since then.
    #[serde(skip_serializing_if = "is_zero")]
    pub told: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Steadiness {
    /// Nothing was seen yet.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// A change on its way to confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it points.
    pub state: MonitorState,
    /// What degrades it there is of high severity.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grave: bool,
    /// Consecutive rounds of outcomes that said so.
    pub rounds: u32,
    /// When the last of them was counted; a new round needs newer outcomes.
    #[serde(default)]
    pub counted_at: Option<DateTime<Utc>>,
}

/// One region's latest outcome, as the judge sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionOutcome {
    /// Region that checked.
    pub region: String,
    /// When it finished.
    pub at: DateTime<Utc>,
    /// What it said.
    pub verdict: Verdict,
    /// Worst finding.
    pub worst: Option<Severity>,
    /// One sentence.
    pub summary: String,
}

/// A time in which a region could not reach anything: what it saw then is its own trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// The region.
    pub region: String,
    /// From when.
    pub since: DateTime<Utc>,
    /// Until when; none while it lasts.
    pub until: Option<DateTime<Utc>>,
}

impl CutOff {
    /// Whether what was seen is of that time.
    pub fn covers(&self, outcome: &RegionOutcome) -> bool {
        outcome.region == self.region && outcome.at >= self.since && self.until.is_none_or(|until| outcome.at <= until)
    }
}

/// How a monitor is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy {
    /// Rounds of failure that confirm a worse state.
    pub fail_after: u32,
    /// Rounds of success that confirm recovery.
    pub recover_after: u32,
    /// How many regions must agree; 0 means a majority.
    pub quorum: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { fail_after: 2, recover_after: 1, quorum: 0 }
    }
}

impl Policy {
    /// Rounds that may be asked for.
    pub const ROUNDS: std::ops::RangeInclusive<u32> = 1..=10;
}

/// Changes of a policy: what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyPatch {
    /// Rounds of failure that confirm a worse state, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_after: Option<u32>,
    /// Rounds of success that confirm recovery, 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover_after: Option<u32>,
    /// How many regions must agree, at most as many as there are; 0 means a majority. Not for audits and block lists, which one region judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
}

/// A confirmed change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: MonitorState,
    /// After.
    pub to: MonitorState,
    /// When.
    pub at: DateTime<Utc>,
    /// Why: the summary of an outcome that says so.
    pub summary: String,
    /// It got better.
    pub better: bool,
    /// Severity an incident about it has; `None` opens none.
    pub severity: Option<crate::incident::IncidentSeverity>,
    /// It got worse, and had been confirmed to work again no longer than a window before: then.
    pub recovered_at: Option<DateTime<Utc>>,
    /// It is flapping, and gets no better until nothing has changed for so long.
    pub flapping: Option<Duration>,
}
