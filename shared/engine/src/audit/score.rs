//! The score: 100 points, less what each finding costs (`waypost_types::score` is the table). Each rule costs once, however many subjects it
//! concerns; what is unknown costs nothing, and with MX, SPF and DMARC all unknown there is no score.

use std::collections::BTreeMap;

use waypost_types::{Severity, audit::LostPoints, outcome::AuditReport, score::cost};

use super::rules;

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
}
