//! Making monitors, as far as an organisation has room for them.

use uuid::Uuid;
use waypost_types::{AddressId, DomainId, MonitorId, ServerId, monitor::MonitorKind};

use crate::{OrgTx, StoreError, assets::Asset, monitors::Added};

/// Monitors of an organisation whose owner has not proven an address.
pub const UNVERIFIED_MONITOR_LIMIT: i64 = 25;

/// Room for monitors in an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MonitorRoom {
    /// How many it may have: 25 at most while no owner has a proven address.
    pub limit: i64,
    /// How many more. Negative where the limit was lowered.
    pub left: i64,
    /// Whether an owner has a proven address.
    pub verified: bool,
}

/// A monitor to make.
#[derive(Debug, Clone, Copy)]
pub struct MonitorDraft<'a> {
    /// What to run.
    pub kind: MonitorKind,
    /// On what.
    pub target: &'a str,
    /// Seconds between checks.
    pub interval_s: u32,
    /// From where.
    pub regions: &'a [String],
    /// What it belongs to; a monitor may stand by itself.
    pub owner: Option<Asset>,
}

impl OrgTx {
    /// Makes sure that `wanted` more monitors fit, and keeps others from taking the room until the transaction ends.
    pub async fn reserve_monitors(&mut self, wanted: usize) -> Result<(), StoreError> {
        let room = self.monitor_room().await?;
        if i64::try_from(wanted).unwrap_or(i64::MAX) > room.left {
            let limit = room.limit;
            return Err(if room.verified { StoreError::Limit { what: "monitors", limit } } else { StoreError::Unconfirmed { limit } });
        }
        Ok(())
    }

    /// How many monitors the organisation may have and how many more. The organisation's row is locked, so that two who add share one
    /// count; weakly, since whoever writes a row that refers to it must not wait.
    pub(crate) async fn monitor_room(&mut self) -> Result<MonitorRoom, StoreError> {
        let org = self.org().0;
        let limit = sqlx::query_scalar!("SELECT monitor_limit FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        let row = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM monitors m WHERE m.org_id = $1) AS "used!",
                      EXISTS (SELECT FROM memberships s JOIN users u ON u.id = s.user_id
                              WHERE s.org_id = $1 AND s.role = 'owner' AND u.email_verified_at IS NOT NULL) AS "verified!""#,
            org
        )
        .fetch_one(self.connection())
        .await?;
        let limit = if row.verified { i64::from(limit) } else { i64::from(limit).min(UNVERIFIED_MONITOR_LIMIT) };
        Ok(MonitorRoom { limit, left: limit - row.used, verified: row.verified })
    }

    /// What is watched and matches a target, so that a monitor made by itself belongs to it.
    pub async fn owner_of_target(&mut self, kind: MonitorKind, subject: &str) -> Result<Option<Asset>, StoreError> {
        let org = self.org().0;
        Ok(match kind {
            MonitorKind::Audit => sqlx::query_scalar!("SELECT id FROM domains WHERE org_id = $1 AND name = $2", org, subject)
                .fetch_optional(self.connection())
                .await?
                .map(|id| Asset::Domain(DomainId(id))),
            MonitorKind::Smtp => sqlx::query_scalar!("SELECT id FROM servers WHERE org_id = $1 AND host = $2", org, subject)
                .fetch_optional(self.connection())
                .await?
                .map(|id| Asset::Server(ServerId(id))),
            MonitorKind::Blacklist => sqlx::query_scalar!("SELECT id FROM addresses WHERE org_id = $1 AND net = $2::text::cidr", org, subject)
                .fetch_optional(self.connection())
                .await?
                .map(|id| Asset::Address(AddressId(id))),
            // Services stand by themselves.
            MonitorKind::Tcp | MonitorKind::Https | MonitorKind::Dns | MonitorKind::Imap | MonitorKind::Pop => None,
        })
    }

    /// Makes a monitor that is due at once. One of that kind and target that is there already is adopted when it belongs to nobody, and
    /// is answered as existing otherwise.
    pub async fn add_monitor_row(&mut self, draft: MonitorDraft<'_>) -> Result<Added<MonitorId, MonitorId>, StoreError> {
        let org = self.org().0;
        let id = MonitorId(Uuid::now_v7());
        let (domain, server, address) = Asset::columns(draft.owner);
        let interval = i32::try_from(draft.interval_s).unwrap_or(i32::MAX);
        let inserted = sqlx::query!(
            // A port that is added to a server is judged as its others are, and has their runbook.
            "INSERT INTO monitors (org_id, id, kind, target, interval_s, regions, domain_id, server_id, address_id, policy, runbook)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9,
               coalesce((SELECT policy FROM monitors s WHERE s.org_id = $1 AND s.server_id = $8 ORDER BY s.id LIMIT 1), '{\"fail_after\":2,\"recover_after\":1,\"quorum\":0}'),
               (SELECT runbook FROM monitors s WHERE s.org_id = $1 AND s.server_id = $8 ORDER BY s.id LIMIT 1)
             ON CONFLICT (org_id, kind, target) DO NOTHING",
            org,
            id.0,
            draft.kind.as_str(),
            draft.target,
            interval,
            draft.regions,
            domain,
            server,
            address
        )
        .execute(self.connection())
        .await?;
        if inserted.rows_affected() == 0 {
            let existing = sqlx::query_scalar!(
                "UPDATE monitors SET domain_id = coalesce(domain_id, $4), server_id = coalesce(server_id, $5), address_id = coalesce(address_id, $6)
                 WHERE org_id = $1 AND kind = $2 AND target = $3 RETURNING id",
                org,
                draft.kind.as_str(),
                draft.target,
                domain,
                server,
                address
            )
            .fetch_one(self.connection())
            .await?;
            return Ok(Added::Exists(MonitorId(existing)));
        }
        self.set_units(id, draft.regions, interval).await?;
        Ok(Added::New(id))
    }
}
