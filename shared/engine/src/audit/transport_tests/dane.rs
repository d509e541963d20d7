//! TLSA records against chains that servers on loopback show.

use super::*;

/// A domain with one MX host whose TLSA records a trusted resolver vouches for.
async fn dane(authority: &Authority, smtp: Option<SocketAddr>, tlsa: &[String]) -> AuditReport {
    let tlsa = tlsa.iter().map(|record| format!("TLSA {record}")).collect();
    let others = [("_25._tcp.mx.e.example", Say::Vouched(tlsa)), ("e.example", Say::Vouched(vec!["MX 10 mx.e.example".to_owned()]))];
    let dns = Server::start(&[("mx.e.example", "A 127.0.0.1")], &others).await;
    look(&authority.net(dns.address, true, None), smtp, &looking(), &[Family::Dane]).await
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
    assert!(mismatch.summary.contains("has expired") && mismatch.severity == waypost_types::Severity::Critical, "{mismatch:?}");
    let fix = mismatch.record.as_ref().unwrap();
    assert_eq!((fix.kind.as_str(), fix.name.as_str(), &fix.value), ("TLSA", "_25._tcp.mx.e.example", &record(&issued, 0, 3)));
    assert_eq!(report.checks["dane"].status, Status::Bad);
}

#[tokio::test]
async fn a_record_that_matches_counts_however_many_do_not() {
    let authority = Authority::new();
    let issued = authority.issue("mx.e.example", |_| {});
    let (address, _) = smtp(Some(&issued), "127.0.0.1:0").await;
    // They sort before it.
    let old = (0..22).map(|number| format!("2 0 1 {number:064x}"));
    let report = dane(&authority, Some(address), &old.chain([record(&issued, 0, 3)]).collect::<Vec<_>>()).await;
    assert_eq!((rules(&report), report.unknown.len()), (Vec::new(), 0), "{report:#?}");
    assert_eq!((report.records["dane"].len(), report.detail.dane.len()), (20, 20));
}

#[tokio::test]
async fn questions_that_fail_make_no_findings_and_end_none() {
    let authority = Authority::new();
    let issued = authority.issue("mx.e.example", |_| {});
    let mx = [("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 127.0.0.1"), ("_mta-sts.e.example", "TXT other")];
    let mute = [("_25._tcp.mx.e.example", Say::Code(ResponseCode::ServFail))];
    let dns = Server::start(&mx, &mute).await;
    let report = look(&dns.net(), None, &AuditOptions::default(), &[Family::MtaSts, Family::TlsRpt]).await;
    let untold: Vec<&str> = report.unknown.iter().map(|part| part.subject.as_str()).collect();
    assert_eq!((rules(&report), untold), (Vec::new(), vec!["mta_sts", "tls_rpt"]), "{report:#?}");
    // Nor is anything said of a policy where the MX records are not told: there may be DANE, or no mail at all.
    let silent = [("e.example", Say::FailsFor(RecordType::MX, vec!["NS ns.e.example".to_owned()]))];
    let dns = Server::start(&[("_mta-sts.e.example", "TXT other")], &silent).await;
    let report = look(&dns.net(), None, &AuditOptions::default(), &[Family::MtaSts, Family::TlsRpt]).await;
    let untold: Vec<&str> = report.unknown.iter().map(|part| part.subject.as_str()).collect();
    assert_eq!((rules(&report), untold), (Vec::new(), vec!["mta_sts", "tls_rpt"]), "{report:#?}");
    assert!(report.unknown.iter().all(|part| part.reason.contains("the MX hosts: ")), "{report:#?}");
    // What is known to be in use needs its reports, whatever the rest is.
    let sts = [mx[0], mx[1], ("_mta-sts.e.example", "TXT v=STSv1; id=1;")];
    let report = look(&Server::start(&sts, &mute).await.net(), None, &AuditOptions::default(), &[Family::TlsRpt]).await;
    assert_eq!((rules(&report), report.unknown.len()), (vec!["tlsrpt.missing"], 0), "{report:#?}");
    // The host may be an alias of one that has the records.
    let fails = [("mx.e.example", Say::FailsFor(RecordType::CNAME, vec!["A 127.0.0.1".to_owned()]))];
    let report = look(&Server::start(&mx[..1], &fails).await.net(), None, &AuditOptions::default(), &[Family::Dane]).await;
    assert!(report.unknown.iter().any(|part| part.subject == "dane"), "{report:#?}");
    // Whether the MX record is signed is not told.
    let tlsa = Say::Vouched([record(&issued, 0, 3), record(&issued, 1, 2)].iter().map(|record| format!("TLSA {record}")).collect());
    let silent = Say::FailsFor(RecordType::DS, vec!["MX 10 mx.e.example".to_owned()]);
    let dns = Server::start(&[mx[1]], &[("_25._tcp.mx.e.example", tlsa), ("e.example", silent)]).await;
    let report = look(&authority.net(dns.address, true, None), None, &AuditOptions::default(), &[Family::Dane]).await;
    assert!(!rules(&report).contains(&"dane.tlsa_without_dnssec"), "{report:#?}");
}

