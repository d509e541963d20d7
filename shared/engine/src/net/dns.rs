//! What DNS answers, told apart: found, proven absent, or not to be told. A time-out is never an absence.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use super::query::{self, QueryFlags};
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
        serialize::binary::BinEncodable,
    },
};

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// At least one record.
    Found(Vec<T>),
    /// Proven absent.
    Missing(Absence),
    /// Could not be told.
    Failed(DnsFailure),
}

/// How the absence was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The name does not exist.
    NxDomain,
    /// The name exists, without such a record.
    NoData,
}

/// Why it could not be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsFailure {
    /// No answer in time.
    #[error("the resolver did not answer in time")]
    Timeout,
    /// SERVFAIL.
    #[error("the resolver answered SERVFAIL: the name servers of the domain do not answer, or DNSSEC validation failed")]
    ServFail,
    /// REFUSED.
    #[error("the resolver refused the query")]
    Refused,
    /// Not a name DNS can carry.
    #[error("“{0}” is not a name DNS can carry")]
    BadName(String),
    /// Anything else.
    #[error("the query failed: {0}")]
    Other(String),
}

impl<T> Lookup<T> {
    /// The records, or nothing.
    pub fn found(self) -> Vec<T> {
        match self {
            Self::Found(records) => records,
            _ => Vec::new(),
        }
    }

    /// Applies `f` to every record and drops what it refuses; nothing left is an empty answer.
    pub fn filter_map<U>(self, f: impl FnMut(T) -> Option<U>) -> Lookup<U> {
        match self {
            Self::Found(records) => {
                let kept: Vec<U> = records.into_iter().filter_map(f).collect();
                if kept.is_empty() { Lookup::Missing(Absence::NoData) } else { Lookup::Found(kept) }
            }
            Self::Missing(absence) => Lookup::Missing(absence),
            Self::Failed(failure) => Lookup::Failed(failure),
        }
    }

    /// True for NXDOMAIN.
    pub fn is_nxdomain(&self) -> bool {
        matches!(self, Self::Missing(Absence::NxDomain))
    }
}

/// The resolver: hickory's, with names taken as absolute, no hosts file, and a cache too short to hide a change.
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
    first: Option<SocketAddr>,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").finish_non_exhaustive()
    }
}

/// One try at one server.
const TRY: Duration = Duration::from_millis(2500);
/// All of it, whatever the resolver does inside.
const LIMIT: Duration = Duration::from_secs(8);
/// Kept no longer than this, so that "check now" after a repair sees the repair.
const POSITIVE_MAX: Duration = Duration::from_secs(60);
const NEGATIVE_MAX: Duration = Duration::from_secs(5);

