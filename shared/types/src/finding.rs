//! What an audit or a probe remarks: a finding with its rule and severity, or a part that could not be told.

use serde::{Deserialize, Serialize};

/// How bad a finding is, worst last so that `max` gives the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Could be better.
    Low,
    /// Costs reputation or breaks soon.
    Medium,
    /// Mail is refused or abused in many places.
    High,
    /// Mail is lost, refused or unsafe now.
    Critical,
}

impl Severity {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// What people read, here and of incidents: critical and high findings are both critical, and differ by what they cost.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical | Self::High => "Critical",
            Self::Medium => "Warning",
            Self::Low => "Advice",
            Self::Info => "Good to know",
        }
    }

    /// What that means for mail, after a colon.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Critical => "breaks delivery now",
            Self::High => "costs delivery in many places",
            Self::Medium => "costs reputation or breaks soon",
            Self::Low => "could be better",
            Self::Info => "nothing is wrong",
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical].into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

/// One remark: the rule (an id of `audit-rules.toml`), what it is about, what was seen and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Rule id, `area.name`; part of the contract with programs.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The name, address or selector it is about.
    pub subject: String,
    /// One sentence, sentence case, that says what was found.
    pub summary: String,
    /// Why it matters for delivery.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to do.
    pub fix: String,
    /// The DNS record to paste, when the fix is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<SuggestedRecord>,
    /// Standard and section.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
}

/// Key of the record family that a rule's findings belong to: the rule's area names it, or is part of it.
pub fn family_key(rule: &str) -> &str {
    match rule.split_once('.').map_or(rule, |(area, _)| area) {
        "mtasts" => "mta_sts",
        "tlsrpt" => "tls_rpt",
        "helo" => "ptr",
        "soa" => "ns",
        other => other,
    }
}

/// A record to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SuggestedRecord {
    /// Owner name.
    pub name: String,
    /// `TXT`, `MX`, …
    pub kind: String,
    /// Content as a zone editor takes it.
    pub value: String,
}

/// A part that could not be told. Unknown is never a failure and never a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnknownPart {
    /// What it is about: `spf`, `mx`, a zone, a host.
    pub subject: String,
    /// The one address, server or name of it that could not be told, where the others could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Why, and what would help.
    pub reason: String,
    /// Why, for programs.
    #[serde(default, skip_serializing_if = "UnknownCause::is_silence")]
    pub cause: UnknownCause,
}

/// Why a part could not be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum UnknownCause {
    /// What was asked did not answer, or gave nothing to tell it by: what was found before may still be so.
    #[default]
    Silence,
    /// All that could be asked has answered, and only the owner can name what else there is: DKIM selectors can not be listed.
    Unnamed,
}

impl UnknownCause {
    /// Whether something did not answer.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
    pub const fn is_silence(&self) -> bool {
        matches!(self, Self::Silence)
    }
}

impl UnknownPart {
    /// All of `subject` could not be told.
    pub fn new(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { subject: subject.into(), about: None, reason: reason.into(), cause: UnknownCause::default() }
    }

    /// Something did not answer: what was found or read of it before may still be so, and asking again may tell.
    pub const fn is_silence(&self) -> bool {
        self.cause.is_silence()
    }
}
