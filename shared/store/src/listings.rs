//! The listings of watched addresses and domains: from when to when, on which list, with which code and text.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    Cidr, MonitorId,
    list_history::{Listing, ListingEnd},
    outcome::ListEntry,
};

use crate::{OrgTx, StoreError, addresses::network, recording::without_nul};

/// Listings of one scan that are followed.
const MOST_LISTINGS: usize = 2_000;
/// Stays that go on within one scan.
const MOST_CURRENT: i64 = 20_000;

/// A stay that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentListing {
    /// Its row.
    pub id: Uuid,
    /// Whose scan saw it first.
    pub monitor: MonitorId,
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

struct ListingRow {
    id: Uuid,
    subject: String,
    zone: String,
    list: String,
    severity: String,
    codes: Vec<String>,
    meaning: String,
    reason: String,
    began_at: DateTime<Utc>,
    seen_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    ending: String,
    stood_before: bool,
}

impl TryFrom<ListingRow> for Listing {
    type Error = StoreError;
    fn try_from(row: ListingRow) -> Result<Self, StoreError> {
        Ok(Self {
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
            stood_before: row.stood_before,
        })
    }
}

impl OrgTx {
    /// Takes up what a scan saw: what is listed begins, or goes on whichever monitor's scan saw it before.
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
            "WITH r AS (
               SELECT * FROM UNNEST($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
                 AS r(id, subject, zone, list, severity, codes, meaning, reason)
             ), known AS (
               UPDATE listings l SET seen_at = greatest(l.seen_at, $3), codes = string_to_array(r.codes, ' '), meaning = r.meaning, severity = r.severity,
                 reason = CASE WHEN r.reason = '' THEN l.reason ELSE r.reason END
               FROM r WHERE l.org_id = $1 AND l.ended_at IS NULL AND l.subject = r.subject AND l.zone = r.zone
               RETURNING l.subject, l.zone
             )
             INSERT INTO listings (org_id, id, monitor_id, subject, zone, list, severity, codes, meaning, reason, began_at, seen_at)
             SELECT DISTINCT ON (r.subject, r.zone) $1, r.id, $2, r.subject, r.zone, r.list, r.severity, string_to_array(r.codes, ' '), r.meaning, r.reason, $3, $3
             FROM r WHERE NOT EXISTS (SELECT FROM known k WHERE k.subject = r.subject AND k.zone = r.zone)",
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

    /// The listings that go on of a monitor, and of addresses of its network whichever monitor's scan saw them. Until the transaction ends no
    /// other changes any.
    pub async fn current_listings(&mut self, monitor: MonitorId, within: Option<Cidr>) -> Result<Vec<CurrentListing>, StoreError> {
        let (org, within) = (self.org().0, within.map(network).transpose()?);
        // Two scans of one address at once would begin its stay twice.
        sqlx::query!("SELECT FROM pg_advisory_xact_lock(hashtextextended('listings ' || $1::text, 0))", org.to_string())
            .execute(self.connection())
            .await?;
        let rows = sqlx::query!(
            "SELECT id, monitor_id, subject, zone, seen_at FROM listings
             WHERE org_id = $1 AND ended_at IS NULL AND (monitor_id = $2 OR subject_address(subject) <<= $3::cidr) LIMIT $4",
            org,
            monitor.0,
            within,
            MOST_CURRENT
        )
        .fetch_all(self.connection())
        .await?;
        let stay = |id, monitor, subject, zone, seen_at| CurrentListing { id, monitor: MonitorId(monitor), subject, zone, seen_at };
        Ok(rows.into_iter().map(|row| stay(row.id, row.monitor_id, row.subject, row.zone, row.seen_at)).collect())
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

    /// Listings of addresses of a network, whichever monitor's scans saw them: those that go on first, then the newest.
    pub async fn listings_within(&mut self, cidr: Cidr, limit: i64) -> Result<Vec<Listing>, StoreError> {
        let (org, net) = (self.org().0, network(cidr)?);
        sqlx::query_as!(
            ListingRow,
            r#"SELECT l.id, l.subject, l.zone, l.list, l.severity, l.codes, l.meaning, l.reason, l.began_at, l.seen_at, l.ended_at, l.ending,
                      coalesce(CASE WHEN l.ended_at IS NULL THEN m.conditions->'baseline' ? (l.subject || '|' || l.zone)
                                    ELSE l.began_at <= (m.conditions->>'began')::timestamptz END, false) AS "stood_before!"
               FROM listings l LEFT JOIN monitors m ON m.org_id = $1 AND m.id = l.monitor_id
               WHERE l.org_id = $1 AND subject_address(l.subject) <<= $2::cidr ORDER BY l.ended_at IS NOT NULL, l.began_at DESC, l.id DESC LIMIT $3"#,
            org,
            net,
            limit
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Listing::try_from)
        .collect()
    }

    /// Listings that the scans of some monitors saw: those that go on first, then the newest.
    pub async fn listings_of(&mut self, monitors: &[MonitorId], limit: i64) -> Result<Vec<Listing>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|monitor| monitor.0).collect();
        sqlx::query_as!(
            ListingRow,
            r#"SELECT l.id, l.subject, l.zone, l.list, l.severity, l.codes, l.meaning, l.reason, l.began_at, l.seen_at, l.ended_at, l.ending,
                      coalesce(CASE WHEN l.ended_at IS NULL THEN m.conditions->'baseline' ? (l.subject || '|' || l.zone)
                                    ELSE l.began_at <= (m.conditions->>'began')::timestamptz END, false) AS "stood_before!"
               FROM listings l LEFT JOIN monitors m ON m.org_id = $1 AND m.id = l.monitor_id
               WHERE l.org_id = $1 AND l.monitor_id = ANY($2) ORDER BY l.ended_at IS NOT NULL, l.began_at DESC, l.id DESC LIMIT $3"#,
            org,
            &ids,
            limit
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Listing::try_from)
        .collect()
    }
}
