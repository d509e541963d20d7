//! What was known and can not be told now: not an all-clear. A finding whose part of the audit is unknown this time, and a listing on a
//! list that does not answer, are carried over from the outcome before, so that an incident does not end because a resolver was slow.
//!
//! Not without end: a list that died and a family that never answers again would keep their incidents open for ever. Since when something
//! can not be looked at is remembered in the monitor's conditions, by the region that judges them; what it gave up no region carries on.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use waypost_engine::{
    audit::{Family, leaves_open},
    blacklist::lasting_zone,
    probe::{is_of_owner, question_of},
};
use waypost_types::{
    conditions::Conditions,
    finding::{Finding, Severity},
    outcome::{AuditReport, BlacklistReport, CheckSummary, ListState, Outcome, SmtpReport, Status},
};

/// Added to what is carried over.
const AS_BEFORE: &str = " (as last seen; it could not be looked at now)";

/// How long is believed what can not be looked at any more. Lists and name servers come back within days; what is silent for a week is no
/// outage, and whoever asked for removal meanwhile is not told for ever that it did not work.
pub const CARRIED_FOR: TimeDelta = TimeDelta::days(7);

/// Who looks at a monitor, when, and what is remembered of it.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    /// What the region that judges remembers.
    pub conditions: &'a Conditions,
    /// This region judges. Any other believes of the past what the judging one does, and nothing else.
    pub judges: bool,
    /// When it looked.
    pub at: DateTime<Utc>,
}

impl Memory<'_> {
    fn believes(&self, id: &str) -> bool {
        !given_up(self.conditions, id, self.at) && (self.judges || self.conditions.remember(id))
    }
}

/// Whether something could not be looked at for so long that it is no longer believed.
pub fn given_up(conditions: &Conditions, id: &str, at: DateTime<Utc>) -> bool {
    conditions.unseen.get(id).is_some_and(|since| *since + CARRIED_FOR <= at)
}

/// What a look says of something that was found before, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was looked at: it is there or not.
    Told,
    /// It could not be looked at.
    Untold,
    /// Nobody asks any more: the list is retired or switched off.
    NotAsked,
}

/// What `now` says of a finding (`rule|subject`) or a listing (`subject|zone`), wherever it was found before.
pub fn standing(id: &str, now: &Outcome) -> Standing {
    let Some((left, right)) = id.split_once('|') else { return Standing::Told };
    match now {
        Outcome::Audit(report) => {
            let finding = Finding {
                rule: left.to_owned(),
                severity: Severity::Info,
                subject: right.to_owned(),
                summary: String::new(),
                why: String::new(),
                fix: String::new(),
                record: None,
                reference: String::new(),
            };
            if is_open(&finding, report) { Standing::Untold } else { Standing::Told }
        }
        Outcome::Blacklist(report) if !report.asks(left, asked_zone(report, right)) => Standing::NotAsked,
        Outcome::Blacklist(report) if state_of(report, left, right) == ListState::Unknown => Standing::Untold,
        // Without a look of the last day, and where its question was not answered, what was found before is open.
        Outcome::Smtp(report) if left.starts_with("smtp.login_") => match &report.login {
            // Taken away or switched off.
            None => Standing::NotAsked,
            Some(login) if login.tells() => Standing::Told,
            Some(_) => Standing::Untold,
        },
        Outcome::Smtp(report) => {
            let open = question_of(left).is_some_and(|question| !is_answered(report, question));
            if open { Standing::Untold } else { Standing::Told }
        }
        Outcome::Blacklist(_) | Outcome::Service(_) => Standing::Told,
    }
}

/// Whether a close look of the last day told the answer to a question.
pub fn is_answered(report: &SmtpReport, question: &str) -> bool {
    let look = report.close_looks.iter().find(|look| look.of_owner == is_of_owner(question));
    look.is_some_and(|look| !look.unknown.iter().any(|part| part.subject == question))
}

