//! What an organisation watches: domains, mail servers and addresses.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    audit::SelectorOrigin,
    finding::Severity,
    id::{AddressId, DomainId, PoolId, ServerId},
    judge::{MonitorState, PolicyPatch},
    list_history::Standing,
    monitor::Monitor,
    name::{Cidr, DomainName},
    outcome::{AuditReport, BlacklistReport},
    pool::PoolRef,
    runbook::OwnRunbook,
};

/// How something came to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Somebody added it.
    Manual,
    /// An MX record of a watched domain names it.
    Mx,
    /// A watched domain, or its `www`, has this address.
    Web,
    /// A server that somebody added has this address.
    Server,
}

impl Source {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Mx => "mx",
            Self::Web => "web",
            Self::Server => "server",
        }
    }
}

/// What a mail server is for (RFC 5598, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ServerRole {
    /// People and programs hand their mail to it.
    Originating,
    /// It passes mail on.
    Relay,
    /// It joins networks: what comes from outside comes through it.
    Gateway,
    /// It delivers to mailboxes.
    Delivery,
}

impl ServerRole {
    /// All, in the way of a message.
    pub const ALL: [Self; 4] = [Self::Originating, Self::Relay, Self::Gateway, Self::Delivery];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Originating => "originating",
            Self::Relay => "relay",
            Self::Gateway => "gateway",
            Self::Delivery => "delivery",
        }
    }
}

impl std::str::FromStr for ServerRole {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(())
    }
}

/// A watched domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// ASCII form.
    pub name: DomainName,
    /// The form for people.
    pub display: String,
    /// State of its audit.
    pub state: MonitorState,
    /// 0 to 100.
    pub score: Option<u8>,
    /// `A` to `F`.
    pub grade: Option<String>,
    /// When it was last audited.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// When it is due next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// The latest audit; absent before the first. Lists carry it too, since tables show its checks.
    pub audit: Option<AuditReport>,
    /// What stands on block lists about the domain itself, its own MX hosts' addresses and its senders, worst first. It weighs on the score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listings: Vec<Standing>,
    /// DKIM selectors that somebody named, beside those that are tried.
    #[serde(default)]
    pub selectors: Vec<String>,
    /// Addresses that send mail for it: SPF must let them.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub senders: Vec<IpAddr>,
    /// Whether it is proven to be the organisation's own, and how to prove it; absent in the overview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Ownership>,
    /// Its monitors; empty in lists.
    #[serde(default)]
    pub monitors: Vec<Monitor>,
    /// Tags, in the order of the alphabet.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Raised by every change of its settings.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// How an organisation proves that a domain is its own: a TXT record, which covers the host names below the domain, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ownership {
    /// Owner name of the record, ASCII.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the record was seen lately.
    pub verified: bool,
    /// When it was last seen. An audit looks for it each time; after eight days without it the domain is no longer taken for proven.
    pub seen_at: Option<DateTime<Utc>>,
}

impl Ownership {
    /// Days for which a proof holds: it is made anew by every audit, and a name server may be out of reach.
    pub const HOLDS_DAYS: i32 = 8;
    const KEY: &str = "waypost-verify";

    /// The record of a domain's token.
    pub fn of(domain: &DomainName, token: &str, seen_at: Option<DateTime<Utc>>, verified: bool) -> Self {
        Self { name: Self::name_of(domain), value: format!("{}={token}", Self::KEY), verified, seen_at }
    }

    /// Where the record stands.
    pub fn name_of(domain: &DomainName) -> String {
        format!("_{}.{domain}", Self::KEY)
    }

    /// The token in the text of a record.
    pub fn token_in(record: &str) -> Option<&str> {
        let (key, token) = record.split_once('=')?;
        key.trim().eq_ignore_ascii_case(Self::KEY).then(|| token.trim())
    }
}

/// A DKIM selector that mail of a domain was signed with, or that audits found a key at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeenSelector {
    /// What stands before `._domainkey`.
    pub selector: String,
    /// `seen` in mail, or `found` by an audit.
    pub origin: SelectorOrigin,
    /// When it was last seen.
    pub seen_at: DateTime<Utc>,
}

/// `POST domains`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    /// The name; any case, Unicode welcome.
    pub name: String,
}

/// `PATCH domains/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DomainPatch {
    /// Seconds between audits.
    #[serde(default)]
    pub interval_s: Option<u32>,
    /// Where its checks are made from.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
    /// When a change counts.
    #[serde(default)]
    pub policy: Option<PolicyPatch>,
    /// Stop or resume its audit.
    #[serde(default)]
    pub paused: Option<bool>,
    /// DKIM selectors to look at, at most 50; they replace those of before.
    #[serde(default)]
    pub selectors: Option<Vec<String>>,
    /// Addresses that send mail for it, at most 50; they replace those of before.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    pub senders: Option<Vec<IpAddr>>,
    /// Tags, at most 20 of 1 to 30 characters; they replace those of before.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// A runbook of its checks' own; null takes it away.
    #[serde(default, deserialize_with = "crate::patch::given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<OwnRunbook>))]
    pub runbook: Option<Option<OwnRunbook>>,
}

