//! A DKIM key record, read (RFC 6376 3.6.1, 8301, 8463): what key it holds and for which service, or exactly why nobody can use it, and the record
//! as it should be where nothing of that has to be guessed.

use base64::{
    Engine, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
};
use sha2::{Digest, Sha256};
use x509_parser::{prelude::FromDer, public_key::PublicKey, x509::SubjectPublicKeyInfo};

use super::dkim_tags::{Broken, FWS, Tag, TagList, cleaned, pasted, private_key, quoted, tag_list, written};

/// Bytes of an Ed25519 key (RFC 8463 4).
const ED25519: usize = 32;
/// What stands before an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410 4).
const ED25519_FRAME: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The exponent that all signers use.
const USUAL_EXPONENT: [u8; 3] = [1, 0, 1];
/// Digits of a mark.
const MARK_BYTES: usize = 8;

/// Reads base64 whose padding is left out or wrong: it is looked at by itself.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    Ed25519,
}

/// What a key is for (`s=`, RFC 6376 3.6.1): whoever verifies mail ignores one that is not for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// There is no `s=`, or `email` or `*` is in it.
    Mail,
    /// `tlsrpt` is in it and mail is not: the key signs TLS reports (RFC 8460 3).
    TlsReports,
    /// Neither.
    Other,
}

#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // flags of the record, each on its own
pub(super) struct Key {
    pub(super) kind: Kind,
    /// RSA modulus; 256 for Ed25519; zero when revoked.
    pub(super) bits: u32,
    /// `p=` is empty.
    pub(super) revoked: bool,
    /// `t=y`.
    pub(super) testing: bool,
    /// `h=` allows nothing but SHA-1.
    pub(super) sha1_only: bool,
    pub(super) service: Service,
    /// An RSA exponent that is not 65537.
    pub(super) odd_exponent: bool,
    /// SHA-256 of the key's bytes, 16 hexadecimal digits; empty when revoked.
    pub(super) mark: String,
    /// What strict receivers refuse and others forgive.
    pub(super) forgiven: Vec<Broken>,
}

impl Key {
    /// Bits of an RSA key of the same strength.
    pub(super) const fn strength(&self) -> u32 {
        match self.kind {
            Kind::Rsa => self.bits,
            Kind::Ed25519 => 3072,
        }
    }
}

/// Why a key can not be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax(Broken),
    /// An Ed25519 key that has not 32 bytes, and what it seems to be.
    Ed25519Length {
        bytes: usize,
        hint: Option<&'static str>,
        /// The key out of its longer form.
        better: Option<String>,
    },
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Self::Syntax(broken)
    }
}

/// True of a text that is meant to be a key, however broken; other TXT records at the name are not.
pub(crate) fn is_meant_as_key(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| FWS.contains(&c) || c == '"' || c == '\\').to_ascii_lowercase();
    text.starts_with("v=dkim") || text.split(';').any(|piece| piece.trim_matches(FWS).starts_with("p="))
}

/// `k=` as it is written, or what it means when it is not there.
pub(super) fn kind_as_written(text: &str) -> String {
    tag_list(text).ok().and_then(|list| list.get("k").map(|tag| quoted(tag.value))).unwrap_or_else(|| "rsa".to_owned())
}

/// Parses a key record.
pub(super) fn parse(text: &str) -> Result<Key, Fault> {
    read(text).map_err(|fault| match fault {
        Fault::Syntax(broken) => Fault::Syntax(pasted(text).unwrap_or(broken)),
        length @ Fault::Ed25519Length { .. } => length,
    })
}

/// The record as it should be, all of it put right; nothing where a part would have to be guessed, or where nothing of it can be mended. `signs`:
/// mail is signed with it, so that a key for TLS reports is to be for mail as well.
pub(super) fn repaired(text: &str, signs: bool) -> Option<String> {
    let clean = match parse(text) {
        Err(Fault::Ed25519Length { better: Some(better), .. }) => {
            let p = |tag: &Tag<'_>| Some(if tag.name == "p" { better.clone() } else { tag.value.to_owned() });
            written(&tag_list(text).ok()?.tags, p)
        }
        _ => cleaned(text),
    };
    let key = parse(&clean).ok()?;
    let same_padding = key.forgiven.iter().all(|broken| !broken.reason.contains("p="));
    let list = tag_list(&clean).ok()?;
    let right = |tag: &Tag<'_>| match tag.name {
        "k" => Some(tag.value.to_ascii_lowercase()),
        "t" if key.testing => without_test(tag.value),
        "h" if key.sha1_only => None,
        "s" if key.service == Service::Other => None,
        "s" if key.service == Service::TlsReports && signs => Some(format!("{}:email", tag.value)),
        _ => Some(tag.value.to_owned()),
    };
    (!key.revoked && same_padding).then(|| written(&list.tags, right))
}

