//! When a change counts and from where, on pages: shown, sent, and what is wrong beside its field; and what is flapping or cut off says so.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{DOMAIN, INCIDENT, SERVER, member},
    support::{ask, get, post, problem, tags, text},
};

fn field<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    tags(html, "input").into_iter().find(|tag| tag.contains(&format!("name=\"{name}\"")))
}

#[tokio::test]
async fn settings_show_what_holds_and_send_what_is_chosen() {
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/servers/{SERVER}"))).await;
    for (name, value) in [("policy.fail_after", "2"), ("policy.recover_after", "1"), ("policy.quorum", "0")] {
        let input = field(&html, name).unwrap_or_else(|| panic!("{name}: {html}"));
        assert!(input.contains(&format!("value=\"{value}\"")), "{input}");
    }
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/domains/{DOMAIN}"))).await;
    assert!(field(&html, "policy.fail_after").is_some() && field(&html, "policy.quorum").is_none(), "one region judges audits");
    let accepts = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("editor")(request) };
    let form = "version=3&policy.fail_after=3&policy.recover_after=2&policy.quorum=2&regions_before=local&region.local=1&region.east=1";
    let (response, _, calls) = ask(accepts, post(&format!("/o/acme/servers/{SERVER}/settings"), form)).await;
    assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/servers/{SERVER}?saved=settings"));
    let sent = calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap();
    assert_eq!(sent, json!({ "policy": { "fail_after": 3, "recover_after": 2, "quorum": 2 }, "regions": ["east", "local"] }));
}

#[tokio::test]
async fn what_was_not_touched_is_not_made_alike_at_every_port() {
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/servers/{SERVER}"))).await;
    for name in ["interval_s", "policy.fail_after", "policy.recover_after", "policy.quorum"] {
        assert!(field(&html, &format!("{name}_before")).is_some(), "{name}");
    }
    let accepts = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("editor")(request) };
    let form = "version=3&interval_s=300&interval_s_before=300&tags=web&policy.fail_after=4&policy.fail_after_before=2&policy.recover_after=1&policy.recover_after_before=1&policy.quorum=0&policy.quorum_before=0";
    let (_, _, calls) = ask(accepts, post(&format!("/o/acme/servers/{SERVER}/settings"), form)).await;
    let sent = calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap();
    assert_eq!(sent, json!({ "policy": { "fail_after": 4 }, "tags": ["web"] }));
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_with_what_was_typed() {
    let refuses = |request: &ApiRequest| {
        if request.method == Method::Patch {
            problem(422, "", &[("policy.quorum", "It is checked from 1 region.")])
        } else {
            member("editor")(request)
        }
    };
    let form = "version=3&policy.fail_after=3&policy.recover_after=2&policy.quorum=many";
    let (response, html, calls) = ask(refuses, post(&format!("/o/acme/servers/{SERVER}/settings"), form)).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let sent = calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap();
    assert_eq!(sent["policy"]["quorum"], json!(u32::MAX), "what is no number is refused by the API");
    let input = field(&html, "policy.quorum").unwrap();
    assert!(input.contains("aria-invalid=\"true\"") && input.contains("value=\"many\""), "{input}");
    assert!(field(&html, "policy.fail_after").unwrap().contains("value=\"3\""));
}

#[tokio::test]
async fn the_smallest_size_limit_of_a_server_is_typed_as_megabytes() {
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/servers/{SERVER}"))).await;
    assert!(field(&html, "least_size_mb").unwrap().contains("value=\"25\""));
    let accepts = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("editor")(request) };
    let at = format!("/o/acme/servers/{SERVER}/settings");
    for (typed, sent) in [("50", json!(50)), ("50+MB", json!(50)), ("", json!(null)), ("+", json!(null))] {
        let (_, _, calls) = ask(accepts, post(&at, &format!("version=3&least_size_mb={typed}"))).await;
        let body = calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap();
        assert_eq!(body, json!({ "least_size_mb": sent }), "{typed}");
    }
    let (response, html, calls) = ask(accepts, post(&at, "version=3&least_size_mb=26.2+MiB")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!calls.iter().any(|call| call.method == Method::Patch));
    let input = field(&html, "least_size_mb").unwrap();
    assert!(input.contains("aria-invalid=\"true\"") && input.contains("value=\"26.2 MiB\""), "{input}");
    assert!(text(&html).contains("“26.2 MiB” is no number of megabytes: write a whole number such as 25."), "{}", text(&html));
}

#[tokio::test]
async fn a_viewer_sees_it_and_can_not_change_it() {
    let (_, html, _) = ask(member("viewer"), get(&format!("/o/acme/servers/{SERVER}"))).await;
    let save = tags(&html, "button").into_iter().filter(|tag| tag.contains("aria-disabled=\"true\"") || tag.contains("disabled")).count();
    assert!(save > 0 && field(&html, "policy.fail_after").is_some());
}

