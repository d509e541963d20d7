//! The engine in the lab: what does not answer is unknown, odd and huge answers are read, and nothing is claimed that is not so. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use waypost_engine::audit::{AuditOptions, audit};
use waypost_engine::blacklist::{Lists, Scanner, Subject};
use waypost_engine::net::{DnsFailure, Lookup, Net, NetConfig, QueryFlags, RecordType};
use waypost_lab::{Lab, LabConfig, Lease, Signing, ZoneFault};
use waypost_types::Severity;
use waypost_types::outcome::{AuditReport, ListState};

/// A look that takes longer than this has no bound of its own.
const HANGS: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(9);

async fn lab() -> Lab {
    match Lab::start(LabConfig::default()).await {
        Ok(lab) => lab,
        Err(error) => panic!("{error}"),
    }
}

/// A network with no memory yet that asks the lab's resolver and believes its AD bit.
fn net(lab: &Lab) -> Net {
    let resolvers = vec![lab.ready.resolver.parse().unwrap()];
    Net::new(NetConfig { resolvers, trust_ad: true, ca_file: Some((&lab.ready.ca_file).into()), ..NetConfig::default() }).unwrap()
}

async fn look(lab: &Lab, domain: &str) -> AuditReport {
    let options = AuditOptions { look_at_certificates: true, deadline: DEADLINE, ..AuditOptions::default() };
    tokio::time::timeout(HANGS, audit(&net(lab), &domain.parse().unwrap(), &options)).await.expect("an audit within its limit")
}

fn has(report: &AuditReport, rule: &str) -> bool {
    report.findings.iter().any(|finding| finding.rule == rule)
}

/// What would make somebody act: the rules of medium severity and worse.
fn alarms(report: &AuditReport) -> Vec<&str> {
    report.findings.iter().filter(|finding| finding.severity >= Severity::Medium).map(|finding| finding.rule.as_str()).collect()
}

fn untold(report: &AuditReport) -> Vec<&str> {
    report.unknown.iter().map(|part| part.subject.as_str()).collect()
}

/// Adds a record to a lease.
async fn add(lab: &Lab, lease: &Lease, record: &str) {
    lab.client().add_record(&lease.zone, record).await.unwrap();
}

/// A TXT record of that many octets: a first part, filled up.
fn txt(owner: &str, start: &str, size: usize) -> String {
    let text = format!("{start}{}", "x".repeat(size - start.len()));
    let parts: Vec<String> = text.as_bytes().chunks(255).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    format!("{owner} 1 IN TXT {}", parts.join(" "))
}

#[tokio::test]
async fn a_healthy_domain_raises_no_alarm() {
    let lab = lab().await;
    let lease = lab.client().lease("fine").await.unwrap();
    let report = look(&lab, &lease.domain).await;
    // The lab is small: one network, one name server, addresses of loopback.
    let of_the_lab = |rule: &&str| rule.starts_with("ns.") || rule.starts_with("soa.") || rule.contains("private") || rule.starts_with("ptr.");
    let alarms: Vec<&str> = alarms(&report).into_iter().filter(|rule| !of_the_lab(rule)).collect();
    assert!(alarms.is_empty(), "{alarms:?}: {report:#?}");
    assert!(has(&report, "dnssec.unsigned") && !has(&report, "dnssec.bogus"), "{:?}", report.checks);
    for family in ["mx", "spf", "dkim", "dmarc", "mta_sts", "tls_rpt"] {
        assert!(report.records.contains_key(family), "{family}: {:?}", report.records);
    }
    assert!(report.score.is_some(), "{report:#?}");
}

