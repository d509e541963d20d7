//! Whole messages: signed here, served by a name server on loopback, altered, broken; and garbage, which must only be said to be garbage.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use hickory_proto::op::ResponseCode;
use mail_auth::{
    AuthenticatedMessage, AuthenticationResults, DkimResult, MessageAuthenticator, Parameters,
    arc::ArcSealer,
    common::{
        crypto::{Ed25519Key, RsaKey, Sha256},
        headers::HeaderWriter,
    },
    dkim::DkimSigner,
};
use proptest::prelude::*;
use rcgen::PublicKeyData;
use waypost_types::headers::Verified;

use super::*;
use crate::net::tests::{Say, Server};

/// An RSA key as PKCS#8 and the record that publishes it.
static RSA: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let record = format!("TXT v=DKIM1; p={}", STANDARD.encode(pair.subject_public_key_info()));
    (pair.serialize_der(), split_strings(&record))
});

/// The same with Ed25519.
pub(super) static ED: LazyLock<(Vec<u8>, String)> = LazyLock::new(|| {
    let pkcs8 = Ed25519Key::generate_pkcs8().unwrap();
    let public = Ed25519Key::from_pkcs8_der(&pkcs8).unwrap().public_key();
    (pkcs8, format!("TXT v=DKIM1; k=ed25519; p={}", STANDARD.encode(public)))
});

/// Character-strings hold 255 octets.
fn split_strings(record: &str) -> String {
    record.as_bytes().chunks(200).map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>().join("|")
}

fn rsa() -> RsaKey<Sha256> {
    RsaKey::from_key_der(rustls::pki_types::PrivateKeyDer::Pkcs8(RSA.0.clone().into())).unwrap()
}

pub(super) fn ed() -> Ed25519Key {
    Ed25519Key::from_pkcs8_der(&ED.0).unwrap()
}

pub(super) const PLAIN: &str = "Received: from mail.example.org (mail.example.org [192.0.2.7]) by mx.example.net (Postfix) with ESMTPS id A1 for <ann@example.net>; Wed, 31 Jan 2024 10:20:40 +0000\r\n\
Received: from pc.example.org (unknown [10.0.0.5]) by mail.example.org with ESMTPSA id B2; Wed, 31 Jan 2024 10:20:30 +0000\r\n\
From: Bob <bob@example.org>\r\nTo: ann@example.net\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\nDate: Wed, 31 Jan 2024 10:20:29 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nHello.\r\n";

const FIELDS: [&str; 7] = ["From", "From", "To", "Subject", "Date", "List-Unsubscribe", "List-Unsubscribe-Post"];

pub(super) fn signed(message: &str) -> String {
    DkimSigner::from_key(rsa()).domain("example.org").selector("s1").headers(FIELDS).sign(message.as_bytes()).unwrap().to_header() + message
}

pub(super) async fn world() -> Server {
    let silent = [("broken._domainkey.example.org", Say::Code(ResponseCode::ServFail))];
    let records = [
        ("example.org", "MX 10 mail.example.org"),
        ("mail.example.org", "A 192.0.2.7"),
        ("_dmarc.example.org", "TXT v=DMARC1; p=reject"),
        ("s1._domainkey.example.org", RSA.1.as_str()),
        ("ed._domainkey.list.example", ED.1.as_str()),
        ("ed._domainkey.example.org", ED.1.as_str()),
        ("revoked._domainkey.example.org", "TXT v=DKIM1; p="),
    ];
    Server::start(&records, &silent).await
}

pub(super) fn rules(report: &HeaderReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.rule.as_str()).collect()
}

