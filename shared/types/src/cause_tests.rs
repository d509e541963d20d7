use uuid::Uuid;

use super::*;
use crate::{
    incident::{IncidentSeverity, IncidentStatus},
    outcome::{Outcome, ProbeMode, SmtpReport, Verdict},
};

fn opened() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn incident(kind: MonitorKind, target: &str, condition: &str) -> Incident {
    Incident {
        id: IncidentId(Uuid::from_u128(1)),
        monitor_id: None,
        kind,
        target: target.to_owned(),
        title: String::new(),
        summary: String::new(),
        severity: IncidentSeverity::Critical,
        status: IncidentStatus::Open,
        opened_at: opened(),
        acknowledged_at: None,
        resolved_at: None,
        timeline: Vec::new(),
        condition: condition.to_owned(),
        root_cause: None,
        mute: None,
        runbook: None,
        own_runbook: None,
        evidence: None,
        flapping_since: None,
        reopened: 0,
        version: 1,
    }
}

fn unreachable(target: &str) -> Incident {
    let report = SmtpReport {
        host: target.to_owned(),
        port: 25,
        mode: ProbeMode::Starttls,
        verdict: Verdict::Down,
        summary: String::new(),
        probes: Vec::new(),
        close_looks: Vec::new(),
        login: None,
    };
    Incident { evidence: Some(Outcome::Smtp(Box::new(report))), ..incident(MonitorKind::Smtp, target, "") }
}

fn event(minutes_before: i64, target: &str, source: Source) -> RelatedEvent {
    let at = opened() - TimeDelta::minutes(minutes_before);
    RelatedEvent { at, source, target: target.to_owned(), text: String::new(), cause: None }
}

fn record(family: &str) -> Source {
    Source::Record { family: family.to_owned() }
}

fn change(kind: ChangeSort) -> Source {
    Source::Change { kind }
}

fn other(kind: MonitorKind, condition: &str) -> Source {
    Source::Incident { incident: IncidentId(Uuid::from_u128(2)), kind, condition: condition.to_owned() }
}

fn ranked(incident: &Incident, near: &[&str], events: Vec<RelatedEvent>) -> Related {
    let near: Vec<String> = near.iter().map(|name| (*name).to_owned()).collect();
    rank(&About { incident, near: &near }, events)
}

#[test]
fn of_two_events_the_likelier_comes_first() {
    let spf = incident(MonitorKind::Audit, "example.com", "spf");
    let dead = unreachable("mail.example.com:25");
    let listed = incident(MonitorKind::Blacklist, "203.0.113.0/24", "203.0.113.7|critical");
    let near: &[&str] = &["example.com", "mx.example.com"];
    let list = || Source::Listing { list: "Spamhaus ZEN".to_owned() };
    // The incident, what wins, what loses.
    let table = [
        ("nearer in time", &spf, event(12, "example.com", record("spf")), event(300, "example.com", record("spf"))),
        ("its own records", &spf, event(12, "example.com", record("spf")), event(12, "example.com", record("mx"))),
        ("same target above same mail", &spf, event(12, "example.com", record("spf")), event(12, "news.example.com", record("spf"))),
        ("a record above a change that names nothing", &spf, event(12, "example.com", record("spf")), event(12, "", change(ChangeSort::Dns))),
        (
            "the kind that can",
            &dead,
            event(30, "mail.example.com", change(ChangeSort::Firewall)),
            event(30, "mail.example.com", change(ChangeSort::Dns)),
        ),
        (
            "a port is of its host",
            &dead,
            event(30, "mail.example.com:25", change(ChangeSort::Deploy)),
            event(30, "mx.example.com", change(ChangeSort::Deploy)),
        ),
        ("the same mail above everything", &dead, event(30, "mx.example.com", change(ChangeSort::Deploy)), event(30, "", change(ChangeSort::Deploy))),
        ("everything above elsewhere", &dead, event(30, "", change(ChangeSort::Firewall)), event(30, "other.example", change(ChangeSort::Firewall))),
        ("the listed address", &listed, event(600, "203.0.113.7", list()), event(600, "", change(ChangeSort::Deploy))),
        ("what was sent", &listed, event(600, "", change(ChangeSort::Content)), event(600, "", change(ChangeSort::Firewall))),
    ];
    for (why, incident, wins, loses) in table {
        for order in [vec![wins.clone(), loses.clone()], vec![loses.clone(), wins.clone()]] {
            let related = ranked(incident, near, order);
            let first = related.causes.first().map(|event| RelatedEvent { cause: None, ..event.clone() });
            assert_eq!(first, Some(wins.clone()), "{why}: {related:?}");
        }
    }
}

