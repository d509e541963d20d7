//! Looks at services on loopback: what each answers, and what is made of it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use waypost_types::{
    monitor::MonitorKind,
    outcome::{ProbeMode, ServiceReport, Verdict},
    service::ServiceSettings,
};

use super::ServiceCheck;
use crate::{
    audit::rules::rule,
    net::{
        Egress, Net, NetConfig,
        authority::{Authority, Issued, http_answer},
        tests::{Say, Server},
    },
    probe::Prober,
};

fn settings(json: &str) -> ServiceSettings {
    serde_json::from_str(json).unwrap()
}

async fn look(net: &Net, kind: MonitorKind, target: &str, json: &str) -> ServiceReport {
    let check = ServiceCheck::read(kind, target, &settings(json)).unwrap();
    Prober::new(net).look(&check).await
}

fn rules(report: &ServiceReport) -> Vec<&str> {
    let rules: Vec<&str> = report.findings().map(|finding| finding.rule.as_str()).collect();
    for id in &rules {
        assert!(rule(id).is_some(), "{id} is in the catalog");
    }
    rules
}

/// A server that says something and then answers each line; with STARTTLS or STLS it goes on under TLS.
async fn scripted(greeting: &'static str, secure: Option<&Issued>, answer: fn(&str, bool) -> String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = secure.map(Issued::acceptor);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                stream.get_mut().write_all(greeting.as_bytes()).await.unwrap();
                if talk(&mut stream, answer, false).await
                    && let Some(acceptor) = acceptor
                    && let Ok(secure) = acceptor.accept(stream.into_inner()).await
                {
                    talk(&mut BufReader::new(secure), answer, true).await;
                }
            });
        }
    });
    address
}

/// True where TLS is next.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, answer: fn(&str, bool) -> String, secure: bool) -> bool {
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        let said = answer(line.trim_end(), secure);
        if stream.get_mut().write_all(said.as_bytes()).await.is_err() || stream.get_mut().flush().await.is_err() {
            return false;
        }
        if line.contains("STARTTLS") || line.contains("STLS") {
            return !said.contains("NO ") && !said.contains("-ERR");
        }
        line.clear();
    }
    false
}

fn plain() -> Net {
    Net::new(NetConfig { resolvers: vec!["127.0.0.1:9".parse().unwrap()], ..NetConfig::default() }).unwrap()
}

