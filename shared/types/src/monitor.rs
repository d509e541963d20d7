//! Monitors: what is checked, how often and from where, and the results of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{AddressId, DomainId, MonitorId, ResultId, ServerId},
    judge::MonitorState,
    outcome::{Outcome, Verdict},
};

/// The kind of check a monitor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum MonitorKind {
    /// DNS and authentication audit of a domain.
    Audit,
    /// SMTP conversation with a host on a port.
    Smtp,
    /// Block-list scan of an address or network.
    Blacklist,
}

impl MonitorKind {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Smtp => "smtp",
            Self::Blacklist => "blacklist",
        }
    }

    /// Allowed seconds between checks: 60 s to 1 h for probes, 1 h to 24 h for audits and block lists.
    pub const fn interval_range(self) -> (u32, u32) {
        match self {
            Self::Smtp => (60, 3600),
            Self::Audit | Self::Blacklist => (3600, 86_400),
        }
    }

    /// Seconds between checks when nobody said otherwise.
    pub const fn default_interval(self) -> u32 {
        match self {
            Self::Smtp => 300,
            Self::Audit => 3600,
            Self::Blacklist => 21_600,
        }
    }
}

impl std::str::FromStr for MonitorKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Audit, Self::Smtp, Self::Blacklist].into_iter().find(|k| k.as_str() == text).ok_or(())
    }
}

/// A monitor as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Monitor {
    /// Its id.
    pub id: MonitorId,
    /// What it runs.
    pub kind: MonitorKind,
    /// `example.com`, `mail.example.com:25`, `203.0.113.0/24`.
    pub target: String,
    /// Seconds between checks.
    pub interval_s: u32,
    /// Regions it is checked from.
    pub regions: Vec<String>,
    /// True while it is not checked.
    pub paused: bool,
    /// Confirmed state.
    pub state: MonitorState,
    /// Since when.
    pub state_since: Option<DateTime<Utc>>,
    /// Sentence of the latest outcome.
    pub summary: Option<String>,
    /// Total milliseconds of the latest check, where that means something.
    pub latency_ms: Option<f64>,
    /// When it was last checked from any region.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// When it is due next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// The domain it belongs to.
    pub domain_id: Option<DomainId>,
    /// The server it belongs to.
    pub server_id: Option<ServerId>,
    /// The address it belongs to.
    pub address_id: Option<AddressId>,
    /// Raised by every change; `If-Match: "3"`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// `POST monitors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewMonitor {
    /// What to run.
    pub kind: MonitorKind,
    /// `example.com` for audits, `host:port` for probes, an address or network for block lists.
    pub target: String,
    /// Seconds between checks; the kind's default when absent.
    #[serde(default)]
    pub interval_s: Option<u32>,
    /// Regions; `["local"]` when absent.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
}

/// `PATCH monitors/{id}`: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MonitorPatch {
    /// Seconds between checks.
    #[serde(default)]
    pub interval_s: Option<u32>,
    /// Regions.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
    /// Stop or resume.
    #[serde(default)]
    pub paused: Option<bool>,
}

/// One recorded check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckResult {
    /// Its id.
    pub id: ResultId,
    /// The monitor.
    pub monitor_id: MonitorId,
    /// Where from.
    pub region: String,
    /// When it finished.
    pub at: DateTime<Utc>,
    /// What it said.
    pub verdict: Verdict,
    /// One sentence.
    pub summary: String,
    /// Total milliseconds.
    pub latency_ms: Option<f64>,
    /// It was seen in a maintenance window, so that nobody was told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// All of it; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// One bar of a monitor's history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RollupPoint {
    /// Start of the hour or day.
    pub at: DateTime<Utc>,
    /// Checks in it.
    pub checks: u32,
    /// Of these, up or degraded.
    pub up: u32,
    /// Of these, down.
    pub down: u32,
    /// Of these, unknown.
    pub unknown: u32,
    /// Of these, in a maintenance window: they are in none of the three above.
    #[serde(default)]
    pub maintenance: u32,
    /// Mean of total milliseconds.
    pub latency_avg_ms: Option<f64>,
    /// Largest.
    pub latency_max_ms: Option<f64>,
}
