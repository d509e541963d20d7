//! Terms of an SPF record that change nothing, since others of it say the same: repeated mechanisms, and networks inside others.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Part, rules::remark};
use crate::spf::{Directive, Mechanism, Record};
use waypost_types::Severity;

/// Terms named in one finding.
const MOST_SHOWN: usize = 3;
/// Records with more directives are not compared term by term; no sane one comes near.
const MOST_DIRECTIVES: usize = 500;

/// Why a directive changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The same stands before it, at this index.
    Same(usize),
    /// A network that holds all of it stands at this index.
    Inside(usize),
}

/// Looks at each directive up to `all`, in the order of the record.
pub(super) fn repeats(record: &Record, domain: &str) -> Vec<Option<Repeat>> {
    let all = &record.directives;
    if all.len() > MOST_DIRECTIVES {
        return vec![None; all.len()];
    }
    let end = all.iter().position(|directive| directive.mechanism == Mechanism::All).unwrap_or(all.len());
    let keys: Vec<String> = all.iter().map(|directive| key(directive, domain)).collect();
    let networks: Vec<Option<IpNet>> = all.iter().map(|directive| network(&directive.mechanism)).collect();
    let mut found: Vec<Option<Repeat>> = vec![None; all.len()];
    for at in 0..end {
        // The first match decides: what comes again is never reached, whatever its qualifier.
        let same = (0..at).find(|other| keys[*other] == keys[at]);
        found[at] = same.map(Repeat::Same).or_else(|| {
            let own = networks[at]?;
            let holds = |other: &usize| networks[*other].is_some_and(|wide| wide.contains(&own));
            let before = (0..at).find(holds);
            // A narrow network before a wide one is an exception unless all between them mean the same.
            let after = || {
                (at + 1..end).take_while(|other| all[*other].qualifier == all[at].qualifier).find(|other| keys[*other] != keys[at] && holds(other))
            };
            before.or_else(after).map(Repeat::Inside)
        });
    }
    found
}

/// What a directive asks, in one form whatever its case and whether it names the domain itself.
fn key(directive: &Directive, domain: &str) -> String {
    if let Some(network) = network(&directive.mechanism) {
        return network.to_string();
    }
    let text = directive.text.trim_start_matches(['+', '-', '~', '?']);
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (name, rest) = (text[..end].to_ascii_lowercase(), &text[end..]);
    let rest = if rest.contains('%') { rest.to_owned() } else { rest.trim_end_matches('.').to_ascii_lowercase() };
    if rest.starts_with(':') { format!("{name}{rest}") } else { format!("{name}:{domain}{rest}") }
}

fn network(mechanism: &Mechanism) -> Option<IpNet> {
    match mechanism {
        Mechanism::Ip4(address, length) => IpNet::new((*address).into(), *length).ok().map(|network| network.trunc()),
        Mechanism::Ip6(address, length) => IpNet::new((*address).into(), *length).ok().map(|network| network.trunc()),
        _ => None,
    }
}

/// The terms of a record as they stand, without the version; each mechanism with its index among the directives.
pub(super) fn terms<'a>(text: &'a str, record: &Record) -> Vec<(&'a str, Option<usize>)> {
    let mut next = 0;
    let terms = text.split(' ').skip(1).filter(|term| !term.is_empty());
    terms
        .map(|term| {
            let is_next = record.directives.get(next).is_some_and(|directive| directive.text == term);
            let index = is_next.then_some(next);
            next += usize::from(is_next);
            (term, index)
        })
        .collect()
}

/// Remarks what is superfluous.
pub(super) fn judge(domain: &str, record: &Record, part: &mut Part) {
    let repeats = repeats(record, domain);
    let of = |same: bool| -> Vec<usize> {
        let wanted = |repeat: &Option<Repeat>| repeat.is_some_and(|repeat| matches!(repeat, Repeat::Same(_)) == same);
        (0..repeats.len()).filter(|at| wanted(&repeats[*at])).collect()
    };
    let same = of(true);
    if !same.is_empty() {
        let costs = same.iter().any(|at| record.directives[*at].mechanism.costs_lookup());
        let seen = format!("SPF says {} more than once", shown(record, &same));
        let severity = if costs { Severity::Low } else { Severity::Info };
        part.find(remark("spf.duplicate_mechanism", domain, seen).severity(severity));
    }
    let inside = of(false);
    if let Some((first, Some(Repeat::Inside(by)))) = inside.first().map(|at| (*at, repeats[*at])) {
        let more = if inside.len() > 1 { format!(", and {} more such", inside.len() - 1) } else { String::new() };
        let seen =
            format!("SPF lists “{}”, all of which lies in “{}” of the same record{more}", record.directives[first].text, record.directives[by].text);
        part.find(remark("spf.overlap", domain, seen));
    }
}

fn shown(record: &Record, at: &[usize]) -> String {
    let mut named: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for text in at.iter().map(|at| &record.directives[*at].text) {
        if seen.insert(text.to_ascii_lowercase()) {
            named.push(format!("“{text}”"));
        }
    }
    match named.len().saturating_sub(MOST_SHOWN) {
        0 => named.join(", "),
        1 => format!("{} and another term", named[..MOST_SHOWN].join(", ")),
        more => format!("{} and {more} other terms", named[..MOST_SHOWN].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spf::parse;

    fn found(text: &str) -> Vec<String> {
        let record = parse(text.as_bytes()).unwrap();
        let mut part = Part::default();
        judge("e.example", &record, &mut part);
        part.findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn what_says_the_same_is_found_and_what_does_not_is_left() {
        for (record, rule) in [
            ("v=spf1 a mx a -all", "spf.duplicate_mechanism"),
            ("v=spf1 a A:E.Example. -all", "spf.duplicate_mechanism"),
            ("v=spf1 include:x.example exp=w.example include:X.example -all", "spf.duplicate_mechanism"),
            ("v=spf1 ip4:192.0.2.1 ~ip4:192.0.2.1/32 -all", "spf.duplicate_mechanism"),
            ("v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.7 -all", "spf.overlap"),
            ("v=spf1 ip4:192.0.2.7 mx ip4:192.0.2.0/24 -all", "spf.overlap"),
            ("v=spf1 ip6:2001:db8::/32 -ip6:2001:db8:1::/48 -all", "spf.overlap"),
        ] {
            assert_eq!(found(record), [rule], "{record}");
        }
        for fine in [
            "v=spf1 a mx -all",
            "v=spf1 a a/24 -all",
            "v=spf1 a:%{d} a:%{D} -all",
            "v=spf1 -ip4:192.0.2.7 ip4:192.0.2.0/24 -all",
            "v=spf1 ip4:192.0.2.7 -a ip4:192.0.2.0/24 -all",
            "v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/25 -all",
            "v=spf1 ip4:192.0.2.7 -all ip4:192.0.2.7",
        ] {
            assert_eq!(found(fine), [""; 0], "{fine}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(tail in "( ?[-~]?(a|mx|ip4:1.2.3.4(/[0-9])?|ip6:::/4|x=y|all|include:b.c)){0,12}") {
            let text = format!("v=spf1 {tail}");
            if let Ok(record) = parse(text.as_bytes()) {
                judge("e.example", &record, &mut Part::default());
            }
        }
    }
}
