//! DKIM keys of all kinds, healthy and not, against a small name server.
#![allow(clippy::unwrap_used)]

use chrono::{Duration as Days, Utc};
use hickory_proto::op::ResponseCode;
use proptest::prelude::*;
use waypost_types::{Severity, audit::SelectorOrigin};

use super::*;
use crate::net::tests::{Say, Server};

const RSA_512: &str =
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKdOWDk0v3foujJ+XRN/FYLZfKnbm6Hn8CX29//KaHKulp3VG4afVuWQ++GkT2oGqMqkPP9BveThueQBZ3nxYBkCAwEAAQ==";
const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC2CJkCeIHFHxvzqqThWBNnwZKvXlZ14HQIHfwt23EZODC0KzSSqy6EMn9k7lKn/K7CLWehKJ3R+y/HI2sQecXrZAYA2JVHDCvw6IFF/FXfM238g4mbVsfNLjLimlqe6hDKq8aXy0GVWFtKdN358S82Erah83C+im6RQ2Ru5c95yQIDAQAB";
const RSA_2048: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3wnX1nbmlY3x9Mf/QnRxZ54fNUk8EOs52b/2ku7F3gpZ9hk2u1uvbbxLg+vCBwIHJsVNdsoi3/X9byikEVCaC9nHmpU2oUyQC2329dKiqJGCt5G2mB9k+dNXXOLFDMgpPY7/bvHfbubSYL8u4yevr9SbZ3pbpMGcFHmvYmVaaDY0wqq+07ScTVmxBc/kVPnh62WGxyYzWt9UKYEBGdBkM+N3FMdrysiEoQ35vPOoKsRXRn6d2qk75UchsNzTLu7ka/eIoh2qP6bkCsJm9Ut3yKwgZp5/GuN3nrlrFKtgiep5wQNi9GG4tm76bL7kMhV1fWoA3VxJbfc4C95mm4bZEQIDAQAB";
const RSA_2048_E3: &str = "MIIBIDANBgkqhkiG9w0BAQEFAAOCAQ0AMIIBCAKCAQEAn3+JQ6MX3m9f8tMu6Ahxp2msirli/rAWdcgDBJIFpt175pRaoIo317ICQudIhczROvbCOExQhTRXZDyyf04a5o4UWUnlVRi9+xR+0ZQ9MM9k4bVzr7AyRIKUIEjQT5BynDPY+uvb03UO5sDeH8xE/7QvuKrMbF7Q3haVCEDzwxsytgJbSj6V56d/+ZOoQWDQYsPn2ICfjHikUCBvuf37ItuYncq78oLluEKIBCgnL4zHhtG7sZtB4KcJqzspqod2czwkl1ZSAhvwsTyO0ZeTbOxeIE9dC2+hT4Nkoy49ra8xlMwHDDlB62DEBkKGiqfrCi+83qbVi2urTaWj+WW4ZwIBAw==";
const RSA_4104: &str = "MIICIzANBgkqhkiG9w0BAQEFAAOCAhAAMIICCwKCAgIA2ZQGZQlsVNzknHEmD81NUTtZXUu9908GHjO9GOuN+KgHNY4bBJGDT12FXe0a7vvnILS+QOVaU9Utt/huor4ELHuQSl9B31W9EPaQ3d6LFUTnXNQtp6Klcf3KYaLJXWF5vtODSy0SGr8KzIMKOynf/NCb8xh3nFSfMlZOGBYCMGo/SdH+dcgXrBXW2MxvQpoG9/8907I32hwTbJqg8sTfpWrV6MqO1LKDIw3hStGuc+eTtaQkxGQVANV0wWJ/9rIamKf8NdzvoqUb4H+Xy82U4wQHEVXQANrl5ZR4zh5PicZjujxMc3stjcdQKGimGhP0fd89J0QdObrpi9a0wjev+Ox+wV5GxQRHpbVVnS4JxGT4vkrtlHC9E+TKTc2sDDwfpA3pdHLL1Q4VQ+F8jjiJ+b104teM9ZEh3wRfk6tjekf8tn7TZm3hCgEqviVKc3MWU6yys4UgbwFs+c6P0Elpxdq/KEW43Dlcd60a1NxWOLZUyceJji0UPiZrQCUkjQjZyq9ObsiUR5UhZ3IRWZhm6PxraJjf1jvrOx53L+iMRb9iiBBI0+SooKY4C2oHg9UsigUlBxU/oWvPqIk7j2jO/IoJfz9NN/p4W+dDlQ/Kj8dRahzUTQ19mBNz0WT8bVeyt3nfDYoHAyk8bYEQmwvX53k/JBYMwiJ9mj6rHfizChZ7AgMBAAE=";
/// A bare `RSAPublicKey` of 2048 bits.
const BARE: &str = "MIIBCgKCAQEA3wnX1nbmlY3x9Mf/QnRxZ54fNUk8EOs52b/2ku7F3gpZ9hk2u1uvbbxLg+vCBwIHJsVNdsoi3/X9byikEVCaC9nHmpU2oUyQC2329dKiqJGCt5G2mB9k+dNXXOLFDMgpPY7/bvHfbubSYL8u4yevr9SbZ3pbpMGcFHmvYmVaaDY0wqq+07ScTVmxBc/kVPnh62WGxyYzWt9UKYEBGdBkM+N3FMdrysiEoQ35vPOoKsRXRn6d2qk75UchsNzTLu7ka/eIoh2qP6bkCsJm9Ut3yKwgZp5/GuN3nrlrFKtgiep5wQNi9GG4tm76bL7kMhV1fWoA3VxJbfc4C95mm4bZEQIDAQAB";
/// What every private key begins with, and nothing more.
const PRIVATE: &str = "MAMCAQA=";
const ED25519: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const ED25519_LONG: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// A selector that no catalog has.
const OWN: &str = "tst7";
const NAME: &str = "tst7._domainkey.e.example";

