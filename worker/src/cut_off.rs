//! Learns from the checks of this worker what its region can connect to, decides with what other regions saw whether it is cut off, and takes
//! outcomes of a region that is for what they are: unknown.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use waypost_engine::{net::is_nearby, probe::is_port25_blocked};
use waypost_store::{Store, StoreError};
use waypost_types::outcome::{Outcome, Verdict};

use crate::{
    error::chain,
    region_health::{LATELY, cut_off},
};

/// Hosts that tell of a region: those with the smallest hashes, so that the workers of all regions watch the same.
const SAMPLE: usize = 200;
/// The same news is written at most that often.
const SPACING: TimeDelta = TimeDelta::seconds(20);

/// What a check tells of the way to its target.
struct Way {
    host: String,
    address: Option<IpAddr>,
    reached: bool,
    /// The network here says that there is no way.
    nearby: bool,
}

/// What was written of a host last.
type Written = (bool, DateTime<Utc>);

/// Watches outcomes for what they tell about the region.
#[derive(Debug)]
pub struct CutOff {
    store: Store,
    region: String,
    sample: Mutex<BTreeMap<String, Written>>,
    /// Since when it is cut off, as far as this worker knows.
    since: Mutex<Option<DateTime<Utc>>>,
}

impl CutOff {
    /// Of a worker in this region.
    pub fn new(store: Store, region: &str) -> Self {
        Self { store, region: region.to_owned(), sample: Mutex::default(), since: Mutex::default() }
    }

    /// Takes note of an outcome. Answers what it is worth: one that could not connect, of a region that is cut off, tells nothing of its target.
    pub(crate) async fn saw(&self, outcome: Arc<Outcome>, now: DateTime<Utc>) -> Arc<Outcome> {
        let Some(way) = way_of(&outcome) else { return outcome };
        if let Some(subject) = self.sampled(&way, now)
            && let Err(error) = self.learn(&way, &subject, now).await
        {
            tracing::warn!(error = chain(&error), "could not tell whether the region is cut off");
        }
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        match since {
            Some(since) if !way.reached => Arc::new(untold(&outcome, &self.region, since)),
            _ => outcome,
        }
    }

    /// The name of a host that is in the sample and whose news is to be written.
    fn sampled(&self, way: &Way, now: DateTime<Utc>) -> Option<String> {
        let subject = hash(&way.host);
        let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        if sample.get(&subject).is_some_and(|(reached, at)| *reached == way.reached && now - *at < SPACING) {
            return None;
        }
        sample.insert(subject.clone(), (way.reached, now));
        if sample.len() > SAMPLE {
            sample.pop_last();
        }
        sample.contains_key(&subject).then_some(subject)
    }

    async fn learn(&self, way: &Way, subject: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        let network = way.address.map(|address| hash(&network_of(address)));
        self.store.region_looked((&self.region, subject, network.as_deref()), (way.reached, way.nearby), now).await?;
        let was = self.store.cut_off_since(&self.region).await?;
        if way.reached && was.is_none() {
            self.keep(None);
            return Ok(());
        }
        let looks = self.store.region_looks(&self.region, now - LATELY, now).await?;
        let since = cut_off(&self.region, &looks, was, now);
        if let (None, Some(since)) = (was, since)
            && self.store.begin_cut_off(&self.region, since).await?
        {
            tracing::error!(region = self.region, %since, "the region can not reach what others reach: its results are not counted");
        }
        if let (Some(since), None) = (was, since)
            && self.store.end_cut_off(&self.region, now).await?
        {
            tracing::info!(region = self.region, %since, "the region reaches what others reach again: its results are counted");
        }
        self.keep(since);
        Ok(())
    }

    fn keep(&self, since: Option<DateTime<Utc>>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
        metrics::gauge!("waypost_region_cut_off", "region" => self.region.clone()).set(if since.is_some() { 1.0 } else { 0.0 });
    }
}

/// What a check of a host tells of the way there; nothing where it says that outbound port 25 is blocked, which is told apart.
fn way_of(outcome: &Outcome) -> Option<Way> {
    match outcome {
        Outcome::Smtp(report) => {
            let reached = report.probes.iter().any(|probe| probe.stage_ms.connect.is_some() || probe.banner.is_some());
            let reasons = || report.probes.iter().map(|probe| probe.reason.as_str()).chain([report.summary.as_str()]);
            if !reached && reasons().any(is_port25_blocked) {
                return None;
            }
            let address = report.probes.iter().find_map(|probe| probe.address);
            Some(Way { host: report.host.clone(), address, reached, nearby: reasons().any(is_nearby) })
        }
        Outcome::Service(report) => {
            let first = report.looks.first()?;
            let address = first.address?;
            let reached = report.looks.iter().any(|look| look.stage_ms.connect.is_some() || look.banner.is_some());
            Some(Way { host: address.to_string(), address: Some(address), reached, nearby: report.looks.iter().any(|look| is_nearby(&look.reason)) })
        }
        Outcome::Audit(_) | Outcome::Blacklist(_) => None,
    }
}

/// The same outcome as one that says nothing of its target.
fn untold(outcome: &Outcome, region: &str, since: DateTime<Utc>) -> Outcome {
    let reason = format!("Region {region} can not reach anything since {} UTC: what it sees is not counted.", since.format("%H:%M"));
    match outcome {
        Outcome::Smtp(report) => {
            let mut report = report.clone();
            report.verdict = Verdict::Unknown;
            report.summary.clone_from(&reason);
            for probe in &mut report.probes {
                probe.verdict = Verdict::Unknown;
                probe.findings.clear();
            }
            Outcome::Smtp(report)
        }
        Outcome::Service(report) => {
            let mut report = report.clone();
            report.verdict = Verdict::Unknown;
            report.summary = reason;
            for look in &mut report.looks {
                look.verdict = Verdict::Unknown;
                look.findings.clear();
            }
            Outcome::Service(report)
        }
        other => other.clone(),
    }
}

/// A /24 of IPv4, a /48 of IPv6: what one fault takes away.
fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}")
        }
        IpAddr::V6(address) => format!("{:x?}", &address.segments()[..3]),
    }
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.to_ascii_lowercase());
    let half = digest.first_chunk::<16>().map_or(0, |half| u128::from_be_bytes(*half));
    format!("{half:032x}")
}
