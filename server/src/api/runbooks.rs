//! `runbooks`: what to do about the usual events, as the product brings it or as the organisation wrote it.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use chrono::Utc;
use waypost_store::OrgTx;
use waypost_types::{
    page::List,
    problem::Problem,
    runbook::{MOST_TEXT, Runbook, RunbookText},
    topic::Topic,
};

use crate::{
    http::{
        body::Body,
        condition::IfMatch,
        org::{Member, Read, Write, path_param},
        problem::ApiError,
    },
    state::AppState,
};

/// `{topic}` of the path; one that nobody knows is 404.
#[derive(Debug, Clone, Copy)]
pub struct About(Topic);

impl FromRequestParts<AppState> for About {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        path_param(parts, "topic").await?.parse().map(Self).map_err(|()| ApiError::NotFound)
    }
}

/// All runbooks.
#[utoipa::path(get, path = "/v1/orgs/{org}/runbooks", tag = "runbooks", params(("org" = String, Path)),
    responses((status = 200, body = List<Runbook>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>) -> Result<Json<List<Runbook>>, ApiError> {
    let mut tx = member.tx().await?;
    let mut own = tx.own_runbooks().await?;
    tx.commit().await?;
    let mut taken = |topic: Topic| own.iter().position(|(known, _)| *known == topic).map(|at| own.swap_remove(at).1);
    let items = Topic::ALL.into_iter().map(|topic| Runbook::new(topic, taken(topic))).collect();
    Ok(Json(List { items, next: None }))
}

/// What to do about one usual event. `runbook` of an incident names it.
#[utoipa::path(get, path = "/v1/orgs/{org}/runbooks/{topic}", tag = "runbooks", params(("org" = String, Path), ("topic" = String, Path)),
    responses((status = 200, body = Runbook), (status = 404, body = Problem)))]
pub async fn get(member: Member<Read>, About(topic): About) -> Result<Json<Runbook>, ApiError> {
    let mut tx = member.tx().await?;
    let runbook = current(&mut tx, topic).await?;
    tx.commit().await?;
    Ok(Json(runbook))
}

/// Writes a runbook in the place of the product's. Version 0 is the product's text.
#[utoipa::path(put, path = "/v1/orgs/{org}/runbooks/{topic}", tag = "runbooks",
    params(("org" = String, Path), ("topic" = String, Path), ("if-match" = Option<String>, Header)), request_body = RunbookText,
    responses((status = 200, body = Runbook), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn write(
    member: Member<Write>,
    About(topic): About,
    IfMatch(expected): IfMatch,
    Body(new): Body<RunbookText>,
) -> Result<Json<Runbook>, ApiError> {
    let text = new.text.replace("\r\n", "\n");
    let text = text.trim();
    if !(1..=MOST_TEXT).contains(&text.chars().count()) {
        return Err(ApiError::field("text", "Write 1 to 20,000 characters, or take the product's text again."));
    }
    let mut tx = member.tx().await?;
    tx.write_runbook(topic, expected, text, &member.user.email, Utc::now()).await?;
    let runbook = current(&mut tx, topic).await?;
    tx.commit().await?;
    Ok(Json(runbook))
}

/// The product's text holds again.
#[utoipa::path(delete, path = "/v1/orgs/{org}/runbooks/{topic}", tag = "runbooks",
    params(("org" = String, Path), ("topic" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn reset(member: Member<Write>, About(topic): About, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = member.tx().await?;
    tx.reset_runbook(topic, expected).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn current(tx: &mut OrgTx, topic: Topic) -> Result<Runbook, ApiError> {
    let own = tx.own_runbooks().await?.into_iter().find(|(known, _)| *known == topic);
    Ok(Runbook::new(topic, own.map(|(_, own)| own)))
}
