//! DNSSEC: whether the zone is signed, and whether a validating resolver takes it (RFC 4035, 9364).

use waypost_types::outcome::Status;

use super::{AuditOptions, Facts, Part, organisational, rules::remark};
use crate::net::{DnsFailure, Ds, Lookup, Net, QueryFlags, RecordType};

/// Labels above a name that are looked at.
const MOST_STEPS: usize = 8;
const NO_ERROR: u16 = 0;
const SERVFAIL: u16 = 2;

/// Whether a name lies in a signed zone.
pub(super) enum Signed {
    Yes(Vec<Ds>),
    No,
    Unknown(DnsFailure),
}

/// Looks for a DS at the name and its parents, down to the registered domain.
pub(super) async fn signed(net: &Net, name: &str) -> Signed {
    let last = organisational(name);
    let mut at = name;
    for _ in 0..MOST_STEPS {
        match net.dns().ds(at).await {
            Lookup::Found(ds) => return Signed::Yes(ds),
            Lookup::Missing(_) => {}
            Lookup::Failed(failure) => return Signed::Unknown(failure),
        }
        match at.split_once('.') {
            Some((_, parent)) if at != last => at = parent,
            _ => break,
        }
    }
    Signed::No
}

/// Whether the resolver vouches for the records of a name by its AD bit, which is believed only where the operator says so (RFC 6840 5.8).
/// Nothing when it is not, or when there is no answer.
pub(super) async fn vouched(net: &Net, name: &str, kind: RecordType) -> Option<bool> {
    if !net.trusts_ad() {
        return None;
    }
    let flags = QueryFlags { recursion: true, dnssec_ok: true, checking_disabled: false };
    let answer = net.query(None, name, kind, flags).await.ok()?;
    (answer.code == NO_ERROR).then_some(answer.authentic)
}

pub(super) async fn check(net: &Net, facts: &Facts, _options: &AuditOptions) -> Part {
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    if let Some(why) = bogus(net, domain).await {
        part.find(remark("dnssec.bogus", domain, format!("DNSSEC validation of {domain} fails{why}; validating receivers see no domain at all")));
        part.word(Status::Bad, "Broken");
        return part;
    }
    let (signed, vouched) = tokio::join!(signed(net, domain), vouched(net, domain, RecordType::SOA));
    match signed {
        Signed::Yes(ds) => {
            part.records = ds.iter().map(|ds| format!("DS {} {} {}", ds.key_tag, ds.algorithm, ds.digest_type)).collect();
            // RSA with SHA-1 (5, 7) and digests by SHA-1 (RFC 9904, 9905).
            if ds.iter().all(|ds| matches!(ds.algorithm, 1 | 3 | 5 | 6 | 7) || ds.digest_type == 1) {
                part.find(remark("dnssec.weak_algorithm", domain, "DNSSEC rests on SHA-1 alone, which some validators no longer accept"));
            }
            match vouched {
                Some(true) => part.word_by_findings(Status::Ok, "Validated"),
                Some(false) => part.word_by_findings(Status::None, "Not validated"),
                None => part.word_by_findings(Status::Ok, "Signed"),
            }
        }
        Signed::No | Signed::Unknown(_) if vouched == Some(true) => part.word(Status::Ok, "Validated"),
        Signed::No => {
            part.find(remark("dnssec.unsigned", domain, format!("{domain} is not signed with DNSSEC")));
            part.word(Status::None, "Not signed");
        }
        Signed::Unknown(failure) => {
            part.unknown("dnssec", failure);
            part.word(Status::None, "No answer");
        }
    }
    part
}

/// A resolver that refuses the answer and gives it when told not to validate has found it bogus. Says what it says of the reason.
async fn bogus(net: &Net, domain: &str) -> Option<String> {
    let flags = QueryFlags { recursion: true, dnssec_ok: true, checking_disabled: false };
    let validated = net.query(None, domain, RecordType::SOA, flags).await.ok()?;
    if validated.code != SERVFAIL {
        return None;
    }
    let unchecked = net.query(None, domain, RecordType::SOA, QueryFlags { checking_disabled: true, ..flags }).await.ok()?;
    // The same question once more: a server that failed only for a moment is not bogus.
    let again = net.query(None, domain, RecordType::SOA, flags).await.ok()?;
    let reason =
        again.extended.iter().map(|(_, text)| text.trim()).find(|text| !text.is_empty()).map(|text| format!(" ({text})")).unwrap_or_default();
    (unchecked.code == NO_ERROR && again.code == SERVFAIL).then_some(reason)
}
