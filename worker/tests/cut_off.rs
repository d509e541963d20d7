//! Regions that can not reach anything, with workers of each on one database: what they see opens nothing, and what is dead is found by the others.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::Utc;
use futures::future::BoxFuture;
use scene::Scene;
use tokio_util::sync::CancellationToken;
use waypost_store::incident_list::IncidentFilter;
use waypost_types::{
    MonitorId,
    incident::{Incident, IncidentStatus},
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::{Outcome, Verdict},
};
use waypost_worker::{
    batch::{CheckBatch, OrgGroup},
    checker::{Checker, Instructions, split_target, stub_outcome},
    maintain,
    recorder::Recorder,
    runner::Runner,
    shared_checks::SharedChecks,
};

/// What a region can see: nothing at all, or all but what is dead.
struct Eyes {
    cut_off: bool,
    dead: &'static str,
}

impl Checker for Eyes {
    fn check<'a>(&'a self, _: MonitorKind, target: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
        let host = split_target(target).0;
        let verdict = if self.cut_off || host == self.dead { Verdict::Down } else { Verdict::Up };
        let mut outcome = stub_outcome(host, 25, verdict);
        if let (Outcome::Smtp(report), true) = (&mut outcome, self.cut_off) {
            "The network or host is unreachable from here.".clone_into(&mut report.summary);
        }
        Box::pin(async move { outcome })
    }

    fn is_provider(&self, _: &str) -> bool {
        false
    }
}

struct World {
    scene: Scene,
    regions: Vec<&'static str>,
    monitors: Vec<MonitorId>,
}

