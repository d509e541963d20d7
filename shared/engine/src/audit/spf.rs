//! The SPF record as an administrator should see it: syntax, and what it lets through (RFC 7208). What it costs is `spf_cost`; evaluating one
//! address is `crate::spf`.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use waypost_types::{
    Severity,
    audit::{SpfDetail, SpfFlattening, SpfNode},
    outcome::Status,
};

use super::{
    AuditOptions, Facts, Part, dmarc, repair,
    rules::remark,
    spf_cost::Cost,
    spf_flatten, spf_networks, spf_open,
    spf_repair::{Known, legible, repaired},
    spf_repeats, spf_senders, spf_wire,
};
use crate::{
    net::Net,
    spf::{FetchError, MAX_LOOKUPS, MAX_NAMES, MAX_VOID_LOOKUPS, MODIFIER_TWICE, Mechanism, Qualifier, Record, SyntaxError, fetch, mistakes, parse},
};

/// From so many lookups on the limit is near.
const NEAR: u32 = 8;
/// The senders' evaluations together.
const SENDERS: Duration = Duration::from_secs(4);
/// Names listed in one finding.
const MOST_NAMED: usize = 10;
/// Mistakes told in one finding.
const MOST_MISTAKES: usize = 10;
/// What a repaired record may bring: how strictly it ends is the owner's to decide, once all senders are in it.
const OWNERS: [&str; 1] = ["spf.softfail_only"];

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
            missing(facts, options, &mut part);
            spf_wire::judge(domain, &wire, &mut part);
            return part;
        }
        Err(FetchError::Dns(failure)) => {
            part.unknown("spf", failure);
            part.word(Status::None, "No answer");
            return part;
        }
        Err(FetchError::Multiple) => {
            multiple(net, facts, options, &wire, &mut part).await;
            return part;
        }
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    part.records.push(text.clone());
    match parse(&bytes) {
        Err(_) => {
            let problems = unreadable(domain, &mistakes(&bytes, MOST_MISTAKES), &mut part);
            part.detail.spf = Some(SpfDetail {
                tree: SpfNode {
                    domain: domain.to_owned(),
                    record: Some(crate::printable(&text)),
                    problem: Some(format!("can not be read: {problems}")),
                    ..SpfNode::default()
                },
                ..SpfDetail::default()
            });
            spf_wire::judge(domain, &wire, &mut part);
            rewrite(net, facts, options, &spf_wire::meant(&wire).unwrap_or(text), &mut part).await;
            part.word(Status::Bad, "Error");
        }
        Ok(record) => judge(net, facts, options, (&text, &record), &wire, &mut part).await,
    }
    part
}

/// Remarks the terms that can not be read; gives them as one sentence.
fn unreadable(domain: &str, errors: &[SyntaxError], part: &mut Part) -> String {
    let told = |errors: &[&SyntaxError]| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let (twice, wrong): (Vec<&SyntaxError>, Vec<&SyntaxError>) = errors.iter().partition(|error| error.reason == MODIFIER_TWICE);
    if let Some(error) = twice.first() {
        let seen = format!("SPF says “{}” at character {} although the same modifier stands before it", error.term, error.position);
        part.find(remark("spf.duplicate_modifier", domain, seen));
    }
    if let Some(first) = wrong.first() {
        let fix = if wrong.len() == 1 {
            format!("Correct the term “{}” at character {}: {}.", first.term, first.position, first.reason)
        } else {
            let many = if wrong.len() == MOST_MISTAKES { "at least " } else { "" };
            format!("Correct all of them, {many}{} terms: receivers read the whole record or none of it.", wrong.len())
        };
        part.find(remark("spf.syntax", domain, format!("SPF record can not be read: {}", told(&wrong))).fix(fix));
    }
    told(&errors.iter().collect::<Vec<_>>())
}

/// Shows a record that can be read, with all else put right, where it is clear what the terms were meant to say.
async fn rewrite(net: &Net, facts: &Facts, options: &AuditOptions, text: &str, part: &mut Part) {
    let domain = facts.domain.as_str();
    let better = match legible(text) {
        Some(text) => parse(text.as_bytes()).ok().map(|record| (text, record)),
        None => None,
    };
    let Some((text, record)) = better else {
        for finding in part.findings.iter_mut().filter(|finding| ["spf.syntax", "spf.duplicate_modifier"].contains(&finding.rule.as_str())) {
            finding.fix.push_str(" What was meant has to be decided by you: no record is proposed before that.");
        }
        return;
    };
    let mut first = Part::default();
    let cost = rules(net, facts, &text, &record, &mut first).await;
    let known = known(facts, options, &cost, Vec::new());
    let repair = repair(net, facts, &text, &known, &first, cost.tree.lookups).await;
    let value = repair.map_or(text, |repair| repair.value);
    for finding in part.findings.iter_mut().filter(|finding| is_of_record(&finding.rule)) {
        finding.record = Some(repair::txt(domain, &value));
    }
}

