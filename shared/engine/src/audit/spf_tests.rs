//! Audits of SPF records against a small name server: what each rule fires on and what it leaves alone, the tree, and the proposal.
#![allow(clippy::unwrap_used)]

use hickory_proto::op::ResponseCode;
use waypost_types::{
    Finding, Severity,
    audit::{SpfDetail, SpfNode},
};

use super::*;
use crate::net::{
    RecordType,
    tests::{Say, Server},
};

/// Names that every case has beside its own.
const WORLD: &[(&str, &str)] = &[
    ("e.example", "MX 10 mx.e.example"),
    ("mx.e.example", "A 203.0.113.5"),
    ("mx.e.example", "TXT v=spf1 a -all"),
    ("five.example", "TXT v=spf1 a:h1.five.example a:h2.five.example a:h3.five.example include:nets.five.example -all"),
    ("h1.five.example", "A 203.0.113.11"),
    ("h2.five.example", "A 203.0.113.12"),
    ("h3.five.example", "AAAA 2001:db8:3::3"),
    ("nets.five.example", "TXT v=spf1 ip4:203.0.113.64/27 ip4:203.0.113.96/27 -all"),
    ("macro.example", "TXT v=spf1 exists:%{i}.macro.example a:h1.five.example a:h2.five.example -all"),
    ("none.example", "TXT hello"),
    ("in.example", "TXT v=spf1 redirect=open.example"),
    ("open.example", "TXT v=spf1 ALL"),
    ("neutral.example", "TXT v=spf1 ?all"),
    ("endless.example", "TXT v=spf1 ip4:203.0.113.5"),
    ("soft.example", "TXT v=spf1 ip4:203.0.113.5 ~ALL"),
    ("broken.example", "TXT v=spf1 ip4:1.2.3 -all"),
    ("gone.reg.example", "A 203.0.113.9"),
    ("reg.example", "A 203.0.113.9"),
];

pub(super) async fn run(records: &[(&str, &str)], others: &[(&str, Say)], options: &AuditOptions) -> AuditReport {
    let server = Server::start(&[WORLD, records].concat(), others).await;
    audit_families(&server.net(), &"e.example".parse().unwrap(), options, &[Family::Spf]).await
}

pub(super) async fn spf(record: &str) -> AuditReport {
    run(&[("e.example", record)], &[], &AuditOptions::default()).await
}

pub(super) fn rules(report: &AuditReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.rule.as_str()).collect()
}

fn detail(report: &AuditReport) -> &SpfDetail {
    report.detail.spf.as_ref().unwrap()
}

