//! What domains, servers and addresses have in common: a version, monitors of their own, and listeners who are told.

use uuid::Uuid;
use waypost_types::{AddressId, DomainId, ServerId, event::LiveEvent, tag::TagUse};

use crate::{
    OrgTx, StoreError,
    monitors::{MonitorsChange, fresh},
};

/// Something that is watched and has monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asset {
    /// A domain.
    Domain(DomainId),
    /// A server.
    Server(ServerId),
    /// An address.
    Address(AddressId),
}

impl Asset {
    /// Its id in the columns that refer to it.
    pub(crate) fn uuid(self) -> Uuid {
        match self {
            Self::Domain(id) => id.0,
            Self::Server(id) => id.0,
            Self::Address(id) => id.0,
        }
    }

    /// A monitor's columns `domain_id`, `server_id` and `address_id`: the owner's id in one of them at most.
    pub(crate) fn columns(owner: Option<Self>) -> (Option<Uuid>, Option<Uuid>, Option<Uuid>) {
        match owner {
            None => (None, None, None),
            Some(Self::Domain(id)) => (Some(id.0), None, None),
            Some(Self::Server(id)) => (None, Some(id.0), None),
            Some(Self::Address(id)) => (None, None, Some(id.0)),
        }
    }

    fn event(self) -> LiveEvent {
        let id = match self {
            Self::Domain(id) => id.to_string(),
            Self::Server(id) => id.to_string(),
            Self::Address(id) => id.to_string(),
        };
        LiveEvent::Assets { ids: vec![id] }
    }
}

macro_rules! from_ids {
    ($($variant:ident($id:ty),)*) => {$(
        impl From<$id> for Asset {
            fn from(id: $id) -> Self {
                Self::$variant(id)
            }
        }
    )*};
}
from_ids! { Domain(DomainId), Server(ServerId), Address(AddressId), }

impl OrgTx {
    /// Begins a change: the row is ours until the transaction ends, and its version rises. `Stale` when the caller saw another one.
    pub(crate) async fn begin_change(&mut self, asset: Asset, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let id = asset.uuid();
        let connection = self.connection();
        let seen = match asset {
            Asset::Domain(_) => {
                sqlx::query_scalar!(
                    r#"UPDATE domains SET version = version + 1 WHERE org_id = $1 AND id = $2 RETURNING version - 1 AS "seen!""#,
                    org,
                    id
                )
                .fetch_one(connection)
                .await?
            }
            Asset::Server(_) => {
                sqlx::query_scalar!(
                    r#"UPDATE servers SET version = version + 1 WHERE org_id = $1 AND id = $2 RETURNING version - 1 AS "seen!""#,
                    org,
                    id
                )
                .fetch_one(connection)
                .await?
            }
            Asset::Address(_) => {
                sqlx::query_scalar!(
                    r#"UPDATE addresses SET version = version + 1 WHERE org_id = $1 AND id = $2 RETURNING version - 1 AS "seen!""#,
                    org,
                    id
                )
                .fetch_one(connection)
                .await?
            }
        };
        fresh(expected, seen)
    }

    /// Ends a change: the monitors take their settings, and listeners are told.
    pub(crate) async fn end_change(&mut self, asset: Asset, change: &MonitorsChange<'_>) -> Result<(), StoreError> {
        self.update_monitors_of(asset.uuid(), change).await?;
        self.tell_assets(asset).await
    }

    /// The tags that are in use, in the order of the alphabet.
    pub async fn tags_in_use(&mut self) -> Result<Vec<TagUse>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"SELECT tag AS "tag!", count(*) FILTER (WHERE kind = 'd') AS "domains!", count(*) FILTER (WHERE kind = 's') AS "servers!",
                      count(*) FILTER (WHERE kind = 'a') AS "addresses!", count(*) FILTER (WHERE kind = 'm') AS "services!"
               FROM (SELECT 'd' AS kind, unnest(tags) AS tag FROM domains WHERE org_id = $1
                     UNION ALL SELECT 's', unnest(tags) FROM servers WHERE org_id = $1
                     UNION ALL SELECT 'a', unnest(address_tags(a)) FROM addresses a WHERE org_id = $1
                     UNION ALL SELECT 'm', unnest(tags) FROM monitors WHERE org_id = $1) used
               GROUP BY 1 ORDER BY 1 LIMIT 1000"#,
            org
        )
        .fetch_all(self.connection())
        .await?;
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(rows
            .into_iter()
            .map(|row| TagUse {
                tag: row.tag,
                domains: count(row.domains),
                servers: count(row.servers),
                addresses: count(row.addresses),
                services: count(row.services),
            })
            .collect())
    }

    /// Tells listeners that it is new, another, or gone.
    pub(crate) async fn tell_assets(&mut self, asset: Asset) -> Result<(), StoreError> {
        self.notify(&asset.event()).await
    }

    /// Stops watching it: its monitors go, and their open incidents end. What a domain led to stays.
    pub async fn remove_asset(&mut self, asset: impl Into<Asset>, expected: Option<i64>) -> Result<(), StoreError> {
        let asset = asset.into();
        self.begin_change(asset, expected).await?;
        let org = self.org().0;
        let id = asset.uuid();
        self.delete_monitors_of(id, None).await?;
        let connection = self.connection();
        match asset {
            Asset::Domain(_) => sqlx::query!("DELETE FROM domains WHERE org_id = $1 AND id = $2", org, id).execute(connection).await?,
            Asset::Server(_) => sqlx::query!("DELETE FROM servers WHERE org_id = $1 AND id = $2", org, id).execute(connection).await?,
            Asset::Address(_) => sqlx::query!("DELETE FROM addresses WHERE org_id = $1 AND id = $2", org, id).execute(connection).await?,
        };
        self.tell_assets(asset).await
    }
}
