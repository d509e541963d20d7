//! Reverse DNS of the addresses that send for the domain, and of its MX hosts: there is a name, and it leads back
//! (RFC 1912 2.1, RFC 8601 2.7.3).

use std::{collections::BTreeMap, net::IpAddr};

use futures::future::join_all;
use hickory_proto::rr::Name;
use waypost_types::{
    Severity,
    outcome::{MxHost, Status},
};

use super::{
    AuditOptions, Facts, Part,
    local_names::under,
    organisational,
    ptr_names::{Generic, generic},
    rules::remark,
};
use crate::{
    net::{Lookup, Net, not_public, plain},
    spf::{SpfResult, check_host},
};

/// Addresses looked at.
const MOST_ADDRESSES: usize = 32;
/// Names of one address that are resolved back and shown.
const MOST_NAMES: usize = 10;
/// Addresses that a sentence names.
const NAMED: usize = 4;

/// What an address's reverse name shows.
enum Reverse {
    Match(Vec<String>),
    Mismatch(Vec<String>),
    Missing,
    Unknown(String),
}

/// An address to look at.
#[derive(Debug, Clone)]
struct Target<'a> {
    address: IpAddr,
    /// The MX host that it belongs to.
    host: Option<&'a MxHost>,
    /// Why it is known to send.
    origin: Option<&'a str>,
}