/// A rule, a record that it fires on, and one that it leaves alone.
pub(super) const CASES: &[(&str, &str, &str)] = &[
    ("spf.syntax", "TXT v=spf1 ipv4:192.0.2.1 -all", "TXT v=spf1 mx -all"),
    ("spf.syntax", "TXT v=spf1 mx include:broken.example -all", "TXT v=spf1 mx -all"),
    ("spf.duplicate_modifier", "TXT v=spf1 mx redirect=a.example redirect=b.example", "TXT v=spf1 mx x=1 x=2 -all"),
    ("spf.duplicate_mechanism", "TXT v=spf1 mx mx -all", "TXT v=spf1 mx a:mx.e.example -all"),
    ("spf.overlap", "TXT v=spf1 mx ip4:8.8.8.0/24 ip4:8.8.8.8 -all", "TXT v=spf1 mx ip4:8.8.8.8 ip4:8.8.4.4 -all"),
    ("spf.too_long_string", "TXT v=spf1 ip4:8.8.8.8|ip4:8.8.4.4 -all", "TXT v=spf1 ip4:8.8.8.8| ip4:8.8.4.4 -all"),
    ("spf.too_long_string", "TXT v=spf1|mx -all", "TXT v=spf1| mx -all"),
    ("spf.type99", "SPF v=spf1 -all", "TXT v=spf1 mx -all"),
    ("spf.softfail_only", "TXT v=spf1 mx ~all", "TXT v=spf1 mx -all"),
    ("spf.unknown_service", "TXT v=spf1 mx include:spf.lapsed.test -all", "TXT v=spf1 mx include:nets.five.example -all"),
    // The name is gone, its registered domain is not.
    ("spf.unknown_service", "TXT v=spf1 mx a:lapsed.test -all", "TXT v=spf1 mx a:none.reg.example -all"),
    ("spf.unknown_service", "TXT v=spf1 redirect=lapsed.test", "TXT v=spf1 mx a:none.e.example -all"),
    ("spf.include_no_record", "TXT v=spf1 mx include:none.example -all", "TXT v=spf1 mx include:nets.five.example -all"),
    ("spf.include_loop", "TXT v=spf1 mx include:e.example -all", "TXT v=spf1 mx include:five.example -all"),
    ("spf.void_lookups", "TXT v=spf1 a:x1.e.example a:x2.e.example mx:x3.e.example -all", "TXT v=spf1 mx a:x1.e.example a:x2.e.example -all"),
    // A name that can not be is asked for all the same.
    ("spf.void_lookups", "TXT v=spf1 mx a:x..e.example mx:y..e.example exists:z..e.example -all", "TXT v=spf1 mx a:x..e.example a:y..e.example -all"),
    // Only one family is missing, and what stands after “all” is not asked.
    ("spf.void_lookups", "TXT v=spf1 a a a -all", "TXT v=spf1 a:h3.five.example a:h3.five.example a:h1.five.example a:h2.five.example -all a a a"),
    (
        "spf.too_many_lookups",
        "TXT v=spf1 mx include:five.example include:five.example -all",
        "TXT v=spf1 mx include:five.example -all include:five.example",
    ),
    ("spf.lookups_near_limit", "TXT v=spf1 mx mx mx include:five.example -all", "TXT v=spf1 mx include:five.example -all"),
    ("spf.ptr_used", "TXT v=spf1 mx ptr -all", "TXT v=spf1 mx -all"),
    ("spf.host_not_allowed", "TXT v=spf1 ip4:8.8.8.8 -all", "TXT v=spf1 mx -all"),
    ("spf.host_not_allowed", "TXT v=spf1 ip4:8.8.8.8 ~all", "TXT v=spf1 -all"),
    // What is not read lets nobody send.
    ("spf.host_not_allowed", "TXT v=spf1 redirect=five.example", "TXT v=spf1 -all redirect=five.example"),
    ("spf.host_not_allowed", "TXT v=spf1 ?a ip4:8.8.8.8 -all", "TXT v=spf1 -a -all mx"),
    ("spf.terms_after_all", "TXT v=spf1 -all mx", "TXT v=spf1 mx -all"),
    ("spf.redirect_with_all", "TXT v=spf1 mx -all redirect=five.example", "TXT v=spf1 mx redirect=five.example"),
    ("spf.plus_all", "TXT v=spf1 mx +all", "TXT v=spf1 mx -all"),
    ("spf.neutral_all", "TXT v=spf1 mx ?all", "TXT v=spf1 mx -all"),
    ("spf.no_all", "TXT v=spf1 mx", "TXT v=spf1 mx -all"),
    ("spf.plus_all", "TXT v=spf1 mx redirect=open.example", "TXT v=spf1 mx redirect=five.example"),
    ("spf.plus_all", "TXT v=spf1 mx include:in.example -all", "TXT v=spf1 mx ?include:open.example -all"),
    ("spf.plus_all", "TXT v=spf1 mx ip4:0.0.0.0/0 -all", "TXT v=spf1 mx -all include:open.example"),
    ("spf.neutral_all", "TXT v=spf1 redirect=neutral.example", "TXT v=spf1 mx include:neutral.example -all"),
    ("spf.no_all", "TXT v=spf1 redirect=endless.example", "TXT v=spf1 redirect=none.example"),
    ("spf.plus_all", "TXT v=spf1 mx exists:mx.e.example -all", "TXT v=spf1 mx exists:%{i}.e.example ?exists:mx.e.example -all"),
    ("spf.wide_network", "TXT v=spf1 mx a:reg.example/8 -all", "TXT v=spf1 mx a:reg.example/16 ?a:reg.example/8 -all"),
    ("spf.syntax", "TXT v=spf1 mx a:x..e.example -all", "TXT v=spf1 mx a:x.e.example -all"),
    ("spf.syntax", "TXT v=spf1 mx V=SPF1 a:reg.example -all", "TXT v=spf1 mx v=1 a:reg.example -all"),
    ("spf.softfail_only", "TXT v=spf1 redirect=soft.example", "TXT v=spf1 include:soft.example -all"),
];

