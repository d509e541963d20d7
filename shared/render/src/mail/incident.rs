//! Mails about incidents: opened, changed, recovered, let go.

use chrono::{DateTime, Utc};
use waypost_types::{
    IncidentId,
    incident::IncidentSeverity,
    runbook::Guide,
    unicode::{in_text, with_ascii},
};

use super::{Mail, layout::Letter};

/// What the mails tell about an incident.
#[derive(Debug, Clone)]
pub struct IncidentMail<'a> {
    /// Name of the organisation.
    pub org: &'a str,
    /// Address of the incident's page.
    pub url: &'a str,
    /// Its title.
    pub title: &'a str,
    /// What was seen, and what to do next.
    pub summary: &'a str,
    /// What is affected.
    pub target: &'a str,
    /// How urgent.
    pub severity: IncidentSeverity,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When what this mail tells happened.
    pub at: DateTime<Utc>,
    /// Title and address of the runbook that fits it. Told while it lasts.
    pub runbook: Option<(&'a str, &'a str)>,
    /// Why it happened, as people found out: Markdown. Told at its end.
    pub root_cause: Option<&'a str>,
}

/// Address of an incident's page.
pub fn incident_url(base_url: &str, org_slug: &str, incident: IncidentId) -> String {
    format!("{}/o/{org_slug}/incidents/{incident}", base_url.trim_end_matches('/'))
}

/// Address of the page of all incidents.
pub fn incidents_url(base_url: &str, org_slug: &str) -> String {
    format!("{}/o/{org_slug}/incidents", base_url.trim_end_matches('/'))
}

/// Address of the runbook that an incident leads to: elsewhere, or a page of this installation.
pub fn runbook_url(base_url: &str, org_slug: &str, incident: IncidentId, guide: &Guide) -> String {
    let place = guide.place(org_slug, incident);
    if place.starts_with('/') { format!("{}{place}", base_url.trim_end_matches('/')) } else { place }
}

/// Incidents that a message about several tells one by one.
const MOST_TOLD: usize = 10;

