//! DNSSEC: whether the zone is signed, whether its keys are those its parent names, whether the signatures last, and whether a validating
//! resolver takes it (RFC 4035, 9364). Where the resolver passes no DNSSEC records on, nothing is told from their absence.

use chrono::{DateTime, Duration, Utc};
use waypost_types::outcome::Status;

use super::{
    AuditOptions, Facts, Part,
    dnssec_records::{Key, Names, Signature, Signer, algorithm, is_weak, keys, signatures, signers},
    dnssec_verdict::{self, Verdict},
    organisational,
    rules::remark,
};
use crate::net::{Lookup, Net, QueryFlags, RawAnswer, RecordType};

/// Labels above a name that are looked at.
const MOST_STEPS: usize = 8;
pub(super) const NO_ERROR: u16 = 0;
pub(super) const NXDOMAIN: u16 = 3;
/// Of the audit's time, what was before this check and comes after it.
const RESERVE: std::time::Duration = std::time::Duration::from_secs(2);
/// Signatures made on the fly live for a day or two; only those made to last are told to be late.
const LASTING: Duration = Duration::days(7);
/// All signing software renews earlier than this.
const LATE: Duration = Duration::hours(24);
/// Findings that mean that validating receivers see no domain.
const BROKEN: [&str; 2] = ["dnssec.bogus", "dnssec.ds_without_key"];
/// Our clock and theirs.
const SKEW: Duration = Duration::hours(1);

/// Ask as a validator does, and be given what it would refuse.
pub(super) const UNCHECKED: QueryFlags = QueryFlags { recursion: true, dnssec_ok: true, checking_disabled: true };
pub(super) const VALIDATED: QueryFlags = QueryFlags { checking_disabled: false, ..UNCHECKED };

/// Whether a name lies in a signed zone.
pub(super) enum Signed {
    /// The nearest zone above it that its parent vouches for.
    Yes { zone: String, ds: Vec<Signer> },
    /// The zone that no parent vouches for.
    No { zone: String },
    /// Why it could not be told.
    Unknown(String),
}

/// Looks for a DS at the name and its parents, down to the registered domain. A zone that is delegated without one ends the search: what is signed
/// above does not reach below it (RFC 4035 5.2).
pub(super) async fn signed(net: &Net, name: &str) -> Signed {
    let last = organisational(name);
    let mut at = name;
    for _ in 0..MOST_STEPS {
        match net.query(None, at, RecordType::DS, UNCHECKED).await {
            Ok(answer) if matches!(answer.code, NO_ERROR | NXDOMAIN) => {
                let ds = signers(&answer.answers, at);
                if !ds.is_empty() {
                    return Signed::Yes { zone: at.to_owned(), ds };
                }
            }
            Ok(answer) => return Signed::Unknown(format!("the resolver answers the question for the DS of {at} with code {}", answer.code)),
            Err(failure) => return Signed::Unknown(failure.to_string()),
        }
        match at.split_once('.') {
            Some((_, parent)) if at != last => match is_cut(net, at).await {
                Ok(true) => break,
                Ok(false) => at = parent,
                Err(reason) => return Signed::Unknown(reason),
            },
            _ => break,
        }
    }
    if passes_signatures(net).await { Signed::No { zone: at.to_owned() } } else { Signed::Unknown(STRIPPED.to_owned()) }
}

/// Whether a zone begins at the name: it has name servers of its own.
async fn is_cut(net: &Net, name: &str) -> Result<bool, String> {
    match net.dns().ns(name).await {
        // Those of an alias are its target's.
        Lookup::Found(_) => match net.dns().cname(name).await {
            Lookup::Failed(failure) => Err(format!("whether {name} is an alias: {failure}")),
            alias => Ok(alias.found().is_empty()),
        },
        Lookup::Missing(_) => Ok(false),
        Lookup::Failed(failure) => Err(format!("whether a zone of its own begins at {name}: {failure}")),
    }
}

pub(super) const STRIPPED: &str = "the resolver passes no DNSSEC records on; with another resolver this could be told";

