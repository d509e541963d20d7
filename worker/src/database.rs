//! The database at start: reached, migrated and ready for work.

use chrono::{DateTime, TimeDelta, Utc};
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

/// How far this machine's clock is ahead of the database's; negative when it is behind. What the trip to the database may explain does not
/// count.
pub(crate) async fn clock_offset(store: &Store) -> Result<TimeDelta, WorkerError> {
    let before = Utc::now();
    let database = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(store.pool()).await?;
    Ok(offset(before, database, Utc::now()))
}

fn offset(before: DateTime<Utc>, database: DateTime<Utc>, after: DateTime<Utc>) -> TimeDelta {
    if database < before {
        before - database
    } else if database > after {
        after - database
    } else {
        TimeDelta::zero()
    }
}

/// The commonest reason deserves its own words.
fn explain(error: StoreError) -> WorkerError {
    match &error {
        StoreError::Database(sqlx::Error::Database(db)) if db.code().as_deref() == Some("42501") => WorkerError::NotOwner(error),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_trip_is_no_offset() {
        let at = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
        assert_eq!(offset(at(10), at(30), at(50)), TimeDelta::zero());
        assert_eq!(offset(at(10), at(4), at(50)), TimeDelta::seconds(6), "ahead");
        assert_eq!(offset(at(10), at(90), at(50)), TimeDelta::seconds(-40), "behind");
    }
}
