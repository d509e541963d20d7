//! A webhook for programs of theirs, signed as Standard Webhooks 1.0 says
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use rand::RngCore as _;
use serde_json::json;
use waypost_engine::net::HttpPost;

use super::{ChannelSecret, Fault, Message, text};

/// What a written key begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a key: the standard takes 24 to 64.
const KEY_BYTES: usize = 32;
/// The standard wants bodies below 20 kB.
const SUMMARY: usize = 3_000;
const LINE: usize = 300;

/// A new key, as it is shown once.
pub(super) fn new_key() -> String {
    let mut key = [0_u8; KEY_BYTES];
    rand::rng().fill_bytes(&mut key);
    format!("{PREFIX}{}", STANDARD.encode(key))
}

pub(super) fn request(secret: &ChannelSecret, message: &Message<'_>) -> Result<HttpPost, Fault> {
    let event = message.event;
    let about = if event.incident.is_some() { "incident" } else { "channel" };
    let body = json!({
        "type": format!("{about}.{}", event.kind.as_str()),
        "timestamp": event.at,
        "data": {
            "incident": event.incident,
            "organisation": text::within(&event.org, LINE),
            "title": text::within(&event.title, LINE),
            "summary": text::within(&event.summary, SUMMARY),
            "target": text::within(&event.target, LINE),
            "severity": event.severity,
            "opened_at": event.opened_at,
            "url": event.url,
            "runbook": event.runbook,
            "now": event.now.as_deref().map(|now| text::within(now, LINE)),
        },
    })
    .to_string();
    let sent_at = message.sent_at.timestamp();
    let signatures = signatures(secret, message.sent_at, &format!("{}.{sent_at}.{body}", message.id))?;
    let headers = vec![("webhook-id", message.id.to_owned()), ("webhook-timestamp", sent_at.to_string()), ("webhook-signature", signatures)];
    Ok(HttpPost { url: secret.url().to_owned(), headers, body })
}

/// One by each key that counts, separated by spaces: while a key is renewed the receiver finds one that it can check.
fn signatures(secret: &ChannelSecret, at: DateTime<Utc>, content: &str) -> Result<String, Fault> {
    let sign = |key: &str| {
        let key = key.strip_prefix(PREFIX).and_then(|key| STANDARD.decode(key).ok())?;
        Some(format!("v1,{}", STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content.as_bytes()))))
    };
    let signatures: Vec<String> = secret.keys(at).filter_map(sign).collect();
    if signatures.is_empty() {
        return Err(Fault::new("token", "The webhook has no key to sign with: renew it."));
    }
    Ok(signatures.join(" "))
}
