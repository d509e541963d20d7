//! Audits of DMARC records against a small name server: what each rule fires on and what it leaves alone, whose record is in force, the detail.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use chrono::TimeDelta;
use hickory_proto::op::ResponseCode;
use waypost_types::{Finding, Severity, audit::DmarcDetail};

use super::*;
use crate::net::tests::{Say, Server};

/// Names that every case has beside its own.
const WORLD: &[(&str, &str)] = &[
    ("e.example", "MX 10 mx.e.example"),
    ("sub.e.example", "MX 10 mx.e.example"),
    ("mx.e.example", "A 203.0.113.5"),
    ("r.example", "MX 10 mx.r.example"),
    ("e.example._report._dmarc.r.example", "TXT v=DMARC1"),
    ("shy.example", "MX 10 mx.r.example"),
    ("e.example._report._dmarc.shy.example", "TXT hello"),
];

pub(super) async fn run_at(domain: &str, records: &[(&str, &str)], others: &[(&str, Say)], options: &AuditOptions) -> AuditReport {
    let server = Server::start(&[WORLD, records].concat(), others).await;
    audit_families(&server.net(), &domain.parse().unwrap(), options, &[Family::Dmarc]).await
}

pub(super) async fn run(record: &str) -> AuditReport {
    run_at("e.example", &[("_dmarc.e.example", &format!("TXT {record}"))], &[], &AuditOptions::default()).await
}

pub(super) fn rules(report: &AuditReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.rule.as_str()).collect()
}

pub(super) fn detail(report: &AuditReport) -> &DmarcDetail {
    report.detail.dmarc.as_ref().unwrap()
}

/// Nothing is left to fill in, and every proposed DMARC record can be read and holds.
fn sound(report: &AuditReport) {
    for finding in &report.findings {
        assert!(!finding.fix.contains('{') && !finding.summary.contains('{') && !finding.reference.is_empty(), "{finding:#?}");
        if let Some(record) = finding.record.as_ref().filter(|record| record.name.starts_with("_dmarc.")) {
            let read = dmarc_record::Record::parse(&record.value).unwrap();
            assert!(read.standing() == dmarc_record::Standing::Full && read.faults.is_empty(), "{finding:#?}");
        }
    }
}

