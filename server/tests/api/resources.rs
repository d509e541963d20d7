//! Domains, servers, addresses, monitors and incidents as ordinary resources.

use serde_json::{Value, json};

use crate::support::server;

#[tokio::test]
async fn adding_something_makes_its_monitors_due_at_once() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let domain = client.post(&at("domains"), &json!({ "name": "Bücher.Example." })).await;
    assert_eq!(domain.status, 201, "{domain:?}");
    assert_eq!((domain.body["name"].as_str(), domain.body["display"].as_str()), (Some("xn--bcher-kva.example"), Some("bücher.example")));
    assert_eq!(domain.body["monitors"][0]["kind"], "audit");
    assert_eq!(domain.headers["location"].to_str().unwrap(), at(&format!("domains/{}", domain.id())));
    assert_eq!(domain.headers["etag"], "\"1\"");
    let host = client.post(&at("servers"), &json!({ "host": "mail.example.com" })).await;
    let targets: Vec<&str> = host.body["monitors"].as_array().unwrap().iter().map(|monitor| monitor["target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["mail.example.com:25", "mail.example.com:465", "mail.example.com:587"]);
    let net = client.post(&at("addresses"), &json!({ "cidr": "203.0.113.9/24" })).await;
    assert_eq!((net.status.as_u16(), net.body["cidr"].as_str()), (201, Some("203.0.113.0/24")));
    assert_eq!(server.text("SELECT count(*)::text FROM schedule_units WHERE due_at <= now()").await, "5");

    let one = json!({ "kind": "smtp", "target": "Mail.Example.com:2525", "interval_s": 60 });
    let monitor = client.post(&at("monitors"), &one).await;
    assert_eq!((monitor.status.as_u16(), monitor.body["server_id"].as_str()), (201, Some(host.id())));
    let overview = client.get(&at("overview")).await;
    assert_eq!(overview.body["counts"]["monitors"], 6, "{overview:?}");
    assert_eq!(overview.body["ports"][0]["total"], 1);
}

#[tokio::test]
async fn what_is_there_already_is_a_conflict_that_names_it() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let table = [
        ("domains", json!({ "name": "example.com" }), json!({ "name": "EXAMPLE.com" }), "name"),
        ("servers", json!({ "host": "mx.example.com" }), json!({ "host": "mx.example.com", "ports": [25] }), "host"),
        ("addresses", json!({ "cidr": "203.0.113.7" }), json!({ "cidr": "203.0.113.7/32" }), "cidr"),
        ("monitors", json!({ "kind": "audit", "target": "other.example" }), json!({ "kind": "audit", "target": "other.example" }), "target"),
    ];
    for (resource, first, second, field) in table {
        let path = format!("/api/v1/orgs/{org}/{resource}");
        let made = client.post(&path, &first).await;
        assert_eq!(made.status, 201, "{resource}: {made:?}");
        let again = client.post(&path, &second).await;
        assert_eq!((again.status.as_u16(), again.field(), again.body["existing"].as_str()), (409, field, Some(made.id())), "{resource}");
    }
}

#[tokio::test]
async fn what_can_not_be_watched_is_refused_by_its_field() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let table = [
        ("domains", json!({ "name": "not a domain" }), "name"),
        ("domains", json!({ "name": 5 }), "name"),
        ("domains", json!({}), "name"),
        ("domains", json!({ "name": "example.com", "colour": "red" }), "colour"),
        ("servers", json!({ "host": "127.0.0.1" }), "host"),
        ("servers", json!({ "host": "::ffff:10.1.2.3" }), "host"),
        ("servers", json!({ "host": "mx.example.com", "ports": [22] }), "ports"),
        ("servers", json!({ "host": "mx.example.com", "ports": ["25"] }), "ports[0]"),
        ("servers", json!({ "host": "mx.example.com", "least_size_mb": 0 }), "least_size_mb"),
        ("servers", json!({ "host": "mx.example.com", "least_size_mb": 10_001 }), "least_size_mb"),
        ("addresses", json!({ "cidr": "10.0.0.1" }), "cidr"),
        ("addresses", json!({ "cidr": "203.0.112.0/20" }), "cidr"),
        ("monitors", json!({ "kind": "smtp", "target": "mx.example.com:25", "interval_s": 5 }), "interval_s"),
        ("monitors", json!({ "kind": "audit", "target": "example.com", "regions": ["mars"] }), "regions"),
        ("monitors", json!({ "kind": "other", "target": "example.com" }), "kind"),
        ("monitors", json!({ "kind": "tcp", "target": "mx.example.com:22" }), "target"),
        ("monitors", json!({ "kind": "tcp", "target": "127.0.0.1:443" }), "target"),
        ("monitors", json!({ "kind": "https", "target": "http://example.com/" }), "target"),
        ("monitors", json!({ "kind": "https", "target": "https://10.0.0.1/" }), "target"),
        ("monitors", json!({ "kind": "https", "target": "https://example.com/", "settings": { "statuses": ["999"] } }), "settings.statuses"),
        ("monitors", json!({ "kind": "dns", "target": "example.com MX" }), "settings.values"),
        ("monitors", json!({ "kind": "dns", "target": "example.com MX", "settings": { "values": ["mx"] } }), "settings.values"),
        ("monitors", json!({ "kind": "imap", "target": "mx.example.com:993", "settings": { "contains": "x" } }), "settings.contains"),
        ("monitors", json!({ "kind": "smtp", "target": "mx.example.com:25", "settings": { "contains": "x" } }), "settings.contains"),
    ];
    for (resource, body, field) in table {
        let answer = client.post(&format!("/api/v1/orgs/{org}/{resource}"), &body).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{body} {:?}", answer.body);
    }
    let allowed = client.post(&format!("/api/v1/orgs/{org}/addresses"), &json!({ "cidr": "127.40.0.9" })).await;
    assert_eq!(allowed.status, 201, "the operator opened that range");
}

