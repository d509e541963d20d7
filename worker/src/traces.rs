//! The way to a server that no connection could be made to: followed once while the failure is news, and shown with every look that confirms it.
//! Following takes seconds and dozens of packets, so only a few are under way at once; in an outage of many the others do without.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};
use waypost_types::outcome::{Outcome, PathTrace};

use crate::checker::Checker;

/// Under way at once in a process.
const AT_ONCE: usize = 2;
/// A way is not followed again that soon.
const KEPT: Duration = Duration::from_secs(600);
/// Ways that are remembered at most; the oldest of more go.
const MOST_KEPT: usize = 1_000;

type Place = (IpAddr, u16);

/// Follows ways.
pub(crate) struct Traces {
    checker: Arc<dyn Checker>,
    kept: Mutex<HashMap<Place, (Instant, PathTrace)>>,
    places: Semaphore,
}

impl Traces {
    pub(crate) fn new(checker: Arc<dyn Checker>) -> Self {
        Self { checker, kept: Mutex::default(), places: Semaphore::new(AT_ONCE) }
    }

    /// The outcome with the way to the first address that could not be connected to.
    pub(crate) async fn add(&self, mut outcome: Outcome) -> Outcome {
        let Outcome::Smtp(report) = &mut outcome else { return outcome };
        let lost = report.probes.iter_mut().find(|probe| self.checker.is_lost(probe));
        let Some(lost) = lost else { return outcome };
        let Some(place) = lost.address.map(|address| (address, lost.port)) else { return outcome };
        lost.trace = self.kept(place);
        if lost.trace.is_none()
            && let Ok(_place) = self.places.try_acquire()
            && let Some(trace) = self.checker.trace(lost).await
        {
            self.keep(place, &trace);
            metrics::counter!("waypost_traces_total").increment(1);
            lost.trace = Some(trace);
        }
        outcome
    }

    fn kept(&self, place: Place) -> Option<PathTrace> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&place).filter(|(at, _)| at.elapsed() < KEPT).map(|(_, trace)| trace.clone())
    }

    fn keep(&self, place: Place, trace: &PathTrace) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (at, _)| at.elapsed() < KEPT);
        if kept.len() >= MOST_KEPT
            && let Some(oldest) = kept.iter().min_by_key(|(_, (at, _))| *at).map(|(place, _)| *place)
        {
            kept.remove(&oldest);
        }
        kept.insert(place, (Instant::now(), trace.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::BoxFuture;
    use tokio::sync::Notify;
    use waypost_types::{
        monitor::MonitorKind,
        outcome::{ProbeReport, TraceEnd, Verdict},
    };

    use super::*;
    use crate::checker::{Instructions, stub_outcome};

    /// Takes every address for one on the way to which something was lost, and follows ways as long as it is let.
    #[derive(Default)]
    struct Ways {
        followed: AtomicU32,
        held: Option<Notify>,
    }

    impl Checker for Ways {
        fn check<'a>(&'a self, _: MonitorKind, _: &'a str, _: &'a Instructions) -> BoxFuture<'a, Outcome> {
            unreachable!("nothing is checked here")
        }

        fn is_lost(&self, probe: &ProbeReport) -> bool {
            probe.verdict == Verdict::Down
        }

        fn trace<'a>(&'a self, _: &'a ProbeReport) -> BoxFuture<'a, Option<PathTrace>> {
            Box::pin(async {
                self.followed.fetch_add(1, Ordering::Relaxed);
                if let Some(held) = &self.held {
                    held.notified().await;
                }
                Some(PathTrace { hops: Vec::new(), end: TraceEnd::Silent, summary: "Nobody answers.".to_owned() })
            })
        }

        fn is_provider(&self, _: &str) -> bool {
            false
        }
    }

    fn seen(last: u8, verdict: Verdict) -> Outcome {
        let Outcome::Smtp(mut report) = stub_outcome("mx.example", 25, verdict) else { unreachable!("it is a probe") };
        report.probes[0].address = Some([192, 0, 2, last].into());
        Outcome::Smtp(report)
    }

    fn is_traced(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Smtp(report) if report.probes[0].trace.is_some())
    }

    #[tokio::test(start_paused = true)]
    async fn a_way_is_followed_once_and_shown_with_what_confirms_the_failure() {
        let ways = Arc::new(Ways::default());
        let traces = Traces::new(ways.clone());
        let followed = || ways.followed.load(Ordering::Relaxed);
        assert!(!is_traced(&traces.add(seen(1, Verdict::Up)).await) && followed() == 0);
        for _ in 0..3 {
            assert!(is_traced(&traces.add(seen(1, Verdict::Down)).await));
        }
        assert_eq!(followed(), 1);
        assert!(is_traced(&traces.add(seen(2, Verdict::Down)).await) && followed() == 2);
        tokio::time::advance(KEPT).await;
        assert!(is_traced(&traces.add(seen(1, Verdict::Down)).await) && followed() == 3, "an old way may lead elsewhere by now");
    }

    #[tokio::test]
    async fn in_an_outage_of_many_the_others_do_without() {
        let ways = Arc::new(Ways { held: Some(Notify::new()), ..Ways::default() });
        let traces = Arc::new(Traces::new(ways.clone()));
        let under_way: Vec<_> = (1..=2)
            .map(|last| {
                tokio::spawn({
                    let traces = traces.clone();
                    async move { traces.add(seen(last, Verdict::Down)).await }
                })
            })
            .collect();
        while ways.followed.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        assert!(!is_traced(&traces.add(seen(3, Verdict::Down)).await), "it does not wait for a place");
        for task in under_way {
            ways.held.as_ref().unwrap().notify_one();
            ways.held.as_ref().unwrap().notify_one();
            assert!(is_traced(&task.await.unwrap()));
        }
    }
}
