//! Real conversations with servers on loopback that behave well and badly.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use waypost_types::outcome::{ProbeMode, ProbeReport, Verdict};

use super::*;
use crate::net::{Egress, NetConfig};

const EHLO: &str = "250-mx.lab.test\r\n250-SIZE 52428800\r\n250-PIPELINING\r\n250-8BITMIME\r\n";

pub(super) fn prober() -> Prober {
    prober_asking("127.0.0.1:9".parse().unwrap())
}

fn prober_asking(resolver: SocketAddr) -> Prober {
    let net = Net::new(NetConfig { ehlo_name: "probe.lab.test".to_owned(), resolvers: vec![resolver], ..NetConfig::default() });
    Prober::new(&net.unwrap()).with_open_ports().with_limits(Limits {
        connect: Duration::from_secs(2),
        greeting: Duration::from_millis(700),
        reply_idle: Duration::from_millis(400),
        reply_total: Duration::from_millis(800),
        tls: Duration::from_secs(4),
        total: Duration::from_secs(8),
        quit: Duration::from_millis(200),
        ..Limits::default()
    })
}

/// Probes what `serve` does with the first connection.
async fn probed<F: Future<Output = ()> + Send + 'static>(mode: ProbeMode, serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> ProbeReport {
    probed_as(mode, None, serve).await
}

pub(super) async fn probed_as<F: Future<Output = ()> + Send + 'static>(
    mode: ProbeMode,
    auth: Option<Credentials>,
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> ProbeReport {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    let target = ProbeTarget { host: "mx.lab.test".to_owned(), port: address.port(), mode, auth };
    // Spawned, as a worker does it.
    let report = tokio::spawn(async move { prober().probe_address(&target, address.ip()).await }).await.unwrap();
    server.abort();
    report
}

/// Answers each line that arrives with what `answer` says; ends on `None`.
pub(super) async fn script<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greeting: &str,
    answer: impl Fn(&str) -> Option<String>,
) -> Option<BufReader<S>> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(greeting.as_bytes()).await.ok()?;
    let mut line = String::new();
    while stream.read_line(&mut line).await.ok()? > 0 {
        let Some(reply) = answer(line.trim_end()) else { return Some(stream) };
        stream.get_mut().write_all(reply.as_bytes()).await.ok()?;
        stream.get_mut().flush().await.ok()?;
        line.clear();
    }
    None
}

pub(super) fn usual(extra: &'static str) -> impl Fn(&str) -> Option<String> {
    move |line| match line.split(' ').next() {
        Some("EHLO") => Some(format!("{EHLO}{extra}")),
        Some("STARTTLS") => None,
        Some("QUIT") => Some("221 bye\r\n".to_owned()),
        _ => Some("500 what\r\n".to_owned()),
    }
}

pub(super) fn acceptor(edit: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["mx.lab.test".to_owned()]).unwrap();
    edit(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn starttls_server(stream: TcpStream, tls: TlsAcceptor) {
    let Some(stream) = script(stream, "220 mx.lab.test ESMTP\r\n", usual("250 STARTTLS\r\n")).await else { return };
    let mut stream = stream.into_inner();
    stream.write_all(b"220 go\r\n").await.unwrap();
    let stream = tls.accept(stream).await.unwrap();
    script(stream, "", usual("250 AUTH PLAIN LOGIN\r\n")).await;
}

pub(super) fn rules(report: &ProbeReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.rule.as_str()).collect()
}

#[tokio::test]
async fn starttls_with_a_self_signed_certificate_is_completed_and_remarked() {
    let tls = acceptor(|_| {});
    let report = probed(ProbeMode::Starttls, move |stream| starttls_server(stream, tls)).await;
    assert_eq!(report.verdict, Verdict::Degraded, "{report:#?}");
    let shown = report.tls.as_ref().unwrap();
    assert!(shown.name_matches && !shown.trusted && shown.fingerprint.len() == 64 && shown.names == ["mx.lab.test"]);
    assert_eq!(shown.trust_problem.as_deref(), Some("the certificate is self-signed"));
    assert_eq!((shown.version.as_str(), shown.cipher.starts_with("TLS_AES")), ("TLSv1.3", true));
    assert_eq!(rules(&report), ["cert.untrusted"]);
    assert!(report.extensions.iter().any(|line| line == "AUTH PLAIN LOGIN"));
    assert_eq!(report.transcript.last().unwrap().line, "221 bye");
    assert!(report.stage_ms.banner.is_some() && report.stage_ms.tls.is_some() && report.stage_ms.total.is_some());
}

