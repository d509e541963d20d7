//! The pages over an API that answers from a table: status codes, redirects, fields at fault, escaping, cookies.
#![cfg(feature = "ssr")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::{Arc, Mutex};

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use serde_json::{Value, json};
use tower::ServiceExt;
use waypost_web::{
    TransportFactory, Visitor, WebConfig,
    api::{ApiFuture, ApiRequest, ApiResponse, ApiTransport, Method},
    router,
};

type Script = dyn Fn(&ApiRequest) -> (u16, Value) + Send + Sync;

#[derive(Clone)]
struct Fake {
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<ApiRequest>>>,
}

impl ApiTransport for Fake {
    fn call(&self, request: ApiRequest) -> ApiFuture {
        let (status, body) = (self.script)(&request);
        self.calls.lock().unwrap().push(request);
        Box::pin(async move { Ok(ApiResponse { status, body, set_cookie: vec!["sid=1; HttpOnly".to_owned()] }) })
    }
}

impl TransportFactory for Fake {
    fn for_visitor(&self, _: Visitor) -> Arc<dyn ApiTransport> {
        Arc::new(self.clone())
    }
}

fn problem(status: u16, detail: &str, errors: &[(&str, &str)]) -> (u16, Value) {
    let errors: Vec<Value> = errors.iter().map(|(field, message)| json!({ "field": field, "message": message })).collect();
    (status, json!({ "type": "/problems/x", "title": "No", "status": status, "detail": detail, "errors": errors }))
}

const ORG: &str = "org_0190a0b0c0d07000800000000000000a";
const AT: &str = "2026-11-18T13:00:00Z";

fn signed_in(request: &ApiRequest) -> (u16, Value) {
    match (request.method, request.path.as_str()) {
        (Method::Get, "/api/v1/me") => (
            200,
            json!({
                "user": { "id": "usr_0190a0b0c0d07000800000000000000b", "email": "ops@example.com", "email_verified": false, "created_at": AT },
                "orgs": [{ "id": ORG, "slug": "acme", "name": "Acme <b>", "role": "owner" }]
            }),
        ),
        (Method::Get, "/api/v1/orgs/acme/overview") => (
            200,
            json!({ "score": null, "counts": { "domains": 0, "servers": 0, "addresses": 0, "monitors": 0, "open_incidents": 0 }, "last_checked_at": null,
                "ports": [], "domains": [], "addresses": [], "incidents": [], "port25_blocked": null }),
        ),
        (Method::Post, "/api/v1/orgs/acme/domains") => problem(422, "", &[("name", "“a b” is no domain name <script>")]),
        (Method::Post, "/api/v1/auth/login") => problem(401, "Email or password is wrong.", &[]),
        _ => problem(404, "", &[]),
    }
}

async fn ask(
    script: impl Fn(&ApiRequest) -> (u16, Value) + Send + Sync + 'static,
    request: Request<Body>,
) -> (Response<()>, String, Vec<ApiRequest>) {
    let fake = Fake { script: Arc::new(script), calls: Arc::default() };
    let config = WebConfig { assets_dir: "no-such-folder".into(), dev_mailbox: false, base_url: "http://localhost".to_owned() };
    let response = router(config, Arc::new(fake.clone())).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, 4_000_000).await.unwrap().to_vec()).unwrap();
    let calls = fake.calls.lock().unwrap().clone();
    (Response::from_parts(parts, ()), text, calls)
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, form: &str) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form.to_owned())).unwrap()
}