impl Dns {
    /// With these servers, or the system's when there are none.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, String> {
        let mut first = servers.first().copied();
        let builder = if servers.is_empty() {
            let (config, _) =
                hickory_resolver::system_conf::read_system_conf().map_err(|e| format!("the system's resolver configuration can not be read: {e}"))?;
            let servers = config.name_servers().to_vec();
            first = servers.first().map(|server| SocketAddr::new(server.ip, server.connections.first().map_or(53, |connection| connection.port)));
            Resolver::builder_with_config(ResolverConfig::from_parts(None, Vec::new(), servers), TokioRuntimeProvider::default())
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            Resolver::builder_with_config(ResolverConfig::from_parts(None, Vec::new(), servers), TokioRuntimeProvider::default())
        };
        let mut options = ResolverOpts::default();
        options.timeout = TRY;
        options.attempts = 2;
        options.edns0 = true;
        options.ndots = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(POSITIVE_MAX);
        options.negative_max_ttl = Some(NEGATIVE_MAX);
        options.try_tcp_on_error = true;
        options.cache_size = 4096;
        let resolver = builder.with_options(options).build().map_err(|e| format!("the resolver could not be set up: {e}"))?;
        Ok(Self { resolver, first })
    }

    async fn lookup<T>(&self, name: &str, kind: RecordType, pick: impl FnMut(&RData) -> Option<T>) -> Lookup<T> {
        let Some(name) = absolute(name) else { return Lookup::Failed(DnsFailure::BadName(name.to_owned())) };
        let answer = match tokio::time::timeout(LIMIT, self.resolver.lookup(name, kind)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return outcome_of(&error),
            Err(_) => return Lookup::Failed(DnsFailure::Timeout),
        };
        let records: Vec<T> =
            answer.answers().iter().filter(|record| record.record_type() == kind).map(|record| &record.data).filter_map(pick).collect();
        if records.is_empty() { Lookup::Missing(Absence::NoData) } else { Lookup::Found(records) }
    }

    /// TXT: one entry per record, its character-strings joined without anything between (RFC 7208 3.3), bytes as they are.
    pub async fn txt(&self, name: &str) -> Lookup<Vec<u8>> {
        self.lookup(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        })
        .await
    }

    /// TXT in the character-strings as they are published (RFC 1035 3.3.14), not joined.
    pub async fn txt_parts(&self, name: &str) -> Lookup<Vec<Vec<u8>>> {
        self.lookup(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| part.to_vec()).collect()),
            _ => None,
        })
        .await
    }

    /// MX: preference and host (lower case, no final dot; empty for the null MX).
    pub async fn mx(&self, name: &str) -> Lookup<(u16, String)> {
        self.lookup(name, RecordType::MX, |data| match data {
            RData::MX(mx) => Some((mx.preference, plain(&mx.exchange))),
            _ => None,
        })
        .await
    }

    /// A.
    pub async fn a(&self, name: &str) -> Lookup<Ipv4Addr> {
        self.lookup(name, RecordType::A, |data| match data {
            RData::A(a) => Some(a.0),
            _ => None,
        })
        .await
    }

    /// A, with the time the answer is good for: the least TTL of the records, or of the zone's SOA for an absence (RFC 2308 5). `None` when
    /// the answer says nothing about it.
    pub async fn a_timed(&self, name: &str) -> (Lookup<Ipv4Addr>, Option<Duration>) {
        let Some(name) = absolute(name) else { return (Lookup::Failed(DnsFailure::BadName(name.to_owned())), None) };
        let seconds = |ttl: u32| Duration::from_secs(ttl.into());
        let answer = match tokio::time::timeout(LIMIT, self.resolver.lookup(name, RecordType::A)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let ttl = if let NetError::Dns(DnsError::NoRecordsFound(none)) = &error { none.negative_ttl } else { None };
                return (outcome_of(&error), ttl.map(seconds));
            }
            Err(_) => return (Lookup::Failed(DnsFailure::Timeout), None),
        };
        let ttl = answer.answers().iter().map(|record| record.ttl).min();
        let addresses: Vec<Ipv4Addr> =
            answer.answers().iter().filter_map(|record| if let RData::A(a) = &record.data { Some(a.0) } else { None }).collect();
        (if addresses.is_empty() { Lookup::Missing(Absence::NoData) } else { Lookup::Found(addresses) }, ttl.map(seconds))
    }

    /// AAAA.
    pub async fn aaaa(&self, name: &str) -> Lookup<Ipv6Addr> {
        self.lookup(name, RecordType::AAAA, |data| match data {
            RData::AAAA(aaaa) => Some(aaaa.0),
            _ => None,
        })
        .await
    }

    /// A and AAAA at once, IPv4 first. Missing when both are; failed when nothing was found and one could not be told.
    pub async fn addresses(&self, name: &str) -> Lookup<IpAddr> {
        let (v4, v6) = tokio::join!(self.a(name), self.aaaa(name));
        match (v4, v6) {
            (Lookup::Found(v4), v6) => Lookup::Found(v4.into_iter().map(IpAddr::from).chain(v6.found().into_iter().map(IpAddr::from)).collect()),
            (_, Lookup::Found(v6)) => Lookup::Found(v6.into_iter().map(IpAddr::from).collect()),
            (Lookup::Failed(failure), _) | (_, Lookup::Failed(failure)) => Lookup::Failed(failure),
            (Lookup::Missing(absence), Lookup::Missing(_)) => Lookup::Missing(absence),
        }
    }

    /// The addresses of a name that are of the same family as `address`: where that one question fails, whether the address is among them is
    /// not known, whatever the other family answers.
    pub async fn addresses_like(&self, name: &str, address: IpAddr) -> Lookup<IpAddr> {
        match address {
            IpAddr::V4(_) => self.a(name).await.filter_map(|v4| Some(v4.into())),
            IpAddr::V6(_) => self.aaaa(name).await.filter_map(|v6| Some(v6.into())),
        }
    }

    /// PTR names of an address.
    pub async fn ptr(&self, address: IpAddr) -> Lookup<String> {
        let name = plain(&Name::from(address));
        // The resolver library answers “localhost” for loopback by itself; what the zone says is what counts.
        if address.is_loopback()
            && let Some(server) = self.first
        {
            return raw_ptr(server, &name).await;
        }
        self.names(&name, RecordType::PTR).await
    }

    /// NS.
    pub async fn ns(&self, name: &str) -> Lookup<String> {
        self.names(name, RecordType::NS).await
    }

    /// CNAME at exactly this name.
    pub async fn cname(&self, name: &str) -> Lookup<String> {
        self.names(name, RecordType::CNAME).await
    }

    async fn names(&self, name: &str, kind: RecordType) -> Lookup<String> {
        self.lookup(name, kind, |data| match data {
            RData::PTR(name) => Some(plain(&name.0)),
            RData::NS(name) => Some(plain(&name.0)),
            RData::CNAME(name) => Some(plain(&name.0)),
            _ => None,
        })
        .await
    }

    /// SOA: primary server, mailbox, serial, and refresh/retry/expire/minimum in seconds.
    pub async fn soa(&self, name: &str) -> Lookup<Soa> {
        self.lookup(name, RecordType::SOA, Soa::read).await
    }

    /// TLSA as `usage selector matching hex`.
    pub async fn tlsa(&self, name: &str) -> Lookup<String> {
        self.lookup(name, RecordType::TLSA, |data| match data {
            RData::TLSA(tlsa) => Some(tlsa.to_string()),
            _ => None,
        })
        .await
    }

    /// DS records in the parent: the zone is meant to be signed.
    pub async fn ds(&self, name: &str) -> Lookup<Ds> {
        self.lookup(name, RecordType::DS, |data| {
            // Read from the wire form: which type carries it depends on features of the whole build.
            let bytes = data.to_bytes().ok()?;
            let (head, _) = bytes.split_first_chunk::<4>()?;
            Some(Ds { key_tag: u16::from_be_bytes([head[0], head[1]]), algorithm: head[2], digest_type: head[3] })
        })
        .await
    }

    /// The resolver that single questions go to.
    pub(super) fn first(&self) -> Option<SocketAddr> {
        self.first
    }
}

