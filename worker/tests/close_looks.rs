//! Close looks: who is asked what, how rarely, and what it means for the checks of the day.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::Utc;
use futures::future::BoxFuture;
use scene::Scene;
use tokio_util::sync::CancellationToken;
use waypost_engine::probe::Asks;
use waypost_types::{
    finding::{Finding, Severity},
    monitor::MonitorKind,
    outcome::{CloseLook, Outcome, Verdict},
};
use waypost_worker::{
    batch::{CheckBatch, OrgGroup},
    checker::{Checker, Instructions, split_target, stub_outcome},
    recorder::Recorder,
    runner::Runner,
    shared_checks::SharedChecks,
};

/// Every server is up, relays for strangers, and remembers what it was asked.
#[derive(Default)]
struct Relaying {
    asked: Mutex<Vec<(String, Asks)>>,
}

impl Checker for Relaying {
    fn check<'a>(&'a self, _: MonitorKind, target: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
        let (host, port) = split_target(target);
        let mut outcome = stub_outcome(host, port, Verdict::Up);
        let Outcome::Smtp(report) = &mut outcome else { panic!("a probe") };
        report.probes[0].address = Some("192.0.2.1".parse().unwrap());
        report.probes[0].stage_ms.ehlo = Some(1.0);
        Box::pin(async move { outcome })
    }

    fn may_look_closely(&self, seen: &Outcome) -> bool {
        !matches!(seen, Outcome::Smtp(report) if self.is_provider(&report.host))
    }

    fn look_closely<'a>(&'a self, seen: &'a Outcome, asks: &'a Asks) -> BoxFuture<'a, Option<CloseLook>> {
        let Outcome::Smtp(report) = seen else { panic!("a probe") };
        self.asked.lock().unwrap().push((format!("{}:{}", report.host, report.port), asks.clone()));
        let relays = Finding {
            rule: "smtp.open_relay".to_owned(),
            severity: Severity::Critical,
            subject: report.host.clone(),
            summary: "It relays for strangers".to_owned(),
            why: String::new(),
            fix: String::new(),
            record: None,
            reference: String::new(),
        };
        let findings = if asks.relay { vec![relays] } else { Vec::new() };
        let look = CloseLook { address: "192.0.2.1".parse().unwrap(), at: Utc::now(), findings, unknown: Vec::new(), transcript: Vec::new() };
        Box::pin(async move { Some(look) })
    }

    fn is_provider(&self, host: &str) -> bool {
        host.ends_with("google.com")
    }
}

#[tokio::test]
async fn a_server_is_asked_once_a_day_and_what_only_its_owner_may_ask_waits_for_the_proof() {
    let scene = Scene::new().await;
    let checker = Arc::new(Relaying::default());
    let (domain, _) = scene.domain("example.com").await;
    let mx = scene.monitor(MonitorKind::Smtp, "mx.example.com:25", 300).await;
    for target in ["mx.example.com:587", "other.example.net:25", "aspmx.l.google.com:25"] {
        scene.monitor(MonitorKind::Smtp, target, 300).await;
    }
    scene
        .run_sql(&format!(
            "INSERT INTO servers (org_id, id, host, ports, source) VALUES ('{0}', '{1}', 'mx.example.com', '{{25,587}}', 'mx');
             INSERT INTO domain_servers (org_id, domain_id, server_id, preference) VALUES ('{0}', '{2}', '{1}', 10)",
            scene.org.0,
            uuid::Uuid::now_v7(),
            domain.0
        ))
        .await;
    // Each check is made by a worker of its own, which has nothing in common with the others but the database.
    let round = async || {
        for _ in 0..2 {
            let claimed = scene.claim_when_due().await;
            let units = claimed.iter().map(|unit| (unit.monitor, unit.claim)).collect();
            let checks = Arc::new(SharedChecks::new(checker.clone(), scene.db.store.clone(), "local", 10, 10));
            let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
            let runner = Arc::new(Runner::new("local", scene.db.store.clone(), checks, recorder, None, CancellationToken::new()));
            runner.run(CheckBatch { claimed_at: Utc::now(), groups: vec![OrgGroup { org: scene.org, units }] }).await.unwrap();
        }
    };
    let kept = async |count: i64| {
        for _ in 0..500 {
            if scene.value::<i64>("SELECT count(*) FROM close_looks WHERE look IS NOT NULL").await == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} looks are kept");
    };
    let asked = || {
        let mut asked: Vec<(String, bool, bool, Option<String>)> = std::mem::take(&mut *checker.asked.lock().unwrap())
            .into_iter()
            .map(|(target, asks)| (target, asks.old_tls, asks.relay, asks.recipients_of.map(|domain| domain.to_string())))
            .collect();
        asked.sort();
        asked
    };
    let anybody = |target: &str| (target.to_owned(), true, false, None);
    round().await;
    kept(3).await;
    round().await;
    assert_eq!(asked(), [anybody("mx.example.com:25"), anybody("mx.example.com:587"), anybody("other.example.net:25")]);
    // The owner proves the domain, as an audit does it.
    let token: String = scene.value("SELECT verify_token FROM domains").await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    assert!(tx.prove_domain(domain, &[token], Utc::now()).await.unwrap());
    tx.commit().await.unwrap();
    round().await;
    kept(5).await;
    round().await;
    let owners = |target: &str, recipients: Option<&str>| (target.to_owned(), true, true, recipients.map(str::to_owned));
    assert_eq!(asked(), [owners("mx.example.com:25", Some("example.com")), owners("mx.example.com:587", None)]);
    // What it found holds for the checks of the day, and opens an incident.
    let told: String = scene.value("SELECT title || '|' || severity FROM incidents ORDER BY opened_at LIMIT 1").await;
    assert!(told.contains("critical") || told.contains("warning"), "{told}");
    let found = async || {
        let outcome: serde_json::Value = scene.value(&format!("SELECT outcome FROM last_outcomes WHERE monitor_id = '{}'", mx.0)).await;
        let Outcome::Smtp(report) = serde_json::from_value(outcome).unwrap() else { panic!("a probe") };
        report.probes[0].findings.iter().map(|finding| finding.rule.clone()).collect::<Vec<_>>()
    };
    assert_eq!(found().await, ["smtp.open_relay"]);
    // A proof that is too old ends it at once; a day later it is time again.
    scene.run_sql("UPDATE domains SET verified_at = verified_at - interval '9 days'").await;
    round().await;
    assert_eq!(found().await, [""; 0]);
    assert_eq!(asked(), []);
    scene.run_sql("UPDATE close_looks SET asked_at = asked_at - interval '25 hours', look = NULL").await;
    round().await;
    kept(3).await;
    assert_eq!(asked().len(), 3);
}
