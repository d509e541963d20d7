//! TLSA records against certificates (RFC 6698 2.1, RFC 7671 5, RFC 7672 3): which are of use to SMTP, and which match what a host shows.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::{
    CertificateError, Error, RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use sha2::{Digest, Sha256, Sha512};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Bytes of a record that are read: a whole certificate fits.
const MOST_DATA: usize = 16 * 1024;

/// A TLSA record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tlsa {
    pub usage: u8,
    pub selector: u8,
    pub matching: u8,
    pub data: Vec<u8>,
}

/// What a record says of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    Yes,
    /// It does not match; why, where more is to say than that.
    No(Option<String>),
    /// It could not be told; why.
    Unknown(String),
}

impl Tlsa {
    /// Reads `usage selector matching hex`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut fields = text.split_ascii_whitespace();
        let mut number = || fields.next().and_then(|field| field.parse::<u8>().ok());
        let (Some(usage), Some(selector), Some(matching)) = (number(), number(), number()) else { return Err("it lacks its three numbers") };
        let digits: String = fields.collect();
        if digits.len() > 2 * MOST_DATA {
            return Err("it is too long to be a certificate");
        }
        let data = unhex(&digits).ok_or("its data is not hexadecimal")?;
        Ok(Self { usage, selector, matching, data })
    }

    /// Why senders can not make use of it, whoever they are.
    pub fn malformed(&self) -> Option<&'static str> {
        match (self.usage, self.selector, self.matching, self.data.len()) {
            (4.., ..) => Some("its usage is unknown"),
            (_, 2.., ..) => Some("its selector is unknown"),
            (_, _, 3.., _) => Some("its matching type is unknown"),
            (_, _, 1, length) if length != 32 => Some("a SHA-256 digest has 32 bytes"),
            (_, _, 2, length) if length != 64 => Some("a SHA-512 digest has 64 bytes"),
            (_, _, _, 0) => Some("it carries no data"),
            _ => None,
        }
    }

    /// SMTP makes use of it (RFC 7672 3.1).
    pub fn usable(&self) -> bool {
        self.malformed().is_none() && matches!(self.usage, 2 | 3)
    }

    /// Compares a usable record with the chain that a host shows, its own certificate first. `names` are those the certificate may carry: the
    /// host's and the domain's (RFC 7672 3.2.2).
    pub fn matches(&self, chain: &[CertificateDer<'_>], names: &[&str], now: DateTime<Utc>) -> Match {
        let Some((leaf, rest)) = chain.split_first() else { return Match::No(None) };
        if self.usage == 3 {
            // Neither names nor dates count (RFC 7672 3.1.1).
            return match self.hits(leaf) {
                Some(true) => Match::Yes,
                Some(false) => Match::No(None),
                None => Match::Unknown("the certificate can not be read".to_owned()),
            };
        }
        if let Some(anchor) = rest.iter().find(|issuer| self.hits(issuer) == Some(true)) {
            return below(anchor, leaf, rest, names, now);
        }
        match (self.selector, self.matching) {
            // The issuer stands in the record itself, so that the chain need not show it.
            (0, 0) => below(&CertificateDer::from(self.data.as_slice()), leaf, rest, names, now),
            (1, 0) => Match::Unknown("the record carries an issuer's bare key, which is not looked into".to_owned()),
            _ if self.hits(leaf) == Some(true) => {
                Match::No(Some("it names the server's own certificate as an issuer (usage 2); usage 3 is meant for that".to_owned()))
            }
            _ => Match::No(None),
        }
    }

    /// Whether the record is of this certificate; nothing when it can not be read.
    fn hits(&self, certificate: &CertificateDer<'_>) -> Option<bool> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let selected: &[u8] = if self.selector == 0 { certificate } else { parsed.tbs_certificate.subject_pki.raw };
        Some(match self.matching {
            0 => selected == self.data,
            1 => Sha256::digest(selected)[..] == self.data[..],
            _ => Sha512::digest(selected)[..] == self.data[..],
        })
    }
}

/// Whether the server's certificate comes from this issuer, in its dates and for one of the names (RFC 7672 3.1.2).
fn below(anchor: &CertificateDer<'_>, certificate: &CertificateDer<'_>, rest: &[CertificateDer<'_>], names: &[&str], now: DateTime<Utc>) -> Match {
    let mut anchors = RootCertStore::empty();
    if let Err(error) = anchors.add(anchor.clone().into_owned()) {
        return Match::Unknown(format!("the issuer that the record names can not be read: {error}"));
    }
    let leaf = match ParsedCertificate::try_from(certificate) {
        Ok(leaf) => leaf,
        Err(error) => return Match::Unknown(format!("the certificate can not be read: {error}")),
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.timestamp()).unwrap_or(0)));
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&leaf, &anchors, rest, time, algorithms) {
        Ok(()) => {}
        Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            return Match::No(Some("the issuer matches, but the certificate has expired".to_owned()));
        }
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            return Match::No(Some("the issuer is shown, but did not issue the certificate".to_owned()));
        }
        // What only our library minds is not held against the host.
        Err(error) => return Match::Unknown(format!("the chain can not be checked: {error}")),
    }
    let carried = |name: &&str| ServerName::try_from(*name).is_ok_and(|name| verify_server_name(&leaf, &name).is_ok());
    if names.iter().any(carried) {
        return Match::Yes;
    }
    // An old certificate carries its name in the subject alone, which RFC 7672 3.2.3 lets senders read.
    if alternative_names(certificate) {
        Match::No(Some(format!("the issuer matches, but the certificate does not name {}", names.first().copied().unwrap_or("the host"))))
    } else {
        Match::Unknown("the certificate carries its name in its subject alone".to_owned())
    }
}

