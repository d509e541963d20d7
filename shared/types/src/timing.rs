//! How long the stages of a check took over time, how that was spread, and what lay over it: incidents and maintenance.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::IncidentId,
    incident::IncidentSeverity,
    outcome::{StageMs, Verdict},
};

/// The stages of a conversation in their order, and the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Resolving the name.
    Dns,
    /// TCP's handshake.
    Connect,
    /// Waiting for the greeting.
    Banner,
    /// EHLO, each time it was said.
    Ehlo,
    /// The TLS handshake.
    Tls,
    /// Logging in.
    Auth,
    /// All of it.
    Total,
}

impl Stage {
    /// Every one of them, as they are stored.
    pub const ALL: [Self; 7] = [Self::Dns, Self::Connect, Self::Banner, Self::Ehlo, Self::Tls, Self::Auth, Self::Total];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Banner => "banner",
            Self::Ehlo => "ehlo",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Total => "total",
        }
    }
}

impl StageMs {
    /// Milliseconds of a stage, where it was reached.
    pub const fn of(&self, stage: Stage) -> Option<f64> {
        match stage {
            Stage::Dns => self.dns,
            Stage::Connect => self.connect,
            Stage::Banner => self.banner,
            Stage::Ehlo => self.ehlo,
            Stage::Tls => self.tls,
            Stage::Auth => self.auth,
            Stage::Total => self.total,
        }
    }
}

/// How milliseconds are spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spread {
    /// Half of the checks took at most so long.
    pub p50: f64,
    /// 95 of 100 took at most so long.
    pub p95: f64,
}

/// The spread of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StageSpread {
    /// Which.
    pub stage: Stage,
    /// How its milliseconds are spread.
    #[serde(flatten)]
    pub ms: Spread,
}

/// One step of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimingPoint {
    /// Where it begins.
    pub at: DateTime<Utc>,
    /// Checks in it.
    pub checks: u32,
    /// Of these, in a maintenance window.
    pub maintenance: u32,
    /// Of those outside of windows: down.
    pub down: u32,
    /// The stages that were reached, in their order.
    pub stages: Vec<StageSpread>,
}

impl TimingPoint {
    /// The spread of a stage.
    pub fn of(&self, stage: Stage) -> Option<Spread> {
        self.stages.iter().find(|spread| spread.stage == stage).map(|spread| spread.ms)
    }
}

/// What one region saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegionTiming {
    /// The region.
    pub region: String,
    /// Its latest verdict; none before its first check.
    pub verdict: Option<Verdict>,
    /// Its sentence.
    pub summary: Option<String>,
    /// When that was.
    pub at: Option<DateTime<Utc>>,
    /// The whole of its checks over the last 24 hours.
    pub day: Option<Spread>,
    /// Since when the region can not reach anything, so that what it sees is not counted. Absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off_since: Option<DateTime<Utc>>,
}

/// An incident over the chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentBand {
    /// Which.
    pub id: IncidentId,
    /// One line.
    pub title: String,
    /// How urgent.
    pub severity: IncidentSeverity,
    /// From when.
    pub opened_at: DateTime<Utc>,
    /// Until when; none while it is open.
    pub resolved_at: Option<DateTime<Utc>>,
}

/// `GET monitors/{id}/timings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Timings {
    /// Where the chart begins.
    pub since: DateTime<Utc>,
    /// Where it ends.
    pub until: DateTime<Utc>,
    /// Seconds of a step.
    pub step_s: u32,
    /// Steps with checks, oldest first.
    pub points: Vec<TimingPoint>,
    /// The newest 50 incidents of the monitor in that time, oldest first.
    pub incidents: Vec<IncidentBand>,
    /// Side by side, by name.
    pub regions: Vec<RegionTiming>,
}
