//! From confirmed changes to incidents: which one opens, changes or ends, what its timeline says and who is mailed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use waypost_render::mail::{
    IncidentMail, Mail, incident_changed, incident_flapping, incident_let_go, incident_recovered, incident_url, incidents_opened, incidents_url,
    runbook_url, together_lines, together_title,
};
use waypost_store::{
    OrgTx,
    channel_messages::{News, Together, ended_key, flapping_key, opened_key},
    outbox::MailBody,
    routing::Routed,
    transitions::{OpenIncident, Opening},
};
use waypost_types::{
    IncidentId, MonitorId,
    channel::EventKind,
    incident::{IncidentSeverity, TimelineEvent},
    monitor::MonitorKind,
    outcome::Outcome,
    runbook::{Guide, OwnRunbook},
    topic::Topic,
};

use crate::{
    WorkerError,
    opened::{Opened, told_together},
    wording::{fails_again, fails_in_turn},
};

/// What is to happen to the incident about one condition of a monitor.
#[derive(Debug, Clone)]
pub(crate) struct Step<'a> {
    pub monitor: MonitorId,
    /// Empty where the monitor as a whole is judged.
    pub condition: String,
    pub kind: MonitorKind,
    pub target: &'a str,
    pub outcome: &'a Outcome,
    pub at: DateTime<Utc>,
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// It is that bad now.
    Stands {
        severity: IncidentSeverity,
        title: String,
        summary: String,
        /// It was worse before: no reason to open an incident that somebody has closed by hand.
        better: bool,
        /// How steady it is.
        flap: Flap,
    },
    /// It works just now, and keeps failing and coming back.
    Flaps(String),
    /// It fails without a break.
    Steady(String),
    /// Something to tell in the story of an incident.
    Note(String),
    /// It is over.
    Ended { title: String, summary: String },
    /// Nobody can tell any more whether it is over: it is closed, and that is no recovery.
    LetGo(String),
    /// It is kept in another way from now on: nobody is told.
    Superseded(String),
}

/// How steady is what fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flap {
    /// It had been confirmed to work again then, a short while ago.
    pub recovered_at: Option<DateTime<Utc>>,
    /// It is flapping, and gets no better until it has been calm for so long.
    pub calm: Option<Duration>,
}

/// Writes the mail about an incident that ended.
type WriteMail<'a> = &'a (dyn Fn(&IncidentMail<'_>) -> Mail + Sync);

/// Follows changes with incidents.
#[derive(Debug, Clone)]
pub(crate) struct Incidents {
    base_url: String,
    mail_domain: String,
}

/// Who is told, asked once per transaction and only when there is something to tell.
struct Audience {
    slug: String,
    name: String,
    recipients: Vec<String>,
}

/// What a mail about an incident tells, without a runbook and a root cause.
fn about<'a>(
    audience: &'a Audience,
    step: &Step<'a>,
    url: &'a str,
    (title, summary, severity): (&'a str, &'a str, IncidentSeverity),
    opened_at: DateTime<Utc>,
) -> IncidentMail<'a> {
    let (target, at) = (step.target, step.at);
    IncidentMail { org: &audience.name, url, title, summary, target, severity, opened_at, at, runbook: None, root_cause: None }
}

