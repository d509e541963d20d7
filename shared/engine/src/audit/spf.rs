//! The SPF record as an administrator should see it: syntax, and what it lets through (RFC 7208). What it costs is `spf_cost`; evaluating one
//! address is `crate::spf`.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, timeout_at};
use waypost_types::{
    Severity,
    audit::{SpfDetail, SpfFlattening, SpfNode},
    finding::Finding,
    outcome::Status,
};

use super::{
    AuditOptions, Facts, Part, dmarc, repair,
    rules::remark,
    sends::{Sends, sends},
    spf_cost::{Cost, Question},
    spf_flatten,
    spf_mend::{self, Outcome, Repair},
    spf_networks, spf_none, spf_open,
    spf_repair::lets_send,
    spf_repeats, spf_senders, spf_wire,
};
use crate::{
    net::{DnsFailure, Net},
    spf::{FetchError, MAX_LOOKUPS, MAX_NAMES, MAX_VOID_LOOKUPS, MODIFIER_TWICE, Mechanism, Qualifier, Record, SyntaxError, fetch, mistakes, parse},
};

/// From so many lookups on the limit is near.
const NEAR: u32 = 8;
/// Left of the time for what asks nobody.
const MARGIN: Duration = Duration::from_millis(300);
/// Names listed in one finding.
pub(super) const MOST_NAMED: usize = 10;
/// Mistakes told in one finding.
const MOST_MISTAKES: usize = 10;

/// The domain that is looked at, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Audited<'a> {
    pub(super) net: &'a Net,
    pub(super) facts: &'a Facts,
    pub(super) options: &'a AuditOptions,
    /// When all has to be told: what takes longer is left out, so that what is known by then is not lost with it.
    pub(super) end: Instant,
}

impl<'a> Audited<'a> {
    pub(super) fn domain(self) -> &'a str {
        self.facts.domain.as_str()
    }

    /// When the tree of policies has to be told: a quarter of the time is left for what builds on it and finds most of its answers kept.
    fn tree_end(self) -> Instant {
        self.end - self.end.saturating_duration_since(Instant::now()) / 4
    }

    /// What speaks for mail in the domain's name.
    pub(super) fn sends(self) -> Option<Sends> {
        sends(self.facts, self.options)
    }
}

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let on = Audited { net, facts, options, end: Instant::now() + options.deadline.saturating_sub(MARGIN) };
    let domain = on.domain();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let (fetched, wire) = tokio::join!(fetch(net.dns(), domain), spf_wire::look(net, domain));
    let bytes = match fetched {
        Ok(Some(txt)) => txt,
        Ok(None) => {
            match spf_wire::mistaken(&wire) {
                Some(mistaken) => spf_none::begins_wrongly(on, &mistaken, &mut part).await,
                None => spf_none::missing(on, &mut part),
            }
            spf_wire::judge(domain, &wire, &mut part);
            return part;
        }
        Err(FetchError::Dns(failure)) => {
            part.unknown("spf", failure);
            part.word(Status::None, "No answer");
            return part;
        }
        Err(FetchError::Multiple) => {
            spf_none::multiple(on, &wire, &mut part).await;
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
            spf_mend::rewrite(on, &spf_wire::meant(&wire).unwrap_or(text), &mut part).await;
            part.word(Status::Bad, "Error");
        }
        Ok(record) => judge(on, (&text, &record), &wire, &mut part).await,
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

async fn judge(on: Audited<'_>, published: (&str, &Record), wire: &spf_wire::Wire, part: &mut Part) {
    let domain = on.domain();
    // Where two strings of it run into each other, what the one wrong word says is nobody's will: the record is judged as it was meant.
    let meant = spf_wire::meant(wire).and_then(|text| Some((parse(text.as_bytes()).ok()?, text)));
    let (text, record) = meant.as_ref().map_or(published, |(record, text)| (text, record));
    let cost = rules(on, text, record, part).await;
    let mut sent = Part::default();
    let senders = spf_senders::look(on, record, &mut sent).await;
    let repair = match spf_mend::mend(on, text, &cost, part, true).await {
        Outcome::Better(repair) => Some(*repair),
        // What could not be read today is no reason to publish it.
        Outcome::Untold => None,
        outcome => {
            if let Outcome::Loses(lost, after) = &outcome {
                spf_mend::decide_first(&mut part.findings, lost, after);
            }
            meant.as_ref().map(|_| Repair::unchanged(on, text, record, &cost, part))
        }
    };
    let flattened = match &repair {
        Some(repair) => repair.flattened.clone(),
        None => spf_flatten::propose(domain, text, record, &cost),
    };
    let mut carried = Part::default();
    spf_wire::judge(domain, wire, &mut carried);
    lookups(domain, cost.tree.lookups, flattened.as_ref(), part);
    if let Some(repair) = &repair {
        let mut after = Part { findings: repair.after.clone(), ..Part::default() };
        lookups(domain, repair.lookups, None, &mut after);
        repair::show(&mut part.findings, &after.findings, domain, &repair.value);
        let is_let_in = |finding: &Finding| repair.lets_in.iter().any(|address| finding.subject == address.to_string());
        let ends = |finding: &Finding| match finding.rule.as_str() {
            "spf.sender_not_covered" => is_let_in(finding),
            rule => rule == "spf.too_long_string",
        };
        for finding in sent.findings.iter_mut().chain(&mut carried.findings).filter(|finding| ends(finding)) {
            finding.record = Some(repair::txt(domain, &repair.value));
        }
    }
    for more in [sent, carried] {
        part.findings.extend(more.findings);
        part.unknown.extend(more.unknown);
    }
    part.detail.spf = Some(SpfDetail { tree: cost.tree, senders, flattened });
    part.word_by_findings(Status::Ok, if part.findings.iter().any(|f| f.severity >= Severity::High) { "Error" } else { "Pass" });
}

/// All that a record itself gives reason to say, but for the number of its lookups.
pub(super) async fn rules(on: Audited<'_>, text: &str, record: &Record, part: &mut Part) -> Cost {
    let domain = on.domain();
    endings(on, text, record, part);
    spf_repeats::judge(domain, record, part);
    let cost = Cost::of(on.net, domain, text, record, on.tree_end()).await;
    spf_open::judge(domain, record, &cost, part);
    soft(on, &cost, part).await;
    wrong(domain, &cost, part);
    spf_networks::judge(on.facts, &cost.seen.networks, part);
    cost
}

/// A soft fail refuses nothing by itself: whether that is enough is the DMARC policy's to say.
async fn soft(on: Audited<'_>, cost: &Cost, part: &mut Part) {
    let Some((whose, _)) = spf_open::effective_all(&cost.tree).filter(|(_, all)| all.is_some_and(|all| all.eq_ignore_ascii_case("~all"))) else {
        return;
    };
    let enforces = timeout_at(on.end, dmarc::enforces(on.net, &on.facts.domain)).await;
    match enforces.unwrap_or(Err(DnsFailure::Timeout)) {
        Ok(true) => {}
        Ok(false) => {
            let domain = on.domain();
            let led = if whose == domain { String::new() } else { format!(" in the record of {whose}") };
            part.find(remark("spf.softfail_only", domain, format!("SPF ends in “~all”{led}, and no DMARC policy has mail refused that fails")));
        }
        Err(failure) => part.untold("spf.softfail_only", format!("whether DMARC has mail refused that fails: {failure}")),
    }
}

/// The rule that a number of lookups breaks.
pub(super) const fn load(lookups: u32) -> Option<&'static str> {
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
        let term = |(question, name): &(Question, String)| format!("{}:{name}", question.as_str());
        // Where an include is reached twice, its terms count twice and are to be removed once.
        let mut names: Vec<String> = Vec::new();
        for name in seen.voids.iter().take(MOST_NAMED).map(term) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        part.find(remark("spf.void_lookups", domain, summary).with("names", names.join(", ")));
    }
    for target in &seen.without_record {
        part.find(
            remark("spf.include_no_record", target, format!("SPF leads to {target}, which has no SPF record of its own"))
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
            remark("spf.syntax", target, format!("SPF leads to {target}, whose record can not be read: {error}"))
                .fix(format!("Tell the operator of {target}; until it is mended take it out of the record.")),
        );
    }
    if let Some(target) = &seen.looped {
        part.find(remark("spf.include_loop", target, format!("SPF comes back to {target}: the record leads to itself")).with("target", target));
    }
    let mut named = BTreeSet::new();
    for (name, failure) in seen.failed.iter().filter(|(name, _)| named.insert(name)) {
        part.unknown("spf", format!("{name}: {failure}"));
    }
    for (name, count) in &seen.wide_mx {
        part.find(remark("spf.mx_too_many", name, format!("“mx” of {name} names {count} hosts, {MAX_NAMES} are allowed")));
    }
    for name in &seen.impossible {
        let summary = format!("SPF names “{name}”, which no name in DNS can be: receivers skip the term or take the whole record for an error");
        part.find(
            remark("spf.syntax", name, summary)
                .severity(Severity::High)
                .fix(format!("Correct the name “{name}”, or take its term out of the record.")),
        );
    }
    if seen.uses_ptr {
        part.find(remark("spf.ptr_used", domain, "SPF uses “ptr”, which is slow and which the standard says not to use"));
    }
}

