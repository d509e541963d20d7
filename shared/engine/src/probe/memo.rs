//! What was made of a certificate chain, kept: servers show the same chain at every probe, and checking its signatures is the dearest part of
//! one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use rustls::pki_types::{CertificateDer, ServerName};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::tls::Judged;

/// Chains kept, about a kilobyte each.
const MOST: usize = 4096;

/// Judgements by chain and name. A judgement depends on these, on the roots and on the time alone, and with time it changes only where a
/// certificate of the chain begins or ends: until then the kept one is exact. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Memo(Arc<Mutex<HashMap<[u8; 32], Kept>>>);

#[derive(Debug)]
struct Kept {
    judged: Judged,
    from: DateTime<Utc>,
    /// The next begin or end in the chain.
    until: DateTime<Utc>,
}

impl Memo {
    /// The kept judgement, or what `judge` makes now.
    pub fn judged(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>, now: DateTime<Utc>, judge: impl FnOnce() -> Judged) -> Judged {
        let key = key(chain, name);
        if let Some(kept) = self.lock().get(&key).filter(|kept| kept.from <= now && now < kept.until) {
            return kept.judged.clone();
        }
        let judged = judge();
        if let Some(until) = next_change(chain, now) {
            let mut kept = self.lock();
            if kept.len() >= MOST {
                kept.clear();
            }
            kept.insert(key, Kept { judged: judged.clone(), from: now, until });
        }
        judged
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(name.to_str().as_bytes()).chain(chain.iter().map(AsRef::as_ref)) {
        // The length in front keeps two parts from passing for one.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first begin or end of a certificate after `now`; nothing when one can not be read, or when nothing changes any more.
fn next_change(chain: &[CertificateDer<'_>], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut next = None;
    for certificate in chain {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let validity = parsed.validity();
        // The last second of a certificate still belongs to it.
        for change in [validity.not_before.timestamp(), validity.not_after.timestamp().saturating_add(1)] {
            let change = DateTime::from_timestamp(change, 0)?;
            if change > now && next.is_none_or(|earliest| change < earliest) {
                next = Some(change);
            }
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(name: &str, from: i32, to: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn year(year: i32) -> DateTime<Utc> {
        format!("{year}-06-01T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn a_chain_is_judged_once_until_it_changes_or_time_changes_it() {
        let (memo, calls) = (Memo::default(), Cell::new(0));
        let judge = |chain: &[CertificateDer<'_>], name: &'static str, now| {
            let judge = || {
                calls.set(calls.get() + 1);
                Judged::bare()
            };
            memo.judged(chain, &ServerName::try_from(name).unwrap(), now, judge);
            calls.get()
        };
        let (leaf, issuer) = (certificate("a.example", 2020, 2030), certificate("ca.example", 2010, 2025));
        let chain = [leaf.clone(), issuer];
        assert_eq!([judge(&chain, "a.example", year(2022)), judge(&chain, "a.example", year(2024))], [1, 1]);
        assert_eq!([judge(&chain, "a.example", year(2026)), judge(&chain, "a.example", year(2027))], [2, 2], "the issuer has ended");
        assert_eq!(judge(&chain, "a.example", year(2022)), 3, "the clock was set back");
        assert_eq!(judge(&chain, "b.example", year(2022)), 4, "another name");
        assert_eq!(judge(&[leaf], "a.example", year(2022)), 5, "another chain");
    }

    #[test]
    fn what_can_not_be_read_is_not_kept() {
        assert_eq!(next_change(&[CertificateDer::from(b"nonsense".to_vec())], year(2022)), None);
        let chain = [certificate("a.example", 2020, 2030)];
        assert_eq!(next_change(&chain, year(2019)), Some("2020-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(next_change(&chain, year(2022)), Some("2030-01-01T00:00:01Z".parse().unwrap()));
        assert_eq!(next_change(&chain, year(2031)), None);
    }
}
