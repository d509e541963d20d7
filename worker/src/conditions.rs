//! The judge of audits and scans: each finding and each listing has its own beginning and end, and incidents are about groups of them. Pure;
//! DESIGN section 2 gives the rules of confirmation, the table in the tests gives the cases.
//!
//! Audits: one condition per record family. What is of medium severity at the first look is the baseline and stays silent; what is worse is
//! told. Scans: everything at the first look is silent; after that one condition per address and severity. A medium listing of an address
//! that is on a critical list too belongs to that condition, and a network of which many addresses are struck at once is one condition.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use waypost_engine::{audit::Family, blacklist::lasting_zone, probe::question_of};
use waypost_types::{
    conditions::{Conditions, Member, OpenCondition, Rounds},
    finding::{Finding, Severity},
    incident::IncidentSeverity,
    judge::Policy,
    outcome::{ListEntry, Outcome},
};

use crate::{
    carry::{CARRIED_FOR, Standing, finding_id, given_up, listing_id},
    untold::{still_untold, untold_then},
};

/// Findings and listings of one outcome that are followed.
pub(crate) const MOST_ELEMENTS: usize = 2_000;
/// With more addresses of a network newly listed at once the network is the condition.
const MOST_ADDRESSES: usize = 3;
/// Name of the condition of what close looks at a server find.
pub(crate) const CLOSE_LOOK: &str = "close_look";
/// Name of the condition of a stored login, and of the part of the outcome that tells of it.
pub(crate) const LOGIN: &str = "login";
/// What an audit finds and the checks of the server itself tell sooner and better: every MX host that is not a provider's has them.
const OF_SERVERS: &str = "mx.unreachable";
/// Name of the condition of a network as a whole.
const NETWORK: &str = "network";

/// Something an outcome shows that should not be.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// `rule|subject`, `subject|zone`.
    pub id: String,
    /// The part of the outcome that tells of it: a record family, a zone.
    pub part: String,
    /// The condition it belongs to when nothing else decides.
    pub condition: String,
    /// How urgent.
    pub severity: IncidentSeverity,
    /// Not told when it is there at the first look.
    pub silent_first: bool,
    /// What it says.
    pub finding: Finding,
}

/// What happened to a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An incident is to be opened about these.
    Opened {
        /// How urgent.
        severity: IncidentSeverity,
        /// Elements.
        elements: Vec<String>,
    },
    /// These came to it.
    Grew(Vec<String>),
    /// These are gone from it; others stay.
    Shrank(Vec<String>),
    /// It is more or less urgent now.
    Severity {
        /// Before.
        from: IncidentSeverity,
        /// After.
        to: IncidentSeverity,
    },
    /// These can not be looked at any more and are no longer believed; others stay.
    LetGo(Vec<LetGo>),
    /// Nothing of it is left. What of it was let go in the end without being seen to be gone.
    Ended(Vec<LetGo>),
}

/// Something that is no longer believed, though nobody saw it go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetGo {
    /// The element.
    pub id: String,
    /// Since when it could not be looked at; `None` where it is not asked for any more.
    pub since: Option<DateTime<Utc>>,
}

/// A look at a target, as the judge takes it.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// What it shows, with what is carried over.
    pub seen: &'a [Element],
    /// Parts that it could not tell.
    pub untold: &'a BTreeSet<String>,
    /// Everything that it shows of whatever severity, by id.
    pub found: &'a [String],
    /// What it says of something that was found before, without what is carried over.
    pub standing: &'a dyn Fn(&str) -> Standing,
    /// When it was.
    pub at: DateTime<Utc>,
    /// It was in a maintenance window: nothing opens, grows or changes, what is open may end, and what stays is judged anew after it.
    pub maintenance: bool,
}

/// What the judge decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// To be remembered.
    pub state: Conditions,
    /// Conditions and what happened to them, in the order of their names.
    pub changes: Vec<(String, Change)>,
    /// Something waits for its confirmation: look again soon.
    pub recheck: bool,
}

