//! DANE, MTA-STS, TLS-RPT and DNSSEC against servers on loopback: what each rule fires on, and what it lets be.
#![allow(clippy::unwrap_used)]

use std::{net::SocketAddr, sync::atomic::Ordering};

use hickory_proto::op::ResponseCode;

use super::{
    dane_match::record_for,
    dnssec_records::tests::{key_and_ds, rrsig},
    *,
};
use crate::net::{
    RecordType,
    authority::{Authority, Issued, http_answer, smtp},
    tests::{Say, Server},
};

async fn look(net: &Net, smtp: Option<SocketAddr>, options: &AuditOptions, families: &[Family]) -> AuditReport {
    let end = tokio::time::Instant::now() + options.deadline;
    let chains = Chains::new(net, options.look_at_certificates, end).at_port(smtp.map_or(9, |address| address.port()));
    look_at(net, &"e.example".parse().unwrap(), options, families, end, &chains).await
}

fn looking() -> AuditOptions {
    AuditOptions { look_at_certificates: true, ..AuditOptions::default() }
}

fn rules(report: &AuditReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.rule.as_str()).collect()
}

fn found<'a>(report: &'a AuditReport, rule: &str) -> &'a Finding {
    report.findings.iter().find(|finding| finding.rule == rule).unwrap_or_else(|| panic!("{rule}: {report:#?}"))
}

/// A domain with one MX host whose TLSA records a trusted resolver vouches for.
async fn dane(authority: &Authority, smtp: Option<SocketAddr>, tlsa: &[String]) -> AuditReport {
    let tlsa = tlsa.iter().map(|record| format!("TLSA {record}")).collect();
    let others = [("_25._tcp.mx.e.example", Say::Vouched(tlsa)), ("e.example", Say::Vouched(vec!["MX 10 mx.e.example".to_owned()]))];
    let dns = Server::start(&[("mx.e.example", "A 127.0.0.1")], &others).await;
    look(&authority.net(dns.address, true, None), smtp, &looking(), &[Family::Dane]).await
}

fn old(params: &mut rcgen::CertificateParams) {
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
}

fn record(issued: &Issued, at: usize, usage: u8) -> String {
    record_for(&issued.chain[at], usage).unwrap()
}

#[tokio::test]
async fn tlsa_records_are_held_against_the_chain_that_is_shown() {
    let authority = Authority::new();
    let (issued, other) = (authority.issue("mx.e.example", old), authority.issue("mx.e.example", |_| {}));
    let (address, _) = smtp(Some(&issued), "127.0.0.1:0").await;
    // The certificate has expired, which usage 3 does not mind.
    let report = dane(&authority, Some(address), &[record(&issued, 0, 3), record(&other, 0, 3)]).await;
    assert_eq!((rules(&report), report.unknown.len()), (Vec::new(), 0), "{report:#?}");
    let matches: Vec<_> = report.detail.dane.iter().map(|line| (line.matches, line.note.is_some())).collect();
    assert!(matches.contains(&(Some(true), false)) && matches.contains(&(Some(false), true)), "{matches:?}");
    let shown = &report.detail.certificates[0];
    assert!(shown.name_matches && !shown.trusted && shown.problem.as_ref().unwrap().contains("expired on 2021-01-01"), "{shown:?}");
    // Usage 2 does.
    let report = dane(&authority, Some(address), &[record(&issued, 1, 2), record(&other, 0, 3)]).await;
    let mismatch = found(&report, "dane.mismatch");
    assert!(mismatch.summary.contains("has expired"), "{mismatch:?}");
    let fix = mismatch.record.as_ref().unwrap();
    assert_eq!((fix.kind.as_str(), fix.name.as_str(), &fix.value), ("TLSA", "_25._tcp.mx.e.example", &record(&issued, 0, 3)));
    assert_eq!(report.checks["dane"].status, Status::Bad);
}

