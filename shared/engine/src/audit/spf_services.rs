//! Sender services by the names their customers include: facts of `catalog/mailbox-providers.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::organisational;

#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    sender: Vec<Sender>,
    #[serde(default)]
    provider: Vec<Provider>,
}

#[derive(Debug, Deserialize)]
struct Sender {
    name: String,
    #[serde(default)]
    spf_includes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    name: String,
    spf_include: Option<String>,
}

/// Pairs of an include and the service it is of, in the catalog's order.
static INCLUDES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    // A test holds that it parses.
    let file: File = toml::from_str(include_str!("../../catalog/mailbox-providers.toml")).unwrap_or_default();
    let senders = file.sender.into_iter().flat_map(|sender| sender.spf_includes.into_iter().map(move |name| (name, sender.name.clone())));
    senders.chain(file.provider.into_iter().filter_map(|provider| Some((provider.spf_include?, provider.name)))).collect()
});

/// The service whose customers include this name: the name itself is known, or another of the same organisation is.
pub(super) fn service_of(domain: &str) -> Option<&'static str> {
    let of = organisational(domain);
    let exact = INCLUDES.iter().find(|(include, _)| is_of_form(domain, include));
    exact.or_else(|| INCLUDES.iter().find(|(include, _)| organisational(&include.to_ascii_lowercase()) == of)).map(|(_, name)| name.as_str())
}

/// True when a name is an include of the catalog, whose upper-case parts stand for what differs between customers.
fn is_of_form(domain: &str, include: &str) -> bool {
    let (labels, forms): (Vec<&str>, Vec<&str>) = (domain.split('.').collect(), include.split('.').collect());
    labels.len() == forms.len()
        && labels.iter().zip(&forms).all(|(label, form)| match form.find(|c: char| c.is_ascii_uppercase()) {
            Some(at) => label.len() > at && label.starts_with(&form[..at]),
            None => label.eq_ignore_ascii_case(form),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_what_is_included() {
        assert!(INCLUDES.len() > 80, "{}", INCLUDES.len());
        for (include, name) in [
            ("_spf.google.com", Some("Google Workspace")),
            ("_netblocks2.google.com", Some("Google Workspace")),
            ("spf.protection.outlook.com", Some("Microsoft 365")),
            ("sendgrid.net", Some("Twilio SendGrid")),
            ("u123.wl.sendgrid.net", Some("Twilio SendGrid")),
            ("12345.spf07.hubspotemail.net", Some("HubSpot")),
            ("notgoogle.com", None),
            ("e.example", None),
        ] {
            let found = service_of(include);
            assert!(found == name || found.zip(name).is_some_and(|(found, name)| found.starts_with(name)), "{include}: {found:?}");
        }
    }
}
