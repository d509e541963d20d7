//! Monitors of mailboxes at a real Dovecot: TLS from the first byte and after STARTTLS and STLS, certificates, and whether what is said of logins is
//! what the server does. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use waypost_engine::net::{Net, NetConfig};
use waypost_engine::probe::Prober;
use waypost_engine::service::ServiceCheck;
use waypost_lab::{Lab, LabConfig};
use waypost_types::monitor::MonitorKind;
use waypost_types::outcome::{ServiceReport, Verdict};
use waypost_types::service::ServiceSettings;

async fn lab() -> Lab {
    match Lab::start(LabConfig::default()).await {
        Ok(lab) => lab,
        Err(error) => panic!("{error}"),
    }
}

async fn look(lab: &Lab, kind: MonitorKind, target: &str) -> ServiceReport {
    let resolvers = vec![lab.ready.resolver.parse().unwrap()];
    let net = Net::new(NetConfig { resolvers, ca_file: Some((&lab.ready.ca_file).into()), ..NetConfig::default() }).unwrap();
    let check = ServiceCheck::read(kind, target, &ServiceSettings::default()).unwrap();
    Prober::new(&net).look(&check).await
}

fn rules(report: &ServiceReport) -> Vec<&str> {
    report.findings().map(|finding| finding.rule.as_str()).collect()
}

/// The ports of both protocols: after STARTTLS or STLS, and TLS from the first byte.
const PORTS: [(MonitorKind, [u16; 2]); 2] = [(MonitorKind::Imap, [143, 993]), (MonitorKind::Pop, [110, 995])];

#[tokio::test]
async fn a_well_kept_dovecot_is_up_and_shows_its_session() {
    let lab = lab().await;
    for (kind, ports) in PORTS {
        for port in ports {
            let report = look(&lab, kind, &format!("mailbox.lab.test:{port}")).await;
            assert_eq!((report.verdict, rules(&report)), (Verdict::Up, vec![]), "{report:#?}");
            let look = &report.looks[0];
            let tls = look.tls.as_ref().unwrap();
            assert!(tls.trusted && tls.name_matches && tls.version == "TLSv1.3", "{tls:#?}");
            assert!(look.banner.as_ref().unwrap().contains("Dovecot"), "{look:#?}");
            // As it can under TLS.
            let has = |word: &str| look.capabilities.iter().any(|line| line.split_whitespace().any(|known| known == word));
            assert!(has(if kind == MonitorKind::Imap { "AUTH=PLAIN" } else { "USER" }) && !has("LOGINDISABLED"), "{look:#?}");
            assert!(look.stage_ms.connect.is_some() && look.stage_ms.tls.is_some() && look.stage_ms.total.is_some());
            assert!(
                !look.transcript.iter().any(|line| line.line.contains("AUTHENTICATE") || line.line.contains(" LOGIN ")),
                "nobody logs in: {look:#?}"
            );
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_over_is_down_where_programs_log_in() {
    let lab = lab().await;
    for (kind, ports) in PORTS {
        for port in ports {
            let report = look(&lab, kind, &format!("mailbox-expired.lab.test:{port}")).await;
            assert_eq!(report.verdict, Verdict::Down, "{report:#?}");
            assert!(rules(&report).contains(&"cert.expired"), "{report:#?}");
        }
        // It is for other names.
        let address = format!("127.{}.0.143:{}", lab.ready.slot, ports[1]);
        let report = look(&lab, kind, &address).await;
        assert_eq!((report.verdict, rules(&report)), (Verdict::Down, vec!["cert.name_mismatch"]), "{report:#?}");
    }
}

/// What the server does with a login in clear: taken, refused for the password, or not listened to.
async fn logged_in(lab: &Lab, octet: u8, kind: MonitorKind, password: &str) -> String {
    let port = if kind == MonitorKind::Imap { 143 } else { 110 };
    let user = &lab.ready.submission_user;
    let commands = match kind {
        MonitorKind::Imap => vec![format!("a1 LOGIN {user} {password}")],
        _ => vec![format!("USER {user}"), format!("PASS {password}")],
    };
    let talk = async {
        let mut stream = BufReader::new(TcpStream::connect((format!("127.{}.0.{octet}", lab.ready.slot), port)).await.unwrap());
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        for command in commands {
            stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            while line.starts_with("* ") {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
            }
            if !(line.starts_with("+OK") || line.starts_with("a1 OK")) {
                break;
            }
        }
        line
    };
    tokio::time::timeout(Duration::from_secs(10), talk).await.unwrap()
}

/// The monitor says it from what is offered, without logging in; the server is asked here whether it is so.
#[tokio::test]
async fn passwords_in_clear_are_told_where_the_server_takes_them_and_only_there() {
    let lab = lab().await;
    let good = lab.ready.submission_password.clone();
    for (kind, [port, _]) in PORTS {
        let (family, clear, tls) = match kind {
            MonitorKind::Imap => ("imap", "imap.login_in_clear", "imap.starttls_missing"),
            _ => ("pop", "pop.login_in_clear", "pop.stls_missing"),
        };
        let lax = look(&lab, kind, &format!("mailbox-lax.lab.test:{port}")).await;
        assert_eq!((lax.verdict, rules(&lax)), (Verdict::Degraded, vec![clear]), "{lax:#?}");
        assert!(lax.looks[0].tls.is_some(), "it has TLS beside it: {lax:#?}");
        let none = look(&lab, kind, &format!("mailbox-clear.lab.test:{port}")).await;
        assert_eq!(none.verdict, Verdict::Degraded, "{none:#?}");
        assert!(rules(&none).contains(&clear) && rules(&none).contains(&tls), "{none:#?}");
        for octet in [145, 146] {
            let accepted = logged_in(&lab, octet, kind, &good).await;
            assert!(accepted.contains("OK"), "{family} {octet}: {accepted}");
            let refused = logged_in(&lab, octet, kind, "wrong").await;
            assert!(refused.contains("[AUTHENTICATIONFAILED]") || refused.contains("[AUTH]"), "{family} {octet}: {refused}");
        }
        // The well-kept one does not listen, whatever the password.
        for password in [good.as_str(), "wrong"] {
            let unheard = logged_in(&lab, 143, kind, password).await;
            assert!(unheard.contains("disallowed"), "{family}: {unheard}");
        }
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_down() {
    let lab = lab().await;
    let report = look(&lab, MonitorKind::Imap, "sink.lab.test:993").await;
    assert_eq!(report.verdict, Verdict::Down, "{report:#?}");
    assert!(report.is_unreached(), "{report:#?}");
}
