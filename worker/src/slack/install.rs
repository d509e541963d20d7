//! “Add to Slack” (<https://docs.slack.dev/authentication/installing-with-oauth>): the code that Slack sends a visitor back with becomes the bot's
//! token, which is kept sealed for its organisation.

use secrecy::{ExposeSecret as _, SecretString};
use waypost_types::OrgId;

use super::{SlackApi, SlackFailure};
use crate::{
    config::SlackApp,
    seal::{Seal, SealError},
};

/// What the app asks a workspace for: to write, also in public channels that it is not in, and to see which channels there are.
pub const SCOPES: &str = "chat:write,chat:write.public,channels:read,groups:read";

const PURPOSE: &str = "slack";

/// What a workspace granted.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The workspace.
    pub team_id: String,
    /// What its people call it.
    pub team_name: String,
    /// Whom messages come from.
    pub bot_user: String,
    /// The bot's token.
    pub token: SecretString,
}

/// Exchanges a code for the bot's token. Works once per code.
pub async fn exchange(api: &SlackApi, app: &SlackApp, code: &str, redirect_uri: &str) -> Result<Granted, SlackFailure> {
    let fields =
        [("client_id", app.client_id.as_str()), ("client_secret", app.client_secret.expose_secret()), ("code", code), ("redirect_uri", redirect_uri)];
    let answer = api.form("oauth.v2.access", None, &fields).await?;
    let text = |value: &serde_json::Value, most: usize| value.as_str().map(|text| text.chars().take(most).collect::<String>());
    let granted = || {
        Some(Granted {
            team_id: text(&answer["team"]["id"], 40)?,
            team_name: text(&answer["team"]["name"], 120)?,
            bot_user: text(&answer["bot_user_id"], 40)?,
            token: text(&answer["access_token"], 400).filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()))?.into(),
        })
    };
    granted().ok_or(SlackFailure::Illegible)
}

/// Seals a bot's token for its organisation.
pub fn seal_token(seal: &Seal, org: OrgId, token: &SecretString) -> Result<Vec<u8>, SealError> {
    seal.seal(org, PURPOSE, token)
}

/// What was sealed.
pub fn open_token(seal: &Seal, org: OrgId, sealed: &[u8]) -> Result<SecretString, SealError> {
    seal.open(org, PURPOSE, sealed)
}
