//! Who passes: `check_host()` for the addresses known to send, for MX hosts and for the domain's own address.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use tokio::time::{Instant, timeout_at};
use waypost_types::{audit::SpfSender, finding::UnknownPart};

use super::{AuditOptions, Facts, Part, organisational, rules::remark, spf::Audited, spf_repair::lets_send};
use crate::{
    net::Lookup,
    spf::{FetchError, Record, SpfDns, SpfEvaluation, SpfResult, check_host, fetch},
};

/// All evaluations together. One that takes longer is not told; what the others told stands.
const LIMIT: Duration = Duration::from_secs(4);
const LATE: &str = "the name servers did not answer in time";

/// Known senders that are looked at.
const MOST_SENDERS: usize = 40;
/// Addresses of MX hosts that are looked at.
const MOST_MX_ADDRESSES: usize = 20;
/// Host names whose own record is looked at.
const MOST_HELO: usize = 5;
/// Addresses of the domain itself that are looked at.
const MOST_OWN: usize = 4;
/// Evaluations that run side by side.
const AT_ONCE: usize = 6;

/// An address and what it is.
pub(super) struct Candidate {
    pub(super) address: IpAddr,
    pub(super) origin: String,
    /// Somebody said that it sends.
    pub(super) known: bool,
    /// The MX host it is of, where that is the organisation's own.
    pub(super) own_host: Option<String>,
}

/// Evaluates each; no DNS answer makes it unknown, and nothing else. Gives those to show, and remarks what follows.
pub(super) async fn look(on: Audited<'_>, record: &Record, part: &mut Part) -> Vec<SpfSender> {
    let end = on.end.min(Instant::now() + LIMIT);
    let candidates = candidates(on.facts, on.options);
    let sends = lets_send(record);
    let known: BTreeSet<IpAddr> = candidates.iter().map(|candidate| candidate.address).collect();
    let web = async { if sends { web(on, &known, end).await } else { Web::default() } };
    let (results, web) = tokio::join!(evaluate(on.net.dns(), on.domain(), on.net.now().timestamp(), &candidates, end), web);
    for (candidate, result) in candidates.iter().zip(&results).filter(|(candidate, _)| candidate.known) {
        not_covered(on.domain(), candidate, result, part);
    }
    if sends {
        not_allowed(on.domain(), (&candidates, &results), web, part);
        helo(on, (&candidates, &results), end, part).await;
    }
    let shown = candidates.into_iter().zip(results).map(|(candidate, result)| SpfSender {
        address: candidate.address,
        origin: candidate.origin,
        result: result.result.as_str().to_owned(),
        mechanism: result.mechanism,
    });
    shown.collect()
}

/// The addresses known to send, and those of the MX hosts.
pub(super) fn candidates(facts: &Facts, options: &AuditOptions) -> Vec<Candidate> {
    let known = options.senders.iter().take(MOST_SENDERS).map(|(address, origin)| Candidate {
        address: address.to_canonical(),
        origin: origin.clone(),
        known: true,
        own_host: None,
    });
    let own = |host: &str| organisational(host) == organisational(facts.domain.as_str());
    let mx = facts.hosts.iter().flat_map(|host| {
        host.addresses.iter().map(move |address| Candidate {
            address: *address,
            origin: if host.host == facts.domain.as_str() { format!("address of {}", host.host) } else { format!("MX host {}", host.host) },
            known: false,
            own_host: (host.provider.is_none() && own(&host.host)).then(|| host.host.clone()),
        })
    });
    let mut seen = BTreeSet::new();
    known.chain(mx.take(MOST_MX_ADDRESSES)).filter(|candidate| seen.insert(candidate.address)).collect()
}

/// What the policy says of each. One that is not told by `end` is a temporary error.
pub(super) async fn evaluate<D: SpfDns>(dns: &D, domain: &str, now: i64, candidates: &[Candidate], end: Instant) -> Vec<SpfEvaluation> {
    let sender = format!("postmaster@{domain}");
    let late = || SpfEvaluation { result: SpfResult::TempError, explanation: LATE.to_owned(), mechanism: None, lookups: 0, void_lookups: 0 };
    let jobs: Vec<_> = candidates.iter().map(|candidate| timeout_at(end, check_host(dns, candidate.address, domain, &sender, domain, now))).collect();
    // Those that come later find the answers in the resolver's cache.
    stream::iter(jobs).buffered(AT_ONCE).map(|told| told.unwrap_or_else(|_| late())).collect().await
}

