//! What one family of an audit found: findings, what it could not tell, records, and the one word with a colour that sums it up.

use waypost_types::{
    audit::AuditDetail,
    finding::{Finding, UnknownPart},
    outcome::{CheckSummary, Status},
};

use super::{Family, rules};

/// What one family found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub(super) findings: Vec<Finding>,
    pub(super) unknown: Vec<UnknownPart>,
    pub(super) records: Vec<String>,
    pub(super) summary: Option<CheckSummary>,
    pub(super) detail: AuditDetail,
}

impl Part {
    pub(super) fn find(&mut self, remark: rules::Remark) {
        self.findings.push(remark.done());
    }

    #[allow(clippy::needless_pass_by_value)] // failures are made where they are said
    pub(super) fn unknown(&mut self, subject: &str, reason: impl std::fmt::Display) {
        self.unknown.push(UnknownPart::new(subject, reason.to_string()));
    }

    /// One member of a family that has many (an address, a server, a selector's name) could not be told; the others could.
    #[allow(clippy::needless_pass_by_value)]
    pub(super) fn unknown_about(&mut self, family: Family, about: &str, reason: impl std::fmt::Display) {
        self.unknown.push(UnknownPart { about: Some(about.to_owned()), ..UnknownPart::new(family.key(), reason.to_string()) });
    }

    /// One rule could not be told; the rest of its family could. Its finding of an earlier audit stays open.
    pub(super) fn untold(&mut self, rule: &'static str, reason: impl std::fmt::Display) {
        debug_assert!(rules::rule(rule).is_some(), "{rule}");
        self.unknown(rule, reason);
    }

    /// Takes what was found of the family beside it.
    pub(super) fn join(&mut self, other: Self) {
        self.unknown.extend(other.unknown);
        if other.findings.is_empty() {
            return;
        }
        self.findings.extend(other.findings);
        let word = self.summary.take().map(|summary| summary.word).unwrap_or_default();
        self.fact_by_findings(Status::Ok, word);
    }

    /// The word when nothing is wrong; findings colour it.
    pub(super) fn word(&mut self, status: Status, word: impl Into<String>) {
        self.summary = Some(CheckSummary { status, word: word.into() });
    }

    /// The word with the colour of the worst finding; `good` is what it is without any of medium severity or worse.
    pub(super) fn word_by_findings(&mut self, good: Status, word: impl Into<String>) {
        let worst = self.findings.iter().map(|finding| Status::from(finding.severity)).find(|s| *s == Status::Bad);
        let worst = worst.or_else(|| self.findings.iter().map(|finding| Status::from(finding.severity)).find(|s| *s == Status::Warn));
        self.word(worst.unwrap_or(good), word);
    }

    /// The same where the word is a plain fact, as how many hosts there are: in the colour of trouble it would be a riddle, so then the trouble
    /// is counted in its place.
    pub(super) fn fact_by_findings(&mut self, good: Status, fact: impl Into<String>) {
        let many = |of: Status| self.findings.iter().filter(|finding| Status::from(finding.severity) == of).count();
        match (many(Status::Bad), many(Status::Warn)) {
            (0, 0) => self.word(good, fact),
            (0, warnings) => self.word(Status::Warn, if warnings == 1 { "1 warning".to_owned() } else { format!("{warnings} warnings") }),
            (critical, _) => self.word(Status::Bad, format!("{critical} critical")),
        }
    }
}
