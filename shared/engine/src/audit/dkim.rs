//! DKIM keys (RFC 6376 3.6.1, 8301, 8463). Selectors can not be listed by DNS, so a guess that finds nothing is unknown, never "missing".

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use waypost_types::{Severity, outcome::Status};
use x509_parser::{prelude::FromDer, public_key::PublicKey, x509::SubjectPublicKeyInfo};

use super::{
    AuditOptions, Facts, Family, Known, Part,
    rules::{Remark, remark},
    selectors,
};
use crate::net::{DnsFailure, Lookup, Net};

/// Why nothing can be said of DKIM where no resolver failed.
pub const NO_USUAL_SELECTOR: &str =
    "no key at the usual selectors; name the selector of a signed message (its DKIM-Signature header has s=) to have it checked";

/// Selectors asked at once.
const AT_ONCE: usize = 24;
/// Selectors given by hand that are looked at.
const MOST_BY_HAND: usize = 50;
/// Days after which a key should have been changed: thirteen months.
const MOST_DAYS: i64 = 396;
/// Nobody has this one: an answer means a wildcard.
const NOBODYS: &str = "waypost-7f3a91c2-wildcard-test";

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    let mut part = Part::default();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let domain = facts.domain.as_str();
    let mut wanted = wanted(options);
    wanted.push((NOBODYS.to_owned(), Origin::Guessed));
    let answers: Vec<(String, Origin, Lookup<Vec<u8>>)> = stream::iter(wanted)
        .map(|(selector, origin)| async move {
            let answer = net.dns().txt(&format!("{selector}._domainkey.{domain}")).await;
            (selector, origin, answer)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let wildcard = answers.iter().any(|(selector, _, answer)| selector == NOBODYS && matches!(answer, Lookup::Found(_)));
    if wildcard {
        part.find(remark(
            "dkim.wildcard",
            domain,
            format!("*._domainkey.{domain} answers for every selector, so a missing key can not be told from a real one"),
        ));
    }
    let mut keys = 0;
    let mut weakest: Option<u32> = None;
    let mut failure: Option<DnsFailure> = None;
    for (selector, origin, answer) in
        answers.into_iter().filter(|(selector, origin, _)| selector != NOBODYS && (*origin != Origin::Guessed || !wildcard))
    {
        let name = format!("{selector}._domainkey.{domain}");
        match answer {
            Lookup::Found(records) => {
                if let Some(bits) = key(&mut part, &name, &selector, &records, origin) {
                    let since = first_seen(&options.known, &part.records);
                    age(&mut part, &name, &selector, since, net.now());
                    keys += 1;
                    weakest = Some(weakest.map_or(bits, |w| w.min(bits)));
                }
            }
            Lookup::Missing(_) => key_missing(&name, origin).into_iter().for_each(|finding| part.find(finding)),
            Lookup::Failed(why) => failure = Some(why),
        }
    }
    if keys == 0 && part.findings.is_empty() {
        match failure {
            Some(failure) => part.unknown("dkim", failure),
            None => part.unknown("dkim", NO_USUAL_SELECTOR),
        }
        part.word(Status::None, "Selector unknown");
        return part;
    }
    let word = match weakest {
        Some(bits) if bits < 2048 => format!("{bits} bit"),
        _ if keys == 1 => "1 key".to_owned(),
        _ => format!("{keys} keys"),
    };
    part.word_by_findings(Status::Ok, word);
    part
}

/// How a selector came to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A signature or a report named it: mail is signed with it.
    Seen,
    /// Somebody typed it.
    ByHand,
    /// From the catalog of usual ones.
    Guessed,
}

/// The selectors to ask, each once, with the best that is known of it.
fn wanted(options: &AuditOptions) -> Vec<(String, Origin)> {
    let seen = options.seen_selectors.iter().take(MOST_BY_HAND).map(|selector| (selector.clone(), Origin::Seen));
    let by_hand = options.selectors.iter().take(MOST_BY_HAND).map(|selector| (selector.clone(), Origin::ByHand));
    let guessed = selectors::common().iter().map(|selector| (selector.clone(), Origin::Guessed));
    let mut asked = std::collections::HashSet::new();
    seen.chain(by_hand).chain(guessed).filter(|(selector, _)| asked.insert(selector.to_ascii_lowercase())).collect()
}

