//! Close looks: who is asked what, how rarely, and what it means for the checks of the day.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::Utc;
use futures::future::BoxFuture;
use scene::Scene;
use tokio_util::sync::CancellationToken;
use waypost_engine::probe::{Asks, is_of_owner, question_of};
use waypost_types::{
    DomainId, UnknownPart,
    finding::{Finding, Severity},
    monitor::MonitorKind,
    outcome::{CloseLook, Outcome, ProbeReport, Verdict},
};
use waypost_worker::{
    batch::{CheckBatch, OrgGroup},
    checker::{Checker, Instructions, split_target, stub_outcome},
    recorder::Recorder,
    runner::Runner,
    shared_checks::SharedChecks,
};

/// Every server is up and remembers what it was asked; what it answers is told by the test.
#[derive(Default)]
struct Asked {
    questions: Mutex<Vec<(String, Asks)>>,
    found: Mutex<Vec<(&'static str, Severity)>>,
    unknown: Mutex<Vec<&'static str>>,
}

impl Checker for Asked {
    fn check<'a>(&'a self, _: MonitorKind, target: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
        let (host, port) = split_target(target);
        let mut outcome = stub_outcome(host, port, Verdict::Up);
        let Outcome::Smtp(report) = &mut outcome else { panic!("a probe") };
        report.probes[0].address = Some(if host.starts_with("twin") { "8.8.8.8".parse().unwrap() } else { address_of(host) });
        report.probes[0].stage_ms.ehlo = Some(1.0);
        Box::pin(async move { outcome })
    }

    fn may_look_closely<'a>(&self, seen: &'a Outcome) -> Option<&'a ProbeReport> {
        let Outcome::Smtp(report) = seen else { panic!("a probe") };
        (!self.is_provider(&report.host)).then(|| &report.probes[0])
    }

    fn look_closely<'a>(&'a self, held: &'a ProbeReport, asks: &'a Asks) -> BoxFuture<'a, Option<CloseLook>> {
        self.questions.lock().unwrap().push((format!("{}:{}", held.host, held.port), asks.clone()));
        let of_owner = !asks.old_tls;
        let finding = |(rule, severity): &(&str, Severity)| Finding {
            rule: (*rule).to_owned(),
            severity: *severity,
            subject: held.host.clone(),
            summary: format!("{} has a fault: {rule}", held.host),
            why: String::new(),
            fix: String::new(),
            record: None,
            reference: String::new(),
        };
        let found =
            self.found.lock().unwrap().iter().map(finding).filter(|finding| is_of_owner(question_of(&finding.rule).unwrap()) == of_owner).collect();
        let unknown = self
            .unknown
            .lock()
            .unwrap()
            .iter()
            .filter(|question| is_of_owner(question) == of_owner)
            .map(|question| UnknownPart::new(*question, "silent"))
            .collect();
        let look = CloseLook { address: held.address.unwrap(), at: Utc::now(), of_owner, findings: found, unknown, transcript: Vec::new() };
        Box::pin(async move { Some(look) })
    }

    fn is_provider(&self, host: &str) -> bool {
        host.ends_with("google.com")
    }
}

/// An address of its own for each host.
fn address_of(host: &str) -> IpAddr {
    let number = host.bytes().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    IpAddr::from([9, 9, 9, number])
}

/// Watches servers through workers that have nothing in common but the database.
struct Watch {
    scene: Scene,
    server: Arc<Asked>,
}

impl Watch {
    async fn new() -> Self {
        Self { scene: Scene::new().await, server: Arc::default() }
    }

