//! Findings about a conversation, by the rules of the catalog, and the verdict they make.

use std::time::Duration;

use chrono::{DateTime, Utc};
use waypost_types::{
    finding::{Finding, Severity},
    outcome::{AuthReport, LoginOutcome, ProbeMode, ProbeReport, Verdict},
};

use super::{auth::shows_secret, banner, codes, conversation::crossed_out, dane, extensions, tls::Judged};
use crate::audit::rules::{Remark, remark};

/// What the conversation showed beside the report.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent observations, no states
pub(super) struct Seen {
    /// EHLO was refused and HELO taken.
    pub helo_only: bool,
    /// EHLO offered no STARTTLS.
    pub starttls_missing: bool,
    /// STARTTLS was offered and refused with this.
    pub starttls_refused: Option<String>,
    /// The handshake failed: why, and whether for old versions.
    pub handshake_failed: Option<(String, bool)>,
    /// The suite that it takes, where it takes none with forward secrecy.
    pub only_rsa: Option<&'static str>,
    /// The judged certificate.
    pub certificate: Option<Judged>,
    /// A line beyond the 512 bytes of RFC 5321.
    pub long_line: bool,
    /// A line that ended in LF alone.
    pub bare_lf: bool,
    /// The banner's name is not the host's, and the reverse names of the address, none of which it is either.
    pub foreign_banner: Option<Vec<String>>,
    /// How long each reply was waited for, the greeting's left out.
    pub waits: Vec<Duration>,
    /// The name in the reply to EHLO.
    pub ehlo_name: Option<String>,
    /// What the name that the server gives itself would earn it as a HELO name.
    pub as_helo: Option<Finding>,
    /// What TLSA records that match nothing earn it.
    pub dane_mismatch: Option<Finding>,
}

/// Ports where mail programs log in and check the certificate strictly.
pub(super) fn is_submission(port: u16) -> bool {
    matches!(port, 465 | 587)
}

/// A greeting that takes longer is remarked: senders should wait for five minutes (RFC 5321 4.5.3.2.1), and some give up sooner.
const SLOW_GREETING_MS: f64 = 30_000.0;
/// A server that takes so long for most of its replies does it on purpose; a busy one is slow now and then.
const TARPIT: Duration = Duration::from_secs(2);

/// Adds the findings, worst first.
pub(super) fn add(report: &mut ProbeReport, seen: &Seen, now: DateTime<Utc>) {
    let mut remarks = Vec::new();
    tls(report, seen, &mut remarks);
    if let Some(certificate) = &seen.certificate {
        judge_certificate(&report.host, is_submission(report.port), certificate, now, &mut remarks);
    }
    if is_submission(report.port) {
        remarks = remarks.into_iter().map(Remark::for_submission).collect();
    } else if let Some(dane) = report.tls.as_ref().and_then(|tls| tls.dane.as_ref()) {
        remarks = remarks.into_iter().map(|remark| dane::weighed(remark, dane)).collect();
    }
    smtp(report, seen, &mut remarks);
    auth(report, &mut remarks);
    extensions::judge(report, &mut remarks);
    report.findings = remarks.into_iter().map(|remark| remark.with("host", &report.host).done()).collect();
    report.findings.extend(seen.dane_mismatch.clone());
    let known: Vec<String> = report.findings.iter().map(|finding| finding.rule.clone()).collect();
    let said = |finding: &Finding| {
        let already = if finding.rule == "helo.not_fqdn" { "smtp.banner_bad" } else { "smtp.banner_mismatch" };
        known.iter().any(|rule| rule == already)
    };
    report.findings.extend(seen.as_helo.iter().filter(|finding| !said(finding)).cloned().map(|finding| hint(&report.host, finding)));
    report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
}

/// A host may send under another name than it receives under: what is seen here is a hint, and no more than low.
fn hint(host: &str, finding: Finding) -> Finding {
    let summary = format!("If {host} sends mail under the name it receives under: {}", finding.summary);
    Finding { severity: finding.severity.min(Severity::Low), summary, ..finding }
}

