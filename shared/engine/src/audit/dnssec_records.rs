//! DNSSEC records off the wire (RFC 4034): keys with their tags, what a DS names, and how long signatures last. Nothing here is verified:
//! that is what validating resolvers are for.

use chrono::{DateTime, Utc};
use hickory_proto::{
    rr::{Record, RecordType},
    serialize::binary::BinEncodable,
};
use sha2::{Digest, Sha256, Sha384};

/// Secure entry point: a key that a DS is meant to name (RFC 4034 2.1.1).
const SECURE_ENTRY_POINT: u16 = 0x0001;

/// A DNSKEY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub flags: u16,
    pub algorithm: u8,
    pub tag: u16,
    wire: Vec<u8>,
}

/// A DS in the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    pub tag: u16,
    pub algorithm: u8,
    pub digest_type: u8,
    pub digest: Vec<u8>,
}

/// An RRSIG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signature {
    /// The record type it signs.
    pub covered: u16,
    pub inception: DateTime<Utc>,
    pub expiration: DateTime<Utc>,
    /// Tag of the key that made it.
    pub tag: u16,
}

/// What a DS says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Yes,
    No,
    /// Its digest type is not known here.
    Unknown,
}

impl Key {
    fn read(wire: Vec<u8>) -> Option<Self> {
        let ([high, low, _protocol, algorithm], _) = wire.split_first_chunk::<4>()?;
        Some(Self { flags: u16::from_be_bytes([*high, *low]), algorithm: *algorithm, tag: tag(&wire), wire })
    }

    pub fn is_entry_point(&self) -> bool {
        self.flags & SECURE_ENTRY_POINT != 0
    }

    /// The DS by SHA-256 that belongs into the parent of `zone`.
    pub fn ds(&self, zone: &str) -> String {
        format!("{} {} 2 {:x}", self.tag, self.algorithm, Sha256::digest(self.named(zone)))
    }

    /// What a DS digests: owner and key (RFC 4034 5.1.4).
    fn named(&self, zone: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(zone.len() + 2 + self.wire.len());
        for label in zone.split('.').filter(|label| !label.is_empty()) {
            bytes.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
            bytes.extend(label.to_ascii_lowercase().as_bytes());
        }
        bytes.push(0);
        bytes.extend(&self.wire);
        bytes
    }
}

impl Signer {
    fn read(wire: &[u8]) -> Option<Self> {
        let ([high, low, algorithm, digest_type], digest) = wire.split_first_chunk::<4>()?;
        Some(Self { tag: u16::from_be_bytes([*high, *low]), algorithm: *algorithm, digest_type: *digest_type, digest: digest.to_vec() })
    }

    /// Whether it names a key of the zone.
    pub fn names(&self, key: &Key, zone: &str) -> Names {
        if self.tag != key.tag || self.algorithm != key.algorithm {
            return Names::No;
        }
        let same = match self.digest_type {
            2 => Sha256::digest(key.named(zone))[..] == self.digest[..],
            4 => Sha384::digest(key.named(zone))[..] == self.digest[..],
            // SHA-1 is not computed any more: tag and algorithm have to do.
            1 => true,
            _ => return Names::Unknown,
        };
        if same { Names::Yes } else { Names::No }
    }
}

/// The keys of an answer.
pub(super) fn keys(answers: &[Record]) -> Vec<Key> {
    wires(answers, RecordType::DNSKEY).filter_map(Key::read).collect()
}

/// The DS of a name in an answer, without those of what it may be an alias of.
pub(super) fn signers(answers: &[Record], name: &str) -> Vec<Signer> {
    let own: Vec<Record> = answers.iter().filter(|record| owner(record) == name).cloned().collect();
    wires(&own, RecordType::DS).filter_map(|wire| Signer::read(&wire)).collect()
}

fn owner(record: &Record) -> String {
    record.name.iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect::<Vec<_>>().join(".")
}

/// The signatures of an answer over one type.
pub(super) fn signatures(answers: &[Record], covered: RecordType) -> Vec<Signature> {
    let wanted = u16::from(covered);
    wires(answers, RecordType::RRSIG).filter_map(|wire| signature(&wire)).filter(|signature| signature.covered == wanted).collect()
}

fn wires(answers: &[Record], kind: RecordType) -> impl Iterator<Item = Vec<u8>> {
    // Read from the wire form: which type carries it depends on features of the whole build.
    answers.iter().filter(move |record| record.record_type() == kind).filter_map(|record| record.data.to_bytes().ok())
}

