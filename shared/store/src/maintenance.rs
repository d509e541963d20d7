//! Maintenance windows and the organisation's time zone. Which occurrence is on and which is next is reckoned by the database's clock.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    AddressId, DomainId, MonitorId, ServerId, WindowId,
    maintenance::{Covers, MaintenanceWindow, NewWindow, Plan, Watched, WindowPatch},
    org_settings::OrgSettings,
    zone::Zone,
};

use crate::{OrgTx, StoreError, monitors::fresh};

/// Windows of an organisation at most.
const MAX_WINDOWS: i64 = 100;

struct WindowRow {
    id: Uuid,
    name: String,
    covers: Value,
    plan: Value,
    ended_early_at: Option<DateTime<Utc>>,
    version: i64,
    created_at: DateTime<Utc>,
    time_zone: String,
    now: DateTime<Utc>,
}

impl TryFrom<WindowRow> for MaintenanceWindow {
    type Error = StoreError;
    fn try_from(row: WindowRow) -> Result<Self, StoreError> {
        let (zone, plan): (Zone, Plan) = (zone_of(&row.time_zone)?, serde_json::from_value(row.plan)?);
        Ok(Self {
            id: WindowId(row.id),
            name: row.name,
            covers: serde_json::from_value(row.covers)?,
            time_zone: zone,
            active: plan.at(zone, row.ended_early_at, row.now),
            next: plan.next(zone, row.now),
            plan,
            ended_early_at: row.ended_early_at,
            version: row.version,
            created_at: row.created_at,
        })
    }
}

fn zone_of(text: &str) -> Result<Zone, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(text.to_owned()))
}

/// Windows of an organisation that may be on.
#[derive(Debug, Clone, Default)]
pub struct WindowsInForce {
    zone: Zone,
    windows: Vec<(Covers, Plan, Option<DateTime<Utc>>)>,
}

impl WindowsInForce {
    /// Whether something is in a window at an instant.
    pub fn cover(&self, watched: &Watched<'_>, at: DateTime<Utc>) -> bool {
        self.windows.iter().any(|(covers, plan, ended)| covers.includes(watched) && plan.at(self.zone, *ended, at).is_some())
    }
}

impl OrgTx {
    /// What holds for the organisation as a whole.
    pub async fn org_settings(&mut self) -> Result<OrgSettings, StoreError> {
        let org = self.org().0;
        let row = sqlx::query!("SELECT name, time_zone, version FROM orgs WHERE id = $1", org).fetch_one(self.connection()).await?;
        Ok(OrgSettings { name: row.name, time_zone: zone_of(&row.time_zone)?, version: row.version })
    }

    /// Changes it. `Stale` when the caller saw another version.
    pub async fn update_org_settings(&mut self, expected: Option<i64>, time_zone: Option<Zone>) -> Result<OrgSettings, StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!("SELECT version FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        fresh(expected, version)?;
        let zone = time_zone.map(|zone| zone.to_string());
        sqlx::query!("UPDATE orgs SET time_zone = coalesce($2, time_zone), version = version + 1 WHERE id = $1", org, zone)
            .execute(self.connection())
            .await?;
        self.org_settings().await
    }

    /// All windows: those that are not over first, in the order in which they were made.
    pub async fn windows(&mut self) -> Result<Vec<MaintenanceWindow>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query_as!(
            WindowRow,
            r#"SELECT w.id, w.name, w.covers, w.plan, w.ended_early_at, w.version, w.created_at, o.time_zone, now() AS "now!"
               FROM maintenance_windows w JOIN orgs o ON o.id = w.org_id WHERE w.org_id = $1 ORDER BY coalesce(w.over_at <= now(), false), w.id"#,
            org
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter().map(MaintenanceWindow::try_from).collect()
    }

