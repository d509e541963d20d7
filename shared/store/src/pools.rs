//! IP pools: named groups of watched addresses. That a pool is a tag of its addresses is `address_tags` in the database.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;
use waypost_types::{
    AddressId, Cidr, PoolId,
    asset::Address,
    event::LiveEvent,
    pool::{MOST_ADDRESSES, MOST_POOLS, Pool, PoolStanding, tag_of},
};

use crate::{
    OrgTx, StoreError,
    addresses::network,
    monitors::{Added, fresh},
    recording::without_nul,
};

struct PoolRow {
    id: Uuid,
    name: String,
    note: String,
    version: i64,
    created_at: DateTime<Utc>,
}

impl PoolRow {
    fn with(self, addresses: Vec<Address>) -> Pool {
        Pool {
            id: PoolId(self.id),
            tag: tag_of(&self.name),
            name: self.name,
            note: self.note,
            standing: PoolStanding::of(&addresses),
            addresses,
            version: self.version,
            created_at: self.created_at,
        }
    }
}

impl OrgTx {
    /// Whoever changes which addresses are in which pool waits for this first, before any address, monitor or the organisation: an address knows
    /// its pool and a pool its addresses, so that one would else begin with the one and another with the other. Held until the transaction
    /// ends; taking it again is nothing.
    pub async fn lock_pools(&mut self) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('waypost.pools:' || $1::uuid::text, 0))", org).execute(self.connection()).await?;
        Ok(())
    }

    /// All pools with their addresses, by name.
    pub async fn pools(&mut self) -> Result<Vec<Pool>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query_as!(PoolRow, "SELECT id, name, note, version, created_at FROM pools WHERE org_id = $1 ORDER BY name", org)
            .fetch_all(self.connection())
            .await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut addresses = self.addresses_of_pools(&ids).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let own = addresses.remove(&row.id).unwrap_or_default();
                row.with(own)
            })
            .collect())
    }

    /// A pool with its addresses.
    pub async fn pool_by_id(&mut self, id: PoolId) -> Result<Pool, StoreError> {
        let org = self.org().0;
        let row = sqlx::query_as!(PoolRow, "SELECT id, name, note, version, created_at FROM pools WHERE org_id = $1 AND id = $2", org, id.0)
            .fetch_one(self.connection())
            .await?;
        let addresses = self.addresses_of_pools(&[id.0]).await?.remove(&id.0).unwrap_or_default();
        Ok(row.with(addresses))
    }

    async fn addresses_of_pools(&mut self, pools: &[Uuid]) -> Result<HashMap<Uuid, Vec<Address>>, StoreError> {
        let mut by_pool: HashMap<Uuid, Vec<Address>> = HashMap::new();
        for address in self.addresses_in(pools).await? {
            if let Some(pool) = &address.pool {
                by_pool.entry(pool.id.0).or_default().push(address);
            }
        }
        Ok(by_pool)
    }

    /// Makes a pool. `name` is in its kept form. `Limit` where there are enough.
    pub async fn add_pool(&mut self, name: &str, note: &str) -> Result<Added<PoolId, PoolId>, StoreError> {
        let org = self.org().0;
        // Two who add at once do not both find room, either.
        self.lock_pools().await?;
        let known = sqlx::query_scalar!("SELECT id FROM pools WHERE org_id = $1 AND name = $2", org, name).fetch_optional(self.connection()).await?;
        if let Some(id) = known {
            return Ok(Added::Exists(PoolId(id)));
        }
        let limit = i64::try_from(MOST_POOLS).unwrap_or(i64::MAX);
        let there = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM pools WHERE org_id = $1"#, org).fetch_one(self.connection()).await?;
        if there >= limit {
            return Err(StoreError::Limit { what: "pools", limit });
        }
        let id = PoolId(Uuid::now_v7());
        sqlx::query!("INSERT INTO pools (org_id, id, name, note) VALUES ($1, $2, $3, $4)", org, id.0, name, without_nul(note))
            .execute(self.connection())
            .await?;
        Ok(Added::New(id))
    }

    /// Which of these networks are watched, with their ids.
    pub async fn watched_networks(&mut self, cidrs: &[Cidr]) -> Result<Vec<(Cidr, AddressId)>, StoreError> {
        let org = self.org().0;
        let nets = cidrs.iter().map(|cidr| network(*cidr)).collect::<Result<Vec<IpNetwork>, _>>()?;
        let rows = sqlx::query!(r#"SELECT id, net AS "net: IpNetwork" FROM addresses WHERE org_id = $1 AND net = ANY($2::cidr[])"#, org, &nets)
            .fetch_all(self.connection())
            .await?;
        rows.into_iter()
            .map(|row| Ok((row.net.to_string().parse().map_err(|_| StoreError::Corrupt(row.net.to_string()))?, AddressId(row.id))))
            .collect()
    }

    /// These addresses and no others are the pool's; those of another pool leave it.
    pub async fn fill_pool(&mut self, id: PoolId, addresses: &[AddressId]) -> Result<(), StoreError> {
        let org = self.org().0;
        self.lock_pools().await?;
        let ids: Vec<Uuid> = addresses.iter().map(|address| address.0).collect();
        // In one order for everybody, as whoever changes several of them takes them.
        sqlx::query_scalar!(
            "SELECT id FROM addresses WHERE org_id = $1 AND (pool_id = $2 OR id = ANY($3)) ORDER BY id FOR NO KEY UPDATE",
            org,
            id.0,
            &ids
        )
        .fetch_all(self.connection())
        .await?;
        let changed = sqlx::query_scalar!(
            "UPDATE addresses SET pool_id = CASE WHEN id = ANY($3) THEN $2::uuid END, version = version + 1
             WHERE org_id = $1 AND ((pool_id = $2 AND NOT id = ANY($3)) OR (id = ANY($3) AND pool_id IS DISTINCT FROM $2)) RETURNING id",
            org,
            id.0,
            &ids
        )
        .fetch_all(self.connection())
        .await?;
        if !changed.is_empty() {
            let ids = changed.into_iter().map(|id| AddressId(id).to_string()).collect();
            self.notify(&LiveEvent::Assets { ids }).await?;
        }
        Ok(())
    }

    /// `Limit` where a pool has more addresses than it may. Whoever asks holds the pools, so that two who fill it at once see each other.
    pub(crate) async fn pool_has_room(&mut self, id: PoolId) -> Result<(), StoreError> {
        let org = self.org().0;
        let limit = i64::try_from(MOST_ADDRESSES).unwrap_or(i64::MAX);
        let there = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM addresses WHERE org_id = $1 AND pool_id = $2"#, org, id.0)
            .fetch_one(self.connection())
            .await?;
        if there > limit { Err(StoreError::Limit { what: "addresses of a pool", limit }) } else { Ok(()) }
    }

    /// Changes what a pool is for, and raises its version. `Stale` where the caller saw another one.
    pub async fn update_pool(&mut self, id: PoolId, expected: Option<i64>, note: Option<&str>) -> Result<(), StoreError> {
        let org = self.org().0;
        self.lock_pool(id, expected).await?;
        sqlx::query!(
            "UPDATE pools SET note = coalesce($3, note), version = version + 1 WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            note.map(without_nul)
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Removes a pool; its addresses stay watched.
    pub async fn remove_pool(&mut self, id: PoolId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        self.lock_pool(id, expected).await?;
        self.fill_pool(id, &[]).await?;
        sqlx::query!("DELETE FROM pools WHERE org_id = $1 AND id = $2", org, id.0).execute(self.connection()).await?;
        Ok(())
    }

    async fn lock_pool(&mut self, id: PoolId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        self.lock_pools().await?;
        let version =
            sqlx::query_scalar!("SELECT version FROM pools WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0).fetch_one(self.connection()).await?;
        fresh(expected, version)
    }
}
