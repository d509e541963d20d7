//! What a page says after something was done there: that it was saved, that an answer is awaited, and what became of words that could not be
//! saved.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{DOMAIN, member},
    support::{ask, between, get, post, problem, text},
};

/// An owner's API where every change is refused since somebody else was faster.
fn overtaken(request: &ApiRequest) -> (u16, Value) {
    if request.method == Method::Patch { problem(412, "", &[]) } else { member("owner")(request) }
}

#[tokio::test]
async fn saved_settings_are_confirmed() {
    let script = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("owner")(request) };
    for (form, said) in [("version=3&interval_s=3600", "The settings are saved."), ("version=3&paused=true", "The checks are paused.")] {
        let (response, ..) = ask(script, post(&format!("/o/acme/domains/{DOMAIN}/settings"), form)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let to = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let (_, html, _) = ask(script, get(&to)).await;
        assert!(text(between(&html, "data-live=\"notice\"", "</main>")).contains(said), "{to}");
    }
}

#[tokio::test]
async fn an_answer_takes_the_place_of_the_notice_that_awaits_it() {
    // The monitors of the script were checked on 18 November 2026.
    for (asked, waits) in [("1763000000", false), ("1900000000", true)] {
        let (_, html, _) = ask(member("owner"), get(&format!("/o/acme/domains/{DOMAIN}?asked={asked}"))).await;
        assert_eq!(html.contains("A check was asked for and is on its way."), waits, "{asked}");
        assert_eq!((html.contains("<progress"), html.contains("Checking…")), (waits, waits), "how it goes is seen, and nobody asks twice: {asked}");
        assert!(html.contains("data-live=\"notice\""), "an open page loses it, too");
    }
}

#[tokio::test]
async fn words_typed_into_settings_outlive_somebody_elses_change() {
    let form = "version=2&interval_s=7200&selectors=mine%2C+other&selectors_before=old&senders=192.0.2.9&senders_before=192.0.2.9";
    let (response, html, _) = ask(overtaken, post(&format!("/o/acme/domains/{DOMAIN}/settings"), form)).await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    let settings = between(&html, "id=\"settings\"", "</section>");
    let area = |name: &str| between(settings, &format!("id=\"f-{name}\""), "</textarea>").to_owned();
    assert!(area("selectors").contains("mine, other"), "{settings}");
    assert!(!area("senders").contains("192.0.2.9"), "what was not touched is as it is now: {settings}");
    assert!(text(settings).contains("Saved by somebody else meanwhile"), "{settings}");
    assert!(html.contains("nothing was saved"));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_said_to_be_so() {
    // The API takes less than the form: what was pasted is there again.
    let script = |request: &ApiRequest| if request.method == Method::Post { problem(413, "Too large.", &[]) } else { member("owner")(request) };
    let (response, html, _) = ask(script, post("/o/acme/messages", "message=Subject%3A+long+one")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("Subject: long one") && html.contains("too large to be read as a whole"), "{html}");
    // More than the form takes: no word of an empty message.
    let request = Request::post("/o/acme/messages")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(format!("message={}", "x".repeat(900 * 1024))))
        .unwrap();
    let (_, html, calls) = ask(member("owner"), request).await;
    assert!(html.contains("The message is too large to be read."), "{html}");
    assert!(calls.iter().all(|call| call.method == Method::Get), "nothing is asked of the API");
}

