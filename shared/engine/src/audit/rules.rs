//! The catalog of audit rules: severity, reason, fix and reference of each, by its id. The files of this room name a rule and say what they saw.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;
use waypost_types::finding::{Finding, Severity, SuggestedRecord};

#[derive(Debug, Deserialize)]
struct File {
    rule: Vec<Rule>,
}

/// One rule of `catalog/audit-rules.toml`.
#[derive(Debug, Clone, Deserialize)]
pub struct Rule {
    /// `area.name`.
    pub id: String,
    /// Title in words.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// Standard and section.
    pub reference: String,
    /// What it does to delivery.
    pub why: String,
    /// The same at a port where mail programs log in, where that differs.
    #[serde(default)]
    pub why_submission: Option<String>,
    /// The same at a web address, where that differs.
    #[serde(default)]
    pub why_web: Option<String>,
    /// What to do, with `{placeholders}`.
    pub fix: String,
    /// What to do where no record can be shown that does it.
    #[serde(default)]
    pub by_hand: Option<String>,
}

static RULES: LazyLock<HashMap<String, Rule>> = LazyLock::new(|| {
    // The catalog is part of the program; a test holds that it parses, so a failure here can not ship.
    let file: File = toml::from_str(include_str!("../../catalog/audit-rules.toml")).unwrap_or(File { rule: Vec::new() });
    file.rule.into_iter().map(|rule| (rule.id.clone(), rule)).collect()
});

/// A rule by its id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.get(id)
}

/// The words by which a fix points to the record shown beside it, and those for where it is not.
const POINTERS: [(&str, &str); 2] = [("record below", "proposed record"), ("this record", "the proposed record")];

fn points_to_record(fix: &str) -> bool {
    POINTERS.iter().any(|(words, _)| fix.contains(words))
}

/// The fix of a finding of an incident, for mails and lists: there the record is not beside the words.
pub fn fix_apart(finding: &Finding) -> String {
    if finding.record.is_none() || !points_to_record(&finding.fix) {
        return finding.fix.clone();
    }
    let fix = POINTERS.iter().fold(finding.fix.clone(), |fix, (beside, apart)| fix.replace(beside, apart));
    format!("{}. The proposed record is on the incident's page.", fix.trim_end_matches('.'))
}

/// Says what to do by hand where a fix speaks of a record and none could be built without guessing.
pub fn explain_by_hand(finding: &mut Finding) {
    if finding.record.is_none()
        && points_to_record(&finding.fix)
        && let Some(words) = rule(&finding.rule).and_then(|rule| rule.by_hand.as_deref())
    {
        words.clone_into(&mut finding.fix);
    }
}

/// A finding in the making.
#[derive(Debug)]
pub struct Remark {
    finding: Finding,
}

/// Starts a finding of a rule about a subject, saying what was seen.
pub fn remark(id: &str, subject: &str, summary: impl Into<String>) -> Remark {
    let finding = match rule(id) {
        Some(rule) => Finding {
            rule: id.to_owned(),
            severity: rule.severity,
            subject: subject.to_owned(),
            summary: summary.into(),
            why: rule.why.clone(),
            fix: rule.fix.replace("{domain}", subject),
            record: None,
            reference: rule.reference.clone(),
        },
        None => Finding {
            rule: id.to_owned(),
            severity: Severity::Info,
            subject: subject.to_owned(),
            summary: summary.into(),
            why: String::new(),
            fix: String::new(),
            record: None,
            reference: String::new(),
        },
    };
    Remark { finding }
}

impl Remark {
    /// Fills a placeholder of the fix.
    #[must_use]
    pub fn with(mut self, placeholder: &str, value: impl AsRef<str>) -> Self {
        self.finding.fix = self.finding.fix.replace(&format!("{{{placeholder}}}"), value.as_ref());
        self
    }

