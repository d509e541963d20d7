//! Servers that end a message by the standard and too soon, and that refuse recipients in time and late.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use waypost_types::outcome::{CloseLook, ProbeMode};

use super::{
    Asks, ProbeTarget,
    data::{judge, message},
    reply::Reply,
    tests::prober,
};

const LOOP: &str = "554 5.4.0 Error: too many hops\r\n";
const QUEUED: &str = "250 2.0.0 Ok: queued\r\n";
const NO_SUCH_USER: &str = "550 5.1.1 no such user\r\n";

/// How a server treats a message.
#[derive(Clone, Copy)]
struct Server {
    /// To RCPT for a made-up name; postmaster is taken.
    nobody: &'static str,
    /// To DATA.
    data: &'static str,
    /// LF ends lines as CRLF does.
    lf_is_a_line: bool,
    /// To the end of a message.
    message: &'static str,
    /// It says this about LF alone and hangs up.
    bare: Option<&'static str>,
    /// What it says to this command in the second envelope of a conversation.
    again: Option<(&'static str, &'static str)>,
    greeting: &'static str,
    help: &'static str,
}

const GOOD: Server = Server {
    nobody: NO_SUCH_USER,
    data: "354 go on\r\n",
    lf_is_a_line: false,
    message: LOOP,
    bare: None,
    again: None,
    greeting: "220 mx.lab.test\r\n",
    help: "502 5.5.2 not here\r\n",
};

/// A message as a server took it: for whom, and whether its end came.
type Taken = Arc<Mutex<Vec<(Vec<String>, bool)>>>;

async fn serve(stream: TcpStream, server: Server, taken: Taken) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(server.greeting.as_bytes()).await?;
    let (mut line, mut to, mut envelopes) = (Vec::new(), Vec::new(), 0);
    while stream.read_until(b'\n', &mut line).await? > 0 {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        let verb = text.split([' ', ':']).next().unwrap_or_default().to_owned();
        envelopes += usize::from(verb == "MAIL");
        let again = server.again.filter(|(command, _)| envelopes == 2 && *command == verb);
        let reply = match verb.as_str() {
            "EHLO" => "250 mx.lab.test\r\n",
            "HELP" => server.help,
            _ if again.is_some() => again.map_or("", |(_, reply)| reply),
            "MAIL" | "RSET" => {
                to.clear();
                "250 2.0.0 ok\r\n"
            }
            "RCPT" => {
                to.push(text.clone());
                if text.contains("nobody") { server.nobody } else { "250 2.1.5 ok\r\n" }
            }
            "QUIT" => "221 bye\r\n",
            "DATA" if server.data.starts_with("354") => {
                stream.get_mut().write_all(server.data.as_bytes()).await?;
                let mut before: Vec<u8> = b"\r\n".to_vec();
                taken.lock().unwrap().push((to.clone(), false));
                loop {
                    if stream.read_until(b'\n', &mut line).await? == 0 {
                        return Ok(());
                    }
                    let bare = !line.ends_with(b"\r\n");
                    if let Some(reply) = server.bare.filter(|_| bare) {
                        return stream.get_mut().write_all(reply.as_bytes()).await;
                    }
                    let clean = server.lf_is_a_line || (before.ends_with(b"\r\n") && !bare);
                    if clean && matches!(line.as_slice(), b".\r\n" | b".\n") {
                        break;
                    }
                    std::mem::swap(&mut before, &mut line);
                    line.clear();
                }
                line.clear();
                if let Some(last) = taken.lock().unwrap().last_mut() {
                    last.1 = true;
                }
                server.message
            }
            "DATA" => server.data,
            "NOOP" => "250 ok\r\n",
            _ => "500 what\r\n",
        };
        stream.get_mut().write_all(reply.as_bytes()).await?;
    }
    Ok(())
}

/// Has a server asked, and gives what was found and what it took.
async fn asked(server: Server) -> (CloseLook, Vec<(Vec<String>, bool)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Taken::default();
    let kept = Arc::clone(&taken);
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, server, Arc::clone(&kept)));
        }
    });
    let target = ProbeTarget { host: "mx.lab.test".to_owned(), port: address.port(), mode: ProbeMode::Plain, auth: None };
    let held = prober().probe_address(&target, address.ip()).await;
    let asks = Asks { recipients_of: Some("lab.test".parse().unwrap()), data: true, ..Asks::default() };
    let look = prober().look_closely(&target, &asks, &held).await.unwrap();
    serving.abort();
    assert!(look.findings.iter().all(|finding| !finding.fix.contains(['{', '}'])), "{look:#?}");
    assert!(!look.transcript.iter().any(|line| line.line.contains("Received: from")), "a hundred lines tell nobody anything: {look:#?}");
    let taken = taken.lock().unwrap().clone();
    (look, taken)
}

#[tokio::test]
async fn only_a_server_that_takes_lf_for_a_line_end_ends_the_message_there() {
    let cases = [
        (GOOD, false, false),
        (Server { bare: Some("521 5.5.2 mx.lab.test Error: bare <LF> received\r\n"), ..GOOD }, false, false),
        // Hangs up without a word.
        (Server { bare: Some(""), ..GOOD }, false, false),
        (Server { bare: Some("554 5.7.1 not from you\r\n"), ..GOOD }, false, true),
        (Server { lf_is_a_line: true, ..GOOD }, true, false),
        (Server { lf_is_a_line: true, message: QUEUED, ..GOOD }, true, false),
        (Server { data: "451 4.3.0 later\r\n", ..GOOD }, false, true),
    ];
    let looks = join_all(cases.map(|(server, ..)| asked(server))).await;
    for ((_, found, untold), (look, taken)) in cases.into_iter().zip(looks) {
        let smuggles = look.findings.iter().any(|finding| finding.rule == "smtp.bare_lf_accepted");
        let line_ends = look.unknown.iter().any(|part| part.subject == "line_ends");
        assert_eq!((smuggles, line_ends), (found, untold), "{look:#?}");
        // A server that does the right thing is never given a whole message.
        assert!(found || taken.iter().all(|(_, ended)| !ended), "{taken:?}");
        for (to, _) in &taken {
            assert_eq!(to, &["RCPT TO:<postmaster@lab.test>"], "nobody else is written to");
        }
    }
}

