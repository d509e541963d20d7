//! How an SPF record is carried in DNS: the strings it is cut into (RFC 7208 3.3), the size of the answer (3.4), the retired type (3.1).

use std::time::Duration;

use tokio::time::timeout;

use super::{Part, rules::remark};
use crate::{
    net::{DnsFailure, Lookup, Net, QueryFlags, RecordType},
    spf::{is_spf, is_term},
};

/// The retired type of SPF records (RFC 7208 3.1).
const TYPE_SPF: u16 = 99;
/// Some firewalls drop questions of types that they do not know: what is a hint is not waited for longer than the audit itself takes.
const HINT_WAIT: Duration = Duration::from_secs(1);
/// A record longer than this leaves no room in an answer of 512 octets (RFC 7208 3.4).
const MOST_RECORD: usize = 450;
/// Octets of the longest term that is looked at where two strings meet; there may be tens of thousands of strings.
const MOST_TERM: usize = 300;
/// What fits every path over UDP (RFC 9715).
const MOST_ANSWER: usize = 1232;
/// Octets of an answer beside its records: header, question, EDNS.
const ANSWER_HEAD: usize = 12 + 4 + 11;
/// Octets of a record beside its data, the name compressed.
const RECORD_HEAD: usize = 12;

/// What a look at the wire saw.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// All TXT records of the name, each in its strings.
    records: Vec<Vec<Vec<u8>>>,
    /// Why they could not be told.
    untold: Option<DnsFailure>,
    /// A record of the retired type exists.
    retired: bool,
}

/// Asks. That a server does not answer for the retired type is common, and leaves nothing open: its rule is a hint.
pub(super) async fn look(net: &Net, domain: &str) -> Wire {
    let flags = QueryFlags { recursion: true, ..QueryFlags::default() };
    let (records, retired) =
        tokio::join!(net.dns().txt_parts(domain), timeout(HINT_WAIT, net.query(None, domain, RecordType::from(TYPE_SPF), flags)));
    let retired = retired.is_ok_and(|answer| {
        answer.is_ok_and(|answer| answer.code == 0 && answer.answers.iter().any(|record| u16::from(record.record_type()) == TYPE_SPF))
    });
    match records {
        Lookup::Failed(failure) => Wire { untold: Some(failure), retired, ..Wire::default() },
        records => Wire { records: records.found(), untold: None, retired },
    }
}

/// Remarks what was seen.
pub(super) fn judge(domain: &str, wire: &Wire, part: &mut Part) {
    if let Some(failure) = &wire.untold {
        for rule in ["spf.too_long_string", "spf.record_too_big"] {
            part.untold(rule, format!("the strings of the TXT records of {domain}: {failure}"));
        }
    }
    for strings in &wire.records {
        if mended(strings).is_some() {
            let seen = "The SPF record is cut into strings with no space between two terms: receivers join them into one wrong word";
            part.find(remark("spf.too_long_string", domain, seen));
        }
    }
    let longest = wire.records.iter().map(|strings| strings.concat()).filter(|text| is_spf(text)).map(|text| text.len()).max().unwrap_or(0);
    let answer = wire.records.iter().map(|strings| RECORD_HEAD + strings.iter().map(|string| string.len() + 1).sum::<usize>()).sum::<usize>()
        + ANSWER_HEAD
        + domain.len()
        + 2;
    if longest > MOST_RECORD {
        part.find(remark("spf.record_too_big", domain, format!("The SPF record has {longest} characters; large answers are lost on some paths")));
    } else if longest > 0 && answer > MOST_ANSWER {
        let seen = format!(
            "The {} TXT records of {domain} need an answer of {answer} bytes; more than {MOST_ANSWER} are lost on some paths, and SPF with them",
            wire.records.len()
        );
        part.find(remark("spf.record_too_big", domain, seen).fix("Remove TXT records that nobody needs any more, such as old proofs of ownership."));
    }
    if wire.retired {
        part.find(remark("spf.type99", domain, format!("{domain} has a record of the retired type SPF (99), which receivers do not ask for")));
    }
}

/// The record as it was meant, where it is the one of the name that is cut wrongly.
pub(super) fn meant(wire: &Wire) -> Option<String> {
    let mut meant = wire.records.iter().filter_map(|strings| mended(strings));
    meant.next().filter(|_| meant.next().is_none())
}