/// What to say of a selector without a key: only one that was seen proves that mail is signed with it.
fn key_missing(name: &str, origin: Origin) -> Option<Remark> {
    match origin {
        Origin::Seen => Some(remark("dkim.key_missing", name, format!("There is no DKIM key at {name}, although mail is signed with that selector"))),
        Origin::ByHand => Some(
            remark("dkim.key_missing", name, format!("There is no DKIM key at {name}, a selector that was named by hand")).severity(Severity::High),
        ),
        Origin::Guessed => None,
    }
}

/// Looks at what a selector answers. Gives the strength of a usable key in RSA bits.
fn key(part: &mut Part, name: &str, selector: &str, records: &[Vec<u8>], origin: Origin) -> Option<u32> {
    let known = origin != Origin::Guessed;
    let texts: Vec<String> = records.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect();
    let likely: Vec<&String> = texts.iter().filter(|text| known || text.contains("p=")).collect();
    if likely.is_empty() {
        return None;
    }
    if likely.len() > 1 {
        part.find(remark("dkim.multiple_records", name, format!("{name} has {} records; receivers may take any of them", likely.len())));
    }
    let text = likely[0];
    part.records.push(format!("{selector}: {text}"));
    match parse(text) {
        Err(Fault::Ed25519Length(bytes)) => {
            part.find(remark("dkim.ed25519_bad_length", name, format!("The Ed25519 key at {name} has {bytes} bytes, it must have 32")));
            None
        }
        Err(Fault::Syntax(reason)) => {
            part.find(remark("dkim.syntax", name, format!("The DKIM key at {name} can not be read: {reason}")));
            None
        }
        Ok(key) if key.revoked => {
            // An old key withdrawn is good housekeeping; only a selector in use makes it a problem.
            if known {
                part.find(remark(
                    "dkim.revoked",
                    name,
                    format!(
                        "The DKIM key at {name} is revoked (empty p=){}",
                        if origin == Origin::Seen { ", although mail is signed with it" } else { "" }
                    ),
                ));
            }
            None
        }
        Ok(key) => {
            strength(part, name, selector, &key);
            Some(key.bits)
        }
    }
}

/// Since when the key that was looked at last is there as it is.
fn first_seen(known: &Known, records: &[String]) -> Option<DateTime<Utc>> {
    records.last().and_then(|line| known.since(Family::Dkim, line))
}

/// Says so where the same key stands for too long; without knowledge of its age nothing is said.
fn age(part: &mut Part, name: &str, selector: &str, since: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    let Some(since) = since.filter(|since| (now - *since).num_days() > MOST_DAYS) else { return };
    part.find(remark("dkim.key_old", name, format!("DKIM key {selector} is the same since {} at least", since.format("%Y-%m-%d"))));
}

fn strength(part: &mut Part, name: &str, selector: &str, key: &Key) {
    match key.kind {
        Kind::Rsa if key.bits < 1024 => {
            part.find(remark("dkim.rsa_too_short", name, format!("DKIM key {selector} has {} bits; receivers refuse keys below 1024", key.bits)));
        }
        Kind::Rsa if key.bits < 2048 => {
            part.find(remark("dkim.rsa_1024", name, format!("DKIM key {selector} has {} bits; 2048 is the standard", key.bits)));
        }
        Kind::Rsa if key.bits > 4096 => {
            part.find(remark("dkim.rsa_too_long", name, format!("DKIM key {selector} has {} bits; many receivers stop at 4096", key.bits)));
        }
        Kind::Rsa | Kind::Ed25519 => {}
    }
    if key.testing {
        part.find(remark("dkim.testing", name, format!("DKIM key {selector} is marked as a test (t=y): receivers may treat its mail as unsigned")));
    }
    if key.sha1_only {
        part.find(remark("dkim.sha1", name, format!("DKIM key {selector} allows SHA-1 signatures only (h=sha1), which receivers refuse")));
    }
    if key.other_service {
        part.find(remark("dkim.service_type", name, format!("DKIM key {selector} is not for mail (s= lacks “email”)")));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    Ed25519,
}

#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // flags of the record, each on its own
pub(super) struct Key {
    kind: Kind,
    /// RSA modulus; Ed25519 counts as 3072, the strength it is worth.
    bits: u32,
    revoked: bool,
    testing: bool,
    sha1_only: bool,
    other_service: bool,
}

/// Why a key can not be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax(String),
    /// Bytes of an Ed25519 key that are not 32 (RFC 8463 4).
    Ed25519Length(usize),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Syntax(reason)
    }
}

