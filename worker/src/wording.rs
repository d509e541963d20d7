//! Outcomes and incidents in words: the sentence of a result, the title and summary of an incident. What was seen comes first, then the
//! next step.

use std::time::Duration;

use chrono::{DateTime, Utc};
use waypost_engine::audit::rules::fix_apart;
use waypost_render::cut;
use waypost_types::{
    finding::{Finding, Severity},
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::{AuditReport, BlacklistReport, Outcome, ServiceReport, SmtpReport, StageMs, Verdict},
    unicode::{display, in_text},
};

use crate::{
    checker::split_target,
    conditions::{CLOSE_LOOK, Element, LOGIN, LetGo},
};

/// Longest title in characters.
const TITLE_CHARS: usize = 160;
/// Findings or listings named in one line of a timeline.
const MOST_NAMED: usize = 5;

/// One sentence about an outcome.
pub fn sentence(outcome: &Outcome) -> String {
    in_text(&match outcome {
        Outcome::Smtp(report) => report.summary.clone(),
        Outcome::Audit(report) => audit_sentence(report),
        Outcome::Blacklist(report) => list_sentence(report),
        Outcome::Service(report) => report.summary.clone(),
    })
}

/// Milliseconds by stage, where that means something: those of the slowest address of a check that worked. Of a service the whole is kept.
pub fn stages(outcome: &Outcome) -> Option<StageMs> {
    let report = match outcome {
        Outcome::Smtp(report) => report,
        Outcome::Service(report) => return report.latency_ms().map(|total| StageMs { total: Some(total), ..StageMs::default() }),
        Outcome::Audit(_) | Outcome::Blacklist(_) => return None,
    };
    let worked = report.probes.iter().filter(|probe| matches!(probe.verdict, Verdict::Up | Verdict::Degraded)).map(|probe| probe.stage_ms);
    worked.filter(|stages| stages.total.is_some()).max_by(|a, b| a.total.unwrap_or_default().total_cmp(&b.total.unwrap_or_default()))
}

/// Total milliseconds.
pub fn latency_ms(outcome: &Outcome) -> Option<f64> {
    stages(outcome).and_then(|stages| stages.total)
}

fn audit_sentence(report: &AuditReport) -> String {
    let serious = report.findings.iter().filter(|finding| finding.severity >= Severity::Medium).count();
    match (worst(&report.findings), serious, report.verdict()) {
        (_, _, Verdict::Unknown) => match report.unknown.first() {
            Some(part) => format!("Could not be told: {}", full_stop(&part.reason)),
            None => "Could not be told.".to_owned(),
        },
        (Some(finding), 1, _) => full_stop(&finding.summary),
        (Some(finding), more, _) if more > 1 => format!("{} And {}.", full_stop(&finding.summary), count(more - 1, "more finding")),
        _ if report.unknown.is_empty() => "No problem found.".to_owned(),
        _ => format!("No problem found; {} could not be told.", count(report.unknown.len(), "part")),
    }
}

fn list_sentence(report: &BlacklistReport) -> String {
    let findings = report.findings();
    if let Some(finding) = worst(&findings) {
        return match findings.len() {
            1 => full_stop(&finding.summary),
            more => format!("{} And {}.", full_stop(&finding.summary), count(more - 1, "more listing")),
        };
    }
    match report.lists_told() {
        (0, 0) => "No list was asked.".to_owned(),
        (0, _) => {
            let reasons = report.entries.iter().map(|entry| &entry.reason).chain(report.lists.iter().map(|list| &list.reason));
            reasons
                .into_iter()
                .find(|reason| !reason.is_empty())
                .map_or_else(|| "No list could tell.".to_owned(), |reason| format!("No list could tell: {}", full_stop(reason)))
        }
        (told, 0) => format!("Not listed on any of {}.", count(told, "list")),
        (told, untold) => format!("Not listed on any of {}; {} could not tell.", count(told, "list"), count(untold, "more list")),
    }
}

/// Title and summary of an incident about the confirmed state of a mail server.
pub fn incident_words(target: &str, state: MonitorState, report: &SmtpReport) -> (String, String) {
    let findings: Vec<Finding> = report.probes.iter().flat_map(|probe| probe.findings.clone()).collect();
    smtp_words(target, state, report, worst(&findings))
}

/// What is said of what works just now and is flapping.
pub fn flaps(calm: Duration) -> String {
    format!("It works just now, but it keeps failing and coming back: it is flapping. {}", until_calm(calm))
}

