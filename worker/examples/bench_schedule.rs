//! The scheduler's benchmark: many monitors at a 60 s interval with a stub check, on a database of its own. Prints one JSON object.
//!
//! `WAYPOST_TEST_DATABASE_URL` names a superuser of a cluster that is there for tests; `MONITORS` (100000), `ORGS` (100) and `SECONDS` (120)
//! say how much. The first minute is warm-up: it spreads the monitors over their interval and is not measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)] // a benchmark that can not run can only stop

use std::{sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusBuilder;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio_util::sync::CancellationToken;
use waypost_store::{Store, testing::TestDatabase};
use waypost_worker::{WorkerConfig, checker::StubChecker};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (monitors, orgs, seconds) = (number("MONITORS", 100_000), number("ORGS", 100).max(1), number("SECONDS", 120));
    waypost_worker::telemetry::init_tracing(false);
    let handle = PrometheusBuilder::new().install_recorder().expect("one recorder");
    let db = TestDatabase::new().await;
    waypost_worker::migrate_queue(&db.owner_url).await.unwrap();
    let mut owner = PgConnection::connect(&db.owner_url).await.unwrap();
    fill(&mut owner, monitors, orgs).await;
    let store = Store::connect(&db.app_url, 16).await.unwrap();
    let config = WorkerConfig::new("local", "https://waypost.example", "Waypost <waypost@waypost.example>".parse().unwrap(), None);
    let shutdown = CancellationToken::new();
    let worker = tokio::spawn(waypost_worker::run_with(config, store, Arc::new(StubChecker::default()), shutdown.clone()));

    tokio::time::sleep(Duration::from_secs(60)).await;
    let (results_before, bytes_before) = (results(&mut owner).await, results_bytes(&mut owner).await);
    let (cpu_before, database_before) = (cpu_seconds("self"), postgres_cpu(&mut owner).await);
    let started = std::time::Instant::now();
    let mut late = Vec::new();
    while started.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(250)).await;
        late.push(lateness(&mut owner).await);
    }
    let took = started.elapsed().as_secs_f64();
    let (results_after, cpu, database) =
        (results(&mut owner).await, cpu_seconds("self") - cpu_before, postgres_cpu(&mut owner).await - database_before);
    let bytes = results_bytes(&mut owner).await - bytes_before;
    let rendered = handle.render();
    shutdown.cancel();
    worker.await.unwrap().unwrap();
    late.sort_by(f64::total_cmp);
    let recorded = results_after - results_before;
    println!(
        "{}",
        serde_json::json!({
            "monitors": monitors, "orgs": orgs, "seconds": took,
            "results": recorded, "results_per_second": recorded as f64 / took,
            "lateness_claim_p50_s": quantile(&rendered, "waypost_schedule_lateness_seconds", "0.5"),
            "lateness_claim_p99_s": quantile(&rendered, "waypost_schedule_lateness_seconds", "0.99"),
            "oldest_due_p99_s": late[late.len() * 99 / 100],
            "queue_wait_p50_s": quantile(&rendered, "waypost_queue_wait_seconds", "0.5"),
            "queue_wait_p99_s": quantile(&rendered, "waypost_queue_wait_seconds", "0.99"),
            "record_p99_s": quantile(&rendered, "waypost_record_seconds", "0.99"),
            "worker_cpu_cores": cpu / took, "postgres_cpu_cores": database / took,
            "results_bytes_per_million": bytes as f64 / recorded as f64 * 1e6,
        })
    );
}

async fn fill(owner: &mut PgConnection, monitors: u64, orgs: u64) {
    let sql = format!(
        "INSERT INTO orgs (id, slug, name) SELECT gen_random_uuid(), 'bench' || n, 'Bench ' || n FROM generate_series(1, {orgs}) n;
         INSERT INTO monitors (org_id, id, kind, target, interval_s)
           SELECT o.id, gen_random_uuid(), 'smtp', 'mx' || n || '.' || o.slug || '.example:25', 60
           FROM orgs o, generate_series(1, {monitors} / {orgs}) n;
         INSERT INTO schedule_units (org_id, monitor_id, region, interval_s, due_at, next_run_at)
           SELECT org_id, id, 'local', 60, t, t FROM (SELECT org_id, id, now() + random() * interval '60 seconds' AS t FROM monitors) m;
         ANALYZE"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(owner).await.unwrap();
}

async fn one<T>(owner: &mut PgConnection, sql: &'static str) -> T
where
    T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
{
    sqlx::query_scalar(sql).fetch_one(owner).await.unwrap()
}

async fn results(owner: &mut PgConnection) -> i64 {
    one(owner, "SELECT count(*) FROM check_results").await
}

/// Bytes of the results' tables and indexes. The warm-up's are not counted as a result's: a monitor's first outcome is kept in full.
async fn results_bytes(owner: &mut PgConnection) -> i64 {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits WHERE inhparent = 'check_results'::regclass";
    one(owner, sql).await
}

/// How long the unit that waits longest has waited, seen from outside the worker.
async fn lateness(owner: &mut PgConnection) -> f64 {
    one(
        owner,
        "SELECT coalesce(greatest(extract(epoch FROM now() - min(due_at)), 0), 0)::float8 FROM schedule_units WHERE region = 'local' AND NOT paused",
    )
    .await
}

/// Seconds of user and system time of a process.
fn cpu_seconds(process: &str) -> f64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return 0.0 };
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().filter_map(|index| fields.get(*index)?.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// The same over the server processes that work for this database; they are on this machine.
async fn postgres_cpu(owner: &mut PgConnection) -> f64 {
    let pids: Vec<i32> =
        sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE datname = current_database() OR backend_type <> 'client backend'")
            .fetch_all(owner)
            .await
            .unwrap();
    pids.iter().map(|pid| cpu_seconds(&pid.to_string())).sum()
}

/// A quantile of a summary as Prometheus would read it.
fn quantile(rendered: &str, name: &str, quantile: &str) -> Option<f64> {
    let wanted = format!("{name}{{quantile=\"{quantile}\"}} ");
    rendered.lines().find_map(|line| line.strip_prefix(&wanted)?.parse().ok())
}