/// Title and address of a runbook.
pub(crate) type Book = (&'static str, String);

pub(crate) fn shown(book: Option<&Book>) -> Option<(&str, &str)> {
    book.map(|(title, url)| (*title, url.as_str()))
}

impl Incidents {
    pub(crate) fn new(base_url: &str, mail_domain: &str) -> Self {
        Self { base_url: base_url.to_owned(), mail_domain: mail_domain.to_owned() }
    }

    /// Opens, changes and ends incidents. Answers the ids of those it touched.
    pub(crate) async fn follow(&self, tx: &mut OrgTx, steps: &[Step<'_>]) -> Result<Vec<String>, WorkerError> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let mut monitors: Vec<MonitorId> = steps.iter().map(|step| step.monitor).collect();
        monitors.dedup();
        let mut open = tx.open_incidents_of(&monitors).await?;
        let mut audience = None;
        let mut touched = Vec::new();
        let mut opened: Vec<Opened<'_>> = Vec::new();
        for step in steps {
            let audience = match &mut audience {
                Some(known) => known,
                none => none.insert(ask_audience(tx).await?),
            };
            let at = open.iter().position(|incident| incident.monitor == step.monitor && incident.condition == step.condition);
            let id = match (at, &step.what) {
                (Some(at), What::Ended { title, summary }) => {
                    let incident = open.swap_remove(at);
                    let write: WriteMail<'_> = &|mail| incident_recovered(mail, title);
                    self.end(tx, audience, step, &incident, ((summary, Some(title)), EventKind::Resolved, write)).await?;
                    incident.id
                }
                (Some(at), What::LetGo(summary)) => {
                    let incident = open.swap_remove(at);
                    self.end(tx, audience, step, &incident, ((summary, None), EventKind::LetGo, &incident_let_go)).await?;
                    incident.id
                }
                (Some(at), What::Stands { severity, title, summary, flap, .. }) if *severity != open[at].severity => {
                    self.change(tx, audience, step, &open[at], (*severity, title, summary)).await?;
                    open[at].severity = *severity;
                    note_flapping(tx, &mut open[at], *flap, step.at).await?;
                    open[at].id
                }
                // As urgent as before, and something else: what answers again with a certificate that is over, say.
                (Some(at), What::Stands { severity, title, summary, flap, .. }) if *title != open[at].title => {
                    tx.change_incident(open[at].id, step.at, *severity, title, summary, &format!("Is something else now: {title}")).await?;
                    note_flapping(tx, &mut open[at], *flap, step.at).await?;
                    tx.tell_handled(open[at].id, step.at).await?;
                    open[at].id
                }
                (Some(at), What::Flaps(summary)) => {
                    tx.append_timeline(open[at].id, step.at, TimelineEvent::Flapping, summary, None).await?;
                    let since = *open[at].flapping_since.get_or_insert(step.at);
                    let told = (open[at].title.as_str(), summary.as_str(), open[at].severity);
                    self.tell_flapping(tx, audience, step, (open[at].id, open[at].opened_at, since), told).await?;
                    open[at].id
                }
                (Some(at), What::Steady(text)) => {
                    tx.set_flapping(open[at].id, None).await?;
                    tx.append_timeline(open[at].id, step.at, TimelineEvent::Changed, text, None).await?;
                    open[at].id
                }
                (Some(at), What::Superseded(text)) => {
                    let incident = open.swap_remove(at);
                    tx.end_incident(incident.id, step.at, text).await?;
                    incident.id
                }
                (Some(at), What::Note(text)) => {
                    tx.append_timeline(open[at].id, step.at, TimelineEvent::Changed, text, None).await?;
                    open[at].id
                }
                (None, What::Stands { severity, title, summary, better: false, flap }) => {
                    if let Some(id) = self.reopen(tx, audience, step, (*severity, title, summary), *flap).await? {
                        id
                    } else {
                        let id = open_one(tx, step, (*severity, title, summary)).await?;
                        if let Some(calm) = flap.calm {
                            tx.set_flapping(id, Some(step.at)).await?;
                            tx.append_timeline(id, step.at, TimelineEvent::Flapping, &fails_in_turn(calm), None).await?;
                        }
                        opened.push(Opened { id, step, severity: *severity, title, summary });
                        id
                    }
                }
                _ => continue,
            };
            touched.push(id.to_string());
        }
        if let Some(audience) = &audience {
            for news in told_together(opened) {
                self.tell_opened(tx, audience, &news).await?;
            }
        }
        touched.dedup();
        Ok(touched)
    }

    /// One message about what opened: the worst first.
    async fn tell_opened(&self, tx: &mut OrgTx, audience: &Audience, news: &[Opened<'_>]) -> Result<(), WorkerError> {
        let Some(worst) = news.first() else { return Ok(()) };
        let at = worst.step.at;
        let urls: Vec<String> = news.iter().map(|one| incident_url(&self.base_url, &audience.slug, one.id)).collect();
        let ids: Vec<IncidentId> = news.iter().map(|one| one.id).collect();
        let mut own = tx.own_runbooks_of(&ids).await?;
        let books: Vec<Option<Book>> = news.iter().map(|one| self.book(audience, one.step, one.id, own.remove(&one.id))).collect();
        let places = urls.iter().zip(&books);
        let told: Vec<IncidentMail<'_>> = news.iter().zip(places).map(|(one, (url, book))| one.mail(&audience.name, url, book.as_ref())).collect();
        let Some(mail) = incidents_opened(&told, &incidents_url(&self.base_url, &audience.slug)) else { return Ok(()) };
        let also: Vec<IncidentId> = news.iter().skip(1).map(|one| one.id).collect();
        let key = opened_key(worst.id);
        let routed = tx.ask_routes_together(&ids, at).await?;
        let Some(of_worst) = routed.first() else { return Ok(()) };
        let recipients = tx.mailed(&audience.recipients, worst.id, of_worst).await?;
        self.mail(tx, &recipients, (worst.id, &also), &key, mail).await?;
        if also.is_empty() {
            tx.tell_channels_of(of_worst, worst.id, &News { kind: EventKind::Opened, summary: worst.summary, now: None, at }).await?;
        } else {
            let title = together_title(&told);
            let summary = together_lines(&told).join("\n\n");
            let all: Vec<(IncidentId, &str, &Routed)> = news.iter().zip(&routed).map(|(one, routed)| (one.id, one.summary, routed)).collect();
            tx.tell_channels_together(&all, &Together { title: &title, summary: &summary, at }).await?;
        }
        Ok(())
    }

    /// What fails again soon after it recovered belongs to the incident of before. Those who are to hear of it are told that it flaps.
    async fn reopen(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        step: &Step<'_>,
        (severity, title, summary): (IncidentSeverity, &str, &str),
        flap: Flap,
    ) -> Result<Option<IncidentId>, WorkerError> {
        let Some(recovered_at) = flap.recovered_at else { return Ok(None) };
        let again = fails_again(recovered_at, step.at);
        let opening = opening(step, (severity, title, summary))?;
        let Some(reopened) = tx.reopen_incident(&opening, recovered_at, &format!("{again} {title}")).await? else { return Ok(None) };
        tracing::info!(org = %tx.org(), incident = %reopened.id, monitor = %step.monitor, severity = severity.as_str(), "incident opened again");
        metrics::counter!("waypost_incidents_reopened_total", "severity" => severity.as_str()).increment(1);
        let mut said = again;
        if let Some(calm) = flap.calm {
            let flaps = fails_in_turn(calm);
            tx.append_timeline(reopened.id, step.at, TimelineEvent::Flapping, &flaps, None).await?;
            said = format!("{said} {flaps}");
        }
        let told = (title, &*format!("{said} {summary}"), severity);
        self.tell_flapping(tx, audience, step, (reopened.id, reopened.opened_at, step.at), told).await?;
        Ok(Some(reopened.id))
    }

    /// Marks an incident as flapping and tells it: once until it is opened again.
    async fn tell_flapping(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        step: &Step<'_>,
        (id, opened_at, since): (IncidentId, DateTime<Utc>, DateTime<Utc>),
        (title, summary, severity): (&str, &str, IncidentSeverity),
    ) -> Result<(), WorkerError> {
        let reopened = tx.set_flapping(id, Some(since)).await?;
        let book = self.runbook(tx, audience, step, id).await?;
        let url = incident_url(&self.base_url, &audience.slug, id);
        let mail = IncidentMail { runbook: shown(book.as_ref()), ..about(audience, step, &url, (title, summary, severity), opened_at) };
        self.tell(tx, audience, (id, &flapping_key(id, reopened), EventKind::Flapping), (&mail, None), incident_flapping(&mail)).await
    }

    async fn change(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        step: &Step<'_>,
        incident: &OpenIncident,
        (severity, title, summary): (IncidentSeverity, &str, &str),
    ) -> Result<(), WorkerError> {
        let line = format!("Was {}, is {} now: {title}", incident.severity.word().to_lowercase(), severity.word().to_lowercase());
        let version = tx.change_incident(incident.id, step.at, severity, title, summary, &line).await?;
        let book = self.runbook(tx, audience, step, incident.id).await?;
        let url = incident_url(&self.base_url, &audience.slug, incident.id);
        let mail = IncidentMail {
            runbook: shown(book.as_ref()),
            root_cause: incident.root_cause.as_deref(),
            ..about(audience, step, &url, (title, summary, severity), incident.opened_at)
        };
        let key = format!("incident:{}:changed:{version}", incident.id);
        self.tell(tx, audience, (incident.id, &key, EventKind::Changed), (&mail, None), incident_changed(&mail, incident.severity)).await
    }

    async fn end(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        step: &Step<'_>,
        incident: &OpenIncident,
        ((summary, now), kind, write): ((&str, Option<&str>), EventKind, WriteMail<'_>),
    ) -> Result<(), WorkerError> {
        tx.end_incident(incident.id, step.at, summary).await?;
        let url = incident_url(&self.base_url, &audience.slug, incident.id);
        let seen = (incident.title.as_str(), summary, incident.severity);
        let mail = IncidentMail { root_cause: incident.root_cause.as_deref(), ..about(audience, step, &url, seen, incident.opened_at) };
        let key = ended_key(incident.id, incident.reopened);
        self.tell(tx, audience, (incident.id, &key, kind), (&mail, now), write(&mail)).await?;
        tracing::info!(org = %tx.org(), incident = %incident.id, monitor = %step.monitor, "incident ended");
        Ok(())
    }

    /// The runbook that an incident leads to, and where it is.
    async fn runbook(&self, tx: &mut OrgTx, audience: &Audience, step: &Step<'_>, id: IncidentId) -> Result<Option<Book>, WorkerError> {
        let own = tx.own_runbooks_of(&[id]).await?.remove(&id);
        Ok(self.book(audience, step, id, own))
    }

    /// One of its own, or else that which fits what happens.
    fn book(&self, audience: &Audience, step: &Step<'_>, id: IncidentId, own: Option<OwnRunbook>) -> Option<Book> {
        let guide = Guide::of(own, Topic::about(step.kind, step.target, &step.condition, Some(step.outcome)))?;
        Some((guide.title(), runbook_url(&self.base_url, &audience.slug, id, &guide)))
    }

    /// Members by mail, and the organisation's channels, as its routes say.
    async fn tell(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        (incident, key, kind): (IncidentId, &str, EventKind),
        (about, now): (&IncidentMail<'_>, Option<&str>),
        mail: Mail,
    ) -> Result<(), WorkerError> {
        let routed = tx.ask_routes(incident, kind, about.at).await?;
        let recipients = tx.mailed(&audience.recipients, incident, &routed).await?;
        self.mail(tx, &recipients, (incident, &[]), key, mail).await?;
        tx.tell_channels_of(&routed, incident, &News { kind, summary: about.summary, now, at: about.at }).await?;
        Ok(())
    }

    async fn mail(
        &self,
        tx: &mut OrgTx,
        recipients: &[String],
        (incident, also): (IncidentId, &[IncidentId]),
        key: &str,
        mail: Mail,
    ) -> Result<(), WorkerError> {
        let body = MailBody { subject: mail.subject, text: mail.text, html: mail.html };
        tx.enqueue_mails((Some(incident), also), key, &self.mail_domain, recipients, &body).await?;
        Ok(())
    }
}

/// The mark of flapping follows what the judge says.
async fn note_flapping(tx: &mut OrgTx, open: &mut OpenIncident, flap: Flap, at: DateTime<Utc>) -> Result<(), WorkerError> {
    if flap.calm.is_some() != open.flapping_since.is_some() {
        open.flapping_since = flap.calm.map(|_| at);
        tx.set_flapping(open.id, open.flapping_since).await?;
    }
    Ok(())
}

fn opening<'a>(step: &'a Step<'_>, (severity, title, summary): (IncidentSeverity, &'a str, &'a str)) -> Result<Opening<'a>, WorkerError> {
    let Step { monitor, kind, target, at, .. } = *step;
    let evidence = serde_json::to_value(step.outcome).map_err(waypost_store::StoreError::from)?;
    Ok(Opening { monitor, condition: &step.condition, kind, target, title, summary, severity, at, evidence })
}

async fn open_one(tx: &mut OrgTx, step: &Step<'_>, said: (IncidentSeverity, &str, &str)) -> Result<IncidentId, WorkerError> {
    let (severity, monitor) = (said.0, step.monitor);
    let id = tx.open_incident(&opening(step, said)?).await?;
    tracing::info!(org = %tx.org(), incident = %id, %monitor, severity = severity.as_str(), "incident opened");
    metrics::counter!("waypost_incidents_opened_total", "severity" => severity.as_str()).increment(1);
    Ok(id)
}

async fn ask_audience(tx: &mut OrgTx) -> Result<Audience, WorkerError> {
    let (slug, name) = tx.org_label().await?;
    Ok(Audience { slug, name, recipients: tx.incident_recipients().await? })
}
