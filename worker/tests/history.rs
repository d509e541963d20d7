//! What changed in DNS and on lists, on a real PostgreSQL: kept, told, turned into incidents that say what caused them, and ended.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::sync::Arc;

use chrono::{SubsecRound as _, TimeDelta, Utc};
use scene::Scene;
use waypost_types::{
    Finding, MonitorId, Severity, UnknownPart,
    audit::{DkimKey, SelectorOrigin},
    drift::{ChangeForm, ChangeKind},
    list_history::ListingEnd,
    monitor::MonitorKind,
    outcome::{AuditReport, BlacklistReport, CheckSummary, ListEntry, ListState, Outcome, Status},
};
use waypost_worker::recorder::{Recorder, Run};

struct Story {
    scene: Scene,
    monitor: MonitorId,
    recorder: Recorder,
}

impl Story {
    fn of(scene: Scene, monitor: MonitorId) -> Self {
        let recorder = Recorder::new(scene.db.store.clone(), "https://waypost.example", "waypost.example");
        Self { scene, monitor, recorder }
    }

    /// The next look sees this.
    async fn sees(&self, outcome: Outcome) {
        let claimed = self.scene.claim_when_due().await;
        let now = Utc::now().trunc_subsecs(6);
        let run = Run { monitor: self.monitor, claim: claimed[0].claim, at: now, outcome: Arc::new(outcome), requested: false };
        self.recorder.record(self.scene.org, "local", &[run], now).await.unwrap();
    }

    async fn looks_again_soon(&self) -> bool {
        let within = "next_run_at BETWEEN now() AND now() + interval '11 minutes'";
        self.scene.value(&format!("SELECT {within} FROM schedule_units WHERE monitor_id = '{}'", self.monitor.0)).await
    }

    async fn incidents(&self) -> String {
        self.scene
            .value("SELECT coalesce(string_agg(condition || ' ' || severity || ' ' || status || ': ' || title, E'\\n' ORDER BY opened_at, condition), '') FROM incidents")
            .await
    }

    async fn mails(&self) -> i64 {
        self.scene.value("SELECT count(*) FROM outbox").await
    }
}

/// An audit that saw these records and findings; `?` before a family: it did not answer.
fn audit(records: &[(&str, &str)], findings: &[(&str, Severity)], unknown: &[&str]) -> Outcome {
    let finding = |(rule, severity): &(&str, Severity)| Finding {
        rule: (*rule).to_owned(),
        severity: *severity,
        subject: "e.example".to_owned(),
        summary: format!("{rule} is wrong"),
        why: String::new(),
        fix: "Mend it.".to_owned(),
        record: None,
        reference: String::new(),
    };
    let checks = ["spf", "dmarc", "mx"].map(|family| (family.to_owned(), CheckSummary { status: Status::Ok, word: "x".to_owned() }));
    Outcome::Audit(Box::new(AuditReport {
        findings: findings.iter().map(finding).collect(),
        unknown: unknown.iter().map(|part| UnknownPart::new(*part, "late")).collect(),
        checks: checks.into(),
        records: records.iter().map(|(family, record)| ((*family).to_owned(), vec![(*record).to_owned()])).collect(),
        ..AuditReport::empty("e.example")
    }))
}

const SPF: (&str, &str) = ("spf", "v=spf1 mx -all");
const DMARC: (&str, &str) = ("dmarc", "v=DMARC1; p=reject");

