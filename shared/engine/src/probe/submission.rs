//! Whether the ports where mail programs log in are there (RFC 8314 3.3, RFC 6409): asked once a day beside a server that is meant for users,
//! which is one that answers on 587, or that offers AUTH on port 25. A port is missing where every address of the host refuses it. Silence is no
//! answer: networks close 465 for what goes out as they close 25. Some do it by refusing: a refusal counts where some port 465 or 587 was reached
//! from here in the last hour, which 587 of the host itself was when it answered.

use std::net::{IpAddr, SocketAddr};

use futures::future::join_all;
use tokio::time::Instant;
use waypost_types::outcome::{AuthReport, ProbeMode, ProbeReport};

use super::{MOST_ADDRESSES, ProbeTarget, Prober, conversation, literal_of};
use crate::{
    audit::rules::{Remark, remark},
    net::{DialError, Lookup},
};

/// Where servers take mail of others.
const MX: u16 = 25;
/// STARTTLS (RFC 6409).
pub(super) const SUBMISSION: u16 = 587;
/// TLS from the first byte (RFC 8314 7.3).
pub(super) const IMPLICIT: u16 = 465;

/// A port of a host, over all its addresses.
#[derive(Debug, PartialEq, Eq)]
enum Port {
    Open,
    Refused,
    Untold(String),
}

/// What is missing beside the port of this conversation; nothing where it is not one of a server for users.
pub(super) async fn look(prober: &Prober, held: &ProbeReport) -> Result<Option<Remark>, String> {
    look_at(prober, held, (held.port, [SUBMISSION, IMPLICIT])).await
}

/// `port` is what the conversation's stands for, the others where to look: tests have no ports of their own below 1024.
async fn look_at(prober: &Prober, held: &ProbeReport, (port, [submission, implicit]): (u16, [u16; 2])) -> Result<Option<Remark>, String> {
    let host = &held.host;
    let takes_logins = |auth: &AuthReport| !(auth.in_clear.is_empty() && auth.under_tls.is_empty());
    match port {
        SUBMISSION => Ok(match state(prober, host, implicit).await {
            Port::Open => None,
            Port::Refused => {
                let summary = format!("{host} answers on port {SUBMISSION}, and nothing listens on port {IMPLICIT}");
                Some(remark("smtp.implicit_tls_missing", host, summary))
            }
            Port::Untold(reason) => return Err(reason),
        }),
        MX if held.auth.as_ref().is_some_and(takes_logins) => {
            let (first, second) = tokio::join!(state(prober, host, submission), state(prober, host, implicit));
            match (first, second) {
                (Port::Open, _) | (_, Port::Open) => Ok(None),
                (Port::Refused, Port::Refused) if !prober.submission.lately(prober.net.now()) => Err(format!(
                    "ports {IMPLICIT} and {SUBMISSION} of {host} are refused, which may be this network's doing: no such port was reached in the last hour"
                )),
                (Port::Refused, Port::Refused) => {
                    let summary = format!("{host} offers AUTH on port {MX}, and nothing listens on port {IMPLICIT} or {SUBMISSION}");
                    Ok(Some(remark("smtp.submission_missing", host, summary)))
                }
                (Port::Untold(reason), _) | (_, Port::Untold(reason)) => Err(reason),
            }
        }
        _ => Ok(None),
    }
}

async fn state(prober: &Prober, host: &str, port: u16) -> Port {
    let addresses = match literal_of(host) {
        Some(address) => vec![address],
        None => match prober.net.dns().addresses(host).await {
            Lookup::Found(addresses) => addresses,
            Lookup::Missing(_) => return Port::Untold(format!("{host} has no address any more")),
            Lookup::Failed(failure) => return Port::Untold(format!("the addresses of {host} could not be looked up: {failure}")),
        },
    };
    let asked = addresses.into_iter().take(MOST_ADDRESSES).map(|address| reach(prober, host, address, port));
    let mut all = Port::Untold(format!("{host} has no address to ask"));
    for (index, one) in join_all(asked).await.into_iter().enumerate() {
        all = match (one, all) {
            (Port::Open, _) | (_, Port::Open) => Port::Open,
            (Port::Refused, _) if index == 0 => Port::Refused,
            (Port::Refused, before) => before,
            (untold @ Port::Untold(_), _) => untold,
        };
    }
    all
}

