//! Monitors whose regions have no worker any more: what was last known of them is said to be unknown, and nothing opens or ends by that.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::Utc;
use scene::Scene;
use waypost_types::{
    MonitorId,
    incident::{Incident, IncidentStatus, TimelineEvent},
    judge::MonitorState,
    outcome::Verdict,
};
use waypost_worker::{
    checker::stub_outcome,
    maintain,
    recorder::{Recorder, Run},
};

/// A worker of the region looks at everything once.
async fn look(scene: &Scene, region: &str, verdict: Verdict) {
    let store = &scene.db.store;
    store.region_seen(region, Utc::now()).await.unwrap();
    scene.run_sql("UPDATE schedule_units SET due_at = now(), next_run_at = now() WHERE NOT leased").await;
    let claimed = scene.claim_in(region, Utc::now()).await;
    let run = |unit: &waypost_store::schedule::ClaimedUnit| Run {
        monitor: unit.monitor,
        claim: unit.claim,
        at: Utc::now(),
        outcome: Arc::new(stub_outcome("mx.example", 25, verdict)),
        requested: false,
    };
    let runs: Vec<Run> = claimed.iter().map(run).collect();
    Recorder::new(store.clone(), "https://waypost.example", "waypost.example").record(scene.org, region, &runs, Utc::now()).await.unwrap();
}

/// So many minutes pass in which no worker of the region is heard of.
async fn silent(scene: &Scene, region: &str, minutes: u32) {
    scene
        .run_sql(&format!(
            "UPDATE worker_regions SET seen_at = seen_at - interval '{minutes} minutes' WHERE region = '{region}';
             UPDATE monitors SET heard_at = heard_at - interval '{minutes} minutes', last_checked_at = last_checked_at - interval '{minutes} minutes'"
        ))
        .await;
    // By the worker of another region.
    maintain(&scene.config("elsewhere"), &scene.db.store, false).await.unwrap();
}

async fn incidents(scene: &Scene) -> Vec<Incident> {
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.incidents(&waypost_store::incident_list::IncidentFilter::default(), None, 50).await.unwrap()
}

async fn states(scene: &Scene, monitors: &[MonitorId]) -> Vec<MonitorState> {
    let mut states = Vec::new();
    for monitor in monitors {
        states.push(scene.state(*monitor).await);
    }
    states
}

#[tokio::test]
async fn what_no_worker_looks_at_any_more_is_unknown_and_comes_back_without_news() {
    let scene = Scene::new().await;
    let monitors = scene.monitors(2, 300).await;
    look(&scene, "local", Verdict::Up).await;
    silent(&scene, "local", 14).await;
    assert_eq!(states(&scene, &monitors).await, [MonitorState::Up; 2], "three intervals have not passed");
    silent(&scene, "local", 2).await;
    assert_eq!(states(&scene, &monitors).await, [MonitorState::Unknown; 2]);
    let said: String = scene.value("SELECT min(summary) FROM monitors").await;
    assert!(said.starts_with("Not checked since ") && said.ends_with(": no worker of region local was heard of."), "{said}");
    let since: bool = scene.value("SELECT bool_and(state_since > now() - interval '1 minute') FROM monitors").await;
    assert!(since);

    look(&scene, "local", Verdict::Up).await;
    assert_eq!(states(&scene, &monitors).await, [MonitorState::Up; 2]);
    assert_eq!(incidents(&scene).await, []);
}

#[tokio::test]
async fn an_incident_stays_open_says_that_nobody_checks_and_ends_by_the_next_look() {
    let scene = Scene::new().await;
    let monitors = scene.monitors(1, 60).await;
    look(&scene, "local", Verdict::Up).await;
    for _ in 0..2 {
        look(&scene, "local", Verdict::Down).await;
    }
    assert_eq!(states(&scene, &monitors).await, [MonitorState::Down]);
    silent(&scene, "local", 16).await;
    assert_eq!(states(&scene, &monitors).await, [MonitorState::Unknown]);
    // It is said once.
    silent(&scene, "local", 16).await;
    let open = incidents(&scene).await;
    assert_eq!(open.iter().map(|incident| incident.status).collect::<Vec<_>>(), [IncidentStatus::Open]);
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let told = tx.incident(open[0].id).await.unwrap();
    tx.commit().await.unwrap();
    let notes: Vec<&str> = told.timeline.iter().filter(|entry| entry.event == TimelineEvent::Changed).map(|entry| entry.text.as_str()).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("Not checked since "), "{notes:?}");

    look(&scene, "local", Verdict::Down).await;
    look(&scene, "local", Verdict::Down).await;
    assert_eq!(states(&scene, &monitors).await, [MonitorState::Down]);
    assert_eq!(incidents(&scene).await.len(), 1, "what is still down is the same outage");
    look(&scene, "local", Verdict::Up).await;
    assert_eq!(incidents(&scene).await[0].status, IncidentStatus::Resolved);
}

#[tokio::test]
async fn who_is_checked_from_elsewhere_or_not_at_all_stays_as_it_is() {
    let scene = Scene::new().await;
    let monitors = scene.monitors(2, 300).await;
    scene.add_region(monitors[0], "east").await;
    look(&scene, "local", Verdict::Up).await;
    look(&scene, "east", Verdict::Up).await;
    scene.run_sql(&format!("UPDATE monitors SET paused = true WHERE id = '{}'", monitors[1].0)).await;
    silent(&scene, "local", 60).await;
    assert_eq!(states(&scene, &monitors).await, [MonitorState::Up; 2]);
    scene.run_sql("UPDATE worker_regions SET seen_at = now() - interval '1 hour'").await;
    silent(&scene, "local", 1).await;
    assert_eq!(states(&scene, &monitors).await, [MonitorState::Unknown, MonitorState::Up], "none of its regions works; what is paused is as it was");
}
