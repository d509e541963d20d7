//! The scheduler: claims what is due and pushes it to the region's queue, both in one transaction. Any number of schedulers may run.

use std::time::{Duration, Instant};

use apalis::prelude::TaskBuilder;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use waypost_store::{Store, schedule::claim_due_units};

use crate::{
    WorkerConfig, WorkerError,
    backoff::forever,
    batch::{CheckBatch, batches, queue_name},
    clock::{Clock, LOOK_EVERY},
};

/// Units claimed in one transaction.
const CLAIM_LIMIT: i32 = 2_000;
/// How long a worker has for what it claimed.
pub const LEASE_SECONDS: i32 = 120;
/// Pause between claims that were not full: what falls due meanwhile shares a transaction. Somebody who waits wakes us at once.
const GATHER: Duration = Duration::from_millis(500);

/// Schedules until shutdown. `woken` is notified when something new is due.
pub(crate) async fn run(config: &WorkerConfig, store: &Store, woken: &Notify, shutdown: &CancellationToken) {
    let clock = Clock::default();
    forever("scheduler", shutdown, || async {
        if !clock.may_claim(store).await? {
            return Ok(LOOK_EVERY);
        }
        schedule(config, store, woken, shutdown).await
    })
    .await;
}

/// One turn: claims, or waits for what falls due.
async fn schedule(config: &WorkerConfig, store: &Store, woken: &Notify, shutdown: &CancellationToken) -> Result<Duration, WorkerError> {
    let claimed = claim_and_push(store, &config.region, Utc::now(), config.batch_size).await?;
    if claimed >= CLAIM_LIMIT as usize {
        return Ok(Duration::ZERO);
    }
    let next = store.next_due_at(&config.region).await?;
    let wait = next.map_or(Duration::from_secs(1), |at| (at - Utc::now()).to_std().unwrap_or_default()).clamp(GATHER, Duration::from_secs(1));
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = woken.notified() => {}
        () = shutdown.cancelled() => {}
    }
    Ok(Duration::ZERO)
}

/// Claims up to 2,000 due units and pushes them. Answers how many. A failure or a kill in between leaves everything as it was.
pub async fn claim_and_push(store: &Store, region: &str, now: DateTime<Utc>, batch_size: usize) -> Result<usize, WorkerError> {
    let started = Instant::now();
    let mut tx = store.begin().await?;
    let units = claim_due_units(&mut tx, region, now, CLAIM_LIMIT, LEASE_SECONDS).await?;
    let claimed = units.len();
    if claimed == 0 {
        return Ok(0);
    }
    let lateness = metrics::histogram!("waypost_schedule_lateness_seconds");
    for unit in &units {
        lateness.record((now - unit.due_at).to_std().unwrap_or_default().as_secs_f64());
    }
    push(&mut tx, region, batches(units, now, batch_size)).await?;
    tx.commit().await?;
    metrics::histogram!("waypost_claim_seconds").record(started.elapsed().as_secs_f64());
    metrics::counter!("waypost_units_claimed_total").increment(claimed as u64);
    Ok(claimed)
}

/// Pushes batches on the caller's transaction.
async fn push(connection: &mut sqlx::PgConnection, region: &str, batches: Vec<CheckBatch>) -> Result<(), WorkerError> {
    let tasks = batches
        .iter()
        .map(|batch| Ok(TaskBuilder::new(serde_json::to_vec(batch)?).max_attempts(5).build()))
        .collect::<Result<Vec<_>, serde_json::Error>>()
        .map_err(|error| WorkerError::Queue(error.into()))?;
    apalis_postgres::queries::push_tasks(connection, &queue_name(region), tasks).await.map_err(|error| WorkerError::Queue(error.into()))
}