fn facts() -> Facts {
    Facts::of(&"e.example".parse().unwrap())
}

/// A record of the server, in strings that DNS allows.
fn txt(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    format!("TXT {}", characters.chunks(60).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>().join("|"))
}

async fn look_with(records: &[(&str, String)], others: &[(&str, Say)], options: &AuditOptions) -> Part {
    let records: Vec<(&str, &str)> = records.iter().map(|(name, record)| (*name, record.as_str())).collect();
    let server = Server::start(&records, others).await;
    dkim::check(&server.net(), &facts(), options).await
}

fn hand() -> AuditOptions {
    AuditOptions { selectors: vec![OWN.to_owned()], ..AuditOptions::default() }
}

fn seen() -> AuditOptions {
    AuditOptions { seen_selectors: vec![OWN.to_owned()], ..AuditOptions::default() }
}

async fn one(text: &str, options: &AuditOptions) -> Part {
    look_with(&[(NAME, txt(text))], &[], options).await
}

fn fired(part: &Part) -> Vec<(&str, Severity)> {
    let mut fired: Vec<_> = part.findings.iter().map(|finding| (finding.rule.as_str(), finding.severity)).collect();
    fired.sort_unstable();
    fired
}

/// Every finding is in the catalog, and nothing in its fix is left to fill in.
fn told(part: &Part) {
    for finding in &part.findings {
        assert!(rules::rule(&finding.rule).is_some() && !finding.why.is_empty() && !finding.fix.is_empty(), "{finding:#?}");
        assert!(!finding.fix.contains('{') && !finding.summary.contains('{'), "{finding:#?}");
    }
}

#[tokio::test]
async fn each_rule_fires_on_its_key_alone() {
    use Severity::{Critical, High, Info, Low, Medium};
    let none = ("dkim.none_found", Info);
    let cases: Vec<(String, Vec<(&str, Severity)>)> = vec![
        (format!("v=DKIM1; k=rsa; p={RSA_2048}"), vec![]),
        (format!("p={RSA_2048}"), vec![]),
        (format!("v=DKIM1;k=rsa;p={RSA_2048};"), vec![]),
        (format!(" v = DKIM1 ; k = rsa ;\tp = {} {} ; ", &RSA_2048[..100], &RSA_2048[100..]), vec![]),
        (format!("v=DKIM1; h=sha1:sha256; s=email:tlsrpt; t=s; n=\"a note\" \\; zz=1; p={RSA_2048}"), vec![]),
        (format!("v=DKIM1; k=rsa; p={BARE}"), vec![]),
        (format!("v=DKIM1; k=ed25519; p={ED25519}"), vec![]),
        (format!("v=DKIM1; p={RSA_512}"), vec![("dkim.rsa_too_short", Critical)]),
        (format!("v=DKIM1; p={RSA_1024}"), vec![("dkim.rsa_1024", Medium)]),
        (format!("v=DKIM1; p={RSA_4104}"), vec![("dkim.rsa_too_long", Low)]),
        (format!("v=DKIM1; p={RSA_2048_E3}"), vec![("dkim.bad_exponent", Low)]),
        (format!("v=DKIM1; t=y:s; p={RSA_2048}"), vec![("dkim.testing", Medium)]),
        (format!("v=DKIM1; h=sha1; p={RSA_2048}"), vec![("dkim.sha1", High)]),
        (format!("v=DKIM1; s=other; p={RSA_2048}"), vec![none, ("dkim.service_type", Medium)]),
        (format!("v=DKIM1; s=*; p={RSA_2048}"), vec![]),
        ("v=DKIM1; p=".to_owned(), vec![none, ("dkim.revoked", High)]),
        (format!("v=DKIM1; k=ed25519; p={ED25519_LONG}"), vec![("dkim.ed25519_bad_length", Critical), none]),
        ("v=DKIM1; k=rsa; p=broken!".to_owned(), vec![none, ("dkim.syntax", Critical)]),
        // Forgiven by many receivers, refused by strict ones.
        (format!("v=DKIM1;; p={RSA_2048}"), vec![("dkim.syntax", Medium)]),
        (format!("v=DKIM1; k=RSA; p={RSA_2048}"), vec![("dkim.syntax", Medium)]),
        (format!("v=DKIM1; k=ed25519; p={}", ED25519.trim_end_matches('=')), vec![("dkim.syntax", Medium)]),
    ];
    for (text, wanted) in cases {
        let part = one(&text, &hand()).await;
        assert_eq!(fired(&part), wanted, "{text}: {:#?}", part.findings);
        told(&part);
    }
    // Another record at the name is no key, so it is none among the details.
    assert!(one("v=spf1 -all", &hand()).await.detail.dkim.is_empty());
    let two = [(NAME, txt(&format!("p={RSA_2048}"))), (NAME, txt("v=DKIM1; p="))];
    assert_eq!(fired(&look_with(&two, &[], &hand()).await), [("dkim.multiple_records", High)]);
    let other = [("google._domainkey.e.example", txt(&format!("p={RSA_2048}"))), ("google._domainkey.e.example", txt("exp=a site token"))];
    assert!(look_with(&other, &[], &AuditOptions::default()).await.findings.is_empty());
}

