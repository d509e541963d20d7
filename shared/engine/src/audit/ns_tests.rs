//! Name servers that are asked themselves: each of these has the zone in its own way, on loopback addresses of one port.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use hickory_proto::op::ResponseCode;
use waypost_types::{Finding, Severity};

use super::{ns_ask::Asker, *};
use crate::net::{
    RecordType,
    nameserver::Authoritative,
    tests::{Say, Server},
};

/// What the zone is for one of its servers.
#[derive(Clone)]
struct Zone {
    soa: &'static str,
    mx: &'static str,
    spf: &'static str,
    servers: &'static [&'static str],
    refuses: bool,
    /// Questions that are refused before it answers: the first look asks four.
    refusals: u32,
    tcp: bool,
}

const ZONE: Zone = Zone {
    soa: "SOA ns1.e.example 7",
    mx: "MX 10 mx.e.example",
    spf: "TXT v=spf1 mx -all",
    servers: &["NS ns1.e.example", "NS ns2.e.example"],
    refuses: false,
    refusals: 0,
    tcp: true,
};

/// Starts servers on 127.0.0.2, 127.0.0.3, … at one free port, which is told.
async fn start(zones: &[Zone], parent: Option<&[&str]>) -> u16 {
    for _ in 0..50 {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |last: usize| SocketAddr::from((Ipv4Addr::new(127, 0, 0, u8::try_from(last).unwrap()), port));
        let mut free = true;
        for (number, zone) in zones.iter().enumerate() {
            let records: Vec<String> = zone.servers.iter().copied().chain([zone.soa, zone.mx, zone.spf]).map(str::to_owned).collect();
            let say = if zone.refuses { Say::Code(ResponseCode::Refused) } else { Say::Records(records) };
            let server = Authoritative { names: [("e.example".to_owned(), say)].into(), referral: Vec::new(), refusals: zone.refusals.into() };
            free &= server.start(at(number + 2), zone.tcp).await.is_ok();
        }
        if let Some(servers) = parent {
            let referral = servers.iter().map(|name| (*name).to_owned()).collect();
            free &= Authoritative { names: [].into(), referral, refusals: 0.into() }.start(at(99), true).await.is_ok();
        }
        if free {
            return port;
        }
    }
    panic!("no port is free on all addresses");
}

const RESOLVED: &[(&str, &str)] = &[
    ("e.example", "NS ns1.e.example"),
    ("e.example", "NS ns2.e.example"),
    ("e.example", "SOA ns1.e.example 7"),
    ("ns1.e.example", "A 127.0.0.2"),
    ("ns2.e.example", "A 127.0.0.3"),
    ("example", "NS a.nic.example"),
    ("a.nic.example", "A 127.0.0.99"),
];

async fn judge(zones: &[Zone], parent: Option<&[&str]>) -> Part {
    judge_with(zones, parent, RESOLVED).await
}

async fn judge_with(zones: &[Zone], parent: Option<&[&str]>, records: &[(&str, &str)]) -> Part {
    let port = start(zones, parent).await;
    let server = Server::start(records, &[]).await;
    let net = server.net();
    let facts = Facts::of(&"e.example".parse().unwrap());
    ns::check_by(Asker { net: &net, port, pause: Duration::ZERO }, &facts, &AuditOptions::default()).await
}

fn found<'a>(part: &'a Part, rule: &str) -> Option<&'a Finding> {
    part.findings.iter().find(|finding| finding.rule == rule)
}

#[tokio::test]
async fn what_is_not_told_of_the_servers_names_is_unknown() {
    let port = start(&[ZONE, ZONE], BOTH).await;
    let records: Vec<(&str, &str)> = RESOLVED.iter().copied().filter(|(name, _)| *name != "ns2.e.example").collect();
    for (kind, untold) in [(RecordType::CNAME, "ns.cname"), (RecordType::AAAA, "ns")] {
        let server = Server::start(&records, &[("ns2.e.example", Say::FailsFor(kind, vec!["A 127.0.0.3".to_owned()]))]).await;
        let facts = Facts::of(&"e.example".parse().unwrap());
        let judged = ns::check_by(Asker { net: &server.net(), port, pause: Duration::ZERO }, &facts, &AuditOptions::default()).await;
        assert!(judged.unknown.iter().any(|one| one.subject == untold && one.reason.contains("ns2.e.example")), "{judged:#?}");
    }
}

const BOTH: Option<&[&str]> = Some(&["ns1.e.example", "ns2.e.example"]);

#[tokio::test]
async fn servers_that_agree_have_nothing_to_mend() {
    let part = judge(&[ZONE, ZONE], BOTH).await;
    let rules: Vec<_> = part.findings.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["ns.same_network", "ns.no_ipv6"], "loopback is one network; all else agrees");
    assert!(part.unknown.is_empty(), "{:?}", part.unknown);
}