#[tokio::test]
async fn an_issuer_in_the_record_needs_the_name_as_well() {
    let authority = Authority::new();
    for (name, fine) in [("mx.e.example", true), ("e.example", true), ("other.example", false)] {
        let issued = authority.issue(name, |_| {});
        let (address, _) = smtp(Some(&issued), "127.0.0.1:0").await;
        let report = dane(&authority, Some(address), &[record(&issued, 1, 2)]).await;
        assert_eq!(!rules(&report).contains(&"dane.mismatch"), fine, "{name}: {report:#?}");
        // A key change leaves it as it is; another intermediate does not.
        let alone = report.findings.iter().find(|finding| finding.rule == "dane.no_rollover").unwrap();
        assert!(alone.fix.contains("another intermediate") && alone.summary.contains("of an issuer"), "{alone:#?}");
    }
}

#[tokio::test]
async fn tlsa_without_starttls_and_records_of_no_use() {
    let authority = Authority::new();
    let issued = authority.issue("mx.e.example", |_| {});
    let (plain, _) = smtp(None, "127.0.0.1:0").await;
    let report = dane(&authority, Some(plain), &[record(&issued, 0, 3), record(&issued, 1, 2)]).await;
    assert_eq!(rules(&report), ["dane.starttls_missing"]);
    let (address, _) = smtp(Some(&issued), "127.0.0.1:0").await;
    // Nothing usable is nothing that could mismatch; senders want TLS all the same.
    let of_no_use = [format!("1 1 1 {}", "ab".repeat(32)), "3 1 1 abcd".to_owned()];
    let report = dane(&authority, Some(plain), &of_no_use).await;
    assert_eq!(rules(&report), ["dane.starttls_missing", "dane.malformed", "dane.usage_pkix"]);
    let report = dane(&authority, Some(address), &of_no_use).await;
    assert_eq!(rules(&report), ["dane.malformed", "dane.usage_pkix"]);
    // What is wrong is mended with the certificate that is shown.
    assert!(report.findings.iter().all(|finding| finding.record.as_ref().is_some_and(|fix| fix.value == record(&issued, 0, 3))), "{report:#?}");
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
    assert!(report.unknown.iter().any(|part| part.subject == "mx.e.example" && part.reason.contains("its certificate on port 25")), "{report:#?}");
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
    let hasty = AuditOptions { deadline: Duration::from_millis(2500), ..looking() };
    let report = look(&net, Some(silent.local_addr().unwrap()), &hasty, &[Family::Dane]).await;
    assert_eq!((rules(&report), report.unknown.len(), report.detail.dane[0].matches), (vec!["dane.no_rollover"], 1, None), "{report:#?}");
    assert!(report.unknown[0].reason.contains("in time"), "{:?}", report.unknown);
}
