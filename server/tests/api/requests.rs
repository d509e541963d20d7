//! What the door does with requests: bodies, methods, origins, repetitions, limits, and the public lookup.

use axum::body::Body;
use serde_json::json;

use crate::support::{BASE, PASSWORD, server};

/// Headers, body, status.
type Row = (Vec<(&'static str, &'static str)>, String, u16);

#[tokio::test]
async fn bodies_that_can_not_be_used_are_told_apart() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/domains");
    let json_type = ("content-type", "application/json");
    let table: Vec<Row> = vec![
        (vec![json_type], "{".to_owned(), 400),
        (vec![json_type], String::new(), 400),
        (vec![json_type], r#"{"name":"a\u0000.example"}"#.to_owned(), 400),
        (vec![json_type], "[]".to_owned(), 422),
        (vec![("content-type", "text/plain")], r#"{"name":"example.com"}"#.to_owned(), 415),
        (vec![], r#"{"name":"example.com"}"#.to_owned(), 415),
        (vec![json_type], format!(r#"{{"name":"{}"}}"#, "a".repeat(300_000)), 413),
    ];
    for (headers, body, status) in table {
        let answer = client.send("POST", &path, &headers, Body::from(body.clone())).await;
        assert_eq!(answer.status, status, "{:.40} {:?}", body, answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.body["status"], status);
    }
}

#[tokio::test]
async fn unknown_places_and_methods_are_problems_with_careful_headers() {
    let server = server().await;
    let mut client = server.client();
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/orgs/x/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("PUT", "/api/v1/me", 405),
        ("GET", "/api/v1/auth/login", 405),
    ] {
        let answer = client.send(method, path, &[], Body::empty()).await;
        assert_eq!((answer.status.as_u16(), answer.body["status"].as_u64()), (status, Some(u64::from(status))), "{method} {path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert!(answer.headers.contains_key("x-request-id"));
    }
    assert_eq!(client.get("/healthz").await.status, 200);
    assert_eq!(client.get("/readyz").await.status, 200);
    assert_eq!(client.get("/api/openapi.json").await.body["info"]["title"], "Waypost");
    assert!(client.get("/api/docs").await.body.as_str().unwrap().contains("/api/v1/orgs/{org}/domains"));
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/domains");
    let table: [(&[(&str, &str)], u16); 4] = [
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", BASE)], 201),
        (&[("sec-fetch-site", "same-origin"), ("origin", BASE)], 409),
    ];
    for (headers, status) in table {
        assert_eq!(client.json("POST", &path, headers, &json!({ "name": "example.com" })).await.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn a_repeated_post_is_done_once() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/domains");
    let key = [("idempotency-key", "abc")];
    let first = client.json("POST", &path, &key, &json!({ "name": "example.com" })).await;
    let again = client.json("POST", &path, &key, &json!({ "name": "example.com" })).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(first.headers["location"], again.headers["location"]);
    let other = client.json("POST", &path, &key, &json!({ "name": "other.example" })).await;
    assert_eq!((other.status.as_u16(), other.field()), (422, "Idempotency-Key"));
    assert_eq!(server.text("SELECT count(*)::text FROM domains").await, "1");
    server.sql("UPDATE idempotency_keys SET status = NULL".to_owned()).await;
    assert_eq!(client.json("POST", &path, &key, &json!({ "name": "example.com" })).await.status, 409);
}

#[tokio::test]
async fn sign_ups_of_one_source_have_a_limit_and_proxies_are_seen_through() {
    let server = server().await;
    let mut limited = 0;
    for n in 0..61 {
        let mut client = server.client();
        client.address = "192.0.2.1";
        let body = json!({ "email": "someone@example.com", "password": PASSWORD, "organisation": "x" });
        let answer = client.json("POST", "/api/v1/auth/signup", &[("x-forwarded-for", "203.0.113.77")], &body).await;
        match answer.status.as_u16() {
            201 => assert_eq!(n, 0),
            409 => {}
            429 => limited += 1,
            other => panic!("{other}"),
        }
    }
    assert!(limited >= 1);
    let body = json!({ "email": "new@example.com", "password": PASSWORD, "organisation": "x" });
    let mut client = server.client();
    client.address = "192.0.2.1";
    assert_eq!(client.json("POST", "/api/v1/auth/signup", &[("x-forwarded-for", "203.0.113.78")], &body).await.status, 201);
}

#[tokio::test]
async fn the_lookup_is_public_says_when_it_knows_nothing_and_is_limited() {
    let server = server().await;
    let mut client = server.client();
    for name in ["not%20a%20domain", "192.0.2.1", "localhost"] {
        let answer = client.get(&format!("/api/v1/lookup/{name}")).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, "domain"), "{name}");
    }
    let answer = client.get("/api/v1/lookup/Example.COM").await;
    // The resolver of the tests is dead: nothing is known, and nothing is called missing.
    assert_eq!((answer.status.as_u16(), answer.body["domain"].as_str()), (200, Some("example.com")), "{answer:?}");
    assert_eq!(answer.body["audit"]["findings"], json!([]));
    let again = client.get("/api/v1/lookup/example.com").await;
    assert_eq!(again.body["checked_at"], answer.body["checked_at"]);
    let limit = &server.state.limits.lookup;
    assert!((0..20).any(|_| limit.take("127.0.0.1").is_err()));
    assert_eq!(client.get("/api/v1/lookup/other.example").await.status, 429);
}

#[tokio::test]
async fn captured_mail_is_shown_to_this_machine_only() {
    let server = server().await;
    let mut client = server.client();
    assert_eq!(client.get("/api/v1/dev/mailbox").await.body["items"], json!([]));
    client.address = "203.0.113.5";
    assert_eq!(client.get("/api/v1/dev/mailbox").await.status, 404);
}
