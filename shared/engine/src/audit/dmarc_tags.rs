//! The tags of a DMARC record as they stand in it (RFC 9989 4.8), and what keeps receivers from reading them.

use std::collections::HashSet;

/// Letters of a record that are quoted.
const MOST_QUOTED: usize = 40;
/// Faults of a record that are kept; the rest is more of the same.
const MOST_FAULTS: usize = 50;

/// Tags of the standard, in the order that we write them.
pub(super) const TAGS: [&str; 11] = ["v", "p", "sp", "np", "t", "psd", "adkim", "aspf", "rua", "ruf", "fo"];
/// Tags that RFC 9989 took away.
pub(super) const REMOVED: [&str; 3] = ["pct", "rf", "ri"];

/// Something wrong at a character of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Characters of the record before it, and one.
    pub(super) at: usize,
    /// What, as a sentence without its end.
    pub(super) what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (character {})", self.what, self.at)
    }
}

/// A tag as it stands in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// In lower case.
    pub(super) name: String,
    pub(super) value: String,
    /// The character of the record at which the value starts.
    pub(super) at: usize,
}

/// Whether a TXT record takes part in discovery: it begins with exactly `v=DMARC1` (RFC 9989 4.8 allows blanks about the sign).
pub(super) fn is_exact(text: &str) -> bool {
    version_end(text).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn version_end(text: &str) -> Option<&str> {
    let blank = [' ', '\t'];
    text.strip_prefix('v')?.trim_start_matches(blank).strip_prefix('=')?.trim_start_matches(blank).strip_prefix("DMARC1")
}

/// Whether somebody meant it for a DMARC record: other case, blanks or quotes before it.
pub(super) fn is_meant(text: &str) -> bool {
    let head: String = text.trim_start_matches(|c: char| c.is_whitespace() || is_quote(c)).chars().take(30).filter(|c| !c.is_whitespace()).collect();
    head.to_ascii_lowercase().starts_with("v=dmarc1") && !head.as_bytes().get(8).is_some_and(u8::is_ascii_digit)
}

pub(super) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\' | '“' | '”' | '„' | '‘' | '’')
}

