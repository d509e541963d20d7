//! Who passes: `check_host()` for the addresses known to send, for MX hosts and for the domain's own address.

use std::{collections::BTreeSet, net::IpAddr};

use futures::{StreamExt, future::join_all, stream};
use waypost_types::audit::SpfSender;

use super::{AuditOptions, Facts, Part, organisational, rules::remark};
use crate::{
    net::{Lookup, Net},
    spf::{FetchError, Mechanism, Record, SpfEvaluation, SpfResult, check_host, fetch},
};

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
struct Candidate {
    address: IpAddr,
    origin: String,
    /// Somebody said that it sends.
    known: bool,
    /// The MX host it is of, where that is the organisation's own.
    own_host: Option<String>,
}

/// Who passes, and the known senders that do not.
#[derive(Debug, Default)]
pub(super) struct Senders {
    pub(super) shown: Vec<SpfSender>,
    pub(super) refused: Vec<IpAddr>,
}

/// Evaluates each; no DNS answer makes it unknown. Gives those to show, and remarks what follows.
pub(super) async fn look(net: &Net, facts: &Facts, options: &AuditOptions, record: &Record, part: &mut Part) -> Senders {
    let domain = facts.domain.as_str();
    let candidates = candidates(facts, options);
    let results = evaluate(net, domain, &candidates).await;
    let mut refused = Vec::new();
    for (candidate, result) in candidates.iter().zip(&results).filter(|(candidate, _)| candidate.known) {
        if not_covered(domain, candidate, result, part) {
            refused.push(candidate.address);
        }
    }
    let sends = record.redirect.is_some() || record.directives.iter().any(|directive| directive.mechanism != Mechanism::All);
    if sends {
        not_allowed(net, facts, &candidates, &results, part).await;
        helo(net, facts, &candidates, &results, part).await;
    }
    let shown = candidates
        .into_iter()
        .zip(results)
        .map(|(candidate, result)| SpfSender {
            address: candidate.address,
            origin: candidate.origin,
            result: result.result.as_str().to_owned(),
            mechanism: result.mechanism,
        })
        .collect();
    Senders { shown, refused }
}

fn candidates(facts: &Facts, options: &AuditOptions) -> Vec<Candidate> {
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

async fn evaluate(net: &Net, domain: &str, candidates: &[Candidate]) -> Vec<SpfEvaluation> {
    let sender = format!("postmaster@{domain}");
    let now = net.now().timestamp();
    let jobs: Vec<_> = candidates.iter().map(|candidate| check_host(net.dns(), candidate.address, domain, &sender, domain, now)).collect();
    // Those that come later find the answers in the resolver's cache.
    stream::iter(jobs).buffered(AT_ONCE).collect().await
}

/// Remarks a known sender that does not pass; true when it is one.
fn not_covered(domain: &str, candidate: &Candidate, result: &SpfEvaluation, part: &mut Part) -> bool {
    let address = candidate.address;
    match result.result {
        SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => {
            let seen = format!("{address} sends for {domain} ({}), and SPF says {} of it", candidate.origin, result.result.as_str());
            part.find(remark("spf.sender_not_covered", domain, seen).with("ip", address.to_string()));
            return true;
        }
        SpfResult::TempError => part.unknown("spf", format!("whether {address} may send: {}", result.explanation)),
        // What is wrong with the record as a whole is said elsewhere.
        SpfResult::Pass | SpfResult::None | SpfResult::PermError => {}
    }
    false
}

async fn not_allowed(net: &Net, facts: &Facts, candidates: &[Candidate], results: &[SpfEvaluation], part: &mut Part) {
    let domain = facts.domain.as_str();
    let refused = |result: &SpfEvaluation| matches!(result.result, SpfResult::Fail | SpfResult::SoftFail);
    let mut names: Vec<String> = Vec::new();
    for (candidate, result) in candidates.iter().zip(results) {
        if candidate.own_host.is_some() && refused(result) {
            names.push(format!("{} ({})", candidate.origin, candidate.address));
        }
    }
    let known: BTreeSet<IpAddr> = candidates.iter().map(|candidate| candidate.address).collect();
    let addresses = net.dns().addresses(domain).await;
    let mut untold = if let Lookup::Failed(failure) = &addresses { Some(format!("the addresses of {domain}: {failure}")) } else { None };
    let web: Vec<Candidate> = addresses
        .found()
        .into_iter()
        .take(MOST_OWN)
        .filter(|address| !known.contains(address))
        .map(|address| Candidate { address, origin: format!("address of {domain}"), known: false, own_host: None })
        .collect();
    let web_results = evaluate(net, domain, &web).await;
    names.extend(web.iter().zip(&web_results).filter(|(_, result)| refused(result)).map(|(host, _)| format!("{} ({})", host.origin, host.address)));
    let own = candidates.iter().zip(results).filter(|(candidate, _)| candidate.own_host.is_some());
    for (candidate, result) in own.chain(web.iter().zip(&web_results)).filter(|(_, result)| result.result == SpfResult::TempError) {
        untold.get_or_insert_with(|| format!("whether {} ({}) may send: {}", candidate.address, candidate.origin, result.explanation));
    }
    if !names.is_empty() {
        let seen = format!("SPF lets these hosts of the domain send no mail: {}", names.join(", "));
        part.find(remark("spf.host_not_allowed", domain, seen));
    } else if let Some(reason) = untold {
        part.untold("spf.host_not_allowed", reason);
    }
}

/// Own MX hosts that may send but whose own name has no policy: notices with an empty sender are judged by that name.
async fn helo(net: &Net, facts: &Facts, candidates: &[Candidate], results: &[SpfEvaluation], part: &mut Part) {
    let temporary = |(candidate, result): (&Candidate, &SpfEvaluation)| candidate.own_host.is_some() && result.result == SpfResult::TempError;
    if candidates.iter().zip(results).any(temporary) {
        part.untold("spf.helo_missing", "whether the domain's own hosts may send was not answered");
    }
    let passes = candidates.iter().zip(results).filter(|(_, result)| result.result == SpfResult::Pass);
    let hosts: BTreeSet<&str> =
        passes.filter_map(|(candidate, _)| candidate.own_host.as_deref()).filter(|host| *host != facts.domain.as_str()).collect();
    let hosts: Vec<&str> = hosts.into_iter().take(MOST_HELO).collect();
    let records = join_all(hosts.iter().map(|host| fetch(net.dns(), host))).await;
    for (host, record) in hosts.into_iter().zip(records) {
        match record {
            Ok(None) => {
                let seen = format!("{host} may send for the domain, and its own name has no SPF record");
                part.find(remark("spf.helo_missing", host, seen).with("helo", host).record("TXT", host, "v=spf1 a -all"));
            }
            Err(FetchError::Dns(failure)) => part.untold("spf.helo_missing", format!("the SPF record of {host}: {failure}")),
            Ok(Some(_)) | Err(FetchError::Multiple) => {}
        }
    }
}
