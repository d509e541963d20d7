//! Routes: what an organisation has decided about who is told of what. What they make of an incident is `routing.rs`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use waypost_types::{
    ChannelId, RouteId,
    route::{NewRoute, Receivers, Route, Step},
};

use crate::{OrgTx, StoreError, monitors::fresh};

/// Routes of an organisation at most.
const MAX_ROUTES: i64 = 50;

struct RouteRow {
    id: Uuid,
    name: String,
    enabled: bool,
    min_severity: String,
    tags: Vec<String>,
    times: Value,
    hold: Value,
    remind_minutes: Option<i32>,
    steps: Value,
    version: i64,
    created_at: DateTime<Utc>,
}

/// Whom a route tells at some point; the first is at once.
#[derive(Deserialize)]
struct StepRow {
    after_minutes: u32,
    members: bool,
    every_channel: bool,
    channels: Vec<Uuid>,
}

impl StepRow {
    fn tells(self) -> Receivers {
        Receivers { members: self.members, every_channel: self.every_channel, channels: self.channels.into_iter().map(ChannelId).collect() }
    }
}

impl TryFrom<RouteRow> for Route {
    type Error = StoreError;
    fn try_from(row: RouteRow) -> Result<Self, StoreError> {
        let mut steps = serde_json::from_value::<Vec<StepRow>>(row.steps)?.into_iter();
        let tells = steps.next().map(StepRow::tells).unwrap_or_default();
        Ok(Self {
            id: RouteId(row.id),
            name: row.name,
            enabled: row.enabled,
            min_severity: row.min_severity.parse().map_err(|()| StoreError::Corrupt(row.min_severity.clone()))?,
            tags: row.tags,
            times: serde_json::from_value(row.times)?,
            tells,
            hold: serde_json::from_value(row.hold)?,
            remind_minutes: row.remind_minutes.and_then(|minutes| u32::try_from(minutes).ok()),
            steps: steps.map(|step| Step { after_minutes: step.after_minutes, tells: step.tells() }).collect(),
            version: row.version,
            created_at: row.created_at,
        })
    }
}

impl OrgTx {
    /// All routes in their order: there are few.
    pub async fn all_routes(&mut self) -> Result<Vec<Route>, StoreError> {
        self.routes_where(None).await
    }

    /// A route.
    pub async fn route(&mut self, id: RouteId) -> Result<Route, StoreError> {
        self.routes_where(Some(id)).await?.pop().ok_or(StoreError::NotFound)
    }

    async fn routes_where(&mut self, id: Option<RouteId>) -> Result<Vec<Route>, StoreError> {
        let org = self.org().0;
        let rows = sqlx::query_as!(
            RouteRow,
            r#"SELECT r.id, r.name, r.enabled, r.min_severity, r.tags, r.times, r.hold, r.remind_minutes, r.version, r.created_at,
                      (SELECT coalesce(jsonb_agg(jsonb_build_object('after_minutes', s.after_minutes, 'members', s.members, 'every_channel', s.every_channel,
                         'channels', ARRAY(SELECT c.channel_id FROM route_channels c WHERE c.org_id = $1 AND c.route_id = r.id AND c.number = s.number ORDER BY 1))
                         ORDER BY s.number), '[]')
                       FROM route_steps s WHERE s.org_id = $1 AND s.route_id = r.id) AS "steps!"
               FROM routes r WHERE r.org_id = $1 AND ($2::uuid IS NULL OR r.id = $2) ORDER BY r.position, r.id"#,
            org,
            id.map(|id| id.0)
        )
        .fetch_all(self.connection())
        .await?;
        rows.into_iter().map(Route::try_from).collect()
    }

