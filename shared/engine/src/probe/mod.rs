//! SMTP conversations: connect, banner, EHLO, STARTTLS or implicit TLS, AUTH, QUIT, with transcript and certificate.
//!
//! How verdicts are made:
//! - **down**: the conversation could not be held: refused, silent, broken off, not SMTP, greeting 5xx, EHLO and HELO refused, a TLS
//!   handshake that fails, a login that is refused. On the submission ports 465 and 587 also a certificate finding of severity high (expired,
//!   other name): there a mail program refuses to log in.
//! - **degraded**: the conversation was held and something is to mend: greeting 4xx, no STARTTLS, a certificate that opportunistic senders
//!   to port 25 accept all the same, any other finding of severity medium or worse. AUTH on port 25 is remarked but degrades nothing.
//! - **unknown**: the login was put off by a temporary refusal and nothing else is wrong; nothing is wrong but a certificate that DANE may vouch for
//!   while DNS does not tell; or it could not be told from here: DNS did not answer, the egress guard forbids the address, there is no IPv6 here, or
//!   outbound port 25 seems blocked ([`Port25Memory`]).
//!
//! A host is as bad as its worst address; addresses that could not be told count only when no address could be.

mod asked;
#[cfg(test)]
mod asked_tests;
mod auth;
#[cfg(test)]
mod auth_tests;
mod banner;
mod certificate;
mod chain;
mod codes;
mod conversation;
mod dane;
mod data;
#[cfg(test)]
mod data_tests;
pub mod drift;
mod extensions;
pub mod facts;
mod injection;
mod least_size;
mod memo;
mod old_tls;
pub(crate) mod remarks;
mod reply;
mod stripped;
mod submission;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
pub(crate) mod wire;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use rustls::pki_types::ServerName;
use tokio::time::Instant;
use waypost_types::outcome::{PathTrace, ProbeMode, ProbeReport, SmtpReport, StageMs, Verdict};

use crate::net::{Absence, DialError, Lookup, Net, UNREACHABLE_HERE};
use tls::Tls;

pub use asked::{Asks, QUESTIONS, is_of_owner, question_of};
pub use auth::{Credentials, Mechanism, Secret};
pub use chain::{Shown, ShownChain};
pub use least_size::with_least_size;
pub use stripped::{Sight, misses_starttls, starttls_elsewhere, with_starttls_elsewhere};

/// How the reason of an unknown outcome begins when outbound port 25 seems blocked here.
pub const PORT25_BLOCKED: &str = "outbound port 25 seems blocked from here";

/// Whether the reason of an outcome is that outbound port 25 seems blocked, from wherever.
pub fn is_port25_blocked(reason: &str) -> bool {
    reason.contains("outbound port 25 seems blocked")
}

/// Whether a connection was not made for a reason that lies on the way: nothing came back, or nobody knows a way.
pub fn lost_on_the_way(probe: &ProbeReport) -> bool {
    let lost = [DialError::TimedOut, DialError::Unreachable].iter().any(|error| probe.reason == error.to_string());
    probe.verdict == Verdict::Down && probe.address.is_some() && probe.stage_ms.connect.is_none() && lost
}

/// Addresses of one host that are probed.
pub(crate) const MOST_ADDRESSES: usize = 8;

/// What to probe.
#[derive(Debug, Clone)]
pub struct ProbeTarget {
    /// Host name, or an address with or without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How TLS is spoken.
    pub mode: ProbeMode,
    /// Tried under TLS only, and at a proven server unless it says otherwise.
    pub auth: Option<Credentials>,
}

/// What a conversation may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connecting.
    pub connect: Duration,
    /// The greeting. Senders wait up to five minutes for it (RFC 5321 4.5.3.2.1), and servers keep strangers waiting on purpose.
    pub greeting: Duration,
    /// Silence inside a reply.
    pub reply_idle: Duration,
    /// A whole reply.
    pub reply_total: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The conversation from the greeting on, without QUIT.
    pub total: Duration,
    /// QUIT, beyond `total`.
    pub quit: Duration,
    /// Bytes of a line.
    pub line: usize,
    /// Lines of a reply.
    pub reply_lines: usize,
    /// Bytes received in all.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            greeting: Duration::from_secs(45),
            reply_idle: Duration::from_secs(20),
            reply_total: Duration::from_secs(25),
            tls: Duration::from_secs(10),
            total: Duration::from_secs(60),
            quit: Duration::from_secs(2),
            line: 4096,
            reply_lines: 100,
            bytes: 64 * 1024,
        }
    }
}

