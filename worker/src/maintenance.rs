//! What keeps the house clean: partitions, rollups, retention, the queue's finished tasks, and the heartbeat of the region. Every worker may
//! do it; who finds another at a step goes on with the next.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use waypost_store::{Store, StoreError};

use crate::{WorkerConfig, WorkerError, backoff::forever, error::chain, notices, queue, shared_checks::SharedChecks, unheard};

/// Hours rolled up in one transaction: one, since an hour of a large installation is millions of results.
const HOURS_AT_ONCE: i32 = 1;
/// Days, from their hours.
const DAYS_AT_ONCE: i32 = 7;

/// Says every few seconds that the region lives, and shows how much waits.
pub(crate) async fn heartbeat(config: &WorkerConfig, store: &Store, checks: &SharedChecks, shutdown: &CancellationToken) {
    forever("heartbeat", shutdown, || async {
        let now = Utc::now();
        store.region_seen(&config.region, now).await?;
        let (pending, oldest) = store.outbox_waiting().await?;
        #[allow(clippy::cast_precision_loss)] // a gauge
        metrics::gauge!("waypost_outbox_pending").set(pending as f64);
        let age = oldest.map_or(Duration::ZERO, |oldest| (now - oldest).to_std().unwrap_or_default());
        metrics::gauge!("waypost_outbox_oldest_seconds").set(age.as_secs_f64());
        checks.forget_stale();
        notices::tell(config, store, &checks.list_health(), now).await?;
        Ok::<_, WorkerError>(Duration::from_secs(10))
    })
    .await;
}

/// Once at start, so that today's partition is there, and then every minute.
pub(crate) async fn run(config: &WorkerConfig, store: &Store, shutdown: &CancellationToken) {
    let mut rounds = 0_u32;
    forever("maintenance", shutdown, || {
        let hourly = rounds.is_multiple_of(60);
        rounds = rounds.wrapping_add(1);
        async move {
            // What failed was told, and is tried again with the next round.
            round(config, store, hourly, shutdown).await;
            Ok::<_, WorkerError>(Duration::from_secs(60))
        }
    })
    .await;
}

/// One round. The hourly part also drops what is expired. A step that fails does not keep the others from being done; the first failure is
/// answered.
pub async fn maintain(config: &WorkerConfig, store: &Store, hourly: bool) -> Result<(), WorkerError> {
    round(config, store, hourly, &CancellationToken::new()).await.map_or(Ok(()), Err)
}

/// Answers the first failure. Begins nothing new after `shutdown`.
async fn round(config: &WorkerConfig, store: &Store, hourly: bool, shutdown: &CancellationToken) -> Option<WorkerError> {
    let now = Utc::now();
    let mut failure = None;
    let partitions = done("partitions", store.maintain_result_partitions(now, config.keep_results_days).await, &mut failure);
    done("unheard", unheard::tell(store, now).await, &mut failure);
    // The queue before the rollups, which may take long.
    let tasks = done("queue", queue::prune(store).await, &mut failure);
    done("hours", roll_up_hours(store, now, shutdown).await, &mut failure);
    done("days", roll_up_days(store, shutdown).await, &mut failure);
    let expired = if hourly && !shutdown.is_cancelled() { done("expired", store.drop_expired(now).await, &mut failure) } else { 0 };
    tracing::debug!(partitions, tasks, expired, failed = failure.is_some(), "maintenance done");
    failure
}

async fn roll_up_hours(store: &Store, now: DateTime<Utc>, shutdown: &CancellationToken) -> Result<(), StoreError> {
    while !shutdown.is_cancelled() && store.roll_up_hours(now, HOURS_AT_ONCE).await? > 0 {}
    Ok(())
}

async fn roll_up_days(store: &Store, shutdown: &CancellationToken) -> Result<(), StoreError> {
    while !shutdown.is_cancelled() && store.roll_up_days(DAYS_AT_ONCE).await? > 0 {}
    Ok(())
}

/// What a step did. A failure is told, and kept where it is the first.
fn done<T: Default, E: Into<WorkerError>>(step: &'static str, result: Result<T, E>, failure: &mut Option<WorkerError>) -> T {
    result.unwrap_or_else(|error| {
        let error = error.into();
        metrics::counter!("waypost_worker_failures_total", "part" => step).increment(1);
        tracing::warn!(part = step, error = chain(&error), "maintenance failed; the next round tries again");
        failure.get_or_insert(error);
        T::default()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
    use waypost_store::testing::TestDatabase;

    use super::*;

    async fn scene() -> (TestDatabase, PgConnection, WorkerConfig) {
        let db = TestDatabase::new().await;
        queue::migrate_queue(&db.owner_url).await.unwrap();
        let mut owner = PgConnection::connect(&db.owner_url).await.unwrap();
        let old = "INSERT INTO sessions (id, data, expires_at) VALUES ('old', '{}', now() - interval '1 hour');
                   INSERT INTO apalis.workers (id, worker_type, storage_name, last_seen) VALUES ('old', 'old', 'old', now() - interval '2 hours');";
        sqlx::raw_sql(old).execute(&mut owner).await.unwrap();
        let config = WorkerConfig::new("local", "https://waypost.example", "Waypost <waypost@waypost.example>".parse().unwrap(), None);
        (db, owner, config)
    }

    async fn count(owner: &mut PgConnection, table: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(owner).await.unwrap()
    }

    #[tokio::test]
    async fn a_step_that_fails_keeps_no_other_from_being_done() {
        let (db, mut owner, config) = scene().await;
        let broken = "DROP FUNCTION roll_up_hours; DROP FUNCTION roll_up_days; DROP FUNCTION maintain_result_partitions";
        sqlx::raw_sql(broken).execute(&mut owner).await.unwrap();
        let failure = maintain(&config, &db.store, true).await.unwrap_err();
        assert!(chain(&failure).contains("maintain_result_partitions"), "the first failure is told: {failure}");
        assert_eq!(count(&mut owner, "sessions").await, 0);
        assert_eq!(count(&mut owner, "apalis.workers").await, 0);
    }

    #[tokio::test]
    async fn who_shuts_down_begins_nothing_long() {
        let (db, mut owner, config) = scene().await;
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        assert!(round(&config, &db.store, true, &shutdown).await.is_none());
        assert_eq!(count(&mut owner, "rollup_progress").await, 0);
        assert_eq!(count(&mut owner, "sessions").await, 1);
    }
}
