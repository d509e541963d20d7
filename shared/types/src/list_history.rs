//! When an address or a domain was on a block list.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::finding::Severity;

/// How a stay on a list ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ListingEnd {
    /// The list said that it is gone.
    #[default]
    Gone,
    /// The list did not answer any more; the end is when it was last seen.
    Untold,
    /// The list is not asked any more: it is retired or switched off.
    NotAsked,
}

impl ListingEnd {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Untold => "untold",
            Self::NotAsked => "not_asked",
        }
    }
}

impl std::str::FromStr for ListingEnd {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Gone, Self::Untold, Self::NotAsked].into_iter().find(|end| end.as_str() == text).ok_or(())
    }
}

/// A listing that stands, by address or domain and list: the same listing is one, whichever scan saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Standing {
    /// The address or domain.
    pub subject: String,
    /// Name of the list.
    pub list: String,
    /// Its DNS zone.
    pub zone: String,
    /// How bad it is.
    pub severity: Severity,
}

/// One stay on one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Listing {
    /// Names it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Uuid,
    /// The address or domain.
    pub subject: String,
    /// Name of the list.
    pub list: String,
    /// Its DNS zone.
    pub zone: String,
    /// How bad a listing there is.
    pub severity: Severity,
    /// Answers of the list.
    pub codes: Vec<String>,
    /// What they mean.
    pub meaning: String,
    /// The text that the list gives.
    pub reason: String,
    /// When it was first seen there.
    pub began_at: DateTime<Utc>,
    /// When it was last seen there.
    pub seen_at: DateTime<Utc>,
    /// When it was gone; absent while it is listed.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended; of no meaning while it is listed.
    #[serde(default)]
    pub ending: ListingEnd,
    /// It was there at the first look: since when nobody knows, and no incident told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stood_before: bool,
}
