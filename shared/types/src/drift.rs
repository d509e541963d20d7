//! How the records of a domain, and its servers, changed: what pages show as their history.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::MonitorId;

/// One thing that is different from before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordChange {
    /// What happened to it.
    pub kind: ChangeKind,
    /// In words: `include:_spf.example.net may send now`.
    pub text: String,
    /// How to read the words.
    #[serde(default, skip_serializing_if = "ChangeForm::is_sentence")]
    pub form: ChangeForm,
}

/// What the words of a change say by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ChangeForm {
    /// What happened: `include:_spf.example.net may send now`.
    #[default]
    Sentence,
    /// What it happened to, and no more: `SPF record: v=spf1 -all`.
    Thing,
}

impl ChangeForm {
    /// Whether the words say what happened.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
    pub const fn is_sentence(&self) -> bool {
        matches!(self, Self::Sentence)
    }
}

/// What happened to a record or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another value.
    Changed,
}

/// A record set of a domain changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordEvent {
    /// Names the event.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Uuid,
    /// When it was seen.
    pub at: DateTime<Utc>,
    /// The record family: `spf`, `dkim`, `dmarc`, …
    pub family: String,
    /// What is different, in words.
    pub changes: Vec<RecordChange>,
    /// The records before; empty when there were none.
    pub before: Vec<String>,
    /// The records after.
    pub after: Vec<String>,
    /// New findings came with it; then an incident tells.
    pub worse: bool,
}

/// A mail server shows itself in another way than before: another certificate, other extensions, another greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerEvent {
    /// Names the event.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Uuid,
    /// When it was seen for the second time.
    pub at: DateTime<Utc>,
    /// The monitor that saw it.
    pub monitor: MonitorId,
    /// `mail.example.com:25`.
    pub target: String,
    /// What is different, in words.
    pub changes: Vec<RecordChange>,
}
