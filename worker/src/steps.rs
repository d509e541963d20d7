//! What the judges decided, as steps for incidents: each with its words.

use chrono::{DateTime, Utc};
use waypost_store::judging::LockedMonitor;
use waypost_types::{
    judge::{MonitorState, Transition},
    outcome::Outcome,
};

use crate::{
    conditions::{Change, Decision, Element},
    flapping::FlapNews,
    incidents::{Flap, Step, What},
    wording::{self, condition_words, incident_words, recovery_words, service_words},
};

/// Of a monitor that is judged as a whole. A first outcome that is no failure, and a state that can not be told, neither open nor end anything.
pub(crate) fn of_transition<'a>(monitor: &'a LockedMonitor, outcome: &'a Outcome, transition: &Transition) -> Option<Step<'a>> {
    let target = monitor.target.as_str();
    let what = match transition.severity {
        Some(severity) => {
            let (title, summary) = match outcome {
                Outcome::Smtp(report) => incident_words(target, transition.to, report),
                Outcome::Service(report) => service_words(transition.to, report),
                // They are judged by what they find.
                Outcome::Audit(_) | Outcome::Blacklist(_) => return None,
            };
            let better = transition.better;
            let flap = Flap { recovered_at: transition.recovered_at, calm: transition.flapping };
            What::Stands { severity, title, summary, better, flap }
        }
        None if transition.to == MonitorState::Up && transition.from != MonitorState::Pending => {
            let (title, summary) = recovery_words(target, transition.from, outcome);
            What::Ended { title, summary }
        }
        None => return None,
    };
    Some(Step { monitor: monitor.id, condition: String::new(), kind: monitor.kind, target, outcome, at: transition.at, what })
}

/// Of what is flapping, beside what is confirmed of it.
pub(crate) fn of_flapping<'a>(monitor: &'a LockedMonitor, outcome: &'a Outcome, news: FlapNews, at: DateTime<Utc>) -> Step<'a> {
    let what = match news {
        FlapNews::Began(calm) => What::Flaps(wording::flaps(calm)),
        FlapNews::Changed(state) => What::Note(wording::flapped(state).to_owned()),
        FlapNews::Steady(lasted) => What::Steady(wording::fails_steadily(lasted)),
    };
    Step { monitor: monitor.id, condition: String::new(), kind: monitor.kind, target: &monitor.target, outcome, at, what }
}

/// Of the conditions of an audit, a scan, or the close looks at a server.
pub(crate) fn of_decision<'a>(
    monitor: &'a LockedMonitor,
    outcome: &'a Outcome,
    seen: &[Element],
    decision: &Decision,
    at: DateTime<Utc>,
) -> Vec<Step<'a>> {
    let target = monitor.target.as_str();
    let all_of = |condition: &str| -> Vec<&Element> {
        let open = decision.state.open.get(condition);
        seen.iter().filter(|element| open.is_some_and(|open| open.elements.contains_key(&element.id))).collect()
    };
    let named = |ids: &[String]| -> Vec<&Element> { seen.iter().filter(|element| ids.contains(&element.id)).collect() };
    let step = |(condition, change): &(String, Change)| {
        let what = match change {
            Change::Opened { severity, .. } => {
                let (title, summary) = condition_words(target, outcome, &all_of(condition));
                What::Stands { severity: *severity, title, summary, better: false, flap: Flap::default() }
            }
            Change::Severity { from, to } => {
                let (title, summary) = condition_words(target, outcome, &all_of(condition));
                What::Stands { severity: *to, title, summary, better: to < from, flap: Flap::default() }
            }
            Change::Grew(ids) => What::Note(wording::grew(&named(ids))),
            Change::Shrank(ids) => What::Note(wording::shrank(ids)),
            Change::LetGo(gone) => What::Note(format!("{} Others remain.", wording::let_go(monitor.kind, gone))),
            Change::Ended(gone) if gone.is_empty() => {
                let was = monitor.conditions.open.get(condition).into_iter().flat_map(|open| open.elements.keys().map(String::as_str));
                let (title, summary) = wording::ended(monitor.kind, target, condition, outcome, was);
                What::Ended { title, summary }
            }
            Change::Ended(gone) => What::LetGo(wording::let_go(monitor.kind, gone)),
        };
        Step { monitor: monitor.id, condition: condition.clone(), kind: monitor.kind, target, outcome, at, what }
    };
    let steps = decision.changes.iter().map(step);
    // Incidents from before conditions were judged one by one are about the monitor as a whole. What is still wrong is told anew: a monitor
    // that was looked at before has no baseline.
    let old = (!monitor.conditions.started && !monitor.kind.is_judged_whole()).then(|| Step {
        monitor: monitor.id,
        condition: String::new(),
        kind: monitor.kind,
        target,
        outcome,
        at,
        what: What::Superseded("Ended: from now on there is an incident for each thing that is found. What is still wrong is told anew.".to_owned()),
    });
    old.into_iter().chain(steps).collect()
}
