//! TLS of a probe: the handshake is completed whatever the certificate is, then the certificate is judged. A bad certificate is its own
//! finding and never looks like missing TLS.

use std::{io, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rustls::{
    AlertDescription, CertificateError, CipherSuite, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use waypost_types::outcome::TlsReport;
use x509_parser::{
    prelude::{FromDer, GeneralName, X509Certificate},
    public_key::PublicKey,
};

use super::memo::Memo;

/// Checks that the server holds the key of its certificate and nothing else.
#[derive(Debug)]
struct AcceptAndJudgeLater(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAndJudgeLater {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What every handshake of a prober shares.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    /// For rustls.
    pub config: Arc<ClientConfig>,
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    memo: Memo,
}

/// A judged certificate: what the report shows and what the findings need.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    /// For the report.
    pub report: TlsReport,
    /// Start of validity.
    pub not_before: Option<DateTime<Utc>>,
    /// Why the chain is not trusted, apart from dates.
    pub untrusted: Option<String>,
    /// RSA below 2048 bits, or a SHA-1 signature.
    pub weak: Option<String>,
}

impl Judged {
    /// Before any certificate was read.
    pub fn bare() -> Self {
        let report = TlsReport {
            version: String::new(),
            cipher: String::new(),
            trusted: false,
            name_matches: false,
            expires: None,
            subject: String::new(),
            issuer: String::new(),
            names: Vec::new(),
            trust_problem: Some("the server sent no certificate".to_owned()),
            fingerprint: String::new(),
        };
        Self { report, not_before: None, untrusted: None, weak: None }
    }
}

impl Tls {
    /// Fails only when the TLS library was built without a protocol version.
    pub fn new(roots: Arc<RootCertStore>) -> Result<Self, Error> {
        let mut provider = aws_lc_rs::default_provider();
        // AES-128 first, as browsers and Go ask for it: its SHA-256 runs in hardware, where the SHA-384 of AES-256 seldom does.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        let provider = Arc::new(provider);
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAndJudgeLater(provider.clone())))
            .with_no_client_auth();
        // A resumed session shows no certificate.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), provider, roots, memo: Memo::default() })
    }

    /// Reads what a finished handshake shows.
    pub fn judge(&self, stream: &TlsStream<TcpStream>, name: &ServerName<'_>, now: DateTime<Utc>) -> Judged {
        let (_, session) = stream.get_ref();
        let version = session.protocol_version().and_then(|v| v.as_str()).unwrap_or("unknown").replace('_', ".");
        let cipher = session.negotiated_cipher_suite().and_then(|s| s.suite().as_str()).unwrap_or("unknown").replace("TLS13_", "TLS_");
        let chain = session.peer_certificates().unwrap_or_default();
        let mut judged = match chain.split_first() {
            Some((leaf, rest)) => self.memo.judged(chain, name, now, || self.judge_leaf(leaf, rest, name, now)),
            None => Judged::bare(),
        };
        judged.report.version = version;
        judged.report.cipher = cipher;
        judged
    }

    fn judge_leaf(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], name: &ServerName<'_>, now: DateTime<Utc>) -> Judged {
        let mut judged = Judged::bare();
        let mut self_signed = false;
        if let Ok((_, parsed)) = X509Certificate::from_der(leaf) {
            self_signed = parsed.subject().as_raw() == parsed.issuer().as_raw();
            read(&mut judged, &parsed);
        }
        judged.report.fingerprint = format!("{:x}", Sha256::digest(leaf));
        let verified = ParsedCertificate::try_from(leaf).map(|cert| {
            judged.report.name_matches = verify_server_name(&cert, name).is_ok();
            let at = |time| {
                let algorithms = self.provider.signature_verification_algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&cert, &self.roots, rest, unix(time), algorithms)
            };
            let today = at(now);
            // An expired certificate says nothing about its chain: ask about a day on which it was valid.
            let while_valid = match (judged.not_before, judged.report.expires) {
                (Some(from), Some(to)) if (now < from || now > to) && from <= to => at(to - chrono::Duration::seconds(1)),
                _ => today.clone(),
            };
            (today, while_valid)
        });
        let in_words = |error: &Error| trust_problem(error, self_signed, rest.is_empty());
        match verified {
            Ok((today, while_valid)) => {
                judged.report.trusted = today.is_ok();
                judged.report.trust_problem = today.as_ref().err().map(in_words);
                judged.untrusted = while_valid.as_ref().err().map(in_words);
            }
            Err(error) => {
                judged.report.trust_problem = Some(in_words(&error));
                judged.untrusted.clone_from(&judged.report.trust_problem);
            }
        }
        judged
    }
}

