//! What one check found. The JSON of these types is what the command `waypost` prints and what the API stores: fields are added, never renamed.

use std::{collections::BTreeMap, net::IpAddr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    audit::{AuditDetail, LostPoints},
    finding::{Finding, Severity, UnknownPart},
    lists::ListType,
};

/// The verdict of one check from one place. Whether the target *is* down is for the judge to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All as it should be.
    Up,
    /// Works, with something to mend.
    Degraded,
    /// Resolved and then refused, stayed silent or broke off; or a critical or high finding.
    Down,
    /// Could not be told from here; the reason says why.
    Unknown,
}

impl Verdict {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl std::str::FromStr for Verdict {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Up, Self::Degraded, Self::Down, Self::Unknown].into_iter().find(|v| v.as_str() == text).ok_or(())
    }
}

/// The outcome of any check: one kind each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Outcome {
    /// A DNS and authentication audit of a domain.
    Audit(Box<AuditReport>),
    /// One SMTP conversation per address of a host.
    Smtp(Box<SmtpReport>),
    /// A block-list scan of an address or network.
    Blacklist(Box<BlacklistReport>),
}

impl Outcome {
    /// The verdict that goes to the judge.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Audit(report) => report.verdict(),
            Self::Smtp(report) => report.verdict,
            Self::Blacklist(report) => report.verdict(),
        }
    }

    /// The findings of whatever kind it is.
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Audit(report) => report.findings.clone(),
            Self::Smtp(report) => report.probes.iter().flat_map(|probe| probe.findings.clone()).collect(),
            Self::Blacklist(report) => report.findings(),
        }
    }

    /// The worst severity among the findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings().iter().map(|finding| finding.severity).max()
    }
}

/// The verdict that findings alone give: critical and high are down, medium is degraded.
pub fn verdict_of_findings(findings: &[Finding]) -> Verdict {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Critical | Severity::High) => Verdict::Down,
        Some(Severity::Medium) => Verdict::Degraded,
        _ => Verdict::Up,
    }
}

/// The audit of one domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditReport {
    /// ASCII name of the domain.
    pub domain: String,
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
    /// MX hosts in order of preference, with the addresses they resolve to.
    #[serde(default)]
    pub mx_hosts: Vec<MxHost>,
    /// The domain itself and its `www`, where they have addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub web_hosts: Vec<WebHost>,
    /// What each rule took from the score, the most first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostPoints>,
    /// What is there, by record family.
    #[serde(default)]
    pub detail: AuditDetail,
}

impl AuditReport {
    /// A report about nothing yet, to be filled.
    pub fn empty(domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            score: None,
            grade: None,
            findings: Vec::new(),
            unknown: Vec::new(),
            checks: BTreeMap::new(),
            records: BTreeMap::new(),
            mx_hosts: Vec::new(),
            web_hosts: Vec::new(),
            lost: Vec::new(),
            detail: AuditDetail::default(),
        }
    }

    /// Unknown when nothing at all could be told; otherwise as the findings say.
    pub fn verdict(&self) -> Verdict {
        match verdict_of_findings(&self.findings) {
            Verdict::Up if !self.unknown.is_empty() && self.records.is_empty() && self.findings.is_empty() => Verdict::Unknown,
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

/// How TLS is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProbeMode {
    /// No TLS at all.
    Plain,
    /// STARTTLS after EHLO (RFC 3207).
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
}

impl ProbeMode {
    /// The mode people expect on a port: 465 is implicit, everything else STARTTLS.
    pub const fn of_port(port: u16) -> Self {
        if port == 465 { Self::Implicit } else { Self::Starttls }
    }

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

/// All conversations of one check of one host and port: one per address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SmtpReport {
    /// Host name as watched.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How TLS is spoken.
    pub mode: ProbeMode,
    /// The worst over the addresses; unknown when the name did not resolve for a reason that is not the target's.
    pub verdict: Verdict,
    /// One sentence: what happened and what it suggests.
    pub summary: String,
    /// One per address.
    pub probes: Vec<ProbeReport>,
}

/// One SMTP conversation with one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeReport {
    /// Host name or address asked for.
    pub host: String,
    /// The address connected to; `None` when there was none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpAddr>,
    /// TCP port.
    pub port: u16,
    /// How TLS was to be spoken.
    pub mode: ProbeMode,
    /// This conversation's verdict.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// Milliseconds per stage; a stage that was not reached is absent.
    pub stage_ms: StageMs,
    /// The TLS session, when there was one.
    pub tls: Option<TlsReport>,
    /// Extensions offered in the last EHLO reply, keyword first.
    pub extensions: Vec<String>,
    /// Greeting text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// Remarks.
    pub findings: Vec<Finding>,
    /// Who said what, when; secrets masked.
    pub transcript: Vec<TranscriptLine>,
}

