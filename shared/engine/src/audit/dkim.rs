//! DKIM keys (RFC 6376 3.6.1, 8301, 8463). Selectors can not be listed by DNS, so a guess that finds nothing is unknown, never "missing".

use std::collections::HashSet;

use waypost_types::{
    audit::{DkimKey, SelectorOrigin},
    outcome::Status,
};

use super::{
    AuditOptions, Facts, Family, Part,
    dkim_ask::{Answers, Asked, Wildcard, ask, unasked},
    dkim_key::{Fault, Kind, Service, is_meant_as_key, kind_as_written, parse},
    dkim_remarks,
    rules::remark,
};
use crate::net::{Lookup, Net};

/// Bits below which receivers refuse an RSA key (RFC 8301 3.2).
const LEAST_BITS: u32 = 1024;

/// Keys that mail can be signed with.
#[derive(Debug, Default)]
struct Usable {
    keys: usize,
    /// In bits of RSA.
    weakest: Option<u32>,
    /// Names whose key is for TLS reports alone, which is no mail's.
    reporting: HashSet<String>,
}

/// Why whoever verifies mail does not use a key record.
pub(crate) enum KeyFault {
    /// It holds no key that can be read, or was withdrawn.
    Unreadable(String),
    /// It holds one that must not be used for mail as it is.
    Refused(String),
}

/// What keeps a key record from being used for mail (RFC 6376 6.1.2, RFC 8301); nothing where nothing does.
pub(crate) fn key_fault(text: &str) -> Option<KeyFault> {
    let key = match parse(text) {
        Err(Fault::Syntax(broken)) => return Some(KeyFault::Unreadable(broken.reason)),
        Err(Fault::Ed25519Length { bytes, .. }) => return Some(KeyFault::Unreadable(format!("the Ed25519 key has {bytes} bytes, it must have 32"))),
        Ok(key) => key,
    };
    if key.revoked {
        return Some(KeyFault::Unreadable("it was revoked (p= is empty)".to_owned()));
    }
    let refused = if key.strength() < LEAST_BITS {
        format!("its RSA key has {} bits, and receivers refuse keys below {LEAST_BITS} (RFC 8301)", key.bits)
    } else if key.sha1_only {
        "it allows SHA-1 only (h=sha1), which receivers refuse (RFC 8301)".to_owned()
    } else if key.service != Service::Mail {
        "it is not for mail (s= lacks “email”)".to_owned()
    } else {
        return None;
    };
    Some(KeyFault::Refused(refused))
}

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    let mut part = Part::default();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let domain = facts.domain.as_str();
    part.detail.dkim_unasked = unasked(options);
    let answers = ask(net, facts, options).await;
    if let Wildcard::Records(_) | Wildcard::Changing = answers.wildcard {
        part.find(
            remark(
                "dkim.wildcard",
                domain,
                format!("*._domainkey.{domain} answers for every selector, so a missing key can not be told from a real one"),
            )
            .with("wildcard", format!("*._domainkey.{domain}")),
        );
    }
    let mut usable = Usable::default();
    // Services whose alias gives a key: another selector of theirs may be held ready without one.
    let mut served: HashSet<&str> = HashSet::new();
    for one in &answers.asked {
        match &one.answer {
            Lookup::Found(records) => {
                if look(net, &mut part, one, records, options, &mut usable) {
                    served.extend(one.leads_to());
                }
            }
            Lookup::Missing(_) if one.dangles() => {}
            Lookup::Missing(_) => {
                if let Some(found) = dkim_remarks::missing(one, None) {
                    part.find(found);
                }
            }
            Lookup::Failed(why) => {
                part.unknown_about(Family::Dkim, &one.name, format!("the key of selector {} could not be asked: {why}", one.selector));
            }
        }
    }
    for one in answers.asked.iter().filter(|one| one.dangles()) {
        let sibling = one.leads_to().is_some_and(|organisation| served.contains(organisation));
        if let Some(found) = dkim_remarks::dangling(one, sibling) {
            part.find(found);
        }
    }
    sum_up(&mut part, domain, &answers, &usable);
    if let Some(failure) = &answers.untold_alias {
        part.untold("dkim.alias_dangling", format!("the aliases of the selectors of {domain}: {failure}"));
    }
    part
}

