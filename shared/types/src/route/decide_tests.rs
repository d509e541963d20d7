//! The rules of routes as tables.

use super::*;
use crate::{
    incident::IncidentSeverity::{Critical, Info, Warning},
    route::Step,
    week::{Day, Hours},
};

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn channel(number: u128) -> ChannelId {
    ChannelId(uuid::Uuid::from_u128(number))
}

/// Everything to everybody.
fn route(number: u128) -> Route {
    Route {
        id: RouteId(uuid::Uuid::from_u128(number)),
        name: number.to_string(),
        enabled: true,
        min_severity: Info,
        tags: Vec::new(),
        times: Times::Always,
        tells: Receivers::everybody(),
        hold: Hold::Nothing,
        remind_minutes: None,
        steps: Vec::new(),
        version: 1,
        created_at: utc("2026-01-01T00:00:00Z"),
    }
}

fn to(channels: &[u128]) -> Receivers {
    Receivers { channels: channels.iter().copied().map(channel).collect(), ..Receivers::default() }
}

fn hours(from: &str, to: &str) -> Hours {
    Hours { days: Day::ALL.to_vec(), from: from.parse().unwrap(), to: to.parse().unwrap() }
}

const NOON: &str = "2026-06-10T10:00:00Z";
const NIGHT: &str = "2026-06-10T21:30:00Z";

fn decided(routes: &[Route], severity: IncidentSeverity, tags: &[&str], at: &str) -> Decision {
    let listeners = [(1, Info), (2, Warning), (3, Critical)].map(|(number, min_severity)| Listener { channel: channel(number), min_severity });
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    decide(routes, &listeners, &Facts { severity, tags: &tags }, "Europe/Berlin".parse().unwrap(), utc(at))
}

/// Who is told, in words: `m` for members, channels by number, and `@` with the time where it is held.
fn said(decision: &Decision) -> String {
    let at = |when: When| match when {
        When::Now => String::new(),
        When::Held { until } => format!("@{}", until.format("%dT%H:%M")),
    };
    let members = decision.members.map(|when| format!("m{}", at(when)));
    let channels = decision.channels.iter().map(|told| format!("{}{}", told.channel.0.as_u128(), at(told.at)));
    members.into_iter().chain(channels).collect::<Vec<_>>().join(" ")
}

#[test]
fn all_routes_that_match_tell_and_each_receiver_once() {
    let webs = || Route { tags: vec!["mail".into(), "web".into()], tells: to(&[1]), ..route(2) };
    let nights = || Route { times: Times::Hours(hours("22:00", "07:00")), tells: to(&[2]), ..route(3) };
    let bad = || Route { min_severity: Critical, tells: Receivers { members: true, ..to(&[1, 3]) }, ..route(4) };
    for (routes, severity, tags, at, wanted) in [
        (vec![route(1)], Critical, vec![], NOON, "m 1 2 3"),
        // A channel's own least severity holds.
        (vec![route(1)], Warning, vec![], NOON, "m 1 2"),
        (vec![route(1)], Info, vec![], NOON, "m 1"),
        (vec![Route { enabled: false, ..route(1) }], Critical, vec![], NOON, ""),
        (vec![], Critical, vec![], NOON, ""),
        (vec![webs()], Critical, vec![], NOON, ""),
        (vec![webs()], Critical, vec!["we"], NOON, ""),
        (vec![webs()], Info, vec!["web", "x"], NOON, "1"),
        (vec![nights()], Warning, vec![], NOON, ""),
        (vec![nights()], Warning, vec![], NIGHT, "2"),
        (vec![bad()], Warning, vec![], NOON, ""),
        (vec![webs(), nights(), bad()], Critical, vec!["mail"], NIGHT, "m 1 2 3"),
        // A channel that is gone or off is nobody.
        (vec![Route { tells: to(&[9]), ..route(1) }], Critical, vec![], NOON, ""),
    ] {
        let decision = decided(&routes, severity, &tags, at);
        assert_eq!(said(&decision), wanted, "{routes:?} {severity:?} {tags:?} {at}");
        assert_eq!(decision.is_silent(), wanted.is_empty());
    }
}