/// What an outcome shows. Of SMTP checks, which are judged as a whole, what close looks and the login found.
pub fn elements(outcome: &Outcome) -> Vec<Element> {
    match outcome {
        Outcome::Service(_) => Vec::new(),
        Outcome::Smtp(report) => {
            let element = |finding: &Finding| {
                let severity = urgency(finding.severity)?;
                Some(Element {
                    id: finding_id(finding),
                    part: question_of(&finding.rule).unwrap_or(CLOSE_LOOK).to_owned(),
                    condition: CLOSE_LOOK.to_owned(),
                    severity,
                    silent_first: severity == IncidentSeverity::Warning,
                    finding: finding.clone(),
                })
            };
            let closely = report.close_looks.iter().flat_map(|look| &look.findings).filter_map(element);
            // One that worked, or it would not be judged.
            let of_login = |finding: &Finding| {
                let element = element(finding)?;
                Some(Element { part: LOGIN.to_owned(), condition: LOGIN.to_owned(), silent_first: false, ..element })
            };
            let login = report.login.iter().flat_map(|look| &look.findings).filter_map(of_login);
            closely.chain(login).take(MOST_ELEMENTS).collect()
        }
        Outcome::Audit(report) => {
            let element = |finding: &Finding| {
                let severity = urgency(finding.severity)?;
                let family = Family::of_rule(&finding.rule).map_or("audit", Family::key);
                Some(Element {
                    id: finding_id(finding),
                    part: family.to_owned(),
                    condition: family.to_owned(),
                    severity,
                    silent_first: severity == IncidentSeverity::Warning,
                    finding: finding.clone(),
                })
            };
            let told_here = report.findings.iter().filter(|finding| finding.rule != OF_SERVERS);
            told_here.filter_map(element).take(MOST_ELEMENTS).collect()
        }
        Outcome::Blacklist(report) => {
            let element = |(entry, finding): (&ListEntry, Finding)| {
                let severity = urgency(finding.severity)?;
                Some(Element {
                    id: listing_id(&entry.subject, &entry.zone),
                    part: lasting_zone(&entry.zone).to_owned(),
                    condition: format!("{}|{}", entry.subject, severity.as_str()),
                    severity,
                    silent_first: true,
                    finding,
                })
            };
            report.listings().filter_map(element).take(MOST_ELEMENTS).collect()
        }
    }
}

/// DESIGN section 3: critical and high make an incident critical, medium makes a warning, the rest none.
fn urgency(severity: Severity) -> Option<IncidentSeverity> {
    match severity {
        Severity::Critical | Severity::High => Some(IncidentSeverity::Critical),
        Severity::Medium => Some(IncidentSeverity::Warning),
        Severity::Low | Severity::Info => None,
    }
}

/// Judges what a look shows, and could not tell.
pub fn decide(before: &Conditions, look: Look<'_>, policy: Policy) -> Decision {
    let by_id: BTreeMap<&str, &Element> = look.seen.iter().map(|element| (element.id.as_str(), element)).collect();
    let mut state = before.clone();
    mark_unseen(&mut state, look);
    settle(&mut state, look, &by_id);
    let confirmed = if look.maintenance {
        state.waiting.clear();
        Vec::new()
    } else {
        confirm(&mut state, look, policy)
    };
    let mut changes = Vec::new();
    shrink(&mut state, look, &by_id, policy, &mut changes);
    // What is gone and what came to the same condition are one story, so nothing ends before what is new has joined.
    open(&mut state, &confirmed, &mut changes);
    end(&mut state, &mut changes);
    if !look.maintenance {
        reweigh(&mut state, &mut changes);
    }
    changes.sort_by(|a, b| a.0.cmp(&b.0));
    // What can not be told now is no reason to hurry.
    let recheck = state.waiting.keys().any(|id| (look.standing)(id) != Standing::Untold);
    Decision { state, changes, recheck }
}

/// Remembers since when what was found before can not be looked at, until it can.
fn mark_unseen(state: &mut Conditions, look: Look<'_>) {
    let before = std::mem::take(&mut state.unseen);
    let members = state.open.values().flat_map(|open| open.elements.keys());
    let known: BTreeSet<&String> = before.keys().chain(members).chain(look.found).chain(state.baseline.keys()).collect();
    let unseen = known.into_iter().filter(|id| match (look.standing)(id) {
        Standing::Untold => true,
        // A list that is switched off may be switched on again.
        Standing::NotAsked => state.baseline.contains_key(*id),
        Standing::Told => false,
    });
    state.unseen = unseen.take(MOST_ELEMENTS).map(|id| (id.clone(), before.get(id).copied().unwrap_or(look.at))).collect();
}

