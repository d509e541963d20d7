//! `/healthz`, `/readyz` and `/metrics` of a worker that runs by itself.

use std::net::SocketAddr;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use chrono::{TimeDelta, Utc};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use waypost_store::{Store, StoreError};

/// A region whose workers were not seen for that long is told as silent.
const SILENT_AFTER: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug, Clone)]
struct Health {
    store: Store,
    metrics: PrometheusHandle,
}

/// Serves until shutdown.
pub async fn serve(listen: SocketAddr, store: Store, metrics: PrometheusHandle, shutdown: CancellationToken) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(async |State(health): State<Health>| health.metrics.render()))
        .with_state(Health { store, metrics });
    let listener = tokio::net::TcpListener::bind(listen).await?;
    axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.cancelled().await }).await
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    match readiness(&health.store).await {
        Ok(lines) => (StatusCode::OK, lines),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n".to_owned()),
    }
}

/// What `/readyz` says about the database and the regions, one line each. The server says the same.
pub async fn readiness(store: &Store) -> Result<String, StoreError> {
    store.ping().await?;
    let now = Utc::now();
    let mut lines = "database: ok\n".to_owned();
    for region in store.regions().await? {
        let alive = if now - region.seen_at < SILENT_AFTER { "ok" } else { "no worker was seen for a minute" };
        lines.extend(["region ", &region.name, ": ", alive, "\n"]);
        if let Some(since) = region.cut_off_since {
            let since = since.format("%Y-%m-%d %H:%M").to_string();
            lines.extend(["region ", &region.name, ": can not reach anything since ", &since, " UTC; its results are not counted\n"]);
        }
        if region.port25_blocked {
            lines.extend(["region ", &region.name, ": outbound port 25 seems blocked; checks of port 25 from there are unknown\n"]);
        }
    }
    Ok(lines)
}
