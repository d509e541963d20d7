//! What a check of a service showed: each look with its stages, its session and its words, and records beside what they should be.

use leptos::prelude::*;
use waypost_types::{
    outcome::{RecordsSeen, ServiceLook, ServiceReport, Status},
    service::Comparison,
};

use super::{findings, session, status, transcript};
use crate::text;

/// All looks of a report. `id` makes the ids of what can be unfolded.
pub(crate) fn service_looks(report: &ServiceReport, id: &str) -> AnyView {
    let looks = report.looks.iter().enumerate().map(|(index, one)| look(one, &format!("{id}-{index}"), true)).collect_view();
    view! { {report.records.as_ref().map(records)}{looks} }.into_any()
}

/// The same as evidence of an incident, whose findings are shown elsewhere on its page.
pub(crate) fn service_evidence(report: &ServiceReport) -> AnyView {
    let looks = report.looks.iter().enumerate().map(|(index, one)| look(one, &format!("e{index}"), false)).collect_view();
    view! { <p class="card-body sm">{text::sentence(&report.summary)}</p>{report.records.as_ref().map(records)}{looks} }.into_any()
}

fn row(name: &'static str, value: impl IntoView + 'static) -> AnyView {
    view! { <div><dt>{name}</dt><dd class="wrap-any">{value.into_any()}</dd></div> }.into_any()
}

fn look(look: &ServiceLook, id: &str, with_findings: bool) -> AnyView {
    let name = look.address.map(|address| address.to_string());
    let title = name.map(|name| view! { <h3 class="mono">{name}</h3> });
    let stages: Vec<String> = look.stage_ms.named().map(|(name, ms)| format!("{name} {}", text::millis(Some(ms)))).collect();
    let found = (with_findings && !look.findings.is_empty()).then(|| findings(&look.findings, &format!("s{id}")));
    let words = (!look.capabilities.is_empty())
        .then(|| view! { <p class="row mt2">{look.capabilities.iter().map(|word| view! { <span class="tag mono">{word.clone()}</span> }).collect_view()}</p> });
    let said = transcript(&look.transcript, id, true);
    let seen = (look.tls.is_some() || words.is_some())
        .then(|| view! { <div class="stack c5">{look.tls.as_ref().map(|tls| session(tls, false))}{words}</div> });
    let said = said.map(|said| view! { <div class=if seen.is_some() { "c7" } else { "" }>{said}</div> });
    view! {
        <div class="card-body stack">
            {title}
            <p class="sm">{status(look.verdict.into(), &look.reason)}</p>
            <dl class="kv">
                {look.url.clone().map(|url| row("Address", url))}
                {look.status.map(|code| row("Status", code.to_string()))}
                {look.leads_to.clone().map(|to| row("Leads to", to))}
                {look.banner.clone().map(|banner| row("Says first", view! { <span class="mono xs">{banner}</span> }))}
                {(!stages.is_empty()).then(|| row("Took", stages.join(", ")))}
            </dl>
            <div class="grid">{seen}{said}</div>
        </div>
        {found}
    }
    .into_any()
}

/// What was expected beside what was found.
fn records(seen: &RecordsSeen) -> AnyView {
    let (missing, surplus) = (seen.missing(), seen.surplus());
    let found = seen.found.as_deref().unwrap_or_default();
    let listed = |values: &[String], wrong: &[&String], word: &'static str| {
        let items = values
            .iter()
            .map(|value| {
                let mark = wrong.contains(&value).then(|| status(Status::Bad, word));
                view! { <div class="row"><span class="mono xs wrap-any">{value.clone()}</span>{mark}</div> }
            })
            .collect_view();
        items.into_any()
    };
    let expected = match seen.comparison {
        Comparison::Exists => "Any record".into_any(),
        Comparison::Absent => "No record".into_any(),
        Comparison::Equals | Comparison::Contains => listed(&seen.expected, &missing, "Missing"),
    };
    let beside = (seen.comparison == Comparison::Contains).then_some("; others beside them are fine");
    let shown = match &seen.found {
        None => status(Status::None, "Could not be told"),
        Some(values) if values.is_empty() => "No record".into_any(),
        Some(_) => listed(found, &surplus, "Not expected"),
    };
    let aliases = (!seen.aliases.is_empty()).then(|| row("Alias of", seen.aliases.join(", ")));
    view! {
        <div class="card-body">
            <dl class="kv">
                {row("Asked for", format!("{} {}", seen.name, seen.kind.as_str()))}
                {aliases}
                {row("Expected", view! { {expected}{beside} })}
                {row("Found", shown)}
            </dl>
        </div>
    }
    .into_any()
}
