//! Names from outside, parsed once at the edge: domain names (UTS 46, RFC 5890, RFC 1035), e-mail addresses (RFC 5321 4.1.2) and
//! networks (RFC 4632). A name is judged by its syntax alone: `.test` and `.example` are as welcome as `.com`.

use std::{borrow::Borrow, fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Why a text is no name. The message tells the person who typed it what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("Enter a domain name, for example example.com.")]
    Empty,
    /// More than 253 octets (RFC 1035 2.3.4).
    #[error("The name is longer than the 253 characters DNS allows.")]
    TooLong,
    /// A label is empty, longer than 63 octets, starts or ends with a hyphen or has a character that host names do not have.
    #[error("“{0}” is not a valid part of a domain name: use letters, digits and hyphens, 1 to 63 of them.")]
    Label(String),
    /// An address where a name belongs.
    #[error("“{0}” is an IP address. Add it under Addresses; a domain is a name such as example.com.")]
    IsAddress(String),
    /// One label only.
    #[error("“{0}” has no dot. Enter the full name, for example example.com.")]
    SingleLabel(String),
    /// The last label is a number, which no domain has (RFC 3696 2): most likely an address with a slip.
    #[error("“{0}” ends in a number, as no domain does. A domain is a name such as example.com; an address has four numbers from 0 to 255.")]
    NumericEnd(String),
    /// Not an e-mail address.
    #[error("Enter an email address such as ops@example.com.")]
    Email,
    /// Not an address or network.
    #[error("Enter an IP address or a network, for example 203.0.113.40 or 203.0.113.0/24.")]
    Cidr,
    /// A network with more addresses than one monitor scans.
    #[error("{0} is too large: networks up to /24 (IPv4, 256 addresses) or /120 (IPv6) can be watched. Split it.")]
    CidrTooLarge(String),
}

/// A domain or host name in its ASCII form (A-labels), lower case, without the final dot. Underscore labels are kept, as DNS has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DomainName(String);

impl DomainName {
    /// The ASCII form, for DNS and SMTP.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for people: see [`crate::unicode::display`].
    pub fn display(&self) -> String {
        crate::unicode::display(&self.0)
    }

    /// The name above, or `None` for a single label.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, rest)| Self(rest.to_owned()))
    }

    /// `label` put in front, for names made by us such as `_dmarc`. Fails when the result would be too long.
    pub fn prefixed(&self, label: &str) -> Result<Self, NameError> {
        Self::from_ascii(&format!("{label}.{}", self.0))
    }

    /// True when `self` equals `other` or lies below it.
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        self.0 == other.0 || self.0.strip_suffix(other.as_str()).is_some_and(|rest| rest.ends_with('.'))
    }

    /// Parses a name that DNS gave us: one label is enough and underscores are fine; no mapping of Unicode.
    pub fn from_ascii(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > 253 {
            return Err(NameError::TooLong);
        }
        match text.split('.').find(|label| !label_is_fine(label)) {
            Some(label) => Err(NameError::Label(label.to_owned())),
            None => Ok(Self(text)),
        }
    }
}

fn label_is_fine(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl FromStr for DomainName {
    type Err = NameError;

    /// Parses what a person typed: any case, Unicode, spaces around, a final dot, and an address or URL that holds the name.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = bare_name(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(NameError::IsAddress(text.to_owned()));
        }
        if text.len() > 1024 {
            return Err(NameError::TooLong);
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::Label(text.to_owned()))?;
        let name = Self::from_ascii(&ascii)?;
        match name.0.rsplit_once('.') {
            Some((_, last)) if last.bytes().all(|b| b.is_ascii_digit()) => Err(NameError::NumericEnd(name.0)),
            Some(_) => Ok(name),
            None => Err(NameError::SingleLabel(name.0)),
        }
    }
}

/// People paste `https://www.example.com/path` and `someone@example.com`; the name in it is what they mean.
fn bare_name(text: &str) -> &str {
    let text = text.trim();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split(['/', '?', '#']).next().unwrap_or(text);
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for DomainName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl TryFrom<String> for DomainName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::from_ascii(&text).or_else(|_| text.parse())
    }
}

/// An e-mail address: a dot-atom local part as typed, and a domain name (RFC 5321 4.1.2). At most 254 octets. Quoted local parts are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EmailAddress {
    local: String,
    domain: DomainName,
}

impl EmailAddress {
    /// The part before the `@`, in the case it was typed.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// The form accounts are looked up by: lower case throughout.
    pub fn key(&self) -> String {
        format!("{}@{}", self.local.to_lowercase(), self.domain)
    }
}

