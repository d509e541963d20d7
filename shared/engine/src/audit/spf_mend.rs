//! The SPF record to paste, written from what is published (`spf_repair`). The same rules judge it before anybody sees it, and no address that
//! passes today and may send for the domain is lost by it.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use tokio::time::{Instant, timeout_at};
use waypost_types::{audit::SpfFlattening, finding::Finding};

use super::{
    Part, repair,
    rules::explain_by_hand,
    spf::{Audited, load, rules},
    spf_cost::Cost,
    spf_flatten,
    spf_repair::{Known, legible, lets_everybody, lets_send, repaired, takes_away},
    spf_senders::{self, Candidate},
    spf_wire,
};
use crate::{
    net::{Dns, Lookup},
    spf::{Record, SpfDns, SpfResult, parse},
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
    /// There is nothing to mend without its owner, or the mended record would bring something new.
    Nothing,
    /// What the record says, or whom a mended one would let in, could not be told.
    Untold,
    /// These pass today and would not under the mended record, of whose own audit these findings are.
    Loses(Vec<String>, Vec<Finding>),
    /// This record is better.
    Better(Box<Repair>),
}

/// The record put right, judged as if it were published. Where receivers can not read what is published, nobody passes who could be lost, and
/// whoever the mended record refuses is refused by it first.
pub(super) async fn mend(on: Audited<'_>, text: &str, cost: &Cost, before: &Part, readable: bool) -> Outcome {
    // What did not answer may be what a term is there for.
    if !cost.seen.failed.is_empty() {
        return Outcome::Untold;
    }
    let repairing = judged(on, text, known(on, cost), (before, cost.tree.lookups), readable);
    timeout_at(on.end.min(Instant::now() + LIMIT), Box::pin(repairing)).await.unwrap_or(Outcome::Untold)
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
    let kept = own(on);
    let now = standing(on, text, &kept, NOW).await;
    // Of whom it can not be told whether they pass, nobody can tell whether they are lost: unless nothing is taken away.
    let untold = now.contains(&SpfResult::TempError);
    if untold && !readable {
        return Outcome::Untold;
    }
    let (kept, now): (Vec<Candidate>, Vec<SpfResult>) = kept.into_iter().zip(now).filter(|(_, now)| *now != SpfResult::TempError).unzip();
    let of_senders = |is_it: &dyn Fn(usize) -> bool| -> Vec<IpAddr> {
        let senders = kept.iter().enumerate().filter(|(at, candidate)| candidate.known && is_it(*at));
        senders.map(|(_, candidate)| candidate.address).collect()
    };
    known.refused = of_senders(&|at| is_refused(now[at]));
    let (mut tried, mut outcome) = (String::new(), Outcome::Nothing);
    for move_all in [true, false] {
        let Some(mut value) = repaired(text, &known, move_all).filter(|value| *value != tried) else { continue };
        tried.clone_from(&value);
        let mut then = standing(on, &value, &kept, LIMIT).await;
        let is_lost =
            |at: usize, then: &[SpfResult]| if readable { now[at] == SpfResult::Pass && then[at] != SpfResult::Pass } else { is_refused(then[at]) };
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
        let lost: Vec<usize> = (0..kept.len()).filter(|at| is_lost(*at, &then)).collect();
        if lost.is_empty() && !(untold && takes_away(text, &value)) {
            let flattened = spf_flatten::propose(on.domain(), &value, &record, &cost);
            let lets_in = of_senders(&|at| then[at] == SpfResult::Pass);
            return Outcome::Better(Box::new(Repair { value, after: after.findings, lookups: cost.tree.lookups, flattened, lets_in }));
        }
        // Only of those that were told can be said that they pass no more.
        let told = lost.into_iter().filter(|at| then[*at] != SpfResult::TempError);
        let told: Vec<String> = told.map(|at| format!("{} ({})", kept[at].address, kept[at].origin)).collect();
        // The first has all terms before “all”: whom it loses passes by none of them.
        if matches!(outcome, Outcome::Nothing) {
            outcome = if told.is_empty() { Outcome::Untold } else { Outcome::Loses(told, after.findings) };
        }
    }
    outcome
}

/// The known senders, and the hosts of the organisation's own that take its mail; who else takes it need not send it.
fn own(on: Audited<'_>) -> Vec<Candidate> {
    let mut own = spf_senders::candidates(on.facts, on.options);
    own.retain(|candidate| candidate.known || candidate.own_host.is_some());
    own
}

