//! Zones that are signed, wrongly signed and not signed.

use super::*;

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
