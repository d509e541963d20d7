//! MX: who takes the domain's mail, and whether they can be found (RFC 5321 5.1, RFC 7505, RFC 2181 10.3).

use std::{collections::BTreeSet, net::IpAddr};

use futures::future::join_all;
use waypost_types::{
    DomainName, Severity,
    outcome::{MxHost, Status},
};

use super::{Facts, Part, rules::remark, selectors};
use crate::{
    net::{Absence, Lookup, Net},
    spf::fetch,
};

/// MX hosts looked at; more than anybody needs, few enough to be bounded.
const MOST_HOSTS: usize = 20;

/// Asks MX and addresses, which other families build on.
pub(super) async fn look(net: &Net, domain: &DomainName) -> (Facts, Part) {
    let mut part = Part::default();
    let mut facts = Facts { domain: domain.clone(), hosts: Vec::new(), nxdomain: false, null_mx: false, receives: true };
    let name = domain.as_str();
    match net.dns().mx(name).await {
        Lookup::Failed(failure) => {
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
        Lookup::Missing(Absence::NoData) => without_mx(net, name, &mut facts, &mut part).await,
        Lookup::Found(mut records) => {
            records.sort();
            records.dedup();
            part.records = records.iter().map(|(preference, host)| format!("{preference} {}", if host.is_empty() { "." } else { host })).collect();
            with_mx(net, name, records, &mut facts, &mut part).await;
        }
    }
    (facts, part)
}

/// Without MX the domain's own address takes the mail, when it has one (RFC 5321 5.1).
async fn without_mx(net: &Net, name: &str, facts: &mut Facts, part: &mut Part) {
    match net.dns().addresses(name).await {
        Lookup::Found(addresses) => {
            facts.hosts = vec![MxHost { preference: 0, host: name.to_owned(), addresses, provider: None }];
            part.find(remark("mx.domain_no_a_fallback", name, "No MX record: mail goes to the domain's own address").record(
                "MX",
                name,
                format!("10 {name}."),
            ));
            part.word(Status::Info, "Address only");
        }
        Lookup::Missing(_) => {
            facts.receives = false;
            // A domain that says that nobody sends for it is parked, not broken.
            if matches!(fetch(net.dns(), name).await, Ok(Some(txt)) if txt.trim_ascii_end().eq_ignore_ascii_case(b"v=spf1 -all")) {
                part.word(Status::None, "Takes no mail");
                return;
            }
            part.find(
                remark("mx.missing", name, format!("{name} has no MX record and no address: it can not receive mail"))
                    .fix("Publish the host that takes its mail, or a null MX when the domain is not meant to receive any.")
                    .record("MX", name, format!("10 mail.{name}.")),
            );
            part.word(Status::Bad, "Missing");
        }
        Lookup::Failed(failure) => {
            part.unknown("mx", format!("there is no MX record, and whether the domain has an address could not be told: {failure}"));
            part.word(Status::None, "No answer");
        }
    }
}

async fn with_mx(net: &Net, name: &str, records: Vec<(u16, String)>, facts: &mut Facts, part: &mut Part) {
    let nulls = records.iter().filter(|(_, host)| host.is_empty()).count();
    if nulls > 0 {
        if nulls < records.len() {
            part.find(
                remark("mx.null_with_others", name, "A null MX stands beside other MX records")
                    .fix("Keep the null MX (the domain takes no mail) or the others, not both."),
            );
        } else {
            facts.null_mx = true;
            facts.receives = false;
            part.word(Status::Ok, "Takes no mail");
            return;
        }
    }
    let mut seen = BTreeSet::new();
    let hosts: Vec<(u16, String)> = records.into_iter().filter(|(_, host)| !host.is_empty() && seen.insert(host.clone())).take(MOST_HOSTS).collect();
    let answers = join_all(hosts.iter().map(|(_, host)| async move {
        // Most hosts are names, not addresses: failing to parse is the usual case, not an error.
        let literal: Option<IpAddr> = host.parse().ok();
        if literal.is_some() {
            return (literal, Lookup::Missing(Absence::NoData), None);
        }
        let (addresses, alias) = tokio::join!(net.dns().addresses(host), net.dns().cname(host));
        (None, addresses, alias.found().into_iter().next())
    }))
    .await;
    let mut dead = Vec::new();
    for ((preference, host), (literal, addresses, alias)) in hosts.iter().zip(answers) {
        if literal.is_some() {
            part.find(remark("mx.ip_literal", host, format!("The MX record points to the address {host}; it must name a host")));
        }
        if let Some(alias) = alias {
            part.find(
                remark("mx.cname", host, format!("The MX host {host} is an alias of {alias}"))
                    .fix(format!("Let the MX record name {alias} itself."))
                    .record("MX", name, format!("{preference} {alias}.")),
            );
        }
        let addresses = match addresses {
            Lookup::Found(addresses) => addresses,
            Lookup::Missing(_) => {
                dead.push(host.clone());
                Vec::new()
            }
            Lookup::Failed(failure) => {
                part.unknown("mx", format!("addresses of {host}: {failure}"));
                Vec::new()
            }
        };
        for address in &addresses {
            if let Err(denied) = net.egress_check(*address) {
                part.find(remark("mx.private_address", host, format!("The MX host {host} resolves to {address}, {}", denied.reason)));
            }
        }
        let provider = selectors::provider_of(host).map(str::to_owned);
        facts.hosts.push(MxHost { preference: *preference, host: host.clone(), addresses, provider });
    }
    let severity = if dead.len() == hosts.len() { Severity::Critical } else { Severity::Medium };
    for host in dead.iter().filter(|host| host.parse::<IpAddr>().is_err()) {
        part.find(remark("mx.unresolvable", host, format!("The MX host {host} has no address")).severity(severity).with("host", host));
    }
    let addresses: BTreeSet<IpAddr> = facts.hosts.iter().flat_map(|host| host.addresses.iter().copied()).collect();
    if hosts.len() == 1 && facts.hosts.iter().all(|host| host.provider.is_none()) {
        part.find(remark("mx.single", name, "Only one MX host takes the domain's mail"));
    } else if hosts.len() > 1 && addresses.len() == 1 {
        part.find(remark("mx.duplicate_target", name, "All MX hosts share one address"));
    }
    let count = hosts.len();
    part.word_by_findings(Status::Ok, if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") });
}
