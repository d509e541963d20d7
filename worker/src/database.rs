//! The database at start: reached, migrated and ready for work.

use secrecy::ExposeSecret;
use waypost_store::{Store, StoreError, migrate, migrations_pending};

use crate::{Config, WorkerError, migrate_queue, queue_is_ready};

/// Connects with up to `connections`. Where migrations wait, of our tables or of the queue, they run first, as the owner that
/// `WAYPOST_MIGRATE_DATABASE_URL` names, or as the role of `DATABASE_URL`. Programs may start at once.
pub async fn prepare_database(config: &Config, connections: u32) -> Result<Store, WorkerError> {
    let url = config.database_url.expose_secret();
    if let Ok(store) = Store::connect(url, connections).await
        && !migrations_pending(store.pool()).await?
        && queue_is_ready(&store).await?
    {
        return Ok(store);
    }
    tracing::info!("migrating the database");
    migrate(config.owner_url()).await.map_err(explain)?;
    migrate_queue(config.owner_url()).await?;
    Ok(Store::connect(url, connections).await?)
}

/// The commonest reason deserves its own words.
fn explain(error: StoreError) -> WorkerError {
    match &error {
        StoreError::Database(sqlx::Error::Database(db)) if db.code().as_deref() == Some("42501") => WorkerError::NotOwner(error),
        _ => error.into(),
    }
}
