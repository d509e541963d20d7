//! Leases: a domain, a mail host and an address of one's own, healthy until told otherwise.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::dnssec::Signing;
use crate::error::LabError;
use crate::layout::{DNSSEC_DOMAIN, LAB_DOMAIN, Layout, domain};
use crate::policy::Policy;
use crate::process::run;
use crate::world::World;
use crate::zone::{Change, txt};

/// The networks of hosts that are apart begin behind this one, where none of the others are.
const FIRST_APART: u8 = 202;
const APART: u8 = 50;

/// What to lease: the body of `POST /leases`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// A label for `<label>.lab.test`; one that nobody has when absent or taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A whole domain instead, with Unicode labels if wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Make it `<label>.dnssec.test`, signed like this; its host's zone is always signed well and has a TLSA record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnssec: Option<Signing>,
    /// Put its host into a network (/24) where no other host is; 50 of these are there.
    #[serde(default)]
    pub apart: bool,
    /// The size of its DKIM key in bits; 2048 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dkim_bits: Option<u16>,
}

/// What was leased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The domain, in A-labels.
    pub domain: String,
    /// Its one MX host.
    pub mx_host: String,
    /// The host's address.
    pub address: Ipv4Addr,
    /// The zone that holds its records.
    pub zone: String,
    /// The PEM file with the private key of the DKIM selector `default`.
    pub dkim_key_file: String,
}

/// All leases, by domain.
#[derive(Debug, Default)]
pub struct Leases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    count: u16,
    apart: u8,
    leases: BTreeMap<String, Lease>,
}

impl Leases {
    /// Makes a domain with healthy records and a host with open ports.
    pub async fn take(&self, world: &World, request: &LeaseRequest) -> Result<Lease, LabError> {
        let lease = self.reserve(&world.layout, request).await?;
        match build(world, &lease, request).await {
            Ok(()) => Ok(lease),
            Err(error) => {
                self.0.lock().await.leases.remove(&lease.domain);
                world.hosts.remove(lease.address).await;
                Err(error)
            }
        }
    }

    /// Gives a lease back: its zone, host and policy go.
    pub async fn give_back(&self, world: &World, name: &str) -> Result<(), LabError> {
        let lease = self.0.lock().await.leases.remove(name).ok_or_else(|| LabError::NotFound(format!("lease of {name}")))?;
        world.hosts.remove(lease.address).await;
        world.policies.remove(&lease.domain);
        let (host, home) = lease.host_and_home();
        let remove = |name: String| Change::Remove { name, kind: None, contains: None };
        let changes = [
            (lease.zone.clone(), Change::Drop),
            (home.to_owned(), remove(host.to_owned())),
            (home.to_owned(), remove(tlsa_owner(host))),
            (world.layout.reverse_zone(), remove(reverse(lease.address))),
        ];
        world.dns.commit(&changes).await.map(drop)
    }

    /// All leases.
    pub async fn snapshot(&self) -> Vec<Lease> {
        self.0.lock().await.leases.values().cloned().collect()
    }

    async fn reserve(&self, layout: &Layout, request: &LeaseRequest) -> Result<Lease, LabError> {
        let home = if request.dnssec.is_some() { DNSSEC_DOMAIN } else { LAB_DOMAIN };
        let mut state = self.0.lock().await;
        if state.count >= 50_000 {
            return Err(LabError::Invalid("this lab has leased all of its addresses".to_owned()));
        }
        state.count += 1;
        let count = state.count;
        let (label, domain) = match (&request.domain, &request.name) {
            (Some(wanted), _) => {
                let name = domain(wanted)?;
                if request.dnssec.is_some() {
                    return Err(LabError::Invalid(format!("signed domains are leased by name: they are below {DNSSEC_DOMAIN}")));
                }
                if state.leases.contains_key(&name) {
                    return Err(LabError::Invalid(format!("{name} is leased already")));
                }
                (format!("custom{count}"), name)
            }
            (None, wanted) => {
                let label = label(wanted.as_deref().unwrap_or_default(), count);
                let free = |label: &str| !state.leases.contains_key(&format!("{label}.{home}"));
                let label = if free(&label) { label } else { format!("{label}-{count}") };
                let name = format!("{label}.{home}");
                (label, name)
            }
        };
        let address = if request.apart {
            if state.apart >= APART {
                return Err(LabError::Invalid(format!("this lab has {APART} networks apart, and all are leased")));
            }
            state.apart += 1;
            layout.address(FIRST_APART + state.apart, 1)
        } else {
            layout.address(u8::try_from(1 + count / 250).unwrap_or(u8::MAX), u8::try_from(1 + count % 250).unwrap_or(u8::MAX))
        };
        let lease = Lease {
            mx_host: format!("mx-{label}.{home}"),
            address,
            zone: domain.clone(),
            dkim_key_file: layout.text(&format!("dkim-{count}.pem")),
            domain,
        };
        state.leases.insert(lease.domain.clone(), lease.clone());
        Ok(lease)
    }
}

