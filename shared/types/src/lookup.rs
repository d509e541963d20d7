//! The public lookup: an audit and a block-list scan without an account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::outcome::{AuditReport, ListEntry};

/// `GET /api/v1/lookup/{domain}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lookup {
    /// ASCII form.
    pub domain: String,
    /// The form for people.
    pub display: String,
    /// False when parts did not answer in time; `audit.unknown` names them.
    pub complete: bool,
    /// When it was done.
    pub checked_at: DateTime<Utc>,
    /// How long it took.
    pub took_ms: u64,
    /// The audit. It opens no SMTP connection.
    pub audit: AuditReport,
    /// Block lists for the addresses of the MX hosts.
    pub blacklists: Vec<ListEntry>,
}
