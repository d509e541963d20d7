//! `servers`: mail servers, a monitor per port.

use axum::{Json, extract::State, http::StatusCode};
use waypost_store::monitors::Added;
use waypost_types::{
    MonitorId, ServerId,
    asset::{NewServer, Server, ServerPatch},
    drift::ServerEvent,
    monitor::MonitorKind,
    page::List,
    problem::Problem,
};

use crate::{
    api::{monitors::checked_regions, targets},
    http::{
        body::Body,
        condition::{IfMatch, Versioned},
        org::{Member, Of, Read, Write, tenant_row},
        page::Page,
        problem::ApiError,
    },
    state::AppState,
};

tenant_row!("servers": Server, ServerId, server);

/// Servers by host.
#[utoipa::path(get, path = "/v1/orgs/{org}/servers", tag = "servers", params(("org" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query), ("tag" = Option<String>, Query)),
    responses((status = 200, body = List<Server>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>, page: Page) -> Result<Json<List<Server>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.servers(page.after::<String>()?.as_deref(), page.tag.as_deref(), page.rows()).await?;
    tx.commit().await?;
    Ok(Json(page.list(items, |server| server.host.clone())?))
}

/// Watches a mail server: every port is probed at once.
#[utoipa::path(post, path = "/v1/orgs/{org}/servers", tag = "servers", params(("org" = String, Path)), request_body = NewServer,
    responses((status = 201, body = Server), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn create(State(state): State<AppState>, member: Member<Write>, Body(new): Body<NewServer>) -> Result<Versioned<Server>, ApiError> {
    let host = targets::host("host", &new.host, &state.settings.egress)?;
    let ports = targets::ports(new.ports.as_deref().unwrap_or(&targets::DEFAULT_PORTS))?;
    targets::least_size(new.least_size_mb)?;
    member.take_check()?;
    let mut tx = member.tx().await?;
    match tx.add_server(&host, &ports, new.least_size_mb).await? {
        Added::New(server) => member.created(tx, server).await,
        Added::Exists(id) => Err(ApiError::exists("host", &host, id)),
    }
}

/// A server with the monitors of its ports.
#[utoipa::path(get, path = "/v1/orgs/{org}/servers/{id}", tag = "servers", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Server), (status = 404, body = Problem)))]
pub async fn get(server: Of<Read, Server>) -> Versioned<Server> {
    Versioned::ok(server.row)
}

/// Its ports, how often they are probed, and whether.
#[utoipa::path(patch, path = "/v1/orgs/{org}/servers/{id}", tag = "servers",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = ServerPatch,
    responses((status = 200, body = Server), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn update(
    server: Of<Write, Server>,
    IfMatch(expected): IfMatch,
    Body(mut patch): Body<ServerPatch>,
) -> Result<Versioned<Server>, ApiError> {
    targets::interval(MonitorKind::Smtp, patch.interval_s)?;
    if let Some(ports) = &mut patch.ports {
        *ports = targets::ports(ports)?;
    }
    targets::least_size(patch.least_size_mb.flatten())?;
    patch.tags = targets::tags(patch.tags)?;
    patch.runbook = targets::runbook(patch.runbook)?;
    if patch.paused == Some(false) {
        server.member.take_check()?;
    }
    let mut tx = server.member.tx().await?;
    patch.regions = checked_regions(&mut tx, patch.regions).await?;
    targets::policy(&server.row.monitors, patch.policy.as_ref(), patch.regions.as_deref())?;
    let changed = tx.update_server(server.row.id, expected, &patch).await?;
    server.member.changed(tx, changed).await
}

/// What changed at its ports, newest first: certificates, TLS, extensions, logins, greetings. What is seen twice in a row is a change.
#[utoipa::path(get, path = "/v1/orgs/{org}/servers/{id}/history", tag = "servers",
    params(("org" = String, Path), ("id" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = List<ServerEvent>), (status = 404, body = Problem)))]
pub async fn history(server: Of<Read, Server>, page: Page) -> Result<Json<List<ServerEvent>>, ApiError> {
    let before = page.after()?;
    let monitors: Vec<MonitorId> = server.row.monitors.iter().map(|monitor| monitor.id).collect();
    let mut tx = server.member.tx().await?;
    let items = tx.server_changes(&monitors, before, page.rows()).await?;
    tx.commit().await?;
    Ok(Json(page.list(items, |event| event.id)?))
}

/// Stops watching a server.
#[utoipa::path(delete, path = "/v1/orgs/{org}/servers/{id}", tag = "servers",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(server: Of<Write, Server>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = server.member.tx().await?;
    tx.remove_asset(server.row.id, expected).await?;
    server.member.deleted(tx).await
}

/// Checks it now, from every region.
#[utoipa::path(post, path = "/v1/orgs/{org}/servers/{id}/check", tag = "servers", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 202), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub async fn check(server: Of<Write, Server>) -> Result<StatusCode, ApiError> {
    targets::awake(&server.row.monitors)?;
    server.member.take_check()?;
    let mut tx = server.member.tx().await?;
    tx.request_checks_of(server.row.id.0).await?;
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}
