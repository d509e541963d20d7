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

use super::{certificate::Certificate, memo::Memo};

/// Certificates behind the leaf that are read.
const MOST_CHAIN: usize = 10;

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
pub(crate) struct Tls {
    /// For rustls.
    pub config: Arc<ClientConfig>,
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    memo: Memo,
}

/// A judged certificate: what the report shows and what the findings need.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    /// For the report.
    pub report: TlsReport,
    /// Why the chain is not trusted, apart from the leaf's dates, and what to do where that is known.
    pub untrusted: Option<(String, Option<String>)>,
    /// When a certificate behind the leaf ends the trust before the leaf ends, and whose it is.
    pub chain_ends: Option<(DateTime<Utc>, String)>,
    /// A weak key or signature, as the end of a sentence about the certificate.
    pub weak: Option<String>,
}

impl Judged {
    /// Before any certificate was read.
    pub fn bare() -> Self {
        let report = TlsReport {
            version: String::new(),
            cipher: String::new(),
            key_exchange: String::new(),
            trusted: false,
            name_matches: false,
            not_before: None,
            expires: None,
            subject: String::new(),
            issuer: String::new(),
            names: Vec::new(),
            trust_problem: Some("the server sent no certificate".to_owned()),
            fingerprint: String::new(),
            key: String::new(),
            signature: String::new(),
            chain: Vec::new(),
            dane: None,
        };
        Self { report, untrusted: None, chain_ends: None, weak: None }
    }

    fn take(&mut self, own: Certificate, chain: &[Certificate]) {
        let issuers =
            chain.iter().filter_map(|issuer| issuer.weak.as_ref().map(|weak| format!("was issued by “{}”, which has {weak}", issuer.shown.subject)));
        self.weak = own.weak.map(|weak| format!("has {weak}")).or_else(|| issuers.into_iter().next());
        let shown = own.shown;
        let report = &mut self.report;
        (report.subject, report.issuer, report.key, report.signature) = (shown.subject, shown.issuer, shown.key, shown.signature);
        (report.not_before, report.expires, report.names) = (shown.not_before, shown.expires, own.names);
        report.chain = chain.iter().map(|certificate| certificate.shown.clone()).collect();
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
        let group = session.negotiated_key_exchange_group().and_then(|group| group.name().as_str());
        judged.report.key_exchange = group.unwrap_or_default().into();
        judged
    }

    fn judge_leaf(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], name: &ServerName<'_>, now: DateTime<Utc>) -> Judged {
        let mut judged = Judged::bare();
        judged.report.fingerprint = format!("{:x}", Sha256::digest(leaf));
        let chain: Vec<Certificate> = rest.iter().take(MOST_CHAIN).filter_map(Certificate::read).collect();
        let own = Certificate::read(leaf);
        if let Some(own) = own.clone() {
            judged.take(own, &chain);
        }
        let shown = ShownChain { own: own.as_ref(), chain: &chain, now };
        match ParsedCertificate::try_from(leaf) {
            Ok(cert) => {
                judged.report.name_matches = verify_server_name(&cert, name).is_ok();
                let at = |time| {
                    let algorithms = self.provider.signature_verification_algorithms.all;
                    verify_server_cert_signed_by_trust_anchor(&cert, &self.roots, rest, unix(time), algorithms)
                };
                let today = at(now);
                // An expired certificate says nothing about its chain: ask about a day on which it was valid.
                let while_valid = match (judged.report.not_before, judged.report.expires) {
                    (Some(from), Some(to)) if (now < from || now > to) && from <= to => at(to - chrono::Duration::seconds(1)),
                    _ => today.clone(),
                };
                judged.report.trusted = today.is_ok();
                judged.report.trust_problem = today.as_ref().err().map(|error| shown.problem(error).0);
                judged.untrusted = while_valid.as_ref().err().map(|error| shown.problem(error));
                if judged.report.trusted {
                    judged.chain_ends = shown.ends(|time| at(time).is_ok());
                }
            }
            Err(error) => {
                let problem = shown.problem(&error);
                judged.report.trust_problem = Some(problem.0.clone());
                judged.untrusted = Some(problem);
            }
        }
        judged
    }
}

/// What the server showed, for words about it.
struct ShownChain<'a> {
    own: Option<&'a Certificate>,
    chain: &'a [Certificate],
    now: DateTime<Utc>,
}

