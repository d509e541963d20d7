//! Overviews, put together from a handful of queries and kept for as long as nothing was heard that changes them. A page that every member
//! has open must not cost the database a query per look.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::Bytes;
use chrono::{DateTime, Timelike, Utc};
use waypost_store::{OrgTx, Store, overview::Uptime};
use waypost_types::{
    OrgId,
    event::LiveEvent,
    overview::Overview,
    region::{Region, RegionState},
};

use crate::http::problem::ApiError;

/// Longest time an overview is kept without a reason to make another.
const KEEP: Duration = Duration::from_secs(10);
/// Checks arrive all the time: what they change may be shown that much later.
const CHECKED_LAG: Duration = Duration::from_secs(1);
/// A month of uptime moves slowly.
const KEEP_UPTIME: Duration = Duration::from_secs(300);
const MAX_ORGS: usize = 2_000;

type Uptimes = HashMap<u16, Uptime>;

#[derive(Debug)]
struct Kept {
    body: Bytes,
    made: Instant,
    generation: u64,
}

#[derive(Debug, Default)]
struct Entry {
    overview: Option<Kept>,
    uptimes: Option<(Arc<Uptimes>, Instant)>,
    /// Raised by everything that must show at once.
    generation: u64,
    checked: bool,
}

/// Overviews by organisation. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Overviews {
    entries: Arc<Mutex<HashMap<OrgId, Entry>>>,
    /// One at a time makes an organisation's overview; the others wait for it.
    makers: Arc<Mutex<HashMap<OrgId, Arc<tokio::sync::Mutex<()>>>>>,
    trusted: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
}

impl Overviews {
    /// Whether changes are heard; while they are not, nothing is kept.
    pub fn trust(&self, heard: bool) {
        self.trusted.store(heard, Ordering::Release);
        if !heard {
            self.lock().clear();
        }
    }

    /// Something changed.
    pub fn heard(&self, org: OrgId, event: &LiveEvent) {
        if let Some(entry) = self.lock().get_mut(&org) {
            match event {
                LiveEvent::Checked { .. } => entry.checked = true,
                LiveEvent::Assets { .. } | LiveEvent::Incidents { .. } | LiveEvent::Resync => entry.generation += 1,
            }
        }
    }

    /// A member changed something through this process: the next look shows it, heard or not.
    pub fn changed(&self, org: OrgId) {
        if let Some(entry) = self.lock().get_mut(&org) {
            entry.generation += 1;
        }
    }

