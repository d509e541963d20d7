//! What happened in an organisation around an incident. What of it is a probable cause is judged by `types::cause`.

use chrono::{DateTime, Utc};
use waypost_types::{
    IncidentId,
    cause::{RelatedEvent, Source},
    drift::RecordChange,
    incident::Incident,
    outcome::{ListState, Outcome},
};

use crate::{OrgTx, StoreError};

/// Events of each source: the nearest to the opening.
const MOST: i64 = 100;
/// Names of the same mail.
const MOST_NAMES: i64 = 500;
/// Differences told of one event.
const MOST_DIFFERENCES: usize = 3;

impl OrgTx {
    /// What happened from one time to another, without the incident itself and what it is about.
    pub async fn around(&mut self, incident: &Incident, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<RelatedEvent>, StoreError> {
        let mut events = self.records_around(incident, from, until).await?;
        events.extend(self.servers_around(incident, from, until).await?);
        events.extend(self.listings_around(incident, from, until).await?);
        events.extend(self.incidents_around(incident, from, until).await?);
        events.extend(self.changes_around(incident, from, until).await?);
        Ok(events)
    }

    async fn records_around(&mut self, incident: &Incident, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<RelatedEvent>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT d.name, c.family, c.at, c.changes FROM record_changes c JOIN domains d ON d.org_id = $1 AND d.id = c.domain_id
             WHERE c.org_id = $1 AND c.at BETWEEN $2 AND $3 ORDER BY abs(extract(epoch FROM c.at - $4::timestamptz)) LIMIT $5",
            org,
            from,
            until,
            incident.opened_at,
            MOST
        )
        .fetch_all(self.connection())
        .await?;
        let event = |at, family, target, changes| {
            Ok(RelatedEvent { at, source: Source::Record { family }, target, text: told(serde_json::from_value(changes)?), cause: None })
        };
        rows.into_iter().map(|row| event(row.at, row.family, row.name, row.changes)).collect()
    }

    async fn servers_around(&mut self, incident: &Incident, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<RelatedEvent>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT m.target, c.at, c.changes FROM server_changes c JOIN monitors m ON m.org_id = $1 AND m.id = c.monitor_id
             WHERE c.org_id = $1 AND c.at BETWEEN $2 AND $3 ORDER BY abs(extract(epoch FROM c.at - $4::timestamptz)) LIMIT $5",
            org,
            from,
            until,
            incident.opened_at,
            MOST
        )
        .fetch_all(self.connection())
        .await?;
        let event =
            |at, target, changes| Ok(RelatedEvent { at, source: Source::Server, target, text: told(serde_json::from_value(changes)?), cause: None });
        rows.into_iter().map(|row| event(row.at, row.target, row.changes)).collect()
    }

    async fn listings_around(&mut self, incident: &Incident, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<RelatedEvent>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT subject, zone, list, meaning, began_at FROM listings
             WHERE org_id = $1 AND began_at BETWEEN $2 AND $3 ORDER BY abs(extract(epoch FROM began_at - $4::timestamptz)) LIMIT $5",
            org,
            from,
            until,
            incident.opened_at,
            MOST
        )
        .fetch_all(self.connection())
        .await?;
        // The listings that the incident tells of are no cause of it.
        let own = |subject: &str, zone: &str| match &incident.evidence {
            Some(Outcome::Blacklist(report)) => {
                report.entries.iter().any(|entry| entry.state == ListState::Listed && entry.subject == subject && entry.zone == zone)
            }
            _ => false,
        };
        Ok(rows
            .into_iter()
            .filter(|row| !own(&row.subject, &row.zone))
            .map(|row| RelatedEvent {
                at: row.began_at,
                text: format!("{} is on {}. {}", row.subject, row.list, row.meaning).trim_end().to_owned(),
                source: Source::Listing { list: row.list },
                target: row.subject,
                cause: None,
            })
            .collect())
    }

    async fn incidents_around(&mut self, incident: &Incident, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<RelatedEvent>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT id, kind, target, condition, title, opened_at FROM incidents
             WHERE org_id = $1 AND opened_at BETWEEN $2 AND $3 AND id <> $4 ORDER BY abs(extract(epoch FROM opened_at - $5::timestamptz)) LIMIT $6",
            org,
            from,
            until,
            incident.id.0,
            incident.opened_at,
            MOST
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let kind = row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?;
                Ok(RelatedEvent {
                    at: row.opened_at,
                    source: Source::Incident { incident: IncidentId(row.id), kind, condition: row.condition },
                    target: row.target,
                    text: row.title,
                    cause: None,
                })
            })
            .collect()
    }

    async fn changes_around(&mut self, incident: &Incident, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<RelatedEvent>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query!(
            "SELECT at, kind, text, target FROM changes
             WHERE org_id = $1 AND at BETWEEN $2 AND $3 ORDER BY abs(extract(epoch FROM at - $4::timestamptz)) LIMIT $5",
            org,
            from,
            until,
            incident.opened_at,
            MOST
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter()
            .map(|row| {
                let kind = row.kind.parse().map_err(|()| StoreError::Corrupt(row.kind.clone()))?;
                Ok(RelatedEvent { at: row.at, source: Source::Change { kind }, target: row.target.unwrap_or_default(), text: row.text, cause: None })
            })
            .collect()
    }

    /// Names and addresses of the same mail as what an incident is about: the MX hosts of its domain, the domains and the host's neighbours of
    /// its server, the hosts of its address.
    pub async fn names_near(&mut self, incident: &Incident) -> Result<Vec<String>, StoreError> {
        let org = self.org().0;
        let Some(monitor) = incident.monitor_id else { return Ok(Vec::new()) };
        Ok(sqlx::query_scalar!(
            r#"WITH about AS (
                 SELECT domain_id, server_id, address_id FROM monitors WHERE org_id = $1 AND id = $2
               ), hosts AS (
                 SELECT s.id, s.host FROM about m JOIN servers s ON s.org_id = $1 AND s.id = m.server_id
                 UNION SELECT s.id, s.host FROM about m JOIN addresses a ON a.org_id = $1 AND a.id = m.address_id
                   JOIN servers s ON s.org_id = $1 AND s.host = ANY(a.hosts)
               ), mail AS (
                 SELECT domain_id AS id FROM about WHERE domain_id IS NOT NULL
                 UNION SELECT l.domain_id FROM domain_servers l JOIN hosts h ON h.id = l.server_id WHERE l.org_id = $1
               )
               SELECT name AS "name!" FROM (
                 SELECT h.host AS name FROM hosts h
                 UNION SELECT d.name FROM mail JOIN domains d ON d.org_id = $1 AND d.id = mail.id
                 UNION SELECT s.host FROM mail JOIN domain_servers l ON l.org_id = $1 AND l.domain_id = mail.id
                   JOIN servers s ON s.org_id = $1 AND s.id = l.server_id
                 UNION SELECT CASE WHEN masklen(a.net) = CASE family(a.net) WHEN 4 THEN 32 ELSE 128 END THEN host(a.net) ELSE a.net::text END
                   FROM hosts h JOIN addresses a ON a.org_id = $1 AND h.host = ANY(a.hosts)
               ) names LIMIT $3"#,
            org,
            monitor.0,
            MOST_NAMES
        )
        .fetch_all(self.connection())
        .await?)
    }
}

/// The first differences of a change as sentences.
fn told(changes: Vec<RecordChange>) -> String {
    let more = changes.len().saturating_sub(MOST_DIFFERENCES);
    let mut said: Vec<String> = changes.into_iter().take(MOST_DIFFERENCES).map(|change| change.text).collect();
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    said.join("; ")
}