fn tls(report: &ProbeReport, seen: &Seen, remarks: &mut Vec<Remark>) {
    let host = &report.host;
    if seen.starttls_missing
        && let Some(word) = crossed_out(&report.extensions)
    {
        let summary = format!("{host} shows “{word}” on port {} where STARTTLS should stand: something on the way crosses it out", report.port);
        remarks.push(remark("starttls.ehlo_hidden", host, summary));
    } else if seen.starttls_missing {
        let why = if seen.helo_only { ": the server knows HELO only" } else { "" };
        remarks.push(remark("starttls.missing", host, format!("{host} does not offer STARTTLS on port {}{why}", report.port)));
    }
    if let Some(reply) = &seen.starttls_refused {
        let summary = format!("{host} offers STARTTLS and then refuses it: {reply}");
        remarks.push(remark("starttls.handshake_fails", host, summary).severity(Severity::High));
    }
    if let Some((reason, old)) = &seen.handshake_failed {
        let rule = if *old { "tls.no_12" } else { "starttls.handshake_fails" };
        remarks.push(remark(rule, host, format!("The TLS handshake with {host} on port {} fails: {reason}", report.port)));
    }
    if let Some(suite) = seen.only_rsa {
        let summary = format!("{host} refuses every TLS suite with forward secrecy on port {} and takes {suite}", report.port);
        remarks.push(remark("tls.no_forward_secrecy", host, summary));
    }
    if report.tls.as_ref().is_some_and(|tls| tls.version == "TLSv1.2") {
        remarks.push(remark("tls.no_13", host, format!("{host} speaks TLS 1.2, not 1.3")));
    }
}

/// What a certificate earns a host. Where programs check it strictly, another name in it is as bad as none that is valid.
pub(crate) fn judge_certificate(host: &str, strict: bool, judged: &Judged, now: DateTime<Utc>, remarks: &mut Vec<Remark>) {
    if let Some(from) = judged.report.not_before.filter(|from| now < *from) {
        let summary = format!("The certificate of {host} is not valid before {}", day(from));
        remarks.push(remark("cert.expired", host, summary).fix("Check the clock of the machine that issued it, or use the certificate before."));
    }
    if let Some(to) = judged.report.expires {
        if now > to {
            remarks.push(remark("cert.expired", host, format!("The certificate of {host} expired on {}", day(to))));
        } else if let Some(severity) = expiry_severity((to - now).num_hours()) {
            let summary = format!("The certificate of {host} expires on {}, in {}", day(to), left(to, now));
            remarks.push(remark("cert.expires_soon", host, summary).severity(severity));
        }
    }
    if !judged.report.name_matches {
        let names = if judged.report.names.is_empty() { "no name".to_owned() } else { some(&judged.report.names) };
        let found = remark("cert.name_mismatch", host, format!("The certificate does not name {host}: it is for {names}"));
        remarks.push(if strict { found.severity(Severity::High) } else { found });
    }
    if let Some((problem, fix)) = &judged.untrusted {
        let found = remark("cert.untrusted", host, format!("The certificate of {host} is not trusted: {problem}"));
        remarks.push(if let Some(fix) = fix { found.fix(fix) } else { found });
    }
    if let Some((end, subject)) = &judged.chain_ends
        && let Some(severity) = expiry_severity((*end - now).num_hours())
    {
        let summary = format!("The certificate of {host} was issued by “{subject}”, whose certificate ends on {}, in {}", day(*end), left(*end, now));
        let fix = "Send the issuer's new intermediate certificate: the authority publishes it, and ACME clients fetch it at the next renewal.";
        remarks.push(remark("cert.expires_soon", host, summary).severity(severity).fix(fix));
    }
    if let Some(weak) = &judged.weak {
        remarks.push(remark("cert.weak_key", host, format!("The certificate of {host} {weak}")));
    }
}

/// 30, 14, 7 and 1 days before the end.
fn expiry_severity(hours: i64) -> Option<Severity> {
    match hours {
        ..24 => Some(Severity::High),
        24..168 => Some(Severity::Medium),
        168..336 => Some(Severity::Low),
        336..720 => Some(Severity::Info),
        _ => None,
    }
}

