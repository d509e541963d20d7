//! Name servers: how many, and whether each has the zone (RFC 1034 4.1, 1912 2.8, 2182).

use std::{net::SocketAddr, time::Duration};

use futures::future::join_all;
use waypost_types::outcome::Status;

use super::{AuditOptions, Facts, Part, organisational, rules::remark};
use crate::net::{Lookup, Net, QueryFlags, RecordType};

/// Servers asked themselves.
const MOST_SERVERS: usize = 8;
/// Waiting for one of them.
const LIMIT: Duration = Duration::from_secs(4);
/// RFC 2308 5: negative answers kept for longer than this slow down every repair.
const LONG_NEGATIVE: u32 = 86_400;

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let domain = facts.domain.as_str();
    let (zone, servers) = match zone_of(net, domain).await {
        Lookup::Found(mut found) => found.pop().unwrap_or_default(),
        Lookup::Missing(_) => {
            part.unknown("ns", "no name servers are found for the domain or its parents");
            part.word(Status::None, "Not found");
            return part;
        }
        Lookup::Failed(failure) => {
            part.unknown("ns", failure);
            part.word(Status::None, "No answer");
            return part;
        }
    };
    part.records.clone_from(&servers);
    if servers.len() < 2 {
        part.find(remark("ns.single", &zone, format!("{zone} has one name server only")));
    }
    let looks = join_all(servers.iter().take(MOST_SERVERS).map(|server| has_zone(net, &zone, server))).await;
    // Where no server answers us at all it is our network that blocks DNS, and says nothing about them.
    let reached = looks.iter().any(|look| matches!(look, Look::Authoritative | Look::Lame(_)));
    for (server, look) in servers.iter().zip(looks) {
        match look {
            Look::Lame(how) => part.find(remark("ns.lame", server, format!("The name server {server} {how} for {zone}")).with("ns", server)),
            Look::Unknown(reason) if reached => part.unknown("ns", format!("{server}: {reason}")),
            Look::Authoritative | Look::Unknown(_) => {}
        }
    }
    if let Some(soa) = net.dns().soa(&zone).await.found().first()
        && soa.minimum > LONG_NEGATIVE
    {
        part.find(remark("soa.values", &zone, format!("Answers that a name is missing may be kept for {} s (SOA minimum)", soa.minimum)));
    }
    let count = servers.len();
    part.word_by_findings(Status::Ok, if count == 1 { "1 server".to_owned() } else { format!("{count} servers") });
    part
}

/// The zone the domain lies in, and its servers.
async fn zone_of(net: &Net, domain: &str) -> Lookup<(String, Vec<String>)> {
    let last = organisational(domain);
    let mut at = domain;
    loop {
        match net.dns().ns(at).await {
            Lookup::Found(mut servers) => {
                servers.sort();
                return Lookup::Found(vec![(at.to_owned(), servers)]);
            }
            Lookup::Failed(failure) => return Lookup::Failed(failure),
            Lookup::Missing(absence) => match at.split_once('.') {
                Some((_, parent)) if at != last => at = parent,
                _ => return Lookup::Missing(absence),
            },
        }
    }
}

enum Look {
    Authoritative,
    Lame(&'static str),
    Unknown(String),
}

async fn has_zone(net: &Net, zone: &str, server: &str) -> Look {
    let address = match net.dns().addresses(server).await {
        Lookup::Found(addresses) => addresses.into_iter().next(),
        Lookup::Missing(_) => return Look::Lame("has no address, so it can not answer"),
        Lookup::Failed(failure) => return Look::Unknown(failure.to_string()),
    };
    let Some(address) = address else { return Look::Unknown("it has no address".to_owned()) };
    let question = net.query(Some(SocketAddr::new(address, 53)), zone, RecordType::SOA, QueryFlags::default());
    match tokio::time::timeout(LIMIT, question).await {
        Ok(Ok(answer)) if answer.authoritative => Look::Authoritative,
        Ok(Ok(answer)) if answer.code == 5 => Look::Lame("refuses to answer"),
        Ok(Ok(answer)) if answer.code == 0 || answer.code == 2 => Look::Lame("does not answer with authority"),
        Ok(Ok(answer)) => Look::Unknown(format!("it answers with response code {}", answer.code)),
        Ok(Err(failure)) => Look::Unknown(failure.to_string()),
        Err(_) => Look::Unknown("no answer in time".to_owned()),
    }
}
