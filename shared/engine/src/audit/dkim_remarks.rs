//! What there is to say of one DKIM key or of a selector without one.

use chrono::{DateTime, Utc};
use waypost_types::{
    Severity,
    audit::SelectorOrigin,
    finding::{UnknownCause, UnknownPart},
};

use super::{
    Family, Part,
    dkim_ask::{Answers, Asked},
    dkim_key::{Fault, Key, Kind, Service, parse, repaired},
    repair,
    rules::{Remark, remark},
};

/// Days after which a key should have been changed: thirteen months.
const MOST_DAYS: i64 = 396;
/// Characters of a wildcard's answer that are quoted.
const MOST_QUOTED: usize = 60;
/// Selectors named in one sentence.
const MOST_NAMED: usize = 3;

/// A finding about a selector. Behind an alias the other end must change, and the fix says so.
fn about(one: &Asked, remark: Remark) -> Remark {
    let Some(target) = one.aliases.last() else { return remark };
    let owner = one.service().map_or_else(String::new, |service| format!(" ({service})"));
    let finding = remark.done();
    let fix = format!("{} {} is an alias (CNAME): the record to change is at {target}{owner}.", finding.fix, one.name);
    super::rules::remark(&finding.rule, &finding.subject, finding.summary).severity(finding.severity).why(finding.why).fix(fix)
}

/// All that is to say of a key as it stands, with the one record that mends what can be mended. Behind an alias it is not ours to publish.
pub(super) fn judge(part: &mut Part, one: &Asked, text: &str, read: &Result<Key, Fault>) {
    let mut said = Part::default();
    key(&mut said, one, read);
    if one.aliases.is_empty()
        && let Some(better) = repaired(text, one.origin == SelectorOrigin::Seen)
    {
        let mut after = Part::default();
        key(&mut after, one, &parse(&better));
        // What could not be read may have hidden the rest.
        if read.is_err() || repair::is_no_worse(&said.findings, &after.findings, &[]) {
            repair::show(&mut said.findings, &after.findings, &one.name, &better);
        }
    }
    part.findings.extend(said.findings);
}

fn key(part: &mut Part, one: &Asked, read: &Result<Key, Fault>) {
    match read {
        Err(found) => fault(part, one, found),
        Ok(key) if key.revoked => {
            if one.is_named() {
                revoked(part, one);
            }
        }
        Ok(key) => usable(part, one, key),
    }
}

/// A selector that answers nothing, or only what the wildcard does: only one that was seen proves that mail is signed with it.
pub(super) fn missing(one: &Asked, wild: Option<&str>) -> Option<Remark> {
    let name = &one.name;
    let wild = wild.map_or_else(String::new, |text| {
        let short: String = text.chars().take(MOST_QUOTED).collect();
        format!("; only the wildcard answers there, with “{short}”, which is no key")
    });
    let found = match one.origin {
        SelectorOrigin::Seen => {
            remark("dkim.key_missing", name, format!("There is no DKIM key at {name}, although mail is signed with that selector{wild}"))
        }
        SelectorOrigin::Hand => remark("dkim.key_missing", name, format!("There is no DKIM key at {name}, a selector that was named by hand{wild}"))
            .severity(Severity::High),
        SelectorOrigin::Found | SelectorOrigin::Catalog => return None,
    };
    Some(found.with("selector", &one.selector).with("name", name))
}