/// A rule, its severity, a record that it fires on, and one that it leaves alone.
pub(super) fn cases() -> Vec<(&'static str, Severity, String, String)> {
    use Severity::{Critical, High, Info, Low, Medium};
    const RUA: &str = "rua=mailto:d@e.example";
    vec![
        ("dmarc.syntax", Critical, format!("v=DMARC1 p=reject; {RUA}"), format!("v = DMARC1; p=reject; {RUA}")),
        ("dmarc.syntax", Critical, "V=dmarc1; p=reject".to_owned(), "v=DMARC1;p=REJECT".to_owned()),
        ("dmarc.syntax", Critical, "\"v=DMARC1; p=reject\"".to_owned(), "v=DMARC1; p=reject;".to_owned()),
        ("dmarc.syntax", Critical, format!("v=DMARC1; p=rejct; {RUA}"), format!("v=DMARC1; p=reject; {RUA}")),
        ("dmarc.syntax", Critical, format!("v=DMARC1; p=reject; sp=rejct; {RUA}"), format!("v=DMARC1; p=reject; sp=reject; {RUA}")),
        ("dmarc.syntax", Critical, format!("v=DMARC1; p=reject; np=all; {RUA}"), format!("v=DMARC1; p=reject; np=reject; {RUA}")),
        ("dmarc.syntax", Critical, format!("v=DMARC1; p=reject, {RUA}"), format!("v=DMARC1; p=reject; x=a,b; {RUA}")),
        ("dmarc.syntax", Critical, "v=DMARC1; p=none; p=reject".to_owned(), "v=DMARC1; p=none".to_owned()),
        ("dmarc.syntax", Medium, format!("v=DMARC1; p=reject; {RUA}; mailto:x@e.example"), format!("v=DMARC1; p=reject; {RUA},mailto:x@e.example")),
        ("dmarc.syntax", Medium, format!("v=DMARC1; p=reject; t=yes; {RUA}"), format!("v=DMARC1; p=reject; t=n; {RUA}")),
        ("dmarc.p_missing", Medium, format!("v=DMARC1; {RUA}"), format!("v=DMARC1; {RUA}; p=none")),
        ("dmarc.p_missing", High, "v=DMARC1; sp=reject".to_owned(), "v=DMARC1; p=none; sp=reject".to_owned()),
        ("dmarc.p_none", Medium, format!("v=DMARC1; p=none; {RUA}"), format!("v=DMARC1; p=quarantine; {RUA}")),
        ("dmarc.sp_weaker", Medium, "v=DMARC1; p=reject; sp=none".to_owned(), "v=DMARC1; p=quarantine; sp=reject".to_owned()),
        ("dmarc.sp_weaker", Medium, "v=DMARC1; p=reject; sp=quarantine".to_owned(), "v=DMARC1; p=reject; sp=reject".to_owned()),
        ("dmarc.np_missing", Low, "v=DMARC1; p=none".to_owned(), "v=DMARC1; p=none; np=reject".to_owned()),
        ("dmarc.np_missing", Low, "v=DMARC1; p=reject; sp=none".to_owned(), "v=DMARC1; p=reject".to_owned()),
        ("dmarc.np_missing", Low, "v=DMARC1; p=quarantine".to_owned(), "v=DMARC1; p=none; sp=reject".to_owned()),
        ("dmarc.pct_used", Medium, "v=DMARC1; p=quarantine; pct=25".to_owned(), "v=DMARC1; p=quarantine".to_owned()),
        ("dmarc.pct_used", Low, "v=DMARC1; p=quarantine; pct=100".to_owned(), "v=DMARC1; p=quarantine; t=y".to_owned()),
        ("dmarc.pct_used", Low, "v=DMARC1; p=none; pct=25".to_owned(), "v=DMARC1; p=none".to_owned()),
        ("dmarc.removed_tags", Info, "v=DMARC1; p=none; ri=86400; rf=afrf".to_owned(), "v=DMARC1; p=none; fo=1".to_owned()),
        ("dmarc.test_mode", Medium, "v=DMARC1; p=reject; t=y".to_owned(), "v=DMARC1; p=reject; t=n".to_owned()),
        ("dmarc.test_mode", Medium, "v=DMARC1; p=quarantine; T=Y".to_owned(), "v=DMARC1; p=none; t=y".to_owned()),
        ("dmarc.psd_tag", Info, "v=DMARC1; p=reject; psd=y".to_owned(), "v=DMARC1; p=reject; psd=n".to_owned()),
        ("dmarc.no_rua", Medium, "v=DMARC1; p=reject".to_owned(), format!("v=DMARC1; p=reject; {RUA}")),
        ("dmarc.rua_syntax", High, "v=DMARC1; p=reject; rua=d@e.example".to_owned(), format!("v=DMARC1; p=reject; {RUA}")),
        (
            "dmarc.rua_syntax",
            High,
            format!("v=DMARC1; p=reject; {RUA} mailto:x@e.example"),
            format!("v=DMARC1; p=reject; {RUA} , mailto:x@e.example"),
        ),
        ("dmarc.rua_syntax", High, "v=DMARC1; p=reject; ruf=https://e.example".to_owned(), "v=DMARC1; p=reject; ruf=mailto:d@e.example".to_owned()),
        (
            "dmarc.rua_external_unauthorised",
            High,
            "v=DMARC1; p=reject; rua=mailto:d@shy.example".to_owned(),
            "v=DMARC1; p=reject; rua=mailto:d@r.example".to_owned(),
        ),
        ("dmarc.rua_no_mx", High, "v=DMARC1; p=reject; rua=mailto:d@gone.e.example".to_owned(), format!("v=DMARC1; p=reject; {RUA}")),
        ("dmarc.size_suffix", Info, format!("v=DMARC1; p=reject; {RUA}!10m"), format!("v=DMARC1; p=reject; {RUA}")),
        ("dmarc.ruf_privacy", Info, "v=DMARC1; p=reject; ruf=mailto:d@e.example".to_owned(), format!("v=DMARC1; p=reject; {RUA}")),
        ("dmarc.strict_alignment", Info, "v=DMARC1; p=reject; adkim=s".to_owned(), "v=DMARC1; p=reject; adkim=r; aspf=r".to_owned()),
        ("dmarc.strict_alignment", Info, "v=DMARC1; p=reject; aspf=S".to_owned(), "v=DMARC1; p=reject".to_owned()),
        ("dmarc.unknown_tag", Low, "v=DMARC1; p=reject; rau=mailto:d@e.example".to_owned(), format!("v=DMARC1; p=reject; {RUA}")),
    ]
}

