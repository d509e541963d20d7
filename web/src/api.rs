//! The public API as the pages see it: requests in, answers out, whoever carries them.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use waypost_types::problem::{FieldError, Problem};

/// Methods that pages use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Read.
    Get,
    /// Create or act.
    Post,
    /// Change.
    Patch,
    /// Put in place of what was there.
    Put,
    /// Remove.
    Delete,
}

impl Method {
    /// The name in HTTP.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiRequest {
    /// What to do.
    pub method: Method,
    /// Path with query, from `/api/v1/` on.
    pub path: String,
    /// JSON body.
    pub body: Option<Value>,
    /// The version a change is based on (`If-Match`).
    pub if_match: Option<i64>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiResponse {
    /// HTTP status.
    pub status: u16,
    /// JSON body; `null` when there is none.
    pub body: Value,
    /// `Set-Cookie` headers, for the visitor's browser.
    pub set_cookie: Vec<String>,
    /// `Retry-After` in seconds, where it says when to come back.
    pub retry_after: Option<u64>,
}

/// The call did not come back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the API did not answer: {0}")]
pub struct TransportError(pub String);

/// The future of a call.
pub type ApiFuture = Pin<Box<dyn Future<Output = Result<ApiResponse, TransportError>> + Send>>;

/// Carries calls: on the server a tower service call in the same process, in the browser a fetch.
pub trait ApiTransport: Send + Sync + 'static {
    /// Makes one call.
    fn call(&self, request: ApiRequest) -> ApiFuture;
}

/// The API said no, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiFailure {
    /// HTTP status; 502 when there was no answer.
    pub status: u16,
    /// What it said.
    pub problem: Box<Problem>,
}

impl ApiFailure {
    fn new(status: u16, title: &str, detail: String) -> Self {
        let problem = Problem { kind: "about:blank".to_owned(), title: title.to_owned(), status, detail, errors: Vec::new(), existing: None };
        Self { status, problem: Box::new(problem) }
    }

    /// The sentence for people.
    pub fn sentence(&self) -> &str {
        if self.problem.detail.is_empty() { &self.problem.title } else { &self.problem.detail }
    }

    /// The fields at fault.
    pub fn fields(&self) -> &[FieldError] {
        &self.problem.errors
    }

    /// Whether the form comes back: the visitor's input is at fault, or there is no room for it.
    pub fn is_input(&self) -> bool {
        matches!(self.status, 400 | 409 | 413 | 422 | 429) || self.is_unconfirmed() || self.problem.kind == "/problems/limit"
    }

    /// Whether there is no room because no owner has confirmed an email address yet.
    pub fn is_unconfirmed(&self) -> bool {
        self.problem.kind == "/problems/unconfirmed"
    }
}

/// The API with types.
#[derive(Clone)]
pub struct Api {
    transport: Arc<dyn ApiTransport>,
    cookies: Arc<Mutex<Vec<String>>>,
    retry_after: Arc<Mutex<Option<u64>>>,
}

impl Api {
    /// Over this transport.
    pub fn new(transport: Arc<dyn ApiTransport>) -> Self {
        Self { transport, cookies: Arc::default(), retry_after: Arc::default() }
    }

    /// Reads.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiFailure> {
        read(self.call(Method::Get, path, None, None).await?)
    }

    /// Creates or acts, and reads what came of it.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiFailure> {
        read(self.call(Method::Post, path, Some(write(body)?), None).await?)
    }

    /// Acts on what still has this version, and reads what came of it.
    pub async fn post_seen<T: DeserializeOwned>(&self, path: &str, version: i64, body: &impl Serialize) -> Result<T, ApiFailure> {
        read(self.call(Method::Post, path, Some(write(body)?), Some(version)).await?)
    }

    /// Acts; what the answer says is of no interest.
    pub async fn act(&self, path: &str, body: &impl Serialize) -> Result<(), ApiFailure> {
        self.call(Method::Post, path, Some(write(body)?), None).await.map(drop)
    }

    /// Changes what still has this version.
    pub async fn patch(&self, path: &str, version: i64, body: &impl Serialize) -> Result<(), ApiFailure> {
        self.call(Method::Patch, path, Some(write(body)?), Some(version)).await.map(drop)
    }

    /// Changes many things at once, and reads what came of it.
    pub async fn patch_many<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiFailure> {
        read(self.call(Method::Patch, path, Some(write(body)?), None).await?)
    }

    /// Puts in place of what was there, and still had this version where one is given.
    pub async fn put(&self, path: &str, version: Option<i64>, body: &impl Serialize) -> Result<(), ApiFailure> {
        self.call(Method::Put, path, Some(write(body)?), version).await.map(drop)
    }

    /// The same, and reads what came of it.
    pub async fn put_read<T: DeserializeOwned>(&self, path: &str, version: Option<i64>, body: &impl Serialize) -> Result<T, ApiFailure> {
        read(self.call(Method::Put, path, Some(write(body)?), version).await?)
    }

    /// Removes what has no version.
    pub async fn forget(&self, path: &str) -> Result<(), ApiFailure> {
        self.call(Method::Delete, path, None, None).await.map(drop)
    }

    /// Removes what still has this version.
    pub async fn delete(&self, path: &str, version: i64) -> Result<(), ApiFailure> {
        self.call(Method::Delete, path, None, Some(version)).await.map(drop)
    }

    /// Cookies that the answers so far want set; empty afterwards.
    pub fn take_cookies(&self) -> Vec<String> {
        std::mem::take(&mut *self.cookies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When to come back, where an answer so far said so.
    pub fn retry_after(&self) -> Option<u64> {
        *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>, if_match: Option<i64>) -> Result<Value, ApiFailure> {
        let request = ApiRequest { method, path: format!("/api/v1/{path}"), body, if_match };
        let mut answer = self.transport.call(request).await.map_err(|error| ApiFailure::new(502, "No answer", error.to_string()))?;
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner).append(&mut answer.set_cookie);
        if let Some(seconds) = answer.retry_after {
            *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = Some(seconds);
        }
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        let status = answer.status;
        Err(match serde_json::from_value::<Problem>(answer.body) {
            Ok(problem) => ApiFailure { status, problem: Box::new(problem) },
            Err(_) => ApiFailure::new(status, "The request failed", format!("The API answered {status} without saying why.")),
        })
    }
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, ApiFailure> {
    serde_json::from_value(body)
        .map_err(|error| ApiFailure::new(502, "Unexpected answer", format!("The API answered in an unexpected shape: {error}")))
}

fn write(body: &impl Serialize) -> Result<Value, ApiFailure> {
    serde_json::to_value(body).map_err(|error| ApiFailure::new(500, "Unexpected request", error.to_string()))
}
