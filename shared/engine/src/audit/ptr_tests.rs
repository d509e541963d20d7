//! Reverse names of MX hosts and of addresses that are known to send, against a small name server.
#![allow(clippy::unwrap_used)]

use hickory_proto::op::ResponseCode;
use waypost_types::Severity;

use super::*;
use crate::net::{
    RecordType,
    tests::{Say, Server},
};

const SENDER: &str = "203.0.113.7";
const REVERSE: &str = "7.113.0.203.in-addr.arpa";

async fn judge(records: &[(&str, &str)], others: &[(&str, Say)], senders: &[&str]) -> AuditReport {
    let server = Server::start(records, others).await;
    let senders = senders.iter().map(|address| (address.parse().unwrap(), "watched address".to_owned())).collect();
    let options = AuditOptions { senders, ..AuditOptions::default() };
    audit_families(&server.net(), &"e.example".parse().unwrap(), &options, &[Family::Ptr]).await
}

fn seen(report: &AuditReport) -> Vec<(&str, Severity)> {
    report.findings.iter().map(|finding| (finding.rule.as_str(), finding.severity)).collect()
}

/// A name for the case, records, and the rules that fire on them.
type Case = (&'static str, Vec<(&'static str, &'static str)>, Vec<(&'static str, Severity)>);

