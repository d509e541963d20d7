//! Versions: `ETag` on what is answered, `If-Match` on what is changed (RFC 9110 13.1.1).

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use crate::http::{org::TenantRow, problem::ApiError};

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
        if text.contains(',') {
            return Err(ApiError::BadHeader("If-Match takes one version such as \"3\"."));
        }
        // A tag that we never gave matches nothing, a weak one neither: the comparison is the strong one.
        Ok(Self(Some(text.trim_matches('"').parse().unwrap_or(-1))))
    }
}

/// A resource with its version, and its place when it is new.
#[derive(Debug)]
pub struct Versioned<T> {
    body: T,
    location: Option<String>,
}

impl<T: TenantRow> Versioned<T> {
    /// It is there.
    pub fn ok(body: T) -> Self {
        Self { body, location: None }
    }

    /// It is new and lives at `location`.
    pub fn created(body: T, location: String) -> Self {
        Self { body, location: Some(location) }
    }
}

impl<T: TenantRow> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let status = if self.location.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        let version = self.body.version();
        let mut response = (status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(location) = self.location.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}