#[tokio::test]
async fn a_recipient_that_is_refused_after_data_is_no_catch_all() {
    let taken = "250 2.1.5 ok\r\n";
    let cases = [
        (GOOD, None),
        (Server { nobody: taken, message: NO_SUCH_USER, ..GOOD }, Some("smtp.rejects_after_data")),
        (Server { nobody: taken, data: NO_SUCH_USER, ..GOOD }, Some("smtp.rejects_after_data")),
        // Which recipients there are is not what these replies are about.
        (Server { nobody: taken, ..GOOD }, Some("smtp.catch_all")),
        (Server { nobody: taken, message: QUEUED, ..GOOD }, Some("smtp.catch_all")),
        (Server { nobody: taken, message: "550 5.7.1 spam\r\n", ..GOOD }, Some("smtp.catch_all")),
        (Server { nobody: taken, data: "451 4.3.0 later\r\n", ..GOOD }, Some("smtp.catch_all")),
    ];
    let looks = join_all(cases.map(|(server, _)| asked(server))).await;
    for ((_, rule), (look, taken)) in cases.into_iter().zip(looks) {
        let found: Vec<&str> = look.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!(found, rule.into_iter().collect::<Vec<_>>(), "{look:#?}");
        // In an envelope of its own: postmaster and abuse, which were taken before, get nothing.
        for (to, ended) in taken {
            assert!(!ended || to == ["RCPT TO:<waypost-nobody-has-this-name@lab.test>"], "{to:?}");
        }
    }
}

fn subjects(look: &CloseLook) -> Vec<&str> {
    look.unknown.iter().map(|part| part.subject.as_str()).collect()
}

#[tokio::test]
async fn a_recipient_that_is_taken_and_then_not_is_unclear() {
    let again = [("MAIL", "452 4.3.1 full\r\n"), ("RCPT", "451 4.7.1 later\r\n"), ("RCPT", NO_SUCH_USER), ("RCPT", "550 5.7.1 not you\r\n")];
    for (said, (look, taken)) in
        again.iter().zip(join_all(again.map(|again| asked(Server { nobody: "250 ok\r\n", again: Some(again), ..GOOD }))).await)
    {
        assert_eq!((look.findings.as_slice(), subjects(&look)), ([].as_slice(), vec!["recipients"]), "{said:?}: {look:#?}");
        assert!(look.unknown[0].reason.contains(said.1.trim_end()), "{look:#?}");
        assert!(taken.iter().all(|(to, ended)| !ended && to == &["RCPT TO:<postmaster@lab.test>"]), "{taken:?}");
    }
}

/// It would take the message and report it to its postmaster.
#[tokio::test]
async fn sendmail_is_sent_no_message() {
    let greets = Server { greeting: "220 mx.lab.test ESMTP Sendmail 8.17.1/8.17.1; Thu, 1 Jan 2026\r\n", ..GOOD };
    let helps = Server { help: "214-2.0.0 This is sendmail version 8.17.1\r\n214 2.0.0 End of HELP info\r\n", ..GOOD };
    let taken = "250 2.1.5 ok\r\n";
    let servers = [greets, helps, Server { nobody: taken, ..greets }, Server { nobody: taken, ..helps }];
    for (server, (look, messages)) in servers.iter().zip(join_all(servers.map(asked)).await) {
        let untold = if server.nobody == taken { vec!["recipients", "line_ends"] } else { vec!["line_ends"] };
        assert_eq!((look.findings.as_slice(), subjects(&look)), ([].as_slice(), untold), "{look:#?}");
        assert!(look.unknown.iter().all(|part| part.reason.contains("Sendmail")), "{look:#?}");
        assert!(messages.is_empty(), "{messages:?}");
    }
}

#[test]
fn a_reply_before_the_end_of_the_message_says_whether_it_was_judged() {
    for (code, line, wanted) in [
        (250, "2.0.0 Ok: queued as 4WXYZ", Some(true)),
        (554, "5.4.0 Error: too many hops", Some(true)),
        (554, "5.4.6 looks bad", Some(true)),
        (550, "Too many \"Received\" headers - suspected mail loop", Some(true)),
        (554, "too many hops, this message is looping (#5.4.6)", Some(true)),
        (521, "5.5.2 mx.example Error: bare <LF> received", Some(false)),
        (550, "5.5.2 mx.example Error: bare <LF> received", Some(false)),
        (554, "5.6.11 Bare linefeeds are illegal", Some(false)),
        (421, "4.7.0 goodbye", None),
        (554, "5.7.1 not from you", None),
        (500, "5.5.2 what", None),
    ] {
        let judged = judge(&Reply { code, lines: vec![line.to_owned()] });
        assert_eq!(judged.as_ref().ok().map(Option::is_some), wanted, "{code} {line}: {judged:?}");
    }
}

#[test]
fn the_message_has_clean_lines_and_more_hops_than_may_pass() {
    let message = message("probe.example", "postmaster@mail.example");
    assert!(message.lines().filter(|line| line.starts_with("Received: ")).count() > 100);
    assert_eq!(message.matches('\n').count(), message.matches("\r\n").count(), "LF comes only where it is asked about");
    assert!(!message.contains("\r\n.") && message.lines().all(|line| line.len() <= 998) && message.is_ascii());
}
