//! How long a monitor's checks took over time, by stage and by region.

use axum::Json;
use chrono::{Duration, DurationRound, Utc};
use serde::Deserialize;
use waypost_store::{results::RollupSpan, timings::Steps};
use waypost_types::{monitor::Monitor, problem::Problem, timing::Timings};

use crate::http::{
    org::{Of, Read},
    page::Params,
    problem::ApiError,
};

/// Longest period of a chart: a little more than a year.
pub const MOST_HOURS: u32 = 24 * 400;
/// The finest step: a quarter of an hour.
const QUARTER_S: u32 = 900;

/// How far back.
#[derive(Debug, Deserialize)]
pub struct Period {
    hours: Option<u32>,
}

/// Median and 95th percentile of each stage over time, with the incidents and maintenance that lay over it, and the regions side by side. For the
/// last day, or for as many hours back as asked; a step is 15 minutes, over more than two days an hour, over more than two weeks a day.
#[utoipa::path(get, path = "/v1/orgs/{org}/monitors/{id}/timings", tag = "monitors",
    params(("org" = String, Path), ("id" = String, Path), ("hours" = Option<u32>, Query, description = "1 to 9600")),
    responses((status = 200, body = Timings), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn timings(monitor: Of<Read, Monitor>, Params(period): Params<Period>) -> Result<Json<Timings>, ApiError> {
    let hours = period.hours.unwrap_or(24);
    let (made_of, width) = match hours {
        1..=48 => (Steps::Seconds(QUARTER_S), Duration::seconds(QUARTER_S.into())),
        49..=336 => (Steps::Rolled(RollupSpan::Hour), RollupSpan::Hour.width()),
        337..=MOST_HOURS => (Steps::Rolled(RollupSpan::Day), RollupSpan::Day.width()),
        _ => return Err(ApiError::field("hours", format!("Give 1 to {MOST_HOURS} hours."))),
    };
    let until = Utc::now();
    let since = (until - Duration::hours(i64::from(hours))).duration_trunc(width).map_err(ApiError::internal)?;
    let mut tx = monitor.member.tx().await?;
    let points = tx.timing_points(monitor.row.id, since, made_of).await?;
    let incidents = tx.incident_bands(monitor.row.id, since).await?;
    let regions = tx.region_timings(monitor.row.id, until).await?;
    tx.commit().await?;
    let step_s = u32::try_from(width.num_seconds()).map_err(ApiError::internal)?;
    Ok(Json(Timings { since, until, step_s, points, incidents, regions }))
}
