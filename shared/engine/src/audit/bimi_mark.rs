//! Mark certificates (VMC, CMC): whose they are, for which domain, until when, and which logo they carry
//! (draft-fetch-validation-vmc-wchuang, the mark certificate guidelines of the BIMI group, RFC 9399 for the logotype extension).

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, extensions::ParsedExtension, parse_x509_certificate, x509::X509Name};

use super::bimi_svg::{MOST_UNPACKED, unpacked};

/// A certificate file may be this large.
pub(super) const MOST_BYTES: usize = 128 * 1024;
/// Certificates of a file that are read.
const MOST_CERTIFICATES: usize = 10;
/// Names of a certificate that are read.
const MOST_NAMES: usize = 100;
/// Nesting of the logotype extension that is followed.
const MOST_DEPTH: usize = 16;
/// Values of the logotype extension that are kept.
const MOST_VALUES: usize = 20;

/// id-kp-BrandIndicatorforMessageIdentification.
const BRAND_INDICATOR: &str = "1.3.6.1.5.5.7.3.31";
/// id-pe-logotype (RFC 9399 4.1).
const LOGOTYPE: &str = "1.3.6.1.5.5.7.1.12";
/// The subject's mark type: “Registered Mark”, “Prior Use Mark”, …
const MARK_TYPE: &str = "1.3.6.1.4.1.53087.1.13";

/// A mark certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// `VMC` or `CMC`, where it says so.
    pub kind: Option<&'static str>,
    /// The mark type in its subject's words.
    pub claim: Option<String>,
    pub issuer: String,
    pub names: Vec<String>,
    pub starts: Option<DateTime<Utc>>,
    pub ends: Option<DateTime<Utc>>,
    pub for_marks: bool,
    pub is_authority: bool,
    /// The logo inside, unpacked; an error says why it can not be read.
    pub logo: Option<Result<Vec<u8>, String>>,
    /// Hashes of the logo: SHA-256 or SHA-1.
    pub hashes: Vec<Vec<u8>>,
    pub has_logotype: bool,
    /// The next certificate of the file is its issuer's; absent where there is none.
    pub chained: Option<bool>,
}

/// Reads the first certificate of a PEM file, and whether the next one follows from it.
pub(super) fn read(pem: &[u8]) -> Result<Mark, String> {
    let mut reader = pem;
    let certificates: Vec<_> = rustls_pemfile::certs(&mut reader)
        .take(MOST_CERTIFICATES)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the file is no PEM file of certificates: {error}"))?;
    let Some(leaf) = certificates.first() else { return Err("there is no PEM certificate in the file".to_owned()) };
    let parse = |der: &[u8]| parse_x509_certificate(der).map(|(_, parsed)| parsed.issuer().as_raw().to_vec());
    let (_, parsed) = parse_x509_certificate(leaf).map_err(|_| "the first certificate of the file is malformed".to_owned())?;
    let mut mark = of(&parsed);
    if let Some(next) = certificates.get(1) {
        // A malformed one follows from nothing.
        mark.chained = Some(parse(next).is_ok() && subject(next).is_some_and(|subject| subject == parsed.issuer().as_raw()));
    }
    Ok(mark)
}

fn subject(der: &[u8]) -> Option<Vec<u8>> {
    parse_x509_certificate(der).ok().map(|(_, parsed)| parsed.subject().as_raw().to_vec())
}

fn of(parsed: &X509Certificate<'_>) -> Mark {
    let time = |seconds: i64| DateTime::<Utc>::from_timestamp(seconds, 0);
    let mut mark = Mark {
        issuer: issuer(parsed.issuer()),
        starts: time(parsed.validity().not_before.timestamp()),
        ends: time(parsed.validity().not_after.timestamp()),
        is_authority: parsed.is_ca(),
        ..Mark::default()
    };
    for extension in parsed.extensions() {
        let id = extension.oid.to_id_string();
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                let dns = names.general_names.iter().filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                    _ => None,
                });
                mark.names.extend(dns.take(MOST_NAMES));
            }
            ParsedExtension::ExtendedKeyUsage(usage) => mark.for_marks = usage.other.iter().any(|oid| oid.to_id_string() == BRAND_INDICATOR),
            _ if id == LOGOTYPE => {
                mark.has_logotype = true;
                logotype(extension.value, &mut mark);
            }
            _ => {}
        }
    }
    mark.claim = parsed
        .subject()
        .iter_attributes()
        .find(|attribute| attribute.attr_type().to_id_string() == MARK_TYPE)
        .and_then(|attribute| attribute.as_str().ok())
        .map(shown);
    mark.kind = mark.claim.as_deref().and_then(kind);
    mark
}

/// Registered and government marks are verified marks; prior use, modified and new ones are common marks.
fn kind(claim: &str) -> Option<&'static str> {
    match claim.split(' ').next()? {
        "Registered" | "Government" => Some("VMC"),
        "Prior" | "Modified" | "New" => Some("CMC"),
        _ => None,
    }
}

