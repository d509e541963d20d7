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
/// Waiting for the second answers.
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
    let first = round(asker, &zone, &servers).await?;
    tokio::time::sleep(asker.pause).await;
    let second = tokio::time::timeout(SECOND, round(asker, &zone, &servers)).await.unwrap_or(Ok(Vec::new()))?;
    // Who was cut off the second time is as it was the first.
    let mute = if second.is_empty() { first } else { second };
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

/// One address of each server, an IPv4 one where there is one. What can not be asked may well answer others.
async fn addresses(asker: &Asker<'_>, delegation: &Delegation) -> Result<Vec<(String, IpAddr)>, String> {
    if delegation.names.len() > MOST_SERVERS {
        return Err(format!("it has {} name servers, too many to ask them all", delegation.names.len()));
    }
    let finding = delegation.names.iter().map(|name| async move {
        let mut known = match delegation.glue.get(name) {
            Some(glue) => glue.clone(),
            None => Host::find(asker.net, name).await.addresses(),
        };
        known.sort_by_key(IpAddr::is_ipv6);
        let address = known.into_iter().find(|address| asker.net.egress_check(*address).is_ok());
        address.map(|address| (name.clone(), address)).ok_or_else(|| format!("its name server {name} has no address that can be asked"))
    });
    join_all(finding).await.into_iter().collect()
}

/// Asks all of them. Fails where one has the zone, and where one is silent that can be reached by IPv6 alone while nobody answers by it: we may have none.
async fn round(asker: &Asker<'_>, zone: &str, servers: &[(String, IpAddr)]) -> Result<Vec<Mute>, String> {
    let asking = servers.iter().map(|(name, address)| async move { (name, *address, asker.answers_for(*address, zone).await) });
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
    let servers: Vec<&str> = mute.iter().map(|(name, ..)| name.as_str()).collect();
    remark("ns.no_answer", zone, seen).with("servers", servers.join(", ")).with("parent", parent)
}
