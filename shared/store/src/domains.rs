//! Domains that an organisation watches.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;
use waypost_types::{
    DomainId, DomainName,
    asset::{Domain, DomainPatch, Ownership},
    judge::MonitorState,
    monitor::{Monitor, MonitorKind},
    outcome::{AuditReport, Outcome},
};

use crate::{
    OrgTx, StoreError,
    assets::Asset,
    monitors::{Added, MonitorsChange},
    new_monitors::MonitorDraft,
    standing::weigh,
};

/// A domain's own row with its latest audit.
struct DomainRow {
    id: Uuid,
    name: String,
    version: i64,
    created_at: DateTime<Utc>,
    selectors: Vec<String>,
    senders: Vec<IpNetwork>,
    tags: Vec<String>,
    verify_token: String,
    verified_at: Option<DateTime<Utc>>,
    verified: bool,
    state: Option<String>,
    last_checked_at: Option<DateTime<Utc>>,
    next_check_at: Option<DateTime<Utc>>,
    outcome: Option<Value>,
}

impl TryFrom<DomainRow> for Domain {
    type Error = StoreError;
    fn try_from(row: DomainRow) -> Result<Self, StoreError> {
        let name = DomainName::from_ascii(&row.name).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let audit = row.outcome.map(audit_of).transpose()?.flatten();
        let ownership = Ownership::of(&name, &row.verify_token, row.verified_at, row.verified);
        Ok(Self {
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
            selectors: row.selectors,
            senders: row.senders.into_iter().map(|net| net.ip()).collect(),
            ownership: Some(ownership),
            monitors: Vec::new(),
            tags: row.tags,
            version: row.version,
            created_at: row.created_at,
        })
    }
}

fn audit_of(value: Value) -> Result<Option<AuditReport>, StoreError> {
    Ok(match serde_json::from_value(value)? {
        Outcome::Audit(report) => Some(*report),
        Outcome::Smtp(_) | Outcome::Blacklist(_) | Outcome::Service(_) => None,
    })
}

pub(crate) fn state_of(text: Option<&str>) -> Result<MonitorState, StoreError> {
    text.map_or(Ok(MonitorState::Pending), |text| text.parse().map_err(|()| StoreError::Corrupt(text.to_owned())))
}

impl OrgTx {
    /// Adds a domain with its audit monitor, due at once.
    pub async fn add_domain(&mut self, name: &DomainName) -> Result<Added<Domain, DomainId>, StoreError> {
        let org = self.org().0;
        if let Some(id) = sqlx::query_scalar!("SELECT id FROM domains WHERE org_id = $1 AND name = $2", org, name.as_str())
            .fetch_optional(self.connection())
            .await?
        {
            return Ok(Added::Exists(DomainId(id)));
        }
        self.reserve_monitors(1).await?;
        let id = DomainId(Uuid::now_v7());
        let inserted = sqlx::query!(
            "INSERT INTO domains (org_id, id, name) VALUES ($1, $2, $3) ON CONFLICT (org_id, name) DO NOTHING",
            org,
            id.0,
            name.as_str()
        )
        .execute(self.connection())
        .await?;
        if inserted.rows_affected() == 0 {
            let id = sqlx::query_scalar!("SELECT id FROM domains WHERE org_id = $1 AND name = $2", org, name.as_str())
                .fetch_one(self.connection())
                .await?;
            return Ok(Added::Exists(DomainId(id)));
        }
        let regions = self.default_regions().await?;
        self.add_monitor_row(MonitorDraft {
            kind: MonitorKind::Audit,
            target: name.as_str(),
            interval_s: MonitorKind::Audit.default_interval(),
            regions: &regions,
            owner: Some(Asset::Domain(id)),
        })
        .await?;
        self.notify_due().await?;
        self.tell_assets(id.into()).await?;
        Ok(Added::New(self.domain(id).await?))
    }

    /// A domain with its monitors.
    pub async fn domain(&mut self, id: DomainId) -> Result<Domain, StoreError> {
        let org = self.org().0;
        let row = sqlx::query_as!(
            DomainRow,
            r#"SELECT d.id, d.name, d.version, d.created_at, d.selectors, d.senders, d.tags, d.verify_token, d.verified_at,
                      coalesce(d.verified_at > now() - make_interval(days => $3), false) AS "verified!", m.state AS "state?", m.last_checked_at AS "last_checked_at?",
                      (SELECT min(u.next_run_at) FROM schedule_units u WHERE u.org_id = $1 AND u.monitor_id = m.id AND NOT u.paused) AS next_check_at,
                      (SELECT o.outcome FROM last_outcomes o WHERE o.org_id = $1 AND o.monitor_id = m.id ORDER BY o.at DESC LIMIT 1) AS "outcome?"
               FROM domains d LEFT JOIN monitors m ON m.org_id = $1 AND m.domain_id = d.id AND m.kind = 'audit'
               WHERE d.org_id = $1 AND d.id = $2"#,
            org,
            id.0,
            Ownership::HOLDS_DAYS
        )
        .fetch_one(self.connection())
        .await?;
        let mut domain = Domain::try_from(row)?;
        domain.monitors = self.monitors_of(&[id.0]).await?;
        self.weigh_listings(std::slice::from_mut(&mut domain)).await?;
        Ok(domain)
    }

