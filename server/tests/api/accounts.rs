//! Signing up, in and out; guessing; forgotten passwords; proving an address.

use axum::body::Body;
use serde_json::json;

use crate::support::{PASSWORD, Server, server};

async fn token(server: &Server, path: &str) -> String {
    let text = server.text("SELECT message->>'text' FROM account_mail ORDER BY id DESC LIMIT 1").await;
    text.split(&format!("/{path}?token=")).nth(1).unwrap().chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
}

#[tokio::test]
async fn a_person_signs_up_once_and_comes_back() {
    let server = server().await;
    let (mut client, slug) = server.member("Ann").await;
    assert_eq!(slug, "ann");
    let first = client.cookie.clone();
    let me = client.get("/api/v1/me").await;
    assert_eq!((me.status.as_u16(), me.body["orgs"][0]["role"].as_str()), (200, Some("owner")));
    let again =
        server.client().post("/api/v1/auth/signup", &json!({ "email": "ANN@example.com", "password": PASSWORD, "organisation": "Other" })).await;
    assert_eq!((again.status.as_u16(), again.field()), (409, "email"));
    let same_name =
        server.client().post("/api/v1/auth/signup", &json!({ "email": "b@example.com", "password": PASSWORD, "organisation": "ann" })).await;
    assert_eq!(same_name.status, 201);
    assert_ne!(same_name.body["org"]["slug"], "ann");

    assert_eq!(client.send("POST", "/api/v1/auth/logout", &[], Body::empty()).await.status, 204);
    client.cookie.clone_from(&first);
    assert_eq!(client.get("/api/v1/me").await.status, 401, "a session that was ended stays ended");
    let login = client.post("/api/v1/auth/login", &json!({ "email": "Ann@Example.com", "password": PASSWORD })).await;
    assert_eq!((login.status.as_u16(), login.body["org"]["slug"].as_str()), (200, Some("ann")));
    let set = login.headers["set-cookie"].to_str().unwrap();
    assert!(set.starts_with("waypost_session=") && set.contains("HttpOnly") && set.contains("SameSite=Lax") && !set.contains("Secure"), "{set}");
    assert_ne!(client.cookie, first);
    assert_eq!(client.get("/api/v1/me").await.status, 200);
}

#[tokio::test]
async fn a_sign_up_names_every_field_at_fault() {
    let server = server().await;
    let answer = server.client().post("/api/v1/auth/signup", &json!({ "email": "no", "password": "short", "organisation": " " })).await;
    assert_eq!(answer.status, 422);
    let fields: Vec<&str> = answer.body["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["email", "password", "organisation"]);
}

#[tokio::test]
async fn guessing_is_slowed_down_without_locking_others_out() {
    let server = server().await;
    server.member("victim").await;
    server.member("neighbour").await;
    let mut guesser = server.client();
    guesser.address = "203.0.113.5";
    let mut refused = 0;
    for _ in 0..12 {
        let answer = guesser.post("/api/v1/auth/login", &json!({ "email": "victim@example.com", "password": "wrong wrong wrong" })).await;
        match answer.status.as_u16() {
            401 => {}
            429 => {
                assert!(answer.headers.contains_key("retry-after"));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused >= 5, "{refused}");
    let unknown = guesser.post("/api/v1/auth/login", &json!({ "email": "unknown@example.com", "password": "wrong wrong wrong" })).await;
    assert_eq!((unknown.status.as_u16(), unknown.body["title"].as_str()), (401, Some("Wrong credentials")));
    let neighbour = guesser.post("/api/v1/auth/login", &json!({ "email": "neighbour@example.com", "password": PASSWORD })).await;
    assert_eq!(neighbour.status, 200, "another account from the same address");
    let mut victim = server.client();
    victim.address = "198.51.100.9";
    assert_eq!(victim.post("/api/v1/auth/login", &json!({ "email": "victim@example.com", "password": PASSWORD })).await.status, 200);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_the_link_once() {
    let server = server().await;
    let (mut client, _) = server.member("ann").await;
    let unknown = server.client().post("/api/v1/auth/forgot", &json!({ "email": "nobody@example.com" })).await;
    let known = server.client().post("/api/v1/auth/forgot", &json!({ "email": "ann@example.com" })).await;
    assert_eq!((unknown.status.as_u16(), known.status.as_u16()), (202, 202));
    let token = token(&server, "reset").await;
    let weak = server.client().post("/api/v1/auth/reset", &json!({ "token": token, "password": "short" })).await;
    assert_eq!((weak.status.as_u16(), weak.field()), (422, "password"));
    let body = json!({ "token": token, "password": "another good password" });
    assert_eq!(server.client().post("/api/v1/auth/reset", &body).await.status, 204);
    assert_eq!(server.client().post("/api/v1/auth/reset", &body).await.field(), "token");
    assert_eq!(client.get("/api/v1/me").await.status, 401, "every session ends");
    let login = |password: &'static str| json!({ "email": "ann@example.com", "password": password });
    assert_eq!(client.post("/api/v1/auth/login", &login(PASSWORD)).await.status, 401);
    assert_eq!(client.post("/api/v1/auth/login", &login("another good password")).await.status, 200);
}

#[tokio::test]
async fn a_proven_address_lifts_the_limit_of_25_monitors() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let token = token(&server, "verify").await;
    for n in 0..25 {
        let answer = client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": format!("d{n}.example") })).await;
        assert_eq!(answer.status, 201);
    }
    let more = json!({ "name": "one-more.example" });
    let refused = client.post(&format!("/api/v1/orgs/{org}/domains"), &more).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body["detail"].as_str().unwrap().contains("25 monitors until an owner confirms"), "{refused:?}");
    // The pages tell by it that the form comes back with what to do.
    assert_eq!(refused.body["type"], "/problems/unconfirmed");
    assert_eq!(client.post("/api/v1/auth/verify", &json!({ "token": token })).await.status, 204);
    assert_eq!(client.get("/api/v1/me").await.body["user"]["email_verified"], true);
    assert_eq!(client.post(&format!("/api/v1/orgs/{org}/domains"), &more).await.status, 201);
}