/// Remarks a known sender that does not pass.
fn not_covered(domain: &str, candidate: &Candidate, result: &SpfEvaluation, part: &mut Part) {
    let address = candidate.address.to_string();
    match result.result {
        SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
            let seen = format!("{address} sends for {domain} ({}), and SPF says {} of it", candidate.origin, result.result.as_str());
            part.find(remark("spf.sender_not_covered", &address, seen).with("ip", &address));
        }
        SpfResult::TempError => {
            let unknown = UnknownPart::new("spf.sender_not_covered", format!("whether {address} may send: {}", result.explanation));
            part.unknown.push(UnknownPart { about: Some(address), ..unknown });
        }
        // What is wrong with the record as a whole is said elsewhere.
        SpfResult::Pass | SpfResult::None | SpfResult::PermError => {}
    }
}

/// The domain's own addresses, and why they could not be told.
#[derive(Default)]
struct Web {
    hosts: Vec<Candidate>,
    results: Vec<SpfEvaluation>,
    untold: Option<String>,
}

async fn web(on: Audited<'_>, known: &BTreeSet<IpAddr>, end: Instant) -> Web {
    let domain = on.domain();
    let addresses = match timeout_at(end, on.net.dns().addresses(domain)).await {
        Ok(Lookup::Failed(failure)) => Err(failure.to_string()),
        Ok(addresses) => Ok(addresses.found()),
        Err(_) => Err(LATE.to_owned()),
    };
    let untold = addresses.as_ref().err().map(|why| format!("the addresses of {domain}: {why}"));
    let own = addresses.unwrap_or_default().into_iter().take(MOST_OWN).filter(|address| !known.contains(address));
    let hosts: Vec<Candidate> =
        own.map(|address| Candidate { address, origin: format!("address of {domain}"), known: false, own_host: None }).collect();
    let results = evaluate(on.net.dns(), domain, on.net.now().timestamp(), &hosts, end).await;
    Web { hosts, results, untold }
}

fn not_allowed(domain: &str, (candidates, results): (&[Candidate], &[SpfEvaluation]), web: Web, part: &mut Part) {
    let own = candidates.iter().zip(results).filter(|(candidate, _)| candidate.own_host.is_some());
    let hosts: Vec<(&Candidate, &SpfEvaluation)> = own.chain(web.hosts.iter().zip(&web.results)).collect();
    let refused = hosts.iter().filter(|(_, result)| matches!(result.result, SpfResult::Fail | SpfResult::SoftFail));
    let names: Vec<String> = refused.map(|(host, _)| format!("{} ({})", host.origin, host.address)).collect();
    if !names.is_empty() {
        let seen = format!("SPF lets these hosts of the domain send no mail: {}", names.join(", "));
        part.find(remark("spf.host_not_allowed", domain, seen));
        return;
    }
    let failed = hosts.iter().find(|(_, result)| result.result == SpfResult::TempError);
    let failed = || failed.map(|(host, result)| format!("whether {} ({}) may send: {}", host.address, host.origin, result.explanation));
    if let Some(reason) = web.untold.or_else(failed) {
        part.untold("spf.host_not_allowed", reason);
    }
}

/// Own MX hosts that may send but whose own name has no policy: notices with an empty sender are judged by that name.
async fn helo(on: Audited<'_>, (candidates, results): (&[Candidate], &[SpfEvaluation]), end: Instant, part: &mut Part) {
    let temporary = |(candidate, result): (&Candidate, &SpfEvaluation)| candidate.own_host.is_some() && result.result == SpfResult::TempError;
    if candidates.iter().zip(results).any(temporary) {
        part.untold("spf.helo_missing", "whether the domain's own hosts may send was not answered");
    }
    let passes = candidates.iter().zip(results).filter(|(_, result)| result.result == SpfResult::Pass);
    let hosts: BTreeSet<&str> = passes.filter_map(|(candidate, _)| candidate.own_host.as_deref()).filter(|host| *host != on.domain()).collect();
    let hosts: Vec<&str> = hosts.into_iter().take(MOST_HELO).collect();
    let records = join_all(hosts.iter().map(|host| timeout_at(end, fetch(on.net.dns(), host)))).await;
    for (host, record) in hosts.into_iter().zip(records) {
        let untold = match record {
            Ok(Ok(None)) => {
                let seen = format!("{host} may send for the domain, and its own name has no SPF record");
                part.find(remark("spf.helo_missing", host, seen).with("helo", host).record("TXT", host, "v=spf1 a -all"));
                continue;
            }
            Ok(Ok(Some(_)) | Err(FetchError::Multiple)) => continue,
            Ok(Err(FetchError::Dns(failure))) => failure.to_string(),
            Err(_) => LATE.to_owned(),
        };
        part.untold("spf.helo_missing", format!("the SPF record of {host}: {untold}"));
    }
}
