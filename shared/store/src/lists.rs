//! Which block lists an organisation asks, with the keys of those that want one (sealed: the store can not read them), and whether the lists
//! can be believed.

use chrono::{DateTime, Utc};
use waypost_types::lists::{ListChoice, ZoneHealth};

use crate::{OrgTx, Store, StoreError, account_mail::put_account_mail, monitors::fresh, outbox::MailBody, recording::without_nul};

/// A key as it is kept.
pub type SealedKey = (String, Vec<u8>);

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

impl OrgTx {
    /// The choice and its version; the catalog's defaults at version 0 before anybody chose.
    pub async fn list_choice(&mut self) -> Result<(ListChoice, i64), StoreError> {
        let org = self.org().0;
        let row = sqlx::query!("SELECT choice, version FROM list_choices WHERE org_id = $1", org).fetch_optional(self.connection()).await?;
        Ok(match row {
            Some(row) => (serde_json::from_value(row.choice)?, row.version),
            None => (ListChoice::default(), 0),
        })
    }

    /// Replaces the choice. `Stale` when the caller saw another version.
    pub async fn set_list_choice(&mut self, choice: &ListChoice, expected: Option<i64>) -> Result<i64, StoreError> {
        let org = self.org().0;
        // The organisation's row, so that two who choose for the first time do not both find nothing.
        sqlx::query!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        let (_, version) = self.list_choice().await?;
        fresh(expected, version)?;
        Ok(sqlx::query_scalar!(
            "INSERT INTO list_choices (org_id, choice) VALUES ($1, $2)
             ON CONFLICT (org_id) DO UPDATE SET choice = excluded.choice, version = list_choices.version + 1 RETURNING version",
            org,
            serde_json::to_value(choice)?
        )
        .fetch_one(self.connection())
        .await?)
    }

    /// The keys, sealed, by the ids of their lists.
    pub async fn list_keys(&mut self) -> Result<Vec<SealedKey>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!("SELECT list, sealed FROM list_keys WHERE org_id = $1 ORDER BY list", org).fetch_all(self.connection()).await?;
        Ok(rows.into_iter().map(|row| (row.list, row.sealed)).collect())
    }

    /// Keeps a key in place of another.
    pub async fn set_list_key(&mut self, list: &str, sealed: &[u8]) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO list_keys (org_id, list, sealed) VALUES ($1, $2, $3) ON CONFLICT (org_id, list) DO UPDATE SET sealed = excluded.sealed",
            org,
            list,
            sealed
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Forgets a key. `NotFound` when there is none.
    pub async fn remove_list_key(&mut self, list: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        let done = sqlx::query!("DELETE FROM list_keys WHERE org_id = $1 AND list = $2", org, list).execute(self.connection()).await?;
        if done.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }
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
