//! MX: who takes the domain's mail, and whether they can be found (RFC 5321 5.1, RFC 7505, RFC 2181 10.3).

use std::{collections::BTreeSet, net::IpAddr};

use futures::future::join_all;
use waypost_types::{
    DomainName, Severity,
    outcome::{MxHost, Status},
};

use super::{
    AuditOptions, Facts, Part,
    local_names::local_ending,
    mx_set,
    rules::{Remark, remark},
    selectors,
    sends::{Sends, sends},
    spf_repair::lets_send,
};
use crate::{
    net::{Absence, Lookup, Net},
    spf::{FetchError, fetch, parse},
};

/// MX hosts looked at; more than anybody needs, few enough to be bounded.
const MOST_HOSTS: usize = 20;
/// MX records that are shown.
const MOST_SHOWN: usize = 50;
/// Hosts that a sentence names.
const NAMED: usize = 4;

/// Asks MX and addresses, which other families build on.
pub(super) async fn look(net: &Net, domain: &DomainName, options: &AuditOptions) -> (Facts, Part) {
    let mut part = Part::default();
    let mut facts = Facts::of(domain);
    let name = domain.as_str();
    match net.dns().mx(name).await {
        Lookup::Failed(failure) => {
            facts.untold = Some(format!("the MX hosts: {failure}"));
            part.unknown("mx", failure);
            part.word(Status::None, "No answer");
        }
        Lookup::Missing(Absence::NxDomain) => {
            facts.nxdomain = true;
            facts.receives = false;
            part.find(
                remark("mx.missing", name, format!("{name} does not exist in DNS (NXDOMAIN)"))
                    .severity(Severity::Critical)
                    .why("Nobody can deliver to a name that DNS does not know, and receivers refuse mail that claims to come from it.")
                    .fix("Check the spelling. If the name is right, register it or publish its zone; until then mail to it and from it is refused."),
            );
            part.word(Status::Bad, "No such domain");
        }
        Lookup::Missing(Absence::NoData) => without_mx(net, name, options, &mut facts, &mut part).await,
        Lookup::Found(mut records) => {
            records.sort();
            records.dedup();
            let shown = |(preference, host): &(u16, String)| format!("{preference} {}", if host.is_empty() { "." } else { host });
            part.records = records.iter().take(MOST_SHOWN).map(shown).collect();
            if records.iter().all(|(_, host)| host.is_empty()) {
                facts.null_mx = true;
                facts.receives = false;
                null_mx(net, &facts, options, &mut part).await;
            } else {
                with_mx(net, name, records, &mut facts, &mut part).await;
            }
        }
    }
    (facts, part)
}

/// Without MX the domain's own address takes the mail, when it has one (RFC 5321 5.1).
async fn without_mx(net: &Net, name: &str, options: &AuditOptions, facts: &mut Facts, part: &mut Part) {
    let lost = options.known.mx_hosts();
    let (addresses, half) = net.dns().addresses_and_failure(name).await;
    let partial = half.is_some();
    facts.untold = half.map(|failure| format!("some addresses of {name}: {failure}"));
    match addresses {
        Lookup::Found(addresses) => {
            part.find(if lost.is_empty() {
                remark("mx.domain_no_a_fallback", name, "No MX record: mail goes to the domain's own address").record(
                    "MX",
                    name,
                    format!("10 {name}."),
                )
            } else {
                removed(name, &lost, "mail goes to the domain's own address now")
            });
            not_reachable(net, name, &addresses, part);
            facts.hosts = vec![MxHost { preference: 0, host: name.to_owned(), addresses, partial, provider: None }];
            part.word_by_findings(Status::Info, "Address only");
        }
        Lookup::Missing(_) => {
            facts.receives = false;
            // A domain that says that nobody sends for it is parked, not broken.
            match fetch(net.dns(), name).await {
                Ok(Some(txt)) if txt.trim_ascii_end().eq_ignore_ascii_case(b"v=spf1 -all") => {
                    if !lost.is_empty() {
                        part.find(removed(name, &lost, "the domain has no address either, so that nobody can deliver to it"));
                    }
                    return part.word_by_findings(Status::None, "Takes no mail");
                }
                Err(FetchError::Dns(failure)) => {
                    part.untold("mx.missing", format!("there is no MX record and no address; whether it is parked, by its SPF record: {failure}"));
                    return part.word(Status::None, "No answer");
                }
                Ok(_) | Err(FetchError::Multiple) => {}
            }
            let host = format!("mail.{name}");
            let found = remark("mx.missing", name, format!("{name} has no MX record and no address: it can not receive mail"));
            part.find(match net.dns().addresses(&host).await {
                Lookup::Found(_) => found
                    .fix(format!("If {host} takes its mail, publish this record; if the domain is not meant to receive any, a null MX (0 .)."))
                    .record("MX", name, format!("10 {host}.")),
                Lookup::Missing(_) | Lookup::Failed(_) => found.fix(
                    "Publish an MX record with the name of the host that takes its mail, which must have an address, or a null MX (0 .) when the domain is \
                     not meant to receive any.",
                ),
            });
            part.word(Status::Bad, "Missing");
        }
        Lookup::Failed(failure) => {
            part.unknown("mx", format!("there is no MX record, and whether the domain has an address could not be told: {failure}"));
            part.word(Status::None, "No answer");
        }
    }
}

