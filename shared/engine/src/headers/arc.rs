//! The ARC chain (RFC 8617): every seal and every message signature verified for itself, and what that makes of the whole.

use std::collections::BTreeMap;

use chrono::DateTime;
use mail_auth::{
    AuthenticatedMessage,
    arc::{ChainValidation, Seal, Signature},
    common::{crypto::HashAlgorithm, headers::Header, verify::VerifySignature},
    dkim::Canonicalization,
};
use waypost_types::headers::{ArcReport, ArcSet, ArcState, Verified};

use super::{
    fields::Parts,
    keys::{Key, Keys},
    signatures::{BODY_CHANGED, NO_BODY, words},
};

/// RFC 8617 4.2.1.
const MAX_INSTANCE: u32 = 50;

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
pub(super) fn verify<'m>(parts: &Parts<'_>, parsed: &'m AuthenticatedMessage<'m>, keys: &Keys, body: bool) -> ArcReport {
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
        report.sets.push(one(instance, &set, &mut before, parsed, keys, body));
    }
    (report.state, report.reason) = if read < count {
        (ArcState::Fail, format!("{} of the {count} ARC fields can not be read", count - read))
    } else if found.keys().any(|instance| *instance == 0 || *instance > MAX_INSTANCE) {
        (ArcState::Fail, format!("An ARC field has an instance that is not 1 to {MAX_INSTANCE}"))
    } else {
        whole(&report.sets)
    };
    report
}

fn one<'m>(instance: u32, set: &Set<'m>, before: &mut Vec<Named<'m>>, parsed: &'m AuthenticatedMessage<'m>, keys: &Keys, body: bool) -> ArcSet {
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
    if let Some(message) = set.messages.first() {
        (out.message_signature, out.message_signature_reason) = message_signature(message, parsed, keys, body);
        before.extend(set.results.first());
        before.push((message.name, message.value));
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
            let signed = before.iter().copied().chain([(seal.name, stripped.as_slice())]);
            match checked(&mut signed.into_iter(), &seal.header, Canonicalization::Relaxed, keys) {
                // What was copied from a window may have lost blanks or lines.
                (Verified::Broken, reason) if !body => (Verified::Unknown, format!("{reason}; or the header was changed when it was copied")),
                told => told,
            }
        } else {
            (Verified::Broken, "The seal can not verify: its set is not complete".to_owned())
        };
        before.push((seal.name, seal.value));
    }
    out
}

fn message_signature<'m>(header: &'m Header<'m, Signature>, parsed: &'m AuthenticatedMessage<'m>, keys: &Keys, body: bool) -> (Verified, String) {
    let signature = &header.header;
    let algorithm = HashAlgorithm::from(signature.a);
    let hash = parsed.body_hashes.iter().find(|(c, h, l, _)| *c == signature.cb && *h == algorithm && *l == signature.l);
    if hash.is_none_or(|(.., hash)| *hash != signature.bh) {
        return if body { (Verified::Broken, BODY_CHANGED.to_owned()) } else { (Verified::Unknown, NO_BODY.to_owned()) };
    }
    let stripped = without_signature(header.value);
    let mut signed = parsed.signed_headers(&signature.h, header.name, &stripped);
    checked(&mut signed, signature, signature.ch, keys)
}

fn checked<'a>(
    signed: &mut dyn Iterator<Item = (&'a [u8], &'a [u8])>,
    signature: &impl VerifySignature,
    canonicalization: Canonicalization,
    keys: &Keys,
) -> (Verified, String) {
    let name = signature.domain_key();
    match (keys.of(&name), keys.parsed(&name)) {
        (Key::Unknown(reason), _) => (Verified::Unknown, reason),
        (Key::None(reason), _) => (Verified::NoKey, reason),
        (Key::Usable(_), None) => (Verified::Unknown, "The key was not asked".to_owned()),
        (Key::Usable(_), Some(key)) => match key.p.verify(signed, signature.signature(), canonicalization, signature.algorithm()) {
            Ok(()) => (Verified::Valid, "It verifies with the key published now".to_owned()),
            Err(error) => (Verified::Broken, words(&error)),
        },
    }
}

/// The field with an empty `b=` (RFC 6376 3.5), without its last line end.
fn without_signature(value: &[u8]) -> Vec<u8> {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let mut out = Vec::with_capacity(value.len());
    for (at, tag) in value.split(|byte| *byte == b';').enumerate() {
        if at > 0 {
            out.push(b';');
        }
        match tag.iter().position(|byte| *byte == b'=') {
            Some(equals) if tag.get(..equals).is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"b")) => {
                out.extend_from_slice(tag.get(..=equals).unwrap_or_default());
            }
            _ => out.extend_from_slice(tag),
        }
    }
    out
}

/// RFC 8617 5.2: the structure first, then what the newest forwarder said, then the signatures.
fn whole(sets: &[ArcSet]) -> (ArcState, String) {
    if let Some(remark) = sets.iter().flat_map(|set| &set.remarks).next() {
        return (ArcState::Fail, remark.clone());
    }
    let Some(newest) = sets.last() else { return (ArcState::Fail, "No ARC set can be read".to_owned()) };
    for set in sets {
        let expected = if set.instance == 1 { "none" } else { "pass" };
        match set.cv.as_deref() {
            Some(cv) if cv == expected => {}
            Some("fail") => {
                let who = set.domain.as_deref().unwrap_or("a forwarder");
                return (ArcState::Fail, format!("{who} (instance {}) found the chain broken already (cv=fail)", set.instance));
            }
            cv => return (ArcState::Fail, format!("Instance {} says cv={}, where {expected} must stand", set.instance, cv.unwrap_or_default())),
        }
    }
    let message =
        (newest.message_signature, format!("The newest message signature (instance {}): {}", newest.instance, newest.message_signature_reason));
    let seals = sets.iter().rev().map(|set| (set.seal, format!("The seal of instance {}: {}", set.instance, set.seal_reason)));
    let all: Vec<(Verified, String)> = std::iter::once(message).chain(seals).collect();
    // What is broken is broken, whatever else could not be told; a key that is gone today may have been there when it was needed.
    if let Some((_, reason)) = all.iter().find(|(verified, _)| *verified == Verified::Broken) {
        return (ArcState::Fail, reason.clone());
    }
    match all.into_iter().find(|(verified, _)| *verified != Verified::Valid) {
        Some((_, reason)) => (ArcState::Unknown, reason),
        None => (ArcState::Pass, "Every seal and the newest message signature verify".to_owned()),
    }
}
