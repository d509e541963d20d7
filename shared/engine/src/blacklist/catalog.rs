//! The zones of `catalog/dnsbl.toml`: which may be asked, what their answers mean, and which must never be asked again.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
pub use waypost_types::lists::{ListKind as Kind, ListType};
use waypost_types::{
    finding::Severity,
    lists::{CustomList, ListInfo},
};

/// One zone; the head of the catalog explains the fields.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs, clippy::struct_excessive_bools)] // the catalog explains them
pub struct Zone {
    pub id: String,
    pub name: String,
    pub zone: String,
    pub list_type: ListType,
    pub kind: Vec<Kind>,
    pub severity: Severity,
    #[serde(default)]
    pub severity_reason: String,
    #[serde(default)]
    pub operator: String,
    #[serde(default)]
    pub lists: String,
    #[serde(default)]
    pub codes: BTreeMap<String, String>,
    /// Those of `codes` that are no listing.
    #[serde(default)]
    pub harmless: Vec<String>,
    #[serde(default)]
    pub bitmask: BTreeMap<String, String>,
    #[serde(default)]
    pub error_codes: BTreeMap<String, String>,
    #[serde(default)]
    pub test_listed: Vec<String>,
    #[serde(default)]
    pub test_clean: Vec<String>,
    #[serde(default)]
    pub needs_key: bool,
    #[serde(default = "yes")]
    pub queryable: bool,
    #[serde(default)]
    pub query_policy: String,
    #[serde(default)]
    pub lookup_url: String,
    #[serde(default)]
    pub delist_url: String,
    #[serde(default)]
    pub delisting: String,
    #[serde(default)]
    pub auto_expiry: String,
    #[serde(default)]
    pub default_enabled: bool,
    #[serde(default)]
    pub key_form: String,
    #[serde(default)]
    pub rate: Option<u32>,
    #[serde(default)]
    pub strict: bool,
    #[serde(default)]
    pub organisational: bool,
    #[serde(default)]
    pub replaces: String,
}

impl Zone {
    /// True when a key can be a label of the name asked.
    pub fn takes_key(&self) -> bool {
        self.key_form.contains("{query}.{key}.")
    }

    /// True when there is something that can be asked: a zone, and a kind of subject that is no hash.
    pub fn can_be_asked(&self) -> bool {
        self.queryable && self.kind.iter().any(|kind| matches!(kind, Kind::Ip4 | Kind::Ip6 | Kind::Domain))
    }

    fn info(&self) -> ListInfo {
        ListInfo {
            id: self.id.clone(),
            name: self.name.clone(),
            zone: self.zone.clone(),
            operator: self.operator.clone(),
            list_type: self.list_type,
            kinds: self.kind.clone(),
            severity: self.severity,
            severity_reason: self.severity_reason.clone(),
            lists: self.lists.clone(),
            codes: self.codes.clone(),
            bitmask: self.bitmask.clone(),
            error_codes: self.error_codes.clone(),
            lookup_url: self.lookup_url.clone(),
            delist_url: self.delist_url.clone(),
            delisting: self.delisting.clone(),
            auto_expiry: self.auto_expiry.clone(),
            needs_key: self.needs_key,
            takes_key: self.takes_key(),
            queryable: self.can_be_asked(),
            default_enabled: is_default(self),
            query_policy: self.query_policy.clone(),
        }
    }
}

const fn yes() -> bool {
    true
}

/// A zone that must never be asked.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // the catalog explains them
pub struct Retired {
    pub zone: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    zone: Vec<Zone>,
    #[serde(default)]
    retired: Vec<Retired>,
}

// The catalog is part of the program; a test holds that it parses, so a failure here can not ship.
static CATALOG: LazyLock<File> = LazyLock::new(|| toml::from_str(include_str!("../../catalog/dnsbl.toml")).unwrap_or_default());

/// Every zone that is believed to be alive, in the order of the catalog.
pub fn zones() -> &'static [Zone] {
    &CATALOG.zone
}

/// The zones asked when nobody says which: alive, keyless, and an answer is a problem.
pub fn default_zones() -> impl Iterator<Item = &'static Zone> {
    zones().iter().filter(|zone| is_default(zone))
}

/// True for a zone that is asked unless switched off.
pub(super) fn is_default(zone: &Zone) -> bool {
    zone.default_enabled && zone.can_be_asked() && !zone.needs_key && zone.list_type.accuses()
}

