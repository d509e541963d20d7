//! Maintenance windows and the time zone through the API.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::server;

fn once(hours_from: i64, hours_to: i64) -> Value {
    let at = |hours| (Utc::now() + TimeDelta::hours(hours)).to_rfc3339();
    json!({ "kind": "once", "from": at(hours_from), "to": at(hours_to) })
}

#[tokio::test]
async fn a_window_is_planned_changed_ended_and_removed_by_whoever_saw_it_as_it_is() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/maintenance");
    let domain = client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": "example.com" })).await.id().to_owned();
    let made = client.post(&path, &json!({ "name": " Disks ", "covers": { "domains": [domain] }, "plan": once(-1, 1) })).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["name"], "Disks");
    assert!(made.body["active"]["to"].is_string() && made.body["next"].is_null());
    let one = format!("{path}/{}", made.id());
    assert_eq!(made.headers["location"], one);
    let seen = [("if-match", "\"1\"")];
    let ended = client.json("POST", &format!("{one}/end"), &seen, &json!({})).await;
    assert_eq!((ended.status.as_u16(), &ended.body["active"]), (200, &Value::Null), "{ended:?}");
    let again = client.json("POST", &format!("{one}/end"), &seen, &json!({})).await;
    assert_eq!(again.status, 412, "somebody else ended it");
    let longer = client.json("PATCH", &one, &[("if-match", "\"2\"")], &json!({ "plan": once(-1, 2) })).await;
    assert!(longer.body["active"]["to"].is_string(), "another time takes back that it was ended: {longer:?}");
    let renamed = client.json("PATCH", &one, &[], &json!({ "name": "More disks" })).await;
    assert_eq!(
        (&renamed.body["name"], &renamed.body["covers"]["domains"], &renamed.body["version"]),
        (&json!("More disks"), &json!([domain]), &json!(4))
    );
    assert_eq!(client.get(&path).await.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(client.delete(&one).await.status, 204);
    assert_eq!(client.get(&path).await.body["items"], json!([]));
}

#[tokio::test]
async fn what_can_not_be_planned_is_refused_by_its_field() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/maintenance");
    let weekly = |days: Value, minutes: u32| json!({ "kind": "weekly", "days": days, "at": "02:00", "minutes": minutes });
    let monthly = |day: u32| json!({ "kind": "monthly", "day": day, "at": "02:00", "minutes": 60 });
    let all = json!({ "everything": true });
    let (mut stranger, foreign) = server.member("bob").await;
    let theirs = stranger.post(&format!("/api/v1/orgs/{foreign}/domains"), &json!({ "name": "example.com" })).await.id().to_owned();
    for (name, covers, plan, field) in [
        (" ", &all, once(0, 1), "name"),
        ("x", &json!({}), once(0, 1), "covers"),
        ("x", &json!({ "domains": [theirs] }), once(0, 1), "covers"),
        ("x", &all, once(1, 0), "to"),
        ("x", &all, once(0, 169), "to"),
        ("x", &all, weekly(json!([]), 60), "days"),
        ("x", &all, weekly(json!(["mon"]), 0), "minutes"),
        ("x", &all, weekly(json!(["mon"]), 7 * 24 * 60 + 1), "minutes"),
        ("x", &all, monthly(0), "day"),
        ("x", &all, monthly(32), "day"),
    ] {
        let answer = client.post(&path, &json!({ "name": name, "covers": covers, "plan": plan })).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{name} {covers} {plan} {answer:?}");
    }
    let fine = client.post(&path, &json!({ "name": "x", "covers": all, "plan": weekly(json!(["fri", "mon", "fri"]), 7 * 24 * 60) })).await;
    assert_eq!((fine.status.as_u16(), &fine.body["plan"]["days"]), (201, &json!(["mon", "fri"])));
}

#[tokio::test]
async fn windows_recur_by_the_clocks_of_the_organisations_time_zone() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let settings = format!("/api/v1/orgs/{org}/settings");
    let first = client.get(&settings).await;
    assert_eq!((&first.body["time_zone"], &first.body["version"]), (&json!("UTC"), &json!(1)));
    let plan = json!({ "kind": "monthly", "day": 1, "at": "12:00", "minutes": 60 });
    let path = format!("/api/v1/orgs/{org}/maintenance");
    let made = client.post(&path, &json!({ "name": "x", "covers": { "everything": true }, "plan": plan })).await;
    assert!(made.body["next"]["from"].as_str().unwrap().ends_with("T12:00:00Z"), "{made:?}");
    let wrong = client.json("PATCH", &settings, &[], &json!({ "time_zone": "Europe/Atlantis" })).await;
    assert_eq!((wrong.status.as_u16(), wrong.field()), (422, "time_zone"));
    // Four and a half hours ahead of UTC, all year.
    let changed = client.json("PATCH", &settings, &[("if-match", "\"1\"")], &json!({ "time_zone": "asia/kabul" })).await;
    assert_eq!((changed.status.as_u16(), &changed.body["time_zone"]), (200, &json!("Asia/Kabul")), "{changed:?}");
    let stale = client.json("PATCH", &settings, &[("if-match", "\"1\"")], &json!({ "time_zone": "UTC" })).await;
    assert_eq!(stale.status, 412);
    let shown = client.get(&format!("{path}/{}", made.id())).await;
    assert!(shown.body["next"]["from"].as_str().unwrap().ends_with("T07:30:00Z"), "{shown:?}");
    assert_eq!(shown.body["time_zone"], "Asia/Kabul");
}