#[tokio::test]
async fn what_is_broken_says_how_and_where() {
    let cut = &RSA_2048[..200];
    for (text, reason, fix) in [
        ("v=spf1 -all".to_owned(), "v= is “spf1 -all”", "at its own name"),
        ("hello".to_owned(), "“hello” at character 1 is no tag: it lacks “=”", "Take out “hello”"),
        ("v=DKIM1; k=rsa".to_owned(), "p= is missing", "Add p="),
        (format!("v=dkim1; p={RSA_2048}"), "it must be DKIM1 in capital letters", "v=DKIM1;"),
        (format!("k=rsa; v=DKIM1; p={RSA_2048}"), "v=DKIM1 stands at character 8", "beginning"),
        (format!("v=DKIM1; k=rsa; P={RSA_2048}"), "given as P= (its value at character 19)", "small letter"),
        (format!("v=DKIM1; p={RSA_2048}; p="), "the tag p= stands twice, its values at character 12 and at character 408", "Keep one p="),
        (format!("v=DKIM1 k=rsa; p={RSA_2048}"), "a semicolon is missing after v=DKIM1, before “k=”", "v=DKIM1; k=…"),
        (format!("v=DKIM1; k=rsa p={RSA_2048}"), "a semicolon is missing after k=rsa, before “p=”", "k=rsa; p=…"),
        (format!("v=DKIM1; k=dsa; p={RSA_2048}"), "k=dsa is no key type", "k=rsa or k=ed25519"),
        (format!("v=DKIM1; h=md5; p={RSA_2048}"), "h=md5 allows no hash", "h=sha256"),
        (format!("\"v=DKIM1; p={RSA_2048}\""), "a quotation mark is part of the record, at character 1", "without quotation marks"),
        (format!("v=DKIM1; k=rsa; p={RSA_2048}\""), "a quotation mark is part of the record, at character 411", "without quotation marks"),
        (format!("v=DKIM1\\; k=rsa\\; p={RSA_2048}"), "a backslash is part of the record, at character 8", "Take the backslashes out"),
        (format!("v=DKIM1; p={}\\n{}", &RSA_2048[..64], &RSA_2048[64..]), "as the two characters “\\n”, at character 76", "Take out every “\\n”"),
        (format!("v=DKIM1; p ub={RSA_2048}"), "white space inside the tag name “p ub” at character 10", "“pub=”"),
        (format!("v=DKIM1; 1p={RSA_2048}"), "“1p” at character 10 is no name of a tag", "correct the name"),
        (
            format!("v=DKIM1; p=-----BEGIN PUBLIC KEY-----{RSA_2048}-----END PUBLIC KEY-----"),
            "the frame of a key file",
            "Paste only what stands between",
        ),
        (format!("v=DKIM1; p=-----BEGIN PRIVATE KEY-----{PRIVATE}"), "a private key is published", "at once"),
        (format!("v=DKIM1; p={PRIVATE}"), "a private key is published in p=", "at once"),
        (format!("v=DKIM1; p=“{RSA_2048}”"), "U+201C stands at character 12", "plain text"),
        (format!("v=DKIM1; k=rsa; p={cut}"), "the key is cut off after 150 of 294 bytes", "strings of at most 255 bytes"),
        (format!("v=DKIM1; k=rsa; p={}", &RSA_2048[..201]), "the key is cut off after 150 of 294 bytes", "strings of at most 255 bytes"),
        (format!("v=DKIM1; p={}", &RSA_2048[..391].replace('+', "-").replace('/', "_")), "belongs to the base64 of web addresses", "for every"),
        (format!("v=DKIM1; p={RSA_1024}={RSA_1024}"), "the key goes on after “=” (character 229)", "semicolon"),
        (format!("v=DKIM1; p={ED25519}"), "p= has 32 bytes as an Ed25519 key has", "k=ed25519"),
        (format!("v=DKIM1; p={ED25519_LONG}"), "k=ed25519 is missing", "k=ed25519"),
        ("v=DKIM1; p=AAAA".to_owned(), "p= holds no RSA key", "MII"),
    ] {
        let part = one(&text, &hand()).await;
        let found = part.findings.iter().find(|finding| finding.rule == "dkim.syntax").unwrap();
        assert!(found.severity == Severity::Critical && found.summary.contains(reason), "{text}: {}", found.summary);
        assert!(found.fix.contains(fix), "{text}: {}", found.fix);
        told(&part);
    }
}

#[tokio::test]
async fn an_ed25519_key_of_another_length_is_explained() {
    for (key, words) in [
        (ED25519_LONG, "has 44 bytes, it must have 32: it is in the longer form of key files"),
        (RSA_2048, "has 294 bytes, it must have 32: it is an RSA key"),
        (&ED25519[..40], "has 30 bytes, it must have 32: its end is missing"),
        (&ED25519[..41], "has 30 bytes, it must have 32: its end is missing"),
    ] {
        let part = one(&format!("v=DKIM1; k=ed25519; p={key}"), &hand()).await;
        let found = part.findings.iter().find(|finding| finding.rule == "dkim.ed25519_bad_length").unwrap();
        assert!(found.summary.contains(words), "{}", found.summary);
    }
}

