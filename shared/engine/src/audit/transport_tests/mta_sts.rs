//! Policies, what MX hosts show to those who keep to them, and where TLS reports go.

use super::*;

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
async fn a_policy_is_told_to_list_hosts_that_exist_only() {
    let look = async |hosts: &[(&str, &str)]| {
        let server = Server::start(hosts, &[]).await;
        audit_families(&server.net(), &"e.example".parse().unwrap(), &AuditOptions::default(), &[Family::MtaSts]).await
    };
    let dead = [("e.example", "MX 10 192.0.2.1"), ("e.example", "MX 20 gone.e.example")];
    let none = look(&dead).await;
    let missing = found(&none, "mtasts.missing");
    assert!(missing.record.is_none() && missing.fix.contains("hosts that exist"), "{missing:?}");
    let one = look(&[dead[0], dead[1], ("e.example", "MX 30 mx.e.example"), ("mx.e.example", "A 203.0.113.5")]).await;
    let missing = found(&one, "mtasts.missing");
    assert!(missing.fix.contains("“mode: testing”, “mx: mx.e.example”, “max_age: 604800”") && missing.record.is_some(), "{missing:?}");
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
                assert!(finding.why.starts_with("In mode enforce senders that honour the policy do not deliver"), "{finding:?}");
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
        (http_answer("410 Gone", "", ""), "mtasts.policy_unreachable", "status 410"),
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
    for turned_away in ["403 Forbidden", "429 Too Many Requests", "503 Service Unavailable"] {
        let report = sts(&authority, http_answer(turned_away, "", ""), None, &AuditOptions::default()).await;
        assert_eq!((rules(&report), report.unknown.len()), (Vec::new(), 1), "{turned_away}: {report:#?}");
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
        AuditOptions { known: Known { records: [("mta_sts".to_owned(), records)].into(), ..Known::default() }, ..AuditOptions::default() }
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
