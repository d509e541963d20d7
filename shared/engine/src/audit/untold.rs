//! Which findings a part that could not be told leaves open: what was found before and is not found now is mended only where it was looked at.

use std::net::IpAddr;

use waypost_types::finding::{Finding, UnknownPart};

use super::Family;

/// Rules about what MX hosts show after STARTTLS; where that is unknown, the part is named by the host.
const CERTIFICATES: [&str; 3] = ["dane.mismatch", "dane.starttls_missing", "mtasts.cert_invalid"];
/// Rules of DANE that rest on DNSSEC, which is a part of its own.
const ON_DNSSEC: [&str; 3] = ["dane.tlsa_without_dnssec", "dane.insecure_mx", "dane.partial"];
/// Rules about one name server; the others compare them, or count them.
const OF_ONE_SERVER: [&str; 5] = ["ns.cname", "ns.no_address", "ns.private_address", "ns.lame", "ns.no_tcp"];

/// Whether a finding of an earlier audit may still stand although it is not found now, since this part could not be told. Parts are named by
/// the family (`mta_sts`, where its rules say `mtasts`), by the host, or by the one rule that they are about. Where only one member of a family
/// could not be told, findings about the other members are closed by what those show; what is found of the family as a whole stays open.
pub fn leaves_open(part: &UnknownPart, finding: &Finding) -> bool {
    let rule = finding.rule.as_str();
    let family = Family::of_rule(rule).map_or("", Family::key);
    if CERTIFICATES.contains(&rule) && finding.subject.strip_prefix("_25._tcp.").unwrap_or(&finding.subject) == part.subject {
        return true;
    }
    match &part.about {
        Some(about) if is_of_one_member(finding) => (part.subject == family || part.subject == rule) && *about == finding.subject,
        _ => part.subject == family || part.subject == rule || (part.subject == "dnssec" && ON_DNSSEC.contains(&rule)),
    }
}

/// Whether it is about one address, name server or selector of a family that has many.
pub fn is_of_one_member(finding: &Finding) -> bool {
    match Family::of_rule(&finding.rule) {
        Some(Family::Ptr) => finding.subject.parse::<IpAddr>().is_ok(),
        Some(Family::Spf) => finding.rule == "spf.sender_not_covered",
        Some(Family::Ns) => OF_ONE_SERVER.contains(&finding.rule.as_str()),
        Some(Family::Dkim) => finding.subject.contains("._domainkey."),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::rules::remark;

    #[test]
    fn a_part_leaves_its_own_findings_open_and_no_others() {
        for (subject, rule, about, open) in [
            ("mta_sts", "mtasts.mx_mismatch", "mx.e.example", true),
            ("tls_rpt", "tlsrpt.syntax", "_smtp._tls.e.example", true),
            ("ns", "soa.values", "e.example", true),
            ("spf", "spf.missing", "e.example", true),
            ("spf", "dmarc.missing", "e.example", false),
            ("mx.e.example", "mtasts.cert_invalid", "mx.e.example", true),
            ("mx.e.example", "dane.mismatch", "_25._tcp.mx.e.example", true),
            ("mx.e.example", "dane.mismatch", "_25._tcp.mx2.e.example", false),
            // That port 25 is closed here says nothing of records.
            ("mx.e.example", "dane.malformed", "_25._tcp.mx.e.example", false),
            ("mx.e.example", "mtasts.mx_mismatch", "mx.e.example", false),
            ("dane", "dane.mismatch", "_25._tcp.mx.e.example", true),
            ("spf.type99", "spf.type99", "e.example", true),
            ("spf.type99", "spf.missing", "e.example", false),
            ("dnssec", "dane.partial", "e.example", true),
            ("dnssec", "dane.tlsa_without_dnssec", "_25._tcp.mx.e.example", true),
            ("dnssec", "dane.malformed", "_25._tcp.mx.e.example", false),
        ] {
            let part = UnknownPart::new(subject, "no answer");
            assert_eq!(leaves_open(&part, &remark(rule, about, "It was so").done()), open, "{subject} {rule} {about}");
        }
    }

    #[test]
    fn one_member_that_is_silent_keeps_no_other_open() {
        for (family, silent, rule, about, open) in [
            ("ptr", "10.0.0.1", "ptr.missing", "10.0.0.1", true),
            ("ptr", "10.0.0.1", "ptr.missing", "192.0.2.1", false),
            ("ptr", "10.0.0.1", "ptr.no_own_domain", "e.example", true),
            ("ns", "ns1.e.example", "ns.lame", "ns1.e.example", true),
            ("ns", "ns1.e.example", "ns.lame", "ns2.e.example", false),
            ("ns", "ns1.e.example", "soa.serial_mismatch", "e.example", true),
            ("ns", "ns1.e.example", "ns.same_network", "e.example", true),
            ("dkim", "s1._domainkey.e.example", "dkim.syntax", "s1._domainkey.e.example", true),
            ("dkim", "s1._domainkey.e.example", "dkim.syntax", "s2._domainkey.e.example", false),
            ("dkim", "s1._domainkey.e.example", "dkim.none_found", "e.example", true),
            ("spf.sender_not_covered", "192.0.2.1", "spf.sender_not_covered", "192.0.2.1", true),
            ("spf.sender_not_covered", "192.0.2.1", "spf.sender_not_covered", "192.0.2.2", false),
            ("spf.sender_not_covered", "192.0.2.1", "spf.ptr_used", "e.example", false),
            ("dkim", "s1._domainkey.e.example", "ptr.missing", "s1._domainkey.e.example", false),
        ] {
            let part = UnknownPart { about: Some(silent.to_owned()), ..UnknownPart::new(family, "no answer") };
            assert_eq!(leaves_open(&part, &remark(rule, about, "It was so").done()), open, "{silent} {rule} {about}");
        }
    }
}
