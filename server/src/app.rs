//! The router: API, health and pages, and the layers around them from the outside in.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

use crate::{
    api, health,
    http::{client::find_address, cross_site::refuse_cross_site, headers::add_security_headers, problem::ApiError, session},
    preview,
    state::AppState,
};

const REQUEST_TIME: Duration = Duration::from_secs(30);
/// The header that carries a request's id.
pub const REQUEST_ID: &str = "x-request-id";

/// The id of a request, for logs of all that it caused.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// The API with its sessions, without the door around it: what pages call in-process.
pub fn api(state: &AppState) -> (Router, OpenApi) {
    let (routes, document) = api::routes(state);
    let sessions = session::layer(state.store.clone(), state.settings.secure());
    (Router::new().nest("/api", routes).layer(sessions).with_state(state.clone()), document)
}

/// Everything that is served. `pages` answers what is neither API nor health.
pub fn router(state: &AppState, api: Router, pages: Option<Router>, metrics: Option<PrometheusHandle>) -> Router {
    let mut router = api.merge(health::routes(metrics).with_state(state.clone())).merge(preview::routes().with_state(state.clone()));
    if let Some(pages) = pages {
        router = router.fallback_service(pages);
    }
    router
        .layer(middleware::from_fn(limit_time))
        .layer(middleware::from_fn_with_state(state.clone(), refuse_cross_site))
        .layer(middleware::from_fn_with_state(state.clone(), find_address))
        .layer(middleware::from_fn_with_state(state.clone(), add_security_headers))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(state.clone(), trace))
}

async fn limit_time(request: Request, next: Next) -> Response {
    // A stream of events is answered at once and then lives on; only the wait for the answer is bounded.
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TooSlow.into_response(),
    }
}

#[allow(clippy::needless_pass_by_value)] // the layer hands it over
fn panicked(reason: Box<dyn std::any::Any + Send>) -> Response {
    let text = reason.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| reason.downcast_ref::<String>().cloned());
    ApiError::internal(text.unwrap_or_else(|| "a panic without words".to_owned())).into_response()
}

/// One span and one measurement per request: the route's pattern, never what a person put in it.
async fn trace(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let id: Arc<str> = Uuid::now_v7().simple().to_string().into();
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    // Pages read it from here; what a visitor claims is nothing to us.
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    let method = request.method().clone();
    let group = if request.uri().path().starts_with("/api/") { "api" } else { "page" };
    let route = request.extensions().get::<MatchedPath>().map_or(group, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", %id, %method, group);
    let started = std::time::Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let seconds = started.elapsed().as_secs_f64();
    let status = response.status();
    metrics::histogram!("waypost_http_request_seconds", "group" => group).record(seconds);
    metrics::counter!("waypost_http_requests_total", "group" => group, "status" => status.as_u16().to_string()).increment(1);
    let _entered = span.enter();
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(status = status.as_u16(), seconds, route, "answered with an error");
    } else {
        tracing::debug!(status = status.as_u16(), seconds, route, "answered");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    metrics::gauge!("waypost_overviews_made_total").set(f64::from(u32::try_from(state.overviews.made()).unwrap_or(u32::MAX)));
    response
}
