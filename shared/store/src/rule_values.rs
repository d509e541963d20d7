//! What rules hold to their limits: the monitors that a rule is about, each with its value now. One question for all of them, since thousands
//! are judged at once.

use std::{collections::HashMap, net::IpAddr};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use waypost_types::{
    AddressId, DomainId, MonitorId, ServerId,
    maintenance::Watched,
    monitor::MonitorKind,
    name::Cidr,
    rule::{LEAST_CHECKS, RuleSettings, Series},
};

use crate::{OrgTx, StoreError, standing::AllStanding};

/// Monitors that a rule is judged for at most. Of more it judges the oldest.
pub const MOST_MONITORS: usize = 10_000;

/// A monitor that a rule is about.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleMonitor {
    /// The monitor.
    pub id: MonitorId,
    /// What it runs.
    pub kind: MonitorKind,
    /// On what.
    pub target: String,
    /// The domain it belongs to.
    pub domain: Option<DomainId>,
    /// The server it belongs to.
    pub server: Option<ServerId>,
    /// The address it belongs to.
    pub address: Option<AddressId>,
    /// Tags of what it belongs to.
    pub tags: Vec<String>,
    /// It is not checked.
    pub paused: bool,
    /// Seconds between checks.
    pub interval_s: u32,
    /// Its value, in the unit of the series. Nothing where too few checks tell it, or nothing does.
    pub value: Option<f64>,
    /// Checks in the window that count.
    pub checks: Option<u32>,
}

impl RuleMonitor {
    /// Whether a window holds too few of its checks for a value.
    pub fn is_too_rare(&self, rule: &RuleSettings) -> bool {
        let window = rule.over_minutes.filter(|_| rule.series.has_window() && !self.paused);
        window.is_some_and(|minutes| self.interval_s.saturating_mul(LEAST_CHECKS) > minutes.saturating_mul(60))
    }

    /// As maintenance windows know it.
    pub fn watched(&self) -> Watched<'_> {
        Watched { monitor: Some(self.id), domain: self.domain, server: self.server, address: self.address, tags: &self.tags }
    }
}

/// Monitors that a rule is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleMonitors {
    /// By id.
    pub monitors: Vec<RuleMonitor>,
    /// All of them are here.
    pub complete: bool,
}

