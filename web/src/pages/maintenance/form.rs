//! The form of a window: what it shows, and the body that what was sent makes. It works without script; which fields belong to a choice is a
//! matter of the style sheet, and fields of other choices are not read.

use chrono::{DateTime, NaiveDateTime, Utc};
use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    maintenance::{Day, MaintenanceWindow, Plan},
    zone::Zone,
};

use crate::{
    api::ApiFailure,
    pages::covers::{Choices, covers_field, covers_of, radio},
    ssr::Fields,
    ui::Form,
};

const LOCAL: &str = "%Y-%m-%dT%H:%M";

/// The fields: what was sent, or else what a window is now.
pub(super) fn inputs(fields: &Fields, failure: Option<&ApiFailure>, zone: Zone, choices: &Choices, now: Option<&MaintenanceWindow>) -> AnyView {
    let form = Form::new(fields, failure, &["name", "from", "to", "at", "minutes", "day"]);
    let sent = !fields.text("kind").is_empty();
    let name = now.map_or("", |window| window.name.as_str());
    let usual = Usual::of(now.map(|window| &window.plan), zone);
    let kind = if sent { fields.text("kind").to_owned() } else { usual.kind.to_owned() };
    let covers = covers_field(&form, fields, sent, choices, now.map(|window| &window.covers));
    let days = Day::ALL
        .into_iter()
        .map(|day| {
            let key = format!("day-{}", day.as_str());
            let on = if sent { fields.given(&key).is_some() } else { usual.days.contains(&day) };
            let id = format!("f-{key}");
            view! { <label class="check" for=id><input type="checkbox" id=id.clone() name=key value="1" checked=on/>{day.word()}</label> }
        })
        .collect_view();
    view! {
        {form.said()}
        {form.optional("name", "Name", name, "What the list and the pages of what it covers call it.")}
        {covers}
        <div class="field" role="group" aria-labelledby="g-when"><span class="label" id="g-when">"When"</span>
            {radio("kind", "once", &kind, "One time")}
            {radio("kind", "weekly", &kind, "Every week")}
            {radio("kind", "monthly", &kind, "Every month")}
        </div>
        <p class="hint sm soft">{format!("Times are local times of {zone}.")}</p>
        <div class="stack plan-once">
            {form.typed("from", "From", "datetime-local", &usual.from, "")}
            {form.typed("to", "To", "datetime-local", &usual.to, "7 days later at most.")}
        </div>
        <div class="field plan-weekly" role="group" aria-labelledby="g-days"><span class="label" id="g-days">"Days"</span><div class="row">{days}</div></div>
        <div class="plan-monthly">{form.typed("day", "Day of the month", "number", &usual.day, "1 to 31; in shorter months the last day.")}</div>
        <div class="stack plan-again">
            {form.typed("at", "Begins at", "time", &usual.at, "A time that the clocks jump over is taken as if they had not yet; one that they show twice is the first.")}
            {form.typed("hours", "Lasts, hours", "number", &usual.hours, "")}
            {form.typed("minutes", "and minutes", "number", &usual.minutes, "7 days together at most.")}
        </div>
    }
    .into_any()
}

/// What the fields of a plan start with.
struct Usual {
    kind: &'static str,
    from: String,
    to: String,
    days: Vec<Day>,
    day: String,
    at: String,
    hours: String,
    minutes: String,
}

impl Usual {
    fn of(plan: Option<&Plan>, zone: Zone) -> Self {
        let empty = Self {
            kind: "once",
            from: String::new(),
            to: String::new(),
            days: Vec::new(),
            day: "1".to_owned(),
            at: "02:00".to_owned(),
            hours: "2".to_owned(),
            minutes: "0".to_owned(),
        };
        let lasts = |minutes: &u32| ((minutes / 60).to_string(), (minutes % 60).to_string());
        match plan {
            None => empty,
            Some(Plan::Once { from, to }) => Self { from: local(zone, *from), to: local(zone, *to), ..empty },
            Some(Plan::Weekly { days, at, minutes }) => {
                let (hours, minutes) = lasts(minutes);
                Self { kind: "weekly", days: days.clone(), at: at.to_string(), hours, minutes, ..empty }
            }
            Some(Plan::Monthly { day, at, minutes }) => {
                let (hours, minutes) = lasts(minutes);
                Self { kind: "monthly", day: day.to_string(), at: at.to_string(), hours, minutes, ..empty }
            }
        }
    }
}

fn local(zone: Zone, at: DateTime<Utc>) -> String {
    zone.local(at).format(LOCAL).to_string()
}

/// The body of what was sent. `now` is the window that is changed: a time that was not touched stays the instant that it was, seconds and all.
pub(super) fn body_of(fields: &Fields, zone: Zone, now: Option<&MaintenanceWindow>) -> Result<Value, ApiFailure> {
    let covers = covers_of(fields);
    let plan = match fields.text("kind") {
        "weekly" => {
            let days: Vec<Day> = Day::ALL.into_iter().filter(|day| fields.given(&format!("day-{}", day.as_str())).is_some()).collect();
            json!({ "kind": "weekly", "days": days, "at": time_of(fields)?, "minutes": minutes_of(fields)? })
        }
        "monthly" => {
            let day: u8 = fields.text("day").parse().map_err(|_| ApiFailure::field("day", "Give a day of the month from 1 to 31.".to_owned()))?;
            json!({ "kind": "monthly", "day": day, "at": time_of(fields)?, "minutes": minutes_of(fields)? })
        }
        _ => {
            let before = match now.map(|window| &window.plan) {
                Some(Plan::Once { from, to }) => (Some(*from), Some(*to)),
                _ => (None, None),
            };
            json!({ "kind": "once", "from": instant(fields, "from", zone, before.0)?, "to": instant(fields, "to", zone, before.1)? })
        }
    };
    Ok(json!({ "name": fields.text("name"), "covers": covers, "plan": plan }))
}

fn instant(fields: &Fields, name: &str, zone: Zone, before: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, ApiFailure> {
    let text = fields.text(name);
    if let Some(before) = before.filter(|before| local(zone, *before) == text) {
        return Ok(before);
    }
    let read = NaiveDateTime::parse_from_str(text, LOCAL).or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"));
    let local = read.map_err(|_| ApiFailure::field(name, "Give a date and a time, such as 2026-03-29T02:30.".to_owned()))?;
    Ok(zone.instant(local))
}

fn time_of(fields: &Fields) -> Result<&str, ApiFailure> {
    let text = fields.text("at");
    let read = text.parse::<waypost_types::maintenance::TimeOfDay>();
    read.map(|_| text).map_err(|_| ApiFailure::field("at", "Give a time of the day, such as 02:30.".to_owned()))
}

fn minutes_of(fields: &Fields) -> Result<u32, ApiFailure> {
    let number = |name: &str| match fields.text(name) {
        "" => Ok(0),
        text => text.parse::<u32>(),
    };
    let wrong = |_| ApiFailure::field("minutes", "Give hours and minutes as whole numbers.".to_owned());
    Ok(number("hours").map_err(wrong)?.saturating_mul(60).saturating_add(number("minutes").map_err(wrong)?))
}
