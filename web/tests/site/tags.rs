//! Tags and roles on pages: shown, filtered by, and sent.

use axum::http::{StatusCode, header};
use serde_json::json;
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{DOMAIN, SERVER, member},
    support::{ask, between, get, post, problem, tags, text, values},
};

#[tokio::test]
async fn lists_show_tags_and_are_filtered_by_one() {
    let (_, html, calls) = ask(member("viewer"), get("/o/acme/servers?tag=Web")).await;
    assert!(calls.iter().any(|call| call.path == "/api/v1/orgs/acme/servers?limit=50&tag=web"), "{calls:?}");
    let table = between(&html, "aria-label=\"Mail servers\"", "</section>");
    assert!(values(table, "href").contains(&"/o/acme/servers?tag=berlin") && text(table).contains("from an MX record, gateway"));
    let offered = |html: &str| text(between(html, "aria-label=\"Tags\"", "</nav>"));
    assert!(offered(&html).contains("berlin (1)web (1)Show all"), "{}", offered(&html));
    let on: Vec<&str> = tags(&html, "a").into_iter().filter(|tag| tag.contains("aria-current=\"true\"")).collect();
    assert!(on.len() == 1 && on[0].contains("?tag=web"), "{on:?}");
    // Tags that no domain has are not offered above domains.
    let (_, html, _) = ask(member("viewer"), get("/o/acme/domains")).await;
    assert!(offered(&html).contains("web (3)") && !offered(&html).contains("berlin"), "{}", offered(&html));
    let none = |request: &ApiRequest| {
        if request.path.contains("servers?") { (200, json!({ "items": [], "next": null })) } else { member("viewer")(request) }
    };
    let (_, html, _) = ask(none, get("/o/acme/servers?tag=paris")).await;
    assert!(text(&html).contains("Nothing has the tag “paris”"));
}

#[tokio::test]
async fn settings_send_tags_and_a_role_and_show_what_is_wrong_with_them() {
    let accepts = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("editor")(request) };
    for (path, form, sent) in [
        (format!("servers/{SERVER}"), "version=3&tags=web%2C+Berlin&role=relay", json!({ "tags": ["web", "Berlin"], "role": "relay" })),
        (format!("servers/{SERVER}"), "version=3&tags=&role=", json!({ "tags": [], "role": null })),
        (format!("domains/{DOMAIN}"), "version=3&tags=web", json!({ "tags": ["web"] })),
    ] {
        let (response, _, calls) = ask(accepts, post(&format!("/o/acme/{path}/settings"), form)).await;
        assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/{path}?saved=settings"));
        assert_eq!(calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap(), sent, "{form}");
    }
    let refuses = |request: &ApiRequest| {
        if request.method == Method::Patch { problem(422, "", &[("tags", "“<b>” is no tag")]) } else { member("editor")(request) }
    };
    let (response, html, _) = ask(refuses, post(&format!("/o/acme/servers/{SERVER}/settings"), "version=3&tags=%3Cb%3E&role=relay")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let field = tags(&html, "input").into_iter().find(|tag| tag.contains("name=\"tags\"")).unwrap();
    assert!(field.contains("aria-invalid=\"true\"") && field.contains("value=\"&lt;b&gt;\""), "{field}");
    let role: Vec<&str> = tags(&html, "option").into_iter().filter(|tag| tag.contains(" selected") && tag.contains("relay")).collect();
    assert_eq!(role.len(), 1, "what was chosen comes back");
}

#[tokio::test]
async fn what_is_watched_already_is_linked_where_it_was_to_be_added() {
    let known = |request: &ApiRequest| {
        if request.method != Method::Post {
            return member("editor")(request);
        }
        let (status, mut body) = problem(409, "mail.example.com is watched already.", &[("host", "mail.example.com is watched already.")]);
        body["existing"] = json!(SERVER);
        (status, body)
    };
    let (response, html, _) = ask(known, post("/o/acme/servers", "host=mail.example.com&ports=25")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&html).contains("mail.example.com is watched already."));
    let links: Vec<&str> = values(&html, "href").into_iter().filter(|to| to.ends_with(&format!("/servers/{SERVER}"))).collect();
    assert_eq!(links, [format!("/o/acme/servers/{SERVER}")], "{html}");
}
