//! What an organisation has to say about how its things are looked at: selectors and senders of a domain, what was seen of it before, which
//! block lists are asked.

use std::{collections::HashMap, net::IpAddr};

use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;
use waypost_types::{DomainId, MonitorId};

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
                      ARRAY(SELECT s.selector FROM seen_selectors s WHERE s.org_id = $1 AND s.domain_id = d.id ORDER BY s.seen_at DESC LIMIT $3) AS "seen!"
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

    /// A signature or a report names a selector of a domain: mail is signed with it.
    pub async fn selector_seen(&mut self, domain: DomainId, selector: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO seen_selectors (org_id, domain_id, selector, seen_at) VALUES ($1, $2, $3, now())
             ON CONFLICT (org_id, domain_id, selector) DO UPDATE SET seen_at = excluded.seen_at",
            org,
            domain.0,
            selector
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
