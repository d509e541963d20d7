//! The score, version 1: 100 points, less what each finding costs. Each rule costs once, however many subjects it concerns; what is
//! unknown costs nothing, and with MX, SPF and DMARC all unknown there is no score.

use std::collections::BTreeMap;

use waypost_types::{Severity, audit::LostPoints, outcome::AuditReport};

use super::rules;

/// Raised when the table changes.
pub const VERSION: u32 = 1;

/// Points that a finding costs.
pub const fn cost(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 40,
        Severity::High => 20,
        Severity::Medium => 8,
        Severity::Low => 2,
        Severity::Info => 0,
    }
}

/// Grades with the least points each is given for, best first.
pub const GRADES: [(&str, u8); 6] = [("A", 90), ("B", 75), ("C", 60), ("D", 40), ("E", 20), ("F", 0)];

/// The grade of a score.
pub fn grade(points: u8) -> &'static str {
    GRADES.iter().find(|(_, least)| points >= *least).map_or("F", |(grade, _)| grade)
}

/// A score and what it lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// 0 to 100.
    pub points: u8,
    /// What each rule took, the most first.
    pub lost: Vec<LostPoints>,
}

/// The score of a report; none where too much is unknown.
pub fn score(report: &AuditReport) -> Option<Score> {
    let unknown = |part: &str| report.unknown.iter().any(|u| u.subject == part);
    if ["mx", "spf", "dmarc"].iter().all(|part| unknown(part)) {
        return None;
    }
    let mut worst: BTreeMap<&str, Severity> = BTreeMap::new();
    for finding in &report.findings {
        let slot = worst.entry(finding.rule.as_str()).or_insert(finding.severity);
        *slot = (*slot).max(finding.severity);
    }
    let total: u32 = worst.values().map(|severity| u32::from(cost(*severity))).sum();
    let points = after(total);
    let mut lost: Vec<LostPoints> = worst
        .into_iter()
        .filter(|(_, severity)| cost(*severity) > 0)
        .map(|(rule, severity)| LostPoints {
            rule: rule.to_owned(),
            title: rules::rule(rule).map_or_else(|| rule.to_owned(), |known| known.title.clone()),
            severity,
            points: cost(severity),
            gain: after(total - u32::from(cost(severity))) - points,
        })
        .collect();
    lost.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.rule.cmp(&b.rule)));
    Some(Score { points, lost })
}

fn after(lost: u32) -> u8 {
    u8::try_from(100_u32.saturating_sub(lost)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use waypost_types::UnknownPart;

    use super::*;

    fn report(rules: &[(&str, Severity)]) -> AuditReport {
        let finding = |(rule, severity): &(&str, Severity)| rules::remark(rule, "e.example", "It is so").severity(*severity).done();
        AuditReport { findings: rules.iter().map(finding).collect(), ..AuditReport::empty("e.example") }
    }

    #[test]
    fn every_point_is_accounted_for_and_a_rule_costs_once_at_its_worst() {
        use Severity::{Critical, High, Info, Low, Medium};
        let score =
            score(&report(&[("spf.missing", High), ("mx.unresolvable", Medium), ("mx.unresolvable", Critical), ("tls.no_13", Info)])).unwrap();
        assert_eq!(score.points, 40);
        let lost: Vec<(&str, u8, u8)> = score.lost.iter().map(|lost| (lost.rule.as_str(), lost.points, lost.gain)).collect();
        assert_eq!(lost, [("mx.unresolvable", 40, 40), ("spf.missing", 20, 20)]);
        assert!(score.lost.iter().all(|lost| !lost.title.is_empty() && lost.title != lost.rule));
        // Below the floor a single fix gains less than it costs.
        let deep = super::score(&report(&[("a.a", Critical), ("b.b", Critical), ("c.c", Critical), ("d.d", Low)])).unwrap();
        assert_eq!((deep.points, deep.lost[0].gain, deep.lost[3].gain), (0, 18, 0));
        assert_eq!(super::score(&report(&[])).unwrap(), Score { points: 100, lost: Vec::new() });
    }

    #[test]
    fn what_is_unknown_costs_nothing_and_too_much_of_it_gives_no_score() {
        let unknown = |parts: &[&str]| AuditReport {
            unknown: parts.iter().map(|part| UnknownPart::new(*part, "no answer")).collect(),
            ..AuditReport::empty("e.example")
        };
        assert_eq!(score(&unknown(&["mx", "spf"])).map(|score| score.points), Some(100));
        assert_eq!(score(&unknown(&["mx", "spf", "dmarc"])), None);
    }

    #[test]
    fn grades_fall_at_their_points() {
        for (points, wanted) in [(100, "A"), (90, "A"), (89, "B"), (75, "B"), (60, "C"), (40, "D"), (20, "E"), (19, "F"), (0, "F")] {
            assert_eq!(grade(points), wanted, "{points}");
        }
    }
}
