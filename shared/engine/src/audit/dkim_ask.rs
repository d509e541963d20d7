//! Which DKIM selectors are asked, and what each answers: its TXT records, the alias it is, and whether a wildcard speaks for it.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::Instant;
use waypost_types::audit::SelectorOrigin;

use super::{AuditOptions, Family, dkim_key, organisational, selectors};
use crate::net::{Absence, DnsFailure, Lookup, Net};

/// Names asked at once.
const AT_ONCE: usize = 24;
/// Selectors given by hand or seen that are looked at, of each.
const MOST_BY_HAND: usize = 50;
/// Aliases followed from a selector.
const MOST_ALIASES: usize = 4;
/// For all aliases together: what they say is worth less than the keys.
const ALIAS_LIMIT: Duration = Duration::from_secs(3);
/// Nobody has these: an answer means a wildcard, and two answers mean one that makes them up.
const NOBODYS: [&str; 2] = ["waypost-7f3a91c2-wildcard-test", "waypost-d04be586-wildcard-test"];

/// What a selector answers.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) selector: String,
    pub(super) name: String,
    pub(super) origin: SelectorOrigin,
    pub(super) answer: Lookup<Vec<u8>>,
    /// The names it is an alias of, one after the other.
    pub(super) aliases: Vec<String>,
    /// It answers what every other name does.
    pub(super) wild: bool,
}

impl Asked {
    /// Somebody named it, or mail is signed with it.
    pub(super) fn is_known(&self) -> bool {
        self.origin != SelectorOrigin::Catalog
    }

    /// An alias whose end has no record.
    pub(super) fn dangles(&self) -> bool {
        matches!(self.answer, Lookup::Missing(_)) && !self.aliases.is_empty()
    }

    /// The registered domain that the alias leads to.
    pub(super) fn leads_to(&self) -> Option<&str> {
        self.aliases.last().map(|target| organisational(target))
    }

    /// The service that the alias or, for want of it, the selector belongs to.
    pub(super) fn service(&self) -> Option<&'static str> {
        self.aliases.iter().rev().find_map(|target| selectors::service_of_alias(target)).or_else(|| selectors::service_of(&self.selector))
    }
}

/// What answers for all names below `_domainkey`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wildcard {
    None,
    /// The revoked key: no mail is signed by any selector that has no key of its own.
    Revoked,
    /// Records, as text.
    Records(Vec<String>),
    /// Other records for each name.
    Changing,
}

/// The answers of all selectors.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) asked: Vec<Asked>,
    pub(super) wildcard: Wildcard,
    /// Of a selector from the catalog that earlier audits knew nothing of.
    pub(super) failed_guess: Option<DnsFailure>,
    /// Why one of the aliases could not be followed.
    pub(super) untold_alias: Option<DnsFailure>,
}