#[tokio::test]
async fn a_port_that_takes_connections_is_up_and_says_what_is_expected() {
    let address = scripted("220 mail.example ESMTP\r\n", None, |_, _| String::new()).await;
    let net = plain();
    for (expected, verdict) in [
        ("{}", Verdict::Up),
        (r#"{"begins_with":"220 "}"#, Verdict::Up),
        (r#"{"begins_with":"220 ","contains":"ESMTP"}"#, Verdict::Up),
        (r#"{"begins_with":"+OK"}"#, Verdict::Down),
    ] {
        let report = look(&net, MonitorKind::Tcp, &address.to_string(), expected).await;
        assert_eq!(report.verdict, verdict, "{expected} {report:#?}");
        assert_eq!(rules(&report), if verdict == Verdict::Up { vec![] } else { vec!["tcp.words"] });
        assert!(report.latency_ms().is_some() == (verdict == Verdict::Up));
    }
}

#[tokio::test]
async fn a_closed_port_is_down_and_what_may_not_be_reached_is_unknown() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let report = look(&plain(), MonitorKind::Tcp, &address.to_string(), "{}").await;
    assert_eq!((report.verdict, rules(&report), report.is_unreached()), (Verdict::Down, vec!["tcp.unreachable"], true), "{report:#?}");
    assert!(report.summary.contains("refused") && report.findings().next().unwrap().fix.contains("listen"), "{report:#?}");
    let egress = Egress::Guarded { allow: Vec::new() };
    let guarded = Net::new(NetConfig { resolvers: vec!["127.0.0.1:9".parse().unwrap()], egress, ..NetConfig::default() }).unwrap();
    for (kind, target) in
        [(MonitorKind::Tcp, address.to_string()), (MonitorKind::Imap, address.to_string()), (MonitorKind::Https, "https://127.0.0.1/".to_owned())]
    {
        let report = look(&guarded, kind, &target, "{}").await;
        assert_eq!((report.verdict, rules(&report).len()), (Verdict::Unknown, 0), "{report:#?}");
    }
}

#[tokio::test]
async fn a_web_address_is_followed_and_its_status_text_and_certificate_judged() {
    let dns = Server::start(&[("e.example", "A 127.0.0.1"), ("other.example", "A 127.0.0.1")], &[]).await;
    let authority = Authority::new();
    let answer = |path: &str| match path {
        "/fine" => http_answer("200 OK", "", "Welcome to the webmail"),
        "/moved" => http_answer("302 Found", "Location: /fine\r\n", ""),
        "/round" => http_answer("301 Moved", "Location: https://e.example/round\r\n", ""),
        "/down" => http_answer("301 Moved", "Location: http://e.example/fine\r\n", ""),
        "/nothing" => String::new(),
        _ => http_answer("503 Busy", "", "no"),
    };
    let address = authority.issue("e.example", |_| {}).https(answer).await;
    let net = authority.net(dns.address, false, Some(address));
    for (path, expected, verdict, found, steps) in [
        ("/fine", "{}", Verdict::Up, vec![], 1),
        ("/fine", r#"{"contains":"webmail"}"#, Verdict::Up, vec![], 1),
        ("/fine", r#"{"contains":"Login"}"#, Verdict::Down, vec!["https.text"], 1),
        ("/moved", r#"{"contains":"webmail"}"#, Verdict::Up, vec![], 2),
        // A redirect that is named is what is wanted.
        ("/moved", r#"{"statuses":["302"]}"#, Verdict::Up, vec![], 1),
        ("/moved", r#"{"statuses":["404"]}"#, Verdict::Down, vec!["https.status"], 2),
        ("/other", "{}", Verdict::Down, vec!["https.status"], 1),
        ("/other", r#"{"statuses":["500-599"]}"#, Verdict::Up, vec![], 1),
        ("/round", "{}", Verdict::Down, vec!["https.redirects"], 4),
        ("/down", "{}", Verdict::Down, vec!["https.redirects"], 1),
        ("/nothing", "{}", Verdict::Down, vec!["https.no_answer"], 1),
    ] {
        let report = look(&net, MonitorKind::Https, &format!("https://e.example{path}"), expected).await;
        assert_eq!((report.verdict, rules(&report), report.looks.len()), (verdict, found, steps), "{path} {expected} {report:#?}");
        assert!(report.looks.iter().all(|look| look.tls.as_ref().is_some_and(|tls| tls.trusted && tls.name_matches)), "{report:#?}");
    }
    let named = look(&net, MonitorKind::Https, "https://other.example/fine", "{}").await;
    assert_eq!((named.verdict, rules(&named)), (Verdict::Down, vec!["cert.name_mismatch"]), "{named:#?}");
    let gone = look(&net, MonitorKind::Https, "https://gone.example/", "{}").await;
    assert_eq!((gone.verdict, rules(&gone)), (Verdict::Down, vec!["tcp.unreachable"]), "{gone:#?}");
    let foreign = Authority::new().issue("e.example", |_| {}).https(answer).await;
    let untrusted = look(&authority.net(dns.address, false, Some(foreign)), MonitorKind::Https, "https://e.example/fine", "{}").await;
    assert_eq!((untrusted.verdict, rules(&untrusted)), (Verdict::Down, vec!["cert.untrusted"]), "browsers refuse it: {untrusted:#?}");
}

#[tokio::test]
async fn records_are_compared_and_silence_is_no_absence() {
    let records = [
        ("e.example", "MX 10 MX1.e.example."),
        ("e.example", "MX 20 mx2.e.example."),
        ("e.example", "TXT v=spf1 -all"),
        ("www.e.example", "CNAME e.example."),
        ("e.example", "A 192.0.2.1"),
    ];
    let dns = Server::start(&records, &[("sick.example", Say::Code(hickory_proto::op::ResponseCode::ServFail))]).await;
    let net = Net::new(NetConfig { resolvers: vec![dns.address], ..NetConfig::default() }).unwrap();
    for (target, expected, verdict, found) in [
        ("e.example MX", r#"{"values":["20 mx2.E.example","10 mx1.e.example."]}"#, Verdict::Up, vec![]),
        ("e.example MX", r#"{"values":["10 mx1.e.example"]}"#, Verdict::Down, vec!["dnsrecord.differs"]),
        ("e.example MX", r#"{"values":["10 mx1.e.example"],"comparison":"contains"}"#, Verdict::Up, vec![]),
        ("e.example MX", r#"{"values":["5 mx1.e.example"],"comparison":"contains"}"#, Verdict::Down, vec!["dnsrecord.differs"]),
        ("e.example TXT", r#"{"values":["v=spf1 -all"]}"#, Verdict::Up, vec![]),
        ("e.example TXT", r#"{"values":["v=SPF1 -all"]}"#, Verdict::Down, vec!["dnsrecord.differs"]),
        ("www.e.example A", r#"{"values":["192.0.2.1"]}"#, Verdict::Up, vec![]),
        ("www.e.example CNAME", r#"{"values":["E.example."]}"#, Verdict::Up, vec![]),
        ("e.example AAAA", r#"{"comparison":"exists"}"#, Verdict::Down, vec!["dnsrecord.missing"]),
        ("e.example AAAA", r#"{"comparison":"absent"}"#, Verdict::Up, vec![]),
        ("e.example A", r#"{"comparison":"absent"}"#, Verdict::Down, vec!["dnsrecord.unwanted"]),
        ("none.example A", r#"{"values":["192.0.2.1"]}"#, Verdict::Down, vec!["dnsrecord.missing"]),
        ("sick.example A", r#"{"values":["192.0.2.1"]}"#, Verdict::Unknown, vec![]),
        ("sick.example A", r#"{"comparison":"absent"}"#, Verdict::Unknown, vec![]),
    ] {
        let report = look(&net, MonitorKind::Dns, target, expected).await;
        assert_eq!((report.verdict, rules(&report)), (verdict, found), "{target} {expected} {report:#?}");
        assert_eq!(report.records.unwrap().found.is_some(), verdict != Verdict::Unknown);
    }
}

fn imap(line: &str, secure: bool) -> String {
    let tag = line.split(' ').next().unwrap();
    match (line.split(' ').nth(1), secure) {
        (Some("CAPABILITY"), false) => format!("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n{tag} OK done\r\n"),
        (Some("CAPABILITY"), true) => format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK done\r\n"),
        (Some("STARTTLS"), _) => format!("{tag} OK go\r\n"),
        (Some("LOGOUT"), _) => format!("* BYE\r\n{tag} OK bye\r\n"),
        _ => format!("{tag} BAD what\r\n"),
    }
}

fn open_imap(line: &str, _: bool) -> String {
    let tag = line.split(' ').next().unwrap();
    if line.contains("CAPABILITY") { format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK done\r\n") } else { format!("{tag} OK bye\r\n") }
}

fn pop(line: &str, secure: bool) -> String {
    match (line, secure) {
        ("CAPA", false) => "+OK\r\nSTLS\r\nUIDL\r\n.\r\n".to_owned(),
        ("CAPA", true) => "+OK\r\nUSER\r\n.\r\n".to_owned(),
        ("STLS" | "QUIT", _) => "+OK\r\n".to_owned(),
        _ => "-ERR what\r\n".to_owned(),
    }
}

fn open_pop(line: &str, _: bool) -> String {
    if line == "CAPA" { "+OK\r\nUSER\r\nSTLS\r\n.\r\n".to_owned() } else { "-ERR no\r\n".to_owned() }
}

#[tokio::test]
async fn mailbox_servers_are_judged_by_their_tls_and_by_what_they_take_in_clear() {
    let dns = Server::start(&[("mail.example", "A 127.0.0.1")], &[]).await;
    let authority = Authority::new();
    let (own, other) = (authority.issue("mail.example", |_| {}), authority.issue("other.example", |_| {}));
    let net = authority.net(dns.address, false, None);
    let prober = Prober::new(&net);
    for (kind, greeting, answer, certificate, verdict, found) in [
        (MonitorKind::Imap, "* OK ready\r\n", imap as fn(&str, bool) -> String, &own, Verdict::Up, vec![]),
        (MonitorKind::Imap, "* OK ready\r\n", imap, &other, Verdict::Down, vec!["cert.name_mismatch"]),
        (MonitorKind::Imap, "* OK ready\r\n", open_imap, &own, Verdict::Degraded, vec!["imap.login_in_clear", "imap.starttls_missing"]),
        (MonitorKind::Imap, "* BYE too many\r\n", imap, &own, Verdict::Down, vec!["imap.no_conversation"]),
        (MonitorKind::Imap, "220 mail ESMTP\r\n", imap, &own, Verdict::Down, vec!["imap.no_conversation"]),
        (MonitorKind::Pop, "+OK ready\r\n", pop, &own, Verdict::Up, vec![]),
        (MonitorKind::Pop, "+OK ready\r\n", pop, &other, Verdict::Down, vec!["cert.name_mismatch"]),
        (MonitorKind::Pop, "+OK ready\r\n", open_pop, &own, Verdict::Down, vec!["pop.stls_refused", "pop.login_in_clear"]),
        (MonitorKind::Pop, "-ERR no\r\n", pop, &own, Verdict::Down, vec!["pop.no_conversation"]),
        (MonitorKind::Pop, "-ERR [SYS/TEMP] later\r\n", pop, &own, Verdict::Degraded, vec![]),
    ] {
        let address = scripted(greeting, Some(certificate), answer).await;
        let target = format!("mail.example:{}", address.port());
        let check = ServiceCheck::read(kind, &target, &ServiceSettings::default()).unwrap().with_mode(ProbeMode::Starttls);
        let report = prober.look(&check).await;
        assert_eq!((report.verdict, rules(&report)), (verdict, found), "{greeting} {report:#?}");
        assert!(!report.looks[0].transcript.is_empty());
    }
}

#[test]
fn every_rule_of_services_is_in_the_catalog() {
    for area in ["imap", "pop"] {
        for name in ["no_conversation", "handshake_fails", "login_in_clear"] {
            assert!(rule(&format!("{area}.{name}")).is_some(), "{area}.{name}");
        }
    }
}
