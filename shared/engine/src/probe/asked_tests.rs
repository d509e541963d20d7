//! What is asked of willing servers, and what their answers mean.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use waypost_types::outcome::{ProbeMode, ProbeReport};

use super::{
    Asks, ProbeTarget, QUESTIONS, question_of,
    tests::{acceptor, prober, rules, script, usual},
};

type Answer = fn(&str) -> &'static str;

/// Probes and looks closely: the report of the conversation with what the look found in the place of its own findings.
async fn looked_at(address: SocketAddr, mode: ProbeMode, asks: Asks) -> ProbeReport {
    let target = ProbeTarget { host: "mx.lab.test".to_owned(), port: address.port(), mode, auth: None };
    let held = prober().probe_address(&target, address.ip()).await;
    let look = prober().look_closely(&target, &asks, &held).await.unwrap();
    assert!(look.findings.iter().all(|finding| question_of(&finding.rule).is_some()), "{look:#?}");
    assert!(look.unknown.iter().all(|part| QUESTIONS.contains(&part.subject.as_str())), "{look:#?}");
    assert!(look.findings.iter().all(|finding| !finding.fix.contains(['{', '}'])), "{look:#?}");
    ProbeReport { findings: look.findings, unknown: look.unknown, transcript: look.transcript, ..held }
}

/// Probes and asks a server that answers RCPT like this; EHLO and the rest as usual.
async fn asked(asks: Asks, rcpt: impl Fn(&str) -> &'static str + Clone + Send + 'static) -> ProbeReport {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let rcpt = rcpt.clone();
            tokio::spawn(script(stream, "220 mx.lab.test\r\n", move |line| match line.split([' ', ':']).next() {
                Some("EHLO" | "QUIT") => usual("250 HELP\r\n")(line),
                Some("MAIL" | "RSET") => Some("250 2.0.0 ok\r\n".to_owned()),
                Some("RCPT") => Some(rcpt(line).to_owned()),
                _ => Some("500 what\r\n".to_owned()),
            }));
        }
    });
    let report = looked_at(address, ProbeMode::Plain, asks).await;
    server.abort();
    assert!(!report.transcript.iter().any(|line| line.line.starts_with("DATA")), "{report:#?}");
    report
}

fn untold(report: &ProbeReport) -> Vec<&str> {
    report.unknown.iter().map(|part| part.subject.as_str()).collect()
}

#[tokio::test]
async fn recipients_are_asked_for_and_put_back() {
    let asks = || Asks { recipients_of: Some("lab.test".parse().unwrap()), ..Asks::default() };
    for (rcpt, wanted, unknown) in [
        ((|line| if line.contains("nobody") { "550 5.1.1 no\r\n" } else { "250 2.1.5 ok\r\n" }) as Answer, vec![], vec![]),
        (|_| "250 2.1.5 ok\r\n", vec!["smtp.catch_all"], vec![]),
        (|line| if line.contains("nobody") { "252 perhaps\r\n" } else { "250 2.1.5 ok\r\n" }, vec![], vec![]),
        (|_| "550 5.1.1 no such user\r\n", vec!["smtp.postmaster_missing", "smtp.abuse_missing"], vec![]),
        (|_| "550 No such user here\r\n", vec!["smtp.postmaster_missing", "smtp.abuse_missing"], vec![]),
        // It may mean the name or us.
        (|_| "550 no\r\n", vec![], vec!["recipients", "recipients"]),
        (|_| "550 Blocked - see https://lists.example/query\r\n", vec![], vec!["recipients", "recipients"]),
        (|_| "550 5.1.7 unknown sender\r\n", vec![], vec!["recipients", "recipients"]),
        (|line| if line.contains("postmaster") { "250 ok\r\n" } else { "550 5.1.1 no\r\n" }, vec!["smtp.abuse_missing"], vec![]),
        // Greylisting, and a refusal of who asks, say nothing of the recipient.
        (|_| "451 4.7.1 Greylisted, come back\r\n", vec!["smtp.greylisting"], vec!["recipients", "recipients"]),
        (|_| "450 4.2.0 later\r\n", vec![], vec!["recipients", "recipients"]),
        (|_| "550 5.7.1 your address is listed\r\n", vec![], vec!["recipients", "recipients"]),
        (|_| "554 not you\r\n", vec![], vec!["recipients", "recipients"]),
    ] {
        let report = asked(asks(), rcpt).await;
        assert_eq!((rules(&report), untold(&report)), (wanted.clone(), unknown), "{report:#?}");
        if wanted.contains(&"smtp.abuse_missing") {
            assert!(report.findings.iter().any(|finding| finding.fix.contains("abuse@lab.test")), "{report:#?}");
        }
        let said = |line: &str| report.transcript.iter().any(|said| said.line == line);
        assert!(said("RCPT TO:<postmaster@lab.test>") && said("RSET") && !said("RCPT TO:<waypost-relay-test@example.net>"), "{report:#?}");
    }
}

