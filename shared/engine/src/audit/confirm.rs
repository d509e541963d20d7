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
use waypost_types::outcome::Status;

use super::{
    AuditOptions, Facts, Family, Part, dkim_key,
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
const ABSENT: [&str; 5] = ["missing", "none_found", "alias_dangling", "wrong_location", "domain_no_a_fallback"];

/// Where name servers listen.
pub(super) const PORT: u16 = 53;

/// How much of an audit's time is kept for this. Nothing can be gone where nothing was seen before.
pub(super) fn reserve(options: &AuditOptions) -> Duration {
    if options.known.records.is_empty() { Duration::ZERO } else { RESERVE.min(options.deadline / 4) }
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
    let known: Vec<&str> = options.known.last(family).collect();
    if known.is_empty() {
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
        Family::Dkim => names(key_of, Wanted::Key),
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::{DateTime, Utc};
    use hickory_proto::op::ResponseCode;
    use waypost_types::DomainName;

    use super::*;
    use crate::{
        audit::{Known, audit_families_at},
        net::{
            nameserver::Authoritative,
            tests::{Say, Server},
        },
    };

    fn known(family: Family, records: &[&str]) -> Known {
        let seen: Vec<(String, DateTime<Utc>)> = records.iter().map(|record| ((*record).to_owned(), DateTime::UNIX_EPOCH)).collect();
        Known { records: [(family.key().to_owned(), seen)].into() }
    }

    /// The port of a server that has these names itself.
    async fn authority(records: &[(&str, &str)], others: &[(&str, Say)]) -> u16 {
        for _ in 0..50 {
            let mut names: BTreeMap<String, Say> = others.iter().map(|(name, say)| ((*name).to_owned(), say.clone())).collect();
            for (name, record) in records {
                names.insert((*name).to_owned(), Say::Records(vec![(*record).to_owned()]));
            }
            let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            if (Authoritative { names, referral: Vec::new(), refusals: 0.into() }).start(free, true).await.is_ok() {
                return free.port();
            }
        }
        panic!("no port is free");
    }

    const WORLD: &[(&str, &str)] = &[
        ("e.example", "NS ns.e.example"),
        ("ns.e.example", "A 127.0.0.1"),
        ("e.example", "A 203.0.113.1"),
        ("p.example", "NS ns.e.example"),
        ("example", "NS ns.e.example"),
    ];

    /// Records and other answers of the resolver.
    type Resolved<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, Say)]);

    /// What the audit says when the resolver knows only `seen` and the zone's own server says `records` and `others`.
    async fn look_with(
        (family, before, domain): (Family, &[&str], &str),
        seen: Resolved<'_>,
        port: u16,
        deadline: Duration,
    ) -> (Vec<String>, Vec<String>) {
        let resolver = Server::start(&[WORLD, seen.0].concat(), seen.1).await;
        let options = AuditOptions { known: known(family, before), deadline, ..AuditOptions::default() };
        let domain: DomainName = domain.parse().unwrap();
        let report = audit_families_at(&resolver.net(), &domain, &options, &[family], port).await;
        let unknown = report.unknown.iter().filter(|part| part.reason.contains("looked at again") && part.subject == family.key());
        let unknown = unknown.map(|part| if part.reason.contains("still has it") { "there" } else { "untold" }.to_owned());
        (report.findings.into_iter().map(|finding| finding.rule).collect(), unknown.collect())
    }

    async fn look(family: Family, before: &[&str], records: &[(&str, &str)], others: &[(&str, Say)]) -> (Vec<String>, Vec<String>) {
        look_with((family, before, "e.example"), (&[], &[]), authority(records, others).await, AuditOptions::default().deadline).await
    }

    fn said(rules: &[&str], unknown: &[&str]) -> (Vec<String>, Vec<String>) {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        (owned(rules), owned(unknown))
    }

    #[tokio::test]
    async fn what_a_server_of_the_zone_still_has_is_not_gone() {
        let spf = ("e.example", "TXT v=spf1 -all");
        assert_eq!(look(Family::Spf, &["v=spf1 -all"], &[spf], &[]).await, said(&[], &["there"]));
        // The zone has it no more, or another TXT record only: it is gone.
        assert_eq!(look(Family::Spf, &["v=spf1 -all"], &[], &[]).await, said(&["spf.missing"], &[]));
        assert_eq!(look(Family::Spf, &["v=spf1 -all"], &[("e.example", "TXT other")], &[]).await, said(&["spf.missing"], &[]));
        // It never was there: nobody is asked.
        assert_eq!(look(Family::Spf, &[], &[spf], &[]).await, said(&["spf.missing"], &[]));
    }

    #[tokio::test]
    async fn who_does_not_answer_proves_no_removal() {
        for say in [Say::Silence, Say::Code(ResponseCode::Refused), Say::Code(ResponseCode::ServFail)] {
            let seen = look(Family::Spf, &["v=spf1 -all"], &[], &[("e.example", say.clone())]).await;
            assert_eq!(seen, said(&[], &["untold"]), "{say:?}");
        }
        // Nor does one that answers without authority, as those do that know the zone from hearsay.
        let hearsay = Server::start(&[("e.example", "TXT other")], &[]).await;
        let spf = (Family::Spf, &["v=spf1 -all"][..], "e.example");
        let deadline = AuditOptions::default().deadline;
        assert_eq!(look_with(spf, (&[], &[]), hearsay.address.port(), deadline).await, said(&[], &["untold"]));
        // A domain that is not registered any more is known by its registry.
        let mx = (Family::Mx, &["10 mx.gone.example"][..], "gone.example");
        let registry = authority(&[("example", "NS ns.e.example")], &[]).await;
        assert_eq!(look_with(mx, (&[], &[]), registry, deadline).await, said(&["mx.missing"], &[]));
    }

    #[tokio::test]
    async fn a_slow_audit_has_time_left_to_confirm_and_without_any_nothing_is_removed() {
        // One part of the family takes all the time there is, and stays unknown; the record is asked for all the same.
        let mute = [("*.e.example", Say::Silence)];
        let records = [("_dmarc.e.example", "MX 10 nobody.e.example")];
        let dmarc = (Family::Dmarc, &["v=DMARC1; p=none"][..], "e.example");
        let has = authority(&[("_dmarc.e.example", "TXT v=DMARC1; p=none")], &[]).await;
        let seen = look_with(dmarc, (&records, &mute), has, Duration::from_millis(1500)).await;
        assert_eq!(seen, said(&[], &["there"]));
        let silent = authority(&[], &[("_dmarc.e.example", Say::Silence)]).await;
        assert_eq!(look_with(dmarc, (&records, &[]), silent, Duration::from_millis(800)).await, said(&[], &["untold"]));
    }

    #[tokio::test]
    async fn another_part_that_is_unknown_does_not_keep_a_record_from_being_confirmed() {
        // Whether a wildcard answers can not be told; that the record is gone can.
        let fails = [("*.e.example", Say::Code(ResponseCode::ServFail))];
        let records =
            [("_dmarc.e.example", "MX 10 nobody.e.example"), ("dmarc.e.example", "A 203.0.113.1"), ("e.example.e.example", "A 203.0.113.1")];
        let dmarc = (Family::Dmarc, &["v=DMARC1; p=none"][..], "e.example");
        let has = authority(&[("_dmarc.e.example", "TXT v=DMARC1; p=none")], &[]).await;
        let deadline = AuditOptions::default().deadline;
        assert_eq!(look_with(dmarc, (&records, &fails), has, deadline).await, said(&[], &["there"]));
        let has_not = authority(&[("e.example", "A 203.0.113.1")], &[]).await;
        assert_eq!(look_with(dmarc, (&records, &fails), has_not, deadline).await, said(&["dmarc.missing"], &[]));
    }

    #[tokio::test]
    async fn records_are_asked_for_where_they_stood() {
        // The parent's record that was in force.
        let before = ["_dmarc.e.example: v=DMARC1; p=none"];
        let dmarc = (Family::Dmarc, &before[..], "sub.e.example");
        let sub = [("sub.e.example", "MX 10 mx.e.example")];
        let deadline = AuditOptions::default().deadline;
        let has = authority(&[("_dmarc.e.example", "TXT v=DMARC1; p=none")], &[]).await;
        assert_eq!(look_with(dmarc, (&sub, &[]), has, deadline).await, said(&[], &["there"]));
        // Its own, where now the parent's is in force.
        let dmarc = (Family::Dmarc, &["v=DMARC1; p=reject"][..], "sub.e.example");
        let now = [sub[0], ("_dmarc.e.example", "TXT v=DMARC1; p=reject")];
        let has = authority(&[("_dmarc.sub.e.example", "TXT v=DMARC1; p=reject")], &[]).await;
        assert_eq!(look_with(dmarc, (&now, &[]), has, deadline).await, said(&[], &["there"]));
    }

    #[tokio::test]
    async fn the_servers_of_the_name_are_asked_and_not_those_that_an_alias_leads_to() {
        let seen = [("_dmarc.e.example", "CNAME q.example"), ("q.example", "NS ns.q.example"), ("ns.q.example", "A 127.0.0.9")];
        let dmarc = (Family::Dmarc, &["v=DMARC1; p=none"][..], "e.example");
        let has = authority(&[("_dmarc.e.example", "TXT v=DMARC1; p=none")], &[]).await;
        let deadline = AuditOptions::default().deadline;
        assert_eq!(look_with(dmarc, (&seen, &[]), has, deadline).await.1, ["there"]);
    }

    #[tokio::test]
    async fn selectors_that_nobody_asks_for_take_no_place_of_those_that_are_asked() {
        let known: Vec<String> = (0..10).map(|n| format!("a-forgotten-{n}: v=DKIM1; p=")).chain(["s1: v=DKIM1; p=".to_owned()]).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let key = ("s1._domainkey.e.example", "TXT v=DKIM1; p=");
        assert_eq!(look(Family::Dkim, &known, &[key], &[]).await.1, ["there"]);
    }

    #[tokio::test]
    async fn selectors_are_confirmed_one_by_one_and_aliases_are_followed() {
        let key = ("s1._domainkey.e.example", "TXT v=DKIM1; p=");
        assert_eq!(look(Family::Dkim, &["s1: v=DKIM1; p="], &[key], &[]).await.1, ["there"]);
        assert_eq!(look(Family::Dkim, &["s2: v=DKIM1; p="], &[key], &[]).await.1, Vec::<String>::new());
        // Another record of the name is no key, and a key that nobody asks for any more is not missed.
        let other = ("s1._domainkey.e.example", "TXT v=spf1 -all");
        assert_eq!(look(Family::Dkim, &["s1: v=DKIM1; p="], &[other], &[]).await.1, Vec::<String>::new());
        let forgotten = ("q7-forgotten._domainkey.e.example", "TXT v=DKIM1; p=");
        assert_eq!(look(Family::Dkim, &["q7-forgotten: v=DKIM1; p="], &[forgotten], &[]).await.1, Vec::<String>::new());
        let alias = [("_dmarc.e.example", "CNAME d.p.example"), ("d.p.example", "TXT v=DMARC1; p=none")];
        assert_eq!(look(Family::Dmarc, &["v=DMARC1; p=none"], &alias, &[]).await, said(&[], &["there"]));
        assert_eq!(look(Family::Mx, &["10 mx.e.example"], &[("e.example", "MX 10 mx.e.example")], &[]).await.1, ["there"]);
    }
}
