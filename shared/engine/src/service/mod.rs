//! Looks at services beside SMTP: TCP ports, web addresses, DNS records, mailboxes by IMAP and POP3. All of it over the [`Prober`]'s network, with
//! its guard, limits and clock; nobody logs in and nothing is changed.
//!
//! How verdicts are made:
//! - **down**: the service does not answer, or not as it should: no connection, another status or record than expected, a conversation that breaks
//!   off, a TLS handshake that fails, a certificate that programs refuse.
//! - **degraded**: it answers, with something to mend: a certificate that ends soon, a login that is offered in clear.
//! - **unknown**: it could not be told from here: DNS did not answer, the egress guard forbids the address, there is no way to it.
//!
//! Of several addresses the worst counts; those that could not be told count only when no address could be.

mod dns;
mod https;
mod imap;
mod mailbox;
mod pop;
mod tcp;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::future::join_all;
use tokio::{net::TcpStream, time::Instant};
use waypost_types::{
    finding::{Finding, Severity},
    monitor::MonitorKind,
    outcome::{ProbeMode, ServiceLook, ServiceReport, Verdict},
    service::{Expects, Page, RecordKind, Records, ServiceSettings, SettingError, Words, dns_target},
};

use crate::{
    audit::rules::{Remark, remark},
    net::{Absence, DialError, Lookup, check_url},
    probe::{MOST_ADDRESSES, Prober, literal_of, ms},
};

#[cfg(feature = "fuzzing")]
pub(crate) use mailbox::fuzz_line;

/// Connecting to one address.
const CONNECT: Duration = Duration::from_secs(10);

/// What to look at, and what to expect of it.
#[derive(Debug, Clone)]
pub struct ServiceCheck {
    kind: MonitorKind,
    target: String,
    goal: Goal,
}

#[derive(Debug, Clone)]
enum Goal {
    Tcp { host: String, port: u16, words: Words },
    Https { url: String, page: Page },
    Dns { name: String, kind: RecordKind, records: Records },
    Mailbox { host: String, port: u16, mode: ProbeMode },
}

impl ServiceCheck {
    /// Reads target and settings. TLS is spoken as the port has it: from the first byte on 993 and 995, elsewhere after STARTTLS or STLS.
    pub fn read(kind: MonitorKind, target: &str, settings: &ServiceSettings) -> Result<Self, SettingError> {
        let wrong = |message: &str| SettingError { field: "target", message: message.to_owned() };
        let socket = || host_and_port(target).ok_or_else(|| wrong("Give host:port, for example mail.example.com:993."));
        let goal = match settings.read(kind, target)? {
            Expects::Words(words) => {
                let (host, port) = socket()?;
                Goal::Tcp { host, port, words }
            }
            Expects::Page(page) => Goal::Https { url: check_url(target).map_err(|error| wrong(&error.to_string()))?, page },
            Expects::Records(records) => {
                let (name, kind) = dns_target(target).ok_or_else(|| wrong("Give a name and a type, for example “example.com MX”."))?;
                Goal::Dns { name: dns::asked_name(name, kind), kind, records }
            }
            Expects::Mailbox if kind.is_service() => {
                let (host, port) = socket()?;
                let mode = if matches!(port, 993 | 995) { ProbeMode::Implicit } else { ProbeMode::Starttls };
                Goal::Mailbox { host, port, mode }
            }
            Expects::Mailbox => return Err(SettingError { field: "kind", message: "This kind of check is no service.".to_owned() }),
        };
        Ok(Self { kind, target: target.to_owned(), goal })
    }

    /// With TLS spoken in this way, whatever the port has; only of mailboxes.
    #[must_use]
    pub fn with_mode(mut self, wanted: ProbeMode) -> Self {
        if let Goal::Mailbox { mode, .. } = &mut self.goal {
            *mode = wanted;
        }
        self
    }
}