#[tokio::test]
async fn an_issuer_in_the_record_needs_the_name_as_well() {
    let authority = Authority::new();
    for (name, fine) in [("mx.e.example", true), ("e.example", true), ("other.example", false)] {
        let issued = authority.issue(name, |_| {});
        let (address, _) = smtp(Some(&issued), "127.0.0.1:0").await;
        let report = dane(&authority, Some(address), &[record(&issued, 1, 2)]).await;
        assert_eq!(!rules(&report).contains(&"dane.mismatch"), fine, "{name}: {report:#?}");
        assert!(rules(&report).contains(&"dane.no_rollover"));
    }
}

#[tokio::test]
async fn tlsa_without_starttls_and_records_of_no_use() {
    let authority = Authority::new();
    let issued = authority.issue("mx.e.example", |_| {});
    let (plain, _) = smtp(None, "127.0.0.1:0").await;
    let report = dane(&authority, Some(plain), &[record(&issued, 0, 3), record(&issued, 1, 2)]).await;
    assert_eq!(rules(&report), ["dane.starttls_missing"]);
    let (address, count) = smtp(Some(&issued), "127.0.0.1:0").await;
    // Nothing usable is nothing that could mismatch, and nothing to look at a server for.
    let report = dane(&authority, Some(address), &[format!("1 1 1 {}", "ab".repeat(32)), "3 1 1 abcd".to_owned()]).await;
    assert_eq!(rules(&report), ["dane.malformed", "dane.usage_pkix"]);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert!(report.detail.dane.iter().all(|line| line.matches.is_none() && line.note.is_some()));
}

#[tokio::test]
async fn what_can_not_be_seen_is_no_mismatch() {
    let authority = Authority::new();
    let issued = authority.issue("mx.e.example", |_| {});
    let records = [record(&issued, 0, 3), record(&issued, 1, 2)];
    // Nothing listens there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let report = dane(&authority, Some(free), &records).await;
    assert_eq!(rules(&report), Vec::<&str>::new());
    assert!(report.unknown.iter().any(|part| part.subject == "dane" && part.reason.contains("certificate of mx.e.example")), "{report:#?}");
    assert!(report.detail.dane.iter().all(|line| line.matches.is_none()) && report.detail.certificates.is_empty());
    // Nor is anybody asked who was not meant to be.
    let (address, count) = smtp(Some(&authority.issue("mx.e.example", |_| {})), "127.0.0.1:0").await;
    let tlsa = Say::Vouched(records.iter().map(|record| format!("TLSA {record}")).collect());
    let dns = Server::start(&[("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 127.0.0.1")], &[("_25._tcp.mx.e.example", tlsa)]).await;
    let report = look(&authority.net(dns.address, true, None), Some(address), &AuditOptions::default(), &[Family::Dane]).await;
    assert_eq!((count.load(Ordering::Relaxed), report.unknown.len()), (0, 0), "{report:#?}");
}

