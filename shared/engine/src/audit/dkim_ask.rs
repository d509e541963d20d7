//! Which DKIM selectors are asked, and what each answers: its TXT records, the alias it is, and whether a wildcard speaks for it.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::Instant;
use waypost_types::audit::SelectorOrigin;

use super::{AuditOptions, Facts, Family, dkim_key, organisational, selectors, spf_services};
use crate::net::{Absence, DnsFailure, Lookup, Net};

/// Names asked at once.
const AT_ONCE: usize = 64;
/// Selectors given by hand, seen or found that are looked at, of each.
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
    /// Somebody named it, mail is signed with it, or it had a key.
    pub(super) fn is_known(&self) -> bool {
        self.origin != SelectorOrigin::Catalog
    }

    /// Somebody named it, or mail is signed with it.
    pub(super) fn is_named(&self) -> bool {
        matches!(self.origin, SelectorOrigin::Hand | SelectorOrigin::Seen)
    }

    /// Its key was withdrawn: `p=` is empty.
    pub(super) fn is_revoked(&self) -> bool {
        let Lookup::Found(records) = &self.answer else { return false };
        records.iter().any(|record| dkim_key::parse(&String::from_utf8_lossy(record)).is_ok_and(|key| key.revoked))
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
    /// The usual selectors were tried, too.
    pub(super) guessed: bool,
    pub(super) wildcard: Wildcard,
    /// Of a selector from the catalog that earlier audits knew nothing of.
    pub(super) failed_guess: Option<DnsFailure>,
    /// Why it could not be told whether an alias to nothing is a selector's own.
    pub(super) untold_alias: Option<DnsFailure>,
    /// Something stands below `_domainkey` where none of the selectors asked does: there is one that nobody named. Or why that could not be told.
    pub(super) another: Result<bool, DnsFailure>,
}

/// Asks for the selectors, most of which nobody has. Where neither `_domainkey` nor one of the likely ones below it exists, nothing does (RFC
/// 8020), and the many others are left alone; some servers say of a name that exists only for those below it that it does not, so that it is
/// not believed by itself.
pub(super) async fn ask(net: &Net, facts: &Facts, options: &AuditOptions) -> Answers {
    let domain = facts.domain.as_str();
    let wanted = wanted(options);
    let before: HashSet<&str> = known(options).collect();
    let is_likely = |(selector, origin): &Wanted| {
        *origin != SelectorOrigin::Catalog || before.contains(selector.as_str()) || selectors::USUAL.contains(&selector.as_str())
    };
    let (likely, mut others): (Vec<Wanted>, Vec<Wanted>) = wanted.into_iter().partition(is_likely);
    let nobodys = NOBODYS.map(|selector| (selector.to_owned(), SelectorOrigin::Catalog));
    let top = format!("_domainkey.{domain}");
    let (mut asked, nobodys, top) =
        tokio::join!(ask_all(net, domain, likely), ask_all(net, domain, nobodys.into()), net.dns().txt_with_aliases(&top));
    if !others.is_empty() {
        let is_nothing = |answer: &Lookup<Vec<u8>>, aliases: &[String]| *answer == Lookup::Missing(Absence::NxDomain) && aliases.is_empty();
        let none = |asked: &[Asked]| asked.iter().all(|one| is_nothing(&one.answer, &one.aliases));
        let mut nothing = none(&asked) && none(&nobodys) && is_nothing(&top.0, &top.1);
        if nothing {
            let services = services(net, facts).await;
            let (of_services, rest) =
                others.into_iter().partition(|(selector, _)| services.iter().any(|service| selectors::is_of(selector, service)));
            let more = ask_all(net, domain, of_services).await;
            nothing = none(&more);
            asked.extend(more);
            others = rest;
        }
        if !nothing {
            asked.extend(ask_all(net, domain, others).await);
        }
    }
    let all: Vec<Option<Vec<Vec<u8>>>> = nobodys.iter().map(|nobody| sorted(&nobody.answer)).collect();
    let wildcard = wildcard(&all);
    for one in &mut asked {
        one.wild = matches!(one.answer, Lookup::Found(_)) && (wildcard == Wildcard::Changing || all.contains(&sorted(&one.answer)));
    }
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
    let exists = |one: &Asked| one.answer != Lookup::Missing(Absence::NxDomain) || !one.aliases.is_empty();
    let another = match &top {
        (Lookup::Failed(why), _) => Err(why.clone()),
        (Lookup::Missing(Absence::NoData), aliases) if aliases.is_empty() => Ok(!asked.iter().chain(&nobodys).any(exists)),
        _ => Ok(false),
    };
    let untold_alias = alias_all(net, &mut asked, &nobodys[0]).await;
    asked.retain(|one| one.is_known() || one.dangles() || !matches!(one.answer, Lookup::Missing(_)));
    Answers { asked, guessed: options.guess_selectors, wildcard, failed_guess, untold_alias, another }
}

type Wanted = (String, SelectorOrigin);

