//! The mail hosts of leases: an address with three ports each, every port with a switch.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::certs::Authority;
use crate::error::LabError;
use crate::faults::{Fault, FaultSetting, Service};
use crate::layout::Layout;
use crate::postfix::{BARE_LF, GREYLISTING, LATE_REFUSAL, OLD_TLS, OTHER_PASSWORD, RSA_ONLY};

/// The ports of a host.
pub const PORTS: [u16; 3] = [25, 465, 587];
/// No connection lasts longer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(300);
const MAX_HOSTS: usize = 10_000;

/// A host and what its ports do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostState {
    /// Its public name.
    pub name: String,
    /// The setting of each port.
    pub ports: BTreeMap<u16, FaultSetting>,
}

/// All hosts.
#[derive(Debug)]
pub struct Hosts {
    layout: Layout,
    authority: Arc<Authority>,
    by_address: Mutex<BTreeMap<Ipv4Addr, Host>>,
}

#[derive(Debug)]
struct Host {
    name: String,
    ports: BTreeMap<u16, Port>,
}

#[derive(Debug)]
struct Port {
    setting: FaultSetting,
    task: Option<JoinHandle<()>>,
}

impl Hosts {
    /// No hosts yet.
    pub fn new(layout: &Layout, authority: Arc<Authority>) -> Self {
        Self { layout: layout.clone(), authority, by_address: Mutex::default() }
    }

    /// Opens the ports of a new host.
    pub async fn add(&self, address: Ipv4Addr, name: &str) -> Result<(), LabError> {
        let mut hosts = self.by_address.lock().await;
        if hosts.len() >= MAX_HOSTS {
            return Err(LabError::Invalid(format!("a lab has {MAX_HOSTS} hosts at most")));
        }
        let mut host = Host { name: name.to_owned(), ports: BTreeMap::new() };
        for port in PORTS {
            let setting = FaultSetting::default();
            host.ports.insert(port, Port { setting, task: Some(self.open(address, name, port, setting).await?) });
        }
        hosts.insert(address, host);
        Ok(())
    }

    /// Closes the ports of a host.
    pub async fn remove(&self, address: Ipv4Addr) {
        if let Some(host) = self.by_address.lock().await.remove(&address) {
            for (_, port) in host.ports {
                close(port.task).await;
            }
        }
    }

    /// Sets what a port does. Connections that are there go on as they began.
    pub async fn set(&self, address: Ipv4Addr, port: u16, setting: FaultSetting) -> Result<(), LabError> {
        let mut hosts = self.by_address.lock().await;
        let host = hosts.get_mut(&address).ok_or_else(|| LabError::NotFound(format!("host {address}")))?;
        let Some(entry) = host.ports.get_mut(&port) else { return Err(LabError::NotFound(format!("port {port} at {address}"))) };
        close(entry.task.take()).await;
        entry.setting = setting;
        if setting.fault != Fault::Refuse {
            entry.task = Some(self.open(address, &host.name, port, setting).await?);
        }
        Ok(())
    }

    /// All hosts.
    pub async fn snapshot(&self) -> BTreeMap<Ipv4Addr, HostState> {
        let state =
            |host: &Host| HostState { name: host.name.clone(), ports: host.ports.iter().map(|(port, entry)| (*port, entry.setting)).collect() };
        self.by_address.lock().await.iter().map(|(address, host)| (*address, state(host))).collect()
    }

    async fn open(&self, address: Ipv4Addr, name: &str, port: u16, setting: FaultSetting) -> Result<JoinHandle<()>, LabError> {
        let beside = match setting.fault {
            Fault::OldTls => OLD_TLS,
            Fault::AuthRefused if port != 25 => OTHER_PASSWORD,
            Fault::RsaOnly => RSA_ONLY,
            Fault::Greylist if port == 25 => GREYLISTING,
            Fault::BareLf if port == 25 => BARE_LF,
            Fault::LateRefusal if port == 25 => LATE_REFUSAL,
            Fault::AuthRefused | Fault::Greylist | Fault::BareLf | Fault::LateRefusal => {
                return Err(LabError::Invalid(format!("port {port} has no such fault")));
            }
            _ => 0,
        };
        let backend = SocketAddr::new(IpAddr::V4(self.layout.postfix()), port + beside);
        let service = Arc::new(Service { name: name.to_owned(), implicit_tls: port == 465, backend, authority: Arc::clone(&self.authority) });
        let behaviour = Arc::new(service.behaviour(setting)?);
        let listener = bind(SocketAddr::new(IpAddr::V4(address), port)).await?;
        Ok(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (service, behaviour) = (Arc::clone(&service), Arc::clone(&behaviour));
                tokio::spawn(async move {
                    match tokio::time::timeout(CONNECTION_LIMIT, service.connection(stream, &behaviour)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::debug!(%error, port, "connection of a lab host"),
                        Err(_) => tracing::debug!(port, "connection of a lab host took too long"),
                    }
                });
            }
        }))
    }
}

/// Binds, and waits a moment where the port is still held: a program that is being started beside us keeps a copy of the closed listener
/// from its fork to its exec.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, LabError> {
    for _ in 0..100 {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => tokio::time::sleep(Duration::from_millis(50)).await,
            other => return other.map_err(LabError::io(format!("binding {address}"))),
        }
    }
    TcpListener::bind(address).await.map_err(LabError::io(format!("binding {address}")))
}

/// Ends a listener; its port is closed when this returns.
pub async fn close(task: Option<JoinHandle<()>>) {
    let Some(task) = task else { return };
    task.abort();
    if let Err(error) = task.await
        && !error.is_cancelled()
    {
        tracing::warn!(%error, "a listener of the lab failed");
    }
}
