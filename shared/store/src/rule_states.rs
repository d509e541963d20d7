//! What is remembered of a rule's judgements: the monitors that are beyond its limit. Read and written under the rule's lock.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    IncidentId, MonitorId, RuleId,
    incident::IncidentSeverity,
    monitor::MonitorKind,
    rule::{Rule, condition_of},
};

use crate::{OrgTx, StoreError, rules::RuleRow};

/// A rule under lock, ready to be judged.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedRule {
    /// The rule.
    pub rule: Rule,
    /// A person removed it: what is open is to be let go, and then it goes.
    pub removed: bool,
}

/// A monitor that is beyond a rule's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beyond {
    /// For long enough.
    pub firing: bool,
    /// Since when.
    pub since: DateTime<Utc>,
    /// While it fires: within the limit again since then.
    pub calm_since: Option<DateTime<Utc>>,
    /// When its last value was seen.
    pub seen_at: DateTime<Utc>,
}

/// The same with the incident about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// How it stands.
    pub beyond: Beyond,
    /// Its incident that is not over, and how bad that is. Somebody may have ended it by hand.
    pub incident: Option<(IncidentId, IncidentSeverity)>,
}

/// A monitor of whose incident something is to be told.
#[derive(Debug, Clone)]
pub struct StepMonitor {
    /// The monitor.
    pub id: MonitorId,
    /// What it runs.
    pub kind: MonitorKind,
    /// On what.
    pub target: String,
    /// What was seen of it last, or else what its incident was opened with.
    pub outcome: Option<Value>,
}

