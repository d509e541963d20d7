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
    authority::{Authority, Issued, smtp},
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
        (-400, 30, 200, None),
        (-400, 10, 200, Some("dnssec.signature_expiring")),
        (-400, 200, 10, Some("dnssec.signature_expiring")),
        (-400, 200, -2, Some("dnssec.bogus")),
        (-400, -2, 200, Some("dnssec.bogus")),
    ] {
        let report = dnssec(&signed_zone(from, keys, soa), &[], false).await;
        assert_eq!(rules(&report), rule.into_iter().collect::<Vec<_>>(), "{from} {keys} {soa}: {report:#?}");
        let word = if rule.is_none() { "Signed" } else { "Broken" };
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
        let facts = Facts { domain: "e.example".parse().unwrap(), hosts: Vec::new(), nxdomain: false, null_mx: false, receives: true };
        let part = dnssec::check(&dns.net(), &facts, &AuditOptions::default()).await;
        let bogus = part.findings.iter().find(|finding| finding.rule == "dnssec.bogus");
        assert_eq!(bogus.is_some(), words.is_some(), "{code}: {part:?}");
        assert!(words.is_none_or(|words| bogus.unwrap().summary.contains(words)), "{bogus:?}");
    }
}
