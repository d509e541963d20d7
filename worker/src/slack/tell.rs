//! Tells a channel of the app what happened: the first time by a message, from then on by bringing it up to date, with a reply in its thread where
//! people are to be notified. Each call may run twice: an update says the same again, and a message that is repeated carries the same ids.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;
use waypost_engine::net::{DialError, HttpFailure};
use waypost_store::slack_messages::{SlackPost, SlackTelling};
use waypost_types::{
    channel::{ChannelEvent, DeliveryResult, EventKind},
    slack::SlackChannelId,
};

use super::{SlackApi, SlackFailure, api::wait, card, words};
use crate::channels::Tried;

/// For the calls of one attempt, of which an update and a reply are two.
const ATTEMPT: Duration = Duration::from_secs(20);

/// What came of it.
#[derive(Debug)]
pub struct Told {
    /// As of every channel.
    pub tried: Tried,
    /// A message that was posted: it tells of the incidents from now on.
    pub posted: Option<SlackPost>,
    /// Why the token is worth nothing any more.
    pub gone: Option<String>,
}

impl Told {
    fn failed(failure: &SlackFailure) -> Self {
        let gone = failure.token_is_gone().map(str::to_owned);
        // Who adds the app again within the days that a message is tried for is told what happened meanwhile.
        let result = match failure {
            SlackFailure::Http(HttpFailure::BadUrl(_) | HttpFailure::Dial(DialError::Forbidden(_))) => DeliveryResult::Failed,
            SlackFailure::Http(_) | SlackFailure::Illegible | SlackFailure::Status { status: 408 | 429 | 500.., .. } => DeliveryResult::Deferred,
            SlackFailure::Refused { error, .. } if gone.is_some() || words::passes(error) => DeliveryResult::Deferred,
            SlackFailure::Status { .. } | SlackFailure::Refused { .. } => DeliveryResult::Failed,
        };
        let status = match failure {
            SlackFailure::Status { status, .. } => Some(*status),
            SlackFailure::Refused { retry_after: Some(_), .. } => Some(429),
            SlackFailure::Refused { .. } => Some(200),
            SlackFailure::Http(_) | SlackFailure::Illegible => None,
        };
        Self { tried: Tried::answered(result, status, &failure.to_string(), wait(failure)), posted: None, gone }
    }

    fn sent(words: &str, posted: Option<SlackPost>) -> Self {
        Self { tried: Tried::answered(DeliveryResult::Sent, Some(200), words, None), posted, gone: None }
    }
}

/// Tells it, with the bot's token. `id` is the message's of the outbox.
pub async fn tell(api: &SlackApi, token: &SecretString, telling: &SlackTelling, event: &ChannelEvent, id: &str, base_url: &str) -> Told {
    let began = Instant::now();
    let done = tokio::time::timeout(ATTEMPT, send(api, token, telling, event, id, base_url)).await;
    let mut told = match done {
        Ok(Ok(told)) => told,
        Ok(Err(failure)) => Told::failed(&failure),
        Err(_) => Told::failed(&SlackFailure::Http(HttpFailure::TimedOut(ATTEMPT))),
    };
    told.tried.took = began.elapsed();
    told
}

/// Tries a channel.
pub async fn test(api: &SlackApi, token: &SecretString, channel: &SlackChannelId, event: &ChannelEvent, id: &str) -> Told {
    let began = Instant::now();
    let posted = post(api, token, channel.as_str(), card::test(event), event, id).await;
    let mut told = posted.map_or_else(|failure| Told::failed(&failure), |post| Told::sent("ok", Some(post)));
    told.tried.took = began.elapsed();
    told
}

async fn send(
    api: &SlackApi,
    token: &SecretString,
    telling: &SlackTelling,
    event: &ChannelEvent,
    id: &str,
    base_url: &str,
) -> Result<Told, SlackFailure> {
    let Some(channel) = &telling.slack_channel else { return Ok(Told { tried: Tried::refused("the channel is gone"), posted: None, gone: None }) };
    let card = card::card(telling, event, base_url);
    let reply = card::reply(std::iter::once(event).chain(telling.along.iter().map(|along| &along.event)));
    if let Some(known) = &telling.post {
        let mut body = card.clone();
        body["channel"] = known.slack_channel.as_str().into();
        body["ts"] = known.ts.as_str().into();
        match api.call("chat.update", token, &body).await {
            Ok(_) => {
                if let Some(reply) = reply {
                    let body = json!({ "thread_ts": known.ts, "text": reply, "unfurl_links": false });
                    post(api, token, &known.slack_channel, body, event, id).await?;
                }
                return Ok(Told::sent("ok: the message is up to date", None));
            }
            Err(failure) if failure.word().is_some_and(words::message_is_gone) => {
                if reply.is_none() {
                    return Ok(Told::sent("somebody removed the message in Slack", None));
                }
            }
            Err(failure) => return Err(failure),
        }
    } else if event.kind == EventKind::Handled {
        return Ok(Told::sent("there is no message to bring up to date", None));
    }
    let posted = post(api, token, channel, card, event, id).await?;
    Ok(Told::sent("ok", Some(posted)))
}

/// Posts a message that says which one of ours it is.
async fn post(
    api: &SlackApi,
    token: &SecretString,
    channel: &str,
    mut body: Value,
    event: &ChannelEvent,
    id: &str,
) -> Result<SlackPost, SlackFailure> {
    body["channel"] = channel.into();
    if let Some(id) = id.strip_prefix("msg_").and_then(|id| uuid::Uuid::try_parse(id).ok()) {
        body["client_msg_id"] = id.to_string().into();
    }
    let mut payload = json!({ "id": id });
    if let Some(incident) = event.incident {
        payload["incident"] = incident.to_string().into();
    }
    body["metadata"] = json!({ "event_type": "waypost_message", "event_payload": payload });
    let answer = api.call("chat.postMessage", token, &body).await?;
    let text = |name: &str| answer[name].as_str().filter(|text| text.len() <= 40).map(str::to_owned);
    Ok(SlackPost { slack_channel: text("channel").unwrap_or_else(|| channel.to_owned()), ts: text("ts").ok_or(SlackFailure::Illegible)? })
}