/// The catalog as a page shows it.
pub fn catalog_info() -> Vec<ListInfo> {
    zones().iter().map(Zone::info).collect()
}

/// The zone of that id, name or DNS suffix.
pub fn find(word: &str) -> Option<&'static Zone> {
    let word = word.trim().trim_end_matches('.');
    zones().iter().find(|zone| [&zone.id, &zone.zone, &zone.name].iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Whether a DNS suffix is retired, or lies below one that is.
pub fn retired(word: &str) -> Option<&'static Retired> {
    let word = word.trim().trim_end_matches('.');
    CATALOG.retired.iter().find(|retired| at_or_below(word, &retired.zone))
}

/// The zone whose listings those of this one continue: with a key another zone is asked for the same data.
pub fn lasting_zone(zone: &str) -> &str {
    static REPLACED: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
        let of = |zone: &'static Zone| Some((zone.zone.as_str(), zones().iter().find(|other| other.id == zone.replaces)?.zone.as_str()));
        zones().iter().filter_map(of).collect()
    });
    REPLACED.iter().find(|(keyed, _)| *keyed == zone).map_or(zone, |(_, open)| open)
}

/// The zone of the catalog that a DNS suffix is, or lies below.
pub(super) fn owner(suffix: &str) -> Option<&'static Zone> {
    zones().iter().find(|zone| at_or_below(suffix, &zone.zone))
}

fn at_or_below(name: &str, zone: &str) -> bool {
    let (Some(head), Some(tail)) =
        (name.len().checked_sub(zone.len()).and_then(|at| name.get(..at)), name.len().checked_sub(zone.len()).and_then(|at| name.get(at..)))
    else {
        return false;
    };
    tail.eq_ignore_ascii_case(zone) && (head.is_empty() || head.ends_with('.'))
}

/// A private list of an organisation.
pub(super) fn private(list: &CustomList) -> Zone {
    Zone { name: list.title().to_owned(), kind: list.kinds.clone(), severity: list.severity, ..foreign(list.zone.as_str()) }
}

/// A zone that is in no catalog, by its DNS suffix: read by RFC 5782 alone.
pub fn foreign(suffix: &str) -> Zone {
    let suffix = suffix.trim().trim_end_matches('.').to_ascii_lowercase();
    Zone {
        id: suffix.clone(),
        name: suffix.clone(),
        zone: suffix,
        list_type: ListType::Block,
        kind: vec![Kind::Ip4, Kind::Ip6, Kind::Domain],
        severity: Severity::Low,
        severity_reason: String::new(),
        operator: String::new(),
        lists: String::new(),
        codes: BTreeMap::new(),
        harmless: Vec::new(),
        bitmask: BTreeMap::new(),
        error_codes: BTreeMap::new(),
        test_listed: Vec::new(),
        test_clean: Vec::new(),
        needs_key: false,
        queryable: true,
        query_policy: String::new(),
        lookup_url: String::new(),
        delist_url: String::new(),
        delisting: String::new(),
        auto_expiry: String::new(),
        default_enabled: false,
        key_form: String::new(),
        rate: None,
        strict: false,
        organisational: false,
        replaces: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_parses_and_no_retired_zone_is_asked() {
        let file: File = toml::from_str(include_str!("../../catalog/dnsbl.toml")).unwrap();
        assert!(file.zone.len() > 100 && file.retired.len() > 100);
        assert!(default_zones().count() > 30);
        assert!(file.zone.iter().all(|zone| zone.harmless.iter().all(|code| zone.codes.contains_key(code))));
        for zone in zones() {
            assert!(retired(&zone.zone).is_none(), "{}", zone.zone);
            assert!(zone.rate.is_none_or(|rate| (1..=100).contains(&rate)), "{}", zone.id);
            assert!(zone.replaces.is_empty() || zones().iter().any(|other| other.id == zone.replaces), "{}", zone.id);
        }
        assert_eq!(find("ZEN.spamhaus.org.").map(|zone| zone.id.as_str()), Some("spamhaus-zen"));
        assert!(retired("dnsbl.sorbs.net").is_some());
        assert_eq!(lasting_zone("zen.dq.spamhaus.net"), "zen.spamhaus.org");
        assert_eq!(lasting_zone("zen.spamhaus.org"), "zen.spamhaus.org");
    }
}
