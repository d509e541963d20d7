//! “Add to Slack” (<https://docs.slack.dev/authentication/installing-with-oauth>): the page that asks, and the code that becomes a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BOT, CLIENT_ID, CLIENT_SECRET, TEAM, TEAM_NAME, Workspace};

const CODE_LIFE: Duration = Duration::from_secs(600);

/// What a code is good for.
#[derive(Debug)]
pub struct Code {
    redirect_uri: String,
    scopes: String,
    until: Instant,
}

/// What a visitor comes with.
#[derive(Debug, Clone, Deserialize)]
pub struct Asked {
    client_id: String,
    scope: String,
    redirect_uri: String,
    state: String,
    #[serde(default)]
    answer: String,
}

impl Workspace {
    /// Slack's word for what is wrong with what a visitor comes with.
    fn wrong(&self, asked: &Asked) -> Option<&'static str> {
        let state = self.lock();
        let Some(app) = &state.manifest else { return Some("invalid_client_id") };
        if asked.client_id != CLIENT_ID {
            return Some("invalid_client_id");
        }
        if !app.redirects.iter().any(|fine| asked.redirect_uri.starts_with(fine.as_str())) {
            return Some("bad_redirect_uri");
        }
        if asked.scope.split(',').any(|scope| !app.scopes.iter().any(|granted| granted == scope)) {
            return Some("invalid_scope");
        }
        None
    }

    /// Where a visitor is sent back to.
    pub(super) fn decide(&self, asked: &Asked, allow: bool) -> Result<String, &'static str> {
        if let Some(wrong) = self.wrong(asked) {
            return Err(wrong);
        }
        let sent = encoded(&asked.state);
        let join = if asked.redirect_uri.contains('?') { '&' } else { '?' };
        if !allow {
            return Ok(format!("{}{join}error=access_denied&state={sent}", asked.redirect_uri));
        }
        let mut state = self.lock();
        state.issued += 1;
        let code = format!("1000000001.{:012}.code", state.issued);
        let until = Instant::now() + CODE_LIFE;
        state.codes.insert(code.clone(), Code { redirect_uri: asked.redirect_uri.clone(), scopes: asked.scope.clone(), until });
        Ok(format!("{}{join}code={code}&state={sent}", asked.redirect_uri))
    }

    /// `oauth.v2.access`. A workspace has one token of an app: who adds it again gets the same.
    pub(super) fn access(&self, given: &Value) -> Result<Value, &'static str> {
        let text = |name: &str| given[name].as_str().unwrap_or_default();
        if text("client_id") != CLIENT_ID {
            return Err("invalid_client_id");
        }
        if text("client_secret") != CLIENT_SECRET {
            return Err("bad_client_secret");
        }
        let mut state = self.lock();
        // Once, also when the rest does not fit.
        let code = state.codes.remove(text("code")).filter(|code| code.until > Instant::now()).ok_or("invalid_code")?;
        if code.redirect_uri != text("redirect_uri") {
            return Err("bad_redirect_uri");
        }
        state.issued += 1;
        let fresh = format!("xoxb-1000000001-lab-{:08}", state.issued);
        let token = state.token.get_or_insert(fresh).clone();
        Ok(json!({
            "ok": true, "access_token": token, "token_type": "bot", "scope": code.scopes, "bot_user_id": BOT, "app_id": "A0LAB00001",
            "team": { "id": TEAM, "name": TEAM_NAME }, "enterprise": null, "authed_user": { "id": "U0LABADA01" }, "is_enterprise_install": false,
        }))
    }
}

/// The page that asks.
pub async fn ask(State(workspace): State<Arc<Workspace>>, Query(asked): Query<Asked>) -> Response {
    if let Some(wrong) = workspace.wrong(&asked) {
        return refused(wrong);
    }
    let name = workspace.lock().manifest.as_ref().map(|app| app.name.clone()).unwrap_or_default();
    let hidden = |name: &str, value: &str| format!("<input type=hidden name={name} value=\"{}\">", escaped(value));
    Html(format!(
        "<!doctype html><title>Slack stand-in</title><h1>{} asks to enter {TEAM_NAME}</h1><p>It asks for: {}</p><form method=post>{}{}{}{}<button name=answer value=allow>Allow</button> <button name=answer value=cancel>Cancel</button></form>",
        escaped(&name),
        escaped(&asked.scope),
        hidden("client_id", &asked.client_id),
        hidden("scope", &asked.scope),
        hidden("redirect_uri", &asked.redirect_uri),
        hidden("state", &asked.state),
    ))
    .into_response()
}

/// What a person said to it.
pub async fn answer(State(workspace): State<Arc<Workspace>>, Form(asked): Form<Asked>) -> Response {
    match workspace.decide(&asked, asked.answer == "allow") {
        Ok(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Err(wrong) => refused(wrong),
    }
}

fn refused(wrong: &str) -> Response {
    (StatusCode::BAD_REQUEST, Html(format!("<!doctype html><title>Slack stand-in</title><h1>Something went wrong</h1><p>{wrong}</p>")))
        .into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// Percent-encoded.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