/// A record that somebody meant for SPF and that receivers take for other text: what is wrong at its beginning, it, and how it should begin.
pub(super) fn mistaken(wire: &Wire) -> Option<(&'static str, String, String)> {
    wire.records.iter().filter(|strings| mended(strings).is_none()).find_map(|strings| {
        let text = String::from_utf8_lossy(&strings.concat()).into_owned();
        if is_spf(text.as_bytes()) {
            return None;
        }
        let quote = |c: char| matches!(c, '"' | '\'' | '\\' | '“' | '”' | '„');
        let bare = text.trim_matches(|c: char| c.is_whitespace() || quote(c) || c == '\u{feff}');
        let (name, rest) = bare.split_once('=')?;
        let rest = rest.trim_start();
        let version = rest.get(..4)?;
        let is_meant =
            name.trim().eq_ignore_ascii_case("v") && version.eq_ignore_ascii_case("spf1") && !rest[4..].starts_with(|c: char| c.is_ascii_digit());
        let what = match () {
            () if !is_meant => return None,
            () if text.starts_with(quote) => "quotes stand before v=spf1",
            () if !text.starts_with(['v', 'V']) => "something stands before v=spf1",
            () if !bare.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("v=spf1")) => "v=spf1 must be written without spaces",
            () => "a space is missing after v=spf1",
        };
        let better = format!("v=spf1 {}", rest[4..].trim_start_matches([' ', '\t', ',', ';', ':']));
        Some((what, text, better.trim_end().to_owned()))
    })
}

/// Whether a record is so long that it leaves no room in an answer.
pub(super) const fn is_too_long(record: &str) -> bool {
    record.len() > MOST_RECORD
}

/// The record as it was meant, where two strings of it run into each other.
fn mended(strings: &[Vec<u8>]) -> Option<String> {
    let first = strings.first()?;
    let is_meant = is_spf(&strings.concat()) || (is_spf(first) && !first.contains(&b' '));
    if !is_meant || strings.iter().any(|string| !string.is_ascii()) {
        return None;
    }
    let strings: Vec<String> = strings.iter().map(|string| String::from_utf8_lossy(string).into_owned()).collect();
    let mut text = String::new();
    let mut broken = false;
    for string in &strings {
        if !text.is_empty() && runs_on(&text, string) {
            text.push(' ');
            broken = true;
        }
        text.push_str(string);
    }
    broken.then_some(text)
}

/// The end of a text that may be a term.
fn tail(text: &str) -> &str {
    text.get(text.len().saturating_sub(MOST_TERM + 1)..).unwrap_or(text)
}

