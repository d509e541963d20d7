//! One authoritative server asked itself, without recursion: whether it has the zone, and what it says of the domain's mail.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::rr::RData;

use crate::{
    net::{DialError, Lookup, Net, QueryFlags, RawAnswer, RecordType, Soa, plain},
    spf::is_spf,
};

/// Waiting for one answer of a server.
const LIMIT: Duration = Duration::from_secs(4);
/// Waiting for a TCP connection to a server.
const TCP_LIMIT: Duration = Duration::from_secs(2);
/// Records of one kind that are compared; more than that is no mail set-up.
const MOST_RECORDS: usize = 100;

/// How servers are asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub net: &'a Net,
    /// 53, save in tests.
    pub port: u16,
    /// Between the first look and the second, when servers disagree.
    pub pause: Duration,
}

/// A name server's name in DNS.
#[derive(Debug)]
pub(super) struct Host {
    pub name: String,
    pub v4: Lookup<Ipv4Addr>,
    pub v6: Lookup<Ipv6Addr>,
    /// What it is an alias of.
    pub alias: Lookup<String>,
}

impl Host {
    pub async fn find(net: &Net, name: &str) -> Self {
        let dns = net.dns();
        let (v4, v6, alias) = tokio::join!(dns.a(name), dns.aaaa(name), dns.cname(name));
        Self { name: name.to_owned(), v4, v6, alias }
    }

    /// All its addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut all = Vec::new();
        if let Lookup::Found(v4) = &self.v4 {
            all.extend(v4.iter().copied().map(IpAddr::from));
        }
        if let Lookup::Found(v6) = &self.v6 {
            all.extend(v6.iter().copied().map(IpAddr::from));
        }
        all
    }

    /// Proven to have none.
    pub fn has_none(&self) -> bool {
        matches!((&self.v4, &self.v6), (Lookup::Missing(_), Lookup::Missing(_)))
    }

    /// Why its addresses could not be told.
    pub fn failure(&self) -> Option<String> {
        match (&self.v4, &self.v6) {
            (Lookup::Failed(failure), _) | (_, Lookup::Failed(failure)) => Some(failure.to_string()),
            _ => None,
        }
    }
}

/// What a server shows of the zone.
#[derive(Debug)]
pub(super) enum Look {
    Authoritative(Box<View>),
    Lame(&'static str),
    Unknown(String),
}

/// A server's own view. What it did not answer is absent.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub soa: Soa,
    pub servers: Option<BTreeSet<String>>,
    pub mx: Option<BTreeSet<String>>,
    pub spf: Option<BTreeSet<String>>,
    /// A connection to its TCP port: made, refused by the host, or not to be told.
    pub tcp: Option<bool>,
}

impl Asker<'_> {
    async fn question(&self, address: IpAddr, name: &str, kind: RecordType) -> Result<RawAnswer, String> {
        let question = self.net.query(Some(SocketAddr::new(address, self.port)), name, kind, QueryFlags::default());
        match tokio::time::timeout(LIMIT, question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(failure.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Asks a server for a name's servers as its parent sees them: a referral.
    pub async fn referral(&self, address: IpAddr, zone: &str) -> Result<RawAnswer, String> {
        self.question(address, zone, RecordType::NS).await
    }

    /// Connects to the server's TCP port. Only a host that refuses says no; silence may be a firewall on our side.
    pub async fn tcp(&self, address: IpAddr) -> Option<bool> {
        match self.net.dial(SocketAddr::new(address, self.port), TCP_LIMIT).await {
            Ok(_) => Some(true),
            Err(DialError::Refused) => Some(false),
            Err(_) => None,
        }
    }

    /// Whether the server has the zone, and what it says of the domain.
    pub async fn look(&self, address: IpAddr, zone: &str, domain: &str) -> Look {
        let (soa, servers, mx, spf, tcp) = tokio::join!(
            self.question(address, zone, RecordType::SOA),
            self.question(address, zone, RecordType::NS),
            self.question(address, domain, RecordType::MX),
            self.question(address, domain, RecordType::TXT),
            self.tcp(address),
        );
        match judge(soa) {
            Ok(soa) => Look::Authoritative(Box::new(View {
                soa,
                servers: set(servers, |data| match data {
                    RData::NS(name) => Some(plain(&name.0)),
                    _ => None,
                }),
                mx: set(mx, |data| match data {
                    RData::MX(mx) => Some(format!("{} {}.", mx.preference, plain(&mx.exchange))),
                    _ => None,
                }),
                spf: set(spf, |data| match data {
                    RData::TXT(txt) => {
                        Some(txt.txt_data.concat()).filter(|bytes| is_spf(bytes)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    }
                    _ => None,
                }),
                tcp,
            })),
            Err(look) => look,
        }
    }

    /// Whether the server answers for the zone; how it does not, in words that follow its name. Nothing is said of a server that is silent.
    pub async fn answers_for(&self, address: IpAddr, zone: &str) -> Result<(), Option<&'static str>> {
        let answer = self.question(address, zone, RecordType::SOA).await.map_err(|_| None)?;
        if answer.authoritative && answer.code == 0 {
            return Ok(());
        }
        match judge(Ok(answer)) {
            Err(Look::Lame(how)) => Err(Some(how)),
            _ => Err(Some("answers with an error")),
        }
    }

    /// Whether the server has the zone, by its SOA alone.
    pub async fn has_zone(&self, address: IpAddr, zone: &str) -> Result<Soa, Look> {
        judge(self.question(address, zone, RecordType::SOA).await)
    }
}

fn judge(answer: Result<RawAnswer, String>) -> Result<Soa, Look> {
    let answer = answer.map_err(Look::Unknown)?;
    match (answer.code, answer.authoritative) {
        (0, true) => answer
            .answers
            .iter()
            .find_map(|record| Soa::read(&record.data))
            .ok_or_else(|| Look::Unknown("it answers with authority and without a SOA record".to_owned())),
        (3, true) => Err(Look::Lame("says with authority that the name does not exist, when asked")),
        (5, _) => Err(Look::Lame("refuses to answer")),
        (2, _) => Err(Look::Lame("answers SERVFAIL")),
        (0, false) => Err(Look::Lame("does not answer with authority")),
        (code, _) => Err(Look::Unknown(format!("it answers with response code {code}"))),
    }
}

/// The records of an authoritative answer, in order of their text. A name that does not exist has none.
fn set(answer: Result<RawAnswer, String>, pick: impl Fn(&RData) -> Option<String>) -> Option<BTreeSet<String>> {
    let answer = answer.ok().filter(|answer| answer.authoritative && matches!(answer.code, 0 | 3))?;
    // What an alias leads to may lie in a zone that this server does not have: then its answer is not the whole one.
    if answer.answers.iter().any(|record| matches!(record.data, RData::CNAME(_))) {
        return None;
    }
    Some(answer.answers.iter().filter_map(|record| pick(&record.data)).take(MOST_RECORDS).collect())
}
