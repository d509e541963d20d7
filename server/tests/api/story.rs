//! What an incident tells beside itself: marked changes, probable causes, runbooks.

use axum::body::Body;
use serde_json::{Value, json};

use crate::support::{Client, server};

async fn incident(client: &mut Client<'_>, org: &str) -> (String, String) {
    let made = client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": "example.com" })).await;
    let new = json!({ "title": "SPF", "severity": "critical", "monitor_id": made.body["monitors"][0]["id"] });
    let incident = client.post(&format!("/api/v1/orgs/{org}/incidents"), &new).await;
    (made.id().to_owned(), incident.id().to_owned())
}

#[tokio::test]
async fn changes_are_marked_listed_in_pages_and_taken_back() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let changes = format!("/api/v1/orgs/{org}/changes");
    for (minute, target) in [(1, Value::Null), (2, json!("Mail.Example.COM:25")), (3, json!("203.0.113.0/24"))] {
        let new = json!({ "kind": "firewall", "text": format!("Rule {minute}"), "at": format!("{}-01-01T00:0{minute}:00Z", chrono::Utc::now().format("%Y")), "target": target });
        let made = client.post(&changes, &new).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let first = client.get(&format!("{changes}?limit=2")).await;
    let texts = |page: &Value| page["items"].as_array().unwrap().iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(texts(&first.body), ["Rule 3", "Rule 2"]);
    assert_eq!(first.body["items"][1]["target"], "mail.example.com:25");
    let rest = client.get(&format!("{changes}?limit=2&cursor={}", first.body["next"].as_str().unwrap())).await;
    assert_eq!((texts(&rest.body), &rest.body["next"]), (vec!["Rule 1".to_owned()], &Value::Null));
    let path = format!("{changes}/{}", rest.body["items"][0]["id"].as_str().unwrap());
    assert_eq!(client.get(&path).await.body["by"], client.get("/api/v1/me").await.body["user"]["email"]);
    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(client.get(&path).await.status, 404);
    let refused = [
        (json!({ "kind": "firewall", "text": " " }), "text"),
        (json!({ "kind": "firewall", "text": "ä".repeat(501) }), "text"),
        (json!({ "kind": "dns", "text": "x", "target": "not a name" }), "target"),
        (json!({ "kind": "dns", "text": "x", "target": "example.com:99999" }), "target"),
        (json!({ "kind": "dns", "text": "x", "at": "2001-01-01T00:00:00Z" }), "at"),
        (json!({ "kind": "dns", "text": "x", "at": "2999-01-01T00:00:00Z" }), "at"),
    ];
    for (new, field) in refused {
        let answer = client.post(&changes, &new).await;
        assert_eq!((answer.status.as_u16(), answer.body["errors"][0]["field"].as_str()), (422, Some(field)), "{new}");
    }
    assert_eq!(client.post(&changes, &json!({ "kind": "magic", "text": "x" })).await.status, 422);
}

#[tokio::test]
async fn what_happened_around_an_incident_is_ranked_with_its_reason() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let (domain, id) = incident(&mut client, &org).await;
    let (domain, uuid) = (domain.trim_start_matches("dom_").to_owned(), id.trim_start_matches("inc_").to_owned());
    server
        .sql(format!(
            "UPDATE incidents SET condition = 'spf' WHERE id = '{uuid}';
             INSERT INTO record_changes (org_id, id, domain_id, family, at, changes, before, after, worse)
             SELECT org_id, gen_random_uuid(), '{domain}', f.family, opened_at - f.ago, '[{{\"kind\": \"removed\", \"text\": \"it is gone\"}}]', '{{}}', '{{}}', true
             FROM incidents, (VALUES ('spf', interval '12 minutes'), ('bimi', interval '5 minutes'), ('spf', interval '30 hours')) AS f(family, ago) WHERE id = '{uuid}'"
        ))
        .await;
    let changed = client
        .post(
            &format!("/api/v1/orgs/{org}/changes"),
            &json!({ "kind": "dns", "text": "Zone moved", "at": chrono::Utc::now() - chrono::TimeDelta::hours(2) }),
        )
        .await;
    assert_eq!(changed.status, 201);
    let related = client.get(&format!("/api/v1/orgs/{org}/incidents/{id}/related")).await;
    assert_eq!(related.status, 200, "{related:?}");
    let causes = related.body["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 2, "{causes:?}");
    assert_eq!(
        (causes[0]["source"].as_str(), causes[0]["family"].as_str(), causes[0]["text"].as_str()),
        (Some("record"), Some("spf"), Some("it is gone"))
    );
    assert_eq!(causes[0]["cause"]["reason"], "SPF of example.com changed 12 minutes before, and this incident is about SPF.");
    assert_eq!(
        (causes[1]["source"].as_str(), causes[1]["kind"].as_str(), causes[1]["text"].as_str()),
        (Some("change"), Some("dns"), Some("Zone moved"))
    );
    assert!(causes[0]["cause"]["score"].as_u64() > causes[1]["cause"]["score"].as_u64());
    let beside = related.body["beside"].as_array().unwrap();
    assert_eq!((beside.len(), beside[0]["family"].as_str(), beside[0].get("cause")), (1, Some("bimi"), None), "{beside:?}");
}

