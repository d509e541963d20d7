//! The audit of a domain: one file per record family, all asked at once under one deadline. What did not answer is unknown, never missing.

mod bimi;
mod bimi_mark;
mod bimi_svg;
#[cfg(test)]
mod bimi_tests;
mod certificates;
mod confirm;
mod dane;
pub(crate) mod dane_match;
pub(crate) mod dane_records;
mod dkim;
mod dkim_ask;
mod dkim_key;
mod dkim_remarks;
mod dkim_tags;
#[cfg(test)]
mod dkim_tests;
mod dmarc;
mod dmarc_address;
mod dmarc_alignment;
mod dmarc_mend;
#[cfg(test)]
mod dmarc_mend_tests;
mod dmarc_path;
mod dmarc_policy;
mod dmarc_record;
mod dmarc_repair;
mod dmarc_reports;
mod dmarc_tags;
#[cfg(test)]
mod dmarc_tests;
mod dmarc_walk;
mod dnssec;
mod dnssec_records;
mod dnssec_verdict;
pub mod drift;
#[cfg(test)]
mod drift_tests;
mod family;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub mod helo;
mod local_names;
mod mta_sts;
mod mta_sts_policy;
mod mx;
mod mx_reach;
mod mx_set;
#[cfg(test)]
mod mx_tests;
mod ns;
mod ns_ask;
mod ns_compare;
mod ns_parent;
mod ns_silent;
mod ns_soa;
#[cfg(test)]
mod ns_tests;
mod ownership;
mod part;
mod ptr;
mod ptr_names;
#[cfg(test)]
mod ptr_tests;
mod repair;
mod reverse;
pub mod rules;
pub mod score;
mod selectors;
mod sends;
mod spf;
mod spf_cost;
mod spf_flatten;
mod spf_mend;
mod spf_networks;
mod spf_none;
mod spf_open;
mod spf_repair;
#[cfg(test)]
mod spf_repair_tests;
mod spf_repeats;
mod spf_senders;
mod spf_services;
#[cfg(test)]
mod spf_tests;
mod spf_wire;
mod tags;
#[cfg(test)]
mod tests;
mod tls_rpt;
#[cfg(test)]
mod transport_tests;
mod untold;
mod web;

pub(crate) use dkim::{KeyFault, key_fault};
pub(crate) use dkim_key::is_meant_as_key;
pub(crate) use dmarc_alignment::Alignments;
pub(crate) use dnssec::vouched;
pub use family::Family;
pub(crate) use part::Part;
pub use reverse::reverse;
pub use selectors::provider_of;
pub use untold::{is_of_one_member, leaves_open};

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use waypost_types::{
    DomainName,
    finding::{UnknownCause, UnknownPart},
    outcome::{AuditReport, CheckSummary, MxHost, Status},
    score::grade,
};

use crate::{net::Net, probe::Port25Memory};
use certificates::Chains;

/// How an audit is done, and what is known beforehand. The default is a stranger's audit: nothing is known.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// DKIM selectors that somebody named.
    pub selectors: Vec<String>,
    /// Try the usual DKIM selectors beside them.
    pub guess_selectors: bool,
    /// DKIM selectors that signatures or reports name: mail is signed with them.
    pub seen_selectors: Vec<String>,
    /// DKIM selectors that earlier audits found a key at.
    pub found_selectors: Vec<String>,
    /// Addresses that send for the domain, each with why we think so.
    pub senders: Vec<(IpAddr, String)>,
    /// What earlier audits saw.
    pub known: Known,
    /// Speak SMTP with the MX hosts: where a policy (MTA-STS, DANE) says what certificate they must show, and in a whole audit to see whether they
    /// take connections.
    pub look_at_certificates: bool,
    /// Whether some port 25 was reached from here lately: only then is an MX host that can not be connected to its owner's trouble.
    pub port25: Port25Memory,
    /// Look for the record by which an organisation proves that the domain is its own.
    pub look_for_owner: bool,
    /// When to stop waiting.
    pub deadline: Duration,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            selectors: Vec::new(),
            guess_selectors: true,
            seen_selectors: Vec::new(),
            found_selectors: Vec::new(),
            senders: Vec::new(),
            known: Known::default(),
            look_at_certificates: false,
            port25: Port25Memory::default(),
            look_for_owner: false,
            deadline: Duration::from_secs(9),
        }
    }
}

