//! Whether the domain of From agrees with the domains that SPF and DKIM vouch for, by the rules of RFC 9989.

use std::collections::BTreeSet;

use waypost_types::headers::{Alignment, AuthMethod, AuthResults, HeaderReport, ReceivedSpf, SignatureReport, Verified};

use crate::audit::Alignments;

/// What alignment is judged by.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) from: Option<&'a str>,
    pub(super) return_path: Option<&'a str>,
    pub(super) authentication: &'a [AuthResults],
    pub(super) received_spf: &'a [ReceivedSpf],
    pub(super) signatures: &'a [SignatureReport],
    /// How domains stand to the one in From.
    pub(super) alignments: &'a Alignments,
}

impl<'a> Facts<'a> {
    /// Those of a report.
    pub(super) fn of(report: &'a HeaderReport, alignments: &'a Alignments) -> Self {
        Self {
            from: report.from_domain.as_deref(),
            return_path: report.return_path.as_deref(),
            authentication: &report.authentication,
            received_spf: &report.received_spf,
            signatures: &report.signatures,
            alignments,
        }
    }

    /// The domain that SPF speaks for.
    fn envelope(&self) -> Option<String> {
        // For the null sender SPF speaks for the HELO name (RFC 7208 2.4).
        let spf = believed(self.authentication, "spf").next();
        let named =
            spf.and_then(|spf| ["smtp.mailfrom", "smtp.mail", "smtp.helo"].into_iter().find_map(|name| spf.property(name).and_then(domain_of)));
        let noted = self.received_spf.first().and_then(|field| field.properties.iter().find(|property| property.name == "envelope-from"));
        named.or_else(|| self.return_path.and_then(domain_of)).or_else(|| noted.and_then(|property| domain_of(&property.value)))
    }

    /// All domains whose alignment counts.
    pub(super) fn domains(&self) -> BTreeSet<String> {
        let signed = self.signatures.iter().map(|signature| signature.domain.clone());
        signed.chain(believed(self.authentication, "dkim").filter_map(signer)).chain(self.envelope()).filter(|domain| !domain.is_empty()).collect()
    }
}

/// The domain of an address, or the text itself where it is a domain alone.
pub(super) fn domain_of(address: &str) -> Option<String> {
    let address = address.trim().trim_matches(['<', '>']);
    let domain = address.rsplit_once('@').map_or(address, |(_, domain)| domain).trim_end_matches('.');
    let plausible = !domain.is_empty() && !domain.contains(|c: char| c.is_whitespace() || c.is_control());
    plausible.then(|| domain.to_ascii_lowercase())
}

/// The results of a method in fields that can be believed, in the one version that is defined (RFC 8601 2.3).
fn believed<'a>(authentication: &'a [AuthResults], method: &'a str) -> impl Iterator<Item = &'a AuthMethod> {
    authentication
        .iter()
        .filter(|field| field.believable)
        .flat_map(|field| &field.results)
        .filter(move |result| result.method == method && result.version.is_none_or(|version| version == 1))
}

/// The domain that a DKIM result is about.
fn signer(result: &AuthMethod) -> Option<String> {
    result.property("header.d").or_else(|| result.property("header.i")).and_then(domain_of)
}

/// A field that can be believed says that a signature of this very domain passed.
pub(super) fn receiver_verified(authentication: &[AuthResults], domain: &str) -> bool {
    believed(authentication, "dkim").any(|result| result.result == "pass" && signer(result).as_deref() == Some(domain))
}

/// Judges it.
pub(super) fn judge(facts: &Facts<'_>) -> Alignment {
    let spf = believed(facts.authentication, "spf").next();
    let envelope_domain = facts.envelope();
    let spf_result = spf.map(|spf| spf.result.clone());
    let spf_aligned = facts.from.and(envelope_domain.as_deref()).and_then(|envelope| facts.alignments.spf(envelope));
    let dkim_aligned = facts.from.and_then(|_| dkim(facts));
    let mut out = Alignment {
        envelope_domain,
        spf_result,
        spf_aligned,
        dkim_aligned,
        dmarc_result: believed(facts.authentication, "dmarc").next().map(|dmarc| dmarc.result.clone()),
        words: String::new(),
    };
    out.words = words(facts.from, &out);
    out
}

