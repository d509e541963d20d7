//! `waypost probe`: one SMTP conversation per address of a host, with its transcript.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use waypost_engine::{
    net::Net,
    probe::{Asks, Credentials, Mechanism, ProbeTarget, Prober, Secret},
};
use waypost_types::{
    DomainName,
    finding::Severity,
    outcome::{ProbeMode, ProbeReport, SmtpReport, Speaker, Verdict},
};

use super::{
    audit::{status_style, write_findings},
    write_json,
};

/// Bytes of a password or token: tokens of some providers have several thousand.
const MOST_SECRET: u64 = 16_384;

/// Arguments of `waypost probe`.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // independent switches, no states
pub struct ProbeArgs {
    /// Host name or address, with a port when it is not 25: `mx.example.com`, `192.0.2.1:587`, `[2001:db8::1]:465`
    #[arg(value_name = "HOST[:PORT]", value_parser = parse_target)]
    target: (String, u16),
    /// How TLS is spoken; implicit on port 465 and starttls elsewhere when absent
    #[arg(long, value_parser = parse_mode, value_name = "plain|starttls|implicit")]
    mode: Option<ProbeMode>,
    /// Log in as this user, under TLS only
    #[arg(long, value_name = "USER")]
    auth: Option<String>,
    /// File with the password or token; stdin when absent or -
    #[arg(long, value_name = "FILE", requires = "auth")]
    password_file: Option<PathBuf>,
    /// What is read is an OAuth 2.0 access token, for OAUTHBEARER or XOAUTH2
    #[arg(long, requires = "auth")]
    token: bool,
    /// Log in by this mechanism; the best of those offered when absent
    #[arg(long, value_parser = parse_mechanism, value_name = "NAME", requires = "auth")]
    mechanism: Option<Mechanism>,
    /// Log in even where the certificate does not prove the server: whoever answers may learn the password
    #[arg(long, requires = "auth")]
    any_certificate: bool,
    /// Of your own server: ask whether it takes mail for postmaster and abuse of this domain; nothing is sent
    #[arg(long, value_name = "DOMAIN", value_parser = parse_domain)]
    recipients_of: Option<DomainName>,
    /// With --recipients-of: send postmaster, and a made-up recipient where it is taken, a message that claims too many hops to be delivered; see whether
    /// LF alone ends it, and whether the recipient is refused only then
    #[arg(long, requires = "recipients_of")]
    data: bool,
    /// Of your own server: ask whether it relays from strangers to strangers; nothing is sent
    #[arg(long)]
    relay: bool,
    /// Of your own server: see whether it obeys, under TLS, a NOOP that was sent before it
    #[arg(long)]
    injection: bool,
    /// Of your own server: ask whether VRFY and EXPN tell who has a mailbox
    #[arg(long)]
    users: bool,
    /// Follow the way to each address over TCP, router by router; sends nothing, and needs no privilege on Linux
    #[arg(long)]
    trace: bool,
    /// See whether TLS 1.1 and older, or weak suites, are accepted: four connections more
    #[arg(long)]
    old_tls: bool,
    /// See whether a server for users has ports 465 and 587: a conversation more with each address
    #[arg(long)]
    submission: bool,
}

fn parse_domain(text: &str) -> Result<DomainName, String> {
    text.parse::<DomainName>().map_err(|error| error.to_string())
}

pub(super) fn parse_mode(text: &str) -> Result<ProbeMode, String> {
    [ProbeMode::Plain, ProbeMode::Starttls, ProbeMode::Implicit]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| "one of plain, starttls, implicit".to_owned())
}

fn parse_mechanism(text: &str) -> Result<Mechanism, String> {
    let known = || Mechanism::ALL.map(Mechanism::as_str).join(", ");
    Mechanism::ALL.into_iter().find(|mechanism| mechanism.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| format!("one of {}", known()))
}

