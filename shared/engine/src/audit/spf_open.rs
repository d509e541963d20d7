//! Who is let in at the end: the `all` that decides after every redirect, and policies that let everybody pass.

use ipnet::IpNet;
use waypost_types::audit::{SpfNode, SpfTerm};

use super::{Part, rules::remark, spf_cost::Cost};
use crate::spf::{Mechanism, Record};

/// Half of all IPv4 addresses: who lets in more lets in everybody.
const HALF: u64 = 1 << 31;

/// The `all` that decides for hosts that nothing matches, as it stands, and whose it is. `None` where the way there could not be followed.
pub(super) fn effective_all(tree: &SpfNode) -> Option<(&str, Option<&str>)> {
    if tree.problem.is_some() {
        return None;
    }
    let all = tree.terms.iter().find(|term| is_all(term));
    let redirect = tree.terms.iter().find(|term| term.text.to_ascii_lowercase().starts_with("redirect="));
    match (all, redirect) {
        (Some(all), _) => Some((&tree.domain, Some(&all.text))),
        (None, Some(redirect)) => effective_all(redirect.policy.as_deref()?),
        (None, None) => Some((&tree.domain, None)),
    }
}

/// Remarks what a redirect ends in, and policies behind an include that let everybody pass. What the record's own `all` says is said elsewhere.
pub(super) fn judge(domain: &str, record: &Record, cost: &Cost, part: &mut Part) {
    let own = record.directives.iter().any(|directive| directive.mechanism == Mechanism::All);
    if !own
        && record.redirect.is_some()
        && let Some((whose, all)) = effective_all(&cost.tree)
        && whose != domain
    {
        let to_ask = format!("Have the record of {whose} end in -all or ~all, or publish a record of the domain's own.");
        match all.map(str::to_ascii_lowercase).as_deref() {
            Some("all" | "+all") => {
                let seen = format!("SPF leads to {whose}, which ends in “+all”: every host on the internet may send as the domain");
                part.find(remark("spf.plus_all", domain, seen).fix(to_ask));
            }
            Some("?all") => part.find(
                remark("spf.neutral_all", domain, format!("SPF leads to {whose}, which ends in “?all” and says nothing about other hosts"))
                    .fix(to_ask),
            ),
            None => part.find(remark("spf.no_all", domain, format!("SPF leads to {whose}, which has no “all” at its end")).fix(to_ask)),
            Some(_) => {}
        }
    }
    if let Some(term) = cost.seen.always.first() {
        let seen = format!("SPF says “{term}”, a name that exists for everybody: every host on the internet may send as the domain");
        part.find(remark("spf.plus_all", domain, seen).fix(format!(
            "Take “{term}” out of the record: “exists” needs a name made from the message, such as %{{i}}. For the hosts of a name write a: instead."
        )));
    } else if let Some(open) = included_open(&cost.tree) {
        let seen = format!("SPF includes {open}, whose record lets every host on the internet pass");
        part.find(remark("spf.plus_all", domain, seen).fix(format!("Take the include of {open} out of the record at once.")));
    } else if covers_half(&cost.allowed) {
        let seen = "SPF lists networks that hold more than half of all IPv4 addresses: nearly every host on the internet may send as the domain";
        part.find(remark("spf.plus_all", domain, seen).fix("List the addresses of your own hosts only."));
    }
}

fn is_all(term: &SpfTerm) -> bool {
    term.text.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all")
}

/// An included policy that ends in `+all`: an include of it matches everybody.
fn included_open(node: &SpfNode) -> Option<&str> {
    for term in node.terms.iter().take_while(|term| !is_all(term)) {
        let Some(policy) = term.policy.as_deref() else { continue };
        let lower = term.text.to_ascii_lowercase();
        let redirect = lower.starts_with("redirect=");
        // An include behind another qualifier does not let anybody pass.
        if !redirect && !lower.trim_start_matches('+').starts_with("include:") {
            continue;
        }
        let all = effective_all(policy).and_then(|(_, all)| all).map(str::to_ascii_lowercase);
        if !redirect && matches!(all.as_deref(), Some("all" | "+all")) {
            return Some(&policy.domain);
        }
        if let Some(open) = included_open(policy) {
            return Some(open);
        }
    }
    None
}

fn covers_half(allowed: &[Option<Vec<IpNet>>]) -> bool {
    let networks: Vec<IpNet> = allowed.iter().flatten().flatten().copied().filter(|network| network.addr().is_ipv4()).collect();
    IpNet::aggregate(&networks).iter().map(|network| 1_u64 << (32 - network.prefix_len())).sum::<u64>() > HALF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_is_everybody() {
        let nets = |text: &str| vec![Some(text.split(' ').map(|net| net.parse().unwrap()).collect()), None];
        for (list, wanted) in [
            ("0.0.0.0/0", true),
            ("0.0.0.0/1 128.0.0.0/2", true),
            ("0.0.0.0/1", false),
            ("10.0.0.0/8 10.0.0.0/8 ::/0", false),
            ("0.0.0.0/1 1.0.0.0/8 2.0.0.0/8", false),
        ] {
            assert_eq!(covers_half(&nets(list)), wanted, "{list}");
        }
    }
}
