//! Sends what waits for channels: claims, tries each outside of any transaction, and marks it with what the other side said. It runs beside
//! the notifier, so that a webhook that keeps everybody waiting delays no mail.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use waypost_engine::net::Net;
use waypost_store::{
    Store,
    channels::{ClaimedMessage, new_delivery_id},
    outbox::Attempt,
};
use waypost_types::{
    channel::{Delivery, DeliveryResult},
    event::LiveEvent,
};

use super::{ChannelSecret, Tried, attempt};
use crate::{
    WorkerError,
    notifier::{MARK_TIMEOUT, MAX_ATTEMPTS, retry_delay, surely},
    seal::Seal,
};

/// Messages claimed at once: as many as are sent at once, so that none waits for a slow one while its lease runs.
const CLAIM: i32 = 16;
/// How long a claimed message is ours, and so how long one waits whose sender was killed.
const LEASE_SECONDS: i32 = 60;
/// An attempt ends by itself after 10 s.
const ATTEMPT: Duration = Duration::from_secs(11);

/// Sends to channels.
#[derive(Debug, Clone)]
pub struct ChannelSender {
    store: Store,
    net: Net,
    seal: Option<Seal>,
    shutdown: CancellationToken,
}

impl ChannelSender {
    /// Over `net`, whose guard decides where messages may go.
    pub fn new(store: Store, net: Net, seal: Option<Seal>, shutdown: CancellationToken) -> Self {
        Self { store, net, seal, shutdown }
    }

    /// Claims what is due and sends it. Answers how many messages were tried.
    pub async fn send_due(&self, now: DateTime<Utc>) -> Result<usize, WorkerError> {
        let messages = self.store.claim_channel_messages(now, CLAIM, LEASE_SECONDS).await?;
        let (tried, at_once) = (messages.len(), messages.len().max(1));
        let lease_ends = Instant::now() + Duration::from_secs(LEASE_SECONDS.unsigned_abs().into());
        let results: Vec<Result<(), WorkerError>> =
            stream::iter(messages).map(|message| self.send_one(message, lease_ends)).buffer_unordered(at_once).collect().await;
        results.into_iter().collect::<Result<(), _>>()?;
        Ok(tried)
    }

    async fn send_one(&self, message: ClaimedMessage, lease_ends: Instant) -> Result<(), WorkerError> {
        if self.shutdown.is_cancelled() || Instant::now() + ATTEMPT + MARK_TIMEOUT > lease_ends {
            return self.mark(&message, Attempt::Untried(self.net.now()), None).await;
        }
        let mut tried = self.attempt(&message).await;
        let now = self.net.now();
        if tried.result == DeliveryResult::Deferred && message.attempts >= MAX_ATTEMPTS {
            tried.result = DeliveryResult::Failed;
        }
        let attempt = match tried.result {
            DeliveryResult::Sent => Attempt::Sent(&tried.answer),
            DeliveryResult::Deferred => Attempt::Retry(&tried.answer, now + tried.retry_after.unwrap_or_else(|| retry_delay(message.attempts))),
            DeliveryResult::Failed => Attempt::Failed(&tried.answer),
        };
        metrics::counter!("waypost_channel_messages_total", "kind" => message.kind.as_str(), "result" => tried.result.as_str()).increment(1);
        tracing::info!(message = %message.id, channel = %message.channel, attempt = message.attempts, result = tried.result.as_str(), "told");
        let delivery = Delivery {
            id: new_delivery_id(),
            at: now,
            event: message.event.kind,
            incident_id: message.incident,
            attempt: message.attempts,
            result: tried.result,
            status: tried.status,
            answer: tried.answer.clone(),
            took_ms: tried.took_ms(),
        };
        surely(&message.id, lease_ends, || self.mark(&message, attempt, Some(&delivery))).await
    }

    async fn attempt(&self, message: &ClaimedMessage) -> Tried {
        if !message.enabled {
            return Tried::refused("the channel is switched off");
        }
        let Some(seal) = &self.seal else {
            return Tried { result: DeliveryResult::Deferred, ..Tried::refused("its address can not be read: WAYPOST_SECRET_KEY is not set") };
        };
        match ChannelSecret::open(seal, message.org, message.channel, &message.sealed) {
            Ok(secret) => attempt(&self.net, message.kind, &secret, &message.event, &message.message_id).await,
            Err(error) => Tried { result: DeliveryResult::Deferred, ..Tried::refused(&error.to_string()) },
        }
    }

    async fn mark(&self, message: &ClaimedMessage, attempt: Attempt<'_>, delivery: Option<&Delivery>) -> Result<(), WorkerError> {
        let mut tx = self.store.org_tx(message.org).await?;
        if tx.mark_message(message.id, self.net.now(), attempt).await?
            && let Some(delivery) = delivery
        {
            tx.add_delivery(message.channel, delivery).await?;
            if delivery.result != DeliveryResult::Deferred {
                let ids = message.incident.iter().map(ToString::to_string).collect();
                tx.notify(&LiveEvent::Incidents { ids }).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}
