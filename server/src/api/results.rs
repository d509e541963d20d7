//! What a monitor's checks found: results, bars of its history, and the latest outcome in full.

use axum::{Json, extract::RawPathParams};
use chrono::{DateTime, Duration, DurationRound, Utc};
use serde::Deserialize;
use waypost_store::results::RollupSpan;
use waypost_types::{
    id::ResultId,
    monitor::{CheckResult, Monitor, RollupPoint},
    outcome::Outcome,
    page::List,
    problem::Problem,
};

use crate::http::{
    org::{Of, Read},
    page::{Page, Params},
    problem::ApiError,
};

/// Whether outcomes are wanted.
#[derive(Debug, Deserialize)]
pub struct Detail {
    #[serde(default)]
    outcome: bool,
}

/// Results, newest first; `outcome=true` brings what was kept of each.
#[utoipa::path(get, path = "/v1/orgs/{org}/monitors/{id}/results", tag = "monitors",
    params(("org" = String, Path), ("id" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query), ("outcome" = Option<bool>, Query)),
    responses((status = 200, body = List<CheckResult>), (status = 404, body = Problem)))]
pub async fn list(monitor: Of<Read, Monitor>, page: Page, Params(detail): Params<Detail>) -> Result<Json<List<CheckResult>>, ApiError> {
    let before: Option<(DateTime<Utc>, ResultId)> = page.after()?;
    let mut tx = monitor.member.tx().await?;
    let items = tx.results(monitor.row.id, before, detail.outcome, page.rows()).await?;
    tx.commit().await?;
    Ok(Json(page.list(items, |result| (result.at, result.id))?))
}

/// One result, with its outcome where it was kept.
#[utoipa::path(get, path = "/v1/orgs/{org}/monitors/{id}/results/{result}", tag = "monitors",
    params(("org" = String, Path), ("id" = String, Path), ("result" = String, Path)),
    responses((status = 200, body = CheckResult), (status = 404, body = Problem)))]
pub async fn get(monitor: Of<Read, Monitor>, params: RawPathParams) -> Result<Json<CheckResult>, ApiError> {
    let id = params.iter().find(|(key, _)| *key == "result").and_then(|(_, value)| value.parse().ok()).ok_or(ApiError::NotFound)?;
    let mut tx = monitor.member.tx().await?;
    let result = tx.result(monitor.row.id, id).await?;
    tx.commit().await?;
    Ok(Json(result))
}

/// Which bars.
#[derive(Debug, Deserialize)]
pub struct Bars {
    by: Option<String>,
    hours: Option<u32>,
}

/// Bars of the history, oldest first: by hour for the last day, by day for the last 30, or for as many hours back as asked.
#[utoipa::path(get, path = "/v1/orgs/{org}/monitors/{id}/rollups", tag = "monitors",
    params(("org" = String, Path), ("id" = String, Path), ("by" = Option<String>, Query, description = "hour or day"), ("hours" = Option<u32>, Query)),
    responses((status = 200, body = List<RollupPoint>), (status = 404, body = Problem)))]
pub async fn rollups(monitor: Of<Read, Monitor>, Params(bars): Params<Bars>) -> Result<Json<List<RollupPoint>>, ApiError> {
    let (span, width, default_hours, most_hours) = match bars.by.as_deref() {
        None | Some("hour") => (RollupSpan::Hour, RollupSpan::Hour.width(), 24, 24 * 60),
        Some("day") => (RollupSpan::Day, RollupSpan::Day.width(), 24 * 30, super::timings::MOST_HOURS),
        Some(_) => return Err(ApiError::field("by", "Use hour or day.")),
    };
    let hours = bars.hours.unwrap_or(default_hours);
    if !(1..=most_hours).contains(&hours) {
        return Err(ApiError::field("hours", format!("Give 1 to {most_hours} hours.")));
    }
    let since = Utc::now() - Duration::hours(i64::from(hours));
    let since = since.duration_trunc(width).map_err(ApiError::internal)?;
    let mut tx = monitor.member.tx().await?;
    let items = tx.rollups(monitor.row.id, span, since).await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// The latest outcome in full; `null` before the first check.
#[utoipa::path(get, path = "/v1/orgs/{org}/monitors/{id}/outcome", tag = "monitors", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Option<Outcome>), (status = 404, body = Problem)))]
pub async fn outcome(monitor: Of<Read, Monitor>) -> Result<Json<Option<Outcome>>, ApiError> {
    let mut tx = monitor.member.tx().await?;
    let outcome = tx.last_outcome(monitor.row.id).await?;
    tx.commit().await?;
    Ok(Json(outcome))
}
