//! The pipeline on a real PostgreSQL as `waypost_app`: claiming, recording, taking over, discovering, surviving restarts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use futures::future::BoxFuture;
use scene::{Scene, eventually};
use tokio_util::sync::CancellationToken;
use waypost_store::{incident_list::IncidentFilter, incidents::IncidentChange};
use waypost_types::{
    MonitorId,
    incident::{IncidentStatus, MuteFor},
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::{Outcome, Verdict},
};
use waypost_worker::{
    batch::{CheckBatch, OrgGroup},
    checker::{Checker, Instructions, StubChecker, stub_outcome},
    judge::recheck_delay,
    recorder::{Recorder, Run},
    runner::Runner,
    scheduler::{LEASE_SECONDS, claim_and_push},
    shared_checks::SharedChecks,
};

/// Counts what it is asked. The first that ask are answered, the others wait for ever.
struct Counting {
    asked: AtomicUsize,
    answers: usize,
}

impl Default for Counting {
    fn default() -> Self {
        Self { asked: AtomicUsize::new(0), answers: usize::MAX }
    }
}

impl Counting {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Checker for Counting {
    fn check<'a>(&'a self, _: MonitorKind, target: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            if self.asked.fetch_add(1, Ordering::SeqCst) >= self.answers {
                std::future::pending::<()>().await;
            }
            stub_outcome(target, 25, Verdict::Up)
        })
    }

    fn is_provider(&self, _: &str) -> bool {
        false
    }
}

fn run(monitor: MonitorId, claim: i64, verdict: Verdict) -> Run {
    Run { monitor, claim, at: Utc::now(), outcome: Arc::new(stub_outcome("mx.example", 25, verdict)), requested: false }
}

/// Now, as exactly as PostgreSQL keeps it.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// When a change seen at `now` is looked at again: reckoned from the time the recorder is given, so no clock runs while it is compared.
fn soon(now: DateTime<Utc>) -> DateTime<Utc> {
    now + recheck_delay(Duration::from_secs(300))
}

fn recorder(scene: &Scene) -> Recorder {
    Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example")
}

#[tokio::test]
async fn a_stale_claim_is_discarded_and_nothing_is_recorded_twice() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let first = scene.claim(Utc::now()).await;
    assert_eq!(first.len(), 1);
    // The lease ends, somebody else claims.
    let second = scene.claim(Utc::now() + TimeDelta::seconds(i64::from(LEASE_SECONDS) + 1)).await;
    assert_eq!(second[0].claim, first[0].claim + 1);
    let recorder = recorder(&scene);
    recorder.record(scene.org, "local", &[run(monitor, first[0].claim, Verdict::Down)], Utc::now()).await.unwrap();
    assert_eq!(scene.results(monitor).await, 0, "the first worker's outcome is stale");
    let outcome = run(monitor, second[0].claim, Verdict::Up);
    for _ in 0..2 {
        recorder.record(scene.org, "local", std::slice::from_ref(&outcome), Utc::now()).await.unwrap();
    }
    assert_eq!(scene.results(monitor).await, 1);
    assert_eq!(scene.state(monitor).await, MonitorState::Up);
}

#[tokio::test]
async fn two_schedulers_claim_disjoint_sets_and_push_them_with_the_claim() {
    let scene = Scene::new().await;
    scene.monitors(60, 300).await;
    let (a, b) = tokio::join!(scene.claim(Utc::now()), scene.claim(Utc::now()));
    let mut all: Vec<MonitorId> = a.iter().chain(&b).map(|unit| unit.monitor).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), a.len() + b.len()), (60, 60));

    let later = Utc::now() + TimeDelta::seconds(i64::from(LEASE_SECONDS) + 1);
    let (a, b) = tokio::join!(claim_and_push(&scene.db.store, "local", later, 20), claim_and_push(&scene.db.store, "local", later, 20));
    assert_eq!(a.unwrap() + b.unwrap(), 60);
    let pushed: String = scene.value("SELECT string_agg(convert_from(job, 'UTF8'), ' ') FROM apalis.jobs").await;
    let units = pushed.matches("mon_").count();
    assert_eq!(units, 60, "every unit is in exactly one task");
    let elsewhere = claim_and_push(&scene.db.store, "frankfurt", later, 20).await.unwrap();
    assert_eq!(elsewhere, 0, "a region sees its own units only");
}

