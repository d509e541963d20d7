//! The Web API (<https://docs.slack.dev/apis/web-api/>): the methods that the product calls, with Slack's words for what it refuses.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

use super::{BOT, Call, Channel, MAX_KEPT, Posted, TEAM, TEAM_NAME, Workspace, blocks};

type Answer = Result<Value, &'static str>;

/// One call.
pub async fn call(State(workspace): State<Arc<Workspace>>, Path(method): Path<String>, request: Request) -> Json<Value> {
    let headers = request.headers().clone();
    let given = given(request, &headers).await;
    let answer = given.as_ref().map_err(|wrong| *wrong).and_then(|given| workspace.method(&method, bearer(&headers), given));
    let mut shown = given.unwrap_or_default();
    for secret in ["client_secret", "code", "token"] {
        if let Some(value) = shown.get_mut(secret) {
            *value = json!("…");
        }
    }
    let word = answer.as_ref().err().map_or("ok", |wrong| wrong).to_owned();
    workspace.lock().keep(Call { method, given: shown, answer: word });
    Json(answer.unwrap_or_else(|wrong| json!({ "ok": false, "error": wrong })))
}

async fn given(request: Request, headers: &HeaderMap) -> Result<Value, &'static str> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        return Json::<Value>::from_request(request, &()).await.map(|Json(value)| value).map_err(|_| "invalid_json");
    }
    let form = axum::Form::<HashMap<String, String>>::from_request(request, &()).await.map_err(|_| "invalid_form_data")?;
    Ok(json!(form.0))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

impl Workspace {
    fn method(&self, method: &str, token: Option<&str>, given: &Value) -> Answer {
        if method == "oauth.v2.access" {
            return self.access(given);
        }
        let token = token.ok_or("not_authed")?;
        match self.lock().token.as_deref() {
            Some(good) if good == token => {}
            // It was one of ours.
            _ if token.starts_with("xoxb-1000000001-lab-") => return Err("token_revoked"),
            _ => return Err("invalid_auth"),
        }
        match method {
            "auth.test" => Ok(json!({ "ok": true, "team": TEAM_NAME, "team_id": TEAM, "user_id": BOT, "bot_id": "B0LAB00001" })),
            "conversations.list" => self.list(given),
            "conversations.info" => self.lock().channel(given).map(|channel| json!({ "ok": true, "channel": channel })),
            "chat.postMessage" => self.post(given),
            "chat.update" => self.update(given),
            _ => Err("unknown_method"),
        }
    }

    /// A page holds what is left of so many channels, and may hold none while there are more.
    fn list(&self, given: &Value) -> Answer {
        let text = |name: &str| given[name].as_str().unwrap_or_default();
        let limit = text("limit").parse::<usize>().unwrap_or(100).clamp(1, 1_000);
        let from = match text("cursor") {
            "" => 0,
            cursor => cursor.strip_prefix("dGVhbTpD").and_then(|at| at.parse::<usize>().ok()).ok_or("invalid_cursor")?,
        };
        let types = if text("types").is_empty() { "public_channel" } else { text("types") };
        let state = self.lock();
        let kind = |channel: &Channel| if channel.is_private { "private_channel" } else { "public_channel" };
        let seen = |channel: &&Channel| {
            types.split(',').any(|one| one == kind(channel))
                && (!channel.is_private || channel.is_member)
                && !(text("exclude_archived") == "true" && channel.is_archived)
        };
        let page: Vec<&Channel> = state.channels.iter().skip(from).take(limit).filter(seen).collect();
        let next = if from + limit < state.channels.len() { format!("dGVhbTpD{}", from + limit) } else { String::new() };
        Ok(json!({ "ok": true, "channels": page, "response_metadata": { "next_cursor": next } }))
    }

    fn post(&self, given: &Value) -> Answer {
        let mut state = self.lock();
        let channel = state.channel(given)?.clone();
        writable(&channel)?;
        let text = given["text"].as_str().unwrap_or_default();
        if let Some(wrong) = blocks::refused(text, &given["blocks"], &given["attachments"]) {
            return Err(wrong);
        }
        let thread_ts = given["thread_ts"].as_str().map(str::to_owned);
        if thread_ts.as_deref().is_some_and(|ts| state.message(&channel.id, ts).is_none()) {
            return Err("thread_not_found");
        }
        let ts = state.next_ts();
        let posted = Posted {
            channel: channel.id.clone(),
            ts: ts.clone(),
            thread_ts,
            text: text.to_owned(),
            blocks: given["blocks"].clone(),
            attachments: given["attachments"].clone(),
            metadata: given["metadata"].clone(),
            updates: 0,
        };
        let answer = json!({ "ok": true, "channel": channel.id, "ts": ts, "message": posted });
        if state.messages.len() >= MAX_KEPT {
            state.messages.remove(0);
        }
        state.messages.push(posted);
        Ok(answer)
    }

    fn update(&self, given: &Value) -> Answer {
        let mut state = self.lock();
        let channel = state.channel(given)?.clone();
        writable(&channel)?;
        let text = given["text"].as_str().unwrap_or_default().to_owned();
        let ts = given["ts"].as_str().unwrap_or_default().to_owned();
        let message = state.message(&channel.id, &ts).ok_or("message_not_found")?;
        if let Some(wrong) = blocks::refused(&text, &given["blocks"], &given["attachments"]) {
            return Err(wrong);
        }
        (message.text, message.blocks, message.attachments) = (text.clone(), given["blocks"].clone(), given["attachments"].clone());
        message.updates += 1;
        Ok(json!({ "ok": true, "channel": channel.id, "ts": ts, "text": text }))
    }
}

impl super::State {
    /// The channel that is given, where the app may know of it.
    fn channel(&self, given: &Value) -> Result<&Channel, &'static str> {
        let id = given["channel"].as_str().unwrap_or_default();
        self.channels.iter().find(|channel| channel.id == id && (!channel.is_private || channel.is_member)).ok_or("channel_not_found")
    }

    /// A message by its id.
    pub(super) fn message(&mut self, channel: &str, ts: &str) -> Option<&mut Posted> {
        self.messages.iter_mut().find(|message| message.channel == channel && message.ts == ts)
    }
}

fn writable(channel: &Channel) -> Result<(), &'static str> {
    match channel {
        Channel { is_archived: true, .. } => Err("is_archived"),
        Channel { read_only: true, .. } => Err("restricted_action_read_only_channel"),
        _ => Ok(()),
    }
}