    /// Says why it matters in better words than the catalog's.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.finding.why = why.into();
        self
    }

    /// Says what it does where mail programs log in: it is they who look at the certificate there, not other servers.
    #[must_use]
    pub fn for_submission(self) -> Self {
        match rule(&self.finding.rule).and_then(|rule| rule.why_submission.as_deref()) {
            Some(why) => self.why(why),
            None => self,
        }
    }

    /// Says what it does at a web address: browsers refuse what mail servers put up with.
    #[must_use]
    pub fn for_web(self) -> Self {
        let untrusted = self.finding.rule == "cert.untrusted";
        let told = match rule(&self.finding.rule).and_then(|rule| rule.why_web.as_deref()) {
            Some(why) => self.why(why),
            None => self,
        };
        if untrusted { told.severity(Severity::High) } else { told }
    }

    /// Says the fix in better words than the catalog's.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.finding.fix = fix.into();
        self
    }

    /// Another severity where the case at hand is milder or worse than the rule.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.finding.severity = severity;
        self
    }

    /// Its rule.
    pub fn rule(&self) -> &str {
        &self.finding.rule
    }

    /// No worse than this.
    #[must_use]
    pub fn at_most(mut self, severity: Severity) -> Self {
        self.finding.severity = self.finding.severity.min(severity);
        self
    }

    /// The record to publish.
    #[must_use]
    pub fn record(mut self, kind: &str, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.finding.record = Some(SuggestedRecord { name: name.into(), kind: kind.to_owned(), value: value.into() });
        self
    }

    /// The finding.
    pub fn done(self) -> Finding {
        self.finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_parses_and_ids_are_unique() {
        let file: File = toml::from_str(include_str!("../../catalog/audit-rules.toml")).unwrap();
        assert!(file.rule.len() > 150);
        assert_eq!(file.rule.len(), RULES.len());
    }

    /// A fix that speaks of a record has other words for where there is none, but for rules that always have one.
    #[test]
    fn no_fix_speaks_of_a_record_that_is_not_there() {
        for rule in RULES.values().filter(|rule| points_to_record(&rule.fix)) {
            let other = rule.by_hand.as_deref().unwrap_or_default();
            let always = ["dmarc.rua_external_unauthorised"].contains(&rule.id.as_str());
            assert!(always || !(other.is_empty() || other.contains('{') || other.contains("record below")), "{}", rule.id);
        }
    }

    /// Every rule that code names is in the catalog.
    #[test]
    fn rules_named_in_code_exist() {
        let sources = [
            include_str!("mx.rs"),
            include_str!("mx_set.rs"),
            include_str!("spf.rs"),
            include_str!("spf_mend.rs"),
            include_str!("spf_repair.rs"),
            include_str!("spf_networks.rs"),
            include_str!("spf_none.rs"),
            include_str!("spf_open.rs"),
            include_str!("spf_repeats.rs"),
            include_str!("spf_senders.rs"),
            include_str!("spf_wire.rs"),
            include_str!("dkim.rs"),
            include_str!("dkim_remarks.rs"),
            include_str!("dmarc.rs"),
            include_str!("dmarc_mend.rs"),
            include_str!("dmarc_policy.rs"),
            include_str!("dmarc_reports.rs"),
            include_str!("mta_sts.rs"),
            include_str!("tls_rpt.rs"),
            include_str!("dane.rs"),
            include_str!("dane_records.rs"),
            include_str!("dnssec.rs"),
            include_str!("ns.rs"),
            include_str!("ns_compare.rs"),
            include_str!("ns_parent.rs"),
            include_str!("ns_silent.rs"),
            include_str!("ns_soa.rs"),
            include_str!("ptr.rs"),
            include_str!("bimi.rs"),
            include_str!("helo.rs"),
            include_str!("../probe/asked.rs"),
            include_str!("../probe/extensions.rs"),
            include_str!("../probe/remarks.rs"),
            include_str!("../headers/remarks.rs"),
            include_str!("../service/mod.rs"),
            include_str!("../service/tcp.rs"),
            include_str!("../service/https.rs"),
            include_str!("../service/dns.rs"),
            include_str!("../service/mailbox.rs"),
        ];
        for source in sources {
            for (at, _) in source.match_indices("remark(\"") {
                let id = source[at + 8..].split('"').next().unwrap();
                assert!(rule(id).is_some(), "{id} is not in the catalog");
                let probed = ["starttls.", "tls.", "cert.", "smtp.", "message.", "arc.", "tcp.", "https.", "dnsrecord.", "imap.", "pop."]
                    .iter()
                    .any(|area| id.starts_with(area));
                assert!(probed || crate::audit::Family::of_rule(id).is_some(), "{id} belongs to no family");
            }
        }
    }
}
