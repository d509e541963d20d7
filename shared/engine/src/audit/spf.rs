//! The SPF record as an administrator should see it: syntax, and what it lets through (RFC 7208). What it costs is `spf_cost`; evaluating one
//! address is `crate::spf`.

use std::{collections::BTreeSet, time::Duration};

use waypost_types::{
    Severity,
    audit::{SpfDetail, SpfFlattening, SpfNode},
    outcome::Status,
};

use super::{
    AuditOptions, Facts, Part, dmarc, rules::remark, spf_cost::Cost, spf_flatten, spf_networks, spf_open, spf_repeats, spf_senders, spf_wire,
};
use crate::{
    net::Net,
    spf::{FetchError, MAX_LOOKUPS, MAX_NAMES, MAX_VOID_LOOKUPS, MODIFIER_TWICE, Mechanism, Qualifier, Record, SyntaxError, fetch, parse},
};

/// From so many lookups on the limit is near.
const NEAR: u32 = 8;
/// The senders' evaluations together.
const SENDERS: Duration = Duration::from_secs(4);
/// Names listed in one finding.
const MOST_NAMED: usize = 10;

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let (fetched, wire) = tokio::join!(fetch(net.dns(), domain), spf_wire::look(net, domain));
    let bytes = match fetched {
        Ok(Some(txt)) => txt,
        Ok(None) => {
            missing(facts, &mut part);
            spf_wire::judge(domain, &wire, &mut part);
            return part;
        }
        Err(FetchError::Dns(failure)) => {
            part.unknown("spf", failure);
            part.word(Status::None, "No answer");
            return part;
        }
        Err(FetchError::Multiple) => {
            multiple(net, domain, &mut part).await;
            return part;
        }
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    part.records.push(text.clone());
    match parse(&bytes) {
        Err(error) => {
            unreadable(domain, &error, &mut part);
            part.detail.spf = Some(SpfDetail {
                tree: SpfNode {
                    domain: domain.to_owned(),
                    record: Some(crate::printable(&text)),
                    problem: Some(format!("can not be read: {error}")),
                    ..SpfNode::default()
                },
                ..SpfDetail::default()
            });
            spf_wire::judge(domain, &wire, &mut part);
            part.word(Status::Bad, "Error");
        }
        Ok(record) => {
            spf_wire::judge(domain, &wire, &mut part);
            judge(net, facts, options, &text, &record, &mut part).await;
        }
    }
    part
}

fn unreadable(domain: &str, error: &SyntaxError, part: &mut Part) {
    if error.reason == MODIFIER_TWICE {
        let seen = format!("SPF says “{}” at character {} although the same modifier stands before it", error.term, error.position);
        part.find(remark("spf.duplicate_modifier", domain, seen));
        return;
    }
    part.find(
        remark("spf.syntax", domain, format!("SPF record can not be read: {error}"))
            .with("term", &error.term)
            .fix(format!("Correct the term “{}” at character {}: {}.", error.term, error.position, error.reason)),
    );
}

async fn multiple(net: &Net, domain: &str, part: &mut Part) {
    let texts = net.dns().txt(domain).await.found().into_iter().filter(|txt| crate::spf::is_spf(txt));
    let records: Vec<String> = texts.map(|txt| String::from_utf8_lossy(&txt).into_owned()).collect();
    if records.len() < 2 {
        // The same question, answered otherwise a moment later: nothing to build advice on.
        part.unknown("spf", "the name servers give more than one SPF record at one time and not at another; it is asked again");
        part.word(Status::None, "No answer");
        return;
    }
    part.find(remark("spf.multiple_records", domain, format!("{domain} has {} SPF records; receivers take that as an error", records.len())).record(
        "TXT",
        domain,
        merged(&records),
    ));
    part.detail.spf = Some(SpfDetail {
        tree: SpfNode { domain: domain.to_owned(), problem: Some(format!("has {} SPF records", records.len())), ..SpfNode::default() },
        ..SpfDetail::default()
    });
    part.records = records;
    part.word(Status::Bad, "Error");
}

fn missing(facts: &Facts, part: &mut Part) {
    let domain = facts.domain.as_str();
    let value = if facts.receives { "v=spf1 mx -all" } else { "v=spf1 -all" };
    part.find(
        remark("spf.missing", domain, format!("{domain} has no SPF record"))
            .fix(if facts.receives {
                "Publish one that names every host that sends for the domain; this one allows its MX hosts only."
            } else {
                "Publish one that says that nobody sends for the domain."
            })
            .record("TXT", domain, value),
    );
    part.word(Status::Bad, "Missing");
}

