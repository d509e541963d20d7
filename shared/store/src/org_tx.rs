//! The only door to tenant tables: a transaction in which row-level security knows the organisation.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
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
        let mut tx = pool.begin().await?;
        sqlx::query("SELECT set_config('waypost.org_id', $1, true)").bind(org.0.to_string()).execute(&mut *tx).await?;
        Ok(Self { tx, org })
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