/// What was there when it was first looked at is the baseline: all of the first look, and of each part that could not be told then what it
/// first tells.
fn settle(state: &mut Conditions, Look { seen, untold, standing, at, maintenance, .. }: Look<'_>, by_id: &BTreeMap<&str, &Element>) {
    let first = !state.started;
    state.started = true;
    let began = *state.began.get_or_insert(at);
    let joins = |state: &Conditions, element: &Element| element.silent_first && (first || untold_then(&state.untold, element));
    let new: Vec<(String, IncidentSeverity)> =
        seen.iter().filter(|element| joins(state, element)).map(|element| (element.id.clone(), element.severity)).collect();
    for (id, severity) in new {
        state.baseline.entry(id).or_insert(severity);
    }
    state.untold = if first {
        untold.iter().take(MOST_ELEMENTS).cloned().collect()
    } else if began + CARRIED_FOR <= at {
        // A list that speaks only when it lists something would never alarm.
        BTreeSet::new()
    } else {
        still_untold(&state.untold, untold)
    };
    // Whoever works on something takes it away and puts it back: what the baseline loses by that would be told as new afterwards.
    if maintenance {
        return;
    }
    // What went and comes back is news, and so is what got worse. Of what is not looked at nobody knows that it went, nor of what is not asked
    // for; but a list that is off for long is looked at anew.
    let mut baseline = std::mem::take(&mut state.baseline);
    baseline.retain(|id, severity| match (by_id.get(id.as_str()), standing(id)) {
        (Some(element), _) => element.severity <= *severity,
        (None, Standing::Untold) => true,
        (None, Standing::NotAsked) => !given_up(state, id, at),
        (None, Standing::Told) => false,
    });
    state.baseline = baseline;
}

/// Counts a round for what is new; gives what is confirmed by it.
///
/// What is carried over because it could not be looked at is no second look at it: it waits on.
fn confirm<'a>(state: &mut Conditions, Look { seen, standing, at, .. }: Look<'a>, policy: Policy) -> Vec<&'a Element> {
    let told: BTreeSet<&str> = state.open.values().flat_map(|open| open.elements.keys()).map(String::as_str).collect();
    let is_new = |element: &&Element| !told.contains(element.id.as_str()) && !state.baseline.contains_key(&element.id);
    let news: Vec<&Element> = seen.iter().filter(is_new).filter(|element| standing(&element.id) != Standing::Untold).collect();
    state.waiting.retain(|id, _| seen.iter().any(|element| element.id == *id));
    let mut confirmed = Vec::new();
    for element in news {
        let rounds = state.waiting.entry(element.id.clone()).or_insert(Rounds { count: 0, at: DateTime::<Utc>::MIN_UTC });
        if rounds.at < at {
            *rounds = Rounds { count: rounds.count.saturating_add(1), at };
        }
        if rounds.count >= policy.fail_after.max(1) {
            confirmed.push(element);
        }
    }
    for element in &confirmed {
        state.waiting.remove(&element.id);
    }
    confirmed
}

/// Takes away what is gone for long enough, and what is no longer believed.
fn shrink(state: &mut Conditions, look: Look<'_>, by_id: &BTreeMap<&str, &Element>, policy: Policy, changes: &mut Vec<(String, Change)>) {
    let mut open = std::mem::take(&mut state.open);
    for (name, open) in &mut open {
        let (mut gone, mut let_go) = (Vec::new(), Vec::new());
        open.elements.retain(|id, member| {
            if let Some(element) = by_id.get(id.as_str()) {
                *member = Member { severity: element.severity, gone: 0 };
                return true;
            }
            let standing = (look.standing)(id);
            if standing == Standing::NotAsked || given_up(state, id, look.at) {
                let_go.push(LetGo { id: id.clone(), since: state.unseen.get(id).copied() });
                return false;
            }
            if standing == Standing::Untold {
                return true;
            }
            member.gone = member.gone.saturating_add(1);
            let stays = member.gone < policy.recover_after.max(1);
            if !stays {
                gone.push(id.clone());
            }
            stays
        });
        if !gone.is_empty() {
            changes.push((name.clone(), Change::Shrank(gone)));
        }
        if !let_go.is_empty() {
            changes.push((name.clone(), Change::LetGo(let_go)));
        }
    }
    state.open = open;
}

