//! Maintenance windows on pages: the list, the form, and the line on what is covered.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{DOMAIN, SERVER, WINDOW, member},
    support::{ask, between, get, post, problem, tags, text},
};

#[tokio::test]
async fn the_list_shows_what_is_on_and_what_comes_next_in_the_organisations_time() {
    let (_, html, _) = ask(member("editor"), get("/o/acme/maintenance")).await;
    let said = text(between(&html, "id=\"h-windows\"", "</section>"));
    for part in [
        "times of Europe/Berlin",
        "New disks &lt;b&gt;",
        "1\u{a0}domain, 1\u{a0}mail server",
        "On until Fri 18 Jan 2999, 14:00 CET",
        "Every Tuesday, Friday at 02:30 for 1\u{a0}h 30\u{a0}min",
        "Everything",
        "Planned",
        "Fri 20 Nov 2026, 02:30 CET",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn what_is_covered_says_so_on_its_page_and_in_its_list_and_nothing_else_does() {
    let line = "Maintenance: New disks &lt;b&gt; is on until Fri 18 Jan 2999, 14:00 CET. Checks go on and are recorded; no incident opens and nobody is told.";
    let (_, html, _) = ask(member("viewer"), get(&format!("/o/acme/servers/{SERVER}"))).await;
    assert!(text(&html).contains(line), "{}", text(&html));
    assert!(html.contains(&format!("href=\"/o/acme/maintenance/{WINDOW}\"")));
    let (_, html, _) = ask(member("viewer"), get(&format!("/o/acme/domains/{DOMAIN}"))).await;
    assert!(!text(&html).contains("is on until"));
    for (path, id, marked) in [
        ("servers", "aria-label=\"Mail servers\"", true),
        ("domains", "aria-label=\"Domains\"", false),
        ("addresses", "aria-label=\"Addresses\"", false),
    ] {
        let (_, html, _) = ask(member("viewer"), get(&format!("/o/acme/{path}"))).await;
        assert_eq!(text(between(&html, id, "</section>")).contains("Maintenance"), marked, "{path}");
    }
}

fn sent(calls: &[ApiRequest], method: Method) -> Value {
    calls.iter().find(|call| call.method == method).unwrap().body.clone().unwrap()
}

#[tokio::test]
async fn the_form_sends_the_plan_that_was_chosen_in_local_time_and_what_was_chosen() {
    let accepts =
        |request: &ApiRequest| if request.method == Method::Post { (201, crate::organisation::window()) } else { member("editor")(request) };
    let many = |domains: Value, servers: Value| json!({ "everything": false, "domains": domains, "servers": servers, "addresses": [], "monitors": [], "tags": [] });
    let all = json!({ "everything": true, "domains": [], "servers": [], "addresses": [], "monitors": [], "tags": [] });
    // Fields of the choices that were not made are there, too, and are not read.
    let rest = "&from=2026-03-29T02%3A30&to=2026-03-29T05%3A00&day=31&at=02%3A30&hours=1&minutes=30&day-mon=1&day-sun=1";
    let mut tagged = many(json!([]), json!([SERVER]));
    tagged["tags"] = json!(["web", "berlin"]);
    for (form, covers, plan) in [
        (
            format!("scope=everything&kind=once&c-{DOMAIN}=1"),
            &all,
            json!({ "kind": "once", "from": "2026-03-29T01:30:00Z", "to": "2026-03-29T03:00:00Z" }),
        ),
        (
            format!("scope=chosen&kind=weekly&c-{DOMAIN}=1&c-{SERVER}=1"),
            &many(json!([DOMAIN]), json!([SERVER])),
            json!({ "kind": "weekly", "days": ["mon", "sun"], "at": "02:30", "minutes": 90 }),
        ),
        (
            format!("scope=chosen&kind=monthly&c-{SERVER}=1"),
            &many(json!([]), json!([SERVER])),
            json!({ "kind": "monthly", "day": 31, "at": "02:30", "minutes": 90 }),
        ),
    ] {
        let (response, _, calls) = ask(accepts, post("/o/acme/maintenance", &format!("name=Disks&{form}{rest}"))).await;
        assert_eq!(response.headers()[header::LOCATION], "/o/acme/maintenance?saved=added");
        assert_eq!(sent(&calls, Method::Post), json!({ "name": "Disks", "covers": covers, "plan": plan }), "{form}");
    }
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_comes_back() {
    let refuses = |request: &ApiRequest| {
        if request.method == Method::Post { problem(422, "", &[("to", "The window has to end after it begins.")]) } else { member("editor")(request) }
    };
    let form = format!("name=Disks&scope=chosen&c-{SERVER}=1&kind=once&from=2026-03-29T05%3A00&to=2026-03-29T04%3A00");
    let (response, html, _) = ask(refuses, post("/o/acme/maintenance", &form)).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let field = |name: &str| tags(&html, "input").into_iter().find(|tag| tag.contains(&format!("name=\"{name}\""))).unwrap().to_owned();
    assert!(field("to").contains("aria-invalid=\"true\"") && field("to").contains("value=\"2026-03-29T04:00\""));
    assert!(field(&format!("c-{SERVER}")).contains(" checked") && !field(&format!("c-{DOMAIN}")).contains(" checked"));
    assert!(text(&html).contains("The window has to end after it begins."));
    for (form, said) in [
        ("kind=once&from=soon&to=later", "Give a date and a time"),
        ("kind=weekly&at=noon", "Give a time of the day"),
        ("kind=monthly&day=x&at=02%3A00", "Give a day of the month"),
    ] {
        let (response, html, calls) = ask(member("editor"), post("/o/acme/maintenance", form)).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(text(&html).contains(said), "{form}");
        assert!(!calls.iter().any(|call| call.method == Method::Post), "{form}");
    }
}

#[tokio::test]
async fn a_change_leaves_alone_what_was_not_touched() {
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/maintenance/{WINDOW}"))).await;
    let hidden = tags(&html, "input").into_iter().any(|tag| tag.contains("hidden") && tag.contains("c-dom_000000000000000000000000000000ff"));
    assert!(hidden, "what is beyond the list stays chosen");
    let accepts = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("editor")(request) };
    let form = format!("version=4&name=Disks&scope=chosen&c-{SERVER}=1&kind=once&from=2026-11-18T13%3A00&to=2999-01-18T14%3A00");
    let (response, _, calls) = ask(accepts, post(&format!("/o/acme/maintenance/{WINDOW}/settings"), &form)).await;
    assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/maintenance/{WINDOW}?saved=saved"));
    let patch = sent(&calls, Method::Patch);
    assert!(patch.get("plan").is_none() && patch["name"] == "Disks", "{patch}");
    let (_, html, _) = ask(
        |request: &ApiRequest| if request.method == Method::Post { problem(412, "", &[]) } else { member("editor")(request) },
        post(&format!("/o/acme/maintenance/{WINDOW}/end"), "version=3"),
    )
    .await;
    assert!(text(&html).contains("Somebody else changed the window in the meantime, so nothing was done."));
}

#[tokio::test]
async fn the_time_zone_is_chosen_on_the_settings_page() {
    let (_, html, _) = ask(member("admin"), get("/o/acme/settings")).await;
    let on: Vec<&str> = tags(&html, "option").into_iter().filter(|tag| tag.contains(" selected")).collect();
    assert_eq!(on.len(), 1);
    assert!(on[0].contains("value=\"Europe/Berlin\""));
    let accepts = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("admin")(request) };
    let (response, _, calls) = ask(accepts, post("/o/acme/settings", "version=3&time_zone=Asia%2FKabul")).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/settings?saved=saved");
    assert_eq!((sent(&calls, Method::Patch), calls[0].if_match), (json!({ "time_zone": "Asia/Kabul" }), Some(3)));
}

#[tokio::test]
async fn a_window_for_a_tag_that_nothing_has_says_so() {
    let slip = |request: &ApiRequest| {
        let (status, mut body): (u16, Value) = member("viewer")(request);
        if request.path.ends_with("/maintenance") {
            body["items"][0]["covers"] = json!({ "everything": false, "tags": ["web", "wbe"] });
        }
        (status, body)
    };
    let (_, html, _) = ask(slip, get("/o/acme/maintenance")).await;
    let said = text(between(&html, "id=\"h-windows\"", "</section>"));
    assert!(said.contains("Nothing has the tag “wbe” now."), "{said}");
}
