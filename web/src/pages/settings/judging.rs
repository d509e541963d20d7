//! When a change counts, and from where it is looked at: part of the settings of everything watched.

use leptos::prelude::*;
use serde_json::{Map, Value, json};

use super::{Shown, main_monitor};
use crate::{
    ssr::Fields,
    ui::{self, Button, Form, Gate},
};

const FIELDS: [&str; 4] = ["policy.fail_after", "policy.recover_after", "policy.quorum", "regions"];

/// The form. How many regions must agree is asked where several can: audits and block lists are judged from one.
pub(super) fn form(gate: &Gate, shown: &Shown<'_>) -> Option<AnyView> {
    let monitor = main_monitor(shown.monitors, shown.kind)?;
    let form = Form::new(shown.typed, shown.failure, &FIELDS);
    let policy = monitor.policy;
    let quorum = shown.kind.is_judged_whole().then(|| {
        form.typed("policy.quorum", "Regions that must agree", "number", &policy.quorum.to_string(), "0: a majority of those that can tell.")
    });
    let (bad, good) = if shown.kind.is_judged_whole() { ("Down after", "Up again after") } else { ("A problem counts after", "It is over after") };
    let fields = view! {
        <input type="hidden" name="version" value=shown.version.to_string()/>
        {form.typed("policy.fail_after", bad, "number", &policy.fail_after.to_string(), "Checks in a row that fail, 1 to 10.")}
        {form.typed("policy.recover_after", good, "number", &policy.recover_after.to_string(), "Checks in a row that are fine, 1 to 10.")}
        {quorum}
        {form.optional("regions", "Regions", &monitor.regions.join(", "), "Where it is checked from, with commas between.")}
    };
    Some(
        view! {
            <div class="judging">
                <h3>"When a change counts, and from where"</h3>
                {gate.form("inline-form", format!("{}/settings", shown.base), fields, Button::new("btn", "Save these"))}
            </div>
        }
        .into_any(),
    )
}

/// What of it the form sent. What is no number is none that the API takes.
pub(super) fn add(patch: &mut Map<String, Value>, fields: &Fields) {
    let mut policy = Map::new();
    for name in ["fail_after", "recover_after", "quorum"] {
        if let Some(given) = fields.given(&format!("policy.{name}")) {
            policy.insert(name.to_owned(), json!(given.trim().parse().unwrap_or(u32::MAX)));
        }
    }
    if !policy.is_empty() {
        patch.insert("policy".to_owned(), Value::Object(policy));
    }
    if let Some(regions) = fields.given("regions") {
        patch.insert("regions".to_owned(), json!(ui::tag_parts(regions)));
    }
}
