//! One zone as text: its records, and the file made of them.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::dnssec::{Key, Signing};
use crate::layout::{LAB_DOMAIN, Layout};

/// What the resolver meets when it asks for a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoneFault {
    /// The zone's own name server.
    #[default]
    None,
    /// A name server that answers SERVFAIL.
    Servfail,
    /// A name server that says nothing.
    Timeout,
    /// A name server that refuses.
    Refused,
}

/// A zone of the authoritative server.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    /// Records in the notation of zone files, without SOA and NS of the apex.
    pub records: Vec<String>,
    /// The serial number of the SOA record.
    pub serial: u32,
    /// What the resolver meets.
    pub fault: ZoneFault,
    /// How it is signed, if it is.
    pub signing: Option<Signing>,
    /// The key it is signed with.
    pub key: Option<Key>,
}

/// A change of a zone's records.
#[derive(Debug, Clone)]
pub enum Change {
    /// Make these all of its records; a zone that is not there is made.
    Replace(Vec<String>),
    /// Add records.
    Add(Vec<String>),
    /// Remove the records of a name, of a type and with a text in them, as far as given.
    Remove {
        /// The name as written in the record: `@` is the zone itself.
        name: String,
        /// The type.
        kind: Option<String>,
        /// A part of the record.
        contains: Option<String>,
    },
    /// Sign the zone, and put its key's DS record into the zone above.
    Sign(Signing),
    /// Remove the zone.
    Drop,
}

impl Zone {
    /// Carries a change out. Returns how many records it touched.
    pub fn change(&mut self, change: &Change) -> usize {
        let before = self.records.len();
        match change {
            Change::Replace(records) => {
                self.records.clone_from(records);
                self.records.len()
            }
            Change::Add(records) => {
                self.records.extend_from_slice(records);
                records.len()
            }
            Change::Remove { name, kind, contains } => {
                self.records.retain(|record| !matches(record, name, kind.as_deref(), contains.as_deref()));
                before - self.records.len()
            }
            Change::Sign(signing) => {
                self.signing = Some(*signing);
                before
            }
            Change::Drop => before,
        }
    }

    /// The zone file before it is signed. TTLs are one second, so that an edit shows at once. Of each child: its name and DS record.
    pub fn file(&self, layout: &Layout, name: &str, children: &[(String, Option<String>)]) -> String {
        let origin = if name == "." { ".".to_owned() } else { format!("{name}.") };
        let ns = format!("ns.{LAB_DOMAIN}.");
        let mut text = format!("$ORIGIN {origin}\n$TTL 1\n@ IN SOA {ns} hostmaster.{LAB_DOMAIN}. {} 60 30 600 1\n@ IN NS {ns}\n", self.serial);
        if name == "." || name == LAB_DOMAIN {
            push(&mut text, &format!("{ns} IN A {}", layout.authority().ip()));
        }
        for (child, ds) in children {
            push(&mut text, &format!("{child}. IN NS {ns}"));
            if let Some(ds) = ds {
                push(&mut text, ds);
            }
        }
        for record in &self.records {
            push(&mut text, record);
        }
        text
    }
}

fn push(text: &mut String, line: &str) {
    // Writing to a String can not fail.
    if writeln!(text, "{line}").is_err() {
        tracing::error!(line, "a zone line was lost");
    }
}

fn matches(record: &str, name: &str, kind: Option<&str>, contains: Option<&str>) -> bool {
    let mut words = record.split_whitespace();
    let same_name = words.next().is_some_and(|word| word.eq_ignore_ascii_case(name));
    let type_word = words.find(|word| !word.eq_ignore_ascii_case("IN") && !word.bytes().all(|b| b.is_ascii_digit()));
    same_name
        && kind.is_none_or(|kind| type_word.is_some_and(|word| word.eq_ignore_ascii_case(kind)))
        && contains.is_none_or(|part| record.contains(part) || record.replace("\" \"", "").contains(part))
}

/// The closest zone above a name.
pub fn parent_of<'a>(name: &str, zones: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    zones.filter(|zone| zone.as_str() != name && (zone.as_str() == "." || name.ends_with(&format!(".{zone}")))).max_by_key(|zone| zone.len())
}

/// A TXT record's data: quoted strings of at most 255 bytes each (RFC 1035 section 3.3.14).
pub fn txt(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    bytes.chunks(250).map(|part| format!("\"{}\"", part.iter().collect::<String>())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_minds_name_type_and_text() {
        let mut zone =
            Zone { records: vec!["@ 1 IN MX 10 mx".into(), "@ TXT \"v=spf1 -all\"".into(), "@ IN TXT \"other\"".into()], ..Zone::default() };
        let spf = Change::Remove { name: "@".into(), kind: Some("TXT".into()), contains: Some("v=spf1".into()) };
        assert_eq!(zone.change(&spf), 1);
        assert_eq!(zone.records, ["@ 1 IN MX 10 mx", "@ IN TXT \"other\""]);
        assert_eq!(zone.change(&Change::Remove { name: "@".into(), kind: None, contains: None }), 2);
    }

    #[test]
    fn the_parent_is_the_closest_zone() {
        let zones = [".".to_owned(), "lab.test".to_owned(), "a.lab.test".to_owned()];
        assert_eq!(parent_of("b.a.lab.test", zones.iter()).unwrap(), "a.lab.test");
        assert_eq!(parent_of("xlab.test", zones.iter()).unwrap(), ".");
        assert_eq!(parent_of(".", zones.iter()), None);
    }
}
