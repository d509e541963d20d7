//! What an audit discovers: the MX hosts of a domain become servers, their addresses and those of its web hosts become watched addresses,
//! each with its monitor, all due at once, within the organisation's limit.

use std::net::IpAddr;

use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;
use waypost_types::{
    AddressId, DomainId, DomainName, ServerId,
    asset::Source,
    event::LiveEvent,
    monitor::MonitorKind,
    outcome::{AuditReport, MxHost},
};

use crate::{OrgTx, StoreError, assets::Asset, new_monitors::MonitorDraft, servers::smtp_target};

/// MX hosts of one domain that are followed; a zone may name hundreds.
const MAX_HOSTS: usize = 20;
/// Hosts named beside one address or network.
const MAX_NAMES: i32 = 50;
/// Addresses of one host that are followed.
const MAX_ADDRESSES: usize = 8;

/// Days after which an address that a server does not have any more is let go. Rotating names come round within that time.
const LET_GO_DAYS: i32 = 7;

/// What was new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Servers made.
    pub servers: Vec<ServerId>,
    /// Addresses made.
    pub addresses: Vec<AddressId>,
    /// The domain itself is looked for on lists from now on.
    pub lists: bool,
    /// Monitors that the limit left no room for.
    pub over_limit: usize,
}

impl Discovered {
    /// True when nothing is new.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.addresses.is_empty() && !self.lists
    }
}

/// A host and the addresses that it was seen to have.
struct Seen<'a> {
    host: &'a str,
    addresses: &'a [IpAddr],
    source: Source,
    known: Known,
}

/// What becomes of the addresses that a host had before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// They are no longer its own.
    Replaced,
    /// Those of the same kind (IPv4, IPv6) as the addresses it has are no longer its own; of the other kind could not be told.
    SomeReplaced,
    /// Providers and content networks rotate their addresses with every answer: those first seen stay, or every look would bring new ones.
    Stays,
    /// They are let go elsewhere.
    Beside,
}

