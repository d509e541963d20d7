//! The DMARC record to publish in place of one with mistakes: quotes, separators, version and a misspelt rua= put right, report addresses that lack
//! their scheme completed, those that get nothing taken out, and psd=y where nobody registers. What the policies say is not changed here, except
//! for a name without any mail, all of which is to be refused.

use std::collections::BTreeSet;

use waypost_types::DomainName;

use super::{
    dmarc_address::{self, meant_address},
    dmarc_record::{Draft, Policy, Psd, Record, Standing},
    dmarc_tags::{REMOVED, TAGS, is_quote, run_together},
};

/// What is known beside the record itself.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    /// A mailbox of the domain's own, where it takes mail.
    pub(super) mailbox: Option<&'a str>,
    /// The name is one under which others register.
    pub(super) registry: bool,
    /// It neither takes mail nor is known to send any.
    pub(super) parked: bool,
    /// Hosts of report addresses that take no mail.
    pub(super) dead: BTreeSet<DomainName>,
    /// Hosts that have not agreed to take reports.
    pub(super) unauthorised: BTreeSet<DomainName>,
}

/// The record with all put right that is nobody's to decide: how it is written and where reports go. Its policies stay, and the share of mail that
/// they are for; only those of a name without any mail are closed.
pub(super) fn better(text: &str, record: &Record, known: &Known<'_>) -> Record {
    let mut record = repaired(text).unwrap_or_else(|| record.clone());
    // Only where reports go is put right: a policy or an alignment that was never in force may stop mail.
    if let Some(tag) = record.tags.iter().position(|tag| is_unknown(&tag.name) && meant(&tag.name, &tag.value, &record) == Some("rua")) {
        "rua".clone_into(&mut record.tags[tag].name);
        let text: Vec<String> = record.tags.iter().map(|tag| format!("{}={}", tag.name, tag.value)).collect();
        record = Record::parse(&text.join("; ")).unwrap_or(record);
    }
    let mut draft = record.draft();
    if known.parked {
        // Of the names below nothing is known: what is said of them stays.
        draft = Draft { p: Policy::Reject, testing: false, share: None, ..draft };
    }
    if record.psd == Psd::Yes && !known.registry {
        record.psd = Psd::Unsaid;
    }
    for (tag, bad) in &record.bad_addresses {
        let Some(address) =
            meant_address(&bad.text).filter(|address| !known.dead.contains(&address.host) && !known.unauthorised.contains(&address.host))
        else {
            continue;
        };
        if *tag == "rua" { &mut record.rua } else { &mut record.ruf }.push(address);
    }
    // Without another mailbox the dead one stays: which one takes its place only its owner knows.
    let alive = |addresses: &[dmarc_address::ReportAddress]| addresses.iter().any(|address| !known.dead.contains(&address.host));
    if alive(&record.rua) || known.mailbox.is_some() {
        record.rua.retain(|address| !known.dead.contains(&address.host));
    }
    record.ruf.retain(|address| !known.dead.contains(&address.host));
    let value = record.with(draft, known.mailbox.filter(|_| !known.parked));
    Record::parse(&value).unwrap_or(record)
}

fn is_unknown(name: &str) -> bool {
    !TAGS.contains(&name) && !REMOVED.contains(&name)
}

/// The text without quotes, but for those of addresses that can be read with them, and apostrophes within a mailbox's name (`o'brien@…`).
fn unquoted(text: &str) -> String {
    let parts = |c: char| c.is_whitespace() || matches!(c, ';' | ',');
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(parts) {
        let body = piece.trim_end_matches(parts);
        let uri = body.split_once('=').map_or(body, |(_, value)| value);
        if body.contains('\'') && dmarc_address::list(uri, 1, 1).1.is_empty() {
            out.push_str(piece);
            continue;
        }
        let chars: Vec<char> = piece.chars().collect();
        // Whether what begins there is the rest of a mailbox's name and its “@”.
        let mut leads = vec![false; chars.len() + 1];
        for (at, c) in chars.iter().enumerate().rev() {
            leads[at] = *c == '@' || (is_of_mailbox(*c) && leads[at + 1]);
        }
        let mut before = None;
        for (at, c) in chars.into_iter().enumerate() {
            if !is_quote(c) {
                out.push(c);
            } else if matches!(c, '\'' | '’') && before.is_some_and(is_of_mailbox) && leads[at + 1] {
                // Word processors write the typographic one.
                out.push('\'');
            }
            before = Some(c);
        }
    }
    out
}