/// `t=` without `y`.
fn without_test(value: &str) -> Option<String> {
    let rest: Vec<&str> =
        value.split(':').map(|flag| flag.trim_matches(FWS)).filter(|flag| !flag.is_empty() && !flag.eq_ignore_ascii_case("y")).collect();
    (!rest.is_empty()).then(|| rest.join(":"))
}

fn service(services: &[String]) -> Service {
    let has = |name: &str| services.iter().any(|service| service == name);
    match () {
        () if has("*") || has("email") => Service::Mail,
        () if has("tlsrpt") => Service::TlsReports,
        () => Service::Other,
    }
}

fn read(text: &str) -> Result<Key, Fault> {
    let mut list = tag_list(text)?;
    version(&list)?;
    let kind = kind(&mut list)?;
    let hashes = list.list("h");
    if let Some(hashes) = &hashes
        && !hashes.iter().any(|hash| hash == "sha1" || hash == "sha256")
    {
        return Err(
            Broken::new(format!("h={} allows no hash that receivers know", quoted(&hashes.join(":"))), "Take h= out, or write h=sha256.").into()
        );
    }
    let p = list.get("p").ok_or_else(|| no_key(&list))?;
    let mut key = Key {
        kind,
        bits: 0,
        revoked: p.value.is_empty(),
        testing: list.list("t").is_some_and(|flags| flags.iter().any(|flag| flag == "y")),
        sha1_only: hashes.is_some_and(|hashes| !hashes.iter().any(|hash| hash == "sha256")),
        service: list.list("s").map_or(Service::Mail, |services| service(&services)),
        odd_exponent: false,
        mark: String::new(),
        forgiven: list.forgiven,
    };
    if key.revoked {
        return Ok(key);
    }
    let (bytes, whole) = decode(p, &mut key.forgiven)?;
    match kind {
        Kind::Ed25519 if bytes.len() == ED25519 && whole => key.bits = 256,
        Kind::Ed25519 => return Err(ed25519_length(&bytes)),
        Kind::Rsa => {
            let rsa = rsa(&bytes, whole)?;
            (key.bits, key.odd_exponent) = (rsa.bits, rsa.odd_exponent);
            if rsa.rest > 0 {
                key.forgiven.push(Broken::new(
                    format!("p= goes on for {} bytes after the end of the key", rsa.rest),
                    "Copy the key again from your mail service; something else was pasted behind it.",
                ));
            }
        }
    }
    key.mark = Sha256::digest(&bytes).iter().take(MARK_BYTES).fold(String::new(), |mark, byte| format!("{mark}{byte:02x}"));
    Ok(key)
}

/// `v=` is DKIM1 and first, or not there.
fn version(list: &TagList<'_>) -> Result<(), Broken> {
    let Some(version) = list.get("v") else { return Ok(()) };
    if let Some(next) = glued(version) {
        return Err(next);
    }
    if version.value != "DKIM1" {
        return Err(Broken::new(
            format!("v= is “{}”, it must be DKIM1 in capital letters", quoted(version.value)),
            "Begin the record with “v=DKIM1;”. If this is the record of something else, publish it at its own name.",
        ));
    }
    if list.tags.first() != Some(&version) {
        return Err(Broken::new(
            format!("v=DKIM1 stands at character {}, it must be the first tag", version.at.saturating_sub(2)),
            "Move “v=DKIM1;” to the beginning of the record, or leave it out.",
        ));
    }
    Ok(())
}

