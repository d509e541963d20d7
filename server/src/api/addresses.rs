//! `addresses`: addresses and networks on block lists.

use axum::{Json, extract::State, http::StatusCode};
use waypost_store::{StoreError, monitors::Added};
use waypost_types::{
    AddressId,
    asset::{Address, AddressPatch, NewAddress},
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
    state::AppState,
};

/// Listings answered at most.
pub(super) const MOST_LISTINGS: i64 = 500;

tenant_row!("addresses": Address, AddressId, address);

/// Addresses in the order of their numbers.
#[utoipa::path(get, path = "/v1/orgs/{org}/addresses", tag = "addresses", params(("org" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query), ("tag" = Option<String>, Query)),
    responses((status = 200, body = List<Address>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>, page: Page) -> Result<Json<List<Address>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.addresses(page.after()?, page.tag.as_deref(), page.rows()).await?;
    tx.commit().await?;
    Ok(Json(page.list(items, |address| address.cidr)?))
}

/// Watches an address or network: it is looked up on the block lists at once.
#[utoipa::path(post, path = "/v1/orgs/{org}/addresses", tag = "addresses", params(("org" = String, Path)), request_body = NewAddress,
    responses((status = 201, body = Address), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn create(State(state): State<AppState>, member: Member<Write>, Body(new): Body<NewAddress>) -> Result<Versioned<Address>, ApiError> {
    let cidr = targets::cidr("cidr", &new.cidr, &state.settings.egress)?;
    member.take_check()?;
    let mut tx = member.tx().await?;
    match tx.add_address(cidr).await? {
        Added::New(address) => member.created(tx, address).await,
        Added::Exists(id) => Err(ApiError::exists("cidr", &cidr.to_string(), id)),
    }
}

/// An address with its latest scan.
#[utoipa::path(get, path = "/v1/orgs/{org}/addresses/{id}", tag = "addresses", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Address), (status = 404, body = Problem)))]
pub async fn get(address: Of<Read, Address>) -> Versioned<Address> {
    Versioned::ok(address.row)
}

/// How often it is scanned, and whether.
#[utoipa::path(patch, path = "/v1/orgs/{org}/addresses/{id}", tag = "addresses",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = AddressPatch,
    responses((status = 200, body = Address), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn update(
    address: Of<Write, Address>,
    IfMatch(expected): IfMatch,
    Body(mut patch): Body<AddressPatch>,
) -> Result<Versioned<Address>, ApiError> {
    patch.tags = targets::tags(patch.tags)?;
    patch.runbook = targets::runbook(patch.runbook)?;
    targets::interval(MonitorKind::Blacklist, patch.interval_s)?;
    if patch.paused == Some(false) {
        address.member.take_check()?;
    }
    let mut tx = address.member.tx().await?;
    patch.regions = checked_regions(&mut tx, patch.regions).await?;
    if let Some(Some(pool)) = patch.pool {
        tx.pool_by_id(pool).await.map_err(|error| match error {
            StoreError::NotFound => ApiError::field("pool", "There is no such pool any more."),
            other => other.into(),
        })?;
    }
    targets::policy(&address.row.monitors, patch.policy.as_ref(), patch.regions.as_deref())?;
    let changed = tx.update_address(address.row.id, expected, &patch).await?;
    address.member.changed(tx, changed).await
}

/// From when to when it was on which list: what goes on first, at most 500.
#[utoipa::path(get, path = "/v1/orgs/{org}/addresses/{id}/listings", tag = "addresses", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = List<Listing>), (status = 404, body = Problem)))]
pub async fn listings(address: Of<Read, Address>) -> Result<Json<List<Listing>>, ApiError> {
    let mut tx = address.member.tx().await?;
    let items = tx.listings_within(address.row.cidr, MOST_LISTINGS).await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Stops watching an address.
#[utoipa::path(delete, path = "/v1/orgs/{org}/addresses/{id}", tag = "addresses",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(address: Of<Write, Address>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = address.member.tx().await?;
    tx.remove_asset(address.row.id, expected).await?;
    address.member.deleted(tx).await
}

/// Checks it now, from every region.
#[utoipa::path(post, path = "/v1/orgs/{org}/addresses/{id}/check", tag = "addresses", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 202), (status = 404, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub async fn check(address: Of<Write, Address>) -> Result<StatusCode, ApiError> {
    targets::awake(&address.row.monitors)?;
    address.member.take_check()?;
    let mut tx = address.member.tx().await?;
    tx.request_checks_of(address.row.id.0).await?;
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}
