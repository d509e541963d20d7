//! Whole audits against a small name server: healthy, broken, parked, absent, and not to be told.
#![allow(clippy::unwrap_used)]

use hickory_proto::op::ResponseCode;

use super::*;
use crate::net::tests::{Say, Server};

async fn run(records: &[(&str, &str)], others: &[(&str, Say)]) -> AuditReport {
    let server = Server::start(records, others).await;
    audit(&server.net(), &"e.example".parse().unwrap(), &AuditOptions::default()).await
}

fn rules(report: &AuditReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.rule.as_str()).collect()
}

const HEALTHY: &[(&str, &str)] = &[
    ("e.example", "MX 10 mx1.e.example"),
    ("e.example", "MX 20 mx2.e.example"),
    ("e.example", "NS ns1.e.example"),
    ("e.example", "NS ns2.e.example"),
    ("e.example", "TXT v=spf1 mx -all"),
    ("_dmarc.e.example", "TXT v=DMARC1; p=reject; rua=mailto:d@e.example"),
    ("mx1.e.example", "A 203.0.113.5"),
    ("mx2.e.example", "A 203.0.113.6"),
    ("5.113.0.203.in-addr.arpa", "PTR mx1.e.example"),
    ("6.113.0.203.in-addr.arpa", "PTR mx2.e.example"),
    ("ns1.e.example", "A 127.0.0.1"),
    ("ns2.e.example", "A 127.0.0.1"),
];

#[tokio::test]
async fn a_healthy_domain_has_nothing_to_mend() {
    let report = run(HEALTHY, &[]).await;
    let bad: Vec<_> = report.findings.iter().filter(|f| f.severity >= waypost_types::Severity::Medium).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(report.grade.as_deref(), Some("A"), "{report:#?}");
    let word = |key: &str| report.checks[key].word.clone();
    assert_eq!((word("mx").as_str(), word("spf").as_str(), word("dmarc").as_str(), word("ptr").as_str()), ("2 hosts", "Pass", "p=reject", "Match"));
    // No selector could be guessed: that is unknown, not missing.
    assert!(report.unknown.iter().any(|part| part.subject == "dkim") && !rules(&report).iter().any(|rule| rule.starts_with("dkim.")));
}

#[tokio::test]
async fn what_is_proven_absent_is_missing() {
    let report = run(&[("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 203.0.113.5")], &[]).await;
    for rule in ["spf.missing", "dmarc.missing", "ptr.missing"] {
        assert!(rules(&report).contains(&rule), "{rule}: {:?}", rules(&report));
    }
    assert!(report.findings.iter().filter(|f| f.rule.ends_with(".missing") && f.rule.starts_with(['s', 'd'])).all(|f| f.record.is_some()));
}

#[tokio::test]
async fn what_does_not_answer_is_unknown() {
    let fail = || Say::Code(ResponseCode::ServFail);
    let report = run(&[], &[("e.example", fail()), ("_dmarc.e.example", Say::Code(ResponseCode::Refused))]).await;
    assert!(!rules(&report).iter().any(|rule| ["mx.missing", "spf.missing", "dmarc.missing"].contains(rule)), "{:?}", rules(&report));
    for part in ["mx", "spf", "dmarc"] {
        assert!(report.unknown.iter().any(|unknown| unknown.subject == part && !unknown.reason.is_empty()), "{part}");
    }
    assert_eq!((report.score, report.grade), (None, None));
}

#[tokio::test]
async fn a_domain_that_does_not_exist_is_one_clear_finding() {
    let report = run(&[], &[]).await;
    assert_eq!(rules(&report), ["mx.missing"]);
    assert!(report.findings[0].summary.contains("does not exist") && report.unknown.is_empty(), "{report:#?}");
}

#[tokio::test]
async fn a_parked_domain_is_left_alone() {
    let parked = [
        ("e.example", "TXT v=spf1 -all"),
        ("_dmarc.e.example", "TXT v=DMARC1; p=reject; rua=mailto:d@reports.example"),
        ("e.example._report._dmarc.reports.example", "TXT v=DMARC1"),
        ("reports.example", "MX 10 mx.reports.example"),
    ];
    let report = run(&parked, &[]).await;
    assert!(report.findings.iter().all(|f| f.severity <= waypost_types::Severity::Low), "{:#?}", report.findings);
    let null = [("e.example", "MX 0 ."), parked[0], parked[1], parked[2], parked[3]];
    let report = run(&null, &[]).await;
    assert!(report.findings.iter().all(|f| f.severity <= waypost_types::Severity::Low), "{:#?}", report.findings);
}