#[tokio::test]
async fn services_stand_by_themselves_with_settings_and_tags() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    client.post(&at("servers"), &json!({ "host": "mail.example.com" })).await;
    let mut made = Vec::new();
    for (kind, target, settings) in [
        ("tcp", "mail.example.com:4190", json!({ "contains": "SIEVE" })),
        ("https", "https://mail.example.com/", json!({ "statuses": ["200-299"] })),
        ("dns", "example.com MX", json!({ "comparison": "contains", "values": ["10 mail.example.com"] })),
        ("imap", "mail.example.com:993", json!({})),
        ("pop", "mail.example.com:995", json!({})),
    ] {
        let service = client.post(&at("monitors"), &json!({ "kind": kind, "target": target, "settings": settings })).await;
        assert_eq!((service.status.as_u16(), &service.body["settings"]), (201, &settings), "{service:?}");
        assert_eq!((&service.body["server_id"], service.body["interval_s"].as_u64()), (&Value::Null, Some(300)));
        made.push(service.id().to_owned());
    }
    assert_eq!(client.get(&at("overview")).await.body["counts"]["services"], 5);
    let ids =
        |body: &Value| -> Vec<String> { body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect() };
    assert_eq!(ids(&client.get(&at("monitors?services=true")).await.body), made);
    let path = at(&format!("monitors/{}", made[2]));
    server.sql("UPDATE schedule_units SET due_at = now() + interval '1 hour', next_run_at = now() + interval '1 hour'".to_owned()).await;
    let changed = client.json("PATCH", &path, &[], &json!({ "settings": { "comparison": "exists" }, "tags": ["Web"] })).await;
    assert_eq!((&changed.body["settings"], &changed.body["tags"]), (&json!({ "comparison": "exists" }), &json!(["web"])), "{changed:?}");
    assert_eq!(server.text("SELECT count(*)::text FROM schedule_units WHERE requested").await, "1", "another question is asked at once");
    assert_eq!(ids(&client.get(&at("monitors?services=true&tag=web")).await.body), [made[2].clone()]);
    assert_eq!(client.get(&at("tags")).await.body["items"][0]["services"], 1);
    let refused = client.json("PATCH", &path, &[], &json!({ "settings": { "comparison": "equals" } })).await;
    assert_eq!((refused.status.as_u16(), refused.field()), (422, "settings.values"));
    let (mut other, foreign) = server.member("bob").await;
    assert_eq!(other.get(&format!("/api/v1/orgs/{foreign}/monitors?services=true")).await.body["items"], json!([]));
    assert_eq!(other.get(&format!("/api/v1/orgs/{foreign}/monitors/{}", made[0])).await.status, 404);
}

