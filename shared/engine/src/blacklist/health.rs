//! Whether a zone can be believed: its listed test point answers, its clean one does not. Kept for an hour, a failure for five minutes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex as Flight, time::Instant};
use waypost_types::outcome::ListState;

use super::{
    catalog::Zone,
    decode::{RESOLVER_HINT, decode},
    plan::test_points,
};
use crate::net::{Absence, Lookup, Net};

const GOOD_FOR: Duration = Duration::from_secs(3600);
const BAD_FOR: Duration = Duration::from_secs(300);

type Verdict = Result<(), String>;
type Cell = Arc<Flight<Option<(Instant, Verdict)>>>;

/// What is known about the zones.
#[derive(Debug, Default)]
pub(super) struct Health {
    cells: Mutex<HashMap<String, Cell>>,
}

impl Health {
    /// The verdict about a zone, asked for once however many wait for it.
    pub async fn of(&self, net: &Net, zone: &Zone) -> Verdict {
        let cell = self.cells.lock().unwrap_or_else(PoisonError::into_inner).entry(zone.zone.clone()).or_default().clone();
        let mut known = cell.lock().await;
        if let Some((when, verdict)) = &*known {
            let age = when.elapsed();
            if age < if verdict.is_ok() { GOOD_FOR } else { BAD_FOR } {
                return verdict.clone();
            }
        }
        let verdict = examine(net, zone).await;
        *known = Some((Instant::now(), verdict.clone()));
        verdict
    }
}

async fn examine(net: &Net, zone: &Zone) -> Verdict {
    let points = test_points(zone);
    let (listed, clean) = tokio::join!(first_listed(net, zone, &points.listed), net.dns().a(&points.clean));
    listed?;
    match clean {
        Lookup::Missing(Absence::NxDomain) => Ok(()),
        Lookup::Missing(Absence::NoData) => {
            Err(format!("the list answers oddly for its clean test point {}: the name exists without an address", points.clean))
        }
        Lookup::Found(_) => {
            Err(format!("the list answers for its clean test point {} too: it lists everything, or the resolver invents answers", points.clean))
        }
        Lookup::Failed(failure) => Err(format!("the list could not be tested: {failure}; {RESOLVER_HINT}")),
    }
}

async fn first_listed(net: &Net, zone: &Zone, points: &[String]) -> Verdict {
    let mut reason = "the list has no test point".to_owned();
    for point in points.iter().take(3) {
        reason = match net.dns().a(point).await {
            Lookup::Found(answers) => {
                let decoded = decode(zone, &answers);
                // A test point may carry a code of its own, even 127.0.0.1 where the table gives it no meaning.
                if decoded.state == ListState::Listed {
                    return Ok(());
                }
                format!("the list answers its own test point with an error: {}", decoded.reason)
            }
            Lookup::Missing(_) => {
                format!("the list does not know its own test point {point}: it is dead, emptied, or refuses this resolver; {RESOLVER_HINT}")
            }
            Lookup::Failed(failure) => return Err(format!("the list could not be tested: {failure}; {RESOLVER_HINT}")),
        };
    }
    Err(reason)
}
