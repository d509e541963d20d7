//! All monitors as one list: searched, sorted and counted, page by page, and changed many at a time.

use serde_json::{Value, json};

use crate::support::{Client, Server, server};

/// Six monitors: three ports, an audit, a network, a service; two down, one degraded, one paused.
async fn filled(server: &Server) -> (Client<'_>, String) {
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let mail = client.post(&at("servers"), &json!({ "host": "mail.example.com" })).await.id().to_owned();
    client.json("PATCH", &at(&format!("servers/{mail}")), &[], &json!({ "tags": ["berlin"] })).await;
    client.post(&at("domains"), &json!({ "name": "example.com" })).await;
    client.post(&at("addresses"), &json!({ "cidr": "203.0.113.0/28" })).await;
    let service = client.post(&at("monitors"), &json!({ "kind": "tcp", "target": "mail.example.com:443" })).await;
    assert_eq!(service.status, 201, "{service:?}");
    for (target, state, latency) in [
        ("mail.example.com:25", "down", "120"),
        ("mail.example.com:465", "up", "900.5"),
        ("mail.example.com:587", "up", "1000"),
        ("example.com", "degraded", "NULL"),
        ("203.0.113.0/28", "down", "NULL"),
    ] {
        server.sql(format!("UPDATE monitors SET state = '{state}', latency_ms = {latency}, last_checked_at = now() WHERE target = '{target}'")).await;
    }
    server.sql("UPDATE monitors SET paused = true WHERE target = 'mail.example.com:587'".to_owned()).await;
    (client, org)
}

