//! `POST orgs`: another organisation for somebody who is signed in.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use waypost_types::{
    account::{NewOrg, Org, Role},
    problem::Problem,
};
use waypost_worker::SignupPolicy;

use crate::{
    api::signup::{organisation_name, slug},
    http::{body::Body, problem::ApiError, session::SignedIn},
    state::AppState,
};

/// Why nobody makes an organisation: where sign-up is closed, being invited to one is no licence to make others.
const CLOSED: &str = "New organisations are closed on this installation. Ask the people who run it, or somebody who invites you to theirs.";
/// Organisations that a person may own.
const MOST_OWNED: usize = 20;

/// Makes an organisation that the caller owns, beside those that they belong to. Where sign-up is closed nobody does.
#[utoipa::path(post, path = "/v1/orgs", tag = "people", request_body = NewOrg,
    responses((status = 201, body = Org), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn create(State(state): State<AppState>, SignedIn(id): SignedIn, Body(new): Body<NewOrg>) -> Result<Response, ApiError> {
    let user = state.store.user(id).await?.ok_or(ApiError::Unauthenticated)?;
    if state.settings.signup != SignupPolicy::Open {
        return Err(ApiError::Refused(CLOSED));
    }
    let name = organisation_name(&new.name).map_err(|message| ApiError::field("name", message))?;
    state.limits.signup.take(&user.id.to_string())?;
    let owned = state.store.memberships_of(id).await?.iter().filter(|org| org.role == Role::Owner).count();
    if owned >= MOST_OWNED {
        return Err(ApiError::Limit { what: "organisations of one owner", limit: i64::try_from(MOST_OWNED).unwrap_or(i64::MAX) });
    }
    let org = state.store.create_org(id, &name, &slug(&name)).await?;
    tracing::info!(user = %id, org = %org.id, "made an organisation");
    let location = format!("/api/v1/orgs/{}/overview", org.slug);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(org)).into_response())
}
