//! Scans against a small DNS server on loopback that plays the lists.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::net::UdpSocket;
use waypost_types::{
    finding::Severity,
    outcome::{BlacklistReport, ListEntry, ListState, Verdict},
};

use super::{Scanner, Subject};
use crate::net::{Net, NetConfig};

/// What the server says to a name.
enum Say {
    A(Ipv4Addr),
    NxDomain,
    Refused,
}

/// The lists: `bl` is healthy, `all` lists the world, `dead` knows nothing, `refuses` refuses, `code` answers one address with an error code.
fn lists(name: &str) -> Say {
    let Some((label, zone)) = name.strip_suffix(".lists.test").and_then(|rest| rest.rsplit_once('.')) else { return Say::NxDomain };
    match (zone, label) {
        ("refuses", _) => Say::Refused,
        ("all", _) | ("bl" | "code", "2.0.0.127") => Say::A(Ipv4Addr::new(127, 0, 0, 2)),
        ("bl", "9.2.0.192") => Say::A(Ipv4Addr::new(127, 0, 0, 4)),
        ("code", "9.2.0.192") => Say::A(Ipv4Addr::new(127, 255, 255, 254)),
        ("code", "10.2.0.192") => Say::A(Ipv4Addr::new(198, 51, 100, 1)),
        _ => Say::NxDomain,
    }
}

async fn server(asked: Arc<AtomicUsize>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            asked.fetch_add(1, Ordering::Relaxed);
            let answer = respond(&packet[..length]);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

fn respond(query: &[u8]) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    let kind = query[at + 2];
    let (rcode, answer) = match lists(&labels.join(".")) {
        Say::A(address) if kind == 1 => (0, Some(address)),
        Say::A(_) => (0, None),
        Say::NxDomain => (3, None),
        Say::Refused => (5, None),
    };
    let mut reply = vec![query[0], query[1], 0x81, 0x80 | rcode, 0, 1, 0, u8::from(answer.is_some()), 0, 0, 0, 0];
    reply.extend_from_slice(&query[12..at + 5]);
    if let Some(address) = answer {
        reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend_from_slice(&address.octets());
    }
    reply
}

async fn scanner() -> (Scanner, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let resolvers = vec![server(asked.clone()).await];
    (Scanner::new(&Net::new(NetConfig { resolvers, ..NetConfig::default() }).unwrap()), asked)
}

fn zones(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}.lists.test")).collect()
}

fn entry<'a>(report: &'a BlacklistReport, subject: &str, zone: &str) -> &'a ListEntry {
    report.entries.iter().find(|entry| entry.subject == subject && entry.zone.starts_with(zone)).unwrap()
}

#[tokio::test]
async fn only_a_list_that_proves_alive_can_tell() {
    let (scanner, _) = scanner().await;
    let subjects: Vec<Subject> = ["192.0.2.9", "192.0.2.10"].iter().map(|text| Subject::Address(text.parse().unwrap())).collect();
    let report = scanner.scan(&subjects, Some(&zones(&["bl", "all", "dead", "refuses", "code"])), Duration::from_secs(20)).await;
    assert_eq!(report.entries.len(), 10);
    let listed = entry(&report, "192.0.2.9", "bl");
    assert_eq!((listed.state, listed.codes.as_slice(), listed.severity), (ListState::Listed, &["127.0.0.4".to_owned()][..], Severity::Low));
    assert_eq!(entry(&report, "192.0.2.10", "bl").state, ListState::Clean);
    for (zone, reason) in [
        ("all", "lists everything"),
        ("dead", "does not know its own test point"),
        ("refuses", "refused"),
        ("code", "the operator refuses the query"),
    ] {
        let entry = entry(&report, "192.0.2.9", zone);
        assert_eq!(entry.state, ListState::Unknown, "{zone}");
        assert!(entry.reason.contains(reason), "{zone}: {}", entry.reason);
    }
    assert!(entry(&report, "192.0.2.10", "code").reason.contains("hijacked"));
    assert_eq!(report.verdict(), Verdict::Up);
}

#[tokio::test]
async fn a_network_asks_each_question_once() {
    let (scanner, asked) = scanner().await;
    let subjects: Vec<Subject> = (0..=255).map(|n| Subject::Address(Ipv4Addr::new(198, 51, 100, n).into())).collect();
    let zones = zones(&["bl"]);
    let (first, second) =
        tokio::join!(scanner.scan(&subjects, Some(&zones), Duration::from_secs(30)), scanner.scan(&subjects, Some(&zones), Duration::from_secs(30)));
    assert_eq!((first.entries.len(), first.entries.iter().all(|entry| entry.state == ListState::Clean)), (256, true));
    assert_eq!(first, second);
    // One question each, and the two test points.
    assert_eq!(asked.load(Ordering::Relaxed), 258);
}

#[tokio::test]
async fn retired_and_keyed_lists_are_not_asked_and_a_deadline_is_kept() {
    let (scanner, asked) = scanner().await;
    let subject = [Subject::Address(Ipv4Addr::new(192, 0, 2, 9).into())];
    let report = scanner.scan(&subject, Some(&["dnsbl.sorbs.net".to_owned()]), Duration::from_secs(5)).await;
    assert!(report.entries[0].state == ListState::Unknown && report.entries[0].reason.contains("retired"));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let net = Net::new(NetConfig { resolvers: vec![silent.local_addr().unwrap()], ..NetConfig::default() }).unwrap();
    // Spawned, as a worker does it.
    let scan = tokio::spawn(async move { Scanner::new(&net).scan(&subject, None, Duration::from_millis(200)).await });
    let report = scan.await.unwrap();
    assert!(report.entries.len() > 20 && report.entries.iter().all(|entry| entry.state == ListState::Unknown));
    assert_eq!(report.verdict(), Verdict::Unknown);
}
