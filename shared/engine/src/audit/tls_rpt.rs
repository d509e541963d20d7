//! TLS-RPT: where senders report TLS failures (RFC 8460 3).

use std::collections::BTreeSet;

use reqwest::Url;
use waypost_types::{DomainName, outcome::Status};

use super::{AuditOptions, Facts, Part, dane, dmarc_address, dmarc_reports::takes_mail, mta_sts, repair::txt, rules::remark, tags::tags};
use crate::net::{Lookup, Net};

/// What a record begins with, to the letter; records that do not are no TLS-RPT records to senders.
const VERSION: &str = "v=TLSRPTv1;";
/// Report addresses looked at.
const MOST_REPORTS: usize = 10;

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let owner = format!("_smtp._tls.{domain}");
    let records: Vec<String> = match super::texts(net, &owner).await {
        Lookup::Found(records) => records.into_iter().filter(|text| means_tls_rpt(text)).collect(),
        Lookup::Missing(_) => Vec::new(),
        Lookup::Failed(failure) => {
            part.unknown("tls_rpt", failure);
            part.word(Status::None, "No answer");
            return part;
        }
    };
    part.records.clone_from(&records);
    // What does not begin as it must is passed over where another record does.
    let exact: Vec<&str> = records.iter().map(String::as_str).filter(|text| text.starts_with(VERSION)).collect();
    match (exact.as_slice(), records.first().map(String::as_str)) {
        ([], None) => {
            missing(net, facts, &mut part, &owner).await;
            part.word(Status::None, "Not set");
        }
        (&[record], _) | ([], Some(record)) => match parse(record) {
            Ok(reports) => {
                let mut dead = BTreeSet::new();
                for host in reports.mail {
                    match takes_mail(net, host.as_str()).await {
                        Ok(true) => {}
                        Ok(false) => {
                            let seen = format!("{host} takes no mail (no MX, no address, or a null MX), so TLS reports to it are lost");
                            part.find(remark("tlsrpt.rua_no_mx", &owner, seen));
                            dead.insert(host);
                        }
                        Err(failure) => part.unknown("tls_rpt", format!("{host}: {failure}")),
                    }
                }
                if let Some(better) = repaired(record, &dead, mailbox(facts).as_deref()) {
                    for finding in &mut part.findings {
                        finding.record = Some(txt(&owner, &better));
                    }
                }
                part.fact_by_findings(Status::Ok, "Set");
            }
            Err(reason) => {
                let found = remark("tlsrpt.syntax", &owner, format!("The TLS-RPT record can not be read: {reason}"));
                // Hosts are asked only of what can be read; those of the rewritten record are.
                let draft = repaired(record, &BTreeSet::new(), mailbox(facts).as_deref());
                let dead = match draft.as_deref().map(parse) {
                    Some(Ok(reports)) => silent(net, reports.mail).await,
                    _ => BTreeSet::new(),
                };
                part.find(match repaired(record, &dead, mailbox(facts).as_deref()) {
                    Some(better) => found.fix("Publish it again in this form, with mailboxes that exist.").record("TXT", &owner, better),
                    None => found.fix(NO_MAILBOX),
                });
                part.word(Status::Warn, "Error");
            }
        },
        (several, _) => {
            let seen = format!("{owner} has {} TLS-RPT records; senders ignore all of them", several.len());
            part.find(remark("tlsrpt.syntax", &owner, seen).fix("Keep one of them; its rua= may name several addresses, with commas between them."));
            part.word(Status::Warn, "Error");
        }
    }
    part
}

/// Without a TLS policy there is nothing to report about.
async fn missing(net: &Net, facts: &Facts, part: &mut Part, owner: &str) {
    let domain = facts.domain.as_str();
    let (sts, dane) = tokio::join!(mta_sts::records(net, domain), dane::in_use(net, facts));
    let policy = match (sts, dane) {
        (Lookup::Found(_), Ok(true)) => "MTA-STS and DANE are set, but nobody is told when they fail",
        (Lookup::Found(_), Ok(false) | Err(_)) => "MTA-STS is set, but nobody is told when it fails",
        (Lookup::Missing(_) | Lookup::Failed(_), Ok(true)) => "DANE is set, but nobody is told when it fails",
        (Lookup::Missing(_), Ok(false)) => return,
        (Lookup::Failed(failure), Ok(false) | Err(_)) => return untold(part, &failure.to_string()),
        (Lookup::Missing(_), Err(failure)) => return untold(part, &failure),
    };
    let found = remark("tlsrpt.missing", domain, format!("{policy} (no TLS-RPT)"));
    part.find(match mailbox(facts) {
        Some(mailbox) => {
            found.fix("Publish this record with a mailbox that exists.").record("TXT", owner, format!("v=TLSRPTv1; rua=mailto:{mailbox}"))
        }
        None => found.fix(NO_MAILBOX),
    });
}

