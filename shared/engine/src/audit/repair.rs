//! One record to paste per owner name: built once, after the rules have run, from what is published. Rules only say what they saw; a repaired
//! record is judged by the same rules before anybody sees it, and shown with every finding that it ends.

use waypost_types::finding::{Finding, SuggestedRecord};

/// Whether a record's own audit says nothing new: what was wrong before may be wrong still, nothing else. `excused` rules may come.
pub(super) fn is_no_worse(before: &[Finding], after: &[Finding], excused: &[&str]) -> bool {
    after.iter().all(|found| excused.contains(&found.rule.as_str()) || before.iter().any(|old| old.rule == found.rule))
}

/// Shows the record with the findings that its own audit no longer has; true when there is one.
pub(super) fn show(findings: &mut [Finding], after: &[Finding], name: &str, value: &str) -> bool {
    let ended = ended(findings, after);
    for at in &ended {
        findings[*at].record = Some(txt(name, value));
    }
    !ended.is_empty()
}

/// Which findings a record's own audit no longer has.
pub(super) fn ended(findings: &[Finding], after: &[Finding]) -> Vec<usize> {
    (0..findings.len()).filter(|at| is_ended(&findings[*at], findings, after)).collect()
}

/// A TXT record to publish.
pub(super) fn txt(name: &str, value: &str) -> SuggestedRecord {
    SuggestedRecord { name: name.to_owned(), kind: "TXT".to_owned(), value: value.to_owned() }
}

/// A rule that finds several things of one record has ended one of them when fewer are left and none says the same.
fn is_ended(found: &Finding, before: &[Finding], after: &[Finding]) -> bool {
    let count = |list: &[Finding]| list.iter().filter(|other| other.rule == found.rule).count();
    let still = count(after);
    still == 0 || (still < count(before) && !after.iter().any(|other| other.rule == found.rule && says(other) == says(found)))
}

/// What a finding says, whatever character of the record it points to.
fn says(finding: &Finding) -> (&str, String) {
    (&finding.subject, finding.summary.chars().filter(|c| !c.is_ascii_digit()).collect())
}
