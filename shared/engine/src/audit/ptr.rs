//! Reverse DNS of the MX hosts' addresses: there is a name, and it leads back (RFC 1912 2.1, RFC 8601 2.7.3).

use std::{collections::BTreeMap, net::IpAddr};

use futures::future::join_all;
use waypost_types::{
    Severity,
    outcome::{MxHost, Status},
};

use super::{AuditOptions, Facts, Part, rules::remark};
use crate::{
    net::{Lookup, Net},
    spf::{SpfResult, check_host},
};

/// Addresses looked at.
const MOST_ADDRESSES: usize = 16;
/// Names of one address that are resolved back.
const MOST_NAMES: usize = 10;

/// What an address's reverse name shows.
enum Reverse {
    Match(Vec<String>),
    Mismatch(Vec<String>),
    Missing,
    Unknown(String),
}

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let mut addresses: BTreeMap<IpAddr, &MxHost> = BTreeMap::new();
    for host in &facts.hosts {
        for address in &host.addresses {
            addresses.entry(*address).or_insert(host);
        }
    }
    if addresses.is_empty() {
        part.word(Status::None, if facts.nxdomain { "No such domain" } else { "No hosts" });
        return part;
    }
    let looks = join_all(addresses.into_iter().take(MOST_ADDRESSES).map(|(address, host)| async move {
        let (reverse, sends) = tokio::join!(reverse(net, address), sends(net, facts, address, host));
        (address, host, reverse, sends)
    }))
    .await;
    let (mut matched, mut missing, mut unlike) = (0, 0, 0);
    for (address, host, reverse, sends) in looks {
        let subject = address.to_string();
        // A mailbox provider's addresses are the provider's business.
        let own = host.provider.is_none();
        // An MX host takes mail; only where SPF lets it send too does the reverse name decide whether its mail is taken.
        let severity = if sends { Severity::Critical } else { Severity::Medium };
        match reverse {
            Reverse::Match(names) => {
                matched += 1;
                part.records.push(format!("{address} {}", names.join(" ")));
                if own {
                    good(&mut part, address, host, &names, sends);
                }
            }
            Reverse::Mismatch(names) => {
                unlike += 1;
                part.records.push(format!("{address} {}", names.join(" ")));
                if own {
                    let seen = format!("The reverse name of {address}, {}, does not resolve back to it", names.join(", "));
                    part.find(
                        remark("ptr.fcrdns_mismatch", &subject, seen)
                            .severity(severity)
                            .with("name", names.first().map_or(host.host.as_str(), String::as_str))
                            .with("ip", &subject),
                    );
                }
            }
            Reverse::Missing => {
                missing += 1;
                if own {
                    let seen = format!("{address} ({}) has no reverse name", host.host);
                    part.find(
                        remark("ptr.missing", &subject, seen)
                            .severity(severity)
                            .fix(format!("Ask the owner of the address, usually the hosting provider, to set its PTR record to {}.", host.host)),
                    );
                }
            }
            Reverse::Unknown(reason) => part.unknown("ptr", format!("{address}: {reason}")),
        }
    }
    let word = if missing > 0 {
        "Missing"
    } else if unlike > 0 {
        "Mismatch"
    } else if matched > 0 {
        "Match"
    } else {
        "No answer"
    };
    part.word_by_findings(if word == "Match" { Status::Ok } else { Status::None }, word);
    part
}

fn good(part: &mut Part, address: IpAddr, host: &MxHost, names: &[String], sends: bool) {
    let subject = address.to_string();
    if sends && names.iter().all(|name| *name != host.host && is_generic(name, address)) {
        let seen = format!("The reverse name of {address}, {}, looks like that of a dial-up line", names.join(", "));
        part.find(remark("ptr.generic", &subject, seen).fix(format!("Ask the owner of the address to set its PTR record to {}.", host.host)));
    }
    if names.len() > 1 {
        part.find(remark("ptr.multiple", &subject, format!("{address} has {} reverse names", names.len())).fix(format!("Keep {} only.", host.host)));
    }
}

async fn reverse(net: &Net, address: IpAddr) -> Reverse {
    let names = match net.dns().ptr(address).await {
        Lookup::Found(names) => names,
        Lookup::Missing(_) => return Reverse::Missing,
        Lookup::Failed(failure) => return Reverse::Unknown(failure.to_string()),
    };
    let mut failed = None;
    for name in names.iter().take(MOST_NAMES) {
        match net.dns().addresses(name).await {
            Lookup::Found(addresses) if addresses.contains(&address) => return Reverse::Match(names),
            Lookup::Found(_) | Lookup::Missing(_) => {}
            Lookup::Failed(failure) => failed = Some(format!("{name}: {failure}")),
        }
    }
    failed.map_or(Reverse::Mismatch(names), Reverse::Unknown)
}

/// Whether the domain's own policy lets this address send for it.
async fn sends(net: &Net, facts: &Facts, address: IpAddr, host: &MxHost) -> bool {
    let domain = facts.domain.as_str();
    let sender = format!("postmaster@{domain}");
    check_host(net.dns(), address, domain, &sender, &host.host, net.now().timestamp()).await.result == SpfResult::Pass
}

/// Holds the address's digits, or a word of access networks.
fn is_generic(name: &str, address: IpAddr) -> bool {
    let words = name.split(|c: char| !c.is_ascii_alphabetic());
    if words
        .into_iter()
        .any(|word| matches!(word, "dyn" | "dynamic" | "dsl" | "adsl" | "vdsl" | "pool" | "dhcp" | "dialup" | "ppp" | "pppoe" | "cable"))
    {
        return true;
    }
    let IpAddr::V4(v4) = address else { return false };
    let numbers: Vec<u8> = name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
    let mut backwards = v4.octets();
    backwards.reverse();
    numbers.windows(4).any(|four| four == v4.octets() || four == backwards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lines_are_told_from_names_of_servers() {
        let address: IpAddr = "203.0.113.7".parse().unwrap();
        for name in ["203-0-113-7.isp.example", "7.113.0.203.dsl.isp.example", "host.pool.isp.example", "dyn12.isp.example"] {
            assert!(is_generic(name, address), "{name}");
        }
        for name in ["mail.example.com", "mx7.example.com", "dynamo.example.com", "a-203-0-113.example.com"] {
            assert!(!is_generic(name, address), "{name}");
        }
    }
}
