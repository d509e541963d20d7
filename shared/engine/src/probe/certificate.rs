//! What is read in a certificate, whether anybody believes it or not.

use chrono::{DateTime, Utc};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use waypost_types::outcome::CertificateReport;
use x509_parser::{
    prelude::{FromDer, GeneralName, X509Certificate},
    public_key::PublicKey,
};

/// Names of one certificate that are kept.
const MOST_NAMES: usize = 100;

/// A certificate as it is shown, and what of it is judged.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub shown: CertificateReport,
    /// DNS names.
    pub names: Vec<String>,
    pub self_issued: bool,
    /// A key or signature that new software refuses.
    pub weak: Option<String>,
}

impl Certificate {
    /// Nothing where it can not be read.
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let time = |seconds: i64| DateTime::<Utc>::from_timestamp(seconds, 0);
        let (key, weak_key) = key_of(&parsed);
        let (signature, weak_hash) = signature_of(&parsed.signature_algorithm.algorithm.to_id_string());
        let self_issued = parsed.subject().as_raw() == parsed.issuer().as_raw();
        // Nobody checks the signature of a root on itself.
        let weak_hash = weak_hash.filter(|_| !self_issued || !parsed.is_ca()).map(|hash| format!("a signature with {hash}"));
        let shown = CertificateReport {
            subject: cut(&parsed.subject().to_string()),
            issuer: cut(&parsed.issuer().to_string()),
            not_before: time(parsed.validity().not_before.timestamp()),
            expires: time(parsed.validity().not_after.timestamp()),
            key,
            signature,
            fingerprint: format!("{:x}", Sha256::digest(der)),
        };
        Some(Self { shown, names: names_of(&parsed), self_issued, weak: weak_key.or(weak_hash) })
    }
}

fn names_of(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(cut(name)),
        _ => None,
    });
    dns.take(MOST_NAMES).collect()
}

/// The key in words, and what is weak about it.
fn key_of(parsed: &X509Certificate<'_>) -> (String, Option<String>) {
    match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => {
            // The parser counts whole bytes; a key whose first bits are zero is not weaker for it.
            let bits = key.key_size();
            (format!("RSA {bits}"), (bits < 2040).then(|| format!("an RSA key of {bits} bits")))
        }
        Ok(PublicKey::EC(key)) => {
            let bits = key.key_size();
            (format!("EC {bits}"), (bits < 224).then(|| format!("an elliptic curve key of {bits} bits")))
        }
        Ok(PublicKey::DSA(_)) => ("DSA".to_owned(), Some("a DSA key".to_owned())),
        _ => match parsed.public_key().algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => ("Ed25519".to_owned(), None),
            "1.3.101.113" => ("Ed448".to_owned(), None),
            other => (other.to_owned(), None),
        },
    }
}

/// The signature in words, and its hash where that is broken.
fn signature_of(id: &str) -> (String, Option<&'static str>) {
    let (words, weak) = match id {
        "1.2.840.113549.1.1.2" => ("RSA with MD2", Some("MD2")),
        "1.2.840.113549.1.1.4" => ("RSA with MD5", Some("MD5")),
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => ("RSA with SHA-1", Some("SHA-1")),
        "1.2.840.10045.4.1" => ("ECDSA with SHA-1", Some("SHA-1")),
        "1.2.840.113549.1.1.10" => ("RSA-PSS", None),
        "1.2.840.113549.1.1.11" => ("RSA with SHA-256", None),
        "1.2.840.113549.1.1.12" => ("RSA with SHA-384", None),
        "1.2.840.113549.1.1.13" => ("RSA with SHA-512", None),
        "1.2.840.10045.4.3.2" => ("ECDSA with SHA-256", None),
        "1.2.840.10045.4.3.3" => ("ECDSA with SHA-384", None),
        "1.2.840.10045.4.3.4" => ("ECDSA with SHA-512", None),
        "1.3.101.112" => ("Ed25519", None),
        "1.3.101.113" => ("Ed448", None),
        other => (other, None),
    };
    (words.to_owned(), weak)
}

fn cut(text: &str) -> String {
    crate::text::shown(text, 300)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn certificates_are_read() {
        for (algorithm, key, signature) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, "EC 256", "ECDSA with SHA-256"),
            (&rcgen::PKCS_ECDSA_P384_SHA384, "EC 384", "ECDSA with SHA-384"),
            (&rcgen::PKCS_ED25519, "Ed25519", "Ed25519"),
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let made = CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&pair).unwrap();
            let read = Certificate::read(made.der()).unwrap();
            assert_eq!((read.shown.key.as_str(), read.shown.signature.as_str()), (key, signature));
            assert!(read.self_issued && read.weak.is_none() && read.names == ["a.example"] && read.shown.fingerprint.len() == 64, "{read:?}");
        }
        assert!(Certificate::read(&CertificateDer::from(b"nonsense".to_vec())).is_none());
        assert_eq!(signature_of("1.2.840.113549.1.1.5").1, Some("SHA-1"));
        assert_eq!(signature_of("1.2.3").0, "1.2.3");
    }
}
