//! The page of channels: what it shows, what its forms send, and that secrets do not come back.

use axum::http::{StatusCode, header};
use serde_json::json;
use waypost_web::api::{ApiRequest, Method};

use crate::{
    organisation::{CHANNEL, channel, member},
    support::{ask, between, get, post, problem, tags, text},
};

#[tokio::test]
async fn channels_are_shown_with_what_they_hear_and_a_test_says_what_was_answered() {
    let (_, html, _) = ask(member("owner"), get("/o/acme/channels")).await;
    let said = text(between(&html, "id=\"h-channels\"", "</section>"));
    for part in ["Tools &lt;b&gt;", "Slack, incoming webhook https://hooks.slack.com/…a1b2", "Warnings and worse", "On", "Off"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (response, _, calls) = ask(
        |request: &ApiRequest| if request.method == Method::Post { (200, json!({})) } else { member("owner")(request) },
        post(&format!("/o/acme/channels/{CHANNEL}/test"), ""),
    )
    .await;
    assert_eq!(calls[0].path, format!("/api/v1/orgs/acme/channels/{CHANNEL}/test"));
    assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/channels/{CHANNEL}?said=tested"));
    let (_, html, _) = ask(member("owner"), get(&format!("/o/acme/channels/{CHANNEL}?said=tested"))).await;
    let banner = tags(&html, "div").into_iter().find(|tag| tag.contains("role=\"alert\"")).unwrap();
    assert!(banner.contains("data-status=\"bad\""));
    assert!(text(&html).contains("It did not take the test: 404 no_service &lt;b&gt;. Compare the address"));
    let log = text(between(&html, "id=\"h-log\"", "</section>"));
    assert!(log.contains("Test") && log.contains("Not taken") && log.contains("404 no_service &lt;b&gt;") && log.contains("120 ms"), "{log}");
    assert!(text(&html).contains("Until 18 Nov 2999, 13:00 UTC messages are signed by the old key too."));
}

#[tokio::test]
async fn a_renewed_key_is_shown_in_the_answer_alone_and_a_second_click_renews_nothing() {
    let made = || {
        let mut made = channel(true);
        (made["signing_key"], made["old_key_until"]) = ("whsec_shown-once".into(), "2999-11-18T13:00:00Z".into());
        made
    };
    let script = move |request: &ApiRequest| if request.method == Method::Post { (200, made()) } else { member("owner")(request) };
    let to = format!("/o/acme/channels/{CHANNEL}/key");
    let (_, html, calls) = ask(script, post(&to, "version=4")).await;
    assert_eq!(calls.iter().find(|call| call.method == Method::Post).unwrap().if_match, Some(4));
    assert!(html.contains("whsec_shown-once") && text(&html).contains("Until 18 Nov 2999, 13:00 UTC messages are signed by the old key too"));
    let stale = |request: &ApiRequest| if request.method == Method::Post { problem(412, "", &[]) } else { member("owner")(request) };
    let (response, html, _) = ask(stale, post(&to, "version=3")).await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    assert!(text(&html).contains("Somebody else changed the channel in the meantime"));
}

#[tokio::test]
async fn settings_send_what_was_given_and_keep_what_was_not() {
    let script = |request: &ApiRequest| if request.method == Method::Patch { (200, json!({})) } else { member("owner")(request) };
    let to = format!("/o/acme/channels/{CHANNEL}/settings");
    for (form, sent, said) in [
        ("version=4&name=Night&min_severity=critical&url=&token=", json!({ "name": "Night", "min_severity": "critical" }), "saved"),
        ("version=4&name=&url=https%3A%2F%2Fe.example%2Fx", json!({ "name": "", "url": "https://e.example/x" }), "saved"),
        ("version=4&enabled=false", json!({ "enabled": false }), "off"),
        ("version=4&enabled=true", json!({ "enabled": true }), "on"),
    ] {
        let (response, _, calls) = ask(script, post(&to, form)).await;
        assert_eq!(calls[0].body.clone().unwrap(), sent, "{form}");
        assert_eq!(response.headers()[header::LOCATION], format!("/o/acme/channels/{CHANNEL}?said={said}"));
    }
    let wrong = |request: &ApiRequest| {
        if request.method == Method::Patch { problem(422, "", &[("url", "The address can not be used.")]) } else { member("owner")(request) }
    };
    let (response, html, _) = ask(wrong, post(&to, "version=4&name=Night&url=http%3A%2F%2Fe.example&token=hunter2")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("value=\"Night\"") && !html.contains("hunter2") && text(&html).contains("The address can not be used."));
}

#[tokio::test]
async fn a_webhooks_key_is_shown_in_the_answer_alone() {
    let made = || {
        let mut made = channel(true);
        made["signing_key"] = "whsec_shown-once".into();
        made
    };
    let script = move |request: &ApiRequest| if request.method == Method::Post { (201, made()) } else { member("owner")(request) };
    let form = "name=Tools&kind=webhook&url=https%3A%2F%2Ftools.example%2Fhook&token=&min_severity=critical";
    let (response, html, calls) = ask(script, post("/o/acme/channels", form)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(html.contains("whsec_shown-once"));
    let sent = calls.iter().find(|call| call.method == Method::Post).unwrap().body.clone().unwrap();
    assert_eq!(sent, json!({ "name": "Tools", "kind": "webhook", "url": "https://tools.example/hook", "token": null, "min_severity": "critical" }));
}

#[tokio::test]
async fn a_refused_channel_keeps_its_words_but_not_its_token() {
    let script = |request: &ApiRequest| {
        if request.method == Method::Post { problem(422, "", &[("url", "The address can not be used.")]) } else { member("owner")(request) }
    };
    let form = "name=Night&kind=ntfy&url=http%3A%2F%2Fntfy.example%2Fx&token=hunter2&min_severity=info";
    let (response, html, _) = ask(script, post("/o/acme/channels", form)).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(html.contains("value=\"Night\"") && !html.contains("hunter2"));
    assert!(text(&html).contains("The address can not be used."));
    let chosen: Vec<&str> = tags(&html, "option").into_iter().filter(|option| option.contains("selected")).collect();
    assert!(chosen.iter().any(|option| option.contains("ntfy")) && chosen.iter().any(|option| option.contains("info")), "{chosen:?}");
}

#[tokio::test]
async fn a_channel_is_switched_and_removed_as_it_was_seen() {
    for (rest, form, method, body) in
        [("settings", "&enabled=false", Method::Patch, Some(json!({ "enabled": false }))), ("delete", "", Method::Delete, None)]
    {
        let path = &format!("/o/acme/channels/{CHANNEL}/{rest}");
        let form = format!("version=4{form}");
        let (response, _, calls) = ask(move |_: &ApiRequest| (200, json!({})), post(path, &form)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!((calls[0].method, calls[0].if_match, &calls[0].body), (method, Some(4), &body), "{path}");
        assert_eq!(calls[0].path, format!("/api/v1/orgs/acme/channels/{CHANNEL}"));
        let stale = move |request: &ApiRequest| if request.method == method { problem(412, "", &[]) } else { member("owner")(request) };
        let (response, html, _) = ask(stale, post(path, &form)).await;
        assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED, "{path}");
        assert!(html.contains("Somebody else changed the channel"), "{path}");
    }
}

#[tokio::test]
async fn slack_is_added_chosen_and_disconnected_by_plain_links_and_forms() {
    let (_, html, _) = ask(member("owner"), get("/o/empty/channels")).await;
    let card = between(&html, "id=\"h-slack\"", "</section>");
    assert!(text(card).contains("WAYPOST_SLACK_CLIENT_ID") && !card.contains("Add to Slack"), "{card}");

    let (_, html, _) = ask(member("owner"), get("/o/acme/channels")).await;
    let card = between(&html, "id=\"h-slack\"", "</section>");
    assert!(text(card).contains("In the workspace Post &lt;b&gt;, added by ops@example.com"), "{card}");
    assert!(card.contains("href=\"/o/acme/channels/slack\"") && card.contains("action=\"/o/acme/channels/slack/remove\""), "{card}");

    let script = |request: &ApiRequest| {
        if request.method == Method::Post {
            (200, json!({ "url": "https://slack.com/oauth/v2/authorize?state=x" }))
        } else {
            member("owner")(request)
        }
    };
    let (response, _, calls) = ask(script, get("/o/acme/channels/slack/add")).await;
    assert_eq!(calls[0].path, "/api/v1/orgs/acme/slack/authorize");
    assert_eq!(response.headers()[header::LOCATION], "https://slack.com/oauth/v2/authorize?state=x");

    let (_, html, calls) = ask(member("owner"), get("/o/acme/channels/slack?name=mail%26x&cursor=a")).await;
    assert!(calls.iter().any(|call| call.path == "/api/v1/orgs/acme/slack/channels?name=mail%26x&cursor=a"), "{calls:?}");
    let said = text(&html);
    assert!(said.contains("#mail &lt;b&gt;") && said.contains("#war-room (private)") && said.contains("2, and there are more"), "{said}");
    assert!(html.contains("href=\"/o/acme/channels/slack?name=mail%26x&amp;cursor=dGVhbTpD200\""), "{html}");

    let script = |request: &ApiRequest| if request.method == Method::Post { (201, channel(true)) } else { member("owner")(request) };
    let (response, _, calls) = ask(script, post("/o/acme/channels/slack", "slack_channel=C0LAB00002&name=&min_severity=info")).await;
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/channels?saved=added");
    let sent = calls.iter().find(|call| call.method == Method::Post).unwrap().body.clone().unwrap();
    assert_eq!(sent, json!({ "name": "", "kind": "slack_app", "slack_channel": "C0LAB00002", "min_severity": "info" }));

    let wrong = |request: &ApiRequest| {
        if request.method == Method::Post { problem(422, "", &[("slack_channel", "The channel is archived.")]) } else { member("owner")(request) }
    };
    let (response, html, _) =
        ask(wrong, post("/o/acme/channels/slack", "slack_channel=C0LAB00004&name=War&min_severity=info&search_name=mail")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&html).contains("The channel is archived.") && html.contains("value=\"War\""));
    assert!(tags(&html, "option").into_iter().any(|option| option.contains("C0LAB00004") && option.contains("selected")));

    let (response, _, calls) = ask(|_: &ApiRequest| (204, json!(null)), post("/o/acme/channels/slack/remove", "")).await;
    assert_eq!((calls[0].method, calls[0].path.as_str()), (Method::Delete, "/api/v1/orgs/acme/slack"));
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/channels?saved=forgotten");
}

#[tokio::test]
async fn the_way_back_from_slack_leads_to_the_organisation_that_began() {
    let script = |request: &ApiRequest| {
        if request.method == Method::Post {
            (200, json!({ "team_id": "T1", "team_name": "Post", "installed_by": "a", "installed_at": "2026-11-18T13:00:00Z" }))
        } else {
            member("owner")(request)
        }
    };
    let (response, _, calls) = ask(script, get("/slack/callback?code=c%2B1&state=abc.acme")).await;
    assert_eq!(calls[0].path, "/api/v1/orgs/acme/slack/install");
    assert_eq!(calls[0].body, Some(json!({ "code": "c+1", "state": "abc.acme" })));
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/channels/slack?said=installed");

    let (response, _, calls) = ask(script, get("/slack/callback?error=access_denied&state=abc.acme")).await;
    assert!(calls.is_empty());
    assert_eq!(response.headers()[header::LOCATION], "/o/acme/channels?saved=not-added");

    let refused = |request: &ApiRequest| {
        if request.method == Method::Post { problem(422, "", &[("state", "You were away for too long.")]) } else { member("owner")(request) }
    };
    let (response, html, _) = ask(refused, get("/slack/callback?code=c&state=abc.acme")).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&html).contains("You were away for too long."));
    for nowhere in ["/slack/callback", "/slack/callback?code=c&state=abc", "/slack/callback?code=c&state=abc."] {
        assert_eq!(ask(script, get(nowhere)).await.0.status(), StatusCode::NOT_FOUND, "{nowhere}");
    }
}

#[tokio::test]
async fn a_channel_that_nothing_reaches_says_why() {
    let broken = |request: &ApiRequest| {
        let (status, mut body) = member("owner")(request);
        if request.path.ends_with(CHANNEL) {
            (body["kind"], body["broken"]) = ("slack_app".into(), "token_revoked".into());
        }
        (status, body)
    };
    let (_, html, _) = ask(broken, get(&format!("/o/acme/channels/{CHANNEL}"))).await;
    let said = text(&html);
    assert!(said.contains("lets the app in no more (token_revoked)") && said.contains("Not let in"), "{said}");
    assert!(!html.contains("name=\"url\""), "it has no address");
}
