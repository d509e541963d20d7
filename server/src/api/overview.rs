//! `overview`: everything the first page shows, in one answer.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use waypost_types::{overview::Overview, problem::Problem};

use crate::{
    http::{
        org::{Member, Read},
        problem::ApiError,
    },
    state::AppState,
};

/// The organisation at a glance.
#[utoipa::path(get, path = "/v1/orgs/{org}/overview", tag = "overview", params(("org" = String, Path)),
    responses((status = 200, body = Overview), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn overview(State(state): State<AppState>, member: Member<Read>) -> Result<Response, ApiError> {
    let body = state.overviews.json(&state.store, member.org.id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
