//! Records of DNS by their type: the one form in which values are compared. Names are compared without regard to case and final dot, texts as one
//! piece, addresses by what they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A type of records that can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)] // the names are the types
pub enum RecordKind {
    A,
    Aaaa,
    Mx,
    Txt,
    Cname,
    Ns,
    Ptr,
    Soa,
    Caa,
    Tlsa,
    Srv,
}

impl RecordKind {
    /// All, in the order of a form.
    pub const ALL: [Self; 11] =
        [Self::A, Self::Aaaa, Self::Mx, Self::Txt, Self::Cname, Self::Ns, Self::Ptr, Self::Soa, Self::Caa, Self::Tlsa, Self::Srv];

    /// As a zone file has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Cname => "CNAME",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Caa => "CAA",
            Self::Tlsa => "TLSA",
            Self::Srv => "SRV",
        }
    }

    /// A value as people and zone files write it, in the form in which it is compared; or what would do instead.
    pub fn normal(self, value: &str) -> Result<String, String> {
        let value = value.trim();
        let read = match self {
            Self::A => value.parse::<Ipv4Addr>().ok().map(|address| address.to_string()),
            Self::Aaaa => value.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
            Self::Mx => numbers_and_name::<1>(value),
            Self::Srv => numbers_and_name::<3>(value),
            Self::Cname | Self::Ns | Self::Ptr => name(value),
            Self::Txt => text(value),
            Self::Soa => soa(value),
            Self::Caa => caa(value),
            Self::Tlsa => tlsa(value),
        };
        read.ok_or_else(|| {
            let shown: String = value.chars().take(60).collect();
            format!("“{shown}” is no value of {} records: write it like {}.", self.as_str(), self.example())
        })
    }

    /// A value, to be shown.
    pub const fn example(self) -> &'static str {
        match self {
            Self::A => "192.0.2.1",
            Self::Aaaa => "2001:db8::1",
            Self::Mx => "10 mail.example.com",
            Self::Txt => "v=spf1 mx -all",
            Self::Cname | Self::Ns | Self::Ptr => "host.example.com",
            Self::Soa => "ns.example.com hostmaster.example.com 1 7200 3600 1209600 3600",
            Self::Caa => "0 issue \"ca.example.net\"",
            Self::Tlsa => "3 1 1 and 64 hexadecimal digits",
            Self::Srv => "0 1 443 host.example.com",
        }
    }
}

impl std::str::FromStr for RecordKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// The name below which an address has its PTR records (RFC 1035 3.5, RFC 3596 2.5).
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

/// A name without regard to case and final dot; the root is a dot.
fn name(text: &str) -> Option<String> {
    if text == "." {
        return Some(".".to_owned());
    }
    // As DNS has it: letters beyond ASCII go by their A-labels (RFC 5891).
    let ascii = if text.is_ascii() { text.to_owned() } else { idna::domain_to_ascii(text).ok()? };
    let bare = ascii.strip_suffix('.').unwrap_or(&ascii);
    let fits = !bare.is_empty() && bare.len() <= 253 && !bare.bytes().any(|byte| byte.is_ascii_whitespace() || byte == b'"');
    (fits && bare.split('.').all(|label| (1..=63).contains(&label.len()))).then(|| bare.to_ascii_lowercase())
}

/// So many numbers and a name behind them.
fn numbers_and_name<const COUNT: usize>(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let (last, numbers) = parts.split_last().filter(|(_, numbers)| numbers.len() == COUNT)?;
    let mut read = numbers.iter().map(|part| part.parse::<u16>().ok().map(|number| number.to_string())).collect::<Option<Vec<_>>>()?;
    read.push(name(last)?);
    Some(read.join(" "))
}

/// A text as one piece: character-strings in quotes are joined without anything between (RFC 7208 3.3), what has no quotes is taken as it is.
fn text(text: &str) -> Option<String> {
    if !text.starts_with('"') {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let mut joined = String::new();
    let mut inside = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (inside, letter) {
            (_, '"') => inside = !inside,
            (true, '\\') => joined.push(letters.next()?),
            (true, other) => joined.push(other),
            (false, space) if space.is_ascii_whitespace() => {}
            (false, _) => return None,
        }
    }
    (!inside).then_some(joined)
}

