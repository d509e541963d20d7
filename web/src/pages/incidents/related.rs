//! What happened around an incident: probable causes with their reason, and what else happened, by time.

use leptos::prelude::*;
use waypost_types::{
    cause::{Related, RelatedEvent, Source, family_word},
    incident::Incident,
    unicode::with_ascii,
};

use crate::{
    pages::changes,
    ssr::Frame,
    text,
    ui::{self, icon},
};

/// Events shown at once; the rest is a press away.
const FIRST: usize = 5;

/// The card, with the form that marks a change.
pub(super) fn card(frame: &Frame, org: &str, incident: &Incident, related: &Related) -> AnyView {
    let root = format!("/o/{}", text::encoded(org));
    let line = |event: &RelatedEvent| item(event, incident, &root);
    let causes = if related.causes.is_empty() {
        let since = text::duration((incident.opened_at - related.from).num_seconds());
        view! { <p class="card-body sm soft">{format!("Nothing that usually causes such an incident is known of the {since} before it.")}</p> }
            .into_any()
    } else {
        let (first, rest) = related.causes.split_at(related.causes.len().min(FIRST));
        let more = (!rest.is_empty()).then(|| {
            view! { <details class="more" id="more-causes"><summary>{text::counted(u32::try_from(rest.len()).unwrap_or(u32::MAX), "less probable cause", "less probable causes")}</summary><ol class="list">{rest.iter().map(line).collect_view()}</ol></details> }
        });
        view! { <ol class="list">{first.iter().map(line).collect_view()}</ol>{more} }.into_any()
    };
    let beside = (!related.beside.is_empty()).then(|| {
        let count = text::counted(u32::try_from(related.beside.len()).unwrap_or(u32::MAX), "other event around it", "other events around it");
        view! { <details class="more" id="beside"><summary>{count}</summary><ul class="list">{related.beside.iter().map(line).collect_view()}</ul></details> }
    });
    view! {
        <section class="card" aria-labelledby="h-related">
            <div class="card-head"><h2 id="h-related">"Probable causes"</h2><span class="meta">"what happened around it, likeliest first"</span></div>
            <div data-live="related">{causes}{beside}</div>
            <details class="more" id="mark-change">
                <summary>"Mark a change that was made"</summary>
                <div class="card-body stack">{changes::form_of_incident(frame, org, incident)}</div>
            </details>
        </section>
    }
    .into_any()
}

fn item(event: &RelatedEvent, incident: &Incident, root: &str) -> AnyView {
    let target = with_ascii(&event.target);
    let (glyph, title) = match &event.source {
        Source::Record { family } => ("globe", format!("{} of {target} changed", family_word(family))),
        Source::Listing { list } => ("list", format!("{target} came onto {list}")),
        Source::Server => ("server", format!("{target} showed itself in another way")),
        Source::Incident { .. } => ("bolt", event.text.clone()),
        Source::Change { kind } if event.target.is_empty() => ("branch", format!("{}: {}", kind.word(), event.text)),
        Source::Change { kind } => ("branch", format!("{} of {target}: {}", kind.word(), event.text)),
    };
    let title = match &event.source {
        Source::Incident { incident, .. } => view! { <a class="title" href=format!("{root}/incidents/{incident}")>{title}</a> }.into_any(),
        _ => view! { <span class="title">{title}</span> }.into_any(),
    };
    let detail = matches!(event.source, Source::Record { .. } | Source::Listing { .. } | Source::Server)
        .then(|| view! { <p class="desc wrap-any">{text::sentence(&event.text)}</p> });
    let reason = event.cause.as_ref().map(|cause| view! { <p class="desc">{cause.reason.clone()}</p> });
    let seconds = (event.at - incident.opened_at).num_seconds();
    let apart = match seconds {
        0 => "at the same time".to_owned(),
        ..0 => format!("{} before", text::duration(-seconds)),
        _ => format!("{} after", text::duration(seconds)),
    };
    view! {
        <li>
            <div class="item">
                {icon(glyph)}
                <div>{title}{detail}{reason}</div>
                <div class="end"><span title=text::exact(event.at)>{apart}</span>{event.cause.as_ref().map(|cause| ui::badge(waypost_types::outcome::Status::Info, likely(cause.score)))}</div>
            </div>
        </li>
    }
    .into_any()
}

/// The score in words.
const fn likely(score: u8) -> &'static str {
    match score {
        91.. => "Very probable",
        70..=90 => "Probable",
        _ => "Possible",
    }
}
