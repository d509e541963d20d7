//! The certificates of the MX hosts, which MTA-STS and DANE both ask for: one SMTP conversation per address, shared by the families of an
//! audit and by the audits of a process. What could not be seen is unknown and never held against a host.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use tokio::{sync::Mutex as AsyncMutex, time::Instant};
use waypost_types::{audit::MxCertificate, finding::UnknownPart, outcome::MxHost};

use crate::{
    net::Net,
    probe::{Limits, Port25Memory, Prober, Shown},
    shelf::Shelf,
};

/// Hosts looked at.
pub(super) const MOST_HOSTS: usize = 10;
/// Addresses of a host looked at.
const MOST_ADDRESSES: usize = 2;
/// Mailbox providers are asked no more often than this, whatever is audited.
const PROVIDERS_KEPT: Duration = Duration::from_secs(15 * 60);
/// The servers of others: so that a new look after a repair sees the repair.
const OTHERS_KEPT: Duration = Duration::from_secs(60);
/// Looks kept in a process, and their certificates, some kilobytes each; a host may show far more.
const MOST_KEPT: usize = 2048;
const MOST_KEPT_BYTES: usize = 32 * 1024 * 1024;
/// What is left of an audit's time for what is made of a look.
const RESERVE: Duration = Duration::from_millis(300);
/// With less time than this nobody is asked any more.
const LEAST: Duration = Duration::from_secs(1);
/// A second connection has more time than the first.
const PATIENT: Duration = Duration::from_secs(10);
const LATE: &str = "it did not show its certificate in time; it is asked again at the next check";
/// Where mail is taken.
pub(super) const SMTP: u16 = 25;

/// Network, host, address and port.
type Place = (u64, String, IpAddr, u16);
type Slot = AsyncMutex<Option<(DateTime<Utc>, Arc<Shown>)>>;

/// Looks of this process by place: what one network sees another may not. Whoever asks while another look is under way waits for it.
static KEPT: LazyLock<Mutex<Shelf<Place, Slot>>> = LazyLock::new(|| Mutex::new(Shelf::new(MOST_KEPT, MOST_KEPT_BYTES)));

/// What each address of a host showed.
pub(super) type Looks = Vec<(IpAddr, Arc<Shown>)>;

/// The looks of one audit.
pub(super) struct Chains<'a> {
    net: &'a Net,
    enabled: bool,
    end: Instant,
    port: u16,
    port25: Port25Memory,
    prober: OnceLock<Prober>,
    seen: Mutex<BTreeMap<String, MxCertificate>>,
    unseen: Mutex<BTreeMap<String, String>>,
}

impl<'a> Chains<'a> {
    /// Looks until `end`, or not at all.
    pub fn new(net: &'a Net, enabled: bool, end: Instant) -> Self {
        let port25 = Port25Memory::default();
        Self { net, enabled, end, port: SMTP, port25, prober: OnceLock::new(), seen: Mutex::default(), unseen: Mutex::default() }
    }

    /// With what is known of port 25 here.
    pub fn with_port25(mut self, memory: &Port25Memory) -> Self {
        self.port25 = memory.clone();
        self
    }

    /// With servers at another port, which tests need.
    #[cfg(test)]
    pub fn at_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// What the first addresses of a host show; empty when nothing is looked at, or it has none.
    pub async fn of(&self, host: &MxHost) -> Looks {
        if !self.enabled {
            return Vec::new();
        }
        let looks = host.addresses.iter().take(MOST_ADDRESSES).map(|address| async move { (*address, self.look(host, *address).await) });
        let looks = join_all(looks).await;
        if let Some(why) = unseen(&looks) {
            self.unseen.lock().unwrap_or_else(PoisonError::into_inner).insert(host.host.clone(), why);
        }
        if let Some(certificate) = certificate(&host.host, &looks, self.net.now()) {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(host.host.clone(), certificate);
        }
        looks
    }

    /// What one address of a host shows.
    pub async fn at(&self, host: &MxHost, address: IpAddr) -> Arc<Shown> {
        self.look(host, address).await
    }

    /// The same once more, whatever is kept, and with more patience for the connection.
    pub async fn again(&self, host: &MxHost, address: IpAddr) -> Shown {
        let prober = self.prober().clone().with_limits(Limits { connect: PATIENT, ..limits() });
        let looking = prober.chain(&host.host, address, self.port);
        tokio::time::timeout_at(self.end - RESERVE, looking).await.unwrap_or_else(|_| Shown::Unknown(LATE.to_owned()))
    }

    /// Whether no port 25 was reached from here in the last hour.
    pub fn seems_blocked(&self) -> bool {
        self.port25.seems_blocked(self.net.now())
    }

    /// Whether MX hosts are looked at.
    pub const fn enabled(&self) -> bool {
        self.enabled
    }

    /// For the report: what was seen, by host.
    pub fn seen(&self) -> Vec<MxCertificate> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// For the report: hosts whose certificate could not be seen, and why.
    pub fn unseen(&self) -> Vec<UnknownPart> {
        let unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        let part = |(host, why): (&String, &String)| UnknownPart::new(host, format!("its certificate on port 25: {why}"));
        unseen.iter().map(part).collect()
    }

