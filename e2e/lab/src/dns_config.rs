//! The configuration files of nsd and unbound, and the name servers that misbehave.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::error::LabError;
use crate::layout::{DNSSEC_DOMAIN, LAB_DOMAIN, Layout};
use crate::rbl;
use crate::wire;

/// How long the stale name server waits for the one that it asks.
const STALE_LIMIT: Duration = Duration::from_secs(1);

/// Where a zone's file is.
pub fn zone_file(layout: &Layout, name: &str) -> PathBuf {
    layout.path("zones").join(format!("{}.zone", if name == "." { "root" } else { name }))
}

/// nsd: the root and the lab's own zones from the start, all others by `addzone`.
pub fn nsd(layout: &Layout) -> String {
    let dir = layout.dir.display();
    let mut text = format!(
        "server:\n  ip-address: {address}\n  port: 53\n  username: \"\"\n  zonesdir: \"{dir}/zones\"\n  database: \"\"\n  \
         zonelistfile: \"{dir}/nsd.list\"\n  pidfile: \"{dir}/nsd.pid\"\n  xfrdfile: \"{dir}/nsd.xfrd\"\n  xfrdir: \"{dir}\"\n  server-count: 1\n  \
         xfrd-reload-timeout: 0\n  rrl-ratelimit: 0\n  hide-version: yes\n\
         remote-control:\n  control-enable: yes\n  control-interface: {dir}/nsd.sock\n\
         pattern:\n  name: lab\n  zonefile: \"%s.zone\"\n",
        address = layout.authority().ip(),
    );
    let reverse = layout.reverse_zone();
    for (name, file) in [(".", "root"), (LAB_DOMAIN, LAB_DOMAIN), (DNSSEC_DOMAIN, DNSSEC_DOMAIN), (&reverse, &reverse)] {
        text.push_str(&format!("zone:\n  name: \"{name}\"\n  zonefile: \"{file}.zone\"\n"));
    }
    text
}

/// unbound: everything from nsd, the block lists from rbldnsd, nothing from anywhere else, nothing remembered for long. It has the key
/// of the root, which says that all zones are insecure but those below one; of block lists the root does not know.
pub fn unbound(layout: &Layout, anchor: &str) -> String {
    let dir = layout.dir.display();
    let mut text = format!(
        "server:\n  interface: {address}\n  port: 53\n  username: \"\"\n  chroot: \"\"\n  directory: \"{dir}\"\n  pidfile: \"{dir}/unbound.pid\"\n  \
         use-syslog: no\n  do-ip6: no\n  access-control: 127.0.0.0/8 allow\n  do-not-query-localhost: no\n  module-config: \"validator iterator\"\n  \
         trust-anchor-file: \"{anchor}\"\n  ede: yes\n  val-bogus-ttl: 1\n  aggressive-nsec: no\n  \
         qname-minimisation: no\n  harden-below-nxdomain: no\n  cache-max-ttl: 1\n  cache-max-negative-ttl: 1\n  infra-host-ttl: 1\n  \
         unblock-lan-zones: yes\n  local-zone: \"test.\" nodefault\n  local-zone: \"invalid.\" nodefault\n  local-zone: \"onion.\" nodefault\n  \
         local-zone: \"127.in-addr.arpa.\" nodefault\n  edns-buffer-size: 1232\n\
         remote-control:\n  control-enable: yes\n  control-use-cert: no\n  control-interface: {dir}/unbound.sock\n\
         stub-zone:\n  name: \".\"\n  stub-addr: {authority}\n",
        address = layout.resolver().ip(),
        authority = layout.authority().ip(),
    );
    for zone in rbl::zones() {
        text.push_str(&list(zone, layout.rbl()));
    }
    text.push_str(&list(rbl::SILENT, layout.dns_silent()));
    text
}

fn list(zone: &str, server: SocketAddr) -> String {
    format!("server:\n  domain-insecure: \"{zone}\"\nstub-zone:\n  name: \"{zone}\"\n  stub-addr: {}\n", server.ip())
}

/// Name servers that answer every question with a code, or not at all.
pub async fn misbehaving(layout: &Layout) -> Result<(), LabError> {
    for (address, rcode) in [(layout.dns_servfail(), Some(wire::SERVFAIL)), (layout.dns_silent(), None), (layout.dns_refused(), Some(wire::REFUSED))]
    {
        let udp = UdpSocket::bind(address).await.map_err(LabError::io(format!("binding {address}")))?;
        let tcp = TcpListener::bind(address).await.map_err(LabError::io(format!("binding {address}")))?;
        tokio::spawn(over_udp(udp, rcode));
        tokio::spawn(over_tcp(tcp, address, rcode));
    }
    let stale = UdpSocket::bind(layout.dns_stale()).await.map_err(LabError::io("binding the stale name server"))?;
    tokio::spawn(stale_answers(stale, layout.authority()));
    Ok(())
}

/// Passes questions on and makes the serial numbers of the answers older.
async fn stale_answers(socket: UdpSocket, authority: SocketAddr) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        match wire::pass_on(authority, &buffer[..length], STALE_LIMIT).await {
            Ok(mut reply) => {
                if wire::make_stale(&mut reply).is_none() {
                    tracing::debug!("an answer for the stale name server could not be read");
                }
                if let Err(error) = socket.send_to(&reply, peer).await {
                    tracing::debug!(%error, "stale answer not sent");
                }
            }
            Err(error) => tracing::debug!(%error, "no answer for the stale name server"),
        }
    }
}

async fn over_udp(socket: UdpSocket, rcode: Option<u8>) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(reply) = rcode.and_then(|rcode| wire::refusal(&buffer[..length], rcode))
            && let Err(error) = socket.send_to(&reply, peer).await
        {
            tracing::debug!(%error, "refusal not sent");
        }
    }
}

async fn over_tcp(listener: TcpListener, address: SocketAddr, rcode: Option<u8>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        tokio::spawn(async move {
            let exchange = async {
                let length = stream.read_u16().await?;
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await?;
                if let Some(reply) = rcode.and_then(|rcode| wire::refusal(&query, rcode)) {
                    stream.write_u16(u16::try_from(reply.len()).unwrap_or(0)).await?;
                    return stream.write_all(&reply).await;
                }
                stream.read_u8().await.map(drop)
            };
            if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(60), exchange).await {
                tracing::debug!(%error, %address, "misbehaving name server");
            }
        });
    }
}
