//! Versions: `ETag` on what is answered, `If-Match` on what is changed (RFC 9110 13.1.1).

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::http::problem::ApiError;

/// The version that the caller saw; `None` when they do not care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().map_err(|_| ApiError::BadHeader("If-Match takes a version such as \"3\"."))?.trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = text.strip_prefix("W/").unwrap_or(text).trim_matches('"').parse();
        // A tag that we never gave matches nothing.
        Ok(Self(Some(version.unwrap_or(-1))))
    }
}

/// A resource with its version, and its place when it is new.
#[derive(Debug)]
pub struct Versioned<T> {
    status: StatusCode,
    body: T,
    version: i64,
    location: Option<String>,
}

impl<T: Serialize> Versioned<T> {
    /// It is there.
    pub fn ok(body: T, version: i64) -> Self {
        Self { status: StatusCode::OK, body, version, location: None }
    }

    /// It is new and lives at `location`.
    pub fn created(body: T, version: i64, location: String) -> Self {
        Self { status: StatusCode::CREATED, body, version, location: Some(location) }
    }
}

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.version)) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(location) = self.location.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}
