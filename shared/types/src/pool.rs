//! IP pools: named groups of watched addresses that send one kind of mail. A pool is a tag of its addresses.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    asset::Address,
    id::PoolId,
    tag::{self, MOST_CHARACTERS},
};

/// Begins the tag that a pool is.
const TAG: &str = "pool:";
/// Characters of a name at most: with what begins the tag it has the length of one.
pub const MOST_NAME: usize = MOST_CHARACTERS - TAG.len();
/// Pools of an organisation at most.
pub const MOST_POOLS: usize = 50;
/// Addresses and networks of a pool at most.
pub const MOST_ADDRESSES: usize = 100;
/// Characters of a note at most.
pub const MOST_NOTE: usize = 200;

/// A pool as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pool {
    /// Its id.
    pub id: PoolId,
    /// What people call it: `newsletter`. It stays, since filters, routes, rules and windows know the pool by it.
    pub name: String,
    /// The tag that its addresses have: `pool:newsletter`.
    pub tag: String,
    /// What it is for.
    #[serde(default)]
    pub note: String,
    /// How its addresses stand on block lists.
    pub standing: PoolStanding,
    /// Its addresses and networks, in the order of their numbers.
    pub addresses: Vec<Address>,
    /// Raised by every change; `If-Match: "3"`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Addresses and networks by how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolStanding {
    /// On a list now.
    pub listed: u32,
    /// On none, as most lists say.
    pub clean: u32,
    /// Not scanned yet, or too few lists could tell.
    pub unknown: u32,
}

impl PoolStanding {
    /// Of these addresses.
    pub fn of<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Self {
        let mut standing = Self::default();
        for address in addresses {
            *match address.listed {
                0 if address.is_untold() => &mut standing.unknown,
                0 => &mut standing.clean,
                _ => &mut standing.listed,
            } += 1;
        }
        standing
    }
}

/// The pool that an address is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoolRef {
    /// Its id.
    pub id: PoolId,
    /// Its name.
    pub name: String,
}

impl PoolRef {
    /// The tag that it is.
    pub fn tag(&self) -> String {
        tag_of(&self.name)
    }
}

/// The tag that the pool of a name is.
pub fn tag_of(name: &str) -> String {
    format!("{TAG}{name}")
}

/// `POST pools`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPool {
    /// 1 to 25 letters, digits and the signs - _ . : / without spaces.
    pub name: String,
    /// What it is for, at most 200 characters.
    #[serde(default)]
    pub note: String,
    /// Watched addresses and networks, at most 100. Those of another pool leave it.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// `PATCH pools/{id}`: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PoolPatch {
    /// What it is for.
    #[serde(default)]
    pub note: Option<String>,
    /// Its addresses and networks from now on. Those of another pool leave it.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
}

/// A name as it is kept, in lower case; nothing where it can not be one.
pub fn name(text: &str) -> Option<String> {
    tag::tag(text).ok().filter(|name| name.chars().count() <= MOST_NAME)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_makes_a_tag() {
        assert_eq!(name(" Newsletter ").as_deref(), Some("newsletter"));
        let longest = "x".repeat(MOST_NAME);
        assert!(tag::tag(&tag_of(&name(&longest).unwrap())).is_ok());
        for bad in ["", "two words", "a,b", &"x".repeat(MOST_NAME + 1)] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_no_list_could_tell_is_not_clean() {
        let address = |listed: u32, answered: u32, asked: u32| -> Address {
            serde_json::from_value(
                json!({ "id": "adr_00000000000000000000000000000001", "cidr": "203.0.113.9", "source": "manual", "hosts": [], "state": "up",
                "listed": listed, "answered": answered, "asked": asked, "last_checked_at": null, "next_check_at": null, "version": 1,
                "created_at": "2026-01-01T00:00:00Z" }),
            )
            .unwrap()
        };
        let standing = PoolStanding::of(&[address(0, 0, 0), address(0, 0, 40), address(0, 19, 40), address(0, 20, 40), address(1, 1, 40)]);
        assert_eq!(standing, PoolStanding { listed: 1, clean: 1, unknown: 3 });
    }
}
