//! A zone that nobody answers for. The resolver can not read it; here each of the servers that its parent names is asked, twice, before that is
//! said to be the zone's fault and not ours.

use std::{net::IpAddr, time::Duration};

use futures::future::join_all;

use super::{
    ns_ask::{Asker, Host},
    ns_parent::{Delegation, delegation},
    organisational,
    rules::{Remark, remark},
};
use crate::net::Lookup;

/// Servers that are asked; a zone with more is not told.
const MOST_SERVERS: usize = 13;
/// Labels walked up in search of the zone that fails.
const MOST_STEPS: usize = 8;
/// Addresses of one server that are asked.
const MOST_ADDRESSES: usize = 3;
/// Waiting for one server: the first time, and the second.
const FIRST: Duration = Duration::from_secs(4);
const SECOND: Duration = Duration::from_secs(3);
/// Servers that a sentence names.
const NAMED: usize = 4;

/// A server's name, one address of it, and how it does not answer; nothing where it is silent.
type Mute = (String, IpAddr, Option<&'static str>);

/// Says that no name server of the zone that a domain lies in answers for it, or why that can not be told.
///
/// It takes a server of the parent that refers us: that proves that we reach port 53 of strangers and that the zone is delegated at all, so that
/// silence is the silence of its servers. Where one of them answers with authority, the fault lies elsewhere (in DNSSEC, or on the resolver's way).
pub(super) async fn look(asker: &Asker<'_>, domain: &str) -> Result<Remark, String> {
    let zone = failing_zone(asker, domain).await;
    let delegation = delegation(asker, &zone).await.map_err(|reason| format!("whether its name servers answer: {reason}"))?;
    let Some(delegation) = delegation else { return Err(format!("no parent of {zone} says which name servers it has")) };
    let servers = addresses(asker, &delegation).await?;
    round(asker, &zone, &servers, FIRST).await?;
    tokio::time::sleep(asker.pause).await;
    let mute = round(asker, &zone, &servers, SECOND).await?;
    Ok(say(&zone, &delegation.parent, &mute))
}

/// The highest name, from the domain up, that the resolver can not read: the fault is there.
async fn failing_zone(asker: &Asker<'_>, domain: &str) -> String {
    let last = organisational(domain);
    let mut zone = domain;
    for _ in 0..MOST_STEPS {
        let Some((_, above)) = zone.split_once('.').filter(|_| zone != last) else { break };
        match asker.net.dns().ns(above).await {
            Lookup::Failed(_) => zone = above,
            Lookup::Found(_) | Lookup::Missing(_) => break,
        }
    }
    zone.to_owned()
}

/// Addresses of each server, of IPv4 where there are any. What can not be asked may well answer others.
async fn addresses(asker: &Asker<'_>, delegation: &Delegation) -> Result<Vec<(String, IpAddr)>, String> {
    if delegation.names.len() > MOST_SERVERS {
        return Err(format!("it has {} name servers, too many to ask them all", delegation.names.len()));
    }
    let finding = delegation.names.iter().map(|name| async move {
        let known = match delegation.glue.get(name) {
            Some(glue) => glue.clone(),
            None => Host::find(asker.net, name).await.addresses(),
        };
        let v4 = known.iter().any(IpAddr::is_ipv4);
        let may = known.into_iter().filter(|address| address.is_ipv4() == v4 && asker.net.egress_check(*address).is_ok());
        let all: Vec<(String, IpAddr)> = may.take(MOST_ADDRESSES).map(|address| (name.clone(), address)).collect();
        if all.is_empty() { Err(format!("its name server {name} has no address that can be asked")) } else { Ok(all) }
    });
    let found: Result<Vec<Vec<(String, IpAddr)>>, String> = join_all(finding).await.into_iter().collect();
    Ok(found?.concat())
}

/// Asks all of them. Fails where one has the zone, and where one is silent that can be reached by IPv6 alone while nobody answers by it: we may have none.
async fn round(asker: &Asker<'_>, zone: &str, servers: &[(String, IpAddr)], limit: Duration) -> Result<Vec<Mute>, String> {
    let asking = servers.iter().map(|(name, address)| async move {
        let answer = tokio::time::timeout(limit, asker.answers_for(*address, zone)).await;
        (name, *address, answer.unwrap_or(Err(None)))
    });
    let mut mute = Vec::new();
    for (name, address, answer) in join_all(asking).await {
        match answer {
            Ok(()) => return Err(format!("the resolver can not read it, but its name server {name} ({address}) answers")),
            Err(how) => mute.push((name.clone(), address, how)),
        }
    }
    let by_v6 = mute.iter().any(|(_, address, how)| address.is_ipv6() && how.is_some());
    match mute.iter().find(|(_, address, how)| address.is_ipv6() && how.is_none()) {
        Some((name, ..)) if !by_v6 => Err(format!("its name server {name} has IPv6 addresses only, and nobody is reached by IPv6 from here")),
        _ => Ok(mute),
    }
}

fn say(zone: &str, parent: &str, mute: &[Mute]) -> Remark {
    let how = |how: Option<&'static str>| how.unwrap_or("does not answer");
    let named = mute.iter().take(NAMED).map(|(name, address, answer)| format!("{name} ({address}) {}", how(*answer)));
    let named: Vec<String> = named.collect();
    let more = mute.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(", and {more} more do not either") };
    let seen = format!("None of the name servers of {zone} answers for it: {}{more}", named.join(", "));
    let mut servers: Vec<&str> = mute.iter().map(|(name, ..)| name.as_str()).collect();
    servers.dedup();
    remark("ns.no_answer", zone, seen).with("servers", servers.join(", ")).with("parent", parent)
}