/// What a record that is written anew ends, whatever it says.
fn is_of_record(rule: &str) -> bool {
    ["spf.syntax", "spf.duplicate_modifier", "spf.multiple_records", "spf.too_long_string"].contains(&rule)
}

async fn multiple(net: &Net, facts: &Facts, options: &AuditOptions, wire: &spf_wire::Wire, part: &mut Part) {
    let domain = facts.domain.as_str();
    let texts = net.dns().txt(domain).await.found().into_iter().filter(|txt| crate::spf::is_spf(txt));
    let records: Vec<String> = texts.map(|txt| String::from_utf8_lossy(&txt).into_owned()).collect();
    if records.len() < 2 {
        // The same question, answered otherwise a moment later: nothing to build advice on.
        part.unknown("spf", "the name servers give more than one SPF record at one time and not at another; it is asked again");
        part.word(Status::None, "No answer");
        return;
    }
    part.find(remark("spf.multiple_records", domain, format!("{domain} has {} SPF records; receivers take that as an error", records.len())));
    spf_wire::judge(domain, wire, part);
    rewrite(net, facts, options, &merged(&records), part).await;
    part.detail.spf = Some(SpfDetail {
        tree: SpfNode { domain: domain.to_owned(), problem: Some(format!("has {} SPF records", records.len())), ..SpfNode::default() },
        ..SpfDetail::default()
    });
    part.records = records;
    part.word(Status::Bad, "Error");
}

