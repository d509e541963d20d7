//! `waypost audit` and the audits of one record family.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use waypost_engine::{
    audit::{AuditOptions, Family, audit_families},
    net::Net,
};
use waypost_types::{DomainName, finding::Severity, outcome::AuditReport};

use super::Tally;

/// Arguments of `waypost audit` and its single forms.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// Domains
    #[arg(required = true, value_name = "DOMAIN", value_parser = parse_domain)]
    domains: Vec<DomainName>,
    /// DKIM selectors that sign the domain's mail, tried beside the usual ones
    #[arg(long, value_delimiter = ',', value_name = "SELECTOR,…")]
    selector: Vec<String>,
    /// Seconds after which what is left counts as unknown
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    deadline: u64,
}

pub(super) fn parse_domain(text: &str) -> Result<DomainName, String> {
    text.parse().map_err(|error: waypost_types::name::NameError| error.to_string())
}

/// Runs it, one domain after the other: 1 with a finding at or above `fail_on`, 3 when what matters could not be told.
pub async fn run(net: &Net, args: AuditArgs, families: &[Family], json: bool, fail_on: Severity) -> ExitCode {
    let options = AuditOptions {
        selectors: args.selector,
        look_at_certificates: true,
        deadline: Duration::from_secs(args.deadline),
        ..AuditOptions::default()
    };
    let mut tally = Tally::default();
    for domain in &args.domains {
        let report = audit_families(net, domain, &options, families).await;
        tally.add(&report.findings, fail_on, is_untold(&report, families));
        if let Err(error) = write(&report, json) {
            eprintln!("waypost: {error}");
        }
    }
    tally.code()
}

/// A whole audit stands on MX, SPF and DMARC; that no DKIM selector could be guessed does not make it worthless. A single audit stands on itself.
pub(super) fn is_untold(report: &AuditReport, families: &[Family]) -> bool {
    report.unknown.iter().any(|part| families.len() == 1 || matches!(part.subject.as_str(), "mx" | "spf" | "dmarc"))
}

/// Prints a report: one line of JSON, or text for people.
pub(super) fn write(report: &AuditReport, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        return writeln!(out);
    }
    match (report.score, &report.grade) {
        (Some(score), Some(grade)) => writeln!(out, "{}: {score} of 100, grade {grade}", report.domain)?,
        _ => writeln!(out, "{}: too much is unknown for a score", report.domain)?,
    }
    for family in Family::ALL {
        let Some(summary) = report.checks.get(family.key()) else { continue };
        writeln!(out, "  {:<8} {:<5} {}", family.key(), summary.status.as_str(), summary.word)?;
        for record in report.records.get(family.key()).into_iter().flatten().flat_map(|record| record.lines()) {
            writeln!(out, "                 {}", waypost_engine::printable(record))?;
        }
    }
    for finding in &report.findings {
        writeln!(out, "\n  {:<8} {}: {}", finding.severity.as_str(), finding.rule, waypost_engine::printable(&finding.summary))?;
        writeln!(out, "           {}", waypost_engine::printable(&finding.fix))?;
        if let Some(record) = &finding.record {
            writeln!(out, "           {} {} {}", record.name, record.kind, waypost_engine::printable(&record.value))?;
        }
    }
    if !report.unknown.is_empty() {
        writeln!(out, "\n  Could not be told:")?;
    }
    for part in &report.unknown {
        writeln!(out, "  {:<8} {}", part.subject, waypost_engine::printable(&part.reason))?;
    }
    writeln!(out)
}
