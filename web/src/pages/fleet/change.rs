//! The form that changes many monitors at once, and what came of it.

use std::collections::HashMap;

use leptos::prelude::*;
use waypost_types::{
    MonitorId,
    fleet::{Chosen, ManyChanged, ManyPatch, MonitorFilter},
};

use super::Asked;
use crate::{
    api::ApiFailure,
    ssr::{Fields, Frame},
    text,
    ui::{self, Button, Form, FormTag, Gate, icon},
};

/// The form that the boxes of the table belong to.
pub(super) const FORM: &str = "many";
/// Begins the names of these boxes.
pub(super) const TICK: &str = "m.";

/// What the form asks for.
pub(super) fn patch(fields: &Fields, asked: &Asked) -> Result<ManyPatch, ApiFailure> {
    let of = if fields.text("of") == "all" {
        Chosen::Filter(MonitorFilter {
            q: Some(asked.q.clone()),
            kind: asked.kind,
            state: asked.state,
            tag: Some(asked.tag.clone()),
            services: false,
        })
    } else {
        let ids: Vec<MonitorId> = fields.names_after(TICK).filter_map(|id| id.parse().ok()).collect();
        if ids.is_empty() {
            return Err(ApiFailure::field("of", "Tick at least one monitor in the list above, or choose all that match.".to_owned()));
        }
        Chosen::Monitors(ids)
    };
    let expected = matches!(of, Chosen::Filter(_)).then(|| fields.text("expected").parse().unwrap_or(0));
    let seconds = match fields.text("interval_s") {
        "" => None,
        given => Some(given.parse().map_err(|_| ApiFailure::field("interval_s", "Choose one of the intervals.".to_owned()))?),
    };
    Ok(ManyPatch {
        of,
        expected,
        paused: match fields.text("checks") {
            "pause" => Some(true),
            "resume" => Some(false),
            _ => None,
        },
        interval_s: seconds,
        add_tags: ui::tag_parts(fields.text("add_tags")),
        remove_tags: ui::tag_parts(fields.text("remove_tags")),
    })
}

/// What came of it, for the page that is shown afterwards.
pub(super) fn done_query(done: ManyChanged) -> String {
    let ManyChanged { monitors, changed, tagged, interval_kept, full } = done;
    format!("done={monitors}.{changed}.{tagged}.{interval_kept}.{full}")
}

fn done_of(text: &str) -> Option<ManyChanged> {
    let mut numbers = text.split('.').map(|number| number.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    Some(ManyChanged { monitors: next()?, changed: next()?, tagged: next()?, interval_kept: next()?, full: next()? })
}

/// What was done, above the list.
pub(super) fn done(query: &HashMap<String, String>, failure: Option<&ApiFailure>) -> Option<AnyView> {
    let done = query.get("done").filter(|_| failure.is_none()).and_then(|text| done_of(text))?;
    let things = text::counted(done.tagged, "thing", "things");
    let changed = match (done.changed, done.tagged) {
        (0, 0) => format!("Nothing had to be changed for {}.", text::counted(done.monitors, "monitor", "monitors")),
        (0, _) => format!("Tags are changed on {things}."),
        (changed, 0) => format!("{} changed.", text::counted(changed, "monitor is", "monitors are")),
        (changed, _) => format!("{} changed, and tags on {things}.", text::counted(changed, "monitor is", "monitors are")),
    };
    let kept = text::counted(done.interval_kept, "monitor keeps its interval", "monitors keep their interval");
    let kept = format!("{kept}: probes are checked every minute to every hour, audits and block lists every hour to once a day.");
    let full = text::counted(done.full, "thing has", "things have");
    let full = format!("{full} no room for more tags, and kept what was there.");
    let all = [(true, changed), (done.interval_kept > 0, kept), (done.full > 0, full)];
    let said = all.into_iter().filter(|(applies, _)| *applies).map(|(_, sentence)| sentence).collect::<Vec<_>>().join(" ");
    Some(view! { <div class="banner" role="status" data-status="ok">{icon("ok")}<div>{said}</div></div> }.into_any())
}

pub(super) fn card(frame: &Frame, asked: &Asked, (fields, failure): (&Fields, Option<&ApiFailure>), matching: u32, action: &str) -> AnyView {
    let gate = Gate::change(frame, "many");
    let form = Form::new(fields, failure, &["of", "interval_s", "add_tags", "remove_tags"]);
    let on = if fields.text("of") == "all" { "all" } else { "ticked" };
    let word = match (asked.narrows(), matching) {
        (true, number) => format!("All {} that match", text::count(number.into())),
        (false, number) => format!("All {}", text::counted(number, "monitor", "monitors")),
    };
    let stale = failure.filter(|failure| failure.status == 412).map(|_| {
        let words = "Meanwhile the list has others than you saw, so nothing was changed. Look at it again, and apply the change once more.";
        view! { <div class="banner" role="alert" data-status="warn">{icon("warn")}<div>{words}</div></div> }
    });
    let other = failure.filter(|failure| failure.status != 412).and_then(|_| form.said());
    let no_choice = failure.and_then(|failure| failure.fields().iter().find(|error| error.field == "of")).map(|error| {
        view! { <span class="error" id="of-below">{icon("bad")}{error.message.clone()}</span> }
    });
    let described = no_choice.is_some().then_some("of-below");
    let checks = ["", "pause", "resume"]
        .into_iter()
        .zip(["As they are", "Pause", "Resume"])
        .map(|(value, word)| view! { <option value=value selected=fields.text("checks") == value>{word}</option> })
        .collect_view();
    let intervals = ui::INTERVALS
        .into_iter()
        .map(|seconds| view! { <option value=seconds.to_string() selected=fields.text("interval_s") == seconds.to_string()>{text::duration(seconds.into())}</option> })
        .collect_view();
    let inputs = view! {
        {stale}{other}
        <input type="hidden" name="expected" value=matching.to_string()/>
        <div class="field" role="group" aria-labelledby="g-of" aria-describedby=described><span class="label" id="g-of">"Which"</span>
            {choice("ticked", on, "The ones that are ticked above")}
            {choice("all", on, word)}
            {no_choice}
        </div>
        <div class="many-fields">
            <div class="field"><label for="f-checks">"Checks"</label><select class="select" id="f-checks" name="checks">{checks}</select></div>
            <div class="field"><label for="f-interval_s">"Check every"</label><select class="select" id="f-interval_s" name="interval_s"><option value="">"As they are"</option>{intervals}</select></div>
            {form.optional("add_tags", "Tags to give", "", "With commas between.")}
            {form.optional("remove_tags", "Tags to take away", "", "With commas between.")}
        </div>
        <p class="soft sm">"Tags go to the domain, mail server or address that a monitor belongs to. What resumes is checked within its interval, not all at once."</p>
    };
    view! {
        <section class="card" aria-labelledby="h-many">
            <div class="card-head"><h2 id="h-many">"Change many at once"</h2></div>
            {gate.hint()}
            {gate.form_with(FormTag { id: Some(FORM), ..FormTag::default() }, "card-body stack", action.to_owned(), inputs, Button::new("btn btn-primary", "Apply to all of these"))}
        </section>
    }
    .into_any()
}

fn choice(value: &'static str, on: &str, word: impl IntoView + 'static) -> AnyView {
    let id = format!("f-of-{value}");
    view! { <label class="check" for=id><input type="radio" id=id.clone() name="of" value=value checked=on == value/>{word}</label> }.into_any()
}
