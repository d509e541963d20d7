//! Rules on a real PostgreSQL: what is beyond its limit for long enough opens one incident, and its end is told.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod scene;

use chrono::{DateTime, TimeDelta, Utc};
use scene::Scene;
use waypost_types::{
    MonitorId, RuleId,
    maintenance::{Covers, NewWindow, Plan},
    monitor::{MonitorKind, MonitorPatch},
    outcome::Verdict,
    rule::{NewRule, RulePatch, Series, suggestion},
};
use waypost_worker::{checker::stub_outcome, rules::Rules};

struct Watch {
    scene: Scene,
    start: DateTime<Utc>,
}

impl Watch {
    async fn new() -> Self {
        let scene = Scene::new().await;
        scene.verify("owner@example.com").await;
        scene.run_sql("SELECT maintain_result_partitions(now(), 36500)").await;
        Self { scene, start: Utc::now() - TimeDelta::hours(3) }
    }

    fn rules(&self) -> Rules {
        Rules::new(self.scene.db.store.clone(), "https://waypost.example", "waypost.example")
    }

    fn at(&self, minute: i64) -> DateTime<Utc> {
        self.start + TimeDelta::minutes(minute)
    }

    /// A server that was seen.
    async fn server(&self, target: &str) -> MonitorId {
        let monitor = self.scene.monitor(MonitorKind::Smtp, target, 300).await;
        self.outcome(monitor, &serde_json::to_string(&stub_outcome("mx.example", 25, Verdict::Up)).unwrap()).await;
        monitor
    }

    async fn outcome(&self, monitor: MonitorId, outcome: &str) {
        self.scene
            .run_sql(&format!(
                "INSERT INTO last_outcomes (org_id, monitor_id, region, at, outcome) VALUES ('{}', '{}', 'local', now(), '{outcome}')
                 ON CONFLICT (org_id, monitor_id, region) DO UPDATE SET outcome = excluded.outcome",
                self.scene.org.0, monitor.0
            ))
            .await;
    }

    /// Checks each minute of `from..to`.
    async fn checks(&self, monitor: MonitorId, (from, to): (i64, i64), verdict: &str, ms: Option<f64>, maintenance: bool) {
        let ms = ms.map_or_else(|| "NULL".to_owned(), |ms| ms.to_string());
        self.scene
            .run_sql(&format!(
                "INSERT INTO check_results (org_id, id, monitor_id, region, claim, at, verdict, summary, latency_ms, maintenance)
                 SELECT '{}', gen_random_uuid(), '{}', 'local', 1, timestamptz '{}' + make_interval(mins => minute), '{verdict}', '', {ms}, {maintenance}
                 FROM generate_series({from}, {to} - 1) AS minute",
                self.scene.org.0,
                monitor.0,
                self.start.to_rfc3339()
            ))
            .await;
    }

    async fn make(&self, rule: NewRule) -> RuleId {
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        let rule = tx.add_rule(&rule.checked().unwrap()).await.unwrap();
        tx.commit().await.unwrap();
        rule.id
    }

