//! A database with one organisation, its owner, and what a test wants to be watched.
#![allow(dead_code)] // each test file uses its part

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, postgres::PgRow};
use uuid::Uuid;
use waypost_store::{
    StoreError,
    schedule::{ClaimedUnit, claim_due_units},
    testing::TestDatabase,
};
use waypost_types::{DomainId, MonitorId, OrgId, judge::MonitorState, monitor::MonitorKind};
use waypost_worker::{WorkerConfig, scheduler::LEASE_SECONDS};

pub struct Scene {
    pub db: TestDatabase,
    pub org: OrgId,
}

impl Scene {
    pub async fn new() -> Self {
        let db = TestDatabase::new().await;
        waypost_worker::migrate_queue(&db.owner_url).await.unwrap();
        let scene = Self { db, org: OrgId(Uuid::now_v7()) };
        scene.make_org(scene.org, "example").await;
        scene.member("owner@example.com", true).await;
        scene
    }

    #[allow(clippy::unused_self)] // reads better where it is used
    pub fn config(&self, region: &str) -> WorkerConfig {
        WorkerConfig::new(region, "https://waypost.example", "Waypost <waypost@waypost.example>".parse().unwrap(), None)
    }

    async fn make_org(&self, org: OrgId, slug: &str) {
        self.run_sql(&format!("INSERT INTO orgs (id, slug, name) VALUES ('{}', '{slug}', 'Example')", org.0)).await;
    }

    pub async fn other_org(&self) -> OrgId {
        let org = OrgId(Uuid::now_v7());
        self.make_org(org, "stranger").await;
        org
    }

    /// A member with an address that is not proven.
    pub async fn member(&self, email: &str, owner: bool) {
        let user = Uuid::now_v7();
        let role = if owner { "owner" } else { "editor" };
        self.run_sql(&format!("INSERT INTO users (id, email, email_key, password_hash) VALUES ('{user}', '{email}', '{email}', 'x')")).await;
        self.run_sql(&format!("INSERT INTO memberships (org_id, user_id, role) VALUES ('{}', '{user}', '{role}')", self.org.0)).await;
    }

    pub async fn verify(&self, email: &str) {
        self.run_sql(&format!("UPDATE users SET email_verified_at = now() WHERE email = '{email}'")).await;
    }

    pub async fn domain(&self, name: &str) -> (DomainId, MonitorId) {
        let domain = DomainId(Uuid::now_v7());
        self.run_sql(&format!("INSERT INTO domains (org_id, id, name) VALUES ('{}', '{}', '{name}')", self.org.0, domain.0)).await;
        let monitor = self.monitor(MonitorKind::Audit, name, 3600).await;
        self.run_sql(&format!("UPDATE monitors SET domain_id = '{}' WHERE id = '{}'", domain.0, monitor.0)).await;
        (domain, monitor)
    }

    pub async fn monitor(&self, kind: MonitorKind, target: &str, interval: i32) -> MonitorId {
        let id = MonitorId(Uuid::now_v7());
        let org = self.org.0;
        self.run_sql(&format!(
            "INSERT INTO monitors (org_id, id, kind, target, interval_s) VALUES ('{org}', '{0}', '{1}', '{target}', {interval});
             INSERT INTO schedule_units (org_id, monitor_id, region, interval_s) VALUES ('{org}', '{0}', 'local', {interval});
             SELECT pg_notify('waypost_due', '')",
            id.0,
            kind.as_str()
        ))
        .await;
        id
    }

    pub async fn add_region(&self, monitor: MonitorId, region: &str) {
        self.run_sql(&format!(
            "UPDATE monitors SET regions = array_append(regions, '{region}') WHERE id = '{0}';
             INSERT INTO schedule_units (org_id, monitor_id, region, interval_s) SELECT org_id, id, '{region}', interval_s FROM monitors WHERE id = '{0}'",
            monitor.0
        ))
        .await;
    }

    pub async fn monitors(&self, count: usize, interval: i32) -> Vec<MonitorId> {
        let mut made = Vec::with_capacity(count);
        for number in 0..count {
            made.push(self.monitor(MonitorKind::Smtp, &format!("mx{number}.example:25"), interval).await);
        }
        made
    }

    /// Claims as a scheduler would, without a queue.
    pub async fn claim(&self, now: DateTime<Utc>) -> Vec<ClaimedUnit> {
        self.claim_in("local", now).await
    }

    pub async fn claim_in(&self, region: &str, now: DateTime<Utc>) -> Vec<ClaimedUnit> {
        let mut tx = self.db.store.begin().await.unwrap();
        let mut claimed = claim_due_units(&mut tx, region, now, 50, LEASE_SECONDS).await.unwrap();
        tx.commit().await.unwrap();
        claimed.sort_by_key(|unit| unit.monitor);
        claimed
    }

    /// Lets time pass until the next units are due, and claims them.
    pub async fn claim_when_due(&self) -> Vec<ClaimedUnit> {
        self.run_sql("UPDATE schedule_units SET due_at = now(), next_run_at = now() WHERE NOT leased").await;
        self.claim(Utc::now()).await
    }

    pub async fn request(&self, monitor: MonitorId) -> Result<(), StoreError> {
        let mut tx = self.db.store.org_tx(self.org).await?;
        tx.request_check(monitor).await?;
        tx.commit().await
    }

    pub async fn results(&self, monitor: MonitorId) -> i64 {
        self.value(&format!("SELECT count(*) FROM check_results WHERE monitor_id = '{}'", monitor.0)).await
    }

    pub async fn idle(&self, monitor: MonitorId) -> bool {
        self.value(&format!("SELECT NOT requested AND NOT leased FROM schedule_units WHERE monitor_id = '{}'", monitor.0)).await
    }

    pub async fn state(&self, monitor: MonitorId) -> MonitorState {
        let mut tx = self.db.store.org_tx(self.org).await.unwrap();
        tx.monitor_state(monitor).await.unwrap()
    }

    /// When a region looks at a monitor next.
    pub async fn due(&self, monitor: MonitorId, region: &str) -> DateTime<Utc> {
        self.value(&format!("SELECT due_at FROM schedule_units WHERE monitor_id = '{}' AND region = '{region}'", monitor.0)).await
    }

    /// Ends every connection that acts as the application, as a restart of the database would.
    pub async fn cut_connections(&self) {
        self.run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'waypost_app'").await;
    }

    /// Long after: what fails from now on is no relapse.
    pub async fn long_after(&self) {
        self.run_sql("UPDATE monitors SET judge = judge - 'steadiness'").await;
    }

    /// As the superuser, behind the curtain.
    pub async fn run_sql(&self, sql: &str) {
        let mut owner = PgConnection::connect(&self.db.owner_url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut owner).await.unwrap();
        owner.close().await.unwrap();
    }

    /// One value, as the superuser.
    pub async fn value<T>(&self, sql: &str) -> T
    where
        (T,): for<'r> sqlx::FromRow<'r, PgRow>,
        T: Send + Unpin + sqlx::Type<Postgres> + for<'r> sqlx::Decode<'r, Postgres>,
    {
        let mut owner = PgConnection::connect(&self.db.owner_url).await.unwrap();
        let (value,): (T,) = sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_one(&mut owner).await.unwrap();
        owner.close().await.unwrap();
        value
    }
}

/// Waits for a condition, 20 seconds at most.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
