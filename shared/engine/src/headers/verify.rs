//! What makes a signature count (RFC 6376 6.1, 8301, RFC 8617 4.1): its form, the hash of the body, the key and the cryptography, for DKIM and for
//! ARC. mail-auth forgives what the standards do not; this does not.

use std::collections::{HashMap, HashSet};

use mail_auth::{
    AuthenticatedMessage,
    common::{crypto::HashAlgorithm, verify::VerifySignature},
    dkim::Canonicalization,
};
use sha2::{Digest, Sha256};
use waypost_types::headers::Verified;

use super::{
    fields::Parts,
    keys::{Key, Keys},
    signatures::{BODY_CHANGED, BODY_CUT, HEADER_CHANGED, NO_BODY, SHA1, tag, words},
};

/// What a kind of field has to say and must not.
pub(super) struct Form {
    required: &'static [&'static str],
    forbidden: &'static [&'static str],
    /// Must be in `h=`, and must not.
    signs: &'static [&'static str],
    signs_not: &'static [&'static str],
}

/// RFC 6376 3.5, 6.1.1.
pub(super) const DKIM: Form = Form { required: &["v", "a", "b", "bh", "d", "h", "s"], forbidden: &[], signs: &["from"], signs_not: &[] };
/// RFC 8617 4.1.2.
pub(super) const ARC_MESSAGE: Form = Form { required: &["i", "a", "b", "bh", "d", "h", "s"], forbidden: &[], signs: &[], signs_not: &["arc-seal"] };
/// RFC 8617 4.1.3.
pub(super) const ARC_SEAL: Form = Form { required: &["i", "a", "b", "cv", "d", "s"], forbidden: &["h", "bh"], signs: &[], signs_not: &[] };

/// What is wrong with how a field is written, so that it counts for nothing.
pub(super) fn fault(value: &[u8], form: &Form) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let mut names = HashSet::new();
    for piece in text.split(';') {
        let Some((name, _)) = piece.split_once('=') else { continue };
        if !names.insert(name.trim()) {
            return Some(format!("The tag {}= stands twice in it, so receivers discard it", crate::text::shown(name.trim(), 20)));
        }
    }
    if let Some(missing) = form.required.iter().find(|name| !names.contains(*name)) {
        return Some(format!("The tag {missing}= is missing in it, so receivers discard it"));
    }
    if let Some(much) = form.forbidden.iter().find(|name| names.contains(*name)) {
        return Some(format!("The tag {much}= must not stand in it"));
    }
    if tag(&text, "a").is_some_and(|algorithm| algorithm.eq_ignore_ascii_case("rsa-sha1")) {
        return Some(SHA1.to_owned());
    }
    let signed = tag(&text, "h").unwrap_or_default().to_ascii_lowercase();
    let signs = |wanted: &&&str| signed.split(':').any(|name| name == **wanted);
    if form.signs.iter().any(|name| !signs(&name)) {
        return Some("It does not sign From (h= lacks it), so receivers discard it".to_owned());
    }
    if form.signs_not.iter().any(|name| signs(&name)) {
        return Some("It signs an ARC-Seal (h=), which it must not".to_owned());
    }
    let ways = tag(&text, "q").filter(|ways| !ways.split(':').any(|way| way.eq_ignore_ascii_case("dns/txt")));
    if let Some(ways) = ways {
        return Some(format!("It wants its key asked by a way that receivers do not know (q={})", crate::text::shown(ways, 40)));
    }
    let length = tag(&text, "l").filter(|length| length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit()));
    length.map(|length| format!("The length of the body is no number (l={})", crate::text::shown(length, 40)))
}

/// The message whose signatures are verified, and hashes of the starts of its body that `l=` asks for.
pub(super) struct Message<'m> {
    parsed: &'m AuthenticatedMessage<'m>,
    keys: &'m Keys,
    /// The body, where it is there and whole.
    body: Option<&'m [u8]>,
    canonical: HashMap<bool, Vec<u8>>,
    hashes: HashMap<(bool, u64), Vec<u8>>,
}

