//! The lookup of a domain: its audit, and block lists for it, its mail servers and its web hosts.

use std::time::{Duration, Instant};

use chrono::Utc;
use waypost_engine::{
    audit::{AuditOptions, audit},
    blacklist::{Lists, Scanner, Subject},
    net::Net,
};
use waypost_types::{
    DomainName, UnknownPart,
    list_history::Standing,
    lookup::Lookup,
    outcome::{AuditReport, BlacklistReport},
};

use super::{AUDIT_TIME, LISTS_TIME, guides, is_late, millis, scan};

/// Addresses of MX hosts that are looked up on block lists, and addresses of web hosts beside them.
const MAX_MX: usize = 8;
const MAX_WEB: usize = 4;

pub(super) async fn look(net: &Net, scanner: &Scanner, domain: &DomainName) -> Lookup {
    let started = Instant::now();
    let options = AuditOptions { deadline: AUDIT_TIME, ..AuditOptions::default() };
    let report = tokio::time::timeout(AUDIT_TIME + Duration::from_millis(500), audit(net, domain, &options)).await;
    let cut = report.is_err();
    let mut audit = report.unwrap_or_else(|_| nothing_known(domain));
    let report = scan(scanner, &subjects(domain, &audit), &Lists::default(), LISTS_TIME).await;
    let cut = cut || report.is_none();
    let lists = report.unwrap_or_default();
    audit.hold(&own_listings(domain, &audit, &lists));
    let took = started.elapsed();
    let complete = !cut && !is_late(took, &lists.entries) && !audit.unknown.iter().any(UnknownPart::is_silence);
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

/// Listings of the domain itself and of its own mail servers: those of its web hosts, or of a provider's, are not about its mail.
fn own_listings(domain: &DomainName, audit: &AuditReport, lists: &BlacklistReport) -> Vec<Standing> {
    let own = lists.listings().filter(|(entry, _)| entry.subject == domain.as_str() || audit.is_own_host(&entry.subject));
    own.map(|(entry, _)| Standing { subject: entry.subject.clone(), list: entry.list.clone(), zone: entry.zone.clone(), severity: entry.severity })
        .collect()
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
    #[test]
    fn what_lists_say_of_the_domain_and_its_own_servers_holds_the_grade() {
        use waypost_types::outcome::{ListEntry, ListState};
        let entry = |subject: &str, state| ListEntry {
            subject: subject.to_owned(),
            list: "ZEN".to_owned(),
            zone: "zen.example".to_owned(),
            state,
            codes: Vec::new(),
            meaning: String::new(),
            reason: String::new(),
            severity: waypost_types::Severity::Critical,
            delist_url: None,
        };
        let host = |address: &str, provider: Option<&str>| MxHost {
            preference: 10,
            host: "mx.example.com".to_owned(),
            addresses: vec![address.parse().unwrap()],
            partial: false,
            provider: provider.map(str::to_owned),
        };
        let domain: DomainName = "example.com".parse().unwrap();
        for (subject, state, score) in [
            ("example.com", ListState::Listed, 59),
            ("192.0.2.1", ListState::Listed, 59),
            ("192.0.2.1", ListState::Unknown, 98),
            ("192.0.2.2", ListState::Listed, 98),
            ("192.0.2.80", ListState::Listed, 98),
        ] {
            let mut audit = AuditReport { score: Some(98), ..AuditReport::empty("example.com") };
            audit.mx_hosts = vec![host("192.0.2.1", None), host("192.0.2.2", Some("Provider"))];
            let lists = BlacklistReport { entries: vec![entry(subject, state)], ..BlacklistReport::empty("example.com") };
            audit.hold(&own_listings(&domain, &audit, &lists));
            assert_eq!(audit.score, Some(score), "{subject} {state:?}");
        }
    }
}
