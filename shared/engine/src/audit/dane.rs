//! DANE: TLSA records of the MX hosts, whether DNSSEC vouches for them, and whether they match the certificates shown (RFC 7672).

use std::net::IpAddr;

use futures::future::join_all;
use waypost_types::{
    Severity,
    audit::TlsaDetail,
    outcome::{MxHost, Status},
};

use super::{
    Facts, Part,
    certificates::{Chains, Looks, MOST_HOSTS, SMTP},
    dane_match::{Match, Tlsa, record_for},
    dane_records::{TlsaSet, mismatch, tlsa_of},
    dnssec::{STRIPPED, Signed, passes_signatures, signed, vouched},
    dnssec_records::signatures,
    organisational,
    rules::remark,
};
use crate::{
    net::{Lookup, Net, QueryFlags, RecordType},
    probe::Shown,
};

/// Hosts that other families ask about.
const FIRST_HOSTS: usize = 4;
/// Those that are shown, each with what is wrong with it.
const MOST_SHOWN: usize = 20;

/// Whether senders believe the records.
enum Trust {
    Yes,
    /// They do not; why.
    No(&'static str),
    /// It could not be told; why.
    Unknown(String),
}

/// What is known of one MX host.
struct Host<'a> {
    mx: &'a MxHost,
    owner: String,
    records: Vec<String>,
    trust: Trust,
    looks: Looks,
}

impl Host<'_> {
    /// The records that are shown.
    fn shown(&self) -> &[String] {
        &self.records[..self.records.len().min(MOST_SHOWN)]
    }

    fn tlsa(&self) -> impl Iterator<Item = (&str, Result<Tlsa, &'static str>)> {
        self.records.iter().map(|text| (text.as_str(), Tlsa::parse(text)))
    }

    fn usable(&self) -> Vec<Tlsa> {
        self.tlsa().filter_map(|(_, tlsa)| tlsa.ok()).filter(Tlsa::usable).collect()
    }
}

pub(super) async fn check(net: &Net, facts: &Facts, chains: &Chains<'_>) -> Part {
    let mut part = Part::default();
    if facts.nxdomain {
        part.word(Status::None, "No such domain");
        return part;
    }
    if facts.hosts.is_empty() {
        if facts.receives {
            part.unknown("dane", "the MX hosts could not be looked up");
        }
        part.word(Status::None, if facts.receives { "No answer" } else { "Takes no mail" });
        return part;
    }
    let looks = join_all(facts.hosts.iter().take(MOST_HOSTS).map(|mx| look(net, mx, chains))).await;
    let (mut with, mut without, mut failed) = (Vec::new(), Vec::new(), 0_usize);
    for (mx, look) in facts.hosts.iter().zip(looks) {
        match look {
            Lookup::Found(hosts) => with.extend(hosts),
            Lookup::Missing(_) => without.push(mx.host.as_str()),
            Lookup::Failed(failure) => {
                failed += 1;
                part.unknown("dane", format!("_25._tcp.{}: {failure}", mx.host));
            }
        }
    }
    for host in &with {
        judge(&mut part, net, facts, host);
    }
    if with.iter().any(|host| matches!(host.trust, Trust::Yes)) {
        if !without.is_empty() {
            let seen = format!("{} of {} MX hosts have no TLSA records: {}", without.len(), facts.hosts.len(), without.join(", "));
            part.find(remark("dane.partial", facts.domain.as_str(), seen));
        }
        match trust(net, facts.domain.as_str(), facts.domain.as_str(), RecordType::MX).await {
            Trust::Yes => {}
            Trust::No(_) => {
                let seen = format!("The MX hosts have TLSA records, but the MX record of {} is not signed itself", facts.domain);
                part.find(remark("dane.insecure_mx", facts.domain.as_str(), seen));
            }
            Trust::Unknown(reason) => part.untold("dane.insecure_mx", reason),
        }
    }
    match (with.len(), failed) {
        (0, 0) => part.word(Status::None, "Not set"),
        (0, _) => part.word(Status::None, "No answer"),
        (1, _) => part.fact_by_findings(Status::Ok, "1 host"),
        (with, _) => part.fact_by_findings(Status::Ok, format!("{with} hosts")),
    }
    part
}

/// Whether one of the first MX hosts has TLSA records; an error where none is seen and one of them did not tell.
pub(super) async fn in_use(net: &Net, facts: &Facts) -> Result<bool, String> {
    // Of hosts that nobody knows, nothing is known.
    if let (Some(why), true) = (&facts.untold, facts.hosts.is_empty()) {
        return Err(why.clone());
    }
    let looks = facts.hosts.iter().take(FIRST_HOSTS).map(|mx| async move { net.dns().tlsa(&format!("_{SMTP}._tcp.{}", mx.host)).await });
    let mut in_use = Ok(false);
    for look in join_all(looks).await {
        match look {
            Lookup::Found(_) => return Ok(true),
            Lookup::Missing(_) => {}
            Lookup::Failed(failure) => in_use = Err(failure.to_string()),
        }
    }
    in_use
}