#[tokio::test]
async fn a_change_that_makes_things_worse_is_an_incident_that_names_it_and_another_is_a_quiet_event() {
    let scene = Scene::new().await;
    let (domain, monitor) = scene.domain("e.example").await;
    let story = Story::of(scene, monitor);
    story.sees(audit(&[SPF, DMARC], &[], &[])).await;
    // Only a change.
    story.sees(audit(&[("spf", "v=spf1 mx include:s.example -all"), DMARC], &[], &[])).await;
    assert_eq!((story.incidents().await.as_str(), story.mails().await), ("", 0));
    // Worse, confirmed by a second look.
    let worse = || audit(&[("spf", "v=spf1 mx include:s.example -all"), ("dmarc", "v=DMARC1; p=none")], &[("dmarc.p_none", Severity::Medium)], &[]);
    story.sees(worse()).await;
    assert_eq!(story.incidents().await, "");
    story.sees(worse()).await;
    assert_eq!(story.incidents().await, "dmarc warning open: e.example: dmarc.p_none is wrong");
    let summary: String = story.scene.value("SELECT summary FROM incidents").await;
    assert!(summary.contains("What changed at") && summary.ends_with("policy (p): reject, now none."), "{summary}");
    // Another family breaks meanwhile: an incident of its own. The first is mended and ends by itself.
    let missing = || audit(&[DMARC], &[("spf.missing", Severity::High)], &[]);
    story.sees(missing()).await;
    story.sees(missing()).await;
    assert_eq!(
        story.incidents().await,
        "dmarc warning resolved: e.example: dmarc.p_none is wrong\nspf critical open: e.example: spf.missing is wrong"
    );
    // Silence ends nothing, and what the others rest on is asked again soon.
    story.sees(audit(&[DMARC], &[], &["spf"])).await;
    assert!(story.looks_again_soon().await);
    assert!(story.incidents().await.ends_with("spf critical open: e.example: spf.missing is wrong"));
    // An include that fails may do so for ever: the record itself was read.
    story.sees(audit(&[SPF, DMARC], &[("spf.missing", Severity::High)], &["spf"])).await;
    assert!(!story.looks_again_soon().await);
    story.sees(audit(&[SPF, DMARC], &[], &[])).await;
    assert!(story.incidents().await.ends_with("spf critical resolved: e.example: spf.missing is wrong"));
    assert_eq!(story.mails().await, 4, "two opened, two ended");

    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    let history = tx.record_changes(domain, None, 50).await.unwrap();
    let told: Vec<(&str, bool, &str)> = history.iter().map(|event| (event.family.as_str(), event.worse, event.changes[0].text.as_str())).collect();
    assert_eq!(
        told,
        [
            ("spf", false, "SPF record: v=spf1 mx -all"),
            ("dmarc", false, "policy (p): none, now reject"),
            ("spf", true, "SPF record: v=spf1 mx include:s.example -all"),
            ("dmarc", true, "policy (p): reject, now none"),
            ("spf", false, "include:s.example may send now"),
        ]
    );
    assert_eq!((history[2].changes[0].kind, history[2].after.len()), (ChangeKind::Removed, 0));
    let since = tx.known_records(&[domain]).await.unwrap().remove(&domain).unwrap();
    assert!(since["dmarc"][0].since > history[4].at, "the policy is as it is since it was changed back");
    let page = tx.record_changes(domain, Some(history[1].id), 2).await.unwrap();
    assert_eq!(page.iter().map(|event| event.id).collect::<Vec<_>>(), [history[2].id, history[3].id]);
}

#[tokio::test]
async fn what_was_wrong_when_a_domain_was_added_is_told_where_it_is_serious_only() {
    let scene = Scene::new().await;
    let (_, monitor) = scene.domain("e.example").await;
    let story = Story::of(scene, monitor);
    let found = || audit(&[DMARC], &[("dmarc.no_rua", Severity::Medium), ("spf.missing", Severity::High)], &[]);
    for _ in 0..3 {
        story.sees(found()).await;
    }
    assert_eq!(story.incidents().await, "spf critical open: e.example: spf.missing is wrong");
}

