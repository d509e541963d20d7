//! MTA-STS: the TXT record, the policy file behind it, and whether it covers the MX hosts (RFC 8461).

use waypost_types::{Severity, outcome::Status};

use super::{AuditOptions, Facts, Part, dkim::tags, rules::remark};
use crate::net::{Lookup, Net};

/// RFC 8461 3.2: a year and a bit.
const MAX_AGE_LIMIT: u64 = 31_557_600;
/// Lines of a policy that are read.
const MOST_LINES: usize = 500;

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions, _chains: &super::certificates::Chains<'_>) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let owner = format!("_mta-sts.{domain}");
    let records = match super::texts(net, &owner).await {
        Lookup::Found(records) => records.into_iter().filter(|text| is_sts(text)).collect(),
        Lookup::Missing(_) => Vec::new(),
        Lookup::Failed(failure) => {
            part.unknown("mta_sts", failure);
            part.word(Status::None, "No answer");
            return part;
        }
    };
    let Some(first) = records.first().cloned() else {
        if facts.receives {
            let id = net.now().format("%Y%m%d%H%M%S");
            part.find(
                remark("mtasts.missing", domain, "Senders are not told to insist on TLS (no MTA-STS)")
                    .fix(format!(
                        "Publish this record, and at https://mta-sts.{domain}/.well-known/mta-sts.txt a policy in mode testing; later change it to enforce."
                    ))
                    .record("TXT", &owner, format!("v=STSv1; id={id};")),
            );
        }
        part.word(Status::None, "Not set");
        return part;
    };
    part.records.clone_from(&records);
    if records.len() > 1 {
        let seen = format!("{owner} has {} MTA-STS records; senders then take it as having none", records.len());
        part.find(remark("mtasts.txt_syntax", &owner, seen).fix("Keep one of them."));
    } else if let Err(reason) = record_is_fine(&first) {
        let id = net.now().format("%Y%m%d%H%M%S");
        part.find(
            remark("mtasts.txt_syntax", &owner, format!("The MTA-STS record can not be read: {reason}"))
                .fix("Publish it again in this form.")
                .record("TXT", &owner, format!("v=STSv1; id={id};")),
        );
    }
    policy(net, facts, &mut part).await;
    part
}

fn is_sts(text: &str) -> bool {
    text.starts_with("v=STSv1") && !text.as_bytes().get(8).is_some_and(u8::is_ascii_alphanumeric)
}

