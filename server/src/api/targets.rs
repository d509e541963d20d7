//! What may be watched: names, hosts, ports, networks, intervals and regions as bodies give them, each refused by the name of its field.

use std::net::IpAddr;

use waypost_engine::net::{Egress, check_url};
use waypost_types::{
    Cidr, DomainName,
    judge::{Policy, PolicyPatch},
    monitor::{Monitor, MonitorKind},
    pool,
    runbook::OwnRunbook,
    service::{RecordKind, ServiceSettings, dns_target, ports_of},
};

use crate::http::problem::ApiError;

/// Ports that speak SMTP.
pub const PORTS: [u16; 4] = [25, 465, 587, 2525];
/// Ports of a server when nobody said otherwise.
pub const DEFAULT_PORTS: [u16; 3] = [25, 465, 587];
const MAX_REGIONS: usize = 8;
const MAX_URL: usize = 1000;

/// A domain name.
pub fn domain(field: &str, text: &str) -> Result<DomainName, ApiError> {
    text.parse().map_err(|error: waypost_types::NameError| ApiError::field(field, error.to_string()))
}

/// A host: a name, which is judged by its syntax alone, or an address that may be connected to.
pub fn host(field: &str, text: &str, egress: &Egress) -> Result<String, ApiError> {
    let bare = text.trim().trim_matches(['[', ']']);
    if let Ok(address) = bare.parse::<IpAddr>() {
        let address = address.to_canonical();
        allowed(field, address, egress)?;
        return Ok(address.to_string());
    }
    Ok(domain(field, text)?.to_string())
}

fn allowed(field: &str, address: IpAddr, egress: &Egress) -> Result<(), ApiError> {
    egress.check(address).map_err(|denied| ApiError::field(field, denied.to_string()))
}

/// A network all of whose addresses may be looked at.
pub fn cidr(field: &str, text: &str, egress: &Egress) -> Result<Cidr, ApiError> {
    let cidr: Cidr = text.parse().map_err(|error: waypost_types::NameError| ApiError::field(field, error.to_string()))?;
    for address in cidr.addresses() {
        allowed(field, address, egress)?;
    }
    Ok(cidr)
}

/// One to eight ports, each once, in the order given.
pub fn ports(given: &[u16]) -> Result<Vec<u16>, ApiError> {
    let mut ports: Vec<u16> = Vec::with_capacity(given.len().min(PORTS.len()));
    for port in given.iter().take(64) {
        if !PORTS.contains(port) {
            return Err(ApiError::field("ports", format!("{port} is no port of mail servers: use 25, 465, 587 or 2525.")));
        }
        if !ports.contains(port) {
            ports.push(*port);
        }
    }
    if ports.is_empty() || given.len() > 8 {
        return Err(ApiError::field("ports", "Give one to eight ports of 25, 465, 587 and 2525."));
    }
    Ok(ports)
}

/// The smallest SIZE limit that will do, in megabytes.
pub fn least_size(mb: Option<u32>) -> Result<(), ApiError> {
    if mb.is_some_and(|mb| !(1..=10_000).contains(&mb)) {
        return Err(ApiError::field("least_size_mb", "Give 1 to 10,000 megabytes, or nothing."));
    }
    Ok(())
}

/// A runbook of a monitor's own, as it is kept: one without anything in it is none.
pub fn runbook(given: Option<Option<OwnRunbook>>) -> Result<Option<Option<OwnRunbook>>, ApiError> {
    let checked = |own: OwnRunbook| own.checked().map_err(|fault| ApiError::field(fault.field, fault.message));
    given.map(|own| own.map_or(Ok(None), checked)).transpose()
}

/// The name of a pool, as it is kept.
pub fn pool(field: &str, text: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::field(field, format!("Give 1 to {} letters, digits and the signs - _ . : / without spaces.", pool::MOST_NAME));
    pool::name(text).ok_or_else(wrong)
}

