//! The DMARC policy in force and the way from it to one that protects.

use leptos::prelude::*;
use waypost_types::{
    audit::{DmarcDetail, DmarcStep},
    outcome::Status,
};

use super::{audit::record, badge, icon, status, transport::fact};

/// The card about DMARC.
pub(crate) fn dmarc(detail: &DmarcDetail, domain: &str) -> AnyView {
    let owner = match detail.owner.as_str() {
        owner if owner.trim_start_matches("_dmarc.") == domain => "the domain's own record".to_owned(),
        owner => format!("inherited from {}", owner.trim_start_matches("_dmarc.")),
    };
    let reports = if detail.reports.is_empty() { "nobody: there is no rua=".to_owned() } else { detail.reports.join(", ") };
    let same = |alignment: &str| if alignment == "strict" { "the same domain exactly" } else { "the same organisation" };
    let testing = detail.testing.then(|| fact("Test mode", "t=y: receivers apply one policy less".into_any()));
    let steps = (!detail.path.is_empty()).then(|| {
        let next = detail.path.iter().position(|step| !step.done);
        let steps = detail.path.iter().enumerate().map(|(nth, each)| step(each, nth, next == Some(nth))).collect_view();
        let done = detail.path.iter().filter(|step| step.done).count();
        view! {
            <div class="sev-head"><h3>"The way to reject"</h3><span class="meta num">{format!("{done} of {} done", detail.path.len())}</span></div>
            <ol class="steps">{steps}</ol>
        }
    });
    // Without a record there is the way to one, and nothing in force.
    let facts = if detail.policy.is_empty() {
        view! { <dl class="kv">{fact("In force", status(Status::None, "nothing: there is no DMARC record"))}</dl> }.into_any()
    } else {
        view! {
                <dl class="kv">
                    {fact("In force", policy(&detail.policy))}
                    {fact("Comes from", owner.into_any())}
                    {detail.subdomains.as_deref().map(|word| fact("Subdomains", policy(word)))}
                    {detail.nonexistent.as_deref().map(|word| fact("Names that do not exist", policy(word)))}
                    {testing}
                    {fact("DKIM must sign for", same(&detail.dkim_alignment).into_any())}
                    {fact("SPF must pass for", same(&detail.spf_alignment).into_any())}
                    {fact("Reports go to", reports.into_any())}
                </dl>
        }
        .into_any()
    };
    view! {
        <section class="card" id="dmarc" aria-labelledby="h-dmarc" data-live="dmarc">
            <div class="card-head"><h2 id="h-dmarc">"DMARC: what happens to forged mail"</h2></div>
            <div class="card-body">{facts}</div>
            {steps}
        </section>
    }
    .into_any()
}

/// A policy with what it does.
fn policy(word: &str) -> AnyView {
    match word {
        "reject" => status(Status::Ok, "reject: forged mail is refused"),
        "quarantine" => status(Status::Ok, "quarantine: forged mail goes to spam"),
        "none" => status(Status::Warn, "none: forged mail is delivered"),
        other => status(Status::None, other),
    }
}

fn step(step: &DmarcStep, nth: usize, next: bool) -> AnyView {
    let mark = if step.done { icon("check") } else { (nth + 1).to_string().into_any() };
    let word = match () {
        () if step.done => Some(badge(Status::Ok, "Done")),
        () if next => Some(badge(Status::Info, "Next")),
        () => None,
    };
    let shown = step
        .record
        .as_ref()
        .filter(|_| !step.done)
        .map(|one| view! { <div class="mt2">{record(&one.kind, &one.name, &one.value, format!("step-{nth}"))}</div> });
    view! {
        <li aria-current=next.then_some("step")>
            <span class="n">{mark}</span>
            <div><h4 class="row">{step.title.clone()}{word}</h4><p>{step.text.clone()}</p>{shown}</div>
        </li>
    }
    .into_any()
}
