//! What looks lead to, on a real PostgreSQL: MX hosts become servers, addresses and names are looked for on lists, within the limit.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::{SubsecRound as _, Utc};
use scene::Scene;
use waypost_types::{
    MonitorId,
    monitor::MonitorKind,
    outcome::{AuditReport, MxHost, Outcome, ProbeReport, Verdict, WebHost},
};
use waypost_worker::{
    checker::stub_outcome,
    recorder::{Recorder, Run},
};

type Hosts<'a> = &'a [(&'a str, &'a [&'a str])];

fn audit_of(domain: &str, mx: Hosts<'_>, web: Hosts<'_>) -> Outcome {
    let parsed = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
    let mx_host = |(host, addresses): &(&str, &[&str])| MxHost {
        preference: 10,
        host: (*host).to_owned(),
        addresses: parsed(addresses),
        partial: false,
        provider: None,
    };
    Outcome::Audit(Box::new(AuditReport {
        score: Some(100),
        grade: Some("A".to_owned()),
        mx_hosts: mx.iter().map(mx_host).collect(),
        web_hosts: web.iter().map(|(host, addresses)| WebHost { host: (*host).to_owned(), addresses: parsed(addresses) }).collect(),
        ..AuditReport::empty(domain)
    }))
}

/// The next look of a monitor sees this.
async fn record(scene: &Scene, monitor: MonitorId, outcome: Outcome) {
    scene.run_sql("UPDATE schedule_units SET due_at = now()").await;
    let claimed = scene.claim(Utc::now()).await;
    let claim = claimed.iter().find(|unit| unit.monitor == monitor).unwrap().claim;
    let run = Run { monitor, claim, at: Utc::now().trunc_subsecs(6), outcome: Arc::new(outcome), requested: false };
    let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
    recorder.record(scene.org, "local", &[run], Utc::now()).await.unwrap();
}

async fn addresses(scene: &Scene) -> String {
    scene.value("SELECT coalesce(string_agg(net || ' ' || source || '=' || array_to_string(hosts, ' '), ', ' ORDER BY net), '') FROM addresses").await
}

#[tokio::test]
async fn an_audit_discovers_servers_and_addresses_within_the_limit() {
    let scene = Scene::new().await;
    let (_, audit) = scene.domain("example.com").await;
    record(
        &scene,
        audit,
        audit_of("example.com", &[("mx1.example.com", &["203.0.113.1", "2001:db8::1"]), ("mx2.example.com", &["203.0.113.2"])], &[]),
    )
    .await;
    let monitors: String =
        scene.value("SELECT string_agg(kind || ' ' || target || ' ' || interval_s, ', ' ORDER BY kind, target) FROM monitors").await;
    assert_eq!(
        monitors,
        "audit example.com 3600, blacklist 2001:db8::1 21600, blacklist 203.0.113.1 21600, blacklist 203.0.113.2 21600, blacklist example.com 21600, smtp mx1.example.com:25 300, smtp mx2.example.com:25 300"
    );
    let due: i64 = scene.value("SELECT count(*) FROM schedule_units WHERE due_at <= now() AND NOT leased").await;
    assert_eq!(due, 6, "all at once");
    // One host moves, the other is no MX any more.
    record(&scene, audit, audit_of("example.com", &[("mx1.example.com", &["203.0.113.9"])], &[])).await;
    let links: i64 = scene.value("SELECT count(*) FROM domain_servers").await;
    let hosts: String = scene.value("SELECT string_agg(host(net) || '=' || array_to_string(hosts, ' '), ', ' ORDER BY net) FROM addresses").await;
    assert_eq!((links, hosts.as_str()), (1, "203.0.113.1=, 203.0.113.2=mx2.example.com, 203.0.113.9=mx1.example.com, 2001:db8::1="));
    // Of one host the IPv6 addresses could not be told: it keeps those it had, and its IPv4 address moves.
    record(&scene, audit, audit_of("example.com", &[("mx1.example.com", &["203.0.113.9", "2001:db8::9"])], &[])).await;
    let mut half = audit_of("example.com", &[("mx1.example.com", &["203.0.113.10"])], &[]);
    if let Outcome::Audit(report) = &mut half {
        report.mx_hosts[0].partial = true;
    }
    record(&scene, audit, half).await;
    let hosts: String = scene.value("SELECT string_agg(host(net) || '=' || array_to_string(hosts, ' '), ', ' ORDER BY net) FROM addresses").await;
    assert!(hosts.contains("203.0.113.9=, 203.0.113.10=mx1.example.com") && hosts.ends_with("2001:db8::9=mx1.example.com"), "{hosts}");
    // An unverified owner has 25 monitors.
    let many: Vec<String> = (0..40).map(|n| format!("198.51.100.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let hosts: Vec<(String, Vec<&str>)> = (0..10).map(|n| (format!("mx{n}.example.net"), many[n * 4..n * 4 + 4].to_vec())).collect();
    let hosts: Vec<(&str, &[&str])> = hosts.iter().map(|(host, addresses)| (host.as_str(), addresses.as_slice())).collect();
    record(&scene, audit, audit_of("example.com", &hosts, &[])).await;
    let monitors: i64 = scene.value("SELECT count(*) FROM monitors").await;
    assert_eq!(monitors, 25);
}

#[tokio::test]
async fn web_hosts_lead_to_addresses_and_what_a_watched_network_holds_is_not_watched_twice() {
    let scene = Scene::new().await;
    let (_, audit) = scene.domain("example.com").await;
    let id = uuid::Uuid::now_v7();
    scene.run_sql(&format!("INSERT INTO addresses (org_id, id, net, source) VALUES ('{}', '{id}', '203.0.113.0/24', 'manual')", scene.org.0)).await;
    let web: Hosts<'_> = &[("example.com", &["198.51.100.1"]), ("www.example.com", &["203.0.113.80"])];
    record(&scene, audit, audit_of("example.com", &[("mx.example.com", &["203.0.113.25"])], web)).await;
    assert_eq!(addresses(&scene).await, "198.51.100.1/32 web=example.com, 203.0.113.0/24 manual=mx.example.com www.example.com");
    // A content network answers with other addresses each time: that is no news.
    let moved: Hosts<'_> = &[("example.com", &["198.51.100.2"])];
    record(&scene, audit, audit_of("example.com", &[("mx.example.com", &["203.0.113.25"])], moved)).await;
    assert!(addresses(&scene).await.starts_with("198.51.100.1/32 web=example.com, 203"));
}

/// A probe that met these addresses.
fn probe_of(addresses: &[&str]) -> Outcome {
    let Outcome::Smtp(mut report) = stub_outcome("mail.example.com", 25, Verdict::Up) else { panic!("a probe") };
    let first = report.probes[0].clone();
    report.probes = addresses.iter().map(|address| ProbeReport { address: Some(address.parse().unwrap()), ..first.clone() }).collect();
    Outcome::Smtp(report)
}

#[tokio::test]
async fn the_addresses_of_a_server_that_was_added_by_hand_are_followed_and_let_go() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mail.example.com:25", 300).await;
    let server = uuid::Uuid::now_v7();
    scene
        .run_sql(&format!(
            "INSERT INTO servers (org_id, id, host, ports, source) VALUES ('{0}', '{server}', 'mail.example.com', '{{25}}', 'manual');
             UPDATE monitors SET server_id = '{server}' WHERE id = '{1}'",
            scene.org.0, monitor.0
        ))
        .await;
    // Another hour begins.
    let later = || scene.run_sql("UPDATE schedule_units SET last_at = last_at - interval '2 hours'");
    record(&scene, monitor, probe_of(&["203.0.113.1", "203.0.113.2"])).await;
    assert_eq!(addresses(&scene).await, "203.0.113.1/32 server=mail.example.com, 203.0.113.2/32 server=mail.example.com");
    later().await;
    record(&scene, monitor, probe_of(&["203.0.113.1", "203.0.113.3"])).await;
    let three = "203.0.113.1/32 server=mail.example.com, 203.0.113.2/32 server=mail.example.com, 203.0.113.3/32 server=mail.example.com";
    assert_eq!(addresses(&scene).await, three, "the new one is watched, the other not let go at once");
    later().await;
    record(&scene, monitor, probe_of(&[])).await;
    // Another server shares one of them, and is seen there every hour.
    scene
        .run_sql(
            "UPDATE addresses SET host_seen = jsonb_build_object('mail.example.com', now() - interval '8 days');
             UPDATE addresses SET hosts = hosts || 'other.example.com'::text, host_seen = host_seen || jsonb_build_object('other.example.com', now())
             WHERE net = '203.0.113.2'",
        )
        .await;
    later().await;
    record(&scene, monitor, probe_of(&[])).await;
    assert_eq!(
        addresses(&scene).await,
        three.replace("2/32 server=mail.example.com", "2/32 server=mail.example.com other.example.com"),
        "no answer takes nothing away"
    );
    later().await;
    record(&scene, monitor, probe_of(&["203.0.113.1", "203.0.113.3"])).await;
    assert_eq!(
        addresses(&scene).await,
        "203.0.113.1/32 server=mail.example.com, 203.0.113.2/32 server=other.example.com, 203.0.113.3/32 server=mail.example.com",
        "what it has not had for a week is no longer its own"
    );
    // A host that rotates is bounded.
    for round in 0..4 {
        later().await;
        let pool: Vec<String> = (0..4).map(|n| format!("203.0.113.{}", 10 + 4 * round + n)).collect();
        record(&scene, monitor, probe_of(&pool.iter().map(String::as_str).collect::<Vec<_>>())).await;
    }
    assert_eq!(scene.value::<i64>("SELECT count(*) FROM addresses WHERE 'mail.example.com' = ANY(hosts)").await, 8);
}

#[tokio::test]
async fn a_domain_is_proven_by_its_own_token_for_some_days_and_with_it_what_lies_below() {
    let scene = Scene::new().await;
    let (_, audit) = scene.domain("example.com").await;
    let token: String = scene.value("SELECT verify_token FROM domains").await;
    let with = |tokens: &[&str]| {
        let Outcome::Audit(report) = audit_of("example.com", &[], &[]) else { panic!("an audit") };
        let owner_tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        Outcome::Audit(Box::new(AuditReport { owner_tokens, ..*report }))
    };
    let hosts = ["example.com", "mx.example.com", "a.mx.example.com", "notexample.com", "example.com.example.net"];
    for host in hosts {
        scene.monitor(MonitorKind::Smtp, &format!("{host}:25"), 300).await;
    }
    let owned = async || {
        scene.run_sql("UPDATE schedule_units SET leased = false").await;
        let claims: Vec<_> = scene.claim_when_due().await.iter().map(|unit| (unit.org, unit.monitor, unit.claim)).collect();
        let units = scene.db.store.load_claimed_units("local", &claims).await.unwrap();
        scene.run_sql("UPDATE schedule_units SET leased = false").await;
        let mut owned: Vec<String> = units.into_iter().filter(|unit| unit.owner.as_deref() == Some("example.com")).map(|unit| unit.target).collect();
        owned.sort_unstable();
        owned
    };
    // Another organisation's token proves nothing of ours.
    record(&scene, audit, with(&["0123456789abcdef0123456789abcdef"])).await;
    assert_eq!(owned().await, [""; 0]);
    record(&scene, audit, with(&["0123456789abcdef0123456789abcdef", &token])).await;
    let own = ["a.mx.example.com:25", "example.com:25", "mx.example.com:25"];
    assert_eq!(owned().await, own);
    // An audit that does not see it, or could not ask, takes nothing away at once.
    record(&scene, audit, with(&[])).await;
    assert_eq!(owned().await, own);
    scene.run_sql("UPDATE domains SET verified_at = verified_at - interval '9 days'").await;
    assert_eq!(owned().await, [""; 0]);
}