fn untold(part: &mut Part, why: &str) {
    part.unknown("tls_rpt", format!("whether MTA-STS or DANE is in use, which should be reported on: {why}"));
}

/// What to do where no mailbox is known that could take reports.
const NO_MAILBOX: &str = "Publish v=TLSRPTv1; rua=mailto: and a mailbox that takes mail: the domain's own takes none.";

/// The domain's own mailbox for reports.
fn mailbox(facts: &Facts) -> Option<String> {
    facts.takes_mail().then(|| format!("tls-reports@{}", facts.domain))
}

/// Those hosts that take no mail.
async fn silent(net: &Net, hosts: BTreeSet<DomainName>) -> BTreeSet<DomainName> {
    let mut silent = BTreeSet::new();
    for host in hosts {
        if takes_mail(net, host.as_str()).await == Ok(false) {
            silent.insert(host);
        }
    }
    silent
}

/// The record with its addresses as they should be written, without those whose host takes no mail; a mailbox of the domain's own where none is
/// left. What else stands in it stays.
fn repaired(text: &str, dead: &BTreeSet<DomainName>, own: Option<&str>) -> Option<String> {
    let (mut uris, mut others): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (name, value) in text.split(';').take(MOST_REPORTS).filter_map(|piece| piece.split_once('=')) {
        let (name, value) = (name.trim(), value.trim());
        match name.to_ascii_lowercase().as_str() {
            "v" => {}
            "rua" => uris.extend(value.split(',').take(MOST_REPORTS).filter_map(|uri| address(uri, dead))),
            _ if value.is_ascii() && !value.is_empty() && !others.iter().any(|other| other.starts_with(&format!("{name}="))) => {
                others.push(format!("{name}={value}"));
            }
            _ => {}
        }
    }
    if uris.is_empty() {
        uris.push(format!("mailto:{}", own?));
    }
    let record = [vec![format!("{VERSION} rua={}", uris.join(","))], others].concat().join("; ");
    parse(&record).is_ok().then_some(record)
}

/// One address as it should be written, when it can be told what it is and somebody takes reports there.
fn address(uri: &str, dead: &BTreeSet<DomainName>) -> Option<String> {
    let uri = uri.trim();
    if uri.to_ascii_lowercase().starts_with("https:") {
        return Url::parse(uri).is_ok_and(|url| url.has_host()).then(|| uri.to_owned());
    }
    let (scheme, rest) = uri.split_once(':').unwrap_or(("mailto", uri));
    let rest = rest.split('!').next().unwrap_or_default().trim().trim_start_matches('/');
    let host = mailbox_host(rest).ok().filter(|host| scheme.eq_ignore_ascii_case("mailto") && !dead.contains(host));
    host.map(|_| format!("mailto:{rest}"))
}

/// It is meant as a TLS-RPT record, well written or not.
fn means_tls_rpt(text: &str) -> bool {
    text.trim_start().get(..8).is_some_and(|start| start.eq_ignore_ascii_case("v=tlsrpt"))
}

/// Where reports go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reports {
    /// Domains of `mailto:`.
    mail: BTreeSet<DomainName>,
    /// Addresses of `https:`.
    https: usize,
}

pub(super) fn parse(text: &str) -> Result<Reports, String> {
    if !text.starts_with(VERSION) {
        return Err(format!("it must begin with {VERSION} in exactly this form"));
    }
    let tags = tags(text)?;
    let rua = tags.iter().find(|(name, _)| name == "rua").map(|(_, value)| value.as_str()).ok_or("rua= is missing")?;
    let mut reports = Reports::default();
    for uri in rua.split(',').map(str::trim).take(MOST_REPORTS) {
        let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
        match scheme.to_ascii_lowercase().as_str() {
            "mailto" => {
                reports.mail.insert(mailbox_host(rest).map_err(|why| format!("rua={}: {why}", shown(uri)))?);
            }
            "https" => match Url::parse(uri) {
                Ok(url) if url.has_host() => reports.https += 1,
                _ => return Err(format!("rua={} is no address of a web server", shown(uri))),
            },
            "" if rest.is_empty() => return Err("rua= lacks an address, or has a comma too many".to_owned()),
            _ => return Err(format!("rua={} is neither mailto: nor https:", shown(uri))),
        }
    }
    Ok(reports)
}

/// The domain of a mailbox in a `mailto:` (RFC 6068), whose query does not matter here.
fn mailbox_host(rest: &str) -> Result<DomainName, String> {
    let address = dmarc_address::address(&format!("mailto:{rest}"))?;
    if address.size.is_some() { Err("it carries “!”, and TLS-RPT knows no size limits".to_owned()) } else { Ok(address.host) }
}