#[tokio::test]
async fn a_worker_killed_in_mid_batch_is_replaced_and_each_check_is_judged_once() {
    let scene = Scene::new().await;
    let monitors = scene.monitors(20, 300).await;
    let group = |claimed: &[waypost_store::schedule::ClaimedUnit]| OrgGroup {
        org: scene.org,
        units: claimed.iter().map(|unit| (unit.monitor, unit.claim)).collect(),
    };
    let runner = |checker: Arc<Counting>| {
        let checks = Arc::new(SharedChecks::new(checker, scene.db.store.clone(), "local", 100, 10));
        Arc::new(Runner::new("local", scene.db.store.clone(), checks, recorder(&scene), None, CancellationToken::new()))
    };
    // The first worker looks at all of its batch and records what ten servers answered; the other ten have not answered when it dies.
    let claimed = scene.claim(Utc::now()).await;
    let halfway = Arc::new(Counting { answers: 10, ..Counting::default() });
    let first = runner(halfway.clone());
    let batch = CheckBatch { claimed_at: Utc::now(), groups: vec![group(&claimed)] };
    let dying = tokio::spawn(async move { first.run(batch).await });
    let recorded = async || scene.value::<i64>("SELECT count(*) FROM check_results").await;
    eventually("every server is asked", async || halfway.asked() == 20).await;
    eventually("what was answered is recorded", async || recorded().await == 10).await;
    assert!(!dying.is_finished(), "it is in mid-batch");
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    // Nothing is due before the lease ends; then the other half is, and only that.
    assert!(scene.claim(Utc::now()).await.is_empty());
    let again = scene.claim(Utc::now() + TimeDelta::seconds(i64::from(LEASE_SECONDS) + 1)).await;
    assert_eq!(again.len(), 10);
    let counting = Arc::new(Counting::default());
    let second = runner(counting.clone());
    second.run(CheckBatch { claimed_at: Utc::now(), groups: vec![group(&again)] }).await.unwrap();
    // A late repetition of the first task finds nothing to do.
    second.run(CheckBatch { claimed_at: Utc::now(), groups: vec![group(&claimed)] }).await.unwrap();
    assert_eq!(counting.asked(), 10, "nobody who answered is asked again");
    for monitor in monitors {
        assert_eq!((scene.results(monitor).await, scene.state(monitor).await), (1, MonitorState::Up));
    }
}

#[tokio::test]
async fn an_outage_is_confirmed_told_once_and_ends_with_a_recovery() {
    let scene = Scene::new().await;
    scene.member("second@example.com", false).await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let recorder = recorder(&scene);
    let story = [Verdict::Up, Verdict::Down, Verdict::Down, Verdict::Down, Verdict::Up];
    for (number, verdict) in story.into_iter().enumerate() {
        let claimed = scene.claim_when_due().await;
        assert_eq!(claimed.len(), 1, "round {number}");
        let now = now();
        recorder.record(scene.org, "local", &[run(monitor, claimed[0].claim, verdict)], now).await.unwrap();
        if number == 1 {
            assert_eq!(scene.due(monitor, "local").await, soon(now), "a failure is looked at again soon");
        }
    }
    let title: String = scene.value("SELECT title || '|' || severity || '|' || status FROM incidents").await;
    assert_eq!(title, "Port 25 of mx.example does not answer|critical|resolved");
    let timeline: String = scene.value("SELECT string_agg(event, ' ' ORDER BY at, id) FROM incident_timeline").await;
    assert_eq!(timeline, "opened resolved");
    // The owner, unverified as he is, is told; the unverified second member is not.
    let mails: String =
        scene.value("SELECT string_agg(recipient || ' ' || split_part(event_key, ':', 3), ', ' ORDER BY created_at, id) FROM outbox").await;
    assert_eq!(mails, "owner@example.com opened, owner@example.com resolved");
    let kept: i64 = scene.value("SELECT count(*) FROM check_results WHERE outcome IS NOT NULL").await;
    assert_eq!(kept, 5, "changes and trouble keep their outcome");
}