fn is_of_mailbox(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/?^_`{|}~.’".contains(c)
}

/// A record with its quotes, separators and version put right, where that makes it one that receivers take in full.
pub(super) fn repaired(text: &str) -> Option<Record> {
    let plain = unquoted(&text.replace('；', ";"));
    let mut pieces = Vec::new();
    for piece in plain.split(';') {
        let mut rest = piece.trim();
        while let Some((at, _)) = run_together(rest) {
            pieces.push(rest[..at].trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | '|')).to_owned());
            rest = &rest[at..];
        }
        pieces.push(rest.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '.')).to_owned());
    }
    pieces.retain(|piece| !piece.is_empty());
    let version = pieces.first_mut().filter(|first| first.to_ascii_lowercase().replace([' ', '\t'], "") == "v=dmarc1")?;
    "v=DMARC1".clone_into(version);
    let joined = pieces.join(";").replace(";mailto:", ",mailto:");
    Record::parse(&joined).ok().filter(|record| record.standing() == Standing::Full)
}

/// The tag that an unknown one was meant to be: one letter away, fit for its value, and not there yet.
pub(super) fn meant(name: &str, value: &str, record: &Record) -> Option<&'static str> {
    let candidates: &[&'static str] = if Policy::parse(value).is_some() {
        &["sp", "np"]
    } else if value.to_ascii_lowercase().starts_with("mailto:") {
        &["rua", "ruf"]
    } else if value.eq_ignore_ascii_case("r") || value.eq_ignore_ascii_case("s") {
        &["adkim", "aspf"]
    } else {
        &["psd"]
    };
    let mut near = candidates.iter().copied().filter(|tag| record.tag(tag).is_none() && one_apart(name, tag));
    let first = near.next()?;
    // Between sp and np nobody can choose; of the addresses the first is the usual one.
    (first == "rua" || near.next().is_none()).then_some(first)
}

/// One letter more, less or other, or two neighbours swapped.
fn one_apart(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (long, short) = if a.len() >= b.len() { (&a, &b) } else { (&b, &a) };
    let same = long.iter().zip(short).take_while(|(x, y)| x == y).count();
    match long.len() - short.len() {
        0 if same == long.len() => false,
        0 => {
            long[same + 1..] == short[same + 1..]
                || (same + 1 < long.len() && long[same] == short[same + 1] && long[same + 1] == short[same] && long[same + 2..] == short[same + 2..])
        }
        1 => long[same + 1..] == short[same..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_is_repaired_when_it_is_clear_what_it_means() {
        for (text, repair) in [
            ("v=DMARC1 p=reject", Some("v=DMARC1; p=reject")),
            ("V=dmarc1; p=reject", Some("v=DMARC1; p=reject")),
            ("\"v=DMARC1; p=reject; rua=mailto:d@e.example\"", Some("v=DMARC1; p=reject; rua=mailto:d@e.example")),
            ("v=DMARC1\\; p=reject", Some("v=DMARC1; p=reject")),
            ("v=DMARC1, p=reject, rua=mailto:d@e.example", Some("v=DMARC1; p=reject; rua=mailto:d@e.example")),
            ("v=DMARC1: p=quarantine: sp=none", Some("v=DMARC1; p=quarantine; sp=none")),
            ("v=DMARC1; p=none; rua=mailto:a@e.example; mailto:b@e.example", Some("v=DMARC1; p=none; rua=mailto:a@e.example,mailto:b@e.example")),
            ("v=DMARC1; p=“reject”", Some("v=DMARC1; p=reject")),
            ("v=DMARC1; p=rejct", None),
            ("v=DMARC1; p=none; p=reject", None),
            // An apostrophe may be part of a mailbox's name.
            ("v=DMARC1; p=none; rua=mailto:o'brien@e.example", Some("v=DMARC1; p=none; rua=mailto:o'brien@e.example")),
            ("'v=DMARC1; p=none; rua=mailto:o'brien@e.example'", Some("v=DMARC1; p=none; rua=mailto:o'brien@e.example")),
            (
                "v=DMARC1, p=none, rua=\"mailto:d'@e.example,mailto:o’brien@e.example\"",
                Some("v=DMARC1; p=none; rua=mailto:d'@e.example,mailto:o'brien@e.example"),
            ),
            ("v=DMARC1; p='none'; rua='mailto:d@e.example'", Some("v=DMARC1; p=none; rua=mailto:d@e.example")),
            ("v=DMARC1; p=none; rua=mailto:d@e.example,'mailto:x@e.example'", Some("v=DMARC1; p=none; rua=mailto:d@e.example,mailto:x@e.example")),
            (
                "v=DMARC1; p=none; rua='mailto:a@e.example,mailto:o'brien@e.example'",
                Some("v=DMARC1; p=none; rua=mailto:a@e.example,mailto:o'brien@e.example"),
            ),
            ("p=none", None),
        ] {
            assert_eq!(repaired(text).map(|record| record.mended(None)).as_deref(), repair, "{text}");
        }
        // Each of them looked at once: with the rest of the text looked at from each this would not end.
        assert!(!unquoted(&format!("rua=mailto:{}", "'".repeat(2_000_000))).contains('\''));
        let odd = Record::parse("v=DMARC1;ri=60;pct=5;fo=1:d;rf=afrf;ruf=mailto:f@e.example;np=reject;psd=n;t=y;aspf=s;adkim=r;p=reject").unwrap();
        assert_eq!(
            odd.mended(Some("d@e.example")),
            "v=DMARC1; p=reject; np=reject; t=y; pct=5; psd=n; aspf=s; rua=mailto:d@e.example; ruf=mailto:f@e.example; fo=1:d"
        );
    }

    #[test]
    fn a_slip_is_known_by_its_neighbour() {
        for (tags, name, value, wanted) in [
            ("p=none", "rau", "mailto:d@e.example", Some("rua")),
            ("p=none", "ru", "mailto:d@e.example", Some("rua")),
            ("p=none; rua=mailto:d@e.example", "ru", "mailto:d@e.example", Some("ruf")),
            ("p=none", "report", "mailto:d@e.example", None),
            ("p=none", "dkim", "s", Some("adkim")),
            ("p=none", "asfp", "s", Some("aspf")),
            ("p=none", "pp", "none", None),
            ("p=none; sp=none", "pp", "none", Some("np")),
            ("p=none", "pds", "y", Some("psd")),
            ("p=none", "x", "1", None),
        ] {
            let record = Record::parse(&format!("v=DMARC1; {tags}")).unwrap();
            assert_eq!(meant(name, value, &record), wanted, "{name}={value}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_a_repair_is_sound(
            text in "(v=DMARC1|V=dmarc1|\"v=DMARC1)?([;, :|]{1,2}(p|sp|np|t|psd|adkim|rua|ruf|pct|x)? ?=? ?(none|reject|y|s|mailto:a@b.c|[\\PC]{0,4})){0,7}",
            any in "\\PC{0,60}",
        ) {
            for text in [text, any] {
                let Some(record) = repaired(&text) else { continue };
                let again = Record::parse(&record.mended(None)).unwrap();
                prop_assert!(again.faults.is_empty() && again.standing() == Standing::Full, "{} {:?}", text, again);
                for tag in &record.tags {
                    prop_assert!(meant(&tag.name, &tag.value, &record).is_none_or(|tag| record.tag(tag).is_none()));
                }
            }
        }

        #[test]
        fn one_apart_is_the_same_both_ways(a in "[a-c]{0,5}", b in "[a-c]{0,5}") {
            prop_assert_eq!(one_apart(&a, &b), one_apart(&b, &a));
            prop_assert!(!one_apart(&a, &a));
        }
    }
}
