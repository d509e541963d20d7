//! DKIM signatures of the message: what they say, whether they count (`verify`), and what to do about one that does not.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use mail_auth::{
    AuthenticatedMessage, Error,
    common::{
        crypto::{CryptoError, HashAlgorithm},
        headers::Header,
        verify::VerifySignature,
    },
    dkim::{Canonicalization, DkimError, Signature},
};
use waypost_types::headers::{SignatureReport, Verified};

use super::{
    fields::{Field, Parts},
    keys::{Key, Keys},
    verify::{DKIM, Message, fault, without_signature},
};

/// Signatures of each kind that are verified: with more, a message only wants to keep us busy.
pub(super) const MAX_SIGNATURES: usize = 30;
/// Names in `h=`.
const MAX_SIGNED: usize = 1_000;
/// Octets of a signature field that are read, and characters of one of its tags but `h=`.
const MAX_FIELD: usize = 64 * 1024;
const MAX_VALUE: usize = 500;
/// Octets of a header that signatures are verified in.
const MAX_HEADER: usize = 1_000_000;

/// Clocks differ by less.
const CLOCKS: Duration = Duration::minutes(10);
/// Octets of the body that are hashed in all, over every kind of hash that signatures ask for.
const MAX_HASHED: usize = 64 * 1024 * 1024;

/// Said of signatures when only the header was given.
pub(super) const NO_BODY: &str = "The body is not there, so body hashes can not be checked";

/// Said of signatures whose body hash differs.
pub(super) const BODY_CHANGED: &str = "The body was changed after it was signed (the body hash differs)";
/// Said of signatures that verify.
const VALID: &str = "The signature verifies with the key published now";
/// Said beside, where the key is one for tests.
const TESTING: &str = "; the key is marked as a test (t=y), so receivers may treat the message as unsigned";
/// Said of signatures that cover more than there is.
pub(super) const BODY_CUT: &str = "The body is shorter than what was signed (l=): its end is missing";
/// Said of signatures that nobody must accept (RFC 8301 3.1).
pub(super) const SHA1: &str = "It uses SHA-1 (a=rsa-sha1), which receivers must not accept any more, whether it fits or not";
/// Said of signatures whose body hash fits and that do not verify.
pub(super) const HEADER_CHANGED: &str = "The signature does not fit: a signed header field was changed, or another key signed";
/// Said of signatures whose key has no use for their algorithm.
const OTHER_KIND: &str = "The key published now is of another kind than the algorithm of the signature (a=)";
/// Said of signatures whose identity the key forbids.
const NO_SUBDOMAIN: &str = "The identity i= is a subdomain of d=, and the key allows none (t=s)";
const NOT_WITHIN: &str = "The identity i= is not within d=";
/// Said of signatures that the receiver could verify and we can not.
pub(super) const COPY_CHANGED: &str =
    "The receiver found this signature valid, but the body of this copy differs: it was changed after delivery, by a scanner, an export or an editor";

/// Why the signatures are not verified at all: the work would be out of proportion.
pub(super) fn too_much(parts: &Parts<'_>, message: &[u8]) -> Option<String> {
    let signatures = |name: &str| parts.all(name).count();
    let most = ["DKIM-Signature", "ARC-Message-Signature", "ARC-Seal", "ARC-Authentication-Results"].map(signatures).into_iter().max().unwrap_or(0);
    if most > MAX_SIGNATURES {
        return Some(format!("The message has {most} signatures of a kind; with more than {MAX_SIGNATURES} none is verified"));
    }
    if parts.cut || message.len() - parts.body.len() > MAX_HEADER {
        return Some("The header is too large for its signatures to be verified".to_owned());
    }
    let long = ["DKIM-Signature", "ARC-Message-Signature"]
        .into_iter()
        .flat_map(|name| parts.all(name).collect::<Vec<_>>())
        .any(|field| field.value.split(|byte| *byte == b':').nth(MAX_SIGNED).is_some());
    if long {
        return Some("A signature names too many fields to be verified".to_owned());
    }
    // Each canonicalisation, algorithm and length is a hash of its own; read as mail-auth reads them, since a tag may be there twice.
    let dkim = parts.all("DKIM-Signature").filter_map(|field| Signature::parse(field.value).ok());
    let dkim = dkim.map(|signature| (signature.cb == Canonicalization::Simple, HashAlgorithm::from(signature.a) as u64, signature.l));
    let arc = parts.all("ARC-Message-Signature").filter_map(|field| mail_auth::arc::Signature::parse(field.value).ok());
    let arc = arc.map(|signature| (signature.cb == Canonicalization::Simple, HashAlgorithm::from(signature.a) as u64, signature.l));
    let kinds: BTreeSet<(bool, u64, u64)> = dkim.chain(arc).collect();
    (kinds.len().saturating_mul(parts.body.len()) > MAX_HASHED)
        .then(|| format!("The signatures ask for {} different hashes of a large body; that is too much work to verify them", kinds.len()))
}

