//! Slack's app in the configuration.

use secrecy::SecretString;

use super::{ConfigError, invalid, variables::Variables};

/// The app that whoever runs this installation has made at Slack.
#[derive(Debug, Clone)]
pub struct SlackApp {
    /// Its id, which visitors see.
    pub client_id: String,
    /// Exchanges codes for tokens.
    pub client_secret: SecretString,
    /// Proves that a request is Slack's.
    pub signing_secret: SecretString,
}

/// All three settings of Slack's app, or none of them.
pub(super) fn app(vars: &Variables<'_>) -> Result<Option<SlackApp>, ConfigError> {
    const WANTED: &str = "Slack's app takes WAYPOST_SLACK_CLIENT_ID, WAYPOST_SLACK_CLIENT_SECRET and WAYPOST_SLACK_SIGNING_SECRET: set all or none.";
    let names = ["WAYPOST_SLACK_CLIENT_ID", "WAYPOST_SLACK_CLIENT_SECRET", "WAYPOST_SLACK_SIGNING_SECRET"];
    let [id, secret, signing] = [vars.text(names[0])?, vars.text(names[1])?, vars.text(names[2])?];
    if id.is_none() && secret.is_none() && signing.is_none() {
        return Ok(None);
    }
    let set = |value: Option<String>, variable| value.ok_or(ConfigError::Missing { variable, wanted: WANTED });
    Ok(Some(SlackApp { client_id: set(id, names[0])?, client_secret: set(secret, names[1])?.into(), signing_secret: set(signing, names[2])?.into() }))
}

/// Where Slack's Web API is.
pub(super) fn api_url(given: Option<String>) -> Result<String, ConfigError> {
    let Some(url) = given else { return Ok(crate::slack::API.to_owned()) };
    match waypost_engine::net::check_url(&url) {
        Ok(url) => Ok(url.trim_end_matches('/').to_owned()),
        Err(error) => Err(invalid("WAYPOST_SLACK_API_URL", error.to_string(), "Give an https: address, for example https://slack.com/api.")),
    }
}
