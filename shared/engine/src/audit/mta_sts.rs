//! MTA-STS: the TXT record, the policy file behind it, and whether the MX hosts keep to it (RFC 8461). How a policy is read is in
//! `mta_sts_policy`.

use std::net::IpAddr;

use futures::future::join_all;
use waypost_types::{
    Severity,
    audit::MtaStsDetail,
    outcome::{MxHost, Status},
};

use super::{
    AuditOptions, Facts, Family, Part,
    certificates::{self, Chains, MOST_HOSTS},
    dane,
    mta_sts_policy::{Mode, Policy, covers, lines, parse, parse_kept},
    rules::remark,
    tags::tags,
};
use crate::net::{HttpFailure, Lookup, Net, proves_nothing};

/// What a record begins with, to the letter.
const VERSION: &str = "v=STSv1;";
/// Where the policy file is, on the host `mta-sts.` of the domain.
const PATH: &str = "/.well-known/mta-sts.txt";
/// Long enough for every sender to have sent some reports.
const LONG_TESTING: chrono::Duration = chrono::Duration::days(90);
/// RFC 8461 3.2 wants weeks; a day is where it begins to be of no use.
const SHORT_AGE: u64 = 86_400;
/// MX hosts the audit looks at; with more than these some could be unknown here.
const MOST_MX: usize = 20;

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions, chains: &Chains<'_>) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let owner = format!("_mta-sts.{domain}");
    let records: Vec<String> = match records(net, domain).await {
        Lookup::Found(records) => records,
        Lookup::Missing(_) => Vec::new(),
        Lookup::Failed(failure) => {
            part.unknown("mta_sts", failure);
            part.word(Status::None, "No answer");
            return part;
        }
    };
    // What does not begin as it must is passed over where another record does.
    let exact: Vec<&String> = records.iter().filter(|text| text.starts_with(VERSION)).collect();
    let Some(first) = exact.first().copied().or(records.first()).cloned() else {
        // DANE protects the same way: who has it lacks less.
        let protected = if facts.receives { dane::in_use(net, facts).await } else { Ok(true) };
        if let Err(failure) = &protected {
            part.unknown("mta_sts", format!("whether DANE is in use, without which MTA-STS is missing: {failure}"));
        }
        if protected == Ok(false) {
            let found = remark("mtasts.missing", domain, "Senders are not told to insist on TLS (no MTA-STS)");
            part.find(match policy_lines(facts) {
                Some(lines) => found
                    .fix(format!(
                        "Serve at https://mta-sts.{domain}{PATH} the lines {lines}; then publish this record. After some weeks of clean TLS reports change \
                         the mode to enforce."
                    ))
                    .record("TXT", &owner, rewritten("", net)),
                None => found.fix(NO_HOST),
            });
        }
        part.word(Status::None, "Not set");
        return part;
    };
    part.records.clone_from(&records);
    if exact.len() > 1 {
        let seen = format!("{owner} has {} MTA-STS records; senders then take it as having none", exact.len());
        part.find(remark("mtasts.txt_syntax", &owner, seen).fix("Keep one of them."));
    } else if let Err(reason) = record_is_fine(&first) {
        part.find(
            remark("mtasts.txt_syntax", &owner, format!("The MTA-STS record can not be read: {reason}"))
                .fix("Publish it again in this form.")
                .record("TXT", &owner, rewritten(&first, net)),
        );
    }
    let Some((policy, text)) = fetch(net, facts, &mut part).await else { return part };
    part.records.push(text.clone());
    history(net, options, &mut part, &owner, &first, &policy, &text);
    if policy.mode != Mode::None {
        if policy.max_age < SHORT_AGE {
            let seen = format!("The MTA-STS policy is forgotten after {} s (max_age)", policy.max_age);
            part.find(remark("mtasts.max_age_short", domain, seen));
        }
        hosts(facts, &mut part, &policy);
        shown(net, facts, &mut part, &policy, chains).await;
    }
    part.detail.mta_sts = Some(MtaStsDetail {
        id: id(&first).unwrap_or_default(),
        mode: policy.mode.as_str().to_owned(),
        max_age: policy.max_age,
        mx: policy.mx,
        text,
    });
    let good = if policy.mode == Mode::Enforce { Status::Ok } else { Status::Info };
    part.fact_by_findings(good, policy.mode.as_str());
    part
}

/// The MTA-STS records of a domain.
pub(super) async fn records(net: &Net, domain: &str) -> Lookup<String> {
    super::texts(net, &format!("_mta-sts.{domain}")).await.filter_map(|text| is_sts(&text).then_some(text))
}

/// It is meant as an MTA-STS record, well written or not.
fn is_sts(text: &str) -> bool {
    let text = text.trim_start();
    text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("v=STSv1")) && !text.as_bytes().get(7).is_some_and(u8::is_ascii_alphanumeric)
}

