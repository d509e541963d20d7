//! Where DMARC reports go: addresses that can be read, that take mail, and that agreed to take reports about this domain (RFC 9990 4).

use std::collections::BTreeSet;

use futures::future::join_all;
use waypost_types::{DomainName, Severity, finding::UnknownPart};

use super::{
    Facts, Part,
    dmarc_address::{ReportAddress, meant_address},
    dmarc_record::{Policy, Record},
    dmarc_tags::{is_exact, quoted},
    dmarc_walk::{Published, walk},
    organisational,
    rules::remark,
};
use crate::net::{Absence, DnsFailure, Lookup, Net};

/// Hosts of report addresses that are asked.
const MOST_HOSTS: usize = 10;
/// Addresses at one host that are named.
const MOST_NAMED: usize = 4;
/// Addresses that can not be used and are told.
const MOST_BAD: usize = 5;

const RULE: &str = "dmarc.rua_external_unauthorised";

/// What the hosts of report addresses say.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// Those that take no mail.
    pub(super) dead: BTreeSet<DomainName>,
    /// Those that have not agreed to take reports about the domain.
    pub(super) unauthorised: BTreeSet<DomainName>,
}

/// Asks the hosts of `rua=` and `ruf=`, those of addresses that only lack their scheme too. `organisation` is that of the record's name.
/// `meant`: addresses that a rewritten record would have beside them; of these nothing is remarked.
pub(super) async fn check(net: &Net, published: &Published, organisation: Option<&str>, meant: &[ReportAddress], part: &mut Part) -> Hosts {
    let (record, owner) = (&published.record, format!("_dmarc.{}", published.at));
    let all = record.rua.iter().map(|address| ("rua", address)).chain(record.ruf.iter().map(|address| ("ruf", address)));
    let written: Vec<(&str, ReportAddress)> = all.map(|(name, address)| (name, address.clone())).collect();
    let meant = meant.iter().map(|address| ("rua", address.clone()));
    let bare = record.bad_addresses.iter().filter_map(|(name, bad)| Some((*name, meant_address(&bad.text)?)));
    let mut seen = BTreeSet::new();
    let hosts: Vec<(&str, ReportAddress)> =
        written.iter().cloned().chain(bare).chain(meant).filter(|(_, address)| seen.insert(address.host.clone())).take(MOST_HOSTS).collect();
    let answers =
        join_all(hosts.iter().map(|(_, address)| async {
            tokio::join!(takes_mail(net, address.host.as_str()), agrees(net, &published.at, organisation, &address.host))
        }))
        .await;
    let mut told = Hosts::default();
    for ((_, address), (takes, permits)) in hosts.into_iter().zip(answers) {
        let host = &address.host;
        // Of an address that nobody can read its own mistake is told, not what its host would say.
        let to_host: Vec<String> =
            written.iter().filter(|(_, to)| to.host == *host).take(MOST_NAMED).map(|(name, to)| format!("{name}={}", to.uri)).collect();
        let is_read = !to_host.is_empty();
        match takes {
            Ok(false) => {
                told.dead.insert(host.clone());
                let seen =
                    format!("{host} takes no mail (no MX, no address, or a null MX), so the reports to it are lost: {}", to_host.join(" and "));
                let found = remark("dmarc.rua_no_mx", &owner, seen).with("host", host.as_str());
                part.findings.extend(is_read.then(|| found.done()));
                // Whether it would agree to what it can not get is no second mistake.
                continue;
            }
            Err(failure) if is_read => part.unknown("dmarc", format!("{host}: {failure}")),
            Ok(true) | Err(_) => {}
        }
        match permits {
            Ok(Agreed::No(apart)) => {
                told.unauthorised.insert(host.clone());
                let (severity, whom) = match apart {
                    Apart::Both => (Severity::High, "receivers send none"),
                    Apart::Walk => (
                        Severity::Medium,
                        "those receivers send none that tell organisations apart by their DMARC records (RFC 9989), as by these the two are",
                    ),
                    Apart::List => (
                        Severity::Medium,
                        "those receivers send none that tell organisations apart by the public suffix list (RFC 7489), as by it the two are",
                    ),
                };
                let seen = format!("{host} does not say that it takes reports about {}, so {whom} to {}", published.at, address.mailbox);
                let found =
                    remark(RULE, &owner, seen).severity(severity).with("host", host.as_str()).record("TXT", permit(&published.at, host), "v=DMARC1");
                part.findings.extend(is_read.then(|| found.done()));
            }
            Err(reason) if is_read => part.unknown.push(reason),
            Ok(Agreed::Yes) | Err(_) => {}
        }
    }
    told
}

