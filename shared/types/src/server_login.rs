//! The login that an organisation has stored for a mail server: what is shown of it, and how it is set. The secret is given and never shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{id::ServerId, outcome::LoginReport};

/// The SASL mechanisms that can be chosen, best first.
pub const MECHANISMS: [&str; 9] =
    ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5", "OAUTHBEARER", "XOAUTH2"];

/// Refusals after which no further attempt is made: accounts get locked.
pub const REFUSALS_TO_PAUSE: i32 = 2;

/// Seconds between attempts at a port while the login is accepted.
pub const SECONDS_BETWEEN: i32 = 300;

/// What proves who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SecretKind {
    /// A password.
    Password,
    /// An `OAuth` 2.0 access token.
    Token,
}

impl SecretKind {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
        }
    }

    /// Whether a mechanism takes it.
    pub fn fits(self, mechanism: &str) -> bool {
        matches!(mechanism, "OAUTHBEARER" | "XOAUTH2") == (self == Self::Token)
    }
}

impl std::str::FromStr for SecretKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Password, Self::Token].into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// A stored login, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerLogin {
    /// The server it is for.
    pub server_id: ServerId,
    /// Who logs in.
    pub user: String,
    /// What is stored beside the name.
    pub secret_kind: SecretKind,
    /// The mechanism to use; the best of those offered when absent.
    pub mechanism: Option<String>,
    /// Ports where it is tried.
    pub ports: Vec<u16>,
    /// Whether it is tried at all.
    pub enabled: bool,
    /// Refusals in a row.
    pub refused: i32,
    /// Since when no attempt is made, after two refusals.
    pub paused_at: Option<DateTime<Utc>>,
    /// What the last attempts brought, by port.
    pub last: Vec<PortLogin>,
    /// Counts changes.
    pub version: i64,
    /// When name, secret or settings were given.
    pub changed_at: DateTime<Utc>,
    /// When it was last accepted since its secret was stored. Until then a refusal is shown and told to nobody: nothing broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<DateTime<Utc>>,
}

/// What the last attempt at a port brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortLogin {
    /// The port.
    pub port: u16,
    /// When.
    pub at: DateTime<Utc>,
    /// What came of it.
    pub result: LoginReport,
    /// Milliseconds that the server took to decide.
    pub auth_ms: Option<f64>,
}

/// Sets the login of a server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetServerLogin {
    /// Who logs in.
    pub user: String,
    /// The password. Without it and a token the stored secret stays, if the name does.
    #[serde(default)]
    pub password: Option<String>,
    /// An `OAuth` 2.0 access token, in the place of a password.
    #[serde(default)]
    pub token: Option<String>,
    /// The mechanism to use; the best of those offered when absent.
    #[serde(default)]
    pub mechanism: Option<String>,
    /// Ports where it is tried; the server's submission ports when absent. Port 25 is taken when it is named.
    #[serde(default)]
    pub ports: Option<Vec<u16>>,
    /// Whether it is tried.
    #[serde(default = "yes")]
    pub enabled: bool,
}

impl std::fmt::Debug for SetServerLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetServerLogin").finish_non_exhaustive()
    }
}

const fn yes() -> bool {
    true
}
