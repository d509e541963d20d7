//! The SPF record to paste, written from what is published (`spf_repair`). The same rules judge it before anybody sees it, and no address that
//! passes today and may send for the domain is lost by it.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use tokio::time::{Instant, timeout_at};
use waypost_types::{audit::SpfFlattening, finding::Finding};

use super::{
    Part, repair,
    spf::{Audited, load, rules},
    spf_cost::Cost,
    spf_flatten,
    spf_repair::{Known, legible, repaired},
    spf_senders::{self, Candidate},
    spf_wire,
};
use crate::{
    net::{Dns, Lookup},
    spf::{Mechanism, Qualifier, Record, SpfDns, SpfResult, parse},
};

/// A repair asks DNS again, and is worth less than all that was found without it.
const LIMIT: Duration = Duration::from_secs(2);
/// Of these, for who passes today.
const NOW: Duration = Duration::from_secs(1);
/// What a repaired record may bring: how strictly it ends is the owner's to decide, once all senders are in it.
const OWNERS: [&str; 1] = ["spf.softfail_only"];

/// A record to paste and what its own audit says.
#[derive(Debug)]
pub(super) struct Repair {
    pub(super) value: String,
    pub(super) after: Vec<Finding>,
    pub(super) lookups: u32,
    pub(super) flattened: Option<SpfFlattening>,
    /// Known senders that it lets in.
    pub(super) lets_in: Vec<IpAddr>,
}

impl Repair {
    /// The record as it stands: what is wrong with it lies in how it is published.
    pub(super) fn unchanged(on: Audited<'_>, text: &str, record: &Record, cost: &Cost, before: &Part) -> Self {
        Self {
            value: text.to_owned(),
            after: before.findings.clone(),
            lookups: cost.tree.lookups,
            flattened: spf_flatten::propose(on.domain(), text, record, cost),
            lets_in: Vec::new(),
        }
    }
}

/// What became of a repair.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There is nothing to mend without its owner, the mended record would bring something new, or it could not be judged.
    Nothing,
    /// These pass today and would not under the mended record, of whose own audit these findings are.
    Loses(Vec<String>, Vec<Finding>),
    /// This record is better.
    Better(Box<Repair>),
}

/// The record put right, judged as if it were published. Where receivers can not read what is published, nobody passes who could be lost.
pub(super) async fn mend(on: Audited<'_>, text: &str, cost: &Cost, before: &Part, readable: bool) -> Outcome {
    // What did not answer may be what a term is there for.
    if !cost.seen.failed.is_empty() {
        return Outcome::Nothing;
    }
    let repairing = judged(on, text, known(on, cost), (before, cost.tree.lookups), readable);
    timeout_at(on.end.min(Instant::now() + LIMIT), Box::pin(repairing)).await.unwrap_or(Outcome::Nothing)
}

fn known<'a>(on: Audited<'a>, cost: &'a Cost) -> Known<'a> {
    Known {
        domain: on.domain(),
        silent: on.facts.null_mx && on.sends().is_none(),
        senders: on.options.senders.iter().map(|(address, _)| address.to_canonical()).collect(),
        refused: Vec::new(),
        voids: cost.tree.void_lookups,
        seen: Some(&cost.seen),
    }
}

async fn judged(on: Audited<'_>, text: &str, mut known: Known<'_>, (before, lookups): (&Part, u32), readable: bool) -> Outcome {
    let mut kept = spf_senders::candidates(on.facts, on.options);
    // Who takes the mail need not send it, unless the host is the organisation's own.
    kept.retain(|candidate| candidate.known || candidate.own_host.is_some());
    let now = standing(on, text, &kept, NOW).await;
    // Of whom it can not be told whether they pass, nobody can tell whether they are lost.
    let (kept, now): (Vec<Candidate>, Vec<SpfResult>) = kept.into_iter().zip(now).filter(|(_, now)| *now != SpfResult::TempError).unzip();
    let of_senders = |is_it: &dyn Fn(usize) -> bool| -> Vec<IpAddr> {
        let senders = kept.iter().enumerate().filter(|(at, candidate)| candidate.known && is_it(*at));
        senders.map(|(_, candidate)| candidate.address).collect()
    };
    known.refused = of_senders(&|at| matches!(now[at], SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral));
    let (mut tried, mut outcome) = (String::new(), Outcome::Nothing);
    for move_all in [true, false] {
        let Some(mut value) = repaired(text, &known, move_all).filter(|value| *value != tried) else { continue };
        tried.clone_from(&value);
        let mut then = standing(on, &value, &kept, LIMIT).await;
        let is_lost = |at: usize, then: &[SpfResult]| now[at] == SpfResult::Pass && then[at] != SpfResult::Pass;
        // A sender that only “+all” let in has to be named.
        let named = of_senders(&|at| is_lost(at, &then));
        if !named.is_empty() {
            let more = Known { refused: [&known.refused[..], &named].concat(), ..known.clone() };
            let Some(better) = repaired(text, &more, move_all) else { continue };
            value = better;
            then = standing(on, &value, &kept, LIMIT).await;
        }
        let Ok(record) = parse(value.as_bytes()) else { continue };
        let mut after = Part::default();
        let cost = rules(on, &value, &record, &mut after).await;
        // A known sender stays one, wherever it is.
        let excused = if known.refused.is_empty() && named.is_empty() { &OWNERS[..] } else { &[OWNERS[0], "spf.private_addresses"] };
        let is_longer = spf_wire::is_too_long(&value) && !spf_wire::is_too_long(text);
        if is_longer || load(cost.tree.lookups) > load(lookups) || !repair::is_no_worse(&before.findings, &after.findings, excused) {
            continue;
        }
        let lost: Vec<String> =
            (0..kept.len()).filter(|at| readable && is_lost(*at, &then)).map(|at| format!("{} ({})", kept[at].address, kept[at].origin)).collect();
        if lost.is_empty() {
            let flattened = spf_flatten::propose(on.domain(), &value, &record, &cost);
            let lets_in = of_senders(&|at| then[at] == SpfResult::Pass);
            return Outcome::Better(Box::new(Repair { value, after: after.findings, lookups: cost.tree.lookups, flattened, lets_in }));
        }
        outcome = Outcome::Loses(lost, after.findings);
    }
    outcome
}

