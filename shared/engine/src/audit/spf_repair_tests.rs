//! The one SPF record to paste: what it mends, what it leaves to its owner, and that it brings nothing new.
#![allow(clippy::unwrap_used)]

use waypost_types::Finding;

use super::{
    spf_tests::{CASES, rules, run, spf},
    *,
};

/// What is shown for a record, as (rule, record).
fn shown(report: &AuditReport) -> Vec<(&str, Option<&str>)> {
    report.findings.iter().map(|finding| (finding.rule.as_str(), finding.record.as_ref().map(|record| record.value.as_str()))).collect()
}

#[tokio::test]
async fn one_record_mends_all_that_can_be_mended() {
    for (published, better) in [
        ("v=spf1 mx mx ip4:8.8.8.8 ip4:8.8.8.0/24 ?all redirect=five.example", "v=spf1 mx ip4:8.8.8.0/24 ~all"),
        ("v=spf1 mx exp=why.e.example mx +all", "v=spf1 mx exp=why.e.example ~all"),
        ("v=spf1 +all mx", "v=spf1 mx ~all"),
        ("v=spf1 mx include:none.example include:spf.lapsed.test -ip4:8.8.8.8 ip4:10.0.0.0/8 future=1", "v=spf1 mx -ip4:8.8.8.8 future=1 ~all"),
        ("v=spf1 mx a:x1.e.example a:x2.e.example mx:x3.e.example -all", "v=spf1 mx -all"),
        ("v=spf1 mx a:x..e.example a:y..e.example a:z..e.example -all", "v=spf1 mx -all"),
        ("v=spf1 mx, ipv4:8.8.8.8; ip:2001:4860::1 all", "v=spf1 mx ip4:8.8.8.8 ip6:2001:4860::1 ~all"),
        ("v=spf1 mx include:five.example include:five.example -all", "v=spf1 mx include:five.example -all"),
        ("v=spf1 mx exp=w.e.example exp=w.e.example -all", "v=spf1 mx exp=w.e.example -all"),
    ] {
        let report = spf(&format!("TXT {published}")).await;
        let values: Vec<&str> = shown(&report).into_iter().filter_map(|(_, value)| value).collect();
        assert!(!values.is_empty() && values.iter().all(|value| *value == better), "{published}: {:?}", shown(&report));
    }
    // The mistakes of each are not kept in the one that replaces them.
    let two =
        run(&[("e.example", "TXT v=spf1 mx ?all"), ("e.example", "TXT v=spf1 MX ip4:8.8.8.8 include:none.example")], &[], &AuditOptions::default())
            .await;
    assert_eq!(shown(&two), [("spf.multiple_records", Some("v=spf1 mx ip4:8.8.8.8 ~all"))]);
    assert!(two.findings[0].fix.ends_with("It leaves out what lets nobody send: include:none.example."), "{two:?}");
    let odd = run(&[("e.example", "TXT v=spf1 mx ?all"), ("e.example", "TXT v=spf1 hello")], &[], &AuditOptions::default()).await;
    assert!(odd.findings[0].record.is_none() && odd.findings[0].fix.contains("decided by you"), "{odd:?}");
    // Where one leads elsewhere for all that it does not name itself, the other's end would hide that.
    for (led, better) in [
        ("v=spf1 redirect=five.example", "v=spf1 mx include:five.example ~all"),
        ("v=spf1 ip4:8.8.8.8 Redirect=nets.five.example", "v=spf1 mx ip4:8.8.8.8 include:nets.five.example ~all"),
        ("v=spf1 ip4:8.8.8.8 ~all redirect=five.example", "v=spf1 mx ip4:8.8.8.8 ~all"),
        ("v=spf1 ip4:8.8.8.8 -all", "v=spf1 mx ip4:8.8.8.8 -all"),
    ] {
        let led = run(&[("e.example", "TXT v=spf1 mx -all"), ("e.example", &format!("TXT {led}"))], &[], &AuditOptions::default()).await;
        assert_eq!(shown(&led), [("spf.multiple_records", Some(better))]);
    }
    // Known senders are let in by the same record.
    let options = AuditOptions {
        senders: ["198.51.100.7", "2001:4860::25"].map(|address| (address.parse().unwrap(), "watched".to_owned())).into(),
        ..AuditOptions::default()
    };
    let report = run(&[("e.example", "TXT v=spf1 mx -a:h1.five.example mx ?all")], &[], &options).await;
    let better = Some("v=spf1 mx ip4:198.51.100.7 ip6:2001:4860::25 -a:h1.five.example ~all");
    assert_eq!(report.findings.iter().filter(|found| found.rule == "spf.sender_not_covered").count(), 2);
    assert!(shown(&report).iter().all(|(_, value)| *value == better), "{:?}", shown(&report));
}