/// Parses a key record (RFC 6376 3.2, 3.6.1).
pub(super) fn parse(text: &str) -> Result<Key, Fault> {
    let tags = tags(text)?;
    let tag = |name: &str| tags.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    if let Some(version) = tag("v")
        && (version != "DKIM1" || tags[0].0 != "v")
    {
        return Err("v= must be DKIM1 and stand first".to_owned().into());
    }
    let list = |name: &str| tag(name).map(|value| value.split(':').map(|item| item.trim().to_ascii_lowercase()).collect::<Vec<_>>());
    let kind = match tag("k").unwrap_or("rsa") {
        "rsa" => Kind::Rsa,
        "ed25519" => Kind::Ed25519,
        other => return Err(format!("k={other} is no key type that receivers know").into()),
    };
    let encoded: String = tag("p").ok_or_else(|| "p= is missing".to_owned())?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let mut key = Key {
        kind,
        bits: 3072,
        revoked: encoded.is_empty(),
        testing: list("t").is_some_and(|flags| flags.iter().any(|f| f == "y")),
        sha1_only: list("h").is_some_and(|hashes| !hashes.is_empty() && hashes.iter().all(|h| h == "sha1")),
        other_service: list("s").is_some_and(|services| !services.iter().any(|s| s == "*" || s == "email")),
    };
    if key.revoked {
        return Ok(key);
    }
    let der = STANDARD.decode(&encoded).map_err(|_| "p= is not valid base64".to_owned())?;
    match kind {
        Kind::Ed25519 if der.len() == 32 => {}
        Kind::Ed25519 => return Err(Fault::Ed25519Length(der.len())),
        Kind::Rsa => key.bits = rsa_bits(&der).ok_or_else(|| "p= holds no RSA key".to_owned())?,
    }
    Ok(key)
}

/// Bits of the modulus of a `SubjectPublicKeyInfo`, or of the bare `RSAPublicKey` that some publish.
fn rsa_bits(der: &[u8]) -> Option<u32> {
    let modulus_bits = |modulus: &[u8]| {
        let digits: Vec<u8> = modulus.iter().copied().skip_while(|byte| *byte == 0).collect();
        let first = digits.first()?;
        u32::try_from(digits.len()).ok().map(|len| len * 8 - first.leading_zeros())
    };
    if let Ok((_, spki)) = SubjectPublicKeyInfo::from_der(der) {
        return match spki.parsed() {
            Ok(PublicKey::RSA(rsa)) => modulus_bits(rsa.modulus),
            _ => None,
        };
    }
    bare_modulus(der).and_then(modulus_bits)
}

/// `SEQUENCE { INTEGER modulus, … }`.
fn bare_modulus(der: &[u8]) -> Option<&[u8]> {
    let (tag, body) = tlv(der)?;
    let (inner, modulus) = tlv(body)?;
    (tag == 0x30 && inner == 0x02).then_some(modulus)
}

fn tlv(der: &[u8]) -> Option<(u8, &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count > 4 || rest.len() < count {
            return None;
        }
        (rest[..count].iter().fold(0_usize, |len, byte| (len << 8) | usize::from(*byte)), &rest[count..])
    };
    rest.get(..len).map(|body| (tag, body))
}

