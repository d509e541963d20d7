//! A web address: each step of its redirects with the time of each stage, the certificate, the status, and what the page holds.

use std::{net::SocketAddr, time::Duration};

use reqwest::Url;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use waypost_types::{
    finding::Severity,
    outcome::{ServiceLook, Verdict},
    service::Page,
};

use super::{Server, addresses_of, connect, judged, nowhere};
use crate::{
    audit::rules::{Remark, remark},
    net::{HttpFailure, MOST_REDIRECTS, checked_url, get_over},
    probe::{Prober, ms, remarks::judge_certificate, server_name, tls::handshake_failure},
    text::shown,
};

/// No redirect is followed after that.
const LIMIT: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For the answer, once there is a session.
const ANSWER: Duration = Duration::from_secs(15);
/// For a connection to any of the addresses.
const CONNECTED: Duration = Duration::from_secs(20);
/// Addresses of a host that are tried, as programs do.
const MOST_TRIED: usize = 4;
/// Bytes of a page that a text is looked for in.
const MOST_BYTES: usize = 256 * 1024;
/// Characters of an address that are shown in a sentence.
const SHOWN: usize = 120;

/// A step that was taken, and where it leads.
struct Step {
    look: ServiceLook,
    next: Option<Url>,
}

/// Asks for the page, and for what it redirects to.
pub(super) async fn looks(prober: &Prober, url: &str, page: &Page) -> Vec<ServiceLook> {
    let until = Instant::now() + LIMIT;
    let mut looks: Vec<ServiceLook> = Vec::new();
    // It was checked when it was read: what is none gives no look.
    let mut next = checked_url(url).ok();
    while let Some(url) = next.take() {
        let begun = Instant::now();
        let step = step(prober, &url, page, looks.len()).await;
        let mut look = step.look;
        look.stage_ms.total = Some(ms(begun));
        looks.push(look);
        next = step.next;
        if let Some(further) = next.take_if(|_| Instant::now() >= until) {
            let reason = format!("the redirects were not followed to their end within {} seconds", LIMIT.as_secs());
            looks.push(ServiceLook { verdict: Verdict::Unknown, url: Some(further.to_string()), reason, ..ServiceLook::default() });
        }
    }
    looks
}

async fn step(prober: &Prober, url: &Url, page: &Page, steps: usize) -> Step {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let server = Server { host: &host, port: prober.net.https_port() };
    let ends = |look: ServiceLook| Step { look: ServiceLook { url: Some(url.to_string()), ..look }, next: None };
    let (found, dns) = addresses_of(prober, &host).await;
    let addresses = match found {
        Ok(addresses) => addresses,
        Err((verdict, reason)) => {
            let mut look = nowhere(server, verdict, reason);
            look.stage_ms.dns = dns;
            return ends(look);
        }
    };
    let mut refused = None;
    let mut connected = None;
    let by = Instant::now() + CONNECTED;
    for address in addresses.into_iter().take(MOST_TRIED) {
        let Ok(tried) = timeout_at(by, connect(prober, server, address)).await else { break };
        match tried {
            Ok(made) => {
                connected = Some((address, made));
                break;
            }
            // That one address refuses says more than that another can not be reached from here.
            Err(look) if refused.as_ref().is_none_or(|before: &ServiceLook| before.verdict == Verdict::Unknown) => refused = Some(look),
            Err(_) => {}
        }
    }
    let Some((address, (stream, took))) = connected else {
        let mut look = refused.unwrap_or_default();
        look.stage_ms.dns = dns;
        return ends(look);
    };
    let mut look = ServiceLook { address: Some(address), url: Some(url.to_string()), ..ServiceLook::default() };
    (look.stage_ms.dns, look.stage_ms.connect) = (dns, Some(took));
    let mut remarks = Vec::new();
    let secured = secure(prober, &mut look, &mut remarks, (server, SocketAddr::new(address, server.port)), stream).await;
    let Some(mut tls) = secured else { return ends(settled(look, remarks, &host, String::new())) };
    let most = if page.contains.is_some() { MOST_BYTES } else { 0 };
    let got = match timeout(ANSWER, get_over(&mut tls, url, most)).await {
        Err(_) => Err(HttpFailure::TimedOut(ANSWER)),
        Ok(got) => got,
    };
    let got = match got {
        Ok(got) => got,
        Err(failure) => {
            remarks.push(remark("https.no_answer", &host, format!("{} gives no answer: {failure}", shown(url.as_str(), SHOWN))));
            return ends(settled(look, remarks, &host, String::new()));
        }
    };
    look.stage_ms.first_byte = Some(got.first_byte.as_secs_f64() * 1000.0);
    look.status = Some(got.status);
    look.leads_to.clone_from(&got.location);
    if let Some(location) = got.location.as_deref().filter(|_| follows(page, got.status)) {
        return match leads(url, location, steps) {
            Ok(next) => {
                let fine = format!("{} leads on to {}", shown(url.as_str(), SHOWN), shown(next.as_str(), SHOWN));
                Step { look: settled(look, remarks, &host, fine), next: Some(next) }
            }
            Err(why) => {
                remarks.push(remark("https.redirects", &host, format!("{} {why}", shown(url.as_str(), SHOWN))));
                ends(settled(look, remarks, &host, String::new()))
            }
        };
    }
    if !page.takes(got.status) {
        let wanted = page.statuses.iter().map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") });
        let wanted = wanted.collect::<Vec<_>>().join(", ");
        remarks.push(remark(
            "https.status",
            &host,
            format!("{} answers with status {}, expected was {wanted}", shown(url.as_str(), SHOWN), got.status),
        ));
    } else if let Some(text) = page.contains.as_deref().filter(|text| !String::from_utf8_lossy(&got.body).contains(*text)) {
        let of = if got.whole { String::new() } else { format!(" in its first {} KiB", got.body.len() / 1024) };
        remarks.push(remark("https.text", &host, format!("{} does not hold “{text}”{of}", shown(url.as_str(), SHOWN))));
    }
    ends(settled(look, remarks, &host, format!("answers with status {}", got.status)))
}