/// The records of a domain as earlier audits saw them, by family: what is missing now was there before, what is there has been for so long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Family key → its records as last seen, each with the time at which it first was.
    pub records: BTreeMap<String, Vec<(String, DateTime<Utc>)>>,
    /// The MX records that were there before there were none. The audit that missed them first left nothing to miss to the next.
    pub lost_mx: Vec<String>,
}

impl Known {
    /// Since when a record of a family is there as it is; nothing for one that was not seen before.
    pub fn since(&self, family: Family, record: &str) -> Option<DateTime<Utc>> {
        self.records.get(family.key())?.iter().find(|(known, _)| known == record).map(|(_, since)| *since)
    }

    /// The records of a family as last seen.
    pub fn last(&self, family: Family) -> impl Iterator<Item = &str> {
        self.records.get(family.key()).into_iter().flatten().map(|(record, _)| record.as_str())
    }

    /// The hosts that took the mail as last known; none where the domain said that it takes none.
    pub fn mx_hosts(&self) -> Vec<&str> {
        let records = self.last(Family::Mx).chain(self.lost_mx.iter().map(String::as_str));
        records.filter_map(|record| record.split_once(' ')).map(|(_, host)| host).filter(|host| *host != ".").collect()
    }
}

/// What families need of each other: asked once.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    domain: DomainName,
    hosts: Vec<MxHost>,
    /// The domain proved not to exist.
    nxdomain: bool,
    /// It says that it takes no mail (RFC 7505).
    null_mx: bool,
    /// It has MX records or addresses of its own.
    receives: bool,
    /// Which of its hosts or of their addresses could not be told: what builds on them is not told either.
    untold: Option<String>,
}

impl Facts {
    /// Nothing is known of it yet.
    fn of(domain: &DomainName) -> Self {
        Self { domain: domain.clone(), hosts: Vec::new(), nxdomain: false, null_mx: false, receives: true, untold: None }
    }

    /// A mailbox of the domain can be reached, as far as anybody can tell.
    fn takes_mail(&self) -> bool {
        self.receives && (self.hosts.is_empty() || self.untold.is_some() || self.hosts.iter().any(|host| host.partial || !host.addresses.is_empty()))
    }
}

/// Audits a domain. Never fails: what could not be told is in `unknown`.
pub async fn audit(net: &Net, domain: &DomainName, options: &AuditOptions) -> AuditReport {
    audit_families(net, domain, options, &Family::ALL).await
}

/// Audits some families only.
pub async fn audit_families(net: &Net, domain: &DomainName, options: &AuditOptions, families: &[Family]) -> AuditReport {
    audit_families_at(net, domain, options, families, confirm::PORT).await
}

/// `authority_port` is where name servers listen that are asked themselves: tests have no port 53.
async fn audit_families_at(net: &Net, domain: &DomainName, options: &AuditOptions, families: &[Family], authority_port: u16) -> AuditReport {
    let times = Times::of(options);
    let chains = Chains::new(net, options.look_at_certificates, times.looks).with_port25(&options.port25);
    look_at(net, domain, options, families, (times, authority_port), &chains).await
}

/// When an audit stops waiting.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// For what the families look at.
    looks: tokio::time::Instant,
    /// For all of it: what is gone is confirmed in between.
    all: tokio::time::Instant,
}

impl Times {
    /// From now on.
    fn of(options: &AuditOptions) -> Self {
        let all = tokio::time::Instant::now() + options.deadline;
        Self { looks: all - confirm::reserve(options), all }
    }
}