impl<'m> Message<'m> {
    pub(super) fn new(parts: &'m Parts<'_>, parsed: &'m AuthenticatedMessage<'m>, keys: &'m Keys, body: bool) -> Self {
        Self { parsed, keys, body: body.then_some(parts.body), canonical: HashMap::new(), hashes: HashMap::new() }
    }

    pub(super) const fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub(super) const fn parsed(&self) -> &'m AuthenticatedMessage<'m> {
        self.parsed
    }

    /// The key of a name.
    pub(super) fn key(&self, name: &str) -> Key {
        self.keys.of(name)
    }

    /// Whether the hash of the body is another; nothing where it is the one that was signed. `value`: the field, for its `l=`.
    pub(super) fn body_fault(&mut self, value: &[u8], cb: Canonicalization, algorithm: HashAlgorithm, bh: &[u8]) -> Option<(Verified, String)> {
        let fits = match length(value) {
            None => {
                let hash = self.parsed.body_hashes.iter().find(|(c, h, l, _)| *c == cb && *h == algorithm && *l == 0);
                hash.is_some_and(|(.., hash)| hash == bh)
            }
            Some(length) => match self.start_hash(cb, length).map(|hash| hash == bh) {
                Some(fits) => fits,
                None if self.has_body() => return Some((Verified::Broken, BODY_CUT.to_owned())),
                None => false,
            },
        };
        match (fits, self.body) {
            (true, _) => None,
            (false, Some(_)) => Some((Verified::Broken, BODY_CHANGED.to_owned())),
            (false, None) => Some((Verified::Unknown, NO_BODY.to_owned())),
        }
    }

    /// SHA-256 of the first octets of the body as it is signed (RFC 6376 3.4.5); nothing where it has fewer.
    fn start_hash(&mut self, cb: Canonicalization, length: u64) -> Option<&[u8]> {
        let relaxed = cb == Canonicalization::Relaxed;
        let body = self.body.unwrap_or_default();
        let canonical = self.canonical.entry(relaxed).or_insert_with(|| canonical(body, relaxed));
        let start = canonical.get(..usize::try_from(length).ok()?)?;
        Some(self.hashes.entry((relaxed, length)).or_insert_with(|| Sha256::digest(start).to_vec()))
    }

    /// Whether a key that is published now made the signature.
    pub(super) fn checked<'a>(
        &self,
        signed: &[(&'a [u8], &'a [u8])],
        signature: &impl VerifySignature,
        canonicalization: Canonicalization,
    ) -> (Verified, String) {
        let name = signature.domain_key();
        let keys = self.keys.parsed(&name);
        match self.keys.of(&name) {
            Key::Unknown(reason) => return (Verified::Unknown, reason),
            Key::None(reason) => return (Verified::NoKey, reason),
            Key::Refused(reason) => return (Verified::Broken, reason),
            Key::Usable(_) => {}
        }
        let verify = |key: &mail_auth::common::verify::DomainKey| {
            key.p.verify(&mut signed.iter().copied(), signature.signature(), canonicalization, signature.algorithm())
        };
        let mut why = None;
        for key in keys {
            match verify(key) {
                Ok(()) => return (Verified::Valid, String::new()),
                Err(error) => why = why.or(Some(words(&error))),
            }
        }
        (Verified::Broken, why.unwrap_or_else(|| HEADER_CHANGED.to_owned()))
    }

    /// The fields that a signature covers, with its own field at the end.
    pub(super) fn signed<'a>(&'a self, names: &'a [String], name: &'a [u8], stripped: &'a [u8]) -> Vec<(&'a [u8], &'a [u8])> {
        self.parsed.signed_headers(names, name, stripped).collect()
    }
}

/// `l=`, where it is a number that a body can have.
fn length(value: &[u8]) -> Option<u64> {
    tag(&String::from_utf8_lossy(value), "l").map(|length| length.parse().unwrap_or(u64::MAX))
}

