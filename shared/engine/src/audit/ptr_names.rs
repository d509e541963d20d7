//! Reverse names that nobody chose: those of lines, and those that a hoster makes of the address (RFC 1912 2.1, M3AAWG sender practices).

use std::net::IpAddr;

use super::{local_names::under, organisational};

/// Words of access networks, below the network's own domain: that may be called cable.example.
const LINE: [&str; 12] = ["dyn", "dynamic", "dsl", "adsl", "vdsl", "pool", "dhcp", "dialup", "ppp", "pppoe", "cable", "dip"];
/// Words of mail servers. A pool of them is no pool of lines.
const MAIL: [&str; 10] = ["mail", "smtp", "mx", "mta", "relay", "out", "outbound", "send", "sender", "mailout"];
/// Domains under which hosters name each machine by themselves.
const HOSTERS: [&str; 10] = [
    "compute.amazonaws.com",
    "compute-1.amazonaws.com",
    "bc.googleusercontent.com",
    "clients.your-server.de",
    "ip.linodeusercontent.com",
    "vultrusercontent.com",
    "contaboserver.net",
    "stratoserver.net",
    "vps.ovh.net",
    "hstgr.cloud",
];

/// Why a name is one that nobody chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generic {
    /// It has a word of access networks.
    Line,
    /// It is made of the address, or of a hoster's numbering.
    Hoster,
}

/// Whether nobody chose the name. Names under one of the organisation's `own` domains were chosen, whatever they are made of.
pub(super) fn generic(name: &str, address: IpAddr, own: &[&str]) -> Option<Generic> {
    if own.iter().any(|domain| under(name, domain)) {
        return None;
    }
    let below = name.strip_suffix(organisational(name)).unwrap_or(name);
    let has = |words: &[&str]| below.split(|c: char| !c.is_ascii_alphabetic()).any(|word| words.contains(&word));
    let made = made_of(name, address);
    if has(&LINE) && (made || !has(&MAIL)) {
        return Some(Generic::Line);
    }
    (made || HOSTERS.iter().any(|hoster| under(name, hoster))).then_some(Generic::Hoster)
}

/// Whether the address stands in the name, in one of the ways in which hosters write it.
fn made_of(name: &str, address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let octets = v4.octets();
            let mut backwards = octets;
            backwards.reverse();
            let numbers: Vec<u8> = name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect();
            let [a, b, c, d] = octets;
            let packed = [format!("{a:02x}{b:02x}{c:02x}{d:02x}"), format!("{a:03}{b:03}{c:03}{d:03}")];
            numbers.windows(4).any(|four| four == octets || four == backwards)
                || name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| packed.iter().any(|digits| word.ends_with(digits.as_str())))
        }
        IpAddr::V6(v6) => {
            let nibbles = format!("{:032x}", u128::from(v6));
            let backwards: String = nibbles.chars().rev().collect();
            let bare: String = name.chars().filter(|c| *c != '.' && *c != '-').collect();
            // The part that the hoster's customer does not share: 16 digits that are not nearly all zero.
            let (network, machine) = (&nibbles[..16], &nibbles[16..]);
            let telling = |digits: &str| digits.chars().filter(|c| *c != '0').count() > 3;
            bare.contains(&nibbles)
                || bare.contains(&backwards)
                || (telling(machine) && bare.contains(machine))
                || (telling(network) && bare.contains(network))
                || name.contains(&v6.to_string().replace(':', "-"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_lines_are_told_from_names_of_servers() {
        let own = ["example.com"];
        let v4 = "203.0.113.7".parse().unwrap();
        for (name, wanted) in [
            ("203-0-113-7.isp.example", Some(Generic::Hoster)),
            ("ec2-203-0-113-7.eu-west-1.compute.amazonaws.com", Some(Generic::Hoster)),
            ("static.7.113.0.203.clients.your-server.de", Some(Generic::Hoster)),
            ("hcb007107.isp.example", Some(Generic::Hoster)),
            ("203000113007.isp.example", Some(Generic::Hoster)),
            ("vps-1a2b3c4d.vps.ovh.net", Some(Generic::Hoster)),
            ("7.113.0.203.dsl.isp.example", Some(Generic::Line)),
            ("host.pool.isp.example", Some(Generic::Line)),
            ("dyn12.isp.example", Some(Generic::Line)),
            ("pool-203-0-113-7.isp.example", Some(Generic::Line)),
            ("mail-203-0-113-7.pool.isp.example", Some(Generic::Line)),
            ("dynamic-ip.isp.example", Some(Generic::Line)),
            // Pools of mail servers, and companies that are called so.
            ("smtp-pool.mailer.example", None),
            ("mta7.pool.mailer.example", None),
            ("mx1.cable.co.uk", None),
            ("server.dip.example", None),
            ("mail4.cable.co.uk", None),
            ("cable.example", None),
            ("mail.example.com", None),
            ("mail-203-0-113-7.example.com", None),
            ("mx1.pool.example.com", None),
            ("mx7.isp.example", None),
            ("dynamo.isp.example", None),
            ("a-203-0-113.isp.example", None),
            ("o203.mail.isp.example", None),
            ("static.isp.example", None),
            ("notexample.com", None),
        ] {
            assert_eq!(generic(name, v4, &own), wanted, "{name}");
        }
        let v6 = "2001:db8:12:34::cafe:7".parse().unwrap();
        for (name, wanted) in [
            ("7.0.0.0.e.f.a.c.0.0.0.0.0.0.0.0.4.3.0.0.2.1.0.0.8.b.d.0.1.0.0.2.isp.example", Some(Generic::Hoster)),
            ("2001-db8-12-34--cafe-7.isp.example", Some(Generic::Hoster)),
            ("20010db8001200340000000.isp.example", Some(Generic::Hoster)),
            ("host-00000000cafe0007.isp.example", Some(Generic::Hoster)),
            ("mail.isp.example", None),
            ("cafe7.isp.example", None),
            ("2001-db8-12-34--cafe-7.example.com", None),
        ] {
            assert_eq!(generic(name, v6, &own), wanted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(name in "\\PC{0,80}", v4: u32, v6: u128) {
            let _: Option<Generic> = generic(&name, std::net::Ipv4Addr::from(v4).into(), &["example.com"]);
            let _: Option<Generic> = generic(&name, std::net::Ipv6Addr::from(v6).into(), &[""]);
        }
    }
}
