//! The schedule: claiming due units over all tenants, and what a claimed unit is about. Judging and recording live in `recording.rs`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use waypost_types::{MonitorId, OrgId, asset::Ownership, judge::MonitorState, monitor::MonitorKind, outcome::CloseLook};

use crate::{OrgTx, Store, StoreError};

/// A unit that was claimed: from now on it is the claimant's until the lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimedUnit {
    /// Its organisation.
    pub org: OrgId,
    /// Its monitor.
    pub monitor: MonitorId,
    /// Number of this claim; results of an older one are discarded.
    pub claim: i64,
    /// When it should have run.
    pub due_at: DateTime<Utc>,
}

/// A claimed unit with what is needed to run it.
#[derive(Debug, Clone, PartialEq)]
pub struct DueUnit {
    /// Its organisation.
    pub org: OrgId,
    /// Its monitor.
    pub monitor: MonitorId,
    /// Number of the claim.
    pub claim: i64,
    /// What to run.
    pub kind: MonitorKind,
    /// On what.
    pub target: String,
    /// Seconds between runs.
    pub interval_s: i32,
    /// A person asked for a fresh look.
    pub requested: bool,
    /// The monitor's confirmed state.
    pub state: MonitorState,
    /// The domain above the host that is proven to be the organisation's own.
    pub owner: Option<String>,
    /// Nobody has asked the server for a day what anybody may ask, and what its owner may.
    pub looks_due: LooksDue,
    /// The close looks of the last day.
    pub close_looks: Vec<CloseLook>,
    /// A login is stored for the server and is to be tried at this port.
    pub login: bool,
}

/// Which close looks at a server are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LooksDue {
    /// At its old TLS.
    pub old_tls: bool,
    /// At what only its owner may ask; never where nobody has proven to be that.
    pub of_owner: bool,
}

/// A look that another version of the program wrote in a form of its own is as good as none: it must not keep a batch from being run.
fn readable(look: Option<serde_json::Value>) -> Option<CloseLook> {
    serde_json::from_value(look?).inspect_err(|error| tracing::warn!(%error, "a close look can not be read")).ok()
}

/// Claims up to `limit` due units of a region for `lease_s` seconds. The connection is the caller's, so that the task that carries them
/// is pushed in the same transaction.
pub async fn claim_due_units(
    connection: &mut PgConnection,
    region: &str,
    now: DateTime<Utc>,
    limit: i32,
    lease_s: i32,
) -> Result<Vec<ClaimedUnit>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT org_id AS "org_id!", monitor_id AS "monitor_id!", claim AS "claim!", due_at AS "due_at!" FROM claim_due_units($1, $2, $3, $4)"#,
        region,
        now,
        limit,
        lease_s
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ClaimedUnit { org: OrgId(row.org_id), monitor: MonitorId(row.monitor_id), claim: row.claim, due_at: row.due_at })
        .collect())
}

impl Store {
    /// When the next unit of a region is due.
    pub async fn next_due_at(&self, region: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(sqlx::query_scalar!("SELECT next_due_at($1)", region).fetch_one(self.pool()).await?)
    }

    /// A transaction of its own for the scheduler: it sees no tenant's rows, only the functions that claim.
    pub async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StoreError> {
        Ok(self.pool().begin().await?)
    }
}