#[tokio::test]
async fn rules_fire_on_what_they_are_for_and_on_nothing_else() {
    for (rule, severity, bad, good) in cases() {
        let report = run(&bad).await;
        let found = report.findings.iter().find(|finding| finding.rule == rule).unwrap_or_else(|| panic!("{rule} on {bad}: {:#?}", report.findings));
        assert_eq!(found.severity, severity, "{rule} on {bad}");
        sound(&report);
        let report = run(&good).await;
        assert!(!rules(&report).contains(&rule), "{rule} on {good}: {:#?}", report.findings);
        sound(&report);
    }
}

#[tokio::test]
async fn a_sound_record_has_no_findings() {
    for record in [
        "v=DMARC1; p=reject; rua=mailto:d@e.example",
        "v=DMARC1; p=reject; sp=reject; np=reject; rua=mailto:d@e.example,mailto:x@r.example; fo=1",
        "v=DMARC1;p=reject;rua=mailto:d@e.example;",
    ] {
        let report = run(record).await;
        assert!(report.findings.is_empty() && report.unknown.is_empty(), "{record}: {report:#?}");
        assert_eq!(report.checks["dmarc"].word, "p=reject");
    }
}

#[tokio::test]
async fn fixes_are_records_to_paste() {
    for (record, rule, name, value) in [
        (
            "v=DMARC1; p=none; np=reject; rua=mailto:d@e.example",
            "dmarc.p_none",
            "_dmarc.e.example",
            "v=DMARC1; p=quarantine; np=reject; t=y; rua=mailto:d@e.example",
        ),
        ("v=DMARC1; p=reject", "dmarc.no_rua", "_dmarc.e.example", "v=DMARC1; p=reject; rua=mailto:dmarc@e.example"),
        (
            "v=DMARC1; p=reject; sp=none; np=none; rua=mailto:d@e.example",
            "dmarc.sp_weaker",
            "_dmarc.e.example",
            "v=DMARC1; p=reject; sp=reject; np=none; rua=mailto:d@e.example",
        ),
        ("v=DMARC1; p=reject; t=y; rua=mailto:d@e.example", "dmarc.test_mode", "_dmarc.e.example", "v=DMARC1; p=reject; rua=mailto:d@e.example"),
        (
            "v=DMARC1; p=quarantine; rua=mailto:d@e.example",
            "dmarc.np_missing",
            "_dmarc.e.example",
            "v=DMARC1; p=quarantine; np=reject; rua=mailto:d@e.example",
        ),
        ("v=DMARC1; p=reject, rua=mailto:d@e.example", "dmarc.syntax", "_dmarc.e.example", "v=DMARC1; p=reject; rua=mailto:d@e.example"),
        ("v=DMARC1; p=none; rau=mailto:d@e.example", "dmarc.unknown_tag", "_dmarc.e.example", "v=DMARC1; p=none; rua=mailto:d@e.example"),
        ("v=DMARC1; p=none; rua=mailto:d@shy.example", "dmarc.rua_external_unauthorised", "e.example._report._dmarc.shy.example", "v=DMARC1"),
    ] {
        let report = run(record).await;
        let fix = report.findings.iter().find(|finding| finding.rule == rule).unwrap().record.as_ref().unwrap();
        assert_eq!((fix.name.as_str(), fix.value.as_str(), fix.kind.as_str()), (name, value, "TXT"), "{record}");
    }
    let report = run("v=DMARC1; p=none; rua=mailto:a@e.example,d@e.example").await;
    let found = report.findings.iter().find(|finding| finding.rule == "dmarc.rua_syntax").unwrap();
    assert!(found.summary.contains("“mailto:” is missing before the address (character 42, “d@e.example”)"), "{}", found.summary);
    assert!(
        found.record.as_ref().unwrap().value.ends_with("rua=mailto:a@e.example,mailto:d@e.example")
            && found.fix.contains("each address with mailto:")
    );
    // A word that is no policy: which one was meant is not ours to say.
    let report = run("v=DMARC1; p=quarantin; rua=mailto:d@e.example; ri=60").await;
    assert!(report.findings.iter().all(|finding| finding.record.is_none()), "{report:#?}");
    let found = report.findings.iter().find(|finding| finding.rule == "dmarc.syntax").unwrap();
    assert!(found.fix.contains("Which policy was meant has to be decided by you"), "{}", found.fix);
}

