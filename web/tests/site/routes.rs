//! Routes on pages: plain sentences, what nobody is told, who would be told, and what the form sends.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{CHANNEL, ROUTE, member, route},
    support::{ask, between, get, post, problem, tags, text},
};

fn sent(calls: &[ApiRequest], method: Method) -> Value {
    calls.iter().find(|call| call.method == method).unwrap().body.clone().unwrap()
}

#[tokio::test]
async fn the_page_says_what_each_route_does_what_none_does_and_who_would_be_told() {
    let (_, html, calls) = ask(member("viewer"), get("/o/acme/routes?severity=warning&tag=Web&at=2026-11-18T14%3A00")).await;
    let said = text(&html);
    for part in [
        "On call &lt;b&gt;",
        "Critical incidents about what is tagged “mail” or “web”: tells Tools &lt;b&gt;. Unacknowledged for 15\u{a0}min: tells all members by mail. Reminds every 1\u{a0}h while nobody acknowledges.",
        "Warnings and worse, on Monday and Tuesday from 08:00 to 18:00: tells all members by mail. Warnings and what is good to know wait for a digest, every day at 08:00.",
        "Outside of the hours of its routes nobody is told of critical incidents, unless they are about what is tagged “mail” or “web”.",
        "Nobody is told of incidents that are good to know.",
        "All members by mail, with what else waits until Thu 19 Nov 2026, 08:00 CET.",
        "Tools &lt;b&gt;, at once.",
        "Unacknowledged on Wed 18 Nov 2026, 14:15 CET: all members by mail.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let asked = calls.iter().find(|call| call.path.contains("/preview")).unwrap();
    assert_eq!(asked.path, "/api/v1/orgs/acme/routes/preview?severity=warning&tag=Web&at=2026-11-18T13%3A00%3A00Z");
}

#[tokio::test]
async fn without_routes_the_page_says_who_is_told_and_makes_a_route_of_it() {
    let (_, html, _) = ask(member("admin"), get("/o/empty/routes")).await;
    assert!(text(between(&html, "id=\"h-routes\"", "</section>")).contains("Every incident is mailed to all members at once"));
    let accepts = |request: &ApiRequest| if request.method == Method::Post { (201, route()) } else { member("admin")(request) };
    let (response, _, calls) = ask(accepts, post("/o/empty/routes/custom", "")).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/empty/routes?saved=added");
    assert_eq!(sent(&calls, Method::Post)["tells"], json!({ "members": true, "every_channel": true, "channels": [] }));
}

#[tokio::test]
async fn the_form_sends_what_was_chosen_and_nothing_of_other_choices() {
    let accepts = |request: &ApiRequest| if request.method == Method::Get { member("admin")(request) } else { (201, route()) };
    // Fields of the choices that were not made are there, too, and are not read.
    let rest = "&on-mon=1&from=08%3A00&to=18%3A00&quiet-sat=1&quiet_from=22%3A00&quiet_to=07%3A00&up_to=warning&digest_day=fri&digest_at=09%3A30";
    let nobody = || json!({ "members": false, "every_channel": false, "channels": [] });
    for (form, times, hold) in [
        ("times=always&hold=nothing", json!({ "kind": "always" }), json!({ "kind": "nothing" })),
        (
            "times=hours&hold=quiet_hours",
            json!({ "kind": "hours", "days": ["mon"], "from": "08:00", "to": "18:00" }),
            json!({ "kind": "quiet_hours", "days": ["sat"], "from": "22:00", "to": "07:00" }),
        ),
        ("times=always&hold=daily", json!({ "kind": "always" }), json!({ "kind": "daily", "up_to": "warning", "at": "09:30" })),
        ("times=always&hold=weekly", json!({ "kind": "always" }), json!({ "kind": "weekly", "up_to": "warning", "day": "fri", "at": "09:30" })),
    ] {
        let form = format!(
            "name=Nights&min_severity=warning&tags=web%2C+mail&{form}{rest}&t0-members=1&t0-{CHANNEL}=1&step1=15&t1-every=1&step2=&t2-members=1&remind_minutes="
        );
        let (response, _, calls) = ask(accepts, post("/o/acme/routes", &form)).await;
        assert_eq!(response.headers()[header::LOCATION], "/o/acme/routes?saved=added");
        let every = json!({ "members": false, "every_channel": true, "channels": [] });
        let mut tells = nobody();
        tells["members"] = json!(true);
        tells["channels"] = json!([CHANNEL]);
        let wanted = json!({ "name": "Nights", "min_severity": "warning", "tags": ["web", "mail"], "times": times, "tells": tells, "hold": hold,
            "steps": [{ "after_minutes": 15, "tells": every }] });
        assert_eq!(sent(&calls, Method::Post), wanted);
    }
    let form = "version=3&name=x&min_severity=info&times=always&hold=nothing&remind_minutes=";
    let (response, _, calls) = ask(accepts, post(&format!("/o/acme/routes/{ROUTE}/settings"), form)).await;
    assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/routes/{ROUTE}?saved=saved"));
    assert_eq!(sent(&calls, Method::Patch)["remind_minutes"], json!(0), "an emptied field takes it away");
    let (_, _, calls) = ask(accepts, post("/o/acme/routes/rte_00000000000000000000000000000002/move", "")).await;
    assert_eq!(sent(&calls, Method::Put), json!({ "routes": ["rte_00000000000000000000000000000002", ROUTE] }));
}

#[tokio::test]
async fn what_is_wrong_is_said_and_what_was_chosen_comes_back() {
    let refuses = |request: &ApiRequest| {
        if request.method == Method::Post {
            problem(422, "", &[("steps", "Each step comes later than the one before.")])
        } else {
            member("admin")(request)
        }
    };
    let form = format!(
        "name=Nights&min_severity=warning&times=hours&on-mon=1&from=08%3A00&to=18%3A00&hold=nothing&t0-{CHANNEL}=1&step1=15&step2=10&t2-members=1"
    );
    let (response, html, _) = ask(refuses, post("/o/acme/routes", &form)).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&html).contains("Each step comes later than the one before."));
    let field = |id: &str| tags(&html, "input").into_iter().find(|tag| tag.contains(&format!("id=\"f-{id}\""))).unwrap().to_owned();
    assert!(field(&format!("t0-{CHANNEL}")).contains(" checked") && !field("t0-members").contains(" checked"));
    assert!(field("t2-members").contains(" checked") && field("step2").contains("value=\"10\""));
    assert!(field("times-hours").contains(" checked") && field("on-mon").contains(" checked") && !field("on-tue").contains(" checked"));
    let (_, html, _) = ask(member("admin"), post("/o/acme/routes", "times=hours&from=noon")).await;
    assert!(text(&html).contains("Give times of the day such as 02:30."));
}

#[tokio::test]
async fn what_of_a_route_can_not_be_is_said() {
    let odd = |request: &ApiRequest| {
        let (status, mut body): (u16, Value) = member("viewer")(request);
        if request.path.ends_with("/routes") {
            body["items"][0]["hold"] = json!({ "kind": "quiet_hours", "days": ["mon"], "from": "22:00", "to": "06:00" });
            body["items"][0]["tags"] = json!(["nowhere"]);
        }
        (status, body)
    };
    let (_, html, _) = ask(odd, get("/o/acme/routes")).await;
    for part in [
        "The route “On call &lt;b&gt;” keeps nothing for later: it is for nothing that may wait, since what is critical never does.",
        "The route “On call &lt;b&gt;” is for nothing: nothing has the tag “nowhere” now.",
    ] {
        assert!(text(&html).contains(part), "{part}: {}", text(&html));
    }
    let (_, html, _) = ask(member("viewer"), get("/o/acme/routes")).await;
    assert!(!text(&html).contains("keeps nothing for later") && !text(&html).contains("is for nothing"), "{}", text(&html));
}
