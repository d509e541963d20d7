//! What the standards take for no signature although its cryptography fits, and what `l=` covers.

use base64::{Engine, engine::general_purpose::STANDARD};
use mail_auth::{common::headers::HeaderWriter, dkim::DkimSigner};
use sha2::{Digest, Sha256};
use waypost_types::headers::Verified;

use super::{
    tests::{ED, PLAIN, ed, rules, sealed_saying, signed, world},
    *,
};
use crate::net::tests::Server;

fn ed_signed(selector: &str, fields: &[&'static str]) -> String {
    DkimSigner::from_key(ed()).domain("example.org").selector(selector).headers(fields.iter().copied()).sign(PLAIN.as_bytes()).unwrap().to_header()
        + PLAIN
}

#[tokio::test]
async fn a_key_that_receivers_must_not_use_makes_no_signature_valid() {
    let with = |tags: &str| ED.1.replace("k=ed25519", &format!("k=ed25519; {tags}"));
    let other = "TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    // 512 bits.
    let short = "TXT v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANwO30+aT6Ew1rZuYVMcr/nJ3NLcbUABeanOPLKEFRC9bdY5v7DgBUupdTe/+HquNJ3PC1YFlCHRqXttPlKoH1cCAwEAAQ==";
    let (sha1, reports, test, twice, last) =
        (with("h=sha1"), with("s=tlsrpt"), with("t=y"), with("t=s; t=s"), ED.1.replace("v=DKIM1; ", "") + "; v=DKIM1");
    let records = [
        ("plain._domainkey.example.org", ED.1.as_str()),
        ("sha1._domainkey.example.org", sha1.as_str()),
        ("reports._domainkey.example.org", reports.as_str()),
        ("test._domainkey.example.org", test.as_str()),
        ("twice._domainkey.example.org", twice.as_str()),
        ("last._domainkey.example.org", last.as_str()),
        ("short._domainkey.example.org", short),
        ("both._domainkey.example.org", other),
        ("both._domainkey.example.org", ED.1.as_str()),
        ("beside._domainkey.example.org", "TXT v=spf1 -all"),
        ("beside._domainkey.example.org", ED.1.as_str()),
    ];
    let server = Server::start(&records, &[]).await;
    let net = server.net();
    for (selector, verified, reason) in [
        ("plain", Verified::Valid, "verifies with the key published now"),
        ("test", Verified::Valid, "marked as a test (t=y)"),
        // Whoever verifies may take any of several.
        ("both", Verified::Valid, "verifies"),
        ("beside", Verified::Valid, "verifies"),
        ("sha1", Verified::Broken, "SHA-1 only (h=sha1)"),
        ("reports", Verified::Broken, "not for mail"),
        ("short", Verified::Broken, "512 bits"),
        ("twice", Verified::NoKey, "t= stands twice"),
        ("last", Verified::NoKey, "must be the first tag"),
    ] {
        let report = analyse(&net, ed_signed(selector, &["From", "From", "To"]).as_bytes()).await;
        let signature = &report.signatures[0];
        assert_eq!(signature.verified, verified, "{selector}: {signature:?}");
        assert!(signature.reason.contains(reason), "{selector}: {}", signature.reason);
        let expected = match verified {
            Verified::Valid => Some(true),
            Verified::Broken => Some(false),
            Verified::NoKey | Verified::Unknown => None,
        };
        assert_eq!(report.alignment.dkim_aligned, expected, "{selector}");
        assert_eq!(signature.advice.is_none(), verified == Verified::Valid, "{selector}: {:?}", signature.advice);
    }
}

#[tokio::test]
async fn a_signature_of_the_wrong_form_is_none() {
    let server = world().await;
    let net = server.net();
    let good = signed(PLAIN);
    for (message, reason) in [
        (good.replace("v=1; ", ""), "v= is missing"),
        (good.replace("v=1; ", "v=1; s=s1; "), "s= stands twice"),
        (good.replace("v=1; ", "v=1; q=other; "), "q=other"),
        (good.replace("a=rsa-sha256", "a=rsa-sha1"), "SHA-1"),
        (ed_signed("ed", &["To", "Subject"]), "does not sign From"),
    ] {
        let report = analyse(&net, message.as_bytes()).await;
        let signature = &report.signatures[0];
        assert!(signature.verified == Verified::Broken && signature.reason.contains(reason), "{reason}: {signature:?}");
        assert!(!rules(&report).contains(&"dkim.from_not_oversigned") || !reason.contains("From"), "{reason}: {:?}", report.findings);
    }
}

#[tokio::test]
async fn a_length_counts_octets_of_the_body_as_it_is_signed() {
    let server = world().await;
    let net = server.net();
    let good = signed(PLAIN);
    let (start, _) = good.split_once("bh=").unwrap();
    let rest = good[start.len() + 3..].split_once(';').unwrap().1;
    // The hash fits or not; that the field was changed is seen behind it.
    let saying = |length: &str, covered: &str| format!("{start}l={length}; bh={}; {rest}", STANDARD.encode(Sha256::digest(covered)));
    for (length, covered, reason) in [
        ("5", "Hello", "does not fit"),
        ("0", "", "does not fit"),
        ("8", "Hello.\r\n", "does not fit"),
        ("5", "Hello\r\n", "body was changed"),
        ("0", "Hello.\r\n", "body was changed"),
        ("9", "Hello.\r\n", "its end is missing"),
        ("99999999999999999999999", "Hello.\r\n", "its end is missing"),
    ] {
        let report = analyse(&net, saying(length, covered).as_bytes()).await;
        assert!(report.signatures[0].reason.contains(reason), "l={length}: {:?}", report.signatures[0]);
    }
    // The receiver had the whole of it: this copy was cut.
    let cut = saying("9", "Hello.\r\n");
    let told = format!("Authentication-Results: mx.example.net; dkim=pass header.d=example.org\r\n{cut}");
    let report = analyse(&net, told.as_bytes()).await;
    assert_eq!((report.signatures[0].verified, report.signatures[0].advice.as_deref()), (Verified::Unknown, None), "{report:#?}");
}

#[tokio::test]
async fn times_of_a_signature_that_can_not_be_are_told() {
    let server = world().await;
    let net = server.net();
    let saying = |times: &str| signed(PLAIN).replace("v=1; ", &format!("v=1; {times} "));
    for (times, expired, words, later) in [
        ("t=1706696430; x=1706690000;", true, "before it was made", false),
        ("t=1706600000; x=1706690000;", true, "expired at", false),
        ("t=4000000000;", false, "", true),
        ("t=1706696430; x=1707301229;", false, "", false),
    ] {
        // mail-auth signs with a time of its own.
        let report = analyse(&net, saying(times).as_bytes()).await;
        let found = report.findings.iter().find(|finding| finding.rule == "dkim.expired");
        assert_eq!(found.is_some_and(|found| found.summary.contains(words)), expired, "{times}: {:?}", report.findings);
        assert!(!rules(&report).contains(&"dkim.expiry_short"), "{times}");
        assert_eq!(report.remarks.iter().any(|remark| remark.contains("a clock is wrong")), later, "{times}: {:?}", report.remarks);
    }
    // Without a hop that says when, it was not delivered before its Date.
    let (_, headless) = PLAIN.split_once("From: ").unwrap();
    let message = format!("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; h=from; bh=AA==; b=AA==; x=1706000000\r\nFrom: {headless}");
    assert!(rules(&analyse(&net, message.as_bytes()).await).contains(&"dkim.expired"));
}

#[tokio::test]
async fn arc_fields_of_the_wrong_form_break_the_chain_and_say_so() {
    let server = world().await;
    let net = server.net();
    let sealed = sealed_saying(&net, &signed(PLAIN), &mail_auth::AuthenticationResults::new("list.example")).await;
    for (message, reason) in [
        (sealed.replace("i=1;", "i=0;"), "The instance is 0, it must be 1 to 50"),
        (sealed.replace("i=1;", "i=51;"), "The instance is 51"),
        (sealed.replace("cv=none;", "cv=none; h=from;"), "h= must not stand in it"),
        (sealed.replace("cv=none;", "cv=none; cv=none;"), "cv= stands twice"),
        (sealed.replacen("h=Subject:To:From", "h=Subject:To:ARC-Seal", 1), "signs an ARC-Seal"),
    ] {
        assert_ne!(message, sealed, "{reason}");
        let report = analyse(&net, message.as_bytes()).await;
        assert_eq!(report.arc.state, ArcState::Fail, "{reason}");
        assert!(report.arc.reason.contains(reason), "{reason}: {:?}", report.arc);
    }
    // What is read is not blamed, however odd it is.
    let odd = sealed.replace("cv=none;", "cv=none; q=x;").replacen("ARC-Authentication-Results: i=1;", "ARC-Authentication-Results: i=x;", 1);
    let report = analyse(&net, odd.as_bytes()).await;
    assert!(report.arc.reason.contains("(i=) is no number") && !report.arc.reason.contains("q=x"), "{:?}", report.arc);
}