/// Whether the resolver hands out signatures at all: those of the root are always there.
pub(super) async fn passes_signatures(net: &Net) -> bool {
    match net.query(None, ".", RecordType::DNSKEY, UNCHECKED).await {
        Ok(answer) => !signatures(&answer.answers, RecordType::DNSKEY).is_empty(),
        Err(_) => false,
    }
}

/// Whether the resolver vouches for the records of a name by its AD bit, which is believed only where the operator says so (RFC 6840 5.8).
/// Nothing when it is not, or when there is no answer.
pub(crate) async fn vouched(net: &Net, name: &str, kind: RecordType) -> Option<bool> {
    if !net.trusts_ad() {
        return None;
    }
    let answer = net.query(None, name, kind, VALIDATED).await.ok()?;
    (answer.code == NO_ERROR).then_some(answer.authentic)
}

pub(super) async fn check(net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    check_after(dnssec_verdict::PAUSE, net, facts, options).await
}

/// The same with a pause of one's own, for tests.
pub(super) async fn check_after(pause: std::time::Duration, net: &Net, facts: &Facts, options: &AuditOptions) -> Part {
    let end = tokio::time::Instant::now() + options.deadline.saturating_sub(RESERVE);
    let mut part = Part::default();
    let domain = facts.domain.as_str();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    let looking = Box::pin(async {
        let signed = signed(net, domain).await;
        let seen = match &signed {
            Signed::Yes { zone, ds } => look(net, zone, ds).await,
            Signed::No { .. } | Signed::Unknown(_) => Zone::default(),
        };
        (signed, seen)
    });
    let ((signed, seen), verdict) = tokio::join!(looking, Box::pin(dnssec_verdict::verdict(net, domain, pause, end)));
    let (authentic, refused, untold) = match verdict {
        Verdict::Answers { authentic } => (authentic, None, None),
        Verdict::Bogus(words) => (false, Some(words), None),
        Verdict::Unknown(reason) => (false, None, Some(reason)),
    };
    let answers = refused.is_none() && untold.is_none();
    match signed {
        Signed::Yes { zone, ds } => {
            part.records = ds.iter().map(|ds| format!("DS {} {} {}", ds.tag, ds.algorithm, ds.digest_type)).collect();
            weak(&mut part, &zone, &ds);
            part.records
                .extend(seen.keys.iter().filter(|key| key.is_entry_point()).map(|key| format!("DNSKEY {} {} {}", key.flags, key.tag, key.algorithm)));
            // A resolver that vouches for the zone has seen more than we have.
            let broken = if authentic { None } else { seen.broken(&zone, &ds, net.now()) };
            match (refused, broken) {
                (None, None) => late(&mut part, &zone, &seen, net.now()),
                (Some(words), None) => part.find(broken_for_everybody(domain, &words)),
                (_, Some(Broken::WithoutKey(seen))) => part.find(
                    remark("dnssec.ds_without_key", &zone, seen).fix(format!(
                        "At the registrar, remove the DS that names no key of {zone} and enter the one your DNS software shows for the key in use; if the zone is not meant to be signed, remove every DS."
                    )),
                ),
                (refused, Some(Broken::Signatures(seen))) => {
                    let confirmed = refused.map(|words| format!(" (a validating resolver refuses it{words})")).unwrap_or_default();
                    part.find(remark("dnssec.bogus", domain, format!("{seen}{confirmed}; validating receivers see no domain at all")));
                }
            }
            for reason in [seen.unknown, seen.soa_unknown].into_iter().flatten() {
                part.unknown("dnssec", reason);
            }
            match (part.findings.iter().any(|finding| BROKEN.contains(&finding.rule.as_str())), net.trusts_ad()) {
                (true, _) => part.word(Status::Bad, "Broken"),
                (false, true) if authentic => part.fact_by_findings(Status::Ok, "Validated"),
                (false, true) if answers => part.word_by_findings(Status::None, "Not validated"),
                _ => part.fact_by_findings(Status::Ok, "Signed"),
            }
        }
        Signed::No { .. } | Signed::Unknown(_) if let Some(words) = &refused => {
            part.find(broken_for_everybody(domain, words));
            part.word(Status::Bad, "Broken");
        }
        Signed::No { .. } | Signed::Unknown(_) if authentic && net.trusts_ad() => part.word(Status::Ok, "Validated"),
        Signed::No { zone } => {
            unsigned(net, domain, &zone, &mut part).await;
            part.word(Status::None, "Not signed");
        }
        Signed::Unknown(reason) => {
            part.unknown("dnssec", reason);
            part.word(Status::None, "No answer");
        }
    }
    // What was found broken in the records is so, whatever the resolver makes of it.
    if let Some(reason) = untold.filter(|_| part.unknown.is_empty() && !part.findings.iter().any(|finding| BROKEN.contains(&finding.rule.as_str()))) {
        part.unknown("dnssec", reason);
    }
    part
}

