//! Whether the outside world's port 25 can be reached from this region: learned from the probes, written where `/readyz` and the banner read it.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use waypost_engine::probe::is_port25_blocked;
use waypost_store::Store;
use waypost_types::outcome::{Outcome, Verdict};

use crate::error::chain;

/// The same news is written at most that often.
const SPACING: TimeDelta = TimeDelta::seconds(30);

/// Watches outcomes for what they tell about port 25.
#[derive(Debug)]
pub(crate) struct Port25 {
    store: Store,
    region: String,
    told: Mutex<Option<(bool, DateTime<Utc>)>>,
}

impl Port25 {
    pub(crate) fn new(store: Store, region: &str) -> Self {
        Self { store, region: region.to_owned(), told: Mutex::default() }
    }

    /// Takes note of an outcome. What can not be written now is learned from the next.
    pub(crate) async fn saw(&self, outcome: &Outcome) {
        let Some(reached) = reached_port25(outcome) else { return };
        let now = Utc::now();
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|(last, at)| last == reached && now - at < SPACING) {
                return;
            }
            *told = Some((reached, now));
        }
        let written = if reached { self.store.port25_reached(&self.region, now).await } else { self.store.port25_blocked(&self.region, now).await };
        if let Err(error) = written {
            tracing::warn!(error = chain(&error), "could not write whether port 25 is reachable");
        }
    }
}

/// `Some(true)` when a conversation on port 25 began, `Some(false)` when every attempt says that the port seems blocked.
fn reached_port25(outcome: &Outcome) -> Option<bool> {
    let Outcome::Smtp(report) = outcome else { return None };
    if report.port != 25 || report.probes.is_empty() {
        return None;
    }
    if report.probes.iter().any(|probe| probe.stage_ms.connect.is_some()) {
        return Some(true);
    }
    let blocked = report.probes.iter().all(|probe| probe.verdict == Verdict::Unknown && is_port25_blocked(&probe.reason));
    blocked.then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::stub_outcome;

    fn with(port: u16, connect: Option<f64>, reason: &str) -> Outcome {
        let Outcome::Smtp(mut report) = stub_outcome("mx.example", port, Verdict::Unknown) else { panic!("an SMTP outcome") };
        report.probes[0].stage_ms.connect = connect;
        report.probes[0].reason = reason.to_owned();
        Outcome::Smtp(report)
    }

    #[test]
    fn only_port_25_tells_and_only_the_blocked_reason_says_blocked() {
        let blocked = "outbound port 25 seems blocked from region local";
        assert_eq!(reached_port25(&with(25, Some(3.0), "")), Some(true));
        assert_eq!(reached_port25(&with(25, None, blocked)), Some(false));
        assert_eq!(reached_port25(&with(25, None, "the name did not resolve")), None);
        assert_eq!(reached_port25(&with(587, None, blocked)), None);
    }
}
