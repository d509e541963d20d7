//! Probes of real servers in the lab: logins at Postfix with Cyrus SASL, and what its TLS shows. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use waypost_engine::net::{Net, NetConfig};
use waypost_engine::probe::{Asks, Credentials, Mechanism, ProbeTarget, Prober};
use waypost_lab::{Fault, Lab, LabConfig, Lease, Signing};
use waypost_types::finding::Severity;
use waypost_types::outcome::{DaneState, LoginOutcome, ProbeMode, ProbeReport, Speaker, Verdict};

const USER: &str = "user@lab.test";
const PASSWORD: &str = "secret-lab";

async fn lab() -> Lab {
    match Lab::start(LabConfig::default()).await {
        Ok(lab) => lab,
        Err(error) => panic!("{error}"),
    }
}

fn prober(lab: &Lab) -> Prober {
    prober_trusting(lab, false)
}

fn prober_trusting(lab: &Lab, trust_ad: bool) -> Prober {
    let resolvers = vec![lab.ready.resolver.parse().unwrap()];
    let net = Net::new(NetConfig { resolvers, trust_ad, ca_file: Some((&lab.ready.ca_file).into()), ..NetConfig::default() }).unwrap();
    Prober::new(&net).with_open_ports()
}

async fn probe(prober: &Prober, lease: &Lease, port: u16, auth: Option<Credentials>) -> ProbeReport {
    let target = ProbeTarget { host: lease.mx_host.clone(), port, mode: ProbeMode::of_port(port), auth };
    prober.probe_address(&target, lease.address.into()).await
}

fn login(report: &ProbeReport) -> (LoginOutcome, Option<&str>) {
    let login = report.auth.as_ref().and_then(|auth| auth.login.as_ref()).unwrap_or_else(|| panic!("{report:#?}"));
    (login.outcome, login.mechanism.as_deref())
}

#[tokio::test]
async fn every_mechanism_logs_in_and_a_wrong_password_is_told() {
    let lab = lab().await;
    let lease = lab.client().lease("login").await.unwrap();
    let prober = prober(&lab);
    for port in [465, 587] {
        let best = probe(&prober, &lease, port, Some(Credentials::password(USER, PASSWORD))).await;
        assert_eq!(login(&best), (LoginOutcome::Accepted, Some("SCRAM-SHA-256")), "{best:#?}");
        assert_eq!(best.verdict, Verdict::Up, "{best:#?}");
    }
    for mechanism in [Mechanism::ScramSha1, Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::ScramSha256] {
        for (password, wanted, verdict) in [(PASSWORD, LoginOutcome::Accepted, Verdict::Up), ("wrong", LoginOutcome::Refused, Verdict::Down)] {
            let credentials = Credentials { mechanism: Some(mechanism), ..Credentials::password(USER, password) };
            let report = probe(&prober, &lease, 587, Some(credentials)).await;
            assert_eq!(login(&report), (wanted, Some(mechanism.as_str())), "{report:#?}");
            assert_eq!(report.verdict, verdict, "{report:#?}");
            assert!(!serde_json::to_string(&report).unwrap().contains(PASSWORD));
        }
    }
    // An impostor gets nothing.
    lab.client().fault(lease.address, 587, Fault::SelfSigned).await.unwrap();
    let report = probe(&prober, &lease, 587, Some(Credentials::password(USER, PASSWORD))).await;
    assert_eq!(login(&report), (LoginOutcome::Untried, None), "{report:#?}");
    assert!(!report.transcript.iter().any(|line| line.line.starts_with("AUTH")), "{report:#?}");
}

#[tokio::test]
async fn the_session_and_its_chain_are_shown() {
    let lab = lab().await;
    let lease = lab.client().lease("tls").await.unwrap();
    let report = probe(&prober(&lab), &lease, 25, None).await;
    let tls = report.tls.as_ref().unwrap_or_else(|| panic!("{report:#?}"));
    assert!(tls.trusted && tls.name_matches && tls.not_before < tls.expires, "{tls:#?}");
    assert!(!tls.key_exchange.is_empty() && tls.key == "EC 256" && tls.signature == "ECDSA with SHA-256", "{tls:#?}");
    // The lab's authority is sent behind the host's own.
    assert_eq!(tls.chain.len(), 1, "{tls:#?}");
    assert_eq!(tls.chain[0].subject, tls.issuer, "{tls:#?}");
    assert!(!report.findings.iter().any(|finding| finding.rule.starts_with("cert.")), "{report:#?}");
}

