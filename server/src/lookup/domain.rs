//! The lookup of a domain: its audit, and block lists for it, its mail servers and its web hosts.

use std::time::{Duration, Instant};

use chrono::Utc;
use waypost_engine::{
    audit::{AuditOptions, NO_USUAL_SELECTOR, audit},
    blacklist::{Lists, Scanner, Subject},
    net::Net,
};
use waypost_types::{DomainName, UnknownPart, lookup::Lookup, outcome::AuditReport};

use super::{AUDIT_TIME, LISTS_TIME, guides, is_late, millis, scan};

/// Addresses of MX hosts that are looked up on block lists, and addresses of web hosts beside them.
const MAX_MX: usize = 8;
const MAX_WEB: usize = 4;

pub(super) async fn look(net: &Net, scanner: &Scanner, domain: &DomainName) -> Lookup {
    let started = Instant::now();
    let options = AuditOptions { deadline: AUDIT_TIME, ..AuditOptions::default() };
    let report = tokio::time::timeout(AUDIT_TIME + Duration::from_millis(500), audit(net, domain, &options)).await;
    let cut = report.is_err();
    let audit = report.unwrap_or_else(|_| nothing_known(domain));
    let report = scan(scanner, &subjects(domain, &audit), &Lists::default(), LISTS_TIME).await;
    let cut = cut || report.is_none();
    let lists = report.unwrap_or_default();
    let took = started.elapsed();
    let complete = !cut && !is_late(took, &lists.entries) && audit.unknown.iter().all(|part| part.reason == NO_USUAL_SELECTOR);
    Lookup {
        domain: domain.to_string(),
        display: domain.display(),
        complete,
        checked_at: Utc::now(),
        took_ms: millis(took),
        audit,
        guides: guides(&lists),
        blacklists: lists.entries,
        lists: lists.lists,
    }
}

/// The domain, then the addresses of its mail servers, then those of its web hosts, each once.
fn subjects(domain: &DomainName, audit: &AuditReport) -> Vec<Subject> {
    let mx = audit.mx_hosts.iter().flat_map(|host| host.addresses.iter().copied());
    let web = audit.web_hosts.iter().flat_map(|host| host.addresses.iter().copied());
    let mut subjects = vec![Subject::from(domain.clone())];
    let mut add = |addresses: &mut dyn Iterator<Item = std::net::IpAddr>, most: usize| {
        let full = subjects.len() + most;
        for subject in addresses.map(Subject::from) {
            if subjects.len() < full && !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
    };
    add(&mut mx.into_iter(), MAX_MX);
    add(&mut web.into_iter(), MAX_WEB);
    subjects
}

fn nothing_known(domain: &DomainName) -> AuditReport {
    let reason = "The name servers did not answer in time. Try again in a minute.".to_owned();
    AuditReport { unknown: vec![UnknownPart::new("audit", reason)], ..AuditReport::empty(domain.as_str()) }
}

#[cfg(test)]
mod tests {
    use waypost_types::outcome::{MxHost, WebHost};

    use super::*;

    #[test]
    fn the_domain_and_its_addresses_are_looked_up_each_once_and_within_a_bound() {
        let domain: DomainName = "example.com".parse().unwrap();
        let addresses = |net: u8, many: u8| (0..many).map(|n| std::net::IpAddr::from([192, 0, net, n])).collect::<Vec<_>>();
        let mut audit = AuditReport::empty("example.com");
        audit.mx_hosts =
            vec![MxHost { preference: 10, host: "mx.example.com".to_owned(), addresses: addresses(2, 20), partial: false, provider: None }];
        audit.web_hosts = vec![WebHost { host: "example.com".to_owned(), addresses: [addresses(2, 3), addresses(3, 20)].concat() }];
        let found: Vec<String> = subjects(&domain, &audit).iter().map(ToString::to_string).collect();
        assert_eq!((found[0].as_str(), found.len()), ("example.com", 1 + MAX_MX + MAX_WEB));
        assert_eq!((found[8].as_str(), found[9].as_str()), ("192.0.2.7", "192.0.3.0"));
    }
}
