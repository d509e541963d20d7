//! Runbooks: what to do about a usual event. The product brings one for each; an organisation may write its own in its place.

mod own;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::topic::Topic;

pub use own::{Guide, MOST_TEXT, OwnRunbook, RunbookFault};

/// A text that an organisation wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnText {
    /// Markdown.
    pub text: String,
    /// Who wrote it.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Raised by every change.
    pub version: i64,
}

/// What to do about a usual event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Runbook {
    /// What it is about: `spf-missing`.
    pub topic: String,
    /// In words.
    pub title: String,
    /// Markdown.
    pub text: String,
    /// Who wrote it; absent where it is the product's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<DateTime<Utc>>,
    /// 0 where it is the product's.
    pub version: i64,
}

impl Runbook {
    /// The organisation's text, or the product's.
    pub fn new(topic: Topic, own: Option<OwnText>) -> Self {
        let (topic_name, title) = (topic.as_str().to_owned(), topic.title().to_owned());
        match own {
            Some(OwnText { text, by, at, version }) => Self { topic: topic_name, title, text, edited_by: Some(by), edited_at: Some(at), version },
            None => Self { topic: topic_name, title, text: product_text(topic).to_owned(), edited_by: None, edited_at: None, version: 0 },
        }
    }
}

/// `PUT runbooks/{topic}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunbookText {
    /// 1 to 20,000 characters of Markdown.
    pub text: String,
}

/// The text that the product brings.
pub const fn product_text(topic: Topic) -> &'static str {
    match topic {
        Topic::ListedAddress => include_str!("runbook/listed-address.md"),
        Topic::ListedDomain => include_str!("runbook/listed-domain.md"),
        Topic::CertificateExpired => include_str!("runbook/certificate-expired.md"),
        Topic::CertificateExpiring => include_str!("runbook/certificate-expiring.md"),
        Topic::CertificateWrong => include_str!("runbook/certificate-wrong.md"),
        Topic::StarttlsMissing => include_str!("runbook/starttls-missing.md"),
        Topic::StarttlsBroken => include_str!("runbook/starttls-broken.md"),
        Topic::SpfMissing => include_str!("runbook/spf-missing.md"),
        Topic::SpfBroken => include_str!("runbook/spf-broken.md"),
        Topic::DkimMissing => include_str!("runbook/dkim-missing.md"),
        Topic::DmarcMissing => include_str!("runbook/dmarc-missing.md"),
        Topic::Unreachable => include_str!("runbook/unreachable.md"),
        Topic::Greylisted => include_str!("runbook/greylisted.md"),
        Topic::LoginRefused => include_str!("runbook/login-refused.md"),
        Topic::MxMissing => include_str!("runbook/mx-missing.md"),
        Topic::PolicyMismatch => include_str!("runbook/policy-mismatch.md"),
        Topic::PtrMissing => include_str!("runbook/ptr-missing.md"),
    }
}
