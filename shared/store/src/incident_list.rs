//! The list of incidents, narrowed and counted.

use chrono::{DateTime, Utc};
use waypost_types::{
    IncidentId, MonitorId,
    incident::{Incident, IncidentSeverity},
    incident_list::{IncidentCounts, Stage},
};

use crate::{OrgTx, StoreError, incidents::IncidentRow};

/// Which incidents a list shows: what is absent does not narrow.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// By where they are in their lives.
    pub stage: Stage,
    /// As urgent as this.
    pub severity: Option<IncidentSeverity>,
    /// With these characters in what is affected or in the title, whatever their case.
    pub q: Option<String>,
    /// Of this monitor.
    pub monitor: Option<MonitorId>,
}

/// The last incident of a page: the next goes on behind it.
pub type Last = (DateTime<Utc>, IncidentId);

impl IncidentFilter {
    fn part(&self) -> Option<String> {
        self.q.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty())
    }
}

impl OrgTx {
    /// A page of incidents, newest first, without timelines and evidence.
    pub async fn incidents(&mut self, filter: &IncidentFilter, before: Option<Last>, limit: i64) -> Result<Vec<Incident>, StoreError> {
        let org = self.org().0;
        let (before_at, before_id) = before.map_or((None, None), |(at, id)| (Some(at), Some(id.0)));
        sqlx::query_as!(
            IncidentRow,
            "SELECT id, monitor_id, kind, target, condition, title, summary, severity, status, opened_at, acknowledged_at, resolved_at, version, flapping_since, reopened
             FROM incidents i
             WHERE org_id = $1 AND incident_matches(i, $2, $3, $4)
               AND CASE $5 WHEN 'all' THEN true WHEN 'active' THEN status <> 'resolved' ELSE status = $5 END
               AND ($6::timestamptz IS NULL OR (opened_at, id) < ($6, $7::uuid))
             ORDER BY opened_at DESC, id DESC LIMIT $8",
            org,
            filter.part(),
            filter.severity.map(IncidentSeverity::as_str),
            filter.monitor.map(|id| id.0),
            filter.stage.as_str(),
            before_at,
            before_id,
            limit
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(Incident::try_from)
        .collect()
    }

    /// How many match, by where they are in their lives. The filter's own stage does not narrow: the counts are what it chooses from.
    pub async fn incident_counts(&mut self, filter: &IncidentFilter) -> Result<IncidentCounts, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"SELECT status, count(*) AS "count!" FROM incidents i WHERE org_id = $1 AND incident_matches(i, $2, $3, $4) GROUP BY status"#,
            org,
            filter.part(),
            filter.severity.map(IncidentSeverity::as_str),
            filter.monitor.map(|id| id.0)
        )
        .fetch_all(self.connection())
        .await?;
        let mut counts = IncidentCounts::default();
        for row in rows {
            let status = row.status.parse().map_err(|()| StoreError::Corrupt(row.status.clone()))?;
            counts.set(status, u32::try_from(row.count).unwrap_or(u32::MAX));
        }
        Ok(counts)
    }
}
