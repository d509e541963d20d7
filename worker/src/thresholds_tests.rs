//! The judge of rules as a table: minutes, values, and what happens when.

use waypost_types::rule::{RulePatch, suggestion};

use super::*;

/// p95 above 2,000 ms for 15 min, over at 1,500 ms.
fn slow() -> RuleSettings {
    suggestion("slow").unwrap().checked().unwrap()
}

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
}

/// What happens at which minute, once each time it begins.
fn story(rule: &RuleSettings, values: impl IntoIterator<Item = (i64, Option<f64>)>) -> Vec<(i64, &'static str)> {
    let (mut state, mut open, mut told) = (None, false, Vec::new());
    for (minute, value) in values {
        let (next, happens) = judge(state, rule, value, at(minute));
        state = next;
        match happens {
            Happens::Fires if !open => {
                open = true;
                told.push((minute, "fires"));
            }
            Happens::Ends => {
                assert!(open, "what ends was open");
                open = false;
                told.push((minute, "ends"));
            }
            _ => {}
        }
        assert_eq!(open, state.is_some_and(|state| state.firing), "minute {minute}");
    }
    told
}

fn each_minute(values: &[f64]) -> Vec<(i64, Option<f64>)> {
    (0..).zip(values.iter().map(|value| Some(*value))).collect()
}

/// `minutes` of one value.
fn of(minutes: usize, value: f64) -> Vec<f64> {
    vec![value; minutes]
}

#[test]
fn a_breach_fires_once_when_it_has_lasted_and_ends_when_it_has_been_calm_for_as_long() {
    let values = [of(3, 900.0), of(20, 2_500.0), of(20, 1_000.0)].concat();
    assert_eq!(story(&slow(), each_minute(&values)), [(18, "fires"), (38, "ends")]);
}

#[test]
fn what_flaps_around_the_limit_neither_fires_nor_ends() {
    let flaps: Vec<f64> = (0..120).map(|minute| if minute % 10 == 9 { 1_900.0 } else { 2_100.0 }).collect();
    assert_eq!(story(&slow(), each_minute(&flaps)), []);
    let flaps: Vec<f64> = (0..120).map(|minute| if minute % 10 == 9 { 1_600.0 } else { 1_400.0 }).collect();
    let values = [of(16, 2_500.0), flaps].concat();
    assert_eq!(story(&slow(), each_minute(&values)), [(15, "fires")], "between the limits it is not calm");
    let values = [of(16, 2_500.0), of(60, 1_800.0), of(16, 1_500.0)].concat();
    assert_eq!(story(&slow(), each_minute(&values)), [(15, "fires"), (91, "ends")], "the calm limit itself is calm");
}

#[test]
fn no_value_is_neither_a_breach_nor_calm() {
    let silent = |from: i64, to: i64| (from..to).map(|minute| (minute, None));
    let values = |from: i64, to: i64, value: f64| (from..to).map(move |minute| (minute, Some(value)));
    let short: Vec<_> = values(0, 8, 2_500.0).chain(silent(8, 14)).chain(values(14, 20, 2_500.0)).collect();
    assert_eq!(story(&slow(), short), [(15, "fires")], "a short gap is bridged");
    let long: Vec<_> = values(0, 8, 2_500.0).chain(silent(8, 60)).chain(values(60, 80, 2_500.0)).collect();
    assert_eq!(story(&slow(), long), [(75, "fires")], "of a long one nobody knows what was between");
    let firing: Vec<_> = values(0, 16, 2_500.0).chain(silent(16, 200)).collect();
    assert_eq!(story(&slow(), firing), [(15, "fires")], "silence ends nothing");
    let calm: Vec<_> = values(0, 16, 2_500.0).chain(values(16, 20, 900.0)).chain(silent(20, 200)).chain(values(200, 216, 900.0)).collect();
    assert_eq!(story(&slow(), calm), [(15, "fires"), (215, "ends")]);
}

#[test]
fn a_clock_that_is_put_back_or_ahead_begins_the_stretch_anew() {
    let back = [(100, 2_500.0), (101, 2_500.0), (50, 2_500.0), (64, 2_500.0), (65, 2_500.0)];
    assert_eq!(story(&slow(), back.map(|(minute, value)| (minute, Some(value)))), [(65, "fires")]);
    let ahead = [(0, 2_500.0), (500, 2_500.0), (514, 2_500.0), (515, 2_500.0)];
    assert_eq!(story(&slow(), ahead.map(|(minute, value)| (minute, Some(value)))), [(515, "fires")]);
    let (state, _) = judge(Some(Beyond { firing: true, since: at(90), calm_since: None, seen_at: at(90) }), &slow(), Some(2_500.0), at(10));
    assert_eq!(state.map(|state| state.since), Some(at(10)), "nothing began in the future");
}

#[test]
fn a_rule_that_asks_for_no_time_fires_and_ends_at_once() {
    let failing = suggestion("failing").unwrap().checked().unwrap();
    assert_eq!(story(&failing, each_minute(&[10.0, 20.0, 21.0, 15.0, 10.0])), [(2, "fires"), (4, "ends")]);
    let certificate = suggestion("certificate").unwrap().checked().unwrap();
    assert_eq!(story(&certificate, each_minute(&[14.0, 13.9, 12.0, 90.0])), [(1, "fires"), (3, "ends")], "bad is below");
}

#[test]
fn calm_is_waited_for_a_quarter_of_an_hour_at_most() {
    let rule = slow().patched(RulePatch { for_minutes: Some(120), ..RulePatch::default() }).unwrap();
    let values = [of(125, 2_500.0), of(30, 1_000.0)].concat();
    assert_eq!(story(&rule, each_minute(&values)), [(120, "fires"), (140, "ends")]);
}

#[test]
fn a_rule_that_changes_while_it_fires_judges_by_its_new_limits() {
    let firing = Some(Beyond { firing: true, since: at(0), calm_since: None, seen_at: at(20) });
    let higher = slow().patched(RulePatch { threshold: Some(9_000.0), clear: Some(9_000.0), for_minutes: Some(1), ..RulePatch::default() }).unwrap();
    let (calm, happens) = judge(firing, &higher, Some(2_500.0), at(21));
    assert_eq!(happens, Happens::Nothing);
    assert_eq!(judge(calm, &higher, Some(2_500.0), at(22)), (None, Happens::Ends));
    let longer = slow().patched(RulePatch { for_minutes: Some(1440), ..RulePatch::default() }).unwrap();
    let (state, happens) = judge(firing, &longer, Some(2_500.0), at(21));
    assert!(happens == Happens::Fires && state.is_some_and(|state| state.firing), "what fires goes on");
}