impl OrgTx {
    /// Takes up what an audit of `domain` saw. Hosts that are no longer MX lose their link to the domain; the servers stay, since people
    /// may have come to rely on them. The domain itself is looked for on the lists of domains. Tells schedulers and listeners when something
    /// is new.
    pub async fn discover(&mut self, domain: DomainId, report: &AuditReport, regions: &[String]) -> Result<Discovered, StoreError> {
        let org = self.org().0;
        let hosts = &report.mx_hosts;
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
            let seen = Seen {
                host: &host.host,
                addresses: &host.addresses,
                source: Source::Mx,
                known: match host.provider {
                    Some(_) => Known::Stays,
                    None if host.partial => Known::SomeReplaced,
                    None => Known::Replaced,
                },
            };
            self.take_addresses(seen, regions, &mut left, &mut found).await?;
        }
        for host in report.web_hosts.iter().filter(|host| DomainName::from_ascii(&host.host).is_ok()) {
            let seen = Seen { host: &host.host, addresses: &host.addresses, source: Source::Web, known: Known::Stays };
            self.take_addresses(seen, regions, &mut left, &mut found).await?;
        }
        self.take_domain_lists(domain, &report.domain, regions, &mut left, &mut found).await?;
        self.tell_discovered(&found, domain.to_string()).await?;
        Ok(found)
    }

    /// Takes up the addresses that a server has now which somebody added: they are looked for on the lists as those of MX hosts are. One that
    /// it has not had for a week is no longer its own, and stays watched like that of an MX host that moved. No addresses tell nothing.
    pub async fn discover_addresses(&mut self, server: ServerId, addresses: &[IpAddr], regions: &[String]) -> Result<Discovered, StoreError> {
        let org = self.org().0;
        let mut found = Discovered::default();
        if addresses.is_empty() {
            return Ok(found);
        }
        // What an MX record names is followed by the audit of its domain.
        let host = sqlx::query_scalar!("SELECT host FROM servers WHERE org_id = $1 AND id = $2 AND source = 'manual'", org, server.0)
            .fetch_optional(self.connection())
            .await?;
        let Some(host) = host else { return Ok(found) };
        let now: Vec<IpNetwork> = addresses.iter().map(|address| single(*address)).collect();
        // Two probes that write to the same rows in another order would wait for each other: who has the organisation's row goes first.
        let mut left = self.monitor_room().await?.left;
        sqlx::query!(
            "UPDATE addresses SET host_seen = host_seen || jsonb_build_object($2::text, now()) WHERE org_id = $1 AND $2 = ANY(hosts) AND net >>= ANY($3::cidr[])",
            org,
            host,
            &now
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "UPDATE addresses SET hosts = array_remove(hosts, $2), host_seen = host_seen - $2::text
             WHERE org_id = $1 AND $2 = ANY(hosts) AND coalesce((host_seen ->> $2)::timestamptz, created_at) < now() - make_interval(days => $3)",
            org,
            host,
            LET_GO_DAYS
        )
        .execute(self.connection())
        .await?;
        let known =
            sqlx::query_scalar!(r#"SELECT net FROM addresses WHERE org_id = $1 AND $2 = ANY(hosts)"#, org, host).fetch_all(self.connection()).await?;
        // A host that rotates its addresses has the first of them watched, not each in turn.
        let is_new = |address: &&IpAddr| !known.iter().any(|net| net.contains(**address));
        let new: Vec<IpAddr> = addresses.iter().filter(is_new).take(MAX_ADDRESSES.saturating_sub(known.len())).copied().collect();
        if new.is_empty() {
            return Ok(found);
        }
        let seen = Seen { host: &host, addresses: &new, source: Source::Server, known: Known::Beside };
        self.take_addresses(seen, regions, &mut left, &mut found).await?;
        self.tell_discovered(&found, server.to_string()).await?;
        Ok(found)
    }

    async fn tell_discovered(&mut self, found: &Discovered, cause: String) -> Result<(), StoreError> {
        if found.is_empty() {
            return Ok(());
        }
        self.notify_due().await?;
        let ids = found.servers.iter().map(ToString::to_string).chain(found.addresses.iter().map(ToString::to_string)).chain([cause]);
        self.notify(&LiveEvent::Assets { ids: ids.collect() }).await
    }

    /// The block-list monitor of a domain by its name.
    async fn take_domain_lists(
        &mut self,
        domain: DomainId,
        name: &str,
        regions: &[String],
        left: &mut i64,
        found: &mut Discovered,
    ) -> Result<(), StoreError> {
        let org = self.org().0;
        let there = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM monitors WHERE org_id = $1 AND kind = 'blacklist' AND target = $2 AND domain_id IS NOT NULL) AS "there!""#,
            org,
            name
        )
        .fetch_one(self.connection())
        .await?;
        if there {
            return Ok(());
        }
        if *left < 1 {
            found.over_limit += 1;
            return Ok(());
        }
        self.watch(MonitorKind::Blacklist, name, regions, domain.into()).await?;
        *left -= 1;
        found.lists = true;
        Ok(())
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

    async fn take_addresses(&mut self, seen: Seen<'_>, regions: &[String], left: &mut i64, found: &mut Discovered) -> Result<(), StoreError> {
        let org = self.org().0;
        let now: Vec<IpNetwork> = seen.addresses.iter().take(MAX_ADDRESSES).map(|address| single(*address)).collect();
        if seen.known == Known::Stays {
            let known =
                sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM addresses WHERE org_id = $1 AND $2 = ANY(hosts)) AS "known!""#, org, seen.host)
                    .fetch_one(self.connection())
                    .await?;
            if known {
                return Ok(());
            }
        } else if matches!(seen.known, Known::Replaced | Known::SomeReplaced) && !now.is_empty() {
            let kinds: Vec<i32> = [4, 6]
                .into_iter()
                .filter(|kind| seen.known == Known::Replaced || seen.addresses.iter().any(|address| address.is_ipv4() == (*kind == 4)))
                .collect();
            sqlx::query!(
                "UPDATE addresses SET hosts = array_remove(hosts, $2), host_seen = host_seen - $2::text
                 WHERE org_id = $1 AND $2 = ANY(hosts) AND NOT net = ANY($3::cidr[]) AND family(net) = ANY($4::int[])",
                org,
                seen.host,
                &now,
                &kinds
            )
            .execute(self.connection())
            .await?;
        }
        for net in now {
            // An address inside a watched network is looked at with the network.
            let updated = sqlx::query!(
                "UPDATE addresses SET hosts = CASE WHEN $3 = ANY(hosts) OR cardinality(hosts) >= $4 THEN hosts ELSE array_append(hosts, $3) END,
                   host_seen = CASE WHEN $3 = ANY(hosts) OR cardinality(hosts) < $4 THEN host_seen || jsonb_build_object($3::text, now()) ELSE host_seen END
                 WHERE org_id = $1 AND net >>= $2::cidr",
                org,
                net,
                seen.host,
                MAX_NAMES
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
                "INSERT INTO addresses (org_id, id, net, source, hosts, host_seen)
                 VALUES ($1, $2, $3::cidr, $5, ARRAY[$4], jsonb_build_object($4::text, now())) ON CONFLICT (org_id, net) DO NOTHING",
                org,
                id.0,
                net,
                seen.host,
                seen.source.as_str()
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
