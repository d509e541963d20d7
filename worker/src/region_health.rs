//! Whether a region can reach anything. One that fails at connecting to what others reach is cut off, and so is a region that stands alone and
//! whose own network says that there is no way: what it sees is its own trouble. Pure; `cut_off.rs` feeds it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use waypost_store::region_looks::RegionLook;

/// What was seen longer ago tells nothing.
pub(crate) const LATELY: TimeDelta = TimeDelta::minutes(15);
/// What another region reached that long before a failure began was there when it began, as far as anybody can tell.
const BEFORE: TimeDelta = TimeDelta::minutes(2);
/// What a region alone reached that long ago was up a moment ago.
const AN_HOUR: TimeDelta = TimeDelta::hours(1);
/// Networks that have to fail: fewer may be a fault of theirs.
pub const LEAST: usize = 3;
/// A check takes a while: what failed first had begun that long before it was seen.
const SLACK: TimeDelta = TimeDelta::seconds(10);

/// Since when a region is cut off, by what all regions saw lately; nothing where it is not. `was` is what was decided before.
pub fn cut_off(region: &str, looks: &[RegionLook], was: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let lately: Vec<&RegionLook> = looks.iter().filter(|look| look.at >= now - LATELY).collect();
    // A machine has many names, and a network many machines: they fail together without any fault of the region.
    let networks: HashMap<&str, &str> = lately.iter().filter_map(|look| Some((look.subject.as_str(), look.network.as_deref()?))).collect();
    let network = |look: &RegionLook| networks.get(look.subject.as_str()).map_or_else(|| look.subject.clone(), |network| (*network).to_owned());
    let mut elsewhere: HashMap<&str, DateTime<Utc>> = HashMap::new();
    for look in lately.iter().filter(|look| look.region != region && look.reached) {
        let newest = elsewhere.entry(&look.subject).or_insert(look.at);
        *newest = look.at.max(*newest);
    }
    let alone = !lately.iter().any(|look| look.region != region);
    let fails_here = |look: &RegionLook| {
        let of_others = elsewhere.get(look.subject.as_str()).is_some_and(|at| *at >= look.changed_at - BEFORE);
        let of_its_own = alone && look.nearby && look.reached_at.is_some_and(|at| at >= look.changed_at - AN_HOUR);
        !look.reached && (of_others || of_its_own)
    };
    let (reached, failing): (Vec<&RegionLook>, Vec<&RegionLook>) = lately
        .iter()
        .copied()
        // What others do not reach either tells nothing of a region; alone, it tells that the way is there.
        .filter(|look| look.region == region && (look.reached || fails_here(look) || (alone && !look.nearby)))
        .partition(|look| !fails_here(look));
    let began = match was {
        Some(since) => since + SLACK,
        None => failing.iter().map(|look| look.changed_at).filter(|at| *at >= now - LATELY).min()?,
    };
    let after: HashSet<String> = reached.iter().filter(|look| look.at > began).map(|look| network(look)).collect();
    let lost: HashSet<String> = failing.iter().filter(|look| look.changed_at >= began || was.is_some()).map(|look| network(look)).collect();
    let cut = match was {
        // Until most of what others reach is reached again, or they reach nothing either.
        Some(_) => !lost.is_empty() && after.len() <= lost.len(),
        None => lost.len() >= LEAST && lost.len() * 5 >= (lost.len() + after.len()) * 4,
    };
    cut.then(|| was.unwrap_or(began - SLACK))
}

#[cfg(test)]
#[path = "region_health_tests.rs"]
mod tests;
