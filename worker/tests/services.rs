//! Services beside SMTP through the pipeline: a check of each kind goes down and recovers, with exactly one incident.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::Utc;
use scene::Scene;
use waypost_types::{
    MonitorId,
    finding::{Finding, Severity},
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::{Outcome, ServiceLook, ServiceReport, Verdict},
    service::{Comparison, ServiceSettings},
};
use waypost_worker::recorder::{Recorder, Run};

fn seen(kind: MonitorKind, target: &str, verdict: Verdict) -> Outcome {
    let rule = if kind == MonitorKind::Dns { "dnsrecord.differs" } else { "tcp.unreachable" };
    let finding = Finding {
        rule: rule.to_owned(),
        severity: Severity::High,
        subject: target.to_owned(),
        summary: format!("{target} is not as it should be"),
        why: String::new(),
        fix: "Mend it.".to_owned(),
        record: None,
        reference: String::new(),
    };
    let findings = if verdict == Verdict::Down { vec![finding] } else { Vec::new() };
    let look = ServiceLook { verdict, reason: "it was seen".to_owned(), findings, ..ServiceLook::default() };
    Outcome::Service(Box::new(ServiceReport {
        service: kind,
        target: target.to_owned(),
        verdict,
        summary: "it was seen".to_owned(),
        looks: vec![look],
        records: None,
    }))
}

async fn record(scene: &Scene, monitor: MonitorId, outcome: Outcome) {
    let claimed = scene.claim_when_due().await;
    let claim = claimed.iter().find(|unit| unit.monitor == monitor).unwrap().claim;
    let run = Run { monitor, claim, at: Utc::now(), outcome: Arc::new(outcome), requested: false };
    let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
    recorder.record(scene.org, "local", &[run], Utc::now()).await.unwrap();
}

#[tokio::test]
async fn each_kind_goes_down_and_recovers_with_exactly_one_incident() {
    for (kind, target) in [
        (MonitorKind::Tcp, "mail.example:4190"),
        (MonitorKind::Https, "https://mail.example/"),
        (MonitorKind::Dns, "mail.example MX"),
        (MonitorKind::Imap, "mail.example:993"),
        (MonitorKind::Pop, "mail.example:995"),
    ] {
        let scene = Scene::new().await;
        let monitor = scene.monitor(kind, target, 300).await;
        let incidents = async |status: &str| {
            scene.value::<i64>(&format!("SELECT count(*) FROM incidents WHERE kind = '{}' AND status = '{status}'", kind.as_str())).await
        };
        record(&scene, monitor, seen(kind, target, Verdict::Up)).await;
        assert_eq!(scene.state(monitor).await, MonitorState::Up, "{kind:?}");
        record(&scene, monitor, seen(kind, target, Verdict::Down)).await;
        assert_eq!((incidents("open").await, scene.state(monitor).await), (0, MonitorState::Up), "{kind:?} one failure is not believed");
        // What can not be told opens nothing and counts for nothing.
        record(&scene, monitor, seen(kind, target, Verdict::Unknown)).await;
        assert_eq!(incidents("open").await, 0, "{kind:?}");
        for _ in 0..3 {
            record(&scene, monitor, seen(kind, target, Verdict::Down)).await;
        }
        assert_eq!((incidents("open").await, scene.state(monitor).await), (1, MonitorState::Down), "{kind:?}");
        let title: String = scene.value("SELECT title FROM incidents").await;
        assert!(title.contains("not as it should be"), "{title}");
        record(&scene, monitor, seen(kind, target, Verdict::Up)).await;
        assert_eq!((incidents("open").await, incidents("resolved").await, scene.state(monitor).await), (0, 1, MonitorState::Up), "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_expected_is_kept_and_given_to_the_check() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Dns, "mail.example MX", 300).await;
    let settings = ServiceSettings { comparison: Some(Comparison::Exists), ..ServiceSettings::default() };
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.set_service_settings(monitor, &settings).await.unwrap();
    assert_eq!(tx.service_settings(&[monitor]).await.unwrap().remove(&monitor), Some(settings));
    tx.commit().await.unwrap();
    // What another version wrote is not taken for an expectation of nothing.
    scene.run_sql("UPDATE monitors SET settings = '{\"later\": 1}'").await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    assert!(tx.service_settings(&[monitor]).await.unwrap().is_empty());
    tx.commit().await.unwrap();
}
