//! Servers that choose what they are told to, and real ones that speak nothing old.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::future::join_all;
use tokio::{net::TcpListener, task::JoinHandle};
use waypost_types::outcome::{ProbeMode, ProbeReport, Verdict};

use super::{
    super::{
        Asks, Shown,
        tests::{acceptor, prober, rules, script, usual},
    },
    *,
};

/// What a client offered: its version, suites, and whether it named the host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offered {
    version: u16,
    suites: Vec<u16>,
    name: Option<String>,
}

/// Reads a `ClientHello` by its structure, as a server does, and fails where a length does not fit.
fn read_hello(record: &[u8]) -> Offered {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken
    }
    fn number(bytes: &mut &[u8], octets: usize) -> usize {
        take(bytes, octets).iter().fold(0, |number, octet| number << 8 | usize::from(*octet))
    }
    let bytes = &mut &record[..];
    assert_eq!(number(bytes, 1), 22);
    assert!(number(bytes, 2) <= 0x0301);
    assert_eq!(number(bytes, 2), bytes.len(), "the record's length");
    assert_eq!(number(bytes, 1), 1);
    assert_eq!(number(bytes, 3), bytes.len(), "the message's length");
    let version = u16::try_from(number(bytes, 2)).unwrap();
    take(bytes, 32);
    let session = number(bytes, 1);
    take(bytes, session);
    let suites = number(bytes, 2);
    let suites = take(bytes, suites).chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let methods = number(bytes, 1);
    assert_eq!(take(bytes, methods), [0]);
    let mut name = None;
    if !bytes.is_empty() {
        assert_eq!(number(bytes, 2), bytes.len(), "the extensions' length");
        while !bytes.is_empty() {
            let (kind, length) = (number(bytes, 2), number(bytes, 2));
            let content = &mut take(bytes, length);
            if kind == 0 {
                let (list, host_name) = (number(content, 2), number(content, 1));
                assert_eq!((list, host_name), (content.len() + 1, 0));
                assert_eq!(number(content, 2), content.len());
                name = Some(String::from_utf8(content.to_vec()).unwrap());
            }
        }
    }
    Offered { version, suites, name }
}

/// A server whose STARTTLS and TLS are good, and that chooses the best of `versions` and the first of `weak` for who offers no better.
async fn found(versions: &'static [u16], weak: &'static [u16]) -> ProbeReport {
    let tls = acceptor(|_| {});
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let stream = script(stream, "220 mx.lab.test ESMTP\r\n", usual("250 STARTTLS\r\n")).await?;
                let mut stream = stream.into_inner();
                stream.write_all(b"220 go\r\n").await.ok()?;
                let mut hello = vec![0; 2048];
                let count = stream.peek(&mut hello).await.ok()?;
                // Rustls writes session ids and extensions of its own: it is told by TLS 1.3's.
                if hello[..count].windows(2).any(|pair| pair == [0x13, 0x01]) {
                    script(tls.accept(stream).await.ok()?, "", usual("250 HELP\r\n")).await;
                    return None;
                }
                let offered = read_hello(&hello[..count]);
                assert_eq!(offered.name.is_some(), offered.version > SSL_3_0);
                let version = versions.iter().find(|version| **version <= offered.version);
                let suite =
                    if offered.version == TLS_1_2 { weak.iter().find(|suite| offered.suites.contains(suite)) } else { offered.suites.first() };
                let answer = match (version, suite) {
                    (Some(version), Some(suite)) => {
                        let body = [&version.to_be_bytes()[..], &[9; 32], &[3, 1, 2, 3], &suite.to_be_bytes(), &[0]].concat();
                        [&[22, 3, 1], &sized(&[&[2, 0], &sized(&body)[..]].concat())[..]].concat()
                    }
                    // protocol_version
                    _ => vec![21, 3, 1, 0, 2, 2, 70],
                };
                stream.write_all(&answer).await.ok()
            });
        }
    });
    let target = ProbeTarget { host: "mx.lab.test".to_owned(), port: address.port(), mode: ProbeMode::Starttls, auth: None };
    let mut held = prober().probe_address(&target, address.ip()).await;
    let look = prober().look_closely(&target, &Asks::of_anybody(), &held).await.unwrap();
    server.abort();
    assert_eq!(look.unknown, []);
    held.findings = look.findings;
    held
}

