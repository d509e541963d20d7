//! STARTTLS that one network sees and another does not. A conversation is held from one region; what the others saw at the same address lately is
//! laid beside it here, after it.

use std::{collections::BTreeMap, net::IpAddr};

use chrono::{DateTime, Utc};
use waypost_types::outcome::{ProbeMode, ProbeReport, SmtpReport};

use super::worst;
use crate::audit::rules::remark;

const MISSING: &str = "starttls.missing";
const TAKEN_OUT: &str = "starttls.ehlo_hidden";

/// Whether a conversation of the report missed STARTTLS, so that it is worth while to ask what others saw.
pub fn misses_starttls(report: &SmtpReport) -> bool {
    report.probes.iter().any(misses)
}

fn misses(probe: &ProbeReport) -> bool {
    finds(probe, MISSING)
}

fn finds(probe: &ProbeReport, rule: &str) -> bool {
    probe.findings.iter().any(|finding| finding.rule == rule)
}

/// What a region saw, and when.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// The region.
    pub region: &'a str,
    /// When it looked.
    pub at: DateTime<Utc>,
    /// What it saw.
    pub report: &'a SmtpReport,
}

/// The addresses at which another region saw STARTTLS after this one had missed it there, each with that region; `before` is what this one saw
/// last. An older sight says nothing, since TLS may have been turned off after it. What is told already stays until the others miss it as well.
pub fn starttls_elsewhere<'a>(before: Sight<'_>, others: impl IntoIterator<Item = Sight<'a>>) -> BTreeMap<IpAddr, String> {
    let missed_until = |address: IpAddr, at: DateTime<Utc>| {
        let mut probes = before.report.probes.iter().filter(|probe| probe.address == Some(address));
        probes.any(|probe| finds(probe, TAKEN_OUT) || (misses(probe) && before.at < at))
    };
    let mut seen = BTreeMap::new();
    for other in others {
        for address in starttls_at(other.report).filter(|address| missed_until(*address, other.at)) {
            seen.entry(address).or_insert_with(|| other.region.to_owned());
        }
    }
    seen
}

/// The addresses at which STARTTLS was there.
fn starttls_at(report: &SmtpReport) -> impl Iterator<Item = IpAddr> {
    let with = report.probes.iter().filter(|probe| probe.mode == ProbeMode::Starttls && probe.tls.is_some());
    with.filter_map(|probe| probe.address)
}

