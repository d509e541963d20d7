//! Certificates that servers on loopback show, held against TLSA records that a resolver on loopback gives.
#![allow(clippy::unwrap_used)]

use hickory_proto::op::ResponseCode;
use rcgen::{CertificateParams, date_time_ymd};
use rustls::pki_types::CertificateDer;
use waypost_types::{
    finding::Severity,
    outcome::{DaneState, ProbeMode, ProbeReport, Verdict},
};

use crate::{
    audit::dane_match::record_for,
    net::{
        authority::{Authority, Issued, smtp},
        tests::{Say, Server},
    },
    probe::{ProbeTarget, Prober},
};

const HOST: &str = "mx.e.example";

/// One conversation with a server that shows this certificate, where `say` is what DNS has of its TLSA records.
async fn probed(authority: &Authority, issued: &Issued, trust_ad: bool, say: impl FnOnce(Vec<String>) -> Say, records: &[String]) -> ProbeReport {
    let (server, _) = smtp(Some(issued), "127.0.0.1:0").await;
    let owner = format!("_{}._tcp.{HOST}", server.port());
    let records = records.iter().map(|record| format!("TLSA {record}")).collect();
    let dns = Server::start(&[(HOST, "A 127.0.0.1")], &[(owner.as_str(), say(records))]).await;
    let prober = Prober::new(&authority.net(dns.address, trust_ad, None)).with_open_ports();
    let target = ProbeTarget { host: HOST.to_owned(), port: server.port(), mode: ProbeMode::Starttls, auth: None };
    prober.probe_address(&target, server.ip()).await
}

fn old(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
}

fn of(leaf: &CertificateDer<'_>, usage: u8) -> String {
    record_for(leaf, usage).unwrap()
}

fn state(report: &ProbeReport) -> Option<DaneState> {
    report.tls.as_ref().unwrap().dane.as_ref().map(|dane| dane.state)
}

fn severity(report: &ProbeReport, rule: &str) -> Option<Severity> {
    report.findings.iter().find(|finding| finding.rule == rule).map(|finding| finding.severity)
}

/// What the certificate itself earns it, severities apart.
const OF_PKIX: [&str; 3] = ["cert.expired", "cert.name_mismatch", "cert.untrusted"];

#[tokio::test]
async fn what_dane_vouches_for_is_no_fault_for_senders_and_says_so() {
    // Of nobody, for another name, and over: usage 3 minds none of it.
    let (authority, stranger) = (Authority::new(), Authority::new());
    let issued = stranger.issue("other.example", old);
    let other = authority.issue(HOST, |_| {});
    let record = of(&issued.chain[0], 3);
    let report = probed(&authority, &issued, true, Say::Vouched, &[of(&other.chain[0], 3), record.clone()]).await;
    let dane = report.tls.as_ref().unwrap().dane.as_ref().unwrap();
    assert_eq!((dane.state, dane.matched.as_ref(), dane.usage(), dane.records.len()), (DaneState::Matches, Some(&record), Some(3), 2));
    assert_eq!(OF_PKIX.map(|rule| severity(&report, rule)), [Some(Severity::Low); 3], "{report:#?}");
    assert!(report.findings.iter().filter(|finding| OF_PKIX.contains(&finding.rule.as_str())).all(|finding| finding.why.contains("RFC 7672 3.1.1")));
    assert_eq!(report.verdict, Verdict::Up, "{report:#?}");
    // Without the record it is degraded for the same.
    let report = probed(&authority, &issued, true, |_| Say::Code(ResponseCode::NXDomain), &[]).await;
    assert_eq!((state(&report), report.verdict), (None, Verdict::Degraded));
    assert!(severity(&report, "cert.expired") > Some(Severity::Low));
}

