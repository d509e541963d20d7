//! What each provider is sent, and that nothing of a hostile event breaks out of its place or its bounds.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use waypost_types::{
    IncidentId,
    channel::{ChannelEvent, ChannelKind, EventKind},
    incident::IncidentSeverity,
};

use super::*;
use crate::seal::Seal;

const KEY: [u8; 32] = [7; 32];

fn event(kind: EventKind) -> ChannelEvent {
    ChannelEvent {
        kind,
        incident: (kind != EventKind::Test).then(|| IncidentId(uuid::Uuid::from_u128(7))),
        org: "Example & Co".to_owned(),
        title: "mail.example.com port 25 <is> down".to_owned(),
        summary: "It *refuses* connections.\nStart it again, or see [what](https://evil.example) it says.".to_owned(),
        target: "mail.example.com:25".to_owned(),
        severity: IncidentSeverity::Critical,
        opened_at: "2026-11-26T12:00:00Z".parse().unwrap(),
        at: "2026-11-26T12:30:00Z".parse().unwrap(),
        url: "https://waypost.example/o/example/incidents/inc_00000000000000000000000000000007".to_owned(),
        runbook: (kind == EventKind::Opened).then(|| "https://waypost.example/o/example/runbooks/unreachable".to_owned()),
        now: (kind == EventKind::Resolved).then(|| "mail.example.com port 25 answers again".to_owned()),
    }
}

fn secret(kind: ChannelKind) -> ChannelSecret {
    let new = |url: &str, token: Option<&str>| ChannelSecret::new(kind, Some(url), token).unwrap();
    match kind {
        ChannelKind::Webhook => {
            let key = format!("whsec_{}", STANDARD.encode(KEY));
            serde_json::from_value(serde_json::json!({ "url": "https://tools.example/hook?a=b", "token": key })).unwrap()
        }
        ChannelKind::SlackApp => unreachable!("it has no secret of its own"),
        ChannelKind::Slack => new("https://hooks.slack.com/services/T0000/B0000/abcdefghijkl", None),
        ChannelKind::Teams => new("https://example.webhook.office.com/workflows/abcdefghijkl?sig=abcdefgh", None),
        ChannelKind::Discord => new("https://discord.com/api/webhooks/1234567890/abcdefghijkl", None),
        ChannelKind::Pagerduty => ChannelSecret::new(kind, None, Some("0123456789abcdef0123456789abcdef")).unwrap(),
        ChannelKind::Ntfy => new("https://ntfy.example/sub/waypost-alerts", Some("tk_abcdefgh")),
    }
}

fn made(kind: ChannelKind, event: &ChannelEvent) -> HttpPost {
    let sent_at = "2026-11-26T12:30:01Z".parse().unwrap();
    request(kind, &secret(kind), &Message { event, id: "msg_7", sent_at }).unwrap()
}

fn body(kind: ChannelKind, event: &ChannelEvent) -> Value {
    serde_json::from_str(&made(kind, event).body).unwrap()
}

#[test]
fn each_provider_is_sent_its_form() {
    for kind in ChannelKind::ALL.iter().filter(|kind| **kind != ChannelKind::SlackApp) {
        for what in [EventKind::Opened, EventKind::Resolved] {
            let post = made(*kind, &event(what));
            let mut head = vec![format!("POST {}", post.url)];
            head.extend(post.headers.iter().map(|(name, value)| format!("{name}: {value}")));
            let body = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&post.body).unwrap()).unwrap();
            insta::assert_snapshot!(format!("{}_{}", kind.as_str(), what.as_str()), format!("{}\n\n{body}", head.join("\n")));
        }
    }
}

#[test]
fn an_end_says_how_it_stands_now_and_while_it_lasts_the_runbook_is_a_link() {
    for kind in ChannelKind::ALL.iter().filter(|kind| **kind != ChannelKind::SlackApp) {
        let opened = made(*kind, &event(EventKind::Opened)).body;
        assert!(opened.contains("https://waypost.example/o/example/runbooks/unreachable"), "{kind:?} {opened}");
        // A pager closes its alert by its key, without words.
        if *kind != ChannelKind::Pagerduty {
            let over = made(*kind, &event(EventKind::Resolved)).body;
            assert!(over.contains("mail.example.com port 25 answers again") && !over.contains("/runbooks/"), "{kind:?} {over}");
        }
    }
}