/// One record with every mechanism of several, ending in the strictest `all` among them.
fn merged(records: &[String]) -> String {
    let mut seen = BTreeSet::new();
    let mut terms: Vec<&str> = records
        .iter()
        .flat_map(|record| record.split(' ').skip(1))
        .filter(|term| !term.is_empty() && !is_all(term) && seen.insert(term.to_ascii_lowercase()))
        .collect();
    let strict = records.iter().flat_map(|record| record.split(' ')).any(|term| term.eq_ignore_ascii_case("-all"));
    let all = if strict { "-all" } else { "~all" };
    terms.insert(0, "v=spf1");
    terms.push(all);
    terms.join(" ")
}

fn is_all(term: &str) -> bool {
    term.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all")
}

async fn judge(net: &Net, facts: &Facts, options: &AuditOptions, text: &str, record: &Record, part: &mut Part) {
    let domain = facts.domain.as_str();
    endings(facts, text, record, part);
    spf_repeats::judge(domain, text, record, part);
    let cost = Cost::of(net, domain, text, record).await;
    spf_open::judge(domain, record, &cost, part);
    soft(net, facts, &cost, part).await;
    let flattened = spf_flatten::propose(domain, text, record, &cost);
    lookups(domain, &cost, flattened.as_ref(), part);
    wrong(domain, &cost, part);
    spf_networks::judge(facts, &cost.seen.networks, part);
    // What the record itself says must not be lost to a name server that lets evaluations wait.
    let looked = tokio::time::timeout(SENDERS, spf_senders::look(net, facts, options, text, record, part)).await;
    let senders = looked.unwrap_or_else(|_| {
        part.unknown("spf", "which of the known hosts may send was not answered in time");
        Vec::new()
    });
    part.detail.spf = Some(SpfDetail { tree: cost.tree, senders, flattened });
    part.word_by_findings(Status::Ok, if part.findings.iter().any(|f| f.severity >= Severity::High) { "Error" } else { "Pass" });
}

/// A soft fail refuses nothing by itself: whether that is enough is the DMARC policy's to say.
async fn soft(net: &Net, facts: &Facts, cost: &Cost, part: &mut Part) {
    let Some((whose, _)) = spf_open::effective_all(&cost.tree).filter(|(_, all)| all.is_some_and(|all| all.eq_ignore_ascii_case("~all"))) else {
        return;
    };
    match dmarc::enforces(net, &facts.domain).await {
        Ok(true) => {}
        Ok(false) => {
            let domain = facts.domain.as_str();
            let led = if whose == domain { String::new() } else { format!(" in the record of {whose}") };
            part.find(remark("spf.softfail_only", domain, format!("SPF ends in “~all”{led}, and no DMARC policy has mail refused that fails")));
        }
        Err(failure) => part.untold("spf.softfail_only", format!("whether DMARC has mail refused that fails: {failure}")),
    }
}

/// How many lookups there are, and which record needs fewer.
fn lookups(domain: &str, cost: &Cost, proposal: Option<&SpfFlattening>, part: &mut Part) {
    let lookups = cost.tree.lookups;
    let (rule, seen) = if lookups > MAX_LOOKUPS {
        ("spf.too_many_lookups", format!("SPF needs {lookups} DNS lookups, {MAX_LOOKUPS} are allowed"))
    } else if lookups >= NEAR {
        ("spf.lookups_near_limit", format!("SPF needs {lookups} of {MAX_LOOKUPS} DNS lookups"))
    } else {
        return;
    };
    let more = proposal.map_or_else(String::new, |proposal| format!(" The record proposed with the tree of lookups needs {}.", proposal.lookups));
    part.find(remark(rule, domain, seen).with("count", lookups.to_string()).with("proposal", more));
}

