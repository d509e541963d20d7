//! Logins at servers on loopback: what is sent, when nothing is, and what the answers make of the verdict.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use waypost_types::outcome::{LoginOutcome, ProbeMode, ProbeReport, Speaker, Verdict};

use super::{
    Credentials, Mechanism, Secret,
    tests::{acceptor, probed_as, rules, script, usual},
};

type Answer = fn(&str) -> &'static str;

const WORD: &str = "open-sesame-7";
const SECRETS: [&str; 4] = ["sesame", "AHBvc3QAc2VzYW1l", "c2VzYW1l", "cG9zdA=="];

fn post(password: &str) -> Credentials {
    Credentials { any_certificate: true, ..Credentials::password("post", password) }
}

/// A login under TLS at a server that offers these mechanisms and answers so.
async fn logged_in(credentials: Credentials, offers: &'static str, answer: fn(&str) -> &'static str) -> ProbeReport {
    let tls = acceptor(|_| {});
    probed_as(ProbeMode::Implicit, Some(credentials), move |stream| async move {
        let usual = usual(offers);
        script(tls.accept(stream).await.unwrap(), "220 mx.lab.test\r\n", move |line| match line.split(' ').next() {
            Some("EHLO" | "QUIT") => usual(line),
            _ => Some(answer(line).to_owned()),
        })
        .await;
    })
    .await
}

fn outcome(report: &ProbeReport) -> LoginOutcome {
    report.auth.as_ref().and_then(|auth| auth.login.as_ref()).unwrap().outcome
}

#[tokio::test]
async fn logins_are_never_shown_and_their_answers_told_apart() {
    let right = |line: &str| if line == "AUTH PLAIN AHBvc3QAc2VzYW1l" { "235 in\r\n" } else { "535 5.7.8 no\r\n" };
    let later = |_: &str| "454 4.7.0 the directory is away\r\n";
    let unknown = |_: &str| "504 5.5.4 what is that\r\n";
    for (password, answer, wanted, verdict, rule) in [
        ("sesame", right as Answer, LoginOutcome::Accepted, Verdict::Degraded, None),
        ("wrong", right, LoginOutcome::Refused, Verdict::Down, Some("smtp.login_refused")),
        ("sesame", later, LoginOutcome::Unknown, Verdict::Degraded, None),
        ("sesame", unknown, LoginOutcome::Failed, Verdict::Down, Some("smtp.login_fails")),
    ] {
        let report = logged_in(post(password), "250 AUTH PLAIN\r\n", answer).await;
        assert_eq!((outcome(&report), report.verdict), (wanted, verdict), "{}", report.reason);
        let found: Vec<&str> = rules(&report).into_iter().filter(|rule| rule.starts_with("smtp.login")).collect();
        assert_eq!(found, rule.into_iter().collect::<Vec<_>>(), "{report:#?}");
        assert!(report.transcript.iter().any(|line| line.from == Speaker::Client && line.line == "AUTH PLAIN ****"), "{report:#?}");
        let json = serde_json::to_string(&report).unwrap();
        assert!(SECRETS.iter().all(|secret| !json.contains(secret)), "{json}");
    }
}