#[tokio::test]
async fn organisations_within_one_public_suffix_are_told_apart_by_their_records() {
    // By the public suffix list both are lab.test; nobody publishes a record there.
    let world = [
        ("_dmarc.null.lab.test", "TXT v=DMARC1; p=reject; rua=mailto:d@cust.lab.test"),
        ("cust.lab.test", "MX 10 mx.e.example"),
        ("_dmarc.cust.lab.test", "TXT v=DMARC1; p=reject; rua=mailto:d@cust.lab.test"),
    ];
    let audit = async |more: &[(&str, &str)], others: &[(&str, Say)]| {
        run_at("null.lab.test", &[&world[..], more].concat(), others, &AuditOptions::default()).await
    };
    let report = audit(&[], &[]).await;
    let found = report.findings.iter().find(|finding| finding.rule == "dmarc.rua_external_unauthorised").unwrap();
    assert_eq!((found.severity, found.record.as_ref().unwrap().name.as_str()), (Severity::Medium, "null.lab.test._report._dmarc.cust.lab.test"));
    let fires = |report: &AuditReport| rules(report).contains(&"dmarc.rua_external_unauthorised");
    // It agrees; a record above makes one organisation of them; whether there is one could not be told.
    assert!(!fires(&audit(&[("null.lab.test._report._dmarc.cust.lab.test", "TXT v=DMARC1")], &[]).await));
    assert!(!fires(&audit(&[("_dmarc.lab.test", "TXT v=DMARC1; p=reject")], &[]).await));
    // The other way round: a record at the suffix makes one organisation of what the list tells apart.
    let audit = async |more: &[(&str, &str)], others: &[(&str, Say)]| {
        let own = ("_dmarc.e.example", "TXT v=DMARC1; p=reject; rua=mailto:d@shy.example");
        run_at("e.example", &[&[own], more].concat(), others, &AuditOptions::default()).await
    };
    let suffix = ("_dmarc.example", "TXT v=DMARC1; p=reject");
    for (more, severity, words) in [
        (&[suffix][..], Severity::Medium, "tell organisations apart by the public suffix list"),
        (&[], Severity::High, "receivers send none"),
        (&[("_dmarc.example", "TXT v=DMARC1; p=reject; psd=y")], Severity::High, "receivers send none"),
    ] {
        let report = audit(more, &[]).await;
        let found = report.findings.iter().find(|finding| finding.rule == "dmarc.rua_external_unauthorised").unwrap();
        assert!(found.severity == severity && found.summary.contains(words), "{more:?}: {found:#?}");
    }
    let untold = audit(&[suffix], &[("_dmarc.shy.example", Say::Code(ResponseCode::ServFail))]).await;
    assert!(!fires(&untold) && untold.unknown.iter().any(|part| part.subject == "dmarc.rua_external_unauthorised"), "{untold:#?}");
    let agreed = [suffix, ("e.example._report._dmarc.shy.example", "TXT v=DMARC1")];
    assert!(!fires(&audit(&agreed, &[]).await));
}

#[tokio::test]
async fn whose_a_host_is_may_not_be_told() {
    let world = [
        ("_dmarc.null.lab.test", "TXT v=DMARC1; p=reject; rua=mailto:d@cust.lab.test"),
        ("cust.lab.test", "MX 10 mx.e.example"),
        ("_dmarc.cust.lab.test", "TXT v=DMARC1; p=reject; rua=mailto:d@cust.lab.test"),
    ];
    let untold = run_at("null.lab.test", &world, &[("_dmarc.lab.test", Say::Code(ResponseCode::ServFail))], &AuditOptions::default()).await;
    let fires = |report: &AuditReport| rules(report).contains(&"dmarc.rua_external_unauthorised");
    assert!(!fires(&untold) && untold.unknown.iter().any(|part| part.subject == "dmarc.rua_external_unauthorised"), "{untold:#?}");
}

