//! Runbooks that an organisation wrote in the place of those that the product brings, and those that its monitors and rules have of their own.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    IncidentId,
    runbook::{OwnRunbook, OwnText},
    topic::Topic,
};

use crate::{OrgTx, StoreError, monitors::fresh, recording::without_nul};

/// A runbook of a monitor's or a rule's own. One that another version of the program wrote in a form of its own is none to this one.
pub(crate) fn own_runbook(value: Value) -> Option<OwnRunbook> {
    serde_json::from_value(value).inspect_err(|error| tracing::warn!(%error, "a runbook can not be read")).ok()
}

impl OrgTx {
    /// The runbooks that these incidents have of their own: of the rule that opened them, or else of their monitor.
    pub async fn own_runbooks_of(&mut self, incidents: &[IncidentId]) -> Result<HashMap<IncidentId, OwnRunbook>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = incidents.iter().map(|id| id.0).collect();
        // The condition of what a rule opened names it: `types::rule::condition_of`.
        let rows = sqlx::query!(
            r#"SELECT i.id, coalesce(r.runbook, m.runbook) AS "runbook!" FROM incidents i
               LEFT JOIN monitors m ON m.org_id = $1 AND m.id = i.monitor_id
               LEFT JOIN rules r ON r.org_id = $1 AND r.id = substring(i.condition FROM '^rule:rul_([0-9a-f]{32})[|]')::uuid
               WHERE i.org_id = $1 AND i.id = ANY($2) AND coalesce(r.runbook, m.runbook) IS NOT NULL"#,
            org,
            &ids
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().filter_map(|row| Some((IncidentId(row.id), own_runbook(row.runbook)?))).collect())
    }

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
