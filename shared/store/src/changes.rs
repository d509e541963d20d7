//! Changes that people and programs mark.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ChangeId,
    change::{ChangeSort, MarkedChange},
};

use crate::{OrgTx, StoreError, recording::without_nul};

/// Changes that an organisation keeps; the oldest of more go.
const KEPT: i64 = 5_000;

/// A change to mark.
#[derive(Debug, Clone, Copy)]
pub struct AddChange<'a> {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// What was changed.
    pub kind: ChangeSort,
    /// In words.
    pub text: &'a str,
    /// What it is about.
    pub target: Option<&'a str>,
    /// Who marks it.
    pub by: &'a str,
}

struct ChangeRow {
    id: Uuid,
    at: DateTime<Utc>,
    kind: String,
    text: String,
    target: Option<String>,
    marked_by: String,
}

impl TryFrom<ChangeRow> for MarkedChange {
    type Error = StoreError;
    fn try_from(row: ChangeRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: ChangeId(row.id),
            at: row.at,
            kind: row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?,
            text: row.text,
            target: row.target,
            by: row.marked_by,
            version: 1,
        })
    }
}

impl OrgTx {
    /// Marks a change.
    pub async fn add_change(&mut self, change: &AddChange<'_>) -> Result<MarkedChange, StoreError> {
        let org = self.org().0;
        let id = Uuid::now_v7();
        sqlx::query!(
            "INSERT INTO changes (org_id, id, at, kind, text, target, marked_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            org,
            id,
            change.at,
            change.kind.as_str(),
            without_nul(change.text),
            change.target,
            change.by
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "DELETE FROM changes WHERE org_id = $1 AND (at, id) <= (SELECT at, id FROM changes WHERE org_id = $1 ORDER BY at DESC, id DESC OFFSET $2 LIMIT 1)",
            org,
            KEPT
        )
        .execute(self.connection())
        .await?;
        self.change(ChangeId(id)).await
    }

    /// A marked change.
    pub async fn change(&mut self, id: ChangeId) -> Result<MarkedChange, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(ChangeRow, "SELECT id, at, kind, text, target, marked_by FROM changes WHERE org_id = $1 AND id = $2", org, id.0)
            .fetch_one(self.connection())
            .await?
            .try_into()
    }

    /// Marked changes, newest first.
    pub async fn changes(&mut self, before: Option<(DateTime<Utc>, ChangeId)>, limit: i64) -> Result<Vec<MarkedChange>, StoreError> {
        let org = self.org().0;
        let (at, id) = before.map_or((None, None), |(at, id)| (Some(at), Some(id.0)));
        sqlx::query_as!(
            ChangeRow,
            "SELECT id, at, kind, text, target, marked_by FROM changes
             WHERE org_id = $1 AND ($2::timestamptz IS NULL OR (at, id) < ($2, $3::uuid)) ORDER BY at DESC, id DESC LIMIT $4",
            org,
            at,
            id,
            limit
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(MarkedChange::try_from)
        .collect()
    }

    /// Takes a mark back.
    pub async fn delete_change(&mut self, id: ChangeId) -> Result<(), StoreError> {
        let org = self.org().0;
        let done = sqlx::query!("DELETE FROM changes WHERE org_id = $1 AND id = $2", org, id.0).execute(self.connection()).await?;
        if done.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }
}
