//! Live events of an organisation, as server-sent events carry them. They say what changed; the page fetches what it shows.

use serde::{Deserialize, Serialize};

/// What changed. The SSE `event:` field is the tag, `data:` the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveEvent {
    /// Checks were recorded. Ids are written forms.
    Checked {
        /// Monitors with a new result.
        monitors: Vec<String>,
        /// Domains, servers and addresses they belong to.
        assets: Vec<String>,
    },
    /// Something watched was added, changed or removed.
    Assets {
        /// Ids of domains, servers or addresses.
        ids: Vec<String>,
    },
    /// Incidents opened, changed or ended.
    Incidents {
        /// Their ids.
        ids: Vec<String>,
    },
    /// The listener was behind and events were lost: fetch everything again.
    Resync,
}