#[tokio::test]
async fn expired_and_misnamed_certificates_are_findings_of_their_own() {
    let tls = acceptor(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let report = probed(ProbeMode::Starttls, move |stream| starttls_server(stream, tls)).await;
    assert_eq!((report.verdict, rules(&report)), (Verdict::Degraded, vec!["cert.expired", "cert.untrusted"]));
    assert!(report.findings[0].summary.contains("2021-01-01"));
    let tls = acceptor(|params| *params = CertificateParams::new(vec!["other.lab.test".to_owned()]).unwrap());
    let report = probed(ProbeMode::Implicit, move |stream| async move {
        script(tls.accept(stream).await.unwrap(), "220 mx.lab.test\r\n", usual("250 HELP\r\n")).await;
    })
    .await;
    assert!(rules(&report).contains(&"cert.name_mismatch") && !rules(&report).contains(&"starttls.missing"), "{report:#?}");
}

/// Where programs log in they are hit, where servers deliver their senders are; and either is said once.
#[tokio::test]
async fn what_an_expired_certificate_does_is_said_once_and_for_the_port_at_hand() {
    let held = probed(ProbeMode::Plain, |stream| async move {
        script(stream, "220 mx.lab.test\r\n", usual("250 HELP\r\n")).await;
    })
    .await;
    let judged = || {
        let mut judged = tls::Judged::bare();
        (judged.untrusted, judged.report.name_matches, judged.report.expires) = (None, true, DateTime::from_timestamp(1_600_000_000, 0));
        judged
    };
    for (port, verdict, why) in
        [(587, Verdict::Down, "refuse to log in"), (465, Verdict::Down, "refuse to log in"), (25, Verdict::Degraded, "do not deliver")]
    {
        let mut report = ProbeReport { port, ..held.clone() };
        let seen = remarks::Seen { certificate: Some(judged()), ..remarks::Seen::default() };
        remarks::add(&mut report, &seen, Utc::now());
        let found = report.findings.iter().find(|finding| finding.rule == "cert.expired").unwrap();
        let (is, reason) = remarks::verdict(&report);
        assert_eq!((is, reason.as_str()), (verdict, found.summary.as_str()), "{port}");
        let said = format!("{reason}. {}", found.why);
        assert_eq!((said.matches(why).count(), said.contains("log in"), said.contains("MTA-STS")), (1, port != 25, port == 25), "{said}");
    }
}

#[tokio::test]
async fn servers_without_starttls_are_degraded() {
    let report = probed(ProbeMode::Starttls, |stream| async move {
        script(stream, "220-mx.lab.test hello\r\n220 there\r\n", usual("250 HELP\r\n")).await;
    })
    .await;
    assert_eq!((report.verdict, rules(&report)), (Verdict::Degraded, vec!["starttls.missing"]));
    let report = probed(ProbeMode::Plain, |stream| async move {
        script(stream, "220 mx.lab.test\r\n", usual("250 HELP\r\n")).await;
    })
    .await;
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Up, 0));
}

#[tokio::test]
async fn starttls_that_a_firewall_crosses_out_is_told_from_none() {
    for (line, rule) in [
        ("250 XXXXXXXA\r\n", "starttls.ehlo_hidden"),
        ("250 XXXXXXXX\r\n", "starttls.ehlo_hidden"),
        // A word of its own (RFC 5321 2.2.1), and one of Exchange's.
        ("250 XEXCH50\r\n", "starttls.missing"),
        ("250 X-EXPS GSSAPI\r\n", "starttls.missing"),
    ] {
        let report = probed(ProbeMode::Starttls, move |stream| async move {
            script(stream, "220 mx.lab.test\r\n", usual(line)).await;
        })
        .await;
        assert_eq!((report.verdict, rules(&report)), (Verdict::Degraded, vec![rule]), "{report:#?}");
    }
}

#[tokio::test]
async fn replies_that_end_in_lf_alone_are_remarked() {
    let report = probed(ProbeMode::Plain, |stream| async move {
        script(stream, "220 mx.lab.test\n", usual("250 HELP\r\n")).await;
    })
    .await;
    assert_eq!((report.verdict, rules(&report)), (Verdict::Up, vec!["smtp.reply_bare_lf"]));
}

