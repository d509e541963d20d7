//! Close looks at servers: whose turn it is, and what was seen. At most one a day for a server and its proven owner, over all tenants.

use waypost_types::outcome::CloseLook;

use crate::{Store, StoreError, recording::storable};

impl Store {
    /// Takes the turn to look closely at a server; it comes once a day by the database's clock. Who has it asks, and a look that is lost on
    /// the way is made the day after.
    pub async fn take_close_look(&self, target: &str, owner: Option<&str>) -> Result<bool, StoreError> {
        let mine = sqlx::query_scalar!(
            "INSERT INTO close_looks AS l (target, owner, asked_at) VALUES ($1, $2, now()) ON CONFLICT (target, owner) DO UPDATE SET asked_at = now()
             WHERE l.asked_at < now() - interval '1 day' RETURNING target",
            target,
            owner.unwrap_or_default()
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(mine.is_some())
    }

    /// Keeps what a close look saw, for the checks of the day.
    pub async fn keep_close_look(&self, target: &str, owner: Option<&str>, look: &CloseLook) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE close_looks SET look = $3, tells = $4 WHERE target = $1 AND owner = $2",
            target,
            owner.unwrap_or_default(),
            storable(look)?,
            !(look.findings.is_empty() && look.unknown.is_empty())
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}
