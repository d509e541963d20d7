//! BIMI as a whole: records, files that are served or are not, and mark certificates of all kinds, made on the spot.
#![allow(clippy::unwrap_used)]

use std::{io::Write, net::SocketAddr, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{TimeZone, Utc};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use sha2::{Digest, Sha256};
use waypost_types::Severity;

use super::*;
use crate::net::{
    authority::{Authority, http_answer},
    tests::Server,
};

const LOGO: &str =
    r#"<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 9 9"><title>E</title><path d="M0 0h9v9z"/></svg>"#;

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let mut der = vec![tag];
    match length {
        0..128 => der.push(u8::try_from(length).unwrap()),
        _ => der.extend([0x82, u8::try_from(length >> 8).unwrap(), u8::try_from(length & 255).unwrap()]),
    }
    der.extend_from_slice(value);
    der
}

/// The logotype extension in the form of RFC 9399: a subject logo, direct, one image with a hash and an address.
fn logotype(address: &str, hash: &[u8]) -> Vec<u8> {
    let sha256 = tlv(0x30, &tlv(0x06, &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]));
    let pair = tlv(0x30, &[sha256, tlv(0x04, hash)].concat());
    let details = tlv(0x30, &[tlv(0x16, b"image/svg+xml"), tlv(0x30, &pair), tlv(0x30, &tlv(0x16, address.as_bytes()))].concat());
    let image = tlv(0x30, &details);
    tlv(0x30, &tlv(0xa2, &tlv(0xa0, &tlv(0x30, &image))))
}

fn embedded(logo: &str) -> String {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(logo.as_bytes()).unwrap();
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(gzip.finish().unwrap()))
}

fn with_logo(params: &mut CertificateParams, address: &str, hash: &[u8]) {
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 12], logotype(address, hash))];
}

/// A good mark certificate for e.example with its issuer behind it, changed by `edit` before it is signed.
fn pem(edit: impl FnOnce(&mut CertificateParams)) -> String {
    let issuer_key = KeyPair::generate().unwrap();
    let mut issuer = CertificateParams::new(Vec::new()).unwrap();
    issuer.distinguished_name.push(DnType::OrganizationName, "Mark Authority");
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    issuer.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let above = issuer.self_signed(&issuer_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["e.example".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 31])];
    params.distinguished_name.push(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 53087, 1, 13]), "Registered Mark");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    with_logo(&mut params, &embedded(LOGO), &Sha256::digest(LOGO));
    edit(&mut params);
    let leaf = params.signed_by(&key, &Issuer::new(issuer, issuer_key)).unwrap();
    format!("{}{}", leaf.pem(), above.pem())
}

fn owners() -> Vec<String> {
    ["e.example", "default._bimi.e.example"].map(str::to_owned).to_vec()
}

#[test]
fn a_good_certificate_is_read_and_has_no_faults() {
    let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
    let mark = bimi_mark::read(pem(|_| {}).as_bytes()).unwrap();
    assert_eq!(
        (mark.kind, mark.issuer.as_str(), mark.names.as_slice()),
        (Some("VMC"), "Mark Authority (rcgen self signed cert)", &["e.example".to_owned()][..])
    );
    assert_eq!(mark.claim.as_deref(), Some("Registered Mark"));
    for logo in [Some(LOGO.as_bytes()), Some(format!("{LOGO}\r\n").as_bytes()), None] {
        assert_eq!(mark.faults(&owners(), logo, now), Vec::<String>::new());
    }
    for good in [
        pem(|params| params.subject_alt_names = CertificateParams::new(vec!["default._bimi.e.example".to_owned()]).unwrap().subject_alt_names),
        pem(|params| with_logo(params, "https://e.example/logo.svg", &Sha256::digest(LOGO))),
        pem(|params| with_logo(params, "https://e.example/logo.svg", &sha1::Sha1::digest(LOGO))),
    ] {
        assert_eq!(bimi_mark::read(good.as_bytes()).unwrap().faults(&owners(), Some(LOGO.as_bytes()), now), Vec::<String>::new());
    }
    let common = pem(|params| {
        params.distinguished_name.remove(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 53087, 1, 13]));
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 53087, 1, 13]), "Prior Use Mark");
    });
    assert_eq!(bimi_mark::read(common.as_bytes()).unwrap().kind, Some("CMC"));
}