#[tokio::test]
async fn a_signed_message_is_read_and_verified() {
    let server = world().await;
    let report = analyse(&server.net(), signed(PLAIN).as_bytes()).await;
    assert_eq!(report.signatures.len(), 1);
    let signature = &report.signatures[0];
    assert_eq!((signature.verified, signature.aligned), (Verified::Valid, Some(true)), "{}", signature.reason);
    assert_eq!((signature.domain.as_str(), signature.selector.as_str(), signature.algorithm.as_str()), ("example.org", "s1", "rsa-sha256"));
    assert_eq!(report.subject.as_deref(), Some("Grüße"));
    assert_eq!((report.from.as_slice(), report.from_domain.as_deref()), (&["bob@example.org".to_owned()][..], Some("example.org")));
    assert_eq!((report.hops.len(), report.hops[1].delay_seconds, report.hops[0].private, report.total_seconds), (2, Some(10), true, Some(10)));
    assert_eq!(report.alignment.dkim_aligned, Some(true));
    assert_eq!(report.dmarc_record.as_deref(), Some("v=DMARC1; p=reject"));
    assert!(report.dmarc.as_ref().is_none_or(|dmarc| dmarc.policy == "reject"), "{:?}", report.dmarc);
    assert_eq!(report.selectors, [SeenSelector { domain: "example.org".to_owned(), selector: "s1".to_owned() }]);
    assert_eq!((report.unknown.as_slice(), rules(&report)), (&[][..], vec![]), "{:?}", report.findings);
    // Line ends and the line of an mbox file change nothing.
    let unix = format!("From bob@example.org Wed Jan 31 10:20:40 2024\n{}", signed(PLAIN).replace("\r\n", "\n"));
    assert_eq!(analyse(&server.net(), unix.as_bytes()).await.signatures[0].verified, Verified::Valid);
    for ends in ["\r", "\n"] {
        assert_eq!(analyse(&server.net(), signed(PLAIN).replace("\r\n", ends).as_bytes()).await.signatures[0].verified, Verified::Valid, "{ends:?}");
    }
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<HeaderReport>(&json).unwrap(), report);
}

#[tokio::test]
async fn what_does_not_verify_says_why() {
    let server = world().await;
    let good = signed(PLAIN);
    let header = good.split("\r\n\r\n").next().unwrap().to_owned();
    for (message, expected, reason) in [
        (good.replace("Hello.", "Hallo."), Verified::Broken, "body was changed"),
        (good.replace("To: ann@", "To: eve@"), Verified::Broken, "signed header field was changed"),
        (good.replace("s=s1", "s=gone"), Verified::NoKey, "No key is published at gone._domainkey.example.org"),
        (good.replace("s=s1", "s=revoked"), Verified::NoKey, "revoked"),
        (good.replace("s=s1", "s=broken"), Verified::Unknown, "SERVFAIL"),
        (good.replace("a=rsa-sha256", "a=rsa-md5"), Verified::Broken, "can not be read"),
        (header.clone(), Verified::Unknown, "body is not there"),
        (format!("{header}\r\n\r\n\r\n"), Verified::Unknown, "body is not there"),
    ] {
        let report = analyse(&server.net(), message.as_bytes()).await;
        let signature = &report.signatures[0];
        assert!(signature.verified == expected && signature.reason.contains(reason), "{expected:?} {reason}: {signature:?}");
        assert_eq!(rules(&report).contains(&"dkim.not_aligned"), expected == Verified::Broken, "{reason}");
        assert_eq!(report.unknown.iter().any(|part| part.subject == "body"), reason.contains("not there"), "{:?}", report.unknown);
    }
    // What the receiver verified was changed in this copy only.
    let said = format!("Authentication-Results: mx.example.net; dkim=pass header.d=example.org\r\n{}", good.replace("Hello.", "Hallo."));
    for (message, expected) in [(said.clone(), Verified::Unknown), (said.replace("header.d=example.org", "header.d=b.example"), Verified::Broken)] {
        let report = analyse(&server.net(), message.as_bytes()).await;
        assert_eq!(report.signatures[0].verified, expected, "{}", report.signatures[0].reason);
        assert_eq!(report.alignment.dkim_aligned, Some(expected == Verified::Unknown));
        assert_eq!(rules(&report).is_empty(), expected == Verified::Unknown, "{:?}", report.findings);
    }
    // The expiry of an old message is its own matter.
    let expired = DkimSigner::from_key(rsa()).domain("example.org").selector("s1").headers(FIELDS).expiration(1).sign(PLAIN.as_bytes()).unwrap();
    let report = analyse(&server.net(), (expired.to_header() + PLAIN).as_bytes()).await;
    assert_eq!(report.signatures[0].verified, Verified::Valid, "{}", report.signatures[0].reason);
    assert_eq!(rules(&report), ["dkim.expiry_short"]);
}

