//! A record that needs fewer lookups: includes replaced by the addresses they stand for, and what that risks.

use std::net::IpAddr;

use ipnet::IpNet;
use waypost_types::{
    audit::{SpfFlattening, SpfNode},
    finding::SuggestedRecord,
};

use super::{organisational, spf_cost::Cost, spf_repeats::terms, spf_services::service_of};
use crate::spf::{MAX_LOOKUPS, Mechanism, Qualifier, Record};

/// A proposal is made from so many lookups on.
const FROM: u32 = 8;
/// Includes are replaced until no more than so many lookups are left: some room to grow, no more stale copies than need be.
const ENOUGH: u32 = 7;
/// Characters of a record (RFC 7208 3.4).
const MOST_CHARACTERS: usize = 450;
/// Networks a person can still look after.
const MOST_NETWORKS: usize = 400;

/// A directive whose addresses can stand in for it.
struct Candidate {
    index: usize,
    target: String,
    saves: u32,
    networks: Vec<IpNet>,
}

/// The proposal; nothing where it would not help, nothing where order or the message decides, and nothing before what is broken is mended.
pub(super) fn propose(domain: &str, text: &str, record: &Record, cost: &Cost) -> Option<SpfFlattening> {
    let end = record.directives.iter().position(|directive| directive.mechanism == Mechanism::All).unwrap_or(record.directives.len());
    // An exception before a wider term would no longer stand where it stood.
    if cost.tree.lookups < FROM || cost.seen.is_broken() || record.directives[..end].iter().any(|directive| directive.qualifier != Qualifier::Pass) {
        return None;
    }
    let mut candidates = candidates(domain, text, record, cost);
    // Own policies do not change behind one's back; of others those that save the most come first.
    candidates.sort_by_key(|candidate| {
        (organisational(&candidate.target) != organisational(domain), std::cmp::Reverse(candidate.saves), candidate.networks.len())
    });
    let mut best: Option<SpfFlattening> = None;
    for count in 1..=candidates.len() {
        let Some(proposal) = build(domain, text, record, cost, &candidates[..count]) else { continue };
        if best.as_ref().is_none_or(|best| proposal.lookups < best.lookups) {
            best = Some(proposal);
        }
        if best.as_ref().is_some_and(|best| best.lookups <= ENOUGH) {
            break;
        }
    }
    best.filter(|best| best.lookups < cost.tree.lookups && best.lookups <= MAX_LOOKUPS)
}

fn candidates(domain: &str, text: &str, record: &Record, cost: &Cost) -> Vec<Candidate> {
    let by_term = terms(text, record).into_iter().zip(&cost.tree.terms);
    by_term
        .filter_map(|((_, index), term)| {
            let index = index?;
            let Mechanism::Include(spec) = &record.directives[index].mechanism else { return None };
            let networks = IpNet::aggregate(cost.allowed.get(index)?.as_ref()?);
            let target = spec.literal()?.to_ascii_lowercase();
            (target != domain && !networks.is_empty()).then_some(Candidate { index, target, saves: term.lookups, networks })
        })
        .collect()
}