#[tokio::test]
async fn a_first_record_names_who_is_known_and_nobody_else() {
    let sender = AuditOptions { senders: vec![("203.0.113.9".parse().unwrap(), "watched".to_owned())], ..AuditOptions::default() };
    for (records, options, better) in [
        (&[("f.example", "MX 10 mx.e.example"), ("mx.e.example", "A 203.0.113.5")][..], AuditOptions::default(), Some("v=spf1 mx ~all")),
        (&[("f.example", "MX 10 mx.e.example"), ("mx.e.example", "A 203.0.113.5")], sender.clone(), Some("v=spf1 mx ip4:203.0.113.9 ~all")),
        (&[("f.example", "MX 10 gone.f.example")], AuditOptions::default(), None),
        (&[("f.example", "MX 0 .")], AuditOptions::default(), Some("v=spf1 -all")),
        (&[("f.example", "MX 0 .")], sender.clone(), None),
    ] {
        let server = crate::net::tests::Server::start(records, &[]).await;
        let report = audit_families(&server.net(), &"f.example".parse().unwrap(), &options, &[Family::Spf]).await;
        let missing = report.findings.iter().find(|found| found.rule == "spf.missing").unwrap();
        assert_eq!(missing.record.as_ref().map(|record| record.value.as_str()), better, "{records:?}");
    }
}

#[tokio::test]
async fn no_record_is_shown_where_somebody_has_to_decide() {
    for (published, rule) in [
        ("v=spf1 mx ptr -all", "spf.ptr_used"),
        ("v=spf1 include:none.example -all", "spf.include_no_record"),
        ("v=spf1 mx include:broken.example -all", "spf.syntax"),
        ("v=spf1 mx redirect=a.example redirect=b.example", "spf.duplicate_modifier"),
        ("v=spf1 mx ip4:0.0.0.0/0 -all", "spf.plus_all"),
        ("v=spf1 mx include:open.example -all", "spf.plus_all"),
    ] {
        let report = spf(&format!("TXT {published}")).await;
        let found = report.findings.iter().find(|found| found.rule == rule).unwrap();
        assert!(found.record.is_none() && !found.fix.contains("record below"), "{published}: {found:?}");
    }
    // What can be mended is, what can not is left as it stands, and its finding promises nothing.
    let report = spf("TXT v=spf1 mx mx ptr ?all").await;
    let better = Some("v=spf1 mx ptr ~all");
    assert_eq!(shown(&report), [("spf.neutral_all", better), ("spf.ptr_used", None), ("spf.duplicate_mechanism", better)]);
}