/// The records of a host, under the name it is an alias of where it is one, with what senders make of them.
async fn look<'a>(net: &Net, mx: &'a MxHost, chains: &Chains<'_>) -> Lookup<Host<'a>> {
    let found = match tlsa_of(net, &mx.host, SMTP).await {
        Lookup::Found(found) => found,
        Lookup::Missing(absence) => return Lookup::Missing(absence),
        Lookup::Failed(failure) => return Lookup::Failed(failure),
    };
    let mut hosts = Vec::with_capacity(found.len());
    for TlsaSet { base, owner, records } in found {
        hosts.push(host(net, mx, chains, (base, owner, records)).await);
    }
    Lookup::Found(hosts)
}

async fn host<'a>(net: &Net, mx: &'a MxHost, chains: &Chains<'_>, (base, owner, records): (String, String, Vec<String>)) -> Host<'a> {
    let trust = trust(net, &base, &owner, RecordType::TLSA).await;
    let mut host = Host { mx, owner, records, trust, looks: Vec::new() };
    // Records that senders believe and can not use still oblige them to TLS (RFC 7672 2.2).
    if !matches!(host.trust, Trust::No(_)) {
        host.looks = chains.of(mx).await;
    }
    host
}

/// Whether senders believe records. A trusted resolver says it of these very records (RFC 7672 2.1.1); else a DS above them and signatures
/// beside them have to do.
async fn trust(net: &Net, name: &str, owner: &str, kind: RecordType) -> Trust {
    match vouched(net, owner, kind).await {
        Some(true) => return Trust::Yes,
        Some(false) => return Trust::No("DNSSEC does not vouch for them"),
        None => {}
    }
    match signed(net, name).await {
        Signed::No { .. } => return Trust::No("the zone is not signed"),
        Signed::Unknown(reason) => return Trust::Unknown(reason),
        Signed::Yes { .. } => {}
    }
    let flags = QueryFlags { recursion: true, dnssec_ok: true, checking_disabled: true };
    match net.query(None, owner, kind, flags).await {
        Ok(answer) if answer.answers.iter().any(|record| record.record_type() == kind) => {
            // Below a signed zone there may be one that is not.
            if !signatures(&answer.answers, kind).is_empty() {
                Trust::Yes
            } else if passes_signatures(net).await {
                Trust::No("they carry no signatures")
            } else {
                Trust::Unknown(STRIPPED.to_owned())
            }
        }
        Ok(answer) => Trust::Unknown(format!("the resolver answers the question for {owner} with code {}", answer.code)),
        Err(failure) => Trust::Unknown(format!("{owner}: {failure}")),
    }
}

fn judge(part: &mut Part, net: &Net, facts: &Facts, host: &Host<'_>) {
    let owner = host.owner.as_str();
    part.records.extend(host.shown().iter().map(|record| format!("{owner} {record}")));
    let ignored = match &host.trust {
        Trust::Yes => None,
        Trust::No(why) => {
            let seen = format!("{owner} has TLSA records, but {why}, so senders ignore them");
            part.find(remark("dane.tlsa_without_dnssec", owner, seen).with("owner", owner));
            Some(format!("ignored: {why}"))
        }
        Trust::Unknown(reason) => {
            part.unknown("dnssec", format!("whether senders believe the TLSA records of {owner}: {reason}"));
            None
        }
    };
    for (text, tlsa) in host.tlsa().take(MOST_SHOWN) {
        let bad = match &tlsa {
            Err(why) => Some(*why),
            Ok(tlsa) => tlsa.malformed(),
        };
        let pkix = tlsa.as_ref().is_ok_and(|tlsa| tlsa.usage < 2);
        let fix = leaf(host).and_then(|leaf| record_for(leaf, 3));
        let mut found = match (bad, pkix) {
            (Some(reason), _) => remark("dane.malformed", owner, format!("The TLSA record “{}” can not be used: {reason}", shortened(text))),
            (None, true) => {
                remark("dane.usage_pkix", owner, format!("The TLSA record “{}” has usage 0 or 1, which SMTP does not use", shortened(text)))
            }
            (None, false) => continue,
        };
        if let Some(fix) = fix {
            found = found.record("TLSA", owner, fix);
        }
        part.find(found);
    }
    if !matches!(host.trust, Trust::No(_)) {
        compare(part, net, facts, host);
    }
    part.detail.dane.extend(host.tlsa().take(MOST_SHOWN).map(|(text, tlsa)| detail(net, facts, host, text, tlsa.as_ref(), ignored.as_deref())));
}

