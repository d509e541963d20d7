//! The walls between tenants, read from the catalog and tried by hand.
#![allow(missing_docs, clippy::unwrap_used)]

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;
use waypost_store::testing::TestDatabase;

/// Tables that hold no tenant's rows; docs/architecture.md gives the reason for each.
const OUTSIDE_TENANCY: &[&str] = &[
    "_sqlx_migrations",
    "users",
    "sessions",
    "account_tokens",
    "login_throttle",
    "account_mail",
    "captured_mail",
    "rollup_progress",
    "region_looks",
    "worker_regions",
    "close_looks",
    "provider_looks",
    "list_health",
    "slack_signatures",
];

#[tokio::test]
async fn every_tenant_table_forces_row_level_security_and_starts_its_key_with_the_tenant() {
    let db = TestDatabase::new().await;
    let mut owner = PgConnection::connect(&db.owner_url).await.unwrap();
    let tables: Vec<(String, bool, bool, Option<String>)> = sqlx::query_as(
        "SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
                (SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid AND i.indisprimary)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') ORDER BY 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(tables.len() > 15);
    for (table, enabled, forced, key) in tables {
        if OUTSIDE_TENANCY.contains(&table.as_str()) {
            continue;
        }
        assert!(enabled && forced, "{table} has no forced row-level security");
        let wanted = if table == "orgs" { "id" } else { "org_id" };
        assert_eq!(key.as_deref(), Some(wanted), "primary key of {table}");
    }
    let bypass: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'waypost%' AND (rolbypassrls OR rolsuper)")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(bypass, 0);
}

#[tokio::test]
async fn a_partition_can_not_be_read_directly() {
    let db = TestDatabase::new().await;
    let mut owner = PgConnection::connect(&db.owner_url).await.unwrap();
    let part: String = sqlx::query_scalar("SELECT relname::text FROM pg_class WHERE relname LIKE 'check_results_2%' AND relkind = 'r' LIMIT 1")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    let refused = sqlx::raw_sql(AssertSqlSafe(format!("SELECT * FROM {part}"))).execute(db.store.pool()).await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some("42501"));
}