async fn ask_all(net: &Net, domain: &str, wanted: Vec<Wanted>) -> Vec<Asked> {
    let asking = stream::iter(wanted).map(|(selector, origin)| async move {
        let name = format!("{selector}._domainkey.{domain}");
        let (answer, aliases) = net.dns().txt_with_aliases(&name).await;
        Asked { selector, name, origin, answer, aliases, wild: false }
    });
    asking.buffered(AT_ONCE).collect().await
}

/// The services that the domain's SPF record and MX hosts name. Both were asked for by others.
async fn services(net: &Net, facts: &Facts) -> BTreeSet<&'static str> {
    let records = net.dns().txt(facts.domain.as_str()).await.found();
    let terms = records.iter().map(|record| String::from_utf8_lossy(record).to_ascii_lowercase()).filter(|text| text.starts_with("v=spf1"));
    let mut services: BTreeSet<&'static str> = BTreeSet::new();
    for text in terms {
        let targets = text.split_ascii_whitespace().filter_map(|term| term.split_once(['=', ':'])).map(|(_, target)| target);
        services.extend(targets.filter_map(spf_services::service_of));
    }
    services.extend(facts.hosts.iter().filter_map(|host| selectors::provider_of(&host.host)));
    services
}

/// The selectors to ask, each once, with the best that is known of it.
fn wanted(options: &AuditOptions) -> Vec<Wanted> {
    let seen = options.seen_selectors.iter().take(MOST_BY_HAND).map(|selector| (selector.clone(), SelectorOrigin::Seen));
    let by_hand = options.selectors.iter().take(MOST_BY_HAND).map(|selector| (selector.clone(), SelectorOrigin::Hand));
    let found = options.found_selectors.iter().take(MOST_BY_HAND).map(|selector| (selector.clone(), SelectorOrigin::Found));
    let guessed = selectors::common().iter().filter(|_| options.guess_selectors).map(|selector| (selector.clone(), SelectorOrigin::Catalog));
    let mut asked = HashSet::new();
    seen.chain(by_hand).chain(found).chain(guessed).filter(|(selector, _)| asked.insert(selector.to_ascii_lowercase())).collect()
}

/// Selectors that had a key at the last audit and that are not asked for now: nobody names them any more.
pub(super) fn unasked(options: &AuditOptions) -> Vec<String> {
    let asked: HashSet<String> = wanted(options).into_iter().map(|(selector, _)| selector.to_ascii_lowercase()).collect();
    let mut unasked: Vec<String> = known(options).filter(|selector| !asked.contains(&selector.to_ascii_lowercase())).map(str::to_owned).collect();
    unasked.dedup();
    unasked
}

/// Selectors that had a key at the last audit.
fn known(options: &AuditOptions) -> impl Iterator<Item = &str> {
    options.known.last(Family::Dkim).filter_map(|line| line.split_once(": ")).map(|(selector, _)| selector)
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

/// An answer said what the name is an alias of. A failure did not: for selectors that somebody named it is asked, since it says whose they are.
/// Gives why it could not be told whether every name is an alias.
async fn alias_all(net: &Net, asked: &mut [Asked], nobody: &Asked) -> Option<DnsFailure> {
    let end = Instant::now() + ALIAS_LIMIT;
    let untold: Vec<(usize, String)> = asked
        .iter()
        .enumerate()
        .filter(|(_, one)| one.is_known() && matches!(one.answer, Lookup::Failed(_)))
        .map(|(index, one)| (index, one.name.clone()))
        .collect();
    let following = stream::iter(untold).map(|(index, name)| async move { (index, follow(net, &name, end).await) });
    for (index, aliases) in following.buffered(AT_ONCE).collect::<Vec<_>>().await {
        if let Some(one) = asked.get_mut(index) {
            one.aliases = aliases;
        }
    }
    let untold = failure(&nobody.answer);
    for one in asked {
        // Where every name is an alias (a wildcard, or the whole of _domainkey moved by DNAME), one to nothing is not of the selector's own.
        // Where that could not be told, it may not be.
        let every = untold.is_some() || !nobody.aliases.is_empty();
        if every && (one.aliases == nobody.aliases || !matches!(one.answer, Lookup::Found(_))) {
            one.aliases.clear();
        }
    }
    untold
}

/// The names that a name is an alias of. What is not told in time is as if there were none.
async fn follow(net: &Net, name: &str, end: Instant) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    while steps.len() < MOST_ALIASES {
        let at = steps.last().map_or(name, String::as_str);
        let Ok(Lookup::Found(targets)) = tokio::time::timeout_at(end, net.dns().cname(at)).await else { break };
        let Some(target) = targets.into_iter().next().filter(|target| !steps.contains(target)) else { break };
        steps.push(target);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_asked_once() {
        let options = AuditOptions { selectors: vec!["One".into(), "two".into()], seen_selectors: vec!["one".into()], ..AuditOptions::default() };
        let wanted = wanted(&options);
        assert_eq!(wanted[..2], [("one".to_owned(), SelectorOrigin::Seen), ("two".to_owned(), SelectorOrigin::Hand)]);
        assert!(wanted.len() > 100);
        assert_eq!(super::wanted(&AuditOptions { guess_selectors: false, ..options }).len(), 2);
    }
}
