//! Monitors: reading and changing what is checked; making them is `new_monitors.rs`. What their checks find is written by `recording.rs`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    AddressId, DomainId, IncidentId, MonitorId, ServerId,
    judge::PolicyPatch,
    monitor::{Monitor, MonitorKind, MonitorPatch, OpenIncidents},
    runbook::OwnRunbook,
    service::ServiceSettings,
};

use crate::{OrgTx, StoreError, recording::storable, runbooks::own_runbook};

/// What adding answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Added<T, I> {
    /// It is new.
    New(T),
    /// It was there before.
    Exists(I),
}

/// What all monitors of something take on at once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MonitorsChange<'a> {
    pub interval_s: Option<u32>,
    pub paused: Option<bool>,
    pub regions: Option<&'a [String]>,
    pub policy: Option<PolicyPatch>,
    #[expect(clippy::option_option, reason = "a change tells what stays from what is taken away")]
    pub runbook: Option<Option<&'a OwnRunbook>>,
}

/// A row as the queries of this crate select it.
pub(crate) struct MonitorRow {
    pub id: Uuid,
    pub kind: String,
    pub target: String,
    pub interval_s: i32,
    pub regions: Vec<String>,
    pub paused: bool,
    pub state: String,
    pub state_since: Option<DateTime<Utc>>,
    pub summary: Option<String>,
    pub latency_ms: Option<f64>,
    pub last_checked_at: Option<DateTime<Utc>>,
    pub next_check_at: Option<DateTime<Utc>>,
    pub domain_id: Option<Uuid>,
    pub server_id: Option<Uuid>,
    pub address_id: Option<Uuid>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub settings: serde_json::Value,
    pub tags: Vec<String>,
    pub policy: serde_json::Value,
    pub runbook: Option<serde_json::Value>,
    pub flapping_since: Option<DateTime<Utc>>,
    pub confirming: bool,
    pub incident_id: Option<Uuid>,
    pub incident_severity: Option<String>,
    pub incidents: i64,
}

/// Settings that another version of the program wrote in a form of its own are none to this one, and no reason to show no monitor at all.
fn readable(settings: serde_json::Value) -> Option<ServiceSettings> {
    serde_json::from_value(settings).inspect_err(|error| tracing::warn!(%error, "settings of a service can not be read")).ok()
}

impl TryFrom<MonitorRow> for Monitor {
    type Error = StoreError;
    fn try_from(row: MonitorRow) -> Result<Self, StoreError> {
        let incident = row
            .incident_id
            .zip(row.incident_severity)
            .map(|(id, severity)| {
                let severity = severity.parse().map_err(|()| StoreError::Corrupt(severity.clone()))?;
                Ok::<_, StoreError>(OpenIncidents { id: IncidentId(id), severity, count: u32::try_from(row.incidents).unwrap_or(u32::MAX) })
            })
            .transpose()?;
        Ok(Self {
            id: MonitorId(row.id),
            kind: row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?,
            target: row.target,
            settings: readable(row.settings).unwrap_or_default(),
            tags: row.tags,
            interval_s: u32::try_from(row.interval_s).unwrap_or_default(),
            regions: row.regions,
            policy: serde_json::from_value(row.policy)?,
            runbook: row.runbook.and_then(own_runbook),
            paused: row.paused,
            state: row.state.parse().map_err(|()| StoreError::Corrupt(row.state.clone()))?,
            state_since: row.state_since,
            flapping_since: row.flapping_since,
            confirming: row.confirming,
            summary: row.summary,
            latency_ms: row.latency_ms,
            last_checked_at: row.last_checked_at,
            next_check_at: row.next_check_at,
            incident,
            domain_id: row.domain_id.map(DomainId),
            server_id: row.server_id.map(ServerId),
            address_id: row.address_id.map(AddressId),
            version: row.version,
            created_at: row.created_at,
        })
    }
}

impl OrgTx {
    /// What a service that was just added is expected to do.
    pub async fn set_service_settings(&mut self, id: MonitorId, settings: &ServiceSettings) -> Result<(), StoreError> {
        let org = self.org().0;
        let settings = serde_json::to_value(settings)?;
        sqlx::query!("UPDATE monitors SET settings = $3 WHERE org_id = $1 AND id = $2", org, id.0, settings).execute(self.connection()).await?;
        Ok(())
    }