#[tokio::test]
async fn what_belongs_to_the_same_mail_is_known_by_its_hosts() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let made = client.post(&format!("/api/v1/orgs/{org}/servers"), &json!({ "host": "mx.provider.example" })).await;
    let (domain, _) = incident(&mut client, &org).await;
    let (domain, host) = (domain.trim_start_matches("dom_"), made.id().trim_start_matches("srv_").to_owned());
    server
        .sql(format!(
            "INSERT INTO domain_servers (org_id, domain_id, server_id, preference) SELECT org_id, id, '{host}', 10 FROM domains WHERE id = '{domain}'"
        ))
        .await;
    let new = json!({ "title": "Dead", "severity": "critical", "monitor_id": made.body["monitors"][0]["id"] });
    let dead = client.post(&format!("/api/v1/orgs/{org}/incidents"), &new).await;
    client
        .post(
            &format!("/api/v1/orgs/{org}/changes"),
            &json!({ "kind": "deploy", "text": "New relay", "target": "example.com", "at": chrono::Utc::now() - chrono::TimeDelta::seconds(330) }),
        )
        .await;
    let related = client.get(&format!("/api/v1/orgs/{org}/incidents/{}/related", dead.id())).await;
    let reason = related.body["causes"][0]["cause"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("A change of example.com was marked (deployment) 5 minutes before") && reason.ends_with("It belongs to the same mail."),
        "{reason}"
    );
}

#[tokio::test]
async fn a_runbook_is_written_anew_and_taken_back_without_losing_somebody_elses_text() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let all = client.get(&format!("/api/v1/orgs/{org}/runbooks")).await;
    assert_eq!(all.body["items"].as_array().unwrap().len(), 17);
    let path = format!("/api/v1/orgs/{org}/runbooks/spf-missing");
    let product = client.get(&path).await;
    assert!(product.body["text"].as_str().unwrap().starts_with("## What it means") && product.body["version"] == 0);
    let written = client.json("PUT", &path, &[("if-match", "\"0\"")], &json!({ "text": "Ask **Bob**." })).await;
    assert_eq!((written.body["text"].as_str(), written.body["version"].as_i64()), (Some("Ask **Bob**."), Some(1)), "{written:?}");
    assert!(written.body["edited_by"].as_str().unwrap().starts_with("ann"));
    assert_eq!(client.json("PUT", &path, &[("if-match", "\"0\"")], &json!({ "text": "x" })).await.status, 412);
    assert_eq!(client.json("PUT", &path, &[], &json!({ "text": " " })).await.status, 422);
    let (mut stranger, theirs) = server.member("stranger").await;
    assert_eq!(stranger.get(&format!("/api/v1/orgs/{theirs}/runbooks/spf-missing")).await.body["version"], 0);
    assert_eq!(client.send("DELETE", &path, &[("if-match", "\"7\"")], Body::empty()).await.status, 412);
    assert_eq!(client.send("DELETE", &path, &[("if-match", "\"1\"")], Body::empty()).await.status, 204);
    assert_eq!(client.get(&path).await.body["text"], product.body["text"]);
    assert_eq!(client.get(&format!("/api/v1/orgs/{org}/runbooks/magic")).await.status, 404);
}