/// Seals as the forwarder of `list.example` does, which has checked nothing.
async fn sealed(net: &Net, message: &str) -> String {
    sealed_saying(net, message, &AuthenticationResults::new("list.example")).await
}

/// Seals with what the forwarder found.
pub(super) async fn sealed_saying(net: &Net, message: &str, results: &AuthenticationResults<'_>) -> String {
    let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    let keys = Keys::ask(net, signatures::key_names(&parsed)).await;
    let verifier = MessageAuthenticator::new_system_conf().unwrap();
    let arc = verifier.verify_arc(Parameters::new(&parsed).with_txt_cache(&keys)).await;
    assert!(matches!(arc.result(), DkimResult::Pass | DkimResult::None), "{:?}", arc.result());
    let set =
        ArcSealer::from_key(ed()).domain("list.example").selector("ed").headers(["From", "To", "Subject"]).seal(&parsed, results, &arc).unwrap();
    format!("{}{}", set.to_header(), message)
}

#[tokio::test]
async fn arc_chains_whole_and_broken() {
    let server = world().await;
    let net = server.net();
    let once = sealed(&net, &signed(PLAIN)).await;
    let twice = sealed(&net, &once).await;
    let without = |message: &str, name: &str, instance: &str| {
        let mut out = String::new();
        let mut skip = false;
        for line in message.split_inclusive("\r\n") {
            if !line.starts_with([' ', '\t']) {
                skip = line.starts_with(name) && line.contains(instance);
            }
            if !skip {
                out.push_str(line);
            }
        }
        assert_ne!(out, message);
        out
    };
    for (message, state, sets, reason) in [
        (signed(PLAIN), ArcState::None, 0, "no ARC chain"),
        (once.clone(), ArcState::Pass, 1, "Every seal"),
        (twice.clone(), ArcState::Pass, 2, "Every seal"),
        (twice.replace("Hello.", "Hallo."), ArcState::Fail, 2, "body was changed"),
        (twice.replace("Subject: ", "Subject: [list] "), ArcState::Fail, 2, "does not fit"),
        (twice.replace("cv=pass", "cv=fail"), ArcState::Fail, 2, "cv=fail"),
        (twice.replace("cv=none", "cv=pass"), ArcState::Fail, 2, "none must stand"),
        (without(&twice, "ARC-Seal", "i=1"), ArcState::Fail, 2, "ARC-Seal of instance 1 is missing"),
        (without(&twice, "ARC-Message-Signature", "i=2"), ArcState::Fail, 2, "ARC-Message-Signature of instance 2 is missing"),
        (without(&twice, "ARC-Authentication-Results", "i=1"), ArcState::Fail, 2, "ARC-Authentication-Results of instance 1 is missing"),
        (twice.replacen("i=2; list.example", "i=2; list.example; spf=pass", 1), ArcState::Fail, 2, "seal of instance 2"),
        (twice.replace("d=list.example", "d=elsewhere.example"), ArcState::Unknown, 2, "No key is published"),
        (format!("ARC-Seal: i=x; nonsense\r\n{twice}"), ArcState::Fail, 2, "can not be read"),
        (twice.split("\r\n\r\n").next().unwrap().to_owned(), ArcState::Unknown, 2, "body is not there"),
    ] {
        let report = analyse(&net, message.as_bytes()).await;
        assert_eq!((report.arc.state, report.arc.sets.len()), (state, sets), "{reason}: {:?}", report.arc);
        assert!(report.arc.reason.contains(reason), "{reason}: {:?}", report.arc);
        assert_eq!(rules(&report).contains(&"arc.broken_chain"), state == ArcState::Fail, "{reason}");
        if state != ArcState::Fail {
            continue;
        }
        // What we call broken is no pass for mail-auth either.
        let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
        let keys = Keys::ask(&net, signatures::key_names(&parsed)).await;
        let verifier = MessageAuthenticator::new_system_conf().unwrap();
        let theirs = verifier.verify_arc(Parameters::new(&parsed).with_txt_cache(&keys)).await;
        assert_ne!(theirs.result(), &DkimResult::Pass, "{reason}");
    }
    let report = analyse(&net, twice.split("\r\n\r\n").next().unwrap().as_bytes()).await;
    assert!(report.arc.sets.iter().all(|set| set.seal == Verified::Valid), "seals cover the header alone: {:?}", report.arc);
}

