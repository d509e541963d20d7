//! Block lists as an organisation chooses them, and the history of what it watches.

use serde_json::json;

use crate::support::server;

#[tokio::test]
async fn an_organisation_chooses_its_lists_and_nobody_overwrites_what_they_did_not_see() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/lists");
    let first = client.get(&path).await;
    let catalog = first.body["catalog"].as_array().unwrap();
    assert!(catalog.len() > 100 && catalog.iter().all(|list| !list["id"].as_str().unwrap().is_empty()));
    assert_eq!((first.body["version"].as_i64(), &first.body["choice"]["off"]), (Some(0), &json!([])));
    let choice = json!({ "off": ["spamcop"], "custom": [{ "zone": "bl.corp.example", "name": "Ours", "kinds": ["ip4"], "severity": "high" }] });
    let made = client.json("PUT", &path, &[("if-match", "\"0\"")], &choice).await;
    assert_eq!((made.status.as_u16(), made.body["version"].as_i64()), (200, Some(1)), "{made:?}");
    let stale = client.json("PUT", &path, &[("if-match", "\"0\"")], &json!({})).await;
    assert_eq!(stale.status, 412);
    assert_eq!(client.get(&path).await.body["choice"]["custom"][0]["zone"], "bl.corp.example");
    // Another organisation sees nothing of it.
    let (mut other, foreign) = server.member("bob").await;
    assert_eq!(other.get(&format!("/api/v1/orgs/{foreign}/lists")).await.body["version"], 0);
}

#[tokio::test]
async fn what_can_not_be_asked_is_refused_by_its_field() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/lists");
    let custom = |zone: &str| json!({ "custom": [{ "zone": zone, "kinds": ["ip4"], "severity": "high" }] });
    let table = [
        (json!({ "on": ["no-such-list"] }), "on"),
        (custom("dnsbl.sorbs.net"), "custom"),
        (custom("zen.spamhaus.org"), "custom"),
        (json!({ "custom": [{ "zone": "bl.corp.example", "kinds": [], "severity": "high" }] }), "custom"),
        (json!({ "custom": [{ "zone": "not a zone", "kinds": ["ip4"], "severity": "high" }] }), "custom[0].zone"),
        (json!({ "off": "spamcop" }), "off"),
    ];
    for (body, field) in table {
        let answer = client.json("PUT", &path, &[], &body).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{body} {answer:?}");
    }
}

#[tokio::test]
async fn keys_are_kept_sealed_and_never_shown() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let path = format!("/api/v1/orgs/{org}/lists");
    let takes = client.get(&path).await.body["catalog"].as_array().unwrap().iter().find(|list| list["takes_key"] == true).unwrap()["id"].clone();
    let takes = takes.as_str().unwrap();
    let key = format!("{path}/keys/{takes}");
    let kept = client.json("PUT", &key, &[], &json!({ "key": " abcdefghijklmnopqrstuvwxyz " })).await;
    assert_eq!(kept.status, 204, "{kept:?}");
    let settings = client.get(&path).await;
    assert_eq!(settings.body["keys"], json!([takes]));
    assert!(!settings.body.to_string().contains("abcdefghijklm"));
    assert_eq!(server.text("SELECT (position('abcdefghij'::bytea in sealed) > 0)::text FROM list_keys").await, "false");
    for (wrong, status) in [(json!({ "key": "" }), 422), (json!({ "key": "a b" }), 422), (json!({}), 422)] {
        assert_eq!(client.json("PUT", &key, &[], &wrong).await.status, status, "{wrong}");
    }
    assert_eq!(client.json("PUT", &format!("{path}/keys/nothing"), &[], &json!({ "key": "abc" })).await.status, 404);
    assert_eq!(client.delete(&key).await.status, 204);
    assert_eq!(client.delete(&key).await.status, 404);
    assert_eq!(client.get(&path).await.body["keys"], json!([]));
}

