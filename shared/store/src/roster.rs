//! All that is watched, as the rows of a table.

use waypost_types::{Cidr, fleet::MonitorFilter, service::ServiceSettings};

use crate::{OrgTx, StoreError, fleet::Wanted};

/// Rows of a table at most: as many as an organisation has monitors, and more than it has things.
const MOST_ROWS: i64 = 20_000;

/// One thing that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct RosterRow {
    /// `domain`, `server`, `address`, or a kind of service.
    pub kind: String,
    /// Its one written form.
    pub target: String,
    /// Ports of a server.
    pub ports: Vec<i32>,
    /// What a server is for.
    pub role: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Seconds between checks; `None` where its monitors differ, or there are none.
    pub interval_s: Option<i32>,
    /// Whether it is checked; `None` where its monitors differ.
    pub paused: Option<bool>,
    /// What a service is expected to do.
    pub settings: Option<ServiceSettings>,
    /// The pool of an address.
    pub pool: Option<String>,
}

impl OrgTx {
    /// What is watched: domains, mail servers, addresses and services, each by its name. Of a filter that narrows, what has a monitor that matches.
    pub async fn roster(&mut self, filter: &MonitorFilter) -> Result<Vec<RosterRow>, StoreError> {
        let org = self.org().0;
        let wanted = Wanted::by(filter);
        // The interval of a domain is that of its audit.
        let rows = sqlx::query!(
            r#"SELECT w.kind AS "kind!", w.target AS "target!", w.ports AS "ports!", w.role, w.tags AS "tags!", w.settings, w.pool,
                      CASE WHEN m.shortest = m.longest THEN m.shortest END AS interval_s, CASE WHEN m.all_paused = m.any_paused THEN m.any_paused END AS paused
               FROM (SELECT 1 AS place, 'domain' AS kind, id, name AS target, '{}'::int[] AS ports, NULL AS role, tags, NULL::jsonb AS settings, NULL::text AS pool FROM domains WHERE org_id = $1
                     UNION ALL SELECT 2, 'server', id, host, ports, role, tags, NULL, NULL FROM servers WHERE org_id = $1
                     UNION ALL SELECT 3, 'address', a.id, a.net::text, '{}', NULL, a.tags, NULL, p.name FROM addresses a LEFT JOIN pools p ON p.org_id = $1 AND p.id = a.pool_id WHERE a.org_id = $1
                     UNION ALL SELECT 4, kind, id, target, '{}', NULL, tags, settings, NULL FROM monitors WHERE org_id = $1 AND kind NOT IN ('audit', 'smtp', 'blacklist')) w
               LEFT JOIN (SELECT coalesce(domain_id, server_id, address_id, id) AS of, min(interval_s) AS shortest, max(interval_s) AS longest,
                                 bool_and(paused) AS all_paused, bool_or(paused) AS any_paused
                          FROM monitors WHERE org_id = $1 AND (domain_id IS NULL OR kind = 'audit') GROUP BY 1) m ON m.of = w.id
               WHERE NOT $3 OR w.id IN (SELECT coalesce(x.domain_id, x.server_id, x.address_id, x.id) FROM monitors x WHERE x.org_id = $1 AND monitor_matches(x, $4, $5, $6, $7, $8))
               ORDER BY w.place, w.kind, w.target LIMIT $2"#,
            org,
            MOST_ROWS,
            wanted.narrows(),
            wanted.part,
            wanted.kind,
            wanted.standing,
            wanted.tag,
            wanted.services
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(RosterRow {
                    // The form that an address is asked for in, without the length of one that stands alone.
                    target: match row.kind.as_str() {
                        "address" => row.target.parse::<Cidr>().map_err(|_| StoreError::Corrupt(row.target.clone()))?.to_string(),
                        _ => row.target,
                    },
                    settings: row.settings.and_then(|settings| serde_json::from_value(settings).ok()),
                    pool: row.pool,
                    kind: row.kind,
                    ports: row.ports,
                    role: row.role,
                    tags: row.tags,
                    interval_s: row.interval_s,
                    paused: row.paused,
                })
            })
            .collect()
    }

    /// Locks all that a table names and is watched already, in the order of whoever changes one of these: the things, their monitors, the
    /// organisation. `targets` are written forms of any kind.
    pub async fn lock_named(&mut self, targets: &[String]) -> Result<(), StoreError> {
        let org = self.org().0;
        let assets = sqlx::query_scalar!(
            r#"SELECT id AS "id!" FROM domains WHERE org_id = $1 AND name = ANY($2)
               UNION ALL SELECT id FROM servers WHERE org_id = $1 AND host = ANY($2)
               UNION ALL SELECT id FROM addresses WHERE org_id = $1 AND (net::text = ANY($2) OR host(net) = ANY($2))"#,
            org,
            targets
        )
        .fetch_all(self.connection())
        .await?;
        self.lock_assets(&assets).await?;
        sqlx::query_scalar!(
            "SELECT id FROM monitors WHERE org_id = $1 AND (domain_id = ANY($2) OR server_id = ANY($2) OR address_id = ANY($2) OR target = ANY($3))
             ORDER BY id FOR NO KEY UPDATE",
            org,
            &assets,
            targets
        )
        .fetch_all(self.connection())
        .await?;
        sqlx::query_scalar!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        Ok(())
    }

    /// What this transaction made is first checked within five minutes, spread over them: what comes by the hundred does not all start at once.
    pub async fn spread_new_monitors(&mut self) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE schedule_units u SET next_run_at = n.at, due_at = n.at
             FROM (SELECT o.monitor_id, o.region, now() + random() * make_interval(secs => least(o.interval_s, 300)) AS at
                   FROM schedule_units o JOIN monitors m ON m.org_id = o.org_id AND m.id = o.monitor_id
                   WHERE o.org_id = $1 AND m.created_at = now() AND NOT o.leased) n
             WHERE u.org_id = $1 AND u.monitor_id = n.monitor_id AND u.region = n.region",
            org
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
