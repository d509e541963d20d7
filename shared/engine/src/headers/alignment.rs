//! Whether the domain of From agrees with the domains that SPF and DKIM vouch for, by the relaxed rules of RFC 9989.

use waypost_types::headers::{Alignment, AuthMethod, AuthResults, ReceivedSpf, SignatureReport, Verified};

/// What alignment is judged by.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) from: Option<&'a str>,
    pub(super) return_path: Option<&'a str>,
    pub(super) authentication: &'a [AuthResults],
    pub(super) received_spf: &'a [ReceivedSpf],
    pub(super) signatures: &'a [SignatureReport],
}

/// Equal, or of one organisation by the public suffix list.
pub(super) fn aligned(from: &str, other: &str) -> bool {
    let (from, other) = (from.trim_end_matches('.').to_ascii_lowercase(), other.trim_end_matches('.').to_ascii_lowercase());
    !from.is_empty() && (from == other || psl::domain_str(&from).is_some_and(|organisation| psl::domain_str(&other) == Some(organisation)))
}

/// The domain of an address, or the text itself where it is a domain alone.
pub(super) fn domain_of(address: &str) -> Option<String> {
    let address = address.trim().trim_matches(['<', '>']);
    let domain = address.rsplit_once('@').map_or(address, |(_, domain)| domain).trim_end_matches('.');
    let plausible = !domain.is_empty() && !domain.contains(|c: char| c.is_whitespace() || c.is_control());
    plausible.then(|| domain.to_ascii_lowercase())
}

/// The results of a method in fields that can be believed.
fn believed<'a>(authentication: &'a [AuthResults], method: &'a str) -> impl Iterator<Item = &'a AuthMethod> {
    authentication.iter().filter(|field| field.believable).flat_map(|field| &field.results).filter(move |result| result.method == method)
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
    // For the null sender SPF speaks for the HELO name (RFC 7208 2.4).
    let named = spf.and_then(|spf| ["smtp.mailfrom", "smtp.mail", "smtp.helo"].into_iter().find_map(|name| spf.property(name).and_then(domain_of)));
    let noted = facts.received_spf.first().and_then(|field| field.properties.iter().find(|property| property.name == "envelope-from"));
    let envelope_domain = named.or_else(|| facts.return_path.and_then(domain_of)).or_else(|| noted.and_then(|property| domain_of(&property.value)));
    let spf_result = spf.map(|spf| spf.result.clone());
    let spf_aligned = facts.from.zip(envelope_domain.as_deref()).map(|(from, envelope)| aligned(from, envelope));
    let dkim_aligned = facts.from.and_then(|from| dkim(from, facts));
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

fn dkim(from: &str, facts: &Facts<'_>) -> Option<bool> {
    let ours: Vec<&SignatureReport> = facts.signatures.iter().filter(|signature| signature.aligned).collect();
    let told: Vec<&AuthMethod> =
        believed(facts.authentication, "dkim").filter(|result| signer(result).is_some_and(|domain| aligned(from, &domain))).collect();
    if ours.iter().any(|signature| signature.verified == Verified::Valid) || told.iter().any(|result| result.result == "pass") {
        return Some(true);
    }
    // What could not be verified here and what the receiver did not judge is not known.
    let open = ours.iter().any(|signature| matches!(signature.verified, Verified::Unknown | Verified::NoKey));
    let refused = !told.is_empty() && told.iter().all(|result| !matches!(result.result.as_str(), "temperror" | "none"));
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
        (Some(result), Some(domain), _) => format!("SPF gave {result} for {domain}, which is not aligned"),
        (None, Some(domain), Some(true)) => format!("no receiver that can be believed gave an SPF result; {domain} is aligned"),
        (None, Some(domain), _) => format!("no receiver that can be believed gave an SPF result; {domain} is not aligned"),
        _ => "the envelope sender is not known".to_owned(),
    };
    format!("{dkim}; {spf}")
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
    fn organisations_align() {
        for (from, other, expected) in [
            ("example.com", "example.com", true),
            ("news.example.com", "bounce.Example.com.", true),
            ("example.co.uk", "other.co.uk", false),
            ("example.com", "example.com.evil.example", false),
            ("a.github.io", "b.github.io", false),
            ("", "", false),
        ] {
            assert_eq!(aligned(from, other), expected, "{from} {other}");
        }
    }

    #[test]
    fn dkim_by_verification_and_by_what_can_be_believed() {
        let signature = |aligned, verified| SignatureReport { aligned, verified, ..SignatureReport::default() };
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
        ] {
            let facts = Facts { from: Some("example.com"), return_path: None, authentication: &fields, received_spf: &[], signatures: &signatures };
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
            let facts = Facts { from: Some("example.com"), return_path: path, authentication: &fields, received_spf: &[], signatures: &[] };
            let alignment = judge(&facts);
            assert_eq!((alignment.envelope_domain.as_deref(), spf_passes(&alignment)), (domain, passes), "{field}");
        }
    }
}