#[tokio::test]
async fn p_none_counts_the_same_whether_its_age_is_known_or_not() {
    const RECORD: &str = "v=DMARC1; p=none; rua=mailto:d@e.example";
    for (record, days, severity, words) in [
        (RECORD, Some(400), Severity::Medium, ", since 20"),
        (RECORD, Some(91), Severity::Medium, ", since 20"),
        (RECORD, Some(30), Severity::Medium, ", since 20"),
        (RECORD, None, Severity::Medium, "forged mail is delivered"),
        ("v=DMARC1; p=none", Some(400), Severity::Medium, "forged mail is delivered"),
    ] {
        let mut options = AuditOptions::default();
        if let Some(days) = days {
            options.known.records.insert("dmarc".to_owned(), vec![(record.to_owned(), Utc::now() - TimeDelta::days(days))]);
        }
        let report = run_at("e.example", &[("_dmarc.e.example", &format!("TXT {RECORD}"))], &[], &options).await;
        let found = report.findings.iter().find(|finding| finding.rule == "dmarc.p_none").unwrap();
        assert_eq!((found.severity, found.summary.contains(words)), (severity, true), "{days:?} {}", found.summary);
        assert_eq!(found.why.contains("right first step"), days == Some(30));
    }
}

#[tokio::test]
async fn the_record_in_force_is_found() {
    const TWO: [(&str, &str); 2] = [("_dmarc.sub.e.example", "TXT v=DMARC1; p=none"), ("_dmarc.sub.e.example", "TXT v=DMARC1; p=reject")];
    let parent = |text| ("_dmarc.e.example", text);
    for (records, fires, owner, policy, word) in [
        (vec![parent("TXT v=DMARC1; p=reject")], vec![], "e.example", "reject", "p=reject"),
        (vec![parent("TXT v=DMARC1; p=reject; sp=none")], vec!["dmarc.p_none"], "e.example", "none", "p=none"),
        (vec![parent("TXT v=DMARC1; p=none; sp=reject")], vec![], "e.example", "reject", "p=reject"),
        (vec![parent("TXT v=DMARC1; p=reject; t=y")], vec!["dmarc.test_mode"], "e.example", "reject", "p=reject"),
        (vec![parent("TXT v=DMARC1; rua=mailto:d@e.example")], vec!["dmarc.p_missing"], "e.example", "none", "p missing"),
        (vec![parent("TXT v=DMARC1; p=reject; sp=rejct")], vec!["dmarc.syntax"], "e.example", "none", "p=none"),
        // What bears on the parent alone is not told here.
        (vec![parent("TXT v=DMARC1; p=reject; pct=5; ri=5; x=1; ruf=mailto:d@e.example")], vec![], "e.example", "reject", "p=reject"),
        (vec![TWO[0], TWO[1], parent("TXT v=DMARC1; p=reject")], vec!["dmarc.multiple_records"], "e.example", "reject", "Error"),
        (vec![TWO[0], TWO[1]], vec!["dmarc.multiple_records"], "sub.e.example", "", "Error"),
        (
            vec![parent("TXT v=DMARC1; p=none"), parent("TXT v=DMARC1; p=reject")],
            vec!["dmarc.missing", "dmarc.multiple_records"],
            "sub.e.example",
            "",
            "Missing",
        ),
        (vec![("_dmarc.example", "TXT v=DMARC1; p=reject; psd=y; np=none")], vec!["dmarc.missing"], "example", "reject", "p=reject"),
        (vec![("_dmarc.example", "TXT v=DMARC1; p=reject")], vec!["dmarc.missing", "dmarc.org_domain_differs"], "example", "reject", "p=reject"),
        (vec![], vec!["dmarc.missing"], "sub.e.example", "", "Missing"),
    ] {
        let report = run_at("sub.e.example", &records, &[], &AuditOptions::default()).await;
        let mut seen = rules(&report);
        seen.sort_unstable();
        assert_eq!(seen, fires, "{records:?}: {:#?}", report.findings);
        assert_eq!((detail(&report).owner.as_str(), detail(&report).policy.as_str()), (owner, policy), "{records:?}");
        assert_eq!(report.checks["dmarc"].word, word, "{records:?}");
        let about = |subject: &str| subject == "sub.e.example" || subject == "_dmarc.sub.e.example";
        assert!(report.findings.iter().all(|finding| about(&finding.subject)), "{:#?}", report.findings);
        sound(&report);
    }
    let inherited = run_at("sub.e.example", &[parent("TXT v=DMARC1; p=none; rua=mailto:d@e.example")], &[], &AuditOptions::default()).await;
    assert_eq!(inherited.records["dmarc"], ["_dmarc.e.example: v=DMARC1; p=none; rua=mailto:d@e.example"]);
    let step = detail(&inherited).path.iter().find(|step| !step.done).unwrap();
    assert!(step.text.contains("whoever runs e.example publishes it") && step.record.as_ref().unwrap().name == "_dmarc.e.example");
}