#[tokio::test]
async fn a_record_is_proposed_where_nothing_is_guessed() {
    let right = format!("v=DKIM1; k=rsa; p={RSA_2048}");
    for (text, wanted) in [
        (format!("\"v=DKIM1; k=rsa; p={}\" \"{}\"", &RSA_2048[..100], &RSA_2048[100..]), Some(right.clone())),
        (format!("v=DKIM1\\; k=rsa\\; p={RSA_2048}"), Some(right.clone())),
        (format!("v=DKIM1; k=rsa; p=-----BEGIN PUBLIC KEY-----\\n{RSA_2048}\\n-----END PUBLIC KEY-----"), Some(right.clone())),
        (format!("v=DKIM1;; k=RSA; p={RSA_2048}"), Some(right.clone())),
        (format!("v=DKIM1; k=rsa; t=y; p={RSA_2048}"), Some(right.clone())),
        (format!("v=DKIM1; k=rsa; t=y : s; p={RSA_2048}"), Some(format!("v=DKIM1; k=rsa; t=s; p={RSA_2048}"))),
        (format!("v=DKIM1; k=rsa; h=sha1; p={RSA_2048}"), Some(right.clone())),
        (format!("v=DKIM1; k=rsa; s=other; p={RSA_2048}"), Some(right.clone())),
        (format!("v=DKIM1; k=ed25519; p={ED25519_LONG}"), Some(format!("v=DKIM1; k=ed25519; p={ED25519}"))),
        // All at once, and what somebody else may read stays.
        (format!("v=DKIM1;; k=RSA; h=sha1; s=other; t=y; n=note; x=1; p={RSA_2048}"), Some(format!("v=DKIM1; k=rsa; n=note; x=1; p={RSA_2048}"))),
        (format!("v=DKIM1; k=ed25519; t=y:s; p={ED25519_LONG}"), Some(format!("v=DKIM1; k=ed25519; t=s; p={ED25519}"))),
        (format!("v=DKIM1; k=rsa; p={}", &RSA_2048[..200]), None),
        (format!("v=DKIM1; k=rsa; p={RSA_1024}"), None),
    ] {
        let part = one(&text, &hand()).await;
        if let Some(better) = &wanted {
            // Every finding that it ends shows it, and none is left that it was shown with.
            assert!(part.findings.iter().filter(|finding| finding.rule != "dkim.none_found").all(|finding| finding.record.is_some()), "{part:#?}");
            assert!(one(better, &hand()).await.findings.is_empty(), "{better}");
        }
        let found = part.findings.iter().find(|finding| finding.rule != "dkim.none_found").unwrap();
        assert_eq!(found.record.as_ref().map(|record| record.value.clone()), wanted, "{text}: {found:#?}");
        assert!(found.record.as_ref().is_none_or(|record| record.name == NAME && record.kind == "TXT"));
    }
}

#[tokio::test]
async fn what_no_record_mends_is_shown_with_none() {
    let part = one(&format!("v=DKIM1; h=sha1; t=y; p={RSA_1024}"), &hand()).await;
    let better = format!("v=DKIM1; p={RSA_1024}");
    for finding in &part.findings {
        let wanted = (finding.rule != "dkim.rsa_1024").then_some(better.as_str());
        assert_eq!(finding.record.as_ref().map(|record| record.value.as_str()), wanted, "{finding:?}");
    }
    assert_eq!(part.findings.len(), 3);
}

#[tokio::test]
async fn only_a_selector_in_use_proves_that_a_key_is_missing() {
    let none = ("dkim.none_found", Severity::Info);
    for (options, wanted) in [
        (seen(), vec![("dkim.key_missing", Severity::Critical), none]),
        (hand(), vec![("dkim.key_missing", Severity::High), none]),
        (AuditOptions::default(), vec![]),
    ] {
        let part = look_with(&[], &[], &options).await;
        assert_eq!(fired(&part), wanted);
        assert_eq!(
            part.findings.iter().any(|finding| finding.summary.contains("mail is signed")),
            options.selectors.is_empty() && !wanted.is_empty()
        );
        assert_eq!(part.unknown.iter().any(|unknown| !unknown.is_silence()), wanted.is_empty());
        told(&part);
    }
    // One of the catalog's has a key: DKIM is there.
    let usual = [("google._domainkey.e.example", txt(&format!("v=DKIM1; p={RSA_2048}")))];
    assert_eq!(fired(&look_with(&usual, &[], &seen()).await), [("dkim.key_missing", Severity::Critical)]);
    // A revoked key at a usual selector is good housekeeping.
    let revoked = look_with(&[("google._domainkey.e.example", txt("v=DKIM1; p="))], &[], &AuditOptions::default()).await;
    assert!(revoked.findings.is_empty() && revoked.detail.dkim[0].revoked, "{revoked:#?}");
}

