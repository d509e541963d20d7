//! A record that was there and is gone: before it counts as removed, the name servers of its zone are asked themselves. A resolver's cache,
//! a broken secondary or a rewriting network may hide a record that its owner never touched. Where none of them answers in time, whether it
//! is gone is unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use futures::future::join_all;
use tokio::time::Instant;
use waypost_types::{UnknownPart, outcome::Status};

use super::{
    AuditOptions, Facts, Family, Known, Part, dkim_key,
    dnssec::{NO_ERROR, NXDOMAIN},
    drift::piece,
    organisational,
};
use crate::net::{Absence, Lookup, Net, QueryFlags, RawAnswer, RecordType};

/// Servers of a zone that are asked.
const MOST_SERVERS: usize = 4;
/// Names of one family that are confirmed; DKIM has one per selector.
const MOST_NAMES: usize = 10;
/// Aliases followed from server to server.
const MOST_ALIASES: usize = 4;
/// Labels above a name where its zone is looked for.
const MOST_STEPS: usize = 8;
/// Waiting for one server.
const LIMIT: Duration = Duration::from_secs(3);
/// Of an audit's time, kept for this, and no more than a quarter of it.
const RESERVE: Duration = Duration::from_secs(4);
/// What is left of it for the report.
const MARGIN: Duration = Duration::from_millis(100);

/// Endings of the rules that fire because a record is not there.
const ABSENT: [&str; 6] = ["missing", "removed", "none_found", "alias_dangling", "wrong_location", "domain_no_a_fallback"];

/// Where name servers listen.
pub(super) const PORT: u16 = 53;

/// How much of an audit's time is kept for this. Nothing can be gone where nothing was seen before.
pub(super) fn reserve(options: &AuditOptions) -> Duration {
    let nothing = options.known == Known::default() && options.found_selectors.is_empty();
    if nothing { Duration::ZERO } else { RESERVE.min(options.deadline / 4) }
}

/// Asks for whatever the last audit saw and this one did not, and turns "missing" into "could not be told" where a server still has it, and
/// where none says that it has not.
pub(super) async fn confirm(
    net: &Net,
    facts: &Facts,
    options: &AuditOptions,
    (end, server_port): (Instant, u16),
    parts: &mut BTreeMap<Family, Part>,
) {
    let looks = parts.iter().flat_map(|(family, part)| gone(*family, part, facts, options).into_iter().map(|gone| (*family, gone)));
    let looks: Vec<(Family, Gone)> = looks.collect();
    let asking = looks.iter().map(|(_, gone)| async move {
        let late = || Standing::Unknown("there was no time left to ask its own name servers".to_owned());
        tokio::time::timeout_at(end - MARGIN, standing(net, gone, server_port)).await.unwrap_or_else(|_| late())
    });
    let answers = join_all(asking).await;
    for ((family, gone), standing) in looks.into_iter().zip(answers) {
        let Some(part) = parts.get_mut(&family) else { continue };
        let name = &gone.name;
        let silent = matches!(standing, Standing::Unknown(_));
        let reason = match standing {
            Standing::Gone => continue,
            Standing::There(server) => {
                format!("the resolver shows no such record at {name}, but the name server {server} still has it; it is looked at again")
            }
            Standing::Unknown(why) => format!("the resolver shows no such record at {name}, where there was one, and {why}; it is looked at again"),
        };
        let about = |subject: &str| subject == gone.name || subject == facts.domain.as_str();
        part.findings.retain(|finding| !(about(&finding.subject) && ABSENT.iter().any(|absent| finding.rule.ends_with(absent))));
        if part.records.is_empty() {
            part.word(Status::None, "Not confirmed");
        }
        // Where the resolver could not tell either, that is reason enough.
        let blind = |told: &UnknownPart| told.subject == family.key() && told.about.is_none();
        if silent && part.unknown.iter().any(blind) {
            continue;
        }
        match family {
            Family::Dkim | Family::Dmarc => part.unknown_about(family, name, reason),
            _ => part.unknown(family.key(), reason),
        }
    }
}

