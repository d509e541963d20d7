//! The history of a domain's records: what an audit saw is compared with what was seen before, kept, and told when it differs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use waypost_engine::{
    audit::{Family, drift},
    spf::{Mechanism, Qualifier, Record, is_spf, parse},
};
use waypost_store::{
    OrgTx,
    history::{KnownRecord, KnownRecords},
};
use waypost_types::{
    DomainId,
    conditions::Conditions,
    drift::{ChangeForm, ChangeKind, RecordChange, RecordEvent},
    finding::{Finding, SuggestedRecord},
    incident::IncidentSeverity,
    outcome::{AuditReport, GoneRecord, Outcome},
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
/// Changes of a family among which the last record is looked for.
const CHANGES_LOOKED_AT: i64 = 20;

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

/// Of each record that a report misses, what it was when it was last there, as far as the history knows.
pub(crate) async fn gone(tx: &mut OrgTx, domain: DomainId, report: &AuditReport) -> Result<Vec<GoneRecord>, WorkerError> {
    let mut all = Vec::new();
    for (finding, missed) in report.findings.iter().filter_map(|finding| Some((finding, missed(report, finding)?))) {
        let changes = tx.changes_of(domain, missed.family, CHANGES_LOOKED_AT).await?;
        if let Some((value, until)) = last_there(&missed, &changes) {
            let record = SuggestedRecord { name: missed.name, kind: "TXT".to_owned(), value };
            all.push(GoneRecord { rule: finding.rule.clone(), subject: finding.subject.clone(), record, until });
        }
    }
    Ok(all)
}

/// A record that a finding misses.
struct Missed {
    family: &'static str,
    /// Where it belongs.
    name: String,
    /// What the history writes before it: the selector of a key.
    prefix: String,
    /// How a record of that kind begins: that of a parent, which the history keeps in the same family, begins otherwise.
    begins: &'static str,
}

fn missed(report: &AuditReport, finding: &Finding) -> Option<Missed> {
    let domain = &report.domain;
    let (family, name, prefix, begins) = match finding.rule.as_str() {
        "spf.missing" => (Family::Spf.key(), domain.clone(), String::new(), "v=spf1"),
        "dmarc.missing" => (Family::Dmarc.key(), format!("_dmarc.{domain}"), String::new(), "v=DMARC1"),
        "dkim.key_missing" => {
            let (selector, _) = finding.subject.split_once("._domainkey.")?;
            (Family::Dkim.key(), finding.subject.clone(), format!("{selector}: "), "")
        }
        _ => return None,
    };
    Some(Missed { family, name, prefix, begins })
}

/// The record, and when it was seen to be gone. Nothing where there were several, which was a fault, or where the history cut it.
fn last_there(missed: &Missed, changes: &[RecordEvent]) -> Option<(String, DateTime<Utc>)> {
    let of = |records: &[String]| -> Vec<String> {
        let values = records.iter().filter_map(|record| record.strip_prefix(&missed.prefix));
        values.filter(|value| value.starts_with(missed.begins) && !is_withdrawn(value)).map(str::to_owned).collect()
    };
    // A key is withdrawn before it goes; what it was before is the one that is missed.
    let change = changes.iter().find(|change| of(&change.after).is_empty() && !of(&change.before).is_empty())?;
    match of(&change.before).as_slice() {
        [one] if !one.ends_with('…') && !harms(one) => Some((one.clone(), change.at)),
        _ => None,
    }
}

/// RFC 6376 3.6.1: an empty `p=` withdraws the key.
fn is_withdrawn(value: &str) -> bool {
    !is_spf(value.as_bytes())
        && value.split(';').any(|tag| tag.split_once('=').is_some_and(|(name, key)| name.trim() == "p" && key.trim().is_empty()))
}

/// An SPF record that nobody can read, or that lets everybody send, is not to be published again.
fn harms(value: &str) -> bool {
    let everybody = |record: &Record| record.directives.iter().any(|term| term.mechanism == Mechanism::All && term.qualifier == Qualifier::Pass);
    is_spf(value.as_bytes()) && parse(value.as_bytes()).map_or(true, |record| everybody(&record))
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
    fn the_last_record_is_what_was_there_before_it_went() {
        let missing = |rule: &str, subject: &str| {
            let words = String::new;
            let severity = waypost_types::Severity::High;
            let (rule, subject) = (rule.to_owned(), subject.to_owned());
            Finding { rule, severity, subject, summary: words(), why: words(), fix: words(), record: None, reference: words() }
        };
        let report = AuditReport::empty("e.example");
        let event = |day: i64, before: &[&str], after: &[&str]| RecordEvent {
            id: Uuid::nil(),
            at: DateTime::from_timestamp(day * 86_400, 0).unwrap_or_default(),
            family: String::new(),
            changes: Vec::new(),
            before: before.iter().map(|&record| record.to_owned()).collect(),
            after: after.iter().map(|&record| record.to_owned()).collect(),
            worse: false,
        };
        let found = |rule: &str, subject: &str, changes: &[RecordEvent]| {
            let missed = missed(&report, &missing(rule, subject)).unwrap();
            last_there(&missed, changes).map(|(value, at)| (missed.name, value, at.timestamp() / 86_400))
        };
        let some = |name: &str, value: &str, day| Some((name.to_owned(), value.to_owned(), day));
        let spf = [event(9, &["v=spf1 mx -all"], &[]), event(8, &["v=spf1 -all"], &["v=spf1 mx -all"])];
        assert_eq!(found("spf.missing", "e.example", &spf), some("e.example", "v=spf1 mx -all", 9));
        // The policy of a parent is another record.
        let parent = "_dmarc.example: v=DMARC1; p=none";
        let dmarc = [event(9, &[parent], &[]), event(8, &["v=DMARC1; p=reject"], &[parent])];
        assert_eq!(found("dmarc.missing", "e.example", &dmarc), some("_dmarc.e.example", "v=DMARC1; p=reject", 8));
        let keys = [event(9, &["a: v=DKIM1; p=A", "b: v=DKIM1; p=B"], &["b: v=DKIM1; p=B"])];
        assert_eq!(found("dkim.key_missing", "a._domainkey.e.example", &keys), some("a._domainkey.e.example", "v=DKIM1; p=A", 9));
        assert_eq!(found("dkim.key_missing", "b._domainkey.e.example", &keys), None, "it was there after the change");
        // Several were a fault, and half a record is none.
        assert_eq!(found("spf.missing", "e.example", &[event(9, &["v=spf1 -all", "v=spf1 mx -all"], &[])]), None);
        assert_eq!(found("spf.missing", "e.example", &[event(9, &["v=spf1 ip4:192.0.2…"], &[])]), None);
        // Nor is what was withdrawn, cannot be read, or lets everybody send.
        let withdrawn = [event(9, &["a: v=DKIM1; p="], &[]), event(8, &["a: v=DKIM1; p=A"], &["a: v=DKIM1; p="])];
        assert_eq!(found("dkim.key_missing", "a._domainkey.e.example", &withdrawn), some("a._domainkey.e.example", "v=DKIM1; p=A", 8));
        for harmful in ["v=spf1 +all", "v=spf1 mx all", "v=spf1 ip4:1.2.3.4/40 -all"] {
            assert_eq!(found("spf.missing", "e.example", &[event(9, &[harmful], &[])]), None, "{harmful}");
        }
        assert!(missed(&report, &missing("spf.syntax", "e.example")).is_none());
    }

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
