//! DMARC (RFC 9989, which replaced 7489 in 2026): discovery by tree walk, syntax, strength. Its reports are `dmarc_reports`.

use futures::future::join_all;
use waypost_types::{DomainName, Severity, outcome::Status};

use super::{AuditOptions, Facts, Part, dkim::tags, dmarc_reports, rules::remark};
use crate::net::{DnsFailure, Lookup, Net};

/// Queries of a tree walk (RFC 9989 4.10).
const MOST_STEPS: usize = 8;

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    match discover(net, &facts.domain).await {
        Err((name, failure)) => {
            part.unknown("dmarc", format!("{name}: {failure}"));
            part.word(Status::None, "No answer");
        }
        Ok(found) => {
            let misplaced = found.as_ref().is_none_or(|found| found.at != domain) && misplaced(net, domain, &mut part).await;
            match found {
                Some(found) => judge(net, facts, found, &mut part).await,
                None if misplaced => part.word(Status::Bad, "Wrong name"),
                None => missing(facts, &mut part),
            }
        }
    }
    part
}

fn missing(facts: &Facts, part: &mut Part) {
    let domain = facts.domain.as_str();
    let missing = remark("dmarc.missing", domain, format!("{domain} has no DMARC record: anybody can send in its name"));
    let owner = format!("_dmarc.{domain}");
    part.find(if facts.receives {
        missing.fix("Publish one that only watches, read its reports, then go on to quarantine and reject.").record(
            "TXT",
            owner,
            format!("v=DMARC1; p=none; rua=mailto:dmarc@{domain}"),
        )
    } else {
        missing.fix("The domain takes no mail: publish one that has mail in its name refused.").record("TXT", owner, "v=DMARC1; p=reject")
    });
    part.word(Status::Bad, "Missing");
}

/// Looks for a record where mistakes put it: at the domain, without the underscore, or with the zone's name written twice.
async fn misplaced(net: &Net, domain: &str, part: &mut Part) -> bool {
    let names = [domain.to_owned(), format!("dmarc.{domain}"), format!("_dmarc.{domain}.{domain}")];
    let answers = join_all(names.iter().map(|name| super::texts(net, name))).await;
    // A name that does not answer proves no mistake.
    let stray = names.iter().zip(answers).find_map(|(name, answer)| Some((name, answer.found().into_iter().find(|text| is_dmarc(text))?)));
    let Some((name, text)) = stray else { return false };
    let owner = format!("_dmarc.{domain}");
    let seen = format!("A DMARC record stands at {name}; receivers look for it at {owner} only");
    part.find(remark("dmarc.wrong_location", domain, seen).record("TXT", owner, text));
    true
}

/// Whether the effective policy quarantines or rejects.
pub(super) async fn enforces(net: &Net, domain: &DomainName) -> Result<bool, DnsFailure> {
    let found = match discover(net, domain).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(false),
        Err((_, failure)) => return Err(failure),
    };
    let [record] = found.records.as_slice() else { return Ok(false) };
    let Ok(tags) = tags(record) else { return Ok(false) };
    let policy = |name: &str| tags.iter().find(|(n, _)| n == name).and_then(|(_, value)| Policy::parse(value));
    let effective = if found.at == domain.as_str() { policy("p") } else { policy("sp").or(policy("p")) };
    Ok(matches!(effective, Some(Policy::Quarantine | Policy::Reject)))
}

/// Where a record was found, and which.
struct Found {
    at: String,
    records: Vec<String>,
}

/// The names that are asked: the domain, then its parents; a name of more than eight labels goes on with its last seven (RFC 9989 4.10).
fn walk(domain: &DomainName) -> Vec<String> {
    let labels: Vec<&str> = domain.as_str().split('.').collect();
    let mut names = vec![domain.to_string()];
    let start = if labels.len() > MOST_STEPS { labels.len() - (MOST_STEPS - 1) } else { 1 };
    names.extend((start..labels.len()).map(|at| labels[at..].join(".")));
    names.truncate(MOST_STEPS);
    names
}

