//! Families of an audit: their keys in the API, and what people call them.

use waypost_types::finding::family_key;

/// Key and name, in the order people know them. Eleven, and the block lists beside them make the twelve cells of the strip.
pub(crate) const ALL: [(&str, &str); 11] = [
    ("spf", "SPF"),
    ("dkim", "DKIM"),
    ("dmarc", "DMARC"),
    ("mta_sts", "MTA-STS"),
    ("tls_rpt", "TLS-RPT"),
    ("dane", "DANE"),
    ("bimi", "BIMI"),
    ("ptr", "rDNS"),
    ("mx", "MX"),
    ("ns", "NS"),
    ("dnssec", "DNSSEC"),
];

/// The name of a family; whatever else is a subject of an audit keeps its own.
pub(crate) fn name(key: &str) -> String {
    let probed = [("helo", "HELO name"), ("banner", "Greeting")];
    let named = |wanted: &str| ALL.iter().chain(&probed).find(|(known, _)| *known == wanted).map(|(_, name)| *name);
    // An unknown part may be one rule alone; names of hosts have more labels.
    let of_rule = || named(family_key(key)).filter(|_| key.split('.').count() == 2);
    named(key).or_else(of_rule).unwrap_or(key).to_owned()
}

/// Where a family stands in the order; unknown ones come last.
pub(crate) fn place(key: &str) -> usize {
    ALL.iter().position(|(known, _)| *known == key).unwrap_or(ALL.len())
}

/// The families that tell domains apart at a glance: they are the columns of tables.
pub(crate) fn columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.into_iter().take(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_their_proper_names_and_other_subjects_keep_theirs() {
        for (key, shown) in [
            ("ns", "NS"),
            ("mx", "MX"),
            ("mta_sts", "MTA-STS"),
            ("ptr", "rDNS"),
            ("helo", "HELO name"),
            ("dkim.alias_dangling", "DKIM"),
            ("mtasts.txt_missing", "MTA-STS"),
            ("mx.mail.example.com", "mx.mail.example.com"),
            ("example.com", "example.com"),
        ] {
            assert_eq!(name(key), shown);
        }
        assert!(place("spf") < place("ns") && place("ns") < place("whois"));
    }
}
