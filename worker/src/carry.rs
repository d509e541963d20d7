//! What was known and can not be told now: not an all-clear. A finding whose part of the audit is unknown this time, and a listing on a
//! list that does not answer, are carried over from the outcome before, so that an incident does not end because a resolver was slow.

use std::sync::Arc;

use waypost_engine::audit::{NO_USUAL_SELECTOR, leaves_open};
use waypost_types::{
    finding::Finding,
    outcome::{AuditReport, Outcome},
};

/// Added to what is carried over.
const AS_BEFORE: &str = " (as last seen; it could not be looked at now)";

/// The outcome with what it could not tell taken from the one before.
pub fn carry(before: Option<&Outcome>, now: &Arc<Outcome>) -> Arc<Outcome> {
    match (before, &**now) {
        (Some(Outcome::Audit(before)), Outcome::Audit(report)) => {
            let kept: Vec<Finding> = before.findings.iter().filter(|finding| is_open(finding, report)).map(as_before).collect();
            if kept.is_empty() {
                return Arc::clone(now);
            }
            let mut report = report.clone();
            report.findings.extend(kept);
            report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            Arc::new(Outcome::Audit(report))
        }
        (Some(Outcome::Blacklist(before)), Outcome::Blacklist(report)) => {
            let mut report = report.clone();
            if report.keep_listings_of(before) { Arc::new(Outcome::Blacklist(report)) } else { Arc::clone(now) }
        }
        _ => Arc::clone(now),
    }
}

/// What the finding rests on could not be told this time, and the finding is not there anew.
fn is_open(finding: &Finding, report: &AuditReport) -> bool {
    // No key at the usual selectors is all that can be seen of a broken key that was taken away.
    let unknown = report.unknown.iter().any(|part| part.reason != NO_USUAL_SELECTOR && leaves_open(part, finding));
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
        finding::{Severity, UnknownPart},
        outcome::{BlacklistReport, ListEntry, ListState, Verdict},
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
            unknown: unknown.iter().map(|(subject, reason)| UnknownPart { subject: (*subject).to_owned(), reason: (*reason).to_owned() }).collect(),
            records: [("mx".to_owned(), vec!["10 mx.example.com".to_owned()])].into(),
            ..AuditReport::empty("example.com")
        })))
    }

    #[test]
    fn what_could_not_be_told_is_not_clean() {
        let broken = audit(&["spf.missing", "dmarc.missing"], &[]);
        let policy = carry(Some(&audit(&["mtasts.mx_mismatch"], &[])), &audit(&[], &[("mta_sts", "late")]));
        assert_eq!(policy.findings().len(), 1, "areas of rules and keys of families are not spelled alike");
        let slow = audit(&[], &[("spf", "the resolver did not answer in time")]);
        let carried = carry(Some(&broken), &slow);
        assert_eq!(carried.verdict(), Verdict::Down);
        assert_eq!(carried.findings().len(), 1, "DMARC was looked at and is fine");
        // And again, from what was carried over itself.
        let again = carry(Some(&carried), &slow);
        assert_eq!(again.findings(), carried.findings());
        assert_eq!(carry(Some(&again), &audit(&[], &[])).verdict(), Verdict::Up);
        assert_eq!(carry(None, &slow).verdict(), Verdict::Up);
    }

    #[test]
    fn what_was_told_anew_is_not_doubled_and_a_key_that_is_gone_is_gone() {
        let broken = audit(&["spf.missing", "dkim.revoked"], &[]);
        let same = audit(&["spf.missing"], &[("spf", "includes did not answer"), ("dkim", NO_USUAL_SELECTOR)]);
        assert_eq!(carry(Some(&broken), &same).findings().len(), 1);
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
        let carried = carry(Some(&listed), &silent);
        assert_eq!(carried.verdict(), Verdict::Down);
        let Outcome::Blacklist(report) = &*carried else { panic!("a scan stays one") };
        assert_eq!(report.entries[0].reason, "as last seen; now: refused");
        assert_eq!(carry(Some(&carried), &scan(vec![entry(ListState::Clean, ""), clean()])).verdict(), Verdict::Up);
    }
}
