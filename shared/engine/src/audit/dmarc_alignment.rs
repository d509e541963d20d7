//! Identifier alignment (RFC 9989 4.10): whether a domain that SPF or DKIM vouches for is of the organisation of the domain in From, as the
//! tree walk finds it, or has the very same name where the policy is strict.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use waypost_types::DomainName;

use super::{dmarc_walk, organisational};
use crate::net::Net;

/// Longest wait for all walks.
const LIMIT: Duration = Duration::from_secs(9);
/// Walks beside the one of From; the names that are not asked are not known.
const MOST_WALKS: usize = 20;
/// Walks at once.
const AT_ONCE: usize = 4;

/// How domains stand to the one in From.
#[derive(Debug, Default)]
pub(crate) struct Alignments {
    from: String,
    /// Whether DKIM and SPF must have the very same name; absent when the policy could not be told.
    strict: Option<[bool; 2]>,
    /// Domains that were looked at, and whether they are of the organisation of From.
    same: BTreeMap<String, bool>,
    /// Why one could not be told.
    pub(crate) unknown: Option<String>,
    /// `fo=` where failure reports are asked for (RFC 9989 4.7).
    pub(crate) failure_reports: Option<String>,
}

/// What is compared: the ASCII form of a name.
fn plain(name: &str) -> String {
    name.parse::<DomainName>().map_or_else(|_| name.trim_end_matches('.').to_ascii_lowercase(), |name| name.as_str().to_owned())
}

