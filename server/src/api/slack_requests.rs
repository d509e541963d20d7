//! What Slack tells us: a button that was pressed in a message, an app that was removed. The signature is the door: whose message it is is looked
//! up afterwards, and what is done is what the API does.

use std::{collections::HashMap, time::Duration};

use axum::{
    Form, Json,
    body::Body,
    extract::{FromRequest as _, Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use waypost_engine::net::{HttpPost, check_url};
use waypost_store::{StoreError, incidents::IncidentChange};
use waypost_types::{
    IncidentId,
    incident::{Incident, IncidentStatus, MuteFor},
    problem::Problem,
};

use crate::{
    http::{
        problem::ApiError,
        slack::{OurMessage, Signed},
    },
    state::AppState,
};

/// Slack waits three seconds for an answer.
const ANSWER: Duration = Duration::from_millis(2_500);
const MOST_NAME: usize = 60;
const HOUR: TimeDelta = TimeDelta::hours(1);

/// A button that was pressed (`block_actions`). Of what else Slack sends there is nothing to do.
#[derive(Debug, Deserialize)]
struct Pressed {
    #[serde(rename = "type")]
    kind: String,
    team: Option<Named>,
    user: Option<Named>,
    container: Option<Container>,
    #[serde(default)]
    actions: Vec<Action>,
    response_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Named {
    id: String,
    name: Option<String>,
    username: Option<String>,
    team_id: Option<String>,
    enterprise_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Container {
    message_ts: Option<String>,
    channel_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Action {
    action_id: String,
}

/// What a button asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Acknowledge,
    Resolve,
    Mute,
}

impl Asked {
    fn of(action: &str) -> Option<Self> {
        match action {
            "acknowledge" => Some(Self::Acknowledge),
            "resolve" => Some(Self::Resolve),
            "mute_1h" => Some(Self::Mute),
            _ => None,
        }
    }

    const fn change(self, actor: &str) -> IncidentChange<'_> {
        let (status, mute) = match self {
            Self::Acknowledge => (Some(IncidentStatus::Acknowledged), None),
            Self::Resolve => (Some(IncidentStatus::Resolved), None),
            Self::Mute => (None, Some(MuteFor::Hour)),
        };
        IncidentChange { status, mute, comment: None, root_cause: None, actor }
    }

    /// Whether there is something left to do.
    fn is_open_to(self, incident: &Incident, now: DateTime<Utc>) -> bool {
        let lasts = incident.status != IncidentStatus::Resolved;
        match self {
            Self::Acknowledge => incident.status == IncidentStatus::Open,
            Self::Resolve => lasts,
            // A mute is not made shorter.
            Self::Mute => lasts && incident.mute.as_ref().is_none_or(|mute| mute.until.is_some_and(|until| until <= now + HOUR)),
        }
    }
}

/// A button of a message in Slack was pressed. Slack signs the request; each signature is taken once.
#[utoipa::path(post, path = "/v1/slack/interactions", tag = "slack",
    responses((status = 200), (status = 401, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem)))]
pub async fn interactions(State(state): State<AppState>, signed: Signed) -> Result<StatusCode, ApiError> {
    let pressed = pressed(&signed).await?;
    let done = tokio::time::timeout(ANSWER, act(&state, &signed, &pressed)).await.map_err(|_| ApiError::TooSlow)??;
    if let (Some(words), Some(url)) = (done, pressed.response_url.as_deref().and_then(|url| reply_address(&state, url))) {
        let net = state.net.clone();
        let body = json!({ "response_type": "ephemeral", "replace_original": false, "text": words }).to_string();
        // After the answer, which Slack waits for; it ends by itself.
        tokio::spawn(async move {
            if let Err(failure) = net.https_post(&HttpPost { url, headers: Vec::new(), body }).await {
                tracing::debug!(%failure, "nobody was told that a button did nothing");
            }
        });
    }
    Ok(StatusCode::OK)
}

/// Something happened in a workspace: the app was removed, or its token revoked. Signed in the same way.
#[utoipa::path(post, path = "/v1/slack/events", tag = "slack",
    responses((status = 200), (status = 401, body = Problem), (status = 404, body = Problem), (status = 429, body = Problem)))]
