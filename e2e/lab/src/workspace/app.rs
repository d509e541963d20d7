//! The app as its maker describes it to Slack: the manifest, and what Slack wants of it.

use serde_json::Value;

use crate::error::LabError;

/// What of a manifest the workspace goes by (<https://docs.slack.dev/reference/app-manifest>).
#[derive(Debug, Clone)]
pub struct Manifest {
    /// How it calls itself.
    pub name: String,
    /// Where visitors may be sent back to.
    pub redirects: Vec<String>,
    /// What the bot may do.
    pub scopes: Vec<String>,
    /// Where presses of buttons go.
    pub interactions: String,
    /// Where events go.
    pub events: String,
    /// Which events.
    pub bot_events: Vec<String>,
}

impl Manifest {
    /// Reads what the maker of an app pasted.
    pub fn read(value: &Value) -> Result<Self, LabError> {
        let text = |pointer: &str| {
            let found = value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
            found.map(str::to_owned).ok_or_else(|| LabError::Invalid(format!("the manifest has no {pointer}")))
        };
        let list = |pointer: &str| -> Vec<String> {
            let found = value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            found.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        if value.pointer("/settings/interactivity/is_enabled") != Some(&Value::Bool(true)) {
            return Err(LabError::Invalid("the manifest does not enable interactivity: no button would be heard of".to_owned()));
        }
        if text("/features/bot_user/display_name")?.chars().count() > 80 || text("/display_information/name")?.chars().count() > 35 {
            return Err(LabError::Invalid("a name in the manifest is too long".to_owned()));
        }
        Ok(Self {
            name: text("/display_information/name")?,
            redirects: list("/oauth_config/redirect_urls"),
            scopes: list("/oauth_config/scopes/bot"),
            interactions: text("/settings/interactivity/request_url")?,
            events: text("/settings/event_subscriptions/request_url")?,
            bot_events: list("/settings/event_subscriptions/bot_events"),
        })
    }
}