#[tokio::test]
async fn a_repaired_record_ends_what_it_is_shown_with_and_brings_nothing_new() {
    let wider = [
        "a",
        "mx",
        "ptr",
        "?all",
        "+all",
        "~all",
        "-all",
        "include:none.example",
        "include:five.example",
        "include:e.example",
        "ip4:10.0.0.0/8",
        "ip4:8.8.8.8",
        "ip4:8.8.8.0/24",
        "redirect=soft.example",
        "a:x1.e.example",
        "exp=w.e.example",
        "x=1",
        "ipv4:8.8.4.4",
        "q",
    ];
    let mut cases: Vec<String> = CASES.iter().flat_map(|(_, bad, good)| [(*bad).to_owned(), (*good).to_owned()]).collect();
    for n in 0..150_usize {
        let terms = (0..2 + n % 5).map(|at| wider[(n * 7 + at * (1 + n % 11) * 5 + n / 19) % wider.len()]).collect::<Vec<_>>().join(" ");
        cases.push(format!("TXT v=spf1 {terms}"));
    }
    for case in cases {
        let before = spf(&case).await;
        let records: std::collections::BTreeSet<&str> = shown(&before).into_iter().filter_map(|(_, value)| value).collect();
        assert!(records.len() <= 1, "{case}: more than one record: {:?}", shown(&before));
        let Some(better) = records.first() else { continue };
        let after = spf(&format!("TXT {better}")).await;
        for (rule, _) in shown(&before).iter().filter(|(_, value)| value.is_some()) {
            let same = |report: &AuditReport| rules(report).iter().filter(|found| found == &rule).count();
            assert!(same(&after) < same(&before), "{case}: {rule} survives {better}");
        }
        let readable = !rules(&before).iter().any(|rule| is_unread(rule));
        // Hosts that pass still do: that others may not send can be new only where the record was no word on them before.
        let passed = passing(&before);
        assert!(passed.iter().all(|address| passing(&after).contains(address)), "{case}: {better} loses some of {passed:?}");
        let is_owners = |rule: &str| rule == "spf.softfail_only" || (rule == "spf.host_not_allowed" && passed.is_empty());
        let new: Vec<&str> = rules(&after).into_iter().filter(|rule| !rules(&before).contains(rule) && !is_owners(rule)).collect();
        assert!(!readable || new.is_empty(), "{case}: {better} brings {new:?}");
        assert!(shown(&after).iter().all(|(_, value)| value.is_none()), "{case}: {better} is mended again: {:?}", shown(&after));
    }
}

/// The known addresses that pass.
fn passing(report: &AuditReport) -> Vec<IpAddr> {
    let senders = report.detail.spf.iter().flat_map(|spf| &spf.senders);
    senders.filter(|sender| sender.result == "pass").map(|sender| sender.address).collect()
}

#[tokio::test]
async fn a_name_without_addresses_may_have_mx_records_and_the_other_way_round() {
    for (published, better) in [
        ("v=spf1 a mx a:old1.e.example a:old2.e.example include:nets.five.example -all", "v=spf1 mx include:nets.five.example -all"),
        ("v=spf1 mx mx:mx.e.example a:mx.e.example a:x1.e.example a:x2.e.example -all", "v=spf1 mx a:mx.e.example -all"),
        ("v=spf1 mx exists:H3.five.example a:h3.five.example a:x1.e.example a:x2.e.example -all", "v=spf1 mx a:h3.five.example -all"),
    ] {
        let report = spf(&format!("TXT {published}")).await;
        let void = report.findings.iter().find(|found| found.rule == "spf.void_lookups").unwrap();
        assert_eq!(void.record.as_ref().map(|record| record.value.as_str()), Some(better), "{published}: {:?}", shown(&report));
    }
    let report = spf("TXT v=spf1 a mx a:old1.e.example exists:old2.e.example -all").await;
    let fix = &report.findings.iter().find(|found| found.rule == "spf.void_lookups").unwrap().fix;
    assert!(fix.ends_with("find nothing: a:e.example, a:old1.e.example, exists:old2.e.example."), "{fix}");
    let report = spf("TXT v=spf1 mx a:old1.e.example ip4:10.1.0.0/16 a:old1.e.example ip4:10.1.0.0/16 a:old1.e.example -all").await;
    let of = |rule: &str| report.findings.iter().find(|found| found.rule == rule).unwrap();
    assert!(of("spf.void_lookups").fix.contains("find nothing: a:old1.e.example."), "{:?}", shown(&report));
    assert!(of("spf.private_addresses").summary.contains("SPF allows 10.1.0.0/16, where"), "{:?}", shown(&report));
}