fn record_is_fine(text: &str) -> Result<(), String> {
    let tags = tags(text)?;
    if tags[0] != ("v".to_owned(), "STSv1".to_owned()) {
        return Err("v=STSv1 must stand first".to_owned());
    }
    match tags.iter().find(|(name, _)| name == "id").map(|(_, value)| value.as_str()) {
        None => Err("id= is missing".to_owned()),
        Some(id) if (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(()),
        Some(id) => Err(format!("id={id} is not 1 to 32 letters and digits")),
    }
}

async fn policy(net: &Net, facts: &Facts, part: &mut Part) {
    let host = format!("mta-sts.{}", facts.domain);
    let url = format!("https://{host}/.well-known/mta-sts.txt");
    let answer = match net.https_get(&host, "/.well-known/mta-sts.txt").await {
        Ok(answer) => answer,
        Err(failure) if failure.is_the_hosts() => {
            part.find(remark("mtasts.policy_unreachable", &host, format!("The MTA-STS policy can not be fetched: {failure}")));
            part.word(Status::Bad, "No policy");
            return;
        }
        Err(failure) => {
            part.unknown("mta_sts", format!("{url}: {failure}"));
            part.word(Status::None, "No answer");
            return;
        }
    };
    if answer.status != 200 {
        let seen = format!("{url} answers with status {}; senders want 200 and follow no redirect", answer.status);
        part.find(remark("mtasts.policy_unreachable", &host, seen));
        part.word(Status::Bad, "No policy");
        return;
    }
    let policy = match parse(&answer.body) {
        Ok(policy) => policy,
        Err(reason) => {
            let lines: Vec<String> = facts.hosts.iter().map(|mx| format!("mx: {}", mx.host)).collect();
            part.find(
                remark("mtasts.policy_syntax", &host, format!("The MTA-STS policy can not be read: {reason}"))
                    .fix(format!("Serve these lines: version: STSv1 / mode: testing / {} / max_age: 604800", lines.join(" / "))),
            );
            part.word(Status::Bad, "Error");
            return;
        }
    };
    if policy.max_age < 86_400 && policy.mode != Mode::None {
        part.find(remark("mtasts.max_age_short", &host, format!("The MTA-STS policy is forgotten after {} s (max_age)", policy.max_age)));
    }
    if policy.mode != Mode::None {
        let severity = if policy.mode == Mode::Enforce { Severity::Critical } else { Severity::Medium };
        for mx in facts.hosts.iter().filter(|mx| !policy.mx.iter().any(|pattern| covers(pattern, &mx.host))) {
            let seen = format!("The MX host {} is not in the MTA-STS policy (mode {})", mx.host, policy.mode.as_str());
            part.find(remark("mtasts.mx_mismatch", &mx.host, seen).severity(severity).with("host", &mx.host));
        }
    }
    part.records.push(answer.body.lines().take(MOST_LINES).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / "));
    let good = if policy.mode == Mode::Enforce { Status::Ok } else { Status::Info };
    part.word_by_findings(good, policy.mode.as_str());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Enforce,
    Testing,
    None,
}

impl Mode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Policy {
    mode: Mode,
    max_age: u64,
    mx: Vec<String>,
}

/// `key: value` lines (RFC 8461 3.2). Of a key that repeats the first counts, except `mx`.
fn parse(text: &str) -> Result<Policy, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for line in text.lines().take(MOST_LINES).map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(':').ok_or_else(|| format!("“{}” lacks “:”", line.chars().take(40).collect::<String>()))?;
        pairs.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    let first = |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    if first("version") != Some("STSv1") {
        return Err("version: STSv1 is missing".to_owned());
    }
    let mode = match first("mode") {
        Some("enforce") => Mode::Enforce,
        Some("testing") => Mode::Testing,
        Some("none") => Mode::None,
        Some(other) => return Err(format!("mode: {other} is none of enforce, testing and none")),
        None => return Err("mode is missing".to_owned()),
    };
    let max_age = first("max_age").and_then(|age| age.parse().ok()).filter(|age| *age <= MAX_AGE_LIMIT);
    let max_age = max_age.ok_or("max_age is missing or not a number of seconds up to 31557600")?;
    let mx: Vec<String> = pairs.iter().filter(|(name, _)| name == "mx").map(|(_, value)| value.to_ascii_lowercase()).collect();
    if mx.is_empty() && mode != Mode::None {
        return Err("it names no mx".to_owned());
    }
    Ok(Policy { mode, max_age, mx })
}

/// `*.` stands for exactly one label (RFC 8461 4.1).
fn covers(pattern: &str, host: &str) -> bool {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn policies_as_the_standard_writes_them() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";
        let policy = parse(text).unwrap();
        assert_eq!((policy.mode, policy.max_age, policy.mx.len()), (Mode::Enforce, 604_800, 2));
        for broken in [
            "",
            "version: STSv1\nmode: enforced\nmx: a.example\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmax_age: 1",
            "mode: none\nmax_age: 1",
            "hello",
        ] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_star_is_one_label() {
        assert!(covers("*.example.net", "a.example.net") && covers("mx.example.net", "mx.example.net"));
        assert!(!covers("*.example.net", "a.b.example.net") && !covers("*.example.net", "example.net") && !covers("example.net", "a.example.net"));
    }

    #[test]
    fn records_need_an_id() {
        assert!(record_is_fine("v=STSv1; id=20240101T000000;").is_ok());
        for broken in ["v=STSv1", "v=STSv1; id=2024-01-01;", "v=STSv1; id=;", "id=1; v=STSv1"] {
            assert!(record_is_fine(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,80}") {
            let _: Result<_, _> = parse(&text);
            let _: Result<_, _> = record_is_fine(&text);
        }
    }
}
