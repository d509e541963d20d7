//! From a subject to the name that is asked, and the test points of a zone (RFC 5782 2.1, 2.4, 3 and 5).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use secrecy::{ExposeSecret, SecretString};
use waypost_types::DomainName;

use super::catalog::{Kind, Zone};

/// Longest name that DNS carries, in octets of text.
const MAX_NAME: usize = 253;

/// What is looked for on the lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An address.
    Address(IpAddr),
    /// A domain.
    Domain(DomainName),
}

impl Subject {
    /// What a zone must take to be asked about it. An address is never asked at a list of domains.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Address(address) if address.to_canonical().is_ipv4() => Kind::Ip4,
            Self::Address(_) => Kind::Ip6,
            Self::Domain(_) => Kind::Domain,
        }
    }
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

/// The name to ask; `None` when the zone does not take such a subject or the name would be too long. With a key it is a secret.
pub(super) fn query(subject: &Subject, zone: &Zone, key: Option<&SecretString>) -> Option<String> {
    let label = match subject {
        Subject::Address(address) => reversed(address.to_canonical()),
        // An address in the clothes of a name; some lists of domains punish asking about one.
        Subject::Domain(name) if name.as_str().rsplit('.').next().is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit())) => return None,
        // A public suffix itself is nobody's domain.
        Subject::Domain(name) if zone.organisational => psl::domain_str(name.as_str())?.to_owned(),
        Subject::Domain(name) => name.as_str().to_owned(),
    };
    let name = under(&label, zone, key);
    (zone.kind.contains(&subject.kind()) && name.len() <= MAX_NAME).then_some(name)
}

/// Names that must answer and names that must not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestPoints {
    /// Published; one of these must answer. Of the kind asked for or, when there are none, of other kinds.
    pub published: Vec<String>,
    /// The one of RFC 5782, when none of the kind asked for is published: unless it answers, silence about this kind proves nothing.
    pub standard: Option<String>,
    /// This must not answer.
    pub clean: String,
    /// Nor these made-up ones: a zone may list the world and know its test points by heart.
    pub controls: Vec<String>,
    /// Well-known addresses that no list of bad senders has: asked when a control answered, since lists of unused networks have those.
    pub well_known: Vec<String>,
}

/// The test points of a zone for one kind of subject. `chance` picks the made-up ones.
pub(super) fn test_points(zone: &Zone, kind: Kind, key: Option<&SecretString>, chance: u64) -> TestPoints {
    let of_kind = |point: &&String| kind_of(point) == kind;
    let name = |point: &str| point_name(point, zone, key);
    let own: Vec<String> = zone.test_listed.iter().filter(of_kind).map(|point| name(point)).collect();
    let (listed, clean) = standard_points(kind);
    let made_up = format!("w{chance:016x}");
    let byte = |shift: u32| u8::try_from(chance >> shift & 0xff).unwrap_or_default();
    let [a, b, c, d] = [byte(0), byte(8), byte(16), byte(24)];
    let (controls, well_known) = match kind {
        Kind::Ip6 => {
            let unused = Ipv6Addr::new(0x2001, 0xdb8, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]), 0, 0, 0, 0xbeef);
            (vec![made_up, unused.to_string()], vec!["2001:4860:4860::8888", "2606:4700:4700::1111"])
        }
        Kind::Domain => (vec![format!("{made_up}.com")], Vec::new()),
        _ => (vec![made_up, Ipv4Addr::new(0xf0 | (a & 7), b, c, d).to_string()], vec!["8.8.8.8", "1.1.1.1"]),
    };
    TestPoints {
        standard: own.is_empty().then(|| name(listed)),
        published: if own.is_empty() { zone.test_listed.iter().map(|point| name(point)).collect() } else { own },
        clean: name(zone.test_clean.iter().find(of_kind).map_or(clean, String::as_str)),
        controls: controls.iter().map(|point| name(point)).collect(),
        well_known: well_known.into_iter().map(name).collect(),
    }
}

