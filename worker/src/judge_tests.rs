//! The judge as a table: each row is a story of rounds, read from left to right.
//!
//! A round is one letter per region: `u` up, `g` degraded, `s` degraded by something serious, `d` down, `?` unknown, `-` nothing new (the outcome before stays), `x` the
//! region's outcome is too old to vote. After each round stands the state that must follow; an incident's severity, when one must be
//! opened or changed, follows with `!`, and `~` while it is flapping. A round in a maintenance window begins with `*`, and each `>` in front lets
//! half an hour pass. A capital letter is seen by a region that is cut off.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use waypost_types::{
    finding::Severity,
    incident::IncidentSeverity,
    judge::{Candidate, CutOff, JudgeState, MonitorState, Policy, RegionOutcome},
    monitor::MonitorKind,
    outcome::Verdict,
};

use super::{JudgeContext, Level, count, judge, rank, recheck_delay};
use crate::flapping::{FlapNews, MOST_TOLD, calm};

const INTERVAL: Duration = Duration::from_secs(300);

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn policy(fail_after: u32, recover_after: u32, quorum: u32) -> Policy {
    Policy { fail_after, recover_after, quorum }
}

/// Plays a story and writes down what followed in the same notation.
fn play(policy: Policy, story: &str) -> String {
    let rounds: Vec<&str> = story.split_whitespace().map(|step| step.split_once('=').unwrap().0).collect();
    let regions = rounds[0].trim_start_matches(['*', '>']).len();
    let mut latest: Vec<Option<RegionOutcome>> = vec![None; regions];
    let mut state = JudgeState::default();
    let mut told = Vec::new();
    let mut cut_offs: Vec<CutOff> = Vec::new();
    let mut at = start();
    for round in &rounds {
        at += TimeDelta::minutes(1 + 30 * i64::try_from(round.matches('>').count()).unwrap());
        let mut said = Vec::new();
        for (region, letter) in round.trim_start_matches(['*', '>']).chars().enumerate() {
            let name = format!("r{region}");
            let open = cut_offs.iter_mut().find(|cut_off: &&mut CutOff| cut_off.region == name && cut_off.until.is_none());
            match (open, letter.is_ascii_uppercase(), letter) {
                (Some(cut_off), false, 'a'..='z') => cut_off.until = Some(at - TimeDelta::seconds(1)),
                (None, true, _) => cut_offs.push(CutOff { region: name, since: at, until: None }),
                _ => {}
            }
            let verdict = match letter.to_ascii_lowercase() {
                'u' => Verdict::Up,
                'g' | 's' => Verdict::Degraded,
                'd' => Verdict::Down,
                '?' => Verdict::Unknown,
                '-' => continue,
                'x' => {
                    if let Some(old) = latest[region].as_mut() {
                        old.at = at - TimeDelta::seconds(601);
                    }
                    continue;
                }
                other => panic!("no such letter: {other}"),
            };
            latest[region] = Some(RegionOutcome {
                region: format!("r{region}"),
                at,
                verdict,
                worst: match letter.to_ascii_lowercase() {
                    'd' | 's' => Some(Severity::High),
                    'g' => Some(Severity::Medium),
                    _ => None,
                },
                summary: format!("r{region} says {}", verdict.as_str()),
            });
        }
        let known: Vec<RegionOutcome> = latest.iter().flatten().cloned().collect();
        let ctx = JudgeContext {
            now: at,
            policy,
            interval: INTERVAL,
            kind: MonitorKind::Smtp,
            regions,
            maintenance: round.starts_with('*'),
            cut_offs: &cut_offs,
        };
        let judgement = judge(&state, &known, &ctx);
        assert!(judgement.transitions.len() <= 1, "{story}");
        if count(&known, state.quiet_at, &ctx).is_some() {
            // A change that waits for its confirmation is looked at again soon, and nothing else is: what flaps gets better in its own time.
            let held = judgement.state.steadiness.flapping_since.is_some();
            let better = |to: &Candidate| {
                to.state != MonitorState::Unknown && rank(Level { state: to.state, grave: to.grave }) < rank(super::known(&judgement.state))
            };
            let soon = judgement.state.candidate.filter(|candidate| !(held && better(candidate)));
            assert_eq!(judgement.recheck, soon.map(|_| recheck_delay(INTERVAL)), "{story}");
        } else {
            assert_eq!((&judgement.state, judgement.recheck), (&state, None), "{story}");
        }
        for transition in &judgement.transitions {
            assert_eq!(transition.to, judgement.state.state, "{story}");
            said.push(match transition.severity {
                None => "",
                Some(IncidentSeverity::Critical) => "!critical",
                Some(IncidentSeverity::Warning) => "!warning",
                Some(IncidentSeverity::Info) => "!info",
            });
        }
        if judgement.state.steadiness.flapping_since.is_some() {
            said.push("~");
        }
        state = judgement.state;
        told.push(format!("{round}={}{}", state.state.as_str(), said.concat()));
    }
    told.join(" ")
}