#[tokio::test]
async fn name_servers_that_fail_prove_nothing() {
    let lab = lab().await;
    let client = lab.client();
    let lease = client.lease("failing").await.unwrap();
    let nothing_claimed = |report: &AuditReport, case: &str| {
        assert!(report.findings.iter().all(|finding| !finding.rule.ends_with(".missing")), "{case}: {:?}", report.findings);
        assert_eq!(alarms(report), [""; 0], "{case}: {:?}", report.findings);
        for part in ["mx", "spf", "dmarc"] {
            assert!(untold(report).contains(&part), "{case}: {part} is in none of {:?}", report.unknown);
        }
        assert_eq!((report.score, report.grade.as_deref()), (None, None), "{case}");
    };
    for fault in [ZoneFault::Servfail, ZoneFault::Refused, ZoneFault::Timeout] {
        client.zone_fault(&lease.zone, fault).await.unwrap();
        nothing_claimed(&look(&lab, &lease.domain).await, &format!("{fault:?}"));
        client.zone_fault(&lease.zone, ZoneFault::None).await.unwrap();
    }
    // A delegation to a server that does not know the zone.
    let lame = format!("127.{}.0.58", lab.ready.slot);
    for record in ["sub 1 IN NS ns.sub".to_owned(), format!("ns.sub 1 IN A {lame}")] {
        add(&lab, &lease, &record).await;
    }
    let sub = look(&lab, &format!("sub.{}", lease.domain)).await;
    assert_eq!(alarms(&sub), ["ns.no_answer"], "{:?}", sub.findings);
    assert!(sub.unknown.iter().filter(|part| ["mx", "spf", "dmarc"].contains(&part.subject.as_str())).count() >= 3, "{:?}", sub.unknown);
    let reasons: BTreeSet<&str> = sub.unknown.iter().map(|part| part.reason.as_str()).collect();
    assert_eq!(reasons.len(), 1, "one reason for all of it: {reasons:?}");
    client.resolver_dead(true).await.unwrap();
    nothing_claimed(&look(&lab, &lease.domain).await, "no resolver");
    client.resolver_dead(false).await.unwrap();
    assert!(!untold(&look(&lab, &lease.domain).await).contains(&"spf"), "after all of it");
}

#[tokio::test]
async fn answers_that_udp_can_not_carry_are_read() {
    let lab = lab().await;
    let lease = lab.client().lease("large").await.unwrap();
    let selector = format!("huge._domainkey.{}", lease.domain);
    add(&lab, &lease, &txt("@", "verification=", 4096)).await;
    add(&lab, &lease, &txt("huge._domainkey", "v=DKIM1; p=", 64_000)).await;
    for number in 0..300 {
        if number % 100 == 0 {
            // Not one by one: each edit is shown before the next.
            let records: Vec<String> = (number..number + 100).map(|n| format!("many 1 IN MX {n} mx{n}.many")).collect();
            add_all(&lab, &lease, &records).await;
        }
    }
    let net = net(&lab);
    let found = |lookup: Lookup<Vec<u8>>| lookup.found().iter().map(Vec::len).max().unwrap_or(0);
    assert_eq!(found(net.dns().txt(&lease.domain).await), 4096);
    assert_eq!(found(net.dns().txt(&selector).await), 64_000);
    assert_eq!(net.dns().mx(&format!("many.{}", lease.domain)).await.found().len(), 300);
    let report = look(&lab, &lease.domain).await;
    assert!(!has(&report, "spf.missing") && report.records.contains_key("spf"), "{report:#?}");
    let options = AuditOptions { selectors: vec!["huge".to_owned()], deadline: DEADLINE, ..AuditOptions::default() };
    let report = tokio::time::timeout(HANGS, audit(&net, &lease.domain.parse().unwrap(), &options)).await.expect("a bound on keys");
    assert!(!untold(&report).contains(&"dmarc"), "{report:#?}");
    let many = look(&lab, &format!("many.{}", lease.domain)).await;
    assert!(!many.mx_hosts.is_empty() && many.mx_hosts.len() <= 300 && many.records.contains_key("mx"), "{:?}", many.checks);
}

async fn add_all(lab: &Lab, lease: &Lease, records: &[String]) {
    let state: serde_json::Value = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(format!("{}/dns/{}", lab.ready.control, lease.zone))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut all: Vec<&str> = state["records"].as_array().unwrap().iter().filter_map(|record| record.as_str()).collect();
    all.extend(records.iter().map(String::as_str));
    lab.client().set_zone(&lease.zone, &all).await.unwrap();
}