/// A message of fields beside the usual ones.
fn with(fields: &str) -> String {
    format!("{fields}{PLAIN}")
}

#[tokio::test]
async fn every_rule_fires_where_it_should_and_only_there() {
    let server = world().await;
    let net = server.net();
    let one_click = "List-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
    let signature = |tags: &str| format!("DKIM-Signature: v=1; c=relaxed/relaxed; d=example.org; s=s1; h=from:from:to; bh=AA==; b=AA==; {tags}\r\n");
    let long = "x".repeat(999);
    for (message, rule, fires) in [
        (with(""), "message.header_singular", false),
        (with("Subject: again\r\n"), "message.header_singular", true),
        (PLAIN.replace("Date: ", "X-Date: "), "message.header_singular", true),
        ("Received: from a by b; 31 Jan 2024 10:20:30 +0000\r\nSubject: x\r\n".to_owned(), "message.header_singular", false),
        (with(""), "message.message_id", false),
        (PLAIN.replace("Message-ID: ", "X-ID: "), "message.message_id", true),
        (PLAIN.replace("<1@example.org>", "1234"), "message.message_id", true),
        (PLAIN.replace("Hello.", &long), "message.line_too_long", true),
        (PLAIN.replace("Hello.", &long[1..]), "message.line_too_long", false),
        (with(&format!("X-Scanner: {long}\r\n")), "message.line_too_long", false),
        (PLAIN.replace("Subject: ", &format!("Subject: {long}")), "message.line_too_long", true),
        (with("List-Id: <news.example.org>\r\n"), "message.list_unsubscribe_missing", true),
        (with("Precedence: bulk\r\n"), "message.list_unsubscribe_missing", true),
        (with("List-Unsubscribe: <mailto:u@example.org>\r\n"), "message.list_unsubscribe_missing", true),
        (with("List-Unsubscribe: <https://example.org/u>\r\n"), "message.list_unsubscribe_missing", true),
        (with(one_click), "message.list_unsubscribe_missing", false),
        (with("List-Id: <talk.example.org>\r\nList-Post: <mailto:talk@example.org>\r\n"), "message.list_unsubscribe_missing", false),
        (with("Precedence: bulk\r\nAuto-Submitted: auto-replied\r\n"), "message.list_unsubscribe_missing", false),
        (with(""), "message.list_unsubscribe_missing", false),
        (with(&signature("a=rsa-sha1")), "dkim.sha1", true),
        (with(&signature("a=rsa-sha256")), "dkim.sha1", false),
        (with(&signature("a=ed25519-sha256")), "dkim.ed25519_alone", true),
        (with(&(signature("a=ed25519-sha256") + &signature("a=rsa-sha256"))), "dkim.ed25519_alone", false),
        (with(&signature("a=rsa-sha256; l=5")), "dkim.body_length", true),
        (with(&signature("a=rsa-sha256")), "dkim.body_length", false),
        (with(&signature("a=rsa-sha256").replace("from:from", "from")), "dkim.from_not_oversigned", true),
        (with(&signature("a=rsa-sha256")), "dkim.from_not_oversigned", false),
        (with(&signature("a=rsa-sha256; t=1706696429; x=1706697000")), "dkim.expiry_short", true),
        (with(&signature("a=rsa-sha256; t=1706696429; x=1706697000")), "dkim.expired", false),
        (with(&signature("a=rsa-sha256; t=1706000000; x=1706696430")), "dkim.expired", true),
        (with(&signature("a=rsa-sha256; t=1706000000; x=1706696430")), "dkim.expiry_short", false),
        (with(&signature("a=rsa-sha256; t=1706696429; x=1707301229")), "dkim.expired", false),
        (with(&signature("a=rsa-sha256; t=1706696429; x=1707301229")), "dkim.expiry_short", false),
        (with(&signature("a=rsa-sha256").replace("d=example.org", "d=esp.example")), "dkim.not_aligned", true),
        (signed(PLAIN), "dkim.not_aligned", false),
        (with(""), "dkim.not_aligned", false),
        (signed(&with(one_click)), "dkim.unsubscribe_unsigned", false),
        (one_click.to_owned() + &signed(PLAIN).replace(":List-Unsubscribe", ":X-Unsubscribe"), "dkim.unsubscribe_unsigned", true),
        (with(one_click), "dkim.unsubscribe_unsigned", false),
        (with(""), "arc.broken_chain", false),
    ] {
        let report = analyse(&net, message.as_bytes()).await;
        assert_eq!(rules(&report).contains(&rule), fires, "{rule} in {message}: {:?}", report.findings);
    }
}

