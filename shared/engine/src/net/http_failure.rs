//! Why there is no answer over HTTPS, and whose fault that is: what is wrong with a host is a finding, what is wrong on the way to it is not.

use std::time::Duration;

use rustls::CertificateError;

use super::{DialError, DnsFailure, https::MOST_REDIRECTS};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpFailure {
    /// Not an address that is fetched.
    #[error("{0}")]
    BadUrl(String),
    /// The host has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The resolver did not tell.
    #[error("{0}")]
    Dns(DnsFailure),
    /// No connection.
    #[error("{0}")]
    Dial(DialError),
    /// The host shows a certificate that no client accepts; why, in words.
    #[error("{0}")]
    Certificate(String),
    /// The handshake failed otherwise.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// We could not begin.
    #[error("TLS could not be set up here: {0}")]
    Setup(String),
    /// Took too long.
    #[error("no complete answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// More than we take.
    #[error("the answer is larger than {} KiB", .0 / 1024)]
    TooLarge(usize),
    /// A chain of redirects.
    #[error("more than {MOST_REDIRECTS} redirects")]
    TooManyRedirects,
    /// Not HTTP.
    #[error("the answer is not valid HTTP: {0}")]
    Protocol(&'static str),
    /// Broke off.
    #[error("the connection broke: {0}")]
    Io(String),
}

impl HttpFailure {
    /// True when the failure says something about the host rather than about us or the way to it.
    pub const fn is_the_hosts(&self) -> bool {
        match self {
            Self::BadUrl(_)
            | Self::NoAddress(_)
            | Self::Certificate(_)
            | Self::Tls(_)
            | Self::TooLarge(_)
            | Self::TooManyRedirects
            | Self::Protocol(_)
            | Self::Dial(DialError::Refused) => true,
            // The resolver's, the way's, or our own: a firewall resets connections too.
            Self::Dns(_)
            | Self::TimedOut(_)
            | Self::Io(_)
            | Self::Setup(_)
            | Self::Dial(DialError::TimedOut | DialError::Unreachable | DialError::Reset | DialError::Forbidden(_) | DialError::Other(_)) => false,
        }
    }
}

/// Guards of web sites turn programs away, and servers have bad moments: such an answer proves nothing about what others are given.
pub(crate) const fn proves_nothing(status: u16) -> bool {
    matches!(status, 401 | 403 | 408 | 429 | 500..)
}

/// What went wrong with TLS; a certificate that no client accepts is told apart.
pub(super) fn handshake_failure(error: &std::io::Error, host: &str) -> HttpFailure {
    let certificate = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(certificate)) => certificate,
        Some(other) => return HttpFailure::Tls(other.to_string()),
        // Without a word of TLS it could be anybody on the way.
        None => {
            return HttpFailure::Io(match error.kind() {
                std::io::ErrorKind::UnexpectedEof => "it was closed during the TLS handshake".to_owned(),
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::BrokenPipe => {
                    "it was reset during the TLS handshake".to_owned()
                }
                _ => format!("during the TLS handshake: {error}"),
            });
        }
    };
    HttpFailure::Certificate(match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!("the certificate of {host} has expired"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!("the certificate of {host} is not valid yet"),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate shown does not name {host}")
        }
        CertificateError::UnknownIssuer => {
            format!(
                "the certificate of {host} is not trusted: it is self-signed, of an unknown authority, or its intermediate certificate is not sent"
            )
        }
        other => format!("the certificate of {host} can not be trusted: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{EgressDenied, dial_error};

    #[test]
    fn what_is_ours_is_not_the_hosts() {
        let denied = EgressDenied { address: "10.0.0.1".parse().unwrap(), reason: "a private address" };
        let here = |kind: std::io::ErrorKind| HttpFailure::Dial(dial_error(&kind.into()));
        for failure in [
            HttpFailure::TimedOut(Duration::from_secs(8)),
            HttpFailure::Io("x".to_owned()),
            HttpFailure::Setup("x".to_owned()),
            HttpFailure::Dns(DnsFailure::Timeout),
            HttpFailure::Dial(DialError::Forbidden(denied)),
            here(std::io::ErrorKind::TimedOut),
            here(std::io::ErrorKind::ConnectionReset),
            here(std::io::ErrorKind::HostUnreachable),
            here(std::io::ErrorKind::AddrNotAvailable),
            HttpFailure::Dial(dial_error(&std::io::Error::from_raw_os_error(24))), // too many open files
            handshake_failure(&std::io::ErrorKind::Other.into(), "e.example"),
        ] {
            assert!(!failure.is_the_hosts(), "{failure}");
        }
        assert!(handshake_failure(&std::io::Error::other(rustls::Error::NoCertificatesPresented), "e.example").is_the_hosts());
        for failure in [HttpFailure::Certificate("x".to_owned()), HttpFailure::TooLarge(1), HttpFailure::Dial(DialError::Refused)] {
            assert!(failure.is_the_hosts(), "{failure}");
        }
    }
}
