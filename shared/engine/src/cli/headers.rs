//! `waypost headers`: reads messages or their headers and says which way they went, what receivers found and what is wrong.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use waypost_engine::{
    headers::{MAX_MESSAGE, analyse, span},
    net::Net,
    printable,
};
use waypost_types::{
    finding::Severity,
    headers::{ArcState, AuthResults, HeaderReport, Hop, NO_MESSAGE, Verified},
};

use super::Tally;

/// Arguments of `waypost headers`.
#[derive(Debug, clap::Args)]
pub struct HeadersArgs {
    /// Messages, whole or only their header; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Runs it, one file after the other: 1 with a finding at or above `fail_on`, 2 for a file that can not be read, 3 when what matters could not be told.
pub async fn run(net: &Net, args: HeadersArgs, json: bool, fail_on: Severity) -> ExitCode {
    let mut tally = Tally::default();
    for file in &args.files {
        let raw = match read(file) {
            Ok(raw) => raw,
            Err(error) => {
                eprintln!("waypost: {} can not be read: {error}", file.display());
                return ExitCode::from(2);
            }
        };
        let report = analyse(net, &raw).await;
        tally.add(&report.findings, fail_on, is_untold(&report));
        let written = if json { super::write_json(&report) } else { write_text(&mut anstream::stdout().lock(), file, &report) };
        if let Err(error) = written {
            super::complain(&error);
        }
    }
    tally.code()
}

/// Whoever gives a header without its body knows that body hashes can not be checked; a text without header fields tells nothing at all.
fn is_untold(report: &HeaderReport) -> bool {
    report.is_no_message() || report.unknown.iter().any(|part| part.subject != "body")
}

/// One octet more than is read, so that the report can say that something was cut off.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    let bound = u64::try_from(MAX_MESSAGE).unwrap_or(u64::MAX).saturating_add(1);
    if file.as_os_str() == "-" {
        io::stdin().lock().take(bound).read_to_end(&mut raw)?;
    } else {
        std::fs::File::open(file)?.take(bound).read_to_end(&mut raw)?;
    }
    Ok(raw)
}

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
/// Columns of the longest delay's bar.
const BAR: u64 = 12;

fn painted(style: Style, text: &str) -> String {
    format!("{style}{}{style:#}", printable(text))
}

fn write_text(out: &mut impl Write, file: &Path, report: &HeaderReport) -> io::Result<()> {
    if report.is_no_message() {
        return writeln!(out, "{}: {NO_MESSAGE}", printable(&file.to_string_lossy()));
    }
    let title = report.subject.clone().unwrap_or_else(|| "(no subject)".to_owned());
    writeln!(out, "{}: {}", printable(&file.to_string_lossy()), painted(BOLD, &title))?;
    let date = report.date.map(|date| date.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    for (name, value) in [("From", Some(report.from.join(", "))), ("Date", date), ("Message-ID", report.message_id.clone())] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            writeln!(out, "  {name:<11} {}", printable(&value))?;
        }
    }
    for remark in &report.remarks {
        writeln!(out, "  {}", painted(WARN, remark))?;
    }
    write_hops(out, report)?;
    write_authentication(out, report)?;
    write_signatures(out, report)?;
    write_findings(out, report)?;
    writeln!(out)
}

fn heading(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n  {}", painted(BOLD, text))
}