fn missing(facts: &Facts, options: &AuditOptions, part: &mut Part) {
    let domain = facts.domain.as_str();
    let found = remark("spf.missing", domain, format!("{domain} has no SPF record"));
    let senders: Vec<IpAddr> = options.senders.iter().take(MOST_NAMED).map(|(address, _)| address.to_canonical()).collect();
    let mut terms: Vec<String> = if facts.takes_mail() { vec!["mx".to_owned()] } else { Vec::new() };
    terms.extend(senders.iter().map(|address| format!("{}:{address}", if address.is_ipv4() { "ip4" } else { "ip6" })));
    part.find(if facts.null_mx && !senders.is_empty() {
        found.fix("Whether the domain sends mail is yours to decide: if it does, give it an MX record and name its senders; if not, publish v=spf1 -all.")
    } else if !terms.is_empty() {
        found
            .fix(
                "Publish one that names every host that sends for the domain; this one allows its MX hosts and the senders known here only. Change ~all to \
                 -all when all your senders are in it.",
            )
            .record("TXT", domain, format!("v=spf1 {} ~all", terms.join(" ")))
    } else if facts.receives {
        found.fix("Publish one that names every host that sends for the domain, and ends in ~all. None is known here: its MX records lead to no host.")
    } else {
        found.fix("Publish one that says that nobody sends for the domain.").record("TXT", domain, "v=spf1 -all")
    });
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

async fn judge(net: &Net, facts: &Facts, options: &AuditOptions, (text, record): (&str, &Record), wire: &spf_wire::Wire, part: &mut Part) {
    let domain = facts.domain.as_str();
    let cost = rules(net, facts, text, record, part).await;
    // What the record itself says must not be lost to a name server that lets evaluations wait.
    let mut sent = Part::default();
    let looked = tokio::time::timeout(SENDERS, spf_senders::look(net, facts, options, record, &mut sent)).await;
    let senders = looked.unwrap_or_else(|_| {
        sent.unknown("spf", "which of the known hosts may send was not answered in time");
        spf_senders::Senders::default()
    });
    let base = spf_wire::meant(wire).unwrap_or_else(|| text.to_owned());
    let repair = repair(net, facts, &base, &known(facts, options, &cost, senders.refused), part, cost.tree.lookups).await;
    let flattened = match &repair {
        Some(repair) => repair.flattened.clone(),
        None => spf_flatten::propose(domain, text, record, &cost),
    };
    let mut carried = Part::default();
    spf_wire::judge(domain, wire, &mut carried);
    lookups(domain, cost.tree.lookups, flattened.as_ref(), part);
    if let Some(repair) = &repair {
        let mut after = repair.after.clone();
        lookups(domain, repair.lookups, None, &mut after);
        repair::show(&mut part.findings, &after.findings, domain, &repair.value);
        let ends = |rule: &str| rule == "spf.sender_not_covered" || rule == "spf.too_long_string";
        for finding in sent.findings.iter_mut().chain(&mut carried.findings).filter(|finding| ends(&finding.rule)) {
            finding.record = Some(repair::txt(domain, &repair.value));
        }
    }
    for more in [sent, carried] {
        part.findings.extend(more.findings);
        part.unknown.extend(more.unknown);
    }
    part.detail.spf = Some(SpfDetail { tree: cost.tree, senders: senders.shown, flattened });
    part.word_by_findings(Status::Ok, if part.findings.iter().any(|f| f.severity >= Severity::High) { "Error" } else { "Pass" });
}

/// All that a record itself gives reason to say, but for the number of its lookups.
async fn rules(net: &Net, facts: &Facts, text: &str, record: &Record, part: &mut Part) -> Cost {
    let domain = facts.domain.as_str();
    endings(facts, text, record, part);
    spf_repeats::judge(domain, record, part);
    let cost = Cost::of(net, domain, text, record).await;
    spf_open::judge(domain, record, &cost, part);
    soft(net, facts, &cost, part).await;
    wrong(domain, &cost, part);
    spf_networks::judge(facts, &cost.seen.networks, part);
    cost
}

fn known<'a>(facts: &'a Facts, options: &AuditOptions, cost: &'a Cost, refused: Vec<IpAddr>) -> Known<'a> {
    let senders: Vec<IpAddr> = options.senders.iter().map(|(address, _)| address.to_canonical()).collect();
    Known {
        domain: facts.domain.as_str(),
        silent: facts.null_mx && senders.is_empty() && options.seen_selectors.is_empty(),
        senders,
        refused,
        voids: cost.tree.void_lookups,
        seen: Some(&cost.seen),
    }
}

/// A repaired record and what its own audit says.
struct Repair {
    value: String,
    after: Part,
    lookups: u32,
    flattened: Option<SpfFlattening>,
}

/// The record put right, judged as if it were published; none where that would bring something new.
async fn repair(net: &Net, facts: &Facts, text: &str, known: &Known<'_>, before: &Part, lookups: u32) -> Option<Repair> {
    let mut tried = String::new();
    for move_all in [true, false] {
        let Some(value) = repaired(text, known, move_all).filter(|value| *value != tried) else { continue };
        let Ok(record) = parse(value.as_bytes()) else { continue };
        let mut after = Part::default();
        let cost = rules(net, facts, &value, &record, &mut after).await;
        // A known sender stays one, wherever it is.
        let excused = if known.refused.is_empty() { &OWNERS[..] } else { &[OWNERS[0], "spf.private_addresses"] };
        let is_longer = spf_wire::is_too_long(&value) && !spf_wire::is_too_long(text);
        if !is_longer && load(cost.tree.lookups) <= load(lookups) && repair::is_no_worse(&before.findings, &after.findings, excused) {
            let flattened = spf_flatten::propose(known.domain, &value, &record, &cost);
            return Some(Repair { value, after, lookups: cost.tree.lookups, flattened });
        }
        tried = value;
    }
    None
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

/// The rule that a number of lookups breaks.
const fn load(lookups: u32) -> Option<&'static str> {
    match lookups {
        0..NEAR => None,
        NEAR..=MAX_LOOKUPS => Some("spf.lookups_near_limit"),
        _ => Some("spf.too_many_lookups"),
    }
}

/// How many lookups there are, and which record needs fewer.
fn lookups(domain: &str, lookups: u32, proposal: Option<&SpfFlattening>, part: &mut Part) {
    let Some(rule) = load(lookups) else { return };
    let seen = if lookups > MAX_LOOKUPS {
        format!("SPF needs {lookups} DNS lookups, {MAX_LOOKUPS} are allowed")
    } else {
        format!("SPF needs {lookups} of {MAX_LOOKUPS} DNS lookups")
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
    let all = record.directives.iter().position(|directive| directive.mechanism == Mechanism::All);
    match all.map(|at| record.directives[at].qualifier) {
        Some(Qualifier::Pass) => {
            part.find(remark("spf.plus_all", domain, "SPF ends in “+all”: every host on the internet may send as the domain"));
        }
        Some(Qualifier::Neutral) => part.find(remark("spf.neutral_all", domain, "SPF ends in “?all”, which says nothing about other hosts")),
        None if record.redirect.is_none() => {
            part.find(remark("spf.no_all", domain, "SPF has no “all” at its end: hosts that it does not name are neither allowed nor refused"));
        }
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
        part.find(remark("spf.non_sending_open", domain, "The domain takes no mail (null MX), yet SPF lets hosts send for it"));
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