#[test]
fn stories_end_as_the_table_says() {
    let standard = policy(2, 1, 0);
    let table: &[(&str, Policy, &str)] = &[
        ("the first good outcome counts at once", standard, "u=up"),
        ("one failure is no outage", standard, "u=up d=up u=up"),
        ("two failures are", standard, "u=up d=up d=down!critical"),
        ("a first failure is confirmed like any other", standard, "d=pending d=down!critical"),
        ("a first failure that goes away was none", standard, "d=pending u=up"),
        ("recovery needs one success", standard, "u=up d=up d=down!critical u=up"),
        ("failures must follow each other", standard, "u=up d=up u=up d=up u=up"),
        ("staying down is no news", standard, "d=pending d=down!critical d=down d=down"),
        ("the first degraded outcome is the baseline", standard, "g=degraded"),
        ("degraded from the start stays without incident", standard, "g=degraded g=degraded u=up"),
        ("degraded after up is a warning once confirmed", standard, "u=up g=up g=degraded!warning"),
        ("one degraded outcome is no news", standard, "u=up g=up u=up"),
        ("from the baseline to down is critical", standard, "g=degraded d=degraded d=down!critical"),
        ("down to degraded changes the incident", standard, "d=pending d=down!critical g=degraded!warning"),
        ("degraded to down changes it back", standard, "u=up g=up g=degraded!warning d=degraded d=down!critical"),
        ("a new kind of failure starts its own count", standard, "u=up g=up d=up d=down!critical"),
        ("unknown is not down", standard, "u=up ?=up ?=unknown"),
        ("one unknown is no news", standard, "u=up ?=up u=up"),
        ("unknown from the start", standard, "?=pending ?=unknown"),
        ("unknown does not confirm a failure", standard, "u=up d=up ?=up d=up d=down!critical"),
        ("unknown does not end an outage", standard, "d=pending d=down!critical ?=down ?=unknown"),
        ("coming back from unknown to up is quiet", standard, "u=up ?=up ?=unknown u=up"),
        ("coming back from unknown to the outage is no second one", standard, "d=pending d=down!critical ?=down ?=unknown d=unknown d=down"),
        ("coming back from unknown to the baseline opens nothing", standard, "g=degraded ?=degraded ?=unknown g=unknown g=degraded"),
        ("an outage behind the fog is one", standard, "u=up ?=up ?=unknown d=unknown d=down!critical"),
        ("degraded behind the fog is a warning", standard, "u=up ?=up ?=unknown g=unknown g=degraded!warning"),
        ("unknown first, then degraded, is the baseline", standard, "?=pending ?=unknown g=unknown g=degraded"),
        ("three rounds where three are asked for", policy(3, 1, 0), "u=up d=up d=up d=down!critical"),
        ("at once where one is asked for", policy(1, 1, 0), "u=up d=down!critical"),
        ("a slow recovery where two are asked for", policy(2, 2, 0), "d=pending d=down!critical u=down u=up"),
        ("a relapse restarts a slow recovery", policy(2, 2, 0), "d=pending d=down!critical u=down d=down u=down u=up"),
        ("zero rounds mean one", policy(0, 0, 0), "u=up d=down!critical u=up"),
        ("one region of three is not a majority", standard, "uuu=up duu=up duu=up duu=up"),
        ("two of three are", standard, "uuu=up ddu=up ddu=down!critical"),
        ("one of two is not a majority", standard, "uu=up du=up du=up"),
        ("both of two are", standard, "uu=up dd=up dd=down!critical"),
        ("the same outcomes seen again are no new round", standard, "uuu=up ddu=up --u=up --u=up"),
        ("a round is complete when a quorum has looked again", standard, "uuu=up ddu=up d-u=up -du=down!critical"),
        ("a blind region leaves the decision to the others", standard, "uuu=up ?du=up ?dd=up ?dd=down!critical"),
        ("all blind is unknown", standard, "uu=up ??=up ??=unknown"),
        ("an old outcome does not vote", standard, "uu=up dx=up d-=down!critical"),
        ("an old failure does not vote either", standard, "ud=up ux=up u-=up"),
        ("a change waits while nothing recent is known", standard, "u=up d=up x=up d=down!critical"),
        ("too few that can tell decide nothing", policy(2, 1, 2), "uu=up dx=up d-=up dd=up dd=down!critical"),
        ("a quorum of one: any region decides", policy(2, 1, 1), "uuu=up duu=up duu=down!critical"),
        ("a quorum of all: every region must agree", policy(2, 1, 3), "uuu=up ddu=up ddu=up ddd=up ddd=down!critical"),
        ("a quorum above the regions is all of them", policy(2, 1, 9), "uu=up dd=up dd=down!critical"),
        ("down counts towards degraded", standard, "uuu=up dgu=up dgu=degraded!warning"),
        ("degraded by something serious is critical", standard, "u=up s=up s=degraded!critical"),
        ("something serious is told even where it was so from the start", standard, "s=pending s=degraded!critical"),
        ("a problem that becomes serious is told", standard, "g=degraded g=degraded s=degraded s=degraded!critical"),
        ("and one that is serious no more is", standard, "u=up s=up s=degraded!critical g=degraded!warning u=up"),
        ("serious in turn is a problem with the second look, and no serious one", standard, "u=up s=up g=degraded!warning"),
        (
            "a problem that is serious in the second look is none that is serious",
            standard,
            "u=up g=up s=degraded!warning s=degraded s=degraded!critical",
        ),
        (
            "what turns serious and back again and again flaps",
            standard,
            "g=degraded s=degraded s=degraded!critical g=degraded!warning s=degraded s=degraded!critical g=degraded!warning s=degraded s=degraded!critical~ g=degraded~ s=degraded~",
        ),
        ("once is not enough", standard, "g=degraded s=degraded g=degraded s=degraded g=degraded"),
        (
            "from serious to down and back stays critical",
            standard,
            "u=up s=up s=degraded!critical d=degraded d=down!critical s=degraded!critical u=up",
        ),
        ("serious in one region of three is a problem only", standard, "uuu=up sgu=up sgu=degraded!warning"),
        ("serious behind the fog is no second one", standard, "u=up s=up s=degraded!critical ?=degraded ?=unknown s=unknown s=degraded"),
        ("serious in a window is told after it", standard, "g=degraded *s=degraded *s=degraded s=degraded s=degraded!critical"),
        ("a window keeps an outage quiet", standard, "u=up *d=up *d=up *d=up *u=up u=up"),
        ("what lasts beyond the window is judged anew and told", standard, "u=up *d=up *d=up d=up d=down!critical"),
        ("one failure after the window is no outage", standard, "u=up *d=up *d=up d=up u=up"),
        ("what waited for its confirmation begins anew after the window", standard, "u=up d=up *d=up d=up d=down!critical"),
        ("what was seen in the window does not vote after it", policy(1, 1, 0), "uuu=up *ddu=up --u=up d--=up dd-=down!critical"),
        ("an outage that is open stays open, and may end", standard, "u=up d=up d=down!critical *d=down *d=down *u=up *d=up d=up d=down!critical~"),
        ("an outage that is open stays open beyond the window without being told again", standard, "d=pending d=down!critical *d=down d=down u=up"),
        (
            "an outage gets no better in a window by being degraded, and is told after it",
            standard,
            "d=pending d=down!critical *g=down *g=down g=degraded!warning",
        ),
        ("degraded in a window is told after it", standard, "u=up *g=up *g=up g=up g=degraded!warning"),
        ("degraded from the start stays the baseline in a window", standard, "*g=degraded *g=degraded g=degraded"),
        ("a monitor that is added in a window and fails is told after it", standard, "*d=pending *d=pending d=pending d=down!critical"),
        ("a blind spot in a window is one", standard, "u=up *?=up *?=unknown *d=unknown d=unknown d=down!critical"),
    ];
    for (name, policy, story) in table {
        assert_eq!(&play(*policy, story), story, "{name}");
    }
}

