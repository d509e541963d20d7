//! What an audit or a scan found: the strip of checks, findings with their fixes, records and lists.

use leptos::prelude::*;
use waypost_types::{
    finding::{Finding, Severity, SuggestedRecord, UnknownPart},
    outcome::{AuditReport, CheckSummary, GoneRecord, Status},
    unicode::in_text,
};

use super::{badge, copied, family, icon, status, time};
use crate::text;

/// One cell per check, twelve in all: the style sheet counts on it to leave no hole. `lists` is what block lists say of the MX hosts.
pub(crate) fn checks_strip(audit: &AuditReport, lists: &CheckSummary) -> AnyView {
    let missing = CheckSummary { status: Status::None, word: "Not known".to_owned() };
    // The cells are narrow: a word may stand below its number.
    let word = |check: &CheckSummary| check.word.replace('\u{a0}', " ");
    let cell = |name: &'static str, check: &CheckSummary| view! { <li><span class="k">{name}</span>{status(check.status, &word(check))}</li> };
    let mut cells: Vec<_> = family::ALL.iter().map(|(key, name)| cell(name, audit.checks.get(*key).unwrap_or(&missing))).collect();
    cells.push(cell("Blacklists", lists));
    view! { <ul class="checks">{cells}</ul> }.into_any()
}

/// Says which checks are as an earlier audit saw them.
pub(crate) fn as_of(audit: &AuditReport) -> Option<AnyView> {
    let oldest = *audit.as_of.values().min()?;
    let mut families: Vec<_> = audit.as_of.keys().collect();
    families.sort_by_key(|key| family::place(key));
    let names = families.into_iter().map(|key| family::name(key)).collect::<Vec<_>>().join(", ");
    Some(
        view! { <p class="card-body sm muted">{format!("{names} could not be read now. They are shown as last seen, ")}{time(oldest)}"."</p> }
            .into_any(),
    )
}

/// Findings by severity, worst first and the worst open. `prefix` keeps ids of several groups on a page apart.
pub(crate) fn findings(all: &[Finding], prefix: &str) -> AnyView {
    findings_of_watched(all, &[], prefix)
}

/// The same of a domain that is watched: a finding that misses a record shows it as it was.
pub(crate) fn findings_of_watched(all: &[Finding], gone: &[GoneRecord], prefix: &str) -> AnyView {
    let groups = [Severity::Critical, Severity::Medium, Severity::Low, Severity::Info]
        .into_iter()
        .filter_map(|of| {
            let word = of.word();
            let mut group: Vec<(usize, &Finding)> = all.iter().enumerate().filter(|(_, finding)| finding.severity.word() == word).collect();
            group.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
            let severity = group.first()?.1.severity;
            let meaning = severity.meaning();
            let many = if group.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", group.len()) };
            let open = severity >= Severity::High;
            let cards = group.into_iter().map(|(index, finding)| one(finding, gone, &format!("{prefix}-{index}"), open)).collect_view();
            Some(view! {
                <div class="sev-head">{badge(severity.into(), word)}<h3 class="vh">{word}</h3><span class="meta">{format!("{many}, {meaning}")}</span></div>
                {cards}
            })
        })
        .collect_view();
    groups.into_any()
}

fn one(finding: &Finding, gone: &[GoneRecord], id: &str, open: bool) -> AnyView {
    let kind = Status::from(finding.severity);
    let glyph = match kind {
        Status::Bad => "bad",
        Status::Warn => "warn",
        _ => "info",
    };
    let why = (!finding.why.is_empty()).then(|| view! { <div><h4>"Why it matters"</h4><p>{finding.why.clone()}</p></div> });
    let reference = (!finding.reference.is_empty()).then(|| view! { <p class="xs muted mt2">{finding.reference.clone()}</p> });
    let shown = |suggested: &SuggestedRecord, id: String| record(&suggested.kind, &suggested.name, &suggested.value, id);
    let was = gone.iter().find(|gone| gone.rule == finding.rule && gone.subject == finding.subject).map(|gone| {
        let until = text::minute(gone.until);
        let how = if finding.rule.starts_with("dkim.") {
            format!("The key that was there until {until}. Publish it again if it went by mistake; where an alias (CNAME) of a mail service led to it, publish the alias again instead.")
        } else {
            format!("The record that was there until {until}. Publish it again if it went by mistake; where an alias (CNAME) led to it, publish the alias again instead.")
        };
        view! { <p>{how}</p>{shown(&gone.record, format!("g-{id}"))}<p class="mt3">"Otherwise:"</p> }
    });
    let record = finding.record.as_ref().map(|suggested| shown(suggested, format!("r-{id}")));
    view! {
        <details class="finding" data-status=kind.as_str() id=format!("finding-{id}") open=open>
            <summary>
                {icon(glyph)}
                <span><span class="title">{in_text(&finding.summary)}</span><span class="desc mono xs">{finding.subject.clone()}</span></span>
                <span class="end"><svg class="icon chev" aria-hidden="true"><use href="#i-next"></use></svg></span>
            </summary>
            <div class="finding-body" id=format!("fix-{id}")><div class="why-how">{why}<div><h4>"How to fix"</h4>{was}<p>{finding.fix.clone()}</p>{record}{reference}</div></div></div>
        </details>
    }
    .into_any()
}

