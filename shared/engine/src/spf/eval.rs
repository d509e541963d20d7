//! `check_host()` (RFC 7208 4): evaluates a policy for one address.

use std::{future::Future, net::IpAddr, pin::Pin};

use serde::Serialize;

use super::{
    fetch::{FetchError, SpfDns, fetch},
    macros::{Context, MacroString, fit},
    record::{self, DualCidr, Mechanism, Qualifier, Record},
};
use crate::net::{DnsFailure, Lookup};

/// Results of RFC 7208 2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the RFC's words
pub enum SpfResult {
    None,
    Neutral,
    Pass,
    Fail,
    SoftFail,
    TempError,
    PermError,
}

impl SpfResult {
    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// What an evaluation gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpfEvaluation {
    /// The result.
    pub result: SpfResult,
    /// For `fail` the domain's own words where it has some; otherwise why.
    pub explanation: String,
    /// The term that decided.
    pub mechanism: Option<String>,
    /// Terms that cost a lookup, up to the decision.
    pub lookups: u32,
    /// Of these, those that found nothing.
    pub void_lookups: u32,
}

/// RFC 7208 4.6.4.
pub const MAX_LOOKUPS: u32 = 10;
/// RFC 7208 4.6.4.
pub const MAX_VOID_LOOKUPS: u32 = 2;
/// RFC 7208 4.6.4: names of an `mx`, names of a `ptr`.
pub const MAX_NAMES: usize = 10;
/// Characters of an explanation; a reply of SMTP has no more.
const MOST_EXPLAINED: usize = 500;

struct Stop {
    result: SpfResult,
    why: String,
}

fn perm(why: impl Into<String>) -> Stop {
    Stop { result: SpfResult::PermError, why: why.into() }
}

fn temp(name: &str, failure: &DnsFailure) -> Stop {
    Stop { result: SpfResult::TempError, why: format!("{name}: {failure}") }
}

struct Matched {
    result: SpfResult,
    term: Option<String>,
    /// Where `exp` stands and the domain it is expanded for.
    exp: Option<(MacroString, String)>,
    why: String,
}

struct Evaluation<'a, D> {
    dns: &'a D,
    ip: IpAddr,
    helo: &'a str,
    local: String,
    sender_domain: String,
    lookups: u32,
    void_lookups: u32,
    now: i64,
}

/// Evaluates the policy of `domain` for a message from `ip`. `mail_from` may be empty (then it is postmaster at `helo`, RFC 7208 2.4). Names
/// are taken as given; what is no domain name gives `none` (4.3).
pub async fn check_host<D: SpfDns>(dns: &D, ip: IpAddr, domain: &str, mail_from: &str, helo: &str, now: i64) -> SpfEvaluation {
    let ip = ip.to_canonical();
    let sender = if mail_from.is_empty() { helo } else { mail_from };
    let (local, sender_domain) = sender.rsplit_once('@').unwrap_or(("", sender));
    let local = if local.is_empty() { "postmaster" } else { local };
    let mut evaluation =
        Evaluation { dns, ip, helo, local: local.to_owned(), sender_domain: sender_domain.to_owned(), lookups: 0, void_lookups: 0, now };
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let outcome = evaluation.policy(domain.to_owned()).await;
    let (result, explanation, mechanism) = match outcome {
        Ok(matched) => {
            let mut explanation = matched.why;
            if matched.result == SpfResult::Fail
                && let Some((exp, at)) = &matched.exp
                && let Some(text) = evaluation.explain(exp, at).await
            {
                explanation = text;
            }
            (matched.result, explanation, matched.term)
        }
        Err(stop) => (stop.result, stop.why, None),
    };
    SpfEvaluation { result, explanation, mechanism, lookups: evaluation.lookups, void_lookups: evaluation.void_lookups }
}