#[tokio::test]
async fn two_editors_do_not_overwrite_each_other() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let made = client.post(&format!("/api/v1/orgs/{org}/servers"), &json!({ "host": "mx.example.com" })).await;
    let path = format!("/api/v1/orgs/{org}/servers/{}", made.id());
    let first = client.json("PATCH", &path, &[("if-match", "\"1\"")], &json!({ "ports": [25, 2525], "interval_s": 60 })).await;
    assert_eq!((first.status.as_u16(), first.headers["etag"].to_str().unwrap()), (200, "\"2\""), "{first:?}");
    let targets: Vec<&Value> = first.body["monitors"].as_array().unwrap().iter().map(|monitor| &monitor["target"]).collect();
    assert_eq!(targets, ["mx.example.com:25", "mx.example.com:2525"]);
    assert_eq!(first.body["monitors"][0]["interval_s"], 60);
    let second = client.json("PATCH", &path, &[("if-match", "\"1\"")], &json!({ "paused": true })).await;
    assert_eq!(second.status, 412);
    assert_eq!(client.send("DELETE", &path, &[("if-match", "\"1\"")], axum::body::Body::empty()).await.status, 412);
    assert_eq!(client.json("PATCH", &path, &[], &json!({ "paused": true })).await.body["monitors"][1]["paused"], true);
    assert_eq!(client.send("DELETE", &path, &[("if-match", "\"3\"")], axum::body::Body::empty()).await.status, 204);
    assert_eq!(client.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_server_has_a_smallest_size_limit_or_none() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let made = client.post(&format!("/api/v1/orgs/{org}/servers"), &json!({ "host": "mail.example.com", "least_size_mb": 25 })).await;
    assert_eq!(made.body["least_size_mb"], 25);
    let path = format!("/api/v1/orgs/{org}/servers/{}", made.id());
    for (patch, least) in
        [(json!({ "least_size_mb": 50 }), json!(50)), (json!({ "tags": ["mx"] }), json!(50)), (json!({ "least_size_mb": null }), json!(null))]
    {
        assert_eq!(client.json("PATCH", &path, &[], &patch).await.body["least_size_mb"], least, "{patch}");
    }
    let answer = client.json("PATCH", &path, &[], &json!({ "least_size_mb": 0 })).await;
    assert_eq!((answer.status.as_u16(), answer.field()), (422, "least_size_mb"));
}

#[tokio::test]
async fn lists_go_page_by_page() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    for n in 0..5 {
        client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": format!("d{n}.example") })).await;
        client.post(&format!("/api/v1/orgs/{org}/addresses"), &json!({ "cidr": format!("203.0.113.{n}") })).await;
    }
    for (resource, key, expected) in
        [("domains", "name", 5), ("addresses", "cidr", 5), ("monitors", "target", 10), ("servers", "host", 0), ("incidents", "id", 0)]
    {
        let mut seen = std::collections::BTreeSet::new();
        let mut cursor = String::new();
        for _ in 0..10 {
            let page = client.get(&format!("/api/v1/orgs/{org}/{resource}?limit=2{cursor}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            for item in page.body["items"].as_array().unwrap() {
                assert!(seen.insert(item[key].as_str().unwrap().to_owned()), "twice: {item}");
            }
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), expected, "{resource}");
        for bad in ["limit=0", "limit=201", "cursor=%21%21"] {
            assert_eq!(client.get(&format!("/api/v1/orgs/{org}/{resource}?{bad}")).await.status, 422, "{resource} {bad}");
        }
    }
}

#[tokio::test]
async fn an_incident_is_taken_commented_and_ended() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let made = client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": "example.com" })).await;
    let monitor = made.body["monitors"][0]["id"].as_str().unwrap();
    let new = json!({ "title": "Mail is late", "severity": "critical", "monitor_id": monitor });
    let incident = client.post(&format!("/api/v1/orgs/{org}/incidents"), &new).await;
    assert_eq!((incident.status.as_u16(), incident.body["status"].as_str()), (201, Some("open")), "{incident:?}");
    assert_eq!(client.post(&format!("/api/v1/orgs/{org}/incidents"), &new).await.body["existing"].as_str(), Some(incident.id()));
    let path = format!("/api/v1/orgs/{org}/incidents/{}", incident.id());
    // What the judge found of one condition is an incident of its own, and keeps nobody from saying something about the whole.
    server.sql(format!("UPDATE incidents SET condition = 'spf', evidence = '{{}}' WHERE id = '{}'", incident.id().trim_start_matches("inc_"))).await;
    let beside = client.post(&format!("/api/v1/orgs/{org}/incidents"), &new).await;
    assert_eq!(beside.status, 201, "{:?}", beside.body);
    client.send("DELETE", &format!("/api/v1/orgs/{org}/incidents/{}", beside.id()), &[], axum::body::Body::empty()).await;
    server.sql(format!("UPDATE incidents SET condition = '', evidence = NULL WHERE id = '{}'", incident.id().trim_start_matches("inc_"))).await;
    let taken = client.json("PATCH", &path, &[("if-match", "\"1\"")], &json!({ "status": "acknowledged", "comment": "On it." })).await;
    assert_eq!((taken.status.as_u16(), taken.body["status"].as_str()), (200, Some("acknowledged")), "{taken:?}");
    assert_eq!(client.get(&format!("/api/v1/orgs/{org}/incidents?status=active")).await.body["items"].as_array().unwrap().len(), 1);
    // Removing what it is about ends it.
    assert_eq!(client.delete(&format!("/api/v1/orgs/{org}/domains/{}", made.id())).await.status, 204);
    let over = client.get(&path).await;
    assert_eq!((over.body["status"].as_str(), &over.body["monitor_id"]), (Some("resolved"), &Value::Null));
    assert_eq!(client.json("PATCH", &path, &[], &json!({ "status": "open" })).await.status, 409);
    assert_eq!(client.delete(&path).await.status, 204);
}

