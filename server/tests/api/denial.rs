//! Every route, whoever asks. A route that the table does not list fails the test, and so does a table entry without a route.

use std::collections::BTreeSet;

use axum::body::Body;
use serde_json::json;

use crate::support::{Client, Server, server};

/// What a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Everybody.
    Open,
    /// Whoever is signed in.
    Person,
    /// Every member.
    Read,
    /// Editors and above.
    Write,
    /// Admins and owners.
    Manage,
}

impl Door {
    fn closed_to(self, role: &str) -> bool {
        match self {
            Self::Open | Self::Person | Self::Read => false,
            Self::Write => role == "viewer",
            Self::Manage => matches!(role, "viewer" | "editor"),
        }
    }
}

const TABLE: &[(&str, &str, Door)] = &[
    ("POST", "/api/v1/auth/signup", Door::Open),
    ("POST", "/api/v1/auth/login", Door::Open),
    ("POST", "/api/v1/auth/logout", Door::Open),
    ("POST", "/api/v1/auth/forgot", Door::Open),
    ("POST", "/api/v1/auth/reset", Door::Open),
    ("POST", "/api/v1/auth/verify", Door::Open),
    ("POST", "/api/v1/auth/verify/resend", Door::Person),
    ("GET", "/api/v1/me", Door::Person),
    ("POST", "/api/v1/orgs", Door::Person),
    ("POST", "/api/v1/invitations/look", Door::Open),
    ("POST", "/api/v1/invitations/accept", Door::Open),
    ("GET", "/api/v1/orgs/{org}/members", Door::Read),
    ("GET", "/api/v1/orgs/{org}/members/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/members/{id}", Door::Manage),
    // Whoever is one may leave; for others it is judged by their roles.
    ("DELETE", "/api/v1/orgs/{org}/members/{id}", Door::Read),
    ("GET", "/api/v1/orgs/{org}/invitations", Door::Read),
    ("POST", "/api/v1/orgs/{org}/invitations", Door::Manage),
    ("GET", "/api/v1/orgs/{org}/invitations/{id}", Door::Read),
    ("DELETE", "/api/v1/orgs/{org}/invitations/{id}", Door::Manage),
    ("POST", "/api/v1/orgs/{org}/invitations/{id}/resend", Door::Manage),
    ("GET", "/api/v1/lookup/{domain}", Door::Open),
    ("GET", "/api/v1/score", Door::Open),
    ("GET", "/api/v1/lookup/address/{address}", Door::Open),
    ("GET", "/api/v1/dev/mailbox", Door::Open),
    ("GET", "/api/v1/orgs/{org}/overview", Door::Read),
    ("GET", "/api/v1/orgs/{org}/events", Door::Read),
    ("GET", "/api/v1/orgs/{org}/domains", Door::Read),
    ("POST", "/api/v1/orgs/{org}/domains", Door::Write),
    ("GET", "/api/v1/orgs/{org}/domains/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/domains/{id}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/domains/{id}", Door::Write),
    ("POST", "/api/v1/orgs/{org}/domains/{id}/check", Door::Write),
    ("GET", "/api/v1/orgs/{org}/domains/{id}/history", Door::Read),
    ("GET", "/api/v1/orgs/{org}/domains/{id}/listings", Door::Read),
    ("GET", "/api/v1/orgs/{org}/domains/{id}/selectors", Door::Read),
    ("DELETE", "/api/v1/orgs/{org}/domains/{id}/selectors/{selector}", Door::Write),
    ("GET", "/api/v1/orgs/{org}/addresses/{id}/listings", Door::Read),
    ("GET", "/api/v1/orgs/{org}/servers", Door::Read),
    ("POST", "/api/v1/orgs/{org}/servers", Door::Write),
    ("GET", "/api/v1/orgs/{org}/servers/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/servers/{id}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/servers/{id}", Door::Write),
    ("GET", "/api/v1/orgs/{org}/servers/{id}/history", Door::Read),
    ("POST", "/api/v1/orgs/{org}/servers/{id}/check", Door::Write),
    ("GET", "/api/v1/orgs/{org}/servers/{id}/login", Door::Read),
    ("PUT", "/api/v1/orgs/{org}/servers/{id}/login", Door::Manage),
    ("DELETE", "/api/v1/orgs/{org}/servers/{id}/login", Door::Manage),
    ("POST", "/api/v1/orgs/{org}/servers/{id}/login/resume", Door::Manage),
    ("GET", "/api/v1/orgs/{org}/addresses", Door::Read),
    ("POST", "/api/v1/orgs/{org}/addresses", Door::Write),
    ("GET", "/api/v1/orgs/{org}/addresses/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/addresses/{id}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/addresses/{id}", Door::Write),
    ("POST", "/api/v1/orgs/{org}/addresses/{id}/check", Door::Write),
    ("GET", "/api/v1/orgs/{org}/lists", Door::Read),
    ("PUT", "/api/v1/orgs/{org}/lists", Door::Write),
    ("PUT", "/api/v1/orgs/{org}/lists/keys/{list}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/lists/keys/{list}", Door::Write),
    ("GET", "/api/v1/orgs/{org}/channels", Door::Read),
    ("POST", "/api/v1/orgs/{org}/channels", Door::Manage),
    ("GET", "/api/v1/orgs/{org}/channels/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/channels/{id}", Door::Manage),
    ("DELETE", "/api/v1/orgs/{org}/channels/{id}", Door::Manage),
    ("POST", "/api/v1/orgs/{org}/channels/{id}/test", Door::Manage),
    ("POST", "/api/v1/orgs/{org}/channels/{id}/key", Door::Manage),
    ("GET", "/api/v1/orgs/{org}/channels/{id}/deliveries", Door::Read),
    ("POST", "/api/v1/slack/interactions", Door::Open),
    ("POST", "/api/v1/slack/events", Door::Open),
    ("GET", "/api/v1/orgs/{org}/slack", Door::Read),
    ("DELETE", "/api/v1/orgs/{org}/slack", Door::Manage),
    ("POST", "/api/v1/orgs/{org}/slack/authorize", Door::Manage),
    ("POST", "/api/v1/orgs/{org}/slack/install", Door::Manage),
    ("GET", "/api/v1/orgs/{org}/slack/channels", Door::Manage),
    ("GET", "/api/v1/orgs/{org}/routes", Door::Read),
    ("POST", "/api/v1/orgs/{org}/routes", Door::Manage),
    ("GET", "/api/v1/orgs/{org}/routes/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/routes/{id}", Door::Manage),
    ("DELETE", "/api/v1/orgs/{org}/routes/{id}", Door::Manage),
    ("PUT", "/api/v1/orgs/{org}/routes/order", Door::Manage),
    ("GET", "/api/v1/orgs/{org}/routes/preview", Door::Read),
    ("GET", "/api/v1/orgs/{org}/maintenance", Door::Read),
    ("POST", "/api/v1/orgs/{org}/maintenance", Door::Write),
    ("GET", "/api/v1/orgs/{org}/maintenance/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/maintenance/{id}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/maintenance/{id}", Door::Write),
    ("POST", "/api/v1/orgs/{org}/maintenance/{id}/end", Door::Write),
    ("GET", "/api/v1/orgs/{org}/rules", Door::Read),
    ("POST", "/api/v1/orgs/{org}/rules", Door::Write),
    ("POST", "/api/v1/orgs/{org}/rules/try", Door::Write),
    ("GET", "/api/v1/orgs/{org}/rules/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/rules/{id}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/rules/{id}", Door::Write),
    ("GET", "/api/v1/orgs/{org}/rules/{id}/values", Door::Read),
    ("GET", "/api/v1/orgs/{org}/tags", Door::Read),
    ("GET", "/api/v1/orgs/{org}/settings", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/settings", Door::Manage),
    ("POST", "/api/v1/orgs/{org}/messages", Door::Write),
    ("GET", "/api/v1/orgs/{org}/monitors", Door::Read),
    ("POST", "/api/v1/orgs/{org}/monitors", Door::Write),
    ("PATCH", "/api/v1/orgs/{org}/monitors", Door::Write),
    ("GET", "/api/v1/orgs/{org}/monitors/counts", Door::Read),
    ("GET", "/api/v1/orgs/{org}/export", Door::Read),
    ("POST", "/api/v1/orgs/{org}/import", Door::Write),
    ("GET", "/api/v1/orgs/{org}/monitors/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/monitors/{id}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/monitors/{id}", Door::Write),
    ("POST", "/api/v1/orgs/{org}/monitors/{id}/check", Door::Write),
    ("GET", "/api/v1/orgs/{org}/monitors/{id}/results", Door::Read),
    ("GET", "/api/v1/orgs/{org}/monitors/{id}/results/{result}", Door::Read),
    ("GET", "/api/v1/orgs/{org}/monitors/{id}/rollups", Door::Read),
    ("GET", "/api/v1/orgs/{org}/monitors/{id}/timings", Door::Read),
    ("GET", "/api/v1/orgs/{org}/monitors/{id}/outcome", Door::Read),
    ("GET", "/api/v1/orgs/{org}/incidents", Door::Read),
    ("POST", "/api/v1/orgs/{org}/incidents", Door::Write),
    ("GET", "/api/v1/orgs/{org}/incidents/counts", Door::Read),
    ("GET", "/api/v1/orgs/{org}/incidents/{id}", Door::Read),
    ("GET", "/api/v1/orgs/{org}/incidents/{id}/related", Door::Read),
    ("GET", "/api/v1/orgs/{org}/pools", Door::Read),
    ("POST", "/api/v1/orgs/{org}/pools", Door::Write),
    ("GET", "/api/v1/orgs/{org}/pools/{id}", Door::Read),
    ("PATCH", "/api/v1/orgs/{org}/pools/{id}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/pools/{id}", Door::Write),
    ("GET", "/api/v1/orgs/{org}/changes", Door::Read),
    ("POST", "/api/v1/orgs/{org}/changes", Door::Write),
    ("GET", "/api/v1/orgs/{org}/changes/{id}", Door::Read),
    ("DELETE", "/api/v1/orgs/{org}/changes/{id}", Door::Write),
    ("GET", "/api/v1/orgs/{org}/regions", Door::Read),
    ("GET", "/api/v1/orgs/{org}/runbooks", Door::Read),
    ("GET", "/api/v1/orgs/{org}/runbooks/{topic}", Door::Read),
    ("PUT", "/api/v1/orgs/{org}/runbooks/{topic}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/runbooks/{topic}", Door::Write),
    ("PATCH", "/api/v1/orgs/{org}/incidents/{id}", Door::Write),
    ("DELETE", "/api/v1/orgs/{org}/incidents/{id}", Door::Write),
];

/// One of each, to be named by the routes.
struct Ids {
    org: String,
    domain: String,
    server: String,
    address: String,
    monitor: String,
    incident: String,
    channel: String,
    route: String,
    window: String,
    rule: String,
    change: String,
    pool: String,
    member: String,
    invitation: String,
}

impl Ids {
    fn path(&self, org: &str, route: &str) -> String {
        let id = [
            ("/domains", &self.domain),
            ("/servers", &self.server),
            ("/addresses", &self.address),
            ("/monitors", &self.monitor),
            ("/incidents", &self.incident),
            ("/channels", &self.channel),
            ("/routes", &self.route),
            ("/maintenance", &self.window),
            ("/rules", &self.rule),
            ("/changes", &self.change),
            ("/pools", &self.pool),
            ("/members", &self.member),
            ("/invitations", &self.invitation),
        ]
        .into_iter()
        .find(|(part, _)| route.contains(part))
        .map_or("", |(_, id)| id);
        route
            .replace("{org}", org)
            .replace("{id}", id)
            .replace("{domain}", "example.com")
            .replace("{list}", "spamhaus-zen")
            .replace("{selector}", "s1")
            .replace("{topic}", "spf-missing")
            .replace("{result}", "res_00000000000000000000000000000000")
    }
}

async fn fill(client: &mut Client<'_>, org: &str) -> Ids {
    let at = |resource: &str| format!("/api/v1/orgs/{org}/{resource}");
    let domain = client.post(&at("domains"), &json!({ "name": "example.com" })).await.id().to_owned();
    let server = client.post(&at("servers"), &json!({ "host": "mail.example.com" })).await;
    let monitor = server.body["monitors"][0]["id"].as_str().unwrap().to_owned();
    let login = json!({ "user": "probe", "password": "x", "ports": [25] });
    assert_eq!(client.json("PUT", &at(&format!("servers/{}/login", server.id())), &[], &login).await.status, 200);
    let address = client.post(&at("addresses"), &json!({ "cidr": "203.0.113.7" })).await.id().to_owned();
    let incident = client.post(&at("incidents"), &json!({ "title": "Slow", "severity": "warning", "monitor_id": monitor })).await;
    let channel = json!({ "name": "Tools", "kind": "webhook", "url": "https://127.0.0.1/hook" });
    let channel = client.post(&at("channels"), &channel).await.id().to_owned();
    let route = client.post(&at("routes"), &json!({ "name": "All", "tells": { "members": true } })).await.id().to_owned();
    let plan = json!({ "kind": "monthly", "day": 1, "at": "02:00", "minutes": 60 });
    let window = json!({ "name": "Patch night", "covers": { "everything": true }, "plan": plan });
    let window = client.post(&at("maintenance"), &window).await.id().to_owned();
    let rule = json!({ "name": "Score", "series": "score", "threshold": 80, "severity": "warning" });
    let rule = client.post(&at("rules"), &rule).await.id().to_owned();
    let pool = client.post(&at("pools"), &json!({ "name": "newsletter" })).await.id().to_owned();
    let change = client.post(&at("changes"), &json!({ "kind": "dns", "text": "SPF" })).await.id().to_owned();
    let member = client.get("/api/v1/me").await.body["user"]["id"].as_str().unwrap().to_owned();
    let invitation = client.post(&at("invitations"), &json!({ "email": "new@example.com", "role": "viewer" })).await.id().to_owned();
    Ids {
        member,
        invitation,
        org: org.to_owned(),
        domain,
        server: server.id().to_owned(),
        address,
        monitor,
        incident: incident.id().to_owned(),
        channel,
        route,
        pool,
        change,
        window,
        rule,
    }
}

fn routes_of(server: &Server) -> BTreeSet<(String, String)> {
    let document = serde_json::to_value(&server.document).unwrap();
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))).collect()
}

