//! The ARC chain (RFC 8617): every seal and every message signature verified for itself, and what that makes of the whole.

use std::collections::BTreeMap;

use chrono::DateTime;
use mail_auth::{
    AuthenticatedMessage,
    arc::{ChainValidation, Results, Seal, Signature},
    common::headers::Header,
    dkim::Canonicalization,
};
use waypost_types::headers::{ArcReport, ArcSet, ArcState, AuthMethod, AuthResults, Verified};

use super::{
    belief::organisation,
    fields::{Field, Parts},
    signatures::tag,
    verify::{ARC_MESSAGE, ARC_SEAL, Message, fault, without_signature},
};

/// RFC 8617 4.2.1.
const MAX_INSTANCE: u32 = 50;
/// Results of a forwarder that are told.
const MOST_VOUCHED: usize = 8;

type Named<'a> = (&'a [u8], &'a [u8]);

/// The fields of one instance.
#[derive(Default)]
struct Set<'m> {
    results: Vec<Named<'m>>,
    messages: Vec<&'m Header<'m, Signature>>,
    seals: Vec<&'m Header<'m, Seal>>,
}

/// ARC fields in the header, parsed or not.
pub(super) fn fields(parts: &Parts<'_>) -> usize {
    ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"].into_iter().map(|name| parts.all(name).count()).sum()
}

/// Verifies the chain.
pub(super) fn verify<'m>(parts: &Parts<'_>, message: &mut Message<'m>) -> ArcReport {
    let parsed: &'m AuthenticatedMessage<'m> = message.parsed();
    let mut report = ArcReport::default();
    let count = fields(parts);
    if count == 0 {
        "There is no ARC chain: no forwarder has sealed the message".clone_into(&mut report.reason);
        return report;
    }
    let mut found: BTreeMap<u32, Set<'m>> = BTreeMap::new();
    for header in &parsed.aar_headers {
        found.entry(header.header.i).or_default().results.push((header.name, header.value));
    }
    for header in &parsed.ams_headers {
        found.entry(header.header.i).or_default().messages.push(header);
    }
    for header in &parsed.as_headers {
        found.entry(header.header.i).or_default().seals.push(header);
    }
    let read = parsed.aar_headers.len() + parsed.ams_headers.len() + parsed.as_headers.len();
    let last = found.keys().next_back().copied().unwrap_or(0).min(MAX_INSTANCE);
    let mut before: Vec<Named<'m>> = Vec::new();
    for instance in 1..=last {
        let set = found.remove(&instance).unwrap_or_default();
        report.sets.push(one(instance, &set, &mut before, message));
    }
    (report.state, report.reason, report.failed_instance) =
        if read < count { (ArcState::Fail, unreadable(parts, count - read, count), None) } else { whole(&report.sets) };
    report
}

/// What is wrong with fields that can not be read: of the first, where that is clear.
fn unreadable(parts: &Parts<'_>, bad: usize, count: usize) -> String {
    let instance = |field: &Field<'_>| tag(&String::from_utf8_lossy(field.value), "i").and_then(|i| i.parse::<u32>().ok());
    let all = parts.fields.iter().filter(|field| field.name.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"ARC-")));
    let mut wrong = all.filter_map(|field| {
        let (form, is_read) = match () {
            () if field.is("ARC-Seal") => (Some(&ARC_SEAL), Seal::parse(field.value).is_ok()),
            () if field.is("ARC-Message-Signature") => (Some(&ARC_MESSAGE), Signature::parse(field.value).is_ok()),
            () if field.is("ARC-Authentication-Results") => (None, Results::parse(field.value).is_ok()),
            () => return None,
        };
        match instance(field) {
            _ if is_read => None,
            Some(1..=MAX_INSTANCE) => form.and_then(|form| fault(field.value, form)),
            Some(other) => Some(format!("The instance is {other}, it must be 1 to {MAX_INSTANCE}")),
            None => Some("The instance (i=) is no number".to_owned()),
        }
    });
    let why = wrong.next().map_or_else(String::new, |why| format!(": {why}"));
    format!("{bad} of the {count} ARC fields can not be read{why}")
}

