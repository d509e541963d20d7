//! What the score of an audit lost, and what the next fix would gain.

use leptos::prelude::*;
use waypost_types::{
    audit::LostPoints,
    finding::Severity,
    outcome::{AuditReport, Status},
};

use super::badge;

/// The score in a sentence. What does not exist is told apart from what did not answer.
pub(crate) fn score_sentence(audit: &AuditReport) -> String {
    match audit.score {
        Some(score) => format!("{score} of 100"),
        None if audit.unknown.is_empty() => "There is nothing to grade".to_owned(),
        None => "No score: too much is unknown".to_owned(),
    }
}

/// A card with what each point was lost for, the best next fix first; nothing where nothing was lost. `prefix` is that of the findings.
pub(crate) fn lost_points(audit: &AuditReport, prefix: &str) -> Option<AnyView> {
    let score = audit.score?;
    if audit.lost.is_empty() {
        return None;
    }
    let mut lost: Vec<&LostPoints> = audit.lost.iter().collect();
    lost.sort_by(|a, b| b.gain.cmp(&a.gain).then(b.points.cmp(&a.points)).then_with(|| a.rule.cmp(&b.rule)));
    let rows = lost.into_iter().enumerate().map(|(nth, lost)| row(audit, lost, nth == 0, prefix, score)).collect_view();
    Some(
        view! {
            <section class="card" id="score" aria-labelledby="h-score" data-live="score">
                <div class="card-head"><h2 id="h-score">"What the score lost"</h2><a href="/score">"How it is counted"</a></div>
                <div class="card-body"><ul class="movers">{rows}</ul></div>
            </section>
        }
        .into_any(),
    )
}

fn row(audit: &AuditReport, lost: &LostPoints, first: bool, prefix: &str, score: u8) -> AnyView {
    let status = Status::from(lost.severity).as_str();
    let of_rule = || audit.findings.iter().enumerate().filter(|(_, finding)| finding.rule == lost.rule);
    let title = match of_rule().next() {
        Some((index, _)) => view! { <a href=format!("#fix-{prefix}-{index}")>{lost.title.clone()}</a> }.into_any(),
        None => lost.title.clone().into_any(),
    };
    let many = of_rule().count();
    let many = (many > 1).then(|| view! { <span class="muted">{format!(" in {many} places, counted once")}</span> });
    let gain = match lost.gain {
        0 => "alone gains nothing yet".to_owned(),
        gain => format!("mending gains {gain}: {} of 100", score.saturating_add(gain)),
    };
    view! {
        <li>
            <span class="points" data-status=status>{format!("−{}", lost.points)}</span>
            <span>{title}{many}{first.then(|| view! { " "{badge(Status::Info, "Best next fix")} })}</span>
            <span class="xs muted num">{gain}</span>
        </li>
    }
    .into_any()
}

/// What a severity is called and what it means.
pub(crate) const fn severity_words(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Critical => ("Critical", "breaks delivery now"),
        Severity::High => ("High", "mail is refused or forged in many places"),
        Severity::Medium => ("Warning", "costs reputation or breaks soon"),
        Severity::Low => ("Advice", "could be better"),
        Severity::Info => ("Good to know", "nothing is wrong"),
    }
}
