//! All parts of a running lab, and the order in which they start.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::certs::Authority;
use crate::control;
use crate::demo;
use crate::dns::Dns;
use crate::dns_config;
use crate::dovecot;
use crate::error::LabError;
use crate::greylist;
use crate::hooks::Hooks;
use crate::hosts::Hosts;
use crate::layout::Layout;
use crate::leases::Leases;
use crate::policy::Policies;
use crate::postfix;
use crate::process::Children;
use crate::rbl::Rbl;
use crate::ready::Ready;
use crate::sink::Sink;
use crate::workspace::Workspace;

/// The parts.
#[derive(Debug)]
pub struct World {
    /// Addresses and paths.
    pub layout: Layout,
    /// Name server and resolver.
    pub dns: Dns,
    /// Block lists.
    pub rbl: Rbl,
    /// Mail hosts.
    pub hosts: Hosts,
    /// Mail that arrived.
    pub sink: Arc<Sink>,
    /// MTA-STS policies.
    pub policies: Arc<Policies>,
    /// The data of a TLSA record that pins Postfix's key.
    pub pin: String,
    /// Domains in use.
    pub leases: Leases,
    /// What was posted to webhooks, the Slack stand-in's among them.
    pub hooks: Arc<Hooks>,
    /// The workspace that apps are added to.
    pub workspace: Arc<Workspace>,
}

/// Takes the first free slot from 10 to 250, or the one wanted. Holding the control port is holding the slot.
pub async fn claim(wanted: Option<u8>) -> Result<(u8, TcpListener), LabError> {
    if let Some(slot) = wanted {
        if !(10..=250).contains(&slot) {
            return Err(LabError::Invalid("a slot is a number from 10 to 250".to_owned()));
        }
        return TcpListener::bind((Ipv4Addr::new(127, slot, 0, 1), 8000)).await.map(|held| (slot, held)).map_err(|_| LabError::SlotTaken(slot));
    }
    for slot in 10..=250 {
        if let Ok(held) = TcpListener::bind((Ipv4Addr::new(127, slot, 0, 1), 8000)).await {
            return Ok((slot, held));
        }
    }
    Err(LabError::NoSlot)
}

/// Starts everything. `children` are the programs: they end when the caller drops them.
pub async fn start(layout: &Layout, control: TcpListener, with_demo: bool, children: &mut Children) -> Result<Ready, LabError> {
    let authority = Arc::new(Authority::create(layout)?);
    let sink = Sink::start(layout).await?;
    dns_config::misbehaving(layout).await?;
    let rbl = Rbl::start(layout, children).await?;
    let dns = Dns::start(layout, children).await?;
    greylist::start(layout).await?;
    let pin = postfix::start(layout, &authority, children).await?;
    dovecot::start(layout, &authority, children).await?;
    let hooks = Arc::<Hooks>::default();
    let policies = Policies::start(layout, &authority, Arc::clone(&hooks)).await?;
    let workspace = Workspace::start(layout, &authority).await?;
    let hosts = Hosts::new(layout, authority);
    let world = Arc::new(World { layout: layout.clone(), dns, rbl, hosts, sink, policies, pin, leases: Leases::default(), hooks, workspace });
    let demo = if with_demo { Some(demo::create(&world).await?) } else { None };
    control::serve(control, &world);
    Ok(Ready::new(layout, demo))
}
