//! `waypost audit` and the audits of one record family.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use waypost_engine::{
    audit::{AuditOptions, Family, audit_families},
    net::Net,
    printable,
};
use waypost_types::{
    DomainName,
    finding::{Finding, Severity},
    outcome::{AuditReport, Status},
};

use super::{Tally, colour, complain, write_json};

/// Arguments of `waypost audit` and its single forms.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// Domains
    #[arg(required = true, value_name = "DOMAIN", value_parser = parse_domain)]
    domains: Vec<DomainName>,
    #[command(flatten)]
    settings: Settings,
}

/// How an audit is done.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// DKIM selectors that sign the domain's mail, tried beside the usual ones
    #[arg(long, value_delimiter = ',', value_name = "SELECTOR,…")]
    selector: Vec<String>,
    /// Look at the named selectors only: the usual ones, over two hundred, are most of an audit's questions
    #[arg(long)]
    no_guess: bool,
    /// Seconds after which what is left counts as unknown
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
}

impl Settings {
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline)
    }

    fn options(&self) -> AuditOptions {
        AuditOptions {
            selectors: self.selector.clone(),
            guess_selectors: !self.no_guess,
            look_at_certificates: true,
            deadline: self.deadline(),
            ..AuditOptions::default()
        }
    }
}

pub(super) fn parse_domain(text: &str) -> Result<DomainName, String> {
    text.parse().map_err(|error: waypost_types::name::NameError| error.to_string())
}

/// Runs it, one domain after the other: 1 with a finding at or above `fail_on`, 3 when what matters could not be told.
pub async fn run(net: &Net, args: AuditArgs, families: &[Family], json: bool, fail_on: Severity) -> ExitCode {
    let mut tally = Tally::default();
    for domain in &args.domains {
        audit_one(net, domain, &args.settings, families, json, fail_on, &mut tally).await;
    }
    tally.code()
}

/// Audits a domain, prints what was found and counts it for the exit code.
pub(super) async fn audit_one(
    net: &Net,
    domain: &DomainName,
    settings: &Settings,
    families: &[Family],
    json: bool,
    fail_on: Severity,
    tally: &mut Tally,
) {
    let report = audit_families(net, domain, &settings.options(), families).await;
    tally.add(&report.findings, fail_on, is_untold(&report, families));
    if let Err(error) = write(&report, json) {
        complain(&error);
    }
}

/// A whole audit stands on MX, SPF and DMARC; that no DKIM selector could be guessed does not make it worthless. A single audit stands on itself.
pub(super) fn is_untold(report: &AuditReport, families: &[Family]) -> bool {
    let single = families.len() == 1;
    // Of a domain that does not exist nothing can be said of one family: a name that was mistyped must not look fine for ever.
    if single { report.nxdomain || !report.unknown.is_empty() } else { report.shaky().next().is_some() }
}

/// The colour of a status, where a person reads.
pub(super) fn status_style(status: Status) -> Style {
    match status {
        Status::Ok => AnsiColor::Green.on_default(),
        Status::Warn => AnsiColor::Yellow.on_default(),
        Status::Bad => AnsiColor::Red.on_default().bold(),
        Status::Info => AnsiColor::Cyan.on_default(),
        Status::None => Style::new().dimmed(),
    }
}

/// Prints a report: one line of JSON, or text for people.
pub(super) fn write(report: &AuditReport, json: bool) -> io::Result<()> {
    if json {
        return write_json(report);
    }
    write_text(&mut anstream::stdout().lock(), report)
}