/// A tag whose value runs on into the next one: its semicolon is missing.
fn glued(tag: Tag<'_>) -> Option<Broken> {
    let (own, rest) = tag.value.split_once(FWS)?;
    let rest = rest.trim_start_matches(FWS);
    let (next, _) = rest.split_once('=')?;
    let (name, own) = (quoted(tag.name), quoted(own));
    ((1..=2).contains(&next.len()) && next.bytes().all(|b| b.is_ascii_lowercase())).then(|| {
        Broken::new(
            format!("a semicolon is missing after {name}={own}, before “{next}=”"),
            format!("Write “{name}={own}; {next}=…”: a semicolon stands between two tags."),
        )
    })
}

fn kind(list: &mut TagList<'_>) -> Result<Kind, Broken> {
    let Some(tag) = list.get("k") else { return Ok(Kind::Rsa) };
    if let Some(next) = glued(tag) {
        return Err(next);
    }
    let kind = match tag.value.to_ascii_lowercase().as_str() {
        "rsa" => Kind::Rsa,
        "ed25519" => Kind::Ed25519,
        _ => {
            return Err(Broken::new(
                format!("k={} is no key type that receivers know", quoted(tag.value)),
                "Write k=rsa or k=ed25519, whichever the key is; without k= it counts as RSA.",
            ));
        }
    };
    if tag.value.bytes().any(|b| b.is_ascii_uppercase()) {
        list.forgiven.push(Broken::new(
            format!("k={} is written with capital letters", tag.value),
            format!("Write k={}: values are case-sensitive.", tag.value.to_ascii_lowercase()),
        ));
    }
    Ok(kind)
}

/// There is no `p=`.
fn no_key(list: &TagList<'_>) -> Broken {
    if let Some(tag) = list.get("P") {
        return Broken::new(
            format!("the key is given as P= (its value at character {}), names of tags are case-sensitive", tag.at),
            "Write p= in a small letter.",
        );
    }
    if let Some(next) = list.tags.iter().find_map(|tag| glued(*tag)) {
        return next;
    }
    Broken::new("p= is missing, so there is no key in it", "Add p= and the public key that your mail service shows for this selector.")
}

/// The bytes of `p=`, and whether its last group of digits is whole.
fn decode(p: Tag<'_>, forgiven: &mut Vec<Broken>) -> Result<(Vec<u8>, bool), Broken> {
    const AGAIN: &str = "Copy the key again from your mail service and paste it as one line after p=.";
    let mut digits = String::new();
    let mut padding = 0_usize;
    for (index, c) in p.value.chars().enumerate().filter(|(_, c)| !FWS.contains(c)) {
        let at = p.at + index;
        match c {
            '=' => padding += 1,
            _ if padding > 0 => {
                return Err(Broken::new(
                    format!("the key goes on after “=” (character {at}): “=” ends it"),
                    "Put a semicolon between the key and what follows it, or paste the key again if two were joined.",
                ));
            }
            'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '/' => digits.push(c),
            '-' | '_' => {
                return Err(Broken::new(
                    format!("“{c}” at character {at} belongs to the base64 of web addresses"),
                    "In p=, write “+” for every “-” and “/” for every “_”.",
                ));
            }
            other => return Err(Broken::new(format!("p= is not base64: “{}” stands at character {at}", other.escape_debug()), AGAIN)),
        }
    }
    let over = digits.len() % 4;
    if over == 1 {
        digits.pop();
    } else if padding != (4 - over) % 4 {
        forgiven.push(Broken::new(
            format!("p= ends with {padding} “=”, its length needs {}", (4 - over) % 4),
            format!("Let p= end with {} “=”; if your mail service shows more characters than are published, publish all of them.", (4 - over) % 4),
        ));
    }
    let bytes = LENIENT.decode(&digits).map_err(|_| Broken::new("p= is not base64", AGAIN))?;
    Ok((bytes, over != 1))
}

fn ed25519_length(bytes: &[u8]) -> Fault {
    let framed = bytes.strip_prefix(&ED25519_FRAME).filter(|key| key.len() == ED25519);
    let hint = match () {
        () if framed.is_some() => Some("it is in the longer form of key files"),
        () if rsa(bytes, true).is_ok() => Some("it is an RSA key, which k=rsa goes with"),
        () if bytes.len() < ED25519 => Some("its end is missing"),
        () => None,
    };
    Fault::Ed25519Length { bytes: bytes.len(), hint, better: framed.map(|key| STANDARD.encode(key)) }
}