/// Title of what is told together: problems of one thing, or the same of several.
pub fn together_title(incidents: &[IncidentMail<'_>]) -> String {
    match incidents {
        [] => String::new(),
        [first, others @ ..] if others.iter().all(|other| other.target == first.target) => {
            format!("{}: {} problems", in_text(first.target), incidents.len())
        }
        [first, others @ ..] => format!("{} (and {} more)", first.title, others.len()),
    }
}

/// Each incident in a paragraph of what is told together.
pub fn together_lines(incidents: &[IncidentMail<'_>]) -> Vec<String> {
    let more = incidents.len().saturating_sub(MOST_TOLD);
    let told = incidents.iter().take(MOST_TOLD).map(|incident| {
        let title = incident.title.trim_end_matches('.');
        format!("{}: {}. {}", incident.severity.word(), title, incident.summary)
    });
    told.chain((more > 0).then(|| format!("And {more} more."))).collect()
}

/// Several things broke at once. The first, which is the worst, gives the mail its colour; `url` is where all of them are.
pub fn incidents_opened(incidents: &[IncidentMail<'_>], url: &str) -> Option<Mail> {
    let [first, _, ..] = incidents else { return incidents.first().map(incident_opened) };
    let title = together_title(incidents);
    let about = IncidentMail { title: &title, url, ..first.clone() };
    let mut letter = letter(&about, first.severity.word(), title.clone(), together_lines(incidents), accent(first.severity));
    letter.button = Some(("Open the incidents", url));
    Some(letter.render())
}

/// Something broke.
pub fn incident_opened(incident: &IncidentMail<'_>) -> Mail {
    letter(incident, incident.severity.word(), incident.title.to_owned(), vec![incident.summary.to_owned()], accent(incident.severity)).render()
}

/// It got better or worse; `before` is what it was.
pub fn incident_changed(incident: &IncidentMail<'_>, before: IncidentSeverity) -> Mail {
    let direction = if incident.severity > before { "It got worse" } else { "It got better, but is not over" };
    let first = format!("{direction}: this incident was {} and is now {}.", word(before), word(incident.severity));
    letter(incident, incident.severity.word(), incident.title.to_owned(), vec![first, incident.summary.to_owned()], accent(incident.severity))
        .render()
}

/// It fails and works in turn: the next that is told is that it is over.
pub fn incident_flapping(incident: &IncidentMail<'_>) -> Mail {
    let paragraphs = vec![incident.summary.to_owned()];
    letter(incident, "Flapping", format!("Flapping: {}", incident.title), paragraphs, accent(incident.severity)).render()
}

/// Nobody acknowledged it, so others are told. `route` is the name of the route that says so.
pub fn incident_escalated(incident: &IncidentMail<'_>, route: &str) -> Mail {
    let first = format!("Nobody has acknowledged this incident for {}, so it is told to you.", duration(incident.opened_at, incident.at));
    untaken(incident, "Escalated", first, route)
}

/// Nobody acknowledged it yet, and it is still open. `route` is the name of the route that reminds.
pub fn incident_reminded(incident: &IncidentMail<'_>, route: &str) -> Mail {
    let first = format!("This incident has been open for {}, and nobody has acknowledged it.", duration(incident.opened_at, incident.at));
    untaken(incident, "Still open", first, route)
}

fn untaken(incident: &IncidentMail<'_>, label: &str, first: String, route: &str) -> Mail {
    let next = format!("Whoever acknowledges it keeps the route “{route}” from telling more people.");
    let paragraphs = vec![first, incident.summary.to_owned(), next];
    letter(incident, label, format!("{label}: {}", incident.title), paragraphs, accent(incident.severity)).render()
}

/// It is over. `now` is how it stands, since the incident's title says what was wrong.
pub fn incident_recovered(incident: &IncidentMail<'_>, now: &str) -> Mail {
    let lasted = format!("It lasted {}. Nothing needs to be done.", duration(incident.opened_at, incident.at));
    let was = format!("The incident was: {}", incident.title);
    let mut letter = letter(incident, "Recovered", format!("Recovered: {now}"), vec![incident.summary.to_owned(), was, lasted], RECOVERED);
    letter.guide = None;
    letter.subject = format!("[Recovered] {now}");
    letter.written = cause(incident);
    letter.render()
}

/// A person ended it; the summary says who.
pub fn incident_resolved(incident: &IncidentMail<'_>) -> Mail {
    let lasted = format!("It was open for {}. What still fails is confirmed anew, and told again.", duration(incident.opened_at, incident.at));
    let incident = &IncidentMail { runbook: None, ..incident.clone() };
    let mut letter = letter(incident, "Resolved", format!("Resolved: {}", incident.title), vec![incident.summary.to_owned(), lasted], RECOVERED);
    letter.written = cause(incident);
    letter.render()
}

/// It is closed because nobody can tell any more whether it is over.
pub fn incident_let_go(incident: &IncidentMail<'_>) -> Mail {
    let next = "Whether it is over is not known. If it can be looked at again and is still there, a new incident says so.";
    let paragraphs = vec![incident.summary.to_owned(), next.to_owned()];
    let incident = &IncidentMail { runbook: None, ..incident.clone() };
    let mut letter = letter(incident, "Closed", format!("Closed: {}", incident.title), paragraphs, CLOSED);
    letter.written = cause(incident);
    letter.render()
}

fn cause<'a>(incident: &IncidentMail<'a>) -> Option<(&'static str, &'a str)> {
    incident.root_cause.map(|cause| ("Root cause", cause))
}

fn letter<'a>(incident: &IncidentMail<'a>, label: &str, heading: String, paragraphs: Vec<String>, accent: &'static str) -> Letter<'a> {
    let mut facts = vec![("Affected", with_ascii(incident.target)), ("Organisation", incident.org.to_owned()), ("Since", moment(incident.opened_at))];
    if incident.at != incident.opened_at {
        facts.push(("Now", moment(incident.at)));
    }
    Letter {
        subject: format!("[{label}] {}", incident.title),
        heading,
        accent,
        paragraphs,
        written: None,
        facts,
        guide: incident.runbook,
        button: Some(("Open the incident", incident.url)),
        footer: format!("You get this mail because you are a member of {} on Waypost.", incident.org),
    }
}

fn word(severity: IncidentSeverity) -> &'static str {
    match severity {
        IncidentSeverity::Critical => "critical",
        IncidentSeverity::Warning => "a warning",
        IncidentSeverity::Info => "good to know",
    }
}

/// The colour of what is over, `#rrggbb`.
pub const RECOVERED: &str = "#1a7f4b";
/// The colour of what was closed without being known to be over.
pub const CLOSED: &str = "#5b6472";

/// The colour of a severity, `#rrggbb`.
pub fn accent(severity: IncidentSeverity) -> &'static str {
    match severity {
        IncidentSeverity::Critical => "#c0262d",
        IncidentSeverity::Warning => "#b45309",
        IncidentSeverity::Info => "#1f4fd8",
    }
}

pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// A span in the two units that matter.
pub(super) fn duration(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let seconds = (to - from).num_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let count = |n: i64, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    match (days, hours, minutes) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, minutes) => count(minutes, "minute"),
        (0, hours, 0) => count(hours, "hour"),
        (0, hours, minutes) => format!("{} and {}", count(hours, "hour"), count(minutes, "minute")),
        (days, 0, _) => count(days, "day"),
        (days, hours, _) => format!("{} and {}", count(days, "day"), count(hours, "hour")),
    }
}

#[cfg(test)]
mod tests {
    use waypost_types::{runbook::OwnRunbook, topic::Topic};

    use super::*;

    const NOW: &str = "mail.example.com answers on port 25 again";

    fn sample<'a>() -> IncidentMail<'a> {
        let opened_at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        IncidentMail {
            org: "Example & Sons",
            url: "https://waypost.example/o/example/incidents/inc_00000000000000000000000000000007",
            title: "Port 25 of mail.example.com does not answer",
            summary: "203.0.113.40 refused the connection. Next step: check that the mail server runs and that the firewall lets port 25 in.",
            target: "mail.example.com:25",
            severity: IncidentSeverity::Critical,
            opened_at,
            at: opened_at,
            runbook: None,
            root_cause: None,
        }
    }

    #[test]
    fn incident_mails_read_well() {
        let later = IncidentMail { at: sample().opened_at + chrono::TimeDelta::minutes(83), ..sample() };
        let changed =
            IncidentMail { severity: IncidentSeverity::Warning, title: "mail.example.com:25: the certificate expires in 6 days", ..later.clone() };
        let recovered = IncidentMail { summary: "mail.example.com answers on port 25 in 41 ms.", ..later };
        insta::assert_snapshot!("opened_text", incident_opened(&sample()).text);
        insta::assert_snapshot!("opened_html", incident_opened(&sample()).html);
        insta::assert_snapshot!("changed_text", incident_changed(&changed, IncidentSeverity::Critical).text);
        let waiting = IncidentMail { title: sample().title, summary: sample().summary, ..recovered.clone() };
        insta::assert_snapshot!("escalated_text", incident_escalated(&waiting, "On call").text);
        insta::assert_snapshot!("flapping_text", incident_flapping(&waiting).text);
        assert_eq!(incident_flapping(&waiting).subject, "[Flapping] Port 25 of mail.example.com does not answer");
        insta::assert_snapshot!("escalated_html", incident_escalated(&waiting, "On call").html);
        insta::assert_snapshot!("reminded_text", incident_reminded(&waiting, "On call").text);
        assert_eq!(incident_escalated(&waiting, "x").subject, "[Escalated] Port 25 of mail.example.com does not answer");
        let unknown = incident_let_go(&recovered);
        assert!(unknown.subject.starts_with("[Closed] ") && !unknown.text.contains("Nothing needs to be done"), "{}", unknown.text);
        insta::assert_snapshot!("recovered_text", incident_recovered(&recovered, NOW).text);
        assert_eq!(incident_opened(&sample()).subject, "[Critical] Port 25 of mail.example.com does not answer");
        assert_eq!(incident_recovered(&recovered, NOW).subject, "[Recovered] mail.example.com answers on port 25 again");
    }

