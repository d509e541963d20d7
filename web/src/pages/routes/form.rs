//! The form of a route: what it shows, and the body that what was sent makes. It works without script; which fields belong to a choice is a
//! matter of the style sheet, and fields of other choices are not read.

use leptos::prelude::*;
use serde_json::{Value, json};
use waypost_types::{
    channel::Channel,
    incident::IncidentSeverity,
    route::{Hold, MOST_STEPS, NewRoute, Receivers, Times},
    week::{Day, Hours},
};

use super::words::at_least;
use crate::{
    api::ApiFailure,
    ssr::Fields,
    ui::{self, Form},
};

const SEVERITIES: [IncidentSeverity; 3] = [IncidentSeverity::Info, IncidentSeverity::Warning, IncidentSeverity::Critical];

/// The fields as they begin: what was sent, or else what a route is now.
struct Start<'a> {
    fields: &'a Fields,
    sent: bool,
}

impl Start<'_> {
    fn text(&self, name: &str, now: String) -> String {
        if self.sent { self.fields.text(name).to_owned() } else { now }
    }

    fn on(&self, name: &str, now: bool) -> bool {
        if self.sent { self.fields.given(name).is_some() } else { now }
    }

    fn check(&self, name: String, now: bool, word: impl IntoView + 'static) -> AnyView {
        let (id, on) = (format!("f-{name}"), self.on(&name, now));
        view! { <label class="check wrap-any" for=id><input type="checkbox" id=id.clone() name=name value="1" checked=on/><span>{word.into_any()}</span></label> }.into_any()
    }

    fn days(&self, prefix: &str, now: &[Day]) -> AnyView {
        let boxes = Day::ALL.into_iter().map(|day| self.check(format!("{prefix}-{}", day.as_str()), now.contains(&day), day.word())).collect_view();
        view! { <div class="row">{boxes}</div> }.into_any()
    }

    fn select(&self, name: &'static str, label: &'static str, choices: Vec<(String, String)>, now: String) -> AnyView {
        let chosen = self.text(name, now);
        let options =
            choices.into_iter().map(|(value, word)| view! { <option value=value.clone() selected=value == chosen>{word}</option> }).collect_view();
        let id = format!("f-{name}");
        view! { <div class="field"><label for=id.clone()>{label}</label><select class="select" id=id.clone() name=name>{options}</select></div> }
            .into_any()
    }

    fn receivers(&self, prefix: &str, now: &Receivers, channels: &[Channel]) -> AnyView {
        let chosen = channels
            .iter()
            .map(|channel| self.check(format!("{prefix}-{}", channel.id), now.channels.contains(&channel.id), channel.name.clone()))
            .collect_view();
        view! {
            {self.check(format!("{prefix}-members"), now.members, "All members, by mail")}
            {self.check(format!("{prefix}-every"), now.every_channel, "Every channel, those that are added later too")}
            {chosen}
        }
        .into_any()
    }
}

fn radio(group: &'static str, value: &'static str, on: &str, word: &'static str) -> AnyView {
    let id = format!("f-{group}-{value}");
    view! { <label class="check" for=id><input type="radio" id=id.clone() name=group value=value checked=on == value/>{word}</label> }.into_any()
}

/// What fields of hours begin with.
fn usual(hours: Option<&Hours>, from: &str, to: &str) -> (Vec<Day>, String, String) {
    hours.map_or_else(
        || (Day::ALL.to_vec(), from.to_owned(), to.to_owned()),
        |hours| (hours.days.clone(), hours.from.to_string(), hours.to.to_string()),
    )
}