#[tokio::test]
async fn what_is_resolved_by_hand_or_removed_and_still_wrong_is_told_again() {
    let scene = Scene::new().await;
    let (_, monitor) = scene.domain("e.example").await;
    let story = Story::of(scene, monitor);
    let missing = || audit(&[DMARC], &[("spf.missing", Severity::High)], &[]);
    story.sees(missing()).await;
    story.sees(missing()).await;
    let id: uuid::Uuid = story.scene.value("SELECT id FROM incidents").await;
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    let change = waypost_store::incidents::IncidentChange {
        status: Some(waypost_types::incident::IncidentStatus::Resolved),
        comment: None,
        actor: "owner@example.com",
        ..waypost_store::incidents::IncidentChange::default()
    };
    tx.update_incident(waypost_types::IncidentId(id), None, change, Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
    story.sees(missing()).await;
    story.sees(missing()).await;
    assert_eq!(story.scene.value::<i64>("SELECT count(*) FROM incidents WHERE status = 'open'").await, 1);
    let id: uuid::Uuid = story.scene.value("SELECT id FROM incidents WHERE status = 'open'").await;
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    tx.delete_incident(waypost_types::IncidentId(id), None).await.unwrap();
    tx.commit().await.unwrap();
    story.sees(missing()).await;
    story.sees(missing()).await;
    assert_eq!(story.scene.value::<i64>("SELECT count(*) FROM incidents WHERE status = 'open'").await, 1);
}

/// A scan: `+` listed, `-` clean, `?` could not be told.
fn scan(said: &[(&str, &str)]) -> Outcome {
    let entry = |(pair, state): &(&str, &str)| {
        let (subject, zone) = pair.split_once('@').unwrap();
        ListEntry {
            subject: subject.to_owned(),
            list: format!("List {zone}"),
            zone: zone.to_owned(),
            state: match *state {
                "+" => ListState::Listed,
                "-" => ListState::Clean,
                _ => ListState::Unknown,
            },
            codes: vec!["127.0.0.2".to_owned()],
            meaning: "spam".to_owned(),
            reason: "see https://list.example".to_owned(),
            severity: Severity::High,
            delist_url: None,
        }
    };
    let entries = said.iter().map(entry).collect();
    Outcome::Blacklist(Box::new(BlacklistReport { entries, ..BlacklistReport::empty("203.0.113.7") }))
}

#[tokio::test]
async fn the_first_scan_is_silent_and_listings_have_their_story() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Blacklist, "203.0.113.7", 3600).await;
    let story = Story::of(scene, monitor);
    let (a, b, c) = ("203.0.113.7@a.example", "203.0.113.7@b.example", "203.0.113.7@c.example");
    for _ in 0..3 {
        story.sees(scan(&[(a, "+"), (b, "-"), (c, "-")])).await;
    }
    assert_eq!(story.incidents().await, "", "what was there when it was added is no news");
    // One spam event on two lists is one incident; the list that is silent takes nobody off.
    for _ in 0..2 {
        story.sees(scan(&[(a, "+"), (b, "+"), (c, "+")])).await;
    }
    // What nobody was told of is known by it.
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    for listings in [tx.listings_of(&[monitor], 10).await.unwrap(), tx.listings_within("203.0.113.0/24".parse().unwrap(), 10).await.unwrap()] {
        let mut before: Vec<(&str, bool)> = listings.iter().map(|listing| (listing.zone.as_str(), listing.stood_before)).collect();
        before.sort_unstable();
        assert_eq!(before, [("a.example", true), ("b.example", false), ("c.example", false)]);
    }
    drop(tx);
    assert_eq!(story.incidents().await, "203.0.113.7|critical critical open: 203.0.113.7 is listed on List b.example and 1 more list");
    story.sees(scan(&[(a, "?"), (b, "?"), (c, "-")])).await;
    assert!(story.incidents().await.contains(" open: "));
    story.sees(scan(&[(a, "-"), (b, "-"), (c, "-")])).await;
    assert!(story.incidents().await.contains(" resolved: "));
    assert_eq!(story.mails().await, 2);
    let timeline: String = story.scene.value("SELECT string_agg(event || ': ' || text, E'\\n' ORDER BY at, id) FROM incident_timeline").await;
    assert!(timeline.contains("changed: No longer seen: 203.0.113.7 of c.example. Others remain."), "{timeline}");
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    let listings = tx.listings_of(&[monitor], 10).await.unwrap();
    assert_eq!(listings.len(), 3);
    assert!(listings.iter().all(|listing| listing.ended_at.is_some() && listing.began_at < listing.seen_at), "{listings:?}");
    assert!(listings.iter().all(|listing| listing.stood_before == (listing.zone == "a.example")), "also when it is over: {listings:?}");
    assert_eq!((listings[2].zone.as_str(), listings[2].codes.as_slice()), ("a.example", &["127.0.0.2".to_owned()][..]));
    // On the list again: another stay.
    story.sees(scan(&[(a, "+")])).await;
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    let listings = tx.listings_of(&[monitor], 10).await.unwrap();
    assert_eq!((listings.len(), listings[0].zone.as_str(), listings[0].ended_at), (4, "a.example", None));
    assert!(listings[0].began_at > Utc::now() - TimeDelta::minutes(5));
    assert!(!listings[0].stood_before, "it came back while somebody looked");
}

