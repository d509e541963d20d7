//! The score, version 1: 100 points, less what each finding costs. Each rule costs once, however many subjects it concerns; what is
//! unknown costs nothing, and with MX, SPF and DMARC all unknown there is no score.

use std::collections::BTreeMap;

use waypost_types::{Severity, outcome::AuditReport};

/// Raised when the table changes.
pub const VERSION: u32 = 1;

/// Points that a finding costs.
pub const fn cost(severity: Severity) -> u32 {
    match severity {
        Severity::Critical => 40,
        Severity::High => 20,
        Severity::Medium => 8,
        Severity::Low => 2,
        Severity::Info => 0,
    }
}

/// The grade of a score.
pub const fn grade(score: u8) -> &'static str {
    match score {
        90.. => "A",
        75.. => "B",
        60.. => "C",
        40.. => "D",
        20.. => "E",
        _ => "F",
    }
}

/// Score and grade of a report.
pub fn score(report: &AuditReport) -> Option<(u8, &'static str)> {
    let unknown = |part: &str| report.unknown.iter().any(|u| u.subject == part);
    if ["mx", "spf", "dmarc"].iter().all(|part| unknown(part)) {
        return None;
    }
    let mut costs: BTreeMap<&str, u32> = BTreeMap::new();
    for finding in &report.findings {
        let slot = costs.entry(finding.rule.as_str()).or_default();
        *slot = (*slot).max(cost(finding.severity));
    }
    let lost: u32 = costs.values().sum();
    let score = u8::try_from(100_u32.saturating_sub(lost)).unwrap_or(0);
    Some((score, grade(score)))
}
