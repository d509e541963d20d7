//! Routes through the API: kept as they are given, refused by the field at fault, and asked who would be told.

use serde_json::{Value, json};

use crate::support::server;

#[tokio::test]
async fn a_route_is_made_changed_ordered_and_removed_by_whoever_saw_it_as_it_is() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let channel =
        client.post(&at("channels"), &json!({ "name": "Tools", "kind": "webhook", "url": "https://tools.example/hook" })).await.id().to_owned();
    let new = json!({
        "name": " Nights ", "min_severity": "warning", "tags": ["Web", "mail"], "tells": { "members": true, "channels": [channel] },
        "times": { "kind": "hours", "days": ["sun", "mon", "sun"], "from": "22:00", "to": "07:00" },
        "hold": { "kind": "daily", "up_to": "warning", "at": "08:00" }, "remind_minutes": 60,
        "steps": [{ "after_minutes": 15, "tells": { "every_channel": true } }],
    });
    let made = client.post(&at("routes"), &new).await;
    assert_eq!(made.status, 201, "{made:?}");
    let wanted = [
        ("name", json!("Nights")),
        ("tags", json!(["mail", "web"])),
        ("times", json!({ "kind": "hours", "days": ["mon", "sun"], "from": "22:00", "to": "07:00" })),
        ("tells", json!({ "members": true, "every_channel": false, "channels": [channel] })),
        ("steps", json!([{ "after_minutes": 15, "tells": { "members": false, "every_channel": true, "channels": [] } }])),
        ("remind_minutes", json!(60)),
    ];
    for (field, value) in wanted {
        assert_eq!(made.body[field], value, "{field}");
    }
    let one = at(&format!("routes/{}", made.id()));
    assert_eq!(client.get(&one).await.body, made.body);
    let changed = client.json("PATCH", &one, &[("if-match", "\"1\"")], &json!({ "remind_minutes": 0, "times": { "kind": "always" } })).await;
    assert_eq!(
        (&changed.body["version"], &changed.body["remind_minutes"], &changed.body["times"]["kind"]),
        (&json!(2), &Value::Null, &json!("always"))
    );
    assert_eq!((&changed.body["steps"], &changed.body["tells"]), (&made.body["steps"], &made.body["tells"]), "what is absent stays");
    assert_eq!(client.json("PATCH", &one, &[("if-match", "\"1\"")], &json!({ "name": "x" })).await.status, 412);

    let second = client.post(&at("routes"), &json!({ "name": "All", "tells": { "members": true } })).await.id().to_owned();
    let order = |ids: Value| json!({ "routes": ids });
    let answer = client.json("PUT", &at("routes/order"), &[], &order(json!([second, made.id()]))).await;
    assert_eq!(answer.body["items"][0]["id"], json!(second), "{answer:?}");
    for wrong in [json!([second]), json!([second, second]), json!([second, made.id(), made.id()])] {
        assert_eq!(client.json("PUT", &at("routes/order"), &[], &order(wrong)).await.field(), "routes");
    }
    // A channel that is removed is gone from its routes.
    assert_eq!(client.delete(&at(&format!("channels/{channel}"))).await.status, 204);
    assert_eq!(client.get(&one).await.body["tells"]["channels"], json!([]));
    assert_eq!(client.delete(&one).await.status, 204);
    assert_eq!(client.get(&at("routes")).await.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_can_not_be_a_route_is_refused_by_its_field() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/routes");
    let step = |minutes: u32| json!({ "after_minutes": minutes, "tells": { "members": true } });
    let hours = |kind: &str, days: Value, from: &str, to: &str| json!({ "kind": kind, "days": days, "from": from, "to": to });
    let week = json!(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
    for (field, value) in [
        ("name", json!(" ")),
        ("tags", json!(["a b"])),
        ("tells", json!({})),
        ("tells", json!({ "channels": ["chn_00000000000000000000000000000001"] })),
        ("times", hours("hours", json!([]), "08:00", "09:00")),
        ("hold", hours("quiet_hours", json!([]), "08:00", "09:00")),
        ("hold", hours("quiet_hours", week, "00:00", "00:00")),
        ("hold", json!({ "kind": "daily", "up_to": "critical", "at": "08:00" })),
        ("remind_minutes", json!(29)),
        ("remind_minutes", json!(10_081)),
        ("steps", json!([step(0)])),
        ("steps", json!([step(1_441)])),
        ("steps", json!([step(30), step(30)])),
        ("steps", json!([{ "after_minutes": 5, "tells": {} }])),
        ("steps", json!([step(1), step(2), step(3), step(4), step(5), step(6)])),
    ] {
        let mut new = json!({ "name": "x", "tells": { "members": true } });
        new[field] = value.clone();
        let answer = client.post(&path, &new).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{value} {answer:?}");
    }
    assert_eq!(client.get(&path).await.body["items"], json!([]));
}

#[tokio::test]
async fn who_would_be_told_is_answered_by_the_rules_of_real_incidents() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let zone = client.json("PATCH", &at("settings"), &[], &json!({ "time_zone": "Europe/Berlin" })).await;
    assert_eq!(zone.status, 200);
    let everybody = client.get(&at("routes/preview?severity=warning")).await;
    assert_eq!((&everybody.body["members"], &everybody.body["routes"]), (&json!({ "when": "now" }), &json!([])), "{everybody:?}");
    let quiet = json!({ "kind": "quiet_hours", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "22:00", "to": "07:00" });
    let steps = json!([{ "after_minutes": 15, "tells": { "members": true } }]);
    let new = json!({ "name": "Web", "tags": ["web"], "tells": { "members": true }, "hold": quiet, "steps": steps });
    let route = client.post(&at("routes"), &new).await.id().to_owned();
    let nobody = client.get(&at("routes/preview?severity=critical")).await;
    assert_eq!((&nobody.body["members"], &nobody.body["routes"]), (&Value::Null, &json!([])));
    let held = client.get(&at("routes/preview?severity=warning&tag=WEB&at=2026-03-28T23:00:00Z")).await;
    assert_eq!(held.body["members"], json!({ "when": "held", "until": "2026-03-29T05:00:00Z" }), "{held:?}");
    assert_eq!(held.body["follow_ups"], json!([{ "route": route, "step": 1, "due_at": "2026-03-29T05:15:00Z" }]));
    assert_eq!(client.get(&at("routes/preview?severity=bad")).await.status, 400);
}
