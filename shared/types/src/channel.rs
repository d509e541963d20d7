//! Channels: where an organisation is told of incidents beside mail, what they are told, and what became of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ChannelId, DeliveryId, IncidentId},
    incident::IncidentSeverity,
};

/// An enum of words: the written form and back.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal,)* }) => {
        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The written form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|each| each.as_str() == text).ok_or(())
            }
        }
    };
}

/// How a channel is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// A program of theirs, signed as Standard Webhooks says.
    Webhook,
    /// Slack's incoming webhook.
    Slack,
    /// A channel of the workspace that the organisation added our app to.
    #[serde(rename = "slack_app")]
    SlackApp,
    /// A webhook of a Microsoft Teams workflow.
    Teams,
    /// A webhook of a Discord channel.
    Discord,
    /// `PagerDuty`'s Events API v2.
    Pagerduty,
    /// A topic of an ntfy server.
    Ntfy,
}

words!(ChannelKind {
    Webhook = "webhook",
    Slack = "slack",
    SlackApp = "slack_app",
    Teams = "teams",
    Discord = "discord",
    Pagerduty = "pagerduty",
    Ntfy = "ntfy",
});

impl ChannelKind {
    /// It keeps a state of each incident by its id, from opened to resolved: it is told of each by itself. Others are read by people.
    pub const fn keeps_state(self) -> bool {
        matches!(self, Self::Webhook | Self::Pagerduty)
    }

    /// One message of it is about one incident and is brought up to date: that it is over is no message more.
    pub const fn is_brought_up_to_date(self) -> bool {
        matches!(self, Self::SlackApp)
    }
}

/// A channel. Its address and keys are never shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// What people call it.
    pub name: String,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// What may be seen of its address: the host and the last four characters; of Slack's app the channel's name.
    pub shown: String,
    /// It hears of incidents that are at least that urgent, and how those go on.
    pub min_severity: IncidentSeverity,
    /// Whether it is told anything.
    pub enabled: bool,
    /// Why nothing reaches it, where that is known: `not_installed`, or Slack's word, such as `token_revoked`. Slack's app only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Until when messages are signed by the key before, too. Webhooks whose key was renewed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_key_until: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Raised by every change.
    pub version: i64,
}

/// `POST channels` and `POST channels/{id}/key` answer the channel, and for a webhook the key of its signatures: this once and never again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MadeChannel {
    /// The channel.
    #[serde(flatten)]
    pub channel: Channel,
    /// `whsec_…`: what the receiver checks signatures with. Webhooks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<String>,
}

impl std::fmt::Debug for MadeChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeChannel").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// `POST channels`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// 1 to 80 characters. Empty for `slack_app`: the channel's own.
    pub name: String,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// The `https:` address that the other side gave, or the topic's for ntfy. `PagerDuty` may go without: it has one for everybody.
    #[serde(default)]
    pub url: Option<String>,
    /// `PagerDuty`'s integration key, or an access token of the ntfy server; the others take none.
    #[serde(default)]
    pub token: Option<String>,
    /// The id of the channel in the workspace: for `slack_app`, which takes nothing else.
    #[serde(default)]
    pub slack_channel: Option<String>,
    /// It hears of incidents that are at least that urgent; `warning` when absent.
    #[serde(default = "warning")]
    pub min_severity: IncidentSeverity,
    /// False to begin in silence.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn warning() -> IncidentSeverity {
    IncidentSeverity::Warning
}

const fn yes() -> bool {
    true
}

impl std::fmt::Debug for NewChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewChannel").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// `PATCH channels/{id}`. What is absent stays.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelPatch {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// Another address. A token of the old one is not sent there: give it again. The key of signatures stays.
    #[serde(default)]
    pub url: Option<String>,
    /// Another token.
    #[serde(default)]
    pub token: Option<String>,
    /// Another channel of the workspace.
    #[serde(default)]
    pub slack_channel: Option<String>,
    /// Another least severity.
    #[serde(default)]
    pub min_severity: Option<IncidentSeverity>,
    /// On or off. What waits for a channel that is off is not sent.
    #[serde(default)]
    pub enabled: Option<bool>,
}

