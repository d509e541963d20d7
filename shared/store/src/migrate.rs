//! Migrations: run by an owner role, embedded in the binary.

use std::time::Duration;

use sqlx::{
    Connection, PgConnection,
    migrate::{MigrateError, Migrator},
};

use crate::StoreError;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Times that migrations begin anew where another database of the cluster made the roles at the same moment.
const AGAIN: u32 = 5;

fn met_another(error: &MigrateError) -> bool {
    let met = |error: &sqlx::Error| {
        // A role of that name is there by now, or was granted by another just now.
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| matches!(&*code, "23505" | "42710" | "XX000"))
    };
    matches!(error, MigrateError::ExecuteMigration(error, 1) if met(error))
}

/// Brings the schema up to date as the role that `url` names, which must own the database or be a superuser. Running processes may do
/// this at once: sqlx takes an advisory lock.
pub async fn migrate(url: &str) -> Result<(), StoreError> {
    let mut connection = PgConnection::connect(url).await?;
    // Roles belong to the cluster and locks to a database: the first migrations of two databases may meet. One of them has made the roles then.
    let mut again = AGAIN;
    while let Err(error) = MIGRATOR.run(&mut connection).await {
        if again == 0 || !met_another(&error) {
            return Err(StoreError::Database(error.into()));
        }
        again -= 1;
        connection = PgConnection::connect(url).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Every process looks at start whether migrations wait. Processes that start together must not grant at once: PostgreSQL answers
    // “tuple concurrently updated”.
    sqlx::query("SELECT pg_advisory_lock(7295815)").execute(&mut connection).await?;
    sqlx::query("GRANT SELECT ON _sqlx_migrations TO waypost_app").execute(&mut connection).await?;
    sqlx::query("SELECT maintain_result_partitions(now(), 36500)").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// True when this binary carries migrations that the database has not seen. Works as `waypost_app` too.
pub async fn migrations_pending(pool: &sqlx::PgPool) -> Result<bool, StoreError> {
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let applied: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(pool).await.or_else(|error| match &error {
            // No table yet, or none that we may read: nothing was applied, or not to its end.
            sqlx::Error::Database(db) if matches!(db.code().as_deref(), Some("42P01" | "42501")) => Ok(None),
            _ => Err(error),
        })?;
    Ok(applied.unwrap_or(0) < newest)
}
