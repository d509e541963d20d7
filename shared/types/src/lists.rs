//! The block lists to choose from, and an organisation's choice: lists on and off, and private lists of its own. Keys are secrets and live elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{DomainName, finding::Severity};

/// What a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ListType {
    /// Bad senders.
    #[default]
    Block,
    /// Addresses that should not send mail directly.
    Policy,
    /// Scores; an answer is no problem by itself.
    Reputation,
    /// Good senders.
    Allow,
}

impl ListType {
    /// True where an entry is a problem; a score or praise never is.
    pub const fn accuses(self) -> bool {
        matches!(self, Self::Block | Self::Policy)
    }
}

/// What a list may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// IPv4 addresses.
    Ip4,
    /// IPv6 addresses.
    Ip6,
    /// Domains.
    Domain,
    /// Hashed e-mail addresses; never asked here.
    EmailSha1,
    /// Hashed domains; never asked here.
    DomainBlake2,
}

/// A list of the catalog, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(clippy::struct_excessive_bools)] // facts of their own, not states
pub struct ListInfo {
    /// Stable key.
    pub id: String,
    /// Display name.
    pub name: String,
    /// DNS zone.
    pub zone: String,
    /// Who runs it.
    pub operator: String,
    /// What it is for.
    pub list_type: ListType,
    /// What it may be asked.
    pub kinds: Vec<ListKind>,
    /// How bad an entry is for a sender of wanted mail.
    pub severity: Severity,
    /// Why it is that bad.
    pub severity_reason: String,
    /// What gets an entry.
    pub lists: String,
    /// Answer → meaning; an `x` stands for any octet.
    pub codes: BTreeMap<String, String>,
    /// For lists that add up bits: value of a bit in the last octet → meaning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bitmask: BTreeMap<String, String>,
    /// Answers that mean a refused or broken query, never an entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error_codes: BTreeMap<String, String>,
    /// Where to look by hand; empty when there is no such page.
    pub lookup_url: String,
    /// Where to ask for removal; empty when there is no such page.
    pub delist_url: String,
    /// How removal works.
    pub delisting: String,
    /// When an entry goes by itself.
    pub auto_expiry: String,
    /// No answer without a key, an account or a paid copy.
    pub needs_key: bool,
    /// It can be given a key (it needs one, or answers more reliably with one); without this a list that needs a key wants the resolver's
    /// address registered instead.
    pub takes_key: bool,
    /// False when there is no DNS name to ask at all, or only hashes may be asked.
    pub queryable: bool,
    /// Asked unless switched off.
    pub default_enabled: bool,
    /// Free limits and resolver rules.
    pub query_policy: String,
}

/// Which lists an organisation wants asked. Ids that the catalog does not know (any more) do nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ListChoice {
    /// Ids of lists that are on by default and not wanted.
    pub off: BTreeSet<String>,
    /// Ids of lists that are off by default or need a key, and wanted.
    pub on: BTreeSet<String>,
    /// Private lists.
    pub custom: Vec<CustomList>,
}

/// A private list of an organisation, read by RFC 5782 alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CustomList {
    /// DNS zone.
    pub zone: DomainName,
    /// Display name; the zone when empty.
    #[serde(default)]
    pub name: String,
    /// What it may be asked.
    pub kinds: Vec<ListKind>,
    /// How bad an entry is.
    pub severity: Severity,
}

/// What is wrong with a choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// Too many private lists.
    #[error("At most {} private lists can be added.", ListChoice::MAX_CUSTOM)]
    TooManyCustom,
    /// Too many ids.
    #[error("More lists are switched than the catalog has.")]
    TooManySwitches,
    /// One zone twice.
    #[error("{0} is there twice.")]
    Twice(DomainName),
    /// A single label.
    #[error("“{0}” is not the name of a DNS zone: it needs a dot.")]
    NoZone(DomainName),
    /// A name too long to ask: 32 nibbles and a zone have to fit into 253 octets.
    #[error("{0} is too long for the zone of a list.")]
    ZoneTooLong(DomainName),
    /// A display name too long or with control characters.
    #[error("The name of {0} is longer than {max} characters or has characters that can not be shown.", max = CustomList::MAX_NAME)]
    Name(DomainName),
    /// No kind, or a kind that is never asked.
    #[error("Say what {0} may be asked: IPv4 addresses, IPv6 addresses or domains.")]
    Kinds(DomainName),
    /// Dead, fraudulent or listing everything.
    #[error("{zone} is retired and is never asked: {note}")]
    Retired {
        /// The zone.
        zone: DomainName,
        /// What became of it.
        note: String,
    },
    /// In the catalog already.
    #[error("{zone} belongs to {list}, which is in the catalog: switch it on there.")]
    Known {
        /// The zone.
        zone: DomainName,
        /// Display name of the list.
        list: String,
    },
}

impl ListChoice {
    /// Most private lists.
    pub const MAX_CUSTOM: usize = 20;
    /// Most ids in `on` and `off` each.
    pub const MAX_SWITCHES: usize = 500;