fn write_hops(out: &mut impl Write, report: &HeaderReport) -> io::Result<()> {
    let total = report.total_seconds.map(|total| format!(", {} in all", span(total))).unwrap_or_default();
    heading(out, &format!("Hops: {}{total}", report.hops.len()))?;
    let longest = report.hops.iter().filter_map(|hop| hop.delay_seconds).max().unwrap_or(0).max(1);
    for (at, hop) in report.hops.iter().enumerate() {
        let time = hop.time.map_or_else(|| "no time".to_owned(), |time| time.format("%Y-%m-%d %H:%M:%S").to_string());
        let (style, delay) = match (hop.skew_seconds, hop.delay_seconds) {
            (Some(skew), _) => (WARN, format!("clock {} off", span(skew))),
            (None, Some(delay)) => (if delay > 300 { BAD } else { FAINT }, format!("+{}", span(delay))),
            (None, None) => (FAINT, String::new()),
        };
        let bar = "#".repeat(usize::try_from(hop.delay_seconds.unwrap_or(0) * BAR / longest).unwrap_or(0));
        writeln!(out, "  {:>3}  {time:<19}  {style}{delay:>14}  {bar:<12}{style:#}  {}", at + 1, printable(&way(hop)))?;
        for remark in &hop.remarks {
            writeln!(out, "       {}", painted(WARN, remark))?;
        }
        if hop.by.is_none() && hop.helo.is_none() && hop.address.is_none() {
            writeln!(out, "       {}", painted(FAINT, &hop.raw.chars().take(200).collect::<String>()))?;
        }
    }
    Ok(())
}

/// `from [address] → by, ESMTPS TLSv1.3, id X, for Y`
fn way(hop: &Hop) -> String {
    let name = hop.reverse.as_ref().or(hop.helo.as_ref());
    let address = hop.address.map(|address| format!("[{address}]{}", if hop.private { " private" } else { "" }));
    let from: Vec<String> = name.cloned().into_iter().chain(address).collect();
    let arrow = if from.is_empty() { String::new() } else { format!("{} → ", from.join(" ")) };
    let mut parts = vec![hop.by.clone().or_else(|| hop.software.clone()).unwrap_or_else(|| "?".to_owned())];
    let link: Vec<&str> = hop.with.as_deref().into_iter().chain(hop.tls_version.as_deref()).collect();
    if !link.is_empty() {
        parts.push(link.join(" "));
    }
    if hop.encrypted == Some(false) && !hop.private && hop.address.is_some() {
        parts.push("not encrypted".to_owned());
    }
    parts.extend(hop.id.as_ref().map(|id| format!("id {id}")));
    parts.extend(hop.recipient.as_ref().map(|recipient| format!("for {recipient}")));
    format!("{arrow}{}", parts.join(", "))
}

fn style_of(result: &str) -> Style {
    match result {
        "pass" => GOOD,
        "fail" | "permerror" | "hardfail" => BAD,
        "softfail" | "temperror" | "policy" => WARN,
        _ => FAINT,
    }
}

fn write_authentication(out: &mut impl Write, report: &HeaderReport) -> io::Result<()> {
    heading(out, "Authentication results")?;
    writeln!(out, "  {}", printable(&report.belief))?;
    for field in &report.authentication {
        writeln!(out, "  {}", painted(if field.believable { BOLD } else { FAINT }, &title_of(field)))?;
        for method in &field.results {
            let style = if field.believable { style_of(&method.result) } else { FAINT };
            let reason = method.reason.as_ref().map(|reason| format!("reason={reason}"));
            let properties = method.properties.iter().map(|property| format!("{}={}", property.name, property.value));
            let properties: Vec<String> = reason.into_iter().chain(properties).collect();
            writeln!(out, "    {:<8} {} {}", printable(&method.method), painted(style, &method.result), printable(&properties.join(" ")))?;
        }
    }
    for field in &report.received_spf {
        writeln!(
            out,
            "  Received-SPF: {} {}",
            painted(style_of(&field.result), &field.result),
            printable(field.comment.as_deref().unwrap_or_default())
        )?;
    }
    writeln!(out, "  {}", printable(&report.alignment.words))?;
    if let Some(dmarc) = &report.dmarc {
        writeln!(out, "  DMARC policy of {}: {}", printable(&dmarc.owner), printable(&dmarc.policy))?;
    } else if let Some(record) = &report.dmarc_record {
        writeln!(out, "  DMARC policy: {}", printable(record))?;
    }
    Ok(())
}

fn title_of(field: &AuthResults) -> String {
    let who = field.authserv_id.as_deref().unwrap_or("(no authserv-id)");
    match field.instance {
        Some(instance) => format!("{who}, ARC instance {instance}"),
        None if field.believable => who.to_owned(),
        None => format!("{who}, not to be believed"),
    }
}

