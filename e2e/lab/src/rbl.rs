//! The block lists: rbldnsd under real names, so that the product's own catalog is asked.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::dns::Dns;
use crate::error::LabError;
use crate::layout::{Layout, mkdir, write};
use crate::process::{Children, signal_group};
use crate::wire::{self, A};

/// All zones of the server. The last one is broken: it lists the whole world, its clean test point too.
pub const ZONES: [&str; 5] = ["zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org", "psbl.surriel.com", BROKEN];
/// The zone that lists everything.
pub const BROKEN: &str = "dnsbl.zapbl.net";
const TEST_POINT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const MAX_ENTRIES: usize = 10_000;

/// Addresses by zone, each with the answer it gets.
pub type Listings = BTreeMap<String, BTreeMap<Ipv4Addr, Ipv4Addr>>;

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
        for zone in ZONES {
            write_zone(layout, zone, &BTreeMap::new())?;
            specs.push(format!("{zone}:{}:{zone}", if zone == BROKEN { "ip4trie" } else { "ip4set" }));
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
        let listings = ZONES[..4].iter().map(|zone| ((*zone).to_owned(), BTreeMap::new())).collect();
        let rbl = Self { layout: layout.clone(), process, listings: Mutex::new(listings) };
        rbl.await_answer(ZONES[0], TEST_POINT, true).await?;
        Ok(rbl)
    }

    /// Lists an address with an answer, or unlists it. Returns when the resolver shows it.
    pub async fn set(&self, dns: &Dns, zone: &str, address: Ipv4Addr, answer: Option<Ipv4Addr>) -> Result<(), LabError> {
        let mut listings = self.listings.lock().await;
        let entries = listings.get_mut(zone).ok_or_else(|| LabError::NotFound(format!("editable block list {zone}")))?;
        match answer {
            Some(_) if entries.len() >= MAX_ENTRIES => return Err(LabError::Invalid(format!("{zone} is full"))),
            Some(code) => entries.insert(address, code),
            None => entries.remove(&address),
        };
        write_zone(&self.layout, zone, entries)?;
        signal_group(self.process, "HUP");
        self.await_answer(zone, address, answer.is_some()).await?;
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

    async fn await_answer(&self, zone: &str, address: Ipv4Addr, listed: bool) -> Result<(), LabError> {
        let [a, b, c, d] = address.octets();
        let name = format!("{d}.{c}.{b}.{a}.{zone}");
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if let Ok(answer) = wire::ask(self.layout.rbl(), &name, A, Duration::from_millis(500)).await
                && answer.records.is_empty() != listed
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(LabError::Timeout(format!("{zone} to show {address}")))
    }
}

fn write_zone(layout: &Layout, zone: &str, entries: &BTreeMap<Ipv4Addr, Ipv4Addr>) -> Result<(), LabError> {
    let mut text = "$SOA 1 ns.lab.test hostmaster.lab.test 0 60 30 600 1\n$NS 1 ns.lab.test\n".to_owned();
    if zone == BROKEN {
        text.push_str("0.0.0.0/0 :127.0.0.2:Listed by the lab\n");
    } else {
        text.push_str(&format!("{TEST_POINT} :{LISTED}:Test point of the lab\n"));
    }
    for (address, code) in entries {
        text.push_str(&format!("{address} :{code}:{address} is listed by the lab\n"));
    }
    let path = layout.path("rbl").join(zone);
    // rbldnsd looks at time in seconds and size: a second edit in one second must differ in size.
    while fs::metadata(&path).is_ok_and(|meta| meta.len() == text.len() as u64) {
        text.push_str("#\n");
    }
    write(&path, &text)
}