impl Target<'_> {
    /// A mailbox provider's addresses are the provider's business.
    fn is_own(&self) -> bool {
        self.host.is_none_or(|host| host.provider.is_none())
    }

    /// The name it should have.
    fn wanted(&self, domain: &str) -> String {
        self.host.map_or_else(|| format!("mail.{domain}"), |host| host.host.clone())
    }

    /// The address with what it is.
    fn shown(&self) -> String {
        match (self.host, self.origin) {
            (Some(host), _) => format!("{} ({})", self.address, host.host),
            (None, Some(origin)) => format!("{} ({origin})", self.address),
            (None, None) => self.address.to_string(),
        }
    }
}

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let all = targets(facts, options);
    // A domain that does not exist sends nothing; that it is missing is said once.
    if all.is_empty() || facts.nxdomain {
        part.word(Status::None, if facts.nxdomain { "No such domain" } else { "No hosts" });
        return part;
    }
    if all.len() > MOST_ADDRESSES {
        part.unknown("ptr", format!("{} addresses beyond the first {MOST_ADDRESSES} were not looked at", all.len() - MOST_ADDRESSES));
    }
    let looks = join_all(all.into_iter().take(MOST_ADDRESSES).map(|target| async move {
        let (reverse, sends) = tokio::join!(reverse(net, target.address), sends(net, facts, &target));
        (target, reverse, sends)
    }))
    .await;
    let (mut matched, mut missing, mut unlike) = (0, 0, 0);
    let mut foreign = Vec::new();
    for (target, reverse, sends) in looks {
        let address = target.address;
        let subject = address.to_string();
        // An MX host takes mail; only where it sends too does the reverse name decide whether its mail is taken.
        let sends = match sends {
            Ok(sends) => sends,
            Err(why) => {
                part.unknown("ptr", format!("whether {address} sends for the domain: {why}"));
                continue;
            }
        };
        let severity = if sends { Severity::Critical } else { Severity::Medium };
        let wanted = target.wanted(facts.domain.as_str());
        let record = |found: super::rules::Remark| found.record("PTR", plain(&Name::from(address)), format!("{wanted}."));
        match reverse {
            Reverse::Match(names) => {
                matched += 1;
                part.records.push(format!("{address} {}", listed(&names, " ")));
                if target.is_own() && !good(&mut part, facts, &target, &names, sends) && sends {
                    foreign.push(format!("{address} ({})", names.first().map_or("", String::as_str)));
                }
            }
            Reverse::Mismatch(names) => {
                unlike += 1;
                part.records.push(format!("{address} {}", listed(&names, " ")));
                if target.is_own() {
                    let seen = format!("The reverse name of {address}, {}, does not resolve back to it", listed(&names, ", "));
                    let first = names.first().map_or(wanted.as_str(), String::as_str);
                    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
                    part.find(
                        remark("ptr.fcrdns_mismatch", &subject, seen)
                            .severity(severity)
                            .with("name", first)
                            .with("ip", &subject)
                            .record(kind, first, &subject),
                    );
                }
            }
            Reverse::Missing => {
                missing += 1;
                if target.is_own() {
                    let seen = format!("{} has no reverse name", target.shown());
                    part.find(record(remark("ptr.missing", &subject, seen).severity(severity).with("helo", &wanted)));
                }
            }
            Reverse::Unknown(reason) => part.unknown("ptr", format!("{address}: {reason}")),
        }
    }
    if !foreign.is_empty() {
        let domain = facts.domain.as_str();
        let seen = format!("Mail of {domain} comes from addresses whose reverse names are of another domain: {}", some(&foreign));
        part.find(remark("ptr.no_own_domain", domain, seen).with("name", format!("mail.{domain}")));
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

/// Addresses that send first, then those of MX hosts; each once.
fn targets<'a>(facts: &'a Facts, options: &'a AuditOptions) -> Vec<Target<'a>> {
    let mut hosts: BTreeMap<IpAddr, &MxHost> = BTreeMap::new();
    for host in &facts.hosts {
        for address in &host.addresses {
            hosts.entry(*address).or_insert(host);
        }
    }
    let mut all: Vec<Target<'a>> = Vec::new();
    for (address, origin) in &options.senders {
        if !all.iter().any(|known| known.address == *address) {
            all.push(Target { address: *address, host: hosts.remove(address), origin: Some(origin) });
        }
    }
    all.extend(hosts.into_iter().map(|(address, host)| Target { address, host: Some(host), origin: None }));
    all
}

/// Remarks what is wrong with names that lead back. Says whether one of them is of the organisation's own, or was remarked already.
fn good(part: &mut Part, facts: &Facts, target: &Target<'_>, names: &[String], sends: bool) -> bool {
    let address = target.address;
    let subject = address.to_string();
    let domain = organisational(facts.domain.as_str());
    let mut own = vec![domain];
    own.extend(target.host.map(|host| organisational(&host.host)));
    let wanted = target.wanted(facts.domain.as_str());
    if names.len() > 1 {
        let seen = format!("{address} has {} reverse names: {}", names.len(), listed(names, ", "));
        let keep = names.iter().find(|name| **name == wanted).or(names.first()).map_or("", String::as_str);
        part.find(remark("ptr.multiple", &subject, seen).with("name", keep));
    }
    if names.iter().any(|name| own.iter().any(|own| under(name, own))) {
        return true;
    }
    if !sends {
        return false;
    }
    let kinds: Vec<Option<Generic>> = names.iter().map(|name| generic(name, address, &own)).collect();
    // One name that somebody chose is enough.
    if kinds.iter().any(Option::is_none) {
        return false;
    }
    let (how, severity) = if kinds.contains(&Some(Generic::Line)) {
        ("looks like that of a dial-up line", Severity::High)
    } else {
        ("is one that its hoster made of the address", Severity::Medium)
    };
    let seen = format!("The reverse name of {address}, {}, {how}", listed(names, ", "));
    part.find(remark("ptr.generic", &subject, seen).severity(severity).with("name", &wanted).record(
        "PTR",
        plain(&Name::from(address)),
        format!("{wanted}."),
    ));
    true
}

async fn reverse(net: &Net, address: IpAddr) -> Reverse {
    // Reverse zones of private networks are nobody's business but theirs, and what the public DNS says of them means nothing.
    if let Some(reason) = not_public(address).filter(|_| net.egress_check(address).is_err()) {
        return Reverse::Unknown(format!("it is {reason}; its reverse name can be told in its own network only"));
    }
    let names = match net.dns().ptr(address).await {
        Lookup::Found(names) => names,
        Lookup::Missing(_) => return Reverse::Missing,
        Lookup::Failed(failure) => return Reverse::Unknown(failure.to_string()),
    };
    let mut failed = None;
    for name in names.iter().take(MOST_NAMES) {
        match net.dns().addresses_like(name, address).await {
            Lookup::Found(addresses) if addresses.contains(&address) => return Reverse::Match(names),
            Lookup::Found(_) | Lookup::Missing(_) => {}
            Lookup::Failed(failure) => failed = Some(format!("{name}: {failure}")),
        }
    }
    if failed.is_none() && names.len() > MOST_NAMES {
        failed = Some(format!("it has {} reverse names, and the first {MOST_NAMES} do not lead back to it", names.len()));
    }
    failed.map_or(Reverse::Mismatch(names), Reverse::Unknown)
}

/// Whether it is known to send, or the domain's own policy lets this MX host's address send for it. An error where the policy could not be told.
async fn sends(net: &Net, facts: &Facts, target: &Target<'_>) -> Result<bool, String> {
    let Some(host) = target.host.filter(|_| target.origin.is_none()) else { return Ok(target.origin.is_some()) };
    let domain = facts.domain.as_str();
    let sender = format!("postmaster@{domain}");
    let said = check_host(net.dns(), target.address, domain, &sender, &host.host, net.now().timestamp()).await;
    if said.result == SpfResult::TempError { Err(said.explanation) } else { Ok(said.result == SpfResult::Pass) }
}

fn listed(names: &[String], between: &str) -> String {
    names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(between)
}

fn some(all: &[String]) -> String {
    let shown = listed(&all[..all.len().min(NAMED)], ", ");
    if all.len() > NAMED { format!("{shown} and {} more", all.len() - NAMED) } else { shown }
}