#[tokio::test]
async fn a_name_that_does_not_exist_has_the_policy_of_its_parents() {
    for (parent, policy) in [("p=none; np=reject", "reject"), ("p=none; sp=quarantine", "quarantine"), ("p=none", "none")] {
        let parent = format!("TXT v=DMARC1; {parent}");
        let report = run_at("gone.e.example", &[("_dmarc.e.example", &parent)], &[], &AuditOptions::default()).await;
        assert!(report.findings.is_empty() && report.unknown.is_empty(), "{report:#?}");
        assert_eq!((detail(&report).policy.as_str(), report.checks["dmarc"].word.as_str()), (policy, "No such domain"));
    }
    assert_eq!(run_at("gone.e.example", &[], &[], &AuditOptions::default()).await.detail.dmarc, None);
}

#[tokio::test]
async fn who_does_not_answer_leaves_it_open() {
    let fail = |name| [(name, Say::Code(ResponseCode::ServFail))];
    for (name, records, unknown) in [
        ("_dmarc.sub.e.example", vec![], true),
        ("_dmarc.e.example", vec![], true),
        ("_dmarc.example", vec![], true),
        ("_dmarc.e.example", vec![("_dmarc.sub.e.example", "TXT v=DMARC1; p=reject; rua=mailto:d@e.example")], false),
        ("_dmarc.example", vec![("_dmarc.e.example", "TXT v=DMARC1; p=reject")], false),
    ] {
        let report = run_at("sub.e.example", &records, &fail(name), &AuditOptions::default()).await;
        assert!(report.findings.is_empty(), "{name} {records:?}: {:#?}", report.findings);
        assert_eq!(report.unknown.iter().any(|part| part.subject == "dmarc" && part.reason.starts_with(name)), unknown, "{name} {records:?}");
        assert_eq!(report.checks["dmarc"].word, if unknown { "No answer" } else { "p=reject" });
    }
    let record = [("_dmarc.e.example", "TXT v=DMARC1; p=reject; rua=mailto:d@mute.example")];
    let report = run_at("e.example", &record, &fail("e.example._report._dmarc.mute.example"), &AuditOptions::default()).await;
    assert_eq!(rules(&report), ["dmarc.rua_no_mx"]);
    assert!(report.unknown.is_empty(), "who takes no mail need not agree to any: {:?}", report.unknown);
    let alive = [record[0], ("mute.example", "MX 10 mx.mute.example")];
    let report = run_at("e.example", &alive, &fail("e.example._report._dmarc.mute.example"), &AuditOptions::default()).await;
    assert!(report.unknown.iter().any(|part| part.reason.starts_with("e.example._report._dmarc.mute.example")), "{:?}", report.unknown);
}

/// One host that takes no mail is one mistake, whatever is sent there; two are two, and cost once all the same.
#[tokio::test]
async fn a_dead_report_host_is_one_finding_and_costs_once() {
    let at = async |record: &str| run(&format!("v=DMARC1; p=reject; {record}")).await;
    let one = at("rua=mailto:d@gone.example").await;
    for (record, findings, names) in [
        ("rua=mailto:d@gone.example; ruf=mailto:f@gone.example", 1, vec!["rua=mailto:d@gone.example and ruf=mailto:f@gone.example"]),
        ("rua=mailto:d@gone.example,mailto:e@GONE.example", 1, vec!["rua=mailto:d@gone.example and rua=mailto:e@GONE.example"]),
        ("rua=mailto:d@gone.example; ruf=mailto:f@gone2.example", 2, vec!["rua=mailto:d@gone.example", "ruf=mailto:f@gone2.example"]),
    ] {
        let report = at(record).await;
        let lost: Vec<&Finding> = report.findings.iter().filter(|finding| finding.rule != "dmarc.ruf_privacy").collect();
        assert_eq!(lost.len(), findings, "{record}: {:#?}", report.findings);
        for (finding, names) in lost.iter().zip(names) {
            assert!(finding.rule == "dmarc.rua_no_mx" && finding.summary.ends_with(names), "{record}: {finding:?}");
        }
        let points = |report: &AuditReport| report.lost.iter().filter(|lost| lost.rule.starts_with("dmarc.rua_")).map(|lost| lost.points).sum::<u8>();
        assert_eq!((points(&report), points(&one)), (20, 20), "{record}");
    }
}