#[tokio::test]
async fn each_disagreement_has_its_rule() {
    let old = Zone { soa: "SOA ns1.e.example 5", ..ZONE };
    let old_spf = Zone { spf: "TXT v=spf1 a -all", ..old.clone() };
    let other_spf = Zone { spf: "TXT v=spf1 a -all", ..ZONE };
    let other_mx = Zone { mx: "MX 10 old.e.example", ..ZONE };
    let operator = Zone { soa: "SOA ns.dns.example 2026", ..ZONE };
    let operator_mx = Zone { mx: "MX 10 old.e.example", ..operator.clone() };
    let verification = Zone { spf: "TXT site-verification=1", ..ZONE };
    for (name, second, wanted) in [
        ("serial", old, &[("soa.serial_mismatch", Severity::Low)][..]),
        ("serial and SPF", old_spf, &[("soa.serial_mismatch", Severity::Medium)]),
        ("SPF at one serial", other_spf, &[("ns.answers_differ", Severity::High)]),
        ("MX at one serial", other_mx, &[("ns.answers_differ", Severity::High)]),
        ("SPF at one only", verification, &[("ns.answers_differ", Severity::High)]),
        ("two operators", operator, &[]),
        ("two operators, MX", operator_mx, &[("ns.answers_differ", Severity::Medium)]),
    ] {
        let part = judge(&[ZONE, second], BOTH).await;
        let seen: Vec<_> = part
            .findings
            .iter()
            .filter(|f| !["ns.same_network", "ns.no_ipv6"].contains(&f.rule.as_str()))
            .map(|f| (f.rule.as_str(), f.severity))
            .collect();
        assert_eq!(seen, wanted, "{name}: {:#?}", part.findings);
        assert!(part.findings.iter().all(|finding| !finding.fix.contains('{')), "{name}: {:#?}", part.findings);
    }
}

#[tokio::test]
async fn a_lame_server_is_told_from_a_network_that_answers_for_all() {
    let refuses = Zone { refuses: true, ..ZONE };
    let part = judge(&[ZONE, refuses.clone()], BOTH).await;
    assert!(found(&part, "ns.lame").unwrap().summary.contains("ns2.e.example (127.0.0.3) refuses"), "{:#?}", part.findings);
    // One that refuses for a moment is not lame.
    let part = judge(&[ZONE, Zone { refusals: 4, ..ZONE }], BOTH).await;
    assert!(found(&part, "ns.lame").is_none() && part.unknown[0].reason.contains("when it is asked again"), "{:#?}", part.findings);
    let part = judge(&[refuses.clone(), refuses], BOTH).await;
    assert!(found(&part, "ns.lame").is_none() && part.unknown.len() == 1, "{:?}", part.unknown);
    // Nobody listens anywhere: our network blocks DNS, which is silent.
    let part = judge(&[], None).await;
    assert!(found(&part, "ns.lame").is_none() && part.unknown.is_empty(), "{:?}", part.unknown);
}

#[tokio::test]
async fn a_server_that_the_parent_alone_names_must_have_the_zone_too() {
    let above = Some(&["ns1.e.example", "ns2.e.example", "ns9.e.example"][..]);
    let refuses = Zone { refuses: true, ..ZONE };
    let with = |last: &'static str| [RESOLVED, &[("ns9.e.example", last)]].concat();
    let part = judge_with(&[ZONE, ZONE, refuses], above, &with("A 127.0.0.4")).await;
    assert!(found(&part, "ns.lame").unwrap().summary.contains("ns9.e.example (127.0.0.4) refuses"), "{:#?}", part.findings);
    assert!(found(&part, "ns.parent_mismatch").is_some());
    // It has the zone; it has no address; it does not answer us, which proves nothing.
    let part = judge_with(&[ZONE, ZONE, ZONE], above, &with("A 127.0.0.4")).await;
    assert!(found(&part, "ns.lame").is_none() && found(&part, "ns.parent_mismatch").is_some(), "{:#?}", part.findings);
    let part = judge_with(&[ZONE, ZONE], above, RESOLVED).await;
    assert!(found(&part, "ns.no_address").unwrap().summary.contains("to which example delegates"), "{:#?}", part.findings);
    let part = judge_with(&[ZONE, ZONE], above, &with("A 127.0.0.88")).await;
    assert!(found(&part, "ns.lame").is_none() && part.unknown.iter().any(|one| one.about.as_deref() == Some("ns9.e.example")), "{part:#?}");
}