fn parse_target(text: &str) -> Result<(String, u16), String> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| format!("“{text}” is no port: 1 to 65535"));
    let (host, port) = if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        (host, rest.strip_prefix(':').map_or(Ok(25), port)?)
    } else if text.matches(':').count() == 1 {
        let (host, number) = text.split_once(':').unwrap_or((text, "25"));
        (host, port(number)?)
    } else {
        // More than one colon and no brackets: an IPv6 address alone.
        (text, 25)
    };
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok((host.to_owned(), port));
    }
    let host = host.trim_end_matches('.');
    match idna::domain_to_ascii(host) {
        Ok(ascii) if !ascii.is_empty() => Ok((ascii, port)),
        _ => Err(format!("“{host}” is neither a host name nor an address")),
    }
}

/// Runs it: 0 fine, 1 down or a finding at or above `fail_on`, 2 usage, 3 could not tell.
pub async fn run(net: &Net, args: ProbeArgs, json: bool, fail_on: Severity) -> ExitCode {
    let read = |user| {
        let secret = read_secret(args.password_file.as_ref())?;
        let secret = if args.token { Secret::Token(secret) } else { Secret::Password(secret) };
        Ok::<_, io::Error>(Credentials { user, secret, mechanism: args.mechanism, any_certificate: args.any_certificate })
    };
    let auth = match args.auth.map(read).transpose() {
        Ok(auth) => auth,
        Err(error) => {
            eprintln!("waypost: the password can not be read: {error}");
            return ExitCode::from(2);
        }
    };
    let asks = Asks {
        recipients_of: args.recipients_of,
        data: args.data,
        relay: args.relay,
        users: args.users,
        injection: args.injection,
        old_tls: args.old_tls,
        submission: args.submission,
    };
    let (host, port) = args.target;
    let target = ProbeTarget { host, port, mode: args.mode.unwrap_or(ProbeMode::of_port(port)), auth };
    // Whoever types a command knows their network: what a port answers, or does not, is the answer here.
    let prober = Prober::new(net).with_open_ports();
    let mut report = prober.probe(&target).await;
    if !asks.is_empty() {
        for held in &mut report.probes {
            let Some(look) = prober.look_closely(&target, &asks, held).await else { continue };
            held.findings.extend(look.findings);
            held.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            held.unknown.extend(look.unknown);
            held.transcript.extend(look.transcript);
        }
    }
    if args.trace {
        for held in &mut report.probes {
            let Some(address) = held.address else { continue };
            held.trace = Some(prober.trace(SocketAddr::new(address, held.port)).await);
        }
    }
    if let Err(error) = write(&report, json) {
        super::complain(&error);
    }
    exit_code(&report, fail_on)
}

fn read_secret(file: Option<&PathBuf>) -> io::Result<secrecy::SecretString> {
    let mut text = String::new();
    match file {
        Some(path) if path.as_os_str() != "-" => std::fs::File::open(path)?.take(MOST_SECRET).read_to_string(&mut text)?,
        _ => io::stdin().take(MOST_SECRET).read_to_string(&mut text)?,
    };
    Ok(text.lines().next().unwrap_or_default().into())
}

fn exit_code(report: &SmtpReport, fail_on: Severity) -> ExitCode {
    let found = report.probes.iter().flat_map(|probe| &probe.findings).any(|finding| finding.severity >= fail_on);
    match report.verdict {
        Verdict::Down => ExitCode::from(1),
        _ if found => ExitCode::from(1),
        Verdict::Unknown => ExitCode::from(3),
        // What is untold would have been of severity low at most.
        _ if fail_on <= Severity::Low && report.probes.iter().any(|probe| !probe.unknown.is_empty()) => ExitCode::from(3),
        // Degraded by an answer rather than a finding (a greeting 4xx) weighs as much as a medium one.
        Verdict::Degraded if fail_on <= Severity::Medium => ExitCode::from(1),
        Verdict::Up | Verdict::Degraded => ExitCode::SUCCESS,
    }
}