#[tokio::test]
async fn a_feedback_id_alone_is_a_hint() {
    let server = world().await;
    let report = analyse(&server.net(), with("Feedback-ID: 1:2:3:ses\r\n").as_bytes()).await;
    assert!(report.bulk && report.findings.iter().all(|finding| finding.severity == waypost_types::Severity::Info), "{:?}", report.findings);
}

#[tokio::test]
async fn free_mail_and_strict_keys() {
    let strict = ED.1.replace("k=ed25519", "k=ed25519; t=y:s");
    let records = [("ed._domainkey.example.org", strict.as_str())];
    let server = Server::start(&records, &[]).await;
    let net = server.net();
    let signed_as = |identity: &str| {
        let mut signer = DkimSigner::from_key(ed()).domain("example.org").selector("ed").headers(FIELDS);
        signer = signer.agent_user_identifier(identity);
        signer.sign(PLAIN.as_bytes()).unwrap().to_header() + PLAIN
    };
    for (identity, fires, reason, advice) in [
        ("@sub.example.org", true, "a subdomain of d=, and the key allows none (t=s)", "Publish the key without t=s"),
        ("@example.org", false, "verifies", ""),
        ("@other.example", false, "i= is not within d=", "at example.org or a subdomain of it"),
    ] {
        let report = analyse(&net, signed_as(identity).as_bytes()).await;
        assert_eq!(rules(&report).contains(&"dkim.strict_subdomain"), fires, "{:?}", report.findings);
        let signature = &report.signatures[0];
        assert!(signature.reason.contains(reason), "{identity}: {}", signature.reason);
        assert!(signature.advice.as_deref().unwrap_or_default().contains(advice), "{identity}: {:?}", signature.advice);
    }
    let esp = "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=b@esp.example; dkim=pass header.d=esp.example\r\n\
               DKIM-Signature: v=1; a=rsa-sha256; d=esp.example; s=x; h=from; bh=AA==; b=AA==\r\n";
    let shop = with(esp).replace("bob@example.org", "shop@gmail.com");
    for (message, fires) in [
        (shop.clone(), true),
        (with(esp), false),
        (shop.replace("esp.example", "gmail.com"), false),
        (format!("List-Id: <talk.example>\r\n{shop}"), false),
    ] {
        let report = analyse(&net, message.as_bytes()).await;
        assert_eq!(rules(&report).contains(&"message.from_gmail"), fires, "{message}: {:?}", report.findings);
    }
}