#[test]
fn what_can_wait_waits_and_the_soonest_counts() {
    let quiet = || Route { hold: Hold::QuietHours(hours("22:00", "07:00")), tells: to(&[1, 2]), ..route(1) };
    let daily = |up_to| Route { hold: Hold::Daily { up_to, at: "08:00".parse().unwrap() }, tells: to(&[1]), ..route(2) };
    let weekly = Route { hold: Hold::Weekly { up_to: Info, day: Day::Mon, at: "08:00".parse().unwrap() }, tells: to(&[1]), ..route(3) };
    for (routes, severity, at, wanted) in [
        (vec![quiet()], Warning, NOON, "1 2"),
        (vec![quiet()], Warning, NIGHT, "1@11T05:00 2@11T05:00"),
        (vec![quiet()], Critical, NIGHT, "1 2"),
        // The clocks change in that night.
        (vec![quiet()], Info, "2026-03-28T23:00:00Z", "1@29T05:00"),
        (vec![quiet()], Info, "2026-10-24T22:00:00Z", "1@25T06:00"),
        (vec![daily(Info)], Info, NOON, "1@11T06:00"),
        (vec![daily(Info)], Warning, NOON, "1"),
        (vec![daily(Warning)], Warning, NOON, "1@11T06:00"),
        (vec![daily(Warning)], Critical, NOON, "1"),
        (vec![weekly.clone()], Info, NOON, "1@15T06:00"),
        // Two routes to one receiver.
        (vec![weekly.clone(), daily(Info)], Info, NOON, "1@11T06:00"),
        (vec![weekly, quiet()], Info, NOON, "1"),
    ] {
        assert_eq!(said(&decided(&routes, severity, &[], at)), wanted, "{routes:?} {severity:?} {at}");
    }
}

#[test]
fn what_follows_is_reckoned_from_when_the_route_tells() {
    let steps = vec![Step { after_minutes: 15, tells: to(&[2]) }, Step { after_minutes: 60, tells: to(&[3]) }];
    let of = |hold| Route { remind_minutes: Some(30), steps: steps.clone(), hold, ..route(1) };
    let due = |hold, severity, at| -> Vec<(u16, String)> {
        let decision = decided(&[of(hold)], severity, &[], at);
        decision.follow_ups.iter().map(|follow_up| (follow_up.step, follow_up.due_at.format("%dT%H:%M").to_string())).collect()
    };
    let list = |all: [&str; 3]| [1, 0, 2].into_iter().zip(all.map(str::to_owned)).collect::<Vec<_>>();
    let quiet = || Hold::QuietHours(hours("22:00", "07:00"));
    assert_eq!(due(Hold::Nothing, Warning, NOON), list(["10T10:15", "10T10:30", "10T11:00"]));
    assert_eq!(due(quiet(), Warning, NIGHT), list(["11T05:15", "11T05:30", "11T06:00"]));
    assert_eq!(due(quiet(), Critical, NIGHT), list(["10T21:45", "10T22:00", "10T22:30"]));
    let digest = || Hold::Daily { up_to: Warning, at: "08:00".parse().unwrap() };
    assert_eq!(due(digest(), Warning, NOON), [], "what waits for a digest can wait");
    assert_eq!(due(digest(), Critical, NOON).len(), 3);
}

#[test]
fn a_hold_keeps_what_may_wait() {
    let hours = || Hours { days: Day::ALL.to_vec(), from: "22:00".parse().unwrap(), to: "06:00".parse().unwrap() };
    let daily = |up_to| Hold::Daily { up_to, at: "08:00".parse().unwrap() };
    for (hold, keeps) in [
        (Hold::Nothing, [false, false, false]),
        (Hold::QuietHours(hours()), [true, true, false]),
        (daily(Info), [true, false, false]),
        (daily(Warning), [true, true, false]),
    ] {
        assert_eq!([Info, Warning, Critical].map(|least| hold.keeps_any(least)), keeps, "{hold:?}");
    }
}