impl std::fmt::Debug for ChannelPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelPatch").field("name", &self.name).field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

/// `POST channels/{id}/key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RenewKey {
    /// Hours for which messages are signed by the key of now, too: 0 to 168; 24 when absent.
    #[serde(default = "a_day")]
    pub old_key_hours: u32,
}

const fn a_day() -> u32 {
    24
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// An incident opened.
    Opened,
    /// It got better or worse.
    Changed,
    /// It fails and works in turn: what follows is told when that has been steady for a while.
    Flapping,
    /// It is over.
    Resolved,
    /// Nobody can tell any more whether it is over: it was closed.
    LetGo,
    /// Somebody acknowledged or muted it. What shows how it stands is brought up to date, and nobody is notified.
    Handled,
    /// Nobody acknowledged it for so long that others are told.
    Escalated,
    /// Nobody acknowledged it yet, and whoever was told is reminded.
    Reminded,
    /// What waited until now: several incidents, open and over.
    Digest,
    /// Somebody tries the channel.
    Test,
}

words!(EventKind {
    Opened = "opened",
    Changed = "changed",
    Flapping = "flapping",
    Resolved = "resolved",
    LetGo = "let_go",
    Handled = "handled",
    Escalated = "escalated",
    Reminded = "reminded",
    Digest = "digest",
    Test = "test",
});

/// An event as every channel tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which incident; none for a test.
    pub incident: Option<IncidentId>,
    /// Name of the organisation.
    pub org: String,
    /// One line.
    pub title: String,
    /// What was seen, and what to do next.
    pub summary: String,
    /// What is affected.
    pub target: String,
    /// How urgent it is now.
    pub severity: IncidentSeverity,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When this happened.
    pub at: DateTime<Utc>,
    /// The incident's page: a path of this installation while the message waits, the address when it is sent.
    pub url: String,
    /// The page of the runbook that fits it, in the same way. Told while it lasts.
    #[serde(default)]
    pub runbook: Option<String>,
    /// How it stands now, in one line, where it is over: `title` says what was wrong.
    #[serde(default)]
    pub now: Option<String>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DeliveryResult {
    /// The other side took it.
    Sent,
    /// Not now; it is tried again.
    Deferred,
    /// It is not tried again.
    Failed,
}

words!(DeliveryResult { Sent = "sent", Deferred = "deferred", Failed = "failed", });

/// An attempt to tell a channel something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// When.
    pub at: DateTime<Utc>,
    /// What there was to tell.
    pub event: EventKind,
    /// Of which incident; none for a test.
    pub incident_id: Option<IncidentId>,
    /// Which attempt, from 1.
    pub attempt: i32,
    /// What came of it.
    pub result: DeliveryResult,
    /// The HTTP status; none where no answer came.
    pub status: Option<u16>,
    /// What the other side said, or why it said nothing; 300 characters at most.
    pub answer: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_are_those_of_the_wire() {
        for kind in ChannelKind::ALL {
            assert_eq!((kind.as_str().parse(), serde_json::to_value(kind).unwrap()), (Ok(*kind), kind.as_str().into()));
        }
        for kind in EventKind::ALL {
            assert_eq!((kind.as_str().parse(), serde_json::to_value(kind).unwrap()), (Ok(*kind), kind.as_str().into()));
        }
        for result in DeliveryResult::ALL {
            assert_eq!((result.as_str().parse(), serde_json::to_value(result).unwrap()), (Ok(*result), result.as_str().into()));
        }
    }

    #[test]
    fn secrets_are_in_no_log() {
        let new: NewChannel = serde_json::from_str(r#"{"name":"n","kind":"ntfy","url":"https://ntfy.sh/hidden","token":"hidden"}"#).unwrap();
        assert_eq!((new.min_severity, new.enabled), (IncidentSeverity::Warning, true));
        let patch = ChannelPatch { url: new.url.clone(), token: new.token.clone(), ..ChannelPatch::default() };
        assert!(!format!("{new:?} {patch:?}").contains("hidden"));
    }
}
