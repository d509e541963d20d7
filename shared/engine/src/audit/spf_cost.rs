//! What an SPF record and all that it reaches cost: the tree of policies with their DNS lookups (RFC 7208 4.6.4), dead ends, loops, and the
//! networks it names on the way.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::atomic::{AtomicU32, Ordering},
};

use futures::future::{BoxFuture, join_all};
use ipnet::IpNet;
use tokio::time::{Instant, timeout_at};
use waypost_types::audit::{SpfNode, SpfTerm};

use super::{
    organisational, spf_networks,
    spf_repair::lets_everybody,
    spf_repeats::{Repeat, repeats, terms},
    spf_services::service_of,
};
use crate::{
    net::{Absence, DnsFailure, Lookup, Net},
    spf::{Directive, DualCidr, FetchError, MAX_NAMES, MacroString, Mechanism, Qualifier, Record, fetch, parse},
};

/// Policies looked at below the first; a tree with more is far past the limit of ten anyway.
const MOST_POLICIES: u32 = 40;
/// Names asked for by `a`, `mx` and `exists` in all of the tree, for the same reason.
const MOST_ASKED: u32 = 60;
/// Terms of one policy that are shown.
const MOST_TERMS: usize = 500;

/// What a record and all it reaches cost.
#[derive(Debug, Default)]
pub(super) struct Cost {
    /// The policy with all that it reaches.
    pub tree: SpfNode,
    /// By directive of the record: all the networks that it lets send, where these do not depend on the message and all of them are known.
    pub allowed: Vec<Option<Vec<IpNet>>>,
    /// The same of the whole record.
    whole: Option<Vec<IpNet>>,
    /// What is wrong on the way.
    pub seen: Seen,
}

/// What a term asks of a name: one that has no MX records may well have addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Addresses of either family.
    A,
    /// MX hosts.
    Mx,
    /// IPv4 addresses, whatever they are (RFC 7208 5.7).
    Exists,
}

impl Question {
    /// The mechanism that asks it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::Mx => "mx",
            Self::Exists => "exists",
        }
    }
}

/// What is wrong with a record and what it reaches.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Questions that found nothing.
    pub voids: Vec<(Question, String)>,
    /// Included domains without a policy.
    pub without_record: BTreeSet<String>,
    /// Names whose registered domain does not exist, and that domain.
    pub lapsed: BTreeSet<(String, String)>,
    /// Included domains whose policy can not be read, and why.
    pub broken: BTreeSet<(String, String)>,
    /// Names that did not answer.
    pub failed: Vec<(String, DnsFailure)>,
    /// Names of `mx` terms with too many hosts, and how many.
    pub wide_mx: BTreeSet<(String, usize)>,
    /// Networks that policies of the same organisation allow.
    pub networks: Vec<IpNet>,
    /// A domain that includes itself.
    pub looped: Option<String>,
    /// There is a `ptr` term.
    pub uses_ptr: bool,
    /// Names of terms that no name in DNS can be.
    pub impossible: BTreeSet<String>,
    /// Terms of the record itself that every client matches.
    pub always: Vec<String>,
}

impl Seen {
    /// Something makes receivers give up on the record, however few lookups it needs.
    pub fn is_broken(&self) -> bool {
        !self.without_record.is_empty() || !self.broken.is_empty() || !self.wide_mx.is_empty() || self.looped.is_some()
    }

    fn add(&mut self, other: Self) {
        self.voids.extend(other.voids);
        self.without_record.extend(other.without_record);
        self.lapsed.extend(other.lapsed);
        self.broken.extend(other.broken);
        self.failed.extend(other.failed);
        self.wide_mx.extend(other.wide_mx);
        self.networks.extend(other.networks);
        self.looped = self.looped.take().or(other.looped);
        self.uses_ptr |= other.uses_ptr;
        self.impossible.extend(other.impossible);
        self.always.extend(other.always);
    }
}

/// One term and what lies behind it.
#[derive(Default)]
struct Step {
    lookups: u32,
    void_lookups: u32,
    note: Option<String>,
    policy: Option<SpfNode>,
    allowed: Option<Vec<IpNet>>,
    seen: Seen,
}

struct Walk<'a> {
    net: &'a Net,
    /// Whose record it is.
    first: &'a str,
    /// When to stop waiting.
    end: Instant,
    policies: AtomicU32,
    asked: AtomicU32,
}

