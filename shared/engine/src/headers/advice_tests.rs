//! What is said of a signature that broke, of a chain of forwarders, of clocks, and of a text that is no message.

use base64::{Engine, engine::general_purpose::STANDARD};
use mail_auth::{AuthenticationResults, SpfOutput, SpfResult, common::crypto::SigningKey};

use super::{
    tests::{PLAIN, ed, sealed_saying, signed, world},
    *,
};

#[tokio::test]
async fn a_broken_signature_says_what_usually_breaks_one_like_it() {
    let net = world().await.net();
    let good = signed(PLAIN);
    for (message, words) in [
        (good.clone(), None),
        (good.replace("Hello.", "Hello.\r\n-- \r\nA list"), Some("the text or an attachment was changed")),
        (format!("List-Id: <l.example>\r\n{}", good.replace("Hello.", "Hallo.")), Some("came over a mailing list, whose footer")),
        (good.replace("Subject: ", "Subject: [list] "), Some("signs subject, to, from, date.")),
        (good.replace("s=s1", "s=ed"), Some("It says a=rsa-sha256, and ed._domainkey.example.org holds a key of another kind")),
        (good.replace("s=s1", "s=gone"), Some("publish the key at gone._domainkey.example.org")),
        (good.replace("a=rsa-sha256", "a=rsa-md5"), Some("settings of the program that signs")),
        (good.split("\r\n\r\n").next().unwrap().to_owned(), None),
    ] {
        let report = analyse(&net, message.as_bytes()).await;
        let advice = report.signatures[0].advice.as_deref();
        assert_eq!(advice.is_some(), words.is_some(), "{words:?}: {:?}", report.signatures[0]);
        assert!(words.is_none_or(|words| advice.unwrap().contains(words)), "{words:?}: {advice:?}");
        // A body that differs ends the examination: of the header nothing is known then.
        let body = report.signatures[0].reason == signatures::BODY_CHANGED;
        assert_eq!(body, advice.is_some_and(|advice| advice.contains("Whether the header was changed as well is not checked")), "{advice:?}");
        // Who signs already needs no advice to begin with it.
        for finding in report.findings.iter().filter(|finding| finding.rule == "dkim.not_aligned") {
            assert_eq!(Some(finding.fix.as_str()), advice);
        }
    }
}

