//! A Microsoft Teams workflow's webhook: an Adaptive Card (<https://adaptivecards.io/explorer/>). Texts are runs, which are shown as they are:
//! text blocks and facts would read Markdown in them.

use serde_json::{Value, json};
use waypost_engine::net::HttpPost;
use waypost_types::{channel::EventKind, incident::IncidentSeverity};

use super::{ChannelSecret, Message, text};

/// A message may have 28 KB, and a character four bytes or an escape of six.
const SUMMARY: usize = 3_000;
const LINE: usize = 300;

pub(super) fn request(secret: &ChannelSecret, message: &Message<'_>) -> HttpPost {
    let event = message.event;
    let colour = match (event.kind, event.severity) {
        (EventKind::Resolved, _) => "Good",
        (_, IncidentSeverity::Critical) => "Attention",
        (_, IncidentSeverity::Warning) => "Warning",
        (_, IncidentSeverity::Info) => "Accent",
    };
    let title = run(&text::headline(event), LINE, json!({ "size": "Large", "weight": "Bolder", "color": colour }));
    let mut body = vec![block(&[title])];
    if !event.summary.trim().is_empty() {
        body.push(block(&[run(&event.summary, SUMMARY, json!({}))]));
    }
    let opened = format!("{} UTC", event.opened_at.format("%Y-%m-%d %H:%M"));
    let facts = [("Target", event.target.as_str()), ("Severity", event.severity.word()), ("Since", &opened), ("Organisation", &event.org)];
    for (name, value) in text::was(event).map(|was| ("What was wrong", was)).into_iter().chain(facts) {
        body.push(block(&[run(&format!("{name}: "), LINE, json!({ "weight": "Bolder" })), run(&text::line(value), LINE, json!({}))]));
    }
    let open = |title: &str, url: &str| json!({ "type": "Action.OpenUrl", "title": title, "url": url });
    let mut actions = vec![open("Open in Waypost", &event.url)];
    actions.extend(event.runbook.as_deref().map(|url| open("Runbook", url)));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": actions,
    });
    let body = json!({
        "type": "message",
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card }],
    });
    HttpPost { url: secret.url().to_owned(), headers: Vec::new(), body: body.to_string() }
}

fn block(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(words: &str, most: usize, look: Value) -> Value {
    let mut run = look;
    run["type"] = "TextRun".into();
    run["text"] = text::within(words, most).into();
    run
}
