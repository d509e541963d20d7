//! `/healthz`, `/readyz` and `/metrics`, for those who run Waypost.

use std::fmt::Write;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::Utc;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use waypost_store::StoreError;

use crate::{
    http::{
        client::ClientAddress,
        problem::{ApiError, chain},
    },
    state::AppState,
};

/// Block lists named.
const MOST_LISTS: usize = 100;
const DATABASE_TIME: std::time::Duration = std::time::Duration::from_secs(3);

/// The routes; `/metrics` is there when metrics are collected.
pub fn routes(metrics: Option<PrometheusHandle>) -> Router<AppState> {
    let router = Router::new().route("/healthz", get(alive)).route("/readyz", get(ready));
    match metrics {
        Some(handle) => router.route(
            "/metrics",
            get(move |State(state): State<AppState>, client: ClientAddress, headers: HeaderMap| {
                let text = may_read_metrics(&state, client, &headers).then(|| handle.render());
                async move { text.map(|text| ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)).ok_or(ApiError::NotFound) }
            }),
        ),
        None => router,
    }
}

async fn alive() -> &'static str {
    "ok\n"
}

/// Ready when the database answers; the lines say what else an operator wants to know.
async fn ready(State(state): State<AppState>) -> Response {
    let asked = tokio::time::timeout(DATABASE_TIME, async {
        state.store.ping().await?;
        Ok::<_, StoreError>((state.store.regions().await?, state.store.lists_set_aside(Utc::now()).await?))
    });
    let (regions, aside) = match asked.await {
        Ok(Ok(known)) => known,
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), "not ready");
            return (StatusCode::SERVICE_UNAVAILABLE, "database: does not answer\n").into_response();
        }
        Err(_) => return (StatusCode::SERVICE_UNAVAILABLE, "database: does not answer in time\n").into_response(),
    };
    let mut text = "database: ok\n".to_owned();
    if regions.is_empty() {
        text.push_str("workers: none seen yet\n");
    }
    for region in regions {
        let seconds = (Utc::now() - region.seen_at).num_seconds().max(0);
        let port25 = if region.port25_blocked {
            "outbound port 25 seems blocked"
        } else if region.port25_reached_at.is_some() {
            "outbound port 25 ok"
        } else {
            "outbound port 25 not tried yet"
        };
        let cut_off = region.cut_off_since.map(|since| format!(", can not reach anything since {} UTC", since.format("%Y-%m-%d %H:%M")));
        // Writing to a String can not fail.
        writeln!(text, "region {}: worker seen {seconds} s ago, {port25}{}", region.name, cut_off.unwrap_or_default()).unwrap_or_default();
    }
    for list in aside.iter().take(MOST_LISTS) {
        writeln!(text, "block list {} set aside in region {}: {}", list.zone, list.region, list.reason).unwrap_or_default();
    }
    text.into_response()
}

/// For this machine, and for whoever has the token.
fn may_read_metrics(state: &AppState, client: ClientAddress, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
    let known = match (&state.settings.metrics_token, given) {
        // Compared by hash, so that the time taken tells nothing.
        (Some(token), Some(given)) => Sha256::digest(token.expose_secret().as_bytes()) == Sha256::digest(given.as_bytes()),
        _ => false,
    };
    known || client.is_loopback()
}
