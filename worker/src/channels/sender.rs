//! Sends what waits for channels: claims, tries each outside of any transaction, and marks it with what the other side said. It runs beside
//! the notifier, so that a webhook that keeps everybody waiting delays no mail.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use waypost_engine::net::Net;
use waypost_store::{
    Store,
    channel_turns::ClaimedMessage,
    channels::new_delivery_id,
    outbox::Attempt,
    slack::SlackToken,
    slack_messages::{Along, SlackPost},
};
use waypost_types::{
    IncidentId,
    channel::{ChannelKind, Delivery, DeliveryResult},
    event::LiveEvent,
};

use super::{ChannelSecret, Tried, attempt};
use crate::{
    WorkerError,
    error::chain,
    notifier::{MARK_TIMEOUT, given_up, keep_sending, surely},
    seal::Seal,
    slack::{self, SlackApi},
};

/// Messages sent at once. A place that comes free is taken at once: one who keeps us waiting holds his own place and nobody else's.
const PLACES: usize = 16;
/// How long a claimed message is ours, and so how long one waits whose sender was killed.
const LEASE_SECONDS: i32 = 60;
/// An attempt ends by itself after 10 s, one of Slack's app, which may be two calls, after 20.
const ATTEMPT: Duration = Duration::from_secs(21);
/// How long a message is tried while the other side puts it off, however often: over a long weekend. Senders by Standard Webhooks try for one to
/// a few days.
const PATIENCE: TimeDelta = TimeDelta::days(3);
/// When what was to be told with one that is given up is tried by itself.
const GIVEN_UP_WITHOUT: TimeDelta = TimeDelta::minutes(5);

/// Sends to channels.
#[derive(Debug, Clone)]
pub struct ChannelSender {
    store: Store,
    net: Net,
    seal: Option<Seal>,
    base_url: Arc<str>,
    slack: SlackApi,
    places: Arc<Semaphore>,
    sending: TaskTracker,
    shutdown: CancellationToken,
}

impl ChannelSender {
    /// Over `net`, whose guard decides where messages may go. Links lead to `base_url`.
    pub fn new(store: Store, net: Net, seal: Option<Seal>, base_url: &str, shutdown: CancellationToken) -> Self {
        let (base_url, places, sending) = (base_url.trim_end_matches('/').into(), Arc::new(Semaphore::new(PLACES)), TaskTracker::new());
        let slack = SlackApi::new(net.clone(), slack::API);
        Self { store, net, seal, base_url, slack, places, sending, shutdown }
    }

    /// With Slack's API at that address.
    #[must_use]
    pub fn with_slack(mut self, url: &str) -> Self {
        self.slack = SlackApi::new(self.net.clone(), url);
        self
    }

    /// Sends until shutdown, then ends what is under way. A message that is done rings the bell: its channel's next one may go.
    pub async fn run(&self, woken: &Arc<Notify>) {
        keep_sending("channels", &self.shutdown, woken, || self.begin(Utc::now(), Arc::clone(woken))).await;
        self.sending.close();
        self.sending.wait().await;
    }

    /// Claims what is due and sends it. Answers how many messages were tried.
    pub async fn send_due(&self, now: DateTime<Utc>) -> Result<usize, WorkerError> {
        let began = self.begin(now, Arc::default()).await?;
        self.sending.close();
        self.sending.wait().await;
        Ok(began)
    }

