//! When a change counts, and from where it is looked at: part of the settings of everything watched.

use leptos::prelude::*;
use serde_json::{Map, Value, json};
use waypost_types::region::{Region, RegionState};

use super::{Shown, main_monitor, touched};
use crate::{
    ssr::{Fields, Frame},
    ui::Form,
};

const FIELDS: [&str; 4] = ["policy.fail_after", "policy.recover_after", "policy.quorum", "regions"];

/// The fields. How many regions must agree is asked where several can: audits and block lists are judged from one.
pub(super) fn fields(frame: &Frame, shown: &Shown<'_>) -> Option<AnyView> {
    let monitor = main_monitor(shown.monitors, shown.kind)?;
    let form = Form::new(shown.typed, shown.failure, &FIELDS);
    let policy = monitor.policy;
    let number = |name: &'static str, label: &'static str, now: u32, hint: &'static str| {
        view! { {before(name, now.to_string())}{form.typed(name, label, "number", &now.to_string(), hint)} }
    };
    let whole = shown.kind.is_judged_whole();
    let quorum = whole.then(|| number("policy.quorum", "Regions that must agree", policy.quorum, "0: a majority of those that can tell."));
    let (bad, good) = if whole { ("Down after", "Up again after") } else { ("A problem counts after", "It is over after") };
    let known = frame.overview.as_ref().map(|overview| overview.regions.as_slice()).unwrap_or_default();
    Some(
        view! {
            <h3>"When a change counts, and from where"</h3>
            {number("policy.fail_after", bad, policy.fail_after, "Checks in a row that fail, 1 to 10.")}
            {number("policy.recover_after", good, policy.recover_after, "Checks in a row that are fine, 1 to 10.")}
            {quorum}
            {regions(&form, known, &monitor.regions, shown.typed)}
        }
        .into_any(),
    )
}

/// Where it is checked from: a choice, where there is one.
fn regions(form: &Form<'_>, known: &[Region], now: &[String], typed: &Fields) -> Option<AnyView> {
    let mut names: Vec<&str> = known.iter().map(|region| region.name.as_str()).chain(now.iter().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 {
        return None;
    }
    let sent = typed.given("regions_before").is_some();
    let choices = names
        .into_iter()
        .map(|name| {
            let field = format!("{CHOICE}{name}");
            let on = if sent { typed.given(&field).is_some() } else { now.iter().any(|each| each == name) };
            let state = known.iter().find(|region| region.name == name).map_or(RegionState::Silent, |region| region.state);
            let trouble = match state {
                RegionState::Working => None,
                RegionState::CutOff => Some("reaches nothing now"),
                RegionState::Silent => Some("has no worker now"),
            };
            let said = trouble.map(|said| view! { <span class="muted xs">{format!(" {said}")}</span> });
            let id = format!("f-{field}");
            view! { <label class="check" for=id.clone()><input type="checkbox" id=id.clone() name=field value="1" checked=on/><span>{name.to_owned()}{said}</span></label> }
        })
        .collect_view();
    Some(
        view! {
            <fieldset class="field">
                <legend>"Checked from"</legend>
                <div class="stack-tight">{choices}</div>
                {form.below("regions", "Each region that is chosen checks by itself.")}
            </fieldset>
            {before("regions", joined(now.iter().map(String::as_str)))}
        }
        .into_any(),
    )
}

/// Fields of the regions that may be chosen begin so.
const CHOICE: &str = "region.";

fn joined<'a>(regions: impl Iterator<Item = &'a str>) -> String {
    let mut regions: Vec<&str> = regions.collect();
    regions.sort_unstable();
    regions.join(", ")
}

fn before(name: &str, value: String) -> AnyView {
    view! { <input type="hidden" name=format!("{name}_before") value=value/> }.into_any()
}

/// What of it the form sent. What is no number is none that the API takes.
pub(super) fn add(patch: &mut Map<String, Value>, fields: &Fields) {
    let mut policy = Map::new();
    for name in ["fail_after", "recover_after", "quorum"] {
        let field = format!("policy.{name}");
        if let Some(given) = fields.given(&field).filter(|_| touched(fields, &field)) {
            policy.insert(name.to_owned(), json!(given.trim().parse().unwrap_or(u32::MAX)));
        }
    }
    if !policy.is_empty() {
        patch.insert("policy".to_owned(), Value::Object(policy));
    }
    let chosen: Vec<&str> = fields.names_after(CHOICE).collect();
    if fields.given("regions_before").is_some_and(|before| before != joined(chosen.iter().copied())) {
        patch.insert("regions".to_owned(), json!(chosen));
    }
}
