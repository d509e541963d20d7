//! Incidents and their timelines.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    finding::Severity,
    id::{IncidentId, MonitorId, TimelineId},
    monitor::MonitorKind,
    outcome::{Outcome, Status},
};

/// How urgent an incident is, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum IncidentSeverity {
    /// Good to know.
    Info,
    /// Costs reputation or breaks soon.
    Warning,
    /// Mail is lost, refused or unsafe now.
    Critical,
}

impl IncidentSeverity {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// What people read: the word of the findings that make such an incident.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => Severity::Critical.word(),
            Self::Warning => Severity::Medium.word(),
            Self::Info => Severity::Info.word(),
        }
    }

    /// What a finding of that severity makes of an incident; low and info make none.
    pub const fn of_finding(severity: Severity) -> Option<Self> {
        match severity {
            Severity::Critical | Severity::High => Some(Self::Critical),
            Severity::Medium => Some(Self::Warning),
            Severity::Low | Severity::Info => None,
        }
    }
}

impl std::str::FromStr for IncidentSeverity {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

impl From<IncidentSeverity> for Status {
    fn from(severity: IncidentSeverity) -> Self {
        match severity {
            IncidentSeverity::Critical => Self::Bad,
            IncidentSeverity::Warning => Self::Warn,
            IncidentSeverity::Info => Self::Info,
        }
    }
}

/// Where an incident is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum IncidentStatus {
    /// Nobody took it yet.
    Open,
    /// Somebody works on it.
    Acknowledged,
    /// Over.
    Resolved,
}

impl IncidentStatus {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

impl std::str::FromStr for IncidentStatus {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Open, Self::Acknowledged, Self::Resolved].into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The monitor that opened it; `None` when that was deleted.
    pub monitor_id: Option<MonitorId>,
    /// What that monitor runs.
    pub kind: MonitorKind,
    /// What is affected: `mail.example.com:25`.
    pub target: String,
    /// `mail.example.com port 25 is down`.
    pub title: String,
    /// What was seen, and what to do next.
    pub summary: String,
    /// How urgent.
    pub severity: IncidentSeverity,
    /// Where in its life.
    pub status: IncidentStatus,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When somebody took it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The story so far, oldest first; empty in lists.
    #[serde(default)]
    pub timeline: Vec<TimelineEntry>,
    /// What of the target it is about: a record family (`spf`), an address on lists of one severity (`192.0.2.1|critical`), addresses of a
    /// network (`network|critical`). Empty where it is about the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// The outcome that confirmed it; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Outcome>,
    /// Raised by every change.
    pub version: i64,
}

/// `PATCH incidents/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct IncidentPatch {
    /// Acknowledge or resolve by hand; an incident never goes back to open.
    #[serde(default)]
    pub status: Option<IncidentStatus>,
    /// A comment for the timeline, 1 to 4,000 characters.
    #[serde(default)]
    pub comment: Option<String>,
}

/// `POST incidents`: something noticed by people or by another program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewIncident {
    /// 1 to 200 characters.
    pub title: String,
    /// Up to 4,000 characters.
    #[serde(default)]
    pub summary: String,
    /// How urgent.
    pub severity: IncidentSeverity,
    /// The monitor it is about.
    pub monitor_id: MonitorId,
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimelineEntry {
    /// Its id.
    pub id: TimelineId,
    /// When.
    pub at: DateTime<Utc>,
    /// What kind of event.
    pub event: TimelineEvent,
    /// In words.
    pub text: String,
    /// Who did it, when somebody did.
    pub actor: Option<String>,
}

/// Kinds of timeline events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TimelineEvent {
    /// It opened.
    Opened,
    /// It got better or worse without ending.
    Changed,
    /// Somebody took it.
    Acknowledged,
    /// Somebody wrote something.
    Comment,
    /// A message was accepted by the receiver.
    Notified,
    /// A message was refused or could not be sent.
    NotifyFailed,
    /// It ended.
    Resolved,
}

impl TimelineEvent {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Changed => "changed",
            Self::Acknowledged => "acknowledged",
            Self::Comment => "comment",
            Self::Notified => "notified",
            Self::NotifyFailed => "notify_failed",
            Self::Resolved => "resolved",
        }
    }
}

impl std::str::FromStr for TimelineEvent {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Opened, Self::Changed, Self::Acknowledged, Self::Comment, Self::Notified, Self::NotifyFailed, Self::Resolved]
            .into_iter()
            .find(|e| e.as_str() == text)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_and_the_incident_that_it_makes_are_called_the_same() {
        for severity in [Severity::Critical, Severity::High, Severity::Medium] {
            assert_eq!(IncidentSeverity::of_finding(severity).map(IncidentSeverity::word), Some(severity.word()));
        }
    }
}
