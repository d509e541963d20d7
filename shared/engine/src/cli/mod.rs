//! Arguments of the command, what they share, and which file does what.

mod audit;
mod blacklist;
mod headers;
mod probe;
mod ptr;
mod service;
mod spf;
mod spf_tree;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use waypost_engine::{
    audit::Family,
    net::{Net, NetConfig},
};
use waypost_types::finding::{Finding, Severity};

/// Checks mail domains, mail servers and addresses.
#[derive(Debug, clap::Parser)]
#[command(name = "waypost", version, after_help = "Exit code: 0 fine, 1 findings at or above --fail-on, 2 usage, 3 could not tell.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(Debug, clap::Args)]
struct Common {
    /// One JSON object per line
    #[arg(long, global = true)]
    json: bool,
    /// Resolvers to ask; the system's when absent
    #[arg(long, global = true, env = "WAYPOST_RESOLVER", value_name = "IP:PORT,…", value_delimiter = ',', value_parser = parse_resolver)]
    resolver: Vec<SocketAddr>,
    /// The resolvers validate DNSSEC and are trusted to say so: their AD bit counts
    #[arg(long, global = true, env = "WAYPOST_RESOLVER_TRUST_AD", value_parser = clap::builder::FalseyValueParser::new())]
    trust_ad: bool,
    /// Exit with 1 from this severity on: critical, high, medium, low or info
    #[arg(long, global = true, value_name = "SEVERITY", default_value = "high", value_parser = parse_severity)]
    fail_on: Severity,
    /// Certificate authorities beside the built-in ones, PEM
    #[arg(long, global = true, env = "WAYPOST_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// All DNS and authentication audits of domains
    Audit(audit::AuditArgs),
    /// Audit the SPF record and draw its tree; with --ip evaluate it for a sender: `check_host()` of RFC 7208
    Spf(spf::SpfArgs),
    /// One SMTP conversation per address of a host
    Probe(probe::ProbeArgs),
    /// One look at a TCP port, a web address, a DNS record or a mailbox server
    Check(service::ServiceArgs),
    /// Addresses, networks and domains on block lists
    Blacklist(blacklist::BlacklistArgs),
    /// Read messages or their headers: hops, results, signatures, ARC
    Headers(headers::HeadersArgs),
    /// Read what mail systems write
    #[command(subcommand)]
    Parse(Parse),
    /// Audit MX records only
    Mx(audit::AuditArgs),
    /// Audit DKIM keys only
    Dkim(audit::AuditArgs),
    /// Audit the DMARC policy only
    Dmarc(audit::AuditArgs),
    /// Audit MTA-STS only
    MtaSts(audit::AuditArgs),
    /// Audit TLS reporting only
    TlsRpt(audit::AuditArgs),
    /// Audit BIMI only
    Bimi(audit::AuditArgs),
    /// Audit DANE only
    Dane(audit::AuditArgs),
    /// Reverse DNS of addresses, or of the MX hosts of domains
    Ptr(ptr::PtrArgs),
    /// Audit DNSSEC only
    Dnssec(audit::AuditArgs),
    /// Audit name servers only
    Ns(audit::AuditArgs),
}

#[derive(Debug, clap::Subcommand)]
enum Parse {
    /// The same as `waypost headers`
    Headers(headers::HeadersArgs),
}

/// What a command found that goes through its arguments one after the other, for its exit code: a finding outweighs what could not be told.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    found: bool,
    untold: bool,
}

impl Tally {
    fn add(&mut self, findings: &[Finding], fail_on: Severity, untold: bool) {
        self.found |= findings.iter().any(|finding| finding.severity >= fail_on);
        self.untold |= untold;
    }

    fn code(self) -> ExitCode {
        ExitCode::from(if self.found { 1 } else { u8::from(self.untold) * 3 })
    }
}

/// `IP:PORT`, or an address alone for port 53.
fn parse_resolver(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| format!("“{text}” is no resolver: it is written 192.0.2.1:53 or [2001:db8::1]:53"))
}

fn parse_severity(text: &str) -> Result<Severity, String> {
    text.parse().map_err(|()| "one of critical, high, medium, low, info".to_owned())
}

/// Says that output could not be written. Whoever reads it may stop early, as `head` does: that is no mistake.
fn complain(error: &io::Error) {
    if error.kind() != io::ErrorKind::BrokenPipe {
        eprintln!("waypost: {error}");
    }
}

