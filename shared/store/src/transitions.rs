//! What the judge's transitions do to incidents: open, change, end, each with its line in the timeline. How people see and change
//! incidents lives in `incidents.rs`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    IncidentId, MonitorId,
    incident::{IncidentSeverity, Mute, TimelineEvent},
    monitor::MonitorKind,
};

use crate::{
    OrgTx, StoreError,
    recording::{clean, without_nul},
};

/// An incident that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIncident {
    /// Its id.
    pub id: IncidentId,
    /// The monitor that opened it.
    pub monitor: MonitorId,
    /// The condition of the monitor that it is about; empty where the monitor is judged as a whole.
    pub condition: String,
    /// Its title.
    pub title: String,
    /// How urgent it is now.
    pub severity: IncidentSeverity,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// Why it happened, as people found out: Markdown.
    pub root_cause: Option<String>,
    /// Nobody is to be told, as long as it holds.
    pub mute: Option<Mute>,
    /// Since when it is flapping.
    pub flapping_since: Option<DateTime<Utc>>,
    /// How often it was over and began again soon after.
    pub reopened: i32,
    /// Raised by every change.
    pub version: i64,
}

/// An incident to open.
#[derive(Debug, Clone)]
pub struct Opening<'a> {
    /// The monitor.
    pub monitor: MonitorId,
    /// The condition of it; empty where the monitor is judged as a whole.
    pub condition: &'a str,
    /// What it runs.
    pub kind: MonitorKind,
    /// What is affected.
    pub target: &'a str,
    /// One line.
    pub title: &'a str,
    /// What was seen and what to do next.
    pub summary: &'a str,
    /// How urgent.
    pub severity: IncidentSeverity,
    /// When.
    pub at: DateTime<Utc>,
    /// The outcome that confirmed it.
    pub evidence: Value,
}

impl OrgTx {
    /// Slug and name of the organisation, for links and mails.
    pub async fn org_label(&mut self) -> Result<(String, String), StoreError> {
        let org = self.org().0;
        let row = sqlx::query!("SELECT slug, name FROM orgs WHERE id = $1", org).fetch_one(self.connection()).await?;
        Ok((row.slug, row.name))
    }

    /// The incidents of these monitors that are not over.
    pub async fn open_incidents_of(&mut self, monitors: &[MonitorId]) -> Result<Vec<OpenIncident>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|monitor| monitor.0).collect();
        let rows = sqlx::query!(
            r#"SELECT id, monitor_id AS "monitor_id!", condition, title, severity, opened_at, version,
                      flapping_since, reopened, root_cause, muted_by, muted_until FROM incidents
               WHERE org_id = $1 AND monitor_id = ANY($2) AND status <> 'resolved' ORDER BY id FOR UPDATE"#,
            org,
            &ids
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(OpenIncident {
                    id: IncidentId(row.id),
                    monitor: MonitorId(row.monitor_id),
                    condition: row.condition,
                    title: row.title,
                    severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
                    opened_at: row.opened_at,
                    root_cause: row.root_cause,
                    mute: row.muted_by.map(|by| Mute { by, until: row.muted_until }),
                    flapping_since: row.flapping_since,
                    reopened: row.reopened,
                    version: row.version,
                })
            })
            .collect()
    }

    /// Opens an incident with the first line of its timeline.
    pub async fn open_incident(&mut self, opening: &Opening<'_>) -> Result<IncidentId, StoreError> {
        let org = self.org().0;
        let id = IncidentId(Uuid::now_v7());
        sqlx::query!(
            "INSERT INTO incidents (org_id, id, monitor_id, kind, target, title, summary, severity, opened_at, evidence, condition)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            org,
            id.0,
            opening.monitor.0,
            opening.kind.as_str(),
            opening.target,
            without_nul(opening.title),
            without_nul(opening.summary),
            opening.severity.as_str(),
            opening.at,
            clean(opening.evidence.clone()),
            without_nul(opening.condition)
        )
        .execute(self.connection())
        .await?;
        self.append_timeline(id, opening.at, TimelineEvent::Opened, opening.title, None).await?;
        Ok(id)
    }

    /// An incident got better or worse without ending. Answers its new version.
    pub async fn change_incident(
        &mut self,
        id: IncidentId,
        at: DateTime<Utc>,
        severity: IncidentSeverity,
        title: &str,
        summary: &str,
        text: &str,
    ) -> Result<i64, StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!(
            "UPDATE incidents SET severity = $3, title = $4, summary = $5, version = version + 1 WHERE org_id = $1 AND id = $2 RETURNING version",
            org,
            id.0,
            severity.as_str(),
            without_nul(title),
            without_nul(summary)
        )
        .fetch_one(self.connection())
        .await?;
        self.append_timeline(id, at, TimelineEvent::Changed, text, None).await?;
        Ok(version)
    }

    /// The trouble is over.
    pub async fn end_incident(&mut self, id: IncidentId, at: DateTime<Utc>, text: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "UPDATE incidents SET status = 'resolved', resolved_at = $3, flapping_since = NULL, version = version + 1
             WHERE org_id = $1 AND id = $2 AND status <> 'resolved'",
            org,
            id.0,
            at
        )
        .execute(self.connection())
        .await?;
        self.stop_follow_ups(id, at).await?;
        self.append_timeline(id, at, TimelineEvent::Resolved, text, None).await
    }

    /// Adds a line to the story.
    pub async fn append_timeline(
        &mut self,
        incident: IncidentId,
        at: DateTime<Utc>,
        event: TimelineEvent,
        text: &str,
        actor: Option<&str>,
    ) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO incident_timeline (org_id, id, incident_id, at, event, text, actor) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            org,
            Uuid::now_v7(),
            incident.0,
            at,
            event.as_str(),
            without_nul(text),
            actor
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
