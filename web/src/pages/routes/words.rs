//! Routes in plain sentences.

use waypost_types::{
    ChannelId,
    channel::Channel,
    incident::IncidentSeverity,
    route::{Covered, Gap, Hold, Receivers, Route, Times},
    week::{Day, Hours},
};

use crate::text;

/// What a route is for.
pub(super) const fn at_least(severity: IncidentSeverity) -> &'static str {
    match severity {
        IncidentSeverity::Critical => "Critical incidents",
        IncidentSeverity::Warning => "Warnings and worse",
        IncidentSeverity::Info => "Every incident",
    }
}

const fn only(severity: IncidentSeverity) -> &'static str {
    match severity {
        IncidentSeverity::Critical => "critical incidents",
        IncidentSeverity::Warning => "warnings",
        IncidentSeverity::Info => "incidents that are good to know",
    }
}

/// Words with commas, and one word before the last.
fn listed(parts: &[String], word: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} {word} {last}", all.join(", ")),
    }
}

fn name_of(channels: &[Channel], id: ChannelId) -> String {
    channels.iter().find(|channel| channel.id == id).map_or_else(|| "a channel that is gone".to_owned(), |channel| channel.name.clone())
}

/// Whom it tells.
pub(super) fn receivers(tells: &Receivers, channels: &[Channel]) -> String {
    let members = tells.members.then(|| "all members by mail".to_owned());
    let every = tells.every_channel.then(|| "every channel".to_owned());
    let chosen = tells.channels.iter().filter(|_| !tells.every_channel).map(|id| name_of(channels, *id));
    let all: Vec<String> = members.into_iter().chain(every).chain(chosen).collect();
    if all.is_empty() { "nobody".to_owned() } else { listed(&all, "and") }
}

fn hours(hours: &Hours) -> String {
    let days: Vec<String> = hours.days.iter().map(|day| day.word().to_owned()).collect();
    let days = if days.len() == Day::ALL.len() { "every day".to_owned() } else { format!("on {}", listed(&days, "and")) };
    if hours.from == hours.to { format!("{days}, the whole day from {}", hours.from) } else { format!("{days} from {} to {}", hours.from, hours.to) }
}

/// What a route does, sentence by sentence.
pub(super) fn sentences(route: &Route, channels: &[Channel]) -> String {
    let quoted: Vec<String> = route.tags.iter().map(|tag| format!("“{tag}”")).collect();
    let tags = if quoted.is_empty() { String::new() } else { format!(" about what is tagged {}", listed(&quoted, "or")) };
    let times = match &route.times {
        Times::Always => String::new(),
        Times::Hours(on) => format!(", {}", hours(on)),
    };
    let mut said = vec![format!("{}{tags}{times}: tells {}.", at_least(route.min_severity), receivers(&route.tells, channels))];
    match &route.hold {
        Hold::Nothing => {}
        Hold::QuietHours(quiet) => said.push(format!("What is not critical waits for the end of quiet hours: {}.", hours(quiet))),
        Hold::Daily { up_to, at } => said.push(format!("{} wait for a digest, every day at {at}.", text::sentence(&digest(*up_to)))),
        Hold::Weekly { up_to, day, at } => said.push(format!("{} wait for a digest, every {} at {at}.", text::sentence(&digest(*up_to)), day.word())),
    }
    for step in &route.steps {
        said.push(format!("Unacknowledged for {}: tells {}.", minutes(step.after_minutes), receivers(&step.tells, channels)));
    }
    if let Some(every) = route.remind_minutes {
        said.push(format!("Reminds every {} while nobody acknowledges.", minutes(every)));
    }
    said.join(" ")
}

pub(super) fn digest(up_to: IncidentSeverity) -> String {
    match up_to {
        IncidentSeverity::Info => only(up_to).to_owned(),
        _ => "warnings and what is good to know".to_owned(),
    }
}

pub(super) fn minutes(minutes: u32) -> String {
    text::duration(i64::from(minutes) * 60)
}

/// What nobody is told of.
pub(super) fn gap(gap: &Gap) -> String {
    let of = |wanted: Covered| -> Vec<String> {
        gap.tagged.iter().filter(|(_, covered)| *covered == wanted).map(|(tag, _)| format!("“{tag}”")).collect()
    };
    let (always, at_times) = (of(Covered::Always), of(Covered::AtTimes));
    let mut said = match gap.untagged {
        Covered::AtTimes => format!("Outside of the hours of its routes nobody is told of {}", only(gap.severity)),
        Covered::Never | Covered::Always => format!("Nobody is told of {}", only(gap.severity)),
    };
    if !always.is_empty() {
        said = format!("{said}, unless they are about what is tagged {}", listed(&always, "or"));
    }
    if !at_times.is_empty() {
        said = format!("{said}; about what is tagged {} they are told at some hours", listed(&at_times, "or"));
    }
    said.push('.');
    said
}