impl World {
    /// Six servers that are watched from each region; so many regions that fail are a failure.
    async fn new(regions: &[&'static str], quorum: u32) -> Self {
        let scene = Scene::new().await;
        let monitors = scene.monitors(6, 300).await;
        for monitor in &monitors {
            for region in regions.iter().filter(|region| **region != "local") {
                scene.add_region(*monitor, region).await;
            }
        }
        let policy = format!(r#"{{"fail_after":2,"recover_after":1,"quorum":{quorum}}}"#);
        scene.run_sql(&format!("UPDATE monitors SET policy = '{policy}'")).await;
        Self { scene, regions: regions.to_vec(), monitors }
    }

    /// A worker of each region looks at everything once; those that are cut off first.
    async fn look(&self, cut_off: &[&str], dead: &'static str) {
        self.scene.run_sql("UPDATE schedule_units SET due_at = now(), next_run_at = now() WHERE NOT leased").await;
        let mut regions = self.regions.clone();
        regions.sort_by_key(|region| !cut_off.contains(region));
        for region in regions {
            let claimed = self.scene.claim_in(region, Utc::now()).await;
            assert_eq!(claimed.len(), self.monitors.len());
            let store = self.scene.db.store.clone();
            store.region_seen(region, Utc::now()).await.unwrap();
            let eyes = Arc::new(Eyes { cut_off: cut_off.contains(&region), dead });
            let checks = Arc::new(SharedChecks::new(eyes, store.clone(), region, 100, 10));
            let recorder = Recorder::new(store.clone(), "https://waypost.example", "waypost.example");
            let runner = Arc::new(Runner::new(region, store, checks, recorder, None, CancellationToken::new()));
            let units = claimed.iter().map(|unit| (unit.monitor, unit.claim)).collect();
            runner.run(CheckBatch { groups: vec![OrgGroup { org: self.scene.org, units }], claimed_at: Utc::now() }).await.unwrap();
        }
    }

    async fn incidents(&self) -> Vec<Incident> {
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        tx.incidents(&IncidentFilter::default(), None, 50).await.unwrap()
    }

    async fn cut_off(&self) -> Vec<String> {
        let regions = self.scene.db.store.regions().await.unwrap();
        regions.into_iter().filter(|region| region.cut_off_since.is_some()).map(|region| region.name).collect()
    }

    async fn are_up(&self, monitors: &[MonitorId]) {
        for monitor in monitors {
            assert_eq!(self.scene.state(*monitor).await, MonitorState::Up);
        }
    }
}

#[tokio::test]
async fn a_region_that_is_cut_off_opens_no_incident_and_what_is_dead_is_found_by_the_others() {
    // Any one region decides: without the knowledge of regions each server would be down.
    let world = World::new(&["local", "east", "west"], 1).await;
    world.look(&[], "").await;
    for _ in 0..3 {
        world.look(&["east"], "").await;
    }
    assert_eq!(world.cut_off().await, ["east"]);
    assert_eq!(world.incidents().await, []);
    world.are_up(&world.monitors).await;
    let sees: String = world.scene.value("SELECT last_summary FROM schedule_units WHERE region = 'east' LIMIT 1").await;
    assert!(sees.starts_with("Region east can not reach anything since"), "{sees}");
    let mut tx = world.scene.db.store.org_tx(world.scene.org).await.unwrap();
    let timings = tx.region_timings(world.monitors[0], Utc::now()).await.unwrap();
    assert_eq!(timings.iter().filter(|timing| timing.cut_off_since.is_some()).map(|timing| timing.region.as_str()).collect::<Vec<_>>(), ["east"]);
    tx.commit().await.unwrap();

    for _ in 0..3 {
        world.look(&["east"], "mx2.example").await;
    }
    let incidents = world.incidents().await;
    assert_eq!(incidents.iter().map(|incident| incident.target.as_str()).collect::<Vec<_>>(), ["mx2.example:25"]);

    // The region is whole again: what it saw before has no vote, and the incident ends when the server is back.
    for _ in 0..2 {
        world.look(&[], "mx2.example").await;
    }
    assert_eq!(world.cut_off().await, Vec::<String>::new());
    world.look(&[], "").await;
    world.look(&[], "").await;
    let incidents = world.incidents().await;
    assert_eq!((incidents.len(), incidents[0].status), (1, IncidentStatus::Resolved));
    world.are_up(&world.monitors).await;
}

#[tokio::test]
async fn half_of_the_regions_cut_off_open_no_incident() {
    let world = World::new(&["local", "east", "west", "south"], 2).await;
    world.look(&[], "").await;
    for _ in 0..3 {
        world.look(&["east", "south"], "").await;
    }
    assert_eq!(world.cut_off().await, ["east", "south"]);
    assert_eq!(world.incidents().await, []);
    for _ in 0..3 {
        world.look(&["east", "south"], "mx5.example").await;
    }
    let incidents = world.incidents().await;
    assert_eq!(incidents.iter().map(|incident| incident.target.as_str()).collect::<Vec<_>>(), ["mx5.example:25"]);
}

#[tokio::test]
async fn what_all_regions_see_is_no_fault_of_theirs() {
    let world = World::new(&["local", "east"], 0).await;
    world.look(&[], "").await;
    // All at once, for everybody: whoever looks first can not know better until the others have looked.
    for _ in 0..4 {
        world.look(&["local", "east"], "").await;
    }
    assert_eq!(world.cut_off().await, Vec::<String>::new());
    assert_eq!(world.incidents().await.len(), world.monitors.len());
}

#[tokio::test]
async fn a_region_that_stands_alone_and_is_cut_off_opens_nothing_and_what_it_watched_is_unknown() {
    let world = World::new(&["local"], 0).await;
    world.look(&[], "").await;
    for _ in 0..3 {
        world.look(&["local"], "").await;
    }
    assert_eq!(world.cut_off().await, ["local"]);
    assert_eq!(world.incidents().await, []);
    // For a while what was known stands.
    let config = world.scene.config("local");
    maintain(&config, &world.scene.db.store, false).await.unwrap();
    world.are_up(&world.monitors).await;
    let heard: bool = world.scene.value("SELECT bool_and(heard_at < last_checked_at) FROM monitors").await;
    assert!(heard, "what a region that is cut off sees is looked at and not counted");

    world.scene.run_sql("UPDATE monitors SET heard_at = heard_at - interval '16 minutes'").await;
    maintain(&config, &world.scene.db.store, false).await.unwrap();
    for monitor in &world.monitors {
        assert_eq!(world.scene.state(*monitor).await, MonitorState::Unknown);
    }
    let said: String = world.scene.value("SELECT min(summary) FROM monitors").await;
    assert!(said.starts_with("Not checked since ") && said.ends_with(": region local can not reach anything."), "{said}");

    for _ in 0..2 {
        world.look(&[], "").await;
    }
    world.are_up(&world.monitors).await;
    assert_eq!(world.incidents().await, []);
}