    /// Claims as many as there are free places, and begins to send them.
    async fn begin(&self, now: DateTime<Utc>, done: Arc<Notify>) -> Result<usize, WorkerError> {
        let lease_ends = Instant::now() + Duration::from_secs(LEASE_SECONDS.unsigned_abs().into());
        let mut places = Vec::with_capacity(PLACES);
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            places.push(place);
        }
        if places.is_empty() {
            return Ok(0);
        }
        let messages = self.store.claim_channel_messages(now, i32::try_from(places.len()).unwrap_or(i32::MAX), LEASE_SECONDS).await?;
        let began = messages.len();
        for (message, place) in messages.into_iter().zip(places) {
            let (sender, done) = (self.clone(), Arc::clone(&done));
            self.sending.spawn(async move {
                let id = message.id;
                if let Err(error) = sender.send_one(message, lease_ends).await {
                    tracing::error!(message = %id, error = chain(&error), "a message could not be marked; it comes back when its lease ends");
                }
                drop(place);
                done.notify_one();
            });
        }
        Ok(began)
    }

    async fn send_one(&self, mut message: ClaimedMessage, lease_ends: Instant) -> Result<(), WorkerError> {
        if self.shutdown.is_cancelled() || Instant::now() + ATTEMPT + MARK_TIMEOUT > lease_ends {
            return self.mark(&message, Attempt::Untried(self.net.now()), None).await;
        }
        if message.event.url.starts_with('/') {
            message.event.url.insert_str(0, &self.base_url);
        }
        if let Some(runbook) = message.event.runbook.as_mut().filter(|url| url.starts_with('/')) {
            runbook.insert_str(0, &self.base_url);
        }
        let (mut tried, slack) =
            if message.kind == ChannelKind::SlackApp { self.slack(&message).await? } else { (self.attempt(&message).await, None) };
        let now = self.net.now();
        let puts_off = tried.result == DeliveryResult::Deferred;
        let gives_up = puts_off && now - message.waits_since >= PATIENCE;
        if gives_up {
            (tried.result, tried.answer) = (DeliveryResult::Failed, given_up(&tried.answer, PATIENCE));
        }
        if tried.is_farewell(message.kind) {
            tried.answer.push_str(" (it wants no more messages, so the channel is switched off)");
        }
        let attempt = match tried.result {
            DeliveryResult::Sent => Attempt::Sent(&tried.answer),
            DeliveryResult::Deferred => Attempt::Retry(&tried.answer, now + tried.wait(message.attempts)),
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
        let held_until = tried.retry_after.map(|wait| now + wait);
        let told = Told { delivery, puts_off, gives_up, held_until, farewell: tried.is_farewell(message.kind), slack };
        surely(&message.id, lease_ends, || self.mark(&message, attempt, Some(&told))).await
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

    /// To a channel of Slack's app: what it takes is read first, so that the message shows how things stand.
    async fn slack(&self, message: &ClaimedMessage) -> Result<(Tried, Option<InSlack>), WorkerError> {
        let later = |why: &str| (Tried { result: DeliveryResult::Deferred, ..Tried::refused(why) }, None);
        if !message.enabled {
            return Ok((Tried::refused("the channel is switched off"), None));
        }
        let mut tx = self.store.org_tx(message.org).await?;
        let telling = tx.slack_telling(message.channel, message.id, message.event.incident, self.net.now()).await?;
        tx.commit().await?;
        let Some(token) = telling.token.clone() else { return Ok(later("the app is in no workspace. Add it to Slack")) };
        if token.gone.is_some() {
            return Ok(later("the workspace lets the app in no more. Add it to Slack again"));
        }
        let Some(seal) = &self.seal else { return Ok(later("the token can not be read: WAYPOST_SECRET_KEY is not set")) };
        let opened = match slack::open_token(seal, message.org, &token.sealed) {
            Ok(opened) => opened,
            Err(error) => return Ok(later(&error.to_string())),
        };
        let told = slack::tell::tell(&self.slack, &opened, &telling, &message.event, &message.message_id, &self.base_url).await;
        Ok((told.tried, Some(InSlack { posted: told.posted, gone: told.gone, token, about: telling.about, along: telling.along })))
    }

    async fn mark(&self, message: &ClaimedMessage, attempt: Attempt<'_>, told: Option<&Told>) -> Result<(), WorkerError> {
        let mut tx = self.store.org_tx(message.org).await?;
        let marked = tx.mark_message(message.id, self.net.now(), attempt).await?;
        // What stands in Slack is known even where the incident was removed meanwhile: its message can still be closed.
        let mut incidents: Vec<IncidentId> = message.incident.into_iter().collect();
        if let Some(InSlack { posted, gone, token, about, along }) = told.and_then(|told| told.slack.as_ref()) {
            if let Some(post) = posted {
                tx.remember_slack_message(message.channel, &token.team_id, about, post).await?;
            }
            if let Some(why) = gone {
                tx.slack_token_gone(token, why).await?;
            }
            // What was told with it shares its answer, but its age is its own.
            let shared = match (attempt, told) {
                (Attempt::Failed(answer), Some(told)) if told.gives_up => Attempt::Retry(answer, self.net.now() + GIVEN_UP_WITHOUT),
                _ => attempt,
            };
            for with in along {
                tx.mark_message(with.id, self.net.now(), shared).await?;
                incidents.push(with.incident);
            }
        }
        if marked && let Some(Told { delivery, puts_off, gives_up, held_until, farewell, .. }) = told {
            tx.add_delivery(message.channel, delivery).await?;
            tx.channel_answered(message.channel, *puts_off, delivery.at).await?;
            if *gives_up {
                tx.give_up_older(message.channel, delivery.at - PATIENCE, &delivery.answer, delivery.at).await?;
            }
            if let Some(until) = held_until {
                tx.hold_channel(message.channel, *until).await?;
            }
            if *farewell {
                tx.silence_channel(message.channel).await?;
            }
            if delivery.result != DeliveryResult::Deferred {
                let ids = incidents.iter().map(ToString::to_string).collect();
                tx.notify(&LiveEvent::Incidents { ids }).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}

/// What an attempt leaves behind.
struct Told {
    delivery: Delivery,
    /// The other side asks for another time, or does not answer.
    puts_off: bool,
    /// And has done so for so long that this was the last attempt.
    gives_up: bool,
    /// The other side wants to be left alone until then.
    held_until: Option<DateTime<Utc>>,
    /// And from now on.
    farewell: bool,
    slack: Option<InSlack>,
}

/// What an attempt leaves behind in Slack.
struct InSlack {
    posted: Option<SlackPost>,
    /// Why the token is worth nothing any more.
    gone: Option<String>,
    token: SlackToken,
    about: Vec<IncidentId>,
    along: Vec<Along>,
}
