//! BIMI: the record of the brand's logo, the DMARC policy that it needs, the logo and its mark certificate
//! (draft-brand-indicators-for-message-identification).

use std::time::Duration;

use waypost_types::{Severity, audit::BimiDetail, outcome::Status};

use super::{
    AuditOptions, Facts, Part,
    bimi_mark::{self, Mark},
    bimi_svg,
    dmarc_record::{Policy, Record},
    dmarc_walk::{Published, Walk, enforced, walk},
    organisational,
    rules::remark,
    tags::tags,
};
use crate::net::{HttpBytes, HttpFailure, Lookup, Net, proves_nothing};

/// Waiting for a file; the audit has other things to wait for.
const FETCH: Duration = Duration::from_secs(5);
/// Records that are shown.
const MOST_SHOWN: usize = 10;
/// Days before its end at which a certificate is remarked, and at which it is urgent: issuing one takes weeks.
const SOON: i64 = 30;
const URGENT: i64 = 7;

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    // A domain without a record of its own uses that of the organisational domain.
    let parent = organisational(domain);
    let mut owner = format!("default._bimi.{domain}");
    let mut answer = records(net, &owner).await;
    if matches!(answer, Lookup::Missing(_)) && parent != domain {
        owner = format!("default._bimi.{parent}");
        answer = records(net, &owner).await;
    }
    let records = match answer {
        Lookup::Found(records) => records,
        Lookup::Missing(_) => {
            part.word(Status::None, "Not set");
            return part;
        }
        Lookup::Failed(failure) => {
            part.unknown("bimi", failure);
            part.word(Status::None, "No answer");
            return part;
        }
    };
    part.records = records.iter().take(MOST_SHOWN).cloned().collect();
    let parsed = match records.as_slice() {
        [record] => parse(record),
        several => Err(format!("there are {} of them", several.len())),
    };
    match parsed {
        Err(reason) => {
            let found = remark("bimi.syntax", &owner, format!("The BIMI record can not be read: {reason}")).with("host", domain);
            // Where a file is only its owner knows: what is not in the record is not made up.
            let better = if let [record] = records.as_slice() { repaired(record) } else { None };
            part.find(match better {
                Some(value) => found.fix("Publish it again in this form.").record("TXT", &owner, value),
                None => found,
            });
            part.word(Status::Warn, "Error");
        }
        Ok(Logo::Declined) => part.word(Status::None, "Declined"),
        Ok(Logo::Published { logo, certificate }) => Box::pin(published(net, facts, owner, logo, certificate, &mut part)).await,
    }
    part
}

/// A record that names a logo: the policy it needs, and its files.
async fn published(net: &Net, facts: &Facts, owner: String, logo: Option<String>, certificate: Option<String>, part: &mut Part) {
    let domain = facts.domain.as_str();
    let parent = organisational(domain);
    if certificate.is_none() {
        part.find(remark(
            "bimi.no_certificate",
            &owner,
            "BIMI has no mark certificate (a= is empty); several mailbox providers show no logo without one",
        ));
    }
    let (policy, logo_file, certificate_file) = tokio::join!(
        enforcement(net, facts),
        async {
            match &logo {
                Some(url) => Some(fetch(net, url, bimi_svg::MOST_UNPACKED).await),
                None => None,
            }
        },
        async {
            match &certificate {
                Some(url) => Some(fetch(net, url, bimi_mark::MOST_BYTES).await),
                None => None,
            }
        }
    );
    match policy {
        Ok(lacks) if lacks.is_empty() => {}
        Ok(lacks) => {
            let seen = format!("BIMI needs a DMARC policy that is enforced, and {}; the logo is not shown", lacks.join(", and "));
            part.find(remark("bimi.dmarc_not_enforced", domain, seen));
        }
        Err(failure) => part.unknown("bimi", format!("whether DMARC enforces: {failure}")),
    }
    let mut detail = BimiDetail {
        logo: logo.clone().unwrap_or_default(),
        certificate: certificate.clone(),
        certificate_kind: None,
        mark: None,
        issuer: None,
        expires: None,
    };
    let bytes = match (&logo, logo_file) {
        (Some(url), Some(file)) => judge_logo(url, file, part),
        _ => None,
    };
    if let (Some(url), Some(file)) = (&certificate, certificate_file) {
        let mut owners = vec![domain.to_owned(), owner];
        if parent != domain {
            owners.extend([parent.to_owned(), format!("default._bimi.{parent}")]);
        }
        owners.dedup();
        if let Some(mark) = judge_certificate(net, url, file, &owners, bytes.as_deref(), part) {
            detail.certificate_kind = mark.kind.map(str::to_owned);
            detail.mark = mark.claim;
            detail.issuer = Some(mark.issuer);
            detail.expires = mark.ends;
        }
    }
    part.detail.bimi = Some(detail);
    part.fact_by_findings(Status::Ok, "Set");
}

