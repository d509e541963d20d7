//! Outcomes and incidents in words: the sentence of a result, the title and summary of an incident. What was seen comes first, then the
//! next step.

use waypost_engine::audit::rules::fix_apart;
use waypost_types::{
    DomainName,
    finding::{Finding, Severity},
    judge::MonitorState,
    monitor::MonitorKind,
    outcome::{AuditReport, BlacklistReport, Outcome, SmtpReport, Verdict},
};

use crate::{
    checker::split_target,
    conditions::{Element, LetGo},
};

/// Longest title in characters.
const TITLE_CHARS: usize = 160;
/// Findings or listings named in one line of a timeline.
const MOST_NAMED: usize = 5;

/// One sentence about an outcome.
pub fn sentence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Smtp(report) => report.summary.clone(),
        Outcome::Audit(report) => audit_sentence(report),
        Outcome::Blacklist(report) => list_sentence(report),
    }
}

/// Total milliseconds, where that means something: the slowest address of an SMTP check.
pub fn latency_ms(outcome: &Outcome) -> Option<f64> {
    let Outcome::Smtp(report) = outcome else { return None };
    report
        .probes
        .iter()
        .filter(|probe| matches!(probe.verdict, Verdict::Up | Verdict::Degraded))
        .filter_map(|probe| probe.stage_ms.total)
        .reduce(f64::max)
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
    let (title, summary) = smtp_words(target, state, report, worst(&findings));
    (cut(title.trim_end_matches('.')), summary)
}