#[test]
fn each_fault_of_a_certificate_is_said_by_itself() {
    let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
    let alone = |pem: String| pem.split_inclusive("-----END CERTIFICATE-----").next().unwrap().to_owned();
    let stranger = format!("{}\n{}", alone(pem(|_| {})), alone(pem(|_| {})));
    for (file, words) in [
        (pem(|params| params.not_after = date_time_ymd(2025, 6, 1)), "expired on 2025-06-01"),
        (pem(|params| params.not_before = date_time_ymd(2030, 1, 1)), "not valid before 2030-01-01"),
        (
            pem(|params| params.subject_alt_names = CertificateParams::new(vec!["f.example".to_owned()]).unwrap().subject_alt_names),
            "it is for f.example",
        ),
        (pem(|params| params.subject_alt_names.clear()), "it is for no domain"),
        (pem(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]), "extended key usage"),
        (pem(|params| params.custom_extensions.clear()), "no logo in it"),
        (pem(|params| with_logo(params, &embedded("<svg/>"), &Sha256::digest(LOGO))), "another one"),
        (pem(|params| with_logo(params, "https://e.example/logo.svg", &[7; 32])), "another one"),
        (pem(|params| with_logo(params, "data:image/png;base64,AA==", &[7; 32])), "the logo in it is image/png"),
        (pem(|params| with_logo(params, "data:image/svg+xml;base64,!", &[7; 32])), "broken Base64"),
        (pem(|params| with_logo(params, "data:image/svg+xml;base64,H4sIAAAA", &[7; 32])), "compression is broken"),
        (alone(pem(|_| {})), "does not stand behind it"),
        (stranger, "second certificate"),
        (pem(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "must stand first"),
    ] {
        let faults = bimi_mark::read(file.as_bytes()).unwrap().faults(&owners(), Some(LOGO.as_bytes()), now);
        assert!(faults.len() == 1 && faults[0].contains(words), "{words}: {faults:?}");
    }
    for broken in
        ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"]
    {
        assert!(bimi_mark::read(broken.as_bytes()).is_err(), "{broken}");
    }
}

/// The certificate alone, as bytes.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let file = pem(|_| {});
    rustls_pemfile::certs(&mut file.as_bytes()).next().unwrap().unwrap().to_vec()
});

/// A PEM file with this certificate: lines as some program cuts and ends them, with words around them.
fn armoured(der: &[u8], width: usize, end: &str, before: &str) -> String {
    let text = STANDARD.encode(der);
    let body: Vec<&str> = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("{before}{end}-----BEGIN CERTIFICATE-----{end}{}{end}-----END CERTIFICATE-----{end}", body.join(end))
}

#[test]
fn a_certificate_is_read_however_its_file_is_laid_out_and_whatever_byte_is_wrong() {
    let good = bimi_mark::read(armoured(&GOOD, 64, "\n", "").as_bytes()).unwrap();
    let read = std::cell::Cell::new(0_u32);
    let config = proptest::test_runner::Config { failure_persistence: None, ..Default::default() };
    let cases = config.cases;
    let inputs = (
        proptest::collection::vec(any::<u8>(), 0..200),
        (16_usize..100, prop_oneof![Just("\n"), Just("\r\n")], "[A-Za-z0-9 :]{0,40}"),
        (any::<prop::sample::Index>(), any::<u8>()),
    );
    let ran = proptest::test_runner::TestRunner::new(config).run(&inputs, |(noise, (width, end, before), (at, byte))| {
        let _: Result<_, _> = bimi_mark::read(&noise);
        prop_assert_eq!(bimi_mark::read(armoured(&GOOD, width, end, &before).as_bytes()), Ok(good.clone()));
        // A certificate with a byte changed is as near to a good one as a broken one comes.
        let mut der = GOOD.clone();
        let at = at.index(der.len());
        der[at] = byte;
        if let Ok(mark) = bimi_mark::read(armoured(&der, width, end, &before).as_bytes()) {
            read.set(read.get() + 1);
            prop_assert!(!mark.issuer.chars().any(char::is_control) && mark.chained.is_none());
            // Its issuer does not stand behind it: that at least is always said.
            prop_assert!(!mark.faults(&owners(), Some(LOGO.as_bytes()), Utc::now()).is_empty());
        }
        Ok(())
    });
    assert!(ran.is_ok(), "{ran:?}");
    assert!(read.get() * 4 > cases, "only {} of {cases} could be read: the others try nothing", read.get());
}

