//! The one DMARC record to paste: what it mends, what it leaves to its owner, and that it brings nothing new.
#![allow(clippy::unwrap_used)]

use waypost_types::Finding;

use super::{
    dmarc_tests::{cases, detail, rules, run, run_at},
    *,
};
use crate::net::tests::Server;

/// What is shown for the record itself, as (rule, record).
fn shown(report: &AuditReport) -> Vec<(&str, Option<&str>)> {
    let own = |finding: &'_ Finding| finding.record.as_ref().is_some_and(|record| record.name.starts_with("_dmarc."));
    report
        .findings
        .iter()
        .map(|finding| (finding.rule.as_str(), finding.record.as_ref().filter(|_| own(finding)).map(|record| record.value.as_str())))
        .collect()
}

#[tokio::test]
async fn one_record_mends_all_that_can_be_mended() {
    for (published, better) in [
        (
            "v=DMARC1; p=none; pct=50; rf=afrf; rau=mailto:d@e.example; future=thing; asfp=s",
            "v=DMARC1; p=none; rua=mailto:d@e.example; future=thing; asfp=s",
        ),
        ("v=DMARC1; p=reject; pct=50; rua=d@e.example,mailto:x@gone.e.example", "v=DMARC1; p=reject; pct=50; rua=mailto:d@e.example"),
        ("v=DMARC1; p=none, rua=mailto:d@gone.e.example!10m", "v=DMARC1; p=none; rua=mailto:dmarc@e.example"),
        ("v=DMARC1; p=reject; psd=y; ri=5; rua=mailto:d@shy.example!5m", "v=DMARC1; p=reject; rua=mailto:d@shy.example"),
        ("V=dmarc1; p=reject; xvendor=7", "v=DMARC1; p=reject; rua=mailto:dmarc@e.example; xvendor=7"),
    ] {
        let report = run(published).await;
        let values: Vec<&str> = shown(&report).into_iter().filter_map(|(_, value)| value).collect();
        assert!(!values.is_empty() && values.iter().all(|value| *value == better), "{published}: {:#?}", shown(&report));
        // The way to reject is written from the same record.
        for step in detail(&report).path.iter().filter_map(|step| step.record.as_ref()) {
            assert!(!step.value.contains("gone.e.example"), "{published}: {}", step.value);
        }
    }
    // Nothing sure can be made of it: what is to be decided is said.
    let twice = run("v=DMARC1; p=none; p=reject").await;
    let found = twice.findings.iter().find(|finding| finding.rule == "dmarc.syntax").unwrap();
    assert!(found.record.is_none() && found.fix.contains("to be decided by you"), "{found:?}");
    // How strong the policy is to be comes after what is broken.
    let watching = run("v=DMARC1; p=none; pct=5; rua=mailto:d@e.example").await;
    let p_none = watching.findings.iter().find(|finding| finding.rule == "dmarc.p_none").unwrap();
    assert!(p_none.record.is_none() && p_none.fix.contains("change p=none to p=quarantine; t=y"), "{p_none:?}");
}

#[tokio::test]
async fn a_mailbox_that_is_proposed_has_to_exist() {
    // Nobody can ask whether it does.
    let below = [("b.e.example", "A 203.0.113.9")];
    for (domain, records, rule) in [
        ("e.example", vec![], "dmarc.missing"),
        ("b.e.example", below.to_vec(), "dmarc.missing"),
        ("e.example", vec![("_dmarc.e.example", "TXT v=DMARC1; p=reject")], "dmarc.no_rua"),
        ("e.example", vec![("_dmarc.e.example", "TXT v=DMARC1; p=reject; rua=mailto:@")], "dmarc.rua_syntax"),
        ("e.example", vec![("_dmarc.e.example", "TXT v=DMARC1; p=reject; rua=mailto:d@gone.e.example")], "dmarc.rua_no_mx"),
    ] {
        let report = run_at(domain, &records, &[], &AuditOptions::default()).await;
        let found = report.findings.iter().find(|finding| finding.rule == rule).unwrap();
        let names = found.record.as_ref().is_some_and(|record| record.value.contains(&format!("rua=mailto:dmarc@{domain}")));
        assert!(names && found.fix.contains("exist"), "{found:#?}");
        let first = &detail(&report).path[0];
        assert!(
            first.record.as_ref().is_none_or(|record| record.value.contains("rua=mailto:dmarc@") && first.text.contains("has to exist")),
            "{first:?}"
        );
    }
}

