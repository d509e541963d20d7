//! The mail of what waited: several incidents, a line each, what is open first.

use chrono::{DateTime, Utc};
use waypost_types::{
    incident::{IncidentSeverity, IncidentStatus},
    unicode::in_text,
};

use super::{
    Mail,
    incident::{RECOVERED, accent, duration, moment},
    layout::Letter,
};

/// Incidents that have a line of their own; the others are counted.
const MOST_LINES: usize = 40;

/// An incident of a digest.
#[derive(Debug, Clone)]
pub struct DigestLine<'a> {
    /// Its title.
    pub title: &'a str,
    /// How urgent it is, or was in the end.
    pub severity: IncidentSeverity,
    /// Where it is in its life.
    pub status: IncidentStatus,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When it ended.
    pub resolved_at: Option<DateTime<Utc>>,
}

impl DigestLine<'_> {
    fn is_over(&self) -> bool {
        self.status == IncidentStatus::Resolved
    }

    fn sentence(&self) -> String {
        let title = in_text(self.title);
        let title = title.trim_end_matches('.');
        match (self.status, self.resolved_at) {
            (IncidentStatus::Resolved, Some(end)) => {
                format!("Over: {title}. It lasted {}, until {}.", duration(self.opened_at, end), moment(end))
            }
            (IncidentStatus::Resolved, None) => format!("Over: {title}."),
            (IncidentStatus::Acknowledged, _) => {
                format!("{}: {title}. Since {}; somebody works on it.", self.severity.word(), moment(self.opened_at))
            }
            (IncidentStatus::Open, _) => format!("{}: {title}. Since {}.", self.severity.word(), moment(self.opened_at)),
        }
    }
}

/// How many there are, in a line.
pub fn digest_title(incidents: &[DigestLine<'_>]) -> String {
    let over = incidents.iter().filter(|incident| incident.is_over()).count();
    let all = match incidents.len() {
        1 => "1 incident".to_owned(),
        count => format!("{count} incidents"),
    };
    match incidents.len() - over {
        0 => format!("{all}, over by now"),
        1 if over == 0 => format!("{all}, open"),
        _ if over == 0 => format!("{all}, all open"),
        open => format!("{all}: {open} open, {over} over by now"),
    }
}

/// Each in a sentence or two, at most 40, with the number of those that are left out.
pub fn digest_lines(incidents: &[DigestLine<'_>]) -> Vec<String> {
    let mut lines: Vec<String> = incidents.iter().take(MOST_LINES).map(DigestLine::sentence).collect();
    let more = incidents.len().saturating_sub(MOST_LINES);
    if more > 0 {
        lines.push(format!("And {more} more; all of them are on the page of incidents."));
    }
    lines
}

/// What waited until now. `url` is the page of all incidents.
pub fn digest(org: &str, incidents: &[DigestLine<'_>], url: &str) -> Mail {
    let title = digest_title(incidents);
    let worst = incidents.iter().filter(|incident| !incident.is_over()).map(|incident| incident.severity).max();
    Letter {
        // What is critical is here when much came at once: a subject that says digest would be read tomorrow.
        subject: format!("[{}] {org}: {title}", if worst == Some(IncidentSeverity::Critical) { IncidentSeverity::Critical.word() } else { "Digest" }),
        heading: title,
        accent: worst.map_or(RECOVERED, accent),
        paragraphs: digest_lines(incidents),
        written: None,
        facts: vec![("Organisation", org.to_owned())],
        guide: None,
        button: Some(("Open the incidents", url)),
        footer: format!(
            "You get this mail because you are a member of {org} on Waypost, where what can wait, and what comes many at once, is told together."
        ),
    }
    .render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(title: &str, severity: IncidentSeverity, status: IncidentStatus) -> DigestLine<'_> {
        let opened_at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let resolved_at = (status == IncidentStatus::Resolved).then(|| opened_at + chrono::TimeDelta::minutes(83));
        DigestLine { title, severity, status, opened_at, resolved_at }
    }

    #[test]
    fn a_digest_reads_well() {
        use IncidentSeverity::{Info, Warning};
        let all = [
            line("mail.example.com:25: the certificate expires in 14 days", Warning, IncidentStatus::Open),
            line("xn--mnchen-3ya.example: DMARC only watches", Info, IncidentStatus::Acknowledged),
            line("203.0.113.40 is on Example List", Warning, IncidentStatus::Resolved),
        ];
        let mail = digest("Example & Sons", &all, "https://waypost.example/o/example/incidents");
        assert_eq!(mail.subject, "[Digest] Example & Sons: 3 incidents: 2 open, 1 over by now");
        insta::assert_snapshot!("digest_text", mail.text);
        insta::assert_snapshot!("digest_html", mail.html);
        for (lines, title) in [(&all[..1], "1 incident, open"), (&all[..2], "2 incidents, all open"), (&all[2..], "1 incident, over by now")] {
            assert_eq!(digest_title(lines), title);
        }
    }

    #[test]
    fn a_long_digest_says_what_it_leaves_out_and_titles_stay_text() {
        let hostile = line("<script>alert(1)</script>\r\nBcc: x", IncidentSeverity::Warning, IncidentStatus::Open);
        let many = vec![hostile; 45];
        let mail = digest("x", &many, "https://waypost.example/o/x/incidents");
        assert!(mail.text.contains("And 5 more; all of them are on the page of incidents."), "{}", mail.text);
        assert!(!mail.html.contains("<script") && !mail.text.contains('\r'));
    }
}