#[tokio::test]
async fn selectors_are_shown_with_how_they_are_known_and_a_seen_one_is_forgotten() {
    let script = |request: &ApiRequest| {
        if request.method == Method::Delete {
            return (204, Value::Null);
        }
        if request.path.ends_with("/selectors") {
            return (200, json!({ "items": [{ "selector": "forged7", "origin": "seen", "seen_at": "2026-11-17T13:00:00Z" }], "next": null }));
        }
        member("owner")(request)
    };
    let (_, html, _) = ask(script, get(&format!("/o/acme/domains/{DOMAIN}"))).await;
    let card = between(&html, "id=\"h-sel\"", "</section>");
    let said = text(card);
    assert!(said.contains("forged7Seen in a signed message") && said.contains("Forget"), "{said}");
    let (response, _, calls) = ask(script, post(&format!("/o/acme/domains/{DOMAIN}/selectors"), "selector=forged7")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(calls.iter().any(|call| call.method == Method::Delete && call.path.ends_with(&format!("{DOMAIN}/selectors/forged7"))));
}

#[tokio::test]
async fn an_address_that_was_looked_up_is_carried_through_sign_up() {
    let (_, html, _) = ask(member("owner"), get("/lookup/192.0.2.25")).await;
    assert!(html.contains("href=\"/signup?add=192.0.2.25\""), "{html}");
    let signed = |request: &ApiRequest| {
        let org = json!({ "id": "org_00000000000000000000000000000001", "slug": "acme", "name": "Acme", "role": "owner" });
        let user = json!({ "id": "usr_0000000000000000000000000000000a", "email": "a@example.com", "email_verified": false, "created_at": "2026-11-18T13:00:00Z" });
        if request.path.ends_with("auth/signup") { (201, json!({ "user": user, "org": org })) } else { member("owner")(request) }
    };
    for (add, to) in [
        ("192.0.2.25", "/o/acme/add?address=192.0.2.25"),
        ("2001%3Adb8%3A%3A1", "/o/acme/add?address=2001%3Adb8%3A%3A1"),
        ("example.com", "/o/acme/add?domain=example.com"),
    ] {
        let (response, ..) = ask(signed, post("/signup", &format!("organisation=Acme&email=a%40example.com&password=longenough1&add={add}"))).await;
        assert_eq!(response.headers()[header::LOCATION], to);
    }
    let (response, ..) = ask(signed, get("/app?add=192.0.2.25")).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/add?address=192.0.2.25", "who is signed in, too");
    let (_, html, _) = ask(member("owner"), get("/o/acme/add?address=192.0.2.25")).await;
    assert!(between(&html, "id=\"f-cidr\"", ">").contains("value=\"192.0.2.25\""));
}

#[tokio::test]
async fn a_state_beside_a_grade_says_what_each_is_about() {
    for (state, said) in [("degraded", "Degraded: at least one finding is a warning."), ("up", "")] {
        let script = move |request: &ApiRequest| {
            let (status, mut body) = member("owner")(request);
            if request.path.ends_with(DOMAIN) {
                body["state"] = json!(state);
                (body["audit"]["grade"], body["audit"]["score"]) = (json!("A"), json!(95));
            }
            (status, body)
        };
        let (_, html, _) = ask(script, get(&format!("/o/acme/domains/{DOMAIN}"))).await;
        let card = text(between(&html, "id=\"h-g\"", "</section>"));
        assert_eq!(card.contains("The grade weighs all findings together."), !said.is_empty(), "{card}");
        assert!(card.contains(said), "{card}");
    }
}

#[tokio::test]
async fn without_room_the_form_comes_back_with_what_was_typed_and_what_to_do() {
    let refused = |kind: &'static str, verified: bool, role: &'static str| {
        move |request: &ApiRequest| {
            if request.method == Method::Post {
                let (status, mut body) = problem(403, "The limit of 25 monitors is reached.", &[]);
                body["type"] = json!(kind);
                return (status, body);
            }
            let (status, mut body) = member(role)(request);
            if request.path.ends_with("/me") {
                body["user"]["email_verified"] = json!(verified);
            }
            (status, body)
        }
    };
    for (path, form, typed) in [
        ("/o/acme/domains", "name=one-more.example", "one-more.example"),
        ("/o/acme/servers", "host=mx.one-more.example&ports=587", "mx.one-more.example"),
        ("/o/acme/addresses", "cidr=192.0.2.99", "192.0.2.99"),
    ] {
        let (response, html, _) = ask(refused("/problems/unconfirmed", false, "owner"), post(path, form)).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(html.contains(&format!("value=\"{typed}\"")), "{path}: what was typed is there: {html}");
        let alert = between(&html, "role=\"alert\"", "</div></div>");
        assert!(text(alert).contains("The limit of 25 monitors is reached. Follow the link that we sent to ops@example.com"), "{alert}");
        assert!(alert.contains("href=\"#confirm\""), "{alert}");
        assert!(between(&html, "id=\"confirm\"", "</form>").contains("action=\"/verify/resend\""), "the link leads to the button");
        assert_eq!(html.matches("role=\"alert\"").count(), 1, "it is said once");
    }
    let (_, html, _) = ask(refused("/problems/unconfirmed", true, "editor"), post("/o/acme/domains", "name=one-more.example")).await;
    assert!(text(&html).contains("Ask an owner of the organisation to confirm theirs") && !html.contains("#confirm"), "{html}");
    // The limit of a plan is said at the form; what somebody may not do is no form.
    let (response, html, _) = ask(refused("/problems/limit", true, "owner"), post("/o/acme/domains", "name=one-more.example")).await;
    assert!(response.status() == StatusCode::FORBIDDEN && html.contains("value=\"one-more.example\""), "{html}");
    let (_, html, _) = ask(refused("/problems/forbidden", true, "owner"), post("/o/acme/domains", "name=one-more.example")).await;
    assert!(html.contains("Not allowed") && !html.contains("one-more.example"), "{html}");
}
