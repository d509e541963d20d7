//! Where the TLSA records of a host are, and what the finding about a set of them says that matches nothing: for audits of a domain's MX hosts
//! and for probes of any host.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;

use super::{
    dane_match::{Match, record_for},
    rules::{Remark, remark},
};
use crate::net::{Lookup, Net};

/// Aliases that are followed from a host (RFC 7672 2.2.3).
const MOST_ALIASES: usize = 4;
/// TLSA records of a host that are held against its certificate; more do not fit into an answer of 64 KiB with a digest each.
const MOST_RECORDS: usize = 1_500;

/// The TLSA records of a host and port.
#[derive(Debug, Clone)]
pub(crate) struct TlsaSet {
    /// The name they are below: the host's, or that it is an alias of.
    pub base: String,
    /// Where they are.
    pub owner: String,
    /// As `usage selector matching hex`, sorted, each once.
    pub records: Vec<String>,
}

/// Looks them up, under the name that the host is an alias of where it is one, and else under its own.
pub(crate) async fn tlsa_of(net: &Net, host: &str, port: u16) -> Lookup<TlsaSet> {
    let mut bases = vec![host.to_owned()];
    while bases.len() <= MOST_ALIASES {
        match net.dns().cname(&bases[bases.len() - 1]).await {
            Lookup::Found(targets) => match targets.into_iter().next().filter(|target| !bases.contains(target)) {
                Some(target) => bases.push(target),
                None => break,
            },
            Lookup::Missing(_) => break,
            // The records may stand under the name that it leads to.
            Lookup::Failed(failure) => return Lookup::Failed(failure),
        }
    }
    let mut base = bases.pop().unwrap_or_default();
    let mut owner = format!("_{port}._tcp.{base}");
    let mut found = net.dns().tlsa(&owner).await;
    if matches!(found, Lookup::Missing(_)) && base != host {
        host.clone_into(&mut base);
        owner = format!("_{port}._tcp.{base}");
        found = net.dns().tlsa(&owner).await;
    }
    match found {
        Lookup::Found(mut records) => {
            records.sort();
            records.dedup();
            records.truncate(MOST_RECORDS);
            Lookup::Found(vec![TlsaSet { base, owner, records }])
        }
        Lookup::Missing(absence) => Lookup::Missing(absence),
        Lookup::Failed(failure) => Lookup::Failed(failure),
    }
}

/// The finding about records of which none matches what a host shows at an address, its own certificate first.
pub(crate) fn mismatch(owner: &str, host: &str, address: IpAddr, said: &[Match], leaf: Option<&CertificateDer<'_>>) -> Remark {
    let why = said.iter().find_map(|said| match said {
        Match::No(Some(why)) => Some(format!(": {why}")),
        _ => None,
    });
    let seen = format!("No TLSA record of {owner} matches the certificate that {host} shows at {address}{}", why.unwrap_or_default());
    let found = remark("dane.mismatch", owner, seen);
    match leaf.and_then(|leaf| record_for(leaf, 3)) {
        Some(record) => found
            .fix("Publish this record of the certificate shown now, keep it beside the old one for two TTLs, then remove what matches nothing. Before the next change publish the new record first.")
            .record("TLSA", owner, record),
        None => found,
    }
}
