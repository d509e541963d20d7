//! `tags`: the tags that are in use. They are given where the thing itself is changed.

use axum::Json;
use waypost_types::{page::List, problem::Problem, tag::TagUse};

use crate::http::{
    org::{Member, Read},
    problem::ApiError,
};

/// Tags in the order of the alphabet, with how many things have each.
#[utoipa::path(get, path = "/v1/orgs/{org}/tags", tag = "tags", params(("org" = String, Path)),
    responses((status = 200, body = List<TagUse>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<TagUse>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.tags_in_use().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}
