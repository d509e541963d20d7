//! The public lookup of addresses, and the pictures of lookups.

use serde_json::json;

use crate::support::server;

#[tokio::test]
async fn an_address_is_looked_up_by_everybody_unless_it_is_not_public() {
    let server = server().await;
    let mut client = server.client();
    for (address, said) in [
        ("10.0.0.1", "private"),
        ("127.0.0.1", "loopback"),
        ("%3A%3A1", "loopback"),
        ("%3A%3Affff%3A169.254.169.254", "link-local"),
        ("example.com", "Enter an IPv4 or IPv6 address"),
        ("192.0.2.0%2F24", "Enter an IPv4 or IPv6 address"),
    ] {
        let answer = client.get(&format!("/api/v1/lookup/address/{address}")).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, "address"), "{address}");
        let message = answer.body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(said) && !message.contains("WAYPOST_"), "{address}: {message}");
    }
    let answer = client.get("/api/v1/lookup/address/%3A%3Affff%3A9.9.9.10").await;
    assert_eq!((answer.status.as_u16(), answer.body["address"].as_str()), (200, Some("9.9.9.10")), "{answer:?}");
    // The resolver of the tests is dead: nothing is known, nothing is called missing, and nothing is called clean.
    assert_eq!((&answer.body["reverse"]["status"], &answer.body["names"]), (&json!("none"), &json!([])));
    assert_eq!(answer.body["complete"], false);
    let entries = answer.body["blacklists"]["entries"].as_array().unwrap();
    assert!(!entries.is_empty() && entries.iter().all(|entry| entry["state"] == "unknown"), "{entries:?}");
    let again = client.get("/api/v1/lookup/address/9.9.9.10").await;
    assert_eq!(again.body["checked_at"], answer.body["checked_at"], "one run for every way to write it");
}

#[tokio::test]
async fn a_domain_is_looked_up_on_lists_of_domains_too() {
    let server = server().await;
    let answer = server.client().get("/api/v1/lookup/example.com").await;
    let entries = answer.body["blacklists"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["subject"] == "example.com"), "{entries:?}");
    let lists = answer.body["lists"].as_array().unwrap();
    assert!(lists.iter().any(|list| list["zone"] == entries[0]["zone"]), "{lists:?}");
}

#[tokio::test]
async fn a_lookup_has_a_picture_that_costs_what_the_lookup_costs() {
    let server = server().await;
    let mut client = server.client();
    let looked = client.get("/api/v1/lookup/example.com").await;
    assert_eq!(looked.status, 200);
    let limit = &server.state.limits.lookup;
    assert!((0..20).any(|_| limit.take("127.0.0.1").is_err()));
    let answer = client.get("/lookup/Example.com/preview.png").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"], &answer.headers["cache-control"]),
        (200, &"image/png".parse().unwrap(), &"public, max-age=300".parse().unwrap())
    );
    assert!(answer.body.as_str().unwrap().contains("PNG"), "a picture of what is kept costs nothing");
    for name in ["other.example", "9.9.9.10"] {
        assert_eq!(client.get(&format!("/lookup/{name}/preview.png")).await.status, 429, "{name}: what is not kept has to be looked up");
    }
    for name in ["10.0.0.1", "not%20a%20domain", "localhost"] {
        assert_eq!(client.get(&format!("/lookup/{name}/preview.png")).await.status, 422, "{name}");
    }
}
