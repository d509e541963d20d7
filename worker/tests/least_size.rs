//! The smallest SIZE limit that an organisation accepts of its server, through the pipeline on a real PostgreSQL: a shared conversation is judged
//! for each of those who watch by what they asked for.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::Utc;
use scene::Scene;
use waypost_store::monitors::Added;
use waypost_types::{
    MonitorId, OrgId, ServerId,
    asset::ServerPatch,
    judge::MonitorState,
    outcome::{Outcome, StageMs, Verdict},
};
use waypost_worker::{
    checker::stub_outcome,
    recorder::{Recorder, Run},
};

/// A server in good order that takes messages of so many octets.
fn takes(octets: u64) -> Outcome {
    let Outcome::Smtp(mut report) = stub_outcome("mx.example", 25, Verdict::Up) else { panic!("a probe") };
    let probe = &mut report.probes[0];
    probe.stage_ms = StageMs { ehlo: Some(2.0), ..probe.stage_ms };
    probe.extensions = vec![format!("SIZE {octets}"), "PIPELINING".to_owned()];
    Outcome::Smtp(report)
}

async fn add(scene: &Scene, org: OrgId) -> (ServerId, MonitorId) {
    let mut tx = scene.db.store.org_tx(org).await.unwrap();
    let Added::New(server) = tx.add_server("mx.example", &[25], None).await.unwrap() else { panic!("it is new") };
    tx.commit().await.unwrap();
    (server.id, server.monitors[0].id)
}

async fn least(scene: &Scene, server: ServerId, least: Option<u32>) {
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.update_server(server, None, &ServerPatch { least_size_mb: Some(least), ..ServerPatch::default() }).await.unwrap();
    tx.commit().await.unwrap();
}

/// One look that serves both organisations.
async fn both_see(scene: &Scene, outcome: Outcome) {
    let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
    let outcome = Arc::new(outcome);
    for unit in scene.claim_when_due().await {
        let run = Run { monitor: unit.monitor, claim: unit.claim, at: Utc::now(), outcome: Arc::clone(&outcome), requested: false };
        recorder.record(unit.org, "local", &[run], Utc::now()).await.unwrap();
    }
}

#[tokio::test]
async fn a_limit_below_the_minimum_opens_and_ends_one_incident_of_who_asked_for_it() {
    let scene = Scene::new().await;
    let other = scene.other_org().await;
    let (server, monitor) = add(&scene, scene.org).await;
    let (_, unasked) = add(&scene, other).await;
    let state_of_other = async || {
        let mut tx = scene.db.store.org_tx(other).await.unwrap();
        tx.monitor_state(unasked).await.unwrap()
    };
    let count = async |status: &str| scene.value::<i64>(&format!("SELECT count(*) FROM incidents WHERE status = '{status}'")).await;
    both_see(&scene, takes(15_000_000)).await;
    assert_eq!((scene.state(monitor).await, state_of_other().await), (MonitorState::Up, MonitorState::Up));

    least(&scene, server, Some(25)).await;
    for _ in 0..4 {
        both_see(&scene, takes(15_000_000)).await;
    }
    assert_eq!((scene.state(monitor).await, state_of_other().await), (MonitorState::Degraded, MonitorState::Up));
    assert_eq!((count("open").await, count("resolved").await), (1, 0));
    let (severity, summary): (String, String) =
        (scene.value("SELECT severity FROM incidents").await, scene.value("SELECT title || '. ' || summary FROM incidents").await);
    assert_eq!(severity, "warning", "medium findings make warnings");
    assert!(summary.contains("15\u{a0}MB (SIZE 15000000); you ask for 25\u{a0}MB"), "{summary}");
    // What its page and its history show is what it was judged by.
    let rules = "SELECT count(*) FROM last_outcomes WHERE outcome #>> '{probes,0,findings,0,rule}' = 'smtp.size_small'";
    assert_eq!(scene.value::<i64>(rules).await, 1);
    let kept = "SELECT count(*) FROM check_results WHERE verdict = 'degraded' AND summary LIKE '%you ask for%'";
    assert_eq!(scene.value::<i64>(kept).await, 4);

    for _ in 0..2 {
        both_see(&scene, takes(26_214_400)).await;
    }
    assert_eq!((count("open").await, count("resolved").await), (0, 1));
    assert_eq!(scene.state(monitor).await, MonitorState::Up);
    // Whoever asks for less than the server takes is told nothing.
    least(&scene, server, None).await;
    for _ in 0..3 {
        both_see(&scene, takes(15_000_000)).await;
    }
    assert_eq!((count("open").await, count("resolved").await), (0, 1));
}