#[tokio::test]
async fn a_record_under_which_a_host_passes_no_more_is_not_shown() {
    for published in ["v=spf1 a:h1.five.example +all", "v=spf1 +all a:h1.five.example"] {
        let report = spf(&format!("TXT {published}")).await;
        assert!(shown(&report).iter().all(|(_, value)| value.is_none()), "{published}: {:?}", shown(&report));
        let found = report.findings.iter().find(|found| found.rule == "spf.plus_all").unwrap();
        assert!(found.fix.contains("would pass no more: 203.0.113.5 (MX host mx.e.example)"), "{found:?}");
    }
    // A known sender is named in the record; the hosts of others who only take the mail lose nothing.
    let options = AuditOptions { senders: vec![("8.8.8.8".parse().unwrap(), "watched".to_owned())], ..AuditOptions::default() };
    let report = run(&[("e.example", "TXT v=spf1 mx +all")], &[], &options).await;
    assert!(shown(&report).contains(&("spf.plus_all", Some("v=spf1 mx ip4:8.8.8.8 ~all"))), "{:?}", shown(&report));
    let records = [("f.example", "MX 1 smtp.google.com"), ("smtp.google.com", "A 8.8.4.4"), ("f.example", "TXT v=spf1 ip4:8.8.8.8 +all")];
    let server = crate::net::tests::Server::start(&records, &[]).await;
    let report = audit_families(&server.net(), &"f.example".parse().unwrap(), &AuditOptions::default(), &[Family::Spf]).await;
    assert!(shown(&report).contains(&("spf.plus_all", Some("v=spf1 ip4:8.8.8.8 ~all"))), "{:?}", shown(&report));
}

#[tokio::test]
async fn a_record_whose_strings_run_on_is_shown_as_it_was_meant() {
    // Joined, they are one word that can be read and means nothing.
    let report = spf("TXT v=spf1 mx include:nets.five.example|-all").await;
    assert_eq!(shown(&report), [("spf.too_long_string", Some("v=spf1 mx include:nets.five.example -all"))]);
    // What else is wrong with it is mended by the same record.
    let report = spf("TXT v=spf1 mx mx include:nets.five.example|-all").await;
    let better = Some("v=spf1 mx include:nets.five.example -all");
    assert_eq!(shown(&report), [("spf.too_long_string", better), ("spf.duplicate_mechanism", better)]);
}

#[tokio::test]
async fn no_record_is_written_from_a_tree_that_could_not_be_read() {
    let mute = [("mute.test", crate::net::tests::Say::Code(hickory_proto::op::ResponseCode::ServFail))];
    let report = run(&[("e.example", "TXT v=spf1 mx mx include:mute.test -all")], &mute, &AuditOptions::default()).await;
    assert_eq!(shown(&report), [("spf.duplicate_mechanism", None)]);
}

#[tokio::test]
async fn a_repair_that_waits_costs_nothing_that_was_found() {
    // Whether DMARC enforces is asked of a silent server, once for the record and once more for its repair: both have no time.
    let mute = [("_dmarc.e.example", crate::net::tests::Say::Silence)];
    let report = run(&[("e.example", "TXT v=spf1 mx mx ~all")], &mute, &AuditOptions::default()).await;
    assert_eq!(shown(&report), [("spf.duplicate_mechanism", None)], "{report:#?}");
}