fn broken_for_everybody(domain: &str, words: &str) -> super::rules::Remark {
    remark("dnssec.bogus", domain, format!("DNSSEC validation of {domain} fails{words}; validating receivers see no domain at all"))
}

/// What a signed zone shows of itself.
#[derive(Default)]
struct Zone {
    keys: Vec<Key>,
    key_signatures: Vec<Signature>,
    /// Signatures over the SOA; nothing where no SOA came.
    soa_signatures: Option<Vec<Signature>>,
    /// Why none came.
    soa_unknown: Option<String>,
    /// Why something could not be told.
    unknown: Option<String>,
}

enum Broken {
    WithoutKey(String),
    Signatures(String),
}

async fn look(net: &Net, zone: &str, ds: &[Signer]) -> Zone {
    let (keys_answer, soa_answer) =
        tokio::join!(net.query(None, zone, RecordType::DNSKEY, UNCHECKED), net.query(None, zone, RecordType::SOA, UNCHECKED));
    let fine = |answer: Result<RawAnswer, crate::net::DnsFailure>, what: &str| match answer {
        Ok(answer) if answer.code == NO_ERROR => Ok(answer.answers),
        Ok(answer) => Err(format!("the resolver answers the question for the {what} of {zone} with code {}", answer.code)),
        Err(failure) => Err(format!("the {what} of {zone}: {failure}")),
    };
    let answers = match fine(keys_answer, "DNSKEY") {
        Ok(answers) => answers,
        Err(reason) => return Zone { unknown: Some(reason), ..Zone::default() },
    };
    let (soa, soa_unknown) = match fine(soa_answer, "SOA") {
        Ok(answers) => (Some(answers).filter(|answers| answers.iter().any(|record| record.record_type() == RecordType::SOA)), None),
        Err(reason) => (None, Some(reason)),
    };
    let seen = Zone {
        keys: keys(&answers),
        key_signatures: signatures(&answers, RecordType::DNSKEY),
        soa_signatures: soa.map(|answers| signatures(&answers, RecordType::SOA)),
        soa_unknown,
        unknown: None,
    };
    let told = seen.names_a_key(zone, ds) && !seen.key_signatures.is_empty() && seen.soa_signatures.as_ref().is_none_or(|all| !all.is_empty());
    if !told && !passes_signatures(net).await {
        return Zone { unknown: Some(STRIPPED.to_owned()), ..Zone::default() };
    }
    seen
}

impl Zone {
    fn names_a_key(&self, zone: &str, ds: &[Signer]) -> bool {
        ds.iter().any(|ds| self.keys.iter().any(|key| ds.names(key, zone) != Names::No))
    }