fn one<'m>(instance: u32, set: &Set<'m>, before: &mut Vec<Named<'m>>, message: &mut Message<'m>) -> ArcSet {
    let mut out = ArcSet { instance, ..ArcSet::default() };
    for (name, count) in
        [("ARC-Authentication-Results", set.results.len()), ("ARC-Message-Signature", set.messages.len()), ("ARC-Seal", set.seals.len())]
    {
        match count {
            1 => {}
            0 => out.remarks.push(format!("{name} of instance {instance} is missing")),
            _ => out.remarks.push(format!("{name} of instance {instance} is there {count} times")),
        }
    }
    "The field is missing".clone_into(&mut out.seal_reason);
    "The field is missing".clone_into(&mut out.message_signature_reason);
    let earlier = before.len();
    if let Some(header) = set.messages.first() {
        (out.message_signature, out.message_signature_reason) = message_signature(header, message);
        before.extend(set.results.first());
        before.push((header.name, header.value));
    }
    if let Some(seal) = set.seals.first() {
        out.domain = Some(seal.header.d.to_ascii_lowercase());
        out.selector = Some(seal.header.s.clone());
        out.sealed_at = i64::try_from(seal.header.t).ok().filter(|t| *t > 0).and_then(|t| DateTime::from_timestamp(t, 0));
        out.cv = Some(
            match seal.header.cv {
                ChainValidation::None => "none",
                ChainValidation::Fail => "fail",
                ChainValidation::Pass => "pass",
            }
            .to_owned(),
        );
        (out.seal, out.seal_reason) = if out.remarks.is_empty() {
            let stripped = without_signature(seal.value);
            // Who finds the chain broken seals its own set alone, as if there were no other (RFC 8617 5.1.2).
            let from = if seal.header.cv == ChainValidation::Fail { earlier } else { 0 };
            let signed: Vec<Named<'_>> = before.iter().skip(from).copied().chain([(seal.name, stripped.as_slice())]).collect();
            match (fault(seal.value, &ARC_SEAL), message.checked(&signed, &seal.header, Canonicalization::Relaxed)) {
                (Some(reason), _) => (Verified::Broken, reason),
                // What was copied from a window may have lost blanks or lines.
                (None, (Verified::Broken, reason)) if !message.has_body() => {
                    (Verified::Unknown, format!("{reason}; or the header was changed when it was copied"))
                }
                (None, told) => said(told),
            }
        } else {
            (Verified::Broken, "The seal can not verify: its set is not complete".to_owned())
        };
        before.push((seal.name, seal.value));
    }
    out
}

fn message_signature(header: &Header<'_, Signature>, message: &mut Message<'_>) -> (Verified, String) {
    let signature = &header.header;
    if let Some(reason) = fault(header.value, &ARC_MESSAGE) {
        return (Verified::Broken, reason);
    }
    if let Some(verdict) = message.body_fault(header.value, signature.cb, signature.a.into(), &signature.bh) {
        return verdict;
    }
    let stripped = without_signature(header.value);
    let signed = message.signed(&signature.h, header.name, &stripped);
    said(message.checked(&signed, signature, signature.ch))
}

fn said((verified, reason): (Verified, String)) -> (Verified, String) {
    let reason = if verified == Verified::Valid { "It verifies with the key published now".to_owned() } else { reason };
    (verified, reason)
}

/// RFC 8617 5.2: the structure first, then what the newest forwarder said, then the signatures. With the instance that fails.
fn whole(sets: &[ArcSet]) -> (ArcState, String, Option<u32>) {
    if let Some((at, remark)) = sets.iter().find_map(|set| Some((set.instance, set.remarks.first()?))) {
        return (ArcState::Fail, remark.clone(), Some(at));
    }
    let Some(newest) = sets.last() else { return (ArcState::Fail, "No ARC set can be read".to_owned(), None) };
    for set in sets {
        let expected = if set.instance == 1 { "none" } else { "pass" };
        match set.cv.as_deref() {
            Some(cv) if cv == expected => {}
            Some("fail") => {
                let who = set.domain.as_deref().unwrap_or("a forwarder");
                let reason = format!("{who} (instance {}) found the chain broken already (cv=fail)", set.instance);
                return (ArcState::Fail, reason, Some(set.instance));
            }
            cv => {
                let reason = format!("Instance {} says cv={}, where {expected} must stand", set.instance, cv.unwrap_or_default());
                return (ArcState::Fail, reason, Some(set.instance));
            }
        }
    }
    let message = (
        newest.instance,
        newest.message_signature,
        format!("The newest message signature (instance {}): {}", newest.instance, newest.message_signature_reason),
    );
    let seals = sets.iter().rev().map(|set| (set.instance, set.seal, format!("The seal of instance {}: {}", set.instance, set.seal_reason)));
    let all: Vec<(u32, Verified, String)> = std::iter::once(message).chain(seals).collect();
    // What is broken is broken, whatever else could not be told; a key that is gone today may have been there when it was needed.
    if let Some((at, _, reason)) = all.iter().find(|(_, verified, _)| *verified == Verified::Broken) {
        return (ArcState::Fail, reason.clone(), Some(*at));
    }
    match all.into_iter().find(|(_, verified, _)| *verified != Verified::Valid) {
        Some((_, _, reason)) => (ArcState::Unknown, reason, None),
        None => (ArcState::Pass, "Every seal and the newest message signature verify".to_owned(), None),
    }
}