/// One row of every tenant table. A table that is missing here fails the tests below.
async fn fill(owner: &mut PgConnection, org: Uuid) {
    let id = Uuid::now_v7();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "INSERT INTO users (id, email, email_key, password_hash) VALUES ('{id}', '{id}', '{id}', 'x');
         INSERT INTO orgs (id, slug, name) VALUES ('{org}', '{org}', 'x');
         INSERT INTO memberships (org_id, user_id, role) VALUES ('{org}', '{id}', 'owner');
         INSERT INTO idempotency_keys (org_id, key, fingerprint) VALUES ('{org}', 'x', '');
         INSERT INTO domains (org_id, id, name) VALUES ('{org}', '{id}', 'example.com');
         INSERT INTO domain_records (org_id, domain_id, family, records) VALUES ('{org}', '{id}', 'spf', '[]');
         INSERT INTO record_changes (org_id, id, domain_id, family, at, changes, before, after, worse) VALUES ('{org}', '{id}', '{id}', 'spf', now(), '[]', '{{}}', '{{}}', false);
         INSERT INTO seen_selectors (org_id, domain_id, selector, seen_at) VALUES ('{org}', '{id}', 's1', now());
         INSERT INTO list_choices (org_id, choice) VALUES ('{org}', '{{}}');
         INSERT INTO list_keys (org_id, list, sealed) VALUES ('{org}', 'x', '');
         INSERT INTO servers (org_id, id, host, ports, source) VALUES ('{org}', '{id}', 'mx.example.com', '{{25}}', 'mx');
         INSERT INTO server_logins (org_id, server_id, user_name, sealed, secret_kind, ports) VALUES ('{org}', '{id}', 'x', '', 'password', '{{587}}');
         INSERT INTO addresses (org_id, id, net, source) VALUES ('{org}', '{id}', '203.0.113.7', 'mx');
         INSERT INTO pools (org_id, id, name) VALUES ('{org}', '{id}', 'x');
         INSERT INTO invitations (org_id, id, email, email_key, role, token_hash, invited_by, expires_at) VALUES ('{org}', '{id}', 'x@y.z', 'x@y.z', 'viewer', '{org}', 'a@b.c', now());
         INSERT INTO domain_servers (org_id, domain_id, server_id, preference) VALUES ('{org}', '{id}', '{id}', 10);
         INSERT INTO monitors (org_id, id, kind, target, interval_s) VALUES ('{org}', '{id}', 'smtp', 'mx.example.com:25', 300);
         INSERT INTO server_facts (org_id, monitor_id, mark, facts) VALUES ('{org}', '{id}', 0, '{{}}');
         INSERT INTO server_changes (org_id, id, monitor_id, at, mark, changes) VALUES ('{org}', '{id}', '{id}', now(), 0, '[]');
         INSERT INTO schedule_units (org_id, monitor_id, region, interval_s) VALUES ('{org}', '{id}', 'local', 300);
         INSERT INTO listings (org_id, id, monitor_id, subject, zone, list, severity, codes, meaning, reason, began_at, seen_at)
           VALUES ('{org}', '{id}', '{id}', '203.0.113.7', 'z', 'l', 'high', '{{}}', '', '', now(), now());
         INSERT INTO last_outcomes (org_id, monitor_id, region, at, outcome) VALUES ('{org}', '{id}', 'local', now(), '{{}}');
         SELECT maintain_result_partitions(now(), 36500);
         INSERT INTO check_results (org_id, id, monitor_id, region, claim, at, verdict, summary) VALUES ('{org}', '{id}', '{id}', 'local', 1, now(), 'up', '');
         INSERT INTO rollups (org_id, monitor_id, span, at, checks, up, down, unknown) VALUES ('{org}', '{id}', 'hour', now(), 1, 1, 0, 0);
         INSERT INTO incidents (org_id, id, monitor_id, kind, target, title, summary, severity, opened_at)
         VALUES ('{org}', '{id}', '{id}', 'smtp', 'mx.example.com:25', 'x', 'x', 'critical', now());
         INSERT INTO incident_timeline (org_id, id, incident_id, at, event, text) VALUES ('{org}', '{id}', '{id}', now(), 'opened', 'x');
         INSERT INTO outbox (org_id, id, incident_id, event_key, recipient, message, message_id) VALUES ('{org}', '{id}', '{id}', 'x', 'x', '{{}}', 'x');
         INSERT INTO channels (org_id, id, name, kind, shown, sealed, min_severity) VALUES ('{org}', '{id}', 'x', 'slack', 'x', '', 'info');
         INSERT INTO routes (org_id, id, position, name, min_severity, times, hold) VALUES ('{org}', '{id}', 1, 'x', 'info', '{{}}', '{{}}');
         INSERT INTO route_steps (org_id, route_id, number, after_minutes, members, every_channel) VALUES ('{org}', '{id}', 0, 0, true, false);
         INSERT INTO route_channels (org_id, route_id, number, channel_id) VALUES ('{org}', '{id}', 0, '{id}');
         INSERT INTO follow_ups (org_id, incident_id, route_id, step, due_at) VALUES ('{org}', '{id}', '{id}', 0, now());
         INSERT INTO held_notices (org_id, id, incident_id, due_at) VALUES ('{org}', '{id}', '{id}', now());
         INSERT INTO maintenance_windows (org_id, id, name, covers, plan) VALUES ('{org}', '{id}', 'x', '{{}}', '{{}}');
         INSERT INTO rules (org_id, id, name, enabled, series, threshold, clear, for_minutes, severity, scope, every_s)
           VALUES ('{org}', '{id}', 'x', true, 'score', 80, 80, 0, 'warning', '{{}}', 60);
         INSERT INTO rule_states (org_id, rule_id, monitor_id, firing, since, seen_at) VALUES ('{org}', '{id}', '{id}', false, now(), now());
         INSERT INTO changes (org_id, id, at, kind, text, marked_by) VALUES ('{org}', '{id}', now(), 'dns', 'x', 'x');
         INSERT INTO runbooks (org_id, topic, text, edited_by, edited_at) VALUES ('{org}', 'spf-missing', 'x', 'x', now());
         INSERT INTO slack_installs (org_id, team_id, team_name, bot_user, sealed, installed_by, installed_at)
           VALUES ('{org}', 'T1', 'x', 'U1', '', 'x', now());
         INSERT INTO slack_states (org_id, hash, session, until) VALUES ('{org}', 'x', 'x', now());
         INSERT INTO slack_messages (org_id, channel_id, incident_id, team_id, slack_channel, ts, posted_at)
           VALUES ('{org}', '{id}', '{id}', 'T1', 'C1', '1.1', now());
         INSERT INTO channel_deliveries (org_id, id, channel_id, event, at, attempt, result, answer, took_ms)
           VALUES ('{org}', '{id}', '{id}', 'test', now(), 1, 'sent', 'ok', 5);"
    )))
    .execute(owner)
    .await
    .unwrap();
}

