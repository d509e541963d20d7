//! `slack`: adding the app to a workspace, the channels to choose from there, and taking it away. Admins decide on it, as on all channels. What
//! Slack tells us is `slack_requests.rs`.

use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use rand::RngCore as _;
use secrecy::SecretString;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tower_sessions::Session;
use waypost_store::{channels::SealedChannel, slack::AddInstall, slack::SlackToken};
use waypost_types::{
    page::List,
    problem::Problem,
    slack::{NewSlackInstall, SlackAuthorize, SlackChannel, SlackChannelId, SlackInstall, SlackState},
};
use waypost_worker::{
    SlackApp,
    slack::{SCOPES, SlackApi, SlackFailure, exchange, open_token, seal_token},
};

use crate::{
    http::{
        body::Body,
        org::{Manage, Member, Need, Read},
        page::Params,
        problem::ApiError,
        session,
    },
    state::AppState,
};

/// For how long a visitor may be away.
const AWAY: TimeDelta = TimeDelta::minutes(10);
const NOT_MADE: &str = "This installation has no Slack app: whoever runs it has to set WAYPOST_SLACK_CLIENT_ID, WAYPOST_SLACK_CLIENT_SECRET and \
                        WAYPOST_SLACK_SIGNING_SECRET. A Slack incoming webhook works without.";

