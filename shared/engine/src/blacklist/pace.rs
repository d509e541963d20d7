//! Politeness: how many questions at once, and how many a second to one list. A pace is even: a network of 256 addresses is no burst.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout_at},
};

use super::catalog::Zone;

/// Questions a second to a list that says nothing else.
const PER_SECOND: u32 = 20;
/// Later than any slot.
const FAR: Duration = Duration::from_secs(86_400);
/// Lists whose pace is remembered; private lists of everybody count, too.
const KEPT: usize = 10_000;

/// The limits of a scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Questions a second to a list for which the catalog gives no rate.
    pub per_second: u32,
    /// Questions at once to one list.
    pub at_once_per_zone: usize,
    /// Questions at once over all lists.
    pub at_once: usize,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { per_second: PER_SECOND, at_once_per_zone: 4, at_once: 64 }
    }
}

/// Questions a second that a list gets from a scanner with the usual limits.
pub(super) fn rate_of(zone: &Zone) -> u32 {
    zone.rate.unwrap_or(PER_SECOND).max(1)
}

/// There is no slot before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooBusy;

/// The paces of all lists and the limit over them.
#[derive(Debug)]
pub(super) struct Paces {
    limits: Pacing,
    all: Semaphore,
    zones: Mutex<HashMap<String, Arc<Pace>>>,
}

/// The pace of one list.
#[derive(Debug)]
pub(super) struct Pace {
    turns: Semaphore,
    interval: Duration,
    next: Mutex<Instant>,
    /// The next slot of an examination, before all others.
    ahead: Mutex<Instant>,
}

/// The right to ask one question; given back when dropped.
#[derive(Debug)]
#[allow(dead_code)] // held, not read
pub(super) struct Turn<'a>(Option<SemaphorePermit<'a>>, SemaphorePermit<'a>);

impl Paces {
    /// With nothing asked yet.
    pub fn new(limits: Pacing) -> Self {
        Self { limits, all: Semaphore::new(limits.at_once.max(1)), zones: Mutex::default() }
    }

    /// How many questions at once a list gets.
    pub fn at_once_per_zone(&self) -> usize {
        self.limits.at_once_per_zone.max(1)
    }

    /// Questions a second that a list gets from this scanner.
    pub fn rate_of(&self, zone: &Zone) -> u32 {
        zone.rate.unwrap_or(self.limits.per_second).max(1)
    }

    /// The pace of a list, the same for everybody who asks it, whatever key they have.
    pub fn of(&self, zone: &Zone) -> Arc<Pace> {
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = zones.get(&zone.zone) {
            return Arc::clone(pace);
        }
        if zones.len() >= KEPT {
            let now = Instant::now();
            zones.retain(|_, pace| Arc::strong_count(pace) > 1 || *pace.next.lock().unwrap_or_else(PoisonError::into_inner) > now);
        }
        let pace = Arc::new(Pace {
            turns: Semaphore::new(self.at_once_per_zone()),
            interval: Duration::from_secs(1) / self.rate_of(zone),
            next: Mutex::new(Instant::now()),
            ahead: Mutex::new(Instant::now()),
        });
        zones.insert(zone.zone.clone(), Arc::clone(&pace));
        pace
    }

    /// Waits for a turn at this pace, until the deadline at most.
    pub async fn turn<'a>(&'a self, pace: &'a Pace, deadline: Instant) -> Result<Turn<'a>, TooBusy> {
        let turn = permit(&pace.turns, deadline).await?;
        until(taken(&pace.next, pace.interval, deadline)?).await;
        Ok(Turn(Some(turn), permit(&self.all, deadline).await?))
    }

    /// A turn before everybody who waits at this pace, for the few questions by which a list is examined: those who wait come later by as
    /// much, and among themselves they keep the pace.
    pub async fn turn_ahead<'a>(&'a self, pace: &Pace, deadline: Instant) -> Result<Turn<'a>, TooBusy> {
        let at = taken(&pace.ahead, pace.interval, deadline)?;
        taken(&pace.next, pace.interval, Instant::now() + FAR)?;
        until(at).await;
        Ok(Turn(None, permit(&self.all, deadline).await?))
    }
}

/// A permit, at once where one is free: that is the usual case, and a timer costs.
async fn permit(semaphore: &Semaphore, deadline: Instant) -> Result<SemaphorePermit<'_>, TooBusy> {
    match semaphore.try_acquire() {
        Ok(permit) => Ok(permit),
        Err(_) => timeout_at(deadline, semaphore.acquire()).await.map_err(|_| TooBusy)?.map_err(|_| TooBusy),
    }
}

async fn until(at: Instant) {
    if at > Instant::now() {
        sleep_until(at).await;
    }
}

/// Takes the next slot, unless it is after the deadline.
fn taken(next: &Mutex<Instant>, interval: Duration, deadline: Instant) -> Result<Instant, TooBusy> {
    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
    let at = (*next).max(Instant::now());
    if at > deadline {
        return Err(TooBusy);
    }
    *next = at + interval;
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blacklist::catalog::{find, foreign};

    #[tokio::test(start_paused = true)]
    async fn questions_to_one_list_are_spread_evenly() {
        let paces = Paces::new(Pacing::default());
        let (pace, other) = (paces.of(&foreign("bl.lists.test")), paces.of(&foreign("other.lists.test")));
        assert!(Arc::ptr_eq(&pace, &paces.of(&foreign("bl.lists.test"))));
        let start = Instant::now();
        let deadline = start + Duration::from_secs(60);
        let mut at = Vec::new();
        for _ in 0..41 {
            let _turn = paces.turn(&pace, deadline).await.unwrap();
            at.push(start.elapsed().as_millis());
        }
        assert!(at.windows(2).all(|pair| (49..=52).contains(&(pair[1] - pair[0]))), "{at:?}");
        let waited = start.elapsed();
        assert!(paces.turn(&other, deadline).await.is_ok() && start.elapsed() == waited);
        assert_eq!(rate_of(find("sem-black").unwrap()), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_comes_too_late_is_refused_at_once() {
        let paces = Paces::new(Pacing { per_second: 1, ..Pacing::default() });
        let pace = paces.of(&foreign("bl.lists.test"));
        let start = Instant::now();
        assert!(paces.turn(&pace, start).await.is_ok());
        assert_eq!(paces.turn(&pace, start + Duration::from_millis(500)).await.map(|_| ()), Err(TooBusy));
        assert_eq!(start.elapsed(), Duration::ZERO);
        // Who examines the list does not wait, and those who do wait one slot more.
        assert!(paces.turn_ahead(&pace, start).await.is_ok() && start.elapsed() == Duration::ZERO);
        assert_eq!(paces.turn(&pace, start + Duration::from_millis(1500)).await.map(|_| ()), Err(TooBusy));
        // The refused turns took no slot.
        assert!(paces.turn(&pace, start + Duration::from_millis(2500)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_examination_keeps_the_pace_of_its_list() {
        let paces = Paces::new(Pacing { per_second: 4, ..Pacing::default() });
        let pace = paces.of(&foreign("bl.lists.test"));
        let start = Instant::now();
        let turns = (0..6).map(|_| async {
            let _turn = paces.turn_ahead(&pace, start + Duration::from_secs(60)).await.unwrap();
            start.elapsed().as_millis() / 250
        });
        assert_eq!(futures::future::join_all(turns).await, [0, 1, 2, 3, 4, 5]);
    }
}