/// Mail had a place to go, and has none now. Where that is meant, a null MX says so.
fn removed(name: &str, lost: &[&str], now: &str) -> Remark {
    let hosts: Vec<&str> = lost.iter().copied().take(NAMED).collect();
    let seen = format!("All MX records of {name} are gone: mail went to {}, and {now}", hosts.join(", "));
    remark("mx.removed", name, seen)
}

/// A domain that takes no mail should send none: what can not be answered is refused (RFC 7505 4.2).
async fn null_mx(net: &Net, facts: &Facts, options: &AuditOptions, part: &mut Part) {
    let name = facts.domain.as_str();
    if let Some(sends) = sends(facts, options).filter(Sends::is_sure) {
        let seen = format!("{name} says that it takes no mail (null MX), and {}", sends.how());
        part.find(remark("mx.null_sends", name, seen).with("host", format!("mail.{name}")));
    } else {
        match fetch(net.dns(), name).await {
            Ok(Some(policy)) if parse(&policy).is_ok_and(|record| lets_send(&record)) => {
                let policy = String::from_utf8_lossy(&policy).into_owned();
                let seen = format!("{name} says that it takes no mail (null MX), and its SPF record lets hosts send for it: {policy}");
                part.find(remark("mx.null_sends", name, seen).severity(Severity::Low).fix(
                    "If the domain sends mail, give it an MX record that takes the replies. If it does not, say so in SPF as well: v=spf1 -all.",
                ));
            }
            Err(FetchError::Dns(failure)) => part.untold("mx.null_sends", format!("the SPF record of {name}: {failure}")),
            Ok(_) | Err(FetchError::Multiple) => {}
        }
    }
    part.word_by_findings(Status::Ok, "Takes no mail");
}