const fn is_refused(result: SpfResult) -> bool {
    matches!(result, SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral)
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

/// A record in the place of one that receivers can not use, or why there is none.
#[derive(Debug)]
pub(super) enum Written {
    Record(String),
    /// What its terms were meant to say can only be guessed at.
    Unclear,
    /// These would be refused.
    Refuses(Vec<String>),
    Untold,
}

impl Written {
    /// Why no record is proposed, to stand behind a fix.
    pub(super) fn why_not(&self) -> String {
        match self {
            Self::Record(_) => String::new(),
            Self::Unclear => " What was meant has to be decided by you: no record is proposed before that.".to_owned(),
            Self::Refuses(who) => format!(
                " Put right, the record would not let these hosts send: {}. Add those of them that send (ip4:, ip6:) before “all”; no record is \
                 proposed before that.",
                who.join(", ")
            ),
            Self::Untold => " Whom the corrected record would let send could not be judged in time, or name servers did not answer: no record is \
                              proposed before that."
                .to_owned(),
        }
    }
}

/// Shows a record that can be read, with all else put right, where it is clear what the terms were meant to say.
pub(super) async fn rewrite(on: Audited<'_>, text: &str, part: &mut Part) {
    let written = written_anew(on, text).await;
    for finding in &mut part.findings {
        match &written {
            Written::Record(value) if is_of_record(&finding.rule) => {
                finding.record = Some(repair::txt(on.domain(), value));
                if finding.rule == "spf.multiple_records" {
                    finding.fix.push_str(&left_out(text, value));
                }
            }
            Written::Record(_) => {}
            why if ["spf.syntax", "spf.duplicate_modifier"].contains(&finding.rule.as_str()) => finding.fix.push_str(&why.why_not()),
            Written::Refuses(_) | Written::Untold if finding.rule == "spf.multiple_records" => {
                explain_by_hand(finding);
                finding.fix.push_str(&written.why_not());
            }
            Written::Unclear | Written::Refuses(_) | Written::Untold => {}
        }
    }
}

/// Says which terms a record leaves out that stood in the text it is made of, once each.
fn left_out(text: &str, value: &str) -> String {
    let kept: BTreeSet<String> = value.split(' ').map(str::to_ascii_lowercase).collect();
    let gone: Vec<&str> = text.split(' ').filter(|term| !term.is_empty() && !is_all(term) && !kept.contains(&term.to_ascii_lowercase())).collect();
    if gone.is_empty() { String::new() } else { format!(" It leaves out what lets nobody send: {}.", gone.join(", ")) }
}

/// The record in the place of one that receivers can not use, so that nobody passes by it today. What takes too long costs no finding.
pub(super) async fn written_anew(on: Audited<'_>, text: &str) -> Written {
    let Some((Ok(record), text)) = legible(text).map(|text| (parse(text.as_bytes()), text)) else { return Written::Unclear };
    timeout_at(on.end, Box::pin(judged_anew(on, text, &record))).await.unwrap_or(Written::Untold)
}

async fn judged_anew(on: Audited<'_>, text: String, record: &Record) -> Written {
    let mut first = Part::default();
    let cost = rules(on, &text, record, &mut first).await;
    match mend(on, &text, &cost, &first, false).await {
        // A record under which nobody passes is no repair of one that was to let everybody pass.
        Outcome::Better(repair) if !(lets_everybody(record) && parse(repair.value.as_bytes()).is_ok_and(|better| !lets_send(&better))) => {
            Written::Record(repair.value)
        }
        Outcome::Loses(who, _) => Written::Refuses(who),
        Outcome::Untold => Written::Untold,
        // Made legible it would let everybody send.
        Outcome::Better(_) | Outcome::Nothing if lets_everybody(record) => Written::Unclear,
        Outcome::Better(_) | Outcome::Nothing => as_it_stands(on, text).await,
    }
}

/// A legible record that nothing makes better, unless it refuses one of the domain's own.
async fn as_it_stands(on: Audited<'_>, text: String) -> Written {
    let own = own(on);
    let results = standing(on, &text, &own, LIMIT).await;
    if results.contains(&SpfResult::TempError) {
        return Written::Untold;
    }
    let refused = own.iter().zip(results).filter(|(_, result)| is_refused(*result));
    let refused: Vec<String> = refused.map(|(candidate, _)| format!("{} ({})", candidate.address, candidate.origin)).collect();
    if refused.is_empty() { Written::Record(text) } else { Written::Refuses(refused) }
}

/// One record with every mechanism of several, ending as softly as the softest of them. Beside that `all` a redirect would not be followed any
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
    // Two records refuse nobody's mail: what each sender is used to is not to get stricter by the way.
    let strict = records.iter().all(|record| record.split(' ').any(|term| term.eq_ignore_ascii_case("-all")));
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
    fn merging_loses_no_sender_and_keeps_the_softest_end() {
        let merged = |records: &[&str]| merged(&records.iter().map(|record| (*record).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            merged(&["v=spf1 mx ~all", "v=spf1 MX a:firewall include:spf-all.e.example ?all"]),
            "v=spf1 mx a:firewall include:spf-all.e.example ~all"
        );
        assert_eq!(merged(&["v=spf1 a -ALL", "v=spf1 mx +all"]), "v=spf1 a mx ~all");
        assert_eq!(merged(&["v=spf1 a -ALL", "v=spf1 mx -all"]), "v=spf1 a mx -all");
        assert_eq!(merged(&["v=spf1 REDIRECT=x.example", "v=spf1 a include:X.example"]), "v=spf1 a include:X.example ~all");
        assert_eq!(merged(&["v=spf1 redirect=%{d}.x.example", "v=spf1 redirect=y.example ~all mx"]), "v=spf1 mx include:%{d}.x.example ~all");
    }
}
