//! Pages and forms: who sees what, what comes back, and where a form leads.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::support::{ask, get, post, problem};

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
    assert!(!text.contains("<leptos-island"), "nothing takes the place of what was typed and why it was refused");
}

#[tokio::test]
async fn the_address_of_an_action_leads_to_its_page_and_a_failed_one_back() {
    let (response, _, calls) = ask(signed_in, get("/o/acme/servers/srv_1/settings?asked=1")).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/servers/srv_1");
    assert!(calls.is_empty(), "looking at the address changes nothing");
    let (response, text, _) = ask(signed_in, post("/o/acme/servers/srv_1/check", "")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(text.contains("href=\"/o/acme/servers/srv_1\""), "{text}");
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
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/domains/dom_1?saved=paused");
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
async fn a_page_that_says_too_many_says_when_to_come_back() {
    let (response, ..) = ask(|_| problem(429, "Too many.", &[]), get("/lookup/example.com")).await;
    assert_eq!((response.status().as_u16(), &response.headers()[header::RETRY_AFTER]), (429, &header::HeaderValue::from_static("7")));
    let (response, ..) = ask(|_| problem(404, "", &[]), get("/lookup/example.com")).await;
    assert!(!response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn the_address_of_lookups_without_a_name_leads_to_the_form() {
    let (response, ..) = ask(|_| problem(404, "", &[]), get("/lookup/")).await;
    assert_eq!((response.status().as_u16(), &response.headers()[header::LOCATION]), (303, &header::HeaderValue::from_static("/")));
}
