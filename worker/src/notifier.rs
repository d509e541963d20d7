//! The notifier: claims messages that wait, sends each outside of any transaction, and marks it with the receiver's answer. Between the
//! receiver's acceptance and our mark a kill repeats the message under the same Message-ID; nothing else does.

use std::{future::Future, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, header},
};
use secrecy::ExposeSecret;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use waypost_render::mail::{IncidentMail, incident_opened, incident_resolved};
use waypost_store::{
    Store,
    outbox::{Attempt, ClaimedMail, MailBody, MailContent, MailOwner},
};
use waypost_types::channel::{ChannelEvent, EventKind};

use crate::{
    WorkerConfig, WorkerError,
    backoff::{Backoff, forever},
    error::chain,
    refusal::is_final,
};

/// Messages claimed at once.
const CLAIM: i32 = 50;
/// Of these, sent at once.
const SENDERS: usize = 8;
/// How long a claimed message is ours, and so how long one waits whose notifier was killed.
const LEASE_SECONDS: i32 = 120;
/// For one conversation with our mail server.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// For saying what became of a message, a database that is being restarted included.
pub(crate) const MARK_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a mail is tried: a mail server's own patience with another (RFC 5321 4.5.4.1 says four to five days).
const PATIENCE: TimeDelta = TimeDelta::days(5);
/// Attempts that a mail gets whatever its age: it may have waited because we were away ourselves.
const LEAST_ATTEMPTS: i32 = 5;
/// Longest answer that is kept.
const ANSWER_CHARS: usize = 300;

/// What came of handing a message over.
enum Delivery {
    Accepted(String),
    /// Worth another try.
    Deferred(String),
    /// Never.
    Refused(String),
}

/// Sends mail.
#[derive(Debug, Clone)]
pub struct Notifier {
    store: Store,
    from: Mailbox,
    base_url: String,
    /// `None` captures mail instead.
    transport: Option<AsyncSmtpTransport<Tokio1Executor>>,
    shutdown: CancellationToken,
}

impl Notifier {
    /// Sends by the configured mail server, or captures where there is none.
    pub fn new(config: &WorkerConfig, store: Store, shutdown: CancellationToken) -> Result<Self, WorkerError> {
        let transport = match &config.smtp_url {
            None => None,
            Some(url) => Some(
                AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
                    .map_err(WorkerError::SmtpUrl)?
                    .timeout(Some(SEND_TIMEOUT))
                    .build(),
            ),
        };
        Ok(Self { store, from: config.mail_from.clone(), base_url: config.base_url.clone(), transport, shutdown })
    }

    /// Claims what is due and sends it. Answers how many messages were tried.
    pub async fn send_due(&self, now: DateTime<Utc>) -> Result<usize, WorkerError> {
        let mut mails = self.store.claim_account_mail(now, i64::from(CLAIM), LEASE_SECONDS).await?;
        mails.extend(self.store.claim_outbox(now, CLAIM, LEASE_SECONDS).await?);
        let tried = mails.len();
        let lease_ends = Instant::now() + Duration::from_secs(LEASE_SECONDS.unsigned_abs().into());
        let results: Vec<Result<(), WorkerError>> =
            stream::iter(mails).map(|mail| self.send_one(mail, lease_ends)).buffer_unordered(SENDERS).collect().await;
        results.into_iter().collect::<Result<(), _>>()?;
        Ok(tried)
    }

