//! Records of a name: what DNS answers, beside what it is to answer. Silence and SERVFAIL are unknown, and never an absence.

use tokio::time::Instant;
use waypost_types::{
    outcome::{RecordsSeen, ServiceLook, ServiceStages, Verdict},
    service::{Comparison, RecordKind, Records, reverse_name},
};

use super::judged;
use crate::{
    audit::rules::{Remark, remark},
    net::{Absence, Lookup, Net},
    probe::ms,
    text::shown,
};

/// Values named in a sentence.
const MOST_NAMED: usize = 3;
/// Records kept of one answer.
const MOST_KEPT: usize = 200;

/// The name that is asked for: of an address that PTR records are watched of, the one below which they are.
pub(super) fn asked_name(name: &str, kind: RecordKind) -> String {
    match name.trim_matches(['[', ']']).parse() {
        Ok(address) if kind == RecordKind::Ptr => reverse_name(address),
        _ => name.trim_end_matches('.').to_owned(),
    }
}

/// Asks and compares.
pub(super) async fn look(net: &Net, name: &str, kind: RecordKind, wanted: &Records) -> (ServiceLook, RecordsSeen) {
    let started = Instant::now();
    let (answer, aliases) = net.dns().values(name, kind).await;
    let took = Some(ms(started));
    let mut seen = RecordsSeen { name: name.to_owned(), kind, comparison: wanted.comparison, expected: wanted.values.clone(), found: None, aliases };
    let look = ServiceLook { stage_ms: ServiceStages { dns: took, total: took, ..ServiceStages::default() }, ..ServiceLook::default() };
    let absence = match answer {
        Lookup::Failed(failure) => {
            let reason = format!("the {} records of {name} could not be looked up: {failure}", kind.as_str());
            return (ServiceLook { verdict: Verdict::Unknown, reason, ..look }, seen);
        }
        Lookup::Missing(absence) => {
            seen.found = Some(Vec::new());
            Some(absence)
        }
        Lookup::Found(mut values) => {
            values.sort_unstable();
            values.dedup();
            seen.found = Some(values);
            None
        }
    };
    let remarks = compare(&seen, absence).into_iter().collect();
    let fine = fine(&seen);
    if let Some(found) = &mut seen.found {
        // What is expected comes first, so that it is not missing where the page compares anew.
        found.sort_by_key(|value| !wanted.values.contains(value));
        found.truncate(MOST_KEPT);
    }
    (judged(look, remarks, name, fine), seen)
}

fn fine(seen: &RecordsSeen) -> String {
    let (name, kind) = (&seen.name, seen.kind.as_str());
    match (seen.comparison, seen.found.as_ref().map_or(0, Vec::len)) {
        (Comparison::Absent, _) => format!("{name} has no {kind} record, as it should be"),
        (_, 1) => format!("{name} has the {kind} record that it should have"),
        (_, many) => format!("{name} has {many} {kind} records, as it should be"),
    }
}

/// What is wrong with what was found.
fn compare(seen: &RecordsSeen, absence: Option<Absence>) -> Option<Remark> {
    let (name, kind) = (&seen.name, seen.kind.as_str());
    if seen.fits() != Some(false) {
        return None;
    }
    let surplus = named(&seen.surplus());
    if seen.comparison == Comparison::Absent {
        return Some(remark("dnsrecord.unwanted", name, format!("{name} has {kind} records and should have none: {surplus}")));
    }
    if let Some(absence) = absence {
        let why = if absence == Absence::NxDomain { "the name does not exist" } else { "there is no such record" };
        let expected =
            if seen.expected.is_empty() { String::new() } else { format!("; expected: {}", named(&seen.expected.iter().collect::<Vec<_>>())) };
        return Some(remark("dnsrecord.missing", name, format!("{name} has no {kind} record: {why}{expected}")).with("type", kind));
    }
    let missing = named(&seen.missing());
    let parts = [("missing", missing), ("not expected", surplus)].into_iter().filter(|(_, values)| !values.is_empty());
    let parts: Vec<String> = parts.map(|(word, values)| format!("{word}: {values}")).collect();
    Some(remark("dnsrecord.differs", name, format!("The {kind} records of {name} are other than expected; {}", parts.join("; "))).with("type", kind))
}

fn named(values: &[&String]) -> String {
    let told: Vec<String> = values.iter().take(MOST_NAMED).map(|value| format!("“{}”", shown(value.as_bytes(), 80))).collect();
    let more = values.len().saturating_sub(MOST_NAMED);
    if more > 0 { format!("{} and {more} more", told.join(", ")) } else { told.join(", ") }
}
