//! Live events of all organisations as PostgreSQL notifies them. One listener per process; who may hear what is the server's business.

use serde::Deserialize;
use sqlx::postgres::PgListener;
use waypost_types::{OrgId, event::LiveEvent};

use crate::{Store, StoreError};

/// What an organisation's listeners should hear.
#[derive(Debug, Clone, Deserialize)]
pub struct OrgEvent {
    /// The organisation.
    pub org: OrgId,
    /// What changed.
    pub event: LiveEvent,
}

/// Listens until its connection breaks.
#[derive(Debug)]
pub struct OrgListener {
    inner: PgListener,
}

impl Store {
    /// Starts to listen, on a connection of the pool.
    pub async fn listen_to_orgs(&self) -> Result<OrgListener, StoreError> {
        let mut inner = PgListener::connect_with(self.pool()).await?;
        inner.listen("waypost_org").await?;
        Ok(OrgListener { inner })
    }
}

impl OrgListener {
    /// The next event; `None` when the connection broke, so that events may have been lost and a new listener is needed.
    pub async fn next(&mut self) -> Result<Option<OrgEvent>, StoreError> {
        loop {
            let Some(notification) = self.inner.try_recv().await? else { return Ok(None) };
            match serde_json::from_str(notification.payload()) {
                Ok(event) => return Ok(Some(event)),
                // Another version of this program may run beside us during an upgrade.
                Err(error) => tracing::warn!(%error, "a notification could not be read"),
            }
        }
    }
}