impl Prober {
    /// One look at a service, at all of its addresses.
    pub async fn look(&self, check: &ServiceCheck) -> ServiceReport {
        let mut records = None;
        let looks = match &check.goal {
            Goal::Tcp { host, port, words } => {
                let server = Server { host, port: *port };
                at_each_address(self, server, async |address| tcp::look(self, server, words, address).await).await
            }
            Goal::Mailbox { host, port, mode } => {
                let server = Server { host, port: *port };
                let protocol = if check.kind == MonitorKind::Pop { mailbox::Protocol::Pop } else { mailbox::Protocol::Imap };
                at_each_address(self, server, async |address| mailbox::look(self, server, protocol, *mode, address).await).await
            }
            Goal::Https { url, page } => https::looks(self, url, page).await,
            Goal::Dns { name, kind, records: wanted } => {
                let (look, seen) = dns::look(&self.net, name, *kind, wanted).await;
                records = Some(seen);
                vec![look]
            }
        };
        let (verdict, summary) = worst(&looks, check.kind);
        ServiceReport { service: check.kind, target: check.target.clone(), verdict, summary, looks, records }
    }
}

/// Whom a look speaks to.
#[derive(Debug, Clone, Copy)]
struct Server<'a> {
    host: &'a str,
    port: u16,
}

/// `host:port`, an IPv6 address in brackets.
fn host_and_port(target: &str) -> Option<(String, u16)> {
    let (host, port) = target.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = bare.or_else(|| (!host.contains(':')).then_some(host)).filter(|host| !host.is_empty())?;
    Some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}

/// The addresses of a host, or what that there are none says of it; and how long DNS took.
async fn addresses_of(prober: &Prober, host: &str) -> (Result<Vec<IpAddr>, (Verdict, String)>, Option<f64>) {
    if let Some(address) = literal_of(host) {
        return (Ok(vec![address]), None);
    }
    let started = Instant::now();
    let found = match prober.net.dns().addresses(host).await {
        Lookup::Found(mut addresses) => {
            addresses.truncate(MOST_ADDRESSES);
            Ok(addresses)
        }
        Lookup::Missing(Absence::NxDomain) => Err((Verdict::Down, format!("the name {host} does not exist in DNS"))),
        Lookup::Missing(Absence::NoData) => Err((Verdict::Down, format!("{host} has no address: neither A nor AAAA"))),
        Lookup::Failed(failure) => Err((Verdict::Unknown, format!("the addresses of {host} could not be looked up: {failure}"))),
    };
    (found, Some(ms(started)))
}

/// A look at each address of a host, all at once.
async fn at_each_address<F: Future<Output = ServiceLook>>(prober: &Prober, server: Server<'_>, look: impl Fn(IpAddr) -> F) -> Vec<ServiceLook> {
    let (found, dns) = addresses_of(prober, server.host).await;
    let mut looks = match found {
        Ok(addresses) => join_all(addresses.into_iter().map(look)).await,
        Err((verdict, reason)) => vec![nowhere(server, verdict, reason)],
    };
    for look in &mut looks {
        look.stage_ms.dns = dns;
        if let Some(dns) = dns {
            look.stage_ms.total = Some(look.stage_ms.total.unwrap_or(0.0) + dns);
        }
    }
    looks
}

/// A host that has no address, or of which that is not known.
fn nowhere(server: Server<'_>, verdict: Verdict, reason: String) -> ServiceLook {
    let fix = format!("Publish an A or AAAA record for {}, or have the check look at the right name.", server.host);
    let findings = if verdict == Verdict::Down { vec![unreachable(server, &reason).fix(fix).done()] } else { Vec::new() };
    ServiceLook { verdict, reason, findings, ..ServiceLook::default() }
}

fn unreachable(server: Server<'_>, reason: &str) -> Remark {
    remark("tcp.unreachable", server.host, format!("{} can not be reached on port {}: {reason}", server.host, server.port))
}

