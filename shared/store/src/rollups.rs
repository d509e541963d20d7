//! Rolling results up into hours and days.

use chrono::{DateTime, Utc};
use sqlx::{Executor as _, Postgres, Transaction};

use crate::{Store, StoreError};

impl Store {
    /// Rolls up to `max_hours` closed hours up. Answers how many remain; none while another rolls up.
    pub async fn roll_up_hours(&self, now: DateTime<Utc>, max_hours: i32) -> Result<i32, StoreError> {
        let mut tx = self.begin_long().await?;
        let remaining = sqlx::query_scalar!(r#"SELECT roll_up_hours($1, $2) AS "remaining!""#, now, max_hours).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(remaining)
    }

    /// Rolls up to `max_days` closed days up, from hours. Answers how many remain; none while another rolls up.
    pub async fn roll_up_days(&self, max_days: i32) -> Result<i32, StoreError> {
        let mut tx = self.begin_long().await?;
        let remaining = sqlx::query_scalar!(r#"SELECT roll_up_days($1) AS "remaining!""#, max_days).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(remaining)
    }

    /// A transaction whose statements may take 15 minutes: an hour of a large installation is millions of rows.
    pub(crate) async fn begin_long(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut tx = self.pool().begin().await?;
        tx.execute("SET LOCAL statement_timeout = '15min'").await?;
        Ok(tx)
    }
}
