//! The public lookup: an audit and a block-list scan without an account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    finding::Finding,
    lists::ListInfo,
    outcome::{AuditReport, BlacklistReport, CheckSummary, ListEntry, ScannedList},
};

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
    /// Block lists for the domain, the addresses of its MX hosts and those of its web hosts.
    pub blacklists: Vec<ListEntry>,
    /// What each of these lists is and how it answered.
    #[serde(default)]
    pub lists: Vec<ScannedList>,
    /// Of the lists that list something: what the catalog says of them.
    #[serde(default)]
    pub guides: Vec<ListInfo>,
}

impl Lookup {
    /// The block lists as a report.
    pub fn scan(&self) -> BlacklistReport {
        BlacklistReport { target: self.domain.clone(), entries: self.blacklists.clone(), lists: self.lists.clone(), subjects: 0 }
    }
}

/// `GET /api/v1/lookup/address/{address}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddressLookup {
    /// The address as RFC 5952 writes it.
    pub address: String,
    /// Its reverse names.
    pub names: Vec<ReverseName>,
    /// Whether it has a reverse name that leads back to it, in three words at most.
    pub reverse: CheckSummary,
    /// The same as a sentence.
    pub reverse_reason: String,
    /// What is wrong with them, and how to mend it.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Block lists.
    pub blacklists: BlacklistReport,
    /// Of the lists that list it: what the catalog says of them.
    #[serde(default)]
    pub guides: Vec<ListInfo>,
    /// False when parts did not answer in time.
    pub complete: bool,
    /// When it was done.
    pub checked_at: DateTime<Utc>,
    /// How long it took.
    pub took_ms: u64,
}

/// A reverse name of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReverseName {
    /// Host name, ASCII.
    pub name: String,
    /// Whether it resolves to the address; absent when that could not be told.
    pub leads_back: Option<bool>,
}

/// The reverse names of an address that sends mail: `waypost ptr ADDRESS --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseReport {
    /// The address as RFC 5952 writes it.
    pub address: String,
    /// Its reverse names, ten at most.
    pub names: Vec<ReverseName>,
    /// Whether one leads back to it and was chosen by somebody, in three words at most.
    pub reverse: CheckSummary,
    /// The same as a sentence.
    pub reason: String,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
    /// False when something that was asked was not answered.
    pub complete: bool,
}