fn smtp(report: &ProbeReport, seen: &Seen, remarks: &mut Vec<Remark>) {
    let host = &report.host;
    if let Some(banner) = &report.banner {
        if !banner::has_host_name(banner) {
            remarks.push(remark("smtp.banner_bad", host, format!("The greeting does not begin with a full host name: “220 {banner}”")));
        } else if seen.long_line {
            let summary = format!("{host} sends reply lines longer than 512 bytes");
            remarks.push(remark("smtp.banner_bad", host, summary).fix("Shorten the banner and the extension list; RFC 5321 4.5.3.1.5 allows 512."));
        }
        if let Some(reverse) = &seen.foreign_banner {
            let name = banner::name(banner);
            let reverse = if reverse.is_empty() { "which it does not have".to_owned() } else { format!("which is {}", some(reverse)) };
            let summary = format!("{host} greets as {name}: that is neither its own name nor the reverse name of its address, {reverse}");
            remarks.push(remark("smtp.banner_mismatch", host, summary));
        }
    }
    remarks.extend(slowness(report, &seen.waits));
    if seen.bare_lf {
        remarks.push(remark("smtp.reply_bare_lf", host, format!("{host} ends lines of its replies with LF alone")));
    }
    remarks.extend(codes::judge(host, &[&report.transcript]));
}

/// Deliberate waits are told from a server that is busy, and neither from one that is down.
fn slowness(report: &ProbeReport, waits: &[Duration]) -> Option<Remark> {
    let host = &report.host;
    let slow: Vec<f64> = waits.iter().filter(|wait| **wait >= TARPIT).map(Duration::as_secs_f64).collect();
    // Most of them: some tarpits let go once TLS stands.
    if slow.len() > 1 && slow.len() * 2 > waits.len() {
        let shortest = slow.iter().copied().fold(f64::INFINITY, f64::min);
        let summary = format!("{host} delays its replies, by {:.0} seconds at least", shortest.floor());
        return Some(remark("smtp.tarpit", host, summary));
    }
    let greeting = report.stage_ms.banner.filter(|ms| *ms > SLOW_GREETING_MS)?;
    Some(remark("smtp.banner_slow", host, format!("{host} takes {:.0} seconds to greet", greeting / 1000.0)))
}

fn auth(report: &ProbeReport, remarks: &mut Vec<Remark>) {
    let (host, port) = (&report.host, report.port);
    let none = AuthReport::default();
    let auth = report.auth.as_ref().unwrap_or(&none);
    let shown: Vec<&str> = auth.in_clear.iter().map(String::as_str).filter(|mechanism| shows_secret(mechanism)).collect();
    if !shown.is_empty() {
        let summary = format!("{host} offers AUTH {} without TLS on port {port}", shown.join(" "));
        remarks.push(remark("smtp.auth_plain_without_tls", host, summary));
    } else if !auth.in_clear.is_empty() {
        let summary = format!("{host} offers AUTH {} without TLS on port {port}", auth.in_clear.join(" "));
        remarks.push(remark("smtp.auth_before_tls", host, summary));
    }
    if port == 25 && report.mode != ProbeMode::Implicit && !(auth.in_clear.is_empty() && auth.under_tls.is_empty()) {
        remarks.push(remark("smtp.auth_on_25", host, format!("{host} offers AUTH on port 25")));
    }
    if is_submission(port) && report.tls.is_some() && !report.extensions.is_empty() && auth.under_tls.is_empty() {
        remarks.push(remark("smtp.auth_missing", host, format!("{host} offers no AUTH under TLS on port {port}, where mail programs log in")));
    }
    if let Some(login) = &auth.login {
        let rule = match login.outcome {
            LoginOutcome::Refused => "smtp.login_refused",
            LoginOutcome::Failed => "smtp.login_fails",
            LoginOutcome::Accepted | LoginOutcome::Unknown | LoginOutcome::Untried => return,
        };
        remarks.push(remark(rule, host, format!("At {host}, port {port}, {}", login.reason)));
    }
}

