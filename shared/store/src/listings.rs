//! The listings of watched addresses and domains: from when to when, on which list, with which code and text.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    MonitorId,
    list_history::{Listing, ListingEnd},
    outcome::ListEntry,
};

use crate::{OrgTx, StoreError, recording::without_nul};

/// Listings of one scan that are followed.
const MOST_LISTINGS: usize = 2_000;

/// A stay that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentListing {
    /// Its row.
    pub id: Uuid,
    /// The address or domain.
    pub subject: String,
    /// The list.
    pub zone: String,
    /// When it was last seen there.
    pub seen_at: DateTime<Utc>,
}

/// A stay that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedListing {
    /// Its row.
    pub id: Uuid,
    /// When it ended, as far as anybody knows.
    pub ended_at: DateTime<Utc>,
    /// How.
    pub ending: ListingEnd,
}

impl OrgTx {
    /// Takes up what a scan saw: what is listed begins or goes on.
    pub async fn begin_listings(&mut self, monitor: MonitorId, listed: &[ListEntry], at: DateTime<Utc>) -> Result<(), StoreError> {
        if listed.is_empty() {
            return Ok(());
        }
        let org = self.org().0;
        let column =
            |value: fn(&ListEntry) -> &str| listed.iter().take(MOST_LISTINGS).map(|entry| without_nul(value(entry))).collect::<Vec<String>>();
        let ids: Vec<Uuid> = listed.iter().take(MOST_LISTINGS).map(|_| Uuid::now_v7()).collect();
        let codes: Vec<String> = listed.iter().take(MOST_LISTINGS).map(|entry| without_nul(&entry.codes.join(" "))).collect();
        sqlx::query!(
            "INSERT INTO listings (org_id, id, monitor_id, subject, zone, list, severity, codes, meaning, reason, began_at, seen_at)
             SELECT $1, r.id, $2, r.subject, r.zone, r.list, r.severity, string_to_array(r.codes, ' '), r.meaning, r.reason, $3, $3
             FROM UNNEST($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
               AS r(id, subject, zone, list, severity, codes, meaning, reason)
             ON CONFLICT (org_id, monitor_id, subject, zone) WHERE ended_at IS NULL DO UPDATE SET
               seen_at = excluded.seen_at, codes = excluded.codes, meaning = excluded.meaning, severity = excluded.severity,
               reason = CASE WHEN excluded.reason = '' THEN listings.reason ELSE excluded.reason END",
            org,
            monitor.0,
            at,
            &ids,
            &column(|entry| &entry.subject),
            &column(|entry| &entry.zone),
            &column(|entry| &entry.list),
            &column(|entry| entry.severity.as_str()),
            &codes,
            &column(|entry| &entry.meaning),
            &column(|entry| &entry.reason)
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The listings of a monitor that go on.
    pub async fn current_listings(&mut self, monitor: MonitorId) -> Result<Vec<CurrentListing>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_as!(
            CurrentListing,
            "SELECT id, subject, zone, seen_at FROM listings WHERE org_id = $1 AND monitor_id = $2 AND ended_at IS NULL",
            org,
            monitor.0
        )
        .fetch_all(self.connection())
        .await?)
    }

    /// These are over, as it is known at `at`.
    pub async fn end_listings(&mut self, over: &[EndedListing], at: DateTime<Utc>) -> Result<(), StoreError> {
        if over.is_empty() {
            return Ok(());
        }
        let org = self.org().0;
        let ids: Vec<Uuid> = over.iter().map(|stay| stay.id).collect();
        let ends: Vec<DateTime<Utc>> = over.iter().map(|stay| stay.ended_at).collect();
        let endings: Vec<String> = over.iter().map(|stay| stay.ending.as_str().to_owned()).collect();
        sqlx::query!(
            "UPDATE listings l SET ended_at = e.ended_at, ending = e.ending
             FROM UNNEST($2::uuid[], $3::timestamptz[], $4::text[]) AS e(id, ended_at, ending) WHERE l.org_id = $1 AND l.id = e.id",
            org,
            &ids,
            &ends,
            &endings
        )
        .execute(self.connection())
        .await?;
        // Old stays go when others end: a monitor that nothing happens to keeps what it has.
        sqlx::query!("DELETE FROM listings WHERE org_id = $1 AND ended_at < $2::timestamptz - interval '400 days'", org, at)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Listings of some monitors: those that go on first, then the newest.
    pub async fn listings_of(&mut self, monitors: &[MonitorId], limit: i64) -> Result<Vec<Listing>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|monitor| monitor.0).collect();
        let rows = sqlx::query!(
            "SELECT id, subject, zone, list, severity, codes, meaning, reason, began_at, seen_at, ended_at, ending FROM listings
             WHERE org_id = $1 AND monitor_id = ANY($2) ORDER BY ended_at IS NOT NULL, began_at DESC, id DESC LIMIT $3",
            org,
            &ids,
            limit
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Listing {
                    id: row.id,
                    subject: row.subject,
                    list: row.list,
                    zone: row.zone,
                    severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
                    codes: row.codes,
                    meaning: row.meaning,
                    reason: row.reason,
                    began_at: row.began_at,
                    seen_at: row.seen_at,
                    ended_at: row.ended_at,
                    ending: row.ending.parse().map_err(|()| StoreError::Corrupt(row.ending.clone()))?,
                })
            })
            .collect()
    }
}
