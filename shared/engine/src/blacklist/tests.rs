//! Scans against a small DNS server on loopback that plays the lists.

mod world;

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use hickory_proto::op::Message;
use secrecy::SecretString;
use tokio::{net::UdpSocket, time::Instant};
use waypost_types::{
    DomainName,
    finding::Severity,
    lists::{CustomList, ListChoice, ListKind},
    outcome::{BlacklistReport, ListEntry, ListState, Verdict},
};

use super::{
    Lists, Pacing, Scanner, Subject,
    asker::{Answer, Asker},
    catalog::foreign,
    check_choice,
};
use crate::net::{Net, NetConfig};
use world::{Asked, KEY, server};

async fn net() -> (Net, Asked) {
    let asked = Asked::default();
    let resolvers = vec![server(asked.clone()).await];
    (Net::new(NetConfig { resolvers, ..NetConfig::default() }).unwrap(), asked)
}

/// A scanner without patience: the pace has a test of its own.
async fn scanner() -> (Scanner, Asked) {
    let (net, asked) = net().await;
    (Scanner::with_pacing(&net, Pacing { per_second: 10_000, ..Pacing::default() }), asked)
}

fn zones(names: &[&str]) -> Lists {
    Lists::named(&names.iter().map(|name| format!("{name}.lists.test")).collect::<Vec<_>>(), &BTreeMap::new())
}

fn subjects(texts: &[&str]) -> Vec<Subject> {
    texts.iter().map(|text| text.parse().map_or_else(|_| Subject::Domain(text.parse().unwrap()), Subject::Address)).collect()
}

fn entry<'a>(report: &'a BlacklistReport, subject: &str, zone: &str) -> &'a ListEntry {
    report.entries.iter().find(|entry| entry.subject == subject && entry.zone.starts_with(zone)).unwrap()
}

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn only_a_list_that_proves_alive_can_tell() {
    let (scanner, _) = scanner().await;
    let all = ["bl", "all", "dead", "refuses", "code", "sly", "unused", "wild", "alias", "parked", "testonly", "odd", "strict"];
    let report = scanner.scan(&subjects(&["192.0.2.9", "192.0.2.10"]), &zones(&all), LIMIT).await;
    assert_eq!((report.entries.len(), report.lists.len(), report.subjects), (26, 13, 2));
    for zone in ["bl", "alias"] {
        let listed = entry(&report, "192.0.2.9", zone);
        assert_eq!((listed.state, listed.severity), (ListState::Listed, Severity::Low), "{zone}");
        assert_eq!(listed.codes, ["127.0.0.4", "127.0.0.3"], "{zone}");
        assert_eq!(listed.reason, "see https://example.com/9.2.0.192.bl.lists.test");
        assert_eq!(entry(&report, "192.0.2.10", zone).state, ListState::Clean, "{zone}");
    }
    for zone in ["unused", "strict"] {
        assert_eq!(entry(&report, "192.0.2.9", zone).state, ListState::Clean, "{zone} is no list of the world");
    }
    for (zone, reason) in [
        ("all", "lists everything"),
        ("dead", "does not know its own test point"),
        ("refuses", "refused"),
        ("code", "the operator refuses the query"),
        ("sly", "answers for the made-up name"),
        ("wild", "answers for the made-up name"),
        ("parked", "outside 127.0.0.0/8"),
        ("testonly", "the operator refuses the query"),
        ("odd", "the name exists without an address"),
    ] {
        let entry = entry(&report, "192.0.2.9", zone);
        assert_eq!(entry.state, ListState::Unknown, "{zone}");
        assert!(entry.reason.contains(reason), "{zone}: {}", entry.reason);
        let row = report.lists.iter().find(|row| row.zone == entry.zone).unwrap();
        assert!(row.listed == 0 && row.unknown > 0 && row.reason.contains(reason), "{row:?}");
    }
    assert!(entry(&report, "192.0.2.10", "code").reason.contains("hijacked"));
    assert_eq!(report.verdict(), Verdict::Up);
    let health = scanner.health();
    let aside: Vec<&str> = health.iter().filter(|zone| !zone.ok).filter_map(|zone| zone.zone.strip_suffix(".lists.test")).collect();
    assert_eq!(aside, ["all", "parked", "refuses", "sly", "testonly", "wild"]);
    assert!(health.iter().all(|zone| zone.ok || !zone.reason.is_empty()));
}

