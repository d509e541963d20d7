//! Listens for what wakes the loops: something new is due, a message waits. Losing it costs a second of delay and nothing else.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use waypost_store::Store;

use crate::{WorkerError, backoff::forever};

/// The bells of the loops.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    pub due: Notify,
    pub mail: Notify,
    pub channels: Arc<Notify>,
}

impl Bells {
    /// Something waits in the outbox.
    fn message(&self) {
        self.mail.notify_one();
        self.channels.notify_one();
    }
}

pub(crate) async fn run(store: &Store, bells: &Bells, shutdown: &CancellationToken) {
    forever("listener", shutdown, || async {
        let mut listener = PgListener::connect_with(store.pool()).await?;
        listener.listen_all(["waypost_due", "waypost_mail"]).await?;
        // What was notified before we listened is unknown: look once.
        bells.due.notify_one();
        bells.message();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok::<_, WorkerError>(Duration::ZERO),
                received = listener.recv() => match received?.channel() {
                    "waypost_due" => bells.due.notify_one(),
                    _ => bells.message(),
                },
            }
        }
    })
    .await;
}