fn is_multi_label(domain: &str) -> bool {
    // An address literal is no domain name (RFC 7208 4.3).
    !domain.contains(['[', ']', '@'])
        && domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(|label| (1..=63).contains(&label.len()))
        && domain.is_ascii()
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<D: SpfDns> Evaluation<'_, D> {
    fn policy(&mut self, domain: String) -> Boxed<'_, Result<Matched, Stop>> {
        Box::pin(async move {
            // What an include or a redirect leads to is judged like the first name: both call check_host() anew (RFC 7208 5.2, 6.1).
            if !is_multi_label(&domain) {
                return Err(Stop { result: SpfResult::None, why: format!("“{domain}” is no full domain name") });
            }
            let txt = match fetch(self.dns, &domain).await {
                Ok(Some(txt)) => txt,
                Ok(None) => return Err(Stop { result: SpfResult::None, why: format!("{domain} has no SPF record") }),
                Err(FetchError::Dns(failure)) => return Err(temp(&domain, &failure)),
                Err(FetchError::Multiple) => return Err(perm(format!("{domain} has more than one SPF record"))),
            };
            let record = record::parse(&txt).map_err(|error| perm(format!("SPF record of {domain}: {error}")))?;
            self.evaluate(record, domain).await
        })
    }

    async fn evaluate(&mut self, record: Record, domain: String) -> Result<Matched, Stop> {
        for directive in &record.directives {
            if directive.mechanism.costs_lookup() {
                self.count_lookup()?;
            }
            if self.matches(&directive.mechanism, &domain).await? {
                let result = match directive.qualifier {
                    Qualifier::Pass => SpfResult::Pass,
                    Qualifier::Fail => SpfResult::Fail,
                    Qualifier::SoftFail => SpfResult::SoftFail,
                    Qualifier::Neutral => SpfResult::Neutral,
                };
                let why = format!("{} matches “{}” of {domain}", self.ip, directive.text);
                return Ok(Matched { result, term: Some(directive.text.clone()), exp: record.exp.map(|exp| (exp, domain)), why });
            }
        }
        let Some(redirect) = record.redirect else {
            let why = format!("nothing in the record of {domain} matches {}", self.ip);
            return Ok(Matched { result: SpfResult::Neutral, term: None, exp: None, why });
        };
        self.count_lookup()?;
        let target = self.expand(&redirect, &domain).await;
        match self.policy(target.clone()).await {
            Err(stop) if stop.result == SpfResult::None => Err(perm(format!("redirect: {target} has no SPF record"))),
            other => other,
        }
    }

    fn count_lookup(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS { Err(perm(format!("more than {MAX_LOOKUPS} terms need DNS lookups"))) } else { Ok(()) }
    }

    /// Sorts an answer: records, nothing (counted as void), or an error that ends the evaluation.
    fn records<T>(&mut self, name: &str, lookup: Lookup<T>) -> Result<Vec<T>, Stop> {
        match lookup {
            Lookup::Found(records) => Ok(records),
            Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => {
                self.void_lookups += 1;
                if self.void_lookups > MAX_VOID_LOOKUPS {
                    return Err(perm(format!("more than {MAX_VOID_LOOKUPS} lookups found nothing, the last for {name}")));
                }
                Ok(Vec::new())
            }
            Lookup::Failed(failure) => Err(temp(name, &failure)),
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, length) => {
                Ok(matches!(self.ip, IpAddr::V4(ip) if same_prefix(u128::from(u32::from(ip)), u128::from(u32::from(*network)), 32, *length)))
            }
            Mechanism::Ip6(network, length) => Ok(matches!(self.ip, IpAddr::V6(ip) if same_prefix(ip.into(), (*network).into(), 128, *length))),
            Mechanism::A(spec, cidr) => {
                let name = self.target(spec.as_ref(), domain).await;
                let lookup = self.dns.address(&name, self.ip.is_ipv6()).await;
                let addresses = self.records(&name, lookup)?;
                Ok(addresses.into_iter().any(|address| self.in_network(address, *cidr)))
            }
            Mechanism::Mx(spec, cidr) => self.mx(spec.as_ref(), *cidr, domain).await,
            Mechanism::Ptr(spec) => {
                let target = self.target(spec.as_ref(), domain).await.to_ascii_lowercase();
                let names = self.validated_names(true).await?;
                Ok(names.iter().any(|name| is_at_or_below(name, &target)))
            }
            Mechanism::Exists(spec) => {
                let name = self.expand(spec, domain).await;
                // A records whatever the family of the address is (RFC 7208 5.7).
                let lookup = self.dns.address(&name, false).await;
                Ok(!self.records(&name, lookup)?.is_empty())
            }
            Mechanism::Include(spec) => {
                let target = self.expand(spec, domain).await;
                match self.policy(target.clone()).await {
                    Ok(matched) => Ok(matched.result == SpfResult::Pass),
                    Err(stop) if stop.result == SpfResult::None => Err(perm(format!("include: {target} has no SPF record"))),
                    Err(stop) => Err(stop),
                }
            }
        }
    }

    async fn mx(&mut self, spec: Option<&MacroString>, cidr: DualCidr, domain: &str) -> Result<bool, Stop> {
        let name = self.target(spec, domain).await;
        let lookup = self.dns.mx(&name).await;
        let hosts = self.records(&name, lookup)?;
        if hosts.len() > MAX_NAMES {
            return Err(perm(format!("{name} has more than {MAX_NAMES} MX hosts")));
        }
        for (_, host) in hosts.into_iter().filter(|(_, host)| !host.is_empty()) {
            match self.dns.address(&host, self.ip.is_ipv6()).await {
                Lookup::Found(addresses) if addresses.iter().any(|address| self.in_network(*address, cidr)) => return Ok(true),
                Lookup::Found(_) | Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => {}
                Lookup::Failed(failure) => return Err(temp(&host, &failure)),
            }
        }
        Ok(false)
    }

    fn in_network(&self, address: IpAddr, cidr: DualCidr) -> bool {
        match (self.ip, address) {
            (IpAddr::V4(ip), IpAddr::V4(network)) => same_prefix(u128::from(u32::from(ip)), u128::from(u32::from(network)), 32, cidr.v4),
            (IpAddr::V6(ip), IpAddr::V6(network)) => same_prefix(ip.into(), network.into(), 128, cidr.v6),
            _ => false,
        }
    }

    /// Reverse names that lead back to the address (RFC 7208 5.5). Errors only mean fewer names.
    async fn validated_names(&mut self, counts: bool) -> Result<Vec<String>, Stop> {
        let names = match self.dns.ptr(self.ip).await {
            Lookup::Found(names) => names,
            missing @ Lookup::Missing(_) if counts => self.records("the reverse name", missing)?,
            Lookup::Missing(_) | Lookup::Failed(_) => Vec::new(),
        };
        let mut valid = Vec::new();
        for name in names.into_iter().take(MAX_NAMES) {
            if self.dns.address(&name, self.ip.is_ipv6()).await.found().contains(&self.ip) {
                valid.push(name.to_ascii_lowercase());
            }
        }
        Ok(valid)
    }

    async fn target(&mut self, spec: Option<&MacroString>, domain: &str) -> String {
        match spec {
            Some(spec) => self.expand(spec, domain).await,
            None => domain.to_owned(),
        }
    }

    async fn expand(&mut self, spec: &MacroString, domain: &str) -> String {
        let text = self.expand_text(spec, domain).await;
        fit(&text).to_owned()
    }

    async fn expand_text(&mut self, spec: &MacroString, domain: &str) -> String {
        let reverse_name = if spec.needs_reverse_name() { self.reverse_name(domain).await } else { String::new() };
        let this = &*self;
        spec.expand(|letter| match letter {
            's' => format!("{}@{}", this.local, this.sender_domain),
            'l' => this.local.clone(),
            'o' => this.sender_domain.clone(),
            'd' => domain.to_owned(),
            'i' => dotted(this.ip),
            'p' => reverse_name.clone(),
            'v' => if this.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'h' => this.helo.to_owned(),
            'c' => this.ip.to_string(),
            'r' => "unknown".to_owned(),
            't' => this.now.to_string(),
            _ => String::new(),
        })
    }

    /// `%{p}`: the domain itself, else a name below it, else any, else `unknown` (RFC 7208 7.3).
    async fn reverse_name(&mut self, domain: &str) -> String {
        let names = self.validated_names(false).await.unwrap_or_default();
        let domain = domain.to_ascii_lowercase();
        names
            .iter()
            .find(|name| **name == domain)
            .or_else(|| names.iter().find(|name| is_at_or_below(name, &domain)))
            .or(names.first())
            .cloned()
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// The domain's explanation; anything wrong with it means there is none (RFC 7208 6.2).
    async fn explain(&mut self, exp: &MacroString, domain: &str) -> Option<String> {
        let at = self.expand(exp, domain).await;
        let Lookup::Found(records) = self.dns.txt(&at).await else { return None };
        let [text] = records.as_slice() else { return None };
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
        let parsed = MacroString::parse(text, Context::Text).ok()?;
        Some(crate::text::shown(self.expand_text(&parsed, domain).await, MOST_EXPLAINED))
    }
}

fn same_prefix(a: u128, b: u128, width: u32, length: u8) -> bool {
    let drop = width.saturating_sub(u32::from(length));
    a.checked_shr(drop).unwrap_or(0) == b.checked_shr(drop).unwrap_or(0)
}

fn is_at_or_below(name: &str, domain: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// `192.0.2.1`, or 32 nibbles with dots between (RFC 7208 7.3).
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            ip.octets().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
        }
    }
}
