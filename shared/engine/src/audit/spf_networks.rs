//! The networks that the domain's own SPF policies name: some can send no mail on the internet, some are far wider than one sender.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Facts, Part, organisational, rules::remark};
use crate::{
    net::not_public,
    spf::{Directive, Mechanism, Qualifier},
};

/// Networks named in one finding.
const MOST_SHOWN: usize = 3;
/// A prefix shorter than these is wide.
const WIDE_V4: u8 = 16;
const WIDE_V6: u8 = 32;
/// Addresses for documentation (RFC 5737, 3849): the guard lets them through, since nobody routes them and laboratories use them.
const DOCUMENTATION: [IpNet; 4] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0)), 24),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 0)), 24),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)), 32),
];

/// The network that a directive lets send; nothing for other directives.
pub(super) fn allowed(directive: &Directive) -> Option<IpNet> {
    if directive.qualifier != Qualifier::Pass {
        return None;
    }
    match directive.mechanism {
        Mechanism::Ip4(address, length) => IpNet::new(IpAddr::V4(address), length).ok(),
        Mechanism::Ip6(address, length) => IpNet::new(IpAddr::V6(address), length).ok(),
        _ => None,
    }
}

/// Remarks the networks of all policies that are the domain's own.
pub(super) fn judge(facts: &Facts, networks: &[IpNet], part: &mut Part) {
    let domain = facts.domain.as_str();
    // An include that is reached twice brings its networks twice.
    let each_once = |wanted: &dyn Fn(&IpNet) -> bool| {
        let mut found: Vec<IpNet> = Vec::new();
        for network in networks.iter().filter(|network| wanted(network)) {
            if !found.contains(network) {
                found.push(*network);
            }
        }
        found
    };
    let private = each_once(&is_private);
    if !private.is_empty() {
        let seen = format!("SPF allows {}, where no mail on the internet comes from", shown(&private));
        part.find(remark("spf.private_addresses", domain, seen).with("network", shown(&private)));
    }
    let wide = each_once(&|network| is_wide(network) && !is_private(network));
    if !wide.is_empty() && !is_provider(facts) {
        let seen = format!("SPF allows {}, a network so wide that strangers send from it", shown(&wide));
        part.find(remark("spf.wide_network", domain, seen));
    }
}

/// Wholly inside one range that is not public: what both ends say of themselves is the same.
pub(super) fn is_private(network: &IpNet) -> bool {
    let first = not_public(network.network());
    (first.is_some() && first == not_public(network.broadcast())) || DOCUMENTATION.iter().any(|range| range.contains(network))
}

pub(super) fn is_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(v4) => v4.prefix_len() < WIDE_V4,
        IpNet::V6(v6) => v6.prefix_len() < WIDE_V6,
    }
}

/// The domain is a mailbox provider's own, whose networks are that wide.
fn is_provider(facts: &Facts) -> bool {
    let own = |host: &str| organisational(host) == organisational(facts.domain.as_str());
    facts.hosts.iter().any(|host| host.provider.is_some() && own(&host.host))
}

fn shown(networks: &[IpNet]) -> String {
    let named: Vec<String> = networks.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
    match networks.len().saturating_sub(MOST_SHOWN) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn private_means_wholly_private() {
        for inside in ["10.0.0.0/8", "10.1.2.3/32", "192.168.4.0/22", "127.0.0.1/32", "169.254.0.0/16", "198.51.100.7/32", "fc00::/7", "fe80::/64"] {
            assert!(is_private(&net(inside)), "{inside}");
        }
        for outside in ["8.8.8.8/32", "0.0.0.0/0", "10.0.0.0/7", "192.0.0.0/8", "198.0.0.0/8", "2001::/16", "::/0", "2001:4860::/32"] {
            assert!(!is_private(&net(outside)), "{outside}");
        }
        assert!(is_private(&net("2001:db8:7::/48")));
    }

    #[test]
    fn wide_is_shorter_than_sixteen_or_thirty_two() {
        for (network, wide) in [("8.0.0.0/15", true), ("8.8.0.0/16", false), ("2600::/31", true), ("2600::/32", false)] {
            assert_eq!(is_wide(&net(network)), wide, "{network}");
        }
        assert_eq!(shown(&[net("8.0.0.0/8"); 5]), "8.0.0.0/8, 8.0.0.0/8, 8.0.0.0/8 and 2 more");
    }
}
