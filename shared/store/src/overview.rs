//! What the overview page shows, in a handful of queries.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    DomainId, DomainName, MonitorId, ServerId,
    asset::{Address, Domain},
    incident::Incident,
    outcome::{AuditReport, Outcome},
    overview::{Counts, Listed, PortHost, PortTile},
    unicode::display,
};

use crate::{
    OrgTx, StoreError,
    addresses::Which,
    domains::state_of,
    incidents::IncidentRow,
    standing::{AllStanding, OfDomains, most_of, weigh},
};

/// The ports that have a tile.
pub const TILE_PORTS: [u16; 3] = [25, 465, 587];
const SHOWN: i64 = 50;
const HOSTS_PER_PORT: i64 = 6;
const SHOWN_INCIDENTS: i64 = 10;

/// Numbers over everything that is watched.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// How much is watched.
    pub counts: Counts,
    /// Mean of the domains' scores.
    pub score: Option<u8>,
    /// When anything was last checked.
    pub last_checked_at: Option<DateTime<Utc>>,
}

/// How much of the time a port was not down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uptime {
    /// Of its checks, percent.
    pub percent: f64,
    /// The hour or day of the first of them.
    pub since: DateTime<Utc>,
}

/// What stands on block lists.
#[derive(Debug, Clone, Default)]
pub struct OverviewStanding {
    all: AllStanding,
    domains: OfDomains,
}

impl OverviewStanding {
    /// Of all addresses and networks together.
    pub fn listed(&self) -> Listed {
        self.all.of_addresses()
    }

    /// How far listings let the scores of domains rise, where they hold them.
    pub(crate) fn most_by_domain(&self) -> HashMap<DomainId, u8> {
        self.domains.iter().filter_map(|(id, listings)| Some((*id, most_of(listings)?))).collect()
    }

    /// Domains whose scores are held, and at how many points.
    fn caps(&self) -> (Vec<Uuid>, Vec<i32>) {
        self.domains.iter().filter_map(|(id, listings)| Some((id.0, i32::from(most_of(listings)?)))).unzip()
    }
}

impl OrgTx {
    /// What stands on block lists, to be asked for once and given to the others.
    pub async fn overview_standing(&mut self) -> Result<OverviewStanding, StoreError> {
        let all = self.standing().await?;
        let domains = self.standing_of_domains(&all, None).await?;
        Ok(OverviewStanding { all, domains })
    }

