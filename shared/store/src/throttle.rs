//! Slowing down password guessing over all processes. Keys are hashes: the table names nobody.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

/// How failures of one key slow it down: `free` failures cost nothing, then the wait doubles from one second up to `longest_s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleKey {
    /// `account:…`, `address:…` or `pair:…`.
    pub key: String,
    /// Failures that cost nothing.
    pub free: i32,
    /// Longest wait in seconds.
    pub longest_s: i32,
}

impl Store {
    /// Counts an attempt as failed before its password is looked at. When one of the keys must wait it counts nothing and answers until
    /// when. Attempts at once wait for each other here, so that none slips through. Failures are forgotten after a quiet hour.
    pub async fn take_attempt(&self, keys: &[ThrottleKey], now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        let mut keys: Vec<&ThrottleKey> = keys.iter().collect();
        // Always in the same order: two attempts never wait for each other in a ring.
        keys.sort_unstable_by_key(|key| &key.key);
        let mut tx = self.pool().begin().await?;
        for key in keys {
            let counted = sqlx::query!(
                "INSERT INTO login_throttle AS t (key, failures, updated_at) VALUES ($1, 1, $4)
                 ON CONFLICT (key) DO UPDATE SET
                   failures = CASE WHEN t.updated_at < $4::timestamptz - interval '1 hour' THEN 1 ELSE t.failures + 1 END,
                   blocked_until = CASE WHEN t.updated_at < $4::timestamptz - interval '1 hour' OR t.failures + 1 < $2::int THEN NULL
                     ELSE $4::timestamptz + make_interval(secs => least($3::int, power(2, least(t.failures + 1 - $2::int, 20)))) END,
                   updated_at = $4
                 WHERE t.blocked_until IS NULL OR t.blocked_until <= $4",
                key.key,
                key.free,
                key.longest_s,
                now
            )
            .execute(&mut *tx)
            .await?;
            if counted.rows_affected() == 0 {
                return Ok(sqlx::query_scalar!("SELECT blocked_until FROM login_throttle WHERE key = $1", key.key)
                    .fetch_optional(&mut *tx)
                    .await?
                    .flatten());
            }
        }
        tx.commit().await?;
        Ok(None)
    }

    /// The attempt taken at `now` was right: `cleared` start anew, `lowered` take back this one attempt and the wait that it brought.
    pub async fn attempt_succeeded(&self, cleared: &[String], lowered: &[String], now: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM login_throttle WHERE key = ANY($1)", cleared).execute(self.pool()).await?;
        sqlx::query!(
            "UPDATE login_throttle SET failures = greatest(failures - 1, 0), blocked_until = CASE WHEN updated_at = $2 THEN NULL ELSE blocked_until END
             WHERE key = ANY($1)",
            lowered,
            now
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Remembers for 30 days that the key is a friend.
    pub async fn remember_friend(&self, key: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO login_throttle (key, failures, updated_at) VALUES ($1, 0, $2) ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at",
            key,
            now
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Whether the key is remembered.
    pub async fn is_friend(&self, key: &str) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM login_throttle WHERE key = $1) AS "known!""#, key).fetch_one(self.pool()).await?)
    }

    /// Forgets friends after 30 days and every other key after a quiet day.
    pub(crate) async fn purge_throttles(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM login_throttle WHERE (blocked_until IS NULL OR blocked_until < least($1::timestamptz, now()))
               AND updated_at < least($1, now()) - CASE WHEN key LIKE 'friend:%' THEN interval '30 days' ELSE interval '1 day' END",
            now
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected())
    }
}