#[tokio::test]
async fn what_can_not_be_looked_at_any_more_is_closed_as_that_and_not_as_delisted() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Blacklist, "203.0.113.7", 3600).await;
    let story = Story::of(scene, monitor);
    let (a, b) = ("203.0.113.7@a.example", "203.0.113.7@b.example");
    story.sees(scan(&[(a, "-"), (b, "-")])).await;
    for _ in 0..2 {
        story.sees(scan(&[(a, "+"), (b, "+")])).await;
    }
    story.sees(scan(&[(a, "?"), (b, "+")])).await;
    assert!(story.incidents().await.contains(" open: "));
    // A week goes by.
    story
        .scene
        .run_sql(
            "UPDATE monitors SET conditions = jsonb_set(conditions, '{unseen,203.0.113.7|a.example}', to_jsonb(now() - interval '7 days 1 hour'));
        UPDATE listings SET began_at = began_at - interval '8 days', seen_at = seen_at - interval '8 days' WHERE zone = 'a.example'",
        )
        .await;
    story.sees(scan(&[(a, "?"), (b, "+")])).await;
    assert!(story.incidents().await.contains(" open: "), "the other list still says so");
    // The other list is switched off.
    story.sees(scan(&[(a, "?")])).await;
    assert!(story.incidents().await.contains(" resolved: "));
    let timeline: String = story.scene.value("SELECT string_agg(text, E'\\n' ORDER BY at, id) FROM incident_timeline").await;
    assert!(timeline.contains("203.0.113.7 on a.example can no longer be looked at since "), "{timeline}");
    assert!(timeline.contains("203.0.113.7 on b.example is no longer asked for"), "{timeline}");
    assert!(!timeline.contains("off the list"), "{timeline}");
    let subject: String = story.scene.value("SELECT message->>'subject' FROM outbox ORDER BY id DESC LIMIT 1").await;
    assert!(subject.starts_with("[Closed] "), "{subject}");
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    let mut stays = tx.listings_of(&[monitor], 10).await.unwrap();
    stays.sort_by(|x, y| x.zone.cmp(&y.zone));
    assert_eq!(stays.iter().map(|stay| stay.ending).collect::<Vec<_>>(), [ListingEnd::Untold, ListingEnd::NotAsked]);
    assert_eq!(stays[0].ended_at, Some(stays[0].seen_at), "nobody knows what came after");
}