impl OrgTx {
    /// The monitors that a rule is about, with their values. Checks that were seen in maintenance windows do not count.
    pub async fn rule_monitors(&mut self, rule: &RuleSettings, now: DateTime<Utc>) -> Result<RuleMonitors, StoreError> {
        let org = self.org().0;
        let (series, scope) = (rule.series, &rule.scope);
        let from = now - TimeDelta::minutes(rule.over_minutes.unwrap_or_default().into());
        let (of_times, of_shares, of_certificates, of_scores) = match series {
            Series::ResponseTimeP50 => (Some(0.5), None, false, false),
            Series::ResponseTimeP95 => (Some(0.95), None, false, false),
            Series::FailureRate => (None, Some("down"), false, false),
            Series::UnknownRate => (None, Some("unknown"), false, false),
            Series::CertificateDays => (None, None, true, false),
            Series::Score => (None, None, false, true),
            Series::Listings => (None, None, false, false),
        };
        let never: Vec<String> = series.never().iter().map(|kind| kind.as_str().to_owned()).collect();
        let ids = |ids: &mut dyn Iterator<Item = Uuid>| ids.collect::<Vec<_>>();
        // Each way to a value is closed by its parameter before it looks at anything.
        let rows = sqlx::query!(
            r#"SELECT m.id, m.kind, m.target, m.domain_id, m.server_id, m.address_id, m.paused, m.interval_s, m.last_checked_at,
                      monitor_tags(m) AS "tags!",
                      coalesce(t.checks, r.checks) AS checks, coalesce(t.value, r.value, c.value, p.value) AS value
               FROM monitors m
               LEFT JOIN LATERAL (
                 SELECT count(x.latency_ms) AS checks, percentile_cont($5) WITHIN GROUP (ORDER BY x.latency_ms) AS value FROM check_results x
                 WHERE x.org_id = $1 AND x.monitor_id = m.id AND x.at > $3 AND x.at <= $4 AND NOT x.maintenance AND x.latency_ms IS NOT NULL
               ) t ON $5::float8 IS NOT NULL AND NOT m.paused
               LEFT JOIN LATERAL (
                 SELECT count(*) AS checks, 100.0::float8 * count(*) FILTER (WHERE x.verdict = $6) / nullif(count(*), 0) AS value FROM check_results x
                 WHERE x.org_id = $1 AND x.monitor_id = m.id AND x.at > $3 AND x.at <= $4 AND NOT x.maintenance AND ($6 = 'unknown' OR x.verdict <> 'unknown')
               ) r ON $6::text IS NOT NULL AND NOT m.paused
               LEFT JOIN LATERAL (
                 SELECT (extract(epoch FROM min((e.at #>> '{}')::timestamptz) - $4) / 86400)::float8 AS value
                 FROM last_outcomes o, jsonb_path_query(o.outcome, '$.*[*].tls.expires') AS e(at)
                 WHERE o.org_id = $1 AND o.monitor_id = m.id AND jsonb_typeof(e.at) = 'string'
               ) c ON $7 AND NOT m.paused
               LEFT JOIN LATERAL (
                 SELECT (o.outcome->>'score')::float8 AS value FROM last_outcomes o WHERE o.org_id = $1 AND o.monitor_id = m.id ORDER BY o.at DESC LIMIT 1
               ) p ON $8 AND NOT m.paused
               WHERE m.org_id = $1 AND ($9::text IS NULL OR m.kind = $9) AND m.kind <> ALL($10)
                 AND ($11 OR m.id = ANY($12) OR m.domain_id = ANY($13) OR m.server_id = ANY($14) OR m.address_id = ANY($15)
                      OR (cardinality($16::text[]) > 0 AND monitor_tags(m) && $16))
               ORDER BY m.id LIMIT $2"#,
            org,
            i64::try_from(MOST_MONITORS + 1).unwrap_or(i64::MAX),
            from,
            now,
            of_times as Option<f64>,
            of_shares as Option<&str>,
            of_certificates,
            of_scores,
            series.only().map(MonitorKind::as_str),
            &never,
            scope.everything,
            &ids(&mut scope.monitors.iter().map(|id| id.0)),
            &ids(&mut scope.domains.iter().map(|id| id.0)),
            &ids(&mut scope.servers.iter().map(|id| id.0)),
            &ids(&mut scope.addresses.iter().map(|id| id.0)),
            &scope.tags
        )
        .fetch_all(self.connection())
        .await?;
        let complete = rows.len() <= MOST_MONITORS;
        let mut monitors = Vec::with_capacity(rows.len());
        for row in rows.into_iter().take(MOST_MONITORS) {
            let checks = row.checks.map(|checks| u32::try_from(checks).unwrap_or(u32::MAX)).filter(|_| series.has_window());
            monitors.push(RuleMonitor {
                id: MonitorId(row.id),
                kind: row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?,
                target: row.target,
                domain: row.domain_id.map(DomainId),
                server: row.server_id.map(ServerId),
                address: row.address_id.map(AddressId),
                tags: row.tags,
                paused: row.paused,
                interval_s: u32::try_from(row.interval_s).unwrap_or_default(),
                // A scan counts by what stands; before the first there is nothing to count.
                value: match series {
                    Series::Listings => (row.last_checked_at.is_some() && !row.paused).then_some(0.0),
                    _ => row.value.filter(|_| checks.is_none_or(|checks| checks >= LEAST_CHECKS)),
                },
                checks,
            });
        }
        match series {
            Series::Listings => self.count_listings(&mut monitors).await?,
            Series::Score => self.hold_scores(&mut monitors).await?,
            _ => {}
        }
        Ok(RuleMonitors { monitors, complete })
    }

    /// Listings as the pages count them: each once, whichever monitor's scan saw it.
    async fn count_listings(&mut self, monitors: &mut [RuleMonitor]) -> Result<(), StoreError> {
        let standing = self.standing().await?;
        let counts = Counts::of(&standing);
        for monitor in monitors {
            monitor.value = monitor.value.map(|_| f64::from(counts.of_target(&monitor.target)));
        }
        Ok(())
    }

    /// Listings hold scores down, as they do on the pages.
    async fn hold_scores(&mut self, monitors: &mut [RuleMonitor]) -> Result<(), StoreError> {
        let standing = self.overview_standing().await?;
        let most = standing.most_by_domain();
        for monitor in monitors {
            let held = monitor.domain.and_then(|domain| most.get(&domain)).map(|most| f64::from(*most));
            monitor.value = monitor.value.map(|value| held.map_or(value, |most| value.min(most)));
        }
        Ok(())
    }
}

/// Standing listings by what they are of.
struct Counts {
    by_subject: HashMap<String, u32>,
    by_address: Vec<(IpAddr, u32)>,
}

impl Counts {
    fn of(standing: &AllStanding) -> Self {
        let mut by_subject: HashMap<String, u32> = HashMap::new();
        for subject in standing.subjects() {
            let count = by_subject.entry(subject.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        let by_address = by_subject.iter().filter_map(|(subject, count)| Some((subject.parse().ok()?, *count))).collect();
        Self { by_subject, by_address }
    }

    fn of_target(&self, target: &str) -> u32 {
        if let Some(count) = self.by_subject.get(target) {
            return *count;
        }
        let Ok(net) = target.parse::<Cidr>() else { return 0 };
        self.by_address.iter().filter(|(address, _)| net.net().contains(address)).map(|(_, count)| *count).fold(0, u32::saturating_add)
    }
}