#[tokio::test]
async fn a_region_that_is_cut_off_is_told_on_every_page() {
    let sentence = "Region east can not reach anything since 28 November, 12:03 UTC; its results are not counted.";
    let cut_off = move |request: &ApiRequest| {
        let (status, mut body): (u16, Value) = member("viewer")(request);
        if request.path.ends_with("/overview") {
            body["cut_off"] = json!(sentence);
            body["silent"] = json!("No worker of region west was heard of.");
        }
        (status, body)
    };
    let (_, html, _) = ask(cut_off, get("/o/acme/servers")).await;
    assert!(text(&html).contains(sentence), "{}", text(&html));
    assert!(text(&html).contains("A region has no worker. No worker of region west was heard of."), "{}", text(&html));
}

#[tokio::test]
async fn regions_are_chosen_where_there_is_a_choice_and_sent_where_they_were_touched() {
    let page = format!("/o/acme/servers/{SERVER}");
    let (_, html, _) = ask(member("editor"), get(&page)).await;
    assert!(field(&html, "region.local").is_none(), "where there is one region there is no choice");
    let several = |request: &ApiRequest| {
        let (status, mut body): (u16, Value) = member("editor")(request);
        if request.path.ends_with("/overview") {
            let region = |name: &str, state: &str| json!({ "name": name, "state": state, "port25_blocked": false, "monitors": 0, "alone": 0 });
            body["regions"] = json!([region("east", "silent"), region("local", "working"), region("west", "working")]);
        }
        (status, body)
    };
    let (_, html, _) = ask(several, get(&page)).await;
    assert!(field(&html, "region.local").unwrap().contains("checked"), "{html}");
    assert!(!field(&html, "region.west").unwrap().contains("checked"));
    assert!(text(&html).contains("east has no worker now"), "{}", text(&html));
    let sent = async |form: &str| {
        let (_, _, calls) = ask(several, post(&format!("{page}/settings"), form)).await;
        calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap()
    };
    let as_before = sent("version=3&interval_s=120&regions_before=local&region.local=1").await;
    assert_eq!((as_before.get("regions"), &as_before["interval_s"]), (None, &json!(120)));
    assert_eq!(sent("version=3&regions_before=local&region.local=1&region.west=1").await["regions"], json!(["local", "west"]));
    assert_eq!(sent("version=3&regions_before=local").await["regions"], json!([]), "the API says what is wrong about none");
}

#[tokio::test]
async fn a_runbook_of_its_own_is_shown_sent_when_it_was_touched_and_refused_beside_its_field() {
    let own = json!({ "url": "https://wiki.example/mail", "text": "Call **Bob**.\n<script>alert(1)</script>" });
    let with = move |request: &ApiRequest| {
        let (status, mut body) = member("editor")(request);
        if request.path.ends_with(SERVER) {
            body["monitors"][0]["runbook"] = own.clone();
        }
        if request.path.ends_with(INCIDENT) {
            body["own_runbook"] = own.clone();
        }
        if request.method == Method::Patch { (200, json!({})) } else { (status, body) }
    };
    let (_, html, _) = ask(with.clone(), get(&format!("/o/acme/servers/{SERVER}"))).await;
    assert!(field(&html, "runbook.url").unwrap().contains("value=\"https://wiki.example/mail\""));
    assert!(html.contains("Call **Bob**.\n&lt;script&gt;"), "what is written comes back as it is");
    // The page of the incident shows it in the place of the usual one, and runs nothing of it.
    let (_, html, calls) = ask(with.clone(), get(&format!("/o/acme/incidents/{INCIDENT}"))).await;
    assert!(
        html.contains("href=\"https://wiki.example/mail\"") && html.contains("<strong>Bob</strong>") && !html.contains("<script>alert"),
        "{html}"
    );
    assert!(!calls.iter().any(|call| call.path.contains("/runbooks/")) && text(&html).contains("Your own runbook"));
    let at = format!("/o/acme/servers/{SERVER}/settings");
    let before = "&runbook.url_before=https%3A%2F%2Fa.example&runbook.text_before=One%0D%0Atwo";
    for (form, sent) in [
        ("&runbook.url=https%3A%2F%2Fa.example&runbook.text=One%0D%0Atwo%0D%0A", None),
        ("&runbook.url=https%3A%2F%2Fb.example&runbook.text=", Some(json!({ "url": "https://b.example", "text": null }))),
        ("&runbook.url=&runbook.text=+", Some(json!(null))),
    ] {
        let (_, _, calls) = ask(with.clone(), post(&at, &format!("version=3{before}{form}"))).await;
        let body = calls.iter().find(|call| call.method == Method::Patch).unwrap().body.clone().unwrap();
        assert_eq!(body.get("runbook").cloned(), sent, "{form}");
    }
    let refuses = |request: &ApiRequest| {
        if request.method == Method::Patch { problem(422, "", &[("runbook.url", "Give an address.")]) } else { member("editor")(request) }
    };
    let (response, html, _) = ask(refuses, post(&at, "version=3&runbook.url=wiki&runbook.text=x")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let input = field(&html, "runbook.url").unwrap();
    assert!(input.contains("aria-invalid=\"true\"") && input.contains("value=\"wiki\""), "{input}");
    assert!(tags(&html, "details").iter().any(|tag| tag.contains("own-runbook") && tag.contains("open")), "an error is not folded away");
}
