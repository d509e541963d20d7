//! `settings`: what holds for an organisation as a whole.

use axum::Json;
use waypost_types::{
    org_settings::{OrgSettings, OrgSettingsPatch},
    problem::Problem,
    zone::Zone,
};

use crate::http::{
    body::Body,
    condition::IfMatch,
    org::{Manage, Member, Read},
    problem::ApiError,
};

/// Its name and time zone.
#[utoipa::path(get, path = "/v1/orgs/{org}/settings", tag = "settings", params(("org" = String, Path)),
    responses((status = 200, body = OrgSettings), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn get(member: Member<Read>) -> Result<Json<OrgSettings>, ApiError> {
    let mut tx = member.tx().await?;
    let settings = tx.org_settings().await?;
    tx.commit().await?;
    Ok(Json(settings))
}

/// Changes the time zone: maintenance windows that recur follow its clocks from now on. `If-Match` takes the version.
#[utoipa::path(patch, path = "/v1/orgs/{org}/settings", tag = "settings",
    params(("org" = String, Path), ("if-match" = Option<String>, Header)), request_body = OrgSettingsPatch,
    responses((status = 200, body = OrgSettings), (status = 403, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn update(member: Member<Manage>, IfMatch(expected): IfMatch, Body(patch): Body<OrgSettingsPatch>) -> Result<Json<OrgSettings>, ApiError> {
    let unknown = |_| ApiError::field("time_zone", "There is no time zone of that name: give an IANA name such as Europe/Berlin or UTC.");
    let zone = patch.time_zone.as_deref().map(|name| name.parse::<Zone>().map_err(unknown)).transpose()?;
    let mut tx = member.tx().await?;
    let settings = tx.update_org_settings(expected, zone).await?;
    tx.commit().await?;
    Ok(Json(settings))
}
