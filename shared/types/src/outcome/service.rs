//! What a check of a service showed: a TCP port, a web address, records of DNS, a mailbox server.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{TlsReport, TranscriptLine, Verdict};
use crate::{
    finding::Finding,
    monitor::MonitorKind,
    service::{Comparison, RecordKind},
};

/// All that one check of a service saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceReport {
    /// Which kind of check it is.
    pub service: MonitorKind,
    /// `mail.example.com:993`, `https://example.com/`, `example.com MX`.
    pub target: String,
    /// The worst of the looks; unknown when nothing could be told.
    pub verdict: Verdict,
    /// One sentence: what happened and what it suggests.
    pub summary: String,
    /// One per address, where there are several; of a web address one per step of its redirects; of DNS one.
    pub looks: Vec<ServiceLook>,
    /// What DNS was to answer and what it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordsSeen>,
}

/// One look: a connection, a request, or a question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceLook {
    /// The address connected to; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpAddr>,
    /// What was asked for, of the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// Milliseconds per stage.
    pub stage_ms: ServiceStages,
    /// Status of the answer, of the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Where the answer leads to, of the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<String>,
    /// The TLS session, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// What the server said first, control characters escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// What a mailbox server says it can, as it said last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Remarks, worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Who said what, when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<TranscriptLine>,
}

/// Milliseconds per stage of a look; a stage that was not reached is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs)] // the names are the stages
pub struct ServiceStages {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
}

impl ServiceStages {
    /// The stages that were reached, by their names.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [
            ("DNS", self.dns),
            ("connect", self.connect),
            ("TLS", self.tls),
            ("banner", self.banner),
            ("first byte", self.first_byte),
            ("total", self.total),
        ];
        all.into_iter().filter_map(|(name, ms)| Some((name, ms?)))
    }
}

/// Records as they were to be and as they are, each in the one form of its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordsSeen {
    /// The name asked for.
    pub name: String,
    /// Of which type.
    #[serde(rename = "type")]
    pub kind: RecordKind,
    /// How they are compared.
    pub comparison: Comparison,
    /// What was expected.
    pub expected: Vec<String>,
    /// What was found; absent when it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<String>>,
    /// Names that the name is an alias of, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

impl RecordsSeen {
    /// Expected and not found.
    pub fn missing(&self) -> Vec<&String> {
        let found = self.found.as_deref().unwrap_or_default();
        self.expected.iter().filter(|value| !found.contains(value)).collect()
    }

    /// Found and not expected; nothing where others are fine.
    pub fn surplus(&self) -> Vec<&String> {
        let strict = matches!(self.comparison, Comparison::Equals | Comparison::Absent);
        self.found.iter().flatten().filter(|value| strict && !self.expected.contains(value)).collect()
    }

    /// Whether they are as they were to be; nothing where it could not be told.
    pub fn fits(&self) -> Option<bool> {
        let found = self.found.as_ref()?;
        Some(match self.comparison {
            Comparison::Equals | Comparison::Contains => self.missing().is_empty() && self.surplus().is_empty(),
            Comparison::Exists => !found.is_empty(),
            Comparison::Absent => found.is_empty(),
        })
    }
}

impl ServiceReport {
    /// All remarks.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.looks.iter().flat_map(|look| &look.findings)
    }

    /// Milliseconds of the slowest look that was held; of a web address of all its steps together.
    pub fn latency_ms(&self) -> Option<f64> {
        let held = self.looks.iter().filter(|look| matches!(look.verdict, Verdict::Up | Verdict::Degraded)).filter_map(|look| look.stage_ms.total);
        match self.service {
            MonitorKind::Https => matches!(self.verdict, Verdict::Up | Verdict::Degraded).then(|| held.sum()),
            _ => held.reduce(f64::max),
        }
    }

    /// Nothing was heard of a server that should have been there.
    pub fn is_unreached(&self) -> bool {
        let silent = |look: &ServiceLook| look.verdict == Verdict::Down && look.stage_ms.connect.is_none();
        self.service != MonitorKind::Dns && self.verdict == Verdict::Down && self.looks.iter().any(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_fit_as_the_comparison_says() {
        use Comparison::{Absent, Contains, Equals, Exists};
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (comparison, expected, found, fits) in [
            (Equals, "a b", Some("b a"), Some(true)),
            (Equals, "a b", Some("a"), Some(false)),
            (Equals, "a", Some("a b"), Some(false)),
            (Contains, "a", Some("a b"), Some(true)),
            (Contains, "a c", Some("a b"), Some(false)),
            (Exists, "", Some("a"), Some(true)),
            (Exists, "", Some(""), Some(false)),
            (Absent, "", Some(""), Some(true)),
            (Absent, "", Some("a"), Some(false)),
            (Equals, "a", None, None),
        ] {
            let seen = RecordsSeen {
                name: "e.example".to_owned(),
                kind: RecordKind::Txt,
                comparison,
                expected: list(expected),
                found: found.map(list),
                aliases: Vec::new(),
            };
            assert_eq!(seen.fits(), fits, "{comparison:?} {expected} {found:?}");
        }
    }
}