fn signature(wire: &[u8]) -> Option<Signature> {
    let fixed = wire.first_chunk::<18>()?;
    let time = |at: usize| DateTime::from_timestamp(i64::from(u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])), 0);
    Some(Signature {
        covered: u16::from_be_bytes([fixed[0], fixed[1]]),
        expiration: time(8)?,
        inception: time(12)?,
        tag: u16::from_be_bytes([fixed[16], fixed[17]]),
    })
}

/// RFC 4034 B.
fn tag(wire: &[u8]) -> u16 {
    let sum: u32 =
        wire.iter().enumerate().map(|(at, byte)| if at % 2 == 0 { u32::from(*byte) << 8 } else { u32::from(*byte) }).fold(0, u32::wrapping_add);
    let folded = (sum + (sum >> 16 & 0xffff)) & 0xffff;
    u16::try_from(folded).unwrap_or(0)
}

/// An algorithm by its number (RFC 9904), for people.
pub(super) fn algorithm(number: u8) -> String {
    let name = match number {
        1 => "RSAMD5",
        3 => "DSA",
        5 => "RSASHA1",
        6 => "DSA-NSEC3-SHA1",
        7 => "RSASHA1-NSEC3-SHA1",
        8 => "RSASHA256",
        10 => "RSASHA512",
        12 => "ECC-GOST",
        13 => "ECDSAP256SHA256",
        14 => "ECDSAP384SHA384",
        15 => "ED25519",
        16 => "ED448",
        other => return format!("algorithm {other}"),
    };
    format!("{name} ({number})")
}

/// Algorithms that validators no longer have to take: they are broken, or rest on SHA-1 (RFC 9904, 9905).
pub(super) const fn is_weak(algorithm: u8) -> bool {
    matches!(algorithm, 1 | 3 | 5 | 6 | 7 | 12)
}

#[cfg(test)]
pub(super) mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;

    /// A key that nobody holds, and the DS that names it.
    pub(crate) fn key_and_ds(zone: &str) -> (String, String) {
        let wire = [&[1, 1, 3, 13][..], &[7; 64]].concat();
        let key = Key::read(wire.clone()).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let ds = [&key.tag.to_be_bytes()[..], &[13, 2], &Sha256::digest(key.named(zone))[..]].concat();
        (hex(&wire), hex(&ds))
    }

    /// A signature over a type, from and until some hours from now.
    pub(crate) fn rrsig(covered: RecordType, from: i64, until: i64) -> String {
        let time = |hours: i64| u32::try_from((Utc::now() + chrono::Duration::hours(hours)).timestamp()).unwrap();
        format!("{:04x}0d0200000e10{:08x}{:08x}000000ffff", u16::from(covered), time(until), time(from))
    }

    #[test]
    fn the_example_of_the_standard() {
        // RFC 4034 5.4: the key of dskey.example.com. and its DS by SHA-1, tag 60485.
        let text = "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==";
        let key = Key::read([&[1, 0, 3, 5][..], &STANDARD.decode(text).unwrap()].concat()).unwrap();
        assert_eq!((key.tag, key.algorithm, key.is_entry_point()), (60_485, 5, false));
        // RFC 4509 2.3: the same by SHA-256.
        assert_eq!(key.ds("dskey.example.com"), "60485 5 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a");
        assert_eq!(key.ds("DSKEY.example.com."), key.ds("dskey.example.com"));
    }

    #[test]
    fn a_ds_names_one_key_of_one_zone() {
        let unhex = |hex: String| (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect::<Vec<u8>>();
        let (key, ds) = key_and_ds("e.example");
        let (key, ds) = (Key::read(unhex(key)).unwrap(), Signer::read(&unhex(ds)).unwrap());
        assert_eq!((ds.names(&key, "e.example"), ds.names(&key, "x.example")), (Names::Yes, Names::No));
        assert_eq!(Signer { tag: ds.tag ^ 1, ..ds.clone() }.names(&key, "e.example"), Names::No);
        assert_eq!(Signer { digest_type: 99, ..ds }.names(&key, "e.example"), Names::Unknown);
    }

    proptest! {
        #[test]
        fn nothing_panics(wire in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _: Option<_> = (Key::read(wire.clone()).map(|key| key.ds("a.example")), Signer::read(&wire), signature(&wire)).0;
        }
    }
}
