//! What scans lead to, from the report to the decision: as the recorder does it.

use std::{net::Ipv6Addr, sync::Arc};

use chrono::TimeDelta;
use waypost_types::{
    lists::ListType,
    outcome::{BlacklistReport, ListState, ScannedList},
};

use super::*;
use crate::{
    carry::{Memory, carry, found, standing, state_of},
    untold::untold,
};

const ONE: Policy = Policy { fail_after: 1, recover_after: 1, quorum: 0 };

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A scan as the engine makes it: per list its zone and the state of each subject, compacted.
fn scan(target: &str, subjects: &[String], lists: &[(&str, &dyn Fn(usize) -> ListState)]) -> Outcome {
    let mut report = BlacklistReport { subjects: u32::try_from(subjects.len()).unwrap(), ..BlacklistReport::empty(target) };
    for (zone, state) in lists {
        let states: Vec<ListState> = (0..subjects.len()).map(state).collect();
        let count = |wanted| u32::try_from(states.iter().filter(|state| **state == wanted).count()).unwrap();
        report.lists.push(ScannedList {
            list: (*zone).to_owned(),
            zone: (*zone).to_owned(),
            id: (*zone).to_owned(),
            list_type: ListType::Block,
            severity: Severity::Critical,
            asked: report.subjects,
            listed: count(ListState::Listed),
            clean: count(ListState::Clean),
            unknown: count(ListState::Unknown),
            reason: String::new(),
            untold: Vec::new(),
            delisting: String::new(),
            effect: String::new(),
        });
        report.entries.extend(subjects.iter().zip(states).map(|(subject, state)| ListEntry {
            subject: subject.clone(),
            list: (*zone).to_owned(),
            zone: (*zone).to_owned(),
            state,
            codes: Vec::new(),
            meaning: "spam".to_owned(),
            reason: if state == ListState::Unknown { "late".to_owned() } else { String::new() },
            severity: Severity::Critical,
            delist_url: None,
        }));
    }
    Outcome::Blacklist(Box::new(report.compact()))
}

/// What the recorder does with a look.
fn look(state: &Conditions, before: Option<&Outcome>, now: Outcome, at: DateTime<Utc>) -> (Decision, Outcome) {
    let now = Arc::new(now);
    let outcome = carry(before.map(|before| (before, at)), &now, Memory { conditions: state, judges: true, at });
    let (seen, found) = (elements(&outcome), found(&outcome));
    let told = Look { seen: &seen, untold: &untold(&now), found: &found, standing: &|id| standing(id, &now), at, maintenance: false };
    (decide(state, told, ONE), (*outcome).clone())
}

fn minutes(n: i64) -> DateTime<Utc> {
    start() + TimeDelta::minutes(n)
}

fn one() -> Vec<String> {
    vec!["192.0.2.7".to_owned()]
}

fn v4(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("192.0.2.{n}")).collect()
}

const CLEAN: &dyn Fn(usize) -> ListState = &|_| ListState::Clean;
const LISTED: &dyn Fn(usize) -> ListState = &|_| ListState::Listed;
const UNKNOWN: &dyn Fn(usize) -> ListState = &|_| ListState::Unknown;

#[test]
fn a_keyed_copy_that_is_refused_makes_no_answered_list_untold() {
    let lists =
        |open: &'static dyn Fn(usize) -> ListState| scan("192.0.2.7", &one(), &[("zen.spamhaus.org", open), ("zen.dq.spamhaus.net", UNKNOWN)]);
    let (first, _) = look(&Conditions::default(), None, lists(CLEAN), start());
    let (second, _) = look(&first.state, None, lists(LISTED), minutes(60));
    assert_eq!(second.changes.len(), 1, "a listing on a list that was clean before is news; untold: {:?}", second.state.untold);
}

#[test]
fn a_list_that_broke_off_while_it_only_listed_left_the_rest_untold() {
    let half: &dyn Fn(usize) -> ListState = &|n| if n < 5 { ListState::Listed } else { ListState::Unknown };
    let (first, _) = look(&Conditions::default(), None, scan("192.0.2.0/25", &v4(128), &[("bl.example", half)]), start());
    let (second, _) = look(&first.state, None, scan("192.0.2.0/25", &v4(128), &[("bl.example", LISTED)]), minutes(60));
    assert!(second.changes.is_empty(), "the first look could not tell of them: {} changes; untold: {:?}", second.changes.len(), first.state.untold);
}