#[tokio::test]
async fn garbage_is_said_to_be_garbage() {
    let server = Server::start(&[], &[]).await;
    let net = server.net();
    let many = "Received: from a by b with SMTP id 1; 31 Jan 2024 10:20:30 +0000\n".repeat(10_000);
    let signatures = "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=b; h=from; bh=AA==; b=AA==\n".repeat(1_000);
    let arcs = "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.example; s=b; b=AA==\n".repeat(1_000);
    for (raw, said) in [
        (Vec::new(), "no header field"),
        (b"\n\nonly a body\n".to_vec(), "no header field"),
        (vec![0; 10_000], "no header field"),
        (b"Received: \0\0(\0;\0\nFrom: \0@\0\n".to_vec(), ""),
        (many.into_bytes(), "Only the first 2000 header fields"),
        (format!("X: {}\n", "y".repeat(1 << 20)).into_bytes(), ""),
        (format!("Received: {}", "(".repeat(1 << 20)).into_bytes(), ""),
        (b"From: \xff\xfe <\xff@\xff>\nSubject: \xff\nReceived: from \xff by \xfe; \xfd\n\n\xff".to_vec(), ""),
        (b"Received: from a (=?utf-8?q?b=20c?= [1.2.3.4]) by d; Foo\n".to_vec(), ""),
        (signatures.into_bytes(), "Only the first 30 DKIM signatures"),
        (arcs.into_bytes(), ""),
        (b"Date: \nFrom:\nReceived:\nDKIM-Signature:\nARC-Seal:\nAuthentication-Results:\nReceived-SPF:\nMessage-ID:\n".to_vec(), ""),
    ] {
        let report = analyse(&net, &raw).await;
        assert!(said.is_empty() || report.remarks.iter().any(|remark| remark.contains(said)), "{said}: {:?}", report.remarks);
        assert!(report.hops.len() <= route::MAX_HOPS && report.signatures.len() <= signatures::MAX_SIGNATURES);
    }
    let greedy: String = (1..30)
        .map(|l| format!("DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=b; h=from; bh=AA==; b=AA==; l={l}\n"))
        .collect::<Vec<_>>()
        .concat();
    let report = analyse(&net, format!("{greedy}From: a@a.example\n\n{}", "b".repeat(3 << 20)).as_bytes()).await;
    assert!(report.unknown.iter().any(|part| part.subject == "signatures" && part.reason.contains("29 different hashes")), "{:?}", report.unknown);
    let cut = analyse(&net, &vec![b'a'; MAX_MESSAGE + 1]).await;
    assert!(cut.remarks.iter().any(|remark| remark.contains("10 MB")));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Bytes, and bytes behind the names of fields that are taken apart.
    #[test]
    fn nothing_panics(raw in proptest::collection::vec(any::<u8>(), 0..2_000), values in proptest::collection::vec("[ -~\\r\\n\\t;=()<>\"\\\\@.:]{0,80}", 0..12)) {
        let names = ["Received", "Authentication-Results", "ARC-Authentication-Results", "Received-SPF", "From", "Date", "Subject", "Message-ID", "Return-Path"];
        let mut message: Vec<u8> = names.iter().cycle().zip(&values).flat_map(|(name, value)| format!("{name}: {value}\r\n").into_bytes()).collect();
        message.extend(&raw);
        for bytes in [&message, &raw] {
            let normal = fields::normalised(bytes);
            let parts = fields::split(&normal);
            let report = told(&parts);
            let look = remarks::Look { parts: &parts, strict_keys: Vec::new() };
            prop_assert!(remarks::all(&report, &look).len() < 1_000);
        }
    }

    /// Signatures of garbage, verified against nothing.
    #[test]
    fn no_signature_panics(tags in proptest::collection::vec("[a-z]{1,2}=[ -~]{0,40}", 0..12), body in "[ -~\\r\\n]{0,200}", i in 0_u32..60, l in 0_u64..300) {
        let tags = tags.join("; ");
        let known = format!("a=rsa-sha256; d=a.example; s=b; h=from; bh=AA==; b=AA==; l={l}; i={i}; cv=none; {tags}");
        let message = format!("DKIM-Signature: v=1; {known}\r\nARC-Message-Signature: {known}\r\nARC-Seal: {known}\r\nARC-Authentication-Results: i={i}; a; {tags}\r\nFrom: a@a.example\r\n\r\n{body}");
        runtime().block_on(async {
            if let Some(parsed) = signatures::prepared(message.as_bytes()) {
                let parts = fields::split(message.as_bytes());
                let mut report = told(&parts);
                verify(&mut report, &parts, &parsed, &Keys::default());
            }
        });
    }
}
