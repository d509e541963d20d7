//! What is told of records before and after, and what could not be told.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use waypost_types::{
    audit::{AuditDetail, SpfDetail, SpfNode, SpfTerm},
    drift::{ChangeForm, ChangeKind, RecordChange},
};

use super::{drift::*, *};

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|line| (*line).to_owned()).collect()
}

/// `+`, `-` and `~` before the words.
fn told(family: Family, before: &[&str], after: &[&str]) -> Vec<String> {
    let detail = AuditDetail {
        spf: Some(SpfDetail {
            tree: SpfNode {
                terms: vec![SpfTerm {
                    policy: Some(Box::new(SpfNode { domain: "_spf.s.example".to_owned(), service: Some("Sender".to_owned()), ..SpfNode::default() })),
                    ..SpfTerm::default()
                }],
                ..SpfNode::default()
            },
            ..SpfDetail::default()
        }),
        ..AuditDetail::default()
    };
    let sign = |kind| match kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => '~',
    };
    changes(family, &lines(before), &lines(after), &detail).into_iter().map(|change| format!("{}{}", sign(change.kind), change.text)).collect()
}

#[test]
fn a_change_is_told_by_what_it_means() {
    type Row<'a> = (Family, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    let table: [Row<'_>; 16] = [
        (Family::Spf, &["v=spf1 mx -all"], &["v=spf1 mx -all"], &[]),
        (
            Family::Spf,
            &["v=spf1 mx include:old.example -all"],
            &["v=spf1 mx include:_spf.s.example ~all"],
            &["-include:old.example may no longer send", "+include:_spf.s.example (Sender) may send now", "~all other hosts: -all, now ~all"],
        ),
        (Family::Spf, &["v=spf1 -ip4:192.0.2.1 mx -all"], &["v=spf1 mx -all"], &["--ip4:192.0.2.1"]),
        (Family::Spf, &["v=spf1 mx a -all"], &["v=spf1 a mx -all"], &["~the same terms stand in another order"]),
        (Family::Spf, &[], &["v=spf1 -all"], &["+SPF record: v=spf1 -all"]),
        (Family::Spf, &["v=spf1 -all"], &["v=spf1 -all", "v=spf1 mx"], &["+SPF record: v=spf1 mx"]),
        (
            Family::Dkim,
            &["s1: v=DKIM1; p=AAAA"],
            &["s1: v=DKIM1; p=BBBB", "s2: p=CCCC"],
            &["~key of selector s1 was replaced", "+key of selector s2"],
        ),
        (
            Family::Dkim,
            &["s1: p=AAAA", "s2: p=BBBB"],
            &["s1: t=y; p=AA AA", "s2: p="],
            &["~selector s1: the same key, with other tags", "-key of selector s2 was revoked (empty p=)"],
        ),
        (Family::Dkim, &["s1: p=AAAA"], &[], &["-key of selector s1"]),
        (
            Family::Dmarc,
            &["v=DMARC1; p=reject; rua=mailto:a@e.example; pct=50"],
            &["v=DMARC1; p=none; sp=reject; rua=mailto:b@e.example"],
            &[
                "~policy (p): reject, now none",
                "~report address (rua): mailto:a@e.example, now mailto:b@e.example",
                "-pct: 50",
                "+policy for subdomains (sp): reject",
            ],
        ),
        (Family::Dmarc, &["v=DMARC1; p=none"], &["v=DMARC1;p=none;"], &["~the record is written differently and means the same"]),
        (
            Family::Mx,
            &["10 a.example", "20 b.example"],
            &["10 a.example", "5 b.example", "30 c.example"],
            &["~MX host b.example: preference 20, now 5", "+MX host c.example (preference 30)"],
        ),
        (
            Family::MtaSts,
            &["v=STSv1; id=1;", "version: STSv1\nmode: testing\nmx: a.example"],
            &["v=STSv1; id=2;", "version: STSv1\nmode: enforce\nmx: a.example"],
            &["~TXT record: v=STSv1; id=1;, now v=STSv1; id=2;", "-policy: mode: testing", "+policy: mode: enforce"],
        ),
        (Family::Ptr, &["192.0.2.1 a.example"], &["192.0.2.1 b.example"], &["~192.0.2.1: a.example, now b.example"]),
        (Family::Ns, &["a.example", "b.example"], &["a.example"], &["-name server b.example"]),
        (Family::Dnssec, &["DS 1 13 2"], &[], &["-DS 1 13 2"]),
    ];
    for (family, before, after, wanted) in table {
        assert_eq!(told(family, before, after), wanted, "{family:?} {before:?} {after:?}");
    }
}

