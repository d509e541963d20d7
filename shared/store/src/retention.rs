//! What goes when its time is over.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

impl Store {
    /// Makes the partitions of the coming days and drops those older than `keep_days`. Answers how many changed.
    pub async fn maintain_result_partitions(&self, now: DateTime<Utc>, keep_days: i32) -> Result<i32, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT maintain_result_partitions($1, $2) AS "changed!""#, now, keep_days).fetch_one(self.pool()).await?)
    }

    /// Drops old rollups, told messages, answers to repeated POSTs, and the sessions, links and throttles that ended. Answers how many rows went.
    pub async fn drop_expired(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let tenants = sqlx::query_scalar!(r#"SELECT drop_expired($1) AS "rows!""#, now).fetch_one(self.pool()).await?;
        let sessions = sqlx::query!("DELETE FROM sessions WHERE expires_at < $1", now).execute(self.pool()).await?.rows_affected();
        let tokens = sqlx::query!("DELETE FROM account_tokens WHERE expires_at < $1", now).execute(self.pool()).await?.rows_affected();
        let throttles = sqlx::query!(
            "DELETE FROM login_throttle WHERE updated_at < $1::timestamptz - interval '1 day' AND (blocked_until IS NULL OR blocked_until < $1)",
            now
        )
        .execute(self.pool())
        .await?
        .rows_affected();
        let mails = sqlx::query!("DELETE FROM account_mail WHERE state <> 'pending' AND created_at < $1::timestamptz - interval '30 days'", now)
            .execute(self.pool())
            .await?
            .rows_affected();
        let captured =
            sqlx::query!("DELETE FROM captured_mail WHERE at < $1::timestamptz - interval '7 days'", now).execute(self.pool()).await?.rows_affected();
        sqlx::query!("DELETE FROM provider_looks WHERE asked_at < $1::timestamptz - interval '1 day'", now).execute(self.pool()).await?;
        Ok(u64::try_from(tenants).unwrap_or_default() + sessions + tokens + throttles + mails + captured)
    }
}