/// Two terms meet without a space: each is one by itself, and together they are none, or the second begins as only terms do.
fn runs_on(left: &str, right: &str) -> bool {
    let left = tail(left).rsplit(' ').next().unwrap_or_default();
    let right = right.split(' ').next().unwrap_or_default();
    if left.is_empty() || left.len() > MOST_TERM || right.is_empty() || !(is_term(left) || left.eq_ignore_ascii_case("v=spf1")) || !is_term(right) {
        return false;
    }
    let lower = right.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
    let plain = lower.len() == right.len();
    let named = ["ip4:", "ip6:", "include:", "exists:", "redirect=", "exp="].iter().any(|name| lower.starts_with(name));
    named || (!plain && lower == "all") || left.eq_ignore_ascii_case("v=spf1") || !is_term(&format!("{left}{right}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> Vec<Vec<u8>> {
        text.split('|').map(|string| string.as_bytes().to_vec()).collect()
    }

    #[test]
    fn strings_that_run_on_are_told_from_strings_cut_anywhere() {
        for (strings, wanted) in [
            ("v=spf1 ip4:192.0.2.1|ip4:192.0.2.2 -all", "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"),
            ("v=spf1 include:a.example|include:b.example|-all", "v=spf1 include:a.example include:b.example -all"),
            ("v=spf1 ip4:192.0.2.1|mx -all", "v=spf1 ip4:192.0.2.1 mx -all"),
            ("v=spf1|mx -all", "v=spf1 mx -all"),
            ("v=spf1 mx|~all", "v=spf1 mx ~all"),
        ] {
            assert_eq!(mended(&cut(strings)).as_deref(), Some(wanted), "{strings}");
        }
        for fine in [
            "v=spf1 ip4:192.0.2.1 |ip4:192.0.2.2 -all",
            "v=spf1 ip4:192.0.2.1| ip4:192.0.2.2 -all",
            "v=spf1 include:spf.a.exam|ple.com -all",
            "v=spf1 ip4:192.0.2.1|23 -all",
            "v=spf1 inc|lude:a.example -all",
            "v=spf1 include:spf.a|mx.example -all",
            "v=spf1 include:_spf.goog|le.com|",
            "hello|v=spf1",
            "v=spf1 -all",
            "",
        ] {
            assert_eq!(mended(&cut(fine)), None, "{fine}");
        }
    }

    #[test]
    fn records_that_begin_wrongly_are_known() {
        let seen = |text: &str| mistaken(&Wire { records: vec![cut(text)], ..Wire::default() }).map(|(what, _, better)| (what, better));
        for (text, what, better) in [
            ("v=spf1-all", "a space is missing", "v=spf1 -all"),
            ("v=spf1;mx -all", "a space is missing", "v=spf1 mx -all"),
            ("\"v=spf1 mx -all\"", "quotes stand", "v=spf1 mx -all"),
            (" v=spf1 mx -all", "something stands", "v=spf1 mx -all"),
            ("v = spf1 mx", "without spaces", "v=spf1 mx"),
        ] {
            assert!(seen(text).is_some_and(|(said, value)| said.contains(what) && value == better), "{text}: {:?}", seen(text));
        }
        for text in ["v=spf1 -all", "v=spf1", "v=spf10 -all", "spf2.0/pra", "v=DMARC1; p=none", "v=spf", "v=", "", "v=spf1|mx -all", "x v=spf1 -all"]
        {
            assert_eq!(seen(text), None, "{text}");
        }
    }

    #[test]
    fn very_many_strings_are_joined_once() {
        let mut strings: Vec<Vec<u8>> = vec![b"v=spf1 include:".to_vec()];
        strings.extend(std::iter::repeat_n(b"a".to_vec(), 300_000));
        assert_eq!(mended(&strings), None);
        strings.push(b" mx".to_vec());
        strings.push(b"ip4:192.0.2.1".to_vec());
        assert!(mended(&strings).unwrap().ends_with("a mx ip4:192.0.2.1"));
    }

    /// What could not be asked opens nothing, and leaves open what was found before, and nothing else.
    #[test]
    fn strings_that_were_not_told_neither_open_nor_close() {
        let mut part = Part::default();
        judge("e.example", &Wire { untold: Some(DnsFailure::Timeout), ..Wire::default() }, &mut part);
        assert!(part.findings.is_empty(), "{part:?}");
        let stays = |rule: &str| {
            let before = remark(rule, "e.example", "seen before").done();
            part.unknown.iter().any(|unknown| crate::audit::leaves_open(unknown, &before))
        };
        for (rule, open) in [("spf.too_long_string", true), ("spf.record_too_big", true), ("spf.type99", false), ("spf.ptr_used", false)] {
            assert_eq!(stays(rule), open, "{rule}");
        }
        let mut told = Part::default();
        judge("e.example", &Wire::default(), &mut told);
        assert!(told.unknown.is_empty() && meant(&Wire::default()).is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..5), tail in "[ a-z:=.%~-]{0,12}") {
            let meant = [vec![b"v=spf1 mx".to_vec(), tail.into_bytes()], strings.clone()].concat();
            for strings in [strings, meant] {
                if let Some(better) = mended(&strings) {
                    prop_assert_eq!(better.replace(' ', ""), String::from_utf8_lossy(&strings.concat()).replace(' ', ""));
                }
            }
        }
    }

    #[test]
    fn sizes_and_the_retired_type() {
        let rules = |records: Vec<Vec<Vec<u8>>>, retired| {
            let mut part = Part::default();
            judge("e.example", &Wire { records, retired, ..Wire::default() }, &mut part);
            part.findings.into_iter().map(|finding| finding.rule).collect::<Vec<_>>()
        };
        let spf = cut("v=spf1 -all");
        let long = |n: usize| vec![b"v=spf1 x=".to_vec(), vec![b'x'; n.min(255)], vec![b'x'; n.saturating_sub(255)]];
        assert_eq!(rules(vec![spf.clone()], false), [""; 0]);
        assert_eq!(rules(vec![spf.clone()], true), ["spf.type99"]);
        assert_eq!(rules(vec![long(441)], false), [""; 0]);
        assert_eq!(rules(vec![long(442)], false), ["spf.record_too_big"]);
        let proofs = |n| vec![vec![vec![b'p'; 80]]; n];
        assert_eq!(rules([vec![spf.clone()], proofs(12)].concat(), false), [""; 0]);
        assert_eq!(rules([vec![spf], proofs(13)].concat(), false), ["spf.record_too_big"]);
        assert_eq!(rules(proofs(30), false), [""; 0]);
    }
}
