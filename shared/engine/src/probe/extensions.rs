//! The extensions of an EHLO reply (RFC 5321 4.1.1.1): how they are written, what they need of each other, what their measures mean.

use waypost_types::outcome::{ProbeReport, megabytes};

use super::conversation::{keyword, offers};
use crate::audit::rules::{Remark, remark};

/// Ordinary attachments are larger.
const SMALL_MESSAGE: u64 = 10 * 1024 * 1024;
/// RFC 5321 4.5.3.1.8: the least every server must take in one envelope.
const FEWEST_RECIPIENTS: u64 = 100;

/// Extensions that mean nothing without another, and where that is said.
const NEEDS: [(&str, &str, &str); 2] = [("SMTPUTF8", "8BITMIME", "RFC 6531 3.1"), ("BINARYMIME", "CHUNKING", "RFC 3030 3")];

/// What is to remark about the extensions offered last.
pub(super) fn judge(report: &ProbeReport, remarks: &mut Vec<Remark>) {
    let (host, extensions) = (&report.host, &report.extensions);
    if extensions.is_empty() {
        return;
    }
    size(host, extensions, remarks);
    for (word, rule) in [("PIPELINING", "smtp.no_pipelining"), ("8BITMIME", "smtp.no_8bitmime")] {
        if !offers(extensions, word) {
            remarks.push(remark(rule, host, format!("{host} does not offer {word}")));
        }
    }
    for (word, needed, section) in NEEDS {
        if offers(extensions, word) && !offers(extensions, needed) {
            let summary = format!("{host} offers {word} without {needed}, which {section} asks for");
            remarks.push(remark("smtp.extension_incomplete", host, summary).with("needed", needed).with("extension", word));
        }
    }
    if report.tls.is_some() && offers(extensions, "STARTTLS") {
        remarks.push(remark("starttls.offered_again", host, format!("{host} offers STARTTLS again though TLS stands on port {}", report.port)));
    }
    if let Some(most) = most_recipients(extensions).filter(|most| *most < FEWEST_RECIPIENTS) {
        remarks.push(remark("smtp.limits_small", host, format!("{host} takes at most {most} recipients in one envelope")));
    }
    let malformed: Vec<&str> = extensions.iter().map(|line| keyword(line)).filter(|word| !is_keyword(word)).take(3).collect();
    if !malformed.is_empty() {
        let summary = format!("{host} has in its EHLO reply what is no extension: “{}”", malformed.join("”, “"));
        remarks.push(remark("smtp.ehlo_malformed", host, summary));
    }
}

fn size(host: &str, extensions: &[String], remarks: &mut Vec<Remark>) {
    match parameters(extensions, "SIZE") {
        None => remarks.push(remark("smtp.size_missing", host, format!("{host} does not announce SIZE"))),
        Some(_) => {
            if let Some(size) = size_limit(extensions).filter(|size| *size < SMALL_MESSAGE) {
                remarks.push(remark("smtp.size_small", host, format!("{host} takes messages of at most {} (SIZE {size})", megabytes(size))));
            }
        }
    }
}

/// The largest message in octets. Zero means no fixed limit, and so does none (RFC 1870 4).
pub(super) fn size_limit(extensions: &[String]) -> Option<u64> {
    parameters(extensions, "SIZE")?.trim().parse::<u64>().ok().filter(|size| *size > 0)
}

fn parameters<'a>(extensions: &'a [String], word: &str) -> Option<&'a str> {
    let line = extensions.iter().find(|line| keyword(line).eq_ignore_ascii_case(word))?;
    Some(line.get(word.len()..).unwrap_or_default())
}

/// RCPTMAX of LIMITS (RFC 9422 3.2).
fn most_recipients(extensions: &[String]) -> Option<u64> {
    let limits = parameters(extensions, "LIMITS")?;
    limits.split_ascii_whitespace().filter_map(|limit| limit.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("RCPTMAX"))?.1.parse().ok()
}

fn is_keyword(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(extensions: &[&str]) -> Vec<String> {
        let report: ProbeReport = serde_json::from_value(serde_json::json!({
            "host": "mx.example", "address": null, "port": 25, "mode": "plain", "verdict": "up", "reason": "", "stage_ms": {}, "tls": null,
            "extensions": extensions, "findings": [], "transcript": [],
        }))
        .unwrap();
        let mut remarks = Vec::new();
        judge(&report, &mut remarks);
        let findings: Vec<_> = remarks.into_iter().map(Remark::done).collect();
        assert!(findings.iter().all(|finding| !finding.fix.contains('{') && !finding.reference.is_empty()), "{findings:?}");
        findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn each_fault_of_an_ehlo_reply_has_its_rule() {
        let with = |more: &[&str]| rules(&[&["SIZE 52428800", "PIPELINING", "8bitmime"], more].concat());
        assert_eq!(rules(&[]), [""; 0], "HELO was all it knew");
        assert_eq!(rules(&["HELP"]), ["smtp.size_missing", "smtp.no_pipelining", "smtp.no_8bitmime"]);
        assert_eq!(rules(&["SIZE 1000", "PIPELINING", "SMTPUTF8"]), ["smtp.size_small", "smtp.no_8bitmime", "smtp.extension_incomplete"]);
        for (more, wanted) in [
            (&["SMTPUTF8", "AUTH=LOGIN", "XXXXXXXA", "DSN", "ENHANCEDSTATUSCODES", "REQUIRETLS"][..], vec![]),
            (&["BINARYMIME"], vec!["smtp.extension_incomplete"]),
            (&["BINARYMIME", "CHUNKING"], vec![]),
            (&["LIMITS RCPTMAX=20 MAILMAX=5"], vec!["smtp.limits_small"]),
            (&["LIMITS RCPTMAX=1000"], vec![]),
            (&["LIMITS MAILMAX=5"], vec![]),
            (&["LIMITS RCPTMAX=x"], vec![]),
            (&["(welcome) to us"], vec!["smtp.ehlo_malformed"]),
        ] {
            assert_eq!(with(more), wanted, "{more:?}");
        }
        for size in ["SIZE", "SIZE 0", "SIZE "] {
            assert_eq!(rules(&[size, "PIPELINING", "8BITMIME"]), [""; 0], "{size}: no fixed limit");
        }
    }
}
