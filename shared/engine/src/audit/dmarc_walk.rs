//! Which DMARC record is for a domain: the tree walk of RFC 9989 4.10, the organisational domain that it finds, and the policy that applies.

use futures::future::join_all;
use waypost_types::DomainName;

use super::{
    dmarc_record::{Policy, Psd, Record, Standing},
    dmarc_tags::{is_exact, is_meant},
};
use crate::net::{DnsFailure, Lookup, Net};

/// Queries of a tree walk (RFC 9989 4.10).
pub(super) const MOST_STEPS: usize = 8;

/// What stands at one name's `_dmarc`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The name, without `_dmarc.`.
    pub(super) name: String,
    /// Records that begin as they should.
    pub(super) exact: Vec<String>,
    /// Records that somebody meant for DMARC and no receiver takes for it.
    pub(super) stray: Vec<String>,
}

impl Place {
    /// The record that receivers read here: there is one only, and it can be read.
    pub(super) fn record(&self) -> Option<Record> {
        match self.exact.as_slice() {
            [one] => Record::parse(one).ok(),
            _ => None,
        }
    }
}

/// A record that is in force, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    /// The name, without `_dmarc.`.
    pub(super) at: String,
    /// As it stands in DNS.
    pub(super) text: String,
    pub(super) record: Record,
}

/// How the policy comes to the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Its own record.
    Own,
    /// The record of its organisational domain.
    Organisation,
    /// The record of the registry that it is registered under (`psd=y`).
    Registry,
}

/// The end of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walk {
    /// What stands at the domain itself.
    pub(super) own: Place,
    /// Parents whose records can not be used: several, or one that can not be read.
    pub(super) void: Vec<Place>,
    /// The record in force.
    pub(super) policy: Option<(Origin, Published)>,
    /// The organisational domain; absent when a name above did not answer, so that it could not be told.
    pub(super) organisation: Option<String>,
    /// The record of the organisational domain.
    pub(super) organisation_record: Option<Published>,
}

impl Walk {
    /// The policy that applies to the domain's own mail.
    pub(super) fn applies(&self, exists: bool) -> Option<Policy> {
        let (origin, published) = self.policy.as_ref()?;
        Some(match origin {
            Origin::Own => published.record.own(),
            Origin::Organisation | Origin::Registry if exists => published.record.subdomains(),
            Origin::Organisation | Origin::Registry => published.record.nonexistent(),
        })
    }

    /// The record that names below the domain take their policy from.
    pub(super) fn below(&self) -> Option<&Published> {
        self.organisation_record.as_ref().or(self.policy.as_ref().map(|(_, published)| published))
    }

    /// Whether the domain's own record is the one of an organisation: its `sp` and `np` are read.
    pub(super) fn is_organisation(&self) -> bool {
        self.organisation.as_ref().is_none_or(|organisation| *organisation == self.own.name)
    }
}

/// The names that are asked: the domain, then its parents; a name of eight labels or more goes on with its last seven.
fn names(domain: &str) -> Vec<&str> {
    let starts: Vec<usize> = std::iter::once(0).chain(domain.match_indices('.').map(|(at, _)| at + 1)).collect();
    let from = if starts.len() >= MOST_STEPS { starts.len() - (MOST_STEPS - 1) } else { 1 };
    std::iter::once(domain).chain(starts[from.min(starts.len())..].iter().map(|at| &domain[*at..])).collect()
}

async fn look(net: &Net, name: &str) -> Result<Place, (String, DnsFailure)> {
    let owner = format!("_dmarc.{name}");
    let texts = match super::texts(net, &owner).await {
        Lookup::Found(texts) => texts,
        // A name too long to be asked can not be published either.
        Lookup::Missing(_) | Lookup::Failed(DnsFailure::BadName(_)) => Vec::new(),
        Lookup::Failed(failure) => return Err((owner, failure)),
    };
    let (exact, others): (Vec<String>, Vec<String>) = texts.into_iter().partition(|text| is_exact(text));
    Ok(Place { name: name.to_owned(), exact, stray: others.into_iter().filter(|text| is_meant(text)).collect() })
}

/// Walks. An error says which name did not answer, where the record in force may be.
pub(super) async fn walk(net: &Net, domain: &DomainName) -> Result<Walk, (String, DnsFailure)> {
    let names = names(domain.as_str());
    let mut answers = join_all(names.iter().map(|name| look(net, name))).await.into_iter();
    let own = answers.next().unwrap_or_else(|| Ok(Place::default()))?;
    decide(domain.as_str(), own, answers)
}