async fn discover(net: &Net, domain: &DomainName) -> Result<Option<Found>, (String, DnsFailure)> {
    for at in walk(domain) {
        let name = format!("_dmarc.{at}");
        match super::texts(net, &name).await {
            Lookup::Found(records) => {
                let records: Vec<String> = records.into_iter().filter(|text| is_dmarc(text)).collect();
                // A public suffix speaks for itself, not for the domains below it, unless it says so.
                let suffix = at != domain.as_str() && !at.contains('.');
                if !records.is_empty() && (!suffix || records.iter().any(|text| text.contains("psd=y"))) {
                    return Ok(Some(Found { at, records }));
                }
            }
            Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => {}
            // What a registry says of its own name is no policy of this domain; many resolvers do not even ask there.
            Lookup::Failed(_) if at != domain.as_str() && !at.contains('.') => {}
            // A parent that does not answer must not turn "unknown" into "missing".
            Lookup::Failed(failure) => return Err((name, failure)),
        }
    }
    Ok(None)
}

/// Begins with the version tag; lower-case versions are caught as a mistake, not taken for another record.
pub(super) fn is_dmarc(text: &str) -> bool {
    let head: String = text.chars().take(30).filter(|c| !c.is_whitespace()).collect();
    head.to_ascii_lowercase().starts_with("v=dmarc1") && !head.as_bytes().get(8).is_some_and(u8::is_ascii_alphanumeric)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Policy {
    None,
    Quarantine,
    Reject,
}

impl Policy {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "quarantine" => Some(Self::Quarantine),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

async fn judge(net: &Net, facts: &Facts, found: Found, part: &mut Part) {
    let domain = facts.domain.as_str();
    let owner = format!("_dmarc.{}", found.at);
    part.records = found.records.iter().map(|text| if found.at == domain { text.clone() } else { format!("{owner}: {text}") }).collect();
    if found.records.len() > 1 {
        part.find(remark(
            "dmarc.multiple_records",
            &owner,
            format!("{owner} has {} DMARC records; receivers ignore all of them", found.records.len()),
        ));
        part.word(Status::Bad, "Error");
        return;
    }
    let text = &found.records[0];
    let suggestion = format!("v=DMARC1; p=none; rua=mailto:dmarc@{domain}");
    let parsed = tags(text).and_then(|tags| {
        if tags[0] == ("v".to_owned(), "DMARC1".to_owned()) { Ok(tags) } else { Err("v=DMARC1 must stand first and in capitals".to_owned()) }
    });
    let tags = match parsed {
        Ok(tags) => tags,
        Err(reason) => {
            part.find(
                remark("dmarc.syntax", &owner, format!("The DMARC record can not be read: {reason}"))
                    .fix("Publish it again in this form, with your policy.")
                    .record("TXT", &owner, suggestion),
            );
            part.word(Status::Bad, "Error");
            return;
        }
    };
    let tag = |name: &str| tags.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let Some(own) = tag("p").map_or(Some(Policy::None), Policy::parse) else {
        let value = tag("p").unwrap_or_default();
        part.find(
            remark("dmarc.syntax", &owner, format!("p={value} is no policy: it is none, quarantine or reject"))
                .fix("Publish it again with a valid policy.")
                .record("TXT", &owner, suggestion),
        );
        part.word(Status::Bad, "Error");
        return;
    };
    let subdomains = tag("sp").and_then(Policy::parse).unwrap_or(own);
    let effective = if found.at == domain { own } else { subdomains };
    strength(&tags, &owner, own, subdomains, effective, part);
    leftovers(&tags, &owner, part);
    dmarc_reports::check(net, facts, &tags, &owner, part).await;
    let word = if tag("p").is_none() && found.at == domain { "p missing".to_owned() } else { format!("p={}", effective.as_str()) };
    part.word_by_findings(Status::Ok, word);
}

fn strength(tags: &[(String, String)], owner: &str, own: Policy, subdomains: Policy, effective: Policy, part: &mut Part) {
    let tag = |name: &str| tags.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let raised = |policy: &str| {
        let mut kept: Vec<String> =
            tags.iter().filter(|(n, _)| !matches!(n.as_str(), "v" | "p" | "pct" | "rf" | "ri" | "t")).map(|(n, v)| format!("{n}={v}")).collect();
        kept.insert(0, format!("v=DMARC1; p={policy}"));
        kept.join("; ")
    };
    if tag("p").is_none() {
        part.find(remark("dmarc.p_missing", owner, "The DMARC record has no p= tag").record("TXT", owner, raised("none")));
    } else if effective == Policy::None {
        part.find(
            remark("dmarc.p_none", owner, "DMARC only watches (p=none): forged mail is delivered")
                .fix("When the reports show that your own mail passes, publish this record; later raise it to p=reject.")
                .record("TXT", owner, raised("quarantine")),
        );
    }
    if subdomains < own {
        part.find(
            remark(
                "dmarc.sp_weaker",
                owner,
                format!("Subdomains are weaker protected (sp={}) than the domain (p={})", subdomains.as_str(), own.as_str()),
            )
            .with("p", own.as_str()),
        );
    }
    if own != Policy::Reject && own != Policy::None && tag("np").is_none() {
        part.find(remark("dmarc.np_missing", owner, "Names that do not exist can be forged: np= is not set"));
    }
    if tag("t").is_some_and(|t| t.eq_ignore_ascii_case("y")) && own != Policy::None {
        part.find(remark("dmarc.test_mode", owner, format!("p={} is in test (t=y): receivers apply the next weaker policy", own.as_str())));
    }
}

/// Tags that the present standard no longer has, or never had.
fn leftovers(tags: &[(String, String)], owner: &str, part: &mut Part) {
    const KNOWN: [&str; 14] = ["v", "p", "sp", "np", "adkim", "aspf", "rua", "ruf", "fo", "t", "psd", "pct", "rf", "ri"];
    for (name, value) in tags {
        match name.as_str() {
            "pct" => {
                let partial = value != "100";
                let severity = if partial { Severity::Medium } else { Severity::Low };
                part.find(
                    remark("dmarc.pct_used", owner, format!("pct={value} is gone from DMARC since RFC 9989; receivers ignore it")).severity(severity),
                );
            }
            "rf" | "ri" => part.find(remark("dmarc.removed_tags", owner, format!("{name}= is gone from DMARC since RFC 9989"))),
            "ruf" => part.find(remark(
                "dmarc.ruf_privacy",
                owner,
                "ruf= asks for copies of single messages, which may hold personal data; few receivers send them",
            )),
            other if !KNOWN.contains(&other) => {
                part.find(remark("dmarc.unknown_tag", owner, format!("{other}= is no tag of DMARC")).with("tag", other));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(domain: &str) -> Vec<String> {
        walk(&DomainName::from_ascii(domain).unwrap())
    }

    #[test]
    fn the_walk_goes_up_and_has_an_end() {
        assert_eq!(names("a.example.com"), ["a.example.com", "example.com", "com"]);
        let long = names("a.b.c.d.e.f.g.h.i.j.example.com");
        assert_eq!(long.len(), 8);
        assert_eq!(long[1], "g.h.i.j.example.com".replace("g.h.i.j.", "f.g.h.i.j.").as_str());
    }

    #[test]
    fn records_are_known_by_their_version() {
        for (text, wanted) in [
            ("v=DMARC1; p=none", true),
            ("v = DMARC1 ;p=none", true),
            ("V=dmarc1;", true),
            ("v=DMARC1", true),
            ("v=DMARC12; p=none", false),
            ("v=spf1", false),
            ("p=none; v=DMARC1", false),
        ] {
            assert_eq!(is_dmarc(text), wanted, "{text}");
        }
    }

    #[test]
    fn policies_are_ordered_by_strength() {
        assert!(Policy::None < Policy::Quarantine && Policy::Quarantine < Policy::Reject);
        assert_eq!(Policy::parse("REJECT"), Some(Policy::Reject));
        assert_eq!(Policy::parse("rejected"), None);
    }
}
