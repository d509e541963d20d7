//! When a change counts, and from where it is looked at: part of the settings of everything watched.

use leptos::prelude::*;
use serde_json::{Map, Value, json};

use super::{Shown, main_monitor, touched};
use crate::{
    ssr::Fields,
    ui::{self, Form},
};

const FIELDS: [&str; 4] = ["policy.fail_after", "policy.recover_after", "policy.quorum", "regions"];

/// The fields. How many regions must agree is asked where several can: audits and block lists are judged from one.
pub(super) fn fields(shown: &Shown<'_>) -> Option<AnyView> {
    let monitor = main_monitor(shown.monitors, shown.kind)?;
    let form = Form::new(shown.typed, shown.failure, &FIELDS);
    let policy = monitor.policy;
    let number = |name: &'static str, label: &'static str, now: u32, hint: &'static str| {
        view! { {before(name, now.to_string())}{form.typed(name, label, "number", &now.to_string(), hint)} }
    };
    let whole = shown.kind.is_judged_whole();
    let quorum = whole.then(|| number("policy.quorum", "Regions that must agree", policy.quorum, "0: a majority of those that can tell."));
    let (bad, good) = if whole { ("Down after", "Up again after") } else { ("A problem counts after", "It is over after") };
    let regions = monitor.regions.join(", ");
    Some(
        view! {
            <h3>"When a change counts, and from where"</h3>
            {number("policy.fail_after", bad, policy.fail_after, "Checks in a row that fail, 1 to 10.")}
            {number("policy.recover_after", good, policy.recover_after, "Checks in a row that are fine, 1 to 10.")}
            {quorum}
            {before("regions", regions.clone())}
            {form.optional("regions", "Regions", &regions, "Where it is checked from, with commas between.")}
        }
        .into_any(),
    )
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
    if let Some(regions) = fields.given("regions").filter(|_| touched(fields, "regions")) {
        patch.insert("regions".to_owned(), json!(ui::tag_parts(regions)));
    }
}
