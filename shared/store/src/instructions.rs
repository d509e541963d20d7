//! What an organisation has to say about how its things are looked at: selectors and senders of a domain, what was seen of it before, which
//! block lists are asked.

use std::{collections::HashMap, net::IpAddr};

use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;
use waypost_types::{DomainId, MonitorId, asset::SeenSelector};

use crate::{OrgTx, StoreError, history::KnownRecords};

/// Selectors of a domain that signatures and reports named.
const MOST_SELECTORS: i64 = 50;

/// What is known of a domain before it is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainInstructions {
    /// DKIM selectors that somebody named.
    pub selectors: Vec<String>,
    /// DKIM selectors that signatures and reports name.
    pub seen_selectors: Vec<String>,
    /// Addresses that send for the domain.
    pub senders: Vec<IpAddr>,
    /// Its records as last seen.
    pub records: KnownRecords,
}

struct DomainRow {
    id: Uuid,
    domain_id: Uuid,
    selectors: Vec<String>,
    senders: Vec<IpNetwork>,
    seen: Vec<String>,
}

impl OrgTx {
    /// Of the domains of these audits.
    pub async fn domain_instructions(&mut self, monitors: &[MonitorId]) -> Result<HashMap<MonitorId, DomainInstructions>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|monitor| monitor.0).collect();
        let rows = sqlx::query_as!(
            DomainRow,
            r#"SELECT m.id, d.id AS domain_id, d.selectors, d.senders,
                      ARRAY(SELECT s.selector FROM seen_selectors s WHERE s.org_id = $1 AND s.domain_id = d.id AND s.seen_at > now() - interval '180 days' ORDER BY s.seen_at DESC LIMIT $3) AS "seen!"
               FROM monitors m JOIN domains d ON d.org_id = $1 AND d.id = m.domain_id
               WHERE m.org_id = $1 AND m.id = ANY($2)"#,
            org,
            &ids,
            MOST_SELECTORS
        )
        .fetch_all(self.connection())
        .await?;
        let domains: Vec<DomainId> = rows.iter().map(|row| DomainId(row.domain_id)).collect();
        let mut known = self.known_records(&domains).await?;
        let instructions = |row: DomainRow| {
            let records = known.remove(&DomainId(row.domain_id)).unwrap_or_default();
            let senders = row.senders.into_iter().map(|net| net.ip()).collect();
            (MonitorId(row.id), DomainInstructions { selectors: row.selectors, seen_selectors: row.seen, senders, records })
        };
        Ok(rows.into_iter().map(instructions).collect())
    }

    /// The selectors that mail of a domain was seen to be signed with, the newest first.
    pub async fn seen_selectors(&mut self, domain: DomainId) -> Result<Vec<SeenSelector>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_as!(
            SeenSelector,
            "SELECT selector, seen_at FROM seen_selectors WHERE org_id = $1 AND domain_id = $2 AND seen_at > now() - interval '180 days'
             ORDER BY seen_at DESC, selector LIMIT $3",
            org,
            domain.0,
            MOST_SELECTORS
        )
        .fetch_all(self.connection())
        .await?)
    }

    /// Forgets a selector that was seen: the next audit does not ask for it.
    pub async fn forget_selector(&mut self, domain: DomainId, selector: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        let gone = sqlx::query!("DELETE FROM seen_selectors WHERE org_id = $1 AND domain_id = $2 AND selector = $3", org, domain.0, selector)
            .execute(self.connection())
            .await?;
        if gone.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Signatures that verify, or reports, name selectors of domains: mail is signed with them. Domains that are not watched are passed over;
    /// of each the newest are kept, for as long as they are seen now and then.
    pub async fn selectors_seen(&mut self, seen: &[(String, String)]) -> Result<(), StoreError> {
        let org = self.org().0;
        let (domains, selectors): (Vec<String>, Vec<String>) = seen.iter().cloned().unzip();
        sqlx::query!(
            "INSERT INTO seen_selectors (org_id, domain_id, selector, seen_at)
             SELECT DISTINCT $1::uuid, d.id, s.selector, now() FROM UNNEST($2::text[], $3::text[]) AS s(domain, selector)
             JOIN domains d ON d.org_id = $1 AND d.name = s.domain
             ON CONFLICT (org_id, domain_id, selector) DO UPDATE SET seen_at = excluded.seen_at",
            org,
            &domains,
            &selectors
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "DELETE FROM seen_selectors s WHERE s.org_id = $1 AND s.domain_id IN (SELECT d.id FROM domains d WHERE d.org_id = $1 AND d.name = ANY($2))
             AND (s.seen_at < now() - interval '180 days' OR s.selector NOT IN
               (SELECT n.selector FROM seen_selectors n WHERE n.org_id = $1 AND n.domain_id = s.domain_id ORDER BY n.seen_at DESC, n.selector LIMIT $3))",
            org,
            &domains,
            MOST_SELECTORS
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