#[tokio::test]
async fn a_second_greeting_under_tls_is_remarked() {
    let tls = acceptor(|_| {});
    let report = probed(ProbeMode::Starttls, move |stream| async move {
        let Some(stream) = script(stream, "220 mx.lab.test ESMTP\r\n", usual("250 STARTTLS\r\n")).await else { return };
        let mut stream = stream.into_inner();
        stream.write_all(b"220 go\r\n").await.unwrap();
        let answer = |line: &str| Some(if line.starts_with("EHLO") { "220 mx.lab.test ESMTP\r\n" } else { "221 bye\r\n" }.to_owned());
        script(tls.accept(stream).await.unwrap(), "", answer).await;
    })
    .await;
    let found = report.findings.iter().find(|finding| finding.rule == "smtp.reply_code").unwrap();
    assert_eq!(found.summary, "mx.lab.test answers EHLO with 220, where 250 belongs (RFC 5321 4.3.2)");
    // A sender that looks at the first digit goes on, so nothing else is made of it.
    assert_eq!((report.verdict, rules(&report)), (Verdict::Degraded, vec!["cert.untrusted", "smtp.reply_code"]), "{report:#?}");
}

#[tokio::test]
async fn a_hosts_name_for_itself_is_a_hint_of_its_helo_name() {
    const REVERSE: &str = "1.0.0.127.in-addr.arpa";
    for (greeting, ehlo, records, wanted) in [
        ("220 out.lab.test\r\n", "250 out.lab.test\r\n", vec![(REVERSE, "PTR out.lab.test"), ("out.lab.test", "A 127.0.0.1")], vec![]),
        ("220 out.lab.test\r\n", "250 out.lab.test\r\n", vec![(REVERSE, "PTR out.lab.test")], vec!["helo.unresolvable"]),
        ("220 mx.lab.test\r\n", "250 gone.lab.test\r\n", vec![(REVERSE, "PTR mx.lab.test")], vec!["helo.unresolvable"]),
        ("220 [127.0.0.1]\r\n", "250 hello\r\n", vec![], vec!["helo.literal"]),
        // What the greeting is blamed for is not said twice.
        ("220 localhost\r\n", "250 localhost\r\n", vec![], vec!["smtp.banner_bad"]),
        (
            "220 out.lab.test\r\n",
            "250 out.lab.test\r\n",
            vec![(REVERSE, "PTR other.lab.test"), ("out.lab.test", "A 127.0.0.9")],
            vec!["smtp.banner_mismatch"],
        ),
    ] {
        let resolver = crate::net::tests::Server::start(&records, &[]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let answer = move |line: &str| Some(if line.starts_with("EHLO") { ehlo } else { "221 bye\r\n" }.to_owned());
            script(listener.accept().await.unwrap().0, greeting, answer).await
        });
        let target = ProbeTarget { host: "mx.lab.test".to_owned(), port: address.port(), mode: ProbeMode::Plain, auth: None };
        let report = prober_asking(resolver.address).probe_address(&target, address.ip()).await;
        assert_eq!(rules(&report), wanted, "{greeting} {ehlo}: {report:#?}");
        let hints = report.findings.iter().filter(|finding| finding.rule.starts_with("helo."));
        assert!(hints.clone().all(|hint| hint.severity <= waypost_types::Severity::Low && hint.summary.starts_with("If mx.lab.test sends mail")));
        assert!(report.verdict == Verdict::Up || wanted.contains(&"smtp.banner_bad"), "{report:#?}");
    }
}

#[tokio::test]
async fn a_banner_agrees_with_the_host_or_its_reverse_name() {
    let reverse = |name: &str| vec![("1.0.0.127.in-addr.arpa", format!("PTR {name}"))];
    for (greeting, reverse, foreign) in [
        ("220 other.lab.test ESMTP\r\n", reverse("third.lab.test"), Some("which is third.lab.test")),
        ("220 other.lab.test ESMTP\r\n", Vec::new(), Some("which it does not have")),
        ("220 other.lab.test ESMTP\r\n", reverse("other.lab.test"), None),
        ("220 MX.lab.test ESMTP\r\n", reverse("third.lab.test"), None),
        ("220 [127.0.0.1] ESMTP\r\n", reverse("third.lab.test"), None),
        ("554 5.7.1 go away\r\n", reverse("third.lab.test"), None),
    ] {
        let records: Vec<(&str, &str)> = reverse.iter().map(|(name, record)| (*name, record.as_str())).collect();
        let resolver = crate::net::tests::Server::start(&records, &[]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { script(listener.accept().await.unwrap().0, greeting, usual("250 HELP\r\n")).await });
        let target = ProbeTarget { host: "mx.lab.test".to_owned(), port: address.port(), mode: ProbeMode::Plain, auth: None };
        let report = prober_asking(resolver.address).probe_address(&target, address.ip()).await;
        let found = report.findings.iter().find(|finding| finding.rule == "smtp.banner_mismatch");
        assert_eq!(found.is_some(), foreign.is_some(), "{greeting}: {report:#?}");
        assert!(foreign.is_none_or(|words| found.unwrap().summary.ends_with(words)), "{found:?}");
        assert!(foreign.is_none() || report.verdict == Verdict::Up, "{report:#?}");
    }
    // DNS does not tell: that is said, and nothing else.
    let report = probed(ProbeMode::Plain, |stream| async move {
        script(stream, "220 other.lab.test\r\n", usual("250 HELP\r\n")).await;
    })
    .await;
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Up, 0));
    let untold: Vec<&str> = report.unknown.iter().map(|part| part.subject.as_str()).collect();
    assert_eq!(untold, ["banner"], "{:?}", report.unknown);
    let report = probed(ProbeMode::Plain, |stream| async move {
        let answer = |line: &str| Some(if line.starts_with("EHLO") { "250 out.lab.test\r\n" } else { "221 bye\r\n" }.to_owned());
        script(stream, "220 mx.lab.test\r\n", answer).await;
    })
    .await;
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Up, 0));
    assert!(report.unknown.len() == 1 && report.unknown[0].subject == "helo" && report.unknown[0].reason.contains("out.lab.test"), "{report:#?}");
}

