//! Links in account mails: only their hashes are kept, and each works once.

use chrono::{DateTime, Utc};
use waypost_types::UserId;

use crate::{Store, StoreError};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPurpose {
    /// Prove that an address is theirs.
    Verify,
    /// Choose another password.
    Reset,
}

impl TokenPurpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
        }
    }
}

/// Links of a purpose that may be open at once; older ones end.
const OPEN_LINKS: i64 = 3;

impl Store {
    /// Remembers a link.
    pub async fn create_account_token(&self, hash: &[u8], user: UserId, purpose: TokenPurpose, expires_at: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "DELETE FROM account_tokens WHERE hash IN (
               SELECT hash FROM account_tokens WHERE user_id = $1 AND purpose = $2 ORDER BY created_at DESC OFFSET $3)",
            user.0,
            purpose.as_str(),
            OPEN_LINKS - 1
        )
        .execute(self.pool())
        .await?;
        sqlx::query!(
            "INSERT INTO account_tokens (hash, user_id, purpose, expires_at) VALUES ($1, $2, $3, $4)",
            hash,
            user.0,
            purpose.as_str(),
            expires_at
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Uses a link up. Answers whose it was, or nothing when it is unknown, used or over.
    pub async fn take_account_token(&self, hash: &[u8], purpose: TokenPurpose, now: DateTime<Utc>) -> Result<Option<UserId>, StoreError> {
        let user = sqlx::query_scalar!(
            "DELETE FROM account_tokens WHERE hash = $1 AND purpose = $2 AND expires_at > $3 RETURNING user_id",
            hash,
            purpose.as_str(),
            now
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(user.map(UserId))
    }
}
