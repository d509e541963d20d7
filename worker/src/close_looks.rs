//! Close looks: what a server is asked once a day, beside its checks. They hold up no check: a look that is due begins when a check has reached
//! the server, and what it finds counts from the next check on. The turn is taken in the database, so that a day is a day over all processes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use waypost_engine::probe::{Asks, add_close_look};
use waypost_store::{Store, StoreError, schedule::DueUnit};
use waypost_types::{DomainName, OrgId, outcome::Outcome};

use crate::{
    checker::{Checker, split_target},
    error::chain,
};

/// Close looks at once. Of many that are due each finds its place with one of the next checks.
const AT_ONCE: usize = 8;
/// The port where a server takes mail for its domains.
const MX_PORT: u16 = 25;

/// Begins close looks and knows what they found.
pub(crate) struct CloseLooks {
    checker: Arc<dyn Checker>,
    store: Store,
    places: Arc<Semaphore>,
}

impl CloseLooks {
    pub fn new(checker: Arc<dyn Checker>, store: Store) -> Self {
        Self { checker, store, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A server was seen: what the last close look has to tell is added, and the next one begins when it is due.
    pub fn add(&self, unit: &DueUnit, seen: Arc<Outcome>) -> Arc<Outcome> {
        if unit.look_due && self.checker.may_look_closely(&seen) {
            self.begin(unit, &seen);
        }
        let (Some(look), Outcome::Smtp(report)) = (&unit.close_look, &*seen) else { return seen };
        let mut report = report.clone();
        add_close_look(&mut report, look);
        Arc::new(Outcome::Smtp(report))
    }

    fn begin(&self, unit: &DueUnit, seen: &Arc<Outcome>) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
        let owner = unit.owner.as_deref().and_then(|name| DomainName::from_ascii(name).ok());
        let look =
            Look { checker: Arc::clone(&self.checker), store: self.store.clone(), org: unit.org, target: unit.target.clone(), owner, _place: place };
        let seen = Arc::clone(seen);
        // Nobody waits for it. One that is lost, in a shutdown say, is made the day after: a server is asked too rarely rather than too often.
        tokio::spawn(async move {
            if let Err(error) = look.run(&seen).await {
                tracing::warn!(target = look.target, error = chain(&error), "a close look could not be made or kept");
            }
        });
    }
}

struct Look {
    checker: Arc<dyn Checker>,
    store: Store,
    org: OrgId,
    target: String,
    owner: Option<DomainName>,
    _place: OwnedSemaphorePermit,
}

impl Look {
    async fn run(&self, seen: &Outcome) -> Result<(), StoreError> {
        let asks = match &self.owner {
            Some(owner) => Asks::of_owner(self.takes_mail_for(owner).await?.then(|| owner.clone())),
            None => Asks::of_anybody(),
        };
        let owner = self.owner.as_ref().map(DomainName::as_str);
        if !self.store.take_close_look(&self.target, owner).await? {
            return Ok(());
        }
        let Some(look) = self.checker.look_closely(seen, &asks).await else { return Ok(()) };
        self.store.keep_close_look(&self.target, owner, &look).await
    }

    async fn takes_mail_for(&self, owner: &DomainName) -> Result<bool, StoreError> {
        let (host, port) = split_target(&self.target);
        if port != MX_PORT {
            return Ok(false);
        }
        let mut tx = self.store.org_tx(self.org).await?;
        let takes = tx.takes_mail(owner.as_str(), host).await?;
        tx.commit().await?;
        Ok(takes)
    }
}
