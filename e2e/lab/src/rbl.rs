//! The block lists: rbldnsd under real names, so that the product's own catalog is asked.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::dns::Dns;
use crate::error::LabError;
use crate::layout::{Layout, domain, mkdir, write};
use crate::process::{Children, signal_group};
use crate::wire::{self, A};

/// What a zone of the server lists. All of them are editable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Ip4,
    Ip4And6,
    Domains,
}

/// The editable zones, each with what it holds and its test point (RFC 5782 5, or the operator's own).
const EDITABLE: [(&str, Holds, &str); 6] = [
    ("zen.spamhaus.org", Holds::Ip4And6, "127.0.0.2"),
    ("bl.spamcop.net", Holds::Ip4, "127.0.0.2"),
    ("b.barracudacentral.org", Holds::Ip4, "127.0.0.2"),
    ("psbl.surriel.com", Holds::Ip4, "127.0.0.2"),
    ("dbl.spamhaus.org", Holds::Domains, "dbltest.com"),
    ("black.uribl.com", Holds::Domains, "test.uribl.com"),
];
/// The zone that lists everything, its clean test point too.
pub const BROKEN: &str = "dnsbl.zapbl.net";
/// The zone that answers everything with the code of an operator who refuses the resolver.
pub const REFUSING: &str = "refusing.bl.test";
/// The zone whose servers never answer, as those of many lists that ended. It is not rbldnsd's.
pub const SILENT: &str = "silent.bl.test";
const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// What every zone file begins with.
const HEAD: &str = "$SOA 1 ns.lab.test hostmaster.lab.test 0 60 30 600 1\n$NS 1 ns.lab.test\n";
const MAX_ENTRIES: usize = 10_000;

/// All zones of the server.
pub fn zones() -> impl Iterator<Item = &'static str> {
    EDITABLE.iter().map(|(zone, ..)| *zone).chain([BROKEN, REFUSING])
}

/// What can be listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A domain, in A-labels.
    Domain(String),
}

impl From<Ipv4Addr> for Entry {
    fn from(address: Ipv4Addr) -> Self {
        Self::V4(address)
    }
}

impl FromStr for Entry {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Ok(Self::V4(address)),
            Ok(IpAddr::V6(address)) => Ok(Self::V6(address)),
            Err(_) => domain(text).map(Self::Domain),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => address.fmt(f),
            Self::Domain(name) => f.write_str(name),
        }
    }
}

impl Entry {
    /// What is put in front of the zone's name to ask (RFC 5782 2.1, 2.4 and 3).
    fn label(&self) -> String {
        match self {
            Self::V4(address) => {
                let [a, b, c, d] = address.octets();
                format!("{d}.{c}.{b}.{a}")
            }
            Self::V6(address) => {
                let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
                nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
            }
            Self::Domain(name) => name.clone(),
        }
    }
}

/// What is listed by zone, each entry with the answer it gets.
pub type Listings = BTreeMap<String, BTreeMap<String, Ipv4Addr>>;

/// rbldnsd and what it lists.
#[derive(Debug)]
pub struct Rbl {
    layout: Layout,
    process: u32,
    listings: Mutex<Listings>,
}

impl Rbl {
    /// Starts rbldnsd with nothing listed but the test points.
    pub async fn start(layout: &Layout, children: &mut Children) -> Result<Self, LabError> {
        mkdir(&layout.path("rbl"))?;
        let mut specs = Vec::new();
        for (zone, holds, point) in EDITABLE {
            write_zone(layout, zone, &start_of(point), &BTreeMap::new())?;
            specs.push(format!("{zone}:{}:{zone}", if holds == Holds::Domains { "dnset" } else { "ip4set" }));
            if holds == Holds::Ip4And6 {
                write(&layout.path("rbl").join(six(zone)), "")?;
                specs.push(format!("{zone}:ip6trie:{}", six(zone)));
            }
        }
        for (zone, answer) in [(BROKEN, "127.0.0.2"), (REFUSING, "127.255.255.254")] {
            write_zone(layout, zone, &format!("{HEAD}0.0.0.0/0 :{answer}:Everything is listed by the lab\n"), &BTreeMap::new())?;
            specs.push(format!("{zone}:ip4trie:{zone}"));
        }
        let address = format!("{}/53", layout.rbl().ip());
        // rbldnsd refuses to be root, and giving up root by itself would undo `--pdeathsig`: so it starts as its user, with the right to port 53.
        let mut args = vec!["--reuid", "rbldns", "--regid", "rbldns", "--clear-groups", "--inh-caps", "+net_bind_service"];
        args.extend([
            "--ambient-caps",
            "+net_bind_service",
            "--pdeathsig",
            "KILL",
            "--",
            "rbldnsd",
            "-n",
            "-w",
            "rbl",
            "-b",
            &address,
            "-t",
            "1",
            "-c",
            "0",
        ]);
        args.extend(specs.iter().map(String::as_str));
        let process = children.start(layout, "rbldnsd", "setpriv", &args)?;
        let listings = EDITABLE.iter().map(|(zone, ..)| ((*zone).to_owned(), BTreeMap::new())).collect();
        let rbl = Self { layout: layout.clone(), process, listings: Mutex::new(listings) };
        for (zone, _, point) in EDITABLE {
            rbl.await_answer(zone, &point.parse()?, true).await?;
        }
        Ok(rbl)
    }