#[tokio::test]
async fn a_change_of_many_long_records_is_cut_and_what_is_very_old_goes() {
    let scene = Scene::new().await;
    let (domain, _) = scene.domain("e.example").await;
    let event = |at, many: usize| waypost_types::drift::RecordEvent {
        id: uuid::Uuid::now_v7(),
        at,
        family: "ns".to_owned(),
        changes: (0..many)
            .map(|n| waypost_types::drift::RecordChange {
                kind: ChangeKind::Added,
                text: format!("{n} {}", "ü".repeat(9_000)),
                form: ChangeForm::Sentence,
            })
            .collect(),
        before: Vec::new(),
        after: (0..many).map(|n| format!("{n} {}", "x".repeat(9_000))).collect(),
        worse: false,
    };
    let now = Utc::now();
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    tx.add_record_change(domain, &event(now - TimeDelta::days(401), 1)).await.unwrap();
    tx.add_record_change(domain, &event(now, 500)).await.unwrap();
    let kept = tx.record_changes(domain, None, 10).await.unwrap();
    assert_eq!(kept.len(), 1, "the old one is gone");
    assert_eq!((kept[0].after.len(), kept[0].after[40].as_str(), kept[0].changes.len()), (41, "… and 460 more", 40));
    let bytes = |event: &waypost_types::drift::RecordEvent| serde_json::to_string(event).unwrap().len();
    assert!(bytes(&kept[0]) < 300_000, "{}", bytes(&kept[0]));
}

#[tokio::test]
async fn a_repair_that_leaves_something_to_do_makes_nothing_worse() {
    let scene = Scene::new().await;
    let (domain, monitor) = scene.domain("e.example").await;
    let story = Story::of(scene, monitor);
    let missing = || audit(&[SPF], &[("dmarc.missing", Severity::High)], &[]);
    story.sees(missing()).await;
    story.sees(missing()).await;
    let none = ("dmarc", "v=DMARC1; p=none");
    story.sees(audit(&[SPF, none], &[("dmarc.p_none", Severity::Medium)], &[])).await;
    // One more of the same weight is worse.
    let two = [("dmarc.p_none", Severity::Medium), ("dmarc.rua_missing", Severity::Medium)];
    story.sees(audit(&[SPF, ("dmarc", "v=DMARC1; p=none; rua=x")], &two, &[])).await;
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    let worse: Vec<bool> = tx.record_changes(domain, None, 50).await.unwrap().iter().map(|event| event.worse).collect();
    assert_eq!(worse, [true, false], "newest first");
}

/// An audit that found a usable key at these selectors, which were guessed.
fn keys(selectors: &[&str]) -> Outcome {
    let Outcome::Audit(mut report) = audit(&[SPF], &[], &[]) else { panic!("it is an audit") };
    report.detail.dkim = selectors
        .iter()
        .map(|selector| DkimKey {
            selector: (*selector).to_owned(),
            origin: SelectorOrigin::Catalog,
            kind: "rsa".to_owned(),
            bits: Some(2048),
            revoked: *selector == "old",
            testing: false,
            alias: None,
            service: None,
            mark: String::new(),
            first_seen: None,
        })
        .collect();
    Outcome::Audit(report)
}

#[tokio::test]
async fn what_audits_found_is_remembered_for_the_next_ones() {
    let scene = Scene::new().await;
    let (domain, monitor) = scene.domain("e.example").await;
    let story = Story::of(scene, monitor);
    let known = async || {
        let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
        let known = tx.domain_instructions(&[monitor]).await.unwrap().remove(&monitor).unwrap();
        (known.found_selectors.join(" "), known.seen_selectors.join(" "), known.lost_mx.join(" "))
    };
    let told = |found: &str, seen: &str, lost: &str| (found.to_owned(), seen.to_owned(), lost.to_owned());
    // A revoked key is none to be missed.
    story.sees(keys(&["s1", "old"])).await;
    assert_eq!(known().await, told("s1", "", ""));
    // It is gone, and still remembered; what mail names is known better.
    story.sees(audit(&[SPF, ("mx", "10 mx.e.example")], &[], &[])).await;
    assert_eq!(known().await, told("s1", "", ""));
    story.sees(audit(&[SPF], &[], &[])).await;
    story.sees(audit(&[SPF], &[], &[])).await;
    assert_eq!(known().await, told("s1", "", "10 mx.e.example"));
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    tx.selectors_seen(&[("e.example".to_owned(), "s1".to_owned())]).await.unwrap();
    tx.selectors_found(domain, &["s1".to_owned(), "k1".to_owned()]).await.unwrap();
    let listed = tx.seen_selectors(domain).await.unwrap();
    let listed: Vec<(&str, SelectorOrigin)> = listed.iter().map(|one| (one.selector.as_str(), one.origin)).collect();
    assert_eq!(listed, [("k1", SelectorOrigin::Found), ("s1", SelectorOrigin::Seen)]);
    tx.commit().await.unwrap();
    // After half a year nobody misses it any more, nor the MX records; those that are there again are not lost.
    story
        .scene
        .run_sql("UPDATE seen_selectors SET seen_at = now() - interval '181 days'; UPDATE record_changes SET at = at - interval '181 days'")
        .await;
    assert_eq!(known().await, told("", "", ""));
    story.scene.run_sql("UPDATE record_changes SET at = at + interval '181 days'").await;
    story.sees(audit(&[SPF, ("mx", "10 mx.e.example")], &[], &[])).await;
    assert_eq!(known().await.2, "");
}

