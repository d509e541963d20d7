//! `regions`: where checks are made from, whether they count, and how much of the organisation's is checked from there.

use axum::Json;
use chrono::Utc;
use waypost_types::{page::List, problem::Problem, region::Region};

use crate::http::{
    org::{Member, Read},
    problem::ApiError,
};

/// All regions, by name.
#[utoipa::path(get, path = "/v1/orgs/{org}/regions", tag = "monitors", params(("org" = String, Path)),
    responses((status = 200, body = List<Region>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<Region>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.regions(Utc::now()).await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}
