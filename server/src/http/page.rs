//! Lists: how many, from where on, and the opaque cursor to the next page.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use waypost_types::page::List;

use crate::http::problem::ApiError;

/// Items of a page when nobody said otherwise.
pub const DEFAULT_LIMIT: u32 = 50;
/// Items of a page at most.
pub const MAX_LIMIT: u32 = 200;

/// A query string that answers with a problem when it can not be used.
#[derive(Debug, Clone)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Query::try_from_uri(&parts.uri).map(|Query(value)| Self(value)).map_err(|rejection| ApiError::BadQuery(rejection.body_text()))
    }
}

/// `limit` and `cursor` of a list.
#[derive(Debug, Clone)]
pub struct Page {
    limit: u32,
    cursor: Option<String>,
    /// Only what has this tag.
    pub tag: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    limit: Option<u32>,
    cursor: Option<String>,
    tag: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Params(raw) = Params::<Raw>::from_request_parts(parts, state).await?;
        let limit = raw.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::field("limit", format!("Give a number from 1 to {MAX_LIMIT}.")));
        }
        // A tag that can not be has nothing; it is asked for as it is kept.
        let tag = raw.tag.map(|tag| tag.trim().to_lowercase()).filter(|tag| !tag.is_empty());
        if tag.as_ref().is_some_and(|tag| tag.contains(char::is_control)) {
            return Err(ApiError::field("tag", "Leave control characters out."));
        }
        Ok(Self { limit, tag, cursor: raw.cursor.filter(|cursor| !cursor.is_empty()) })
    }
}

impl Page {
    /// Rows to ask for: one more than is shown, which tells whether there is a next page.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The sort key behind which the page starts.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, ApiError> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        // However a cursor is broken, the answer is the same: it is not one of ours.
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        // PostgreSQL has no text with a zero in it, and nor have our keys.
        let bytes = bytes.filter(|bytes| !bytes.windows(6).any(|part| part == b"\\u0000"));
        let key = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        key.map(Some).ok_or_else(|| ApiError::field("cursor", "Give a cursor as a list answered it."))
    }

    /// The page, with the cursor that `key` of its last item makes.
    pub fn list<T, K: Serialize>(&self, mut items: Vec<T>, key: impl Fn(&T) -> K) -> Result<List<T>, ApiError> {
        let more = items.len() > self.limit as usize;
        items.truncate(self.limit as usize);
        let next = match items.last().filter(|_| more) {
            Some(last) => Some(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&key(last)).map_err(ApiError::internal)?)),
            None => None,
        };
        Ok(List { items, next })
    }
}