#[tokio::test]
async fn a_zone_that_does_not_answer_is_an_incident_and_its_records_stay_shown() {
    let scene = Scene::new().await;
    let (domain, monitor) = scene.domain("e.example").await;
    let story = Story::of(scene, monitor);
    let mx = ("mx", "10 mx.e.example");
    story.sees(audit(&[SPF, DMARC, mx], &[], &[])).await;
    let silent = || audit(&[], &[("ns.no_answer", Severity::High)], &["spf", "dmarc", "mx", "ns"]);
    for _ in 0..3 {
        story.sees(silent()).await;
    }
    assert_eq!(story.incidents().await, "ns critical open: e.example: ns.no_answer is wrong");
    let kept: serde_json::Value = story.scene.value("SELECT outcome FROM last_outcomes").await;
    assert_eq!((&kept["records"]["spf"][0], &kept["records"]["mx"][0]), (&SPF.1.into(), &mx.1.into()), "{kept}");
    assert!(kept["as_of"]["spf"].is_string() && kept["as_of"]["spf"] == kept["as_of"]["mx"], "{kept}");
    // That nothing could be read is no change of the records.
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    assert!(tx.record_changes(domain, None, 50).await.unwrap().is_empty());
    drop(tx);
    story.sees(audit(&[SPF, DMARC, mx], &[], &[])).await;
    assert_eq!(story.incidents().await, "ns critical resolved: e.example: ns.no_answer is wrong");
    let kept: serde_json::Value = story.scene.value("SELECT outcome FROM last_outcomes").await;
    assert!(kept.get("as_of").is_none(), "{kept}");
}

#[tokio::test]
async fn a_record_that_was_lost_is_kept_with_what_misses_it() {
    let scene = Scene::new().await;
    let (domain, monitor) = scene.domain("e.example").await;
    let story = Story::of(scene, monitor);
    let never = || audit(&[SPF], &[("dmarc.missing", Severity::High)], &[]);
    let lost = || audit(&[], &[("dmarc.missing", Severity::High), ("spf.missing", Severity::High)], &[]);
    for _ in 0..2 {
        story.sees(never()).await;
    }
    for _ in 0..2 {
        story.sees(lost()).await;
    }
    // In the incident, and on the page of the domain.
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    let event = tx.record_changes(domain, None, 1).await.unwrap().remove(0);
    let shown = tx.domain(domain).await.unwrap().audit.unwrap().gone;
    drop(tx);
    let kept: serde_json::Value = story.scene.value("SELECT evidence->'gone' FROM incidents WHERE condition = 'spf'").await;
    assert_eq!(kept, serde_json::to_value(&shown).unwrap());
    let [gone] = shown.as_slice() else { panic!("the policy never was there: {shown:?}") };
    assert_eq!(
        (gone.rule.as_str(), gone.record.name.as_str(), gone.record.value.as_str(), gone.until),
        ("spf.missing", "e.example", SPF.1, event.at)
    );
    let summary: String = story.scene.value("SELECT summary FROM incidents WHERE condition = 'spf'").await;
    assert!(summary.contains("The record that was there until ") && summary.contains(" is on the incident's page, too."), "{summary}");
    // It is there again.
    story.sees(never()).await;
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    assert_eq!(tx.domain(domain).await.unwrap().audit.unwrap().gone, []);
}