fn read(judged: &mut Judged, parsed: &X509Certificate<'_>) {
    let time = |seconds: i64| DateTime::<Utc>::from_timestamp(seconds, 0);
    judged.not_before = time(parsed.validity().not_before.timestamp());
    judged.report.expires = time(parsed.validity().not_after.timestamp());
    judged.report.subject = cut(&parsed.subject().to_string());
    judged.report.issuer = cut(&parsed.issuer().to_string());
    if let Ok(Some(names)) = parsed.subject_alternative_name() {
        judged.report.names = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(cut(name)),
                _ => None,
            })
            .take(100)
            .collect();
    }
    if let Ok(PublicKey::RSA(key)) = parsed.public_key().parsed() {
        // A leading zero byte is counted by the parser.
        let bits = key.key_size();
        if bits < 2040 {
            judged.weak = Some(format!("an RSA key of {bits} bits"));
        }
    }
    let signature = parsed.signature_algorithm.algorithm.to_id_string();
    if signature == "1.2.840.113549.1.1.5" || signature == "1.2.840.10045.4.1" {
        judged.weak = Some("a SHA-1 signature".to_owned());
    }
}

fn cut(text: &str) -> String {
    crate::text::shown(text, 300)
}

fn unix(time: DateTime<Utc>) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0)))
}

fn trust_problem(error: &Error, self_signed: bool, alone: bool) -> String {
    let Error::InvalidCertificate(error) = error else { return format!("the certificate can not be checked: {error}") };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "the certificate is not valid yet".to_owned(),
        _ if self_signed => "the certificate is self-signed".to_owned(),
        CertificateError::UnknownIssuer if alone => {
            "its issuer is not a known authority, and the server sends no intermediate certificate".to_owned()
        }
        CertificateError::UnknownIssuer => "the chain does not end at a known authority".to_owned(),
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        CertificateError::BadEncoding => "the certificate is malformed".to_owned(),
        CertificateError::BadSignature => "a signature in the chain is wrong".to_owned(),
        other => format!("the certificate can not be trusted: {other}"),
    }
}

/// Whether a failed handshake is the server's answer, rather than a cut connection or a certificate that only our library can not read.
pub(super) fn is_the_servers(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::AlertReceived(_) | Error::PeerIncompatible(_) | Error::InvalidMessage(_)))
}

/// Why a handshake failed, in words, and whether protocol versions were the reason.
pub(super) fn handshake_failure(error: &io::Error) -> (String, bool) {
    match error.kind() {
        io::ErrorKind::TimedOut => return ("the server did not finish the TLS handshake in time".to_owned(), false),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            return ("the server closed the connection during the TLS handshake".to_owned(), false);
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            return ("the server reset the connection during the TLS handshake".to_owned(), false);
        }
        _ => {}
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_)) => (
            "the server speaks neither TLS 1.2 nor TLS 1.3 (older versions are not safe and not tried), or shares no cipher with us".to_owned(),
            true,
        ),
        Some(Error::AlertReceived(AlertDescription::HandshakeFailure)) => {
            ("the server found no TLS version or cipher in common (alert handshake_failure)".to_owned(), false)
        }
        Some(Error::AlertReceived(alert)) => (format!("the server broke the TLS handshake off with the alert {alert:?}"), false),
        Some(Error::InvalidMessage(rustls::InvalidMessage::UnknownProtocolVersion)) => {
            ("the server answers with a protocol version older than TLS 1.0".to_owned(), true)
        }
        Some(Error::InvalidMessage(_)) => ("the server does not speak TLS here: its answer is not a TLS message".to_owned(), false),
        Some(other) => (format!("the TLS handshake failed: {other}"), false),
        None => (format!("the TLS handshake failed: {error}"), false),
    }
}
