//! `GET score`: the table by which audits are scored.

use axum::Json;
use waypost_engine::audit::score;
use waypost_types::{
    Severity,
    score::{ScoreCost, ScoreGrade, ScoreTable},
};

/// What findings cost and what grades take. The version is raised when the table changes.
#[utoipa::path(get, path = "/v1/score", tag = "lookup", responses((status = 200, body = ScoreTable)))]
pub async fn table() -> Json<ScoreTable> {
    let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
    Json(ScoreTable {
        version: score::VERSION,
        costs: severities.into_iter().map(|severity| ScoreCost { severity, points: score::cost(severity) }).collect(),
        grades: score::GRADES.into_iter().map(|(grade, least)| ScoreGrade { grade: grade.to_owned(), least }).collect(),
    })
}
