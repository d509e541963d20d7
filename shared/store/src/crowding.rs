//! What the receivers of an organisation were told within the last minutes, from the outbox.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use waypost_types::{
    ChannelId, IncidentId,
    channel::EventKind,
    route::{Lately, OF_SERVER, WINDOW},
};

use crate::{OrgTx, StoreError};

impl OrgTx {
    /// What each receiver was told just before something happens to an incident: a channel, or members by mail. Ports of a server go together where
    /// they fail or come back; what a person opened, and what is found of one port, is news of its own.
    pub(crate) async fn told_lately(
        &mut self,
        incident: IncidentId,
        kind: EventKind,
        at: DateTime<Utc>,
    ) -> Result<BTreeMap<Option<ChannelId>, Lately>, StoreError> {
        let org = self.org().0;
        let word = match kind {
            EventKind::Opened => "opened",
            EventKind::Resolved | EventKind::LetGo => "resolved",
            _ => "",
        };
        let rows = sqlx::query!(
            r#"SELECT o.channel_id, count(DISTINCT o.event_key) AS "messages!", min(o.created_at) AS "first!",
                      min(o.created_at) FILTER (WHERE o.created_at > $4 AND o.incident_id <> $5 AND split_part(o.event_key, ':', 3) = $6
                        AND i.condition = '' AND m.server_id = (
                          SELECT t.server_id FROM incidents j JOIN monitors t ON t.org_id = $1 AND t.id = j.monitor_id
                          WHERE j.org_id = $1 AND j.id = $5 AND j.condition = '')) AS of_server
               FROM outbox o LEFT JOIN incidents i ON i.org_id = $1 AND i.id = o.incident_id LEFT JOIN monitors m ON m.org_id = $1 AND m.id = i.monitor_id
               WHERE o.org_id = $1 AND o.id >= $2 AND o.created_at > $3 AND split_part(o.event_key, ':', 3) <> 'handled'
               GROUP BY o.channel_id"#,
            org,
            first_id(at - WINDOW),
            at - WINDOW,
            at - OF_SERVER,
            incident.0,
            word
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let messages = u32::try_from(row.messages).unwrap_or(u32::MAX);
                (row.channel_id.map(ChannelId), Lately { messages, first: row.first, of_server: row.of_server })
            })
            .collect())
    }
}

/// The smallest id that a row of then can have: ids of the outbox sort by time, so that this finds what is recent by the key.
fn first_id(at: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
