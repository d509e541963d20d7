//! The router as a browser meets it, over a transport that answers from a table.
#![cfg(feature = "ssr")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{self, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use waypost_web::{
    TransportFactory, Visitor, WebConfig,
    api::{ApiFuture, ApiRequest, ApiResponse, ApiTransport},
    router,
};

struct Table {
    signed_in: bool,
}

const HOSTILE: &str = "<script>alert('x')</script>\"&";

impl ApiTransport for Table {
    fn call(&self, request: ApiRequest) -> ApiFuture {
        let problem = |status: u16, errors: Value| {
            (status, json!({"type": "/problems/x", "title": "No", "status": status, "detail": "Email or password is wrong.", "errors": errors}))
        };
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        let (status, body) = match (request.method.as_str(), path.as_str()) {
            ("POST", "/api/v1/auth/login") => problem(401, json!([])),
            ("POST", "/api/v1/auth/signup") => problem(422, json!([{"field": "password", "message": "Give 10 characters or more."}])),
            ("POST", "/api/v1/auth/logout") => (204, Value::Null),
            _ if !self.signed_in => problem(401, json!([])),
            ("GET", "/api/v1/me") => (
                200,
                json!({"user": {"id": "usr_00000000000000000000000000000001", "email": "ops@example.com", "email_verified": true, "created_at": "2026-11-18T00:00:00Z"},
                       "orgs": [{"id": "org_00000000000000000000000000000002", "slug": "acme", "name": HOSTILE, "role": "owner"}]}),
            ),
            ("GET", "/api/v1/orgs/acme/overview") => (
                200,
                json!({"score": null, "counts": {"domains": 0, "servers": 0, "addresses": 0, "monitors": 0, "open_incidents": 0},
                       "last_checked_at": null, "ports": [], "domains": [], "addresses": [], "incidents": [], "port25_blocked": null}),
            ),
            _ => problem(404, json!([])),
        };
        Box::pin(async move { Ok(ApiResponse { status, body, set_cookie: vec!["waypost=1; HttpOnly".to_owned()] }) })
    }
}

struct Tables(bool);

impl TransportFactory for Tables {
    fn for_visitor(&self, _visitor: Visitor) -> Arc<dyn ApiTransport> {
        Arc::new(Table { signed_in: self.0 })
    }
}

fn site(signed_in: bool) -> Router {
    let config = WebConfig { assets_dir: PathBuf::from("/nowhere"), dev_mailbox: false, base_url: "http://localhost".to_owned() };
    router(config, Arc::new(Tables(signed_in)))
}

async fn ask(signed_in: bool, request: Request<Body>) -> (StatusCode, http::HeaderMap, String) {
    let response = site(signed_in).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, form: &str) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form.to_owned())).unwrap()
}

#[tokio::test]
async fn pages_for_everybody_come_with_a_strict_policy() {
    for path in ["/", "/login", "/signup", "/forgot", "/reset?token=x"] {
        let (status, headers, html) = ask(false, get(path)).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline"), "{path}: {policy}");
        assert!(!html.contains(" style=\""), "{path} has a style attribute");
        assert_eq!(html.matches("<h1").count(), 1, "{path} has one h1");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_asked_to_and_comes_back() {
    let (status, headers, _) = ask(false, get("/o/acme")).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers[header::LOCATION], "/login?next=%2Fo%2Facme");
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_but_no_password() {
    let (status, _, html) = ask(false, post("/signup", "email=keeps%40lab.test&password=short-secret&organisation=%22Keepers")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("keeps@lab.test") && html.contains("&quot;Keepers"), "{html}");
    assert!(!html.contains("short-secret"), "a password is not given back");
    assert!(html.contains("aria-invalid=\"true\"") && html.contains("aria-describedby"), "the field is named");
}

#[tokio::test]
async fn a_wrong_password_is_said_and_the_address_stays() {
    let (status, _, html) = ask(false, post("/login", "email=a%40b.test&password=wrong-secret&next=")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("role=\"alert\"") && html.contains("a@b.test") && !html.contains("wrong-secret"));
}

#[tokio::test]
async fn names_from_people_are_text_and_nothing_else() {
    let (status, _, html) = ask(true, get("/o/acme")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!html.contains("<script>alert"), "an organisation's name runs");
    assert!(html.contains("leptos-island"), "the page is live");
}

#[tokio::test]
async fn what_is_not_there_is_404_in_the_same_look() {
    for (signed_in, path) in
        [(false, "/no/such/page"), (true, "/o/other"), (true, "/o/acme/domains/dom_00000000000000000000000000000001"), (true, "/o/acme/nonsense")]
    {
        let (status, _, html) = ask(signed_in, get(path)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(html.contains("<h1"), "{path}");
    }
}

#[tokio::test]
async fn cookies_of_the_api_reach_the_browser() {
    let (status, headers, _) = ask(true, post("/logout", "")).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers[header::SET_COOKIE], "waypost=1; HttpOnly");
}

#[tokio::test]
async fn styles_are_served_before_anything_is_built() {
    let (status, headers, _) = ask(false, get("/assets/app.css")).await;
    assert_eq!((status, headers[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, "text/css; charset=utf-8"));
    assert_eq!(ask(false, get("/assets/..%2fCargo.toml")).await.0, StatusCode::NOT_FOUND);
}