pub(super) fn inputs(fields: &Fields, failure: Option<&ApiFailure>, now: Option<&NewRoute>, channels: &[Channel], zone: &str) -> AnyView {
    let form = Form::new(fields, failure, &["name", "tags", "remind_minutes"]);
    let start = Start { fields, sent: !fields.text("times").is_empty() };
    let usual_route = NewRoute { name: String::new(), ..NewRoute::of_everybody() };
    let route = now.unwrap_or(&usual_route);
    let on_hours = if let Times::Hours(hours) = &route.times { Some(hours) } else { None };
    let times = start.text("times", if on_hours.is_some() { "hours" } else { "always" }.to_owned());
    let (days, from, to) = usual(on_hours, "08:00", "18:00");
    let (hold, quiet, up_to, day, at) = match &route.hold {
        Hold::Nothing => ("nothing", None, IncidentSeverity::Info, Day::Mon, None),
        Hold::QuietHours(hours) => ("quiet_hours", Some(hours), IncidentSeverity::Info, Day::Mon, None),
        Hold::Daily { up_to, at } => ("daily", None, *up_to, Day::Mon, Some(at)),
        Hold::Weekly { up_to, day, at } => ("weekly", None, *up_to, *day, Some(at)),
    };
    let hold = start.text("hold", hold.to_owned());
    let (quiet_days, quiet_from, quiet_to) = usual(quiet, "22:00", "07:00");
    let at = at.map_or_else(|| "08:00".to_owned(), ToString::to_string);
    let severities = SEVERITIES.into_iter().rev().map(|severity| (severity.as_str().to_owned(), at_least(severity).to_owned())).collect();
    let ups = [("info", "What is good to know"), ("warning", "Warnings, and what is good to know")]
        .map(|(value, word)| (value.to_owned(), word.to_owned()));
    let weekdays = Day::ALL.into_iter().map(|day| (day.as_str().to_owned(), day.word().to_owned())).collect();
    let steps = (1..=MOST_STEPS).map(|number| step(&start, &form, number, route, channels)).collect_view();
    let remind = route.remind_minutes.map(|minutes| minutes.to_string()).unwrap_or_default();
    view! {
        {form.said()}
        {form.optional("name", "Name", &route.name, "Such as “On call” or “Web team”.")}
        {start.select("min_severity", "For", severities, route.min_severity.as_str().to_owned())}
        {form.optional("tags", "About what has one of these tags", &route.tags.join(", "), "With commas between. Empty: about anything.")}
        <div class="field" role="group" aria-labelledby="g-times"><span class="label" id="g-times">"When"</span>
            {radio("times", "always", &times, "Always")}
            {radio("times", "hours", &times, "In these hours")}
        </div>
        <div class="stack route-hours">
            {start.days("on", &days)}
            {form.typed("from", "From", "time", &from, "")}
            {form.typed("to", "To", "time", &to, "Over midnight where it is before the beginning; the same time stands for a whole day.")}
        </div>
        <div class="field" role="group" aria-labelledby="g-tells"><span class="label" id="g-tells">"Tells"</span>
            {start.receivers("t0", &route.tells, channels)}
            <p class="hint sm soft">"A channel hears of nothing less urgent than its own page says."</p>
        </div>
        <div class="field" role="group" aria-labelledby="g-hold"><span class="label" id="g-hold">"What can wait"</span>
            {radio("hold", "nothing", &hold, "Nothing: all is told at once")}
            {radio("hold", "quiet_hours", &hold, "Quiet hours: what is not critical is told when they end")}
            {radio("hold", "daily", &hold, "A digest once a day")}
            {radio("hold", "weekly", &hold, "A digest once a week")}
        </div>
        <div class="stack route-quiet">
            {start.days("quiet", &quiet_days)}
            {form.typed("quiet_from", "Quiet from", "time", &quiet_from, "")}
            {form.typed("quiet_to", "Quiet until", "time", &quiet_to, "")}
        </div>
        <div class="stack route-digest">
            {start.select("up_to", "The digest takes", ups.to_vec(), up_to.as_str().to_owned())}
            <div class="route-weekly">{start.select("digest_day", "On", weekdays, day.as_str().to_owned())}</div>
            {form.typed("digest_at", "At", "time", &at, "What is more urgent is told at once.")}
        </div>
        <div class="field" role="group" aria-labelledby="g-steps"><span class="label" id="g-steps">"While nobody acknowledges"</span>{steps}</div>
        {form.typed("remind_minutes", "Remind every … minutes", "number", &remind, "30 to 10,080 (a week). Empty: no reminders.")}
        <p class="hint sm soft">{format!("Times are local times of {zone}.")}</p>
    }
    .into_any()
}

