//! Tells what follows of routes: steps while nobody acknowledges, reminders, and what was held until now. Each is claimed over all tenants, and
//! done in one transaction with the messages that it puts into the outbox: a kill at any point repeats nothing and loses nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use waypost_render::mail::{
    DigestLine, IncidentMail, Mail, digest, digest_lines, digest_title, incident_escalated, incident_reminded, incident_url, incidents_url,
    runbook_url,
};
use waypost_store::{
    OrgTx, Store,
    channel_messages::{flapping_key, opened_key},
    follow_ups::{ClaimedFollowUp, DueFollowUp},
    held_notices::{DueReceiver, HeldIncident, HeldNews},
    outbox::MailBody,
};
use waypost_types::{
    ChannelId, IncidentId,
    channel::{ChannelEvent, EventKind},
    event::LiveEvent,
    incident::{IncidentSeverity, IncidentStatus, TimelineEvent},
};

use crate::{WorkerError, backoff::forever, error::chain};

/// Claimed at once.
const CLAIM: i32 = 50;
/// How long what is claimed is ours, and so how long one waits whose worker was killed.
const LEASE_SECONDS: i32 = 60;
/// Between looks.
const EVERY: Duration = Duration::from_secs(5);

/// Tells what is due of routes.
#[derive(Debug, Clone)]
pub struct FollowUps {
    store: Store,
    base_url: String,
    mail_domain: String,
}

impl FollowUps {
    /// Links lead to `base_url`.
    pub fn new(store: Store, base_url: &str, mail_domain: &str) -> Self {
        Self { store, base_url: base_url.to_owned(), mail_domain: mail_domain.to_owned() }
    }

    /// Until shutdown.
    pub(crate) async fn run(&self, shutdown: &CancellationToken) {
        forever("follow-ups", shutdown, || async {
            let told = self.tell_due(Utc::now()).await?;
            Ok::<_, WorkerError>(if told > 0 { Duration::ZERO } else { EVERY })
        })
        .await;
    }

    /// Tells all that is due, up to a number. Answers how many were claimed. One that fails keeps no other from being told, and comes back when
    /// its lease ends.
    pub async fn tell_due(&self, now: DateTime<Utc>) -> Result<usize, WorkerError> {
        let steps = self.store.claim_follow_ups(now, CLAIM, LEASE_SECONDS).await?;
        for step in &steps {
            if let Err(error) = self.follow_up(step, now).await {
                tracing::warn!(incident = %step.incident, route = %step.route, error = chain(&error), "what follows could not be told; it comes back");
            }
        }
        let receivers = self.store.claim_held_notices(now, CLAIM, LEASE_SECONDS).await?;
        for receiver in &receivers {
            if let Err(error) = self.tell_held(*receiver, now).await {
                tracing::warn!(org = %receiver.org, error = chain(&error), "what was held could not be told; it comes back");
            }
        }
        Ok(steps.len() + receivers.len())
    }