/// What the table shows the reason tells of: the key that is there is none in use.
#[tokio::test]
async fn withdrawn_keys_at_usual_selectors_are_named() {
    let names = ["default", "google", "k1", "mail", "s1"].map(|selector| format!("{selector}._domainkey.e.example"));
    for (many, words) in [
        (0, "no key at the usual selectors; name the selector"),
        (1, "none has a key in use; “default” holds a withdrawn key (empty p=); name the selector"),
        (2, "” hold withdrawn keys (empty p=); name the selector"),
        (5, " and 2 more hold withdrawn keys"),
    ] {
        let world: Vec<(&str, String)> = names.iter().take(many).map(|name| (name.as_str(), txt("v=DKIM1; p="))).collect();
        let part = look_with(&world, &[], &AuditOptions::default()).await;
        let told = part.unknown.iter().find(|part| !part.is_silence()).unwrap();
        let said = names.iter().take(many).filter(|name| told.reason.contains(&format!("“{}”", name.split('.').next().unwrap()))).count();
        assert_eq!((said, told.subject.as_str()), (many.min(3), "dkim"), "{told:?}");
        assert!(told.reason.contains(words), "{told:?}");
        assert_eq!(part.detail.dkim.len(), many);
    }
}

#[tokio::test]
async fn details_tell_of_every_key() {
    let text = format!("v=DKIM1; k=rsa; t=y; p={RSA_2048}");
    let since = Utc::now() - Days::days(100);
    let known = Known { records: [("dkim".to_owned(), vec![(format!("{OWN}: {text}"), since)])].into(), ..Known::default() };
    let records = [
        (NAME, "CNAME s1.domainkey.u1.wl1.sendgrid.net".to_owned()),
        ("s1.domainkey.u1.wl1.sendgrid.net", "CNAME end.sendgrid.net".to_owned()),
        ("end.sendgrid.net", txt(&text)),
        ("google._domainkey.e.example", txt(&format!("k=ed25519; p={ED25519}"))),
        ("default._domainkey.e.example", txt(&format!("p={RSA_2048}"))),
        ("mail._domainkey.e.example", txt("v=DKIM1; k=dsa; p=AAAA")),
    ];
    let part = look_with(&records, &[], &AuditOptions { known, ..seen() }).await;
    let of = |selector: &str| part.detail.dkim.iter().find(|key| key.selector == selector).unwrap();
    let own = of(OWN);
    assert_eq!((own.origin, own.kind.as_str(), own.bits, own.testing), (SelectorOrigin::Seen, "rsa", Some(2048), true));
    assert_eq!((own.alias.as_deref(), own.first_seen), (Some("end.sendgrid.net"), Some(since)));
    assert!(own.service.as_ref().unwrap().contains("SendGrid"), "{own:?}");
    assert!(own.mark.len() == 16 && own.mark == of("default").mark && own.mark != of("google").mark, "{own:?}");
    let google = of("google");
    assert_eq!((google.origin, google.kind.as_str(), google.bits), (SelectorOrigin::Catalog, "ed25519", Some(256)));
    assert_eq!((google.service.as_deref(), google.alias.as_deref(), google.first_seen), (Some("Google Workspace"), None, None));
    assert_eq!(part.detail.dkim.len(), 4);
    assert_eq!((of("mail").kind.as_str(), of("mail").bits, of("mail").mark.as_str()), ("dsa", None, ""));
    // Behind an alias no record of one's own is proposed.
    let testing = part.findings.iter().find(|finding| finding.rule == "dkim.testing").unwrap();
    assert!(testing.record.is_none() && testing.fix.contains("at end.sendgrid.net"), "{testing:#?}");
}

#[tokio::test]
async fn a_key_is_old_after_thirteen_months() {
    let text = format!("v=DKIM1; p={RSA_2048}");
    for (days, line, old) in [(400, format!("{OWN}: {text}"), true), (390, format!("{OWN}: {text}"), false), (400, format!("{OWN}: p=B"), false)] {
        let known = Known { records: [("dkim".to_owned(), vec![(line, Utc::now() - Days::days(days))])].into(), ..Known::default() };
        let part = one(&text, &AuditOptions { known, ..hand() }).await;
        assert_eq!(fired(&part), if old { vec![("dkim.key_old", Severity::Low)] } else { vec![] }, "{days}");
        told(&part);
    }
}

