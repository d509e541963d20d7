//! What migrations make of what older versions left behind. One that only fills in what is missing can run once more here.
#![allow(missing_docs, clippy::unwrap_used)]

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;
use waypost_store::testing::TestDatabase;

const LOGINS_ACCEPTED_BEFORE: &str = include_str!("../../../migrations/0085_logins_accepted_before.sql");

#[tokio::test]
async fn a_login_whose_last_attempt_was_accepted_is_proven_and_no_other() {
    let db = TestDatabase::new().await;
    let mut owner = PgConnection::connect(&db.owner_url).await.unwrap();
    let org = Uuid::now_v7();
    let look = |at: &str, outcome: &str| format!(r#"{{"at": "{at}", "result": {{"outcome": "{outcome}"}}}}"#);
    let (early, late) = ("2026-11-01T08:00:00.123456Z", "2026-11-02T08:00:00Z");
    let cases = [
        ("accepted", format!(r#"{{"587": {}, "465": {}}}"#, look(late, "refused"), look(early, "accepted")), "NULL", Some(early)),
        ("twice", format!(r#"{{"587": {}, "465": {}}}"#, look(late, "accepted"), look(early, "accepted")), "NULL", Some(late)),
        ("known", format!(r#"{{"587": {}}}"#, look(early, "accepted")), "'2026-11-03T08:00:00Z'", Some("2026-11-03T08:00:00Z")),
        ("refused", format!(r#"{{"587": {}}}"#, look(late, "refused")), "NULL", None),
        ("untried", "{}".to_owned(), "NULL", None),
        ("strange", "[1]".to_owned(), "NULL", None),
        ("foreign", format!(r#"{{"587": {}, "465": 1}}"#, look("soon", "accepted")), "NULL", None),
    ];
    let mut scene = format!("INSERT INTO orgs (id, slug, name) VALUES ('{org}', 'x', 'x');");
    for (host, looks, accepted_at, _) in &cases {
        let id = Uuid::now_v7();
        let one = format!(
            "INSERT INTO servers (org_id, id, host, ports, source) VALUES ('{org}', '{id}', '{host}.example', '{{587}}', 'manual');
             INSERT INTO server_logins (org_id, server_id, user_name, sealed, secret_kind, ports, looks, accepted_at)
             VALUES ('{org}', '{id}', '{host}', 'x', 'password', '{{587}}', '{looks}', {accepted_at});"
        );
        scene.push_str(&one);
    }
    sqlx::raw_sql(AssertSqlSafe(scene)).execute(&mut owner).await.unwrap();
    // A migration runs in a transaction.
    sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {LOGINS_ACCEPTED_BEFORE} COMMIT;"))).execute(&mut owner).await.unwrap();
    for (host, _, _, wanted) in cases {
        let kept: bool = sqlx::query_scalar("SELECT accepted_at IS NOT DISTINCT FROM $2::timestamptz FROM server_logins WHERE user_name = $1")
            .bind(host)
            .bind(wanted.map(|at| at.parse::<chrono::DateTime<chrono::Utc>>().unwrap()))
            .fetch_one(&mut owner)
            .await
            .unwrap();
        assert!(kept, "{host}");
    }
}

const INCIDENTS_BY_HAND: &str = include_str!("../../../migrations/0090_incidents_by_hand.sql");

#[tokio::test]
async fn what_people_opened_is_theirs_and_what_checks_opened_is_not() {
    let db = TestDatabase::new().await;
    let mut owner = PgConnection::connect(&db.owner_url).await.unwrap();
    let org = Uuid::now_v7();
    let mut scene = format!("INSERT INTO orgs (id, slug, name) VALUES ('{org}', 'x', 'x');");
    let cases = [
        ("opened", "", "comment", "Opened by hand.", "hand"),
        ("found", "", "opened", "Port 25 does not answer", ""),
        ("commented", "", "comment", "We looked at it.", ""),
        ("record", "spf", "comment", "Opened by hand.", "spf"),
    ];
    for (title, condition, event, text, _) in cases {
        let id = Uuid::now_v7();
        let one = format!(
            "INSERT INTO incidents (org_id, id, kind, target, title, summary, severity, condition, opened_at)
             VALUES ('{org}', '{id}', 'smtp', 'mx.example:25', '{title}', '', 'warning', '{condition}', now());
             INSERT INTO incident_timeline (org_id, id, incident_id, at, event, text) VALUES ('{org}', '{id}', '{id}', now(), '{event}', '{text}');"
        );
        scene.push_str(&one);
    }
    sqlx::raw_sql(AssertSqlSafe(scene)).execute(&mut owner).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {INCIDENTS_BY_HAND} COMMIT;"))).execute(&mut owner).await.unwrap();
    for (title, .., wanted) in cases {
        let kept: String = sqlx::query_scalar("SELECT condition FROM incidents WHERE title = $1").bind(title).fetch_one(&mut owner).await.unwrap();
        assert_eq!(kept, wanted, "{title}");
    }
}
