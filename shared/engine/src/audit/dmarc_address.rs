//! An address of `rua=` or `ruf=` (RFC 9989 4.6): what it says, or what is wrong with it and at which character of the record.

use waypost_types::DomainName;

/// Letters of a mailbox's local part (RFC 5321 4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;

/// A report address that receivers can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReportAddress {
    /// `mailto:` with the mailbox, without a size: as it is to be written.
    pub(super) uri: String,
    /// The mailbox.
    pub(super) mailbox: String,
    /// Where it is.
    pub(super) host: DomainName,
    /// A size limit, gone since RFC 9989.
    pub(super) size: Option<String>,
}

/// One that they can not, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadAddress {
    /// As written.
    pub(super) text: String,
    /// Characters of the record before it, and one.
    pub(super) at: usize,
    /// What is wrong, as a sentence without its end.
    pub(super) what: String,
}

/// Reads a list; `at` is the character of the record that it starts at. No more than `most` are read.
pub(super) fn list(value: &str, at: usize, most: usize) -> (Vec<ReportAddress>, Vec<BadAddress>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut start = at;
    for piece in value.split(',').take(most) {
        let lead = piece.chars().take_while(|c| c.is_whitespace()).count();
        match address(piece.trim()) {
            Ok(address) => good.push(address),
            Err(what) => bad.push(BadAddress { text: piece.trim().to_owned(), at: start + lead, what }),
        }
        start += piece.chars().count() + 1;
    }
    (good, bad)
}

/// The address that somebody meant who left out its scheme.
pub(super) fn meant_address(text: &str) -> Option<ReportAddress> {
    address(&format!("mailto:{}", text.trim())).ok()
}

/// One address, or what is wrong with it.
pub(super) fn address(text: &str) -> Result<ReportAddress, String> {
    if text.is_empty() {
        return Err("there is no address here".to_owned());
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(if text.contains('@') { "“mailto:” is missing before the address".to_owned() } else { "it is no address".to_owned() });
    };
    if !scheme.eq_ignore_ascii_case("mailto") {
        return Err(if scheme.contains('@') {
            "“mailto:” is missing before the address".to_owned()
        } else if scheme.trim().eq_ignore_ascii_case("mailto") {
            "a space stands before the colon of “mailto:”".to_owned()
        } else if scheme.contains('=') {
            "a “;” is missing before this tag".to_owned()
        } else {
            format!("receivers send to “mailto:” only, not to “{scheme}:”")
        });
    }
    if rest.starts_with("//") {
        return Err("“mailto:” is written without slashes".to_owned());
    }
    if let Some(space) = rest.chars().position(char::is_whitespace) {
        return Err(match space {
            0 => "a space stands after “mailto:”".to_owned(),
            _ if rest.to_ascii_lowercase().contains("mailto:") => "addresses are separated by commas, not by spaces".to_owned(),
            _ => "a space stands in the address".to_owned(),
        });
    }
    let (rest, size) = match rest.split_once('!') {
        Some((rest, size)) => (rest, Some(size.to_owned())),
        None => (rest, None),
    };
    let mailbox = rest.split('?').next().unwrap_or_default();
    let Some((local, host)) = mailbox.rsplit_once('@') else { return Err("the mailbox has no “@”".to_owned()) };
    if local.is_empty() || local.len() > LONGEST_LOCAL || local.contains('@') {
        return Err("what stands before the “@” is no mailbox name".to_owned());
    }
    if let Some(odd) = local.chars().find(|c| !c.is_ascii_graphic() || "\"<>()[]\\:".contains(*c)) {
        return Err(format!("“{odd}” does not belong into the mailbox name"));
    }
    let domain = DomainName::from_ascii(host).map_err(|_| format!("“{host}” is no domain name"))?;
    Ok(ReportAddress { uri: format!("mailto:{rest}"), mailbox: format!("{local}@{domain}"), host: domain, size })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_and_mistakes_named_with_their_place() {
        for (value, good, bad) in [
            ("mailto:d@e.example", vec!["d@e.example"], vec![]),
            ("MAILTO:d@E.example , mailto:x+y@r.example", vec!["d@e.example", "x+y@r.example"], vec![]),
            ("mailto:d@e.example!10m", vec!["d@e.example"], vec![]),
            ("mailto:d@e.example?subject=x", vec!["d@e.example"], vec![]),
            ("d@e.example", vec![], vec![(10, "“mailto:” is missing before the address")]),
            ("mailto:d@e.example, x@e.example", vec!["d@e.example"], vec![(30, "“mailto:” is missing before the address")]),
            ("mailto:d@e.example,", vec!["d@e.example"], vec![(29, "there is no address here")]),
            ("https://e.example/r", vec![], vec![(10, "receivers send to “mailto:” only, not to “https:”")]),
            ("mailto: d@e.example", vec![], vec![(10, "a space stands after “mailto:”")]),
            ("mailto :d@e.example", vec![], vec![(10, "a space stands before the colon of “mailto:”")]),
            ("mailto://d@e.example", vec![], vec![(10, "“mailto:” is written without slashes")]),
            ("mailto:a@e.example mailto:b@e.example", vec![], vec![(10, "addresses are separated by commas, not by spaces")]),
            ("mailto:e.example", vec![], vec![(10, "the mailbox has no “@”")]),
            ("mailto:@e.example", vec![], vec![(10, "what stands before the “@” is no mailbox name")]),
            ("mailto:d@e..example", vec![], vec![(10, "“e..example” is no domain name")]),
            ("mailto:<d@e.example>", vec![], vec![(10, "“<” does not belong into the mailbox name")]),
        ] {
            let (read, wrong) = list(value, 10, 10);
            assert_eq!(read.iter().map(|one| one.mailbox.as_str()).collect::<Vec<_>>(), good, "{value}");
            assert_eq!(wrong.iter().map(|one| (one.at, one.what.as_str())).collect::<Vec<_>>(), bad, "{value}");
        }
        assert_eq!(list("mailto:d@e.example!10m", 1, 9).0[0].size.as_deref(), Some("10m"));
        assert_eq!(list("mailto:d@e.example!10m", 1, 9).0[0].uri, "mailto:d@e.example");
        assert_eq!(list(&"mailto:d@e.example,".repeat(50), 1, 3).0.len(), 3);
    }

    proptest! {
        #[test]
        fn no_list_is_too_odd(value in "(mailto:|[a-z@.!, :?]|\\PC){0,40}", at in 1_usize..500) {
            let (good, bad) = list(&value, at, 10);
            prop_assert!(good.len() + bad.len() <= 10);
            for one in bad {
                prop_assert!(one.at >= at && one.at <= at + value.chars().count());
            }
        }
    }
}