#[tokio::test]
async fn a_greeting_is_waited_for_longer_than_a_reply() {
    let late = |pause: u64| {
        probed(ProbeMode::Plain, move |stream| async move {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            script(stream, "220 mx.lab.test\r\n", usual("250 HELP\r\n")).await;
        })
    };
    let report = late(550).await;
    assert_eq!((report.verdict, rules(&report)), (Verdict::Up, vec![]), "{report:#?}");
    assert!(report.stage_ms.banner.is_some_and(|ms| ms > 500.0));
    let report = late(1500).await;
    assert_eq!(report.verdict, Verdict::Down, "{report:#?}");
}

#[tokio::test]
async fn bad_servers_end_promptly_with_a_reason() {
    for (greeting, verdict, reason) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", Verdict::Down, "does not speak SMTP here"),
        ("421 4.3.2 too busy\r\n", Verdict::Degraded, "temporary refusal: 421"),
        ("554 5.7.1 go away\r\n", Verdict::Down, "refuses every conversation"),
        ("220-a\r\n250 b\r\n", Verdict::Down, "different codes"),
        ("", Verdict::Down, "silent"),
        ("220 half a line", Verdict::Down, "too slowly"),
    ] {
        let report = probed(ProbeMode::Starttls, move |stream| async move {
            script(stream, greeting, usual("250 HELP\r\n")).await;
        })
        .await;
        assert_eq!(report.verdict, verdict, "{greeting}: {}", report.reason);
        assert!(report.reason.contains(reason), "{greeting}: {}", report.reason);
    }
    let report = probed(ProbeMode::Plain, |mut stream| async move {
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..10 {
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
        }
    })
    .await;
    assert!(report.reason.contains("longer than 4096 bytes"), "{}", report.reason);
    let report = probed(ProbeMode::Plain, |mut stream| async move {
        while stream.write_all(b"2").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(report.reason.contains("too slowly"), "{}", report.reason);
    let report = probed(ProbeMode::Plain, |stream| async move {
        script(stream, "220 mx.lab.test\r\n", |_| None).await;
    })
    .await;
    assert!(report.verdict == Verdict::Down && report.reason.contains("after EHLO"), "{}", report.reason);
}

#[tokio::test]
async fn broken_handshakes_say_why() {
    for (answer, reason) in [
        (&b""[..], "closed the connection during the TLS handshake"),
        (b"220 mx.lab.test ESMTP\r\n", "does not speak TLS here"),
        (b"\x15\x03\x00\x00\x02\x02\x28", "TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "neither TLS 1.2 nor TLS 1.3"),
    ] {
        let report = probed(ProbeMode::Starttls, move |stream| async move {
            let Some(stream) = script(stream, "220 mx.lab.test ESMTP\r\n", usual("250 STARTTLS\r\n")).await else { return };
            let mut stream = stream.into_inner();
            stream.write_all(b"220 go\r\n").await.unwrap();
            let mut hello = [0; 4096];
            tokio::io::AsyncReadExt::read(&mut stream, &mut hello).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        })
        .await;
        assert!(report.verdict == Verdict::Down && report.reason.contains(reason), "{answer:?}: {}", report.reason);
        assert!(rules(&report).iter().any(|rule| matches!(*rule, "starttls.handshake_fails" | "tls.no_12")));
    }
}

#[tokio::test]
async fn what_can_not_be_reached_is_down_or_unknown() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = |host: &str| ProbeTarget { host: host.to_owned(), port: free.port(), mode: ProbeMode::Starttls, auth: None };
    let report = prober().probe(&target("[127.0.0.1]")).await;
    assert_eq!(report.verdict, Verdict::Down);
    assert!(report.summary.contains("refused"), "{}", report.summary);
    let guarded = Net::new(NetConfig { egress: Egress::Guarded { allow: Vec::new() }, ..NetConfig::default() }).unwrap();
    let report = Prober::new(&guarded).probe(&target("127.0.0.1")).await;
    assert_eq!(report.verdict, Verdict::Unknown);
    assert!(report.summary.starts_with("refused: 127.0.0.1 is a loopback address"), "{}", report.summary);
}

#[test]
fn port_25_is_blocked_until_one_was_reached() {
    let (memory, now) = (Port25Memory::default(), Utc::now());
    assert!(memory.seems_blocked(now));
    memory.clone().reached(now);
    assert!(!memory.seems_blocked(now + chrono::Duration::minutes(59)) && memory.seems_blocked(now + chrono::Duration::minutes(61)));
    assert!(!prober().port25().seems_blocked(now), "given as open");
}

/// What a host shows for its certificates alone.
async fn shown<F: Future<Output = ()> + Send + 'static>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> Shown {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    let shown = prober().chain("mx.lab.test", address.ip(), address.port()).await;
    server.abort();
    shown
}

