//! `POST auth/login` and `auth/logout`. Guessing is slowed down by account and by address, without locking anybody else out.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{SubsecRound as _, Utc};
use sha2::{Digest, Sha256};
use tower_sessions::Session;
use waypost_store::throttle::ThrottleKey;
use waypost_types::{
    EmailAddress,
    account::{Login, SignedIn},
    problem::Problem,
};

use crate::{
    http::{body::Body, client::ClientAddress, problem::ApiError, session::sign_in},
    state::AppState,
};

/// Guesses of one visitor at one account that cost nothing.
const FREE_BY_PAIR: i32 = 5;
/// Guesses of everybody at one account that cost nothing. Beyond them strangers wait a little; whoever signed in to it from their address
/// before does not.
const FREE_BY_ACCOUNT: i32 = 20;
/// Guesses of one visitor at all accounts that cost nothing.
const FREE_BY_ADDRESS: i32 = 50;
const LONGEST_WAIT_S: i32 = 900;
const LONGEST_ACCOUNT_WAIT_S: i32 = 30;

/// Signs in.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", request_body = Login,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn login(
    State(state): State<AppState>,
    client: ClientAddress,
    session: Session,
    Body(given): Body<Login>,
) -> Result<Json<SignedIn>, ApiError> {
    let email: EmailAddress = given.email.parse().map_err(|error: waypost_types::NameError| ApiError::field("email", error.to_string()))?;
    if given.password.is_empty() || given.password.len() > 1024 {
        return Err(ApiError::WrongCredentials);
    }
    let keys = Keys::of(&email, client);
    let guarded = keys.throttles(state.store.is_friend(&keys.friend).await?);
    // PostgreSQL keeps microseconds.
    let now = Utc::now().trunc_subsecs(6);
    if let Some(until) = state.store.take_attempt(&guarded, now).await? {
        return Err(ApiError::TooMany { seconds: u64::try_from((until - now).num_seconds()).unwrap_or_default() + 1 });
    }
    let account = state.store.account_by_email(&email).await?;
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let matches = state.passwords.matches(given.password, hash).await?;
    let Some(account) = account.filter(|_| matches) else { return Err(ApiError::WrongCredentials) };
    state.store.attempt_succeeded(std::slice::from_ref(&keys.pair), &[keys.account.clone(), keys.address.clone()], now).await?;
    state.store.remember_friend(&keys.friend, now).await?;
    sign_in(&session, account.user.id).await?;
    let org = state.store.memberships_of(account.user.id).await?.into_iter().next();
    Ok(Json(SignedIn { user: account.user, org }))
}

/// Signs out: the session ends here and now.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", responses((status = 204)))]
pub async fn logout(session: Session) -> Result<StatusCode, ApiError> {
    session.flush().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The names that attempts are counted under: hashes, since the table should name nobody.
struct Keys {
    account: String,
    address: String,
    pair: String,
    friend: String,
}

impl Keys {
    fn of(email: &EmailAddress, client: ClientAddress) -> Self {
        let hash = |parts: &[&str]| {
            let digest = Sha256::digest(parts.join("\n").as_bytes());
            digest.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
        };
        let (email, address) = (email.key(), client.key());
        Self {
            account: format!("account:{}", hash(&[&email])),
            address: format!("address:{}", hash(&[&address])),
            pair: format!("pair:{}", hash(&[&email, &address])),
            friend: format!("friend:{}", hash(&[&email, &address])),
        }
    }

    fn throttles(&self, friend: bool) -> Vec<ThrottleKey> {
        let key = |key: &str, free: i32, longest_s: i32| ThrottleKey { key: key.to_owned(), free, longest_s };
        let mut keys = vec![key(&self.address, FREE_BY_ADDRESS, LONGEST_WAIT_S), key(&self.pair, FREE_BY_PAIR, LONGEST_WAIT_S)];
        if !friend {
            keys.push(key(&self.account, FREE_BY_ACCOUNT, LONGEST_ACCOUNT_WAIT_S));
        }
        keys
    }
}
