//! Rules through the API.

use serde_json::{Value, json};

use crate::support::server;

fn slow(scope: &Value) -> Value {
    json!({ "name": " Slow ", "series": "response_time_p95", "over_minutes": 30, "threshold": 2000, "clear": 1500, "for_minutes": 15, "severity": "warning", "scope": scope })
}

#[tokio::test]
async fn a_rule_is_made_tried_changed_and_removed_by_whoever_saw_it_as_it_is() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/rules");
    let added = client.post(&format!("/api/v1/orgs/{org}/servers"), &json!({ "host": "mail.example.com" })).await;
    let monitor = added.body["monitors"][0]["id"].as_str().unwrap().to_owned();
    let tried = client.post(&format!("{path}/try"), &slow(&json!({ "monitors": [monitor] }))).await;
    assert_eq!((tried.status.as_u16(), &tried.body["monitors"], &tried.body["over"]), (200, &json!(1), &json!(0)), "{tried:?}");
    assert_eq!(client.get(&path).await.body["items"], json!([]), "nothing is kept");
    let made = client.post(&path, &slow(&json!({ "servers": [added.id()] }))).await;
    assert_eq!((made.status.as_u16(), &made.body["name"], &made.body["firing"]), (201, &json!("Slow"), &json!(0)), "{made:?}");
    let one = format!("{path}/{}", made.id());
    assert_eq!(made.headers["location"], one);
    let values = client.get(&format!("{one}/values")).await;
    let ports = u64::try_from(added.body["monitors"].as_array().unwrap().len()).unwrap();
    assert_eq!((&values.body["monitors"], &values.body["items"][0]["standing"]), (&json!(ports), &json!("no_value")), "{values:?}");
    assert_eq!((&values.body["too_rare"], &values.body["left_out"]), (&json!(0), &json!(false)), "{values:?}");
    // Three checks in half an hour there are not of what is checked once an hour.
    client.json("PATCH", &format!("/api/v1/orgs/{org}/monitors/{monitor}"), &[], &json!({ "interval_s": 3600 })).await;
    let values = client.get(&format!("{one}/values")).await;
    assert_eq!((&values.body["too_rare"], &values.body["rarest_s"]), (&json!(1), &json!(3600)), "{values:?}");
    let stale = client.json("PATCH", &one, &[("if-match", "\"9\"")], &json!({ "threshold": 3000 })).await;
    assert_eq!(stale.status, 412);
    let changed = client.json("PATCH", &one, &[("if-match", "\"1\"")], &json!({ "threshold": 3000, "enabled": false })).await;
    assert_eq!(
        (&changed.body["threshold"], &changed.body["clear"], &changed.body["version"]),
        (&json!(3000.0), &json!(1500.0), &json!(2)),
        "{changed:?}"
    );
    assert_eq!(client.delete(&one).await.status, 204);
    assert_eq!(client.get(&one).await.status, 404);
    assert_eq!(client.get(&path).await.body["items"], json!([]));
}

#[tokio::test]
async fn what_a_rule_can_not_be_is_refused_by_its_field() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let (mut stranger, foreign) = server.member("bob").await;
    let theirs = stranger.post(&format!("/api/v1/orgs/{foreign}/domains"), &json!({ "name": "example.com" })).await.id().to_owned();
    let all = json!({ "everything": true });
    for (change, field) in [
        (json!({ "name": " " }), "name"),
        (json!({ "over_minutes": null }), "over_minutes"),
        (json!({ "series": "score" }), "over_minutes"),
        (json!({ "threshold": 0 }), "threshold"),
        (json!({ "clear": 2001 }), "clear"),
        (json!({ "for_minutes": 1441 }), "for_minutes"),
        (json!({ "scope": {} }), "scope"),
        (json!({ "scope": { "tags": ["not a tag"] } }), "scope"),
        (json!({ "scope": { "domains": [theirs] } }), "scope"),
    ] {
        let mut body = slow(&all);
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        for end in ["", "/try"] {
            let answer = client.post(&format!("/api/v1/orgs/{org}/rules{end}"), &body).await;
            assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{change} {answer:?}");
        }
    }
}