#[tokio::test]
async fn other_mechanisms_answer_their_challenges() {
    let login = |line: &str| match line {
        "AUTH LOGIN" => "334 VXNlcm5hbWU6\r\n",
        "cG9zdA==" => "334 UGFzc3dvcmQ6\r\n",
        "c2VzYW1l" => "235 in\r\n",
        _ => "535 no\r\n",
    };
    let report = logged_in(post("sesame"), "250 AUTH LOGIN\r\n", login).await;
    assert_eq!(outcome(&report), LoginOutcome::Accepted, "{report:#?}");
    assert_eq!(report.transcript.iter().filter(|line| line.line == "****").count(), 2, "{report:#?}");
    // A token that is no longer good: the server says why in a challenge that is answered with nothing.
    let token = |text: &str| Credentials { secret: Secret::Token(text.into()), ..post("") };
    let expired = |line: &str| match line {
        "" => "535 5.7.8 no\r\n",
        line if line.starts_with("AUTH XOAUTH2 ") => "334 eyJzdGF0dXMiOiI0MDEifQ==\r\n",
        _ => "500 what\r\n",
    };
    let report = logged_in(token("tok"), "250 AUTH PLAIN XOAUTH2\r\n", expired).await;
    assert!(outcome(&report) == LoginOutcome::Refused && report.reason.contains(r#"{"status":"401"}"#), "{}", report.reason);
    // Too long for a command line: it waits for the server's word.
    let long = |line: &str| match line {
        "AUTH XOAUTH2" => "334 \r\n",
        line if line.len() > 512 => "235 in\r\n",
        _ => "500 what\r\n",
    };
    let report = logged_in(token(&"t".repeat(900)), "250 AUTH XOAUTH2\r\n", long).await;
    assert_eq!(outcome(&report), LoginOutcome::Accepted, "{report:#?}");
    // A challenge that is none: the exchange is ended with an asterisk, and is the server's fault.
    let astray = |line: &str| if line == "*" { "501 ended\r\n" } else { "334 !!!\r\n" };
    let scram = Credentials { mechanism: Some(Mechanism::ScramSha256), ..post("sesame") };
    let report = logged_in(scram, "250 AUTH PLAIN SCRAM-SHA-256\r\n", astray).await;
    assert_eq!((outcome(&report), report.verdict), (LoginOutcome::Failed, Verdict::Down), "{report:#?}");
}

/// A server that says back whatever it hears, and the secret as it is: in a reply, in a challenge that is read out, and in what is no SMTP.
#[tokio::test]
async fn whatever_the_mechanism_and_whatever_the_server_says_back_no_secret_is_shown() {
    let password = |mechanism| Credentials { mechanism: Some(mechanism), ..post(WORD) };
    let token = |mechanism| Credentials { secret: Secret::Token(WORD.into()), mechanism: Some(mechanism), ..post("") };
    let credentials = [
        password(Mechanism::Plain),
        password(Mechanism::Login),
        password(Mechanism::CramMd5),
        password(Mechanism::ScramSha1),
        password(Mechanism::ScramSha256),
        token(Mechanism::OauthBearer),
        token(Mechanism::Xoauth2),
    ];
    let ways = ["reply", "challenge", "noise"].into_iter();
    futures::future::join_all(ways.flat_map(|way| credentials.iter().map(move |credentials| leaks(credentials.clone(), way)))).await;
}

async fn leaks(credentials: Credentials, way: &'static str) {
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (ears, tls, mechanism) = (std::sync::Arc::clone(&heard), acceptor(|_| {}), credentials.mechanism.unwrap());
    let report = probed_as(ProbeMode::Implicit, Some(credentials), move |stream| async move {
        let answer = move |line: &str| match line.split(' ').next() {
            Some("EHLO") => Some(format!("250-mx.lab.test\r\n250 AUTH {}\r\n", mechanism.as_str())),
            Some("QUIT") => Some("221 bye\r\n".to_owned()),
            _ => {
                let mut ears = ears.lock().unwrap();
                ears.push(line.to_owned());
                // SCRAM's first answer to us, so that its proof is heard as well.
                let nonce = STANDARD.decode(line.rsplit(' ').next().unwrap_or_default()).unwrap_or_default();
                let nonce = String::from_utf8_lossy(&nonce).split("r=").nth(1).map(str::to_owned);
                Some(match (nonce, way, ears.len()) {
                    (Some(nonce), _, 1) => format!("334 {}\r\n", STANDARD.encode(format!("r={nonce}x,s=c2FsdA==,i=4096"))),
                    (None, _, 1) if mechanism == Mechanism::Login => "334 VXNlcm5hbWU6\r\n".to_owned(),
                    (None, _, 2) if mechanism == Mechanism::Login => "334 UGFzc3dvcmQ6\r\n".to_owned(),
                    (None, _, 1) if mechanism == Mechanism::CramMd5 => "334 PDFAbGFiPg==\r\n".to_owned(),
                    (_, "challenge", 1..=3) => format!("334 {}\r\n", STANDARD.encode(format!("e={WORD} {WORD}"))),
                    (_, "noise", _) => format!("what is {line} or {WORD}\r\n"),
                    _ => format!("535 5.7.8 {line} is not {WORD}, nor {}\r\n", STANDARD.encode(WORD)),
                })
            }
        };
        script(tls.accept(stream).await.unwrap(), "220 mx.lab.test\r\n", answer).await;
    })
    .await;
    let shown = serde_json::to_string(&report).unwrap();
    let said: Vec<String> = heard.lock().unwrap().iter().filter_map(|line| line.rsplit(' ').next().map(str::to_owned)).collect();
    let named = [mechanism.as_str(), "", "*"];
    let secrets = said.iter().map(String::as_str).filter(|word| !named.contains(word)).chain([WORD]);
    assert!(said.iter().any(|word| !named.contains(&word.as_str())), "{mechanism:?} {way}: something was said");
    for secret in secrets.map(str::to_owned).chain([STANDARD.encode(WORD)]) {
        assert!(!shown.contains(&secret), "{mechanism:?} {way}: {secret} in {shown}");
    }
}

#[tokio::test]
async fn nothing_is_sent_where_others_could_read_it() {
    let never = |_: &str| "235 thank you\r\n";
    let report = logged_in(Credentials::password("post", "sesame"), "250 AUTH PLAIN\r\n", never).await;
    assert!(outcome(&report) == LoginOutcome::Untried && report.reason.contains("does not prove"), "{}", report.reason);
    assert!(!report.transcript.iter().any(|line| line.line.starts_with("AUTH ")), "{report:#?}");
    let report = probed_as(ProbeMode::Plain, Some(post("sesame")), |stream| async move {
        script(stream, "220 mx.lab.test\r\n", usual("250 AUTH PLAIN\r\n")).await;
    })
    .await;
    assert!(outcome(&report) == LoginOutcome::Untried && report.reason.contains("not encrypted"), "{}", report.reason);
    assert!(!report.transcript.iter().any(|line| line.from == Speaker::Client && line.line.starts_with("AUTH ")), "{report:#?}");
}

#[tokio::test]
async fn logins_offered_before_tls_are_judged_by_what_they_show() {
    for (offers, wanted) in [
        ("250 AUTH PLAIN CRAM-MD5\r\n", vec!["smtp.auth_plain_without_tls"]),
        ("250 AUTH=LOGIN\r\n", vec!["smtp.auth_plain_without_tls"]),
        ("250 AUTH CRAM-MD5 SCRAM-SHA-256\r\n", vec!["smtp.auth_before_tls"]),
        ("250 AUTH\r\n", vec![]),
    ] {
        let report = probed_as(ProbeMode::Plain, None, move |stream| async move {
            script(stream, "220 mx.lab.test\r\n", usual(offers)).await;
        })
        .await;
        assert_eq!(rules(&report), wanted, "{offers}: {report:#?}");
    }
}