/// A delegation signer (RFC 4034 5), without its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ds {
    /// Tag of the key it names.
    pub key_tag: u16,
    /// DNSSEC algorithm number.
    pub algorithm: u8,
    /// Digest type; 1 is SHA-1.
    pub digest_type: u8,
}

/// The start of a zone's authority.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // RFC 1035 3.3.13 names them
pub struct Soa {
    pub primary: String,
    pub mailbox: String,
    pub serial: u32,
    pub refresh: i32,
    pub retry: i32,
    pub expire: i32,
    pub minimum: u32,
}

impl Soa {
    /// From a record; nothing from one of another type.
    pub(crate) fn read(data: &RData) -> Option<Self> {
        let RData::SOA(soa) = data else { return None };
        Some(Self {
            primary: plain(&soa.mname),
            mailbox: plain(&soa.rname),
            serial: soa.serial,
            refresh: soa.refresh,
            retry: soa.retry,
            expire: soa.expire,
            minimum: soa.minimum,
        })
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(address.ip(), true, vec![port(ConnectionConfig::udp()), port(ConnectionConfig::tcp())])
}

/// An absolute name from its labels as they are: SPF macros make labels that no parser of host names would take.
pub(super) fn absolute(name: &str) -> Option<Name> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Some(Name::root());
    }
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    if labels.iter().any(|label| label.is_empty() || label.len() > 63) {
        return None;
    }
    let mut name = Name::from_labels(labels).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// Labels as they are, in lower case: what [`absolute`] reads back. No escapes, since SPF allows names with colons and slashes.
pub(crate) fn plain(name: &Name) -> String {
    name.iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect::<Vec<_>>().join(".")
}

fn outcome_of<T>(error: &NetError) -> Lookup<T> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Lookup::Missing(Absence::NxDomain),
            ResponseCode::NoError => Lookup::Missing(Absence::NoData),
            code => Lookup::Failed(failure_of(code)),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Lookup::Failed(failure_of(*code)),
        NetError::Timeout => Lookup::Failed(DnsFailure::Timeout),
        NetError::NoConnections => Lookup::Failed(DnsFailure::Other("the resolver can not be reached".to_owned())),
        other => Lookup::Failed(DnsFailure::Other(other.to_string())),
    }
}

fn failure_of(code: ResponseCode) -> DnsFailure {
    match code {
        ResponseCode::ServFail => DnsFailure::ServFail,
        ResponseCode::Refused => DnsFailure::Refused,
        code => DnsFailure::Other(code.to_string()),
    }
}

async fn raw_ptr(server: SocketAddr, name: &str) -> Lookup<String> {
    let flags = QueryFlags { recursion: true, ..QueryFlags::default() };
    let answer = match query::ask(server, name, RecordType::PTR, flags).await {
        Ok(answer) => answer,
        Err(failure) => return Lookup::Failed(failure),
    };
    let names: Vec<String> = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::PTR(name) => Some(plain(&name.0)),
            _ => None,
        })
        .collect();
    match ResponseCode::from(0, u8::try_from(answer.code & 15).unwrap_or(2)) {
        ResponseCode::NoError if names.is_empty() => Lookup::Missing(Absence::NoData),
        ResponseCode::NoError => Lookup::Found(names),
        ResponseCode::NXDomain => Lookup::Missing(Absence::NxDomain),
        code => Lookup::Failed(failure_of(code)),
    }
}
