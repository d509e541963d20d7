//! Addresses and networks that an organisation watches on block lists.

use chrono::{DateTime, Utc};
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;
use waypost_types::{
    AddressId, Cidr, PoolId,
    asset::{Address, AddressPatch},
    monitor::MonitorKind,
    outcome::Outcome,
    pool::PoolRef,
};

use crate::{
    OrgTx, StoreError,
    assets::Asset,
    domains::state_of,
    monitors::{Added, MonitorsChange},
    new_monitors::MonitorDraft,
    servers::source_of,
};

/// Listings that a shown scan is settled with.
const MOST_SETTLED: i64 = 2_000;

pub(crate) struct AddressRow {
    pub id: Uuid,
    pub net: IpNetwork,
    pub source: String,
    pub hosts: Vec<String>,
    pub tags: Vec<String>,
    pub pool_id: Option<Uuid>,
    pub pool_name: Option<String>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub state: Option<String>,
    pub listed: Option<i32>,
    pub answered: Option<i32>,
    pub asked: Option<i32>,
    pub last_checked_at: Option<DateTime<Utc>>,
    pub next_check_at: Option<DateTime<Utc>>,
}

impl TryFrom<AddressRow> for Address {
    type Error = StoreError;
    fn try_from(row: AddressRow) -> Result<Self, StoreError> {
        let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default();
        Ok(Self {
            id: AddressId(row.id),
            cidr: row.net.to_string().parse().map_err(|_| StoreError::Corrupt(row.net.to_string()))?,
            source: source_of(&row.source),
            hosts: row.hosts,
            tags: row.tags,
            pool: row.pool_id.zip(row.pool_name).map(|(id, name)| PoolRef { id: PoolId(id), name }),
            state: state_of(row.state.as_deref())?,
            listed: count(row.listed),
            worst: None,
            answered: count(row.answered),
            asked: count(row.asked),
            last_checked_at: row.last_checked_at,
            next_check_at: row.next_check_at,
            report: None,
            monitors: Vec::new(),
            version: row.version,
            created_at: row.created_at,
        })
    }
}

pub(crate) fn network(cidr: Cidr) -> Result<IpNetwork, StoreError> {
    let net = cidr.net();
    IpNetwork::new(net.addr(), net.prefix_len()).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Which addresses are read; what is absent does not narrow.
#[derive(Default)]
pub(crate) struct Which<'a> {
    pub id: Option<AddressId>,
    /// Those behind this one.
    pub after: Option<Cidr>,
    pub tag: Option<&'a str>,
    pub pools: Option<&'a [Uuid]>,
    /// Those on most lists before the order of networks.
    pub listed_first: bool,
}

impl OrgTx {
    /// Adds an address or network with its block-list monitor, due at once.
    pub async fn add_address(&mut self, cidr: Cidr) -> Result<Added<Address, AddressId>, StoreError> {
        let org = self.org().0;
        let net = network(cidr)?;
        if let Some(id) =
            sqlx::query_scalar!("SELECT id FROM addresses WHERE org_id = $1 AND net = $2::cidr", org, net).fetch_optional(self.connection()).await?
        {
            return Ok(Added::Exists(AddressId(id)));
        }
        self.reserve_monitors(1).await?;
        let id = AddressId(Uuid::now_v7());
        let inserted = sqlx::query!(
            "INSERT INTO addresses (org_id, id, net, source) VALUES ($1, $2, $3::cidr, 'manual') ON CONFLICT (org_id, net) DO NOTHING",
            org,
            id.0,
            net
        )
        .execute(self.connection())
        .await?;
        if inserted.rows_affected() == 0 {
            let id =
                sqlx::query_scalar!("SELECT id FROM addresses WHERE org_id = $1 AND net = $2::cidr", org, net).fetch_one(self.connection()).await?;
            return Ok(Added::Exists(AddressId(id)));
        }
        let regions = self.default_regions().await?;
        self.add_monitor_row(MonitorDraft {
            kind: MonitorKind::Blacklist,
            target: &cidr.to_string(),
            interval_s: MonitorKind::Blacklist.default_interval(),
            regions: &regions,
            owner: Some(Asset::Address(id)),
        })
        .await?;
        self.notify_due().await?;
        self.tell_assets(id.into()).await?;
        Ok(Added::New(self.address(id).await?))
    }

