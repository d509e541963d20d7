//! What an incident is about, in the few kinds that people know: by it the runbook is found, and what can have caused it.

use std::net::IpAddr;

use crate::{
    finding::{Finding, Severity, family_key},
    incident::Incident,
    monitor::MonitorKind,
    outcome::{Outcome, SmtpReport, Speaker, Verdict},
    rule::{Series, rule_of},
};

/// A usual event. The written form is part of the contract with programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names say it, and `title` in words
pub enum Topic {
    ListedAddress,
    ListedDomain,
    CertificateExpired,
    CertificateExpiring,
    CertificateWrong,
    StarttlsMissing,
    StarttlsBroken,
    SpfMissing,
    SpfBroken,
    DkimMissing,
    DmarcMissing,
    Unreachable,
    Greylisted,
    LoginRefused,
    MxMissing,
    PolicyMismatch,
    PtrMissing,
}

impl Topic {
    /// All, in the order that a list shows them.
    pub const ALL: [Self; 17] = [
        Self::ListedAddress,
        Self::ListedDomain,
        Self::Unreachable,
        Self::Greylisted,
        Self::LoginRefused,
        Self::CertificateExpired,
        Self::CertificateExpiring,
        Self::CertificateWrong,
        Self::StarttlsMissing,
        Self::StarttlsBroken,
        Self::SpfMissing,
        Self::SpfBroken,
        Self::DkimMissing,
        Self::DmarcMissing,
        Self::MxMissing,
        Self::PolicyMismatch,
        Self::PtrMissing,
    ];