#[tokio::test]
async fn mistakes_are_found_by_their_rule() {
    let broken = [
        ("e.example", "MX 10 alias.e.example"),
        ("e.example", "MX 20 192.0.2.1"),
        ("e.example", "MX 30 gone.e.example"),
        ("alias.e.example", "CNAME mx.e.example"),
        ("mx.e.example", "A 203.0.113.5"),
        ("e.example", "TXT v=spf1 +all"),
        ("e.example", "TXT v=spf1 mx -all"),
        ("_dmarc.e.example", "TXT v=DMARC1; p=none; pct=50; rua=mailto:x@other.example"),
        ("other.example", "MX 10 mx.other.example"),
        ("default._domainkey.e.example", "TXT v=DKIM1; k=rsa; p=broken!"),
        ("_mta-sts.e.example", "TXT v=STSv1"),
        ("default._bimi.e.example", "TXT v=BIMI1; l=https://e.example/l.svg"),
    ];
    let report = run(&broken, &[]).await;
    for rule in [
        "mx.cname",
        "mx.ip_literal",
        "mx.unresolvable",
        "spf.multiple_records",
        "dmarc.p_none",
        "dmarc.pct_used",
        "dmarc.rua_external_unauthorised",
        "dkim.syntax",
        "mtasts.txt_syntax",
        "mtasts.policy_unreachable",
        "tlsrpt.missing",
        "bimi.dmarc_not_enforced",
    ] {
        assert!(rules(&report).contains(&rule), "{rule}: {:?}", rules(&report));
    }
    assert_eq!(report.checks["spf"].word, "Error");
}

#[tokio::test]
async fn a_dmarc_record_at_a_wrong_name_is_not_just_missing() {
    for name in ["e.example", "dmarc.e.example", "_dmarc.e.example.e.example"] {
        let report = run(&[("e.example", "MX 10 mx.e.example"), (name, "TXT v=DMARC1; p=reject")], &[]).await;
        let found = report.findings.iter().find(|finding| finding.rule == "dmarc.wrong_location").unwrap();
        let record = found.record.as_ref().unwrap();
        assert_eq!((record.name.as_str(), record.value.as_str()), ("_dmarc.e.example", "v=DMARC1; p=reject"));
        assert!(found.summary.contains(name) && !rules(&report).contains(&"dmarc.missing"), "{name}: {:?}", rules(&report));
    }
    let both = [("e.example", "MX 10 mx.e.example"), ("e.example", "TXT v=DMARC1; p=none"), ("_dmarc.e.example", "TXT v=DMARC1; p=reject")];
    let report = run(&both, &[]).await;
    assert!(!rules(&report).contains(&"dmarc.wrong_location"), "{:?}", rules(&report));
}

#[tokio::test]
async fn report_mailboxes_must_take_mail() {
    let fail = [("mute.example", Say::Code(ResponseCode::ServFail))];
    for (host, extra, lost) in [
        ("r.e.example", ("r.e.example", "MX 10 mx.e.example"), false),
        ("r.e.example", ("r.e.example", "A 203.0.113.8"), false),
        ("r.e.example", ("r.e.example", "MX 0 ."), true),
        ("r.e.example", ("r.e.example", "TXT nothing else"), true),
        ("gone.e.example", ("r.e.example", "MX 10 mx.e.example"), true),
        ("mute.example", ("r.e.example", "MX 10 mx.e.example"), false),
    ] {
        let record = format!("TXT v=DMARC1; p=reject; rua=mailto:d@{host}");
        let report = run(&[("e.example", "MX 10 mx.e.example"), ("_dmarc.e.example", &record), extra], &fail).await;
        assert_eq!(rules(&report).contains(&"dmarc.rua_no_mx"), lost, "{host} {extra:?}");
        assert_eq!(report.unknown.iter().any(|part| part.subject == "dmarc" && part.reason.starts_with(host)), host == "mute.example");
    }
}