/// The body as it is signed (RFC 6376 3.4.3, 3.4.4).
fn canonical(body: &[u8], relaxed: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 2);
    let mut line = Vec::new();
    // Blank lines at the end do not count, others do.
    let mut empty = 0;
    for text in body.split_inclusive(|byte| *byte == b'\n') {
        let text = text.strip_suffix(b"\n").map_or(text, |text| text.strip_suffix(b"\r").unwrap_or(text));
        line.clear();
        if relaxed {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
            for (at, word) in text.split(blank).enumerate().filter(|(at, word)| *at == 0 || !word.is_empty()) {
                line.extend((at > 0).then_some(b' '));
                line.extend_from_slice(word);
            }
        } else {
            line.extend_from_slice(text);
        }
        if line.is_empty() {
            empty += 1;
            continue;
        }
        out.extend(std::iter::repeat_n(*b"\r\n", std::mem::take(&mut empty)).flatten());
        out.append(&mut line);
        out.extend_from_slice(b"\r\n");
    }
    if out.is_empty() && !relaxed {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The field with an empty `b=` (RFC 6376 3.5), without its last line end.
pub(super) fn without_signature(value: &[u8]) -> Vec<u8> {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let mut out = Vec::with_capacity(value.len());
    for (at, tag) in value.split(|byte| *byte == b';').enumerate() {
        if at > 0 {
            out.push(b';');
        }
        match tag.iter().position(|byte| *byte == b'=') {
            Some(equals) if tag.get(..equals).is_some_and(|name| name.trim_ascii() == b"b") => {
                out.extend_from_slice(tag.get(..=equals).unwrap_or_default());
            }
            _ => out.extend_from_slice(tag),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_signed_as_the_standard_says() {
        for (body, simple, relaxed) in [
            ("", "\r\n", ""),
            ("\r\n\r\n", "\r\n", ""),
            (" \t\r\n", " \t\r\n", ""),
            ("a", "a\r\n", "a\r\n"),
            (" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"),
            ("\r\n\r\na\r\n \r\n\r\nb", "\r\n\r\na\r\n \r\n\r\nb\r\n", "\r\n\r\na\r\n\r\n\r\nb\r\n"),
        ] {
            let read = |relaxed| String::from_utf8(canonical(body.as_bytes(), relaxed)).unwrap();
            assert_eq!((read(false).as_str(), read(true).as_str()), (simple, relaxed), "{body:?}");
        }
    }

    #[test]
    fn a_field_that_is_not_of_its_form_counts_for_nothing() {
        const GOOD: &str = " v=1; a=rsa-sha256; d=a.example; s=b; h=From : to; bh=AA==; b=AA==";
        for (field, form, said) in [
            (GOOD.to_owned(), &DKIM, None),
            (format!("{GOOD}; q=dns/txt; l=5;"), &DKIM, None),
            (format!("{GOOD}; q=x/y:dns/txt; i=a=b@a.example"), &DKIM, None),
            (GOOD.replace("v=1; ", ""), &DKIM, Some("v= is missing")),
            (GOOD.replace("; b=AA==", ""), &DKIM, Some("b= is missing")),
            (format!("{GOOD}; d=b.example"), &DKIM, Some("d= stands twice")),
            (GOOD.replace("From : ", ""), &DKIM, Some("does not sign From")),
            (GOOD.replace("sha256", "sha1"), &DKIM, Some("SHA-1")),
            (format!("{GOOD}; q=http/x"), &DKIM, Some("q=http/x")),
            (format!("{GOOD}; l=all"), &DKIM, Some("l=all")),
            (format!("i=1; {GOOD}"), &ARC_MESSAGE, None),
            (format!("i=1; {}", GOOD.replace("to;", "ARC-Seal;")), &ARC_MESSAGE, Some("ARC-Seal")),
            ("i=1; a=rsa-sha256; cv=none; d=a.example; s=b; b=AA==".to_owned(), &ARC_SEAL, None),
            ("i=1; a=rsa-sha256; cv=none; d=a.example; s=b; b=AA==; h=from".to_owned(), &ARC_SEAL, Some("h= must not stand")),
            ("i=1; a=rsa-sha256; d=a.example; s=b; b=AA==".to_owned(), &ARC_SEAL, Some("cv= is missing")),
        ] {
            let found = fault(field.as_bytes(), form);
            match said {
                None => assert_eq!(found, None, "{field}"),
                Some(said) => assert!(found.as_ref().is_some_and(|found| found.contains(said)), "{field}: {found:?}"),
            }
        }
    }
}