/// Milliseconds per stage of a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs)] // the names are the stages
pub struct StageMs {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ehlo: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
}

/// What a TLS handshake showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TlsReport {
    /// `TLSv1.2`, `TLSv1.3`.
    pub version: String,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// Chains to a trusted root and is within its dates.
    pub trusted: bool,
    /// The certificate names the host.
    pub name_matches: bool,
    /// End of validity of the leaf.
    pub expires: Option<DateTime<Utc>>,
    /// Subject of the leaf.
    #[serde(default)]
    pub subject: String,
    /// Issuer of the leaf.
    #[serde(default)]
    pub issuer: String,
    /// DNS names of the leaf.
    #[serde(default)]
    pub names: Vec<String>,
    /// Why it is not trusted, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_problem: Option<String>,
    /// SHA-256 of the leaf, hexadecimal.
    #[serde(default)]
    pub fingerprint: String,
}

/// One line of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TranscriptLine {
    /// Milliseconds since the start of the conversation.
    pub at_ms: u64,
    /// Who spoke.
    pub from: Speaker,
    /// The line without its end, control characters escaped, cut at 1,000 characters.
    pub line: String,
}

/// A side of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// Waypost.
    Client,
    /// The server watched.
    Server,
}

/// A block-list scan. A full report has one entry per subject and list; a compact one ([`BlacklistReport::compact`]) leaves out what `lists` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlacklistReport {
    /// Address, network or domain scanned.
    pub target: String,
    /// One per subject and list; in a compact report without those that are clean or folded into `lists`.
    pub entries: Vec<ListEntry>,
    /// One per list that takes such subjects, in the order asked. Reports from before this field have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ScannedList>,
    /// Addresses and domains looked for.
    #[serde(default)]
    pub subjects: u32,
}

/// What a scan got from one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScannedList {
    /// Name of the list.
    pub list: String,
    /// Its DNS zone.
    pub zone: String,
    /// Its id in the catalog; the zone of a list that is not there.
    pub id: String,
    /// What it is for: an entry of an allow or reputation list is no problem.
    #[serde(default)]
    pub list_type: ListType,
    /// How bad an entry is.
    pub severity: Severity,
    /// Subjects it takes.
    pub asked: u32,
    /// Of these: listed.
    pub listed: u32,
    /// Of these: proven clean.
    pub clean: u32,
    /// Of these: could not be told.
    pub unknown: u32,
    /// Why some are unknown; the most frequent reasons first. Empty when all could be told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// In a compact report, when some are unknown and some clean: which are unknown, as `first-last` or a single subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<String>,
    /// How removal works, when something is listed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub delisting: String,
    /// What an entry does to mail, when something is listed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub effect: String,
}

/// One subject on one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListEntry {
    /// Address or domain asked about.
    pub subject: String,
    /// Name of the list.
    pub list: String,
    /// Its DNS zone.
    pub zone: String,
    /// The verdict.
    pub state: ListState,
    /// Answers, as addresses.
    pub codes: Vec<String>,
    /// What the answers mean.
    pub meaning: String,
    /// Why it is unknown, or the text the list gives.
    pub reason: String,
    /// How bad a listing here is.
    pub severity: Severity,
    /// Where to ask for removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delist_url: Option<String>,
}

/// The state of one subject on one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ListState {
    /// On the list, and the list is alive.
    Listed,
    /// The list proved alive and answered NXDOMAIN.
    Clean,
    /// Could not be told.
    Unknown,
}
