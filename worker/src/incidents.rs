//! From confirmed changes to incidents: which one opens, changes or ends, what its timeline says and who is mailed.

use waypost_render::mail::{IncidentMail, Mail, incident_changed, incident_let_go, incident_opened, incident_recovered, incident_url};
use waypost_store::{
    OrgTx,
    outbox::MailBody,
    transitions::{OpenIncident, Opening},
};
use waypost_types::{
    IncidentId, MonitorId,
    channel::EventKind,
    incident::{IncidentSeverity, TimelineEvent},
    monitor::MonitorKind,
    outcome::Outcome,
};

use chrono::{DateTime, Utc};

use crate::WorkerError;

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
    },
    /// Something to tell in the story of an incident.
    Note(String),
    /// It is over.
    Ended(String),
    /// Nobody can tell any more whether it is over: it is closed, and that is no recovery.
    LetGo(String),
    /// It is kept in another way from now on: nobody is told.
    Superseded(String),
}

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
        for step in steps {
            let audience = match &mut audience {
                Some(known) => known,
                none => none.insert(ask_audience(tx).await?),
            };
            let at = open.iter().position(|incident| incident.monitor == step.monitor && incident.condition == step.condition);
            let id = match (at, &step.what) {
                (Some(at), What::Ended(summary)) => {
                    let incident = open.swap_remove(at);
                    self.end(tx, audience, step, &incident, (summary, EventKind::Resolved, incident_recovered)).await?;
                    incident.id
                }
                (Some(at), What::LetGo(summary)) => {
                    let incident = open.swap_remove(at);
                    self.end(tx, audience, step, &incident, (summary, EventKind::LetGo, incident_let_go)).await?;
                    incident.id
                }
                (Some(at), What::Stands { severity, title, summary, .. }) if *severity != open[at].severity => {
                    self.change(tx, audience, step, &open[at], (*severity, title, summary)).await?;
                    open[at].severity = *severity;
                    open[at].id
                }
                (Some(at), What::Superseded(text)) if !open[at].by_hand => {
                    let incident = open.swap_remove(at);
                    tx.end_incident(incident.id, step.at, text).await?;
                    incident.id
                }
                (Some(at), What::Note(text)) => {
                    tx.append_timeline(open[at].id, step.at, TimelineEvent::Changed, text, None).await?;
                    open[at].id
                }
                (None, What::Stands { severity, title, summary, better: false }) => {
                    self.open(tx, audience, step, (*severity, title, summary)).await?
                }
                _ => continue,
            };
            touched.push(id.to_string());
        }
        touched.dedup();
        Ok(touched)
    }

    async fn open(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        step: &Step<'_>,
        (severity, title, summary): (IncidentSeverity, &str, &str),
    ) -> Result<IncidentId, WorkerError> {
        let Step { monitor, kind, target, at, .. } = *step;
        let evidence = serde_json::to_value(step.outcome).map_err(waypost_store::StoreError::from)?;
        let opening = Opening { monitor, condition: &step.condition, kind, target, title, summary, severity, at, evidence };
        let id = tx.open_incident(&opening).await?;
        let url = incident_url(&self.base_url, &audience.slug, id);
        let mail = IncidentMail { org: &audience.name, url: &url, title, summary, target, severity, opened_at: at, at };
        self.tell(tx, audience, (id, "opened", EventKind::Opened), &mail, incident_opened(&mail)).await?;
        tracing::info!(org = %tx.org(), incident = %id, %monitor, severity = severity.as_str(), "incident opened");
        metrics::counter!("waypost_incidents_opened_total", "severity" => severity.as_str()).increment(1);
        Ok(id)
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
        let url = incident_url(&self.base_url, &audience.slug, incident.id);
        let mail = IncidentMail {
            org: &audience.name,
            url: &url,
            title,
            summary,
            target: step.target,
            severity,
            opened_at: incident.opened_at,
            at: step.at,
        };
        let event = format!("changed:{version}");
        self.tell(tx, audience, (incident.id, &event, EventKind::Changed), &mail, incident_changed(&mail, incident.severity)).await
    }

    async fn end(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        step: &Step<'_>,
        incident: &OpenIncident,
        (summary, kind, write): (&str, EventKind, fn(&IncidentMail<'_>) -> Mail),
    ) -> Result<(), WorkerError> {
        tx.end_incident(incident.id, step.at, summary).await?;
        let url = incident_url(&self.base_url, &audience.slug, incident.id);
        let mail = IncidentMail {
            org: &audience.name,
            url: &url,
            title: &incident.title,
            summary,
            target: step.target,
            severity: incident.severity,
            opened_at: incident.opened_at,
            at: step.at,
        };
        self.tell(tx, audience, (incident.id, "resolved", kind), &mail, write(&mail)).await?;
        tracing::info!(org = %tx.org(), incident = %incident.id, monitor = %step.monitor, "incident ended");
        Ok(())
    }

    /// Members by mail, and the organisation's channels.
    async fn tell(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        (incident, event, kind): (IncidentId, &str, EventKind),
        about: &IncidentMail<'_>,
        mail: Mail,
    ) -> Result<(), WorkerError> {
        let key = format!("incident:{incident}:{event}");
        let body = MailBody { subject: mail.subject, text: mail.text, html: mail.html };
        tx.enqueue_mails(Some(incident), &key, &self.mail_domain, &audience.recipients, &body).await?;
        tx.tell_channels(incident, kind, about.summary, about.at).await?;
        Ok(())
    }
}

async fn ask_audience(tx: &mut OrgTx) -> Result<Audience, WorkerError> {
    let (slug, name) = tx.org_label().await?;
    Ok(Audience { slug, name, recipients: tx.incident_recipients().await? })
}