fn is_within(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The organisational domain. Where no name has a record nobody judges by DMARC: there it is the registered domain, where a record would be.
async fn organisation(net: &Net, domain: &DomainName, deadline: Instant) -> Result<(Option<String>, dmarc_walk::Walk), String> {
    let walked = timeout_at(deadline, dmarc_walk::walk(net, domain)).await.map_err(|_| format!("{domain}: no answer in time"))?;
    let walk = walked.map_err(|(name, failure)| format!("{name}: {failure}"))?;
    let organisation = if walk.policy.is_some() { walk.organisation.clone() } else { Some(organisational(domain.as_str()).to_owned()) };
    Ok((organisation, walk))
}

impl Alignments {
    /// Looks at each of these domains; those that can not be of the organisation are not asked about.
    pub(crate) async fn ask(net: &Net, from: &str, others: &BTreeSet<String>) -> Self {
        let mut out = Self { from: plain(from), ..Self::default() };
        let deadline = Instant::now() + LIMIT;
        let Ok(domain) = out.from.parse::<DomainName>() else { return out };
        let (home, walk) = match organisation(net, &domain, deadline).await {
            Ok(told) => told,
            Err(reason) => {
                out.unknown = Some(reason);
                return out;
            }
        };
        let record = walk.policy.as_ref().map(|(_, published)| &published.record);
        out.strict = Some(record.map_or([false; 2], |record| [record.strict_dkim, record.strict_spf]));
        out.failure_reports = record
            .filter(|record| !record.ruf.is_empty())
            .map(|record| record.tag("fo").map_or_else(|| "0".to_owned(), |tag| crate::text::shown(tag.value.to_ascii_lowercase(), 10)));
        let Some(home) = home else {
            out.unknown = Some(format!("the organisational domain of {}: a name above it did not answer", out.from));
            return out;
        };
        let others: BTreeSet<String> = others.iter().map(|other| plain(other)).filter(|other| *other != out.from).collect();
        let (near, far): (Vec<String>, Vec<String>) = others.into_iter().partition(|other| is_within(other, &home));
        out.same.extend(far.into_iter().map(|other| (other, false)));
        if out.strict == Some([true; 2]) {
            return out;
        }
        let walks = near.into_iter().take(MOST_WALKS).map(|other| async move {
            let found = match other.parse::<DomainName>() {
                Ok(domain) => organisation(net, &domain, deadline).await.map(|(home, _)| home),
                Err(_) => Ok(Some(other.clone())),
            };
            (other, found)
        });
        for (other, found) in stream::iter(walks).buffered(AT_ONCE).collect::<Vec<_>>().await {
            match found {
                Ok(Some(its)) => {
                    out.same.insert(other, its == home);
                }
                Ok(None) => out.unknown = Some(format!("the organisational domain of {other}: a name above it did not answer")),
                Err(reason) => out.unknown = Some(reason),
            }
        }
        out
    }

    /// Whether a DKIM signature of this domain is aligned; absent when it could not be told.
    pub(crate) fn dkim(&self, domain: &str) -> Option<bool> {
        self.of(domain, 0)
    }

    /// Whether the domain that SPF speaks for is aligned; absent when it could not be told.
    pub(crate) fn spf(&self, domain: &str) -> Option<bool> {
        self.of(domain, 1)
    }

    fn of(&self, domain: &str, method: usize) -> Option<bool> {
        let domain = plain(domain);
        if domain == self.from {
            return Some(!domain.is_empty());
        }
        // Names that share not even the last label have no organisation in common, whoever answers.
        let top = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        if self.from.is_empty() || top(&domain) != top(&self.from) || self.strict.is_some_and(|strict| strict[method]) {
            return Some(false);
        }
        self.same.get(&domain).copied()
    }
}

#[cfg(test)]
impl Alignments {
    /// Relaxed, with these domains of the organisation of From.
    pub(crate) fn relaxed(from: &str, same: &[&str]) -> Self {
        let same = same.iter().map(|name| ((*name).to_owned(), true)).collect();
        Self { from: from.to_owned(), strict: Some([false; 2]), same, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::ResponseCode;

    use super::*;
    use crate::net::tests::{Say, Server};

    #[tokio::test]
    async fn the_tree_walk_decides_and_strict_modes_want_the_very_name() {
        let records = [
            ("_dmarc.example.org", "TXT v=DMARC1; p=reject"),
            ("_dmarc.free.example.org", "TXT v=DMARC1; p=none; psd=n"),
            ("_dmarc.strict.test", "TXT v=DMARC1; p=reject; adkim=s"),
            ("_dmarc.host.test", "TXT v=DMARC1; p=none; psd=y; ruf=mailto:f@host.test; fo=1:d"),
            ("_dmarc.other.test", "TXT v=DMARC1; p=none; aspf=s; ruf=mailto:f@other.test"),
        ];
        let others = [("_dmarc.silent.test", Say::Code(ResponseCode::ServFail)), ("_dmarc.dark.example.org", Say::Code(ResponseCode::ServFail))];
        let server = Server::start(&records, &others).await;
        let net = server.net();
        for (from, other, dkim, spf) in [
            ("example.org", "example.org", Some(true), Some(true)),
            ("news.example.org", "bounce.Example.org.", Some(true), Some(true)),
            ("news.example.org", "example.org", Some(true), Some(true)),
            ("example.org", "example.org.evil.test", Some(false), Some(false)),
            // The public suffix list knows nothing of these borders.
            ("example.org", "free.example.org", Some(false), Some(false)),
            ("a.free.example.org", "b.free.example.org", Some(true), Some(true)),
            ("a.host.test", "b.host.test", Some(false), Some(false)),
            ("a.host.test", "x.a.host.test", Some(true), Some(true)),
            ("strict.test", "a.strict.test", Some(false), Some(true)),
            ("other.test", "a.other.test", Some(true), Some(false)),
            // Without any record the registered domain is where one would be.
            ("a.bare.test", "b.bare.test", Some(true), Some(true)),
            ("a.bare.test", "b.else.test", Some(false), Some(false)),
            // What did not answer is not known; the same name needs no answer, and another top-level domain none either.
            ("a.silent.test", "silent.test", None, None),
            ("silent.test", "silent.test", Some(true), Some(true)),
            ("silent.test", "esp.example", Some(false), Some(false)),
            ("example.org", "dark.example.org", None, None),
            ("", "example.org", Some(false), Some(false)),
        ] {
            let asked = Alignments::ask(&net, from, &[other.to_owned()].into()).await;
            assert_eq!((asked.dkim(other), asked.spf(other)), (dkim, spf), "{from} {other}");
            assert_eq!(asked.unknown.is_some(), dkim.is_none() || from == "silent.test", "{from} {other} {asked:?}");
        }
        let fo = async |from: &str| Alignments::ask(&net, from, &BTreeSet::new()).await.failure_reports;
        assert_eq!(fo("example.org").await, None);
        assert_eq!((fo("host.test").await.as_deref(), fo("other.test").await.as_deref()), (Some("1:d"), Some("0")));
    }

    #[tokio::test]
    async fn only_so_many_names_are_asked_about() {
        let server = Server::start(&[("_dmarc.example.org", "TXT v=DMARC1; p=reject")], &[]).await;
        let others: BTreeSet<String> = (0..100).map(|n| format!("n{n}.example.org")).collect();
        let asked = Alignments::ask(&server.net(), "example.org", &others).await;
        assert_eq!(others.iter().filter(|other| asked.dkim(other) == Some(true)).count(), MOST_WALKS);
        assert!(others.iter().all(|other| asked.dkim(other) != Some(false)));
    }
}