#[test]
fn what_flaps_and_what_is_cut_off_end_as_the_table_says() {
    let standard = policy(2, 1, 0);
    let table: &[(&str, Policy, &str)] = &[
        (
            "what fails again soon after it recovered is flapping, and ends when it has been calm",
            standard,
            "u=up d=up d=down!critical u=up d=up d=down!critical~ u=down~ d=down~ u=down~ u=down~ >u=down~ >u=up",
        ),
        ("what fails again long after is a new outage", standard, "u=up d=up d=down!critical u=up >u=up >u=up >d=up d=down!critical u=up"),
        ("short failures that go on are flapping by their number", standard, "u=up d=up u=up d=up u=up d=up d=down!critical~ u=down~ >u=up"),
        ("a recovery among many changes is held", standard, "d=pending u=up d=up u=up d=up d=down!critical u=down~ d=down~ u=down~ >u=up"),
        (
            "what fails slowly and works in turn recovers once, and again when it has been calm for the time in which it failed again",
            standard,
            "u=up d=up d=down!critical u=up >u=up d=up d=down!critical~ u=down~ >u=down~ d=down~ d=down~ u=down~ >u=down~ d=down~ u=down~ >u=down~ >u=up",
        ),
        (
            "what fails again after that has to be calm for twice as long",
            standard,
            "u=up d=up d=down!critical u=up d=up d=down!critical~ u=down~ >u=down~ >u=up >d=up d=down!critical~ u=down~ >u=down~ >u=down~ >u=down~ >u=up",
        ),
        (
            "what fails again after it was steady for long begins anew",
            standard,
            "u=up d=up d=down!critical u=up d=up d=down!critical~ u=down~ >u=down~ >u=up >u=up >u=up >d=up d=down!critical u=up",
        ),
        (
            "what fails for long and works for short recovers ever less often",
            standard,
            "u=up d=up d=down!critical u=up d=up d=down!critical~ >d=down~ >d=down u=up d=up d=down!critical~ >d=down~ >d=down~ u=down~ d=down~ >d=down~ u=down~ d=down~",
        ),
        ("one short failure before an outage is none", standard, "u=up d=up u=up d=up d=down!critical u=up"),
        ("a restart that greets with a temporary refusal is none", standard, "u=up g=up d=up d=down!critical g=degraded!warning u=up"),
        (
            "short failures with long times between them are none",
            standard,
            "u=up d=up u=up >d=up u=up >d=up u=up >d=up u=up >d=up d=down!critical u=up",
        ),
        (
            "what fails on without a break flaps no longer",
            standard,
            "u=up d=up d=down!critical u=up d=up d=down!critical~ d=down~ >d=down~ >d=down u=up",
        ),
        (
            "while it flaps it may get worse and gets no better",
            standard,
            "u=up g=up g=degraded!warning u=up g=up g=degraded!warning~ d=degraded~ d=down!critical~ g=down~ u=down~ >u=down~ >u=up",
        ),
        (
            "what can not be told is no change, and behind the fog it flaps on",
            standard,
            "u=up d=up d=down!critical u=up d=up d=down!critical~ ?=down~ ?=unknown~ u=unknown~ >u=unknown~ >u=up",
        ),
        ("what changes in a window is somebody's work", standard, "u=up *d=up *u=up *d=up *u=up *d=up d=up d=down!critical u=up"),
        ("one region that flaps is outvoted", standard, "uuu=up duu=up uuu=up duu=up uuu=up duu=up uuu=up ddu=up ddu=down!critical uuu=up"),
        ("a region that is cut off opens nothing", policy(2, 1, 1), "uu=up Du=up Du=up Du=up du=up du=down!critical"),
        ("alone and cut off, all stays as it was", standard, "u=up D=up D=up D=up u=up"),
        ("an outage that is open stays open while all are cut off", standard, "uu=up dd=up dd=down!critical UU=down UU=down uu=up"),
        ("what it saw while it was cut off does not vote after it", policy(1, 1, 2), "uuu=up DDu=up u--=up -d-=up --d=down!critical"),
        ("half of the regions cut off open nothing", policy(2, 1, 2), "uuuu=up DDuu=up DDuu=up DDuu=up uuuu=up"),
        ("what is dead is found by the regions that are not cut off", policy(2, 1, 3), "uuuu=up DDdd=up DDdd=down!critical DDuu=up"),
        ("the majority is one of those that reach something", standard, "uuuu=up DDdd=up DDdd=down!critical"),
        ("a slow recovery is held like any other", policy(1, 2, 0), "u=up d=down!critical u=down u=up d=down!critical~ u=down~ >u=down~ >u=up"),
    ];
    for (name, policy, story) in table {
        assert_eq!(&play(*policy, story), story, "{name}");
    }
}

