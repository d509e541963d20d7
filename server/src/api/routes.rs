//! `routes`: who is told of which incidents, when, and what follows while nobody takes them. Admins decide on them, as on channels.

use std::collections::BTreeSet;

use axum::{Json, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use waypost_store::OrgTx;
use waypost_types::{
    ChannelId, RouteId,
    incident::IncidentSeverity,
    page::List,
    problem::Problem,
    route::{
        Decision, Facts, Hold, MOST_NAME, MOST_STEPS, NewRoute, REMIND_MINUTES, Receivers, Route, RouteOrder, RoutePatch, STEP_MINUTES, Times, decide,
    },
    tag,
    week::{Day, Hours},
};

use crate::http::{
    body::Body,
    condition::{IfMatch, Versioned},
    org::{Manage, Member, Of, Read, tenant_row},
    page::Params,
    problem::ApiError,
};

tenant_row!("routes": Route, RouteId, route);

/// All routes in their order: there are 50 at most. Where there are none, every incident is told to all members and to each channel that wants to
/// hear of something that urgent.
#[utoipa::path(get, path = "/v1/orgs/{org}/routes", tag = "routes", params(("org" = String, Path)),
    responses((status = 200, body = List<Route>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<Route>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.all_routes().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Adds a route after the others. With the first one, what no route is for is told to nobody.
#[utoipa::path(post, path = "/v1/orgs/{org}/routes", tag = "routes", params(("org" = String, Path)), request_body = NewRoute,
    responses((status = 201, body = Route), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(member: Member<Manage>, Body(new): Body<NewRoute>) -> Result<Versioned<Route>, ApiError> {
    let new = checked(new)?;
    let mut tx = member.tx().await?;
    known(&mut tx, &new).await?;
    let route = tx.add_route(&new).await?;
    member.created(tx, route).await
}

/// A route.
#[utoipa::path(get, path = "/v1/orgs/{org}/routes/{id}", tag = "routes", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Route), (status = 404, body = Problem)))]
pub async fn get(route: Of<Read, Route>) -> Versioned<Route> {
    Versioned::ok(route.row)
}

/// What it is for, whom it tells, what it holds and what follows. What it holds already is told when it was to be; steps that wait tell whom the
/// route then says.
#[utoipa::path(patch, path = "/v1/orgs/{org}/routes/{id}", tag = "routes",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = RoutePatch,
    responses((status = 200, body = Route), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn update(route: Of<Manage, Route>, IfMatch(expected): IfMatch, Body(patch): Body<RoutePatch>) -> Result<Versioned<Route>, ApiError> {
    let Of { member, row } = route;
    let (id, version) = (row.id, row.version);
    let now = checked(patch.onto(row))?;
    let mut tx = member.tx().await?;
    known(&mut tx, &now).await?;
    // What is absent stays as it was read: nothing that somebody else changed since is taken back by it.
    let changed = tx.update_route(id, expected.or(Some(version)), &now).await?;
    member.changed(tx, changed).await
}

/// Puts the routes into another order. It is for people: all that match tell.
#[utoipa::path(put, path = "/v1/orgs/{org}/routes/order", tag = "routes", params(("org" = String, Path)), request_body = RouteOrder,
    responses((status = 200, body = List<Route>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn order(member: Member<Manage>, Body(order): Body<RouteOrder>) -> Result<Json<List<Route>>, ApiError> {
    let mut tx = member.tx().await?;
    if !tx.order_routes(&order.routes).await? {
        return Err(ApiError::field("routes", "Name each route once. If others were added or removed meanwhile, load them again."));
    }
    let items = tx.all_routes().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Removes a route. What it holds is told; what follows of it is not. With the last one, everybody is told again.
#[utoipa::path(delete, path = "/v1/orgs/{org}/routes/{id}", tag = "routes",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(route: Of<Manage, Route>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = route.member.tx().await?;
    tx.remove_route(route.row.id, expected).await?;
    route.member.deleted(tx).await
}

/// An incident that there might be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supposed {
    severity: IncidentSeverity,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    at: Option<DateTime<Utc>>,
}

/// Who would be told of an incident of that severity, about something with that tag, that opened at that time (now when absent): by the same rules
/// as of a real one.
#[utoipa::path(get, path = "/v1/orgs/{org}/routes/preview", tag = "routes",
    params(("org" = String, Path), ("severity" = IncidentSeverity, Query), ("tag" = Option<String>, Query), ("at" = Option<String>, Query)),
    responses((status = 200, body = Decision), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn preview(member: Member<Read>, Params(supposed): Params<Supposed>) -> Result<Json<Decision>, ApiError> {
    let mut tx = member.tx().await?;
    let (routes, listeners, zone) = (tx.all_routes().await?, tx.listeners().await?, tx.org_settings().await?.time_zone);
    tx.commit().await?;
    let tags: Vec<String> = Some(supposed.tag.trim().to_lowercase()).filter(|tag| !tag.is_empty()).into_iter().collect();
    let facts = Facts { severity: supposed.severity, tags: &tags };
    let at = supposed.at.unwrap_or_else(Utc::now);
    Ok(Json(if routes.is_empty() { Decision::of_everybody(&listeners, supposed.severity) } else { decide(&routes, &listeners, &facts, zone, at) }))
}

/// A route as it is kept, or the field at fault.
fn checked(new: NewRoute) -> Result<NewRoute, ApiError> {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > MOST_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::field("name", format!("Give a name of 1 to {MOST_NAME} characters on one line.")));
    }
    let tags = tag::tags(&new.tags).map_err(|error| ApiError::field("tags", error.to_string()))?;
    let times = match new.times {
        Times::Always => Times::Always,
        Times::Hours(hours) => Times::Hours(days_of(hours, "times")?),
    };
    let hold = match new.hold {
        Hold::QuietHours(hours) => {
            let hours = days_of(hours, "hold")?;
            if hours.never_end() {
                return Err(ApiError::field("hold", "These quiet hours never end. Leave out a day or some hours."));
            }
            Hold::QuietHours(hours)
        }
        Hold::Daily { up_to: IncidentSeverity::Critical, .. } | Hold::Weekly { up_to: IncidentSeverity::Critical, .. } => {
            return Err(ApiError::field("hold", "What is critical can not wait for a digest: choose a lower severity."));
        }
        other => other,
    };
    if new.remind_minutes.is_some_and(|minutes| !REMIND_MINUTES.contains(&minutes)) {
        let (least, most) = (REMIND_MINUTES.start(), REMIND_MINUTES.end());
        return Err(ApiError::field("remind_minutes", format!("Give {least} to {most} minutes, or nothing.")));
    }
    if new.steps.len() > MOST_STEPS {
        return Err(ApiError::field("steps", format!("A route has {MOST_STEPS} steps at most.")));
    }
    let mut before = 0;
    for step in &new.steps {
        if !STEP_MINUTES.contains(&step.after_minutes) || step.after_minutes <= before {
            let (least, most) = (STEP_MINUTES.start(), STEP_MINUTES.end());
            return Err(ApiError::field(
                "steps",
                format!("Each step comes {least} to {most} minutes after the route told, and later than the one before."),
            ));
        }
        if step.tells.is_nobody() {
            return Err(ApiError::field("steps", "Choose whom each step tells: members, or at least one channel."));
        }
        before = step.after_minutes;
    }
    if new.tells.is_nobody() && new.steps.is_empty() {
        return Err(ApiError::field("tells", "Choose whom the route tells: members, or at least one channel."));
    }
    Ok(NewRoute { name, tags, times, hold, ..new })
}

fn days_of(hours: Hours, field: &str) -> Result<Hours, ApiError> {
    let days: Vec<Day> = BTreeSet::from_iter(hours.days).into_iter().collect();
    if days.is_empty() {
        return Err(ApiError::field(field, "Choose at least one day of the week."));
    }
    Ok(Hours { days, ..hours })
}

/// All channels that it names are there.
async fn known(tx: &mut OrgTx, route: &NewRoute) -> Result<(), ApiError> {
    let named = |tells: &Receivers, field: &'static str| (tells.channels.clone(), field);
    let all: Vec<(Vec<ChannelId>, &str)> =
        std::iter::once(named(&route.tells, "tells")).chain(route.steps.iter().map(|step| named(&step.tells, "steps"))).collect();
    for (channels, field) in all {
        if tx.count_channels(&channels).await? != channels.len() {
            return Err(ApiError::field(field, "A channel that is named here is named twice, or is not there any more."));
        }
    }
    Ok(())
}