    #[test]
    fn what_comes_from_outside_stays_text() {
        let hostile = IncidentMail {
            title: "x\r\nBcc: victim@example.com\u{202e}\u{0}",
            summary: "<script>alert(1)</script>",
            org: "\"><img src=x>",
            url: "https://waypost.example/\"onmouseover=\"x",
            ..sample()
        };
        for mail in [incident_opened(&hostile), incident_changed(&hostile, IncidentSeverity::Warning), incident_recovered(&hostile, hostile.title)] {
            assert!(!mail.subject.contains(['\r', '\n', '\0', '\u{202e}']), "{:?}", mail.subject);
            assert!(!mail.html.contains("<script") && !mail.html.contains("<img") && !mail.html.contains("\"onmouseover"));
            assert!(!mail.text.contains('\r'));
        }
        let long = "ä".repeat(500);
        assert_eq!(incident_opened(&IncidentMail { title: &long, ..sample() }).subject.chars().count(), 200);
    }

    #[test]
    fn the_mail_of_the_end_says_why_it_happened() {
        let cause = "The **firewall** update closed port 25.\n\n<img src=x>";
        let of = IncidentMail { root_cause: Some(cause), ..sample() };
        for mail in [incident_recovered(&of, NOW), incident_let_go(&of)] {
            assert!(mail.text.contains(&format!("Root cause:\n{cause}\n")), "{}", mail.text);
            assert!(mail.html.contains("The <strong>firewall</strong> update") && !mail.html.contains("<img"), "{}", mail.html);
        }
        assert!(!incident_changed(&of, IncidentSeverity::Info).text.contains("Root cause"));
    }

    #[test]
    fn while_it_lasts_the_mail_leads_to_the_runbook() {
        let id = "inc_00000000000000000000000000000001".parse().unwrap();
        let url = runbook_url("https://waypost.example/", "example", id, &Guide::Usual(Topic::Unreachable));
        let own = OwnRunbook { url: Some("https://wiki.example/mail?a=1&b=2".to_owned()), text: None };
        assert_eq!(runbook_url("https://waypost.example/", "example", id, &Guide::Own(own)), "https://wiki.example/mail?a=1&b=2");
        assert_eq!(url, "https://waypost.example/o/example/runbooks/unreachable");
        let of = IncidentMail { runbook: Some((Topic::Unreachable.title(), &url)), ..sample() };
        for mail in [incident_opened(&of), incident_changed(&of, IncidentSeverity::Info)] {
            assert!(
                mail.text.contains("Step by step: The server can not be reached\nhttps://waypost.example/o/example/runbooks/unreachable"),
                "{}",
                mail.text
            );
            assert!(mail.html.contains("href=\"https://waypost.example/o/example/runbooks/unreachable\""), "{}", mail.html);
        }
        for mail in [incident_recovered(&of, NOW), incident_let_go(&of)] {
            assert!(!mail.text.contains("/runbooks/") && !mail.html.contains("/runbooks/"));
        }
    }

    #[test]
    fn a_name_is_read_in_its_letters_and_its_ascii_form_is_beside_it() {
        let of = IncidentMail { target: "mx.xn--mnchen-3ya.example:25", ..sample() };
        assert!(incident_opened(&of).text.contains("mx.münchen.example:25 (mx.xn--mnchen-3ya.example)"));
        let (of, other) = (IncidentMail { target: "xn--mnchen-3ya.example", ..sample() }, sample());
        assert_eq!(together_title(&[of.clone(), of.clone()]), "münchen.example: 2 problems");
        assert_eq!(together_title(&[other.clone(), of.clone(), of.clone()]), format!("{} (and 2 more)", other.title));
        let many: Vec<IncidentMail<'_>> = (0..MOST_TOLD + 3).map(|_| of.clone()).collect();
        let lines = together_lines(&many);
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (MOST_TOLD + 1, Some("And 3 more.")));
    }

    #[test]
    fn spans_are_told_in_two_units() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let table = [
            (30, "less than a minute"),
            (60, "1 minute"),
            (3_600, "1 hour"),
            (4_980, "1 hour and 23 minutes"),
            (86_400, "1 day"),
            (180_000, "2 days and 2 hours"),
        ];
        for (seconds, words) in table {
            assert_eq!(duration(at(0), at(seconds)), words);
        }
    }
}
