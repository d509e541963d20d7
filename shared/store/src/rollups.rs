//! Rolling results up into hours and days.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

impl Store {
    /// Rolls up to `max_hours` closed hours up. Answers how many remain.
    pub async fn roll_up_hours(&self, now: DateTime<Utc>, max_hours: i32) -> Result<i32, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT roll_up_hours($1, $2) AS "remaining!""#, now, max_hours).fetch_one(self.pool()).await?)
    }

    /// Rolls up to `max_days` closed days up, from hours. Answers how many remain.
    pub async fn roll_up_days(&self, max_days: i32) -> Result<i32, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT roll_up_days($1) AS "remaining!""#, max_days).fetch_one(self.pool()).await?)
    }
}
