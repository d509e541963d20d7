//! The queue on apalis-postgres: its schema and grants, its worker, and pruning.

use std::{sync::Arc, time::Duration};

use apalis::prelude::{BackendExt, BoxDynError, Data, WorkerBuilder};
use apalis_postgres::PostgresStorage;
use sqlx::{Executor, postgres::PgPoolOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use waypost_store::Store;

use crate::{
    WorkerConfig, WorkerError,
    backoff::forever,
    batch::{CheckBatch, queue_name},
    runner::Runner,
};

/// apalis returns a dead worker's tasks after that many missed heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(5);
const MISSED_HEARTBEATS: usize = 3;

/// Makes or updates the schema `apalis` as the role that `url` names, the owner, and lets `waypost_app` use it.
pub async fn migrate_queue(url: &str) -> Result<(), WorkerError> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10)).connect(url).await?;
    // Processes that start together must not grant at once: PostgreSQL answers “tuple concurrently updated”.
    pool.execute("SELECT pg_advisory_lock(7295814)").await?;
    PostgresStorage::<()>::setup(&pool).await.map_err(|error| WorkerError::Queue(error.into()))?;
    pool.execute(
        "GRANT USAGE ON SCHEMA apalis TO waypost_app;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA apalis TO waypost_app;
         REVOKE INSERT, UPDATE, DELETE ON apalis._sqlx_migrations FROM waypost_app;
         GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA apalis TO waypost_app;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apalis TO waypost_app;",
    )
    .await?;
    pool.close().await;
    Ok(())
}

/// True when the schema `apalis` is there and has been migrated as far as this binary knows.
pub async fn queue_is_ready(store: &Store) -> Result<bool, WorkerError> {
    let newest = PostgresStorage::<()>::migrations().iter().map(|migration| migration.version).max().unwrap_or_default();
    let applied: Result<Option<i64>, sqlx::Error> =
        sqlx::query_scalar("SELECT max(version) FROM apalis._sqlx_migrations WHERE success").fetch_one(store.pool()).await;
    match applied {
        Ok(version) => Ok(version.unwrap_or_default() >= newest),
        // No schema or no table yet, or no right to look.
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "3F000" | "42501")) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Runs the region's tasks until shutdown. A database that goes away ends the apalis worker; another is made when it is back.
pub(crate) async fn run(config: &WorkerConfig, store: &Store, runner: &Arc<Runner>, shutdown: &CancellationToken) {
    forever("queue", shutdown, || async {
        let settings = apalis_postgres::Config::default()
            .queue(queue_name(&config.region))
            .batch_size(config.concurrent_batches.max(1))
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED_HEARTBEATS)
            // apalis 1.0 acknowledges a task only where it persists its result (ours is empty): without it every task runs again some day.
            .persist_results(true);
        let storage =
            PostgresStorage::<CheckBatch>::new(store.pool()).with_config(settings).with_pubsub().poll_with_interval(Duration::from_millis(500));
        // Unique per start: a worker that comes back under its old name would keep its own orphans alive.
        let worker = WorkerBuilder::new(format!("{}-{}", config.region, Uuid::now_v7().simple()))
            .backend(storage)
            .layer(tower::limit::ConcurrencyLimitLayer::new(config.concurrent_batches.max(1)))
            .data(Arc::clone(runner))
            .build(run_batch);
        let stop = shutdown.clone();
        worker
            .run_until(async move {
                stop.cancelled().await;
                Ok::<(), apalis::prelude::WorkerError>(())
            })
            .await
            .map_err(|error| WorkerError::Queue(error.into()))?;
        Ok::<_, WorkerError>(Duration::from_millis(100))
    })
    .await;
}

/// A task's work runs on its own, so that it is finished and recorded even if the apalis worker around it is lost with its connection.
async fn run_batch(batch: CheckBatch, runner: Data<Arc<Runner>>) -> Result<(), BoxDynError> {
    let runner = Arc::clone(&runner);
    tokio::spawn(async move { runner.run(batch).await }).await??;
    Ok(())
}

/// Drops tasks that ended a while ago, those that nobody will try again, and workers that are gone. apalis itself deletes nothing.
pub(crate) async fn prune(store: &Store) -> Result<u64, WorkerError> {
    let jobs = sqlx::query(
        "DELETE FROM apalis.jobs WHERE (status IN ('Done', 'Killed') AND done_at < now() - interval '2 minutes')
            OR (status = 'Failed' AND attempts >= max_attempts AND done_at < now() - interval '1 hour') OR run_at < now() - interval '1 day'",
    )
    .execute(store.pool())
    .await?;
    let workers = sqlx::query(
        "DELETE FROM apalis.workers w WHERE w.last_seen < now() - interval '1 hour' AND NOT EXISTS (SELECT FROM apalis.jobs j WHERE j.lock_by = w.id)",
    )
    .execute(store.pool())
    .await?;
    Ok(jobs.rows_affected() + workers.rows_affected())
}
