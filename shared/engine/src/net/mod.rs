//! What touches the network: resolver, egress guard, dialling, HTTPS, clock. Everything above asks a [`Net`] and opens nothing itself.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use rustls::RootCertStore;
use tokio::net::TcpStream;
use waypost_types::outcome::PathTrace;

use own::Own;

mod answers;
#[cfg(test)]
pub(crate) mod authority;
mod dns;
mod egress;
mod exchange;
#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod failure_tests;
mod http;
mod http_failure;
mod https;
#[cfg(test)]
pub(crate) mod nameserver;
mod own;
mod query;
mod socket;
#[cfg(test)]
pub(crate) mod tests;
mod trace;
mod wire;

pub(crate) use dns::plain;
pub use dns::{Absence, Dns, DnsFailure, Ds, Lookup, Soa};
pub use egress::is_public;
pub(crate) use egress::not_public;
pub use egress::{Egress, EgressDenied};
pub use hickory_proto::rr::RecordType;
pub use http_failure::HttpFailure;
pub(crate) use http_failure::proves_nothing;
pub use https::{HttpAnswer, HttpBytes, HttpPost, HttpReceipt, check_url};
pub(crate) use https::{MOST_REDIRECTS, checked as checked_url, get_over};
pub use query::RawAnswer;
pub use wire::QueryFlags;

/// A single question to the resolvers, all of them together.
const QUESTION: Duration = Duration::from_secs(5);