#[tokio::test]
async fn a_monitor_and_a_rule_have_a_runbook_of_their_own_or_none() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let made = client.post(&at("servers"), &json!({ "host": "mail.example.com", "ports": [25, 587] })).await;
    let own = json!({ "url": "https://wiki.example/mail", "text": "Call **Bob**." });
    let path = at(&format!("servers/{}", made.id()));
    let runbooks = |server: &Value| server["monitors"].as_array().unwrap().iter().map(|monitor| monitor["runbook"].clone()).collect::<Vec<_>>();
    // All ports of a server at once, and one that is added later.
    let changed = client.json("PATCH", &path, &[], &json!({ "runbook": own })).await;
    assert_eq!(runbooks(&changed.body), [own.clone(), own.clone()]);
    let changed = client.json("PATCH", &path, &[], &json!({ "ports": [25, 587, 465] })).await;
    assert_eq!(runbooks(&changed.body), [own.clone(), own.clone(), own.clone()]);
    let monitor = changed.body["monitors"][0]["id"].as_str().unwrap().to_owned();
    let new = json!({ "title": "Port 25", "severity": "critical", "monitor_id": monitor });
    let incident = client.post(&at("incidents"), &new).await;
    assert_eq!(incident.body["own_runbook"], own);
    // One of them by itself.
    let one = at(&format!("monitors/{monitor}"));
    assert_eq!(client.json("PATCH", &one, &[], &json!({ "runbook": { "url": " " } })).await.body["runbook"], json!(null));
    assert_eq!(client.json("PATCH", &one, &[], &json!({ "interval_s": 600 })).await.body["runbook"], json!(null));
    assert_eq!(client.get(&at(&format!("incidents/{}", incident.id()))).await.body["own_runbook"], json!(null));
    let domain = client.post(&at("domains"), &json!({ "name": "example.com" })).await;
    let address = client.post(&at("addresses"), &json!({ "cidr": "203.0.113.9" })).await;
    let rule =
        client.post(&at("rules"), &json!({ "name": "Slow", "series": "score", "threshold": 80.0, "severity": "warning", "runbook": own })).await;
    assert_eq!(rule.body["runbook"], own);
    for path in [path, one, at(&format!("domains/{}", domain.id())), at(&format!("addresses/{}", address.id())), at(&format!("rules/{}", rule.id()))]
    {
        for (runbook, field) in [
            (json!({ "url": "javascript:alert(1)" }), "runbook.url"),
            (json!({ "url": format!("https://wiki.example/{}", "x".repeat(500)) }), "runbook.url"),
            (json!({ "text": "x".repeat(20_001) }), "runbook.text"),
        ] {
            let answer = client.json("PATCH", &path, &[], &json!({ "runbook": runbook })).await;
            assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{path}");
        }
        assert_eq!(client.json("PATCH", &path, &[], &json!({ "runbook": own })).await.status, 200, "{path}");
        assert_eq!(client.json("PATCH", &path, &[], &json!({ "runbook": null })).await.status, 200, "{path}");
    }
    assert_eq!(client.get(&at(&format!("rules/{}", rule.id()))).await.body["runbook"], json!(null));
}

#[tokio::test]
async fn incidents_are_found_by_stage_severity_and_name_and_counted() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let incidents = format!("/api/v1/orgs/{org}/incidents");
    let mut made = Vec::new();
    for (host, title, severity) in
        [("mx1.example.com", "Slow", "warning"), ("mx2.example.com", "Broken 100%", "critical"), ("mx3.example.com", "Odd", "info")]
    {
        let host = client.post(&format!("/api/v1/orgs/{org}/servers"), &json!({ "host": host })).await;
        let new = json!({ "title": title, "severity": severity, "monitor_id": host.body["monitors"][0]["id"] });
        made.push(client.post(&incidents, &new).await.id().to_owned());
    }
    for (id, status) in [(&made[0], "acknowledged"), (&made[2], "resolved")] {
        assert_eq!(client.json("PATCH", &format!("{incidents}/{id}"), &[], &json!({ "status": status })).await.status, 200);
    }
    let cases = [
        ("", vec!["Odd", "Broken 100%", "Slow"]),
        ("status=all", vec!["Odd", "Broken 100%", "Slow"]),
        ("status=active", vec!["Broken 100%", "Slow"]),
        ("status=open", vec!["Broken 100%"]),
        ("status=acknowledged", vec!["Slow"]),
        ("status=resolved", vec!["Odd"]),
        ("severity=critical", vec!["Broken 100%"]),
        ("severity=&status=&q=", vec!["Odd", "Broken 100%", "Slow"]),
        ("q=MX3.", vec!["Odd"]),
        ("q=broken", vec!["Broken 100%"]),
        // What means something to a pattern is text here.
        ("q=100%25", vec!["Broken 100%"]),
        ("q=%25", vec!["Broken 100%"]),
        ("q=_", vec![]),
        ("q=mx&severity=warning&status=resolved", vec![]),
    ];
    for (query, wanted) in cases {
        let list = client.get(&format!("{incidents}?{query}")).await;
        let titles: Vec<&str> = list.body["items"].as_array().unwrap().iter().map(|incident| incident["title"].as_str().unwrap()).collect();
        assert_eq!(titles, wanted, "{query}");
    }
    let first = client.get(&format!("{incidents}?status=active&limit=1")).await;
    let rest = client.get(&format!("{incidents}?status=active&limit=1&cursor={}", first.body["next"].as_str().unwrap())).await;
    assert_eq!(
        (&first.body["items"][0]["title"], &rest.body["items"][0]["title"], &rest.body["next"]),
        (&json!("Broken 100%"), &json!("Slow"), &Value::Null)
    );
    for (query, wanted) in [("", (1, 1, 1)), ("status=open", (1, 1, 1)), ("severity=info", (0, 0, 1)), ("q=mx1", (0, 1, 0))] {
        let counts = client.get(&format!("{incidents}/counts?{query}")).await.body;
        assert_eq!(counts, json!({ "open": wanted.0, "acknowledged": wanted.1, "resolved": wanted.2 }), "{query}");
    }
    for (query, field) in [("status=broken", "status"), ("severity=high", "severity"), ("q=%00", "q")] {
        for path in [&incidents, &format!("{incidents}/counts")] {
            let answer = client.get(&format!("{path}?{query}")).await;
            assert_eq!((answer.status.as_u16(), answer.body["errors"][0]["field"].as_str()), (422, Some(field)), "{path}?{query}");
        }
    }
}