#[tokio::test]
async fn aliases_partial_cover_and_unsigned_domains() {
    let authority = Authority::new();
    let issued = authority.issue("real.provider.example", |_| {});
    let (address, _) = smtp(Some(&issued), "127.0.0.1:0").await;
    let (own, ds) = key_and_ds("provider.example");
    let records = [
        ("e.example", "MX 10 mx.e.example".to_owned()),
        ("e.example", "MX 20 bare.e.example".to_owned()),
        ("mx.e.example", "CNAME real.provider.example".to_owned()),
        ("real.provider.example", "A 127.0.0.1".to_owned()),
        ("bare.e.example", "A 127.0.0.1".to_owned()),
        ("provider.example", format!("DNSKEY {own}")),
        ("provider.example", format!("DS {ds}")),
        ("_25._tcp.real.provider.example", format!("TLSA {}", record(&issued, 1, 2))),
        ("_25._tcp.real.provider.example", format!("TLSA {}", record(&issued, 0, 3))),
        ("_25._tcp.real.provider.example", format!("RRSIG {}", rrsig(RecordType::TLSA, -99, 99))),
    ];
    let records: Vec<(&str, &str)> = records.iter().map(|(name, record)| (*name, record.as_str())).collect();
    let dns = Server::start(&records, &[]).await;
    let report = look(&authority.net(dns.address, false, None), Some(address), &looking(), &[Family::Dane]).await;
    assert_eq!(rules(&report), ["dane.insecure_mx", "dane.partial"], "{report:#?}");
    assert!(report.detail.dane.iter().all(|line| line.matches == Some(true)) && report.detail.dane.len() == 2, "{:?}", report.detail.dane);
    // Signed above, but these records are not: a delegation that is not signed.
    let unsigned: Vec<(&str, &str)> = records.iter().copied().filter(|(_, record)| !record.starts_with("RRSIG")).collect();
    let dns = Server::start(&unsigned, &[]).await;
    let report = look(&authority.net(dns.address, false, None), Some(address), &looking(), &[Family::Dane]).await;
    assert!(found(&report, "dane.tlsa_without_dnssec").summary.contains("no signatures"));
    // Where the resolver passes no signatures on, that says nothing.
    let dns = Server::start(&unsigned, &[("", Say::Code(ResponseCode::NoError))]).await;
    let report = look(&authority.net(dns.address, false, None), Some(address), &looking(), &[Family::Dane]).await;
    assert!(!rules(&report).contains(&"dane.tlsa_without_dnssec"), "{report:#?}");
}

#[tokio::test]
async fn tlsa_records_may_be_an_alias_and_a_slow_host_costs_only_itself() {
    let authority = Authority::new();
    let issued = authority.issue("mx.e.example", |_| {});
    let (address, _) = smtp(Some(&issued), "127.0.0.1:0").await;
    let (_, ds) = key_and_ds("e.example");
    let records = [
        ("e.example", "MX 10 mx.e.example".to_owned()),
        ("e.example", format!("DS {ds}")),
        ("e.example", format!("RRSIG {}", rrsig(RecordType::MX, -99, 99))),
        ("mx.e.example", "A 127.0.0.1".to_owned()),
        ("_25._tcp.mx.e.example", "CNAME dane.e.example".to_owned()),
        ("dane.e.example", format!("TLSA {}", record(&issued, 0, 3))),
        ("dane.e.example", format!("RRSIG {}", rrsig(RecordType::TLSA, -99, 99))),
    ];
    let records: Vec<(&str, &str)> = records.iter().map(|(name, record)| (*name, record.as_str())).collect();
    let dns = Server::start(&records, &[]).await;
    let net = authority.net(dns.address, false, None);
    let report = look(&net, Some(address), &looking(), &[Family::Dane]).await;
    assert_eq!((rules(&report), report.detail.dane[0].matches), (vec!["dane.no_rollover"], Some(true)), "{report:#?}");
    let fix = report.findings[0].record.as_ref().unwrap();
    assert_eq!((fix.name.as_str(), &fix.value), ("_25._tcp.mx.e.example", &record(&issued, 1, 2)));
    // It takes the connection and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hasty = AuditOptions { deadline: Duration::from_millis(1500), ..looking() };
    let report = look(&net, Some(silent.local_addr().unwrap()), &hasty, &[Family::Dane]).await;
    assert_eq!((rules(&report), report.unknown.len(), report.detail.dane[0].matches), (vec!["dane.no_rollover"], 1, None), "{report:#?}");
    assert!(report.unknown[0].reason.contains("in time"), "{:?}", report.unknown);
}

