//! Lists: a page of items and the cursor of the next.

use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct List<T> {
    /// At most `limit` items.
    pub items: Vec<T>,
    /// Give it back as `cursor` for the next page; `null` on the last.
    pub next: Option<String>,
}

/// Query of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
pub struct ListQuery {
    /// Where to go on.
    #[serde(default)]
    pub cursor: Option<String>,
    /// 1 to 200, 50 when absent.
    #[serde(default)]
    pub limit: Option<u32>,
}