/// What a record says of each address, as if it were published.
async fn standing(on: Audited<'_>, text: &str, of: &[Candidate], limit: Duration) -> Vec<SpfResult> {
    let published = AsIf { dns: on.net.dns(), domain: on.domain(), text };
    let told = spf_senders::evaluate(&published, on.domain(), on.net.now().timestamp(), of, Instant::now() + limit).await;
    told.into_iter().map(|told| told.result).collect()
}

/// The DNS with another SPF record at one name.
struct AsIf<'a> {
    dns: &'a Dns,
    domain: &'a str,
    text: &'a str,
}

impl SpfDns for AsIf<'_> {
    async fn txt(&self, name: &str) -> Lookup<Vec<u8>> {
        if name.eq_ignore_ascii_case(self.domain) { Lookup::Found(vec![self.text.into()]) } else { SpfDns::txt(self.dns, name).await }
    }
    async fn address(&self, name: &str, v6: bool) -> Lookup<IpAddr> {
        SpfDns::address(self.dns, name, v6).await
    }
    async fn mx(&self, name: &str) -> Lookup<(u16, String)> {
        SpfDns::mx(self.dns, name).await
    }
    async fn ptr(&self, address: IpAddr) -> Lookup<String> {
        SpfDns::ptr(self.dns, address).await
    }
}

/// Says of findings that a record would end why there is none.
pub(super) fn decide_first(findings: &mut [Finding], lost: &[String], after: &[Finding]) {
    for at in repair::ended(findings, after) {
        if findings[at].rule == "spf.plus_all" {
            findings[at].fix = format!(
                "Let the record end in ~all as soon as it names every host that sends. These hosts pass only because everybody does, and would pass no \
                 more: {}. Add those of them that send (ip4:, ip6:) before “all”; no record is proposed before that.",
                lost.join(", ")
            );
        }
    }
}

/// What a record that is written anew ends, whatever it says.
fn is_of_record(rule: &str) -> bool {
    ["spf.syntax", "spf.duplicate_modifier", "spf.multiple_records", "spf.too_long_string"].contains(&rule)
}

/// Shows a record that can be read, with all else put right, where it is clear what the terms were meant to say.
pub(super) async fn rewrite(on: Audited<'_>, text: &str, part: &mut Part) {
    let value = match legible(text).map(|text| (parse(text.as_bytes()), text)) {
        Some((Ok(record), text)) => written_anew(on, text, &record).await,
        _ => None,
    };
    for finding in &mut part.findings {
        match &value {
            Some(value) if is_of_record(&finding.rule) => finding.record = Some(repair::txt(on.domain(), value)),
            None if ["spf.syntax", "spf.duplicate_modifier"].contains(&finding.rule.as_str()) => {
                finding.fix.push_str(" What was meant has to be decided by you: no record is proposed before that.");
            }
            _ => {}
        }
    }
}

async fn written_anew(on: Audited<'_>, text: String, record: &Record) -> Option<String> {
    let mut first = Part::default();
    let cost = rules(on, &text, record, &mut first).await;
    let lets_all = || record.directives.iter().any(|one| one.mechanism == Mechanism::All && one.qualifier == Qualifier::Pass);
    match mend(on, &text, &cost, &first, false).await {
        Outcome::Better(repair) => Some(repair.value),
        // Made legible it would let everybody send.
        Outcome::Nothing | Outcome::Loses(..) if lets_all() => None,
        Outcome::Nothing | Outcome::Loses(..) => Some(text),
    }
}

/// One record with every mechanism of several, ending in the strictest `all` among them. Beside that `all` a redirect would not be followed any
/// more; an include of the same policy lets the same hosts pass (RFC 7208 5.2, 6.1). It comes last, as a redirect does.
pub(super) fn merged(records: &[String]) -> String {
    let (mut own, mut led) = (Vec::new(), Vec::new());
    for record in records {
        let terms = || record.split(' ').skip(1).filter(|term| !term.is_empty());
        let ends = terms().any(is_all);
        for term in terms().filter(|term| !is_all(term)) {
            match term.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("redirect")) {
                Some((_, target)) if !ends => led.push(format!("include:{target}")),
                // Nobody has followed it.
                Some(_) => {}
                None => own.push(term.to_owned()),
            }
        }
    }
    let mut seen = BTreeSet::new();
    let terms = own.into_iter().chain(led).filter(|term| seen.insert(term.to_ascii_lowercase()));
    let strict = records.iter().flat_map(|record| record.split(' ')).any(|term| term.eq_ignore_ascii_case("-all"));
    let all = if strict { "-all" } else { "~all" };
    std::iter::once("v=spf1".to_owned()).chain(terms).chain([all.to_owned()]).collect::<Vec<_>>().join(" ")
}

fn is_all(term: &str) -> bool {
    term.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all")
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
        assert_eq!(merged(&["v=spf1 REDIRECT=x.example", "v=spf1 a include:X.example"]), "v=spf1 a include:X.example ~all");
        assert_eq!(merged(&["v=spf1 redirect=%{d}.x.example", "v=spf1 redirect=y.example ~all mx"]), "v=spf1 mx include:%{d}.x.example ~all");
    }
}
