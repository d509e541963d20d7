//! Errors as the API tells them: RFC 9457 problems. A person reads what happened and what to do; the log gets the cause chain.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use waypost_store::StoreError;
use waypost_types::problem::FieldError;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody is signed in.
    #[error("Sign in first.")]
    Unauthenticated,
    /// Address or password is wrong; which of the two is not told.
    #[error("Email address or password is wrong.")]
    WrongCredentials,
    /// The role is not enough.
    #[error("Your role, {have}, may not do this: it needs {need}. Ask an admin of the organisation.")]
    Forbidden {
        /// The caller's role.
        have: &'static str,
        /// The role it takes.
        need: &'static str,
    },
    /// Not allowed, for another reason.
    #[error("{0}")]
    Refused(&'static str),
    /// The request came from another site.
    #[error("This request came from another site. Open the page again and retry from there.")]
    CrossSite,
    /// No such thing, or not yours.
    #[error("There is nothing here, or it is not yours to see.")]
    NotFound,
    /// The path knows other methods only.
    #[error("This address does not know the method.")]
    MethodNotAllowed,
    /// It exists already.
    #[error("{message}")]
    Conflict {
        /// The field at fault.
        field: &'static str,
        /// What to do.
        message: String,
        /// Id of the one that exists.
        existing: Option<String>,
    },
    /// The body's values can not be used.
    #[error("The request can not be carried out as it is: see the fields.")]
    Invalid(Vec<FieldError>),
    /// The body is no JSON.
    #[error("The body is not valid JSON: {0}")]
    Malformed(String),
    /// The query string can not be used.
    #[error("The query string can not be used: {0}")]
    BadQuery(String),
    /// The body is too large.
    #[error("This is too large: at most {} KiB are taken.", crate::http::body::MAX_BODY / 1024)]
    TooLarge,
    /// The body is of another kind.
    #[error("Send the body as application/json.")]
    UnsupportedMediaType,
    /// Somebody else changed it meanwhile.
    #[error("It was changed meanwhile. Load it again and repeat your change.")]
    Stale,
    /// A header can not be used.
    #[error("{0}")]
    BadHeader(&'static str),
    /// A plan's limit is reached.
    #[error("The limit of {limit} {what} is reached.")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// How many.
        limit: i64,
    },
    /// The limit is reached that holds until an owner has confirmed their email address.
    #[error("The limit of {limit} monitors until an owner confirms their email address is reached.")]
    Unconfirmed {
        /// How many.
        limit: i64,
    },
    /// Too often.
    #[error("Too many attempts. Try again in {seconds} s.")]
    TooMany {
        /// How long to wait.
        seconds: u64,
    },
    /// Too much is asked of us at once.
    #[error("Too much is asked for right now. Try again in {seconds} s.")]
    Busy {
        /// How long to wait.
        seconds: u64,
    },
    /// The body did not arrive, or the work did not end, in time.
    #[error("The request took too long.")]
    TooSlow,
    /// The database does not answer.
    #[error("The database does not answer right now. Try again in a moment.")]
    Unavailable(#[source] StoreError),
    /// A bug or a fault of ours.
    #[error("Something went wrong on our side. It was logged.")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    /// A field at fault.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    /// A fault of ours.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// Something that is watched already.
    pub fn exists(field: &'static str, what: &str, existing: impl std::fmt::Display) -> Self {
        Self::Conflict { field, message: format!("{what} is watched already."), existing: Some(existing.to_string()) }
    }

    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in"),
            Self::WrongCredentials => (StatusCode::UNAUTHORIZED, "wrong-credentials", "Wrong credentials"),
            Self::Forbidden { .. } | Self::Refused(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross-site", "Request from another site"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
            Self::Conflict { .. } => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid values"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "Malformed body"),
            Self::BadQuery(_) => (StatusCode::BAD_REQUEST, "bad-query", "Unusable query"),
            Self::BadHeader(_) => (StatusCode::BAD_REQUEST, "bad-header", "Unusable header"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type"),
            Self::Stale => (StatusCode::PRECONDITION_FAILED, "stale", "Changed meanwhile"),
            Self::Limit { .. } => (StatusCode::FORBIDDEN, "limit", "Limit reached"),
            Self::Unconfirmed { .. } => (StatusCode::FORBIDDEN, "unconfirmed", "Limit reached"),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many attempts"),
            Self::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy"),
            Self::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, "too-slow", "Too slow"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            StoreError::Stale => Self::Stale,
            StoreError::Limit { what, limit } => Self::Limit { what, limit },
            StoreError::Unconfirmed { limit } => Self::Unconfirmed { limit },
            StoreError::Conflict(field) => Self::Conflict { field, message: "That is taken already.".to_owned(), existing: None },
            StoreError::Database(_) if error.is_collision() => Self::Busy { seconds: 1 },
            StoreError::Database(_) => Self::Unavailable(error),
            StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<tower_sessions::session::Error> for ApiError {
    fn from(error: tower_sessions::session::Error) -> Self {
        match error {
            tower_sessions::session::Error::Store(tower_sessions::session_store::Error::Backend(reason)) => {
                Self::Unavailable(StoreError::Corrupt(reason))
            }
            other => Self::internal(other),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, kind, title) = self.parts();
        match &self {
            Self::Internal(source) => tracing::error!(error = chain(source.as_ref()), "request failed"),
            Self::Unavailable(source) => tracing::warn!(error = chain(source), "the database did not answer a request"),
            _ => {}
        }
        let mut problem = json!({ "type": format!("/problems/{kind}"), "title": title, "status": status.as_u16(), "detail": self.to_string() });
        let mut extend = |key: &str, value: Value| {
            if let Some(fields) = problem.as_object_mut() {
                fields.insert(key.to_owned(), value);
            }
        };
        let mut retry_after = None;
        match self {
            Self::Invalid(errors) => extend("errors", json!(errors)),
            Self::Conflict { field, message, existing } => {
                extend("errors", json!([{ "field": field, "message": message }]));
                if let Some(existing) = existing {
                    extend("existing", Value::String(existing));
                }
            }
            Self::TooMany { seconds } | Self::Busy { seconds } => retry_after = Some(seconds),
            Self::Unavailable(_) => retry_after = Some(2),
            _ => {}
        }
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An error with its causes, for logs.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
