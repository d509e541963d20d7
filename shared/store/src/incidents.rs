//! Incidents as people see and change them. What the judge does to them is `transitions.rs`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    IncidentId, MonitorId,
    channel::EventKind,
    event::LiveEvent,
    id::TimelineId,
    incident::{BY_HAND, Incident, IncidentSeverity, IncidentStatus, Mute, MuteFor, TimelineEntry, TimelineEvent},
    topic::Topic,
};

use crate::{
    OrgTx, StoreError,
    monitors::{Added, fresh},
    transitions::Opening,
};

/// What a person does to an incident.
#[derive(Debug, Clone, Copy, Default)]
pub struct IncidentChange<'a> {
    /// Where it goes.
    pub status: Option<IncidentStatus>,
    /// What they say.
    pub comment: Option<&'a str>,
    /// Why it happened; empty takes back what was said.
    pub root_cause: Option<&'a str>,
    /// For how long nobody is told.
    pub mute: Option<MuteFor>,
    /// Who they are, for the timeline.
    pub actor: &'a str,
}

pub(crate) struct IncidentRow {
    pub id: Uuid,
    pub monitor_id: Option<Uuid>,
    pub kind: String,
    pub target: String,
    pub condition: String,
    pub title: String,
    pub summary: String,
    pub severity: String,
    pub status: String,
    pub opened_at: DateTime<Utc>,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub flapping_since: Option<DateTime<Utc>>,
    pub reopened: i32,
}

impl TryFrom<IncidentRow> for Incident {
    type Error = StoreError;
    fn try_from(row: IncidentRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: IncidentId(row.id),
            monitor_id: row.monitor_id.map(MonitorId),
            kind: row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?,
            target: row.target,
            condition: row.condition,
            title: row.title,
            summary: row.summary,
            severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
            status: row.status.parse().map_err(|()| StoreError::Corrupt(row.status.clone()))?,
            opened_at: row.opened_at,
            acknowledged_at: row.acknowledged_at,
            resolved_at: row.resolved_at,
            timeline: Vec::new(),
            root_cause: None,
            mute: None,
            runbook: None,
            own_runbook: None,
            evidence: None,
            flapping_since: row.flapping_since,
            reopened: u32::try_from(row.reopened).unwrap_or_default(),
            version: row.version,
        })
    }
}

