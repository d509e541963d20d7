//! The form of a rule: what it shows, and the body that what was sent makes. It works without script.

use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    incident::IncidentSeverity,
    rule::{Rule, Series, Side},
};

use crate::{
    api::ApiFailure,
    pages::{
        covers::{Choices, covers_field, covers_of},
        settings::own_runbook,
    },
    ssr::Fields,
    ui::Form,
};

const SEVERITIES: [IncidentSeverity; 3] = [IncidentSeverity::Critical, IncidentSeverity::Warning, IncidentSeverity::Info];
const NUMBERS: [&str; 4] = ["over_minutes", "threshold", "clear", "for_minutes"];

/// The series that was chosen.
pub(super) fn series_of(fields: &Fields) -> Series {
    fields.text("series").parse().unwrap_or(Series::ResponseTimeP95)
}

/// The fields: what was sent, or else what a rule is now. The series of a rule stays as it is.
pub(super) fn inputs(fields: &Fields, failure: Option<&ApiFailure>, choices: &Choices, now: Option<&Rule>) -> AnyView {
    let form =
        Form::new(fields, failure, &["name", "over_minutes", "threshold", "clear", "for_minutes", own_runbook::FIELDS[0], own_runbook::FIELDS[1]]);
    let sent = fields.given("threshold").is_some();
    let settings = now.map(|rule| &rule.settings);
    let series = settings.map_or_else(|| series_of(fields), |settings| settings.series);
    let number = |value: f64| value.to_string();
    let [over, threshold, clear, lasts] = match settings {
        Some(settings) => [
            settings.over_minutes.map(|over| over.to_string()).unwrap_or_default(),
            number(settings.threshold),
            number(settings.clear),
            settings.for_minutes.to_string(),
        ],
        None => ["30".to_owned(), String::new(), String::new(), "15".to_owned()],
    };
    let severity = match settings {
        Some(settings) if !sent => settings.severity.as_str().to_owned(),
        _ if sent => fields.text("severity").to_owned(),
        _ => IncidentSeverity::Warning.as_str().to_owned(),
    };
    let severities =
        SEVERITIES.into_iter().map(|one| view! { <option value=one.as_str() selected=one.as_str() == severity>{one.word()}</option> }).collect_view();
    let window = (now.is_none() || series.has_window()).then(|| {
        form.optional(
            "over_minutes",
            "Over the checks of, minutes",
            &over,
            "5 to 360. Response times and shares of checks are taken over it, of 3 checks at least; for the others it does not count.",
        )
    });
    let which = if now.is_some() {
        let words = format!("{}, in {}. Bad is {} the limit.", series.title(), series.unit(), series.side().word());
        view! { <p class="sm">{words}</p> }.into_any()
    } else {
        let options = Series::ALL
            .into_iter()
            .map(|one| {
                let side = match one.side() {
                    Side::Above => "bad above the limit",
                    Side::Below => "bad below the limit",
                };
                view! { <option value=one.as_str() selected=one == series>{format!("{} ({}, {side}): {}", one.title(), one.unit(), one.of_what())}</option> }
            })
            .collect_view();
        view! { <div class="field"><label for="f-series">"Watches"</label><select class="select" id="f-series" name="series">{options}</select></div> }.into_any()
    };
    let on = settings.map(|settings| {
        let checked = if sent { fields.given("enabled").is_some() } else { settings.enabled };
        view! { <label class="check" for="f-enabled"><input type="checkbox" id="f-enabled" name="enabled" value="1" checked=checked/>"The rule is on"</label> }
    });
    let covers = covers_field(&form, fields, sent, choices, settings.map(|settings| &settings.scope));
    view! {
        {form.said()}
        {form.optional("name", "Name", settings.map_or("", |settings| settings.name.as_str()), "What the list and the incidents call it.")}
        {on}
        {which}
        {window}
        {form.optional("threshold", "Limit", &threshold, "In the unit of what it watches.")}
        {form.optional("clear", "Over again at", &clear, "The limit when empty. A value on its calm side keeps what swings around the limit from opening and ending.")}
        {form.optional("for_minutes", "Has to last, minutes", &lasts, "0 is at once. What ends has to be calm for as long, 15 minutes at most.")}
        <div class="field"><label for="f-severity">"Severity"</label><select class="select" id="f-severity" name="severity">{severities}</select></div>
        {covers}
        {own_runbook::fields(settings.and_then(|settings| settings.runbook.as_ref()), fields, failure)}
    }
    .into_any()
}

/// The body of what was sent; a patch where it is about a rule.
pub(super) fn body_of(fields: &Fields, now: Option<&Rule>) -> Result<Value, ApiFailure> {
    let series = now.map_or_else(|| series_of(fields), |rule| rule.settings.series);
    let mut body = json!({ "name": fields.text("name"), "severity": fields.text("severity"), "scope": covers_of(fields) });
    if let Some(body) = body.as_object_mut() {
        own_runbook::add(body, fields);
    }
    for name in NUMBERS {
        let text = fields.text(name);
        if text.is_empty() || (name == "over_minutes" && !series.has_window()) {
            continue;
        }
        let plain = text.replace(',', "");
        let read = if name.ends_with("minutes") {
            plain.parse::<u32>().map(|whole| json!(whole)).ok()
        } else {
            plain.parse::<f64>().map(|real| json!(real)).ok()
        };
        body[name] = read.filter(|value| !value.is_null()).ok_or_else(|| ApiFailure::field(name, "Give a number.".to_owned()))?;
    }
    if body.get("threshold").is_none() {
        return Err(ApiFailure::field("threshold", "Give the limit.".to_owned()));
    }
    match now {
        // What is emptied goes back to what it is without being said.
        Some(_) => {
            if body.get("clear").is_none() {
                body["clear"] = body["threshold"].clone();
            }
            if body.get("for_minutes").is_none() {
                body["for_minutes"] = json!(0);
            }
            body["enabled"] = json!(fields.given("enabled").is_some());
        }
        None => body["series"] = json!(series),
    }
    Ok(body)
}