#[tokio::test]
async fn wildcards_and_loops_make_no_records() {
    let lab = lab().await;
    let lease = lab.client().lease("wild").await.unwrap();
    lab.client()
        .set_zone(
            &lease.zone,
            &["@ 1 IN MX 10 mx", "mx 1 IN A 192.0.2.25", "@ 1 IN TXT \"v=spf1 mx -all\"", "* 1 IN TXT \"anything\"", "* 1 IN A 192.0.2.1"],
        )
        .await
        .unwrap();
    let report = look(&lab, &lease.domain).await;
    // A text that is no such record leaves the record missing, and makes no broken one.
    assert!(has(&report, "dmarc.missing"), "{report:#?}");
    // That keys can not be told from the wildcard is so, and is said.
    let invented: Vec<&str> = alarms(&report)
        .into_iter()
        .filter(|rule| ["dkim.", "bimi.", "mtasts.", "tlsrpt."].iter().any(|family| rule.starts_with(family)))
        .filter(|rule| *rule != "dkim.wildcard" && !rule.ends_with(".missing"))
        .collect();
    assert!(invented.is_empty(), "{invented:?}: {:#?}", report.findings);

    let lease = lab.client().lease("loop").await.unwrap();
    lab.client().remove_records(&lease.zone, "_dmarc", None, None).await.unwrap();
    for record in ["_dmarc 1 IN CNAME one", "one 1 IN CNAME two", "two 1 IN CNAME one", "@ 1 IN TXT \"other\""] {
        add(&lab, &lease, record).await;
    }
    let report = look(&lab, &lease.domain).await;
    assert!(!has(&report, "dmarc.missing") && untold(&report).contains(&"dmarc"), "{report:#?}");
}