#[tokio::test]
async fn an_issuer_in_the_record_makes_its_name_and_its_dates_count() {
    let (authority, private) = (Authority::new(), Authority::new());
    let fine = private.issue(HOST, |_| {});
    let root = of(private.root.der(), 2);
    let report = probed(&authority, &fine, true, Say::Vouched, std::slice::from_ref(&root)).await;
    assert_eq!((state(&report), severity(&report, "cert.untrusted"), report.verdict), (Some(DaneState::Matches), Some(Severity::Low), Verdict::Up));
    let report = probed(&authority, &private.issue(HOST, old), true, Say::Vouched, std::slice::from_ref(&root)).await;
    assert_eq!((state(&report), severity(&report, "dane.mismatch")), (Some(DaneState::Mismatch), Some(Severity::Critical)), "{report:#?}");
    // Senders take one that names the domain for mail to it, and a probe knows no domain.
    let report = probed(&authority, &private.issue("e.example", |_| {}), true, Say::Vouched, &[root]).await;
    assert_eq!((state(&report), severity(&report, "dane.mismatch")), (Some(DaneState::Unknown), None), "{report:#?}");
}

#[tokio::test]
async fn records_of_which_none_matches_are_critical() {
    let authority = Authority::new();
    let (issued, before) = (authority.issue(HOST, |_| {}), authority.issue(HOST, |_| {}));
    let report = probed(&authority, &issued, true, Say::Vouched, &[of(&before.chain[0], 3), format!("1 1 1 {}", "ab".repeat(32))]).await;
    assert_eq!((state(&report), report.verdict), (Some(DaneState::Mismatch), Verdict::Degraded));
    let found = &report.findings[0];
    assert_eq!((found.rule.as_str(), found.severity), ("dane.mismatch", Severity::Critical));
    assert_eq!(report.reason, found.summary);
    assert_eq!(found.record.as_ref().unwrap().value, of(&issued.chain[0], 3));
}

#[tokio::test]
async fn what_is_not_proven_or_of_no_use_is_no_fault() {
    let authority = Authority::new();
    let (issued, before) = (authority.issue(HOST, |_| {}), authority.issue(HOST, |_| {}));
    let wrong = [of(&before.chain[0], 3)];
    for (trust_ad, say, records, wanted) in [
        // Nobody who is trusted says whether they are proven.
        (false, Say::Vouched as fn(Vec<String>) -> Say, &wrong[..], DaneState::Unknown),
        (true, Say::Records, &wrong[..], DaneState::Insecure),
        (true, Say::Vouched, &[format!("1 1 1 {}", "ab".repeat(32)), "3 1 1 abcd".to_owned()], DaneState::Unusable),
    ] {
        let report = probed(&authority, &issued, trust_ad, say, records).await;
        assert_eq!((state(&report), report.verdict), (Some(wanted), Verdict::Up), "{report:#?}");
        assert!(report.tls.unwrap().dane.unwrap().reason.is_some() && report.unknown.is_empty());
        assert!(!report.findings.iter().any(|finding| finding.rule.starts_with("dane.")));
    }
}

#[tokio::test]
async fn a_certificate_that_dane_may_vouch_for_is_not_judged_while_dns_does_not_tell() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let fails = |_| Say::Code(ResponseCode::ServFail);
    let report = probed(&authority, &stranger.issue(HOST, |_| {}), true, fails, &[]).await;
    assert_eq!((state(&report), report.verdict), (None, Verdict::Unknown), "{report:#?}");
    assert!(report.reason.contains("whether TLSA records vouch for the certificate") && report.unknown.iter().any(|part| part.subject == "dane"));
    // Where no answer would be believed, none is waited for.
    let report = probed(&authority, &stranger.issue(HOST, |_| {}), false, fails, &[]).await;
    assert_eq!(report.verdict, Verdict::Degraded);
    // A certificate in good order needs nobody's word.
    let report = probed(&authority, &authority.issue(HOST, |_| {}), true, fails, &[]).await;
    assert_eq!(report.verdict, Verdict::Up);
}
