//! The egress guard: which addresses we may connect to or query. Tenants name the hosts, so a name must never lead us into our own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// How far outgoing connections may go.
#[derive(Debug, Clone)]
pub enum Egress {
    /// The command line: it acts with its caller's rights.
    Unrestricted,
    /// Server and worker: public addresses, and the ranges the operator opened. An allowed range wins over every refusal.
    Guarded {
        /// Ranges of `WAYPOST_EGRESS_ALLOW`.
        allow: Vec<IpNet>,
    },
}

/// A refused address, with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused: {address} is {reason}, which Waypost does not connect to; the operator can allow the range with WAYPOST_EGRESS_ALLOW")]
pub struct EgressDenied {
    /// The address.
    pub address: IpAddr,
    /// What it is: "a loopback address".
    pub reason: &'static str,
}

impl Egress {
    /// Says whether an address may be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), EgressDenied> {
        let Self::Guarded { allow } = self else { return Ok(()) };
        let canonical = address.to_canonical();
        if allow.iter().any(|net| net.contains(&canonical) || net.contains(&address)) {
            return Ok(());
        }
        match reason(canonical) {
            Some(reason) => Err(EgressDenied { address, reason }),
            None => Ok(()),
        }
    }
}

fn reason(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => reason_v4(v4),
        IpAddr::V6(v6) => reason_v6(v6),
    }
}

fn reason_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = ip.octets();
    Some(match (a, b, c) {
        (0, ..) => "an address of “this network”",
        (127, ..) => "a loopback address",
        (10, ..) | (192, 168, _) | (172, 16..=31, _) => "a private address",
        (169, 254, _) => "a link-local address (cloud metadata lives there)",
        (100, 64..=127, _) => "a carrier-grade NAT address",
        (192, 0, 0) => "a protocol assignment",
        (198, 18..=19, _) => "a benchmarking address",
        (224..=239, ..) => "a multicast address",
        (240.., ..) => "a reserved address",
        _ => return None,
    })
}

fn reason_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let s = ip.segments();
    if ip.is_unspecified() {
        return Some("the unspecified address");
    }
    if ip.is_loopback() {
        return Some("a loopback address");
    }
    if s[0] & 0xfe00 == 0xfc00 {
        return Some("a private address");
    }
    if s[0] & 0xffc0 == 0xfe80 {
        return Some("a link-local address");
    }
    if s[0] & 0xffc0 == 0xfec0 {
        return Some("a site-local address");
    }
    if s[0] & 0xff00 == 0xff00 {
        return Some("a multicast address");
    }
    // IPv4 in IPv6 clothes: compatible, NAT64 (RFC 6052, 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
    let tail = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    if s[..6] == [0; 6] {
        return reason_v4(tail());
    }
    if s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] || s[..3] == [0x64, 0xff9b, 1] {
        return reason_v4(tail());
    }
    if s[0] == 0x2002 {
        return reason_v4(Ipv4Addr::from((u32::from(s[1]) << 16) | u32::from(s[2])));
    }
    if s[0] == 0x2001 && s[1] == 0 {
        return reason_v4(Ipv4Addr::from(!((u32::from(s[6]) << 16) | u32::from(s[7]))));
    }
    None
}