impl OrgTx {
    /// Opens an incident by hand: of a monitor there is one at a time. No check changes or ends it; what checks find
    /// are incidents of their own.
    pub async fn add_incident(
        &mut self,
        monitor: MonitorId,
        title: &str,
        summary: &str,
        severity: IncidentSeverity,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Added<Incident, IncidentId>, StoreError> {
        let org = self.org().0;
        let about = sqlx::query!("SELECT kind, target FROM monitors WHERE org_id = $1 AND id = $2 FOR UPDATE", org, monitor.0)
            .fetch_one(self.connection())
            .await?;
        let open = sqlx::query_scalar!(
            "SELECT id FROM incidents WHERE org_id = $1 AND monitor_id = $2 AND condition = $3 AND status <> 'resolved'",
            org,
            monitor.0,
            BY_HAND
        )
        .fetch_optional(self.connection())
        .await?;
        if let Some(id) = open {
            return Ok(Added::Exists(IncidentId(id)));
        }
        let kind = about.kind.parse().map_err(|()| StoreError::Corrupt(about.kind.clone()))?;
        let id = self
            .open_incident(&Opening {
                monitor,
                condition: BY_HAND,
                kind,
                target: &about.target,
                title,
                summary,
                severity,
                at: now,
                evidence: Value::Null,
            })
            .await?;
        self.append_timeline(id, now, TimelineEvent::Comment, "Opened by hand.", Some(actor)).await?;
        self.tell_of_hand(id, EventKind::Opened, summary, actor, now).await?;
        self.notify(&LiveEvent::Incidents { ids: vec![id.to_string()] }).await?;
        Ok(Added::New(self.incident(id).await?))
    }

    /// An incident with its timeline and its evidence.
    pub async fn incident(&mut self, id: IncidentId) -> Result<Incident, StoreError> {
        let org = self.org().0;
        let row = sqlx::query_as!(
            IncidentRow,
            "SELECT id, monitor_id, kind, target, condition, title, summary, severity, status, opened_at, acknowledged_at, resolved_at, version,
                    flapping_since, reopened FROM incidents WHERE org_id = $1 AND id = $2",
            org,
            id.0
        )
        .fetch_one(self.connection())
        .await?;
        let mut incident = Incident::try_from(row)?;
        let more = sqlx::query!("SELECT evidence, root_cause, muted_by, muted_until FROM incidents WHERE org_id = $1 AND id = $2", org, id.0)
            .fetch_one(self.connection())
            .await?;
        incident.evidence = more.evidence.filter(|value| !value.is_null()).map(serde_json::from_value).transpose()?;
        incident.runbook = Topic::of(&incident).map(|topic| topic.as_str().to_owned());
        incident.own_runbook = self.own_runbooks_of(&[id]).await?.remove(&id);
        incident.root_cause = more.root_cause;
        incident.mute = more
            .muted_by
            .map(|by| Mute { by, until: more.muted_until })
            .filter(|mute| incident.status != IncidentStatus::Resolved && mute.holds_at(Utc::now()));
        let lines = sqlx::query!(
            r#"SELECT id, at, event, text, actor FROM (SELECT * FROM incident_timeline WHERE org_id = $1 AND incident_id = $2 ORDER BY at DESC, id DESC LIMIT 500) newest
               ORDER BY at, id"#,
            org,
            id.0
        )
        .fetch_all(self.connection())
        .await?;
        incident.timeline = lines
            .into_iter()
            .map(|line| {
                Ok(TimelineEntry {
                    id: TimelineId(line.id),
                    at: line.at,
                    event: line.event.parse().map_err(|()| StoreError::Corrupt(line.event.clone()))?,
                    text: line.text,
                    actor: line.actor,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(incident)
    }

    /// A person takes, ends or comments an incident. Nobody opens again what is over: `Conflict("status")`. The judge does where it fails again
    /// soon (`reopening.rs`).
    pub async fn update_incident(
        &mut self,
        id: IncidentId,
        expected: Option<i64>,
        change: IncidentChange<'_>,
        now: DateTime<Utc>,
    ) -> Result<Incident, StoreError> {
        let org = self.org().0;
        let monitor = self.lock_monitor_of(id).await?;
        let row = sqlx::query!("SELECT version, status, condition FROM incidents WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, row.version)?;
        let status: IncidentStatus = row.status.parse().map_err(|()| StoreError::Corrupt(row.status.clone()))?;
        let next = change.status.filter(|next| *next != status);
        match (status, next) {
            (IncidentStatus::Resolved, Some(_)) | (_, Some(IncidentStatus::Open)) => return Err(StoreError::Conflict("status")),
            (IncidentStatus::Resolved, None) if change.mute.is_some() => return Err(StoreError::Conflict("mute")),
            _ => {}
        }
        sqlx::query!(
            "UPDATE incidents SET status = coalesce($3, status), version = version + 1,
                    acknowledged_at = CASE WHEN $3 = 'acknowledged' THEN $4 ELSE acknowledged_at END,
                    resolved_at = CASE WHEN $3 = 'resolved' THEN $4 ELSE resolved_at END,
                    flapping_since = CASE WHEN $3 = 'resolved' THEN NULL ELSE flapping_since END
             WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            next.map(IncidentStatus::as_str),
            now
        )
        .execute(self.connection())
        .await?;
        if let Some(comment) = change.comment {
            self.append_timeline(id, now, TimelineEvent::Comment, comment, Some(change.actor)).await?;
        }
        if let Some(cause) = change.root_cause {
            self.set_root_cause(id, cause, change.actor, now).await?;
        }
        if let Some(mute) = change.mute {
            self.mute_incident(id, mute, change.actor, now).await?;
        }
        match next {
            Some(IncidentStatus::Acknowledged) => {
                self.stop_follow_ups(id, now).await?;
                self.append_timeline(id, now, TimelineEvent::Acknowledged, "Somebody works on it.", Some(change.actor)).await?;
            }
            Some(IncidentStatus::Resolved) => {
                self.stop_follow_ups(id, now).await?;
                self.append_timeline(id, now, TimelineEvent::Resolved, "Resolved by hand.", Some(change.actor)).await?;
                self.tell_of_hand(id, EventKind::Resolved, &format!("Resolved by hand: {}.", change.actor), change.actor, now).await?;
                // The judge begins anew: what still fails is confirmed again and told again.
                if let Some(monitor) = monitor {
                    self.judge_anew(monitor, &row.condition).await?;
                }
            }
            Some(IncidentStatus::Open) | None => {}
        }
        if next == Some(IncidentStatus::Acknowledged) || (change.mute.is_some() && next.is_none()) {
            self.tell_handled(id, now).await?;
        }
        self.notify(&LiveEvent::Incidents { ids: vec![id.to_string()] }).await?;
        self.incident(id).await
    }

    /// The monitors of these incidents, in the order in which recorders lock them, for changing several in one transaction.
    pub async fn lock_monitors_of_incidents(&mut self, incidents: &[IncidentId]) -> Result<(), StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = incidents.iter().map(|id| id.0).collect();
        sqlx::query_scalar!(
            "SELECT id FROM monitors WHERE org_id = $1 AND id IN (SELECT monitor_id FROM incidents WHERE org_id = $1 AND id = ANY($2)) ORDER BY id FOR UPDATE",
            org,
            &ids
        )
        .fetch_all(self.connection())
        .await?;
        Ok(())
    }

    /// The monitor of an incident, before the incident, as the recorder locks them.
    async fn lock_monitor_of(&mut self, id: IncidentId) -> Result<Option<Uuid>, StoreError> {
        let org = self.org().0;
        Ok(sqlx::query_scalar!(
            "SELECT m.id FROM monitors m JOIN incidents i ON i.org_id = $1 AND i.monitor_id = m.id WHERE m.org_id = $1 AND i.id = $2 FOR UPDATE OF m",
            org,
            id.0
        )
        .fetch_optional(self.connection())
        .await?)
    }

    /// What a monitor is judged by is forgotten: all of it, or one condition.
    async fn judge_anew(&mut self, monitor: Uuid, condition: &str) -> Result<(), StoreError> {
        let org = self.org().0;
        if condition.is_empty() {
            sqlx::query!("UPDATE monitors SET judge = DEFAULT, state = DEFAULT, state_since = NULL WHERE org_id = $1 AND id = $2", org, monitor)
                .execute(self.connection())
                .await?;
        } else {
            sqlx::query!("UPDATE monitors SET conditions = conditions #- ARRAY['open', $3] WHERE org_id = $1 AND id = $2", org, monitor, condition)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Removes an incident with its timeline. What it was about is judged anew when it was not over; a channel that was told of it and not of
    /// its end hears that it is gone.
    pub async fn delete_incident(&mut self, id: IncidentId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let monitor = self.lock_monitor_of(id).await?;
        let row = sqlx::query!("SELECT version, status, condition FROM incidents WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, row.version)?;
        if let Some(monitor) = monitor.filter(|_| row.status != IncidentStatus::Resolved.as_str() && !row.condition.is_empty()) {
            self.judge_anew(monitor, &row.condition).await?;
        }
        let farewell = self.farewell(id, Utc::now()).await?;
        sqlx::query!("DELETE FROM incidents WHERE org_id = $1 AND id = $2", org, id.0).execute(self.connection()).await?;
        if let Some(farewell) = farewell {
            self.say_farewell(&farewell).await?;
        }
        self.notify(&LiveEvent::Incidents { ids: vec![id.to_string()] }).await
    }

    /// Monitors are about to go: their open incidents end, and all of them stand for themselves from now on.
    pub(crate) async fn detach_incidents(&mut self, monitors: &[Uuid]) -> Result<(), StoreError> {
        if monitors.is_empty() {
            return Ok(());
        }
        let org = self.org().0;
        let now = Utc::now();
        let open = sqlx::query_scalar!(
            "SELECT id FROM incidents WHERE org_id = $1 AND monitor_id = ANY($2) AND status <> 'resolved' ORDER BY id FOR UPDATE",
            org,
            monitors
        )
        .fetch_all(self.connection())
        .await?;
        for id in &open {
            self.end_incident(IncidentId(*id), now, "Ended: it is no longer watched.").await?;
            self.tell_channels(IncidentId(*id), EventKind::LetGo, "It is no longer watched.", now).await?;
        }
        sqlx::query!("UPDATE incidents SET monitor_id = NULL WHERE org_id = $1 AND monitor_id = ANY($2)", org, monitors)
            .execute(self.connection())
            .await?;
        if !open.is_empty() {
            let ids = open.into_iter().map(|id| IncidentId(id).to_string()).collect();
            self.notify(&LiveEvent::Incidents { ids }).await?;
        }
        Ok(())
    }
}
