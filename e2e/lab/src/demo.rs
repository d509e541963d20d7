//! The demo organisation: one domain in order, one careless, one in trouble.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::faults::{Fault, FaultSetting};
use crate::leases::{Lease, LeaseRequest};
use crate::world::World;
use crate::zone::Change;

/// What the demo organisation watches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Demo {
    /// Domains to audit.
    pub domains: Vec<String>,
    /// Mail hosts to probe.
    pub servers: Vec<String>,
    /// Addresses to look up in block lists.
    pub addresses: Vec<String>,
    /// What happens while the organisation watches: an address is put on a list.
    pub event: Listing,
}

/// An address and the list it gets on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listing {
    /// Zone of the list.
    pub zone: String,
    /// The address.
    pub address: String,
}

/// Makes the three domains of the demo.
pub async fn create(world: &World) -> Result<Demo, LabError> {
    let acme = lease(world, "acme", 2048).await?;
    let globex = lease(world, "globex", 1024).await?;
    let initech = lease(world, "initech", 2048).await?;
    careless(world, &globex).await?;
    troubled(world, &initech).await?;
    // The first scan of an address is silent, so that a listing is news only when it comes while somebody watches.
    let event = Listing { zone: "bl.spamcop.net".to_owned(), address: initech.address.to_string() };
    let all = [acme, globex, initech];
    Ok(Demo {
        event,
        domains: all.iter().map(|lease| lease.domain.clone()).collect(),
        servers: all.iter().map(|lease| lease.mx_host.clone()).collect(),
        addresses: all.iter().map(|lease| lease.address).map(|address: Ipv4Addr| address.to_string()).collect(),
    })
}

async fn lease(world: &World, name: &str, bits: u16) -> Result<Lease, LabError> {
    world.leases.take(world, &LeaseRequest { name: Some(name.to_owned()), dkim_bits: Some(bits), ..LeaseRequest::default() }).await
}

/// p=none, a DKIM key of 1024 bits (made so), no TLS reports.
async fn careless(world: &World, lease: &Lease) -> Result<(), LabError> {
    let remove = |name: &str| (lease.zone.clone(), Change::Remove { name: name.to_owned(), kind: None, contains: None });
    let dmarc = format!("_dmarc 1 IN TXT \"v=DMARC1; p=none; rua=mailto:dmarc@{}\"", lease.domain);
    world.dns.commit(&[remove("_smtp._tls"), remove("_dmarc"), (lease.zone.clone(), Change::Add(vec![dmarc]))]).await.map(drop)
}

/// SPF with more than ten look-ups, an expired certificate.
async fn troubled(world: &World, lease: &Lease) -> Result<(), LabError> {
    let includes: String = (1..=12).map(|number| format!("include:spf{number}.{} ", lease.domain)).collect();
    let mut records = vec![format!("@ 1 IN TXT {}", crate::zone::txt(&format!("v=spf1 {includes}-all")))];
    records.extend((1..=12).map(|number| format!("spf{number} 1 IN TXT \"v=spf1 ip4:192.0.2.{number} -all\"")));
    let spf = Change::Remove { name: "@".to_owned(), kind: Some("TXT".to_owned()), contains: Some("v=spf1".to_owned()) };
    world.dns.commit(&[(lease.zone.clone(), spf), (lease.zone.clone(), Change::Add(records))]).await?;
    world.hosts.set(lease.address, 25, FaultSetting { fault: Fault::ExpiredCert, delay_ms: None }).await
}
