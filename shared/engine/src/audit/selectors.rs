//! DKIM selectors worth a try, and mailbox providers by their MX hosts: facts of `catalog/mailbox-providers.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    provider: Vec<Provider>,
    #[serde(default)]
    selector: Vec<Selector>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    name: String,
    #[serde(default)]
    mx_suffixes: Vec<String>,
    #[serde(default)]
    dkim_selectors: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Selector {
    selector: Option<String>,
    name: Option<String>,
}

static FILE: LazyLock<File> = LazyLock::new(|| {
    // A test holds that it parses.
    toml::from_str(include_str!("../../catalog/mailbox-providers.toml")).unwrap_or(File { provider: Vec::new(), selector: Vec::new() })
});

/// Selectors to try when a domain's own are not known, each once.
pub fn common() -> &'static [String] {
    static COMMON: LazyLock<Vec<String>> = LazyLock::new(|| {
        let mut all: Vec<String> = FILE
            .selector
            .iter()
            .filter_map(|s| s.selector.clone().or_else(|| s.name.clone()))
            .chain(FILE.provider.iter().flat_map(|p| p.dkim_selectors.iter().cloned()))
            .chain(["default", "dkim", "mail", "selector1", "selector2", "google", "s1", "s2", "k1"].map(str::to_owned))
            .filter(|s| !s.is_empty() && s.len() <= 63 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
            .collect();
        all.sort();
        all.dedup();
        all
    });
    &COMMON
}

/// The mailbox provider that runs an MX host; the longest suffix wins.
pub fn provider_of(host: &str) -> Option<&'static str> {
    FILE.provider
        .iter()
        .flat_map(|p| p.mx_suffixes.iter().map(move |suffix| (suffix.as_str(), p.name.as_str())))
        .filter(|(suffix, _)| host == *suffix || host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')))
        .max_by_key(|(suffix, _)| suffix.len())
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_parses_and_knows_the_large_ones() {
        let parsed: Result<File, _> = toml::from_str(include_str!("../../catalog/mailbox-providers.toml"));
        assert!(parsed.unwrap().provider.len() > 10);
        assert!(common().len() > 20, "{:?}", common());
        assert_eq!(provider_of("gmail-smtp-in.l.google.com"), Some("Gmail"));
        assert_eq!(provider_of("notgoogle.com"), None);
    }
}