    /// Every server is checked twice, each time by a worker of its own; all looks that were begun are kept.
    async fn round(&self) {
        for _ in 0..2 {
            let claimed = self.scene.claim_when_due().await;
            let units = claimed.iter().map(|unit| (unit.monitor, unit.claim)).collect();
            let checks = Arc::new(SharedChecks::new(self.server.clone(), self.scene.db.store.clone(), "local", 10, 10));
            let recorder = Recorder::new(self.scene.db.store.clone(), "https://waypost.example", "waypost.example");
            let runner = Arc::new(Runner::new("local", self.scene.db.store.clone(), checks, recorder, None, CancellationToken::new()));
            runner.run(CheckBatch { claimed_at: Utc::now(), groups: vec![OrgGroup { org: self.scene.org, units }] }).await.unwrap();
            for _ in 0..500 {
                if self.scene.value::<i64>("SELECT count(*) FROM close_looks WHERE asked_at > now() - interval '1 minute' AND (looked_at IS NULL OR looked_at < asked_at)").await == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// What was asked since it was asked for: target, old TLS, relaying, recipients of which domain.
    fn asked(&self) -> Vec<(String, bool, bool, Option<String>)> {
        let asked = std::mem::take(&mut *self.server.questions.lock().unwrap());
        let mut asked: Vec<_> =
            asked.into_iter().map(|(target, asks)| (target, asks.old_tls, asks.relay, asks.recipients_of.map(|domain| domain.to_string()))).collect();
        asked.sort();
        asked
    }

    async fn prove(&self, domain: DomainId) {
        let token: String = self.scene.value(&format!("SELECT verify_token FROM domains WHERE id = '{}'", domain.0)).await;
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        tx.prove_domain(domain, &[token], Utc::now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn a_day_passes(&self) {
        self.scene.run_sql("UPDATE close_looks SET asked_at = asked_at - interval '25 hours', looked_at = looked_at - interval '25 hours'").await;
    }

    async fn incidents(&self) -> Vec<String> {
        let told: Option<String> = self
            .scene
            .value("SELECT string_agg(severity || ' ' || status || ' ' || condition || ': ' || title, '\n' ORDER BY opened_at, id) FROM incidents")
            .await;
        told.map_or_else(Vec::new, |told| told.lines().map(str::to_owned).collect())
    }
}

#[tokio::test]
async fn a_server_is_asked_once_a_day_and_what_only_its_owner_may_ask_waits_for_the_proof() {
    let watch = Watch::new().await;
    let scene = &watch.scene;
    let (domain, _) = scene.domain("example.com").await;
    for target in ["mx.example.com:25", "mx.example.com:587", "other.example.net:25", "aspmx.l.google.com:25"] {
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
    let anybody = |target: &str| (target.to_owned(), true, false, None);
    let owners = |target: &str, recipients: Option<&str>| (target.to_owned(), false, true, recipients.map(str::to_owned));
    watch.round().await;
    watch.round().await;
    assert_eq!(watch.asked(), [anybody("mx.example.com:25"), anybody("mx.example.com:587"), anybody("other.example.net:25")]);
    watch.prove(domain).await;
    watch.round().await;
    watch.round().await;
    assert_eq!(watch.asked(), [owners("mx.example.com:25", Some("example.com")), owners("mx.example.com:587", None)]);
    // A proof that is too old ends it; a day later it is time for what anybody may ask.
    scene.run_sql("UPDATE domains SET verified_at = verified_at - interval '9 days'").await;
    watch.a_day_passes().await;
    watch.round().await;
    assert_eq!(watch.asked(), [anybody("mx.example.com:25"), anybody("mx.example.com:587"), anybody("other.example.net:25")]);
}

#[tokio::test]
async fn names_of_one_address_are_one_server() {
    let watch = Watch::new().await;
    for number in 0..5 {
        watch.scene.monitor(MonitorKind::Smtp, &format!("twin{number}.example.net:25"), 300).await;
    }
    watch.round().await;
    watch.round().await;
    assert_eq!(watch.asked().len(), 1);
    watch.a_day_passes().await;
    watch.round().await;
    assert_eq!(watch.asked().len(), 1);
}

#[tokio::test]
async fn the_closest_domain_whose_proof_holds_is_the_owner() {
    let watch = Watch::new().await;
    let (whole, _) = watch.scene.domain("example.com").await;
    let (part, _) = watch.scene.domain("mail.example.com").await;
    watch.scene.monitor(MonitorKind::Smtp, "mx.mail.example.com:25", 300).await;
    let owner = async || watch.scene.value::<Option<String>>("SELECT owner FROM monitors WHERE kind = 'smtp'").await;
    watch.prove(whole).await;
    assert_eq!(owner().await.as_deref(), Some("example.com"));
    watch.prove(part).await;
    watch.prove(whole).await;
    assert_eq!(owner().await.as_deref(), Some("mail.example.com"));
    watch.scene.run_sql("UPDATE domains SET verified_at = verified_at - interval '9 days' WHERE name = 'mail.example.com'").await;
    watch.prove(whole).await;
    assert_eq!(owner().await.as_deref(), Some("example.com"));
}

#[tokio::test]
async fn what_is_found_has_an_incident_of_its_own_beginning_and_end() {
    let watch = Watch::new().await;
    let (domain, _) = watch.scene.domain("example.com").await;
    watch.scene.monitor(MonitorKind::Smtp, "mx.example.com:25", 300).await;
    // What was so when it was first looked at is shown and not told, unless mail is abused by it.
    *watch.server.found.lock().unwrap() = vec![("tls.old_version", Severity::Medium), ("smtp.open_relay", Severity::Critical)];
    watch.prove(domain).await;
    watch.round().await;
    watch.round().await;
    let open = "critical open close_look: mx.example.com has a fault: smtp.open_relay";
    assert_eq!(watch.incidents().await, [open]);
    assert_eq!(watch.scene.value::<String>("SELECT state FROM monitors WHERE kind = 'smtp'").await, "up", "the conversation itself is well");
    // A day later it does not say: that ends nothing. Nor does a look that another version wrote, or one that is lost.
    for lost in [
        "UPDATE close_looks SET look = '{\"at\": \"soon\"}'",
        "UPDATE close_looks SET look = NULL, looked_at = NULL, asked_at = asked_at - interval '2 minutes'",
    ] {
        watch.a_day_passes().await;
        watch.server.found.lock().unwrap().clear();
        *watch.server.unknown.lock().unwrap() = vec!["relay"];
        watch.round().await;
        watch.round().await;
        assert_eq!(watch.incidents().await, [open]);
        watch.scene.run_sql(lost).await;
        watch.round().await;
        assert_eq!(watch.incidents().await, [open], "{lost}");
    }
    // It says that it is over.
    watch.a_day_passes().await;
    watch.server.unknown.lock().unwrap().clear();
    watch.round().await;
    watch.round().await;
    assert_eq!(watch.incidents().await, [open.replace(" open close", " resolved close")]);
    // What comes later is news.
    watch.a_day_passes().await;
    *watch.server.found.lock().unwrap() = vec![("smtp.postmaster_missing", Severity::Medium)];
    watch.round().await;
    watch.round().await;
    assert_eq!(
        watch.incidents().await.last().map(String::as_str),
        Some("warning open close_look: mx.example.com has a fault: smtp.postmaster_missing")
    );
}