#[test]
fn runs_of_ipv6_addresses_are_untold_too() {
    let v6: Vec<String> = (0..32).map(|n| Ipv6Addr::from(0x2001_0db8_0000_0000_0000_0000_0000_0000_u128 + n).to_string()).collect();
    let half: &dyn Fn(usize) -> ListState = &|n| if n < 16 { ListState::Clean } else { ListState::Unknown };
    let listed: &dyn Fn(usize) -> ListState = &|n| if n < 16 { ListState::Clean } else { ListState::Listed };
    let (first, _) = look(&Conditions::default(), None, scan("2001:db8::/123", &v6, &[("bl.example", half)]), start());
    let (second, _) = look(&first.state, None, scan("2001:db8::/123", &v6, &[("bl.example", listed)]), minutes(60));
    assert!(second.changes.is_empty(), "{} changes; untold: {:?}", second.changes.len(), first.state.untold);
}

#[test]
fn more_untold_than_is_remembered_is_no_alarm() {
    let zones: Vec<String> = (0..20).map(|n| format!("bl{n:02}.example")).collect();
    let half: &dyn Fn(usize) -> ListState = &|n| if n < 100 { ListState::Clean } else { ListState::Unknown };
    let last: &dyn Fn(usize) -> ListState = &|n| if n < 250 { ListState::Clean } else { ListState::Listed };
    let cut: Vec<(&str, &dyn Fn(usize) -> ListState)> = zones.iter().map(|zone| (zone.as_str(), half)).collect();
    let full: Vec<(&str, &dyn Fn(usize) -> ListState)> = zones.iter().map(|zone| (zone.as_str(), last)).collect();
    let (first, _) = look(&Conditions::default(), None, scan("192.0.2.0/24", &v4(256), &cut), start());
    let (second, _) = look(&first.state, None, scan("192.0.2.0/24", &v4(256), &full), minutes(60));
    assert!(second.changes.is_empty(), "{} changes with {} remembered", second.changes.len(), first.state.untold.len());
}

#[test]
fn a_listing_is_carried_from_the_open_zone_to_the_keyed_one() {
    let (first, _) = look(&Conditions::default(), None, scan("192.0.2.7", &one(), &[("zen.spamhaus.org", CLEAN)]), start());
    let (second, before) = look(&first.state, None, scan("192.0.2.7", &one(), &[("zen.spamhaus.org", LISTED)]), minutes(60));
    assert_eq!(second.changes.len(), 1);
    let (third, now) = look(&second.state, Some(&before), scan("192.0.2.7", &one(), &[("zen.dq.spamhaus.net", UNKNOWN)]), minutes(120));
    assert!(third.changes.is_empty());
    assert_eq!(now.findings().len(), 1, "the incident is open and the outcome shows nothing");
}

#[test]
fn a_baseline_listing_is_given_up_after_the_key_came() {
    use crate::carry::{given_up, listing_id};
    let (first, before) =
        look(&Conditions::default(), None, scan("192.0.2.7", &one(), &[("zen.spamhaus.org", LISTED), ("a.example", CLEAN)]), start());
    let keyed = || scan("192.0.2.7", &one(), &[("zen.dq.spamhaus.net", UNKNOWN), ("a.example", CLEAN)]);
    let (second, before) = look(&first.state, Some(&before), keyed(), minutes(60));
    let at = minutes(60) + CARRIED_FOR;
    let (third, _) = look(&second.state, Some(&before), keyed(), at);
    assert!(given_up(&third.state, &listing_id("192.0.2.7", "zen.spamhaus.org"), at), "its stay never ends: {:?}", third.state.unseen);
}

#[test]
fn a_stay_that_was_kept_by_the_keyed_zone_ends() {
    let Outcome::Blacklist(report) = scan("192.0.2.7", &one(), &[("zen.spamhaus.org", CLEAN)]) else { unreachable!() };
    assert_eq!(state_of(&report, "192.0.2.7", "zen.dq.spamhaus.net"), ListState::Clean);
}

#[test]
fn a_baseline_of_a_list_that_is_off_is_kept_for_a_bounded_time() {
    let (first, _) = look(&Conditions::default(), None, scan("192.0.2.7", &one(), &[("bl.example", LISTED), ("a.example", CLEAN)]), start());
    let off = || scan("192.0.2.7", &one(), &[("a.example", CLEAN)]);
    let (mut state, mut at) = (first.state, start());
    for _ in 0..20 {
        at += CARRIED_FOR;
        state = look(&state, None, off(), at).0.state;
    }
    assert!(state.baseline.is_empty(), "20 weeks later: {:?}", state.baseline);
}
