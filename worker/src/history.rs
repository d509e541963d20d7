//! The history of a domain's records: what an audit saw is compared with what was seen before, kept, and told when it differs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use waypost_engine::audit::{Family, drift};
use waypost_store::{
    OrgTx,
    history::{KnownRecord, KnownRecords},
};
use waypost_types::{
    DomainId,
    conditions::Conditions,
    drift::{ChangeForm, ChangeKind, RecordChange, RecordEvent},
    incident::IncidentSeverity,
    outcome::{AuditReport, Outcome},
};

use crate::{
    WorkerError,
    conditions::Element,
    incidents::{Step, What},
};

/// A change this old may have caused what is found now: an audit a day, and its confirmation.
pub(crate) const CAUSE: TimeDelta = TimeDelta::hours(26);
/// Changes named in a summary.
const MOST_NAMED: usize = 3;

/// What an audit saw, to be compared.
pub(crate) struct Look<'a> {
    pub domain: DomainId,
    pub report: &'a AuditReport,
    pub at: DateTime<Utc>,
    /// Families in which more is wrong than before, or something worse.
    pub worse: BTreeSet<&'static str>,
}

/// Families that stand worse than before: the worst finding is worse, or there are more of them. One that mends what was critical and leaves a
/// warning is a repair.
pub(crate) fn worse_families(before: &Conditions, seen: &[Element]) -> BTreeSet<&'static str> {
    if !before.started {
        return BTreeSet::new();
    }
    let members = before.open.values().flat_map(|open| &open.elements).map(|(id, member)| (id, member.severity));
    let baseline = before.baseline.iter().map(|(id, severity)| (id, *severity));
    // How urgent what waits for its confirmation is nobody wrote down: the least.
    let waiting = before.waiting.keys().map(|id| (id, IncidentSeverity::Warning));
    let known: BTreeMap<&String, IncidentSeverity> = waiting.chain(baseline).chain(members).collect();
    let in_family = |family: Family, rule: &str| Family::of_rule(rule) == Some(family);
    let worst_first = |mut all: Vec<IncidentSeverity>| {
        all.sort_unstable_by(|a, b| b.cmp(a));
        all
    };
    let worse = |family: &Family| {
        let then = known.iter().filter(|(id, _)| id.split_once('|').is_some_and(|(rule, _)| in_family(*family, rule)));
        let now = seen.iter().filter(|element| in_family(*family, &element.finding.rule));
        worst_first(now.map(|element| element.severity).collect()) > worst_first(then.map(|(_, severity)| *severity).collect())
    };
    Family::ALL.into_iter().filter(worse).map(Family::key).collect()
}

/// Keeps what is new and tells it in the history. The first look at a family is no change.
pub(crate) async fn keep(tx: &mut OrgTx, looks: &[Look<'_>]) -> Result<(), WorkerError> {
    if looks.is_empty() {
        return Ok(());
    }
    let domains: Vec<DomainId> = looks.iter().map(|look| look.domain).collect();
    let mut known: HashMap<DomainId, KnownRecords> = tx.known_records(&domains).await?;
    for look in looks {
        let before = known.remove(&look.domain).unwrap_or_default();
        for (family, records, event) in compare(look, &before) {
            tx.keep_records(look.domain, family.key(), &records).await?;
            if let Some(event) = event {
                tx.add_record_change(look.domain, &event).await?;
            }
        }
    }
    Ok(())
}

/// Families whose records are not as they were, with the records to keep and what to tell.
fn compare(look: &Look<'_>, before: &KnownRecords) -> Vec<(Family, Vec<KnownRecord>, Option<RecordEvent>)> {
    let mut found = Vec::new();
    for family in Family::ALL {
        let known = before.get(family.key());
        let old: Vec<String> = known.into_iter().flatten().map(|known| known.record.clone()).collect();
        let Some(new) = drift::records_of(look.report, family, &old) else { continue };
        if known.is_some() && old == new {
            continue;
        }
        let since = |record: &String| known.into_iter().flatten().find(|known| known.record == *record).map_or(look.at, |known| known.since);
        let records = new.iter().map(|record| KnownRecord { record: record.clone(), since: since(record) }).collect();
        let event = known.is_some().then(|| RecordEvent {
            id: Uuid::now_v7(),
            at: look.at,
            family: family.key().to_owned(),
            changes: drift::changes(family, &old, &new, &look.report.detail),
            worse: look.worse.contains(family.key()),
            before: old,
            after: new,
        });
        found.push((family, records, event));
    }
    found
}

/// Says of incidents that open what change of the records came before them.
pub(crate) async fn name_causes(
    tx: &mut OrgTx,
    steps: &mut [Step<'_>],
    domain_of: impl Fn(&Step<'_>) -> Option<DomainId>,
) -> Result<(), WorkerError> {
    for step in steps {
        let Some(domain) = domain_of(step) else { continue };
        let (What::Stands { summary, better: false, .. }, Outcome::Audit(_)) = (&mut step.what, step.outcome) else { continue };
        if let Some(event) = tx.latest_change(domain, &step.condition, step.at - CAUSE).await? {
            *summary = format!("{summary} {}", what_changed(event.at, &event.changes));
        }
    }
    Ok(())
}

/// A change, as the summary of an incident names it.
pub(crate) fn what_changed(at: DateTime<Utc>, changes: &[RecordChange]) -> String {
    let kind = |change: &RecordChange| match (change.form, change.kind) {
        (ChangeForm::Thing, ChangeKind::Added) => "added ",
        (ChangeForm::Thing, ChangeKind::Removed) => "removed ",
        (ChangeForm::Thing, ChangeKind::Changed) | (ChangeForm::Sentence, _) => "",
    };
    let said: Vec<String> = changes.iter().take(MOST_NAMED).map(|change| format!("{}{}", kind(change), change.text)).collect();
    format!("What changed at {}: {}.", at.format("%-d %B %H:%M UTC"), said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_record_is_said() {
        let change = |form, kind, text: &str| RecordChange { kind, text: text.to_owned(), form };
        let (thing, sentence) = (ChangeForm::Thing, ChangeForm::Sentence);
        let at = DateTime::from_timestamp(1_796_000_000, 0).unwrap_or_default();
        for (changed, said) in [
            (change(thing, ChangeKind::Removed, "DMARC record: v=DMARC1; p=reject"), "removed DMARC record: v=DMARC1; p=reject"),
            (change(thing, ChangeKind::Added, "SPF record: v=spf1 -all"), "added SPF record: v=spf1 -all"),
            (change(sentence, ChangeKind::Changed, "policy (p): reject, now none"), "policy (p): reject, now none"),
            (change(sentence, ChangeKind::Removed, "DSN is no longer offered"), "DSN is no longer offered"),
            // Punctuation says nothing of it.
            (change(sentence, ChangeKind::Removed, "192.0.2.1: DSN is no longer offered"), "192.0.2.1: DSN is no longer offered"),
            (change(thing, ChangeKind::Removed, "key of selector s1"), "removed key of selector s1"),
        ] {
            let words = what_changed(at, &[changed]);
            assert!(words.ends_with(&format!(" UTC: {said}.")), "{words}");
        }
    }
}
