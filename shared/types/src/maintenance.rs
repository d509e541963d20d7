//! Maintenance windows and what they cover. When they are is told by their [`Plan`].

mod plan;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{AddressId, DomainId, MonitorId, ServerId, WindowId},
    zone::Zone,
};

pub use plan::{MOST_MINUTES, Plan};

pub use crate::week::{Day, NoTimeOfDay, Occurrence, TimeOfDay};

/// Things that a window names at most.
pub const MOST_CHOSEN: usize = 500;

/// A window as it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MaintenanceWindow {
    /// Its id.
    pub id: WindowId,
    /// What people call it.
    pub name: String,
    /// What it is about.
    pub covers: Covers,
    /// When it is.
    pub plan: Plan,
    /// When somebody ended it before its time: the occurrence of then is over, later ones are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early_at: Option<DateTime<Utc>>,
    /// The organisation's time zone, by whose clocks it recurs.
    pub time_zone: Zone,
    /// The occurrence that is on now.
    pub active: Option<Occurrence>,
    /// The next one after now.
    pub next: Option<Occurrence>,
    /// Raised by every change; `If-Match: "3"`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What a window is about. A domain, server or address stands for its own checks; a mail server that a domain's MX records name is another thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Covers {
    /// All that is watched, whatever else is named.
    pub everything: bool,
    /// All domains, servers and addresses that have one of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// These domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainId>,
    /// These mail servers, with all their ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerId>,
    /// These addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<AddressId>,
    /// These monitors alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub monitors: Vec<MonitorId>,
}

/// A monitor and what it belongs to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watched<'a> {
    /// The monitor; absent where a thing as a whole is meant.
    pub monitor: Option<MonitorId>,
    /// Its domain.
    pub domain: Option<DomainId>,
    /// Its server.
    pub server: Option<ServerId>,
    /// Its address.
    pub address: Option<AddressId>,
    /// Tags of what it belongs to.
    pub tags: &'a [String],
}

impl Covers {
    /// Whether a monitor is among it.
    pub fn includes(&self, watched: &Watched<'_>) -> bool {
        fn named<T: PartialEq>(all: &[T], one: Option<T>) -> bool {
            one.is_some_and(|one| all.contains(&one))
        }
        self.everything
            || self.tags.iter().any(|tag| watched.tags.contains(tag))
            || named(&self.monitors, watched.monitor)
            || named(&self.domains, watched.domain)
            || named(&self.servers, watched.server)
            || named(&self.addresses, watched.address)
    }

    /// How many things are named.
    pub const fn named(&self) -> usize {
        self.domains.len() + self.servers.len() + self.addresses.len() + self.monitors.len()
    }
}

/// `POST maintenance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewWindow {
    /// 1 to 80 characters.
    pub name: String,
    /// Everything, or at least one thing.
    pub covers: Covers,
    /// When.
    pub plan: Plan,
}

/// `PATCH maintenance/{id}`: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WindowPatch {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// Other things.
    #[serde(default)]
    pub covers: Option<Covers>,
    /// Another time. What was ended early may begin anew by it.
    #[serde(default)]
    pub plan: Option<Plan>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_includes_what_it_names_and_nothing_else() {
        let id = |number| uuid::Uuid::from_u128(number);
        let tags = ["web".to_owned()];
        let port = Watched { tags: &tags, monitor: Some(MonitorId(id(1))), server: Some(ServerId(id(2))), ..Watched::default() };
        for (covers, includes) in [
            (Covers::default(), false),
            (Covers { everything: true, ..Covers::default() }, true),
            (Covers { servers: vec![ServerId(id(2))], ..Covers::default() }, true),
            (Covers { tags: vec!["mail".into(), "web".into()], ..Covers::default() }, true),
            (Covers { tags: vec!["mail".into(), "we".into()], ..Covers::default() }, false),
            (Covers { monitors: vec![MonitorId(id(1))], ..Covers::default() }, true),
            (
                Covers { servers: vec![ServerId(id(1))], domains: vec![DomainId(id(2))], addresses: vec![AddressId(id(2))], ..Covers::default() },
                false,
            ),
        ] {
            assert_eq!(covers.includes(&port), includes, "{covers:?}");
        }
    }
}