    /// An address with its latest scan and its monitor.
    pub async fn address(&mut self, id: AddressId) -> Result<Address, StoreError> {
        let org = self.org().0;
        let which = Which { id: Some(id), ..Which::default() };
        let mut address = self.read_addresses(&which, 1).await?.pop().ok_or(StoreError::NotFound)?;
        address.monitors = self.monitors_of(&[id.0]).await?;
        if let Some(monitor) = address.monitors.iter().find(|monitor| monitor.kind == MonitorKind::Blacklist) {
            let last = sqlx::query!(
                "SELECT outcome, at FROM last_outcomes WHERE org_id = $1 AND monitor_id = $2 ORDER BY at DESC LIMIT 1",
                org,
                monitor.id.0
            )
            .fetch_optional(self.connection())
            .await?;
            if let Some(last) = last
                && let Outcome::Blacklist(mut report) = serde_json::from_value(last.outcome)?
            {
                // An address and its network may have been scanned since.
                report.settle(&self.listings_within(address.cidr, MOST_SETTLED).await?, last.at);
                address.report = Some(*report);
            }
        }
        self.standing().await?.count(std::slice::from_mut(&mut address));
        Ok(address)
    }

    /// A page of addresses in the order of their networks, without scans and monitors; of those with a tag where one is given.
    pub async fn addresses(&mut self, after: Option<Cidr>, tag: Option<&str>, limit: i64) -> Result<Vec<Address>, StoreError> {
        let mut addresses = self.read_addresses(&Which { after, tag, ..Which::default() }, limit).await?;
        self.standing().await?.count(&mut addresses);
        Ok(addresses)
    }

    /// The addresses of these pools in the order of their networks, without scans and monitors.
    pub(crate) async fn addresses_in(&mut self, pools: &[Uuid]) -> Result<Vec<Address>, StoreError> {
        let mut addresses = self.read_addresses(&Which { pools: Some(pools), ..Which::default() }, i64::MAX).await?;
        self.standing().await?.count(&mut addresses);
        Ok(addresses)
    }

    /// Addresses in the order of their networks, without scans and monitors, and as their own monitors count listings.
    pub(crate) async fn read_addresses(&mut self, which: &Which<'_>, limit: i64) -> Result<Vec<Address>, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            AddressRow,
            r#"SELECT a.id, a.net AS "net: IpNetwork", a.source, a.hosts, a.tags, p.id AS "pool_id?", p.name AS "pool_name?", a.version, a.created_at,
                      m.state AS "state?", m.listed AS "listed?", m.answered AS "answered?", m.asked AS "asked?", m.last_checked_at AS "last_checked_at?",
                      (SELECT min(u.next_run_at) FROM schedule_units u WHERE u.org_id = $1 AND u.monitor_id = m.id AND NOT u.paused) AS next_check_at
               FROM addresses a LEFT JOIN monitors m ON m.org_id = $1 AND m.address_id = a.id AND m.kind = 'blacklist'
               LEFT JOIN pools p ON p.org_id = $1 AND p.id = a.pool_id
               WHERE a.org_id = $1 AND ($2::uuid IS NULL OR a.id = $2) AND ($3::cidr IS NULL OR a.net > $3::cidr)
                 AND ($4::text IS NULL OR $4 = ANY(address_tags(a))) AND ($5::uuid[] IS NULL OR a.pool_id = ANY($5))
               ORDER BY CASE WHEN $6 THEN coalesce(m.listed, 0) END DESC, a.net LIMIT $7"#,
            org,
            which.id.map(|id| id.0),
            which.after.map(network).transpose()?,
            which.tag,
            which.pools,
            which.listed_first,
            limit
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Address::try_from)
        .collect()
    }

    /// Changes an address: its tags, its pool, and the settings of its monitor.
    pub async fn update_address(&mut self, id: AddressId, expected: Option<i64>, patch: &AddressPatch) -> Result<Address, StoreError> {
        if patch.pool.is_some() {
            self.lock_pools().await?;
        }
        self.begin_change(id.into(), expected).await?;
        let org = self.org().0;
        sqlx::query!(
            "UPDATE addresses SET tags = coalesce($3, tags), pool_id = CASE WHEN $4 THEN $5 ELSE pool_id END WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            patch.tags.as_deref(),
            patch.pool.is_some(),
            patch.pool.flatten().map(|pool| pool.0)
        )
        .execute(self.connection())
        .await?;
        if let Some(Some(pool)) = patch.pool {
            self.pool_has_room(pool).await?;
        }
        self.end_change(
            id.into(),
            &MonitorsChange {
                interval_s: patch.interval_s,
                paused: patch.paused,
                regions: patch.regions.as_deref(),
                policy: patch.policy,
                runbook: patch.runbook.as_ref().map(Option::as_ref),
            },
        )
        .await?;
        self.address(id).await
    }
}
