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
        // Not valid yet; a clock that is off by minutes is not meant.
        (3, 200, 200, Some("dnssec.bogus")),
        (0, 200, 200, None),
    ] {
        let report = dnssec(&signed_zone(from, keys, soa), &[], false).await;
        assert_eq!(rules(&report), rule.into_iter().collect::<Vec<_>>(), "{from} {keys} {soa}: {report:#?}");
        let word = match rule {
            None => "Signed",
            Some("dnssec.bogus") => "Broken",
            // In the colour of trouble the plain fact would be a riddle.
            Some(_) => "1 critical",
        };
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
async fn a_zone_delegated_without_a_ds_is_not_signed_by_what_is_above() {
    let zone = signed_zone(-9, 200, 200);
    let mut records: Vec<(&str, &str)> = zone.iter().map(|(name, record)| (*name, record.as_str())).collect();
    records.extend([("e.example", "NS ns.e.example"), ("e.example", "SOA ns.e.example"), ("sub.e.example", "MX 10 mx.e.example")]);
    let of_sub = async |more: &[(&str, &str)], others: &[(&str, Say)]| {
        let dns = Server::start(&[&records, more].concat(), others).await;
        audit_families(&dns.net(), &"sub.e.example".parse().unwrap(), &AuditOptions::default(), &[Family::Dnssec]).await
    };
    let report = of_sub(&[], &[]).await;
    assert_eq!((rules(&report), report.checks["dnssec"].word.as_str()), (Vec::new(), "Signed"), "in the zone above: {report:#?}");
    let cut = [("sub.e.example", "NS ns.other.example"), ("sub.e.example", "SOA ns.other.example")];
    let report = of_sub(&cut, &[]).await;
    assert_eq!((rules(&report), report.checks["dnssec"].word.as_str()), (vec!["dnssec.unsigned"], "Not signed"), "{report:#?}");
    let (key, _) = key_and_ds("sub.e.example");
    let key = format!("DNSKEY {key}");
    let report = of_sub(&[&cut[..], &[("sub.e.example", &key)]].concat(), &[]).await;
    assert_eq!(found(&report, "dnssec.no_ds").record.as_ref().unwrap().name, "sub.e.example");
    records.retain(|(name, _)| *name != "sub.e.example");
    // Nor can it be told where the servers may be an alias's, which begin no zone.
    for (kind, record) in [(RecordType::NS, "MX 10 mx.e.example"), (RecordType::CNAME, "NS ns.other.example")] {
        let fails = [("sub.e.example", Say::FailsFor(kind, vec![record.to_owned()]))];
        let dns = Server::start(&records, &fails).await;
        let report = audit_families(&dns.net(), &"sub.e.example".parse().unwrap(), &AuditOptions::default(), &[Family::Dnssec]).await;
        assert_eq!((rules(&report), report.unknown.len()), (Vec::new(), 1), "{kind}: {report:#?}");
    }
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
        // What is not proven is not fine either.
        assert_eq!(report.unknown.iter().any(|part| part.subject == "dnssec"), words.is_none(), "{code}: {report:#?}");
    }
}

#[tokio::test]
async fn a_resolver_that_fails_without_a_word_is_asked_again_before_it_counts() {
    let zone: Vec<String> = signed_zone(-9, 200, 200).into_iter().map(|(_, record)| record).chain(["SOA ns.e.example".to_owned()]).collect();
    let facts = Facts::of(&"e.example".parse().unwrap());
    let pause = Duration::from_millis(20);
    for (failures, deadline, bogus, untold) in [
        (u32::MAX, 9_000, true, None),
        (1, 9_000, false, Some("answers when it is asked again")),
        (u32::MAX, 1_000, false, Some("no time to ask again")),
        (0, 9_000, false, None),
    ] {
        let dns = Server::start(&[], &[("e.example", Say::FailsAtFirst(Arc::new(failures.into()), zone.clone()))]).await;
        let options = AuditOptions { deadline: Duration::from_millis(deadline), ..AuditOptions::default() };
        let part = crate::audit::dnssec::check_after(pause, &dns.net(), &facts, &options).await;
        assert_eq!(part.findings.iter().any(|finding| finding.rule == "dnssec.bogus"), bogus, "{failures} {part:#?}");
        assert_eq!(part.unknown.iter().any(|one| untold.is_some_and(|words| one.reason.contains(words))), untold.is_some(), "{failures} {part:#?}");
        assert!(untold.is_some() || part.unknown.is_empty(), "{part:#?}");
    }
}

#[tokio::test]
async fn questions_that_fail_decide_nothing_of_signatures() {
    // No DS, and whether there are keys is not told.
    let fails = [("e.example", Say::FailsFor(RecordType::DNSKEY, vec!["MX 10 mx.e.example".to_owned(), "SOA ns.e.example".to_owned()]))];
    let report = dnssec(&[], &fails, false).await;
    assert_eq!((rules(&report), report.unknown.len()), (Vec::new(), 1), "{report:#?}");
    // When the signatures over the SOA end is not told.
    let zone = signed_zone(-9, 200, 200).into_iter().map(|(_, record)| record).chain(["MX 10 mx.e.example".to_owned()]).collect();
    let report = dnssec(&[], &[("e.example", Say::FailsFor(RecordType::SOA, zone))], false).await;
    assert_eq!((rules(&report), report.checks["dnssec"].word.as_str()), (Vec::new(), "Signed"));
    assert!(report.unknown.iter().any(|part| part.subject == "dnssec"), "{report:#?}");
}