fn settled(look: ServiceLook, remarks: Vec<Remark>, host: &str, fine: String) -> ServiceLook {
    judged(look, remarks.into_iter().map(Remark::for_web).collect(), host, fine)
}

/// TLS over the connection, with what its certificate earns; nothing where there is no session.
async fn secure(
    prober: &Prober,
    look: &mut ServiceLook,
    remarks: &mut Vec<Remark>,
    (server, address): (Server<'_>, SocketAddr),
    stream: TcpStream,
) -> Option<TlsStream<TcpStream>> {
    let Server { host, .. } = server;
    let tls = match &prober.tls {
        Ok(tls) => tls,
        Err(error) => {
            remarks.push(remark("https.no_answer", host, format!("TLS could not be set up here: {error}")).severity(Severity::Medium));
            return None;
        }
    };
    let begun = Instant::now();
    let name = server_name(host, address.ip());
    let shaken = timeout(HANDSHAKE, TlsConnector::from(tls.config.clone()).connect(name.clone(), stream)).await;
    look.stage_ms.tls = Some(ms(begun));
    match shaken.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(session) => {
            let seen = tls.judge(&session, &name, prober.net.now());
            judge_certificate(host, true, &seen, prober.net.now(), remarks);
            look.tls = Some(seen.report);
            Some(session)
        }
        Err(error) => {
            let (reason, _) = handshake_failure(&error);
            remarks.push(remark("https.handshake_fails", host, format!("The TLS handshake with {host} fails: {reason}")));
            None
        }
    }
}

/// Redirects are followed, unless the statuses that are expected name them.
fn follows(page: &Page, status: u16) -> bool {
    let usual = page.statuses.as_slice() == [(200, 399)];
    matches!(status, 301 | 302 | 303 | 307 | 308) && (usual || !page.takes(status))
}

/// The next step, or why there is none.
fn leads(from: &Url, location: &str, steps: usize) -> Result<Url, String> {
    if steps >= MOST_REDIRECTS {
        return Err(format!("leads on and on: more than {MOST_REDIRECTS} redirects"));
    }
    let next = from.join(location).map_err(|error| format!("leads to “{}”, which is no address: {error}", shown(location, SHOWN)))?;
    if next.scheme() == "http" {
        return Err(format!("leads to {}, which is not encrypted", shown(next.as_str(), SHOWN)));
    }
    checked_url(next.as_str()).map_err(|error| format!("leads to an address that is not followed: {error}"))
}