fn build(domain: &str, text: &str, record: &Record, cost: &Cost, replaced: &[Candidate]) -> Option<SpfFlattening> {
    let own = |index: usize| match record.directives[index].mechanism {
        Mechanism::Ip4(..) | Mechanism::Ip6(..) => cost.allowed.get(index).cloned().flatten(),
        _ => None,
    };
    let all: Vec<IpNet> =
        (0..record.directives.len()).filter_map(own).flatten().chain(replaced.iter().flat_map(|candidate| candidate.networks.clone())).collect();
    let networks = IpNet::aggregate(&all);
    if networks.len() > MOST_NETWORKS {
        return None;
    }
    let addresses: Vec<String> = networks.iter().map(written).collect();
    let is_address = |index: usize| own(index).is_some();
    let is_replaced = |index: usize| replaced.iter().any(|candidate| candidate.index == index);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut ended = false;
    for (term, index) in terms(text, record) {
        ended |= index.is_some_and(|index| record.directives[index].mechanism == Mechanism::All);
        match index {
            Some(_) if ended => after.push(term.to_owned()),
            Some(index) if is_address(index) || is_replaced(index) => {}
            Some(_) => before.push(term.to_owned()),
            None => after.push(term.to_owned()),
        }
    }
    let left = cost.tree.lookups - replaced.iter().map(|candidate| candidate.saves).sum::<u32>().min(cost.tree.lookups);
    let joined = |middle: &[String]| {
        std::iter::once("v=spf1").chain(before.iter().chain(middle).chain(&after).map(String::as_str)).collect::<Vec<_>>().join(" ")
    };
    let whole = joined(&addresses);
    let (records, lookups) = if whole.len() <= MOST_CHARACTERS {
        (vec![SuggestedRecord { name: domain.to_owned(), kind: "TXT".to_owned(), value: whole }], left)
    } else {
        let prefix = free_prefix(&cost.tree, domain);
        let parts = split(&addresses);
        let names: Vec<String> = (1..=parts.len()).map(|n| format!("{prefix}{n}.{domain}")).collect();
        let main = joined(&names.iter().map(|name| format!("include:{name}")).collect::<Vec<_>>());
        if main.len() > MOST_CHARACTERS {
            return None;
        }
        let lookups = left + u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let parts = names.into_iter().zip(parts).map(|(name, value)| SuggestedRecord { name, kind: "TXT".to_owned(), value });
        // Those that are included come first: they must stand before the record that needs them.
        (parts.chain([SuggestedRecord { name: domain.to_owned(), kind: "TXT".to_owned(), value: main }]).collect(), lookups)
    };
    Some(SpfFlattening { records, lookups, risk: risk(domain, replaced) })
}

fn risk(domain: &str, replaced: &[Candidate]) -> String {
    let foreign: Vec<String> = replaced
        .iter()
        .filter(|candidate| organisational(&candidate.target) != organisational(domain))
        .map(|candidate| service_of(&candidate.target).map_or_else(|| candidate.target.clone(), |name| format!("{name} ({})", candidate.target)))
        .collect();
    if foreign.is_empty() {
        return "The addresses are a copy of your own records: whoever changes those must change this one, too.".to_owned();
    }
    format!(
        "The addresses of {} are a copy of today: when the provider changes them the record is stale and its mail fails SPF, so somebody of yours must \
         compare and publish them anew, best by a program and every day.",
        foreign.join(", ")
    )
}

/// Address terms in as few records as hold them.
fn split(addresses: &[String]) -> Vec<String> {
    const HEAD: &str = "v=spf1";
    const END: &str = " -all";
    let mut parts = Vec::new();
    let mut part = HEAD.to_owned();
    for address in addresses {
        if part.len() + 1 + address.len() + END.len() > MOST_CHARACTERS {
            parts.push(std::mem::replace(&mut part, HEAD.to_owned()) + END);
        }
        part.push(' ');
        part.push_str(address);
    }
    parts.push(part + END);
    parts
}

fn written(network: &IpNet) -> String {
    let kind = if matches!(network.addr(), IpAddr::V4(_)) { "ip4" } else { "ip6" };
    if network.prefix_len() == network.max_prefix_len() { format!("{kind}:{}", network.addr()) } else { format!("{kind}:{network}") }
}

/// A start of names below the domain that the tree does not use.
fn free_prefix(tree: &SpfNode, domain: &str) -> &'static str {
    fn uses(node: &SpfNode, prefix: &str, domain: &str) -> bool {
        (node.domain.starts_with(prefix) && node.domain.ends_with(domain))
            || node.terms.iter().filter_map(|term| term.policy.as_deref()).any(|policy| uses(policy, prefix, domain))
    }
    ["_spf", "_senders"].into_iter().find(|prefix| !uses(tree, prefix, domain)).unwrap_or("_addresses")
}
