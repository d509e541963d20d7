//! The listings of watched addresses and domains: from when to when, on which list, with which code and text.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{MonitorId, list_history::Listing, outcome::ListEntry};

use crate::{OrgTx, StoreError, recording::without_nul};

/// Listings of one scan that are followed.
const MOST_LISTINGS: usize = 2_000;

impl OrgTx {
    /// Takes up what a scan saw: what is listed begins or goes on.
    pub async fn begin_listings(&mut self, monitor: MonitorId, listed: &[&ListEntry], at: DateTime<Utc>) -> Result<(), StoreError> {
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

    /// The listings of a monitor that go on: row, subject and zone.
    pub async fn current_listings(&mut self, monitor: MonitorId) -> Result<Vec<(Uuid, String, String)>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!("SELECT id, subject, zone FROM listings WHERE org_id = $1 AND monitor_id = $2 AND ended_at IS NULL", org, monitor.0)
            .fetch_all(self.connection())
            .await?;
        Ok(rows.into_iter().map(|row| (row.id, row.subject, row.zone)).collect())
    }

    /// These are over.
    pub async fn end_listings(&mut self, ids: &[Uuid], at: DateTime<Utc>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("UPDATE listings SET ended_at = $3 WHERE org_id = $1 AND id = ANY($2)", org, ids, at).execute(self.connection()).await?;
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
            "SELECT id, subject, zone, list, severity, codes, meaning, reason, began_at, seen_at, ended_at FROM listings
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
                })
            })
            .collect()
    }
}
