//! Which block lists an organisation asks, with the keys of those that want one (sealed: the store can not read them).

use waypost_types::lists::ListChoice;

use crate::{OrgTx, StoreError, monitors::fresh};

/// A key as it is kept.
pub type SealedKey = (String, Vec<u8>);

impl OrgTx {
    /// The choice and its version; the catalog's defaults at version 0 before anybody chose.
    pub async fn list_choice(&mut self) -> Result<(ListChoice, i64), StoreError> {
        let org = self.org().0;
        let row = sqlx::query!("SELECT choice, version FROM list_choices WHERE org_id = $1", org).fetch_optional(self.connection()).await?;
        Ok(match row {
            Some(row) => (serde_json::from_value(row.choice)?, row.version),
            None => (ListChoice::default(), 0),
        })
    }

    /// Replaces the choice. `Stale` when the caller saw another version.
    pub async fn set_list_choice(&mut self, choice: &ListChoice, expected: Option<i64>) -> Result<i64, StoreError> {
        let org = self.org().0;
        // The organisation's row, so that two who choose for the first time do not both find nothing.
        sqlx::query!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        let (_, version) = self.list_choice().await?;
        fresh(expected, version)?;
        Ok(sqlx::query_scalar!(
            "INSERT INTO list_choices (org_id, choice) VALUES ($1, $2)
             ON CONFLICT (org_id) DO UPDATE SET choice = excluded.choice, version = list_choices.version + 1 RETURNING version",
            org,
            serde_json::to_value(choice)?
        )
        .fetch_one(self.connection())
        .await?)
    }

    /// The keys, sealed, by the ids of their lists.
    pub async fn list_keys(&mut self) -> Result<Vec<SealedKey>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!("SELECT list, sealed FROM list_keys WHERE org_id = $1 ORDER BY list", org).fetch_all(self.connection()).await?;
        Ok(rows.into_iter().map(|row| (row.list, row.sealed)).collect())
    }

    /// Keeps a key in place of another.
    pub async fn set_list_key(&mut self, list: &str, sealed: &[u8]) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO list_keys (org_id, list, sealed) VALUES ($1, $2, $3) ON CONFLICT (org_id, list) DO UPDATE SET sealed = excluded.sealed",
            org,
            list,
            sealed
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Forgets a key. `NotFound` when there is none.
    pub async fn remove_list_key(&mut self, list: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        let done = sqlx::query!("DELETE FROM list_keys WHERE org_id = $1 AND list = $2", org, list).execute(self.connection()).await?;
        if done.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }
}
