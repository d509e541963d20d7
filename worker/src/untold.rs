//! What a look could not tell, by name: a record family, a rule, a zone, or `subject|family` and `subject|zone` where others of it were told.
//! What the first look could not tell is no news when it is first told.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use waypost_engine::{
    audit::{Family, is_of_one_member},
    blacklist::lasting_zone,
    probe::QUESTIONS,
};
use waypost_types::outcome::{ListState, Outcome, ScannedList};

use crate::{
    carry::{asked_zone, is_answered, listing_id},
    conditions::{Element, MOST_ELEMENTS},
};

/// Parts of an outcome that could not be told.
pub fn untold(outcome: &Outcome) -> BTreeSet<String> {
    match outcome {
        // They are judged as a whole.
        Outcome::Service(_) => BTreeSet::new(),
        Outcome::Smtp(report) => QUESTIONS.iter().filter(|question| !is_answered(report, question)).map(|question| (*question).to_owned()).collect(),
        Outcome::Audit(report) => {
            let parts = report.unknown.iter().filter(|part| part.is_silence());
            parts.map(|part| part.about.as_ref().map_or_else(|| part.subject.clone(), |about| format!("{about}|{}", part.subject))).collect()
        }
        Outcome::Blacklist(report) => {
            let rows = || report.lists.iter().filter(|row| row.unknown > 0 && asked_zone(report, &row.zone) == row.zone);
            let told = |row: &ScannedList| row.listed + row.clean > 0;
            let mut whole: BTreeSet<String> = rows().filter(|row| !told(row)).map(|row| lasting_zone(&row.zone).to_owned()).collect();
            let mut single: Vec<String> = Vec::new();
            for row in rows().filter(|row| told(row)) {
                let entries = report.entries.iter().filter(|entry| entry.zone == row.zone && entry.state == ListState::Unknown);
                let subjects = entries.map(|entry| entry.subject.clone()).chain(row.untold.iter().flat_map(|run| subjects_of(run)));
                let ids: Vec<String> = subjects.map(|subject| listing_id(&subject, &row.zone)).collect();
                // What does not fit is all of it: silence is no alarm.
                if single.len() + ids.len() + whole.len() < MOST_ELEMENTS {
                    single.extend(ids);
                } else {
                    whole.insert(lasting_zone(&row.zone).to_owned());
                }
            }
            whole.into_iter().chain(single).collect()
        }
    }
}

/// Whether the first look could not tell of this. A part that was unknown may be one rule alone, or one subject.
pub fn untold_then(first: &BTreeSet<String>, element: &Element) -> bool {
    let subject = &element.finding.subject;
    let part = &element.part;
    let whole = [part, &element.finding.rule].into_iter().any(|part| first.contains(part));
    // What is found of a family as a whole rests on each of its members.
    let rests = || Family::of_rule(&element.finding.rule).is_some() && !is_of_one_member(&element.finding);
    let ending = format!("|{part}");
    whole || first.contains(&format!("{subject}{ending}")) || (rests() && first.iter().any(|name| name.ends_with(&ending)))
}

/// What no look has told yet. Once some subjects of a part are told, only the others remain; they do when all of it is silent again.
pub fn still_untold(before: &BTreeSet<String>, now: &BTreeSet<String>) -> BTreeSet<String> {
    let part = |name: &str| name.split_once('|').map(|(_, part)| part.to_owned());
    let covered = |all: &BTreeSet<String>, name: &String| all.contains(name) || part(name).is_some_and(|part| all.contains(&part));
    let same = now.iter().filter(|name| covered(before, name));
    let narrower = before.iter().filter(|name| covered(now, name));
    same.chain(narrower.filter(|name| part(name).is_some())).take(MOST_ELEMENTS).cloned().collect()
}

/// The subjects of a run: one, or the addresses from the first to the last.
fn subjects_of(run: &str) -> Vec<String> {
    match run.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?))) {
        Some((IpAddr::V4(first), IpAddr::V4(last))) => {
            (u32::from(first)..=u32::from(last)).take(MOST_ELEMENTS).map(|address| Ipv4Addr::from(address).to_string()).collect()
        }
        Some((IpAddr::V6(first), IpAddr::V6(last))) => {
            (u128::from(first)..=u128::from(last)).take(MOST_ELEMENTS).map(|address| Ipv6Addr::from(address).to_string()).collect()
        }
        _ => vec![run.to_owned()],
    }
}