    async fn look(&self, host: &MxHost, address: IpAddr) -> Arc<Shown> {
        let kept = if host.provider.is_some() { PROVIDERS_KEPT } else { OTHERS_KEPT };
        if self.end - Instant::now() < LEAST {
            return Arc::new(Shown::Unknown(LATE.to_owned()));
        }
        let place: Place = (self.net.id(), host.host.clone(), address, self.port);
        let slot = KEPT.lock().unwrap_or_else(PoisonError::into_inner).place(place.clone());
        let looking = async {
            let mut slot = slot.lock().await;
            let now = self.net.now();
            if let Some((at, shown)) = slot.as_ref()
                && (now - at).to_std().is_ok_and(|age| age < kept)
            {
                return Arc::clone(shown);
            }
            // Should the audit end before the host has answered, it was asked all the same.
            *slot = Some((now, Arc::new(Shown::Unknown(LATE.to_owned()))));
            let shown = Arc::new(self.prober().chain(&host.host, address, self.port).await);
            *slot = Some((now, Arc::clone(&shown)));
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).weigh(&place, weight(&shown));
            shown
        };
        tokio::time::timeout_at(self.end - RESERVE, looking).await.unwrap_or_else(|_| Arc::new(Shown::Unknown(LATE.to_owned())))
    }

    fn prober(&self) -> &Prober {
        self.prober.get_or_init(|| Prober::new(self.net).with_limits(limits()).with_port25(self.port25.clone()))
    }
}

fn limits() -> Limits {
    let seconds = Duration::from_secs;
    Limits {
        connect: seconds(4),
        greeting: seconds(7),
        reply_idle: seconds(6),
        reply_total: seconds(7),
        tls: seconds(5),
        total: seconds(9),
        ..Limits::default()
    }
}

/// Bytes of the certificates and names; the rest is short.
fn weight(shown: &Shown) -> usize {
    match shown {
        Shown::Chain(chain) => {
            chain.certificates.iter().map(|certificate| certificate.len()).sum::<usize>() + chain.tls.names.iter().map(String::len).sum::<usize>()
        }
        _ => 0,
    }
}

/// Why no address of a host could be seen. One is enough to know the host by: that there is no IPv6 here is no news about it.
fn unseen(looks: &Looks) -> Option<String> {
    let mut why = Some("its addresses are not known".to_owned());
    for (_, shown) in looks {
        match shown.untold() {
            Some(reason) => why = Some(reason),
            None => return None,
        }
    }
    why
}

/// The line of a host in the report: the worst of its addresses; nothing where none could be seen.
fn certificate(host: &str, looks: &Looks, now: DateTime<Utc>) -> Option<MxCertificate> {
    let mut worst: Option<MxCertificate> = None;
    for (_, shown) in looks {
        let bare =
            |problem: String| MxCertificate { host: host.to_owned(), trusted: false, name_matches: false, expires: None, problem: Some(problem) };
        let line = match shown.as_ref() {
            Shown::Unknown(_) | Shown::Ended(_) | Shown::Unreached(_) => continue,
            Shown::Chain(chain) => MxCertificate {
                host: host.to_owned(),
                trusted: chain.tls.trusted,
                name_matches: chain.tls.name_matches,
                expires: chain.tls.expires,
                problem: problem(host, shown, now),
            },
            _ => bare(problem(host, shown, now).unwrap_or_default()),
        };
        if worst.as_ref().is_none_or(|worst| worst.problem.is_none()) {
            worst = Some(line);
        }
    }
    worst
}

/// Why a sender that checks certificates by the public authorities turns away (RFC 8461 4.2); nothing where it does not, or can not be told.
pub(super) fn problem(host: &str, shown: &Shown, now: DateTime<Utc>) -> Option<String> {
    let chain = match shown {
        Shown::Unknown(_) | Shown::Ended(_) | Shown::Unreached(_) => return None,
        Shown::NoStarttls => return Some("it does not offer STARTTLS".to_owned()),
        Shown::StarttlsRefused(reply) => return Some(format!("it offers STARTTLS and then refuses it: {reply}")),
        Shown::BadHandshake(reason) => return Some(format!("TLS fails: {reason}")),
        Shown::Chain(chain) => chain,
    };
    if chain.certificates.is_empty() {
        return Some("it shows no certificate".to_owned());
    }
    if let Some(expired) = chain.tls.expires.filter(|to| now > *to) {
        return Some(format!("its certificate expired on {}", expired.format("%Y-%m-%d")));
    }
    if !chain.tls.name_matches {
        let names = match chain.tls.names.as_slice() {
            [] => "no name".to_owned(),
            names => names.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
        };
        return Some(format!("its certificate does not name {host}: it is for {names}"));
    }
    if !chain.tls.trusted {
        let why = chain.untrusted.as_ref().or(chain.tls.trust_problem.as_ref());
        return Some(format!("its certificate is not trusted: {}", why.map_or("the chain can not be verified", String::as_str)));
    }
    None
}
