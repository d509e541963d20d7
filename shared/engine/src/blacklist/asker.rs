//! One question to a list: paced, asked once however many wait for the answer, and kept as long as the list allows.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::Mutex as Flight,
    time::{Instant, timeout_at},
};
use waypost_types::outcome::ListState;

use super::{
    catalog::Zone,
    decode::{RESOLVER_HINT, decode},
    lists::Wanted,
    pace::{Paces, Pacing},
};
use crate::net::{Absence, DnsFailure, Lookup, Net};

/// Answers are kept no shorter and no longer than this, whatever their TTL says.
const KEPT_FOR: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15 * 60));
/// For an absence without a SOA.
const NO_TTL: Duration = Duration::from_secs(60);
/// A failure is everybody's for this long: those who wait behind it do not each wait again.
const FAILED_FOR: Duration = Duration::from_secs(15);
/// Answers kept.
const KEPT: usize = 100_000;
/// Looking for stale answers costs; not more often than this.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// The text of a listing is an extra; it gets this long.
const TEXT_TIME: Duration = Duration::from_secs(3);
/// Characters of it.
const TEXT_SHOWN: usize = 500;
/// Addresses read of one answer.
const MAX_ADDRESSES: usize = 32;

/// What a list answered, before anybody reads it by a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// NXDOMAIN.
    Absent,
    /// The name exists without an address.
    Empty,
    /// Addresses, and the text beside them when they list.
    Addresses(Vec<Ipv4Addr>, String),
    /// No answer, and why.
    Failed(String),
    /// Not asked for want of time, and why. No fault of the list.
    NoTime(String),
}

type Cell = Arc<Flight<Option<(Instant, Answer)>>>;

#[derive(Default)]
struct Flights {
    cells: HashMap<String, Cell>,
    swept: Option<Instant>,
}

/// Asks. Names may have keys in them, so nothing of this is ever printed.
pub(super) struct Asker {
    net: Net,
    pub paces: Paces,
    flights: Mutex<Flights>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

impl Asker {
    /// With nothing asked yet.
    pub fn new(net: &Net, limits: Pacing) -> Self {
        Self { net: net.clone(), paces: Paces::new(limits), flights: Mutex::default() }
    }

    /// The answer to a name in a zone: a kept one, the one that is in the air, or a new one.
    pub async fn answer(&self, wanted: &Wanted, name: &str, deadline: Instant) -> Answer {
        let zone = wanted.zone.as_ref();
        let flight = self.flight(name);
        let Ok(mut known) = timeout_at(deadline, flight.lock()).await else { return Answer::NoTime(too_late()) };
        if let Some((until, answer)) = &*known
            && Instant::now() < *until
        {
            return answer.clone();
        }
        let (mut answer, keep) = self.ask(zone, name, deadline).await;
        if let Answer::Addresses(addresses, text) = &mut answer
            && decode(zone, addresses).state == ListState::Listed
        {
            *text = Box::pin(self.text(wanted, name, deadline)).await;
        }
        *known = keep.map(|keep| (Instant::now() + keep, answer.clone()));
        answer
    }

    /// The time of the network.
    pub fn now(&self) -> DateTime<Utc> {
        self.net.now()
    }

    /// Asks for addresses at the list's pace, keeping nothing. With how long the answer may be kept.
    pub async fn ask(&self, zone: &Zone, name: &str, deadline: Instant) -> (Answer, Option<Duration>) {
        let pace = self.paces.of(zone);
        match self.paces.turn(&pace, deadline).await {
            Ok(_turn) => self.look_up(name, deadline).await,
            Err(_) => (Answer::NoTime(format!("not asked in time: this list gets at most {} questions a second", self.paces.rate_of(zone))), None),
        }
    }

    /// Asks a question of an examination: before everybody who waits for this list.
    pub async fn ask_ahead(&self, zone: &Zone, name: &str, deadline: Instant) -> Answer {
        let pace = self.paces.of(zone);
        match self.paces.turn_ahead(&pace, deadline).await {
            Ok(_turn) => self.look_up(name, deadline).await.0,
            Err(_) => Answer::NoTime(too_late()),
        }
    }

    async fn look_up(&self, name: &str, deadline: Instant) -> (Answer, Option<Duration>) {
        let (lookup, ttl) = self.net.dns().a_timed(name, deadline).await;
        let keep = Some(ttl.unwrap_or(NO_TTL).clamp(KEPT_FOR.0, KEPT_FOR.1));
        match lookup {
            Lookup::Missing(Absence::NxDomain) => (Answer::Absent, keep),
            Lookup::Missing(Absence::NoData) => (Answer::Empty, keep),
            // The message names the name, which may have a key in it.
            Lookup::Failed(DnsFailure::BadName(_)) => (Answer::Failed("the name to ask can not be carried by DNS".to_owned()), Some(KEPT_FOR.1)),
            Lookup::Failed(DnsFailure::Timeout) if Instant::now() >= deadline => (Answer::NoTime(too_late()), None),
            Lookup::Failed(failure) => (Answer::Failed(format!("{failure}; {RESOLVER_HINT}")), Some(FAILED_FOR)),
            Lookup::Found(mut addresses) => {
                addresses.truncate(MAX_ADDRESSES);
                (Answer::Addresses(addresses, String::new()), keep)
            }
        }
    }

    /// What the list says about a listing, at its pace, too; nothing when there is no time for it.
    async fn text(&self, wanted: &Wanted, name: &str, deadline: Instant) -> String {
        let deadline = deadline.min(Instant::now() + TEXT_TIME);
        let pace = self.paces.of(&wanted.zone);
        let Ok(_turn) = self.paces.turn(&pace, deadline).await else { return String::new() };
        match timeout_at(deadline, self.net.dns().txt(name)).await {
            Ok(Lookup::Found(texts)) => texts.first().map(|text| wanted.shown(text, TEXT_SHOWN)).unwrap_or_default(),
            _ => String::new(),
        }
    }

    fn flight(&self, name: &str) -> Cell {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = flights.cells.get(name) {
            return cell.clone();
        }
        if flights.cells.len() >= KEPT {
            let now = Instant::now();
            if flights.swept.is_none_or(|when| now.duration_since(when) >= SWEEP_EVERY) {
                flights.swept = Some(now);
                // A cell that is locked or held by somebody is in the air.
                let fresh = |cell: &Cell| cell.try_lock().map_or(true, |known| known.as_ref().is_some_and(|(until, _)| now < *until));
                flights.cells.retain(|_, cell| Arc::strong_count(cell) > 1 || fresh(cell));
            }
            if flights.cells.len() >= KEPT {
                // Everything is fresh: this one is asked for itself alone.
                return Cell::default();
            }
        }
        flights.cells.entry(name.to_owned()).or_default().clone()
    }
}

/// What is said about questions that the deadline cut off.
pub(super) fn too_late() -> String {
    "no answer before the scan's deadline".to_owned()
}
