//! The overview page in one call.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    asset::{Address, Domain},
    finding::Severity,
    id::{MonitorId, ServerId},
    incident::Incident,
    judge::MonitorState,
    region::Region,
};

/// `GET orgs/{org}/overview`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// Mean of the domains' scores.
    pub score: Option<u8>,
    /// How much is watched.
    pub counts: Counts,
    /// When anything was last checked.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// Ports 25, 465 and 587.
    pub ports: Vec<PortTile>,
    /// Up to 50 domains, worst first.
    pub domains: Vec<Domain>,
    /// Up to 50 addresses, listed first.
    pub addresses: Vec<Address>,
    /// Listings of all addresses and networks.
    #[serde(default)]
    pub listed: Listed,
    /// Up to 10 open incidents, worst and newest first.
    pub incidents: Vec<Incident>,
    /// A region from which port 25 seems blocked, with the sentence for the banner.
    pub port25_blocked: Option<String>,
    /// A sentence while a region can not reach anything, so that what it sees is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<String>,
    /// A sentence while a region that is used has no worker, so that nothing is checked from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<String>,
    /// Where checks are made from.
    #[serde(default)]
    pub regions: Vec<Region>,
}

/// Listings that stand, each once by address and list: one that an address and its network both show is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Listed {
    /// How many.
    pub count: u32,
    /// How bad the worst is.
    pub worst: Option<Severity>,
}

/// How much is watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs)] // the names say it
pub struct Counts {
    pub domains: u32,
    pub servers: u32,
    pub addresses: u32,
    pub monitors: u32,
    #[serde(default)]
    pub services: u32,
    pub open_incidents: u32,
}

/// One port over all servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortTile {
    /// 25, 465 or 587.
    pub port: u16,
    /// Share of checks of the last 30 days that were not down, percent.
    pub uptime_30d: Option<f64>,
    /// Since when there are checks within these 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_since: Option<DateTime<Utc>>,
    /// Hosts on that port.
    pub total: u32,
    /// Of these, up.
    pub up: u32,
    /// Of these, degraded.
    pub degraded: u32,
    /// Of these, down.
    pub down: u32,
    /// Up to 6 hosts, worst first.
    pub hosts: Vec<PortHost>,
}

/// One host on a port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortHost {
    /// The server.
    pub server_id: Option<ServerId>,
    /// The monitor.
    pub monitor_id: MonitorId,
    /// Host name for people.
    pub host: String,
    /// Confirmed state.
    pub state: MonitorState,
    /// Latest total.
    pub latency_ms: Option<f64>,
}