    async fn send_one(&self, mut mail: ClaimedMail, lease_ends: Instant) -> Result<(), WorkerError> {
        if self.shutdown.is_cancelled() {
            return self.mark(&mail, Utc::now(), Attempt::Untried(Utc::now())).await;
        }
        if Instant::now() + SEND_TIMEOUT * 2 + MARK_TIMEOUT > lease_ends {
            // Too late to begin: whoever claims it next sends it, and nobody twice.
            return self.mark(&mail, Utc::now(), Attempt::Untried(Utc::now())).await;
        }
        let body = match &mail.content {
            MailContent::Written(body) => body.clone(),
            MailContent::Event { event, root_cause } => written(event, root_cause.as_deref(), &self.base_url),
        };
        if !mail.message_id.contains('@') {
            mail.message_id = format!("<{}@{}>", mail.message_id, self.from.email.domain());
        }
        let mut delivery = if let Some(transport) = &self.transport {
            deliver(transport, &self.from, &mail, &body).await
        } else {
            self.store.capture_mail(&mail, &body, Utc::now()).await?;
            Delivery::Accepted("captured by this development machine".to_owned())
        };
        let now = Utc::now();
        if let Delivery::Deferred(answer) = &delivery
            && mail.attempts >= LEAST_ATTEMPTS
            && now - mail.waits_since >= PATIENCE
        {
            delivery = Delivery::Refused(given_up(answer, PATIENCE));
        }
        let (attempt, result) = match &delivery {
            Delivery::Accepted(answer) => (Attempt::Sent(answer), "sent"),
            Delivery::Deferred(answer) => (Attempt::Retry(answer, now + retry_delay(mail.attempts)), "deferred"),
            Delivery::Refused(answer) => (Attempt::Failed(answer), "failed"),
        };
        metrics::counter!("waypost_mails_total", "result" => result).increment(1);
        tracing::info!(mail = %mail.id, attempt = mail.attempts, result, "mail");
        surely(&mail.id, lease_ends, || self.mark(&mail, now, attempt)).await
    }

    async fn mark(&self, mail: &ClaimedMail, now: DateTime<Utc>, attempt: Attempt<'_>) -> Result<(), WorkerError> {
        match mail.owner {
            MailOwner::Account => {
                self.store.mark_account_mail(mail.id, now, attempt).await?;
            }
            MailOwner::Org(org, incident) => {
                let mut tx = self.store.org_tx(org).await?;
                if tx.mark_message(mail.id, now, attempt).await? && !matches!(attempt, Attempt::Retry(..) | Attempt::Untried(_)) && incident.is_some()
                {
                    let ids = incident.iter().map(ToString::to_string).collect();
                    tx.notify(&waypost_types::event::LiveEvent::Incidents { ids }).await?;
                }
                tx.commit().await?;
            }
        }
        Ok(())
    }
}

/// A message that was accepted must not be sent again because the database was away for a moment: marks until it is marked or the lease ends.
pub(crate) async fn surely<F>(id: &uuid::Uuid, lease_ends: Instant, mark: impl Fn() -> F) -> Result<(), WorkerError>
where
    F: Future<Output = Result<(), WorkerError>>,
{
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        match mark().await {
            Err(error) if Instant::now() + Duration::from_secs(5) < lease_ends => {
                tracing::warn!(message = %id, error = chain(&error), "a message could not be marked; trying again");
                tokio::time::sleep(backoff.next_delay()).await;
            }
            result => return result,
        }
    }
}

/// The last answer that a message got, and that there will be no other.
pub(crate) fn given_up(answer: &str, patience: TimeDelta) -> String {
    format!("{answer} (given up after {} days)", patience.num_days())
}

/// 30 s, doubling, up to an hour.
pub(crate) fn retry_delay(attempts: i32) -> TimeDelta {
    let doublings = u32::try_from(attempts - 1).unwrap_or_default().min(7);
    TimeDelta::seconds((30_i64 << doublings).min(3_600))
}

/// What people do to an incident, as a mail: they open it, or end it.
fn written(event: &ChannelEvent, root_cause: Option<&str>, base_url: &str) -> MailBody {
    let place = |at: &str| if at.starts_with('/') { format!("{}{at}", base_url.trim_end_matches('/')) } else { at.to_owned() };
    let (url, runbook) = (place(&event.url), event.runbook.as_deref().map(place));
    let mail = IncidentMail {
        org: &event.org,
        url: &url,
        title: &event.title,
        summary: &event.summary,
        target: &event.target,
        severity: event.severity,
        opened_at: event.opened_at,
        at: event.at,
        runbook: runbook.as_deref().map(|url| ("the runbook for this", url)),
        root_cause,
    };
    let mail = if event.kind == EventKind::Resolved { incident_resolved(&mail) } else { incident_opened(&mail) };
    MailBody { subject: mail.subject, text: mail.text, html: mail.html }
}

