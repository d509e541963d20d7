//! IP pools on pages: how their addresses stand, and what their forms send.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{ADDRESS, POOL, member, pool},
    support::{ask, get, post, problem, tags, text, values},
};

fn sent(calls: &[ApiRequest], method: Method) -> Option<Value> {
    calls.iter().find(|call| call.method == method).map(|call| call.body.clone().unwrap_or_default())
}

#[tokio::test]
async fn pools_show_how_their_addresses_stand_worst_first() {
    let (_, html, _) = ask(member("viewer"), get("/o/acme/pools")).await;
    let said = text(&html);
    for part in ["1 listed now", "1 unknown", "2 clean", "Weekly"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(html.contains("Weekly &lt;b&gt;news"), "a note is text");
    let places: Vec<usize> =
        ["192.0.2.25", "192.0.2.28", "192.0.2.26"].iter().map(|address| html.find(&format!(">{address}</a>")).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(values(&html, "href").contains(&"/o/acme/all?tag=pool%3Anewsletter"));
    let (_, html, _) = ask(member("viewer"), get(&format!("/o/acme/pools/{POOL}"))).await;
    assert!(text(&html).contains("pool:newsletter"));
    let (_, html, _) = ask(member("viewer"), get("/o/empty/pools")).await;
    assert!(text(&html).contains("No pools yet"));
}

#[tokio::test]
async fn forms_send_what_was_written_and_what_is_wrong_stands_beside_it() {
    let accepts = |request: &ApiRequest| match request.method {
        Method::Post => (201, pool()),
        Method::Patch | Method::Delete => (200, json!({})),
        _ => member("editor")(request),
    };
    let (response, _, calls) = ask(accepts, post("/o/acme/pools", "name=newsletter&note=Weekly&addresses=192.0.2.25%0D%0A192.0.2.0%2F28")).await;
    assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/pools/{POOL}?saved=made"));
    assert_eq!(sent(&calls, Method::Post), Some(json!({ "name": "newsletter", "note": "Weekly", "addresses": ["192.0.2.25", "192.0.2.0/28"] })));
    let at = format!("/o/acme/pools/{POOL}/settings");
    // What was not touched is not put back as it was.
    for (form, patch) in [
        ("version=3&note=x&addresses=192.0.2.25%0D%0A&addresses_before=192.0.2.25", json!({ "note": "x" })),
        ("version=3&note=&addresses=&addresses_before=192.0.2.25", json!({ "note": "", "addresses": [] })),
    ] {
        let (response, _, calls) = ask(accepts, post(&at, form)).await;
        assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/pools/{POOL}?saved=saved"));
        assert_eq!(sent(&calls, Method::Patch), Some(patch), "{form}");
    }
    let (response, _, _) = ask(accepts, post(&format!("/o/acme/pools/{POOL}/delete"), "version=3")).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/pools?saved=removed");
    let refuses = |request: &ApiRequest| match request.method {
        Method::Post | Method::Patch => problem(422, "", &[("addresses", "192.0.2.9 is not watched")]),
        _ => member("editor")(request),
    };
    for (path, form) in
        [("/o/acme/pools", "name=a&note=b&addresses=192.0.2.9"), (at.as_str(), "version=3&note=b&addresses=192.0.2.9&addresses_before=")]
    {
        let (response, html, _) = ask(refuses, post(path, form)).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        let area = tags(&html, "textarea").into_iter().find(|tag| tag.contains("name=\"addresses\"")).unwrap();
        assert!(area.contains("aria-invalid=\"true\"") && html.contains(">192.0.2.9</textarea>") && html.contains("value=\"b\""), "{path}: {area}");
    }
}

#[tokio::test]
async fn an_address_is_put_into_a_pool_by_its_settings() {
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/addresses/{ADDRESS}"))).await;
    assert!(values(&html, "href").contains(&"/o/acme/addresses"));
    let options: Vec<&str> = tags(&html, "option").into_iter().filter(|tag| tag.contains(POOL)).collect();
    assert_eq!(options.len(), 1, "{options:?}");
    let accepts = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("editor")(request) };
    for (form, patch) in [
        (format!("version=3&pool={POOL}&pool_before="), json!({ "pool": POOL })),
        (format!("version=3&pool=&pool_before={POOL}"), json!({ "pool": null })),
        (format!("version=3&pool={POOL}&pool_before={POOL}"), json!({})),
    ] {
        let (_, _, calls) = ask(accepts, post(&format!("/o/acme/addresses/{ADDRESS}/settings"), &form)).await;
        assert_eq!(sent(&calls, Method::Patch), Some(patch), "{form}");
    }
}