/// Serves these files at e.example and audits its BIMI.
async fn audited(dmarc: &str, record: &str, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> AuditReport {
    let web = Authority::new();
    let https: SocketAddr = web.issue("e.example", |_| {}).https(answer).await;
    let (dmarc, record) = (format!("TXT {dmarc}"), format!("TXT {record}"));
    let records = [("e.example", "A 127.0.0.1"), ("_dmarc.e.example", dmarc.as_str()), ("default._bimi.e.example", record.as_str())];
    let server = Server::start(&records, &[]).await;
    let net = web.net(server.address, false, Some(https));
    audit_families(&net, &"e.example".parse().unwrap(), &AuditOptions::default(), &[Family::Bimi]).await
}

fn svg_answer(body: &str) -> String {
    http_answer("200 OK", "Content-Type: image/svg+xml\r\n", body)
}

fn seen(report: &AuditReport) -> Vec<(&str, Severity)> {
    report.findings.iter().map(|finding| (finding.rule.as_str(), finding.severity)).collect()
}

const RECORD: &str = "v=BIMI1; l=https://e.example/l.svg; a=https://e.example/m.pem";
const REJECT: &str = "v=DMARC1; p=reject";

#[tokio::test]
async fn a_logo_and_its_certificate_are_fetched_and_judged() {
    let file = pem(|_| {});
    let report = audited(REJECT, RECORD, move |path| if path == "/l.svg" { svg_answer(LOGO) } else { http_answer("200 OK", "", &file) }).await;
    assert_eq!((seen(&report), report.unknown.len()), (vec![], 0), "{report:#?}");
    let detail = report.detail.bimi.unwrap();
    assert_eq!((detail.logo.as_str(), detail.certificate_kind.as_deref()), ("https://e.example/l.svg", Some("VMC")));
    assert_eq!(detail.mark.as_deref(), Some("Registered Mark"));
    assert!(detail.issuer.unwrap().starts_with("Mark Authority") && detail.expires.unwrap().timestamp() > 3_000_000_000);
    assert_eq!(report.checks["bimi"].word, "Set");
}

#[tokio::test]
async fn each_rule_has_its_case() {
    let soon = |days: i64| {
        let day = Utc::now() + chrono::Duration::days(days);
        move |params: &mut CertificateParams| {
            use chrono::Datelike;
            params.not_after = date_time_ymd(day.year(), u8::try_from(day.month()).unwrap(), u8::try_from(day.day()).unwrap());
        }
    };
    let invalid = pem(|params| params.not_after = date_time_ymd(2021, 1, 1));
    for (name, dmarc, logo, certificate, wanted) in [
        ("p=none", "v=DMARC1; p=none", svg_answer(LOGO), pem(|_| {}), vec![("bimi.dmarc_not_enforced", Severity::Medium)]),
        ("sp=none", "v=DMARC1; p=reject; sp=none", svg_answer(LOGO), pem(|_| {}), vec![("bimi.dmarc_not_enforced", Severity::Medium)]),
        ("pct", "v=DMARC1; p=quarantine; pct=20", svg_answer(LOGO), pem(|_| {}), vec![("bimi.dmarc_not_enforced", Severity::Medium)]),
        (
            "svg",
            REJECT,
            svg_answer("<svg/>"),
            pem(|_| {}),
            vec![("bimi.certificate_invalid", Severity::Medium), ("bimi.svg_profile", Severity::Medium)],
        ),
        ("type", REJECT, http_answer("200 OK", "Content-Type: text/plain\r\n", LOGO), pem(|_| {}), vec![("bimi.svg_profile", Severity::Medium)]),
        ("gone", REJECT, http_answer("404 Not Found", "", ""), pem(|_| {}), vec![("bimi.unreachable", Severity::Medium)]),
        ("guarded", REJECT, http_answer("403 Forbidden", "", ""), pem(|_| {}), vec![]),
        ("invalid", REJECT, svg_answer(LOGO), invalid, vec![("bimi.certificate_invalid", Severity::Medium)]),
        ("no PEM", REJECT, svg_answer(LOGO), "hello".to_owned(), vec![("bimi.certificate_invalid", Severity::Medium)]),
        ("soon", REJECT, svg_answer(LOGO), pem(soon(20)), vec![("bimi.certificate_expires", Severity::Low)]),
        ("very soon", REJECT, svg_answer(LOGO), pem(soon(3)), vec![("bimi.certificate_expires", Severity::Medium)]),
        ("not soon", REJECT, svg_answer(LOGO), pem(soon(60)), vec![]),
    ] {
        let report = audited(dmarc, RECORD, move |path| if path == "/l.svg" { logo.clone() } else { http_answer("200 OK", "", &certificate) }).await;
        assert_eq!(seen(&report), wanted, "{name}: {:#?}", report.findings);
        assert_eq!(!report.unknown.is_empty(), name == "guarded", "{name}: {:?}", report.unknown);
        assert!(report.findings.iter().all(|finding| !finding.fix.contains('{')), "{:#?}", report.findings);
    }
    let report = audited(REJECT, "v=BIMI1; l=https://e.example:8443/l.svg", |_| svg_answer(LOGO)).await;
    assert_eq!((seen(&report), report.unknown.len()), (vec![("bimi.no_certificate", Severity::Info)], 1), "{report:#?}");
    assert!(report.unknown[0].reason.contains("port 8443"), "{report:#?}");
    let large = format!("{LOGO}<!--{}-->", "x".repeat(40_000));
    for (record, wanted) in [
        ("v=BIMI1; l=https://e.example/l.svg", vec![("bimi.svg_profile", Severity::Medium), ("bimi.no_certificate", Severity::Info)]),
        ("v=BIMI1; l=http://e.example/l.svg", vec![("bimi.syntax", Severity::Medium)]),
        ("v=BIMI1; l=; a=", vec![]),
    ] {
        let large = large.clone();
        let report = audited(REJECT, record, move |_| svg_answer(&large)).await;
        assert_eq!(seen(&report), wanted, "{record}");
    }
}

#[tokio::test]
async fn a_record_is_proposed_only_with_files_that_it_names() {
    for (record, better) in [
        ("v=bimi1; l=https://e.example/l.svg; a=https://e.example/m.pem", Some("v=BIMI1; l=https://e.example/l.svg; a=https://e.example/m.pem")),
        ("v=BIMI1; L=https://e.example/l.svg; avp=brand", Some("v=BIMI1; l=https://e.example/l.svg; avp=brand")),
        ("v=BIMI1; l=http://e.example/l.svg", None),
        ("v=BIMI1; a=https://e.example/m.pem", None),
    ] {
        let report = audited(REJECT, record, |_| svg_answer(LOGO)).await;
        let found = report.findings.iter().find(|finding| finding.rule == "bimi.syntax").unwrap();
        assert_eq!(found.record.as_ref().map(|record| record.value.as_str()), better, "{record}");
        if let Some(better) = better {
            assert!(!seen(&audited(REJECT, better, |_| svg_answer(LOGO)).await).iter().any(|(rule, _)| *rule == "bimi.syntax"));
        }
    }
}

#[tokio::test]
async fn what_can_not_be_fetched_for_our_reasons_is_unknown() {
    let records = [
        ("e.example", "A 10.0.0.1"),
        ("_dmarc.e.example", "TXT v=DMARC1; p=reject"),
        ("default._bimi.e.example", "TXT v=BIMI1; l=https://e.example/l.svg; a=https://e.example/m.pem"),
    ];
    let server = Server::start(&records, &[]).await;
    let guarded = crate::net::NetConfig {
        resolvers: vec![server.address],
        egress: crate::net::Egress::Guarded { allow: Vec::new() },
        ..crate::net::NetConfig::default()
    };
    let report = audit_families(&Net::new(guarded).unwrap(), &"e.example".parse().unwrap(), &AuditOptions::default(), &[Family::Bimi]).await;
    assert!(report.findings.is_empty() && report.unknown.iter().filter(|part| part.subject == "bimi").count() == 2, "{report:#?}");
}
