//! Keys that signatures name, asked through our own resolver and handed to mail-auth as its cache: mail-auth itself asks nobody.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Instant,
};

use futures::{StreamExt, stream};
use mail_auth::{
    DnsError, Error, ResolverCache, Txt,
    common::{parse::TxtRecordParser, resolver::ToFqdn, verify::DomainKey},
};

use crate::net::{Lookup, Net};

/// Keys of one message that are asked.
pub(super) const MAX_KEYS: usize = 40;
/// Asked at once.
const AT_ONCE: usize = 8;

/// What is known of a key.
#[derive(Debug, Clone)]
pub(super) enum Key {
    /// A usable key record, as text.
    Usable(String),
    /// There is none that anybody could use, and why.
    None(String),
    /// Could not be told, and why.
    Unknown(String),
}

/// Key names (with final dot) and what is known of them.
#[derive(Default)]
pub(super) struct Keys {
    known: HashMap<Box<str>, (Key, Txt)>,
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
            .map_or_else(|| Key::Unknown(format!("The message names more than {MAX_KEYS} keys, this one was not asked")), |(key, _)| key.clone())
    }

    /// The key itself.
    pub(super) fn parsed(&self, name: &str) -> Option<&DomainKey> {
        match self.known.get(name.to_fqdn().as_ref()) {
            Some((_, Txt::DomainKey(key))) => Some(key),
            _ => None,
        }
    }
}

async fn one(net: &Net, name: &str) -> (Key, Txt) {
    let shown = name.trim_end_matches('.');
    let unknown = |reason: String| (Key::Unknown(reason.clone()), Txt::Error(Error::Dns(DnsError::Resolver(reason))));
    let none = |reason: String| (Key::None(reason), Txt::Error(Error::Dns(DnsError::InvalidRecordType)));
    match net.dns().txt(shown).await {
        Lookup::Failed(failure) => unknown(format!("The key {shown} could not be asked: {failure}")),
        Lookup::Missing(_) => none(format!("No key is published at {shown} now; an old message's key may have been withdrawn since")),
        Lookup::Found(records) => {
            let mut why = "nothing in it reads as a key".to_owned();
            for record in &records {
                match DomainKey::parse(record) {
                    Ok(key) => return (Key::Usable(String::from_utf8_lossy(record).into_owned()), Txt::DomainKey(key.into())),
                    Err(Error::Dkim(mail_auth::dkim::DkimError::RevokedPublicKey)) => "it was revoked (p= is empty)".clone_into(&mut why),
                    Err(_) => {}
                }
            }
            none(format!("The key at {shown} can not be used: {why}"))
        }
    }
}

impl ResolverCache<Box<str>, Txt> for Keys {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // A name that was not asked is unknown; nothing makes mail-auth ask by itself.
        Some(self.known.get(name).map_or_else(|| Txt::Error(Error::Dns(DnsError::Resolver("not asked".to_owned()))), |(_, txt)| txt.clone()))
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
