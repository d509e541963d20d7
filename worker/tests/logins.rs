//! Stored logins: where they are tried, that two refusals end it, and what is told of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::{Arc, Mutex};

use chrono::Utc;
use futures::future::BoxFuture;
use scene::Scene;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use waypost_engine::probe::{Credentials, Secret};
use waypost_store::server_logins::LoginSetting;
use waypost_types::{
    MonitorId, ServerId,
    finding::{Finding, Severity},
    monitor::MonitorKind,
    outcome::{AuthReport, LoginOutcome, LoginReport, Outcome, ProbeReport, StageMs, TlsReport, Verdict},
    server_login::SecretKind,
};
use waypost_worker::{
    batch::{CheckBatch, OrgGroup},
    checker::{Checker, Instructions, split_target, stub_outcome},
    recorder::Recorder,
    runner::Runner,
    seal::{Seal, login_of},
    shared_checks::SharedChecks,
};

const PASSWORD: &str = "correct horse battery";

/// A server that is up and counts who logs in; what it answers is told by the test.
struct Door {
    tries: Mutex<Vec<(String, String)>>,
    answer: Mutex<LoginOutcome>,
    proven: Mutex<bool>,
}

impl Checker for Door {
    fn check<'a>(&'a self, _: MonitorKind, target: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
        let (host, port) = split_target(target);
        let mut outcome = stub_outcome(host, port, Verdict::Up);
        let Outcome::Smtp(report) = &mut outcome else { panic!("a probe") };
        report.probes[0].address = Some("9.9.9.9".parse().unwrap());
        report.probes[0].stage_ms = StageMs { ehlo: Some(1.0), ..StageMs::default() };
        report.probes[0].tls = Some(session(*self.proven.lock().unwrap()));
        Box::pin(async move { outcome })
    }

    fn log_in<'a>(&'a self, held: &'a ProbeReport, credentials: Credentials) -> BoxFuture<'a, Option<ProbeReport>> {
        let Secret::Password(secret) = &credentials.secret else { panic!("a password") };
        self.tries.lock().unwrap().push((format!("{}:{}", held.host, held.port), secret.expose_secret().to_owned()));
        let outcome = *self.answer.lock().unwrap();
        let rule = match outcome {
            LoginOutcome::Refused => Some("smtp.login_refused"),
            LoginOutcome::Failed => Some("smtp.login_fails"),
            _ => None,
        };
        let finding = |rule: &str| Finding {
            rule: rule.to_owned(),
            severity: Severity::High,
            subject: held.host.clone(),
            summary: format!("At {}, port {}, the login is refused", held.host, held.port),
            why: "It can not send.".to_owned(),
            fix: "Store the new password.".to_owned(),
            record: None,
            reference: String::new(),
        };
        let login = LoginReport { mechanism: Some("PLAIN".to_owned()), outcome, reason: "as the test says".to_owned() };
        let said = ProbeReport {
            auth: Some(AuthReport { login: Some(login), ..AuthReport::default() }),
            stage_ms: StageMs { auth: Some(7.5), ..held.stage_ms },
            findings: rule.map(finding).into_iter().collect(),
            ..held.clone()
        };
        Box::pin(async move { Some(said) })
    }

    fn is_provider(&self, _: &str) -> bool {
        false
    }
}

fn session(trusted: bool) -> TlsReport {
    TlsReport {
        version: "TLSv1.3".to_owned(),
        cipher: String::new(),
        key_exchange: String::new(),
        trusted,
        name_matches: true,
        not_before: None,
        expires: None,
        subject: String::new(),
        issuer: String::new(),
        names: Vec::new(),
        trust_problem: None,
        fingerprint: String::new(),
        key: String::new(),
        signature: String::new(),
        chain: Vec::new(),
        dane: None,
    }
}

struct Watch {
    scene: Scene,
    door: Arc<Door>,
    seal: Seal,
    server: ServerId,
}