async fn records(net: &Net, owner: &str) -> Lookup<String> {
    super::texts(net, owner).await.filter_map(|text| text.trim_start().to_ascii_lowercase().starts_with("v=bimi").then_some(text))
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Logo {
    Declined,
    Published { logo: Option<String>, certificate: Option<String> },
}

/// Tags beside v, l and a (avp, lps, …) are of newer drafts and change nothing here.
pub(super) fn parse(text: &str) -> Result<Logo, String> {
    let tags = tags(text)?;
    if tags[0] != ("v".to_owned(), "BIMI1".to_owned()) {
        return Err("v=BIMI1 must stand first".to_owned());
    }
    let tag = |name: &str| tags.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let (logo, certificate) = (tag("l").ok_or("l= is missing")?, tag("a").unwrap_or_default());
    if logo.is_empty() && certificate.is_empty() {
        return Ok(Logo::Declined);
    }
    for (name, url) in [("l", logo), ("a", certificate)] {
        let https = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) && url.len() > 8;
        // Old drafts let a= say that the logo vouches for itself.
        let vouches_for_itself = name == "a" && url == "self";
        if !(url.is_empty() || https || vouches_for_itself) {
            return Err(format!("{name}={url} is no https address"));
        }
    }
    let named = |url: &str| (!url.is_empty() && url != "self").then(|| url.to_owned());
    Ok(Logo::Published { logo: named(logo), certificate: named(certificate) })
}

/// The record as it should be written, where it names its files; http becomes https only by its owner, who knows whether that is served.
fn repaired(text: &str) -> Option<String> {
    let tags = tags(text.trim().trim_matches('"')).ok()?;
    let rest = tags.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("v")).map(|(name, value)| format!("{}={value}", name.to_ascii_lowercase()));
    let better = std::iter::once("v=BIMI1".to_owned()).chain(rest).collect::<Vec<_>>().join("; ");
    matches!(parse(&better), Ok(Logo::Published { logo: Some(_), .. })).then_some(better)
}

/// What the DMARC policy lacks for BIMI, or why that could not be told.
async fn enforcement(net: &Net, facts: &Facts) -> Result<Vec<String>, String> {
    let walk = walk(net, &facts.domain).await.map_err(|(name, failure)| format!("{name}: {failure}"))?;
    let lacks = lacks(&walk);
    if lacks.is_empty() && walk.organisation.is_none() {
        return Err(format!("a name above {} did not answer", facts.domain));
    }
    Ok(lacks)
}

/// Quarantine or reject for the domain, nothing weaker below its organisation, no part of the mail left out, no test.
fn lacks(walk: &Walk) -> Vec<String> {
    let organisation = walk.organisation_record.as_ref();
    let mut records: Vec<&Published> = walk.policy.iter().map(|(_, published)| published).chain(organisation).collect();
    records.dedup_by_key(|published| &published.at);
    let mut lacks = Vec::new();
    for Published { at, record, .. } in records {
        let whole = organisation.is_some_and(|organisation| organisation.at == *at);
        lacks.extend(weakness(record, whole).into_iter().map(|what| format!("the record of {at} has {what}")));
    }
    if lacks.is_empty() && !enforced(walk, true) {
        lacks.push("there is none of quarantine or reject".to_owned());
    }
    lacks
}

/// Tags that keep a policy from being enforced in full. `sp=` and `p=` of the organisational domain must not be none.
fn weakness(record: &Record, organisational: bool) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(record.share().map(|percent| format!("pct={percent}")));
    if record.testing {
        found.push("t=y".to_owned());
    }
    if organisational {
        let none = [("p", &record.p), ("sp", &record.sp)].into_iter().filter(|(_, said)| said.value() == Some(Policy::None));
        found.extend(none.map(|(name, _)| format!("{name}=none")));
    }
    found
}

/// A file at an address of the record.
enum File {
    Read(HttpBytes),
    TooLarge,
    /// It can not be had, and the host is why.
    Fault(String),
    Unknown(String),
}

async fn fetch(net: &Net, url: &str, most: usize) -> File {
    // Others may well fetch it there.
    if let Some(port) = reqwest::Url::parse(url).ok().and_then(|url| url.port()) {
        return File::Unknown(format!("it is on port {port}, and only port 443 is asked from here"));
    }
    match tokio::time::timeout(FETCH, net.https_fetch(url, most)).await {
        Err(_) => File::Unknown(format!("no complete answer within {} s", FETCH.as_secs())),
        Ok(Err(HttpFailure::TooLarge(_))) => File::TooLarge,
        Ok(Err(failure)) if failure.is_the_hosts() => File::Fault(failure.to_string()),
        Ok(Err(failure)) => File::Unknown(failure.to_string()),
        Ok(Ok(answer)) => match answer.status {
            200 => File::Read(answer),
            status if proves_nothing(status) => File::Unknown(format!("the server answers with status {} to us", answer.status)),
            status => File::Fault(format!("the server answers with status {status}")),
        },
    }
}