fn dkim(facts: &Facts<'_>) -> Option<bool> {
    let ours: Vec<(Option<bool>, &SignatureReport)> = facts
        .signatures
        .iter()
        .map(|signature| (facts.alignments.dkim(&signature.domain), signature))
        .filter(|(aligned, _)| *aligned != Some(false))
        .collect();
    let told: Vec<(Option<bool>, &AuthMethod)> = believed(facts.authentication, "dkim")
        .filter_map(|result| Some((facts.alignments.dkim(&signer(result)?), result)))
        .filter(|(aligned, _)| *aligned != Some(false))
        .collect();
    let verified = ours.iter().filter(|(_, signature)| signature.verified == Verified::Valid).map(|(aligned, _)| *aligned);
    let passed: Vec<Option<bool>> = verified.chain(told.iter().filter(|(_, result)| result.result == "pass").map(|(aligned, _)| *aligned)).collect();
    if !passed.is_empty() {
        // One that passes and may be aligned or not leaves it open.
        return passed.contains(&Some(true)).then_some(true);
    }
    // A receiver that does not say whose signature passed leaves it open.
    if believed(facts.authentication, "dkim").any(|result| result.result == "pass" && signer(result).is_none()) {
        return None;
    }
    // What could not be verified here and what the receiver did not judge is not known.
    let open = ours.iter().any(|(_, signature)| matches!(signature.verified, Verified::Unknown | Verified::NoKey));
    let refused = !told.is_empty() && told.iter().all(|(_, result)| !matches!(result.result.as_str(), "temperror" | "none"));
    (!open || refused).then_some(false)
}

fn words(from: Option<&str>, alignment: &Alignment) -> String {
    let Some(from) = from else { return "There is no usable From address, so nothing can be aligned with it".to_owned() };
    let dkim = match alignment.dkim_aligned {
        Some(true) => format!("A DKIM signature aligned with {from} passes"),
        Some(false) => format!("No DKIM signature aligned with {from} passes"),
        None => format!("Whether a DKIM signature aligned with {from} passes could not be told"),
    };
    let spf = match (alignment.spf_result.as_deref(), alignment.envelope_domain.as_deref(), alignment.spf_aligned) {
        (Some(result), Some(domain), Some(true)) => format!("SPF gave {result} for {domain}, which is aligned"),
        (Some(result), Some(domain), Some(false)) => format!("SPF gave {result} for {domain}, which is not aligned"),
        (Some(result), Some(domain), None) => format!("SPF gave {result} for {domain}; whether that is aligned could not be told"),
        (None, Some(domain), Some(true)) => format!("no receiver that can be believed gave an SPF result; {domain} is aligned"),
        (None, Some(domain), Some(false)) => format!("no receiver that can be believed gave an SPF result; {domain} is not aligned"),
        (None, Some(domain), None) => {
            format!("no receiver that can be believed gave an SPF result; whether {domain} is aligned could not be told")
        }
        _ => "the envelope sender is not known".to_owned(),
    };
    format!("{dkim}; {spf}")
}

/// The end of the sentence where the domain asks for a failure report about such a message (`fo`, RFC 9989 4.7).
pub(super) fn failure_report(facts: &Facts<'_>, alignment: &Alignment) -> String {
    let Some(fo) = &facts.alignments.failure_reports else { return String::new() };
    let spf_fails = alignment.spf_result.as_deref().is_some_and(|result| result != "pass");
    let spf_no = spf_fails || alignment.spf_aligned == Some(false);
    let dkim_no = alignment.dkim_aligned == Some(false);
    let wanted = fo.split(':').map(str::trim).any(|option| match option {
        "0" => spf_no && dkim_no,
        "1" => spf_no || dkim_no,
        "d" => facts.signatures.iter().any(|signature| signature.verified == Verified::Broken),
        "s" => spf_fails,
        _ => false,
    });
    if wanted { format!("; the domain asks for a failure report about such a message (ruf, fo={fo})") } else { String::new() }
}