fn write(report: &SmtpReport, json: bool) -> io::Result<()> {
    for probe in &report.probes {
        if json {
            write_json(probe)?;
        } else {
            write_text(&mut anstream::stdout().lock(), probe)?;
        }
    }
    Ok(())
}

fn write_text(out: &mut impl Write, probe: &ProbeReport) -> io::Result<()> {
    let address = probe.address.map(|address| format!(" ({address})")).unwrap_or_default();
    let style = status_style(probe.verdict.into());
    writeln!(out, "{}{address} port {} {}: {style}{}{style:#}", probe.host, probe.port, probe.mode.as_str(), probe.verdict.as_str())?;
    writeln!(out, "  {}", probe.reason)?;
    let stages = probe.stage_ms;
    let named = [
        ("dns", stages.dns),
        ("connect", stages.connect),
        ("banner", stages.banner),
        ("ehlo", stages.ehlo),
        ("tls", stages.tls),
        ("auth", stages.auth),
        ("total", stages.total),
    ];
    let stages: Vec<String> = named.into_iter().filter_map(|(name, ms)| ms.map(|ms| format!("{name} {ms:.1} ms"))).collect();
    writeln!(out, "  {}", stages.join(", "))?;
    if let Some(tls) = &probe.tls {
        let expires = tls.expires.map(|expires| format!(", expires {}", expires.format("%Y-%m-%d"))).unwrap_or_default();
        let trust = tls.trust_problem.as_deref().unwrap_or("trusted");
        writeln!(out, "  {} {} {}", tls.version, tls.cipher, tls.key_exchange)?;
        writeln!(out, "  {} ({}): {}{expires}, {trust}", tls.subject, tls.key, tls.names.join(" "))?;
        for issuer in &tls.chain {
            let expires = issuer.expires.map(|expires| format!(", expires {}", expires.format("%Y-%m-%d"))).unwrap_or_default();
            writeln!(out, "    {} ({}){expires}", issuer.subject, issuer.key)?;
        }
    }
    if let Some(dane) = probe.tls.as_ref().and_then(|tls| tls.dane.as_ref()) {
        let said =
            dane.matched.as_deref().or(dane.reason.as_deref()).map(|said| format!(": {}", waypost_engine::printable(said))).unwrap_or_default();
        writeln!(out, "  DANE, {}: {}{said}", dane.owner, dane.state.word())?;
    }
    if let Some(login) = probe.auth.as_ref().and_then(|auth| auth.login.as_ref()) {
        writeln!(out, "  login: {}", login.reason)?;
    }
    write_findings(out, &probe.findings)?;
    for part in &probe.unknown {
        writeln!(out, "  unknown: {}", waypost_engine::printable(&part.reason))?;
    }
    if let Some(trace) = &probe.trace {
        writeln!(out, "  {}", trace.summary)?;
        for hop in &trace.hops {
            let ms = hop.ms.map(|ms| format!(" {ms:.1} ms")).unwrap_or_default();
            writeln!(out, "  {:>4}  {}{ms}", hop.number, hop.who())?;
        }
    }
    if !probe.transcript.is_empty() {
        writeln!(out)?;
    }
    for line in &probe.transcript {
        let arrow = if line.from == Speaker::Client { '>' } else { '<' };
        writeln!(out, "  {:>6} {arrow} {}", line.at_ms, line.line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, host, port) in [
            ("mx.example.com", "mx.example.com", 25),
            ("MX.example.com.:587", "mx.example.com", 587),
            ("bücher.example", "xn--bcher-kva.example", 25),
            ("192.0.2.1:465", "192.0.2.1", 465),
            ("[2001:db8::1]:465", "2001:db8::1", 465),
            ("[2001:db8::1]", "2001:db8::1", 25),
            ("2001:db8::1", "2001:db8::1", 25),
        ] {
            assert_eq!(parse_target(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in ["", "a:0", "a:65536", "a:smtp", "[::1]:x", ":25"] {
            assert!(parse_target(text).is_err(), "{text}");
        }
    }
}
