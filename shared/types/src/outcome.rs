//! What one check found. The JSON of these types is what the command `waypost` prints and what the API stores: fields are added, never renamed.

mod audit;
mod blacklist;
mod extension;
mod service;
mod smtp;
mod trace;

pub use audit::{AuditReport, CheckSummary, GoneRecord, MxHost, Status, WebHost};
pub use blacklist::{BlacklistReport, ListEntry, ListState, ScannedList};
pub use extension::{extension_words, megabytes};
pub use service::{RecordsSeen, ServiceLook, ServiceReport, ServiceStages};
pub use smtp::{
    AuthReport, CertificateReport, CloseLook, DaneReport, DaneState, LoginLook, LoginOutcome, LoginReport, ProbeMode, ProbeReport, SmtpReport,
    Speaker, StageMs, TlsReport, TranscriptLine,
};

pub use trace::{PathTrace, TraceEnd, TraceHop};

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity};

/// The verdict of one check from one place. Whether the target *is* down is for the judge to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
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
    #[default]
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
    /// A look at a service beside SMTP.
    Service(Box<ServiceReport>),
}

impl Outcome {
    /// The verdict that goes to the judge.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Audit(report) => report.verdict(),
            Self::Smtp(report) => report.verdict,
            Self::Blacklist(report) => report.verdict(),
            Self::Service(report) => report.verdict,
        }
    }

    /// The findings of whatever kind it is.
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Audit(report) => report.findings.clone(),
            Self::Smtp(report) => report.probes.iter().flat_map(|probe| probe.findings.clone()).collect(),
            Self::Blacklist(report) => report.findings(),
            Self::Service(report) => report.findings().cloned().collect(),
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