/// The verdict of a conversation that was held, as the module says.
pub(super) fn verdict(report: &ProbeReport) -> (Verdict, String) {
    let worst = report.findings.iter().filter(|finding| weighs(finding));
    let refuses_programs = |rule: &str| matches!(rule, "cert.expired" | "cert.name_mismatch");
    let mut degraded = None;
    for finding in worst {
        if is_submission(report.port) && finding.severity >= Severity::High && refuses_programs(&finding.rule) {
            return (Verdict::Down, finding.summary.clone());
        }
        // What the certificate or TLS lacks says more than what EHLO shows.
        degraded = degraded.or(Some(finding.summary.clone()));
    }
    // A certificate that a TLSA record may vouch for is no fault until that is known.
    let untold = report.unknown.iter().find(|part| part.subject == "dane").filter(|_| !is_submission(report.port) && dane_decides(report));
    if let (Some(summary), Some(part)) = (&degraded, untold) {
        return (Verdict::Unknown, format!("{summary}; {}", part.reason));
    }
    let login = report.auth.as_ref().and_then(|auth| auth.login.as_ref());
    match (degraded, login.map(|login| (login.outcome, &login.reason))) {
        (_, Some((LoginOutcome::Refused | LoginOutcome::Failed, reason))) => (Verdict::Down, reason.clone()),
        (Some(summary), Some((LoginOutcome::Unknown | LoginOutcome::Untried, reason))) => (Verdict::Degraded, format!("{summary}; {reason}")),
        (Some(summary), _) => (Verdict::Degraded, summary),
        (None, Some((LoginOutcome::Unknown, reason))) => (Verdict::Unknown, reason.clone()),
        (None, Some((LoginOutcome::Untried, reason))) => (Verdict::Degraded, reason.clone()),
        (None, Some((LoginOutcome::Accepted, _))) => (Verdict::Up, "answers, speaks TLS and takes the login".to_owned()),
        (None, None) => (Verdict::Up, if report.tls.is_some() { "answers and speaks TLS" } else { "answers" }.to_owned()),
    }
}

/// Whether all that is to mend is what a TLSA record may make no fault for senders.
fn dane_decides(report: &ProbeReport) -> bool {
    report.findings.iter().filter(|finding| weighs(finding)).all(|finding| dane::is_of_pkix(&finding.rule))
}

/// What degrades a server.
fn weighs(finding: &Finding) -> bool {
    finding.severity >= Severity::Medium && finding.rule != "smtp.auth_on_25"
}

fn left(to: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (to - now).num_days() {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn day(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d").to_string()
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{shown} and {} more", names.len() - 3) } else { shown }
}

#[cfg(test)]
mod tests {
    use waypost_types::outcome::StageMs;

    use super::*;
    use crate::probe::{ProbeTarget, bare};

    #[test]
    fn a_tarpit_is_told_from_a_busy_server() {
        let target = ProbeTarget { host: "mx.example".to_owned(), port: 25, mode: ProbeMode::Starttls, auth: None };
        for (greeting_s, waits, rule) in [
            (0.1, &[10, 20, 10][..], None),
            // One slow reply, or one reply in all, is no habit.
            (0.1, &[10, 9000, 10], None),
            (0.1, &[5000], None),
            (5.0, &[5000, 5001, 5000], Some("smtp.tarpit")),
            (5.0, &[5000, 5001, 10], Some("smtp.tarpit")),
            (5.0, &[5000, 5001, 10, 10], None),
            (29.0, &[10, 10], None),
            (31.0, &[10, 10], Some("smtp.banner_slow")),
            (31.0, &[2000, 3000], Some("smtp.tarpit")),
        ] {
            let report = bare(&target, None, Verdict::Up, String::new());
            let report = ProbeReport { stage_ms: StageMs { banner: Some(greeting_s * 1000.0), ..StageMs::default() }, ..report };
            let waits: Vec<Duration> = waits.iter().map(|ms| Duration::from_millis(*ms)).collect();
            let found = slowness(&report, &waits).map(Remark::done);
            assert_eq!(found.as_ref().map(|finding| finding.rule.as_str()), rule, "{greeting_s} {waits:?}");
            assert!(found.is_none_or(|finding| finding.severity <= Severity::Low), "slow is not down");
        }
    }
}