/// A record that is not seen any more.
struct Gone {
    name: String,
    wanted: Wanted,
}

/// What counts as the record: its name may have others.
enum Wanted {
    Mx,
    /// A TXT record that begins so.
    Text(&'static str),
    /// One of these keys, or another that can be used: what a wildcard says of every name is none.
    Key(Vec<String>),
}

impl Wanted {
    fn kind(&self) -> RecordType {
        if matches!(self, Self::Mx) { RecordType::MX } else { RecordType::TXT }
    }

    fn is_in(&self, answer: &RawAnswer) -> bool {
        let any = |is: &dyn Fn(&str) -> bool| answer.texts().iter().any(|text| is(text));
        match self {
            Self::Mx => answer.has(RecordType::MX),
            Self::Text(prefix) => any(&|text| text.to_ascii_lowercase().starts_with(prefix)),
            Self::Key(known) => any(&|text| known.iter().any(|key| key == text) || dkim_key::parse(text).is_ok_and(|key| !key.revoked)),
        }
    }
}

fn gone(family: Family, part: &Part, facts: &Facts, options: &AuditOptions) -> Vec<Gone> {
    let domain = facts.domain.as_str();
    let lost_mx = options.known.lost_mx.iter().map(String::as_str).filter(|_| family == Family::Mx);
    let known: Vec<&str> = options.known.last(family).chain(lost_mx).collect();
    if known.is_empty() && family != Family::Dkim {
        return Vec::new();
    }
    // By name, what stood there.
    let by_name = |records: &[&str], name: fn(&str, &str) -> Option<(String, String)>| {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, record) in records.iter().filter_map(|record| name(record, domain)) {
            found.entry(name).or_default().push(record);
        }
        found
    };
    // What nobody asks for may well be there.
    let asked = |name: &String| !part.detail.dkim_unasked.iter().any(|selector| *name == format!("{selector}._domainkey.{domain}"));
    let names = |name: fn(&str, &str) -> Option<(String, String)>, wanted: fn(Vec<String>) -> Wanted| {
        let there = by_name(&part.records.iter().map(String::as_str).collect::<Vec<_>>(), name);
        let gone = by_name(&known, name).into_iter().filter(|(name, _)| !there.contains_key(name) && asked(name)).take(MOST_NAMES);
        gone.map(|(name, records)| Gone { name, wanted: wanted(records) }).collect()
    };
    let txt = |name: String, prefix| vec![Gone { name, wanted: Wanted::Text(prefix) }];
    match family {
        Family::Dkim => {
            let mut gone: Vec<Gone> = names(key_of, Wanted::Key);
            // A key found long ago is missed only where no other is there.
            if part.findings.iter().any(|finding| finding.rule == "dkim.none_found") {
                let found = options.found_selectors.iter().map(|selector| format!("{selector}._domainkey.{domain}"));
                let missed: Vec<String> = found.filter(|name| !there(part, domain, name) && gone.iter().all(|gone| gone.name != *name)).collect();
                gone.extend(missed.into_iter().map(|name| Gone { name, wanted: Wanted::Key(Vec::new()) }));
                gone.truncate(MOST_NAMES);
            }
            gone
        }
        Family::Dmarc => names(|record, domain| Some((policy_name(record, domain), String::new())), |_| Wanted::Text("v=dmarc1")),
        _ if !part.records.is_empty() => Vec::new(),
        Family::Mx => vec![Gone { name: domain.to_owned(), wanted: Wanted::Mx }],
        Family::Spf => txt(domain.to_owned(), "v=spf1"),
        Family::MtaSts => txt(format!("_mta-sts.{domain}"), "v=stsv1"),
        Family::TlsRpt => txt(format!("_smtp._tls.{domain}"), "v=tlsrptv1"),
        // It may have been that of the organisation.
        Family::Bimi => {
            let places = BTreeSet::from([domain, organisational(domain)]);
            places.into_iter().flat_map(|at| txt(format!("default._bimi.{at}"), "v=bimi1")).collect()
        }
        // What these show is judged by what resolvers answer.
        Family::Dane | Family::Ptr | Family::Dnssec | Family::Ns => Vec::new(),
    }
}

