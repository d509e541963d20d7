//! Which block lists an organisation asks, as the API shows and takes it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::lists::{ListChoice, ListInfo, ListKind};

/// `GET lists`: the catalog and what the organisation chose of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListSettings {
    /// Every list of the catalog.
    pub catalog: Vec<ListInfo>,
    /// What is wanted.
    pub choice: ListChoice,
    /// Ids of lists with a key; the keys themselves are never shown.
    pub keys: BTreeSet<String>,
    /// Raised by every change of the choice; 0 before the first.
    pub version: i64,
    /// What private lists that are new said when they were tried; only in the answer to a change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<ListTrial>,
}

/// What a private list said when it was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListTrial {
    /// Its DNS zone.
    pub zone: String,
    /// What it was asked for.
    pub kind: ListKind,
    /// Whether it can work.
    pub result: TrialResult,
    /// What it answered, and what follows from that.
    pub said: String,
}

/// Whether a private list can work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TrialResult {
    /// It lists its test point and not the other one.
    Works,
    /// It lists neither.
    Silent,
    /// Nothing can be told from here.
    Untold,
    /// It can not work: it lists everything, or refuses to be asked.
    Refused,
}

/// `PUT lists/keys/{list}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewListKey {
    /// The key or account name as the operator of the list gave it.
    pub key: String,
}

impl std::fmt::Debug for NewListKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewListKey").finish_non_exhaustive()
    }
}
