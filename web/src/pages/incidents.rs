//! The story of an incident.

mod care;
pub(crate) mod list;
mod related;
mod story;

use axum::extract::Path;
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    cause::Related,
    finding::{Finding, Severity, family_key},
    incident::{Incident, IncidentStatus},
    list_settings::ListSettings,
    lists::ListInfo,
    monitor::MonitorKind,
    outcome::{AuditReport, BlacklistReport, Outcome, ProbeReport},
    rule::rule_of,
    runbook::Runbook,
    unicode::with_ascii,
};

use super::{
    runbooks,
    settings::own_runbook,
    settings::{self, Target},
};
use crate::{
    api::ApiFailure,
    ssr::{Answer, Fields, Frame, Visit, org_path, page},
    text,
    ui::{self, Button, Gate, Place, icon},
};

pub(crate) async fn show(visit: Visit, Path((org, id)): Path<(String, String)>) -> Answer {
    draw(&visit, &org, &id, None, None).await
}

async fn draw(visit: &Visit, org: &str, id: &str, fields: Option<&Fields>, failure: Option<&ApiFailure>) -> Answer {
    let path = target(org, id).api("");
    let around = target(org, id).api("/related");
    let (frame, incident, related) = tokio::try_join!(visit.frame(org), visit.api.get::<Incident>(&path), visit.api.get::<Related>(&around))?;
    // Without the runbook the page says the rest.
    let runbook = match incident.runbook.as_ref().filter(|_| incident.own_runbook.is_none()) {
        Some(topic) => visit.api.get::<Runbook>(&org_path(org, &format!("runbooks/{topic}"))).await.ok(),
        None => None,
    };
    // Without the catalog the guides say less, and nothing else is missing.
    let catalog = match incident.kind {
        MonitorKind::Blacklist => visit.api.get::<ListSettings>(&org_path(org, "lists")).await.map(|lists| lists.catalog).unwrap_or_default(),
        _ => Vec::new(),
    };
    // What stands in a text area is not escaped for us.
    let typed = text::escaped(fields.map_or("", |fields| fields.raw("comment")));
    Ok(page(visit, settings::status(failure), &incident.title.clone(), || {
        let root = format!("/o/{}", text::encoded(org));
        let base = target(org, id).page();
        let crumbs = vec![(Some(format!("{root}/incidents")), "Incidents".to_owned()), (None, incident.title.clone())];
        let sub = view! {
            "Opened "{ui::time(incident.opened_at)}{format!(", {}", text::minute(incident.opened_at))}
            {incident.resolved_at.map(|at| view! { ". Resolved "{ui::time(at)} })}"."
        };
        let evidence = incident.evidence.as_ref().map(|outcome| {
            view! { <section class="card" aria-labelledby="h-ev" data-live="evidence"><div class="card-head"><h2 id="h-ev">"Evidence"</h2><span class="meta">"the check that confirmed it"</span></div>{proof(outcome, part_of(&incident))}</section> }
        });
        let gate = Gate::handle(&frame, "comment");
        let comment = view! {
            {care::version(&incident)}
            <div class="field"><label for="c">"Add a comment"</label><textarea class="input" id="c" name="comment" rows="3" maxlength="4000" required=true aria-describedby="c-hint" placeholder="What did you see, what did you change?">{typed}</textarea><span class="hint" id="c-hint">"Markdown: **bold**, `code`, - lists, [links](https://example.com)."</span></div>
            {gate.hint()}
        };
        let todo = what_to_do(&incident, &catalog);
        let runbook = match &incident.own_runbook {
            Some(own) => Some(own_runbook::of_incident(own, todo.is_some())),
            None => runbook.as_ref().map(|runbook| runbooks::of_incident(org, runbook, todo.is_some())),
        };
        let timeline = incident.timeline.iter().rev().map(story::entry).collect_view();
        let content = view! {
            {settings::notice(visit, &[], failure)}
            {ui::head(&incident.title, Some(view! { {ui::incident_badge(&incident)}" "{ui::flapping_badge(incident.flapping_since)} }.into_any()), sub, actions(&frame, &incident, &base))}
            <div class="grid">
                <div class="c8 stack">
                    <section class="card" aria-labelledby="h-what" data-live="what">
                        <div class="card-head"><h2 id="h-what">"What happened"</h2></div>
                        <div class="card-body stack"><p class="prose">{text::sentence(&incident.summary)}</p>{flapping(&incident)}</div>
                    </section>
                    {todo}
                    {runbook}
                    {related::card(&frame, org, &incident, &related)}
                    {care::root_cause(&frame, &incident, &base, fields)}
                    <section class="card" aria-labelledby="h-t">
                        <div class="card-head"><h2 id="h-t">"Timeline"</h2></div>
                        <div class="card-body">
                            {gate.form("stack composer", format!("{base}/comment"), comment, Button::new("btn", "Comment"))}
                            <ol class="timeline mt4" data-live="timeline">{timeline}</ol>
                        </div>
                    </section>
                    {evidence}
                </div>
                <aside class="c4 stack" aria-label="Details">{details(&incident, &root)}{care::mute(&frame, &incident, &base)}</aside>
            </div>
        };
        ui::shell(&frame, Place::Incidents, crumbs, content)
    }))
}