const TWO_IN_ONE: &str = "A record that was put behind another is read on only to the first “all”: what stands behind that lets nobody send.";

/// What stands at the end of the record, and what is superfluous in it.
fn endings(on: Audited<'_>, text: &str, record: &Record, part: &mut Part) {
    let domain = on.domain();
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
    if text.split(' ').skip(1).any(|term| term.eq_ignore_ascii_case("v=spf1")) {
        let seen = "“v=spf1” stands again within the SPF record: two records were put into one, and receivers skip the word";
        part.find(
            remark("spf.syntax", domain, seen)
                .severity(Severity::Low)
                .why(TWO_IN_ONE)
                .fix("Publish the record with v=spf1 at its beginning only, and one “all” at its end."),
        );
    }
    if on.facts.null_mx && !text.trim_end().eq_ignore_ascii_case("v=spf1 -all") {
        open_beside_null_mx(on, record, part);
    }
}

/// A domain that takes no mail should send none (RFC 7505 4.2). Whether it does is its owner's to say where anything speaks for it.
fn open_beside_null_mx(on: Audited<'_>, record: &Record, part: &mut Part) {
    let domain = on.domain();
    let sends = on.sends();
    // That it does send is said of its MX record.
    if sends.as_ref().is_some_and(Sends::is_sure) {
        return;
    }
    let open = lets_send(record);
    let seen = if open {
        "The domain takes no mail (null MX), yet SPF lets hosts send for it"
    } else {
        "The domain takes no mail (null MX), and its SPF record does not simply say that nobody sends for it"
    };
    let found = remark("spf.non_sending_open", domain, seen);
    part.find(if open || sends.is_some() {
        found.fix(format!(
            "Whether the domain sends mail is yours to decide: if it does, give it an MX record that takes the replies; if it does not, publish \
             v=spf1 -all, and at _dmarc.{domain} v=DMARC1; p=reject."
        ))
    } else {
        found
    });
}
