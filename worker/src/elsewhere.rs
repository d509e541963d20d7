//! What one region saw, beside what the others saw of the same server: STARTTLS that one of them misses was taken out on the way.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use waypost_engine::probe::{misses_starttls, starttls_at, with_starttls_elsewhere};
use waypost_store::{OrgTx, recording::LockedMonitor};
use waypost_types::{MonitorId, monitor::MonitorKind, outcome::Outcome};

use crate::{
    WorkerError,
    recorder::{Run, vote_interval},
};

/// Where other regions saw STARTTLS that this one misses, by monitor and address, with the region.
pub(crate) type StarttlsElsewhere = HashMap<MonitorId, BTreeMap<IpAddr, String>>;

/// Asked only where a conversation misses it, which few do.
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
        for (who, outcome) in tx.outcomes_elsewhere(region, monitor.id, since).await? {
            let Outcome::Smtp(report) = outcome else { continue };
            let seen = all.entry(monitor.id).or_default();
            for address in starttls_at(&report) {
                seen.entry(address).or_insert_with(|| who.clone());
            }
        }
    }
    Ok(all)
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
