//! `Idempotency-Key`: a repeated POST gets the first one's answer.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use waypost_store::idempotency::Remembered;

use crate::{
    http::{
        body::read,
        org::{Member, Write},
        problem::ApiError,
    },
    state::AppState,
};

const HEADER: &str = "idempotency-key";
const KEPT_HEADERS: [header::HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];
/// Larger answers are not kept; our POSTs answer a resource.
const MAX_ANSWER: usize = 1024 * 1024;

/// What is kept of an answer in place of its body: an answer may show a secret once, a kept one must not.
#[derive(Debug, Clone)]
pub struct KeptBody(pub Bytes);

/// Runs a POST with a key once, and answers its repetitions from memory.
pub async fn remember_posts(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if *request.method() != Method::POST || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    match remembered(&state, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn remembered(state: &AppState, request: Request, next: Next) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    // Every POST of an organisation writes, so the key of somebody who may not is not looked at.
    let member = Member::<Write>::from_request_parts(&mut parts, state).await?;
    let key = parts.headers.get(HEADER).and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default().to_owned();
    if key.is_empty() || key.len() > 255 {
        return Err(ApiError::BadHeader("Idempotency-Key takes 1 to 255 visible characters."));
    }
    let head = Request::from_parts(parts.clone(), body);
    let bytes = read(head).await?;
    let mut hasher = Sha256::new();
    for part in [member.user.id.to_string().as_bytes(), parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &bytes] {
        hasher.update(u64::try_from(part.len()).unwrap_or_default().to_le_bytes());
        hasher.update(part);
    }
    let mut tx = member.tx().await?;
    let known = tx.begin_idempotent(&key, &hasher.finalize()).await?;
    tx.commit().await?;
    match known {
        Remembered::First => {}
        Remembered::Running => {
            return Err(ApiError::Conflict {
                field: "Idempotency-Key",
                message: "The first request with this key still runs.".to_owned(),
                existing: None,
            });
        }
        Remembered::Different => return Err(ApiError::field("Idempotency-Key", "This key was used for another request.")),
        Remembered::Answered { status, body } => return Ok(replay(status, &body)),
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    keep(&member, &key, response).await
}

/// Answers that would come out the same again are kept; faults and limits free the key.
async fn keep(member: &Member<Write>, key: &str, response: Response) -> Result<Response, ApiError> {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_ANSWER).await.map_err(ApiError::internal)?;
    let mut tx = member.tx().await?;
    if parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS {
        tx.forget_idempotent(key).await?;
    } else {
        let headers: serde_json::Map<String, Value> = KEPT_HEADERS
            .iter()
            .filter_map(|name| Some((name.to_string(), Value::String(parts.headers.get(name)?.to_str().ok()?.to_owned()))))
            .collect();
        let kept = parts.extensions.get::<KeptBody>().map_or(&bytes, |KeptBody(kept)| kept);
        let body = String::from_utf8_lossy(kept).into_owned();
        tx.finish_idempotent(key, parts.status.as_u16(), &json!({ "headers": headers, "body": body })).await?;
    }
    tx.commit().await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replay(status: u16, kept: &Value) -> Response {
    let mut response = Response::new(Body::from(kept["body"].as_str().unwrap_or_default().to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    for name in KEPT_HEADERS {
        if let Some(value) = kept["headers"][name.as_str()].as_str().and_then(|text| HeaderValue::from_str(text).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}