#[tokio::test]
async fn old_versions_and_weak_suites_are_told_from_good_ones() {
    let report = found(&[TLS_1_2], &[]).await;
    assert_eq!(rules(&report), [""; 0], "{report:#?}");
    let report = found(&[TLS_1_2, TLS_1_1, TLS_1_0], &[]).await;
    assert_eq!(rules(&report), ["tls.old_version"]);
    assert!(report.findings[0].summary.contains("accepts TLS 1.1 and TLS 1.0 on port"), "{report:#?}");
    assert_eq!(report.findings[0].severity, Severity::Low);
    let report = found(&[TLS_1_2, SSL_3_0], &[]).await;
    assert_eq!((rules(&report), report.findings[0].severity), (vec!["tls.old_version"], Severity::Medium));
    let report = found(&[TLS_1_2], &[0x0005]).await;
    assert_eq!((rules(&report), report.findings[0].severity), (vec!["tls.weak_cipher"], Severity::Low));
    assert!(report.findings[0].summary.contains("TLS_RSA_WITH_RC4_128_SHA"), "{report:#?}");
}

#[tokio::test]
async fn what_was_found_stays_where_another_question_is_not_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut hello = vec![0; 2048];
                let count = stream.read(&mut hello).await.ok()?;
                let offered = read_hello(&hello[..count]);
                // A firewall drops what it does not know.
                if offered.version == SSL_3_0 {
                    return std::future::pending().await;
                }
                let version = offered.version.min(TLS_1_1);
                let body = [&version.to_be_bytes()[..], &[9; 32], &[0], &offered.suites[0].to_be_bytes(), &[0]].concat();
                stream.write_all(&[&[22, 3, 1], &sized(&[&[2, 0], &sized(&body)[..]].concat())[..]].concat()).await.ok()
            });
        }
    });
    let target = ProbeTarget { host: "mx.lab.test".to_owned(), port: address.port(), mode: ProbeMode::Implicit, auth: None };
    let found = look(&prober(), &target, address.ip()).await;
    server.abort();
    let found_rules: Vec<String> = found.remarks.into_iter().map(|remark| remark.done().rule).collect();
    assert_eq!(found_rules, ["tls.old_version", "tls.weak_cipher"]);
    assert!(found.untold.is_some_and(|reason| reason.contains("in time")));
}

/// What a server does with a client with whom it shares no suite.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turns {
    Alert(u8),
    Cuts,
    /// An alert, and a cut the second time that it is offered what it does not take.
    CutsLater,
}

/// `handshake_failure`
const ALERT: Turns = Turns::Alert(40);

/// A server that shares nothing with good TLS and takes the first of `takes` that it is offered in TLS 1.2.
async fn serve(mode: ProbeMode, takes: &'static [u16], turns: Turns) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let secret = Arc::new(AtomicUsize::new(0));
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let secret = Arc::clone(&secret);
            tokio::spawn(async move {
                let mut stream = if mode == ProbeMode::Implicit {
                    stream
                } else {
                    let mut stream = script(stream, "220 mx.lab.test ESMTP\r\n", usual("250 STARTTLS\r\n")).await?.into_inner();
                    stream.write_all(b"220 go\r\n").await.ok()?;
                    stream
                };
                let mut hello = vec![0; 4096];
                let count = stream.read(&mut hello).await.ok()?;
                let good = hello[..count].windows(2).any(|pair| pair == [0x13, 0x01]);
                let offered = if good { Vec::new() } else { read_hello(&hello[..count]).suites };
                let answer = match (takes.iter().find(|suite| offered.contains(suite)), turns) {
                    (Some(suite), _) => {
                        let body = [&TLS_1_2.to_be_bytes()[..], &[9; 32], &[0], &suite.to_be_bytes(), &[0]].concat();
                        [&[22, 3, 3], &sized(&[&[2, 0], &sized(&body)[..]].concat())[..]].concat()
                    }
                    (None, Turns::Cuts) => return None,
                    (None, Turns::CutsLater) if !good && secret.fetch_add(1, Ordering::Relaxed) > 0 => return None,
                    (None, Turns::Alert(alert)) => vec![21, 3, 3, 0, 2, 2, alert],
                    (None, Turns::CutsLater) => vec![21, 3, 3, 0, 2, 2, 40],
                };
                stream.write_all(&answer).await.ok()
            });
        }
    });
    (address, server)
}

async fn held_with(mode: ProbeMode, takes: &'static [u16], turns: Turns) -> ProbeReport {
    let (address, server) = serve(mode, takes, turns).await;
    let target = ProbeTarget { host: "mx.lab.test".to_owned(), port: address.port(), mode, auth: None };
    let held = prober().probe_address(&target, address.ip()).await;
    server.abort();
    held
}

const RSA: &[u16] = &[0x003c, 0x002f];

