//! The OpenAPI document, and a plain page beside it for people.

use std::fmt::Write;

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse},
    routing::get,
};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::state::AppState;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
code{font:14px ui-monospace,monospace;overflow-wrap:anywhere}h2{margin-top:2rem;text-transform:capitalize}li{margin:.4rem 0}b{display:inline-block;min-width:4.5rem}";

/// `/api/openapi.json` and `/api/docs`.
pub fn routes(document: &OpenApi) -> Router<AppState> {
    let json = serde_json::to_value(document).unwrap_or_default();
    let html = page(&json);
    let text = json.to_string();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    let json = get(move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text) }
    });
    let html = get(move || {
        let html = html.clone();
        async move { ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response() }
    });
    // Whoever looks for them beside the resources finds them too.
    Router::new().route("/openapi.json", json.clone()).route("/v1/openapi.json", json).route("/docs", html.clone()).route("/v1/docs", html)
}

/// Every operation, grouped by its tag.
fn page(document: &Value) -> String {
    let mut groups: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or("other");
            let body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next());
            let takes = body.map(|name| format!(" · takes <code>{}</code>", escape(name))).unwrap_or_default();
            let answers: Vec<&str> = operation["responses"].as_object().into_iter().flatten().map(|(status, _)| status.as_str()).collect();
            let summary = operation["summary"].as_str().or(operation["description"].as_str()).unwrap_or_default();
            // Writing to a String can not fail.
            write!(
                groups.entry(tag).or_default(),
                "<li><b>{}</b> <code>{}</code><br>{}{takes} · answers {}</li>",
                escape(&method.to_uppercase()),
                escape(path),
                escape(summary),
                escape(&answers.join(", "))
            )
            .unwrap_or_default();
        }
    }
    let list = groups.iter().fold(String::new(), |text, (tag, items)| format!("{text}<h2>{}</h2><ul>{items}</ul>", escape(tag)));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Waypost API</title><style>{STYLE}</style>\
         <main><h1>Waypost API</h1><p>{}</p><p>The same for programs: <a href=\"/api/openapi.json\">openapi.json</a>. \
         <code>POST</code> takes <code>Idempotency-Key</code>; <code>PATCH</code> and <code>DELETE</code> take <code>If-Match</code> with the version of the <code>ETag</code>.</p>{list}</main></html>",
        escape(document["info"]["description"].as_str().unwrap_or_default())
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
