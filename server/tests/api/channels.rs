//! Channels through the API: what is shown of them, what is refused, and what a test says.

use serde_json::json;

use crate::support::server;

#[tokio::test]
async fn secrets_are_kept_sealed_and_the_signing_key_is_shown_once() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/channels");
    let new = json!({ "name": " Tools ", "kind": "webhook", "url": "https://tools.example/hook/very-secret-part" });
    let key = [("idempotency-key", "one")];
    let made = client.json("POST", &path, &key, &new).await;
    assert_eq!(made.status, 201, "{made:?}");
    let shown = made.body["signing_key"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("whsec_") && shown.len() > 40, "{shown}");
    assert_eq!((made.body["name"].as_str(), made.body["min_severity"].as_str()), (Some("Tools"), Some("warning")));
    assert_eq!(made.headers["location"], format!("{path}/{}", made.id()));
    // A repetition makes no second one, and does not tell the key again: it is kept nowhere but sealed.
    let again = client.json("POST", &path, &key, &new).await;
    assert_eq!((again.status.as_u16(), again.id(), &again.body["signing_key"]), (201, made.id(), &json!(null)));
    let kept = server.text("SELECT string_agg(body::text, ' ') FROM idempotency_keys").await;
    assert!(!kept.contains(&shown) && !kept.contains("very-secret"), "{kept}");
    let sealed = server.text("SELECT (position('very-secret'::bytea in sealed) + position('whsec_'::bytea in sealed))::text FROM channels").await;
    assert_eq!(sealed, "0");
    let list = client.get(&path).await;
    assert_eq!(list.body["items"][0]["shown"], "https://tools.example/…part");
    assert!(!list.body.to_string().contains("very-secret") && !list.body.to_string().contains("whsec_"));
    let (mut other, foreign) = server.member("bob").await;
    assert_eq!(other.get(&format!("/api/v1/orgs/{foreign}/channels")).await.body["items"], json!([]));
}

#[tokio::test]
async fn what_can_not_be_used_is_refused_by_its_field() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/channels");
    let fine = "https://tools.example/hook";
    for (new, field) in [
        (json!({ "name": " ", "kind": "slack", "url": fine }), "name"),
        (json!({ "name": "x".repeat(81), "kind": "slack", "url": fine }), "name"),
        (json!({ "name": "x", "kind": "pigeon", "url": fine }), "kind"),
        (json!({ "name": "x", "kind": "slack" }), "url"),
        (json!({ "name": "x", "kind": "slack", "url": "http://tools.example/hook" }), "url"),
        (json!({ "name": "x", "kind": "slack", "url": fine, "token": "abc" }), "token"),
        (json!({ "name": "x", "kind": "pagerduty" }), "token"),
        (json!({ "name": "x", "kind": "ntfy", "url": "https://ntfy.sh" }), "url"),
    ] {
        let answer = client.post(&path, &new).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{new} {answer:?}");
    }
    assert_eq!(client.get(&path).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_channel_is_changed_and_removed_by_whoever_saw_it_as_it_is() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/channels");
    let made = client.post(&path, &json!({ "name": "Pager", "kind": "pagerduty", "token": "0123456789abcdef" })).await;
    assert_eq!(made.body["shown"], "https://events.pagerduty.com/…cdef");
    let at = format!("{path}/{}", made.id());
    let seen = [("if-match", "\"1\"")];
    let off = client.json("PATCH", &at, &seen, &json!({ "enabled": false, "min_severity": "critical", "name": "Night" })).await;
    assert_eq!(
        (off.status.as_u16(), &off.body["enabled"], &off.body["min_severity"], &off.body["name"]),
        (200, &json!(false), &json!("critical"), &json!("Night"))
    );
    assert_eq!(client.json("PATCH", &at, &seen, &json!({ "enabled": true })).await.status, 412);
    // The key goes to no other address than the one it was given for.
    let moved = json!({ "url": "https://other.example/v2/enqueue" });
    let refused = client.json("PATCH", &at, &[], &moved).await;
    assert_eq!((refused.status.as_u16(), refused.field()), (422, "token"));
    let renewed = client.json("PATCH", &at, &[], &json!({ "token": "fedcba9876543210" })).await;
    assert_eq!(renewed.body["shown"], "https://events.pagerduty.com/…3210");
    assert_eq!(client.send("DELETE", &at, &seen, axum::body::Body::empty()).await.status, 412);
    assert_eq!(client.delete(&at).await.status, 204);
    assert_eq!(client.get(&at).await.status, 404);
}

