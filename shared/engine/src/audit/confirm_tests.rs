//! Records that were there and are missed: what the zone's own servers say decides.
#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Utc};
use hickory_proto::op::ResponseCode;
use waypost_types::{DomainName, outcome::AuditReport};

use super::*;
use crate::{
    audit::audit_families_at,
    net::{
        nameserver::Authoritative,
        tests::{Say, Server},
    },
};

fn known(family: Family, records: &[&str]) -> Known {
    let seen: Vec<(String, DateTime<Utc>)> = records.iter().map(|record| ((*record).to_owned(), DateTime::UNIX_EPOCH)).collect();
    Known { records: [(family.key().to_owned(), seen)].into(), ..Known::default() }
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
    told(&report, family)
}

/// The rules that fired, and what became of records that are not seen any more.
fn told(report: &AuditReport, family: Family) -> (Vec<String>, Vec<String>) {
    let unknown = report.unknown.iter().filter(|part| part.reason.contains("looked at again") && part.subject == family.key());
    let unknown = unknown.map(|part| if part.reason.contains("still has it") { "there" } else { "untold" }.to_owned());
    (report.findings.iter().map(|finding| finding.rule.clone()).collect(), unknown.collect())
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
    let records = [("_dmarc.e.example", "MX 10 nobody.e.example"), ("dmarc.e.example", "A 203.0.113.1"), ("e.example.e.example", "A 203.0.113.1")];
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
async fn what_was_lost_before_the_last_look_is_still_asked_of_its_own_servers() {
    let key = ("s1._domainkey.e.example", "TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let mx = ("e.example", "MX 10 mx.e.example");
    let silence = ["s1._domainkey.e.example", "e.example"].map(|name| (name, Say::Silence));
    for (records, others, dkim, lost) in [
        (&[][..], &[][..], (vec!["dkim.none_found"], vec![]), (vec!["mx.removed"], vec![])),
        (&[key, mx], &[], (vec![], vec!["there"]), (vec![], vec!["there"])),
        (&[], &silence, (vec![], vec!["untold"]), (vec![], vec!["untold"])),
    ] {
        let port = authority(records, others).await;
        let resolver = Server::start(WORLD, &[]).await;
        let options = AuditOptions {
            found_selectors: vec!["s1".to_owned()],
            known: Known { lost_mx: vec!["10 mx.e.example".to_owned()], ..Known::default() },
            ..AuditOptions::default()
        };
        for (family, wanted) in [(Family::Dkim, dkim), (Family::Mx, lost)] {
            let domain: DomainName = "e.example".parse().unwrap();
            let report = audit_families_at(&resolver.net(), &domain, &options, &[family], port).await;
            assert_eq!(told(&report, family), said(&wanted.0, &wanted.1), "{report:#?}");
        }
    }
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