#[tokio::test]
async fn a_wildcard_permits_reports_and_many_addresses_have_an_end() {
    let record = ("_dmarc.e.example", "TXT v=DMARC1; p=reject; rua=mailto:d@w.example");
    let world = [record, ("w.example", "MX 10 mx.w.example"), ("*._report._dmarc.w.example", "TXT v=DMARC1;")];
    let report = run_at("e.example", &world, &[], &AuditOptions::default()).await;
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    let report = run_at("e.example", &world[..2], &[], &AuditOptions::default()).await;
    assert_eq!(rules(&report), ["dmarc.rua_external_unauthorised"]);
    // A subdomain's reports are permitted under the name that publishes the record: its own audit has nothing to ask.
    let report = run_at("sub.e.example", &world[..2], &[], &AuditOptions::default()).await;
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    let many: Vec<String> = (0..20).map(|at| format!("mailto:d@h{at}.e.example")).collect();
    let report = run(&format!("v=DMARC1; p=reject; rua={}", many.join(",|"))).await;
    assert_eq!(rules(&report), ["dmarc.rua_no_mx"; 10]);
    let report = run(&format!("v=DMARC1; p=reject; rua=mailto:d@e.example{}", ",d".repeat(60))).await;
    assert_eq!(rules(&report), ["dmarc.rua_syntax"; 5]);
}

#[tokio::test]
async fn methods_that_disagree_are_told() {
    const OWN: (&str, &str) = ("_dmarc.sub.e.example", "TXT v=DMARC1; p=reject; rua=mailto:d@e.example");
    for (records, differs) in [
        (vec![OWN], true),
        (vec![OWN, ("_dmarc.e.example", "TXT v=DMARC1; p=none")], false),
        (vec![OWN, ("_dmarc.example", "TXT v=DMARC1; p=none; psd=y")], false),
        (vec![("_dmarc.sub.e.example", "TXT v=DMARC1; p=reject; psd=n"), ("_dmarc.e.example", "TXT v=DMARC1; p=none")], true),
        (vec![], false),
    ] {
        let report = run_at("sub.e.example", &records, &[], &AuditOptions::default()).await;
        assert_eq!(rules(&report).contains(&"dmarc.org_domain_differs"), differs, "{records:?}");
        sound(&report);
    }
}

#[tokio::test]
async fn sp_and_np_count_at_the_organisation_only() {
    let records =
        [("_dmarc.sub.e.example", "TXT v=DMARC1; p=quarantine; sp=none"), ("_dmarc.e.example", "TXT v=DMARC1; p=none; sp=reject; np=quarantine")];
    let report = run_at("sub.e.example", &records, &[], &AuditOptions::default()).await;
    assert!(!rules(&report).iter().any(|rule| ["dmarc.sp_weaker", "dmarc.np_missing"].contains(rule)), "{:?}", rules(&report));
    let seen = detail(&report);
    assert_eq!((seen.policy.as_str(), seen.subdomains.as_deref(), seen.nonexistent.as_deref()), ("quarantine", Some("reject"), Some("quarantine")));
    assert_eq!(seen.path.len(), 5);
}

#[tokio::test]
async fn wildcards_are_told_where_they_answer_for_dmarc() {
    const OWN: (&str, &str) = ("_dmarc.e.example", "TXT v=DMARC1; p=reject");
    for (records, words) in [
        (vec![OWN], None),
        // Its own record hides the wildcard, and receivers discard what it says of other names.
        (vec![("*.e.example", "TXT v=spf1 -all"), OWN], None),
        (vec![("*.e.example", "TXT v=spf1 -all"), ("_dmarc.e.example", "A 203.0.113.1")], None),
        (vec![("*.e.example", "TXT v=spf1 -all")], Some("answers for _dmarc, where no record of its own stands, with “v=spf1 -all”")),
        (vec![("*.e.example", "TXT v=DMARC1; p=none")], Some("answers for every _dmarc name under it with “v=DMARC1; p=none”")),
        (vec![("*.e.example", "TXT v=DMARC1; p=none"), OWN], Some("every _dmarc name")),
    ] {
        let report = run_at("e.example", &records, &[], &AuditOptions::default()).await;
        let found = report.findings.iter().find(|finding| finding.rule == "dmarc.cname_or_wildcard");
        assert_eq!(found.is_some(), words.is_some(), "{records:?}: {:#?}", report.findings);
        assert!(words.is_none_or(|words| found.unwrap().summary.contains(words)), "{found:#?}");
    }
}

