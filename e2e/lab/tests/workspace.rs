//! The Slack workspace is as strict as Slack: what a product could get wrong is refused with Slack's words. Needs root and the Debian packages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;

use serde_json::{Value, json};
use waypost_lab::{Lab, LabConfig};

struct Workspace {
    lab: Lab,
    http: reqwest::Client,
}

impl Workspace {
    async fn start() -> Self {
        let lab = Lab::start(LabConfig::default()).await.unwrap();
        let pem = std::fs::read(&lab.ready.ca_file).unwrap();
        let at: SocketAddr = format!("127.{}.0.81:443", lab.ready.slot).parse().unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve("slack.lab.test", at)
            .add_root_certificate(reqwest::Certificate::from_pem(&pem).unwrap())
            .build()
            .unwrap();
        Self { lab, http }
    }

    async fn control(&self, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
        let response = self.http.request(method, format!("{}/workspace/{path}", self.lab.ready.control)).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Slack's answer to a form, as its word.
    async fn form(&self, method: &str, token: &str, fields: &[(&str, &str)]) -> Value {
        let body =
            fields.iter().map(|(name, value)| format!("{name}={}", value.replace('/', "%2F").replace(':', "%3A"))).collect::<Vec<_>>().join("&");
        self.call(method, token, "application/x-www-form-urlencoded", body).await
    }

    async fn json(&self, method: &str, token: &str, body: Value) -> String {
        word(&self.call(method, token, "application/json; charset=utf-8", body.to_string()).await)
    }

    async fn call(&self, method: &str, token: &str, kind: &str, body: String) -> Value {
        let request = self.http.post(format!("{}/{method}", self.lab.ready.slack_api_url)).bearer_auth(token).header("content-type", kind);
        request.body(body).send().await.unwrap().json().await.unwrap()
    }
}

fn word(answer: &Value) -> String {
    answer["error"].as_str().unwrap_or(if answer["ok"] == true { "ok" } else { "?" }).to_owned()
}

/// An app whose address of events answers nothing is not taken, so this one is made by a listener that echoes the challenge.
async fn app() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new()
        .route("/events", axum::routing::post(async |axum::Json(body): axum::Json<Value>| axum::Json(json!({ "challenge": body["challenge"] }))));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

#[tokio::test]
async fn it_refuses_what_slack_refuses() {
    let workspace = Workspace::start().await;
    let base = app().await;
    let manifest = |events: &str| {
        json!({
            "display_information": { "name": "App" }, "features": { "bot_user": { "display_name": "App" } },
            "oauth_config": { "redirect_urls": ["https://app.example/back"], "scopes": { "bot": ["chat:write", "channels:read"] } },
            "settings": {
                "interactivity": { "is_enabled": true, "request_url": format!("{base}/press") },
                "event_subscriptions": { "request_url": format!("{base}{events}"), "bot_events": [] },
            },
        })
    };
    let put = reqwest::Method::PUT;
    assert_eq!(workspace.control(put.clone(), "manifest", manifest("/nowhere")).await.0, 400, "the address of events is asked");
    assert_eq!(workspace.control(put.clone(), "manifest", manifest("/events")).await.0, 200);

    let ready = &workspace.lab.ready;
    let page = |client: &str, scope: &str, to: &str| {
        format!("https://slack.lab.test/oauth/v2/authorize?client_id={client}&scope={scope}&redirect_uri={to}&state=s")
    };
    let back = "https://app.example/back";
    for (url, why) in [
        (page("other", "chat:write", back), "invalid_client_id"),
        (page(&ready.slack_client_id, "admin", back), "invalid_scope"),
        (page(&ready.slack_client_id, "chat:write", "https://evil.example/back"), "bad_redirect_uri"),
    ] {
        let response = workspace.http.get(&url).send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert!(response.text().await.unwrap().contains(why), "{why}");
    }
    let fine = page(&ready.slack_client_id, "chat:write,channels:read", back);
    assert!(workspace.http.get(&fine).send().await.unwrap().text().await.unwrap().contains("Allow"));
    let code = async || {
        let (status, answer) = workspace.control(reqwest::Method::POST, "consent", json!({ "url": fine, "allow": true })).await;
        assert_eq!(status, 200, "{answer}");
        answer["location"].as_str().unwrap().split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    let access = async |id: &str, secret: &str, code: &str, to: &str| {
        workspace.form("oauth.v2.access", "", &[("client_id", id), ("client_secret", secret), ("code", code), ("redirect_uri", to)]).await
    };
    let (id, secret) = (ready.slack_client_id.as_str(), ready.slack_client_secret.as_str());
    let first = code().await;
    assert_eq!(word(&access(id, "other", &first, back).await), "bad_client_secret");
    assert_eq!(word(&access("other", secret, &first, back).await), "invalid_client_id");
    assert_eq!(word(&access(id, secret, &first, "https://app.example/other").await), "bad_redirect_uri");
    assert_eq!(word(&access(id, secret, &first, back).await), "invalid_code", "a code is good once");
    let granted = access(id, secret, &code().await, back).await;
    let token = granted["access_token"].as_str().unwrap();

    let message = |channel: &str| json!({ "channel": channel, "text": "Hello" });
    for (channel, answer) in [
        ("C0LAB00001", "ok"),
        ("C0LAB00004", "ok"),
        ("C0LAB00005", "channel_not_found"),
        ("C0LAB00006", "is_archived"),
        ("C0LAB00007", "restricted_action_read_only_channel"),
        ("C0LAB99999", "channel_not_found"),
    ] {
        assert_eq!(workspace.json("chat.postMessage", token, message(channel)).await, answer, "{channel}");
    }
    assert_eq!(workspace.json("chat.postMessage", "xoxb-of-somebody", message("C0LAB00001")).await, "invalid_auth");
    let update = json!({ "channel": "C0LAB00001", "ts": "1.000001", "text": "Hello" });
    assert_eq!(workspace.json("chat.update", token, update).await, "message_not_found");
    let poem = json!({ "channel": "C0LAB00001", "text": "x", "blocks": [{ "type": "poem" }] });
    assert_eq!(workspace.json("chat.postMessage", token, poem).await, "invalid_blocks");
    workspace.control(reqwest::Method::POST, "revoke", json!({})).await;
    assert_eq!(workspace.json("auth.test", token, json!({})).await, "token_revoked");
}