    /// A window.
    pub async fn window(&mut self, id: WindowId) -> Result<MaintenanceWindow, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            WindowRow,
            r#"SELECT w.id, w.name, w.covers, w.plan, w.ended_early_at, w.version, w.created_at, o.time_zone, now() AS "now!"
               FROM maintenance_windows w JOIN orgs o ON o.id = w.org_id WHERE w.org_id = $1 AND w.id = $2"#,
            org,
            id.0
        )
        .fetch_one(self.connection())
        .await?
        .try_into()
    }

    /// Windows that may be on, for judging what was seen lately.
    pub async fn windows_in_force(&mut self) -> Result<WindowsInForce, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT w.covers, w.plan, w.ended_early_at, o.time_zone FROM maintenance_windows w JOIN orgs o ON o.id = w.org_id
             WHERE w.org_id = $1 AND (w.over_at IS NULL OR w.over_at > now() - interval '1 hour')",
            org
        )
        .fetch_all(self.connection())
        .await?;
        let mut force = WindowsInForce::default();
        for row in rows {
            force.zone = zone_of(&row.time_zone)?;
            force.windows.push((serde_json::from_value(row.covers)?, serde_json::from_value(row.plan)?, row.ended_early_at));
        }
        Ok(force)
    }

    /// Whether a monitor is in a window at an instant; what is about none is in none.
    pub async fn is_in_window(&mut self, monitor: Option<MonitorId>, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let Some(monitor) = monitor else { return Ok(false) };
        let windows = self.windows_in_force().await?;
        if windows.windows.is_empty() {
            return Ok(false);
        }
        let org = self.org().0;
        let row = sqlx::query!(
            r#"SELECT domain_id, server_id, address_id, monitor_tags(m) AS "tags!" FROM monitors m WHERE org_id = $1 AND id = $2"#,
            org,
            monitor.0
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(row.is_some_and(|row| {
            let (domain, server, address) = (row.domain_id.map(DomainId), row.server_id.map(ServerId), row.address_id.map(AddressId));
            windows.cover(&Watched { monitor: Some(monitor), domain, server, address, tags: &row.tags }, at)
        }))
    }

    /// How many of the things that a window names are watched.
    pub async fn count_covered(&mut self, covers: &Covers) -> Result<usize, StoreError> {
        let org = self.org().0;
        let domains: Vec<Uuid> = covers.domains.iter().map(|id| id.0).collect();
        let servers: Vec<Uuid> = covers.servers.iter().map(|id| id.0).collect();
        let addresses: Vec<Uuid> = covers.addresses.iter().map(|id| id.0).collect();
        let monitors: Vec<Uuid> = covers.monitors.iter().map(|id| id.0).collect();
        let count = sqlx::query_scalar!(
            r#"SELECT (SELECT count(*) FROM domains WHERE org_id = $1 AND id = ANY($2)) + (SELECT count(*) FROM servers WHERE org_id = $1 AND id = ANY($3))
                    + (SELECT count(*) FROM addresses WHERE org_id = $1 AND id = ANY($4)) + (SELECT count(*) FROM monitors WHERE org_id = $1 AND id = ANY($5)) AS "count!""#,
            org,
            &domains,
            &servers,
            &addresses,
            &monitors
        )
        .fetch_one(self.connection())
        .await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Adds a window. Those that were over three months ago make room; `Limit` when there are enough all the same.
    pub async fn add_window(&mut self, new: &NewWindow) -> Result<MaintenanceWindow, StoreError> {
        let org = self.org().0;
        // The organisation's row, so that two who add at once do not both find room.
        sqlx::query!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        sqlx::query!("DELETE FROM maintenance_windows WHERE org_id = $1 AND over_at < now() - interval '90 days'", org)
            .execute(self.connection())
            .await?;
        let there = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM maintenance_windows WHERE org_id = $1"#, org)
            .fetch_one(self.connection())
            .await?;
        if there >= MAX_WINDOWS {
            return Err(StoreError::Limit { what: "maintenance windows", limit: MAX_WINDOWS });
        }
        let id = WindowId(Uuid::now_v7());
        sqlx::query!(
            "INSERT INTO maintenance_windows (org_id, id, name, covers, plan, over_at) VALUES ($1, $2, $3, $4, $5, $6)",
            org,
            id.0,
            new.name,
            serde_json::to_value(&new.covers)?,
            serde_json::to_value(&new.plan)?,
            new.plan.over_at()
        )
        .execute(self.connection())
        .await?;
        self.window(id).await
    }

    /// Changes a window. `Stale` when the caller saw another version.
    pub async fn update_window(&mut self, id: WindowId, expected: Option<i64>, patch: &WindowPatch) -> Result<MaintenanceWindow, StoreError> {
        let org = self.org().0;
        self.lock_window(id, expected).await?;
        sqlx::query!(
            "UPDATE maintenance_windows SET name = coalesce($3, name), covers = coalesce($4, covers), plan = coalesce($5, plan),
               over_at = CASE WHEN $5::jsonb IS NULL THEN over_at ELSE $6 END, ended_early_at = CASE WHEN $5::jsonb IS NULL THEN ended_early_at END,
               version = version + 1
             WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            patch.name,
            patch.covers.as_ref().map(serde_json::to_value).transpose()?,
            patch.plan.as_ref().map(serde_json::to_value).transpose()?,
            patch.plan.as_ref().and_then(Plan::over_at)
        )
        .execute(self.connection())
        .await?;
        self.window(id).await
    }

    /// What is on of a window is over from now on; what recurs comes again. Nothing changes where nothing is on.
    pub async fn end_window(&mut self, id: WindowId, expected: Option<i64>) -> Result<MaintenanceWindow, StoreError> {
        let org = self.org().0;
        self.lock_window(id, expected).await?;
        let window = self.window(id).await?;
        if window.active.is_none() {
            return Ok(window);
        }
        sqlx::query!(
            "UPDATE maintenance_windows SET ended_early_at = now(), over_at = CASE WHEN over_at IS NOT NULL THEN now() END, version = version + 1
             WHERE org_id = $1 AND id = $2",
            org,
            id.0
        )
        .execute(self.connection())
        .await?;
        self.window(id).await
    }

    /// Removes a window. `Stale` when the caller saw another version.
    pub async fn remove_window(&mut self, id: WindowId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        self.lock_window(id, expected).await?;
        sqlx::query!("DELETE FROM maintenance_windows WHERE org_id = $1 AND id = $2", org, id.0).execute(self.connection()).await?;
        Ok(())
    }

    async fn lock_window(&mut self, id: WindowId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!("SELECT version FROM maintenance_windows WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, version)
    }
}