#[tokio::test]
async fn an_open_relay_is_told_without_sending() {
    let asks = || Asks { relay: true, ..Asks::default() };
    for (rcpt, wanted, unknown) in [
        ((|_| "250 2.1.5 ok\r\n") as Answer, vec!["smtp.open_relay"], vec![]),
        (|_| "554 5.7.1 Relay access denied\r\n", vec![], vec![]),
        (|_| "530 5.7.0 log in first\r\n", vec![], vec![]),
        (|_| "252 perhaps\r\n", vec![], vec!["relay"]),
        (|_| "220 ok\r\n", vec!["smtp.open_relay", "smtp.reply_code"], vec![]),
        // The reserved domain takes no mail, which was looked up first.
        (|_| "556 5.1.10 Domain does not accept mail (nullMX)\r\n", vec![], vec!["relay"]),
        (|_| "550 5.1.2 Domain not found\r\n", vec![], vec!["relay"]),
        (|_| "451 4.3.0 later\r\n", vec![], vec!["relay"]),
    ] {
        let report = asked(asks(), rcpt).await;
        assert_eq!((rules(&report), untold(&report)), (wanted, unknown), "{report:#?}");
    }
}

#[tokio::test]
async fn commands_ahead_of_tls_are_seen_where_they_are_obeyed() {
    // It drops what came ahead, hangs up because of it, obeys it.
    for (obeys, hangs_up) in [(false, false), (false, true), (true, false)] {
        let tls = acceptor(|_| {});
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let stream = script(stream, "220 mx.lab.test ESMTP\r\n", usual("250 STARTTLS\r\n")).await?;
                    // What came in one packet with STARTTLS.
                    let ahead = stream.buffer().to_vec();
                    let mut stream = stream.into_inner();
                    tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 go\r\n").await.ok()?;
                    if hangs_up && !ahead.is_empty() {
                        return None;
                    }
                    let greeting = if obeys && !ahead.is_empty() { "250 2.0.0 Ok\r\n" } else { "" };
                    let answer = |line: &str| if line == "RSET" { Some("250 ok\r\n".to_owned()) } else { usual("250 HELP\r\n")(line) };
                    script(tls.accept(stream).await.ok()?, greeting, answer).await
                });
            }
        });
        let report = looked_at(address, ProbeMode::Starttls, Asks { injection: true, ..Asks::default() }).await;
        assert_eq!(rules(&report).contains(&"starttls.injection"), obeys, "{report:#?}");
        assert_eq!(untold(&report), [""; 0], "{report:#?}");
        server.abort();
    }
}

#[tokio::test]
async fn an_alarm_is_taken_back_by_a_second_answer_and_by_nothing_else() {
    // Each answer to the second question, after the first was taken.
    for (second, wanted, unknown) in [
        ("554 5.7.1 Relay access denied\r\n", vec![], vec!["relay"]),
        ("451 4.7.1 slow down\r\n", vec!["smtp.open_relay"], vec![]),
        ("250 2.1.5 ok\r\n", vec!["smtp.open_relay"], vec![]),
    ] {
        let answers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&answers);
        let report =
            asked(
                Asks { relay: true, ..Asks::default() },
                move |_| {
                    if counted.fetch_add(1, Ordering::Relaxed) == 0 { "250 2.1.5 ok\r\n" } else { second }
                },
            )
            .await;
        assert_eq!((rules(&report), untold(&report)), (wanted, unknown), "{second}: {report:#?}");
        assert_eq!(answers.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_leaves_its_other_questions_open() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(stream, "220 mx.lab.test\r\n", |line| match line.split([' ', ':']).next() {
                Some("VRFY") => None,
                Some("MAIL" | "RSET") => Some("250 2.0.0 ok\r\n".to_owned()),
                Some("RCPT") => Some("250 2.1.5 ok\r\n".to_owned()),
                _ => usual("250 HELP\r\n")(line),
            }));
        }
    });
    let report = looked_at(address, ProbeMode::Plain, Asks::of_owner(Some("lab.test".parse().unwrap()), true)).await;
    server.abort();
    assert_eq!((rules(&report), untold(&report)), (vec!["smtp.open_relay"], vec!["users", "recipients", "line_ends"]), "{report:#?}");
}

#[tokio::test]
async fn vrfy_and_expn_tell_only_where_their_answers_differ() {
    for (known, unknown, members, wanted) in [
        ("252 2.1.5 perhaps", "252 2.1.5 perhaps", "502 5.5.1 off", vec![]),
        ("250 2.1.5 Post Master <postmaster@lab.test>", "550 5.1.1 no such user", "502 5.5.1 off", vec!["smtp.vrfy_enabled"]),
        // Postfix, as it comes.
        ("252 2.0.0 postmaster", "550 5.1.1 no such user", "502 5.5.1 off", vec!["smtp.vrfy_enabled"]),
        // Who says yes to everybody tells nothing.
        ("250 ok", "250 ok", "550 5.7.1 not for you", vec![]),
        ("502 5.5.1 off", "502 5.5.1 off", "250-<a@lab.test>\r\n250 <b@lab.test>", vec!["smtp.expn_enabled"]),
        ("250 ok", "450 4.2.0 later", "252 perhaps", vec![]),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(script(stream, "220 mx.lab.test\r\n", move |line| match line.split(' ').collect::<Vec<_>>()[..] {
                    ["VRFY", "postmaster"] => Some(format!("{known}\r\n")),
                    ["VRFY", _] => Some(format!("{unknown}\r\n")),
                    ["EXPN", _] => Some(format!("{members}\r\n")),
                    _ => usual("250 HELP\r\n")(line),
                }));
            }
        });
        let report = looked_at(address, ProbeMode::Plain, Asks { users: true, ..Asks::default() }).await;
        assert_eq!((rules(&report), untold(&report)), (wanted, vec![]), "{report:#?}");
        server.abort();
    }
}
