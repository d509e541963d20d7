//! The name a host gives in HELO or EHLO: a full name that exists and leads to the host (RFC 5321 2.3.5, 4.1.3, 4.1.4).

use std::net::IpAddr;

use waypost_types::finding::Finding;

use super::{local_names::local_ending, rules::remark};
use crate::net::{DnsFailure, Lookup, Net};

/// Characters of a name that are shown.
const SHOWN: usize = 100;

/// What receivers of mail from `address` would remark about the HELO name. At most one finding: what is wrong first hides the rest. Nothing
/// where the name itself or the reverse name agrees with the address; why, where DNS does not tell.
pub async fn judge(net: &Net, helo: &str, address: IpAddr) -> Result<Option<Finding>, String> {
    let name = helo.trim().trim_end_matches('.').to_ascii_lowercase();
    let shown: String = name.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if let Some(literal) = literal(&name) {
        let seen = if literal.parse::<IpAddr>().is_ok_and(|literal| literal == address) {
            format!("The HELO name of {address} is the address literal {shown}")
        } else {
            format!("The HELO name of {address} is the address literal {shown}, which is not its address")
        };
        return Ok(Some(remark("helo.literal", &shown, seen).with("ip", address.to_string()).done()));
    }
    if !is_full(&name) {
        let seen = format!("The HELO name of {address} is “{shown}”, which is no full host name");
        let reverse = first_reverse(net, address).await;
        return Ok(Some(remark("helo.not_fqdn", &shown, seen).with("ptr", reverse.as_deref().unwrap_or("its public host name")).done()));
    }
    let untold = |failure: &DnsFailure| format!("the addresses of {shown} could not be looked up: {failure}");
    if let Lookup::Failed(failure) = net.dns().addresses_like(&name, address).await {
        return Err(untold(&failure));
    }
    match net.dns().addresses(&name).await {
        Lookup::Found(addresses) if addresses.contains(&address) => Ok(None),
        Lookup::Found(addresses) => {
            let reverse = match net.dns().ptr(address).await {
                Lookup::Found(reverse) if !reverse.contains(&name) => reverse,
                // That it has no reverse name is told where reverse names are.
                Lookup::Found(_) | Lookup::Missing(_) => return Ok(None),
                Lookup::Failed(failure) => return Err(format!("the reverse name of {address} could not be looked up: {failure}")),
            };
            let (to, is) = (some(addresses.iter().map(ToString::to_string)), some(reverse.iter().cloned()));
            let seen = format!("The HELO name {shown} leads to {to} and not to {address}, whose reverse name is {is}");
            Ok(Some(remark("helo.mismatch", &shown, seen).with("ptr", reverse.first().map_or("", String::as_str)).done()))
        }
        Lookup::Missing(_) => {
            let seen = format!("The HELO name {shown} of {address} has no address in DNS");
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            Ok(Some(remark("helo.unresolvable", &shown, seen).with("helo", &shown).record(kind, &shown, address.to_string()).done()))
        }
        Lookup::Failed(failure) => Err(untold(&failure)),
    }
}

/// What stands in the brackets of an address literal.
fn literal(name: &str) -> Option<&str> {
    let inner = name.strip_prefix('[')?.strip_suffix(']')?;
    Some(inner.strip_prefix("ipv6:").unwrap_or(inner))
}

/// At least two labels of letters, digits and hyphens, no bare address, and none of the local endings.
pub(super) fn is_full(name: &str) -> bool {
    let labels = |name: &str| name.split('.').all(|label| !label.is_empty() && label.len() <= 63 && label.bytes().all(fits));
    name.contains('.') && name.len() <= 253 && labels(name) && name.parse::<IpAddr>().is_err() && local_ending(name).is_none()
}

/// Underscores are no part of host names, yet some have them and work.
fn fits(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

async fn first_reverse(net: &Net, address: IpAddr) -> Option<String> {
    net.dns().ptr(address).await.found().into_iter().next()
}

fn some(all: impl Iterator<Item = String>) -> String {
    all.take(3).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::ResponseCode;
    use proptest::prelude::*;

    use super::*;
    use crate::net::tests::{Say, Server};

    #[tokio::test]
    async fn each_name_has_its_rule_or_none() {
        let records = [
            ("7.113.0.203.in-addr.arpa", "PTR out.e.example"),
            ("out.e.example", "A 203.0.113.7"),
            ("www.e.example", "A 203.0.113.9"),
            ("other.e.example", "A 203.0.113.7"),
        ];
        let mute = ["mute.e.example", "8.113.0.203.in-addr.arpa"].map(|name| (name, Say::Code(ResponseCode::ServFail)));
        let server = Server::start(&records, &mute).await;
        let net = server.net();
        for (helo, rule) in [
            ("out.e.example", None),
            ("OUT.e.example.", None),
            ("other.e.example", None),
            ("www.e.example", Some("helo.mismatch")),
            ("gone.e.example", Some("helo.unresolvable")),
            ("[203.0.113.7]", Some("helo.literal")),
            ("[IPv6:2001:db8::7]", Some("helo.literal")),
            ("203.0.113.7", Some("helo.not_fqdn")),
            ("localhost", Some("helo.not_fqdn")),
            ("mail.local", Some("helo.not_fqdn")),
            ("mail", Some("helo.not_fqdn")),
            ("a..b", Some("helo.not_fqdn")),
            ("", Some("helo.not_fqdn")),
        ] {
            let finding = judge(&net, helo, "203.0.113.7".parse().unwrap()).await.unwrap();
            assert_eq!(finding.as_ref().map(|finding| finding.rule.as_str()), rule, "{helo}: {finding:?}");
            assert!(finding.iter().all(|finding| !finding.fix.contains('{')), "{finding:?}");
        }
        // What DNS does not tell is not fine: the name's addresses, or the reverse name beside addresses that differ.
        for (helo, address, about) in [("mute.e.example", "203.0.113.7", "mute.e.example"), ("www.e.example", "203.0.113.8", "203.0.113.8")] {
            let untold = judge(&net, helo, address.parse().unwrap()).await.unwrap_err();
            assert!(untold.contains(about), "{untold}");
        }
        // Its reverse name agrees though its address is another one: that is the reverse name's fault, and told there.
        let crossed = [("7.113.0.203.in-addr.arpa", "PTR out.e.example"), ("out.e.example", "A 203.0.113.9")];
        let net = Server::start(&crossed, &[]).await.net();
        assert_eq!(judge(&net, "out.e.example", "203.0.113.7".parse().unwrap()).await, Ok(None));
    }

    proptest! {
        #[test]
        fn names_of_any_kind_are_told_apart(name in "\\PC{0,300}") {
            prop_assert!(literal(&name).is_none() || !is_full(&name));
        }
    }
}