/// All usual selectors have answered and none has a key that mail can be signed with: no mistake, since another selector may have one. A withdrawn
/// key says that there was one.
pub(super) fn no_usual_selector(answers: &Answers) -> UnknownPart {
    let withdrawn: Vec<String> = answers.asked.iter().filter(|one| one.is_revoked()).map(|one| format!("“{}”", one.selector)).collect();
    let more = withdrawn.len().saturating_sub(MOST_NAMED);
    let named = withdrawn.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let none = match (withdrawn.len(), more) {
        (0, _) => "no key at the usual selectors".to_owned(),
        (1, _) => format!("the usual selectors were asked, and none has a key in use; {named} holds a withdrawn key (empty p=)"),
        (_, 0) => format!("the usual selectors were asked, and none has a key in use; {named} hold withdrawn keys (empty p=)"),
        _ => format!("the usual selectors were asked, and none has a key in use; {named} and {more} more hold withdrawn keys (empty p=)"),
    };
    let reason = format!("{none}; name the selector of a signed message (its DKIM-Signature header has s=) to have it checked");
    UnknownPart { cause: UnknownCause::Unnamed, ..UnknownPart::new(Family::Dkim.key(), reason) }
}

/// Keys that audits found are gone or withdrawn, and no other is there. `another`: something stands below `_domainkey` that nobody asked for. It
/// may be the next key under a name that can not be guessed, so that nothing is proven. A withdrawn key is as good as that: its own record keeps
/// `_domainkey` in being, and to withdraw the old key is how keys are changed (RFC 6376 3.6.1).
pub(super) fn none_left(domain: &str, lost: &[&Asked], another: bool) -> Remark {
    let names: Vec<&str> = lost.iter().take(MOST_NAMED).map(|one| one.name.as_str()).collect();
    let (names, first) = (names.join(", "), lost.first().map_or(domain, |one| one.name.as_str()));
    let withdrawn = lost.iter().find(|one| one.is_revoked());
    let rest = match withdrawn {
        Some(one) => format!(
            "; that of {} was withdrawn (empty p=), as it is done when keys are changed, so mail may be signed with a selector that nobody named",
            one.selector
        ),
        None if another => "; another name below _domainkey exists, so mail may be signed with a selector that nobody named".to_owned(),
        None => String::new(),
    };
    let found = remark("dkim.none_found", domain, format!("No DKIM key of {domain} is left that receivers can use; there was one at {names}{rest}"));
    found
        .severity(match (another, withdrawn) {
            (false, None) => Severity::High,
            // One that is gone is not excused by another that was withdrawn, nor proven by it to be missed.
            (false, Some(_)) if lost.iter().any(|one| !one.is_revoked()) => Severity::Medium,
            _ => Severity::Low,
        })
        .fix("If the key was taken away by mistake, publish it at {name} again as the service that signs the mail shows it. If mail is signed with another selector now, name that one to have it checked.")
        .with("name", first)
}

/// An alias whose end has no record. `sibling`: another selector's alias to the same service gives a key, as where services hold a second
/// selector ready for the next change of keys; then only a selector in use is worth a word.
pub(super) fn dangling(one: &Asked, sibling: bool) -> Option<Remark> {
    let target = one.aliases.last()?;
    let severity = match (one.origin, sibling) {
        (SelectorOrigin::Seen, _) | (SelectorOrigin::Hand, false) => Severity::High,
        (SelectorOrigin::Hand, true) => Severity::Low,
        (SelectorOrigin::Found | SelectorOrigin::Catalog, false) => Severity::Medium,
        (SelectorOrigin::Found | SelectorOrigin::Catalog, true) => return None,
    };
    let service = one.service().map_or_else(|| "the sender service".to_owned(), |service| format!("the sender service ({service})"));
    let rest = match one.origin {
        SelectorOrigin::Seen => "although mail is signed with that selector".to_owned(),
        _ if sibling => "while another selector of the same service has one; it may be held ready for the next change of keys".to_owned(),
        _ => format!("{service} was cancelled or its record removed; the CNAME is left over"),
    };
    let summary = format!("{} is an alias of {target}, where there is no key: {rest}", one.name);
    Some(remark("dkim.alias_dangling", &one.name, summary).severity(severity).with("name", &one.name).with("target", target))
}