/// A DNS record to publish, with a button that copies its value.
pub(crate) fn record(kind: &str, name: &str, value: &str, id: String) -> AnyView {
    view! {
        <div class="record">
            <div class="record-head"><span class="strong">{kind.to_owned()}</span><code>{name.to_owned()}</code>{copied(id.clone(), format!("value of {kind} {name}"))}</div>
            <pre id=id tabindex="0">{value.to_owned()}</pre>
        </div>
    }
    .into_any()
}

/// Parts that could not be told which a page shows at once.
const MOST_UNKNOWN: usize = 8;

/// Parts that could not be told; nothing when all could.
pub(crate) fn unknown_parts(parts: &[UnknownPart]) -> Option<AnyView> {
    if parts.is_empty() {
        return None;
    }
    let items = |parts: &[UnknownPart]| {
        let item = |part: &UnknownPart| view! { <li><div class="item" data-status="none">{icon("unknown")}<div><span class="title">{family::name(&part.subject)}</span><p class="desc">{text::sentence(&part.reason)}</p></div></div></li> };
        view! { <ul class="list">{parts.iter().map(item).collect_view()}</ul> }
    };
    let (first, rest) = parts.split_at(parts.len().min(MOST_UNKNOWN));
    let more = (!rest.is_empty())
        .then(|| view! { <details class="more" id="unknown-more"><summary>{format!("{} more parts could not be told", rest.len())}</summary>{items(rest)}</details> });
    Some(
        view! {
            <div class="sev-head">{badge(Status::None, "Not known")}<h3 class="vh">"Not known"</h3><span class="meta">"could not be told; neither passed nor failed"</span></div>
            {items(first)}{more}
        }
        .into_any(),
    )
}

/// The records as seen, in the order of the checks.
pub(crate) fn records(audit: &AuditReport) -> AnyView {
    let mut seen: Vec<_> = audit.records.iter().collect();
    seen.sort_by_key(|(key, _)| family::place(key));
    let blocks = seen.into_iter().flat_map(|(key, lines)| {
        let name = family::name(key);
        if key == "mta_sts" {
            return lines.iter().map(|line| policy_or_record(&name, line, audit)).collect();
        }
        // A key is copied without the selector that it stands under.
        let keys = (key == "dkim").then(|| lines.iter().filter_map(|line| line.split_once(": ")).collect::<Vec<_>>());
        match keys.filter(|keys| keys.len() == lines.len()) {
            Some(keys) => keys.into_iter().map(|(selector, value)| (format!("{name}, selector {selector}"), value.to_owned())).collect(),
            None => vec![(name, lines.join("\n"))],
        }
    });
    let items = blocks
        .enumerate()
        .map(|(nth, (name, text))| {
            let id = format!("seen-{nth}");
            view! {
                <div class="record">
                    <div class="record-head"><span class="strong">{name.clone()}</span>{copied(id.clone(), format!("{name} records"))}</div>
                    <pre id=id tabindex="0">{text}</pre>
                </div>
            }
        })
        .collect_view();
    view! { <div class="card-body stack">{items}</div> }.into_any()
}

/// Of MTA-STS there is a record and a file, which are published in two places. The file is shown in its lines.
fn policy_or_record(name: &str, line: &str, audit: &AuditReport) -> (String, String) {
    if !line.starts_with("version:") {
        return (name.to_owned(), line.to_owned());
    }
    let text = audit.detail.mta_sts.as_ref().map_or_else(|| line.replace(" / ", "\n"), |policy| policy.text.trim_end().to_owned());
    (format!("{name} policy file"), text)
}