impl FromStr for EmailAddress {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (local, domain) = text.trim().rsplit_once('@').ok_or(NameError::Email)?;
        let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        let well_formed = (1..=64).contains(&local.len()) && local.split('.').all(|part| !part.is_empty() && part.chars().all(atom));
        if !well_formed || domain.contains(['/', ':', ' ']) {
            return Err(NameError::Email);
        }
        let domain: DomainName = domain.parse().map_err(|_| NameError::Email)?;
        if local.len() + 1 + domain.as_str().len() > 254 {
            return Err(NameError::Email);
        }
        Ok(Self { local: local.to_owned(), domain })
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

/// One address or a network of at most 256 addresses, host bits cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cidr(IpNet);

impl Cidr {
    /// The widest networks that can be watched.
    pub const WIDEST_V4: u8 = 24;
    /// The same for IPv6: as many addresses.
    pub const WIDEST_V6: u8 = 120;

    /// The network.
    pub fn net(&self) -> IpNet {
        self.0
    }

    /// Every address in it, network and broadcast addresses included; at most 256.
    pub fn addresses(&self) -> Vec<IpAddr> {
        match self.0 {
            IpNet::V4(net) => {
                let first = u32::from(net.network());
                (first..=u32::from(net.broadcast())).map(|n| IpAddr::V4(n.into())).collect()
            }
            IpNet::V6(net) => {
                let first = u128::from(net.network());
                (first..=u128::from(net.broadcast())).map(|n| IpAddr::V6(n.into())).collect()
            }
        }
    }
}

impl From<IpAddr> for Cidr {
    fn from(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }
}

impl FromStr for Cidr {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let net: IpNet = text.parse().map_err(|_| NameError::Cidr)?;
        let net = net.trunc();
        let widest = if net.addr().is_ipv4() { Self::WIDEST_V4 } else { Self::WIDEST_V6 };
        if net.prefix_len() < widest { Err(NameError::CidrTooLarge(net.to_string())) } else { Ok(Self(net)) }
    }
}

impl fmt::Display for Cidr {
    /// A single address prints without its prefix length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { write!(f, "{}", self.0.addr()) } else { write!(f, "{}", self.0) }
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl TryFrom<String> for Cidr {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use utoipa::openapi::{
        ObjectBuilder, RefOr,
        schema::{Schema, Type},
    };

    macro_rules! text {
        ($($name:ident: $example:literal;)*) => {$(
            impl utoipa::PartialSchema for super::$name {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new().schema_type(Type::String).examples([$example]).into()
                }
            }
            impl utoipa::ToSchema for super::$name {}
        )*};
    }
    text! {
        DomainName: "example.com";
        EmailAddress: "ops@example.com";
        Cidr: "203.0.113.0/24";
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_type_becomes_one_name() {
        for (typed, ascii) in [
            ("Example.COM", "example.com"),
            (" example.com. ", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("https://www.example.com/a?b", "www.example.com"),
            ("ops@example.com", "example.com"),
            ("lab.test", "lab.test"),
        ] {
            assert_eq!(typed.parse::<DomainName>().map(String::from), Ok(ascii.to_owned()), "{typed}");
        }
        assert_eq!("bücher.example".parse::<DomainName>().unwrap().display(), "bücher.example");
    }

    #[test]
    fn what_is_no_name_is_refused_with_a_reason() {
        for typed in ["", "localhost", "192.0.2.1", "[::1]", "a..b", "-a.example", "a b.example", "ex_ample..com", &"a".repeat(300)] {
            assert!(typed.parse::<DomainName>().is_err(), "{typed}");
        }
        assert!(format!("{}.example", "a".repeat(64)).parse::<DomainName>().is_err());
        assert_eq!("999.1.1.1".parse::<DomainName>(), Err(NameError::NumericEnd("999.1.1.1".to_owned())));
    }

    #[test]
    fn an_address_needs_both_halves() {
        assert_eq!("Ops+1@Example.com".parse::<EmailAddress>().unwrap().key(), "ops+1@example.com");
        for typed in ["ops", "@example.com", "a b@example.com", "ops@", "ops@localhost", "a\r\nb@example.com", "x..y@example.com"] {
            assert!(typed.parse::<EmailAddress>().is_err(), "{typed}");
        }
    }

    #[test]
    fn networks_have_a_limit() {
        assert_eq!("203.0.113.9/24".parse::<Cidr>().unwrap().to_string(), "203.0.113.0/24");
        assert_eq!("::ffff:192.0.2.1".parse::<Cidr>().unwrap().to_string(), "192.0.2.1");
        assert_eq!("203.0.113.0/24".parse::<Cidr>().unwrap().addresses().len(), 256);
        assert!(matches!("10.0.0.0/23".parse::<Cidr>(), Err(NameError::CidrTooLarge(_))));
        assert!("300.1.1.1".parse::<Cidr>().is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in "\\PC{0,80}") {
            if let Ok(name) = text.parse::<DomainName>() {
                prop_assert_eq!(name.as_str().parse::<DomainName>(), Ok(name.clone()));
            }
            let address: Result<EmailAddress, _> = text.parse();
            if let Ok(address) = address { prop_assert!(address.to_string().parse::<EmailAddress>().is_ok()); }
            let _: Result<Cidr, _> = text.parse();
        }
    }
}
