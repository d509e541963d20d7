//! What every handler can reach, and the settings it is made from.

use std::sync::Arc;

use ipnet::IpNet;
use secrecy::SecretString;
use waypost_engine::net::{Egress, Net};
use waypost_store::Store;
use waypost_worker::{SignupPolicy, SlackApp, seal::Seal};

use crate::{
    http::{problem::ApiError, rate::RateLimit},
    live::Live,
    lookup::Lookups,
    overview::Overviews,
    passwords::{Cost, Passwords},
};

/// What the operator decided.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme and authority that visitors use, without the final slash.
    pub base_url: String,
    /// Development mode: the mailbox of captured mail is shown.
    pub development: bool,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Which addresses may be watched.
    pub egress: Egress,
    /// Domain of Message-IDs.
    pub mail_domain: String,
    /// Who may sign up.
    pub signup: SignupPolicy,
    /// Work per password.
    pub password_cost: Cost,
    /// What lets Prometheus in from another machine.
    pub metrics_token: Option<SecretString>,
    /// Seals secrets that must be used again.
    pub seal: Option<Seal>,
    /// The app at Slack.
    pub slack: Option<SlackApp>,
    /// Where Slack's API is, without the final slash.
    pub slack_api_url: String,
}

impl Settings {
    /// The host of Slack's API.
    pub fn slack_host(&self) -> &str {
        let rest = self.slack_api_url.trim_start_matches("https://");
        rest.split('/').next().unwrap_or(rest)
    }

    /// True when visitors come over https.
    pub fn secure(&self) -> bool {
        self.base_url.starts_with("https://")
    }
}

/// Limits by visitor.
#[derive(Debug)]
pub struct Limits {
    /// Sign-ups.
    pub signup: RateLimit,
    /// Account mails asked for: forgotten passwords, verification again.
    pub account_mail: RateLimit,
    /// Invitations mailed, by who invites.
    pub invitation: RateLimit,
    /// The same by who is invited.
    pub invited: RateLimit,
    /// Tries of links from mails.
    pub links: RateLimit,
    /// Public lookups.
    pub lookup: RateLimit,
    /// “Check now”, by organisation.
    pub check: RateLimit,
    /// Questions to Slack, by organisation: it takes twenty a minute of the list of channels.
    pub slack: RateLimit,
    /// Requests that say they are Slack's.
    pub slack_requests: RateLimit,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            signup: RateLimit::new(60, 1.0),
            account_mail: RateLimit::new(20, 0.5),
            invitation: RateLimit::new(50, 1.0),
            invited: RateLimit::new(5, 0.01),
            links: RateLimit::new(30, 5.0),
            lookup: RateLimit::new(10, 20.0),
            check: RateLimit::new(60, 60.0),
            slack: RateLimit::new(20, 12.0),
            slack_requests: RateLimit::new(300, 600.0),
        }
    }
}

/// What every handler can reach. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The database.
    pub store: Store,
    /// What the operator decided.
    pub settings: Arc<Settings>,
    /// Hashing of passwords.
    pub passwords: Passwords,
    /// Live events.
    pub live: Live,
    /// Limits by visitor.
    pub limits: Arc<Limits>,
    /// The network, behind the egress guard.
    pub net: Net,
    /// Public lookups.
    pub lookups: Lookups,
    /// Overviews, kept for as long as they are true.
    pub overviews: Overviews,
}

impl AppState {
    /// Puts it together; opens nothing.
    pub fn new(store: Store, settings: Settings, net: Net) -> Self {
        Self {
            store,
            passwords: Passwords::new(settings.password_cost),
            settings: Arc::new(settings),
            live: Live::default(),
            limits: Arc::default(),
            lookups: Lookups::new(net.clone()),
            net,
            overviews: Overviews::default(),
        }
    }

    /// What seals secrets; without it the field that holds one can not be taken.
    pub fn seal(&self, field: &str) -> Result<&Seal, ApiError> {
        let seal = self.settings.seal.as_ref();
        seal.ok_or_else(|| ApiError::field(field, "This installation can not keep keys yet: whoever runs it has to set WAYPOST_SECRET_KEY."))
    }
}