#[tokio::test]
async fn a_well_kept_server_passes_what_its_owner_has_asked() {
    let lab = lab().await;
    let lease = lab.client().lease("asked").await.unwrap();
    let asks = Asks::of_owner(Some(lease.domain.parse().unwrap()), true);
    // On 587 Postfix takes mail of its own domains from strangers too; STARTTLS comes first there.
    let target = ProbeTarget { host: lease.mx_host.clone(), port: 587, mode: ProbeMode::Starttls, auth: None };
    let prober = prober(&lab);
    let held = prober.probe_address(&target, lease.address.into()).await;
    let report = prober.look_closely(&target, &asks, &held).await.unwrap();
    let asked: Vec<&str> = report.findings.iter().map(|finding| finding.rule.as_str()).filter(|rule| !rule.starts_with("helo.")).collect();
    assert_eq!((asked, report.unknown.len()), (vec!["smtp.catch_all"], 0), "the lab's Postfix knows no single recipient: {report:#?}");
    for line in ["RCPT TO:<postmaster@", "RCPT TO:<abuse@", "RCPT TO:<waypost-relay-test@example.net>", "RSET", "NOOP", "VRFY ", "EXPN "] {
        assert!(report.transcript.iter().any(|said| said.line.starts_with(line)), "{line}: {report:#?}");
    }
    assert_eq!(lab.client().mail(&format!("postmaster@{}", lease.domain)).await.unwrap(), []);
}

#[tokio::test]
async fn a_postfix_that_takes_old_tls_is_told_from_one_that_does_not() {
    let lab = lab().await;
    let lease = lab.client().lease("oldtls").await.unwrap();
    let prober = prober(&lab);
    for (port, severities) in [(25, [Severity::Low].as_slice()), (465, &[Severity::Medium]), (587, &[Severity::Medium])] {
        let target = ProbeTarget { host: lease.mx_host.clone(), port, mode: ProbeMode::of_port(port), auth: None };
        for (fault, expected) in [(Fault::None, [].as_slice()), (Fault::OldTls, severities)] {
            lab.client().fault(lease.address, port, fault).await.unwrap();
            let held = prober.probe_address(&target, lease.address.into()).await;
            assert_eq!(held.verdict, Verdict::Up, "{held:#?}");
            let look = prober.look_closely(&target, &Asks::of_anybody(), &held).await.unwrap();
            let old: Vec<_> = look.findings.iter().filter(|finding| finding.rule == "tls.old_version").collect();
            assert_eq!(old.iter().map(|finding| finding.severity).collect::<Vec<_>>(), expected, "{port} {fault:?}: {look:#?}");
            assert!(old.iter().all(|finding| finding.summary.contains("TLS 1.1 and TLS 1.0")), "{look:#?}");
            // Suites without a certificate are what Postfix takes by itself: of no harm to who would else speak in clear.
            let weak = look.findings.iter().filter(|finding| finding.rule == "tls.weak_cipher").count();
            assert_eq!(weak, usize::from(port != 25 && fault == Fault::OldTls), "{port} {fault:?}: {look:#?}");
            assert_eq!(look.unknown, []);
        }
    }
}

#[tokio::test]
async fn a_postfix_of_rsa_key_exchange_alone_is_degraded_and_not_down() {
    let lab = lab().await;
    let lease = lab.client().lease("rsa").await.unwrap();
    let prober = prober(&lab);
    for port in [25, 465, 587] {
        lab.client().fault(lease.address, port, Fault::RsaOnly).await.unwrap();
        let report = probe(&prober, &lease, port, None).await;
        assert_eq!(report.verdict, Verdict::Degraded, "{report:#?}");
        let tls: Vec<&str> = report.findings.iter().map(|finding| finding.rule.as_str()).filter(|rule| rule.contains("tls.")).collect();
        assert_eq!(tls, ["tls.no_forward_secrecy"], "{report:#?}");
        assert!(report.findings[0].summary.contains("TLS_RSA_WITH_AES_"), "{report:#?}");
    }
}

