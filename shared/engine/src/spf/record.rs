//! The grammar of an SPF record (RFC 7208 4.6.1, 5, 6, 12). The whole record is parsed before anything is evaluated, so that a mistake at its
//! end is found whoever asks.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::macros::{Context, MacroString};

/// A parsed record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Mechanisms in order, each with its qualifier.
    pub directives: Vec<Directive>,
    /// `redirect=`.
    pub redirect: Option<MacroString>,
    /// `exp=`.
    pub exp: Option<MacroString>,
}

/// A mechanism and what a match means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The meaning of a match.
    pub qualifier: Qualifier,
    /// What is matched.
    pub mechanism: Mechanism,
    /// As it stands in the record.
    pub text: String,
}

/// What a match means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// `+` or nothing.
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    SoftFail,
    /// `?`.
    Neutral,
}

/// A mechanism with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// Matches always.
    All,
    /// The policy of another domain passes.
    Include(MacroString),
    /// The address is one of a name's.
    A(Option<MacroString>, DualCidr),
    /// The address is one of a name's MX hosts'.
    Mx(Option<MacroString>, DualCidr),
    /// The reverse name lies below a domain. Not to be used (RFC 7208 5.5).
    Ptr(Option<MacroString>),
    /// An IPv4 network.
    Ip4(Ipv4Addr, u8),
    /// An IPv6 network.
    Ip6(Ipv6Addr, u8),
    /// A name made from the message's facts exists.
    Exists(MacroString),
}

impl Mechanism {
    /// True for terms that cost one of the ten lookups (RFC 7208 4.6.4).
    pub fn costs_lookup(&self) -> bool {
        !matches!(self, Self::All | Self::Ip4(..) | Self::Ip6(..))
    }
}

/// Prefix lengths of `a` and `mx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DualCidr {
    /// For IPv4, 0 to 32.
    pub v4: u8,
    /// For IPv6, 0 to 128.
    pub v6: u8,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{term}” at character {position}: {reason}")]
pub struct SyntaxError {
    /// The term at fault, cut where it is longer than any name.
    pub term: String,
    /// Its first character, counted from 1.
    pub position: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Characters of a term that an error quotes.
const MOST_QUOTED: usize = 300;

/// Why a second `redirect` or `exp` is refused (RFC 7208 6).
pub const MODIFIER_TWICE: &str = "this modifier may stand only once";

/// True when a TXT record is an SPF record: the version, then a space or the end (RFC 7208 4.5).
pub fn is_spf(txt: &[u8]) -> bool {
    txt.get(..6).is_some_and(|head| head.eq_ignore_ascii_case(b"v=spf1")) && matches!(txt.get(6), None | Some(b' '))
}

/// Parses a record that [`is_spf`]; fails with its first mistake.
pub fn parse(record: &[u8]) -> Result<Record, SyntaxError> {
    let mut parsed = Record::default();
    let first = read(&String::from_utf8_lossy(record), &mut parsed).next();
    first.map_or(Ok(parsed), Err)
}

/// All the mistakes of a record in their order, `most` at the most.
pub fn mistakes(record: &[u8], most: usize) -> Vec<SyntaxError> {
    read(&String::from_utf8_lossy(record), &mut Record::default()).take(most).collect()
}

/// Reads term by term; gives each that can not be read.
fn read<'a>(text: &'a str, parsed: &'a mut Record) -> impl Iterator<Item = SyntaxError> + 'a {
    let mut position = 1;
    text.split(' ').enumerate().filter_map(move |(index, term)| {
        let at = position;
        position += term.chars().count() + 1;
        if index == 0 || term.is_empty() {
            return None;
        }
        let reason = if term.is_ascii() { parse_term(term, parsed).err()? } else { "it has characters that are not ASCII" };
        Some(SyntaxError { term: crate::text::shown(term, MOST_QUOTED), position: at, reason })
    })
}

/// True for what may stand as a term by itself, redirect and exp and unknown modifiers among them.
pub fn is_term(text: &str) -> bool {
    !text.contains(' ') && parse_term(text, &mut Record::default()).is_ok()
}

fn parse_term(term: &str, record: &mut Record) -> Result<(), &'static str> {
    let (qualifier, rest) = match term.as_bytes().first() {
        Some(b'+') => (Some(Qualifier::Pass), &term[1..]),
        Some(b'-') => (Some(Qualifier::Fail), &term[1..]),
        Some(b'~') => (Some(Qualifier::SoftFail), &term[1..]),
        Some(b'?') => (Some(Qualifier::Neutral), &term[1..]),
        _ => (None, term),
    };
    let end = rest.find([':', '/', '=']).unwrap_or(rest.len());
    let (name, argument) = rest.split_at(end);
    if let Some(value) = argument.strip_prefix('=') {
        if qualifier.is_some() {
            return Err("a modifier takes no qualifier");
        }
        return parse_modifier(name, value, record);
    }
    let mechanism = parse_mechanism(&name.to_ascii_lowercase(), argument)?;
    record.directives.push(Directive { qualifier: qualifier.unwrap_or(Qualifier::Pass), mechanism, text: term.to_owned() });
    Ok(())
}