/// The outcome with what it could not tell taken from the one before, which was at that time, as long as that is believed. Records that can not
/// be read are shown as they were, with their time: they decide nothing.
pub fn carry(before: Option<(&Outcome, DateTime<Utc>)>, now: &Arc<Outcome>, memory: Memory<'_>) -> Arc<Outcome> {
    match (before, &**now) {
        (Some((Outcome::Audit(before), then)), Outcome::Audit(report)) => {
            let believed = |finding: &&Finding| memory.believes(&finding_id(finding));
            let open = before.findings.iter().filter(|finding| is_open(finding, report));
            let kept: Vec<Finding> = open.filter(believed).map(as_before).collect();
            let unread = unread(report, before);
            if kept.is_empty() && unread.is_empty() {
                return Arc::clone(now);
            }
            let mut report = report.clone();
            for family in unread {
                keep_record(&mut report, before, family, then);
            }
            report.findings.extend(kept);
            report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            Arc::new(Outcome::Audit(report))
        }
        (Some((Outcome::Blacklist(before), _)), Outcome::Blacklist(report)) => {
            let mut report = report.clone();
            let asked = |report: &BlacklistReport, zone: &str| asked_zone(report, zone).to_owned();
            if report.keep_listings_of(before, asked, |entry| memory.believes(&listing_id(&entry.subject, &entry.zone))) {
                Arc::new(Outcome::Blacklist(report))
            } else {
                Arc::clone(now)
            }
        }
        _ => Arc::clone(now),
    }
}

/// Families whose records were known and could not be read this time.
fn unread(report: &AuditReport, before: &AuditReport) -> Vec<&'static str> {
    let is_unread = |family: &&str| {
        let untold = report.unknown.iter().any(|part| part.subject == **family && part.is_silence());
        untold && !report.records.contains_key(*family) && before.records.contains_key(*family)
    };
    Family::ALL.into_iter().map(Family::key).filter(is_unread).collect()
}

fn keep_record(report: &mut AuditReport, before: &AuditReport, family: &str, then: DateTime<Utc>) {
    let at = before.as_of.get(family).copied().unwrap_or(then);
    report.as_of.insert(family.to_owned(), at);
    report.records.insert(family.to_owned(), before.records.get(family).cloned().unwrap_or_default());
    // What is found now says more than what was.
    let found = report.findings.iter().any(|finding| Family::of_rule(&finding.rule).map(Family::key) == Some(family));
    if let (false, Some(check)) = (found, before.checks.get(family)) {
        report.checks.insert(family.to_owned(), CheckSummary { status: Status::None, word: check.word.clone() });
    }
    if family == Family::Mx.key() && report.mx_hosts.is_empty() {
        report.mx_hosts.clone_from(&before.mx_hosts);
    }
}

/// Names a finding of a monitor.
pub fn finding_id(finding: &Finding) -> String {
    format!("{}|{}", finding.rule, finding.subject)
}

/// Names a listing of a monitor, the same with a key and without.
pub fn listing_id(subject: &str, zone: &str) -> String {
    format!("{subject}|{}", lasting_zone(zone))
}

/// What a scan says of a subject on the list of a zone, whichever zone it asked for that list.
pub fn state_of(report: &BlacklistReport, subject: &str, zone: &str) -> ListState {
    report.state_of(subject, asked_zone(report, zone))
}

/// Of a list that is asked by several names, the one that told.
pub fn asked_zone<'a>(report: &'a BlacklistReport, zone: &'a str) -> &'a str {
    let same = || report.lists.iter().filter(|row| lasting_zone(&row.zone) == lasting_zone(zone));
    same().find(|row| row.listed + row.clean > 0).or_else(|| same().next()).map_or(zone, |row| row.zone.as_str())
}

/// Names what was found in an outcome, whatever its severity.
pub fn found(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Service(_) => Vec::new(),
        Outcome::Smtp(report) => {
            let login = report.login.iter().flat_map(|look| &look.findings);
            report.close_looks.iter().flat_map(|look| &look.findings).chain(login).map(finding_id).collect()
        }
        Outcome::Audit(report) => report.findings.iter().map(finding_id).collect(),
        Outcome::Blacklist(report) => report.listings().map(|(entry, _)| listing_id(&entry.subject, &entry.zone)).collect(),
    }
}

/// What the finding rests on could not be told this time, and the finding is not there anew.
fn is_open(finding: &Finding, report: &AuditReport) -> bool {
    // No key at the usual selectors is all that can be seen of a broken key that was taken away.
    let unknown = report.unknown.iter().any(|part| part.is_silence() && leaves_open(part, finding));
    unknown && !report.findings.iter().any(|other| other.rule == finding.rule && other.subject == finding.subject)
}

fn as_before(finding: &Finding) -> Finding {
    let mut finding = finding.clone();
    if !finding.summary.ends_with(AS_BEFORE) {
        finding.summary.push_str(AS_BEFORE);
    }
    finding
}

