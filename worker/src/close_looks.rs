//! Close looks: what a server is asked once a day, beside its checks. They hold up no check: a look that is due begins when a check has reached
//! the server, and what it finds counts from the next check on. The turn is taken in the database, so that a day is a day over all processes.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use waypost_engine::{net::is_public, probe::Asks};
use waypost_store::{Store, StoreError, close_looks::LookAt, schedule::DueUnit};
use waypost_types::{
    DomainName, OrgId,
    outcome::{Outcome, ProbeReport},
};

use crate::{
    checker::{Checker, split_target},
    error::chain,
};

/// Close looks at once. Of many that are due each finds its place with one of the next checks.
const AT_ONCE: usize = 8;
/// One look, however slow the server is: the others wait for its place.
const LIMIT: Duration = Duration::from_secs(180);
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

    /// A server was seen: the close looks of the last day are added, and what is due begins.
    pub fn add(&self, unit: &DueUnit, seen: Arc<Outcome>) -> Arc<Outcome> {
        if (unit.looks_due.old_tls || unit.looks_due.of_owner)
            && let Some(held) = self.checker.may_look_closely(&seen)
        {
            self.begin(unit, held);
        }
        match &*seen {
            Outcome::Smtp(report) if !unit.close_looks.is_empty() => {
                let mut report = report.clone();
                report.close_looks.clone_from(&unit.close_looks);
                Arc::new(Outcome::Smtp(report))
            }
            _ => seen,
        }
    }

    fn begin(&self, unit: &DueUnit, held: &ProbeReport) {
        let (Some(address), Ok(place)) = (held.address, Arc::clone(&self.places).try_acquire_owned()) else { return };
        let owner = unit.owner.as_deref().filter(|_| unit.looks_due.of_owner).and_then(|name| DomainName::from_ascii(name).ok());
        let look = Look {
            checker: Arc::clone(&self.checker),
            store: self.store.clone(),
            org: unit.org,
            target: unit.target.clone(),
            held: held.clone(),
            address,
            _place: place,
        };
        let old_tls = unit.looks_due.old_tls;
        // Nobody waits for it. One that is lost, in a shutdown say, is made the day after: a server is asked too rarely rather than too often.
        tokio::spawn(async move {
            let looked = async {
                if old_tls {
                    look.ask(None, &Asks::of_anybody()).await?;
                }
                if let Some(owner) = &owner {
                    look.ask(Some(owner), &look.asks_of(owner).await?).await?;
                }
                Ok::<_, StoreError>(())
            };
            if let Err(error) = looked.await {
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
    held: ProbeReport,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Look {
    async fn ask(&self, owner: Option<&DomainName>, asks: &Asks) -> Result<(), StoreError> {
        let at = LookAt { target: &self.target, owner: owner.map(DomainName::as_str) };
        if !self.store.take_close_look(at, self.address, self.held.port).await? {
            return Ok(());
        }
        let Ok(Some(mut look)) = timeout(LIMIT, self.checker.look_closely(&self.held, asks)).await else { return Ok(()) };
        if !look.tells() {
            // It goes with every check of the day.
            look.transcript = Vec::new();
        }
        self.store.keep_close_look(at, &look).await
    }

    /// Recipients where the server takes the domain's mail. Whether it relays for strangers only where we are strangers: in a network of our own
    /// we may be among its clients.
    async fn asks_of(&self, owner: &DomainName) -> Result<Asks, StoreError> {
        let (host, port) = split_target(&self.target);
        let mut takes = false;
        if port == MX_PORT {
            let mut tx = self.store.org_tx(self.org).await?;
            takes = tx.takes_mail(owner.as_str(), host).await?;
            tx.commit().await?;
        }
        Ok(Asks::of_owner(takes.then(|| owner.clone()), is_public(self.address)))
    }
}