async fn dnssec(records: &[(&str, String)], others: &[(&str, Say)], trusted: bool) -> AuditReport {
    let mut records: Vec<(&str, &str)> = records.iter().map(|(name, record)| (*name, record.as_str())).collect();
    records.push(("mx.e.example", "A 127.0.0.1"));
    if !others.iter().any(|(name, _)| *name == "e.example") {
        records.extend([("e.example", "MX 10 mx.e.example"), ("e.example", "SOA ns.e.example")]);
    }
    let dns = Server::start(&records, others).await;
    look(&dns.net_with(trusted), None, &AuditOptions::default(), &[Family::Dnssec]).await
}

fn signed_zone(keys_from: i64, keys_until: i64, soa_until: i64) -> Vec<(&'static str, String)> {
    let (key, ds) = key_and_ds("e.example");
    vec![
        ("e.example", format!("DS {ds}")),
        ("e.example", format!("DNSKEY {key}")),
        ("e.example", format!("RRSIG {}", rrsig(RecordType::DNSKEY, keys_from, keys_until))),
        ("e.example", format!("RRSIG {}", rrsig(RecordType::SOA, keys_from, soa_until))),
    ]
}

#[tokio::test]
async fn a_signed_zone_is_fine_until_its_signatures_end() {
    for (from, keys, soa, rule) in [
        (-200, 200, 200, None),
        // Made on the fly: short, and always so.
        (-1, 20, 2, None),
        (-24, 25, 25, None),
        (-22, 2, 2, None),
        (-400, 30, 200, None),
        (-400, 10, 200, Some("dnssec.signature_expiring")),
        (-400, 200, 10, Some("dnssec.signature_expiring")),
        (-400, 200, -2, Some("dnssec.bogus")),
        (-400, -2, 200, Some("dnssec.bogus")),
    ] {
        let report = dnssec(&signed_zone(from, keys, soa), &[], false).await;
        assert_eq!(rules(&report), rule.into_iter().collect::<Vec<_>>(), "{from} {keys} {soa}: {report:#?}");
        let word = if rule == Some("dnssec.bogus") { "Broken" } else { "Signed" };
        assert_eq!(report.checks["dnssec"].word, word);
        assert!(report.unknown.is_empty() && report.records["dnssec"].len() == 2, "{report:#?}");
    }
}

#[tokio::test]
async fn a_ds_needs_its_key() {
    let (other, _) = key_and_ds("x.example");
    let (_, wrong) = key_and_ds("x.example");
    let stripped = || [("", Say::Code(ResponseCode::NoError))];
    let mut zone = signed_zone(-9, 200, 200);
    zone[0].1 = format!("DS {wrong}");
    assert_eq!(rules(&dnssec(&zone, &[], false).await), ["dnssec.ds_without_key"]);
    let report = dnssec(&zone, &stripped(), false).await;
    assert_eq!((rules(&report), report.unknown.len()), (Vec::new(), 1));
    // A digest that nobody knows makes no promise.
    zone[0].1 = format!("DS {}63{}", &wrong[..6], &wrong[8..]);
    assert_eq!(rules(&dnssec(&zone, &[], false).await), Vec::<&str>::new());
    let bare = vec![signed_zone(-9, 200, 200).remove(0)];
    let report = dnssec(&bare, &[], false).await;
    assert!(found(&report, "dnssec.ds_without_key").summary.contains("has no DNSKEY"));
    let unsigned = &signed_zone(-9, 200, 200)[..2];
    assert!(found(&dnssec(unsigned, &[], false).await, "dnssec.bogus").summary.contains("no signatures"));
    let report = dnssec(unsigned, &stripped(), false).await;
    assert_eq!((rules(&report), report.checks["dnssec"].word.as_str()), (Vec::new(), "Signed"));
    // Signed without a DS.
    let report = dnssec(&[("e.example", format!("DNSKEY {other}"))], &[], false).await;
    let fix = found(&report, "dnssec.no_ds").record.as_ref().unwrap();
    assert!(fix.kind == "DS" && fix.value.contains(" 13 2 "), "{fix:?}");
    assert_eq!(rules(&dnssec(&[], &[], false).await), ["dnssec.unsigned"]);
    let report = dnssec(&[], &stripped(), false).await;
    assert_eq!((rules(&report), report.unknown.len(), report.checks["dnssec"].word.as_str()), (Vec::new(), 1, "No answer"));
}

