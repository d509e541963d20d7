//! `GET lookup/{domain}`: the public audit, without an account and without an SMTP connection.

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use waypost_types::{lookup::Lookup, problem::Problem};

use crate::{
    api::targets,
    http::{client::ClientAddress, problem::ApiError},
    state::AppState,
};

/// Audits any domain and looks its mail servers up on block lists. Answers within ten seconds; `complete` is false where parts are missing.
#[utoipa::path(get, path = "/v1/lookup/{domain}", tag = "lookup", params(("domain" = String, Path)),
    responses((status = 200, body = Lookup), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn lookup(
    State(state): State<AppState>,
    client: ClientAddress,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, ApiError> {
    let Ok(Path(text)) = path else { return Err(ApiError::field("domain", "Enter a domain name, for example example.com.")) };
    let domain = targets::domain("domain", &text)?;
    if !state.lookups.is_kept(&domain) {
        state.limits.lookup.take(&client.key())?;
    }
    let body = state.lookups.json(&domain).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
