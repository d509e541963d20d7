//! Probes of real servers in the lab: logins at Postfix with Cyrus SASL, and what its TLS shows. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use waypost_engine::net::{Net, NetConfig};
use waypost_engine::probe::{Asks, Credentials, Mechanism, Port25Memory, ProbeTarget, Prober};
use waypost_lab::{Fault, Lab, LabConfig, Lease, Signing};
use waypost_types::finding::Severity;
use waypost_types::outcome::{DaneState, LoginOutcome, ProbeMode, ProbeReport, Verdict};

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
    Prober::new(&net).with_port25(Port25Memory::open())
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
