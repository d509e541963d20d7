//! `waypost blacklist`: addresses, networks and domains on the block lists.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use waypost_engine::{
    blacklist::{Lists, Scanner, Subject},
    net::Net,
};
use waypost_types::{
    Cidr, DomainName,
    finding::Severity,
    outcome::{BlacklistReport, ListState},
};

/// Arguments of `waypost blacklist`.
#[derive(Debug, clap::Args)]
pub struct BlacklistArgs {
    /// Addresses, networks (IPv4 up to /24) or domains
    #[arg(required = true, value_name = "IP|CIDR|DOMAIN", value_parser = parse_subjects)]
    targets: Vec<Subjects>,
    /// Lists by id, name or DNS suffix; all that are on by default when absent
    #[arg(long, value_delimiter = ',', value_name = "LIST,…")]
    zones: Option<Vec<String>>,
    /// Seconds after which what is left counts as unknown
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: u64,
}

/// One argument, spread out.
#[derive(Debug, Clone)]
struct Subjects(Vec<Subject>);

fn parse_subjects(text: &str) -> Result<Subjects, String> {
    match text.parse::<Cidr>() {
        Ok(cidr) => Ok(Subjects(cidr.addresses().into_iter().map(Subject::from).collect())),
        Err(error) if text.contains('/') && !text.contains("://") => Err(error.to_string()),
        Err(_) => text.parse::<DomainName>().map(|name| Subjects(vec![name.into()])).map_err(|error| error.to_string()),
    }
}

/// Runs it: 0 on no list, 1 listed, 2 usage, 3 when no list could tell. A listing of severity info counts only from `fail_on` info.
pub async fn run(net: &Net, args: BlacklistArgs, json: bool, fail_on: Severity) -> ExitCode {
    let mut subjects: Vec<Subject> = Vec::new();
    for subject in args.targets.into_iter().flat_map(|subjects| subjects.0) {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    let keys = std::collections::BTreeMap::new();
    let lists = args.zones.as_ref().map_or_else(Lists::default, |words| Lists::named(words, &keys));
    let report = Scanner::new(net).scan(&subjects, &lists, Duration::from_secs(args.deadline)).await;
    if let Err(error) = write(&report, json) {
        eprintln!("waypost: {error}");
    }
    exit_code(&report, fail_on)
}

fn exit_code(report: &BlacklistReport, fail_on: Severity) -> ExitCode {
    let counts = |severity: Severity| severity > Severity::Info || severity >= fail_on;
    if report.entries.iter().any(|entry| entry.state == ListState::Listed && counts(entry.severity)) {
        return ExitCode::from(1);
    }
    if report.entries.iter().all(|entry| entry.state == ListState::Unknown) { ExitCode::from(3) } else { ExitCode::SUCCESS }
}

fn write(report: &BlacklistReport, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for entry in &report.entries {
        if json {
            serde_json::to_writer(&mut out, entry)?;
            writeln!(out)?;
        } else if entry.state != ListState::Clean {
            let word = if entry.state == ListState::Listed { "listed" } else { "unknown" };
            let text = [entry.meaning.as_str(), entry.reason.as_str()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
            writeln!(out, "{:<8} {} on {} ({}) {}", word, entry.subject, entry.list, entry.zone, text)?;
        }
    }
    if !json {
        let count = |state| report.entries.iter().filter(|entry| entry.state == state).count();
        let (listed, clean, unknown) = (count(ListState::Listed), count(ListState::Clean), count(ListState::Unknown));
        writeln!(out, "{listed} listed, {clean} clean, {unknown} could not be told")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_spread_out() {
        for (text, count) in [("192.0.2.1", 1), ("192.0.2.0/24", 256), ("2001:db8::/126", 4), ("example.com", 1)] {
            assert_eq!(parse_subjects(text).unwrap().0.len(), count, "{text}");
        }
        for text in ["10.0.0.0/8", "", "no name", "1.2.3.4/99"] {
            assert!(parse_subjects(text).is_err(), "{text}");
        }
    }
}
