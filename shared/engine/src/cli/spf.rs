//! `waypost spf`: the audit of a record with its tree, or with `--ip` `check_host()` for one sender. Names of an evaluation are taken as given,
//! also empty or malformed: always one line.

use std::{borrow::Cow, ffi::OsString, io::Write, net::IpAddr, process::ExitCode};

use waypost_engine::{
    audit::{AuditOptions, Family, audit_families},
    net::Net,
    spf::{SpfEvaluation, SpfResult, check_host},
};
use waypost_types::{DomainName, finding::Severity};

use super::{audit, spf_tree};

/// Arguments of `waypost spf`.
#[derive(Debug, clap::Args)]
pub struct SpfArgs {
    /// The domain whose policy is asked: that of MAIL FROM, or of HELO when MAIL FROM is empty
    #[arg(allow_hyphen_values = true)]
    domain: OsString,
    /// The address that sends; without it the record is audited and its tree of lookups drawn
    #[arg(long)]
    ip: Option<IpAddr>,
    /// What it says in HELO or EHLO; the domain when absent
    #[arg(long, requires = "ip", allow_hyphen_values = true)]
    helo: Option<OsString>,
    /// The envelope sender; postmaster at the domain when absent
    #[arg(long, aliases = ["sender", "from"], requires = "ip", value_name = "ADDRESS", allow_hyphen_values = true)]
    mail_from: Option<OsString>,
}

/// Runs it: 0 for pass, neutral and none, 1 for what receivers refuse (softfail from `--fail-on` medium on), 3 for a temporary error; an audit
/// ends as audits do.
pub async fn run(net: &Net, args: &SpfArgs, json: bool, fail_on: Severity) -> ExitCode {
    let domain = args.domain.to_string_lossy();
    let Some(ip) = args.ip else { return draw(net, &domain, json, fail_on).await };
    let domain = as_asked(domain);
    let helo = args.helo.as_ref().map_or_else(|| domain.clone(), |helo| helo.to_string_lossy());
    let mail_from = args.mail_from.as_ref().map_or_else(|| format!("postmaster@{domain}").into(), |from| from.to_string_lossy());
    let evaluation = check_host(net.dns(), ip, &domain, &mail_from, &helo, net.now().timestamp()).await;
    if let Err(error) = write(&evaluation, json) {
        super::complain(&error);
    }
    match evaluation.result {
        SpfResult::Fail | SpfResult::PermError => ExitCode::from(1),
        SpfResult::SoftFail if fail_on <= Severity::Medium => ExitCode::from(1),
        SpfResult::TempError => ExitCode::from(3),
        SpfResult::Pass | SpfResult::SoftFail | SpfResult::Neutral | SpfResult::None => ExitCode::SUCCESS,
    }
}

/// A name in a person's letters as DNS has it (RFC 7208 4.3); any other as it was given.
fn as_asked(domain: Cow<'_, str>) -> Cow<'_, str> {
    match domain.parse::<DomainName>() {
        Ok(name) if !domain.is_ascii() => name.as_str().to_owned().into(),
        _ => domain,
    }
}

async fn draw(net: &Net, domain: &str, json: bool, fail_on: Severity) -> ExitCode {
    let domain = match audit::parse_domain(domain) {
        Ok(domain) => domain,
        Err(error) => {
            eprintln!("waypost: {error}");
            return ExitCode::from(2);
        }
    };
    let report = audit_families(net, &domain, &AuditOptions::default(), &[Family::Spf]).await;
    let written = match report.detail.spf.as_ref().filter(|_| !json) {
        Some(detail) => spf_tree::write(&mut anstream::stdout().lock(), detail),
        None => Ok(()),
    };
    if let Err(error) = written.and_then(|()| audit::write(&report, json)) {
        super::complain(&error);
    }
    let mut tally = super::Tally::default();
    tally.add(&report.findings, fail_on, audit::is_untold(&report, &[Family::Spf]));
    tally.code()
}

fn write(evaluation: &SpfEvaluation, json: bool) -> std::io::Result<()> {
    if json {
        return super::write_json(evaluation);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {}", evaluation.result.as_str(), waypost_engine::printable(&evaluation.explanation))?;
    if let Some(term) = &evaluation.mechanism {
        writeln!(out, "  matched {term}")?;
    }
    writeln!(out, "  {} of 10 lookups, {} of 2 void lookups", evaluation.lookups, evaluation.void_lookups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_as_dns_has_them() {
        for (given, asked) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("E.Example.", "E.Example."),
            ("", ""),
            ("localhost", "localhost"),
            ("ü..example", "ü..example"),
        ] {
            assert_eq!(as_asked(given.into()), asked);
        }
    }
}
