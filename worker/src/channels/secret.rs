//! What a channel keeps sealed: its address, which holds the token of most providers, and the key or token beside it.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use waypost_engine::net::check_url;
use waypost_store::channels::SealedChannel;
use waypost_types::{ChannelId, OrgId, channel::ChannelKind};

use super::{ntfy, pagerduty, webhook};
use crate::seal::{Seal, SealError};

const MAX_URL: usize = 1_000;
const MAX_TOKEN: usize = 200;
/// Shorter parts of an address are no secret, and would be found in any text.
const SECRET_PART: usize = 8;

/// What is wrong with an address or a token, by its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// `url` or `token`.
    pub field: &'static str,
    /// What to do about it.
    pub message: String,
}

impl Fault {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Address and key of a channel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelSecret {
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old: Option<OldKey>,
}

/// The key that a webhook's receiver knew before, and until when it is signed by, too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OldKey {
    key: String,
    until: DateTime<Utc>,
}

impl std::fmt::Debug for ChannelSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelSecret").finish_non_exhaustive()
    }
}

impl ChannelSecret {
    /// Of what somebody gave; a webhook gets a key of its own.
    pub fn new(kind: ChannelKind, url: Option<&str>, token: Option<&str>) -> Result<Self, Fault> {
        if kind == ChannelKind::SlackApp {
            return Err(Fault::new("url", "Slack's app has no address: choose one of its channels."));
        }
        let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let token = given(token);
        let url = match (given(url), kind) {
            (Some(url), _) => url,
            (None, ChannelKind::Pagerduty) => pagerduty::ADDRESS.to_owned(),
            (None, _) => return Err(Fault::new("url", "Give the https: address that messages are to be sent to.")),
        };
        if url.len() > MAX_URL {
            return Err(Fault::new("url", format!("An address has at most {MAX_URL} characters.")));
        }
        // What is kept is what will be asked for, and not what a parser makes of it.
        let url = check_url(&url).map_err(|error| Fault::new("url", format!("The address can not be used: {error}.")))?;
        if kind == ChannelKind::Ntfy && ntfy::split(&url).is_none() {
            return Err(Fault::new("url", "Give the topic's address, such as https://ntfy.sh/your-topic."));
        }
        if token.as_ref().is_some_and(|token| token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Fault::new("token", format!("A token has at most {MAX_TOKEN} letters, digits and signs, and no spaces.")));
        }
        let token = match (kind, token) {
            (ChannelKind::Pagerduty, None) => return Err(Fault::new("token", "Give the integration key of PagerDuty's Events API v2.")),
            (ChannelKind::Pagerduty | ChannelKind::Ntfy, token) => token,
            (ChannelKind::Webhook, None) => Some(webhook::new_key()),
            (_, None) => None,
            (ChannelKind::Webhook, Some(_)) => return Err(Fault::new("token", "A webhook's key is made here and shown once: give none.")),
            (_, Some(_)) => return Err(Fault::new("token", "The address says it all here: give no token.")),
        };
        Ok(Self { url, token, old: None })
    }

    /// With what somebody changed. A token goes to no other address than the one it was given for; the key of a webhook, which is sent
    /// nowhere, stays.
    pub fn changed(&self, kind: ChannelKind, url: Option<&str>, token: Option<&str>) -> Result<Self, Fault> {
        let mut secret = Self::new(kind, url.or(Some(&self.url)), token.or_else(|| self.token_for(kind, url)))?;
        if kind == ChannelKind::Webhook {
            secret.token.clone_from(&self.token);
            secret.old.clone_from(&self.old);
        }
        Ok(secret)
    }

    /// With a new key of signatures. The one of now is signed by until then, too, so that the receiver can change over without losing a
    /// message; one from before it is dropped.
    pub fn renewed(&self, kind: ChannelKind, until: DateTime<Utc>) -> Result<Self, Fault> {
        if kind != ChannelKind::Webhook {
            return Err(Fault::new("kind", "Only webhooks are signed by a key: give the others a new address or token."));
        }
        let old = self.token.clone().map(|key| OldKey { key, until });
        Ok(Self { url: self.url.clone(), token: Some(webhook::new_key()), old })
    }

    /// The keys that a webhook's messages are signed by at that time, the newest first.
    pub(super) fn keys(&self, at: DateTime<Utc>) -> impl Iterator<Item = &str> {
        let old = self.old.as_ref().filter(|old| old.until > at).map(|old| old.key.as_str());
        self.token.as_deref().into_iter().chain(old)
    }

    fn token_for(&self, kind: ChannelKind, url: Option<&str>) -> Option<&str> {
        self.token.as_deref().filter(|_| kind != ChannelKind::Webhook && url.is_none())
    }

    /// Where messages go.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key of a webhook's signatures, or the token that is sent along.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Sealed for its channel, and what may be seen of it.
    pub fn seal(&self, seal: &Seal, org: OrgId, channel: ChannelId, kind: ChannelKind) -> Result<SealedChannel, SealError> {
        let text = serde_json::to_string(self).map_err(|_| SealError::Sealing)?;
        Ok(SealedChannel { sealed: seal.seal(org, &purpose(channel), &SecretString::from(text))?, shown: self.shown(kind) })
    }

    /// What was sealed.
    pub fn open(seal: &Seal, org: OrgId, channel: ChannelId, sealed: &[u8]) -> Result<Self, SealError> {
        let text = seal.open(org, &purpose(channel), sealed)?;
        serde_json::from_str(text.expose_secret()).map_err(|_| SealError::Opening)
    }

    /// The host and the last four characters of what is secret.
    fn shown(&self, kind: ChannelKind) -> String {
        let (host, path) = self.parts();
        let secret = if kind == ChannelKind::Pagerduty { self.token.as_deref().unwrap_or_default() } else { path };
        // Of a short one even the end would tell much.
        let count = secret.chars().count();
        let end: String = if count > 12 { secret.chars().skip(count - 4).collect() } else { String::new() };
        format!("https://{host}/…{end}")
    }

    fn parts(&self) -> (&str, &str) {
        let rest = self.url.trim_start_matches("https://");
        rest.split_once('/').unwrap_or((rest, ""))
    }

    /// A text without what is secret: what the other side answers is shown to people who may not know it.
    pub fn redact(&self, text: &str) -> String {
        let path = self.parts().1;
        let segments = path.split(['/', '?', '&', '=']);
        let whole = [Some(self.url.as_str()), self.token.as_deref(), Some(path)].into_iter().flatten();
        let mut secrets: Vec<&str> = whole.chain(segments).filter(|part| part.len() >= SECRET_PART).collect();
        // The longest first: one that holds another would leave the rest of itself.
        secrets.sort_by_key(|part| std::cmp::Reverse(part.len()));
        secrets.into_iter().fold(text.to_owned(), |text, part| text.replace(part, "…"))
    }
}

fn purpose(channel: ChannelId) -> String {
    format!("channel:{channel}")
}
