//! IP pools: made of watched addresses, a tag of theirs, and nobody else's.

use axum::body::Body;
use serde_json::{Value, json};

use crate::support::server;

fn names<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_pool_is_a_tag_of_its_addresses() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    for cidr in ["203.0.113.7", "203.0.113.8", "203.0.113.64/28"] {
        client.post(&at("addresses"), &json!({ "cidr": cidr })).await;
    }
    let news = client.post(&at("pools"), &json!({ "name": " Newsletter", "note": "Weekly", "addresses": ["203.0.113.8", "203.0.113.64/28"] })).await;
    assert_eq!((news.status.as_u16(), news.body["name"].as_str(), news.body["tag"].as_str()), (201, Some("newsletter"), Some("pool:newsletter")));
    assert_eq!(names(&news.body["addresses"], "cidr"), ["203.0.113.8", "203.0.113.64/28"]);
    assert_eq!(news.body["standing"], json!({ "listed": 0, "clean": 0, "unknown": 2 }), "what was not scanned is not clean");
    server.sql("UPDATE monitors SET asked = 40, answered = 30 WHERE target = '203.0.113.8'".to_owned()).await;
    let path = at(&format!("pools/{}", news.id()));
    assert_eq!(client.get(&path).await.body["standing"], json!({ "listed": 0, "clean": 1, "unknown": 1 }));
    // As a tag it filters lists and chooses for routes, rules and windows, beside tags of its own.
    let by_tag = |resource: &str| at(&format!("{resource}?tag=pool:newsletter"));
    assert_eq!(names(&client.get(&by_tag("addresses")).await.body["items"], "cidr"), ["203.0.113.8", "203.0.113.64/28"]);
    assert_eq!(names(&client.get(&by_tag("monitors")).await.body["items"], "target"), ["203.0.113.8", "203.0.113.64/28"]);
    let used = client.get(&at("tags")).await;
    assert_eq!((names(&used.body["items"], "tag"), &used.body["items"][0]["addresses"]), (vec!["pool:newsletter"], &json!(2)));
    let rule = json!({ "name": "Listed", "series": "listings", "threshold": 0.0, "severity": "warning", "scope": { "tags": ["pool:newsletter"] } });
    let tried = client.post(&at("rules/try"), &rule).await;
    assert_eq!((tried.status.as_u16(), &tried.body["monitors"]), (200, &json!(2)), "{tried:?}");
    // An address is of one pool: who comes leaves another.
    let bulk = client.post(&at("pools"), &json!({ "name": "bulk", "addresses": ["203.0.113.8"] })).await;
    assert_eq!(names(&client.get(&path).await.body["addresses"], "cidr"), ["203.0.113.64/28"]);
    let address = bulk.body["addresses"][0]["id"].as_str().unwrap().to_owned();
    let one = at(&format!("addresses/{address}"));
    assert_eq!(client.get(&one).await.body["pool"]["name"], "bulk");
    let moved = client.json("PATCH", &one, &[], &json!({ "pool": news.id(), "tags": ["berlin"] })).await;
    assert_eq!((&moved.body["pool"]["name"], &moved.body["tags"]), (&json!("newsletter"), &json!(["berlin"])));
    assert_eq!(client.json("PATCH", &one, &[], &json!({ "tags": [] })).await.body["pool"]["name"], "newsletter", "what is absent stays");
    assert_eq!(client.json("PATCH", &one, &[], &json!({ "pool": null })).await.body.get("pool"), None);
    // Emptied and filled anew by a patch, and removed without its addresses.
    let changed = client.json("PATCH", &path, &[("if-match", "\"1\"")], &json!({ "note": "", "addresses": ["203.0.113.7"] })).await;
    assert_eq!((changed.status.as_u16(), names(&changed.body["addresses"], "cidr")), (200, vec!["203.0.113.7"]));
    assert_eq!(client.json("PATCH", &path, &[("if-match", "\"1\"")], &json!({ "note": "x" })).await.status, 412);
    assert_eq!(client.send("DELETE", &path, &[], Body::empty()).await.status, 204);
    assert_eq!(client.get(&at("addresses")).await.body["items"].as_array().unwrap().len(), 3);
    assert_eq!(names(&client.get(&at("pools")).await.body["items"], "name"), ["bulk"]);
}

