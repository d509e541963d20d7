//! `domains`: what an organisation watches by its name.

use axum::{Json, extract::RawPathParams, http::StatusCode};
use waypost_store::monitors::Added;
use waypost_types::{
    DomainId, MonitorId,
    asset::{Domain, DomainPatch, NewDomain, SeenSelector},
    drift::RecordEvent,
    list_history::Listing,
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
};

tenant_row!("domains": Domain, DomainId, domain);

/// Domains by name.
#[utoipa::path(get, path = "/v1/orgs/{org}/domains", tag = "domains", params(("org" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query), ("tag" = Option<String>, Query)),
    responses((status = 200, body = List<Domain>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>, page: Page) -> Result<Json<List<Domain>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.domains(page.after::<String>()?.as_deref(), page.tag.as_deref(), page.rows()).await?;
    tx.commit().await?;
    Ok(Json(page.list(items, |domain| domain.name.to_string())?))
}

/// Watches a domain: its audit starts at once, and leads to its servers and their addresses.
#[utoipa::path(post, path = "/v1/orgs/{org}/domains", tag = "domains", params(("org" = String, Path)), request_body = NewDomain,
    responses((status = 201, body = Domain), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn create(member: Member<Write>, Body(new): Body<NewDomain>) -> Result<Versioned<Domain>, ApiError> {
    let name = targets::domain("name", &new.name)?;
    member.take_check()?;
    let mut tx = member.tx().await?;
    match tx.add_domain(&name).await? {
        Added::New(domain) => member.created(tx, domain).await,
        Added::Exists(id) => Err(ApiError::exists("name", &name.display(), id)),
    }
}

/// A domain with its latest audit.
#[utoipa::path(get, path = "/v1/orgs/{org}/domains/{id}", tag = "domains", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Domain), (status = 404, body = Problem)))]
pub async fn get(domain: Of<Read, Domain>) -> Versioned<Domain> {
    Versioned::ok(domain.row)
}

/// How often it is audited, and whether; its DKIM selectors and the addresses that send for it.
#[utoipa::path(patch, path = "/v1/orgs/{org}/domains/{id}", tag = "domains",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = DomainPatch,
    responses((status = 200, body = Domain), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn update(domain: Of<Write, Domain>, IfMatch(expected): IfMatch, Body(patch): Body<DomainPatch>) -> Result<Versioned<Domain>, ApiError> {
    targets::interval(MonitorKind::Audit, patch.interval_s)?;
    let mut patch = DomainPatch {
        selectors: patch.selectors.map(|selectors| targets::selectors(&selectors)).transpose()?,
        senders: patch.senders.map(|senders| targets::senders(&senders)).transpose()?,
        tags: targets::tags(patch.tags)?,
        interval_s: patch.interval_s,
        paused: patch.paused,
        regions: patch.regions,
        policy: patch.policy,
        runbook: targets::runbook(patch.runbook)?,
    };
    if patch.paused == Some(false) {
        domain.member.take_check()?;
    }
    let mut tx = domain.member.tx().await?;
    patch.regions = checked_regions(&mut tx, patch.regions).await?;
    targets::policy(&domain.row.monitors, patch.policy.as_ref(), patch.regions.as_deref())?;
    let changed = tx.update_domain(domain.row.id, expected, &patch).await?;
    domain.member.changed(tx, changed).await
}

/// How its records changed, newest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/domains/{id}/history", tag = "domains",
    params(("org" = String, Path), ("id" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = List<RecordEvent>), (status = 404, body = Problem)))]
pub async fn history(domain: Of<Read, Domain>, page: Page) -> Result<Json<List<RecordEvent>>, ApiError> {
    let before = page.after()?;
    let mut tx = domain.member.tx().await?;
    let items = tx.record_changes(domain.row.id, before, page.rows()).await?;
    tx.commit().await?;
    Ok(Json(page.list(items, |event| event.id)?))
}

/// From when to when the domain itself was on which block list: what goes on first.
#[utoipa::path(get, path = "/v1/orgs/{org}/domains/{id}/listings", tag = "domains", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = List<Listing>), (status = 404, body = Problem)))]
pub async fn listings(domain: Of<Read, Domain>) -> Result<Json<List<Listing>>, ApiError> {
    let scans: Vec<MonitorId> =
        domain.row.monitors.iter().filter(|monitor| monitor.kind == MonitorKind::Blacklist).map(|monitor| monitor.id).collect();
    let mut tx = domain.member.tx().await?;
    let items = tx.listings_of(&scans, super::addresses::MOST_LISTINGS).await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// DKIM selectors that mail of it was seen to be signed with, and those that audits found a key at.
#[utoipa::path(get, path = "/v1/orgs/{org}/domains/{id}/selectors", tag = "domains", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = List<SeenSelector>), (status = 404, body = Problem)))]
pub async fn selectors(domain: Of<Read, Domain>) -> Result<Json<List<SeenSelector>>, ApiError> {
    let mut tx = domain.member.tx().await?;
    let items = tx.seen_selectors(domain.row.id).await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Forgets a selector that was seen or found, until it is again.
#[utoipa::path(delete, path = "/v1/orgs/{org}/domains/{id}/selectors/{selector}", tag = "domains",
    params(("org" = String, Path), ("id" = String, Path), ("selector" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn forget_selector(domain: Of<Write, Domain>, params: RawPathParams) -> Result<StatusCode, ApiError> {
    let selector = params.iter().find(|(key, _)| *key == "selector").map(|(_, value)| value).ok_or(ApiError::NotFound)?;
    let mut tx = domain.member.tx().await?;
    tx.forget_selector(domain.row.id, selector).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops watching a domain.
#[utoipa::path(delete, path = "/v1/orgs/{org}/domains/{id}", tag = "domains",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(domain: Of<Write, Domain>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = domain.member.tx().await?;
    tx.remove_asset(domain.row.id, expected).await?;
    domain.member.deleted(tx).await
}

/// Checks it now, from every region.
#[utoipa::path(post, path = "/v1/orgs/{org}/domains/{id}/check", tag = "domains", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 202), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub async fn check(domain: Of<Write, Domain>) -> Result<StatusCode, ApiError> {
    targets::awake(&domain.row.monitors)?;
    domain.member.take_check()?;
    let mut tx = domain.member.tx().await?;
    tx.request_checks_of(domain.row.id.0).await?;
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}
