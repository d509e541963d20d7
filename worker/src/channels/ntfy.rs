//! ntfy, published as JSON (<https://docs.ntfy.sh/publish/#publish-as-json>): headers would take no text beyond ASCII.

use serde_json::json;
use waypost_engine::net::HttpPost;
use waypost_types::{channel::EventKind, incident::IncidentSeverity};

use super::{ChannelSecret, Fault, Message, text};

/// Bytes of a message are 4,096, and a character may have four.
const MESSAGE: usize = 1_000;
const TITLE: usize = 200;

pub(super) fn request(secret: &ChannelSecret, message: &Message<'_>) -> Result<HttpPost, Fault> {
    let event = message.event;
    let (server, topic) = split(secret.url()).ok_or(Fault::new("url", "Give the topic's address, such as https://ntfy.sh/your-topic."))?;
    let (priority, tag) = match (event.kind, event.severity) {
        (EventKind::Resolved, _) => (3, "white_check_mark"),
        (kind, IncidentSeverity::Critical) if is_trouble(kind) => (5, "rotating_light"),
        (kind, IncidentSeverity::Warning) if is_trouble(kind) => (4, "warning"),
        _ => (3, "information_source"),
    };
    let said = if event.summary.trim().is_empty() { &event.target } else { &event.summary };
    let actions: Vec<_> = event.runbook.iter().map(|url| json!({ "action": "view", "label": "Runbook", "url": url })).collect();
    let body = json!({
        "topic": topic,
        "title": text::within(&text::headline(event), TITLE),
        "message": text::within(said, MESSAGE),
        "priority": priority,
        "tags": [tag, event.severity.as_str()],
        "click": event.url,
        "actions": actions,
    });
    let headers = secret.token().map(|token| ("Authorization", format!("Bearer {token}"))).into_iter().collect();
    Ok(HttpPost { url: server.to_owned(), headers, body: body.to_string() })
}

/// It lasts, or has just begun.
const fn is_trouble(kind: EventKind) -> bool {
    use EventKind::{Changed, Escalated, Flapping, Opened, Reminded};
    matches!(kind, Opened | Changed | Flapping | Escalated | Reminded)
}

/// The server's address and the topic on it.
pub(super) fn split(url: &str) -> Option<(&str, &str)> {
    let (server, topic) = url.rsplit_once('/')?;
    let fine = !topic.is_empty() && topic.len() <= 64 && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (fine && server.len() > "https://".len()).then_some((server, topic))
}