/// What the addresses show without asking anybody.
pub(super) fn written(facts: &Facts, record: &Record, owner: &str, part: &mut Part) {
    let mailbox = super::dmarc_mend::mailbox(facts);
    for (name, bad) in record.bad_addresses.iter().take(MOST_BAD) {
        let seen = format!("{name}= can not be used: {} (character {}, “{}”)", bad.what, bad.at, quoted(&bad.text));
        part.find(remark("dmarc.rua_syntax", owner, seen));
    }
    let sized: Vec<&str> = record.rua.iter().chain(&record.ruf).filter(|address| address.size.is_some()).map(|a| a.mailbox.as_str()).collect();
    if !sized.is_empty() {
        let seen = format!("A size limit (“!…”) stands behind {}; such limits are gone since RFC 9989", sized.join(", "));
        part.find(remark("dmarc.size_suffix", owner, seen));
    }
    // A name that takes no mail and has all of its mail refused has nothing to learn from reports, nor a mailbox for them.
    if record.tag("rua").is_none() && (facts.receives || record.own() != Policy::Reject) {
        let missing = remark("dmarc.no_rua", owner, "DMARC asks for no reports (no rua=), so nobody sees who sends in the domain's name");
        part.find(match &mailbox {
            Some(mailbox) => missing.with("mailbox", mailbox),
            None => {
                missing.fix("Add rua=mailto: and a mailbox that takes mail, at a host that agrees to take reports: the domain itself takes none.")
            }
        });
    }
    if let Some(ruf) = record.tag("ruf") {
        let seen = format!("ruf={} asks for copies of single messages, which may hold personal data; few receivers send them", quoted(&ruf.value));
        part.find(remark("dmarc.ruf_privacy", owner, seen));
    }
}

/// Whether a host has agreed to take reports about a domain, or need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreed {
    Yes,
    /// It has not, and is of another organisation.
    No(Apart),
}

/// By which methods two names are of two organisations: receivers of the present standard and of the older one do not use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apart {
    Both,
    /// The DMARC records alone.
    Walk,
    /// The public suffix list alone.
    List,
}

/// A host of the same organisation need not agree. Which one it is of is found by the walk since RFC 9989 (RFC 9990 4), and by the public suffix
/// list before (RFC 7489 7.1); both kinds of receivers are about, and reports are lost at one kind where one method alone parts the two.
async fn agrees(net: &Net, about: &str, organisation: Option<&str>, host: &DomainName) -> Result<Agreed, UnknownPart> {
    if host.as_str() == about {
        return Ok(Agreed::Yes);
    }
    let by_list = organisational(host.as_str()) != organisational(about);
    let untold = |why: String| UnknownPart::new(RULE, format!("whether {host} is of the organisation of {about}: {why}"));
    let above = |name: &str| untold(format!("a name above {name} did not answer"));
    let by_walk = async {
        let ours = organisation.ok_or_else(|| above(about))?;
        let theirs = walk(net, host).await.map_err(|(name, failure)| untold(format!("{name}: {failure}")))?.organisation;
        Ok(ours != theirs.ok_or_else(|| above(host.as_str()))?)
    };
    // Where it has agreed, nobody need know whose it is.
    let (by_walk, permitted) = tokio::join!(by_walk, permitted(net, about, host));
    match permitted {
        Ok(true) => Ok(Agreed::Yes),
        Err(_) if !by_list && by_walk == Ok(false) => Ok(Agreed::Yes),
        Err(failure) => Err(UnknownPart::new("dmarc", format!("{}: {failure}", permit(about, host)))),
        Ok(false) => by_walk.map(|by_walk| match (by_walk, by_list) {
            (true, true) => Agreed::No(Apart::Both),
            (true, false) => Agreed::No(Apart::Walk),
            (false, true) => Agreed::No(Apart::List),
            (false, false) => Agreed::Yes,
        }),
    }
}

/// Where a receiver of reports says that it takes those about a domain.
fn permit(about: &str, host: &DomainName) -> String {
    format!("{about}._report._dmarc.{host}")
}

/// Whether a receiver outside the organisation says that it wants these reports; a wildcard there is an answer like any other.
async fn permitted(net: &Net, about: &str, host: &DomainName) -> Result<bool, DnsFailure> {
    match super::texts(net, &permit(about, host)).await {
        Lookup::Found(records) => Ok(records.iter().any(|text| is_exact(text))),
        Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => Ok(false),
        Lookup::Failed(failure) => Err(failure),
    }
}

/// An MX that is not null (RFC 7505), or without any MX an address (RFC 5321 5.1).
pub(super) async fn takes_mail(net: &Net, host: &str) -> Result<bool, DnsFailure> {
    match net.dns().mx(host).await {
        Lookup::Found(hosts) => Ok(hosts.iter().any(|(_, name)| !name.is_empty())),
        Lookup::Missing(Absence::NxDomain) => Ok(false),
        Lookup::Missing(Absence::NoData) => match net.dns().addresses(host).await {
            Lookup::Found(_) => Ok(true),
            Lookup::Missing(_) => Ok(false),
            Lookup::Failed(failure) => Err(failure),
        },
        Lookup::Failed(failure) => Err(failure),
    }
}
