//! Services on pages: added with what they are expected to do, shown with what they showed, changed.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{RECORD, SERVICE, member},
    support::{ask, between, get, post, problem, tags, text, values},
};

const AT: &str = "2026-11-18T13:00:00Z";

fn service(id: &str, kind: &str, target: &str, settings: &Value) -> Value {
    json!({ "id": id, "kind": kind, "target": target, "settings": settings, "tags": ["web"], "interval_s": 300, "regions": ["local"], "paused": false,
        "state": "down", "state_since": AT, "summary": "it is not as it should be", "latency_ms": 12.5, "last_checked_at": AT, "next_check_at": AT,
        "domain_id": null, "server_id": null, "address_id": null, "version": 3, "created_at": AT })
}

pub fn mailbox() -> Value {
    service(SERVICE, "imap", "mail.example.com:143", &json!({}))
}

pub fn record() -> Value {
    service(RECORD, "dns", "example.com MX", &json!({ "values": ["10 mx.example.com", "20 <b>.example.com"] }))
}

pub fn mailbox_seen() -> Value {
    json!({ "kind": "service", "service": "imap", "target": "mail.example.com:143", "verdict": "degraded", "summary": "passwords are taken in clear",
        "looks": [{ "address": "192.0.2.25", "verdict": "degraded", "reason": "passwords are taken in clear", "stage_ms": { "connect": 1.5, "total": 20.0 },
            "banner": "* OK <b>ready", "capabilities": ["IMAP4rev1", "AUTH=PLAIN"],
            "findings": [{ "rule": "imap.login_in_clear", "severity": "medium", "subject": "mail.example.com", "summary": "Passwords are taken in clear", "fix": "Close it." }],
            "transcript": [{ "at_ms": 2, "from": "server", "line": "* OK <b>ready" }, { "at_ms": 3, "from": "client", "line": "a1 CAPABILITY" }] }] })
}

pub fn record_seen() -> Value {
    json!({ "kind": "service", "service": "dns", "target": "example.com MX", "verdict": "down", "summary": "other than expected",
        "looks": [{ "verdict": "down", "reason": "other than expected", "stage_ms": { "dns": 3.0, "total": 3.0 }, "findings": [] }],
        "records": { "name": "example.com", "type": "MX", "comparison": "equals", "expected": ["10 mx.example.com", "20 <b>.example.com"],
            "found": ["10 mx.example.com", "30 other.example.com"] } })
}

#[tokio::test]
async fn services_have_a_list_with_tags_and_a_place_in_the_navigation() {
    let (_, html, calls) = ask(member("viewer"), get("/o/acme/monitors?tag=Web")).await;
    assert!(calls.iter().any(|call| call.path == "/api/v1/orgs/acme/monitors?services=true&limit=50&tag=web"), "{calls:?}");
    let table = between(&html, "aria-label=\"Services\"", "</section>");
    assert!(text(table).contains("IMAP server") && text(table).contains("DNS record") && text(table).contains("Failing"), "{}", text(table));
    assert!(values(table, "href").contains(&format!("/o/acme/monitors/{SERVICE}").as_str()));
    let here = tags(&html, "a").into_iter().find(|tag| tag.contains("aria-current=\"page\"")).unwrap();
    assert!(here.contains("/o/acme/monitors"), "{here}");
}

#[tokio::test]
async fn a_service_is_added_with_what_it_is_expected_to_do() {
    let accepts = |request: &ApiRequest| if request.method == Method::Post { (201, mailbox()) } else { member("editor")(request) };
    for (form, sent) in [
        (
            "kind=tcp&target=mail.example.com%3A4190&settings.begins_with=220+&settings.contains=",
            json!({ "kind": "tcp", "target": "mail.example.com:4190", "settings": { "begins_with": "220 " } }),
        ),
        (
            "kind=https&target=https%3A%2F%2Fexample.com%2F&settings.statuses=204%2C+300-399&settings.contains=Hi",
            json!({ "kind": "https", "target": "https://example.com/", "settings": { "contains": "Hi", "statuses": ["204", "300-399"] } }),
        ),
        (
            "kind=dns&target=example.com&type=MX&comparison=contains&settings.values=10+a%0D%0A%0D%0A20+b",
            json!({ "kind": "dns", "target": "example.com MX", "settings": { "comparison": "contains", "values": ["10 a", "20 b"] } }),
        ),
        // What belongs to another kind is not sent.
        ("kind=imap&target=mail.example.com%3A993&settings.contains=x", json!({ "kind": "imap", "target": "mail.example.com:993", "settings": {} })),
    ] {
        let (response, _, calls) = ask(accepts, post("/o/acme/monitors", form)).await;
        assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/monitors/{SERVICE}"));
        assert_eq!(calls.iter().find(|call| call.method == Method::Post).unwrap().body.clone().unwrap(), sent, "{form}");
    }
    let refuses = |request: &ApiRequest| {
        if request.method == Method::Post {
            problem(422, "", &[("settings.values", "“10” is no value of MX records")])
        } else {
            member("editor")(request)
        }
    };
    let (response, html, _) =
        ask(refuses, post("/o/acme/monitors", "kind=dns&target=example.com&type=MX&comparison=contains&settings.values=10")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&html).contains("“10” is no value of MX records") && html.contains("value=\"example.com\""), "what was typed comes back");
    let chosen: Vec<&str> = tags(&html, "option").into_iter().filter(|tag| tag.contains(" selected")).collect();
    assert!(chosen.iter().any(|tag| tag.contains("\"MX\"")) && chosen.iter().any(|tag| tag.contains("\"contains\"")), "{chosen:?}");
}

#[tokio::test]
async fn its_page_shows_what_was_expected_beside_what_was_found() {
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/monitors/{RECORD}"))).await;
    let seen = text(between(&html, "id=\"h-seen\"", "</section>"));
    assert!(seen.contains("Missing") && seen.contains("30 other.example.comNot expected"), "{seen}");
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/monitors/{SERVICE}"))).await;
    let seen = between(&html, "id=\"h-seen\"", "</section>");
    assert!(text(seen).contains("AUTH=PLAIN") && text(seen).contains("a1 CAPABILITY") && !seen.contains("<b>"), "{seen}");
    let accepts = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("editor")(request) };
    let form = "version=3&kind=dns&interval_s=60&comparison=absent&settings.values=&tags=web";
    let (response, _, calls) = ask(accepts, post(&format!("/o/acme/monitors/{RECORD}/settings"), form)).await;
    assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/monitors/{RECORD}?saved=settings"));
    let sent = calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap();
    assert_eq!(sent, json!({ "interval_s": 60, "tags": ["web"], "settings": { "comparison": "absent", "values": [] } }));
    // Pausing says nothing of what is expected.
    let (_, _, calls) = ask(accepts, post(&format!("/o/acme/monitors/{RECORD}/settings"), "version=3&paused=true")).await;
    assert_eq!(calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap(), json!({ "paused": true }));
}
