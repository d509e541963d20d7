//! Cookie sessions: the store under tower-sessions, and the extractor that says who is signed in.

use std::{future::Future, pin::Pin};

use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::{SameSite, time},
    session::{Id, Record},
    session_store::{Error, Result},
};
use waypost_store::Store;
use waypost_types::UserId;

use crate::http::problem::{ApiError, chain};

/// Name of the cookie.
pub const COOKIE: &str = "waypost_session";
const DAYS: i64 = 14;
const KEY: &str = "signed_in";

/// Sessions in PostgreSQL, found by the hash of their id.
#[derive(Debug, Clone)]
pub struct PgSessions(pub Store);

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl SessionStore for PgSessions {
    fn create<'a, 'b, 'c>(&'a self, record: &'b mut Record) -> Answer<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            for _ in 0..4 {
                let (user, data, until) = columns(record)?;
                if self.0.create_session(&hash(&record.id), user, &data, until).await.map_err(backend)? {
                    return Ok(());
                }
                record.id = Id::default();
            }
            Err(Error::Backend("no free session id".to_owned()))
        })
    }

    fn save<'a, 'b, 'c>(&'a self, record: &'b Record) -> Answer<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            let (user, data, until) = columns(record)?;
            self.0.save_session(&hash(&record.id), user, &data, until).await.map_err(backend)
        })
    }

    fn load<'a, 'b, 'c>(&'a self, id: &'b Id) -> Answer<'c, Option<Record>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            let Some((data, until)) = self.0.load_session(&hash(id), Utc::now()).await.map_err(backend)? else { return Ok(None) };
            let data = serde_json::from_value(data).map_err(|error| Error::Decode(error.to_string()))?;
            let expiry_date = time::OffsetDateTime::from_unix_timestamp(until.timestamp()).map_err(|error| Error::Decode(error.to_string()))?;
            Ok(Some(Record { id: *id, data, expiry_date }))
        })
    }

    fn delete<'a, 'b, 'c>(&'a self, id: &'b Id) -> Answer<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move { self.0.delete_session(&hash(id)).await.map_err(backend) })
    }
}

/// What a session is known by where its id must not be kept.
pub(crate) fn hash(id: &Id) -> [u8; 32] {
    Sha256::digest(id.0.to_le_bytes()).into()
}

fn columns(record: &Record) -> Result<(Option<UserId>, serde_json::Value, DateTime<Utc>)> {
    let user = record.data.get(KEY).and_then(|value| serde_json::from_value::<Mark>(value.clone()).ok()).map(|mark| mark.user);
    let data = serde_json::to_value(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
    let until = DateTime::from_timestamp(record.expiry_date.unix_timestamp(), 0).unwrap_or_else(Utc::now);
    Ok((user, data, until))
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn backend(error: waypost_store::StoreError) -> Error {
    Error::Backend(chain(&error))
}

/// The layer that carries sessions in cookies. Secure wherever the pages are https.
pub fn layer(store: Store, secure: bool) -> SessionManagerLayer<PgSessions> {
    SessionManagerLayer::new(PgSessions(store))
        .with_name(COOKIE)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(secure)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(time::Duration::days(DAYS)))
}

/// What a session says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Mark {
    user: UserId,
    at: DateTime<Utc>,
}

/// Signs a person in: under another session id, so that one that was planted before is worth nothing.
pub async fn sign_in(session: &Session, user: UserId) -> std::result::Result<(), ApiError> {
    session.cycle_id().await?;
    session.insert(KEY, Mark { user, at: Utc::now() }).await?;
    Ok(())
}

/// Who is signed in, if anybody is.
#[derive(Debug, Clone, Copy)]
pub struct MaybeSignedIn(pub Option<UserId>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeSignedIn {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, ApiError> {
        match SignedIn::from_request_parts(parts, state).await {
            Ok(SignedIn(user)) => Ok(Self(Some(user))),
            Err(ApiError::Unauthenticated) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

/// Who is signed in. 401 when nobody is.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn(pub UserId);

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, ApiError> {
        let session = parts.extensions.get::<Session>().cloned().ok_or(ApiError::Unauthenticated)?;
        let mark: Mark = session.get(KEY).await?.ok_or(ApiError::Unauthenticated)?;
        // The 14 days start anew once a day, not with a write per request.
        let now = Utc::now();
        if now - mark.at > chrono::Duration::days(1) {
            session.insert(KEY, Mark { at: now, ..mark }).await?;
        }
        Ok(Self(mark.user))
    }
}