/// What the answers say, the longest name first.
fn decide(domain: &str, own: Place, above: impl Iterator<Item = Result<Place, (String, DnsFailure)>>) -> Result<Walk, (String, DnsFailure)> {
    let published = |place: &Place| {
        place.record().map(|record| Published { at: place.name.clone(), text: place.exact.first().cloned().unwrap_or_default(), record })
    };
    let own_record = published(&own);
    let mut last = own_record.clone();
    let mut told = true;
    let mut registry = None;
    let mut organisation = None;
    let mut void = Vec::new();
    if own_record.as_ref().is_some_and(|found| found.record.psd != Psd::Unsaid) {
        organisation = Some(domain.to_owned());
    } else {
        for answer in above {
            let place = match answer {
                Ok(place) => place,
                // Without a record of its own the policy of the domain may be there. Above an inherited one only a registry is left.
                Err((name, failure)) if own_record.is_none() && (last.is_none() || !is_top(&name)) => return Err((name, failure)),
                Err(_) => {
                    told = false;
                    continue;
                }
            };
            let Some(found) = published(&place) else {
                if !place.exact.is_empty() {
                    void.push(place);
                }
                continue;
            };
            match found.record.psd {
                Psd::Yes => {
                    organisation = Some(one_below(domain, &found.at).to_owned());
                    registry = Some(found);
                    break;
                }
                Psd::No => {
                    organisation = Some(found.at.clone());
                    last = Some(found);
                    break;
                }
                Psd::Unsaid => last = Some(found),
            }
        }
    }
    let organisation = organisation.or_else(|| last.as_ref().map(|found| found.at.clone())).unwrap_or_else(|| domain.to_owned());
    let organisation_record = last.filter(|found| found.at == organisation);
    let policy = own_record
        .map(|found| (Origin::Own, found))
        .or_else(|| organisation_record.clone().map(|found| (Origin::Organisation, found)))
        .or_else(|| registry.map(|found| (Origin::Registry, found)));
    Ok(Walk { own, void, policy, organisation: told.then_some(organisation), organisation_record })
}

/// Whether `_dmarc.<name>` is that of a top-level domain.
fn is_top(owner: &str) -> bool {
    owner.matches('.').count() == 1
}

/// The name one label below `parent` on the way to `domain`.
fn one_below<'a>(domain: &'a str, parent: &str) -> &'a str {
    let Some(rest) = domain.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.')) else { return domain };
    rest.rfind('.').map_or(domain, |dot| &domain[dot + 1..])
}

