//! `GET me`: who is signed in.

use axum::{Json, extract::State};
use waypost_types::{account::Me, problem::Problem};

use crate::{
    http::{problem::ApiError, session::SignedIn},
    state::AppState,
};

/// The person who is signed in and their organisations.
#[utoipa::path(get, path = "/v1/me", tag = "auth", responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub async fn me(State(state): State<AppState>, SignedIn(id): SignedIn) -> Result<Json<Me>, ApiError> {
    let user = state.store.user(id).await?.ok_or(ApiError::Unauthenticated)?;
    let orgs = state.store.memberships_of(id).await?;
    Ok(Json(Me { user, orgs }))
}
