//! Messages made to keep us busy, and what the tree of DMARC records makes of From.

use hickory_proto::op::ResponseCode;

use super::{
    tests::{ED, PLAIN, rules, world},
    *,
};
use crate::net::tests::{Say, Server};

#[tokio::test]
async fn a_message_made_to_keep_us_busy_is_read_within_bounds() {
    let server = world().await;
    let net = server.net();
    let body = "\r\n\r\nHello.\r\n";
    // Addresses without number, and encoded words without end: a parser that goes back would read the rest again for each.
    let crowd = (0..300_000).map(|n| format!("a{n}@example.org, ")).collect::<Vec<_>>().concat();
    let words = "=?utf-8?q?x".repeat(500_000);
    let hops = "Received: from a (b [192.0.2.1]) by c.example with SMTP id 1; 31 Jan 2024 10:20:30 +0000\r\n".repeat(20_000);
    let seals = "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=list.example; s=x; b=AA==\r\n".repeat(20_000);
    let results = format!("Authentication-Results: mx.example; {}\r\n", "x; ".repeat(100_000)).repeat(20);
    let long = format!("DKIM-Signature: v=1; a=rsa-sha256; d={}; s=x; h=from; bh=AA==; b=AA==\r\n", "d".repeat(1_000_000));
    let report = analyse(&net, format!("From: {crowd}b@example.org\r\nSubject: x{body}").as_bytes()).await;
    assert_eq!((report.from.len(), report.from_domain.as_deref()), (MAX_FROM, Some("example.org")));
    let report = analyse(&net, format!("From: {words} <bob@example.org>\r\nSubject: {words}{body}").as_bytes()).await;
    assert!(report.subject.unwrap_or_default().chars().count() <= 1_000 && report.from.len() <= MAX_FROM);
    let report = analyse(&net, format!("{hops}{seals}From: bob@example.org{body}").as_bytes()).await;
    assert!(
        report.hops.len() <= route::MAX_HOPS && report.remarks.iter().any(|remark| remark.contains("2000 header fields")),
        "{:?}",
        report.remarks
    );
    let report = analyse(&net, format!("{seals}From: bob@example.org{body}").as_bytes()).await;
    assert!(report.arc.state == ArcState::Unknown && report.arc.sets.is_empty());
    let report = analyse(&net, format!("{results}{long}From: bob@example.org{body}").as_bytes()).await;
    assert!(report.authentication.iter().all(|field| field.remarks.len() <= 110));
    assert!(report.signatures[0].domain.len() <= 500 && serde_json::to_string(&report).unwrap().len() < 1_000_000);
}

#[tokio::test]
async fn alignment_and_policy_are_those_of_the_tree() {
    let records = [
        ("_dmarc.example.org", "TXT v=DMARC1; p=none; sp=quarantine; np=reject; adkim=s; ruf=mailto:f@example.org; fo=1"),
        ("news.example.org", "A 192.0.2.7"),
        ("ed._domainkey.example.org", ED.1.as_str()),
        ("_dmarc.dark.test", "TXT v=DMARC1; p=none"),
    ];
    let silent = [("_dmarc.mail.dark.test", Say::Code(ResponseCode::ServFail))];
    let server = Server::start(&records, &silent).await;
    let net = server.net();
    let from = |domain: &str| {
        let said = "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=b@bounce.example.org; dkim=pass header.d=example.org\r\n";
        said.to_owned() + &PLAIN.replace("bob@example.org", &format!("bob@{domain}"))
    };
    let report = analyse(&net, from("news.example.org").as_bytes()).await;
    assert_eq!((report.alignment.dkim_aligned, report.alignment.spf_aligned), (Some(false), Some(true)), "{}", report.alignment.words);
    assert!(report.alignment.words.contains("adkim=s") && report.alignment.words.contains("fo=1"), "{}", report.alignment.words);
    assert_eq!(report.dmarc.as_ref().map(|dmarc| (dmarc.owner.as_str(), dmarc.policy.as_str())), Some(("example.org", "quarantine")));
    let report = analyse(&net, from("gone.example.org").as_bytes()).await;
    assert_eq!(report.dmarc.as_ref().map(|dmarc| dmarc.policy.as_str()), Some("reject"), "np= is for names that do not exist");
    let report = analyse(&net, from("example.org").as_bytes()).await;
    assert_eq!((report.alignment.dkim_aligned, report.alignment.spf_aligned), (Some(true), Some(true)));
    assert!(!report.alignment.words.contains("failure report"), "{}", report.alignment.words);
    // The name that signs has a name above it that does not answer.
    let dark = from("dark.test").replace("header.d=example.org", "header.d=mail.dark.test").replace("bounce.example.org", "mail.dark.test");
    let report = analyse(&net, dark.as_bytes()).await;
    assert_eq!((report.alignment.dkim_aligned, report.alignment.spf_aligned), (None, None), "{}", report.alignment.words);
    assert!(report.unknown.iter().any(|part| part.subject == "alignment" && part.reason.contains("SERVFAIL")), "{:?}", report.unknown);
    assert!(!rules(&report).contains(&"dkim.not_aligned"));
}

#[tokio::test]
async fn from_of_several_domains_is_told() {
    let server = Server::start(&[], &[]).await;
    let net = server.net();
    for (from, told) in [
        ("Bob <bob@example.org>, Eve <eve@evil.example>", true),
        ("bob@example.org\r\nFrom: eve@evil.example", true),
        ("bob@example.org, ann@example.org", false),
        ("\"eve@evil.example\" <bob@example.org>", false),
        ("bob@example.org (eve@evil.example)", false),
    ] {
        let report = analyse(&net, PLAIN.replace("Bob <bob@example.org>", from).as_bytes()).await;
        assert_eq!(report.from_domain.as_deref(), Some("example.org"), "{from}");
        assert_eq!(
            report.remarks.iter().any(|remark| remark.contains("several domains (evil.example, example.org)")),
            told,
            "{from}: {:?}",
            report.remarks
        );
    }
}
