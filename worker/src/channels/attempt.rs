//! One attempt to tell a channel something, and what its outcome means.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use waypost_engine::net::{DialError, HttpFailure, HttpReceipt, Net};
use waypost_types::channel::{ChannelEvent, ChannelKind, DeliveryResult};

use super::{ChannelSecret, Message, request};
use crate::notifier::{answer, retry_delay};

/// Longest wait that the other side can ask for.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

/// `410 Gone`.
const GONE: u16 = 410;
/// Attempts that go by the other side's wait alone: after these it is never shorter than ours, or who says "in a second" for days would be asked
/// each second.
const TRUSTING: i32 = 3;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Taken, worth another try, or not.
    pub result: DeliveryResult,
    /// The HTTP status, where an answer came.
    pub status: Option<u16>,
    /// What was said, or why nothing was, without secrets and bounded.
    pub answer: String,
    /// How long it took.
    pub took: Duration,
    /// When the other side wants to be asked again.
    pub retry_after: Option<TimeDelta>,
}

impl Tried {
    /// What somebody answered.
    pub(crate) fn answered(result: DeliveryResult, status: Option<u16>, words: &str, retry_after: Option<TimeDelta>) -> Self {
        Self { result, status, answer: answer(words), took: Duration::ZERO, retry_after }
    }

    /// It was not even asked, and will not be.
    pub(crate) fn refused(why: &str) -> Self {
        Self { result: DeliveryResult::Failed, status: None, answer: answer(why), took: Duration::ZERO, retry_after: None }
    }

    /// How long to wait after that many attempts.
    pub(super) fn wait(&self, attempts: i32) -> TimeDelta {
        let ours = retry_delay(attempts);
        self.retry_after.map_or(ours, |theirs| if attempts > TRUSTING { theirs.max(ours) } else { theirs })
    }

    /// A webhook that wants no more messages, ever.
    pub(super) fn is_farewell(&self, kind: ChannelKind) -> bool {
        kind == ChannelKind::Webhook && self.status == Some(GONE)
    }