fn parse_modifier(name: &str, value: &str, record: &mut Record) -> Result<(), &'static str> {
    let well_named = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !well_named {
        return Err("this is no name of a modifier");
    }
    let slot = match name.to_ascii_lowercase().as_str() {
        "redirect" => &mut record.redirect,
        "exp" => &mut record.exp,
        _ => {
            // Unknown modifiers are for the future (RFC 7208 6); their syntax counts all the same.
            MacroString::parse(value, Context::Text)?;
            return Ok(());
        }
    };
    if slot.is_some() {
        return Err(MODIFIER_TWICE);
    }
    *slot = Some(MacroString::domain_spec(value)?);
    Ok(())
}

fn parse_mechanism(name: &str, argument: &str) -> Result<Mechanism, &'static str> {
    let spec = || argument.strip_prefix(':').ok_or("this mechanism needs “:” and a domain");
    match name {
        "all" if argument.is_empty() => Ok(Mechanism::All),
        "all" => Err("“all” takes no argument"),
        "include" => Ok(Mechanism::Include(MacroString::domain_spec(spec()?)?)),
        "exists" => Ok(Mechanism::Exists(MacroString::domain_spec(spec()?)?)),
        "ptr" if argument.is_empty() => Ok(Mechanism::Ptr(None)),
        "ptr" => Ok(Mechanism::Ptr(Some(MacroString::domain_spec(spec()?)?))),
        "a" | "mx" => {
            let (domain, cidr) = split_dual_cidr(argument)?;
            let domain = match domain {
                "" => None,
                domain => Some(MacroString::domain_spec(
                    domain.strip_prefix(':').ok_or("after the name only “:” and a domain or “/” and a prefix length may follow")?,
                )?),
            };
            Ok(if name == "a" { Mechanism::A(domain, cidr) } else { Mechanism::Mx(domain, cidr) })
        }
        "ip4" => {
            let (address, length) = split_prefix(spec_address(argument)?, 32)?;
            Ok(Mechanism::Ip4(address.parse().map_err(|_| "this is no IPv4 address")?, length))
        }
        "ip6" => {
            let (address, length) = split_prefix(spec_address(argument)?, 128)?;
            Ok(Mechanism::Ip6(address.parse().map_err(|_| "this is no IPv6 address")?, length))
        }
        "" => Err("a qualifier needs a mechanism"),
        _ => Err("there is no such mechanism"),
    }
}

fn spec_address(argument: &str) -> Result<&str, &'static str> {
    argument.strip_prefix(':').ok_or("this mechanism needs “:” and an address")
}

fn split_prefix(text: &str, most: u8) -> Result<(&str, u8), &'static str> {
    match text.split_once('/') {
        None => Ok((text, most)),
        Some((address, length)) => Ok((address, prefix_length(length, most)?)),
    }
}

/// `0`, or digits without a leading zero, at most `most`.
fn prefix_length(digits: &str, most: u8) -> Result<u8, &'static str> {
    let well_formed =
        !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|length| well_formed && *length <= most).ok_or("the prefix length is not a number in its range")
}

/// Splits `…/24//64` off the end. A domain-spec may itself hold slashes, so only digits after the last one or two count.
fn split_dual_cidr(argument: &str) -> Result<(&str, DualCidr), &'static str> {
    let mut rest = argument;
    let mut cidr = DualCidr { v4: 32, v6: 128 };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if let Some(at) = rest.rfind("//") {
        let length = &rest[at + 2..];
        if digits(length) {
            cidr.v6 = prefix_length(length, 128)?;
            rest = &rest[..at];
        }
    }
    if let Some(at) = rest.rfind('/') {
        let length = &rest[at + 1..];
        if digits(length) {
            cidr.v4 = prefix_length(length, 32)?;
            rest = &rest[..at];
        }
    }
    Ok((rest, cidr))
}
