//! Workers by region: who is alive, and whether port 25 of the outside world can be reached from there.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

/// A region as its workers last reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// When a worker of it was last alive.
    pub seen_at: DateTime<Utc>,
    /// When some port 25 was last reached from it.
    pub port25_reached_at: Option<DateTime<Utc>>,
    /// Outbound port 25 seems blocked there.
    pub port25_blocked: bool,
}

impl Store {
    /// A worker of the region is alive.
    pub async fn region_seen(&self, region: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO worker_regions (region, seen_at) VALUES ($1, $2) ON CONFLICT (region) DO UPDATE SET seen_at = greatest(worker_regions.seen_at, excluded.seen_at)",
            region,
            now
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Some port 25 answered: nothing is blocked.
    pub async fn port25_reached(&self, region: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO worker_regions (region, seen_at, port25_reached_at) VALUES ($1, $2, $2)
             ON CONFLICT (region) DO UPDATE SET port25_reached_at = greatest(worker_regions.port25_reached_at, excluded.port25_reached_at), port25_blocked = false",
            region,
            at
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Port 25 seems blocked; believed only when none was reached from the region in the hour before.
    pub async fn port25_blocked(&self, region: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO worker_regions (region, seen_at, port25_blocked) VALUES ($1, $2, true)
             ON CONFLICT (region) DO UPDATE SET port25_blocked = true
             WHERE worker_regions.port25_reached_at IS NULL OR worker_regions.port25_reached_at < $2::timestamptz - interval '1 hour'",
            region,
            at
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// All regions, by name.
    pub async fn regions(&self) -> Result<Vec<Region>, StoreError> {
        Ok(sqlx::query_as!(Region, "SELECT region AS name, seen_at, port25_reached_at, port25_blocked FROM worker_regions ORDER BY region")
            .fetch_all(self.pool())
            .await?)
    }
}