    /// How many were made, for metrics and tests.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OrgId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, org: OrgId) -> Option<Bytes> {
        let entries = self.lock();
        let entry = entries.get(&org)?;
        let kept = entry.overview.as_ref()?;
        let age = kept.made.elapsed();
        let fresh = kept.generation == entry.generation && age < KEEP && !(entry.checked && age >= CHECKED_LAG);
        (fresh && self.trusted.load(Ordering::Acquire)).then(|| kept.body.clone())
    }

    /// The JSON of an organisation's overview.
    pub async fn json(&self, store: &Store, org: OrgId) -> Result<Bytes, ApiError> {
        if let Some(body) = self.kept(org) {
            return Ok(body);
        }
        let maker = {
            let mut makers = self.makers.lock().unwrap_or_else(PoisonError::into_inner);
            if makers.len() >= MAX_ORGS {
                makers.retain(|_, maker| Arc::strong_count(maker) > 1);
            }
            Arc::clone(makers.entry(org).or_default())
        };
        let _turn = maker.lock().await;
        if let Some(body) = self.kept(org) {
            return Ok(body);
        }
        let generation = {
            let mut entries = self.lock();
            if entries.len() >= MAX_ORGS {
                entries.clear();
            }
            let entry = entries.entry(org).or_default();
            entry.checked = false;
            entry.generation
        };
        let mut tx = store.org_tx(org).await?;
        let overview = self.make(&mut tx, org).await?;
        tx.commit().await?;
        self.made.fetch_add(1, Ordering::Relaxed);
        let body = Bytes::from(serde_json::to_vec(&overview).map_err(ApiError::internal)?);
        if let Some(entry) = self.lock().get_mut(&org) {
            entry.overview = Some(Kept { body: body.clone(), made: Instant::now(), generation });
        }
        Ok(body)
    }

    async fn make(&self, tx: &mut OrgTx, org: OrgId) -> Result<Overview, ApiError> {
        let regions = tx.regions(Utc::now()).await?;
        let banners = Banners::of(&regions);
        let standing = tx.overview_standing().await?;
        let totals = tx.overview_totals(&standing).await?;
        let uptimes = self.uptimes(tx, org).await?;
        let mut ports = tx.port_tiles().await?;
        for tile in &mut ports {
            let uptime = uptimes.get(&tile.port);
            (tile.uptime_30d, tile.uptime_since) = (uptime.map(|uptime| uptime.percent), uptime.map(|uptime| uptime.since));
        }
        Ok(Overview {
            score: totals.score,
            counts: totals.counts,
            last_checked_at: totals.last_checked_at,
            ports,
            domains: tx.worst_domains(&standing).await?,
            addresses: tx.worst_addresses(&standing).await?,
            listed: standing.listed(),
            incidents: tx.worst_incidents().await?,
            port25_blocked: banners.port25_blocked,
            cut_off: banners.cut_off,
            silent: banners.silent,
            regions,
        })
    }

    async fn uptimes(&self, tx: &mut OrgTx, org: OrgId) -> Result<Arc<Uptimes>, ApiError> {
        let kept = self.lock().get(&org).and_then(|entry| entry.uptimes.clone());
        if let Some((uptimes, made)) = kept
            && made.elapsed() < KEEP_UPTIME
        {
            return Ok(uptimes);
        }
        let midnight = Utc::now().with_hour(0).and_then(|at| at.with_minute(0)).and_then(|at| at.with_second(0)).unwrap_or_else(Utc::now);
        let uptimes = Arc::new(tx.port_uptimes(midnight - chrono::Duration::days(30)).await?);
        if let Some(entry) = self.lock().get_mut(&org) {
            // A new organisation's first checks should not wait five minutes for their number.
            entry.uptimes = (!uptimes.is_empty()).then(|| (Arc::clone(&uptimes), Instant::now()));
        }
        Ok(uptimes)
    }
}

/// The sentences of the banners: what is wrong with regions that something of the organisation's is checked from.
struct Banners {
    port25_blocked: Option<String>,
    cut_off: Option<String>,
    silent: Option<String>,
}

impl Banners {
    fn of(regions: &[Region]) -> Self {
        let used = || regions.iter().filter(|region| region.monitors > 0);
        let told = |sentences: Vec<String>| (!sentences.is_empty()).then(|| sentences.join(" "));
        let at = |at: DateTime<Utc>| at.format("%-d %B, %H:%M UTC").to_string();
        let blocked: Vec<&str> =
            used().filter(|region| region.port25_blocked && region.state == RegionState::Working).map(|region| region.name.as_str()).collect();
        let cut_off = used().filter(|region| region.state == RegionState::CutOff).filter_map(|region| {
            let since = at(region.cut_off_since?);
            Some(format!("Region {} can not reach anything since {since}; its results are not counted.{}", region.name, alone(region)))
        });
        let silent = used().filter(|region| region.state == RegionState::Silent).map(|region| {
            let since = region.seen_at.map_or_else(String::new, |seen| format!(" since {}", at(seen)));
            format!("No worker of region {} was heard of{since}.{}", region.name, alone(region))
        });
        Self {
            port25_blocked: (!blocked.is_empty()).then(|| {
                format!(
                    "Outbound port 25 seems blocked from region {}. Servers on that port can not be checked from there; many hosting networks open it on request.",
                    blocked.join(", ")
                )
            }),
            cut_off: told(cut_off.collect()),
            silent: told(silent.collect()),
        }
    }
}

/// What no other region checks now.
fn alone(region: &Region) -> String {
    match region.alone {
        0 => " All that it checks is checked from other regions, too.".to_owned(),
        1 => " One monitor is not checked now.".to_owned(),
        more => format!(" {more} monitors are not checked now."),
    }
}