#[tokio::test]
async fn beside_a_null_mx_who_sends_is_decided_by_the_owner() {
    let own = || vec!["s1".to_owned()];
    let stranger = AuditOptions::default;
    let found = AuditOptions { found_selectors: own(), ..stranger() };
    let seen = AuditOptions { seen_selectors: own(), ..stranger() };
    for (published, options, rule, fires, better) in [
        // Without a record.
        (None, stranger(), "spf.missing", true, Some("v=spf1 -all")),
        (None, seen.clone(), "spf.missing", true, None),
        (None, found.clone(), "spf.missing", true, None),
        (None, AuditOptions { selectors: own(), ..stranger() }, "spf.missing", true, None),
        // With one that lets nobody pass, and with one that does.
        (Some("v=spf1 ~all"), stranger(), "spf.non_sending_open", true, Some("v=spf1 -all")),
        (Some("v=spf1 -mx -all"), stranger(), "spf.non_sending_open", true, Some("v=spf1 -all")),
        (Some("v=spf1 ~all"), found.clone(), "spf.non_sending_open", true, None),
        (Some("v=spf1 ip4:8.8.8.8 -all"), stranger(), "spf.non_sending_open", true, None),
        (Some("v=spf1 ip4:8.8.8.8 -all"), found, "spf.non_sending_open", true, None),
        // That it sends is known, and said of its MX.
        (Some("v=spf1 ip4:8.8.8.8 -all"), seen, "spf.non_sending_open", false, None),
    ] {
        let text = published.map(|record| format!("TXT {record}"));
        let records: Vec<(&str, &str)> = std::iter::once(("n.example", "MX 0 .")).chain(text.as_deref().map(|text| ("n.example", text))).collect();
        let server = crate::net::tests::Server::start(&records, &[]).await;
        let report = audit_families(&server.net(), &"n.example".parse().unwrap(), &options, &[Family::Spf]).await;
        let said = report.findings.iter().find(|found| found.rule == rule);
        assert_eq!(said.is_some(), fires, "{records:?} {options:?}");
        let Some(said) = said else { continue };
        assert_eq!(said.record.as_ref().map(|record| record.value.as_str()), better, "{records:?} {options:?}: {report:#?}");
        assert_eq!(said.fix.contains("yours to decide"), better.is_none(), "{said:?}");
    }
    // Without MX records there is no word of its owner on that: what was there before counts.
    let lost = AuditOptions { known: Known { lost_mx: vec!["10 mx.n.example".to_owned()], ..Known::default() }, ..stranger() };
    let server = crate::net::tests::Server::start(&[("n.example", "TXT hello")], &[]).await;
    let report = audit_families(&server.net(), &"n.example".parse().unwrap(), &lost, &[Family::Spf, Family::Dmarc]).await;
    for rule in ["spf.missing", "dmarc.missing"] {
        let said = report.findings.iter().find(|found| found.rule == rule).unwrap();
        assert!(said.record.is_none() && !said.fix.contains("have mail in its name refused"), "{said:?}");
    }
}

fn watched(address: &str) -> AuditOptions {
    AuditOptions { senders: vec![(address.parse().unwrap(), "watched".to_owned())], ..AuditOptions::default() }
}

fn of_rule<'a>(report: &'a AuditReport, rule: &str) -> &'a Finding {
    report.findings.iter().find(|found| found.rule == rule).unwrap()
}

#[tokio::test]
async fn a_record_that_begins_wrongly_is_proposed_only_where_it_refuses_none_of_the_own() {
    // The MX host mx.e.example is the domain's own.
    for (published, sender, better) in [
        ("v=spf1-all", "8.8.4.4", None),
        ("v=spf1;ip4:8.8.8.8 -all", "8.8.4.4", None),
        ("v=spf1include:five.example ~all", "203.0.113.11", None),
        ("v=spf1;mx ip4:8.8.8.8 -all", "8.8.4.4", Some("v=spf1 mx ip4:8.8.8.8 ip4:8.8.4.4 -all")),
        ("v=spf1mx mx mx ?all", "8.8.4.4", Some("v=spf1 mx ip4:8.8.4.4 ~all")),
    ] {
        let report = run(&[("e.example", &format!("TXT {published}"))], &[], &watched(sender)).await;
        assert_eq!(shown(&report)[0], ("spf.missing", better), "{published}: {report:#?}");
        let fix = &report.findings[0].fix;
        assert_eq!(fix.contains("would not let these hosts send: 203.0.113.5 (MX host mx.e.example)."), better.is_none(), "{fix}");
    }
    // The same of a record that can not be read.
    let report = spf("TXT v=spf1 ip4: 8.8.8.8 -all").await;
    let found = of_rule(&report, "spf.syntax");
    assert!(found.record.is_none() && found.fix.contains("would not let these hosts send: 203.0.113.5"), "{found:?}");
    // Where nobody is known there is nobody to refuse; that nobody sends any more is not what “+all” meant.
    for (published, better) in [("v=spf1-all", Some("v=spf1 -all")), ("v=spf1+all", None), ("v=spf1a:h.test +all", Some("v=spf1 a:h.test ~all"))] {
        let text = format!("TXT {published}");
        let server = crate::net::tests::Server::start(&[("f.example", text.as_str()), ("h.test", "A 8.8.8.8")], &[]).await;
        let report = audit_families(&server.net(), &"f.example".parse().unwrap(), &AuditOptions::default(), &[Family::Spf]).await;
        assert_eq!(shown(&report)[0], ("spf.missing", better), "{published}: {report:#?}");
    }
}