impl Watch {
    /// One server with both submission ports and a login.
    async fn new() -> Self {
        let scene = Scene::new().await;
        let server = ServerId(Uuid::now_v7());
        let (org, id) = (scene.org.0, server.0);
        scene
            .run_sql(&format!(
                "INSERT INTO servers (org_id, id, host, ports, source) VALUES ('{org}', '{id}', 'mail.example.com', '{{465,587}}', 'mx')"
            ))
            .await;
        let door = Door { tries: Mutex::default(), answer: Mutex::new(LoginOutcome::Accepted), proven: Mutex::new(true) };
        let watch = Self { scene, door: Arc::new(door), seal: Seal::new(&"k".repeat(32).into()).unwrap(), server };
        for port in [465, 587] {
            let monitor = watch.scene.monitor(MonitorKind::Smtp, &format!("mail.example.com:{port}"), 300).await;
            watch.own(monitor).await;
        }
        watch.store().await;
        watch
    }

    async fn own(&self, monitor: MonitorId) {
        self.scene.run_sql(&format!("UPDATE monitors SET server_id = '{}' WHERE id = '{}'", self.server.0, monitor.0)).await;
    }

    async fn store(&self) {
        let sealed = self.seal.seal(self.scene.org, &login_of(self.server), &PASSWORD.to_owned().into()).unwrap();
        let setting =
            LoginSetting { user: "probe", secret: Some((SecretKind::Password, &sealed)), mechanism: None, ports: &[465, 587], enabled: true };
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        tx.set_server_login(self.server, None, &setting).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn resume(&self) {
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        tx.resume_server_login(self.server, None).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Every port is checked once, by a worker that has nothing in common with the one before but the database, some minutes later.
    async fn round(&self) {
        self.scene
            .run_sql(
                "UPDATE server_logins SET looks = (SELECT coalesce(jsonb_object_agg(key, jsonb_set(value, '{at}',
                 to_jsonb((value->>'at')::timestamptz - interval '6 minutes'))), '{}') FROM jsonb_each(looks))",
            )
            .await;
        let claimed = self.scene.claim_when_due().await;
        let units = claimed.iter().map(|unit| (unit.monitor, unit.claim)).collect();
        let checks = Arc::new(SharedChecks::new(self.door.clone(), self.scene.db.store.clone(), "local", 10, 10));
        let recorder = Recorder::new(self.scene.db.store.clone(), "https://waypost.example", "waypost.example");
        let runner = Arc::new(Runner::new("local", self.scene.db.store.clone(), checks, recorder, Some(self.seal.clone()), CancellationToken::new()));
        runner.run(CheckBatch { claimed_at: Utc::now(), groups: vec![OrgGroup { org: self.scene.org, units }] }).await.unwrap();
    }

    fn tries(&self) -> usize {
        std::mem::take(&mut *self.door.tries.lock().unwrap()).len()
    }

    fn answer(&self, outcome: LoginOutcome) {
        *self.door.answer.lock().unwrap() = outcome;
    }

    async fn incidents(&self) -> Vec<String> {
        let told: Option<String> =
            self.scene.value("SELECT string_agg(severity || ' ' || status || ' ' || condition, '\n' ORDER BY opened_at, id) FROM incidents").await;
        told.map_or_else(Vec::new, |told| told.lines().map(str::to_owned).collect())
    }
}

#[tokio::test]
async fn a_refused_login_is_one_incident_is_paused_after_two_refusals_and_recovers_when_resumed() {
    let watch = Watch::new().await;
    watch.round().await;
    watch.round().await;
    assert!(watch.tries() > 0);
    assert_eq!(watch.incidents().await, [""; 0]);
    watch.answer(LoginOutcome::Refused);
    for _ in 0..5 {
        watch.round().await;
    }
    assert_eq!(watch.tries(), 2, "the server sees no third attempt");
    assert_eq!(watch.incidents().await, ["critical open login"]);
    let said: String = watch.scene.value("SELECT summary FROM incidents").await;
    assert!(said.contains("paused") && said.contains("resume"), "{said}");
    // The right password again, at a server that takes it: nothing happens before somebody resumes it.
    watch.answer(LoginOutcome::Accepted);
    watch.round().await;
    assert_eq!((watch.tries(), watch.incidents().await), (0, vec!["critical open login".to_owned()]));
    watch.resume().await;
    // The two ports take turns, and which comes first is chance.
    for _ in 0..10 {
        watch.round().await;
        if watch.incidents().await == ["critical resolved login"] {
            break;
        }
    }
    assert!(watch.tries() > 0);
    assert_eq!(watch.incidents().await, ["critical resolved login"]);
    let states: i64 = watch.scene.value("SELECT count(*) FROM monitors WHERE state <> 'up'").await;
    assert_eq!(states, 0, "a server that refuses a login is not down");
    let leaks: i64 = watch
        .scene
        .value(&format!(
            "SELECT count(*) FROM (SELECT outcome::text AS said FROM last_outcomes UNION ALL SELECT evidence::text FROM incidents
             UNION ALL SELECT encode(sealed, 'escape') FROM server_logins UNION ALL SELECT looks::text FROM server_logins) all_of WHERE said LIKE '%{PASSWORD}%'"
        ))
        .await;
    assert_eq!(leaks, 0);
}