#[tokio::test]
async fn every_route_is_in_the_table() {
    let server = server().await;
    let table: BTreeSet<(String, String)> = TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(routes_of(&server), table);
}

/// Served beside the API's resources, to everybody, with nothing of anybody's in it.
const BESIDE: &[&str] =
    &["/api/openapi.json", "/api/v1/openapi.json", "/api/docs", "/api/v1/docs", "/healthz", "/readyz", "/lookup/{name}/preview.png"];

#[tokio::test]
async fn no_route_is_served_that_the_document_does_not_know() {
    let server = server().await;
    // axum lists its routes nowhere but here. When it ceases to, nothing is found and this fails.
    let inside = format!("{:?}", server.router);
    // What follows are the answers for all that is no route.
    let (routes, _) = inside.split_once("fallback_router").unwrap();
    let found: BTreeSet<&str> = routes.split('"').filter(|text| text.starts_with('/') && !text.contains("__private__")).collect();
    let known: BTreeSet<&str> = TABLE.iter().map(|(_, path, _)| *path).chain(BESIDE.iter().copied()).collect();
    assert_eq!(found, known);
}

#[tokio::test]
async fn every_route_denies_whom_it_should() {
    let server = server().await;
    let (mut owner, org) = server.member("owner").await;
    server.sql("UPDATE users SET email_verified_at = now()".to_owned()).await;
    let ids = fill(&mut owner, &org).await;
    let (mut stranger, foreign_org) = server.member("stranger").await;
    let mut nobody = server.client();
    let garbage = || Body::from("{ this is no JSON");
    for (method, route, door) in TABLE.iter().copied().filter(|(.., door)| *door != Door::Open) {
        let path = ids.path(&ids.org, route);
        // Permission is judged before the body, so a body that is no JSON changes nothing.
        let json = [("content-type", "application/json")];
        let answer = nobody.send(method, &path, &json, garbage()).await;
        assert_eq!(answer.status, 401, "nobody: {method} {route}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        if door == Door::Person {
            continue;
        }
        let answer = stranger.send(method, &path, &json, garbage()).await;
        assert_eq!(answer.status, 404, "stranger: {method} {route}");
        if route.contains("{id}") {
            // Somebody else's id below one's own organisation.
            let answer = stranger.send(method, &ids.path(&foreign_org, route), &json, garbage()).await;
            assert_eq!(answer.status, 404, "foreign id: {method} {route}");
        }
    }
    let me = owner.get("/api/v1/me").await;
    let user = me.body["user"]["id"].as_str().unwrap().trim_start_matches("usr_").to_owned();
    for role in ["viewer", "editor", "admin", "owner"] {
        server.sql(format!("UPDATE memberships SET role = '{role}' WHERE user_id = '{user}'")).await;
        for (method, route, door) in TABLE.iter().copied().filter(|(.., door)| matches!(door, Door::Read | Door::Write | Door::Manage)) {
            // A stream has no end to wait for; the live tests read it.
            if route.ends_with("/events") {
                continue;
            }
            let answer = owner.send(method, &ids.path(&ids.org, route), &[("content-type", "text/plain"), ("if-match", "\"99\"")], garbage()).await;
            let status = answer.status.as_u16();
            if door.closed_to(role) {
                assert_eq!(status, 403, "{role}: {method} {route}");
            } else {
                assert!(!matches!(status, 401 | 403 | 405) && status < 500, "{role}: {method} {route} answered {status} {:?}", answer.body);
            }
        }
    }
}