#[tokio::test]
async fn rules_fire_on_what_they_are_for_and_on_nothing_else() {
    for (rule, bad, good) in CASES {
        assert!(rules(&spf(bad).await).contains(rule), "{rule} on {bad}: {:?}", rules(&spf(bad).await));
        assert!(!rules(&spf(good).await).contains(rule), "{rule} on {good}: {:?}", rules(&spf(good).await));
    }
}

#[tokio::test]
async fn a_record_that_begins_wrongly_is_told_from_none() {
    for (record, said, proposed) in [
        ("TXT v=spf1include:five.example mx ~all", "a space is missing after v=spf1", Some("v=spf1 include:five.example mx ~all")),
        ("TXT \"v=spf1 mx -all\"", "quotes stand before", Some("v=spf1 mx -all")),
        ("TXT v=spf1;mx;-all", "a space is missing after v=spf1", Some("v=spf1 mx -all")),
        // What would let everybody send is nobody's to propose, nor what can only be guessed at.
        ("TXT v=spf1+all", "a space is missing", None),
        ("TXT v=spf1mx nonsense", "a space is missing", None),
        ("TXT hello", "e.example has no SPF record", Some("v=spf1 mx ~all")),
    ] {
        let report = spf(record).await;
        let found = report.findings.iter().find(|finding| finding.rule == "spf.missing").unwrap();
        assert!(found.summary.contains(said), "{record}: {found:?}");
        assert_eq!(found.record.as_ref().map(|record| record.value.as_str()), proposed, "{record}: {found:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_called_no_include() {
    for record in ["TXT v=spf1 redirect=none.example", "TXT v=spf1 redirect=broken.example", "TXT v=spf1 redirect=e.example"] {
        let report = spf(record).await;
        let found = report.findings.iter().find(|finding| finding.severity == Severity::Critical).unwrap();
        assert!(found.summary.contains("leads to") && !found.summary.contains("include"), "{record}: {found:?}");
    }
}

#[tokio::test]
async fn two_records_in_one_are_taken_apart() {
    let report = spf("TXT v=spf1 mx v=spf1 a:reg.example -all").await;
    let found = report.findings.iter().find(|finding| finding.rule == "spf.syntax").unwrap();
    assert_eq!((found.severity, found.record.as_ref().map(|record| record.value.as_str())), (Severity::Low, Some("v=spf1 mx a:reg.example -all")));
    let named = spf("TXT v=spf1 a a a mx mx ip4:8.8.8.8 ip4:8.8.8.8 a:h1.five.example a:h1.five.example -all").await;
    let found = named.findings.iter().find(|finding| finding.rule == "spf.duplicate_mechanism").unwrap();
    assert!(found.summary.contains("says “a”, “mx”, “ip4:8.8.8.8” and another term more than once"), "{found:?}");
}

#[tokio::test]
async fn a_mistake_is_named_with_its_character() {
    let report = spf("TXT v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all").await;
    assert!(report.findings[0].summary.contains("“ipv4:192.0.2.2” at character 22"), "{}", report.findings[0].summary);
    assert!(detail(&report).tree.problem.as_ref().unwrap().contains("character 22"));
}

#[tokio::test]
async fn all_mistakes_are_named_each_with_its_place() {
    let report = spf("TXT v=spf1 ipv4:192.0.2.1 mx all:xy  inklude:x.example -all redirect=a.example redirect=b.example").await;
    assert_eq!(rules(&report)[..2], ["spf.duplicate_modifier", "spf.syntax"]);
    let (twice, wrong) = (&report.findings[0], &report.findings[1]);
    for said in ["“ipv4:192.0.2.1” at character 8: ", "“all:xy” at character 26: ", "“inklude:x.example” at character 34: "] {
        assert!(wrong.summary.contains(said), "{}", wrong.summary);
    }
    assert!(wrong.fix.starts_with("Correct all of them, 3 terms") && twice.summary.contains("“redirect=b.example” at character 76"), "{report:#?}");
    assert!(wrong.record.is_none() && wrong.fix.contains("decided by you"), "{wrong:?}");
    let many = spf(&format!("TXT v=spf1{} -all", " x:y".repeat(20))).await;
    assert!(many.findings[0].fix.contains("at least 10 terms"), "{many:?}");
    let odd = spf("TXT v=spf1 mx ïnclude:x.example q -all").await;
    assert!(odd.findings[0].summary.contains("at character 11: it has characters that are not ASCII; “q” at character 29"), "{odd:?}");
}

#[tokio::test]
async fn a_soft_fail_is_enough_where_dmarc_enforces_or_can_not_be_told() {
    for (dmarc, fires) in [("TXT v=DMARC1; p=none", true), ("TXT v=DMARC1; p=quarantine", false), ("TXT v=DMARC1; p=reject", false)] {
        let report = run(&[("e.example", "TXT v=spf1 mx ~all"), ("_dmarc.e.example", dmarc)], &[], &AuditOptions::default()).await;
        assert_eq!(rules(&report).contains(&"spf.softfail_only"), fires, "{dmarc}");
    }
    let mute = [("_dmarc.e.example", Say::Code(ResponseCode::ServFail))];
    let report = run(&[("e.example", "TXT v=spf1 mx ~all")], &mute, &AuditOptions::default()).await;
    assert!(!rules(&report).contains(&"spf.softfail_only"), "{:?}", rules(&report));
    assert!(report.unknown.iter().any(|part| part.subject == "spf.softfail_only"), "{:?}", report.unknown);
}

#[tokio::test]
async fn questions_that_fail_leave_findings_open() {
    let servfail = || Say::Code(ResponseCode::ServFail);
    let fails = |kind, record: &str| Say::FailsFor(kind, vec![record.to_owned()]);
    for (record, name, say, untold) in [
        // Whether the domain's own address may send.
        ("TXT v=spf1 ip4:203.0.113.5 -all", "e.example", None, "spf.host_not_allowed"),
        // Whether its MX host may, and whether that one's name has a policy.
        ("TXT v=spf1 include:mute.test -all", "mute.test", Some(servfail()), "spf.host_not_allowed"),
        ("TXT v=spf1 include:mute.test -all", "mute.test", Some(servfail()), "spf.helo_missing"),
        ("TXT v=spf1 a:mx2.e.example -all", "mx2.e.example", Some(fails(RecordType::TXT, "A 203.0.113.6")), "spf.helo_missing"),
        // Whether a name that it trusts is registered at all.
        ("TXT v=spf1 mx include:spf.lapsed.example -all", "lapsed.example", Some(servfail()), "spf"),
    ] {
        let (mut records, mut others) = (vec![], vec![]);
        match say {
            None => others.push((name, Say::FailsFor(RecordType::A, vec![record.to_owned(), "MX 10 mx.e.example".to_owned()]))),
            Some(say) => {
                records.extend([("e.example", record), ("e.example", "MX 20 mx2.e.example")]);
                others.push((name, say));
            }
        }
        let world: Vec<(&str, &str)> = WORLD.iter().copied().filter(|(owner, _)| others.iter().all(|(name, _)| name != owner)).collect();
        let server = Server::start(&[&world[..], &records].concat(), &others).await;
        let report = audit_families(&server.net(), &"e.example".parse().unwrap(), &AuditOptions::default(), &[Family::Spf]).await;
        assert!(!rules(&report).contains(&untold), "{record}: {report:#?}");
        assert!(report.unknown.iter().any(|part| part.subject == untold), "{record}: {report:#?}");
    }
}

#[tokio::test]
async fn a_resolver_that_fails_neither_opens_nor_closes_what_the_strings_say() {
    let long = format!("TXT v=spf1 mx x={}|{} -all", "x".repeat(220), "y".repeat(240));
    for record in ["TXT v=spf1 ip4:8.8.8.8|ip4:8.8.4.4 -all", long.as_str()] {
        let told = spf(record).await;
        let before: Vec<Finding> =
            told.findings.into_iter().filter(|finding| ["spf.too_long_string", "spf.record_too_big"].contains(&finding.rule.as_str())).collect();
        assert_eq!(before.len(), 1, "{record}");
        for say in [Say::Code(ResponseCode::ServFail), Say::FailsFor(RecordType::TXT, vec!["MX 10 mx.e.example".to_owned()])] {
            let world: Vec<(&str, &str)> = WORLD.iter().copied().filter(|(name, _)| *name != "e.example").collect();
            let server = Server::start(&world, &[("e.example", say)]).await;
            let report = audit_families(&server.net(), &"e.example".parse().unwrap(), &AuditOptions::default(), &[Family::Spf]).await;
            assert!(rules(&report).is_empty() && report.unknown.iter().any(|part| leaves_open(part, &before[0])), "{report:#?}");
        }
    }
}

/// One silent server costs its own branch: what the record says by itself and what other branches say is told in the time that there is.
#[tokio::test]
async fn an_include_that_never_answers_costs_no_more_than_itself() {
    let options = AuditOptions {
        deadline: Duration::from_secs(2),
        senders: vec![("192.0.2.9".parse().unwrap(), "named".to_owned())],
        ..AuditOptions::default()
    };
    let mute = [("mute.example", Say::Silence), ("_dmarc.e.example", Say::Silence)];
    let half = ("half.example", "TXT v=spf1 ip4:203.0.113.128/25 include:mute.example -all");
    for (record, rule, told) in [
        ("TXT v=spf1 mx ptr include:mute.example ?all", "spf.neutral_all", &["spf.neutral_all", "spf.ptr_used"][..]),
        ("TXT v=spf1 mx include:five.example include:half.example a a", "spf.no_all", &["spf.duplicate_mechanism", "spf.no_all"]),
        ("TXT v=spf1 mx mx include:mute.example ~all", "spf.duplicate_mechanism", &["spf.duplicate_mechanism"]),
        ("TXT v=spf1 mx mx redirect=mute.example", "spf.duplicate_mechanism", &["spf.duplicate_mechanism"]),
    ] {
        let report = run(&[("e.example", record), half], &mute, &options).await;
        assert!(rules(&report).contains(&rule) && told.iter().all(|rule| rules(&report).contains(rule)), "{record}: {report:#?}");
        assert_eq!(report.records["spf"], [record.strip_prefix("TXT ").unwrap()]);
        assert!(report.unknown.iter().any(|part| part.subject == "spf" && part.reason.starts_with("mute.example: ")), "{record}: {report:#?}");
        // The named sender may be in the silent branch; the MX host is let in before it.
        assert!(report.unknown.iter().any(|part| part.about.as_deref() == Some("192.0.2.9")), "{record}: {report:#?}");
        assert!(!rules(&report).contains(&"spf.softfail_only"), "{record}");
        let detail = detail(&report);
        assert!(detail.senders.iter().any(|sender| sender.address.to_string() == "203.0.113.5" && sender.result == "pass"), "{record}: {detail:#?}");
        assert_eq!(detail.tree.domain, "e.example");
        assert_eq!(report.checks["spf"].word, "Pass", "{record}");
    }
}

#[tokio::test]
async fn what_does_not_answer_is_unknown_and_no_finding() {
    let mute = [
        ("mute.test", Say::Code(ResponseCode::ServFail)),
        ("spf.mute.test", Say::Code(ResponseCode::ServFail)),
        ("hosts.mute.test", Say::Code(ResponseCode::Refused)),
    ];
    let report = run(
        &[("e.example", "TXT v=spf1 mx include:spf.mute.test a:hosts.mute.test mx:mute.test exists:mute.test -all")],
        &mute,
        &AuditOptions::default(),
    )
    .await;
    assert_eq!(rules(&report), [""; 0], "{report:#?}");
    assert_eq!(report.unknown.len(), 3, "{:?}", report.unknown);
    let tree = &detail(&report).tree;
    assert_eq!((tree.lookups, tree.void_lookups), (5, 0));
    assert!(tree.terms[1].policy.as_ref().unwrap().problem.as_ref().unwrap().contains("could not be told"));
}

#[tokio::test]
async fn the_tree_counts_each_branch_and_names_services() {
    let google = [
        ("_spf.google.com", "TXT v=spf1 include:_netblocks.google.com ~all"),
        ("_netblocks.google.com", "TXT v=spf1 ip4:35.190.247.0/24 ~all"),
        ("e.example", "TXT v=spf1 mx a:gone.e.example include:_spf.google.com ip4:35.190.0.0/16 ip4:35.190.247.9 exp=why.e.example -all a"),
    ];
    let report = run(&google, &[], &AuditOptions::default()).await;
    let tree = &detail(&report).tree;
    assert_eq!((tree.domain.as_str(), tree.lookups, tree.void_lookups, tree.service.as_deref()), ("e.example", 4, 1, None));
    let seen: Vec<(&str, u32, &str)> = tree.terms.iter().map(|term| (term.text.as_str(), term.lookups, term.note.as_deref().unwrap_or(""))).collect();
    assert_eq!(
        seen,
        [
            ("mx", 1, "1 host, 1 address"),
            ("a:gone.e.example", 1, "finds nothing: the name does not exist"),
            ("include:_spf.google.com", 2, ""),
            ("ip4:35.190.0.0/16", 0, ""),
            ("ip4:35.190.247.9", 0, "lies in ip4:35.190.0.0/16"),
            ("exp=why.e.example", 0, ""),
            ("-all", 0, ""),
            ("a", 0, "never read: “all” decides before it"),
        ]
    );
    let below: &SpfNode = tree.terms[2].policy.as_ref().unwrap();
    assert_eq!((below.service.as_deref(), below.lookups, below.terms[0].lookups), (Some("Google Workspace"), 1, 1));
    assert!(below.record.as_ref().unwrap().starts_with("v=spf1 include"));
    let twice = spf("TXT v=spf1 include:nets.five.example include:five.example -all").await;
    let again = detail(&twice).tree.terms[1].policy.as_ref().unwrap().terms[3].note.clone();
    assert!(again.unwrap().contains("again"));
    let redirected = spf("TXT v=spf1 redirect=five.example").await;
    let tree = &detail(&redirected).tree;
    assert_eq!((tree.lookups, tree.terms[0].lookups, tree.terms[0].policy.as_ref().unwrap().lookups), (5, 5, 4));
}

#[tokio::test]
async fn senders_are_looked_at_and_only_the_known_ones_must_pass() {
    let options = AuditOptions {
        senders: vec![
            ("203.0.113.5".parse().unwrap(), "watched address".to_owned()),
            ("198.51.100.7".parse().unwrap(), "watched address".to_owned()),
        ],
        ..AuditOptions::default()
    };
    let report = run(&[("e.example", "TXT v=spf1 mx -all")], &[], &options).await;
    assert_eq!(rules(&report), ["spf.sender_not_covered"]);
    let record = report.findings[0].record.as_ref().unwrap();
    assert_eq!(record.value, "v=spf1 mx ip4:198.51.100.7 -all");
    let seen: Vec<(String, &str, &str)> =
        detail(&report).senders.iter().map(|sender| (sender.address.to_string(), sender.origin.as_str(), sender.result.as_str())).collect();
    assert_eq!(seen, [("203.0.113.5".to_owned(), "watched address", "pass"), ("198.51.100.7".to_owned(), "watched address", "fail")]);
    let stranger = run(&[("e.example", "TXT v=spf1 mx -all")], &[], &AuditOptions::default()).await;
    assert_eq!(rules(&stranger), [""; 0]);
    assert_eq!(detail(&stranger).senders[0].origin, "MX host mx.e.example");
    // A resolver that does not answer proves nothing against an address.
    let mute = [("h.mute.test", Say::Code(ResponseCode::ServFail))];
    let report = run(&[("e.example", "TXT v=spf1 a:h.mute.test -all")], &mute, &options).await;
    assert!(!rules(&report).contains(&"spf.sender_not_covered") && report.unknown.len() >= 2, "{report:#?}");
}

#[tokio::test]
async fn the_record_is_judged_also_where_evaluations_wait() {
    let options = AuditOptions { deadline: Duration::from_secs(20), ..AuditOptions::default() };
    let report = run(&[("e.example", "TXT v=spf1 mx mx exists:%{i}.mute.test -all")], &[("5.113.0.203.mute.test", Say::Silence)], &options).await;
    // The MX host matches before the name that nobody answers for is asked.
    assert!(rules(&report).contains(&"spf.duplicate_mechanism") && report.unknown.is_empty(), "{report:#?}");
    let report =
        run(&[("e.example", "TXT v=spf1 exists:%{i}.mute.test exists:%{i}.mute.test -all")], &[("203.0.113.5.mute.test", Say::Silence)], &options)
            .await;
    let untold: Vec<&str> = report.unknown.iter().map(|part| part.subject.as_str()).collect();
    assert!(rules(&report).contains(&"spf.duplicate_mechanism") && untold == ["spf.host_not_allowed", "spf.helo_missing"], "{report:#?}");
}

#[tokio::test]
async fn an_address_that_waits_takes_no_word_from_the_others() {
    let sender = |address: &str| (address.parse().unwrap(), "watched".to_owned());
    let options = AuditOptions { senders: vec![sender("198.51.100.7"), sender("198.51.100.8")], ..AuditOptions::default() };
    let report = run(&[("e.example", "TXT v=spf1 mx exists:%{i}.mute.test -all")], &[("198.51.100.8.mute.test", Say::Silence)], &options).await;
    let told = |address: &str| Finding { subject: address.to_owned(), ..report.findings[0].clone() };
    assert_eq!(rules(&report), ["spf.sender_not_covered"], "{report:#?}");
    let found = &report.findings[0];
    assert!(found.subject == "198.51.100.7" && found.summary.starts_with("198.51.100.7 sends for e.example"), "{found:?}");
    assert_eq!(found.record.as_ref().map(|record| record.value.as_str()), Some("v=spf1 mx exists:%{i}.mute.test ip4:198.51.100.7 -all"));
    let is_open = |finding: &Finding| report.unknown.iter().any(|part| leaves_open(part, finding));
    assert!(is_open(&told("198.51.100.8")) && !is_open(&told("198.51.100.7")), "{:?}", report.unknown);
    let other = rules::remark("spf.host_not_allowed", "e.example", "It was so").done();
    assert!(!is_open(&other), "the MX host was told: {:?}", report.unknown);
    let results: Vec<&str> = detail(&report).senders.iter().map(|sender| sender.result.as_str()).collect();
    assert_eq!(results, ["fail", "temperror", "pass"]);
}

#[tokio::test]
async fn hosts_that_may_send_need_a_record_of_their_own() {
    let fires = async |records: &[(&str, &str)], others: &[(&str, Say)]| {
        let report = run(records, others, &AuditOptions::default()).await;
        report.findings.iter().filter(|finding| finding.rule == "spf.helo_missing").map(|finding| finding.subject.clone()).collect::<Vec<_>>()
    };
    let second = [("e.example", "MX 20 mx2.e.example"), ("mx2.e.example", "A 203.0.113.6")];
    assert_eq!(fires(&[second[0], second[1], ("e.example", "TXT v=spf1 mx -all")], &[]).await, ["mx2.e.example"]);
    // It may not send; it is somebody else's; its record can not be told.
    assert_eq!(fires(&[second[0], second[1], ("e.example", "TXT v=spf1 ip4:203.0.113.5 -all")], &[]).await, [""; 0]);
    let other = [("e.example", "MX 20 mx.reg.test"), ("mx.reg.test", "A 203.0.113.6"), ("e.example", "TXT v=spf1 mx -all")];
    assert_eq!(fires(&other, &[]).await, [""; 0]);
}

#[tokio::test]
async fn includes_become_addresses_when_that_helps() {
    let flat = async |record: &str| {
        let report = spf(record).await;
        let lookups = detail(&report).tree.lookups;
        (lookups, detail(&report).flattened.clone())
    };
    let near = spf("TXT v=spf1 mx include:five.example include:macro.example -all").await;
    let fix = &near.findings.iter().find(|finding| finding.rule == "spf.lookups_near_limit").unwrap().fix;
    assert!(fix.ends_with("Count now: 10. The record proposed with the tree of lookups needs 5."), "{fix}");
    let (before, proposal) = flat("TXT v=spf1 mx include:five.example include:macro.example ip4:203.0.113.64/26 -all").await;
    let proposal = proposal.unwrap();
    assert_eq!((before, proposal.lookups, proposal.records.len()), (10, 5, 1));
    assert_eq!(
        proposal.records[0].value,
        "v=spf1 mx include:macro.example ip4:203.0.113.11 ip4:203.0.113.12 ip4:203.0.113.64/26 ip6:2001:db8:3::3 -all"
    );
    assert!(proposal.risk.contains("five.example") && proposal.risk.contains("stale"), "{}", proposal.risk);
    for not_helped in [
        // Few lookups; macros; exceptions; an open policy.
        "TXT v=spf1 mx include:five.example -all",
        "TXT v=spf1 include:macro.example mx mx mx mx mx mx -all",
        "TXT v=spf1 -a include:five.example mx mx mx -all",
        "TXT v=spf1 ~include:five.example mx mx mx mx -all",
        "TXT v=spf1 include:five.example include:none.example mx mx mx mx -all",
    ] {
        let (_, proposal) = flat(not_helped).await;
        assert_eq!(proposal, None, "{not_helped}");
    }
}

#[tokio::test]
async fn what_has_no_end_is_not_followed_to_it() {
    let big = async |terms: String| {
        let others = [("big.example", Say::TcpOnly(vec![format!("TXT v=spf1{terms} -all")]))];
        let report = run(&[("e.example", "TXT v=spf1 include:big.example -all")], &others, &AuditOptions::default()).await;
        assert!(rules(&report).contains(&"spf.too_many_lookups"), "{:?}", rules(&report));
        detail(&report).tree.terms[0].policy.clone().unwrap()
    };
    let tree = big("| a:x.e.example a:h1.five.example".repeat(60)).await;
    assert_eq!((tree.lookups, tree.terms.len()), (120, 121));
    assert!(tree.terms[119].note.as_deref().is_some_and(|note| note.starts_with("repeats")));
    let tree = big((0..70).map(|n| format!("| a:n{n}.e.example")).collect::<Vec<_>>().concat()).await;
    assert_eq!((tree.lookups, tree.void_lookups), (70, 60));
    assert!(tree.terms[69].note.as_deref().is_some_and(|note| note.starts_with("not asked")));
}

#[tokio::test]
async fn a_long_proposal_is_split() {
    let nets = |third: u8| {
        let terms = |tens: std::ops::Range<u8>| tens.map(|n| format!("ip4:203.{third}.{}.0/24", n * 2)).collect::<Vec<_>>().join(" ");
        [0..10, 10..20, 20..30, 30..40].map(terms).join("| ")
    };
    let (wide, more) = (format!("TXT v=spf1 {} -all", nets(1)), format!("TXT v=spf1 {} -all", nets(2)));
    let records = [
        ("e.example", "TXT v=spf1 include:many.example a:h1.five.example a:h2.five.example exp=w.e.example -all"),
        ("many.example", "TXT v=spf1 include:a.many.example include:b.many.example mx mx mx mx mx -all"),
        ("many.example", "MX 10 mx.e.example"),
        ("a.many.example", wide.as_str()),
        ("b.many.example", more.as_str()),
    ];
    let report = run(&records, &[], &AuditOptions::default()).await;
    assert_eq!(detail(&report).tree.lookups, 10);
    let proposal = detail(&report).flattened.clone().unwrap();
    assert_eq!(proposal.lookups, 2 + 4, "{proposal:#?}");
    assert!(proposal.records.iter().all(|record| record.value.len() <= 450 && crate::spf::parse(record.value.as_bytes()).is_ok()));
    let last = proposal.records.last().unwrap();
    assert!(last.name == "e.example" && last.value.contains("include:_spf4.e.example exp=w.e.example -all"), "{last:?}");
    let listed: usize = proposal.records.iter().map(|record| record.value.matches("ip4:").count()).sum();
    assert_eq!(listed, 81);
}