/// A watched mail server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// Host name, ASCII.
    pub host: String,
    /// The form for people.
    pub display: String,
    /// Ports watched, one monitor each.
    pub ports: Vec<u16>,
    /// What it is for, where somebody said so.
    #[serde(default)]
    pub role: Option<ServerRole>,
    /// The smallest SIZE limit that will do, in megabytes of 1,000,000 octets; absent where the usual remark is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_size_mb: Option<u32>,
    /// How it came to be watched.
    pub source: Source,
    /// The worst state of its ports.
    pub state: MonitorState,
    /// One per port, in the order of the ports.
    pub monitors: Vec<Monitor>,
    /// When a port was last probed.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// Tags, in the order of the alphabet.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Raised by every change of its settings.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// `POST servers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    /// Host name or address.
    pub host: String,
    /// 25, 465 and 587 when absent; one to eight ports.
    #[serde(default)]
    pub ports: Option<Vec<u16>>,
    /// The smallest SIZE limit that will do, 1 to 10,000 megabytes of 1,000,000 octets. A server that takes less is degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_size_mb: Option<u32>,
}

/// `PATCH servers/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ServerPatch {
    /// The ports to watch from now on.
    #[serde(default)]
    pub ports: Option<Vec<u16>>,
    /// Seconds between probes of every port.
    #[serde(default)]
    pub interval_s: Option<u32>,
    /// Where its checks are made from.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
    /// When a change counts.
    #[serde(default)]
    pub policy: Option<PolicyPatch>,
    /// Stop or resume all of its ports.
    #[serde(default)]
    pub paused: Option<bool>,
    /// Tags, at most 20 of 1 to 30 characters; they replace those of before.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// What it is for; null where nobody says so any more.
    #[serde(default, deserialize_with = "crate::patch::given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<ServerRole>))]
    pub role: Option<Option<ServerRole>>,
    /// The smallest SIZE limit that will do, 1 to 10,000 megabytes of 1,000,000 octets; null where the usual remark is enough.
    #[serde(default, deserialize_with = "crate::patch::given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub least_size_mb: Option<Option<u32>>,
    /// A runbook of its ports' own; null takes it away.
    #[serde(default, deserialize_with = "crate::patch::given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<OwnRunbook>))]
    pub runbook: Option<Option<OwnRunbook>>,
}

/// A watched address or network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Address {
    /// Its id.
    pub id: AddressId,
    /// The address or network.
    pub cidr: Cidr,
    /// How it came to be watched.
    pub source: Source,
    /// Hosts that resolve to it, for people.
    pub hosts: Vec<String>,
    /// State of its block-list scan.
    pub state: MonitorState,
    /// Lists it is on.
    pub listed: u32,
    /// How bad the worst of them is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<Severity>,
    /// Lists that could tell.
    pub answered: u32,
    /// Lists asked.
    pub asked: u32,
    /// When it was last scanned.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// When it is due next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// The latest scan; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<BlacklistReport>,
    /// Its monitor; empty in lists.
    #[serde(default)]
    pub monitors: Vec<Monitor>,
    /// Tags, in the order of the alphabet.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The pool that it sends for. It is a tag of the address beside its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolRef>,
    /// Raised by every change of its settings.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

impl Address {
    /// Fewer than half of the lists that were asked could tell, or none was asked yet: that it is on none of these says little.
    pub const fn is_untold(&self) -> bool {
        self.asked == 0 || self.answered.saturating_mul(2) < self.asked
    }

    /// Its tags with that of its pool, as filters, routes and windows see them.
    pub fn all_tags(&self) -> Vec<String> {
        self.tags.iter().cloned().chain(self.pool.as_ref().map(PoolRef::tag)).collect()
    }
}

/// `POST addresses`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewAddress {
    /// Address or network, IPv4 up to /24.
    pub cidr: String,
}

/// `PATCH addresses/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddressPatch {
    /// Seconds between scans.
    #[serde(default)]
    pub interval_s: Option<u32>,
    /// Where its checks are made from.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
    /// When a change counts.
    #[serde(default)]
    pub policy: Option<PolicyPatch>,
    /// Stop or resume.
    #[serde(default)]
    pub paused: Option<bool>,
    /// Tags, at most 20 of 1 to 30 characters; they replace those of before.
    #[serde(default)]
    pub tags: Option<Vec<String>>,
    /// A runbook of its scan's own; null takes it away.
    #[serde(default, deserialize_with = "crate::patch::given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<OwnRunbook>))]
    pub runbook: Option<Option<OwnRunbook>>,
    /// The pool that it sends for; null where it is of none any more.
    #[serde(default, deserialize_with = "crate::patch::given", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<PoolId>))]
    pub pool: Option<Option<PoolId>>,
}
