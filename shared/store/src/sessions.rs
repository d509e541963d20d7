//! Cookie sessions. Rows are found by the SHA-256 of the cookie's secret, so that a leaked table opens no session.

use chrono::{DateTime, Utc};
use serde_json::Value;
use waypost_types::UserId;

use crate::{Store, StoreError};

impl Store {
    /// Makes a session. Answers false when one with that hash exists.
    pub async fn create_session(&self, hash: &[u8], user: Option<UserId>, data: &Value, expires_at: DateTime<Utc>) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "INSERT INTO sessions (id, user_id, data, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
            hash,
            user.map(|user| user.0),
            data,
            expires_at
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Saves a session that exists. One that was ended meanwhile stays ended.
    pub async fn save_session(&self, hash: &[u8], user: Option<UserId>, data: &Value, expires_at: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!("UPDATE sessions SET user_id = $2, data = $3, expires_at = $4 WHERE id = $1", hash, user.map(|user| user.0), data, expires_at)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// The data and end of a session that is not over.
    pub async fn load_session(&self, hash: &[u8], now: DateTime<Utc>) -> Result<Option<(Value, DateTime<Utc>)>, StoreError> {
        let row =
            sqlx::query!("SELECT data, expires_at FROM sessions WHERE id = $1 AND expires_at > $2", hash, now).fetch_optional(self.pool()).await?;
        Ok(row.map(|row| (row.data, row.expires_at)))
    }

    /// Ends a session.
    pub async fn delete_session(&self, hash: &[u8]) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM sessions WHERE id = $1", hash).execute(self.pool()).await?;
        Ok(())
    }

    /// Removes sessions, links and throttles that are over, by the database's clock where it is behind `now`. Answers how many rows went.
    pub async fn purge_expired_accounts_data(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let sessions = sqlx::query!("DELETE FROM sessions WHERE expires_at <= least($1::timestamptz, now())", now).execute(self.pool()).await?;
        let tokens = sqlx::query!("DELETE FROM account_tokens WHERE expires_at <= least($1::timestamptz, now())", now).execute(self.pool()).await?;
        Ok(sessions.rows_affected() + tokens.rows_affected() + self.purge_throttles(now).await?)
    }
}