/// The message as mail-auth reads it. Expiry and reports are ours to look at: an old message is no broken one.
pub(super) fn prepared(message: &[u8]) -> Option<AuthenticatedMessage<'_>> {
    let mut parsed = AuthenticatedMessage::parse_with_opts(message, None, false)?;
    for header in &mut parsed.dkim_headers {
        let signature = &mut header.header;
        (signature.x, signature.r, signature.atps) = (0, false, None);
    }
    for header in &mut parsed.ams_headers {
        header.header.x = 0;
    }
    Some(parsed)
}

/// Names of all keys that the message's signatures and seals need.
pub(super) fn key_names(parsed: &AuthenticatedMessage<'_>) -> BTreeSet<String> {
    let dkim = parsed.dkim_headers.iter().map(|header| header.header.domain_key());
    let messages = parsed.ams_headers.iter().map(|header| header.header.domain_key());
    let seals = parsed.as_headers.iter().map(|header| header.header.domain_key());
    dkim.chain(messages).chain(seals).collect()
}

/// A tag of a tag list (RFC 6376 3.2), blanks within it gone.
pub(super) fn tag(text: &str, name: &str) -> Option<String> {
    text.split(';').find_map(|tag| {
        let (key, value) = tag.split_once('=')?;
        (key.trim() == name).then(|| value.split_whitespace().collect::<String>())
    })
}

fn time(text: Option<String>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(text?.parse().ok()?, 0)
}

/// A signature as the field has it, not verified.
fn read(field: &Field<'_>) -> SignatureReport {
    let raw = field.text();
    let whole = String::from_utf8_lossy(field.value.get(..MAX_FIELD).unwrap_or(field.value));
    let tags = |name: &str| tag(&whole, name);
    let tag = |name: &str| tags(name).map(|value| if value.len() > MAX_VALUE { value.chars().take(MAX_VALUE).collect() } else { value });
    let domain = tag("d").unwrap_or_default().to_ascii_lowercase();
    SignatureReport {
        aligned: None,
        selector: tag("s").unwrap_or_default(),
        algorithm: tag("a").unwrap_or_default().to_ascii_lowercase(),
        canonicalization: match tag("c").map(|c| c.to_ascii_lowercase()) {
            Some(both) if both.contains('/') => both,
            Some(header) => format!("{header}/simple"),
            None => "simple/simple".to_owned(),
        },
        identity: tag("i"),
        signed_fields: tags("h")
            .unwrap_or_default()
            .to_ascii_lowercase()
            .split(':')
            .filter(|name| !name.is_empty())
            .take(MAX_SIGNED)
            .map(str::to_owned)
            .collect(),
        signed_at: time(tag("t")),
        expires: time(tag("x")),
        body_length: tag("l").and_then(|length| length.parse().ok()),
        verified: Verified::Unknown,
        reason: "It was not verified: the message can not be taken apart".to_owned(),
        advice: None,
        domain,
        raw,
    }
}

/// All signatures, not verified.
pub(super) fn all(parts: &Parts<'_>) -> Vec<SignatureReport> {
    parts.all("DKIM-Signature").take(MAX_SIGNATURES).map(read).collect()
}