#[tokio::test]
async fn what_can_be_no_pool_is_refused_and_nothing_of_it_is_kept() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    client.post(&at("pools"), &json!({ "name": "bulk" })).await;
    for (new, field) in [
        (json!({ "name": "two words" }), "name"),
        (json!({ "name": "x".repeat(26) }), "name"),
        (json!({ "name": "a", "note": "x".repeat(201) }), "note"),
        (json!({ "name": "a", "addresses": ["203.0.113.9"] }), "addresses"),
        (json!({ "name": "a", "addresses": ["mail.example.com"] }), "addresses"),
        (json!({ "name": "a", "addresses": vec!["203.0.113.9"; 101] }), "addresses"),
    ] {
        let answer = client.post(&at("pools"), &new).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{new}");
    }
    assert_eq!(client.post(&at("pools"), &json!({ "name": "BULK" })).await.status, 409);
    assert_eq!(names(&client.get(&at("pools")).await.body["items"], "name"), ["bulk"]);
    // Another organisation's pool is none, and its addresses are not watched here.
    let (mut other, foreign) = server.member("bob").await;
    let theirs = other.post(&format!("/api/v1/orgs/{foreign}/pools"), &json!({ "name": "bulk" })).await.id().to_owned();
    other.post(&format!("/api/v1/orgs/{foreign}/addresses"), &json!({ "cidr": "203.0.113.9" })).await;
    assert_eq!(client.post(&at("pools"), &json!({ "name": "a", "addresses": ["203.0.113.9"] })).await.field(), "addresses");
    let address = client.post(&at("addresses"), &json!({ "cidr": "203.0.113.7" })).await.id().to_owned();
    let answer = client.json("PATCH", &at(&format!("addresses/{address}")), &[], &json!({ "pool": theirs })).await;
    assert_eq!((answer.status.as_u16(), answer.field()), (422, "pool"));
}

#[tokio::test]
async fn who_changes_pools_and_their_addresses_at_once_waits_and_is_never_turned_away() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let cidrs: Vec<String> = (1..=6).map(|last| format!("203.0.113.{last}")).collect();
    let (mut addresses, mut pools) = (Vec::new(), Vec::new());
    for cidr in &cidrs {
        addresses.push(client.post(&at("addresses"), &json!({ "cidr": cidr })).await.id().to_owned());
    }
    for name in ["one", "two"] {
        pools.push(client.post(&at("pools"), &json!({ "name": name })).await.id().to_owned());
    }
    let cookie = client.cookie.clone();
    let somebody = || {
        let mut client = server.client();
        client.cookie.clone_from(&cookie);
        client
    };
    // Four of the six, in an order of their own.
    let some = |round: usize| cidrs.iter().cycle().skip(round % 6).take(4).collect::<Vec<_>>();
    let by_address = async |shift: usize| {
        let mut client = somebody();
        for round in 0..40 {
            let path = at(&format!("addresses/{}", addresses[(round + shift) % 6]));
            let moved = client.json("PATCH", &path, &[], &json!({ "pool": pools[round % 2], "tags": [format!("t{round}")] })).await;
            assert_eq!(moved.status, 200, "{moved:?}");
        }
    };
    let by_pool = async || {
        let mut client = somebody();
        for round in 0..40 {
            let filled = client.json("PATCH", &at(&format!("pools/{}", pools[round % 2])), &[], &json!({ "addresses": some(round) })).await;
            assert_eq!(filled.status, 200, "{filled:?}");
        }
    };
    let by_new_pool = async || {
        let mut client = somebody();
        for round in 0..40 {
            let made = client.post(&at("pools"), &json!({ "name": format!("new{round}"), "addresses": some(round + 3) })).await;
            assert_eq!(made.status, 201, "{made:?}");
            let gone = client.delete(&at(&format!("pools/{}", made.id()))).await;
            assert_eq!(gone.status, 204, "{gone:?}");
        }
    };
    let by_table = async || {
        let mut client = somebody();
        for round in 0..40 {
            let lines: Vec<String> = some(round + 1).iter().map(|cidr| format!("address,{cidr},{}", ["two", "made", "one"][round % 3])).collect();
            let imported = client.post(&at("import"), &json!({ "csv": format!("kind,target,pool\n{}", lines.join("\n")) })).await;
            assert_eq!(imported.status, 200, "{imported:?}");
        }
    };
    tokio::join!(by_address(0), by_address(3), by_pool(), by_new_pool(), by_table());
}