    /// An audit saw these tokens: whose token is among them, its domain is proven. Answers whether that is new.
    pub async fn prove_domain(&mut self, id: DomainId, tokens: &[String], at: DateTime<Utc>) -> Result<bool, StoreError> {
        if tokens.is_empty() {
            return Ok(false);
        }
        let org = self.org().0;
        let before = sqlx::query_scalar!(
            r#"UPDATE domains d SET verified_at = $4 FROM (SELECT verified_at FROM domains WHERE org_id = $1 AND id = $2) AS b
               WHERE d.org_id = $1 AND d.id = $2 AND d.verify_token = ANY($3) AND (d.verified_at IS NULL OR d.verified_at < $4)
               RETURNING coalesce(b.verified_at > now() - make_interval(days => $5), false) AS "before!""#,
            org,
            id.0,
            tokens,
            at,
            Ownership::HOLDS_DAYS
        )
        .fetch_optional(self.connection())
        .await?;
        if before.is_some() {
            self.own_hosts_below(id).await?;
        }
        Ok(before == Some(false))
    }

    /// Monitors of hosts that lie below a proven domain remember it: the closest one of those whose proof holds.
    async fn own_hosts_below(&mut self, id: DomainId) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE monitors m SET owner = d.name FROM domains d
             WHERE d.org_id = $1 AND d.id = $2 AND m.org_id = $1 AND m.kind = 'smtp' AND m.owner IS DISTINCT FROM d.name
               AND (split_part(m.target, ':', 1) = d.name OR right(split_part(m.target, ':', 1), length(d.name) + 1) = '.' || d.name)
               AND NOT EXISTS (SELECT FROM domains o WHERE o.org_id = $1 AND o.name = m.owner AND length(o.name) > length(d.name)
                                 AND o.verified_at > now() - make_interval(days => $3))",
            org,
            id.0,
            Ownership::HOLDS_DAYS
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Whether a server takes mail for a domain: whether it is one of its MX hosts.
    pub async fn takes_mail(&mut self, domain: &str, host: &str) -> Result<bool, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM domains d JOIN domain_servers l ON l.org_id = $1 AND l.domain_id = d.id
                              JOIN servers s ON s.org_id = $1 AND s.id = l.server_id
                              WHERE d.org_id = $1 AND d.name = $2 AND s.host = $3) AS "takes!""#,
            org,
            domain,
            host
        )
        .fetch_one(self.connection())
        .await?)
    }

    /// A page of domains by name, without their monitors; of those with a tag where one is given.
    pub async fn domains(&mut self, after: Option<&str>, tag: Option<&str>, limit: i64) -> Result<Vec<Domain>, StoreError> {
        let org = self.org().0;
        let mut domains = sqlx::query_as!(
            DomainRow,
            r#"SELECT d.id, d.name, d.version, d.created_at, d.selectors, d.senders, d.tags, d.verify_token, d.verified_at,
                      coalesce(d.verified_at > now() - make_interval(days => $4), false) AS "verified!", m.state AS "state?", m.last_checked_at AS "last_checked_at?",
                      (SELECT min(u.next_run_at) FROM schedule_units u WHERE u.org_id = $1 AND u.monitor_id = m.id AND NOT u.paused) AS next_check_at,
                      (SELECT o.outcome FROM last_outcomes o WHERE o.org_id = $1 AND o.monitor_id = m.id ORDER BY o.at DESC LIMIT 1) AS "outcome?"
               FROM domains d LEFT JOIN monitors m ON m.org_id = $1 AND m.domain_id = d.id AND m.kind = 'audit'
               WHERE d.org_id = $1 AND ($2::text IS NULL OR d.name > $2) AND ($5::text IS NULL OR $5 = ANY(d.tags)) ORDER BY d.name LIMIT $3"#,
            org,
            after,
            limit,
            Ownership::HOLDS_DAYS,
            tag
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Domain::try_from)
        .collect::<Result<Vec<_>, _>>()?;
        self.weigh_listings(&mut domains).await?;
        Ok(domains)
    }

    /// Gives domains their listings, and has these weigh on the scores.
    async fn weigh_listings(&mut self, domains: &mut [Domain]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = domains.iter().map(|domain| domain.id.0).collect();
        let all = self.standing().await?;
        let of = self.standing_of_domains(&all, Some(&ids)).await?;
        for domain in domains {
            weigh(domain, &of);
        }
        Ok(())
    }

    /// Changes what is known of a domain, and the settings of its monitors.
    pub async fn update_domain(&mut self, id: DomainId, expected: Option<i64>, patch: &DomainPatch) -> Result<Domain, StoreError> {
        self.begin_change(id.into(), expected).await?;
        let org = self.org().0;
        let senders: Option<Vec<IpNetwork>> = patch.senders.as_ref().map(|senders| senders.iter().copied().map(IpNetwork::from).collect());
        sqlx::query!(
            "UPDATE domains SET selectors = coalesce($3, selectors), senders = coalesce($4, senders), tags = coalesce($5, tags) WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            patch.selectors.as_deref(),
            senders.as_deref(),
            patch.tags.as_deref()
        )
        .execute(self.connection())
        .await?;
        // What is looked at is another thing now.
        if patch.selectors.is_some() || patch.senders.is_some() {
            let audits = self.monitors_of(&[id.0]).await?;
            for audit in audits.iter().filter(|monitor| monitor.kind == MonitorKind::Audit && !monitor.paused) {
                self.request_check(audit.id).await?;
            }
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
        self.domain(id).await
    }
}

/// Monitors by what they belong to.
pub(crate) fn by_owner(monitors: Vec<Monitor>, owner: impl Fn(&Monitor) -> Option<Uuid>) -> HashMap<Uuid, Vec<Monitor>> {
    let mut map: HashMap<Uuid, Vec<Monitor>> = HashMap::new();
    for monitor in monitors {
        if let Some(id) = owner(&monitor) {
            map.entry(id).or_default().push(monitor);
        }
    }
    map
}
