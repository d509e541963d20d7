//! The only door to tenant tables: a transaction in which row-level security knows the organisation.

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use waypost_types::{OrgId, event::LiveEvent};

use crate::StoreError;

/// A transaction of one organisation. Dropped without [`OrgTx::commit`], it changes nothing.
#[derive(Debug)]
pub struct OrgTx {
    tx: Transaction<'static, Postgres>,
    org: OrgId,
}

impl OrgTx {
    pub(crate) async fn begin(pool: &PgPool, org: OrgId) -> Result<Self, StoreError> {
        Self::begin_with(pool, org, "").await
    }

    /// A transaction for recording results. A crash of the database may lose it, and its checks then run again; before a message
    /// follows from it, [`OrgTx::require_durability`]. Its statements are few, large and always the same, so planning them anew each time
    /// would cost more than running them.
    pub(crate) async fn begin_recording(pool: &PgPool, org: OrgId) -> Result<Self, StoreError> {
        Self::begin_with(pool, org, "; SET LOCAL synchronous_commit = off; SET LOCAL plan_cache_mode = force_generic_plan").await
    }

    /// One way to the database and back. An id is a UUID, which needs no quoting.
    async fn begin_with(pool: &PgPool, org: OrgId, settings: &'static str) -> Result<Self, StoreError> {
        let statement = format!("BEGIN; SELECT set_config('waypost.org_id', '{}', true){settings}", org.0);
        Ok(Self { tx: pool.begin_with(AssertSqlSafe(statement)).await?, org })
    }

    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The connection inside the transaction: for the queries of this crate, and for the worker that pushes a task in the same transaction.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Tells listeners of the organisation what changed, when the transaction commits. Long lists become `Resync`, since a payload
    /// has 8,000 bytes at most.
    pub async fn notify(&mut self, event: &LiveEvent) -> Result<(), StoreError> {
        let payload = |event: &LiveEvent| Ok::<_, StoreError>(serde_json::json!({ "org": self.org, "event": event }).to_string());
        let mut text = payload(event)?;
        if text.len() > 7_900 {
            text = payload(&LiveEvent::Resync)?;
        }
        sqlx::query("SELECT pg_notify('waypost_org', $1)").bind(text).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Makes it so.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await?;
        Ok(())
    }
}
