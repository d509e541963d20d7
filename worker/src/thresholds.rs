//! The judge of rules: from how a monitor stood to a rule, and its value now, to how it stands. Pure; called under the rule's lock, once per
//! judgement. The table in the tests gives the cases.

use chrono::{DateTime, TimeDelta, Utc};
use waypost_store::rule_states::Beyond;
use waypost_types::rule::RuleSettings;

/// What ends has to be calm for as long as a breach has to last, and no longer than this.
const MOST_CALM: TimeDelta = TimeDelta::minutes(15);
/// Between two values of one stretch. What lies further apart may have been otherwise between them, and the stretch begins anew.
const LONGEST_GAP: TimeDelta = TimeDelta::minutes(15);

/// What happens to the incident of a monitor by a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happens {
    /// Nothing.
    Nothing,
    /// It has been beyond the limit for long enough: it opens, if it is not open.
    Fires,
    /// It has been within the limit for long enough: it ends.
    Ends,
}

/// Judges a value. No value is neither beyond the limit nor within it: nothing changes.
pub fn judge(before: Option<Beyond>, rule: &RuleSettings, value: Option<f64>, now: DateTime<Utc>) -> (Option<Beyond>, Happens) {
    let Some(value) = value else { return (before, Happens::Nothing) };
    let held = |since: DateTime<Utc>, seen_at: DateTime<Utc>| {
        let gap = LONGEST_GAP.max(TimeDelta::seconds(i64::from(rule.series.judged_every(rule.over_minutes)) * 2));
        // A clock that was put back, or nobody who judged for a while.
        let broken = seen_at > now || since > now || now - seen_at > gap;
        if broken { now } else { since }
    };
    let lasts = TimeDelta::minutes(rule.for_minutes.into());
    match before {
        Some(Beyond { firing: true, since, calm_since, seen_at }) => {
            let since = since.min(now);
            if !rule.is_calm(value) {
                return (Some(Beyond { firing: true, since, calm_since: None, seen_at: now }), Happens::Fires);
            }
            let calm_since = calm_since.map_or(now, |since| held(since, seen_at));
            if now - calm_since >= lasts.min(MOST_CALM) {
                return (None, Happens::Ends);
            }
            (Some(Beyond { firing: true, since, calm_since: Some(calm_since), seen_at: now }), Happens::Nothing)
        }
        _ if !rule.is_over(value) => (None, Happens::Nothing),
        waiting => {
            let since = waiting.map_or(now, |before| held(before.since, before.seen_at));
            let firing = now - since >= lasts;
            let happens = if firing { Happens::Fires } else { Happens::Nothing };
            (Some(Beyond { firing, since, calm_since: None, seen_at: now }), happens)
        }
    }
}

#[cfg(test)]
#[path = "thresholds_tests.rs"]
mod tests;