#[tokio::test]
async fn silence_proves_nothing_about_a_kind_without_a_test_point() {
    let (scanner, _) = scanner().await;
    let subjects = subjects(&["192.0.2.9", "192.0.2.10", "2001:db8::9", "2001:db8::a", "spam.example", "ham.example"]);
    let report = scanner.scan(&subjects, &zones(&["bl", "silentv6", "untested"]), LIMIT).await;
    for (subject, zone, state) in [
        ("2001:db8::9", "bl", ListState::Listed),
        ("2001:db8::a", "bl", ListState::Clean),
        ("spam.example", "bl", ListState::Listed),
        ("ham.example", "bl", ListState::Clean),
        ("192.0.2.10", "silentv6", ListState::Clean),
        ("2001:db8::9", "silentv6", ListState::Listed),
        ("2001:db8::a", "silentv6", ListState::Unknown),
        ("192.0.2.9", "untested", ListState::Listed),
        ("192.0.2.10", "untested", ListState::Unknown),
        ("ham.example", "untested", ListState::Unknown),
    ] {
        assert_eq!(entry(&report, subject, zone).state, state, "{subject} {zone}");
    }
    assert!(entry(&report, "2001:db8::a", "silentv6").reason.contains("silence proves nothing"));
}

#[tokio::test]
async fn a_network_asks_each_question_once() {
    let (scanner, asked) = scanner().await;
    let subjects: Vec<Subject> = (0..=255).map(|n| Subject::Address(Ipv4Addr::new(198, 51, 100, n).into())).collect();
    let zones = zones(&["bl"]);
    let (first, second) = tokio::join!(scanner.scan(&subjects, &zones, LIMIT), scanner.scan(&subjects, &zones, LIMIT));
    assert_eq!((first.entries.len(), first.entries.iter().all(|entry| entry.state == ListState::Clean)), (256, true));
    assert_eq!(first, second);
    // One question each, two test points and two controls.
    assert_eq!(asked.lock().unwrap().len(), 260);
}

#[tokio::test]
async fn a_list_that_stops_answering_is_set_aside() {
    let (scanner, asked) = scanner().await;
    let subjects: Vec<Subject> = (0..=99).map(|n| Subject::Address(Ipv4Addr::new(192, 0, 2, n).into())).collect();
    let report = scanner.scan(&subjects, &zones(&["breaks"]), LIMIT).await;
    assert!(report.entries.iter().all(|entry| entry.state == ListState::Unknown));
    assert!(asked.lock().unwrap().len() < 60, "it is left alone");
    let health = scanner.health();
    assert!(!health[0].ok && health[0].reason.contains("several times in a row"), "{health:?}");
    let before = asked.lock().unwrap().len();
    scanner.scan(&subjects, &zones(&["breaks"]), LIMIT).await;
    assert_eq!(asked.lock().unwrap().len(), before);
}

#[tokio::test]
async fn a_listing_wants_a_fresh_proof() {
    let (scanner, asked) = scanner().await;
    let (subject, lists) = (subjects(&["192.0.2.9"]), zones(&["flips"]));
    for _ in 0..2 {
        assert_eq!(scanner.scan(&subject, &lists, LIMIT).await.entries[0].state, ListState::Listed);
    }
    assert_eq!(asked.lock().unwrap().iter().filter(|name| name.starts_with('w')).count(), 1, "one proof is good for a while");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
    let report = scanner.scan(&subject, &lists, LIMIT).await;
    assert_eq!(report.entries[0].state, ListState::Unknown);
    assert!(report.entries[0].reason.contains("lists everything") && report.findings().is_empty(), "{report:?}");
}