/// SPF passed for an aligned domain.
pub(super) fn spf_passes(alignment: &Alignment) -> bool {
    alignment.spf_aligned == Some(true) && alignment.spf_result.as_deref() == Some("pass")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::auth_results;

    #[test]
    fn dkim_by_verification_and_by_what_can_be_believed() {
        let alignments = Alignments::relaxed("example.com", &[]);
        let signature = |aligned: bool, verified| {
            let domain = if aligned { "example.com" } else { "esp.example" }.to_owned();
            SignatureReport { domain, verified, ..SignatureReport::default() }
        };
        let open = |verified| SignatureReport { domain: "untold.com".to_owned(), verified, ..SignatureReport::default() };
        let says = |text: &str, believable| AuthResults { believable, ..auth_results::parse(text, false) };
        for (signatures, fields, expected) in [
            (vec![signature(true, Verified::Valid)], vec![], Some(true)),
            (vec![signature(true, Verified::Broken), signature(false, Verified::Valid)], vec![], Some(false)),
            (vec![signature(true, Verified::Unknown)], vec![], None),
            (vec![signature(true, Verified::NoKey)], vec![], None),
            (vec![signature(true, Verified::Unknown)], vec![says("mx; dkim=pass header.d=example.com", true)], Some(true)),
            (vec![signature(true, Verified::Unknown)], vec![says("mx; dkim=pass header.d=example.com", false)], None),
            (vec![signature(true, Verified::Unknown)], vec![says("mx; dkim=fail header.i=@example.com", true)], Some(false)),
            (vec![signature(true, Verified::Unknown)], vec![says("mx; dkim=temperror header.d=example.com", true)], None),
            (vec![], vec![], Some(false)),
            (vec![open(Verified::Valid)], vec![], None),
            (vec![open(Verified::Broken)], vec![], Some(false)),
            (vec![open(Verified::Valid), signature(true, Verified::Valid)], vec![], Some(true)),
            (vec![], vec![says("mx; dkim=pass header.d=untold.com", true)], None),
            (vec![], vec![says("mx; dkim=pass (2048-bit key)", true)], None),
            (vec![], vec![says("mx; dkim=pass header.d=esp.example", true)], Some(false)),
            (vec![], vec![says("mx; dkim/2=pass header.d=example.com", true)], Some(false)),
        ] {
            let facts = Facts {
                from: Some("example.com"),
                return_path: None,
                authentication: &fields,
                received_spf: &[],
                signatures: &signatures,
                alignments: &alignments,
            };
            assert_eq!(judge(&facts).dkim_aligned, expected, "{signatures:?} {fields:?}");
        }
    }

    #[test]
    fn spf_counts_for_the_envelope_domain() {
        for (field, path, domain, passes) in [
            ("mx; spf=pass smtp.mailfrom=a@bounce.example.com", None, Some("bounce.example.com"), true),
            ("mx; spf=pass smtp.mailfrom=esp.example", None, Some("esp.example"), false),
            ("mx; spf=softfail smtp.mailfrom=example.com", None, Some("example.com"), false),
            ("mx; spf=pass smtp.mailfrom= smtp.helo=mail.example.com", Some(""), Some("mail.example.com"), true),
            ("mx; none", Some("a@example.com"), Some("example.com"), false),
            ("mx; none", Some(""), None, false),
        ] {
            let fields = [AuthResults { believable: true, ..auth_results::parse(field, false) }];
            let alignments = Alignments::relaxed("example.com", &["bounce.example.com", "mail.example.com"]);
            let facts = Facts {
                from: Some("example.com"),
                return_path: path,
                authentication: &fields,
                received_spf: &[],
                signatures: &[],
                alignments: &alignments,
            };
            let alignment = judge(&facts);
            assert_eq!((alignment.envelope_domain.as_deref(), spf_passes(&alignment)), (domain, passes), "{field}");
        }
    }
}