#[tokio::test]
async fn attempts_that_end_without_an_answer_count_and_a_temporary_refusal_does_not() {
    let watch = Watch::new().await;
    watch.answer(LoginOutcome::Unknown);
    for _ in 0..4 {
        watch.round().await;
    }
    assert!(watch.tries() >= 4);
    assert_eq!(watch.incidents().await, [""; 0]);
    // A worker dies in two attempts, one after the other.
    for _ in 0..2 {
        let monitor: Uuid = watch.scene.value("SELECT id FROM monitors WHERE target LIKE '%587'").await;
        watch.scene.run_sql("UPDATE server_logins SET looks = '{}'").await;
        let mut tx = watch.scene.db.store.org_tx(watch.scene.org).await.unwrap();
        let stand = tx.take_login_turn(MonitorId(monitor), 587, (true, false, 0)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(stand.attempt.is_some());
        watch.scene.run_sql("UPDATE server_logins SET trying_until = now() - interval '1 second'").await;
    }
    watch.round().await;
    assert_eq!(watch.tries(), 0);
}

#[tokio::test]
async fn nothing_is_tried_where_the_certificate_does_not_prove_the_server() {
    let watch = Watch::new().await;
    *watch.door.proven.lock().unwrap() = false;
    watch.round().await;
    watch.round().await;
    assert_eq!((watch.tries(), watch.incidents().await), (0, Vec::new()));
    let said: String = watch
        .scene
        .value("SELECT outcome->'login'->'result'->>'reason' FROM last_outcomes WHERE outcome->>'host' = 'mail.example.com' LIMIT 1")
        .await;
    assert!(said.starts_with("the login was not tried, because the certificate"), "{said}");
}

#[tokio::test]
async fn a_login_that_never_worked_is_shown_and_told_to_nobody_and_one_that_worked_once_is() {
    let watch = Watch::new().await;
    watch.answer(LoginOutcome::Refused);
    for _ in 0..4 {
        watch.round().await;
    }
    assert_eq!((watch.tries(), watch.incidents().await), (2, vec![]), "it is paused all the same");
    let shown: String = watch
        .scene
        .value("SELECT outcome->'login'->'result'->>'outcome' FROM last_outcomes WHERE outcome->'login'->>'unproven' = 'true' LIMIT 1")
        .await;
    assert!(["refused", "untried"].contains(&shown.as_str()), "{shown}");

    watch.answer(LoginOutcome::Accepted);
    watch.store().await;
    watch.round().await;
    watch.round().await;
    assert!(watch.tries() > 0);
    watch.answer(LoginOutcome::Refused);
    for _ in 0..4 {
        watch.round().await;
    }
    assert_eq!(watch.incidents().await, ["critical open login"]);
    // Another secret that is wrong, too, is no end of it.
    watch.store().await;
    for _ in 0..4 {
        watch.round().await;
    }
    assert_eq!(watch.incidents().await, ["critical open login"]);
    watch.answer(LoginOutcome::Accepted);
    watch.store().await;
    for _ in 0..4 {
        watch.round().await;
    }
    assert_eq!(watch.incidents().await, ["critical resolved login"]);
}