impl Lease {
    /// The first label of the host's name and the zone it is in.
    fn host_and_home(&self) -> (&str, &str) {
        self.mx_host.split_once('.').unwrap_or((&self.mx_host, LAB_DOMAIN))
    }
}

/// Where the TLSA records of a host's port 25 are (RFC 7672 2.2.3), inside the host's zone.
fn tlsa_owner(host: &str) -> String {
    format!("_25._tcp.{host}")
}

fn label(wanted: &str, count: u16) -> String {
    let plain: String = wanted.to_ascii_lowercase().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    let plain = plain.trim_matches('-');
    let taken = ["ns", "mail", "sink", "control", "slack"].contains(&plain) || plain.starts_with("mx-");
    if plain.is_empty() || taken { format!("t{count}") } else { plain.to_owned() }
}

fn reverse(address: Ipv4Addr) -> String {
    let [_, _, third, fourth] = address.octets();
    format!("{fourth}.{third}")
}

async fn build(world: &World, lease: &Lease, request: &LeaseRequest) -> Result<(), LabError> {
    let public = dkim_key(&lease.dkim_key_file, request.dkim_bits.unwrap_or(2048)).await?;
    world.hosts.add(lease.address, &lease.mx_host).await?;
    world.policies.set(&lease.domain, Policy::enforce(&lease.mx_host));
    let Lease { domain, mx_host, address, .. } = lease;
    let (host, home) = lease.host_and_home();
    let records = vec![
        format!("@ 1 IN MX 10 {mx_host}."),
        format!("@ 1 IN A {address}"),
        "@ 1 IN TXT \"v=spf1 mx -all\"".to_owned(),
        format!("_dmarc 1 IN TXT {}", txt(&format!("v=DMARC1; p=reject; rua=mailto:dmarc@{domain}"))),
        format!("default._domainkey 1 IN TXT {}", txt(&format!("v=DKIM1; k=rsa; p={public}"))),
        format!("_smtp._tls 1 IN TXT {}", txt(&format!("v=TLSRPTv1; rua=mailto:tls@{domain}"))),
        "_mta-sts 1 IN TXT \"v=STSv1; id=20260101000000\"".to_owned(),
        format!("mta-sts 1 IN A {}", world.layout.policy().ip()),
    ];
    let mut changes = vec![
        (lease.zone.clone(), Change::Replace(records)),
        (home.to_owned(), Change::Add(vec![format!("{host} 1 IN A {address}"), format!("{host} 1 IN TXT \"v=spf1 a -all\"")])),
        (world.layout.reverse_zone(), Change::Add(vec![format!("{} 1 IN PTR {mx_host}.", reverse(*address))])),
    ];
    if let Some(signing) = request.dnssec {
        changes.push((lease.zone.clone(), Change::Sign(signing)));
        changes.push((home.to_owned(), Change::Add(vec![format!("{} 1 IN TLSA {}", tlsa_owner(host), world.pin)])));
    }
    world.dns.commit(&changes).await.map(drop)
}

/// Makes a key pair with openssl: it makes 1024 bits too, which good libraries refuse. Returns the public key as in the record.
async fn dkim_key(file: &str, bits: u16) -> Result<String, LabError> {
    if !(512..=4096).contains(&bits) {
        return Err(LabError::Invalid("a DKIM key has 512 to 4096 bits here".to_owned()));
    }
    run("openssl", &["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}"), "-out", file], None).await?;
    let pem = run("openssl", &["pkey", "-in", file, "-pubout"], None).await?;
    Ok(pem.lines().filter(|line| !line.starts_with('-')).collect())
}
