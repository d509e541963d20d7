//! MX records of all kinds, healthy and not, against a small name server.
#![allow(clippy::unwrap_used)]

use hickory_proto::op::ResponseCode;
use waypost_types::Severity;

use super::*;
use crate::net::{
    Egress, NetConfig, RecordType,
    tests::{Say, Server},
};

async fn look(records: &[(&str, &str)], options: &AuditOptions) -> Part {
    let server = Server::start(records, &[("mute.e.example", Say::Code(ResponseCode::ServFail))]).await;
    let guarded = NetConfig { resolvers: vec![server.address], egress: Egress::Guarded { allow: Vec::new() }, ..NetConfig::default() };
    mx::look(&Net::new(guarded).unwrap(), &"e.example".parse().unwrap(), options).await.1
}

#[tokio::test]
async fn the_command_line_is_told_of_addresses_that_nobody_reaches() {
    for (address, rule) in [
        ("A 10.0.0.5", Some("mx.private_address")),
        ("A 192.168.1.1", Some("mx.private_address")),
        ("A 169.254.1.1", Some("mx.private_address")),
        ("A 0.0.0.0", Some("mx.private_address")),
        ("AAAA fe80::1", Some("mx.private_address")),
        ("AAAA ::ffff:10.0.0.5", Some("mx.private_address")),
        ("A 203.0.113.5", None),
        // A server under test on the machine itself.
        ("A 127.0.0.1", None),
    ] {
        let server = Server::start(&[("e.example", "MX 10 mx.e.example"), ("mx.e.example", address)], &[]).await;
        let part = mx::look(&server.net(), &"e.example".parse().unwrap(), &AuditOptions::default()).await.1;
        let found = part.findings.iter().map(|finding| finding.rule.as_str()).find(|rule| rule.ends_with("private_address"));
        assert_eq!(found, rule, "{address}: {:#?}", part.findings);
    }
}

/// Rules that fire and how bad they are, beside those that say that something is small.
fn seen(part: &Part) -> Vec<(&str, Severity)> {
    let mut seen: Vec<_> = part.findings.iter().map(|finding| (finding.rule.as_str(), finding.severity)).collect();
    seen.sort_unstable();
    seen
}

