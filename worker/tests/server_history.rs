//! What a mail server shows is compared with what it showed before, on a real PostgreSQL.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::Utc;
use scene::Scene;
use serde_json::json;
use waypost_types::{
    MonitorId,
    monitor::MonitorKind,
    outcome::{AuthReport, Outcome, StageMs, TlsReport, Verdict},
};
use waypost_worker::{
    checker::stub_outcome,
    recorder::{Recorder, Run},
};

/// What a server shows that was spoken to.
fn shows(certificate: &str, verdict: Verdict) -> Outcome {
    let Outcome::Smtp(mut report) = stub_outcome("mx.example", 587, verdict) else { panic!("a probe") };
    let probe = &mut report.probes[0];
    probe.address = Some([192, 0, 2, 1].into());
    probe.stage_ms = StageMs { ehlo: Some(2.0), ..probe.stage_ms };
    probe.extensions = vec!["SIZE 1000".to_owned()];
    probe.auth = Some(AuthReport { under_tls: vec!["PLAIN".to_owned()], ..AuthReport::default() });
    let tls: TlsReport = serde_json::from_value(json!({
        "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "trusted": true, "name_matches": true, "expires": "2027-01-01T00:00:00Z",
        "fingerprint": certificate,
    }))
    .unwrap();
    probe.tls = Some(tls);
    Outcome::Smtp(report)
}

struct Story {
    scene: Scene,
    recorder: Recorder,
    monitor: MonitorId,
}

impl Story {
    async fn of(target: &str) -> Self {
        let scene = Scene::new().await;
        let monitor = scene.monitor(MonitorKind::Smtp, target, 300).await;
        Self { recorder: Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example"), monitor, scene }
    }

    async fn sees(&self, outcome: Outcome) {
        let claimed = self.scene.claim_when_due().await;
        let run = Run { monitor: self.monitor, claim: claimed[0].claim, at: Utc::now(), outcome: Arc::new(outcome), requested: false };
        self.recorder.record(self.scene.org, "local", &[run], Utc::now()).await.unwrap();
    }

    /// The history, oldest first.
    async fn told(&self) -> Vec<String> {
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        let mut events = tx.server_changes(&[self.monitor], None, 50).await.unwrap();
        events.reverse();
        events.iter().map(|event| event.changes.iter().map(|change| change.text.as_str()).collect::<Vec<_>>().join("; ")).collect()
    }
}

#[tokio::test]
async fn what_is_seen_twice_in_a_row_is_a_change_and_an_outage_is_none() {
    let story = Story::of("mx.example:587").await;
    let down = || stub_outcome("mx.example", 587, Verdict::Down);
    // Nobody knows yet what it shows.
    story.sees(down()).await;
    for certificate in ["aa", "aa", "bb", "aa", "bb", "aa"] {
        story.sees(shows(certificate, Verdict::Up)).await;
    }
    assert!(story.told().await.is_empty(), "one answer of another machine is no change");
    // Replaced during an outage.
    for outcome in [down(), down(), shows("cc", Verdict::Up), down(), shows("cc", Verdict::Up), shows("cc", Verdict::Up)] {
        story.sees(outcome).await;
    }
    assert_eq!(story.told().await, ["the certificate was replaced: valid until 2027-01-01, before until 2027-01-01"]);
    let incidents: i64 = story.scene.value("SELECT count(*) FROM incidents WHERE summary LIKE '%certificate%'").await;
    assert_eq!(incidents, 0, "only a change");
    // Another organisation sees nothing of it.
    let mut tx = story.scene.db.store.org_tx(story.scene.other_org().await).await.unwrap();
    assert!(tx.server_changes(&[story.monitor], None, 50).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_incident_names_the_change_that_came_before_it() {
    let story = Story::of("mx.example:587").await;
    story.sees(shows("aa", Verdict::Up)).await;
    story.sees(shows("bb", Verdict::Down)).await;
    story.sees(shows("bb", Verdict::Down)).await;
    let summary: String = story.scene.value("SELECT summary FROM incidents").await;
    assert!(summary.contains("What changed at") && summary.contains("the certificate was replaced"), "{summary}");
}

#[tokio::test]
async fn machines_that_take_turns_are_told_a_few_times_only() {
    let story = Story::of("mx.example:587").await;
    story.sees(shows("m0", Verdict::Up)).await;
    for turn in 1..=8 {
        for _ in 0..2 {
            story.sees(shows(&format!("m{}", turn % 2), Verdict::Up)).await;
        }
    }
    assert_eq!(story.told().await.len(), 4, "there and back, twice");
    for machine in 2..20 {
        for _ in 0..2 {
            story.sees(shows(&format!("m{machine}"), Verdict::Up)).await;
        }
    }
    assert_eq!(story.told().await.len(), 12);
}

#[tokio::test]
async fn the_machines_of_a_mailbox_provider_are_nobodys_history() {
    let story = Story::of("aspmx.l.google.com:25").await;
    for certificate in ["aa", "bb", "bb", "cc", "cc"] {
        story.sees(shows(certificate, Verdict::Up)).await;
    }
    assert!(story.told().await.is_empty());
}
