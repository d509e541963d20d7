//! `pools`: named groups of watched addresses, with how they stand on block lists.

use axum::{Json, extract::State, http::StatusCode};
use waypost_store::{OrgTx, monitors::Added};
use waypost_types::{
    AddressId, Cidr, PoolId,
    page::List,
    pool::{self, MOST_ADDRESSES, MOST_NOTE, NewPool, Pool, PoolPatch},
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

tenant_row!("pools": Pool, PoolId, pool_by_id);

/// All pools by name, each with its addresses and how they stand on block lists. A pool is the tag `pool:<name>` of its addresses, by which lists
/// are filtered, and routes, rules and maintenance windows chosen.
#[utoipa::path(get, path = "/v1/orgs/{org}/pools", tag = "pools", params(("org" = String, Path)),
    responses((status = 200, body = List<Pool>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<Pool>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.pools().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Makes a pool of addresses that are watched.
#[utoipa::path(post, path = "/v1/orgs/{org}/pools", tag = "pools", params(("org" = String, Path)), request_body = NewPool,
    responses((status = 201, body = Pool), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn create(State(state): State<AppState>, member: Member<Write>, Body(new): Body<NewPool>) -> Result<Versioned<Pool>, ApiError> {
    let name = targets::pool("name", &new.name)?;
    let note = note(&new.note)?;
    let cidrs = cidrs(&state, &new.addresses)?;
    let mut tx = member.tx().await?;
    let id = match tx.add_pool(&name, &note).await? {
        Added::New(id) => id,
        Added::Exists(id) => return Err(ApiError::exists("name", &name, id)),
    };
    let addresses = watched(&mut tx, &cidrs).await?;
    tx.fill_pool(id, &addresses).await?;
    let pool = tx.pool_by_id(id).await?;
    member.created(tx, pool).await
}

/// A pool.
#[utoipa::path(get, path = "/v1/orgs/{org}/pools/{id}", tag = "pools", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Pool), (status = 404, body = Problem)))]
pub async fn get(pool: Of<Read, Pool>) -> Versioned<Pool> {
    Versioned::ok(pool.row)
}

/// What it is for, and which addresses are its own.
#[utoipa::path(patch, path = "/v1/orgs/{org}/pools/{id}", tag = "pools",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = PoolPatch,
    responses((status = 200, body = Pool), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(state): State<AppState>,
    pool: Of<Write, Pool>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<PoolPatch>,
) -> Result<Versioned<Pool>, ApiError> {
    let note = patch.note.as_deref().map(note).transpose()?;
    let cidrs = patch.addresses.map(|given| cidrs(&state, &given)).transpose()?;
    let mut tx = pool.member.tx().await?;
    tx.update_pool(pool.row.id, expected, note.as_deref()).await?;
    if let Some(cidrs) = cidrs {
        let addresses = watched(&mut tx, &cidrs).await?;
        tx.fill_pool(pool.row.id, &addresses).await?;
    }
    let changed = tx.pool_by_id(pool.row.id).await?;
    pool.member.changed(tx, changed).await
}

/// Removes a pool; its addresses stay watched. What is scoped by its tag covers nothing of it any more.
#[utoipa::path(delete, path = "/v1/orgs/{org}/pools/{id}", tag = "pools",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(pool: Of<Write, Pool>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = pool.member.tx().await?;
    tx.remove_pool(pool.row.id, expected).await?;
    pool.member.deleted(tx).await
}

fn note(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    if text.chars().count() > MOST_NOTE || text.chars().any(char::is_control) {
        return Err(ApiError::field("note", format!("Give a note of at most {MOST_NOTE} characters on one line.")));
    }
    Ok(text.to_owned())
}

fn cidrs(state: &AppState, given: &[String]) -> Result<Vec<Cidr>, ApiError> {
    if given.len() > MOST_ADDRESSES {
        return Err(ApiError::field("addresses", format!("A pool has {MOST_ADDRESSES} addresses and networks at most.")));
    }
    let mut cidrs = given.iter().map(|text| targets::cidr("addresses", text, &state.settings.egress)).collect::<Result<Vec<_>, _>>()?;
    cidrs.sort_unstable_by_key(ToString::to_string);
    cidrs.dedup();
    Ok(cidrs)
}

/// The addresses by these networks; all of them are watched, or the one that is not is named.
async fn watched(tx: &mut OrgTx, cidrs: &[Cidr]) -> Result<Vec<AddressId>, ApiError> {
    let known = tx.watched_networks(cidrs).await?;
    let unknown: Vec<String> = cidrs.iter().filter(|cidr| !known.iter().any(|(other, _)| other == *cidr)).take(5).map(ToString::to_string).collect();
    if unknown.is_empty() {
        return Ok(known.into_iter().map(|(_, id)| id).collect());
    }
    let verb = if unknown.len() == 1 { "is" } else { "are" };
    Err(ApiError::field("addresses", format!("{} {verb} not watched: add what a pool is to have to the addresses first.", unknown.join(", "))))
}

/// The pool of a name, made where there is none.
pub(super) async fn named(tx: &mut OrgTx, name: &str) -> Result<PoolId, ApiError> {
    let name = pool::name(name).ok_or(ApiError::NotFound)?;
    match tx.add_pool(&name, "").await? {
        Added::New(id) | Added::Exists(id) => Ok(id),
    }
}
