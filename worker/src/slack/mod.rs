//! Slack as an app: its Web API over the engine's guarded HTTPS, what its answers mean in words, how a message looks, and how a message of the
//! outbox is told. The plain incoming webhook is `channels/slack.rs`.

mod api;
mod card;
mod install;
mod signature;
pub mod tell;
mod words;

pub use api::{API, SlackApi, SlackFailure};
pub use install::{Granted, SCOPES, exchange, open_token, seal_token};
pub use signature::{BadSignature, check};