    /// The written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListedAddress => "listed-address",
            Self::ListedDomain => "listed-domain",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateExpiring => "certificate-expiring",
            Self::CertificateWrong => "certificate-wrong",
            Self::StarttlsMissing => "starttls-missing",
            Self::StarttlsBroken => "starttls-broken",
            Self::SpfMissing => "spf-missing",
            Self::SpfBroken => "spf-broken",
            Self::DkimMissing => "dkim-missing",
            Self::DmarcMissing => "dmarc-missing",
            Self::Unreachable => "unreachable",
            Self::Greylisted => "greylisted",
            Self::LoginRefused => "login-refused",
            Self::MxMissing => "mx-missing",
            Self::PolicyMismatch => "policy-mismatch",
            Self::PtrMissing => "ptr-missing",
        }
    }

    /// What people read.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ListedAddress => "An address is on a block list",
            Self::ListedDomain => "A domain is on a block list",
            Self::CertificateExpired => "The certificate has expired",
            Self::CertificateExpiring => "The certificate expires soon",
            Self::CertificateWrong => "The certificate does not prove the server",
            Self::StarttlsMissing => "STARTTLS is not offered",
            Self::StarttlsBroken => "The TLS handshake fails",
            Self::SpfMissing => "The SPF record is missing",
            Self::SpfBroken => "The SPF record is broken",
            Self::DkimMissing => "A DKIM key is missing",
            Self::DmarcMissing => "The DMARC record is missing",
            Self::Unreachable => "The server can not be reached",
            Self::Greylisted => "Mail is greylisted or slowed down",
            Self::LoginRefused => "The login is refused",
            Self::MxMissing => "The MX records are missing or lead nowhere",
            Self::PolicyMismatch => "MTA-STS or DANE does not match the servers",
            Self::PtrMissing => "The reverse name is missing or does not match",
        }
    }

    /// What a rule's finding is about.
    pub fn of_rule(rule: &str) -> Option<Self> {
        Some(match rule {
            "cert.expired" => Self::CertificateExpired,
            "cert.expires_soon" => Self::CertificateExpiring,
            "starttls.missing" | "starttls.ehlo_hidden" | "dane.starttls_missing" | "imap.starttls_missing" | "pop.stls_missing" => {
                Self::StarttlsMissing
            }
            "imap.starttls_refused" | "pop.stls_refused" => Self::StarttlsBroken,
            "spf.missing" => Self::SpfMissing,
            "dmarc.missing" | "dmarc.wrong_location" => Self::DmarcMissing,
            "dkim.none_found" | "dkim.key_missing" | "dkim.alias_dangling" | "dkim.revoked" => Self::DkimMissing,
            "mtasts.mx_mismatch"
            | "mtasts.cert_invalid"
            | "mtasts.policy_unreachable"
            | "mtasts.policy_syntax"
            | "dane.mismatch"
            | "dane.malformed"
            | "dane.partial" => Self::PolicyMismatch,
            "mx.missing" | "mx.removed" | "mx.unresolvable" | "mx.cname" | "mx.ip_literal" | "mx.local_name" => Self::MxMissing,
            "mx.unreachable" | "tcp.unreachable" => Self::Unreachable,
            "ptr.missing" | "ptr.fcrdns_mismatch" | "helo.unresolvable" | "helo.mismatch" => Self::PtrMissing,
            "smtp.greylisting" => Self::Greylisted,
            "smtp.login_refused" | "smtp.login_fails" | "smtp.auth_missing" => Self::LoginRefused,
            _ if rule.starts_with("cert.") => Self::CertificateWrong,
            // It works, with what it should not take beside it.
            "tls.old_version" | "tls.weak_cipher" => return None,
            _ if rule.starts_with("tls.") || rule.starts_with("starttls.") => Self::StarttlsBroken,
            _ if rule.starts_with("spf.") => Self::SpfBroken,
            _ => return None,
        })
    }

    /// What an incident is about; nothing where it is none of the usual events.
    pub fn of(incident: &Incident) -> Option<Self> {
        Self::about(incident.kind, &incident.target, &incident.condition, incident.evidence.as_ref())
    }

    /// The same of a monitor's kind and target, of the condition, and of the outcome that confirmed it.
    pub fn about(kind: MonitorKind, target: &str, condition: &str, outcome: Option<&Outcome>) -> Option<Self> {
        if let Some((_, series)) = rule_of(condition) {
            return Self::of_series(series, target);
        }
        match (outcome, kind) {
            (Some(Outcome::Audit(audit)), _) => {
                let about = audit.findings.iter().filter(|finding| condition.is_empty() || family_key(&finding.rule) == condition);
                worst(about.filter(|finding| finding.severity >= Severity::Medium))
            }
            (Some(Outcome::Smtp(report)), _) if condition.is_empty() => of_conversations(report),
            (Some(Outcome::Service(report)), _) if report.is_unreached() => Some(Self::Unreachable),
            (Some(Outcome::Service(report)), _) => worst(report.findings().filter(|finding| finding.severity >= Severity::Medium)),
            // What close looks find has incidents of its own, and so has the login.
            (Some(Outcome::Smtp(report)), _) if condition == "login" => worst(report.login.iter().flat_map(|look| &look.findings)),
            (Some(Outcome::Smtp(report)), _) => {
                worst(report.close_looks.iter().flat_map(|look| &look.findings).filter(|finding| finding.severity >= Severity::Medium))
            }
            (_, MonitorKind::Blacklist) => {
                let subject = condition.split_once('|').map_or(target, |(subject, _)| subject);
                Some(Self::of_listed(if subject == "network" { target } else { subject }))
            }
            _ => None,
        }
    }

    /// What a rule about a series is about.
    fn of_series(series: Series, target: &str) -> Option<Self> {
        match series {
            Series::CertificateDays => Some(Self::CertificateExpiring),
            Series::Listings => Some(Self::of_listed(target)),
            Series::FailureRate => Some(Self::Unreachable),
            Series::ResponseTimeP50 | Series::ResponseTimeP95 | Series::UnknownRate | Series::Score => None,
        }
    }

    fn of_listed(subject: &str) -> Self {
        let of_address = subject.parse::<IpAddr>().is_ok() || subject.contains('/');
        if of_address { Self::ListedAddress } else { Self::ListedDomain }
    }
}

impl std::str::FromStr for Topic {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == text).ok_or(())
    }
}

fn worst<'a>(findings: impl Iterator<Item = &'a Finding>) -> Option<Topic> {
    let mut known: Vec<(Severity, Topic)> = findings.filter_map(|finding| Some((finding.severity, Topic::of_rule(&finding.rule)?))).collect();
    // Of equals the first stands, as the audit has put them.
    known.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    known.first().map(|(_, topic)| *topic)
}

fn of_conversations(report: &SmtpReport) -> Option<Topic> {
    let failed = report.probes.iter().filter(|probe| probe.verdict == Verdict::Down);
    // Nothing was said: whatever else is known of it, this comes first.
    if failed.clone().any(|probe| probe.stage_ms.banner.is_none() && !probe.transcript.iter().any(|line| line.from == Speaker::Server)) {
        return Some(Topic::Unreachable);
    }
    if let Some(topic) = worst(report.probes.iter().flat_map(|probe| &probe.findings).filter(|finding| finding.severity >= Severity::Medium)) {
        return Some(topic);
    }
    let mut said = failed.filter_map(|probe| probe.transcript.iter().rev().find(|line| line.from == Speaker::Server));
    if said.any(|line| line.line.starts_with('4')) {
        return Some(Topic::Greylisted);
    }
    report.probes.is_empty().then_some(Topic::Unreachable).filter(|_| report.verdict == Verdict::Down)
}

#[cfg(test)]
#[path = "topic_tests.rs"]
mod tests;