#[cfg(test)]
mod tests {
    use waypost_types::{
        finding::{Severity, UnknownCause, UnknownPart},
        lists::ListType,
        outcome::{ListEntry, ListState, ScannedList, Verdict},
    };

    use super::*;

    fn finding(rule: &str) -> Finding {
        Finding {
            rule: rule.to_owned(),
            severity: Severity::High,
            subject: "example.com".to_owned(),
            summary: "It is broken".to_owned(),
            why: String::new(),
            fix: String::new(),
            record: None,
            reference: String::new(),
        }
    }

    fn audit(rules: &[&str], unknown: &[(&str, &str)]) -> Arc<Outcome> {
        Arc::new(Outcome::Audit(Box::new(AuditReport {
            findings: rules.iter().map(|rule| finding(rule)).collect(),
            unknown: unknown.iter().map(|(subject, reason)| UnknownPart::new(*subject, *reason)).collect(),
            records: [("mx".to_owned(), vec!["10 mx.example.com".to_owned()])].into(),
            ..AuditReport::empty("example.com")
        })))
    }

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn carried(before: Option<&Outcome>, now: &Arc<Outcome>) -> Arc<Outcome> {
        carry(before.map(|before| (before, at())), now, Memory { conditions: &Conditions::default(), judges: true, at: at() })
    }

    #[test]
    fn what_is_unknown_for_too_long_is_believed_by_no_region() {
        let (broken, slow) = (audit(&["spf.missing", "dmarc.missing"], &[]), audit(&[], &[("spf", "late"), ("dmarc", "late")]));
        let since = at() - CARRIED_FOR;
        let conditions = Conditions {
            unseen: [("spf.missing|example.com".to_owned(), since), ("dmarc.missing|example.com".to_owned(), since + TimeDelta::seconds(1))].into(),
            ..Conditions::default()
        };
        let rules = |judges| {
            let now = carry(Some((&broken, at())), &slow, Memory { conditions: &conditions, judges, at: at() });
            now.findings().iter().map(|finding| finding.rule.clone()).collect::<Vec<_>>()
        };
        assert_eq!(rules(true), ["dmarc.missing"]);
        // What the region that judges does not know, another does not bring back.
        assert!(rules(false).is_empty());
    }

    #[test]
    fn records_that_can_not_be_read_stay_shown_as_of_then() {
        let full = |unknown: &[(&str, &str)]| {
            let Outcome::Audit(report) = &*audit(&[], unknown) else { panic!("it is an audit") };
            let mut report = report.clone();
            report.checks = [("mx".to_owned(), CheckSummary { status: Status::Ok, word: "1 host".to_owned() })].into();
            report.mx_hosts = vec![waypost_types::outcome::MxHost {
                preference: 10,
                host: "mx.example.com".to_owned(),
                addresses: Vec::new(),
                partial: false,
                provider: None,
            }];
            report
        };
        let mut blind = full(&[("mx", "late"), ("spf", "late")]);
        (blind.records, blind.mx_hosts) = (std::collections::BTreeMap::new(), Vec::new());
        let blind = Arc::new(Outcome::Audit(blind));
        let then = at() - TimeDelta::hours(1);
        let memory = Memory { conditions: &Conditions::default(), judges: true, at: at() };
        let kept = carry(Some((&Outcome::Audit(full(&[])), then)), &blind, memory);
        assert_eq!(kept.verdict(), Verdict::Unknown, "what was seen before is no look");
        // And again, still as of then.
        let kept = carry(Some((&kept, at())), &blind, memory);
        let Outcome::Audit(report) = &*kept else { panic!("it is an audit") };
        assert_eq!((report.as_of["mx"], report.records["mx"].len(), report.mx_hosts.len()), (then, 1, 1));
        assert_eq!((report.checks["mx"].status, report.checks["mx"].word.as_str()), (Status::None, "1 host"));
        // What is gone is gone.
        let mut gone = full(&[]);
        gone.records.clear();
        let gone = carry(Some((&kept, at())), &Arc::new(Outcome::Audit(gone)), memory);
        assert!(matches!(&*gone, Outcome::Audit(report) if report.records.is_empty() && report.as_of.is_empty()));
    }

    #[test]
    fn a_list_that_is_not_asked_says_nothing() {
        let report = BlacklistReport { entries: Vec::new(), ..BlacklistReport::empty("192.0.2.1") };
        assert_eq!(standing("192.0.2.1|bl.example", &Outcome::Blacklist(Box::new(report))), Standing::NotAsked);
    }