/// All names that nobody has, as a wildcard answers.
fn wildcard(answer: &str, others: &[&'static str]) -> Vec<(&'static str, String)> {
    let nobodys = ["waypost-7f3a91c2-wildcard-test._domainkey.e.example", "waypost-d04be586-wildcard-test._domainkey.e.example"];
    nobodys.iter().chain(others).map(|name| (*name, answer.to_owned())).collect()
}

#[tokio::test]
async fn what_a_wildcard_says_is_no_key_of_its_own() {
    let none = ("dkim.none_found", Severity::Info);
    let wild = ("dkim.wildcard", Severity::Medium);
    let names = [NAME, "google._domainkey.e.example"];
    let key = format!("v=DKIM1; p={RSA_2048}");
    for (answer, wanted, missing) in [
        ("v=spf1 -all", vec![("dkim.key_missing", Severity::High), none, wild], true),
        ("v=DKIM1; k=rsa; p=broken!", vec![("dkim.key_missing", Severity::High), none, wild], true),
        ("v=DKIM1; p=", vec![("dkim.key_missing", Severity::High), none], true),
        (key.as_str(), vec![wild], false),
    ] {
        let part = look_with(&wildcard(&txt(answer), &names), &[], &hand()).await;
        assert_eq!(fired(&part), wanted, "{answer}: {:#?}", part.findings);
        let said = part.findings.iter().any(|finding| finding.summary.contains("only the wildcard answers"));
        assert_eq!((said, part.detail.dkim.len()), (missing, usize::from(!missing)), "{answer}");
        told(&part);
    }
    // Nobody named a selector: the wildcard is all there is to say, and one that revokes all selectors is right for a domain that sends nothing.
    let part = look_with(&wildcard(&txt("v=DKIM1; p="), &names[1..]), &[], &AuditOptions::default()).await;
    assert!(part.findings.is_empty() && part.unknown.is_empty() && part.summary.as_ref().unwrap().word == "All revoked", "{part:#?}");
    // A key of its own counts beside it.
    let mut own = wildcard(&txt("v=spf1 -all"), &[]);
    own.push((NAME, txt(&key)));
    own.push(("google._domainkey.e.example", txt(&key)));
    let part = look_with(&own, &[], &hand()).await;
    assert_eq!((fired(&part), part.detail.dkim.len()), (vec![wild], 2));
    // Answers that differ from name to name say nothing of names that were guessed.
    let mut changing = wildcard(&txt("token"), &["google._domainkey.e.example"]);
    changing[1].1 = txt("another token");
    changing[2].1 = txt(&key);
    let part = look_with(&changing, &[], &AuditOptions::default()).await;
    assert_eq!((fired(&part), part.detail.dkim.len()), (vec![wild], 0));
}

/// Records, what is known of the domain, and the rules that fire.
type Case = (Vec<(&'static str, String)>, AuditOptions, Vec<(&'static str, Severity)>);

#[tokio::test]
async fn an_alias_to_nothing_is_told_apart() {
    let alias = |target: &str| format!("CNAME {target}");
    let below = ("_domainkey.e.example", "TXT x".to_owned());
    let usual = ("s1._domainkey.e.example", alias("s1.domainkey.u1.wl1.sendgrid.net"));
    let none = ("dkim.none_found", Severity::Info);
    let dangling = |severity| ("dkim.alias_dangling", severity);
    let sibling =
        [("s2._domainkey.e.example", alias("s2.domainkey.u1.wl1.sendgrid.net")), ("s2.domainkey.u1.wl1.sendgrid.net", txt(&format!("p={RSA_2048}")))];
    let own = (NAME, alias("x.domainkey.u1.wl1.sendgrid.net"));
    let cases: Vec<Case> = vec![
        (vec![own.clone()], seen(), vec![dangling(Severity::High), none]),
        (vec![own.clone()], hand(), vec![dangling(Severity::High), none]),
        (vec![own.clone(), ("x.domainkey.u1.wl1.sendgrid.net", "A 203.0.113.1".to_owned())], hand(), vec![dangling(Severity::High), none]),
        (vec![own.clone(), ("x.domainkey.u1.wl1.sendgrid.net", txt(&format!("p={RSA_2048}")))], hand(), vec![]),
        ([vec![own.clone()], sibling.to_vec()].concat(), hand(), vec![dangling(Severity::Low)]),
        ([vec![own], sibling.to_vec()].concat(), seen(), vec![dangling(Severity::High)]),
        (vec![below.clone(), usual.clone()], AuditOptions::default(), vec![dangling(Severity::Medium)]),
        // The second selector of a service waits for the next change of keys.
        ([vec![below.clone(), usual], sibling.to_vec()].concat(), AuditOptions::default(), vec![]),
    ];
    for (records, options, wanted) in cases {
        let part = look_with(&records, &[], &options).await;
        assert_eq!(fired(&part), wanted, "{records:?}: {:#?}", part.findings);
        told(&part);
    }
    // A wildcard that is an alias to nothing makes no selector.
    let mut wild = wildcard("CNAME gone.e.example", &["google._domainkey.e.example"]);
    wild.push(below);
    assert!(look_with(&wild, &[], &AuditOptions::default()).await.findings.is_empty());
    assert_eq!(
        fired(&look_with(&[wild, vec![(NAME, alias("gone.e.example"))]].concat(), &[], &hand()).await),
        [("dkim.key_missing", Severity::High), none]
    );
    // So does one that leads every name to another one, as DNAME does.
    let nobody = "waypost-7f3a91c2-wildcard-test._domainkey.e.example";
    let moved = [(nobody, alias("a.other.example")), (NAME, alias("b.other.example")), ("s1._domainkey.e.example", alias("c.other.example"))];
    let part = look_with(&[&moved[..], &[("_domainkey.e.example", "TXT x".to_owned())]].concat(), &[], &hand()).await;
    assert_eq!(fired(&part), [("dkim.key_missing", Severity::High), none]);
    // An alias whose end can not be told is unknown.
    let part = look_with(&[(NAME, alias("mute.example"))], &[("mute.example", Say::Code(ResponseCode::ServFail))], &hand()).await;
    assert!(part.findings.is_empty() && part.unknown.iter().any(|unknown| unknown.reason.contains(OWN)), "{part:#?}");
}

#[tokio::test]
async fn a_failure_is_said_of_selectors_that_matter() {
    let fail = || Say::Code(ResponseCode::ServFail);
    let usual = [("google._domainkey.e.example", txt(&format!("p={RSA_2048}")))];
    for options in [seen(), hand()] {
        for records in [&usual[..], &[]] {
            let part = look_with(records, &[(NAME, fail())], &options).await;
            assert!(part.findings.is_empty(), "{:#?}", part.findings);
            let reasons: Vec<&str> = part.unknown.iter().filter(|unknown| unknown.subject == "dkim").map(|unknown| unknown.reason.as_str()).collect();
            assert!(reasons.len() == 1 && reasons[0].contains(OWN), "{reasons:?}");
        }
    }
    // A guess that fails is worth a word only where nothing was found …
    let guess = [("default._domainkey.e.example", fail())];
    assert!(look_with(&usual, &guess, &AuditOptions::default()).await.unknown.is_empty());
    let part = look_with(&[], &guess, &AuditOptions::default()).await;
    assert!(part.unknown.len() == 1 && part.unknown[0].is_silence(), "{:?}", part.unknown);
    // … or where a key was there before.
    let known = Known { records: [("dkim".to_owned(), vec![("default: p=A".to_owned(), Utc::now())])].into(), ..Known::default() };
    let part = look_with(&usual, &guess, &AuditOptions { known, ..AuditOptions::default() }).await;
    assert!(part.unknown.len() == 1 && part.unknown[0].reason.contains("default"), "{:?}", part.unknown);
    // What failed may have a key: nothing is missing then.
    assert_eq!(fired(&look_with(&[], &guess, &hand()).await), [("dkim.key_missing", Severity::High)]);
}

proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..80), at in 0_usize..390, odd in "[\\x00-\\x7f]{0,3}|\\PC") {
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
        let broken = format!("v=DKIM1; k=rsa; p={}{odd}{}", &RSA_2048[..at], &RSA_2048[at..]);
        for text in [text.clone(), format!("p={text}"), format!("p={key}"), format!("k=ed25519; p={key}"), broken.clone(), broken.chars().take(at).collect()] {
            let _: Result<_, _> = dkim_key::parse(&text);
            let _: Option<String> = dkim_key::repaired(&text, true);
            let _: bool = is_meant_as_key(&text);
            let _: String = dkim_key::kind_as_written(&text);
        }
    }
}

