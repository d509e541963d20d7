//! The list of incidents: which are shown, and how many there are of each.

use serde::{Deserialize, Serialize};

use crate::incident::IncidentStatus;

/// Which incidents by where they are in their lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// All that are not over.
    Active,
    /// Nobody took them yet.
    Open,
    /// Somebody works on them.
    Acknowledged,
    /// Over.
    Resolved,
    /// All.
    #[default]
    All,
}

impl Stage {
    /// All, in the order of a life.
    pub const ALL: [Self; 5] = [Self::Active, Self::Open, Self::Acknowledged, Self::Resolved, Self::All];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::All => "all",
        }
    }
}

impl std::str::FromStr for Stage {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text).ok_or(())
    }
}

/// `GET incidents/counts`: how many match, by where they are in their lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentCounts {
    /// Nobody took them yet.
    pub open: u32,
    /// Somebody works on them.
    pub acknowledged: u32,
    /// Over.
    pub resolved: u32,
}

impl IncidentCounts {
    /// How many of a stage.
    pub const fn of(self, stage: Stage) -> u32 {
        match stage {
            Stage::Open => self.open,
            Stage::Acknowledged => self.acknowledged,
            Stage::Resolved => self.resolved,
            Stage::Active => self.open.saturating_add(self.acknowledged),
            Stage::All => self.open.saturating_add(self.acknowledged).saturating_add(self.resolved),
        }
    }

    /// Sets how many there are.
    pub const fn set(&mut self, status: IncidentStatus, count: u32) {
        match status {
            IncidentStatus::Open => self.open = count,
            IncidentStatus::Acknowledged => self.acknowledged = count,
            IncidentStatus::Resolved => self.resolved = count,
        }
    }
}
