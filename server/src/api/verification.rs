//! Proving that an address is theirs: `POST auth/verify` and `auth/verify/resend`.

use axum::{extract::State, http::StatusCode};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{Duration, Utc};
use sha2::{Digest, Sha256};
use waypost_render::mail::{Mail, verification};
use waypost_store::{account_tokens::TokenPurpose, outbox::MailBody};
use waypost_types::{
    UserId,
    account::{User, VerifyEmail},
    problem::Problem,
};

use crate::{
    http::{body::Body, client::ClientAddress, problem::ApiError, session::SignedIn},
    state::AppState,
};

const VERIFY_HOURS: i64 = 24;

/// Uses up the link of a verification mail.
#[utoipa::path(post, path = "/v1/auth/verify", tag = "auth", request_body = VerifyEmail,
    responses((status = 204), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn verify(State(state): State<AppState>, client: ClientAddress, Body(given): Body<VerifyEmail>) -> Result<StatusCode, ApiError> {
    state.limits.links.take(&client.key())?;
    let user = state.store.take_account_token(&token_hash(&given.token), TokenPurpose::Verify, Utc::now()).await?;
    let user = user.ok_or_else(|| ApiError::field("token", "This link was used already or is too old. Ask for another."))?;
    state.store.verify_email(user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mails another verification link to the person who is signed in.
#[utoipa::path(post, path = "/v1/auth/verify/resend", tag = "auth", responses((status = 202), (status = 401, body = Problem), (status = 429, body = Problem)))]
pub async fn resend(State(state): State<AppState>, SignedIn(id): SignedIn, client: ClientAddress) -> Result<StatusCode, ApiError> {
    let user = state.store.user(id).await?.ok_or(ApiError::Unauthenticated)?;
    state.limits.account_mail.take(&client.key())?;
    state.limits.account_mail.take(&id.to_string())?;
    if !user.email_verified {
        send_verification(&state, &user).await?;
    }
    Ok(StatusCode::ACCEPTED)
}

/// Mails the link that proves the address.
pub async fn send_verification(state: &AppState, user: &User) -> Result<(), ApiError> {
    let token = new_token(state, user.id, TokenPurpose::Verify, Duration::hours(VERIFY_HOURS)).await?;
    send(state, &user.email, verification(&format!("{}/verify?token={token}", state.settings.base_url))).await
}

/// A secret for a link; only its hash is kept.
pub async fn new_token(state: &AppState, user: UserId, purpose: TokenPurpose, valid: Duration) -> Result<String, ApiError> {
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    state.store.create_account_token(&token_hash(&token), user, purpose, Utc::now() + valid).await?;
    Ok(token)
}

/// What is kept of a link's secret.
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.trim().as_bytes()).into()
}

/// Puts an account mail in the outbox.
pub async fn send(state: &AppState, recipient: &str, mail: Mail) -> Result<(), ApiError> {
    let body = MailBody { subject: mail.subject, text: mail.text, html: mail.html };
    state.store.enqueue_account_mail(recipient, &body, &state.settings.mail_domain).await?;
    Ok(())
}
