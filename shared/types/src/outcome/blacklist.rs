//! What block lists told.

use serde::{Deserialize, Serialize};

use crate::{finding::Severity, lists::ListType};

/// A block-list scan. A full report has one entry per subject and list; a compact one ([`BlacklistReport::compact`]) leaves out what `lists` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BlacklistReport {
    /// Address, network or domain scanned.
    pub target: String,
    /// One per subject and list; in a compact report without those that are clean or folded into `lists`.
    pub entries: Vec<ListEntry>,
    /// One per list that takes such subjects, in the order asked. Reports from before this field have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ScannedList>,
    /// Addresses and domains looked for.
    #[serde(default)]
    pub subjects: u32,
}

/// What a scan got from one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScannedList {
    /// Name of the list.
    pub list: String,
    /// Its DNS zone.
    pub zone: String,
    /// Its id in the catalog; the zone of a list that is not there.
    pub id: String,
    /// What it is for: an entry of an allow or reputation list is no problem.
    #[serde(default)]
    pub list_type: ListType,
    /// How bad an entry is.
    pub severity: Severity,
    /// Subjects it takes.
    pub asked: u32,
    /// Of these: listed.
    pub listed: u32,
    /// Of these: proven clean.
    pub clean: u32,
    /// Of these: could not be told.
    pub unknown: u32,
    /// Why some are unknown; the most frequent reasons first. Empty when all could be told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// In a compact report, when some are unknown and some clean: which are unknown, as `first-last` or a single subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<String>,
    /// How removal works, when something is listed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub delisting: String,
    /// What an entry does to mail, when something is listed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub effect: String,
}

/// One subject on one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListEntry {
    /// Address or domain asked about.
    pub subject: String,
    /// Name of the list.
    pub list: String,
    /// Its DNS zone.
    pub zone: String,
    /// The verdict.
    pub state: ListState,
    /// Answers, as addresses.
    pub codes: Vec<String>,
    /// What the answers mean.
    pub meaning: String,
    /// Why it is unknown, or the text the list gives.
    pub reason: String,
    /// How bad a listing here is.
    pub severity: Severity,
    /// Where to ask for removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delist_url: Option<String>,
}

/// The state of one subject on one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ListState {
    /// On the list, and the list is alive.
    Listed,
    /// The list proved alive and answered NXDOMAIN.
    Clean,
    /// Could not be told.
    Unknown,
}