#[tokio::test]
async fn retired_and_keyed_lists_are_not_asked_and_a_deadline_is_kept() {
    let (scanner, asked) = scanner().await;
    let subject = subjects(&["192.0.2.9"]);
    let words = ["dnsbl.sorbs.net", "x.dnsbl.sorbs.net", "spamhaus-dqs-zen", "msbl-ebl", "invaluement-ivmsip"].map(str::to_owned);
    let report = scanner.scan(&subject, &Lists::named(&words, &BTreeMap::new()), Duration::from_secs(5)).await;
    let reasons: Vec<&str> = report.entries.iter().map(|entry| entry.reason.as_str()).collect();
    assert!(reasons.len() == 4 && reasons[0].contains("retired") && reasons[1].contains("retired"), "{reasons:?}");
    assert!(reasons[2].contains("with a key only") && reasons[3].contains("can not be asked"), "{reasons:?}");
    assert_eq!(asked.lock().unwrap().len(), 0);
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let net = Net::new(NetConfig { resolvers: vec![silent.local_addr().unwrap()], ..NetConfig::default() }).unwrap();
    // Spawned, as a worker does it.
    let scan = tokio::spawn(async move { Scanner::new(&net).scan(&subject, &Lists::default(), Duration::from_millis(200)).await });
    let report = scan.await.unwrap();
    assert!(report.entries.len() > 20 && report.entries.iter().all(|entry| entry.state == ListState::Unknown));
    assert_eq!(report.verdict(), Verdict::Unknown);
}

#[tokio::test]
async fn a_key_is_asked_with_and_never_shown() {
    let (scanner, asked) = scanner().await;
    let keys = BTreeMap::from([("spamhaus-dqs-zen".to_owned(), SecretString::from(KEY))]);
    let choice = ListChoice { on: ["spamhaus-dqs-zen".to_owned()].into(), ..ListChoice::default() };
    let lists = Lists::of(&choice, &keys);
    let ids: Vec<&str> = lists.ids().collect();
    assert!(ids.contains(&"spamhaus-dqs-zen") && !ids.contains(&"spamhaus-zen"), "the keyed copy takes the place of the public one");
    let only = Lists::named(&["spamhaus-dqs-zen".to_owned()], &keys);
    let report = scanner.scan(&subjects(&["192.0.2.9"]), &only, LIMIT).await;
    assert_eq!((report.entries[0].state, report.entries[0].severity), (ListState::Listed, Severity::Critical));
    assert!(asked.lock().unwrap().contains(&format!("9.2.0.192.{KEY}.zen.dq.spamhaus.net")));
    // A wrong key: the health check fails, and its reason names the test point.
    let wrong = BTreeMap::from([("spamhaus-dqs-zen".to_owned(), SecretString::from("wrongs3cret"))]);
    let refused = scanner.scan(&subjects(&["192.0.2.9"]), &Lists::named(&["spamhaus-dqs-zen".to_owned()], &wrong), LIMIT).await;
    assert!(refused.entries[0].reason.contains("2.0.0.127.….zen.dq.spamhaus.net"), "{}", refused.entries[0].reason);
    let shown = format!(
        "{} {} {:?} {lists:?} {scanner:?} {:?}",
        serde_json::to_string(&report).unwrap(),
        serde_json::to_string(&refused).unwrap(),
        report.findings(),
        scanner.health()
    );
    assert!(!shown.contains(KEY) && !shown.contains("wrongs3cret") && shown.contains("see https://example.com/"), "{shown}");
    assert!(scanner.health().iter().any(|zone| zone.ok && zone.keyed) && scanner.health().iter().any(|zone| !zone.ok && zone.keyed));
    let bad = BTreeMap::from([("spamhaus-dqs-zen".to_owned(), SecretString::from("a.b c"))]);
    let before = asked.lock().unwrap().len();
    let report = scanner.scan(&subjects(&["192.0.2.9"]), &Lists::named(&["spamhaus-dqs-zen".to_owned()], &bad), LIMIT).await;
    assert!(report.entries[0].reason.contains("no DNS label") && asked.lock().unwrap().len() == before);
}