/// Holds the usable records against what the host shows.
fn compare(part: &mut Part, net: &Net, facts: &Facts, host: &Host<'_>) {
    let usable = host.usable();
    let (owner, name) = (host.owner.as_str(), host.mx.host.as_str());
    if host.records.len() == 1 && usable.len() == 1 {
        let of_issuer = usable[0].usage == 2;
        let (whose, change) = if of_issuer { (", of an issuer", "certificate of another issuer") } else { ("", "key change") };
        let mut found = remark("dane.no_rollover", owner, format!("{owner} has one TLSA record only{whose}: the next {change} risks a gap"));
        if of_issuer {
            // A key change of the host leaves it as it is.
            found = found.fix(
                "Authorities may sign the next certificate with another intermediate, without a word: publish records of those too, or a 3 1 1 record \
                 of the host's key beside this one.",
            );
        }
        if organisational(name) != organisational(facts.domain.as_str()) {
            // Somebody else's host: good to know, and not this domain's to mend.
            found = found.severity(Severity::Info);
        }
        if let (3, Some(issuer)) = (usable[0].usage, issuer(host).and_then(|issuer| record_for(issuer, 2))) {
            found = found
                .fix("Publish this record of the issuer beside it: it holds when the key changes and the issuer stays.")
                .record("TLSA", owner, issuer);
        }
        part.find(found);
    }
    let names = names(facts, host);
    for (address, shown) in &host.looks {
        let why = match shown.as_ref() {
            Shown::Unknown(_) | Shown::Ended(_) | Shown::Unreached(_) => continue,
            Shown::NoStarttls => "does not offer STARTTLS".to_owned(),
            Shown::StarttlsRefused(reply) => format!("offers STARTTLS and then refuses it ({reply})"),
            Shown::BadHandshake(reason) => format!("fails at TLS: {reason}"),
            Shown::Chain(chain) => {
                let said: Vec<Match> = usable.iter().map(|tlsa| tlsa.matches(&chain.certificates, &names, net.now())).collect();
                if !said.is_empty() && said.iter().all(|said| matches!(said, Match::No(_))) {
                    part.find(mismatch(owner, name, *address, &said, leaf_at(host, *address)));
                    return;
                }
                continue;
            }
        };
        let found = remark("dane.starttls_missing", owner, format!("{name} has TLSA records, but at {address} it {why}")).with("host", name);
        // Some senders may share an old version of TLS with it that we do not speak.
        part.find(if matches!(shown.as_ref(), Shown::BadHandshake(_)) { found.severity(Severity::High) } else { found });
        return;
    }
}

fn detail(net: &Net, facts: &Facts, host: &Host<'_>, text: &str, tlsa: Result<&Tlsa, &&'static str>, ignored: Option<&str>) -> TlsaDetail {
    let line = |matches: Option<bool>, note: Option<String>| TlsaDetail { host: host.mx.host.clone(), record: text.to_owned(), matches, note };
    let tlsa = match tlsa {
        Err(why) => return line(None, Some(format!("can not be used: {why}"))),
        Ok(tlsa) => tlsa,
    };
    if let Some(why) = tlsa.malformed() {
        return line(None, Some(format!("can not be used: {why}")));
    }
    if !tlsa.usable() {
        return line(None, Some("usage 0 and 1 are not used by SMTP".to_owned()));
    }
    if let Some(ignored) = ignored {
        return line(None, Some(ignored.to_owned()));
    }
    let names = names(facts, host);
    let said: Vec<Match> = host
        .looks
        .iter()
        .filter_map(|(_, shown)| match shown.as_ref() {
            Shown::Chain(chain) => Some(tlsa.matches(&chain.certificates, &names, net.now())),
            _ => None,
        })
        .collect();
    let unknown = said.iter().find_map(|said| if let Match::Unknown(why) = said { Some(why.clone()) } else { None });
    if said.contains(&Match::Yes) {
        line(Some(true), None)
    } else if said.is_empty() || unknown.is_some() {
        line(None, unknown)
    } else {
        let why = said.into_iter().find_map(|said| if let Match::No(why) = said { why } else { None });
        line(Some(false), Some(why.unwrap_or_else(|| "matches nothing that is shown: the next key, or an old one".to_owned())))
    }
}

/// Names that a certificate below an issuer may carry (RFC 7672 3.2.2).
fn names<'a>(facts: &'a Facts, host: &'a Host<'_>) -> Vec<&'a str> {
    let base = host.owner.strip_prefix("_25._tcp.").unwrap_or(&host.owner);
    vec![host.mx.host.as_str(), base, facts.domain.as_str()]
}

fn chain<'a>(host: &'a Host<'_>, address: Option<IpAddr>) -> Option<&'a [rustls::pki_types::CertificateDer<'static>]> {
    host.looks.iter().filter(|(at, _)| address.is_none_or(|wanted| wanted == *at)).find_map(|(_, shown)| match shown.as_ref() {
        Shown::Chain(chain) => Some(chain.certificates.as_slice()),
        _ => None,
    })
}

fn leaf<'a>(host: &'a Host<'_>) -> Option<&'a rustls::pki_types::CertificateDer<'static>> {
    chain(host, None)?.first()
}

fn leaf_at<'a>(host: &'a Host<'_>, address: IpAddr) -> Option<&'a rustls::pki_types::CertificateDer<'static>> {
    chain(host, Some(address))?.first()
}

fn issuer<'a>(host: &'a Host<'_>) -> Option<&'a rustls::pki_types::CertificateDer<'static>> {
    chain(host, None)?.get(1)
}

fn shortened(record: &str) -> String {
    record.chars().take(24).collect()
}
