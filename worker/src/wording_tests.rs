//! What people read when something breaks.

use std::collections::BTreeMap;

use waypost_types::{
    finding::SuggestedRecord,
    outcome::{ListEntry, ListState},
};

use super::*;
use crate::{checker::stub_outcome, conditions::elements};

fn finding(severity: Severity, summary: &str) -> Finding {
    Finding {
        rule: "spf.syntax".to_owned(),
        severity,
        subject: "example.com".to_owned(),
        summary: summary.to_owned(),
        why: "Receivers treat the domain as if it had no SPF".to_owned(),
        fix: "Correct the record".to_owned(),
        record: None,
        reference: String::new(),
    }
}

fn audit(findings: Vec<Finding>) -> Outcome {
    Outcome::Audit(Box::new(AuditReport {
        findings,
        records: BTreeMap::from([("mx".to_owned(), vec!["10 mx".to_owned()])]),
        ..AuditReport::empty("example.com")
    }))
}

fn scan(states: &[(&str, ListState)]) -> Outcome {
    let entries = states.iter().map(|(list, state)| ListEntry {
        subject: "203.0.113.40".to_owned(),
        list: (*list).to_owned(),
        zone: format!("{}.example", list.to_lowercase()),
        state: *state,
        codes: Vec::new(),
        meaning: "Spam was seen from it.".to_owned(),
        reason: "The list refuses public resolvers.".to_owned(),
        severity: Severity::High,
        delist_url: Some("https://example.com/remove".to_owned()),
    });
    Outcome::Blacklist(Box::new(BlacklistReport { entries: entries.collect(), ..BlacklistReport::empty("203.0.113.40") }))
}

#[test]
fn incidents_say_what_was_seen_and_what_to_do() {
    let Outcome::Smtp(down) = stub_outcome("mail.example.com", 25, Verdict::Down) else { panic!("a probe") };
    let (title, summary) = incident_words("mail.example.com:25", MonitorState::Down, &down);
    assert_eq!(title, "Port 25 of mail.example.com does not answer");
    assert_eq!(summary, "The connection was refused. Next step: check that the mail server runs and that the firewall lets port 25 in.");

    let words = |target: &str, outcome: &Outcome| {
        let seen = elements(outcome);
        condition_words(target, outcome, &seen.iter().collect::<Vec<_>>())
    };
    let broken = audit(vec![finding(Severity::Low, "No BIMI record"), finding(Severity::High, "SPF record cannot be parsed")]);
    let (title, summary) = words("example.com", &broken);
    assert_eq!(title, "example.com: SPF record cannot be parsed");
    assert_eq!(summary, "Receivers treat the domain as if it had no SPF. Next step: Correct the record.");

    // What names the target is not said of it again, and the record is where the words say it is.
    let record = SuggestedRecord { name: "example.com".to_owned(), kind: "TXT".to_owned(), value: "v=spf1 mx ~all".to_owned() };
    let two = Finding {
        fix: "Publish the one record below and delete the others.".to_owned(),
        record: Some(record),
        ..finding(Severity::High, "example.com has 2 SPF records")
    };
    let (title, summary) = words("example.com", &audit(vec![two]));
    assert_eq!(title, "example.com has 2 SPF records");
    assert!(
        summary.ends_with("Next step: Publish the one proposed record and delete the others. The proposed record is on the incident's page."),
        "{summary}"
    );
    let other = audit(vec![finding(Severity::High, "mx.example.com can not be found")]);
    assert_eq!(words("example.com", &other).0, "example.com: mx.example.com can not be found");

    let listed = scan(&[("SpamCop", ListState::Listed), ("Other", ListState::Clean)]);
    let (title, summary) = words("203.0.113.40", &listed);
    assert_eq!(title, "203.0.113.40 is listed on SpamCop");
    assert!(summary.ends_with("ask for removal at https://example.com/remove."), "{summary}");
    let both = scan(&[("SpamCop", ListState::Listed), ("Other", ListState::Listed)]);
    assert_eq!(words("203.0.113.40", &both).0, "203.0.113.40 is listed on SpamCop and 1 more list");
}

#[test]
fn sentences_are_short_and_true() {
    let table = [
        (audit(Vec::new()), "No problem found."),
        (audit(vec![finding(Severity::Low, "No BIMI record")]), "No problem found."),
        (audit(vec![finding(Severity::High, "No SPF record")]), "No SPF record."),
        (audit(vec![finding(Severity::High, "No SPF record"), finding(Severity::Medium, "p=none")]), "No SPF record. And 1 more finding."),
        (scan(&[("A", ListState::Clean), ("B", ListState::Clean)]), "Not listed on any of 2 lists."),
        (scan(&[("A", ListState::Clean), ("B", ListState::Unknown)]), "Not listed on any of 1 list; 1 more list could not tell."),
        (scan(&[("A", ListState::Unknown)]), "No list could tell: The list refuses public resolvers."),
        (scan(&[("A", ListState::Listed)]), "203.0.113.40 is listed on A."),
    ];
    for (outcome, expected) in table {
        assert_eq!(sentence(&outcome), expected);
    }
}

