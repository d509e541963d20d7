//! Mail servers that an organisation watches: a host with ports, one monitor each.

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ServerId,
    asset::{Server, ServerPatch, ServerRole, Source},
    judge::MonitorState,
    monitor::{Monitor, MonitorKind},
    unicode::display,
};

use crate::{
    OrgTx, StoreError,
    assets::Asset,
    domains::by_owner,
    monitors::{Added, MonitorsChange},
    new_monitors::MonitorDraft,
};

struct ServerRow {
    id: Uuid,
    host: String,
    ports: Vec<i32>,
    source: String,
    role: Option<String>,
    least_size_mb: Option<i32>,
    tags: Vec<String>,
    version: i64,
    created_at: DateTime<Utc>,
}

impl ServerRow {
    fn with(self, mut monitors: Vec<Monitor>) -> Server {
        let ports: Vec<u16> = self.ports.iter().filter_map(|port| u16::try_from(*port).ok()).collect();
        let place = |monitor: &Monitor| {
            let port = monitor.target.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            ports.iter().position(|known| Some(*known) == port).unwrap_or(usize::MAX)
        };
        monitors.sort_by_key(place);
        Server {
            id: ServerId(self.id),
            display: display(&self.host),
            host: self.host,
            ports,
            source: source_of(&self.source),
            role: self.role.and_then(|role| role.parse().ok()),
            least_size_mb: self.least_size_mb.and_then(|mb| u32::try_from(mb).ok()),
            tags: self.tags,
            state: worst(&monitors),
            last_checked_at: monitors.iter().filter_map(|monitor| monitor.last_checked_at).max(),
            monitors,
            version: self.version,
            created_at: self.created_at,
        }
    }
}

pub(crate) fn source_of(text: &str) -> Source {
    [Source::Mx, Source::Web, Source::Server].into_iter().find(|source| source.as_str() == text).unwrap_or(Source::Manual)
}

/// The worst state: a port that is down matters more than one that can not be told.
fn worst(monitors: &[Monitor]) -> MonitorState {
    let rank = |state: MonitorState| match state {
        MonitorState::Pending => 0,
        MonitorState::Up => 1,
        MonitorState::Unknown => 2,
        MonitorState::Degraded => 3,
        MonitorState::Down => 4,
    };
    monitors.iter().filter(|monitor| !monitor.paused).map(|monitor| monitor.state).max_by_key(|state| rank(*state)).unwrap_or_default()
}

fn number(mb: u32) -> Option<i32> {
    i32::try_from(mb).ok()
}

