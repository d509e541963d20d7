//! The history of a mail server: what a probe saw of it is compared with what it showed before. What is seen twice in a row is told: one answer
//! from another machine behind the same address is no change.

use chrono::{DateTime, Utc};
use waypost_engine::probe::{
    drift,
    facts::{facts, known_after, mark},
};
use waypost_store::{OrgTx, judging::LockedMonitor, server_history::KnownMark};
use waypost_types::outcome::{Outcome, SmtpReport};

use crate::{
    WorkerError,
    history::{CAUSE, what_changed},
    incidents::{Step, What},
};

/// What a probe saw, to be compared.
pub(crate) struct Look<'a> {
    pub monitor: &'a LockedMonitor,
    pub report: &'a SmtpReport,
    pub at: DateTime<Utc>,
}

/// Keeps what is new and tells it in the history. The first look is no change, nor is what could not be seen.
pub(crate) async fn keep(tx: &mut OrgTx, looks: impl Iterator<Item = Look<'_>>) -> Result<(), WorkerError> {
    for Look { monitor, report, at } in looks {
        let Some(seen) = facts(report) else { continue };
        let (id, new) = (monitor.id, mark(&seen));
        match monitor.server {
            None => tx.keep_server_facts(id, new, &seen).await?,
            Some(KnownMark { mark, pending: None }) if mark == new => {}
            Some(KnownMark { mark, pending: Some(_) }) if mark == new => tx.keep_pending_facts(id, None).await?,
            Some(KnownMark { pending, .. }) if pending != Some(new) => tx.keep_pending_facts(id, Some(new)).await?,
            Some(_) => {
                let before = tx.server_facts(id).await?;
                let after = known_after(&before, report);
                let changes = drift::changes(&before, &after);
                tx.keep_server_facts(id, new, &after).await?;
                if !changes.is_empty() {
                    tx.add_server_change(id, new, at, &changes).await?;
                }
            }
        }
    }
    Ok(())
}

/// Says of incidents that open what change of the server came before them.
pub(crate) async fn name_causes(tx: &mut OrgTx, steps: &mut [Step<'_>]) -> Result<(), WorkerError> {
    for step in steps {
        let (What::Stands { summary, better: false, .. }, Outcome::Smtp(_)) = (&mut step.what, step.outcome) else { continue };
        let latest = tx.server_changes(&[step.monitor], None, 1).await?;
        if let Some(event) = latest.first().filter(|event| event.at >= step.at - CAUSE) {
            *summary = format!("{summary} {}", what_changed(event.at, &event.changes));
        }
    }
    Ok(())
}