/// Why it stays open while it works.
fn flapping(incident: &Incident) -> Option<AnyView> {
    let since = incident.flapping_since?;
    Some(view! { <p class="prose soft">"It keeps failing and coming back, since "{ui::time(since)}". It ends by itself once nothing has changed for a while; until then the timeline tells each change, and nobody is sent a message about it."</p> }.into_any())
}

fn actions(frame: &Frame, incident: &Incident, base: &str) -> AnyView {
    let gate = Gate::handle(frame, "actions");
    let button = |to: &'static str, glyph: &'static str, word: &'static str, class: &'static str| {
        let version = view! { <input type="hidden" name="version" value=incident.version.to_string()/> };
        gate.form("", format!("{base}/{to}"), version, Button::new(class, view! { {icon(glyph)}{word} }))
    };
    let (acknowledge, resolve) = match incident.status {
        IncidentStatus::Open => (Some(button("acknowledge", "user-ok", "Acknowledge", "btn btn-primary")), "btn"),
        IncidentStatus::Acknowledged => (None, "btn btn-primary"),
        IncidentStatus::Resolved => return ().into_any(),
    };
    view! { {acknowledge}{button("resolve", "check", "Resolve", resolve)}{gate.hint()} }.into_any()
}

fn details(incident: &Incident, root: &str) -> AnyView {
    let word = match incident.status {
        IncidentStatus::Open => "Open",
        IncidentStatus::Acknowledged => "Acknowledged",
        IncidentStatus::Resolved => "Resolved",
    };
    let status = if incident.status == IncidentStatus::Resolved { waypost_types::outcome::Status::Ok } else { incident.severity.into() };
    let row = |name: &'static str, value: AnyView| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    view! {
        <section class="card" aria-labelledby="h-i" data-live="details">
            <div class="card-head"><h2 id="h-i">"Details"</h2></div>
            <div class="card-body"><dl class="kv">
                {row("State", ui::status(status, word))}
                {row("Severity", incident.severity.word().into_any())}
                {row("Affected", view! { <span class="mono xs">{with_ascii(&incident.target)}</span> }.into_any())}
                {row("Check", incident.kind.word().into_any())}
                {rule_of(&incident.condition).map(|(rule, series)| row("Rule", view! { <a href=format!("{root}/rules/{rule}")>{series.title()}</a> }.into_any()))}
                {row("Opened", text::minute(incident.opened_at).into_any())}
                {incident.acknowledged_at.map(|at| row("Acknowledged", text::minute(at).into_any()))}
                {incident.resolved_at.map(|at| row("Resolved", text::minute(at).into_any()))}
                {(incident.reopened > 0).then(|| row("Opened again", (if incident.reopened == 1 { "once".to_owned() } else { format!("{} times", incident.reopened) }).into_any()))}
                {incident.flapping_since.map(|at| row("Flapping since", text::minute(at).into_any()))}
            </dl></div>
        </section>
    }
    .into_any()
}

/// What the incident is about, each with why it matters, how to mend it and the record to publish or the way off the list.
fn what_to_do(incident: &Incident, catalog: &[ListInfo]) -> Option<AnyView> {
    let told = match incident.evidence.as_ref()? {
        Outcome::Audit(audit) => {
            let about: Vec<Finding> = split(audit, part_of(incident)).0;
            (!about.is_empty()).then(|| ui::findings_of_watched(&about, &audit.gone, "w"))
        }
        Outcome::Blacklist(report) => ui::guides_first_open(&of_condition(report, part_of(incident)), catalog),
        Outcome::Service(report) => {
            let about: Vec<Finding> = report.findings().filter(|finding| finding.severity >= Severity::Medium).cloned().collect();
            (!about.is_empty()).then(|| ui::findings(&about, "w"))
        }
        Outcome::Smtp(_) => None,
    }?;
    Some(
        view! {
            <section class="card" id="what-to-do" aria-labelledby="h-do" data-live="guide">
                <div class="card-head"><h2 id="h-do">"What to do"</h2></div>
                {told}
            </section>
        }
        .into_any(),
    )
}