impl ShownChain<'_> {
    /// Why it is not trusted, and what to do where that is known better than the rule knows it.
    fn problem(&self, error: &Error) -> (String, Option<String>) {
        let Error::InvalidCertificate(error) = error else { return (format!("the certificate can not be checked: {error}"), None) };
        let plain = |text: &str| (text.to_owned(), None);
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => match self.expired_issuer() {
                Some(issuer) => (
                    format!("a certificate of its chain has expired: {}", issuer.shown.subject),
                    Some("Send the issuer's present intermediate certificate: the authority publishes it, and ACME clients write it into fullchain.pem.".to_owned()),
                ),
                None => plain("the certificate has expired"),
            },
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => plain("the certificate is not valid yet"),
            _ if self.own.is_some_and(|own| own.self_issued) => (
                "the certificate is self-signed".to_owned(),
                Some("Use a certificate of a public authority (by ACME they cost nothing), or publish a TLSA record for this one.".to_owned()),
            ),
            CertificateError::UnknownIssuer => self.unknown_issuer(),
            CertificateError::Revoked => plain("the certificate was revoked"),
            CertificateError::BadEncoding => plain("the certificate is malformed"),
            CertificateError::BadSignature => plain("a signature in the chain is wrong"),
            other => (format!("the certificate can not be trusted: {other}"), None),
        }
    }

    /// A certificate behind a leaf that is in its dates.
    fn expired_issuer(&self) -> Option<&Certificate> {
        let over = |certificate: &Certificate| certificate.shown.expires.is_some_and(|expires| expires < self.now);
        if self.own.is_none_or(over) {
            return None;
        }
        self.chain.iter().find(|certificate| over(certificate))
    }

    fn unknown_issuer(&self) -> (String, Option<String>) {
        let sends = |issuer: &str| {
            let fix = format!("Send the certificate of “{issuer}” behind the server's own (ACME clients write both into fullchain.pem).");
            Some(fix)
        };
        let Some(own) = self.own else { return ("its issuer is not a known authority".to_owned(), None) };
        if self.chain.is_empty() {
            let text = "its issuer is not a known authority, and the server sends no intermediate certificate".to_owned();
            return (text, sends(&own.shown.issuer));
        }
        // Follow the issuers as far as they were sent.
        let mut last = own;
        for _ in 0..self.chain.len() {
            match self.chain.iter().find(|next| next.shown.subject == last.shown.issuer) {
                Some(next) if !last.self_issued => last = next,
                _ => break,
            }
        }
        if last.self_issued {
            return (format!("the chain ends at “{}”, which is no known authority", last.shown.subject), None);
        }
        (format!("the chain does not end at a known authority: the certificate of “{}” is missing", last.shown.issuer), sends(&last.shown.issuer))
    }

    /// When a certificate behind the leaf takes the trust away before the leaf itself ends, and whose it is. One that is sent and not needed
    /// does not.
    fn ends(&self, trusted_at: impl Fn(DateTime<Utc>) -> bool) -> Option<(DateTime<Utc>, String)> {
        let own = self.own?.shown.expires?;
        let mut ends: Vec<(DateTime<Utc>, &str)> =
            self.chain.iter().filter_map(|certificate| Some((certificate.shown.expires?, certificate.shown.subject.as_str()))).collect();
        ends.retain(|(end, _)| *end < own);
        ends.sort_unstable();
        ends.into_iter().find(|(end, _)| !trusted_at(*end + chrono::Duration::seconds(1))).map(|(end, subject)| (end, subject.to_owned()))
    }
}

fn unix(time: DateTime<Utc>) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0)))
}

/// Whether a failed handshake is the server's answer, rather than a cut connection or a certificate that only our library can not read.
pub(crate) fn is_the_servers(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::AlertReceived(_) | Error::PeerIncompatible(_) | Error::InvalidMessage(_)))
}

/// Whether the connection ended in the handshake without a word of TLS.
pub(crate) fn was_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset | ConnectionAborted)
}

/// Whether it failed as it does where no suite is shared: by the alerts for that, or cut off, as some servers do it.
pub(crate) fn shares_no_suite(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity))) || was_cut(error)
}

/// Why a handshake failed, in words, and whether protocol versions were the reason.
pub(crate) fn handshake_failure(error: &io::Error) -> (String, bool) {
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

#[cfg(test)]
mod tests;
