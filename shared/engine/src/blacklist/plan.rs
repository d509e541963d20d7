//! From a subject to the name that is asked, and the test points of a zone (RFC 5782 2.1, 2.4, 3 and 5).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use waypost_types::DomainName;

use super::catalog::{Kind, Zone};

/// What is looked for on the lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An address.
    Address(IpAddr),
    /// A domain.
    Domain(DomainName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{}", address.to_canonical()),
            Self::Domain(name) => f.write_str(name.as_str()),
        }
    }
}

impl From<IpAddr> for Subject {
    fn from(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

impl From<DomainName> for Subject {
    fn from(name: DomainName) -> Self {
        Self::Domain(name)
    }
}

/// The name to ask; `None` when the zone does not take such a subject or the name would be too long.
pub(super) fn query(subject: &Subject, zone: &Zone) -> Option<String> {
    let (kind, label) = match subject {
        Subject::Address(address) => match address.to_canonical() {
            IpAddr::V4(v4) => (Kind::Ip4, reversed4(v4)),
            IpAddr::V6(v6) => (Kind::Ip6, reversed6(v6)),
        },
        Subject::Domain(name) => (Kind::Domain, name.as_str().to_owned()),
    };
    let name = format!("{label}.{}", zone.zone);
    (zone.kind.contains(&kind) && name.len() <= 253).then_some(name)
}

/// Names that must answer and names that must not.
pub(super) struct TestPoints {
    /// One of these must answer.
    pub listed: Vec<String>,
    /// This must not.
    pub clean: String,
}

/// The published test points of a zone, or those of RFC 5782.
pub(super) fn test_points(zone: &Zone) -> TestPoints {
    let listed: Vec<String> = zone.test_listed.iter().map(|point| point_name(point, zone)).collect();
    let clean = zone.test_clean.first().map(|point| point_name(point, zone));
    let by_rfc = |v4: &str, v6: &str, domain: &str| {
        let point = if zone.kind.contains(&Kind::Ip4) {
            v4
        } else if zone.kind.contains(&Kind::Ip6) {
            v6
        } else {
            domain
        };
        point_name(point, zone)
    };
    TestPoints {
        listed: if listed.is_empty() { vec![by_rfc("127.0.0.2", "::ffff:7f00:2", "test")] } else { listed },
        clean: clean.unwrap_or_else(|| by_rfc("127.0.0.1", "::ffff:7f00:1", "invalid")),
    }
}

fn point_name(point: &str, zone: &Zone) -> String {
    let label = match point.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => reversed4(v4),
        Ok(IpAddr::V6(v6)) => reversed6(v6),
        Err(_) => point.to_owned(),
    };
    format!("{label}.{}", zone.zone)
}

fn reversed4(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("{d}.{c}.{b}.{a}")
}

fn reversed6(address: Ipv6Addr) -> String {
    let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
    nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blacklist::catalog::{find, foreign};

    #[test]
    fn names_are_reversed() {
        let zen = find("spamhaus-zen").unwrap();
        let ask = |text: &str| query(&Subject::Address(text.parse().unwrap()), zen);
        assert_eq!(ask("192.0.2.99").as_deref(), Some("99.2.0.192.zen.spamhaus.org"));
        assert_eq!(ask("::ffff:192.0.2.99"), ask("192.0.2.99"));
        assert_eq!(
            ask("2001:db8:1:2:3:4:567:89ab").as_deref(),
            Some("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.zen.spamhaus.org")
        );
        assert_eq!(query(&Subject::Domain("example.com".parse().unwrap()), zen), None);
        let dbl = find("dbl.spamhaus.org").unwrap();
        assert_eq!(query(&Subject::Domain("Example.COM".parse().unwrap()), dbl).as_deref(), Some("example.com.dbl.spamhaus.org"));
    }

    #[test]
    fn test_points_are_published_or_those_of_the_standard() {
        let points = test_points(&foreign("bl.lab.test."));
        assert_eq!((points.listed, points.clean), (vec!["2.0.0.127.bl.lab.test".to_owned()], "1.0.0.127.bl.lab.test".to_owned()));
        assert_eq!(test_points(find("spamhaus-dbl").unwrap()).listed, ["dbltest.com.dbl.spamhaus.org"]);
        assert!(test_points(find("sem-ipv6").unwrap()).clean.starts_with("1.0.0.0.0.0.f.7.f.f.f.f.0."));
    }
}