async fn with_mx(net: &Net, name: &str, records: Vec<(u16, String)>, facts: &mut Facts, part: &mut Part) {
    if records.iter().any(|(_, host)| host.is_empty()) {
        part.find(
            remark("mx.null_with_others", name, "A null MX stands beside other MX records")
                .fix("Keep the null MX (the domain takes no mail) or the others, not both."),
        );
    }
    let records: Vec<(u16, String)> = records.into_iter().filter(|(_, host)| !host.is_empty()).collect();
    mx_set::records(name, &records, MOST_HOSTS, part);
    let mut seen = BTreeSet::new();
    let hosts: Vec<(u16, String)> = records.into_iter().filter(|(_, host)| seen.insert(host.clone())).take(MOST_HOSTS).collect();
    let answers = join_all(hosts.iter().map(|(_, host)| async move {
        // What is no public name is not asked; the resolver library would answer “localhost” by itself.
        if host.parse::<IpAddr>().is_ok() || is_local(host, name) {
            return ((Lookup::Missing(Absence::NoData), None), Lookup::Missing(Absence::NoData));
        }
        tokio::join!(net.dns().addresses_and_failure(host), net.dns().cname(host))
    }))
    .await;
    let mut dead = Vec::new();
    for ((preference, host), ((addresses, half), alias)) in hosts.iter().zip(answers) {
        let partial = half.is_some() || matches!(addresses, Lookup::Failed(_));
        if let Some(failure) = half {
            facts.untold = Some(format!("some addresses of {host}: {failure}"));
        }
        if let Lookup::Failed(failure) = &alias {
            part.untold("mx.cname", format!("whether {host} is an alias: {failure}"));
        }
        if let Some(alias) = alias.found().into_iter().next() {
            let found = remark("mx.cname", host, format!("The MX host {host} is an alias of {alias}"));
            // Behind one that leads nowhere there is nothing to name.
            part.find(if matches!(addresses, Lookup::Missing(_)) {
                found.fix(format!("Let the MX record name a host that has addresses; {alias} has none."))
            } else {
                found.fix(format!("Let the MX record name {alias} itself.")).record("MX", name, format!("{preference} {alias}."))
            });
        }
        let addresses = match addresses {
            Lookup::Found(addresses) => addresses,
            Lookup::Missing(absence) => {
                dead.push((*preference, host.as_str(), absence));
                Vec::new()
            }
            Lookup::Failed(failure) => {
                part.unknown("mx", format!("addresses of {host}: {failure}"));
                Vec::new()
            }
        };
        not_reachable(net, host, &addresses, part);
        let provider = selectors::provider_of(host).map(str::to_owned);
        facts.hosts.push(MxHost { preference: *preference, host: host.clone(), addresses, partial, provider });
    }
    // Others take the mail as long as one of them works.
    let all = dead.len() == hosts.len();
    for (preference, host, absence) in dead {
        undeliverable(net, name, (preference, host), absence, all, part).await;
    }
    mx_set::hosts(name, &facts.hosts, part);
    ipv6_only(net, name, &facts.hosts, part).await;
    let count = hosts.len();
    part.fact_by_findings(Status::Ok, if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") });
}

/// Hosts that only senders with IPv6 reach. That there is no IPv4 is asked for itself: a look-up of both tells what it found.
async fn ipv6_only(net: &Net, name: &str, hosts: &[MxHost], part: &mut Part) {
    let found: Vec<&MxHost> = hosts.iter().filter(|host| !host.addresses.is_empty()).collect();
    if found.is_empty() || found.iter().any(|host| host.addresses.iter().any(IpAddr::is_ipv4)) {
        return;
    }
    let v4 = join_all(hosts.iter().map(|host| net.dns().a(&host.host))).await;
    if v4.iter().any(|answer| matches!(answer, Lookup::Found(_))) {
        return;
    }
    if let Some(failure) = v4.iter().find_map(|answer| if let Lookup::Failed(failure) = answer { Some(failure) } else { None }) {
        part.untold("mx.no_ipv4", format!("whether an MX host has an IPv4 address: {failure}"));
    } else {
        let seen = format!("No MX host of {name} has an IPv4 address: senders without IPv6 can not deliver");
        part.find(remark("mx.no_ipv4", name, seen).with("host", &found[0].host));
    }
}

/// A host that can not be found, and what may have gone wrong with its name.
async fn undeliverable(net: &Net, name: &str, (preference, host): (u16, &str), absence: Absence, all: bool, part: &mut Part) {
    let severity = if all { Severity::Critical } else { Severity::Medium };
    if host.parse::<IpAddr>().is_ok() {
        part.find(remark("mx.ip_literal", host, format!("The MX record points to the address {host}; it must name a host")));
        return;
    }
    if is_local(host, name) {
        let seen = format!("The MX host {host} is a name of one machine or of a local network, which nobody outside can find");
        part.find(remark("mx.local_name", host, seen).severity(severity).with("domain_name", name));
        return;
    }
    let how = if absence == Absence::NxDomain { "does not exist in DNS" } else { "has no address" };
    let found = remark("mx.unresolvable", host, format!("The MX host {host} {how}")).severity(severity).with("host", host);
    let doubled = host.strip_suffix(name).and_then(|rest| rest.strip_suffix('.')).filter(|rest| rest.ends_with(name));
    let (meant, found) = match doubled {
        Some(meant) => (
            meant.to_owned(),
            found.fix(format!("The zone's name stands twice: in the zone file the final dot is missing. Write {meant}. with the dot.")),
        ),
        None if !host.contains('.') => {
            (format!("{host}.{name}"), found.fix(format!("The name has no domain. If {host}.{name} is meant, write it in full, with a final dot.")))
        }
        None => return part.find(found),
    };
    // A host that is not there either is no repair.
    part.find(match net.dns().addresses(&meant).await {
        Lookup::Found(_) => found.record("MX", name, format!("{preference} {meant}.")),
        Lookup::Missing(_) | Lookup::Failed(_) => found,
    });
}

/// Addresses that nobody on the internet can reach. One that is this machine's own is public all the same.
fn not_reachable(net: &Net, host: &str, addresses: &[IpAddr], part: &mut Part) {
    let reaches_v4 = addresses.iter().any(|address| address.is_ipv4() && net.hidden(*address).is_none());
    for address in addresses {
        let Some(reason) = net.hidden(*address) else { continue };
        if address.is_ipv6() && reaches_v4 {
            let seen = format!("The IPv6 address of the MX host {host}, {address}, is {reason}; only its IPv4 address can be reached");
            part.find(remark("mx.ipv6_broken", host, seen).with("address", address.to_string()).with("host", host));
        } else {
            part.find(remark("mx.private_address", host, format!("The MX host {host} resolves to {address}, {reason}")).with("host", host));
        }
    }
}

/// A name that is no part of the public DNS, for a domain that is.
fn is_local(host: &str, domain: &str) -> bool {
    local_ending(host).is_some_and(|ending| ending == "localhost" || local_ending(domain) != Some(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_are_local_to_public_domains_only() {
        for (host, domain, local) in [
            ("localhost", "e.example", true),
            ("mail.local", "e.example", true),
            ("mx.corp.internal", "e.example", true),
            ("mx.corp.internal", "corp.internal", false),
            ("localhost", "corp.internal", true),
            ("mx.local.example", "e.example", false),
            ("mxlocal", "e.example", false),
        ] {
            assert_eq!(is_local(host, domain), local, "{host} {domain}");
        }
    }
}