    /// How many of these channels there are.
    pub async fn count_channels(&mut self, channels: &[ChannelId]) -> Result<usize, StoreError> {
        let org = self.org().0;
        let ids: Vec<Uuid> = channels.iter().map(|id| id.0).collect();
        let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM channels WHERE org_id = $1 AND id = ANY($2)"#, org, &ids)
            .fetch_one(self.connection())
            .await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Adds a route after the others. `Limit` when there are enough.
    pub async fn add_route(&mut self, new: &NewRoute) -> Result<Route, StoreError> {
        let org = self.org().0;
        // The organisation's row, so that two who add at once do not both find room.
        sqlx::query!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        let there = sqlx::query!(r#"SELECT count(*) AS "count!", coalesce(max(position), 0) AS "last!" FROM routes WHERE org_id = $1"#, org)
            .fetch_one(self.connection())
            .await?;
        if there.count >= MAX_ROUTES {
            return Err(StoreError::Limit { what: "routes", limit: MAX_ROUTES });
        }
        let id = RouteId(Uuid::now_v7());
        sqlx::query!(
            "INSERT INTO routes (org_id, id, position, name, enabled, min_severity, tags, times, hold, remind_minutes)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            org,
            id.0,
            there.last + 1,
            new.name,
            new.enabled,
            new.min_severity.as_str(),
            &new.tags,
            serde_json::to_value(&new.times)?,
            serde_json::to_value(&new.hold)?,
            minutes(new)
        )
        .execute(self.connection())
        .await?;
        self.write_steps(id, new).await?;
        self.route(id).await
    }

    /// Puts what a route is in place of what it was. `Stale` when the caller saw another version.
    pub async fn update_route(&mut self, id: RouteId, expected: Option<i64>, now: &NewRoute) -> Result<Route, StoreError> {
        let org = self.org().0;
        self.lock_route(id, expected).await?;
        sqlx::query!(
            "UPDATE routes SET name = $3, enabled = $4, min_severity = $5, tags = $6, times = $7, hold = $8, remind_minutes = $9, version = version + 1
             WHERE org_id = $1 AND id = $2",
            org,
            id.0,
            now.name,
            now.enabled,
            now.min_severity.as_str(),
            &now.tags,
            serde_json::to_value(&now.times)?,
            serde_json::to_value(&now.hold)?,
            minutes(now)
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("DELETE FROM route_steps WHERE org_id = $1 AND route_id = $2", org, id.0).execute(self.connection()).await?;
        self.write_steps(id, now).await?;
        self.route(id).await
    }

    /// Whom it tells at once and after each step. A channel that went meanwhile is left out.
    async fn write_steps(&mut self, id: RouteId, route: &NewRoute) -> Result<(), StoreError> {
        let org = self.org().0;
        let steps = route.steps.iter().map(|step| (step.after_minutes, &step.tells));
        for (number, (after_minutes, tells)) in (0_i16..).zip(std::iter::once((0, &route.tells)).chain(steps)) {
            sqlx::query!(
                "INSERT INTO route_steps (org_id, route_id, number, after_minutes, members, every_channel) VALUES ($1, $2, $3, $4, $5, $6)",
                org,
                id.0,
                number,
                i32::try_from(after_minutes).unwrap_or(i32::MAX),
                tells.members,
                tells.every_channel
            )
            .execute(self.connection())
            .await?;
            let channels: Vec<Uuid> = tells.channels.iter().map(|id| id.0).collect();
            sqlx::query!(
                "INSERT INTO route_channels (org_id, route_id, number, channel_id)
                 SELECT $1, $2, $3, c.id FROM channels c WHERE c.org_id = $1 AND c.id = ANY($4) ORDER BY c.id FOR KEY SHARE",
                org,
                id.0,
                number,
                &channels
            )
            .execute(self.connection())
            .await?;
        }
        Ok(())
    }

    /// Puts routes into another order. Answers false when these are not all of them.
    pub async fn order_routes(&mut self, order: &[RouteId]) -> Result<bool, StoreError> {
        let org = self.org().0;
        sqlx::query!("SELECT id FROM orgs WHERE id = $1 FOR NO KEY UPDATE", org).fetch_one(self.connection()).await?;
        let mut there = sqlx::query_scalar!("SELECT id FROM routes WHERE org_id = $1 ORDER BY id", org).fetch_all(self.connection()).await?;
        let ids: Vec<Uuid> = order.iter().map(|id| id.0).collect();
        let mut wanted = ids.clone();
        wanted.sort_unstable();
        there.sort_unstable();
        if wanted != there {
            return Ok(false);
        }
        sqlx::query!(
            "UPDATE routes r SET position = o.number::int FROM UNNEST($2::uuid[]) WITH ORDINALITY AS o(id, number) WHERE r.org_id = $1 AND r.id = o.id",
            org,
            &ids
        )
        .execute(self.connection())
        .await?;
        Ok(true)
    }

    /// Removes a route. What it holds is told, what follows of it is not. `Stale` when the caller saw another version.
    pub async fn remove_route(&mut self, id: RouteId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        self.lock_route(id, expected).await?;
        sqlx::query!("DELETE FROM routes WHERE org_id = $1 AND id = $2", org, id.0).execute(self.connection()).await?;
        Ok(())
    }

    async fn lock_route(&mut self, id: RouteId, expected: Option<i64>) -> Result<(), StoreError> {
        let org = self.org().0;
        let version = sqlx::query_scalar!("SELECT version FROM routes WHERE org_id = $1 AND id = $2 FOR UPDATE", org, id.0)
            .fetch_one(self.connection())
            .await?;
        fresh(expected, version)
    }
}

fn minutes(route: &NewRoute) -> Option<i32> {
    route.remind_minutes.and_then(|minutes| i32::try_from(minutes).ok())
}