/// What RFC 5782 5 has every list have and not have.
fn standard_points(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Ip6 => ("::ffff:7f00:2", "::ffff:7f00:1"),
        Kind::Domain => ("test", "invalid"),
        _ => ("127.0.0.2", "127.0.0.1"),
    }
}

/// The names of both in a zone that publishes no test points of its own.
pub(super) fn standard_names(zone: &Zone, kind: Kind) -> (String, String) {
    let (listed, clean) = standard_points(kind);
    (point_name(listed, zone, None), point_name(clean, zone, None))
}

/// A test point, written as an address or as a label, as the name to ask.
fn point_name(point: &str, zone: &Zone, key: Option<&SecretString>) -> String {
    under(&point.parse().map_or_else(|_| point.to_owned(), reversed), zone, key)
}

fn kind_of(point: &str) -> Kind {
    match point.parse() {
        Ok(IpAddr::V4(_)) => Kind::Ip4,
        Ok(IpAddr::V6(_)) => Kind::Ip6,
        Err(_) => Kind::Domain,
    }
}

fn under(label: &str, zone: &Zone, key: Option<&SecretString>) -> String {
    match key {
        Some(key) => format!("{label}.{}.{}", key.expose_secret(), zone.zone),
        None => format!("{label}.{}", zone.zone),
    }
}