/// The part of the target that an incident is about; a rule's is about the whole of it.
fn part_of(incident: &Incident) -> &str {
    if rule_of(&incident.condition).is_some() { "" } else { &incident.condition }
}

/// Findings that an incident is about, and the others of the same audit. What is not serious enough opens none.
fn split(audit: &AuditReport, condition: &str) -> (Vec<Finding>, Vec<Finding>) {
    let about = |finding: &Finding| (condition.is_empty() || family_key(&finding.rule) == condition) && finding.severity >= Severity::Medium;
    audit.findings.iter().cloned().partition(about)
}

/// The report with the listings that an incident is about.
fn of_condition(report: &BlacklistReport, condition: &str) -> BlacklistReport {
    let mut report = report.clone();
    if let Some((subject, _)) = condition.split_once('|').filter(|(subject, _)| *subject != "network") {
        report.entries.retain(|entry| entry.subject == subject);
    }
    report
}

fn proof(outcome: &Outcome, condition: &str) -> AnyView {
    match outcome {
        Outcome::Audit(audit) => {
            let others = split(audit, condition).1;
            let head = (!others.is_empty())
                .then(|| view! { <p class="card-body sm soft">"What the same audit found beside it. It is no part of this incident."</p> });
            view! { {head}{ui::findings_of_watched(&others, &audit.gone, "e")}{ui::unknown_parts(&audit.unknown)} }.into_any()
        }
        Outcome::Blacklist(report) => ui::list_entries(report),
        Outcome::Service(report) => ui::service_evidence(report),
        // What a close look found is proven by it, and not by the conversation beside it.
        Outcome::Smtp(report) if condition == "login" => report.login.as_ref().map(|look| ui::login_look(look, "e0")).into_any(),
        Outcome::Smtp(report) if !condition.is_empty() => {
            let looks = report.close_looks.iter().filter(|look| look.findings.iter().any(|finding| finding.severity >= Severity::Medium));
            looks.enumerate().map(|(index, look)| ui::close_look(look, &format!("e{index}"))).collect_view().into_any()
        }
        Outcome::Smtp(report) => {
            let probe = |(index, probe): (usize, &ProbeReport)| {
                let address = probe.address.map_or_else(|| probe.host.clone(), |address| address.to_string());
                view! {
                    <h3 class="mono">{address}</h3>
                    <p class="sm">{ui::status(probe.verdict.into(), &probe.reason)}</p>
                    {probe.trace.as_ref().map(|trace| ui::trace(trace, &format!("e{index}")))}
                    {ui::transcript(&probe.transcript, &format!("e{index}"), true)}
                }
            };
            let probes = report.probes.iter().enumerate().map(probe).collect_view();
            view! { <div class="card-body stack"><p>{text::sentence(&report.summary)}</p>{probes}</div> }.into_any()
        }
    }
}

const fn target<'a>(org: &'a str, id: &'a str) -> Target<'a> {
    Target { org, id, many: "incidents" }
}

async fn act(visit: Visit, org: &str, id: &str, fields: &Fields, patch: Value) -> Answer {
    match settings::change(&visit, &target(org, id), fields.version(), &patch).await? {
        Ok(response) => Ok(response),
        Err(failure) => draw(&visit, org, id, Some(fields), Some(&failure)).await,
    }
}

pub(crate) async fn acknowledge(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    act(visit, &org, &id, &fields, json!({ "status": "acknowledged" })).await
}

pub(crate) async fn resolve(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    act(visit, &org, &id, &fields, json!({ "status": "resolved" })).await
}

pub(crate) async fn comment(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    act(visit, &org, &id, &fields, json!({ "comment": fields.text("comment") })).await
}

pub(crate) async fn cause(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    act(visit, &org, &id, &fields, json!({ "root_cause": fields.text("root_cause") })).await
}

pub(crate) async fn mute(visit: Visit, Path((org, id)): Path<(String, String)>, fields: Fields) -> Answer {
    act(visit, &org, &id, &fields, json!({ "mute": fields.text("mute") })).await
}
