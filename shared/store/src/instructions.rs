//! What an organisation has to say about how its things are looked at: selectors and senders of a domain, what was seen of it before, which
//! block lists are asked.

use std::{collections::HashMap, net::IpAddr};

use chrono::{DateTime, Utc};
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;
use waypost_types::{DomainId, MonitorId, asset::SeenSelector, audit::SelectorOrigin};

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
    /// DKIM selectors that audits found a key at.
    pub found_selectors: Vec<String>,
    /// Addresses that send for the domain.
    pub senders: Vec<IpAddr>,
    /// Its records as last seen.
    pub records: KnownRecords,
    /// Its MX records as they were before there were none.
    pub lost_mx: Vec<String>,
}

struct DomainRow {
    id: Uuid,
    domain_id: Uuid,
    selectors: Vec<String>,
    senders: Vec<IpNetwork>,
    seen: Vec<String>,
    found: Vec<String>,
    lost_mx: Vec<String>,
}

impl OrgTx {
    /// Of the domains of these audits.
    pub async fn domain_instructions(&mut self, monitors: &[MonitorId]) -> Result<HashMap<MonitorId, DomainInstructions>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|monitor| monitor.0).collect();
        let rows = sqlx::query_as!(
            DomainRow,
            r#"SELECT m.id, d.id AS domain_id, d.selectors, d.senders,
                      ARRAY(SELECT s.selector FROM seen_selectors s WHERE s.org_id = $1 AND s.domain_id = d.id AND s.origin = 'seen'
                            AND s.seen_at > now() - interval '180 days' ORDER BY s.seen_at DESC LIMIT $3) AS "seen!",
                      ARRAY(SELECT s.selector FROM seen_selectors s WHERE s.org_id = $1 AND s.domain_id = d.id AND s.origin = 'found'
                            AND s.seen_at > now() - interval '180 days' ORDER BY s.seen_at DESC LIMIT $3) AS "found!",
                      COALESCE((SELECT c.before FROM record_changes c JOIN domain_records r ON r.org_id = $1 AND r.domain_id = d.id AND r.family = 'mx' AND r.records = '[]'
                                WHERE c.org_id = $1 AND c.domain_id = d.id AND c.family = 'mx' AND c.after = '{}' AND c.at > now() - interval '180 days'
                                ORDER BY c.id DESC LIMIT 1), '{}') AS "lost_mx!"
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
            let DomainRow { id, selectors, seen: seen_selectors, found: found_selectors, lost_mx, .. } = row;
            (MonitorId(id), DomainInstructions { selectors, seen_selectors, found_selectors, senders, records, lost_mx })
        };
        Ok(rows.into_iter().map(instructions).collect())
    }

    /// The selectors that mail of a domain was seen to be signed with, and those that audits found a key at, the newest first.
    pub async fn seen_selectors(&mut self, domain: DomainId) -> Result<Vec<SeenSelector>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_as!(
            SelectorRow,
            r#"SELECT selector, origin = 'found' AS "found!", seen_at FROM seen_selectors
               WHERE org_id = $1 AND domain_id = $2 AND seen_at > now() - interval '180 days' ORDER BY seen_at DESC, selector LIMIT $3"#,
            org,
            domain.0,
            2 * MOST_SELECTORS
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(SeenSelector::from)
        .collect())
    }

    /// Forgets a selector that was seen or found: the next audit does not miss it.
    pub async fn forget_selector(&mut self, domain: DomainId, selector: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        let gone = sqlx::query!("DELETE FROM seen_selectors WHERE org_id = $1 AND domain_id = $2 AND selector = $3", org, domain.0, selector)
            .execute(self.connection())
            .await?;
        if gone.rows_affected() == 0 { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// Signatures that verify, or reports, name selectors of domains: mail is signed with them. Domains that are not watched are passed over.
    pub async fn selectors_seen(&mut self, seen: &[(String, String)]) -> Result<(), StoreError> {
        let org = self.org().0;
        let (domains, selectors): (Vec<String>, Vec<String>) = seen.iter().cloned().unzip();
        sqlx::query!(
            "INSERT INTO seen_selectors (org_id, domain_id, selector, seen_at)
             SELECT DISTINCT $1::uuid, d.id, s.selector, now() FROM UNNEST($2::text[], $3::text[]) AS s(domain, selector)
             JOIN domains d ON d.org_id = $1 AND d.name = s.domain
             ON CONFLICT (org_id, domain_id, selector) DO UPDATE SET seen_at = excluded.seen_at, origin = 'seen'",
            org,
            &domains,
            &selectors
        )
        .execute(self.connection())
        .await?;
        self.let_selectors_go(&domains).await
    }

    /// An audit of a domain found keys at these selectors. What mail names is better known already; what is there is written down once a day.
    pub async fn selectors_found(&mut self, domain: DomainId, selectors: &[String]) -> Result<(), StoreError> {
        let org = self.org().0;
        let names = sqlx::query_scalar!(
            r#"WITH kept AS (
                 INSERT INTO seen_selectors AS s (org_id, domain_id, selector, seen_at, origin)
                 SELECT DISTINCT $1::uuid, d.id, f.selector, now(), 'found' FROM UNNEST($3::text[]) AS f(selector)
                 JOIN domains d ON d.org_id = $1 AND d.id = $2
                 ON CONFLICT (org_id, domain_id, selector) DO UPDATE SET seen_at = excluded.seen_at, origin = 'found'
                 WHERE s.seen_at < now() - interval '180 days' OR (s.origin = 'found' AND s.seen_at < now() - interval '1 day')
                 RETURNING s.domain_id)
               SELECT DISTINCT d.name FROM kept JOIN domains d ON d.org_id = $1 AND d.id = kept.domain_id"#,
            org,
            domain.0,
            selectors
        )
        .fetch_all(self.connection())
        .await?;
        if names.is_empty() { Ok(()) } else { self.let_selectors_go(&names).await }
    }

    /// Of each domain the newest of each origin are kept, for as long as they are seen now and then.
    async fn let_selectors_go(&mut self, domains: &[String]) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "DELETE FROM seen_selectors s WHERE s.org_id = $1 AND s.domain_id IN (SELECT d.id FROM domains d WHERE d.org_id = $1 AND d.name = ANY($2))
             AND (s.seen_at < now() - interval '180 days' OR s.selector NOT IN
               (SELECT n.selector FROM seen_selectors n WHERE n.org_id = $1 AND n.domain_id = s.domain_id AND n.origin = s.origin
                ORDER BY n.seen_at DESC, n.selector LIMIT $3))",
            org,
            domains,
            MOST_SELECTORS
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

struct SelectorRow {
    selector: String,
    found: bool,
    seen_at: DateTime<Utc>,
}

impl From<SelectorRow> for SeenSelector {
    fn from(SelectorRow { selector, found, seen_at }: SelectorRow) -> Self {
        Self { selector, origin: if found { SelectorOrigin::Found } else { SelectorOrigin::Seen }, seen_at }
    }
}
