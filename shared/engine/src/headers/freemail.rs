//! Domains at which anybody gets an address, from `catalog/mailbox-providers.toml`.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    provider: Vec<Provider>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    domains: Vec<String>,
}

static DOMAINS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    // A test holds that it parses.
    let file: File = toml::from_str(include_str!("../../catalog/mailbox-providers.toml")).unwrap_or(File { provider: Vec::new() });
    let consumer = file.provider.into_iter().filter(|provider| provider.kind == "consumer");
    consumer.flat_map(|provider| provider.domains.into_iter().map(move |domain| (domain, provider.name.clone()))).collect()
});

/// The provider of a free-mail domain.
pub(super) fn provider(domain: &str) -> Option<&'static str> {
    DOMAINS.get(domain).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_large_ones_are_known() {
        assert_eq!(provider("gmail.com"), Some("Gmail"));
        assert!(provider("yahoo.com").is_some() && provider("example.com").is_none());
    }
}