#[tokio::test]
async fn each_rule_fires_on_its_record_alone() {
    use Severity::{Critical, High, Info, Low, Medium};
    let cases: [Case; 9] = [
        ("own name", vec![(REVERSE, "PTR out.e.example"), ("out.e.example", "A 203.0.113.7")], vec![]),
        ("own name of digits", vec![(REVERSE, "PTR mail-203-0-113-7.e.example"), ("mail-203-0-113-7.e.example", "A 203.0.113.7")], vec![]),
        ("nothing", vec![(SENDER, "TXT x")], vec![("ptr.missing", Critical)]),
        ("another address", vec![(REVERSE, "PTR out.e.example"), ("out.e.example", "A 203.0.113.8")], vec![("ptr.fcrdns_mismatch", Critical)]),
        ("no address", vec![(REVERSE, "PTR out.e.example")], vec![("ptr.fcrdns_mismatch", Critical)]),
        ("hoster", vec![(REVERSE, "PTR 203-0-113-7.h.example"), ("203-0-113-7.h.example", "A 203.0.113.7")], vec![("ptr.generic", Medium)]),
        ("line", vec![(REVERSE, "PTR a.dyn.h.example"), ("a.dyn.h.example", "A 203.0.113.7")], vec![("ptr.generic", High)]),
        ("foreign", vec![(REVERSE, "PTR mx.h.example"), ("mx.h.example", "A 203.0.113.7")], vec![("ptr.no_own_domain", Info)]),
        (
            "two",
            vec![(REVERSE, "PTR out.e.example"), (REVERSE, "PTR 203-0-113-7.h.example"), ("out.e.example", "A 203.0.113.7")],
            vec![("ptr.multiple", Low)],
        ),
    ];
    for (name, records, wanted) in cases {
        let report = judge(&[records.as_slice(), &[("e.example", "MX 0 .")]].concat(), &[], &[SENDER, SENDER]).await;
        assert_eq!(seen(&report), wanted, "{name}: {:#?}", report.findings);
        assert!(report.findings.iter().all(|finding| !finding.fix.contains('{')), "{name}: {:#?}", report.findings);
        // The same records of an address that nobody knows to send are not looked at.
        assert!(judge(&records, &[], &[]).await.findings.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_reverse_name_to_publish_is_given_as_a_record() {
    let report = judge(&[("e.example", "MX 0 .")], &[], &[SENDER, "2001:db8::7"]).await;
    let records: Vec<_> = report.findings.iter().map(|finding| finding.record.clone().unwrap()).collect();
    assert_eq!((records[0].kind.as_str(), records[0].name.as_str(), records[0].value.as_str()), ("PTR", REVERSE, "mail.e.example."));
    assert!(records[1].name.starts_with("7.0.0.0.") && records[1].name.ends_with(".ip6.arpa"), "{records:?}");
    assert!(report.findings[0].summary.contains("203.0.113.7 (watched address)"));
}

#[tokio::test]
async fn a_name_that_nobody_can_have_is_replaced_and_not_given_an_address() {
    for name in ["localhost", "203.0.113.7", "mailserver", "mail.local", "."] {
        let report = judge(&[("e.example", "MX 0 ."), (REVERSE, &format!("PTR {name}"))], &[], &[SENDER]).await;
        assert_eq!(seen(&report), [("ptr.fcrdns_mismatch", Severity::Critical)], "{name}");
        let finding = &report.findings[0];
        let record = finding.record.as_ref().unwrap();
        assert_eq!((record.kind.as_str(), record.name.as_str(), record.value.as_str()), ("PTR", REVERSE, "mail.e.example."), "{name}");
        assert!(finding.fix.contains("its PTR record to mail.e.example") && !finding.summary.contains(", ,"), "{finding:?}");
    }
    // Delegated classlessly (RFC 2317), and a name that is itself an alias: both lead back.
    let classless = [
        ("e.example", "MX 0 ."),
        (REVERSE, "CNAME 7.0-31.113.0.203.in-addr.arpa"),
        ("7.0-31.113.0.203.in-addr.arpa", "PTR alias.e.example"),
        ("alias.e.example", "CNAME out.e.example"),
        ("out.e.example", "A 203.0.113.7"),
    ];
    let report = judge(&classless, &[], &[SENDER]).await;
    assert_eq!((seen(&report), report.checks["ptr"].word.as_str()), (vec![], "Match"), "{report:#?}");
}

#[tokio::test]
async fn a_private_address_without_a_reverse_name_is_unknown_on_the_command_line_too() {
    let report = judge(&[("e.example", "MX 0 .")], &[], &["10.0.0.5"]).await;
    assert!(report.findings.is_empty() && report.unknown[0].reason.contains("a private address"), "{report:#?}");
    let named = [("e.example", "MX 0 ."), ("5.0.0.10.in-addr.arpa", "PTR out.e.example"), ("out.e.example", "A 10.0.0.5")];
    assert_eq!(judge(&named, &[], &["10.0.0.5"]).await.checks["ptr"].word, "Match");
}

#[tokio::test]
async fn mx_hosts_count_for_less_unless_they_send() {
    let mx = [("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 203.0.113.7")];
    assert_eq!(seen(&judge(&mx, &[], &[]).await), [("ptr.missing", Severity::Medium)]);
    assert_eq!(seen(&judge(&[&mx[..], &[("e.example", "TXT v=spf1 mx -all")]].concat(), &[], &[]).await), [("ptr.missing", Severity::Critical)]);
    assert_eq!(seen(&judge(&mx, &[], &[SENDER]).await), [("ptr.missing", Severity::Critical)], "known to send: once, not twice");
    let provider = [("e.example", "MX 10 smtp.google.com"), ("smtp.google.com", "A 203.0.113.7")];
    assert_eq!(seen(&judge(&provider, &[], &[]).await), [], "the provider's business");
    let generic = [(REVERSE, "PTR 203-0-113-7.h.example"), ("203-0-113-7.h.example", "A 203.0.113.7")];
    assert_eq!(seen(&judge(&[&mx[..], &generic].concat(), &[], &[]).await), [], "a host that only receives may be called anything");
}

#[tokio::test]
async fn a_domain_that_does_not_exist_sends_nothing() {
    let report = judge(&[], &[], &[SENDER]).await;
    assert!(report.findings.is_empty() && report.checks["ptr"].word == "No such domain", "{report:#?}");
}

#[tokio::test]
async fn what_does_not_answer_is_unknown_and_all_is_bounded() {
    let report = judge(&[("e.example", "MX 0 .")], &[(REVERSE, Say::Code(ResponseCode::ServFail))], &[SENDER]).await;
    assert!(report.findings.is_empty() && report.unknown.len() == 1, "{report:#?}");
    let forward = [("out.e.example", Say::Code(ResponseCode::ServFail))];
    let report = judge(&[("e.example", "MX 0 ."), (REVERSE, "PTR out.e.example")], &forward, &[SENDER]).await;
    assert!(report.findings.is_empty() && report.unknown.len() == 1, "{report:#?}");
    let many: Vec<String> = (0..100).map(|last| format!("203.0.113.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let report = judge(&[("e.example", "MX 0 .")], &[], &many).await;
    // Each is named, so that what was found of it before stays open and nothing else does; only what is far too much is not.
    assert_eq!((report.findings.len(), report.unknown.len()), (32, 65));
    assert_eq!(report.unknown[0].about.as_deref(), Some("203.0.113.32"));
    assert!(report.unknown[64].about.is_none() && report.unknown[64].reason.starts_with("4 more addresses"));
}

#[tokio::test]
async fn the_other_familys_answer_proves_nothing() {
    // The sender's own family did not answer; that the name has an address of the other one is no mismatch.
    let six = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    let forward = [("out.e.example", Say::FailsFor(RecordType::AAAA, vec!["A 203.0.113.8".to_owned()]))];
    let report = judge(&[("e.example", "MX 0 ."), (six, "PTR out.e.example")], &forward, &["2001:db8::7"]).await;
    assert!(report.findings.iter().all(|finding| finding.rule != "ptr.fcrdns_mismatch"), "{:#?}", report.findings);
    assert_eq!(report.unknown.len(), 1, "{:#?}", report.unknown);
    // It answered, and the address is not there.
    let forward = [("out.e.example", Say::FailsFor(RecordType::A, vec!["AAAA 2001:db8::8".to_owned()]))];
    let report = judge(&[("e.example", "MX 0 ."), (six, "PTR out.e.example")], &forward, &["2001:db8::7"]).await;
    assert_eq!(report.findings[0].rule, "ptr.fcrdns_mismatch");
}

#[tokio::test]
async fn an_address_of_which_nobody_tells_whether_it_sends_is_unknown() {
    let records = [("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 203.0.113.7"), (SENDER, "TXT x")];
    let fails = [("e.example", Say::FailsFor(RecordType::TXT, vec!["MX 10 mx.e.example".to_owned()]))];
    let report = judge(&records[1..], &fails, &[]).await;
    assert_eq!(seen(&report), []);
    assert!(report.unknown.iter().any(|part| part.subject == "ptr" && part.reason.contains("sends for the domain")), "{report:#?}");
    assert_eq!(seen(&judge(&records, &[], &[]).await), [("ptr.missing", Severity::Medium)]);
}

#[tokio::test]
async fn hosts_and_addresses_that_are_not_told_are_not_gone() {
    let there = [("e.example", "MX 10 mx.e.example"), ("mx.e.example", "A 203.0.113.7"), (REVERSE, "PTR mx.e.example"), ("gone.example", "MX 0 .")];
    assert!(judge(&there, &[], &[]).await.unknown.is_empty());
    let fails = || Say::Code(ResponseCode::ServFail);
    let half = Say::FailsFor(RecordType::AAAA, vec!["A 203.0.113.7".to_owned()]);
    for (others, why) in [(("e.example", fails()), "MX"), (("mx.e.example", fails()), "mx.e.example"), (("mx.e.example", half), "mx.e.example")] {
        let records: Vec<_> = there.into_iter().filter(|(name, _)| *name != others.0).collect();
        let report = judge(&records, &[others], &[]).await;
        let untold = report.unknown.iter().find(|part| part.subject == "ptr").unwrap();
        assert!(untold.reason.contains(why), "{}", untold.reason);
        // History takes such a look for none.
        let known = [format!("{SENDER} mx.e.example")];
        let kept = drift::records_of(&report, Family::Ptr, &known);
        assert!(kept.is_none_or(|kept| kept == known), "{report:#?}");
    }
}
