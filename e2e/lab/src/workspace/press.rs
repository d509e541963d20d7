//! What the workspace tells the app: a button that was pressed, an app that was removed. It signs what it sends, or does it badly on purpose.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CLIENT_ID, SIGNING_SECRET, TEAM, Workspace, host, oauth::encoded, signing::sign};
use crate::error::LabError;

/// How a request is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// As Slack does.
    #[default]
    Fair,
    /// Rightly, six minutes ago.
    Stale,
    /// Rightly, six minutes from now.
    Early,
    /// With another secret.
    Forged,
    /// With the signature of another body.
    Changed,
    /// Not at all.
    Unsigned,
}

/// A button that is to be pressed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Press {
    channel: String,
    ts: String,
    action: String,
    /// Who presses.
    #[serde(default = "ada")]
    user: String,
    #[serde(default)]
    how: How,
    /// In another workspace's name.
    #[serde(default)]
    team: Option<String>,
    /// Also where the message shows no such button by now: somebody's screen is old.
    #[serde(default)]
    late: bool,
}

fn ada() -> String {
    "ada".to_owned()
}

/// A request as it went out.
#[derive(Debug, Clone)]
pub struct Sent {
    url: String,
    kind: &'static str,
    body: String,
    headers: Vec<(&'static str, String)>,
}

/// What the app answered.
#[derive(Debug, Serialize)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The text.
    pub body: String,
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}

fn signed(url: String, kind: &'static str, body: String, how: How) -> Sent {
    let at = match how {
        How::Stale => now() - 360,
        How::Early => now() + 360,
        _ => now(),
    };
    let signature = match how {
        How::Forged => sign("another-secret", at, &body),
        How::Changed => sign(SIGNING_SECRET, at, "payload=%7B%7D"),
        _ => sign(SIGNING_SECRET, at, &body),
    };
    let headers =
        if how == How::Unsigned { Vec::new() } else { vec![("x-slack-request-timestamp", at.to_string()), ("x-slack-signature", signature)] };
    Sent { url, kind, body, headers }
}

impl Workspace {
    /// Presses a button.
    pub(super) async fn press(&self, press: &Press) -> Result<Answered, LabError> {
        let (url, payload) = {
            let mut state = self.lock();
            let app = state.manifest.clone().ok_or_else(|| LabError::Invalid("there is no app: give the workspace its manifest".to_owned()))?;
            let nth = state.next_ts();
            let message = state.message(&press.channel, &press.ts).ok_or_else(|| LabError::NotFound(format!("message {}", press.ts)))?;
            let buttons = message
                .all_blocks()
                .into_iter()
                .filter(|block| block["type"] == "actions")
                .flat_map(|block| block["elements"].as_array().cloned().unwrap_or_default());
            let shown = buttons.into_iter().find(|button| button["action_id"] == press.action.as_str());
            if shown.is_none() && !press.late {
                return Err(LabError::NotFound(format!("a button {}", press.action)));
            }
            let team = press.team.as_deref().unwrap_or(TEAM);
            let container = json!({ "type": "message_attachment", "message_ts": message.ts, "attachment_id": 1, "channel_id": message.channel, "is_ephemeral": false });
            let text = shown.map_or(Value::Null, |button| button["text"].clone());
            let action = json!({ "action_id": press.action, "block_id": "b1", "type": "button", "text": text, "action_ts": nth });
            let payload = json!({
                "type": "block_actions", "api_app_id": "A0LAB00001", "token": "deprecated", "trigger_id": format!("1.2.{nth}"),
                "user": { "id": format!("U0LAB{}", press.user.to_uppercase()), "username": press.user, "name": press.user, "team_id": team },
                "team": { "id": team, "domain": "lab" }, "channel": { "id": message.channel, "name": "lab" }, "container": container,
                "message": message.clone(), "response_url": format!("https://{}/actions/{nth}", host()), "actions": [action],
            });
            (app.interactions, payload)
        };
        let body = format!("payload={}", encoded(&payload.to_string()));
        self.send(signed(url, "application/x-www-form-urlencoded", body, press.how)).await
    }

    /// Tells the app of an event.
    async fn event(&self, event: Value) -> Result<Answered, LabError> {
        let url = {
            let state = self.lock();
            let app = state.manifest.as_ref().ok_or_else(|| LabError::Invalid("there is no app".to_owned()))?;
            if !app.bot_events.iter().any(|wanted| event["type"] == wanted.as_str()) {
                return Ok(Answered { status: 0, body: "the app does not ask for it".to_owned() });
            }
            app.events.clone()
        };
        let body = json!({
            "type": "event_callback", "team_id": TEAM, "api_app_id": "A0LAB00001", "token": "deprecated", "event_id": format!("Ev{}", now()),
            "event_time": now(), "event": event,
        });
        self.send(signed(url, "application/json", body.to_string(), How::Fair)).await
    }

    /// Asks whether the app is where it says, as Slack does when somebody saves its address.
    pub(super) async fn verify(&self, url: &str) -> Result<(), LabError> {
        let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
        let body = json!({ "type": "url_verification", "challenge": challenge, "token": "deprecated" }).to_string();
        let answered = self.send(signed(url.to_owned(), "application/json", body, How::Fair)).await?;
        let said: Value = serde_json::from_str(&answered.body).unwrap_or_default();
        if answered.status == 200 && said["challenge"] == challenge {
            Ok(())
        } else {
            Err(LabError::Invalid(format!("{url} does not answer the challenge: {answered:?}")))
        }
    }

    /// Somebody removes the app: its token is worth nothing, and it hears of it.
    pub(super) async fn uninstall(&self) -> Result<Vec<Answered>, LabError> {
        self.lock().token = None;
        let revoked = self.event(json!({ "type": "tokens_revoked", "tokens": { "oauth": [], "bot": [super::BOT] } })).await?;
        Ok(vec![revoked, self.event(json!({ "type": "app_uninstalled" })).await?])
    }

    /// Sends what went out last, once more, to the letter.
    pub(super) async fn replay(&self) -> Result<Answered, LabError> {
        let last = self.lock().last.clone().ok_or_else(|| LabError::NotFound("a request that was sent".to_owned()))?;
        self.send(last).await
    }

    async fn send(&self, sent: Sent) -> Result<Answered, LabError> {
        self.lock().last = Some(sent.clone());
        let mut request =
            self.http.post(&sent.url).header("content-type", sent.kind).header("user-agent", "Slackbot 1.0 (+https://api.slack.com/robots)");
        for (name, value) in sent.headers {
            request = request.header(name, value);
        }
        let response = request.body(sent.body).send().await?;
        Ok(Answered { status: response.status().as_u16(), body: response.text().await? })
    }

    /// What an operator sets beside the manifest.
    pub(super) fn app(&self) -> Value {
        json!({ "client_id": CLIENT_ID, "team": TEAM, "installed": self.lock().token.is_some() })
    }
}

/// What the app says to whoever pressed a button.
pub async fn whisper(State(workspace): State<Arc<Workspace>>, Json(said): Json<Value>) -> &'static str {
    let mut state = workspace.lock();
    if state.whispers.len() < super::MAX_KEPT {
        state.whispers.push(said);
    }
    "ok"
}
