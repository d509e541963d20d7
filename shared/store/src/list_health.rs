//! Whether the public block lists can be believed, by region, and what operators were told of it. Outside tenancy.

use chrono::{DateTime, Utc};
use waypost_types::lists::ZoneHealth;

use crate::{Store, StoreError, account_mail::put_account_mail, outbox::MailBody, recording::without_nul};

/// A list that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it was tested.
    pub region: String,
    /// Its id in the catalog.
    pub list: String,
    /// Its DNS zone.
    pub zone: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl Store {
    /// Keeps what a region's worker knows of the lists.
    pub async fn list_health_seen(&self, region: &str, health: &[&ZoneHealth], now: DateTime<Utc>) -> Result<(), StoreError> {
        let column = |value: fn(&ZoneHealth) -> &str| health.iter().map(|zone| without_nul(value(zone))).collect::<Vec<String>>();
        let ok: Vec<bool> = health.iter().map(|zone| zone.ok).collect();
        let since: Vec<DateTime<Utc>> = health.iter().map(|zone| zone.since).collect();
        sqlx::query!(
            "INSERT INTO list_health (region, zone, list, ok, reason, since, seen_at)
             SELECT DISTINCT ON (r.zone) $1, r.zone, r.list, r.ok, r.reason, r.since, $2
             FROM UNNEST($3::text[], $4::text[], $5::bool[], $6::text[], $7::timestamptz[]) AS r(zone, list, ok, reason, since) ORDER BY r.zone, r.ok
             ON CONFLICT (region, zone) DO UPDATE SET list = excluded.list, ok = excluded.ok, reason = excluded.reason, seen_at = excluded.seen_at,
               since = CASE WHEN list_health.ok = excluded.ok THEN least(list_health.since, excluded.since) ELSE excluded.since END
             WHERE list_health.ok <> excluded.ok OR list_health.reason <> excluded.reason OR list_health.seen_at < excluded.seen_at - interval '10 minutes'",
            region,
            now,
            &column(|zone| &zone.zone),
            &column(|zone| &zone.id),
            &ok,
            &column(|zone| &zone.reason),
            &since
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Tells the operators of lists that have been set aside since before `settled` and that nobody told them of since `again`: who takes the
    /// lists writes the mails, in one transaction. Answers the lists.
    pub async fn tell_of_lists(
        &self,
        region: &str,
        (now, settled, again): (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
        operators: &[String],
        mail_domain: &str,
        mail: impl FnOnce(&[SetAside]) -> MailBody,
    ) -> Result<Vec<SetAside>, StoreError> {
        let mut tx = self.pool().begin().await?;
        let untold = sqlx::query_as!(
            SetAside,
            "UPDATE list_health SET told_at = $2 WHERE region = $1 AND NOT ok AND since <= $3 AND (told_at IS NULL OR (told_at < since AND told_at < $4))
             RETURNING region, list, zone, reason, since",
            region,
            now,
            settled,
            again
        )
        .fetch_all(&mut *tx)
        .await?;
        if !untold.is_empty() {
            let body = mail(&untold);
            for operator in operators {
                put_account_mail(&mut tx, operator, &body, mail_domain).await?;
            }
        }
        tx.commit().await?;
        Ok(untold)
    }

    /// All lists that are set aside, by region and zone; what no worker tested for a day is not known any more.
    pub async fn lists_set_aside(&self, now: DateTime<Utc>) -> Result<Vec<SetAside>, StoreError> {
        Ok(sqlx::query_as!(
            SetAside,
            "SELECT region, list, zone, reason, since FROM list_health WHERE NOT ok AND seen_at > $1::timestamptz - interval '1 day' ORDER BY region, zone LIMIT 1000",
            now
        )
        .fetch_all(self.pool())
        .await?)
    }
}
