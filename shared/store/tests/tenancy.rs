//! The walls between tenants, read from the catalog and tried by hand.
#![allow(missing_docs, clippy::unwrap_used)]

use sqlx::{Connection, PgConnection};
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
    "worker_regions",
    "provider_looks",
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
    let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT * FROM {part}"))).execute(db.store.pool()).await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some("42501"));
}