#[tokio::test]
async fn what_one_audit_opens_is_one_mail_and_each_ends_by_itself() {
    let scene = Scene::new().await;
    let (_, monitor) = scene.domain("e.example").await;
    let story = Story::of(scene, monitor);
    let much = || audit(&[], &[("dmarc.p_none", Severity::Medium), ("mx.missing", Severity::High), ("spf.missing", Severity::High)], &[]);
    // The first look confirms nothing; what is of medium severity then is the baseline.
    story.sees(much()).await;
    story.sees(much()).await;
    assert_eq!(story.incidents().await, "mx critical open: e.example: mx.missing is wrong\nspf critical open: e.example: spf.missing is wrong");
    let subjects = "SELECT string_agg(message->>'subject', E'\\n' ORDER BY id) FROM outbox";
    assert_eq!(story.scene.value::<String>(subjects).await, "[Critical] e.example: 2 problems");
    let text: String = story.scene.value("SELECT message->>'text' FROM outbox").await;
    assert!(
        ["mx.missing is wrong", "spf.missing is wrong", "https://waypost.example/o/example/incidents"].iter().all(|said| text.contains(said)),
        "{text}"
    );
    // Its sending is told in the story of each.
    let mail: uuid::Uuid = story.scene.value("SELECT id FROM outbox").await;
    let mut tx = story.scene.db.store.org_tx(story.scene.org).await.unwrap();
    tx.mark_message(mail, Utc::now(), waypost_store::outbox::Attempt::Sent("250 ok")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(story.scene.value::<i64>("SELECT count(DISTINCT incident_id) FROM incident_timeline WHERE event = 'notified'").await, 2);
    story.sees(audit(&[SPF], &[("dmarc.p_none", Severity::Medium), ("mx.missing", Severity::High)], &[])).await;
    story.sees(audit(&[SPF], &[("dmarc.p_none", Severity::Medium)], &[])).await;
    let told: String = story.scene.value(subjects).await;
    assert_eq!(
        told,
        "[Critical] e.example: 2 problems\n[Recovered] e.example: SPF record is back\n[Recovered] e.example: the problem with MX is over"
    );
}

#[tokio::test]
async fn an_address_and_its_network_share_their_stays() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Blacklist, "203.0.113.7", 3600).await;
    let story = Story::of(scene, monitor);
    let a = "203.0.113.7@a.example";
    // The scan of another monitor saw it first: that of the network.
    story.sees(scan(&[(a, "-")])).await;
    story
        .scene
        .run_sql(
            "INSERT INTO monitors SELECT (jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid(), 'target', '203.0.113.0/24'))).* FROM monitors m;
             INSERT INTO listings (org_id, id, monitor_id, subject, zone, list, severity, codes, meaning, reason, began_at, seen_at)
             SELECT org_id, gen_random_uuid(), id, '203.0.113.7', 'a.example', 'A', 'critical', '{127.0.0.2}', '', '', now() - interval '1 hour', now() - interval '1 hour'
             FROM monitors WHERE target = '203.0.113.0/24'",
        )
        .await;
    let told = "SELECT string_agg((ended_at IS NOT NULL)::text || ' ' || (seen_at > now() - interval '5 minutes')::text, ', ') FROM listings";
    story.sees(scan(&[(a, "+")])).await;
    assert_eq!(story.scene.value::<String>(told).await, "false true", "one stay, seen again");
    story.sees(scan(&[(a, "?")])).await;
    assert_eq!(story.scene.value::<String>(told).await, "false true", "silence ends nothing");
    story.sees(scan(&[(a, "-")])).await;
    assert_eq!(story.scene.value::<String>(told).await, "true true", "what is seen to be gone is gone for both");
}
