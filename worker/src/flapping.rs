//! Flapping: what fails and works in turn. Two things tell it, within a window of a dozen checks: it failed again after it had been confirmed to
//! work again, or what its regions say changed many times, confirmed or not. From then on it gets no better until nothing has changed for half
//! a window, so that an incident is opened once and ends once. Where it was told to work and failed again within the window, half of one was too
//! little: then it takes a whole one, and twice as long each further time. Pure; the judge asks, and remembers with the monitor.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use waypost_types::judge::{MonitorState, Steadiness};

/// Changes within a window that tell it: it was away twice within it, and is about to be so again.
pub const MANY: usize = 5;
/// Checks that a window holds.
const CHECKS: u32 = 12;
/// A window is at least that long, and at most.
const SHORTEST: Duration = Duration::from_secs(30 * 60);
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Doublings that lead from the shortest time of calm beyond the longest.
const MOST_DOUBLINGS: u32 = 6;
/// Changes that the story of an incident tells; a server that flaps for days would else fill it.
pub const MOST_TOLD: u32 = 50;

/// What there is to tell of it beside what is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlapNews {
    /// It works just now and is flapping: its incident stays open until it has been steady for so long.
    Began(Duration),
    /// It was flapping already, and what it does changed to this.
    Changed(MonitorState),
    /// It flaps no longer, and is as bad as it was confirmed to be for so long.
    Steady(Duration),
}

/// How long it is looked back for changes of what is checked that often.
pub fn window(interval: Duration) -> Duration {
    (interval * CHECKS).clamp(SHORTEST, LONGEST)
}

/// For how long nothing is to change until it is believed, after it failed again so many times soon after it had recovered.
pub fn calm(interval: Duration, relapses: u32) -> Duration {
    let half = window(interval) / 2;
    half.saturating_mul(1 << relapses.min(MOST_DOUBLINGS)).clamp(half, LONGEST)
}

/// Takes note of what the regions say together. What can not be told is no change, and what is seen in a maintenance window is somebody's work.
/// Answers whether it is a change.
pub(crate) fn hear(steadiness: &mut Steadiness, says: MonitorState, now: DateTime<Utc>, interval: Duration, maintenance: bool) -> bool {
    let oldest = before(now, window(interval));
    // The newest stays, however old: by it is told how long nothing has changed.
    let surplus = steadiness.changes.partition_point(|at| *at < oldest).min(steadiness.changes.len().saturating_sub(1));
    steadiness.changes.drain(..surplus);
    if says == MonitorState::Unknown {
        return false;
    }
    let changed = steadiness.said.is_some_and(|said| said != says) && !maintenance;
    steadiness.said = Some(says);
    if changed {
        steadiness.changes.push(now);
        // The newest tell as much as all of them.
        let surplus = steadiness.changes.len().saturating_sub(2 * MANY);
        steadiness.changes.drain(..surplus);
    }
    changed
}

/// When it was confirmed to work again, if that is no longer ago than a window.
pub(crate) fn relapsed(steadiness: &Steadiness, now: DateTime<Utc>, interval: Duration) -> Option<DateTime<Utc>> {
    steadiness.recovered_at.filter(|at| *at >= before(now, window(interval)))
}

/// Whether nothing has changed for long enough.
pub(crate) fn is_calm(steadiness: &Steadiness, now: DateTime<Utc>, interval: Duration) -> bool {
    let oldest = before(now, calm(interval, steadiness.relapses));
    steadiness.changes.last().is_none_or(|last| *last <= oldest)
}

/// It is steady again: what was counted is over.
pub(crate) fn settle(steadiness: &mut Steadiness) {
    steadiness.changes.clear();
    steadiness.flapping_since = None;
    steadiness.told = 0;
}

/// Whether one more change has its line in the story.
pub(crate) fn is_told(steadiness: &mut Steadiness) -> bool {
    steadiness.told = steadiness.told.saturating_add(1);
    steadiness.told <= MOST_TOLD
}

fn before(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    now - TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_a_dozen_checks_within_bounds() {
        for (minutes, wanted) in [(1, 30), (5, 60), (15, 180), (60, 360)] {
            let interval = Duration::from_secs(minutes * 60);
            assert_eq!((window(interval).as_secs() / 60, calm(interval, 0).as_secs() / 30), (wanted, wanted), "every {minutes} minutes");
        }
    }

    #[test]
    fn what_keeps_failing_again_has_to_be_calm_for_ever_longer_up_to_the_longest() {
        for (minutes, wanted) in
            [(1, [15, 30, 60, 120, 240, 360, 360]), (5, [30, 60, 120, 240, 360, 360, 360]), (60, [180, 360, 360, 360, 360, 360, 360])]
        {
            let calm = [0, 1, 2, 3, 4, 5, u32::MAX].map(|relapses| calm(Duration::from_secs(minutes * 60), relapses).as_secs() / 60);
            assert_eq!(calm, wanted, "every {minutes} minutes");
        }
    }

    #[test]
    fn what_is_remembered_stays_small() {
        let mut steadiness = Steadiness::default();
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for second in 0..1_000 {
            let says = if second % 2 == 0 { MonitorState::Up } else { MonitorState::Down };
            hear(&mut steadiness, says, start + TimeDelta::seconds(second), Duration::from_secs(60), false);
        }
        assert_eq!(steadiness.changes.len(), 2 * MANY);
        hear(&mut steadiness, MonitorState::Down, start + TimeDelta::hours(1), Duration::from_secs(60), false);
        assert_eq!(steadiness.changes.len(), 1);
    }
}
