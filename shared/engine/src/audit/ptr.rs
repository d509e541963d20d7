//! Reverse DNS of the addresses that send for the domain, and of its MX hosts: there is a name, and it leads back
//! (RFC 1912 2.1, RFC 8601 2.7.3).

use std::{collections::BTreeMap, net::IpAddr};

use futures::future::join_all;
use waypost_types::{
    Severity,
    lookup::ReverseName,
    outcome::{MxHost, Status},
};

use super::{
    AuditOptions, Facts, Family, Part,
    local_names::under,
    organisational,
    reverse::{self, Back, MOST_NAMES, Names, back},
    rules::remark,
};
use crate::{
    net::Net,
    spf::{SpfResult, check_host},
};

/// Addresses looked at.
const MOST_ADDRESSES: usize = 32;
/// Of those that are too many, how many are named one by one.
const MOST_NAMED: usize = 64;
/// Addresses that a sentence names.
const NAMED: usize = 4;

/// What an address's reverse name shows.
enum Reverse {
    /// The names, and how many there are in all.
    Match(Vec<String>, usize),
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
    if let Some(why) = &facts.untold {
        part.unknown("ptr", format!("not all addresses are known: {why}"));
    }
    // A domain that does not exist sends nothing; that it is missing is said once.
    if all.is_empty() || facts.nxdomain {
        let word = match facts.untold {
            _ if facts.nxdomain => "No such domain",
            Some(_) => "No answer",
            None => "No hosts",
        };
        part.word(Status::None, word);
        return part;
    }
    if all.len() > MOST_ADDRESSES {
        for target in all.iter().skip(MOST_ADDRESSES).take(MOST_NAMED) {
            let address = target.address.to_string();
            part.unknown_about(Family::Ptr, &address, format!("{address} was not looked at: only the first {MOST_ADDRESSES} addresses are"));
        }
        if all.len() > MOST_ADDRESSES + MOST_NAMED {
            part.unknown("ptr", format!("{} more addresses were not looked at", all.len() - MOST_ADDRESSES - MOST_NAMED));
        }
    }
    let looks = join_all(all.into_iter().take(MOST_ADDRESSES).map(|target| async move {
        let (found, sends) = tokio::join!(look(net, target.address), sends(net, facts, &target));
        (target, found, sends)
    }))
    .await;
    let (mut matched, mut missing, mut unlike) = (0, 0, 0);
    let mut foreign = Vec::new();
    for (target, found, sends) in looks {
        let address = target.address;
        // An MX host takes mail; only where it sends too does the reverse name decide whether its mail is taken.
        let sends = match sends {
            Ok(sends) => sends,
            Err(why) => {
                part.unknown_about(Family::Ptr, &address.to_string(), format!("whether {address} sends for the domain: {why}"));
                continue;
            }
        };
        let severity = if sends { Severity::Critical } else { Severity::Medium };
        let wanted = target.wanted(facts.domain.as_str());
        match found {
            Reverse::Match(names, count) => {
                matched += 1;
                part.records.push(format!("{address} {}", listed(&names, " ")));
                if target.is_own() && !good(&mut part, facts, &target, &names, count, sends) && sends {
                    foreign.push(format!("{address} ({})", names.first().map_or("", String::as_str)));
                }
            }
            Reverse::Mismatch(names) => {
                unlike += 1;
                part.records.push(format!("{address} {}", listed(&names, " ")));
                if target.is_own() {
                    part.find(reverse::mismatch(address, &strs(&names), &wanted).severity(severity));
                }
            }
            Reverse::Missing => {
                missing += 1;
                if target.is_own() {
                    part.find(reverse::missing(address, &target.shown(), &wanted).severity(severity));
                }
            }
            Reverse::Unknown(reason) => part.unknown_about(Family::Ptr, &address.to_string(), format!("{address}: {reason}")),
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
fn good(part: &mut Part, facts: &Facts, target: &Target<'_>, names: &[String], count: usize, sends: bool) -> bool {
    let address = target.address;
    let subject = address.to_string();
    let domain = organisational(facts.domain.as_str());
    let mut own = vec![domain];
    own.extend(target.host.map(|host| organisational(&host.host)));
    let wanted = target.wanted(facts.domain.as_str());
    if count > 1 {
        let seen = format!("{address} has {count} reverse names: {}", listed(names, ", "));
        let keep = names.iter().find(|name| **name == wanted).or(names.first()).map_or("", String::as_str);
        part.find(remark("ptr.multiple", &subject, seen).with("name", keep));
    }
    if names.iter().any(|name| own.iter().any(|own| under(name, own))) {
        return true;
    }
    if !sends {
        return false;
    }
    let Some(found) = reverse::unchosen(address, &strs(names), &own, &wanted) else { return false };
    part.find(found);
    true
}

async fn look(net: &Net, address: IpAddr) -> Reverse {
    let (names, count) = match reverse::names(net, address).await {
        Names::Some(names, count) => (names, count),
        Names::Missing => return Reverse::Missing,
        Names::Unknown(reason) => return Reverse::Unknown(reason),
    };
    let strings = |names: Vec<ReverseName>| names.into_iter().map(|name| name.name).collect();
    match back(&names, count) {
        Back::Match(_) => Reverse::Match(strings(names), count),
        Back::Mismatch => Reverse::Mismatch(strings(names)),
        Back::Unknown(name) => Reverse::Unknown(format!("{name}: its addresses could not be told")),
        Back::TooMany => Reverse::Unknown(format!("it has {count} reverse names, and the first {MOST_NAMES} do not lead back to it")),
    }
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
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
    names.join(between)
}

fn some(all: &[String]) -> String {
    let shown = listed(&all[..all.len().min(NAMED)], ", ");
    if all.len() > NAMED { format!("{shown} and {} more", all.len() - NAMED) } else { shown }
}
