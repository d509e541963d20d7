//! Changes that people and programs mark: a firewall rule, a certificate, a deployment. They count among the probable causes of incidents.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::ChangeId;

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ChangeSort {
    /// What may pass a firewall, routes, addresses.
    Firewall,
    /// Certificates and TLS settings.
    Tls,
    /// What is sent: a campaign, a template, a list of recipients.
    Content,
    /// Software or its configuration.
    Deploy,
    /// Records.
    Dns,
    /// Something else.
    Other,
}

impl ChangeSort {
    /// All, as a form offers them.
    pub const ALL: [Self; 6] = [Self::Firewall, Self::Tls, Self::Content, Self::Deploy, Self::Dns, Self::Other];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firewall => "firewall",
            Self::Tls => "tls",
            Self::Content => "content",
            Self::Deploy => "deploy",
            Self::Dns => "dns",
            Self::Other => "other",
        }
    }

    /// What people read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Firewall => "Firewall or network",
            Self::Tls => "TLS or certificate",
            Self::Content => "Content of mail",
            Self::Deploy => "Deployment",
            Self::Dns => "DNS",
            Self::Other => "Other",
        }
    }
}

impl std::str::FromStr for ChangeSort {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == text).ok_or(())
    }
}

/// A marked change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MarkedChange {
    /// Its id.
    pub id: ChangeId,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// What was changed.
    pub kind: ChangeSort,
    /// In words.
    pub text: String,
    /// The domain, host, `host:port` or network that it is about; absent where it may concern everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Who marked it.
    pub by: String,
    /// A change that is marked stays as it is: always 1.
    pub version: i64,
}

/// `POST changes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewChange {
    /// When it was made: at most 400 days ago and a day ahead. Absent: now.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
    /// What was changed.
    pub kind: ChangeSort,
    /// 1 to 500 characters.
    pub text: String,
    /// The domain, host, `host:port`, address or network that it is about.
    #[serde(default)]
    pub target: Option<String>,
}
