//! Slack's incoming webhook: Block Kit in an attachment, whose colour shows the state
//! (<https://docs.slack.dev/reference/block-kit/blocks>).

use serde_json::json;
use waypost_engine::net::HttpPost;

use super::{ChannelSecret, Message, text};

/// Characters of a header block.
const HEADER: usize = 150;
/// Characters of a section's text.
const SECTION: usize = 3_000;
/// Characters of a field.
const FIELD: usize = 2_000;

pub(super) fn request(secret: &ChannelSecret, message: &Message<'_>) -> HttpPost {
    let event = message.event;
    let headline = text::headline(event);
    let mut blocks = vec![json!({ "type": "header", "text": { "type": "plain_text", "text": escaped(&headline, HEADER), "emoji": false } })];
    let summary = escaped(&event.summary, SECTION);
    if !summary.trim().is_empty() {
        blocks.push(json!({ "type": "section", "text": { "type": "plain_text", "text": summary, "emoji": false } }));
    }
    // Verbatim, or names in what a stranger's server said would become links and mentions.
    let field = |name: &str, value: &str| json!({ "type": "mrkdwn", "verbatim": true, "text": format!("*{name}*\n{}", escaped(&text::line(value), FIELD - 100)) });
    let opened = format!("{} UTC", event.opened_at.format("%Y-%m-%d %H:%M"));
    let mut fields =
        vec![field("State", text::state(event)), field("Target", &event.target), field("Severity", event.severity.word()), field("Since", &opened)];
    fields.extend(text::was(event).map(|was| field("What was wrong", was)));
    blocks.push(json!({ "type": "section", "fields": fields }));
    let runbook = event.runbook.as_ref().map(|url| format!(" · <{}|Runbook>", escaped(url, FIELD))).unwrap_or_default();
    let link = format!("<{}|Open in Waypost>{runbook} · {}", escaped(&event.url, FIELD / 4), escaped(&text::line(&event.org), 200));
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "verbatim": true, "text": link }] }));
    let body = json!({
        // What notifications show.
        "text": escaped(&headline, SECTION),
        "attachments": [{ "color": text::colour(event), "blocks": blocks }],
        "unfurl_links": false,
    });
    HttpPost { url: secret.url().to_owned(), headers: Vec::new(), body: body.to_string() }
}

/// Slack's three, which also keeps names from ringing everybody (`<!channel>`).
pub(crate) fn escaped(text: &str, most: usize) -> String {
    text::escaped_within(text, most, |c, out| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        other => out.push(other),
    })
}