/// Where time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// What a [`Net`] is made from.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// Resolvers; the system's when empty.
    pub resolvers: Vec<SocketAddr>,
    /// Believe the AD bit of these resolvers.
    pub trust_ad: bool,
    /// How far connections may go.
    pub egress: Egress,
    /// Certificate authorities beside the built-in roots, PEM.
    pub ca_file: Option<PathBuf>,
    /// What we say in EHLO.
    pub ehlo_name: String,
    /// The port of every HTTPS request: 443, and another where a test listens.
    pub https_port: u16,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for NetConfig {
    /// As the command line works: unrestricted, with the system's resolver.
    fn default() -> Self {
        Self {
            resolvers: Vec::new(),
            trust_ad: false,
            egress: Egress::Unrestricted,
            ca_file: None,
            ehlo_name: "waypost.invalid".to_owned(),
            https_port: 443,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Why no [`Net`] could be made.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The resolver.
    #[error("{0}")]
    Resolver(String),
    /// The file of certificate authorities.
    #[error("the CA file {path} can not be used: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What reasons say where the network here knows no way.
pub(crate) const UNREACHABLE_HERE: &str = "unreachable from here";
/// What reasons say where no resolver can be asked.
pub(crate) const RESOLVER_AWAY: &str = "the resolver can not be reached";

/// Whether the reason of an outcome is a failure of the network here, and so tells nothing of what was looked at.
pub fn is_nearby(reason: &str) -> bool {
    reason.contains(UNREACHABLE_HERE) || reason.contains(RESOLVER_AWAY)
}

/// Why a connection was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// A host answered that nothing listens there.
    #[error("connection refused: the host answers, but nothing listens on this port")]
    Refused,
    /// Nothing came back.
    #[error("no answer: the host is off, or a firewall drops the packets")]
    TimedOut,
    /// No route.
    #[error("the network or host is {UNREACHABLE_HERE}")]
    Unreachable,
    /// Cut off.
    #[error("the connection was reset while it was being made")]
    Reset,
    /// The egress guard.
    #[error("{0}")]
    Forbidden(#[from] EgressDenied),
    /// Anything else.
    #[error("the connection failed: {0}")]
    Other(String),
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// The network as the engine sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Net {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dns: Dns,
    roots: Arc<RootCertStore>,
    id: u64,
    own: Own,
    https: https::Https,
    config: NetConfig,
}

impl Net {
    /// Reads the CA file and sets up the resolver; opens nothing.
    pub fn new(config: NetConfig) -> Result<Self, NetError> {
        let dns = Dns::new(&config.resolvers).map_err(NetError::Resolver)?;
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &config.ca_file {
            let fail = |reason: String| NetError::CaFile { path: path.clone(), reason };
            let pem = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
            let mut added = 0;
            for certificate in rustls_pemfile::certs(&mut pem.as_slice()) {
                roots.add(certificate.map_err(|e| fail(e.to_string()))?).map_err(|e| fail(e.to_string()))?;
                added += 1;
            }
            if added == 0 {
                return Err(fail("no certificate in it".to_owned()));
            }
        }
        let roots = Arc::new(roots);
        let https = https::Https::new(Arc::clone(&roots), config.https_port);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Self { inner: Arc::new(Inner { dns, roots, id, own: Own::default(), https, config }) })
    }

    /// Tells networks of a process apart.
    pub(crate) fn id(&self) -> u64 {
        self.inner.id
    }

    /// The present.
    pub fn now(&self) -> DateTime<Utc> {
        self.inner.config.clock.now()
    }

    /// What we say in EHLO.
    pub fn ehlo_name(&self) -> &str {
        &self.inner.config.ehlo_name
    }

    /// The resolver.
    pub fn dns(&self) -> &Dns {
        &self.inner.dns
    }

    /// Roots that certificates may chain to.
    pub fn tls_roots(&self) -> &Arc<RootCertStore> {
        &self.inner.roots
    }

    /// Whether an address may be connected to from here.
    pub fn egress_check(&self, address: IpAddr) -> Result<(), EgressDenied> {
        self.inner.config.egress.check_dial(address, &self.inner.own)
    }

    /// Why nobody on the internet can reach an address; nothing for one that is reached there, and for one that the operator opened. The command
    /// line acts with its caller's rights and connects anywhere; what the world can not reach is so for it as well, apart from servers under test
    /// on its own machine.
    pub(crate) fn hidden(&self, address: IpAddr) -> Option<&'static str> {
        let address = address.to_canonical();
        let excused = match self.inner.config.egress {
            Egress::Unrestricted => address.is_loopback(),
            Egress::Guarded { .. } => self.egress_check(address).is_ok(),
        };
        not_public(address).filter(|_| !excused)
    }

    /// Connects to a checked address.
    pub async fn dial(&self, address: SocketAddr, limit: Duration) -> Result<TcpStream, DialError> {
        self.egress_check(address.ip())?;
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Err(_) => Err(DialError::TimedOut),
            Ok(Err(error)) => Err(dial_error(&error)),
            Ok(Ok(stream)) => {
                // A conversation of short lines must not wait for full packets; without the option it is only slower.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
                Ok(stream)
            }
        }
    }

    /// Follows the way to an address and port over TCP, router by router. It sends nothing, and takes 15 seconds at most.
    pub async fn trace(&self, to: SocketAddr) -> PathTrace {
        trace::trace(self, to).await
    }

    /// Asks one server itself, or the configured resolver when there is none, and where that one does not answer the next. A server that a zone
    /// names passes the egress guard first.
    pub async fn query(&self, server: Option<SocketAddr>, name: &str, kind: RecordType, flags: QueryFlags) -> Result<RawAnswer, DnsFailure> {
        let question = wire::Question::new(name, kind).ok_or_else(|| DnsFailure::BadName(name.to_owned()))?;
        if let Some(server) = server {
            self.egress_check(server.ip()).map_err(|denied| DnsFailure::Other(denied.to_string()))?;
            return query::ask(server, &question, flags).await;
        }
        RawAnswer::read(&self.inner.dns.exchange().ask(&question, flags, &[], QUESTION).await?)
    }

    /// Whether the operator trusts the AD bit of the resolver.
    pub fn trusts_ad(&self) -> bool {
        self.inner.config.trust_ad
    }

    /// GET over HTTPS from an address that was resolved and checked here; no redirects, at most 64 KiB, at most 8 s.
    pub async fn https_get(&self, host: &str, path: &str) -> Result<HttpAnswer, HttpFailure> {
        https::get(self, host, path).await
    }

    /// GET of any `https:` address on port 443, whose host is resolved and checked here: at most three redirects, each checked the same way, a
    /// body of at most `max_bytes`, at most 8 s in all.
    pub async fn https_fetch(&self, url: &str, max_bytes: usize) -> Result<HttpBytes, HttpFailure> {
        https::fetch(self, url, max_bytes).await
    }

    /// POST to an `https:` address on port 443, whose host is resolved and checked here: no redirect is followed, of the answer 4 KiB are
    /// looked at, at most 10 s in all.
    pub async fn https_post(&self, post: &HttpPost) -> Result<HttpReceipt, HttpFailure> {
        https::post(self, post, https::MOST_ANSWER).await
    }

    /// The same of an answer that is read: of at most `max_bytes`.
    pub async fn https_call(&self, post: &HttpPost, max_bytes: usize) -> Result<HttpReceipt, HttpFailure> {
        https::post(self, post, max_bytes).await
    }

    /// The port of HTTPS: 443, and another where a test listens.
    pub(crate) fn https_port(&self) -> u16 {
        self.inner.config.https_port
    }

    fn https(&self) -> &https::Https {
        &self.inner.https
    }
}

fn dial_error(error: &io::Error) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused,
        io::ErrorKind::TimedOut => DialError::TimedOut,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => DialError::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => DialError::Reset,
        _ => DialError::Other(error.to_string()),
    }
}

/// For the fuzzer: an answer in pieces, whose size the first octet says.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz_http(bytes: &[u8]) {
    let Some((step, rest)) = bytes.split_first() else { return };
    let mut reader = http::Reader::new(4096);
    for piece in rest.chunks(usize::from(*step).max(1)) {
        match reader.feed(piece) {
            Ok(http::Progress::More) => {}
            Ok(http::Progress::Done(answer)) => return assert!(answer.body.len() <= 4096),
            Err(_) => return,
        }
    }
    // That it comes back is what is tried, not what it gives.
    let _ = std::hint::black_box(reader.end());
}
