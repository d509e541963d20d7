//! Signed zones: a key for each, made and used by the tools of ldns, and the ways in which a signature can be wrong.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::layout::{Layout, mkdir, write};
use crate::process::run;

const DAY: Duration = Duration::from_secs(86_400);
/// ECDSA P-256 with SHA-256 (RFC 6605): small answers.
const ALGORITHM: &str = "ECDSAP256SHA256";

/// How a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// As it should be.
    Valid,
    /// By signatures that do not fit the records.
    Bogus,
    /// By signatures that ended three days ago: more than clocks may differ.
    Expired,
}

/// The one key of a zone.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its files without their endings.
    base: String,
    /// The DS record for the zone above.
    pub ds: String,
}

impl Key {
    /// The file with the DNSKEY record: what a resolver takes as trust anchor.
    pub fn public_file(&self) -> String {
        format!("{}.key", self.base)
    }
}

/// Makes a key for a zone.
pub async fn make_key(layout: &Layout, zone: &str) -> Result<Key, LabError> {
    let dir = layout.path("keys");
    mkdir(&dir)?;
    let script = "cd \"$1\" && exec ldns-keygen -a \"$2\" -k -r /dev/urandom \"$3\"";
    let name = run("sh", &["-c", script, "sh", &dir.display().to_string(), ALGORITHM, zone], None).await?;
    let base = dir.join(name.trim()).display().to_string();
    let file = format!("{base}.ds");
    let ds = std::fs::read_to_string(&file).map_err(LabError::io(file))?;
    Ok(Key { base, ds: ds.trim().to_owned() })
}

/// Writes the zone file, signed.
pub async fn write_signed(file: &Path, text: &str, key: &Key, signing: Signing) -> Result<(), LabError> {
    let (plain, signed) = (file.with_extension("plain"), file.display().to_string());
    write(&plain, text)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (from, to) = if signing == Signing::Expired {
        (now.saturating_sub(DAY * 30), now.saturating_sub(DAY * 3))
    } else {
        (now.saturating_sub(DAY), now + DAY * 30)
    };
    let (from, to) = (from.as_secs().to_string(), to.as_secs().to_string());
    run("ldns-signzone", &["-i", &from, "-e", &to, "-f", &signed, &plain.display().to_string(), &key.base], None).await?;
    if signing == Signing::Bogus {
        let text = std::fs::read_to_string(file).map_err(LabError::io(signed))?;
        write(file, &text.lines().map(spoilt).collect::<String>())?;
    }
    Ok(())
}

/// A line of the zone file; a signature changed in its first letter. The DNSKEY record's own stays, so that the key itself is found good.
fn spoilt(line: &str) -> String {
    if !line.contains("\tRRSIG\t") || line.contains("\tRRSIG\tDNSKEY ") {
        return format!("{line}\n");
    }
    match line.rsplit_once(' ') {
        Some((head, signature)) => {
            format!("{head} {}{}\n", if signature.starts_with('A') { 'B' } else { 'A' }, signature.get(1..).unwrap_or_default())
        }
        None => format!("{line}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signatures_of_records_are_spoilt() {
        assert_eq!(spoilt("a.\t1\tIN\tRRSIG\tA 13 2 1 0 0 1 a. xTBD=="), "a.\t1\tIN\tRRSIG\tA 13 2 1 0 0 1 a. ATBD==\n");
        for same in ["a.\t1\tIN\tA\t192.0.2.1", "a.\t1\tIN\tRRSIG\tDNSKEY 13 2 1 0 0 1 a. xTBD=="] {
            assert_eq!(spoilt(same), format!("{same}\n"));
        }
    }
}
