//! `maintenance`: windows in which checks go on, nothing opens an incident and nobody is told.

use std::collections::BTreeSet;

use axum::{Json, http::StatusCode};
use chrono::TimeDelta;
use waypost_store::OrgTx;
use waypost_types::{
    WindowId,
    maintenance::{Covers, Day, MOST_CHOSEN, MOST_MINUTES, MaintenanceWindow, NewWindow, Plan, WindowPatch},
    page::List,
    problem::Problem,
};

use crate::http::{
    body::Body,
    condition::{IfMatch, Versioned},
    org::{Member, Of, Read, Write, tenant_row},
    problem::ApiError,
};

tenant_row!("maintenance": MaintenanceWindow, WindowId, window);

/// Characters of a name at most.
const MAX_NAME: usize = 80;

/// All windows, with what is on now and what comes next: those that are not over first.
#[utoipa::path(get, path = "/v1/orgs/{org}/maintenance", tag = "maintenance", params(("org" = String, Path)),
    responses((status = 200, body = List<MaintenanceWindow>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<MaintenanceWindow>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.windows().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// Plans a window. Local times are those of the organisation's time zone: one that does not exist because the clock jumps is taken with the
/// offset from before the jump, one that exists twice is the first of the two (RFC 5545 section 3.3.5).
#[utoipa::path(post, path = "/v1/orgs/{org}/maintenance", tag = "maintenance", params(("org" = String, Path)), request_body = NewWindow,
    responses((status = 201, body = MaintenanceWindow), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn create(member: Member<Write>, Body(new): Body<NewWindow>) -> Result<Versioned<MaintenanceWindow>, ApiError> {
    let new = NewWindow { name: named(&new.name)?, covers: tagged(new.covers)?, plan: planned(new.plan)? };
    let mut tx = member.tx().await?;
    known(&mut tx, &new.covers).await?;
    let window = tx.add_window(&new).await?;
    member.created(tx, window).await
}

/// A window.
#[utoipa::path(get, path = "/v1/orgs/{org}/maintenance/{id}", tag = "maintenance", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = MaintenanceWindow), (status = 404, body = Problem)))]
pub async fn get(window: Of<Read, MaintenanceWindow>) -> Versioned<MaintenanceWindow> {
    Versioned::ok(window.row)
}

/// Its name, what it covers and when it is.
#[utoipa::path(patch, path = "/v1/orgs/{org}/maintenance/{id}", tag = "maintenance",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = WindowPatch,
    responses((status = 200, body = MaintenanceWindow), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    window: Of<Write, MaintenanceWindow>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<WindowPatch>,
) -> Result<Versioned<MaintenanceWindow>, ApiError> {
    let patch = WindowPatch {
        name: patch.name.as_deref().map(named).transpose()?,
        covers: patch.covers.map(tagged).transpose()?,
        plan: patch.plan.map(planned).transpose()?,
    };
    let mut tx = window.member.tx().await?;
    if let Some(covers) = &patch.covers {
        known(&mut tx, covers).await?;
    }
    let changed = tx.update_window(window.row.id, expected, &patch).await?;
    window.member.changed(tx, changed).await
}

/// Ends what is on of it now. A window that recurs comes again; nothing changes where nothing is on.
#[utoipa::path(post, path = "/v1/orgs/{org}/maintenance/{id}/end", tag = "maintenance",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 200, body = MaintenanceWindow), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn end(window: Of<Write, MaintenanceWindow>, IfMatch(expected): IfMatch) -> Result<Versioned<MaintenanceWindow>, ApiError> {
    let mut tx = window.member.tx().await?;
    let ended = tx.end_window(window.row.id, expected).await?;
    window.member.changed(tx, ended).await
}

/// Removes a window. What is on of it ends by that.
#[utoipa::path(delete, path = "/v1/orgs/{org}/maintenance/{id}", tag = "maintenance",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(window: Of<Write, MaintenanceWindow>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = window.member.tx().await?;
    tx.remove_window(window.row.id, expected).await?;
    window.member.deleted(tx).await
}

fn named(text: &str) -> Result<String, ApiError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::field("name", format!("Give a name of 1 to {MAX_NAME} characters on one line.")));
    }
    Ok(name.to_owned())
}

fn planned(plan: Plan) -> Result<Plan, ApiError> {
    let long = |minutes: u32| {
        if (1..=MOST_MINUTES).contains(&minutes) {
            return Ok(());
        }
        Err(ApiError::field("minutes", "A window lasts at least one minute and at most 7 days."))
    };
    match plan {
        Plan::Once { from, to } => {
            if to <= from {
                return Err(ApiError::field("to", "The window has to end after it begins."));
            }
            if to - from > TimeDelta::minutes(MOST_MINUTES.into()) {
                return Err(ApiError::field("to", "A window lasts 7 days at most."));
            }
            Ok(Plan::Once { from, to })
        }
        Plan::Weekly { days, at, minutes } => {
            let days: Vec<Day> = BTreeSet::from_iter(days).into_iter().collect();
            if days.is_empty() {
                return Err(ApiError::field("days", "Choose at least one day of the week."));
            }
            long(minutes)?;
            Ok(Plan::Weekly { days, at, minutes })
        }
        Plan::Monthly { day, at, minutes } => {
            if !(1..=31).contains(&day) {
                return Err(ApiError::field("day", "Give a day of the month from 1 to 31; in shorter months it is the last day."));
            }
            long(minutes)?;
            Ok(Plan::Monthly { day, at, minutes })
        }
    }
}

fn tagged(covers: Covers) -> Result<Covers, ApiError> {
    let tags = waypost_types::tag::tags(&covers.tags).map_err(|error| ApiError::field("covers", error.to_string()))?;
    Ok(Covers { tags, ..covers })
}

async fn known(tx: &mut OrgTx, covers: &Covers) -> Result<(), ApiError> {
    let named = covers.named();
    if named == 0 && covers.tags.is_empty() && !covers.everything {
        return Err(ApiError::field("covers", "Choose what the window covers: everything, a tag, or at least one thing."));
    }
    if named > MOST_CHOSEN {
        return Err(ApiError::field("covers", format!("A window names {MOST_CHOSEN} things at most. Let it cover everything instead.")));
    }
    if tx.count_covered(covers).await? != named {
        return Err(ApiError::field("covers", "Something that is named here is named twice, or is not watched any more."));
    }
    Ok(())
}
