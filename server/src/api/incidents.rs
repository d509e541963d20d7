//! `incidents`: what broke, from its opening to its end, and what people do about it.

use axum::{Json, http::StatusCode};
use chrono::Utc;
use serde::Deserialize;
use waypost_store::{
    StoreError,
    incident_list::{IncidentFilter, Last},
    incidents::IncidentChange,
    monitors::Added,
};
use waypost_types::{
    IncidentId, MonitorId,
    cause::{self, About, Related},
    incident::{Incident, IncidentPatch, IncidentSeverity, NewIncident},
    incident_list::{IncidentCounts, Stage},
    page::List,
    problem::Problem,
};

use crate::http::{
    body::Body,
    condition::{IfMatch, Versioned},
    org::{Handle, Member, Of, Read, tenant_row},
    page::{Page, Params},
    problem::ApiError,
    search,
};

tenant_row!("incidents": Incident, IncidentId, incident);

/// Which incidents a list is of. What a form leaves empty does not narrow.
#[derive(Debug, Deserialize)]
pub struct Which {
    status: Option<String>,
    severity: Option<String>,
    q: Option<String>,
    monitor: Option<MonitorId>,
}

impl Which {
    fn filter(self) -> Result<IncidentFilter, ApiError> {
        let stage = search::one_of("status", self.status.as_ref(), &Stage::ALL.map(Stage::as_str))?.unwrap_or_default();
        let severity = search::one_of("severity", self.severity.as_ref(), &IncidentSeverity::ALL.map(IncidentSeverity::as_str))?;
        search::checked("q", self.q.as_ref())?;
        Ok(IncidentFilter { stage, severity, q: self.q, monitor: self.monitor })
    }
}