/// Whoever names what became of it reads the form, not the punctuation.
#[test]
fn a_thing_is_told_from_a_sentence() {
    use ChangeForm::{Sentence, Thing};
    let key = "s1: p=AAAA";
    for (family, before, after, form) in [
        (Family::Spf, &["v=spf1 -all"][..], &[][..], Thing),
        (Family::Spf, &["v=spf1 mx -all"], &["v=spf1 -all"], Sentence),
        (Family::Spf, &["v=spf1 -ip4:192.0.2.1 -all"], &["v=spf1 -all"], Thing),
        (Family::Spf, &["v=spf1 mx"], &["v=spf1 mx -all"], Thing),
        (Family::Spf, &["v=spf1 -all"], &["v=spf1 ~all"], Sentence),
        (Family::Dkim, &[key], &[], Thing),
        (Family::Dkim, &[key], &["s1: p="], Sentence),
        (Family::Dmarc, &["v=DMARC1; p=none; sp=none"], &["v=DMARC1; p=none"], Thing),
        (Family::Mx, &["10 mx.example"], &[], Thing),
        (Family::Mx, &["10 mx.example"], &["20 mx.example"], Sentence),
        (Family::MtaSts, &["version: STSv1"], &[], Thing),
        (Family::Dnssec, &["DS 1 13 2"], &[], Thing),
    ] {
        let found = changes(family, &lines(before), &lines(after), &AuditDetail::default());
        assert_eq!(found.iter().map(|change| change.form).collect::<Vec<_>>(), [form], "{found:?}");
    }
    // Rows of earlier versions.
    let old: RecordChange = serde_json::from_str(r#"{"kind":"removed","text":"SPF record: v=spf1 -all"}"#).unwrap();
    assert_eq!(old.form, Sentence);
}

#[test]
fn a_flood_of_changes_is_counted() {
    let many: Vec<String> = (0..100).map(|n| format!("{n} mx{n}.example")).collect();
    let found = changes(Family::Mx, &[], &many, &AuditDetail::default());
    assert_eq!((found.len(), found[MOST_CHANGES].text.as_str()), (MOST_CHANGES + 1, "and 70 more"));
}

#[test]
fn what_could_not_be_told_is_not_gone() {
    let check = CheckSummary { status: Status::None, word: "x".to_owned() };
    let report = |family: &str, records: &[&str], unknown: &[(&str, &str)]| AuditReport {
        checks: [(family.to_owned(), check.clone())].into(),
        records: [(family.to_owned(), lines(records))].into(),
        unknown: unknown.iter().map(|(subject, reason)| UnknownPart::new(*subject, *reason)).collect(),
        ..AuditReport::empty("e.example")
    };
    let before = lines(&["s1: p=A", "s2: p=B"]);
    // All answered: what is not there is gone.
    assert_eq!(records_of(&report("dkim", &["s2: p=C"], &[]), Family::Dkim, &before), Some(lines(&["s2: p=C"])));
    let mut unnamed = report("dkim", &[], &[]);
    unnamed.unknown.push(UnknownPart { cause: UnknownCause::Unnamed, ..UnknownPart::new("dkim", "whatever it says") });
    assert_eq!(records_of(&unnamed, Family::Dkim, &before), Some(Vec::new()));
    // One did not answer: it stays as it was.
    assert_eq!(records_of(&report("dkim", &["s2: p=C"], &[("dkim", "late")]), Family::Dkim, &before), Some(lines(&["s1: p=A", "s2: p=C"])));
    // SPF itself did not answer; or did, and an include did not.
    assert_eq!(records_of(&report("spf", &[], &[("spf", "late")]), Family::Spf, &lines(&["v=spf1 mx"])), None);
    assert_eq!(records_of(&report("spf", &["v=spf1 a"], &[("spf", "late")]), Family::Spf, &lines(&["v=spf1 mx"])), Some(lines(&["v=spf1 a"])));
    // Another family's silence, and a family that was not asked.
    assert_eq!(records_of(&report("spf", &[], &[("mx", "late")]), Family::Spf, &lines(&["v=spf1 mx"])), Some(Vec::new()));
    assert_eq!(records_of(&report("spf", &[], &[]), Family::Mx, &[]), None);
    // One selector did not answer, the other was answered: it is gone. One that nobody names any more is not kept for ever.
    let mut one = report("dkim", &[], &[]);
    one.unknown.push(UnknownPart { about: Some("s1._domainkey.e.example".to_owned()), ..UnknownPart::new("dkim", "late") });
    assert_eq!(records_of(&one, Family::Dkim, &before), Some(lines(&["s1: p=A"])));
    one.unknown = vec![UnknownPart::new("dkim", "late")];
    one.detail.dkim_unasked = lines(&["s2"]);
    assert_eq!(records_of(&one, Family::Dkim, &before), Some(lines(&["s1: p=A"])));
    assert_eq!(changes(Family::Dkim, &before, &before[..1], &one.detail)[0].kind, ChangeKind::Changed);
    // The domain's own policy is hidden while that of its parent is seen: nothing is known to have changed.
    let (own, parents) = ("v=DMARC1; p=reject", "_dmarc.example: v=DMARC1; p=none");
    let dmarc = |record, unknown| records_of(&report("dmarc", &[record], unknown), Family::Dmarc, &lines(&[own]));
    let mut hidden = report("dmarc", &[parents], &[]);
    hidden.unknown.push(UnknownPart { about: Some("_dmarc.e.example".to_owned()), ..UnknownPart::new("dmarc", "hidden") });
    assert_eq!(records_of(&hidden, Family::Dmarc, &lines(&[own])), None);
    assert_eq!(dmarc(parents, &[("dmarc", "a report address")]), Some(lines(&[parents])), "another question that fails hides no removal");
    assert_eq!(dmarc(parents, &[]), Some(lines(&[parents])));
    assert_eq!(dmarc("v=DMARC1; p=none", &[("dmarc", "a report address")]), Some(lines(&["v=DMARC1; p=none"])));
}

proptest! {
    #[test]
    fn different_records_always_tell_something(before in prop::collection::vec("[ -~]{0,40}", 0..3), after in prop::collection::vec("[ -~]{0,40}", 0..3)) {
        for family in Family::ALL {
            let found = changes(family, &before, &after, &AuditDetail::default());
            prop_assert_eq!(found.is_empty(), before == after);
        }
    }
}