fn step(start: &Start<'_>, form: &Form<'_>, number: usize, route: &NewRoute, channels: &[Channel]) -> AnyView {
    const NAMES: [&str; MOST_STEPS] = ["step1", "step2", "step3", "step4", "step5"];
    let name = NAMES[number - 1];
    let now = route.steps.get(number - 1);
    let minutes = now.map(|step| step.after_minutes.to_string()).unwrap_or_default();
    let open = !start.text(name, minutes.clone()).is_empty();
    let tells = now.map(|step| step.tells.clone()).unwrap_or_default();
    let head = if open { format!("Step {number}: {} min after the route told", start.text(name, minutes.clone())) } else { format!("Step {number}") };
    view! {
        <details open=open>
            <summary>{head}</summary>
            <div class="stack mt2">
                {form.typed(name, "Minutes after the route told", "number", &minutes, "1 to 1,440, later than the step before. Empty: no such step.")}
                <div class="field" role="group" aria-label=format!("Step {number} tells")>{start.receivers(&format!("t{number}"), &tells, channels)}</div>
            </div>
        </details>
    }
    .into_any()
}

/// The body of what was sent.
pub(super) fn body_of(fields: &Fields, is_change: bool) -> Result<Value, ApiFailure> {
    let mut steps = Vec::new();
    for number in 1..=MOST_STEPS {
        let text = fields.text(&format!("step{number}"));
        if !text.is_empty() {
            steps.push(json!({ "after_minutes": whole(text, "steps")?, "tells": receivers(fields, &format!("t{number}")) }));
        }
    }
    let times = match fields.text("times") {
        "hours" => json!({ "kind": "hours", "days": days(fields, "on"), "from": time(fields, "from")?, "to": time(fields, "to")? }),
        _ => json!({ "kind": "always" }),
    };
    let hold = match fields.text("hold") {
        "quiet_hours" => {
            json!({ "kind": "quiet_hours", "days": days(fields, "quiet"), "from": time(fields, "quiet_from")?, "to": time(fields, "quiet_to")? })
        }
        "daily" => json!({ "kind": "daily", "up_to": fields.text("up_to"), "at": time(fields, "digest_at")? }),
        "weekly" => json!({ "kind": "weekly", "up_to": fields.text("up_to"), "day": fields.text("digest_day"), "at": time(fields, "digest_at")? }),
        _ => json!({ "kind": "nothing" }),
    };
    let mut body = json!({
        "name": fields.text("name"), "min_severity": fields.text("min_severity"), "tags": ui::tag_parts(fields.raw("tags")), "times": times,
        "tells": receivers(fields, "t0"), "hold": hold, "steps": steps,
    });
    let remind = fields.text("remind_minutes");
    if !remind.is_empty() {
        body["remind_minutes"] = json!(whole(remind, "remind_minutes")?);
    } else if is_change {
        body["remind_minutes"] = json!(0);
    }
    Ok(body)
}

fn receivers(fields: &Fields, prefix: &str) -> Value {
    let on = |what: &str| fields.given(&format!("{prefix}-{what}")).is_some();
    let start = format!("{prefix}-");
    let channels: Vec<&str> = fields.names_after(&start).filter(|id| id.starts_with("chn_")).collect();
    json!({ "members": on("members"), "every_channel": on("every"), "channels": channels })
}

fn days(fields: &Fields, prefix: &str) -> Vec<Day> {
    Day::ALL.into_iter().filter(|day| fields.given(&format!("{prefix}-{}", day.as_str())).is_some()).collect()
}

fn time<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, ApiFailure> {
    let text = fields.text(name);
    let read = text.parse::<waypost_types::week::TimeOfDay>();
    read.map(|_| text).map_err(|_| ApiFailure::field(name, "Give times of the day such as 02:30.".to_owned()))
}

fn whole(text: &str, field: &str) -> Result<u32, ApiFailure> {
    text.parse().map_err(|_| ApiFailure::field(field, "Give minutes as a whole number.".to_owned()))
}