/// Whether there is a Slack app, and the workspace that it was added to.
#[utoipa::path(get, path = "/v1/orgs/{org}/slack", tag = "slack", params(("org" = String, Path)),
    responses((status = 200, body = SlackState), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn get(State(state): State<AppState>, member: Member<Read>) -> Result<Json<SlackState>, ApiError> {
    let mut tx = member.tx().await?;
    let install = tx.slack_install().await?;
    tx.commit().await?;
    Ok(Json(SlackState { available: state.settings.slack.is_some(), install }))
}

/// Answers Slack's page that asks whether the app may be added. Who comes back from there within ten minutes, in this session, is believed once.
#[utoipa::path(post, path = "/v1/orgs/{org}/slack/authorize", tag = "slack", params(("org" = String, Path)),
    responses((status = 200, body = SlackAuthorize), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn authorize(State(state): State<AppState>, member: Member<Manage>, visitor: Session) -> Result<Json<SlackAuthorize>, ApiError> {
    let app = app(&state)?;
    state.seal("slack")?;
    state.limits.slack.take(&member.org.id.to_string())?;
    let mut random = [0_u8; 24];
    rand::rng().fill_bytes(&mut random);
    let sent = format!("{}.{}", URL_SAFE_NO_PAD.encode(random), member.org.slug);
    let mut tx = member.tx().await?;
    tx.add_slack_state(&Sha256::digest(&sent), &of_session(&visitor)?, state.net.now() + AWAY).await?;
    tx.commit().await?;
    let fields = [("client_id", app.client_id.as_str()), ("scope", SCOPES), ("redirect_uri", &callback(&state)), ("state", &sent)];
    let query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    Ok(Json(SlackAuthorize { url: format!("https://{}/oauth/v2/authorize?{}", state.settings.slack_host(), query.join("&")) }))
}

/// Exchanges what Slack sent the visitor back with for the bot's token, in the place of one that was there.
#[utoipa::path(post, path = "/v1/orgs/{org}/slack/install", tag = "slack", params(("org" = String, Path)), request_body = NewSlackInstall,
    responses((status = 200, body = SlackInstall), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn install(
    State(state): State<AppState>,
    member: Member<Manage>,
    visitor: Session,
    Body(new): Body<NewSlackInstall>,
) -> Result<Json<SlackInstall>, ApiError> {
    let app = app(&state)?;
    let seal = state.seal("slack")?;
    let mut tx = member.tx().await?;
    let known = tx.take_slack_state(&Sha256::digest(&new.state), &of_session(&visitor)?, state.net.now()).await?;
    tx.commit().await?;
    if !known {
        return Err(ApiError::field("state", "You were away for too long, or began in another browser. Add the app to Slack again."));
    }
    let granted = exchange(&api(&state), app, &new.code, &callback(&state)).await.map_err(|failure| in_words(&failure))?;
    let sealed = seal_token(seal, member.org.id, &granted.token).map_err(ApiError::internal)?;
    let add = AddInstall {
        team_id: &granted.team_id,
        team_name: &granted.team_name,
        bot_user: &granted.bot_user,
        sealed: &sealed,
        installed_by: &member.user.email,
    };
    let mut tx = member.tx().await?;
    let kept = tx.put_slack_install(&add, state.net.now()).await?;
    tx.commit().await?;
    Ok(Json(kept))
}

/// Forgets the workspace and its token. The app itself is removed in Slack.
#[utoipa::path(delete, path = "/v1/orgs/{org}/slack", tag = "slack", params(("org" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn delete(member: Member<Manage>) -> Result<StatusCode, ApiError> {
    let mut tx = member.tx().await?;
    if !tx.remove_slack_install().await? {
        return Err(ApiError::NotFound);
    }
    member.deleted(tx).await
}

/// Which channels.
#[derive(Debug, Deserialize)]
pub struct Which {
    #[serde(default)]
    name: String,
    #[serde(default)]
    cursor: String,
}

/// Channels of the workspace by name: public ones, and private ones that the app was invited to. `name` is a part of it.
#[utoipa::path(get, path = "/v1/orgs/{org}/slack/channels", tag = "slack",
    params(("org" = String, Path), ("name" = Option<String>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = List<SlackChannel>), (status = 403, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn channels(
    State(state): State<AppState>,
    member: Member<Manage>,
    Params(which): Params<Which>,
) -> Result<Json<List<SlackChannel>>, ApiError> {
    state.limits.slack.take(&member.org.id.to_string())?;
    let (token, opened) = token(&state, &member).await?;
    let cursor = Some(which.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let page = match api(&state).channels(&opened, &which.name, cursor).await {
        Ok(page) => page,
        Err(failure) => return Err(failed(&member, &token, &failure).await?),
    };
    Ok(Json(List { items: page.channels, next: page.next }))
}

/// A channel that somebody chose, as it is kept: Slack is asked whether there is one, and for its name.
pub(super) async fn chosen(state: &AppState, member: &Member<Manage>, text: &str) -> Result<(SlackChannelId, SealedChannel), ApiError> {
    let id: SlackChannelId = text.trim().parse().map_err(|error| ApiError::field("slack_channel", sentence(&format!("{error}"))))?;
    state.limits.slack.take(&member.org.id.to_string())?;
    let (token, opened) = token(state, member).await?;
    match api(state).channel(&opened, &id).await {
        Ok(found) => Ok((id, SealedChannel { sealed: Vec::new(), shown: format!("#{}", found.name) })),
        Err(failure) if failure.token_is_gone().is_none() && failure.word().is_some() => {
            Err(ApiError::field("slack_channel", sentence(&failure.to_string())))
        }
        Err(failure) => Err(failed(member, &token, &failure).await?),
    }
}

/// The bot's token, sealed and opened.
pub(super) async fn token<N: Need>(state: &AppState, member: &Member<N>) -> Result<(SlackToken, SecretString), ApiError> {
    let mut tx = member.tx().await?;
    let token = tx.slack_token().await?;
    tx.commit().await?;
    let token = token.filter(|token| token.gone.is_none()).ok_or_else(|| ApiError::field("slack", "Add the app to Slack first."))?;
    let opened =
        open_token(state.seal("slack")?, member.org.id, &token.sealed).map_err(|error| ApiError::field("slack", sentence(&error.to_string())))?;
    Ok((token, opened))
}

/// Keeps that a token is worth nothing, where that is why, and says what happened.
async fn failed<N: Need>(member: &Member<N>, token: &SlackToken, failure: &SlackFailure) -> Result<ApiError, ApiError> {
    if let Some(why) = failure.token_is_gone() {
        let mut tx = member.tx().await?;
        tx.slack_token_gone(token, why).await?;
        tx.commit().await?;
    }
    Ok(in_words(failure))
}

pub(super) fn api(state: &AppState) -> SlackApi {
    SlackApi::new(state.net.clone(), &state.settings.slack_api_url)
}

fn app(state: &AppState) -> Result<&SlackApp, ApiError> {
    state.settings.slack.as_ref().ok_or_else(|| ApiError::field("slack", NOT_MADE))
}

fn in_words(failure: &SlackFailure) -> ApiError {
    ApiError::field("slack", format!("Slack did not do it: {failure}."))
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str().trim_end_matches('.')))
}

fn callback(state: &AppState) -> String {
    format!("{}/slack/callback", state.settings.base_url)
}

fn of_session(visitor: &Session) -> Result<[u8; 32], ApiError> {
    visitor.id().map(|id| session::hash(&id)).ok_or(ApiError::Unauthenticated)
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
