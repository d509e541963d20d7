//! What holds for an organisation as a whole, as the API shows and takes it.

use serde::{Deserialize, Serialize};

use crate::zone::Zone;

/// `GET settings`: what holds for an organisation as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrgSettings {
    /// Its name.
    pub name: String,
    /// By which clocks its maintenance windows recur: an IANA name.
    pub time_zone: Zone,
    /// Raised by every change; `If-Match: "3"`.
    pub version: i64,
}

/// `PATCH settings`: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrgSettingsPatch {
    /// The IANA name of another time zone.
    #[serde(default)]
    pub time_zone: Option<String>,
}
