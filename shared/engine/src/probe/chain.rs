//! The certificates an MX host shows after STARTTLS, as they came: what DANE and MTA-STS compare with what they ask for.

use std::net::{IpAddr, SocketAddr};

use rustls::pki_types::CertificateDer;
use tokio::time::Instant;
use waypost_types::outcome::{ProbeMode, TlsReport};

use super::{ProbeTarget, Prober, conversation};
use crate::net::DialError;

/// What came of the look.
#[derive(Debug, Clone)]
pub enum Shown {
    /// Certificates.
    Chain(Box<ShownChain>),
    /// EHLO offers no STARTTLS.
    NoStarttls,
    /// STARTTLS is offered and refused for good, with this reply.
    StarttlsRefused(String),
    /// The TLS handshake fails; why.
    BadHandshake(String),
    /// It answered, and the conversation could not tell; why.
    Ended(String),
    /// No connection was made, for a reason that lies with the host or on the way.
    Unreached(DialError),
    /// It could not be told; why.
    Unknown(String),
}

impl Shown {
    /// Why nothing is known of its certificate. That a connection can not be made is never held against it: port 25 is closed in many networks.
    pub fn untold(&self) -> Option<String> {
        match self {
            Self::Unknown(reason) | Self::Ended(reason) => Some(reason.clone()),
            Self::Unreached(DialError::TimedOut | DialError::Unreachable) => {
                Some("it can not be reached from here on port 25, which many networks close for what goes out".to_owned())
            }
            Self::Unreached(error) => Some(error.to_string()),
            Self::Chain(_) | Self::NoStarttls | Self::StarttlsRefused(_) | Self::BadHandshake(_) => None,
        }
    }
}

/// Certificates after STARTTLS.
#[derive(Debug, Clone)]
pub struct ShownChain {
    /// DER, the server's own first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The judgement of the first by our roots and the host's name.
    pub tls: TlsReport,
    /// Why the chain is not trusted, apart from dates.
    pub untrusted: Option<String>,
}

impl Prober {
    /// Speaks SMTP with one address of a host up to STARTTLS and keeps what it shows.
    pub async fn chain(&self, host: &str, address: IpAddr, port: u16) -> Shown {
        let target = ProbeTarget { host: host.to_owned(), port, mode: ProbeMode::Starttls, auth: None };
        let started = Instant::now();
        match self.net.dial(SocketAddr::new(address, port), self.limits.connect).await {
            Ok(stream) => {
                self.note_reached(port);
                conversation::chain(self, &target, address, stream, started).await
            }
            Err(DialError::Unreachable) if address.is_ipv6() => {
                Shown::Unknown("its address can not be reached from here; Waypost may have no IPv6 connection".to_owned())
            }
            Err(error @ (DialError::Forbidden(_) | DialError::Other(_))) => Shown::Unknown(error.to_string()),
            Err(error) => Shown::Unreached(error),
        }
    }
}
