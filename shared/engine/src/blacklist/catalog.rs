//! The zones of `catalog/dnsbl.toml`: which may be asked, what their answers mean, and which must never be asked again.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use waypost_types::finding::Severity;

/// What a zone is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListType {
    /// Bad senders.
    Block,
    /// Addresses that should not send mail directly.
    Policy,
    /// Scores; an answer is no problem by itself.
    Reputation,
    /// Good senders.
    Allow,
}

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words of the catalog
pub enum Kind {
    Ip4,
    Ip6,
    Domain,
    EmailSha1,
    DomainBlake2,
}

/// One zone; the head of the catalog explains the fields.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // the catalog explains them
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
    pub codes: BTreeMap<String, String>,
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
    pub default_enabled: bool,
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
    zones()
        .iter()
        .filter(|zone| zone.default_enabled && zone.queryable && !zone.needs_key && matches!(zone.list_type, ListType::Block | ListType::Policy))
}

/// The zone of that id, name or DNS suffix.
pub fn find(word: &str) -> Option<&'static Zone> {
    let word = word.trim().trim_end_matches('.');
    zones().iter().find(|zone| [&zone.id, &zone.zone, &zone.name].iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Whether a DNS suffix is retired.
pub fn retired(word: &str) -> Option<&'static Retired> {
    let word = word.trim().trim_end_matches('.');
    CATALOG.retired.iter().find(|retired| retired.zone.eq_ignore_ascii_case(word))
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
        codes: BTreeMap::new(),
        bitmask: BTreeMap::new(),
        error_codes: BTreeMap::new(),
        test_listed: Vec::new(),
        test_clean: Vec::new(),
        needs_key: false,
        queryable: true,
        query_policy: String::new(),
        lookup_url: String::new(),
        delist_url: String::new(),
        default_enabled: false,
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
        for zone in default_zones() {
            assert!(retired(&zone.zone).is_none(), "{}", zone.zone);
        }
        assert_eq!(find("ZEN.spamhaus.org.").map(|zone| zone.id.as_str()), Some("spamhaus-zen"));
        assert!(retired("dnsbl.sorbs.net").is_some());
    }
}