    /// Counts, mean score, last check.
    pub async fn overview_totals(&mut self, standing: &OverviewStanding) -> Result<Totals, StoreError> {
        let org = self.org().0;
        let (held, most) = standing.caps();
        let row = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM domains WHERE org_id = $1) AS "domains!", (SELECT count(*) FROM servers WHERE org_id = $1) AS "servers!",
                      (SELECT count(*) FROM addresses WHERE org_id = $1) AS "addresses!", (SELECT count(*) FROM monitors WHERE org_id = $1) AS "monitors!",
                      (SELECT count(*) FROM monitors WHERE org_id = $1 AND kind NOT IN ('audit', 'smtp', 'blacklist')) AS "services!",
                      (SELECT count(*) FROM incidents WHERE org_id = $1 AND status <> 'resolved') AS "incidents!",
                      (SELECT max(last_checked_at) FROM monitors WHERE org_id = $1) AS last_checked_at,
                      (SELECT avg(CASE WHEN o.outcome->>'score' IS NOT NULL THEN least((o.outcome->>'score')::float8, h.most) END)
                       FROM monitors m JOIN last_outcomes o ON o.org_id = $1 AND o.monitor_id = m.id
                       LEFT JOIN UNNEST($2::uuid[], $3::int[]) AS h(domain_id, most) ON h.domain_id = m.domain_id
                       WHERE m.org_id = $1 AND m.kind = 'audit' AND m.domain_id IS NOT NULL) AS score"#,
            org,
            &held,
            &most
        )
        .fetch_one(self.connection())
        .await?;
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Totals {
            counts: Counts {
                domains: count(row.domains),
                servers: count(row.servers),
                addresses: count(row.addresses),
                monitors: count(row.monitors),
                services: count(row.services),
                open_incidents: count(row.incidents),
            },
            score: row.score.and_then(|mean| format!("{:.0}", mean.clamp(0.0, 100.0)).parse().ok()),
            last_checked_at: row.last_checked_at,
        })
    }

    /// The tiles of ports 25, 465 and 587, without their uptime.
    pub async fn port_tiles(&mut self) -> Result<Vec<PortTile>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"WITH watched AS (
                 SELECT m.id, m.server_id, m.target, m.state, m.latency_ms, substring(m.target FROM ':([0-9]{1,5})$')::int AS port,
                        CASE m.state WHEN 'down' THEN 0 WHEN 'degraded' THEN 1 WHEN 'unknown' THEN 2 WHEN 'pending' THEN 3 ELSE 4 END AS rank
                 FROM monitors m WHERE m.org_id = $1 AND m.kind = 'smtp' AND NOT m.paused
               ), numbered AS (
                 SELECT *, row_number() OVER (PARTITION BY port ORDER BY rank, target) AS place, count(*) OVER (PARTITION BY port) AS total,
                        count(*) FILTER (WHERE state = 'up') OVER (PARTITION BY port) AS up,
                        count(*) FILTER (WHERE state = 'degraded') OVER (PARTITION BY port) AS degraded,
                        count(*) FILTER (WHERE state = 'down') OVER (PARTITION BY port) AS down
                 FROM watched WHERE port IN (25, 465, 587)
               )
               SELECT id, server_id, target, state, latency_ms, port AS "port!", total AS "total!", up AS "up!", degraded AS "degraded!", down AS "down!"
               FROM numbered WHERE place <= $2 ORDER BY port, place"#,
            org,
            HOSTS_PER_PORT
        )
        .fetch_all(self.connection())
        .await?;
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut tiles: Vec<PortTile> = TILE_PORTS
            .iter()
            .map(|port| PortTile { port: *port, uptime_30d: None, uptime_since: None, total: 0, up: 0, degraded: 0, down: 0, hosts: Vec::new() })
            .collect();
        for row in rows {
            let Some(tile) = tiles.iter_mut().find(|tile| i32::from(tile.port) == row.port) else { continue };
            tile.total = count(row.total);
            tile.up = count(row.up);
            tile.degraded = count(row.degraded);
            tile.down = count(row.down);
            let host = row.target.rsplit_once(':').map_or(row.target.as_str(), |(host, _)| host);
            tile.hosts.push(PortHost {
                server_id: row.server_id.map(ServerId),
                monitor_id: MonitorId(row.id),
                host: display(host),
                state: state_of(Some(&row.state))?,
                latency_ms: row.latency_ms,
            });
        }
        Ok(tiles)
    }

    /// Share of checks outside of maintenance windows since an instant that were not down, by port. Reads day rollups, and hours for the day that runs.
    pub async fn port_uptimes(&mut self, since: DateTime<Utc>) -> Result<HashMap<u16, Uptime>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"SELECT substring(m.target FROM ':([0-9]{1,5})$')::int AS "port!", sum(r.checks - r.maintenance)::bigint AS "checks!", sum(r.down)::bigint AS "down!",
                      min(r.at) AS "first!"
               FROM monitors m JOIN rollups r ON r.org_id = $1 AND r.monitor_id = m.id
                 AND ((r.span = 'day' AND r.at >= $2) OR (r.span = 'hour' AND r.at >= coalesce(
                   (SELECT p.at + interval '1 day' FROM rollups p WHERE p.org_id = $1 AND p.monitor_id = m.id AND p.span = 'day' ORDER BY p.at DESC LIMIT 1), $2)))
               WHERE m.org_id = $1 AND m.kind = 'smtp' AND m.target ~ ':(25|465|587)$' GROUP BY 1"#,
            org,
            since
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.checks > 0)
            .filter_map(|row| {
                let port = u16::try_from(row.port).ok()?;
                let checks = f64::from(u32::try_from(row.checks).unwrap_or(u32::MAX));
                let down = f64::from(u32::try_from(row.down).unwrap_or(u32::MAX));
                Some((port, Uptime { percent: 100.0 * (checks - down) / checks, since: row.first }))
            })
            .collect())
    }

    /// Domains, worst first, with the part of their audits that a table shows.
    pub async fn worst_domains(&mut self, standing: &OverviewStanding) -> Result<Vec<Domain>, StoreError> {
        let org = self.org().0;
        let (held, most) = standing.caps();
        let rows = sqlx::query!(
            r#"SELECT d.id, d.name, d.tags, d.version, d.created_at, m.state AS "state?", m.last_checked_at AS "last_checked_at?",
                      (SELECT min(u.next_run_at) FROM schedule_units u WHERE u.org_id = $1 AND u.monitor_id = m.id AND NOT u.paused) AS next_check_at,
                      o.outcome AS "outcome?: Value"
               FROM domains d LEFT JOIN monitors m ON m.org_id = $1 AND m.domain_id = d.id AND m.kind = 'audit'
               LEFT JOIN LATERAL (SELECT l.outcome - 'records' - 'mx_hosts' AS outcome FROM last_outcomes l
                                  WHERE l.org_id = $1 AND l.monitor_id = m.id ORDER BY l.at DESC LIMIT 1) o ON true
               LEFT JOIN UNNEST($3::uuid[], $4::int[]) AS h(domain_id, most) ON h.domain_id = d.id
               WHERE d.org_id = $1
               ORDER BY CASE m.state WHEN 'down' THEN 0 WHEN 'degraded' THEN 1 WHEN 'unknown' THEN 2 WHEN 'up' THEN 3 ELSE 4 END,
                        CASE WHEN o.outcome->>'score' IS NOT NULL THEN least((o.outcome->>'score')::int, h.most) END NULLS LAST, d.name LIMIT $2"#,
            org,
            SHOWN,
            &held,
            &most
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let name = DomainName::from_ascii(&row.name).map_err(|error| StoreError::Corrupt(error.to_string()))?;
                let audit = row.outcome.map(short_audit).transpose()?.flatten();
                let mut domain = Domain {
                    id: DomainId(row.id),
                    display: name.display(),
                    name,
                    state: state_of(row.state.as_deref())?,
                    score: audit.as_ref().and_then(|audit| audit.score),
                    grade: audit.as_ref().and_then(|audit| audit.grade.clone()),
                    last_checked_at: row.last_checked_at,
                    next_check_at: row.next_check_at,
                    audit,
                    listings: Vec::new(),
                    selectors: Vec::new(),
                    senders: Vec::new(),
                    ownership: None,
                    monitors: Vec::new(),
                    tags: row.tags,
                    version: row.version,
                    created_at: row.created_at,
                };
                weigh(&mut domain, &standing.domains);
                Ok(domain)
            })
            .collect()
    }

    /// Addresses, those on most lists first.
    pub async fn worst_addresses(&mut self, standing: &OverviewStanding) -> Result<Vec<Address>, StoreError> {
        let mut worst = self.read_addresses(&Which { listed_first: true, ..Which::default() }, SHOWN).await?;
        standing.all.count(&mut worst);
        // The database ordered by each monitor's own count.
        worst.sort_by_key(|address| std::cmp::Reverse(address.listed));
        Ok(worst)
    }

    /// Open incidents, worst and newest first.
    pub async fn worst_incidents(&mut self) -> Result<Vec<Incident>, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            IncidentRow,
            "SELECT id, monitor_id, kind, target, condition, title, summary, severity, status, opened_at, acknowledged_at, resolved_at, version, flapping_since, reopened FROM incidents
             WHERE org_id = $1 AND status <> 'resolved'
             ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, opened_at DESC LIMIT $2",
            org,
            SHOWN_INCIDENTS
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Incident::try_from)
        .collect()
    }
}

/// The audit without what only its own page shows.
fn short_audit(mut value: Value) -> Result<Option<AuditReport>, StoreError> {
    if let Some(fields) = value.as_object_mut() {
        fields.insert("records".to_owned(), Value::Object(serde_json::Map::new()));
    }
    let Outcome::Audit(mut report) = serde_json::from_value(value)? else { return Ok(None) };
    for finding in &mut report.findings {
        finding.why.clear();
        finding.reference.clear();
        finding.record = None;
    }
    Ok(Some(*report))
}
