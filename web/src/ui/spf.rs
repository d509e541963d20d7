//! The SPF policy as a tree of lookups, whether the known senders pass it, and the record without its includes.

use leptos::prelude::*;
use waypost_types::{
    audit::{SpfDetail, SpfFlattening, SpfNode, SpfSender, SpfTerm},
    outcome::Status,
};

use super::{audit::record, badge, icon, status};
use crate::text;

/// DNS lookups that receivers follow before they give up (RFC 7208 4.6.4).
const LOOKUPS: u32 = 10;
/// Lookups that may find nothing (RFC 7208 4.6.4).
const VOID_LOOKUPS: u32 = 2;
/// Deeper than ten lookups can lead.
const DEEPEST: usize = 12;

/// The card about SPF; `standing` is how the check as a whole stands.
pub(crate) fn spf(detail: &SpfDetail, standing: Status) -> AnyView {
    let tree = &detail.tree;
    // Few lookups are no good news beside an error.
    let good = if matches!(standing, Status::Bad | Status::Warn) { Status::None } else { Status::Ok };
    let meter = |used: u32, allowed: u32, word: &str| {
        let kind = match used.cmp(&allowed) {
            std::cmp::Ordering::Greater => Status::Bad,
            std::cmp::Ordering::Equal => Status::Warn,
            std::cmp::Ordering::Less => good,
        };
        badge(kind, &format!("{used} of {allowed} {word}"))
    };
    // Finding nothing twice is allowed, and once is no warning.
    let void = (tree.void_lookups > 0).then(|| meter(tree.void_lookups, VOID_LOOKUPS, "void lookups"));
    view! {
        <section class="card" id="spf" aria-labelledby="h-spf" data-live="spf">
            <div class="card-head"><h2 id="h-spf">"SPF: who may send"</h2>{meter(tree.lookups, LOOKUPS, "lookups")}{void}</div>
            <div class="card-body">
                {tree.problem.as_ref().map(|problem| view! { <p class="mt1">{status(Status::Warn, problem)}</p> })}
                {terms(tree, "spf", 0)}
            </div>
            {senders(&detail.senders)}
            {detail.flattened.as_ref().map(flattened)}
        </section>
    }
    .into_any()
}

fn terms(node: &SpfNode, id: &str, depth: usize) -> AnyView {
    if node.terms.is_empty() || depth > DEEPEST {
        return ().into_any();
    }
    let items = node.terms.iter().enumerate().map(|(nth, term)| view! { <li>{one(term, &format!("{id}-{nth}"), depth)}</li> }).collect_view();
    view! { <ul class="tree">{items}</ul> }.into_any()
}

fn one(term: &SpfTerm, id: &str, depth: usize) -> AnyView {
    let cost = (term.lookups > 0).then(|| view! { <span class="tag">{text::counted(term.lookups, "lookup", "lookups")}</span> });
    // Inside a summary there are no paragraphs, so what is to say of a term is a line of its own by its style.
    let note = term.note.as_ref().map(|note| view! { <span class="note">{text::sentence(note)}</span> });
    let Some(policy) = &term.policy else {
        return view! { <div class="term"><code>{term.text.clone()}</code>{cost}{note}</div> }.into_any();
    };
    let service = policy.service.clone().map(|service| view! { <span class="strong">{service}</span> });
    let void = (policy.void_lookups > 0).then(|| badge(Status::Warn, &text::counted(policy.void_lookups, "void lookup", "void lookups")));
    let problem = policy.problem.as_ref().map(|problem| view! { <span class="note">{status(Status::Warn, problem)}</span> });
    let line = view! { <code>{term.text.clone()}</code>{service}{cost}{void}{problem}{note} };
    if policy.terms.is_empty() {
        return view! { <div class="term">{line}</div> }.into_any();
    }
    // The record itself is open; what it includes is opened by who wants to know, unless it is broken.
    let id = id.to_owned();
    view! {
        <details id=id.clone() open=policy.problem.is_some()>
            <summary class="term">{line}</summary>
            {terms(policy, &id, depth + 1)}
        </details>
    }
    .into_any()
}

/// What a result of `check_host()` means for mail from there.
fn result(word: &str) -> AnyView {
    match word {
        "pass" => status(Status::Ok, "Passes"),
        "fail" => status(Status::Bad, "Fails: refused"),
        "softfail" => status(Status::Warn, "Soft fail: suspect"),
        "neutral" | "none" => status(Status::Warn, "Not authorised"),
        "permerror" => status(Status::Bad, "Policy broken"),
        "temperror" => status(Status::None, "No answer"),
        other => status(Status::None, other),
    }
}

fn senders(senders: &[SpfSender]) -> Option<AnyView> {
    if senders.is_empty() {
        return None;
    }
    let rows = senders
        .iter()
        .map(|sender| {
            let mechanism = sender.mechanism.clone().map(|term| view! { <code class="wrap-any">{term}</code> });
            view! {
                <tr>
                    <th scope="row" class="mono wrap-any">{sender.address.to_string()}</th>
                    <td data-label="Known as">{text::sentence(&sender.origin)}</td>
                    <td data-label="SPF">{result(&sender.result)}</td>
                    <td data-label="Decided by">{mechanism}</td>
                </tr>
            }
        })
        .collect_view();
    Some(
        view! {
            <div class="sev-head"><h3>"Do the known senders pass?"</h3></div>
            <div class="table-wrap" tabindex="0" role="region" aria-label="Senders and SPF, table">
                <table class="table fold">
                    <caption class="vh">"Senders and what SPF says of each"</caption>
                    <thead><tr><th scope="col">"Address"</th><th scope="col">"Known as"</th><th scope="col">"SPF"</th><th scope="col">"Decided by"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any(),
    )
}

fn flattened(proposal: &SpfFlattening) -> AnyView {
    let records =
        proposal.records.iter().enumerate().map(|(nth, one)| record(&one.kind, &one.name, &one.value, format!("flat-{nth}"))).collect_view();
    view! {
        <details id="spf-flat" class="more">
            <summary>{format!("The same senders with {}", text::counted(proposal.lookups, "lookup", "lookups"))}</summary>
            <div class="card-body stack">
                <p class="sm soft term" data-status="warn">{icon("warn")}<span>{text::sentence(&proposal.risk)}</span></p>
                {records}
            </div>
        </details>
    }
    .into_any()
}
