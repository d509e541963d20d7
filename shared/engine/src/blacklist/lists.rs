//! From a choice to the zones of a scan: the catalog's defaults, what is switched on and off, private lists, and keys. What must not be asked
//! stays in the plan with the reason, so that it shows up as unknown instead of missing.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use waypost_types::lists::{ChoiceError, ListChoice};

use super::{
    catalog::{self, Zone},
    pace::rate_of,
    plan::{Subject, query},
};

/// Shortest and longest time worth giving to a scan.
const LIMITS: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(600));
/// What a list may lose to slow answers and to other scans.
const SLACK: u32 = 2;
/// Shortest and longest key in octets: a DNS label, and long enough to be told from other text where it is masked.
const KEY: std::ops::RangeInclusive<usize> = 4..=63;

/// The lists of a scan, resolved: which zones, with which keys.
#[derive(Debug, Clone)]
pub struct Lists {
    pub(super) wanted: Vec<Wanted>,
}

/// A list of a scan: to be asked, or the reason why not.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub zone: Cow<'static, Zone>,
    pub refused: Option<String>,
    /// A label before the zone; never shown.
    pub key: Option<SecretString>,
    /// Not of the catalog.
    pub private: bool,
}

impl Default for Lists {
    /// What is asked when nobody says otherwise.
    fn default() -> Self {
        Self { wanted: catalog::default_zones().map(|zone| Wanted::open(Cow::Borrowed(zone))).collect() }
    }
}

impl Lists {
    /// An organisation's choice with its keys by list id. Lists that are switched on without a key they need are there and refused; ids that
    /// the catalog does not know do nothing.
    pub fn of(choice: &ListChoice, keys: &BTreeMap<String, SecretString>) -> Self {
        let chosen = |zone: &&'static Zone| {
            let on = catalog::is_default(zone) || (choice.on.contains(&zone.id) && zone.can_be_asked());
            on && !choice.off.contains(&zone.id)
        };
        let mut wanted: Vec<Wanted> = catalog::zones().iter().filter(chosen).map(|zone| Wanted::known(zone, keys.get(&zone.id))).collect();
        let replaced: BTreeSet<String> = wanted.iter().filter(|wanted| wanted.refused.is_none()).map(|wanted| wanted.zone.replaces.clone()).collect();
        wanted.retain(|wanted| !replaced.contains(&wanted.zone.id));
        wanted.extend(choice.custom.iter().take(ListChoice::MAX_CUSTOM).map(|list| {
            let problem = list.check().and_then(|()| refuse(&list.zone)).err();
            Wanted { refused: problem.map(|error| error.to_string()), private: true, ..Wanted::open(Cow::Owned(catalog::private(list))) }
        }));
        Self { wanted }
    }

    /// Lists by id, name or DNS suffix; a suffix that is in no catalog is read by RFC 5782 alone.
    pub fn named(words: &[String], keys: &BTreeMap<String, SecretString>) -> Self {
        let mut wanted: Vec<Wanted> = Vec::with_capacity(words.len());
        for word in words {
            let list = match (catalog::retired(word), catalog::find(word)) {
                (Some(retired), _) => {
                    let refused = Some(format!("this list is retired and is never asked: {}", retired.note));
                    Wanted { refused, private: true, ..Wanted::open(Cow::Owned(catalog::foreign(word))) }
                }
                (None, Some(zone)) => Wanted::known(zone, keys.get(&zone.id)),
                (None, None) => Wanted { private: true, ..Wanted::open(Cow::Owned(catalog::foreign(word))) },
            };
            if !wanted.iter().any(|known| known.zone.zone == list.zone.zone) {
                wanted.push(list);
            }
        }
        Self { wanted }
    }

    /// How long a scan of these subjects takes at most, at the pace of the slowest list: what to give [`super::Scanner::scan`] as its limit.
    pub fn time_for(&self, subjects: &[Subject]) -> Duration {
        let slowest = self.wanted.iter().filter(|wanted| wanted.refused.is_none()).map(|wanted| {
            let questions = subjects.iter().filter(|subject| query(subject, &wanted.zone, None).is_some()).count();
            Duration::from_secs(1) * u32::try_from(questions).unwrap_or(u32::MAX) / rate_of(&wanted.zone)
        });
        (slowest.max().unwrap_or_default() * SLACK).clamp(LIMITS.0, LIMITS.1)
    }

    /// Ids of the lists that are asked; a private list has its zone as its id.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().filter(|wanted| wanted.refused.is_none()).map(|wanted| wanted.zone.id.as_str())
    }
}

impl Wanted {
    fn open(zone: Cow<'static, Zone>) -> Self {
        Self { zone, refused: None, key: None, private: false }
    }

    fn known(zone: &'static Zone, key: Option<&SecretString>) -> Self {
        let mut wanted = Self::open(Cow::Borrowed(zone));
        if !zone.can_be_asked() {
            wanted.refused = Some(match zone.lookup_url.as_str() {
                "" => "this list can not be asked over DNS".to_owned(),
                url => format!("this list can not be asked over DNS; look the subject up at {url}"),
            });
        } else if zone.takes_key() {
            match key.map(|key| (key, check_key(key))) {
                Some((key, Ok(()))) => wanted.key = Some(key.clone()),
                Some((_, Err(problem))) => wanted.refused = Some(problem),
                None if zone.needs_key => {
                    wanted.refused = Some(format!("this list answers with a key only, and there is none. {}", zone.query_policy));
                }
                None => {}
            }
        }
        wanted
    }
}

/// Whether a key can be a label of a name.
pub fn check_key(key: &SecretString) -> Result<(), String> {
    let key = key.expose_secret();
    let fine = KEY.contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fine { Ok(()) } else { Err(format!("The key is no DNS label: {} to {} letters, digits, - or _ are expected.", KEY.start(), KEY.end())) }
}

/// Whether an organisation may have this choice: well formed, and no private list that is retired or belongs to the catalog.
pub fn check_choice(choice: &ListChoice) -> Result<(), ChoiceError> {
    choice.check()?;
    choice.custom.iter().try_for_each(|list| refuse(&list.zone))
}

fn refuse(zone: &waypost_types::DomainName) -> Result<(), ChoiceError> {
    if let Some(retired) = catalog::retired(zone.as_str()) {
        return Err(ChoiceError::Retired { zone: zone.clone(), note: retired.note.clone() });
    }
    match catalog::owner(zone.as_str()) {
        Some(known) => Err(ChoiceError::Known { zone: zone.clone(), list: known.name.clone() }),
        None => Ok(()),
    }
}