#[tokio::test]
async fn questions_that_fail_leave_findings_open() {
    let fail = |name| [(name, Say::Code(ResponseCode::ServFail))];
    // A record at a wrong name may be there still; that there is none at the right one is proven all the same.
    let report = run_at("e.example", &[], &fail("dmarc.e.example"), &AuditOptions::default()).await;
    assert_eq!(rules(&report), ["dmarc.missing"]);
    assert!(report.unknown.iter().any(|part| part.subject == "dmarc.wrong_location"), "{:?}", report.unknown);
    // Whose organisation it is decides whether its sp and np are read.
    let own = [("_dmarc.sub.e.example", "TXT v=DMARC1; p=reject; sp=none; rua=mailto:d@e.example")];
    let report = run_at("sub.e.example", &own, &fail("_dmarc.e.example"), &AuditOptions::default()).await;
    assert_eq!(rules(&report), Vec::<&str>::new(), "{:#?}", report.findings);
    let untold: Vec<&str> = report.unknown.iter().map(|part| part.subject.as_str()).collect();
    assert_eq!(untold, ["dmarc.rua_external_unauthorised", "dmarc.org_domain_differs", "dmarc.sp_weaker", "dmarc.np_missing"]);
}

#[derive(Debug)]
struct Stopped(DateTime<Utc>);

impl crate::net::Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

#[tokio::test]
async fn how_long_it_watches_is_by_the_clock_of_the_audit() {
    let record = "v=DMARC1; p=none; rua=mailto:d@e.example";
    let since = Utc::now();
    let server = Server::start(&[WORLD, &[("_dmarc.e.example", &format!("TXT {record}"))]].concat(), &[]).await;
    for (days, early) in [(30, true), (91, false)] {
        let clock = Arc::new(Stopped(since + TimeDelta::days(days)));
        let net = Net::new(crate::net::NetConfig { resolvers: vec![server.address], clock, ..Default::default() }).unwrap();
        let known = Known { records: [("dmarc".to_owned(), vec![(record.to_owned(), since)])].into(), ..Known::default() };
        let options = AuditOptions { known, ..AuditOptions::default() };
        let report = audit_families(&net, &"e.example".parse().unwrap(), &options, &[Family::Dmarc]).await;
        let found = report.findings.iter().find(|finding| finding.rule == "dmarc.p_none").unwrap();
        assert_eq!((found.severity, found.why.contains("right first step")), (Severity::Medium, early), "{days}");
    }
}

#[tokio::test]
async fn the_detail_tells_what_is_in_force() {
    let report = run("v=DMARC1; p=reject; sp=quarantine; t=y; adkim=s; rua=mailto:d@e.example,mailto:x@r.example!5m").await;
    let seen = detail(&report);
    assert_eq!((seen.owner.as_str(), seen.policy.as_str(), seen.testing), ("e.example", "reject", true));
    assert_eq!((seen.subdomains.as_deref(), seen.nonexistent.as_deref()), (Some("quarantine"), Some("quarantine")));
    assert_eq!((seen.dkim_alignment.as_str(), seen.spf_alignment.as_str()), ("strict", "relaxed"));
    assert_eq!(seen.reports, ["d@e.example", "x@r.example"]);
    assert_eq!(seen.path.iter().map(|step| step.done).collect::<Vec<_>>(), [true, true, true, true, false, false]);
    let report = run_at("e.example", &[], &[], &AuditOptions::default()).await;
    assert_eq!(detail(&report).path[0].record.as_ref().unwrap().value, "v=DMARC1; p=none; rua=mailto:dmarc@e.example");
    let closed = [("p.example", "TXT v=spf1 -all"), ("_dmarc.p.example", "TXT v=DMARC1; p=reject; adkim=s; aspf=s")];
    let parked = run_at("p.example", &closed, &[], &AuditOptions::default()).await;
    assert!(parked.findings.is_empty() && detail(&parked).path.iter().all(|step| step.done), "{parked:#?}");
    let parked = run_at("p.example", &[("p.example", "TXT v=spf1 -all")], &[], &AuditOptions::default()).await;
    assert_eq!(detail(&parked).path.iter().map(|step| step.record.as_ref().unwrap().value.as_str()).collect::<Vec<_>>(), ["v=DMARC1; p=reject"]);
}