/// A forwarder's results: SPF passed for the envelope sender.
fn found(who: &'static str) -> AuthenticationResults<'static> {
    let spf = SpfOutput::new("example.org".to_owned()).with_result(SpfResult::Pass);
    AuthenticationResults::new(who).with_spf_mailfrom_result(&spf, "192.0.2.7".parse().unwrap(), "bob@example.org", "mail.example.org")
}

#[tokio::test]
async fn a_chain_tells_what_each_forwarder_vouched_for_and_where_it_fails() {
    let net = world().await.net();
    let once = sealed_saying(&net, &signed(PLAIN), &found("list.example")).await;
    let twice = sealed_saying(&net, &once, &AuthenticationResults::new("list.example")).await;
    let report = analyse(&net, twice.as_bytes()).await;
    let vouched: Vec<&str> = report.arc.sets.iter().map(|set| set.vouched.as_str()).collect();
    assert_eq!(
        vouched,
        [
            "list.example vouched for spf=pass (bob@example.org), and was the first to seal the message",
            "list.example vouched for no result, and found the chain before it whole",
        ]
    );
    assert_eq!((report.arc.state, report.arc.failed_instance), (ArcState::Pass, None));
    assert!(report.arc.receiver.contains("says nothing of the chain"), "{}", report.arc.receiver);
    // What the receiver says is held against what is seen here.
    for (result, words) in [("pass", "mx.example.net says arc=pass of the chain"), ("fail", "this copy tells otherwise")] {
        let report = analyse(&net, format!("Authentication-Results: mx.example.net; arc={result}\r\n{twice}").as_bytes()).await;
        assert!(report.arc.receiver.contains(words), "{}", report.arc.receiver);
    }
    let without = |instance: &str| {
        let mut skip = false;
        let kept = twice.split_inclusive("\r\n").filter(|line| {
            if !line.starts_with([' ', '\t']) {
                skip = line.starts_with("ARC-") && line.contains(instance);
            }
            !skip
        });
        kept.collect::<String>()
    };
    for (message, failed, words) in [
        (twice.replace("Hello.", "Hallo."), Some(2), "body was changed"),
        // A result added to what the first forwarder vouched for breaks its seal.
        (twice.replacen("i=1; list.example;", "i=1; list.example; dmarc=pass;", 1), Some(2), "seal of instance 2"),
        (without("i=1;"), Some(1), "instance 1 is missing"),
        (twice.replace("cv=pass", "cv=fail"), Some(2), "cv=fail"),
    ] {
        let report = analyse(&net, message.as_bytes()).await;
        assert_eq!((report.arc.state, report.arc.failed_instance), (ArcState::Fail, failed), "{words}: {:#?}", report.arc);
        assert!(report.arc.reason.contains(words), "{words}: {}", report.arc.reason);
        // Neither what came before the break nor what came behind it.
        for set in &report.arc.sets {
            assert!(set.vouched.contains("nobody has to believe that, since the chain fails"), "{set:?}");
        }
    }
    // A chain that fails at no one instance.
    let garbled = analyse(&net, format!("ARC-Seal: i=x; nonsense\r\n{twice}").as_bytes()).await;
    assert_eq!((garbled.arc.state, garbled.arc.failed_instance), (ArcState::Fail, None));
    assert!(garbled.arc.sets.iter().all(|set| set.vouched.contains("nobody has to believe that")), "{:#?}", garbled.arc);
    // Without the newest set the older one stands for itself.
    let older = analyse(&net, without("i=2;").as_bytes()).await;
    assert_eq!((older.arc.state, older.arc.sets.len()), (ArcState::Pass, 1), "{:#?}", older.arc);
}

/// The newest set of a chain, sealed again by a forwarder that found the chain broken: over its own fields alone (RFC 8617 5.1.2).
fn found_broken(chain: &str) -> String {
    let at = |name: &str| chain.find(name).unwrap();
    let (signature, results) = (at("ARC-Message-Signature:"), at("ARC-Authentication-Results:"));
    let end = results + chain[results..].find("\r\nARC-Seal:").unwrap() + 2;
    let seal = chain[..signature].replace("cv=pass", "cv=fail");
    let value = seal.find("\tb=").or_else(|| seal.find(" b=")).unwrap() + 3;
    let seal = &seal[..value];
    let relaxed = |field: &str| {
        let (name, value) = field.split_once(':').unwrap();
        format!("{}:{}", name.to_ascii_lowercase(), value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    };
    let signed = [relaxed(&chain[results..end]), relaxed(&chain[signature..results]), relaxed(&format!("{seal};"))].join("\r\n");
    let value = STANDARD.encode(ed().sign(signed.as_bytes()).unwrap());
    format!("{seal}{value};\r\n{}", &chain[signature..])
}

#[tokio::test]
async fn who_found_the_chain_broken_seals_its_own_set_alone() {
    let net = world().await.net();
    let once = sealed_saying(&net, &signed(PLAIN), &found("list.example")).await;
    let twice = sealed_saying(&net, &once, &found("list.example")).await;
    // Whatever became of the sets before it.
    for message in [found_broken(&twice), found_broken(&twice).replacen("i=1; list.example;", "i=1; list.example; dmarc=pass;", 1)] {
        let report = analyse(&net, message.as_bytes()).await;
        assert_eq!((report.arc.state, report.arc.failed_instance), (ArcState::Fail, Some(2)), "{:#?}", report.arc);
        assert_eq!(report.arc.sets[1].seal, Verified::Valid, "{:#?}", report.arc.sets[1]);
    }
    // Its own fields it covers.
    let changed = found_broken(&twice).replacen("i=2; list.example;", "i=2; list.example; dmarc=pass;", 1);
    assert_eq!(analyse(&net, changed.as_bytes()).await.arc.sets[1].seal, Verified::Broken);
}

#[tokio::test]
async fn a_receiver_that_seals_says_what_it_found_before() {
    let net = world().await.net();
    let once = sealed_saying(&net, &signed(PLAIN), &found("mx.example.net")).await;
    let twice = sealed_saying(&net, &once, &found("mx.example.net")).await;
    let foreign = sealed_saying(&net, &signed(PLAIN), &found("list.example")).await;
    for (field, message, words) in [
        ("mx.example.net; arc=none", &once, "mx.example.net says arc=none of the chain as it stood before instance 1 was added"),
        ("MX2.example.net; arc=none", &once, "mx2.example.net says arc=none of the chain as it stood before instance 1 was added"),
        ("arc=none", &once, "The host that took the message last says arc=none of the chain as it stood before instance 1 was added"),
        ("mx.example.net; arc=pass", &twice, "mx.example.net says arc=pass of the chain"),
        // The set is another's, so that there was a chain.
        (
            "mx.example.net; arc=none",
            &foreign,
            "mx.example.net says arc=none of the chain; this copy tells otherwise, so it was changed later, or keys were",
        ),
    ] {
        let report = analyse(&net, format!("Authentication-Results: {field}\r\n{message}").as_bytes()).await;
        assert_eq!(report.arc.receiver, words, "{field}: {:#?}", report.arc);
    }
    let changed = twice.replace("Hello.", "Hallo.");
    let report = analyse(&net, format!("Authentication-Results: mx.example.net; arc=pass\r\n{changed}").as_bytes()).await;
    let words = "mx.example.net says arc=pass of the chain as it stood before instance 2 was added; this copy tells otherwise";
    assert!(report.arc.receiver.starts_with(words), "{}", report.arc.receiver);
}

#[tokio::test]
async fn a_text_that_is_no_message_is_said_to_be_none() {
    let net = world().await.net();
    for (text, none) in [
        ("hello world", true),
        ("", true),
        ("Note: see below\n\nhello", true),
        ("DKIM-Signature: v=1; d=example.org; s=s1", false),
        ("Subject: x\n", false),
        (PLAIN, false),
    ] {
        let report = analyse(&net, text.as_bytes()).await;
        assert_eq!(report.is_no_message(), none, "{text}: {report:#?}");
    }
    let remarks = analyse(&net, b"hello world").await.remarks;
    assert!(remarks.iter().any(|remark| remark.contains("“From:”") && remark.contains("Show original")), "{remarks:?}");
}

#[tokio::test]
async fn a_date_after_the_first_hop_is_a_wrong_clock() {
    let net = world().await.net();
    for (date, wrong) in [("10:20:29", false), ("10:22:00", false), ("08:00:00", false), ("12:20:30", true)] {
        let message = PLAIN.replace("Date: Wed, 31 Jan 2024 10:20:29", &format!("Date: Wed, 31 Jan 2024 {date}"));
        let remarks = analyse(&net, message.as_bytes()).await.remarks;
        assert_eq!(remarks.iter().any(|remark| remark.contains("Date lies 2 h after the first host")), wrong, "{date}: {remarks:?}");
    }
}
