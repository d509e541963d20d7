//! Rules as people make and change them, and the claiming of those that are due. The values that they hold to their limits are `rule_values.rs`,
//! what is remembered of a judgement `rule_states.rs`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    OrgId, RuleId,
    rule::{Rule, RuleSettings},
};

use crate::{
    OrgTx, Store, StoreError,
    monitors::fresh,
    recording::{storable, without_nul},
    runbooks::own_runbook,
};

/// Rules of an organisation at most: each is judged every minute or two.
const MOST_RULES: i64 = 50;

pub(crate) struct RuleRow {
    pub id: Uuid,
    pub name: String,
    pub enabled: bool,
    pub series: String,
    pub over_minutes: Option<i32>,
    pub threshold: f64,
    pub clear: f64,
    pub for_minutes: i32,
    pub severity: String,
    pub scope: Value,
    pub runbook: Option<Value>,
    pub firing: i64,
    pub waiting: i64,
    pub judged_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
}

impl TryFrom<RuleRow> for Rule {
    type Error = StoreError;
    fn try_from(row: RuleRow) -> Result<Self, StoreError> {
        let settings = RuleSettings {
            name: row.name,
            enabled: row.enabled,
            series: row.series.parse().map_err(|()| StoreError::Corrupt(row.series.clone()))?,
            over_minutes: row.over_minutes.map(|minutes| u32::try_from(minutes).unwrap_or_default()),
            threshold: row.threshold,
            clear: row.clear,
            for_minutes: u32::try_from(row.for_minutes).unwrap_or_default(),
            severity: row.severity.parse().map_err(|()| StoreError::Corrupt(row.severity.clone()))?,
            scope: serde_json::from_value(row.scope)?,
            runbook: row.runbook.and_then(own_runbook),
        };
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self {
            id: RuleId(row.id),
            settings,
            firing: count(row.firing),
            waiting: count(row.waiting),
            judged_at: row.judged_at,
            version: row.version,
            created_at: row.created_at,
        })
    }
}

fn minutes(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl OrgTx {
    /// All rules, in the order in which they were made.
    pub async fn rules(&mut self) -> Result<Vec<Rule>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query_as!(
            RuleRow,
            r#"SELECT r.id, r.name, r.enabled, r.series, r.over_minutes, r.threshold, r.clear, r.for_minutes, r.severity, r.scope, r.runbook,
                      count(s.monitor_id) FILTER (WHERE s.firing) AS "firing!", count(s.monitor_id) FILTER (WHERE NOT s.firing) AS "waiting!",
                      r.judged_at, r.version, r.created_at
               FROM rules r LEFT JOIN rule_states s ON s.org_id = $1 AND s.rule_id = r.id WHERE r.org_id = $1 AND NOT r.removed
               GROUP BY r.org_id, r.id ORDER BY r.id"#,
            org
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter().map(Rule::try_from).collect()
    }

    /// A rule.
    pub async fn rule(&mut self, id: RuleId) -> Result<Rule, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            RuleRow,
            r#"SELECT r.id, r.name, r.enabled, r.series, r.over_minutes, r.threshold, r.clear, r.for_minutes, r.severity, r.scope, r.runbook,
                      (SELECT count(*) FROM rule_states s WHERE s.org_id = $1 AND s.rule_id = r.id AND s.firing) AS "firing!",
                      (SELECT count(*) FROM rule_states s WHERE s.org_id = $1 AND s.rule_id = r.id AND NOT s.firing) AS "waiting!",
                      r.judged_at, r.version, r.created_at
               FROM rules r WHERE r.org_id = $1 AND r.id = $2 AND NOT r.removed"#,
            org,
            id.0
        )
        .fetch_one(self.connection())
        .await?
        .try_into()
    }

    /// Adds a rule, to be judged at once. `Limit` when there are enough.
    pub async fn add_rule(&mut self, new: &RuleSettings) -> Result<Rule, StoreError> {
        let org = self.org().0;
        // The organisation's row, so that two who add at once do not both find room.
        sqlx::query!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        let there = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM rules WHERE org_id = $1 AND NOT removed"#, org)
            .fetch_one(self.connection())
            .await?;
        if there >= MOST_RULES {
            return Err(StoreError::Limit { what: "rules", limit: MOST_RULES });
        }
        let id = RuleId(Uuid::now_v7());
        sqlx::query!(
            "INSERT INTO rules (org_id, id, name, enabled, series, over_minutes, threshold, clear, for_minutes, severity, scope, every_s, due_at, runbook)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, CASE WHEN $4 THEN now() END, $13)",
            org,
            id.0,
            without_nul(&new.name),
            new.enabled,
            new.series.as_str(),
            new.over_minutes.map(minutes),
            new.threshold,
            new.clear,
            minutes(new.for_minutes),
            new.severity.as_str(),
            serde_json::to_value(&new.scope)?,
            minutes(new.series.judged_every(new.over_minutes)),
            new.runbook.as_ref().map(storable).transpose()?
        )
        .execute(self.connection())
        .await?;
        self.rule(id).await
    }

    /// Puts settings in the place of those that are there; the series stays. `Stale` when the caller saw another version. It is judged at once:
    /// what it is not about any more is let go then.
    pub async fn update_rule(&mut self, id: RuleId, expected: Option<i64>, new: &RuleSettings) -> Result<Rule, StoreError> {
        let org = self.org().0;
        self.lock_rule_version(id, expected).await?;
        sqlx::query!(
            "UPDATE rules SET name = $3, enabled = $4, over_minutes = $5, threshold = $6, clear = $7, for_minutes = $8, severity = $9, scope = $10,
               every_s = $11, runbook = $12, due_at = now(), version = version + 1
             WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            without_nul(&new.name),
            new.enabled,
            new.over_minutes.map(minutes),
            new.threshold,
            new.clear,
            minutes(new.for_minutes),
            new.severity.as_str(),
            serde_json::to_value(&new.scope)?,
            minutes(new.series.judged_every(new.over_minutes)),
            new.runbook.as_ref().map(storable).transpose()?
        )
        .execute(self.connection())
        .await?;
        self.rule(id).await
    }

    /// Removes a rule: nobody sees it any more, and the next judgement lets go what is open of it.
    pub async fn remove_rule(&mut self, id: RuleId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        self.lock_rule_version(id, expected).await?;
        sqlx::query!(
            "UPDATE rules SET removed = true, enabled = false, due_at = now(), version = version + 1 WHERE org_id = $1 AND id = $2",
            org,
            id.0
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn lock_rule_version(&mut self, id: RuleId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!("SELECT version FROM rules WHERE org_id = $1 AND id = $2 AND NOT removed FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, version)
    }
}

impl Store {
    /// Claims up to `limit` rules of all tenants that are due.
    pub async fn claim_due_rules(&self, limit: i32) -> Result<Vec<(OrgId, RuleId)>, StoreError> {
        let rows = sqlx::query!(r#"SELECT org_id AS "org_id!", id AS "id!" FROM claim_due_rules($1)"#, limit).fetch_all(self.pool()).await?;
        Ok(rows.into_iter().map(|row| (OrgId(row.org_id), RuleId(row.id))).collect())
    }
}