/// Asks for all selectors at once.
pub(super) async fn ask(net: &Net, domain: &str, options: &AuditOptions) -> Answers {
    let wanted: Vec<_> = wanted(options).into_iter().chain(NOBODYS.map(|selector| (selector.to_owned(), SelectorOrigin::Catalog))).collect();
    let mut asked: Vec<Asked> = stream::iter(wanted)
        .map(|(selector, origin)| async move {
            let name = format!("{selector}._domainkey.{domain}");
            let answer = net.dns().txt(&name).await;
            Asked { selector, name, origin, answer, aliases: Vec::new(), wild: false }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let nobodys = asked.split_off(asked.len() - NOBODYS.len());
    let all: Vec<Option<Vec<Vec<u8>>>> = nobodys.iter().map(|nobody| sorted(&nobody.answer)).collect();
    let wildcard = wildcard(&all);
    for one in &mut asked {
        one.wild = matches!(one.answer, Lookup::Found(_)) && (wildcard == Wildcard::Changing || all.contains(&sorted(&one.answer)));
    }
    let before: HashSet<&str> = options.known.last(Family::Dkim).filter_map(|line| line.split_once(": ")).map(|(selector, _)| selector).collect();
    let mut failed_guess = None;
    for nobody in &nobodys {
        failed_guess = failure(&nobody.answer).or(failed_guess);
    }
    // What a wildcard says is no key of a selector that nobody named; one that failed is worth a word only when it had a key before.
    asked.retain(|one| {
        let keep = one.is_known() || !one.wild;
        match failure(&one.answer) {
            Some(why) if !one.is_known() && !before.contains(one.selector.as_str()) => {
                failed_guess.get_or_insert(why);
                false
            }
            _ => keep,
        }
    });
    let untold_alias = follow_all(net, domain, &mut asked, &nobodys[0].name).await;
    asked.retain(|one| one.is_known() || one.dangles() || !matches!(one.answer, Lookup::Missing(_)));
    Answers { asked, wildcard, failed_guess, untold_alias }
}

/// The selectors to ask, each once, with the best that is known of it.
fn wanted(options: &AuditOptions) -> Vec<(String, SelectorOrigin)> {
    let seen = options.seen_selectors.iter().take(MOST_BY_HAND).map(|selector| (selector.clone(), SelectorOrigin::Seen));
    let by_hand = options.selectors.iter().take(MOST_BY_HAND).map(|selector| (selector.clone(), SelectorOrigin::Hand));
    let guessed = selectors::common().iter().map(|selector| (selector.clone(), SelectorOrigin::Catalog));
    let mut asked = HashSet::new();
    seen.chain(by_hand).chain(guessed).filter(|(selector, _)| asked.insert(selector.to_ascii_lowercase())).collect()
}

fn sorted(answer: &Lookup<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let Lookup::Found(records) = answer else { return None };
    let mut records = records.clone();
    records.sort();
    Some(records)
}

fn failure(answer: &Lookup<Vec<u8>>) -> Option<DnsFailure> {
    if let Lookup::Failed(why) = answer { Some(why.clone()) } else { None }
}

fn wildcard(nobodys: &[Option<Vec<Vec<u8>>>]) -> Wildcard {
    let found: Vec<&Vec<Vec<u8>>> = nobodys.iter().flatten().collect();
    let Some(first) = found.first() else { return Wildcard::None };
    if found.iter().any(|other| other != first) {
        return Wildcard::Changing;
    }
    let texts: Vec<String> = first.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect();
    match texts.as_slice() {
        [only] if dkim_key::parse(only).is_ok_and(|key| key.revoked) => Wildcard::Revoked,
        _ => Wildcard::Records(texts),
    }
}

/// The index of a selector, its aliases, and what their end answers where the selector itself answered nothing.
type Followed = (usize, Aliases, Option<Lookup<Vec<u8>>>);

/// The names that a name is an alias of, one after the other, and why there may be more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Aliases {
    names: Vec<String>,
    untold: Option<DnsFailure>,
}

/// Follows the aliases of all that answered and of all that did not; an alias whose end could not be told makes its selector untold. Gives why an alias could not be followed.
async fn follow_all(net: &Net, domain: &str, asked: &mut [Asked], nobody: &str) -> Option<DnsFailure> {
    let end = Instant::now() + ALIAS_LIMIT;
    let below = format!("_domainkey.{domain}");
    let (below, wild_alias) = tokio::join!(in_time(net, &below, end), follow(net, nobody, end));
    // Without it a wildcard's aliases would be taken for the selectors' own.
    if wild_alias.untold.is_some() {
        return wild_alias.untold;
    }
    let wild_alias = wild_alias.names;
    // Where nothing lies below _domainkey there is no alias either (RFC 8020).
    let empty = matches!(below, Lookup::Missing(Absence::NxDomain));
    let looks: Vec<(usize, String, bool)> = asked
        .iter()
        .enumerate()
        .filter(|(_, one)| one.is_known() || matches!(one.answer, Lookup::Found(_)) || !empty)
        .map(|(index, one)| (index, one.name.clone(), matches!(one.answer, Lookup::Missing(_))))
        .collect();
    let followed: Vec<Followed> = stream::iter(looks)
        .map(|(index, name, missing)| async move {
            let aliases = follow(net, &name, end).await;
            let at_end = match aliases.names.last() {
                Some(target) if missing && aliases.untold.is_none() => Some(in_time(net, target, end).await),
                _ => None,
            };
            (index, aliases, at_end)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut untold = None;
    for (index, Aliases { names: aliases, untold: why }, at_end) in followed {
        let Some(one) = asked.get_mut(index) else { continue };
        if why.is_some() {
            untold = untold.or(why);
            continue;
        }
        match at_end {
            Some(Lookup::Failed(failure)) if !one.is_known() => {
                untold = untold.or(Some(failure));
                continue;
            }
            Some(answer) => one.answer = answer,
            None => {}
        }
        // Where every name is an alias (a wildcard, or the whole of _domainkey moved by DNAME), one to nothing is not of the selector's own.
        if wild_alias.is_empty() || (aliases != wild_alias && matches!(one.answer, Lookup::Found(_))) {
            one.aliases = aliases;
        }
    }
    untold
}

/// TXT, as long as there is time.
async fn in_time(net: &Net, name: &str, end: Instant) -> Lookup<Vec<u8>> {
    tokio::time::timeout_at(end, net.dns().txt(name)).await.unwrap_or(Lookup::Failed(DnsFailure::Timeout))
}

/// The names that a name is an alias of.
async fn follow(net: &Net, name: &str, end: Instant) -> Aliases {
    let mut names: Vec<String> = Vec::new();
    while names.len() < MOST_ALIASES {
        let at = names.last().map_or(name, String::as_str);
        let targets = match tokio::time::timeout_at(end, net.dns().cname(at)).await.unwrap_or(Lookup::Failed(DnsFailure::Timeout)) {
            Lookup::Found(targets) => targets,
            // A name too long to be asked is no alias.
            Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => break,
            Lookup::Failed(failure) => return Aliases { names, untold: Some(failure) },
        };
        let Some(target) = targets.into_iter().next().filter(|target| !names.contains(target)) else { break };
        names.push(target);
    }
    Aliases { names, untold: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_asked_once() {
        let options = AuditOptions { selectors: vec!["One".into(), "two".into()], seen_selectors: vec!["one".into()], ..AuditOptions::default() };
        let wanted = wanted(&options);
        assert_eq!(wanted[..2], [("one".to_owned(), SelectorOrigin::Seen), ("two".to_owned(), SelectorOrigin::Hand)]);
    }
}