#[test]
fn every_provider_says_that_it_was_escalated_and_a_pager_keeps_its_key() {
    for kind in ChannelKind::ALL.iter().filter(|kind| **kind != ChannelKind::SlackApp) {
        let said = made(*kind, &event(EventKind::Escalated)).body;
        assert!(said.contains(if *kind == ChannelKind::Webhook { "incident.escalated" } else { "Escalated: " }), "{kind:?} {said}");
    }
    let of =
        |what| (body(ChannelKind::Pagerduty, &event(what))["event_action"].clone(), body(ChannelKind::Pagerduty, &event(what))["dedup_key"].clone());
    assert_eq!(of(EventKind::Escalated), of(EventKind::Opened));
    assert_eq!(body(ChannelKind::Ntfy, &event(EventKind::Escalated))["priority"], 5);
}

/// HMAC by RFC 2104 from the hash alone: not the library that signs.
fn hmac(key: &[u8], content: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect() };
    let inner = Sha256::digest([pad(0x36).as_slice(), content].concat());
    Sha256::digest([pad(0x5c).as_slice(), inner.as_ref()].concat()).to_vec()
}

#[test]
fn a_signature_is_that_of_another_implementation() {
    let post = made(ChannelKind::Webhook, &event(EventKind::Opened));
    let header = |name: &str| post.headers.iter().find(|(header, _)| *header == name).unwrap().1.as_str();
    let content = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), post.body);
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(hmac(&KEY, content.as_bytes()))));
    assert_eq!((header("webhook-id"), header("webhook-timestamp")), ("msg_7", "1795696201"));
}

#[test]
fn hostile_words_stay_words_and_all_fits() {
    for c in ["x", "&", "<", "\"", "\\", "\u{0}", "\n", "*", "@", "💥", "e\u{301}"] {
        let long = c.repeat(9_000);
        let hostile = ChannelEvent { org: long.clone(), title: long.clone(), summary: long.clone(), target: long, ..event(EventKind::Opened) };
        let chars = |value: &Value| value.as_str().unwrap().chars().count();
        let slack = body(ChannelKind::Slack, &hostile);
        for block in slack["attachments"][0]["blocks"].as_array().unwrap() {
            match block["type"].as_str().unwrap() {
                "header" => assert!(chars(&block["text"]["text"]) <= 150),
                "section" if block["text"].is_object() => assert!(chars(&block["text"]["text"]) <= 3_000),
                "section" => assert!(block["fields"].as_array().unwrap().iter().all(|field| chars(&field["text"]) <= 2_000)),
                _ => assert!(chars(&block["elements"][0]["text"]) <= 3_000),
            }
        }
        let embed = body(ChannelKind::Discord, &hostile)["embeds"][0].clone();
        let fields: usize = embed["fields"].as_array().unwrap().iter().map(|field| chars(&field["name"]) + chars(&field["value"])).sum();
        assert!(chars(&embed["title"]) <= 256 && chars(&embed["description"]) <= 4_096);
        assert!(chars(&embed["title"]) + chars(&embed["description"]) + chars(&embed["footer"]["text"]) + fields <= 6_000);
        assert!(made(ChannelKind::Teams, &hostile).body.len() <= 28_000, "{c:?}");
        assert!(chars(&body(ChannelKind::Pagerduty, &hostile)["payload"]["summary"]) <= 1_024);
        assert!(body(ChannelKind::Ntfy, &hostile)["message"].as_str().unwrap().len() <= 4_096);
        assert!(made(ChannelKind::Webhook, &hostile).body.len() <= 25_000, "{c:?}");
    }
    let ringing = ChannelEvent { title: "<!channel> @everyone".to_owned(), ..event(EventKind::Opened) };
    assert!(!made(ChannelKind::Slack, &ringing).body.contains("<!channel>"));
    assert_eq!(body(ChannelKind::Discord, &ringing)["allowed_mentions"], serde_json::json!({ "parse": [] }));
}

#[test]
fn a_pager_hears_of_one_incident_under_one_key() {
    let said = |kind| {
        let body = body(ChannelKind::Pagerduty, &event(kind));
        (body["event_action"].as_str().unwrap().to_owned(), body["dedup_key"].as_str().unwrap().to_owned())
    };
    let incident = "inc_00000000000000000000000000000007";
    for (kind, action, key) in [
        (EventKind::Opened, "trigger", incident),
        (EventKind::Changed, "trigger", incident),
        (EventKind::Resolved, "resolve", incident),
        (EventKind::LetGo, "resolve", incident),
        (EventKind::Test, "trigger", "msg_7"),
    ] {
        assert_eq!(said(kind), (action.to_owned(), key.to_owned()), "{kind:?}");
    }
}