#[tokio::test]
async fn a_test_says_what_became_of_it_and_is_kept() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/channels");
    let made = client.post(&path, &json!({ "name": "Inside", "kind": "slack", "url": "https://127.0.0.1/hook" })).await;
    let at = format!("{path}/{}", made.id());
    let tried = client.post(&format!("{at}/test"), &json!({})).await;
    assert_eq!(tried.status, 200, "{tried:?}");
    assert_eq!((&tried.body["result"], &tried.body["status"], &tried.body["event"]), (&json!("failed"), &json!(null), &json!("test")));
    assert!(tried.body["answer"].as_str().unwrap().contains("127.0.0.1 is a loopback address"), "{tried:?}");
    let kept = client.get(&format!("{at}/deliveries")).await;
    assert_eq!((kept.body["items"].as_array().unwrap().len(), &kept.body["items"][0]["id"]), (1, &tried.body["id"]));
}

#[tokio::test]
async fn a_webhooks_key_is_renewed_and_the_one_before_stays_for_a_stated_time() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/channels");
    let made = client.post(&path, &json!({ "name": "Tools", "kind": "webhook", "url": "https://tools.example/hook/very-secret-part" })).await;
    assert_eq!(made.body["old_key_until"], json!(null));
    let at = format!("{path}/{}/key", made.id());
    let seen = [("if-match", "\"1\""), ("idempotency-key", "once")];
    let renewed = client.json("POST", &at, &seen, &json!({})).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let (key, before) = (renewed.body["signing_key"].as_str().unwrap(), made.body["signing_key"].as_str().unwrap());
    assert!(key.starts_with("whsec_") && key != before);
    let until: chrono::DateTime<chrono::Utc> = renewed.body["old_key_until"].as_str().unwrap().parse().unwrap();
    assert!(until > chrono::Utc::now() + chrono::TimeDelta::hours(23));
    let kept = server.text("SELECT string_agg(body::text, ' ') FROM idempotency_keys").await;
    assert!(!kept.contains("whsec_"), "{kept}");
    assert_eq!(client.json("POST", &at, &[("if-match", "\"1\"")], &json!({})).await.status, 412, "a second click renews nothing");
    let long = client.post(&at, &json!({ "old_key_hours": 169 })).await;
    assert_eq!((long.status.as_u16(), long.field()), (422, "old_key_hours"));
    let chat = client.post(&path, &json!({ "name": "Chat", "kind": "slack", "url": "https://hooks.slack.com/services/T/B/x" })).await;
    let refused = client.post(&format!("{path}/{}/key", chat.id()), &json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.field()), (422, "kind"));
}

#[tokio::test]
async fn what_can_not_be_opened_any_more_says_what_to_do() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/channels");
    let made = client.post(&path, &json!({ "name": "Chat", "kind": "slack", "url": "https://hooks.slack.com/services/T/B/x" })).await;
    server.text("WITH broken AS (UPDATE channels SET sealed = 'x' RETURNING name) SELECT name FROM broken").await;
    let tried = client.post(&format!("{path}/{}/test", made.id()), &json!({})).await;
    assert_eq!((tried.status.as_u16(), tried.field()), (422, "url"));
    assert!(tried.body.to_string().contains("Remove it and add it again"), "{tried:?}");
}
