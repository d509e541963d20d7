//! `changes`: what people and programs changed, for incidents to look back at.

use std::net::IpAddr;

use axum::{Json, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use waypost_store::changes::AddChange;
use waypost_types::{
    ChangeId, Cidr,
    change::{MarkedChange, NewChange},
    page::List,
    problem::Problem,
};

use crate::{
    api::targets,
    http::{
        body::Body,
        condition::Versioned,
        org::{Member, Of, Read, Write, tenant_row},
        page::Page,
        problem::ApiError,
    },
};

tenant_row!("changes": MarkedChange, ChangeId, change);

/// Marked changes, newest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/changes", tag = "changes",
    params(("org" = String, Path), ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = List<MarkedChange>), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn list(member: Member<Read>, page: Page) -> Result<Json<List<MarkedChange>>, ApiError> {
    let before: Option<(DateTime<Utc>, ChangeId)> = page.after()?;
    let mut tx = member.tx().await?;
    let items = tx.changes(before, page.rows()).await?;
    tx.commit().await?;
    Ok(Json(page.list(items, |change| (change.at, change.id))?))
}

/// Marks a change: of a firewall, of TLS, of what is sent, a deployment, of DNS. It counts among the probable causes of incidents.
#[utoipa::path(post, path = "/v1/orgs/{org}/changes", tag = "changes", params(("org" = String, Path)), request_body = NewChange,
    responses((status = 201, body = MarkedChange), (status = 422, body = Problem)))]
pub async fn create(member: Member<Write>, Body(new): Body<NewChange>) -> Result<Versioned<MarkedChange>, ApiError> {
    let now = Utc::now();
    let at = new.at.unwrap_or(now);
    if at > now + TimeDelta::days(1) || at < now - TimeDelta::days(400) {
        return Err(ApiError::field("at", "Give a time within the last 400 days, or within a day from now."));
    }
    let text = new.text.trim();
    if !(1..=500).contains(&text.chars().count()) {
        return Err(ApiError::field("text", "Say in 1 to 500 characters what was changed."));
    }
    let target = new.target.as_deref().map(str::trim).filter(|target| !target.is_empty()).map(named).transpose()?;
    let mut tx = member.tx().await?;
    let change = tx.add_change(&AddChange { at, kind: new.kind, text, target: target.as_deref(), by: &member.user.email }).await?;
    member.created(tx, change).await
}

/// A marked change.
#[utoipa::path(get, path = "/v1/orgs/{org}/changes/{id}", tag = "changes", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = MarkedChange), (status = 404, body = Problem)))]
pub async fn get(change: Of<Read, MarkedChange>) -> Versioned<MarkedChange> {
    Versioned::ok(change.row)
}

/// Takes a mark back.
#[utoipa::path(delete, path = "/v1/orgs/{org}/changes/{id}", tag = "changes", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub async fn delete(change: Of<Write, MarkedChange>) -> Result<StatusCode, ApiError> {
    let mut tx = change.member.tx().await?;
    tx.delete_change(change.row.id).await?;
    change.member.deleted(tx).await
}

/// What a change is about, as monitors write it. It need not be watched, and nothing is asked of it.
fn named(target: &str) -> Result<String, ApiError> {
    if let Ok(address) = target.parse::<IpAddr>() {
        return Ok(address.to_canonical().to_string());
    }
    if target.contains('/') {
        return target.parse::<Cidr>().map(|cidr| cidr.to_string()).map_err(|error| ApiError::field("target", error.to_string()));
    }
    match target.rsplit_once(':') {
        Some((host, port)) => {
            let port: u16 =
                port.parse().map_err(|_| ApiError::field("target", "Give a domain, a host, a host with a port, an address or a network."))?;
            Ok(format!("{}:{port}", targets::domain("target", host)?))
        }
        None => Ok(targets::domain("target", target)?.to_string()),
    }
}