async fn look_at(
    net: &Net,
    domain: &DomainName,
    options: &AuditOptions,
    families: &[Family],
    (times, authority_port): (Times, u16),
    chains: &Chains<'_>,
) -> AuditReport {
    let end = times.looks;
    let mut parts: BTreeMap<Family, Part> = BTreeMap::new();
    let (facts, mx) = if let Ok(found) = tokio::time::timeout_at(end, mx::look(net, domain, options)).await {
        found
    } else {
        let mut part = Part::default();
        part.unknown("mx", LATE);
        (Facts { untold: Some("the MX hosts were not found in time".to_owned()), ..Facts::of(domain) }, part)
    };
    if families.contains(&Family::Mx) {
        parts.insert(Family::Mx, mx);
    }
    // Families that plan a second look count with the time that they have.
    let options = &AuditOptions { deadline: end.saturating_duration_since(tokio::time::Instant::now()), ..options.clone() };
    let jobs = families.iter().filter(|family| **family != Family::Mx).map(|family| {
        let facts = &facts;
        async move {
            let job: BoxFuture<'_, Part> = match family {
                Family::Spf => Box::pin(spf::check(net, facts, options)),
                Family::Dkim => Box::pin(dkim::check(net, facts, options)),
                Family::Dmarc => Box::pin(dmarc::check(net, facts, options)),
                Family::MtaSts => Box::pin(mta_sts::check(net, facts, options, chains)),
                Family::TlsRpt => Box::pin(tls_rpt::check(net, facts, options)),
                Family::Dane => Box::pin(dane::check(net, facts, chains)),
                Family::Bimi => Box::pin(bimi::check(net, facts, options)),
                Family::Ptr => Box::pin(ptr::check(net, facts, options)),
                Family::Dnssec => Box::pin(dnssec::check(net, facts, options)),
                Family::Ns | Family::Mx => Box::pin(ns::check(net, facts, options)),
            };
            let part = tokio::time::timeout_at(end, job).await.unwrap_or_else(|_| {
                let mut part = Part::default();
                part.unknown(family.key(), LATE);
                part
            });
            (*family, part)
        }
    });
    let web = async {
        // A single family is asked for by name: then nothing else is looked up.
        let wanted = families.len() == Family::ALL.len();
        if wanted { tokio::time::timeout_at(end, web::hosts(net, &facts)).await.unwrap_or_default() } else { Vec::new() }
    };
    let owner = async {
        if options.look_for_owner { tokio::time::timeout_at(end, ownership::tokens(net, domain)).await.unwrap_or_default() } else { Vec::new() }
    };
    let reach = async { if families.len() == Family::ALL.len() { mx_reach::look(net, &facts, chains).await } else { Part::default() } };
    let (found, web_hosts, owner_tokens, reach) = tokio::join!(futures::future::join_all(jobs), web, owner, reach);
    parts.extend(found);
    if let Some(mx) = parts.get_mut(&Family::Mx) {
        mx.join(reach);
    }
    confirm::confirm(net, &facts, options, (times.all, authority_port), &mut parts).await;
    let mut report = AuditReport { web_hosts, owner_tokens, ..report(&facts, parts) };
    report.detail.certificates = chains.seen();
    report.unknown.extend(chains.unseen());
    report
}

const LATE: &str = "did not answer in time; it is asked again at the next check";

fn report(facts: &Facts, parts: BTreeMap<Family, Part>) -> AuditReport {
    let mut report = AuditReport { mx_hosts: facts.hosts.clone(), nxdomain: facts.nxdomain, ..AuditReport::empty(facts.domain.as_str()) };
    for (family, part) in parts {
        let key = family.key().to_owned();
        let summary = part.summary.unwrap_or_else(|| CheckSummary { status: Status::None, word: "No answer".to_owned() });
        report.checks.insert(key.clone(), summary);
        if !part.records.is_empty() {
            report.records.insert(key, part.records);
        }
        report.findings.extend(part.findings);
        report.unknown.extend(part.unknown);
        report.detail.take(part.detail);
    }
    report.findings.iter_mut().for_each(rules::explain_by_hand);
    if report.findings.iter().any(|finding| finding.rule == "ns.no_answer") {
        one_reason(&mut report.unknown);
    }
    report.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.rule.cmp(&b.rule)));
    // What does not exist is not graded: there is nothing there to be good or bad.
    if !facts.nxdomain
        && let Some(score) = score::score(&report)
    {
        report.score = Some(score.points);
        report.grade = Some(grade(score.points).to_owned());
        report.lost = score.lost;
    }
    report
}

/// Where nobody answers for the domain, that is why its records could not be told, whatever each question ended with.
fn one_reason(unknown: &mut Vec<UnknownPart>) {
    for part in unknown.iter_mut().filter(|part| Family::of_rule(&part.subject).is_some()) {
        ns::SILENT.clone_into(&mut part.reason);
        part.cause = UnknownCause::Silence;
    }
    let all = std::mem::take(unknown);
    for part in all {
        if !unknown.contains(&part) {
            unknown.push(part);
        }
    }
}

/// TXT records as text, for families whose records are ASCII.
async fn texts(net: &Net, name: &str) -> crate::net::Lookup<String> {
    net.dns().txt(name).await.filter_map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The registered domain by the public suffix list, or the name itself.
fn organisational(name: &str) -> &str {
    psl::domain_str(name).unwrap_or(name)
}