#[tokio::test]
async fn what_every_name_is_an_alias_of_must_be_told_before_one_to_nothing_is_a_selectors() {
    let nobody = ("waypost-7f3a91c2-wildcard-test._domainkey.e.example", Say::Code(ResponseCode::ServFail));
    let records = [(NAME, "CNAME gone.provider.example".to_owned())];
    let part = look_with(&records, &[nobody], &hand()).await;
    assert!(!part.findings.iter().any(|finding| finding.rule == "dkim.alias_dangling"), "{part:#?}");
    assert!(part.unknown.iter().any(|one| one.subject == "dkim.alias_dangling"), "{part:#?}");
    let part = look_with(&records, &[], &hand()).await;
    assert!(part.findings.iter().any(|finding| finding.rule == "dkim.alias_dangling") && part.unknown.is_empty(), "{part:#?}");
}

#[tokio::test]
async fn selectors_are_guessed_only_where_that_is_wanted() {
    let usual = [("google._domainkey.e.example", txt(&format!("p={RSA_2048}")))];
    assert!(look_with(&usual, &[], &AuditOptions::default()).await.unknown.is_empty());
    let part = look_with(&usual, &[], &AuditOptions { guess_selectors: false, ..AuditOptions::default() }).await;
    assert!(part.records.is_empty() && part.unknown.len() == 1 && part.unknown[0].is_silence(), "{part:#?}");
}

#[tokio::test]
async fn where_nothing_is_likely_to_be_found_the_many_selectors_are_left_alone() {
    // The names asked below `_domainkey`, and the selectors found.
    async fn asks(records: &[(&str, String)], options: &AuditOptions) -> (Vec<String>, usize) {
        let records: Vec<(&str, &str)> = records.iter().map(|(name, record)| (*name, record.as_str())).collect();
        let server = Server::start(&records, &[]).await;
        let part = dkim::check(&server.net(), &facts(), options).await;
        let asked = server.asked.lock().unwrap().clone();
        let selectors = asked.iter().filter_map(|name| name.strip_suffix("._domainkey.e.example")).map(str::to_owned);
        (selectors.collect(), part.detail.dkim.len())
    }
    let key = || txt(&format!("p={RSA_2048}"));
    let plain = ("e.example", "TXT v=spf1 -all".to_owned());
    let (nothing, _) = asks(std::slice::from_ref(&plain), &AuditOptions::default()).await;
    assert!((10..20).contains(&nothing.len()), "{nothing:?}");
    // What somebody named is asked whatever else is there, and tells that there is more.
    let (named, found) = asks(&[plain.clone(), (NAME, key())], &hand()).await;
    assert!(named.len() > 150 && found == 1, "{}", named.len());
    // The services that the SPF record names have selectors of their own; one of them has a key, so that all are asked.
    let brevo = ("e.example", "TXT v=spf1 include:spf.brevo.com -all".to_owned());
    let (service, found) = asks(&[brevo], &AuditOptions::default()).await;
    assert!(service.len() > nothing.len() && service.len() < 40 && found == 0, "{service:?}");
    // A server that says that nothing is at `_domainkey`, although a usual key is below it, is not believed.
    let (usual, found) = asks(&[plain.clone(), ("google._domainkey.e.example", key())], &AuditOptions::default()).await;
    assert!(usual.len() > 150 && found == 1, "{}", usual.len());
    // A selector that had a key is asked, however unusual.
    let known = Known { records: [("dkim".to_owned(), vec![("klaviyo: p=A".to_owned(), DateTime::UNIX_EPOCH)])].into(), ..Known::default() };
    let (before, _) = asks(&[plain], &AuditOptions { known, ..AuditOptions::default() }).await;
    assert!(before.len() < 20 && before.contains(&"klaviyo".to_owned()), "{before:?}");
}