#[test]
fn each_change_of_what_flaps_is_told_up_to_a_number() {
    let ctx = |at| JudgeContext {
        now: at,
        policy: policy(1, 1, 0),
        interval: INTERVAL,
        kind: MonitorKind::Smtp,
        regions: 1,
        maintenance: false,
        cut_offs: &[],
    };
    let mut state = JudgeState::default();
    let mut told = Vec::new();
    for second in 0..200 {
        let verdict = if second % 2 == 0 { Verdict::Up } else { Verdict::Down };
        let at = start() + TimeDelta::seconds(second);
        let outcome = RegionOutcome { region: "local".into(), at, verdict, worst: None, summary: String::new() };
        let judgement = judge(&state, &[outcome], &ctx(at));
        told.extend(judgement.flapping);
        state = judgement.state;
    }
    let (up, down) = (FlapNews::Changed(MonitorState::Up), FlapNews::Changed(MonitorState::Down));
    assert_eq!(told[..4], [up, down, up, down]);
    assert_eq!((told.len(), state.state), (MOST_TOLD as usize, MonitorState::Down));
    assert!(!told.contains(&FlapNews::Began(calm(INTERVAL, 1))), "the second outage said so");
}

#[test]
fn a_change_that_waits_is_looked_at_soon() {
    assert_eq!(recheck_delay(Duration::from_secs(300)), Duration::from_secs(30));
    assert_eq!(recheck_delay(Duration::from_secs(60)), Duration::from_secs(15));
    let outcome = RegionOutcome { region: "local".into(), at: start(), verdict: Verdict::Down, worst: None, summary: "refused".into() };
    let ctx = JudgeContext {
        now: start(),
        policy: Policy::default(),
        interval: INTERVAL,
        kind: MonitorKind::Smtp,
        regions: 1,
        maintenance: false,
        cut_offs: &[],
    };
    let first = judge(&JudgeState::default(), std::slice::from_ref(&outcome), &ctx);
    assert_eq!(first.recheck, Some(Duration::from_secs(30)));
    let again = judge(&first.state, std::slice::from_ref(&outcome), &ctx);
    assert_eq!(again.state.state, MonitorState::Pending, "the same outcome judged twice is one round");
}

#[test]
fn nothing_to_judge_by_changes_nothing() {
    let ctx = JudgeContext {
        now: start(),
        policy: Policy::default(),
        interval: INTERVAL,
        kind: MonitorKind::Audit,
        regions: 1,
        maintenance: false,
        cut_offs: &[],
    };
    let judgement = judge(&JudgeState::default(), &[], &ctx);
    assert_eq!((judgement.state, judgement.transitions.len(), judgement.recheck), (JudgeState::default(), 0, None));
}

#[test]
fn the_reason_is_the_worst_outcomes() {
    let outcome = |verdict, summary: &str| RegionOutcome { region: summary.into(), at: start(), verdict, worst: None, summary: summary.into() };
    let ctx = JudgeContext {
        now: start(),
        policy: policy(1, 1, 0),
        interval: INTERVAL,
        kind: MonitorKind::Smtp,
        regions: 3,
        maintenance: false,
        cut_offs: &[],
    };
    let latest = [outcome(Verdict::Degraded, "slow"), outcome(Verdict::Down, "refused"), outcome(Verdict::Up, "fine")];
    assert_eq!(judge(&JudgeState { state: MonitorState::Up, ..JudgeState::default() }, &latest, &ctx).transitions[0].summary, "refused");
}