/// What is wrong on the way through the tree.
fn wrong(domain: &str, cost: &Cost, part: &mut Part) {
    let seen = &cost.seen;
    if cost.tree.void_lookups > MAX_VOID_LOOKUPS {
        let summary = format!("{} lookups of the SPF record find nothing, {MAX_VOID_LOOKUPS} are allowed", cost.tree.void_lookups);
        part.find(
            remark("spf.void_lookups", domain, summary).with("names", seen.voids.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ")),
        );
    }
    for target in &seen.without_record {
        part.find(
            remark("spf.include_no_record", target, format!("SPF includes {target}, which has no SPF record of its own"))
                .with("target", target)
                .fix(format!("Take {target} out of the record, or correct its name.")),
        );
    }
    for (name, registered) in &seen.lapsed {
        let summary = format!("SPF trusts {name}, but {registered} is not registered: whoever registers it may send as {domain}");
        part.find(remark("spf.unknown_service", domain, summary).with("target", name));
    }
    for (target, error) in &seen.broken {
        part.find(
            remark("spf.syntax", target, format!("SPF includes {target}, whose record can not be read: {error}"))
                .fix(format!("Tell the operator of {target}; until it is mended take it out of the record.")),
        );
    }
    if let Some(target) = &seen.looped {
        part.find(remark("spf.include_loop", target, format!("SPF comes back to {target}: the record includes itself")).with("target", target));
    }
    let mut named = BTreeSet::new();
    for (name, failure) in seen.failed.iter().filter(|(name, _)| named.insert(name)) {
        part.unknown("spf", format!("{name}: {failure}"));
    }
    for (name, count) in &seen.wide_mx {
        part.find(remark("spf.mx_too_many", name, format!("“mx” of {name} names {count} hosts, {MAX_NAMES} are allowed")));
    }
    if seen.uses_ptr {
        part.find(remark("spf.ptr_used", domain, "SPF uses “ptr”, which is slow and which the standard says not to use"));
    }
}

/// What stands at the end of the record, and what is superfluous in it.
fn endings(facts: &Facts, text: &str, record: &Record, part: &mut Part) {
    let domain = facts.domain.as_str();
    let strict = |all: &str| {
        let mut terms: Vec<String> = text.split(' ').filter(|term| !term.is_empty()).map(str::to_owned).collect();
        if let Some(term) = terms.iter_mut().find(|term| matches!(term.to_ascii_lowercase().as_str(), "all" | "+all" | "?all" | "~all")) {
            all.clone_into(term);
        } else {
            terms.push(all.to_owned());
        }
        terms.join(" ")
    };
    let all = record.directives.iter().position(|directive| directive.mechanism == Mechanism::All);
    match all.map(|at| record.directives[at].qualifier) {
        Some(Qualifier::Pass) => {
            part.find(remark("spf.plus_all", domain, "SPF ends in “+all”: every host on the internet may send as the domain").record(
                "TXT",
                domain,
                strict("~all"),
            ));
        }
        Some(Qualifier::Neutral) => part.find(remark("spf.neutral_all", domain, "SPF ends in “?all”, which says nothing about other hosts").record(
            "TXT",
            domain,
            strict("~all"),
        )),
        None if record.redirect.is_none() => part.find(
            remark("spf.no_all", domain, "SPF has no “all” at its end: hosts that it does not name are neither allowed nor refused").record(
                "TXT",
                domain,
                strict("~all"),
            ),
        ),
        Some(Qualifier::SoftFail | Qualifier::Fail) | None => {}
    }
    if let Some(at) = all {
        if at + 1 < record.directives.len() {
            part.find(remark("spf.terms_after_all", domain, format!("“{}” stands after “all” and is never read", record.directives[at + 1].text)));
        }
        if record.redirect.is_some() {
            part.find(remark("spf.redirect_with_all", domain, "“redirect” stands beside “all” and is never followed"));
        }
    }
    if facts.null_mx && !text.trim_end().eq_ignore_ascii_case("v=spf1 -all") {
        part.find(remark("spf.non_sending_open", domain, "The domain takes no mail (null MX), yet SPF lets hosts send for it").record(
            "TXT",
            domain,
            "v=spf1 -all",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_loses_no_sender_and_keeps_the_strictest_end() {
        let merged = |records: &[&str]| merged(&records.iter().map(|record| (*record).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            merged(&["v=spf1 mx ~all", "v=spf1 MX a:firewall include:spf-all.e.example ?all"]),
            "v=spf1 mx a:firewall include:spf-all.e.example ~all"
        );
        assert_eq!(merged(&["v=spf1 a -ALL", "v=spf1 mx +all"]), "v=spf1 a mx -all");
    }
}