#[tokio::test]
async fn weak_algorithms_and_digests() {
    let (_, ds) = key_and_ds("e.example");
    for (ds, weak) in [(ds.clone(), false), (format!("{}07{}", &ds[..4], &ds[6..]), true), (format!("{}01{}", &ds[..6], &ds[8..]), true)] {
        let mut zone = signed_zone(-9, 200, 200);
        zone[0].1 = format!("DS {ds}");
        assert_eq!(rules(&dnssec(&zone, &[], false).await).contains(&"dnssec.weak_algorithm"), weak, "{ds}");
    }
}

#[tokio::test]
async fn what_a_validating_resolver_refuses_is_bogus() {
    let zone: Vec<String> = signed_zone(-9, 200, 200).into_iter().map(|(_, record)| record).chain(["SOA ns.e.example".to_owned()]).collect();
    for (code, words) in [(7, Some("its signatures have expired")), (6, Some("do not hold")), (22, None), (23, None)] {
        let dns = Server::start(&[], &[("e.example", Say::Bogus(code, zone.clone()))]).await;
        let report = look(&dns.net(), None, &AuditOptions::default(), &[Family::Dnssec]).await;
        let bogus = report.findings.iter().find(|finding| finding.rule == "dnssec.bogus");
        assert_eq!(bogus.is_some(), words.is_some(), "{code}: {report:#?}");
        assert!(words.is_none_or(|words| bogus.unwrap().summary.contains(words)), "{bogus:?}");
    }
}

const STS: &str = "TXT v=STSv1; id=1;";

/// A domain with this policy, and what its MX host shows.
async fn sts(authority: &Authority, policy: String, smtp: Option<SocketAddr>, options: &AuditOptions) -> AuditReport {
    let records = [
        ("e.example", "MX 10 mx.e.example"),
        ("mx.e.example", "A 127.0.0.1"),
        ("_mta-sts.e.example", "CNAME policy.provider.example"),
        ("policy.provider.example", STS),
        ("mta-sts.e.example", "A 127.0.0.1"),
    ];
    let dns = Server::start(&records, &[]).await;
    let issued = authority.issue("mta-sts.e.example", |_| {});
    let https = issued.https(move |path| {
        assert_eq!(path, "/.well-known/mta-sts.txt");
        policy.clone()
    });
    let net = authority.net(dns.address, false, Some(https.await));
    look(&net, smtp, options, &[Family::MtaSts]).await
}

