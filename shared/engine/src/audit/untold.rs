//! Which findings a part that could not be told leaves open: what was found before and is not found now is mended only where it was looked at.

use waypost_types::finding::{Finding, UnknownPart};

use super::Family;

/// Rules about what MX hosts show after STARTTLS; where that is unknown, the part is named by the host.
const CERTIFICATES: [&str; 3] = ["dane.mismatch", "dane.starttls_missing", "mtasts.cert_invalid"];
/// Rules of DANE that rest on DNSSEC, which is a part of its own.
const ON_DNSSEC: [&str; 3] = ["dane.tlsa_without_dnssec", "dane.insecure_mx", "dane.partial"];

/// Whether a finding of an earlier audit may still stand although it is not found now, since this part could not be told. Parts are named by
/// the family (`mta_sts`, where its rules say `mtasts`), by the host, or by the one rule that they are about.
pub fn leaves_open(part: &UnknownPart, finding: &Finding) -> bool {
    let rule = finding.rule.as_str();
    let family = Family::of_rule(rule).map_or("", Family::key);
    if CERTIFICATES.contains(&rule) && finding.subject.strip_prefix("_25._tcp.").unwrap_or(&finding.subject) == part.subject {
        return true;
    }
    part.subject == family || part.subject == rule || (part.subject == "dnssec" && ON_DNSSEC.contains(&rule))
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
            let part = UnknownPart { subject: subject.to_owned(), reason: "no answer".to_owned() };
            assert_eq!(leaves_open(&part, &remark(rule, about, "It was so").done()), open, "{subject} {rule} {about}");
        }
    }
}
