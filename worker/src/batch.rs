//! The task that apalis carries: ids of claimed units, grouped by organisation. It holds nothing else; our tables hold the truth.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use waypost_store::schedule::ClaimedUnit;
use waypost_types::{MonitorId, OrgId};

/// Claimed units to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckBatch {
    /// When they were claimed: what has not begun when the lease ends is left to whoever claims it next.
    pub claimed_at: DateTime<Utc>,
    /// By organisation.
    pub groups: Vec<OrgGroup>,
}

/// The units of one organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgGroup {
    /// The organisation.
    pub org: OrgId,
    /// Monitors with the number of their claim.
    pub units: Vec<(MonitorId, i64)>,
}

/// Name of a region's queue.
pub fn queue_name(region: &str) -> String {
    format!("waypost-checks-{region}")
}

/// Groups claimed units into batches of at most `size` units, the units of an organisation together.
pub fn batches(mut units: Vec<ClaimedUnit>, claimed_at: DateTime<Utc>, size: usize) -> Vec<CheckBatch> {
    units.sort_unstable_by_key(|unit| (unit.org, unit.monitor));
    units
        .chunks(size.max(1))
        .map(|chunk| CheckBatch {
            claimed_at,
            groups: chunk
                .chunk_by(|a, b| a.org == b.org)
                .map(|group| OrgGroup { org: group[0].org, units: group.iter().map(|unit| (unit.monitor, unit.claim)).collect() })
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_an_organisation_stay_together_and_batches_are_bounded() {
        let unit = |org: u128, monitor: u128| ClaimedUnit {
            org: OrgId(uuid::Uuid::from_u128(org)),
            monitor: MonitorId(uuid::Uuid::from_u128(monitor)),
            claim: 1,
            due_at: Utc::now(),
        };
        let made = batches(vec![unit(2, 1), unit(1, 1), unit(2, 2), unit(1, 2), unit(1, 3)], Utc::now(), 4);
        let shape: Vec<Vec<usize>> = made.iter().map(|batch| batch.groups.iter().map(|group| group.units.len()).collect()).collect();
        assert_eq!(shape, [vec![3, 1], vec![1]]);
        assert!(batches(Vec::new(), Utc::now(), 4).is_empty());
    }
}
