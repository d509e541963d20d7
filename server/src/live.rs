//! Live events: one listener per process hears what PostgreSQL notifies and hands it to everybody of that organisation who listens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use waypost_store::Store;
use waypost_types::{OrgId, event::LiveEvent};

use crate::{http::problem::chain, overview::Overviews};

/// Events that a slow listener may be behind before it is told to fetch everything.
const BACKLOG: usize = 256;
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Where listeners of an organisation subscribe. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Live {
    channels: Arc<Mutex<HashMap<OrgId, broadcast::Sender<LiveEvent>>>>,
}

impl Live {
    /// Hears what happens in an organisation from now on.
    pub fn subscribe(&self, org: OrgId) -> broadcast::Receiver<LiveEvent> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|_, sender| sender.receiver_count() > 0);
        channels.entry(org).or_insert_with(|| broadcast::channel(BACKLOG).0).subscribe()
    }

    /// Ends every stream: the process stops, and browsers come back to another.
    pub fn close(&self) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn publish(&self, org: OrgId, event: LiveEvent) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = channels.get(&org) {
            offer(sender, event);
        }
    }

    fn publish_to_all(&self, event: &LiveEvent) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in channels.values() {
            offer(sender, event.clone());
        }
    }

    /// Listens until `shutdown`, through every loss of the database. After a loss everybody is told to fetch everything, since what was
    /// notified meanwhile is unknown.
    pub async fn run(&self, store: &Store, overviews: &Overviews, shutdown: &CancellationToken) {
        let mut wait = FIRST_WAIT;
        let mut first = true;
        while !shutdown.is_cancelled() {
            let listening = tokio::select! {
                () = shutdown.cancelled() => return,
                listening = store.listen_to_orgs() => listening,
            };
            match listening {
                Ok(mut listener) => {
                    wait = FIRST_WAIT;
                    if !first {
                        self.publish_to_all(&LiveEvent::Resync);
                    }
                    first = false;
                    overviews.trust(true);
                    loop {
                        let event = tokio::select! {
                            () = shutdown.cancelled() => return,
                            event = listener.next() => event,
                        };
                        match event {
                            Ok(Some(heard)) => {
                                overviews.heard(heard.org, &heard.event);
                                self.publish(heard.org, heard.event);
                            }
                            Ok(None) => break,
                            Err(error) => {
                                tracing::warn!(error = chain(&error), "the listener for live events lost the database");
                                break;
                            }
                        }
                    }
                }
                Err(error) => tracing::warn!(error = chain(&error), "no listener for live events; trying again"),
            }
            overviews.trust(false);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

fn offer(sender: &broadcast::Sender<LiveEvent>, event: LiveEvent) {
    // The last listener may have left just now; they fetch when they come back.
    if sender.send(event).is_err() {
        tracing::trace!("nobody listens");
    }
}