fn found() -> AuditOptions {
    AuditOptions { found_selectors: vec!["s1".to_owned(), "default".to_owned()], ..AuditOptions::default() }
}

#[tokio::test]
async fn a_key_that_was_found_and_is_taken_away_is_missed_at_every_look() {
    let key = || txt(&format!("v=DKIM1; p={RSA_2048}"));
    let none = |severity| vec![("dkim.none_found", severity)];
    let plain = ("e.example", "TXT v=spf1 -all".to_owned());
    let cases: Vec<Case> = vec![
        (vec![plain.clone()], found(), none(Severity::High)),
        // Withdrawn, as it is done when keys are changed: the next one may have a name that can not be guessed.
        (
            vec![("s1._domainkey.e.example", txt("v=DKIM1; p="))],
            AuditOptions { found_selectors: vec!["s1".to_owned()], ..found() },
            none(Severity::Low),
        ),
        (
            vec![("s1._domainkey.e.example", txt("v=DKIM1; p=")), ("_domainkey.e.example", "A 203.0.113.1".to_owned())],
            found(),
            none(Severity::Medium),
        ),
        // The other is gone: that this one was withdrawn is no excuse for it.
        (vec![("s1._domainkey.e.example", txt("v=DKIM1; p="))], found(), none(Severity::Medium)),
        // Something else there: no key either.
        (vec![("s1._domainkey.e.example", txt("a site token"))], found(), none(Severity::High)),
        // A rotation, to a usual selector or a named one.
        (vec![("s1._domainkey.e.example", key())], found(), vec![]),
        (vec![("k1._domainkey.e.example", key())], found(), vec![]),
        (vec![(NAME, key())], AuditOptions { selectors: vec![OWN.to_owned()], ..found() }, vec![]),
        // To one that nobody can guess: something stands below `_domainkey`, and that is no proof of a loss.
        (vec![("_domainkey.e.example", "A 203.0.113.1".to_owned())], found(), none(Severity::Low)),
        // Who says that no selector signs means it.
        (wildcard(&txt("v=DKIM1; p="), &["s1._domainkey.e.example", "default._domainkey.e.example"]), found(), vec![]),
    ];
    for (records, options, wanted) in cases {
        let part = look_with(&records, &[], &options).await;
        assert_eq!(fired(&part), wanted, "{records:?}: {:#?}", part.findings);
        told(&part);
    }
    let part = look_with(&[plain], &[], &found()).await;
    let said = &part.findings[0];
    assert!(said.summary.contains("s1._domainkey.e.example") && said.fix.contains("publish it at s1._domainkey.e.example"), "{said:#?}");
    // A failure is no removal, of the key itself or of another that may have taken its place; nor can it be told then whether there is one at
    // all. What was said before stays open.
    for name in ["s1._domainkey.e.example", "k1._domainkey.e.example", "_domainkey.e.example"] {
        let part = look_with(&[], &[(name, Say::Code(ResponseCode::ServFail))], &found()).await;
        let before = rules::remark("dkim.none_found", "e.example", "gone").done();
        assert!(part.findings.is_empty() && part.unknown.iter().any(|part| leaves_open(part, &before)), "{name}: {part:#?}");
    }
}

#[tokio::test]
async fn a_key_for_tls_reports_is_no_mistake_and_no_key_for_mail() {
    let key = format!("v=DKIM1; k=rsa; s=tlsrpt; p={RSA_2048}");
    let by_audit = AuditOptions { found_selectors: vec![OWN.to_owned()], ..AuditOptions::default() };
    for options in [hand(), by_audit] {
        let part = one(&key, &options).await;
        assert!(part.findings.is_empty() && part.unknown.iter().any(|unknown| !unknown.is_silence()), "{part:#?}");
        assert_eq!((part.summary.as_ref().unwrap().word.as_str(), part.detail.dkim.len()), ("Selector unknown", 1));
    }
    // Another one is the mail's.
    let usual = [(NAME, txt(&key)), ("google._domainkey.e.example", txt(&format!("p={RSA_2048}")))];
    let part = look_with(&usual, &[], &hand()).await;
    assert!(part.findings.is_empty() && part.unknown.is_empty() && part.summary.as_ref().unwrap().word == "1 key", "{part:#?}");
    // What is mended of it leaves the service alone; only where mail is signed with it the key is to be for mail, too.
    let testing = key.replace("s=tlsrpt", "s=tlsrpt; t=y");
    let part = one(&testing, &hand()).await;
    let found = part.findings.iter().find(|finding| finding.rule == "dkim.testing").unwrap();
    assert_eq!(found.record.as_ref().map(|record| record.value.as_str()), Some(key.as_str()));
    let part = one(&key, &seen()).await;
    assert_eq!(fired(&part), [("dkim.none_found", Severity::Info), ("dkim.service_type", Severity::Medium)]);
    let found = part.findings.iter().find(|finding| finding.rule == "dkim.service_type").unwrap();
    let better = key.replace("s=tlsrpt", "s=tlsrpt:email");
    assert!(found.summary.contains("for TLS reports only") && found.record.as_ref().unwrap().value == better, "{found:#?}");
    assert!(one(&better, &seen()).await.findings.is_empty());
    told(&part);
}