#[test]
fn addresses_and_tokens_are_checked_by_kind() {
    use ChannelKind::{Discord, Ntfy, Pagerduty, Slack, Webhook};
    let fine = Some("https://tools.example/hook");
    for (kind, url, token, field) in [
        (Slack, None, None, Some("url")),
        (Slack, Some("http://tools.example/"), None, Some("url")),
        (Slack, Some("https://tools.example:8443/"), None, Some("url")),
        (Slack, Some("https://a:b@tools.example/"), None, Some("url")),
        (Slack, fine, Some("x"), Some("token")),
        (Webhook, fine, Some("whsec_eA=="), Some("token")),
        (Pagerduty, None, None, Some("token")),
        (Pagerduty, None, Some("a b"), Some("token")),
        (Ntfy, Some("https://ntfy.sh/"), None, Some("url")),
        (Ntfy, Some("https://ntfy.sh/a?auth=b"), None, Some("url")),
        (Ntfy, Some("https://ntfy.sh/a"), Some("tk_1\r\nX: y"), Some("token")),
        (Ntfy, Some("https://ntfy.sh/a"), None, None),
        (Discord, fine, None, None),
        (Pagerduty, Some("https://events.eu.pagerduty.com/v2/enqueue"), Some("k"), None),
    ] {
        assert_eq!(ChannelSecret::new(kind, url, token).err().map(|fault| fault.field), field, "{kind:?} {url:?} {token:?}");
    }
}

#[test]
fn a_token_goes_to_no_other_address_and_a_signing_key_stays() {
    let ntfy = secret(ChannelKind::Ntfy);
    let moved = ntfy.changed(ChannelKind::Ntfy, Some("https://other.example/topic"), None).unwrap();
    assert_eq!((moved.url(), moved.token()), ("https://other.example/topic", None));
    let renewed = ntfy.changed(ChannelKind::Ntfy, None, Some("tk_new")).unwrap();
    assert_eq!((renewed.url(), renewed.token()), (ntfy.url(), Some("tk_new")));
    let pager = secret(ChannelKind::Pagerduty).changed(ChannelKind::Pagerduty, Some("https://other.example/v2/enqueue"), None);
    assert_eq!(pager.unwrap_err().field, "token");
    let hook = secret(ChannelKind::Webhook);
    let moved = hook.changed(ChannelKind::Webhook, Some("https://other.example/hook"), None).unwrap();
    assert_eq!((moved.url(), moved.token()), ("https://other.example/hook", hook.token()));
}

#[test]
fn what_is_kept_opens_for_its_channel_alone_and_what_is_shown_tells_nothing() {
    let seal = Seal::new(&"k".repeat(32).into()).unwrap();
    let org = waypost_types::OrgId(uuid::Uuid::from_u128(1));
    let (channel, other) = (waypost_types::ChannelId(uuid::Uuid::from_u128(2)), waypost_types::ChannelId(uuid::Uuid::from_u128(3)));
    for (kind, shown) in [
        (ChannelKind::Slack, "https://hooks.slack.com/…ijkl"),
        (ChannelKind::Pagerduty, "https://events.pagerduty.com/…cdef"),
        (ChannelKind::Webhook, "https://tools.example/…"),
    ] {
        let secret = secret(kind);
        let sealed = secret.seal(&seal, org, channel, kind).unwrap();
        assert_eq!(sealed.shown, shown);
        assert!(ChannelSecret::open(&seal, org, channel, &sealed.sealed).unwrap() == secret);
        assert!(ChannelSecret::open(&seal, org, other, &sealed.sealed).is_err());
    }
    let slack = secret(ChannelKind::Slack);
    for echo in [slack.url(), "/services/T0000/B0000/abcdefghijkl not found", "no hook abcdefghijkl"] {
        assert!(!slack.redact(echo).contains("abcdefghijkl"), "{echo}");
    }
    assert_eq!(slack.redact("invalid_payload"), "invalid_payload");
    let nested = ChannelSecret::new(ChannelKind::Slack, Some("https://tools.example/abcdefgh/abcdefgh-ijkl"), None).unwrap();
    assert_eq!(nested.redact("no hook abcdefgh-ijkl"), "no hook …");
    assert!(!format!("{slack:?}").contains("abcdefgh"));
}
