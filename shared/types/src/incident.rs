//! Incidents and their timelines.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    finding::Severity,
    id::{IncidentId, MonitorId, TimelineId},
    monitor::MonitorKind,
    outcome::{Outcome, Status},
    runbook::{Guide, OwnRunbook},
    topic::Topic,
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
    /// All, worst first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Warning, Self::Info];

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
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(())
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

/// The condition of incidents that people open: no check judges it, and people end it.
pub const BY_HAND: &str = "hand";

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
    /// network (`network|critical`), what people saw ([`BY_HAND`]). Empty where it is about the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Why it happened, as people found out: Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<String>,
    /// Nobody is told of it now; absent where members and channels are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute: Option<Mute>,
    /// The runbook that fits it: a name below `runbooks`. Absent in lists, and where it is none of the usual events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// A runbook of its rule's or its monitor's own, which stands in the place of that one. Absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_runbook: Option<OwnRunbook>,
    /// The outcome that confirmed it; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Outcome>,
    /// Since when it fails and works in turn: it ends once that has been steady for a while. Absent where it is steady.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping_since: Option<DateTime<Utc>>,
    /// How often it was over and began again soon after.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened: u32,
    /// Raised by every change.
    pub version: i64,
}

impl Incident {
    /// The runbook that it leads to, as long as its evidence is with it.
    pub fn guide(&self) -> Option<Guide> {
        Guide::of(self.own_runbook.clone(), Topic::of(self))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `PATCH incidents/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct IncidentPatch {
    /// Acknowledge or resolve by hand; nobody takes that back. Only what fails again soon after it recovered by itself opens its incident again.
    #[serde(default)]
    pub status: Option<IncidentStatus>,
    /// A comment for the timeline, 1 to 4,000 characters of Markdown.
    #[serde(default)]
    pub comment: Option<String>,
    /// Why it happened, up to 4,000 characters of Markdown, while it lasts and after; empty takes it back.
    #[serde(default)]
    pub root_cause: Option<String>,
    /// For how long nobody is told of it. Who heard of the beginning hears of the end all the same.
    #[serde(default)]
    pub mute: Option<MuteFor>,
}

/// An incident of which nobody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Mute {
    /// Who decided it.
    pub by: String,
    /// Until when; absent: until it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Mute {
    /// Whether it still holds.
    pub fn holds_at(&self, now: DateTime<Utc>) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// For how long nobody is to be told of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MuteFor {
    /// One hour.
    #[serde(rename = "1h")]
    Hour,
    /// Eight hours.
    #[serde(rename = "8h")]
    EightHours,
    /// A day.
    #[serde(rename = "24h")]
    Day,
    /// As long as it lasts.
    #[serde(rename = "until_resolved")]
    UntilResolved,
    /// People are told again.
    #[serde(rename = "off")]
    Off,
}

impl MuteFor {
    /// All that mute, shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::EightHours, Self::Day, Self::UntilResolved];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::EightHours => "8h",
            Self::Day => "24h",
            Self::UntilResolved => "until_resolved",
            Self::Off => "off",
        }
    }

    /// What people read.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Hour => "for 1 hour",
            Self::EightHours => "for 8 hours",
            Self::Day => "for 24 hours",
            Self::UntilResolved => "until it is resolved",
            Self::Off => "no longer",
        }
    }

    /// When it ends by itself.
    pub fn until(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let hours = match self {
            Self::Hour => 1,
            Self::EightHours => 8,
            Self::Day => 24,
            Self::UntilResolved | Self::Off => return None,
        };
        Some(now + chrono::TimeDelta::hours(hours))
    }
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
    /// It was over, and began again soon after.
    Reopened,
    /// It fails and works in turn.
    Flapping,
    /// Somebody took it.
    Acknowledged,
    /// Somebody wrote something: Markdown.
    Comment,
    /// Somebody said why it happened: Markdown.
    RootCause,
    /// Somebody decided that nobody is told.
    Muted,
    /// Somebody decided that people are told again.
    Unmuted,
    /// Nobody is told now: it waits for a digest or the end of quiet hours, or no route is for it.
    Held,
    /// Nobody acknowledged it for so long that others were told.
    Escalated,
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
            Self::Reopened => "reopened",
            Self::Flapping => "flapping",
            Self::Acknowledged => "acknowledged",
            Self::Comment => "comment",
            Self::RootCause => "root_cause",
            Self::Muted => "muted",
            Self::Unmuted => "unmuted",
            Self::Held => "held",
            Self::Escalated => "escalated",
            Self::Notified => "notified",
            Self::NotifyFailed => "notify_failed",
            Self::Resolved => "resolved",
        }
    }
}

impl std::str::FromStr for TimelineEvent {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [
            Self::Opened,
            Self::Changed,
            Self::Reopened,
            Self::Flapping,
            Self::Acknowledged,
            Self::Comment,
            Self::RootCause,
            Self::Muted,
            Self::Unmuted,
            Self::Held,
            Self::Escalated,
            Self::Notified,
            Self::NotifyFailed,
            Self::Resolved,
        ]
        .into_iter()
        .find(|e| e.as_str() == text)
        .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_is_muted_is_written_as_it_is_read() {
        for mute in MuteFor::ALL.into_iter().chain([MuteFor::Off]) {
            assert_eq!(serde_json::to_value(mute).unwrap(), mute.as_str());
        }
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let until = MuteFor::Hour.until(now);
        assert_eq!(until, Some(now + chrono::TimeDelta::hours(1)));
        let mute = |until| Mute { by: "ann@example.com".to_owned(), until };
        assert!(mute(until).holds_at(now) && !mute(until).holds_at(until.unwrap()) && mute(None).holds_at(until.unwrap()));
    }

    #[test]
    fn a_finding_and_the_incident_that_it_makes_are_called_the_same() {
        for severity in [Severity::Critical, Severity::High, Severity::Medium] {
            assert_eq!(IncidentSeverity::of_finding(severity).map(IncidentSeverity::word), Some(severity.word()));
        }
    }
}
