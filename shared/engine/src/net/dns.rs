//! What DNS answers, told apart: found, proven absent, or not to be told. A time-out is never an absence.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, RecordType},
    serialize::binary::BinEncodable,
};

use tokio::time::Instant;
use waypost_types::service::RecordKind;

use super::{
    answers::{Answer, Answers, MOST_ALIASES},
    exchange::Exchange,
    wire::{QueryFlags, Question},
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

    /// Why it could not be told.
    pub fn failure(&self) -> Option<&DnsFailure> {
        if let Self::Failed(failure) = self { Some(failure) } else { None }
    }

    /// True for NXDOMAIN.
    pub fn is_nxdomain(&self) -> bool {
        matches!(self, Self::Missing(Absence::NxDomain))
    }
}

/// The resolvers: names are absolute, no hosts file, and answers are kept for too short a time to hide a change.
#[derive(Debug, Clone)]
pub struct Dns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exchange: Exchange,
    answers: Answers,
}

/// What a look-up of one type came to.
struct Found {
    data: Lookup<Arc<Answer>>,
    /// The time it is good for.
    ttl: Option<Duration>,
    /// The names that the name is an alias of, one after the other.
    aliases: Vec<String>,
}

/// All tries of a question together.
const LIMIT: Duration = Duration::from_secs(8);
/// How look-ups are put.
const LOOK_UP: QueryFlags = QueryFlags { recursion: true, dnssec_ok: false, checking_disabled: false };
/// Another resolver may know better.
const ELSEWHERE: [ResponseCode; 2] = [ResponseCode::ServFail, ResponseCode::Refused];