/// What the owner's question about messages finds at port 25 of a Postfix, and what arrives of it.
async fn about_messages(lab: &Lab, name: &str, fault: Fault) -> Vec<String> {
    let lease = lab.client().lease(name).await.unwrap();
    lab.client().fault(lease.address, 25, fault).await.unwrap();
    let target = ProbeTarget { host: lease.mx_host.clone(), port: 25, mode: ProbeMode::Starttls, auth: None };
    let prober = prober(lab);
    let held = prober.probe_address(&target, lease.address.into()).await;
    let asks = Asks { recipients_of: Some(lease.domain.parse().unwrap()), data: true, ..Asks::default() };
    let look = prober.look_closely(&target, &asks, &held).await.unwrap();
    assert_eq!(look.unknown, [], "{look:#?}");
    let refused = look.transcript.iter().filter(|line| line.from == Speaker::Server && line.line.contains("too many hops")).count();
    assert_eq!(refused > 0, fault != Fault::LateRefusal, "Postfix refuses the message for its hops: {look:#?}");
    for user in ["postmaster", "abuse", "waypost-nobody-has-this-name"] {
        assert_eq!(lab.client().mail(&format!("{user}@{}", lease.domain)).await.unwrap(), [], "nothing is delivered");
    }
    look.findings.into_iter().map(|finding| finding.rule).collect()
}

#[tokio::test]
async fn what_postfix_does_with_a_message_is_told_and_none_is_delivered() {
    let lab = lab().await;
    // The lab's Postfix knows no single recipient.
    assert_eq!(about_messages(&lab, "normal", Fault::None).await, ["smtp.catch_all"]);
    assert_eq!(about_messages(&lab, "smuggled", Fault::BareLf).await, ["smtp.bare_lf_accepted", "smtp.catch_all"]);
    assert_eq!(about_messages(&lab, "late", Fault::LateRefusal).await, ["smtp.rejects_after_data"]);
}

#[tokio::test]
async fn the_port_that_mail_programs_should_use_is_missed_where_it_is_closed() {
    let lab = lab().await;
    let lease = lab.client().lease("ports").await.unwrap();
    let prober = prober(&lab);
    let target = ProbeTarget { host: lease.mx_host.clone(), port: 587, mode: ProbeMode::Starttls, auth: None };
    let held = prober.probe_address(&target, lease.address.into()).await;
    let asks = Asks { submission: true, ..Asks::default() };
    for (fault, found) in [(Fault::None, [].as_slice()), (Fault::Refuse, &["smtp.implicit_tls_missing"])] {
        lab.client().fault(lease.address, 465, fault).await.unwrap();
        let look = prober.look_closely(&target, &asks, &held).await.unwrap();
        let rules: Vec<&str> = look.findings.iter().map(|finding| finding.rule.as_str()).collect();
        assert_eq!((rules.as_slice(), look.unknown.len()), (found, 0), "{look:#?}");
    }
}

#[tokio::test]
async fn tlsa_records_of_a_signed_zone_are_held_against_the_certificate_that_postfix_shows() {
    let lab = lab().await;
    let client = lab.client();
    let state = |report: &ProbeReport| report.tls.as_ref().unwrap().dane.as_ref().map(|dane| (dane.state, dane.usage()));
    let pinned = client.lease_signed("pinned", Signing::Valid).await.unwrap();
    let report = probe(&prober_trusting(&lab, true), &pinned, 25, None).await;
    assert_eq!((state(&report), report.verdict), (Some((DaneState::Matches, Some(3))), Verdict::Up), "{report:#?}");
    // Who trusts no resolver does not know.
    let report = probe(&prober(&lab), &pinned, 25, None).await;
    assert_eq!((state(&report), report.verdict), (Some((DaneState::Unknown, None)), Verdict::Up), "{report:#?}");
    // There are none where programs log in.
    assert_eq!(state(&probe(&prober_trusting(&lab, true), &pinned, 587, None).await), None);

    let wrong = client.lease_signed("wrong", Signing::Valid).await.unwrap();
    let owner = format!("_25._tcp.{}", wrong.mx_host.split_once('.').unwrap().0);
    assert_eq!(client.remove_records("dnssec.test", &owner, Some("TLSA"), None).await.unwrap(), 1);
    client.add_record("dnssec.test", &format!("{owner} 1 IN TLSA 3 1 1 {}", "ab".repeat(32))).await.unwrap();
    let report = probe(&prober_trusting(&lab, true), &wrong, 25, None).await;
    assert_eq!((state(&report), report.verdict), (Some((DaneState::Mismatch, None)), Verdict::Degraded), "{report:#?}");
    assert!(report.findings.iter().any(|finding| finding.rule == "dane.mismatch" && finding.severity == Severity::Critical));
    let report = probe(&prober(&lab), &wrong, 25, None).await;
    assert_eq!(report.verdict, Verdict::Up, "{report:#?}");
}