    /// Whether the choice is well formed. Retired zones and those of the catalog are for the engine to refuse (`blacklist::check_choice`).
    pub fn check(&self) -> Result<(), ChoiceError> {
        if self.custom.len() > Self::MAX_CUSTOM {
            return Err(ChoiceError::TooManyCustom);
        }
        let switches = [&self.on, &self.off];
        if switches.iter().any(|ids| ids.len() > Self::MAX_SWITCHES || ids.iter().any(|id| id.len() > 100)) {
            return Err(ChoiceError::TooManySwitches);
        }
        let mut seen = BTreeSet::new();
        for list in &self.custom {
            list.check()?;
            if !seen.insert(list.zone.as_str()) {
                return Err(ChoiceError::Twice(list.zone.clone()));
            }
        }
        Ok(())
    }
}

impl CustomList {
    /// Longest display name in characters.
    pub const MAX_NAME: usize = 80;
    /// Longest zone: 64 octets of reversed IPv6 and a dot stand before it.
    const MAX_ZONE: usize = 253 - 64;

    /// What it is called.
    pub fn title(&self) -> &str {
        if self.name.trim().is_empty() { self.zone.as_str() } else { self.name.trim() }
    }

    /// Whether it is well formed.
    pub fn check(&self) -> Result<(), ChoiceError> {
        let zone = || self.zone.clone();
        if !self.zone.as_str().contains('.') {
            return Err(ChoiceError::NoZone(zone()));
        }
        if self.zone.as_str().len() > Self::MAX_ZONE {
            return Err(ChoiceError::ZoneTooLong(zone()));
        }
        if self.name.chars().count() > Self::MAX_NAME || self.name.chars().any(char::is_control) {
            return Err(ChoiceError::Name(zone()));
        }
        let asked = |kind: &ListKind| matches!(kind, ListKind::Ip4 | ListKind::Ip6 | ListKind::Domain);
        if self.kinds.is_empty() || self.kinds.len() > 3 || !self.kinds.iter().all(asked) {
            return Err(ChoiceError::Kinds(zone()));
        }
        Ok(())
    }
}

/// Whether the list of a zone can be believed, as last tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ZoneHealth {
    /// Id in the catalog; the zone of a list that is not there.
    pub id: String,
    /// DNS zone, without any key.
    pub zone: String,
    /// The kind of subject it was tested for.
    pub kind: ListKind,
    /// False when it is set aside: nothing is asked, and everything on it is unknown.
    pub ok: bool,
    /// Why it is set aside; with `ok`, why its silence proves nothing (listings count all the same).
    pub reason: String,
    /// Since when it is so.
    pub since: DateTime<Utc>,
    /// Tested with a key of some organisation: what is wrong may be the key.
    pub keyed: bool,
    /// A private list, of no interest to anybody but its organisation.
    pub private: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(zone: &str) -> CustomList {
        CustomList { zone: DomainName::from_ascii(zone).unwrap(), name: String::new(), kinds: vec![ListKind::Ip4], severity: Severity::Medium }
    }

    #[test]
    fn a_choice_is_bounded_and_well_formed() {
        let choice = |custom: Vec<CustomList>| ListChoice { custom, ..ListChoice::default() }.check();
        assert_eq!(choice(vec![list("bl.example.com"), list("dbl.example.com")]), Ok(()));
        assert!(matches!(choice(vec![list("bl.example.com"), list("BL.example.com")]), Err(ChoiceError::Twice(_))));
        assert!(matches!(choice(vec![list("localhost")]), Err(ChoiceError::NoZone(_))));
        assert!(matches!(choice(vec![list(&["a"; 100].join("."))]), Err(ChoiceError::ZoneTooLong(_))));
        assert!(matches!(choice(vec![CustomList { name: "a\nb".to_owned(), ..list("bl.example.com") }]), Err(ChoiceError::Name(_))));
        for kinds in [vec![], vec![ListKind::EmailSha1], vec![ListKind::Ip4; 4]] {
            assert!(matches!(choice(vec![CustomList { kinds, ..list("bl.example.com") }]), Err(ChoiceError::Kinds(_))));
        }
        let many: Vec<CustomList> = (0..=ListChoice::MAX_CUSTOM).map(|n| list(&format!("bl{n}.example.com"))).collect();
        assert_eq!(choice(many[1..].to_vec()), Ok(()));
        assert_eq!(choice(many), Err(ChoiceError::TooManyCustom));
        let on = (0..=ListChoice::MAX_SWITCHES).map(|n| n.to_string()).collect();
        assert_eq!(ListChoice { on, ..ListChoice::default() }.check(), Err(ChoiceError::TooManySwitches));
    }

    #[test]
    fn an_empty_choice_is_written_and_read() {
        assert_eq!(serde_json::from_str::<ListChoice>("{}").unwrap(), ListChoice::default());
        assert_eq!(list("bl.example.com").title(), "bl.example.com");
    }
}
