//! One look serves everybody, within bounds, and providers are asked rarely whatever happens.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{BoxFuture, join_all};
use scene::Scene;
use waypost_store::{history::KnownRecord, instructions::DomainInstructions};
use waypost_types::{
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::{Outcome, Verdict},
};
use waypost_worker::{
    checker::{Checker, Instructions, ListInstructions, stub_outcome},
    shared_checks::{Ask, NoLook, SharedChecks},
};

/// Never comes to an end.
struct Stuck;

impl Checker for Stuck {
    fn check<'a>(&'a self, _: MonitorKind, _: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
        Box::pin(std::future::pending())
    }

    fn is_provider(&self, _: &str) -> bool {
        false
    }
}

#[tokio::test]
async fn who_finds_no_place_in_time_gives_the_check_back() {
    let scene = Scene::new().await;
    let shared = SharedChecks::new(Arc::new(Stuck), scene.db.store.clone(), "local", 1, 1);
    let first = Ask { kind: MonitorKind::Blacklist, ..ask("192.0.2.1") };
    let second = Ask { begin_before: Utc::now() + TimeDelta::milliseconds(100), ..Ask { kind: MonitorKind::Blacklist, ..ask("192.0.2.2") } };
    tokio::select! {
        _ = shared.observe(&first) => panic!("it never ends"),
        seen = async { tokio::task::yield_now().await; shared.observe(&second).await } => assert_eq!(seen.err(), Some(NoLook::TooLate)),
    }
}

#[derive(Default)]
struct Counting {
    looks: AtomicUsize,
    at_once: AtomicUsize,
    most: AtomicUsize,
}

impl Counting {
    fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }
}

impl Checker for Counting {
    fn check<'a>(&'a self, _: MonitorKind, target: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.looks.fetch_add(1, Ordering::SeqCst);
            self.most.fetch_max(self.at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            stub_outcome(target, 25, Verdict::Up)
        })
    }

    fn is_provider(&self, host: &str) -> bool {
        host.ends_with("google.com")
    }
}

fn ask(target: &str) -> Ask<'_> {
    Ask {
        instructions: Box::leak(Box::default()),
        kind: MonitorKind::Smtp,
        target,
        interval: Duration::from_secs(60),
        state: MonitorState::Up,
        requested: false,
        begin_before: Utc::now() + TimeDelta::minutes(1),
    }
}

#[tokio::test]
async fn many_who_watch_one_target_cost_one_look() {
    let scene = Scene::new().await;
    let checker = Arc::new(Counting::default());
    let shared = SharedChecks::new(checker.clone(), scene.db.store.clone(), "local", 10, 10);
    let watcher = ask("mx.example:25");
    let all = join_all((0..50).map(|_| shared.observe(&watcher))).await;
    assert_eq!(checker.looks(), 1);
    assert!(all.iter().all(|seen| seen.as_ref().unwrap().at == all[0].as_ref().unwrap().at));
    let asked = Ask { requested: true, ..watcher };
    shared.observe(&asked).await.unwrap();
    assert_eq!(checker.looks(), 1, "a person's wish is granted at most every 10 seconds");
    shared.observe(&ask("mx.example:587")).await.unwrap();
    assert_eq!(checker.looks(), 2, "another port is another target");
    assert!(shared.observe(&Ask { begin_before: Utc::now() - TimeDelta::seconds(1), ..ask("late.example:25") }).await.err() == Some(NoLook::TooLate));
    assert_eq!(checker.looks(), 2);
}

#[tokio::test]
async fn looks_are_shared_by_those_who_say_the_same_about_them() {
    let scene = Scene::new().await;
    let checker = Arc::new(Counting::default());
    let shared = SharedChecks::new(checker.clone(), scene.db.store.clone(), "local", 10, 10);
    let selector = |name: &str| {
        let domain = DomainInstructions { selectors: vec![name.to_owned()], ..DomainInstructions::default() };
        Instructions { domain, ..Instructions::default() }
    };
    let key = |key: &str| {
        let keys = [("list".to_owned(), key.to_owned().into())].into();
        Instructions { lists: Arc::new(ListInstructions { keys, ..ListInstructions::default() }), ..Instructions::default() }
    };
    for (number, instructions) in [Instructions::default(), selector("s1"), selector("s2"), key("a"), key("b")].iter().enumerate() {
        for _ in 0..2 {
            shared.observe(&Ask { instructions, ..ask("mx.example:25") }).await.unwrap();
        }
        assert_eq!(checker.looks(), number + 1, "{instructions:?}");
    }
    let since = |seconds: i64| {
        let record = KnownRecord { record: "v=spf1 -all".to_owned(), since: DateTime::from_timestamp(seconds, 0).unwrap() };
        let domain = DomainInstructions { records: [("spf".to_owned(), vec![record])].into(), ..DomainInstructions::default() };
        Instructions { domain, ..Instructions::default() }
    };
    assert_eq!(since(1).mark(), since(2).mark(), "organisations that added a domain one after the other share its audits");
    assert_ne!(since(1).mark(), Instructions::default().mark());
    assert!(!format!("{:?}", key("secret")).contains("secret"));
}

#[tokio::test]
async fn looks_at_once_are_bounded() {
    let scene = Scene::new().await;
    let checker = Arc::new(Counting::default());
    let shared = SharedChecks::new(checker.clone(), scene.db.store.clone(), "local", 3, 1);
    let targets: Vec<String> = (0..40).map(|n| format!("mx{n}.example:25")).collect();
    let asks: Vec<Ask<'_>> = targets.iter().map(|target| ask(target)).collect();
    join_all(asks.iter().map(|ask| shared.observe(ask))).await;
    assert_eq!(checker.looks(), 40);
    assert!(checker.most.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn the_workers_of_a_region_look_at_a_provider_once_in_fifteen_minutes() {
    let scene = Scene::new().await;
    let checker = Arc::new(Counting::default());
    let worker = |region| SharedChecks::new(checker.clone(), scene.db.store.clone(), region, 10, 10);
    let host = "aspmx.l.google.com:25";
    let wish = Ask { requested: true, ..ask(host) };
    let first = worker("local").observe(&wish).await.unwrap();
    // Another process, and a worker that was started again.
    for _ in 0..2 {
        let seen = worker("local").observe(&wish).await.unwrap();
        assert_eq!(seen.at.timestamp_micros(), first.at.timestamp_micros());
    }
    assert_eq!(checker.looks(), 1);
    worker("frankfurt").observe(&wish).await.unwrap();
    assert_eq!(checker.looks(), 2, "another region sees for itself");
    scene.run_sql("UPDATE provider_looks SET asked_at = asked_at - interval '15 minutes'").await;
    worker("local").observe(&wish).await.unwrap();
    assert_eq!(checker.looks(), 3);
}
