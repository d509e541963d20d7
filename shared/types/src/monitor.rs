//! Monitors: what is checked, how often and from where, and the results of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{AddressId, DomainId, IncidentId, MonitorId, ResultId, ServerId},
    incident::IncidentSeverity,
    judge::{MonitorState, Policy, PolicyPatch},
    outcome::{Outcome, Verdict},
    runbook::OwnRunbook,
    service::ServiceSettings,
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
    /// A TCP port that takes connections, and what it says first.
    Tcp,
    /// A web address: its status, its certificate, what the page holds.
    Https,
    /// The records of a name, compared with what they are to be.
    Dns,
    /// A mailbox server that speaks IMAP.
    Imap,
    /// A mailbox server that speaks POP3.
    Pop,
}

impl MonitorKind {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Smtp => "smtp",
            Self::Blacklist => "blacklist",
            Self::Tcp => "tcp",
            Self::Https => "https",
            Self::Dns => "dns",
            Self::Imap => "imap",
            Self::Pop => "pop",
        }
    }

    /// All, in the order of a form.
    pub const ALL: [Self; 8] = [Self::Smtp, Self::Audit, Self::Blacklist, Self::Tcp, Self::Https, Self::Dns, Self::Imap, Self::Pop];

    /// The services beside SMTP, in the order of a form.
    pub const SERVICES: [Self; 5] = [Self::Tcp, Self::Https, Self::Dns, Self::Imap, Self::Pop];

    /// A service beside SMTP: it stands by itself, with settings and tags of its own.
    pub const fn is_service(self) -> bool {
        match self {
            Self::Tcp | Self::Https | Self::Dns | Self::Imap | Self::Pop => true,
            Self::Audit | Self::Smtp | Self::Blacklist => false,
        }
    }

    /// Judged by the verdicts of its checks; the others by each thing that they find.
    pub const fn is_judged_whole(self) -> bool {
        match self {
            Self::Audit | Self::Blacklist => false,
            Self::Smtp | Self::Tcp | Self::Https | Self::Dns | Self::Imap | Self::Pop => true,
        }
    }

    /// What people call it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Audit => "DNS and authentication",
            Self::Smtp => "SMTP conversation",
            Self::Blacklist => "Block lists",
            Self::Tcp => "TCP port",
            Self::Https => "Web address",
            Self::Dns => "DNS record",
            Self::Imap => "IMAP server",
            Self::Pop => "POP3 server",
        }
    }

    /// Allowed seconds between checks: 60 s to 1 h for probes, 1 h to 24 h for audits and block lists.
    pub const fn interval_range(self) -> (u32, u32) {
        match self {
            Self::Audit | Self::Blacklist => (3600, 86_400),
            _ => (60, 3600),
        }
    }

    /// Seconds between checks when nobody said otherwise.
    pub const fn default_interval(self) -> u32 {
        match self {
            Self::Audit => 3600,
            Self::Blacklist => 21_600,
            _ => 300,
        }
    }
}

impl std::str::FromStr for MonitorKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|k| k.as_str() == text).ok_or(())
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
    /// `example.com`, `mail.example.com:25`, `203.0.113.0/24`, `https://example.com/`, `example.com MX`.
    pub target: String,
    /// What a service is expected to do; empty for the other kinds.
    #[serde(default)]
    pub settings: ServiceSettings,
    /// Tags: a service's own, or those of what it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Seconds between checks.
    pub interval_s: u32,
    /// Regions it is checked from.
    pub regions: Vec<String>,
    /// When a change counts.
    #[serde(default)]
    pub policy: Policy,
    /// A runbook of its own, in the place of the one that fits the usual event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<OwnRunbook>,
    /// True while it is not checked.
    pub paused: bool,
    /// Confirmed state.
    pub state: MonitorState,
    /// Since when.
    pub state_since: Option<DateTime<Utc>>,
    /// Since when it fails and works in turn, so that its state keeps to the worse until it is steady. Absent where it is steady.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping_since: Option<DateTime<Utc>>,
    /// Whether the last check told otherwise than the state, and a second look is to confirm it.
    #[serde(default)]
    pub confirming: bool,
    /// Sentence of the latest outcome.
    pub summary: Option<String>,
    /// Total milliseconds of the latest check, where that means something.
    pub latency_ms: Option<f64>,
    /// When it was last checked from any region.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// When it is due next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// Its open incidents; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<OpenIncidents>,
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

/// What is open of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenIncidents {
    /// The worst incident, of several the oldest.
    pub id: IncidentId,
    /// How urgent that is.
    pub severity: IncidentSeverity,
    /// How many are open.
    pub count: u32,
}

/// `POST monitors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewMonitor {
    /// What to run.
    pub kind: MonitorKind,
    /// `example.com` for audits, `host:port` for probes, TCP, IMAP and POP, an address or network for block lists, an `https:` address, a name and a
    /// type (`example.com MX`) for DNS.
    pub target: String,
    /// What a service is expected to do.
    #[serde(default)]
    pub settings: Option<ServiceSettings>,
    /// Seconds between checks; the kind's default when absent.
    #[serde(default)]
    pub interval_s: Option<u32>,
    /// Regions; `["local"]` when absent.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
    /// When a change counts; what is absent is the default.
    #[serde(default)]
    pub policy: Option<PolicyPatch>,
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
    /// When a change counts.
    #[serde(default)]
    pub policy: Option<PolicyPatch>,
    /// Stop or resume.
    #[serde(default)]
    pub paused: Option<bool>,
    /// What a service is expected to do, all of it anew.
    #[serde(default)]
    pub settings: Option<ServiceSettings>,
    /// Tags of a service.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// A runbook of its own; null takes it away.
    #[serde(default, deserialize_with = "crate::patch::given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<OwnRunbook>))]
    pub runbook: Option<Option<OwnRunbook>>,
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