/// Ends what has nothing left.
fn end(state: &mut Conditions, changes: &mut Vec<(String, Change)>) {
    let empty: Vec<String> = state.open.iter().filter(|(_, open)| open.elements.is_empty()).map(|(name, _)| name.clone()).collect();
    for name in empty {
        state.open.remove(&name);
        let mut let_go = Vec::new();
        changes.retain_mut(|(of, change)| {
            if let (true, Change::LetGo(some)) = (*of == name, &mut *change) {
                let_go.append(some);
            }
            *of != name
        });
        changes.push((name, Change::Ended(let_go)));
    }
}

/// Puts what is confirmed into conditions.
fn open(state: &mut Conditions, confirmed: &[&Element], changes: &mut Vec<(String, Change)>) {
    let mut groups: BTreeMap<String, Vec<&Element>> = BTreeMap::new();
    for element in confirmed {
        groups.entry(home(state, element, confirmed)).or_default().push(element);
    }
    for severity in [IncidentSeverity::Critical, IncidentSeverity::Warning] {
        let ending = format!("|{}", severity.as_str());
        let struck: Vec<String> = groups.keys().filter(|name| name.ends_with(&ending) && !state.open.contains_key(*name)).cloned().collect();
        // A wave that goes over a network scan by scan is one, too.
        let before = state.open.keys().filter(|name| name.ends_with(&ending)).count();
        if !struck.is_empty() && struck.len() + before > MOST_ADDRESSES {
            let all = struck.iter().filter_map(|name| groups.remove(name)).flatten().collect();
            groups.insert(format!("{NETWORK}{ending}"), all);
        }
    }
    for (name, elements) in groups {
        let ids: Vec<String> = elements.iter().map(|element| element.id.clone()).collect();
        let joined: BTreeMap<String, Member> =
            elements.iter().map(|element| (element.id.clone(), Member { severity: element.severity, gone: 0 })).collect();
        if let Some(known) = state.open.get_mut(&name) {
            known.elements.extend(joined);
            changes.push((name, Change::Grew(ids)));
            continue;
        }
        let severity = elements.iter().map(|element| element.severity).max().unwrap_or(IncidentSeverity::Warning);
        state.open.insert(name.clone(), OpenCondition { severity, elements: joined });
        changes.push((name, Change::Opened { severity, elements: ids }));
    }
}

/// The condition an element belongs to: its own, one of the same address that is worse, or that of the network.
fn home(state: &Conditions, element: &Element, confirmed: &[&Element]) -> String {
    let own = element.condition.clone();
    let Some((subject, severity)) = own.rsplit_once('|').filter(|_| !state.open.contains_key(&own)) else { return own };
    let network = |severity: &str| Some(format!("{NETWORK}|{severity}")).filter(|name| state.open.contains_key(name));
    let critical = IncidentSeverity::Critical.as_str();
    let worse = format!("{subject}|{critical}");
    if worse != own {
        if state.open.contains_key(&worse) {
            return worse;
        }
        if confirmed.iter().any(|other| other.condition == worse) {
            return network(critical).unwrap_or(worse);
        }
        let prefix = format!("{subject}|");
        let told = |name: &String| state.open.get(name).is_some_and(|open| open.elements.keys().any(|id| id.starts_with(&prefix)));
        if let Some(name) = network(critical).filter(told) {
            return name;
        }
    }
    network(severity).unwrap_or(own)
}

/// A condition is as urgent as the worst of what it is about.
fn reweigh(state: &mut Conditions, changes: &mut Vec<(String, Change)>) {
    for (name, open) in &mut state.open {
        let worst = open.elements.values().map(|member| member.severity).max();
        if let Some(worst) = worst.filter(|worst| *worst != open.severity) {
            let from = std::mem::replace(&mut open.severity, worst);
            changes.push((name.clone(), Change::Severity { from, to: worst }));
        }
    }
}

#[cfg(test)]
#[path = "conditions_scan_tests.rs"]
mod scan_tests;
#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
