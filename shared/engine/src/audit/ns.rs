//! Name servers: how many, where, whether each has the zone, and whether they agree with each other and with the parent zone
//! (RFC 1034 4.1 and 4.2, RFC 1912 2.8, RFC 2181 10.3, RFC 2182, RFC 3901, RFC 7766).

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use futures::future::join_all;
use waypost_types::outcome::Status;

use super::{
    AuditOptions, Facts, Family, Part,
    ns_ask::{Asker, Host, Look, View},
    ns_compare::{Disagreement, disagreements},
    ns_parent::{self, Delegation},
    ns_silent, ns_soa, organisational,
    rules::remark,
};
use crate::net::{Lookup, Net};

/// Servers asked themselves.
const MOST_SERVERS: usize = 8;
/// Servers that the record list shows.
const MOST_SHOWN: usize = 32;
/// Between two looks at servers that disagree: a transfer after NOTIFY takes less.
const PAUSE: Duration = Duration::from_millis(1500);
/// The second look takes no longer: it asks those that have just answered.
const SECOND: Duration = Duration::from_secs(2);
/// Of the audit's time, what was before this check and comes after it.
const RESERVE: Duration = Duration::from_secs(2);

/// Why nothing else can be told of a domain that nobody answers for.
pub(super) const SILENT: &str = "none of the domain's name servers answers";

const DISAGREED: &str = "the name servers disagree; whether that lasts could not be told in time, it is looked at again at the next check";

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    check_by(Asker { net, port: 53, pause: PAUSE }, facts, options).await
}

/// The same with a port of one's own, for tests.
pub(super) async fn check_by(asker: Asker<'_>, facts: &Facts, options: &AuditOptions) -> Part {
    let begun = tokio::time::Instant::now();
    let mut part = Part::default();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let net = asker.net;
    let domain = facts.domain.as_str();
    let (zone, servers) = match zone_of(net, domain).await {
        Lookup::Found(mut found) => found.pop().unwrap_or_default(),
        Lookup::Missing(_) => {
            part.unknown("ns", "no name servers are found for the domain or its parents");
            part.word(Status::None, "Not found");
            return part;
        }
        Lookup::Failed(failure) => {
            unreadable(&asker, domain, &failure.to_string(), options.deadline.saturating_sub(begun.elapsed() + RESERVE), &mut part).await;
            return part;
        }
    };
    part.records = servers.iter().take(MOST_SHOWN).cloned().collect();
    let named = servers.iter().take(MOST_SERVERS);
    let look = async {
        let hosts = join_all(named.map(|name| Host::find(net, name))).await;
        let looks = look_at(&asker, hosts.iter(), &zone, domain).await;
        (hosts, looks)
    };
    let ((hosts, looks), delegation, soa) = tokio::join!(look, ns_parent::delegation(&asker, &zone), net.dns().soa(&zone));
    // The resolver remembers who serves the zone, and can not read what is in it.
    let authoritative = looks.iter().any(|(.., look)| matches!(look, Look::Authoritative(_)));
    if let (false, Lookup::Failed(failure)) = (authoritative, &soa) {
        unreadable(&asker, &zone, &failure.to_string(), options.deadline.saturating_sub(begun.elapsed() + RESERVE), &mut part).await;
        return part;
    }
    sites(net, &zone, servers.len(), &hosts, &mut part);
    // Another look must end before the audit does, or all of this is lost.
    let mut looks = looks;
    if let Ok(Some(delegation)) = &delegation {
        let only_above: Vec<&String> = delegation.names.iter().filter(|name| !servers.contains(name)).take(MOST_SERVERS).collect();
        if tokio::time::timeout(SECOND, named_above(&asker, &only_above, delegation, &zone, &mut looks, &mut part)).await.is_err() {
            part.untold("ns.lame", format!("whether the servers that {} delegates to have the zone: they did not answer in time", delegation.parent));
        }
    }
    let time_left = || begun.elapsed() + asker.pause + SECOND + RESERVE < options.deadline;
    let looks = if time_left() { confirmed(&asker, looks, &zone).await } else { unconfirmed(looks) };
    answers(&zone, &looks, &delegation, &mut part);
    let views = views(&looks);
    let soa = match (views.first(), soa) {
        (Some((_, view)), _) => Some(view.soa.clone()),
        (None, Lookup::Found(records)) => records.into_iter().next(),
        (None, Lookup::Missing(_)) => None,
        (None, Lookup::Failed(failure)) => {
            part.unknown("ns", format!("the SOA of {zone}: {failure}"));
            None
        }
    };
    if let Some(found) = soa.and_then(|soa| ns_soa::judge(&zone, &soa)) {
        part.find(found);
    }
    let disagreed = disagreements(&views);
    if !disagreed.is_empty() {
        let now = if time_left() { again(&asker, &hosts, &views, &zone, domain).await } else { None };
        match now {
            Some(now) => {
                for lasting in disagreed.iter().filter(|one| now.contains(one)) {
                    part.find(lasting.remark(&zone, domain));
                }
            }
            None => part.unknown("ns", DISAGREED),
        }
    }
    if let Ok(Some(delegation)) = &delegation {
        let own: BTreeSet<String> = views.iter().filter_map(|(_, view)| view.servers.clone()).flatten().collect();
        if let Some(found) = ns_parent::compare(&zone, delegation, &own) {
            part.find(found);
        }
    }
    let count = servers.len();
    part.fact_by_findings(Status::Ok, if count == 1 { "1 server".to_owned() } else { format!("{count} servers") });
    part
}

