//! Pairs of probes and what is told of them.

use serde_json::{Value, json};
use waypost_types::drift::ChangeKind::{self, Added, Changed, Removed};

use super::*;

/// A probe of a healthy server with these fields otherwise.
pub(in crate::probe) fn probe(edits: &[(&str, Value)]) -> ProbeReport {
    let mut value = json!({
        "host": "mx.example", "address": "192.0.2.1", "port": 25, "mode": "starttls", "verdict": "up", "reason": "", "stage_ms": {"ehlo": 1.0},
        "banner": "mx.example ESMTP Postfix", "findings": [], "transcript": [],
        "extensions": ["SIZE 1000", "PIPELINING", "AUTH PLAIN"],
        "auth": {"under_tls": ["PLAIN"]},
        "tls": {
            "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "key_exchange": "X25519", "trusted": true, "name_matches": true,
            "expires": "2026-12-01T00:00:00Z", "issuer": "CN=CA", "names": ["mx.example"], "fingerprint": "aa", "key": "EC 256",
        },
    });
    for (path, new) in edits {
        *value.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = new.clone();
    }
    serde_json::from_value(value).unwrap()
}

pub(in crate::probe) fn report(probes: Vec<ProbeReport>) -> SmtpReport {
    let verdict = waypost_types::outcome::Verdict::Up;
    SmtpReport {
        host: "mx.example".to_owned(),
        port: 25,
        mode: ProbeMode::Starttls,
        verdict,
        summary: String::new(),
        probes,
        close_looks: Vec::new(),
        login: None,
    }
}

fn told(before: &[(&str, Value)], after: &[(&str, Value)]) -> Vec<(ChangeKind, String)> {
    let found = changes(&report(vec![probe(before)]), &report(vec![probe(after)]));
    // An address may be put before them, and then they still say what happened.
    assert!(found.iter().all(|change| change.form.is_sentence() || change.text.starts_with("address ")), "{found:?}");
    found.into_iter().map(|change| (change.kind, change.text)).collect()
}

#[test]
fn each_change_has_its_words() {
    let no_tls = [("/tls", Value::Null), ("/extensions", json!(["SIZE 1000", "PIPELINING"])), ("/auth", Value::Null)];
    let no_handshake = [("/tls", Value::Null), ("/extensions", json!(["SIZE 1000", "STARTTLS"])), ("/auth", Value::Null)];
    let renewed = [("/tls/fingerprint", json!("bb")), ("/tls/expires", json!("2027-03-01T00:00:00Z"))];
    let moved = [
        ("/tls/fingerprint", json!("bb")),
        ("/tls/issuer", json!("CN=Other")),
        ("/tls/names", json!(["*.example"])),
        ("/tls/name_matches", json!(false)),
    ];
    for (after, wanted) in [
        (&[][..], &[][..]),
        (&[("/tls/version", json!("TLSv1.2"))], &[(Changed, "TLS version TLSv1.2, before TLSv1.3")]),
        (&[("/tls/key_exchange", json!("secp256r1"))], &[(Changed, "key exchange secp256r1, before X25519")]),
        (&[("/tls/key_exchange", json!(""))], &[]),
        (&renewed, &[(Changed, "the certificate was replaced: valid until 2027-03-01, before until 2026-12-01")]),
        (
            &moved,
            &[
                (Changed, "the certificate was replaced: valid until 2026-12-01, before until 2026-12-01"),
                (Changed, "the certificate is issued by CN=Other, before CN=CA"),
                (Removed, "the certificate no longer names mx.example"),
                (Added, "the certificate names *.example"),
                (Changed, "the certificate no longer names the host"),
            ],
        ),
        (&[("/tls/trusted", json!(false))], &[(Changed, "the certificate is no longer trusted: no reason is known")]),
        (&no_tls, &[(Removed, "STARTTLS is no longer offered")]),
        (&no_handshake, &[(Removed, "TLS: STARTTLS is offered and no longer works")]),
        (
            &[("/extensions", json!(["SIZE 500", "CHUNKING", "AUTH PLAIN"]))],
            &[(Removed, "PIPELINING is no longer offered"), (Added, "CHUNKING is offered"), (Changed, "SIZE 500 bytes, before SIZE 1000 bytes")],
        ),
        (
            &[("/auth", json!({"under_tls": ["LOGIN"], "in_clear": ["PLAIN"]}))],
            &[
                (Added, "AUTH PLAIN is offered before TLS"),
                (Removed, "AUTH PLAIN is no longer offered under TLS"),
                (Added, "AUTH LOGIN is offered under TLS"),
            ],
        ),
        (&[("/banner", json!("new.example ESMTP"))], &[(Changed, "it greets as new.example, before as mx.example")]),
        (&[("/banner", json!("mx.example ESMTP Exim"))], &[(Changed, "the greeting is “mx.example ESMTP Exim”, before “mx.example ESMTP Postfix”")]),
        // A conversation that broke off, or was turned away, saw nothing.
        (&[("/tls", Value::Null), ("/extensions", json!([])), ("/banner", Value::Null), ("/auth", Value::Null)], &[]),
        (&[("/banner", json!("mx.example too busy")), ("/stage_ms", json!({})), ("/extensions", json!([])), ("/tls", Value::Null)], &[]),
    ] {
        let found = told(&[], after);
        let found: Vec<(ChangeKind, &str)> = found.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        assert_eq!(found, wanted, "{after:?}");
    }
    assert_eq!(told(&no_tls, &[]), [(Added, "TLS works: TLSv1.3".to_owned())]);
    let chain = json!([{"subject": "CN=CA", "issuer": "CN=Root", "not_before": null, "expires": null, "key": "EC 256", "signature": "", "fingerprint": "cc"}]);
    let mut sent = probe(&[]);
    sent.tls.as_mut().unwrap().chain = serde_json::from_value(chain).unwrap();
    let found = changes(&report(vec![sent]), &report(vec![probe(&[])]));
    assert!(found.len() == 1 && found[0].text.contains("sends nothing, before CN=CA"), "{found:?}");
}

