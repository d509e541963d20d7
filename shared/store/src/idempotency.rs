//! Answers of POSTs that carried an `Idempotency-Key`, so that a repeated request gets the first answer instead of doing its work twice.

use serde_json::Value;

use crate::{OrgTx, StoreError};

/// What is known about a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Remembered {
    /// Nothing: this request is the first and must finish or forget the key.
    First,
    /// The first request still runs.
    Running,
    /// Another request used the key.
    Different,
    /// The first request's answer.
    Answered {
        /// HTTP status.
        status: u16,
        /// What was kept of it.
        body: Value,
    },
}

impl OrgTx {
    /// Takes the key, or tells what it was used for. A request that died with its process frees its key after two minutes.
    pub async fn begin_idempotent(&mut self, key: &str, fingerprint: &[u8]) -> Result<Remembered, StoreError> {
        let org = self.org().0;
        let taken = sqlx::query!(
            "INSERT INTO idempotency_keys AS k (org_id, key, fingerprint) VALUES ($1, $2, $3)
             ON CONFLICT (org_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, created_at = now()
             WHERE k.status IS NULL AND k.created_at < now() - interval '2 minutes'",
            org,
            key,
            fingerprint
        )
        .execute(self.connection())
        .await?;
        if taken.rows_affected() == 1 {
            return Ok(Remembered::First);
        }
        let row = sqlx::query!("SELECT fingerprint, status, body FROM idempotency_keys WHERE org_id = $1 AND key = $2", org, key)
            .fetch_optional(self.connection())
            .await?;
        Ok(match row {
            // It was freed between the two statements.
            None => Remembered::Running,
            Some(row) if row.fingerprint != fingerprint => Remembered::Different,
            Some(row) => match row.status {
                Some(status) => Remembered::Answered { status: u16::try_from(status).unwrap_or(200), body: row.body.unwrap_or(Value::Null) },
                None => Remembered::Running,
            },
        })
    }

    /// Keeps the answer.
    pub async fn finish_idempotent(&mut self, key: &str, status: u16, body: &Value) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("UPDATE idempotency_keys SET status = $3, body = $4 WHERE org_id = $1 AND key = $2", org, key, i32::from(status), body)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Frees the key: the request failed in a way that is worth repeating.
    pub async fn forget_idempotent(&mut self, key: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("DELETE FROM idempotency_keys WHERE org_id = $1 AND key = $2 AND status IS NULL", org, key).execute(self.connection()).await?;
        Ok(())
    }
}
