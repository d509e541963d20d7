//! What an SPF record and all that it reaches cost: DNS lookups (RFC 7208 4.6.4), dead ends, loops, and the networks it names on the way.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use ipnet::IpNet;

use super::{organisational, spf_networks};
use crate::{
    net::{Absence, DnsFailure, Lookup, Net},
    spf::{FetchError, MAX_NAMES, Mechanism, Record, fetch, parse},
};

/// Policies looked at below the first; a tree with more is far past the limit of ten anyway.
const MOST_POLICIES: u32 = 40;

/// What a record and all it reaches cost.
#[derive(Default)]
pub(super) struct Cost {
    /// Terms that cost a lookup.
    pub lookups: u32,
    policies: u32,
    /// Names that were asked for and are not there.
    pub voids: Vec<String>,
    /// Included domains without a policy.
    pub without_record: BTreeSet<String>,
    /// Included domains whose policy can not be read, and why.
    pub broken: Vec<(String, String)>,
    /// Names that did not answer.
    pub failed: Vec<(String, DnsFailure)>,
    /// Names of `mx` terms with too many hosts, and how many.
    pub wide_mx: Vec<(String, usize)>,
    /// Networks that policies of the same organisation allow.
    pub networks: Vec<IpNet>,
    /// A domain that includes itself.
    pub looped: Option<String>,
    /// There is a `ptr` term.
    pub uses_ptr: bool,
}

impl Cost {
    /// Follows a record of `domain` as an evaluation would that matches nothing.
    pub async fn of(net: &Net, domain: String, record: Record) -> Self {
        let mut cost = Self::default();
        cost.walk(net, domain.clone(), record, vec![domain]).await;
        cost
    }

    fn walk<'a>(&'a mut self, net: &'a Net, domain: String, record: Record, path: Vec<String>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for directive in &record.directives {
                if directive.mechanism == Mechanism::All {
                    return;
                }
                if !directive.mechanism.costs_lookup() {
                    // What a provider's policy lists behind an include is the provider's business.
                    if path.first().is_some_and(|first| organisational(first) == organisational(&domain)) {
                        self.networks.extend(spf_networks::allowed(directive));
                    }
                    continue;
                }
                self.lookups += 1;
                match &directive.mechanism {
                    Mechanism::Include(spec) => {
                        if let Some(target) = spec.literal() {
                            self.enter(net, target.to_ascii_lowercase(), &path).await;
                        }
                    }
                    Mechanism::A(spec, _) => {
                        if let Some(name) = spec.as_ref().map_or(Some(domain.as_str()), |spec| spec.literal()) {
                            let answer = net.dns().addresses(name).await;
                            self.note(name, answer);
                        }
                    }
                    Mechanism::Mx(spec, _) => {
                        if let Some(name) = spec.as_ref().map_or(Some(domain.as_str()), |spec| spec.literal()) {
                            let answer = net.dns().mx(name).await;
                            if let Lookup::Found(hosts) = &answer
                                && hosts.len() > MAX_NAMES
                            {
                                self.wide_mx.push((name.to_owned(), hosts.len()));
                            }
                            self.note(name, answer);
                        }
                    }
                    Mechanism::Ptr(_) => self.uses_ptr = true,
                    _ => {}
                }
            }
            if let Some(target) = record.redirect.as_ref().and_then(|spec| spec.literal()) {
                self.lookups += 1;
                self.enter(net, target.to_ascii_lowercase(), &path).await;
            }
        })
    }

    fn note<T>(&mut self, name: &str, answer: Lookup<T>) {
        match answer {
            Lookup::Found(_) => {}
            Lookup::Missing(Absence::NxDomain | Absence::NoData) => self.voids.push(name.to_owned()),
            Lookup::Failed(failure) => self.failed.push((name.to_owned(), failure)),
        }
    }

    async fn enter(&mut self, net: &Net, target: String, path: &[String]) {
        if path.contains(&target) {
            self.looped = Some(target);
            return;
        }
        self.policies += 1;
        if self.policies > MOST_POLICIES {
            return;
        }
        match fetch(net.dns(), &target).await {
            Ok(Some(txt)) => match parse(&txt) {
                Ok(record) => {
                    let mut path = path.to_vec();
                    path.push(target.clone());
                    self.walk(net, target, record, path).await;
                }
                Err(error) => self.broken.push((target, error.to_string())),
            },
            Ok(None) => {
                self.without_record.insert(target);
            }
            Err(FetchError::Multiple) => self.broken.push((target, "there is more than one".to_owned())),
            Err(FetchError::Dns(failure)) => self.failed.push((target, failure)),
        }
    }
}
