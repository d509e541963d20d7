//! What an audit discovers: the MX hosts of a domain become servers, their addresses become watched addresses, each with its monitor, all
//! due at once, within the organisation's limit.

use std::net::IpAddr;

use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;
use waypost_types::{AddressId, DomainId, DomainName, ServerId, event::LiveEvent, monitor::MonitorKind, outcome::MxHost};

use crate::{OrgTx, StoreError, assets::Asset, monitors::MonitorDraft, servers::smtp_target};

/// MX hosts of one domain that are followed; a zone may name hundreds.
const MAX_HOSTS: usize = 20;
/// Addresses of one host that are followed.
const MAX_ADDRESSES: usize = 8;

/// What was new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Servers made.
    pub servers: Vec<ServerId>,
    /// Addresses made.
    pub addresses: Vec<AddressId>,
    /// Monitors that the limit left no room for.
    pub over_limit: usize,
}

impl OrgTx {
    /// Takes up what an audit of `domain` saw. Hosts that are no longer MX lose their link to the domain; the servers stay, since people
    /// may have come to rely on them. Tells schedulers and listeners when something is new.
    pub async fn discover(&mut self, domain: DomainId, hosts: &[MxHost], regions: &[String]) -> Result<Discovered, StoreError> {
        let org = self.org().0;
        // A zone may name what is no host at all; the audit says so, and nothing is watched.
        let hosts: Vec<&MxHost> = hosts.iter().filter(|host| DomainName::from_ascii(&host.host).is_ok()).take(MAX_HOSTS).collect();
        // The domain may have been deleted while it was audited. The organisation's row is locked so that two audits share one count of
        // what is left.
        let alive = sqlx::query_scalar!(
            "SELECT id FROM orgs WHERE id = $1 AND EXISTS (SELECT FROM domains WHERE org_id = $1 AND id = $2) FOR NO KEY UPDATE",
            org,
            domain.0
        )
        .fetch_optional(self.connection())
        .await?;
        let mut found = Discovered::default();
        if alive.is_none() {
            return Ok(found);
        }
        let mut left = self.monitor_room().await?.left;
        let mut linked = Vec::with_capacity(hosts.len());
        for host in &hosts {
            if let Some(server) = self.take_server(host, regions, &mut left, &mut found).await? {
                linked.push((server, i32::from(host.preference)));
            }
        }
        self.link_servers(domain, &linked).await?;
        for host in &hosts {
            self.take_addresses(host, regions, &mut left, &mut found).await?;
        }
        if !(found.servers.is_empty() && found.addresses.is_empty()) {
            self.notify_due().await?;
            let ids =
                found.servers.iter().map(ToString::to_string).chain(found.addresses.iter().map(ToString::to_string)).chain([domain.to_string()]);
            self.notify(&LiveEvent::Assets { ids: ids.collect() }).await?;
        }
        Ok(found)
    }

    async fn take_server(
        &mut self,
        host: &MxHost,
        regions: &[String],
        left: &mut i64,
        found: &mut Discovered,
    ) -> Result<Option<ServerId>, StoreError> {
        let org = self.org().0;
        let existing =
            sqlx::query_scalar!("SELECT id FROM servers WHERE org_id = $1 AND host = $2", org, host.host).fetch_optional(self.connection()).await?;
        if let Some(id) = existing {
            return Ok(Some(ServerId(id)));
        }
        if *left < 1 {
            found.over_limit += 1;
            return Ok(None);
        }
        let id = ServerId(Uuid::now_v7());
        let inserted = sqlx::query!(
            "INSERT INTO servers (org_id, id, host, ports, source) VALUES ($1, $2, $3, '{25}', 'mx') ON CONFLICT (org_id, host) DO NOTHING",
            org,
            id.0,
            host.host
        )
        .execute(self.connection())
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(None);
        }
        self.watch(MonitorKind::Smtp, &smtp_target(&host.host, 25), regions, id.into()).await?;
        *left -= 1;
        found.servers.push(id);
        Ok(Some(id))
    }

    async fn link_servers(&mut self, domain: DomainId, linked: &[(ServerId, i32)]) -> Result<(), StoreError> {
        let org = self.org().0;
        let (servers, preferences): (Vec<Uuid>, Vec<i32>) = linked.iter().map(|(server, preference)| (server.0, *preference)).unzip();
        sqlx::query!("DELETE FROM domain_servers WHERE org_id = $1 AND domain_id = $2 AND NOT server_id = ANY($3)", org, domain.0, &servers)
            .execute(self.connection())
            .await?;
        sqlx::query!(
            "INSERT INTO domain_servers (org_id, domain_id, server_id, preference)
             SELECT DISTINCT ON (r.server_id) $1, $2, r.server_id, r.preference FROM UNNEST($3::uuid[], $4::int[]) AS r(server_id, preference) ORDER BY r.server_id, r.preference
             ON CONFLICT (org_id, domain_id, server_id) DO UPDATE SET preference = excluded.preference",
            org,
            domain.0,
            &servers,
            &preferences
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Mailbox providers rotate their addresses with every answer: of their hosts those first seen stay, or every audit would bring new ones.
    async fn take_addresses(&mut self, host: &MxHost, regions: &[String], left: &mut i64, found: &mut Discovered) -> Result<(), StoreError> {
        let org = self.org().0;
        let now: Vec<IpNetwork> = host.addresses.iter().take(MAX_ADDRESSES).map(|address| single(*address)).collect();
        if host.provider.is_some() {
            let known =
                sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM addresses WHERE org_id = $1 AND $2 = ANY(hosts)) AS "known!""#, org, host.host)
                    .fetch_one(self.connection())
                    .await?;
            if known {
                return Ok(());
            }
        } else if !now.is_empty() {
            sqlx::query!(
                "UPDATE addresses SET hosts = array_remove(hosts, $2) WHERE org_id = $1 AND $2 = ANY(hosts) AND NOT net = ANY($3::cidr[])",
                org,
                host.host,
                &now
            )
            .execute(self.connection())
            .await?;
        }
        for net in now {
            let updated = sqlx::query!(
                "UPDATE addresses SET hosts = CASE WHEN $3 = ANY(hosts) THEN hosts ELSE array_append(hosts, $3) END WHERE org_id = $1 AND net = $2::cidr",
                org,
                net,
                host.host
            )
            .execute(self.connection())
            .await?;
            if updated.rows_affected() > 0 {
                continue;
            }
            if *left < 1 {
                found.over_limit += 1;
                continue;
            }
            let id = AddressId(Uuid::now_v7());
            let inserted = sqlx::query!(
                "INSERT INTO addresses (org_id, id, net, source, hosts) VALUES ($1, $2, $3::cidr, 'mx', ARRAY[$4]) ON CONFLICT (org_id, net) DO NOTHING",
                org,
                id.0,
                net,
                host.host
            )
            .execute(self.connection())
            .await?;
            if inserted.rows_affected() == 1 {
                self.watch(MonitorKind::Blacklist, &net.ip().to_string(), regions, id.into()).await?;
                *left -= 1;
                found.addresses.push(id);
            }
        }
        Ok(())
    }

    /// A monitor of that target that is there already (made through the API) is adopted and keeps its settings.
    async fn watch(&mut self, kind: MonitorKind, target: &str, regions: &[String], owner: Asset) -> Result<(), StoreError> {
        self.add_monitor_row(MonitorDraft { kind, target, interval_s: kind.default_interval(), regions, owner: Some(owner) }).await?;
        Ok(())
    }
}

fn single(address: IpAddr) -> IpNetwork {
    IpNetwork::from(address)
}
