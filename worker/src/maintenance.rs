//! What keeps the house clean: partitions, rollups, retention, the queue's finished tasks, and the heartbeat of the region. Every worker may
//! do it; the functions in the database take turns by themselves.

use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;
use waypost_store::Store;

use crate::{WorkerConfig, WorkerError, backoff::forever, queue, shared_checks::SharedChecks};

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
            maintain(config, store, hourly).await?;
            Ok::<_, WorkerError>(Duration::from_secs(60))
        }
    })
    .await;
}

/// One round. The hourly part also drops what is expired.
pub async fn maintain(config: &WorkerConfig, store: &Store, hourly: bool) -> Result<(), WorkerError> {
    let now = Utc::now();
    let partitions = store.maintain_result_partitions(now, config.keep_results_days).await?;
    while store.roll_up_hours(now, HOURS_AT_ONCE).await? > 0 {}
    while store.roll_up_days(DAYS_AT_ONCE).await? > 0 {}
    let tasks = queue::prune(store).await?;
    let expired = if hourly { store.drop_expired(now).await? } else { 0 };
    tracing::debug!(partitions, tasks, expired, "maintenance done");
    Ok(())
}