impl OrgTx {
    /// Locks a rule for judging; nothing where it is gone. No statement of a judgement takes longer than 30 s: the next
    /// one may find the database less busy.
    pub async fn lock_rule(&mut self, id: RuleId) -> Result<Option<LockedRule>, StoreError> {
        let org = self.org().0;
        sqlx::query("SET LOCAL statement_timeout = '30s'").execute(self.connection()).await?;
        let row =
            sqlx::query!("SELECT removed FROM rules WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0).fetch_optional(self.connection()).await?;
        let Some(row) = row else { return Ok(None) };
        let rule = sqlx::query_as!(
            RuleRow,
            r#"SELECT id, name, enabled, series, over_minutes, threshold, clear, for_minutes, severity, scope, runbook, 0::bigint AS "firing!", 0::bigint AS "waiting!",
                      judged_at, version, created_at FROM rules WHERE org_id = $1 AND id = $2"#,
            org,
            id.0
        )
        .fetch_one(self.connection())
        .await?;
        Ok(Some(LockedRule { rule: rule.try_into()?, removed: row.removed }))
    }

    /// What is remembered of a rule, by monitor.
    pub async fn rule_states(&mut self, rule: &Rule) -> Result<HashMap<MonitorId, Remembered>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            r#"SELECT s.monitor_id, s.firing, s.since, s.calm_since, s.seen_at, i.id AS "incident?", i.severity AS "severity?"
               FROM rule_states s
               LEFT JOIN incidents i ON s.firing AND i.org_id = $1 AND i.monitor_id = s.monitor_id AND i.condition = $3 AND i.status <> 'resolved'
               WHERE s.org_id = $1 AND s.rule_id = $2"#,
            org,
            rule.id.0,
            condition_of(rule.id, rule.settings.series)
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let severity = row.severity.map(|text| text.parse().map_err(|()| StoreError::Corrupt(text.clone()))).transpose()?;
                let beyond = Beyond { firing: row.firing, since: row.since, calm_since: row.calm_since, seen_at: row.seen_at };
                let incident = row.incident.map(IncidentId).zip(severity);
                Ok((MonitorId(row.monitor_id), Remembered { beyond, incident }))
            })
            .collect()
    }

    /// Answers which monitors are still there. Of `told` with what was seen of them last, and under lock, in the order of their ids as recorders
    /// do: a state alone keeps no recorder waiting.
    pub async fn lock_monitors_of_rule(
        &mut self,
        rule: &Rule,
        monitors: &[MonitorId],
        told: &[MonitorId],
    ) -> Result<(Vec<MonitorId>, Vec<StepMonitor>), StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = monitors.iter().map(|id| id.0).collect();
        let told: Vec<Uuid> = told.iter().map(|id| id.0).collect();
        sqlx::query_scalar!("SELECT id FROM monitors WHERE org_id = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE", org, &told)
            .fetch_all(self.connection())
            .await?;
        let there = sqlx::query_scalar!("SELECT id FROM monitors WHERE org_id = $1 AND id = ANY($2)", org, &ids).fetch_all(self.connection()).await?;
        let rows = sqlx::query!(
            r#"SELECT m.id, m.kind, m.target,
                      coalesce((SELECT o.outcome FROM last_outcomes o WHERE o.org_id = $1 AND o.monitor_id = m.id ORDER BY o.at DESC LIMIT 1),
                               (SELECT i.evidence FROM incidents i WHERE i.org_id = $1 AND i.monitor_id = m.id AND i.condition = $3 AND i.status <> 'resolved')) AS outcome
               FROM monitors m WHERE m.org_id = $1 AND m.id = ANY($2) ORDER BY m.id"#,
            org,
            &told,
            condition_of(rule.id, rule.settings.series)
        )
        .fetch_all(self.connection())
        .await?;
        let told = rows
            .into_iter()
            .map(|row| {
                let kind = row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?;
                Ok(StepMonitor { id: MonitorId(row.id), kind, target: row.target, outcome: row.outcome })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok((there.into_iter().map(MonitorId).collect(), told))
    }

    /// Keeps how monitors stand to a rule from now on; nothing is remembered of those without a state.
    pub async fn keep_rule_states(&mut self, rule: RuleId, states: &[(MonitorId, Option<Beyond>)]) -> Result<(), StoreError> {
        let org = self.org().0;
        let calm: Vec<Uuid> = states.iter().filter(|(_, state)| state.is_none()).map(|(id, _)| id.0).collect();
        if !calm.is_empty() {
            sqlx::query!("DELETE FROM rule_states WHERE org_id = $1 AND rule_id = $2 AND monitor_id = ANY($3)", org, rule.0, &calm)
                .execute(self.connection())
                .await?;
        }
        let kept: Vec<(Uuid, Beyond)> = states.iter().filter_map(|(id, state)| Some((id.0, (*state)?))).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let monitors: Vec<Uuid> = kept.iter().map(|(id, _)| *id).collect();
        let firing: Vec<bool> = kept.iter().map(|(_, state)| state.firing).collect();
        let since: Vec<DateTime<Utc>> = kept.iter().map(|(_, state)| state.since).collect();
        let calm_since: Vec<Option<DateTime<Utc>>> = kept.iter().map(|(_, state)| state.calm_since).collect();
        let seen_at: Vec<DateTime<Utc>> = kept.iter().map(|(_, state)| state.seen_at).collect();
        sqlx::query!(
            "INSERT INTO rule_states (org_id, rule_id, monitor_id, firing, since, calm_since, seen_at)
             SELECT $1, $2, * FROM UNNEST($3::uuid[], $4::bool[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[])
             ON CONFLICT (org_id, rule_id, monitor_id) DO UPDATE SET firing = excluded.firing, since = excluded.since, calm_since = excluded.calm_since,
               seen_at = excluded.seen_at",
            org,
            rule.0,
            &monitors,
            &firing,
            &since,
            &calm_since as &[Option<DateTime<Utc>>],
            &seen_at
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// A judgement is made. `more`: not all of it, so that the rule is due again. What is off, or gone, is not judged again.
    pub async fn rule_judged(&mut self, id: RuleId, at: DateTime<Utc>, more: bool) -> Result<(), StoreError> {
        let org = self.org().0;
        if !more {
            sqlx::query!("DELETE FROM rules WHERE org_id = $1 AND id = $2 AND removed", org, id.0).execute(self.connection()).await?;
        }
        sqlx::query!(
            "UPDATE rules SET judged_at = $3, due_at = CASE WHEN $4 THEN now() WHEN enabled THEN due_at END WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            at,
            more
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
