//! Runbooks that an organisation wrote in the place of those that the product brings.

use chrono::{DateTime, Utc};
use waypost_types::{runbook::OwnText, topic::Topic};

use crate::{OrgTx, StoreError, monitors::fresh, recording::without_nul};

impl OrgTx {
    /// The runbooks that were written here, by what they are about.
    pub async fn own_runbooks(&mut self) -> Result<Vec<(Topic, OwnText)>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!("SELECT topic, text, edited_by, edited_at, version FROM runbooks WHERE org_id = $1", org)
            .fetch_all(self.connection())
            .await?;
        // What a later release does not know any more is not shown.
        let known = |topic: &str, own: OwnText| Some((topic.parse().ok()?, own));
        Ok(rows
            .into_iter()
            .filter_map(|row| known(&row.topic, OwnText { text: row.text, by: row.edited_by, at: row.edited_at, version: row.version }))
            .collect())
    }

    /// Writes a runbook in the place of the product's. `expected` 0 is that of the product.
    pub async fn write_runbook(&mut self, topic: Topic, expected: Option<i64>, text: &str, by: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        self.fresh_runbook(topic, expected).await?;
        sqlx::query!(
            "INSERT INTO runbooks (org_id, topic, text, edited_by, edited_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (org_id, topic) DO UPDATE SET text = excluded.text, edited_by = excluded.edited_by, edited_at = excluded.edited_at,
               version = runbooks.version + 1",
            org,
            topic.as_str(),
            without_nul(text),
            by,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The product's runbook holds again.
    pub async fn reset_runbook(&mut self, topic: Topic, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        self.fresh_runbook(topic, expected).await?;
        sqlx::query!("DELETE FROM runbooks WHERE org_id = $1 AND topic = $2", org, topic.as_str()).execute(self.connection()).await?;
        Ok(())
    }

    async fn fresh_runbook(&mut self, topic: Topic, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!("SELECT version FROM runbooks WHERE org_id = $1 AND topic = $2 FOR UPDATE", org, topic.as_str())
            .fetch_optional(self.connection())
            .await?;
        fresh(expected, version.unwrap_or(0))
    }
}