/// What is said of what fails and is flapping.
pub fn fails_in_turn(calm: Duration) -> String {
    format!("It keeps failing and coming back: it is flapping. {}", until_calm(calm))
}

/// What is said of what fails again soon after it recovered.
pub fn fails_again(recovered_at: DateTime<Utc>, at: DateTime<Utc>) -> String {
    match (at - recovered_at).num_minutes() {
        ..1 => "It failed again less than a minute after it had recovered.".to_owned(),
        minutes => format!("It failed again {} after it had recovered.", count(usize::try_from(minutes).unwrap_or_default(), "minute")),
    }
}

fn until_calm(calm: Duration) -> String {
    format!("The incident ends once nothing has changed for {}; until then nobody is told of each change.", minutes(calm))
}

/// What is said of what was flapping and fails ever since.
pub fn fails_steadily(calm: Duration) -> String {
    format!("It has failed for {} without a break: it is no longer flapping.", minutes(calm))
}

fn minutes(span: Duration) -> String {
    count(usize::try_from(span.as_secs() / 60).unwrap_or_default(), "minute")
}

/// What is said of a change of what is flapping.
pub const fn flapped(state: MonitorState) -> &'static str {
    match state {
        MonitorState::Down => "It fails again.",
        MonitorState::Degraded => "It works with problems just now.",
        MonitorState::Up | MonitorState::Pending | MonitorState::Unknown => "It works again just now.",
    }
}

/// Title and summary of an incident about the confirmed state of a service.
pub fn service_words(state: MonitorState, report: &ServiceReport) -> (String, String) {
    let findings: Vec<Finding> = report.findings().cloned().collect();
    let name = service_name(report.service, &report.target);
    let title = match (state, worst(&findings)) {
        (_, Some(finding)) if finding.severity >= Severity::Medium => finding.summary.clone(),
        (MonitorState::Down, _) => format!("{name} fails"),
        _ => format!("{name} works with problems"),
    };
    let title = title_of(&title, "");
    let summary = match worst(&findings).filter(|finding| finding.severity >= Severity::Medium) {
        Some(finding) => advice(&title, finding),
        None => full_stop(&report.summary),
    };
    (title, in_text(&summary))
}

/// What people call a service: its kind and its target.
fn service_name(kind: MonitorKind, target: &str) -> String {
    match kind {
        MonitorKind::Dns => format!("The record {target}"),
        MonitorKind::Imap => format!("IMAP at {target}"),
        MonitorKind::Pop => format!("POP3 at {target}"),
        _ => target.to_owned(),
    }
}