#[test]
fn what_can_not_be_the_cause_stands_beside() {
    let spf = incident(MonitorKind::Audit, "example.com", "spf");
    let dead = unreachable("mail.example.com:25");
    let table = [
        ("after the opening", &spf, event(-1, "example.com", record("spf"))),
        ("other records", &spf, event(5, "example.com", record("bimi"))),
        ("the records of others", &spf, event(5, "other.example", record("spf"))),
        ("a name that only ends alike", &spf, event(5, "notexample.com", record("spf"))),
        ("what was sent", &dead, event(5, "mail.example.com", change(ChangeSort::Content))),
        ("a listing", &dead, event(5, "mail.example.com", Source::Listing { list: "x".to_owned() })),
        ("opened at the same moment", &dead, event(0, "mail.example.com:587", other(MonitorKind::Smtp, ""))),
        ("long ago and elsewhere", &dead, event(1200, "other.example", change(ChangeSort::Dns))),
    ];
    for (why, incident, event) in table {
        let related = ranked(incident, &[], vec![event.clone()]);
        assert_eq!((related.causes, related.beside), (Vec::new(), vec![event]), "{why}");
    }
}

#[test]
fn a_listing_looks_farther_back_and_what_is_outside_is_not_told() {
    let old = || event(50 * 60, "", change(ChangeSort::Content));
    assert_eq!(ranked(&incident(MonitorKind::Blacklist, "203.0.113.7", "203.0.113.7|critical"), &[], vec![old()]).causes.len(), 1);
    let related = ranked(&incident(MonitorKind::Audit, "example.com", "spf"), &[], vec![old(), event(-25 * 60, "example.com", record("spf"))]);
    assert!(related.causes.is_empty() && related.beside.is_empty(), "{related:?}");
}

#[test]
fn the_reason_is_said_in_words() {
    let spf = incident(MonitorKind::Audit, "example.com", "spf");
    let dead = unreachable("mail.example.com:25");
    let table = [
        (&spf, event(12, "example.com", record("spf")), "SPF of example.com changed 12 minutes before, and this incident is about SPF."),
        (
            &dead,
            event(1, "", change(ChangeSort::Firewall)),
            "A change was marked (firewall or network) 1 minute before, and this incident is about a server that can not be reached. It names no target, so it may concern this one.",
        ),
        (
            &dead,
            event(180, "example.com", record("mx")),
            "MX of example.com changed 3 hours before, which can have to do with a server that can not be reached. It belongs to the same mail.",
        ),
    ];
    for (incident, event, wanted) in table {
        let related = ranked(incident, &[], vec![event]);
        assert_eq!(related.causes.first().and_then(|event| event.cause.as_ref()).map(|cause| cause.reason.as_str()), Some(wanted));
    }
}

#[test]
fn however_much_happened_the_answer_is_bounded() {
    let spf = incident(MonitorKind::Audit, "example.com", "spf");
    let many = |minutes: i64| (0..500).map(move |n| event(minutes + n % 3, "example.com", record("spf")));
    let related = ranked(&spf, &[], many(1).chain(many(-10)).collect());
    assert_eq!((related.causes.len(), related.beside.len()), (20, 50));
}
