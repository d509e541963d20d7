//! The delegation: which servers the parent zone names for a zone (RFC 1034 4.2.2).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use hickory_proto::rr::RData;
use waypost_types::Severity;

use super::{
    ns_ask::{Asker, Host},
    rules::{Remark, remark},
};
use crate::net::{Lookup, Net, plain};

/// All of it; the audit has other things to wait for.
const LIMIT: Duration = Duration::from_secs(4);
/// Servers of the parent that are tried until one answers.
const TRIES: usize = 3;
/// Labels walked up in search of the parent zone.
const MOST_STEPS: usize = 8;
/// Names of a delegation that are read.
const MOST_NAMES: usize = 32;

/// What a server of the parent says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delegation {
    pub parent: String,
    pub names: BTreeSet<String>,
    /// Addresses that came with the referral (glue), by the name of the server: of those that lie in the zone itself, which are found by nothing
    /// else, and of others where the parent has them (RFC 9471 2). Names that it does not delegate to are left out.
    pub glue: BTreeMap<String, Vec<IpAddr>>,
    /// TCP port 53 of the parent's server could be reached: our network lets it through.
    pub tcp: bool,
}

/// Asks one server of the parent zone. Nothing where parent and zone share their servers, which then answer for the zone itself, and
/// where there is no parent to be found; an error with its reason where no server of the parent answered.
pub(super) async fn delegation(asker: &Asker<'_>, zone: &str) -> Result<Option<Delegation>, String> {
    tokio::time::timeout(LIMIT, find(asker, zone)).await.unwrap_or_else(|_| Err("the servers of the parent zone did not answer in time".to_owned()))
}

async fn find(asker: &Asker<'_>, zone: &str) -> Result<Option<Delegation>, String> {
    let Some((parent, servers)) = parent_of(asker.net, zone).await? else { return Ok(None) };
    let mut last = format!("the servers of {parent} have no address");
    for server in servers.iter().take(TRIES) {
        let Some(address) = Host::find(asker.net, server).await.addresses().first().copied() else { continue };
        match ask(asker, address, zone).await {
            Ok(Some((names, glue, tcp))) => return Ok(Some(Delegation { parent, names, glue, tcp })),
            Ok(None) => return Ok(None),
            Err(reason) => last = format!("{server}: {reason}"),
        }
    }
    Err(last)
}

type Referral = (BTreeSet<String>, BTreeMap<String, Vec<IpAddr>>, bool);

async fn ask(asker: &Asker<'_>, address: IpAddr, zone: &str) -> Result<Option<Referral>, String> {
    let (answer, tcp) = tokio::join!(asker.referral(address, zone), asker.tcp(address));
    let answer = answer?;
    if answer.authoritative {
        return Ok(None);
    }
    if answer.code != 0 {
        return Err(format!("it answers with response code {}", answer.code));
    }
    let names: BTreeSet<String> = answer
        .authority
        .iter()
        .filter(|record| plain(&record.name) == zone)
        .filter_map(|record| match &record.data {
            RData::NS(name) => Some(plain(&name.0)),
            _ => None,
        })
        .take(MOST_NAMES)
        .collect();
    if names.is_empty() {
        return Err("its answer is no referral".to_owned());
    }
    let mut glue: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for record in &answer.additional {
        let address = match &record.data {
            RData::A(a) => IpAddr::from(a.0),
            RData::AAAA(aaaa) => IpAddr::from(aaaa.0),
            _ => continue,
        };
        let known = glue.entry(plain(&record.name)).or_default();
        if known.len() < MOST_NAMES {
            known.push(address);
        }
    }
    glue.retain(|name, _| names.contains(name));
    Ok(Some((names, glue, tcp == Some(true))))
}

/// The nearest name above that is a zone, and its servers. The root is nobody's parent here: domains have at least two labels.
async fn parent_of(net: &Net, zone: &str) -> Result<Option<(String, Vec<String>)>, String> {
    let mut at = zone;
    for _ in 0..MOST_STEPS {
        let Some((_, above)) = at.split_once('.') else { return Ok(None) };
        match net.dns().ns(above).await {
            Lookup::Found(mut servers) => {
                servers.sort();
                return Ok(Some((above.to_owned(), servers)));
            }
            Lookup::Failed(failure) => return Err(format!("the servers of {above}: {failure}")),
            Lookup::Missing(_) => at = above,
        }
    }
    Ok(None)
}

/// The finding where the parent's set and the zone's own differ.
pub(super) fn compare(zone: &str, delegation: &Delegation, own: &BTreeSet<String>) -> Option<Remark> {
    if own.is_empty() || *own == delegation.names {
        return None;
    }
    let list = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (above, below) = (list(delegation.names.difference(own).collect()), list(own.difference(&delegation.names).collect()));
    let parent = &delegation.parent;
    let seen = match (above.is_empty(), below.is_empty()) {
        (false, false) => {
            format!("The parent zone {parent} delegates {zone} to {above}, which the zone does not list; the zone lists {below} instead")
        }
        (false, true) => format!("The parent zone {parent} delegates {zone} to {above} too, which the zone itself does not list"),
        _ => format!("The zone {zone} lists {below}, which the parent zone {parent} does not delegate to"),
    };
    // As long as one server is in both sets the zone is found; servers that only one side knows are served late or not at all.
    let severity = if own.is_disjoint(&delegation.names) { Severity::Medium } else { Severity::Low };
    let all = list(own.iter().collect());
    Some(remark("ns.parent_mismatch", zone, seen).severity(severity).with("servers", all).with("parent", parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn sets_are_compared_by_what_each_side_has_alone() {
        let judge = |above: &[&str], below: &[&str]| {
            let delegation = Delegation { parent: "example".to_owned(), names: set(above), glue: BTreeMap::new(), tcp: true };
            compare("e.example", &delegation, &set(below)).map(|remark| {
                let finding = remark.done();
                (finding.severity, finding.summary)
            })
        };
        assert_eq!(judge(&["a", "b"], &["b", "a"]), None);
        assert_eq!(judge(&["a"], &[]), None, "what the zone does not tell is not compared");
        let (severity, summary) = judge(&["a", "b"], &["a", "c"]).unwrap();
        assert!(severity == Severity::Low && summary.contains("to b, which") && summary.contains("lists c instead"), "{summary}");
        assert_eq!(judge(&["a"], &["c"]).unwrap().0, Severity::Medium);
        assert!(judge(&["a", "b"], &["a"]).unwrap().1.contains("to b too"));
        assert!(judge(&["a"], &["a", "b"]).unwrap().1.contains("lists b, which"));
    }
}