#[tokio::test]
async fn tcp_that_is_refused_counts_where_tcp_gets_through_at_all() {
    let udp_only = Zone { tcp: false, ..ZONE };
    let part = judge(&[ZONE, udp_only.clone()], BOTH).await;
    assert_eq!(found(&part, "ns.no_tcp").unwrap().subject, "ns2.e.example");
    let part = judge(&[udp_only.clone(), udp_only.clone()], BOTH).await;
    assert_eq!(part.findings.iter().filter(|finding| finding.rule == "ns.no_tcp").count(), 2, "the parent's server was reached");
    let part = judge(&[udp_only.clone(), udp_only], None).await;
    assert!(found(&part, "ns.no_tcp").is_none(), "TCP may be refused by our own network");
}

#[tokio::test]
async fn the_parents_servers_are_compared() {
    let part = judge(&[ZONE, ZONE], Some(&["ns1.e.example", "ns9.e.example"])).await;
    let finding = found(&part, "ns.parent_mismatch").unwrap();
    assert!(finding.summary.contains("to ns9.e.example") && finding.fix.contains("ns1.e.example, ns2.e.example"), "{finding:?}");
    let part = judge(&[ZONE, ZONE], None).await;
    assert!(found(&part, "ns.parent_mismatch").is_none());
    assert!(part.unknown.iter().any(|unknown| unknown.reason.contains("parent zone")), "{:?}", part.unknown);
}

#[tokio::test]
async fn names_and_addresses_of_servers_are_judged_by_themselves() {
    let records = |extra: &[(&'static str, &'static str)]| [&[("e.example", "NS ns1.e.example"), ("e.example", "NS ns2.e.example")], extra].concat();
    let both_kinds = |one: &[&'static str], other: &[&'static str]| {
        let of = |name: &'static str, all: &[&'static str]| all.iter().map(|record| (name, *record)).collect::<Vec<_>>();
        records(&[of("ns1.e.example", one), of("ns2.e.example", other)].concat())
    };
    for (records, rule, wanted) in [
        (records(&[("ns1.e.example", "A 127.0.0.2"), ("ns2.e.example", "A 198.51.100.3")]), "ns.same_network", false),
        (records(&[("ns1.e.example", "A 127.0.0.2"), ("ns2.e.example", "A 127.0.0.3")]), "ns.same_network", true),
        (records(&[("ns1.e.example", "A 127.0.0.2"), ("ns2.e.example", "AAAA ::1")]), "ns.same_network", false),
        (both_kinds(&["A 192.0.2.1", "AAAA 2001:db8::1"], &["A 192.0.2.2", "AAAA 2001:db8::2"]), "ns.same_network", true),
        (both_kinds(&["A 192.0.2.1", "AAAA 2001:db8::1"], &["A 192.0.2.2"]), "ns.same_network", true),
        (both_kinds(&["A 192.0.2.1", "AAAA 2001:db8::1"], &["A 198.51.100.2", "AAAA 2001:db8::2"]), "ns.same_network", false),
        (both_kinds(&["A 192.0.2.1", "AAAA 2001:db8::1"], &["A 192.0.2.2", "AAAA 2001:db8:1::2"]), "ns.same_network", false),
        // Of a server without an address nobody knows where it stands.
        (records(&[("ns1.e.example", "A 127.0.0.2")]), "ns.same_network", false),
        (records(&[("ns1.e.example", "A 127.0.0.2")]), "ns.no_address", true),
        (records(&[("ns1.e.example", "A 127.0.0.2"), ("ns2.e.example", "AAAA ::1")]), "ns.no_address", false),
        (records(&[("ns1.e.example", "AAAA ::1"), ("ns2.e.example", "AAAA ::1")]), "ns.no_ipv4", true),
        (records(&[("ns1.e.example", "A 127.0.0.2"), ("ns2.e.example", "AAAA ::1")]), "ns.no_ipv4", false),
        (records(&[("ns1.e.example", "A 127.0.0.2"), ("ns2.e.example", "AAAA ::1")]), "ns.no_ipv6", false),
        (records(&[("ns1.e.example", "CNAME a.e.example"), ("a.e.example", "A 127.0.0.2")]), "ns.cname", true),
        (records(&[("ns1.e.example", "A 127.0.0.2")]), "ns.cname", false),
        (vec![("e.example", "NS ns1.e.example"), ("ns1.e.example", "A 127.0.0.2")], "ns.single", true),
        (records(&[]), "ns.single", false),
    ] {
        let part = judge_with(&[ZONE], None, &records).await;
        assert_eq!(found(&part, rule).is_some(), wanted, "{rule} {records:?}: {:#?}", part.findings);
    }
    let server = Server::start(RESOLVED, &[]).await;
    let guarded = crate::net::NetConfig {
        resolvers: vec![server.address],
        egress: crate::net::Egress::Guarded { allow: Vec::new() },
        ..crate::net::NetConfig::default()
    };
    let facts = Facts::of(&"e.example".parse().unwrap());
    let part = ns::check(&Net::new(guarded).unwrap(), &facts, &AuditOptions::default()).await;
    assert!(found(&part, "ns.private_address").unwrap().summary.contains("a loopback address"));
}

