//! The DNS of the lab: nsd with editable zones, unbound in front of it. An edit returns when the resolver answers with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::dns_config;
use crate::dnssec;
use crate::dnssec::{Key, Signing};
use crate::dovecot::HOSTS;
use crate::error::LabError;
use crate::layout::{DNSSEC_DOMAIN, LAB_DOMAIN, Layout, mkdir, write};
use crate::process::{Children, run, signal_group};
use crate::rbl;
use crate::wire::{self, SOA};
use crate::zone::{Change, Zone, ZoneFault, parent_of};

const VISIBLE_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
/// One lab serves this many zones at most.
const MAX_ZONES: usize = 5_000;
const MAX_RECORDS: usize = 2_000;

/// Name server and resolver.
#[derive(Debug)]
pub struct Dns {
    layout: Layout,
    unbound: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    zones: BTreeMap<String, Zone>,
    rbl_faults: BTreeMap<String, ZoneFault>,
    resolver_dead: bool,
}

impl Dns {
    /// Starts nsd and unbound and waits until the resolver answers.
    pub async fn start(layout: &Layout, children: &mut Children) -> Result<Self, LabError> {
        let mut state = State::default();
        for name in [".".to_owned(), LAB_DOMAIN.to_owned(), DNSSEC_DOMAIN.to_owned(), layout.reverse_zone()] {
            state.zones.insert(name, Zone { serial: 1, ..Zone::default() });
        }
        if let Some(zone) = state.zones.get_mut(LAB_DOMAIN) {
            zone.records = vec![
                format!("mail 1 IN A {}", layout.postfix()),
                format!("sink 1 IN A {}", layout.sink().ip()),
                format!("control 1 IN A {}", layout.control().ip()),
                format!("slack 1 IN A {}", layout.slack().ip()),
            ];
            zone.records.extend(HOSTS.iter().map(|(name, octet)| format!("{name} 1 IN A {}", layout.mailbox(*octet))));
        }
        if let Some(zone) = state.zones.get_mut(&layout.reverse_zone()) {
            zone.records = vec![format!("25.0 1 IN PTR mail.{LAB_DOMAIN}."), format!("30.0 1 IN PTR sink.{LAB_DOMAIN}.")];
        }
        mkdir(&layout.path("zones"))?;
        for name in [".", DNSSEC_DOMAIN] {
            if let Some(zone) = state.zones.get_mut(name) {
                (zone.signing, zone.key) = (Some(Signing::Valid), Some(dnssec::make_key(layout, name).await?));
            }
        }
        let anchor = state.zones.get(".").and_then(|zone| zone.key.as_ref()).map(Key::public_file).unwrap_or_default();
        for name in state.zones.keys() {
            state.write(layout, name).await?;
        }
        write(&layout.path("nsd.conf"), &dns_config::nsd(layout))?;
        write(&layout.path("unbound.conf"), &dns_config::unbound(layout, &anchor))?;
        children.start(layout, "nsd", "nsd", &["-d", "-c", &layout.text("nsd.conf")])?;
        let unbound = children.start(layout, "unbound", "unbound", &["-d", "-c", &layout.text("unbound.conf")])?;
        let dns = Self { layout: layout.clone(), unbound, state: Mutex::new(state) };
        dns.await_serial(layout.authority(), LAB_DOMAIN, 1).await?;
        dns.await_serial(layout.resolver(), LAB_DOMAIN, 1).await?;
        Ok(dns)
    }

    /// Carries changes out, each for a zone, and returns when the resolver shows them. Returns how many records were touched.
    pub async fn commit(&self, changes: &[(String, Change)]) -> Result<usize, LabError> {
        let mut state = self.state.lock().await;
        let old = state.zones.clone();
        match self.apply(&mut state, changes).await {
            Ok(touched) => Ok(touched),
            Err(error) => {
                // What nsd does not take must not stay in our books either.
                let names: Vec<String> = state.zones.keys().filter(|name| old.contains_key(*name)).cloned().collect();
                state.zones = old;
                for (name, _) in changes.iter().filter(|(name, _)| names.contains(name)) {
                    state.write(&self.layout, name).await?;
                }
                Err(error)
            }
        }
    }

