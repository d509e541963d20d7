//! BIMI: the record of the brand's logo, and the DMARC policy that it needs (draft-brand-indicators-for-message-identification).

use waypost_types::outcome::Status;

use super::{AuditOptions, Facts, Part, dkim::tags, dmarc, organisational, rules::remark};
use crate::net::{Lookup, Net};

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
    part.records.clone_from(&records);
    let parsed = match records.as_slice() {
        [record] => parse(record),
        several => Err(format!("there are {} of them", several.len())),
    };
    match parsed {
        Err(reason) => {
            part.find(remark("bimi.syntax", &owner, format!("The BIMI record can not be read: {reason}")).with("host", domain));
            part.word(Status::Warn, "Error");
        }
        Ok(Logo::Declined) => part.word(Status::None, "Declined"),
        Ok(Logo::Published { certificate }) => {
            if !certificate {
                part.find(remark(
                    "bimi.no_certificate",
                    &owner,
                    "BIMI has no mark certificate (a= is empty); several mailbox providers show no logo without one",
                ));
            }
            match dmarc::enforces(net, &facts.domain).await {
                Ok(false) => {
                    part.find(remark("bimi.dmarc_not_enforced", domain, "BIMI needs a DMARC policy of quarantine or reject; the logo is not shown"));
                }
                Ok(true) => {}
                Err(failure) => part.unknown("bimi", format!("whether DMARC enforces: {failure}")),
            }
            part.word_by_findings(Status::Ok, "Set");
        }
    }
    part
}

async fn records(net: &Net, owner: &str) -> Lookup<String> {
    super::texts(net, owner).await.filter_map(|text| text.trim_start().to_ascii_lowercase().starts_with("v=bimi").then_some(text))
}

#[derive(Debug, PartialEq, Eq)]
enum Logo {
    Declined,
    Published { certificate: bool },
}

fn parse(text: &str) -> Result<Logo, String> {
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
        if !url.is_empty() && !https && url != "self" {
            return Err(format!("{name}={url} is no https address"));
        }
    }
    Ok(Logo::Published { certificate: !certificate.is_empty() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_has_an_https_address() {
        assert_eq!(parse("v=BIMI1; l=https://a.example/l.svg; a=https://a.example/c.pem"), Ok(Logo::Published { certificate: true }));
        assert_eq!(parse("v=BIMI1; l=https://a.example/l.svg;"), Ok(Logo::Published { certificate: false }));
        assert_eq!(parse("v=BIMI1; l=; a=;"), Ok(Logo::Declined));
        for broken in ["v=BIMI1", "v=BIMI1; l=http://a.example/l.svg", "v=bimi1; l=https://a.example/l.svg", "l=https://a.example/; v=BIMI1"] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
