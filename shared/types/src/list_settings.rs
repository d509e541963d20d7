//! Which block lists an organisation asks, as the API shows and takes it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::lists::{ListChoice, ListInfo};

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
