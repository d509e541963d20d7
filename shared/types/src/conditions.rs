//! What a worker remembers of the conditions of a monitor (stored as JSON with it): what was there from the start, what waits for its
//! confirmation, and what an incident is open about. The judging itself is the worker's.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::incident::IncidentSeverity;

/// Conditions of an audit or a scan. What is named here by text are findings (`rule|subject`) and listings (`subject|zone`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// A first outcome was seen.
    pub started: bool,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<DateTime<Utc>>,
    /// What was there at the first look and is silent until it goes or gets worse than it was.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub baseline: BTreeMap<String, IncidentSeverity>,
    /// Parts that the first look could not tell of: what is there when they first tell belongs to the baseline, too. A record family, a rule,
    /// a zone, or `subject|family` and `subject|zone` where others of it could be told.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub untold: BTreeSet<String>,
    /// What was seen and is not confirmed yet.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<String, Rounds>,
    /// What an incident is open about, by the condition's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<String, OpenCondition>,
    /// What was found before and can not be looked at: since when. It is believed for a bounded time only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unseen: BTreeMap<String, DateTime<Utc>>,
}

impl Conditions {
    /// Whether this is remembered as something that is or may be wrong.
    pub fn remember(&self, id: &str) -> bool {
        self.baseline.contains_key(id) || self.waiting.contains_key(id) || self.open.values().any(|open| open.elements.contains_key(id))
    }
}

/// Looks in a row that said the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// How many.
    pub count: u32,
    /// When the last of them was.
    pub at: DateTime<Utc>,
}

/// A condition with an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCondition {
    /// The worst among what it is about.
    pub severity: IncidentSeverity,
    /// What it is about.
    pub elements: BTreeMap<String, Member>,
}

/// Something that a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// How urgent it was when last seen.
    pub severity: IncidentSeverity,
    /// Looks in a row that did not see it any more.
    #[serde(default)]
    pub gone: u32,
}
