//! The SIZE limit beside the minimum that the owner of a server set. A conversation is shared by everybody who watches the server, and judged by
//! the catalog's figure; what one of them asks for is judged here, after it, for that one alone.

use waypost_types::{
    finding::Severity,
    outcome::{ProbeReport, SmtpReport, Verdict, megabytes},
};

use super::{extensions, worst};
use crate::audit::rules::remark;

const RULE: &str = "smtp.size_small";
/// What a mail server's SIZE is measured in by its owner: decimal, as it is shown.
const MEGABYTE: u64 = 1_000_000;

/// The report as it is for somebody who wants messages of this many megabytes taken; nothing where it is the same. A server that names no limit
/// has none that is too small (RFC 1870 4), and one that could not be spoken to is told about no further.
pub fn with_least_size(report: &SmtpReport, least_mb: u32) -> Option<SmtpReport> {
    let least = u64::from(least_mb) * MEGABYTE;
    let mut judged = report.clone();
    for probe in &mut judged.probes {
        judge(probe, least);
    }
    if judged.probes == report.probes {
        return None;
    }
    // What is worse than this, and what could not be told, stays as it was.
    if report.verdict == Verdict::Up {
        (judged.verdict, judged.summary) = worst(&judged.probes);
    }
    Some(judged)
}

fn judge(probe: &mut ProbeReport, least: u64) {
    let limit = extensions::size_limit(&probe.extensions);
    // The owner's figure stands in the place of the catalog's.
    probe.findings.retain(|finding| finding.rule != RULE);
    // Findings that are not made, since the conversation does not count, are not made here either.
    let Some(limit) = limit.filter(|limit| *limit < least && probe.verdict != Verdict::Unknown) else { return };
    let host = probe.host.clone();
    let asked = megabytes(least);
    let summary = format!("{host} takes messages of at most {} (SIZE {limit}); you ask for {asked}", megabytes(limit));
    let fix = format!("Raise the limit to {least} or more, in Postfix by message_size_limit, or set a lower minimum in the server's settings.");
    let finding = remark(RULE, &host, summary.clone()).severity(Severity::Medium).fix(fix).done();
    probe.findings.push(finding);
    probe.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    if probe.verdict == Verdict::Up {
        (probe.verdict, probe.reason) = (Verdict::Degraded, summary);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(verdicts: &[(&str, Option<&str>)]) -> SmtpReport {
        let probe = |(verdict, size): &(&str, Option<&str>)| {
            json!({ "host": "mx.example", "address": "192.0.2.1", "port": 25, "mode": "starttls", "verdict": verdict, "reason": "as it was",
                "stage_ms": {}, "tls": null, "extensions": size.iter().collect::<Vec<_>>(), "findings": [], "transcript": [] })
        };
        let rank = |verdict: &&str| ["unknown", "up", "degraded", "down"].iter().position(|known| known == verdict);
        let worst = verdicts.iter().map(|(verdict, _)| *verdict).max_by_key(rank).unwrap();
        let probes: Vec<_> = verdicts.iter().map(probe).collect();
        serde_json::from_value(
            json!({ "host": "mx.example", "port": 25, "mode": "starttls", "verdict": worst, "summary": "as it was", "probes": probes }),
        )
        .unwrap()
    }

    #[test]
    fn a_limit_below_the_minimum_is_what_the_owner_asked_to_be_told() {
        for (verdict, size, least_mb, found, after) in [
            ("up", Some("SIZE 10240000"), 25, true, Verdict::Degraded),
            ("up", Some("size 24999999"), 25, true, Verdict::Degraded),
            ("up", Some("SIZE 25000000"), 25, false, Verdict::Up),
            ("up", Some("SIZE 26214400"), 25, false, Verdict::Up),
            // No fixed limit, or none that is named.
            ("up", Some("SIZE 0"), 25, false, Verdict::Up),
            ("up", Some("SIZE"), 25, false, Verdict::Up),
            ("up", Some("PIPELINING"), 25, false, Verdict::Up),
            ("down", None, 25, false, Verdict::Down),
            ("down", Some("SIZE 1000"), 25, true, Verdict::Down),
            ("degraded", Some("SIZE 1000"), 25, true, Verdict::Degraded),
            ("unknown", Some("SIZE 1000"), 25, false, Verdict::Unknown),
        ] {
            let before = report(&[(verdict, size)]);
            let judged = with_least_size(&before, least_mb);
            assert_eq!(judged.is_some(), found, "{verdict} {size:?}");
            let judged = judged.unwrap_or(before);
            assert_eq!((judged.verdict, judged.probes[0].verdict), (after, after), "{verdict} {size:?}");
            let findings = &judged.probes[0].findings;
            assert_eq!(findings.iter().filter(|finding| finding.rule == RULE && finding.severity == Severity::Medium).count(), usize::from(found));
            assert!(findings.iter().all(|finding| !finding.fix.contains('{')), "{findings:?}");
            assert_eq!(judged.summary == "as it was", !(found && verdict == "up"), "what is worse keeps its reason: {}", judged.summary);
        }
    }

    #[test]
    fn one_address_is_enough_and_is_named() {
        let judged = with_least_size(&report(&[("up", Some("SIZE 50000000")), ("up", Some("SIZE 10000000"))]), 25).unwrap();
        assert_eq!(judged.verdict, Verdict::Degraded);
        assert_eq!(judged.summary, "192.0.2.1: mx.example takes messages of at most 10\u{a0}MB (SIZE 10000000); you ask for 25\u{a0}MB");
    }

    #[test]
    fn the_owners_figure_stands_in_the_place_of_the_catalogs() {
        let mut report = report(&[("up", Some("SIZE 5000000"))]);
        let finding = remark(RULE, "mx.example", "small").done();
        assert_eq!(finding.severity, Severity::Low);
        report.probes[0].findings = vec![finding];
        let judged = with_least_size(&report, 5).unwrap();
        assert!(judged.probes[0].findings.is_empty() && judged.verdict == Verdict::Up, "five are enough for them");
        let judged = with_least_size(&report, 6).unwrap();
        assert_eq!(judged.probes[0].findings.len(), 1, "said once");
    }
}
