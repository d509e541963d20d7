//! Slack as an app: the workspace that an organisation added Waypost to, and the channels to choose from there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The id of a channel of a workspace: `C0123456789`, in old workspaces `G…` where it is private.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SlackChannelId(String);

/// Why a text is no id of a Slack channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a channel's id begins with C or G and has 9 to 21 capital letters and digits: Slack shows it at the end of the channel's details")]
pub struct NoSlackChannel;

impl SlackChannelId {
    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for SlackChannelId {
    type Err = NoSlackChannel;
    fn from_str(text: &str) -> Result<Self, NoSlackChannel> {
        let fine = (9..=21).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if fine && text.starts_with(['C', 'G']) { Ok(Self(text.to_owned())) } else { Err(NoSlackChannel) }
    }
}

impl TryFrom<String> for SlackChannelId {
    type Error = NoSlackChannel;
    fn try_from(text: String) -> Result<Self, NoSlackChannel> {
        text.parse()
    }
}

impl From<SlackChannelId> for String {
    fn from(id: SlackChannelId) -> Self {
        id.0
    }
}

/// `GET slack`: what there is of Slack's app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SlackState {
    /// Whether whoever runs this installation has made an app of Slack for it. Without one there is the incoming webhook.
    pub available: bool,
    /// The workspace that the organisation added the app to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<SlackInstall>,
}

/// A workspace that the app was added to. Its token is never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SlackInstall {
    /// The workspace: `T0123456789`.
    pub team_id: String,
    /// What its people call it.
    pub team_name: String,
    /// Who added the app.
    pub installed_by: String,
    /// When.
    pub installed_at: DateTime<Utc>,
    /// Since when the workspace lets the app in no more; absent while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<DateTime<Utc>>,
    /// Why, in Slack's word: `token_revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_why: Option<String>,
}

/// `POST slack/authorize` answers where the visitor goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SlackAuthorize {
    /// Slack's page that asks whether the app may be added. Good for ten minutes and this session.
    pub url: String,
}

/// `POST slack/install`: what Slack sent the visitor back with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSlackInstall {
    /// To be exchanged for a token, once.
    pub code: String,
    /// What the visitor left with.
    pub state: String,
}

impl std::fmt::Debug for NewSlackInstall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSlackInstall").finish_non_exhaustive()
    }
}

/// A channel of the workspace that messages can go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SlackChannel {
    /// Its id.
    pub id: String,
    /// Its name, without `#`.
    pub name: String,
    /// Only who was invited sees it.
    pub private: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_channels_are_taken() {
        for (text, fine) in [
            ("C0123456789", true),
            ("G0123456789", true),
            ("CGENERAL9", true),
            ("U0123456789", false),
            ("D0123456789", false),
            ("C012345", false),
            ("c0123456789", false),
            ("#general", false),
            ("C0123456789&x=y", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<SlackChannelId>().is_ok(), fine, "{text}");
        }
    }
}
