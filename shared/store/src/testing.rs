//! Databases for tests: each test has one of its own, copied from a migrated template, and connects as `waypost_app`.
//!
//! `WAYPOST_TEST_DATABASE_URL` names a superuser of a cluster that is there for tests (`infra/test` starts one).
#![allow(clippy::expect_used, clippy::missing_panics_doc)] // a test without its database can only stop

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::{Store, migrate};

/// A database that is dropped with its last user.
#[derive(Debug)]
pub struct TestDatabase {
    /// Connected as `waypost_app`.
    pub store: Store,
    /// The URL with the role `waypost_app`.
    pub app_url: String,
    /// The URL of the superuser, for setting scenes and looking behind the curtain.
    pub owner_url: String,
}

const TEMPLATE_LOCK: i64 = 7_295_900;

impl TestDatabase {
    /// Makes a database from the template; makes the template first when the migrations changed.
    pub async fn new() -> Self {
        let url =
            std::env::var("WAYPOST_TEST_DATABASE_URL").expect("WAYPOST_TEST_DATABASE_URL names a PostgreSQL superuser: run the tests by infra/test");
        let mut root = PgConnection::connect(&url).await.expect("the test cluster answers");
        let template = format!("waypost_template_{:x}", fingerprint());
        run(&mut root, format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&template)
            .fetch_one(&mut root)
            .await
            .expect("catalog");
        if !exists {
            let making = format!("{template}_making");
            run(&mut root, format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)")).await;
            run(&mut root, format!("CREATE DATABASE {making}")).await;
            migrate(&with_database(&url, &making, None)).await.expect("migrations run");
            run(&mut root, format!("ALTER DATABASE {making} RENAME TO {template}")).await;
        }
        let name = format!("waypost_test_{}", Uuid::now_v7().simple());
        // Copying locks the template, so copies queue here instead of failing.
        run(&mut root, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        run(&mut root, format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})")).await;
        root.close().await.expect("close");
        let app_url = with_database(&url, &name, Some("waypost_app"));
        let store = Store::connect(&app_url, 10).await.expect("connect as waypost_app");
        Self { store, app_url, owner_url: with_database(&url, &name, None) }
    }
}

async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("the test cluster takes the statement");
}

fn fingerprint() -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for migration in sqlx::migrate!("../../migrations").iter() {
        migration.checksum.hash(&mut hasher);
    }
    hasher.finish()
}

/// The same server and options, another database and role.
fn with_database(url: &str, database: &str, user: Option<&str>) -> String {
    let (head, query) = url.split_once('?').map_or((url, None), |(head, query)| (head, Some(query)));
    let (scheme, rest) = head.split_once("://").expect("a URL");
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = match user {
        Some(user) => format!("{user}@{}", authority.rsplit_once('@').map_or(authority, |(_, host)| host)),
        None => authority.to_owned(),
    };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{database}{query}")
}