/// Records, and the rules that fire on them.
type Case = (Vec<(&'static str, &'static str)>, Vec<(&'static str, Severity)>);

#[tokio::test]
async fn each_rule_fires_on_its_record_alone() {
    const A1: (&str, &str) = ("mx1.e.example", "A 203.0.113.5");
    const A2: (&str, &str) = ("mx2.e.example", "A 198.51.100.6");
    const M1: (&str, &str) = ("e.example", "MX 10 mx1.e.example");
    const M2: (&str, &str) = ("e.example", "MX 20 mx2.e.example");
    const GOOGLE: [(&str, &str); 2] = [("e.example", "MX 1 smtp.google.com"), ("smtp.google.com", "A 8.8.8.8")];
    use Severity::{Critical, High, Info, Low, Medium};
    let cases: Vec<Case> = vec![
        (vec![M1, M2, A1, A2], vec![]),
        (vec![M1, A1], vec![("mx.single", Info)]),
        (GOOGLE.to_vec(), vec![]),
        (vec![M1, M2, A1, ("mx2.e.example", "A 203.0.113.5")], vec![("mx.duplicate_target", Low)]),
        (vec![M1, M2, A1, ("e.example", "MX 30 mx1.e.example"), A2], vec![("mx.repeated", Low)]),
        (vec![M1, M2, A1], vec![("mx.unresolvable", Medium)]),
        (vec![M1, M2], vec![("mx.unresolvable", Critical), ("mx.unresolvable", Critical)]),
        (vec![M1, A1, ("e.example", "MX 20 mute.e.example")], vec![]),
        (vec![M1, A1, ("e.example", "MX 20 localhost")], vec![("mx.local_name", Medium)]),
        (vec![("e.example", "MX 20 mail.local")], vec![("mx.local_name", Critical), ("mx.single", Info)]),
        (vec![M1, A1, ("e.example", "MX 20 192.0.2.1")], vec![("mx.ip_literal", Critical)]),
        (vec![M1, A1, ("e.example", "MX 0 .")], vec![("mx.null_with_others", Critical), ("mx.single", Info)]),
        (vec![M1, M2, A1, ("mx2.e.example", "CNAME mx3.e.example"), ("mx3.e.example", "A 198.51.100.6")], vec![("mx.cname", Medium)]),
        (vec![M1, M2, A1, ("mx2.e.example", "A 10.0.0.5")], vec![("mx.private_address", High)]),
        (vec![M1, M2, A1, A2, ("mx2.e.example", "AAAA fd00::1")], vec![("mx.ipv6_broken", Medium)]),
        (vec![M1, M2, A1, A2, ("mx2.e.example", "AAAA 2600::1")], vec![]),
        (vec![M1, M2, A1, ("mx2.e.example", "AAAA fd00::1")], vec![("mx.private_address", High)]),
        (vec![M1, M2, ("mx1.e.example", "AAAA 2600::1"), ("mx2.e.example", "AAAA 2600::2")], vec![("mx.no_ipv4", Medium)]),
        (vec![M1, M2, ("mx1.e.example", "AAAA 2600::1"), A2], vec![]),
        (vec![M1, ("mx1.e.example", "AAAA 2600::1"), ("e.example", "MX 20 mute.e.example")], vec![]),
        (vec![M1, A1, ("e.example", "MX 20 e.example"), ("e.example", "A 203.0.113.9")], vec![("mx.own_name", Info)]),
        ([&GOOGLE[..], &[M1, A1]].concat(), vec![("mx.mixed_providers", Info)]),
        ([&GOOGLE[..], &[("e.example", "MX 5 alt1.aspmx.l.google.com"), ("alt1.aspmx.l.google.com", "A 8.8.4.4")]].concat(), vec![]),
        (vec![("e.example", "A 203.0.113.9")], vec![("mx.domain_no_a_fallback", Info)]),
        (vec![("e.example", "A 10.0.0.9")], vec![("mx.domain_no_a_fallback", Info), ("mx.private_address", High)]),
        (vec![("e.example", "TXT hello")], vec![("mx.missing", High)]),
        (vec![("e.example", "MX 0 .")], vec![]),
        (vec![("e.example", "MX 0 ."), ("e.example", "TXT v=spf1 -all")], vec![]),
        (vec![("e.example", "MX 0 ."), ("e.example", "TXT v=spf1 include:a.example -all")], vec![("mx.null_sends", Low)]),
    ];
    for (records, wanted) in cases {
        let part = look(&records, &AuditOptions::default()).await;
        assert_eq!(seen(&part), wanted, "{records:?}: {:#?}", part.findings);
        assert!(part.findings.iter().all(|finding| !finding.fix.contains('{')), "{:#?}", part.findings);
    }
}

#[tokio::test]
async fn questions_that_fail_make_no_findings_and_leave_old_ones_open() {
    let fails = |kind, records: &[&str]| Say::FailsFor(kind, records.iter().map(|record| (*record).to_owned()).collect());
    let a = RecordType::A;
    for (name, say, records, untold) in [
        // Parked or broken: its SPF record would tell.
        ("e.example", fails(RecordType::TXT, &["NS ns.e.example"]), vec![], "mx.missing"),
        ("e.example", fails(RecordType::TXT, &["MX 0 ."]), vec![], "mx.null_sends"),
        ("mx.e.example", fails(RecordType::CNAME, &["A 203.0.113.5"]), vec![("e.example", "MX 10 mx.e.example")], "mx.cname"),
        ("mx.e.example", fails(a, &["AAAA 2600::1"]), vec![("e.example", "MX 10 mx.e.example")], "mx.no_ipv4"),
    ] {
        let server = Server::start(&records, &[(name, say)]).await;
        let part = mx::look(&server.net(), &"e.example".parse().unwrap(), &AuditOptions::default()).await.1;
        assert!(!part.findings.iter().any(|finding| finding.rule == untold), "{untold}: {part:#?}");
        assert!(part.unknown.iter().any(|one| one.subject == untold), "{untold}: {part:#?}");
    }
}

#[tokio::test]
async fn a_null_mx_contradicts_mail_that_was_seen() {
    for (options, sends) in [
        (AuditOptions::default(), false),
        (AuditOptions { seen_selectors: vec!["s1".to_owned()], ..AuditOptions::default() }, true),
        // What somebody named, or what was found once, proves no mail.
        (AuditOptions { selectors: vec!["s1".to_owned()], ..AuditOptions::default() }, false),
        (AuditOptions { found_selectors: vec!["s1".to_owned()], ..AuditOptions::default() }, false),
        (AuditOptions { senders: vec![("203.0.113.5".parse().unwrap(), "watched".to_owned())], ..AuditOptions::default() }, true),
    ] {
        let part = look(&[("e.example", "MX 0 ."), ("e.example", "TXT v=spf1 -all")], &options).await;
        assert_eq!(seen(&part), if sends { vec![("mx.null_sends", Severity::High)] } else { vec![] }, "{options:?}");
    }
}

#[tokio::test]
async fn names_written_wrongly_are_explained() {
    for (host, words) in [("mail.e.example.e.example", "Write mail.e.example. with the dot"), ("mail", "mail.e.example is meant")] {
        for exists in [true, false] {
            let mx = format!("MX 20 {host}");
            let records = [("e.example", mx.as_str()), (if exists { "mail.e.example" } else { "other.e.example" }, "A 203.0.113.5")];
            let part = look(&records, &AuditOptions::default()).await;
            let finding = part.findings.iter().find(|finding| finding.rule == "mx.unresolvable").unwrap();
            assert!(finding.fix.contains(words), "{finding:?}");
            assert_eq!(finding.record.as_ref().map(|record| record.value.as_str()), exists.then_some("20 mail.e.example."), "{finding:?}");
        }
    }
}

#[tokio::test]
async fn no_record_names_a_host_that_is_not_there() {
    let missing = |part: &Part| part.findings.iter().find(|finding| finding.rule == "mx.missing").unwrap().record.clone();
    assert_eq!(missing(&look(&[("e.example", "TXT hello")], &AuditOptions::default()).await), None);
    let mail = look(&[("e.example", "TXT hello"), ("mail.e.example", "A 203.0.113.5")], &AuditOptions::default()).await;
    assert_eq!(missing(&mail).map(|record| record.value).as_deref(), Some("10 mail.e.example."));
    let part = look(&[("e.example", "MX 10 a.e.example"), ("a.e.example", "CNAME gone.e.example")], &AuditOptions::default()).await;
    let alias = part.findings.iter().find(|finding| finding.rule == "mx.cname").unwrap();
    assert!(alias.record.is_none() && alias.fix.contains("gone.e.example has none"), "{alias:?}");
}

#[tokio::test]
async fn three_hundred_records_are_bounded() {
    let texts: Vec<String> = (0..300).map(|number| format!("MX {number} mx{number}.e.example")).collect();
    let server = Server::start(&[], &[("e.example", Say::TcpOnly(texts))]).await;
    let (facts, part) = mx::look(&server.net(), &"e.example".parse().unwrap(), &AuditOptions::default()).await;
    assert!(part.findings.iter().any(|finding| finding.rule == "mx.too_many" && finding.summary.contains("300 MX hosts")), "{:#?}", part.findings);
    assert!(facts.hosts.len() == 20 && part.records.len() == 50 && part.findings.len() < 30, "{}", facts.hosts.len());
}

#[tokio::test]
async fn mx_records_that_were_there_are_missed() {
    const A: (&str, &str) = ("e.example", "A 203.0.113.9");
    const PARKED: (&str, &str) = ("e.example", "TXT v=spf1 -all");
    let lost = |records: &[&str]| Known { lost_mx: records.iter().map(|record| (*record).to_owned()).collect(), ..Known::default() };
    for (records, before, wanted) in [
        (vec![A], vec!["10 mx.e.example"], vec![("mx.removed", Severity::High)]),
        (vec![PARKED], vec!["10 mx.e.example"], vec![("mx.removed", Severity::High)]),
        (vec![("e.example", "TXT hello")], vec!["10 mx.e.example"], vec![("mx.missing", Severity::High)]),
        // It took no mail before either, or says now that it takes none.
        (vec![A], vec!["0 ."], vec![("mx.domain_no_a_fallback", Severity::Info)]),
        (vec![("e.example", "MX 0 ."), A], vec!["10 mx.e.example"], vec![]),
    ] {
        let part = look(&records, &AuditOptions { known: lost(&before), ..AuditOptions::default() }).await;
        assert_eq!(seen(&part), wanted, "{records:?}: {:#?}", part.findings);
        assert!(part.findings.iter().all(|finding| !finding.fix.contains('{')), "{:#?}", part.findings);
    }
}