#[tokio::test]
async fn an_incident_is_muted_and_its_root_cause_named_even_after_it_is_over() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let made = client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": "example.com" })).await;
    let new = json!({ "title": "Mail is late", "severity": "critical", "monitor_id": made.body["monitors"][0]["id"] });
    let incident = client.post(&format!("/api/v1/orgs/{org}/incidents"), &new).await;
    let path = format!("/api/v1/orgs/{org}/incidents/{}", incident.id());
    for (mute, until) in [("8h", true), ("until_resolved", false)] {
        let muted = client.json("PATCH", &path, &[], &json!({ "mute": mute })).await;
        assert_eq!(muted.status, 200, "{muted:?}");
        assert!(muted.body["mute"]["by"].as_str().unwrap().starts_with("ann"), "{muted:?}");
        assert_eq!(muted.body["mute"].get("until").is_some(), until, "{mute}");
    }
    assert_eq!(client.json("PATCH", &path, &[], &json!({ "mute": "off" })).await.body["mute"], Value::Null);
    assert_eq!(client.json("PATCH", &path, &[], &json!({ "mute": "9h" })).await.status, 422);
    let long = client.json("PATCH", &path, &[], &json!({ "root_cause": "ä".repeat(4001) })).await;
    assert_eq!((long.status.as_u16(), long.body["errors"][0]["field"].as_str()), (422, Some("root_cause")));
    assert_eq!(client.json("PATCH", &path, &[], &json!({ "status": "resolved" })).await.status, 200);
    assert_eq!(client.json("PATCH", &path, &[], &json!({ "mute": "1h" })).await.status, 409);
    // Twice the same is told once.
    for _ in 0..2 {
        let named = client.json("PATCH", &path, &[], &json!({ "root_cause": "**Disk** full" })).await;
        assert_eq!((named.status.as_u16(), named.body["root_cause"].as_str()), (200, Some("**Disk** full")), "{named:?}");
    }
    let taken_back = client.json("PATCH", &path, &[], &json!({ "root_cause": " " })).await;
    assert_eq!(taken_back.body["root_cause"], Value::Null);
    let story: Vec<&str> = taken_back.body["timeline"].as_array().unwrap().iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(story, ["opened", "comment", "muted", "muted", "unmuted", "resolved", "root_cause", "root_cause"]);
}

#[tokio::test]
async fn checks_are_asked_for_and_results_read() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let made = client.post(&format!("/api/v1/orgs/{org}/domains"), &json!({ "name": "example.com" })).await;
    let monitor = made.body["monitors"][0]["id"].as_str().unwrap().to_owned();
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    assert_eq!(client.post(&at(&format!("monitors/{monitor}/check")), &json!({})).await.status, 202);
    assert_eq!(client.post(&at(&format!("domains/{}/check", made.id())), &json!({})).await.status, 202);
    assert_eq!(server.text("SELECT bool_and(requested)::text FROM schedule_units").await, "true");
    let results = client.get(&at(&format!("monitors/{monitor}/results?outcome=true"))).await;
    assert_eq!(results.body, json!({ "items": [], "next": null }));
    assert_eq!(client.get(&at(&format!("monitors/{monitor}/outcome"))).await.body, Value::Null);
    let uuid = monitor.trim_start_matches("mon_");
    server
        .sql(format!(
            "INSERT INTO check_results (org_id, id, monitor_id, region, claim, at, verdict, summary, latency_ms)
             SELECT org_id, gen_random_uuid(), id, 'local', n, now() - make_interval(secs => n), CASE n % 2 WHEN 0 THEN 'up' ELSE 'down' END, 'x', 10
             FROM monitors, generate_series(1, 5) n WHERE id = '{uuid}'"
        ))
        .await;
    let page = client.get(&at(&format!("monitors/{monitor}/results?limit=3"))).await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 3);
    let next = page.body["next"].as_str().unwrap();
    let rest = client.get(&at(&format!("monitors/{monitor}/results?limit=3&cursor={next}"))).await;
    assert_eq!((rest.body["items"].as_array().unwrap().len(), &rest.body["next"]), (2, &Value::Null));
    let id = rest.body["items"][0]["id"].as_str().unwrap();
    assert_eq!(client.get(&at(&format!("monitors/{monitor}/results/{id}"))).await.body["verdict"], rest.body["items"][0]["verdict"]);
    let bars = client.get(&at(&format!("monitors/{monitor}/rollups?by=hour"))).await;
    let checks: u64 = bars.body["items"].as_array().unwrap().iter().map(|bar| bar["checks"].as_u64().unwrap()).sum();
    assert_eq!(checks, 5, "{bars:?}");
}
