//! When a change counts and from where it is looked at, through the API: kept, refused by its field, inherited by new ports, by role.

use serde_json::{Value, json};

use crate::support::server;

#[tokio::test]
async fn a_policy_and_regions_are_kept_and_what_is_absent_stays() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    for region in ["east", "west"] {
        server.state.store.region_seen(region, chrono::Utc::now()).await.unwrap();
    }
    let made = client.post(&at("servers"), &json!({ "host": "mail.example.com", "ports": [25, 587] })).await;
    let standard = json!({ "fail_after": 2, "recover_after": 1, "quorum": 0 });
    assert_eq!(made.body["monitors"][0]["policy"], standard);
    let path = at(&format!("servers/{}", made.id()));
    let change = json!({ "regions": ["local", "east", "west"], "policy": { "fail_after": 3, "quorum": 2 } });
    let changed = client.json("PATCH", &path, &[], &change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let of = |body: &Value, port: usize| (body["monitors"][port]["policy"].clone(), body["monitors"][port]["regions"].clone());
    let wanted = (json!({ "fail_after": 3, "recover_after": 1, "quorum": 2 }), json!(["local", "east", "west"]));
    assert_eq!((of(&changed.body, 0), of(&changed.body, 1)), (wanted.clone(), wanted.clone()));
    // A port that is added is judged and watched as the others are.
    let more = client.json("PATCH", &path, &[], &json!({ "ports": [25, 587, 465] })).await;
    assert!((0..3).all(|port| of(&more.body, port) == wanted), "{more:?}");

    let monitor = at(&format!("monitors/{}", more.body["monitors"][0]["id"].as_str().unwrap()));
    let one = client.json("PATCH", &monitor, &[], &json!({ "policy": { "recover_after": 4 }, "interval_s": 120 })).await;
    assert_eq!(
        (one.body["policy"].clone(), one.body["interval_s"].clone()),
        (json!({ "fail_after": 3, "recover_after": 4, "quorum": 2 }), json!(120))
    );
    let domain = client.post(&at("domains"), &json!({ "name": "example.com" })).await;
    let domain = at(&format!("domains/{}", domain.id()));
    let audited = client.json("PATCH", &domain, &[], &json!({ "policy": { "fail_after": 1 }, "regions": ["east"] })).await;
    assert_eq!(of(&audited.body, 0), (json!({ "fail_after": 1, "recover_after": 1, "quorum": 0 }), json!(["east"])));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_field() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    for region in ["east", "west"] {
        server.state.store.region_seen(region, chrono::Utc::now()).await.unwrap();
    }
    let made = client.post(&at("servers"), &json!({ "host": "mail.example.com", "ports": [25] })).await;
    let host = at(&format!("servers/{}", made.id()));
    let monitor = at(&format!("monitors/{}", made.body["monitors"][0]["id"].as_str().unwrap()));
    let three = json!({ "regions": ["local", "east", "west"], "policy": { "quorum": 3 } });
    for path in [&host, &monitor] {
        for (change, field) in [
            (json!({ "policy": { "fail_after": 0 } }), "policy.fail_after"),
            (json!({ "policy": { "fail_after": 11 } }), "policy.fail_after"),
            (json!({ "policy": { "recover_after": 0 } }), "policy.recover_after"),
            (json!({ "policy": { "quorum": 2 } }), "policy.quorum"),
            (json!({ "policy": { "quorum": 3 }, "regions": ["local", "east"] }), "policy.quorum"),
            (json!({ "regions": ["nowhere"] }), "regions"),
            (json!({ "regions": [] }), "regions"),
        ] {
            let answer = client.json("PATCH", path, &[], &change).await;
            assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{change} {answer:?}");
        }
        assert_eq!(client.json("PATCH", path, &[], &three).await.status, 200);
        // Regions that are taken away must leave as many as are to agree.
        let fewer = client.json("PATCH", path, &[], &json!({ "regions": ["local"] })).await;
        assert_eq!((fewer.status.as_u16(), fewer.field()), (422, "regions"), "{fewer:?}");
        assert_eq!(client.json("PATCH", path, &[], &json!({ "regions": ["local"], "policy": { "quorum": 0 } })).await.status, 200);
    }
    let domain = client.post(&at("domains"), &json!({ "name": "example.com" })).await;
    let answer = client.json("PATCH", &at(&format!("domains/{}", domain.id())), &[], &json!({ "policy": { "quorum": 1 } })).await;
    assert_eq!((answer.status.as_u16(), answer.field()), (422, "policy.quorum"), "one region judges audits");
}

#[tokio::test]
async fn regions_say_whether_they_count_and_how_much_is_checked_from_them() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let now = chrono::Utc::now();
    for (region, minutes) in [("local", 0), ("east", 0), ("west", 11)] {
        server.state.store.region_seen(region, now - chrono::TimeDelta::minutes(minutes)).await.unwrap();
    }
    assert!(server.state.store.begin_cut_off("east", now).await.unwrap());
    client.post(&at("servers"), &json!({ "host": "mail.example.com", "ports": [25, 587] })).await;
    let listed = client.get(&at("regions")).await;
    let of = |body: &Value| -> Vec<(String, String, u64, u64)> {
        let text = |region: &Value, name: &str| region[name].as_str().unwrap().to_owned();
        let count = |region: &Value, name: &str| region[name].as_u64().unwrap();
        let regions = body["items"].as_array().unwrap().iter();
        regions.map(|region| (text(region, "name"), text(region, "state"), count(region, "monitors"), count(region, "alone"))).collect()
    };
    let row = |name: &str, state: &str, monitors, alone| (name.to_owned(), state.to_owned(), monitors, alone);
    assert_eq!(of(&listed.body), [row("east", "cut_off", 0, 0), row("local", "working", 2, 2), row("west", "silent", 0, 0)]);
    // What is the matter with regions that nothing of it is checked from is no business of the organisation.
    let calm = client.get(&at("overview")).await;
    assert!(calm.body.get("cut_off").is_none() && calm.body.get("silent").is_none(), "{calm:?}");

    let made = client.post(&at("servers"), &json!({ "host": "mx.example.com", "ports": [25] })).await;
    let path = at(&format!("servers/{}", made.id()));
    let changed = client.json("PATCH", &path, &[], &json!({ "regions": ["east", "west"] })).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let listed = client.get(&at("regions")).await;
    assert_eq!(of(&listed.body), [row("east", "cut_off", 1, 1), row("local", "working", 2, 2), row("west", "silent", 1, 1)]);
    let told = client.get(&at("overview")).await;
    let said = |name: &str| told.body[name].as_str().unwrap_or_default().to_owned();
    assert!(said("cut_off").starts_with("Region east can not reach anything since"), "{told:?}");
    assert!(said("silent").starts_with("No worker of region west was heard of since"), "{told:?}");
    assert!(said("silent").ends_with(" One monitor is not checked now."), "no region of it works: {told:?}");
    let mended = client.json("PATCH", &path, &[], &json!({ "regions": ["local", "west"] })).await;
    assert_eq!(mended.status, 200, "{mended:?}");
    let listed = client.get(&at("regions")).await;
    assert_eq!(of(&listed.body), [row("east", "cut_off", 0, 0), row("local", "working", 3, 3), row("west", "silent", 1, 0)]);
}
