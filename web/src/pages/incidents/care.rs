//! What people add to an incident beside comments: why it happened, and that nobody is told of it for a while.

use leptos::prelude::*;
use waypost_types::incident::{Incident, IncidentStatus, MuteFor};

use crate::{
    ssr::{Fields, Frame},
    text,
    ui::{self, Button, Gate, icon},
};

/// The version that a form is based on, kept current while the page is open.
pub(super) fn version(incident: &Incident) -> AnyView {
    view! { <input type="hidden" name="version" value=incident.version.to_string() data-live="version"/> }.into_any()
}

/// Why it happened, and the form that says so; `fields` is what was sent and not taken.
pub(super) fn root_cause(frame: &Frame, incident: &Incident, base: &str, fields: Option<&Fields>) -> AnyView {
    let gate = Gate::handle(frame, "cause");
    let typed = fields.and_then(|fields| fields.given("root_cause"));
    // What stands in a text area is not escaped for us.
    let value = text::escaped(typed.or(incident.root_cause.as_deref()).unwrap_or_default());
    let area = view! {
        {version(incident)}
        <div class="field">
            <label for="f-root_cause">"Why did it happen?"</label>
            <textarea class="input" id="f-root_cause" name="root_cause" rows="5" maxlength="4000" aria-describedby="root_cause-hint">{value}</textarea>
            <span class="hint" id="root_cause-hint">"Markdown. It stands in the timeline, and in the mail that tells of the end. Empty takes it back."</span>
        </div>
    };
    let (said, word) = match &incident.root_cause {
        Some(cause) => (ui::markdown(cause), "Change"),
        None => (view! { <p class="sm soft">"Nobody has said yet why it happened."</p> }.into_any(), "Say why it happened"),
    };
    view! {
        <section class="card" aria-labelledby="h-rc">
            <div class="card-head"><h2 id="h-rc">"Root cause"</h2></div>
            <div class="card-body stack">
                <div data-live="root-cause">{said}</div>
                <details class="alt" id="say-cause" open=typed.is_some()>
                    <summary>{word}</summary>
                    {gate.form("stack mt2", format!("{base}/cause"), area, Button::new("btn", "Save"))}
                    {gate.hint()}
                </details>
            </div>
        </section>
    }
    .into_any()
}

/// Whether anybody is told of it, and the form that changes that. What is over has none.
pub(super) fn mute(frame: &Frame, incident: &Incident, base: &str) -> Option<AnyView> {
    if incident.status == IncidentStatus::Resolved {
        return None;
    }
    let gate = Gate::handle(frame, "mute");
    let action = format!("{base}/mute");
    let (said, form) = if let Some(mute) = &incident.mute {
        let until = mute.until.map_or_else(|| "until it is resolved".to_owned(), |at| format!("until {}", text::minute(at)));
        let said = view! { <p class="sm">"Muted by "<strong>{mute.by.clone()}</strong>{format!(" {until}. Nobody is told if it changes; who heard of the beginning hears of the end.")}</p> };
        let fields = view! { {version(incident)}<input type="hidden" name="mute" value=MuteFor::Off.as_str()/> };
        (said.into_any(), gate.form("", action, fields, Button::new("btn", view! { {icon("bell")}"Unmute" })))
    } else {
        let said = view! { <p class="sm soft">"Members and channels are told when it gets better or worse. While it is muted they are not; who heard of the beginning still hears of the end, but whoever ends it by hand."</p> };
        let options =
            MuteFor::ALL.into_iter().map(|mute| view! { <option value=mute.as_str()>{text::sentence(mute.words())}</option> }).collect_view();
        let fields = view! {
            {version(incident)}
            <div class="field"><label for="f-mute">"Mute"</label><select class="select" id="f-mute" name="mute">{options}</select></div>
        };
        (said.into_any(), gate.form("inline-form", action, fields, Button::new("btn", "Mute")))
    };
    Some(
        view! {
            <section class="card" aria-labelledby="h-mute" data-live="mute">
                <div class="card-head"><h2 id="h-mute">"Messages"</h2></div>
                <div class="card-body stack">{said}{form}{gate.hint()}</div>
            </section>
        }
        .into_any(),
    )
}