#[test]
fn greetings_change_by_what_stays_in_them() {
    for (old, new, same) in [
        ("mx ESMTP Exim 4.96 Mon, 02 Nov 2026 10:00:01 +0000", "mx ESMTP Exim 4.96 Tue, 03 Nov 2026 11:22:33 +0100", true),
        ("mx ESMTP Exim 4.96 Mon, 02 Nov 2026 10:00:01 +0000", "mx ESMTP Exim 4.98.1 Mon, 02 Nov 2026 10:00:01 +0000", false),
        ("mx ESMTP af79cd13be357-8b2d - gsmtp", "mx ESMTP 6a1803df08f44-88 - gsmtp", true),
        ("mx ESMTP Postfix (Debian)", "mx ESMTP Postfix", false),
        ("mx ready", "mx ready", true),
    ] {
        assert_eq!(steady(old) == steady(new), same, "{:?} {:?}", steady(old), steady(new));
    }
}

#[test]
fn addresses_are_named_where_they_differ() {
    let at = |address: &str, version: &str| probe(&[("/address", json!(address)), ("/tls/version", json!(version))]);
    let texts = |before: Vec<ProbeReport>, after: Vec<ProbeReport>| -> Vec<String> {
        changes(&report(before), &report(after)).into_iter().map(|change| change.text).collect()
    };
    let both = |version: &str| vec![at("192.0.2.1", version), at("192.0.2.2", version)];
    assert_eq!(texts(both("TLSv1.3"), both("TLSv1.2")), ["TLS version TLSv1.2, before TLSv1.3"], "once for all");
    let one = vec![at("192.0.2.1", "TLSv1.3"), at("192.0.2.2", "TLSv1.2")];
    assert_eq!(texts(both("TLSv1.3"), one), ["192.0.2.2: TLS version TLSv1.2, before TLSv1.3"]);
    assert_eq!(texts(both("TLSv1.3"), vec![at("192.0.2.2", "TLSv1.3"), at("192.0.2.3", "TLSv1.3")]), ["address 192.0.2.1", "address 192.0.2.3"]);
    let blind = ProbeReport { address: None, ..probe(&[]) };
    assert_eq!(texts(both("TLSv1.3"), vec![blind]), [""; 0], "DNS did not tell");
    let many = |word: &str| probe(&[("/extensions", json!((0..50).map(|n| format!("{word}{n}")).collect::<Vec<_>>()))]);
    assert_eq!(texts(vec![many("A")], vec![many("B")]).last().map(String::as_str), Some("and 70 more"));
}
