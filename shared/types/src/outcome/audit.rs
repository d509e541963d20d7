//! What the audit of a domain found.

use std::{collections::BTreeMap, net::IpAddr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Verdict, verdict_of_findings};
use crate::{
    audit::{AuditDetail, LostPoints},
    finding::{Finding, Severity, SuggestedRecord, UnknownPart},
    score::Held,
};

/// The audit of one domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditReport {
    /// ASCII name of the domain.
    pub domain: String,
    /// There is no such domain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nxdomain: bool,
    /// 0 to 100; `None` when too much is unknown to say.
    pub score: Option<u8>,
    /// `A` to `F`; `None` with the score.
    pub grade: Option<String>,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Parts that could not be told.
    pub unknown: Vec<UnknownPart>,
    /// One line per record family for tiles and tables: `mx`, `spf`, `dkim`, `dmarc`, `mta_sts`, `tls_rpt`, `bimi`, `dane`, `ptr`, `dnssec`.
    pub checks: BTreeMap<String, CheckSummary>,
    /// The records as seen: family → lines.
    pub records: BTreeMap<String, Vec<String>>,
    /// Families that could not be read this time: their records and words are those of an earlier audit, made at this time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub as_of: BTreeMap<String, DateTime<Utc>>,
    /// MX hosts in order of preference, with the addresses they resolve to.
    #[serde(default)]
    pub mx_hosts: Vec<MxHost>,
    /// The domain itself and its `www`, where they have addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub web_hosts: Vec<WebHost>,
    /// Tokens by which organisations prove that the domain is theirs, where the audit looked for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owner_tokens: Vec<String>,
    /// What each rule took from the score, the most first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostPoints>,
    /// Listings that hold the score down, where there are any: an audit alone does not know of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Records that findings miss and that were there before: where a domain is watched, its history knows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<GoneRecord>,
    /// What is there, by record family.
    #[serde(default)]
    pub detail: AuditDetail,
}

/// A record that was there and is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GoneRecord {
    /// Rule of the finding that misses it.
    pub rule: String,
    /// What that finding is about.
    pub subject: String,
    /// The record as it was last seen.
    pub record: SuggestedRecord,
    /// When it was seen to be gone.
    pub until: DateTime<Utc>,
}

impl AuditReport {
    /// A report about nothing yet, to be filled.
    pub fn empty(domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            nxdomain: false,
            score: None,
            grade: None,
            findings: Vec::new(),
            unknown: Vec::new(),
            checks: BTreeMap::new(),
            records: BTreeMap::new(),
            as_of: BTreeMap::new(),
            mx_hosts: Vec::new(),
            web_hosts: Vec::new(),
            owner_tokens: Vec::new(),
            lost: Vec::new(),
            held: None,
            gone: Vec::new(),
            detail: AuditDetail::default(),
        }
    }

    /// What a whole audit stands on (MX, SPF, DMARC) and could not be told in part or as a whole.
    pub fn shaky(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(|part| part.subject.as_str()).filter(|subject| matches!(*subject, "mx" | "spf" | "dmarc"))
    }

    /// No record was read this time.
    fn is_of_before(&self) -> bool {
        self.records.keys().all(|family| self.as_of.contains_key(family))
    }

    /// Unknown when nothing at all could be told; otherwise as the findings say.
    pub fn verdict(&self) -> Verdict {
        match verdict_of_findings(&self.findings) {
            Verdict::Up if !self.unknown.is_empty() && self.findings.is_empty() && self.is_of_before() => Verdict::Unknown,
            verdict => verdict,
        }
    }
}

/// A record family in three words at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckSummary {
    /// The colour and icon it gets.
    pub status: Status,
    /// The finding, not the colour: `p=none`, `2 keys`, `Not set`.
    pub word: String,
}

/// How a value is shown: icon, colour and the words of the design's status table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Checked and good.
    Ok,
    /// Works, costs reputation or breaks soon.
    Warn,
    /// Lost, refused or unsafe now.
    Bad,
    /// Good to know.
    Info,
    /// Not known or not wanted, never green.
    None,
}

impl Status {
    /// The value of `data-status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
            Self::None => "none",
        }
    }
}

impl From<Severity> for Status {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Critical | Severity::High => Self::Bad,
            Severity::Medium => Self::Warn,
            Severity::Low | Severity::Info => Self::Info,
        }
    }
}

impl From<Verdict> for Status {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Up => Self::Ok,
            Verdict::Degraded => Self::Warn,
            Verdict::Down => Self::Bad,
            Verdict::Unknown => Self::None,
        }
    }
}

/// An MX host of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MxHost {
    /// Preference, lowest first.
    pub preference: u16,
    /// Host name, ASCII.
    pub host: String,
    /// Its addresses, IPv4 first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub addresses: Vec<IpAddr>,
    /// Others may be missing: of one kind, or of all, its addresses could not be told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The mailbox provider the catalog knows it as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// A web host of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebHost {
    /// Host name, ASCII.
    pub host: String,
    /// Its addresses, IPv4 first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub addresses: Vec<IpAddr>,
}