    async fn apply(&self, state: &mut State, changes: &[(String, Change)]) -> Result<usize, LabError> {
        let (mut made, mut dropped, mut signed, mut edited, mut touched) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new(), 0);
        for (name, change) in changes {
            if !state.zones.contains_key(name) {
                if !matches!(change, Change::Replace(_)) {
                    return Err(LabError::NotFound(format!("zone {name}")));
                }
                if state.zones.len() >= MAX_ZONES {
                    return Err(LabError::Invalid(format!("a lab serves {MAX_ZONES} zones at most")));
                }
                state.zones.insert(name.clone(), Zone::default());
                made.push(name.clone());
            }
            if matches!(change, Change::Drop) {
                if name == "." || name == LAB_DOMAIN || name == DNSSEC_DOMAIN || *name == self.layout.reverse_zone() {
                    return Err(LabError::Invalid(format!("the zone {name} belongs to the lab itself")));
                }
                dropped.push(name.clone());
            }
            if matches!(change, Change::Sign(_)) {
                if !name.ends_with(&format!(".{DNSSEC_DOMAIN}")) {
                    return Err(LabError::Invalid(format!("zones below {DNSSEC_DOMAIN} can be signed: no other has a signed zone above")));
                }
                signed.push(name.clone());
            }
            if let Some(zone) = state.zones.get_mut(name) {
                touched += zone.change(change);
                if zone.signing.is_some() && zone.key.is_none() {
                    zone.key = Some(dnssec::make_key(&self.layout, name).await?);
                }
                if zone.records.len() > MAX_RECORDS || zone.records.iter().any(|record| record.contains(['\n', '\r']) || record.starts_with('$')) {
                    return Err(LabError::Invalid(format!("records are single lines, {MAX_RECORDS} a zone at most")));
                }
                edited.insert(name.clone());
            }
        }
        for name in &dropped {
            if state.zones.remove(name).is_some_and(|zone| zone.fault != ZoneFault::None) {
                self.unbound(&["stub_remove", name]).await?;
            }
            edited.remove(name);
        }
        for name in made.iter().chain(&dropped).chain(&signed) {
            edited.extend(parent_of(name, state.zones.keys()).cloned());
        }
        for name in &edited {
            if let Some(zone) = state.zones.get_mut(name) {
                // A zone that comes back must not show a serial number it had before.
                zone.serial = zone.serial.max(serial_now()) + 1;
            }
            self.check(state, name).await?;
        }
        for name in &edited {
            state.write(&self.layout, name).await?;
            let action = if made.contains(name) { vec!["addzone", name, "lab"] } else { vec!["reload", name] };
            self.nsd(&action).await?;
        }
        for name in &dropped {
            self.nsd(&["delzone", name]).await?;
        }
        self.show(state, &edited, &dropped).await?;
        Ok(touched)
    }

    async fn show(&self, state: &State, edited: &BTreeSet<String>, dropped: &[String]) -> Result<(), LabError> {
        let serial = |name: &String| state.zones.get(name).map_or(0, |zone| zone.serial);
        for name in edited {
            self.await_serial(self.layout.authority(), name, serial(name)).await?;
        }
        if state.resolver_dead {
            return Ok(());
        }
        for name in edited.iter().chain(dropped) {
            self.unbound(&["flush_zone", name]).await?;
        }
        for name in edited {
            if state.fault_above(name) == ZoneFault::None {
                self.await_serial(self.layout.resolver(), name, serial(name)).await?;
            }
        }
        Ok(())
    }

    /// Asks nsd's own checker before nsd sees the file, so that a wrong record is an answer and not a silence.
    async fn check(&self, state: &State, name: &str) -> Result<(), LabError> {
        let Some(zone) = state.zones.get(name) else { return Ok(()) };
        let path = self.layout.path("zones/candidate");
        write(&path, &zone.file(&self.layout, name, &state.children(name)))?;
        match run("nsd-checkzone", &[name, &path.display().to_string()], None).await {
            Ok(_) => Ok(()),
            Err(LabError::Program { detail, .. }) => Err(LabError::Invalid(format!("the zone {name} would be wrong: {detail}"))),
            Err(error) => Err(error),
        }
    }

    /// Sets what the resolver meets when it asks for a zone.
    pub async fn fault(&self, name: &str, fault: ZoneFault) -> Result<(), LabError> {
        let mut state = self.state.lock().await;
        state.alive()?;
        let listed = rbl::zones().any(|zone| zone == name);
        if listed {
            state.rbl_faults.insert(name.to_owned(), fault);
        } else {
            state.zones.get_mut(name).ok_or_else(|| LabError::NotFound(format!("zone {name}")))?.fault = fault;
        }
        let server = match fault {
            ZoneFault::None if listed => Some(self.layout.rbl()),
            ZoneFault::None => None,
            ZoneFault::Servfail => Some(self.layout.dns_servfail()),
            ZoneFault::Timeout => Some(self.layout.dns_silent()),
            ZoneFault::Refused => Some(self.layout.dns_refused()),
        };
        self.unbound(&["stub_remove", name]).await?;
        if let Some(server) = server {
            self.unbound(&["stub_add", name, &server.ip().to_string()]).await?;
        }
        // A question that waits for the silent server would hold up the next one for the same name.
        self.unbound(&["flush_requestlist"]).await?;
        self.unbound(&["flush_zone", name]).await?;
        match state.zones.get(name) {
            Some(zone) if fault == ZoneFault::None => self.await_serial(self.layout.resolver(), name, zone.serial).await,
            _ => Ok(()),
        }
    }

    /// Stops the resolver from answering, or lets it go on.
    pub async fn resolver(&self, dead: bool) -> Result<(), LabError> {
        let mut state = self.state.lock().await;
        signal_group(self.unbound, if dead { "STOP" } else { "CONT" });
        state.resolver_dead = dead;
        if dead {
            return Ok(());
        }
        self.unbound(&["flush_zone", "."]).await?;
        self.await_serial(self.layout.resolver(), ".", state.zones.get(".").map_or(0, |zone| zone.serial)).await
    }

    /// Forgets what the resolver knows of a zone.
    pub async fn flush(&self, name: &str) -> Result<(), LabError> {
        if self.state.lock().await.resolver_dead {
            return Ok(());
        }
        self.unbound(&["flush_zone", name]).await
    }

    /// All zones with their records, and whether the resolver is dead.
    pub async fn snapshot(&self) -> (BTreeMap<String, Zone>, bool) {
        let state = self.state.lock().await;
        (state.zones.clone(), state.resolver_dead)
    }

    async fn nsd(&self, args: &[&str]) -> Result<(), LabError> {
        let config = self.layout.text("nsd.conf");
        run("nsd-control", &[&["-c", config.as_str()], args].concat(), None).await.map(drop)
    }

    async fn unbound(&self, args: &[&str]) -> Result<(), LabError> {
        let config = self.layout.text("unbound.conf");
        run("unbound-control", &[&["-c", config.as_str()], args].concat(), None).await.map(drop)
    }

    async fn await_serial(&self, server: std::net::SocketAddr, zone: &str, serial: u32) -> Result<(), LabError> {
        let until = Instant::now() + VISIBLE_LIMIT;
        while Instant::now() < until {
            match wire::ask(server, zone, SOA, Duration::from_millis(500)).await {
                Ok(answer) if answer.serial() == Some(serial) => return Ok(()),
                Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
        Err(LabError::Timeout(format!("{server} to answer for {zone} with serial {serial}")))
    }
}

impl State {
    fn children(&self, name: &str) -> Vec<(String, Option<String>)> {
        let children = self.zones.iter().filter(|(zone, _)| parent_of(zone, self.zones.keys()).is_some_and(|parent| parent == name));
        children.map(|(zone, state)| (zone.clone(), state.key.as_ref().map(|key| key.ds.clone()))).collect()
    }

    async fn write(&self, layout: &Layout, name: &str) -> Result<(), LabError> {
        let Some(zone) = self.zones.get(name) else { return Ok(()) };
        let (file, text) = (dns_config::zone_file(layout, name), zone.file(layout, name, &self.children(name)));
        match (zone.signing, &zone.key) {
            (Some(signing), Some(key)) => dnssec::write_signed(&file, &text, key, signing).await,
            _ => write(&file, &text),
        }
    }

    fn fault_above(&self, name: &str) -> ZoneFault {
        let broken =
            self.zones.iter().find(|(zone, state)| state.fault != ZoneFault::None && (zone.as_str() == name || name.ends_with(&format!(".{zone}"))));
        broken.map_or(ZoneFault::None, |(_, state)| state.fault)
    }

    fn alive(&self) -> Result<(), LabError> {
        if self.resolver_dead { Err(LabError::Invalid("the resolver is dead: revive it first".to_owned())) } else { Ok(()) }
    }
}

fn serial_now() -> u32 {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(seconds).unwrap_or(1)
}
