//! What an organisation watches as a table that spreadsheets and scripts read and write: CSV (RFC 4180).

use serde::{Deserialize, Serialize};

/// Lines that one import takes at most, beside the header.
pub const MOST_LINES: usize = 500;

/// The columns, in the order of an export. An import needs the first two; the others may be missing, and stand in any order.
pub const COLUMNS: [&str; 9] = ["kind", "target", "ports", "role", "tags", "interval_s", "paused", "settings", "pool"];

/// `POST import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The table: a header and up to 500 lines, with commas or semicolons between. An empty cell leaves what is there, or takes what is usual.
    pub csv: String,
    /// Say what would come of it, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LineOutcome {
    /// It is watched from now on.
    Added,
    /// It was watched before, and is otherwise now.
    Changed,
    /// It was watched before, just so.
    Same,
}

/// A line of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportedLine {
    /// The line in the text, from 1; the header is one, too.
    pub line: u64,
    /// What it is: `domain`, `server`, `address`, or a kind of service.
    pub kind: String,
    /// Its one written form.
    pub target: String,
    /// What became of it.
    pub outcome: LineOutcome,
}

/// What became of an import, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Imported {
    /// Each line, in their order.
    pub lines: Vec<ImportedLine>,
    /// Nothing was done.
    pub dry_run: bool,
}

impl Imported {
    /// How many lines came to this.
    pub fn count(&self, outcome: LineOutcome) -> usize {
        self.lines.iter().filter(|line| line.outcome == outcome).count()
    }
}
