//! A Discord webhook: an embed (<https://discord.com/developers/docs/resources/message#embed-object>). Nobody is pinged by what it says.

use serde_json::json;
use waypost_engine::net::HttpPost;

use super::{ChannelSecret, Message, text};

/// Characters of an embed's title.
const TITLE: usize = 256;
/// Characters of its description; 4,096 are taken, and 6,000 of the whole.
const DESCRIPTION: usize = 4_000;
/// Characters of a field; 1,024 are taken.
const FIELD: usize = 500;

pub(super) fn request(secret: &ChannelSecret, message: &Message<'_>) -> HttpPost {
    let event = message.event;
    let colour = u32::from_str_radix(text::colour(event).trim_start_matches('#'), 16).unwrap_or_default();
    let field = |name: &str, value: &str| json!({ "name": name, "value": escaped(&text::line(value), FIELD), "inline": true });
    let mut fields = vec![field("Target", &event.target), field("Severity", event.severity.word())];
    fields.extend(text::was(event).map(|was| field("What was wrong", was)));
    // Our own address, which holds nothing of Markdown's.
    fields.extend(event.runbook.as_ref().map(|url| json!({ "name": "Runbook", "value": format!("<{url}>"), "inline": false })));
    let body = json!({
        "embeds": [{
            "title": escaped(&text::headline(event), TITLE),
            "description": escaped(&event.summary, DESCRIPTION),
            "url": event.url,
            "color": colour,
            "timestamp": event.at,
            "fields": fields,
            "footer": { "text": text::within(&text::line(&event.org), 200) },
        }],
        "allowed_mentions": { "parse": [] },
    });
    HttpPost { url: secret.url().to_owned(), headers: Vec::new(), body: body.to_string() }
}

/// Its Markdown, links in other words among it.
fn escaped(text: &str, most: usize) -> String {
    text::escaped_within(text, most, |c, out| {
        if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '[' | ']' | '(' | ')' | '#' | '@') {
            out.push('\\');
        }
        out.push(c);
    })
}
