//! What stands on block lists now. A listing is one by its subject and list, whichever monitor's scan saw it: an address and the network that
//! holds it share their listings.

use std::{collections::HashMap, net::IpAddr};

use uuid::Uuid;
use waypost_types::{
    DomainId, Severity,
    asset::{Address, Domain},
    list_history::Standing,
    overview::Listed,
    score::most_beside,
};

use crate::{OrgTx, StoreError};

/// Listings of an organisation that are looked at.
const MOST: i64 = 10_000;

/// All that stands in an organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AllStanding(Vec<Standing>);

impl AllStanding {
    /// What each listing is of.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|listing| listing.subject.as_str())
    }

    /// How many of addresses, and the worst.
    pub(crate) fn of_addresses(&self) -> Listed {
        summed(self.addresses().map(|(_, listing)| listing))
    }

    /// Says of addresses how many stand.
    pub(crate) fn count(&self, addresses: &mut [Address]) {
        let parsed: Vec<(IpAddr, &Standing)> = self.addresses().collect();
        for address in addresses {
            let net = address.cidr.net();
            let listed = summed(parsed.iter().filter(|(subject, _)| net.contains(subject)).map(|(_, listing)| *listing));
            (address.listed, address.worst) = (listed.count, listed.worst);
        }
    }

    /// Those of addresses: what can not be parsed as one is a domain.
    fn addresses(&self) -> impl Iterator<Item = (IpAddr, &Standing)> {
        self.0.iter().filter_map(|listing| Some((listing.subject.parse().ok()?, listing)))
    }
}

fn summed<'a>(listings: impl Iterator<Item = &'a Standing>) -> Listed {
    listings.fold(Listed::default(), |sum, listing| Listed { count: sum.count.saturating_add(1), worst: sum.worst.max(Some(listing.severity)) })
}

/// Domains with the listings of their own names, of their own MX hosts' addresses and of the addresses that send for them.
pub(crate) type OfDomains = HashMap<DomainId, Vec<Standing>>;

/// A domain, and what of it was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The domain.
    pub domain: DomainId,
    /// Its name.
    pub name: String,
    /// Its own name, or the address of a host of it.
    pub subject: String,
}

/// How far these listings let a score rise.
pub(crate) fn most_of(listings: &[Standing]) -> Option<u8> {
    listings.iter().filter_map(|listing| most_beside(listing.severity)).min()
}

/// Gives a domain its listings, and has them weigh on its score.
pub(crate) fn weigh(domain: &mut Domain, of: &OfDomains) {
    domain.listings = of.get(&domain.id).cloned().unwrap_or_default();
    if let Some(audit) = &mut domain.audit {
        audit.hold(&domain.listings);
        (domain.score, domain.grade) = (audit.score, audit.grade.clone());
    }
}

impl OrgTx {
    /// What stands, each once.
    pub(crate) async fn standing(&mut self) -> Result<AllStanding, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT DISTINCT ON (subject, zone) subject, zone, list, severity FROM listings
             WHERE org_id = $1 AND ended_at IS NULL ORDER BY subject, zone, seen_at DESC LIMIT $2",
            org,
            MOST
        )
        .fetch_all(self.connection())
        .await?;
        let standing = |severity: &str| severity.parse::<Severity>().map_err(|()| StoreError::Corrupt(severity.to_owned()));
        let mut all: Vec<Standing> = rows
            .into_iter()
            .map(|row| Ok(Standing { severity: standing(&row.severity)?, subject: row.subject, list: row.list, zone: row.zone }))
            .collect::<Result<_, StoreError>>()?;
        // The database's order of texts need not be ours.
        all.sort_by(|a, b| (&a.subject, &a.zone).cmp(&(&b.subject, &b.zone)));
        Ok(AllStanding(all))
    }

    /// Of these domains, or of all. Hosts of mailbox providers are not a domain's own.
    pub(crate) async fn standing_of_domains(&mut self, all: &AllStanding, only: Option<&[Uuid]>) -> Result<OfDomains, StoreError> {
        if all.0.is_empty() {
            return Ok(OfDomains::new());
        }
        let mut subjects: Vec<String> = all.0.iter().map(|listing| listing.subject.clone()).collect();
        subjects.dedup();
        let mut found = OfDomains::new();
        for row in self.domains_behind(&subjects, only).await? {
            let from = all.0.partition_point(|listing| listing.subject < row.subject);
            let own = all.0.iter().skip(from).take_while(|listing| listing.subject == row.subject).cloned();
            found.entry(row.domain).or_default().extend(own);
        }
        for listings in found.values_mut() {
            listings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (&a.subject, &a.list).cmp(&(&b.subject, &b.list))));
        }
        Ok(found)
    }

    /// Domains by what of theirs is among these names and addresses: the name itself, an address of an MX host of their own, a sender.
    pub async fn domains_behind(&mut self, subjects: &[String], only: Option<&[Uuid]>) -> Result<Vec<Behind>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"WITH hosts AS (
                 SELECT m.domain_id AS id, a.address FROM monitors m
                 CROSS JOIN LATERAL (SELECT l.outcome FROM last_outcomes l WHERE l.org_id = $1 AND l.monitor_id = m.id ORDER BY l.at DESC LIMIT 1) o
                 CROSS JOIN LATERAL jsonb_array_elements(o.outcome->'mx_hosts') h(host)
                 CROSS JOIN LATERAL jsonb_array_elements_text(h.host->'addresses') a(address)
                 WHERE m.org_id = $1 AND m.kind = 'audit' AND ($3::uuid[] IS NULL OR m.domain_id = ANY($3)) AND h.host->>'provider' IS NULL
               )
               SELECT d.id AS "domain!", d.name AS "name!", d.name AS "subject!" FROM domains d WHERE d.org_id = $1 AND d.name = ANY($2) AND ($3::uuid[] IS NULL OR d.id = ANY($3))
               UNION SELECT d.id, d.name, host(s.sender) FROM domains d CROSS JOIN LATERAL unnest(d.senders) s(sender)
                 WHERE d.org_id = $1 AND host(s.sender) = ANY($2) AND ($3::uuid[] IS NULL OR d.id = ANY($3))
               UNION SELECT d.id, d.name, h.address FROM hosts h JOIN domains d ON d.org_id = $1 AND d.id = h.id WHERE h.address = ANY($2)
               ORDER BY 2, 3"#,
            org,
            subjects,
            only
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows.into_iter().map(|row| Behind { domain: DomainId(row.domain), name: row.name, subject: row.subject }).collect())
    }
}