#[tokio::test]
async fn an_address_that_can_not_be_told_is_unknown() {
    let others = [("ns2.e.example", Say::Code(ResponseCode::ServFail))];
    let records: Vec<_> = RESOLVED.iter().copied().filter(|(name, _)| *name != "ns2.e.example").collect();
    let port = start(&[ZONE], BOTH).await;
    let server = Server::start(&records, &others).await;
    let net = server.net();
    let facts = Facts::of(&"e.example".parse().unwrap());
    let judged = ns::check_by(Asker { net: &net, port, pause: Duration::ZERO }, &facts, &AuditOptions::default()).await;
    assert!(found(&judged, "ns.no_address").is_none() && judged.unknown.iter().any(|unknown| unknown.reason.contains("ns2.e.example")));
    assert!(found(&judged, "ns.no_ipv6").is_none() && found(&judged, "ns.same_network").is_none());
}

/// The servers as the zone's parent names them, when the resolver can not read the zone.
async fn unreadable(zones: &[Zone], parent: Option<&[&str]>, more: &[(&str, &str)], cached: bool) -> Part {
    let port = start(zones, parent).await;
    let of_zone = |(name, _): &&(&str, &str)| *name != "e.example";
    let records: Vec<(&str, &str)> = RESOLVED.iter().filter(of_zone).copied().chain(more.iter().copied()).collect();
    let fails = Say::Code(ResponseCode::ServFail);
    let remembered = ["NS ns1.e.example", "NS ns2.e.example"].map(str::to_owned).into();
    let zone = if cached { Say::FailsFor(RecordType::SOA, remembered) } else { fails };
    let server = Server::start(&records, &[("e.example", zone)]).await;
    let facts = Facts::of(&"e.example".parse().unwrap());
    ns::check_by(Asker { net: &server.net(), port, pause: Duration::ZERO }, &facts, &AuditOptions::default()).await
}

#[tokio::test]
async fn a_zone_that_none_of_its_servers_answers_for_is_found() {
    let refuses = Zone { refuses: true, ..ZONE };
    // Nobody listens at the second server's address.
    for (zones, cached, words) in [
        (vec![refuses.clone(), refuses.clone()], false, "ns2.e.example (127.0.0.3) refuses to answer"),
        (vec![refuses.clone()], false, "ns2.e.example (127.0.0.3) does not answer"),
        (vec![], false, "ns1.e.example (127.0.0.2) does not answer"),
        (vec![refuses.clone(), refuses.clone()], true, "ns1.e.example (127.0.0.2) refuses to answer"),
    ] {
        let part = unreadable(&zones, BOTH, &[], cached).await;
        let said = found(&part, "ns.no_answer").unwrap();
        assert!(said.severity == Severity::High && said.summary.contains(words), "{said:#?}");
        assert!(said.fix.contains("ns1.e.example, ns2.e.example") && !said.fix.contains('{'), "{said:#?}");
        // What was known of its servers stays as it was.
        assert_eq!((part.findings.len(), part.unknown.len(), part.unknown[0].subject.as_str()), (1, 1, "ns"), "{part:#?}");
    }
}

#[tokio::test]
async fn where_it_may_be_us_or_another_fault_nobody_is_said_to_be_silent() {
    let refuses = Zone { refuses: true, ..ZONE };
    let once = Zone { refusals: 1, ..ZONE };
    let in_v6 = [("ns3.e.example", "AAAA ::1")];
    for (zones, parent, more, words) in [
        // The parent's servers do not answer us either: we may be blocked.
        (vec![refuses.clone(), refuses.clone()], None, &[][..], "whether its name servers answer"),
        // One answers: DNSSEC may be broken, or the resolver's way.
        (vec![refuses.clone(), ZONE], BOTH, &[], "ns2.e.example (127.0.0.3) answers"),
        // It refused once.
        (vec![once, refuses.clone()], BOTH, &[], "ns1.e.example (127.0.0.2) answers"),
        // One that nobody can be sent to.
        (vec![refuses.clone()], Some(&["ns1.e.example", "ns9.e.example"][..]), &[], "ns9.e.example has no address"),
        // One by IPv6 alone, which may be missing here.
        (vec![refuses.clone()], Some(&["ns1.e.example", "ns3.e.example"][..]), &in_v6, "IPv6"),
    ] {
        let part = unreadable(&zones, parent, more, false).await;
        assert!(part.findings.is_empty(), "{words}: {part:#?}");
        assert!(part.unknown.iter().any(|one| one.subject == "ns" && one.reason.contains(words)), "{words}: {:#?}", part.unknown);
    }
}