/// Tags in their order, and the pieces that are none. Fails where the version or a repeated tag makes the whole record void.
pub(super) fn split(text: &str) -> Result<(Vec<Tag>, Vec<Fault>), Fault> {
    let (mut tags, mut faults): (Vec<Tag>, Vec<Fault>) = (Vec::new(), Vec::new());
    let mut seen: HashSet<String> = HashSet::new();
    if !is_exact(text) {
        return Err(version_fault(text));
    }
    let mut start = 1;
    for piece in text.split(';') {
        let at = start + piece.chars().take_while(|c| c.is_whitespace()).count();
        start += piece.chars().count() + 1;
        let body = piece.trim();
        if body.is_empty() && !tags.is_empty() {
            continue;
        }
        let named = body.split_once('=').filter(|(name, _)| {
            let name = name.trim();
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
        let Some((name, value)) = named else {
            let what = if body.to_ascii_lowercase().starts_with("mailto:") {
                format!("“{}” stands alone: report addresses are separated by commas, not by semicolons", quoted(body))
            } else if let Some((name, _)) = body.split_once('=').filter(|(name, _)| !name.trim().is_empty()) {
                format!("“{}” is no name of a tag: names are letters only", quoted(name.trim()))
            } else {
                format!("“{}” is no tag: tags are written name=value", quoted(body))
            };
            faults.push(Fault { at, what });
            continue;
        };
        let value_at = at + name.chars().count() + 1 + value.chars().take_while(|c| c.is_whitespace()).count();
        let (name, value) = (name.trim(), value.trim());
        if tags.is_empty() && !(name == "v" && value == "DMARC1") {
            return Err(version_fault(text));
        }
        let name = name.to_ascii_lowercase();
        if !seen.insert(name.clone()) {
            return Err(Fault { at, what: format!("the tag {}= stands twice", quoted(&name)) });
        }
        if let Some((position, next)) = run_together(value) {
            let what = format!("a “;” is missing before {next}=");
            faults.push(Fault { at: value_at + value[..position].chars().count(), what });
        } else if value.chars().any(|c| is_quote(c) && c != '\'') {
            faults.push(Fault { at: value_at, what: format!("quotes do not belong into {}={}", quoted(&name), quoted(value)) });
        }
        tags.push(Tag { name, value: value.to_owned(), at: value_at });
    }
    faults.truncate(MOST_FAULTS);
    Ok((tags, faults))
}

fn version_fault(text: &str) -> Fault {
    if let Some(rest) = version_end(text) {
        let after = text.chars().count() - rest.chars().count() + 1;
        return Fault { at: after, what: "after v=DMARC1 a “;” is missing".to_owned() };
    }
    let what = if text.starts_with(is_quote) {
        "quotes stand before v=DMARC1"
    } else if is_meant(text) && text.starts_with(char::is_whitespace) {
        "a blank stands before v=DMARC1"
    } else if is_meant(text) {
        "v=DMARC1 must be written with exactly these letters"
    } else {
        "the record does not begin with v=DMARC1"
    };
    Fault { at: 1, what: what.to_owned() }
}

/// Where in a value another tag begins that no semicolon parts from it.
pub(super) fn run_together(value: &str) -> Option<(usize, &'static str)> {
    let parts = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | '|' | '；');
    // Looks no further than a name reaches: a value may be nothing but separators.
    let ends_in_mailto = |head: &str| head.len().checked_sub(7).and_then(|at| head.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case("mailto:"));
    let begins = |rest: &str, tag: &str| {
        rest.split_at_checked(tag.len()).is_some_and(|(name, rest)| name.eq_ignore_ascii_case(tag) && rest.trim_start().starts_with('='))
    };
    value.char_indices().skip(1).find_map(|(at, _)| {
        let (head, rest) = value.split_at(at);
        if !head.ends_with(parts) || ends_in_mailto(head) {
            return None;
        }
        TAGS.into_iter().chain(REMOVED).find(|tag| begins(rest, tag)).map(|tag| (at, tag))
    })
}

/// Text of a stranger for a sentence of ours.
pub(super) fn quoted(text: &str) -> String {
    crate::text::shown(text, MOST_QUOTED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_known_by_their_version() {
        for (text, exact, intended) in [
            ("v=DMARC1; p=none", true, true),
            ("v = DMARC1 ;p=none", true, true),
            ("v=DMARC1", true, true),
            ("v=DMARC1, p=none", true, true),
            ("v=DMARC1 p=none", true, true),
            ("V=DMARC1; p=none", false, true),
            ("v=dmarc1;", false, true),
            (" v=DMARC1; p=none", false, true),
            ("\"v=DMARC1; p=none\"", false, true),
            ("“v=DMARC1; p=none”", false, true),
            ("v=DMARC1p=none", false, true),
            ("v=DMARC12; p=none", false, false),
            ("v=spf1", false, false),
            ("p=none; v=DMARC1", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_exact(text), is_meant(text)), (exact, intended), "{text}");
        }
    }

    #[test]
    fn records_as_long_as_dns_carries_are_read_once() {
        let long = (0..100_000).map(|n| format!("t{n}=;")).collect::<Vec<_>>().concat();
        assert_eq!(split(&format!("v=DMARC1;{long}")).map(|(tags, faults)| (tags.len(), faults.len())), Ok((100_001, 0)));
        assert!(split(&format!("v=DMARC1;{long}t7=")).unwrap_err().what.contains("t7= stands twice"));
        let separators = format!("v=DMARC1; rua={}", ", p ".repeat(200_000));
        assert_eq!(split(&separators).map(|(_, faults)| faults.len()), Ok(0));
        let nonsense = format!("v=DMARC1;{}", "x;".repeat(30_000));
        assert_eq!(split(&nonsense).map(|(_, faults)| faults.len()), Ok(MOST_FAULTS));
        let twice = format!("v=DMARC1;{0}=1;{0}=2", "x".repeat(30_000));
        assert!(split(&twice).unwrap_err().what.chars().count() < 100);
        for (value, found) in [("none, rua=x", Some((6, "rua"))), ("none  P  = x", Some((6, "p"))), ("mailto:p=x", None), ("none|ruax=1", None)] {
            assert_eq!(run_together(value), found, "{value}");
        }
    }

    proptest! {
        #[test]
        fn places_lie_within_the_record(text in "(v=DMARC1;?|v = DMARC1 )?([a-zé]{0,3} ?=? ?[ ;,:“\"a-z]{0,4};?){0,6}|\\PC{0,40}") {
            prop_assert!(!is_exact(&text) || is_meant(&text) || text.contains("DMARC1"));
            let length = text.chars().count();
            match split(&text) {
                Ok((tags, faults)) => {
                    prop_assert!(is_exact(&text));
                    for tag in tags {
                        prop_assert!(text.chars().skip(tag.at - 1).collect::<String>().starts_with(&tag.value), "{text} {tag:?}");
                    }
                    prop_assert!(faults.iter().all(|fault| (1..=length + 1).contains(&fault.at)), "{text} {faults:?}");
                }
                Err(fault) => prop_assert!((1..=length + 1).contains(&fault.at), "{text} {fault}"),
            }
        }
    }
}
