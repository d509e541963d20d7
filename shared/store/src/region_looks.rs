//! What the workers of each region can connect to, and whether a region is cut off. What is made of it is the worker's `region_health.rs`.

use chrono::{DateTime, Utc};

use crate::{Store, StoreError};

/// The newest look of a region at a host of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionLook {
    /// Where from.
    pub region: String,
    /// Hash of the host.
    pub subject: String,
    /// Hash of the network it is in, where that is known.
    pub network: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
    /// A connection was made.
    pub reached: bool,
    /// None was, and it is the network here that says so.
    pub nearby: bool,
    /// Since when that is so.
    pub changed_at: DateTime<Utc>,
    /// When a connection was made last.
    pub reached_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Keeps what was seen just now. An older look changes nothing.
    pub async fn region_looked(
        &self,
        (region, subject, network): (&str, &str, Option<&str>),
        (reached, nearby): (bool, bool),
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO region_looks AS l (region, subject, network, at, reached, nearby, changed_at, reached_at)
             VALUES ($1, $2, $3, $6::timestamptz, $4::bool, $5, $6::timestamptz, CASE WHEN $4::bool THEN $6::timestamptz END)
             ON CONFLICT (region, subject) DO UPDATE SET network = coalesce(excluded.network, l.network), at = excluded.at, reached = excluded.reached,
               nearby = excluded.nearby, changed_at = CASE WHEN l.reached = excluded.reached THEN l.changed_at ELSE excluded.changed_at END,
               reached_at = coalesce(excluded.reached_at, l.reached_at)
             WHERE l.at <= excluded.at",
            region,
            subject,
            network,
            reached,
            nearby,
            at
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Looks since then, of all regions; older ones of this region are forgotten after a day.
    pub async fn region_looks(&self, region: &str, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<RegionLook>, StoreError> {
        sqlx::query!("DELETE FROM region_looks WHERE region = $1 AND at < $2::timestamptz - interval '1 day'", region, now)
            .execute(self.pool())
            .await?;
        Ok(sqlx::query_as!(
            RegionLook,
            "SELECT region, subject, network, at, reached, nearby, changed_at, reached_at FROM region_looks WHERE at >= $1 ORDER BY at DESC LIMIT 5000",
            since
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Since when a region is cut off; nothing where it is not.
    pub async fn cut_off_since(&self, region: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(sqlx::query_scalar!("SELECT cut_off_since FROM worker_regions WHERE region = $1 AND cut_off_until IS NULL", region)
            .fetch_optional(self.pool())
            .await?
            .flatten())
    }

    /// A region is cut off since then. Answers false where that was known.
    pub async fn begin_cut_off(&self, region: &str, since: DateTime<Utc>) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "INSERT INTO worker_regions AS w (region, seen_at, cut_off_since) VALUES ($1, now(), $2)
             ON CONFLICT (region) DO UPDATE SET cut_off_since = excluded.cut_off_since, cut_off_until = NULL
             WHERE w.cut_off_since IS NULL OR w.cut_off_until IS NOT NULL",
            region,
            since
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// It is no longer. Answers false where that was known.
    pub async fn end_cut_off(&self, region: &str, until: DateTime<Utc>) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "UPDATE worker_regions SET cut_off_until = greatest($2::timestamptz, cut_off_since) WHERE region = $1 AND cut_off_since IS NOT NULL AND cut_off_until IS NULL",
            region,
            until
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() > 0)
    }
}