    async fn patch(&self, id: RuleId, patch: RulePatch) {
        let mut tx = self.scene.db.store.org_tx(self.scene.org).await.unwrap();
        let settings = tx.rule(id).await.unwrap().settings.patched(patch).unwrap();
        tx.update_rule(id, None, &settings).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// All rules are due, and judged as of a minute.
    async fn judge(&self, minute: i64) {
        self.scene.run_sql("UPDATE rules SET due_at = now() - interval '1 s' WHERE due_at IS NOT NULL").await;
        while self.rules().judge_due(self.at(minute)).await.unwrap() > 0 {}
    }

    async fn judge_each(&self, (from, to): (i64, i64)) {
        for minute in from..to {
            self.judge(minute).await;
        }
    }

    /// Incidents as status and title, and how many mails were written.
    async fn told(&self) -> (Vec<String>, i64) {
        let told: Option<String> =
            self.scene.value("SELECT string_agg(status || ' ' || severity || ': ' || title, '\n' ORDER BY opened_at, id) FROM incidents").await;
        let mails = self.scene.value("SELECT count(*) FROM outbox WHERE channel = 'email'").await;
        (told.map_or_else(Vec::new, |told| told.lines().map(str::to_owned).collect()), mails)
    }

    async fn states(&self) -> i64 {
        self.scene.value("SELECT count(*) FROM rule_states").await
    }
}

/// p95 above 2,000 ms over 15 min for 5 min, over at 1,500 ms.
fn slow() -> NewRule {
    NewRule { over_minutes: Some(15), for_minutes: 5, ..suggestion("slow").unwrap() }
}

const SLOW: &str = "mx.example:25 answers slowly: p95 2,500 ms over 15 min (limit 2,000 ms)";

#[tokio::test]
async fn slow_answers_open_one_incident_when_they_last_and_its_end_is_told() {
    let watch = Watch::new().await;
    let (slow_one, quick) = (watch.server("mx.example:25").await, watch.server("quick.example:25").await);
    watch.checks(slow_one, (0, 40), "up", Some(2_500.0), false).await;
    watch.checks(slow_one, (40, 80), "up", Some(300.0), false).await;
    watch.checks(quick, (0, 80), "up", Some(300.0), false).await;
    watch.make(slow()).await;
    watch.judge(1).await;
    assert_eq!(watch.states().await, 0, "two checks tell nothing yet");
    watch.judge_each((10, 15)).await;
    assert_eq!((watch.told().await.0.len(), watch.states().await), (0, 1), "it has not lasted");
    watch.judge_each((15, 30)).await;
    let (incidents, mails) = watch.told().await;
    assert_eq!((incidents, mails), (vec![format!("open warning: {SLOW}")], 1));
    let summary: String = watch.scene.value("SELECT summary FROM incidents").await;
    assert!(summary.contains("above the limit of 2,000 ms since") && summary.contains("“Slow answers”. Next step: look at the chart"), "{summary}");
    watch.judge_each((30, 75)).await;
    let (incidents, mails) = watch.told().await;
    assert_eq!((incidents, mails), (vec![format!("resolved warning: {SLOW}")], 2));
    let end: String = watch.scene.value("SELECT text FROM incident_timeline WHERE event = 'resolved'").await;
    assert!(end.contains("over 15 min is 300 ms. It was above the limit of 2,000 ms since"), "{end}");
    assert_eq!(watch.states().await, 0);
}

#[tokio::test]
async fn workers_that_judge_at_once_open_one_incident_and_one_that_dies_none() {
    let watch = Watch::new().await;
    let monitor = watch.server("mx.example:25").await;
    watch.checks(monitor, (0, 60), "up", Some(2_500.0), false).await;
    let id = watch.make(NewRule { for_minutes: 0, ..slow() }).await;
    // Claimed, and then the worker was killed.
    assert_eq!(watch.scene.db.store.claim_due_rules(4).await.unwrap(), [(watch.scene.org, id)]);
    assert_eq!(watch.rules().judge_due(watch.at(20)).await.unwrap(), 0, "it is not due for a minute");
    assert_eq!(watch.told().await.0.len(), 0);
    watch.scene.run_sql("UPDATE rules SET due_at = now() - interval '1 s'").await;
    let (one, other) = (watch.rules(), watch.rules());
    let (a, b) = tokio::join!(one.judge_due(watch.at(21)), other.judge_due(watch.at(21)));
    assert_eq!(a.unwrap() + b.unwrap(), 1, "one of them takes it");
    // A claim that was overrun: both judge the same rule.
    let (a, b) = tokio::join!(one.judge_one(watch.scene.org, id, watch.at(22)), other.judge_one(watch.scene.org, id, watch.at(22)));
    a.unwrap();
    b.unwrap();
    let (incidents, mails) = watch.told().await;
    assert_eq!((incidents.len(), mails), (1, 1));
}

#[tokio::test]
async fn what_is_in_maintenance_or_paused_is_not_judged_and_what_was_seen_there_does_not_count() {
    let watch = Watch::new().await;
    let monitor = watch.server("mx.example:25").await;
    watch.checks(monitor, (0, 30), "up", Some(2_500.0), true).await;
    watch.checks(monitor, (30, 60), "up", Some(2_500.0), false).await;
    watch.make(NewRule { for_minutes: 0, ..slow() }).await;
    watch.judge(29).await;
    assert_eq!(watch.states().await, 0, "all of it was seen in a window");
    let mut tx = watch.scene.db.store.org_tx(watch.scene.org).await.unwrap();
    let plan = Plan::Once { from: watch.at(30), to: Utc::now() + TimeDelta::hours(1) };
    let window =
        tx.add_window(&NewWindow { name: "Disks".into(), covers: Covers { monitors: vec![monitor], ..Covers::default() }, plan }).await.unwrap();
    tx.commit().await.unwrap();
    watch.judge(45).await;
    assert_eq!(watch.told().await.0.len(), 0);
    let mut tx = watch.scene.db.store.org_tx(watch.scene.org).await.unwrap();
    tx.remove_window(window.id, None).await.unwrap();
    tx.update_monitor(monitor, None, &MonitorPatch { paused: Some(true), ..MonitorPatch::default() }).await.unwrap();
    tx.commit().await.unwrap();
    watch.judge(46).await;
    assert_eq!(watch.told().await.0.len(), 0);
    watch.scene.run_sql("UPDATE monitors SET paused = false").await;
    watch.judge(47).await;
    assert_eq!(watch.told().await.0, [format!("open warning: {SLOW}")]);
    watch.scene.run_sql("UPDATE monitors SET paused = true").await;
    watch.judge(48).await;
    assert_eq!(watch.told().await.0, [format!("open warning: {SLOW}")], "a pause is no recovery");
}

#[tokio::test]
async fn silence_neither_opens_nor_ends() {
    let watch = Watch::new().await;
    let monitor = watch.server("mx.example:25").await;
    watch.checks(monitor, (0, 20), "up", Some(2_500.0), false).await;
    watch.checks(monitor, (20, 120), "down", None, false).await;
    watch.make(slow()).await;
    watch.judge_each((5, 20)).await;
    assert_eq!(watch.told().await.0.len(), 1);
    watch.judge_each((40, 60)).await;
    assert_eq!(watch.told().await.0, [format!("open warning: {SLOW}")], "who does not answer is not quick");
}

#[tokio::test]
async fn failing_checks_count_against_those_that_could_tell() {
    let watch = Watch::new().await;
    let (bad, blind) = (watch.server("mx.example:25").await, watch.server("blind.example:25").await);
    watch.checks(bad, (0, 20), "up", Some(10.0), false).await;
    watch.checks(bad, (20, 30), "down", None, false).await;
    watch.checks(bad, (30, 60), "unknown", None, false).await;
    watch.checks(blind, (0, 60), "unknown", None, false).await;
    watch.make(suggestion("failing").unwrap()).await;
    watch.judge(59).await;
    assert_eq!(watch.told().await.0, ["open warning: mx.example:25: 33.3 % of checks fail over 1 h (limit 20 %)"]);
    watch.checks(bad, (60, 120), "up", Some(10.0), false).await;
    watch.judge(119).await;
    assert_eq!(watch.told().await.0, ["resolved warning: mx.example:25: 33.3 % of checks fail over 1 h (limit 20 %)"]);
}

/// An outcome whose certificates expire in so many days.
fn certificates(days: &[i64]) -> String {
    let mut outcome = serde_json::to_value(stub_outcome("mx.example", 25, Verdict::Up)).unwrap();
    let probe = outcome["probes"][0].clone();
    let with = |days: &i64| {
        let mut probe = probe.clone();
        let expires = (Utc::now() + TimeDelta::days(*days) + TimeDelta::hours(1)).to_rfc3339();
        probe["tls"] = serde_json::json!({ "version": "TLSv1.3", "cipher": "x", "trusted": true, "name_matches": true, "expires": expires });
        probe
    };
    outcome["probes"] = days.iter().map(with).collect();
    outcome.to_string()
}

#[tokio::test]
async fn the_certificate_that_expires_first_counts_and_a_new_one_ends_it() {
    let watch = Watch::new().await;
    let (monitor, plain) = (watch.server("mx.example:25").await, watch.server("plain.example:25").await);
    watch.outcome(monitor, &certificates(&[60, 9])).await;
    watch.make(suggestion("certificate").unwrap()).await;
    let now = (Utc::now() - watch.start).num_minutes();
    watch.judge(now).await;
    let title = "mx.example:25: the certificate expires in 9 days (limit 14 days)";
    assert_eq!(watch.told().await.0, [format!("open warning: {title}")]);
    watch.outcome(monitor, &serde_json::to_string(&stub_outcome("mx.example", 25, Verdict::Up)).unwrap()).await;
    watch.judge(now + 1).await;
    assert_eq!(watch.told().await.0, [format!("open warning: {title}")], "no certificate is no new one");
    watch.outcome(monitor, &certificates(&[60, 90])).await;
    watch.judge(now + 2).await;
    assert_eq!(watch.told().await.0, [format!("resolved warning: {title}")]);
    assert_ne!(monitor, plain);
}

#[tokio::test]
async fn what_a_rule_does_not_watch_any_more_is_let_go_and_told() {
    let watch = Watch::new().await;
    let (one, other) = (watch.server("mx.example:25").await, watch.server("other.example:25").await);
    for monitor in [one, other] {
        watch.checks(monitor, (0, 120), "up", Some(2_500.0), false).await;
    }
    let id = watch.make(NewRule { for_minutes: 0, ..slow() }).await;
    watch.judge(20).await;
    let (opened, mails) = watch.told().await;
    assert_eq!((opened.len(), mails), (2, 1), "what one rule opens at once is one message");
    let scope = Covers { monitors: vec![other], ..Covers::default() };
    watch
        .patch(id, RulePatch { scope: Some(scope), severity: Some(waypost_types::incident::IncidentSeverity::Critical), ..RulePatch::default() })
        .await;
    watch.judge(21).await;
    let ended = "SELECT string_agg(status || ' ' || severity || ' ' || target, ', ' ORDER BY target) FROM incidents";
    assert_eq!(watch.scene.value::<String>(ended).await, "resolved warning mx.example:25, open critical other.example:25");
    let told: String = watch.scene.value("SELECT text FROM incident_timeline WHERE event = 'resolved'").await;
    assert!(told.contains("does not watch this any more"), "{told}");
    watch.patch(id, RulePatch { enabled: Some(false), ..RulePatch::default() }).await;
    watch.judge(22).await;
    assert_eq!(watch.scene.value::<i64>("SELECT count(*) FROM incidents WHERE status <> 'resolved'").await, 0);
    assert_eq!(watch.scene.value::<i64>("SELECT count(*) FROM rules WHERE due_at IS NULL").await, 1, "what is off is not judged");
    watch.patch(id, RulePatch { enabled: Some(true), ..RulePatch::default() }).await;
    watch.judge(23).await;
    assert_eq!(watch.scene.value::<i64>("SELECT count(*) FROM incidents WHERE status <> 'resolved'").await, 1);
    let mut tx = watch.scene.db.store.org_tx(watch.scene.org).await.unwrap();
    tx.remove_rule(id, None).await.unwrap();
    assert!(tx.rules().await.unwrap().is_empty() && tx.rule(id).await.is_err(), "nobody sees it any more");
    tx.commit().await.unwrap();
    watch.judge(24).await;
    assert_eq!(watch.scene.value::<i64>("SELECT count(*) FROM incidents WHERE status <> 'resolved'").await, 0);
    assert_eq!(watch.scene.value::<i64>("SELECT count(*) FROM rules").await, 0);
}

#[tokio::test]
async fn what_somebody_ended_by_hand_and_lasts_is_told_again() {
    let watch = Watch::new().await;
    let monitor = watch.server("mx.example:25").await;
    watch.checks(monitor, (0, 60), "up", Some(2_500.0), false).await;
    watch.make(slow()).await;
    watch.judge_each((10, 20)).await;
    assert_eq!(watch.told().await.0.len(), 1);
    watch.scene.run_sql("UPDATE incidents SET status = 'resolved', resolved_at = now()").await;
    watch.judge_each((20, 24)).await;
    assert_eq!(watch.told().await.0.len(), 1, "it begins anew");
    watch.judge_each((24, 30)).await;
    assert_eq!(watch.told().await.0.len(), 2);
}

#[tokio::test]
async fn a_rule_by_tag_is_about_what_carries_the_tag_itself_or_belongs_to_what_does() {
    let watch = Watch::new().await;
    let (service, _) = (watch.server("service.example:4190").await, watch.server("other.example:25").await);
    let (domain, audit) = watch.scene.domain("example.org").await;
    watch.scene.run_sql(&format!("UPDATE monitors SET tags = '{{edge}}' WHERE id = '{}'", service.0)).await;
    watch.scene.run_sql(&format!("UPDATE domains SET tags = '{{edge,web}}' WHERE id = '{}'", domain.0)).await;
    // A monitor of a domain has the tags of that, whatever its own row says.
    watch.scene.run_sql(&format!("UPDATE monitors SET tags = '{{lost}}' WHERE id = '{}'", audit.0)).await;
    for (tag, about) in [("edge", vec![service, audit]), ("web", vec![audit]), ("lost", vec![])] {
        let scope = Covers { everything: false, tags: vec![tag.to_owned()], ..Covers::default() };
        let rule = NewRule { scope, series: Series::UnknownRate, ..suggestion("failing").unwrap() };
        let mut tx = watch.scene.db.store.org_tx(watch.scene.org).await.unwrap();
        let mut found: Vec<MonitorId> =
            tx.rule_monitors(&rule.checked().unwrap(), Utc::now()).await.unwrap().monitors.iter().map(|one| one.id).collect();
        found.sort_unstable();
        let mut about = about;
        about.sort_unstable();
        assert_eq!(found, about, "{tag}");
    }
}