/// Two organisations with a row in every tenant table, and the tables with the column that names the organisation.
struct Neighbours {
    db: TestDatabase,
    owner: PgConnection,
    victim: Uuid,
    other: Uuid,
    tables: Vec<(String, &'static str)>,
}

impl Neighbours {
    async fn new() -> Self {
        let db = TestDatabase::new().await;
        let mut owner = PgConnection::connect(&db.owner_url).await.unwrap();
        let (victim, other) = (Uuid::now_v7(), Uuid::now_v7());
        fill(&mut owner, victim).await;
        fill(&mut owner, other).await;
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL ($1) ORDER BY 1",
        )
        .bind(OUTSIDE_TENANCY)
        .fetch_all(&mut owner)
        .await
        .unwrap();
        let key_of = |table: &str| if table == "orgs" { "id" } else { "org_id" };
        let tables: Vec<_> = names.into_iter().map(|name| (key_of(&name), name)).map(|(key, name)| (name, key)).collect();
        assert!(tables.len() > 10);
        let mut neighbours = Self { db, owner, victim, other, tables };
        for (table, key) in neighbours.tables.clone() {
            for org in [victim, other] {
                assert_eq!(neighbours.rows_of(&table, key, org).await, 1, "{table} is not filled");
            }
        }
        neighbours
    }

    /// As the superuser, whom no policy binds.
    async fn rows_of(&mut self, table: &str, key: &str, org: Uuid) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE {key} = $1")))
            .bind(org)
            .fetch_one(&mut self.owner)
            .await
            .unwrap()
    }

    /// A transaction of the application with an organisation set, or with none.
    async fn acting_as(&self, org: Option<Uuid>) -> Transaction<'static, Postgres> {
        let mut tx = self.db.store.pool().begin().await.unwrap();
        let role: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut *tx).await.unwrap();
        assert_eq!(role, "waypost_app");
        if let Some(org) = org {
            sqlx::query("SELECT set_config('waypost.org_id', $1, true)").bind(org.to_string()).execute(&mut *tx).await.unwrap();
        }
        tx
    }

    async fn count(&self, org: Option<Uuid>, statement: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_one(&mut *self.acting_as(org).await).await.unwrap()
    }

    /// Rows that a statement of the other organisation touches; it is taken back.
    async fn touches(&self, statement: String) -> u64 {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *self.acting_as(Some(self.other)).await).await.unwrap().rows_affected()
    }

    /// What PostgreSQL answers to a statement of the other organisation that it must refuse.
    async fn refusal(&self, statement: String) -> String {
        match sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *self.acting_as(Some(self.other)).await).await {
            Ok(done) => format!("done: {} rows", done.rows_affected()),
            Err(error) => error.to_string(),
        }
    }
}

#[tokio::test]
async fn whoever_forgets_the_filter_sees_rows_of_its_own_organisation_alone() {
    let neighbours = Neighbours::new().await;
    for (table, key) in &neighbours.tables {
        let all = format!("SELECT count(*) FROM {table}");
        let victims = format!("{all} WHERE {key} = '{}'", neighbours.victim);
        assert_eq!(neighbours.count(Some(neighbours.other), &all).await, 1, "{table} shows its own row alone");
        assert_eq!(neighbours.count(Some(neighbours.other), &victims).await, 0, "{table} shows the neighbour's row");
        assert_eq!(neighbours.count(None, &all).await, 0, "{table} shows rows where no organisation is set");
    }
}

#[tokio::test]
async fn nobody_changes_adds_or_takes_rows_of_another_organisation() {
    let mut neighbours = Neighbours::new().await;
    let victim = neighbours.victim;
    for (table, key) in neighbours.tables.clone() {
        let victims = format!("WHERE {key} = '{victim}'");
        assert_eq!(neighbours.touches(format!("UPDATE {table} SET {key} = {key} {victims}")).await, 0, "UPDATE {table}");
        assert_eq!(neighbours.touches(format!("DELETE FROM {table} {victims}")).await, 0, "DELETE {table}");
        // Without a filter they reach what is one's own, so the zeros above are the wall's and not those of a missing grant.
        assert_eq!(neighbours.touches(format!("UPDATE {table} SET {key} = {key}")).await, 1, "UPDATE {table} of all");
        assert_eq!(neighbours.touches(format!("DELETE FROM {table}")).await, 1, "DELETE {table} of all");

        let wall = format!("new row violates row-level security policy for table \"{table}\"");
        let row: String = sqlx::query_scalar(AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t {victims}")))
            .fetch_one(&mut neighbours.owner)
            .await
            .unwrap();
        let insert = format!("INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, '{row}')");
        let refusal = neighbours.refusal(insert).await;
        assert!(refusal.contains(&wall), "INSERT {table}: {refusal}");
        let refusal = neighbours.refusal(format!("UPDATE {table} SET {key} = '{victim}'")).await;
        assert!(refusal.contains(&wall), "giving a row of {table} away: {refusal}");
        // Row-level security does not bind TRUNCATE; the missing grant does.
        let refusal = neighbours.refusal(format!("TRUNCATE {table} CASCADE")).await;
        assert!(refusal.contains("permission denied"), "TRUNCATE {table}: {refusal}");
        assert_eq!(neighbours.rows_of(&table, key, victim).await, 1, "{table} is as it was");
    }
}