    /// Lists an address or a domain with an answer, or unlists it. Returns when the resolver shows it.
    pub async fn set(&self, dns: &Dns, zone: &str, entry: Entry, answer: Option<Ipv4Addr>) -> Result<(), LabError> {
        let unknown = || LabError::NotFound(format!("editable block list {zone}"));
        let (_, holds, point) = EDITABLE.iter().find(|(name, ..)| *name == zone).ok_or_else(unknown)?;
        let fits = match entry {
            Entry::V4(_) => *holds != Holds::Domains,
            Entry::V6(_) => *holds == Holds::Ip4And6,
            Entry::Domain(_) => *holds == Holds::Domains,
        };
        if !fits {
            return Err(LabError::Invalid(format!("{zone} does not hold such entries as {entry}")));
        }
        let mut listings = self.listings.lock().await;
        let entries = listings.get_mut(zone).ok_or_else(unknown)?;
        match answer {
            Some(_) if entries.len() >= MAX_ENTRIES => return Err(LabError::Invalid(format!("{zone} is full"))),
            Some(code) => entries.insert(entry.to_string(), code),
            None => entries.remove(&entry.to_string()),
        };
        let (six_entries, others): (BTreeMap<_, _>, BTreeMap<_, _>) = entries.iter().partition(|(entry, _)| entry.contains(':'));
        write_zone(&self.layout, zone, &start_of(point), &others)?;
        if *holds == Holds::Ip4And6 {
            write_zone(&self.layout, &six(zone), "", &six_entries)?;
        }
        signal_group(self.process, "HUP");
        self.await_answer(zone, &entry, answer.is_some()).await?;
        dns.flush(zone).await
    }

    /// What is listed beside the test points.
    pub async fn snapshot(&self) -> Listings {
        self.listings.lock().await.clone()
    }

    /// The answer a listing gets when the caller names none.
    pub const fn default_answer() -> Ipv4Addr {
        LISTED
    }

    async fn await_answer(&self, zone: &str, entry: &Entry, listed: bool) -> Result<(), LabError> {
        let name = format!("{}.{zone}", entry.label());
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if let Ok(answer) = wire::ask(self.layout.rbl(), &name, A, Duration::from_millis(500)).await
                && answer.records.is_empty() != listed
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(LabError::Timeout(format!("{zone} to show {entry}")))
    }
}

/// The file of a zone's IPv6 addresses.
fn six(zone: &str) -> String {
    format!("{zone}.ip6")
}

/// What the file of a live list begins with.
fn start_of(point: &str) -> String {
    format!("{HEAD}{point} :{LISTED}:Test point of the lab\n")
}

fn write_zone(layout: &Layout, file: &str, start: &str, entries: &BTreeMap<&String, &Ipv4Addr>) -> Result<(), LabError> {
    let mut text = start.to_owned();
    for (entry, code) in entries {
        text.push_str(&format!("{entry} :{code}:{entry} is listed by the lab\n"));
    }
    let path = layout.path("rbl").join(file);
    // rbldnsd looks at time in seconds and size: a second edit in one second must differ in size.
    while fs::metadata(&path).is_ok_and(|meta| meta.len() == text.len() as u64) {
        text.push_str("#\n");
    }
    write(&path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_asked_as_the_standard_says() {
        for (text, label) in [
            ("192.0.2.99", "99.2.0.192".to_owned()),
            ("2001:db8::1", format!("1{}.8.b.d.0.1.0.0.2", ".0".repeat(23))),
            ("B\u{fc}cher.example", "xn--bcher-kva.example".to_owned()),
        ] {
            assert_eq!(text.parse::<Entry>().unwrap().label(), label);
        }
        assert!("not a name".parse::<Entry>().is_err());
    }
}