    async fn follow_up(&self, claimed: &ClaimedFollowUp, now: DateTime<Utc>) -> Result<(), WorkerError> {
        let mut tx = self.store.org_tx(claimed.org).await?;
        if let Some(due) = tx.take_follow_up(claimed, now).await? {
            self.tell_follow_up(&mut tx, claimed, &due, now).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn tell_follow_up(&self, tx: &mut OrgTx, claimed: &ClaimedFollowUp, due: &DueFollowUp, now: DateTime<Utc>) -> Result<(), WorkerError> {
        let (slug, name) = tx.org_label().await?;
        let (id, about) = (claimed.incident, &due.incident);
        let url = incident_url(&self.base_url, &slug, id);
        let book = about.guide().map(|guide| (guide.title(), runbook_url(&self.base_url, &slug, id, &guide)));
        let mail = IncidentMail {
            org: &name,
            url: &url,
            title: &about.title,
            summary: &about.summary,
            target: &about.target,
            severity: about.severity,
            opened_at: about.opened_at,
            at: now,
            runbook: book.as_ref().map(|(title, url)| (*title, url.as_str())),
            root_cause: None,
        };
        let (kind, mail) = match claimed.step {
            0 => (EventKind::Reminded, incident_reminded(&mail, &due.route)),
            _ => (EventKind::Escalated, incident_escalated(&mail, &due.route)),
        };
        let recipients = if due.members { tx.incident_recipients().await? } else { Vec::new() };
        if kind == EventKind::Reminded && recipients.is_empty() && due.channels.is_empty() {
            // All of them heard of it lately.
            return Ok(());
        }
        if kind == EventKind::Escalated {
            let text = match (recipients.is_empty(), due.channels.len()) {
                (true, 0) => format!("Step {} of the route “{}” tells nobody by now.", claimed.step, due.route),
                _ => format!("Nobody acknowledged it: step {} of the route “{}”.", claimed.step, due.route),
            };
            tx.append_timeline(id, now, TimelineEvent::Escalated, &text, None).await?;
        }
        tx.enqueue_mails((Some(id), &[]), &due.key, &self.mail_domain, &recipients, &body(mail)).await?;
        tx.tell_these(&due.channels, (id, kind, &due.key), &about.summary, now).await?;
        tx.notify(&LiveEvent::Incidents { ids: vec![id.to_string()] }).await?;
        tracing::info!(org = %tx.org(), incident = %id, route = %claimed.route, step = claimed.step, "told what follows");
        Ok(())
    }

    async fn tell_held(&self, receiver: DueReceiver, now: DateTime<Utc>) -> Result<(), WorkerError> {
        let mut tx = self.store.org_tx(receiver.org).await?;
        if let Some(news) = tx.take_held_notices(receiver.channel, now).await? {
            match (receiver.channel, news.kind) {
                (Some(channel), Some(kind)) if kind.keeps_state() => tell_each(&mut tx, channel, &news.incidents, now).await?,
                (Some(channel), _) => self.tell_channel(&mut tx, channel, &news, now).await?,
                (None, _) => self.mail_members(&mut tx, &news).await?,
            }
        }
        Ok(tx.commit().await?)
    }

    async fn mail_members(&self, tx: &mut OrgTx, news: &HeldNews) -> Result<(), WorkerError> {
        let (slug, name) = tx.org_label().await?;
        let recipients = tx.incident_recipients().await?;
        let mail = digest(&name, &lines(&news.incidents), &incidents_url(&self.base_url, &slug));
        tx.enqueue_mails((None, &ids(&news.incidents)), &news.key, &self.mail_domain, &recipients, &body(mail)).await?;
        Ok(())
    }

    async fn tell_channel(&self, tx: &mut OrgTx, channel: ChannelId, news: &HeldNews, now: DateTime<Utc>) -> Result<(), WorkerError> {
        let (slug, org) = tx.org_label().await?;
        let lines = lines(&news.incidents);
        let open = news.incidents.iter().filter(|incident| incident.status != IncidentStatus::Resolved);
        let title = digest_title(&lines);
        let event = ChannelEvent {
            kind: EventKind::Digest,
            incident: None,
            org,
            target: title.clone(),
            title,
            summary: digest_lines(&lines).join("\n"),
            severity: open.map(|incident| incident.severity).max().unwrap_or(IncidentSeverity::Info),
            opened_at: news.incidents.iter().map(|incident| incident.opened_at).min().unwrap_or(now),
            at: now,
            url: format!("/o/{slug}/incidents"),
            runbook: None,
            now: None,
        };
        tx.tell_digest(channel, &ids(&news.incidents), &news.key, &event).await?;
        Ok(())
    }
}

/// What keeps a state of each incident hears of each that is open; what is over it never knew.
async fn tell_each(tx: &mut OrgTx, channel: ChannelId, incidents: &[HeldIncident], now: DateTime<Utc>) -> Result<(), WorkerError> {
    for incident in incidents.iter().filter(|incident| incident.status != IncidentStatus::Resolved) {
        // One that was opened again is news of its own to what was told of its end.
        let key = if incident.reopened > 0 { flapping_key(incident.id, incident.reopened) } else { opened_key(incident.id) };
        tx.tell_these(&[channel], (incident.id, EventKind::Opened, &key), &incident.summary, now).await?;
    }
    Ok(())
}

fn ids(incidents: &[HeldIncident]) -> Vec<IncidentId> {
    incidents.iter().map(|incident| incident.id).collect()
}

fn lines(incidents: &[HeldIncident]) -> Vec<DigestLine<'_>> {
    let line = |incident| {
        let &HeldIncident { ref title, severity, status, opened_at, resolved_at, .. } = incident;
        DigestLine { title, severity, status, opened_at, resolved_at }
    };
    incidents.iter().map(line).collect()
}

fn body(mail: Mail) -> MailBody {
    MailBody { subject: mail.subject, text: mail.text, html: mail.html }
}
