//! How a message looks: Block Kit in an attachment, whose colour shows the state, with buttons as long as it lasts. What is shown is how the
//! incidents stand when it is sent, whatever the message was about when it was written.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use waypost_render::mail::{CLOSED, RECOVERED, accent, incident_url, incidents_url, runbook_url};
use waypost_store::slack_messages::{SlackIncident, SlackTelling};
use waypost_types::{
    channel::{ChannelEvent, EventKind},
    incident::IncidentStatus,
};

use crate::channels::{slack, text};

/// Incidents of one message that are written out; a message has 50 blocks at most.
const MOST_SHOWN: usize = 30;
/// News that one reply tells.
const MOST_LINES: usize = 15;
const LINE: usize = 200;
const SUMMARY: usize = 2_500;

/// A message, for `chat.postMessage` and `chat.update` alike.
pub(super) fn card(telling: &SlackTelling, event: &ChannelEvent, base_url: &str) -> Value {
    let (headline, colour, mut blocks, url) = match telling.incidents.as_slice() {
        [] => gone(event),
        [one] => single(one, telling, base_url),
        all => several(all, telling, base_url),
    };
    let runbook = telling.incidents.iter().filter(|incident| lasts(incident)).find_map(|incident| Some((incident.id, incident.guide.as_ref()?)));
    let mut links = vec![format!("<{}|Open in Waypost>", slack::escaped(&url, 1_000))];
    if let Some((id, guide)) = runbook {
        links.push(format!(
            "<{}|Runbook: {}>",
            slack::escaped(&runbook_url(base_url, &telling.slug, id, guide), 1_000),
            slack::escaped(guide.title(), LINE)
        ));
    }
    links.push(slack::escaped(&text::line(&telling.org), LINE));
    blocks.push(json!({ "type": "context", "elements": [mrkdwn(&links.join(" · "))] }));
    if telling.incidents.iter().any(lasts) {
        blocks.push(buttons(&telling.incidents));
    }
    json!({
        // What notifications show.
        "text": slack::escaped(&headline, 1_000),
        "attachments": [{ "color": colour, "blocks": blocks }],
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// What a reply in the thread says of changes or ends: who follows the channel is notified by it, and by a changed message is not. Nothing where
/// nobody is to be notified.
pub(super) fn reply<'a>(events: impl Iterator<Item = &'a ChannelEvent>) -> Option<String> {
    let news: Vec<&ChannelEvent> = events.filter(|event| event.kind != EventKind::Handled).collect();
    let headline = |event: &ChannelEvent| slack::escaped(&text::headline(event), LINE);
    let said = |summary: &str, most: usize| Some(slack::escaped(summary, most)).filter(|said| !said.trim().is_empty());
    let (first, others) = news.split_first()?;
    if others.is_empty() {
        let headline = headline(first);
        return Some(said(&first.summary, SUMMARY).map_or_else(|| headline.clone(), |summary| format!("*{headline}*\n{summary}")));
    }
    // What one person did to many at once is said once.
    let same = others.iter().all(|event| event.summary == first.summary);
    let mut lines: Vec<String> = Vec::new();
    for event in news.iter().take(MOST_LINES) {
        lines.push(format!("• *{}*", headline(event)));
        lines.extend(said(&text::line(&event.summary), LINE).filter(|_| !same));
    }
    let rest = news.len().saturating_sub(MOST_LINES);
    if rest > 0 {
        lines.push(format!("And {rest} more."));
    }
    lines.extend(said(&first.summary, SUMMARY).filter(|_| same));
    Some(lines.join("\n"))
}

/// A test: what an incident looks like, without what can be done about one.
pub(super) fn test(event: &ChannelEvent) -> Value {
    let (headline, colour, mut blocks, url) = gone(event);
    blocks.push(json!({ "type": "context", "elements": [mrkdwn(&format!("<{}|Open Waypost> · {}", slack::escaped(&url, 1_000), slack::escaped(&text::line(&event.org), LINE)))] }));
    json!({ "text": slack::escaped(&headline, 1_000), "attachments": [{ "color": colour, "blocks": blocks }], "unfurl_links": false })
}

type Parts = (String, &'static str, Vec<Value>, String);

fn lasts(incident: &SlackIncident) -> bool {
    incident.status != IncidentStatus::Resolved
}

/// By what the event says alone: the incident was removed, or there is none.
fn gone(event: &ChannelEvent) -> Parts {
    let headline = text::headline(event);
    let mut blocks = vec![header(&headline)];
    blocks.extend(summary(&event.summary));
    (headline, text::colour(event), blocks, event.url.clone())
}

/// In words, with its colour and what follows the colon.
fn stands(incident: &SlackIncident) -> (String, &'static str) {
    let title = text::line(&incident.title);
    match (incident.status, &incident.end) {
        (IncidentStatus::Open, _) => (format!("{}: {title}", incident.severity.word()), accent(incident.severity)),
        (IncidentStatus::Acknowledged, _) => (format!("{}, acknowledged: {title}", incident.severity.word()), accent(incident.severity)),
        (IncidentStatus::Resolved, Some(end)) => (text::headline(end), text::colour(end)),
        (IncidentStatus::Resolved, None) => (format!("Over: {title}"), CLOSED),
    }
}

fn single(incident: &SlackIncident, telling: &SlackTelling, base_url: &str) -> Parts {
    let (headline, colour) = stands(incident);
    let mut blocks = vec![header(&headline)];
    let said = incident.end.as_ref().filter(|_| !lasts(incident)).map_or(&incident.summary, |end| &end.summary);
    blocks.extend(summary(said));
    let mut fields = vec![
        field("State", &state(incident)),
        field("Target", &incident.target),
        field("Severity", incident.severity.word()),
        field("Since", &moment(incident.opened_at)),
    ];
    if let Some(at) = incident.resolved_at {
        fields.push(field("Until", &moment(at)));
        fields.push(field("Lasted", &lasted(at - incident.opened_at)));
        fields.push(field("What was wrong", &incident.title));
    }
    blocks.push(json!({ "type": "section", "fields": fields }));
    (headline, colour, blocks, incident_url(base_url, &telling.slug, incident.id))
}

fn several(all: &[SlackIncident], telling: &SlackTelling, base_url: &str) -> Parts {
    let open = all.iter().filter(|incident| lasts(incident)).count();
    // What one audit opened has one target, what one rule opened has several.
    let target = all.first().map(|first| first.target.as_str()).filter(|target| all.iter().all(|other| other.target == *target));
    let of = target.map_or_else(String::new, |target| format!("{target}: "));
    let (headline, colour) = match all.iter().find(|incident| lasts(incident)) {
        Some(worst) if open == all.len() => (format!("{of}{open} problems"), accent(worst.severity)),
        Some(worst) => (format!("{of}{open} of {} problems left", all.len()), accent(worst.severity)),
        None if all.iter().all(|incident| incident.end.as_ref().is_some_and(|end| end.kind == EventKind::Resolved)) => {
            (format!("{of}{} problems, all over", all.len()), RECOVERED)
        }
        None => (format!("{of}{} problems, all closed", all.len()), CLOSED),
    };
    let mut blocks = vec![header(&headline)];
    for incident in all.iter().take(MOST_SHOWN) {
        let url = slack::escaped(&incident_url(base_url, &telling.slug, incident.id), 1_000);
        let (line, _) = stands(incident);
        blocks.push(json!({ "type": "section", "text": mrkdwn(&format!("<{url}|{}>\n{}", slack::escaped(&line, LINE), slack::escaped(&state(incident), LINE))) }));
    }
    let rest = all.len().saturating_sub(MOST_SHOWN);
    if rest > 0 {
        blocks.push(json!({ "type": "section", "text": mrkdwn(&format!("And {rest} more.")) }));
    }
    (headline, colour, blocks, incidents_url(base_url, &telling.slug))
}

fn state(incident: &SlackIncident) -> String {
    let mut words = match incident.status {
        IncidentStatus::Open => "Open".to_owned(),
        IncidentStatus::Acknowledged => incident.taken_by.as_ref().map_or("Acknowledged".to_owned(), |who| format!("Acknowledged by {who}")),
        IncidentStatus::Resolved => "Over".to_owned(),
    };
    if lasts(incident)
        && let Some(mute) = &incident.mute
    {
        let until = mute.until.map_or("until it is over".to_owned(), |at| format!("until {}", moment(at)));
        words = format!("{words}, muted {until}");
    }
    words
}

fn buttons(incidents: &[SlackIncident]) -> Value {
    let button = |action: &str, words: &str| json!({ "type": "button", "action_id": action, "text": { "type": "plain_text", "text": words } });
    let of_all = if incidents.len() > 1 { " all" } else { "" };
    let mut elements = Vec::new();
    if incidents.iter().any(|incident| incident.status == IncidentStatus::Open) {
        elements.push(button("acknowledge", &format!("Acknowledge{of_all}")));
    }
    elements.push(button("resolve", &format!("Resolve{of_all}")));
    if incidents.iter().any(|incident| lasts(incident) && incident.mute.is_none()) {
        elements.push(button("mute_1h", "Mute 1 h"));
    }
    json!({ "type": "actions", "elements": elements })
}

fn header(headline: &str) -> Value {
    json!({ "type": "header", "text": { "type": "plain_text", "text": slack::escaped(headline, 150), "emoji": false } })
}

fn summary(words: &str) -> Option<Value> {
    let words = slack::escaped(words, SUMMARY);
    (!words.trim().is_empty()).then(|| json!({ "type": "section", "text": { "type": "plain_text", "text": words, "emoji": false } }))
}

/// Verbatim, or names in what a stranger's server said would become links and mentions.
fn mrkdwn(words: &str) -> Value {
    json!({ "type": "mrkdwn", "verbatim": true, "text": words })
}

fn field(name: &str, value: &str) -> Value {
    mrkdwn(&format!("*{name}*\n{}", slack::escaped(&text::line(value), 1_900)))
}

/// In the two largest units.
fn lasted(time: TimeDelta) -> String {
    let (days, hours, minutes) = (time.num_days(), time.num_hours() % 24, time.num_minutes() % 60);
    match (days, hours) {
        (0, 0) if minutes == 0 => "less than a minute".to_owned(),
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn moment(at: DateTime<Utc>) -> String {
    format!("{} UTC", at.format("%Y-%m-%d %H:%M"))
}

#[cfg(test)]
mod tests {
    use waypost_types::{
        IncidentId,
        incident::IncidentSeverity,
        runbook::{Guide, OwnRunbook},
        topic::Topic,
    };

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        "2026-11-26T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    }

    fn event(kind: EventKind) -> ChannelEvent {
        ChannelEvent {
            kind,
            incident: Some(IncidentId(uuid::Uuid::from_u128(1))),
            org: "Example & Co".to_owned(),
            title: "port 25 is <down>".to_owned(),
            summary: "It refuses.".to_owned(),
            target: "mx.example:25".to_owned(),
            severity: IncidentSeverity::Critical,
            opened_at: at(0),
            at: at(95),
            url: "https://waypost.example/o/example/incidents/x".to_owned(),
            runbook: None,
            now: (kind == EventKind::Resolved).then(|| "port 25 answers".to_owned()),
        }
    }

    fn incident(number: u128, target: &str, end: Option<EventKind>) -> SlackIncident {
        SlackIncident {
            id: IncidentId(uuid::Uuid::from_u128(number)),
            title: "port 25 is <down>".to_owned(),
            summary: "<!channel> It refuses.".to_owned(),
            target: target.to_owned(),
            severity: IncidentSeverity::Critical,
            status: if end.is_some() { IncidentStatus::Resolved } else { IncidentStatus::Open },
            opened_at: at(0),
            resolved_at: end.map(|_| at(95)),
            taken_by: None,
            mute: None,
            end: end.map(event),
            guide: Some(Guide::Usual(Topic::Unreachable)),
        }
    }

    fn shown(incidents: Vec<SlackIncident>) -> (String, String) {
        let about = incidents.iter().map(|incident| incident.id).collect();
        let telling = SlackTelling {
            slack_channel: None,
            token: None,
            slug: "example".to_owned(),
            org: "Example & Co".to_owned(),
            post: None,
            incidents,
            about,
            along: Vec::new(),
        };
        let card = card(&telling, &event(EventKind::Opened), "https://waypost.example");
        (card["text"].as_str().unwrap().to_owned(), card.to_string())
    }

    #[test]
    fn one_that_lasts_has_buttons_and_a_runbook_and_nothing_of_it_rings_everybody() {
        let (headline, card) = shown(vec![incident(1, "mx.example:25", None)]);
        assert_eq!(headline, "Critical: port 25 is &lt;down&gt;");
        for part in
            ["\"acknowledge\"", "\"resolve\"", "\"mute_1h\"", "/o/example/runbooks/unreachable|Runbook: ", "Example &amp; Co", "2026-11-26 12:00 UTC"]
        {
            assert!(card.contains(part), "{part} {card}");
        }
        assert!(!card.contains("<!channel>"), "{card}");
    }

    #[test]
    fn a_runbook_of_its_own_stands_in_the_place_of_the_usual_one() {
        let own = OwnRunbook { url: Some("https://wiki.example/mail?a=1&b=2".to_owned()), text: None };
        let (_, card) = shown(vec![SlackIncident { guide: Some(Guide::Own(own)), ..incident(1, "mx.example:25", None) }]);
        assert!(card.contains("<https://wiki.example/mail?a=1&amp;b=2|Runbook: ") && !card.contains("/runbooks/"), "{card}");
    }

    #[test]
    fn one_that_is_over_says_how_it_stands_and_how_long_it_took_and_has_no_buttons() {
        let (headline, card) = shown(vec![incident(1, "mx.example:25", Some(EventKind::Resolved))]);
        assert_eq!(headline, "Recovered: port 25 answers");
        assert!(
            card.contains("1 h 35 min") && card.contains("What was wrong") && !card.contains("\"actions\"") && !card.contains("Runbook"),
            "{card}"
        );
    }

    #[test]
    fn several_are_counted_by_what_is_left() {
        let of = |ends: [Option<EventKind>; 2], other: &str| shown(vec![incident(1, "a.example", ends[0]), incident(2, other, ends[1])]).0;
        let (over, gone) = (Some(EventKind::Resolved), Some(EventKind::LetGo));
        assert_eq!(of([None, None], "a.example"), "a.example: 2 problems");
        assert_eq!(of([None, None], "b.example"), "2 problems");
        assert_eq!(of([None, over], "a.example"), "a.example: 1 of 2 problems left");
        assert_eq!(of([over, over], "a.example"), "a.example: 2 problems, all over");
        assert_eq!(of([over, gone], "b.example"), "2 problems, all closed");
        assert!(shown(vec![incident(1, "a.example", None), incident(2, "b.example", over)]).1.contains("Resolve all"));
    }

    #[test]
    fn a_reply_tells_all_that_came_together_and_says_once_what_is_the_same() {
        let by_hand = |title: &str, summary: &str| ChannelEvent {
            title: title.to_owned(),
            summary: summary.to_owned(),
            now: None,
            ..event(EventKind::Resolved)
        };
        let (one, two, handled) = (by_hand("<one>", "By ada."), by_hand("two", "By ada."), event(EventKind::Handled));
        assert_eq!(reply([&one, &handled].into_iter()).as_deref(), Some("*Resolved: &lt;one&gt;*\nBy ada."));
        assert_eq!(reply([&handled, &one, &two].into_iter()).as_deref(), Some("• *Resolved: &lt;one&gt;*\n• *Resolved: two*\nBy ada."));
        let other = by_hand("three", "By\nbob.");
        assert_eq!(reply([&one, &other].into_iter()).as_deref(), Some("• *Resolved: &lt;one&gt;*\nBy ada.\n• *Resolved: three*\nBy bob."));
        assert_eq!(reply([&handled, &handled].into_iter()), None, "nobody is notified of it");
        let many: Vec<ChannelEvent> = (0..40).map(|number| by_hand(&"x".repeat(400), &number.to_string())).collect();
        let long = reply(many.iter()).unwrap();
        assert!(long.ends_with("And 25 more.") && long.len() < 4_000, "{}", long.len());
    }
}