impl Store {
    /// Of these claims of any organisations, those that are still current and not recorded yet.
    pub async fn load_claimed_units(&self, region: &str, claims: &[(OrgId, MonitorId, i64)]) -> Result<Vec<DueUnit>, StoreError> {
        let orgs: Vec<Uuid> = claims.iter().map(|(org, ..)| org.0).collect();
        let monitors: Vec<Uuid> = claims.iter().map(|(_, monitor, _)| monitor.0).collect();
        let numbers: Vec<i64> = claims.iter().map(|(.., claim)| *claim).collect();
        let rows = sqlx::query!(
            r#"SELECT org_id AS "org_id!", monitor_id AS "monitor_id!", claim AS "claim!", kind AS "kind!", target AS "target!",
                      interval_s AS "interval_s!", state AS "state!", requested AS "requested!", owner,
                      tls_due AS "tls_due!", tls_look, owner_due AS "owner_due!", owner_look, login AS "login!"
               FROM load_claimed_units($1, $2, $3, $4, $5)"#,
            region,
            &orgs,
            &monitors,
            &numbers,
            Ownership::HOLDS_DAYS
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(DueUnit {
                    org: OrgId(row.org_id),
                    monitor: MonitorId(row.monitor_id),
                    claim: row.claim,
                    kind: row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?,
                    target: row.target,
                    interval_s: row.interval_s,
                    state: row.state.parse().map_err(|()| StoreError::Corrupt(row.state.clone()))?,
                    requested: row.requested,
                    owner: row.owner,
                    looks_due: LooksDue { old_tls: row.tls_due, of_owner: row.owner_due },
                    close_looks: [row.tls_look, row.owner_look].into_iter().filter_map(readable).collect(),
                    login: row.login,
                })
            })
            .collect()
    }
}

impl OrgTx {
    /// Gives claims back unrun: they are due at once, for whoever comes first.
    pub async fn release_units(&mut self, region: &str, claims: &[(MonitorId, i64)]) -> Result<u64, StoreError> {
        let org = self.org().0;
        let (monitors, numbers) = split(claims);
        let done = sqlx::query!(
            "UPDATE schedule_units u SET leased = false, due_at = now(), next_run_at = now()
             FROM UNNEST($3::uuid[], $4::bigint[]) AS c(monitor_id, claim)
             WHERE u.org_id = $1 AND u.monitor_id = c.monitor_id AND u.region = $2 AND u.claim = c.claim AND u.leased",
            org,
            region,
            &monitors,
            &numbers
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected())
    }

    /// A look that takes long is under way: its lease ends that many seconds from now. Answers whether the claim is still ours.
    pub async fn renew_lease(&mut self, region: &str, monitor: MonitorId, claim: i64, seconds: i32) -> Result<bool, StoreError> {
        let org = self.org().0;
        let done = sqlx::query!(
            "UPDATE schedule_units SET due_at = now() + make_interval(secs => $5)
             WHERE org_id = $1 AND monitor_id = $2 AND region = $3 AND claim = $4 AND leased",
            org,
            monitor.0,
            region,
            claim,
            f64::from(seconds)
        )
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// “Check now”: due at once in every region, and answered by a fresh look. A unit that runs already runs once more. Wakes the schedulers.
    pub async fn request_check(&mut self, monitor: MonitorId) -> Result<(), StoreError> {
        let org = self.org().0;
        let done = sqlx::query!(
            "UPDATE schedule_units SET requested = true, next_run_at = now(), due_at = CASE WHEN leased THEN due_at ELSE now() END
             WHERE org_id = $1 AND monitor_id = $2",
            org,
            monitor.0
        )
        .execute(self.connection())
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        self.notify_due().await
    }

    /// Wakes the schedulers when the transaction commits: something new is due.
    pub async fn notify_due(&mut self) -> Result<(), StoreError> {
        sqlx::query!("SELECT pg_notify('waypost_due', '')").execute(self.connection()).await?;
        Ok(())
    }

    /// Wakes the notifiers when the transaction commits: a message waits.
    pub async fn notify_mail(&mut self) -> Result<(), StoreError> {
        sqlx::query!("SELECT pg_notify('waypost_mail', '')").execute(self.connection()).await?;
        Ok(())
    }
}

/// Claims as the two arrays that UNNEST takes.
pub(crate) fn split(claims: &[(MonitorId, i64)]) -> (Vec<Uuid>, Vec<i64>) {
    claims.iter().map(|(monitor, claim)| (monitor.0, *claim)).unzip()
}