/// Title and summary of an incident about what a condition is about now.
pub fn condition_words(target: &str, outcome: &Outcome, elements: &[&Element]) -> (String, String) {
    let findings: Vec<Finding> = elements.iter().map(|element| element.finding.clone()).collect();
    let Some(worst) = worst(&findings) else { return (title_of(&format!("{target}: a problem was found"), ""), sentence(outcome)) };
    let others = |thing: &str| match findings.len() {
        0 | 1 => String::new(),
        n => format!(" and {}", count(n - 1, thing)),
    };
    let title = if let Outcome::Blacklist(_) = outcome {
        let mut subjects: Vec<&str> = findings.iter().map(|finding| finding.subject.as_str()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        match subjects.as_slice() {
            [_] => title_of(&worst.summary, &others("more list")),
            several => title_of(&format!("{} addresses of {target} are listed", several.len()), ""),
        }
    } else {
        // Most findings name what they are about.
        let named = if matches!(outcome, Outcome::Smtp(_)) { split_target(target).0 } else { target };
        let whose = if names(&worst.summary, named) { String::new() } else { format!("{target}: ") };
        title_of(&format!("{whose}{}", worst.summary), &others("more finding"))
    };
    let gone = match outcome {
        Outcome::Audit(report) => report.gone.iter().find(|gone| gone.rule == worst.rule && gone.subject == worst.subject),
        _ => None,
    };
    let gone = gone.map(|gone| format!(" The record that was there until {} is on the incident's page, too.", gone.until.format("%-d %B %H:%M UTC")));
    let told = in_text(&format!("{}{}", advice(&title, worst), gone.unwrap_or_default()));
    (title, told)
}

/// A title of one line: what is said is cut where it is long, what is counted behind it stays.
fn title_of(said: &str, counted: &str) -> String {
    let room = TITLE_CHARS.saturating_sub(counted.chars().count());
    format!("{}{counted}", cut(in_text(said).trim_end_matches('.'), room))
}

/// Whether a sentence names a target: it, and no other name that only ends or begins like it.
fn names(sentence: &str, target: &str) -> bool {
    let of_names = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    sentence.split(|c| !of_names(c)).any(|word| word.trim_end_matches('.') == target)
}

/// Which domains' mail an address is about, as a sentence; nothing where it is of none.
pub fn mail_of(domains: &[String]) -> Option<String> {
    let shown: Vec<String> = domains.iter().take(MOST_NAMED).map(|name| display(name)).collect();
    let more = domains.len().saturating_sub(MOST_NAMED);
    match shown.as_slice() {
        [] => None,
        [one] => Some(format!("It concerns the mail of {one}.")),
        [all @ .., last] if more == 0 => Some(format!("It concerns the mail of {} and {last}.", all.join(", "))),
        all => Some(format!("It concerns the mail of {} and {}.", all.join(", "), count(more, "more domain"))),
    }
}

/// What came to a condition.
pub fn grew(elements: &[&Element]) -> String {
    let said: Vec<&str> = elements.iter().take(MOST_NAMED).map(|element| element.finding.summary.trim_end_matches('.')).collect();
    in_text(&format!("New: {}{}.", said.join("; "), more(elements.len())))
}

/// What went from a condition, by what names it.
pub fn shrank(ids: &[String]) -> String {
    let said: Vec<String> = ids.iter().take(MOST_NAMED).map(|id| id.replace('|', " of ")).collect();
    in_text(&format!("No longer seen: {}{}. Others remain.", said.join("; "), more(ids.len())))
}

fn more(all: usize) -> String {
    match all.saturating_sub(MOST_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    }
}

/// Title and summary of the news that nothing of a condition is left; `was` names what it was about in the end.
pub fn ended<'a>(kind: MonitorKind, target: &str, condition: &str, outcome: &Outcome, was: impl Iterator<Item = &'a str>) -> (String, String) {
    let mut was = was.peekable();
    let (title, summary) = match (kind, condition.split_once('|')) {
        (MonitorKind::Blacklist, Some(("network", _)) | None) => {
            (format!("{target}: listings are over"), format!("The addresses of {target} are off the lists that this was about."))
        }
        (MonitorKind::Blacklist, Some((subject, _))) => {
            (format!("{subject}: listing is over"), format!("{subject} is off the lists that this was about."))
        }
        (MonitorKind::Smtp, None) if condition == LOGIN => {
            let (host, port) = split_target(target);
            (format!("{host} takes the login on port {port} again"), format!("The stored login works again at {host} on port {port}."))
        }
        _ => {
            let name = family_name(condition);
            let there = matches!(outcome, Outcome::Audit(report) if report.records.get(condition).is_some_and(|records| !records.is_empty()));
            let title = match condition {
                "audit" | CLOSE_LOOK => format!("{target}: the problem is over"),
                // Each of the two is one record.
                "spf" | "dmarc" if there && was.peek().is_some() && was.all(|id| id.starts_with(&format!("{condition}.missing|"))) => {
                    format!("{target}: {name} record is back")
                }
                "ptr" => format!("{target}: the problem with reverse DNS is over"),
                _ => format!("{target}: the problem with {name} is over"),
            };
            (title, format!("{name} of {target} shows none of these findings any more."))
        }
    };
    (title_of(&title, ""), in_text(&summary))
}

/// What is said of what is no longer believed though nobody saw it go.
pub fn let_go(kind: MonitorKind, gone: &[LetGo]) -> String {
    let said: Vec<String> = gone.iter().take(MOST_NAMED).map(|gone| let_go_one(kind, gone)).collect();
    in_text(&format!("{}{}. It is not known whether it is over.", said.join("; "), more(gone.len())))
}

fn let_go_one(kind: MonitorKind, gone: &LetGo) -> String {
    let (left, right) = gone.id.split_once('|').unwrap_or((&gone.id, ""));
    let what = match kind {
        MonitorKind::Blacklist => format!("{left} on {right}"),
        _ => format!("{left} of {right}"),
    };
    match gone.since {
        Some(since) => format!("{what} can no longer be looked at since {}", since.format("%Y-%m-%d %H:%M UTC")),
        None if kind == MonitorKind::Smtp => format!("{what} is no longer tried: the stored login was taken away or switched off"),
        None => format!("{what} is no longer asked for: the list is retired or switched off"),
    }
}