/// When this process last reached any port 25. Shared by all probes; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Port25Memory(LastReached);

impl Port25Memory {
    /// Some port 25 answered.
    pub fn reached(&self, now: DateTime<Utc>) {
        self.0.reached(now);
    }

    /// No port 25 was reached in the last hour.
    pub fn seems_blocked(&self, now: DateTime<Utc>) -> bool {
        !self.0.lately(now)
    }
}

/// When this process last reached any port of a kind.
#[derive(Debug, Clone, Default)]
struct LastReached(Arc<AtomicI64>);

impl LastReached {
    /// It is given that they can be reached.
    fn always() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }

    fn reached(&self, now: DateTime<Utc>) {
        self.0.fetch_max(now.timestamp(), Ordering::Relaxed);
    }

    /// One was reached in the last hour.
    fn lately(&self, now: DateTime<Utc>) -> bool {
        self.0.load(Ordering::Relaxed) >= now.timestamp() - 3600
    }
}

/// Probes hosts. Cheap to clone; keep one per [`Net`], since it carries the TLS set-up and the memory about ports that networks block.
#[derive(Debug, Clone)]
pub struct Prober {
    pub(crate) net: Net,
    pub(crate) tls: Result<Tls, rustls::Error>,
    port25: Port25Memory,
    /// Ports 465 and 587.
    submission: LastReached,
    pub(crate) limits: Arc<Limits>,
}

impl Prober {
    /// With ordinary limits and an empty memory about ports.
    pub fn new(net: &Net) -> Self {
        let tls = Tls::new(net.tls_roots().clone());
        let (port25, submission) = (Port25Memory::default(), LastReached::default());
        Self { net: net.clone(), tls, port25, submission, limits: Arc::new(Limits::default()) }
    }

    /// With this memory about port 25.
    #[must_use]
    pub fn with_port25(mut self, memory: Port25Memory) -> Self {
        self.port25 = memory;
        self
    }

    /// Takes it as given that this network blocks no port, as the command `waypost` does: there a time-out or a refusal is the answer.
    #[must_use]
    pub fn with_open_ports(mut self) -> Self {
        (self.port25, self.submission) = (Port25Memory(LastReached::always()), LastReached::always());
        self
    }

    /// With these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// The memory about port 25.
    pub fn port25(&self) -> &Port25Memory {
        &self.port25
    }

    /// One conversation with every address of the host, all at once.
    pub async fn probe(&self, target: &ProbeTarget) -> SmtpReport {
        let started = Instant::now();
        let literal = literal_of(&target.host);
        let answer = match literal {
            Some(address) => Lookup::Found(vec![address]),
            None => self.net.dns().addresses(&target.host).await,
        };
        let dns = literal.is_none().then(|| ms(started));
        let mut probes = match answer {
            Lookup::Found(mut addresses) => {
                addresses.truncate(MOST_ADDRESSES);
                join_all(addresses.into_iter().map(|address| self.probe_address(target, address))).await
            }
            Lookup::Missing(Absence::NxDomain) => vec![bare(target, None, Verdict::Down, format!("the name {} does not exist in DNS", target.host))],
            Lookup::Missing(Absence::NoData) => {
                vec![bare(target, None, Verdict::Down, format!("{} has no address: neither A nor AAAA", target.host))]
            }
            Lookup::Failed(failure) => {
                vec![bare(target, None, Verdict::Unknown, format!("the addresses of {} could not be looked up: {failure}", target.host))]
            }
        };
        for probe in &mut probes {
            probe.stage_ms.dns = dns;
            if dns.is_some() {
                probe.stage_ms.total = Some(probe.stage_ms.total.unwrap_or(0.0) + dns.unwrap_or(0.0));
            }
            // Another address of the same host may have answered on port 25 meanwhile: then it is not blocked.
            if probe.reason.starts_with(PORT25_BLOCKED) && !self.port25.seems_blocked(self.net.now()) {
                probe.verdict = Verdict::Down;
                probe.reason = DialError::TimedOut.to_string();
            }
        }
        let (verdict, summary) = worst(&probes);
        SmtpReport { host: target.host.clone(), port: target.port, mode: target.mode, verdict, summary, probes, close_looks: Vec::new(), login: None }
    }