#[tokio::test]
async fn no_mailbox_is_proposed_that_gets_nothing() {
    let lost = run("v=DMARC1; p=none; np=reject; rua=mailto:d@shy.example").await;
    let first = &detail(&lost).path[0];
    assert!(!first.done && first.text.contains("shy.example takes no mail or has not agreed"), "{first:?}");
    assert!(shown(&lost).iter().all(|(_, value)| value.is_none()), "{:?}", shown(&lost));
    // The domain's own MX host is gone, or it takes no mail and sends all the same.
    let world = [("g.example", "MX 10 gone.g.example")];
    let gone = audit_families(
        &Server::start(&world, &[]).await.net(),
        &"g.example".parse().unwrap(),
        &AuditOptions::default(),
        &[Family::Mx, Family::Dmarc],
    )
    .await;
    let sender = AuditOptions { senders: vec![("203.0.113.5".parse().unwrap(), "watched".to_owned())], ..AuditOptions::default() };
    let silent = run_at("n.example", &[("n.example", "MX 0 .")], &[], &sender).await;
    for report in [gone, silent] {
        let missing = report.findings.iter().find(|finding| finding.rule == "dmarc.missing").unwrap();
        assert!(missing.record.is_none() && missing.fix.contains("a mailbox that takes mail"), "{missing:?}");
        assert!(detail(&report).path.iter().filter_map(|step| step.record.as_ref()).all(|record| !record.value.contains("rua=")), "{report:#?}");
    }
}

#[tokio::test]
async fn a_repaired_record_ends_what_it_is_shown_with_and_brings_nothing_new() {
    let tags = [
        "p=none",
        "p=reject",
        "p=quarantine",
        "p=rejct",
        "sp=none",
        "sp=reject",
        "np=none",
        "t=y",
        "t=yes",
        "pct=20",
        "ri=60",
        "rua=mailto:d@e.example",
        "rua=mailto:d@gone.e.example",
        "rua=d@e.example",
        "rau=mailto:d@e.example",
        "rua=mailto:d@shy.example",
        "rua=mailto:d@e.example!1m",
        "psd=y",
        "adkim=s",
        "x=1",
        "hello",
        "fo=1",
        "ruf=mailto:d@gone.e.example",
    ];
    let mut records: Vec<String> = cases().into_iter().flat_map(|(_, _, bad, good)| [bad, good]).collect();
    for n in 0..200_usize {
        let some: Vec<&str> = (0..2 + n % 5).map(|at| tags[(n * 5 + at * (1 + n % 13) * 3 + n / 23) % tags.len()]).collect();
        records.push(format!("v=DMARC1; {}", some.join("; ")));
    }
    for record in records {
        let before = run(&record).await;
        let better: std::collections::BTreeSet<&str> = shown(&before).into_iter().filter_map(|(_, value)| value).collect();
        assert!(better.len() <= 1, "{record}: more than one record: {:#?}", shown(&before));
        let Some(better) = better.first() else { continue };
        let after = run(better).await;
        let decided = |rule: &str| dmarc_mend::DECISIONS.contains(&rule);
        for (rule, _) in shown(&before).iter().filter(|(_, value)| value.is_some()) {
            let count = |report: &AuditReport| rules(report).iter().filter(|found| found == &rule).count();
            assert!(count(&after) < count(&before), "{record}: {rule} survives {better}");
        }
        // A step of the way brings the next; so does a policy that nobody could read before.
        let new: Vec<&str> = rules(&after).into_iter().filter(|rule| !rules(&before).contains(rule) && !decided(rule)).collect();
        let unread = before.checks["dmarc"].word == "Error";
        assert!(unread || new.is_empty(), "{record}: {better} brings {new:?}");
        assert!(
            shown(&after).iter().all(|(rule, value)| value.is_none() || decided(rule)),
            "{record}: {better} is mended again: {:#?}",
            shown(&after)
        );
    }
}

#[tokio::test]
async fn no_record_enforces_more_than_its_owner_published_without_saying_so() {
    for (published, rule, shown_with) in [
        // Other mistakes are mended beside it: the share stays, and with it what receivers of both standards do.
        ("p=quarantine; pct=20; rua=d@e.example", "dmarc.rua_syntax", Some("p=quarantine; pct=20; rua=mailto:d@e.example")),
        ("p=reject; pct=0", "dmarc.no_rua", Some("p=reject; pct=0; rua=mailto:dmarc@e.example")),
        ("p=none; sp=reject; pct=20", "dmarc.no_rua", Some("p=none; sp=reject; pct=20; rua=mailto:dmarc@e.example")),
        ("p=none; np=reject; pct=20", "dmarc.no_rua", Some("p=none; np=reject; pct=20; rua=mailto:dmarc@e.example")),
        ("p=quarantine; pct=20; rua=d@e.example", "dmarc.pct_used", None),
        // What it has no effect on.
        ("p=reject; pct=100; rua=mailto:d@e.example", "dmarc.pct_used", Some("p=reject; rua=mailto:d@e.example")),
        ("p=none; pct=20; rua=mailto:d@e.example", "dmarc.pct_used", Some("p=none; rua=mailto:d@e.example")),
        // Nothing else is left: a decision, and the words say what it does.
        ("p=quarantine; pct=20; rua=mailto:d@e.example", "dmarc.pct_used", Some("p=quarantine; t=y; rua=mailto:d@e.example")),
        ("p=reject; pct=0; rua=mailto:d@e.example", "dmarc.pct_used", Some("p=reject; t=y; rua=mailto:d@e.example")),
    ] {
        let report = run(&format!("v=DMARC1; {published}")).await;
        let found = report.findings.iter().find(|finding| finding.rule == rule).unwrap();
        let value = found.record.as_ref().map(|record| record.value.trim_start_matches("v=DMARC1; "));
        assert_eq!(value, shown_with, "{published}: {found:#?}");
        if value.is_some_and(|value| value.contains("t=y")) {
            assert!(found.fix.contains("they apply the policy to all mail then"), "{found:#?}");
        }
        // The step that only brings reports leaves the policy alone, too.
        let first = detail(&report).path[0].record.as_ref();
        let share = published.split("; ").find(|tag| tag.starts_with("pct=") && *tag != "pct=100");
        assert!(published.starts_with("p=none; pct") || first.is_none_or(|record| record.value.contains(share.unwrap())), "{published}: {first:?}");
    }
    // A name without any mail has nothing to lose, and the words are those of its record.
    let world = [("p.example", "TXT v=spf1 -all"), ("_dmarc.p.example", "TXT v=DMARC1; p=reject; pct=20")];
    let parked = run_at("p.example", &world, &[], &AuditOptions::default()).await;
    let found = parked.findings.iter().find(|finding| finding.rule == "dmarc.pct_used").unwrap();
    assert!(found.record.as_ref().unwrap().value == "v=DMARC1; p=reject" && found.fix.contains("all mail in its name is refused"), "{found:#?}");
}

