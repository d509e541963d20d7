//! STARTTLS that one region sees and another does not: the way takes it out, and the server is not to blame.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::Utc;
use scene::Scene;
use waypost_engine::audit::rules::remark;
use waypost_types::{
    MonitorId,
    monitor::MonitorKind,
    outcome::{Outcome, TlsReport, Verdict},
};
use waypost_worker::{
    checker::stub_outcome,
    recorder::{Recorder, Run},
};

const HOST: &str = "mx.example";

fn session() -> TlsReport {
    serde_json::from_value(serde_json::json!({ "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "trusted": true, "name_matches": true,
        "expires": null }))
    .unwrap()
}

/// A conversation with the host, with STARTTLS or without.
fn conversation(starttls: bool) -> Outcome {
    let mut outcome = stub_outcome(HOST, 25, if starttls { Verdict::Up } else { Verdict::Degraded });
    let Outcome::Smtp(report) = &mut outcome else { panic!("a probe") };
    let probe = &mut report.probes[0];
    probe.address = Some("192.0.2.1".parse().unwrap());
    if starttls {
        probe.tls = Some(session());
    } else {
        probe.findings = vec![remark("starttls.missing", HOST, "mx.example does not offer STARTTLS on port 25").done()];
        probe.reason.clone_from(&probe.findings[0].summary);
        report.summary.clone_from(&probe.findings[0].summary);
    }
    outcome
}

/// Looks from a region, and gives the rule and the sentence that were recorded.
async fn look(scene: &Scene, region: &str, monitor: MonitorId, starttls: bool) -> (Option<String>, String) {
    scene.run_sql("UPDATE schedule_units SET due_at = now(), next_run_at = now() WHERE NOT leased").await;
    let claimed = scene.claim_in(region, Utc::now()).await;
    let run = Run { monitor, claim: claimed[0].claim, at: Utc::now(), outcome: Arc::new(conversation(starttls)), requested: false };
    Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example").record(scene.org, region, &[run], Utc::now()).await.unwrap();
    let of = |what: &str| format!("SELECT {what} FROM last_outcomes WHERE monitor_id = '{}' AND region = '{region}'", monitor.0);
    (scene.value(&of("outcome->'probes'->0->'findings'->0->>'rule'")).await, scene.value(&of("outcome->>'summary'")).await)
}

#[tokio::test]
async fn what_one_region_sees_and_another_does_not_is_taken_out_on_the_way() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 60).await;
    // Alone it can only say that there is none.
    assert_eq!(look(&scene, "local", monitor, false).await.0.as_deref(), Some("starttls.missing"));
    scene.add_region(monitor, "eu").await;
    assert_eq!(look(&scene, "eu", monitor, true).await.0, None);
    // The second time that the other region has not looked again yet.
    for _ in 0..2 {
        let (rule, summary) = look(&scene, "local", monitor, false).await;
        assert_eq!(rule.as_deref(), Some("starttls.ehlo_hidden"));
        assert!(summary.contains("the region eu sees it"), "{summary}");
    }
    // Where both miss it, it is the server's.
    assert_eq!(look(&scene, "eu", monitor, false).await.0.as_deref(), Some("starttls.missing"));
    assert_eq!(look(&scene, "local", monitor, false).await.0.as_deref(), Some("starttls.missing"));
}

/// Whoever turns TLS off between the look of one region and that of another is not told of a way that takes it out.
#[tokio::test]
async fn what_another_region_saw_before_the_first_miss_says_nothing() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 60).await;
    scene.add_region(monitor, "eu").await;
    for (region, starttls, rule) in [
        ("eu", true, None),
        // The first look of this region, and the first after one that was good.
        ("local", false, Some("starttls.missing")),
        ("local", true, None),
        ("eu", true, None),
        ("local", false, Some("starttls.missing")),
        // Looked at again before the other region was there.
        ("local", false, Some("starttls.missing")),
        ("eu", false, Some("starttls.missing")),
        ("local", false, Some("starttls.missing")),
    ] {
        assert_eq!(look(&scene, region, monitor, starttls).await.0.as_deref(), rule, "{region} {starttls}");
    }
}

#[tokio::test]
async fn what_a_region_saw_long_ago_says_nothing_of_today() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 60).await;
    scene.add_region(monitor, "eu").await;
    look(&scene, "local", monitor, false).await;
    look(&scene, "eu", monitor, true).await;
    scene
        .run_sql("UPDATE last_outcomes SET at = at - interval '10 minutes'; UPDATE schedule_units SET last_at = last_at - interval '10 minutes'")
        .await;
    assert_eq!(look(&scene, "local", monitor, false).await.0.as_deref(), Some("starttls.missing"));
}
