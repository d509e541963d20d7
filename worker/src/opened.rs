//! What opened in one transaction, and what of it is one piece of news.

use waypost_render::mail::IncidentMail;
use waypost_types::{IncidentId, incident::IncidentSeverity, monitor::MonitorKind, rule::rule_of};

use crate::incidents::{Book, Step, shown};

/// An incident that opened, and is to be told.
pub(crate) struct Opened<'a> {
    pub id: IncidentId,
    pub step: &'a Step<'a>,
    pub severity: IncidentSeverity,
    pub title: &'a str,
    pub summary: &'a str,
}

impl Opened<'_> {
    /// What its mail tells.
    pub fn mail<'b>(&'b self, org: &'b str, url: &'b str, book: Option<&'b Book>) -> IncidentMail<'b> {
        let runbook = shown(book);
        let Step { target, at, .. } = *self.step;
        IncidentMail {
            org,
            url,
            title: self.title,
            summary: self.summary,
            target,
            severity: self.severity,
            opened_at: at,
            at,
            runbook,
            root_cause: None,
        }
    }
}

/// What one audit of a domain opens is one piece of news, however many record families it is about, and so is what one rule opens, however many
/// monitors it is about; anything else is told by itself.
pub(crate) fn told_together(opened: Vec<Opened<'_>>) -> Vec<Vec<Opened<'_>>> {
    let mut news: Vec<Vec<Opened<'_>>> = Vec::new();
    for one in opened {
        let same = |other: &&mut Vec<Opened<'_>>| {
            let of_audit = |other: &Opened<'_>| one.step.kind == MonitorKind::Audit && other.step.monitor == one.step.monitor;
            let of_rule = |other: &Opened<'_>| rule_of(&one.step.condition).is_some() && other.step.condition == one.step.condition;
            other.first().is_some_and(|other| of_audit(other) || of_rule(other))
        };
        match news.iter_mut().find(same) {
            Some(others) => others.push(one),
            None => news.push(vec![one]),
        }
    }
    for together in &mut news {
        together.sort_by_key(|one| std::cmp::Reverse(one.severity));
    }
    news
}