pub(super) fn record_is_fine(text: &str) -> Result<(), String> {
    if !text.starts_with(VERSION) {
        return Err(format!("it must begin with {VERSION} in exactly this form"));
    }
    let tags = tags(text)?;
    match tags.iter().find(|(name, _)| name == "id").map(|(_, value)| value.as_str()) {
        None => Err("id= is missing".to_owned()),
        Some(id) if (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(()),
        Some(id) => Err(format!("id={id} is not 1 to 32 letters and digits")),
    }
}

fn id(text: &str) -> Option<String> {
    tags(text).ok()?.into_iter().find(|(name, _)| name == "id").map(|(_, value)| value)
}

/// The record with an id of now and all else that it says beside.
fn rewritten(text: &str, net: &Net) -> String {
    let others =
        tags(text).unwrap_or_default().into_iter().filter(|(name, value)| !name.eq_ignore_ascii_case("v") && name != "id" && !value.is_empty());
    let others: String = others.flat_map(|(name, value)| [" ".to_owned(), name, "=".to_owned(), value, ";".to_owned()]).collect();
    format!("v=STSv1; id={};{others}", net.now().format("%Y%m%d%H%M%S"))
}

/// What to do where the MX records name nobody who could keep to a policy.
const NO_HOST: &str =
    "First let the MX records name hosts that exist: a policy can list no others. Then publish one in mode testing, with the TXT record.";

/// A policy can name the host: it is a name, and has addresses as far as anybody can tell.
fn can_be_named(mx: &MxHost) -> bool {
    mx.host.parse::<IpAddr>().is_err() && (mx.partial || !mx.addresses.is_empty())
}

/// Lines of a first policy for the MX hosts as they are; none where no host can stand in it.
fn policy_lines(facts: &Facts) -> Option<String> {
    let hosts: Vec<String> = facts.hosts.iter().filter(|mx| can_be_named(mx)).map(|mx| format!("“mx: {}”", mx.host)).collect();
    let lines =
        ["“version: STSv1”".to_owned(), "“mode: testing”".to_owned()].into_iter().chain(hosts.clone()).chain(["“max_age: 604800”".to_owned()]);
    (!hosts.is_empty()).then(|| lines.collect::<Vec<_>>().join(", "))
}

/// The policy with its text; where there is none, the part says why.
async fn fetch(net: &Net, facts: &Facts, part: &mut Part) -> Option<(Policy, String)> {
    let host = format!("mta-sts.{}", facts.domain);
    let url = format!("https://{host}{PATH}");
    let answer = match net.https_get(&host, PATH).await {
        Ok(answer) => answer,
        Err(failure @ HttpFailure::TooLarge(_)) => {
            part.find(remark("mtasts.policy_syntax", &host, format!("The MTA-STS policy can not be read: {failure}")));
            part.word(Status::Bad, "Error");
            return None;
        }
        Err(failure) if failure.is_the_hosts() => {
            part.find(remark("mtasts.policy_unreachable", &host, format!("The MTA-STS policy can not be fetched: {failure}")).with("host", &host));
            part.word(Status::Bad, "No policy");
            return None;
        }
        Err(failure) => {
            part.unknown("mta_sts", format!("{url}: {failure}"));
            part.word(Status::None, "No answer");
            return None;
        }
    };
    if proves_nothing(answer.status) {
        part.unknown("mta_sts", format!("{url}: the server answers with status {} to us", answer.status));
        part.word(Status::None, "No answer");
        return None;
    }
    if answer.status != 200 {
        let seen = if (300..400).contains(&answer.status) {
            format!("{url} answers with a redirect (status {}), which senders do not follow", answer.status)
        } else {
            format!("{url} answers with status {}; senders want 200", answer.status)
        };
        part.find(remark("mtasts.policy_unreachable", &host, seen).with("host", &host));
        part.word(Status::Bad, "No policy");
        return None;
    }
    if answer.content_type != "text/plain" {
        let kind = if answer.content_type.is_empty() { "without a content type" } else { answer.content_type.as_str() };
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(60).collect();
        part.find(remark(
            "mtasts.policy_type",
            &host,
            format!("The MTA-STS policy is served as {kind}, not as text/plain").replace("as without", "without"),
        ));
    }
    match parse(&answer.body) {
        Ok(policy) => Some((policy, lines(&answer.body))),
        Err(reason) => {
            part.find(
                remark("mtasts.policy_syntax", &host, format!("The MTA-STS policy can not be read: {reason}"))
                    .fix(policy_lines(facts).map_or_else(|| NO_HOST.to_owned(), |lines| format!("Serve these lines at {url}: {lines}."))),
            );
            part.word(Status::Bad, "Error");
            None
        }
    }
}

/// What only those see who looked before.
fn history(net: &Net, options: &AuditOptions, part: &mut Part, owner: &str, record: &str, policy: &Policy, text: &str) {
    let known = &options.known;
    if policy.mode == Mode::Testing {
        let since = known.since(Family::MtaSts, text).or_else(|| known.since(Family::MtaSts, &text.replace('\n', " / ")));
        if let Some(days) = since.map(|since| net.now() - since).filter(|age| *age > LONG_TESTING).map(|age| age.num_days()) {
            part.find(remark("mtasts.testing_long", owner, format!("The MTA-STS policy is in mode testing for {days} days")));
        }
    }
    let known_policy = known.last(Family::MtaSts).find_map(parse_kept);
    let known_id = known.last(Family::MtaSts).filter(|known| is_sts(known)).find_map(id);
    if let (Some(before), Some(id_before), Some(id)) = (known_policy, known_id, id(record)) {
        match (before.says_the_same(policy), id_before == id) {
            (false, true) => {
                part.find(remark("mtasts.id_stale", owner, format!("The MTA-STS policy has changed, and its id is still {id}")).record(
                    "TXT",
                    owner,
                    rewritten(record, net),
                ));
            }
            (true, false) => {
                part.find(remark("mtasts.id_changed_alone", owner, format!("The id has changed from {id_before} to {id}, and the policy has not")));
            }
            _ => {}
        }
    }
}

/// The MX hosts against the patterns.
fn hosts(facts: &Facts, part: &mut Part, policy: &Policy) {
    if facts.hosts.is_empty() && facts.receives {
        part.unknown("mta_sts", "whether the policy covers the MX hosts: they could not be looked up");
    }
    // What is no host, or is not there, belongs out of the MX records and into no policy.
    for mx in facts.hosts.iter().filter(|mx| !covered(policy, &mx.host) && can_be_named(mx)) {
        let seen = format!("The MX host {} is not in the MTA-STS policy (mode {})", mx.host, policy.mode.as_str());
        part.find(remark("mtasts.mx_mismatch", &mx.host, seen).severity(severity(policy)).with("host", &mx.host));
    }
    if facts.hosts.is_empty() || facts.hosts.len() >= MOST_MX {
        return;
    }
    let unused: Vec<&str> = policy.mx.iter().map(String::as_str).filter(|pattern| !facts.hosts.iter().any(|mx| covers(pattern, &mx.host))).collect();
    if let Some(first) = unused.first() {
        let seen = format!("The MTA-STS policy names {}, which no MX record of {} does", unused.join(", "), facts.domain);
        part.find(remark("mtasts.mx_unused", facts.domain.as_str(), seen).with("host", first));
    }
}

fn covered(policy: &Policy, host: &str) -> bool {
    policy.mx.iter().any(|pattern| covers(pattern, host))
}

const fn severity(policy: &Policy) -> Severity {
    if matches!(policy.mode, Mode::Enforce) { Severity::Critical } else { Severity::Medium }
}

/// What the covered MX hosts show to a sender that checks (RFC 8461 4.2).
async fn shown(net: &Net, facts: &Facts, part: &mut Part, policy: &Policy, chains: &Chains<'_>) {
    let covered: Vec<_> = facts.hosts.iter().filter(|mx| covered(policy, &mx.host)).take(MOST_HOSTS).collect();
    let looks = join_all(covered.iter().map(|mx| chains.of(mx))).await;
    for (mx, looks) in covered.iter().zip(&looks) {
        let problem = looks.iter().find_map(|(address, shown)| certificates::problem(&mx.host, shown, net.now()).map(|problem| (address, problem)));
        if let Some((address, problem)) = problem {
            let seen = format!("{} at {address} breaks the MTA-STS policy (mode {}): {problem}", mx.host, policy.mode.as_str());
            part.find(remark("mtasts.cert_invalid", &mx.host, seen).severity(severity(policy)).with("host", &mx.host));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_need_an_id() {
        let longest = format!("v=STSv1; id={};", "a".repeat(32));
        for fine in ["v=STSv1; id=20240101T000000;", "v=STSv1;id=1", "v=STSv1; my-ext=2; id = 1 ; a.b=3", &longest] {
            assert_eq!(record_is_fine(fine), Ok(()), "{fine}");
        }
        let longer = longest.replace("id=", "id=a");
        for broken in [
            &longer,
            "v=STSv1; id=1; id=2",
            "v=STSv1; ID=1;",
            "v=STSv1; id=1; more",
            "v=STSv1",
            "v=STSv1; id=2024-01-01;",
            "v=STSv1; id=;",
            "id=1; v=STSv1",
            "v=stsv1; id=1",
            "v=STSv1 ; id=1",
        ] {
            assert!(record_is_fine(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,80}") {
            let _: Result<_, _> = record_is_fine(&text);
            let _: Option<_> = id(&text);
        }
    }
}