fn policy(mode: &str, mx: &str) -> String {
    http_answer("200 OK", "Content-Type: text/plain\r\n", &format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 604800\r\n"))
}

#[tokio::test]
async fn a_policy_that_is_kept_to_is_fine() {
    let authority = Authority::new();
    let issued = authority.issue("mx.e.example", |_| {});
    let (address, count) = smtp(Some(&issued), "127.0.0.1:0").await;
    let report = sts(&authority, policy("enforce", "*.e.example"), Some(address), &looking()).await;
    assert_eq!((rules(&report), report.unknown.len(), count.load(Ordering::Relaxed)), (Vec::new(), 0, 1), "{report:#?}");
    let shown = &report.detail.certificates[0];
    assert!(shown.trusted && shown.name_matches && shown.problem.is_none() && shown.expires.is_some());
    let detail = report.detail.mta_sts.unwrap();
    assert_eq!((detail.id.as_str(), detail.mode.as_str(), detail.max_age, detail.mx), ("1", "enforce", 604_800, vec!["*.e.example".to_owned()]));
    assert_eq!(report.records["mta_sts"], ["v=STSv1; id=1;", "version: STSv1\nmode: enforce\nmx: *.e.example\nmax_age: 604800"]);
}

#[tokio::test]
async fn certificates_are_held_against_the_policy() {
    let (authority, other) = (Authority::new(), Authority::new());
    let cases = [
        (Some(authority.issue("mx.e.example", old)), "expired on 2021-01-01"),
        (Some(authority.issue("other.example", |_| {})), "does not name mx.e.example"),
        (Some(other.issue("mx.e.example", |_| {})), "not trusted"),
        (None, "does not offer STARTTLS"),
    ];
    for (issued, words) in cases {
        for (mode, severity) in
            [("enforce", Some(waypost_types::Severity::Critical)), ("testing", Some(waypost_types::Severity::Medium)), ("none", None)]
        {
            let (address, count) = smtp(issued.as_ref(), "127.0.0.1:0").await;
            let report = sts(&authority, policy(mode, "mx.e.example"), Some(address), &looking()).await;
            assert_eq!(rules(&report), severity.map(|_| "mtasts.cert_invalid").into_iter().collect::<Vec<_>>(), "{mode} {words}: {report:#?}");
            assert_eq!(count.load(Ordering::Relaxed) > 0, severity.is_some());
            if let Some(severity) = severity {
                let finding = &report.findings[0];
                assert!(finding.severity == severity && finding.summary.contains(words), "{finding:?}");
                assert!(report.detail.certificates[0].problem.as_ref().unwrap().contains(words));
            }
        }
    }
    // Nothing listens: unknown.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let report = sts(&authority, policy("enforce", "mx.e.example"), Some(free), &looking()).await;
    assert_eq!((rules(&report), report.unknown.len()), (Vec::new(), 1), "{report:#?}");
}

#[tokio::test]
async fn policies_that_do_not_reach_senders() {
    let authority = Authority::new();
    let large = http_answer("200 OK", "Content-Type: text/plain\r\n", &"x".repeat(70_000));
    let odd = policy("testing", "mx.e.example").replace("text/plain", "text/html");
    for (answer, rule, words) in [
        (http_answer("301 Moved", "Location: https://www.e.example/\r\n", ""), "mtasts.policy_unreachable", "redirect (status 301)"),
        (http_answer("404 Not Found", "", ""), "mtasts.policy_unreachable", "status 404"),
        (large, "mtasts.policy_syntax", "larger than 64 KiB"),
        (policy("enforced", "mx.e.example"), "mtasts.policy_syntax", "enforced is none of"),
        (odd, "mtasts.policy_type", "text/html"),
        (policy("testing", "mx.e.example\r\nmx: old.e.example"), "mtasts.mx_unused", "names old.e.example, which no MX"),
        (policy("enforce", "mx.other.example\r\nmx: *.e.example"), "mtasts.mx_unused", "mx.other.example"),
        (policy("testing", "mx.e.example").replace("604800", "000600"), "mtasts.max_age_short", "600 s"),
    ] {
        let report = sts(&authority, answer, None, &AuditOptions::default()).await;
        assert_eq!(rules(&report), [rule], "{report:#?}");
        assert!(report.findings[0].summary.contains(words), "{:?}", report.findings[0]);
    }
    let report = sts(&authority, policy("enforce", "mail.e.example"), None, &AuditOptions::default()).await;
    assert_eq!(rules(&report), ["mtasts.mx_mismatch", "mtasts.mx_unused"]);
    assert!(report.findings[0].severity == waypost_types::Severity::Critical && report.findings[0].fix.contains("mx: mx.e.example"));
    let report = sts(&authority, policy("testing", "mail.e.example"), None, &AuditOptions::default()).await;
    assert_eq!(found(&report, "mtasts.mx_mismatch").severity, waypost_types::Severity::Medium);
}

#[tokio::test]
async fn records_that_senders_pass_over() {
    let mx = [("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 127.0.0.1"), ("mta-sts.e.example", "A 127.0.0.1")];
    let owner = "_mta-sts.e.example";
    let authority = Authority::new();
    let https = authority.issue("mta-sts.e.example", |_| {}).https(|_| policy("enforce", "mx.e.example")).await;
    for (records, words) in [
        (vec!["TXT v=STSv1; id=1;", "TXT v=STSv1; id=2;"], Some("has 2 MTA-STS records")),
        (vec!["TXT v=STSv1; id=1;", "TXT v=stsv1; id=2;"], None),
        (vec!["TXT v=stsv1; id=1;"], Some("must begin with v=STSv1;")),
        (vec!["TXT v=STSv1; id=1-1;"], Some("letters and digits")),
        (vec!["TXT v=STSv1; id=1", "TXT other"], None),
    ] {
        let records: Vec<(&str, &str)> = mx.into_iter().chain(records.into_iter().map(|record| (owner, record))).collect();
        let dns = Server::start(&records, &[]).await;
        let report = look(&authority.net(dns.address, false, Some(https)), None, &AuditOptions::default(), &[Family::MtaSts]).await;
        assert_eq!(rules(&report), words.map(|_| "mtasts.txt_syntax").into_iter().collect::<Vec<_>>(), "{records:?}");
        assert!(words.is_none_or(|words| report.findings[0].summary.contains(words)), "{:?}", report.findings);
    }
    for (extra, missing) in [(("x.e.example", "A 127.0.0.1"), true), (("_25._tcp.mx.e.example", "TLSA ab"), false), ((owner, STS), false)] {
        let dns = Server::start(&[&mx[..], &[extra]].concat(), &[]).await;
        let report = look(&authority.net(dns.address, false, Some(https)), None, &AuditOptions::default(), &[Family::MtaSts]).await;
        assert_eq!(rules(&report).contains(&"mtasts.missing"), missing, "{extra:?}");
    }
}

#[tokio::test]
async fn what_was_seen_before_is_held_against_what_is_there_now() {
    let authority = Authority::new();
    let now = Utc::now();
    let text = |mode: &str, mx: &str| format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 604800");
    let with = |record: &str, policy: String, days: i64| {
        let since = now - chrono::Duration::days(days);
        let records = vec![(record.to_owned(), since), (policy, since)];
        AuditOptions { known: Known { records: [("mta_sts".to_owned(), records)].into() }, ..AuditOptions::default() }
    };
    for (known, rule) in [
        (with("v=STSv1; id=1;", text("testing", "mx.e.example"), 10), None),
        (with("v=STSv1; id=1;", text("testing", "mx.e.example"), 91), Some("mtasts.testing_long")),
        (with("v=STSv1; id=1;", text("testing", "mx.e.example").replace('\n', " / "), 91), Some("mtasts.testing_long")),
        (with("v=STSv1; id=1;", text("enforce", "mx.e.example"), 10), Some("mtasts.id_stale")),
        (with("v=STSv1; id=1;", text("testing", "*.e.example"), 10), Some("mtasts.id_stale")),
        (with("v=STSv1; id=0;", text("testing", "*.e.example"), 10), None),
        (with("v=STSv1; id=0;", text("testing", "MX.e.example"), 10), Some("mtasts.id_changed_alone")),
        (AuditOptions::default(), None),
    ] {
        let report = sts(&authority, policy("testing", "mx.e.example"), None, &known).await;
        assert_eq!(rules(&report), rule.into_iter().collect::<Vec<_>>(), "{known:?}");
    }
}

#[tokio::test]
async fn an_audit_asks_each_host_once_whoever_wants_to_know() {
    let authority = Authority::new();
    let issued = authority.issue("mx.e.example", |_| {});
    let (address, count) = smtp(Some(&issued), "127.0.0.1:0").await;
    let tlsa = [format!("TLSA {}", record(&issued, 0, 3)), format!("TLSA {}", record(&issued, 1, 2))];
    let records = [
        ("e.example", "MX 10 mx.e.example"),
        ("mx.e.example", "A 127.0.0.1"),
        ("_mta-sts.e.example", STS),
        ("mta-sts.e.example", "A 127.0.0.1"),
        ("_smtp._tls.e.example", "TXT v=TLSRPTv1; rua=mailto:t@e.example"),
    ];
    let dns = Server::start(&records, &[("_25._tcp.mx.e.example", Say::Vouched(tlsa.to_vec()))]).await;
    let https = authority.issue("mta-sts.e.example", |_| {}).https(|_| policy("enforce", "mx.e.example")).await;
    let net = authority.net(dns.address, true, Some(https));
    let families = [Family::Dane, Family::MtaSts, Family::TlsRpt];
    for _ in 0..2 {
        let report = look(&net, Some(address), &looking(), &families).await;
        assert_eq!((rules(&report), report.unknown.len(), report.detail.certificates.len()), (vec!["dane.insecure_mx"], 0, 1), "{report:#?}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 1, "the second audit makes do with what the first has seen");
}

#[tokio::test]
async fn tls_reports_are_wanted_where_there_is_a_policy() {
    let mx = [("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 127.0.0.1")];
    let one = ("_smtp._tls.e.example", "TXT v=TLSRPTv1; rua=mailto:t@e.example");
    let tlsa = ("_25._tcp.mx.e.example", "TLSA ab");
    for (extra, rule, words) in [
        (vec![], None, ""),
        (vec![("_mta-sts.e.example", STS)], Some("tlsrpt.missing"), "MTA-STS is set"),
        (vec![tlsa], Some("tlsrpt.missing"), "DANE is set"),
        (vec![("_mta-sts.e.example", STS), tlsa], Some("tlsrpt.missing"), "MTA-STS and DANE are set"),
        (vec![one, tlsa], None, ""),
        (vec![one, ("_smtp._tls.e.example", "TXT v=TLSRPTv1; rua=mailto:u@e.example")], Some("tlsrpt.syntax"), "has 2"),
        // What does not begin as it must is no record to senders.
        (vec![one, ("_smtp._tls.e.example", "TXT v=tlsrptv1; rua=mailto:u@e.example")], None, ""),
        (vec![("_smtp._tls.e.example", "TXT v=TLSRPTv1; rua=t@e.example")], Some("tlsrpt.syntax"), "neither mailto"),
        (vec![("_smtp._tls.e.example", "TXT v=TLSRPTv1; rua=mailto:t@gone.example")], Some("tlsrpt.rua_no_mx"), "gone.example takes no mail"),
        (vec![("_smtp._tls.e.example", "TXT v=TLSRPTv1; rua=https://gone.example/x")], None, ""),
    ] {
        let dns = Server::start(&[&mx[..], &extra].concat(), &[]).await;
        let report = look(&dns.net(), None, &AuditOptions::default(), &[Family::TlsRpt]).await;
        assert_eq!(rules(&report), rule.into_iter().collect::<Vec<_>>(), "{extra:?}");
        assert!(rule.is_none() || report.findings[0].summary.contains(words), "{:?}", report.findings);
    }
    let dns = Server::start(&mx, &[("_smtp._tls.e.example", Say::Code(ResponseCode::ServFail))]).await;
    let report = look(&dns.net(), None, &AuditOptions::default(), &[Family::TlsRpt]).await;
    assert_eq!((rules(&report), report.unknown.len()), (Vec::new(), 1));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_said_to_be_so() {
    let dns = Server::start(&[], &[]).await;
    let families = [Family::MtaSts, Family::TlsRpt, Family::Dane, Family::Dnssec];
    let report = look(&dns.net(), None, &looking(), &families).await;
    assert!(report.checks.values().all(|check| check.word == "No such domain") && report.checks.len() == 4, "{report:#?}");
}