#[tokio::test]
async fn a_newcomer_sees_the_form_for_the_first_domain() {
    let (response, text, _) = ask(signed_in, get("/o/acme")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(text.contains("action=\"/o/acme/domains\""), "{text}");
    assert!(text.contains("Confirm your email address."));
    assert!(text.contains("Acme &lt;b&gt;") && !text.contains("Acme <b>"));
    assert!(text.contains("<leptos-island"));
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe-inline"));
    assert!(!text.contains(" style=\""));
}

#[tokio::test]
async fn what_is_not_there_is_a_404_page() {
    for path in ["/nothing", "/o/other", "/o/acme/domains/dom_1", "/dev/mailbox"] {
        let (response, text, _) = ask(signed_in, get(path)).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(text.contains("Page not found"), "{path}");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_comes_back_after_signing_in() {
    let (response, ..) = ask(|_| problem(401, "Sign in.", &[]), get("/o/acme/domains?cursor=a")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[header::LOCATION], "/login?next=%2Fo%2Facme%2Fdomains%3Fcursor%3Da");
}

#[tokio::test]
async fn a_refused_form_comes_back_with_what_was_typed_and_why() {
    let (response, text, _) = ask(signed_in, post("/o/acme/domains", "name=a+b%22%3E")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text.contains("value=\"a b&quot;&gt;\""), "{text}");
    assert!(text.contains("aria-invalid=\"true\"") && text.contains("aria-describedby=\"name-below\""));
    assert!(text.contains("is no domain name &lt;script&gt;"));
}

#[tokio::test]
async fn a_wrong_password_is_said_and_never_shown_again() {
    let (response, text, _) = ask(signed_in, post("/login", "email=ops%40example.com&password=hunter2hunter2&next=%2F%2Fevil.example")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text.contains("Email or password is wrong."));
    assert!(text.contains("value=\"ops@example.com\""));
    assert!(!text.contains("hunter2") && !text.contains("evil.example"));
}

#[tokio::test]
async fn signing_in_sets_the_cookie_and_goes_only_to_local_paths() {
    let user = json!({ "id": "usr_0190a0b0c0d07000800000000000000b", "email": "a@example.com", "email_verified": true, "created_at": AT });
    for (next, to) in [("%2Fo%2Facme%2Fadd", "/o/acme/add"), ("https%3A%2F%2Fevil.example", "/o/acme"), ("%2F%5Cevil.example", "/o/acme")] {
        let signed = json!({ "user": user, "org": { "id": ORG, "slug": "acme", "name": "Acme", "role": "owner" } });
        let (response, ..) = ask(move |_| (200, signed.clone()), post("/login", &format!("email=a&password=b&next={next}"))).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], to);
        assert_eq!(response.headers()[header::SET_COOKIE], "sid=1; HttpOnly");
    }
}

#[tokio::test]
async fn changes_carry_the_version_they_are_based_on() {
    let (response, _, calls) = ask(|_| (200, json!({})), post("/o/acme/domains/dom_1/settings", "version=7&interval_s=3600&paused=true")).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/domains/dom_1");
    assert_eq!(calls[0].if_match, Some(7));
    assert_eq!(calls[0].body, Some(json!({ "interval_s": 3600, "paused": true })));
}

#[tokio::test]
async fn forbidden_and_broken_are_told_apart() {
    let (response, text, _) = ask(|_| problem(403, "Viewers can not add.", &[]), post("/o/acme/servers", "host=mail.example.com")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(text.contains("Viewers can not add."));
    let (response, text, _) = ask(|_| (500, json!(null)), get("/o/acme")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("Try again"));
}

#[tokio::test]
async fn the_front_door_finds_the_domain_in_what_people_type() {
    for (typed, to) in [
        ("Example.com", "/lookup/Example.com"),
        ("me%40example.com", "/lookup/example.com"),
        ("https%3A%2F%2Fexample.com%2Fx", "/lookup/example.com"),
    ] {
        let (response, ..) = ask(signed_in, get(&format!("/lookup?domain={typed}"))).await;
        assert_eq!(response.headers()[header::LOCATION], to);
    }
    let (response, ..) = ask(signed_in, get("/lookup?domain=+")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn styles_are_served_before_anything_was_built() {
    let (response, text, _) = ask(signed_in, get("/assets/app.css")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
    assert!(text.contains("@layer"));
    let (response, ..) = ask(signed_in, get("/assets/..%2Fsrc%2Flib.rs")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}
