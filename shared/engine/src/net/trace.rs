//! The way to a host and port over TCP, router by router: for connections that time out or find no way. It asks with connection attempts to the
//! very port, since firewalls let others pass; it sends nothing, and becomes two connections at most where the host takes them.

#[cfg(target_os = "linux")]
mod hop;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::time::Instant;
use waypost_types::outcome::{PathTrace, TraceEnd, TraceHop};

use super::Net;

/// Routers on the way at most.
const MOST_HOPS: u8 = 30;
/// Asked at once. All that lie at the host or beyond it become connections where the host is back up, and a mail server counts those.
const AT_ONCE: u8 = 2;
/// For one router: so short that a way on which nobody answers is followed to its end, and longer than a packet takes around the earth.
const WAIT: Duration = Duration::from_secs(1);
/// For the whole way.
const WHOLE: Duration = Duration::from_secs(15);
/// Routers in a row that keep silent, after which nobody is expected behind them.
const SILENT: usize = 12;

/// Follows the way to an address and port that may be connected to from here.
pub(super) async fn trace(net: &Net, to: SocketAddr) -> PathTrace {
    if let Err(denied) = net.egress_check(to.ip()) {
        return untraced(&denied.to_string());
    }
    let shown = |address: IpAddr| net.egress_check(address).is_ok();
    follow(to, &shown).await
}

fn untraced(why: &str) -> PathTrace {
    PathTrace { hops: Vec::new(), end: TraceEnd::NotPermitted, summary: format!("The way could not be followed: {why}.") }
}

#[cfg(not(target_os = "linux"))]
async fn follow(_: SocketAddr, _: &impl Fn(IpAddr) -> bool) -> PathTrace {
    untraced("this system does not tell who sends a connection back")
}

#[cfg(target_os = "linux")]
async fn follow(to: SocketAddr, shown: &(impl Fn(IpAddr) -> bool + Sync)) -> PathTrace {
    use futures::future::join_all;

    let until = Instant::now() + WHOLE;
    let mut way = Way::default();
    for first in (1..=MOST_HOPS).step_by(usize::from(AT_ONCE)) {
        let wait = WAIT.min(until.saturating_duration_since(Instant::now()));
        if wait.is_zero() || way.silent >= SILENT {
            break;
        }
        let asked = (first..first + AT_ONCE).take_while(|number| *number <= MOST_HOPS);
        let answers = join_all(asked.map(async |number| (number, hop::attempt(to, number, wait).await))).await;
        for (number, answer) in answers {
            match answer {
                Ok((ended, ms)) => way.add(number, &ended, ms, shown),
                Err(error) => return untraced(&format!("the system here does not permit it ({error})")),
            }
            if way.end.is_some() {
                return way.done(to);
            }
        }
    }
    way.done(to)
}

/// The way as far as it is known.
#[cfg(target_os = "linux")]
#[derive(Debug, Default)]
struct Way {
    hops: Vec<TraceHop>,
    silent: usize,
    end: Option<(TraceEnd, String)>,
}

#[cfg(target_os = "linux")]
impl Way {
    fn add(&mut self, number: u8, ended: &hop::Ended, ms: f64, shown: &impl Fn(IpAddr) -> bool) {
        use hop::Ended;

        let ms = (ms * 1e3).round() / 1e3;
        let hop = |address: Option<IpAddr>| TraceHop {
            number,
            address: address.filter(|address| shown(*address)),
            hidden: address.is_some_and(|address| !shown(address)),
            ms: Some(ms),
        };
        self.silent = 0;
        match ended {
            Ended::Router(address) => self.hops.push(hop(*address)),
            Ended::Silent => {
                self.silent = self.hops.iter().rev().take_while(|hop| hop.ms.is_none()).count() + 1;
                self.hops.push(TraceHop { number, address: None, hidden: false, ms: None });
            }
            Ended::Connected => self.end = Some((TraceEnd::Connected, format!("the host takes the connection, {}", away(number)))),
            Ended::Refused => self.end = Some((TraceEnd::Refused, format!("the host refuses the connection, {}", away(number)))),
            Ended::NoWay(address, word) => {
                let who = match address {
                    Some(address) if shown(*address) => address.to_string(),
                    Some(_) => "a router near Waypost".to_owned(),
                    None => "the network here".to_owned(),
                };
                if address.is_some() {
                    self.hops.push(hop(*address));
                }
                self.end = Some((TraceEnd::Stopped, format!("{who} says that {word}")));
            }
        }
    }

    fn done(mut self, to: SocketAddr) -> PathTrace {
        let (end, said) = self.end.take().unwrap_or_else(|| {
            // Silence at the end is no hop.
            let told = self.hops.iter().rposition(|hop| hop.ms.is_some()).map_or(0, |at| at + 1);
            self.hops.truncate(told);
            let said = match self.hops.last() {
                Some(TraceHop { address: Some(address), number, .. }) => {
                    format!(
                        "the way ends behind {address}, {}: from there on nobody answers, as where a firewall drops the packets or the host is off",
                        away(*number)
                    )
                }
                Some(TraceHop { number, .. }) => format!("the way ends {}: from there on nobody answers", away(*number)),
                None => "nobody on the way answers".to_owned(),
            };
            (TraceEnd::Silent, said)
        });
        PathTrace { hops: self.hops, end, summary: format!("On the way to {to}, {said}.") }
    }
}

#[cfg(target_os = "linux")]
fn away(hops: u8) -> String {
    format!("{hops} {} away", if hops == 1 { "hop" } else { "hops" })
}