fn soa(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let [primary, mailbox, numbers @ ..] = parts.as_slice() else { return None };
    let numbers = numbers.iter().map(|part| part.parse::<u32>().ok().map(|number| number.to_string())).collect::<Option<Vec<_>>>()?;
    (numbers.len() == 5).then_some(())?;
    Some(format!("{} {} {}", name(primary)?, name(mailbox)?, numbers.join(" ")))
}

/// RFC 8659 4.1: flags, a tag without regard to case, a value as it is.
fn caa(text: &str) -> Option<String> {
    let (flags, rest) = text.split_once(' ')?;
    let (tag, value) = rest.trim_start().split_once(' ')?;
    let flags: u8 = flags.parse().ok()?;
    let fits = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let value = self::text(value.trim()).or_else(|| (value.trim() == "\"\"").then(String::new))?;
    fits.then(|| format!("{flags} {} \"{value}\"", tag.to_ascii_lowercase()))
}

/// RFC 6698 2.2: three numbers and hexadecimal digits, which may have spaces between.
fn tlsa(text: &str) -> Option<String> {
    let mut parts = text.split_ascii_whitespace();
    let mut number = || parts.next()?.parse::<u8>().ok();
    let (usage, selector, matching) = (number()?, number()?, number()?);
    let digits: String = parts.collect::<String>().to_ascii_lowercase();
    let fits = !digits.is_empty() && digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| format!("{usage} {selector} {matching} {digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_mean_the_same_have_one_form() {
        use RecordKind::{A, Aaaa, Caa, Cname, Mx, Ns, Soa, Srv, Tlsa, Txt};
        for (kind, written, form) in [
            (A, " 192.0.2.1 ", "192.0.2.1"),
            (Aaaa, "2001:DB8:0::1", "2001:db8::1"),
            (Mx, "010 Mail.Example.COM.", "10 mail.example.com"),
            (Mx, "0 .", "0 ."),
            (Cname, "Host.example.", "host.example"),
            (Ns, "ns1.example", "ns1.example"),
            (Txt, "v=spf1 MX -all", "v=spf1 MX -all"),
            (Txt, r#""v=DKIM1; p=ab" "cd""#, "v=DKIM1; p=abcd"),
            (Txt, r#""a \"b\" \\""#, r#"a "b" \"#),
            (Soa, "NS.e. h.e. 1 2 3 4 05", "ns.e h.e 1 2 3 4 5"),
            (Caa, "0 ISSUE \"ca.example\"", "0 issue \"ca.example\""),
            (Caa, "0 issue ca.example", "0 issue \"ca.example\""),
            (Caa, "0 issue \";\"", "0 issue \";\""),
            (Tlsa, "3 1 1 AB CD", "3 1 1 abcd"),
            (Srv, "0 1 443 Host.e.", "0 1 443 host.e"),
        ] {
            assert_eq!(kind.normal(written).as_deref(), Ok(form), "{written}");
            assert_eq!(kind.normal(form).as_deref(), Ok(form), "the form of {written} is its own");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_an_example() {
        use RecordKind::{A, Aaaa, Caa, Cname, Mx, Soa, Srv, Tlsa, Txt};
        for (kind, written) in [
            (A, "2001:db8::1"),
            (Aaaa, "192.0.2.1"),
            (Mx, "mail.example.com"),
            (Mx, "70000 a.example"),
            (Cname, "a b"),
            (Cname, ""),
            (Cname, "a..b"),
            (Txt, ""),
            (Txt, "\"open"),
            (Soa, "a b 1"),
            (Caa, "0 issue"),
            (Tlsa, "3 1 1 xyz"),
            (Tlsa, "3 1 1"),
            (Srv, "0 443 host"),
        ] {
            assert!(kind.normal(written).unwrap_err().contains(kind.example()), "{written}");
        }
    }

    #[test]
    fn addresses_have_their_reverse_names() {
        assert_eq!(reverse_name("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
        let six = reverse_name("2001:db8::1".parse().unwrap());
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
    }
}