#[tokio::test]
async fn chains_are_shown_or_why_not() {
    let tls = acceptor(|_| {});
    let Shown::Chain(chain) = shown(move |stream| starttls_server(stream, tls)).await else { panic!("no chain") };
    assert_eq!((chain.certificates.len(), chain.tls.name_matches, chain.tls.trusted), (1, true, false));
    assert_eq!(chain.untrusted.as_deref(), Some("the certificate is self-signed"));
    let speaks = |extra: &'static str| move |stream| async move { drop(script(stream, "220 mx.lab.test\r\n", usual(extra)).await) };
    assert!(matches!(shown(speaks("250 HELP\r\n")).await, Shown::NoStarttls));
    // Cisco's firewalls cross the word out.
    let crossed = shown(speaks("250-XXXXXXXA\r\n250 HELP\r\n")).await;
    assert!(matches!(&crossed, Shown::Ended(why) if why.contains("firewall")), "{crossed:?}");
    for (reply, temporary) in [("454 later\r\n", true), ("502 no\r\n", false)] {
        let refused = shown(move |stream| async move {
            let answer = move |line: &str| if line == "STARTTLS" { Some(reply.to_owned()) } else { usual("250 STARTTLS\r\n")(line) };
            script(stream, "220 mx.lab.test\r\n", answer).await;
        })
        .await;
        assert_eq!(matches!(refused, Shown::Ended(_)), temporary, "{refused:?}");
        assert_eq!(matches!(refused, Shown::StarttlsRefused(_)), !temporary, "{refused:?}");
    }
    for (answer, servers) in [(&b"\x15\x03\x01\x00\x02\x02\x46"[..], true), (b"", false)] {
        let broken = shown(move |stream| async move {
            let Some(stream) = script(stream, "220 mx.lab.test\r\n", usual("250 STARTTLS\r\n")).await else { return };
            let mut stream = stream.into_inner();
            stream.write_all(b"220 go\r\n").await.unwrap();
            let mut hello = [0; 4096];
            tokio::io::AsyncReadExt::read(&mut stream, &mut hello).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        })
        .await;
        assert_eq!(matches!(broken, Shown::BadHandshake(_)), servers, "{broken:?}");
        assert_eq!(matches!(broken, Shown::Ended(_)), !servers, "{broken:?}");
    }
    for greeting in ["554 5.7.1 go away\r\n", "421 busy\r\n", "SSH-2.0-x\r\n", ""] {
        let turned_away = shown(move |stream| async move { drop(script(stream, greeting, usual("250 HELP\r\n")).await) }).await;
        assert!(matches!(turned_away, Shown::Ended(_)), "{greeting}: {turned_away:?}");
    }
    let guarded = Net::new(NetConfig { egress: Egress::Guarded { allow: Vec::new() }, ..NetConfig::default() }).unwrap();
    let refused = Prober::new(&guarded).chain("mx.lab.test", "127.0.0.1".parse().unwrap(), 25).await;
    assert!(matches!(&refused, Shown::Unknown(why) if why.contains("loopback")), "{refused:?}");
}
