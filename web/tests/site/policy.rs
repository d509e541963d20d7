//! What holds for every page: a strict policy, one heading, names as text, passwords that never come back, cookies handed on.

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::ApiRequest;

use crate::support::{ask, between, get, post, problem};

const HOSTILE: &str = "<script>alert('x')</script>\"&";

fn stranger(request: &ApiRequest) -> (u16, Value) {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/api/v1/auth/signup") => problem(422, "", &[("password", "Give 10 characters or more.")]),
        ("POST", "/api/v1/auth/logout") => (204, Value::Null),
        _ => problem(401, "Sign in first.", &[]),
    }
}

fn member(request: &ApiRequest) -> (u16, Value) {
    match request.path.as_str() {
        "/api/v1/me" => (
            200,
            json!({"user": {"id": "usr_00000000000000000000000000000001", "email": "ops@example.com", "email_verified": true, "created_at": "2026-11-18T00:00:00Z"},
                   "orgs": [{"id": "org_00000000000000000000000000000002", "slug": "acme", "name": HOSTILE, "role": "owner"}]}),
        ),
        "/api/v1/orgs/acme/overview" => (
            200,
            json!({"score": null, "counts": {"domains": 0, "servers": 0, "addresses": 0, "monitors": 0, "open_incidents": 0},
                   "last_checked_at": null, "ports": [], "domains": [], "addresses": [], "incidents": [], "port25_blocked": null}),
        ),
        _ => problem(404, "", &[]),
    }
}

#[tokio::test]
async fn pages_for_everybody_come_with_a_strict_policy() {
    for path in ["/", "/login", "/signup", "/forgot", "/reset?token=x", "/verify?token=x"] {
        let (response, html, _) = ask(stranger, get(path)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline"), "{path}: {policy}");
        assert!(!html.contains(" style=\""), "{path} has a style attribute");
        assert_eq!(html.matches("<h1").count(), 1, "{path} has one h1");
    }
}

#[tokio::test]
async fn a_refused_sign_up_keeps_what_was_typed_but_no_password() {
    let (response, html, _) = ask(stranger, post("/signup", "email=keeps%40lab.test&password=short-secret&organisation=%22Keepers")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("keeps@lab.test") && html.contains("&quot;Keepers"), "{html}");
    assert!(!html.contains("short-secret"), "a password is not given back");
    assert!(html.contains("aria-invalid=\"true\"") && html.contains("aria-describedby"), "the field is named");
}

#[tokio::test]
async fn names_from_people_are_text_and_nothing_else() {
    let (response, html, _) = ask(member, get("/o/acme")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!html.contains("<script>alert"), "an organisation's name runs");
    assert!(html.contains("leptos-island"), "the page is live");
}

#[tokio::test]
async fn what_is_not_there_is_404_in_the_same_look() {
    let (response, html, _) = ask(stranger, get("/no/such/page")).await;
    assert_eq!((response.status(), html.matches("<h1").count()), (StatusCode::NOT_FOUND, 1));
    for path in ["/o/other", "/o/acme/domains/dom_00000000000000000000000000000001", "/o/acme/nonsense"] {
        let (response, html, _) = ask(member, get(path)).await;
        assert_eq!((response.status(), html.matches("<h1").count()), (StatusCode::NOT_FOUND, 1), "{path}");
    }
}

#[tokio::test]
async fn cookies_of_the_api_reach_the_browser() {
    let (response, ..) = ask(stranger, post("/logout", "")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[header::SET_COOKIE], "sid=1; HttpOnly");
}

#[tokio::test]
async fn who_has_a_session_is_led_back_and_not_asked_to_sign_up() {
    for (cookie, back) in [("", false), ("other=1", false), ("xsid=1; sids=2", false), ("other=1; sid=2", true)] {
        let mut request = get("/no/such/page");
        request.headers_mut().insert(header::COOKIE, HeaderValue::from_static(cookie));
        let (_, html, _) = ask(stranger, request).await;
        let head = between(&html, "<header", "</header>");
        assert_eq!((head.contains("href=\"/app\""), head.contains("href=\"/signup\"")), (back, !back), "{cookie}");
    }
}
