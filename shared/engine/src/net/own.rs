//! The addresses of this machine itself. A public one is as much our own network as loopback: behind it listen services that trust the machine.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ipnet::{IpNet, Ipv4Net};

/// Read again after this long: addresses come and go while a process runs.
const FRESH: Duration = Duration::from_secs(60);

/// The addresses that the kernel delivers here, as last read.
#[derive(Debug)]
pub(super) struct Own {
    read: fn() -> io::Result<Vec<IpNet>>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    read_at: Option<Instant>,
    networks: Vec<IpNet>,
}

impl Default for Own {
    fn default() -> Self {
        Self::read_by(read_proc)
    }
}

impl Own {
    /// With this source instead of the kernel's tables.
    pub fn read_by(read: fn() -> io::Result<Vec<IpNet>>) -> Self {
        Self { read, known: Mutex::default() }
    }

    /// Whether a connection to this address would end on this machine.
    pub fn has(&self, address: IpAddr) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.read_at.is_none_or(|at| at.elapsed() >= FRESH) {
            match (self.read)() {
                Ok(networks) => known.networks = networks,
                // What was known stays: an address too many is better refused than one too few let through.
                Err(error) => tracing::warn!(%error, "the addresses of this machine could not be read"),
            }
            known.read_at = Some(Instant::now());
        }
        known.networks.iter().any(|network| network.contains(&address))
    }
}

/// Reads Linux's tables; a table that does not exist (no IPv6, another system) names no address.
fn read_proc() -> io::Result<Vec<IpNet>> {
    let table = |path: &str| match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    };
    let mut networks = local_v4(&table("/proc/net/fib_trie")?);
    networks.extend(local_v6(&table("/proc/net/if_inet6")?));
    Ok(networks)
}

/// Local entries of `/proc/net/fib_trie`: a line `|-- 192.0.2.2`, and below it `/32 host LOCAL`. A shorter prefix is a whole local route.
fn local_v4(table: &str) -> Vec<IpNet> {
    let mut networks = Vec::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            // What is no address (the kernel may write what we do not know) is no leaf, and what stands below it is passed over.
            leaf = address.parse().ok();
        } else if let (Some(address), Some((prefix, "host LOCAL"))) = (leaf, line.strip_prefix('/').and_then(|rest| rest.split_once(' '))) {
            let network = prefix.parse().ok().and_then(|length| Ipv4Net::new(address, length).ok()).map(IpNet::from);
            networks.extend(network.filter(|network| !networks.contains(network)));
        }
    }
    networks
}

/// Addresses of `/proc/net/if_inet6`: 32 hexadecimal digits at the start of each line.
fn local_v6(table: &str) -> impl Iterator<Item = IpNet> {
    table
        .lines()
        .filter_map(|line| u128::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok())
        .map(|bits| IpNet::from(IpAddr::V6(Ipv6Addr::from(bits))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 203.0.113.0/24 2 0 2\n        |-- 203.0.113.0\n           \
        /24 link UNICAST\n        |-- 203.0.113.9\n           /32 host LOCAL\n        |-- 203.0.113.255\n           /32 link BROADCAST\nLocal:\n     \
        |-- 203.0.113.9\n        /32 host LOCAL\n     |-- 198.51.100.0\n        /24 host LOCAL\n     |-- broken\n        /32 host LOCAL\n";

    #[test]
    fn local_entries_are_told_from_routes_and_broadcast() {
        assert_eq!(local_v4(FIB), ["203.0.113.9/32".parse::<IpNet>().unwrap(), "198.51.100.0/24".parse().unwrap()]);
        assert!(local_v4("").is_empty());
    }

    #[test]
    fn interfaces_are_read() {
        let table = "20010db8000000000000000000000007 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n";
        let wanted: [IpNet; 2] = ["2001:db8::7/128".parse().unwrap(), "::1/128".parse().unwrap()];
        assert_eq!(local_v6(table).collect::<Vec<_>>(), wanted);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_knows_its_loopback() {
        let own = Own::default();
        assert!(own.has("127.0.0.1".parse().unwrap()) && !own.has("8.8.8.8".parse().unwrap()));
    }

    #[test]
    fn an_unreadable_table_refuses_nothing_new() {
        let own = Own::read_by(|| Err(io::ErrorKind::PermissionDenied.into()));
        assert!(!own.has("203.0.113.9".parse().unwrap()));
    }
}
