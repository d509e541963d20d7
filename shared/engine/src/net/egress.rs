//! The egress guard: which addresses we may connect to or query. Tenants name the hosts, so a name must never lead us into our own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::own::Own;

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
    /// Says whether an address may be named as a target. Addresses of this machine may: their listings are looked up without connecting, and
    /// another region's worker may connect to them.
    pub fn check(&self, address: IpAddr) -> Result<(), EgressDenied> {
        self.judge(address, |_| false)
    }

    /// Says whether an address may be connected to from this machine, whose own addresses are refused as well.
    pub(super) fn check_dial(&self, address: IpAddr, own: &Own) -> Result<(), EgressDenied> {
        self.judge(address, |address| own.has(address))
    }

    fn judge(&self, address: IpAddr, own: impl Fn(IpAddr) -> bool) -> Result<(), EgressDenied> {
        let Self::Guarded { allow } = self else { return Ok(()) };
        let canonical = address.to_canonical();
        if allow.iter().any(|net| net.contains(&canonical) || net.contains(&address)) {
            return Ok(());
        }
        let inner = match canonical {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => embedded_v4(v6).map(IpAddr::V4),
        };
        let ours = || (own(canonical) || inner.is_some_and(&own)).then_some("an address of this machine itself");
        match not_public(canonical).or_else(ours) {
            Some(reason) => Err(EgressDenied { address, reason }),
            None => Ok(()),
        }
    }
}

/// Why an address is not one of the public internet (RFC 6890), in words: "a private address".
/// Whether an address is one of the internet: not private, loopback, reserved or the like.
pub fn is_public(address: IpAddr) -> bool {
    not_public(address).is_none()
}

pub(crate) fn not_public(address: IpAddr) -> Option<&'static str> {
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
    embedded_v4(ip).and_then(reason_v4)
}

/// IPv4 in IPv6 clothes: compatible, NAT64 (RFC 6052, 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let joined = |high: u16, low: u16| (u32::from(high) << 16) | u32::from(low);
    Some(Ipv4Addr::from(match s {
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, .., high, low] | [0x2002, high, low, ..] => {
            joined(high, low)
        }
        [0x2001, 0, .., high, low] => !joined(high, low),
        _ => return None,
    }))
}