/// More than one record at a selector.
pub(super) fn several(part: &mut Part, one: &Asked, count: usize) {
    let name = &one.name;
    let found = remark("dkim.multiple_records", name, format!("{name} has {count} records; receivers may take any of them"));
    part.find(about(one, found.with("name", name)));
}

/// Why a key can not be used.
fn fault(part: &mut Part, one: &Asked, fault: &Fault) {
    let name = &one.name;
    match fault {
        Fault::Ed25519Length { bytes, hint, .. } => {
            let hint = hint.map_or_else(String::new, |hint| format!(": {hint}"));
            let found = remark("dkim.ed25519_bad_length", name, format!("The Ed25519 key at {name} has {bytes} bytes, it must have 32{hint}"));
            part.find(about(one, found));
        }
        Fault::Syntax(broken) => {
            let found = remark("dkim.syntax", name, format!("The DKIM key at {name} can not be read: {}", broken.reason)).fix(&broken.fix);
            part.find(about(one, found));
        }
    }
}

/// A revoked key. An old one withdrawn is good housekeeping; only a selector in use makes it a problem.
fn revoked(part: &mut Part, one: &Asked) {
    let in_use = if one.origin == SelectorOrigin::Seen { ", although mail is signed with it" } else { "" };
    let found = remark("dkim.revoked", &one.name, format!("The DKIM key at {} is revoked (empty p=){in_use}", one.name));
    part.find(about(one, found.with("name", &one.name)));
}

/// All that is to say of a key that can be used.
fn usable(part: &mut Part, one: &Asked, key: &Key) {
    let (name, selector) = (&one.name, &one.selector);
    let mut say = |rule: &str, summary: String| part.find(about(one, remark(rule, name, summary).with("name", name)));
    match key.kind {
        Kind::Rsa if key.bits < 1024 => {
            say("dkim.rsa_too_short", format!("DKIM key {selector} has {} bits; receivers refuse keys below 1024", key.bits));
        }
        Kind::Rsa if key.bits < 2048 => say("dkim.rsa_1024", format!("DKIM key {selector} has {} bits; 2048 is the standard", key.bits)),
        Kind::Rsa if key.bits > 4096 => {
            say("dkim.rsa_too_long", format!("DKIM key {selector} has {} bits; many receivers stop at 4096", key.bits));
        }
        Kind::Rsa | Kind::Ed25519 => {}
    }
    if key.odd_exponent {
        say("dkim.bad_exponent", format!("DKIM key {selector} has an RSA exponent other than 65537; some receivers refuse it"));
    }
    if key.testing {
        say("dkim.testing", format!("DKIM key {selector} is marked as a test (t=y): receivers may treat its mail as unsigned"));
    }
    if key.sha1_only {
        say("dkim.sha1", format!("DKIM key {selector} allows SHA-1 signatures only (h=sha1), which receivers refuse"));
    }
    match key.service {
        Service::TlsReports if one.origin == SelectorOrigin::Seen => {
            let words = format!("DKIM key {selector} is for TLS reports only (s=tlsrpt lacks “email”), although mail is signed with it");
            say("dkim.service_type", words);
        }
        Service::Other => say("dkim.service_type", format!("DKIM key {selector} is not for mail (s= lacks “email”)")),
        Service::Mail | Service::TlsReports => {}
    }
    for broken in &key.forgiven {
        let found = remark("dkim.syntax", name, format!("The DKIM key at {name} is refused by strict receivers: {}", broken.reason));
        part.find(about(one, found.severity(Severity::Medium).fix(&broken.fix)));
    }
}

/// Says so where the same key stands for too long; without knowledge of its age nothing is said.
pub(super) fn age(part: &mut Part, one: &Asked, since: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    let Some(since) = since.filter(|since| (now - *since).num_days() > MOST_DAYS) else { return };
    let summary = format!("DKIM key {} is the same since {} at least", one.selector, since.format("%Y-%m-%d"));
    part.find(about(one, remark("dkim.key_old", &one.name, summary).with("name", &one.name)));
}