fn targets(body: &Value) -> Vec<&str> {
    body["items"].as_array().unwrap().iter().map(|item| item["target"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_is_searched_and_sorted_and_goes_on_where_it_ended() {
    let server = server().await;
    let (mut client, org) = filled(&server).await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let worst = ["203.0.113.0/28", "mail.example.com:25", "example.com", "mail.example.com:443", "mail.example.com:465", "mail.example.com:587"];
    for (query, wanted) in [
        ("sort=worst", worst.to_vec()),
        ("sort=target&kind=smtp", vec!["mail.example.com:25", "mail.example.com:465", "mail.example.com:587"]),
        ("sort=slowest&kind=smtp", vec!["mail.example.com:587", "mail.example.com:465", "mail.example.com:25"]),
        // What took no time comes last, and not first.
        ("sort=slowest&q=mail.", vec!["mail.example.com:587", "mail.example.com:465", "mail.example.com:25", "mail.example.com:443"]),
        ("sort=checked&q=:4", vec!["mail.example.com:443", "mail.example.com:465"]),
        ("q=%20EXAMPLE.com:&kind=&state=down", vec!["mail.example.com:25"]),
        ("state=paused", vec!["mail.example.com:587"]),
        ("state=pending", vec!["mail.example.com:443"]),
        // Of what they belong to, and not of what is called alike.
        ("tag=Berlin&sort=target", vec!["mail.example.com:25", "mail.example.com:465", "mail.example.com:587"]),
        ("services=true", vec!["mail.example.com:443"]),
        // A sign of a pattern is a letter like others.
        ("q=%25", vec![]),
        ("q=_", vec![]),
    ] {
        assert_eq!(targets(&client.get(&at(&format!("monitors?{query}"))).await.body), wanted, "{query}");
    }
    for sort in ["worst", "target", "slowest", "checked", "added"] {
        let all = client.get(&at(&format!("monitors?sort={sort}"))).await.body;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for _ in 0..4 {
            let page = client.get(&at(&format!("monitors?sort={sort}&limit=2&cursor={cursor}"))).await.body;
            seen.extend(targets(&page).into_iter().map(str::to_owned));
            cursor = page["next"].as_str().unwrap_or_default().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!(seen, targets(&all), "{sort}");
        assert_eq!(seen.len(), 6, "{sort}");
    }
    for (query, field) in [
        ("q=%00", "q"),
        ("tag=a%00", "tag"),
        ("cursor=WyJcdTAwMDAiLCJtb25fMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDEiXQ", "cursor"),
        ("sort=best", "sort"),
        ("kind=pigeon", "kind"),
        ("state=fine", "state"),
        ("cursor=x", "cursor"),
    ] {
        let answer = client.get(&at(&format!("monitors?{query}"))).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{query}");
    }
    let counts = |down, degraded, pending, up, paused| json!({ "down": down, "degraded": degraded, "unknown": 0, "pending": pending, "up": up, "paused": paused });
    assert_eq!(client.get(&at("monitors/counts")).await.body, counts(2, 1, 1, 1, 1));
    assert_eq!(client.get(&at("monitors/counts?tag=berlin&state=down")).await.body, counts(1, 0, 0, 1, 1));
    let (mut other, foreign) = server.member("bob").await;
    assert_eq!(other.get(&format!("/api/v1/orgs/{foreign}/monitors/counts")).await.body, counts(0, 0, 0, 0, 0));
}

#[tokio::test]
async fn many_are_changed_at_once_or_none_is() {
    let server = server().await;
    let (mut client, org) = filled(&server).await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let monitors = client.get(&at("monitors?sort=target")).await.body["items"].clone();
    let id = |target: &str| monitors.as_array().unwrap().iter().find(|item| item["target"] == target).unwrap()["id"].as_str().unwrap().to_owned();

    // An hour suits all kinds but not five minutes, which audits and block lists keep their own for.
    let five = client.json("PATCH", &at("monitors"), &[], &json!({ "of": { "filter": {} }, "expected": 6, "interval_s": 600 })).await;
    assert_eq!(five.body, json!({ "monitors": 6, "changed": 4, "tagged": 0, "interval_kept": 2, "full": 0 }));
    let units = "SELECT string_agg(DISTINCT interval_s::text, ',' ORDER BY interval_s::text) FROM schedule_units";
    assert_eq!(server.text(units).await, "21600,3600,600");

    // What was paused is due within its interval and not at once; what is paused has no unit that runs.
    let stop = json!({ "of": { "monitors": [id("mail.example.com:25"), id("example.com")] }, "paused": true });
    assert_eq!(client.json("PATCH", &at("monitors"), &[], &stop).await.body["changed"], 2);
    assert_eq!(server.text("SELECT count(*)::text FROM schedule_units WHERE paused").await, "3");
    assert_eq!(client.get(&at("monitors/counts")).await.body["paused"], 3);
    server.sql("UPDATE schedule_units SET next_run_at = now() - interval '1 day', due_at = now() - interval '1 day' WHERE paused".to_owned()).await;
    let resume = json!({ "of": { "filter": { "state": "paused" } }, "expected": 3, "paused": false });
    assert_eq!(client.json("PATCH", &at("monitors"), &[], &resume).await.body["changed"], 3);
    let late = "SELECT count(*)::text FROM schedule_units WHERE paused OR next_run_at < now() - interval '1 minute' OR next_run_at > now() + make_interval(secs => interval_s)";
    assert_eq!(server.text(late).await, "0");

    // Tags go to what the monitors belong to, once for each.
    let tag = json!({ "of": { "filter": { "q": "mail." } }, "add_tags": ["Edge", "mx"], "remove_tags": ["berlin"] });
    assert_eq!(
        client.json("PATCH", &at("monitors"), &[], &tag).await.body,
        json!({ "monitors": 4, "changed": 0, "tagged": 2, "interval_kept": 0, "full": 0 })
    );
    assert_eq!(client.get(&at("servers")).await.body["items"][0]["tags"], json!(["edge", "mx"]));
    assert_eq!(client.get(&at("monitors?tag=edge")).await.body["items"].as_array().unwrap().len(), 4);
    let many: Vec<String> = (0..19).map(|number| format!("t{number}")).collect();
    let full = client.json("PATCH", &at("monitors"), &[], &json!({ "of": { "filter": { "services": true } }, "add_tags": many })).await;
    assert_eq!((&full.body["tagged"], &full.body["full"]), (&json!(0), &json!(1)));

    // The filter has others by now.
    let stale = json!({ "of": { "filter": { "kind": "smtp" } }, "expected": 4, "paused": true });
    assert_eq!(client.json("PATCH", &at("monitors"), &[], &stale).await.status, 412);
    let (mut other, foreign) = server.member("bob").await;
    let theirs = json!({ "of": { "monitors": [id("example.com")] }, "paused": true });
    let answer = other.json("PATCH", &format!("/api/v1/orgs/{foreign}/monitors"), &[], &theirs).await;
    assert_eq!((answer.status.as_u16(), answer.field()), (422, "of"));
    for (body, field) in [
        (json!({ "of": { "monitors": [] }, "paused": true }), "of"),
        (json!({ "of": { "filter": {} } }), "of"),
        (json!({ "of": { "filter": {} }, "interval_s": 30 }), "interval_s"),
        (json!({ "of": { "filter": {} }, "interval_s": 90_000 }), "interval_s"),
        (json!({ "of": { "filter": {} }, "add_tags": ["a b"] }), "add_tags"),
        (json!({ "of": { "filter": {} }, "add_tags": ["a"], "remove_tags": ["A"] }), "remove_tags"),
        (json!({ "of": { "filter": { "q": "x".repeat(254) } }, "paused": true }), "q"),
    ] {
        let answer = client.json("PATCH", &at("monitors"), &[], &body).await;
        assert_eq!((answer.status.as_u16(), answer.field()), (422, field), "{body}");
    }
    assert_eq!(client.get(&at("monitors/counts")).await.body["paused"], 0, "nothing of what was refused was done");
}

#[tokio::test]
async fn what_is_up_says_what_is_open_of_it_all_the_same() {
    let server = server().await;
    let (mut client, org) = filled(&server).await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let listed = client.get(&at("monitors?q=:465")).await;
    let monitor = listed.body["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(listed.body["items"][0].get("incident").is_none(), "{listed:?}");
    let mut opened = Vec::new();
    for (title, severity) in [("The login is slow", "warning"), ("The login is refused", "critical")] {
        let new = json!({ "title": title, "severity": severity, "monitor_id": monitor });
        opened.push(client.post(&at("incidents"), &new).await.id().to_owned());
        // One of a kind is open at a time.
        server.sql("UPDATE incidents SET condition = title".to_owned()).await;
    }
    let one = client.get(&at("monitors?q=:465")).await.body["items"][0].clone();
    assert_eq!((&one["state"], &one["incident"]), (&json!("up"), &json!({ "id": opened[1], "severity": "critical", "count": 2 })));
    let end = json!({ "status": "resolved" });
    assert_eq!(client.json("PATCH", &at(&format!("incidents/{}", opened[1])), &[], &end).await.status, 200);
    let one = client.get(&at("monitors?q=:465")).await.body["items"][0].clone();
    assert_eq!(one["incident"], json!({ "id": opened[0], "severity": "warning", "count": 1 }));
    let others = client.get(&at("monitors?kind=smtp")).await;
    assert_eq!(others.body["items"].as_array().unwrap().iter().filter(|one| one.get("incident").is_some()).count(), 1);
}