/// A selector's name has a record now.
fn there(part: &Part, domain: &str, name: &str) -> bool {
    part.records.iter().filter_map(|record| key_of(record, domain)).any(|(other, _)| other == name)
}

/// The name of a selector whose key is kept as `selector: key`, and the key.
fn key_of(record: &str, domain: &str) -> Option<(String, String)> {
    record.split_once(": ").map(|(selector, key)| (format!("{selector}._domainkey.{domain}"), key.to_owned()))
}

/// Where a DMARC record stands: a parent's is kept with its name.
fn policy_name(record: &str, domain: &str) -> String {
    match piece(Family::Dmarc, record) {
        "" => format!("_dmarc.{domain}"),
        parents => parents.to_owned(),
    }
}

/// What the servers of the zone say of a record.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// This one still has it.
    There(String),
    /// At least one answers without it, and none has it.
    Gone,
    /// Why none told.
    Unknown(String),
}

async fn standing(net: &Net, gone: &Gone, port: u16) -> Standing {
    let mut name = gone.name.clone();
    for _ in 0..MOST_ALIASES {
        let servers = servers_of(net, &name).await;
        let answers = join_all(servers.iter().take(MOST_SERVERS).map(|server| ask(net, server, &name, gone, port))).await;
        let (mut alias, mut told) = (None, false);
        for (server, answer) in servers.iter().zip(answers) {
            match answer {
                Answer::Has => return Standing::There(server.clone()),
                Answer::Alias(target) => alias = alias.or(Some(target)),
                Answer::HasNot => told = true,
                Answer::Silence => {}
            }
        }
        name = match alias {
            Some(target) => target,
            None if told => return Standing::Gone,
            None => return Standing::Unknown(format!("no name server of {name} itself answers")),
        };
    }
    Standing::Unknown(format!("it leads on to {name} by too many aliases"))
}

/// The servers of the zone that a name lies in: for a domain that is not registered any more, those of its registry.
async fn servers_of(net: &Net, name: &str) -> Vec<String> {
    let mut at = name;
    for _ in 0..MOST_STEPS {
        // An alias would show the servers of the zone that it leads to.
        let servers = match net.dns().cname(at).await {
            Lookup::Found(_) => Lookup::Missing(Absence::NoData),
            Lookup::Missing(_) => net.dns().ns(at).await,
            Lookup::Failed(failure) => Lookup::Failed(failure),
        };
        match servers {
            Lookup::Found(servers) => return servers,
            Lookup::Failed(_) => return Vec::new(),
            Lookup::Missing(_) => match at.split_once('.') {
                Some((_, parent)) => at = parent,
                None => return Vec::new(),
            },
        }
    }
    Vec::new()
}

enum Answer {
    Has,
    Alias(String),
    HasNot,
    /// No answer, or one without authority.
    Silence,
}

async fn ask(net: &Net, server: &str, name: &str, gone: &Gone, port: u16) -> Answer {
    let Lookup::Found(addresses) = net.dns().addresses(server).await else { return Answer::Silence };
    let Some(address) = addresses.first() else { return Answer::Silence };
    let question = net.query(Some(SocketAddr::new(*address, port)), name, gone.wanted.kind(), QueryFlags::default());
    let Ok(Ok(answer)) = tokio::time::timeout(LIMIT, question).await else { return Answer::Silence };
    match answer.alias() {
        _ if gone.wanted.is_in(&answer) => Answer::Has,
        Some(target) => Answer::Alias(target),
        None if answer.authoritative && matches!(answer.code, NO_ERROR | NXDOMAIN) => Answer::HasNot,
        None => Answer::Silence,
    }
}

#[cfg(test)]
#[path = "confirm_tests.rs"]
mod tests;