/// Verifies them with the keys that were asked.
pub(super) fn verify(reports: &mut [SignatureReport], parts: &Parts<'_>, message: &mut Message<'_>) {
    let mut readable = message.parsed().dkim_headers.iter().peekable();
    for (report, field) in reports.iter_mut().zip(parts.all("DKIM-Signature")) {
        let header = readable.next_if(|header| header.value.trim_ascii() == field.value.trim_ascii());
        (report.verified, report.reason) = match (header, fault(field.value, &DKIM)) {
            (Some(header), None) => one(header, message),
            (_, Some(reason)) => (Verified::Broken, reason),
            (None, None) => (Verified::Broken, malformation(field)),
        };
    }
}

fn malformation(field: &Field<'_>) -> String {
    match Signature::parse(field.value) {
        Err(error) => format!("The signature can not be read: {error}"),
        Ok(_) => "The signature can not be read".to_owned(),
    }
}

/// Verifies one that is of the right form.
fn one(header: &Header<'_, Signature>, message: &mut Message<'_>) -> (Verified, String) {
    let signature = &header.header;
    if let Some(verdict) = message.body_fault(header.value, signature.cb, signature.a.into(), &signature.bh) {
        return verdict;
    }
    let key = message.key(&signature.domain_key());
    if let Key::Usable(record) = &key
        && let Some(reason) = identity(signature, record)
    {
        return (Verified::Broken, reason.to_owned());
    }
    let stripped = without_signature(header.value);
    let signed = message.signed(&signature.h, header.name, &stripped);
    match (message.checked(&signed, signature, signature.ch), key) {
        ((Verified::Valid, _), Key::Usable(record)) if has_flag(&record, "y") => (Verified::Valid, format!("{VALID}{TESTING}")),
        ((Verified::Valid, _), _) => (Verified::Valid, VALID.to_owned()),
        // What was copied from a window may have lost blanks or lines.
        ((Verified::Broken, _), _) if !message.has_body() => (Verified::Unknown, NO_BODY.to_owned()),
        (verdict, _) => verdict,
    }
}

/// Which of the two rules about `i=` (RFC 6376 3.5, 3.6.1) it breaks.
fn identity(signature: &Signature, record: &str) -> Option<&'static str> {
    if signature.i.is_empty() {
        return None;
    }
    let (domain, at) = (signature.d.to_ascii_lowercase(), signature.i.to_ascii_lowercase());
    match at.rsplit_once('@').and_then(|(_, at)| at.strip_suffix(&domain)) {
        Some("") => None,
        Some(sub) if sub.ends_with('.') => has_flag(record, "s").then_some(NO_SUBDOMAIN),
        _ => Some(NOT_WITHIN),
    }
}

/// An error of mail-auth in our words.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Dkim(DkimError::FailedBodyHashMatch) | Error::Arc(mail_auth::arc::ArcError::FailedBodyHashMatch) => BODY_CHANGED.to_owned(),
        Error::Crypto(CryptoError::FailedVerification | CryptoError::Library(_)) => HEADER_CHANGED.to_owned(),
        Error::Crypto(CryptoError::IncompatibleAlgorithms) => OTHER_KIND.to_owned(),
        other => format!("It does not verify: {other}"),
    }
}

