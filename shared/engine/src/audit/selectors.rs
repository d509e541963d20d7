//! DKIM selectors worth a try and whose they are, and mailbox providers by their MX hosts: facts of `catalog/mailbox-providers.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::spf_services;

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    provider: Vec<Provider>,
    #[serde(default)]
    selector: Vec<Selector>,
    #[serde(default)]
    sender: Vec<Sender>,
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
    #[serde(alias = "selector")]
    name: String,
    vendor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Sender {
    name: String,
    /// Domains that the DKIM aliases of its customers end in.
    #[serde(default)]
    dkim_targets: Vec<String>,
}

/// Selectors shorter than this are anybody's.
const LEAST_TELLING: usize = 3;

static FILE: LazyLock<File> = LazyLock::new(|| {
    // A test holds that it parses.
    toml::from_str(include_str!("../../catalog/mailbox-providers.toml")).unwrap_or(File {
        provider: Vec::new(),
        selector: Vec::new(),
        sender: Vec::new(),
    })
});

/// What most keys stand at.
pub(super) const USUAL: [&str; 9] = ["default", "dkim", "mail", "selector1", "selector2", "google", "s1", "s2", "k1"];

/// Selectors to try when a domain's own are not known, each once.
pub fn common() -> &'static [String] {
    static COMMON: LazyLock<Vec<String>> = LazyLock::new(|| {
        let mut all: Vec<String> = FILE
            .selector
            .iter()
            .map(|s| s.name.clone())
            .chain(FILE.provider.iter().flat_map(|p| p.dkim_selectors.iter().cloned()))
            .chain(USUAL.map(str::to_owned))
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

/// The service that an alias of a DKIM key leads to.
pub(super) fn service_of_alias(target: &str) -> Option<&'static str> {
    let ends = |suffix: &str| target == suffix || target.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
    let known = FILE.sender.iter().find(|sender| sender.dkim_targets.iter().any(|suffix| ends(suffix))).map(|sender| sender.name.as_str());
    known.or_else(|| spf_services::service_of(target))
}

/// Whether the catalog knows a selector as one of a service, alone or among others.
pub(super) fn is_of(selector: &str, service: &str) -> bool {
    let named = |name: &str| name.contains(service) || service.starts_with(name);
    FILE.provider.iter().any(|p| named(&p.name) && p.dkim_selectors.iter().any(|s| s == selector))
        || FILE.selector.iter().any(|s| s.name == selector && s.vendor.as_deref().is_some_and(named))
}

/// The service that alone uses a selector; nothing of one that many use, such as `default` and `s1`, or that is a date.
pub(super) fn service_of(selector: &str) -> Option<&'static str> {
    if selector.len() < LEAST_TELLING || selector.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let is_it = |other: &str| other.eq_ignore_ascii_case(selector);
    let mut users: Vec<&str> = FILE.provider.iter().filter(|p| p.dkim_selectors.iter().any(|s| is_it(s))).map(|p| p.name.as_str()).collect();
    let listed = FILE.selector.iter().find(|s| is_it(&s.name));
    if let Some(vendor) = listed.and_then(|s| s.vendor.as_deref()) {
        if ["generic", "many", "others", "common", ",", "style"].iter().any(|word| vendor.contains(word)) {
            return None;
        }
        let vendor = vendor.split_once(" (").map_or(vendor, |(name, _)| name);
        if !users.iter().any(|user| user.starts_with(vendor)) {
            users.push(vendor);
        }
    }
    if let [only] = users.as_slice() { Some(only) } else { None }
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

    #[test]
    fn a_service_is_known_by_its_alias_or_by_a_selector_of_its_own() {
        for (target, service) in [
            ("s1.domainkey.u123.wl045.sendgrid.net", Some("Twilio SendGrid")),
            ("selector1-e-example._domainkey.e.onmicrosoft.com", Some("Microsoft 365")),
            ("abc.dkim.amazonses.com", Some("Amazon SES")),
            ("dkim2.mcsv.net", Some("Mailchimp")),
            ("notsendgrid.net", None),
            ("s1._domainkey.other.example", None),
        ] {
            let found = service_of_alias(target);
            assert!(found == service || found.zip(service).is_some_and(|(found, name)| found.starts_with(name)), "{target}: {found:?}");
        }
        for (selector, service) in [
            ("google", Some("Google Workspace")),
            ("protonmail2", Some("Proton Mail")),
            ("klaviyo", Some("Klaviyo")),
            ("default", None),
            ("s1", None),
            ("mail", None),
            ("20230601", None),
            ("selector1", None),
            ("nobody-uses-this", None),
        ] {
            assert_eq!(service_of(selector), service, "{selector}");
        }
        assert!(is_of("protonmail3", "Proton Mail") && is_of("klaviyo", "Klaviyo") && !is_of("klaviyo", "Proton Mail"));
    }
}