/// `host:port`, with brackets around IPv6 addresses.
pub fn smtp_target(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl OrgTx {
    /// Adds a server with a monitor per port, due at once, and the smallest SIZE limit that will do.
    pub async fn add_server(&mut self, host: &str, ports: &[u16], least_size_mb: Option<u32>) -> Result<Added<Server, ServerId>, StoreError> {
        let org = self.org().0;
        if let Some(id) =
            sqlx::query_scalar!("SELECT id FROM servers WHERE org_id = $1 AND host = $2", org, host).fetch_optional(self.connection()).await?
        {
            return Ok(Added::Exists(ServerId(id)));
        }
        self.reserve_monitors(ports.len()).await?;
        let id = ServerId(Uuid::now_v7());
        let numbers: Vec<i32> = ports.iter().map(|port| i32::from(*port)).collect();
        let inserted = sqlx::query!(
            "INSERT INTO servers (org_id, id, host, ports, source, least_size_mb) VALUES ($1, $2, $3, $4, 'manual', $5) ON CONFLICT (org_id, host) DO NOTHING",
            org,
            id.0,
            host,
            &numbers,
            least_size_mb.and_then(number)
        )
        .execute(self.connection())
        .await?;
        if inserted.rows_affected() == 0 {
            let id = sqlx::query_scalar!("SELECT id FROM servers WHERE org_id = $1 AND host = $2", org, host).fetch_one(self.connection()).await?;
            return Ok(Added::Exists(ServerId(id)));
        }
        self.add_ports(id, host, ports, MonitorKind::Smtp.default_interval()).await?;
        self.notify_due().await?;
        self.tell_assets(id.into()).await?;
        Ok(Added::New(self.server(id).await?))
    }

    async fn add_ports(&mut self, id: ServerId, host: &str, ports: &[u16], interval_s: u32) -> Result<(), StoreError> {
        // A port that is added is watched from where the others are.
        let org = self.org().0;
        let of_others = sqlx::query_scalar!("SELECT regions FROM monitors WHERE org_id = $1 AND server_id = $2 ORDER BY id LIMIT 1", org, id.0)
            .fetch_optional(self.connection())
            .await?;
        let regions = match of_others {
            Some(regions) => regions,
            None => self.default_regions().await?,
        };
        for port in ports {
            self.add_monitor_row(MonitorDraft {
                kind: MonitorKind::Smtp,
                target: &smtp_target(host, *port),
                interval_s,
                regions: &regions,
                owner: Some(Asset::Server(id)),
            })
            .await?;
        }
        Ok(())
    }

    /// A server with its monitors.
    pub async fn server(&mut self, id: ServerId) -> Result<Server, StoreError> {
        let org = self.org().0;
        let row = sqlx::query_as!(
            ServerRow,
            "SELECT id, host, ports, source, role, least_size_mb, tags, version, created_at FROM servers WHERE org_id = $1 AND id = $2",
            org,
            id.0
        )
        .fetch_one(self.connection())
        .await?;
        let monitors = self.monitors_of(&[id.0]).await?;
        Ok(row.with(monitors))
    }

    /// A page of servers by host; of those with a tag where one is given.
    pub async fn servers(&mut self, after: Option<&str>, tag: Option<&str>, limit: i64) -> Result<Vec<Server>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query_as!(
            ServerRow,
            "SELECT id, host, ports, source, role, least_size_mb, tags, version, created_at FROM servers WHERE org_id = $1 AND ($2::text IS NULL OR host > $2) AND ($4::text IS NULL OR $4 = ANY(tags)) ORDER BY host LIMIT $3",
            org,
            after,
            limit,
            tag
        )
        .fetch_all(self.connection())
        .await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut monitors = by_owner(self.monitors_of(&ids).await?, |monitor| monitor.server_id.map(|id| id.0));
        Ok(rows
            .into_iter()
            .map(|row| {
                let own = monitors.remove(&row.id).unwrap_or_default();
                row.with(own)
            })
            .collect())
    }

    /// Changes ports and the settings of the ports' monitors.
    pub async fn update_server(&mut self, id: ServerId, expected: Option<i64>, patch: &ServerPatch) -> Result<Server, StoreError> {
        let org = self.org().0;
        self.begin_change(id.into(), expected).await?;
        if let Some(ports) = &patch.ports {
            let row = sqlx::query!("SELECT host, ports FROM servers WHERE org_id = $1 AND id = $2", org, id.0).fetch_one(self.connection()).await?;
            let numbers: Vec<i32> = ports.iter().map(|port| i32::from(*port)).collect();
            let targets = |numbers: Vec<i32>| -> Vec<String> {
                numbers.into_iter().filter_map(|port| u16::try_from(port).ok()).map(|port| smtp_target(&row.host, port)).collect()
            };
            let gone = targets(row.ports.iter().copied().filter(|port| !numbers.contains(port)).collect());
            let new: Vec<u16> = ports.iter().copied().filter(|port| !row.ports.contains(&i32::from(*port))).collect();
            self.delete_monitors_of(id.0, Some(&gone)).await?;
            self.reserve_monitors(new.len()).await?;
            self.add_ports(id, &row.host, &new, patch.interval_s.unwrap_or_else(|| MonitorKind::Smtp.default_interval())).await?;
            sqlx::query!("UPDATE servers SET ports = $3 WHERE org_id = $1 AND id = $2", org, id.0, &numbers).execute(self.connection()).await?;
            self.notify_due().await?;
        }
        sqlx::query!(
            "UPDATE servers SET tags = coalesce($3, tags), role = CASE WHEN $4 THEN $5 ELSE role END,
               least_size_mb = CASE WHEN $6 THEN $7 ELSE least_size_mb END WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            patch.tags.as_deref(),
            patch.role.is_some(),
            patch.role.flatten().map(ServerRole::as_str),
            patch.least_size_mb.is_some(),
            patch.least_size_mb.flatten().and_then(number)
        )
        .execute(self.connection())
        .await?;
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
        self.server(id).await
    }
}