/// Incidents, newest first. `status` is open, acknowledged, resolved, active for all that are not over, or all.
#[utoipa::path(get, path = "/v1/orgs/{org}/incidents", tag = "incidents",
    params(("org" = String, Path), ("status" = Option<Stage>, Query), ("severity" = Option<IncidentSeverity>, Query),
        ("q" = Option<String>, Query, description = "Characters that stand in what is affected or in the title"), ("monitor" = Option<String>, Query),
        ("cursor" = Option<String>, Query), ("limit" = Option<u32>, Query)),
    responses((status = 200, body = List<Incident>), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn list(member: Member<Read>, page: Page, Params(which): Params<Which>) -> Result<Json<List<Incident>>, ApiError> {
    let before: Option<Last> = page.after()?;
    let filter = which.filter()?;
    let mut tx = member.tx().await?;
    let items = tx.incidents(&filter, before, page.rows()).await?;
    tx.commit().await?;
    Ok(Json(page.list(items, |incident| (incident.opened_at, incident.id))?))
}

/// How many incidents match, by where they are in their lives: `status` itself does not narrow.
#[utoipa::path(get, path = "/v1/orgs/{org}/incidents/counts", tag = "incidents",
    params(("org" = String, Path), ("severity" = Option<IncidentSeverity>, Query), ("q" = Option<String>, Query), ("monitor" = Option<String>, Query)),
    responses((status = 200, body = IncidentCounts), (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn counts(member: Member<Read>, Params(which): Params<Which>) -> Result<Json<IncidentCounts>, ApiError> {
    let filter = which.filter()?;
    let mut tx = member.tx().await?;
    let counts = tx.incident_counts(&filter).await?;
    tx.commit().await?;
    Ok(Json(counts))
}

/// Opens an incident by hand. No check changes or ends it, and what checks find has incidents of its own.
#[utoipa::path(post, path = "/v1/orgs/{org}/incidents", tag = "incidents", params(("org" = String, Path)), request_body = NewIncident,
    responses((status = 201, body = Incident), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn create(member: Member<Handle>, Body(new): Body<NewIncident>) -> Result<Versioned<Incident>, ApiError> {
    let title = new.title.trim();
    if !(1..=200).contains(&title.chars().count()) || title.chars().any(char::is_control) {
        return Err(ApiError::field("title", "Enter a title of 1 to 200 characters."));
    }
    if new.summary.chars().count() > 4000 {
        return Err(ApiError::field("summary", "Use at most 4,000 characters."));
    }
    let mut tx = member.tx().await?;
    let added = tx.add_incident(new.monitor_id, title, new.summary.trim(), new.severity, &member.user.email, Utc::now()).await;
    let incident = match added {
        Ok(Added::New(incident)) => incident,
        Ok(Added::Exists(id)) => {
            return Err(ApiError::Conflict {
                field: "monitor_id",
                message: "Somebody opened an incident of this monitor already, and it is not over: comment on that one.".to_owned(),
                existing: Some(id.to_string()),
            });
        }
        Err(StoreError::NotFound) => return Err(ApiError::field("monitor_id", "There is no such monitor.")),
        Err(error) => return Err(error.into()),
    };
    member.created(tx, incident).await
}

/// An incident with its timeline and the outcome that confirmed it.
#[utoipa::path(get, path = "/v1/orgs/{org}/incidents/{id}", tag = "incidents", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Incident), (status = 404, body = Problem)))]
pub async fn get(incident: Of<Read, Incident>) -> Versioned<Incident> {
    Versioned::ok(incident.row)
}

/// What happened in the organisation around it: probable causes with the reason, and what else happened. From 24 hours before it opened, of a
/// listing 72, to 24 hours after.
#[utoipa::path(get, path = "/v1/orgs/{org}/incidents/{id}/related", tag = "incidents", params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Related), (status = 404, body = Problem)))]
pub async fn related(incident: Of<Read, Incident>) -> Result<Json<Related>, ApiError> {
    let (from, until) = cause::window(&incident.row);
    let mut tx = incident.member.tx().await?;
    let events = tx.around(&incident.row, from, until).await?;
    let near = tx.names_near(&incident.row).await?;
    tx.commit().await?;
    Ok(Json(cause::rank(&About { incident: &incident.row, near: &near }, events)))
}

/// Takes it, ends it, says something about it or why it happened, or keeps quiet about it.
#[utoipa::path(patch, path = "/v1/orgs/{org}/incidents/{id}", tag = "incidents",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)), request_body = IncidentPatch,
    responses((status = 200, body = Incident), (status = 404, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    incident: Of<Handle, Incident>,
    IfMatch(expected): IfMatch,
    Body(patch): Body<IncidentPatch>,
) -> Result<Versioned<Incident>, ApiError> {
    let comment = patch.comment.as_deref().map(str::trim);
    if comment.is_some_and(|comment| !(1..=4000).contains(&comment.chars().count())) {
        return Err(ApiError::field("comment", "Write 1 to 4,000 characters."));
    }
    let root_cause = patch.root_cause.as_deref().map(str::trim);
    if root_cause.is_some_and(|cause| cause.chars().count() > 4000) {
        return Err(ApiError::field("root_cause", "Use at most 4,000 characters."));
    }
    let mut tx = incident.member.tx().await?;
    let change = IncidentChange { status: patch.status, comment, root_cause, mute: patch.mute, actor: &incident.member.user.email };
    let changed = match tx.update_incident(incident.row.id, expected, change, Utc::now()).await {
        Err(StoreError::Conflict("mute")) => {
            let message = "This incident is over, so there is nothing to mute.".to_owned();
            return Err(ApiError::Conflict { field: "mute", message, existing: None });
        }
        Err(StoreError::Conflict(field)) => {
            return Err(ApiError::Conflict {
                field,
                message: "An incident that is over stays over, and none goes back to open.".to_owned(),
                existing: None,
            });
        }
        other => other?,
    };
    incident.member.changed(tx, changed).await
}

/// Removes an incident and its timeline.
#[utoipa::path(delete, path = "/v1/orgs/{org}/incidents/{id}", tag = "incidents",
    params(("org" = String, Path), ("id" = String, Path), ("if-match" = Option<String>, Header)),
    responses((status = 204), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub async fn delete(incident: Of<Handle, Incident>, IfMatch(expected): IfMatch) -> Result<StatusCode, ApiError> {
    let mut tx = incident.member.tx().await?;
    tx.delete_incident(incident.row.id, expected).await?;
    incident.member.deleted(tx).await
}