#[tokio::test]
async fn a_server_of_rsa_key_exchange_alone_is_degraded_and_not_down() {
    let cases: [(ProbeMode, &[u16], Turns, bool); 8] = [
        (ProbeMode::Starttls, RSA, ALERT, true),
        (ProbeMode::Implicit, RSA, ALERT, true),
        // insufficient_security
        (ProbeMode::Starttls, RSA, Turns::Alert(71), true),
        // An end of the connection and internal_error are no refusal, neither the first time nor the second.
        (ProbeMode::Starttls, RSA, Turns::Cuts, false),
        (ProbeMode::Starttls, RSA, Turns::CutsLater, false),
        (ProbeMode::Starttls, RSA, Turns::Alert(80), false),
        // Nothing at all, by an alert and without.
        (ProbeMode::Starttls, &[], ALERT, false),
        (ProbeMode::Starttls, &[], Turns::Cuts, false),
    ];
    let all = join_all(cases.map(|(mode, takes, turns, _)| held_with(mode, takes, turns))).await;
    for ((_, takes, turns, only_rsa), held) in cases.into_iter().zip(all) {
        let (verdict, rule) = if only_rsa { (Verdict::Degraded, "tls.no_forward_secrecy") } else { (Verdict::Down, "starttls.handshake_fails") };
        assert_eq!((held.verdict, rules(&held)), (verdict, vec![rule]), "{takes:?} {turns:?}: {held:#?}");
        if only_rsa {
            assert!(held.findings[0].summary.contains("TLS_RSA_WITH_AES_128_CBC_SHA256") && held.reason.contains("forward secrecy"), "{held:#?}");
            assert_eq!(held.findings[0].severity, Severity::Medium);
        }
    }
}

/// RSA beside one suite with forward secrecy, among them all that our library does not speak.
#[tokio::test]
async fn one_suite_with_forward_secrecy_is_enough() {
    const BESIDE_RSA: [&[u16]; 20] = [
        &[0xc02f, 0x002f],
        &[0xc007, 0x002f],
        &[0xc008, 0x002f],
        &[0xc011, 0x002f],
        &[0xc012, 0x002f],
        &[0x0014, 0x002f],
        &[0x0015, 0x002f],
        &[0x0016, 0x002f],
        &[0x0033, 0x002f],
        &[0x0039, 0x002f],
        &[0x0045, 0x002f],
        &[0x0067, 0x002f],
        &[0x006b, 0x002f],
        &[0x0088, 0x002f],
        &[0x009a, 0x002f],
        &[0x009e, 0x002f],
        &[0x00c4, 0x002f],
        &[0xc09f, 0x002f],
        &[0xc0ae, 0x002f],
        &[0xc053, 0x002f],
    ];
    let all = join_all(BESIDE_RSA.iter().map(|takes| Box::pin(held_with(ProbeMode::Implicit, takes, ALERT)))).await;
    for (takes, held) in BESIDE_RSA.into_iter().zip(all) {
        assert_eq!((held.verdict, rules(&held)), (Verdict::Down, vec!["starttls.handshake_fails"]), "{takes:x?}: {held:#?}");
    }
}

#[tokio::test]
async fn what_a_server_of_rsa_key_exchange_alone_shows_is_not_known() {
    for (takes, only_rsa) in [(RSA, true), (&[][..], false)] {
        let (address, server) = serve(ProbeMode::Starttls, takes, ALERT).await;
        let shown = prober().chain("mx.lab.test", address.ip(), address.port()).await;
        server.abort();
        assert_eq!(matches!(&shown, Shown::Ended(reason) if reason.contains("RSA key exchange")), only_rsa, "{shown:?}");
        assert_eq!(matches!(shown, Shown::BadHandshake(_)), !only_rsa, "{shown:?}");
    }
}

#[test]
fn answers_are_read_or_refuse() {
    let hello = [&[2, 0, 0, 39, 3, 2][..], &[7; 32], &[0], &[0xc0, 0x13], &[0]].concat();
    assert_eq!(read_answer(22, &hello), Answer::Chose { version: TLS_1_1, suite: 0xc013 });
    for alert in [40, 71] {
        assert_eq!(read_answer(21, &[2, alert]), Answer::Refused);
    }
    for (kind, body) in
        [(21, &[2, 70][..]), (21, &[2, 80]), (21, &[]), (22, &[2, 40]), (22, &hello[..30]), (22, &[]), (22, &[14, 0, 0, 0]), (23, &hello)]
    {
        assert_eq!(read_answer(kind, body), Answer::Else);
    }
}
