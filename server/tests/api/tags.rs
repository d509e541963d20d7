//! Tags and roles through the API: kept in one form, refused by their field, filtered by, covered by windows.

use serde_json::{Value, json};

use crate::support::server;

#[tokio::test]
async fn tags_are_given_to_what_is_watched_and_lists_are_filtered_by_them() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let mut made = Vec::new();
    for (many, new, tags) in [
        ("domains", json!({ "name": "example.com" }), json!([" Web", "berlin", "WEB"])),
        ("domains", json!({ "name": "example.net" }), json!(["paris"])),
        ("servers", json!({ "host": "mail.example.com" }), json!(["web"])),
        ("addresses", json!({ "cidr": "203.0.113.7" }), json!(["web"])),
    ] {
        let id = client.post(&at(many), &new).await.id().to_owned();
        let changed = client.json("PATCH", &at(&format!("{many}/{id}")), &[], &json!({ "tags": tags })).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        made.push((many, id, changed.body["tags"].clone()));
    }
    assert_eq!(made[0].2, json!(["berlin", "web"]));
    let ids =
        |body: &Value| -> Vec<String> { body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect() };
    for (query, wanted) in [
        ("domains?tag=WEB", vec![0]),
        ("domains?tag=none", vec![]),
        ("domains?tag=", vec![0, 1]),
        ("servers?tag=web", vec![2]),
        ("servers?tag=paris", vec![]),
        ("addresses?tag=web", vec![3]),
    ] {
        let wanted: Vec<String> = wanted.into_iter().map(|at: usize| made[at].1.clone()).collect();
        assert_eq!(ids(&client.get(&at(query)).await.body), wanted, "{query}");
    }
    let used =
        |tag: &str, domains, servers, addresses| json!({ "tag": tag, "domains": domains, "servers": servers, "addresses": addresses, "services": 0 });
    assert_eq!(client.get(&at("tags")).await.body["items"], json!([used("berlin", 1, 0, 0), used("paris", 1, 0, 0), used("web", 1, 1, 1)]));
    // What is not named stays.
    let domain = at(&format!("domains/{}", made[0].1));
    assert_eq!(client.json("PATCH", &domain, &[], &json!({ "interval_s": 7200 })).await.body["tags"], json!(["berlin", "web"]));
    assert_eq!(client.json("PATCH", &domain, &[], &json!({ "tags": [] })).await.body["tags"], json!([]));
    let (mut other, foreign) = server.member("bob").await;
    assert_eq!(other.get(&format!("/api/v1/orgs/{foreign}/tags")).await.body["items"], json!([]));
}

#[tokio::test]
async fn what_is_no_tag_and_no_role_is_refused() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let id = client.post(&format!("/api/v1/orgs/{org}/servers"), &json!({ "host": "mail.example.com" })).await.id().to_owned();
    let path = format!("/api/v1/orgs/{org}/servers/{id}");
    let many: Vec<String> = (0..21).map(|number| format!("t{number}")).collect();
    for tags in [json!(["a b"]), json!([""]), json!(["x".repeat(31)]), json!(many)] {
        let answer = client.json("PATCH", &path, &[], &json!({ "tags": tags })).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, "tags"), "{tags}");
    }
    assert_eq!(client.json("PATCH", &path, &[], &json!({ "role": "pigeon" })).await.status, 422);
    for (patch, role) in
        [(json!({ "role": "gateway" }), json!("gateway")), (json!({ "tags": ["mx"] }), json!("gateway")), (json!({ "role": null }), json!(null))]
    {
        assert_eq!(client.json("PATCH", &path, &[], &patch).await.body["role"], role, "{patch}");
    }
}