impl Cost {
    /// Follows a record of `domain` as an evaluation would that matches nothing. What has not answered by `end` is told as a name that did not, so
    /// that one silent server costs its own branch and not the tree.
    pub async fn of(net: &Net, domain: &str, text: &str, record: &Record, end: Instant) -> Self {
        let walk = Walk { net, first: domain, end, policies: AtomicU32::new(0), asked: AtomicU32::new(0) };
        let mut cost = walk.policy(domain.to_owned(), text.to_owned(), record.clone(), vec![domain.to_owned()]).await;
        note_again(&mut cost.tree, &mut BTreeSet::new());
        cost
    }
}

/// Notes policies that are reached a second time, in the order of an evaluation: they cost their lookups again.
fn note_again(node: &mut SpfNode, reached: &mut BTreeSet<String>) {
    for term in &mut node.terms {
        let Some(policy) = &mut term.policy else { continue };
        if !reached.insert(policy.domain.clone()) && term.note.is_none() {
            term.note = Some("reached before by another way, and costs its lookups again".to_owned());
        }
        note_again(policy, reached);
    }
}

impl Walk<'_> {
    async fn in_time<T: Send>(&self, asking: impl Future<Output = Lookup<T>> + Send) -> Lookup<T> {
        timeout_at(self.end, asking).await.unwrap_or(Lookup::Failed(DnsFailure::Timeout))
    }

    fn policy(&self, domain: String, text: String, record: Record, path: Vec<String>) -> BoxFuture<'_, Cost> {
        Box::pin(async move {
            let all = record.directives.iter().position(|directive| directive.mechanism == Mechanism::All);
            let end = all.unwrap_or(record.directives.len());
            let mut steps: Vec<Step> = join_all(record.directives[..end].iter().map(|directive| self.directive(directive, &domain, &path))).await;
            let redirect = match record.redirect.as_ref().filter(|_| all.is_none()) {
                Some(target) => Some(self.policy_step(target, true, &path).await),
                None => None,
            };
            let mut cost = Cost { whole: Some(Vec::new()), ..Cost::default() };
            cost.tree = SpfNode { service: (domain != self.first).then(|| service_of(&domain)).flatten().map(str::to_owned), ..SpfNode::default() };
            cost.tree.record = Some(crate::printable(&text));
            for (at, repeat) in repeats(&record, &domain).into_iter().enumerate().take(end) {
                steps[at].note = match repeat {
                    Some(Repeat::Same(_)) => Some("repeats an earlier term".to_owned()),
                    Some(Repeat::Inside(other)) => Some(format!("lies in {}", record.directives[other].text)),
                    None => steps[at].note.take(),
                };
            }
            // What passes by another way than by a network can not be listed; nor can an exception from one.
            if lets_everybody(&record) || record.directives[..end].iter().any(|directive| directive.qualifier != Qualifier::Pass) {
                cost.whole = None;
            }
            for step in steps.iter().chain(&redirect) {
                cost.tree.lookups += step.lookups;
                cost.tree.void_lookups += step.void_lookups;
                cost.whole = cost.whole.take().zip(step.allowed.as_ref()).map(|(mut whole, more)| {
                    whole.extend(more);
                    whole
                });
            }
            let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
            let mut redirect = redirect;
            for (term, index) in terms(&text, &record).into_iter().take(MOST_TERMS) {
                let step = match index {
                    Some(index) => steps.get_mut(index).and_then(Option::take),
                    None if is_redirect(term) => redirect.take(),
                    None => None,
                };
                let unread = index.is_some_and(|index| index > end) || (index.is_none() && all.is_some() && is_redirect(term));
                let step =
                    step.unwrap_or_else(|| Step { note: unread.then(|| "never read: “all” decides before it".to_owned()), ..Step::default() });
                if index.is_some_and(|index| index < end) {
                    cost.allowed.push(step.allowed);
                }
                cost.seen.add(step.seen);
                cost.tree.terms.push(SpfTerm {
                    text: crate::printable(term),
                    lookups: step.lookups,
                    note: step.note,
                    policy: step.policy.map(Box::new),
                });
            }
            cost.tree.domain = domain;
            cost
        })
    }

    async fn directive(&self, directive: &Directive, domain: &str, path: &[String]) -> Step {
        let name = |spec: &Option<MacroString>| spec.as_ref().map_or(Some(domain.to_owned()), |spec| spec.literal().map(str::to_ascii_lowercase));
        let mut step = Step { lookups: u32::from(directive.mechanism.costs_lookup()), ..Step::default() };
        if matches!(directive.mechanism, Mechanism::A(..) | Mechanism::Mx(..) | Mechanism::Exists(_))
            && self.asked.fetch_add(1, Ordering::Relaxed) >= MOST_ASKED
        {
            step.note = Some("not asked: there are too many terms".to_owned());
            return step;
        }
        match &directive.mechanism {
            Mechanism::All => {}
            Mechanism::Ip4(..) | Mechanism::Ip6(..) => {
                let allowed = spf_networks::allowed(directive);
                step.allowed = allowed.map(|network| vec![network]);
                // What a provider's policy lists behind an include is the provider's business.
                if organisational(self.first) == organisational(domain) {
                    step.seen.networks.extend(allowed);
                }
            }
            Mechanism::Include(spec) => return self.policy_step(spec, false, path).await,
            Mechanism::A(spec, cidr) => match name(spec) {
                Some(name) => self.addresses(&name, *cidr, &mut step).await,
                None => step.note = Some(DEPENDS.to_owned()),
            },
            Mechanism::Mx(spec, cidr) => match name(spec) {
                Some(name) => self.mx(&name, *cidr, &mut step).await,
                None => step.note = Some(DEPENDS.to_owned()),
            },
            Mechanism::Ptr(_) => {
                step.seen.uses_ptr = true;
                step.note = Some("asks for the reverse name of each client".to_owned());
            }
            Mechanism::Exists(spec) => match spec.literal().map(str::to_ascii_lowercase) {
                Some(name) => {
                    let answer = self.in_time(self.net.dns().a(&name)).await;
                    self.void((Question::Exists, &name), &answer, &mut step).await;
                    if matches!(answer, Lookup::Found(_)) && domain == self.first && directive.qualifier == Qualifier::Pass {
                        step.seen.always.push(directive.text.clone());
                    }
                }
                None => step.note = Some(DEPENDS.to_owned()),
            },
        }
        let found = matches!(directive.mechanism, Mechanism::A(..) | Mechanism::Mx(..)) && directive.qualifier == Qualifier::Pass;
        if found && organisational(self.first) == organisational(domain) {
            step.seen.networks.extend(step.allowed.iter().flatten().filter(|network| spf_networks::is_wide(network)));
        }
        step
    }

    async fn addresses(&self, name: &str, cidr: DualCidr, step: &mut Step) {
        let answer = self.in_time(self.net.dns().addresses(name)).await;
        self.void((Question::A, name), &answer, step).await;
        if let Lookup::Found(addresses) = answer {
            step.note = Some(counted(addresses.len(), "address", "addresses"));
            step.allowed = Some(addresses.into_iter().filter_map(|address| widened(address, cidr)).collect());
        }
    }

    async fn mx(&self, name: &str, cidr: DualCidr, step: &mut Step) {
        let answer = self.in_time(self.net.dns().mx(name)).await;
        self.void((Question::Mx, name), &answer, step).await;
        let Lookup::Found(mut hosts) = answer else { return };
        if hosts.len() > MAX_NAMES {
            step.seen.wide_mx.insert((name.to_owned(), hosts.len()));
            step.note = Some(format!("{} hosts, {MAX_NAMES} are allowed", hosts.len()));
            return;
        }
        hosts.retain(|(_, host)| !host.is_empty());
        let answers = join_all(hosts.iter().map(|(_, host)| self.in_time(self.net.dns().addresses(host)))).await;
        let mut networks = Some(Vec::new());
        let mut known = 0;
        for ((_, host), answer) in hosts.iter().zip(answers) {
            match answer {
                Lookup::Found(addresses) => {
                    known += addresses.len();
                    if let Some(networks) = &mut networks {
                        networks.extend(addresses.into_iter().filter_map(|address| widened(address, cidr)));
                    }
                }
                Lookup::Missing(_) => {}
                Lookup::Failed(failure) => {
                    networks = None;
                    step.seen.failed.push((host.clone(), failure));
                }
            }
        }
        step.note = Some(format!("{}, {}", counted(hosts.len(), "host", "hosts"), counted(known, "address", "addresses")));
        step.allowed = networks;
    }

    /// Counts a lookup that finds nothing for any client; one that only lacks addresses of one family is no mistake.
    async fn void<T: Sync>(&self, (question, name): (Question, &str), answer: &Lookup<T>, step: &mut Step) {
        match answer {
            Lookup::Found(_) => {}
            Lookup::Missing(absence) => {
                step.void_lookups += 1;
                step.seen.voids.push((question, name.to_owned()));
                step.note = Some(if *absence == Absence::NxDomain { "finds nothing: the name does not exist" } else { "finds nothing" }.to_owned());
                self.lapse(name, step).await;
            }
            Lookup::Failed(DnsFailure::BadName(_)) => {
                step.void_lookups += 1;
                step.seen.voids.push((question, name.to_owned()));
                step.note = Some("finds nothing: no name in DNS can be so".to_owned());
                step.seen.impossible.insert(name.to_owned());
            }
            Lookup::Failed(failure) => {
                step.note = Some("could not be told: no answer".to_owned());
                step.seen.failed.push((name.to_owned(), failure.clone()));
            }
        }
    }

    /// Notes a name whose registered domain does not exist: whoever registers it decides who may send.
    async fn lapse(&self, name: &str, step: &mut Step) {
        let registered = organisational(name);
        if registered == organisational(self.first) || !registered.contains('.') {
            return;
        }
        match self.in_time(self.net.dns().soa(registered)).await {
            Lookup::Missing(Absence::NxDomain) => {
                step.seen.lapsed.insert((name.to_owned(), registered.to_owned()));
            }
            Lookup::Failed(failure) => step.seen.failed.push((registered.to_owned(), failure)),
            Lookup::Found(_) | Lookup::Missing(Absence::NoData) => {}
        }
    }

    async fn policy_step(&self, spec: &MacroString, redirect: bool, path: &[String]) -> Step {
        let mut step = Step { lookups: 1, ..Step::default() };
        let Some(target) = spec.literal().map(str::to_ascii_lowercase) else {
            step.note = Some(DEPENDS.to_owned());
            return step;
        };
        if path.contains(&target) {
            step.note = Some("leads back to where it came from".to_owned());
            step.seen.looped = Some(target);
            return step;
        }
        if self.policies.fetch_add(1, Ordering::Relaxed) >= MOST_POLICIES {
            step.note = Some(format!("not followed: more than {MOST_POLICIES} policies"));
            return step;
        }
        let fetched = timeout_at(self.end, fetch(self.net.dns(), &target)).await;
        let problem = match fetched.unwrap_or(Err(FetchError::Dns(DnsFailure::Timeout))) {
            Ok(Some(txt)) => match parse(&txt) {
                Ok(record) => {
                    let mut path = path.to_vec();
                    path.push(target.clone());
                    let cost = self.policy(target, String::from_utf8_lossy(&txt).into_owned(), record, path).await;
                    step.lookups += cost.tree.lookups;
                    step.void_lookups = cost.tree.void_lookups;
                    step.allowed = cost.whole;
                    step.seen = cost.seen;
                    step.policy = Some(cost.tree);
                    return step;
                }
                Err(error) => {
                    step.seen.broken.insert((target.clone(), error.to_string()));
                    format!("can not be read: {error}")
                }
            },
            Ok(None) => {
                step.seen.without_record.insert(target.clone());
                self.lapse(&target, &mut step).await;
                "has no SPF record".to_owned()
            }
            Err(FetchError::Multiple) => {
                step.seen.broken.insert((target.clone(), "there is more than one".to_owned()));
                "has more than one SPF record".to_owned()
            }
            Err(FetchError::Dns(failure)) => {
                let problem = format!("could not be told: {failure}");
                step.seen.failed.push((target.clone(), failure));
                problem
            }
        };
        step.note = redirect.then(|| "decides everything that is left".to_owned());
        let service = service_of(&target).map(str::to_owned);
        step.policy = Some(SpfNode { domain: target, service, problem: Some(problem), ..SpfNode::default() });
        step
    }
}

const DEPENDS: &str = "depends on the message";

fn is_redirect(term: &str) -> bool {
    term.to_ascii_lowercase().starts_with("redirect=")
}

fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

fn widened(address: std::net::IpAddr, cidr: DualCidr) -> Option<IpNet> {
    IpNet::new(address, if address.is_ipv4() { cidr.v4 } else { cidr.v6 }).ok().map(|network| network.trunc())
}