#[tokio::test]
async fn what_is_resolved_by_hand_and_still_fails_is_told_again() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let recorder = recorder(&scene);
    let fail_twice = async || {
        for _ in 0..2 {
            let claimed = scene.claim_when_due().await;
            recorder.record(scene.org, "local", &[run(monitor, claimed[0].claim, Verdict::Down)], now()).await.unwrap();
        }
    };
    fail_twice().await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    let incident = tx.incidents(&IncidentFilter::default(), None, 10).await.unwrap().remove(0).id;
    let change = IncidentChange { status: Some(IncidentStatus::Resolved), comment: None, actor: "owner@example.com", ..IncidentChange::default() };
    tx.update_incident(incident, None, change, now()).await.unwrap();
    tx.commit().await.unwrap();
    fail_twice().await;
    let statuses: String = scene.value("SELECT string_agg(status, ' ' ORDER BY opened_at) FROM incidents").await;
    assert_eq!(statuses, "resolved open");
    let mails: i64 = scene.value("SELECT count(*) FROM outbox WHERE event_key LIKE '%opened%'").await;
    assert_eq!(mails, 2);
}

#[tokio::test]
async fn the_end_of_a_muted_incident_is_mailed_to_who_heard_of_the_beginning_with_its_root_cause() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let recorder = recorder(&scene);
    let round = async |verdict| {
        for _ in 0..2 {
            let claimed = scene.claim_when_due().await;
            recorder.record(scene.org, "local", &[run(monitor, claimed[0].claim, verdict)], now()).await.unwrap();
        }
    };
    round(Verdict::Down).await;
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    for mail in scene.db.store.claim_outbox(now() + TimeDelta::seconds(1), 10, 60).await.unwrap() {
        tx.mark_message(mail.id, now(), waypost_store::outbox::Attempt::Sent("250 ok")).await.unwrap();
    }
    let incident = tx.incidents(&IncidentFilter::default(), None, 10).await.unwrap().remove(0).id;
    let change = IncidentChange {
        mute: Some(MuteFor::UntilResolved),
        root_cause: Some("The **firewall** was updated."),
        actor: "owner@example.com",
        ..IncidentChange::default()
    };
    tx.update_incident(incident, None, change, now()).await.unwrap();
    tx.commit().await.unwrap();
    // Who joins meanwhile heard of nothing.
    scene.run_sql("UPDATE users SET email_verified_at = now()").await;
    round(Verdict::Degraded).await;
    round(Verdict::Up).await;
    let mails: String =
        scene.value("SELECT string_agg(recipient || ' ' || split_part(event_key, ':', 3), ', ' ORDER BY created_at, id) FROM outbox").await;
    assert_eq!(mails, "owner@example.com opened, owner@example.com resolved");
    let text: String = scene.value("SELECT message ->> 'text' FROM outbox WHERE event_key LIKE '%resolved'").await;
    assert!(text.contains("Root cause:\nThe **firewall** was updated."), "{text}");
    let timeline: String = scene.value("SELECT string_agg(event, ' ' ORDER BY at, id) FROM incident_timeline").await;
    assert_eq!(timeline, "opened notified root_cause muted changed resolved");
}

#[tokio::test]
async fn what_a_hostile_server_says_can_always_be_recorded() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    for _ in 0..2 {
        let claimed = scene.claim_when_due().await;
        let Outcome::Smtp(mut report) = stub_outcome("mx.example", 25, Verdict::Down) else { panic!("an SMTP outcome") };
        report.summary = "says \0 and \u{202e}".to_owned();
        report.probes[0].reason = "\0".to_owned();
        let hostile = Run { outcome: Arc::new(Outcome::Smtp(report)), ..run(monitor, claimed[0].claim, Verdict::Down) };
        recorder(&scene).record(scene.org, "local", &[hostile], Utc::now()).await.unwrap();
    }
    assert_eq!((scene.results(monitor).await, scene.state(monitor).await), (2, MonitorState::Down));
}