/// Seconds between checks, within what the kind allows.
pub fn interval(kind: MonitorKind, seconds: Option<u32>) -> Result<(), ApiError> {
    let (shortest, longest) = kind.interval_range();
    match seconds {
        Some(seconds) if !(shortest..=longest).contains(&seconds) => {
            Err(ApiError::field("interval_s", format!("Give {shortest} to {longest} seconds.")))
        }
        _ => Ok(()),
    }
}

/// When a change counts: numbers that make sense, and a number of regions that the monitors have, each as it will be. One region judges audits
/// and block lists.
pub fn policy(monitors: &[Monitor], patch: Option<&PolicyPatch>, regions: Option<&[String]>) -> Result<(), ApiError> {
    let rounds =
        [("policy.fail_after", patch.and_then(|patch| patch.fail_after)), ("policy.recover_after", patch.and_then(|patch| patch.recover_after))];
    for (field, given) in rounds {
        if given.is_some_and(|rounds| !Policy::ROUNDS.contains(&rounds)) {
            return Err(ApiError::field(field, format!("Give a number from {} to {}.", Policy::ROUNDS.start(), Policy::ROUNDS.end())));
        }
    }
    let given = patch.and_then(|patch| patch.quorum);
    for monitor in monitors {
        let here = regions.unwrap_or(&monitor.regions).len();
        match given {
            Some(1..) if !monitor.kind.is_judged_whole() => {
                return Err(ApiError::field("policy.quorum", "Audits and block lists are judged from one region: there are no others to agree."));
            }
            Some(quorum) if quorum as usize > here => {
                let from = if here == 1 { "1 region".to_owned() } else { format!("{here} regions") };
                return Err(ApiError::field("policy.quorum", format!("It is checked from {from}: give at most {here}, or 0 for a majority.")));
            }
            None if regions.is_some() && monitor.policy.quorum as usize > here => {
                let quorum = monitor.policy.quorum;
                return Err(ApiError::field(
                    "regions",
                    format!("{quorum} regions must agree, and these are {here}: lower that number with them, or give 0 for a majority."),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Names of regions, each once.
pub fn regions(given: &[String]) -> Result<Vec<String>, ApiError> {
    let mut regions: Vec<String> = Vec::new();
    for name in given.iter().take(64) {
        let fine = (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !fine {
            return Err(ApiError::field("regions", "Region names are 1 to 32 lower-case letters, digits and hyphens."));
        }
        if !regions.contains(name) {
            regions.push(name.clone());
        }
    }
    if regions.is_empty() || given.len() > MAX_REGIONS {
        return Err(ApiError::field("regions", format!("Give one to {MAX_REGIONS} regions.")));
    }
    Ok(regions)
}

const MAX_SELECTORS: usize = 50;

/// DKIM selectors (RFC 6376 3.1), each once: what stands before `._domainkey`.
pub fn selectors(given: &[String]) -> Result<Vec<String>, ApiError> {
    const FIELD: &str = "selectors";
    if given.len() > MAX_SELECTORS {
        return Err(ApiError::field(FIELD, format!("Give at most {MAX_SELECTORS} selectors.")));
    }
    let mut selectors: Vec<String> = Vec::with_capacity(given.len());
    for text in given {
        let name = text.trim().to_ascii_lowercase();
        let name = name.split_once("._domainkey").map_or(name.as_str(), |(selector, _)| selector).to_owned();
        let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if name.len() > 128 || !name.split('.').all(label) {
            return Err(ApiError::field(
                FIELD,
                format!("“{}” is no selector: give the value of s= in the DKIM-Signature of a message.", shortened(text)),
            ));
        }
        if !selectors.contains(&name) {
            selectors.push(name);
        }
    }
    Ok(selectors)
}

/// Tags as they are kept.
pub fn tags(given: Option<Vec<String>>) -> Result<Option<Vec<String>>, ApiError> {
    given.map(|given| waypost_types::tag::tags(&given)).transpose().map_err(|error| ApiError::field("tags", error.to_string()))
}

const MAX_SENDERS: usize = 50;

/// Addresses that send for a domain, each once.
pub fn senders(given: &[IpAddr]) -> Result<Vec<IpAddr>, ApiError> {
    if given.len() > MAX_SENDERS {
        return Err(ApiError::field("senders", format!("Give at most {MAX_SENDERS} addresses.")));
    }
    let mut senders: Vec<IpAddr> = given.iter().map(IpAddr::to_canonical).collect();
    senders.sort_unstable();
    senders.dedup();
    Ok(senders)
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A monitor's target in its one written form, and the thing it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `example.com`, `mail.example.com:25`, `203.0.113.0/24`.
    pub written: String,
    /// The domain, host or network in it.
    pub subject: String,
}

/// Whether a check of this kind can be expected to find this.
pub fn settings(kind: MonitorKind, target: &str, settings: &ServiceSettings) -> Result<(), ApiError> {
    settings.read(kind, target).map(drop).map_err(|error| ApiError::field(error.field, error.message))
}

/// Parses a monitor's target.
pub fn target(kind: MonitorKind, text: &str, egress: &Egress) -> Result<Target, ApiError> {
    const FIELD: &str = "target";
    match kind {
        MonitorKind::Audit => {
            let name = domain(FIELD, text)?.to_string();
            Ok(Target { written: name.clone(), subject: name })
        }
        MonitorKind::Blacklist => {
            let cidr = cidr(FIELD, text, egress)?.to_string();
            Ok(Target { written: cidr.clone(), subject: cidr })
        }
        MonitorKind::Https => {
            let url = check_url(text.trim()).map_err(|error| ApiError::field(FIELD, error.to_string()))?;
            // An address in it passes the guard now, a name when it is looked up.
            let named = url.trim_start_matches("https://").split(['/', '?', '#']).next().unwrap_or_default();
            let subject = host(FIELD, named, egress)?;
            if url.len() > MAX_URL {
                return Err(ApiError::field(FIELD, format!("Give an address of at most {MAX_URL} characters.")));
            }
            Ok(Target { written: url, subject })
        }
        MonitorKind::Dns => {
            let wanted = || ApiError::field(FIELD, "Give a name and a type, for example “example.com MX”.");
            let (name, kind) = dns_target(text).ok_or_else(wanted)?;
            let name = match name.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) if kind == RecordKind::Ptr => address.to_canonical().to_string(),
                // Names of records have labels that names of hosts have not: _dmarc, _25._tcp, 1/26.
                _ => record_name(name).ok_or_else(wanted)?,
            };
            Ok(Target { written: format!("{name} {}", kind.as_str()), subject: name })
        }
        MonitorKind::Smtp | MonitorKind::Tcp | MonitorKind::Imap | MonitorKind::Pop => {
            let wanted = || ApiError::field(FIELD, "Give host:port, for example mail.example.com:25.");
            let (name, port) = text.trim().rsplit_once(':').ok_or_else(wanted)?;
            if name.contains(':') && !(name.starts_with('[') && name.ends_with(']')) {
                return Err(wanted());
            }
            let port: u16 = port.parse().map_err(|_| wanted())?;
            let allowed: &[u16] = if kind == MonitorKind::Smtp { &PORTS } else { ports_of(kind) };
            if !allowed.contains(&port) {
                let ports = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(ApiError::field(FIELD, format!("{port} is no port for this check: use one of {ports}.")));
            }
            let host = host(FIELD, name, egress)?;
            Ok(Target { written: waypost_store::servers::smtp_target(&host, port), subject: host })
        }
    }
}

/// A name that records can be at, in lower case and without a final dot.
fn record_name(text: &str) -> Option<String> {
    let ascii = match text.parse::<DomainName>() {
        Ok(name) => name.to_string(),
        Err(_) => text.trim_end_matches('.').to_ascii_lowercase(),
    };
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/*".contains(&byte));
    (ascii.len() <= 253 && ascii.split('.').all(label)).then_some(ascii)
}

/// What is paused as a whole is not checked, not even when asked.
pub fn awake(monitors: &[Monitor]) -> Result<(), ApiError> {
    if !monitors.is_empty() && monitors.iter().all(|monitor| monitor.paused) {
        return Err(ApiError::Conflict { field: "paused", message: "It is paused. Resume it, then check it.".to_owned(), existing: None });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded() -> Egress {
        Egress::Guarded { allow: vec!["127.40.0.0/16".parse().unwrap()] }
    }

    #[test]
    fn targets_have_one_written_form() {
        let table = [
            (MonitorKind::Audit, "Example.COM.", "example.com"),
            (MonitorKind::Smtp, "Mail.Example.com:25", "mail.example.com:25"),
            (MonitorKind::Smtp, "[2001:4860:4860::8888]:587", "[2001:4860:4860::8888]:587"),
            (MonitorKind::Smtp, "127.40.0.9:25", "127.40.0.9:25"),
            (MonitorKind::Blacklist, "203.0.113.77/24", "203.0.113.0/24"),
            (MonitorKind::Tcp, "Mail.Example.com:4190", "mail.example.com:4190"),
            (MonitorKind::Imap, "[2001:4860:4860::8888]:993", "[2001:4860:4860::8888]:993"),
            (MonitorKind::Https, "HTTPS://Example.com", "https://example.com/"),
            (MonitorKind::Https, "https://bücher.example/x?y=1", "https://xn--bcher-kva.example/x?y=1"),
            (MonitorKind::Dns, " _DMARC.Example.com.  txt", "_dmarc.example.com TXT"),
            (MonitorKind::Dns, "192.0.2.1 PTR", "192.0.2.1 PTR"),
        ];
        for (kind, text, written) in table {
            assert_eq!(target(kind, text, &guarded()).unwrap().written, written);
        }
    }

    #[test]
    fn what_may_not_be_watched_is_refused() {
        let table = [
            (MonitorKind::Audit, "not a domain"),
            (MonitorKind::Smtp, "mail.example.com"),
            (MonitorKind::Smtp, "mail.example.com:22"),
            (MonitorKind::Smtp, "2001:db8::1:25"),
            (MonitorKind::Smtp, "127.0.0.1:25"),
            (MonitorKind::Smtp, "[::ffff:10.0.0.1]:25"),
            (MonitorKind::Blacklist, "10.0.0.0/24"),
            (MonitorKind::Tcp, "example.com:22"),
            (MonitorKind::Tcp, "127.0.0.1:80"),
            (MonitorKind::Imap, "example.com:25"),
            (MonitorKind::Pop, "example.com:993"),
            (MonitorKind::Https, "http://example.com/"),
            (MonitorKind::Https, "https://127.0.0.1/"),
            (MonitorKind::Https, "https://[::1]/"),
            (MonitorKind::Https, "https://example.com:8443/"),
            (MonitorKind::Dns, "example.com"),
            (MonitorKind::Dns, "example.com HINFO"),
            (MonitorKind::Dns, "a b.example MX"),
            (MonitorKind::Blacklist, "203.0.113.0/20"),
        ];
        for (kind, text) in table {
            assert!(matches!(target(kind, text, &guarded()), Err(ApiError::Invalid(_))), "{text}");
        }
        for wrong in ["", "a b", "a..b", "ü", "a._domainkey.b c"] {
            let accepted = selectors(&[wrong.to_owned()]).is_ok();
            assert_eq!(accepted, wrong.contains("_domainkey"), "{wrong}");
        }
        assert_eq!(selectors(&["S1".to_owned(), "s1._domainkey.example.com".to_owned()]).unwrap(), ["s1"]);
        assert_eq!(senders(&["::ffff:192.0.2.1".parse().unwrap(), "192.0.2.1".parse().unwrap()]).unwrap().len(), 1);
        assert!(ports(&[]).is_err() && ports(&[22]).is_err());
        assert_eq!(ports(&[587, 25, 587]).unwrap(), [587, 25]);
    }
}