/// An RSA key.
#[derive(Debug, PartialEq, Eq)]
struct Rsa {
    bits: u32,
    odd_exponent: bool,
    /// Bytes behind it.
    rest: usize,
}

/// A `SubjectPublicKeyInfo`, or the bare `RSAPublicKey` that some publish.
fn rsa(der: &[u8], whole: bool) -> Result<Rsa, Broken> {
    const AGAIN: &str = "Publish the public key that your mail service shows for this selector (for RSA it begins with MII).";
    if let Some(wanted) = declared(der).filter(|wanted| *wanted > der.len()) {
        return Err(Broken::new(
            format!("the key is cut off after {} of {wanted} bytes", der.len()),
            "Publish the whole key. A string in DNS has at most 255 bytes: split the value into strings of at most 255 bytes in one TXT record, \
             “v=DKIM1; k=rsa; p=MII…” “…the rest”.",
        ));
    }
    if !whole {
        return Err(Broken::new(
            "p= is not whole base64: one character or more is missing",
            "Publish the key again with every character that your mail service shows.",
        ));
    }
    if is_private(der) {
        return Err(private_key("in p="));
    }
    if let Ok((rest, spki)) = SubjectPublicKeyInfo::from_der(der) {
        return match spki.parsed() {
            Ok(PublicKey::RSA(rsa)) => of_numbers(rsa.modulus, rsa.exponent, rest.len()).ok_or_else(|| Broken::new("p= holds no RSA key", AGAIN)),
            _ if der.starts_with(&ED25519_FRAME) => {
                Err(Broken::new("p= holds an Ed25519 key, and k=ed25519 is missing", "Write k=ed25519, and after p= the bare key of 44 characters."))
            }
            _ => Err(Broken::new("p= holds no RSA key", AGAIN)),
        };
    }
    if der.len() == ED25519 {
        return Err(Broken::new(
            "p= has 32 bytes as an Ed25519 key has, and k=ed25519 is missing",
            "Write “k=ed25519;” before p= if it is an Ed25519 key.",
        ));
    }
    bare(der).ok_or_else(|| Broken::new("p= holds no RSA key", AGAIN))
}

fn of_numbers(modulus: &[u8], exponent: &[u8], rest: usize) -> Option<Rsa> {
    let digits = without_zeros(modulus);
    let bits = u32::try_from(digits.len()).ok()?.checked_mul(8)?.checked_sub(digits.first()?.leading_zeros())?;
    Some(Rsa { bits, odd_exponent: without_zeros(exponent) != USUAL_EXPONENT, rest })
}

fn without_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

/// `SEQUENCE { INTEGER modulus, INTEGER exponent }`.
fn bare(der: &[u8]) -> Option<Rsa> {
    let (0x30, body, rest) = tlv(der)? else { return None };
    let (0x02, modulus, body) = tlv(body)? else { return None };
    let (0x02, exponent, _) = tlv(body)? else { return None };
    of_numbers(modulus, exponent, rest.len())
}

/// `SEQUENCE { INTEGER 0, … }`: what private keys begin with (RFC 8017 A.1.2, 5958 2).
fn is_private(der: &[u8]) -> bool {
    tlv(der).filter(|(tag, ..)| *tag == 0x30).and_then(|(_, body, _)| tlv(body)).is_some_and(|(tag, version, _)| tag == 0x02 && version == [0])
}

/// Bytes that a `SEQUENCE` says it has, with its head.
fn declared(der: &[u8]) -> Option<usize> {
    let (0x30, length, body) = head(der)? else { return None };
    Some(length.saturating_add(der.len() - body.len()))
}

fn tlv(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, length, body) = head(der)?;
    body.split_at_checked(length).map(|(body, rest)| (tag, body, rest))
}

/// Tag, length and all that follows.
fn head(der: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if first < 0x80 {
        return Some((tag, usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    // Keys have less than 64 KiB.
    let (length, rest) = rest.split_at_checked(count).filter(|_| (1..=2).contains(&count))?;
    Some((tag, length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte)), rest))
}
