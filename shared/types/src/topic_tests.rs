use super::*;
use crate::{
    outcome::{AuditReport, ProbeMode},
    runbook::product_text,
};

#[test]
fn every_usual_event_has_a_runbook_with_all_its_parts() {
    for topic in Topic::ALL {
        assert_eq!(topic.as_str().parse(), Ok(topic));
        let text = product_text(topic);
        for part in ["## What it means\n", "## Check first\n", "## It is over when\n"] {
            assert!(text.contains(part), "{} lacks {part}", topic.as_str());
        }
        let mends = text.lines().any(|line| line.starts_with("## Mend"));
        assert!(mends && text.len() > 1_000 && text.chars().count() <= 20_000 && text.matches('`').count().is_multiple_of(2), "{}", topic.as_str());
    }
}

#[test]
fn rules_lead_to_what_helps() {
    let table = [
        ("cert.expired", Some(Topic::CertificateExpired)),
        ("cert.expires_soon", Some(Topic::CertificateExpiring)),
        ("cert.name_mismatch", Some(Topic::CertificateWrong)),
        ("starttls.missing", Some(Topic::StarttlsMissing)),
        ("starttls.handshake_fails", Some(Topic::StarttlsBroken)),
        ("tls.no_12", Some(Topic::StarttlsBroken)),
        ("tls.old_version", None),
        ("spf.missing", Some(Topic::SpfMissing)),
        ("spf.too_many_lookups", Some(Topic::SpfBroken)),
        ("dkim.none_found", Some(Topic::DkimMissing)),
        ("dmarc.missing", Some(Topic::DmarcMissing)),
        ("mx.removed", Some(Topic::MxMissing)),
        ("mtasts.mx_mismatch", Some(Topic::PolicyMismatch)),
        ("dane.mismatch", Some(Topic::PolicyMismatch)),
        ("ptr.missing", Some(Topic::PtrMissing)),
        ("smtp.login_refused", Some(Topic::LoginRefused)),
        ("smtp.greylisting", Some(Topic::Greylisted)),
        ("bimi.syntax", None),
        ("smtp.catch_all", None),
    ];
    for (rule, topic) in table {
        assert_eq!(Topic::of_rule(rule), topic, "{rule}");
    }
}

#[test]
fn listings_are_told_apart_by_their_subject() {
    let table = [
        ("203.0.113.7", "203.0.113.7|critical", Topic::ListedAddress),
        ("203.0.113.0/24", "network|critical", Topic::ListedAddress),
        ("2001:db8::/64", "", Topic::ListedAddress),
        ("example.com", "example.com|critical", Topic::ListedDomain),
    ];
    for (target, condition, topic) in table {
        assert_eq!(Topic::about(MonitorKind::Blacklist, target, condition, None), Some(topic), "{target} {condition}");
    }
}

fn finding(rule: &str, severity: Severity) -> Finding {
    Finding {
        rule: rule.to_owned(),
        severity,
        subject: String::new(),
        summary: String::new(),
        why: String::new(),
        fix: String::new(),
        record: None,
        reference: String::new(),
    }
}

#[test]
fn of_an_audit_the_worst_of_the_condition_counts() {
    let findings =
        vec![finding("dmarc.missing", Severity::Critical), finding("spf.softfail_only", Severity::Low), finding("spf.missing", Severity::High)];
    let audit = Outcome::Audit(Box::new(AuditReport { findings, ..AuditReport::empty("example.com") }));
    assert_eq!(Topic::about(MonitorKind::Audit, "example.com", "spf", Some(&audit)), Some(Topic::SpfMissing));
    assert_eq!(Topic::about(MonitorKind::Audit, "example.com", "", Some(&audit)), Some(Topic::DmarcMissing));
    assert_eq!(Topic::about(MonitorKind::Audit, "example.com", "bimi", Some(&audit)), None);
}

#[test]
fn a_server_that_has_no_address_can_not_be_reached_and_one_that_is_unknown_is_no_event() {
    let of = |verdict| {
        let report = SmtpReport {
            host: String::new(),
            port: 25,
            mode: ProbeMode::Starttls,
            verdict,
            summary: String::new(),
            probes: Vec::new(),
            close_looks: Vec::new(),
            login: None,
        };
        Topic::about(MonitorKind::Smtp, "mail.example.com:25", "", Some(&Outcome::Smtp(Box::new(report))))
    };
    assert_eq!(of(Verdict::Down), Some(Topic::Unreachable));
    assert_eq!(of(Verdict::Unknown), None);
}