/// Remarks what is wrong with the logo and gives its bytes.
fn judge_logo(url: &str, file: File, part: &mut Part) -> Option<Vec<u8>> {
    let most = bimi_svg::MOST_BYTES / 1024;
    let answer = match file {
        File::Read(answer) => answer,
        File::TooLarge => {
            let seen = format!("The logo is far larger than the {most} KiB that are allowed");
            part.find(remark("bimi.svg_profile", url, seen));
            return None;
        }
        File::Fault(reason) => {
            part.find(remark("bimi.unreachable", url, format!("The logo can not be fetched from {url}: {reason}")).with("url", url));
            return None;
        }
        File::Unknown(reason) => {
            part.unknown("bimi", format!("the logo at {url}: {reason}"));
            return None;
        }
    };
    let mut faults = Vec::new();
    if answer.content_type != "image/svg+xml" {
        let kind = if answer.content_type.is_empty() { "without a type" } else { &answer.content_type };
        faults.push(format!("it is served as {kind}, not as image/svg+xml"));
    }
    if answer.body.len() > bimi_svg::MOST_BYTES {
        faults.push(format!("it is {} KiB large, {most} are allowed", answer.body.len().div_ceil(1024)));
    }
    match bimi_svg::unpacked(&answer.body) {
        Ok(plain) => faults.extend(bimi_svg::faults(&plain)),
        Err(reason) => faults.push(reason),
    }
    if !faults.is_empty() {
        part.find(remark("bimi.svg_profile", url, format!("The logo is not SVG Tiny PS as BIMI wants it: {}", faults.join("; "))));
    }
    Some(answer.body)
}

/// Remarks what is wrong with the certificate and gives what it says.
fn judge_certificate(net: &Net, url: &str, file: File, owners: &[String], logo: Option<&[u8]>, part: &mut Part) -> Option<Mark> {
    let mark = match file {
        File::Read(answer) => bimi_mark::read(&answer.body),
        File::TooLarge => Err(format!("the file is larger than {} KiB", bimi_mark::MOST_BYTES / 1024)),
        File::Fault(reason) => {
            part.find(remark("bimi.unreachable", url, format!("The mark certificate can not be fetched from {url}: {reason}")).with("url", url));
            return None;
        }
        File::Unknown(reason) => {
            part.unknown("bimi", format!("the mark certificate at {url}: {reason}"));
            return None;
        }
    };
    let mark = match mark {
        Ok(mark) => mark,
        Err(reason) => {
            part.find(remark("bimi.certificate_invalid", url, format!("The mark certificate can not be read: {reason}")));
            return None;
        }
    };
    let now = net.now();
    let faults = mark.faults(owners, logo, now);
    let kind = mark.kind.unwrap_or("mark certificate");
    if !faults.is_empty() {
        let seen = format!("The {kind} of {} can not be used: {}", mark.issuer, faults.join("; "));
        part.find(remark("bimi.certificate_invalid", url, seen));
    } else if let Some(ends) = mark.ends.filter(|ends| (*ends - now).num_days() < SOON) {
        let days = (ends - now).num_days();
        let seen = format!("The {kind} of {} expires on {}, in {days} days", mark.issuer, ends.format("%Y-%m-%d"));
        let found = remark("bimi.certificate_expires", url, seen);
        part.find(if days < URGENT { found.severity(Severity::Medium) } else { found });
    }
    Some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_has_an_https_address() {
        let published = |certificate: Option<&str>| {
            Ok(Logo::Published { logo: Some("https://a.example/l.svg".to_owned()), certificate: certificate.map(str::to_owned) })
        };
        assert_eq!(parse("v=BIMI1; l=https://a.example/l.svg; a=https://a.example/c.pem"), published(Some("https://a.example/c.pem")));
        assert_eq!(parse("v=BIMI1; l=https://a.example/l.svg;"), published(None));
        assert_eq!(parse("v=BIMI1; avp=brand; l=https://a.example/l.svg; lps=x; a=self"), published(None));
        assert_eq!(parse("v=BIMI1; l=; a=;"), Ok(Logo::Declined));
        for broken in
            ["v=BIMI1", "v=BIMI1; l=http://a.example/l.svg", "v=bimi1; l=https://a.example/l.svg", "l=https://a.example/; v=BIMI1", "v=BIMI1; l=self"]
        {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn policies_that_are_not_enforced_in_full_are_told() {
        for (record, organisational, wanted) in [
            ("v=DMARC1; p=reject", true, &[][..]),
            ("v=DMARC1; p=quarantine; pct=100; sp=reject; t=n", true, &[]),
            ("v=DMARC1; p=reject; pct=50", true, &["pct=50"]),
            ("v=DMARC1; p=reject; t=y", false, &["t=y"]),
            ("v=DMARC1; p=reject; sp=none", true, &["sp=none"]),
            ("v=DMARC1; p=reject; sp=none", false, &[]),
            ("v=DMARC1; p=none", true, &["p=none"]),
            ("v=DMARC1; P=None; SP=NONE; T=Y", true, &["t=y", "p=none", "sp=none"]),
        ] {
            let record = Record::parse(record).unwrap();
            assert_eq!(weakness(&record, organisational), wanted, "{record:?}");
        }
    }
}