/// The record that matches this certificate by its key alone, which stays valid when the certificate is renewed with the same key: usage 3 for
/// the server's own, 2 for an issuer's.
pub(crate) fn record_for(certificate: &CertificateDer<'_>, usage: u8) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(format!("{usage} 1 1 {:x}", Sha256::digest(parsed.tbs_certificate.subject_pki.raw)))
}

fn alternative_names(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| matches!(parsed.subject_alternative_name(), Ok(Some(_))))
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, SanType, date_time_ymd};

    use super::*;
    use crate::net::authority::Authority;

    fn now() -> DateTime<Utc> {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn matched(record: &str, chain: &[CertificateDer<'_>], names: &[&str]) -> Match {
        Tlsa::parse(record).unwrap().matches(chain, names, now())
    }

    #[test]
    fn records_are_of_use_or_not() {
        let of = |text: &str| Tlsa::parse(text).map(|tlsa| (tlsa.usable(), tlsa.malformed().is_some()));
        assert_eq!(of(&format!("3 1 1 {}", "ab".repeat(32))), Ok((true, false)));
        assert_eq!(of(&format!("2 0 2 {} {}", "AB".repeat(32), "cd".repeat(32))), Ok((true, false)));
        assert_eq!(of(&format!("1 1 1 {}", "ab".repeat(32))), Ok((false, false)));
        for broken in [format!("3 1 1 {}", "ab".repeat(20)), "9 1 1 ab".to_owned(), "3 7 0 ab".to_owned(), "3 1 9 ab".to_owned(), "3 1 0".to_owned()]
        {
            assert_eq!(of(&broken), Ok((false, true)), "{broken}");
        }
        for broken in ["", "3 1", "3 1 1 xy", "3 1 1 abc", "256 1 1 ab"] {
            assert!(of(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_servers_own_certificate_by_selector_and_matching_type() {
        // Expired and of another name: usage 3 does not mind.
        let issued = Authority::new().issue("other.example", |params| {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        });
        let leaf = &issued.chain[0];
        let (_, parsed) = X509Certificate::from_der(leaf).unwrap();
        let key = parsed.tbs_certificate.subject_pki.raw;
        for record in [
            format!("3 0 0 {}", hex(leaf)),
            format!("3 0 1 {:x}", Sha256::digest(leaf)),
            format!("3 0 2 {:x}", Sha512::digest(leaf)),
            format!("3 1 0 {}", hex(key)),
            format!("3 1 1 {:x}", Sha256::digest(key)),
            format!("3 1 2 {:x}", Sha512::digest(key)),
            record_for(leaf, 3).unwrap(),
        ] {
            assert_eq!(matched(&record, &issued.chain, &["mx.example"]), Match::Yes, "{record}");
        }
        for record in [format!("3 1 1 {:x}", Sha256::digest(leaf)), record_for(&issued.chain[1], 3).unwrap()] {
            assert_eq!(matched(&record, &issued.chain, &["mx.example"]), Match::No(None), "{record}");
        }
        assert!(matches!(matched(&record_for(leaf, 3).unwrap(), &[CertificateDer::from(vec![1])], &[]), Match::Unknown(_)));
    }

    #[test]
    fn an_issuer_must_have_issued_a_certificate_for_the_host_within_its_dates() {
        let authority = Authority::new();
        let root = authority.root.der().clone();
        let record = record_for(&root, 2).unwrap();
        let fine = authority.issue("mx.example", |_| {});
        assert_eq!(matched(&record, &fine.chain, &["mx.example", "e.example"]), Match::Yes);
        assert_eq!(matched(&record, &fine.chain, &["x.example", "mx.example"]), Match::Yes);
        assert_eq!(matched(&format!("2 0 1 {:x}", Sha256::digest(&root)), &fine.chain, &["mx.example"]), Match::Yes);
        let says = |found: Match| match found {
            Match::No(Some(why)) => why,
            other => format!("{other:?}"),
        };
        assert!(says(matched(&record, &fine.chain, &["other.example"])).contains("does not name other.example"));
        let old = |params: &mut CertificateParams| (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        assert!(says(matched(&record, &authority.issue("mx.example", old).chain, &["mx.example"])).contains("has expired"));
        // Another authority's certificate, with this root shown beside it.
        let foreign = [Authority::new().issue("mx.example", |_| {}).chain[0].clone(), root.clone()];
        assert!(says(matched(&record, &foreign, &["mx.example"])).contains("did not issue"));
        assert!(says(matched(&record_for(&fine.chain[0], 2).unwrap(), &fine.chain, &["mx.example"])).contains("usage 3"));
        // An issuer that is not shown matches only where it stands in the record.
        assert_eq!(matched(&record, &fine.chain[..1], &["mx.example"]), Match::No(None));
        assert_eq!(matched(&format!("2 0 0 {}", hex(&root)), &fine.chain[..1], &["mx.example"]), Match::Yes);
        let bare = authority.issue("mx.example", |params| params.subject_alt_names = Vec::<SanType>::new());
        assert!(!matches!(matched(&record, &bare.chain, &["mx.example"]), Match::Yes));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[0-9a-f \\PC]{0,60}", der in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(tlsa) = Tlsa::parse(&text) {
                let chain = [CertificateDer::from(der.clone()), CertificateDer::from(der)];
                let _: (bool, Match) = (tlsa.usable(), tlsa.matches(&chain, &["mx.example"], now()));
            }
        }
    }
}