/// What is to say of all selectors together.
fn sum_up(part: &mut Part, domain: &str, answers: &Answers, usable: &Usable) {
    if usable.keys > 0 {
        let word = match usable.weakest {
            Some(bits) if bits < 2048 => format!("{bits} bit"),
            _ if usable.keys == 1 => "1 key".to_owned(),
            _ => format!("{} keys", usable.keys),
        };
        part.word_by_findings(Status::Ok, word);
        return;
    }
    // Who says of all selectors that none signs took the keys away on purpose.
    let withdrawn = answers.wildcard == Wildcard::Revoked;
    let signs_mail = |one: &Asked| one.origin == SelectorOrigin::Seen || !usable.reporting.contains(&one.name);
    let known: Vec<&Asked> =
        answers.asked.iter().filter(|one| one.is_named() || (one.is_known() && !withdrawn)).filter(|one| signs_mail(one)).collect();
    let lost: Vec<&Asked> = known.iter().copied().filter(|one| one.origin == SelectorOrigin::Found).collect();
    let untold = !part.unknown.is_empty();
    let only_guesses = part.findings.iter().all(|finding| finding.rule == "dkim.alias_dangling");
    match (known.first(), &answers.failed_guess) {
        (Some(_), None) if !untold && !lost.is_empty() => match &answers.another {
            Ok(another) => part.find(dkim_remarks::none_left(domain, &lost, *another)),
            Err(failure) => part.untold("dkim.none_found", format!("whether there is another name below _domainkey.{domain}: {failure}")),
        },
        (Some(first), None) if !untold => part.find(
            remark(
                "dkim.none_found",
                domain,
                format!(
                    "None of the selectors known of {domain} has a key that receivers can use{}",
                    if answers.guessed { ", nor has a usual one" } else { "" }
                ),
            )
            .with("selector", &first.selector)
            .with("name", &first.name),
        ),
        (Some(_), Some(failure)) if !untold => part.untold("dkim.none_found", failure),
        _ => {}
    }
    if known.is_empty() && only_guesses && !untold {
        match &answers.failed_guess {
            Some(failure) => part.unknown("dkim", failure),
            // The domain says of all selectors that none signs: nothing is left to be told.
            None if answers.wildcard == Wildcard::Revoked => {
                part.word_by_findings(Status::None, "All revoked");
                return;
            }
            None if !answers.guessed => part.unknown("dkim", "no selector was named, and none was to be guessed"),
            None => part.unknown.push(dkim_remarks::no_usual_selector(answers)),
        }
    }
    match (part.findings.is_empty(), part.unknown.is_empty()) {
        (true, _) => part.word(Status::None, "Selector unknown"),
        (false, false) => part.word_by_findings(Status::None, "Selector unknown"),
        (false, true) => part.word_by_findings(Status::Warn, "No usable key"),
    }
}

/// Looks at what a selector answers; true when it is a key that mail can be signed with.
fn look(net: &Net, part: &mut Part, one: &Asked, records: &[Vec<u8>], options: &AuditOptions, usable: &mut Usable) -> bool {
    let texts: Vec<String> = records.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect();
    if one.wild
        && let Some(first) = texts.first()
        && !texts.iter().any(|text| parse(text).is_ok_and(|key| !key.revoked))
    {
        if let Some(found) = dkim_remarks::missing(one, Some(first)) {
            part.find(found);
        }
        return false;
    }
    let mut likely: Vec<&String> = texts.iter().filter(|text| one.is_named() || is_meant_as_key(text)).collect();
    // The one that is meant first: other records of the name are only counted.
    likely.sort_by_key(|text| !is_meant_as_key(text));
    let Some(text) = likely.first() else { return false };
    if likely.len() > 1 {
        dkim_remarks::several(part, one, likely.len());
    }
    let line = format!("{}: {text}", one.selector);
    let first_seen = options.known.since(Family::Dkim, &line);
    part.records.push(line);
    let parsed = parse(text);
    // What is wrong with one that can not be read is said below.
    let key = parsed.as_ref().ok();
    if is_meant_as_key(text) {
        part.detail.dkim.push(DkimKey {
            selector: one.selector.clone(),
            origin: one.origin,
            kind: key.map_or_else(|| kind_as_written(text), |key| if key.kind == Kind::Rsa { "rsa" } else { "ed25519" }.to_owned()),
            bits: key.filter(|key| !key.revoked).map(|key| key.bits),
            revoked: key.is_some_and(|key| key.revoked),
            testing: key.is_some_and(|key| key.testing),
            alias: one.aliases.last().cloned(),
            service: one.service().map(str::to_owned),
            mark: key.map_or_else(String::new, |key| key.mark.clone()),
            first_seen,
        });
    }
    dkim_remarks::judge(part, one, text, &parsed);
    match parsed {
        Ok(key) if !key.revoked => {
            dkim_remarks::age(part, one, first_seen, net.now());
            if key.service != Service::Mail {
                usable.reporting.extend((key.service == Service::TlsReports).then(|| one.name.clone()));
                return false;
            }
            usable.keys += 1;
            usable.weakest = Some(usable.weakest.map_or(key.strength(), |weakest| weakest.min(key.strength())));
            true
        }
        Ok(_) | Err(_) => false,
    }
}