/// What usually breaks a signature as this one is broken, and what to do.
pub(super) fn advice(signature: &SignatureReport, parts: &Parts<'_>) -> Option<String> {
    let name = format!("{}._domainkey.{}", signature.selector, signature.domain);
    let (header, body) = signature.canonicalization.split_once('/').unwrap_or(("simple", "simple"));
    let listed = parts.has("List-Id") || parts.has("List-Post");
    match (signature.verified, signature.reason.as_str()) {
        (Verified::Valid | Verified::Unknown, _) => None,
        (Verified::NoKey, _) => Some(format!(
            "Nobody can verify it without its key. Of an old message that is usual: keys are changed. Of a new one, publish the key at {name} as the \
             service that signs shows it, or sign with a selector that has one."
        )),
        (Verified::Broken, BODY_CHANGED) => {
            let list = if listed { " This one came over a mailing list, whose footer is the likely cause." } else { "" };
            let simple = if body == "simple" {
                " It is signed with c=…/simple: even a blank at the end of a line breaks it; c=relaxed/relaxed forgives that."
            } else {
                ""
            };
            Some(format!(
                "The body differs: the text or an attachment was changed on the way. Whether the header was changed as well is not checked then. Usual causes \
                 are a footer of a list, a disclaimer or a scanner's note added behind the host that signs, rewritten links, and another encoding (8bit to quoted-printable).{list}{simple} Sign on \
                 the last of your hosts, behind all that changes messages; what others change their ARC seal must vouch for."
            ))
        }
        (Verified::Broken, SHA1) => Some(
            "Set the program that signs to rsa-sha256 (OpenDKIM: SignatureAlgorithm rsa-sha256); the key in DNS may stay, unless it says h=sha1.".to_owned(),
        ),
        (Verified::Broken, BODY_CUT) => Some(
            "Something on the way, or this copy, cut the end of the body off. Have the program that signs leave l= out: with it others can add text \
             below what was signed."
                .to_owned(),
        ),
        (Verified::Broken, reason) if reason.starts_with("The key at ") => Some(format!(
            "Publish a key of 2048 bits for mail under a new selector, and have the service sign with that one in place of {}.",
            signature.selector
        )),
        (Verified::Broken, HEADER_CHANGED) => {
            let often = ["subject", "to", "cc", "reply-to", "from", "date", "message-id", "mime-version", "content-type"];
            let signed: Vec<&str> = often.into_iter().filter(|field| signature.signed_fields.iter().any(|name| name == field)).collect();
            let signed =
                if signed.is_empty() { String::new() } else { format!(" Of the fields that hosts like to rewrite it signs {}.", signed.join(", ")) };
            let list = if listed { " This one came over a mailing list, which often puts its name before the subject." } else { "" };
            let simple =
                if header == "simple" { " It is signed with c=simple: lines folded anew break it; c=relaxed/relaxed forgives that." } else { "" };
            Some(format!(
                "The body is as it was signed, so a field in h= was changed, or a second one of its name was added, behind the host that signs.{signed}{list}{simple} If \
                 every message of this selector fails, the key in DNS is not the signer's: compare {name} with what the service shows."
            ))
        }
        (Verified::Broken, OTHER_KIND) => Some(format!(
            "It says a={}, and {name} holds a key of another kind: the key was changed since, or another one signs. Publish the key that the service \
             shows for this selector, or have it sign with the key that is published.",
            signature.algorithm
        )),
        (Verified::Broken, NO_SUBDOMAIN) => Some(format!(
            "With t=s the key at {name} wants i= at exactly {}. Publish the key without t=s, or have the program that signs leave i= out.",
            signature.domain
        )),
        (Verified::Broken, NOT_WITHIN) => {
            Some(format!("Have the program that signs leave i= out, or name an identity at {} or a subdomain of it there.", signature.domain))
        }
        (Verified::Broken, _) => Some(
            "It fails as the field stands, whatever became of the rest of the message: look at the settings of the program that signs, then at hosts on \
             the way that rewrite header fields."
                .to_owned(),
        ),
    }
}

/// Says of a signature that it was made after the message was seen already: receivers may ignore it (RFC 6376 3.5, `t=`).
pub(super) fn made_later(signature: &SignatureReport, seen: DateTime<Utc>) -> Option<String> {
    let made = signature.signed_at.filter(|made| *made > seen + CLOCKS)?.format("%Y-%m-%d %H:%M UTC");
    Some(format!("The signature of {} says that it was made at {made} (t=), later than the message was seen: a clock is wrong", signature.domain))
}

/// Whether the key of a signature has the flag `s` of `t=`, that forbids subdomains in `i=` (RFC 6376 3.6.1).
pub(super) fn key_is_strict(keys: &Keys, signature: &SignatureReport) -> bool {
    match keys.of(&format!("{}._domainkey.{}.", signature.selector, signature.domain)) {
        Key::Usable(record) => has_flag(&record, "s"),
        Key::Refused(_) | Key::None(_) | Key::Unknown(_) => false,
    }
}

/// A flag in `t=` of a key.
fn has_flag(record: &str, flag: &str) -> bool {
    tag(record, "t").is_some_and(|flags| flags.split(':').any(|one| one == flag))
}