/// Test points are taken as written: `::ffff:7f00:2` stays IPv6, though it maps an IPv4 address. Subjects come in their canonical form.
fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::blacklist::catalog::{find, foreign, zones};

    fn ask(subject: &str, zone: &Zone) -> Option<String> {
        let subject = subject.parse::<IpAddr>().map_or_else(|_| Subject::Domain(subject.parse().unwrap()), Subject::Address);
        query(&subject, zone, None)
    }

    #[test]
    fn names_are_reversed() {
        let zen = find("spamhaus-zen").unwrap();
        assert_eq!(ask("192.0.2.99", zen).as_deref(), Some("99.2.0.192.zen.spamhaus.org"));
        assert_eq!(ask("::ffff:192.0.2.99", zen), ask("192.0.2.99", zen));
        assert_eq!(
            ask("2001:db8:1:2:3:4:567:89ab", zen).as_deref(),
            Some("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.zen.spamhaus.org")
        );
        assert_eq!(ask("example.com", zen), None);
        assert_eq!(ask("Example.COM", find("dbl.spamhaus.org").unwrap()).as_deref(), Some("example.com.dbl.spamhaus.org"));
        assert_eq!(ask("192.0.2.1", find("spamhaus-dbl").unwrap()), None, "an address at a list of domains");
        let disguised = Subject::Domain(DomainName::from_ascii("192.0.2.1.").unwrap());
        assert_eq!(query(&disguised, find("spamhaus-dbl").unwrap(), None), None);
        assert_eq!(ask("example.com", find("msbl-ebl").unwrap()), None, "a list of hashes");
    }

    #[test]
    fn lists_that_want_the_registered_domain_get_it_and_keys_are_labels() {
        let uribl = find("uribl-multi").unwrap();
        assert_eq!(ask("mail.example.co.uk", uribl).as_deref(), Some("example.co.uk.multi.uribl.com"));
        assert_eq!(ask("co.uk", uribl), None);
        assert_eq!(ask("mail.example.co.uk", find("spamhaus-dbl").unwrap()).as_deref(), Some("mail.example.co.uk.dbl.spamhaus.org"));
        let (zen, key) = (find("spamhaus-dqs-zen").unwrap(), SecretString::from("s3cret"));
        let subject = Subject::Address(Ipv4Addr::new(192, 0, 2, 1).into());
        assert_eq!(query(&subject, zen, Some(&key)).as_deref(), Some("1.2.0.192.s3cret.zen.dq.spamhaus.net"));
        assert_eq!(test_points(zen, Kind::Ip4, Some(&key), 0).published, ["2.0.0.127.s3cret.zen.dq.spamhaus.net"]);
    }

    #[test]
    fn test_points_are_published_or_those_of_the_standard() {
        let points = test_points(&foreign("bl.lab.test."), Kind::Ip4, None, 0x0403_0201);
        assert_eq!((points.standard.as_deref(), points.clean.as_str()), (Some("2.0.0.127.bl.lab.test"), "1.0.0.127.bl.lab.test"));
        assert!(points.published.is_empty());
        assert_eq!(points.controls, ["w0000000004030201.bl.lab.test", "4.3.2.241.bl.lab.test"]);
        let dbl = test_points(find("spamhaus-dbl").unwrap(), Kind::Domain, None, 0);
        assert_eq!((dbl.published.as_slice(), dbl.standard), (&["dbltest.com.dbl.spamhaus.org".to_owned()][..], None));
        // Healthy for IPv4 says nothing about IPv6.
        let zen = test_points(find("spamhaus-zen").unwrap(), Kind::Ip6, None, 0);
        assert_eq!(zen.published, ["2.0.0.127.zen.spamhaus.org"]);
        assert_eq!(zen.standard.as_deref(), Some("2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.zen.spamhaus.org"));
        assert!(zen.clean.starts_with("1.0.0.0.0.0.f.7.f.f.f.f.0."));
        assert_eq!(test_points(find("sem-ipv6").unwrap(), Kind::Ip6, None, 0).standard, None);
        assert_eq!(test_points(find("cymru-bogons").unwrap(), Kind::Ip4, None, 0).clean, "8.8.8.8.v4.fullbogons.cymru.com");
        assert_eq!(test_points(find("surbl-multi").unwrap(), Kind::Domain, None, 0).standard, None);
    }

    proptest! {
        #[test]
        fn every_address_has_one_name_that_leads_back(address: u128, v4: u32, chance: u64) {
            let zone = foreign("bl.lab.test");
            let name = query(&Subject::Address(IpAddr::V4(v4.into())), &zone, None).unwrap();
            let mut labels: Vec<&str> = name.strip_suffix(".bl.lab.test").unwrap().split('.').collect();
            labels.reverse();
            prop_assert_eq!(labels.join(".").parse::<Ipv4Addr>(), Ok(Ipv4Addr::from(v4)));
            let v6 = Ipv6Addr::from(address);
            if !IpAddr::V6(v6).to_canonical().is_ipv4() {
                let name = query(&Subject::Address(v6.into()), &zone, None).unwrap();
                let mut nibbles: Vec<&str> = name.strip_suffix(".bl.lab.test").unwrap().split('.').collect();
                nibbles.reverse();
                prop_assert_eq!(nibbles.len(), 32);
                prop_assert_eq!(u128::from_str_radix(&nibbles.concat(), 16), Ok(address));
            }
            for zone in zones() {
                for kind in [Kind::Ip4, Kind::Ip6, Kind::Domain] {
                    let points = test_points(zone, kind, None, chance);
                    prop_assert!(points.controls.iter().all(|name| name.len() <= MAX_NAME && !points.published.contains(name)));
                }
            }
        }

        #[test]
        fn domains_never_make_a_name_dns_can_not_carry(text in "[a-z0-9-]{1,20}(\\.[a-z0-9-]{1,60}){1,6}") {
            if let Ok(domain) = text.parse::<DomainName>() {
                for zone in zones() {
                    if let Some(name) = query(&Subject::Domain(domain.clone()), zone, None) {
                        let suffix = format!(".{}", zone.zone);
                        prop_assert!(name.len() <= MAX_NAME && name.ends_with(&suffix));
                        prop_assert!(zone.kind.contains(&Kind::Domain));
                    }
                }
            }
        }
    }
}
