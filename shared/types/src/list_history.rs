//! When an address or a domain was on a block list.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::finding::Severity;

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
}