#[tokio::test]
async fn a_sender_of_whom_nothing_is_told_loses_no_way_to_pass() {
    for (published, name, better) in [
        // It passes by “+all” today, whatever its reverse zone says.
        ("v=spf1 mx ptr +all", "7.100.51.198.in-addr.arpa", None),
        ("v=spf1 mx exists:%{i}.mute.test +all", "198.51.100.7.mute.test", None),
        // Nothing is taken from it.
        ("v=spf1 mx mx exists:%{i}.mute.test -all", "198.51.100.7.mute.test", Some("v=spf1 mx exists:%{i}.mute.test -all")),
    ] {
        for say in [crate::net::tests::Say::Silence, crate::net::tests::Say::Code(hickory_proto::op::ResponseCode::ServFail)] {
            // A reverse zone that fails matches nothing (RFC 7208 5.5): the sender is told then.
            if published.contains("ptr") && !matches!(say, crate::net::tests::Say::Silence) {
                continue;
            }
            let options = AuditOptions { deadline: Duration::from_secs(20), ..watched("198.51.100.7") };
            let report = run(&[("e.example", &format!("TXT {published}"))], &[(name, say)], &options).await;
            let values: Vec<&str> = shown(&report).into_iter().filter_map(|(_, value)| value).collect();
            assert!(values.iter().all(|value| Some(*value) == better) && values.is_empty() == better.is_none(), "{published}: {:?}", shown(&report));
        }
    }
}

#[tokio::test]
async fn a_record_written_anew_takes_no_finding_with_it_and_waits_for_nobody() {
    let say =
        |silent: bool| if silent { crate::net::tests::Say::Silence } else { crate::net::tests::Say::Code(hickory_proto::op::ResponseCode::ServFail) };
    let options = AuditOptions { deadline: Duration::from_secs(3), ..watched("8.8.4.4") };
    for silent in [true, false] {
        for (published, more, rule) in [
            ("v=spf1 mx ip4: 8.8.8.8 include:mute.test -all", None, "spf.syntax"),
            ("v=spf1 mx include:mute.test -all", Some("v=spf1 ip4:8.8.8.8"), "spf.multiple_records"),
            ("v=spf1mx include:mute.test -all", None, "spf.missing"),
        ] {
            let texts: Vec<String> = [Some(published), more].into_iter().flatten().map(|text| format!("TXT {text}")).collect();
            let records: Vec<(&str, &str)> = texts.iter().map(|text| ("e.example", text.as_str())).collect();
            let report = run(&records, &[("mute.test", say(silent))], &options).await;
            let found = of_rule(&report, rule);
            assert!(found.record.is_none() && found.fix.contains("could not be judged in time"), "{published}: {found:?}");
            assert!(rule == "spf.multiple_records" || !found.fix.contains("decided by you"), "{found:?}");
        }
    }
    // Whose strings run on says something else today than it was meant to: that was not told either.
    let report = run(&[("e.example", "TXT v=spf1 mx include:mute.test|-all")], &[("mute.test", say(false))], &options).await;
    assert_eq!(shown(&report)[0], ("spf.too_long_string", None));
}

#[tokio::test]
async fn only_who_is_told_to_pass_no_more_is_called_so() {
    let mute = [("mute.test", crate::net::tests::Say::Code(hickory_proto::op::ResponseCode::ServFail))];
    let report = run(&[("e.example", "TXT v=spf1 +all a:mute.test")], &mute, &AuditOptions::default()).await;
    let found = of_rule(&report, "spf.plus_all");
    assert!(found.record.is_none() && !found.fix.contains("203.0.113.5"), "{found:?}");
}

/// What keeps the rules from reading the record at all.
fn is_unread(rule: &str) -> bool {
    rule == "spf.syntax" || rule == "spf.duplicate_modifier"
}