/// `name=value;` lists of DKIM and DMARC: names once, white space around both sides ignored, an empty last part allowed.
pub(super) fn tags(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for piece in text.split(';').map(str::trim).filter(|piece| !piece.is_empty()) {
        let (name, value) =
            piece.split_once('=').ok_or_else(|| format!("“{}” is no tag: it lacks “=”", piece.chars().take(40).collect::<String>()))?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("“{name}” is no name of a tag"));
        }
        if tags.iter().any(|(other, _)| other == name) {
            return Err(format!("the tag {name}= stands twice"));
        }
        tags.push((name.to_owned(), value.trim().to_owned()));
    }
    if tags.is_empty() { Err("there is no tag in it".to_owned()) } else { Ok(tags) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

    #[test]
    fn keys_as_the_standards_write_them() {
        let rsa = parse(&format!("v=DKIM1; k=rsa; p={RSA_1024}")).unwrap();
        assert_eq!((rsa.kind, rsa.bits, rsa.revoked), (Kind::Rsa, 1024, false));
        let ed = parse("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
        assert_eq!(ed.kind, Kind::Ed25519);
        assert!(parse("v=DKIM1; p=").unwrap().revoked);
        assert!(parse(&format!("t=y:s; h=sha1; s=tlsrpt; p={RSA_1024}")).is_ok_and(|k| k.testing && k.sha1_only && k.other_service));
    }

    #[test]
    fn what_is_broken_says_how() {
        for text in
            ["", "v=DKIM1; k=rsa", "v=DKIM2; p=", "p=abc; v=DKIM1", "k=dsa; p=AAAA", "p=!!!!", "p=AAAA", "p=; p=", "k=ed25519; p=AAAA", "hello"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_ed25519_key_of_another_length_has_its_own_rule() {
        assert_eq!(parse("k=ed25519; p=AAAA"), Err(Fault::Ed25519Length(3)));
        let judged = |text: &str| {
            let mut part = Part::default();
            key(&mut part, "s._domainkey.a.example", "s", &[text.as_bytes().to_vec()], Origin::Guessed);
            part.findings.len()
        };
        assert_eq!(judged("k=ed25519; p=AAAA"), 1);
        assert_eq!(judged("k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), 0);
    }

    #[test]
    fn only_a_selector_that_was_seen_proves_signed_mail() {
        let finding = |origin| {
            let mut part = Part::default();
            if let Some(finding) = key_missing("n", origin) {
                part.find(finding);
            }
            part.findings.pop()
        };
        assert_eq!(finding(Origin::Seen).unwrap().severity, Severity::Critical);
        let by_hand = finding(Origin::ByHand).unwrap();
        assert_eq!(by_hand.severity, Severity::High);
        assert!(!by_hand.summary.contains("is signed"));
        assert!(finding(Origin::Guessed).is_none());
    }

    #[test]
    fn a_key_is_old_after_thirteen_months() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let since = now - chrono::Duration::days(400);
        let line = "s: p=A".to_owned();
        let known = Known { records: [(Family::Dkim.key().to_owned(), vec![(line.clone(), since)])].into() };
        for (record, at, wanted) in [(line.as_str(), now, 1), (line.as_str(), since + chrono::Duration::days(396), 0), ("s: p=B", now, 0)] {
            let mut part = Part::default();
            age(&mut part, "n", "s", first_seen(&known, &[record.to_owned()]), at);
            assert_eq!(part.findings.len(), wanted, "{record} {at}");
        }
    }

    #[test]
    fn a_selector_is_asked_once() {
        let options = AuditOptions { selectors: vec!["One".into(), "two".into()], seen_selectors: vec!["one".into()], ..AuditOptions::default() };
        let wanted = wanted(&options);
        assert_eq!(wanted[..2], [("one".to_owned(), Origin::Seen), ("two".to_owned(), Origin::ByHand)]);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,80}", der in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _: Result<_, _> = parse(&text);
            let _: Option<u32> = rsa_bits(&der);
        }
    }
}
