//! The records of watched domains: as they are, since when, and what changed.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use waypost_types::{
    DomainId,
    drift::{RecordChange, RecordEvent},
};

use crate::{
    OrgTx, StoreError,
    recording::{clean, without_nul},
};

/// Changes kept of one record family of one domain, and of one server.
pub(crate) const KEPT_CHANGES: i64 = 200;

/// And for so long: as listings and hour rollups are.
pub(crate) const KEPT_DAYS: i32 = 400;
/// Records told of one change on each side, and characters of each. A zone may name hundreds of long ones, and change them at every look.
const MOST_LINES: usize = 40;
const MOST_CHARS: usize = 2_000;
/// Differences told of one change.
const MOST_DIFFERENCES: usize = 40;

/// A record and the time at which it was first seen as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRecord {
    /// Its text.
    pub record: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// The records of a domain by family.
pub type KnownRecords = BTreeMap<String, Vec<KnownRecord>>;

impl OrgTx {
    /// The records of these domains as last seen.
    pub async fn known_records(&mut self, domains: &[DomainId]) -> Result<HashMap<DomainId, KnownRecords>, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = domains.iter().map(|domain| domain.0).collect();
        let rows = sqlx::query!("SELECT domain_id, family, records FROM domain_records WHERE org_id = $1 AND domain_id = ANY($2)", org, &ids)
            .fetch_all(self.connection())
            .await?;
        let mut known: HashMap<DomainId, KnownRecords> = HashMap::new();
        for row in rows {
            known.entry(DomainId(row.domain_id)).or_default().insert(row.family, serde_json::from_value(row.records)?);
        }
        Ok(known)
    }

    /// Keeps the records of a family as they are now.
    pub async fn keep_records(&mut self, domain: DomainId, family: &str, records: &[KnownRecord]) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO domain_records (org_id, domain_id, family, records) VALUES ($1, $2, $3, $4)
             ON CONFLICT (org_id, domain_id, family) DO UPDATE SET records = excluded.records",
            org,
            domain.0,
            family,
            clean(serde_json::to_value(records)?)
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Adds a change to the history of a domain, cut to what people read; the oldest of many go, and what is very old.
    pub async fn add_record_change(&mut self, domain: DomainId, event: &RecordEvent) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query!(
            "INSERT INTO record_changes (org_id, id, domain_id, family, at, changes, before, after, worse) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            org,
            event.id,
            domain.0,
            event.family,
            event.at,
            clean(serde_json::to_value(told(&event.changes))?),
            &lines(&event.before),
            &lines(&event.after),
            event.worse
        )
        .execute(self.connection())
        .await?;
        sqlx::query!(
            "DELETE FROM record_changes WHERE org_id = $1 AND domain_id = $2 AND family = $3
             AND (at < $5::timestamptz - make_interval(days => $6) OR
               id <= (SELECT id FROM record_changes WHERE org_id = $1 AND domain_id = $2 AND family = $3 ORDER BY id DESC OFFSET $4 LIMIT 1))",
            org,
            domain.0,
            event.family,
            KEPT_CHANGES,
            event.at,
            KEPT_DAYS
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The history of a domain, newest first.
    pub async fn record_changes(&mut self, domain: DomainId, before: Option<Uuid>, limit: i64) -> Result<Vec<RecordEvent>, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            ChangeRow,
            "SELECT id, at, family, changes, before, after, worse FROM record_changes
             WHERE org_id = $1 AND domain_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
            org,
            domain.0,
            before,
            limit
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(RecordEvent::try_from)
        .collect()
    }

    /// The latest changes of a family, newest first.
    pub async fn changes_of(&mut self, domain: DomainId, family: &str, limit: i64) -> Result<Vec<RecordEvent>, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            ChangeRow,
            "SELECT id, at, family, changes, before, after, worse FROM record_changes
             WHERE org_id = $1 AND domain_id = $2 AND family = $3 ORDER BY id DESC LIMIT $4",
            org,
            domain.0,
            family,
            limit
        )
        .fetch_all(self.connection())
        .await?
        .into_iter()
        .map(RecordEvent::try_from)
        .collect()
    }

    /// The latest change of a family since a time: what may have caused what is found now.
    pub async fn latest_change(&mut self, domain: DomainId, family: &str, since: DateTime<Utc>) -> Result<Option<RecordEvent>, StoreError> {
        let org = self.org().0;
        sqlx::query_as!(
            ChangeRow,
            "SELECT id, at, family, changes, before, after, worse FROM record_changes
             WHERE org_id = $1 AND domain_id = $2 AND family = $3 AND at >= $4 ORDER BY id DESC LIMIT 1",
            org,
            domain.0,
            family,
            since
        )
        .fetch_optional(self.connection())
        .await?
        .map(RecordEvent::try_from)
        .transpose()
    }
}

/// Differences as the history tells them.
pub(crate) fn told(changes: &[RecordChange]) -> Vec<RecordChange> {
    changes.iter().take(MOST_DIFFERENCES).map(|change| RecordChange { text: cut(&change.text), ..change.clone() }).collect()
}

/// Records as the history tells them: what is too much is counted.
fn lines(records: &[String]) -> Vec<String> {
    let mut told: Vec<String> = records.iter().take(MOST_LINES).map(|record| cut(&without_nul(record))).collect();
    if records.len() > MOST_LINES {
        told.push(format!("… and {} more", records.len() - MOST_LINES));
    }
    told
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

struct ChangeRow {
    id: Uuid,
    at: DateTime<Utc>,
    family: String,
    changes: serde_json::Value,
    before: Vec<String>,
    after: Vec<String>,
    worse: bool,
}

impl TryFrom<ChangeRow> for RecordEvent {
    type Error = StoreError;
    fn try_from(row: ChangeRow) -> Result<Self, StoreError> {
        let ChangeRow { id, at, family, changes, before, after, worse } = row;
        Ok(Self { id, at, family, changes: serde_json::from_value(changes)?, before, after, worse })
    }
}