#[tokio::test]
async fn a_record_that_closes_a_name_without_mail_says_so_with_whatever_it_mends() {
    let below = "and of the names below it refused";
    for (published, rule, shown, said) in [
        ("v=DMARC1; p=none; ri=60", "dmarc.removed_tags", "v=DMARC1; p=reject", Some(below)),
        ("v=DMARC1; p=reject; t=y; ri=60", "dmarc.removed_tags", "v=DMARC1; p=reject", Some(below)),
        ("v=DMARC1; p=reject; pct=20; ri=60", "dmarc.removed_tags", "v=DMARC1; p=reject", Some(below)),
        // What is said of the names below stays: somebody may send in those.
        ("v=DMARC1; p=none; sp=none; ri=60", "dmarc.removed_tags", "v=DMARC1; p=reject; sp=none", Some("in the name of p.example refused")),
        ("v=DMARC1; p=reject; sp=none; ri=60", "dmarc.removed_tags", "v=DMARC1; p=reject; sp=none", None),
        ("v=DMARC1; p=reject; ri=60", "dmarc.removed_tags", "v=DMARC1; p=reject", None),
        ("v=DMARC1, p=none", "dmarc.syntax", "v=DMARC1; p=reject", Some(below)),
        ("v=DMARC1, p=reject", "dmarc.syntax", "v=DMARC1; p=reject", None),
    ] {
        let record = format!("TXT {published}");
        let report = run_at("p.example", &[("p.example", "TXT v=spf1 -all"), ("_dmarc.p.example", &record)], &[], &AuditOptions::default()).await;
        let found = report.findings.iter().find(|finding| finding.rule == rule).unwrap();
        assert_eq!(found.record.as_ref().map(|record| record.value.as_str()), Some(shown), "{published}");
        match said {
            Some(said) => assert!(found.fix.contains(said), "{published}: {found:#?}"),
            None => assert!(!found.fix.contains("keep your own policy"), "{published}: {found:#?}"),
        }
    }
    let sends = run("v=DMARC1; p=none; ri=60").await;
    assert!(sends.findings.iter().all(|finding| !finding.fix.contains("keep your own policy")), "{sends:#?}");
}

#[tokio::test]
async fn a_policy_for_names_that_do_not_exist_is_its_owners_to_decide() {
    for (published, value) in [
        // Something is to mend first.
        ("p=none", None),
        ("p=quarantine; rua=mailto:d@e.example; ri=60", None),
        // The next step of the way comes first.
        ("p=none; rua=mailto:d@e.example", None),
        ("p=quarantine; rua=mailto:d@e.example", Some("v=DMARC1; p=quarantine; np=reject; rua=mailto:d@e.example")),
        // No report arrives, so nobody can tell when the next step is due; this one needs none.
        ("p=none; rua=mailto:d@shy.example", Some("v=DMARC1; p=none; np=reject; rua=mailto:d@shy.example")),
    ] {
        let report = run(&format!("v=DMARC1; {published}")).await;
        let found = report.findings.iter().find(|finding| finding.rule == "dmarc.np_missing").unwrap();
        assert_eq!(found.record.as_ref().map(|record| record.value.as_str()), value, "{published}: {found:#?}");
        let others = report.findings.iter().filter(|finding| finding.rule != "dmarc.np_missing").filter_map(|finding| finding.record.as_ref());
        assert!(others.into_iter().all(|record| !record.value.contains("np=")), "{published}: {report:#?}");
    }
}