#[test]
fn a_title_stays_one_short_line() {
    let long = audit(vec![finding(Severity::High, &"x".repeat(400))]);
    let seen = elements(&long);
    assert_eq!(condition_words("example.com", &long, &[&seen[0]]).0.chars().count(), TITLE_CHARS);
    // It ends behind a word, and what is counted stays.
    let two = audit(vec![finding(Severity::High, &"aggregate reports ".repeat(20)), finding(Severity::High, "SPF record cannot be parsed")]);
    let seen = elements(&two);
    let (title, _) = condition_words("example.com", &two, &seen.iter().collect::<Vec<_>>());
    let kept = title.strip_suffix("… and 1 more finding").unwrap_or_else(|| panic!("{title}"));
    assert!(title.chars().count() <= TITLE_CHARS && (kept.ends_with(" aggregate") || kept.ends_with(" reports")), "{title}");
}

#[test]
fn what_is_over_is_told_as_it_stands_now() {
    let there = audit(Vec::new());
    let Outcome::Audit(report) = &there else { panic!("an audit") };
    let records = BTreeMap::from([("spf".to_owned(), vec!["v=spf1 mx -all".to_owned()])]);
    let back = Outcome::Audit(Box::new(AuditReport { records, ..(**report).clone() }));
    let words = |kind, target: &str, condition: &str, outcome: &Outcome, was: &[&str]| ended(kind, target, condition, outcome, was.iter().copied()).0;
    for (condition, outcome, was, title) in [
        ("spf", &back, &["spf.missing|example.com"][..], "example.com: SPF record is back"),
        // No longer asked for, since the domain sends nothing any more.
        ("spf", &there, &["spf.missing|example.com"], "example.com: the problem with SPF is over"),
        ("spf", &back, &["spf.missing|example.com", "spf.syntax|example.com"], "example.com: the problem with SPF is over"),
        ("ptr", &there, &["ptr.none|192.0.2.1"], "example.com: the problem with reverse DNS is over"),
        ("audit", &there, &[], "example.com: the problem is over"),
    ] {
        assert_eq!(words(MonitorKind::Audit, "example.com", condition, outcome, was), title);
    }
    let clean = scan(&[("A", ListState::Clean)]);
    assert_eq!(words(MonitorKind::Blacklist, "203.0.113.40", "203.0.113.40|critical", &clean, &[]), "203.0.113.40: listing is over");
    assert_eq!(words(MonitorKind::Blacklist, "203.0.113.0/24", "network|critical", &clean, &[]), "203.0.113.0/24: listings are over");
    let up = stub_outcome("mail.example.com", 25, Verdict::Up);
    assert_eq!(recovery_words("mail.example.com:25", MonitorState::Down, &up).0, "mail.example.com answers on port 25 again");
    assert_eq!(recovery_words("mail.example.com:25", MonitorState::Degraded, &up).0, "mail.example.com works on port 25 without problems again");
}

#[test]
fn names_are_read_in_their_own_letters() {
    let broken = finding(Severity::High, "xn--mnchen-3ya.example has 2 SPF records: include:xn--mnchen-3ya.example");
    let broken = audit(vec![Finding { why: "Receivers of xn--mnchen-3ya.example can not tell which holds".to_owned(), ..broken }]);
    let seen = elements(&broken);
    let (title, summary) = condition_words("xn--mnchen-3ya.example", &broken, &[&seen[0]]);
    assert_eq!(title, "münchen.example has 2 SPF records: include:xn--mnchen-3ya.example");
    assert!(summary.starts_with("Receivers of münchen.example can"), "{summary}");
    assert_eq!(sentence(&broken), format!("{title}."));
    let (title, summary) = ended(MonitorKind::Audit, "xn--mnchen-3ya.example", "dkim", &broken, std::iter::empty());
    assert_eq!((title.as_str(), summary.split(' ').nth(2)), ("münchen.example: the problem with DKIM is over", Some("münchen.example")));
}

#[test]
fn an_incident_of_an_address_names_the_domains_that_it_hits() {
    let names = |many: usize| (0..many).map(|n| format!("d{n}.example")).collect::<Vec<_>>();
    assert_eq!(mail_of(&names(0)), None);
    assert_eq!(mail_of(&["xn--mnchen-3ya.example".to_owned()]).as_deref(), Some("It concerns the mail of münchen.example."));
    assert_eq!(mail_of(&names(3)).as_deref(), Some("It concerns the mail of d0.example, d1.example and d2.example."));
    assert!(mail_of(&names(7)).unwrap().ends_with("d4.example and 2 more domains."));
}

#[test]
fn what_the_probe_says_already_is_not_said_twice() {
    let Outcome::Smtp(mut report) = stub_outcome("mx.example", 587, Verdict::Down) else { panic!("it is a probe") };
    report.summary = "2 of 2 addresses: The certificate expired on 2026-11-17".to_owned();
    report.probes[0].banner = Some("mx.example ESMTP".to_owned());
    report.probes[0].findings = vec![finding(Severity::High, "The certificate expired on 2026-11-17")];
    let (_, summary) = incident_words("mx.example:587", MonitorState::Down, &report);
    assert_eq!(
        summary,
        "2 of 2 addresses: The certificate expired on 2026-11-17. Receivers treat the domain as if it had no SPF. Next step: Correct the record."
    );
}
