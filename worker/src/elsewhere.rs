//! What one region saw, beside what the others saw of the same server: STARTTLS that one of them misses was taken out on the way.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use waypost_engine::probe::{Sight, misses_starttls, starttls_elsewhere as seen_elsewhere, with_starttls_elsewhere};
use waypost_store::{
    OrgTx,
    judging::{LatestOutcome, LockedMonitor},
};
use waypost_types::{MonitorId, monitor::MonitorKind, outcome::Outcome};

use crate::{
    WorkerError,
    recorder::{Run, vote_interval},
};

/// Where other regions saw STARTTLS after this one had missed it, by monitor and address, with the region.
pub(crate) type StarttlsElsewhere = HashMap<MonitorId, BTreeMap<IpAddr, String>>;

/// Asked only where a conversation misses it, which few do. What this region saw before is read with what the others saw.
pub(crate) async fn starttls_elsewhere(
    tx: &mut OrgTx,
    region: &str,
    locked: &[LockedMonitor],
    runs: &[Run],
) -> Result<StarttlsElsewhere, WorkerError> {
    let mut all = StarttlsElsewhere::new();
    for monitor in locked.iter().filter(|monitor| monitor.kind == MonitorKind::Smtp && !monitor.others.is_empty()) {
        let Some(run) = runs.iter().find(|run| run.monitor == monitor.id && run.claim == monitor.claim) else { continue };
        if !matches!(&*run.outcome, Outcome::Smtp(report) if misses_starttls(report)) {
            continue;
        }
        // Older ones have no vote either.
        let since = run.at - chrono::Duration::from_std(vote_interval(monitor) * 2).unwrap_or(chrono::Duration::MAX);
        let latest = tx.latest_outcomes(monitor.id, since).await?;
        let (own, others): (Vec<Sight<'_>>, Vec<Sight<'_>>) = latest.iter().filter_map(sight).partition(|sight| sight.region == region);
        if let [before] = own[..] {
            all.insert(monitor.id, seen_elsewhere(before, others));
        }
    }
    Ok(all)
}

fn sight(latest: &LatestOutcome) -> Option<Sight<'_>> {
    let Outcome::Smtp(report) = &latest.outcome else { return None };
    Some(Sight { region: &latest.region, at: latest.at, report })
}

/// What was seen, beside what other regions saw.
pub(crate) fn as_elsewhere(seen: &Arc<Outcome>, elsewhere: Option<&BTreeMap<IpAddr, String>>) -> Arc<Outcome> {
    match (&**seen, elsewhere) {
        (Outcome::Smtp(report), Some(elsewhere)) => {
            with_starttls_elsewhere(report, elsewhere).map_or_else(|| Arc::clone(seen), |judged| Arc::new(Outcome::Smtp(Box::new(judged))))
        }
        _ => Arc::clone(seen),
    }
}