/// Connects, and says how long that took; or what it says that there is no connection.
async fn connect(prober: &Prober, server: Server<'_>, address: IpAddr) -> Result<(TcpStream, f64), ServiceLook> {
    let started = Instant::now();
    let error = match prober.net.dial(SocketAddr::new(address, server.port), CONNECT.min(prober.limits.connect)).await {
        Ok(stream) => {
            prober.note_reached(server.port);
            return Ok((stream, ms(started)));
        }
        Err(error) => error,
    };
    let (verdict, reason) = prober.undialled(server.port, address, &error);
    let Server { host, port } = server;
    let fix = match error {
        DialError::Refused => {
            format!(
                "Start the service on {host} and have it listen on port {port} of {address}. A firewall that rejects looks the same from outside."
            )
        }
        DialError::TimedOut => format!("See that {host} is on, and that no firewall on the way drops what goes to port {port} of {address}."),
        DialError::Unreachable => format!("See that {address} is the right address of {host}, and that its network is announced and routed."),
        DialError::Reset => {
            format!(
                "Look at {host} for what ends connections as they begin: a queue that is full, a filter that bans addresses, a proxy with no service behind it."
            )
        }
        DialError::Forbidden(_) | DialError::Other(_) => String::new(),
    };
    let findings = if verdict == Verdict::Down { vec![unreachable(server, &reason).fix(fix).done()] } else { Vec::new() };
    let mut look = ServiceLook { address: Some(address), verdict, reason, findings, ..ServiceLook::default() };
    look.stage_ms.total = Some(ms(started));
    Err(look)
}

/// The verdict that remarks make of a look that was held to its end; `fine` is said where there are none. A certificate that ends within a day
/// is no failure yet.
fn verdict(findings: &[Finding], fine: impl Into<String>) -> (Verdict, String) {
    let fails = |finding: &&Finding| finding.severity >= Severity::High && finding.rule != "cert.expires_soon";
    if let Some(finding) = findings.iter().find(fails) {
        return (Verdict::Down, finding.summary.clone());
    }
    match findings.iter().find(|finding| finding.severity >= Severity::Medium) {
        Some(finding) => (Verdict::Degraded, finding.summary.clone()),
        None => (Verdict::Up, fine.into()),
    }
}

/// Ends a look: its remarks, worst first, and what they make of it.
fn judged(mut look: ServiceLook, remarks: Vec<Remark>, host: &str, fine: impl Into<String>) -> ServiceLook {
    look.findings = remarks.into_iter().map(|remark| remark.with("host", host).done()).collect();
    look.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    (look.verdict, look.reason) = verdict(&look.findings, fine);
    look
}

fn worst(looks: &[ServiceLook], kind: MonitorKind) -> (Verdict, String) {
    let rank = |verdict: Verdict| match verdict {
        Verdict::Unknown => 0,
        Verdict::Up => 1,
        Verdict::Degraded => 2,
        Verdict::Down => 3,
    };
    // Steps of a redirect lead to each other: one that could not be taken is the outcome, and of those that could the last one tells.
    if kind == MonitorKind::Https
        && let Some(last) = looks.last()
    {
        let bad = looks.iter().find(|look| rank(look.verdict) > rank(last.verdict).max(1));
        let told = bad.filter(|_| last.verdict != Verdict::Unknown).unwrap_or(last);
        return (told.verdict, told.reason.clone());
    }
    let mut chosen: Option<&ServiceLook> = None;
    for look in looks {
        if chosen.is_none_or(|best| rank(look.verdict) > rank(best.verdict)) {
            chosen = Some(look);
        }
    }
    let Some(look) = chosen else { return (Verdict::Unknown, "there was nothing to look at".to_owned()) };
    let summary = match look.address {
        Some(address) if looks.len() > 1 && look.verdict != Verdict::Up => format!("{address}: {}", look.reason),
        _ => look.reason.clone(),
    };
    (look.verdict, summary)
}