#[tokio::test]
async fn selectors_and_senders_of_a_domain_are_kept_in_their_form() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let made = client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": "example.com" })).await;
    let path = format!("/api/v1/orgs/{org}/domains/{}", made.id());
    let wanted = json!({ "selectors": ["S1", "s1", "a.b._domainkey.example.com"], "senders": ["::ffff:203.0.113.9", "2001:db8::1"] });
    let changed = client.json("PATCH", &path, &[], &wanted).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!((&changed.body["selectors"], &changed.body["senders"]), (&json!(["s1", "a.b"]), &json!(["203.0.113.9", "2001:db8::1"])));
    // What is absent stays.
    let again = client.json("PATCH", &path, &[], &json!({ "interval_s": 7200 })).await;
    assert_eq!(again.body["selectors"], json!(["s1", "a.b"]));
    for (wrong, field) in [(json!({ "selectors": ["a b"] }), "selectors"), (json!({ "senders": ["mail.example.com"] }), "senders[0]")] {
        let answer = client.json("PATCH", &path, &[], &wrong).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{answer:?}");
    }
    for list in ["history", "listings"] {
        let answer = client.get(&format!("{path}/{list}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["items"]), (200, &json!([])), "{list}");
    }
    // One that was seen in mail is shown, and forgotten on request.
    let id = made.id().trim_start_matches("dom_").to_owned();
    server
        .sql(format!(
            "INSERT INTO seen_selectors (org_id, domain_id, selector, seen_at) SELECT org_id, id, 'forged', now() FROM domains WHERE id = '{id}'"
        ))
        .await;
    let listed = client.get(&format!("{path}/selectors")).await;
    assert_eq!((&listed.body["items"][0]["selector"], &listed.body["items"][0]["origin"]), (&json!("forged"), &json!("seen")));
    assert_eq!(client.delete(&format!("{path}/selectors/forged")).await.status, 204);
    assert_eq!(client.get(&format!("{path}/selectors")).await.body["items"], json!([]));
    assert_eq!(client.delete(&format!("{path}/selectors/forged")).await.status, 404);
}

#[tokio::test]
async fn a_pasted_message_is_read_and_what_it_claims_is_not_believed() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": "example.com" })).await;
    let path = format!("/api/v1/orgs/{org}/messages");
    let header = "Received: from a.example.com (a.example.com [203.0.113.7]) by mx.example.net with ESMTPS id 1; Thu, 26 Nov 2026 10:00:00 +0000\n\
                  DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=News1; h=from; bh=AAAA; b=AAAA\n\
                  DKIM-Signature: v=1; a=rsa-sha256; d=stranger.example; s=x; h=from; bh=AAAA; b=AAAA\n\
                  From: a@example.com\nSubject: hello\n";
    let read = client.post(&path, &json!({ "message": header })).await;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!((read.body["from_domain"].as_str(), read.body["hops"].as_array().unwrap().len()), (Some("example.com"), 1));
    // Nothing verifies: whoever wrote it may have made up the selector.
    assert_eq!(server.text("SELECT count(*)::text FROM seen_selectors").await, "0");
    let none = client.post(&path, &json!({ "message": "hello world" })).await;
    assert!(none.status == 422 && none.body.to_string().contains("This is no message"), "{none:?}");
    for wrong in [json!({ "message": "  " }), json!({})] {
        assert_eq!(client.post(&path, &wrong).await.status, 422, "{wrong}");
    }
    let large = client.post(&path, &json!({ "message": "x".repeat(300_000) })).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn a_listing_that_an_address_and_its_network_show_is_one_and_holds_the_grade() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let base = format!("/api/v1/orgs/{org}");
    let network = client.post(&format!("{base}/addresses"), &json!({ "cidr": "9.9.9.0/24" })).await;
    let address = client.post(&format!("{base}/addresses"), &json!({ "cidr": "9.9.9.10" })).await;
    let domain = client.post(&format!("{base}/domains"), &json!({ "name": "example.com" })).await;
    let outcome = |provider: &str| {
        json!({ "kind": "audit", "domain": "example.com", "score": 98, "grade": "A", "findings": [], "unknown": [], "checks": {}, "records": {},
            "mx_hosts": [{ "preference": 10, "host": "mx.example.com", "addresses": ["9.9.9.10"], "provider": (!provider.is_empty()).then_some(provider) }] })
    };
    server
        .sql(format!(
            "INSERT INTO last_outcomes (org_id, monitor_id, region, at, outcome) SELECT org_id, id, 'local', now(), '{}' FROM monitors WHERE kind = 'audit';
             INSERT INTO listings (org_id, id, monitor_id, subject, zone, list, severity, codes, meaning, reason, began_at, seen_at)
             SELECT m.org_id, gen_random_uuid(), m.id, '9.9.9.10', z.zone, 'ZEN', 'critical', '{{127.0.0.2}}', '', '', now(), now()
             FROM monitors m, (VALUES ('zen.example'), ('other.example')) z(zone)
             WHERE m.address_id IS NOT NULL AND (z.zone = 'zen.example' OR m.target LIKE '%/24')",
            outcome("")
        ))
        .await;
    let overview = client.get(&format!("{base}/overview")).await;
    assert_eq!(overview.body["listed"], json!({ "count": 2, "worst": "critical" }), "by address and list, not by scan");
    assert_eq!((&overview.body["score"], &overview.body["domains"][0]["grade"]), (&json!(59), &json!("D")), "{overview:?}");
    let listed = |answer: &crate::support::Answer| answer.body["listed"].clone();
    for id in [network.id(), address.id()] {
        let own = client.get(&format!("{base}/addresses/{id}")).await;
        assert_eq!(listed(&own), 2, "what the scan of the network saw of an address is the address's, too");
        let stays = client.get(&format!("{base}/addresses/{id}/listings")).await;
        assert!(stays.body["items"].as_array().unwrap().iter().all(|stay| stay["subject"] == "9.9.9.10"));
    }
    let path = format!("{base}/domains/{}", domain.id());
    let held = client.get(&path).await;
    assert_eq!((&held.body["score"], &held.body["grade"], &held.body["audit"]["held"]["without"]), (&json!(59), &json!("D"), &json!(98)));
    assert_eq!(held.body["listings"].as_array().unwrap().len(), 2);
    assert_eq!(client.get(&format!("{base}/domains")).await.body["items"][0]["grade"], "D");
    // A provider's host is not the domain's own, and what is gone holds nothing.
    server.sql(format!("UPDATE last_outcomes SET outcome = '{}'", outcome("Provider"))).await;
    assert_eq!(client.get(&path).await.body["grade"], "A");
    server.sql(format!("UPDATE last_outcomes SET outcome = '{}'; UPDATE listings SET ended_at = now()", outcome(""))).await;
    assert_eq!(client.get(&path).await.body["grade"], "A");
    assert_eq!(listed(&client.get(&format!("{base}/addresses/{}", network.id())).await), 0);
}