    #[test]
    fn a_list_that_is_asked_with_a_key_from_now_on_is_the_same_list() {
        let row = |zone: &str| ScannedList {
            list: "ZEN".to_owned(),
            zone: zone.to_owned(),
            id: "zen".to_owned(),
            list_type: ListType::Block,
            severity: Severity::Critical,
            asked: 1,
            listed: 0,
            clean: 1,
            unknown: 0,
            reason: String::new(),
            untold: Vec::new(),
            delisting: String::new(),
            effect: String::new(),
        };
        let scan = |zone| BlacklistReport { lists: vec![row(zone)], subjects: 1, ..BlacklistReport::empty("192.0.2.1") };
        let id = listing_id("192.0.2.1", "zen.spamhaus.org");
        assert_eq!(id, listing_id("192.0.2.1", "zen.dq.spamhaus.net"));
        for zone in ["zen.spamhaus.org", "zen.dq.spamhaus.net"] {
            assert_eq!(standing(&id, &Outcome::Blacklist(Box::new(scan(zone)))), Standing::Told, "{zone}");
            assert_eq!(state_of(&scan(zone), "192.0.2.1", "zen.spamhaus.org"), ListState::Clean, "{zone}");
        }
        assert_eq!(standing(&id, &Outcome::Blacklist(Box::new(scan("bl.example")))), Standing::NotAsked);
    }

    #[test]
    fn what_could_not_be_told_is_not_clean() {
        let broken = audit(&["spf.missing", "dmarc.missing"], &[]);
        let policy = carried(Some(&audit(&["mtasts.mx_mismatch"], &[])), &audit(&[], &[("mta_sts", "late")]));
        assert_eq!(policy.findings().len(), 1, "areas of rules and keys of families are not spelled alike");
        let slow = audit(&[], &[("spf", "the resolver did not answer in time")]);
        let kept = carried(Some(&broken), &slow);
        assert_eq!(kept.verdict(), Verdict::Down);
        assert_eq!(kept.findings().len(), 1, "DMARC was looked at and is fine");
        // And again, from what was carried over itself.
        let again = carried(Some(&kept), &slow);
        assert_eq!(again.findings(), kept.findings());
        assert_eq!(carried(Some(&again), &audit(&[], &[])).verdict(), Verdict::Up);
        assert_eq!(carried(None, &slow).verdict(), Verdict::Up);
    }

    #[test]
    fn what_was_told_anew_is_not_doubled_and_a_key_that_is_gone_is_gone() {
        let broken = audit(&["spf.missing", "dkim.revoked"], &[]);
        let same = |cause| {
            let mut same = audit(&["spf.missing"], &[("spf", "includes did not answer"), ("dkim", "none is known")]);
            let Some(Outcome::Audit(report)) = Arc::get_mut(&mut same) else { panic!("it is an audit") };
            report.unknown[1].cause = cause;
            same
        };
        assert_eq!(carried(Some(&broken), &same(UnknownCause::Unnamed)).findings().len(), 1);
        assert_eq!(carried(Some(&broken), &same(UnknownCause::Silence)).findings().len(), 2, "silence takes no key away");
    }

    #[test]
    fn a_list_that_does_not_answer_takes_nobody_off() {
        let entry = |state, reason: &str| ListEntry {
            subject: "192.0.2.1".to_owned(),
            list: "A list".to_owned(),
            zone: "bl.example".to_owned(),
            state,
            codes: Vec::new(),
            meaning: "Spam".to_owned(),
            reason: reason.to_owned(),
            severity: Severity::High,
            delist_url: None,
        };
        let scan = |entries| Arc::new(Outcome::Blacklist(Box::new(BlacklistReport { entries, ..BlacklistReport::empty("192.0.2.1") })));
        let clean = || ListEntry { zone: "other.example".to_owned(), ..entry(ListState::Clean, "") };
        let listed = scan(vec![entry(ListState::Listed, ""), clean()]);
        let silent = scan(vec![entry(ListState::Unknown, "refused"), clean()]);
        let kept = carried(Some(&listed), &silent);
        assert_eq!(kept.verdict(), Verdict::Down);
        let Outcome::Blacklist(report) = &*kept else { panic!("a scan stays one") };
        assert_eq!(report.entries[0].reason, "as last seen; now: refused");
        assert_eq!(carried(Some(&kept), &scan(vec![entry(ListState::Clean, ""), clean()])).verdict(), Verdict::Up);
    }
}
