//! A runbook of a monitor's or a rule's own stands in the place of the usual one, in everything that tells of an incident; on a real PostgreSQL.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::Utc;
use scene::Scene;
use waypost_types::{
    IncidentId, MonitorId,
    monitor::{MonitorKind, MonitorPatch},
    outcome::Verdict,
    rule::{Series, condition_of, suggestion},
    runbook::OwnRunbook,
};
use waypost_worker::{
    checker::stub_outcome,
    recorder::{Recorder, Run},
};

const LINK: &str = "https://wiki.example/mail?a=1&b=2";

fn own(url: Option<&str>, text: Option<&str>) -> OwnRunbook {
    OwnRunbook { url: url.map(str::to_owned), text: text.map(str::to_owned) }
}

async fn set(scene: &Scene, monitor: MonitorId, runbook: Option<OwnRunbook>) {
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.update_monitor(monitor, None, &MonitorPatch { runbook: Some(runbook), ..MonitorPatch::default() }).await.unwrap();
    tx.commit().await.unwrap();
}

/// A server with a channel to be told, and its incident.
async fn incident(runbook: Option<OwnRunbook>) -> (Scene, MonitorId, IncidentId) {
    let scene = Scene::new().await;
    scene.verify("owner@example.com").await;
    scene
        .run_sql(&format!(
            "INSERT INTO channels (org_id, id, kind, name, shown, sealed, min_severity) VALUES ('{}', gen_random_uuid(), 'webhook', 'x', 'x', 'x', 'info')",
            scene.org.0
        ))
        .await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    set(&scene, monitor, runbook).await;
    let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
    for verdict in [Verdict::Up, Verdict::Down, Verdict::Down] {
        let claim = scene.claim_when_due().await[0].claim;
        let run = Run { monitor, claim, at: Utc::now(), outcome: Arc::new(stub_outcome("mx.example", 25, verdict)), requested: false };
        recorder.record(scene.org, "local", &[run], Utc::now()).await.unwrap();
    }
    let id = IncidentId(scene.value("SELECT id FROM incidents").await);
    (scene, monitor, id)
}

/// What the mail and the message to the channel lead to.
async fn told(scene: &Scene) -> (String, String) {
    let mail: String = scene.value("SELECT message ->> 'text' FROM outbox WHERE channel = 'email'").await;
    let message: String = scene.value("SELECT message ->> 'runbook' FROM outbox WHERE channel = 'channel'").await;
    (mail, message)
}

#[tokio::test]
async fn messages_lead_to_the_link_and_the_page_shows_it_as_it_is_now() {
    let (scene, monitor, id) = incident(Some(own(Some(LINK), Some("Call **Bob**.")))).await;
    let (mail, message) = told(&scene).await;
    assert!(mail.contains(&format!("Step by step: Your own runbook\n{LINK}")) && !mail.contains("/runbooks/"), "{mail}");
    assert_eq!(message, LINK);
    let shown = async || {
        let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
        let incident = tx.incident(id).await.unwrap();
        assert_eq!(incident.runbook.as_deref(), Some("unreachable"), "what fits is known all the same");
        incident.own_runbook
    };
    assert_eq!(shown().await, Some(own(Some(LINK), Some("Call **Bob**."))));
    set(&scene, monitor, None).await;
    assert_eq!(shown().await, None);
    // Another organisation's monitor says nothing here.
    let mut tx = scene.db.store.org_tx(scene.other_org().await).await.unwrap();
    assert!(tx.own_runbooks_of(&[id]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_text_alone_is_on_the_page_of_the_incident() {
    let (scene, _, id) = incident(Some(own(None, Some("Call Bob.")))).await;
    let (mail, message) = told(&scene).await;
    assert_eq!(message, format!("/o/example/incidents/{id}#runbook"));
    assert!(mail.contains(&format!("https://waypost.example/o/example/incidents/{id}#runbook")), "{mail}");
}

#[tokio::test]
async fn without_one_the_usual_one_fits() {
    let (scene, ..) = incident(None).await;
    let (mail, message) = told(&scene).await;
    assert!(mail.contains("https://waypost.example/o/example/runbooks/unreachable"), "{mail}");
    assert_eq!(message, "/o/example/runbooks/unreachable");
}

#[tokio::test]
async fn what_a_rule_opened_leads_to_the_rules_before_the_monitors() {
    let (scene, monitor, id) = incident(Some(own(Some(LINK), None))).await;
    let of_rule = own(Some("https://wiki.example/slow"), None);
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let mut settings = suggestion("slow").unwrap().checked().unwrap();
    settings.runbook = Some(of_rule.clone());
    let rule = tx.add_rule(&settings).await.unwrap();
    assert_eq!(rule.settings.runbook, Some(of_rule.clone()));
    tx.commit().await.unwrap();
    let condition = condition_of(rule.id, Series::ResponseTimeP95);
    scene.run_sql(&format!("UPDATE incidents SET condition = '{condition}'")).await;
    let found = async || {
        let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
        tx.incident(id).await.unwrap().own_runbook
    };
    assert_eq!(found().await, Some(of_rule));
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    settings.runbook = None;
    tx.update_rule(rule.id, None, &settings).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(found().await, Some(own(Some(LINK), None)), "the monitor's is nearer than the usual one");
    set(&scene, monitor, None).await;
    assert_eq!(found().await, None);
}
