//! The connection pool. Every connection acts as `waypost_app`, whoever it signed in as.

use std::time::Duration;

use sqlx::{
    Connection, Executor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use waypost_types::OrgId;

use crate::{OrgTx, StoreError};

/// A connection that was idle for so long is asked whether it is still there before it is used: the database may have been restarted.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// The store: a pool of connections bound by row-level security. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects. `url` may name the owner: each connection then takes the role `waypost_app`, so that no query of the product runs as
    /// an owner or a superuser. Fails when the server can not be reached within 10 seconds.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse::<PgConnectOptions>()?.application_name("waypost");
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            // A connection in use a moment ago is there; asking each time would double the trips of short transactions.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for >= ASK_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // A statement that runs away must not hold a lock for ever; a client that died must not keep a transaction open.
                    connection
                        .execute("SET ROLE waypost_app; SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'")
                        .await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// The pool, for what is outside tenancy and for the queue that lives beside our tables.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Opens a transaction that sees one organisation. To be called in two places only: the API's extractor after it has checked
    /// membership or token, and the worker when it takes a task.
    pub async fn org_tx(&self, org: OrgId) -> Result<OrgTx, StoreError> {
        OrgTx::begin(&self.pool, org).await
    }

    /// Opens a transaction of one organisation that records results: for the recorder only.
    pub async fn recording_tx(&self, org: OrgId) -> Result<OrgTx, StoreError> {
        OrgTx::begin_recording(&self.pool, org).await
    }

    /// Answers when the database does.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.pool.execute("SELECT 1").await?;
        Ok(())
    }
}
