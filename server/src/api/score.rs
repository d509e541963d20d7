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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_table_is_the_one_that_audits_are_scored_by() {
        let Json(table) = table().await;
        assert!(table.costs.is_sorted_by_key(|cost| std::cmp::Reverse(cost.points)), "{table:?}");
        assert!(table.costs.iter().all(|cost| cost.points == score::cost(cost.severity)));
        assert!(table.grades.iter().all(|grade| score::grade(grade.least) == grade.grade));
        assert_eq!(table.grades.last().map(|grade| grade.least), Some(0), "every score has a grade");
    }
}
