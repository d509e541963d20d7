//! Whether the MX hosts take connections on port 25 (RFC 5321 4.5.4). Of a mailbox provider's hosts it is not asked. A host is told of only after
//! two tries at each of its addresses, and only where this network is known to let port 25 out: many close it, by silence or by refusing. IPv6 alone
//! tells nothing: networks that let port 25 out by IPv4 close it there.

use std::{net::IpAddr, time::Duration};

use futures::future::join_all;
use waypost_types::{Severity, outcome::MxHost};

use super::{
    Facts, Part,
    certificates::{Chains, MOST_HOSTS},
    rules::remark,
};
use crate::{
    net::{DialError, Net},
    probe::{PORT25_BLOCKED, Shown},
};

const RULE: &str = "mx.unreachable";
/// Addresses of a host.
const MOST_ADDRESSES: usize = 8;
/// Between the two tries: a server that is started anew is back by then.
const PAUSE: Duration = Duration::from_secs(1);

/// How a host was met.
#[derive(Debug)]
enum Met {
    Reached,
    /// No address of those that could be told took a connection.
    Lost(Vec<(IpAddr, DialError)>),
    Untold(String),
}

/// Connects to the hosts that are not a provider's.
pub(super) async fn look(net: &Net, facts: &Facts, chains: &Chains<'_>) -> Part {
    let mut part = Part::default();
    if !chains.enabled() {
        return part;
    }
    // Addresses that nobody can reach have findings of their own.
    let public = |host: &&MxHost| host.addresses.iter().any(|address| net.hidden(*address).is_none());
    let hosts: Vec<&MxHost> = facts.hosts.iter().filter(|host| host.provider.is_none()).filter(public).take(MOST_HOSTS).collect();
    let met = join_all(hosts.iter().map(|host| meet(net, host, chains))).await;
    let lost = met.iter().filter(|met| matches!(met, Met::Lost(_))).count();
    // Of others that there are it is not known that they take nothing.
    let all = lost == facts.hosts.len();
    for (host, met) in hosts.iter().zip(met) {
        match met {
            Met::Reached => {}
            Met::Untold(reason) => part.untold(RULE, format!("whether {} takes connections: {reason}", host.host)),
            Met::Lost(addresses) => {
                let each: Vec<String> = addresses.iter().map(|(address, error)| format!("{address}: {error}")).collect();
                let found = remark(RULE, &host.host, format!("Nobody can connect to {} on port 25. {}", host.host, each.join("; ")));
                part.find(if all { found } else { found.severity(Severity::Medium) });
            }
        }
    }
    part
}

async fn meet(net: &Net, host: &MxHost, chains: &Chains<'_>) -> Met {
    let addresses: Vec<IpAddr> = host.addresses.iter().copied().filter(|address| net.hidden(*address).is_none()).take(MOST_ADDRESSES).collect();
    let looks = join_all(addresses.iter().map(|address| async move { (*address, chains.at(host, *address).await) })).await;
    let first = judge(looks.iter().map(|(address, shown)| (*address, shown.as_ref())));
    let Met::Lost(lost) = first else { return first };
    if chains.seems_blocked() {
        return Met::Untold(format!("{PORT25_BLOCKED}: no port 25 was reached in the last hour"));
    }
    tokio::time::sleep(PAUSE).await;
    let looks = join_all(lost.iter().map(|(address, _)| async move { (*address, chains.again(host, *address).await) })).await;
    judge(looks.iter().map(|(address, shown)| (*address, shown)))
}

fn judge<'a>(looks: impl Iterator<Item = (IpAddr, &'a Shown)>) -> Met {
    let (mut lost, mut untold) = (Vec::new(), None);
    for (address, shown) in looks {
        match shown {
            Shown::Unreached(error) => lost.push((address, error.clone())),
            // Whatever came of it, somebody took the connection.
            Shown::Chain(_) | Shown::Ended(_) | Shown::NoStarttls | Shown::StarttlsRefused(_) | Shown::BadHandshake(_) => return Met::Reached,
            Shown::Unknown(reason) => untold = untold.or_else(|| Some((address, reason.clone()))),
        }
    }
    match untold {
        // Whether IPv6 leads there can often not be told, and most senders come by IPv4.
        Some((address, reason)) if lost.is_empty() || address.is_ipv4() => Met::Untold(reason),
        _ if lost.is_empty() => Met::Untold("it has no address that can be asked".to_owned()),
        // What is known of port 25 here may be known of IPv4 alone.
        _ if lost.iter().all(|(address, _)| address.is_ipv6()) => {
            Met::Untold("it was asked by IPv6 alone, and whether port 25 can be reached by IPv6 from here is not known".to_owned())
        }
        _ => Met::Lost(lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_lost_by_ipv6_alone_is_unknown() {
        let refused = || Shown::Unreached(DialError::Refused);
        let untold = || Shown::Unknown("no IPv6 here".to_owned());
        for (looks, lost) in [
            (vec![("192.0.2.1", refused())], Some(1)),
            (vec![("192.0.2.1", refused()), ("2001:db8::1", refused())], Some(2)),
            (vec![("192.0.2.1", refused()), ("2001:db8::1", untold())], Some(1)),
            (vec![("2001:db8::1", refused())], None),
            (vec![("2001:db8::1", refused()), ("2001:db8::2", untold())], None),
            (vec![("192.0.2.1", untold()), ("2001:db8::1", refused())], None),
        ] {
            let met = judge(looks.iter().map(|(address, shown)| (address.parse().unwrap(), shown)));
            match lost {
                Some(count) => assert!(matches!(&met, Met::Lost(lost) if lost.len() == count), "{looks:?}: {met:?}"),
                None => assert!(matches!(met, Met::Untold(_)), "{looks:?}: {met:?}"),
            }
        }
    }
}
