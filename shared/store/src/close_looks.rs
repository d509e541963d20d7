//! Close looks at servers: whose turn it is, and what was seen. At most one a day of an address and port, and of what only its owner may ask
//! another, over all names, tenants, regions and processes.

use std::net::IpAddr;

use sqlx::types::ipnetwork::IpNetwork;
use waypost_types::outcome::CloseLook;

use crate::{Store, StoreError, recording::storable};

/// Names a close look.
#[derive(Debug, Clone, Copy)]
pub struct LookAt<'a> {
    /// `mail.example.com:25`.
    pub target: &'a str,
    /// The proven domain whose owner asks; nothing for what anybody may ask.
    pub owner: Option<&'a str>,
}

impl Store {
    /// Takes the turn to look closely at an address; it comes once a day by the database's clock. Who has it asks, and a look that is lost on
    /// the way is made the day after.
    pub async fn take_close_look(&self, at: LookAt<'_>, address: IpAddr, port: u16) -> Result<bool, StoreError> {
        let (owner, address, port) = (at.owner.unwrap_or_default(), IpNetwork::from(address), i32::from(port));
        let mut tx = self.begin().await?;
        // One after the other: what two ask for at once, neither would see of the other.
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended(host($1::inet) || ' ' || $2::int, 43)) AS locked", address, port)
            .fetch_one(&mut *tx)
            .await?;
        let mine = sqlx::query_scalar!(
            "INSERT INTO close_looks AS l (target, owner, address, port, asked_at)
             SELECT $1, $2, $3, $4, now() WHERE NOT EXISTS (
               SELECT FROM close_looks o WHERE o.address = $3 AND o.port = $4 AND (o.owner = '') = ($2 = '') AND o.asked_at >= now() - interval '1 day')
             ON CONFLICT (target, owner) DO UPDATE SET address = excluded.address, port = excluded.port, asked_at = excluded.asked_at
             WHERE l.asked_at < now() - interval '1 day' RETURNING target",
            at.target,
            owner,
            address,
            port
        )
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(mine.is_some())
    }

    /// Keeps what a close look saw, for the checks of the day.
    pub async fn keep_close_look(&self, at: LookAt<'_>, look: &CloseLook) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE close_looks SET looked_at = now(), look = $3 WHERE target = $1 AND owner = $2",
            at.target,
            at.owner.unwrap_or_default(),
            storable(look)?
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}
