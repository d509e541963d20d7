//! Where things are: the addresses of a slot and the directory of a lab.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::LabError;

/// The name under which everything of the lab itself lives.
pub const LAB_DOMAIN: &str = "lab.test";
/// The zone below which zones can be signed. Only it and the root are signed from the start.
pub const DNSSEC_DOMAIN: &str = "dnssec.test";
/// The host name Postfix gives itself.
pub const BACKEND_NAME: &str = "mail.lab.test";

/// The addresses and paths of one lab.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The second octet of all addresses.
    pub slot: u8,
    /// The directory with all configuration, data and logs.
    pub dir: PathBuf,
}

impl Layout {
    /// An address of this slot.
    pub const fn address(&self, third: u8, fourth: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.slot, third, fourth)
    }

    const fn socket(&self, fourth: u8, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address(0, fourth)), port)
    }

    /// The control interface.
    pub const fn control(&self) -> SocketAddr {
        self.socket(1, 8000)
    }
    /// Postfix.
    pub const fn postfix(&self) -> Ipv4Addr {
        self.address(0, 25)
    }
    /// A mailbox server.
    pub const fn mailbox(&self, fourth: u8) -> Ipv4Addr {
        self.address(0, fourth)
    }
    /// The greylister that Postfix asks.
    pub const fn greylist(&self) -> SocketAddr {
        self.socket(26, 10_023)
    }
    /// The mail sink.
    pub const fn sink(&self) -> SocketAddr {
        self.socket(30, 25)
    }
    /// The recursive resolver.
    pub const fn resolver(&self) -> SocketAddr {
        self.socket(53, 53)
    }
    /// The authoritative server.
    pub const fn authority(&self) -> SocketAddr {
        self.socket(54, 53)
    }
    /// The block lists.
    pub const fn rbl(&self) -> SocketAddr {
        self.socket(55, 53)
    }
    /// The name server that answers SERVFAIL.
    pub const fn dns_servfail(&self) -> SocketAddr {
        self.socket(56, 53)
    }
    /// The name server that answers nothing.
    pub const fn dns_silent(&self) -> SocketAddr {
        self.socket(57, 53)
    }
    /// The name server that answers REFUSED.
    pub const fn dns_refused(&self) -> SocketAddr {
        self.socket(58, 53)
    }
    /// The name server that has every zone, a version too old.
    pub const fn dns_stale(&self) -> SocketAddr {
        self.socket(59, 53)
    }
    /// The HTTPS host of MTA-STS policies.
    pub const fn policy(&self) -> SocketAddr {
        self.socket(80, 443)
    }
    /// The Slack workspace.
    pub const fn slack(&self) -> SocketAddr {
        self.socket(81, 443)
    }
    /// The reverse zone of the slot.
    pub fn reverse_zone(&self) -> String {
        format!("{}.127.in-addr.arpa", self.slot)
    }
    /// A path inside the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
    /// A path inside the directory, for a configuration file.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Makes the directory anew. A directory that we did not make is refused.
    pub fn create(&self) -> Result<(), LabError> {
        if let Ok(meta) = fs::symlink_metadata(&self.dir) {
            let empty = meta.is_dir() && fs::read_dir(&self.dir).is_ok_and(|mut entries| entries.next().is_none());
            let ours = meta.is_dir() && meta.uid() == 0 && self.marker().is_file();
            if !ours && !empty {
                return Err(LabError::Invalid(format!("{} is there already and is not a lab's directory", self.dir.display())));
            }
            self.remove()?;
        }
        fs::create_dir_all(&self.dir).map_err(LabError::io(self.dir.display().to_string()))?;
        // Postfix gives up root and must still reach its queue.
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o755)).map_err(LabError::io("directory mode"))?;
        write(&self.marker(), "A Waypost lab keeps its files here and removes them when it stops.\n")
    }

    /// Removes the directory.
    pub fn remove(&self) -> Result<(), LabError> {
        fs::remove_dir_all(&self.dir).map_err(LabError::io(format!("removing {}", self.dir.display())))
    }

    fn marker(&self) -> PathBuf {
        self.path("WAYPOST-LAB")
    }
}

/// Writes a file, naming it when that fails.
pub fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::io(path.display().to_string()))
}

/// Makes a directory, naming it when that fails.
pub fn mkdir(path: &Path) -> Result<(), LabError> {
    fs::create_dir_all(path).map_err(LabError::io(path.display().to_string()))
}

/// Lower case, no final dot, A-labels.
pub fn domain(name: &str) -> Result<String, LabError> {
    let trimmed = name.trim().trim_end_matches('.');
    if trimmed.is_empty() {
        return Err(LabError::Invalid("a domain name is needed".to_owned()));
    }
    let ascii = if trimmed.is_ascii() { trimmed.to_ascii_lowercase() } else { idna::domain_to_ascii(trimmed).map_err(|_| bad_name(name))? };
    let fine = ascii.len() <= 253
        && ascii.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    // A zone's name becomes a file's name.
    if fine { Ok(ascii) } else { Err(bad_name(name)) }
}

fn bad_name(name: &str) -> LabError {
    LabError::Invalid(format!("{name:?} is not a domain name"))
}