#[tokio::test]
async fn regions_decide_together_and_look_again_together() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    scene.add_region(monitor, "frankfurt").await;
    let recorder = recorder(&scene);
    let round = async |region: &str, verdict| {
        // The other region keeps its time, so that only the recorder can bring it forward.
        scene.run_sql(&format!("UPDATE schedule_units SET due_at = now(), next_run_at = now() WHERE NOT leased AND region = '{region}'")).await;
        let claimed = scene.claim_in(region, Utc::now()).await;
        let now = now();
        recorder.record(scene.org, region, &[run(monitor, claimed[0].claim, verdict)], now).await.unwrap();
        now
    };
    round("local", Verdict::Up).await;
    round("frankfurt", Verdict::Down).await;
    round("frankfurt", Verdict::Down).await;
    assert_eq!(scene.state(monitor).await, MonitorState::Up, "one region of two is no majority");
    let now = round("local", Verdict::Down).await;
    assert_eq!(scene.due(monitor, "frankfurt").await, soon(now), "the other region is asked again soon");
    round("frankfurt", Verdict::Down).await;
    round("local", Verdict::Down).await;
    assert_eq!(scene.state(monitor).await, MonitorState::Down);
}

#[tokio::test]
async fn a_shared_outcome_is_recorded_once_per_monitor() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let recorder = recorder(&scene);
    let observed = run(monitor, 0, Verdict::Down);
    for _ in 0..3 {
        let claimed = scene.claim_when_due().await;
        let now = now();
        recorder.record(scene.org, "local", &[Run { claim: claimed[0].claim, ..observed.clone() }], now).await.unwrap();
        assert_eq!(scene.due(monitor, "local").await, soon(now), "the failure still waits for its confirmation");
    }
    assert_eq!(scene.results(monitor).await, 1);
    assert_eq!(scene.state(monitor).await, MonitorState::Pending, "one look is not two failures");
}

#[tokio::test]
async fn another_organisation_sees_and_changes_nothing() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let claimed = scene.claim(Utc::now()).await;
    let stranger = scene.other_org().await;
    recorder(&scene).record(stranger, "local", &[run(monitor, claimed[0].claim, Verdict::Down)], Utc::now()).await.unwrap();
    assert_eq!(scene.results(monitor).await, 0);
    let mut tx = scene.db.store.org_tx(stranger).await.unwrap();
    assert!(tx.lock_for_judging("local", &[(monitor, claimed[0].claim)]).await.unwrap().is_empty());
    assert_eq!(tx.release_units("local", &[(monitor, claimed[0].claim)]).await.unwrap(), 0);
    assert!(tx.request_check(monitor).await.is_err());
    assert!(tx.open_incidents_of(&[monitor]).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_whole_worker_runs_survives_lost_connections_and_stops_cleanly() {
    let scene = Scene::new().await;
    let monitors = scene.monitors(30, 300).await;
    let checker = Arc::new(Counting::default());
    let shutdown = CancellationToken::new();
    let worker = tokio::spawn(waypost_worker::run_with(scene.config("local"), scene.db.store.clone(), checker.clone(), shutdown.clone()));
    eventually("every monitor is checked", async || scene.value::<i64>("SELECT count(*) FROM check_results").await == 30).await;

    eventually("the tasks are marked done, so that they can be pruned", async || {
        scene.value::<i64>("SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'").await == 0
    })
    .await;

    scene.cut_connections().await;
    let mut asked = Err(waypost_store::StoreError::NotFound);
    for _ in 0..20 {
        asked = scene.request(monitors[0]).await;
        if asked.is_ok() {
            break;
        }
    }
    asked.unwrap();
    eventually("a check is run after every connection was cut", async || scene.results(monitors[0]).await >= 1 && scene.idle(monitors[0]).await)
        .await;
    let late = scene.monitor(MonitorKind::Smtp, "late.example:25", 300).await;
    eventually("new monitors are checked after the cut", async || scene.results(late).await == 1).await;

    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), worker).await.expect("stops in time").unwrap().unwrap();
    let leased: i64 = scene.value("SELECT count(*) FROM schedule_units WHERE leased").await;
    assert_eq!(leased, 0, "nothing is left under lease");
}