#[tokio::test]
async fn networks_of_the_domains_own_policies_are_looked_at() {
    let records = [
        ("e.example", "MX 10 mx.e.example"),
        ("e.example", "TXT v=spf1 ip4:10.0.0.0/8 -ip4:8.0.0.0/8 ip4:198.0.0.0/8 include:own.e.example include:provider.example -all"),
        ("own.e.example", "TXT v=spf1 ip6:2600::/20 ip4:192.0.2.1 -all"),
        ("provider.example", "TXT v=spf1 ip4:20.0.0.0/11 ip4:172.16.0.1 -all"),
    ];
    let report = run(&records, &[]).await;
    let summary = |rule: &str| report.findings.iter().find(|finding| finding.rule == rule).unwrap().summary.clone();
    assert!(summary("spf.private_addresses").contains("10.0.0.0/8, 192.0.2.1/32, where"), "{}", summary("spf.private_addresses"));
    assert!(summary("spf.wide_network").contains("198.0.0.0/8, 2600::/20, a"), "{}", summary("spf.wide_network"));
    let google = [("google.com", "MX 10 smtp.google.com"), ("smtp.google.com", "A 8.8.8.8"), ("google.com", "TXT v=spf1 ip4:8.0.0.0/8 -all")];
    let server = Server::start(&google, &[]).await;
    let report = audit_families(&server.net(), &"google.com".parse().unwrap(), &AuditOptions::default(), &[Family::Spf]).await;
    assert!(report.findings.is_empty(), "{:?}", rules(&report));
}

#[tokio::test]
async fn the_ad_bit_counts_only_when_the_resolver_is_trusted() {
    let records = [("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 203.0.113.5")];
    let tlsa = || vec!["TLSA ab".to_owned(), "TLSA cd".to_owned()];
    for (say, trusted, ignored) in [
        (Say::Vouched(tlsa()), true, None),
        (Say::Records(tlsa()), true, Some("DNSSEC does not vouch for them")),
        (Say::Vouched(tlsa()), false, Some("the zone is not signed")),
    ] {
        let server = Server::start(&records, &[("_25._tcp.mx.e.example", say.clone())]).await;
        let report =
            audit_families(&server.net_with(trusted), &"e.example".parse().unwrap(), &AuditOptions::default(), &[Family::Dane, Family::Dnssec]).await;
        let found = report.findings.iter().find(|finding| finding.rule == "dane.tlsa_without_dnssec");
        assert_eq!(found.is_some(), ignored.is_some(), "{say:?} {trusted}: {report:#?}");
        assert!(ignored.is_none_or(|why| found.unwrap().summary.contains(why)), "{found:?}");
        assert_eq!(report.checks["dnssec"].word, "Not signed");
    }
    let vouched = [("e.example", Say::Vouched(vec!["MX 10 mx.e.example".to_owned(), "SOA ns.e.example".to_owned()]))];
    for (trusted, word) in [(true, "Validated"), (false, "Not signed")] {
        let server = Server::start(&records[1..], &vouched).await;
        let report = audit_families(&server.net_with(trusted), &"e.example".parse().unwrap(), &AuditOptions::default(), &[Family::Dnssec]).await;
        assert_eq!(report.checks["dnssec"].word, word);
    }
}

#[tokio::test]
async fn audits_and_evaluations_can_be_spawned() {
    let server = Server::start(HEALTHY, &[]).await;
    let net = server.net();
    let domain: DomainName = "e.example".parse().unwrap();
    let report = tokio::spawn(async move {
        let spf = crate::spf::check_host(net.dns(), "203.0.113.5".parse().unwrap(), "e.example", "", "e.example", 0).await;
        assert_eq!(spf.result, crate::spf::SpfResult::Pass);
        audit(&net, &domain, &AuditOptions::default()).await
    });
    assert_eq!(report.await.unwrap().domain, "e.example");
}

/// A selector that nobody named is no matter while nobody answers for the zone: that is silence, as of all parts.
#[test]
fn where_nobody_answers_all_parts_are_silent() {
    let mut unknown = vec![
        UnknownPart { cause: UnknownCause::Unnamed, ..UnknownPart::new("dkim", "none at the usual selectors") },
        UnknownPart::new("dkim", "late"),
        UnknownPart::new("mx.e.example", "port 25"),
    ];
    one_reason(&mut unknown);
    assert_eq!(unknown.iter().map(|part| (part.subject.as_str(), part.is_silence())).collect::<Vec<_>>(), [("dkim", true), ("mx.e.example", true)]);
}
