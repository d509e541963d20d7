//! From confirmed changes to incidents: which one opens, changes or ends, what its timeline says and who is mailed.

use waypost_render::mail::{IncidentMail, Mail, incident_changed, incident_opened, incident_recovered, incident_url};
use waypost_store::{
    OrgTx,
    outbox::MailBody,
    transitions::{OpenIncident, Opening},
};
use waypost_types::{
    IncidentId, MonitorId,
    incident::IncidentSeverity,
    judge::{MonitorState, Transition},
    monitor::MonitorKind,
    outcome::Outcome,
};

use crate::{
    WorkerError,
    wording::{incident_words, recovery_words},
};

/// A monitor that changed its state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved<'a> {
    pub monitor: MonitorId,
    pub kind: MonitorKind,
    pub target: &'a str,
    pub outcome: &'a Outcome,
    pub transition: &'a Transition,
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
    pub(crate) async fn follow(&self, tx: &mut OrgTx, moved: &[Moved<'_>]) -> Result<Vec<String>, WorkerError> {
        // A first outcome that is no failure, and a state that can not be told, neither open nor end anything.
        let moved: Vec<&Moved<'_>> = moved.iter().filter(|change| matters(change.transition)).collect();
        if moved.is_empty() {
            return Ok(Vec::new());
        }
        let monitors: Vec<MonitorId> = moved.iter().map(|change| change.monitor).collect();
        let open = tx.open_incidents_of(&monitors).await?;
        let mut audience = None;
        let mut touched = Vec::new();
        for change in moved {
            let current = open.iter().find(|incident| incident.monitor == change.monitor);
            let audience = match &mut audience {
                Some(known) => known,
                none => none.insert(ask_audience(tx).await?),
            };
            let id = match (current, change.transition.to, change.transition.severity) {
                (Some(incident), MonitorState::Up, _) => Some(self.end(tx, audience, change, incident).await?),
                (Some(incident), _, Some(severity)) if severity != incident.severity => {
                    Some(self.change(tx, audience, change, incident, severity).await?)
                }
                // Getting better is no reason to open one that somebody has closed by hand.
                (None, _, Some(severity)) if !is_better(change.transition) => Some(self.open(tx, audience, change, severity).await?),
                _ => None,
            };
            touched.extend(id.map(|id| id.to_string()));
        }
        Ok(touched)
    }

    async fn open(&self, tx: &mut OrgTx, audience: &Audience, change: &Moved<'_>, severity: IncidentSeverity) -> Result<IncidentId, WorkerError> {
        let at = change.transition.at;
        let (title, summary) = incident_words(change.kind, change.target, change.transition.to, change.outcome);
        let evidence = serde_json::to_value(change.outcome).map_err(waypost_store::StoreError::from)?;
        let opening =
            Opening { monitor: change.monitor, kind: change.kind, target: change.target, title: &title, summary: &summary, severity, at, evidence };
        let id = tx.open_incident(&opening).await?;
        let url = incident_url(&self.base_url, &audience.slug, id);
        let mail =
            IncidentMail { org: &audience.name, url: &url, title: &title, summary: &summary, target: change.target, severity, opened_at: at, at };
        self.enqueue(tx, audience, id, "opened", incident_opened(&mail)).await?;
        tracing::info!(org = %tx.org(), incident = %id, monitor = %change.monitor, severity = severity.as_str(), "incident opened");
        metrics::counter!("waypost_incidents_opened_total", "severity" => severity.as_str()).increment(1);
        Ok(id)
    }

    async fn change(
        &self,
        tx: &mut OrgTx,
        audience: &Audience,
        change: &Moved<'_>,
        incident: &OpenIncident,
        severity: IncidentSeverity,
    ) -> Result<IncidentId, WorkerError> {
        let at = change.transition.at;
        let (title, summary) = incident_words(change.kind, change.target, change.transition.to, change.outcome);
        let line = format!("Was {}, is {} now: {title}", incident.severity.as_str(), severity.as_str());
        let version = tx.change_incident(incident.id, at, severity, &title, &summary, &line).await?;
        let url = incident_url(&self.base_url, &audience.slug, incident.id);
        let mail = IncidentMail {
            org: &audience.name,
            url: &url,
            title: &title,
            summary: &summary,
            target: change.target,
            severity,
            opened_at: incident.opened_at,
            at,
        };
        self.enqueue(tx, audience, incident.id, &format!("changed:{version}"), incident_changed(&mail, incident.severity)).await?;
        Ok(incident.id)
    }

    async fn end(&self, tx: &mut OrgTx, audience: &Audience, change: &Moved<'_>, incident: &OpenIncident) -> Result<IncidentId, WorkerError> {
        let at = change.transition.at;
        let summary = recovery_words(change.kind, change.target, change.outcome);
        tx.end_incident(incident.id, at, &summary).await?;
        let url = incident_url(&self.base_url, &audience.slug, incident.id);
        let mail = IncidentMail {
            org: &audience.name,
            url: &url,
            title: &incident.title,
            summary: &summary,
            target: change.target,
            severity: incident.severity,
            opened_at: incident.opened_at,
            at,
        };
        self.enqueue(tx, audience, incident.id, "resolved", incident_recovered(&mail)).await?;
        tracing::info!(org = %tx.org(), incident = %incident.id, monitor = %change.monitor, "incident ended");
        Ok(incident.id)
    }

    async fn enqueue(&self, tx: &mut OrgTx, audience: &Audience, incident: IncidentId, event: &str, mail: Mail) -> Result<(), WorkerError> {
        let body = MailBody { subject: mail.subject, text: mail.text, html: mail.html };
        tx.enqueue_mails(Some(incident), &format!("incident:{incident}:{event}"), &self.mail_domain, &audience.recipients, &body).await?;
        Ok(())
    }
}

fn matters(transition: &Transition) -> bool {
    transition.severity.is_some() || (transition.to == MonitorState::Up && transition.from != MonitorState::Pending)
}

fn is_better(transition: &Transition) -> bool {
    matches!((transition.from, transition.to), (MonitorState::Down, MonitorState::Degraded))
}

async fn ask_audience(tx: &mut OrgTx) -> Result<Audience, WorkerError> {
    let (slug, name) = tx.org_label().await?;
    Ok(Audience { slug, name, recipients: tx.incident_recipients().await? })
}