/// The report as it is when others saw STARTTLS at these addresses, each with who did; nothing where it is the same. The verdict stays.
pub fn with_starttls_elsewhere(report: &SmtpReport, elsewhere: &BTreeMap<IpAddr, String>) -> Option<SmtpReport> {
    let mut judged = report.clone();
    for probe in judged.probes.iter_mut().filter(|probe| misses(probe)) {
        let Some(who) = probe.address.and_then(|address| elsewhere.get(&address)) else { continue };
        let host = probe.host.clone();
        let summary = format!(
            "{host} shows no STARTTLS on port {} here, and the region {who} sees it: something on the way takes it out, or another server answers at this address",
            probe.port
        );
        for finding in probe.findings.iter_mut().filter(|finding| finding.rule == MISSING) {
            if probe.reason == finding.summary {
                probe.reason.clone_from(&summary);
            }
            *finding = remark(TAKEN_OUT, &host, summary.clone()).done();
        }
        probe.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
    if judged.probes == report.probes {
        return None;
    }
    // What was the reason may be the worst of other addresses, which stays.
    if judged.verdict == worst(&judged.probes).0 {
        judged.summary = worst(&judged.probes).1;
    }
    Some(judged)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use waypost_types::{finding::Severity, outcome::Verdict};

    use super::*;

    fn report(tls: bool, findings: &[&str]) -> SmtpReport {
        let findings: Vec<_> = findings.iter().map(|rule| remark(rule, "mx.example", "mx.example lacks it").done()).collect();
        let tls =
            tls.then(|| json!({ "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "trusted": true, "name_matches": true, "expires": null }));
        let verdict = if findings.is_empty() { "up" } else { "degraded" };
        let probe = json!({ "host": "mx.example", "address": "192.0.2.1", "port": 25, "mode": "starttls", "verdict": verdict, "reason": "mx.example lacks it",
            "stage_ms": {}, "tls": tls, "extensions": [], "findings": findings, "transcript": [] });
        serde_json::from_value(json!({ "host": "mx.example", "port": 25, "mode": "starttls", "verdict": verdict, "summary": "mx.example lacks it",
            "probes": [probe] }))
        .unwrap()
    }

    /// Where “eu” saw STARTTLS so many seconds after this region looked.
    fn elsewhere(before: &SmtpReport, seconds: i64) -> BTreeMap<IpAddr, String> {
        let (at, with) = (DateTime::UNIX_EPOCH, report(true, &[]));
        let others = [Sight { region: "eu", at: at + chrono::Duration::seconds(seconds), report: &with }];
        starttls_elsewhere(Sight { region: "here", at, report: before }, others)
    }

    #[test]
    fn a_sight_counts_after_a_miss_and_not_before_it() {
        let missing = report(false, &[MISSING]);
        let eu: BTreeMap<IpAddr, String> = [("192.0.2.1".parse().unwrap(), "eu".to_owned())].into();
        for (before, seconds, counts) in [
            (&missing, 1, true),
            // TLS may have been turned off between the two.
            (&missing, -1, false),
            (&missing, 0, false),
            (&report(true, &[]), 1, false),
            (&report(false, &["cert.expired"]), 1, false),
            // Told already: the other region has not looked again yet.
            (&report(false, &[TAKEN_OUT]), -1, true),
        ] {
            assert_eq!(elsewhere(before, seconds) == eu, counts, "{seconds} {before:?}");
            assert_eq!(elsewhere(before, seconds).is_empty(), !counts);
        }
        let mut elsewhere_before = missing;
        elsewhere_before.probes[0].address = Some("192.0.2.9".parse().unwrap());
        assert_eq!(elsewhere(&elsewhere_before, 1), BTreeMap::new(), "missed at another address");
    }

    #[test]
    fn starttls_that_another_region_sees_was_taken_out_on_the_way() {
        let here = report(false, &[MISSING]);
        assert!(misses_starttls(&here) && !misses_starttls(&report(true, &[])));
        let elsewhere = elsewhere(&here, 1);
        let judged = with_starttls_elsewhere(&here, &elsewhere).unwrap();
        let finding = &judged.probes[0].findings[0];
        assert_eq!((finding.rule.as_str(), finding.severity, judged.verdict), (TAKEN_OUT, Severity::Medium, Verdict::Degraded));
        assert!(finding.summary.contains("the region eu") && finding.summary.contains("or another server answers"));
        assert!(judged.summary == finding.summary && judged.probes[0].reason == finding.summary);
        assert!(!finding.fix.contains('{'), "{finding:?}");
    }

    #[test]
    fn what_nobody_sees_is_missing_and_another_address_says_nothing() {
        let here = report(false, &[MISSING]);
        assert_eq!(starttls_at(&here).count(), 0);
        assert_eq!(with_starttls_elsewhere(&here, &BTreeMap::new()), None);
        let other = [("192.0.2.9".parse().unwrap(), "eu".to_owned())].into();
        assert_eq!(with_starttls_elsewhere(&here, &other), None);
        let seen = [("192.0.2.1".parse().unwrap(), "eu".to_owned())].into();
        assert_eq!(with_starttls_elsewhere(&report(true, &[]), &seen), None);
        // What else is wrong says what it said.
        let mut also = report(false, &["cert.expired", MISSING]);
        (also.probes[0].reason, also.summary) = ("expired".to_owned(), "expired".to_owned());
        let judged = with_starttls_elsewhere(&also, &seen).unwrap();
        assert_eq!((judged.summary.as_str(), judged.probes[0].findings.len()), ("expired", 2));
    }
}
