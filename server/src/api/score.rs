//! `GET score`: the table by which domains are scored.

use axum::Json;
use waypost_types::score::ScoreTable;

/// What findings cost, how far listings let a score rise and what grades take. The version is raised when the table changes.
#[utoipa::path(get, path = "/v1/score", tag = "lookup", responses((status = 200, body = ScoreTable)))]
pub async fn table() -> Json<ScoreTable> {
    Json(ScoreTable::current())
}