fn shown(text: &str) -> String {
    crate::text::shown(text, 80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_need_their_scheme() {
        let reports = parse("v=TLSRPTv1; rua=mailto:a@example.com , https://r.example.com/x;").unwrap();
        assert_eq!((reports.mail.len(), reports.https), (1, 1));
        for fine in ["v=TLSRPTv1;rua=mailto:a@example.com", "v=TLSRPTv1; rua=MAILTO:a@example.com?subject=x; ext=1; my-ext.2=x"] {
            assert!(parse(fine).is_ok(), "{fine}: {:?}", parse(fine));
        }
        for (broken, why) in [
            ("v=TLSRPTv1", "must begin"),
            ("v=TLSRPTv1 ; rua=mailto:a@b.example", "must begin"),
            ("v=TLSRPTv1;", "rua= is missing"),
            ("v=TLSRPTv1; rua=tls@example.com", "neither"),
            ("v=TLSRPTv1; rua=", "lacks an address"),
            ("v=TLSRPTv1; rua=mailto:a@example.com,", "comma too many"),
            ("v=TLSRPTv1; rua=mailto:@example.com", "no mailbox name"),
            ("v=TLSRPTv1; rua=mailto:example.com", "no “@”"),
            ("v=TLSRPTv1; rua=mailto: a@example.com", "a space stands after"),
            ("v=TLSRPTv1; rua=mailto://a@example.com", "without slashes"),
            ("v=TLSRPTv1; rua=mailto:a@b@example.com", "no mailbox name"),
            ("v=TLSRPTv1; rua=mailto:a@example.com mailto:b@example.com", "separated by commas"),
            ("v=TLSRPTv1; rua=mailto:a@example.com rua=mailto:b@example.com", "separated by commas"),
            ("v=TLSRPTv1; rua=mailto:a@example.com!10m", "size limits"),
            ("v=TLSRPTv1; rua=https:", "web server"),
            ("v=TLSRPTv1; rua=http://r.example.com/", "neither"),
            ("v=tlsrptv1; rua=mailto:a@b.example", "must begin"),
            ("v=TLSRPTv1; rua=mailto:a@b.example; rua=mailto:c@b.example", "twice"),
        ] {
            assert!(parse(broken).as_ref().is_err_and(|error| error.contains(why)), "{broken}: {:?}", parse(broken));
        }
    }

    #[test]
    fn a_record_is_written_anew_with_what_was_right_in_it() {
        let dead = BTreeSet::from(["gone.example".parse().unwrap()]);
        for (text, own, better) in [
            ("v=tlsrptv1; rua=mailto:a@e.example", None, Some("v=TLSRPTv1; rua=mailto:a@e.example")),
            ("v=TLSRPTv1; rua=a@e.example, https://r.example/x; ext=1", None, Some("v=TLSRPTv1; rua=mailto:a@e.example,https://r.example/x; ext=1")),
            ("v=TLSRPTv1; rua=mailto:a@e.example!10m; rua=mailto:b@e.example", None, Some("v=TLSRPTv1; rua=mailto:a@e.example,mailto:b@e.example")),
            ("v=TLSRPTv1; rua=mailto:a@gone.example,mailto:b@e.example", None, Some("v=TLSRPTv1; rua=mailto:b@e.example")),
            ("v=TLSRPTv1; rua=mailto:a@gone.example", Some("t@e.example"), Some("v=TLSRPTv1; rua=mailto:t@e.example")),
            ("v=TLSRPTv1; rua=mailto: a@e.example,mailto://b@e.example", None, Some("v=TLSRPTv1; rua=mailto:a@e.example,mailto:b@e.example")),
            ("v=TLSRPTv1; rua=mailto:a@gone.example", None, None),
            ("v=TLSRPTv1;", Some("t@e.example"), Some("v=TLSRPTv1; rua=mailto:t@e.example")),
        ] {
            assert_eq!(repaired(text, &dead, own).as_deref(), better, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_anew_can_be_read(text in "(v=TLSRPTv1)?(;? ?(rua|ext|x)=(mailto:|https://|,)?[a-z@.!,:]{0,12}){0,4}") {
            if let Some(better) = repaired(&text, &BTreeSet::new(), Some("t@e.example")) {
                prop_assert!(parse(&better).is_ok(), "{better}");
            }
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,80}") {
            let _: Result<_, _> = parse(&format!("v=TLSRPTv1;{text}"));
            let _: Result<_, _> = parse(&format!("v=TLSRPTv1; rua=mailto:{text}"));
            let _: bool = means_tls_rpt(&text);
        }
    }
}