/// Title and summary of an incident about what a condition is about now.
pub fn condition_words(target: &str, outcome: &Outcome, elements: &[&Element]) -> (String, String) {
    let findings: Vec<Finding> = elements.iter().map(|element| element.finding.clone()).collect();
    let Some(worst) = worst(&findings) else { return (format!("{target}: a problem was found"), sentence(outcome)) };
    let others = |thing: &str| match findings.len() {
        0 | 1 => String::new(),
        n => format!(" and {}", count(n - 1, thing)),
    };
    let title = if let Outcome::Blacklist(_) = outcome {
        let mut subjects: Vec<&str> = findings.iter().map(|finding| finding.subject.as_str()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        match subjects.as_slice() {
            [_] => format!("{}{}", worst.summary, others("more list")),
            several => format!("{} addresses of {target} are listed", several.len()),
        }
    } else {
        // Most findings name what they are about.
        let whose = if names(&worst.summary, target) { String::new() } else { format!("{target}: ") };
        format!("{whose}{}{}", worst.summary.trim_end_matches('.'), others("more finding"))
    };
    (cut(title.trim_end_matches('.')), advice(worst))
}

/// Whether a sentence names a target: it, and no other name that only ends or begins like it.
fn names(sentence: &str, target: &str) -> bool {
    let of_names = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    sentence.split(|c| !of_names(c)).any(|word| word.trim_end_matches('.') == target)
}

/// Which domains' mail an address is about, as a sentence; nothing where it is of none.
pub fn mail_of(domains: &[String]) -> Option<String> {
    let shown: Vec<String> =
        domains.iter().take(MOST_NAMED).map(|name| DomainName::from_ascii(name).map_or_else(|_| name.clone(), |name| name.display())).collect();
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
    format!("New: {}{}.", said.join("; "), more(elements.len()))
}

/// What went from a condition, by what names it.
pub fn shrank(ids: &[String]) -> String {
    let said: Vec<String> = ids.iter().take(MOST_NAMED).map(|id| id.replace('|', " of ")).collect();
    format!("No longer seen: {}{}. Others remain.", said.join("; "), more(ids.len()))
}

fn more(all: usize) -> String {
    match all.saturating_sub(MOST_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    }
}

/// What is said when nothing of a condition is left.
pub fn ended(kind: MonitorKind, target: &str, condition: &str) -> String {
    match (kind, condition.split_once('|')) {
        (MonitorKind::Blacklist, Some(("network", _)) | None) => format!("The addresses of {target} are off the lists that this was about."),
        (MonitorKind::Blacklist, Some((subject, _))) => format!("{subject} is off the lists that this was about."),
        _ => format!("{} of {target} shows none of these findings any more.", family_name(condition)),
    }
}

/// What is said of what is no longer believed though nobody saw it go.
pub fn let_go(kind: MonitorKind, gone: &[LetGo]) -> String {
    let said: Vec<String> = gone.iter().take(MOST_NAMED).map(|gone| let_go_one(kind, gone)).collect();
    format!("{}{}. It is not known whether it is over.", said.join("; "), more(gone.len()))
}

fn let_go_one(kind: MonitorKind, gone: &LetGo) -> String {
    let (left, right) = gone.id.split_once('|').unwrap_or((&gone.id, ""));
    let what = match kind {
        MonitorKind::Blacklist => format!("{left} on {right}"),
        _ => format!("{left} of {right}"),
    };
    match gone.since {
        Some(since) => format!("{what} can no longer be looked at since {}", since.format("%Y-%m-%d %H:%M UTC")),
        None => format!("{what} is no longer asked for: the list is retired or switched off"),
    }
}

fn family_name(key: &str) -> String {
    match key {
        "mta_sts" => "MTA-STS".to_owned(),
        "tls_rpt" => "TLS-RPT".to_owned(),
        "ptr" => "Reverse DNS".to_owned(),
        "audit" => "The audit".to_owned(),
        other => other.to_uppercase(),
    }
}

fn smtp_words(target: &str, state: MonitorState, report: &SmtpReport, finding: Option<&Finding>) -> (String, String) {
    let (host, port) = split_target(target);
    if state != MonitorState::Down {
        return match finding {
            Some(finding) => (format!("{host} on port {port}: {}", finding.summary), advice(finding)),
            None => (format!("{host} on port {port} works with problems"), full_stop(&report.summary)),
        };
    }
    let spoke = report.probes.iter().any(|probe| probe.banner.is_some());
    let connected = report.probes.iter().any(|probe| probe.stage_ms.connect.is_some());
    match finding {
        Some(finding) if spoke && finding.severity >= Severity::High => {
            let advice = advice(finding);
            // What the probe as a whole says may say it already.
            let rest = if report.summary.contains(&finding.summary) {
                advice.strip_prefix(&full_stop(&finding.summary)).unwrap_or(&advice)
            } else {
                &advice
            };
            (format!("{host} on port {port}: {}", finding.summary), format!("{} {}", full_stop(&report.summary), rest.trim_start()))
        }
        _ if spoke => (
            format!("Port {port} of {host} breaks off"),
            format!("{} Next step: look for this conversation in the log of the mail server.", full_stop(&report.summary)),
        ),
        _ if connected => (
            format!("Port {port} of {host} takes connections but does not greet"),
            format!("{} Next step: check that the mail server behind the port runs and is not overloaded.", full_stop(&report.summary)),
        ),
        _ => (
            format!("Port {port} of {host} does not answer"),
            format!("{} Next step: check that the mail server runs and that the firewall lets port {port} in.", full_stop(&report.summary)),
        ),
    }
}

fn advice(finding: &Finding) -> String {
    let mut text = full_stop(&finding.summary);
    if !finding.why.is_empty() {
        text = format!("{text} {}", full_stop(&finding.why));
    }
    if finding.fix.is_empty() {
        return text;
    }
    format!("{text} Next step: {}", full_stop(&fix_apart(finding)))
}

/// What is said when a mail server answers again.
pub fn recovery_words(target: &str, outcome: &Outcome) -> String {
    let (host, port) = split_target(target);
    match latency_ms(outcome) {
        Some(ms) => format!("{host} answers on port {port} again, in {ms:.0} ms."),
        None => format!("{host} answers on port {port} again."),
    }
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

fn cut(text: &str) -> String {
    if text.chars().count() <= TITLE_CHARS { text.to_owned() } else { text.chars().take(TITLE_CHARS - 1).chain(['…']).collect() }
}

#[cfg(test)]
#[path = "wording_tests.rs"]
mod tests;