#[tokio::test]
async fn a_row_that_can_not_be_read_keeps_no_other_from_being_recorded() {
    let scene = Scene::new().await;
    scene.monitors(5, 300).await;
    scene.run_sql("UPDATE monitors SET judge = '3' WHERE id = (SELECT min(id::text)::uuid FROM monitors)").await;
    let shutdown = CancellationToken::new();
    let checker = Arc::new(StubChecker::default());
    let worker = tokio::spawn(waypost_worker::run_with(scene.config("local"), scene.db.store.clone(), checker, shutdown.clone()));
    eventually("the others are recorded", async || scene.value::<i64>("SELECT count(*) FROM check_results").await == 4).await;
    shutdown.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_gives_back_what_is_not_done() {
    let scene = Scene::new().await;
    scene.monitors(5, 300).await;
    let shutdown = CancellationToken::new();
    let slow = Arc::new(StubChecker { verdict: Verdict::Up, takes: Duration::from_secs(3600) });
    let worker = tokio::spawn(waypost_worker::run_with(scene.config("local"), scene.db.store.clone(), slow, shutdown.clone()));
    eventually("the units are under lease", async || scene.value::<i64>("SELECT count(*) FROM schedule_units WHERE leased").await == 5).await;
    eventually("the task is taken", async || scene.value::<i64>("SELECT count(*) FROM apalis.jobs WHERE status = 'Running'").await == 1).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), worker).await.expect("stops in time").unwrap().unwrap();
    let due: i64 = scene.value("SELECT count(*) FROM schedule_units WHERE NOT leased AND due_at <= now()").await;
    assert_eq!(due, 5);
}

/// Scans never end, probes do.
struct StuckScans;

impl Checker for StuckScans {
    fn check<'a>(&'a self, kind: MonitorKind, target: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            if kind == MonitorKind::Blacklist {
                std::future::pending::<()>().await;
            }
            stub_outcome(target, 25, Verdict::Up)
        })
    }

    fn is_provider(&self, _: &str) -> bool {
        false
    }
}

#[tokio::test]
async fn scans_that_are_stuck_hold_no_place_of_the_queue_and_are_given_back() {
    let scene = Scene::new().await;
    let probe = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let scan = scene.monitor(MonitorKind::Blacklist, "203.0.113.7", 21_600).await;
    let stop = CancellationToken::new();
    let checks = Arc::new(SharedChecks::new(Arc::new(StuckScans), scene.db.store.clone(), "local", 8, 8));
    let runner = Arc::new(Runner::new("local", scene.db.store.clone(), checks, recorder(&scene), None, stop.clone()));
    let claimed = scene.claim(Utc::now()).await;
    assert_eq!(claimed.len(), 2);
    let units = claimed.iter().map(|unit| (unit.monitor, unit.claim)).collect();
    // The task ends although the scan does not.
    tokio::time::timeout(
        Duration::from_secs(60),
        runner.run(CheckBatch { claimed_at: Utc::now(), groups: vec![OrgGroup { org: scene.org, units }] }),
    )
    .await
    .expect("a scan holds the task")
    .unwrap();
    assert_eq!((scene.results(probe).await, scene.results(scan).await), (1, 0));
    assert!(!scene.idle(scan).await, "still under way");
    stop.cancel();
    runner.finish().await;
    assert!(scene.idle(scan).await, "given back at the end");
}

#[tokio::test]
async fn a_scan_that_finds_no_place_in_time_is_given_back_while_the_other_goes_on() {
    let scene = Scene::new().await;
    for address in ["203.0.113.7", "203.0.113.8"] {
        scene.monitor(MonitorKind::Blacklist, address, 21_600).await;
    }
    let stop = CancellationToken::new();
    let checks = Arc::new(SharedChecks::new(Arc::new(StuckScans), scene.db.store.clone(), "local", 8, 1));
    let runner = Arc::new(Runner::new("local", scene.db.store.clone(), checks, recorder(&scene), None, stop.clone()));
    let claimed = scene.claim(Utc::now()).await;
    let units = claimed.iter().map(|unit| (unit.monitor, unit.claim)).collect();
    // Claimed so long ago that a look has to begin within two seconds.
    let claimed_at = Utc::now() - TimeDelta::seconds(i64::from(LEASE_SECONDS) - 32);
    runner.run(CheckBatch { claimed_at, groups: vec![OrgGroup { org: scene.org, units }] }).await.unwrap();
    eventually("one is under way, and the other is free for whoever has room", async || {
        scene.value::<i64>("SELECT count(*) FROM schedule_units WHERE leased").await == 1
    })
    .await;
    stop.cancel();
    runner.finish().await;
}
