//! What maintenance rolls up, keeps and drops. Every row is called by whether it must stay, so that one list tells all.
#![allow(missing_docs, clippy::unwrap_used)]

mod scene;

use scene::Scene;
use waypost_store::{results::RollupSpan, timings::Steps};
use waypost_types::{MonitorId, monitor::MonitorKind, timing::Stage};

impl Scene {
    /// A result of a day, in its partition, which is made where it is missing.
    async fn result_of_day(&self, monitor: MonitorId, days_ago: i32) {
        self.run_sql(&format!(
            "SELECT maintain_result_partitions(now() - make_interval(days => {days_ago}), 100000);
             INSERT INTO check_results (org_id, id, monitor_id, region, claim, at, verdict, summary)
             VALUES ('{}', gen_random_uuid(), '{}', 'local', 1, now() - make_interval(days => {days_ago}), 'up', '')",
            self.org.0, monitor.0
        ))
        .await;
    }

    /// Is there a partition for the results of that day?
    async fn has_partition(&self, days_ago: i32) -> bool {
        self.value(&format!("SELECT to_regclass('{}') IS NOT NULL", self.partition(days_ago).await)).await
    }

    async fn partition(&self, days_ago: i32) -> String {
        self.value(&format!("SELECT 'check_results_' || to_char((now() AT TIME ZONE 'UTC')::date - {days_ago}, 'YYYYMMDD')")).await
    }

    async fn results_of_day(&self, days_ago: i32) -> i64 {
        let day = format!("(now() AT TIME ZONE 'UTC')::date - {days_ago}");
        self.value(&format!("SELECT count(*) FROM check_results WHERE (at AT TIME ZONE 'UTC')::date = {day}")).await
    }

    /// The whole of a column, in the order of its text.
    async fn all(&self, column: &str, table: &str) -> String {
        self.value(&format!("SELECT coalesce(string_agg({column}, ', ' ORDER BY {column}), '') FROM {table}")).await
    }

    async fn maintain(&self, hourly: bool) {
        waypost_worker::maintain(&self.config("local"), &self.db.store, hourly).await.unwrap();
    }
}

#[tokio::test]
async fn results_go_with_their_partition_and_the_coming_days_have_one() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let keep = scene.config("local").keep_results_days;
    for days_ago in [keep + 1, keep - 1, 0] {
        scene.result_of_day(monitor, days_ago).await;
        assert!(scene.has_partition(days_ago).await);
        assert_eq!(scene.results_of_day(days_ago).await, 1);
    }
    let coming = scene.partition(-2).await;
    scene.run_sql(&format!("DROP TABLE {coming}")).await;

    scene.maintain(false).await;
    assert!(!scene.has_partition(keep + 1).await, "a day beyond the retention goes");
    assert_eq!(scene.results_of_day(keep + 1).await, 0);
    for days_ago in [keep - 1, 0] {
        assert!(scene.has_partition(days_ago).await, "a day within the retention stays: {days_ago}");
        assert_eq!(scene.results_of_day(days_ago).await, 1);
    }
    assert!(scene.has_partition(-2).await, "the day after tomorrow has its partition");
}

#[tokio::test]
async fn hours_and_days_add_up_however_often_they_are_rolled_up() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    scene.result_of_day(monitor, 2).await;
    scene.run_sql("DELETE FROM check_results").await;
    // Two hours of the day before yesterday.
    for (hour, verdict, latency) in [(3, "up", "10"), (3, "degraded", "20"), (3, "down", "NULL"), (3, "unknown", "NULL"), (4, "up", "5")] {
        scene
            .run_sql(&format!(
                "INSERT INTO check_results (org_id, id, monitor_id, region, claim, at, verdict, summary, latency_ms)
                 VALUES ('{}', gen_random_uuid(), '{}', 'local', 1, date_trunc('day', now(), 'UTC') - interval '48 hours' + interval '{hour} hours',
                         '{verdict}', '', {latency})",
                scene.org.0, monitor.0
            ))
            .await;
    }
    for _ in 0..2 {
        scene.maintain(true).await;
        let numbers = "checks || '/' || up || '/' || down || '/' || unknown || ' ' || latency_sum || '/' || latency_count || '/' || latency_max";
        let hours: String = scene.value(&format!("SELECT string_agg({numbers}, ', ' ORDER BY at) FROM rollups WHERE span = 'hour'")).await;
        assert_eq!(hours, "4/2/1/1 30/2/20, 1/1/0/0 5/1/5");
        let days: String = scene.value(&format!("SELECT string_agg({numbers}, ', ' ORDER BY at) FROM rollups WHERE span = 'day'")).await;
        assert_eq!(days, "5/3/1/1 35/3/20");
        // As if nothing had been rolled up: the second round meets its own rows.
        scene.run_sql("DELETE FROM rollup_progress").await;
    }
}

