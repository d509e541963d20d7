//! What goes when its time is over.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

impl Store {
    /// Makes the partitions of the coming days and drops those older than `keep_days`. Answers how many changed: none while another does it.
    /// Fails when the results stay locked for two seconds.
    pub async fn maintain_result_partitions(&self, now: DateTime<Utc>, keep_days: i32) -> Result<i32, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT maintain_result_partitions($1, $2) AS "changed!""#, now, keep_days).fetch_one(self.pool()).await?)
    }

    /// Drops old rollups, told messages, answers to repeated POSTs, and the sessions, links and throttles that ended. Answers how many rows
    /// went. What fails keeps nothing else from going.
    pub async fn drop_expired(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let tenants = self.drop_expired_of_tenants(now).await;
        let accounts = self.purge_expired_accounts_data(now).await;
        let mails = sqlx::query!(
            "DELETE FROM account_mail WHERE state <> 'pending' AND created_at < least($1::timestamptz, now()) - interval '30 days'",
            now
        )
        .execute(self.pool())
        .await;
        let captured =
            sqlx::query!("DELETE FROM captured_mail WHERE at < least($1::timestamptz, now()) - interval '7 days'", now).execute(self.pool()).await;
        let looks = sqlx::query!("DELETE FROM provider_looks WHERE asked_at < least($1::timestamptz, now()) - interval '1 day'", now)
            .execute(self.pool())
            .await;
        let close = sqlx::query!("DELETE FROM close_looks WHERE asked_at < least($1::timestamptz, now()) - interval '30 days'", now)
            .execute(self.pool())
            .await;
        Ok(tenants? + accounts? + mails?.rows_affected() + captured?.rows_affected() + looks?.rows_affected() + close?.rows_affected())
    }

    async fn drop_expired_of_tenants(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut tx = self.begin_long().await?;
        let rows = sqlx::query_scalar!(r#"SELECT drop_expired($1) AS "rows!""#, now).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(u64::try_from(rows).unwrap_or_default())
    }
}