    /// How long it took, in milliseconds.
    pub fn took_ms(&self) -> u64 {
        u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Sends once.
pub async fn attempt(net: &Net, kind: ChannelKind, secret: &ChannelSecret, event: &ChannelEvent, id: &str) -> Tried {
    let sent_at = net.now();
    let post = match request(kind, secret, &Message { event, id, sent_at }) {
        Ok(post) => post,
        Err(fault) => return Tried::refused(&fault.message),
    };
    let began = Instant::now();
    let outcome = net.https_post(&post).await;
    let tried = judge(kind, &outcome, net.now());
    Tried { took: began.elapsed(), answer: answer(&secret.redact(&tried.answer)), ..tried }
}

/// 2xx is taken. 429 and 503 say when to come back; these, other 5xx, 408 and what never answered are worth another try. From a provider all
/// else stays as it is however often it is asked. A program of theirs is mended, and until then may say anything: Standard Webhooks tries all
/// again but 410, which wants no more.
fn judge(kind: ChannelKind, outcome: &Result<HttpReceipt, HttpFailure>, now: DateTime<Utc>) -> Tried {
    let (result, status, answer, retry_after) = match outcome {
        Ok(receipt) => {
            let result = match receipt.status {
                200..=299 => DeliveryResult::Sent,
                408 | 429 | 500.. => DeliveryResult::Deferred,
                status if kind == ChannelKind::Webhook && status != GONE => DeliveryResult::Deferred,
                _ => DeliveryResult::Failed,
            };
            let wait = receipt.retry_after.as_deref().filter(|_| matches!(receipt.status, 429 | 503)).and_then(|text| wait(text, now));
            (result, Some(receipt.status), format!("{} {}", receipt.status, receipt.body), wait)
        }
        Err(failure @ (HttpFailure::BadUrl(_) | HttpFailure::Dial(DialError::Forbidden(_)))) => {
            (DeliveryResult::Failed, None, failure.to_string(), None)
        }
        Err(failure) => (DeliveryResult::Deferred, None, failure.to_string(), None),
    };
    Tried { result, status, answer, took: Duration::ZERO, retry_after }
}

/// `Retry-After` in seconds or as a date (RFC 9110 10.2.3), between a second and an hour.
fn wait(text: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let wait = match text.parse::<f64>() {
        // Discord gives fractions.
        Ok(seconds) if seconds.is_finite() => {
            Duration::try_from_secs_f64(seconds.clamp(0.0, 3_600.0).ceil()).ok().and_then(|wait| TimeDelta::from_std(wait).ok())?
        }
        Ok(_) => return None,
        Err(_) => DateTime::parse_from_rfc2822(text).ok()?.to_utc() - now,
    };
    Some(wait.clamp(TimeDelta::seconds(1), LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_outcome_means() {
        let now: DateTime<Utc> = "2026-11-26T12:00:00Z".parse().unwrap();
        let (sent, later, never) = (DeliveryResult::Sent, DeliveryResult::Deferred, DeliveryResult::Failed);
        for (status, retry_after, result, wait) in [
            (200, None, sent, None),
            (204, Some("5"), sent, None),
            (301, None, never, None),
            (400, None, never, None),
            (404, Some("5"), never, None),
            (410, None, never, None),
            (408, None, later, None),
            (429, None, later, None),
            (429, Some("5"), later, Some(5)),
            (429, Some("0.3"), later, Some(1)),
            (503, Some("999999"), later, Some(3_600)),
            (503, Some("inf"), later, None),
            (503, Some("-7"), later, Some(1)),
            (503, Some("Thu, 26 Nov 2026 12:00:30 GMT"), later, Some(30)),
            (503, Some("Thu, 26 Nov 2020 12:00:30 GMT"), later, Some(1)),
            (503, Some("Sat, 26 Nov 2050 12:00:30 GMT"), later, Some(3_600)),
            (503, Some("soon"), later, None),
            (500, Some("5"), later, None),
            (599, None, later, None),
        ] {
            let receipt = HttpReceipt { status, retry_after: retry_after.map(str::to_owned), body: String::new() };
            let tried = judge(ChannelKind::Slack, &Ok(receipt), now);
            assert_eq!((tried.result, tried.retry_after.map(|wait| wait.num_seconds())), (result, wait), "{status} {retry_after:?}");
        }
        for (failure, result) in [
            (HttpFailure::TimedOut(Duration::from_secs(10)), later),
            (HttpFailure::Io("reset".to_owned()), later),
            (HttpFailure::Certificate("expired".to_owned()), later),
            (HttpFailure::BadUrl("x".to_owned()), never),
        ] {
            assert_eq!(judge(ChannelKind::Slack, &Err(failure.clone()), now).result, result, "{failure}");
        }
        for (status, result) in [(204, sent), (301, later), (401, later), (404, later), (410, never), (500, later)] {
            let receipt = HttpReceipt { status, retry_after: None, body: String::new() };
            let tried = judge(ChannelKind::Webhook, &Ok(receipt), now);
            assert_eq!((tried.result, tried.is_farewell(ChannelKind::Webhook)), (result, status == 410), "{status}");
            assert!(!tried.is_farewell(ChannelKind::Slack));
        }
    }

    #[test]
    fn who_asks_for_a_second_for_days_is_not_asked_each_second() {
        let asked = |wait| Tried { retry_after: wait, ..Tried::refused("429") };
        let waits = |tried: &Tried| [1, 3, 4, 12].map(|attempts| tried.wait(attempts).num_seconds());
        assert_eq!(waits(&asked(Some(TimeDelta::seconds(1)))), [1, 1, 240, 3_600]);
        assert_eq!(waits(&asked(Some(TimeDelta::seconds(1_000)))), [1_000, 1_000, 1_000, 3_600]);
        assert_eq!(waits(&asked(None)), [30, 120, 240, 3_600]);
    }
}