#[tokio::test]
async fn the_spread_of_each_stage_is_kept_by_hour_and_day_and_what_is_fresh_stands_beside_it() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    scene.result_of_day(monitor, 2).await;
    scene.run_sql("DELETE FROM check_results").await;
    let check = async |at: &str, verdict: &str, maintenance: bool, stages: &str| {
        scene
            .run_sql(&format!(
                "INSERT INTO check_results (org_id, id, monitor_id, region, claim, at, verdict, summary, maintenance, stages)
                 VALUES ('{}', gen_random_uuid(), '{}', 'local', 1, {at}, '{verdict}', '', {maintenance}, {stages})",
                scene.org.0, monitor.0
            ))
            .await;
    };
    let day = "date_trunc('day', now(), 'UTC') - interval '48 hours'";
    // 0 to 100 ms of connecting, and twice as much as a whole; a failure that measured nothing, and one in a window.
    for ms in [0, 25, 50, 75, 100] {
        check(&format!("{day} + interval '3 hours'"), "up", false, &format!("'{{NULL,{ms},NULL,NULL,NULL,NULL,{}}}'", ms * 2)).await;
    }
    check(&format!("{day} + interval '3 hours'"), "down", false, "NULL").await;
    check(&format!("{day} + interval '3 hours'"), "down", true, "NULL").await;
    check(&format!("{day} + interval '4 hours'"), "up", false, "'{NULL,500,NULL,NULL,NULL,NULL,1000}'").await;
    scene.maintain(true).await;
    check("now() - interval '1 minute'", "up", false, "'{NULL,7,NULL,NULL,NULL,NULL,9}'").await;

    let since = chrono::Utc::now() - chrono::TimeDelta::days(4);
    let mut tx = scene.db.store.org_tx(scene.org).await.unwrap();
    for (steps, wanted) in [
        (
            Steps::Rolled(RollupSpan::Hour),
            vec![(7, 1, 1, Some((50.0, 95.0)), Some((100.0, 190.0))), (1, 0, 0, Some((500.0, 500.0)), Some((1000.0, 1000.0)))],
        ),
        // Of all six, not the middle of two middles.
        (Steps::Rolled(RollupSpan::Day), vec![(8, 1, 1, Some((62.5, 400.0)), Some((125.0, 800.0)))]),
        (Steps::Seconds(900), vec![(7, 1, 1, Some((50.0, 95.0)), Some((100.0, 190.0))), (1, 0, 0, Some((500.0, 500.0)), Some((1000.0, 1000.0)))]),
    ] {
        let points = tx.timing_points(monitor, since, steps).await.unwrap();
        let seen: Vec<_> = points
            .iter()
            .map(|point| {
                let of = |stage| point.of(stage).map(|ms| (ms.p50, ms.p95));
                assert_eq!(of(Stage::Tls), None);
                (point.checks, point.maintenance, point.down, of(Stage::Connect), of(Stage::Total))
            })
            .collect();
        let fresh = (1, 0, 0, Some((7.0, 7.0)), Some((9.0, 9.0)));
        assert_eq!(seen, [wanted, vec![fresh]].concat(), "{steps:?}");
    }
    let numbers: String = scene.value("SELECT checks || '/' || up || '/' || down || '/' || maintenance FROM rollups WHERE span = 'day'").await;
    assert_eq!(numbers, "8/6/1/1", "a failure in a window is none of the server's");
}

#[tokio::test]
async fn what_has_served_its_time_goes_and_the_rest_stays() {
    let scene = Scene::new().await;
    let monitor = scene.monitor(MonitorKind::Smtp, "mx.example:25", 300).await;
    let org = scene.org.0;
    // Rolled up long ago, so that the days of these hours are not made again. The number of checks is the row's name.
    scene
        .run_sql(&format!(
            "INSERT INTO rollup_progress SELECT span, date_trunc('day', now(), 'UTC') FROM unnest('{{hour,day}}'::text[]) AS span;
             INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown)
             SELECT '{org}', '{}', span, date_trunc('hour', now()) - make_interval(days => days), days, 0, 0, 0
             FROM (VALUES ('hour', 71), ('hour', 69), ('day', 71), ('day', 4000)) AS old(span, days)",
            monitor.0
        ))
        .await;
    scene
        .run_sql(&format!(
            "INSERT INTO outbox (org_id, id, event_key, recipient, message, message_id, state, created_at)
             SELECT '{org}', gen_random_uuid(), state || ' ' || days, 'owner@example.com', '{{}}', 'x', state, now() - make_interval(days => days)
             FROM unnest('{{sent,failed,pending}}'::text[]) AS state, unnest('{{91,89}}'::int[]) AS days;
             INSERT INTO idempotency_keys (org_id, key, fingerprint, created_at)
             SELECT '{org}', hours || ' hours', '', now() - make_interval(hours => hours) FROM unnest('{{25,23}}'::int[]) AS hours;
             INSERT INTO account_tokens (hash, user_id, purpose, expires_at)
             SELECT convert_to(says, 'UTF8'), id, 'reset', now() + away
             FROM users, (VALUES ('ended', interval '-1 second'), ('good', interval '1 hour')) AS token(says, away);
             INSERT INTO sessions (id, data, expires_at)
             SELECT convert_to(says, 'UTF8'), '{{}}', now() + away
             FROM (VALUES ('ended', interval '-1 second'), ('good', interval '1 hour')) AS session(says, away)"
        ))
        .await;
    let kept = async || {
        [
            scene.all("span || ' ' || checks", "rollups").await,
            scene.all("event_key", "outbox").await,
            scene.all("key", "idempotency_keys").await,
            scene.all("convert_from(hash, 'UTF8')", "account_tokens").await,
            scene.all("convert_from(id, 'UTF8')", "sessions").await,
        ]
    };
    let before = kept().await;
    assert_eq!(before[0], "day 4000, day 71, hour 69, hour 71");
    scene.maintain(false).await;
    assert_eq!(kept().await, before, "only the hourly round drops rows");
    scene.maintain(true).await;
    let after = ["day 4000, day 71, hour 69", "failed 89, pending 89, pending 91, sent 89", "23 hours", "good", "good"];
    assert_eq!(kept().await, after.map(str::to_owned));
}
