//! Slack's Web API (<https://docs.slack.dev/apis/web-api/>): one call, and what came of it. Slack says `ok: false` with status 200 where it refuses.

use std::time::Duration;

use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use waypost_engine::net::{HttpFailure, HttpPost, Net};
use waypost_types::slack::{SlackChannel, SlackChannelId};

use super::words;

/// Where Slack's API is.
pub const API: &str = "https://slack.com/api";
/// Bytes of an answer: two hundred channels with all that Slack says of them.
const MOST_ANSWER: usize = 1024 * 1024;
/// Channels of one page of Slack's list.
const PAGE: usize = 200;
/// Pages that are asked for to fill one of ours: a name that few channels have may be on any.
const MOST_PAGES: usize = 5;
/// However slowly Slack answers: somebody waits for the page.
const LONGEST_SEARCH: Duration = Duration::from_secs(15);

/// Why Slack did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlackFailure {
    /// There was no answer.
    #[error("{0}")]
    Http(#[from] HttpFailure),
    /// An answer of HTTP alone.
    #[error("Slack answered {status}")]
    Status {
        /// The status.
        status: u16,
        /// When to come back.
        retry_after: Option<String>,
    },
    /// `ok: false`.
    #[error("{}", words::explained(.error))]
    Refused {
        /// Slack's word.
        error: String,
        /// When to come back.
        retry_after: Option<String>,
    },
    /// It is no answer of Slack's.
    #[error("what answered is not Slack: its answer can not be read")]
    Illegible,
}

impl SlackFailure {
    /// Slack's word, where it said one.
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The token is worth nothing any more; why.
    pub fn token_is_gone(&self) -> Option<&str> {
        self.word().filter(|word| words::is_about_the_token(word))
    }

    /// When Slack wants to be asked again, as it came.
    pub fn retry_after(&self) -> Option<&str> {
        match self {
            Self::Status { retry_after, .. } | Self::Refused { retry_after, .. } => retry_after.as_deref(),
            Self::Http(_) | Self::Illegible => None,
        }
    }
}

/// A page of channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPage {
    /// Those whose name fits, by name.
    pub channels: Vec<SlackChannel>,
    /// Where to go on; there may be more.
    pub next: Option<String>,
}

/// The API of a workspace.
#[derive(Debug, Clone)]
pub struct SlackApi {
    net: Net,
    url: String,
}

impl SlackApi {
    /// At that address.
    pub fn new(net: Net, url: &str) -> Self {
        Self { net, url: url.trim_end_matches('/').to_owned() }
    }

    /// Calls a method that takes JSON.
    pub async fn call(&self, method: &str, token: &SecretString, body: &Value) -> Result<Value, SlackFailure> {
        let headers =
            vec![("Content-Type", "application/json; charset=utf-8".to_owned()), ("Authorization", format!("Bearer {}", token.expose_secret()))];
        self.post(method, headers, body.to_string()).await
    }

    /// Calls a method that takes a form.
    pub async fn form(&self, method: &str, token: Option<&SecretString>, fields: &[(&str, &str)]) -> Result<Value, SlackFailure> {
        let mut headers = vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())];
        headers.extend(token.map(|token| ("Authorization", format!("Bearer {}", token.expose_secret()))));
        let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.post(method, headers, pairs.join("&")).await
    }

    async fn post(&self, method: &str, headers: Vec<(&'static str, String)>, body: String) -> Result<Value, SlackFailure> {
        let receipt = self.net.https_call(&HttpPost { url: format!("{}/{method}", self.url), headers, body }, MOST_ANSWER).await?;
        let answer = serde_json::from_str::<Value>(&receipt.body).ok();
        // Slack refuses with 200, and with 429 where it was asked too often; what a gateway says with another status is no word of Slack's.
        let word = answer.as_ref().filter(|_| matches!(receipt.status, 200 | 429)).and_then(|answer| answer["error"].as_str()).map(str::to_owned);
        match (answer, word) {
            (Some(answer), _) if answer["ok"] == true && receipt.status == 200 => Ok(answer),
            (_, Some(error)) => Err(SlackFailure::Refused { error, retry_after: receipt.retry_after }),
            _ if receipt.status != 200 => Err(SlackFailure::Status { status: receipt.status, retry_after: receipt.retry_after }),
            _ => Err(SlackFailure::Illegible),
        }
    }

    /// Channels that are not archived, and whose name holds this: public ones, and private ones that the bot is in.
    pub async fn channels(&self, token: &SecretString, name: &str, cursor: Option<&str>) -> Result<ChannelPage, SlackFailure> {
        let name = name.trim().trim_start_matches('#').to_lowercase();
        let first = cursor.map(str::to_owned);
        let mut next = first.clone();
        let mut channels: Vec<SlackChannel> = Vec::new();
        let until = Instant::now() + LONGEST_SEARCH;
        for _ in 0..MOST_PAGES {
            let limit = PAGE.to_string();
            let mut fields = vec![("types", "public_channel,private_channel"), ("exclude_archived", "true"), ("limit", limit.as_str())];
            fields.extend(next.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = match timeout_at(until, self.form("conversations.list", Some(token), &fields)).await {
                Ok(Ok(answer)) => answer,
                // What was found so far is shown; it goes on from there.
                Ok(Err(_)) | Err(_) if next != first => break,
                Ok(Err(failure)) => return Err(failure),
                Err(_) => return Err(SlackFailure::Http(HttpFailure::TimedOut(LONGEST_SEARCH))),
            };
            let found = answer["channels"].as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(channel);
            channels.extend(found.filter(|channel| channel.name.contains(&name)));
            next = answer["response_metadata"]["next_cursor"].as_str().filter(|cursor| !cursor.is_empty()).map(str::to_owned);
            if next.is_none() || channels.len() >= PAGE {
                break;
            }
        }
        channels.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(ChannelPage { channels, next })
    }

    /// A channel by its id.
    pub async fn channel(&self, token: &SecretString, id: &SlackChannelId) -> Result<SlackChannel, SlackFailure> {
        let answer = self.form("conversations.info", Some(token), &[("channel", id.as_str())]).await?;
        let found = &answer["channel"];
        if found["is_archived"] == true {
            return Err(SlackFailure::Refused { error: "is_archived".to_owned(), retry_after: None });
        }
        channel(found).ok_or(SlackFailure::Illegible)
    }
}

fn channel(found: &Value) -> Option<SlackChannel> {
    let id: SlackChannelId = found["id"].as_str()?.parse().ok()?;
    Some(SlackChannel { id: id.into(), name: found["name"].as_str()?.chars().take(80).collect(), private: found["is_private"] == true })
}

/// How many seconds Slack wants to be left alone: between one and an hour.
pub(super) fn wait(failure: &SlackFailure) -> Option<TimeDelta> {
    failure.retry_after().and_then(|text| text.trim().parse::<i64>().ok()).map(|seconds| TimeDelta::seconds(seconds.clamp(1, 3_600)))
}

pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(|half| char::from(b"0123456789ABCDEF"[usize::from(half)])));
        }
    }
    out
}
