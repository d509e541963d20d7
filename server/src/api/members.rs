//! `members`: who belongs to an organisation, and as what.

use axum::{Json, extract::State, http::StatusCode};
use waypost_store::StoreError;
use waypost_types::{
    UserId,
    page::List,
    people::{MemberPatch, OrgMember},
    permission::Forbidden,
    problem::Problem,
};

use crate::{
    http::{
        body::Body,
        condition::{IfMatch, Versioned},
        org::{Member, Of, People, Read, tenant_row},
        problem::ApiError,
    },
    state::AppState,
};

tenant_row!("members": OrgMember, UserId, org_member);

/// Who belongs to the organisation, those first who joined first.
#[utoipa::path(get, path = "/v1/orgs/{org}/members", tag = "people", params(("org" = String, Path)),
    responses((status = 200, body = List<OrgMember>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<OrgMember>>, ApiError> {
    let mut tx = member.tx().await?;
    let items = tx.members().await?;
    tx.commit().await?;
    Ok(Json(List { items, next: None }))
}

/// A member.
#[utoipa::path(get, path = "/v1/orgs/{org}/members/{id}", tag = "people", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = OrgMember), (status = 404, body = Problem)))]
pub async fn get(member: Of<Read, OrgMember>) -> Versioned<OrgMember> {
    Versioned::ok(member.row)
}

/// Makes a member something else. Owners are made and unmade by owners; one stays.
#[utoipa::path(patch, path = "/v1/orgs/{org}/members/{id}", tag = "people",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = MemberPatch,
    responses((status = 200, body = OrgMember), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    member: Of<People, OrgMember>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<MemberPatch>,
) -> Result<Versioned<OrgMember>, ApiError> {
    let Of { member: who, row } = member;
    who.org.role.may_change(Some(row.role), Some(patch.role)).map_err(|error| refused(&who, error))?;
    let mut tx = who.tx().await?;
    // The role that was judged is the one that is changed.
    let changed = tx.set_role(row.id, expected.or(Some(row.version)), patch.role).await.map_err(last_owner)?;
    tracing::info!(org = %who.org.id, by = %who.user.id, member = %row.id, role = patch.role.as_str(), "a member's role was changed");
    who.changed(tx, changed).await
}

/// Removes a member, or leaves: that takes no role. What they did stays.
#[utoipa::path(delete, path = "/v1/orgs/{org}/members/{id}", tag = "people",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(State(state): State<AppState>, member: Of<Read, OrgMember>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let Of { member: who, row } = member;
    let leaves = row.id == who.user.id;
    if !leaves {
        who.org.role.may_change(Some(row.role), None).map_err(|error| refused(&who, error))?;
    }
    let mut tx = who.tx().await?;
    tx.remove_member(row.id, expected.or(Some(row.version))).await.map_err(last_owner)?;
    tx.commit().await?;
    state.overviews.changed(who.org.id);
    tracing::info!(org = %who.org.id, by = %who.user.id, member = %row.id, "a membership ended");
    Ok(StatusCode::NO_CONTENT)
}

/// That a role is not enough for this change.
pub(super) fn refused<N>(who: &Member<N>, Forbidden::Needs(need): Forbidden) -> ApiError {
    ApiError::Forbidden { have: who.org.role.as_str(), need: need.as_str() }
}

fn last_owner(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict("role") => {
            ApiError::Conflict { field: "role", message: "This is the only owner: make somebody else an owner first.".to_owned(), existing: None }
        }
        other => other.into(),
    }
}
