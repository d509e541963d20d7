//! Channels: what a webhook, a chat or a pager is sent of an event, one file per provider, each a pure function from the event to the
//! request. Sending one is `attempt`, sending what waits is `sender`, what is kept sealed is `secret`.

mod attempt;
mod discord;
mod ntfy;
mod pagerduty;
mod secret;
pub mod sender;
pub(crate) mod slack;
mod teams;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod webhook;

use chrono::{DateTime, Utc};
use waypost_engine::net::HttpPost;
use waypost_types::channel::{ChannelEvent, ChannelKind};

pub use attempt::{Tried, attempt};
pub use secret::{ChannelSecret, Fault};

/// What is to be sent, and the circumstances that some providers tell.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What happened.
    pub event: &'a ChannelEvent,
    /// The same on every attempt.
    pub id: &'a str,
    /// When this attempt is made.
    pub sent_at: DateTime<Utc>,
}

/// The request that tells it. Fails where the secret is not one of this kind, which is a bug or another program's work.
pub fn request(kind: ChannelKind, secret: &ChannelSecret, message: &Message<'_>) -> Result<HttpPost, Fault> {
    match kind {
        ChannelKind::Webhook => webhook::request(secret, message),
        ChannelKind::Slack => Ok(slack::request(secret, message)),
        ChannelKind::SlackApp => Err(Fault::new("kind", "Slack's app is told by its own API.")),
        ChannelKind::Teams => Ok(teams::request(secret, message)),
        ChannelKind::Discord => Ok(discord::request(secret, message)),
        ChannelKind::Pagerduty => pagerduty::request(secret, message),
        ChannelKind::Ntfy => ntfy::request(secret, message),
    }
}
