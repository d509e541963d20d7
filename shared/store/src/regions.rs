//! Workers by region: who is alive, whether port 25 of the outside world can be reached from there, how much of an organisation is checked from
//! where, and whose turn it is to look at a mailbox provider's host.

use chrono::{DateTime, Utc};

use waypost_types::{
    outcome::Outcome,
    region::{Region, RegionState},
};

use crate::{OrgTx, Store, StoreError, recording::storable};

/// A region as its workers last reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionHealth {
    /// Its name.
    pub name: String,
    /// When a worker of it was last alive.
    pub seen_at: DateTime<Utc>,
    /// When some port 25 was last reached from it.
    pub port25_reached_at: Option<DateTime<Utc>>,
    /// Outbound port 25 seems blocked there.
    pub port25_blocked: bool,
    /// Since when it can not reach anything; none where it can.
    pub cut_off_since: Option<DateTime<Utc>>,
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
    pub async fn regions(&self) -> Result<Vec<RegionHealth>, StoreError> {
        Ok(sqlx::query_as!(
            RegionHealth,
            "SELECT region AS name, seen_at, port25_reached_at, port25_blocked, CASE WHEN cut_off_until IS NULL THEN cut_off_since END AS cut_off_since
             FROM worker_regions ORDER BY region"
        )
        .fetch_all(self.pool())
        .await?)
    }
}

impl OrgTx {
    /// Regions that new monitors are checked from: `local` while it is alive, or else the region that was alive last.
    pub async fn default_regions(&mut self) -> Result<Vec<String>, StoreError> {
        let region = sqlx::query_scalar!(
            "SELECT region FROM worker_regions ORDER BY (region = 'local' AND seen_at > now() - interval '10 minutes') DESC, seen_at DESC LIMIT 1"
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(vec![region.unwrap_or_else(|| "local".to_owned())])
    }

    /// Which of these regions no worker was ever seen in.
    pub async fn unknown_regions(&mut self, regions: &[String]) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"SELECT r.region AS "region!" FROM UNNEST($1::text[]) AS r(region)
               WHERE r.region <> 'local' AND NOT EXISTS (SELECT FROM worker_regions w WHERE w.region = r.region)"#,
            regions
        )
        .fetch_all(self.connection())
        .await?)
    }

    /// All regions, and those that the organisation's monitors name, with how much of it is checked from there; by name.
    pub async fn regions(&mut self, now: DateTime<Utc>) -> Result<Vec<Region>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"SELECT region AS "name!", w.seen_at AS "seen_at?", CASE WHEN w.cut_off_until IS NULL THEN w.cut_off_since END AS cut_off_since,
                      coalesce(w.port25_blocked, false) AS "port25_blocked!", coalesce(u.monitors, 0) AS "monitors!", coalesce(u.alone, 0) AS "alone!"
               FROM worker_regions w FULL JOIN (
                 SELECT r.region, count(*) AS monitors, count(*) FILTER (WHERE NOT array_remove(m.regions, r.region) && (SELECT working_regions($2))) AS alone
                 FROM monitors m CROSS JOIN UNNEST(m.regions) AS r(region) WHERE m.org_id = $1 AND NOT m.paused GROUP BY r.region
               ) u USING (region) ORDER BY region"#,
            org,
            now
        )
        .fetch_all(self.connection())
        .await?;
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(rows
            .into_iter()
            .map(|row| Region {
                name: row.name,
                state: RegionState::of(row.seen_at, row.cut_off_since, now),
                seen_at: row.seen_at,
                cut_off_since: row.cut_off_since,
                port25_blocked: row.port25_blocked,
                monitors: count(row.monitors),
                alone: count(row.alone),
            })
            .collect())
    }
}

/// Whose turn it is to look at a mailbox provider's host.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderTurn {
    /// The caller's: nobody has looked for long enough.
    Yours,
    /// Somebody has: this is what they saw, and when.
    Known(DateTime<Utc>, Outcome),
    /// Somebody is looking right now, and nothing is known yet.
    Wait,
}

impl Store {
    /// Asks for the turn to look at a provider's host; it comes once in `spacing_s` per region.
    pub async fn provider_turn(&self, region: &str, target: &str, now: DateTime<Utc>, spacing_s: i32) -> Result<ProviderTurn, StoreError> {
        let mine = sqlx::query_scalar!(
            "INSERT INTO provider_looks AS l (region, target, asked_at) VALUES ($1, $2, $3) ON CONFLICT (region, target) DO UPDATE SET asked_at = excluded.asked_at
             WHERE l.asked_at <= excluded.asked_at - make_interval(secs => $4::int) RETURNING region",
            region,
            target,
            now,
            spacing_s
        )
        .fetch_optional(self.pool())
        .await?;
        if mine.is_some() {
            return Ok(ProviderTurn::Yours);
        }
        let known = sqlx::query!("SELECT observed_at, outcome FROM provider_looks WHERE region = $1 AND target = $2", region, target)
            .fetch_optional(self.pool())
            .await?;
        match known.and_then(|row| row.observed_at.zip(row.outcome)) {
            Some((at, outcome)) => Ok(ProviderTurn::Known(at, serde_json::from_value(outcome)?)),
            None => Ok(ProviderTurn::Wait),
        }
    }

    /// Keeps what was seen at a provider's host for those who ask next.
    pub async fn provider_seen(&self, region: &str, target: &str, at: DateTime<Utc>, outcome: &Outcome) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE provider_looks SET observed_at = $3, outcome = $4 WHERE region = $1 AND target = $2",
            region,
            target,
            at,
            storable(outcome)?
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}
