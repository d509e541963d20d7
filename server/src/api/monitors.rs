//! `monitors`: what is checked, how often and from where.

use axum::{extract::State, http::StatusCode};
use waypost_store::{OrgTx, monitors::Added, new_monitors::MonitorDraft};
use waypost_types::{
    MonitorId,
    event::LiveEvent,
    monitor::{Monitor, MonitorPatch, NewMonitor},
    problem::Problem,
};

use crate::{
    api::targets,
    http::{
        body::Body,
        condition::{IfMatch, Versioned},
        org::{Member, Of, Read, Write, tenant_row},
        problem::ApiError,
    },
    state::AppState,
};

tenant_row!("monitors": Monitor, MonitorId, monitor);

/// Makes a monitor that is due at once. It belongs to the domain, server or address that it is about, where one is watched.
#[utoipa::path(post, path = "/v1/orgs/{org}/monitors", tag = "monitors", params(("org" = String, Path)), request_body = NewMonitor,
    responses((status = 201, body = Monitor), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn create(State(state): State<AppState>, member: Member<Write>, Body(new): Body<NewMonitor>) -> Result<Versioned<Monitor>, ApiError> {
    let target = targets::target(new.kind, &new.target, &state.settings.egress)?;
    let settings = new.settings.unwrap_or_default();
    targets::settings(new.kind, &target.written, &settings)?;
    targets::interval(new.kind, new.interval_s)?;
    let given = new.regions.as_deref().map(targets::regions).transpose()?;
    member.take_check()?;
    let mut tx = member.tx().await?;
    let regions = match given {
        Some(regions) => known_regions(&mut tx, regions).await?,
        None => tx.default_regions().await?,
    };
    let owner = tx.owner_of_target(new.kind, &target.subject).await?;
    let draft = MonitorDraft {
        kind: new.kind,
        target: &target.written,
        interval_s: new.interval_s.unwrap_or_else(|| new.kind.default_interval()),
        regions: &regions,
        owner,
    };
    // Counted after it is made: a duplicate is told as one even where the limit is reached.
    let id = match tx.add_monitor_row(draft).await? {
        Added::New(id) => id,
        Added::Exists(id) => return Err(ApiError::exists("target", &target.written, id)),
    };
    tx.set_service_settings(id, &settings).await?;
    tx.reserve_monitors(0).await?;
    let mut monitor = tx.monitor(id).await?;
    if new.policy.is_some() {
        targets::policy(std::slice::from_ref(&monitor), new.policy.as_ref(), None)?;
        monitor = tx.update_monitor(id, None, &MonitorPatch { policy: new.policy, ..MonitorPatch::default() }).await?;
    }
    tx.notify_due().await?;
    notify(&mut tx, &monitor).await?;
    member.created(tx, monitor).await
}

/// A monitor.
#[utoipa::path(get, path = "/v1/orgs/{org}/monitors/{id}", tag = "monitors", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Monitor), (status = 404, body = Problem)))]
pub async fn get(monitor: Of<Read, Monitor>) -> Versioned<Monitor> {
    Versioned::ok(monitor.row)
}

/// How often, from where, when a change counts, and whether.
#[utoipa::path(patch, path = "/v1/orgs/{org}/monitors/{id}", tag = "monitors",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = MonitorPatch,
    responses((status = 200, body = Monitor), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn update(
    monitor: Of<Write, Monitor>,
    IfMatch(expected): IfMatch,
    Body(mut patch): Body<MonitorPatch>,
) -> Result<Versioned<Monitor>, ApiError> {
    targets::interval(monitor.row.kind, patch.interval_s)?;
    if let Some(settings) = &patch.settings {
        targets::settings(monitor.row.kind, &monitor.row.target, settings)?;
    }
    patch.tags = targets::tags(patch.tags)?;
    patch.runbook = targets::runbook(patch.runbook)?;
    if patch.tags.is_some() && !monitor.row.kind.is_service() {
        return Err(ApiError::field("tags", "Give the tags to the domain, mail server or address that it belongs to."));
    }
    // Another expectation is another question: it is asked at once.
    let anew = patch.settings.as_ref().is_some_and(|settings| *settings != monitor.row.settings) && !monitor.row.paused;
    if patch.paused == Some(false) || anew {
        monitor.member.take_check()?;
    }
    let mut tx = monitor.member.tx().await?;
    patch.regions = checked_regions(&mut tx, patch.regions).await?;
    targets::policy(std::slice::from_ref(&monitor.row), patch.policy.as_ref(), patch.regions.as_deref())?;
    let changed = tx.update_monitor(monitor.row.id, expected, &patch).await?;
    if anew {
        tx.request_check(changed.id).await?;
    }
    notify(&mut tx, &changed).await?;
    monitor.member.changed(tx, changed).await
}

/// Removes a monitor; its open incident ends.
#[utoipa::path(delete, path = "/v1/orgs/{org}/monitors/{id}", tag = "monitors",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(monitor: Of<Write, Monitor>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = monitor.member.tx().await?;
    tx.delete_monitor(monitor.row.id, expected).await?;
    notify(&mut tx, &monitor.row).await?;
    monitor.member.deleted(tx).await
}

/// Checks it now, from every region.
#[utoipa::path(post, path = "/v1/orgs/{org}/monitors/{id}/check", tag = "monitors", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 202), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub async fn check(monitor: Of<Write, Monitor>) -> Result<StatusCode, ApiError> {
    targets::awake(std::slice::from_ref(&monitor.row))?;
    monitor.member.take_check()?;
    let mut tx = monitor.member.tx().await?;
    tx.request_check(monitor.row.id).await?;
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// Regions as a change gives them: written well, and seen.
pub(super) async fn checked_regions(tx: &mut OrgTx, given: Option<Vec<String>>) -> Result<Option<Vec<String>>, ApiError> {
    match given {
        Some(given) => Ok(Some(known_regions(tx, targets::regions(&given)?).await?)),
        None => Ok(None),
    }
}

async fn known_regions(tx: &mut OrgTx, regions: Vec<String>) -> Result<Vec<String>, ApiError> {
    let unknown = tx.unknown_regions(&regions).await?;
    if unknown.is_empty() {
        return Ok(regions);
    }
    Err(ApiError::field("regions", format!("No worker was seen in {}.", unknown.join(", "))))
}

/// Listeners think in domains, servers and addresses; a monitor that belongs to none is told by its own id.
async fn notify(tx: &mut OrgTx, monitor: &Monitor) -> Result<(), ApiError> {
    let owners =
        [monitor.domain_id.map(|id| id.to_string()), monitor.server_id.map(|id| id.to_string()), monitor.address_id.map(|id| id.to_string())];
    let ids = owners.into_iter().flatten().chain([monitor.id.to_string()]).collect();
    tx.notify(&LiveEvent::Assets { ids }).await?;
    Ok(())
}