pub async fn events(State(state): State<AppState>, signed: Signed) -> Result<Response, ApiError> {
    let body: Value = serde_json::from_slice(&signed.0).map_err(|error| ApiError::Malformed(error.to_string()))?;
    if body["type"] == "url_verification" {
        return Ok(Json(json!({ "challenge": body["challenge"] })).into_response());
    }
    let at = body["event_time"].as_i64().and_then(|at| DateTime::from_timestamp(at, 0)).unwrap_or_else(Utc::now);
    let why = match body["event"]["type"].as_str() {
        Some("app_uninstalled") => Some("app_uninstalled"),
        Some("tokens_revoked") if body["event"]["tokens"]["bot"].as_array().is_some_and(|bots| !bots.is_empty()) => Some("token_revoked"),
        _ => None,
    };
    if let (Some(why), Some(team)) = (why, body["team_id"].as_str()) {
        let gone = state.store.slack_team_gone(team, why, at).await?;
        tracing::info!(why, gone, "a workspace of Slack lets the app in no more");
    }
    Ok(StatusCode::OK.into_response())
}

async fn pressed(signed: &Signed) -> Result<Pressed, ApiError> {
    let mut form = Request::new(Body::from(signed.0.clone()));
    *form.method_mut() = Method::POST;
    form.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-www-form-urlencoded"));
    let fields = Form::<HashMap<String, String>>::from_request(form, &()).await.map_err(|error| ApiError::Malformed(error.to_string()))?;
    let payload = fields.get("payload").map(String::as_str).unwrap_or_default();
    serde_json::from_str(payload).map_err(|error| ApiError::Malformed(error.to_string()))
}

/// Does what the button asks for. Answers what is to be said to whoever pressed it, where nothing could be done.
async fn act(state: &AppState, signed: &Signed, pressed: &Pressed) -> Result<Option<&'static str>, ApiError> {
    let asked = pressed.actions.first().and_then(|action| Asked::of(&action.action_id)).filter(|_| pressed.kind == "block_actions");
    let place = pressed.container.as_ref().and_then(|container| Some((container.channel_id.as_deref()?, container.message_ts.as_deref()?)));
    let (Some(asked), Some((channel, ts)), Some(team), Some(user)) = (asked, place, &pressed.team, &pressed.user) else { return Ok(None) };
    let Some(message) = OurMessage::find(state, signed, &team.id, channel, ts).await? else {
        return Ok(Some("Waypost does not know this message any more. Open the incident in Waypost instead."));
    };
    // A channel may be shared with another company, whose people see the buttons, too. Workspaces of one company are one.
    if team.enterprise_id.is_none() && user.team_id.as_ref().is_some_and(|of| *of != team.id) {
        return Ok(Some("Only people of the workspace that added Waypost can use its buttons."));
    }
    let actor = actor(user);
    let (mut tx, about) = message.tx().await?;
    tx.lock_monitors_of_incidents(&about).await?;
    let now = state.net.now();
    let mut done: Vec<IncidentId> = Vec::new();
    for id in about {
        let incident = match tx.incident(id).await {
            Ok(incident) => incident,
            Err(StoreError::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        if !asked.is_open_to(&incident, now) {
            continue;
        }
        match tx.update_incident(id, None, asked.change(&actor), now).await {
            Ok(_) => done.push(id),
            // Somebody was quicker.
            Err(StoreError::Conflict(_) | StoreError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    tx.commit().await?;
    if done.is_empty() {
        return Ok(Some(match asked {
            Asked::Acknowledge => "Somebody was quicker: it is acknowledged already, or over.",
            Asked::Resolve => "It is over already.",
            Asked::Mute => "It is over already, or muted for longer.",
        }));
    }
    let org = message.org;
    state.overviews.changed(org);
    tracing::info!(%org, incidents = done.len(), ?asked, "a button was pressed in Slack");
    Ok(None)
}

/// As the timeline names them: what they call themselves in Slack, which is nobody's proof.
fn actor(user: &Named) -> String {
    let name = user.name.as_deref().or(user.username.as_deref()).unwrap_or(&user.id);
    let name: String = name.chars().filter(|c| !c.is_control()).take(MOST_NAME).collect();
    format!("{} (Slack)", name.trim())
}

/// Slack's own hosts only: the address came from outside.
fn reply_address(state: &AppState, url: &str) -> Option<String> {
    let url = check_url(url).ok()?;
    let host = url.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
    let slack = state.settings.slack_host();
    let is_slacks = host == slack || host.strip_suffix(slack).is_some_and(|rest| rest.ends_with('.'));
    is_slacks.then_some(url)
}