fn write_text(out: &mut impl Write, report: &AuditReport) -> io::Result<()> {
    let bold = Style::new().bold();
    // A grade is of a whole domain: that one part of it is in order says nothing of the rest.
    let whole = Family::ALL.iter().all(|family| report.checks.contains_key(family.key()));
    match (report.score, &report.grade) {
        _ if !whole => writeln!(out, "{bold}{}{bold:#}", report.domain)?,
        // Listings hold the grade of the pages down; this command asks no list.
        (Some(score), Some(grade)) => {
            writeln!(out, "{bold}{}{bold:#}: {score} of 100, grade {grade}, without block lists (waypost blacklist)", report.domain)?;
        }
        _ => writeln!(out, "{bold}{}{bold:#}: too much is unknown for a score", report.domain)?,
    }
    for family in Family::ALL {
        let Some(summary) = report.checks.get(family.key()) else { continue };
        let style = status_style(summary.status);
        writeln!(out, "  {:<8} {style}{:<5}{style:#} {}", family.key(), summary.status.as_str(), summary.word)?;
        for record in report.records.get(family.key()).into_iter().flatten().flat_map(|record| record.lines()) {
            writeln!(out, "                 {}", printable(record))?;
        }
    }
    write_findings(out, &report.findings)?;
    if !report.unknown.is_empty() {
        writeln!(out, "\n  Could not be told:")?;
    }
    for part in &report.unknown {
        writeln!(out, "  {:<8} {}", part.subject, printable(&part.reason))?;
    }
    writeln!(out)
}

/// What was found, each with its fix and the record to paste.
pub(super) fn write_findings(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    for finding in findings {
        let style = colour(finding.severity);
        writeln!(out, "\n  {style}{:<8}{style:#} {}: {}", finding.severity.as_str(), finding.rule, printable(&finding.summary))?;
        writeln!(out, "           {}", printable(&finding.fix))?;
        if let Some(record) = &finding.record {
            writeln!(out, "           {} {} {}", record.name, record.kind, printable(&record.value))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use waypost_types::{
        finding::SuggestedRecord,
        outcome::{CheckSummary, Status},
    };

    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_done() {
        let settings = Settings { selector: vec!["s1".to_owned()], no_guess: true, deadline: 7 };
        let options = settings.options();
        assert!(!options.guess_selectors && options.selectors == ["s1"] && options.deadline == Duration::from_secs(7));
        assert!(Settings { no_guess: false, ..settings }.options().guess_selectors);
    }

    #[test]
    fn a_grade_is_of_a_whole_domain() {
        let cell = || CheckSummary { status: Status::Ok, word: "Set".to_owned() };
        let mut report = AuditReport { score: Some(92), grade: Some("A".to_owned()), ..AuditReport::empty("a.example") };
        for family in Family::ALL {
            let mut told = Vec::new();
            write_text(&mut told, &report).unwrap();
            assert!(!String::from_utf8(told).unwrap().contains("of 100"));
            report.checks.insert(family.key().to_owned(), cell());
        }
        let mut told = Vec::new();
        write_text(&mut told, &report).unwrap();
        assert!(String::from_utf8(told).unwrap().contains(": 92 of 100, grade A"));
    }

    #[test]
    fn findings_are_coloured_for_people_and_harmless() {
        let finding = Finding {
            rule: "spf.missing".to_owned(),
            severity: Severity::High,
            subject: "a.example".to_owned(),
            summary: "No \u{1b}[31mrecord".to_owned(),
            why: String::new(),
            fix: "Publish one".to_owned(),
            record: Some(SuggestedRecord { name: "a.example".to_owned(), kind: "TXT".to_owned(), value: "v=spf1 -all".to_owned() }),
            reference: String::new(),
        };
        let mut coloured = Vec::new();
        write_findings(&mut coloured, std::slice::from_ref(&finding)).unwrap();
        let mut plain = anstream::StripStream::new(Vec::new());
        write_findings(&mut plain, &[finding]).unwrap();
        let (coloured, plain) = (String::from_utf8(coloured).unwrap(), String::from_utf8(plain.into_inner()).unwrap());
        assert!(coloured.contains("\u{1b}[1m") && !coloured.contains("\u{1b}[31mrecord"), "{coloured:?}");
        assert!(plain.contains("high     spf.missing: ") && plain.ends_with("           a.example TXT v=spf1 -all\n"), "{plain}");
    }
}