/// Says of each set what its forwarder vouched for, and of the whole what the last host made of it.
pub(super) fn tie(report: &mut ArcReport, authentication: &[AuthResults]) {
    let first = report.sets.first().map_or(1, |set| set.instance);
    for set in &mut report.sets {
        let who = set.domain.as_deref().unwrap_or("The forwarder");
        let said = authentication.iter().find(|field| field.instance == Some(set.instance));
        let results = match said {
            None => format!("{who} vouched for nothing that can be read"),
            Some(field) if field.results.is_empty() => format!("{who} vouched for no result"),
            Some(field) => {
                let results: Vec<String> = field.results.iter().take(MOST_VOUCHED).map(vouched).collect();
                let more = field.results.len().saturating_sub(MOST_VOUCHED);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                format!("{who} vouched for {}{more}", results.join(", "))
            }
        };
        let chain = match set.cv.as_deref() {
            Some("none") if set.instance == first => ", and was the first to seal the message",
            Some("pass") => ", and found the chain before it whole",
            Some("fail") => ", and found the chain before it broken",
            _ => "",
        };
        set.vouched = format!("{results}{chain}");
        // A chain that fails is worth nothing as a whole (RFC 8617 5.2).
        if report.state == ArcState::Fail {
            let why = match report.failed_instance {
                Some(failed) if failed <= set.instance => "the chain fails here or before".to_owned(),
                Some(failed) => format!("the chain fails at instance {failed}"),
                None => "the chain is broken".to_owned(),
            };
            set.vouched.extend(["; nobody has to believe that, since ", why.as_str()]);
        }
    }
    if report.sets.is_empty() {
        return;
    }
    let believed = authentication.iter().filter(|field| field.believable && field.instance.is_none());
    let theirs = believed.flat_map(|field| field.results.iter().map(move |method| (field, method))).find(|(_, method)| method.method == "arc");
    report.receiver = match theirs {
        Some((field, method)) => {
            let who = field.authserv_id.as_deref().unwrap_or("The host that took the message last");
            let result = method.result.as_str();
            let before = report.sets.last().filter(|set| result != report.state.as_str() && is_of_chain_before(set, field, result, authentication));
            let same = match before {
                Some(_) => result != "pass" || report.state != ArcState::Fail,
                None => result == report.state.as_str() || report.state == ArcState::Unknown,
            };
            let which = before.map_or_else(String::new, |set| format!(" as it stood before instance {} was added", set.instance));
            let but = if same { "" } else { "; this copy tells otherwise, so it was changed later, or keys were" };
            format!("{who} says arc={result} of the chain{which}{but}")
        }
        None => "The host that took the message last says nothing of the chain".to_owned(),
    };
}

/// A receiver that seals, too, says what it found before it did: its result is the `cv=` of its own seal. Where it does not name itself, the same
/// word must do.
fn is_of_chain_before(newest: &ArcSet, field: &AuthResults, result: &str, authentication: &[AuthResults]) -> bool {
    if newest.cv.as_deref() != Some(result) {
        return false;
    }
    let Some(receiver) = field.authserv_id.as_deref() else { return true };
    let results = authentication.iter().find(|field| field.instance == Some(newest.instance)).and_then(|field| field.authserv_id.as_deref());
    let same =
        |sealer: &str| sealer.eq_ignore_ascii_case(receiver) || organisation(sealer).is_some_and(|found| organisation(receiver) == Some(found));
    results.into_iter().chain(newest.domain.as_deref()).any(same)
}

/// A result with whom it is about.
fn vouched(method: &AuthMethod) -> String {
    let about = ["header.d", "smtp.mailfrom", "header.from", "header.i", "smtp.helo"].into_iter().find_map(|name| method.property(name));
    match about.filter(|about| !about.is_empty()) {
        Some(about) => format!("{}={} ({})", method.method, method.result, crate::text::shown(about, 80)),
        None => format!("{}={}", method.method, method.result),
    }
}