    /// What these services are expected to do. Settings that another version of the program wrote in a form of its own are left out, and their
    /// service is not looked at with others in their place.
    pub async fn service_settings(&mut self, monitors: &[MonitorId]) -> Result<HashMap<MonitorId, ServiceSettings>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|monitor| monitor.0).collect();
        let rows =
            sqlx::query!("SELECT id, settings FROM monitors WHERE org_id = $1 AND id = ANY($2)", org, &ids).fetch_all(self.connection()).await?;
        Ok(rows.into_iter().filter_map(|row| Some((MonitorId(row.id), readable(row.settings)?))).collect())
    }

    /// The schedule units of a monitor are these regions and no others.
    pub(crate) async fn set_units(&mut self, id: MonitorId, regions: &[String], interval: i32) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!("DELETE FROM schedule_units WHERE org_id = $1 AND monitor_id = $2 AND NOT region = ANY($3)", org, id.0, regions)
            .execute(self.connection())
            .await?;
        sqlx::query!("DELETE FROM last_outcomes WHERE org_id = $1 AND monitor_id = $2 AND NOT region = ANY($3)", org, id.0, regions)
            .execute(self.connection())
            .await?;
        sqlx::query!(
            "INSERT INTO schedule_units (org_id, monitor_id, region, interval_s) SELECT $1, $2, region, $4 FROM UNNEST($3::text[]) AS r(region)
             ON CONFLICT DO NOTHING",
            org,
            id.0,
            regions,
            interval
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// A monitor.
    pub async fn monitor(&mut self, id: MonitorId) -> Result<Monitor, StoreError> {
        self.monitors_of(&[id.0]).await?.pop().ok_or(StoreError::NotFound)
    }

    /// These monitors, and those of these domains, servers or addresses, oldest first.
    pub async fn monitors_of(&mut self, ids: &[Uuid]) -> Result<Vec<Monitor>, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            MonitorRow,
            r#"SELECT m.id, m.kind, m.target, m.interval_s, m.regions, m.paused, m.state, m.state_since, m.summary, m.latency_ms, m.last_checked_at,
                      (SELECT min(u.next_run_at) FROM schedule_units u WHERE u.org_id = $1 AND u.monitor_id = m.id AND NOT u.paused) AS next_check_at,
                      m.domain_id, m.server_id, m.address_id, m.version, m.created_at, m.settings, monitor_tags(m) AS "tags!", m.policy, m.runbook,
                      (m.judge #>> '{steadiness,flapping_since}')::timestamptz AS flapping_since,
                      coalesce(m.judge -> 'candidate', 'null') <> 'null' AS "confirming!",
                      o.id AS "incident_id?", o.severity AS "incident_severity?", o.incidents AS "incidents!"
               FROM monitors m CROSS JOIN LATERAL (
                 SELECT (array_agg(i.id ORDER BY array_position(ARRAY['critical', 'warning', 'info'], i.severity), i.opened_at))[1] AS id,
                        (array_agg(i.severity ORDER BY array_position(ARRAY['critical', 'warning', 'info'], i.severity)))[1] AS severity, count(*) AS incidents
                 FROM incidents i WHERE i.org_id = $1 AND i.monitor_id = m.id AND i.status <> 'resolved') o
               WHERE m.org_id = $1 AND (m.id = ANY($2) OR m.domain_id = ANY($2) OR m.server_id = ANY($2) OR m.address_id = ANY($2)) ORDER BY m.id"#,
            org,
            ids
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Monitor::try_from)
        .collect()
    }

    /// Changes a monitor's settings. `expected` is the version the caller saw. A monitor that resumes is due at once.
    pub async fn update_monitor(&mut self, id: MonitorId, expected: Option<i64>, patch: &MonitorPatch) -> Result<Monitor, StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!("SELECT version FROM monitors WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, version)?;
        let interval = patch.interval_s.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
        let after = sqlx::query!(
            "UPDATE monitors SET interval_s = coalesce($3, interval_s), regions = coalesce($4, regions), paused = coalesce($5, paused),
                    settings = coalesce($6, settings), tags = coalesce($7, tags), policy = policy || coalesce($8::jsonb, '{}'),
                    runbook = CASE WHEN $9 THEN $10 ELSE runbook END, version = version + 1
             WHERE org_id = $1 AND id = $2 RETURNING interval_s, regions",
            org,
            id.0,
            interval,
            patch.regions.as_deref(),
            patch.paused,
            patch.settings.as_ref().map(serde_json::to_value).transpose()?,
            patch.tags.as_deref(),
            patch.policy.as_ref().map(serde_json::to_value).transpose()?,
            patch.runbook.is_some(),
            patch.runbook.as_ref().and_then(Option::as_ref).map(storable).transpose()?
        )
        .fetch_one(self.connection())
        .await?;
        self.set_units(id, &after.regions, after.interval_s).await?;
        self.reschedule(&[id.0], interval, patch.paused).await?;
        self.monitor(id).await
    }

    /// Settings of all monitors of an asset at once; their versions rise too. The interval of a domain is that of its audit: lists are asked
    /// as often as suits them.
    pub(crate) async fn update_monitors_of(&mut self, asset: Uuid, change: &MonitorsChange<'_>) -> Result<(), StoreError> {
        let &MonitorsChange { interval_s, paused, regions, policy, runbook } = change;
        if interval_s.is_none() && paused.is_none() && regions.is_none() && policy.is_none() && runbook.is_none() {
            return Ok(());
        }
        let org = self.org().0;
        let policy = policy.map(serde_json::to_value).transpose()?;
        let interval = interval_s.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
        let rows = sqlx::query!(
            r#"UPDATE monitors SET interval_s = CASE WHEN domain_id = $2 AND kind = 'blacklist' THEN interval_s ELSE coalesce($3, interval_s) END,
                 paused = coalesce($4, paused), regions = coalesce($5, regions), policy = policy || coalesce($6::jsonb, '{}'),
                 runbook = CASE WHEN $7 THEN $8 ELSE runbook END, version = version + 1
               WHERE org_id = $1 AND (domain_id = $2 OR server_id = $2 OR address_id = $2)
               RETURNING id, kind, interval_s, domain_id IS NOT NULL AS "of_domain!""#,
            org,
            asset,
            interval,
            paused,
            regions,
            policy,
            runbook.is_some(),
            runbook.flatten().map(storable).transpose()?
        )
        .fetch_all(self.connection())
        .await?;
        if let Some(regions) = regions {
            for row in &rows {
                self.set_units(MonitorId(row.id), regions, row.interval_s).await?;
            }
        }
        let of_lists = |kind: &str, of_domain: bool| of_domain && kind == MonitorKind::Blacklist.as_str();
        let ids = |lists: bool| -> Vec<Uuid> { rows.iter().filter(|row| of_lists(&row.kind, row.of_domain) == lists).map(|row| row.id).collect() };
        self.reschedule(&ids(false), interval, paused).await?;
        self.reschedule(&ids(true), None, paused).await
    }

    /// Copies settings to the schedule. A shorter interval takes hold now, not after the long one.
    async fn reschedule(&mut self, monitors: &[Uuid], interval: Option<i32>, paused: Option<bool>) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE schedule_units SET interval_s = coalesce($3, interval_s), paused = coalesce($4, paused),
                    next_run_at = CASE WHEN paused AND $4 = false THEN now() ELSE least(next_run_at, now() + make_interval(secs => coalesce($3, interval_s))) END,
                    due_at = CASE WHEN leased THEN due_at WHEN paused AND $4 = false THEN now()
                                  ELSE least(due_at, now() + make_interval(secs => coalesce($3, interval_s))) END
             WHERE org_id = $1 AND monitor_id = ANY($2)",
            org,
            monitors,
            interval,
            paused
        )
        .execute(self.connection())
        .await?;
        self.notify_due().await
    }

    /// Removes a monitor; its open incident ends.
    pub async fn delete_monitor(&mut self, id: MonitorId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!("SELECT version FROM monitors WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, version)?;
        self.detach_incidents(&[id.0]).await?;
        sqlx::query!("DELETE FROM monitors WHERE org_id = $1 AND id = $2", org, id.0).execute(self.connection()).await?;
        Ok(())
    }

    /// Removes an asset's monitors of these targets, or all of them; their open incidents end.
    pub(crate) async fn delete_monitors_of(&mut self, asset: Uuid, targets: Option<&[String]>) -> Result<(), StoreError> {
        let org = self.org().0;
        let ids = sqlx::query_scalar!(
            "SELECT id FROM monitors WHERE org_id = $1 AND (domain_id = $2 OR server_id = $2 OR address_id = $2) AND ($3::text[] IS NULL OR target = ANY($3))
             ORDER BY id FOR UPDATE",
            org,
            asset,
            targets
        )
        .fetch_all(self.connection())
        .await?;
        self.detach_incidents(&ids).await?;
        sqlx::query!("DELETE FROM monitors WHERE org_id = $1 AND id = ANY($2)", org, &ids).execute(self.connection()).await?;
        Ok(())
    }

    /// A fresh look at everything an asset has monitors for, except what is paused.
    pub async fn request_checks_of(&mut self, asset: Uuid) -> Result<(), StoreError> {
        for monitor in self.monitors_of(&[asset]).await?.iter().filter(|monitor| !monitor.paused) {
            self.request_check(monitor.id).await?;
        }
        Ok(())
    }
}

/// Fails when the caller saw another version.
pub(crate) fn fresh(expected: Option<i64>, version: i64) -> Result<(), StoreError> {
    if expected.is_some_and(|expected| expected != version) { Err(StoreError::Stale) } else { Ok(()) }
}
