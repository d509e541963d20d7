//! The certificate that was seen, held against the TLSA records of its host and port: whether senders that use DANE believe it (RFC 7672 3).
//!
//! Records count where DNSSEC vouches for them, which a resolver says that the operator trusts; without one it is not known. On port 25 a record
//! of the server's own certificate (usage 3) makes its dates, names and issuer no business of theirs, and records of which none matches have them
//! hold mail back. Where mail programs log in nobody looks at the records: there they are shown, and weigh nothing.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use waypost_types::{
    finding::{Finding, Severity},
    outcome::{DaneReport, DaneState, ProbeMode},
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{ProbeTarget, literal_of, remarks::is_submission};
use crate::{
    audit::{
        dane_match::{Match, Tlsa},
        dane_records::{TlsaSet, mismatch, tlsa_of},
        rules::Remark,
        vouched,
    },
    net::{Lookup, Net, RecordType},
};

/// Records that are shown.
const MOST_SHOWN: usize = 20;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Dane {
    /// Nothing where there are no records.
    pub report: Option<DaneReport>,
    /// What records that match nothing earn the host.
    pub mismatch: Option<Finding>,
    /// A question that was not answered, where an answer would have been believed.
    pub untold: Option<String>,
}

impl Dane {
    fn of(records: &TlsaSet, state: DaneState, reason: Option<String>) -> Self {
        let shown = records.records.iter().take(MOST_SHOWN).cloned().collect();
        Self { report: Some(DaneReport { owner: records.owner.clone(), state, records: shown, matched: None, reason }), ..Self::default() }
    }
}

/// Looks them up for a certificate that was shown. An address has none.
pub(super) async fn look(net: &Net, target: &ProbeTarget, address: IpAddr, chain: &[CertificateDer<'_>]) -> Option<Dane> {
    if chain.is_empty() || target.mode == ProbeMode::Plain || literal_of(&target.host).is_some() {
        return None;
    }
    let host = target.host.trim_end_matches('.');
    let records = match tlsa_of(net, host, target.port).await {
        Lookup::Found(found) => found.into_iter().next()?,
        Lookup::Missing(_) => return None,
        // Whether somebody vouches for the certificate is not known then; without a trusted resolver it never is.
        Lookup::Failed(failure) => {
            let why = || format!("whether TLSA records vouch for the certificate: _{}._tcp.{host}: {failure}", target.port);
            return Some(Dane { untold: net.trusts_ad().then(why), ..Dane::default() });
        }
    };
    if !net.trusts_ad() {
        let reason = "whether DNSSEC vouches for the TLSA records is not known here: no resolver is trusted to say so";
        return Some(Dane::of(&records, DaneState::Unknown, Some(reason.to_owned())));
    }
    // What an alias leads to has to be proven as well (RFC 7672 2.2.3).
    let alias = if records.base == host { Some(true) } else { vouched(net, host, RecordType::CNAME).await };
    let own = vouched(net, &records.owner, RecordType::TLSA).await;
    match (alias, own) {
        (Some(true), Some(true)) => Some(compared(net, target, address, &records, chain)),
        (Some(false), _) | (_, Some(false)) => {
            Some(Dane::of(&records, DaneState::Insecure, Some("DNSSEC does not vouch for the TLSA records, so senders ignore them".to_owned())))
        }
        _ => {
            let why = format!("whether DNSSEC vouches for the TLSA records of {} could not be looked up", records.owner);
            Some(Dane { untold: Some(why.clone()), ..Dane::of(&records, DaneState::Unknown, Some(why)) })
        }
    }
}

/// Holds the records that senders believe against the chain, the server's own certificate first.
fn compared(net: &Net, target: &ProbeTarget, address: IpAddr, records: &TlsaSet, chain: &[CertificateDer<'_>]) -> Dane {
    let usable: Vec<(&String, Tlsa)> = records.records.iter().filter_map(|text| Some((text, Tlsa::parse(text).ok().filter(Tlsa::usable)?))).collect();
    if usable.is_empty() {
        let reason = "no TLSA record is of use to SMTP, so senders use TLS without checking the certificate";
        return Dane::of(records, DaneState::Unusable, Some(reason.to_owned()));
    }
    let host = target.host.trim_end_matches('.');
    let names = [host, records.base.as_str()];
    let said: Vec<Match> = usable.iter().map(|(_, tlsa)| tlsa.matches(chain, &names, net.now())).collect();
    if let Some(at) = said.iter().position(|said| *said == Match::Yes) {
        let mut dane = Dane::of(records, DaneState::Matches, None);
        if let Some(report) = &mut dane.report {
            report.matched = Some(usable[at].0.clone());
        }
        return dane;
    }
    if let Some(why) = said.iter().find_map(|said| if let Match::Unknown(why) = said { Some(why.clone()) } else { None }) {
        return Dane::of(records, DaneState::Unknown, Some(why));
    }
    // A certificate below an issuer may name the domain that mail is for in the place of the host (RFC 7672 3.2.2); a probe knows no domain.
    let own: Vec<String> = chain.first().map(|leaf| names_in(leaf)).unwrap_or_default();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    if usable.iter().any(|(_, tlsa)| tlsa.matches(chain, &own, net.now()) == Match::Yes) {
        let reason = format!(
            "the issuer matches a TLSA record, and the certificate does not name {host}: senders believe it for mail to the domains it names"
        );
        return Dane::of(records, DaneState::Unknown, Some(reason));
    }
    let found = mismatch(&records.owner, host, address, &said, chain.first()).done();
    let reason = Some(found.summary.clone());
    Dane { mismatch: (!is_submission(target.port)).then_some(found), ..Dane::of(records, DaneState::Mismatch, reason) }
}

fn names_in(leaf: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.replacen('*', "any", 1)),
        _ => None,
    });
    dns.take(MOST_SHOWN).collect()
}

/// Findings about a certificate that a TLSA record may make no fault for senders.
pub(super) fn is_of_pkix(rule: &str) -> bool {
    matches!(rule, "cert.expired" | "cert.expires_soon" | "cert.name_mismatch" | "cert.untrusted")
}

/// A finding about a certificate, no worse than it is for servers that deliver mail when a TLSA record vouches for it.
pub(super) fn weighed(remark: Remark, dane: &DaneReport) -> Remark {
    let why = match dane.usage().filter(|_| dane.state == DaneState::Matches) {
        Some(3) if is_of_pkix(remark.rule()) => {
            "A TLSA record vouches for this very certificate: senders that use DANE check neither its dates nor its names nor its issuer (RFC 7672 3.1.1). \
             Those that go by MTA-STS or by public authorities do."
        }
        Some(2) if remark.rule() == "cert.untrusted" => {
            "A TLSA record vouches for the issuer: senders that use DANE need no public authority (RFC 7672 3.1.2). Those that go by MTA-STS do."
        }
        _ => return remark,
    };
    remark.at_most(Severity::Low).why(why)
}

#[cfg(test)]
#[path = "dane_tests.rs"]
mod tests;