    /// One conversation with one address of the host.
    pub async fn probe_address(&self, target: &ProbeTarget, address: IpAddr) -> ProbeReport {
        let started = Instant::now();
        let stream = match self.net.dial(SocketAddr::new(address, target.port), self.limits.connect).await {
            Ok(stream) => stream,
            Err(error) => {
                let (verdict, reason) = self.undialled(target.port, address, &error);
                let mut report = bare(target, Some(address), verdict, reason);
                report.stage_ms.total = Some(ms(started));
                return report;
            }
        };
        self.note_reached(target.port);
        let connect = ms(started);
        let mut report = conversation::hold(self, target, address, stream, started).await;
        report.stage_ms.connect = Some(connect);
        report
    }

    /// The way to an address and port over TCP, router by router: at most 15 seconds.
    pub async fn trace(&self, address: SocketAddr) -> PathTrace {
        self.net.trace(address).await
    }

    /// Remembers that a connection was made, where networks block the port for what goes out.
    pub(crate) fn note_reached(&self, port: u16) {
        match port {
            25 => self.port25.reached(self.net.now()),
            submission::IMPLICIT | submission::SUBMISSION => self.submission.reached(self.net.now()),
            _ => {}
        }
    }

    /// What a connection that was not made says of the server.
    pub(crate) fn undialled(&self, port: u16, address: IpAddr, error: &DialError) -> (Verdict, String) {
        match error {
            DialError::Forbidden(_) | DialError::Other(_) => (Verdict::Unknown, error.to_string()),
            DialError::Unreachable if address.is_ipv6() => {
                (Verdict::Unknown, format!("this address is {UNREACHABLE_HERE}; Waypost may have no IPv6 connection"))
            }
            DialError::TimedOut | DialError::Unreachable if port == 25 && self.port25.seems_blocked(self.net.now()) => (
                Verdict::Unknown,
                format!(
                    "{PORT25_BLOCKED}: no port 25 was reached in the last hour; ask the network's operator to open it, or check from another region"
                ),
            ),
            _ => (Verdict::Down, error.to_string()),
        }
    }
}

pub(crate) fn literal_of(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let bare = bare.strip_prefix("IPv6:").unwrap_or(bare);
    bare.parse().ok()
}

/// The name a certificate must carry.
pub(crate) fn server_name(host: &str, address: IpAddr) -> ServerName<'static> {
    if literal_of(host).is_some() {
        return ServerName::IpAddress(address.into());
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_owned();
    ServerName::try_from(host).unwrap_or_else(|_| ServerName::IpAddress(address.into()))
}

fn bare(target: &ProbeTarget, address: Option<IpAddr>, verdict: Verdict, reason: String) -> ProbeReport {
    ProbeReport {
        host: target.host.clone(),
        address,
        port: target.port,
        mode: target.mode,
        verdict,
        reason,
        stage_ms: StageMs::default(),
        tls: None,
        auth: None,
        extensions: Vec::new(),
        banner: None,
        findings: Vec::new(),
        unknown: Vec::new(),
        transcript: Vec::new(),
        trace: None,
    }
}

fn worst(probes: &[ProbeReport]) -> (Verdict, String) {
    let rank = |verdict: Verdict| match verdict {
        Verdict::Unknown => 0,
        Verdict::Up => 1,
        Verdict::Degraded => 2,
        Verdict::Down => 3,
    };
    let mut chosen: Option<&ProbeReport> = None;
    for probe in probes {
        if chosen.is_none_or(|best| rank(probe.verdict) > rank(best.verdict)) {
            chosen = Some(probe);
        }
    }
    let Some(probe) = chosen else { return (Verdict::Unknown, "there was no address to probe".to_owned()) };
    let summary = match probe.address {
        Some(address) if probes.len() > 1 && probe.verdict != Verdict::Up => format!("{address}: {}", probe.reason),
        _ => probe.reason.clone(),
    };
    (probe.verdict, summary)
}

pub(crate) fn ms(since: Instant) -> f64 {
    // Microseconds are plenty and keep the JSON short.
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

/// For the fuzzer: lines of a server, as replies; what is shown of them has no control characters.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz_reply(bytes: &[u8]) {
    let mut parser = reply::ReplyParser::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        match parser.feed(line.strip_suffix(b"\r").unwrap_or(line), 100) {
            Ok(Some(reply)) => assert!((200..600).contains(&reply.code) && !reply.text().chars().any(|char| char.is_control() && char != '\n')),
            Ok(None) => {}
            Err(error) => return drop(std::hint::black_box(error.to_string())),
        }
    }
}
