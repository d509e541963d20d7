//! What was said with a mail server, and what a close look at it found.

use chrono::Duration;
use leptos::prelude::*;
use waypost_types::outcome::{CloseLook, LoginLook, LoginOutcome, Speaker, Status, TranscriptLine};

use super::{copied, findings, status, unknown_parts};
use crate::text;

/// What is asked once a day has a time of its own.
pub(crate) fn close_look(look: &CloseLook, id: &str) -> AnyView {
    let name = if look.of_owner { "Close look at what your server answers to strangers" } else { "Close look at what any client may ask" };
    let next = look.at + Duration::days(1);
    let when = format!("At {}, {}. Once a day: again after {}.", look.address, text::minute(look.at), text::minute(next));
    let clean = (!look.tells()).then(|| view! { <p class="sm">{status(Status::Ok, "Nothing to mend")}</p> });
    let found = (!look.findings.is_empty()).then(|| findings(&look.findings, &format!("c{id}")));
    view! {
        <div class="card-body stack">
            <h3>{name}</h3>
            <p class="sm muted">{when}</p>
            {clean}
            {transcript(&look.transcript, id, false)}
        </div>
        {found}
        {unknown_parts(&look.unknown)}
    }
    .into_any()
}

/// How the stored login stands.
pub(crate) fn login_look(look: &LoginLook, id: &str) -> AnyView {
    let state = match look.result.outcome {
        LoginOutcome::Accepted => Status::Ok,
        LoginOutcome::Refused | LoginOutcome::Failed => Status::Bad,
        LoginOutcome::Unknown | LoginOutcome::Untried => Status::None,
    };
    let took = look.auth_ms.map(|ms| format!(" It took {}.", text::millis(Some(ms)))).unwrap_or_default();
    let place = look.address.map(|address| format!("At {address}, {}.{took}", text::minute(look.at)));
    let found = (!look.findings.is_empty()).then(|| findings(&look.findings, &format!("l{id}")));
    view! {
        <div class="card-body stack">
            <h3>"Login"</h3>
            <p class="sm">{status(state, &look.result.reason)}</p>
            {place.map(|place| view! { <p class="sm muted">{place}</p> })}
            {transcript(&look.transcript, id, false)}
        </div>
        {found}
    }
    .into_any()
}

/// What was said, to be unfolded and copied.
pub(crate) fn transcript(said: &[TranscriptLine], id: &str, open: bool) -> Option<AnyView> {
    let line = |line: &TranscriptLine| {
        let (class, arrow) = if line.from == Speaker::Client { ("c", "→") } else { ("", "←") };
        view! { <li class=class><span class="ms">{format!("{}\u{a0}ms", line.at_ms)}</span><span class="dir">{arrow}</span><span>{line.line.clone()}</span></li> }
    };
    let list = format!("smtp-{id}");
    (!said.is_empty()).then(|| {
        view! {
            <details id=format!("transcript-{id}") open=open>
                <summary>"Transcript"</summary>
                <p class="mt2">{copied(list.clone(), "transcript".to_owned())}</p>
                <ol class="transcript mt2" id=list tabindex="0" aria-label="SMTP transcript: arrow right is sent by Waypost, arrow left by the server">
                    {said.iter().map(line).collect_view()}
                </ol>
            </details>
        }
        .into_any()
    })
}
