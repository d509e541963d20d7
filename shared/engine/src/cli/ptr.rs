//! `waypost ptr`: the reverse names of addresses, or those of the MX hosts of domains.

use std::{
    io::{self, Write},
    net::IpAddr,
    process::ExitCode,
};

use waypost_engine::{
    audit::{Family, reverse},
    net::Net,
    printable,
};
use waypost_types::{
    DomainName,
    finding::Severity,
    lookup::{ReverseName, ReverseReport},
    outcome::Status,
};

use super::{
    Tally,
    audit::{Settings, audit_one, parse_domain, status_style, write_findings},
    complain, write_json,
};

/// Arguments of `waypost ptr`.
#[derive(Debug, clap::Args)]
pub struct PtrArgs {
    /// Addresses that send mail, or domains whose MX hosts are looked at
    #[arg(required = true, value_name = "IP|DOMAIN", value_parser = parse_target)]
    targets: Vec<Target>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Clone)]
enum Target {
    Address(IpAddr),
    Domain(DomainName),
}

fn parse_target(text: &str) -> Result<Target, String> {
    match text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => Ok(Target::Address(address.to_canonical())),
        Err(_) => parse_domain(text).map(Target::Domain),
    }
}

/// Runs it, one after the other: 1 with a finding at or above `fail_on`, 3 when what matters could not be told.
pub async fn run(net: &Net, args: PtrArgs, json: bool, fail_on: Severity) -> ExitCode {
    let mut tally = Tally::default();
    for target in args.targets {
        match target {
            Target::Domain(domain) => audit_one(net, &domain, &args.settings, &[Family::Ptr], json, fail_on, &mut tally).await,
            Target::Address(address) => {
                let report = reverse(net, address, args.settings.deadline()).await;
                tally.add(&report.findings, fail_on, is_untold(&report));
                if let Err(error) = if json { write_json(&report) } else { write_text(&mut anstream::stdout().lock(), &report) } {
                    complain(&error);
                }
            }
        }
    }
    tally.code()
}

/// One name that leads back is enough, whatever another one would say; without an answer to that nothing is told, however much was asked.
fn is_untold(report: &ReverseReport) -> bool {
    report.reverse.status == Status::None
}

fn write_text(out: &mut impl Write, report: &ReverseReport) -> io::Result<()> {
    let style = status_style(report.reverse.status);
    writeln!(out, "{}: {style}{}{style:#}", report.address, report.reverse.word)?;
    writeln!(out, "  {}", printable(&report.reason))?;
    for ReverseName { name, leads_back } in &report.names {
        let back = match leads_back {
            Some(true) => "leads back",
            Some(false) => "does not lead back",
            None => "could not be told",
        };
        writeln!(out, "  {}  {back}", printable(name))?;
    }
    write_findings(out, &report.findings)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_domains_are_told_apart() {
        for (text, address) in [("192.0.2.1", true), ("[2001:db8::1]", true), ("::ffff:192.0.2.1", true), ("mail.example", false)] {
            assert_eq!(matches!(parse_target(text), Ok(Target::Address(_))), address, "{text}");
        }
        assert!(parse_target("no name").is_err());
    }

    #[test]
    fn what_was_not_answered_counts_where_the_verdict_rests_on_it() {
        use waypost_types::outcome::CheckSummary;
        // An eleventh name may be the one that leads back; another that fails takes nothing from one that does.
        for (status, complete, untold) in
            [(Status::None, true, true), (Status::None, false, true), (Status::Ok, false, false), (Status::Warn, true, false)]
        {
            let report = ReverseReport {
                address: "192.0.2.1".to_owned(),
                names: Vec::new(),
                reverse: CheckSummary { status, word: String::new() },
                reason: String::new(),
                findings: Vec::new(),
                complete,
            };
            assert_eq!(is_untold(&report), untold, "{status:?} {complete}");
        }
    }
}