impl Dns {
    /// With these servers, or the system's when there are none.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, String> {
        let exchange = if servers.is_empty() { Exchange::new(&systems_own()?) } else { Exchange::new(servers) };
        Ok(Self(Arc::new(Inner { exchange, answers: Answers::default() })))
    }

    /// The way to the resolvers, for questions whose answers are looked at as they came.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.0.exchange
    }

    /// The number of answers kept, and their octets.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        self.0.answers.size()
    }

    async fn answer(&self, question: &Question, deadline: Option<Instant>) -> Result<Arc<Answer>, DnsFailure> {
        match deadline {
            Some(deadline) => self.ask(question, deadline.saturating_duration_since(Instant::now()).min(LIMIT)).await,
            None => self.0.answers.get(question, async || self.ask(question, LIMIT).await).await,
        }
    }

    async fn ask(&self, question: &Question, limit: Duration) -> Result<Arc<Answer>, DnsFailure> {
        let packet = self.0.exchange.ask(question, LOOK_UP, &ELSEWHERE, limit).await?;
        Answer::read(&packet, question).map(Arc::new).map_err(DnsFailure::Other)
    }

    /// Asks, and goes on where an answer ends with an alias. With a deadline nothing is kept, nor shared with who asks the same.
    async fn find(&self, name: &str, kind: RecordType, deadline: Option<Instant>) -> Found {
        let mut found = Found { data: Lookup::Missing(Absence::NoData), ttl: None, aliases: Vec::new() };
        let Some(mut question) = Question::new(name, kind) else {
            found.data = Lookup::Failed(DnsFailure::BadName(name.to_owned()));
            return found;
        };
        loop {
            let answer = match self.answer(&question, deadline).await {
                Ok(answer) => answer,
                Err(failure) => {
                    found.data = Lookup::Failed(failure);
                    return found;
                }
            };
            found.ttl = found.ttl.into_iter().chain(answer.good_for()).min();
            let aliases: Vec<String> = answer.aliases.iter().map(plain).collect();
            let circle = answer.endless || aliases.iter().any(|alias| found.aliases.contains(alias));
            found.aliases.extend(aliases);
            found.data = match answer.code {
                ResponseCode::NXDomain => Lookup::Missing(Absence::NxDomain),
                ResponseCode::NoError if !answer.data.is_empty() => Lookup::Found(vec![answer]),
                ResponseCode::NoError if circle || found.aliases.len() > MOST_ALIASES => {
                    Lookup::Failed(DnsFailure::Other("the aliases are too many, or go in a circle".to_owned()))
                }
                ResponseCode::NoError => {
                    if let (Some(next), false) = (answer.aliases.last().and_then(|name| question.at(name)), answer.proven) {
                        question = next;
                        continue;
                    }
                    Lookup::Missing(Absence::NoData)
                }
                code => Lookup::Failed(failure_of(code)),
            };
            return found;
        }
    }

    async fn lookup<T>(&self, name: &str, kind: RecordType, pick: impl FnMut(&RData) -> Option<T>) -> Lookup<T> {
        read(self.find(name, kind, None).await.data, pick)
    }

    /// TXT: one entry per record, its character-strings joined without anything between (RFC 7208 3.3), bytes as they are.
    pub async fn txt(&self, name: &str) -> Lookup<Vec<u8>> {
        self.lookup(name, RecordType::TXT, joined).await
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
        self.lookup(name, RecordType::A, address).await
    }

    /// TXT as [`Self::txt`] has it, with the names that the name is an alias of, one after the other.
    pub(crate) async fn txt_with_aliases(&self, name: &str) -> (Lookup<Vec<u8>>, Vec<String>) {
        let found = self.find(name, RecordType::TXT, None).await;
        (read(found.data, joined), found.aliases)
    }

    /// A, with the time the answer is good for: the least TTL of the records, or of the zone's SOA for an absence (RFC 2308 5). `None` when
    /// the answer says nothing about it. For who keeps answers: none is kept here.
    pub(crate) async fn a_timed(&self, name: &str, deadline: Instant) -> (Lookup<Ipv4Addr>, Option<Duration>) {
        let found = self.find(name, RecordType::A, Some(deadline)).await;
        (read(found.data, address), found.ttl)
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
        self.addresses_and_failure(name).await.0
    }

    /// The same with why one of the two could not be told: then there may be more addresses than were found.
    pub async fn addresses_and_failure(&self, name: &str) -> (Lookup<IpAddr>, Option<DnsFailure>) {
        let (v4, v6) = tokio::join!(self.a(name), self.aaaa(name));
        let failure = v4.failure().or(v6.failure()).cloned();
        let answer = match (v4, v6) {
            (Lookup::Found(v4), v6) => Lookup::Found(v4.into_iter().map(IpAddr::from).chain(v6.found().into_iter().map(IpAddr::from)).collect()),
            (_, Lookup::Found(v6)) => Lookup::Found(v6.into_iter().map(IpAddr::from).collect()),
            (Lookup::Failed(failure), _) | (_, Lookup::Failed(failure)) => Lookup::Failed(failure),
            (Lookup::Missing(absence), Lookup::Missing(_)) => Lookup::Missing(absence),
        };
        (answer, failure)
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
        self.names(&plain(&Name::from(address)), RecordType::PTR).await
    }

    /// NS.
    pub async fn ns(&self, name: &str) -> Lookup<String> {
        self.names(name, RecordType::NS).await
    }

    /// CNAME at exactly this name.
    pub async fn cname(&self, name: &str) -> Lookup<String> {
        self.names(name, RecordType::CNAME).await
    }

    /// Records of a type in the form in which values of it are compared, with the names that the name is an alias of.
    pub(crate) async fn values(&self, name: &str, kind: RecordKind) -> (Lookup<String>, Vec<String>) {
        let found = self.find(name, type_of(kind), None).await;
        (read(found.data, |data| written(data, kind)), found.aliases)
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

/// The servers that the system is set up to ask.
fn systems_own() -> Result<Vec<SocketAddr>, String> {
    let (config, _) =
        hickory_resolver::system_conf::read_system_conf().map_err(|e| format!("the system's resolver configuration can not be read: {e}"))?;
    let address = |server: &hickory_resolver::config::NameServerConfig| {
        SocketAddr::new(server.ip, server.connections.first().map_or(53, |connection| connection.port))
    };
    Ok(config.name_servers().iter().map(address).collect())
}

fn read<T>(found: Lookup<Arc<Answer>>, pick: impl FnMut(&RData) -> Option<T>) -> Lookup<T> {
    match found {
        Lookup::Found(answers) => {
            let records: Vec<T> = answers.iter().flat_map(|answer| &answer.data).filter_map(pick).collect();
            if records.is_empty() { Lookup::Missing(Absence::NoData) } else { Lookup::Found(records) }
        }
        Lookup::Missing(absence) => Lookup::Missing(absence),
        Lookup::Failed(failure) => Lookup::Failed(failure),
    }
}

const fn type_of(kind: RecordKind) -> RecordType {
    match kind {
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
        RecordKind::Mx => RecordType::MX,
        RecordKind::Txt => RecordType::TXT,
        RecordKind::Cname => RecordType::CNAME,
        RecordKind::Ns => RecordType::NS,
        RecordKind::Ptr => RecordType::PTR,
        RecordKind::Soa => RecordType::SOA,
        RecordKind::Caa => RecordType::CAA,
        RecordKind::Tlsa => RecordType::TLSA,
        RecordKind::Srv => RecordType::SRV,
    }
}

/// A record in the form of [`RecordKind::normal`].
fn written(data: &RData, kind: RecordKind) -> Option<String> {
    let name = |name: &Name| if name.is_root() { ".".to_owned() } else { plain(name) };
    Some(match data {
        RData::A(a) => a.0.to_string(),
        RData::AAAA(aaaa) => aaaa.0.to_string(),
        RData::MX(mx) => format!("{} {}", mx.preference, name(&mx.exchange)),
        RData::TXT(_) => String::from_utf8_lossy(&joined(data)?).into_owned(),
        RData::CNAME(host) => name(&host.0),
        RData::NS(host) => name(&host.0),
        RData::PTR(host) => name(&host.0),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, name(&srv.target)),
        RData::SOA(_) => {
            let Soa { primary, mailbox, serial, refresh, retry, expire, minimum } = Soa::read(data)?;
            format!("{primary} {mailbox} {serial} {refresh} {retry} {expire} {minimum}")
        }
        other => {
            let text = other.to_string();
            // What can not be read in its own form is shown as it is.
            kind.normal(&text).unwrap_or(text)
        }
    })
}

fn joined(data: &RData) -> Option<Vec<u8>> {
    if let RData::TXT(txt) = data { Some(txt.txt_data.concat()) } else { None }
}

fn address(data: &RData) -> Option<Ipv4Addr> {
    if let RData::A(a) = data { Some(a.0) } else { None }
}

/// Labels as they are, in lower case: what a question is made from. No escapes, since SPF allows names with colons and slashes.
pub(crate) fn plain(name: &Name) -> String {
    name.iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect::<Vec<_>>().join(".")
}

fn failure_of(code: ResponseCode) -> DnsFailure {
    match code {
        ResponseCode::ServFail => DnsFailure::ServFail,
        ResponseCode::Refused => DnsFailure::Refused,
        code => DnsFailure::Other(code.to_string()),
    }
}