#[tokio::test]
async fn answers_are_kept_as_long_as_the_list_allows() {
    let (net, asked) = net().await;
    let one = Asker::new(&net, Pacing::default());
    let (zone, deadline) = (foreign("soa.lists.test"), Instant::now() + LIMIT);
    let wanted = &zones(&["soa"]).wanted[0];
    for (minimum, kept) in [("300", 300), ("5", 30), ("86400", 900), ("none", 60)] {
        let (answer, keep) = one.ask(&zone, &format!("{minimum}.soa.lists.test"), deadline).await;
        assert_eq!((answer, keep), (Answer::Absent, Some(Duration::from_secs(kept))), "{minimum}");
    }
    let count = |name: &str| asked.lock().unwrap().iter().filter(|asked| *asked == name).count();
    let name = "again.soa.lists.test";
    for _ in 0..3 {
        assert_eq!(one.answer(wanted, name, deadline).await, Answer::Absent);
    }
    assert_eq!(count(name), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(one.answer(wanted, name, Instant::now() + LIMIT).await, Answer::Absent);
    assert_eq!(count(name), 2);
}

#[test]
fn a_choice_is_resolved_and_what_must_not_be_asked_is_refused() {
    let private = |zone: &str| CustomList {
        zone: DomainName::from_ascii(zone).unwrap(),
        name: "Ours".to_owned(),
        kinds: vec![ListKind::Ip4],
        severity: Severity::High,
    };
    let choice = |custom: Vec<CustomList>| ListChoice { custom, ..ListChoice::default() };
    assert_eq!(check_choice(&choice(vec![private("bl.example.com")])), Ok(()));
    for zone in ["dnsbl.sorbs.net", "sub.dnsbl.sorbs.net", "zen.spamhaus.org", "mykey.zen.dq.spamhaus.net", "single"] {
        let choice = choice(vec![private(zone)]);
        assert!(check_choice(&choice).is_err(), "{zone}");
        // A choice that was stored when the zone was fine is still there, and is not asked.
        let lists = Lists::of(&choice, &BTreeMap::new());
        assert!(lists.wanted.last().unwrap().refused.is_some() && !lists.ids().any(|id| id == zone), "{zone}");
    }
    let standard: Vec<String> = Lists::default().ids().map(str::to_owned).collect();
    assert_eq!(Lists::of(&ListChoice::default(), &BTreeMap::new()).ids().collect::<Vec<_>>(), standard);
    let choice = ListChoice {
        off: ["spamcop".to_owned(), "no-such-list".to_owned()].into(),
        on: ["psbl", "justspam", "dnswl", "validity-bl", "abusix-black", "msbl-ebl"].map(str::to_owned).into(),
        custom: vec![private("bl.example.com")],
    };
    let lists = Lists::of(&choice, &BTreeMap::new());
    let ids: Vec<&str> = lists.ids().collect();
    for (id, asked) in [
        ("spamcop", false),
        ("justspam", true),
        ("dnswl", true),
        ("validity-bl", true),
        ("abusix-black", false),
        ("msbl-ebl", false),
        ("bl.example.com", true),
    ] {
        assert_eq!(ids.contains(&id), asked, "{id}");
    }
    assert_eq!(ids.iter().filter(|id| **id == "psbl").count(), 1);
    let network: Vec<Subject> = (0..=255).map(|n| Subject::Address(Ipv4Addr::new(192, 0, 2, n).into())).collect();
    assert_eq!(Lists::default().time_for(&network), Duration::from_secs(128), "two times 256 questions at 4 a second");
    assert_eq!(Lists::default().time_for(&network[..1]), Duration::from_secs(20));
    let private = lists.wanted.last().unwrap();
    let decoded = super::decode::decode(&private.zone, &[Ipv4Addr::new(127, 0, 0, 9)]);
    assert_eq!((decoded.state, decoded.severity, private.zone.name.as_str()), (ListState::Listed, Severity::High, "Ours"));
    assert!(super::catalog_info().iter().any(|list| list.id == "spamhaus-dqs-zen" && list.takes_key && list.needs_key && !list.default_enabled));
}

proptest::proptest! {
    #[test]
    fn masking_never_panics_and_hides_every_key(text in "\\PC{0,60}", at in 0_usize..60, key in "[a-zA-Z0-9_-]{4,20}") {
        let keys = BTreeMap::from([("spamhaus-dqs-zen".to_owned(), SecretString::from(key.clone()))]);
        let lists = Lists::named(&["spamhaus-dqs-zen".to_owned()], &keys);
        let at = text.char_indices().map(|(at, _)| at).nth(at).unwrap_or(text.len());
        let told = format!("{}{}{}", &text[..at], key.to_uppercase(), &text[at..]);
        let masked = lists.wanted[0].masked(told);
        proptest::prop_assert!(!masked.to_ascii_lowercase().contains(&key.to_ascii_lowercase()));
    }
}

#[test]
fn a_key_across_the_cut_leaves_nothing_of_itself() {
    let keys = BTreeMap::from([("spamhaus-dqs-zen".to_owned(), SecretString::from(KEY))]);
    let lists = Lists::named(&["spamhaus-dqs-zen".to_owned()], &keys);
    for lead in 480..=500 {
        let told = format!("{}{}.zen.dq.spamhaus.net", "-".repeat(lead), KEY.to_uppercase());
        let shown = lists.wanted[0].shown(told.as_bytes(), 500);
        assert!(shown.chars().count() <= 501 && !shown.contains('S'), "{lead}: {shown}");
    }
    assert_eq!(zones(&["bl"]).wanted[0].shown(b"plain \xff", 500), "plain \\xff");
}

/// A server that hears everything and never answers.
#[tokio::test]
async fn few_lists_are_examined_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let net = Net::new(NetConfig { resolvers: vec![socket.local_addr().unwrap()], ..NetConfig::default() }).unwrap();
    let names: Vec<String> = (0..60).map(|n| format!("z{n}")).collect();
    let lists = zones(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let scanner = Scanner::new(&net);
    // Before the first of them is given up, all that may begin have begun.
    let report = scanner.scan(&subjects(&["192.0.2.9"]), &lists, Duration::from_millis(500)).await;
    assert!(report.entries.len() == 60 && report.entries.iter().all(|entry| entry.state == ListState::Unknown));
    let mut asked = std::collections::BTreeSet::new();
    let mut packet = [0; 1500];
    while let Ok(length) = socket.try_recv(&mut packet) {
        let question = Message::from_vec(&packet[..length]).unwrap();
        let name = question.queries[0].name().to_ascii();
        asked.insert(name.trim_end_matches(".lists.test.").rsplit('.').next().unwrap().to_owned());
    }
    assert!((1..=super::health::EXAMS_AT_ONCE).contains(&asked.len()), "{asked:?}");
}

#[tokio::test]
async fn a_private_list_is_tried_before_it_is_kept() {
    use waypost_types::list_settings::TrialResult::{Refused, Silent, Works};
    let (net, _) = net().await;
    let scanner = Scanner::new(&net);
    for (zone, result, said) in [
        ("bl", Works, "lists its test point 2.0.0.127.bl.lists.test (127.0.0.2)"),
        ("all", Refused, "lists everything"),
        ("refuses", Refused, "refuses to be asked"),
        // Codes that tell why it does not answer are no listings.
        ("public", Refused, "with 127.255.255.254, which is no listing: 127.255.255.254: the operator refuses the query (public resolver"),
        ("parked", Refused, "outside 127.0.0.0/8"),
        ("testonly", Refused, "which is no listing"),
        ("untested", Silent, "silence is unknown"),
    ] {
        let zone: DomainName = format!("{zone}.lists.test").parse().unwrap();
        let list = CustomList { zone, name: String::new(), kinds: vec![ListKind::Ip4], severity: Severity::High };
        let trials = scanner.try_private(&list, Duration::from_secs(5)).await;
        assert!(trials.len() == 1 && trials[0].result == result && trials[0].said.contains(said), "{trials:?}");
    }
}
