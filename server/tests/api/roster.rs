//! The table of what is watched: out, in, all of it or nothing.

use serde_json::{Value, json};

use crate::support::server;

fn outcomes(body: &Value) -> Vec<&str> {
    body["lines"].as_array().unwrap().iter().map(|line| line["outcome"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_goes_out_comes_in_elsewhere_and_changes_nothing_where_it_came_from() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let table = "kind,target,ports,role,tags,interval_s,paused,settings,pool\n\
        domain,Example.com,,,web,7200,,,\n\
        server,mail.example.com,25 587,gateway,\"mx berlin\",600,true,,\n\
        address,203.0.113.7,,,,,,,News\n\
        tcp,mail.example.com:443,,,edge,120,no,\"{\"\"begins_with\"\":\"\"=x\"\"}\",\n";
    let tried = client.post(&at("import"), &json!({ "csv": table, "dry_run": true })).await;
    assert_eq!((tried.status.as_u16(), outcomes(&tried.body)), (200, vec!["added"; 4]), "{tried:?}");
    assert_eq!(client.get(&at("monitors")).await.body["items"], json!([]), "what is tried is not done");
    let done = client.post(&at("import"), &json!({ "csv": table })).await;
    assert_eq!(outcomes(&done.body), vec!["added"; 4]);
    let spread =
        "SELECT count(*)::text FROM schedule_units WHERE next_run_at < now() - interval '1 minute' OR next_run_at > now() + interval '5 minutes'";
    assert_eq!(server.text(spread).await, "0", "what is new is looked at within minutes");
    let host = &client.get(&at("servers")).await.body["items"][0];
    assert_eq!((&host["ports"], &host["role"], &host["tags"]), (&json!([25, 587]), &json!("gateway"), &json!(["berlin", "mx"])));

    let answer = client.get(&at("export")).await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    assert!(answer.headers["content-disposition"].to_str().unwrap().contains(&format!("waypost-{org}.csv")));
    let out = answer.body.as_str().unwrap().to_owned();
    let expected = "kind,target,ports,role,tags,interval_s,paused,settings,pool\r\n\
        domain,example.com,,,web,7200,false,,\r\n\
        server,mail.example.com,25 587,gateway,berlin mx,600,true,,\r\n\
        address,203.0.113.7,,,,21600,false,,news\r\n\
        tcp,mail.example.com:443,,,edge,120,false,\"{\"\"begins_with\"\":\"\"=x\"\"}\",\r\n";
    assert_eq!(out, expected);
    // Of a list that is narrowed, what has a monitor that matches.
    let kept = |query: &str| expected.split_inclusive("\r\n").filter(|line| line.starts_with("kind") || line.starts_with(query)).collect::<String>();
    for (query, wanted) in [
        ("state=paused", "server"),
        ("tag=web", "domain"),
        ("kind=blacklist", "address"),
        ("services=true", "tcp"),
        ("q=MAIL&services=true", "tcp"),
        ("q=nothing", "-"),
    ] {
        assert_eq!(client.get(&at(&format!("export?{query}"))).await.body.as_str().unwrap(), kept(wanted), "{query}");
    }
    assert_eq!(client.get(&at("export?kind=pigeon")).await.status, 422);
    assert_eq!(outcomes(&client.post(&at("import"), &json!({ "csv": out })).await.body), vec!["same"; 4]);
    let other = out.replace("7200", "3600").replace(",gateway,", ",relay,");
    assert_eq!(outcomes(&client.post(&at("import"), &json!({ "csv": other })).await.body), ["changed", "changed", "same", "same"]);
    // Ports are added and never taken, and a new one is as the others are.
    let fewer = client.post(&at("import"), &json!({ "csv": "kind,target,ports,interval_s,paused\nserver,mail.example.com,465,600,true\n" })).await;
    assert_eq!(outcomes(&fewer.body), ["changed"]);
    assert_eq!(client.get(&at("servers")).await.body["items"][0]["ports"], json!([25, 587, 465]));
    let units = "SELECT string_agg(u.paused || ':' || u.interval_s, ',' ORDER BY m.target) FROM schedule_units u JOIN monitors m ON m.id = u.monitor_id WHERE m.kind = 'smtp'";
    assert_eq!(server.text(units).await, "true:600,true:600,true:600");
    let tagged = client.post(&at("import"), &json!({ "csv": "kind,target,tags\nserver,mail.example.com,new\n" })).await;
    assert_eq!(outcomes(&tagged.body), ["changed"]);
    assert_eq!(client.get(&at("servers")).await.body["items"][0]["tags"], json!(["berlin", "mx", "new"]));
    // An empty cell leaves what is there, whatever would have to be said of a new one.
    let record = "kind,target,tags,settings\ndns,example.com MX,dns,";
    let without = client.post(&at("import"), &json!({ "csv": format!("{record}\n") })).await;
    assert!(without.body["errors"][0]["message"].as_str().unwrap().starts_with("Line 2, settings"), "{without:?}");
    let with = client.post(&at("import"), &json!({ "csv": format!("{record}\"{{\"\"values\"\":[\"\"10 mx.example.com\"\"]}}\"\n") })).await;
    assert_eq!(outcomes(&with.body), ["added"]);
    assert_eq!(outcomes(&client.post(&at("import"), &json!({ "csv": format!("{}\n", record.replace(",dns,", ",web,")) })).await.body), ["changed"]);
    let (mut bob, elsewhere) = server.member("bob").await;
    let came = bob.post(&format!("/api/v1/orgs/{elsewhere}/import"), &json!({ "csv": out })).await;
    assert_eq!(outcomes(&came.body), vec!["added"; 4]);
    assert_eq!(bob.get(&format!("/api/v1/orgs/{elsewhere}/export")).await.body.as_str().unwrap(), expected);
}

#[tokio::test]
async fn one_line_at_fault_keeps_all_of_it_out() {
    let server = server().await;
    let (mut client, org) = server.member("ann").await;
    let at = |rest: &str| format!("/api/v1/orgs/{org}/{rest}");
    let table = "kind,target\ndomain,example.com\nserver,127.0.0.1\n";
    let answer = client.post(&at("import"), &json!({ "csv": table })).await;
    assert_eq!((answer.status.as_u16(), answer.field()), (422, "csv"));
    assert!(answer.body["errors"][0]["message"].as_str().unwrap().starts_with("Line 3, target:"), "{answer:?}");
    // There is room for 25 monitors before an address is proven, and a server takes three.
    let table = (0..9).map(|number| format!("server,mx{number}.example.com")).collect::<Vec<_>>().join("\n");
    for dry_run in [true, false] {
        let answer = client.post(&at("import"), &json!({ "csv": format!("kind,target\n{table}"), "dry_run": dry_run })).await;
        assert_eq!((answer.status.as_u16(), &answer.body["type"]), (403, &json!("/problems/unconfirmed")));
    }
    assert_eq!(client.get(&at("monitors")).await.body["items"], json!([]));
}
