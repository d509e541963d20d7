//! What of a conversation is kept to be compared with later ones: the facts about a server, without what differs from one look to the next.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use waypost_types::outcome::{AuthReport, ProbeReport, SmtpReport, StageMs};

use super::drift::steady;

/// Whether a conversation got as far as to show the server: past its greeting.
pub(super) fn greeted(probe: &ProbeReport) -> bool {
    probe.stage_ms.ehlo.is_some()
}

/// The facts of a report; nothing where no address could be spoken to.
pub fn facts(report: &SmtpReport) -> Option<SmtpReport> {
    let probes: Vec<ProbeReport> = report.probes.iter().filter(|probe| greeted(probe)).map(bare).collect();
    (!probes.is_empty()).then(|| SmtpReport { summary: String::new(), probes, login: None, ..report.clone() })
}

fn bare(probe: &ProbeReport) -> ProbeReport {
    ProbeReport {
        reason: String::new(),
        // That it was reached is a fact, how fast is none.
        stage_ms: StageMs { ehlo: Some(0.0), ..StageMs::default() },
        auth: probe.auth.as_ref().map(|auth| AuthReport { login: None, ..auth.clone() }),
        findings: Vec::new(),
        unknown: Vec::new(),
        transcript: Vec::new(),
        trace: None,
        ..probe.clone()
    }
}

/// What is known of a host after another look: an address that could not be spoken to stays as it was, one that the name no longer has is gone.
pub fn known_after(before: &SmtpReport, seen: &SmtpReport) -> SmtpReport {
    let silent = |probe: &&ProbeReport| seen.probes.iter().any(|other| other.address == probe.address && !greeted(other));
    let kept = before.probes.iter().filter(silent).cloned();
    let mut probes: Vec<ProbeReport> = seen.probes.iter().filter(|probe| greeted(probe)).map(bare).chain(kept).collect();
    probes.sort_by_key(|probe| probe.address);
    SmtpReport { summary: String::new(), probes, login: None, ..seen.clone() }
}

/// The same for looks between which [`super::drift::changes`] tells nothing; it spares comparing them. Kept with the facts: when it comes out
/// otherwise in a later version, the facts are compared once and are found to be the same.
pub fn mark(report: &SmtpReport) -> i64 {
    let mut hasher = DefaultHasher::new();
    let mut probes: Vec<&ProbeReport> = report.probes.iter().filter(|probe| greeted(probe)).collect();
    probes.sort_by_key(|probe| probe.address);
    for probe in probes {
        probe.address.hash(&mut hasher);
        probe.banner.as_deref().map(|banner| (super::banner::name(banner).to_ascii_lowercase(), steady(banner))).hash(&mut hasher);
        probe.extensions.iter().collect::<BTreeSet<_>>().hash(&mut hasher);
        let auth = probe.auth.as_ref();
        auth.map(|auth| (sorted(&auth.in_clear), sorted(&auth.under_tls))).hash(&mut hasher);
        if let Some(tls) = &probe.tls {
            (&tls.version, &tls.cipher, &tls.key_exchange, &tls.fingerprint, tls.trusted, tls.name_matches).hash(&mut hasher);
            tls.chain.iter().map(|sent| &sent.fingerprint).collect::<Vec<_>>().hash(&mut hasher);
        }
    }
    i64::from_ne_bytes(hasher.finish().to_ne_bytes())
}

fn sorted(names: &[String]) -> BTreeSet<&String> {
    names.iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::probe::drift::{
        changes,
        tests::{probe, report},
    };

    fn at(address: &str, edits: &[(&str, Value)]) -> ProbeReport {
        ProbeReport { address: Some(address.parse().unwrap()), ..probe(edits) }
    }

    fn refused(address: &str) -> ProbeReport {
        ProbeReport { stage_ms: StageMs::default(), banner: None, extensions: Vec::new(), tls: None, auth: None, ..at(address, &[]) }
    }

    #[test]
    fn a_mark_differs_where_something_is_told_and_nowhere_else() {
        let usual = report(vec![probe(&[])]);
        for (edit, differs) in [
            (("/tls/fingerprint", json!("bb")), true),
            (("/tls/version", json!("TLSv1.2")), true),
            (("/tls/name_matches", json!(false)), true),
            (("/extensions", json!(["SIZE 2000", "PIPELINING", "AUTH PLAIN"])), true),
            (("/extensions", json!(["PIPELINING", "SIZE 1000", "AUTH PLAIN"])), false),
            (("/auth/under_tls", json!(["PLAIN", "LOGIN"])), true),
            (("/banner", json!("mx.example ESMTP Exim 4.97")), true),
            (("/banner", json!("mx.example ESMTP Postfix 20261127T0912")), false),
            (("/stage_ms", json!({"ehlo": 99.0, "tls": 3.0})), false),
            (("/reason", json!("Answers.")), false),
        ] {
            let other = report(vec![probe(std::slice::from_ref(&edit))]);
            assert_eq!(mark(&usual) != mark(&other), differs, "{edit:?}");
            assert_eq!(!changes(&facts(&usual).unwrap(), &facts(&other).unwrap()).is_empty(), differs, "{edit:?}");
        }
    }

    #[test]
    fn a_server_that_could_not_be_spoken_to_stays_as_it_was() {
        let before = report(vec![at("192.0.2.1", &[]), at("192.0.2.2", &[]), at("192.0.2.3", &[])]);
        let renewed = [("/tls/fingerprint", json!("bb"))];
        let seen = report(vec![refused("192.0.2.2"), at("192.0.2.1", &renewed)]);
        let after = known_after(&facts(&before).unwrap(), &seen);
        let addresses: Vec<String> = after.probes.iter().map(|probe| probe.address.unwrap().to_string()).collect();
        assert_eq!(addresses, ["192.0.2.1", "192.0.2.2"], "the name has a third no longer");
        assert_eq!(after.probes[0].tls.as_ref().unwrap().fingerprint, "bb");
        assert_eq!(after.probes[1].tls.as_ref().unwrap().fingerprint, "aa");
        assert_eq!(facts(&report(vec![refused("192.0.2.2")])), None);
    }
}
