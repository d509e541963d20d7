//! The table of the score: what findings cost and what grades take, so that everybody can count for themselves.

use serde::{Deserialize, Serialize};

use crate::finding::Severity;

/// `GET /api/v1/score`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreTable {
    /// Raised when the table changes.
    pub version: u32,
    /// Points that a rule costs by the worst severity of its findings, the most first. It costs once, however many subjects it concerns.
    pub costs: Vec<ScoreCost>,
    /// Grades with the least points each is given for, best first.
    pub grades: Vec<ScoreGrade>,
}

/// What a severity costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreCost {
    /// The severity.
    pub severity: Severity,
    /// Points of 100.
    pub points: u8,
}

/// What a grade takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoreGrade {
    /// `A` to `F`.
    pub grade: String,
    /// The least points it is given for.
    pub least: u8,
}