async fn deliver(transport: &AsyncSmtpTransport<Tokio1Executor>, from: &Mailbox, mail: &ClaimedMail, body: &MailBody) -> Delivery {
    let message = match compose(from, mail, body) {
        Ok(message) => message,
        Err(error) => return Delivery::Refused(error),
    };
    match tokio::time::timeout(SEND_TIMEOUT * 2, transport.send(message)).await {
        Ok(Ok(response)) => Delivery::Accepted(answer(&format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" ")))),
        Ok(Err(error)) if error.is_permanent() && error.status().is_some_and(|code| is_final(code.into(), &chain(&error))) => {
            Delivery::Refused(answer(&chain(&error)))
        }
        Ok(Err(error)) => Delivery::Deferred(answer(&chain(&error))),
        Err(_) => Delivery::Deferred(format!("the mail server did not answer within {} seconds", (SEND_TIMEOUT * 2).as_secs())),
    }
}

/// The message as it goes out. The typed headers of lettre encode or refuse what could end a header line.
fn compose(from: &Mailbox, mail: &ClaimedMail, body: &MailBody) -> Result<Message, String> {
    let to: Mailbox = mail.recipient.parse().map_err(|error| format!("the address can not be written to: {error}"))?;
    Message::builder()
        .from(from.clone())
        .to(to)
        .subject(body.subject.replace(['\r', '\n', '\0'], " "))
        .message_id(Some(mail.message_id.clone()))
        .raw_header(header::HeaderValue::new(header::HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(body.text.clone(), body.html.clone()))
        .map_err(|error| format!("the mail can not be composed: {error}"))
}

/// An answer as it is kept: one line, bounded.
pub(crate) fn answer(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(ANSWER_CHARS).collect()
}

/// Sends until shutdown; woken when a message is put into the outbox.
pub(crate) async fn keep_sending<F>(name: &'static str, shutdown: &CancellationToken, woken: &Notify, send_due: impl Fn() -> F)
where
    F: Future<Output = Result<usize, WorkerError>>,
{
    forever(name, shutdown, || async {
        if send_due().await? > 0 {
            return Ok::<_, WorkerError>(Duration::ZERO);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
            () = woken.notified() => {}
            () = shutdown.cancelled() => {}
        }
        Ok(Duration::ZERO)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_double_up_to_an_hour() {
        let seconds: Vec<i64> = (1..=9).map(|attempt| retry_delay(attempt).num_seconds()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    }

    #[test]
    fn a_hostile_subject_stays_one_header() {
        let body = MailBody { subject: "x\r\nBcc: victim@example.com".to_owned(), text: "text".to_owned(), html: "<p>text</p>".to_owned() };
        let mail = ClaimedMail {
            id: uuid::Uuid::nil(),
            owner: MailOwner::Account,
            recipient: "ops@example.com".to_owned(),
            content: MailContent::Written(body.clone()),
            message_id: "<1@waypost.example>".to_owned(),
            attempts: 1,
            waits_since: Utc::now(),
        };
        let from: Mailbox = "Waypost <waypost@example.com>".parse().unwrap();
        let written = String::from_utf8(compose(&from, &mail, &body).unwrap().formatted()).unwrap();
        assert!(!written.lines().any(|line| line.starts_with("Bcc:")), "{written}");
        for header in ["Auto-Submitted: auto-generated", "Message-ID: <1@waypost.example>", "Content-Type: multipart/alternative"] {
            assert!(written.contains(header), "{header} in {written}");
        }
        let nowhere = ClaimedMail { recipient: "a@b\r\nRCPT TO:<victim@example.com>".to_owned(), ..mail };
        assert!(compose(&from, &nowhere, &body).is_err());
    }
}
