//! `GET lookup/{domain}` and `GET lookup/address/{address}`: what can be told of anybody's domain or address, without an account and without an
//! SMTP connection.

use std::net::IpAddr;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};
use waypost_types::{
    lookup::{AddressLookup, Lookup},
    problem::Problem,
};

use crate::{
    api::targets,
    http::{client::ClientAddress, problem::ApiError},
    lookup::Asked,
    state::AppState,
};

/// Audits any domain and looks it and its hosts up on block lists. Answers within ten seconds; `complete` is false where parts are missing.
#[utoipa::path(get, path = "/v1/lookup/{domain}", tag = "lookup", params(("domain" = String, Path)),
    responses((status = 200, body = Lookup), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn lookup(State(state): State<AppState>, client: ClientAddress, path: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let Ok(Path(text)) = path else { return Err(ApiError::field("domain", "Enter a domain name, for example example.com.")) };
    let asked = Asked::Domain(targets::domain("domain", &text)?);
    answer(&state, client, &asked).await
}

/// Looks any public address up: its reverse names, and block lists. Answers within ten seconds; `complete` is false where parts are missing.
#[utoipa::path(get, path = "/v1/lookup/address/{address}", tag = "lookup", params(("address" = String, Path)),
    responses((status = 200, body = AddressLookup), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn address(State(state): State<AppState>, client: ClientAddress, path: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let wrong = || ApiError::field("address", "Enter an IPv4 or IPv6 address, for example 192.0.2.25.");
    let Ok(Path(text)) = path else { return Err(wrong()) };
    let address = bare(&text).ok_or_else(wrong)?;
    state.lookups.check(address).map_err(|reason| ApiError::field("address", reason))?;
    answer(&state, client, &Asked::Address(address)).await
}

async fn answer(state: &AppState, client: ClientAddress, asked: &Asked) -> Result<Response, ApiError> {
    take(state, client, asked)?;
    let body = state.lookups.json(asked).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Counts a lookup against the visitor's limit, unless its answer costs nothing.
pub(crate) fn take(state: &AppState, client: ClientAddress, asked: &Asked) -> Result<(), ApiError> {
    if state.lookups.is_kept(asked) { Ok(()) } else { state.limits.lookup.take(&client.key()) }
}

/// An address as people write it, IPv6 in brackets too.
pub(crate) fn bare(text: &str) -> Option<IpAddr> {
    text.trim().trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|address| address.to_canonical())
}
