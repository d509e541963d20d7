//! `PagerDuty`'s Events API v2 (<https://developer.pagerduty.com/docs/send-alert-event>): the incident's id is the key by which it knows that
//! what is told now belongs to what was told before.

use serde_json::json;
use waypost_engine::net::HttpPost;

use super::{ChannelSecret, Fault, Message, text};

/// Where events go unless another region's address is given.
pub(super) const ADDRESS: &str = "https://events.pagerduty.com/v2/enqueue";
/// Characters of a summary.
const SUMMARY: usize = 1_024;
/// Characters of what is added; an event may have 512 KB.
const DETAIL: usize = 4_000;

pub(super) fn request(secret: &ChannelSecret, message: &Message<'_>) -> Result<HttpPost, Fault> {
    let event = message.event;
    let key = secret.token().ok_or(Fault::new("token", "PagerDuty needs its integration key."))?;
    // A test is about nothing: its own id stands for it.
    let about = event.incident.map_or_else(|| message.id.to_owned(), |incident| incident.to_string());
    let link = |href: &str, words: &str| json!({ "href": href, "text": words });
    let links: Vec<_> =
        std::iter::once(link(&event.url, "Open in Waypost")).chain(event.runbook.as_deref().map(|url| link(url, "Runbook"))).collect();
    let body = if text::is_over(event) {
        json!({ "routing_key": key, "event_action": "resolve", "dedup_key": about })
    } else {
        json!({
            "routing_key": key,
            "event_action": "trigger",
            "dedup_key": about,
            "payload": {
                "summary": text::within(&text::headline(event), SUMMARY),
                "source": text::within(&text::line(&event.target), DETAIL),
                "severity": event.severity.as_str(),
                "timestamp": event.at,
                "custom_details": { "summary": text::within(&event.summary, DETAIL), "organisation": text::within(&text::line(&event.org), 200) },
            },
            "client": "Waypost",
            "client_url": event.url,
            "links": links,
        })
    };
    Ok(HttpPost { url: secret.url().to_owned(), headers: Vec::new(), body: body.to_string() })
}
