//! Forgotten passwords: `POST auth/forgot` answers everybody the same, `POST auth/reset` uses the link of the mail.

use axum::{extract::State, http::StatusCode};
use chrono::{Duration, Utc};
use waypost_render::mail::password_reset;
use waypost_store::account_tokens::TokenPurpose;
use waypost_types::{
    EmailAddress,
    account::{ForgotPassword, ResetPassword},
    problem::Problem,
};

use crate::{
    api::verification::{new_token, send, token_hash},
    http::{body::Body, client::ClientAddress, problem::ApiError},
    passwords::Passwords,
    state::AppState,
};

const RESET_HOURS: i64 = 1;

/// Mails a link to choose another password, when there is such an account.
#[utoipa::path(post, path = "/v1/auth/forgot", tag = "auth", request_body = ForgotPassword,
    responses((status = 202), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn forgot(State(state): State<AppState>, client: ClientAddress, Body(given): Body<ForgotPassword>) -> Result<StatusCode, ApiError> {
    let email: EmailAddress = given.email.parse().map_err(|error: waypost_types::NameError| ApiError::field("email", error.to_string()))?;
    state.limits.account_mail.take(&client.key())?;
    if let Some(account) = state.store.account_by_email(&email).await? {
        // Nobody's mailbox is filled from many addresses either; that this account's limit is reached is not told.
        if state.limits.account_mail.take(&account.user.id.to_string()).is_ok() {
            let token = new_token(&state, account.user.id, TokenPurpose::Reset, Duration::hours(RESET_HOURS)).await?;
            send(&state, &account.user.email, password_reset(&format!("{}/reset?token={token}", state.settings.base_url))).await?;
        }
    }
    Ok(StatusCode::ACCEPTED)
}

/// Sets another password and ends every session of the account.
#[utoipa::path(post, path = "/v1/auth/reset", tag = "auth", request_body = ResetPassword,
    responses((status = 204), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn reset(State(state): State<AppState>, client: ClientAddress, Body(given): Body<ResetPassword>) -> Result<StatusCode, ApiError> {
    state.limits.links.take(&client.key())?;
    // A password that is refused must not use up the link.
    Passwords::judge(&given.password, None)?;
    let user = state.store.take_account_token(&token_hash(&given.token), TokenPurpose::Reset, Utc::now()).await?;
    let user = user.ok_or_else(|| ApiError::field("token", "This link was used already or is too old. Ask for another."))?;
    let hash = state.passwords.hash(given.password).await?;
    state.store.reset_password(user, &hash).await?;
    tracing::info!(%user, "password reset");
    Ok(StatusCode::NO_CONTENT)
}
