//! All monitors of an organisation at once: searched, sorted and counted for a list, and changed many at a time.

use uuid::Uuid;
use waypost_types::{
    MonitorId,
    fleet::{Chosen, ManyChanged, ManyPatch, MonitorFilter, Order, Standing, StandingCounts},
    monitor::{Monitor, MonitorKind},
    tag::MOST_TAGS,
};

use crate::{OrgTx, StoreError};

/// Where a list goes on: the sort key of a monitor, and the monitor.
pub type Place = (String, MonitorId);

/// A filter as the queries take it.
pub(crate) struct Wanted {
    pub part: Option<String>,
    pub kind: Option<&'static str>,
    pub standing: Option<&'static str>,
    pub tag: Option<String>,
    pub services: bool,
}

impl Wanted {
    pub fn by(filter: &MonitorFilter) -> Self {
        let written = |text: &Option<String>| text.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        Self {
            part: written(&filter.q),
            kind: filter.kind.map(MonitorKind::as_str),
            standing: filter.state.map(Standing::as_str),
            tag: written(&filter.tag),
            services: filter.services,
        }
    }

    pub const fn narrows(&self) -> bool {
        self.part.is_some() || self.kind.is_some() || self.standing.is_some() || self.tag.is_some() || self.services
    }
}

fn count(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

impl OrgTx {
    /// A page of the monitors that match, each with its place in the order.
    pub async fn fleet(
        &mut self,
        filter: &MonitorFilter,
        order: Order,
        after: Option<&Place>,
        limit: i64,
    ) -> Result<Vec<(Place, Monitor)>, StoreError> {
        let org = self.org().0;
        let wanted = Wanted::by(filter);
        let (key, after) = after.map(|(key, id)| (key.as_str(), id.0)).unzip();
        // One key for every order, so that one question goes on behind any place: text, compared by its bytes.
        let rows = sqlx::query!(
            r#"SELECT id AS "id!", key AS "key!" FROM (
                 SELECT m.id, coalesce(CASE $2
                     WHEN 'worst' THEN coalesce(array_position(ARRAY['down', 'degraded', 'unknown', 'pending', 'up', 'paused'], standing_of(m)), 9)::text || m.target
                     WHEN 'target' THEN m.target
                     WHEN 'checked' THEN to_char(m.last_checked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
                     WHEN 'slowest' THEN to_char(999999999 - least(coalesce(m.latency_ms, -1), 999999998)::numeric, 'FM0000000000.000')
                   END, '') COLLATE "C" AS key
                 FROM monitors m
                 WHERE m.org_id = $1 AND monitor_matches(m, $5, $6, $7, $8, $9)
               ) placed
               WHERE $4::uuid IS NULL OR (key, id) > ($3::text, $4) ORDER BY key, id LIMIT $10"#,
            org,
            order.as_str(),
            key,
            after,
            wanted.part,
            wanted.kind,
            wanted.standing,
            wanted.tag,
            wanted.services,
            limit
        )
        .fetch_all(self.connection())
        .await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut monitors = self.monitors_of(&ids).await?;
        let placed = rows.into_iter().filter_map(|row| {
            let at = monitors.iter().position(|monitor| monitor.id.0 == row.id)?;
            Some(((row.key, MonitorId(row.id)), monitors.swap_remove(at)))
        });
        Ok(placed.collect())
    }

    /// How many monitors match, by how they stand. The filter's own standing does not narrow: the counts are what it chooses from.
    pub async fn fleet_counts(&mut self, filter: &MonitorFilter) -> Result<StandingCounts, StoreError> {
        let org = self.org().0;
        let wanted = Wanted::by(filter);
        let rows = sqlx::query!(
            r#"SELECT standing_of(m) AS "standing!", count(*) AS "count!" FROM monitors m
               WHERE m.org_id = $1 AND monitor_matches(m, $2, $3, NULL, $4, $5) GROUP BY 1"#,
            org,
            wanted.part,
            wanted.kind,
            wanted.tag,
            wanted.services
        )
        .fetch_all(self.connection())
        .await?;
        let mut counts = StandingCounts::default();
        for row in rows {
            counts.set(row.standing.parse().map_err(|()| StoreError::Corrupt(row.standing.clone()))?, count(row.count));
        }
        Ok(counts)
    }

    /// The same change for many monitors. `Stale` where the filter has another number of them than was expected. `tags` are in their kept form.
    pub async fn change_many(&mut self, patch: &ManyPatch, (added, removed): (&[String], &[String])) -> Result<ManyChanged, StoreError> {
        let retags = !added.is_empty() || !removed.is_empty();
        let ids = self.lock_chosen(&patch.of, retags).await?;
        if patch.expected.is_some_and(|expected| expected != count(ids.len())) {
            return Err(StoreError::Stale);
        }
        let mut done = ManyChanged { monitors: count(ids.len()), ..ManyChanged::default() };
        if patch.paused.is_some() || patch.interval_s.is_some() {
            (done.changed, done.interval_kept) = self.change_schedules(&ids, patch.paused, patch.interval_s).await?;
        }
        if retags {
            (done.tagged, done.full) = self.change_tags(&ids, added, removed).await?;
        }
        self.notify_due().await?;
        Ok(done)
    }

    /// Domains, mail servers and addresses, each in the order of their ids.
    pub(crate) async fn lock_assets(&mut self, ids: &[Uuid]) -> Result<(), StoreError> {
        let org = self.org().0;
        sqlx::query_scalar!("SELECT id FROM domains WHERE org_id = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE", org, ids)
            .fetch_all(self.connection())
            .await?;
        sqlx::query_scalar!("SELECT id FROM servers WHERE org_id = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE", org, ids)
            .fetch_all(self.connection())
            .await?;
        sqlx::query_scalar!("SELECT id FROM addresses WHERE org_id = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE", org, ids)
            .fetch_all(self.connection())
            .await?;
        Ok(())
    }

    /// Those that are chosen, locked in the order in which recorders lock them; before them what they belong to, where that is to change as well, as
    /// whoever changes one of these does.
    async fn lock_chosen(&mut self, of: &Chosen, with_owners: bool) -> Result<Vec<Uuid>, StoreError> {
        let org = self.org().0;
        let (ids, filter) = match of {
            Chosen::Monitors(ids) => (Some(ids.iter().map(|id| id.0).collect::<Vec<_>>()), MonitorFilter::default()),
            Chosen::Filter(filter) => (None, filter.clone()),
        };
        let wanted = Wanted::by(&filter);
        let rows = sqlx::query!(
            "SELECT m.id, m.domain_id, m.server_id, m.address_id FROM monitors m
             WHERE m.org_id = $1 AND ($2::uuid[] IS NULL OR m.id = ANY($2)) AND monitor_matches(m, $3, $4, $5, $6, $7)",
            org,
            ids.as_deref(),
            wanted.part,
            wanted.kind,
            wanted.standing,
            wanted.tag,
            wanted.services
        )
        .fetch_all(self.connection())
        .await?;
        if with_owners {
            let owners: Vec<Uuid> = rows.iter().flat_map(|row| [row.domain_id, row.server_id, row.address_id]).flatten().collect();
            self.lock_assets(&owners).await?;
        }
        let ids: Vec<Uuid> = rows.into_iter().map(|row| row.id).collect();
        Ok(sqlx::query_scalar!("SELECT id FROM monitors WHERE org_id = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE", org, &ids)
            .fetch_all(self.connection())
            .await?)
    }

    /// How many changed, and how many keep their interval.
    async fn change_schedules(&mut self, ids: &[Uuid], paused: Option<bool>, interval_s: Option<u32>) -> Result<(u32, u32), StoreError> {
        let org = self.org().0;
        let interval = interval_s.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
        let allows = |kind: &MonitorKind| {
            let (shortest, longest) = kind.interval_range();
            interval_s.is_some_and(|seconds| (shortest..=longest).contains(&seconds))
        };
        let allowing: Vec<String> = MonitorKind::ALL.iter().filter(|kind| allows(kind)).map(|kind| kind.as_str().to_owned()).collect();
        let kept = match interval {
            Some(_) => {
                sqlx::query_scalar!(
                    r#"SELECT count(*) AS "count!" FROM monitors WHERE org_id = $1 AND id = ANY($2) AND kind <> ALL($3)"#,
                    org,
                    ids,
                    &allowing
                )
                .fetch_one(self.connection())
                .await?
            }
            None => 0,
        };
        let changed = sqlx::query_scalar!(
            "UPDATE monitors SET paused = coalesce($3, paused), interval_s = CASE WHEN kind = ANY($5) THEN coalesce($4, interval_s) ELSE interval_s END,
                    version = version + 1
             WHERE org_id = $1 AND id = ANY($2) AND (paused <> coalesce($3, paused) OR (kind = ANY($5) AND interval_s <> coalesce($4, interval_s)))
             RETURNING id",
            org,
            ids,
            paused,
            interval,
            &allowing
        )
        .fetch_all(self.connection())
        .await?;
        // What resumes comes within its interval, spread over it: a thousand servers are not connected to in the same second.
        sqlx::query!(
            "UPDATE schedule_units u SET interval_s = n.interval_s, paused = n.paused, next_run_at = n.at, due_at = CASE WHEN u.leased THEN u.due_at ELSE n.at END
             FROM (SELECT o.monitor_id, o.region, m.interval_s, m.paused,
                          CASE WHEN o.paused AND NOT m.paused THEN now() + random() * make_interval(secs => m.interval_s)
                               ELSE least(o.next_run_at, now() + make_interval(secs => m.interval_s)) END AS at
                   FROM schedule_units o JOIN monitors m ON m.org_id = $1 AND m.id = o.monitor_id
                   WHERE o.org_id = $1 AND o.monitor_id = ANY($2)) n
             WHERE u.org_id = $1 AND u.monitor_id = n.monitor_id AND u.region = n.region",
            org,
            &changed
        )
        .execute(self.connection())
        .await?;
        Ok((count(changed.len()), count(kept)))
    }

    /// How many things were tagged, and how many have no room for the tags.
    async fn change_tags(&mut self, ids: &[Uuid], added: &[String], removed: &[String]) -> Result<(u32, u32), StoreError> {
        let org = self.org().0;
        let most = i32::try_from(MOST_TAGS).unwrap_or(i32::MAX);
        let full = sqlx::query_scalar!(
            r#"SELECT count(DISTINCT coalesce(m.domain_id, m.server_id, m.address_id, m.id)) AS "count!" FROM monitors m
               WHERE m.org_id = $1 AND m.id = ANY($2) AND cardinality(tags_after(monitor_tags(m), $3, $4)) > $5
                 AND (m.kind NOT IN ('audit', 'smtp', 'blacklist') OR coalesce(m.domain_id, m.server_id, m.address_id) IS NOT NULL)"#,
            org,
            ids,
            added,
            removed,
            most
        )
        .fetch_one(self.connection())
        .await?;
        let tagged = sqlx::query_scalar!(
            r#"WITH of AS (SELECT id, kind, domain_id, server_id, address_id FROM monitors WHERE org_id = $1 AND id = ANY($2)),
                    d AS (UPDATE domains t SET tags = tags_after(t.tags, $3, $4), version = version + 1
                          WHERE t.org_id = $1 AND t.id IN (SELECT domain_id FROM of) AND tags_after(t.tags, $3, $4) <> t.tags
                            AND cardinality(tags_after(t.tags, $3, $4)) <= $5 RETURNING 1),
                    s AS (UPDATE servers t SET tags = tags_after(t.tags, $3, $4), version = version + 1
                          WHERE t.org_id = $1 AND t.id IN (SELECT server_id FROM of) AND tags_after(t.tags, $3, $4) <> t.tags
                            AND cardinality(tags_after(t.tags, $3, $4)) <= $5 RETURNING 1),
                    a AS (UPDATE addresses t SET tags = tags_after(t.tags, $3, $4), version = version + 1
                          WHERE t.org_id = $1 AND t.id IN (SELECT address_id FROM of) AND tags_after(t.tags, $3, $4) <> t.tags
                            AND cardinality(tags_after(t.tags, $3, $4)) <= $5 RETURNING 1),
                    m AS (UPDATE monitors t SET tags = tags_after(t.tags, $3, $4), version = version + 1
                          WHERE t.org_id = $1 AND t.id IN (SELECT id FROM of WHERE kind NOT IN ('audit', 'smtp', 'blacklist'))
                            AND tags_after(t.tags, $3, $4) <> t.tags AND cardinality(tags_after(t.tags, $3, $4)) <= $5 RETURNING 1)
               SELECT (SELECT count(*) FROM d) + (SELECT count(*) FROM s) + (SELECT count(*) FROM a) + (SELECT count(*) FROM m) AS "count!""#,
            org,
            ids,
            added,
            removed,
            most
        )
        .fetch_one(self.connection())
        .await?;
        Ok((count(tagged), count(full)))
    }
}
