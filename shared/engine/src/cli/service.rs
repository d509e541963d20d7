//! `waypost check`: one look at a service beside SMTP: a TCP port, a web address, a DNS record, a mailbox server.

use std::{io, process::ExitCode};

use waypost_engine::{net::Net, printable, probe::Prober, service::ServiceCheck};
use waypost_types::{
    finding::Severity,
    monitor::MonitorKind,
    outcome::{ProbeMode, ServiceReport, Speaker, Verdict},
    service::{Comparison, ServiceSettings},
};

use super::{
    audit::{status_style, write_findings},
    write_json,
};

/// Arguments of `waypost check`.
#[derive(Debug, clap::Args)]
pub struct ServiceArgs {
    /// What kind of service it is
    #[arg(value_name = "tcp|https|dns|imap|pop", value_parser = parse_kind)]
    kind: MonitorKind,
    /// `HOST:PORT`, an https: address, or a name and a type: "example.com MX"
    #[arg(value_name = "TARGET")]
    target: String,
    /// Of tcp: what the server says first begins with this
    #[arg(long, value_name = "TEXT")]
    begins_with: Option<String>,
    /// Of tcp and https: what the server says first, or the page, holds this
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// Of https: statuses that are fine, such as 204 or 200-299; 200-399 when absent
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',')]
    status: Vec<String>,
    /// Of dns: how records are compared; equals when values are given, exists when none are
    #[arg(long, value_name = "equals|contains|exists|absent", value_parser = parse_comparison)]
    expect: Option<Comparison>,
    /// Of dns: a value, as a zone file has it; may be given several times
    #[arg(long, value_name = "VALUE")]
    value: Vec<String>,
    /// Of imap and pop: how TLS is spoken; implicit on ports 993 and 995 and starttls elsewhere when absent
    #[arg(long, value_parser = super::probe::parse_mode, value_name = "plain|starttls|implicit")]
    mode: Option<ProbeMode>,
}

fn parse_kind(text: &str) -> Result<MonitorKind, String> {
    text.parse().ok().filter(|kind: &MonitorKind| kind.is_service()).ok_or_else(|| "one of tcp, https, dns, imap, pop".to_owned())
}

fn parse_comparison(text: &str) -> Result<Comparison, String> {
    text.parse().map_err(|()| "one of equals, contains, exists, absent".to_owned())
}

/// Runs it: 0 fine, 1 down or a finding at or above `fail_on`, 2 usage, 3 could not tell.
pub async fn run(net: &Net, args: ServiceArgs, json: bool, fail_on: Severity) -> ExitCode {
    let usual = (args.kind == MonitorKind::Dns).then_some(if args.value.is_empty() { Comparison::Exists } else { Comparison::Equals });
    let settings = ServiceSettings {
        begins_with: args.begins_with,
        contains: args.contains,
        statuses: args.status,
        comparison: args.expect.or(usual),
        values: args.value,
    };
    let check = match ServiceCheck::read(args.kind, &args.target, &settings) {
        Ok(check) => args.mode.map_or(check.clone(), |mode| check.with_mode(mode)),
        Err(error) => {
            eprintln!("waypost: {error}");
            return ExitCode::from(2);
        }
    };
    // Whoever types a command knows their network: a time-out on port 25 is the answer here.
    let report = Prober::new(net).with_open_ports().look(&check).await;
    let written = if json { write_json(&report) } else { write_text(&mut anstream::stdout().lock(), &report) };
    if let Err(error) = written {
        super::complain(&error);
    }
    let found = report.findings().any(|finding| finding.severity >= fail_on);
    match report.verdict {
        Verdict::Down => ExitCode::from(1),
        _ if found => ExitCode::from(1),
        Verdict::Unknown => ExitCode::from(3),
        Verdict::Up | Verdict::Degraded => ExitCode::SUCCESS,
    }
}

fn write_text(out: &mut impl io::Write, report: &ServiceReport) -> io::Result<()> {
    let style = status_style(report.verdict.into());
    writeln!(out, "{} {}: {style}{}{style:#}", report.service.as_str(), printable(&report.target), report.verdict.as_str())?;
    writeln!(out, "  {}", printable(&report.summary))?;
    if let Some(records) = &report.records {
        for (word, values) in [("expected", Some(&records.expected)), ("found", records.found.as_ref())] {
            for value in values.into_iter().flatten() {
                writeln!(out, "  {word}: {}", printable(value))?;
            }
        }
    }
    for look in &report.looks {
        let name = look.address.map(|address| address.to_string()).or_else(|| look.url.clone()).unwrap_or_default();
        let stages: Vec<String> = look.stage_ms.named().map(|(name, ms)| format!("{name} {ms:.1} ms")).collect();
        writeln!(out, "  {} {}", printable(&name), stages.join(", "))?;
        if let Some(tls) = &look.tls {
            let expires = tls.expires.map(|expires| format!(", expires {}", expires.format("%Y-%m-%d"))).unwrap_or_default();
            let trust = tls.trust_problem.as_deref().unwrap_or("trusted");
            writeln!(out, "  {} {}: {}{expires}, {trust}", tls.version, tls.cipher, tls.names.join(" "))?;
        }
        write_findings(out, &look.findings)?;
        for line in &look.transcript {
            let arrow = if line.from == Speaker::Client { '>' } else { '<' };
            writeln!(out, "  {:>6} {arrow} {}", line.at_ms, line.line)?;
        }
    }
    Ok(())
}