/// Whether the policy makes receivers keep out mail that fails: quarantine or reject as it applies to the domain, not weakened by a test, and
/// for all of it.
pub(super) fn enforced(walk: &Walk, exists: bool) -> bool {
    let (Some(policy), Some((_, published))) = (walk.applies(exists), &walk.policy) else { return false };
    let record = &published.record;
    let policy = if record.testing { policy.weakened() } else { policy };
    policy > Policy::None && record.share().is_none() && record.standing() == Standing::Full
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_walk_goes_up_and_has_an_end() {
        assert_eq!(names("com"), ["com"]);
        assert_eq!(names("a.example.com"), ["a.example.com", "example.com", "com"]);
        assert_eq!(names("a.b.c.d.e.f.com").len(), 7);
        // Eight labels and more: the domain, then its last seven labels.
        assert_eq!(names("a.b.c.d.e.f.g.com")[..2], ["a.b.c.d.e.f.g.com", "b.c.d.e.f.g.com"]);
        let long = names("a.b.c.d.e.f.g.h.i.j.example.com");
        assert_eq!((long.len(), long[1], long[7]), (8, "f.g.h.i.j.example.com", "com"));
    }

    /// What stands where (nothing where it does not answer), for a.b.e.example and its parents.
    fn walked(places: [&str; 4]) -> Result<Walk, (String, DnsFailure)> {
        let mut answers = ["a.b.e.example", "b.e.example", "e.example", "example"].into_iter().zip(places).map(|(name, text)| match text {
            "fails" => Err((format!("_dmarc.{name}"), DnsFailure::Timeout)),
            text => Ok(Place {
                name: name.to_owned(),
                exact: text.split('|').filter(|text| !text.is_empty()).map(|text| format!("v=DMARC1; {text}")).collect(),
                stray: Vec::new(),
            }),
        });
        let own = answers.next().unwrap()?;
        decide("a.b.e.example", own, answers)
    }

    #[test]
    fn the_record_in_force_and_the_organisation_are_those_of_the_standard() {
        let (none, quarantine, reject) = (Some(Policy::None), Some(Policy::Quarantine), Some(Policy::Reject));
        let (own, b, e, example) = ("a.b.e.example", "b.e.example", "e.example", "example");
        for (places, at, organisation, policy, gone) in [
            (["", "", "", ""], "", own, None, None),
            (["p=reject", "", "", ""], own, own, reject, reject),
            (["p=none", "", "p=reject", ""], own, e, none, none),
            (["", "", "p=reject", ""], e, e, reject, reject),
            (["", "", "p=reject; sp=quarantine", ""], e, e, quarantine, quarantine),
            (["", "", "p=reject; sp=none; np=quarantine", ""], e, e, none, quarantine),
            (["", "", "p=reject; np=none", ""], e, e, reject, none),
            // The shortest name counts, what lies between does not.
            (["", "p=reject", "p=none", ""], e, e, none, none),
            (["", "p=reject; psd=n", "p=none", ""], b, b, reject, reject),
            (["p=reject; psd=n", "", "p=none", ""], own, own, reject, reject),
            (["", "", "p=reject", "p=none; psd=y"], e, e, reject, reject),
            (["", "", "", "p=none; psd=y"], example, e, none, none),
            (["", "", "", "p=none; np=reject; psd=y"], example, e, none, reject),
            (["p=none", "", "", "p=reject; psd=y"], own, e, none, none),
            (["", "", "p=reject; psd=y", ""], e, b, reject, reject),
            // psd=y of the domain itself ends the walk and makes no name below an organisation.
            (["p=none; psd=y", "", "p=reject", ""], own, own, none, none),
            (["", "", "", "p=reject"], example, example, reject, reject),
            // Two records at one name are none there.
            (["p=none|p=reject", "", "p=quarantine", ""], e, e, quarantine, quarantine),
            (["", "", "p=none|p=reject", ""], "", own, None, None),
            (["", "", "p=none; p=reject", ""], "", own, None, None),
        ] {
            let walk = walked(places).unwrap();
            assert_eq!(walk.policy.as_ref().map_or("", |(_, published)| published.at.as_str()), at, "{places:?}");
            assert_eq!(walk.organisation.as_deref(), Some(organisation), "{places:?}");
            assert_eq!((walk.applies(true), walk.applies(false)), (policy, gone), "{places:?}");
        }
    }

    #[test]
    fn who_does_not_answer_may_have_the_record() {
        for (places, told) in [
            (["fails", "", "p=reject", ""], false),
            (["", "fails", "p=reject", ""], false),
            (["", "p=reject", "fails", ""], false),
            (["", "", "", "fails"], false),
            (["", "", "p=reject", "fails"], true),
            (["p=reject", "fails", "fails", "fails"], true),
            (["", "p=reject; psd=n", "fails", ""], true),
        ] {
            assert_eq!(walked(places).is_ok(), told, "{places:?}");
        }
        assert_eq!(walked(["p=reject", "", "fails", ""]).unwrap().organisation, None);
    }

    #[test]
    fn a_policy_is_enforced_when_it_is_for_all_mail() {
        for (places, enforced_now) in [
            (["p=reject", "", "", ""], true),
            (["p=quarantine", "", "", ""], true),
            (["p=none; sp=reject", "", "", ""], false),
            (["p=quarantine; t=y", "", "", ""], false),
            (["p=reject; t=y", "", "", ""], true),
            (["p=quarantine; pct=99", "", "", ""], false),
            (["p=quarantine; pct=100", "", "", ""], true),
            (["", "", "p=reject; sp=none", ""], false),
            (["", "", "p=none; sp=reject", ""], true),
            (["p=reject; sp=reect; rua=mailto:d@e.example", "", "", ""], false),
            (["", "", "", ""], false),
        ] {
            assert_eq!(enforced(&walked(places).unwrap(), true), enforced_now, "{places:?}");
        }
        let gone = walked(["", "", "p=reject; np=none", ""]).unwrap();
        assert_eq!((enforced(&gone, true), enforced(&gone, false)), (true, false));
    }

    proptest! {
        #[test]
        fn no_tree_is_too_odd(labels in proptest::collection::vec("[a-z]{1,3}", 1..20), text in "(v=DMARC1;)?( ?(p|sp|psd|t|rua)=[a-z:@.]{0,9};?| ){0,5}") {
            let domain = labels.join(".");
            let asked = names(&domain);
            prop_assert!(asked.len() <= MOST_STEPS && asked[0] == domain);
            let mut places = asked.iter().map(|name| Ok(Place { name: (*name).to_owned(), exact: vec![text.clone()], stray: Vec::new() }));
            let own = places.next().unwrap().unwrap();
            let walk = decide(&domain, own, places).unwrap();
            prop_assert!(domain.ends_with(&walk.organisation.unwrap()));
        }
    }
}
