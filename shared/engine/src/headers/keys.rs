//! Keys that signatures name, asked through our own resolver; what a record must be like to be used is the audit's to say.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use futures::{StreamExt, stream};
use mail_auth::common::{parse::TxtRecordParser, resolver::ToFqdn, verify::DomainKey};

use crate::{
    audit::{KeyFault, is_meant_as_key, key_fault},
    net::{Lookup, Net},
};

/// Keys of one message that are asked.
pub(super) const MAX_KEYS: usize = 40;
/// Asked at once.
const AT_ONCE: usize = 8;
/// Records at one name that are tried: more than one is a mistake already.
const MAX_RECORDS: usize = 5;

/// What is known of a key.
#[derive(Debug, Clone)]
pub(super) enum Key {
    /// A usable key record, as text.
    Usable(String),
    /// There is one that receivers must not use, and why.
    Refused(String),
    /// There is none that anybody could use, and why.
    None(String),
    /// Could not be told, and why.
    Unknown(String),
}

/// A name's answer.
struct Known {
    key: Key,
    /// All that can be used: whoever verifies may take any of several (RFC 6376 3.6.2.2).
    parsed: Vec<Arc<DomainKey>>,
}

impl From<Key> for Known {
    fn from(key: Key) -> Self {
        Self { key, parsed: Vec::new() }
    }
}

/// Key names (with final dot) and what is known of them.
#[derive(Default)]
pub(super) struct Keys {
    known: HashMap<Box<str>, Known>,
}

impl Keys {
    /// Asks for all of them, each once.
    pub(super) async fn ask(net: &Net, names: BTreeSet<String>) -> Self {
        let answers = names.into_iter().take(MAX_KEYS).map(|name| async move {
            let found = one(net, &name).await;
            (name.to_fqdn().into_owned().into_boxed_str(), found)
        });
        Self { known: stream::iter(answers).buffer_unordered(AT_ONCE).collect().await }
    }

    /// What is known of a name.
    pub(super) fn of(&self, name: &str) -> Key {
        self.known
            .get(name.to_fqdn().as_ref())
            .map_or_else(|| Key::Unknown(format!("The message names more than {MAX_KEYS} keys, this one was not asked")), |known| known.key.clone())
    }

    /// The keys themselves.
    pub(super) fn parsed(&self, name: &str) -> &[Arc<DomainKey>] {
        self.known.get(name.to_fqdn().as_ref()).map_or(&[], |known| known.parsed.as_slice())
    }
}

async fn one(net: &Net, name: &str) -> Known {
    let shown = name.trim_end_matches('.');
    match net.dns().txt(shown).await {
        Lookup::Failed(failure) => Key::Unknown(format!("The key {shown} could not be asked: {failure}")).into(),
        Lookup::Missing(_) => Key::None(format!("No key is published at {shown} now; an old message's key may have been withdrawn since")).into(),
        Lookup::Found(records) => {
            let mut usable: Option<Known> = None;
            let mut why = Key::None(format!("The key at {shown} can not be used: nothing in it reads as a key"));
            for record in records.iter().take(MAX_RECORDS) {
                let text = String::from_utf8_lossy(record).into_owned();
                match (key_fault(&text), DomainKey::parse(record)) {
                    (None, Ok(key)) => usable.get_or_insert_with(|| Key::Usable(text).into()).parsed.push(key.into()),
                    (Some(KeyFault::Refused(reason)), _) => why = Key::Refused(format!("The key at {shown} does not count: {reason}")),
                    (Some(KeyFault::Unreadable(reason)), _) if is_meant_as_key(&text) && matches!(why, Key::None(_)) => {
                        why = Key::None(format!("The key at {shown} can not be used: {reason}"));
                    }
                    (Some(KeyFault::Unreadable(_)), _) | (None, Err(_)) => {}
                }
            }
            usable.unwrap_or_else(|| why.into())
        }
    }
}

/// For the cross-check with mail-auth, which asks nobody by itself then.
#[cfg(test)]
mod cross_check {
    use std::{borrow::Borrow, hash::Hash, time::Instant};

    use mail_auth::{DnsError, Error, ResolverCache, Txt};

    use super::Keys;

    impl ResolverCache<Box<str>, Txt> for Keys {
        fn get<Q>(&self, name: &Q) -> Option<Txt>
        where
            Box<str>: Borrow<Q>,
            Q: Hash + Eq + ?Sized,
        {
            let key = self.known.get(name).and_then(|known| known.parsed.first());
            Some(key.map_or_else(|| Txt::Error(Error::Dns(DnsError::Resolver("no key".to_owned()))), |key| Txt::DomainKey(key.clone())))
        }

        fn remove<Q>(&self, _: &Q) -> Option<Txt>
        where
            Box<str>: Borrow<Q>,
            Q: Hash + Eq + ?Sized,
        {
            None
        }

        fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
    }
}
