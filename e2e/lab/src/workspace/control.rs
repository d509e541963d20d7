//! The workspace's switches, below `/workspace` of the control interface.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::oauth::Asked;
use super::press::{Answered, Press};
use super::{Workspace, WorkspaceFault, app::Manifest};
use crate::error::LabError;

type Shared = State<Arc<Workspace>>;
type Answer<T = Value> = Result<Json<T>, LabError>;

/// All of them.
pub fn routes(workspace: Arc<Workspace>) -> Router {
    Router::new()
        .route("/workspace", get(state))
        .route("/workspace/manifest", put(manifest))
        .route("/workspace/consent", post(consent))
        .route("/workspace/messages", get(messages).delete(remove))
        .route("/workspace/fault", put(fault))
        .route("/workspace/press", post(press))
        .route("/workspace/replay", post(replay))
        .route("/workspace/revoke", post(revoke))
        .route("/workspace/uninstall", post(uninstall))
        .with_state(workspace)
}

async fn state(State(workspace): Shared) -> Json<Value> {
    let app = workspace.app();
    let state = workspace.lock();
    Json(
        json!({ "app": app, "fault": state.fault, "channels": state.channels, "messages": state.messages, "calls": state.calls, "whispers": state.whispers }),
    )
}

/// The app's maker pastes its manifest, and Slack looks whether it answers.
async fn manifest(State(workspace): Shared, Json(value): Json<Value>) -> Answer {
    let manifest = Manifest::read(&value)?;
    workspace.verify(&manifest.events).await?;
    workspace.lock().manifest = Some(manifest);
    Ok(Json(json!({ "done": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    url: String,
    allow: bool,
}

/// A person without a browser answers the page that asks. Says where it sends them.
async fn consent(State(workspace): Shared, Json(consent): Json<Consent>) -> Answer {
    let url = consent.url.parse().map_err(|_| LabError::Invalid("no address".to_owned()))?;
    let asked = axum::extract::Query::<Asked>::try_from_uri(&url).map_err(|error| LabError::Invalid(error.to_string()))?.0;
    let to = workspace.decide(&asked, consent.allow).map_err(|wrong| LabError::Invalid(wrong.to_owned()))?;
    Ok(Json(json!({ "location": to })))
}

async fn messages(State(workspace): Shared) -> Json<Value> {
    Json(json!(workspace.lock().messages))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    channel: String,
    ts: String,
}

/// Somebody removes a message.
async fn remove(State(workspace): Shared, Json(which): Json<Which>) -> Answer {
    workspace.lock().messages.retain(|message| message.channel != which.channel || message.ts != which.ts);
    Ok(Json(json!({ "done": true })))
}

async fn fault(State(workspace): Shared, Json(fault): Json<WorkspaceFault>) -> Answer {
    workspace.fail(fault).await?;
    Ok(Json(json!({ "done": true })))
}

async fn press(State(workspace): Shared, Json(button): Json<Press>) -> Answer<Answered> {
    workspace.press(&button).await.map(Json)
}

async fn replay(State(workspace): Shared) -> Answer<Answered> {
    workspace.replay().await.map(Json)
}

/// The token is worth nothing from now on, and nobody says so.
async fn revoke(State(workspace): Shared) -> Answer {
    workspace.lock().token = None;
    Ok(Json(json!({ "done": true })))
}

async fn uninstall(State(workspace): Shared) -> Answer<Vec<Answered>> {
    workspace.uninstall().await.map(Json)
}
