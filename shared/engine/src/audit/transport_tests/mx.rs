//! MX hosts that take connections and hosts that do not.

use waypost_types::Severity;

use super::*;
use crate::probe::{PORT25_BLOCKED, Port25Memory};

const TWO: [(&str, &str); 5] = [
    ("e.example", "MX 10 mx1.e.example"),
    ("e.example", "MX 20 mx2.e.example"),
    ("e.example", "TXT v=spf1 mx -all"),
    ("mx1.e.example", "A 127.0.0.1"),
    // Nothing listens there.
    ("mx2.e.example", "A 127.0.0.2"),
];

/// What an audit says of the hosts' port: findings, and how many it could not tell of.
async fn reach(records: &[(&str, &str)], smtp: Option<SocketAddr>, options: &AuditOptions) -> (Vec<Finding>, Vec<UnknownPart>) {
    let dns = Server::start(records, &[]).await;
    let report = look(&dns.net(), smtp, options, &Family::ALL).await;
    let mut found = report.findings;
    found.retain(|finding| finding.rule == "mx.unreachable");
    let colour = report.checks["mx"].status;
    assert_eq!(found.iter().any(|finding| finding.severity == Severity::High), colour == Status::Bad, "{found:#?}");
    (found, report.unknown.into_iter().filter(|part| part.subject == "mx.unreachable").collect())
}

/// From a network that reached some port 25 lately, or not.
fn from(open: bool) -> AuditOptions {
    let port25 = Port25Memory::default();
    if open {
        port25.reached(Utc::now());
    }
    AuditOptions { port25, deadline: Duration::from_secs(20), ..looking() }
}

fn told(found: &[Finding]) -> Vec<(&str, Severity)> {
    found.iter().map(|finding| (finding.subject.as_str(), finding.severity)).collect()
}

#[tokio::test]
async fn a_host_that_takes_no_connection_is_found_and_weighs_by_whether_another_does() {
    let (address, _) = smtp(None, "127.0.0.1:0").await;
    let (found, untold) = reach(&TWO, Some(address), &from(true)).await;
    assert_eq!((told(&found), untold), (vec![("mx2.e.example", Severity::Medium)], vec![]));
    assert!(found[0].summary.contains("127.0.0.2: connection refused") && !found[0].fix.contains('{'), "{found:#?}");
    let (found, untold) = reach(&TWO, None, &from(true)).await;
    assert_eq!((told(&found), untold), (vec![("mx1.e.example", Severity::High), ("mx2.e.example", Severity::High)], vec![]));
}

#[tokio::test]
async fn where_port_25_may_be_blocked_here_it_is_unknown() {
    let (found, untold) = reach(&TWO, None, &from(false)).await;
    assert_eq!((found, untold.len()), (vec![], 2));
    assert!(untold.iter().all(|part| part.reason.contains(PORT25_BLOCKED)), "{untold:#?}");
}

#[tokio::test]
async fn an_address_that_works_is_enough_and_what_is_not_asked_is_not_told() {
    let (address, _) = smtp(None, "127.0.0.1:0").await;
    let both = [TWO[0], TWO[2], TWO[3], ("mx1.e.example", "A 127.0.0.2")];
    // A provider's, which is probed rarely enough elsewhere; a stranger's audit, which talks to nobody.
    let provider = [("e.example", "MX 10 aspmx.l.google.com"), ("aspmx.l.google.com", "A 127.0.0.2")];
    let stranger = AuditOptions { look_at_certificates: false, ..from(true) };
    for (records, options) in [(&both[..], from(true)), (&provider[..], from(true)), (&TWO[..], stranger)] {
        assert_eq!(reach(records, Some(address), &options).await, (vec![], vec![]), "{records:?}");
    }
}

/// A server that answers and does not want us took the connection.
#[tokio::test]
async fn a_server_that_turns_us_away_is_reached() {
    use tokio::io::AsyncWriteExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"554 5.7.1 not you\r\n").await.unwrap();
        }
    });
    assert_eq!(reach(&[TWO[0], TWO[2], TWO[3]], Some(address), &from(true)).await, (vec![], vec![]));
}