/// Nothing of the zone can be read: because nobody answers for it, or for a reason that can not be told.
async fn unreadable(asker: &Asker<'_>, domain: &str, failure: &str, limit: Duration, part: &mut Part) {
    part.word(Status::None, "No answer");
    match tokio::time::timeout(limit, Box::pin(ns_silent::look(asker, domain))).await {
        Ok(Ok(found)) => {
            part.find(found);
            part.word(Status::Bad, "No answer");
            part.unknown("ns", SILENT);
        }
        Ok(Err(reason)) => part.unknown("ns", format!("{failure} ({reason})")),
        Err(_) => part.unknown("ns", format!("{failure} (there was no time to ask its name servers themselves)")),
    }
}

/// The zone the domain lies in, and its servers.
async fn zone_of(net: &Net, domain: &str) -> Lookup<(String, Vec<String>)> {
    let last = organisational(domain);
    let mut at = domain;
    loop {
        match net.dns().ns(at).await {
            Lookup::Found(mut servers) => {
                servers.sort();
                servers.dedup();
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

/// A server's name, the address that was asked, and what it showed.
type Seen = (String, IpAddr, Look);

/// Asks every server at its first address of each kind: all that is compared at the first, whether it has the zone at the other.
async fn look_at(asker: &Asker<'_>, hosts: impl Iterator<Item = &Host>, zone: &str, domain: &str) -> Vec<Seen> {
    let may = |address: &IpAddr| asker.net.egress_check(*address).is_ok();
    let mut jobs: Vec<(&str, IpAddr, bool)> = Vec::new();
    for host in hosts {
        let addresses: Vec<IpAddr> = host.addresses().into_iter().filter(may).collect();
        let first = addresses.first().copied();
        jobs.extend(first.map(|address| (host.name.as_str(), address, true)));
        let other = addresses.iter().find(|address| first.is_some_and(|first| first.is_ipv4() && address.is_ipv6()));
        jobs.extend(other.map(|address| (host.name.as_str(), *address, false)));
    }
    join_all(jobs.into_iter().map(|(name, address, whole)| async move {
        let look = if whole {
            Box::pin(asker.look(address, zone, domain)).await
        } else {
            match asker.has_zone(address, zone).await {
                Ok(soa) => Look::Authoritative(Box::new(View { soa, servers: None, mx: None, spf: None, tcp: None })),
                Err(look) => look,
            }
        };
        (name.to_owned(), address, look)
    }))
    .await
}

/// Servers that the parent alone names: resolvers ask them like the others. Those that do not have the zone join the looks.
async fn named_above(asker: &Asker<'_>, names: &[&String], delegation: &Delegation, zone: &str, looks: &mut Vec<Seen>, part: &mut Part) {
    let seen = join_all(names.iter().map(|name| async move {
        let host = Host::find(asker.net, name).await;
        let address = host.addresses().into_iter().find(|address| asker.net.egress_check(*address).is_ok());
        let look = match address {
            Some(address) => asker.has_zone(address, zone).await.err().map(|look| (address, look)),
            None => None,
        };
        (host, look)
    }))
    .await;
    for (host, look) in seen {
        let name = host.name.clone();
        if host.has_none() {
            let words = format!("The name server {name}, to which {} delegates {zone}, has no address, so nobody can ask it", delegation.parent);
            part.find(remark("ns.no_address", &name, words).with("ns", &name));
        } else if let Some(failure) = host.failure() {
            part.unknown_about(Family::Ns, &name, format!("addresses of {name}: {failure}"));
        }
        looks.extend(look.map(|(address, look)| (name, address, look)));
    }
}

/// One view per server, that of its first address.
fn views(looks: &[Seen]) -> Vec<(String, View)> {
    let mut views: Vec<(String, View)> = Vec::new();
    for (server, _, look) in looks {
        if let Look::Authoritative(view) = look
            && !views.iter().any(|(known, _)| known == server)
        {
            views.push((server.clone(), View::clone(view)));
        }
    }
    views
}

/// What the names and addresses of the servers show by themselves.
fn sites(net: &Net, zone: &str, count: usize, hosts: &[Host], part: &mut Part) {
    if count < 2 {
        part.find(remark("ns.single", zone, format!("{zone} has one name server only")));
    }
    for host in hosts {
        let name = &host.name;
        if let Lookup::Failed(failure) = &host.alias {
            part.untold("ns.cname", format!("whether {name} is an alias: {failure}"));
        }
        if let Lookup::Found(aliases) = &host.alias
            && let Some(alias) = aliases.first()
        {
            let seen = format!("The name server {name} is an alias of {alias}; an NS record must name a host itself");
            part.find(remark("ns.cname", name, seen).with("alias", alias).record("NS", zone, format!("{alias}.")));
        }
        if host.has_none() {
            part.find(
                remark("ns.no_address", name, format!("The name server {name} of {zone} has no address, so nobody can ask it")).with("ns", name),
            );
        } else if let Some(failure) = host.failure() {
            part.unknown_about(Family::Ns, name, format!("addresses of {name}: {failure}"));
        }
        let addresses = host.addresses();
        if let Some(first) = addresses.first()
            && addresses.iter().all(|address| net.hidden(*address).is_some())
            && let Some(reason) = net.hidden(*first)
        {
            let seen = format!("The name server {name} has the address {first}, {reason}: nobody outside its network can ask it");
            part.find(remark("ns.private_address", name, seen).with("ns", name));
        }
    }
    // Servers beyond the bound may stand elsewhere.
    if hosts.len() < count || hosts.iter().any(|host| host.failure().is_some()) {
        return;
    }
    // IPv4 and IPv6 of one site are two networks that fail together.
    let of = |v4: bool| hosts.iter().flat_map(Host::addresses).filter(|address| address.is_ipv4() == v4).map(network).collect::<BTreeSet<_>>();
    let common = |one: &[u8; 6]| hosts.iter().all(|host| host.addresses().into_iter().any(|address| network(address) == *one));
    let (v4, v6) = (of(true), of(false));
    if count > 1 && v4.len() < 2 && v6.len() < 2 && v4.iter().chain(&v6).any(common) {
        let at = hosts.iter().flat_map(Host::addresses).next().map(|address| address.to_string()).unwrap_or_default();
        part.find(remark("ns.same_network", zone, format!("All {count} name servers of {zone} stand in one network, that of {at}")));
    }
    let has = |v4: bool| hosts.iter().flat_map(Host::addresses).any(|address| address.is_ipv4() == v4);
    if has(true) && !has(false) {
        part.find(remark("ns.no_ipv6", zone, format!("No name server of {zone} has an IPv6 address")));
    } else if has(false) && !has(true) {
        part.find(remark("ns.no_ipv4", zone, format!("No name server of {zone} has an IPv4 address: whoever has no IPv6 can not look it up")));
    }
}

/// The /24 of IPv4, the /48 of IPv6: what fails together.
fn network(address: IpAddr) -> [u8; 6] {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            // 0 is no first octet of an IPv6 network that is in use.
            [0, 4, 0, a, b, c]
        }
        IpAddr::V6(v6) => {
            let o = v6.octets();
            [o[0], o[1], o[2], o[3], o[4], o[5]]
        }
    }
}

/// Who has the zone and who does not, and who takes questions over UDP only.
fn answers(zone: &str, looks: &[Seen], delegation: &Result<Option<Delegation>, String>, part: &mut Part) {
    // The resolver got the name servers from one of them. Where none answers us with authority, something between us and them answers, or
    // blocks, and that says nothing about them.
    let authoritative = looks.iter().any(|(.., look)| matches!(look, Look::Authoritative(_)));
    if !authoritative {
        if looks.iter().any(|(.., look)| matches!(look, Look::Lame(_))) {
            part.unknown("ns", "no name server answers us with authority; the network in between seems to answer for them, or they refuse us alone");
        }
        return;
    }
    let reached_v6 = looks.iter().any(|(_, address, look)| address.is_ipv6() && !matches!(look, Look::Unknown(_)));
    for (server, address, look) in looks {
        match look {
            Look::Lame(how) => {
                // One finding for a server, whatever its addresses.
                if !looks.iter().any(|(other, before, look)| other == server && matches!(look, Look::Lame(_)) && before < address) {
                    part.find(remark("ns.lame", server, format!("The name server {server} ({address}) {how} for {zone}")).with("ns", server));
                }
            }
            // Without IPv6 here no IPv6 address can be told.
            Look::Unknown(reason) if address.is_ipv4() || reached_v6 => {
                part.unknown_about(Family::Ns, server, format!("{server} ({address}): {reason}"));
            }
            Look::Authoritative(_) | Look::Unknown(_) => {}
        }
    }
    if let Err(reason) = delegation {
        part.unknown("ns", format!("whether the parent zone names the same servers: {reason}"));
    }
    let tcp = |wanted: bool| {
        looks.iter().filter_map(move |(server, address, look)| match look {
            Look::Authoritative(view) if view.tcp == Some(wanted) => Some((server, address)),
            _ => None,
        })
    };
    // Some networks answer TCP port 53 themselves with a refusal: only where it gets through to somebody does a refusal count.
    if tcp(true).next().is_some() || matches!(delegation, Ok(Some(delegation)) if delegation.tcp) {
        for (server, address) in tcp(false) {
            let seen = format!("The name server {server} ({address}) answers over UDP and refuses connections to TCP port 53");
            part.find(remark("ns.no_tcp", server, seen).with("ns", server));
        }
    }
}

/// Asks servers that seem not to have the zone once more: while a zone is loaded again, or when questions come too fast, they say so for a moment.
async fn confirmed(asker: &Asker<'_>, looks: Vec<Seen>, zone: &str) -> Vec<Seen> {
    let lame = |look: &Look| matches!(look, Look::Lame(_));
    if !looks.iter().any(|(.., look)| lame(look)) || !looks.iter().any(|(.., look)| matches!(look, Look::Authoritative(_))) {
        return looks;
    }
    tokio::time::sleep(asker.pause).await;
    join_all(looks.into_iter().map(|(server, address, look)| async move {
        let Look::Lame(how) = look else { return (server, address, look) };
        let second = match tokio::time::timeout(SECOND, asker.has_zone(address, zone)).await {
            Ok(Err(Look::Lame(how))) => Look::Lame(how),
            Ok(Ok(_)) => Look::Unknown(format!("it {how}, and has the zone when it is asked again")),
            Ok(Err(_)) | Err(_) => Look::Unknown(format!("it {how}, and does not answer when it is asked again")),
        };
        (server, address, second)
    }))
    .await
}

/// Where there is no time for a second look: what one look says of a server that seems not to have the zone proves nothing.
fn unconfirmed(looks: Vec<Seen>) -> Vec<Seen> {
    let doubt = |look| match look {
        Look::Lame(how) => Look::Unknown(format!("it {how}; there was no time to ask it again")),
        other => other,
    };
    looks.into_iter().map(|(server, address, look)| (server, address, doubt(look))).collect()
}

/// A second look at servers that disagree: what is the same after a moment is no transfer on its way. Nothing when they take too long.
async fn again(asker: &Asker<'_>, hosts: &[Host], before: &[(String, View)], zone: &str, domain: &str) -> Option<Vec<Disagreement>> {
    tokio::time::sleep(asker.pause).await;
    let answering = hosts.iter().filter(|host| before.iter().any(|(name, _)| *name == host.name));
    let looks = tokio::time::timeout(SECOND, look_at(asker, answering, zone, domain)).await.ok()?;
    Some(disagreements(&views(&looks)))
}