    /// What every validator will stumble over.
    fn broken(&self, zone: &str, ds: &[Signer], now: DateTime<Utc>) -> Option<Broken> {
        if self.unknown.is_some() {
            return None;
        }
        // A DS whose digest nobody knows makes the zone unsigned, not broken (RFC 4035 5.2).
        if !ds.iter().any(|ds| matches!(ds.digest_type, 1 | 2 | 4)) {
            return None;
        }
        let tags = || ds.iter().map(|ds| ds.tag.to_string()).collect::<Vec<_>>().join(", ");
        if self.keys.is_empty() {
            return Some(Broken::WithoutKey(format!(
                "The parent says that {zone} is signed (DS with key tag {}), but the zone has no DNSKEY",
                tags()
            )));
        }
        if !self.names_a_key(zone, ds) {
            return Some(Broken::WithoutKey(format!("No key of {zone} is the one its parent names (DS with key tag {})", tags())));
        }
        let none = |signatures: &[Signature]| signatures.is_empty();
        // Where only some are missing a resolver may have lost them.
        if none(&self.key_signatures) && self.soa_signatures.as_deref().is_some_and(none) {
            return Some(Broken::Signatures(format!("{zone} has keys and a DS, but its records carry no signatures")));
        }
        let sets = || [Some(&self.key_signatures), self.soa_signatures.as_ref()].into_iter().flatten();
        let mut early = sets().filter(|signatures| signatures.iter().all(|signature| signature.inception > now + SKEW));
        if let Some(first) = early.find_map(|signatures| signatures.iter().min_by_key(|signature| signature.inception)) {
            let from = first.inception.format("%Y-%m-%d %H:%M UTC");
            return Some(Broken::Signatures(format!("The DNSSEC signatures of {zone} are valid from {from} on only: its signer's clock is wrong")));
        }
        let ended = sets().filter_map(|signatures| last(signatures)).find(|last| last.expiration + SKEW < now);
        ended.map(|last| Broken::Signatures(format!("The DNSSEC signatures of {zone} expired on {}", last.expiration.format("%Y-%m-%d %H:%M UTC"))))
    }
}

/// The signature that lasts longest.
fn last(signatures: &[Signature]) -> Option<Signature> {
    signatures.iter().copied().max_by_key(|signature| signature.expiration)
}

/// Signatures that should have been renewed by now.
fn late(part: &mut Part, zone: &str, seen: &Zone, now: DateTime<Utc>) {
    let first = [Some(&seen.key_signatures), seen.soa_signatures.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|signatures| last(signatures))
        .min_by_key(|last| last.expiration);
    let Some(first) = first else { return };
    let (life, left) = (first.expiration - first.inception, first.expiration - now);
    if life >= LASTING && left < LATE && left < life / 10 {
        let words = format!("The DNSSEC signatures of {zone} end at {} and are not renewed yet", first.expiration.format("%Y-%m-%d %H:%M UTC"));
        part.find(remark("dnssec.signature_expiring", zone, words));
    }
}

/// RSA with SHA-1 (5, 7) and digests by SHA-1 (RFC 9904, 9905).
fn weak(part: &mut Part, zone: &str, ds: &[Signer]) {
    if ds.iter().all(|ds| is_weak(ds.algorithm)) {
        let name = ds.first().map(|ds| algorithm(ds.algorithm)).unwrap_or_default();
        part.find(remark("dnssec.weak_algorithm", zone, format!("{zone} is signed with {name} alone, which some validators no longer accept")));
    } else if ds.iter().all(|ds| ds.digest_type == 1) {
        let words = format!("The DS of {zone} is a SHA-1 digest alone, which some validators no longer accept");
        part.find(remark("dnssec.weak_algorithm", zone, words).fix("At the registrar, enter the DS of the same key with digest type 2 (SHA-256)."));
    }
}

/// No DS: the zone is not signed, or nobody can know that it is.
async fn unsigned(net: &Net, domain: &str, zone: &str, part: &mut Part) {
    let found = match net.query(None, zone, RecordType::DNSKEY, UNCHECKED).await {
        Ok(answer) if matches!(answer.code, NO_ERROR | NXDOMAIN) => keys(&answer.answers),
        Ok(answer) => return part.unknown("dnssec", format!("the resolver answers the question for the DNSKEY of {zone} with code {}", answer.code)),
        Err(failure) => return part.unknown("dnssec", format!("the DNSKEY of {zone}: {failure}")),
    };
    match found.iter().find(|key| key.is_entry_point()) {
        Some(key) => part.find(
            remark("dnssec.no_ds", zone, format!("{zone} is signed, but its parent has no DS for it, so nobody checks the signatures")).record(
                "DS",
                zone,
                key.ds(zone),
            ),
        ),
        None => part.find(remark("dnssec.unsigned", domain, format!("{domain} is not signed with DNSSEC"))),
    }
}
