//! Rules: a series of numbers, the limit that it is held to, for how long, and how bad that is. What a rule makes of a value is the worker's
//! to judge; what may be asked for is decided here.

mod series;
mod settings;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    id::{AddressId, DomainId, IncidentId, MonitorId, RuleId, ServerId},
    monitor::MonitorKind,
};

pub use series::{LEAST_CHECKS, Series, Side, minutes};
pub use settings::{LONGEST_WINDOW, MOST_MINUTES, NewRule, RuleFault, RulePatch, RuleSettings, SHORTEST_WINDOW, SUGGESTED, suggestion};

/// A rule as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// What it asks for.
    #[serde(flatten)]
    pub settings: RuleSettings,
    /// Monitors that are over its limit, and have been for long enough: each has an incident.
    pub firing: u32,
    /// Monitors that are over its limit and not yet for long enough.
    pub waiting: u32,
    /// When it was last judged; absent before the first time.
    pub judged_at: Option<DateTime<Utc>>,
    /// Raised by every change; `If-Match: "3"`.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Begins the conditions of incidents that rules open.
const CONDITION: &str = "rule:";

/// The condition of the incidents that a rule opens: `rule:rul_…|failure_rate`.
pub fn condition_of(rule: RuleId, series: Series) -> String {
    format!("{CONDITION}{rule}|{}", series.as_str())
}

/// The rule that opened an incident with this condition, and what it watches.
pub fn rule_of(condition: &str) -> Option<(RuleId, Series)> {
    let (id, series) = condition.strip_prefix(CONDITION)?.split_once('|')?;
    Some((id.parse().ok()?, series.parse().ok()?))
}

/// How a monitor stands to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RuleStanding {
    /// Over the limit for long enough: there is an incident.
    Firing,
    /// Over the limit, not yet for long enough.
    Over,
    /// Within the limit.
    Calm,
    /// There is no value: too few checks in the window, or nothing that tells it.
    NoValue,
    /// In a maintenance window: it is not judged.
    Maintenance,
    /// Not checked, and not judged.
    Paused,
}

/// One monitor that a rule is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleValue {
    /// The monitor.
    pub monitor_id: MonitorId,
    /// What it runs.
    pub kind: MonitorKind,
    /// On what.
    pub target: String,
    /// The domain it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_id: Option<DomainId>,
    /// The server it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<ServerId>,
    /// The address it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_id: Option<AddressId>,
    /// Its value now, in the unit of the series.
    pub value: Option<f64>,
    /// Checks in the window that count for it; absent where the series has no window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<u32>,
    /// How it stands.
    pub standing: RuleStanding,
    /// Since when it is over the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// The incident about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<IncidentId>,
}

/// Values listed at most.
pub const MOST_VALUES: usize = 100;

/// `GET rules/{id}/values` and `POST rules/try`: the monitors that a rule is about, worst first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleValues {
    /// Monitors that the rule is about.
    pub monitors: u32,
    /// Of these, with a value.
    pub valued: u32,
    /// Of these, beyond the limit now, however long.
    pub over: u32,
    /// Monitors that are checked too rarely for the window: a value needs three checks in it, so they have none.
    #[serde(default)]
    pub too_rare: u32,
    /// Seconds between the checks of the rarest of these; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rarest_s: Option<u32>,
    /// The rule covers more monitors than are judged: the newest are left out.
    #[serde(default)]
    pub left_out: bool,
    /// The worst of them, 100 at most.
    pub items: Vec<RuleValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_its_rule_and_no_other_condition_does() {
        let id = RuleId(uuid::Uuid::from_u128(7));
        assert_eq!(rule_of(&condition_of(id, Series::CertificateDays)), Some((id, Series::CertificateDays)));
        for other in ["", "spf", "192.0.2.1|critical", "rule:x|score", "rule:rul_00000000000000000000000000000007"] {
            assert_eq!(rule_of(other), None, "{other}");
        }
    }
}
