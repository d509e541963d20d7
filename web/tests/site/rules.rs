//! Rules on pages: the list, the form, and the values of one.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{INCIDENT, RULE, SERVER, member, rule, rule_values},
    support::{ask, between, get, post, problem, tags, text},
};

fn sent(calls: &[ApiRequest], method: Method) -> Value {
    calls.iter().find(|call| call.method == method).unwrap().body.clone().unwrap()
}

fn accepts(request: &ApiRequest) -> (u16, Value) {
    match request.method {
        Method::Post if request.path.ends_with("/try") => (200, rule_values()),
        Method::Post => (201, rule()),
        Method::Patch => (200, json!({})),
        _ => member("editor")(request),
    }
}

#[tokio::test]
async fn the_list_says_each_rule_in_a_sentence_and_suggests_what_is_missing() {
    let (_, html, _) = ask(member("editor"), get("/o/acme/rules")).await;
    let said = text(between(&html, "id=\"h-rules\"", "</section>"));
    for part in [
        "Slow &lt;b&gt;",
        "When the p95 response time over 30 min is above 2,000 ms for 15 min, a warning opens; it is over at 1,500 ms.",
        "1\u{a0}tag, 1\u{a0}mail server",
        "1 firing",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let ready = text(between(&html, "id=\"h-ready\"", "</section>"));
    assert!(ready.contains("Certificate runs out") && ready.contains("Score is low") && !ready.contains("Slow answers"), "{ready}");
    let (response, _, calls) = ask(accepts, post("/o/acme/rules/suggested", "name=certificate")).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/rules?saved=added");
    let body = sent(&calls, Method::Post);
    assert_eq!((&body["series"], &body["threshold"], &body["over_minutes"]), (&json!("certificate_days"), &json!(14.0), &Value::Null));
}

#[tokio::test]
async fn the_form_sends_what_was_chosen_or_tries_it_without_keeping_it() {
    let form = format!(
        "name=Slow&series=response_time_p95&over_minutes=30&threshold=2%2C000&clear=&for_minutes=15&severity=critical&scope=chosen&tags=web&c-{SERVER}=1"
    );
    let scope = json!({ "everything": false, "domains": [], "servers": [SERVER], "addresses": [], "monitors": [], "tags": ["web"] });
    let body = json!({ "name": "Slow", "series": "response_time_p95", "over_minutes": 30, "threshold": 2000.0, "for_minutes": 15, "severity": "critical", "scope": scope });
    let (response, _, calls) = ask(accepts, post("/o/acme/rules", &form)).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/rules?saved=added");
    assert_eq!(sent(&calls, Method::Post), body);
    let (response, html, calls) = ask(accepts, post("/o/acme/rules/try", &form)).await;
    assert_eq!((response.status(), sent(&calls, Method::Post)), (StatusCode::OK, body));
    let said = text(between(&html, "id=\"tried\"", "</table>"));
    assert!(said.contains("1\u{a0}monitor would be beyond the limit now, of 1 with a value; the rule would be about 102\u{a0}monitors."), "{said}");
    let rare = "2\u{a0}monitors are checked too rarely for this window: a value needs 3 checks in it. To have them judged, look over 3 h at least";
    assert!(said.contains(rare), "{said}");
    let field = |name: &str| tags(&html, "input").into_iter().find(|tag| tag.contains(&format!("name=\"{name}\""))).unwrap().to_owned();
    assert!(field("threshold").contains("value=\"2,000\"") && field(&format!("c-{SERVER}")).contains(" checked"), "what was typed stays");
    // A series without a window is sent without one, whatever stands in the field.
    let (_, _, calls) =
        ask(accepts, post("/o/acme/rules", "name=x&series=score&over_minutes=30&threshold=80&severity=warning&scope=everything")).await;
    assert!(sent(&calls, Method::Post).get("over_minutes").is_none());
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field() {
    for (form, said) in [("threshold=&series=score", "Give the limit."), ("threshold=many&series=score", "Give a number.")] {
        let (response, html, calls) = ask(member("editor"), post("/o/acme/rules", form)).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(text(&html).contains(said), "{form}");
        assert!(!calls.iter().any(|call| call.method == Method::Post), "{form}");
    }
    let refuses = |request: &ApiRequest| {
        if request.method == Method::Post { problem(422, "", &[("clear", "Not beyond it.")]) } else { member("editor")(request) }
    };
    let (response, html, _) = ask(refuses, post("/o/acme/rules", "name=x&series=score&threshold=80&clear=70&severity=warning")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let clear = tags(&html, "input").into_iter().find(|tag| tag.contains("name=\"clear\"")).unwrap();
    assert!(clear.contains("aria-invalid=\"true\"") && clear.contains("value=\"70\""), "{clear}");
}

#[tokio::test]
async fn a_rule_shows_its_values_worst_first_and_is_changed_by_who_saw_it() {
    let (_, html, _) = ask(member("editor"), get(&format!("/o/acme/rules/{RULE}"))).await;
    let said = text(between(&html, "id=\"h-now\"", "</section>"));
    for part in ["1 of 102\u{a0}monitors with a value", "2,840 ms", "of 12\u{a0}checks", "Firing", "No value", "100 more are not"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(html.contains(&format!("href=\"/o/acme/incidents/{INCIDENT}\"")));
    let form = "version=4&name=Slow&enabled=1&over_minutes=60&threshold=3000&clear=&for_minutes=&severity=warning&scope=everything";
    let (response, _, calls) = ask(accepts, post(&format!("/o/acme/rules/{RULE}/settings"), form)).await;
    assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/rules/{RULE}?saved=saved"));
    let patch = sent(&calls, Method::Patch);
    assert_eq!((&patch["clear"], &patch["for_minutes"], &patch["enabled"]), (&json!(3000.0), &json!(0), &json!(true)), "{patch}");
    assert!(patch.get("series").is_none());
}