/// One line of JSON.
fn write_json(report: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, report)?;
    writeln!(out)
}

/// The colour of a severity, where a person reads.
fn colour(severity: Severity) -> Style {
    match severity {
        Severity::Critical | Severity::High => AnsiColor::Red.on_default().bold(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low | Severity::Info => AnsiColor::Cyan.on_default(),
    }
}

/// Runs the command.
pub async fn run(args: Args) -> ExitCode {
    let Common { json, resolver, trust_ad, fail_on, ca_file } = args.common;
    let mut config = NetConfig { resolvers: resolver, trust_ad, ca_file, ..NetConfig::default() };
    if let Some(name) = std::env::var("WAYPOST_EHLO_NAME").ok().filter(|name| !name.is_empty()) {
        config.ehlo_name = name;
    }
    let net = match Net::new(config) {
        Ok(net) => net,
        Err(error) => {
            eprintln!("waypost: {error}");
            return ExitCode::from(2);
        }
    };
    let one = |family| vec![family];
    let (args, families) = match args.command {
        Command::Spf(args) => return spf::run(&net, &args, json, fail_on).await,
        Command::Check(args) => return service::run(&net, args, json, fail_on).await,
        Command::Probe(args) => return probe::run(&net, args, json, fail_on).await,
        Command::Ptr(args) => return ptr::run(&net, args, json, fail_on).await,
        Command::Blacklist(args) => return blacklist::run(&net, args, json, fail_on).await,
        Command::Headers(args) | Command::Parse(Parse::Headers(args)) => return headers::run(&net, args, json, fail_on).await,
        Command::Audit(args) => (args, Family::ALL.to_vec()),
        Command::Mx(args) => (args, one(Family::Mx)),
        Command::Dkim(args) => (args, one(Family::Dkim)),
        Command::Dmarc(args) => (args, one(Family::Dmarc)),
        Command::MtaSts(args) => (args, one(Family::MtaSts)),
        Command::TlsRpt(args) => (args, one(Family::TlsRpt)),
        Command::Bimi(args) => (args, one(Family::Bimi)),
        Command::Dane(args) => (args, one(Family::Dane)),
        Command::Dnssec(args) => (args, one(Family::Dnssec)),
        Command::Ns(args) => (args, one(Family::Ns)),
    };
    audit::run(&net, args, &families, json, fail_on).await
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[test]
    fn a_finding_outweighs_what_could_not_be_told() {
        let high: Finding = serde_json::from_str(r#"{"rule":"a.b","severity":"high","subject":"a","summary":"b","fix":"c"}"#).unwrap();
        for (steps, code) in [
            (vec![], 0),
            (vec![(vec![], true), (vec![], false)], 3),
            (vec![(vec![high.clone()], false), (vec![], true)], 1),
            (vec![(vec![Finding { severity: Severity::Low, ..high.clone() }], false)], 0),
        ] {
            let mut tally = Tally::default();
            for (findings, untold) in &steps {
                tally.add(findings, Severity::Medium, *untold);
            }
            assert_eq!(format!("{:?}", tally.code()), format!("{:?}", ExitCode::from(code)), "{steps:?}");
        }
    }

    #[test]
    fn arguments_are_well_formed() {
        Args::command().debug_assert();
        let args = Args::try_parse_from([
            "waypost",
            "spf",
            "",
            "--ip",
            "192.0.2.1",
            "--helo",
            "",
            "--mail-from",
            "",
            "--json",
            "--resolver",
            "127.0.0.1:5353",
        ])
        .unwrap();
        assert!(args.common.json && args.common.resolver.len() == 1 && args.common.fail_on == Severity::High);
        for right in [vec!["waypost", "headers", "-", "--json"], vec!["waypost", "parse", "headers", "a.eml", "b.eml"]] {
            assert!(Args::try_parse_from(right).is_ok());
        }
        assert!(Args::try_parse_from(["waypost", "spf", "a.example"]).is_ok());
        for wrong in [
            vec!["waypost"],
            vec!["waypost", "headers"],
            vec!["waypost", "parse"],
            vec!["waypost", "audit"],
            vec!["waypost", "spf"],
            vec!["waypost", "spf", "a.example", "--ip", "no address"],
            vec!["waypost", "spf", "a.example", "--helo", "h.example"],
            vec!["waypost", "audit", "a.example", "--fail-on", "bad"],
        ] {
            assert!(Args::try_parse_from(wrong).is_err());
        }
    }
}
