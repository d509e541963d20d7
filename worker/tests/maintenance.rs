//! Maintenance windows on a real PostgreSQL: what is seen in one is recorded and not told, and what lasts beyond it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use scene::Scene;
use waypost_store::monitors::Added;
use waypost_types::{
    MonitorId, WindowId,
    asset::ServerPatch,
    judge::MonitorState,
    maintenance::{Covers, NewWindow, Plan},
    monitor::MonitorKind,
    outcome::Verdict,
};
use waypost_worker::{
    checker::stub_outcome,
    recorder::{Recorder, Run},
};

async fn plan(scene: &Scene, covers: Covers) -> WindowId {
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let (from, to) = (Utc::now() - TimeDelta::hours(1), Utc::now() + TimeDelta::hours(1));
    let window = tx.add_window(&NewWindow { name: "New disks".into(), covers, plan: Plan::Once { from, to } }).await.unwrap();
    assert!(window.active.is_some());
    tx.commit().await.unwrap();
    window.id
}

async fn end(scene: &Scene, window: WindowId) {
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    assert_eq!(tx.end_window(window, None).await.unwrap().active, None);
    tx.commit().await.unwrap();
}

/// Sees it once; then how many incidents are open and how many messages were written.
async fn see(scene: &Scene, monitor: MonitorId, verdict: Verdict) -> (i64, i64) {
    let claim = scene.claim_when_due().await.iter().find(|unit| unit.monitor == monitor).unwrap().claim;
    let run = Run { monitor, claim, at: Utc::now(), outcome: Arc::new(stub_outcome("mx.example", 25, verdict)), requested: false };
    let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
    recorder.record(scene.org, "local", &[run], Utc::now()).await.unwrap();
    let open = scene.value("SELECT count(*) FROM incidents WHERE status <> 'resolved'").await;
    (open, scene.value("SELECT count(*) FROM outbox").await)
}

async fn marked(scene: &Scene) -> i64 {
    scene.value("SELECT count(*) FROM check_results WHERE maintenance").await
}

#[tokio::test]
async fn an_outage_in_a_window_is_recorded_and_told_only_when_it_outlasts_it() {
    let scene = Scene::new().await;
    scene.verify("owner@example.com").await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    assert_eq!(see(&scene, monitor, Verdict::Up).await, (0, 0));
    let window = plan(&scene, Covers { monitors: vec![monitor], ..Covers::default() }).await;
    for _ in 0..3 {
        assert_eq!(see(&scene, monitor, Verdict::Down).await, (0, 0));
    }
    assert_eq!((scene.state(monitor).await, scene.results(monitor).await, marked(&scene).await), (MonitorState::Up, 4, 3));
    end(&scene, window).await;
    assert_eq!(see(&scene, monitor, Verdict::Down).await, (0, 0), "one failure after the window waits for its confirmation");
    assert_eq!(see(&scene, monitor, Verdict::Down).await, (1, 1), "what lasts beyond the window is told");
    assert_eq!(marked(&scene).await, 3);
}

#[tokio::test]
async fn an_incident_that_is_open_ends_in_a_window_and_none_follows_it_there() {
    let scene = Scene::new().await;
    scene.verify("owner@example.com").await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    see(&scene, monitor, Verdict::Down).await;
    assert_eq!(see(&scene, monitor, Verdict::Down).await, (1, 1));
    plan(&scene, Covers { everything: true, ..Covers::default() }).await;
    assert_eq!(see(&scene, monitor, Verdict::Down).await, (1, 1), "it stays open");
    assert_eq!(see(&scene, monitor, Verdict::Up).await, (0, 2), "it ends, and that is told");
    for _ in 0..3 {
        assert_eq!(see(&scene, monitor, Verdict::Down).await, (0, 2));
    }
}

#[tokio::test]
async fn a_window_keeps_nothing_else_quiet() {
    let scene = Scene::new().await;
    scene.verify("owner@example.com").await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let other = scene.monitor(MonitorKind::Smtp, "other.example:25", 300).await;
    plan(&scene, Covers { monitors: vec![other], ..Covers::default() }).await;
    see(&scene, monitor, Verdict::Down).await;
    assert_eq!(see(&scene, monitor, Verdict::Down).await, (1, 1));
    assert_eq!(marked(&scene).await, 0);
}

#[tokio::test]
async fn a_window_by_tag_covers_what_has_the_tag_when_it_is_seen() {
    let scene = Scene::new().await;
    scene.verify("owner@example.com").await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let Added::New(server) = tx.add_server("mx.example", &[25], None).await.unwrap() else { panic!("it is new") };
    let tagged = |tags: &[&str]| ServerPatch { tags: Some(tags.iter().map(ToString::to_string).collect()), ..ServerPatch::default() };
    tx.update_server(server.id, None, &tagged(&["berlin", "rack-2"])).await.unwrap();
    tx.commit().await.unwrap();
    let monitor = server.monitors[0].id;
    see(&scene, monitor, Verdict::Up).await;
    plan(&scene, Covers { tags: vec!["rack-2".into()], ..Covers::default() }).await;
    for _ in 0..3 {
        assert_eq!(see(&scene, monitor, Verdict::Down).await, (0, 0));
    }
    assert_eq!(marked(&scene).await, 3);
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.update_server(server.id, None, &tagged(&["berlin"])).await.unwrap();
    tx.commit().await.unwrap();
    see(&scene, monitor, Verdict::Down).await;
    assert_eq!(see(&scene, monitor, Verdict::Down).await, (1, 1));
}