fn verified(verified: Verified) -> String {
    let style = match verified {
        Verified::Valid => GOOD,
        Verified::Broken => BAD,
        Verified::NoKey => WARN,
        Verified::Unknown => FAINT,
    };
    format!("{style}{:<7}{style:#}", verified.as_str())
}

fn write_signatures(out: &mut impl Write, report: &HeaderReport) -> io::Result<()> {
    if !report.signatures.is_empty() {
        heading(out, "DKIM signatures")?;
    }
    for signature in &report.signatures {
        let aligned = match signature.aligned {
            Some(true) => "aligned",
            Some(false) => "not aligned",
            None => "alignment not known",
        };
        let about = format!("d={} s={} {}, {aligned}: {}", signature.domain, signature.selector, signature.algorithm, signature.reason);
        writeln!(out, "  {} {}", verified(signature.verified), printable(&about))?;
        if let Some(advice) = &signature.advice {
            writeln!(out, "          {}", printable(advice))?;
        }
    }
    if report.arc.state == ArcState::None {
        return Ok(());
    }
    heading(out, &format!("ARC chain: {}", report.arc.state.as_str()))?;
    writeln!(out, "  {}", printable(&report.arc.reason))?;
    if !report.arc.receiver.is_empty() {
        writeln!(out, "  {}", printable(&report.arc.receiver))?;
    }
    for set in &report.arc.sets {
        let domain = set.domain.as_deref().unwrap_or("?");
        let cv = set.cv.as_deref().unwrap_or("?");
        let failed = if report.arc.failed_instance == Some(set.instance) { painted(BAD, " the chain fails here") } else { String::new() };
        writeln!(out, "  i={} {} cv={}{failed}", set.instance, printable(domain), printable(cv))?;
        writeln!(out, "    {}", printable(&set.vouched))?;
        writeln!(out, "    seal     {} {}", verified(set.seal), printable(&set.seal_reason))?;
        writeln!(out, "    message  {} {}", verified(set.message_signature), printable(&set.message_signature_reason))?;
    }
    Ok(())
}

fn write_findings(out: &mut impl Write, report: &HeaderReport) -> io::Result<()> {
    if !report.findings.is_empty() {
        heading(out, "Findings")?;
    }
    for finding in &report.findings {
        let style = match finding.severity {
            Severity::Critical | Severity::High => BAD,
            Severity::Medium => WARN,
            Severity::Low | Severity::Info => FAINT,
        };
        writeln!(out, "  {style}{:<8}{style:#} {}: {}", finding.severity.as_str(), finding.rule, printable(&finding.summary))?;
        writeln!(out, "           {}", printable(&finding.fix))?;
    }
    if !report.unknown.is_empty() {
        heading(out, "Could not be told")?;
    }
    for part in &report.unknown {
        writeln!(out, "  {:<8} {}", printable(&part.subject), printable(&part.reason))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use waypost_types::finding::UnknownPart;

    use super::*;

    #[test]
    fn what_counts_as_untold() {
        let unknown = |subject: &str| HeaderReport {
            from: vec!["a@example.com".to_owned()],
            unknown: vec![UnknownPart::new(subject, "")],
            ..HeaderReport::default()
        };
        assert!(is_untold(&HeaderReport::default()));
        assert!(!is_untold(&unknown("body")));
        assert!(is_untold(&unknown("s1._domainkey.example.com")));
    }

    #[test]
    fn the_text_has_no_control_characters_of_the_message() {
        let report = HeaderReport {
            subject: Some("\u{1b}[31mred".to_owned()),
            hops: vec![Hop { by: Some("\u{7}bell".to_owned()), delay_seconds: Some(3), ..Hop::default() }],
            ..HeaderReport::default()
        };
        let mut out = anstream::StripStream::new(Vec::new());
        write_text(&mut out, Path::new("m.eml"), &report).unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        assert!(text.contains("\\u{1b}[31mred") && text.contains("\\u{7}bell") && text.contains("+3 s  ############"), "{text}");
    }
}