#[tokio::test]
async fn signatures_are_told_good_from_bad() {
    let lab = lab().await;
    let client = lab.client();
    let net = net(&lab);
    let flags = QueryFlags { recursion: true, dnssec_ok: true, checking_disabled: false };
    let valid = client.lease_signed("valid", Signing::Valid).await.unwrap();
    let answer = net.query(None, &valid.domain, RecordType::MX, flags).await.unwrap();
    assert!(answer.code == 0 && answer.authentic, "{answer:?}");
    let report = look(&lab, &valid.domain).await;
    assert!(!has(&report, "dnssec.bogus") && !has(&report, "dnssec.unsigned"), "{:?}", report.findings);
    assert_eq!(report.checks["dnssec"].word, "Validated");
    // The TLSA record pins the key that Postfix shows, and DNSSEC vouches for it.
    assert!(
        report.records.contains_key("dane") && !has(&report, "dane.mismatch") && !has(&report, "dane.tlsa_without_dnssec"),
        "{:?}",
        report.findings
    );

    for signing in [Signing::Bogus, Signing::Expired] {
        let broken = client.lease_signed("broken", signing).await.unwrap();
        let answer = net.query(None, &broken.domain, RecordType::MX, flags).await.unwrap();
        assert!(answer.code == 2 && !answer.extended.is_empty(), "{signing:?}: {answer:?}");
        let report = look(&lab, &broken.domain).await;
        assert!(has(&report, "dnssec.bogus"), "{signing:?}: {report:#?}");
        assert!(report.findings.iter().all(|finding| !finding.rule.ends_with(".missing")), "{signing:?}: {:?}", report.findings);
        client.sign_zone(&broken.zone, Signing::Valid).await.unwrap();
        assert!(!has(&look(&lab, &broken.domain).await, "dnssec.bogus"), "{signing:?}, mended");
        client.give_back(&broken.domain).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_pin_is_seen() {
    let lab = lab().await;
    let client = lab.client();
    let lease = client.lease_signed("pinned", Signing::Valid).await.unwrap();
    let owner = format!("_25._tcp.{}", lease.mx_host.split_once('.').unwrap().0);
    assert_eq!(client.remove_records("dnssec.test", &owner, Some("TLSA"), None).await.unwrap(), 1);
    client.add_record("dnssec.test", &format!("{owner} 1 IN TLSA 3 1 1 {}", "ab".repeat(32))).await.unwrap();
    let report = look(&lab, &lease.domain).await;
    assert!(has(&report, "dane.mismatch"), "{:?} {:?}", report.findings, report.unknown);
}

#[tokio::test]
async fn a_server_that_missed_a_change_is_told() {
    let lab = lab().await;
    let lease = lab.client().lease("stale").await.unwrap();
    for record in ["@ 1 IN NS ns2".to_owned(), format!("ns2 1 IN A 127.{}.0.59", lab.ready.slot)] {
        add(&lab, &lease, &record).await;
    }
    let net = net(&lab);
    let serial = async |server: u8| {
        let server = format!("127.{}.0.{server}:53", lab.ready.slot).parse().unwrap();
        let answer = net.query(Some(server), &lease.domain, RecordType::SOA, QueryFlags::default()).await.unwrap();
        answer.answers.iter().find_map(|record| record.data.to_string().split(' ').nth(2)?.parse::<u32>().ok()).unwrap()
    };
    assert_eq!(serial(54).await, serial(59).await + 1);
    let report = look(&lab, &lease.domain).await;
    assert!(has(&report, "soa.serial_mismatch"), "{:?} {:?}", report.findings, report.unknown);
}

#[tokio::test]
async fn a_listing_is_told_from_a_list_that_can_not_be_believed() {
    let lab = lab().await;
    let client = lab.client();
    let (bad4, bad6): (IpAddr, IpAddr) = ("192.0.2.66".parse().unwrap(), "2001:db8::66".parse().unwrap());
    for (zone, entry, code) in [
        ("zen.spamhaus.org", bad4.to_string(), "127.0.0.4"),
        ("zen.spamhaus.org", bad6.to_string(), "127.0.0.2"),
        ("dbl.spamhaus.org", "bad.example".to_owned(), "127.0.1.2"),
    ] {
        client.list_as(zone, entry, code.parse().unwrap()).await.unwrap();
    }
    let net = net(&lab);
    let scanner = Scanner::new(&net);
    let zones = ["zen.spamhaus.org", "dbl.spamhaus.org", "dnsbl.zapbl.net", "refusing.bl.test", "silent.bl.test"].map(str::to_owned);
    let subjects: Vec<Subject> = [bad4, "192.0.2.1".parse().unwrap(), bad6, "2001:db8::1".parse().unwrap()]
        .into_iter()
        .map(Subject::from)
        .chain(["bad.example", "fine.example"].map(|name| Subject::from(name.parse::<waypost_types::DomainName>().unwrap())))
        .collect();
    let lists = Lists::named(&zones, &BTreeMap::new());
    let report = tokio::time::timeout(HANGS * 2, scanner.scan(&subjects, &lists, DEADLINE)).await.expect("a scan within its limit");
    let state =
        |subject: &str, zone: &str| report.entries.iter().find(|entry| entry.subject == subject && entry.zone == zone).map(|entry| entry.state);
    for (subject, zone, expected) in [
        ("192.0.2.66", "zen.spamhaus.org", ListState::Listed),
        ("192.0.2.1", "zen.spamhaus.org", ListState::Clean),
        ("2001:db8::66", "zen.spamhaus.org", ListState::Listed),
        ("2001:db8::1", "zen.spamhaus.org", ListState::Clean),
        ("bad.example", "dbl.spamhaus.org", ListState::Listed),
        ("fine.example", "dbl.spamhaus.org", ListState::Clean),
        ("192.0.2.66", "dnsbl.zapbl.net", ListState::Unknown),
        ("192.0.2.66", "refusing.bl.test", ListState::Unknown),
        ("192.0.2.66", "silent.bl.test", ListState::Unknown),
    ] {
        assert_eq!(state(subject, zone), Some(expected), "{subject} at {zone}: {:#?}", report.entries);
    }
    assert!(report.entries.iter().all(|entry| entry.state != ListState::Unknown || !entry.reason.is_empty()), "{:#?}", report.entries);
    client.zone_fault("zen.spamhaus.org", ZoneFault::Timeout).await.unwrap();
    let report = Scanner::new(&net)
        .scan(&[Subject::from("192.0.2.200".parse::<IpAddr>().unwrap())], &Lists::named(&zones[..1], &BTreeMap::new()), DEADLINE)
        .await;
    assert!(report.entries.iter().all(|entry| entry.state == ListState::Unknown), "{:#?}", report.entries);
}

#[tokio::test]
async fn names_that_dns_can_not_carry_are_no_absence() {
    let lab = lab().await;
    assert_eq!(net(&lab).dns().txt("a..b").await, Lookup::Failed(DnsFailure::BadName("a..b".to_owned())));
}