async fn reach(prober: &Prober, host: &str, address: IpAddr, port: u16) -> Port {
    let started = Instant::now();
    match prober.net.dial(SocketAddr::new(address, port), prober.limits.connect).await {
        Ok(stream) => {
            prober.note_reached(port);
            // Whoever connects says EHLO and QUIT; what comes of it does not matter here.
            let target = ProbeTarget { host: host.to_owned(), port, mode: ProbeMode::of_port(port), auth: None };
            drop(conversation::hold(prober, &target, address, stream, started).await);
            Port::Open
        }
        Err(DialError::Refused) => Port::Refused,
        Err(error) => Port::Untold(format!("port {port} of {address}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::{
        super::tests::{prober, script, usual},
        *,
    };

    /// A port where a server answers, and one where nothing listens.
    async fn ports() -> (u16, u16) {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let numbers = (open.local_addr().unwrap().port(), closed.local_addr().unwrap().port());
        drop(closed);
        tokio::spawn(async move {
            while let Ok((stream, _)) = open.accept().await {
                tokio::spawn(script(stream, "220 mx.lab.test\r\n", usual("250 HELP\r\n")));
            }
        });
        numbers
    }

    fn held(host: &str, auth: bool) -> ProbeReport {
        let target = ProbeTarget { host: host.to_owned(), port: 25, mode: ProbeMode::Starttls, auth: None };
        let mut held = super::super::bare(&target, None, waypost_types::outcome::Verdict::Up, String::new());
        if auth {
            held.auth = Some(AuthReport { under_tls: vec!["PLAIN".to_owned()], ..AuthReport::default() });
        }
        held
    }

    #[tokio::test]
    async fn a_port_is_missing_where_it_is_refused_and_the_server_is_for_users() {
        let (open, closed) = ports().await;
        for (port, auth, submission, implicit, found) in [
            (587, true, closed, open, None),
            (587, true, open, closed, Some("smtp.implicit_tls_missing")),
            // What 587 is for is plain without AUTH, too: that it lacks it is a finding of its own.
            (587, false, open, closed, Some("smtp.implicit_tls_missing")),
            (25, true, closed, closed, Some("smtp.submission_missing")),
            (25, true, closed, open, None),
            (25, true, open, closed, None),
            // An MX host that nobody logs in at needs neither; 465 and other ports ask nothing.
            (25, false, closed, closed, None),
            (465, true, closed, closed, None),
            (2525, true, closed, closed, None),
        ] {
            let said = look_at(&prober(), &held("127.0.0.1", auth), (port, [submission, implicit])).await.unwrap().map(Remark::done);
            assert_eq!(said.as_ref().map(|finding| finding.rule.as_str()), found, "{port} {auth} {said:?}");
            assert!(said.is_none_or(|finding| !finding.fix.contains('{')));
        }
    }

    #[tokio::test]
    async fn a_refusal_counts_where_such_ports_can_be_reached() {
        let (open, closed) = ports().await;
        let blocked = Prober::new(&prober().net);
        let mx = held("127.0.0.1", true);
        let said = look_at(&blocked, &mx, (25, [closed, closed])).await.map(|found| found.is_some());
        assert!(said.as_ref().is_err_and(|reason| reason.contains("no such port was reached")), "{said:?}");
        // The 587 of the host answered; what was reached long ago, or is another port, says nothing.
        assert!(look_at(&blocked, &mx, (587, [open, closed])).await.unwrap().is_some());
        blocked.submission.reached(blocked.net.now() - chrono::Duration::hours(2));
        assert!(look_at(&blocked, &mx, (25, [closed, closed])).await.is_err());
        blocked.note_reached(25);
        assert!(look_at(&blocked, &mx, (25, [closed, closed])).await.is_err());
        for port in [465, 587] {
            let reached = Prober::new(&prober().net);
            reached.note_reached(port);
            assert!(look_at(&reached, &mx, (25, [closed, closed])).await.unwrap().is_some(), "{port}");
        }
    }

    #[tokio::test]
    async fn what_can_not_be_told_is_not_missing() {
        let (open, closed) = ports().await;
        // The resolver of these tests answers nothing.
        for (port, ports) in [(587, [open, closed]), (25, [closed, closed])] {
            let said = look_at(&prober(), &held("mx.lab.test", true), (port, ports)).await.map(|found| found.is_some());
            assert!(said.as_ref().is_err_and(|reason| reason.contains("could not be looked up")), "{said:?}");
        }
    }
}