fn family_name(key: &str) -> String {
    match key {
        "mta_sts" => "MTA-STS".to_owned(),
        "tls_rpt" => "TLS-RPT".to_owned(),
        "ptr" => "Reverse DNS".to_owned(),
        "audit" => "The audit".to_owned(),
        CLOSE_LOOK => "The close look".to_owned(),
        other => other.to_uppercase(),
    }
}

fn smtp_words(target: &str, state: MonitorState, report: &SmtpReport, finding: Option<&Finding>) -> (String, String) {
    let (host, port) = split_target(target);
    let seen = first_upper(&full_stop(&report.summary));
    let words = |title: &str, summary: &str| (title_of(title, ""), in_text(summary));
    if state != MonitorState::Down {
        return match finding {
            Some(finding) => {
                let title = title_of(&of_port(host, port, &finding.summary), "");
                let summary = in_text(&advice(&title, finding));
                (title, summary)
            }
            None => words(&format!("{host} on port {port} works with problems"), &seen),
        };
    }
    let spoke = report.probes.iter().any(|probe| probe.banner.is_some());
    let connected = report.probes.iter().any(|probe| probe.stage_ms.connect.is_some());
    match finding {
        Some(finding) if spoke && finding.severity >= Severity::High => {
            let title = title_of(&of_port(host, port, &finding.summary), "");
            // What the probe as a whole says may be that very finding.
            let told = title.contains(in_text(&seen).trim_end_matches('.'));
            let advice = advice(&format!("{title} {seen}"), finding);
            let summary = if told { advice } else { format!("{seen} {advice}") };
            (title, in_text(&summary))
        }
        _ if spoke => words(
            &format!("Port {port} of {host} breaks off"),
            &format!("{seen} Next step: look for this conversation in the log of the mail server."),
        ),
        _ if connected => words(
            &format!("Port {port} of {host} takes connections but does not greet"),
            &format!("{seen} Next step: check that the mail server behind the port runs and is not overloaded."),
        ),
        _ => words(
            &format!("Port {port} of {host} does not answer"),
            &format!("{seen}{} Next step: check that the mail server runs and that the firewall lets port {port} in.", way_words(report)),
        ),
    }
}

/// What was found, with host and port where it does not name them itself.
fn of_port(host: &str, port: u16, found: &str) -> String {
    let named = names(found, host);
    match (named, found.contains(&format!("port {port}"))) {
        (true, true) => found.to_owned(),
        (true, false) => format!("{} (port {port})", found.trim_end_matches('.')),
        (false, _) => format!("{host} on port {port}: {found}"),
    }
}

/// A sentence that begins as one.
fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Where the way to it ends, with a space before; nothing where it was not followed.
fn way_words(report: &SmtpReport) -> String {
    report.probes.iter().find_map(|probe| probe.trace.as_ref()).map(|trace| format!(" {}", trace.summary)).unwrap_or_default()
}

/// What is to be known of a finding beside what is said of it already (the title): why it matters and how it is mended.
fn advice(said: &str, finding: &Finding) -> String {
    let mut parts = Vec::new();
    if !in_text(said).contains(in_text(&finding.summary).trim_end_matches('.')) {
        parts.push(full_stop(&finding.summary));
    }
    if !finding.why.is_empty() {
        parts.push(full_stop(&finding.why));
    }
    if !finding.fix.is_empty() {
        parts.push(format!("Next step: {}", full_stop(&fix_apart(finding))));
    }
    if parts.is_empty() { full_stop(&finding.summary) } else { parts.join(" ") }
}

/// Title and summary of the news that a mail server is as it should be again, after it was `from`.
pub fn recovery_words(target: &str, from: MonitorState, outcome: &Outcome) -> (String, String) {
    let (host, port) = split_target(target);
    let title = match from {
        from if let Outcome::Service(report) = outcome => {
            let name = service_name(report.service, target);
            if from == MonitorState::Degraded { format!("{name} works without problems again") } else { format!("{name} is as it should be again") }
        }
        MonitorState::Degraded => format!("{host} works on port {port} without problems again"),
        _ => format!("{host} answers on port {port} again"),
    };
    let summary = match latency_ms(outcome) {
        Some(ms) => format!("It answered in {ms:.0} ms."),
        None => format!("{title}."),
    };
    (title_of(&title, ""), in_text(&summary))
}

/// The worst finding; of equals the first, since reports put what matters first.
fn worst(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().rev().max_by_key(|finding| finding.severity)
}

fn count(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

fn full_stop(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
#[path = "wording_tests.rs"]
mod tests;