/// The issuer's organisation and name.
fn issuer(name: &X509Name<'_>) -> String {
    let first = |value: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| value.and_then(|value| value.as_str().ok()).map(shown);
    match (first(name.iter_organization().next()), first(name.iter_common_name().next())) {
        (Some(organisation), Some(common)) => format!("{organisation} ({common})"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => shown(&name.to_string()),
    }
}

fn shown(text: &str) -> String {
    crate::text::shown(text, 200)
}

/// Finds logo and hashes in the extension by their shape, whatever the tags around them: a `data:` address, and pairs of algorithm and value.
fn logotype(der: &[u8], mark: &mut Mark) {
    let mut values = Vec::new();
    walk(der, 0, &mut values);
    for value in values {
        match value {
            Value::Text(address) if mark.logo.is_none() => mark.logo = embedded(address),
            Value::Text(_) => {}
            Value::Hash(hash) => mark.hashes.push(hash.to_vec()),
        }
    }
}

enum Value<'a> {
    Text(&'a [u8]),
    Hash(&'a [u8]),
}

fn walk<'a>(mut der: &'a [u8], depth: usize, values: &mut Vec<Value<'a>>) {
    while let Some((tag, value, rest)) = element(der) {
        if values.len() >= MOST_VALUES {
            return;
        }
        // IA5String.
        if tag == 0x16 {
            values.push(Value::Text(value));
        } else if tag == 0x30
            && let Some(hash) = hash(value)
        {
            values.push(Value::Hash(hash));
        } else if tag & 0x20 != 0 && depth < MOST_DEPTH {
            walk(value, depth + 1, values);
        }
        der = rest;
    }
}

/// `SEQUENCE { SEQUENCE { OID … }, OCTET STRING }` with the length of a hash that we know.
fn hash(sequence: &[u8]) -> Option<&[u8]> {
    let (algorithm, inner, rest) = element(sequence)?;
    let (octets, value, end) = element(rest)?;
    let named = algorithm == 0x30 && element(inner).is_some_and(|(tag, ..)| tag == 0x06);
    (named && octets == 0x04 && end.is_empty() && matches!(value.len(), 20 | 32)).then_some(value)
}

/// Tag, value, and what follows; nothing where the bytes are no DER of definite length.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    // Tags of several bytes do not occur here.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 3 || rest.len() < count {
            return None;
        }
        (rest[..count].iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte)), &rest[count..])
    };
    (length <= rest.len()).then(|| (*tag, &rest[..length], &rest[length..]))
}

/// The logo in a `data:` address.
fn embedded(address: &[u8]) -> Option<Result<Vec<u8>, String>> {
    let rest = address.strip_prefix(b"data:")?;
    let comma = rest.iter().position(|byte| *byte == b',')?;
    let (kind, data) = (&rest[..comma], &rest[comma + 1..]);
    let kind = String::from_utf8_lossy(kind).to_ascii_lowercase();
    if !kind.starts_with("image/svg+xml") {
        return Some(Err(format!("the logo in it is {}", shown(&kind))));
    }
    if !kind.ends_with(";base64") {
        return Some(Err("the logo in it is not in Base64".to_owned()));
    }
    if data.len() > MOST_UNPACKED * 2 {
        return Some(Err("the logo in it is too large".to_owned()));
    }
    Some(STANDARD.decode(data).map_err(|_| "the logo in it is broken Base64".to_owned()).and_then(|bytes| unpacked(&bytes)))
}

impl Mark {
    /// What keeps the certificate from being used for a logo of this domain; `owners` are the names that a certificate may be for. Says
    /// nothing of trust: the authorities that issue marks are no public roots of the web.
    pub fn faults(&self, owners: &[String], logo: Option<&[u8]>, now: DateTime<Utc>) -> Vec<String> {
        let mut faults = Vec::new();
        if self.is_authority {
            return vec!["the first certificate of the file is an authority's; the mark certificate must stand first".to_owned()];
        }
        let day = |time: DateTime<Utc>| time.format("%Y-%m-%d").to_string();
        if let Some(ends) = self.ends.filter(|ends| *ends < now) {
            faults.push(format!("it expired on {}", day(ends)));
        }
        if let Some(starts) = self.starts.filter(|starts| *starts > now) {
            faults.push(format!("it is not valid before {}", day(starts)));
        }
        if !self.names.iter().any(|name| owners.contains(name)) {
            let names = self.names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            faults.push(format!("it does not name {}; it is for {}", owners.join(" or "), if names.is_empty() { "no domain" } else { &names }));
        }
        if !self.for_marks {
            faults.push(format!("it is not made for BIMI (extended key usage {BRAND_INDICATOR} is missing)"));
        }
        if self.chained.is_none() {
            faults.push("the certificate of its issuer does not stand behind it in the file".to_owned());
        } else if self.chained == Some(false) {
            faults.push("the second certificate of the file is not its issuer's".to_owned());
        }
        match (&self.logo, self.has_logotype) {
            (_, false) => faults.push("there is no logo in it (logotype extension)".to_owned()),
            (Some(Err(reason)), true) => faults.push(reason.clone()),
            _ => {}
        }
        if let Some(logo) = logo
            && self.has_logotype
            && self.matches(logo) == Some(false)
        {
            faults.push("the logo in it is another one than the file that the record names".to_owned());
        }
        faults
    }

    /// Whether the published logo is the one in the certificate, by its bytes or by its hash; nothing where it carries neither.
    fn matches(&self, published: &[u8]) -> Option<bool> {
        let Ok(plain) = unpacked(published) else { return None };
        let hashed = |bytes: &[u8]| {
            let long = Sha256::digest(bytes);
            let short = sha1::Sha1::digest(bytes);
            self.hashes.iter().any(|hash| hash[..] == long[..] || hash[..] == short[..])
        };
        match &self.logo {
            Some(Ok(inside)) => Some(same_text(inside, &plain)),
            Some(Err(_)) => None,
            None if self.hashes.is_empty() => None,
            None => Some(hashed(published) || hashed(&plain)),
        }
    }
}

/// Line ends and a final line break change on their way through editors; the logo stays the same.
fn same_text(one: &[u8], other: &[u8]) -> bool {
    let bare = |bytes: &[u8]| -> Vec<u8> { bytes.trim_ascii().iter().copied().filter(|byte| *byte != b'\r').collect() };
    bare(one) == bare(other)
}
